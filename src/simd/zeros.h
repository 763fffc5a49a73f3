/* Counts with extra zeros: a share sigmoid(g) of them is 0 whatever the rest is, which is negative binomial of mean
 * m = e^z and variance m + a m^2, Poisson where a = 0. With l = ln(1 + a m)/a, which is m where a = 0, the rest is 0
 * with probability e^-l. All is computed on vectors of double, for f32 as well, and rounded once at the end. */
#ifndef LOSSFN_SIMD_ZEROS_H
#define LOSSFN_SIMD_ZEROS_H

#include "pair.h"

typedef struct {
    D value, by_z, by_g, hess;
} zeros_t;

/* l, and its derivatives: dl/dz = kept, which itself grows by kept * share */
typedef struct {
    pair l;
    D m, kept, share;              /* where all a are 0 what follows is not made */
    D part, power;                 /* m as part 2^power */
    D back, back_part, back_power; /* 1/m */
    D high, above;                 /* a + 1/m, and its logarithm */
    L large;                       /* a m */
} zeros_rest;
INLINE zeros_rest zeros_rest_of(D z, D a) {
    const D one = d_set(1), zero = d_set(0), infinity = d_set(INFINITY);
    pair e;
    const pair at = pair_of(d_between(z, -0x1p900, 0x1p900), zero);
    const D n = pair_exp_finely(at, &e);
    const pair unit = pair_sum(pair_of(one, zero), e);
    const pair m = pair_of(d_scale(unit.hi, n), sizeof(REAL) == 4 ? zero : d_scale(unit.lo, n));
    if (!f64_any(a > zero)) {
        const pair l = pair_of(m.hi, d_select(m.hi == infinity, zero, m.lo));
        return (zeros_rest){.l = l, .m = m.hi, .kept = m.hi, .share = one, .part = unit.hi, .power = n};
    }
    D part, k = d_split(d_select(a > zero, a, one), &part) + n; /* a m = part unit 2^k */
    const D power = d_power_of_two(d_between(k, -1000, 1000));
    const pair am = pair_product(pair_of(part * power, zero), unit);
    const L none = (a == zero) | (k < d_set(-60)), over = ~none & (k > d_set(900));
    const pair whole = pair_log1p(pair_of(d_select(none | over, zero, am.hi), d_select(none | over, zero, am.lo)));
    const pair divisor = pair_of(d_select(a > zero, a, one), zero);
    const pair log = f64_any(over) ? pair_select(over, pair_sum(pair_log_of(divisor.hi), at), whole) : whole;
    const pair l = pair_quotient(log, divisor);
    pair back_e;
    const D back_n = pair_exp(pair_of(-at.hi, zero), &back_e), back_part = pair_sum(pair_of(one, zero), back_e).hi;
    const D back = d_scale(back_part, back_n), high = a + back;
    const L up = z > zero;
    zeros_rest r = {.l = pair_of(d_select(none, m.hi, l.hi), d_select(none, m.lo, l.lo)),
                    .m = m.hi,
                    .part = unit.hi,
                    .power = n,
                    .back = back,
                    .back_part = back_part,
                    .back_power = back_n,
                    .high = high,
                    .large = ~none & (over | (am.hi > d_set(8)))};
    const L huge = over & (z > d_set(0x1p800)); /* where at was held, and the quotient may overflow */
    r.l = pair_of(d_select(huge, z / divisor.hi, r.l.hi), d_select(huge | (r.l.hi == infinity), zero, r.l.lo));
    if (f64_any(r.large)) { /* only used there; next to 1 little may be left of 1/m in the sum */
        const L near = (high > d_set(0.5)) & (high < d_set(2));
        const pair less =
            pair_sum(pair_sum_of(d_select(near, a, one), -one), pair_of(d_select(near, back, zero), zero));
        r.above = d_select(near, pair_log1p(less).hi, pair_log_of(d_select(a > zero, high, one)).hi);
    }
    r.share = d_select(none, one, d_select(up, back / high, one / (one + am.hi)));
    r.kept = d_select(none, m.hi, d_select(up, one / high, m.hi * r.share));
    return r;
}

/* e^t, t <= 0; in single precision what is below e^-700 is 0 */
INLINE D zeros_exp(pair t) {
    if (sizeof(REAL) == 8) return d_exp(t, d_set(0));
    pair e;
    const D power = d_power_of_two(pair_exp(pair_of(d_at_least(t.hi, -700), t.lo), &e));
    return d_select(t.hi < d_set(-700), d_set(0), d_fma(e.hi, power, power));
}
/* 1/(1 + e^-t) as e^min(t, 0)/(1 + e^-|t|), that of -t, and e^-|t| */
INLINE D zeros_sigmoid(pair t, D *other, D *small) {
    const L up = t.hi > d_set(0), down = t.hi < d_set(0);
    const D e = zeros_exp(pair_of(-d_abs(t.hi), d_select(up, -t.lo, t.lo))), inverse = d_set(1) / (d_set(1) + e);
    *small = e;
    *other = d_select(down, inverse, e * inverse);
    return d_select(up, inverse, e * inverse);
}

/* y = 0: e^-value = 1 - share, share = sigmoid(-g)(1 - e^-l); g_plus = ln(1 + e^g), not_extra = sigmoid(-g) */
INLINE zeros_t zeros_none(const zeros_rest *r, D g, D bounded, D g_plus, D not_extra) {
    const D one = d_set(1), zero = d_set(0);
    D small, from; /* from = sigmoid(-(l + g)), that the rest gave it */
    pair e, t = pair_sum_of(d_at_most(r->l.hi, 0x1p1000), bounded);
    t = pair_quick_sum(t.hi, t.lo + r->l.lo);
    const D into = zeros_sigmoid(t, &from, &small);
    const D n = pair_exp(pair_of(-d_at_most(r->l.hi, 0x1p1000), -r->l.lo), &e),
            power = d_power_of_two(d_at_least(n, -1000));
    const D share = not_extra * ((one - power) - e.hi * power);
    const L rare = share < d_set(0.5);
    const D log =
        pair_log1p_unit(pair_of(d_select(rare, -share, small), zero)).hi; /* of 1 - share; else of 1 + e^-|t| */
    const D large = g_plus + (d_select(t.hi < zero, r->l.hi, -g) - log);
    const D kept = d_select(from == zero, zero, r->kept * from);
    return (zeros_t){.value = d_select(rare, -log, large),
                     .by_z = kept,
                     .by_g = -(into * share),
                     .hess = d_select(kept == zero, zero, kept * d_fma(-r->kept, into, r->share))};
}

/* y > 0 */
INLINE zeros_t zeros_some(const zeros_rest *r, D z, D y, D a, D g_plus, D extra, int with_hess) {
    const D one = d_set(1), zero = d_set(0), infinity = d_set(INFINITY);
    const L poisson = a == zero, whole = (r->l.hi == infinity) | (z == infinity);
    D rest = -z, by_z = r->m - y, hess = r->m;
    if (f64_any(~poisson)) {
        const D log = pair_product(r->l, pair_of(a, zero)).hi; /* ln(1 + a m) */
        rest = d_select(poisson, rest, d_select(r->large, r->above, log - z));
        const D up = d_fma(-y, d_select(z > zero, r->back, one), one);
        by_z = d_select(poisson, by_z, d_select(z > zero, up * r->kept, by_z * r->share));
        if (with_hess) {
            const D wider = d_fma(a, y, one), low = d_scale(r->part * (wider * r->share) * r->share, r->power);
            const D high = d_scale(r->back_part * (wider / r->high / r->high), r->back_power);
            hess = d_select(poisson, hess, d_select(z > zero, high, low));
        }
    }
    const D fit = d_fma(y, rest, r->l.hi);
    return (zeros_t){.value = d_select(whole, infinity, g_plus + fit), .by_z = by_z, .by_g = extra, .hess = hess};
}

INLINE zeros_t d_zero_inflated(D z, D y, D g, D a, int with_hess) {
    const zeros_rest r = zeros_rest_of(z, a);
    const D bounded = d_between(g, -0x1p1000, 0x1p1000);
    D small, not_extra;
    const D extra = zeros_sigmoid(pair_of(bounded, d_set(0)), &not_extra, &small);
    const D g_plus = pair_log1p_unit(pair_of(small, d_set(0))).hi + d_at_least(g, 0); /* ln(1 + e^g) */
    const L none = y == d_set(0), missing = (z != z) | (y != y) | (g != g);
    zeros_t u = zeros_some(&r, z, y, a, g_plus, extra, with_hess);
    if (f64_any(none)) {
        const zeros_t zeros = zeros_none(&r, g, bounded, g_plus, not_extra);
        u.value = d_select(none, zeros.value, u.value), u.by_z = d_select(none, zeros.by_z, u.by_z);
        u.by_g = d_select(none, zeros.by_g, u.by_g), u.hess = d_select(none, zeros.hess, u.hess);
    }
    const D nan = z + y + g;
    u.value = d_select(missing, nan, u.value), u.by_z = d_select(missing, nan, u.by_z);
    u.by_g = d_select(missing, nan, u.by_g), u.hess = d_select(missing, nan, u.hess);
    return u;
}

#endif
