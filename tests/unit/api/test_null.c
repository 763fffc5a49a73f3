/* SPDX-License-Identifier: MIT
 * Every pointer of every function as NULL: where it must not be, the call fails with ARGUMENT and a message that names
 * it, and writes nothing; where it may be, the call does what the header says. A function that is in neither list fails
 * the test. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "lossfn/extend.h"
#include "lossfn/lossfn.h"

enum { N = 3, MANY = 400, LONGEST = 64 };

/* Whatever a call could write to. */
static struct {
    double value, denominator, numbers[3 * N], out[3 * N];
    float singles[N], grads[N];
    int64_t length, shape[LOSSFN_MAX_DIMS];
    int32_t ndim;
    uint32_t notes;
    char text[100];
    lossfn_t *loss;
    lossfn_options_t *options;
    lossfn_accumulator_t *accumulator;
    lossfn_info_t info;
    lossfn_input_info_t input;
    lossfn_param_info_t param;
    lossfn_recommendation_t recommendation;
    lossfn_gradient_report_t report;
    lossfn_tensor_t tensor;
} at, before;

static char tried[MANY][LONGEST]; /* functions */
static int n_tried, n_refused;

/* The function of the text of a call, which begins with its name. */
static void note(const char *call) {
    size_t length = strcspn(call, "(");
    assert_true(length < LONGEST && n_tried < MANY);
    memcpy(tried[n_tried], call, length);
    tried[n_tried++][length] = 0;
}

static void refused(const char *call, const char *argument, lossfn_status_t status) {
    note(call);
    n_refused++;
    if (status != LOSSFN_ERROR_ARGUMENT) fail_msg("%s: %s", call, lossfn_status_name(status));
    const char *named = strstr(lossfn_last_error(), argument);
    if (!named || !strstr(named, "is NULL")) fail_msg("%s: '%s'", call, lossfn_last_error());
    if (memcmp(&at, &before, sizeof at) != 0) fail_msg("%s wrote something", call);
}
#define REFUSED(argument, call) refused(#call, argument, call)
#define ALLOWED(call)           (note(#call), (call))

static lossfn_t *loss;
static lossfn_options_t *options;
static lossfn_accumulator_t *accumulator;
static lossfn_tensor_t pred, target, grad;
static lossfn_args_t args, no_input, no_values;
static const int64_t shape[] = {N}, strides[] = {8};
static const float ones[N] = {1, 1, 1};

static int set_up(void **unused) {
    (void)unused;
    memset(&at, 0x5A, sizeof at);
    for (int i = 0; i < 3 * N; i++) at.numbers[i] = at.out[i] = 0.5;
    at.info.struct_size = sizeof at.info;
    at.input.struct_size = sizeof at.input;
    at.param.struct_size = sizeof at.param;
    at.recommendation.struct_size = sizeof at.recommendation;
    at.report.struct_size = sizeof at.report;
    memcpy(&before, &at, sizeof at);
    if (lossfn_create(&loss, "huber") || lossfn_options_create(&options)) return 1;
    if (lossfn_accumulator_create(&accumulator, loss)) return 1;
    if (lossfn_tensor_init_const(&pred, at.numbers, LOSSFN_F64, 1, shape)) return 1;
    if (lossfn_tensor_init_const(&target, at.numbers, LOSSFN_F64, 1, shape)) return 1;
    if (lossfn_tensor_init(&grad, at.out, LOSSFN_F64, 1, shape)) return 1;
    lossfn_args_init(&args);
    args.n_inputs = 2;
    args.inputs[0] = &pred, args.inputs[1] = &target;
    args.value = &at.value;
    no_input = no_values = args;
    no_input.inputs[0] = NULL;
    no_values.value = NULL;
    return 0;
}

static int tear_down(void **unused) {
    (void)unused;
    lossfn_accumulator_destroy(accumulator);
    lossfn_options_destroy(options);
    lossfn_destroy(loss);
    return 0;
}

static void handles(void **unused) {
    (void)unused;
    REFUSED("out", lossfn_create(NULL, "mse"));
    REFUSED("spec", lossfn_create(&at.loss, NULL));
    REFUSED("out", lossfn_create_msg(NULL, "mse", NULL, 0));
    REFUSED("spec", lossfn_create_msg(&at.loss, NULL, NULL, 0));
    REFUSED("out", lossfn_create_options(NULL, "mse", options));
    REFUSED("spec", lossfn_create_options(&at.loss, NULL, options));
    REFUSED("out", lossfn_replace(NULL, loss, options));
    REFUSED("loss", lossfn_replace(&at.loss, NULL, options));
    REFUSED("loss", lossfn_get_double(NULL, "delta", &at.value));
    REFUSED("key", lossfn_get_double(loss, NULL, &at.value));
    REFUSED("out", lossfn_get_double(loss, "delta", NULL));
    REFUSED("loss", lossfn_get_text(NULL, "delta", at.text, 100, &at.length));
    REFUSED("key", lossfn_get_text(loss, NULL, at.text, 100, &at.length));
    REFUSED("out", lossfn_options_create(NULL));
    REFUSED("options", lossfn_options_set_double(NULL, "delta", 1));
    REFUSED("key", lossfn_options_set_double(options, NULL, 1));
    REFUSED("options", lossfn_options_set_int(NULL, "delta", 1));
    REFUSED("key", lossfn_options_set_int(options, NULL, 1));
    REFUSED("options", lossfn_options_set_bool(NULL, "delta", 1));
    REFUSED("key", lossfn_options_set_bool(options, NULL, 1));
    REFUSED("options", lossfn_options_set_string(NULL, "delta", "1"));
    REFUSED("key", lossfn_options_set_string(options, NULL, "1"));
    REFUSED("value", lossfn_options_set_string(options, "delta", NULL));
    REFUSED("options", lossfn_options_set_doubles(NULL, "delta", at.numbers, 1));
    REFUSED("key", lossfn_options_set_doubles(options, NULL, at.numbers, 1));
    REFUSED("values", lossfn_options_set_doubles(options, "delta", NULL, 1));
    REFUSED("options", lossfn_options_set_default(NULL, "delta"));
    REFUSED("key", lossfn_options_set_default(options, NULL));
}

static void tensors(void **unused) {
    (void)unused;
    REFUSED("tensor", lossfn_tensor_init(NULL, at.out, LOSSFN_F64, 1, shape));
    REFUSED("shape", lossfn_tensor_init(&at.tensor, at.out, LOSSFN_F64, 1, NULL));
    REFUSED("tensor", lossfn_tensor_init_const(NULL, at.out, LOSSFN_F64, 1, shape));
    REFUSED("shape", lossfn_tensor_init_const(&at.tensor, at.out, LOSSFN_F64, 1, NULL));
    REFUSED("tensor", lossfn_tensor_init_strided(NULL, at.out, LOSSFN_F64, 1, shape, strides, 0));
    REFUSED("shape", lossfn_tensor_init_strided(&at.tensor, at.out, LOSSFN_F64, 1, NULL, strides, 0));
    REFUSED("strides", lossfn_tensor_init_strided(&at.tensor, at.out, LOSSFN_F64, 1, shape, NULL, 0));
}

static void computing(void **unused) {
    (void)unused;
    REFUSED("loss", lossfn_run(NULL, &args));
    REFUSED("args", lossfn_run(loss, NULL));
    REFUSED("pred", lossfn_run(loss, &no_input));
    REFUSED("loss", lossfn_forward(NULL, &pred, &target, NULL, &at.value, NULL));
    REFUSED("pred", lossfn_forward(loss, NULL, &target, NULL, &at.value, NULL));
    REFUSED("value", lossfn_forward(loss, &pred, &target, NULL, NULL, NULL));
    REFUSED("loss", lossfn_backward(NULL, &pred, &target, NULL, &grad, NULL));
    REFUSED("pred", lossfn_backward(loss, NULL, &target, NULL, &grad, NULL));
    REFUSED("grad_pred", lossfn_backward(loss, &pred, &target, NULL, NULL, NULL));
    REFUSED("loss", lossfn_forward_backward(NULL, &pred, &target, NULL, &at.value, &grad, NULL));
    REFUSED("pred", lossfn_forward_backward(loss, NULL, &target, NULL, &at.value, &grad, NULL));
    REFUSED("value", lossfn_forward_backward(loss, &pred, &target, NULL, NULL, &grad, NULL));
    REFUSED("grad_pred", lossfn_forward_backward(loss, &pred, &target, NULL, &at.value, NULL, NULL));
    REFUSED("loss", lossfn_values_shape(NULL, &pred, &at.ndim, at.shape));
    REFUSED("pred", lossfn_values_shape(loss, NULL, &at.ndim, at.shape));
    REFUSED("ndim", lossfn_values_shape(loss, &pred, NULL, at.shape));
    REFUSED("shape", lossfn_values_shape(loss, &pred, &at.ndim, NULL));
    REFUSED("loss", lossfn_check(NULL, &args, at.text, 100, &at.length));
    REFUSED("args", lossfn_check(loss, NULL, at.text, 100, &at.length));
    REFUSED("pred", lossfn_check(loss, &no_input, at.text, 100, &at.length));
    REFUSED("buf", lossfn_check(loss, &args, NULL, 100, &at.length));
    REFUSED("length", lossfn_check(loss, &args, at.text, 100, NULL));
    REFUSED("loss", lossfn_check_gradient(NULL, &args, &at.report));
    REFUSED("args", lossfn_check_gradient(loss, NULL, &at.report));
    REFUSED("pred", lossfn_check_gradient(loss, &no_input, &at.report));
    REFUSED("report", lossfn_check_gradient(loss, &args, NULL));
    REFUSED("loss", lossfn_init_score(NULL, &args, &at.value));
    REFUSED("args", lossfn_init_score(loss, NULL, &at.value));
    REFUSED("pred", lossfn_init_score(loss, &no_input, &at.value));
    REFUSED("out", lossfn_init_score(loss, &args, NULL));
    REFUSED("loss", lossfn_minimum(NULL, &args));
    REFUSED("args", lossfn_minimum(loss, NULL));
    REFUSED("values", lossfn_minimum(loss, &no_values));
}

/* Arrays without a descriptor: n rows of one. */
static void flat(void **unused) {
    (void)unused;
    const float *const p = at.singles;
    float *const out = at.grads;
    REFUSED("loss", lossfn_run_f32(NULL, N, 1, p, p, LOSSFN_F32, NULL, 0, NULL, 0, &at.value, NULL, 0, out, NULL));
    REFUSED("pred", lossfn_run_f32(loss, N, 1, NULL, p, LOSSFN_F32, NULL, 0, NULL, 0, &at.value, NULL, 0, out, NULL));
    REFUSED("target", lossfn_run_f32(loss, N, 1, p, NULL, LOSSFN_F32, NULL, 0, NULL, 0, &at.value, NULL, 0, out, NULL));
    REFUSED("weight", lossfn_run_f32(loss, N, 1, p, p, LOSSFN_F32, NULL, N, NULL, 0, &at.value, NULL, 0, out, NULL));
    REFUSED("mask", lossfn_run_f32(loss, N, 1, p, p, LOSSFN_F32, ones, N, NULL, N, &at.value, NULL, 0, out, NULL));
    REFUSED("values", lossfn_run_f32(loss, N, 1, p, p, LOSSFN_F32, ones, N, NULL, 0, &at.value, NULL, N, out, NULL));
    const double *const q = at.numbers;
    REFUSED("loss", lossfn_run_f64(NULL, N, 1, q, q, LOSSFN_F64, NULL, 0, NULL, 0, NULL, NULL, 0, at.out, NULL));
    REFUSED("pred", lossfn_run_f64(loss, N, 1, NULL, q, LOSSFN_F64, NULL, 0, NULL, 0, NULL, NULL, 0, at.out, NULL));
    REFUSED("target", lossfn_run_f64(loss, N, 1, q, NULL, LOSSFN_F64, NULL, 0, NULL, 0, NULL, NULL, 0, at.out, NULL));
    REFUSED("weight", lossfn_run_f64(loss, N, 1, q, q, LOSSFN_F64, NULL, 1, NULL, 0, NULL, NULL, 0, at.out, NULL));
    REFUSED("mask", lossfn_run_f64(loss, N, 1, q, q, LOSSFN_F64, NULL, 0, NULL, 1, NULL, NULL, 0, at.out, NULL));
    REFUSED("values", lossfn_run_f64(loss, N, 1, q, q, LOSSFN_F64, NULL, 0, NULL, 0, NULL, NULL, N, at.out, NULL));
}

static void solvers(void **unused) {
    (void)unused;
    double rho[3] = {0};
    REFUSED("loss", lossfn_rho_batch(NULL, 1, at.numbers, at.out));
    REFUSED("s", lossfn_rho_batch(loss, 1, NULL, at.out));
    REFUSED("out", lossfn_rho_batch(loss, 1, at.numbers, NULL));
    REFUSED("loss", lossfn_irls_weight(NULL, 1, at.numbers, at.out));
    REFUSED("residual", lossfn_irls_weight(loss, 1, NULL, at.out));
    REFUSED("out", lossfn_irls_weight(loss, 1, at.numbers, NULL));
    REFUSED("loss", lossfn_link_apply(NULL, 1, 1, at.numbers, at.out));
    REFUSED("mean", lossfn_link_apply(loss, 1, 1, NULL, at.out));
    REFUSED("pred", lossfn_link_apply(loss, 1, 1, at.numbers, NULL));
    REFUSED("loss", lossfn_link_invert(NULL, 1, 1, at.numbers, at.out));
    REFUSED("pred", lossfn_link_invert(loss, 1, 1, NULL, at.out));
    REFUSED("mean", lossfn_link_invert(loss, 1, 1, at.numbers, NULL));
    ALLOWED(lossfn_rho(NULL, 1, rho));
    assert_true(isnan(rho[0]) && isnan(rho[1]) && isnan(rho[2]));
    rho[0] = 0;
    ALLOWED(lossfn_rho_compose(NULL, loss, 1, rho));
    assert_true(isnan(rho[0]));
    rho[0] = 0;
    ALLOWED(lossfn_rho_compose(loss, NULL, 1, rho));
    assert_true(isnan(rho[0]));
    lossfn_rho(loss, 1, NULL);
    lossfn_rho_compose(loss, loss, 1, NULL);
    assert_int_equal(ALLOWED(lossfn_has_rho(NULL)), 0);
    assert_null(ALLOWED(lossfn_link(NULL)));
}

static void accumulators(void **unused) {
    (void)unused;
    REFUSED("out", lossfn_accumulator_create(NULL, loss));
    REFUSED("loss", lossfn_accumulator_create(&at.accumulator, NULL));
    REFUSED("accumulator", lossfn_accumulator_update(NULL, &args));
    REFUSED("args", lossfn_accumulator_update(accumulator, NULL));
    REFUSED("pred", lossfn_accumulator_update(accumulator, &no_input));
    REFUSED("accumulator", lossfn_accumulator_merge(NULL, accumulator));
    REFUSED("other", lossfn_accumulator_merge(accumulator, NULL));
    REFUSED("accumulator", lossfn_accumulator_value(NULL, &at.value, &at.notes));
    REFUSED("value", lossfn_accumulator_value(accumulator, NULL, &at.notes));
    REFUSED("accumulator", lossfn_accumulator_parts(NULL, 0, &at.value, &at.denominator));
    REFUSED("accumulator", lossfn_accumulator_write(NULL, at.text, 100, &at.length));
    REFUSED("buf", lossfn_accumulator_write(accumulator, NULL, 100, &at.length));
    REFUSED("length", lossfn_accumulator_write(accumulator, at.text, 100, NULL));
    REFUSED("out", lossfn_accumulator_read(NULL, at.text, 100));
    REFUSED("buf", lossfn_accumulator_read(&at.accumulator, NULL, 100));
    ALLOWED(lossfn_accumulator_destroy(NULL));
    ALLOWED(lossfn_accumulator_reset(NULL));
    double value;
    assert_int_equal(lossfn_accumulator_value(accumulator, &value, NULL), LOSSFN_OK);
    assert_int_equal(lossfn_accumulator_parts(accumulator, 0, NULL, NULL), LOSSFN_OK);
}

static void catalogue(void **unused) {
    (void)unused;
    REFUSED("name", lossfn_describe(NULL, &at.info));
    REFUSED("info", lossfn_describe("huber", NULL));
    REFUSED("name", lossfn_describe_input(NULL, 0, &at.input));
    REFUSED("info", lossfn_describe_input("huber", 0, NULL));
    REFUSED("name", lossfn_describe_param(NULL, 0, &at.param));
    REFUSED("info", lossfn_describe_param("huber", 0, NULL));
    REFUSED("task", lossfn_recommend(NULL, 0, 0, &at.recommendation));
    REFUSED("recommendation", lossfn_recommend(lossfn_task_at(0), 0, 0, NULL));
}

static int destroyed;
static void destroy(void *user_data) {
    (void)user_data;
    destroyed++;
}
static lossfn_status_t fails_silently(const lossfn_block_t *block) {
    return lossfn_call_fail(block->call, LOSSFN_ERROR_DOMAIN, NULL);
}

static void registration(void **unused) {
    (void)unused;
    lossfn_vtable_t table;
    lossfn_t *custom = NULL;
    lossfn_vtable_init(&table);
    table.elementwise = fails_silently;
    REFUSED("name", lossfn_register(NULL, &table, NULL, destroy));
    REFUSED("vtable", lossfn_register("acme.null", NULL, NULL, destroy));
    REFUSED("out", lossfn_create_custom(NULL, &table, NULL, destroy, NULL));
    REFUSED("vtable", lossfn_create_custom(&at.loss, NULL, NULL, destroy, NULL));
    assert_int_equal(destroyed, 4);
    REFUSED("name", lossfn_register(NULL, &table, NULL, NULL));
    REFUSED("name", lossfn_unregister(NULL));
    assert_int_equal(ALLOWED(lossfn_call_fail(NULL, LOSSFN_ERROR_DOMAIN, "no")), LOSSFN_ERROR_DOMAIN);
    assert_int_equal(lossfn_create_custom(&custom, &table, NULL, NULL, NULL), LOSSFN_OK);
    assert_int_equal(lossfn_run(custom, &args), LOSSFN_ERROR_DOMAIN);
    lossfn_destroy(custom);
    ALLOWED(lossfn_vtable_init(NULL));
}

static void what_may_be_null(void **unused) {
    (void)unused;
    ALLOWED(lossfn_destroy(NULL));
    ALLOWED(lossfn_options_destroy(NULL));
    ALLOWED(lossfn_args_init(NULL));
    ALLOWED(lossfn_exec_init(NULL));
    assert_null(ALLOWED(lossfn_retain(NULL)));
    assert_null(ALLOWED(lossfn_name(NULL)));
    assert_int_equal(ALLOWED(lossfn_unit(NULL)), 0);
    assert_int_equal(ALLOWED(lossfn_input_count(NULL)), 0);
    assert_null(ALLOWED(lossfn_input_name(NULL, 0)));
    assert_int_equal(ALLOWED(lossfn_component_count(NULL)), 0);
    assert_null(ALLOWED(lossfn_component_name(NULL, 0)));
    assert_true(isnan(ALLOWED(lossfn_component_coefficient(NULL, 0))));
    assert_int_equal(ALLOWED(lossfn_scratch_size(NULL, &args)), 0);
    assert_int_equal(ALLOWED(lossfn_scratch_size(loss, NULL)), 0);
    char text[4] = "abc";
    assert_int_equal(ALLOWED(lossfn_spec(NULL, text, sizeof text)), 0);
    assert_string_equal(text, "");
    assert_int_equal(ALLOWED(lossfn_get_text(loss, "delta", NULL, 0, NULL)), LOSSFN_OK);
    assert_int_equal(ALLOWED(lossfn_tensor_init(&grad, NULL, LOSSFN_F64, 0, NULL)), LOSSFN_OK);
}

static void *take(void *user, uint64_t size) {
    (void)user;
    return malloc((size_t)size);
}

/* With handles alive it is refused; what it does otherwise is in test_memory.c. */
static void allocator(void **unused) {
    (void)unused;
    lossfn_allocator_t none = {.struct_size = sizeof none};
    note("lossfn_set_allocator");
    assert_int_equal(lossfn_set_allocator(&none), LOSSFN_ERROR_ARGUMENT);
    assert_non_null(strstr(lossfn_last_error(), "allocator has no alloc"));
    none.alloc = take;
    assert_int_equal(lossfn_set_allocator(&none), LOSSFN_ERROR_ARGUMENT);
    assert_non_null(strstr(lossfn_last_error(), "allocator has no free"));
    assert_int_equal(lossfn_set_allocator(NULL), LOSSFN_ERROR_ARGUMENT);
}

static int by_name(const void *a, const void *b) { return strcmp(a, b); }

/* The list of what the library exports is complete; symbols of it that take no pointer are named here. */
static void every_function(void **unused) {
    (void)unused;
    static const char *const without[] = {"lossfn_abi_version",     "lossfn_common_option_count",
                                          "lossfn_count",           "lossfn_dtype_name",
                                          "lossfn_dtype_size",      "lossfn_isa",
                                          "lossfn_isa_at",          "lossfn_last_error",
                                          "lossfn_name_at",         "lossfn_num_threads",
                                          "lossfn_set_num_threads", "lossfn_status_name",
                                          "lossfn_status_text",     "lossfn_task_at",
                                          "lossfn_threads_start",   "lossfn_threads_stop",
                                          "lossfn_version",         "lossfn_version_string"};
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) note(without[i]);
    qsort(tried, (size_t)n_tried, sizeof *tried, by_name);
    FILE *symbols = fopen(LOSSFN_TEST_DIR "/../cmake/lossfn.symbols", "r");
    assert_non_null(symbols);
    char name[LONGEST];
    int listed = 0;
    for (; fscanf(symbols, "%63s", name) == 1; listed++)
        if (!bsearch(name, tried, (size_t)n_tried, sizeof *tried, by_name)) fail_msg("%s is never given NULL", name);
    fclose(symbols);
    assert_true(listed > 80);
    print_message("%d functions, %d calls refused\n", listed, n_refused);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handles),   cmocka_unit_test(tensors),        cmocka_unit_test(computing),
        cmocka_unit_test(flat),      cmocka_unit_test(solvers),        cmocka_unit_test(accumulators),
        cmocka_unit_test(catalogue), cmocka_unit_test(registration),   cmocka_unit_test(what_may_be_null),
        cmocka_unit_test(allocator), cmocka_unit_test(every_function),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
