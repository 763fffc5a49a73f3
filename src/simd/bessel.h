/* The modified Bessel functions of order 0 and 1, as far as von Mises' distribution needs them. fit_bessel.py has the
 * forms; all is computed on vectors of double.
 *
 * Bounds in ulp, measured by tests/unit/simd/test_normal.c:
 *                                            f32    f64
 *     v_log_i0   ln I0(k) - k, k >= 0       0.51      1
 *     v_i1_rest  1 - I1(k)/I0(k), k >= 0    0.51      2 */
#ifndef LOSSFN_SIMD_BESSEL_H
#define LOSSFN_SIMD_BESSEL_H

#include "bessel_table.h"
#include "pair.h"

/* The piece of each lane, R, and k or 1/k */
#define BESSEL_PIECE(name, k, v) bessel_piece(name##_coefficient, name##_low, k, v)
INLINE D bessel_pick(const double of[BESSEL_PIECES], D k) {
    D x = d_set(of[0]);
    UNROLL for (int i = 1; i < BESSEL_PIECES; i++) x = d_select(k >= d_set(bessel_begin[i]), d_set(of[i]), x);
    return x;
}
INLINE pair bessel_piece(const double (*c)[BESSEL_PIECES], const double low[BESSEL_PIECES], D k, D v) {
    const D z = (v - bessel_pick(bessel_middle, k)) * bessel_pick(bessel_scale, k);
    D p = d_set(0);
    for (int i = BESSEL_DEGREE; i > 0; i--) p = d_fma(p, z, bessel_pick(c[i], k));
    pair sum = pair_quick_sum(bessel_pick(c[0], k), p * z);
    sum.lo += bessel_pick(low, k);
    return sum;
}
INLINE D d_log_i0(D k) {
    const D zero = d_set(0), one = d_set(1);
    const L far = k >= d_set(bessel_begin[3]);
    const D safe = d_select(far & (k < d_set(INFINITY)), k, one), v = one / safe;
    const pair R = BESSEL_PIECE(log_i0, k, d_select(far, v, k));
    const pair near = pair_product(R, pair_of(k, zero)), log = pair_log_of(safe);
    const pair constant = pair_of(d_set(0x1.d67f1c864beb5p-1), d_set(-0x1.65b5a1b7ff5dfp-55)); /* ln(2 pi)/2 */
    const pair whole = pair_sum(constant, pair_times(log, d_set(0.5)));
    const D beyond = -(whole.hi + (whole.lo - v * R.hi));
    D value = d_select(far, beyond, near.hi + zero); /* 0 has no sign */
    value = d_select(k == d_set(INFINITY), d_set(-INFINITY), value);
    return d_select(k >= zero, value, d_set(NAN));
}
INLINE D d_i1_rest(D k) {
    const D zero = d_set(0), one = d_set(1);
    const L far = k >= d_set(bessel_begin[3]);
    const pair v = pair_quotient(pair_of(one, zero), pair_of(d_select(far, k, one), zero));
    const pair R = BESSEL_PIECE(i1_rest, k, d_select(far, v.hi, k));
    D value = d_select(far, pair_product(v, R).hi, R.hi);
    value = d_select(k == d_set(INFINITY), zero, value);
    return d_select(k >= zero, value, d_set(NAN));
}
INLINE V v_log_i0(V x) {
    D y[DPARTS];
    v_widen(x, y);
    for (int i = 0; i < DPARTS; i++) y[i] = d_log_i0(y[i]);
    return v_narrow(y);
}
INLINE V v_i1_rest(V x) {
    D y[DPARTS];
    v_widen(x, y);
    for (int i = 0; i < DPARTS; i++) y[i] = d_i1_rest(y[i]);
    return v_narrow(y);
}

#endif
