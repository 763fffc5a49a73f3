/* SPDX-License-Identifier: MIT
 * Handles, the options builder, and what losses say of themselves. Compiled as unit.h says. */
#include "unit.h"
#include "core/handle.h"
#include "core/memory.h"
#include <stdio.h>
#include <string.h>

static lossfn_t *create(const char *spec) {
    lossfn_t *loss = NULL;
    if (lossfn_create(&loss, spec) != LOSSFN_OK) fail_msg("%s: %s", spec, lossfn_last_error());
    return loss;
}

static void assert_error(lossfn_status_t status, lossfn_status_t wanted, const char *message) {
    assert_string_equal(lossfn_last_error(), message);
    assert_int_equal(status, wanted);
}

static void test_references(void **unused) {
    lossfn_t *loss = create("huber");
    (void)unused;
    assert_int_equal(lossfn__allocations(), 1);
    assert_ptr_equal(lossfn_retain(loss), loss);
    lossfn_destroy(loss);
    assert_string_equal(lossfn_name(loss), "huber");
    lossfn_destroy(loss);
    lossfn_destroy(NULL);
    assert_null(lossfn_retain(NULL));
    assert_int_equal(lossfn__allocations(), 0);
}

static void test_what_the_engine_reads(void **unused) {
    lossfn_t *loss = create("2*cross_entropy(class_weight=[1,2,.5], base=2, reduction=mean_rows, axis=1, "
                            "ignore_index=-100, label_base=1, nan_policy=error, domain=error, empty=zero) - entropy");
    const lossfn__term_t *term = &loss->terms[0];
    (void)unused;
    assert_int_equal(loss->n_terms, 2);
    assert_true(term->coefficient == 2 && loss->terms[1].coefficient == -1);
    assert_true(term->class_weight >= 0 && term->labels == -1);
    assert_int_equal(term->values[term->class_weight].count, 3);
    assert_true(term->values[term->class_weight].list[2] == 0.5);
    assert_true(term->params[0] == 2 && term->params[term->class_weight] == 0);
    assert_int_equal(loss->reduction, LOSSFN__MEAN_ROWS);
    assert_int_equal(loss->axis, 1);
    assert_true(loss->has_ignore_index && loss->ignore_index == -100 && loss->label_base == 1);
    assert_int_equal(loss->nan_policy, LOSSFN__NAN_ERROR);
    assert_true(loss->domain_error && loss->empty_zero);
    assert_true(loss->common_set[0] && loss->common_set[6]);
    assert_int_equal(loss->n_inputs, 2);
    assert_int_equal(loss->unit, LOSSFN_UNIT_ROW);
    lossfn_destroy(loss);
    loss = create("huber(delta=3)");
    assert_true(loss->terms[0].constants[0] == 3);
    assert_true(loss->terms[0].values[0].is_set && !loss->common_set[0]);
    lossfn_destroy(loss);
    loss = create("entropy + bce_with_logits");
    assert_int_equal(loss->n_inputs, 3); /* of the term that declares most */
    assert_string_equal(lossfn_input_name(loss, 2), "pos_weight");
    lossfn_destroy(loss);
}

static void test_getters(void **unused) {
    lossfn_t *sum = create("0.7*bce_with_logits - 0.01*entropy"), *one = create("huber");
    (void)unused;
    assert_string_equal(lossfn_name(sum), "sum");
    assert_int_equal(lossfn_component_count(sum), 2);
    assert_true(lossfn_component_coefficient(sum, 1) == -0.01);
    assert_true(lossfn_component_coefficient(sum, 2) != lossfn_component_coefficient(sum, 2));
    assert_string_equal(lossfn_component_name(sum, 1), "entropy");
    assert_null(lossfn_component_name(sum, -1));
    assert_int_equal(lossfn_input_count(one), 2);
    assert_string_equal(lossfn_input_name(one, 1), "target");
    assert_null(lossfn_input_name(one, 2));
    assert_int_equal(lossfn_unit(one), LOSSFN_UNIT_ELEMENT);
    assert_null(lossfn_name(NULL));
    assert_int_equal(lossfn_spec(NULL, NULL, 0), 0);
    lossfn_destroy(sum);
    lossfn_destroy(one);
}

static void check_text(const lossfn_t *loss, const char *key, const char *wanted) {
    char buf[64];
    int64_t n = -1;
    assert_int_equal(lossfn_get_text(loss, key, buf, sizeof buf, &n), LOSSFN_OK);
    assert_string_equal(buf, wanted);
    assert_int_equal(n, strlen(wanted));
}

static void test_reading_back(void **unused) {
    lossfn_t *loss = create("cross_entropy(class_weight=[1,.5], base=2, reduction=sum)");
    lossfn_t *other = create("kl_div(log_pred=true) + entropy(base=10)");
    double x = 7;
    (void)unused;
    check_text(loss, "class_weight", "[1,0.5]");
    check_text(loss, "class_mask", "none");
    check_text(loss, "base", "2");
    check_text(loss, "reduction", "sum");
    check_text(loss, "ignore_index", "none");
    check_text(loss, "axis", "-1");
    check_text(other, "log_pred", "true");
    assert_int_equal(lossfn_get_double(loss, "base", &x), LOSSFN_OK);
    assert_true(x == 2);
    assert_int_equal(lossfn_get_double(loss, "axis", &x), LOSSFN_OK);
    assert_true(x == -1);
    assert_int_equal(lossfn_get_double(other, "log_pred", &x), LOSSFN_OK);
    assert_true(x == 1);
    assert_error(lossfn_get_double(loss, "class_weight", &x), LOSSFN_ERROR_PARAMETER,
                 "class_weight is a list, not a number");
    assert_error(lossfn_get_double(loss, "reduction", &x), LOSSFN_ERROR_PARAMETER, "reduction is a word, not a number");
    assert_error(lossfn_get_double(loss, "ignore_index", &x), LOSSFN_ERROR_PARAMETER,
                 "ignore_index is none, not a number");
    assert_error(lossfn_get_double(loss, "delta", &x), LOSSFN_ERROR_NOT_FOUND,
                 "cross_entropy has no parameter 'delta'");
    assert_error(lossfn_get_double(other, "base", &x), LOSSFN_ERROR_PARAMETER,
                 "base is a parameter of several terms of the sum");
    assert_error(lossfn_get_double(NULL, "base", &x), LOSSFN_ERROR_ARGUMENT, "loss is NULL");
    assert_true(x == 1);
    lossfn_destroy(loss);
    lossfn_destroy(other);
}

/* ---- Options ----------------------------------------------------------------------------------------------------- */

static void check_with(const char *spec, const lossfn_options_t *options, const char *wanted) {
    lossfn_t *loss = NULL;
    char buf[256];
    if (lossfn_create_options(&loss, spec, options) != LOSSFN_OK) fail_msg("%s", lossfn_last_error());
    lossfn_spec(loss, buf, sizeof buf);
    assert_string_equal(buf, wanted);
    lossfn_destroy(loss);
}

static void test_options(void **unused) {
    lossfn_options_t *options;
    double weights[] = {1, 2, 0.25};
    char key[] = "class_weight", word[] = "sum";
    (void)unused;
    assert_int_equal(lossfn_options_create(&options), LOSSFN_OK);
    check_with("mse", options, "mse");
    lossfn_options_set_doubles(options, key, weights, 3);
    lossfn_options_set_string(options, "reduction", word);
    lossfn_options_set_int(options, "ignore_index", -100);
    lossfn_options_set_double(options, "label_smoothing", 0.3);
    lossfn_options_set_double(options, "label_smoothing", 0.1);      /* the last counts */
    memset(weights, 0, sizeof weights), key[0] = 'x', word[0] = 'x'; /* all was copied */
    check_with("cross_entropy", options,
               "cross_entropy(class_weight=[1,2,0.25], label_smoothing=0.1, reduction=sum, ignore_index=-100)");
    check_with(
        "2*cross_entropy - entropy", options,
        "2*cross_entropy(class_weight=[1,2,0.25], label_smoothing=0.1, reduction=sum, ignore_index=-100) - entropy");
    lossfn_options_destroy(options);

    assert_int_equal(lossfn_options_create(&options), LOSSFN_OK);
    lossfn_options_set_bool(options, "log_pred", 1);
    lossfn_options_set_string(options, "base", " 2 ");
    lossfn_options_set_double(options, "axis", 1);
    check_with("kl_div(log_target=true)", options, "kl_div(base=2, log_pred=true, log_target=true, axis=1)");
    lossfn_options_destroy(options);

    assert_int_equal(lossfn_options_create(&options), LOSSFN_OK);
    lossfn_options_set_string(options, "class_weight", "[1, 2]");
    lossfn_options_set_string(options, "base", "e");
    check_with("cross_entropy", options, "cross_entropy(class_weight=[1,2])");
    lossfn_options_destroy(options);
    lossfn_options_destroy(NULL);
    assert_int_equal(lossfn__allocations(), 0);
}

static void check_option_error(const char *spec, const char *key, double value, lossfn_status_t wanted,
                               const char *message) {
    lossfn_options_t *options;
    lossfn_t *loss = NULL;
    lossfn_options_create(&options);
    lossfn_options_set_double(options, key, value);
    assert_error(lossfn_create_options(&loss, spec, options), wanted, message);
    assert_null(loss);
    lossfn_options_destroy(options);
}

/* A string is read as a spec reads it: a list when numbers alone stand in its brackets. */
static void test_lists_in_strings(void **unused) {
    static const char *const lists[][2] = {
        {"[1,2]", "[1,2]"}, {"\r\n[ 1 ,\t2\n]\r ", "[1,2]"}, {"[+.5, 1e1]", "[0.5,10]"}, {"[0]", "[0]"}};
    static const char *const none[] = {"[1, x]", "[x, 1]",  "[x]",     "[1,]", "[,1]", "[,]", "[1,,2]", "[1 2]",
                                       "[1;2]",  "[1e9e9]", "[1e400]", "1, 2", "[1",   "1]",  "["};
    lossfn_options_t *options;
    lossfn_t *loss = NULL;
    (void)unused;
    lossfn_options_create(&options);
    for (size_t i = 0; i < COUNT(lists); i++) {
        char wanted[64];
        snprintf(wanted, sizeof wanted, "cross_entropy(class_weight=%s)", lists[i][1]);
        lossfn_options_set_string(options, "class_weight", lists[i][0]);
        check_with("cross_entropy", options, wanted);
    }
    for (size_t i = 0; i < COUNT(none); i++) {
        char wanted[100];
        snprintf(wanted, sizeof wanted, "class_weight is '%s', must be a list of numbers, such as [1, 2]", none[i]);
        lossfn_options_set_string(options, "class_weight", none[i]);
        assert_error(lossfn_create_options(&loss, "cross_entropy", options), LOSSFN_ERROR_PARAMETER, wanted);
    }
    for (int i = 0; i < 2; i++) {
        lossfn_options_set_string(options, "class_weight", i ? " \t" : "");
        assert_error(lossfn_create_options(&loss, "cross_entropy", options), LOSSFN_ERROR_PARAMETER,
                     "class_weight is '', must be a list of numbers, such as [1, 2]");
        lossfn_options_set_string(options, "class_weight", i ? "[ ]" : "[]");
        assert_error(lossfn_create_options(&loss, "cross_entropy", options), LOSSFN_ERROR_PARAMETER,
                     "class_weight is an empty list");
    }
    assert_null(loss);
    lossfn_options_destroy(options);
}

/* What a message shows of a string is cut before a character, and of what is no UTF-8 nothing may be left. */
static void test_strings_in_messages(void **unused) {
    static const char *const strings[][2] = {
        {"abcdefghijklmnopqrstuvwxyzabcdefgh", "delta is 'abcdefghijklmnopqrstuvwxyzabcdef...', must be a number"},
        {"abcdefghijklmnopqrstuvwxyzabcd\xe2\x82\xac",
         "delta is 'abcdefghijklmnopqrstuvwxyzabcd...', must be a number"},
        {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"
         "\x80"
         "\x80\x80\x80\x80\x80\x80",
         "delta is '...', must be a number"}};
    lossfn_options_t *options;
    lossfn_t *loss = NULL;
    (void)unused;
    lossfn_options_create(&options);
    for (size_t i = 0; i < COUNT(strings); i++) {
        lossfn_options_set_string(options, "delta", strings[i][0]);
        assert_error(lossfn_create_options(&loss, "huber", options), LOSSFN_ERROR_PARAMETER, strings[i][1]);
    }
    lossfn_options_destroy(options);
}

static void test_option_errors(void **unused) {
    lossfn_options_t *options;
    lossfn_t *loss = NULL;
    double nan = 0;
    (void)unused;
    memset(&nan, 0xff, sizeof nan);
    check_option_error("huber", "delta", nan, LOSSFN_ERROR_PARAMETER, "delta is nan, must be > 0");
    check_option_error("huber", "delt", 1, LOSSFN_ERROR_NOT_FOUND,
                       "huber has no parameter 'delt'; the nearest is 'delta'");
    check_option_error("huber+mse", "delt", 1, LOSSFN_ERROR_NOT_FOUND,
                       "the sum has no parameter 'delt'; the nearest is 'delta'");
    check_option_error("huber(delta=1)", "delta", 1, LOSSFN_ERROR_PARAMETER,
                       "delta is given in the spec and in the options");
    check_option_error("mse(axis=1)", "axis", 1, LOSSFN_ERROR_PARAMETER,
                       "axis is given in the spec and in the options");
    check_option_error(
        "huber + 0.1*pseudo_huber", "delta", 1, LOSSFN_ERROR_PARAMETER,
        "option delta fits term 1 (huber) and term 2 (pseudo_huber) of the sum; it belongs into the spec");
    check_option_error("hinge", "labels", 1, LOSSFN_ERROR_PARAMETER, "labels is 1, must be one of: +-1, 01");
    check_option_error("mse", "reduction", 1, LOSSFN_ERROR_PARAMETER,
                       "reduction is 1, must be one of: mean, sum, none, mean_units, mean_all, mean_rows, per_row");
    lossfn_options_create(&options);
    assert_error(lossfn_options_set_double(NULL, "x", 1), LOSSFN_ERROR_ARGUMENT, "options is NULL");
    assert_error(lossfn_options_set_double(options, NULL, 1), LOSSFN_ERROR_ARGUMENT, "key is NULL");
    assert_error(lossfn_options_set_string(options, "x", NULL), LOSSFN_ERROR_ARGUMENT, "value is NULL");
    assert_error(lossfn_options_set_doubles(options, "x", NULL, 2), LOSSFN_ERROR_ARGUMENT, "values is NULL, n is 2");
    assert_error(lossfn_options_set_doubles(options, "x", &nan, -1), LOSSFN_ERROR_ARGUMENT, "n is -1, must be >= 0");
    lossfn_options_set_doubles(options, "class_weight", NULL, 0);
    assert_error(lossfn_create_options(&loss, "cross_entropy", options), LOSSFN_ERROR_PARAMETER,
                 "class_weight is an empty list");
    lossfn_options_destroy(options);
    assert_error(lossfn_options_create(NULL), LOSSFN_ERROR_ARGUMENT, "out is NULL");
}

static void check_error_of_replace(const char *spec, const lossfn_options_t *options, lossfn_status_t wanted,
                                   const char *message) {
    lossfn_t *loss = NULL, *other = NULL;
    assert_int_equal(lossfn_create(&loss, spec), LOSSFN_OK);
    assert_error(lossfn_replace(&other, loss, options), wanted, message);
    assert_null(other);
    lossfn_destroy(loss);
}

static void check_replaced(const char *spec, const lossfn_options_t *options, const char *wanted) {
    lossfn_t *loss = NULL, *other = NULL;
    char buf[256], before[256];
    if (lossfn_create(&loss, spec) != LOSSFN_OK) fail_msg("%s", lossfn_last_error());
    lossfn_spec(loss, before, sizeof before);
    if (lossfn_replace(&other, loss, options) != LOSSFN_OK) fail_msg("%s", lossfn_last_error());
    lossfn_spec(loss, buf, sizeof buf);
    assert_string_equal(buf, before);
    lossfn_destroy(loss);
    lossfn_spec(other, buf, sizeof buf); /* nothing of it belongs to the loss that is gone */
    assert_string_equal(buf, wanted);
    lossfn_destroy(other);
}

static void test_replace(void **unused) {
    lossfn_options_t *options;
    lossfn_t *loss = NULL, *other = NULL;
    const double weights[] = {0.5, 4};
    (void)unused;
    check_replaced("huber(delta=2, reduction=sum)", NULL, "huber(delta=2, reduction=sum)");
    check_replaced("cross_entropy(class_weight=[1,2,3]) - 2*entropy(base=2)", NULL,
                   "cross_entropy(class_weight=[1,2,3]) - 2*entropy(base=2)");
    lossfn_options_create(&options);
    lossfn_options_set_double(options, "delta", 3);
    lossfn_options_set_string(options, "reduction", "none");
    check_replaced("huber(delta=2, reduction=sum)", options, "huber(delta=3, reduction=none)");
    check_replaced("mse(reduction=sum) + 0.5*huber", options, "mse(reduction=none) + 0.5*huber(delta=3)");
    lossfn_options_set_default(options, "delta");
    lossfn_options_set_default(options, "reduction");
    check_replaced("huber(delta=2, reduction=sum)", options, "huber");
    check_with("huber", options, "huber");
    lossfn_options_destroy(options);

    lossfn_options_create(&options);
    lossfn_options_set_doubles(options, "class_weight", weights, 2);
    lossfn_options_set_default(options, "ignore_index");
    check_replaced("cross_entropy(class_weight=[1,2,3], ignore_index=-1)", options,
                   "cross_entropy(class_weight=[0.5,4])");
    lossfn_options_set_default(options, "class_weight");
    lossfn_options_set_int(options, "ignore_index", 7);
    check_replaced("cross_entropy(class_weight=[1,2,3], ignore_index=-1)", options, "cross_entropy(ignore_index=7)");
    lossfn_options_destroy(options);

    lossfn_options_create(&options);
    lossfn_options_set_default(options, "var");
    check_error_of_replace("mse", options, LOSSFN_ERROR_NOT_FOUND,
                           "mse has no parameter 'var'; it is an argument of the call");
    lossfn_options_destroy(options);
    lossfn_options_create(&options);
    lossfn_options_set_double(options, "delta", -1);
    check_error_of_replace("huber", options, LOSSFN_ERROR_PARAMETER, "delta is -1, must be > 0");
    check_error_of_replace("huber(delta=1) + pseudo_huber", options, LOSSFN_ERROR_PARAMETER,
                           "option delta fits term 1 (huber) and term 2 (pseudo_huber) of the sum; it belongs into "
                           "the spec");
    lossfn_options_destroy(options);
    assert_int_equal(lossfn_create(&loss, "mse"), LOSSFN_OK);
    assert_error(lossfn_replace(NULL, loss, NULL), LOSSFN_ERROR_ARGUMENT, "out is NULL");
    assert_error(lossfn_replace(&other, NULL, NULL), LOSSFN_ERROR_ARGUMENT, "loss is NULL");
    assert_error(lossfn_options_set_default(NULL, "x"), LOSSFN_ERROR_ARGUMENT, "options is NULL");
    lossfn_destroy(loss);
    assert_int_equal(lossfn__allocations(), 0);
}

/* ---- Description ------------------------------------------------------------------------------------------------- */

static void assert_tasks_exist(const char *listed) {
    char words[128], *rest = NULL;
    snprintf(words, sizeof words, "%s", listed);
    for (char *word = strtok_r(words, ", ", &rest); word; word = strtok_r(NULL, ", ", &rest)) {
        lossfn_recommendation_t r = {.struct_size = sizeof r};
        assert_int_equal(lossfn_recommend(word, 0, 0, &r), LOSSFN_OK);
    }
}

/* Every built-in loss is whole, and each of its parameters can be set to its default in a spec. */
static void test_catalogue_is_whole(void **unused) {
    (void)unused;
    assert_true(lossfn_count() >= lossfn__catalogue_size);
    assert_null(lossfn_name_at(-1));
    assert_null(lossfn_name_at(lossfn_count()));
    for (int32_t i = 0; i < lossfn__catalogue_size; i++) {
        lossfn_info_t info = {.struct_size = sizeof info};
        const char *name = lossfn_name_at(i);
        assert_int_equal(lossfn_describe(name, &info), LOSSFN_OK);
        assert_string_equal(info.name, name);
        assert_true(info.aliases && info.tasks && info.see_also && info.look_alikes && info.kinks);
        assert_true(*info.family && *info.summary && *info.formula && *info.latex && *info.source);
        assert_tasks_exist(info.tasks);
        assert_true(info.unit == LOSSFN_UNIT_ELEMENT || info.unit == LOSSFN_UNIT_ROW);
        for (int32_t k = 0; k < info.n_inputs; k++) {
            lossfn_input_info_t input = {.struct_size = sizeof input};
            assert_int_equal(lossfn_describe_input(name, k, &input), LOSSFN_OK);
            assert_true(*input.name && *input.doc && input.scale >= 1 && input.scale <= 8);
        }
        for (int32_t k = 0; k < info.n_params + lossfn_common_option_count(); k++) {
            lossfn_param_info_t param = {.struct_size = sizeof param};
            char spec[128];
            assert_int_equal(lossfn_describe_param(name, k, &param), LOSSFN_OK);
            assert_true(*param.name && *param.doc && param.type >= 1 && param.type <= 5);
            snprintf(spec, sizeof spec, "%s(%s=%s)", name, param.name, param.default_value);
            lossfn_destroy(create(spec));
        }
    }
}

static void test_see_also_exists(void **unused) {
    (void)unused;
    for (int32_t i = 0; i < lossfn__catalogue_size; i++) {
        char list[256], *at = list;
        snprintf(list, sizeof list, "%s", lossfn__catalogue[i]->see_also);
        for (char *word; *at; at += *at == ' ') {
            lossfn_info_t info = {.struct_size = sizeof info};
            word = at;
            at += strcspn(at, ",");
            if (*at) *at++ = 0;
            if (lossfn_describe(word, &info) != LOSSFN_OK)
                fail_msg("%s: %s", lossfn__catalogue[i]->name, lossfn_last_error());
        }
    }
}

static void test_describe_errors(void **unused) {
    lossfn_info_t info = {.struct_size = sizeof info}, old = {.struct_size = 16};
    lossfn_input_info_t input = {.struct_size = sizeof input};
    lossfn_param_info_t param = {.struct_size = sizeof param};
    (void)unused;
    assert_int_equal(lossfn_describe("l1", &info), LOSSFN_OK); /* an alias */
    assert_string_equal(info.name, "mae");
    assert_int_equal(lossfn_describe("mse", &old), LOSSFN_OK); /* an older caller's struct */
    assert_string_equal(old.name, "mse");
    assert_null(old.aliases);
    assert_int_equal(old.struct_size, 16);
    old.struct_size = 0;
    assert_int_equal(lossfn_describe("mse", &old), LOSSFN_ERROR_ARGUMENT);
    assert_error(lossfn_describe("mse", NULL), LOSSFN_ERROR_ARGUMENT, "info is NULL");
    assert_error(lossfn_describe(NULL, &info), LOSSFN_ERROR_ARGUMENT, "name is NULL");
    assert_error(lossfn_describe("hubr", &info), LOSSFN_ERROR_NOT_FOUND,
                 "no loss is named 'hubr'; the nearest is 'huber'");
    assert_error(lossfn_describe_input("mse", 2, &input), LOSSFN_ERROR_NOT_FOUND,
                 "mse has 2 inputs, asked for number 2");
    assert_error(lossfn_describe_param("mse", 7, &param), LOSSFN_ERROR_NOT_FOUND,
                 "mse has 0 parameters and 7 common options, asked for number 7");
}

/* ---- Recommendations --------------------------------------------------------------------------------------------- */

static const char *recommended(const char *task, uint32_t flags, int32_t i) {
    lossfn_recommendation_t r = {.struct_size = sizeof r};
    return lossfn_recommend(task, flags, i, &r) == LOSSFN_OK ? r.spec : "";
}

static void test_recommendations_begin_with_common_practice(void **unused) {
    (void)unused;
    assert_string_equal(recommended("regression", 0, 0), "mse");
    assert_string_equal(recommended("regression", 0, 1), "mae");
    assert_string_equal(recommended("binary", 0, 0), "binary_cross_entropy");
    assert_string_equal(recommended("binary", 0, 1), "bce_with_logits");
    assert_string_equal(recommended("multiclass", 0, 0), "categorical_cross_entropy");
    assert_string_equal(recommended("multiclass", 0, 1), "cross_entropy");
    assert_string_equal(recommended("regression", LOSSFN_DATA_OUTLIERS, 0), "huber(delta=1)");
    assert_string_equal(recommended("regression", LOSSFN_DATA_OUTLIERS, 1), "mae");
    assert_non_null(strstr(recommended("binary", LOSSFN_DATA_IMBALANCED, 0), "pos_weight"));
    assert_non_null(strstr(recommended("multiclass", LOSSFN_DATA_IMBALANCED, 0), "class_weight"));
    assert_non_null(strstr(recommended("multiclass", LOSSFN_DATA_NOISY_LABELS, 0), "label_smoothing"));
}

static void test_recommendations_are_whole(void **unused) {
    lossfn_recommendation_t r = {.struct_size = sizeof r};
    int32_t tasks = 0;
    (void)unused;
    for (; lossfn_task_at(tasks); tasks++)
        for (uint32_t flags = 0; flags < 8; flags++) {
            int32_t n = 0;
            for (; lossfn_recommend(lossfn_task_at(tasks), flags, n, &r) == LOSSFN_OK; n++) {
                assert_true(*r.activation && *r.why && *r.caution && *r.source);
                lossfn_destroy(create(r.spec));
                for (int32_t k = 0; k < n; k++)
                    assert_string_not_equal(recommended(lossfn_task_at(tasks), flags, k), r.spec);
            }
            assert_true(n >= 2);
        }
    assert_int_equal(tasks, 14);
    assert_null(lossfn_task_at(-1));
    assert_error(lossfn_recommend("clustering", 0, 0, &r), LOSSFN_ERROR_NOT_FOUND,
                 "no task is named 'clustering'; tasks: regression, quantile, counts, positive, binary, multiclass, "
                 "multilabel, ordinal, ranking, segmentation, metric, detection, survival, angles");
    assert_int_equal(lossfn_recommend("binary", 8, 0, &r), LOSSFN_ERROR_ARGUMENT);
    assert_int_equal(lossfn_recommend("binary", 0, -1, &r), LOSSFN_ERROR_NOT_FOUND);
    assert_int_equal(lossfn_recommend(NULL, 0, 0, &r), LOSSFN_ERROR_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_what_the_engine_reads),
        cmocka_unit_test(test_getters),
        cmocka_unit_test(test_reading_back),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_lists_in_strings),
        cmocka_unit_test(test_strings_in_messages),
        cmocka_unit_test(test_option_errors),
        cmocka_unit_test(test_replace),
        cmocka_unit_test(test_catalogue_is_whole),
        cmocka_unit_test(test_see_also_exists),
        cmocka_unit_test(test_describe_errors),
        cmocka_unit_test(test_recommendations_begin_with_common_practice),
        cmocka_unit_test(test_recommendations_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
