/* The operations of simd/vec.h, lane by lane against C; the fused multiply-add against fmaf and MPFR.
 *
 * One program per dtype and instruction set; without -mfma it tests the emulated fma:
 *     cc -std=c11 -O2 -ffp-contract=off -Isrc -DLOSSFN_REAL_F32 -DLOSSFN_ISA_BASELINE \
 *        tests/unit/simd/test_vec.c -lcmocka -lmpfr -lgmp -lm */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <mpfr.h>
#include "simd/vec.h"

#ifdef LOSSFN_REAL_F32
typedef uint32_t bits_t;
enum { DIGITS = 24, LEAST_EXPONENT = -149, GREATEST_EXPONENT = 128 };
#else
typedef uint64_t bits_t;
enum { DIGITS = 53, LEAST_EXPONENT = -1074, GREATEST_EXPONENT = 1024 };
#endif

static uint64_t state = 1;
static uint64_t next(void) { /* splitmix64 */
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int same(REAL a, REAL b) { return (a != a && b != b) || memcmp(&a, &b, sizeof a) == 0; }

/* Any bit pattern, a value with few bits, or a special one. */
static REAL any(void) {
    static const REAL specials[] = {0, 1, 0.5, 1.5, 2.5, 3, (REAL)1e-310, (REAL)1e30, INFINITY, NAN};
    bits_t b = (bits_t)next();
    REAL x;
    memcpy(&x, &b, sizeof x);
    switch (next() % 4) {
    case 0:
        return x;
    case 1:
        return (REAL)((double)(int32_t)next() * 0x1p-20);
    case 2:
        return (REAL)((double)(int32_t)next() * 0x1p-31);
    default:
        x = specials[next() % (sizeof specials / sizeof specials[0])];
        return next() & 1 ? x : -x;
    }
}

static void fill(REAL *x) {
    for (int i = 0; i < LANES; i++) x[i] = any();
}

#define LANEWISE(vector, scalar)                                                                                       \
    do {                                                                                                               \
        REAL got[LANES];                                                                                               \
        v_store(got, vector);                                                                                          \
        for (int i = 0; i < LANES; i++) {                                                                              \
            double x = (double)a[i], y = (double)b[i];                                                                 \
            (void)x, (void)y;                                                                                          \
            assert_true(same(got[i], (REAL)(scalar)));                                                                 \
        }                                                                                                              \
    } while (0)

static void operations_are_lanewise(void **unused) {
    (void)unused;
    for (int k = 0; k < 20000; k++) {
        REAL a[LANES], b[LANES];
        fill(a), fill(b);
        V va = v_load(a), vb = v_load(b);
        LANEWISE(v_abs(va), fabs(x));
        LANEWISE(v_neg(va), -x);
        LANEWISE(v_copysign(va, vb), copysign(x, y));
        LANEWISE(v_sqrt(va), sizeof(REAL) == 4 ? (double)sqrtf((float)x) : sqrt(x));
        LANEWISE(v_round(va), rint(x));
        LANEWISE(v_floor(va), floor(x));
        LANEWISE(v_min(va, vb), x != x || y != y ? NAN : x < y ? x : y);
        LANEWISE(v_max(va, vb), x != x || y != y ? NAN : x > y ? x : y);
        LANEWISE(v_lesser(va, vb), x < y ? x : y);
        LANEWISE(v_greater(va, vb), x > y ? x : y);
        LANEWISE(v_select(va < vb, va, vb), x < y ? x : y);
        LANEWISE(v_select(v_isnan(va), v_set(1), v_set(2)), x != x ? 1 : 2);
        LANEWISE(v_select(v_isfinite(va), v_set(1), v_set(2)), isfinite(x) ? 1 : 2);
        LANEWISE(v_set(-0.0), -0.0);

        D parts[DPARTS];
        double wide[LANES];
        v_widen(va, parts);
        for (int p = 0; p < DPARTS; p++) d_store(wide + p * DLANES, parts[p]);
        LANEWISE(v_narrow(parts), wide[i]);
        LANEWISE(va, wide[i]);
    }
}

static void masks(void **unused) {
    (void)unused;
    const uint32_t all = (1u << LANES) - 1;
    V lane = v_from_i(i_iota());
    REAL numbers[LANES];
    v_store(numbers, lane);
    for (int i = 0; i < LANES; i++) {
        M one = lane == v_set(i), below = lane < v_set(i);
        assert_true(numbers[i] == (REAL)i);
        assert_int_equal(m_bits(one), 1u << i);
        assert_int_equal(m_bits(m_not(one)), all ^ (1u << i));
        assert_int_equal(m_bits(m_or(one, below)), (2u << i) - 1);
        assert_int_equal(m_bits(m_and(one, below)), 0);
        assert_int_equal(m_bits(m_andnot(below, one)), (1u << i) - 1);
        assert_true(m_any(one) && !m_all(one) && m_all(m_or(one, m_not(one))));
        assert_true(m_all(i_select(one, i_set(3), i_set(-3)) == v_to_i(v_select(one, v_set(3), v_set(-3)))));
    }
    assert_false(m_any(m_none()));
}

static void integers(void **unused) {
    (void)unused;
    for (int k = 0; k < 100000; k++) {
        int32_t n = (int32_t)next() >> (sizeof(REAL) == 4 ? 8 : 0); /* what REAL holds exactly */
        assert_true(m_all(v_from_i(i_set(n)) == v_set(n)));
        assert_true(m_all(v_to_i(v_set(n)) == i_set(n)));
    }
}

static void ldexp_rounds_once(void **unused) {
    (void)unused;
    int range = 2 * (GREATEST_EXPONENT - 2);
    for (int k = 0; k < 100000; k++) {
        REAL x = any(), got[LANES];
        int n = (int)(next() % (uint64_t)(2 * range + 1)) - range;
        REAL want = sizeof(REAL) == 4 ? (REAL)ldexpf((float)x, n) : (REAL)ldexp((double)x, n);
        v_store(got, v_ldexp_any(v_set((double)x), v_set(n)));
        assert_true(same(got[LANES - 1], want));
        double half_way = fabs(ldexp((double)x, (n - (n & 1)) / 2));
        if (half_way != 0 && half_way < ldexp(1, 2 - GREATEST_EXPONENT)) continue;
        v_store(got, v_ldexp(v_set((double)x), v_set(n)));
        assert_true(same(got[LANES - 1], want));
    }
}

/* The exact a b + c rounded once to REAL, subnormals included. */
static REAL exact_fma(REAL a, REAL b, REAL c, mpfr_t t[4]) {
    mpfr_set_d(t[0], (double)a, MPFR_RNDN);
    mpfr_set_d(t[1], (double)b, MPFR_RNDN);
    mpfr_set_d(t[2], (double)c, MPFR_RNDN);
    int inexact = mpfr_fma(t[3], t[0], t[1], t[2], MPFR_RNDN);
    inexact = mpfr_check_range(t[3], inexact, MPFR_RNDN);
    mpfr_subnormalize(t[3], inexact, MPFR_RNDN);
    return (REAL)mpfr_get_d(t[3], MPFR_RNDN);
}

/* Addends that cancel the product, or lie half an ulp beside a rounding boundary, and results that are
 * subnormal. */
static void hard_case(REAL *a, REAL *b, REAL *c) {
    *a = any(), *b = any(), *c = any();
    switch (next() % 4) {
    case 0:
        return;
    case 1:
        *c = -(*a * *b);
        return;
    case 2:
        *c = (REAL)ldexp((double)(*a * *b), (int)(next() % 120) - 60);
        return;
    default: /* near the smallest numbers */
        *a = (REAL)ldexp(1 + (double)(next() >> 12) * 0x1p-52, LEAST_EXPONENT / 2 + (int)(next() % 32));
        *b = (REAL)ldexp(1 + (double)(next() % 8) * 0x1p-3, LEAST_EXPONENT / 2 + (int)(next() % 32) - 16);
        *c = (REAL)ldexp((double)(int32_t)next(), LEAST_EXPONENT - (int)(next() % 32));
    }
}

static void fma_rounds_once(void **unused) {
    (void)unused;
    mpfr_exp_t least = mpfr_get_emin(), greatest = mpfr_get_emax();
    mpfr_t t[4];
    for (int i = 0; i < 4; i++) mpfr_init2(t[i], DIGITS);
    mpfr_set_emin(LEAST_EXPONENT + 1);
    mpfr_set_emax(GREATEST_EXPONENT);
    for (int k = 0; k < 200000 / LANES; k++) {
        REAL a[LANES], b[LANES], c[LANES], got[LANES];
        for (int i = 0; i < LANES; i++) hard_case(&a[i], &b[i], &c[i]);
        v_store(got, v_fma(v_load(a), v_load(b), v_load(c)));
        for (int i = 0; i < LANES; i++) assert_true(same(got[i], exact_fma(a[i], b[i], c[i], t)));
    }
    for (int i = 0; i < 4; i++) mpfr_clear(t[i]);
    mpfr_set_emin(least);
    mpfr_set_emax(greatest);
}

#ifdef LOSSFN_REAL_F32
static void fma_equals_the_c_library_s(void **unused) {
    (void)unused;
    for (int k = 0; k < 4000000 / LANES; k++) {
        REAL a[LANES], b[LANES], c[LANES], got[LANES];
        for (int i = 0; i < LANES; i++) hard_case(&a[i], &b[i], &c[i]);
        v_store(got, v_fma(v_load(a), v_load(b), v_load(c)));
        for (int i = 0; i < LANES; i++) assert_true(same(got[i], fmaf(a[i], b[i], c[i])));
    }
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_are_lanewise),    cmocka_unit_test(masks),           cmocka_unit_test(integers),
        cmocka_unit_test(ldexp_rounds_once),          cmocka_unit_test(fma_rounds_once),
#ifdef LOSSFN_REAL_F32
        cmocka_unit_test(fma_equals_the_c_library_s),
#endif
    };
    return cmocka_run_group_tests_name("simd vec", tests, NULL, NULL);
}
