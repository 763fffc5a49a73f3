/* The elementary functions of simd/math.h against references: MPFR for f64, the C library's double for f32.
 *
 * One program per dtype and instruction set:
 *     cc -std=c11 -O2 -ffp-contract=off -Isrc -DLOSSFN_REAL_F32 -DLOSSFN_ISA_AVX2 -mavx2 -mfma \
 *        tests/unit/simd/test_math.c -lcmocka -lmpfr -lgmp -lm
 * With no argument it asserts the bounds; measure.h says what `sweep` and `bits` do. */
#include "measure.h"

/* ---- what is tested ---- */

static base_t base2, base_e, base10;

/* |x|, or its mantissa in [1/2, 1) where that is beyond 1. */
static V unit_of(V x) {
    const M mantissa = (M)(((U)i_set(1) << MANTISSA_BITS) - 1);
    V a = v_abs(x);
    return v_select(a > v_set(1), (V)(((M)a & mantissa) | (M)v_set(0.5)), a);
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
/* What rounding may have taken from x, of y's sign. */
static V rest_of(V x, V y) {
    const V half = v_abs(x) * v_set(sizeof(REAL) == 4 ? 0x1p-25 : 0x1p-54);
    return v_select(y < v_set(0), v_neg(half), half);
}
APPLY(exp_parts, v_exp_parts(x, rest_of(x, y)))
APPLY(exp_minus_parts, v_exp_minus_parts(v_abs(x), rest_of(x, y)))
APPLY(expm1_less, v_expm1_less(x))

ONE_ARGUMENT(exp)
/* e^(x + |x| 2^-DIGITS/2) with y's sign before the second term; of |x|, and with a minus before both */
static void mp_exp_sum(mpfr_t r, const mpfr_t x, const mpfr_t y, int minus) {
    mpfr_t sum, rest;
    mpfr_inits2(200, sum, rest, (mpfr_ptr)0);
    mpfr_abs(rest, x, MPFR_RNDN);
    mpfr_set(sum, minus ? rest : x, MPFR_RNDN);
    if (mpfr_number_p(x)) {
        mpfr_mul_2si(rest, rest, -(DIGITS + 1), MPFR_RNDN);
        if (mpfr_sgn(y) < 0) mpfr_neg(rest, rest, MPFR_RNDN);
        mpfr_add(sum, sum, rest, MPFR_RNDN);
    }
    if (minus) mpfr_neg(sum, sum, MPFR_RNDN);
    mpfr_exp(r, sum, MPFR_RNDN);
    mpfr_clears(sum, rest, (mpfr_ptr)0);
}
static void mp_exp_parts(mpfr_t r, const mpfr_t x, const mpfr_t y) { mp_exp_sum(r, x, y, 0); }
static void mp_exp_minus_parts(mpfr_t r, const mpfr_t x, const mpfr_t y) { mp_exp_sum(r, x, y, 1); }
static void mp_expm1_less(mpfr_t r, const mpfr_t x, const mpfr_t y) {
    (void)y;
    if (!mpfr_number_p(x)) {
        mpfr_abs(r, x, MPFR_RNDN);
        return;
    }
    mpfr_t sum, term;
    mpfr_inits2(400, sum, term, (mpfr_ptr)0);
    if (!mpfr_zero_p(x) && mpfr_get_exp(x) > -60) {
        mpfr_expm1(sum, x, MPFR_RNDN);
        mpfr_sub(r, sum, x, MPFR_RNDN);
    } else { /* x^2/2 + x^3/6 + x^4/24 */
        mpfr_sqr(term, x, MPFR_RNDN);
        mpfr_div_ui(term, term, 2, MPFR_RNDN);
        mpfr_set(sum, term, MPFR_RNDN);
        for (unsigned k = 3; k < 5; k++) {
            mpfr_mul(term, term, x, MPFR_RNDN);
            mpfr_div_ui(term, term, k, MPFR_RNDN);
            mpfr_add(sum, sum, term, MPFR_RNDN);
        }
        mpfr_set(r, sum, MPFR_RNDN);
    }
    mpfr_clears(sum, term, (mpfr_ptr)0);
}
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
/* For f32, whose rest added to x is exact in double */
static double c_exp_parts(double x, double y) {
    const double rest = isfinite(x) ? fabs(x) * 0x1p-25 : 0;
    return exp(y < 0 ? x - rest : x + rest);
}
static double c_exp_minus_parts(double x, double y) {
    const double a = fabs(x), rest = isfinite(x) ? a * 0x1p-25 : 0;
    return exp(-(y < 0 ? a - rest : a + rest));
}
static double c_expm1_less(double x, double y) {
    (void)y;
    if (!isfinite(x)) return fabs(x);
    if (fabs(x) > 0.01) return (double)(expm1l((long double)x) - (long double)x);
    double sum = 1;
    for (int k = 9; k > 2; k--) sum = 1 + sum * x / k;
    return x * x / 2 * sum;
}
static double c_exp(double x, double y) { return (void)y, exp(x); }
static double c_exp_below(double x, double y) { return (void)y, exp(-fabs(x)); }
static double c_expm1(double x, double y) { return (void)y, expm1(x); }
static double c_log(double x, double y) { return (void)y, log(x); }
static double c_log1p(double x, double y) { return (void)y, log1p(x); }
static double c_tanh(double x, double y) { return (void)y, tanh(x); }
static double c_log2(double x, double y) { return (void)y, log2(x); }
static double c_log10(double x, double y) { return (void)y, log10(x); }
static double c_pow(double x, double y) { return x == 0 ? pow(0, y) : x < 0 && y != 0 ? NAN : pow(x, y); }

static const struct function functions[] = {
    ROW(exp, exp, 1.05, 1.05),
    ROW(expm1, expm1, 0.85, 0.95),
    ROW(log, log, 0.85, 0.85),
    ROW(log1p, log1p, 0.85, 0.85),
    ROW(tanh, tanh, 0.75, 0.75),
    ROW(exp_minus, exp_minus, 1.05, 1.05),
    ROW(log1p_unit, log1p_unit, 1.3, 1.3),
    PAIRS(exp_parts, exp_parts, 1.2, 1.2),
    PAIRS(exp_minus_parts, exp_minus_parts, 1.2, 1.2),
    ROW(expm1_less, expm1_less, 1.6, 1.6),
    ROW(log_base2, log2, 1.2, 1.2),
    ROW(log_base_e, log, 0.85, 0.85),
    ROW(log_base10, log10, 1.2, 1.2),
    PAIRS(pow, pow, 0.85, 1.75),
    ROW(exp_below, exp_below, 1.2, 1.0),
};

static void powers_of_two_have_exact_binary_logarithms(void **unused) {
    (void)unused;
    int k = LEAST_EXPONENT, last = sizeof(REAL) == 4 ? 127 : 1023;
    for (; k <= last; k++) {
        for (int i = 0; i < BLOCK; i++) args[i] = (REAL)ldexp(1, k);
        apply_log_base2(args, args2, results);
        assert_true(results[0] == (REAL)k);
    }
}

static REAL results2[BLOCK];

static void base_e_is_the_natural_logarithm(void **unused) {
    (void)unused;
    fill(args, args2, 77);
    apply_log_base_e(args, args2, results);
    apply_log(args, args2, results2);
    for (int i = 0; i < BLOCK; i++)
        assert_true(to_bits(results[i]) == to_bits(results2[i]) || results[i] != results[i]);
}

int main(int argc, char **argv) {
    int code;
    base_init(&base2, 2);
    base_init(&base_e, 0x1.5bf0a8b145769p1);
    base_init(&base10, 10);
    if (measured(argc, argv, "math", functions, sizeof functions / sizeof functions[0], &code)) return code;
    const struct CMUnitTest tests[] = {
        MEASURING_TESTS,
        cmocka_unit_test(powers_of_two_have_exact_binary_logarithms),
        cmocka_unit_test(base_e_is_the_natural_logarithm),
    };
    return cmocka_run_group_tests_name("simd math", tests, NULL, NULL);
}
