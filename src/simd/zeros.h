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
    D m, kept, share;
    D part, power, back_part, back_power; /* m as part 2^power, and 1/m */
    D high, above;                        /* a + 1/m, and its logarithm */
    L large;                              /* a m */
} zeros_rest;
INLINE zeros_rest zeros_rest_of(D z, D a) {
    const D one = d_set(1), zero = d_set(0), infinity = d_set(INFINITY);
    pair e;
    const pair at = pair_of(d_between(z, -0x1p900, 0x1p900), zero);
    const D n = pair_exp_finely(at, &e);
    const pair unit = pair_sum(pair_of(one, zero), e), m = pair_of(d_scale(unit.hi, n), d_scale(unit.lo, n));
    D part, k = d_split(d_select(a > zero, a, one), &part) + n; /* a m = part unit 2^k */
    const D power = d_power_of_two(d_between(k, -1000, 1000));
    const pair am = pair_product(pair_of(part * power, zero), unit);
    const L none = (a == zero) | (k < d_set(-60)), over = ~none & (k > d_set(900));
    const pair whole = pair_log1p(pair_of(d_select(none | over, zero, am.hi), d_select(none | over, zero, am.lo)));
    const pair log_a = pair_log_of(d_select(a > zero, a, one)), far = pair_sum(log_a, at);
    const pair divisor = pair_of(d_select(a > zero, a, one), zero);
    const pair l = pair_quotient(pair_of(d_select(over, far.hi, whole.hi), d_select(over, far.lo, whole.lo)), divisor);
    pair back_e;
    const D back_n = pair_exp(pair_of(-at.hi, zero), &back_e), back_part = pair_sum(pair_of(one, zero), back_e).hi;
    const D back = d_scale(back_part, back_n), high = a + back;
    const L up = z > zero;
    zeros_rest r = {.l = pair_of(d_select(none, m.hi, l.hi), d_select(none, m.lo, l.lo)),
                    .m = m.hi,
                    .part = unit.hi,
                    .power = n,
                    .back_part = back_part,
                    .back_power = back_n,
                    .high = high,
                    .large = ~none & (over | (am.hi > d_set(8)))};
    const L huge = over & (z > d_set(0x1p800)); /* where at was held, and the quotient may overflow */
    r.l = pair_of(d_select(huge, z / divisor.hi, r.l.hi), d_select(huge | (r.l.hi == infinity), zero, r.l.lo));
    r.above = pair_log_of(d_select(a > zero, high, one)).hi;
    r.share = d_select(none, one, d_select(up, back / high, one / (one + am.hi)));
    r.kept = d_select(none, m.hi, d_select(up, one / high, m.hi * r.share));
    return r;
}

/* 1/(1 + e^-t) as e^min(t, 0)/(1 + e^-|t|), and ln(1 + e^-|t|) */
INLINE D zeros_sigmoid(pair t, D *log) {
    const L up = t.hi > d_set(0);
    const D e = d_exp(pair_of(-d_abs(t.hi), d_select(up, -t.lo, t.lo)), d_set(0)), inverse = d_set(1) / (d_set(1) + e);
    *log = pair_log1p(pair_of(e, d_set(0))).hi;
    return d_select(up, inverse, e * inverse);
}

INLINE zeros_t d_zero_inflated(D z, D y, D g, D a) {
    const D one = d_set(1), zero = d_set(0), infinity = d_set(INFINITY);
    const zeros_rest r = zeros_rest_of(z, a);
    const D bounded = d_between(g, -0x1p1000, 0x1p1000);
    D log_g, log_t, unused;
    const D extra = zeros_sigmoid(pair_of(bounded, zero), &log_g),
            not_extra = zeros_sigmoid(pair_of(-bounded, zero), &unused);
    const D g_plus = log_g + d_at_least(g, 0); /* ln(1 + e^g) */

    /* y = 0: e^-value = 1 - share, share = sigmoid(-g)(1 - e^-l); from = sigmoid(-(l + g)), that the rest gave it */
    pair e, t = pair_sum_of(d_at_most(r.l.hi, 0x1p1000), bounded);
    t = pair_quick_sum(t.hi, t.lo + r.l.lo);
    const D into = zeros_sigmoid(t, &log_t), from = zeros_sigmoid(pair_of(-t.hi, -t.lo), &unused);
    const D n = pair_exp(pair_of(-d_at_most(r.l.hi, 0x1p1000), -r.l.lo), &e),
            power = d_power_of_two(d_at_least(n, -1000));
    const D share = not_extra * ((one - power) - e.hi * power);
    const L rare = share < d_set(0.5);
    const D small = -pair_log1p(pair_of(-d_select(rare, share, zero), zero)).hi;
    const D large = g_plus + (d_select(t.hi < zero, r.l.hi, -g) - log_t);
    const D kept = d_select(from == zero, zero, r.kept * from);
    zeros_t zeros = {.value = d_select(rare, small, large), .by_z = kept, .by_g = -(into * share)};
    zeros.hess = d_select(kept == zero, zero, kept * d_fma(-r.kept, into, r.share));

    /* y > 0 */
    const D log = pair_product(r.l, pair_of(a, zero)).hi; /* ln(1 + a m) */
    const D rest = d_select(a == zero, -z, d_select(r.large, r.above, log - z)), fit = d_fma(y, rest, r.l.hi);
    const L whole = (r.l.hi == infinity) | (z == infinity);
    const D up = d_fma(-y, d_select(z > zero, d_exp(pair_of(-d_between(z, -1000, 1000), zero), zero), one), one);
    zeros_t counts = {.value = d_select(whole, infinity, g_plus + fit), .by_g = extra};
    counts.by_z = d_select(a == zero, r.m - y, d_select(z > zero, up * r.kept, (r.m - y) * r.share));
    const D wider = d_fma(a, y, one), low = d_scale(r.part * (wider * r.share) * r.share, r.power);
    const D high = d_scale(r.back_part * (wider / r.high / r.high), r.back_power);
    counts.hess = d_select(a == zero, r.m, d_select(z > zero, high, low));

    const L none = y == zero, missing = (z != z) | (y != y) | (g != g);
    const D nan = z + y + g;
    zeros_t u;
    u.value = d_select(missing, nan, d_select(none, zeros.value, counts.value));
    u.by_z = d_select(missing, nan, d_select(none, zeros.by_z, counts.by_z));
    u.by_g = d_select(missing, nan, d_select(none, zeros.by_g, counts.by_g));
    u.hess = d_select(missing, nan, d_select(none, zeros.hess, counts.hess));
    return u;
}

#endif
