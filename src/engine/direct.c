/* SPDX-License-Identifier: MIT */
#include "engine/direct.h"

#include <string.h>
#include "engine/want.h"

/* Inlined: a handful of tensors are looked at by each call. */
#define INLINE static inline __attribute__((always_inline))

/* More elements may be shared among threads, and do not notice what a plan costs. */
enum { MOST = 1 << 15 };

/* Whether both have the same dtype and number of axes, which lie side by side. */
INLINE int is_same_kind(const lossfn_tensor_t *a, const lossfn_tensor_t *b) {
    uint64_t x, y;
    _Static_assert(offsetof(lossfn_tensor_t, ndim) == offsetof(lossfn_tensor_t, dtype) + 4, "side by side");
    memcpy(&x, &a->dtype, 8);
    memcpy(&y, &b->dtype, 8);
    return x == y;
}

INLINE int has_shape(const lossfn_tensor_t *t, const int64_t *shape, int32_t ndim) {
    uint64_t differ = 0;
    for (int32_t d = 0; d < ndim; d++) differ |= (uint64_t)(t->shape[d] ^ shape[d]);
    return differ == 0;
}

/* Whether the data is there, contiguous and aligned, with none of these flags. */
INLINE int is_plain(const lossfn_tensor_t *t, uintptr_t item, uint32_t flags) {
    _Static_assert(offsetof(lossfn_tensor_t, device_type) == offsetof(lossfn_tensor_t, flags) + 4, "side by side");
    _Static_assert(LOSSFN_DEVICE_CPU == 1, "0 and 1 are fine");
    const uint32_t refused[2] = {flags, ~1u};
    uint64_t bits, mask;
    memcpy(&bits, &t->flags, 8);
    memcpy(&mask, refused, 8);
    return !(bits & mask) && t->data && ((uintptr_t)t->data & (item - 1)) == 0;
}

INLINE int is_like(const lossfn_tensor_t *t, const lossfn_tensor_t *pred, uintptr_t item, uint32_t flags) {
    return is_same_kind(t, pred) && is_plain(t, item, flags) && has_shape(t, pred->shape, pred->ndim);
}

/* Whether `bytes` from a and `others` from b share none: the differences wrap. */
LOSSFN__WRAPS INLINE int is_apart(const void *a, uintptr_t bytes, const void *b, uintptr_t others) {
    const uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
    return (y - x >= bytes) & (x - y >= others);
}

/* Whether an output may be written; *on counts the inputs that it lies on. */
INLINE int is_output(const lossfn_tensor_t *out, const lossfn_tensor_t *pred, uintptr_t item, uintptr_t bytes,
                     const lossfn__direct_t *call, int32_t n_inputs, uintptr_t label_bytes, int *on) {
    if (!is_like(out, pred, item, LOSSFN_TENSOR_STRIDED | LOSSFN_TENSOR_READONLY)) return 0;
    for (int32_t j = 0; j < n_inputs; j++) {
        if (!call->inputs[j]) continue;
        if (out->data == call->inputs[j])
            ++*on;
        else if (!is_apart(out->data, bytes, call->inputs[j], bytes))
            return 0;
    }
    return !call->labels || is_apart(out->data, bytes, call->labels, label_bytes);
}

/* Whether a target holds labels, one for each row of pred. */
INLINE int is_labels(const lossfn_tensor_t *t, const lossfn_tensor_t *pred, uintptr_t *item) {
    *item = (uintptr_t)1 << ((t->dtype - LOSSFN_I8) & 3);
    return t->dtype >= LOSSFN_I8 && t->dtype <= LOSSFN_U64 && t->ndim == pred->ndim - 1 &&
           is_plain(t, *item, LOSSFN_TENSOR_STRIDED) && has_shape(t, pred->shape, t->ndim);
}

int lossfn__direct_make(lossfn__direct_t *call, const lossfn_t *loss, const lossfn__asked_t *asked) {
    if (!loss->is_direct || asked->n_inputs > loss->n_inputs || asked->n_inputs < 1) return 0;
    const lossfn_tensor_t *pred = asked->inputs[0], *grad = asked->grad, *hess = asked->hess;
    if (!pred || (pred->dtype != LOSSFN_F32 && pred->dtype != LOSSFN_F64) || (uint32_t)pred->ndim > LOSSFN_MAX_DIMS)
        return 0;
    const uintptr_t item = pred->dtype == LOSSFN_F64 ? 8 : 4;
    if (loss->needs_double && item == 4) return 0;
    if (!is_plain(pred, item, LOSSFN_TENSOR_STRIDED)) return 0;
    int64_t n = 1;
    for (int32_t d = 0; d < pred->ndim; d++) {
        if ((uint64_t)pred->shape[d] > MOST) return 0;
        n *= pred->shape[d];
        if (n > MOST) return 0;
    }
    if (n == 0) return 0;
    call->cols = 1;
    if (loss->unit == LOSSFN_UNIT_ROW) {
        if (pred->ndim == 0 || (loss->axis != -1 && loss->axis != pred->ndim - 1)) return 0;
        call->cols = pred->shape[pred->ndim - 1];
    }
    uintptr_t label_bytes = 0;
    call->inputs[0] = pred->data;
    call->inputs[1] = NULL; /* for rows, which may have no target */
    call->labels = NULL;
    for (int32_t j = 1; j < loss->n_inputs; j++) {
        const lossfn_tensor_t *t = j < asked->n_inputs ? asked->inputs[j] : NULL;
        call->inputs[j] = NULL;
        if (!t) {
            if (!loss->inputs[j].learnable) return 0;
            continue;
        }
        if (loss->inputs[j].learnable) return 0;
        if (is_like(t, pred, item, LOSSFN_TENSOR_STRIDED)) {
            call->inputs[j] = t->data;
        } else {
            if (loss->inputs[j].scale != LOSSFN_SCALE_LABEL || !is_labels(t, pred, &label_bytes)) return 0;
            label_bytes *= (uintptr_t)(n / call->cols);
            call->labels = t->data;
            call->label_dtype = t->dtype;
        }
    }
    const uintptr_t bytes = (uintptr_t)n * item;
    int on = 0;
    call->grad = call->hess = NULL;
    call->want = LOSSFN__WANT_VALUE;
    if (grad) {
        if (!is_output(grad, pred, item, bytes, call, loss->n_inputs, label_bytes, &on)) return 0;
        call->grad = grad->data;
        call->want = LOSSFN__WANT_GRAD;
    }
    if (hess) {
        if (!grad || !(loss->terms[0].definition->hess_kinds & 1u << LOSSFN_HESS_EXACT) ||
            !is_output(hess, pred, item, bytes, call, loss->n_inputs, label_bytes, &on) ||
            !is_apart(grad->data, bytes, hess->data, bytes))
            return 0;
        call->hess = hess->data;
        call->want = LOSSFN__WANT_HESS;
    }
    if (on > 1) return 0;
    call->loss = loss;
    call->n = n;
    call->is_double = item == 8;
    return 1;
}
