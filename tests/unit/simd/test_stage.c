/* SPDX-License-Identifier: MIT
 * What the engine does by vectors against the same done one number at a time: halves, and exact sums.
 *
 * One program per dtype and instruction set, linked with the library's exact sums. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "engine/deposit.h"

static uint64_t state = 1;
static uint64_t next(void) { /* splitmix64 */
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_loads),
        cmocka_unit_test(halves_are_rounded_once),
        cmocka_unit_test(deposits_are_exact),
    };
    return cmocka_run_group_tests_name("simd stage", tests, NULL, NULL);
}
