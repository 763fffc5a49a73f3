/* SPDX-License-Identifier: MIT
 * Tensors of any dtype, shape and layout, each in an allocation of just its size, with what was in it before. */
#ifndef LOSSFN_TESTS_FUZZ_TENSORS_H
#define LOSSFN_TESTS_FUZZ_TENSORS_H

#include "fuzz.h"

typedef struct {
    lossfn_tensor_t tensor; /* how it lies */
    lossfn_tensor_t passed; /* what the library is told, the same but for those that lie wrongly */
    char *room;             /* exactly `bytes`; the element at no offset stands at `first` */
    char *pristine;         /* what was put there */
    size_t bytes, first;
    int64_t count;
    int given, wrong;
} array_t;

enum { WRONG = 1, OUTPUT = 2, PLAIN = 4 }; /* may be laid wrongly; no element twice; contiguous */

static inline size_t item_of(const array_t *a) { return (size_t)lossfn_dtype_size(a->tensor.dtype); }

static inline int64_t extent_product(int32_t ndim, const int64_t *shape) {
    int64_t n = 1;
    for (int32_t d = 0; d < ndim; d++) n *= shape[d];
    return n;
}

/* Where element i, counted in C order, stands in `room`. */
static inline size_t place_of(const array_t *a, int64_t i) {
    int64_t offset = 0;
    for (int32_t d = a->tensor.ndim - 1; d >= 0; d--) {
        int64_t k = i % a->tensor.shape[d];
        i /= a->tensor.shape[d];
        if (k) offset += k * a->tensor.strides[d]; /* the stride of an extent of 1 may be anything */
    }
    return (size_t)((int64_t)a->first + offset * (int64_t)item_of(a));
}

/* Tells the library what is not so, but never of more memory than there is. */
static inline void array_spoil(lossfn_tensor_t *passed, bytes_t *b) {
    static const int32_t none[] = {-1, 14, 255, INT32_MIN, INT32_MAX, 0};
    switch (take(b, 6)) {
    case 0:
        passed->data = NULL;
        break;
    case 1:
        passed->dtype = none[take(b, 6)];
        break;
    case 2:
        passed->device_type = (int32_t)take(b, 16);
        break;
    case 3:
        passed->flags |= LOSSFN_TENSOR_READONLY;
        break;
    case 4:
        passed->ndim = none[take(b, 5)];
        break;
    default: /* no element, so that its other extents need no memory */
        passed->ndim = 3;
        passed->shape[0] = passed->shape[1] = INT64_MAX;
        passed->shape[2] = take(b, 2) ? 0 : -1;
    }
}

/* The axes by growing stride in an order that the bytes choose, with gaps, backwards, repeating. */
static inline void array_make(array_t *a, bytes_t *b, int32_t dtype, int32_t ndim, const int64_t *shape, int flags) {
    static const int64_t wild[] = {INT64_MIN, INT64_MAX, -1, 0, 1 << 20, INT64_MAX / 8};
    int64_t strides[8] = {0}, step = 1, low = 0, high = 0;
    uint32_t turn = 0, style = 0;
    memset(a, 0, sizeof *a);
    a->given = 1;
    a->count = extent_product(ndim, shape);
    if (!(flags & PLAIN) && one_in(b, 3)) {
        style = 1 + take(b, 255);
        turn = take(b, ndim > 0 ? (uint32_t)ndim : 1);
    }
    for (int32_t k = ndim - 1; k >= 0; k--) {
        int32_t d = (int32_t)(((uint32_t)k + turn) % (uint32_t)ndim);
        int64_t n = shape[d];
        uint32_t how = style ? take(b, 12) : 0; /* 0 to 4: forwards */
        strides[d] = step;
        if (how >= 5 && how < 8) strides[d] = -step;
        if (how >= 8 && how < 10 && !(flags & OUTPUT)) strides[d] = 0;
        if ((n <= 1 || a->count == 0) && how == 11)
            strides[d] = wild[take(b, 6)];
        else if (strides[d] && n > 1) {
            int64_t reach = strides[d] * (n - 1);
            if (a->count && reach < 0) low += reach;
            if (a->count && reach > 0) high += reach;
            step = step * n + (style ? take(b, 3) : 0);
        }
    }
    size_t item = (size_t)lossfn_dtype_size(dtype);
    a->bytes = a->count ? (size_t)(high - low + 1) * item : 0;
    a->first = (size_t)-low * item;
    size_t crooked = (flags & WRONG) && item > 1 && one_in(b, 200); /* an address that is no multiple of the item */
    a->bytes += crooked;
    a->first += crooked;
    a->room = exact_room(a->bytes);
    lossfn_status_t status =
        style || crooked ? lossfn_tensor_init_strided(&a->tensor, a->room + a->first, dtype, ndim, shape, strides, 0)
                         : lossfn_tensor_init(&a->tensor, a->room, dtype, ndim, shape);
    CHECK(status == LOSSFN_OK, "%s", lossfn_last_error());
    if (!style) memcpy(strides, a->tensor.strides, sizeof strides);
    a->passed = a->tensor;
    a->wrong = crooked || ((flags & WRONG) && one_in(b, 100));
    if (a->wrong && !crooked) array_spoil(&a->passed, b);
}

static inline void array_free(array_t *a) {
    free(a->room);
    free(a->pristine);
    memset(a, 0, sizeof *a);
}

/* Remembers what is in the array now. */
static inline void array_keep(array_t *a) {
    free(a->pristine);
    a->pristine = exact_copy(a->room, a->bytes);
}

static inline void array_restore(array_t *a) {
    if (a->bytes) memcpy(a->room, a->pristine, a->bytes);
}

/* The elements in C order, as they stand in `from`, the array's room or a copy of it. */
static inline char *elements_of(const array_t *a, const char *from) {
    size_t item = item_of(a);
    char *all = exact_room((size_t)a->count * item);
    for (int64_t i = 0; i < a->count; i++) memcpy(all + (size_t)i * item, from + place_of(a, i), item);
    return all;
}

/* The same elements without strides. */
static inline void array_straighten(array_t *to, const array_t *from) {
    memset(to, 0, sizeof *to);
    if (!from->given) return;
    to->given = 1;
    to->count = from->count;
    to->bytes = (size_t)from->count * item_of(from);
    to->room = elements_of(from, from->pristine);
    CHECK(lossfn_tensor_init(&to->tensor, to->room, from->tensor.dtype, from->tensor.ndim, from->tensor.shape) ==
              LOSSFN_OK,
          "%s", lossfn_last_error());
    to->passed = to->tensor;
    array_keep(to);
}

/* ---- Numbers ---------------------------------------------------------------------------------------------------- */

static inline uint16_t half_bits(float x) { /* cut, not rounded */
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00);
    if (magnitude >= 0x47800000) return (uint16_t)(sign | 0x7c00);
    if (magnitude < 0x33800000) return (uint16_t)sign;
    if (magnitude < 0x38800000)
        return (uint16_t)(sign | ((magnitude & 0x7fffff) | 0x800000) >> (126 - (magnitude >> 23)));
    return (uint16_t)(sign | ((magnitude - 0x38000000) >> 13));
}

static inline int64_t to_integer(double x) {
    return x >= 9e18 ? INT64_MAX : x <= -9e18 ? INT64_MIN : x != x ? 0 : (int64_t)x;
}

static inline void store(char *to, int32_t dtype, double x) {
    float narrow = fabs(x) > 3.4e38 && isfinite(x) ? copysignf(3.4e38f, (float)(x > 0 ? 1 : -1)) : (float)x;
    uint64_t integer = (uint64_t)to_integer(x);
    uint32_t bits;
    uint16_t half;
    switch (dtype) {
    case LOSSFN_F64:
        memcpy(to, &x, 8);
        break;
    case LOSSFN_F32:
        memcpy(to, &narrow, 4);
        break;
    case LOSSFN_F16:
        half = half_bits(narrow);
        memcpy(to, &half, 2);
        break;
    case LOSSFN_BF16:
        memcpy(&bits, &narrow, 4);
        half = (uint16_t)(narrow != narrow ? 0x7fc0 : bits >> 16);
        memcpy(to, &half, 2);
        break;
    case LOSSFN_BOOL:
        *to = x != 0;
        break;
    default: /* little-endian or not, what is cut off does not matter here */
        for (size_t i = 0; i < (size_t)lossfn_dtype_size(dtype); i++) to[i] = (char)(integer >> 8 * i);
    }
}

static inline int is_nan_item(const char *at, int32_t dtype) {
    double d;
    float f;
    uint16_t h;
    switch (dtype) {
    case LOSSFN_F64:
        memcpy(&d, at, 8);
        return d != d;
    case LOSSFN_F32:
        memcpy(&f, at, 4);
        return f != f;
    default:
        memcpy(&h, at, 2);
        return dtype == LOSSFN_F16 ? (h & 0x7fff) > 0x7c00 : dtype == LOSSFN_BF16 && (h & 0x7fff) > 0x7f80;
    }
}

/* Bit for bit, but that one NaN is as good as another. -1, or the first place that differs. */
static inline int64_t first_difference(const char *a, const char *b, int64_t count, int32_t dtype) {
    size_t item = (size_t)lossfn_dtype_size(dtype);
    for (int64_t i = 0; i < count; i++) {
        const char *one = a + (size_t)i * item, *other = b + (size_t)i * item;
        if (memcmp(one, other, item) && !(is_nan_item(one, dtype) && is_nan_item(other, dtype))) return i;
    }
    return -1;
}

static inline void digest(const char *items, int64_t count, int32_t dtype) {
    size_t item = (size_t)lossfn_dtype_size(dtype);
    for (int64_t i = 0; i < count; i++)
        for (size_t j = 0; j < item; j++) {
            const char *at = items + (size_t)i * item;
            fuzz_digest = (fuzz_digest ^ (is_nan_item(at, dtype) ? 0xff : (unsigned char)at[j])) * 1099511628211u;
        }
}

static const double special_numbers[] = {0.0,      1.0,       -1.0,    0.5,         2.0,       -0.0,
                                         INFINITY, -INFINITY, NAN,     4.9e-324,    1e-45,     1.1754e-38,
                                         1.7e308,  3.4028e38, -3.4e38, 65504,       1.0000001, 0.999999,
                                         1e-300,   88.8,      -745.5,  0.333333333, 1e10,      -1e-10};
enum { SPECIALS = sizeof special_numbers / sizeof *special_numbers };

/* A number that suits an input of this scale. */
static inline double tame_number(int32_t scale, int64_t cols, uint64_t *state) {
    double u = (double)(next_random(state) >> 11) * 0x1p-53;
    switch (scale) {
    case LOSSFN_SCALE_PROBABILITY:
        return u;
    case LOSSFN_SCALE_LOG_PROBABILITY:
        return -8 * u;
    case LOSSFN_SCALE_LABEL:
        return cols > 0 ? floor(u * (double)cols) : u;
    case LOSSFN_SCALE_MARGIN_LABEL:
        return u < 0.5 ? -1 : 1;
    case LOSSFN_SCALE_POSITIVE:
        return u * u * 8 + 1e-3;
    case LOSSFN_SCALE_COUNT:
        return floor(9 * u * u);
    default:
        return 12 * u - 6;
    }
}

/* cols: number of classes if these are labels, else 0. */
static inline void array_fill(array_t *a, bytes_t *b, int32_t scale, int64_t cols) {
    uint32_t mode = take(b, 12);
    uint64_t state = take(b, 65536);
    int32_t dtype = a->tensor.dtype;
    size_t item = item_of(a);
    memset(a->room, 0, a->bytes);
    for (int64_t i = 0; i < a->count; i++) {
        char *to = a->room + place_of(a, i);
        double x = tame_number(scale, cols, &state);
        uint64_t random = next_random(&state);
        if (mode == 6 || (mode == 7 && random % 8 == 0)) x = special_numbers[random / 8 % SPECIALS];
        if (mode == 8) x = special_numbers[take(b, SPECIALS)];
        if (mode == 9) x *= ldexp(1, (int)(random % 256) - 200);
        if (mode == 10 && cols == 0) x *= ldexp(1, (int)(random % 2200) - 1100);
        if (mode == 10 && cols > 0) x += (double)(random % 5) - 2;
        store(to, dtype, x);
        if (mode == 11 && dtype != LOSSFN_BOOL) memcpy(to, &random, item);
    }
}

#endif
