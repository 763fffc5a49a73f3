/* The normal distribution: Mills' ratio, its derivative, the probability of an interval, on vectors of double.
 * fit_normal.py has the forms.
 *
 * Bounds in ulp, measured by tests/unit/simd/test_normal.c:
 *                                                             f32    f64
 *     v_mills      (1 - Phi(x))/phi(x), x >= 0               0.51      1
 *     v_mills_gap  1 - x v_mills(x), x >= 0                  0.51   1.25
 *     v_erf        2 Phi(x sqrt 2) - 1                       0.51      1 */
#ifndef LOSSFN_SIMD_NORMAL_H
#define LOSSFN_SIMD_NORMAL_H

#include "normal_table.h"
#include "pair.h"

#define HALF_LOG_2PI pair_of(d_set(0x1.d67f1c864beb5p-1), d_set(-0x1.65b5a1b7ff5dfp-55))

/* c[0] + c[1] x + ..., c[0] and x in two parts */
#define PAIR_POLYNOMIAL(x, c, low) pair_polynomial(x, c, (int)(sizeof(c) / sizeof *(c)), low)
INLINE pair pair_polynomial(pair x, const double *c, int count, double low) {
    D p = d_set(c[count - 1]), slope = d_set(0);
    for (int k = count - 2; k > 0; k--) {
        slope = d_fma(slope, x.hi, p);
        p = d_fma(p, x.hi, d_set(c[k]));
    }
    slope = d_fma(slope, x.hi, p);
    const pair sum = pair_quick_sum(d_set(c[0]), x.hi * p);
    return pair_of(sum.hi, d_fma(slope, x.lo, sum.lo + d_set(low)));
}

/* (x - 5)/(x + 5), 1 where x is infinite */
INLINE pair normal_place(D x) {
    const L far = x >= d_set(0x1p900);
    const D held = d_select(far, d_set(5), x);
    const pair z = pair_quotient(pair_sum_of(held, d_set(-5)), pair_sum_of(held, d_set(5)));
    return pair_of(d_select(far, d_set(1), z.hi), z.lo);
}
/* x >= 0 */
INLINE pair pair_mills(D x) {
    const D zero = d_set(0), one = d_set(1);
    const pair slope = pair_of(d_set(mills_slope[0]), d_set(mills_slope[1]));
    const pair divisor = pair_sum(pair_of(one, zero), pair_product(slope, pair_of(d_at_most(x, 0x1p900), zero)));
    const pair m = pair_quotient(PAIR_POLYNOMIAL(normal_place(x), mills_coefficient, mills_low), divisor);
    const L huge = x >= d_set(0x1p900);
    return pair_of(d_select(huge, one / x, m.hi), d_select(huge, zero, m.lo));
}
INLINE pair mills_gap_of(D x, pair mills) {
    const D zero = d_set(0), one = d_set(1);
    const L small = x < one, huge = x >= d_set(0x1p900);
    const pair m = pair_product(pair_of(x, zero), mills);
    pair gap = pair_sum(pair_of(one, zero), pair_of(-m.hi, -m.lo));
    if (f64_any(~small)) {
        const pair divisor = pair_sum_of(one, d_at_most(x, 0x1p900));
        const pair once =
            pair_quotient(PAIR_POLYNOMIAL(normal_place(x), mills_gap_coefficient, mills_gap_low), divisor);
        gap = pair_select(small, gap, pair_quotient(once, divisor));
    }
    return pair_of(d_select(huge, zero, gap.hi), d_select(huge, zero, gap.lo));
}
INLINE pair pair_mills_gap(D x) { return mills_gap_of(x, pair_mills(x)); }
/* ln phi(x) = -x^2/2 - ln(2 pi)/2; for |x| below 2^500 */
INLINE pair log_normal_density(pair x) {
    const pair half = pair_times(pair_product(x, x), d_set(-0.5)), constant = HALF_LOG_2PI;
    return pair_sum(half, pair_of(-constant.hi, -constant.lo));
}
/* 2 Phi(x) - 1, x >= 0; tail = 1 - Phi(x) */
INLINE D normal_within_of(pair x, pair tail) {
    const L near = x.hi < d_set(1);
    const D apart = d_set(1) - 2 * tail.hi;
    if (!f64_any(near)) return apart;
    const D place = d_fma(2 * x.hi, d_at_most(x.hi, 2), d_set(-1)); /* 2 x^2 - 1 */
    const pair middle = PAIR_POLYNOMIAL(pair_of(place, d_set(0)), normal_middle_coefficient, normal_middle_low);
    return d_select(near, pair_product(pair_times(x, d_set(2)), middle).hi, apart);
}
INLINE D d_normal_within(pair x) {
    const pair held = pair_of(d_at_most(x.hi, 100), d_select(x.hi < d_set(100), x.lo, d_set(0)));
    return normal_within_of(x, pair_product(pair_exp_of(log_normal_density(held)), pair_mills(held.hi)));
}

/* ---- the probability that a standard normal number lies in [a, b] ---- */

/* Of value = -ln P: by moving both ends up by the same, the number's mean; twice so, 1 less its variance; by making
 * both ends larger in proportion, times -1: 1 less its mean square. */
typedef struct {
    D value, slope, curve, spread;
} interval_t;

/* Gauss and Legendre's rule of 10 points for a narrow interval of width `width` around `middle` */
INLINE interval_t interval_narrow(pair middle, D width) {
    static const double at[] = {0.14887433898163121088, 0.43339539412924719080, 0.67940956829902440623,
                                0.86506336668898451073, 0.97390652851717172008};
    static const double weight[] = {0.29552422471475287017, 0.26926671930999635509, 0.21908636251598204400,
                                    0.14945134915058059315, 0.06667134430868813759};
    static const double sinh_c[] = {1, 1. / 6, 1. / 120, 1. / 5040, 1. / 362880, 1. / 39916800, 1. / 6227020800};
    static const double cosh_c[] = {1,          1. / 2,       1. / 24,        1. / 720,
                                    1. / 40320, 1. / 3628800, 1. / 479001600, 1. / 87178291200};
    static const double exp_c[] = {1,          -1. / 2,      1. / 8,        -1. / 48,        1. / 384,       -1. / 3840,
                                   1. / 46080, -1. / 645120, 1. / 10321920, -1. / 185794560, 1. / 3715891200};
    D sum = d_set(0), first = d_set(0), second = d_set(0);
    for (int k = 0; k < 5; k++) {
        const D h = width * d_set(0.5 * at[k]), square = h * h, u = middle.hi * h, u_square = u * u;
        const D w = d_set(weight[k]) * D_POLYNOMIAL(square, exp_c), even = w * D_POLYNOMIAL(u_square, cosh_c);
        sum += even;
        first -= w * h * u * D_POLYNOMIAL(u_square, sinh_c);
        second = d_fma(even, square, second);
    }
    const D shift = first / sum, square = second / sum;
    const pair log_density = log_normal_density(middle),
               log_width = pair_log_of(d_select(width > d_set(0), width, d_set(1)));
    const pair log = pair_sum(pair_sum(log_density, log_width), pair_log_of(sum));
    return (interval_t){.value = -log.hi,
                        .slope = middle.hi + (middle.lo + shift),
                        .curve = d_set(1) - (square - shift * shift),
                        .spread = d_fma(-middle.hi, middle.hi, d_set(1)) - d_fma(2 * middle.hi, shift, square)};
}
/* 0 <= a < b, not so narrow: in units of phi(a) */
INLINE interval_t interval_beyond(pair a, pair b, D width) {
    const D zero = d_set(0), one = d_set(1);
    const L open = b.hi > d_set(0x1p400); /* as if it were infinite */
    const pair safe_b = pair_of(d_select(open, a.hi, b.hi), d_select(open, a.lo, b.lo));
    pair t = pair_times(pair_product(pair_of(width, zero), pair_sum(a, safe_b)), d_set(-0.5));
    t = pair_of(d_select(open, d_set(-2000), t.hi), d_select(open, zero, t.lo));
    const D e = d_exp(t, zero), less = -pair_expm1(t).hi;
    const pair m_a = pair_mills(a.hi), n_a = pair_mills_gap(a.hi), m_b = pair_mills(b.hi), n_b = pair_mills_gap(b.hi);
    const D m_fall = m_a.hi - m_b.hi, k = d_fma(m_b.hi, less, m_fall); /* M(a) - e M(b) */
    const D n = d_fma(n_b.hi, less, n_a.hi - n_b.hi), gap = d_select(e == zero, zero, e * width * m_fall);
    const D reach = d_select(e == zero, zero, e * width);
    const pair log = pair_sum(log_normal_density(a), pair_log_of(d_select(k > zero, k, one)));
    return (interval_t){
        .value = -log.hi, .slope = less / k, .curve = d_fma(less, n, gap) / k / k, .spread = (reach - a.hi * less) / k};
}
/* x > 0, not beyond 2^500 */
INLINE D density_and_tail(pair x, D *tail) {
    const D density = pair_exp_of(log_normal_density(x)).hi;
    *tail = density * pair_mills(x.hi).hi;
    return density;
}
INLINE pair normal_held(pair x) { /* beyond it both are 0 anyway */
    const D most = d_set(0x1p500), zero = d_set(0);
    return pair_select(x.hi < most, x, pair_of(most, zero));
}
/* a < 0 < b and b >= -a, not narrow; given by their sizes */
INLINE interval_t interval_across(pair a, pair b) {
    const D zero = d_set(0), one = d_set(1);
    D a_tail, b_tail;
    const pair near_a = normal_held(a), near_b = normal_held(b);
    const D phi_a = density_and_tail(near_a, &a_tail), phi_b = density_and_tail(near_b, &b_tail),
            beyond = a_tail + b_tail;
    const L rare = beyond < d_set(0.5);
    /* phi(a) - phi(b) = phi(a) (1 - e^-((b - a)(b + a)/2)) */
    const pair fall =
        pair_times(pair_product(pair_sum(near_b, pair_minus(near_a)), pair_sum(near_b, near_a)), d_set(-0.5));
    const D fall_low = d_select(fall.hi > d_set(-2000), fall.lo, zero);
    const D p = one - beyond, less = -pair_expm1(pair_of(d_at_least(fall.hi, -2000), fall_low)).hi,
            small = -pair_log1p(pair_of(-d_select(rare, beyond, zero), zero)).hi;
    const D large = -pair_log_of(d_select(rare, one, p)).hi, slope = phi_a * less / p;
    const D reach = d_select(phi_b == zero, zero, b.hi * phi_b) + d_select(phi_a == zero, zero, a.hi * phi_a);
    return (interval_t){.value = d_select(rare, small, large),
                        .slope = slope,
                        .curve = d_fma(slope, slope, reach / p),
                        .spread = reach / p};
}
/* a < b, either may be infinite; width = b - a */
INLINE interval_t d_normal_interval(pair a, pair b, D width) {
    const D zero = d_set(0), one = d_set(1), infinity = d_set(INFINITY);
    const L turn = (b.hi < infinity) & ((a.hi == -infinity) | (a.hi + b.hi < zero));
    const pair low = pair_of(d_select(turn, -b.hi, a.hi), d_select(turn, -b.lo, a.lo));
    const pair high = pair_of(d_select(turn, -a.hi, b.hi), d_select(turn, -a.lo, b.lo));
    const L all = (low.hi == -infinity) & (high.hi == infinity), huge = low.hi > d_set(0x1p400);
    const L beyond = (low.hi >= zero) & ~huge, middling = ~huge & (width < one);
    const pair held_low = pair_of(d_select(middling, low.hi, zero), d_select(middling, low.lo, zero));
    const pair held_high = pair_of(d_select(middling, high.hi, zero), d_select(middling, high.lo, zero));
    const pair middle = pair_times(pair_sum(held_low, held_high), d_set(0.5));
    const L narrow = middling & (width * (one + d_abs(middle.hi)) < one);
    interval_t inside = {zero, zero, zero, zero}, apart = inside, across = inside;
    if (f64_any(narrow)) inside = interval_narrow(middle, d_select(narrow, width, one));
    const pair start = pair_of(d_select(beyond, low.hi, zero), d_select(beyond, low.lo, zero));
    const pair end = pair_of(d_select(beyond, high.hi, d_set(2)), d_select(beyond, high.lo, zero));
    if (f64_any(beyond & ~narrow)) apart = interval_beyond(start, end, d_select(beyond, width, d_set(2)));
    const L here = beyond | huge;
    const pair below = pair_of(d_select(here, one, -low.hi), d_select(here, zero, -low.lo));
    const pair above = pair_of(d_select(here, d_set(2), high.hi), d_select(here, zero, high.lo));
    if (f64_any(~(all | here | narrow))) across = interval_across(below, above);
    const D square = low.hi * low.hi;
    const interval_t far = {low.hi * 0.5 * low.hi, low.hi, one, -square};
#define PICK(of)                                                                                                       \
    d_select(all, zero, d_select(huge, far.of, d_select(narrow, inside.of, d_select(beyond, apart.of, across.of))))
    interval_t r = {PICK(value), PICK(slope), PICK(curve), PICK(spread)};
#undef PICK
    r.slope = d_select(turn, -r.slope, r.slope);
    return r;
}

/* ---- on V ---- */

INLINE V v_mills(V x) {
    D y[DPARTS];
    v_widen(x, y);
    for (int i = 0; i < DPARTS; i++) y[i] = d_select(y[i] >= d_set(0), pair_mills(d_at_least(y[i], 0)).hi, d_set(NAN));
    return v_narrow(y);
}
INLINE V v_mills_gap(V x) {
    D y[DPARTS];
    v_widen(x, y);
    for (int i = 0; i < DPARTS; i++)
        y[i] = d_select(y[i] >= d_set(0), pair_mills_gap(d_at_least(y[i], 0)).hi, d_set(NAN));
    return v_narrow(y);
}
INLINE V v_erf(V x) {
    D y[DPARTS];
    v_widen(x, y);
    for (int i = 0; i < DPARTS; i++) {
        const pair root = pair_of(d_set(0x1.6a09e667f3bcdp+0), d_set(-0x1.bdd3413b26456p-54));
        const D size = d_normal_within(pair_product(root, pair_of(d_at_most(d_abs(y[i]), 0x1p900), d_set(0))));
        y[i] = d_select(y[i] < d_set(0), -size, d_select(y[i] > d_set(0), size, y[i]));
    }
    return v_narrow(y);
}

#endif
