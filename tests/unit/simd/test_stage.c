/* SPDX-License-Identifier: MIT
 * What the engine does by vectors against the same done one number at a time: halves, views, masks, and exact sums.
 *
 * One program per dtype and instruction set, linked with the library's exact sums. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "engine/deposit.h"
#include "engine/pairs.h"

static uint64_t state = 1;
static uint64_t next(void) { /* splitmix64 */
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* ---- Tables ------------------------------------------------------------------------------------------------------ */

static void tables_are_turned(void **unused) {
    (void)unused;
    enum { STEP = LANES + 3, TO_STEP = LANES + 5 };
    static REAL from[LANES * STEP], to[LANES * TO_STEP];
    for (int i = 0; i < LANES * STEP; i++) from[i] = (REAL)i;
    for (int n = 1; n <= LANES; n++) {
        for (int i = 0; i < LANES * TO_STEP; i++) to[i] = -1;
        v_turn(to, TO_STEP, from, STEP, n);
        for (int c = 0; c < LANES; c++)
            for (int l = 0; l < TO_STEP; l++)
                assert_true(to[c * TO_STEP + l] == (l >= LANES ? -1 : from[(l < n ? l : 0) * STEP + c]));
    }
}

/* ---- Halves ------------------------------------------------------------------------------------------------------ */

static int same(REAL a, REAL b) { return (a != a && b != b) || memcmp(&a, &b, sizeof a) == 0; }

static void every_half_loads(void **unused) {
    (void)unused;
    static uint16_t halves[65536 + 5];
    static REAL got[65536 + 5];
    for (int i = 0; i < 65536 + 5; i++) halves[i] = (uint16_t)i;
    load_run(got, (const char *)halves, LOSSFN_F16, 1, 65536 + 5);
    for (int i = 0; i < 65536 + 5; i++) assert_true(same(got[i], (REAL)half_to_float((uint16_t)i)));
    load_run(got, (const char *)halves, LOSSFN_BF16, 1, 65536 + 5);
    for (int i = 0; i < 65536 + 5; i++) assert_true(same(got[i], (REAL)bfloat_to_float((uint16_t)i)));
}

/* Numbers of every magnitude: halves, what lies halfway between two, and their neighbours. */
static REAL near_a_half(void) {
    uint32_t bits = (uint32_t)next();
    float x;
    switch (next() % 4) {
    case 0:
        bits = bits & ~0xffffu;
        break;
    case 1:
        bits = (bits & ~0xffffu) + 0x8000u + (uint32_t)(next() % 3) - 1;
        break;
    case 2: /* in the range of f16, subnormals included */
        bits = (bits & 0x807fe000u) | (uint32_t)(98 + next() % 48) << 23;
        bits += (next() % 2 ? 0x1000u : 0) + (uint32_t)(next() % 3) - 1;
        break;
    default:
        break;
    }
    memcpy(&x, &bits, sizeof x);
    return (REAL)x;
}

static void halves_are_rounded_once(void **unused) {
    (void)unused;
    enum { N = 1021 };
    REAL x[N];
    uint16_t got[N];
    for (int turn = 0; turn < 400; turn++) {
        for (int i = 0; i < N; i++) x[i] = near_a_half();
        store_run((char *)got, LOSSFN_F16, 1, x, N);
        for (int i = 0; i < N; i++) {
            uint16_t want = double_to_16((double)x[i], 10, 5);
            assert_true(x[i] != x[i] ? (got[i] & 0x7fff) == 0x7e00 : got[i] == want);
        }
        store_run((char *)got, LOSSFN_BF16, 1, x, N);
        for (int i = 0; i < N; i++) {
            uint16_t want = double_to_16((double)x[i], 7, 8);
            assert_true(x[i] != x[i] ? (got[i] & 0x7fff) == 0x7fc0 : got[i] == want);
        }
    }
}

/* Around the caches and from any place: the same, and not a byte beside it. */
static void halves_go_around_the_caches(void **unused) {
    (void)unused;
    enum { N = 500, ROOM = 64 };
    REAL x[N];
    static uint16_t got[N + 2 * ROOM], want[N + 2 * ROOM];
    for (int turn = 0; turn < 600; turn++) {
        const int64_t n = turn % N, at = (int64_t)(next() % ROOM);
        const int32_t dtype = turn % 2 ? LOSSFN_F16 : LOSSFN_BF16;
        for (int i = 0; i < N; i++) x[i] = near_a_half();
        memset(got, 0xa5, sizeof got);
        memset(want, 0xa5, sizeof want);
        store_run_around((char *)(got + at), dtype, 1, x, n, 1);
        stream_fence();
        for (int64_t i = 0; i < n; i++) store_run((char *)(want + at + i), dtype, 1, x + i, 1);
        for (int i = 0; i < N + 2 * ROOM; i++) {
            const uint16_t infinite = dtype == LOSSFN_F16 ? 0x7c00 : 0x7f80;
            const int nans = (got[i] & 0x7fff) > infinite && (want[i] & 0x7fff) > infinite;
            assert_true(nans || got[i] == want[i]);
        }
    }
}

/* ---- Views ------------------------------------------------------------------------------------------------------- */

enum { ELEMENTS = 20000 };

/* A view of 0 to 4 axes into the middle of ELEMENTS elements; strides of any sign, 0 and 1 often. */
static lossfn__view_t some_view(char *data, int32_t dtype, int is_output) {
    static const int64_t extents[] = {1, 2, 3, 5, 16, 17, 33, 70};
    lossfn__view_t view = {.dtype = dtype,
                           .item = (int32_t)(dtype == LOSSFN_F64   ? 8
                                             : dtype == LOSSFN_F32 ? 4
                                             : dtype == LOSSFN_I8  ? 1
                                                                   : 2)};
    int64_t covered = 1;
    view.data = data + ELEMENTS / 2 * view.item;
    view.ndim = (int32_t)(next() % 5);
    for (int32_t d = 0; d < view.ndim; d++) view.shape[d] = extents[next() % 8];
    for (int64_t n = 1, d = 0; d < view.ndim; d++) { /* not too many */
        if (n * view.shape[d] > 3000) view.shape[d] = 2;
        n *= view.shape[d];
    }
    int32_t order[4] = {0, 1, 2, 3};
    for (int32_t d = view.ndim - 1; d > 0; d--) {
        const int32_t other = (int32_t)(next() % (unsigned)(d + 1)), kept = order[d];
        order[d] = order[other];
        order[other] = kept;
    }
    for (int32_t d = 0; d < view.ndim; d++) {
        const int64_t stride = covered * (next() % 3 == 0 ? -1 : 1);
        const int repeats = !is_output && next() % 4 == 0;
        view.strides[order[d]] = repeats ? 0 : stride;
        if (!repeats) covered *= view.shape[order[d]];
    }
    return view;
}

static int64_t elements_of(const lossfn__view_t *view) {
    int64_t n = 1;
    for (int32_t d = 0; d < view->ndim; d++) n *= view->shape[d];
    return n;
}

static void views_are_gathered_and_scattered(void **unused) {
    (void)unused;
    static const int32_t dtypes[] = {LOSSFN_F64, LOSSFN_F32, LOSSFN_BF16, LOSSFN_F16, LOSSFN_I8};
    static double memory[ELEMENTS], other[ELEMENTS];
    static REAL got[ELEMENTS];
    for (int turn = 0; turn < 4000; turn++) {
        const int32_t dtype = dtypes[next() % 5];
        for (int i = 0; i < ELEMENTS; i++) memory[i] = (double)(next() % 1000) * 0x1p-8 + 1;
        if (dtype == LOSSFN_F32)
            for (int i = 0; i < ELEMENTS; i++) ((float *)memory)[i] = (float)(next() % 5000);
        const lossfn__view_t from = some_view((char *)memory, dtype, 0);
        const int64_t all = elements_of(&from), begin = (int64_t)(next() % (uint64_t)all);
        const int64_t n = (int64_t)(next() % (uint64_t)(all - begin)) + 1, room = (n + LANES - 1) / LANES * LANES;
        got[room] = 12345;
        gather(got, &from, begin, n);
        assert_true(got[room] == 12345); /* no more than whole vectors are written */
        for (int64_t i = 0; i < n; i++) assert_true(same(got[i], load_one(&from, begin + i)));
        if (dtype == LOSSFN_I8) continue;
        lossfn__view_t to = some_view((char *)memory, dtype, 1), alone = to;
        const int64_t fits = elements_of(&to);
        alone.data += (char *)other - (char *)memory;
        for (int i = 0; i < ELEMENTS; i++) got[i] = (REAL)(next() % 200);
        memcpy(other, memory, sizeof other);
        const int64_t first = (int64_t)(next() % (uint64_t)fits),
                      some = (int64_t)(next() % (uint64_t)(fits - first)) + 1;
        scatter(&to, first, got, some);
        for (int64_t i = 0; i < some; i++)
            store_run(alone.data + lossfn__view_offset(&alone, first + i) * alone.item, dtype, 0, got + i, 1);
        assert_memory_equal(memory, other, sizeof other);
    }
}

/* ---- Masks ------------------------------------------------------------------------------------------------------- */

/* What a mask of each dtype can hold: what counts as 0 comes first. */
static void put_mask(void *to, int32_t dtype, int64_t i) {
    static const double reals[] = {0, -0.0, 1, -1, 0x1p-149, NAN, INFINITY, 0.5};
    const double x = reals[next() % 8];
    const uint64_t bits = next() % 3 ? next() : 0;
    const int shift = (int)(next() % 64); /* a bit anywhere counts */
    switch (dtype) {
    case LOSSFN_F64:
        ((double *)to)[i] = x;
        break;
    case LOSSFN_F32:
        ((float *)to)[i] = (float)x;
        break;
    case LOSSFN_F16:
        ((uint16_t *)to)[i] = next() % 4 ? double_to_16(x, 10, 5) : (uint16_t)(next() % 2);
        break;
    case LOSSFN_BF16:
        ((uint16_t *)to)[i] = next() % 4 ? double_to_16(x, 7, 8) : (uint16_t)(0x8000 + next() % 2);
        break;
    case LOSSFN_I64:
    case LOSSFN_U64:
        ((uint64_t *)to)[i] = bits ? 1ull << shift : 0;
        break;
    case LOSSFN_I32:
    case LOSSFN_U32:
        ((uint32_t *)to)[i] = bits ? 1u << shift % 32 : 0;
        break;
    case LOSSFN_I16:
    case LOSSFN_U16:
        ((uint16_t *)to)[i] = (uint16_t)(bits ? 1u << shift % 16 : 0);
        break;
    default:
        ((uint8_t *)to)[i] = (uint8_t)(bits ? 1u << shift % 8 : 0);
        break;
    }
}

static void masks_of_every_dtype_keep(void **unused) {
    (void)unused;
    static const struct {
        int32_t dtype, item;
    } kinds[] = {{LOSSFN_F64, 8}, {LOSSFN_F32, 4}, {LOSSFN_F16, 2}, {LOSSFN_BF16, 2}, {LOSSFN_BOOL, 1},
                 {LOSSFN_I8, 1},  {LOSSFN_I16, 2}, {LOSSFN_I32, 4}, {LOSSFN_I64, 8},  {LOSSFN_U8, 1},
                 {LOSSFN_U16, 2}, {LOSSFN_U32, 4}, {LOSSFN_U64, 8}};
    enum { MOST = 3 * 255 * VECTOR_BYTES }; /* some lanes of a count of bytes overflow */
    static REAL got[MOST + LANES], weight[MOST];
    for (int turn = 0; turn < 13 * 90; turn++) {
        const int32_t dtype = kinds[turn % 13].dtype, item = kinds[turn % 13].item;
        const int64_t n = turn < 13 * 80 ? turn / 13 : (int64_t)(next() % MOST);
        char *mask = malloc((size_t)((n + 1) * item)); /* ends where it ends: nothing is read behind */
        char *const from = mask + item;
        int64_t kept = 0;
        assert_non_null(mask);
        for (int64_t i = 0; i < n; i++) put_mask(from, dtype, i);
        for (int64_t i = 0; i < n; i++) weight[i] = next() % 9 ? (REAL)(next() % 100) : (REAL)NAN;
        for (int weighted = 0; weighted < 2; weighted++) {
            keep_run(got, weighted ? weight : NULL, from, dtype, item, n);
            kept = 0;
            for (int64_t i = 0; i < n; i++) {
                REAL x;
                load_run(&x, from + i * item, dtype, 1, 1);
                /* a double too small for a float keeps as well */
                const int keeps = dtype == LOSSFN_F64 ? ((const double *)(const void *)from)[i] != 0 : x != 0;
                assert_true(same(got[i], keeps ? weighted ? weight[i] : 1 : 0));
                kept += keeps;
            }
        }
        assert_int_equal(count_run(from, dtype, item, n), kept);
        free(mask);
    }
}

/* ---- Exact sums -------------------------------------------------------------------------------------------------- */

enum { KINDS = 7 };

/* Numbers as losses have them, and worse. */
static REAL of_kind(int kind, int64_t i) {
    const double unit = (double)(next() >> 11) * 0x1p-53;
    const double sign = next() % 2 ? 1 : -1;
    const int range = sizeof(REAL) == 4 ? 120 : 1000;
    switch (kind) {
    case 0: /* of one magnitude */
        return (REAL)(unit + 0.5);
    case 1: /* squares: a few are tiny */
        return (REAL)((unit - 0.5) * (unit - 0.5));
    case 2: /* every magnitude */
        return (REAL)(sign * (unit + 0.5) * ldexp(1, (int)(next() % (2 * (unsigned)range)) - range));
    case 3: /* growing */
        return (REAL)(sign * unit * ldexp(1, (int)(i / 16) % range));
    case 4: /* shrinking to subnormal */
        return (REAL)(sign * unit * ldexp(1, -(int)(i / 8) % (range + 20)));
    case 5: /* zeros among large ones that cancel */
        return i % 3 ? 0 : (REAL)(sign * ldexp(1, range));
    default: /* the largest there are, rarely infinite or NaN */
        return next() % 4096 == 0   ? (REAL)INFINITY
               : next() % 8192 == 0 ? (REAL)NAN
                                    : (REAL)(sign * ldexp(1.75, sizeof(REAL) == 4 ? 127 : 1023));
    }
}

static void deposits_are_exact(void **unused) {
    (void)unused;
    enum { MOST = 3 * GRID_VECTORS * LANES };
    static REAL c[MOST];
    for (int turn = 0; turn < 700; turn++) {
        const int kind = turn % KINDS;
        const int64_t n = turn < 20 * KINDS ? turn / KINDS : (int64_t)(next() % MOST) + 1;
        lossfn__exact_t got, want;
        int grid = GRID_NONE;
        lossfn__exact_clear(&got);
        lossfn__exact_clear(&want);
        for (int64_t i = 0; i < n; i++) c[i] = of_kind(kind, i);
        deposit(c, n, &got, &grid);
        deposit(c, n / 2, &got, &grid); /* on the grid that the first one left */
        for (int64_t i = 0; i < n; i++) lossfn__exact_add(&want, (double)c[i]);
        for (int64_t i = 0; i < n / 2; i++) lossfn__exact_add(&want, (double)c[i]);
        assert_true(lossfn__exact_equal(&got, &want));
    }
}

/* Rows and columns, with room behind for whole vectors. */
static void rows_and_columns_are_exact(void **unused) {
    (void)unused;
    enum { MOST = 5000 };
    static REAL c[MOST + LANES];
    static double got[MOST];
    for (int turn = 0; turn < 1200; turn++) {
        const int64_t cols = 1 + (int64_t)(next() % (turn % 2 ? 40 : 16)), rows = (int64_t)(next() % (MOST / 40));
        lossfn__exact_t want, columns[16];
        for (int64_t i = 0; i < rows * cols; i++) c[i] = of_kind(turn % KINDS, i);
        sum_short_rows(c, rows, cols, got);
        for (int64_t row = 0; row < rows; row++) {
            lossfn__exact_clear(&want);
            for (int64_t i = 0; i < cols; i++) lossfn__exact_add(&want, (double)c[row * cols + i]);
            const double sum = lossfn__exact_round(&want);
            assert_true((sum != sum && got[row] != got[row]) || memcmp(&sum, &got[row], sizeof sum) == 0);
        }
        if (cols > 16) continue;
        for (int64_t col = 0; col < cols; col++) lossfn__exact_clear(&columns[col]);
        sum_columns(c, rows, cols, columns);
        for (int64_t col = 0; col < cols; col++) {
            lossfn__exact_clear(&want);
            for (int64_t row = 0; row < rows; row++) lossfn__exact_add(&want, (double)c[row * cols + col]);
            assert_true(lossfn__exact_equal(&want, &columns[col]));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_are_turned),
        cmocka_unit_test(every_half_loads),
        cmocka_unit_test(halves_are_rounded_once),
        cmocka_unit_test(halves_go_around_the_caches),
        cmocka_unit_test(views_are_gathered_and_scattered),
        cmocka_unit_test(masks_of_every_dtype_keep),
        cmocka_unit_test(deposits_are_exact),
        cmocka_unit_test(rows_and_columns_are_exact),
    };
    return cmocka_run_group_tests_name("simd stage", tests, NULL, NULL);
}
