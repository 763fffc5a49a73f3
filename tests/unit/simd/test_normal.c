/* The functions of simd/normal.h and simd/bessel.h; as test_math.c, with the argument `bits` too. */
#include "measure.h"
#include "simd/bessel.h"
#include "simd/normal.h"

APPLY(mills, v_mills(x))
APPLY(mills_gap, v_mills_gap(x))
APPLY(erf, v_erf(x))
APPLY(log_i0, v_log_i0(x))
APPLY(i1_rest, v_i1_rest(x))

/* ---- references ---- */

/* The sum of (-1)^(k - from) (2 k - 1)!! / x^(2 k), k = from ... 11; for x of 2^20 and more */
static void mp_asymptotic(mpfr_t r, const mpfr_t x, unsigned from) {
    mpfr_t term, square;
    mpfr_inits2(300, term, square, (mpfr_ptr)0);
    mpfr_sqr(square, x, MPFR_RNDN);
    mpfr_set_ui(term, 1, MPFR_RNDN);
    mpfr_set_zero(r, 1);
    for (unsigned k = 0; k < 12; k++) {
        if (k >= from) ((k - from) % 2 ? mpfr_sub : mpfr_add)(r, r, term, MPFR_RNDN);
        mpfr_mul_ui(term, term, 2 * k + 1, MPFR_RNDN);
        mpfr_div(term, term, square, MPFR_RNDN);
    }
    mpfr_clears(term, square, (mpfr_ptr)0);
}
/* M = sqrt(pi/2) exp(x^2/2) erfc(x/sqrt 2) or 1 - x M, with bits enough for that. */
static void mp_mills_any(mpfr_t r, const mpfr_t x, int gap) {
    if (mpfr_nan_p(x) || mpfr_sgn(x) < 0) {
        mpfr_set_nan(r);
        return;
    }
    if (mpfr_inf_p(x)) {
        mpfr_set_zero(r, 1);
        return;
    }
    mpfr_t m, t;
    mpfr_inits2(600, m, t, (mpfr_ptr)0);
    if (mpfr_cmp_ui(x, 1 << 20) >= 0) {
        mp_asymptotic(m, x, (unsigned)gap);
        if (!gap) mpfr_div(m, m, x, MPFR_RNDN);
        mpfr_set(r, m, MPFR_RNDN);
        mpfr_clears(m, t, (mpfr_ptr)0);
        return;
    }
    mpfr_set_ui(t, 2, MPFR_RNDN);
    mpfr_sqrt(t, t, MPFR_RNDN);
    mpfr_div(t, x, t, MPFR_RNDN);
    if (mpfr_cmp_ui(x, 30) > 0) { /* a continued fraction: x + 1/(x + 2/(x + ...)) */
        mpfr_set(m, x, MPFR_RNDN);
        for (unsigned k = 400; k > 0; k--) {
            mpfr_ui_div(m, k, m, MPFR_RNDN);
            mpfr_add(m, m, x, MPFR_RNDN);
        }
        mpfr_ui_div(m, 1, m, MPFR_RNDN);
    } else {
        mpfr_t erfc;
        mpfr_init2(erfc, 600);
        mpfr_erfc(erfc, t, MPFR_RNDN);
        mpfr_sqr(t, x, MPFR_RNDN);
        mpfr_div_ui(t, t, 2, MPFR_RNDN);
        mpfr_exp(t, t, MPFR_RNDN);
        mpfr_mul(m, t, erfc, MPFR_RNDN);
        mpfr_const_pi(t, MPFR_RNDN);
        mpfr_div_ui(t, t, 2, MPFR_RNDN);
        mpfr_sqrt(t, t, MPFR_RNDN);
        mpfr_mul(m, m, t, MPFR_RNDN);
        mpfr_clear(erfc);
    }
    if (gap) {
        mpfr_mul(m, m, x, MPFR_RNDN);
        mpfr_ui_sub(m, 1, m, MPFR_RNDN);
    }
    mpfr_set(r, m, MPFR_RNDN);
    mpfr_clears(m, t, (mpfr_ptr)0);
}
static void mp_mills(mpfr_t r, const mpfr_t x, const mpfr_t y) {
    (void)y;
    mp_mills_any(r, x, 0);
}
static void mp_mills_gap(mpfr_t r, const mpfr_t x, const mpfr_t y) {
    (void)y;
    mp_mills_any(r, x, 1);
}
static void mp_erf(mpfr_t r, const mpfr_t x, const mpfr_t y) {
    (void)y;
    mpfr_erf(r, x, MPFR_RNDN);
}
/* The series of I0 and I1, or the asymptotic one */
static void mp_bessel(mpfr_t i0, mpfr_t i1, const mpfr_t x) {
    mpfr_t term, quarter;
    mpfr_inits2(1400, term, quarter, (mpfr_ptr)0);
    mpfr_sqr(quarter, x, MPFR_RNDN);
    mpfr_div_ui(quarter, quarter, 4, MPFR_RNDN);
    mpfr_set_ui(term, 1, MPFR_RNDN);
    mpfr_set_zero(i0, 1), mpfr_set_zero(i1, 1);
    for (unsigned k = 0; k < 2000; k++) {
        mpfr_add(i0, i0, term, MPFR_RNDN);
        mpfr_div_ui(term, term, k + 1, MPFR_RNDN);
        mpfr_add(i1, i1, term, MPFR_RNDN);
        mpfr_mul(term, term, quarter, MPFR_RNDN);
        mpfr_div_ui(term, term, k + 1, MPFR_RNDN);
        if (mpfr_get_exp(term) < mpfr_get_exp(i0) - 1300) break;
    }
    mpfr_mul(i1, i1, x, MPFR_RNDN);
    mpfr_div_ui(i1, i1, 2, MPFR_RNDN);
    mpfr_clears(term, quarter, (mpfr_ptr)0);
}
/* e^-x sqrt(2 pi x) I_n(x), for x above 200: the sum of prod((4 n^2 - (2 k - 1)^2))/(k! (-8 x)^k) */
static void mp_bessel_far(mpfr_t r, const mpfr_t x, int n) {
    mpfr_t term;
    mpfr_init2(term, 1400);
    mpfr_set_ui(term, 1, MPFR_RNDN);
    mpfr_set_zero(r, 1);
    for (int k = 1; k < 300; k++) {
        mpfr_add(r, r, term, MPFR_RNDN);
        mpfr_mul_si(term, term, 4 * n * n - (2 * k - 1) * (2 * k - 1), MPFR_RNDN);
        mpfr_div_si(term, term, -8 * k, MPFR_RNDN);
        mpfr_div(term, term, x, MPFR_RNDN);
        if (mpfr_zero_p(term) || mpfr_get_exp(term) < -1300) break;
    }
    mpfr_clear(term);
}
static void mp_log_i0(mpfr_t r, const mpfr_t x, const mpfr_t y) {
    (void)y;
    if (mpfr_nan_p(x) || mpfr_sgn(x) < 0) {
        mpfr_set_nan(r);
        return;
    }
    if (mpfr_inf_p(x)) {
        mpfr_set_inf(r, -1);
        return;
    }
    mpfr_t i0, i1;
    mpfr_inits2(1400, i0, i1, (mpfr_ptr)0);
    if (mpfr_cmp_ui(x, 200) > 0) {
        mp_bessel_far(i0, x, 0);
        mpfr_const_pi(i1, MPFR_RNDN);
        mpfr_mul(i1, i1, x, MPFR_RNDN);
        mpfr_mul_ui(i1, i1, 2, MPFR_RNDN);
        mpfr_sqrt(i1, i1, MPFR_RNDN);
        mpfr_div(i0, i0, i1, MPFR_RNDN);
        mpfr_log(r, i0, MPFR_RNDN);
    } else {
        mp_bessel(i0, i1, x);
        mpfr_log(i0, i0, MPFR_RNDN);
        mpfr_sub(r, i0, x, MPFR_RNDN);
    }
    mpfr_clears(i0, i1, (mpfr_ptr)0);
}
static void mp_i1_rest(mpfr_t r, const mpfr_t x, const mpfr_t y) {
    (void)y;
    if (mpfr_nan_p(x) || mpfr_sgn(x) < 0) {
        mpfr_set_nan(r);
        return;
    }
    if (mpfr_inf_p(x)) {
        mpfr_set_zero(r, 1);
        return;
    }
    mpfr_t i0, i1;
    mpfr_inits2(2600, i0, i1, (mpfr_ptr)0);
    if (mpfr_cmp_ui(x, 200) > 0) {
        mp_bessel_far(i0, x, 0);
        mp_bessel_far(i1, x, 1);
    } else {
        mp_bessel(i0, i1, x);
    }
    mpfr_div(i1, i1, i0, MPFR_RNDN);
    mpfr_ui_sub(r, 1, i1, MPFR_RNDN);
    mpfr_clears(i0, i1, (mpfr_ptr)0);
}

/* For f32, where long double is enough. */
static double c_mills_any(double x, int gap) {
    if (!(x >= 0)) return NAN;
    if (x > 6) { /* as above */
        long double m = x;
        for (int k = 120; k > 1; k--) m = (long double)x + k / m;
        return (double)((gap ? 1 / m : 1) / ((long double)x + 1 / m));
    }
    const long double m =
        sqrtl(2 * atanl(1)) * expl((long double)x * (long double)x / 2) * erfcl((long double)x / sqrtl(2));
    return (double)(gap ? 1 - (long double)x * m : m);
}
static double c_mills(double x, double y) { return (void)y, c_mills_any(x, 0); }
static double c_mills_gap(double x, double y) { return (void)y, c_mills_any(x, 1); }
static double c_erf(double x, double y) { return (void)y, erf(x); }
static void c_bessel(long double x, long double *i0, long double *i1) {
    long double term = 1;
    *i0 = *i1 = 0;
    for (int k = 0; k < 4000; k++) {
        *i0 += term;
        term /= k + 1;
        *i1 += term;
        term *= x * x / 4 / (k + 1);
        if (term < *i0 * 1e-25L) break;
    }
    *i1 *= x / 2;
}
static long double c_bessel_far(long double x, int n) {
    long double term = 1, sum = 0;
    for (int k = 1; k < 60; k++) {
        sum += term;
        term *= (4.L * n * n - (2.L * k - 1) * (2.L * k - 1)) / (-8.L * k * x);
        if (fabsl(term) < 1e-24L) break;
    }
    return sum;
}
static double c_log_i0(double x, double y) {
    (void)y;
    long double i0, i1;
    if (!(x >= 0)) return NAN;
    if (isinf(x)) return -INFINITY;
    if (x < 0.01) return x * x / 4 * (1 - x * x / 16 * (1 - x * x / 9)) - x;
    if (x > 60) return (double)(log1pl(c_bessel_far(x, 0) - 1) - logl(8 * atanl(1) * (long double)x) / 2);
    c_bessel(x, &i0, &i1);
    return (double)(logl(i0) - (long double)x);
}
static double c_i1_rest(double x, double y) {
    (void)y;
    long double i0, i1;
    if (!(x >= 0)) return NAN;
    if (isinf(x)) return 0;
    if (x > 1e6) return 0.5 / x + 0.125 / x / x;
    if (x > 60) return (double)(1 - c_bessel_far(x, 1) / c_bessel_far(x, 0));
    c_bessel(x, &i0, &i1);
    return (double)(1 - i1 / i0);
}

static const struct function functions[] = {
    SLOW_ROW(mills, mills, 0.51, 1),   SLOW_ROW(mills_gap, mills_gap, 0.51, 1.25), ROW(erf, erf, 0.51, 1),
    SLOW_ROW(log_i0, log_i0, 0.51, 1), SLOW_ROW(i1_rest, i1_rest, 0.51, 2),
};

int main(int argc, char **argv) {
    int code;
    if (measured(argc, argv, "normal", functions, sizeof functions / sizeof functions[0], &code)) return code;
    const struct CMUnitTest tests[] = {MEASURING_TESTS};
    return cmocka_run_group_tests_name("simd normal", tests, NULL, NULL);
}
