/* SPDX-License-Identifier: MIT
 * What losses of several families make of a row of logits. */
#ifndef LOSSFN_LOSSES_SOFTMAX_ROW_H
#define LOSSFN_LOSSES_SOFTMAX_ROW_H

#include "losses/formula.h"

/* Z = ln sum exp x of a row, of which `plain` has the first digits: the largest x, in two parts, and ln(1 +
 * others/one), where `one` is its exponential, in two parts, and `others` the sum of all others. Where Z is nearly 0
 * these two cancel, so nothing is rounded before they meet. */
ALWAYS_INLINE V log_sum_exp(V plain, V top, V top_low, V one, V one_rest, V others) {
    D high[DPARTS], low[DPARTS], unit[DPARTS], unit_low[DPARTS], rest[DPARTS];
    v_widen(top, high), v_widen(top_low, low), v_widen(one, unit), v_widen(one_rest, unit_low);
    v_widen(others, rest);
    for (int d = 0; d < DPARTS; d++) {
        const pair quotient = pair_quotient(pair_of(rest[d], d_set(0)), pair_quick_sum(unit[d], unit_low[d]));
        const pair z = pair_sum(pair_quick_sum(high[d], low[d]), pair_log1p(quotient));
        high[d] = z.hi + z.lo;
    }
    return v_select(v_isfinite(plain), v_narrow(high), plain);
}

/* Some numbers and the sum of all but one of them: the largest stands apart, so that nothing cancels. */
typedef struct {
    V main, others;
    int64_t at;
} parted_t;
ALWAYS_INLINE parted_t part_sum(const whole_row_t *r, const REAL *x) {
    row_sum_t sum = row_sum();
    int64_t main;
    row_top_of(r, x, -1, &main, 1);
    EACH_VECTOR(r, i) row_add(&sum, r, i, v_where(m_not(row_is(i, main)), v_load(x + i)));
    return (parted_t){v_set(main < 0 ? 0 : (double)x[main]), row_total_v(&sum), main};
}
ALWAYS_INLINE V sum_without(const parted_t *s, V x, int64_t i) {
    return v_select(row_is(i, s->at), s->others, s->main + (s->others - x));
}

/* The softmax of a whole row: e^(x_c - y), y near the largest x, over their sum: see v_below. Logits that were made of
 * others may come with what rounding took from them, `low`. */
typedef struct {
    const REAL *x, *low; /* low NULL: nothing */
    below_t below;
    int64_t at;              /* the class of the largest x */
    V top, one, rest, total; /* the largest x; its exponential, that of all others, and of all */
    V top_low, one_rest;     /* what rounding took from two of them */
    V inverse, log_total;    /* 1 / total; -ln of the largest probability */
} softmax_t;
ALWAYS_INLINE V softmax_low(const softmax_t *q, int64_t i) { return q->low ? v_load(q->low + i) : v_zero(); }
/* The exponential of classes, those of the largest x the same. */
ALWAYS_INLINE V softmax_exp(const softmax_t *q, int64_t i) {
    const V e = v_exp_below(&q->below, v_load(q->x + i));
    return v_select(row_is(i, q->at), q->one, q->low ? v_fma(e, softmax_low(q, i), e) : e);
}
ALWAYS_INLINE softmax_t softmax_of(const whole_row_t *r, const REAL *x, const REAL *low) {
    softmax_t q = {.x = x, .low = low};
    V lost, one;
    row_sum_t rest = row_sum();
    q.top = v_set((double)row_top(r, x, -1, &q.at));
    q.top_low = v_set(low && q.at >= 0 ? (double)low[q.at] : 0);
    q.below = v_below(q.top);
    one = v_exp_top(q.top, &lost);
    q.one = v_fma(one, q.top_low, one);
    q.one_rest = v_fma(one, q.top_low, one - q.one) + lost;
    EACH_VECTOR(r, i) row_add(&rest, r, i, v_where(m_not(row_is(i, q.at)), softmax_exp(&q, i)));
    q.rest = row_total_v(&rest);
    q.total = q.one + q.rest;
    q.inverse = v_one() / q.total;
    q.log_total = v_log1p(q.rest / q.one);
    return q;
}
/* ln sum exp x. Where it is nearly 0 the exponentials as they are have too few digits for that. */
ALWAYS_INLINE V softmax_log_total(const whole_row_t *r, const softmax_t *q) {
    const V plain = q->top + (q->top_low + q->log_total);
    if (!(v_abs(plain)[0] < q->log_total[0] / 4))
        return log_sum_exp(plain, q->top, q->top_low, q->one, q->one_rest, q->rest);
    const D zero = d_set(0), top = d_set((double)q->top[0]), top_low = d_set((double)q->top_low[0]);
    row_fine_sum_t sum = row_fine_sum();
    EACH_VECTOR(r, i) {
        D x[DPARTS], low[DPARTS];
        pair e[DPARTS];
        v_widen(v_load(q->x + i), x), v_widen(softmax_low(q, i), low);
        for (int d = 0; d < DPARTS; d++) {
            const pair down = pair_sum_of(x[d], -top);
            const L felt = down.hi > d_set(-800);
            e[d] = pair_exp_of(pair_select(felt, pair_sum(down, pair_sum_of(low[d], -top_low)), pair_of(zero, zero)));
            e[d] = pair_select(felt, e[d], pair_of(zero, zero));
        }
        row_add_finely(&sum, i, v_where(m_andnot(row_holds(r, i), row_is(i, q->at)), v_one()), e);
    }
    const pair z = pair_sum(pair_quick_sum(top, top_low), pair_log1p(row_fine_total(&sum)));
    return v_set(z.hi[0] + z.lo[0]);
}
/* The probabilities of classes. */
ALWAYS_INLINE V softmax_at(const softmax_t *q, int64_t i) { return softmax_exp(q, i) * q->inverse; }
/* And what they lack to 1. */
ALWAYS_INLINE V softmax_lack(const softmax_t *q, int64_t i) {
    return v_select(row_is(i, q->at), q->rest, q->one + (q->rest - softmax_exp(q, i))) * q->inverse;
}

/* Probabilities that are to be divided by small numbers: 2^LIFT times as large where they are near subnormal and would
 * have lost digits before. */
#ifdef LOSSFN_REAL_F32
#define SOFTMAX_LIFT     64
#define SOFTMAX_UNIT     0x1p-64
#define SOFTMAX_VANISHES 0x1p-90
#else
#define SOFTMAX_LIFT     512
#define SOFTMAX_UNIT     0x1p-512
#define SOFTMAX_VANISHES 0x1p-600
#endif
ALWAYS_INLINE softmax_t softmax_lifted(const softmax_t *q) {
    softmax_t lifted = *q;
    lifted.below = below_lifted(&q->below, SOFTMAX_LIFT);
    return lifted;
}
/* Such a probability, in units of *unit: plain is softmax_at, and this times *unit. */
ALWAYS_INLINE V softmax_in_units(const softmax_t *lifted, V plain, int64_t i, V *unit) {
    const M vanishes = plain < v_set(SOFTMAX_VANISHES);
    *unit = v_select(vanishes, v_set(SOFTMAX_UNIT), v_one());
    return v_select(vanishes, softmax_at(lifted, i), plain);
}

#endif
