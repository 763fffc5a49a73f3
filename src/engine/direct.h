/* SPDX-License-Identifier: MIT
 * The everyday call, without a plan: one built-in loss of elements on contiguous tensors of one dtype and shape, its
 * mean or sum with derivatives with respect to pred, on the calling thread. It costs tens of nanoseconds where a plan
 * for everything that a call can ask for costs hundreds; the loops and so the bits are the same. */
#ifndef LOSSFN_ENGINE_DIRECT_H
#define LOSSFN_ENGINE_DIRECT_H

#include "core/handle.h"
#include "engine/exact.h"

typedef struct lossfn__direct {
    const lossfn__term_t *term;
    int64_t n;
    const void *inputs[LOSSFN_MAX_INPUTS]; /* NULL: the constant of the same number */
    double constants[LOSSFN_MAX_INPUTS];
    int32_t is_double, n_inputs, want; /* LOSSFN__WANT_VALUE, _GRAD or _HESS */
    void *grad, *hess;
    double scale;  /* of both */
    int64_t fault; /* first element outside the domain, or -1 */
    lossfn__exact_t sum;
} lossfn__direct_t;

/* Whether loss and arguments are such a call; then *call describes it, but for scale. */
int lossfn__direct_make(lossfn__direct_t *call, const lossfn_t *loss, const lossfn_args_t *args);

#endif
