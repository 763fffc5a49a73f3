/* SPDX-License-Identifier: MIT
 * The angle between prediction and target of a row, for losses of several families. */
#ifndef LOSSFN_LOSSES_ANGLE_H
#define LOSSFN_LOSSES_ANGLE_H

#include "losses/formula.h"

/* The angle between two vectors, of which only directions count: each is first scaled by a power of two, so that no
 * square overflows or underflows. Then t - (x.t/x.x) x, what of t is not along x, has no error along itself; it is
 * small where the angle is, and the slope is as it is. All in double, sums in two parts. */
typedef struct {
    double squares[2], cosine, lengths[2]; /* of the scaled vectors: pred's and target's */
    double square_rests[2];                /* what rounding took from the squares */
    double shares[2], share_rests[2];      /* how much of the vector there is in the other one, in two parts */
    int exponents[2];
    double scales[2][2]; /* 2^-exponent as two factors, neither of which overflows or vanishes */
} angle_t;
ALWAYS_INLINE int scale_of(const whole_row_t *r, const REAL *x) {
    int64_t at;
    int exponent = 0;
    const double largest = fabs((double)row_top_of(r, x, -1, &at, 1));
    if (largest > 0) frexp(largest, &exponent);
    return exponent;
}
ALWAYS_INLINE void set_scale(angle_t *a, int j, int exponent) {
    const int half = -exponent / 2;
    a->exponents[j] = exponent;
    a->scales[j][0] = ldexp(1, half), a->scales[j][1] = ldexp(1, -exponent - half);
}
ALWAYS_INLINE D by_scale(const angle_t *a, int j, D x) { return x * d_set(a->scales[j][0]) * d_set(a->scales[j][1]); }
/* x / y; where the result is rounded to float, by the inverse of y. */
ALWAYS_INLINE D by_divisor(D x, double y) { return sizeof(REAL) < sizeof(double) ? x * d_set(1 / y) : x / d_set(y); }
/* Input j at i as DPARTS of double, scaled; 0 past the end. */
ALWAYS_INLINE void scaled(const whole_row_t *r, const angle_t *a, int j, int64_t i, D *wide) {
    v_widen(v_where(row_holds(r, i), v_load(r->in[j] + i)), wide);
    UNROLL for (int d = 0; d < DPARTS; d++) wide[d] = by_scale(a, j, wide[d]);
}
typedef struct {
    row_sum_t sum, rest;
} row_pair_t;
ALWAYS_INLINE void row_add_product(row_pair_t *to, int64_t i, const D *x, const D *y) {
    D *sums = &to->sum.lanes[i % ROW_LANES / DLANES], *rests = &to->rest.lanes[i % ROW_LANES / DLANES];
    UNROLL for (int d = 0; d < DPARTS; d++) {
        const pair product = exact_product(x[d], y[d]), sum = exact_sum(sums[d], product.hi);
        sums[d] = sum.hi;
        rests[d] += sum.lo + product.lo;
    }
}
/* The sum of the lanes, and what it lost. */
ALWAYS_INLINE double row_pair_total(const row_pair_t *from, double *rest) {
    double lanes[ROW_LANES], sum = 0, lost = row_total(&from->rest);
    UNROLL for (int k = 0; k < ROW_LANES / DLANES; k++) d_store(lanes + k * DLANES, from->sum.lanes[k]);
    for (int l = 0; l < ROW_LANES; l++) {
        const double next = sum + lanes[l], part = next - sum;
        lost += (sum - (next - part)) + (lanes[l] - part);
        sum = next;
    }
    *rest = (sum - (sum + lost)) + lost;
    return sum + lost;
}
ALWAYS_INLINE angle_t angle_of(whole_row_t *r) {
    angle_t a;
    row_pair_t dot = {row_sum(), row_sum()}, squares[2] = {dot, dot};
    EACH_VECTOR(r, i) {
        const V infinity = v_set(INFINITY);
        row_outside(r, i,
                    (v_abs(v_load(r->in[PRED] + i)) == infinity) | (v_abs(v_load(r->in[TARGET] + i)) == infinity));
    }
    for (int j = 0; j < 2; j++) set_scale(&a, j, r->outside < 0 ? scale_of(r, r->in[j]) : 0);
    EACH_VECTOR(r, i) {
        D x[2][DPARTS];
        for (int j = 0; j < 2; j++) {
            scaled(r, &a, j, i, x[j]);
            row_add_product(&squares[j], i, x[j], x[j]);
        }
        row_add_product(&dot, i, x[0], x[1]);
    }
    double dot_rest, along = row_pair_total(&dot, &dot_rest);
    for (int j = 0; j < 2; j++) {
        const double square = a.squares[j] = row_pair_total(&squares[j], &a.square_rests[j]);
        const double share = square > 0 ? along / square : 0;
        a.lengths[j] = sqrt(square);
        a.shares[j] = share;
        a.share_rests[j] =
            square > 0 ? (fma(-share, square, along) + fma(-share, a.square_rests[j], dot_rest)) / square : 0;
    }
    const double cosine = along / (a.lengths[0] * a.lengths[1]);
    a.cosine = a.lengths[0] == 0 || a.lengths[1] == 0 ? 0 : cosine > 1 ? 1 : cosine < -1 ? -1 : cosine;
    return a;
}
/* What of vector j is not along the other one, and at those places the other one; both scaled. */
ALWAYS_INLINE void not_along(const whole_row_t *r, const angle_t *a, int j, int64_t i, D *across, D *other) {
    const D share = d_set(-a->shares[!j]), rest = d_set(-a->share_rests[!j]);
    D own[DPARTS];
    scaled(r, a, j, i, own);
    scaled(r, a, !j, i, other);
    UNROLL for (int d = 0; d < DPARTS; d++) {
        across[d] = d_fma(rest, other[d], d_fma(share, other[d], own[d]));
        across[d] = d_select(d_abs(across[d]) < d_set(0x1p-100) * d_abs(own[d]), d_set(0), across[d]);
    }
}
/* The derivatives of -cosine, times a factor; none where a vector is 0. */
ALWAYS_INLINE void cosine_slopes(whole_row_t *r, const angle_t *a, double factor) {
    const double lengths = a->lengths[0] * a->lengths[1];
    const L none = d_set(factor * lengths) == d_set(0);
    for (int j = 0; j < 2; j++) { /* by pred it is target that counts, as far as it is not along pred */
        REAL *const hess = j == PRED ? r->hess : NULL;
        if (!r->grad[j] && !hess) continue;
        EACH_VECTOR(r, i) {
            D across[DPARTS], own[DPARTS], bend[DPARTS];
            not_along(r, a, !j, i, across, own);
            UNROLL for (int d = 0; d < DPARTS && hess; d++) {
                const D x = by_divisor(own[d], a->lengths[j]), y = by_divisor(across[d], a->lengths[!j]);
                const D others = d_fma(-own[d], own[d], d_set(a->squares[j])) + d_set(a->square_rests[j]);
                const D curve = d_fma(2 * x, y, d_set(a->cosine) * by_divisor(others, a->squares[j]));
                bend[d] = d_scale(by_divisor(curve, a->squares[j]), d_set(-2 * a->exponents[j]));
                bend[d] = d_select(none, d_set(0), d_set(factor) * bend[d]);
            }
            if (hess) row_put(hess, i, v_narrow(bend));
            UNROLL for (int d = 0; d < DPARTS; d++) {
                across[d] = by_scale(a, j, by_divisor(-across[d], lengths));
                across[d] = d_select(none, d_set(0), d_set(factor) * across[d]);
            }
            row_put(r->grad[j], i, v_narrow(across));
        }
    }
}
/* 1 - cosine */
ALWAYS_INLINE double cosine_distance_of(const whole_row_t *r, const angle_t *a) {
    row_pair_t square = {row_sum(), row_sum()};
    EACH_VECTOR(r, i) {
        D across[DPARTS], other[DPARTS];
        not_along(r, a, TARGET, i, across, other);
        row_add_product(&square, i, across, across);
    }
    double lost;
    const double sine = row_pair_total(&square, &lost) / a->squares[TARGET]; /* squared: (1 - cosine)(1 + cosine) */
    return a->cosine > 0 ? sine / (1 + a->cosine) : 1 - a->cosine;
}

#endif
