/* SPDX-License-Identifier: MIT
 * Single numbers of any dtype. */
#include "engine/half.h"
#include "engine/plan.h"

void lossfn__store_double(void *to, int32_t dtype, double x) {
    switch (dtype) {
    case LOSSFN_F64:
        *(double *)to = x;
        break;
    case LOSSFN_F32:
        *(float *)to = (float)x;
        break;
    case LOSSFN_F16:
        *(uint16_t *)to = double_to_16(x, 10, 5);
        break;
    case LOSSFN_BF16:
        *(uint16_t *)to = double_to_16(x, 7, 8);
        break;
    }
}

void lossfn__load_double(const void *from, int32_t dtype, double *x) {
    switch (dtype) {
    case LOSSFN_F64:
        *x = *(const double *)from;
        break;
    case LOSSFN_F32:
        *x = (double)*(const float *)from;
        break;
    case LOSSFN_F16:
        *x = (double)half_to_float(*(const uint16_t *)from);
        break;
    case LOSSFN_BF16:
        *x = (double)bfloat_to_float(*(const uint16_t *)from);
        break;
    case LOSSFN_BOOL:
        *x = *(const uint8_t *)from != 0;
        break;
#define LOAD(code, type)                                                                                               \
    case code:                                                                                                         \
        *x = (double)*(const type *)from;                                                                              \
        break;
        LOSSFN__INTEGER_TYPES(LOAD)
#undef LOAD
    }
}

double lossfn__element(const lossfn_tensor_t *t, int64_t i) {
    double x = 0;
    int64_t offset = 0, next = 1;
    for (int32_t d = t->ndim - 1; d >= 0; d--) {
        offset += i % t->shape[d] * (t->flags & LOSSFN_TENSOR_STRIDED ? t->strides[d] : next);
        next *= t->shape[d];
        i /= t->shape[d];
    }
    lossfn__load_double((const char *)t->data + offset * lossfn_dtype_size(t->dtype), t->dtype, &x);
    return x;
}
