/* SPDX-License-Identifier: MIT */
#include "engine/direct.h"

#include "engine/want.h"

/* Inlined: a handful of tensors are looked at by each call. */
#define INLINE static inline __attribute__((always_inline))

/* More elements may be shared among threads, and do not notice what a plan costs. */
enum { MOST = 1 << 15 };

/* Whether a tensor is contiguous, of pred's dtype and shape, aligned and not empty. */
INLINE int is_like(const lossfn_tensor_t *t, const lossfn_tensor_t *pred) {
    if (t->dtype != pred->dtype || t->ndim != pred->ndim || t->flags & LOSSFN_TENSOR_STRIDED) return 0;
    if ((uint32_t)t->device_type > LOSSFN_DEVICE_CPU || !t->data ||
        (uintptr_t)t->data % 8 % (pred->dtype == LOSSFN_F64 ? 8 : 4))
        return 0;
    for (int32_t d = 0; d < pred->ndim; d++)
        if (t->shape[d] != pred->shape[d]) return 0;
    return 1;
}

/* Whether `bytes` from either place share none, or all. */
INLINE int is_apart_or_on(const void *a, const void *b, uintptr_t bytes) {
    uintptr_t x = (uintptr_t)a, y = (uintptr_t)b, apart = x > y ? x - y : y - x;
    return apart == 0 || apart >= bytes;
}

int lossfn__direct_make(lossfn__direct_t *call, const lossfn_t *loss, const lossfn_args_t *args) {
    if (!loss->is_direct || args->n_inputs > loss->n_inputs || args->n_inputs < 1) return 0;
    if (args->weight || args->mask || args->upstream || args->values || args->components || args->hvp ||
        args->hvp_vector || args->denominator)
        return 0;
    const lossfn_tensor_t *pred = args->inputs[0], *grad = args->grads[0], *hess = args->hess;
    if (!pred || (pred->dtype != LOSSFN_F32 && pred->dtype != LOSSFN_F64) || (uint32_t)pred->ndim > LOSSFN_MAX_DIMS)
        return 0;
    if (!is_like(pred, pred)) return 0;
    int64_t n = 1;
    for (int32_t d = 0; d < pred->ndim; d++) {
        if (pred->shape[d] < 0 || pred->shape[d] > MOST) return 0;
        n *= pred->shape[d];
        if (n > MOST) return 0;
    }
    if (n == 0 || (hess && (!grad || args->hess_kind != LOSSFN_HESS_EXACT ||
                            !(loss->terms[0].definition->hess_kinds & 1u << LOSSFN_HESS_EXACT))))
        return 0;
    for (int j = 1; j < LOSSFN_MAX_INPUTS; j++)
        if (args->grads[j]) return 0;
    const uintptr_t bytes = (uintptr_t)n * (pred->dtype == LOSSFN_F64 ? 8 : 4);
    const lossfn_tensor_t *outputs[] = {grad, hess};
    for (int i = 0; i < 2; i++) {
        if (!outputs[i]) continue;
        if (outputs[i]->flags & LOSSFN_TENSOR_READONLY || !is_like(outputs[i], pred)) return 0;
    }
    if (grad && hess && !(is_apart_or_on(grad->data, hess->data, bytes) && grad->data != hess->data)) return 0;
    int on = 0; /* inputs that an output lies on */
    for (int32_t j = 0; j < loss->n_inputs; j++) {
        const lossfn_tensor_t *t = j < args->n_inputs ? args->inputs[j] : NULL;
        call->inputs[j] = NULL;
        if (!t) {
            if (!loss->inputs[j].learnable) return 0;
            call->constants[j] = loss->constant_inputs[j];
            continue;
        }
        if (loss->inputs[j].learnable || (j > 0 && !is_like(t, pred))) return 0;
        call->inputs[j] = t->data;
        for (int i = 0; i < 2; i++) {
            if (!outputs[i]) continue;
            if (!is_apart_or_on(outputs[i]->data, t->data, bytes)) return 0;
            on += outputs[i]->data == t->data;
        }
    }
    if (on > 1) return 0;
    call->term = &loss->terms[0];
    call->n = n;
    call->is_double = pred->dtype == LOSSFN_F64;
    call->n_inputs = loss->n_inputs;
    call->want = hess ? LOSSFN__WANT_HESS : grad ? LOSSFN__WANT_GRAD : LOSSFN__WANT_VALUE;
    call->grad = grad ? grad->data : NULL;
    call->hess = hess ? hess->data : NULL;
    call->fault = -1;
    lossfn__exact_clear(&call->sum);
    return 1;
}
