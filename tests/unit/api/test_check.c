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

static void finds(const char *spec, const lossfn_tensor_t *pred, const lossfn_tensor_t *target, const char *what) {
    char text[2000];
    int64_t length;
    lossfn_t *loss = NULL;
    lossfn_args_t args;
    assert_int_equal(lossfn_create(&loss, spec), LOSSFN_OK);
    lossfn_args_init(&args);
    args.n_inputs = 2;
    args.inputs[0] = pred, args.inputs[1] = target;
    assert_int_equal(lossfn_check(loss, &args, text, sizeof text, &length), LOSSFN_OK);
    if (!what[0]) assert_string_equal(text, "");
    if (!strstr(text, what)) fail_msg("%s: '%s' is not in '%s'", spec, what, text);
    lossfn_destroy(loss);
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
        cmocka_unit_test(more_inputs_than_there_are),
    };
    return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
