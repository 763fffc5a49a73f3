/* SPDX-License-Identifier: MIT
 * How a user-made kernel fails, and losses of which only some gradients are known. */
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "lossfn/extend.h"

/* What the kernel below fails with */
static lossfn_status_t status_given;
static const char *text_given;

static lossfn_status_t failing(const lossfn_block_t *block) {
    return text_given ? lossfn_call_fail(block->call, status_given, text_given) : status_given;
}

/* |pred - target|, with d/dpred on request */
static lossfn_status_t distance(const lossfn_block_t *block) {
    const double *pred = block->inputs[0], *target = block->inputs[1];
    double *values = block->values, *grads = block->grads[0];
    for (int64_t i = 0; i < block->count; i++) {
        const double r = pred[i] - target[i];
        if (values) values[i] = r < 0 ? -r : r;
        if (grads) grads[i] = r < 0 ? -1 : 1;
    }
    return LOSSFN_OK;
}

static double pred[] = {1, 2, 4}, target[] = {2, 0, 1};

static lossfn_args_t arguments(lossfn_tensor_t tensors[2], double *value) {
    const int64_t shape[] = {3};
    lossfn_args_t args;
    lossfn_args_init(&args);
    assert_int_equal(lossfn_tensor_init_const(&tensors[0], pred, LOSSFN_F64, 1, shape), LOSSFN_OK);
    assert_int_equal(lossfn_tensor_init_const(&tensors[1], target, LOSSFN_F64, 1, shape), LOSSFN_OK);
    args.n_inputs = 2;
    args.inputs[0] = &tensors[0], args.inputs[1] = &tensors[1];
    args.value = value;
    return args;
}

static lossfn_t *make(lossfn_status_t (*kernel)(const lossfn_block_t *), uint32_t flags) {
    lossfn_vtable_t table;
    lossfn_t *loss = NULL;
    lossfn_vtable_init(&table);
    table.elementwise = kernel;
    table.flags = flags;
    assert_int_equal(lossfn_create_custom(&loss, &table, NULL, NULL, NULL), LOSSFN_OK);
    return loss;
}

static void fails(lossfn_status_t given, const char *text, lossfn_status_t expected) {
    lossfn_tensor_t tensors[2];
    double value = -1;
    lossfn_args_t args = arguments(tensors, &value);
    lossfn_t *loss = make(failing, 0);
    status_given = given, text_given = text;
    assert_int_equal(lossfn_run(loss, &args), expected);
    assert_true(value == -1);
    if (text) assert_non_null(strstr(lossfn_last_error(), strlen(text) < 50 ? text : "xxxx"));
    lossfn_destroy(loss);
}

/* A status that the library has is kept; another one, or success with a message, is CALLBACK. */
static void failures_of_a_kernel(void **unused) {
    (void)unused;
    char much[5000];
    memset(much, 'x', sizeof much - 1);
    much[sizeof much - 1] = 0;
#define IS_KEPT(name, number, text)                                                                                    \
    if (number) fails(number, "as it was told to", number);
    LOSSFN_STATUS_TABLE(IS_KEPT)
#undef IS_KEPT
    fails(LOSSFN_ERROR_MEMORY, NULL, LOSSFN_ERROR_MEMORY);
    fails(12345, NULL, LOSSFN_ERROR_CALLBACK);
    fails(LOSSFN_ERROR_PARAMETER, "no such thing", LOSSFN_ERROR_PARAMETER);
    fails(LOSSFN_OK, "it went wrong", LOSSFN_ERROR_CALLBACK);
    fails(54321, much, LOSSFN_ERROR_CALLBACK);
    assert_int_equal(lossfn_call_fail(NULL, LOSSFN_ERROR_MEMORY, "nobody hears"), LOSSFN_ERROR_MEMORY);
    assert_int_equal(lossfn_call_fail(NULL, LOSSFN_OK, NULL), LOSSFN_ERROR_CALLBACK);
}

/* The check of a gradient moves the inputs alone whose gradient there is. */
static void gradients_that_are_not_given(void **unused) {
    (void)unused;
    lossfn_tensor_t tensors[2];
    lossfn_args_t args = arguments(tensors, NULL);
    lossfn_gradient_report_t report;
    lossfn_t *none = make(distance, 0), *first = make(distance, LOSSFN_VTABLE_GRAD);
    memset(&report, 0, sizeof report);
    report.struct_size = sizeof report;
    assert_int_equal(lossfn_check_gradient(first, &args, &report), LOSSFN_OK);
    assert_true(report.agrees);
    assert_int_equal(report.compared, 3);
    assert_int_equal(lossfn_check_gradient(none, &args, &report), LOSSFN_OK);
    assert_false(report.agrees);
    assert_int_equal(report.compared, 0);
    /* d/dtarget is promised by its description, but not by the flags. */
    const lossfn_input_info_t inputs[] = {
        {.struct_size = sizeof *inputs, .name = "pred", .scale = LOSSFN_SCALE_REAL, .differentiable = 1},
        {.struct_size = sizeof *inputs, .name = "target", .scale = LOSSFN_SCALE_REAL, .differentiable = 1}};
    lossfn_vtable_t table;
    lossfn_t *half = NULL;
    lossfn_vtable_init(&table);
    table.elementwise = distance, table.flags = LOSSFN_VTABLE_GRAD;
    table.inputs = inputs, table.n_inputs = 2;
    assert_int_equal(lossfn_create_custom(&half, &table, NULL, NULL, NULL), LOSSFN_OK);
    assert_int_equal(lossfn_check_gradient(half, &args, &report), LOSSFN_OK);
    assert_true(report.agrees);
    assert_int_equal(report.compared, 3);
    lossfn_destroy(none), lossfn_destroy(first), lossfn_destroy(half);
}

/* pred, but for holes near 1 and 2, and a derivative at 4 that is none */
static lossfn_status_t with_holes(const lossfn_block_t *block) {
    const double *x = block->inputs[0];
    double *values = block->values, *grads = block->grads[0];
    for (int64_t i = 0; i < block->count; i++) {
        if (values) values[i] = x[i] == 1 + 0x1p-17 || x[i] == 2 + 0x1p-15 ? INFINITY : x[i];
        if (grads) grads[i] = x[i] == 4 ? NAN : 1;
    }
    return LOSSFN_OK;
}

/* Nothing is compared where one of two differences or the derivative itself is not finite. */
static void gradients_that_are_not_finite(void **unused) {
    (void)unused;
    static const double numbers[] = {1, 2, 4, 8};
    const int64_t shape[] = {4};
    lossfn_tensor_t tensor;
    lossfn_args_t args;
    lossfn_gradient_report_t report = {.struct_size = sizeof report};
    lossfn_t *loss = make(with_holes, LOSSFN_VTABLE_GRAD);
    assert_int_equal(lossfn_tensor_init_const(&tensor, numbers, LOSSFN_F64, 1, shape), LOSSFN_OK);
    lossfn_args_init(&args);
    args.n_inputs = 2;
    args.inputs[0] = args.inputs[1] = &tensor;
    assert_int_equal(lossfn_check_gradient(loss, &args, &report), LOSSFN_OK);
    assert_int_equal(report.compared, 1);
    assert_int_equal(report.worst_index, 3);
    assert_true(report.agrees && report.analytic == 0.25);
    lossfn_destroy(loss);
}

/* (pred - target)^2, with d/dtarget and the Hessian on request */
static lossfn_status_t of_target(const lossfn_block_t *block) {
    const double *x = block->inputs[0], *y = block->inputs[1];
    double *values = block->values, *grads = block->grads[1], *hess = block->hess;
    for (int64_t i = 0; i < block->count; i++) {
        if (values) values[i] = (x[i] - y[i]) * (x[i] - y[i]);
        if (grads) grads[i] = -2 * (x[i] - y[i]);
        if (hess) hess[i] = 2;
    }
    return LOSSFN_OK;
}

/* A Hessian is compared with differences of the gradient; where pred has none, what else there is. */
static void hessians_without_gradients(void **unused) {
    (void)unused;
    lossfn_tensor_t tensors[2];
    lossfn_args_t args = arguments(tensors, NULL);
    lossfn_gradient_report_t report = {.struct_size = sizeof report};
    const lossfn_input_info_t inputs[] = {
        {.struct_size = sizeof *inputs, .name = "pred", .scale = LOSSFN_SCALE_REAL},
        {.struct_size = sizeof *inputs, .name = "target", .scale = LOSSFN_SCALE_REAL, .differentiable = 1}};
    lossfn_vtable_t table;
    lossfn_t *loss = make(of_target, LOSSFN_VTABLE_HESS);
    assert_int_equal(lossfn_check_gradient(loss, &args, &report), LOSSFN_OK);
    assert_true(report.compared == 0 && !report.agrees);
    lossfn_destroy(loss);
    lossfn_vtable_init(&table);
    table.elementwise = of_target, table.flags = LOSSFN_VTABLE_GRAD_ALL | LOSSFN_VTABLE_HESS;
    table.inputs = inputs, table.n_inputs = 2;
    assert_int_equal(lossfn_create_custom(&loss, &table, NULL, NULL, NULL), LOSSFN_OK);
    assert_int_equal(lossfn_check_gradient(loss, &args, &report), LOSSFN_OK);
    assert_true(report.compared == 3 && report.agrees);
    assert_int_equal(report.worst_input, 1);
    lossfn_destroy(loss);
}

/* |pred - target| of which only a call tells that there is no Hessian */
static lossfn_status_t without_hessian(const lossfn_block_t *block) {
    if (block->hess) return lossfn_call_fail(block->call, LOSSFN_ERROR_UNSUPPORTED, "no Hessian");
    return distance(block);
}

static lossfn_status_t without_gradient(const lossfn_block_t *block) {
    if (block->grads[0]) return lossfn_call_fail(block->call, LOSSFN_ERROR_UNSUPPORTED, "not on this machine");
    return distance(block);
}

/* The gradient is checked all the same, and the failure on the way is none of the call. */
static void hessians_that_are_not_there(void **unused) {
    (void)unused;
    lossfn_tensor_t tensors[2];
    lossfn_args_t args = arguments(tensors, NULL);
    lossfn_gradient_report_t report = {.struct_size = sizeof report};
    lossfn_t *loss = make(without_hessian, LOSSFN_VTABLE_GRAD | LOSSFN_VTABLE_HESS), *none = NULL;
    assert_int_equal(lossfn_create(&none, "of_before"), LOSSFN_ERROR_NOT_FOUND);
    assert_int_equal(lossfn_check_gradient(loss, &args, &report), LOSSFN_OK);
    assert_true(report.compared == 3 && report.agrees);
    assert_non_null(strstr(lossfn_last_error(), "of_before"));
    lossfn_destroy(loss);
    loss = make(without_hessian, LOSSFN_VTABLE_HESS); /* and no gradient: nothing to compare */
    assert_int_equal(lossfn_check_gradient(loss, &args, &report), LOSSFN_OK);
    assert_true(report.compared == 0 && !report.agrees);
    lossfn_destroy(loss);
    loss = make(without_gradient, LOSSFN_VTABLE_GRAD); /* it is not the Hessian that is missing */
    report.compared = 7;
    assert_int_equal(lossfn_check_gradient(loss, &args, &report), LOSSFN_ERROR_UNSUPPORTED);
    assert_non_null(strstr(lossfn_last_error(), "not on this machine"));
    assert_int_equal(report.compared, 7);
    lossfn_destroy(loss);
}

/* 0 everywhere, whatever is asked for. */
static lossfn_status_t nothing(void *user_data, const lossfn_t *loss, lossfn_args_t *args, lossfn_call_t *call) {
    (void)user_data, (void)loss, (void)call;
    if (args->value) *args->value = 0;
    if (args->sum) *args->sum = 0;
    if (args->denom) *args->denom = 1;
    for (int j = 0; j < args->n_inputs; j++)
        if (args->grads[j]) memset(args->grads[j]->data, 0, 3 * sizeof(double));
    if (args->hess) memset(args->hess->data, 0, 3 * sizeof(double));
    return LOSSFN_OK;
}

/* What does everything itself has whatever gradients its inputs say; it cannot be cut into batches. */
static void what_does_everything_itself(void **unused) {
    (void)unused;
    lossfn_tensor_t tensors[2];
    lossfn_args_t args = arguments(tensors, NULL);
    lossfn_gradient_report_t report;
    const lossfn_input_info_t inputs[] = {
        {.struct_size = sizeof *inputs, .name = "pred", .scale = LOSSFN_SCALE_REAL, .differentiable = 1},
        {.struct_size = sizeof *inputs, .name = "target", .scale = LOSSFN_SCALE_REAL, .differentiable = 1}};
    lossfn_vtable_t table;
    lossfn_accumulator_t *sum = NULL;
    lossfn_t *loss = NULL;
    memset(&report, 0, sizeof report);
    report.struct_size = sizeof report;
    lossfn_vtable_init(&table);
    table.run = nothing, table.inputs = inputs, table.n_inputs = 2;
    assert_int_equal(lossfn_create_custom(&loss, &table, NULL, NULL, NULL), LOSSFN_OK);
    assert_int_equal(lossfn_check_gradient(loss, &args, &report), LOSSFN_OK);
    assert_true(report.agrees);
    assert_int_equal(report.compared, 6);
    assert_int_equal(lossfn_accumulator_create(&sum, loss), LOSSFN_ERROR_UNSUPPORTED);
    assert_null(sum);
    lossfn_destroy(loss);
    loss = make(distance, 0); /* what is computed batch by batch can */
    assert_int_equal(lossfn_accumulator_create(&sum, loss), LOSSFN_OK);
    lossfn_accumulator_destroy(sum);
    lossfn_destroy(loss);
}

/* A choice that a spec would not read back bare is quoted, with the quote that is not in it. */
static void words_in_specs(void **unused) {
    (void)unused;
    static const char *const specs[] = {"acme.words(mode=\"far away\")", "acme.words(mode='so \"far\"')", "acme.words",
                                        "acme.words(base=e)"};
    const lossfn_param_info_t params[] = {{.struct_size = sizeof *params,
                                           .name = "mode",
                                           .choices = "near, far away, so \"far\"",
                                           .default_value = "near",
                                           .type = LOSSFN_PARAM_CHOICE},
                                          {.struct_size = sizeof *params,
                                           .name = "base",
                                           .default_value = "2",
                                           .type = LOSSFN_PARAM_DOUBLE,
                                           .lower = 1,
                                           .upper = 10}};
    lossfn_vtable_t table;
    lossfn_vtable_init(&table);
    table.elementwise = distance;
    table.params = params, table.n_params = 2;
    assert_int_equal(lossfn_register("acme.words", &table, NULL, NULL), LOSSFN_OK);
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        char text[200];
        lossfn_t *loss = NULL;
        assert_int_equal(lossfn_create(&loss, specs[i]), LOSSFN_OK);
        lossfn_spec(loss, text, sizeof text);
        assert_string_equal(text, specs[i]);
        lossfn_destroy(loss);
    }
    assert_int_equal(lossfn_unregister("acme.words"), LOSSFN_OK);
}

/* log of pred, which is no number below 0; its slope is none at 1 either, where the value is. */
static lossfn_status_t logarithm(const lossfn_block_t *block) {
    const double *x = block->inputs[0];
    double *values = block->values, *grads = block->grads[0], *hess = block->hess;
    for (int64_t i = 0; i < block->count; i++) {
        if (values) values[i] = x[i] < 0 ? NAN : log(x[i]);
        if (grads) grads[i] = x[i] < 0 || x[i] == 1 ? NAN : 1 / x[i];
        if (hess) hess[i] = x[i] < 0 ? NAN : -1 / (x[i] * x[i]);
    }
    return LOSSFN_OK;
}

enum { NUMBERS = 5 };
typedef struct {
    double value, values[NUMBERS], grad[NUMBERS], hess[NUMBERS];
    uint32_t notes;
    int64_t note_index;
} results_t;

/* Of log over -1, 1, 2, 0, 4, the first of which has this weight and mask. */
static results_t of_logarithm(const char *reduction, double weight, uint8_t mask) {
    static const double x[NUMBERS] = {-1, 1, 2, 0, 4};
    const double weights[NUMBERS] = {weight, 1, 1, 1, 1};
    const uint8_t masks[NUMBERS] = {mask, 1, 1, 1, 1};
    const int64_t shape[] = {NUMBERS};
    results_t got;
    lossfn_tensor_t in, weight_in, mask_in, values, grad, hess;
    lossfn_args_t args;
    lossfn_vtable_t table;
    lossfn_options_t *options = NULL;
    lossfn_t *loss = NULL;
    lossfn_vtable_init(&table);
    table.elementwise = logarithm, table.flags = LOSSFN_VTABLE_GRAD | LOSSFN_VTABLE_HESS;
    assert_int_equal(lossfn_options_create(&options), LOSSFN_OK);
    assert_int_equal(lossfn_options_set_string(options, "reduction", reduction), LOSSFN_OK);
    assert_int_equal(lossfn_create_custom(&loss, &table, NULL, NULL, options), LOSSFN_OK);
    lossfn_options_destroy(options);
    assert_int_equal(lossfn_tensor_init_const(&in, x, LOSSFN_F64, 1, shape), LOSSFN_OK);
    assert_int_equal(lossfn_tensor_init_const(&weight_in, weights, LOSSFN_F64, 1, shape), LOSSFN_OK);
    assert_int_equal(lossfn_tensor_init_const(&mask_in, masks, LOSSFN_U8, 1, shape), LOSSFN_OK);
    assert_int_equal(lossfn_tensor_init(&values, got.values, LOSSFN_F64, 1, shape), LOSSFN_OK);
    assert_int_equal(lossfn_tensor_init(&grad, got.grad, LOSSFN_F64, 1, shape), LOSSFN_OK);
    assert_int_equal(lossfn_tensor_init(&hess, got.hess, LOSSFN_F64, 1, shape), LOSSFN_OK);
    lossfn_args_init(&args);
    args.n_inputs = 2;
    args.inputs[0] = args.inputs[1] = &in;
    args.weight = &weight_in, args.mask = &mask_in;
    args.value = &got.value, args.values = &values, args.grads[0] = &grad, args.hess = &hess;
    assert_int_equal(lossfn_run(loss, &args), LOSSFN_OK);
    got.notes = args.notes, got.note_index = args.note_index;
    lossfn_destroy(loss);
    return got;
}

/* A NaN that a kernel gives stays where it is, and in what is made of it; it is no fault of the domain, of which the
 * library knows nothing. An infinity is a number. */
static void numbers_that_are_none(void **unused) {
    (void)unused;
    results_t got = of_logarithm("sum", 2, 1);
    assert_int_equal(got.notes, 0);
    assert_int_equal(got.note_index, -1);
    assert_true(isnan(got.value));
    assert_true(isnan(got.values[0]) && isnan(got.grad[0]) && isnan(got.hess[0]));
    assert_true(got.values[1] == 0 && isnan(got.grad[1]) && got.hess[1] == -1);
    assert_true(got.values[2] == log(2) && got.grad[2] == 0.5 && got.hess[2] == -0.25);
    assert_true(got.values[3] == -INFINITY && got.grad[3] == INFINITY && got.hess[3] == -INFINITY);
    assert_true(got.values[4] == log(4) && got.grad[4] == 0.25 && got.hess[4] == -0.0625);
    got = of_logarithm("mean", 2, 1); /* of a total weight of 6 */
    assert_true(isnan(got.value) && isnan(got.grad[0]) && isnan(got.grad[1]));
    assert_true(got.grad[2] == 0.5 * (1.0 / 6) || got.grad[2] == 0.5 / 6);
    /* What is not kept has no part in it: the kernel is not asked. */
    for (int by_mask = 0; by_mask < 2; by_mask++) {
        got = of_logarithm("sum", by_mask ? 2 : 0, by_mask ? 0 : 1);
        assert_int_equal(got.notes, 0);
        assert_true(got.value == -INFINITY);
        assert_true(got.values[0] == 0 && got.grad[0] == 0 && got.hess[0] == 0);
        assert_true(got.values[1] == 0 && isnan(got.grad[1]));
    }
}

/* It fails when it has done some. */
static int64_t done;
static lossfn_status_t failing_later(const lossfn_block_t *block) {
    double *values = block->values;
    for (int64_t i = 0; i < block->count; i++)
        if (values) values[i] = 1;
    done += block->count;
    return done > 3000 ? lossfn_call_fail(block->call, LOSSFN_ERROR_MEMORY, "no more") : LOSSFN_OK;
}

static void failures_half_way(void **unused) {
    (void)unused;
    enum { MANY = 10000 };
    static double zeros[MANY];
    const int64_t shape[] = {MANY}, few[] = {100};
    lossfn_tensor_t in;
    lossfn_args_t args;
    lossfn_accumulator_t *sum = NULL;
    lossfn_t *loss = make(failing_later, 0);
    double value = -1;
    char message[64] = "";
    lossfn_args_init(&args);
    args.n_inputs = 2;
    args.inputs[0] = args.inputs[1] = &in;
    args.value = &value, args.message = message, args.message_capacity = sizeof message;
    assert_int_equal(lossfn_accumulator_create(&sum, loss), LOSSFN_OK);
    assert_int_equal(lossfn_tensor_init_const(&in, zeros, LOSSFN_F64, 1, few), LOSSFN_OK);
    done = 0;
    assert_int_equal(lossfn_accumulator_update(sum, &args), LOSSFN_OK);
    assert_true(value == 1);
    assert_int_equal(lossfn_tensor_init_const(&in, zeros, LOSSFN_F64, 1, shape), LOSSFN_OK);
    assert_int_equal(lossfn_run(loss, &args), LOSSFN_ERROR_MEMORY);
    assert_true(done > 3000 && done < MANY); /* and it is not called again */
    assert_non_null(strstr(message, "no more"));
    done = 0;
    assert_int_equal(lossfn_accumulator_update(sum, &args), LOSSFN_ERROR_MEMORY);
    double total = -1, count = -1;
    assert_int_equal(lossfn_accumulator_parts(sum, 0, &total, &count), LOSSFN_OK);
    assert_true(total == 100 && count == 100); /* nothing was added */
    done = 0;
    assert_int_equal(lossfn_tensor_init_const(&in, zeros, LOSSFN_F64, 1, few), LOSSFN_OK);
    assert_int_equal(lossfn_run(loss, &args), LOSSFN_OK);
    assert_true(value == 1);
    lossfn_accumulator_destroy(sum);
    lossfn_destroy(loss);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(failures_of_a_kernel),
                                       cmocka_unit_test(gradients_that_are_not_given),
                                       cmocka_unit_test(gradients_that_are_not_finite),
                                       cmocka_unit_test(hessians_without_gradients),
                                       cmocka_unit_test(hessians_that_are_not_there),
                                       cmocka_unit_test(what_does_everything_itself),
                                       cmocka_unit_test(words_in_specs),
                                       cmocka_unit_test(numbers_that_are_none),
                                       cmocka_unit_test(failures_half_way)};
    return cmocka_run_group_tests_name("extend", tests, NULL, NULL);
}
