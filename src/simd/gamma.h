/* The gamma function: its logarithm and the derivatives of that.
 *
 * All is computed on vectors of double, for f32 as well, and rounded once at the end. fit_gamma.py has the forms: one
 * polynomial whose coefficients are chosen per lane, of x below 3 and of 1/x beyond. Below 1 the recurrence leads to
 * 1 + x; no terms cancel there.
 *
 * Bounds in ulp, measured by tests/unit/simd/test_gamma.c. Near the zeros at 1, 2 and 1.4616... they hold, too.
 *                                                                        f32    f64
 *     v_lgamma    ln Gamma(x), x >= 0; inf at 0 and inf                 0.51      1
 *     v_lgamma1p  ln Gamma(1 + x), x >= 0; inf at inf                   0.51      1
 *     v_digamma   psi(x) = d/dx ln Gamma(x), x >= 0; -inf at 0          0.51    1.1
 *     v_trigamma  psi'(x), x >= 0; inf at 0, 0 at inf                   0.51   1.25
 * NaN where x < 0. */
#ifndef LOSSFN_SIMD_GAMMA_H
#define LOSSFN_SIMD_GAMMA_H

#include "pair.h"
#include "gamma_table.h"

/* ---- pieces ---- */

/* The polynomial R of the piece of each lane: in y from 0 to 1, y from 1 to 2 (`upper`), or v (`far`). */
#define GAMMA_PIECE(name, name_upper, y, v, upper, far)                                                                \
    gamma_piece(name##_coefficient, name_upper##_DEGREE, name##_middle, name##_scale, name##_low, y, v, upper, far)
INLINE D gamma_pick(const double of[3], L upper, L far) {
    return d_select(far, d_set(of[2]), d_select(upper, d_set(of[1]), d_set(of[0])));
}
INLINE pair gamma_piece(const double (*c)[3], int degree, const double middle[3], const double scale[3],
                        const double low[3], D y, D v, L upper, L far) {
    D z = (d_select(far, v, y) - gamma_pick(middle, upper, far)) * gamma_pick(scale, upper, far), p = d_set(0);
    for (int k = degree; k > 0; k--) p = d_fma(p, z, gamma_pick(c[k], upper, far));
    pair value = pair_quick_sum(gamma_pick(c[0], upper, far), p * z);
    value.lo += gamma_pick(low, upper, far);
    return value;
}

/* Where x lies. Lanes elsewhere have some harmless value in place of y, v and `safe`. */
typedef struct {
    L below, upper, far; /* x < 1; 2 <= x < 3 or y of that; 3 <= x */
    D y, v, safe;        /* x or x - 1, exact, for near ones; 1/x; x, but for 0 and what is not finite */
} gamma_place;
INLINE gamma_place gamma_place_of(D x) {
    const D one = d_set(1);
    gamma_place g = {.below = x < one, .far = x >= d_set(3)};
    g.safe = d_select((x > d_set(0)) & (x < d_set(INFINITY)), x, one);
    g.y = d_select(g.below, g.safe, d_select(g.far, one, g.safe - one));
    g.v = one / d_select(g.far, g.safe, one);
    g.upper = g.y >= one;
    return g;
}
/* 1/x, x > 0, as a pair; infinite with lo = 0 where it overflows */
INLINE pair gamma_inverse(D x) {
    const D q = d_set(1) / x, rest = d_fma(-q, x, d_set(1)) * q;
    return pair_of(q, d_select(q < d_set(0x1p1000), rest, d_set(0)));
}
INLINE D gamma_limits(D x, D value, double at_zero, double at_infinity) {
    value = d_select(x == d_set(0), d_set(at_zero), d_select(x == d_set(INFINITY), d_set(at_infinity), value));
    return d_select(x >= d_set(0), value, d_set(NAN));
}

/* ---- ln Gamma ---- */

/* y (y - 1) R */
INLINE pair lgamma_near(D y, pair R) {
    return pair_product(pair_product(pair_of(y, d_set(0)), pair_sum_of(y, d_set(-1))), R);
}
/* (x + shift)(ln x - 1) + constant + v R; the first product overflows only if the whole does */
INLINE D lgamma_far(D x, pair log, double shift, const double constant[2], D correction) {
    log = pair_sum(log, pair_of(d_set(-1), d_set(0)));
    pair main = pair_product(pair_sum_of(x, d_set(shift)), log);
    pair rest = pair_sum(pair_of(d_set(constant[0]), d_set(constant[1])), pair_of(correction, d_set(0)));
    pair sum = pair_sum(main, rest);
    return d_select(x * log.hi >= d_set(INFINITY), d_set(INFINITY), sum.hi + sum.lo);
}
INLINE D d_lgamma(D x) {
    const D zero = d_set(0);
    const gamma_place g = gamma_place_of(x);
    const pair R = GAMMA_PIECE(lgamma, LGAMMA, g.y, g.v, g.upper, g.far), near = lgamma_near(g.y, R);
    const pair log = pair_log_of(g.safe);
    const pair sum = pair_sum(pair_of(-d_select(g.below, log.hi, zero), -d_select(g.below, log.lo, zero)), near);
    const D far = lgamma_far(d_select(g.far, g.safe, d_set(3)), log, -0.5, lgamma_far_constant, R.hi * g.v);
    return gamma_limits(x, d_select(g.far, far, sum.hi + sum.lo), INFINITY, INFINITY);
}
INLINE D d_lgamma1p(D y) {
    const L far = y >= d_set(2);
    const D safe = d_select(far & (y < d_set(INFINITY)), y, d_set(2)), v = d_set(1) / safe;
    const pair R = GAMMA_PIECE(lgamma, LGAMMA, y, v, y >= d_set(1), far), near = lgamma_near(y, R);
    const D beyond = lgamma_far(safe, pair_log_of(safe), 0.5, lgamma1p_far_constant, R.hi * v);
    return gamma_limits(y, d_select(far, beyond, near.hi + near.lo), 0, INFINITY);
}
/* ln y! less (y + shift) ln y - y, shift 0 or 1/2, 0 < y < inf: what is left of Stirling's formula, of which no term is
 * large. */
INLINE D stirling_rest(D y, pair log, double shift) {
    const L far = y >= d_set(2);
    const D v = d_set(1) / d_select(far, y, d_set(2));
    const pair R = GAMMA_PIECE(lgamma, LGAMMA, y, v, y >= d_set(1), far), near = lgamma_near(y, R);
    const pair most = pair_product(pair_sum_of(y, d_set(shift)), log);
    const D beyond = d_fma(R.hi, v, d_set(lgamma1p_far_constant[0] - 0.5));
    return d_select(far, d_fma(d_set(0.5 - shift), log.hi, beyond), ((near.hi - most.hi) + y) + (near.lo - most.lo));
}
INLINE D d_stirling(D y) {
    const D safe = d_select((y > d_set(0)) & (y < d_set(INFINITY)), y, d_set(1));
    return gamma_limits(y, stirling_rest(safe, pair_log_of(safe), 0), 0, INFINITY);
}

/* ---- its derivatives ---- */

INLINE D d_digamma(D x) {
    const D zero = d_set(0);
    const gamma_place g = gamma_place_of(x);
    const pair R = GAMMA_PIECE(digamma, DIGAMMA, g.y, g.v, g.upper, g.far);
    pair offset = pair_sum_of(g.y, d_set(-digamma_zero[0]));
    offset = pair_quick_sum(offset.hi, offset.lo - d_set(digamma_zero[1]));
    const pair inverse = gamma_inverse(d_select(g.below, g.safe, d_set(1)));
    const pair less = pair_of(-d_select(g.below, inverse.hi, zero), -d_select(g.below, inverse.lo, zero));
    const pair near = pair_sum(pair_product(offset, R), less), log = pair_log_of(g.safe);
    const D far = log.hi + (log.lo - g.v * d_fma(g.v, R.hi, d_set(0.5)));
    const D value = d_select(g.far, far, near.hi + near.lo);
    return gamma_limits(x, d_select(less.hi == d_set(-INFINITY), less.hi, value), -INFINITY, INFINITY);
}

/* psi(1 + y), `whole`, less ln y, 0 < y < inf: about 1/(2 y) where y is large */
INLINE D digamma_rest(D y, D whole, pair log) {
    const L far = y >= d_set(3), all = far | ~far;
    const D v = d_set(1) / d_select(far, y, d_set(3));
    const pair R = GAMMA_PIECE(digamma, DIGAMMA, v, v, all, all);
    return d_select(far, v * d_fma(-v, R.hi, d_set(0.5)), whole - log.hi);
}

INLINE D d_trigamma(D x) {
    const D zero = d_set(0), infinity = d_set(INFINITY);
    const gamma_place g = gamma_place_of(x);
    const pair R = GAMMA_PIECE(trigamma, TRIGAMMA, g.y, g.v, g.upper, g.far);
    const pair v = gamma_inverse(d_select(g.below | g.far, g.safe, d_set(1))), square = pair_product(v, v);
    const pair near = pair_sum(R, pair_of(d_select(g.below, square.hi, zero), d_select(g.below, square.lo, zero)));
    const D far = v.hi + d_fma(square.hi, d_fma(v.hi, R.hi, d_set(0.5)), v.lo);
    const D value = d_select(g.far, far, near.hi + near.lo), unbounded = v.hi * v.hi;
    return gamma_limits(x, d_select(unbounded == infinity, unbounded, value), INFINITY, 0);
}

/* ---- on V ---- */

#define GAMMA_FUNCTION(name)                                                                                           \
    INLINE V v_##name(V x) {                                                                                           \
        D y[DPARTS];                                                                                                   \
        v_widen(x, y);                                                                                                 \
        for (int i = 0; i < DPARTS; i++) y[i] = d_##name(y[i]);                                                        \
        return v_narrow(y);                                                                                            \
    }
GAMMA_FUNCTION(lgamma)
GAMMA_FUNCTION(lgamma1p)
GAMMA_FUNCTION(digamma)
GAMMA_FUNCTION(trigamma)
#undef GAMMA_FUNCTION

#endif
