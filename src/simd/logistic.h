/* The logistic function s = 1/(1 + e^-z) and how far it is from a number, on vectors of double, so that nothing is lost
 * where they are near each other. */
#ifndef LOSSFN_SIMD_LOGISTIC_H
#define LOSSFN_SIMD_LOGISTIC_H

#include "pair.h"

typedef struct {
    pair e, sum, gone; /* e^-|z|, 1 more and 1 less */
    D size;            /* |z| */
    D lifted;          /* 2^100 e, which has all digits where e is subnormal */
    L up;              /* z > 0 */
} logistic_pair;
INLINE logistic_pair logistic_pair_of(D z) {
    pair e;
    logistic_pair l = {.size = d_abs(z), .up = z > d_set(0)};
    const D n = pair_exp_finely(pair_of(-l.size, d_set(0)), &e);
    const pair unit = pair_sum(pair_of(d_set(1), d_set(0)), e);
    l.e = pair_of(d_scale(unit.hi, n), d_scale(unit.lo, n));
    l.lifted = d_scale(unit.hi, n + 100);
    l.sum = pair_sum(pair_of(d_set(1), d_set(0)), l.e);
    const D power = d_power_of_two(d_at_least(n, -1000));
    l.gone = pair_sum(pair_sum_of(power, d_set(-1)), pair_of(e.hi * power, e.lo * power));
    return l;
}
/* s - c, 0 <= c <= 1: the difference of 1 - c and c, one of them times e^-|z|; near z = 0, 1 - 2 c and what is gone */
INLINE pair logistic_gap(const logistic_pair *l, D c) {
    const D zero = d_set(0);
    const L near = l->size < d_set(0.5);
    const pair no = pair_sum_of(d_set(1), -c), yes = pair_of(-c, zero), apart = pair_sum(no, yes);
    const pair part = pair_of(d_select(near, l->gone.hi, l->e.hi), d_select(near, l->gone.lo, l->e.lo));
    const pair less = pair_product(pair_of(d_select(l->up, yes.hi, no.hi), d_select(l->up, yes.lo, no.lo)), part);
    const D rest = d_select(near, apart.hi, d_select(l->up, no.hi, -c));
    const D rest_low = d_select(near, apart.lo, d_select(l->up, no.lo, zero));
    return pair_quotient(pair_sum(pair_of(rest, rest_low), less), l->sum);
}
/* 1 - s, and s (1 - s) */
INLINE D logistic_rest(const logistic_pair *l) { return d_select(l->up, l->e.hi, d_set(1)) / l->sum.hi; }
INLINE D logistic_slope(const logistic_pair *l) { return l->e.hi / l->sum.hi / l->sum.hi; }
/* 1 - 2 s */
INLINE D logistic_tilt(const logistic_pair *l) {
    const D rest = pair_quotient(l->gone, l->sum).hi;
    return d_select(l->up, rest, -rest);
}
/* c softplus(-z) + (1 - c) softplus(z) */
INLINE D logistic_entropy(const logistic_pair *l, D c) {
    const D weight = d_select(l->up, d_set(1) - c, c);
    return pair_log1p(l->e).hi + d_select(weight == d_set(0), d_set(0), weight * l->size);
}

/* x^g of a pair x >= 0; at 0 what it is there. The powers that everybody takes are products. */
INLINE D d_pow_pair(pair x, double power) {
    const D zero = d_set(0), one = d_set(1), g = d_set(power);
    const pair square = pair_product(x, x);
    if (power == 0) return one;
    if (power == 1) return x.hi;
    if (power == 2) return square.hi;
    if (power == 3) return pair_product(square, x).hi;
    if (power == 4) return pair_product(square, square).hi;
    const L none = x.hi == zero;
    const D safe = d_select(none, one, x.hi);
    const pair log = pair_sum(pair_log_of(safe), pair_of(d_select(none, zero, x.lo / safe), zero));
    const D end = d_select(g > zero, zero, d_select(g == zero, one, d_set(INFINITY)));
    return d_select(none, end, d_exp(pair_product(pair_of(g, zero), log), zero));
}

#endif
