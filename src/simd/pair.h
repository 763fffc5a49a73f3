/* Vectors of double, and pairs of them: an unevaluated sum hi + lo, for where an error would be amplified (T. J.
 * Dekker, A floating-point technique for extending the available precision, 1971). */
#ifndef LOSSFN_SIMD_PAIR_H
#define LOSSFN_SIMD_PAIR_H

#include "vec.h"

/* ---- double ---- */

INLINE D d_abs(D x) { return (D)((L)x & ~(L)d_set(-0.0)); }
INLINE D d_at_least(D x, double low) { return d_select(x < d_set(low), d_set(low), x); }
INLINE D d_at_most(D x, double high) { return d_select(x > d_set(high), d_set(high), x); }
INLINE D d_between(D x, double low, double high) { return d_at_most(d_at_least(x, low), high); }
INLINE D d_round(D x) { return f64_round(x); }

/* 2^n, n integral in [-1022, 1023] */
INLINE D d_power_of_two(D n) { return (D)((f64_to_int(n) + 1023) << 52); }

/* x 2^n, n integral; rounded once unless |x| < 2^-22 */
INLINE D d_scale(D x, D n) {
    n = d_between(n, -2000, 2000);
    D half = d_between(n, -1000, 1000);
    return x * d_power_of_two(half) * d_power_of_two(n - half);
}

/* The k for which 2^k is the power below x, and x/2^k in [1, 2); x > 0 finite. */
INLINE D d_split(D x, D *mantissa) {
    L subnormal = x < d_set(0x1p-1022);
    x = d_select(subnormal, x * d_set(0x1p64), x);
    L bits = (L)x;
    *mantissa = (D)((bits & 0xfffffffffffff) | (int64_t)0x3ff0000000000000);
    D k = f64_from_int((L)((u64v)bits >> 52) - 1023);
    return d_select(subnormal, k - 64, k);
}

/* c[0] + c[1] x + ..., even and odd powers apart: two short chains instead of a long one */
#define D_POLYNOMIAL(x, c) d_polynomial(x, c, (int)(sizeof(c) / sizeof *(c)))
INLINE D d_polynomial(D x, const double *c, int count) {
    D square = x * x, y[2] = {d_set(c[(count - 1) / 2 * 2]), d_set(c[(count - 2) / 2 * 2 + 1])};
    UNROLL
    for (int k = count - 3; k >= 0; k--) y[k & 1] = d_fma(y[k & 1], square, d_set(c[k]));
    return d_fma(y[1], x, y[0]);
}

/* ---- pairs ---- */

typedef struct {
    D hi, lo;
} pair;

INLINE pair pair_of(D hi, D lo) { return (pair){hi, lo}; }
/* Exact, and pairs of all digits, for any type. */
INLINE pair exact_sum(D a, D b) {
    D s = a + b, t = s - a;
    return pair_of(s, (a - (s - t)) + (b - t));
}
INLINE pair exact_quick_sum(D a, D b) { /* |a| >= |b| or a = 0 */
    D s = a + b;
    return pair_of(s, b - (s - a));
}
INLINE pair exact_product(D a, D b) {
    D p = a * b;
    return pair_of(p, d_fma(a, b, -p));
}
INLINE pair fine_sum(pair a, pair b) {
    pair s = exact_sum(a.hi, b.hi);
    return exact_quick_sum(s.hi, s.lo + (a.lo + b.lo));
}
INLINE pair fine_product(pair a, pair b) {
    pair p = exact_product(a.hi, b.hi);
    return exact_quick_sum(p.hi, d_fma(a.hi, b.lo, d_fma(a.lo, b.hi, p.lo)));
}
INLINE pair fine_quotient(pair a, pair b) {
    D q = a.hi / b.hi;
    D rest = d_fma(-q, b.hi, a.hi) + d_fma(-q, b.lo, a.lo);
    return exact_quick_sum(q, rest / b.hi);
}
INLINE pair pair_minus(pair x) { return pair_of(-x.hi, -x.lo); }
INLINE pair pair_select(L where, pair x, pair y) {
    return pair_of(d_select(where, x.hi, y.hi), d_select(where, x.lo, y.lo));
}
INLINE pair pair_times(pair a, D factor) { return pair_of(a.hi * factor, a.lo * factor); } /* by a power of 2 */

#ifdef LOSSFN_REAL_F32

/* In single precision a double has twice the digits: errors of 2^-50 may be amplified by millions and stay out of
 * sight, and a pair is a double. Only sums look at lo: two parts of a number that were rounded to single precision are
 * brought together by pair_quick_sum. Where numbers without bounds cancel, fine_ is needed. */
INLINE pair pair_sum_of(D a, D b) { return pair_of(a + b, d_set(0)); }
INLINE pair pair_quick_sum(D a, D b) { return pair_of(a + b, d_set(0)); }
INLINE pair pair_product_of(D a, D b) { return pair_of(a * b, d_set(0)); }
INLINE pair pair_sum(pair a, pair b) { return pair_of((a.hi + b.hi) + (a.lo + b.lo), d_set(0)); }
INLINE pair pair_product(pair a, pair b) { return pair_of(a.hi * b.hi, d_set(0)); }
INLINE pair pair_quotient(pair a, pair b) { return pair_of(a.hi / b.hi, d_set(0)); }

/* ln(2^k (1 + f)), f in [-0.3, 0.42], as below */
INLINE pair pair_log(D k, pair f) {
    static const double c[] = {2. / 3, 2. / 5, 2. / 7, 2. / 9, 2. / 11, 2. / 13, 2. / 15, 2. / 17, 2. / 19};
    const D x = f.hi + f.lo, z = x / (x + 2), w = z * z;
    const D rest = d_fma(k, d_set(0x1.abc9e3b39803fp-56), d_fma(z * w, D_POLYNOMIAL(w, c), 2 * z));
    return pair_of(d_fma(k, d_set(0x1.62e42fefa39efp-1), rest), d_set(0));
}

/* exp t = 2^n (1 + e), |e| < 0.42, for |t| < 3000 (beyond, as at 3000) */
INLINE D pair_exp(pair t, pair *e) {
    static const double c[] = {1. / 2,    1. / 6,     1. / 24,     1. / 120,     1. / 720,
                               1. / 5040, 1. / 40320, 1. / 362880, 1. / 3628800, 1. / 39916800};
    const D x = d_between(t.hi + t.lo, -3000, 3000), n = d_round(x * d_set(0x1.71547652b82fep+0));
    const D r = d_fma(-n, d_set(0x1.abc9e3b39803fp-56), d_fma(-n, d_set(0x1.62e42fefa39efp-1), x));
    *e = pair_of(d_fma(r * r, D_POLYNOMIAL(r, c), r), d_set(0));
    return n;
}
INLINE D pair_exp_finely(pair t, pair *e) { return pair_exp(t, e); }

#else

INLINE pair pair_sum_of(D a, D b) { return exact_sum(a, b); }
INLINE pair pair_quick_sum(D a, D b) { return exact_quick_sum(a, b); }
INLINE pair pair_product_of(D a, D b) { return exact_product(a, b); }
INLINE pair pair_sum(pair a, pair b) { return fine_sum(a, b); }
INLINE pair pair_product(pair a, pair b) { return fine_product(a, b); }
INLINE pair pair_quotient(pair a, pair b) { return fine_quotient(a, b); }

/* ln(2^k (1 + f)), f in [-0.3, 0.42]: relative error 2^-65. With z = f/(2 + f), w = z^2,
 * ln(1 + f) = 2 atanh z = 2 z (1 + w/3 + w^2 (1/5 + w/7 + ...)); w^2/5 < 2^-12, so there double is enough. */
INLINE pair pair_log(D k, pair f) {
    static const double c[] = {1. / 5,  1. / 7,  1. / 9,  1. / 11, 1. / 13, 1. / 15,
                               1. / 17, 1. / 19, 1. / 21, 1. / 23, 1. / 25};
    const D zero = d_set(0);
    pair z = pair_quotient(f, pair_sum(pair_of(d_set(2), zero), f));
    pair w = pair_product(z, z);
    pair third = pair_product(w, pair_of(d_set(0x1.5555555555555p-2), d_set(0x1.5555555555555p-56)));
    pair sum = pair_quick_sum(third.hi, w.hi * w.hi * D_POLYNOMIAL(w.hi, c));
    sum.lo += third.lo;
    z = pair_times(z, d_set(2));
    pair ln2 = pair_product_of(k, d_set(0x1.62e42fefa39efp-1)); /* k ln 2 */
    ln2.lo = d_fma(k, d_set(0x1.abc9e3b39803fp-56), ln2.lo);
    return pair_sum(ln2, pair_sum(z, pair_product(z, sum)));
}

/* t = n ln 2 + r, |r| < ln(2)/2 and a little; |t| held below 3000 */
INLINE D exp_reduced_pair(pair t, pair *r) {
    D x = d_between(t.hi, -3000, 3000);
    D rest = d_select(x == t.hi, t.lo, d_set(0));
    D n = d_round(x * d_set(0x1.71547652b82fep+0));
    D head = d_fma(-n, d_set(0x1.62e42fefa38p-1), x); /* ln 2 to 41 bits: exact */
    *r = pair_sum_of(head, -n * d_set(0x1.ef35793c7673p-45));
    *r = pair_sum_of(r->hi, r->lo + rest);
    return n;
}

/* exp t = 2^n (1 + e), |e| < 0.42, for |t| < 3000 (beyond, as at 3000); also small e have full relative
 * accuracy. */
INLINE D pair_exp(pair t, pair *e) {
    static const double c[] = {1. / 2,         1. / 6,          1. / 24,         1. / 120,     1. / 720,
                               1. / 5040,      1. / 40320,      1. / 362880,     1. / 3628800, 1. / 39916800,
                               1. / 479001600, 1. / 6227020800, 1. / 87178291200};
    pair r;
    const D n = exp_reduced_pair(t, &r); /* r.lo is below 2^-54, and exp(r.lo) near enough to 1 + r.lo */
    *e = pair_quick_sum(r.hi, d_fma(r.hi * r.hi, D_POLYNOMIAL(r.hi, c), d_fma(r.hi, r.lo, r.lo)));
    return n;
}

/* The same, with an error of about 2^-63 beside 1 instead of 2^-56: for what stands in an exponent itself. */
INLINE D pair_exp_finely(pair t, pair *e) {
    static const double c[] = {1. / 24,        1. / 120,        1. / 720,        1. / 5040,
                               1. / 40320,     1. / 362880,     1. / 3628800,    1. / 39916800,
                               1. / 479001600, 1. / 6227020800, 1. / 87178291200};
    pair r;
    const D n = exp_reduced_pair(t, &r);
    pair sum =
        pair_quick_sum(d_set(0x1.5555555555555p-3), d_fma(r.hi, D_POLYNOMIAL(r.hi, c), d_set(0x1.5555555555555p-57)));
    sum = pair_sum(pair_of(d_set(0.5), d_set(0)), pair_product(r, sum));
    *e = pair_sum(r, pair_product(pair_product(r, r), sum));
    return n;
}

#endif

/* x/s, s > 0 finite, also where it overflows or what it leaves is below all numbers */
INLINE pair pair_over(pair x, D s) {
    const D q = x.hi / s, up = d_select(s < d_set(0x1p-500), d_set(0x1p500), d_set(1)), zero = d_set(0);
    const L held = d_abs(q) < d_set(0x1p400);
    const pair whole = pair_quotient(pair_times(pair_select(held, x, pair_of(zero, zero)), up),
                                     pair_of(d_select(held, s * up, d_set(1)), zero));
    return pair_select(held, whole, pair_of(q, zero));
}

/* ln x, x > 0 finite */
INLINE pair pair_log_of(D x) {
    D m, k = d_split(x, &m);
    L upper = m > d_set(0x1.6a09e667f3bcdp+0); /* sqrt 2 */
    m = d_select(upper, m / 2, m);
    return pair_log(d_select(upper, k + 1, k), pair_of(m - 1, d_set(0)));
}

/* ln x - less, x > 0 finite, to the last digits also where less is ln x rounded: atanh as in pair_log, whose argument
 * and ln 2 have three parts. For any type. */
INLINE pair fine_log_less(D x, D less) {
    const D zero = d_set(0), one = d_set(1), two = d_set(2);
    D m, k = d_split(x, &m), small = d_set(1. / 43);
    const L upper = m > d_set(0x1.6a09e667f3bcdp+0);
    m = d_select(upper, m / 2, m), k = d_select(upper, k + 1, k);
    const D f = m - one; /* z = f/(2 + f) */
    const pair divisor = exact_sum(m, one);
    const D first = f / divisor.hi;
    const pair p = exact_product(first, divisor.hi), a = exact_sum(f - p.hi, -p.lo),
               left = exact_sum(a.hi, -first * divisor.lo);
    const D second = left.hi / divisor.hi, rest = d_fma(-second, divisor.hi, left.hi) - second * divisor.lo;
    const D third = (rest + (a.lo + left.lo)) / divisor.hi;
    const pair z = exact_quick_sum(first, second), w = fine_product(z, z);
    for (int n = 41; n > 21; n -= 2) small = d_fma(small, w.hi, d_set(1. / n));
    pair sum = pair_of(small, zero);
    for (int n = 21; n > 1; n -= 2) {
        const D c = d_set(1. / n);
        sum = fine_sum(pair_of(c, d_fma(-c, d_set(n), one) / d_set(n)), fine_product(w, sum));
    }
    const pair tail = fine_product(pair_times(z, two), fine_product(w, sum));
    const pair power = exact_product(k, d_set(0x1.ef35793c7673p-45)); /* k ln 2 less k times its first 41 bits */
    const pair s = exact_sum(k * d_set(0x1.62e42fefa38p-1), two * first), t = exact_sum(s.hi, -less);
    const pair u = exact_sum(power.hi, tail.hi), v = exact_sum(u.hi, two * second);
    const pair c = exact_sum(t.hi, s.lo), d = exact_sum(c.hi, t.lo), e = exact_sum(d.hi, v.hi);
    const D low = d_fma(k, d_set(0x1.f97b57a079a19p-103), power.lo) + (tail.lo + two * third);
    return exact_sum(e.hi, (c.lo + d.lo) + (e.lo + (u.lo + v.lo)) + low);
}

/* ln x - less from ln x, finite; the digits that a logarithm does not have are made where they are felt. */
INLINE pair pair_log_less(D x, pair log_x, D less) {
    const pair apart = fine_sum(log_x, pair_of(-less, d_set(0)));
    const L near = d_abs(apart.hi) < d_set(sizeof(REAL) == 4 ? 0x1p-24 : 0x1p-9) * d_abs(less);
    return f64_any(near) ? pair_select(near, fine_log_less(x, less), apart) : apart;
}

/* ln(1 + f), f > -1 finite */
INLINE pair pair_log1p(pair f) {
    const D one = d_set(1);
    D m, k = d_split(one + f.hi, &m);
    const L upper = m > d_set(0x1.6a09e667f3bcdp+0), near = d_abs(f.hi) < d_set(0.25);
    k = d_select(near, d_set(0), d_select(upper, k + 1, k));
    const pair sum = pair_sum_of(one, f.hi);
    const D shrink = d_power_of_two(d_between(-k, -1022, 1022));
    const pair left = pair_sum_of(sum.hi * shrink, -one),
               g = pair_quick_sum(left.hi, left.lo + (sum.lo + f.lo) * shrink);
    return pair_log(k, pair_of(d_select(near, f.hi, g.hi), d_select(near, f.lo, g.lo)));
}

/* The same, -1/2 <= f <= 1. */
INLINE pair pair_log1p_unit(pair f) {
    const D zero = d_set(0), one = d_set(1), half = d_set(0.5), two = d_set(2);
    const pair sum = pair_sum_of(one, f.hi);
    const L upper = sum.hi > d_set(0x1.6a09e667f3bcdp+0), lower = sum.hi <= d_set(0x1.6a09e667f3bcdp-1);
    const L near = d_abs(f.hi) < d_set(0.25);
    const D k = d_select(upper, one, d_select(lower, -one, zero));
    const D shrink = d_select(upper, half, d_select(lower, two, one));
    const pair left = pair_sum_of(sum.hi * shrink, -one),
               g = pair_quick_sum(left.hi, left.lo + (sum.lo + f.lo) * shrink);
    return pair_log(k, pair_of(d_select(near, f.hi, g.hi), d_select(near, f.lo, g.lo)));
}

/* e^t 2^shift */
INLINE D d_exp(pair t, D shift) {
    pair e;
    const D n = pair_exp(t, &e);
    return d_scale(pair_sum(pair_of(d_set(1), d_set(0)), e).hi, n + shift);
}

/* e^t, not beyond 2^1000; finely for what stands in an exponent itself */
INLINE pair exp_of_parts(D n, pair e) {
    const pair unit = pair_sum(pair_of(d_set(1), d_set(0)), e);
    return pair_of(d_scale(unit.hi, n), d_scale(unit.lo, n));
}
INLINE pair pair_exp_of(pair t) {
    pair e;
    const D n = pair_exp(t, &e);
    return exp_of_parts(n, e);
}
INLINE pair pair_exp_of_finely(pair t) {
    pair e;
    const D n = pair_exp_finely(t, &e);
    return exp_of_parts(n, e);
}
/* e^t - 1, t not beyond 700 */
INLINE pair pair_expm1(pair t) {
    pair e;
    const D n = d_at_least(pair_exp(t, &e), -1000), power = d_power_of_two(n);
    return pair_sum(pair_sum_of(power, d_set(-1)), pair_of(e.hi * power, e.lo * power));
}

#endif
