/* SPDX-License-Identifier: MIT */
#include <stddef.h>
#include "core/tensor.h"
#include "core/status.h"

int64_t lossfn_dtype_size(int32_t dtype) {
    const lossfn__dtype_t *type = lossfn__dtype(dtype);
    return type ? type->size : 0;
}

const char *lossfn_dtype_name(int32_t dtype) {
    const lossfn__dtype_t *type = lossfn__dtype(dtype);
    return type ? type->name : NULL;
}

lossfn_status_t lossfn_tensor_init(lossfn_tensor_t *tensor, void *data, int32_t dtype, int32_t ndim,
                                   const int64_t *shape) {
    return lossfn__tensor_fill(tensor, data, dtype, ndim, shape, NULL, 0);
}

lossfn_status_t lossfn_tensor_init_const(lossfn_tensor_t *tensor, const void *data, int32_t dtype, int32_t ndim,
                                         const int64_t *shape) {
    return lossfn__tensor_fill(tensor, (void *)(uintptr_t)data, dtype, ndim, shape, NULL, LOSSFN_TENSOR_READONLY);
}

lossfn_status_t lossfn_tensor_init_strided(lossfn_tensor_t *tensor, void *data, int32_t dtype, int32_t ndim,
                                           const int64_t *shape, const int64_t *strides, uint32_t flags) {
    const uint32_t known = LOSSFN_TENSOR_READONLY | LOSSFN_TENSOR_STRIDED;
    LOSSFN__REQUIRE(!(flags & ~known), LOSSFN_ERROR_ARGUMENT, "flags has unknown bits: %u", flags & ~known);
    LOSSFN__REQUIRE(strides || ndim == 0, LOSSFN_ERROR_ARGUMENT, "strides is NULL, ndim is %d", ndim);
    return lossfn__tensor_fill(tensor, data, dtype, ndim, shape, strides, flags & ~(uint32_t)LOSSFN_TENSOR_STRIDED);
}
