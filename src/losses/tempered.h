/* SPDX-License-Identifier: MIT
 * The bi-tempered logistic loss, whose softmax is the root of an equation. Part of softmax.h. */
#ifndef LOSSFN_LOSSES_TEMPERED_H
#define LOSSFN_LOSSES_TEMPERED_H

#include "losses/softmax_row.h"
#include "simd/deviance.h"

/* Exponential and logarithm of Tsallis' statistics in place of those of softmax and of cross entropy:
 *   exp_t(x) = (1 + (1 - t) x)^(1/(1 - t)),   log_t(x) = (x^(1 - t) - 1)/(1 - t)
 * With s = t2 - 1, P the p of the largest logit, and y_c how far a logit lies below that,
 *   p_c = P (1 + u_c)^(-1/s),   u_c = s k y_c,   k = P^s
 * so all comes from l = -ln P, the root of l = ln(sum of p_c/P), where nothing overflows or cancels: the sum is 1 + R,
 * 1 - P is R/(1 + R), and ln p_c is -(ln(1 + u_c)/s + l). The loss is made of power deviances D of p_c from t_c (see
 * deviance.h). With A the sum of a_c = w_c t_c, b = 1 - t1, m = t2 - t1, and q_c = p_c^t2 over the sum of these:
 *   value = sum of a_c (log_t1 t_c - log_t1 p_c - t_c^b/(1 + b)) + A p_c^(1 + b)/(1 + b)
 *         = sum of w_c D(p_c, t_c) + (A - w_c) p_c^(1 + b)/(1 + b)
 *   d/dz_d = e_d - q_d (sum of e_c),   e_c = p_c^m (A p_c - a_c)
 *   Hessian (1 - q 1') diag(h) (1 - 1 q'),   h_c = p_c^s (A p_c^(1 + m) + m e_c - t2 q_c (sum of e_c))
 * For labels, and targets that sum to 1 without class weights, it is the paper's; with a label it is w_c times that. */
enum { TEMPERED_T1 = 3, TEMPERED_S = 5 };
static void tempered_setup(const double *params, double *constants) {
    set_finely(params[3], constants + TEMPERED_T1);
    /* beyond, all probabilities are the same to the last digit */
    set_finely(params[4] - 1 < 0x1p100 ? params[4] - 1 : 0x1p100, constants + TEMPERED_S);
}
DEFINE(bi_tempered_logistic) = {
    LOSS(bi_tempered_logistic),
    .aliases = "bi_tempered",
    .family = "multiclass",
    .summary = "Cross entropy with a bounded logarithm and a softmax of heavy tails: bears noisy labels, on logits.",
    .formula =
        "sum over classes of class_weight target (log_t1(target) - log_t1(p) - target^(1 - t1)/(2 - t1)) + A p^(2 "
        "- t1)/(2 - t1);  A = sum of class_weight target,  p = exp_t2(pred - lambda) sums to 1",
    .latex = "\\sum_c w_c t_c \\left(\\log_{t_1} t_c - \\log_{t_1} p_c - \\frac{t_c^{1 - t_1}}{2 - t_1}\\right) + "
             "\\frac{\\sum_k w_k t_k}{2 - t_1} \\sum_c p_c^{2 - t_1}, \\quad p_c = \\exp_{t_2}(z_c - \\lambda)",
    .tasks = "multiclass",
    .see_also = "cross_entropy, generalized_cross_entropy, symmetric_cross_entropy",
    .look_alikes = "bi-tempered-loss (Google): bi_tempered_logistic_loss: the same, after five steps for lambda; its "
                   "label_smoothing e is e C/(C - 1) here",
    .source = "E. Amid, M. Warmuth, R. Anil, T. Koren, Robust bi-tempered logistic loss based on Bregman divergences, "
              "NeurIPS 2019",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 5,
    .inputs = {INPUT("pred", LOGITS, 1, "score of each class"),
               INPUT("target", LABEL, 1, "label, or distribution over the classes")},
    .params = {CLASS_PARAMS, PARAM_DOUBLE("t1", "0.8", 0, 0, 1, 0, "of the logarithm: below 1 the loss is bounded"),
               PARAM_DOUBLE("t2", "1.3", 1, 0, INFINITY, 1, "of the exponential: above 1 its tails are heavy")},
    .traits = LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE |
              LOSSFN_TRAIT_CALIBRATED,
    .hess_kinds = EXACT,
    .whole_rows = 1,
    .has_product = 1,
    .n_scratch = 6,
    .link = LOSSFN__LINK_NONE,
    /* In double: q, the powers of p and the sum of e, each with an error of 1 or 2 ulp, meet in a product. */
    .ulp_value = 12, /* of classes that are all alike, whose errors add up */
    .ulp_grad = 6,
    .ulp_hess = 8,
    .setup = tempered_setup,
};
/* Numbers of double and their sum, the largest apart. */
typedef struct {
    D main, others;
    int64_t at;
} wide_parted_t;
typedef struct {
    int64_t at;     /* the class of the largest logit */
    double quarter; /* of it: sums of quarters do not overflow */
    double s;
    int wide;         /* whether u may overflow */
    pair a, b, m, t2; /* 2 - t1, 1 - t1, t2 - t1, t2 */
    D power;          /* k is kept 2^power */
    pair kept, scale; /* and 4 s kept */
    pair log_scale;   /* and its logarithm */
    pair log_total;   /* l */
    D rest, bent;     /* R; the same of p^t2 */
    wide_parted_t mass;
    D whole; /* A */
    /* (ln P - ln p)/4 in two parts, 1/(1 + u), e, h and q of each class */
    REAL *downs, *lows, *shares, *slopes, *bends, *escorts;
} tempered_t;

/* A sum over classes as row_sum_t, of pairs. */
typedef struct {
    D high[ROW_LANES / DLANES], low[ROW_LANES / DLANES];
} row_pairs_t;
ALWAYS_INLINE void row_add_pair(row_pairs_t *sum, int64_t i, int d, L where, pair x) {
    const int64_t at = i % ROW_LANES / DLANES + d;
    const D zero = d_set(0);
    const pair s = pair_sum_of(sum->high[at], d_select(where, x.hi, zero));
    sum->high[at] = s.hi;
    sum->low[at] += s.lo + d_select(where, x.lo, zero);
}
ALWAYS_INLINE pair row_total_pair(const row_pairs_t *sum) {
    pair total = pair_of(d_set(0), d_set(0));
    for (int l = 0; l < ROW_LANES; l++) {
        const double high = sum->high[l / DLANES][l % DLANES], low = sum->low[l / DLANES][l % DLANES];
        total = pair_sum(total, pair_quick_sum(d_set(high), d_set(low)));
    }
    return total;
}
/* Which lanes of a vector of double are those of m. */
ALWAYS_INLINE void d_where(M m, L *lanes) {
    D wide[DPARTS];
    v_widen(v_where(m, v_one()), wide);
    UNROLL for (int d = 0; d < DPARTS; d++) lanes[d] = wide[d] != d_set(0);
}

/* (ln P - ln p)/4 of a logit, and 1/(1 + u) */
ALWAYS_INLINE pair tempered_down(const tempered_t *q, D z, D *share) {
    const D zero = d_set(0), one = d_set(1);
    const L gone = z == d_set(-INFINITY);
    pair y = pair_sum_of(d_set(q->quarter), -d_select(gone, d_set(q->quarter), z * 0.25));
    y = pair_of(d_scale(y.hi, q->power), d_scale(y.lo, q->power));
    const pair u = pair_product(q->scale, y);
    const L near = u.hi < d_set(0x1p-54), far = ~(u.hi < d_set(0x1p1000));
    pair log = pair_log1p(pair_of(d_select(near | far, zero, u.hi), d_select(near | far, zero, u.lo)));
    *share = d_select(far, zero, one / (one + d_select(far, zero, u.hi)));
    if (q->wide) {
        const pair whole = pair_log_of(d_select(far, y.hi, one));
        const pair sum = pair_sum(q->log_scale, pair_quick_sum(whole.hi, whole.lo + y.lo / d_select(far, y.hi, one)));
        log = pair_of(d_select(far, sum.hi, log.hi), d_select(far, sum.lo, log.lo));
        *share = d_select(far, one / y.hi / q->scale.hi, *share);
    }
    const pair down = pair_quotient(log, pair_of(d_set(4 * q->s), zero)), small = pair_product(q->kept, y);
    *share = d_select(gone, zero, *share);
    return pair_of(d_select(gone, d_set(INFINITY), d_select(near, small.hi, down.hi)),
                   d_select(gone, zero, d_select(near, d_fma(small.hi, u.hi * -0.5, small.lo), down.lo)));
}
ALWAYS_INLINE void tempered_keep(tempered_t *q) {
    const D zero = d_set(0), one = d_set(1), s = d_set(q->s);
    const pair power = pair_product(pair_of(-s, zero), q->log_total);
    pair e;
    const D n = pair_exp_finely(power, &e);
    const pair unit = pair_sum(pair_of(one, zero), e);
    q->power = n, q->kept = unit;
    q->scale = pair_product(pair_of(4 * s, zero), unit);
    q->log_scale = pair_sum(pair_log_of(d_select(s > zero, 4 * s, one)), pair_log1p(e));
}
/* A step of Newton's method to the root l, on the sum to the power -s, a concave function of (1/P)^s, which is
 * approached from below; apart: ln(1 + R) - l. */
ALWAYS_INLINE double tempered_step(double s, double apart, double slope) {
    const double rise = s * apart;
    if (rise > 40) return apart - pair_log_of(d_set(slope)).hi[0] / s;
    if (rise <= 0x1p-30) return apart / slope;
    const D grown = pair_expm1(pair_of(d_set(rise), d_set(0))).hi / slope;
    return pair_log1p(pair_of(grown, d_set(0))).hi[0] / s;
}
/* How far a step is from the last one: the error is squared by it. */
ALWAYS_INLINE double tempered_far(double s, double by, double slope) { return fabs(by) * (1 + s / slope); }
/* Steps as exact as REAL, from which tempered_solve goes on; 0 where that cannot be. */
ALWAYS_INLINE double tempered_guess(const whole_row_t *r, const tempered_t *q) {
    const V top = v_set(4 * q->quarter), one = v_one(), inverse = v_set(1 / q->s);
    double at = 0;
    if (!(q->s > 0x1p-10 && q->s < 0x1p6)) return 0;
    for (int step = 0; step < 20; step++) {
        row_sum_t rest = row_sum(), bent = row_sum();
        const V scale = v_set(q->s * d_exp(pair_of(d_set(-q->s * at), d_set(0)), d_set(0))[0]);
        EACH_VECTOR(r, i) {
            const V u = scale * (top - v_load(r->in[PRED] + i));
            const V e = v_where(m_not(row_is(i, q->at)), v_exp(-v_log1p(u) * inverse));
            row_add(&rest, r, i, e);
            row_add(&bent, r, i, e / (one + u));
        }
        const D total = d_set(row_total(&rest));
        const double slope = (1 + row_total(&bent)) / (1 + total[0]);
        const double by = tempered_step(q->s, pair_log1p(pair_of(total, d_set(0))).hi[0] - at, slope);
        at += by;
        if (!(tempered_far(q->s, by, slope) > (sizeof(REAL) == 4 ? 0x1p-8 : 0x1p-16))) break;
    }
    return at >= 0 && at < 100 ? at : 0;
}
/* The root. */
ALWAYS_INLINE void tempered_solve(const whole_row_t *r, tempered_t *q) {
    const D zero = d_set(0), one = d_set(1), most = d_set(INFINITY);
    q->log_total = pair_of(d_set(tempered_guess(r, q)), zero);
    for (int step = 0, last = q->s == 0; step < 100; step++) {
        row_pairs_t rest = {{{0}}, {{0}}};
        row_sum_t bent = row_sum();
        tempered_keep(q);
        EACH_VECTOR(r, i) {
            D z[DPARTS], low[DPARTS], back[DPARTS], share[DPARTS], power[DPARTS];
            L other[DPARTS];
            v_widen(v_load(r->in[PRED] + i), z);
            d_where(m_andnot(row_holds(r, i), row_is(i, q->at)), other);
            for (int d = 0; d < DPARTS; d++) {
                const pair down = tempered_down(q, z[d], &share[d]);
                pair e;
                const D n = pair_exp_finely(pair_times(down, d_set(-4)), &e);
                const pair unit = pair_sum(pair_of(one, zero), e);
                row_add_pair(&rest, i, d, other[d], pair_of(d_scale(unit.hi, n), d_scale(unit.lo, n)));
                power[d] = d_select(other[d], d_scale(unit.hi, n) * share[d], zero);
                z[d] = down.hi, low[d] = down.lo;
            }
            row_add_wide(&bent, i, power);
            const V whole = v_narrow(z);
            v_widen(whole, back);
            for (int d = 0; d < DPARTS; d++) low[d] = d_select(back[d] < most, (z[d] - back[d]) + low[d], zero);
            v_store(q->downs + i, whole), v_store(q->lows + i, v_narrow(low)), v_store(q->shares + i, v_narrow(share));
        }
        const pair total = row_total_pair(&rest), log = pair_log1p(total);
        q->rest = total.hi, q->bent = d_set(row_total(&bent));
        const double apart = pair_sum(log, pair_of(-q->log_total.hi, -q->log_total.lo)).hi[0];
        if (last) {
            q->log_total = log;
            return;
        }
        const double slope = ((one + q->bent) / (one + q->rest))[0], by = tempered_step(q->s, apart, slope);
        q->log_total = pair_sum(q->log_total, pair_of(d_set(by), zero));
        last = !(tempered_far(q->s, by, slope) > (sizeof(REAL) == 4 ? 0x1p-14 : 0x1p-30)) || step == 98;
    }
}

/* log_t of the number with logarithm x, t = 1 - b; at: x, where that is held */
ALWAYS_INLINE pair tempered_log(pair b, pair x, D at) {
    const D zero = d_set(0), size = d_abs(b.hi * x.hi);
    const pair part = deviance_part(b, x, size);
    const L end = (at < d_set(-0x1p900)) | (size > d_set(700));
    return pair_of(d_select(end, d_select(b.hi > zero, d_set(-1) / b.hi, at), part.hi), d_select(end, zero, part.lo));
}

/* Of a class: ln P - ln p and ln p, held where products with them could overflow, and ln p as it is. */
typedef struct {
    pair down, log;
    D at;
} tempered_class_t;
ALWAYS_INLINE void tempered_classes(const tempered_t *q, int64_t i, tempered_class_t *c) {
    const D zero = d_set(0), most = d_set(0x1p900);
    D down[DPARTS], low[DPARTS];
    v_widen(v_load(q->downs + i), down), v_widen(v_load(q->lows + i), low);
    for (int d = 0; d < DPARTS; d++) {
        const L held = ~(down[d] < most / 4);
        c[d].down = pair_quick_sum(d_select(held, most, down[d] * 4), d_select(held, zero, low[d] * 4));
        c[d].log = pair_sum(c[d].down, q->log_total);
        c[d].log = pair_of(-c[d].log.hi, -c[d].log.lo);
        c[d].at = d_select(held, down[d] * -4, c[d].log.hi);
    }
}

/* What a class adds to the value where its target counts; power: p^(1 + b)/(1 + b) */
ALWAYS_INLINE D tempered_value(const tempered_t *q, const tempered_class_t *p, D t, D w, D power) {
    const D zero = d_set(0), one = d_set(1), counted = w * t;
    const L none = t == zero;
    const pair log = pair_log_of(d_select(none, one, t));
    const deviance_place at = {.a = q->a,
                               .b = q->b,
                               .x = pair_sum(p->log, pair_of(-log.hi, -log.lo)),
                               .log_y = log,
                               .log_m = p->log,
                               .at = p->at,
                               .none = none,
                               .empty = p->at == d_set(-INFINITY),
                               .unbounded = one < zero};
    const D deviance = w * deviance_value(&at, DEVIANCE_BY_LOG), surplus = (q->whole - w) * power;
    const pair log_t = tempered_log(q->b, log, d_select(none, d_set(-INFINITY), log.hi)),
               log_p = tempered_log(q->b, p->log, p->at);
    const D unit = d_exp(pair_product(q->b, log), zero) / q->a.hi;
    const D straight = d_fma(counted, pair_sum(log_t, pair_of(-log_p.hi, -log_p.lo)).hi - unit, q->whole * power);
    const D size = d_fma(counted, d_abs(log_t.hi) + d_abs(log_p.hi) + unit, q->whole * power);
    const D all = d_select(size < deviance + d_abs(surplus), straight, deviance + surplus);
    return d_select(counted == zero, q->whole * power, all);
}
/* Returns the sum of p^(1 + b)/(1 + b) as well. */
ALWAYS_INLINE D tempered_values(whole_row_t *r, const tempered_t *q) {
    row_sum_t value = row_sum(), powers = row_sum();
    EACH_VECTOR(r, i) {
        tempered_class_t p[DPARTS];
        D w[DPARTS], t[DPARTS], power[DPARTS], own[DPARTS];
        const V weights = v_load(r->w + i), targets = v_load(r->in[TARGET] + i);
        const int counts = m_any((weights != v_zero()) & (targets != v_zero()));
        v_widen(weights, w), v_widen(targets, t);
        tempered_classes(q, i, p);
        for (int d = 0; d < DPARTS; d++) {
            power[d] = d_exp(pair_product(q->a, p[d].log), d_set(0)) / q->a.hi;
            own[d] = counts ? tempered_value(q, &p[d], t[d], w[d], power[d]) : q->whole * power[d];
        }
        row_add_wide(&value, i, row_held(r, i, own));
        row_add_wide(&powers, i, row_held(r, i, power));
    }
    r->value = (REAL)row_total(&value);
    return d_set(row_total(&powers));
}
ALWAYS_INLINE void tempered_by_target(const whole_row_t *r, const tempered_t *q, D powers) {
    const D zero = d_set(0);
    EACH_VECTOR(r, i) {
        tempered_class_t p[DPARTS];
        D w[DPARTS], t[DPARTS];
        v_widen(v_load(r->w + i), w), v_widen(v_load(r->in[TARGET] + i), t);
        tempered_classes(q, i, p);
        for (int d = 0; d < DPARTS; d++) {
            const L none = t[d] == zero;
            const pair log = pair_log_of(d_select(none, d_set(1), t[d]));
            const pair log_t = tempered_log(q->b, log, d_select(none, d_set(-INFINITY), log.hi));
            const pair log_p = tempered_log(q->b, p[d].log, p[d].at);
            const D apart = pair_sum(log_t, pair_of(-log_p.hi, -log_p.lo)).hi + powers;
            const L endless = (q->b.hi == zero) & (none | (p[d].at == d_set(-INFINITY)));
            t[d] = w[d] * d_select(endless, d_select(none, log_t.hi, -log_p.hi), apart);
            t[d] = d_select(w[d] == zero, zero, t[d]);
        }
        v_store(r->grad[TARGET] + i, v_narrow(t));
    }
}

ALWAYS_INLINE wide_parted_t wide_part_sum(const whole_row_t *r, const REAL *x) {
    wide_parted_t s;
    row_sum_t sum = row_sum();
    row_top_of(r, x, -1, &s.at, 1);
    EACH_VECTOR(r, i) row_add(&sum, r, i, v_where(m_not(row_is(i, s.at)), v_load(x + i)));
    s.main = d_set(s.at < 0 ? 0 : (double)x[s.at]), s.others = d_set(row_total(&sum));
    return s;
}
/* The sums of all but the numbers x at i. */
ALWAYS_INLINE void wide_sum_without(const wide_parted_t *s, const D *x, int64_t i, D *sums) {
    L main[DPARTS];
    d_where(row_is(i, s->at), main);
    UNROLL for (int d = 0; d < DPARTS; d++) sums[d] = d_select(main[d], s->others, s->main + (s->others - x[d]));
}
/* a, in double, and A */
ALWAYS_INLINE void tempered_mass(const whole_row_t *r, tempered_t *q) {
    const REAL *const w = r->w, *const t = r->in[TARGET];
    row_sum_t sum = row_sum();
    EACH_VECTOR(r, i) v_store(q->slopes + i, v_load(w + i) * v_load(t + i));
    row_top_of(r, q->slopes, -1, &q->mass.at, 1);
    EACH_VECTOR(r, i) {
        D weight[DPARTS], target[DPARTS];
        v_widen(v_where(m_not(row_is(i, q->mass.at)), v_load(w + i)), weight), v_widen(v_load(t + i), target);
        for (int d = 0; d < DPARTS; d++) weight[d] = weight[d] * target[d];
        row_add_wide(&sum, i, row_held(r, i, weight));
    }
    q->mass.main = d_set(q->mass.at < 0 ? 0 : (double)w[q->mass.at] * (double)t[q->mass.at]);
    q->mass.others = d_set(row_total(&sum));
    q->whole = q->mass.main + q->mass.others;
}

/* e, q, and A p^(1 + m) + m e */
ALWAYS_INLINE void tempered_slopes(const whole_row_t *r, const tempered_t *q) {
    const D zero = d_set(0), total = d_set(1) + q->rest, bent = d_set(1) + q->bent;
    EACH_VECTOR(r, i) {
        tempered_class_t p[DPARTS];
        D a[DPARTS], t[DPARTS], rest[DPARTS], e[DPARTS], h[DPARTS], f[DPARTS];
        L first[DPARTS];
        v_widen(v_load(r->w + i), a), v_widen(v_load(r->in[TARGET] + i), t);
        d_where(row_is(i, q->at), first);
        tempered_classes(q, i, p);
        for (int d = 0; d < DPARTS; d++) a[d] = a[d] * t[d];
        wide_sum_without(&q->mass, a, i, rest);
        for (int d = 0; d < DPARTS; d++) {
            const D chance = d_exp(p[d].log, zero), scale = d_exp(pair_product(q->m, p[d].log), zero);
            const D apart = d_fma(q->whole, chance, -a[d]), sure = d_fma(-q->whole, q->rest / total, rest[d]);
            const pair by_t2 = pair_product(q->t2, p[d].down);
            e[d] = scale * d_select(first[d] & (chance > d_set(0.5)), sure, apart);
            h[d] = d_fma(q->m.hi, e[d], scale * (q->whole * chance));
            f[d] = d_exp(pair_of(-by_t2.hi, -by_t2.lo), zero) / bent;
        }
        v_store(q->slopes + i, v_narrow(e)), v_store(q->bends + i, v_narrow(h)), v_store(q->escorts + i, v_narrow(f));
    }
}
/* q and 1 - q */
ALWAYS_INLINE void tempered_escorts(const tempered_t *q, int64_t i, D *f, D *rest) {
    L first[DPARTS];
    v_widen(v_load(q->escorts + i), f);
    d_where(row_is(i, q->at), first);
    for (int d = 0; d < DPARTS; d++) rest[d] = d_select(first[d], q->bent / (d_set(1) + q->bent), d_set(1) - f[d]);
}
/* x - q (sum of x); squared: the diagonal of (1 - q 1') diag(x) (1 - 1 q') */
ALWAYS_INLINE void tempered_across(const whole_row_t *r, const tempered_t *q, const REAL *x, REAL *to,
                                   const int squared) {
    const wide_parted_t sum = wide_part_sum(r, x);
    EACH_VECTOR(r, i) {
        D own[DPARTS], others[DPARTS], f[DPARTS], rest[DPARTS];
        v_widen(v_load(x + i), own);
        wide_sum_without(&sum, own, i, others);
        tempered_escorts(q, i, f, rest);
        for (int d = 0; d < DPARTS; d++)
            own[d] = squared ? d_fma(own[d] * rest[d], rest[d], f[d] * (f[d] * others[d]))
                             : d_fma(own[d], rest[d], -f[d] * others[d]);
        v_store(to + i, v_narrow(own));
    }
}
/* Makes h of what tempered_slopes left. */
ALWAYS_INLINE void tempered_bends(const whole_row_t *r, const tempered_t *q) {
    const wide_parted_t slope = wide_part_sum(r, q->slopes);
    const D pull = q->t2.hi * (slope.main + slope.others);
    EACH_VECTOR(r, i) {
        D h[DPARTS], f[DPARTS], share[DPARTS];
        v_widen(v_load(q->bends + i), h), v_widen(v_load(q->escorts + i), f), v_widen(v_load(q->shares + i), share);
        for (int d = 0; d < DPARTS; d++) h[d] = d_scale(q->kept.hi * share[d], q->power) * d_fma(-pull, f[d], h[d]);
        v_store(q->bends + i, v_narrow(h));
    }
}
/* h times the vector, measured from its mean under q */
ALWAYS_INLINE void tempered_move(const whole_row_t *r, const tempered_t *q) {
    const D from = d_set((double)r->vector[q->at]);
    row_sum_t sum = row_sum();
    EACH_VECTOR(r, i) {
        D v[DPARTS], f[DPARTS];
        v_widen(v_load(r->vector + i), v), v_widen(v_load(q->escorts + i), f);
        for (int d = 0; d < DPARTS; d++) v[d] = f[d] * (v[d] - from);
        row_add_wide(&sum, i, row_held(r, i, v));
    }
    const D middle = d_set(row_total(&sum));
    EACH_VECTOR(r, i) {
        D v[DPARTS], h[DPARTS];
        v_widen(v_load(r->vector + i), v), v_widen(v_load(q->bends + i), h);
        for (int d = 0; d < DPARTS; d++) h[d] = h[d] * ((v[d] - from) - middle);
        v_store(r->product + i, v_narrow(h));
    }
}

/* Whether there is a largest logit and all is within the domain; sets what does not depend on l. */
ALWAYS_INLINE int tempered_begin(whole_row_t *r, tempered_t *q) {
    const D one = d_set(1);
    const double t1 = finely(r->p + TEMPERED_T1), top = (double)row_top(r, r->in[PRED], -1, &q->at);
    V least = v_set(top);
    EACH_VECTOR(r, i) {
        const V x = v_load(r->in[PRED] + i);
        row_outside(r, i, v_load(r->in[TARGET] + i) < v_zero());
        least = v_lesser(v_select(m_and(row_holds(r, i), x > v_set(-INFINITY)), x, least), least);
    }
    q->s = finely(r->p + TEMPERED_S);
    q->quarter = top / 4;
    q->wide = !((q->quarter + (double)v_largest(-least)[0] / 4) * q->s < 0x1p990);
    q->b = pair_sum_of(one, d_set(-t1));
    q->a = pair_sum(q->b, pair_of(one, d_set(0)));
    q->m = pair_sum(q->b, pair_of(d_set(q->s), d_set(0)));
    q->t2 = pair_sum_of(one, d_set(q->s));
    REAL *const *const s = r->scratch;
    q->downs = s[0], q->lows = s[1], q->shares = s[2], q->slopes = s[3], q->bends = s[4], q->escorts = s[5];
    return r->outside < 0 && fabs(top) < (double)INFINITY;
}
WHOLE_ROWS(bi_tempered_logistic) {
    tempered_t q;
    if (!tempered_begin(r, &q)) {
        const V nan = v_set(NAN);
        r->value = (REAL)NAN;
        EACH_VECTOR(r, i) {
            row_put(r->grad[PRED], i, nan), row_put(r->grad[TARGET], i, nan);
            row_put(r->hess, i, nan), row_put(r->product, i, nan);
        }
        return;
    }
    tempered_solve(r, &q);
    tempered_mass(r, &q);
    if (!r->product) {
        const D powers = tempered_values(r, &q);
        if (r->grad[TARGET]) tempered_by_target(r, &q, powers);
        if (!r->grad[PRED] && !r->hess) return;
    }
    tempered_slopes(r, &q);
    if (r->grad[PRED]) tempered_across(r, &q, q.slopes, r->grad[PRED], 0);
    if (!r->hess && !r->product) return;
    tempered_bends(r, &q);
    if (r->hess) tempered_across(r, &q, q.bends, r->hess, 1);
    if (!r->product) return;
    tempered_move(r, &q);
    tempered_across(r, &q, r->product, r->product, 0);
}

#endif
