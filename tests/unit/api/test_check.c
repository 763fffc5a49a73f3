/* SPDX-License-Identifier: MIT
 * What lossfn_check finds, each finding once. */
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "lossfn/extend.h"
#include "lossfn/lossfn.h"

enum { ROWS = 3, COLS = 3, MANY = 40 };

typedef struct {
    double numbers[MANY];
    lossfn_tensor_t tensor;
} data_t;

static const lossfn_tensor_t *shaped(data_t *d, int32_t ndim, const int64_t *shape, const double *numbers) {
    int64_t count = 1;
    for (int32_t i = 0; i < ndim; i++) count *= shape[i];
    memcpy(d->numbers, numbers, (size_t)count * sizeof *numbers);
    assert_int_equal(lossfn_tensor_init_const(&d->tensor, d->numbers, LOSSFN_F64, ndim, shape), LOSSFN_OK);
    return &d->tensor;
}
static const lossfn_tensor_t *column(data_t *d, const double *numbers) {
    return shaped(d, 1, (const int64_t[]){ROWS}, numbers);
}
static const lossfn_tensor_t *matrix(data_t *d, const double *numbers) {
    return shaped(d, 2, (const int64_t[]){ROWS, COLS}, numbers);
}

/* What lossfn_check finds, a line for each. */
static void check(const char *spec, const lossfn_tensor_t *pred, const lossfn_tensor_t *target, char text[2000]) {
    int64_t length;
    lossfn_t *loss = NULL;
    lossfn_args_t args;
    assert_int_equal(lossfn_create(&loss, spec), LOSSFN_OK);
    lossfn_args_init(&args);
    args.n_inputs = 2;
    args.inputs[0] = pred, args.inputs[1] = target;
    assert_int_equal(lossfn_check(loss, &args, text, 2000, &length), LOSSFN_OK);
    lossfn_destroy(loss);
}
static void finds(const char *spec, const lossfn_tensor_t *pred, const lossfn_tensor_t *target, const char *what) {
    char text[2000];
    check(spec, pred, target, text);
    if (!what[0]) assert_string_equal(text, "");
    if (!strstr(text, what)) fail_msg("%s: '%s' is not in '%s'", spec, what, text);
}
static void silent(const char *spec, const lossfn_tensor_t *pred, const lossfn_tensor_t *target, const char *what) {
    char text[2000];
    check(spec, pred, target, text);
    if (strstr(text, what)) fail_msg("%s: '%s' is in '%s'", spec, what, text);
}

static data_t p, t;
static const double tame[] = {0.25, 0.5, 0.75}, bits[] = {0, 1, 1}, signs[] = {-1, 1, -1}, wide[] = {-2, 0.5, 3};
static const double counted[] = {1, 2, 3}, labels[] = {0, 2, 1};
/* Rows that sum to 1, columns that do, and neither. */
static const double by_rows[] = {0.2, 0.3, 0.5, 0.1, 0.1, 0.8, 0.6, 0.2, 0.2};
static const double by_columns[] = {0.2, 0.1, 0.6, 0.3, 0.1, 0.2, 0.5, 0.8, 0.2};
static const double logits[] = {-3, 0.3, 5, 1, 2, 8, -6, 2, 2}, logs[] = {-1, -2, -3, -1, -1, -1, -4, -1, -2};

static void nothing_to_find(void **unused) {
    (void)unused;
    finds("mse", column(&p, wide), column(&t, tame), "");
    finds("bce_with_logits", column(&p, wide), column(&t, bits), "");
    finds("cross_entropy", matrix(&p, logits), column(&t, labels), "");
    finds("categorical_cross_entropy", matrix(&p, by_rows), column(&t, labels), "");
}

static void logits_and_probabilities(void **unused) {
    (void)unused;
    finds("bce_with_logits", column(&p, tame), column(&t, bits), "these look like probabilities, bce_with_logits");
    finds("cross_entropy", matrix(&p, by_rows), column(&t, labels), "rows of pred sum to 1");
    finds("binary_cross_entropy", column(&p, wide), column(&t, bits), "2 values of pred lie outside [0, 1]");
    finds("binary_cross_entropy", column(&p, wide), column(&t, bits), "(bce_with_logits takes them)");
    finds("categorical_cross_entropy", matrix(&p, logits), column(&t, labels), "(cross_entropy takes them)");
    finds("kl_div", matrix(&p, logs), matrix(&t, by_rows), "(log_pred=true)");
    finds("categorical_cross_entropy", matrix(&p, by_columns), column(&t, labels),
          "rows of pred do not sum to 1 along axis");
    finds("categorical_cross_entropy", matrix(&p, by_columns), column(&t, labels), "they do along axis 0");
}

static void targets(void **unused) {
    (void)unused;
    finds("binary_cross_entropy", column(&p, bits), column(&t, tame), "swapped");
    finds("hinge", column(&p, bits), column(&t, wide), "swapped");
    finds("hinge", column(&p, wide), column(&t, bits), "hinge takes -1 and +1 (labels=01)");
    finds("hinge(labels=01)", column(&p, wide), column(&t, signs), "target holds -1 and +1, labels=01");
    finds("bce_with_logits", column(&p, wide), column(&t, signs), "(hinge takes -1 and +1)");
    finds("cross_entropy", matrix(&p, logits), column(&t, (const double[]){0, -100, 1}), "ignore_index=-100");
    finds("cross_entropy", matrix(&p, logits), column(&t, counted), "do they count from 1 (label_base=1)?");
    const int64_t turned[] = {COLS, 4};
    static const double twelve[12] = {1, -2};
    finds("cross_entropy", shaped(&p, 2, turned, twelve), shaped(&t, 1, turned + 1, (const double[]){0, 1, 2, 0}),
          "target fits pred with axis=0");
}

static void what_is_not_finite(void **unused) {
    (void)unused;
    const double odd[] = {NAN, INFINITY, 1};
    finds("mse", column(&p, odd), column(&t, tame), "pred has 1 NaN among 3 elements (nan_policy=ignore");
    finds("mse", column(&p, tame), column(&t, odd), "target has 1 infinite values");
}

static void deltas(void **unused) {
    (void)unused;
    const int64_t many[] = {MANY};
    double far[MANY], near[MANY];
    const double zeros[MANY] = {0};
    for (int i = 0; i < MANY; i++) far[i] = 50 + i, near[i] = 0.001 * i;
    finds("huber", shaped(&p, 1, many, far), shaped(&t, 1, many, zeros), "huber is linear there");
    finds("huber", shaped(&p, 1, many, near), shaped(&t, 1, many, zeros), "huber is the squared error here");
    finds("huber(delta=1)", shaped(&p, 1, many, near), shaped(&t, 1, many, zeros), "");
}

static void weights_and_masks(void **unused) {
    (void)unused;
    data_t w;
    char text[2000];
    int64_t length;
    lossfn_t *loss = NULL;
    lossfn_args_t args;
    assert_int_equal(lossfn_create(&loss, "mse"), LOSSFN_OK);
    lossfn_args_init(&args);
    args.n_inputs = 2;
    args.inputs[0] = column(&p, wide), args.inputs[1] = column(&t, tame);
    args.weight = args.mask = column(&w, (const double[]){0, 0, 0});
    assert_int_equal(lossfn_check(loss, &args, text, sizeof text, &length), LOSSFN_OK);
    assert_non_null(strstr(text, "all weights are 0: nothing is kept"));
    assert_non_null(strstr(text, "the mask keeps nothing"));
    char cut[9]; /* as much as fits; the length is the whole one's */
    int64_t again;
    assert_int_equal(lossfn_check(loss, &args, cut, sizeof cut, &again), LOSSFN_OK);
    assert_int_equal(again, length);
    assert_int_equal(strlen(cut), sizeof cut - 1);
    assert_memory_equal(cut, text, sizeof cut - 1);
    lossfn_destroy(loss);
}

/* The length alone needs no buffer; and without an input there is nothing to look at. */
static void without_a_buffer(void **unused) {
    (void)unused;
    char text[2000];
    int64_t length = -7;
    lossfn_t *loss = NULL;
    lossfn_args_t args;
    assert_int_equal(lossfn_create(&loss, "mse"), LOSSFN_OK);
    lossfn_args_init(&args);
    args.n_inputs = 2;
    args.inputs[0] = column(&p, (const double[]){NAN, 1, 2}), args.inputs[1] = column(&t, tame);
    assert_int_equal(lossfn_check(loss, &args, NULL, 0, &length), LOSSFN_OK);
    check("mse", args.inputs[0], args.inputs[1], text);
    assert_true(length > 0);
    assert_int_equal(length, strlen(text));
    args.n_inputs = 0;
    assert_int_equal(lossfn_check(loss, &args, text, sizeof text, &length), LOSSFN_ERROR_ARGUMENT);
    assert_string_equal(lossfn_last_error(), "input pred is missing: it is NULL");
    lossfn_destroy(loss);
}

/* What is no tensor is told and not looked at. */
static void weights_and_masks_that_are_none(void **unused) {
    (void)unused;
    data_t w;
    lossfn_t *loss = NULL;
    lossfn_args_t args;
    assert_int_equal(lossfn_create(&loss, "mse"), LOSSFN_OK);
    for (int i = 0; i < 2; i++) {
        char text[2000], said[100];
        int64_t length;
        lossfn_args_init(&args);
        args.n_inputs = 2;
        args.inputs[0] = column(&p, wide), args.inputs[1] = column(&t, tame);
        *(i ? &args.mask : &args.weight) = column(&w, (const double[]){0, 0, 0});
        w.tensor.dtype = 99;
        assert_int_equal(lossfn_check(loss, &args, text, sizeof text, &length), LOSSFN_OK);
        snprintf(said, sizeof said, "%s has dtype 99, which is none", i ? "mask" : "weight");
        assert_string_equal(text, said);
    }
    lossfn_destroy(loss);
}

/* What each finding asks for, but for one thing. */
static void what_is_no_finding(void **unused) {
    (void)unused;
    const int64_t one[] = {1}, tall[] = {ROWS, 1}, none[] = {0}, few[] = {4};
    const double nans[] = {NAN, NAN, NAN}, ones[] = {1, 1, 1}, shares[] = {0.2, 0.9, 0.4, 0.6}, below[] = {-1, -2, -3};
    const double one_hot[] = {1, 0, 0, 0, 1, 0, 0, 0, 1}, halves[] = {0.5, NAN, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1};
    const double minus[] = {-100, -100, -100, -100, -100, -100, -100, -100, -100}, second[] = {1, 2, 2};
    silent("bce_with_logits", shaped(&p, 1, one, shares), shaped(&t, 1, one, bits), "look like probabilities");
    silent("bce_with_logits", column(&p, nans), column(&t, bits), "look like probabilities");
    silent("cross_entropy", matrix(&p, by_columns), column(&t, labels), "look like probabilities");
    silent("kl_div(log_pred=true)", matrix(&p, logs), matrix(&t, by_rows), "outside [0, 1]");
    silent("kl_div", matrix(&p, logits), matrix(&t, by_rows), "log_pred");
    silent("binary_cross_entropy", column(&p, below), column(&t, bits), "log_pred");
    silent("binary_cross_entropy", column(&p, shares), column(&t, bits), "sum to 1");
    silent("categorical_cross_entropy", matrix(&p, halves), column(&t, labels), "do not sum to 1");
    silent("cross_entropy", matrix(&p, one_hot), column(&t, labels), "swapped");
    silent("binary_cross_entropy", shaped(&p, 1, one, ones), shaped(&t, 1, one, shares), "swapped");
    silent("binary_cross_entropy", column(&p, shares), column(&t, shares), "swapped");
    silent("binary_cross_entropy", column(&p, bits), column(&t, bits), "swapped");
    silent("mse", column(&p, bits), column(&t, shares), "swapped");
    finds("categorical_cross_entropy", matrix(&p, one_hot), matrix(&t, by_rows), "swapped");
    silent("hinge(labels=01)", column(&p, wide), column(&t, ones), "labels=01 takes");
    silent("hinge", column(&p, wide), column(&t, ones), "takes -1 and +1");
    silent("bce_with_logits", column(&p, wide), column(&t, ones), "hinge takes");
    silent("cross_entropy(ignore_index=-100)", matrix(&p, logits), column(&t, (const double[]){0, -100, 1}), "-100");
    silent("cross_entropy", matrix(&p, logits), matrix(&t, minus), "ignore_index=-100 leaves");
    silent("cross_entropy(label_base=1)", matrix(&p, logits), column(&t, (const double[]){2, 3, 3}), "count from 1");
    silent("cross_entropy", matrix(&p, logits), column(&t, second), "count from 1");
    silent("cross_entropy", matrix(&p, logits), column(&t, (const double[]){1, 1.5, 3}), "count from 1");
    silent("cross_entropy", matrix(&p, logits), column(&t, labels), "count from 1");
    silent("cross_entropy", matrix(&p, logits), matrix(&t, by_rows), "count from 1");
    silent("cross_entropy(axis=7)", matrix(&p, logits), column(&t, counted), "count from 1");
    silent("cross_entropy(axis=-7)", matrix(&p, logits), column(&t, counted), "count from 1");
    finds("cross_entropy(axis=7)", matrix(&p, logits), column(&t, labels), "target fits pred with axis=0");
    finds("cross_entropy(axis=-7)", matrix(&p, logits), column(&t, labels), "target fits pred with axis=0");
    const double distant[] = {90, 80, 70, 60};
    finds("smooth_l1", shaped(&p, 1, few, distant), shaped(&t, 1, few, shares), "smooth_l1 is linear there");
    finds("pseudo_huber", shaped(&p, 1, few, distant), shaped(&t, 1, few, shares), "pseudo_huber is linear there");
    silent("mae", shaped(&p, 1, few, distant), shaped(&t, 1, few, shares), "linear there");
    silent("huber", column(&p, distant), shaped(&t, 1, few, shares), "linear there");
    silent("huber", column(&p, distant), shaped(&t, 2, tall, shares), "linear there");
    silent("huber", shaped(&p, 1, none, wide), shaped(&t, 1, none, wide), "is the squared error here");
    silent("huber", column(&p, shares), column(&t, shares), "is the squared error here");
}

static lossfn_status_t fails(const lossfn_block_t *block) {
    return lossfn_call_fail(block->call, *(const lossfn_status_t *)block->user_data, "as it was told to");
}

/* A loss of one's own whose labels are -1 and +1 has no option for others; that it fails is told as a failure. */
static void losses_of_ones_own(void **unused) {
    (void)unused;
    lossfn_status_t told[] = {LOSSFN_ERROR_DOMAIN, LOSSFN_ERROR_CALLBACK, LOSSFN_ERROR_MEMORY};
    lossfn_input_info_t inputs[2] = {{.struct_size = sizeof *inputs, .name = "pred", .scale = LOSSFN_SCALE_REAL},
                                     {.struct_size = sizeof *inputs, .name = "t", .scale = LOSSFN_SCALE_MARGIN_LABEL}};
    for (int i = 0; i < 3; i++) {
        char text[400] = "";
        int64_t length = -7;
        lossfn_t *loss = NULL;
        lossfn_args_t args;
        lossfn_vtable_t table;
        lossfn_vtable_init(&table);
        table.elementwise = fails, table.inputs = inputs, table.n_inputs = 2;
        assert_int_equal(lossfn_create_custom(&loss, &table, &told[i], NULL, NULL), LOSSFN_OK);
        lossfn_args_init(&args);
        args.n_inputs = 2;
        args.inputs[0] = column(&p, wide), args.inputs[1] = column(&t, i ? signs : bits);
        assert_int_equal(lossfn_check(loss, &args, text, sizeof text, &length), i ? told[i] : LOSSFN_OK);
        if (i == 0) assert_non_null(strstr(text, "target holds 0 and 1"));
        if (i) assert_int_equal(length, -7);
        lossfn_destroy(loss);
    }
}

/* What is wrong with the call itself is a finding here, and an error of what computes. */
static void more_inputs_than_there_are(void **unused) {
    (void)unused;
    static const char said[] = "9 inputs given, mse takes 2";
    char text[200];
    int64_t length;
    double constant = 7;
    lossfn_t *loss = NULL;
    lossfn_args_t args;
    lossfn_gradient_report_t report = {.struct_size = sizeof report, .compared = 7};
    assert_int_equal(lossfn_create(&loss, "mse"), LOSSFN_OK);
    lossfn_args_init(&args);
    args.inputs[0] = column(&p, wide), args.inputs[1] = column(&t, tame);
    args.values = args.inputs[1];
    args.n_inputs = 9;
    assert_int_equal(lossfn_check(loss, &args, text, sizeof text, &length), LOSSFN_OK);
    assert_non_null(strstr(text, said));
    assert_int_equal(lossfn_check_gradient(loss, &args, &report), LOSSFN_ERROR_ARGUMENT);
    assert_string_equal(lossfn_last_error(), said);
    assert_int_equal(lossfn_init_score(loss, &args, &constant), LOSSFN_ERROR_ARGUMENT);
    assert_string_equal(lossfn_last_error(), said);
    assert_int_equal(lossfn_minimum(loss, &args), LOSSFN_ERROR_ARGUMENT);
    assert_string_equal(lossfn_last_error(), said);
    assert_true(report.compared == 7 && constant == 7);
    lossfn_destroy(loss);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_to_find),
        cmocka_unit_test(logits_and_probabilities),
        cmocka_unit_test(targets),
        cmocka_unit_test(what_is_not_finite),
        cmocka_unit_test(deltas),
        cmocka_unit_test(weights_and_masks),
        cmocka_unit_test(weights_and_masks_that_are_none),
        cmocka_unit_test(without_a_buffer),
        cmocka_unit_test(more_inputs_than_there_are),
        cmocka_unit_test(what_is_no_finding),
        cmocka_unit_test(losses_of_ones_own),
    };
    return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
