/* SPDX-License-Identifier: MIT
 * An accumulator that is merged with itself has everything twice. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "lossfn/lossfn.h"

static void merged_with_itself(void **unused) {
    (void)unused;
    const double pred[] = {1, 2, 4}, target[] = {2, 0, 1};
    const int64_t shape[] = {3};
    lossfn_t *loss = NULL;
    lossfn_accumulator_t *sum = NULL;
    lossfn_tensor_t p, t;
    lossfn_args_t args;
    double once, twice;
    assert_int_equal(lossfn_create(&loss, "mse(reduction=sum) + 0.5*mae(reduction=sum)"), LOSSFN_OK);
    assert_int_equal(lossfn_accumulator_create(&sum, loss), LOSSFN_OK);
    assert_int_equal(lossfn_tensor_init_const(&p, pred, LOSSFN_F64, 1, shape), LOSSFN_OK);
    assert_int_equal(lossfn_tensor_init_const(&t, target, LOSSFN_F64, 1, shape), LOSSFN_OK);
    lossfn_args_init(&args);
    args.n_inputs = 2;
    args.inputs[0] = &p, args.inputs[1] = &t;
    assert_int_equal(lossfn_accumulator_update(sum, &args), LOSSFN_OK);
    assert_int_equal(lossfn_accumulator_value(sum, &once, NULL), LOSSFN_OK);
    assert_int_equal(lossfn_accumulator_merge(sum, sum), LOSSFN_OK);
    assert_int_equal(lossfn_accumulator_value(sum, &twice, NULL), LOSSFN_OK);
    assert_true(once == 17 && twice == 34);
    lossfn_accumulator_destroy(sum);
    lossfn_destroy(loss);
}

static void one_term_with_a_coefficient(void **unused) {
    (void)unused;
    const double pred[] = {1, 2, 3};
    const int64_t shape[] = {3};
    lossfn_t *loss = NULL;
    lossfn_accumulator_t *sum = NULL;
    lossfn_tensor_t p;
    lossfn_args_t args;
    double value = 0, parts[2] = {-1, -1};
    assert_int_equal(lossfn_create(&loss, "3*mse(reduction=sum)"), LOSSFN_OK);
    assert_int_equal(lossfn_accumulator_create(&sum, loss), LOSSFN_OK);
    assert_int_equal(lossfn_tensor_init_const(&p, pred, LOSSFN_F64, 1, shape), LOSSFN_OK);
    lossfn_args_init(&args);
    args.n_inputs = 2;
    args.inputs[0] = args.inputs[1] = &p;
    assert_int_equal(lossfn_accumulator_update(sum, &args), LOSSFN_OK);
    lossfn_tensor_t zeros;
    const double none[] = {0, 0, 0};
    assert_int_equal(lossfn_tensor_init_const(&zeros, none, LOSSFN_F64, 1, shape), LOSSFN_OK);
    args.inputs[1] = &zeros;
    assert_int_equal(lossfn_accumulator_update(sum, &args), LOSSFN_OK);
    assert_int_equal(lossfn_accumulator_value(sum, &value, NULL), LOSSFN_OK);
    assert_true(value == 3 * 14);
    assert_int_equal(lossfn_accumulator_parts(sum, -1, &parts[0], &parts[1]), LOSSFN_ERROR_ARGUMENT);
    assert_int_equal(lossfn_accumulator_parts(sum, 1, &parts[0], &parts[1]), LOSSFN_ERROR_ARGUMENT);
    assert_true(parts[0] == -1 && parts[1] == -1);
    assert_int_equal(lossfn_accumulator_parts(sum, 0, &parts[0], &parts[1]), LOSSFN_OK);
    assert_true(parts[0] == 14 && parts[1] == 1);
    lossfn_accumulator_destroy(sum);
    lossfn_destroy(loss);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(merged_with_itself),
                                       cmocka_unit_test(one_term_with_a_coefficient)};
    return cmocka_run_group_tests_name("accumulator", tests, NULL, NULL);
}
