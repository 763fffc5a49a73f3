/* Arctangent, sine and cosine on V, for every argument; sine and cosine of multiples of pi.
 *
 * Bounds in ulp, measured by tests/unit/simd/test_trig.c:
 *                                            f32    f64
 *     v_atan                                0.85   0.75
 *     v_sin, v_cos, v_cospi                 0.85   0.85
 *     v_sinpi                                  1      1
 *
 * sin and cos of more than TRIG_FAR are reduced lane by lane, with as many bits of 2/pi as it takes; whoever expects
 * such arguments has a slow loss, but a right one. */
#ifndef LOSSFN_SIMD_TRIG_H
#define LOSSFN_SIMD_TRIG_H

#include "math.h"
#include "trig_table.h"

/* Below it the quotient by pi/2 has so few bits that quotient and remainder are exact enough. */
#ifdef LOSSFN_REAL_F32
#define TRIG_FAR 0x1p16
#define PI       0x1.921fb6p1 /* rounded, and the rest */
#define PI_REST  -0x1.777a5cp-24
#else
#define TRIG_FAR 0x1p30
#define PI       0x1.921fb54442d18p1
#define PI_REST  0x1.1a62633145c07p-53
#endif

/* ---- of parts ---- */

/* p with atan t = t + t^3 p(t^2), |t| <= tan(pi/8); z = t^2 */
INLINE V atan_polynomial(V z) {
#ifdef LOSSFN_REAL_F32
    V p = v_set(0x1.767e7ep-5);
    p = v_fma(p, z, v_set(-0x1.5764dap-4));
    p = v_fma(p, z, v_set(0x1.c39ec8p-4));
    p = v_fma(p, z, v_set(-0x1.247588p-3));
    p = v_fma(p, z, v_set(0x1.9998b2p-3));
    return v_fma(p, z, v_set(-0x1.555554p-2));
#else
    V p = v_set(0x1.efd3a49a017d2p-7);
    p = v_fma(p, z, v_set(-0x1.11aab92b084f9p-5));
    p = v_fma(p, z, v_set(0x1.70abcae706280p-5));
    p = v_fma(p, z, v_set(-0x1.ab6bf7423787ep-5));
    p = v_fma(p, z, v_set(0x1.e16f023c08c1ap-5));
    p = v_fma(p, z, v_set(-0x1.110c476a2aedap-4));
    p = v_fma(p, z, v_set(0x1.3b136adfef996p-4));
    p = v_fma(p, z, v_set(-0x1.745d148ef0d55p-4));
    p = v_fma(p, z, v_set(0x1.c71c71b5e70a6p-4));
    p = v_fma(p, z, v_set(-0x1.2492492471faep-3));
    p = v_fma(p, z, v_set(0x1.99999999995bcp-3));
    return v_fma(p, z, v_set(-0x1.5555555555554p-2));
#endif
}

/* atan(x + x_rest) for x >= 0, as base + atan t: t = x, (x - 1)/(x + 1) or -1/x, base = 0, pi/4 or pi/2 */
INLINE V atan_of_parts(V x, V x_rest) {
    const V zero = v_set(0), one = v_set(1);
    M low = x<v_set(0x1.a8p-2), high = x> v_set(0x1.35p1);
    V over_rest, under_rest, over = two_sum(x, v_set(-1), &over_rest), under = two_sum(x, one, &under_rest);
    over = v_select(low, x, v_select(high, v_set(-1), over));
    over_rest = v_select(low, x_rest, v_select(high, zero, over_rest + x_rest));
    under = v_select(low, one, v_select(high, x, under));
    under_rest = v_select(low, zero, v_select(high, x_rest, under_rest + x_rest));
    V t = over / under, rest = (v_fma(v_neg(t), under, over) + v_fma(v_neg(t), under_rest, over_rest)) / under;
    rest = v_select(x < v_set(0x1p60), rest, zero); /* lost beside pi/2 */
    V share = v_select(low, zero, v_select(high, v_set(0.5), v_set(0.25))), z = t * t, left;
    V sum = fast_two_sum(share * v_set(PI), t, &left);
    V tail = v_fma(t * z, atan_polynomial(z), v_fma(share, v_set(PI_REST), rest));
    return sum + (left + tail);
}
/* atan x */
INLINE V v_atan(V x) { return v_copysign(atan_of_parts(v_abs(x), v_set(0)), x); }

/* sin(x + x_rest) = x + *tail for |x| <= pi/4 */
INLINE V sin_reduced(V x, V x_rest, V *tail) {
    V z = x * x;
#ifdef LOSSFN_REAL_F32
    V p = v_set(0x1.7869fap-19);
    p = v_fma(p, z, v_set(-0x1.a04a80p-13));
    p = v_fma(p, z, v_set(0x1.111166p-7));
    p = v_fma(p, z, v_set(-0x1.555556p-3));
#else
    V p = v_set(0x1.5d93802d2cab7p-33);
    p = v_fma(p, z, v_set(-0x1.ae5e682fdbdbbp-26));
    p = v_fma(p, z, v_set(0x1.71de357aa3a41p-19));
    p = v_fma(p, z, v_set(-0x1.a01a019c15aeep-13));
    p = v_fma(p, z, v_set(0x1.111111110f8a4p-7));
    p = v_fma(p, z, v_set(-0x1.5555555555549p-3));
#endif
    *tail = v_fma(x * z, p, v_fma(v_set(-0.5) * z, x_rest, x_rest));
    return x + *tail;
}

/* cos(x + x_rest) = 1 - *less for |x| <= pi/4 */
INLINE V cos_reduced(V x, V x_rest, V *less) {
    V z = x * x, half = v_set(0.5) * z, rest;
#ifdef LOSSFN_REAL_F32
    V p = v_set(0x1.99eacep-16);
    p = v_fma(p, z, v_set(-0x1.6c0c2ep-10));
    p = v_fma(p, z, v_set(0x1.55554ap-5));
#else
    V p = v_set(-0x1.8fb148fea0756p-37);
    p = v_fma(p, z, v_set(0x1.1ee9f185bf96ap-29));
    p = v_fma(p, z, v_set(-0x1.27e4f81304f30p-22));
    p = v_fma(p, z, v_set(0x1.a01a019cbfc93p-16));
    p = v_fma(p, z, v_set(-0x1.6c16c16c15222p-10));
    p = v_fma(p, z, v_set(0x1.555555555554cp-5));
#endif
    V tail = v_fma(z * z, v_neg(p), v_fma(x, x_rest, v_set(0.5) * v_fma(x, x, v_neg(z))));
    V sum = fast_two_sum(v_set(1), v_neg(half), &rest);
    *less = half + tail;
    return sum + (rest - tail);
}

/* ---- reduction by pi/2: x = n pi/2 + r + rest, |r| <= pi/4 and a little ---- */

/* For one finite x >= 2^16: n modulo 4. x = m 2^e, and m times 192 bits of 2/pi 2^e, those of weight 2 and less. */
static __attribute__((noinline, unused)) int reduce_far(double x, double *r, double *rest) {
    int e;
    const uint64_t m = (uint64_t)ldexp(frexp(x, &e), 53);
    const int first = 190 + e - 53, shift = first % 32;
    uint32_t product[6];
    uint64_t carry = 0;
    for (int i = 5; i >= 0; i--) { /* m in two halves: 32 bits, then 21 */
        const uint32_t *w = two_over_pi + first / 32 + i;
        const uint64_t two = (uint64_t)w[0] << 32 | w[1], three = (uint64_t)w[1] << 32 | w[2];
        const uint64_t here = (two << shift) >> 32, after = i < 5 ? (three << shift) >> 32 : 0;
        const uint64_t low = here * (uint32_t)m, high = after * (m >> 32);
        const uint64_t sum = carry + (uint32_t)low + (uint32_t)high;
        product[i] = (uint32_t)sum;
        carry = (low >> 32) + (high >> 32) + (sum >> 32);
    }
    uint64_t f[3]; /* the fraction, two's complement: from -1/2 to 1/2 */
    for (int i = 0; i < 3; i++) f[i] = (uint64_t)product[2 * i] << 32 | product[2 * i + 1];
    const int negative = (int)(f[0] >> 61 & 1), n = ((int)(f[0] >> 62) + negative) & 3;
    for (int i = 0; i < 3; i++) f[i] = f[i] << 2 | (i < 2 ? f[i + 1] >> 62 : 0);
    if (negative)
        for (int i = 2, one = 1; i >= 0; i--) f[i] = ~f[i] + (uint64_t)one, one = one && f[i] == 0;
    int zeros = 0;
    for (; !(f[0] >> 63) && zeros < 128; zeros++) { /* none has more than some sixty */
        f[0] = f[0] << 1 | f[1] >> 63;
        f[1] = f[1] << 1 | f[2] >> 63;
        f[2] <<= 1;
    }
    const double head = ldexp((double)(f[0] >> 11), -53 - zeros);
    const double tail = ldexp((double)(f[0] << 53 >> 1 | f[1] >> 12), -116 - zeros);
    const double high = 0x1.921fb54442d18p0, low = 0x1.1a62633145c07p-54; /* pi/2 */
    const double y = head * high, y_rest = fma(head, high, -y) + (head * low + tail * high);
    *r = negative ? -y : y;
    *rest = negative ? -y_rest : y_rest;
    return n;
}

/* The same for whichever lanes are far; n is 0 to 3 there. */
static __attribute__((noinline, unused)) void reduce_far_lanes(const V *x, V *n, V *r, V *rest) {
    REAL lanes[4][LANES];
    v_store(lanes[0], *x), v_store(lanes[1], *n), v_store(lanes[2], *r), v_store(lanes[3], *rest);
    for (int i = 0; i < LANES; i++) {
        double high, low;
        if (!(lanes[0][i] >= (REAL)TRIG_FAR && lanes[0][i] < (REAL)INFINITY)) continue;
        lanes[1][i] = (REAL)reduce_far((double)lanes[0][i], &high, &low);
        lanes[2][i] = (REAL)high;
        lanes[3][i] = (REAL)((high - (double)lanes[2][i]) + low);
    }
    *n = v_load(lanes[1]), *r = v_load(lanes[2]), *rest = v_load(lanes[3]);
}

/* x >= 0. The first difference is exact; NaN for infinity. */
INLINE V reduce_half_pi(V x, V *r, V *rest) {
    V n = v_round(x * v_set(2 / PI)), lost;
    const V first = v_fma(n, v_set(-half_pi[0]), x), second = n * v_set(-half_pi[1]);
    *r = two_sum(first, second, &lost);
    lost = v_fma(n, v_set(-half_pi[2]), v_fma(n, v_set(-half_pi[1]), v_neg(second)) + lost);
    *r = fast_two_sum(*r, lost, rest);
    const M far = (x >= v_set(TRIG_FAR)) & (x < v_set(INFINITY));
    if (m_any(far)) reduce_far_lanes(&x, &n, r, rest);
    return n;
}

/* ---- sine and cosine ---- */

/* Of r + rest turned by n quarters; n integral, |n| at most what v_to_i takes. */
INLINE void sincos_turned(V n, V r, V rest, V *sine, V *cosine) {
    V tail, less;
    const V s = sin_reduced(r, rest, &tail), c = cos_reduced(r, rest, &less);
    const I quarter = v_to_i(n);
    const M swap = (quarter & 1) != 0;
    const U sign = (U)i_set(2); /* sine is negative in the last two quarters, cosine in the middle two */
    const int up = 8 * (int)sizeof(REAL) - 2;
    *sine = (V)((U)v_select(swap, c, s) ^ ((U)quarter & sign) << up);
    *cosine = (V)((U)v_select(swap, s, c) ^ ((U)(quarter + 1) & sign) << up);
}

/* sin x and cos x */
INLINE void v_sincos(V x, V *sine, V *cosine) {
    V r, rest, n = reduce_half_pi(v_abs(x), &r, &rest);
    const M finite = v_isfinite(x);
    sincos_turned(v_select(finite, n, v_set(0)), r, rest, sine, cosine);
    *sine = v_select(finite, (V)((M)*sine ^ ((M)x & v_sign_bit())), x - x);
    *cosine = v_select(finite, *cosine, x - x);
}
INLINE V v_sin(V x) {
    V sine, cosine;
    v_sincos(x, &sine, &cosine);
    return sine;
}
INLINE V v_cos(V x) {
    V sine, cosine;
    v_sincos(x, &sine, &cosine);
    return cosine;
}

/* sin(pi x) and cos(pi x): exact zeros, the sine's of the sign of x, the cosine's 0 */
INLINE void v_sincospi(V x, V *sine, V *cosine) {
    const M finite = v_isfinite(x);
    const V a = v_select(finite, v_abs(x), v_set(0)), b = v_fma(v_round(a * v_set(0.5)), v_set(-2), a);
    const V n = v_round(b + b), r = v_fma(n, v_set(-0.5), b), turn = r * v_set(PI);
    sincos_turned(n, turn, v_fma(r, v_set(PI_REST), v_fma(r, v_set(PI), v_neg(turn))), sine, cosine);
    *sine = v_select(*sine == v_set(0), v_set(0), *sine);
    *sine = v_select(finite, (V)((M)*sine ^ ((M)x & v_sign_bit())), x - x);
    *cosine = v_select(finite, *cosine + v_set(0), x - x);
}
INLINE V v_sinpi(V x) {
    V sine, cosine;
    v_sincospi(x, &sine, &cosine);
    return sine;
}
INLINE V v_cospi(V x) {
    V sine, cosine;
    v_sincospi(x, &sine, &cosine);
    return cosine;
}

#endif
