/* The elementary functions of simd/math.h against references: MPFR for f64, the C library's double for f32.
 *
 * One program per dtype and instruction set:
 *     cc -std=c11 -O2 -ffp-contract=off -Isrc -DLOSSFN_REAL_F32 -DLOSSFN_ISA_AVX2 -mavx2 -mfma \
 *        tests/unit/simd/test_math.c -lcmocka -lmpfr -lgmp -lm
 * With no argument it asserts the bounds; LOSSFN_TEST_LONG=1 takes every bit pattern (f32) or many more
 * arguments (f64). `test_math bits` prints one hash per function, which test_same_bits compares between
 * programs. */
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

/* ---- what is tested ---- */

static base_t base2, base_e, base10;

/* |x|, or its mantissa in [1/2, 1) where that is beyond 1. */
static V unit_of(V x) {
    const M mantissa = (M)(((U)i_set(1) << MANTISSA_BITS) - 1);
    V a = v_abs(x);
    return v_select(a > v_set(1), (V)(((M)a & mantissa) | (M)v_set(0.5)), a);
}

#define APPLY(name, expression)                                                                                        \
    static void apply_##name(const REAL *in, const REAL *in2, REAL *out) {                                             \
        for (int i = 0; i < BLOCK; i += LANES) {                                                                       \
            V x = v_load(in + i), y = v_load(in2 + i);                                                                 \
            (void)y;                                                                                                   \
            v_store(out + i, expression);                                                                              \
        }                                                                                                              \
    }
APPLY(exp, v_exp(x))
APPLY(expm1, v_expm1(x))
static V exp_below(V x) {
    const below_t row = v_below(v_set(0));
    return v_exp_below(&row, v_neg(v_abs(x)));
}
APPLY(exp_below, exp_below(x))
APPLY(log, v_log(x))
APPLY(log1p, v_log1p(x))
APPLY(tanh, v_tanh(x))
APPLY(exp_minus, v_exp_minus(v_abs(x)))
APPLY(log1p_unit, v_log1p_unit(unit_of(x)))
APPLY(log_base2, v_log_base(x, &base2))
APPLY(log_base_e, v_log_base(x, &base_e))
APPLY(log_base10, v_log_base(x, &base10))
APPLY(pow, v_pow(x, y))
APPLY(atan, v_atan(x))
/* at most pi/4 */
static V eighth_of(V x) { return v_lesser(v_set(0x1.92p-1), unit_of(x)); }
static V sin_eighth(V x) { return sin_reduced(eighth_of(x), v_set(0), &(V){0}); }
static V cos_eighth(V x) { return cos_reduced(eighth_of(x), v_set(0), &(V){0}); }
APPLY(sin_reduced, sin_eighth(x))
APPLY(cos_reduced, cos_eighth(x))

/* References, to 160 bits. */
typedef void reference(mpfr_t r, const mpfr_t x, const mpfr_t y);
#define ONE_ARGUMENT(name)                                                                                             \
    static void mp_##name(mpfr_t r, const mpfr_t x, const mpfr_t y) {                                                  \
        (void)y;                                                                                                       \
        mpfr_##name(r, x, MPFR_RNDN);                                                                                  \
    }
ONE_ARGUMENT(exp)
ONE_ARGUMENT(expm1)
ONE_ARGUMENT(log)
ONE_ARGUMENT(log1p)
ONE_ARGUMENT(tanh)
ONE_ARGUMENT(log2)
ONE_ARGUMENT(log10)
static void mp_exp_below(mpfr_t r, const mpfr_t x, const mpfr_t y) { /* e^-|x| */
    (void)y;
    mpfr_abs(r, x, MPFR_RNDN);
    mpfr_neg(r, r, MPFR_RNDN);
    mpfr_exp(r, r, MPFR_RNDN);
}
static void mp_exp_minus(mpfr_t r, const mpfr_t x, const mpfr_t y) {
    (void)y;
    mpfr_abs(r, x, MPFR_RNDN);
    mpfr_neg(r, r, MPFR_RNDN);
    mpfr_exp(r, r, MPFR_RNDN);
}
static void mp_log1p_unit(mpfr_t r, const mpfr_t x, const mpfr_t y) {
    (void)y;
    mpfr_abs(r, x, MPFR_RNDN);
    if (mpfr_inf_p(r))
        mpfr_set_d(r, 0.5, MPFR_RNDN);
    else if (mpfr_cmp_ui(r, 1) > 0)
        mpfr_set_exp(r, 0);
    mpfr_log1p(r, r, MPFR_RNDN);
}
ONE_ARGUMENT(atan)
static void mp_eighth(mpfr_t r, const mpfr_t x) {
    mpfr_abs(r, x, MPFR_RNDN);
    if (mpfr_inf_p(r))
        mpfr_set_d(r, 0.5, MPFR_RNDN);
    else if (mpfr_cmp_ui(r, 1) > 0)
        mpfr_set_exp(r, 0);
    if (mpfr_cmp_d(r, 0x1.92p-1) > 0) mpfr_set_d(r, 0x1.92p-1, MPFR_RNDN);
}
static void mp_sin_reduced(mpfr_t r, const mpfr_t x, const mpfr_t y) {
    (void)y;
    mp_eighth(r, x);
    mpfr_sin(r, r, MPFR_RNDN);
}
static void mp_cos_reduced(mpfr_t r, const mpfr_t x, const mpfr_t y) {
    (void)y;
    mp_eighth(r, x);
    mpfr_cos(r, r, MPFR_RNDN);
}
static void mp_pow(mpfr_t r, const mpfr_t x, const mpfr_t y) {
    if (mpfr_zero_p(x))
        mpfr_abs(r, x, MPFR_RNDN), mpfr_pow(r, r, y, MPFR_RNDN);
    else if (mpfr_sgn(x) < 0 && !mpfr_zero_p(y))
        mpfr_set_nan(r);
    else
        mpfr_pow(r, x, y, MPFR_RNDN);
}

static double c_exp_minus(double x, double y) { return (void)y, exp(-fabs(x)); }
static double c_log1p_unit(double x, double y) {
    int exponent;
    (void)y;
    return log1p(isinf(x) ? 0.5 : fabs(x) > 1 ? frexp(fabs(x), &exponent) : fabs(x));
}
static double c_eighth(double x) {
    int exponent;
    double a = isinf(x) ? 0.5 : fabs(x) > 1 ? frexp(fabs(x), &exponent) : fabs(x);
    return a > 0x1.92p-1 ? 0x1.92p-1 : a;
}
static double c_atan(double x, double y) { return (void)y, atan(x); }
static double c_sin_reduced(double x, double y) { return (void)y, sin(c_eighth(x)); }
static double c_cos_reduced(double x, double y) { return (void)y, cos(c_eighth(x)); }
static double c_exp(double x, double y) { return (void)y, exp(x); }
static double c_exp_below(double x, double y) { return (void)y, exp(-fabs(x)); }
static double c_expm1(double x, double y) { return (void)y, expm1(x); }
static double c_log(double x, double y) { return (void)y, log(x); }
static double c_log1p(double x, double y) { return (void)y, log1p(x); }
static double c_tanh(double x, double y) { return (void)y, tanh(x); }
static double c_log2(double x, double y) { return (void)y, log2(x); }
static double c_log10(double x, double y) { return (void)y, log10(x); }
static double c_pow(double x, double y) { return x == 0 ? pow(0, y) : x < 0 && y != 0 ? NAN : pow(x, y); }

#define ROW(name, ref, f32, f64)                                                                                       \
    { #name, apply_##name, mp_##ref, c_##ref, sizeof(REAL) == 4 ? f32 : f64 }
static const struct function {
    const char *name;
    void (*apply)(const REAL *x, const REAL *y, REAL *out);
    reference *exact;
    double (*c)(double, double);
    double bound; /* ulp, as stated in math.h */
} functions[] = {
    ROW(exp, exp, 1.05, 1.05),
    ROW(expm1, expm1, 0.85, 0.95),
    ROW(log, log, 0.85, 0.85),
    ROW(log1p, log1p, 0.85, 0.85),
    ROW(tanh, tanh, 0.75, 0.75),
    ROW(exp_minus, exp_minus, 1.05, 1.05),
    ROW(log1p_unit, log1p_unit, 1.25, 1.25),
    ROW(log_base2, log2, 1.2, 1.2),
    ROW(log_base_e, log, 0.85, 0.85),
    ROW(log_base10, log10, 1.2, 1.2),
    ROW(pow, pow, 0.85, 1.75),
    ROW(exp_below, exp_below, 1.2, 1.0),
    ROW(atan, atan, 0.8, 0.75),
    ROW(sin_reduced, sin_reduced, 0.75, 0.75),
    ROW(cos_reduced, cos_reduced, 0.75, 0.75),
};
enum { FUNCTIONS = sizeof functions / sizeof functions[0] };

/* ---- errors ---- */

static int ulp_exponent(double exact) { /* the ulp of REAL at a finite value is 2 to this power */
    int e;
    frexp(exact, &e);
    return exact != 0 && e - DIGITS > LEAST_EXPONENT ? e - DIGITS : LEAST_EXPONENT;
}

/* The error of y in ulp of the exact value; infinite if one is NaN, inf or zero of a sign and the other is not.
 * Beyond the largest REAL, inf is right if rounding the exact value gives it. */
static double error_f32(const struct function *f, REAL x, REAL x2, REAL y) {
    double exact = f->c((double)x, (double)x2);
    if (exact != exact) return y != y ? 0 : INFINITY;
    if (y != y || !signbit(y) != !signbit(exact)) return INFINITY;
    if (isinf(y)) return isinf(exact) || fabs(exact) > (double)FLT_MAX ? 0 : INFINITY;
    if (fabs(exact) > 2 * (double)FLT_MAX) return INFINITY;
    return ldexp(fabs((double)y - exact), -ulp_exponent(exact));
}
static double error_f64(const struct function *f, REAL x, REAL x2, REAL y, mpfr_t t[4]) {
    mpfr_set_d(t[0], (double)x, MPFR_RNDN);
    mpfr_set_d(t[1], (double)x2, MPFR_RNDN);
    f->exact(t[2], t[0], t[1]);
    if (mpfr_nan_p(t[2])) return y != y ? 0 : INFINITY;
    if (y != y || !signbit(y) != !mpfr_signbit(t[2])) return INFINITY;
    double nearest = mpfr_get_d(t[2], MPFR_RNDZ);
    if (isinf(y)) return mpfr_inf_p(t[2]) || fabs(nearest) == DBL_MAX ? 0 : INFINITY;
    if (isinf(nearest)) return INFINITY;
    mpfr_set_d(t[3], (double)y, MPFR_RNDN);
    mpfr_sub(t[3], t[3], t[2], MPFR_RNDN);
    mpfr_mul_2si(t[3], t[3], -ulp_exponent(nearest), MPFR_RNDN);
    return fabs(mpfr_get_d(t[3], MPFR_RNDN));
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
    switch (i % 8) {
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

static REAL x[BLOCK], y[BLOCK], out[BLOCK], out2[BLOCK];

struct worst {
    double error;
    REAL x, y, got;
};
static void keep_worst(struct worst *w, double error, int i) {
    if (error > w->error) *w = (struct worst){error, x[i], y[i], out[i]};
}
static void judge(const struct worst worst[FUNCTIONS]) {
    int failures = 0;
    for (int k = 0; k < FUNCTIONS; k++) {
        const struct worst *w = &worst[k];
        int bad = !(w->error <= functions[k].bound);
        printf("%-18s %.4f ulp at %a (%a): %a%s\n", functions[k].name, w->error, (double)w->x, (double)w->y,
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
    struct worst worst[FUNCTIONS] = {0};
    for (uint64_t b = 0; b < blocks; b++) {
        fill(x, y, b);
        for (int k = 0; k < FUNCTIONS; k++) {
            functions[k].apply(x, y, out);
            for (int i = 0; i < BLOCK; i++)
                keep_worst(&worst[k],
                           sizeof(REAL) == 4 ? error_f32(&functions[k], x[i], y[i], out[i])
                                             : error_f64(&functions[k], x[i], y[i], out[i], t),
                           i);
        }
    }
    judge(worst);
    for (int i = 0; i < 4; i++) mpfr_clear(t[i]);
}

#ifdef LOSSFN_REAL_F32
static void sweep_of_bit_patterns(void **unused) {
    (void)unused;
    uint64_t stride = is_long() ? 1 : 1999;
    struct worst worst[FUNCTIONS] = {0};
    for (int k = 0; k < FUNCTIONS; k++) {
        state = 1;
        for (uint64_t first = 0; first < (uint64_t)1 << 32; first += BLOCK * stride) {
            for (int i = 0; i < BLOCK; i++) x[i] = from_bits((bits_t)(first + (uint64_t)i * stride));
            for (int i = 0; i < BLOCK && functions[k].c == c_pow; i++) y[i] = exponent(x[i], (uint64_t)i);
            functions[k].apply(x, y, out);
            for (int i = 0; i < BLOCK; i++) keep_worst(&worst[k], error_f32(&functions[k], x[i], y[i], out[i]), i);
        }
    }
    judge(worst);
}
#endif

static void powers_of_two_have_exact_binary_logarithms(void **unused) {
    (void)unused;
    int k = LEAST_EXPONENT, last = sizeof(REAL) == 4 ? 127 : 1023;
    for (; k <= last; k++) {
        for (int i = 0; i < BLOCK; i++) x[i] = (REAL)ldexp(1, k);
        apply_log_base2(x, y, out);
        assert_true(out[0] == (REAL)k);
    }
}

static void base_e_is_the_natural_logarithm(void **unused) {
    (void)unused;
    fill(x, y, 77);
    apply_log_base_e(x, y, out);
    apply_log(x, y, out2);
    for (int i = 0; i < BLOCK; i++) assert_true(to_bits(out[i]) == to_bits(out2[i]) || out[i] != out[i]);
}

static void print_bits(void) {
    for (int k = 0; k < FUNCTIONS; k++) {
        uint64_t hash = 0xcbf29ce484222325u;
        for (uint64_t b = 0; b < 64; b++) {
            fill(x, y, 1000 + b);
            functions[k].apply(x, y, out);
            for (int i = 0; i < BLOCK; i++)
                hash = (hash ^ (out[i] != out[i] ? ~(uint64_t)0 : to_bits(out[i]))) * 0x100000001b3u;
        }
        printf("%s %016llx\n", functions[k].name, (unsigned long long)hash);
    }
}

int main(int argc, char **argv) {
    base_init(&base2, 2);
    base_init(&base_e, 0x1.5bf0a8b145769p1);
    base_init(&base10, 10);
    if (argc > 1 && strcmp(argv[1], "bits") == 0) return print_bits(), 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_hold),
#ifdef LOSSFN_REAL_F32
        cmocka_unit_test(sweep_of_bit_patterns),
#endif
        cmocka_unit_test(powers_of_two_have_exact_binary_logarithms),
        cmocka_unit_test(base_e_is_the_natural_logarithm),
    };
    return cmocka_run_group_tests_name("simd math", tests, NULL, NULL);
}
