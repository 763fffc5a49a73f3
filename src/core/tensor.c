/* SPDX-License-Identifier: MIT */
#include <stddef.h>
#include "core/tensor.h"
#include "core/status.h"

/* The layout is part of the ABI: bindings and FFI callers write it down. */
_Static_assert(sizeof(void *) != 8 || sizeof(lossfn_tensor_t) == 192, "lossfn_tensor_t has no hidden padding");

static const lossfn__dtype_t table[] = {
    [LOSSFN_F64] = {"float64", 8},   [LOSSFN_F32] = {"float32", 4}, [LOSSFN_F16] = {"float16", 2},
    [LOSSFN_BF16] = {"bfloat16", 2}, [LOSSFN_I8] = {"int8", 1},     [LOSSFN_I16] = {"int16", 2},
    [LOSSFN_I32] = {"int32", 4},     [LOSSFN_I64] = {"int64", 8},   [LOSSFN_U8] = {"uint8", 1},
    [LOSSFN_U16] = {"uint16", 2},    [LOSSFN_U32] = {"uint32", 4},  [LOSSFN_U64] = {"uint64", 8},
    [LOSSFN_BOOL] = {"bool", 1},
};

const lossfn__dtype_t *lossfn__dtype(int32_t dtype) {
    return dtype >= LOSSFN_F64 && dtype <= LOSSFN_BOOL ? &table[dtype] : NULL;
}

/* Extents at least 0, and no more bytes than an int64 counts. */
static lossfn_status_t check_shape(int32_t ndim, const int64_t *shape, int32_t item) {
    char text[LOSSFN__SHAPE_TEXT];
    int64_t most = INT64_MAX / item;
    int empty = 0;
    for (int32_t i = 0; i < ndim; i++) {
        LOSSFN__REQUIRE(shape[i] >= 0, LOSSFN_ERROR_SHAPE, "shape %s has an extent below 0",
                        lossfn__format_shape(ndim, shape, text));
        empty = empty || shape[i] == 0;
    }
    for (int32_t i = 0; i < ndim && !empty; i++) {
        LOSSFN__REQUIRE(shape[i] <= most, LOSSFN_ERROR_SHAPE, "shape %s of items of %d bytes exceeds 2^63-1 bytes",
                        lossfn__format_shape(ndim, shape, text), (int)item);
        most /= shape[i];
    }
    return LOSSFN_OK;
}

/* Strides are always filled, so that they can be read without looking at the flags. */
static void contiguous_strides(lossfn_tensor_t *tensor) {
    int64_t step = 1;
    for (int32_t i = tensor->ndim; i-- > 0;) {
        tensor->strides[i] = step;
        int64_t n = tensor->shape[i];
        if (n > 1 && step <= INT64_MAX / n) step *= n; /* beyond only when another extent is 0 */
    }
}

lossfn_status_t lossfn__tensor_fill(lossfn_tensor_t *tensor, void *data, int32_t dtype, int32_t ndim,
                                    const int64_t *shape, const int64_t *strides, uint32_t flags) {
    const lossfn__dtype_t *type = lossfn__dtype(dtype);
    lossfn_tensor_t made = {.data = data, .dtype = dtype, .ndim = ndim, .device_type = LOSSFN_DEVICE_CPU};
    LOSSFN__REQUIRE(tensor, LOSSFN_ERROR_ARGUMENT, "tensor is NULL");
    LOSSFN__REQUIRE(ndim >= 0 && ndim <= LOSSFN_MAX_DIMS, LOSSFN_ERROR_ARGUMENT, "ndim is %d, must be 0 to %d", ndim,
                    LOSSFN_MAX_DIMS);
    LOSSFN__REQUIRE(type, LOSSFN_ERROR_DTYPE, "dtype is %d, must be a lossfn_dtype (1 to %d)", dtype, LOSSFN_BOOL);
    LOSSFN__REQUIRE(shape || ndim == 0, LOSSFN_ERROR_ARGUMENT, "shape is NULL, ndim is %d", ndim);
    LOSSFN__TRY(check_shape(ndim, shape, type->size));
    for (int32_t i = 0; i < ndim; i++) made.shape[i] = shape[i];
    contiguous_strides(&made);
    for (int32_t i = 0; strides && i < ndim; i++) made.strides[i] = strides[i];
    made.flags = flags | (strides ? (uint32_t)LOSSFN_TENSOR_STRIDED : 0);
    *tensor = made;
    return LOSSFN_OK;
}

int64_t lossfn__tensor_count(const lossfn_tensor_t *t) {
    int64_t n = 1;
    for (int32_t d = 0; d < t->ndim; d++)
        if (t->shape[d] == 0) return 0; /* beside it the others may be anything */
    for (int32_t d = 0; d < t->ndim; d++) n *= t->shape[d];
    return n;
}

lossfn_status_t lossfn__tensor_check(const char *name, const lossfn_tensor_t *t) {
    int64_t n = 1, item = lossfn_dtype_size(t->dtype);
    LOSSFN__REQUIRE(item > 0, LOSSFN_ERROR_DTYPE, "%s has dtype %d, which is none", name, (int)t->dtype);
    LOSSFN__REQUIRE(t->ndim >= 0 && t->ndim <= LOSSFN_MAX_DIMS, LOSSFN_ERROR_ARGUMENT,
                    "%s has %d dimensions, at most 8 are possible", name, (int)t->ndim);
    LOSSFN__REQUIRE(t->device_type == LOSSFN_DEVICE_CPU || t->device_type == 0, LOSSFN_ERROR_ARGUMENT,
                    "%s lies on a device of type %d, only the CPU (1) is possible", name, (int)t->device_type);
    for (int32_t d = 0; d < t->ndim; d++)
        LOSSFN__REQUIRE(t->shape[d] >= 0, LOSSFN_ERROR_SHAPE, "%s has extent %lld along axis %d", name,
                        (long long)t->shape[d], (int)d);
    for (int32_t d = 0; d < t->ndim; d++)
        if (t->shape[d] == 0) return LOSSFN_OK;
    for (int32_t d = 0; d < t->ndim; d++) {
        LOSSFN__REQUIRE(t->shape[d] <= INT64_MAX / item / n, LOSSFN_ERROR_SHAPE, "%s has more than 2^63 - 1 bytes",
                        name);
        n *= t->shape[d];
    }
    LOSSFN__REQUIRE(t->data != NULL, LOSSFN_ERROR_ARGUMENT, "%s.data is NULL, but it has %lld elements", name,
                    (long long)n);
    LOSSFN__REQUIRE((uintptr_t)t->data % (uintptr_t)item == 0, LOSSFN_ERROR_ARGUMENT,
                    "%s.data is not aligned to its %d-byte elements", name, (int)item);
    return LOSSFN_OK;
}
