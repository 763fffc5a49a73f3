/* SPDX-License-Identifier: MIT
 * Data types, and tensors as they are made. */
#ifndef LOSSFN_CORE_TENSOR_H
#define LOSSFN_CORE_TENSOR_H

#include "lossfn/lossfn.h"

typedef struct {
    const char *name;
    int32_t size;
} lossfn__dtype_t;

/* NULL for a number that is no dtype. */
const lossfn__dtype_t *lossfn__dtype(int32_t dtype);
/* Checks what an init function gets and fills the tensor; strides NULL means contiguous. */
lossfn_status_t lossfn__tensor_fill(lossfn_tensor_t *tensor, void *data, int32_t dtype, int32_t ndim,
                                    const int64_t *shape, const int64_t *strides, uint32_t flags);

/* How many elements it has; extents may be huge where another one is 0. */
int64_t lossfn__tensor_count(const lossfn_tensor_t *t);
/* Whether a tensor that somebody else filled in is one: a dtype, a shape that memory could hold, data where there must
 * be some. */
lossfn_status_t lossfn__tensor_check(const char *name, const lossfn_tensor_t *t);

#endif
