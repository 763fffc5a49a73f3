/* SPDX-License-Identifier: MIT
 * "Computing": lossfn_run and its shorter forms. */
#include <string.h>
#include "core/status.h"
#include "engine/run.h"

void lossfn_args_init(lossfn_args_t *args) {
    if (!args) return;
    memset(args, 0, sizeof *args);
    args->struct_size = sizeof *args;
    args->note_index = -1;
}

void lossfn_exec_init(lossfn_exec_t *exec) {
    if (!exec) return;
    memset(exec, 0, sizeof *exec);
    exec->struct_size = sizeof *exec;
    exec->threads = 1;
}

lossfn_status_t lossfn_run(const lossfn_t *loss, lossfn_args_t *args) { return lossfn__run(loss, args, NULL, NULL); }

static lossfn_status_t everyday(const lossfn_t *loss, const lossfn_tensor_t *pred, const lossfn_tensor_t *target,
                                const lossfn_tensor_t *weight, double *value, const lossfn_tensor_t *grad,
                                const lossfn_exec_t *exec) {
    const lossfn_tensor_t *inputs[2] = {pred, target};
    const lossfn__asked_t asked = {inputs, target ? 2 : 1, grad, NULL};
    if (!weight && !exec && lossfn__run_everyday(loss, &asked, value)) return LOSSFN_OK;
    lossfn_args_t args;
    lossfn_args_init(&args);
    args.n_inputs = target ? 2 : 1;
    args.inputs[0] = pred;
    args.inputs[1] = target;
    args.weight = weight;
    args.value = value;
    args.grads[0] = grad;
    args.exec = exec;
    return lossfn_run(loss, &args);
}

lossfn_status_t lossfn_forward(const lossfn_t *loss, const lossfn_tensor_t *pred, const lossfn_tensor_t *target,
                               const lossfn_tensor_t *weight, double *value, const lossfn_exec_t *exec) {
    LOSSFN__REQUIRE(value != NULL, LOSSFN_ERROR_ARGUMENT, "value is NULL");
    return everyday(loss, pred, target, weight, value, NULL, exec);
}

lossfn_status_t lossfn_backward(const lossfn_t *loss, const lossfn_tensor_t *pred, const lossfn_tensor_t *target,
                                const lossfn_tensor_t *weight, const lossfn_tensor_t *grad_pred,
                                const lossfn_exec_t *exec) {
    LOSSFN__REQUIRE(grad_pred != NULL, LOSSFN_ERROR_ARGUMENT, "grad_pred is NULL");
    return everyday(loss, pred, target, weight, NULL, grad_pred, exec);
}

lossfn_status_t lossfn_forward_backward(const lossfn_t *loss, const lossfn_tensor_t *pred,
                                        const lossfn_tensor_t *target, const lossfn_tensor_t *weight, double *value,
                                        const lossfn_tensor_t *grad_pred, const lossfn_exec_t *exec) {
    LOSSFN__REQUIRE(value != NULL, LOSSFN_ERROR_ARGUMENT, "value is NULL");
    LOSSFN__REQUIRE(grad_pred != NULL, LOSSFN_ERROR_ARGUMENT, "grad_pred is NULL");
    return everyday(loss, pred, target, weight, value, grad_pred, exec);
}

/* A weight or mask of the flat tier: 1 for all, one per row, or (losses of elements) one per element. */
static lossfn_status_t flat_weight(lossfn_tensor_t *tensor, const char *name, const void *data, int32_t dtype,
                                   int64_t length, int32_t unit, int64_t rows, int64_t cols) {
    int64_t shape[2] = {rows, unit == LOSSFN_UNIT_ROW || length != rows * cols ? 1 : cols};
    int per_row = length == rows, per_element = unit == LOSSFN_UNIT_ELEMENT && length == rows * cols;
    LOSSFN__REQUIRE(length == 1 || per_row || per_element, LOSSFN_ERROR_SHAPE,
                    unit == LOSSFN_UNIT_ROW ? "%s_len is %lld, it is 0, 1 or %lld (rows)"
                                            : "%s_len is %lld, it is 0, 1, %lld (rows) or %lld (elements)",
                    name, (long long)length, (long long)rows, (long long)(rows * cols));
    if (length == 1 && !(per_row && rows == 1)) return lossfn_tensor_init_const(tensor, data, dtype, 0, NULL);
    return lossfn_tensor_init_const(tensor, data, dtype, unit == LOSSFN_UNIT_ROW ? 1 : 2, shape);
}

static lossfn_status_t flat(const lossfn_t *loss, int32_t dtype, int64_t rows, int64_t cols, const void *pred,
                            const void *target, int32_t target_dtype, const void *weight, int64_t weight_len,
                            const uint8_t *mask, int64_t mask_len, double *value, void *values, int64_t values_len,
                            void *grad, void *hess) {
    LOSSFN__REQUIRE(loss != NULL, LOSSFN_ERROR_ARGUMENT, "loss is NULL");
    LOSSFN__REQUIRE(rows >= 0 && cols >= 0, LOSSFN_ERROR_SHAPE, "rows is %lld and cols %lld, they must be at least 0",
                    (long long)rows, (long long)cols);
    LOSSFN__REQUIRE(cols == 0 || rows <= INT64_MAX / 8 / cols, LOSSFN_ERROR_SHAPE,
                    "%lld rows of %lld have more than 2^63 - 1 bytes", (long long)rows, (long long)cols);
    int64_t shape[2] = {rows, cols}, unit_shape[2] = {rows, cols};
    lossfn_tensor_t tensors[8];
    lossfn_args_t args;
    int32_t unit = lossfn_unit(loss), unit_ndim = unit == LOSSFN_UNIT_ROW || loss->reduction == LOSSFN__PER_ROW ? 1 : 2;
    int integer = target_dtype >= LOSSFN_I8 && target_dtype <= LOSSFN_BOOL;
    lossfn_args_init(&args);
    LOSSFN__TRY(lossfn_tensor_init_const(&tensors[0], pred, dtype, 2, shape));
    args.inputs[0] = &tensors[0];
    args.n_inputs = 1;
    if (target || loss->n_inputs > 1) {
        int labels = unit == LOSSFN_UNIT_ROW && (integer || loss->inputs[1].per_row);
        LOSSFN__TRY(lossfn_tensor_init_const(&tensors[1], target, target_dtype, labels ? 1 : 2, shape));
        args.inputs[1] = &tensors[1];
        args.n_inputs = 2;
    }
    LOSSFN__REQUIRE(weight || weight_len == 0, LOSSFN_ERROR_ARGUMENT, "weight is NULL, but weight_len is %lld",
                    (long long)weight_len);
    LOSSFN__REQUIRE(mask || mask_len == 0, LOSSFN_ERROR_ARGUMENT, "mask is NULL, but mask_len is %lld",
                    (long long)mask_len);
    if (weight && weight_len + rows * cols > 0) {
        LOSSFN__TRY(flat_weight(&tensors[2], "weight", weight, dtype, weight_len, unit, rows, cols));
        args.weight = &tensors[2];
    }
    if (mask && mask_len + rows * cols > 0) {
        LOSSFN__TRY(flat_weight(&tensors[3], "mask", mask, LOSSFN_U8, mask_len, unit, rows, cols));
        args.mask = &tensors[3];
    }
    args.value = value;
    LOSSFN__REQUIRE(values || values_len == 0, LOSSFN_ERROR_ARGUMENT, "values is NULL, but values_len is %lld",
                    (long long)values_len);
    if (values) {
        int64_t units = unit_ndim == 1 ? rows : rows * cols;
        LOSSFN__REQUIRE(values_len == units, LOSSFN_ERROR_SHAPE, "values_len is %lld, there are %lld values",
                        (long long)values_len, (long long)units);
        LOSSFN__TRY(lossfn_tensor_init(&tensors[4], values, dtype, unit_ndim, unit_shape));
        args.values = &tensors[4];
    }
    if (grad) {
        LOSSFN__TRY(lossfn_tensor_init(&tensors[5], grad, dtype, 2, shape));
        args.grads[0] = &tensors[5];
    }
    if (hess) {
        LOSSFN__TRY(lossfn_tensor_init(&tensors[6], hess, dtype, 2, shape));
        args.hess = &tensors[6];
    }
    return lossfn_run(loss, &args);
}

lossfn_status_t lossfn_run_f32(const lossfn_t *loss, int64_t rows, int64_t cols, const float *pred, const void *target,
                               int32_t target_dtype, const float *weight, int64_t weight_len, const uint8_t *mask,
                               int64_t mask_len, double *value, float *values, int64_t values_len, float *grad,
                               float *hess) {
    return flat(loss, LOSSFN_F32, rows, cols, pred, target, target_dtype, weight, weight_len, mask, mask_len, value,
                values, values_len, grad, hess);
}

lossfn_status_t lossfn_run_f64(const lossfn_t *loss, int64_t rows, int64_t cols, const double *pred, const void *target,
                               int32_t target_dtype, const double *weight, int64_t weight_len, const uint8_t *mask,
                               int64_t mask_len, double *value, double *values, int64_t values_len, double *grad,
                               double *hess) {
    return flat(loss, LOSSFN_F64, rows, cols, pred, target, target_dtype, weight, weight_len, mask, mask_len, value,
                values, values_len, grad, hess);
}

int64_t lossfn_scratch_size(const lossfn_t *loss, const lossfn_args_t *args) {
    return loss && args ? lossfn__scratch_size(loss, args) : 0;
}
