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

OUT_OF_LINE void fill(REAL *to, REAL x, int64_t n) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) v_store(to + i, v_set((double)x));
    for (; i < n; i++) to[i] = x;
}

/* ---- Halves, a vector at a time: half.h has the same for single numbers ---- */

#ifdef LOSSFN_REAL_F32
INLINE V bfloat_load(const uint16_t *from) { return (V)(u_load(from, 2) << 16); }

INLINE V half_load(const uint16_t *from) {
#ifdef HAS_HALF_CONVERSIONS
    u16h h;
    memcpy(&h, from, sizeof h);
    return f32_from_halves(h);
#else
    const U bits = u_load(from, 2), magnitude = (bits & 0x7fff) << 13;
    const M special = (M)(magnitude >= (U)i_set(0x7c00 << 13));
    V x = v_select(special, (V)(magnitude | 0x7f800000), (V)magnitude * v_set(0x1p112)); /* subnormals as well */
    return (V)((U)x | (bits & 0x8000) << 16);
#endif
}

INLINE u16h to_bfloats(V x) {
    const U bits = (U)x, rounded = bits + 0x7fff + (bits >> 16 & 1), nan = (bits & 0x80000000u) | 0x7fc00000;
    return __builtin_convertvector((U)i_select(v_isnan(x), (I)nan, (I)rounded) >> 16, u16h);
}

INLINE u16h to_halves(V x) {
#ifdef HAS_HALF_CONVERSIONS
    const I nan = ((I)x & v_sign_bit()) | 0x7fc00000;
    return f32_to_halves(v_select(v_isnan(x), (V)nan, x));
#else
    const V a = v_abs(x), half = v_set(0.5);
    const U bits = (U)a, normal = ((bits + 0xfff + (bits >> 13 & 1)) >> 13) - (112 << 10);
    const U subnormal = (U)(a + half) - (U)half; /* rounded to the steps of the smallest number */
    I h = i_select(a < v_set(0x1p-14), (I)subnormal, (I)normal);
    h = i_select(a >= v_set(65520), i_set(0x7c00), h);
    h = i_select(v_isnan(x), i_set(0x7e00), h);
    return __builtin_convertvector((U)h | ((U)x >> 16 & 0x8000), u16h);
#endif
}

/* At least LANES halves, whole vectors of them; the first and the last may overlap the others. */
INLINE void store_halves(uint16_t *to, const REAL *from, int64_t n, int stream, u16h (*convert)(V)) {
    int64_t i = 0;
    if (stream) {
        const u16h first = convert(v_load(from));
        memcpy(to, &first, sizeof first);
        i = (int64_t)(-(uintptr_t)to % sizeof first / sizeof *to);
        for (; i + LANES <= n; i += LANES) stream_half(to + i, convert(v_load(from + i)));
    }
    for (; i < n; i += LANES) {
        const int64_t at = i + LANES <= n ? i : n - LANES;
        const u16h h = convert(v_load(from + at));
        memcpy(to + at, &h, sizeof h);
    }
}
#endif

/* n elements from `from`, `step` apart, to REAL. */
static void load_run(REAL *restrict to, const char *from, int32_t dtype, int64_t step, int64_t n) {
    int64_t done = 0; /* by vectors */
    if (step == 0 && n > 1) {
        load_run(to, from, dtype, 0, 1);
        fill(to, to[0], n);
        return;
    }
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

/* `stream`: around the caches, where that is more than a copy. */
static void store_run_around(char *to, int32_t dtype, int64_t step, const REAL *restrict from, int64_t n, int stream) {
    if (step == 1 && dtype == REAL_DTYPE) {
        memcpy(to, from, (size_t)n * sizeof(REAL));
        return;
    }
#ifdef LOSSFN_REAL_F32
    if (step == 1 && n >= LANES && dtype == LOSSFN_BF16) {
        store_halves((uint16_t *)to, from, n, stream, to_bfloats);
        return;
    }
    if (step == 1 && n >= LANES && dtype == LOSSFN_F16) {
        store_halves((uint16_t *)to, from, n, stream, to_halves);
        return;
    }
#else
    (void)stream;
#endif
    switch (dtype) {
    case LOSSFN_F64:
        for (int64_t i = 0; i < n; i++) ((double *)to)[i * step] = (double)from[i];
        break;
    case LOSSFN_F32:
        for (int64_t i = 0; i < n; i++) ((float *)to)[i * step] = (float)from[i];
        break;
    case LOSSFN_F16:
        for (int64_t i = 0; i < n; i++) ((uint16_t *)to)[i * step] = double_to_16((double)from[i], 10, 5);
        break;
    case LOSSFN_BF16:
        for (int64_t i = 0; i < n; i++) ((uint16_t *)to)[i * step] = double_to_16((double)from[i], 7, 8);
        break;
    }
}

static void store_run(char *to, int32_t dtype, int64_t step, const REAL *from, int64_t n) {
    store_run_around(to, dtype, step, from, n, 0);
}

/* ---- Views ---- */

/* A place in a view, moved on from one straight run of elements to the next; only finding the first takes divisions. */
typedef struct {
    int64_t offset;   /* of the element, in elements */
    int64_t left;     /* in the run */
    int64_t index[8]; /* along each axis */
} place_t;

static inline void find_place(place_t *p, const lossfn__view_t *view, int64_t i) {
    int32_t d = view->ndim - 1;
    p->offset = 0;
    p->left = view->ndim > 0 ? view->shape[d] : INT64_MAX;
    for (; d > 0; d--) {
        const int64_t rest = i / view->shape[d];
        p->index[d] = i - rest * view->shape[d];
        p->offset += p->index[d] * view->strides[d];
        i = rest;
    }
    if (view->ndim == 0) return;
    p->index[0] = i;
    p->offset += i * view->strides[0];
    p->left -= p->index[view->ndim - 1];
}

/* Moves to the next run, `count` elements further; at the end of the view to nowhere. */
static inline void next_run(place_t *p, const lossfn__view_t *view, int64_t count) {
    int32_t d = view->ndim - 1;
    p->left -= count;
    if (d < 0) return;
    p->index[d] += count;
    p->offset += count * view->strides[d];
    if (p->left > 0) return;
    for (; d > 0 && p->index[d] == view->shape[d]; d--) {
        p->index[d] = 0;
        p->offset += view->strides[d - 1] - view->shape[d] * view->strides[d];
        p->index[d - 1]++;
    }
    p->left = view->shape[view->ndim - 1];
}

/* Walks the leading indices [begin, begin + n) of a view in straight runs: offset and step of `count` elements, after
 * `done` others. */
#define FOR_RUNS(view, begin, n, offset, step, done, count)                                                            \
    for (int64_t done = 0, count, offset, step;                                                                        \
         done < (n) && run_at(view, (begin) + done, (n)-done, &offset, &step, &count); done += count)

static inline int run_at(const lossfn__view_t *view, int64_t i, int64_t left, int64_t *offset, int64_t *step,
                         int64_t *count) {
    place_t p;
    find_place(&p, view, i);
    *offset = p.offset;
    *step = view->ndim > 0 ? view->strides[view->ndim - 1] : 0;
    *count = p.left < left ? p.left : left;
    return 1;
}

static void gather_repeated(REAL *to, const lossfn__view_t *view, int64_t begin, int64_t n);

/* Whether elements lie side by side along the last axis but one instead of along the last. */
static inline int is_turned(const lossfn__view_t *view) {
    const int32_t last = view->ndim - 1;
    return last > 0 && view->strides[last - 1] == 1 && view->strides[last] != 1;
}
static void gather_turned(REAL *to, const lossfn__view_t *view, int64_t begin, int64_t n);
static void scatter_turned(const lossfn__view_t *view, int64_t begin, const REAL *from, int64_t n);

OUT_OF_LINE void gather(REAL *to, const lossfn__view_t *view, int64_t begin, int64_t n) {
    const int32_t last = view->ndim - 1;
    const int64_t step = last >= 0 ? view->strides[last] : 0;
    place_t p;
    if (last > 0 && step == 0) {
        gather_repeated(to, view, begin, n);
        return;
    }
    if (is_turned(view)) {
        gather_turned(to, view, begin, n);
        return;
    }
    find_place(&p, view, begin);
    for (int64_t done = 0, count; done < n; done += count, next_run(&p, view, count)) {
        count = p.left < n - done ? p.left : n - done;
        load_run(to + done, view->data + p.offset * view->item, view->dtype, step, count);
    }
}

/* The same where each element comes several times: converted once, then spread. */
static void gather_repeated(REAL *to, const lossfn__view_t *view, int64_t begin, int64_t n) {
    enum { SOME = 256 };
    REAL distinct[SOME];
    const int64_t each = view->shape[view->ndim - 1];
    lossfn__view_t leading = *view;
    leading.ndim--;
    int64_t first = begin / each, end = (first + 1) * each - begin; /* of the repetitions of the first */
    for (int64_t at = 0; at < n; first += SOME) {
        int64_t count = (n - end + each - 1) / each + 1;
        if (count > SOME) count = SOME;
        gather(distinct, &leading, first, count);
        for (int64_t i = 0; i < count; i++, at = end, end += each) {
            if (end > n) end = n;
            /* whole vectors, into what comes next */
            for (; at < end; at += LANES) store_some(to, at, n, v_set((double)distinct[i]));
        }
    }
}

/* `stream`: around the caches, if it can be. */
OUT_OF_LINE void scatter_around(const lossfn__view_t *view, int64_t begin, const REAL *from, int64_t n, int stream) {
    const int64_t step = view->ndim > 0 ? view->strides[view->ndim - 1] : 0;
    place_t p;
    if (is_turned(view)) {
        scatter_turned(view, begin, from, n);
        return;
    }
    find_place(&p, view, begin);
    for (int64_t done = 0, count; done < n; done += count, next_run(&p, view, count)) {
        count = p.left < n - done ? p.left : n - done;
        store_run_around(view->data + p.offset * view->item, view->dtype, step, from + done, count, stream);
    }
}

static void scatter(const lossfn__view_t *view, int64_t begin, const REAL *from, int64_t n) {
    scatter_around(view, begin, from, n, 0);
}

/* ---- Masks ---- */

/* The bits of an element of a mask that count: all but the sign of a zero. */
static inline uint64_t bits_that_count(int32_t dtype) {
    switch (dtype) {
    case LOSSFN_F64:
        return INT64_MAX;
    case LOSSFN_F32:
        return INT32_MAX;
    case LOSSFN_F16:
    case LOSSFN_BF16:
        return INT16_MAX;
    default:
        return UINT64_MAX;
    }
}

/* Of a mask that was gathered: doubles that are too small for REAL are not 0. */
static inline void mend_mask(REAL *gathered, const lossfn__view_t *mask, int64_t begin, int64_t n) {
    if (mask->dtype != LOSSFN_F64 || sizeof(REAL) == sizeof(double)) return;
    for (int64_t i = 0; i < n; i++)
        if (gathered[i] == 0) gathered[i] = ((const double *)mask->data)[lossfn__view_offset(mask, begin + i)] != 0;
}

/* Which of LANES elements of a mask, `item` bytes each, keep their units. */
INLINE M kept_lanes(const void *mask, const int item, uint64_t bits) {
    if (item < 8) return (M)((u_load(mask, item) & (U)i_set((int)bits)) != 0);
    uint32_t lanes = 0;
    for (int i = 0; i < LANES / DLANES; i++) {
        u64v x;
        memcpy(&x, (const char *)mask + i * VECTOR_BYTES, sizeof x);
        lanes |= f64_bits((i64v)((x & bits) != 0)) << i * DLANES;
    }
    return (M)(((U)i_set((int)lanes) >> (U)i_iota() & 1) != 0);
}

/* weight (NULL: 1) where the mask is not 0, else 0. `to` has room for whole vectors. */
INLINE void keep_items(REAL *to, const REAL *weight, const char *mask, const int item, uint64_t bits, int64_t n) {
    for (int64_t i = 0; i < n; i += LANES) {
        char rest[8 * LANES] = {0};
        const int64_t left = n - i;
        if (left < LANES) memcpy(rest, mask + i * item, (size_t)left * (size_t)item);
        const M kept = kept_lanes(left < LANES ? rest : mask + i * item, item, bits);
        v_store(to + i, v_select(kept, weight ? load_some(weight, i, n, 0) : v_set(1), v_set(0)));
    }
}
INLINE int64_t count_items(const char *mask, const int item, uint64_t bits, int64_t n) {
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i += LANES) {
        char rest[8 * LANES] = {0};
        const int64_t left = n - i;
        if (left < LANES) memcpy(rest, mask + i * item, (size_t)left * (size_t)item);
        kept += __builtin_popcount(m_bits(kept_lanes(left < LANES ? rest : mask + i * item, item, bits)));
    }
    return kept;
}

#define FOR_ITEM(size, what)                                                                                           \
    switch (size) {                                                                                                    \
    case 1:                                                                                                            \
        what(1);                                                                                                       \
        break;                                                                                                         \
    case 2:                                                                                                            \
        what(2);                                                                                                       \
        break;                                                                                                         \
    case 4:                                                                                                            \
        what(4);                                                                                                       \
        break;                                                                                                         \
    case 8:                                                                                                            \
        what(8);                                                                                                       \
        break;                                                                                                         \
    }

OUT_OF_LINE void keep_run(REAL *to, const REAL *weight, const char *mask, int32_t dtype, int32_t item, int64_t n) {
    const uint64_t bits = bits_that_count(dtype);
#define KEEP_RUN(size) keep_items(to, weight, mask, size, bits, n)
    FOR_ITEM(item, KEEP_RUN)
#undef KEEP_RUN
}

/* How many of n bytes are not 0. */
static int64_t count_bytes(const char *mask, int64_t n) {
    typedef uint8_t bytes __attribute__((vector_size(VECTOR_BYTES)));
    int64_t kept = 0, i = 0;
    while (i + VECTOR_BYTES <= n) {
        bytes zeros = {0};
        int64_t vectors = (n - i) / VECTOR_BYTES < 255 ? (n - i) / VECTOR_BYTES : 255;
        kept += vectors * VECTOR_BYTES;
        for (; vectors > 0; vectors--, i += VECTOR_BYTES) {
            bytes x;
            memcpy(&x, mask + i, sizeof x);
            zeros -= (bytes)(x == 0);
        }
        for (int l = 0; l < VECTOR_BYTES; l++) kept -= zeros[l];
    }
    for (; i < n; i++) kept += mask[i] != 0;
    return kept;
}

OUT_OF_LINE int64_t count_run(const char *mask, int32_t dtype, int32_t item, int64_t n) {
    const uint64_t bits = bits_that_count(dtype);
    int64_t kept = 0;
    if (item == 1) return count_bytes(mask, n);
#define COUNT_RUN(size) kept = count_items(mask, size, bits, n)
    FOR_ITEM(item, COUNT_RUN)
#undef COUNT_RUN
    return kept;
}

/* ---- Where things lie ---- */

/* Whether the elements lie side by side. */
static inline int in_line(const lossfn__view_t *view) { return view->ndim == 1 && view->strides[0] == 1; }

/* The elements [begin, begin + n) where they lie, if they lie as REAL in a straight line, else NULL. */
static inline REAL *in_place(const lossfn__view_t *view, int64_t begin) {
    return view->dtype == REAL_DTYPE && in_line(view) ? (REAL *)view->data + begin : NULL;
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

#include "engine/transpose.h"

#endif
