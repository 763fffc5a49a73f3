/* Barron's general robust loss and distribution (J. T. Barron, A General and Adaptive Robust Loss Function, CVPR 2019).
 *
 * All is computed on vectors of double, for f32 as well, and rounded once at the end. Where an exponential
 * would amplify the error of its argument, numbers are pairs.
 *
 * Bounds in ulp, measured by tests/unit/simd/test_special.c:       f32      f64
 *     v_barron: rho, W, curvature                                  0.51     1
 *     v_barron: d rho/d alpha                                      0.51     6
 *     v_barron_log_partition: value                                0.51     1.5
 *     v_barron_log_partition: derivative                           0.51     5 */
#ifndef LOSSFN_SIMD_SPECIAL_H
#define LOSSFN_SIMD_SPECIAL_H

#include "pair.h"
#include "barron_table.h"

/* ---- Barron's loss ----
 *
 *     rho(r, alpha) = (b/alpha) ((1 + q)^(alpha/2) - 1),   q = r^2/b,   b = |alpha - 2|
 *
 * With u = ln(1 + q), t = (alpha/2) u and a = alpha - 2:
 *     rho       = (b/alpha)(exp t - 1)
 *     W         = d rho/d(r^2/2) = exp(a u/2)
 *     curvature = d^2 rho/dr^2   = W (1 + (alpha - 1) q)/(1 + q)
 *     d rho/d alpha = (b/4) J,     J = integral over v from 0 to u of exp(v alpha/2)(v - 1 + exp -v)
 * All in terms of pairs, and of mantissas with an exponent apart, because for alpha near 2 exp t overflows long
 * before b exp t does, and r^2 long before r^alpha.
 *
 * alpha = 0: rho is continuous there, and 2^-66 gives the same value. alpha = +-inf: the same with +-2^400.
 * alpha = 2: r^2/2; d rho/d alpha is infinite there on both sides, and +inf is what it returns (0 for r = 0).
 */

#define BARRON_LEAST    0x1p-66
#define BARRON_GREATEST 0x1p400

/* For t = n ln 2 + ..., the mantissas of exp t and exp t - 1 in units of 2^max(n, 0), which never overflow. */
INLINE D unit_exponent(D n) { return d_at_least(n, 0); }
INLINE pair unit_exp(D n, pair e) {
    return pair_times(pair_sum(pair_of(d_set(1), d_set(0)), e), d_power_of_two(d_between(n, -1000, 0)));
}
INLINE pair unit_expm1(D n, pair e) {
    D a = d_power_of_two(d_between(n, -1000, 0)), b = d_power_of_two(d_between(-n, -1000, 0));
    return pair_sum(pair_sum_of(a, -b), pair_times(e, a));
}

/* d rho/d alpha in the unit of unit_exp.
 *   a, u, t   as above;  tw = a u/2 = t - u;  phi = u - 1 + exp -u = u - p, p = q/(1 + q)
 *   et        exp t;  ew = exp tw - 1, Ew = ew/tw;  all in that unit */
INLINE D d_barron_dalpha(D alpha, D a, D u, D t, D tw, D phi, D p, D et, D ew) {

    /* For |t| <= 2, moments m_k = exp(-t) (1/k!) integral over x in [0, 1] of x^k exp(t x), by the recurrence
     * m_(k-1) = 1/k! - t m_k, which damps errors downwards; and sum = m_2 - u m_3 + u^2 m_4 - ... */
    static const double inverse_factorial[] = {1.,
                                               1.,
                                               1. / 2.,
                                               1. / 6.,
                                               1. / 24.,
                                               1. / 120.,
                                               1. / 720.,
                                               1. / 5040.,
                                               1. / 40320.,
                                               1. / 362880.,
                                               1. / 3628800.,
                                               1. / 39916800.,
                                               1. / 479001600.,
                                               1. / 6227020800.,
                                               1. / 87178291200.,
                                               1. / 1307674368000.,
                                               1. / 20922789888000.,
                                               1. / 355687428096000.,
                                               1. / 6402373705728000.,
                                               1. / 121645100408832000.,
                                               1. / 2432902008176640000.,
                                               1. / 51090942171709440000.,
                                               1. / 1124000727777607680000.,
                                               1. / 25852016738884976640000.,
                                               1. / 620448401733239439360000.,
                                               1. / 15511210043330985984000000.};
    const D one = d_set(1), two = d_set(2), zero = d_set(0);
    D b = d_abs(a), Ew = ew / d_select(tw == zero, one, tw);
    L slow = d_abs(t) <= two, near = u <= two;
    D ts = d_select(slow, t, zero), us = d_select(near, u, zero);
    D m = d_set(inverse_factorial[25] / 26), sum = zero;
    for (int k = 25; k >= 3; k--) {
        sum = d_fma(-us, sum, m); /* m is m_k */
        m = d_fma(-ts, m, d_set(inverse_factorial[k]));
    }
    sum = d_fma(-us, sum, m); /* from m_2 on */
    D m1 = d_fma(-ts, m, d_set(0.5));
    D series = u * u * (et * sum);
    /* |t| <= 2, u > 2: u (et (u m_1 - m_0) + Ew), where u m_1 - m_0 = (u - 2) m_1 + t (m_1 - 2 m_2) */
    D closed = d_fma(et, d_fma(u - two, m1, ts * (m1 - two * m)), Ew);
    /* |t| > 2: by parts twice, which leaves terms of the order of J */
    D inverse = two / alpha;
    D parts =
        d_fma(b / (two * alpha) * et, d_fma(-inverse, p, phi), inverse * inverse * d_select(a < zero, -ew, ew) / 2);
    D direct = b / 4 * u * d_select(near, series, closed);
    return d_select(slow, direct, parts);
}

/* What is wanted of it; NULL for what is not. All but w are in terms of x, where the residual is r = x/c. */
typedef struct {
    D *rho, *w, *dalpha;
    D *slope;     /* d rho/dx = r W/c, of |x| */
    D *scaling;   /* -d rho/dc = r^2 W/c */
    D *curvature; /* d^2 rho/dx^2 */
} barron_out;

/* The residual is (r + r_low) 2^shift, the scale mc 2^ec with mc in [1, 2). */
INLINE void d_barron(D r, D r_low, D shift, D mc, D ec, D alpha, barron_out out) {
    const D zero = d_set(0), one = d_set(1), inf = d_set(INFINITY);
    r_low = d_select(r < zero, -r_low, r_low);
    r = d_abs(r);
    D size = d_abs(alpha);
    L at_two = alpha == d_set(2), unbounded = r == inf;
    D bounded = d_select(unbounded, d_set(0x1.fffffffffffffp1023), r);
    D al =
        d_select(size > d_set(BARRON_GREATEST), d_select(alpha < zero, d_set(-BARRON_GREATEST), d_set(BARRON_GREATEST)),
                 d_select(size < d_set(BARRON_LEAST), d_set(BARRON_LEAST), alpha));
    pair a = pair_sum_of(al, d_set(-2));
    L below = a.hi < zero;
    pair b = pair_of(d_select(below, -a.hi, a.hi), d_select(below, -a.lo, a.lo));
    b.hi = d_select(at_two, one, b.hi); /* any value: alpha = 2 is put right at the end */

    /* q = Q 2^E; |r_low / r| is at most about 2^-53, or r_low is 0 */
    D mr, mb, er = d_split(bounded, &mr) + shift, eb = d_split(b.hi, &mb);
    mr = d_select(r == zero, zero, mr);
    D relative = d_select((r == zero) | unbounded | (r_low == zero), zero, r_low / bounded);
    pair square = pair_product_of(mr, mr);
    square.lo = d_fma(square.hi, 2 * relative, square.lo);
    pair Q = pair_quotient(square, pair_of(mb, b.lo * d_power_of_two(-eb)));
    D E = 2 * er - eb;

    /* 1 + q = 2^k (1 + f), g = q/2^k */
    D E60 = d_between(E, -1000, 60), m1q, k = d_split(d_fma(Q.hi, d_power_of_two(E60), one), &m1q);
    k = d_select(m1q > d_set(0x1.6a09e667f3bcdp+0), k + 1, k);
    k = d_select(E > d_set(60), k + (E - 60), k);
    D shrink = d_power_of_two(d_between(-k, -1000, 0));
    pair g = pair_times(Q, d_power_of_two(d_between(E - k, -1000, 1000)));
    pair f = pair_sum(g, pair_quick_sum(-one, shrink));
    pair u = pair_log(k, f);
    pair t = pair_product(pair_of(al / 2, zero), u);
    pair tw = pair_product(pair_times(a, d_set(0.5)), u);

    pair e, ew;
    D n = pair_exp(t, &e), nw = pair_exp(tw, &ew);

    D whole = d_scale(r, shift), half_square = whole / 2 * whole;
    half_square = d_select(half_square < inf, d_fma(whole / 2, whole, whole * d_scale(r_low, shift)), half_square);
    L invalid = (r != r) | (alpha != alpha);
    D nan = r + alpha;
    if (out.rho) {
        pair x = pair_product(unit_expm1(n, e), b);
        x = pair_quotient(x, pair_of(al, zero));
        D value = d_scale(x.hi + x.lo, unit_exponent(n));
        /* so small that rho is r^2/2 whatever alpha: no underflow on the way */
        L small = (d_abs(t.hi) < d_set(0x1p-60)) & (u.hi < d_set(0x1p-60));
        value = d_select(at_two | small, half_square, value);
        value = d_select(unbounded, d_select(alpha < zero, one + 2 / size, inf), value);
        *out.rho = d_select(invalid, nan, value);
    }
    L above = alpha > d_set(2);
    D far = d_select(above, inf, d_select(at_two, one, zero)); /* W and curvature at r = inf */
    pair W = pair_sum(pair_of(one, zero), ew);                 /* in units of 2^nw */
    if (out.w) {
        D value = d_scale(W.hi + W.lo, nw);
        value = d_select(unbounded, far, d_select(at_two, one, value));
        *out.w = d_select(invalid, nan, value);
    }
    D size_r = d_fma(mr, relative, mr);
    if (out.slope) {
        D end = d_select(alpha > one, inf, d_select(alpha == one, d_scale(one / mc, -ec), zero));
        D value = d_scale(d_select(at_two, one, W.hi + W.lo) * size_r / mc, d_select(at_two, zero, nw) + er - ec);
        *out.slope = d_select(invalid, nan, d_select(unbounded, end, value));
    }
    if (out.scaling) {
        D end = d_select(alpha > zero, inf, d_select(alpha == zero, d_scale(2 * one / mc, -ec), zero));
        D value = d_scale(d_select(at_two, one, W.hi + W.lo) * size_r * size_r / mc,
                          d_select(at_two, zero, nw) + 2 * er - ec);
        *out.scaling = d_select(invalid, nan, d_select(unbounded, end, value));
    }
    pair one_f = pair_sum(pair_of(one, zero), f);
    if (out.curvature) {
        /* 1 + (alpha - 1) q in units of 2^k. With alpha in [0, 2] the product is exact enough; elsewhere (1 +- s) + q,
         * s = b q, because s is exact, 1 - s may cancel, and q is then the smaller one. */
        pair s = pair_times(square, d_power_of_two(d_between(2 * er - k, -1000, 1000)));
        s = pair_of(d_select(below, -s.hi, s.hi), d_select(below, -s.lo, s.lo));
        /* at alpha = 1 the 1 stands alone, and 2^-k apart */
        L endless = size > d_set(BARRON_GREATEST), at_one = al == one, inner = (al >= zero) & (al <= d_set(2));
        pair product = pair_product(pair_sum_of(al, -one), g);
        s = pair_of(d_select(inner, product.hi, s.hi), d_select(inner, product.lo, s.lo));
        pair last = pair_of(d_select(endless | inner, zero, g.hi), d_select(endless | inner, zero, g.lo));
        pair x = pair_sum(pair_sum(pair_of(d_select(at_one, one, shrink), zero), s), last);
        x = pair_product(pair_quotient(x, one_f), pair_sum(pair_of(one, zero), ew));
        D value = d_scale(d_select(at_two, one, x.hi + x.lo) / (mc * mc),
                          d_select(at_two, zero, nw) - d_select(at_one, k, zero) - 2 * ec);
        value = d_select(unbounded & ~at_two, far, value);
        *out.curvature = d_select(invalid, nan, value);
    }
    if (out.dalpha) {
        static const double c[] = {1. / 2, -1. / 6, 1. / 24, -1. / 120, 1. / 720, -1. / 5040, 1. / 40320, -1. / 362880};
        pair p = pair_quotient(g, one_f), et = unit_exp(n, e), em = unit_expm1(nw, ew);
        pair phi = pair_sum(u, pair_of(-p.hi, -p.lo));
        D phi_small = u.hi * u.hi * D_POLYNOMIAL(u.hi, c);
        D unit = unit_exponent(n);
        D ewu = em.hi * d_power_of_two(d_between(unit_exponent(nw) - unit, -1000, 0));
        phi.hi = d_select(u.hi < d_set(0x1p-6), phi_small, phi.hi);
        D value = d_barron_dalpha(al, a.hi, u.hi, t.hi, tw.hi, phi.hi, p.hi, et.hi, ewu);
        D decay = d_select(size > d_set(BARRON_GREATEST), d_set(BARRON_GREATEST) / size, one);
        D unit1 = d_at_most(unit, 1800); /* decay^2 alone underflows */
        value = d_scale(d_scale(value, unit1) * decay * decay, unit - unit1);
        value = d_select(unbounded, d_select(alpha < zero, 2 / (size * size), inf), value);
        value = d_select(at_two, inf, value);
        value = d_select((r == zero) | (size == inf), zero, value);
        *out.dalpha = d_select(invalid, nan, value);
    }
}

/* The residual is r + r_low: r_low is what r leaves out, or 0. The exponentials amplify relative errors of r by up to
 * r^2 (alpha = inf), so that it can matter. Nothing overflows on the way: r^2 may. The sign of r is ignored. Outputs
 * not wanted are null. */
INLINE void v_barron(V r, V r_low, V alpha, V *rho, V *w, V *curvature, V *dalpha) {
    D R[DPARTS], low[DPARTS], al[DPARTS], y[4][DPARTS];
    v_widen(r, R);
    v_widen(r_low, low);
    v_widen(alpha, al);
    for (int i = 0; i < DPARTS; i++)
        d_barron(R[i], low[i], d_set(0), d_set(1), d_set(0), al[i],
                 (barron_out){.rho = rho ? &y[0][i] : 0,
                              .w = w ? &y[1][i] : 0,
                              .curvature = curvature ? &y[2][i] : 0,
                              .dalpha = dalpha ? &y[3][i] : 0});
    if (rho) *rho = v_narrow(y[0]);
    if (w) *w = v_narrow(y[1]);
    if (curvature) *curvature = v_narrow(y[2]);
    if (dalpha) *dalpha = v_narrow(y[3]);
}

/* What a loss makes of Barron's: rho, its derivatives in pred, scale and alpha, and the second one in pred. */
enum { BARRON_RHO, BARRON_SLOPE, BARRON_DSCALE, BARRON_CURVATURE, BARRON_DALPHA, BARRON_OUTPUTS };

/* Mantissas and exponents go apart, so that neither x = pred - target nor x/c rounds away or overflows what the result
 * needs. */
INLINE void d_barron_apart(D pred, D target, D c, D alpha, D y[BARRON_OUTPUTS], int with_dalpha) {
    const D zero = d_set(0), inf = d_set(INFINITY);
    pair x = pair_sum_of(pred, -target);
    D size = d_abs(x.hi), mx, mc, sign = d_select(x.hi < zero, d_set(-1), d_set(1));
    L odd = ~((size > zero) & (size < inf)); /* 0, inf, NaN */
    D ex = d_split(d_select(odd, d_set(1), size), &mx), ec = d_split(c, &mc);
    D r = d_select(c == c, mx / mc, c), left = d_scale(sign * x.lo, -ex), low = (d_fma(-r, mc, mx) + left) / mc;
    d_barron(d_select(odd & (r == r), size, r), d_select(odd, zero, low), d_select(odd, zero, ex - ec), mc, ec, alpha,
             (barron_out){.rho = &y[BARRON_RHO],
                          .slope = &y[BARRON_SLOPE],
                          .scaling = &y[BARRON_DSCALE],
                          .curvature = &y[BARRON_CURVATURE],
                          .dalpha = with_dalpha ? &y[BARRON_DALPHA] : 0});
    y[BARRON_SLOPE] *= sign;
    y[BARRON_DSCALE] = -y[BARRON_DSCALE];
}

/* exp t and exp t - 1 for |t| < 709 (beyond, as at 700), to about 2^-46. */
INLINE D d_exp_and_expm1(D t, D *expm1) {
    static const double c[] = {1. / 2,    1. / 6,     1. / 24,     1. / 120,     1. / 720,
                               1. / 5040, 1. / 40320, 1. / 362880, 1. / 3628800, 1. / 39916800};
    t = d_between(t, -700, 700);
    D n = d_round(t * d_set(0x1.71547652b82fep+0)), s = d_power_of_two(n);
    D r = d_fma(n, d_set(-0x1.abc9e3b39803fp-56), d_fma(n, d_set(-0x1.62e42fefa39efp-1), t));
    D e = d_fma(r * r, D_POLYNOMIAL(r, c), r);
    *expm1 = d_fma(s, e, s - 1);
    return d_fma(s, e, s);
}

/* ln(1 + q), q >= 0 finite, to about 2^-50, and 1/(1 + q); both from one division. */
INLINE D d_log1p_and_inverse(D q, D *inverse) {
    static const double c[] = {2. / 3, 2. / 5, 2. / 7, 2. / 9, 2. / 11, 2. / 13, 2. / 15, 2. / 17};
    const D one = d_set(1);
    D whole = q + one, m, k = d_split(whole, &m);
    k = d_select(m > d_set(0x1.6a09e667f3bcdp+0), k + 1, k);
    D shrink = d_power_of_two(-k), f = d_fma(q, shrink, shrink - one); /* 1 + q = 2^k (1 + f) */
    D share = one / (whole * (f + 2)), z = f * (whole * share), w = z * z;
    *inverse = (f + 2) * share;
    return d_fma(k, d_set(0x1.62e42fefa39efp-1), d_fma(z * w, D_POLYNOMIAL(w, c), z + z));
}

/* (1 + q)^(alpha/2), that minus 1, and 1/(1 + q); q >= 0 finite. */
typedef struct {
    D whole, less_one, fraction, u; /* u = ln(1 + q), where it is made */
} barron_power;

/* For DPARTS vectors, side by side, so that none waits for its own results. */
INLINE void d_barron_power(const D q[DPARTS], const D al[DPARTS], barron_power y[DPARTS]) {
    UNROLL
    for (int i = 0; i < DPARTS; i++) y[i].u = d_log1p_and_inverse(q[i], &y[i].fraction);
    UNROLL
    for (int i = 0; i < DPARTS; i++) y[i].whole = d_exp_and_expm1(al[i] * d_set(0.5) * y[i].u, &y[i].less_one);
}
/* For alpha = 1. */
INLINE barron_power d_barron_root(D q) {
    D one = d_set(1), sum = q + one, root = f64_sqrt(sum), share = one / (sum * (root + one));
    return (barron_power){root, q * (sum * share), (root + one) * share, d_set(0)};
}

/* What follows from it, for residual x and finite alpha (BARRON_LEAST and more in magnitude). */
INLINE D d_barron_scale(D c, D al, L at_two, D *b) { /* 1/(b alpha c^2) */
    *b = d_select(at_two, d_set(1), d_abs(al - 2));
    return d_set(1) / (*b * al * (c * c));
}
INLINE void d_barron_outputs(D x, D c, D al, D b, D inverse, L at_two, const barron_power *power, D q,
                             D y[BARRON_OUTPUTS]) {
    const D one = d_set(1);
    D square = x * x, of_c2 = inverse * al * b; /* 1/c^2 */
    D W = d_select(at_two, one, power->whole * power->fraction) * of_c2;
    y[BARRON_RHO] = d_select(at_two, square * of_c2 * d_set(0.5), b * b * (c * c) * inverse * power->less_one);
    y[BARRON_SLOPE] = W * x;
    y[BARRON_DSCALE] = -(W * square) * (c * of_c2);
    y[BARRON_CURVATURE] = d_select(at_two, W, W * power->fraction * d_fma(al - 1, q, one));
}

/* d rho/d alpha of a residual of single precision */
INLINE D d_barron_dalpha_whole(D x, D alpha, D al, D q, const barron_power *power) {
    static const double c[] = {1. / 2, -1. / 6, 1. / 24, -1. / 120, 1. / 720, -1. / 5040, 1. / 40320, -1. / 362880};
    D u = power->u, p = q * power->fraction, a = al - 2, half = d_set(0.5), ew;
    D phi = d_select(u < d_set(0x1p-6), u * u * D_POLYNOMIAL(u, c), u - p);
    d_exp_and_expm1(a * half * u, &ew);
    D y = d_barron_dalpha(al, a, u, al * half * u, a * half * u, phi, p, power->whole, ew);
    y = d_select(alpha == d_set(2), d_set(INFINITY), y);
    return d_select((x == d_set(0)) | (d_abs(alpha) == d_set(INFINITY)), d_set(0), y);
}

/* The same for inputs of single precision, finite and c > 0: double holds all squares and scales of theirs, so nothing
 * goes apart. Relative errors stay below 2^-40. */
INLINE void d_barron_whole(const D pred[DPARTS], const D target[DPARTS], const D c[DPARTS], const D alpha[DPARTS],
                           D y[DPARTS][BARRON_OUTPUTS], int with_dalpha) {
    const double greatest = 0x1p200; /* b alpha c^2 is finite; in place of infinity */
    D x[DPARTS], al[DPARTS], b[DPARTS], inverse[DPARTS], q[DPARTS];
    L at_two[DPARTS];
    barron_power power[DPARTS];
    UNROLL
    for (int i = 0; i < DPARTS; i++) {
        x[i] = pred[i] - target[i];
        al[i] = d_between(alpha[i], -greatest, greatest);
        al[i] = d_select(d_abs(al[i]) < d_set(BARRON_LEAST), d_set(BARRON_LEAST), al[i]);
        at_two[i] = alpha[i] == d_set(2);
        inverse[i] = d_barron_scale(c[i], al[i], at_two[i], &b[i]);
        q[i] = x[i] * x[i] * (inverse[i] * al[i]);
    }
    d_barron_power(q, al, power);
    UNROLL
    for (int i = 0; i < DPARTS; i++) {
        d_barron_outputs(x[i], c[i], al[i], b[i], inverse[i], at_two[i], &power[i], q[i], y[i]);
        if (with_dalpha) y[i][BARRON_DALPHA] = d_barron_dalpha_whole(x[i], alpha[i], al[i], q[i], &power[i]);
    }
}

/* The same for alpha = 1, where a square root takes the place of logarithm and exponential; any residual. */
INLINE void d_barron_one(D pred, D target, D c, D y[BARRON_OUTPUTS]) {
    const D one = d_set(1),
            x = d_between(pred - target, -0x1p300, 0x1p300); /* as good as infinite in single precision */
    D b, inverse = d_barron_scale(c, one, (L){0}, &b), q = x * x * inverse;
    barron_power power = d_barron_root(q);
    d_barron_outputs(x, c, one, b, inverse, (L){0}, &power, q, y);
}

/* All of it for pred and target, scale c > 0 and shape alpha. */
static __attribute__((noinline, unused)) void barron_apart(const V in[4], V out[BARRON_OUTPUTS], int with_dalpha) {
    D x[4][DPARTS], y[DPARTS][BARRON_OUTPUTS] = {{{0}}};
    for (int j = 0; j < 4; j++) v_widen(in[j], x[j]);
    for (int i = 0; i < DPARTS; i++) d_barron_apart(x[0][i], x[1][i], x[2][i], x[3][i], y[i], with_dalpha);
    for (int k = 0; k < BARRON_OUTPUTS; k++) {
        D of[DPARTS];
        for (int i = 0; i < DPARTS; i++) of[i] = y[i][k];
        out[k] = v_narrow(of);
    }
}

#ifdef LOSSFN_REAL_F32
INLINE void narrow_barron(D y[DPARTS][BARRON_OUTPUTS], V out[BARRON_OUTPUTS], int outputs) {
    UNROLL
    for (int k = 0; k < outputs; k++) {
        D of[DPARTS];
        for (int i = 0; i < DPARTS; i++) of[i] = y[i][k];
        out[k] = v_narrow(of);
    }
}
#endif

/* For alpha = 1; without its derivative. */
INLINE void v_barron_one(V pred, V target, V c, V out[BARRON_OUTPUTS]) {
#ifdef LOSSFN_REAL_F64
    const V in[4] = {pred, target, c, v_set(1)};
    barron_apart(in, out, 0);
#else
    D x[3][DPARTS], y[DPARTS][BARRON_OUTPUTS];
    v_widen(pred, x[0]), v_widen(target, x[1]), v_widen(c, x[2]);
    UNROLL
    for (int i = 0; i < DPARTS; i++) d_barron_one(x[0][i], x[1][i], x[2][i], y[i]);
    narrow_barron(y, out, BARRON_DALPHA);
#endif
}

/* For any alpha; where it is 1, as above. */
INLINE void v_barron_loss(V pred, V target, V c, V alpha, V out[BARRON_OUTPUTS], int with_dalpha) {
    const V in[4] = {pred, target, c, alpha};
#ifdef LOSSFN_REAL_F64
    barron_apart(in, out, with_dalpha);
#else
    const M at_one = alpha == v_set(1);
    V other[BARRON_OUTPUTS];
    if (m_any(at_one)) v_barron_one(pred, target, c, out);
    if (m_all(at_one) && !with_dalpha) return;
    D x[4][DPARTS], y[DPARTS][BARRON_OUTPUTS];
    for (int j = 0; j < 4; j++) v_widen(in[j], x[j]);
    d_barron_whole(x[0], x[1], x[2], x[3], y, with_dalpha);
    narrow_barron(y, other, with_dalpha ? BARRON_OUTPUTS : BARRON_DALPHA);
    for (int k = 0; k < BARRON_DALPHA; k++) out[k] = m_any(at_one) ? v_select(at_one, out[k], other[k]) : other[k];
    if (with_dalpha) out[BARRON_DALPHA] = other[BARRON_DALPHA];
    M odd = m_not(v_isfinite(pred) & v_isfinite(target)) | v_isnan(alpha + c);
    if (!m_any(odd)) return;
    barron_apart(in, other, with_dalpha);
    for (int k = 0; k < BARRON_DALPHA; k++) out[k] = v_select(m_andnot(odd, at_one), other[k], out[k]);
    if (with_dalpha) out[BARRON_DALPHA] = v_select(odd, other[BARRON_DALPHA], out[BARRON_DALPHA]);
#endif
}

/* ---- ln Z(alpha), Z = integral of exp(-rho(x, alpha)) over the real line ----
 * barron_table.h; the form of each piece is in the script it names. */

INLINE D d_barron_log_partition(D alpha, D *derivative) {
    const D zero = d_set(0), one = d_set(1), two = d_set(2);
    L at_two = alpha == two, below = alpha < two;
    D b = d_select(at_two, one, d_abs(alpha - 2));
    D b_log = d_select(d_abs(b) < d_set(4), b, one); /* ln b is not used beyond */
    pair l = pair_log_of(b_log);
    D log_b = l.hi;

    L piece = (L)zero; /* how many begin at or below alpha, but for the first */
    for (int i = 1; i < BARRON_PIECES; i++) piece -= alpha >= d_set(barron_begin[i]);
    L direct = piece < (L)zero + BARRON_FIRST_LOG;
    L inverse = piece > (L)zero + BARRON_LAST_LOG;
    L split = (piece >= (L)zero + BARRON_FIRST_T) & (piece <= (L)zero + BARRON_LAST_T);
    D reciprocal = one / alpha;
    D v = d_select(direct, alpha, d_select(inverse, reciprocal, log_b));

    /* P(z) and P'(z), coefficients picked per lane */
    double index[DLANES];
    d_store(index, f64_from_int(piece));
    D middle = zero, scale = zero, c = zero, p = zero, dp = zero;
    int first = (int)index[0], shared = 1; /* usually alpha is the same for all */
    for (int lane = 0; lane < DLANES; lane++) {
        middle[lane] = barron_middle[(int)index[lane]];
        scale[lane] = barron_scale[(int)index[lane]];
        shared &= (int)index[lane] == first;
    }
    D z = (v - middle) * scale;
    for (int k = BARRON_DEGREE; k >= 0; k--) {
        if (shared)
            c = d_set(barron_coefficient[k][first]);
        else
            for (int lane = 0; lane < DLANES; lane++) c[lane] = barron_coefficient[k][(int)index[lane]];
        dp = d_fma(dp, z, p);
        p = d_fma(p, z, c);
    }
    dp *= scale;

    /* d v/d alpha */
    D sign = d_select(below, -one, one);
    D dv = d_select(direct, one, d_select(inverse, -(reciprocal / alpha), sign / b));
    D value = p, slope = dp * dv;

    D a = alpha - 2, h = log_b / (two * alpha) + d_set(barron_slope);
    D near = d_set(barron_half_log_2pi) + d_fma(a, h, b * b * p);
    D near_slope = log_b / (alpha * alpha) + (one / (two * alpha) + d_set(barron_slope)) + a * (two * p + dp);
    value = d_select(split, near, value);
    slope = d_select(split, near_slope, slope);
    value = d_select(at_two, d_set(barron_half_log_2pi), value);
    slope = d_select(at_two, d_set(-INFINITY), slope);
    *derivative = d_select(alpha >= zero, slope, d_set(NAN));
    return d_select(alpha >= zero, value, d_set(NAN));
}

/* ln Z and its derivative for alpha in [0, inf]; NaN for alpha < 0, where exp -rho is not integrable. The
 * derivative at 0 is one-sided; at 2 it is -inf, its limit from both sides. */
INLINE V v_barron_log_partition(V alpha, V *derivative) {
    D x[DPARTS], d[DPARTS];
    v_widen(alpha, x);
    for (int i = 0; i < DPARTS; i++) x[i] = d_barron_log_partition(x[i], &d[i]);
    *derivative = v_narrow(d);
    return v_narrow(x);
}

#endif
