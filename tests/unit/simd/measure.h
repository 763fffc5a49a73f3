/* Measures functions of simd against references: MPFR for f64, the C library's double for f32. A program includes this,
 * makes a table of functions and sets `tested` and `tested_count`. */
#ifndef LOSSFN_TESTS_MEASURE_H
#define LOSSFN_TESTS_MEASURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <float.h>
#include <cmocka.h>
#include <mpfr.h>
#include "simd/math.h"

enum { BLOCK = 4096 };

#ifdef LOSSFN_REAL_F32
typedef uint32_t bits_t;
enum { DIGITS = 24, LEAST_EXPONENT = -149 };
#else
typedef uint64_t bits_t;
enum { DIGITS = 53, LEAST_EXPONENT = -1074 };
#endif

static REAL from_bits(bits_t b) {
    REAL x;
    memcpy(&x, &b, sizeof x);
    return x;
}
static bits_t to_bits(REAL x) {
    bits_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

#define APPLY(name, expression)                                                                                        \
    static void apply_##name(const REAL *in, const REAL *in2, REAL *out) {                                             \
        for (int i = 0; i < BLOCK; i += LANES) {                                                                       \
            V x = v_load(in + i), y = v_load(in2 + i);                                                                 \
            (void)y;                                                                                                   \
            v_store(out + i, expression);                                                                              \
        }                                                                                                              \
    }
/* References, to 160 bits. */
typedef void reference(mpfr_t r, const mpfr_t x, const mpfr_t y);
#define ONE_ARGUMENT(name)                                                                                             \
    static void mp_##name(mpfr_t r, const mpfr_t x, const mpfr_t y) {                                                  \
        (void)y;                                                                                                       \
        mpfr_##name(r, x, MPFR_RNDN);                                                                                  \
    }
#define C_ARGUMENT(name)                                                                                               \
    static double c_##name(double x, double y) { return (void)y, name(x); }

/* `size`, where there is one: errors are in ulp of it where it exceeds the exact value. */
struct function {
    const char *name;
    void (*apply)(const REAL *x, const REAL *y, REAL *out);
    reference *exact;
    double (*c)(double, double); /* NULL: `exact` also for f32 */
    double bound;                /* ulp, as the header states */
    double (*size)(double, double);
    int pairs; /* of two arguments */
};
#define SIZED(name, ref, f32, f64, size)                                                                               \
    { #name, apply_##name, mp_##ref, NULL, sizeof(REAL) == 4 ? f32 : f64, size, 1 }
#define EXACT(name, ref, f32, f64)                                                                                     \
    { #name, apply_##name, mp_##ref, NULL, sizeof(REAL) == 4 ? f32 : f64, NULL, 0 }
#define ROW(name, ref, f32, f64)                                                                                       \
    { #name, apply_##name, mp_##ref, c_##ref, sizeof(REAL) == 4 ? f32 : f64, NULL, 0 }
static const struct function *tested;
static int tested_count;
enum { MOST_TESTED = 32 };

/* ---- errors ---- */

static int ulp_exponent(double exact) { /* the ulp of REAL at a finite value is 2 to this power */
    int e;
    frexp(exact, &e);
    return exact != 0 && e - DIGITS > LEAST_EXPONENT ? e - DIGITS : LEAST_EXPONENT;
}

static int place_of(const struct function *f, REAL x, REAL x2, double exact) {
    const double size = f->size ? f->size((double)x, (double)x2) : 0;
    return ulp_exponent(fabs(exact) >= size ? exact : size);
}
/* The error of y in ulp of the exact value; infinite if one is NaN, inf or zero of a sign and the other is not.
 * Beyond the largest REAL, inf is right if rounding the exact value gives it. */
static double error_f32(const struct function *f, REAL x, REAL x2, REAL y) {
    double exact = f->c((double)x, (double)x2);
    if (exact != exact) return y != y ? 0 : INFINITY;
    if (y != y || !signbit(y) != !signbit(exact)) return INFINITY;
    if (isinf(y)) return isinf(exact) || fabs(exact) > (double)FLT_MAX ? 0 : INFINITY;
    if (fabs(exact) > 2 * (double)FLT_MAX) return INFINITY;
    return ldexp(fabs((double)y - exact), -place_of(f, x, x2, exact));
}
static double error_mpfr(const struct function *f, REAL x, REAL x2, REAL y, mpfr_t t[4]) {
    mpfr_set_d(t[0], (double)x, MPFR_RNDN);
    mpfr_set_d(t[1], (double)x2, MPFR_RNDN);
    f->exact(t[2], t[0], t[1]);
    if (mpfr_nan_p(t[2])) return y != y ? 0 : INFINITY;
    if (y != y || !signbit(y) != !mpfr_signbit(t[2])) return INFINITY;
    double nearest = mpfr_get_d(t[2], MPFR_RNDZ);
    const double greatest = sizeof(REAL) == 4 ? (double)FLT_MAX : DBL_MAX;
    if (isinf(y)) return mpfr_inf_p(t[2]) || fabs(nearest) >= greatest ? 0 : INFINITY;
    if (isinf(nearest)) return INFINITY;
    mpfr_set_d(t[3], (double)y, MPFR_RNDN);
    mpfr_sub(t[3], t[3], t[2], MPFR_RNDN);
    mpfr_mul_2si(t[3], t[3], -place_of(f, x, x2, nearest), MPFR_RNDN);
    return fabs(mpfr_get_d(t[3], MPFR_RNDN));
}

static double error_of(const struct function *f, REAL x, REAL x2, REAL y, mpfr_t t[4]) {
    return sizeof(REAL) == 4 && f->c ? error_f32(f, x, x2, y) : error_mpfr(f, x, x2, y, t);
}

/* ---- arguments ---- */

static uint64_t state;
static uint64_t next(void) { /* splitmix64 */
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
static double uniform(void) { return (double)(next() >> 11) * 0x1p-53; }
static double small(int powers) {
    int power = (int)(next() % (uint64_t)powers);
    return ldexp(0.5 + uniform() / 2, -power);
}

static const double specials[] = {0,    1,     0.5,   0.75,   1.5,    2,      10,      17,     20,      40,  88,
                                  88.7, 88.73, 89,    103.9,  104,    709.7,  709.79,  710,    745,     746, 1e30,
                                  1e-5, 1e-8,  1e-40, 1e-310, 4e-324, 1e-300, 0x1p-60, 3e-120, INFINITY};

/* One argument: any bit pattern, near 1 and the branches, moderate, and the values above with their neighbours.
 */
static REAL argument(uint64_t i) {
    double sign = next() & 1 ? -1 : 1;
    switch (i % 9) {
    case 0:
        return from_bits((bits_t)next());
    case 1:
        return (REAL)(sign * (1 + (uniform() - 0.5) * small(30)));
    case 2:
        return (REAL)(sign * small(40));
    case 3:
        return (REAL)(sign * uniform() * 4);
    case 4:
        return (REAL)(sign * uniform() * (sizeof(REAL) == 4 ? 105 : 750));
    case 5:
        return (REAL)(sign * uniform() * 40);
    case 6:
        return (REAL)(sign * uniform());
    case 7: /* near multiples of pi/2 */
        return (REAL)(sign * (double)(next() >> next() % 64) * 0x1.921fb54442d18p0);
    default: {
        REAL x = (REAL)(sign * specials[next() % (sizeof specials / sizeof specials[0])]);
        return from_bits(to_bits(x) + (bits_t)(next() % 5) - 2);
    }
    }
}

/* Second arguments of pow: so that x^y is mostly finite. No libm here, so that every machine has the same
 * arguments. */
static REAL exponent(REAL x, uint64_t i) {
    int k;
    double m = frexp(fabs((double)x), &k), range = sizeof(REAL) == 4 ? 110 : 760;
    double log_x = k == 0 ? m - 1 : k == 1 ? 2 * m - 1 : k * 0.7;
    if (i % 3 == 0 || !isfinite(x) || log_x == 0) return argument(next());
    return (REAL)((2 * uniform() - 1) * range / log_x);
}

static void fill(REAL *x, REAL *y, uint64_t block) {
    state = block;
    for (int i = 0; i < BLOCK; i++) x[i] = argument((uint64_t)i), y[i] = exponent(x[i], (uint64_t)i / 8);
}

/* ---- tests ---- */

static int is_long(void) {
    const char *text = getenv("LOSSFN_TEST_LONG");
    return text && *text && *text != '0';
}

static REAL args[BLOCK], args2[BLOCK], results[BLOCK];

struct worst {
    double error;
    REAL x, y, got;
};
static void keep_worst(struct worst *w, double error, int i) {
    if (error > w->error) *w = (struct worst){error, args[i], args2[i], results[i]};
}
static void judge(const struct worst worst[MOST_TESTED]) {
    int failures = 0;
    for (int k = 0; k < tested_count; k++) {
        const struct worst *w = &worst[k];
        int bad = !(w->error <= tested[k].bound);
        printf("%-18s %.4f ulp at %a (%a): %a%s\n", tested[k].name, w->error, (double)w->x, (double)w->y,
               (double)w->got, bad ? "  TOO LARGE" : "");
        failures += bad;
    }
    assert_int_equal(failures, 0);
}

static void bounds_hold(void **unused) {
    (void)unused;
    mpfr_t t[4];
    for (int i = 0; i < 4; i++) mpfr_init2(t[i], 160);
    uint64_t blocks = is_long() ? 500 : 6;
    struct worst worst[MOST_TESTED] = {0};
    for (uint64_t b = 0; b < blocks; b++) {
        fill(args, args2, b);
        for (int k = 0; k < tested_count; k++) {
            tested[k].apply(args, args2, results);
            for (int i = 0; i < BLOCK; i++)
                keep_worst(&worst[k], error_of(&tested[k], args[i], args2[i], results[i], t), i);
        }
    }
    judge(worst);
    for (int i = 0; i < 4; i++) mpfr_clear(t[i]);
}

#ifdef LOSSFN_REAL_F32
static void sweep_of_bit_patterns(void **unused) {
    (void)unused;
    mpfr_t t[4];
    for (int i = 0; i < 4; i++) mpfr_init2(t[i], 160);
    struct worst worst[MOST_TESTED] = {0};
    for (int k = 0; k < tested_count; k++) {
        const uint64_t stride = (is_long() ? 1u : 1999u) * (tested[k].c ? 1 : 101); /* MPFR takes long */
        state = 1;
        for (uint64_t first = 0; first < (uint64_t)1 << 32; first += BLOCK * stride) {
            for (int i = 0; i < BLOCK; i++) args[i] = from_bits((bits_t)(first + (uint64_t)i * stride));
            for (int i = 0; i < BLOCK && tested[k].pairs; i++) args2[i] = exponent(args[i], (uint64_t)i);
            tested[k].apply(args, args2, results);
            for (int i = 0; i < BLOCK; i++)
                keep_worst(&worst[k], error_of(&tested[k], args[i], args2[i], results[i], t), i);
        }
    }
    judge(worst);
    for (int i = 0; i < 4; i++) mpfr_clear(t[i]);
}
#define MEASURING_TESTS cmocka_unit_test(bounds_hold), cmocka_unit_test(sweep_of_bit_patterns)
#else
#define MEASURING_TESTS cmocka_unit_test(bounds_hold)
#endif

static void print_bits(void) {
    for (int k = 0; k < tested_count; k++) {
        uint64_t hash = 0xcbf29ce484222325u;
        for (uint64_t b = 0; b < 64; b++) {
            fill(args, args2, 1000 + b);
            tested[k].apply(args, args2, results);
            for (int i = 0; i < BLOCK; i++)
                hash = (hash ^ (results[i] != results[i] ? ~(uint64_t)0 : to_bits(results[i]))) * 0x100000001b3u;
        }
        printf("%s %016llx\n", tested[k].name, (unsigned long long)hash);
    }
}

#endif
