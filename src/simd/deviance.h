/* The power deviance, which Tweedie's distributions and the beta divergence have in common, and what the divergences of
 * an order are made of.
 *
 *     D(m, y) = integral over t from y to m of (t - y) t^-w
 *             = y^a ((exp(a x) - 1)/a - (exp(b x) - 1)/b),   x = ln(m/y),  a = 2 - w,  b = 1 - w
 *
 * continuous in w: half the squared difference at 0, Poisson's half deviance at 1, gamma's at 2, inverse Gaussian's at
 * 3. All is computed on vectors of double, for f32 as well, and rounded once at the end. */
#ifndef LOSSFN_SIMD_DEVIANCE_H
#define LOSSFN_SIMD_DEVIANCE_H

#include "pair.h"

/* By what the derivatives are: ln m, or m itself; as a power of m that they lack. */
enum { DEVIANCE_BY_LOG, DEVIANCE_BY_MEAN };
typedef struct {
    D value, slope, curve, expected; /* expected: the curvature where y is m */
} deviance_t;

/* (e^(a x) - 1)/a, |a x| < 700; ax = |a x| */
INLINE pair deviance_part(pair a, pair x, D ax) {
    const D one = d_set(1), zero = d_set(0);
    const L none = a.hi == zero, far = ax > d_set(700);
    const pair t = pair_product(a, x);
    pair e;
    const D n = pair_exp(pair_of(d_select(far, zero, t.hi), d_select(far, zero, t.lo)), &e), power = d_power_of_two(n);
    const pair less = pair_sum(pair_sum_of(power, -one), pair_of(e.hi * power, e.lo * power));
    const pair part = pair_quotient(less, pair_of(d_select(none, one, a.hi), a.lo));
    return pair_of(d_select(none, x.hi, part.hi), d_select(none, x.lo, part.lo));
}

/* The same bracket by its series in x, |a x| and |b x| < 1/2: x^2 (1/2! + h_1 x/3! + h_2 x^2/4! + ...) with
 * h_k = a^k + a^(k-1) b + ... + b^k. */
INLINE D deviance_series(D a, D b, pair x) {
    static const double factorial[] = {
        1. / 6,          1. / 24,          1. / 120,           1. / 720,           1. / 5040,
        1. / 40320,      1. / 362880,      1. / 3628800,       1. / 39916800,      1. / 479001600,
        1. / 6227020800, 1. / 87178291200, 1. / 1307674368000, 1. / 20922789888000};
    D sum = d_set(0), b_power = b, h = a + b, power = x.hi;
    for (int k = 0; k < 14; k++) {
        sum = d_fma(h * power, d_set(factorial[k]), sum);
        b_power = b_power * b;
        h = d_fma(a, h, b_power);
        power = power * x.hi;
    }
    sum += d_set(0.5);
    const pair square = pair_product_of(x.hi, x.hi);
    return d_fma(sum, square.hi, sum * d_fma(2 * x.hi, x.lo, square.lo));
}

/* x = ln(m/y), exact to the last digits also where m and y are nearly equal. */
INLINE pair deviance_log_ratio(D m, D y) {
    D mm, my;
    D k = d_split(m, &mm) - d_split(y, &my);
    pair q = pair_quotient(pair_of(mm, d_set(0)), pair_of(my, d_set(0)));
    const L high = q.hi > d_set(0x1.6a09e667f3bcdp+0), low = q.hi < d_set(0x1.6a09e667f3bcdp-1);
    const D unit = d_select(high, d_set(0.5), d_select(low, d_set(2), d_set(1)));
    k += d_select(high, d_set(1), d_select(low, d_set(-1), d_set(0)));
    const pair f = pair_sum_of(q.hi * unit, d_set(-1));
    return pair_log(k, pair_quick_sum(f.hi, f.lo + q.lo * unit));
}

/* m, y and the exponents. Where m is 0 or infinite a power of it is, too. */
typedef struct {
    pair a, b, x, log_y, log_m;
    D at;
    L none, empty, unbounded; /* y = 0, m = 0, m infinite */
} deviance_place;
INLINE deviance_place deviance_place_of(D at, D y, pair a, int by) {
    const D one = d_set(1), zero = d_set(0), infinity = d_set(INFINITY), most = d_set(0x1p900);
    const D safe_y = d_select((y > zero) & (y < infinity), y, one);
    deviance_place d = {.a = a, .b = pair_sum(a, pair_of(-one, zero)), .log_y = pair_log_of(safe_y), .at = at};
    d.none = y == zero;
    d.empty = at == (by == DEVIANCE_BY_MEAN ? zero : -infinity);
    d.unbounded = at == infinity;
    if (by == DEVIANCE_BY_MEAN) {
        const D m = d_select((at > zero) & (at < infinity), at, one);
        d.x = deviance_log_ratio(m, safe_y);
        d.log_m = pair_log_of(m);
    } else { /* its products with exponents do not overflow */
        d.log_m = pair_of(d_between(at, -0x1p900, 0x1p900), zero);
        d.x = pair_sum(d.log_m, pair_of(-d.log_y.hi, -d.log_y.lo));
    }
    const L ends = d.empty | d.unbounded;
    const D end = d_select(d.empty, -most, most);
    d.log_m = pair_of(d_select(ends, end, d.log_m.hi), d_select(ends, zero, d.log_m.lo));
    d.x = pair_of(d_select(ends, end, d.x.hi), d_select(ends, zero, d.x.lo));
    return d;
}
/* The logarithms of m^power, and of y times it. */
INLINE pair deviance_power_of_m(const deviance_place *d, pair power) { return pair_product(power, d->log_m); }
INLINE pair deviance_y_times_power(const deviance_place *d, pair power) {
    return pair_sum(d->log_y, pair_product(power, d->log_m));
}

/* In units of y^a. Far from y no terms cancel, but the unit may overflow where they do not. */
INLINE D deviance_value(const deviance_place *d, int by) {
    const D one = d_set(1), zero = d_set(0), infinity = d_set(INFINITY), a = d->a.hi, b = d->b.hi;
    const D ax = d_abs(a * d->x.hi), bx = d_abs(b * d->x.hi), limit = d_set(600);
    const L near = (ax < d_set(0.5)) & (bx < d_set(0.5)), far = (ax > limit) | (bx > limit);
    const pair of_a = deviance_part(d->a, d->x, ax), of_b = deviance_part(d->b, d->x, bx);
    const D apart = pair_sum(of_a, pair_of(-of_b.hi, -of_b.lo)).hi;
    const D series = f64_any(near) ? deviance_series(a, b, d->x) : zero;
    const D bracket = d_at_least(d_select(near, series, apart), 0);
    pair e;
    const D n = pair_exp(pair_product(d->a, d->log_y), &e);
    const pair unit = pair_sum(pair_of(one, zero), e);
    const D value = d_scale(d_fma(unit.hi, bracket, unit.lo * bracket), n);
    const L ends = far | d->none | d->empty | d->unbounded;
    if (!f64_any(ends)) return value;

    const pair log_m_power = deviance_power_of_m(d, d->a), log_y_m = deviance_y_times_power(d, d->b);
    if (!f64_any(far | d->empty | d->unbounded)) { /* zeros, and nothing else unusual */
        const D shift = d_select(log_m_power.hi > zero, d_set(-64), d_set(64)), m_power = d_exp(log_m_power, shift) / a;
        return d_select(ends, d_scale(d_select(m_power < infinity, m_power, infinity), -shift), value);
    }
    const L held = by == DEVIANCE_BY_LOG ? d_abs(d->at) > d_set(0x1p100) : one < zero; /* of x: but it may count */
    const L large = (log_m_power.hi > zero) | ((log_y_m.hi > zero) & ~d->none) | held;
    const D shift = d_select(large, d_set(-64), d_set(64)); /* units in which terms neither overflow nor underflow */
    const D m_power = d_exp(log_m_power, shift), y_m = d_exp(log_y_m, shift);
    const D y_power = d_scale(unit.hi, n + shift), rest = y_power / (a * b);
    D far_a = d_select(ax > limit, (m_power - y_power) / a, y_power * of_a.hi);
    D far_b = d_select(bx > limit, (y_m - y_power) / b, y_power * of_b.hi);
    far_a = d_select(held & (a == zero), d_scale(d->at, shift), far_a);
    far_b = d_select(held & (b == zero), y_power * d->at, far_b);
    const L unbounded = d->unbounded & (a >= zero);
    D whole = d_select((ax > d_set(60)) & (bx > d_set(60)), (m_power / a - y_m / b) + rest, far_a - far_b);
    whole = d_select(d->empty | d->unbounded, rest, whole);
    whole = d_select(d->none, m_power / a, whole);
    whole = d_select((whole < infinity) & ~unbounded & ~(d->empty & (b <= zero) & ~d->none), whole, infinity);
    return d_select(ends, d_scale(whole, -shift), value);
}

/* The first is m^a - y m^b, the second a m^a - b y m^b; with less of m if they are by the mean. */
INLINE void deviance_slopes(const deviance_place *d, int by, deviance_t *u, int with_curve) {
    const D one = d_set(1), zero = d_set(0);
    const pair less = pair_of(d_set(by == DEVIANCE_BY_MEAN ? -1 : 0), zero);
    const pair a1 = pair_sum(d->a, less), b1 = pair_sum(d->b, less), a2 = pair_sum(a1, less), b2 = pair_sum(b1, less);
    const L more = d->x.hi > zero;
    pair e;
    const D n = pair_exp(pair_of(-d_abs(d->x.hi), d_select(more, -d->x.lo, d->x.lo)), &e);
    const D power = d_power_of_two(d_at_least(n, -1000));
    const D share = d_select(d->x.hi == zero, zero, (one - power) - e.hi * power); /* 1 - exp(-|x|) */
    D m = d_exp(deviance_power_of_m(d, a1), zero), y = d_exp(deviance_y_times_power(d, b1), zero);
    u->slope = d_select(share == zero, zero, d_select(more, m, -y) * share);
    u->slope = d_select(d->none, m, u->slope);
    if (!with_curve) return;
    if (by == DEVIANCE_BY_MEAN) {
        m = d_exp(deviance_power_of_m(d, a2), zero);
        y = d_exp(deviance_y_times_power(d, b2), zero);
    }
    const D head = d_select(more, a1.hi, -b1.hi), tail = d_select(more, -b1.hi, a1.hi);
    const D major = d_select(more, m, y), minor = d_select(more, y, m);
    const D first = d_select(head == zero, zero, head * major), second = d_select(tail == zero, zero, tail * minor);
    const D apart = d_select(d_abs(first) == d_set(INFINITY), first, first + second);
    u->curve = d_select(d_abs(d->x.hi) < one, major * d_fma(-tail, share, one), apart);
    u->curve = d_select(d->none, a1.hi * m, u->curve);
    u->expected = m;
}

/* `at` is ln m or m >= 0; y >= 0; a = 2 - w. NaN comes through; outside the domain anything may come. */
INLINE deviance_t d_power_deviance(D at, D y, pair a, int by, int with_curve) {
    const deviance_place d = deviance_place_of(at, y, a, by);
    deviance_t u = {.value = deviance_value(&d, by)};
    deviance_slopes(&d, by, &u, with_curve);
    const L missing = (at != at) | (y != y);
    const D nan = at + y;
    u.value = d_select(missing, nan, u.value);
    u.slope = d_select(missing, nan, u.slope);
    u.curve = d_select(missing, nan, u.curve);
    u.expected = d_select(at != at, at, u.expected);
    return u;
}

/* dD/dy = -(m^b - y^b)/b, b = 1 - w; -ln(m/y) where b = 0. m and y not negative. */
INLINE D d_power_deviance_by_target(D m, D y, pair order) {
    const D one = d_set(1), zero = d_set(0), infinity = d_set(INFINITY);
    const deviance_place d = deviance_place_of(m, y, order, DEVIANCE_BY_MEAN);
    const D sign = d_select(d.x.hi < zero, -one, one), size = d_abs(d.b.hi), most = sign * d.x.hi, bx = size * most;
    const D turn = d_select(d.b.hi < zero, one, -one);
    const pair a = pair_of(-size, d.b.lo * turn), x = pair_of(most, sign * d.x.lo);
    const D part = d_select(bx > d_set(700), one / size, deviance_part(a, x, bx).hi);
    const pair of_m = pair_product(d.b, d.log_m), of_y = pair_product(d.b, d.log_y);
    const L by_m = of_m.hi > of_y.hi;
    const pair larger = pair_of(d_select(by_m, of_m.hi, of_y.hi), d_select(by_m, of_m.lo, of_y.lo));
    const D shift = d_select(larger.hi > zero, d_set(-64), d_set(64));
    const D apart = d_scale(d_exp(larger, shift) * part, -shift) * -sign;
    D value = d_select(d.x.hi == zero, zero, d_select(size == zero, -d.x.hi, apart));
    const L some = d.b.hi > zero;
    const D m_power = d_exp(of_m, zero) / d.b.hi, y_power = d_exp(of_y, zero) / d.b.hi;
    value = d_select(d.empty, d_select(some, y_power, infinity), value);
    value = d_select(d.none, d_select(some, -m_power, -infinity), value);
    value = d_select(d.none & d.empty, d_select(some, zero, d_set(NAN)), value);
    value = d_select(d.unbounded, d_select(d.b.hi < zero, y_power, -infinity), value);
    return d_select((m != m) | (y != y), m + y, value);
}

/* What the divergences of order a are made of, u = t/p, p and t not negative and finite:
 *     more  (u^(a-1) - 1)/(a - 1), ln u at 1       less  (1 - u^a)/a, -ln u at 0
 * t_more and p_less are the products, also where u^a itself would overflow. */
typedef struct {
    D more, less, t_more, p_less, value; /* value: their sum, in which they cancel where u is near 1 */
    pair l, log_power, log_mix;          /* ln u and the logarithms of u^a and mix; of no use where t or p is 0 */
    D power, bend, mix;                  /* u^a, u^a/p and t^a p^(1-a) */
} ratio_t;
INLINE D ratio_far(pair exponent, D value, L far, D of) {
    const D end = (d_exp(exponent, d_set(0)) - 1) / of;
    return d_select(far, end, value);
}
INLINE ratio_t d_ratio(D p, D t, D order) {
    const D zero = d_set(0), one = d_set(1), infinity = d_set(INFINITY), limit = d_set(600), most = d_set(0x1p900);
    const L no_p = p == zero, no_t = t == zero;
    const D safe_p = d_select((p > zero) & (p < infinity), p, one),
            safe_t = d_select((t > zero) & (t < infinity), t, one);
    const pair a = pair_of(order, zero), b = pair_sum_of(order, -one), l = deviance_log_ratio(safe_t, safe_p);
    const pair log_t = pair_log_of(safe_t), log_p = pair_log_of(safe_p), al = pair_product(a, l),
               bl = pair_product(b, l);
    const D a_size = d_abs(al.hi), b_size = d_abs(bl.hi);
    const L a_far = a_size > limit, b_far = b_size > limit;
    const pair of_a = deviance_part(a, l, a_size), of_b = deviance_part(b, l, b_size);
    const pair mixed = pair_sum(al, log_p), over = pair_sum(al, pair_of(-log_p.hi, -log_p.lo));
    /* the whole may be finite where its terms, which grow with p and t, are not */
    const L huge = d_select(t > p, t, p) > d_set(0x1p960);
    const D unit = d_select(huge, d_set(0x1p-64), one), back = d_select(huge, d_set(0x1p64), one);
    const D part_p = p * unit, part_t = t * unit;
    const D part_mix = d_exp(mixed, d_select(huge, d_set(-64), zero)), mix = part_mix * back; /* t^a p^(1-a) */
    ratio_t r = {
        .log_power = al, .l = l, .log_mix = mixed, .power = d_exp(al, zero), .bend = d_exp(over, zero), .mix = mix};
    r.less = zero - ratio_far(al, of_a.hi, a_far, order); /* no negative zero */
    r.more = ratio_far(bl, of_b.hi, b_far, b.hi);
    const pair p_less = pair_product(pair_of(-part_p, zero), of_a), t_more = pair_product(pair_of(part_t, zero), of_b);
    const D less = d_select(a_far, (part_p - part_mix) / order, p_less.hi);
    const D more = d_select(b_far, (part_mix - part_t) / b.hi, t_more.hi);
    r.p_less = less * back, r.t_more = more * back;
    const L near = (d_abs(l.hi) < d_set(0.5)) & (a_size < d_set(0.5));
    const D series = part_p * deviance_series(order, one, l);
    const D whole = (part_p / order - part_t / b.hi) + part_mix / (order * b.hi);
    D apart = d_select(a_far & b_far, whole, d_select(a_far | b_far, less + more, pair_sum(p_less, t_more).hi));
    apart = d_select(part_mix == infinity, infinity, apart); /* more than all else */
    r.value = d_at_least(d_select(near, series, apart), 0) * back;

    /* where one is 0, u is 0 or infinite */
    const L some_a = order > zero, some_b = b.hi > zero, less_b = b.hi < zero;
    const D a_end = one / order, b_end = one / b.hi;
    r.less = d_select(no_t, d_select(some_a, a_end, infinity),
                      d_select(no_p, d_select(order < zero, a_end, -infinity), r.less));
    r.more =
        d_select(no_t, d_select(some_b, -b_end, -infinity), d_select(no_p, d_select(less_b, -b_end, infinity), r.more));
    r.t_more = d_select(no_t, zero, d_select(no_p, d_select(less_b, -t * b_end, infinity), r.t_more));
    r.p_less = d_select(no_p, zero, d_select(no_t, d_select(some_a, p * a_end, infinity), r.p_less));
    r.value = d_select(no_t | no_p, r.t_more + r.p_less, r.value);
    const pair turned = pair_product(a, pair_of(d_select(no_t, -most, most), zero));
    const pair raised = pair_sum(pair_product(a, log_t), pair_product(pair_of(order + 1, zero), pair_of(most, zero)));
    r.power = d_select(no_t | no_p, d_exp(turned, zero), r.power);
    r.mix = d_select(no_t | no_p, t + d_select(t == zero, zero, b.hi * r.t_more), r.mix);
    r.bend = d_select(no_t, d_select(some_a, zero, d_select(order == zero, one / p, infinity)),
                      d_select(no_p, d_exp(raised, zero), r.bend));
    const L none = no_t & no_p;
    /* both are 0: the derivative by each while the other stays 0, if it is finite */
    r.less = d_select(none & ~some_a, d_set(NAN), r.less);
    r.more = d_select(none, d_select(less_b, zero - b_end, d_set(NAN)), r.more);
    r.power = d_select(none, zero, r.power);
    r.bend = d_select(none, zero, r.bend);
    return r;
}

#endif
