/* SPDX-License-Identifier: MIT
 * The least value of each unit: a target is tried as prediction where it is one number for each on the same scale, and
 * no other is. */
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "lossfn/extend.h"

enum { ROWS = 3, COLS = 2 };

static lossfn_tensor_t tensor(const double *data, int32_t ndim, const int64_t *shape) {
    lossfn_tensor_t made;
    assert_int_equal(lossfn_tensor_init_const(&made, data, LOSSFN_F64, ndim, shape), LOSSFN_OK);
    return made;
}

/* Each unit has this least value. */
static void least_is(double wanted, const lossfn_t *loss, int32_t n, const lossfn_tensor_t *const *inputs) {
    double least[ROWS * COLS];
    lossfn_tensor_t values;
    lossfn_args_t args;
    const lossfn_tensor_t *pred = inputs[0];
    int64_t count = 1;
    for (int32_t d = 0; d < pred->ndim; d++) count *= pred->shape[d];
    assert_int_equal(lossfn_tensor_init(&values, least, LOSSFN_F64, pred->ndim, pred->shape), LOSSFN_OK);
    lossfn_args_init(&args);
    args.n_inputs = n;
    for (int32_t j = 0; j < n; j++) args.inputs[j] = inputs[j];
    args.values = &values;
    assert_int_equal(lossfn_minimum(loss, &args), LOSSFN_OK);
    for (int64_t i = 0; i < count; i++) assert_true(least[i] == wanted);
}
static void least_of(double wanted, const char *spec, int32_t n, const lossfn_tensor_t *const *inputs) {
    lossfn_t *loss = NULL;
    assert_int_equal(lossfn_create(&loss, spec), LOSSFN_OK);
    least_is(wanted, loss, n, inputs);
    lossfn_destroy(loss);
}

static const double zeros[ROWS * COLS] = {0}, far[] = {1e6, -1e6, 3}, bits[] = {0, 1, 1}, levels[] = {0.25, 0.75};
static const int64_t rows[] = {ROWS}, columns[] = {1, COLS}, tall[] = {ROWS, 1}, both[] = {ROWS, COLS};

/* Far from its target welsch is flat, so that no slope leads there. */
static void at_the_target(void **unused) {
    (void)unused;
    const lossfn_tensor_t pred = tensor(zeros, 1, rows), target = tensor(far, 1, rows);
    least_of(0, "welsch", 2, (const lossfn_tensor_t *const[]){&pred, &target});
}

static void target_on_another_scale(void **unused) {
    (void)unused;
    const lossfn_tensor_t pred = tensor(zeros, 1, rows), target = tensor(bits, 1, rows);
    least_of(0, "bce_with_logits", 2, (const lossfn_tensor_t *const[]){&pred, &target});
}

static void target_for_several_levels(void **unused) {
    (void)unused;
    const lossfn_tensor_t pred = tensor(zeros, 2, both), target = tensor(far, 2, tall),
                          tau = tensor(levels, 2, columns);
    least_of(0, "quantile", 3, (const lossfn_tensor_t *const[]){&pred, &target, &tau});
}

/* (pred - level)^2 + 1 */
static lossfn_status_t above_one(const lossfn_block_t *block) {
    const double *x = block->inputs[0], *y = block->inputs[1];
    double *values = block->values, *grads = block->grads[0];
    for (int64_t i = 0; i < block->count; i++) {
        if (values) values[i] = (x[i] - y[i]) * (x[i] - y[i]) + 1;
        if (grads) grads[i] = 2 * (x[i] - y[i]);
    }
    return LOSSFN_OK;
}

/* The second input of a loss of one's own may be a constant of the handle. */
static void no_target(void **unused) {
    (void)unused;
    const lossfn_input_info_t inputs[] = {
        {.struct_size = sizeof *inputs, .name = "pred", .scale = LOSSFN_SCALE_REAL, .differentiable = 1},
        {.struct_size = sizeof *inputs, .name = "level", .scale = LOSSFN_SCALE_REAL, .learnable = 1}};
    const lossfn_param_info_t param = {.struct_size = sizeof param,
                                       .name = "level",
                                       .type = LOSSFN_PARAM_DOUBLE,
                                       .default_value = "2.5",
                                       .learnable = 1};
    const lossfn_tensor_t pred = tensor(zeros, 1, rows);
    lossfn_vtable_t table;
    lossfn_t *loss = NULL;
    lossfn_vtable_init(&table);
    table.elementwise = above_one, table.flags = LOSSFN_VTABLE_GRAD;
    table.inputs = inputs, table.n_inputs = 2, table.params = &param, table.n_params = 1;
    assert_int_equal(lossfn_create_custom(&loss, &table, NULL, NULL, NULL), LOSSFN_OK);
    least_is(1, loss, 1, (const lossfn_tensor_t *const[]){&pred});
    lossfn_destroy(loss);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(at_the_target), cmocka_unit_test(target_on_another_scale),
                                       cmocka_unit_test(target_for_several_levels), cmocka_unit_test(no_target)};
    return cmocka_run_group_tests_name("optimum", tests, NULL, NULL);
}
