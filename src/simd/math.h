/* Elementary functions on V: exp, expm1, log, log1p, tanh, pow, logarithms to any base. trig.h has the circular ones.
 *
 * Each is one sequence of exactly rounded operations, so its bits are the same on every instruction set. NaN
 * gives NaN; -0, infinities, overflow and subnormals follow C's Annex F. The method throughout: a head and a
 * small rest are carried, so that one rounding matters. The coefficients come from tests/numeric/minimax.py.
 *
 * Bounds that tests/unit/simd asserts, in ulp of the exact result, subnormal results included. Not proven but
 * measured, with a margin: in f32 v_exp, v_expm1, v_log, v_log1p and v_tanh on every bit pattern, the others on every
 * 499th; f64 on two million arguments, pow on as many pairs.
 *
 *                       f32    f64                              f32    f64
 *     v_exp            1.05   1.05       v_tanh                0.75   0.75
 *     v_exp_parts, v_exp_minus_parts
 *                      1.20   1.20
 *     v_exp_minus      1.05   1.05       v_log1p_unit          1.30   1.30
 *     v_expm1          0.85   0.95       v_log, v_log1p        0.85   0.85
 *     v_log_base       1.20   1.20       v_pow                 0.85   1.75
 *     v_expm1_less     1.60   1.60 */
#ifndef LOSSFN_SIMD_MATH_H
#define LOSSFN_SIMD_MATH_H

#include "vec.h"

#ifdef LOSSFN_REAL_F32
#define LN2             0x1.62e43p-1 /* rounded, and the rest */
#define LN2_REST        -0x1.05c61p-29
#define LN2_SHORT       0x1.62e4p-1 /* k * LN2_SHORT is exact for every exponent k */
#define LN2_SHORT_REST  0x1.7f7d1cp-20
#define SHORT_BITS      16
#define LOG2_E          0x1.715476p0
#define TWO_THIRDS      0x1.555556p-1
#define TWO_THIRDS_REST -0x1.555556p-26
#define EXP_UNDERFLOW   -104.0
#define EXP_OVERFLOW    89.0
#define EXPM1_SATURATED -20.0
#define SMALLEST_NORMAL 0x1p-126
#define NEGLIGIBLE      0x1p-60 /* its square is lost beside it */
#else
#define LN2             0x1.62e42fefa39efp-1
#define LN2_REST        0x1.abc9e3b39803fp-56
#define LN2_SHORT       0x1.62e42fefa38p-1
#define LN2_SHORT_REST  0x1.ef35793c7673p-45
#define SHORT_BITS      42
#define LOG2_E          0x1.71547652b82fep0
#define TWO_THIRDS      0x1.5555555555555p-1
#define TWO_THIRDS_REST 0x1.5555555555555p-55
#define EXP_UNDERFLOW   -746.0
#define EXP_OVERFLOW    710.0
#define EXPM1_SATURATED -40.0
#define SMALLEST_NORMAL 0x1p-1022
#define NEGLIGIBLE      0x1p-120
#endif

/* a + b rounded, and its error in *rest; |a| >= |b| or a = 0. */
INLINE V fast_two_sum(V a, V b, V *rest) {
    V sum = a + b;
    *rest = (a - sum) + b;
    return sum;
}

INLINE V two_sum(V a, V b, V *rest) { /* in any order */
    V sum = a + b, b_part = sum - a;
    *rest = (a - (sum - b_part)) + (b - b_part);
    return sum;
}

/* NaN stays. */
INLINE V at_least(V x, double low) { return v_greater(v_set(low), x); }
INLINE V at_most(V x, double high) { return v_lesser(v_set(high), x); }

INLINE V power_of_two(V n) { /* n integral, 2^n normal */
    return (V)((U)(v_to_i(n) + EXPONENT_BIAS) << MANTISSA_BITS);
}

/* ---- exponential ---- */

/* p with e^r = 1 + r + r^2/2 + r^3 p, |r| <= ln(2)/2 */
INLINE V exp_polynomial(V r) {
#ifdef LOSSFN_REAL_F32
    V p = v_set(0x1.9e0796p-13);
    p = v_fma(p, r, v_set(0x1.6d4372p-10));
    p = v_fma(p, r, v_set(0x1.111308p-7));
    p = v_fma(p, r, v_set(0x1.5554fp-5));
    return v_fma(p, r, v_set(0x1.555554p-3));
#else
    V p = v_set(0x1.1f1041ec64f7bp-29);
    p = v_fma(p, r, v_set(0x1.af5f2baf230adp-26));
    p = v_fma(p, r, v_set(0x1.27e5197d81067p-22));
    p = v_fma(p, r, v_set(0x1.71ddf80fc3466p-19));
    p = v_fma(p, r, v_set(0x1.a01a018b459a1p-16));
    p = v_fma(p, r, v_set(0x1.a01a01b00361cp-13));
    p = v_fma(p, r, v_set(0x1.6c16c16c1b324p-10));
    p = v_fma(p, r, v_set(0x1.111111110f655p-7));
    p = v_fma(p, r, v_set(0x1.555555555554cp-5));
    return v_fma(p, r, v_set(0x1.5555555555559p-3));
#endif
}

/* e^(x + x_rest) = 2^n (1 + r + tail), |tail| < 0.07; x clamped, |x_rest| <= ulp(x). */
INLINE V exp_parts(V x, V x_rest, V *r, V *tail) {
    V n = v_round(x * v_set(LOG2_E));
    V exact = v_fma(n, v_set(-LN2), x);
    V rest;
    *r = fast_two_sum(exact, v_fma(n, v_set(-LN2_REST), x_rest), &rest);
    V half = *r * v_set(0.5), cube = *r * *r * *r;
    *tail = v_fma(half, *r, v_fma(cube, exp_polynomial(*r), rest));
    return n;
}

/* 2^n (1 + r + tail) with one rounding that matters; *left is what it left out. */
INLINE V exp_whole(V n, V r, V tail, V *left) {
    V rest, sum = fast_two_sum(v_set(1), r, &rest);
    sum = fast_two_sum(sum, rest + tail, left);
    *left = v_ldexp(*left, n);
    return v_ldexp(sum, n);
}

/* e^(sign r) - 1, |r| <= ln(2)/2; sign is 1 or -1. Even and odd powers apart: two short chains instead of a long one.
 */
INLINE V expm1_reduced(V r, double sign) {
    V square = r * r;
#ifdef LOSSFN_REAL_F32
    V even = v_fma(v_set(0x1.6a58fcp-10), square, v_set(0x1.5558a6p-5));
    even = v_fma(even, square, v_set(0x1.fffffcp-2));
    V odd = v_fma(v_set(sign * 0x1.123bd8p-7), square, v_set(sign * 0x1.55548ep-3));
#else
    V even = v_fma(v_set(0x1.28adfad7fb564p-22), square, v_set(0x1.a01999638958bp-16));
    even = v_fma(even, square, v_set(0x1.6c16c18474a5cp-10));
    even = v_fma(even, square, v_set(0x1.55555555506c7p-5));
    even = v_fma(even, square, v_set(0x1.000000000000ap-1));
    V odd = v_fma(v_set(sign * 0x1.adae1f756381cp-26), square, v_set(sign * 0x1.71df0652b835ap-19));
    odd = v_fma(odd, square, v_set(sign * 0x1.a01a01391fab4p-13));
    odd = v_fma(odd, square, v_set(sign * 0x1.1111111124c7dp-7));
    odd = v_fma(odd, square, v_set(sign * 0x1.5555555555507p-3));
#endif
    return v_fma(v_fma(odd, r, even), square, sign > 0 ? r : -r);
}
INLINE V exp_reduced(V r, double sign) { return v_set(1) + expm1_reduced(r, sign); }

/* e^x */
INLINE V v_exp(V x) {
    x = at_most(at_least(x, EXP_UNDERFLOW), EXP_OVERFLOW);
    V n = v_round(x * v_set(LOG2_E));
    return v_ldexp(exp_reduced(v_fma(n, v_set(-LN2_REST), v_fma(n, v_set(-LN2), x)), 1), n);
}

/* e^x as v_exp has it, and *rest, what it left out */
INLINE V exp_two_parts(V x, V *rest) {
    x = at_most(at_least(x, EXP_UNDERFLOW), EXP_OVERFLOW);
    V n = v_round(x * v_set(LOG2_E));
    V less = expm1_reduced(v_fma(n, v_set(-LN2_REST), v_fma(n, v_set(-LN2), x)), 1);
    V e = fast_two_sum(v_set(1), less, rest);
    *rest = v_ldexp(*rest, n);
    return v_ldexp(e, n);
}

/* e^(x + rest), |rest| <= ulp(x) */
INLINE V v_exp_parts(V x, V rest) {
    rest = v_select((x > v_set(EXP_UNDERFLOW)) & (x < v_set(EXP_OVERFLOW)), rest, v_set(0));
    x = at_most(at_least(x, EXP_UNDERFLOW), EXP_OVERFLOW);
    V n = v_round(x * v_set(LOG2_E));
    return v_ldexp(exp_reduced(v_fma(n, v_set(-LN2_REST), v_fma(n, v_set(-LN2), x)) + rest, 1), n);
}
/* e^-(a + rest), a >= 0, |rest| <= ulp(a) */
INLINE V v_exp_minus_parts(V a, V rest) {
    rest = v_select(a < v_set(-EXP_UNDERFLOW), rest, v_set(0));
    a = at_most(a, -EXP_UNDERFLOW);
    V n = v_round(a * v_set(-LOG2_E));
    return v_ldexp_down(exp_reduced(v_fma(n, v_set(LN2_REST), v_fma(n, v_set(LN2), a)) + rest, -1), n);
}
/* e^-a, a >= 0 */
INLINE V v_exp_minus(V a) {
    a = at_most(a, -EXP_UNDERFLOW);
    V n = v_round(a * v_set(-LOG2_E));
    return v_ldexp_down(exp_reduced(v_fma(n, v_set(LN2_REST), v_fma(n, v_set(LN2), a)), -1), n);
}

/* ---- exponentials of a row, none much larger than 1 ----
 * e^x / 2^n for every x of a row, with the integer n nearest to the row's largest x in powers of two: so x need not be
 * reduced by the largest, which would round, and each result is as good as a single e^x. Only where the largest is so
 * far from 0 that differences to it are exact wherever they matter is it subtracted first. */
typedef struct {
    V from, lowest;
    V magic; /* an integer added to it is rounded, its last bits are the biased exponent and the step of the table */
} below_t;

/* FAR is more than twice -ln of the smallest subnormal. e^x is first made 2^HEAD times smaller, so that its exponent is
 * never that of a subnormal. At 2^-LOWEST the power of two is 0: the product is, too, without underflow. A table has
 * BITS of the fraction of x in powers of two. */
#ifdef LOSSFN_REAL_F32
#define BELOW_FAR    256.0
#define BELOW_MAGIC  0x1.8p23
#define BELOW_HEAD   30
#define BELOW_LOWEST 157
#define BELOW_BITS   3
#else
#define BELOW_FAR    2048.0
#define BELOW_MAGIC  0x1.8p52
#define BELOW_HEAD   60
#define BELOW_LOWEST 1083
#define BELOW_BITS   0
#endif
#define BELOW_STEPS (1 << BELOW_BITS)

/* What a row needs: `top` is its largest x. NaN where top is infinite and x is that, too. */
INLINE below_t v_below(V top) {
    const M far = v_abs(top) > v_set(BELOW_FAR);
    const V n = v_round(v_select(far, v_set(0), top) * v_set(LOG2_E));
    below_t b;
    b.from = v_select(far, top, v_set(0));
    b.lowest = (n - v_set(BELOW_LOWEST)) * v_set(LN2);
    b.magic = v_set(BELOW_MAGIC + BELOW_STEPS * (BELOW_HEAD + EXPONENT_BIAS)) - n * v_set(BELOW_STEPS);
    return b;
}

/* For results 2^lift times as large, of those x whose result is finite. */
INLINE below_t below_lifted(const below_t *b, int lift) {
    const V down = v_set(lift * LN2);
    return (below_t){b->from, b->lowest - down, b->magic + v_set((double)BELOW_STEPS * lift)};
}

#ifdef LOSSFN_REAL_F32
/* 2^(i/8 - BELOW_HEAD) for the last bits i of an integer */
INLINE V below_power(I i) {
    return v_lookup8(i, 0x1p-30f, 0x1.172b84p-30f, 0x1.306fep-30f, 0x1.4bfdaep-30f, 0x1.6a09e6p-30f, 0x1.8ace54p-30f,
                     0x1.ae89fap-30f, 0x1.d5818ep-30f);
}
#endif

INLINE V v_exp_below(const below_t *b, V x) {
    const V held = v_greater(b->lowest, x - b->from); /* NaN stays */
    const V sum = v_fma(held, v_set(LOG2_E * BELOW_STEPS), b->magic), n = sum - b->magic;
    const V exact = v_fma(n, v_set(-LN2 / BELOW_STEPS), held), r = v_fma(n, v_set(-LN2_REST / BELOW_STEPS), exact);
    const V power = (V)(((U)sum & ~(U)i_set(BELOW_STEPS - 1)) << (MANTISSA_BITS - BELOW_BITS));
#ifdef LOSSFN_REAL_F32
    const V curve = v_fma(r, v_set(0x1.555656p-3), v_set(0x1.000876p-1)), head = below_power((I)sum);
#else
    const V curve = v_fma(exp_polynomial(r), r, v_set(0.5)), head = v_set(0x1p-60);
#endif
    return v_fma(head, v_fma(curve, r * r, r), head) * power;
}

/* The same for the largest x itself, with what rounding took away. */
INLINE V v_exp_top(V top, V *rest) {
    V r, tail;
    exp_parts(v_select(v_abs(top) > v_set(BELOW_FAR), v_set(0), top), v_set(0), &r, &tail);
    return exp_whole(v_set(0), r, tail, rest);
}

/* (e^x - 1) / 2 as the return value and *rest, for x >= EXPM1_SATURATED; halved so that 2^n is finite. */
INLINE V half_expm1(V x, V *rest) {
    V r, tail, n = exp_parts(x, v_set(0), &r, &tail);
    V scale = power_of_two(n - 1), offset_rest, offset = two_sum(scale, v_set(-0.5), &offset_rest);
    V sum = v_fma(scale, r, offset); /* |offset| >= |scale r| unless offset = 0 */
    V sum_rest = v_fma(scale, r, offset - sum) + offset_rest;
    return fast_two_sum(sum, v_fma(scale, tail, sum_rest), rest);
}

/* e^x - 1 */
INLINE V v_expm1(V x) {
    V rest, half = half_expm1(at_most(at_least(x, EXPM1_SATURATED), EXP_OVERFLOW), &rest);
    return v_select(v_abs(x) < v_set(NEGLIGIBLE), x, half + half);
}

/* e^x - 1 - x: its series, with x^2/2 in two parts; where it cancels less, from e^x - 1 in two parts */
INLINE V v_expm1_less(V x) {
    static const double c[] = {
#ifndef LOSSFN_REAL_F32
        8.22063524662433e-18,  1.5619206968586225e-16, 2.8114572543455206e-15, 4.779477332387385e-14,
        7.647163731819816e-13, 1.1470745597729725e-11, 1.6059043836821613e-10,
#endif
        2.08767569878681e-09,  2.505210838544172e-08,  2.755731922398589e-07,  2.7557319223985893e-06,
        2.48015873015873e-05,  0.0001984126984126984,  0.001388888888888889,   0.008333333333333333,
        0.041666666666666664,  0.16666666666666666};
    V sum = v_set(c[0]);
    for (size_t k = 1; k < sizeof c / sizeof *c; k++) sum = v_fma(sum, x, v_set(c[k]));
    const V square = x * x, square_rest = v_fma(x, x, v_neg(square));
    const V near = square * v_set(0.5) + v_fma(sum, square * x, square_rest * v_set(0.5));
    V rest, half = half_expm1(at_most(at_least(x, EXPM1_SATURATED), EXP_OVERFLOW), &rest); /* as v_expm1 */
    half = v_fma(v_set(-0.5), at_most(x, EXP_OVERFLOW), half) + rest;
    const V far = half + half;
    return v_select(v_abs(x) < v_set(1), near, far);
}

/* ---- logarithm ---- */

/* log(1 + f) - f, -1/4 <= f <= 1/2 */
INLINE V log_tail(V f) {
    V half = f * v_set(0.5);
#ifdef LOSSFN_REAL_F32
    V p = v_set(0x1.2f91fcp-5);
    p = v_fma(p, f, v_set(-0x1.726228p-4));
    p = v_fma(p, f, v_set(0x1.de73bp-4));
    p = v_fma(p, f, v_set(-0x1.04c94p-3));
    p = v_fma(p, f, v_set(0x1.246efep-3));
    p = v_fma(p, f, v_set(-0x1.551964p-3));
    p = v_fma(p, f, v_set(0x1.99971p-3));
    p = v_fma(p, f, v_set(-0x1.00006ep-2));
    p = v_fma(p, f, v_set(0x1.55555ap-2));
    return v_fma(v_neg(half), f, f * f * (f * p));
#else /* log(1 + f) = 2 atanh(s) = f - s (f - s^2 p(s^2)) = f - f^2/2 + s (f^2/2 + s^2 p) */
    V s = f / (f + v_set(2)), z = s * s;
    V p = v_set(0x1.1b69eb8c6700bp-3);
    p = v_fma(p, z, v_set(0x1.0dcf000fbfb56p-3));
    p = v_fma(p, z, v_set(0x1.3b358e8eaedd5p-3));
    p = v_fma(p, z, v_set(0x1.745c4c5073194p-3));
    p = v_fma(p, z, v_set(0x1.c71c748a127e6p-3));
    p = v_fma(p, z, v_set(0x1.24924921e9b4fp-2));
    p = v_fma(p, z, v_set(0x1.999999999c13cp-2));
    p = v_fma(p, z, v_set(0x1.555555555554fp-1));
    return v_fma(v_neg(half), f, s * v_fma(half, f, z * p));
#endif
}

/* x = 2^k (1 + f), least <= 1 + f < 2 least, for normal x > 0 and 1/2 < least < 1. Returns k + k_offset. */
INLINE V log_parts(V x, double least, V k_offset, V *f) {
    const U mantissa = ((U)i_set(1) << MANTISSA_BITS) - 1, lowest = (U)v_set(least);
    U bits = (U)x + ((U)v_set(1) - lowest);
    *f = (V)((bits & mantissa) + lowest) - v_set(1);
    return v_from_i((I)(bits >> MANTISSA_BITS)) + (k_offset - v_set(EXPONENT_BIAS));
}

/* The same for any positive x; returns k. */
INLINE V log_parts_any(V x, double least, V *f) {
    M subnormal = x < v_set(SMALLEST_NORMAL);
    V scaled = v_select(subnormal, x * v_set((double)(1ll << MANTISSA_BITS)), x);
    return log_parts(scaled, least, v_select(subnormal, v_set(-MANTISSA_BITS), v_set(0)), f);
}

/* x = 2^k (1 + f), 3/4 <= 1 + f < 3/2, for any positive x; returns k. */
INLINE V log_split(V x, V *f) {
#ifdef LOSSFN_ISA_AVX512
    V m = ISA_OP(mantissa)(x);
    *f = m - v_set(1);
    return ISA_OP(exponent)(x) - ISA_OP(exponent)(m);
#else
    return log_parts_any(x, 0.75, f);
#endif
}

/* x 2^n / s^power for s > 0 finite, also where the power is out of range and the quotient is not. */
INLINE V v_over(V x, V n, V s, int power) {
    const double most = 2 * EXPONENT_BIAS - 2;
    V f, k = log_split(s, &f);
    for (int i = 0; i < power; i++) x /= v_set(1) + f;
    n -= v_set(power) * k;
    const M low = n < v_set(-most); /* a large x needs a few powers more until nothing is left */
    return v_ldexp_any(v_select(low, x * v_set(0x1p-64), x),
                       at_most(at_least(v_select(low, n + v_set(64), n), -most), most));
}
/* e^(x + rest) / s^power, the same */
INLINE V v_exp_over(V x, V rest, V s, int power) {
    const double far = -4.5 * EXP_UNDERFLOW;
    rest = v_select(v_abs(x) < v_set(far), rest, v_set(0));
    x = at_most(at_least(x, -far), far);
    const V n = v_round(x * v_set(LOG2_E));
    return v_over(exp_reduced(v_fma(n, v_set(-LN2_REST), v_fma(n, v_set(-LN2), x)) + rest, 1), n, s, power);
}

/* k (step + step_rest) + f + tail with one rounding that matters; k step is exact and 0 or not less than f. */
INLINE V log_whole(V k, V step, V step_rest, V f, V tail) {
    V sum = v_fma(k, step, f);
    V rest = v_fma(k, step, v_neg(sum)) + f;
    return sum + (rest + v_fma(k, step_rest, tail));
}

/* y where 0 < x < inf, else log's limit towards a logarithm whose sign is that of up: inf at inf, -inf at 0,
 * NaN. */
INLINE V log_limits(V x, V y, V up) {
    V limit = v_select(x == v_set(0), v_neg(up), v_set(NAN));
    limit = v_select(x == v_set(INFINITY), up, limit);
    return v_select((x > v_set(0)) & (x < v_set(INFINITY)), y, limit);
}

/* log(2^k (1 + f)), natural, where x = 2^k (1 + f) is positive and finite, else the limit. */
INLINE V log_natural(V x, V k, V f) {
    V y = log_whole(k, v_set(LN2_SHORT), v_set(LN2_SHORT_REST), f, log_tail(f));
#ifdef LOSSFN_ISA_AVX512
    return ISA_OP(log_limits)(x, y);
#else
    return log_limits(x, y, v_set(INFINITY));
#endif
}

/* log x, natural */
INLINE V v_log(V x) {
    V f, k = log_split(x, &f);
    return log_natural(x, k, f);
}

/* The split of x where `straight`, of 1 - x elsewhere, 0 <= x <= 1; there x may be so small that 1 - x is 1. */
INLINE V log_split_either(M straight, V x, V *side, V *f) {
    V one = v_set(1), k;
    *side = v_select(straight, x, one - x);
    k = log_split(*side, f);
    V scale = power_of_two(v_select(straight, v_set(0), v_neg(k)));
    *f = v_select(straight, *f, v_fma(v_neg(x), scale, scale - one)); /* exact wherever it matters */
    return k;
}

/* log(1 + x). 1 + x = 2^k (1 + f) has f = 2^-k x + (2^-k - 1), exact wherever it matters. */
INLINE V v_log1p(V x) {
    V sum = x + v_set(1), f;
    V k = log_parts(sum, 0.75, v_set(0), &f);
    V scale = power_of_two(v_set(2) - k), quarter = v_set(0.25); /* 2^-k might be subnormal, four times that is not */
    f = v_fma(scale, x * quarter, v_fma(scale, quarter, v_set(-1)));
    return v_select(v_abs(x) < v_set(NEGLIGIBLE), x, log_natural(sum, k, f));
}

/* log(1 + x + rest), x > -1, rest what the rounding of x took away. */
INLINE V v_log1p_parts(V x, V rest) {
    V sum = x + v_set(1), f;
    V k = log_parts(sum, 0.75, v_set(0), &f);
    V scale = power_of_two(v_set(2) - k), quarter = v_set(0.25);
    f = v_fma(scale, x * quarter, v_fma(scale, quarter, v_set(-1)));
    V tail =
        v_fma(scale * (rest * quarter), v_fma(f, f - v_set(1), v_set(1)), log_tail(f)); /* rest / (1 + f), nearly */
    V y = log_limits(sum, log_whole(k, v_set(LN2_SHORT), v_set(LN2_SHORT_REST), f, tail), v_set(INFINITY));
    return v_select(v_abs(x) < v_set(NEGLIGIBLE), x, y);
}

/* log(1 + e), 0 <= e <= 1: no exponent to split off */
INLINE V v_log1p_unit(V e) {
#ifdef LOSSFN_REAL_F32
    V t = e - v_set(0.5), square = t * t; /* around the middle, where terms do not cancel; even and odd apart */
    V even = v_fma(v_set(-0x1.a9a734p-9), square, v_set(-0x1.4e66aep-7));
    even = v_fma(even, square, v_set(-0x1.d984eep-6));
    even = v_fma(even, square, v_set(-0x1.7de0e8p-4));
    even = v_fma(even, square, v_set(-0x1.833704p-2));
    V odd = v_fma(v_set(0x1.c4a75ap-8), square, v_set(0x1.11058cp-6));
    odd = v_fma(odd, square, v_set(0x1.a2847p-5));
    odd = v_fma(odd, square, v_set(0x1.6f0d76p-3));
    return v_fma(e * v_fma(odd, t, even), e, e);
#else /* as in log_tail: e - e^2/2 + s (e^2/2 + s^2 p(s^2)) */
    V s = e / (e + v_set(2)), z = s * s, half = e * v_set(0.5);
    V p = v_set(0x1.4f99ad6bcfd03p-3);
    p = v_fma(p, z, v_set(0x1.208e6887df56cp-4));
    p = v_fma(p, z, v_set(0x1.c0e003de08c0ep-4));
    p = v_fma(p, z, v_set(0x1.dff8bba5c03b4p-4));
    p = v_fma(p, z, v_set(0x1.11223691b07ecp-3));
    p = v_fma(p, z, v_set(0x1.3b12e6aa99f36p-3));
    p = v_fma(p, z, v_set(0x1.745d1d5632d2fp-3));
    p = v_fma(p, z, v_set(0x1.c71c71aa3d04cp-3));
    p = v_fma(p, z, v_set(0x1.24924924b97f0p-2));
    p = v_fma(p, z, v_set(0x1.9999999999665p-2));
    p = v_fma(p, z, v_set(0x1.5555555555556p-1));
    return e + v_fma(v_neg(half), e, s * v_fma(half, e, z * p));
#endif
}

/* ---- logarithm to any base ---- */

/* log_b(2^k (1 + f)) = k log_b(2) + log(1 + f) / ln(b); each constant in two parts */
typedef struct {
    REAL step, step_rest;   /* log_b(2), short enough that k * step is exact */
    REAL scale, scale_rest; /* 1 / ln(b) */
} base_t;

typedef struct {
    double high, low;
} double_double;

INLINE double_double dd_sum(double_double a, double_double b) {
    double high = a.high + b.high, v = high - a.high;
    double low = (a.high - (high - v)) + (b.high - v) + (a.low + b.low);
    return (double_double){high + low, (high - (high + low)) + low};
}
INLINE double_double dd_product(double_double a, double_double b) {
    double high = a.high * b.high;
    double low = fma(a.high, b.high, -high) + (a.high * b.low + a.low * b.high);
    return (double_double){high + low, (high - (high + low)) + low};
}
INLINE double_double dd_quotient(double_double a, double_double b) {
    double q = a.high / b.high;
    double_double back = dd_product((double_double){-q, 0}, b), left = dd_sum(a, back);
    return dd_sum((double_double){q, 0}, (double_double){left.high / b.high, 0});
}
/* log2 x for finite x > 0, exact at powers of two: k + 2 atanh(s) / ln(2), s = (m - 1) / (m + 1), |s| <= 1/5 */
INLINE double_double dd_log2(double x) {
    int k;
    double m = frexp(x, &k);
    if (m < 0.75) m += m, k -= 1;
    double_double one = {1, 0}, s = dd_quotient((double_double){m - 1, 0}, dd_sum((double_double){m, 0}, one));
    double_double z = dd_product(s, s), series = {0, 0};
    for (int j = 47; j > 0; j -= 2) /* 0.04^24 < 2^-111 */
        series = dd_sum(dd_product(series, z), dd_quotient(one, (double_double){j, 0}));
    double_double two_log2_e = {0x1.71547652b82fep1, 0x1.777d0ffda0d24p-55};
    return dd_sum((double_double){k, 0}, dd_product(dd_product(s, series), two_log2_e));
}

/* For base > 0, base != 1; the double nearest e stands for e. */
static __attribute__((noinline, unused)) void base_init(base_t *b, double base) {
    double_double step = {0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56}, scale = {1, 0}; /* ln(2), 1 */
    if (base != 0x1.5bf0a8b145769p1) {
        step = dd_quotient((double_double){1, 0}, dd_log2(base));
        scale = dd_product(step, (double_double){0x1.71547652b82fep0, 0x1.777d0ffda0d24p-56});
    }
    uint64_t bits;
    memcpy(&bits, &step.high, sizeof bits);
    bits &= ~(uint64_t)0 << (53 - SHORT_BITS);
    double head;
    memcpy(&head, &bits, sizeof head);
    b->step = (REAL)head;
    b->step_rest = (REAL)((step.high - head) + step.low);
    b->scale = (REAL)scale.high;
    b->scale_rest = (REAL)((scale.high - (double)b->scale) + scale.low);
}

/* log_natural to base b. */
INLINE V log_based(V x, V k, V f, const base_t *b) {
    V scale = v_set(b->scale), step = v_set(b->step);
    V part = f * scale, tail = v_fma(f, scale, v_neg(part));
    tail = v_fma(log_tail(f), scale, v_fma(f, v_set(b->scale_rest), tail));
    return log_limits(x, log_whole(k, step, v_set(b->step_rest), part, tail), v_copysign(v_set(INFINITY), step));
}

/* log x to base b: exact at powers of two in base 2, v_log's bits in base e. */
INLINE V v_log_base(V x, const base_t *b) {
    V f, k = log_split(x, &f);
    return log_based(x, k, f, b);
}

/* ---- hyperbolic tangent ---- */

/* tanh x, from h = (e^(-2|x|) - 1) / 2: tanh |x| = -h / (1 + h) */
INLINE V v_tanh(V x) {
    V h_rest, h = half_expm1(at_least(v_abs(x) * v_set(-2), EXPM1_SATURATED), &h_rest);
    V below_rest, below = fast_two_sum(v_set(1), h, &below_rest);
    V inverse = v_set(1) / below, y = v_neg(h) * inverse;
    V left = v_fma(v_neg(y), below, v_neg(h)) - v_fma(y, below_rest + h_rest, h_rest); /* of -h - y (1 + h) */
    return v_copysign(v_fma(left, inverse, y), x);
}

/* ---- power ---- */

/* log x as the return value and *rest, for x > 0, to about 11 bits more than REAL has:
 * log(1 + f) = 2 s + 2/3 s^3 + s^5 p(s^2), s = f / (2 + f), the first two terms in two parts each */
INLINE V log_two_parts(V x, V *rest) {
    V f, k = log_parts_any(x, 0x1.6a09e6p-1, &f);
    V below_rest, below = fast_two_sum(v_set(2), f, &below_rest);
    V inverse = v_set(1) / below, s = f * inverse;
    V s_rest = v_fma(v_neg(s), below_rest, v_fma(v_neg(s), below, f)) * inverse;
    V z = s * s, z_rest = v_fma(s, s, v_neg(z)) + (s + s) * s_rest;
    V cube = z * s, cube_rest = v_fma(z, s, v_neg(cube)) + v_fma(z, s_rest, z_rest * s);
    V third = cube * v_set(TWO_THIRDS);
    V third_rest = v_fma(cube, v_set(TWO_THIRDS), v_neg(third)) +
                   v_fma(cube, v_set(TWO_THIRDS_REST), cube_rest * v_set(TWO_THIRDS));
#ifdef LOSSFN_REAL_F32
    V p = v_set(0x1.97db62p-3);
    p = v_fma(p, z, v_set(0x1.c5c0cap-3));
    p = v_fma(p, z, v_set(0x1.2494fep-2));
    p = v_fma(p, z, v_set(0x1.999996p-2));
#else
    V p = v_set(0x1.0173b791403f9p-3);
    p = v_fma(p, z, v_set(0x1.dad39cd568702p-4));
    p = v_fma(p, z, v_set(0x1.1139fd195b734p-3));
    p = v_fma(p, z, v_set(0x1.3b1299579b2cdp-3));
    p = v_fma(p, z, v_set(0x1.745d1bc19d987p-3));
    p = v_fma(p, z, v_set(0x1.c71c71bc7adbap-3));
    p = v_fma(p, z, v_set(0x1.2492492498d29p-2));
    p = v_fma(p, z, v_set(0x1.9999999999968p-2));
#endif
    V rest_2s, rest_3;
    V sum = fast_two_sum(fast_two_sum(k * v_set(LN2_SHORT), s + s, &rest_2s), third, &rest_3);
    V small = v_fma(cube * z, p, third_rest) + (s_rest + s_rest);
    return fast_two_sum(sum, (rest_2s + rest_3) + v_fma(k, v_set(LN2_SHORT_REST), small), rest);
}

/* x^y for x >= 0; NaN for x < 0. As in C: x^0 = 1^y = 1, even for NaN. -0 counts as 0. */
INLINE V v_pow(V x, V y) {
    V rest, log_x = log_limits(x, log_two_parts(x, &rest), v_set(INFINITY));
    V product = y * log_x, product_rest = v_fma(y, rest, v_fma(y, log_x, v_neg(product)));
    V bounded = at_most(at_least(product, EXP_UNDERFLOW), EXP_OVERFLOW);
    V r, tail, n = exp_parts(bounded, v_select(bounded == product, product_rest, v_set(0)), &r, &tail);
    M one = (x == v_set(1)) | (y == v_set(0));
    return v_select(one, v_set(1), exp_whole(n, r, tail, &(V){0}));
}

/* ---- single values, for set-up code, which runs in double ---- */

INLINE double s_exp(double x) { return (double)v_exp(v_set(x))[0]; }
INLINE double s_expm1(double x) { return (double)v_expm1(v_set(x))[0]; }
INLINE double s_log(double x) { return (double)v_log(v_set(x))[0]; }
INLINE double s_log1p(double x) { return (double)v_log1p(v_set(x))[0]; }
INLINE double s_tanh(double x) { return (double)v_tanh(v_set(x))[0]; }
INLINE double s_pow(double x, double y) { return (double)v_pow(v_set(x), v_set(y))[0]; }

#endif
