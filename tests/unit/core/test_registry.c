/* SPDX-License-Identifier: MIT
 * User-made losses: what may be registered, who owns what, and several threads at it. Compiled as unit.h says. */
#include "unit.h"
#include "core/handle.h"
#include "core/memory.h"
#include "core/registry.h"
#include <pthread.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static lossfn_status_t kernel(const lossfn_block_t *block) {
    (void)block;
    return LOSSFN_OK;
}

static lossfn_status_t whole(void *user_data, const lossfn_t *loss, lossfn_args_t *args, lossfn_call_t *call) {
    (void)user_data, (void)loss, (void)args, (void)call;
    return LOSSFN_OK;
}

static void count(void *counter) { atomic_fetch_add((atomic_int *)counter, 1); }

static lossfn_vtable_t elementwise(void) {
    lossfn_vtable_t v;
    lossfn_vtable_init(&v);
    v.elementwise = kernel;
    return v;
}

static void assert_error(lossfn_status_t status, lossfn_status_t wanted, const char *message) {
    assert_string_equal(lossfn_last_error(), message);
    assert_int_equal(status, wanted);
}

static void test_lifetime(void **unused) {
    lossfn_vtable_t v = elementwise();
    atomic_int destroyed = 0, second = 0;
    lossfn_t *old, *new;
    (void)unused;
    assert_int_equal(lossfn_register("acme.one", &v, &destroyed, count), LOSSFN_OK);
    assert_int_equal(lossfn_create(&old, "2*acme.one + acme.one"), LOSSFN_OK);
    assert_ptr_equal(lossfn__user_data(old->terms[1].definition), &destroyed);
    assert_int_equal(lossfn_unregister("acme.one"), LOSSFN_OK);
    assert_int_equal(destroyed, 0); /* the handle goes on working */
    assert_string_equal(lossfn_component_name(old, 0), "acme.one");
    assert_int_equal(lossfn_register("acme.one", &v, &second, count), LOSSFN_OK);
    assert_int_equal(lossfn_create(&new, "acme.one"), LOSSFN_OK);
    assert_ptr_equal(lossfn__user_data(new->terms[0].definition), &second);
    lossfn_destroy(old);
    assert_int_equal(destroyed, 1);
    lossfn_destroy(new);
    assert_int_equal(second, 0);
    assert_int_equal(lossfn_unregister("acme.one"), LOSSFN_OK);
    assert_int_equal(second, 1);
    assert_error(lossfn_unregister("acme.one"), LOSSFN_ERROR_NOT_FOUND, "no user-made loss is named 'acme.one'");
    assert_int_equal(lossfn_unregister("mse"), LOSSFN_ERROR_NOT_FOUND);
    assert_int_equal(lossfn_unregister(NULL), LOSSFN_ERROR_ARGUMENT);
    assert_int_equal(lossfn__allocations(), 0);
}

static void refuse(const char *name, const lossfn_vtable_t *v, lossfn_status_t wanted, const char *message) {
    atomic_int destroyed = 0;
    lossfn_status_t status = lossfn_register(name, v, &destroyed, count);
    assert_error(status, wanted, message);
    assert_int_equal(destroyed, 1); /* also when it fails */
}

static void test_bad_names(void **unused) {
    lossfn_vtable_t v = elementwise();
    (void)unused;
    refuse(NULL, &v, LOSSFN_ERROR_ARGUMENT, "name is NULL");
    refuse("acme.x", NULL, LOSSFN_ERROR_ARGUMENT, "vtable is NULL");
    refuse("focal", &v, LOSSFN_ERROR_ARGUMENT, "the name 'focal' has no dot: names without one belong to the library");
    static const char *const bad[] = {".x", "x.", "a..b", "1.x", "a.b c", "a.b(", "a.\xc3\xa4"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        char message[128];
        snprintf(message, sizeof message, "the name '%s' is not made of letters, digits and _ with single dots between",
                 bad[i]);
        refuse(bad[i], &v, LOSSFN_ERROR_ARGUMENT, message);
    }
    refuse("a.0123456789012345678901234567890123456789012345678901234567890123456789", &v, LOSSFN_ERROR_ARGUMENT,
           "the name has 72 characters, the limit is 63");
    assert_int_equal(lossfn_register("acme.twice", &v, NULL, NULL), LOSSFN_OK);
    refuse("acme.twice", &v, LOSSFN_ERROR_EXISTS, "a loss named 'acme.twice' is registered already");
    assert_int_equal(lossfn_unregister("acme.twice"), LOSSFN_OK);
}

static void test_bad_vtables(void **unused) {
    lossfn_vtable_t v = elementwise();
    (void)unused;
    v.struct_size = 8;
    refuse("acme.x", &v, LOSSFN_ERROR_ARGUMENT, "struct_size of vtable is 8, expected 80");
    v = elementwise(), v.rowwise = kernel;
    refuse("acme.x", &v, LOSSFN_ERROR_ARGUMENT, "exactly one of elementwise, rowwise and run must be set, 2 are");
    v = elementwise(), v.elementwise = NULL;
    refuse("acme.x", &v, LOSSFN_ERROR_ARGUMENT, "exactly one of elementwise, rowwise and run must be set, 0 are");
    v = elementwise(), v.flags = 64;
    refuse("acme.x", &v, LOSSFN_ERROR_ARGUMENT, "flags has unknown bits: 64");
    v = elementwise(), v.flags = LOSSFN_VTABLE_LABELS;
    refuse("acme.x", &v, LOSSFN_ERROR_ARGUMENT, "LOSSFN_VTABLE_LABELS needs a rowwise kernel");
    v = elementwise(), v.n_inputs = 9;
    refuse("acme.x", &v, LOSSFN_ERROR_ARGUMENT, "n_inputs is 9, must be 0 to 8");
    v = elementwise(), v.n_inputs = -1;
    refuse("acme.x", &v, LOSSFN_ERROR_ARGUMENT, "n_inputs is -1, must be 0 to 8");
    v = elementwise(), v.n_params = -1;
    refuse("acme.x", &v, LOSSFN_ERROR_ARGUMENT, "n_params is -1, must be 0 to 12");
    v = elementwise(), v.n_inputs = 3;
    refuse("acme.x", &v, LOSSFN_ERROR_ARGUMENT, "inputs is NULL, n_inputs is 3");
    v = elementwise(), v.n_params = 13;
    refuse("acme.x", &v, LOSSFN_ERROR_ARGUMENT, "n_params is 13, must be 0 to 12");
    v = elementwise(), v.n_params = 1;
    refuse("acme.x", &v, LOSSFN_ERROR_ARGUMENT, "params is NULL, n_params is 1");
}

static void refuse_param(lossfn_param_info_t param, lossfn_status_t wanted, const char *message) {
    lossfn_vtable_t v = elementwise();
    if (!param.struct_size) param.struct_size = sizeof param;
    v.params = &param, v.n_params = 1;
    refuse("acme.x", &v, wanted, message);
}

static void test_bad_params(void **unused) {
    const lossfn_param_info_t good = {.name = "gamma", .type = LOSSFN_PARAM_DOUBLE, .default_value = "2"};
    lossfn_param_info_t p;
    (void)unused;
    p = good, p.name = "weight";
    refuse_param(p, LOSSFN_ERROR_PARAMETER, "parameter name 'weight' is reserved for an input or argument of the call");
    p = good, p.name = "pred";
    refuse_param(p, LOSSFN_ERROR_PARAMETER, "parameter name 'pred' is reserved for an input or argument of the call");
    p = good, p.name = "reduction";
    refuse_param(p, LOSSFN_ERROR_PARAMETER, "parameter reduction has the name of an option that every loss has");
    p = good, p.name = "a b";
    refuse_param(p, LOSSFN_ERROR_PARAMETER, "params[0] is named 'a b', not a word");
    p = good, p.name = NULL;
    refuse_param(p, LOSSFN_ERROR_PARAMETER, "params[0] is named '', not a word");
    p = good, p.type = 9;
    refuse_param(p, LOSSFN_ERROR_PARAMETER, "parameter gamma has type 9, must be a lossfn_param_type (1 to 5)");
    p = good, p.type = 0;
    refuse_param(p, LOSSFN_ERROR_PARAMETER, "parameter gamma has type 0, must be a lossfn_param_type (1 to 5)");
    p = good, p.type = LOSSFN_PARAM_CHOICE;
    refuse_param(p, LOSSFN_ERROR_PARAMETER, "parameter gamma is a choice without choices");
    p = good, p.default_value = NULL;
    refuse_param(p, LOSSFN_ERROR_PARAMETER, "parameter gamma has no default");
    p = good, p.default_value = "two";
    refuse_param(p, LOSSFN_ERROR_PARAMETER, "default of a parameter: gamma is 'two', must be a number");
    p = good, p.lower = 3, p.upper = 4;
    refuse_param(p, LOSSFN_ERROR_PARAMETER, "default of a parameter: gamma is 2, must be >= 3 and <= 4");
    p = good, p.lower = 5, p.upper = 4;
    refuse_param(p, LOSSFN_ERROR_PARAMETER, "the bounds of parameter gamma are not in order");
    p = good, p.type = LOSSFN_PARAM_LIST, p.default_value = "[1]";
    refuse_param(p, LOSSFN_ERROR_PARAMETER, "the default of list gamma must be NULL: not set");
    p = good, p.learnable = 1;
    refuse_param(p, LOSSFN_ERROR_PARAMETER, "learnable parameter gamma needs a learnable input of its name");
    p = good, p.struct_size = 24;
    refuse_param(p, LOSSFN_ERROR_ARGUMENT, "struct_size of params is 24, expected 72");
    p = good, p.struct_size = sizeof p + 4;
    refuse_param(p, LOSSFN_ERROR_ARGUMENT, "struct_size of params is 76, expected 72");
    p = good, p.struct_size = 1 << 17;
    refuse_param(p, LOSSFN_ERROR_ARGUMENT, "struct_size of params is 131072, expected 72");
    p = good, p.default_value = "";
    refuse_param(p, LOSSFN_ERROR_PARAMETER, "parameter gamma has no default");
    assert_int_equal(lossfn__allocations(), 0);
}

static void test_bad_inputs(void **unused) {
    lossfn_input_info_t inputs[2] = {{.struct_size = sizeof *inputs, .name = "pred", .scale = LOSSFN_SCALE_REAL},
                                     {.struct_size = sizeof *inputs, .name = "pred", .scale = LOSSFN_SCALE_REAL}};
    lossfn_vtable_t v = elementwise();
    (void)unused;
    v.inputs = inputs, v.n_inputs = 2;
    refuse("acme.x", &v, LOSSFN_ERROR_ARGUMENT, "two inputs are named 'pred'");
    inputs[1].name = "mask";
    refuse("acme.x", &v, LOSSFN_ERROR_ARGUMENT, "inputs[1] is named 'mask', an argument of every call");
    inputs[1].name = "alpha", inputs[1].scale = 0;
    refuse("acme.x", &v, LOSSFN_ERROR_ARGUMENT, "input alpha has scale 0, must be a lossfn_scale (1 to 8)");
    inputs[1].scale = 9;
    refuse("acme.x", &v, LOSSFN_ERROR_ARGUMENT, "input alpha has scale 9, must be a lossfn_scale (1 to 8)");
    inputs[1].scale = LOSSFN_SCALE_REAL;
    lossfn_param_info_t alpha = {.struct_size = sizeof alpha,
                                 .name = "alpha",
                                 .type = LOSSFN_PARAM_DOUBLE,
                                 .default_value = "2",
                                 .learnable = 1};
    v.params = &alpha, v.n_params = 1;
    refuse("acme.x", &v, LOSSFN_ERROR_PARAMETER, "learnable parameter alpha needs a learnable input of its name");
    inputs[1].learnable = 1;
    alpha.name = "beta", alpha.learnable = 0; /* a parameter, but another one */
    refuse("acme.x", &v, LOSSFN_ERROR_ARGUMENT, "learnable input alpha needs a learnable parameter of its name");
    v.params = NULL, v.n_params = 0;
    refuse("acme.x", &v, LOSSFN_ERROR_ARGUMENT, "learnable input alpha needs a learnable parameter of its name");
    inputs[1].struct_size = 16;
    refuse("acme.x", &v, LOSSFN_ERROR_ARGUMENT, "struct_size of inputs[1] is 16, that of inputs[0] is 40");
}

/* Lists need no default, however that is said; inputs without a number are the usual ones; and two learnable inputs
 * find the parameters of their names among others. */
static void test_good_descriptions(void **unused) {
    lossfn_vtable_t v = elementwise();
    lossfn_info_t info = {.struct_size = sizeof info};
    lossfn_input_info_t inputs[4] = {{.name = "pred", .scale = LOSSFN_SCALE_REAL},
                                     {.name = "target", .scale = LOSSFN_SCALE_REAL},
                                     {.name = "a", .scale = LOSSFN_SCALE_REAL, .learnable = 1},
                                     {.name = "b", .scale = LOSSFN_SCALE_REAL, .learnable = 1}};
    lossfn_param_info_t params[4] = {{.name = "some", .type = LOSSFN_PARAM_LIST, .default_value = ""},
                                     {.name = "a", .type = LOSSFN_PARAM_DOUBLE, .default_value = "1", .learnable = 1},
                                     {.name = "others", .type = LOSSFN_PARAM_LIST},
                                     {.name = "b", .type = LOSSFN_PARAM_DOUBLE, .default_value = "2", .learnable = 1}};
    (void)unused;
    for (int i = 0; i < 4; i++) inputs[i].struct_size = sizeof *inputs, params[i].struct_size = sizeof *params;
    v.inputs = inputs, v.n_inputs = 4, v.params = params, v.n_params = 4;
    assert_int_equal(lossfn_register("acme.good", &v, NULL, NULL), LOSSFN_OK);
    assert_int_equal(lossfn_describe("acme.good", &info), LOSSFN_OK);
    assert_int_equal(info.n_inputs, 4);
    assert_int_equal(info.n_params, 4);
    assert_int_equal(lossfn_unregister("acme.good"), LOSSFN_OK);
    v.n_inputs = 0, v.n_params = 0;
    assert_int_equal(lossfn_register("acme.good", &v, NULL, NULL), LOSSFN_OK);
    assert_int_equal(lossfn_describe("acme.good", &info), LOSSFN_OK);
    assert_int_equal(info.n_inputs, 2);
    lossfn_input_info_t input = {.struct_size = sizeof input};
    lossfn_param_info_t param = {.struct_size = sizeof param};
    assert_int_equal(lossfn_describe_input("acme.good", -1, &input), LOSSFN_ERROR_NOT_FOUND);
    assert_int_equal(lossfn_describe_param("acme.good", -1, &param), LOSSFN_ERROR_NOT_FOUND);
    info.struct_size = sizeof info;
    assert_int_equal(lossfn_describe("Smooth-L1-Loss", &info), LOSSFN_OK); /* a name as others write it */
    assert_string_equal(info.name, "smooth_l1");
    assert_int_equal(lossfn_describe("BCELoss", &info), LOSSFN_OK); /* and one that only others have */
    assert_string_equal(info.name, "binary_cross_entropy");
    assert_int_equal(lossfn_describe("no-such-thing-at-all", &info), LOSSFN_ERROR_NOT_FOUND);
    assert_int_equal(lossfn_describe("", &info), LOSSFN_ERROR_NOT_FOUND);
    info.struct_size = 8; /* too short to have anything, and too long to be one */
    assert_int_equal(lossfn_describe("acme.good", &info), LOSSFN_ERROR_ARGUMENT);
    info.struct_size = 1 << 17;
    assert_int_equal(lossfn_describe("acme.good", &info), LOSSFN_ERROR_ARGUMENT);
    assert_int_equal(lossfn_unregister("acme.good"), LOSSFN_OK);
}

/* A newer caller's structs are longer: what is known of them counts, and elements are found at their own distance. */
typedef struct {
    lossfn_param_info_t known;
    double added;
} newer_param_t;

static void test_all_is_copied(void **unused) {
    char name[] = "acme.copy", key[] = "gamma", initial[] = "2", words[] = "near, far", doc[] = "text";
    newer_param_t params[2] = {
        {{.name = key, .doc = doc, .default_value = initial, .type = LOSSFN_PARAM_DOUBLE, .upper = 10}, 5},
        {{.name = "mode", .default_value = "far", .choices = words, .type = LOSSFN_PARAM_CHOICE}, 5}};
    lossfn_input_info_t inputs[3] = {{.name = "pred", .scale = LOSSFN_SCALE_LOGITS, .differentiable = 1},
                                     {.name = "target", .scale = LOSSFN_SCALE_LABEL},
                                     {.name = "extra", .scale = LOSSFN_SCALE_REAL}};
    lossfn_vtable_t v = elementwise();
    lossfn_info_t info = {.struct_size = sizeof info};
    lossfn_param_info_t param = {.struct_size = sizeof param};
    lossfn_t *loss;
    char buf[128];
    (void)unused;
    for (int i = 0; i < 2; i++) params[i].known.struct_size = sizeof *params;
    for (int i = 0; i < 3; i++) inputs[i].struct_size = sizeof *inputs;
    v.params = &params[0].known, v.n_params = 2, v.inputs = inputs, v.n_inputs = 3, v.summary = doc;
    v.flags = LOSSFN_VTABLE_HESS;
    assert_int_equal(lossfn_register(name, &v, NULL, NULL), LOSSFN_OK);
    memset(name, 'x', 4), memset(key, 'x', 4), memset(words, 'x', 4), memset(doc, 'x', 4), initial[0] = 'x';
    memset(params, 0xff, sizeof params), memset(inputs, 0xff, sizeof inputs), memset(&v, 0xff, sizeof v);
    assert_int_equal(lossfn_describe("acme.copy", &info), LOSSFN_OK);
    assert_string_equal(info.summary, "text");
    assert_string_equal(info.family, "user");
    assert_string_equal(info.formula, "");
    assert_int_equal(info.n_inputs, 3);
    assert_int_equal(info.hess_kinds, 1);
    assert_int_equal(lossfn_describe_param("acme.copy", 1, &param), LOSSFN_OK);
    assert_string_equal(param.choices, "near, far");
    assert_int_equal(lossfn_create(&loss, "acme.copy(gamma=3, mode=near)"), LOSSFN_OK);
    lossfn_spec(loss, buf, sizeof buf);
    assert_string_equal(buf, "acme.copy(gamma=3, mode=near)");
    assert_true(loss->terms[0].params[0] == 3 && loss->terms[0].constants[0] == 3);
    assert_string_equal(lossfn_input_name(loss, 2), "extra");
    lossfn_destroy(loss);
    assert_error(lossfn_create(&loss, "acme.copy(gamma=11)"), LOSSFN_ERROR_PARAMETER,
                 "gamma is 11, must be >= 0 and <= 10");
    assert_error(lossfn_create(&loss, "acme.cpy"), LOSSFN_ERROR_NOT_FOUND,
                 "no loss is registered as 'acme.cpy'; the nearest is 'acme.copy'");
    assert_string_equal(lossfn_name_at(lossfn_count() - 1), "acme.copy");
    assert_int_equal(lossfn_unregister("acme.copy"), LOSSFN_OK);
    assert_int_equal(lossfn__allocations(), 0);
}

/* Of the bounds a message names those that there are. */
static void test_bounds(void **unused) {
    lossfn_param_info_t param = {
        .struct_size = sizeof param, .name = "gamma", .type = LOSSFN_PARAM_DOUBLE, .default_value = "2"};
    static const struct {
        double lower, upper;
        const char *given, *message;
    } cases[] = {{0, 0, "nan", "gamma is nan, must be a number"},
                 {-INFINITY, 4, "5", "gamma is 5, must be <= 4"},
                 {1, INFINITY, "-5", "gamma is -5, must be >= 1"},
                 {1, 4, "5", "gamma is 5, must be >= 1 and <= 4"}};
    (void)unused;
    for (size_t i = 0; i < COUNT(cases); i++) {
        lossfn_vtable_t v = elementwise();
        lossfn_t *loss = NULL;
        char spec[64];
        param.lower = cases[i].lower, param.upper = cases[i].upper;
        v.params = &param, v.n_params = 1;
        assert_int_equal(lossfn_register("acme.bound", &v, NULL, NULL), LOSSFN_OK);
        snprintf(spec, sizeof spec, "acme.bound(gamma=%s)", cases[i].given);
        assert_error(lossfn_create(&loss, spec), LOSSFN_ERROR_PARAMETER, cases[i].message);
        assert_null(loss);
        assert_int_equal(lossfn_unregister("acme.bound"), LOSSFN_OK);
    }
}

/* Integers that are the same double are two numbers all the same. */
static void test_large_integers(void **unused) {
    const lossfn_param_info_t param = {
        .struct_size = sizeof param, .name = "n", .type = LOSSFN_PARAM_INT, .default_value = "9007199254740992"};
    static const char *const specs[] = {"acme.count", "acme.count(n=9007199254740993)"};
    lossfn_vtable_t v = elementwise();
    (void)unused;
    v.params = &param, v.n_params = 1;
    assert_int_equal(lossfn_register("acme.count", &v, NULL, NULL), LOSSFN_OK);
    for (size_t i = 0; i < COUNT(specs); i++) {
        lossfn_t *loss = NULL;
        char buf[64];
        assert_int_equal(lossfn_create(&loss, specs[i]), LOSSFN_OK);
        lossfn_spec(loss, buf, sizeof buf);
        assert_string_equal(buf, specs[i]);
        lossfn_destroy(loss);
    }
    assert_int_equal(lossfn_unregister("acme.count"), LOSSFN_OK);
}

/* Registered names follow the built-in ones, in the order of their registration. */
static void test_names_in_order(void **unused) {
    const int32_t n = lossfn_count();
    lossfn_vtable_t v = elementwise();
    (void)unused;
    assert_int_equal(lossfn_register("acme.second", &v, NULL, NULL), LOSSFN_OK);
    assert_int_equal(lossfn_register("acme.first", &v, NULL, NULL), LOSSFN_OK);
    assert_int_equal(lossfn_count(), n + 2);
    assert_string_equal(lossfn_name_at(n), "acme.second");
    assert_string_equal(lossfn_name_at(n + 1), "acme.first");
    assert_null(lossfn_name_at(n + 2));
    assert_null(lossfn_name_at(n + 3));
    assert_int_equal(lossfn_unregister("acme.second"), LOSSFN_OK);
    assert_string_equal(lossfn_name_at(n), "acme.first");
    assert_int_equal(lossfn_unregister("acme.first"), LOSSFN_OK);
}

/* What other systems call a loss names ours; where it is another one here, that one. */
static void test_look_alikes(void **unused) {
    static const char *const names[][2] = {{"StudentT", "student_t_rho"},
                                           {"l2_loss", "half_squared_error"},
                                           {"L2Loss", "half_squared_error"},
                                           {"BinaryFocalCrossentropy", "sigmoid_focal"},
                                           {"LigerCrossEntropyLoss", "cross_entropy"},
                                           {"StudentTs", NULL},
                                           {"a longer name than any that another system has for a loss", NULL},
                                           {"Student", NULL}};
    (void)unused;
    for (size_t i = 0; i < COUNT(names); i++) {
        lossfn_info_t info = {.struct_size = sizeof info};
        const lossfn_status_t status = lossfn_describe(names[i][0], &info);
        assert_int_equal(status, names[i][1] ? LOSSFN_OK : LOSSFN_ERROR_NOT_FOUND);
        if (names[i][1]) assert_string_equal(info.name, names[i][1]);
    }
    for (int32_t i = 0; i < lossfn_count(); i++) { /* each line says of which system it is */
        lossfn_info_t info = {.struct_size = sizeof info};
        assert_int_equal(lossfn_describe(lossfn_name_at(i), &info), LOSSFN_OK);
        for (const char *at = info.look_alikes; *at; at += strcspn(at, "\n"), at += *at == '\n')
            assert_true(strstr(at, ": ") == at + strcspn(at, ":\n"));
    }
}

static void test_learnable(void **unused) {
    lossfn_input_info_t inputs[3] = {{.struct_size = sizeof *inputs, .name = "pred", .scale = LOSSFN_SCALE_REAL},
                                     {.struct_size = sizeof *inputs, .name = "target", .scale = LOSSFN_SCALE_REAL},
                                     {.struct_size = sizeof *inputs, .name = "alpha", .scale = 1, .learnable = 1}};
    lossfn_param_info_t param = {.struct_size = sizeof param,
                                 .name = "alpha",
                                 .type = LOSSFN_PARAM_DOUBLE,
                                 .default_value = "1",
                                 .learnable = 1};
    lossfn_vtable_t v = elementwise();
    lossfn_t *loss;
    char buf[64];
    (void)unused;
    v.inputs = inputs, v.n_inputs = 3, v.params = &param, v.n_params = 1;
    assert_int_equal(lossfn_register("acme.learn", &v, NULL, NULL), LOSSFN_OK);
    assert_int_equal(lossfn_create(&loss, "acme.learn(alpha=1)"), LOSSFN_OK);
    lossfn_spec(loss, buf, sizeof buf);
    assert_string_equal(buf, "acme.learn(alpha=1)");
    assert_true(loss->terms[0].values[0].is_set);
    lossfn_destroy(loss);
    assert_int_equal(lossfn_unregister("acme.learn"), LOSSFN_OK);
}

static void test_defaults_by_slot(void **unused) {
    lossfn_vtable_t v = elementwise();
    lossfn_input_info_t input = {.struct_size = sizeof input};
    lossfn_t *loss;
    (void)unused;
    v.elementwise = NULL, v.rowwise = kernel, v.flags = LOSSFN_VTABLE_GRAD | LOSSFN_VTABLE_LABELS;
    assert_int_equal(lossfn_register("acme.row", &v, NULL, NULL), LOSSFN_OK);
    assert_int_equal(lossfn_describe_input("acme.row", 1, &input), LOSSFN_OK);
    assert_int_equal(input.scale, LOSSFN_SCALE_LABEL);
    assert_int_equal(lossfn_create(&loss, "acme.row(ignore_index=-1)"), LOSSFN_OK);
    assert_int_equal(lossfn_unit(loss), LOSSFN_UNIT_ROW);
    lossfn_destroy(loss);
    lossfn_unregister("acme.row");
    v.rowwise = NULL, v.run = whole, v.flags = 0;
    assert_int_equal(lossfn_register("acme.whole", &v, NULL, NULL), LOSSFN_OK);
    assert_error(lossfn_create(&loss, "acme.whole + mse"), LOSSFN_ERROR_UNSUPPORTED,
                 "acme.whole cannot be part of a sum: its vtable runs everything itself");
    lossfn_unregister("acme.whole");
    assert_int_equal(lossfn__allocations(), 0);
}

static void test_anonymous(void **unused) {
    lossfn_vtable_t v = elementwise();
    lossfn_param_info_t param = {
        .struct_size = sizeof param, .name = "gamma", .type = LOSSFN_PARAM_DOUBLE, .default_value = "2"};
    atomic_int destroyed = 0;
    lossfn_options_t *options;
    lossfn_t *loss = NULL;
    char buf[64];
    (void)unused;
    v.params = &param, v.n_params = 1;
    lossfn_options_create(&options);
    lossfn_options_set_double(options, "gamma", 3);
    assert_int_equal(lossfn_create_custom(&loss, &v, &destroyed, count, options), LOSSFN_OK);
    lossfn_spec(loss, buf, sizeof buf);
    assert_string_equal(buf, "custom(gamma=3)");
    assert_string_equal(lossfn_name(loss), "custom");
    lossfn_destroy(loss);
    assert_int_equal(destroyed, 1);
    lossfn_options_set_double(options, "gama", 3);
    loss = NULL;
    assert_error(lossfn_create_custom(&loss, &v, &destroyed, count, options), LOSSFN_ERROR_NOT_FOUND,
                 "custom has no parameter 'gama'; the nearest is 'gamma'");
    assert_int_equal(destroyed, 2);
    assert_null(loss);
    assert_error(lossfn_create_custom(NULL, &v, &destroyed, count, NULL), LOSSFN_ERROR_ARGUMENT, "out is NULL");
    assert_int_equal(destroyed, 3);
    lossfn_options_destroy(options);
    assert_int_equal(lossfn__allocations(), 0);
}

/* ---- Threads ----------------------------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 400 };
static atomic_int made, gone;

static void *work(void *unused) {
    lossfn_vtable_t v = elementwise();
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        lossfn_t *loss = NULL;
        lossfn_info_t info = {.struct_size = sizeof info};
        atomic_fetch_add(&made, 1); /* destroyed in the end, whether it was registered or not */
        lossfn_register("acme.shared", &v, &gone, count);
        if (lossfn_create(&loss, "acme.shared + 0.5*mse") == LOSSFN_OK) {
            lossfn_retain(loss);
            lossfn_destroy(loss);
        }
        lossfn_describe("acme.share", &info); /* a near miss looks at all names */
        lossfn_count();
        if (i % 3 == 0) lossfn_unregister("acme.shared");
        lossfn_destroy(loss);
    }
    return NULL;
}

static void test_threads(void **unused) {
    pthread_t threads[THREADS];
    (void)unused;
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, work, NULL), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    lossfn_unregister("acme.shared");
    assert_int_equal(made, THREADS * ROUNDS);
    assert_int_equal(gone, made);
    assert_int_equal(lossfn__allocations(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lifetime),         cmocka_unit_test(test_bad_names),
        cmocka_unit_test(test_bad_vtables),      cmocka_unit_test(test_bad_params),
        cmocka_unit_test(test_bad_inputs),       cmocka_unit_test(test_good_descriptions),
        cmocka_unit_test(test_all_is_copied),    cmocka_unit_test(test_learnable),
        cmocka_unit_test(test_defaults_by_slot), cmocka_unit_test(test_anonymous),
        cmocka_unit_test(test_bounds),           cmocka_unit_test(test_large_integers),
        cmocka_unit_test(test_names_in_order),   cmocka_unit_test(test_look_alikes),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
