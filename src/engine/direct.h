/* SPDX-License-Identifier: MIT
 * The everyday call, without a plan: one built-in loss on contiguous tensors of one dtype and shape (or labels, for
 * rows with the class axis last), its mean or sum with derivatives with respect to pred, on the calling thread. It
 * costs tens of nanoseconds where a plan for everything that a call can ask for costs hundreds; the kernels and so the
 * bits are the same. */
#ifndef LOSSFN_ENGINE_DIRECT_H
#define LOSSFN_ENGINE_DIRECT_H

#include "core/handle.h"
#include "engine/exact.h"

typedef struct lossfn__direct {
    const lossfn_t *loss;
    int64_t n, cols;                       /* elements, and how many make a unit: 1, or the classes of a row */
    const void *inputs[LOSSFN_MAX_INPUTS]; /* NULL: the constant of the same number, or the labels */
    const void *labels;                    /* one per row, or NULL */
    int32_t label_dtype;
    int32_t is_double, want; /* LOSSFN__WANT_VALUE, _GRAD or _HESS */
    void *grad, *hess;
    /* What the engine finds. */
    int64_t kept;      /* units */
    int64_t fault;     /* first element outside the domain, or -1 */
    int is_double_sum; /* of the values: it is double_sum, and sum is not set */
    double double_sum;
    lossfn__exact_t sum;
} lossfn__direct_t;

/* What is asked of a call, if that is all of it. */
typedef struct {
    const lossfn_tensor_t *const *inputs;
    int32_t n_inputs;
    const lossfn_tensor_t *grad, *hess; /* of pred, or NULL */
} lossfn__asked_t;

/* Whether this is such a call; then *call describes it. */
int lossfn__direct_make(lossfn__direct_t *call, const lossfn_t *loss, const lossfn__asked_t *asked);

/* What the derivatives are multiplied with, and a mean divides by. */
static inline int64_t lossfn__direct_count(const lossfn__direct_t *call) {
    return call->loss->reduction == LOSSFN__SUM        ? 1
           : call->loss->reduction == LOSSFN__MEAN_ALL ? call->n / call->cols
                                                       : call->kept;
}

#endif
