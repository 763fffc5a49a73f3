/* The functions of simd/special.h against multi-precision values, tests/numeric/data/special_reference.h.
 *
 * One program per dtype and instruction set:
 *     cc -std=c11 -O2 -ffp-contract=off -Isrc -Itests -DLOSSFN_REAL_F64 -DLOSSFN_ISA_AVX2 -mavx2 -mfma \
 *        tests/unit/simd/test_special.c -lcmocka -lm
 * With no argument it asserts the bounds that special.h states, with `errors` it also prints what it measured,
 * and `test_special bits` prints one hash per function, which test_same_bits compares between programs.
 * -DSPECIAL_REFERENCE='"file"' takes another, larger output of make_special_reference.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <float.h>
#include <stdio.h>
#include <cmocka.h>
#include "simd/math.h"
#include "simd/gamma.h"
#include "simd/special.h"

typedef struct {
    double near, rest; /* the nearest double, and what it lacks in units of its last place */
} reference;
#ifndef SPECIAL_REFERENCE
#define SPECIAL_REFERENCE "numeric/data/special_reference.h"
#endif
#include SPECIAL_REFERENCE

#define COUNT(table) ((int)(sizeof(table) / sizeof *(table)))
enum { MOST = 1 << 17, OUTPUTS = 4 };
static REAL in[2][MOST], out[OUTPUTS][MOST];
static int verbose, failures;

/* ---- running ---- */

static void run_lgamma(int count) {
    for (int i = 0; i < count; i += LANES) v_store(out[0] + i, v_lgamma1p(v_load(in[0] + i)));
}
static void run_partition(int count) {
    for (int i = 0; i < count; i += LANES) {
        V slope;
        v_store(out[0] + i, v_barron_log_partition(v_load(in[0] + i), &slope));
        v_store(out[1] + i, slope);
    }
}
static void run_barron(int count) {
    for (int i = 0; i < count; i += LANES) {
        V y[4];
        v_barron(v_load(in[0] + i), v_set(0), v_load(in[1] + i), &y[0], &y[1], &y[2], &y[3]);
        for (int k = 0; k < 4; k++) v_store(out[k] + i, y[k]);
    }
}

/* ---- errors ---- */

/* |x - exact| in ulp of REAL at exact; beyond the greatest finite REAL, infinity is exact. */
static double error_of(REAL x, reference exact) {
    const int digits = sizeof(REAL) == 4 ? 24 : 53, least = sizeof(REAL) == 4 ? -149 : -1074;
    if ((REAL)exact.near == x && (isinf(x) || exact.near == 0)) return 0;
    if (!isfinite(x)) return INFINITY;
    if (isinf(exact.near)) return INFINITY;
    int e, e64;
    frexp(exact.near, &e);
    e64 = e - 53 < -1074 ? -1074 : e - 53;
    e = e - digits < least ? least : e - digits;
    double off = sizeof(REAL) == 4 ? (double)x - exact.near : x - (REAL)exact.near; /* exact when it is small */
    return fabs(ldexp(off, -e) - ldexp(exact.rest, e64 - e));
}

static void expect(const char *what, int k, double bound, double worst, int at) {
    if (verbose || worst > bound)
        print_message("%s: %.3f ulp (bound %g) at %a %a: %a\n", what, worst, bound, (double)in[0][at],
                      (double)in[1][at], (double)out[k][at]);
    failures += !(worst <= bound);
}

#define BOUND(f32, f64) (sizeof(REAL) == 4 ? (f32) : (f64))
#define CHECK(what, k, table, field, bound)                                                                            \
    do {                                                                                                               \
        double worst = 0;                                                                                              \
        int at = 0;                                                                                                    \
        for (int i = 0; i < COUNT(table); i++) {                                                                       \
            double e = error_of(out[k][i], table[i].field);                                                            \
            if (!(e <= worst)) worst = e, at = i;                                                                      \
        }                                                                                                              \
        expect(what, k, bound, worst, at);                                                                             \
    } while (0)

static void test_lgamma(void **state) {
    (void)state;
    failures = 0;
    for (int i = 0; i < COUNT(lgamma_reference); i++) in[0][i] = (REAL)lgamma_reference[i].y;
    run_lgamma(COUNT(lgamma_reference));
    CHECK("lgamma1p", 0, lgamma_reference, value, BOUND(0.51, 1));
    assert_int_equal(failures, 0);
}

static void test_barron(void **state) {
    (void)state;
    failures = 0;
    for (int i = 0; i < COUNT(barron_reference); i++) {
        in[0][i] = (REAL)barron_reference[i].r * (i % 3 ? 1 : -1);
        in[1][i] = (REAL)barron_reference[i].alpha;
    }
    run_barron(COUNT(barron_reference));
    CHECK("barron rho", 0, barron_reference, value[0], BOUND(0.51, 1));
    CHECK("barron W", 1, barron_reference, value[1], BOUND(0.51, 1));
    CHECK("barron curvature", 2, barron_reference, value[2], BOUND(0.51, 1));
    CHECK("barron d/dalpha", 3, barron_reference, value[3], BOUND(0.51, 6));
    assert_int_equal(failures, 0);
}

static void test_partition(void **state) {
    (void)state;
    failures = 0;
    for (int i = 0; i < COUNT(partition_reference); i++) in[0][i] = (REAL)partition_reference[i].alpha;
    run_partition(COUNT(partition_reference));
    CHECK("ln Z", 0, partition_reference, value[0], BOUND(0.51, 1.5));
    CHECK("d ln Z/dalpha", 1, partition_reference, value[1], BOUND(0.51, 5));
    assert_int_equal(failures, 0);
}

/* ---- what is not a number, and the residual's lower part ---- */

#define ASSERT_NAN(x)                                                                                                  \
    do {                                                                                                               \
        REAL lane[LANES];                                                                                              \
        v_store(lane, x);                                                                                              \
        assert_true(lane[0] != lane[0] && lane[LANES - 1] != lane[LANES - 1]);                                         \
    } while (0)

static void test_nan(void **state) {
    (void)state;
    const V nan = v_set(NAN), one = v_set(1), zero = v_set(0);
    V y[4];
    ASSERT_NAN(v_lgamma1p(nan));
    ASSERT_NAN(v_lgamma1p(v_set(-0x1p-100)));
    ASSERT_NAN(v_lgamma1p(v_set(-INFINITY)));
    for (int i = 0; i < 3; i++) {
        v_barron(i == 1 ? one : nan, zero, i == 0 ? one : nan, &y[0], &y[1], &y[2], &y[3]);
        for (int k = 0; k < 4; k++) ASSERT_NAN(y[k]);
    }
    ASSERT_NAN(v_barron_log_partition(nan, &y[0]));
    ASSERT_NAN(y[0]);
    ASSERT_NAN(v_barron_log_partition(v_set(-INFINITY), &y[0]));
    ASSERT_NAN(y[0]);
    ASSERT_NAN(v_barron_log_partition(v_set(-0x1p-100), &y[0]));
    ASSERT_NAN(y[0]);
}

/* x/c = 80/3 at alpha = inf: exp(s/2) knows r_low. exp(3200/9) is within 1 ulp with it, far off without. */
static void test_low_part(void **state) {
    (void)state;
    if (sizeof(REAL) == 4) return; /* overflows */
    const REAL x = 80, c = 3, r = x / c, low = (REAL)(fma(-r, c, x) / c);
    const double exact = 0x1.f1641c5d5978cp+512;
    V w;
    REAL lane[LANES];
    v_barron(v_set(r), v_set(low), v_set(INFINITY), 0, &w, 0, 0);
    v_store(lane, w);
    assert_true(fabs(lane[0] - exact) <= 0x1p460);
    v_barron(v_set(-r), v_set(-low), v_set(INFINITY), 0, &w, 0, 0);
    v_store(lane, w);
    assert_true(fabs(lane[0] - exact) <= 0x1p460);
    v_barron(v_set(r), v_set(0), v_set(INFINITY), 0, &w, 0, 0);
    v_store(lane, w);

    assert_true(fabs(lane[0] - exact) > 0x1p463);
}

/* ---- bits ---- */

static uint64_t random_bits(uint64_t *state) { /* splitmix64 */
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* Half of the arguments any bits, half of moderate size; NaN hashes as one value. */
static void fill(REAL *x, uint64_t seed) {
    for (int i = 0; i < MOST; i++) {
        uint64_t bits = random_bits(&seed);
        if (i & 1)
            x[i] = (REAL)ldexp((double)(int64_t)bits, (int)(bits & 15) - 72);
        else
            memcpy(&x[i], &bits, sizeof x[i]);
    }
}
static void print_hash(const char *name, int outputs) {
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (int k = 0; k < outputs; k++)
        for (int i = 0; i < MOST; i++) {
            unsigned char bytes[sizeof(REAL)] = {0};
            if (out[k][i] == out[k][i]) memcpy(bytes, &out[k][i], sizeof bytes);
            for (size_t j = 0; j < sizeof bytes; j++) hash = (hash ^ bytes[j]) * 1099511628211u;
        }
    printf("%s %016llx\n", name, (unsigned long long)hash);
}
static int print_bits(void) {
    fill(in[0], 1);
    fill(in[1], 2);
    run_lgamma(MOST);
    print_hash("lgamma1p", 1);
    run_barron(MOST);
    print_hash("barron", 4);
    run_partition(MOST);
    print_hash("barron_log_partition", 2);
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "bits") == 0) return print_bits();
    verbose = argc > 1 && strcmp(argv[1], "errors") == 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lgamma), cmocka_unit_test(test_barron),   cmocka_unit_test(test_partition),
        cmocka_unit_test(test_nan),    cmocka_unit_test(test_low_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
