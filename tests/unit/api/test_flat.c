/* SPDX-License-Identifier: MIT
 * The flat tier: how long its arrays may be; and the everyday forms beside it, with and without their options. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "lossfn/lossfn.h"

enum { ROWS = 3, COLS = 2, N = ROWS * COLS };

static const double pred[N] = {1, 2, 3, 4, 5, 6}, target[N] = {0, 0, 0, 0, 0, 0}, labels[ROWS] = {0, 1, 0};
static const double weight[N] = {1, 1, 1, 1, 1, 1};
static const uint8_t mask[N] = {1, 1, 1, 1, 1, 1};

typedef struct {
    int64_t rows, cols, weight_len, mask_len, values_len;
    const void *target;
    int32_t dtype;
} flat_t;
static const flat_t plain = {ROWS, COLS, 0, 0, 0, target, LOSSFN_F64};

/* A call that fails writes nothing. */
static void gives(const char *spec, flat_t f, lossfn_status_t wanted, double value, const char *message) {
    lossfn_t *loss = NULL;
    double got = -1, values[N] = {-1, -1, -1, -1, -1, -1};
    assert_int_equal(lossfn_create(&loss, spec), LOSSFN_OK);
    const lossfn_status_t status = lossfn_run_f64(
        loss, f.rows, f.cols, pred, f.target, f.dtype, f.weight_len ? weight : NULL, f.weight_len,
        f.mask_len ? mask : NULL, f.mask_len, &got, f.values_len ? values : NULL, f.values_len, NULL, NULL);
    if (status != wanted) fail_msg("%s: %s", spec, lossfn_last_error());
    if (status != LOSSFN_OK) {
        assert_string_equal(lossfn_last_error(), message);
        assert_true(got == -1);
        for (int i = 0; i < N; i++) assert_true(values[i] == -1);
    } else {
        assert_true(got == value || (isnan(got) && isnan(value)));
        for (int i = 0; i < N; i++) assert_true((values[i] != -1) == (i < f.values_len));
    }
    lossfn_destroy(loss);
}
static void refuses(const char *spec, flat_t f, lossfn_status_t wanted, const char *message) {
    gives(spec, f, wanted, 0, message);
}

static void lengths(void **unused) {
    (void)unused;
    const double mean = (1 + 4 + 9 + 16 + 25 + 36) / 6.0;
    flat_t f = plain;
    gives("mse", f, LOSSFN_OK, mean, "");
    for (int i = 0; i < 3; i++) {
        const int64_t length[] = {1, ROWS, N};
        f = plain, f.weight_len = length[i];
        gives("mse", f, LOSSFN_OK, mean, "");
        f = plain, f.mask_len = length[i];
        gives("mse", f, LOSSFN_OK, mean, "");
    }
    f = plain, f.values_len = N;
    gives("mse", f, LOSSFN_OK, mean, "");
    f = plain, f.weight_len = 2;
    refuses("mse", f, LOSSFN_ERROR_SHAPE, "weight_len is 2, it is 0, 1, 3 (rows) or 6 (elements)");
    f = plain, f.mask_len = 5;
    refuses("mse", f, LOSSFN_ERROR_SHAPE, "mask_len is 5, it is 0, 1, 3 (rows) or 6 (elements)");
    f = plain, f.weight_len = N, f.target = labels;
    refuses("cross_entropy", f, LOSSFN_ERROR_SHAPE, "weight_len is 6, it is 0, 1 or 3 (rows)");
    f = plain, f.values_len = 5;
    refuses("mse", f, LOSSFN_ERROR_SHAPE, "values_len is 5, there are 6 values");
    f = plain, f.values_len = N;
    refuses("mse(reduction=per_row)", f, LOSSFN_ERROR_SHAPE, "values_len is 6, there are 3 values");
}

static void shapes(void **unused) {
    (void)unused;
    flat_t f = plain;
    f.rows = -1;
    refuses("mse", f, LOSSFN_ERROR_SHAPE, "rows is -1 and cols 2, they must be at least 0");
    f = plain, f.cols = -1;
    refuses("mse", f, LOSSFN_ERROR_SHAPE, "rows is 3 and cols -1, they must be at least 0");
    f = plain, f.rows = INT64_MAX / 8;
    refuses("mse", f, LOSSFN_ERROR_SHAPE, "1152921504606846975 rows of 2 have more than 2^63 - 1 bytes");
    /* Of no rows, and of rows of nothing, there is no mean; one weight or mask for all of them is one. */
    for (int i = 0; i < 4; i++) {
        f = plain, f.rows = i % 2 ? ROWS : 0, f.cols = i % 2 ? 0 : COLS;
        f.weight_len = f.mask_len = i / 2;
        gives("mse", f, LOSSFN_OK, NAN, "");
    }
}

/* An array of weights or a mask without elements, as an empty vector may have: where there is nothing to weigh, and
 * where there is. */
static void empty_arrays(void **unused) {
    (void)unused;
    lossfn_t *loss = NULL;
    double value = -1;
    assert_int_equal(lossfn_create(&loss, "mse"), LOSSFN_OK);
    assert_int_equal(
        lossfn_run_f64(loss, 0, COLS, pred, target, LOSSFN_F64, weight, 0, mask, 0, &value, NULL, 0, NULL, NULL),
        LOSSFN_OK);
    assert_true(isnan(value));
    value = -1;
    assert_int_equal(
        lossfn_run_f64(loss, ROWS, COLS, pred, target, LOSSFN_F64, weight, 0, NULL, 0, &value, NULL, 0, NULL, NULL),
        LOSSFN_ERROR_SHAPE);
    assert_int_equal(
        lossfn_run_f64(loss, ROWS, COLS, pred, target, LOSSFN_F64, NULL, 0, mask, 0, &value, NULL, 0, NULL, NULL),
        LOSSFN_ERROR_SHAPE);
    assert_true(value == -1);
    lossfn_destroy(loss);
    lossfn_accumulator_t *read = NULL;
    assert_int_equal(lossfn_accumulator_read(&read, NULL, 0), LOSSFN_ERROR_ARGUMENT);
    assert_string_equal(lossfn_last_error(), "these 0 bytes are not an accumulator's");
    assert_null(read);
}

static void dtypes(void **unused) {
    (void)unused;
    const int32_t whole[N] = {0};
    flat_t f = plain;
    f.target = whole, f.dtype = LOSSFN_I32;
    gives("mse", f, LOSSFN_OK, 91 / 6.0, "");
    f.dtype = LOSSFN_BOOL + 1;
    refuses("mse", f, LOSSFN_ERROR_DTYPE, "dtype is 14, must be a lossfn_dtype (1 to 13)");
    f.dtype = 0;
    refuses("mse", f, LOSSFN_ERROR_DTYPE, "dtype is 0, must be a lossfn_dtype (1 to 13)");
}

static void everyday_forms(void **unused) {
    (void)unused;
    const int64_t shape[] = {N};
    double grad[N], value = 0, again = 0, factor = 1;
    lossfn_t *loss = NULL;
    lossfn_exec_t exec;
    lossfn_tensor_t p, t, w, g, one;
    lossfn_exec_init(&exec);
    assert_int_equal(lossfn_create(&loss, "mse"), LOSSFN_OK);
    assert_int_equal(lossfn_tensor_init_const(&p, pred, LOSSFN_F64, 1, shape), LOSSFN_OK);
    assert_int_equal(lossfn_tensor_init_const(&t, target, LOSSFN_F64, 1, shape), LOSSFN_OK);
    assert_int_equal(lossfn_tensor_init_const(&w, weight, LOSSFN_F64, 1, shape), LOSSFN_OK);
    assert_int_equal(lossfn_tensor_init(&g, grad, LOSSFN_F64, 1, shape), LOSSFN_OK);
    assert_int_equal(lossfn_forward_backward(loss, &p, &t, NULL, &value, &g, NULL), LOSSFN_OK);
    for (int i = 1; i < 4; i++) {
        assert_int_equal(lossfn_forward_backward(loss, &p, &t, i & 1 ? &w : NULL, &again, &g, i & 2 ? &exec : NULL),
                         LOSSFN_OK);
        assert_true(again == value);
    }
    /* A number has no strides. */
    assert_int_equal(lossfn_tensor_init_strided(&one, &factor, LOSSFN_F64, 0, NULL, NULL, 0), LOSSFN_OK);
    assert_int_equal(lossfn_backward(loss, &p, &t, &one, &g, NULL), LOSSFN_OK);
    assert_null(lossfn_input_name(loss, -1));
    assert_null(lossfn_input_name(loss, 2));
    assert_string_equal(lossfn_input_name(loss, 1), "target");
    lossfn_destroy(loss);
    char text[4] = "abc"; /* what there is no room for is not written */
    for (int cap = 0; cap < 2; cap++) {
        assert_int_equal(lossfn_create_msg(&loss, "mse", cap ? text : NULL, 1), LOSSFN_OK);
        assert_string_equal(text, cap ? "" : "abc");
        lossfn_destroy(loss);
        text[0] = 'a';
        assert_int_equal(lossfn_create_msg(&loss, "mse", text, 0), LOSSFN_OK);
        assert_string_equal(text, "abc");
        lossfn_destroy(loss);
        assert_int_equal(lossfn_create_msg(&loss, "mze", cap ? text : NULL, 0), LOSSFN_ERROR_NOT_FOUND);
        assert_string_equal(text, "abc");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(lengths), cmocka_unit_test(shapes),
                                       cmocka_unit_test(empty_arrays), cmocka_unit_test(dtypes),
                                       cmocka_unit_test(everyday_forms)};
    return cmocka_run_group_tests_name("flat", tests, NULL, NULL);
}
