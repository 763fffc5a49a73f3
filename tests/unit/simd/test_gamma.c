/* The functions of simd/gamma.h; as test_math.c, with the argument `bits` too. */
#include "measure.h"
#include "simd/gamma.h"

APPLY(lgamma, v_lgamma(x))
APPLY(lgamma1p, v_lgamma1p(x))
APPLY(digamma, v_digamma(x))
APPLY(trigamma, v_trigamma(x))

/* ---- references ---- */

/* Only for x >= 0; limits from the right. */
static void mp_lgamma(mpfr_t r, const mpfr_t x, const mpfr_t y) {
    (void)y;
    if (mpfr_zero_p(x))
        mpfr_set_inf(r, 1);
    else if (mpfr_sgn(x) < 0)
        mpfr_set_nan(r);
    else
        mpfr_lngamma(r, x, MPFR_RNDN);
}
static void mp_lgamma1p(mpfr_t r, const mpfr_t x, const mpfr_t y) {
    (void)y;
    if (mpfr_zero_p(x)) {
        mpfr_set_zero(r, 1);
        return;
    }
    mpfr_t sum, tail;
    mpfr_inits2(1300, sum, tail, (mpfr_ptr)0);
    mpfr_add_ui(sum, x, 1, MPFR_RNDN);
    if (mpfr_sgn(x) < 0) {
        mpfr_set_nan(r);
    } else if (mpfr_cmp_d(x, 0x1p-80) < 0) { /* x (-gamma + x pi^2/12) */
        mpfr_const_pi(tail, MPFR_RNDN);
        mpfr_sqr(tail, tail, MPFR_RNDN);
        mpfr_div_ui(tail, tail, 12, MPFR_RNDN);
        mpfr_mul(tail, tail, x, MPFR_RNDN);
        mpfr_const_euler(sum, MPFR_RNDN);
        mpfr_sub(tail, tail, sum, MPFR_RNDN);
        mpfr_mul(r, tail, x, MPFR_RNDN);
    } else {
        mpfr_prec_round(sum, 300, MPFR_RNDN); /* exact: x has 53 bits */
        mpfr_lngamma(r, sum, MPFR_RNDN);
    }
    mpfr_clears(sum, tail, (mpfr_ptr)0);
}
static void mp_digamma(mpfr_t r, const mpfr_t x, const mpfr_t y) {
    (void)y;
    if (mpfr_zero_p(x))
        mpfr_set_inf(r, -1);
    else if (mpfr_sgn(x) < 0)
        mpfr_set_nan(r);
    else
        mpfr_digamma(r, x, MPFR_RNDN);
}
/* By the recurrence to x >= 40, then the asymptotic series to the term of x^-41. */
static void mp_trigamma(mpfr_t r, const mpfr_t x, const mpfr_t y) {
    (void)y;
    if (mpfr_zero_p(x)) {
        mpfr_set_inf(r, 1);
        return;
    }
    if (mpfr_nan_p(x) || mpfr_sgn(x) < 0) {
        mpfr_set_nan(r);
        return;
    }
    static const char *const bernoulli[] = {"1/6",
                                            "-1/30",
                                            "1/42",
                                            "-1/30",
                                            "5/66",
                                            "-691/2730",
                                            "7/6",
                                            "-3617/510",
                                            "43867/798",
                                            "-174611/330",
                                            "854513/138",
                                            "-236364091/2730",
                                            "8553103/6",
                                            "-23749461029/870",
                                            "8615841276005/14322"};
    mpfr_t sum, at, inverse, term;
    mpq_t b;
    mpq_init(b);
    mpfr_inits2(1200, sum, at, inverse, term, (mpfr_ptr)0); /* holds x + 60 exactly */
    mpfr_set_zero(sum, 1);
    mpfr_set(at, x, MPFR_RNDN);
    while (mpfr_cmp_ui(at, 60) < 0) {
        mpfr_sqr(term, at, MPFR_RNDN);
        mpfr_ui_div(term, 1, term, MPFR_RNDN);
        mpfr_add(sum, sum, term, MPFR_RNDN);
        mpfr_add_ui(at, at, 1, MPFR_RNDN);
    }
    mpfr_prec_round(sum, 200, MPFR_RNDN), mpfr_prec_round(at, 1200, MPFR_RNDN);
    mpfr_set_prec(inverse, 200), mpfr_set_prec(term, 200);
    mpfr_ui_div(inverse, 1, at, MPFR_RNDN);
    mpfr_add(sum, sum, inverse, MPFR_RNDN);
    mpfr_sqr(term, inverse, MPFR_RNDN);
    mpfr_div_ui(at, term, 2, MPFR_RNDN);
    mpfr_add(sum, sum, at, MPFR_RNDN);
    for (int k = 0; k < 15; k++) { /* B_2k / x^(2k+1) */
        mpfr_mul(inverse, inverse, term, MPFR_RNDN);
        mpq_set_str(b, bernoulli[k], 10);
        mpfr_mul_q(at, inverse, b, MPFR_RNDN);
        mpfr_add(sum, sum, at, MPFR_RNDN);
    }
    mpfr_set(r, sum, MPFR_RNDN);
    mpfr_clears(sum, at, inverse, term, (mpfr_ptr)0);
    mpq_clear(b);
}

/* For f32, where double is enough. */
static double c_lgamma(double x, double y) { return (void)y, x < 0 ? NAN : lgamma(x); }
static double c_lgamma1p(double x, double y) {
    (void)y;
    const double euler = 0.57721566490153286;
    return x < 0 ? NAN : x == 0 ? 0 : x < 1e-12 ? -euler * x : (double)lgammal(1 + (long double)x);
}
static double c_digamma(double x, double y) {
    (void)y;
    if (!(x >= 0)) return NAN;
    if (x == 0) return -INFINITY;
    long double sum = 0, at = x;
    for (; at < 30; at++) sum -= 1 / at;
    const long double v = 1 / at, w = v * v;
    const long double series =
        w * (1.L / 12 - w * (1.L / 120 - w * (1.L / 252 - w * (1.L / 240 - w * (1.L / 132 - w * (691.L / 32760))))));
    return (double)(sum + logl(at) - v / 2 - series);
}
static double c_trigamma(double x, double y) {
    (void)y;
    if (!(x >= 0)) return NAN;
    if (x == 0) return INFINITY;
    long double sum = 0, at = x;
    for (; at < 30; at++) sum += 1 / (at * at);
    const long double v = 1 / at, w = v * v;
    const long double series =
        v * w * (1.L / 6 - w * (1.L / 30 - w * (1.L / 42 - w * (1.L / 30 - w * (5.L / 66 - w * (691.L / 2730))))));
    return (double)(sum + v + w / 2 + series);
}

static const struct function functions[] = {
    ROW(lgamma, lgamma, 0.51, 1),
    SLOW_ROW(lgamma1p, lgamma1p, 0.51, 1),
    SLOW_ROW(digamma, digamma, 0.51, 1.1),
    SLOW_ROW(trigamma, trigamma, 0.51, 1.25),
};

int main(int argc, char **argv) {
    int code;
    if (measured(argc, argv, "gamma", functions, sizeof functions / sizeof functions[0], &code)) return code;
    const struct CMUnitTest tests[] = {MEASURING_TESTS};
    return cmocka_run_group_tests_name("simd gamma", tests, NULL, NULL);
}
