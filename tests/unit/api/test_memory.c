/* SPDX-License-Identifier: MIT
 * Searches and accumulators of marginals take memory of their own: each of their allocations fails in turn. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "lossfn/extend.h"

static int until_failure, alive;

static void *take(void *user, uint64_t size) {
    (void)user;
    if (until_failure-- == 0) return NULL;
    alive++;
    return malloc((size_t)size);
}
static void give_back(void *user, void *pointer, uint64_t size) {
    (void)user, (void)size;
    alive -= pointer != NULL;
    free(pointer);
}

static lossfn_args_t args;
static lossfn_status_t gradient(const lossfn_t *loss) {
    lossfn_gradient_report_t report;
    memset(&report, 0, sizeof report);
    report.struct_size = sizeof report;
    return lossfn_check_gradient(loss, &args, &report);
}
static lossfn_status_t minimum(const lossfn_t *loss) {
    double least[3];
    const int64_t shape[] = {3};
    lossfn_tensor_t values;
    lossfn_args_t call = args;
    assert_int_equal(lossfn_tensor_init(&values, least, LOSSFN_F64, 1, shape), LOSSFN_OK);
    call.values = &values;
    return lossfn_minimum(loss, &call);
}

static lossfn_status_t accumulated(const lossfn_t *loss) {
    lossfn_accumulator_t *sum = NULL;
    double value = -7;
    lossfn_status_t status = lossfn_accumulator_create(&sum, loss);
    if (status == LOSSFN_OK) status = lossfn_accumulator_update(sum, &args);
    if (status == LOSSFN_OK) status = lossfn_accumulator_value(sum, &value, NULL);
    assert_int_equal(status == LOSSFN_OK, value != -7);
    lossfn_accumulator_destroy(sum);
    return status;
}

static void fails_at_each(const char *spec, lossfn_status_t (*search)(const lossfn_t *)) {
    const lossfn_allocator_t allocator = {sizeof allocator, take, give_back, NULL};
    lossfn_t *loss = NULL;
    int failures = 0;
    until_failure = -1;
    assert_int_equal(lossfn_set_allocator(&allocator), LOSSFN_OK);
    assert_int_equal(lossfn_create(&loss, spec), LOSSFN_OK);
    const int before = alive;
    for (;; failures++) {
        until_failure = failures;
        const lossfn_status_t status = search(loss);
        assert_int_equal(alive, before);
        if (status == LOSSFN_OK) break;
        assert_int_equal(status, LOSSFN_ERROR_MEMORY);
        assert_non_null(strstr(lossfn_last_error(), "out of memory"));
    }
    assert_true(failures > 0);
    until_failure = -1;
    lossfn_destroy(loss);
    assert_int_equal(lossfn_set_allocator(NULL), LOSSFN_OK);
}

/* The inputs of a call, for as long as `data` lasts. */
static void give(lossfn_tensor_t data[2], const double *pred, int32_t ndim, const int64_t *shape,
                 const double *target) {
    assert_int_equal(lossfn_tensor_init_const(&data[0], pred, LOSSFN_F64, ndim, shape), LOSSFN_OK);
    assert_int_equal(lossfn_tensor_init_const(&data[1], target, LOSSFN_F64, 1, shape), LOSSFN_OK);
    lossfn_args_init(&args);
    args.n_inputs = 2;
    args.inputs[0] = &data[0], args.inputs[1] = &data[1];
}

static void searches(void **unused) {
    (void)unused;
    lossfn_tensor_t data[2];
    give(data, (const double[]){0.5, 0.25, 0.7}, 1, (const int64_t[]){3}, (const double[]){1, 0, 1});
    fails_at_each("mse", gradient);
    fails_at_each("mse", minimum);
}

static void accumulators(void **unused) {
    (void)unused;
    lossfn_tensor_t data[2];
    give(data, (const double[]){0.5, 0.25, 0.25, 0.1, 0.2, 0.7}, 2, (const int64_t[]){2, 3}, (const double[]){1, 2});
    fails_at_each("weighted_kappa", accumulated);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(searches), cmocka_unit_test(accumulators)};
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
