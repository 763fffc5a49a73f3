/* SPDX-License-Identifier: MIT
 * Between tensors of any layout and dtype and contiguous blocks of REAL. Included once per instruction set and dtype.
 */
#ifndef LOSSFN_ENGINE_STAGE_H
#define LOSSFN_ENGINE_STAGE_H

#include <string.h>
#include "engine/half.h"
#include "engine/plan.h"
#include "simd/vec.h"

#ifdef LOSSFN_REAL_F32
#define REAL_DTYPE LOSSFN_F32
#else
#define REAL_DTYPE LOSSFN_F64
#endif

#define NO_INLINE static __attribute__((noinline, unused))

/* Loads a vector from at[i]; lanes at or past n read as fill. */
INLINE V load_some(const REAL *at, int64_t i, int64_t n, REAL fill) {
    if (__builtin_expect(i + LANES <= n, 1)) return v_load(at + i);
    return v_load_first(at + i, (int)(n - i), v_set((double)fill));
}

INLINE void store_some(REAL *at, int64_t i, int64_t n, V x) {
    if (__builtin_expect(i + LANES <= n, 1))
        v_store(at + i, x);
    else
        v_store_first(at + i, (int)(n - i), x);
}

/* ---- Halves, a vector at a time: half.h has the same for single numbers ---- */

#ifdef LOSSFN_REAL_F32
typedef uint16_t u16v __attribute__((vector_size(VECTOR_BYTES / 2)));

INLINE V bfloat_load(const uint16_t *from) {
    u16v h;
    memcpy(&h, from, sizeof h);
    return (V)(__builtin_convertvector(h, U) << 16);
}

INLINE V half_load(const uint16_t *from) {
    u16v h;
    memcpy(&h, from, sizeof h);
    const U bits = __builtin_convertvector(h, U), magnitude = (bits & 0x7fff) << 13;
    const M special = (M)(magnitude >= (U)i_set(0x7c00 << 13));
    V x = v_select(special, (V)(magnitude | 0x7f800000), (V)magnitude * v_set(0x1p112)); /* subnormals as well */
    return (V)((U)x | (bits & 0x8000) << 16);
}

INLINE void bfloat_store(uint16_t *to, V x) {
    const U bits = (U)x, rounded = bits + 0x7fff + (bits >> 16 & 1), nan = (bits & 0x80000000u) | 0x7fc00000;
    const u16v h = __builtin_convertvector((U)i_select(v_isnan(x), (I)nan, (I)rounded) >> 16, u16v);
    memcpy(to, &h, sizeof h);
}

INLINE void half_store(uint16_t *to, V x) {
    const V a = v_abs(x), half = v_set(0.5);
    const U bits = (U)a, normal = ((bits + 0xfff + (bits >> 13 & 1)) >> 13) - (112 << 10);
    const U subnormal = (U)(a + half) - (U)half; /* rounded to the steps of the smallest number */
    I h = i_select(a < v_set(0x1p-14), (I)subnormal, (I)normal);
    h = i_select(a >= v_set(65520), i_set(0x7c00), h);
    h = i_select(v_isnan(x), i_set(0x7e00), h);
    const u16v packed = __builtin_convertvector((U)h | ((U)x >> 16 & 0x8000), u16v);
    memcpy(to, &packed, sizeof packed);
}
#endif

/* n elements from `from`, `step` apart, to REAL. */
static void load_run(REAL *restrict to, const char *from, int32_t dtype, int64_t step, int64_t n) {
    int64_t done = 0; /* by vectors */
#ifdef LOSSFN_REAL_F32
    if (step == 1 && dtype == LOSSFN_BF16)
        for (; done + LANES <= n; done += LANES) v_store(to + done, bfloat_load((const uint16_t *)from + done));
    if (step == 1 && dtype == LOSSFN_F16)
        for (; done + LANES <= n; done += LANES) v_store(to + done, half_load((const uint16_t *)from + done));
#endif
    if (step == 1 && dtype == REAL_DTYPE) {
        memcpy(to, from, (size_t)n * sizeof(REAL));
        return;
    }
    switch (dtype) {
    case LOSSFN_F64:
        for (int64_t i = 0; i < n; i++) to[i] = (REAL)((const double *)from)[i * step];
        break;
    case LOSSFN_F32:
        for (int64_t i = 0; i < n; i++) to[i] = (REAL)((const float *)from)[i * step];
        break;
    case LOSSFN_F16:
        for (int64_t i = done; i < n; i++) to[i] = (REAL)half_to_float(((const uint16_t *)from)[i * step]);
        break;
    case LOSSFN_BF16:
        for (int64_t i = done; i < n; i++) to[i] = (REAL)bfloat_to_float(((const uint16_t *)from)[i * step]);
        break;
    case LOSSFN_BOOL:
        if (step == 1)
            for (int64_t i = 0; i < n; i++) to[i] = (REAL)(((const uint8_t *)from)[i] != 0);
        else
            for (int64_t i = 0; i < n; i++) to[i] = (REAL)(((const uint8_t *)from)[i * step] != 0);
        break;
#define STAGE_LOAD(code, type)                                                                                         \
    case code:                                                                                                         \
        if (step == 1)                                                                                                 \
            for (int64_t i = 0; i < n; i++) to[i] = (REAL)((const type *)from)[i];                                     \
        else                                                                                                           \
            for (int64_t i = 0; i < n; i++) to[i] = (REAL)((const type *)from)[i * step];                              \
        break;
        LOSSFN__INTEGER_TYPES(STAGE_LOAD)
#undef STAGE_LOAD
    }
}

static void store_run(char *to, int32_t dtype, int64_t step, const REAL *restrict from, int64_t n) {
    int64_t done = 0; /* by vectors */
#ifdef LOSSFN_REAL_F32
    if (step == 1 && dtype == LOSSFN_BF16)
        for (; done + LANES <= n; done += LANES) bfloat_store((uint16_t *)to + done, v_load(from + done));
    if (step == 1 && dtype == LOSSFN_F16)
        for (; done + LANES <= n; done += LANES) half_store((uint16_t *)to + done, v_load(from + done));
#endif
    if (step == 1 && dtype == REAL_DTYPE) {
        memcpy(to, from, (size_t)n * sizeof(REAL));
        return;
    }
    switch (dtype) {
    case LOSSFN_F64:
        for (int64_t i = 0; i < n; i++) ((double *)to)[i * step] = (double)from[i];
        break;
    case LOSSFN_F32:
        for (int64_t i = 0; i < n; i++) ((float *)to)[i * step] = (float)from[i];
        break;
    case LOSSFN_F16:
        for (int64_t i = done; i < n; i++) ((uint16_t *)to)[i * step] = double_to_16((double)from[i], 10, 5);
        break;
    case LOSSFN_BF16:
        for (int64_t i = done; i < n; i++) ((uint16_t *)to)[i * step] = double_to_16((double)from[i], 7, 8);
        break;
    }
}

/* Walks the leading indices [begin, begin + n) of a view in straight runs: visit(offset in elements, step, done,
 * count). */
#define FOR_RUNS(view, begin, n, offset, step, done, count)                                                            \
    for (int64_t done = 0, count, offset, step;                                                                        \
         done < (n) && run_at(view, (begin) + done, (n)-done, &offset, &step, &count); done += count)

static inline int run_at(const lossfn__view_t *view, int64_t i, int64_t left, int64_t *offset, int64_t *step,
                         int64_t *count) {
    if (view->ndim == 0) {
        *offset = 0, *step = 0, *count = left;
        return 1;
    }
    int32_t last = view->ndim - 1;
    int64_t in_run = view->shape[last] - (view->ndim == 1 ? i : i % view->shape[last]);
    *offset = lossfn__view_offset(view, i);
    *step = view->strides[last];
    *count = in_run < left ? in_run : left;
    return 1;
}

NO_INLINE void gather(REAL *to, const lossfn__view_t *view, int64_t begin, int64_t n) {
    FOR_RUNS(view, begin, n, offset, step, done, count)
    load_run(to + done, view->data + offset * view->item, view->dtype, step, count);
}

NO_INLINE void scatter(const lossfn__view_t *view, int64_t begin, const REAL *from, int64_t n) {
    FOR_RUNS(view, begin, n, offset, step, done, count)
    store_run(view->data + offset * view->item, view->dtype, step, from + done, count);
}

/* The elements [begin, begin + n) where they lie, if they lie as REAL in a straight line, else NULL. */
static inline REAL *in_place(const lossfn__view_t *view, int64_t begin) {
    if (view->dtype == REAL_DTYPE && view->ndim == 1 && view->strides[0] == 1) return (REAL *)view->data + begin;
    return NULL;
}

/* The same for the classes [first, first + n) of a row. */
static inline const REAL *row_classes(const lossfn__view_t *view, int64_t row, int64_t first, int64_t n, REAL *buffer) {
    char *from = view->data + (lossfn__view_offset(view, row) + first * view->class_stride) * view->item;
    if (view->dtype == REAL_DTYPE && view->class_stride == 1) return (const REAL *)from;
    load_run(buffer, from, view->dtype, view->class_stride, n);
    return buffer;
}

static inline void store_classes(const lossfn__view_t *view, int64_t row, int64_t first, const REAL *from, int64_t n) {
    char *to = view->data + (lossfn__view_offset(view, row) + first * view->class_stride) * view->item;
    if ((const char *)from != to) store_run(to, view->dtype, view->class_stride, from, n);
}

static inline REAL load_one(const lossfn__view_t *view, int64_t i) {
    REAL x;
    load_run(&x, view->data + lossfn__view_offset(view, i) * view->item, view->dtype, 0, 1);
    return x;
}

/* A label as int64; floats must be integral. Returns 0 when it is no integer that fits. */
static inline int load_label(const lossfn__view_t *view, int64_t i, int64_t *label, double *shown) {
    const char *from = view->data + lossfn__view_offset(view, i) * view->item;
    switch (view->dtype) {
#define STAGE_LABEL(code, type)                                                                                        \
    case code: {                                                                                                       \
        type x = *(const type *)from;                                                                                  \
        *shown = (double)x;                                                                                            \
        *label = (int64_t)x;                                                                                           \
        return code != LOSSFN_U64 || *label >= 0;                                                                      \
    }
        LOSSFN__INTEGER_TYPES(STAGE_LABEL)
#undef STAGE_LABEL
    case LOSSFN_BOOL:
        *label = *(const uint8_t *)from != 0;
        *shown = (double)*label;
        return 1;
    case LOSSFN_F64:
        *shown = *(const double *)from;
        break;
    case LOSSFN_F32:
        *shown = (double)*(const float *)from;
        break;
    case LOSSFN_F16:
        *shown = (double)half_to_float(*(const uint16_t *)from);
        break;
    case LOSSFN_BF16:
        *shown = (double)bfloat_to_float(*(const uint16_t *)from);
        break;
    }
    if (!(*shown > -0x1p62 && *shown < 0x1p62)) return 0;
    *label = (int64_t)*shown;
    return (double)*label == *shown;
}

#endif
