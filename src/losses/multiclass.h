/* SPDX-License-Identifier: MIT
 * Losses over rows of classes beside the cross entropies: with another normalisation than softmax, of ordered classes,
 * of margins. */

#include "losses/softmax_row.h"

/* Sparsemax: with p the point of the simplex nearest to the logits z, p_c = max(z_c - tau, 0),
 *   sum over k of w_k t_k (|p - e_k|^2 / 2 + max(tau - z_k, 0)) + w_k t_k (t_k - 1) / 2,
 * which for t that sums to 1 (and no weights) is |p - t|^2 / 2 + t.max(tau - z, 0): a sum of squares, so nothing
 * cancels. q_c = 1 + z_c - max z: then p_c = max(q_c - u, 0) and 1 - p of the largest is u itself. */
DEFINE(sparsemax) = {
    LOSS(sparsemax),
    .aliases = "multiclass_sparsemax",
    .family = "multiclass",
    .summary = "Cross entropy's sparse relative: probabilities of unlikely classes are exactly 0.",
    .formula = "|target|^2 / 2 - target.pred + A (p.pred - |p|^2 / 2);  p = max(pred - tau, 0) sums to 1, A = sum of "
               "target",
    .latex =
        "\\tfrac12 \\lVert t \\rVert^2 - t \\cdot z + A \\left(p \\cdot z - \\tfrac12 \\lVert p \\rVert^2\\right), "
        "\\quad p_c = \\max(z_c - \\tau, 0),\\ A = \\textstyle\\sum_c t_c",
    .tasks = "multiclass",
    .see_also = "cross_entropy, entmax15, crammer_singer",
    .look_alikes = "optax: sparsemax_loss is its binary form\nJAXopt: multiclass_sparsemax_loss: the same\n"
                   "TensorFlow Addons: SparsemaxLoss: the same",
    .source = "A. F. T. Martins, R. F. Astudillo, From softmax to sparsemax, ICML 2016",
    .kinks = "the Hessian jumps where a probability becomes 0",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 3,
    .inputs = {INPUT("pred", LOGITS, 1, "score of each class"),
               INPUT("target", LABEL, 1, "label, or distribution over the classes")},
    .params = {CLASS_PARAMS},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_LIPSCHITZ |
              LOSSFN_TRAIT_CALIBRATED,
    .lipschitz = 1.4142135623730951,
    .hess_kinds = EXACT,
    .whole_rows = 1,
    .has_product = 1,
    .n_scratch = 1,
    .link = LOSSFN__LINK_NONE,
    .ulp_value = 6, /* all terms share what the threshold is off, and with class weights their signs differ */
    .ulp_grad = 5,  /* of target: a sum of four that shares what half of the squares is off */
    .ulp_hess = 4,
};
typedef struct {
    V top, u, tau, tau_rest; /* the largest z; 1 + tau and tau of z - top, this one in two parts */
    int64_t first;           /* the class of the largest */
    int64_t n;               /* classes that have a probability */
} sparsemax_t;
/* Finds them, and q[]. */
ALWAYS_INLINE sparsemax_t sparsemax_of(const whole_row_t *r, REAL *q) {
    sparsemax_t s = {.u = v_zero()};
    int64_t before = -1;
    s.top = v_set((double)row_top(r, r->in[PRED], -1, &s.first));
    EACH_VECTOR(r, i) {
        V rest, down = two_sum(v_load(r->in[PRED] + i), -s.top, &rest);
        v_store(q + i, v_select(down > v_set(-INFINITY), (down + v_one()) + rest, down));
    }
    while (s.n != before) { /* u only grows, so classes only leave */
        row_sum_t sum = row_sum();
        before = s.n;
        s.n = 0;
        EACH_VECTOR(r, i) {
            const V here = v_load(q + i);
            const M in = m_and(here > s.u, row_holds(r, i));
            s.n += __builtin_popcount(m_bits(in));
            row_add(&sum, r, i, v_where(m_and(in, m_not(row_is(i, s.first))), here));
        }
        s.u = v_set((double)(REAL)(row_total(&sum) / (double)s.n));
        if (s.n == 0) s.u = v_set(NAN); /* no largest, or it is infinite */
    }
    row_fine_sum_t downs = row_fine_sum();
    EACH_VECTOR(r, i) {
        D x[DPARTS];
        pair down[DPARTS];
        v_widen(v_load(r->in[PRED] + i), x);
        for (int d = 0; d < DPARTS; d++) down[d] = exact_sum(x[d], d_set(-(double)s.top[0]));
        row_add_finely(&downs, i, v_where(m_and(v_load(q + i) > s.u, row_holds(r, i)), v_one()), down);
    }
    const pair one = pair_of(d_set(-1), d_set(0)), count = pair_of(d_set((double)s.n), d_set(0));
    const pair tau = fine_quotient(fine_sum(row_fine_total(&downs), one), count);
    s.tau = v_set((double)(REAL)tau.hi[0]);
    s.tau_rest = v_set((tau.hi[0] - (double)s.tau[0]) + tau.lo[0]);
    return s;
}
/* z - tau: the probability, or how much there is too little for one. A probability is a small difference of these. */
ALWAYS_INLINE V sparsemax_above(const sparsemax_t *s, V x) {
    V rest, down = two_sum(x, -s->top, &rest);
    return (down - s->tau) + v_where(v_isfinite(down), rest - s->tau_rest);
}
ALWAYS_INLINE V sparsemax_at(const sparsemax_t *s, V x, V q) {
    return v_where(m_not(q <= s->u), v_select(v_isnan(s->u), s->u, at_least(sparsemax_above(s, x), 0)));
}
ALWAYS_INLINE V sparsemax_below(const sparsemax_t *s, V x, V q) {
    return v_where(q <= s->u, at_least(-sparsemax_above(s, x), 0));
}
WHOLE_ROWS(sparsemax) {
    REAL *const q = r->scratch[0];
    const V zero = v_zero(), one = v_one(), half = v_set(0.5);
    const sparsemax_t s = sparsemax_of(r, q);
    row_sum_t mass = row_sum(), value = row_sum(), along = row_sum(), square = row_sum();
    EACH_VECTOR(r, i) row_add(&mass, r, i, v_load(r->w + i) * v_load(r->in[TARGET] + i));
    const V all = row_total_v(&mass), support = v_set((double)s.n);
    if (r->product) {
        EACH_VECTOR(r, i) row_add(&along, r, i, v_where(v_load(q + i) > s.u, v_load(r->vector + i)));
        const V middle = v_set((double)(REAL)(row_total(&along) / (double)s.n));
        EACH_VECTOR(r, i)
        v_store(r->product + i, v_where(m_not(v_load(q + i) <= s.u), all * (v_load(r->vector + i) - middle)));
        return;
    }
    EACH_VECTOR(r, i) {
        const V here = v_load(q + i), t = v_load(r->in[TARGET] + i), w = v_load(r->w + i), a = w * t;
        const V p = sparsemax_at(&s, v_load(r->in[PRED] + i), here);
        const M out = here <= s.u, certain = m_and(here == one, s.u < half); /* 1 - p is u */
        const V error = v_select(certain, (one - t) - s.u, p - t);
        const V cross = v_where(all != w, (all - w) * t * (2 * p - t)), plain = a * (t - 2 * p);
        const V below = v_where(a != zero, a * sparsemax_below(&s, v_load(r->in[PRED] + i), here));
        /* as a square, where the sizes are those of a distribution; else that may be what cancels */
        const M large = 2 * v_fma(all * p, p, v_abs(plain)) < v_fma(all * error, error, v_abs(cross));
        const V more = v_select(large, v_fma(all * p, p, plain), v_fma(all * error, error, cross));
        row_add(&value, r, i, v_fma(half, more, below));
        row_add(&square, r, i, p * p);
        row_put(r->grad[PRED], i, v_select(certain, v_fma(all, -s.u, all - a), v_fma(all, p, -a)));
        row_put(r->hess, i, v_where(m_not(out), all - all / support));
    }
    r->value = (REAL)row_total(&value);
    if (!r->grad[TARGET]) return;
    const V middle = half * row_total_v(&square);
    EACH_VECTOR(r, i) { /* w_k (|p - e_k|^2 / 2 + max(tau - z_k, 0) + t_k - 1/2) */
        const V here = v_load(q + i), t = v_load(r->in[TARGET] + i), w = v_load(r->w + i);
        const V p = sparsemax_at(&s, v_load(r->in[PRED] + i), here);
        const V below = sparsemax_below(&s, v_load(r->in[PRED] + i), here);
        v_store(r->grad[TARGET] + i, v_where(w != zero, w * ((middle - p + t) + below)));
    }
}

/* Entmax with exponent 3/2: probabilities p_c = b_c^2, b_c = max(z_c / 2 - tau, 0), between softmax and sparsemax.
 * Fenchel-Young with Tsallis' entropy: for t that sums to 1,
 *   sum over c of 2/3 (sqrt(t_c) - b_c)^2 (2 sqrt(t_c) + b_c) + t_c max(2 tau - z_c, 0)
 * With q_c = 1 + (z_c - max z) / 2: b_c = max(q_c - u, 0), and u, which solves sum of b_c^2 = 1, is 1 - b of the
 * largest. */
DEFINE(entmax15) = {
    LOSS(entmax15),
    .aliases = "",
    .family = "multiclass",
    .summary = "Between cross entropy and sparsemax: sparse probabilities with a smooth gradient.",
    .formula = "sum over classes of 2/3 (sqrt(target) - b)^2 (2 sqrt(target) + b) + target max(2 tau - pred, 0);  b = "
               "max(pred / 2 - tau, 0), sum of b^2 is 1",
    .latex = "\\sum_c \\tfrac23 (\\sqrt{t_c} - b_c)^2 (2\\sqrt{t_c} + b_c) + t_c \\max(2\\tau - z_c, 0), \\quad b_c = "
             "\\max(z_c / 2 - \\tau, 0)",
    .tasks = "multiclass",
    .see_also = "sparsemax, cross_entropy",
    .look_alikes =
        "entmax: Entmax15Loss: the same\nJAXopt: make_fenchel_young_loss of entmax: without the target's own entropy",
    .source = "B. Peters, V. Niculae, A. F. T. Martins, Sparse sequence-to-sequence models, ACL 2019",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 3,
    .inputs = {INPUT("pred", LOGITS, 1, "score of each class"),
               INPUT("target", LABEL, 1, "label, or distribution over the classes")},
    .params = {CLASS_PARAMS},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_LIPSCHITZ | LOSSFN_TRAIT_CALIBRATED,
    .lipschitz = 1.4142135623730951,
    .hess_kinds = EXACT,
    .whole_rows = 1,
    .has_product = 1,
    .n_scratch = 2,
    .link = LOSSFN__LINK_NONE,
    .ulp_value = 4,
    .ulp_grad = 4,
    .ulp_hess = 6,
};
typedef struct {
    V top, u, raised, raised_rest; /* raised: 1 - u, in two parts, so that b_c = (z_c - top) / 2 + raised */
} entmax_t;
/* What is lacking to the root that was found from rounded numbers: a step of Newton's, from all digits of what the
 * squares lack to 1. */
ALWAYS_INLINE double entmax_rest(const whole_row_t *r, const entmax_t *s, const REAL *q, double raised) {
    row_fine_sum_t squares = row_fine_sum(), sum = row_fine_sum();
    EACH_VECTOR(r, i) {
        D x[DPARTS];
        pair b[DPARTS], square[DPARTS];
        v_widen(v_load(r->in[PRED] + i), x);
        for (int d = 0; d < DPARTS; d++) {
            const pair down = pair_times(exact_sum(x[d], d_set(-(double)s->top[0])), d_set(0.5));
            b[d] = fine_sum(down, pair_of(d_set(raised), d_set(0)));
            square[d] = fine_product(b[d], b[d]);
        }
        const V counts = v_where(m_and(v_load(q + i) > s->u, row_holds(r, i)), v_one());
        row_add_finely(&squares, i, counts, square), row_add_finely(&sum, i, counts, b);
    }
    const pair lack = fine_sum(row_fine_total(&squares), pair_of(d_set(-1), d_set(0)));
    return -lack.hi[0] / (2 * row_fine_total(&sum).hi[0]);
}
ALWAYS_INLINE entmax_t entmax_of(const whole_row_t *r, REAL *q) {
    entmax_t s;
    int64_t first, count = 0;
    const V half = v_set(0.5);
    s.top = v_set((double)row_top(r, r->in[PRED], -1, &first));
    EACH_VECTOR(r, i) {
        V rest, down = two_sum(v_load(r->in[PRED] + i), -s.top, &rest);
        v_store(q + i, v_select(down > v_set(-INFINITY), v_fma(half, down, v_one()) + half * rest, down));
    }
    /* Newton's steps from below on a convex sum, until the root for the classes that are left leaves them all */
    double u = 0, root = 0, raised = 0;
    for (int step = 0; step < 200; step++) {
        const V at = v_set((double)(REAL)u);
        row_sum_t sum = row_sum(), square = row_sum(), down = row_sum(), downs = row_sum();
        count = 0;
        EACH_VECTOR(r, i) {
            const V here = v_load(q + i), d = half * (v_load(r->in[PRED] + i) - s.top);
            const M in = m_and(here > at, row_holds(r, i)), other = m_and(in, m_not(row_is(i, first)));
            count += __builtin_popcount(m_bits(in));
            row_add(&sum, r, i, v_where(other, here));
            row_add(&square, r, i, v_where(other, here * here));
            row_add(&down, r, i, v_where(in, d));
            row_add(&downs, r, i, v_where(in, d * d));
        }
        if (count == 0) break; /* no largest, or it is infinite */
        const double n = (double)count, b = 1 + row_total(&sum), c = row_total(&square);
        const double inner = b * b - n * c, d = -row_total(&down), e = row_total(&downs) - 1;
        root = inner > 0 ? c / (b + sqrt(inner)) : 1;
        const double raised_inner = d * d - n * e;
        raised = (d + sqrt(raised_inner > 0 ? raised_inner : 0)) / n;
        int64_t left = 0;
        EACH_VECTOR(r, i)
        left += __builtin_popcount(m_bits(m_and(v_load(q + i) > v_set((double)(REAL)root), row_holds(r, i))));
        if (left == count) break;
        const double rest = 1 - u, slope = b - (n - 1) * u - u; /* of those above u */
        u += (rest * rest + c - 2 * u * (b - 1) + (n - 1) * u * u - 1) / (2 * slope);
    }
    s.u = v_set(count ? (double)(REAL)root : NAN);
    s.raised = v_set((double)(REAL)raised);
    const double rest = count ? entmax_rest(r, &s, q, raised) : 0;
    s.raised_rest = v_set((raised - (double)s.raised[0]) + rest);
    return s;
}

/* z/2 - tau: b, or how much there is too little for one. */
ALWAYS_INLINE V entmax_above(const entmax_t *s, V x) {
    V rest, down = two_sum(x, -s->top, &rest);
    return v_fma(v_set(0.5), down, s->raised) + v_where(v_isfinite(down), v_fma(v_set(0.5), rest, s->raised_rest));
}
ALWAYS_INLINE V entmax_at(const entmax_t *s, V x, V q) {
    return v_where(m_not(q <= s->u), v_select(v_isnan(s->u), s->u, at_least(entmax_above(s, x), 0)));
}
ALWAYS_INLINE V entmax_gone(const entmax_t *s, V x, V q) {
    return v_where(q <= s->u, at_least(-entmax_above(s, x), 0));
}
WHOLE_ROWS(entmax15) {
    REAL *const q = r->scratch[0], *const b = r->scratch[1];
    const V zero = v_zero(), one = v_one(), third = v_set(2.0 / 3);
    const entmax_t s = entmax_of(r, q);
    row_sum_t mass = row_sum(), value = row_sum(), cube = row_sum();
    EACH_VECTOR(r, i) {
        row_add(&mass, r, i, v_load(r->w + i) * v_load(r->in[TARGET] + i));
        v_store(b + i, entmax_at(&s, v_load(r->in[PRED] + i), v_load(q + i)));
    }
    const V all = row_total_v(&mass);
    const parted_t slopes = part_sum(r, b);
    const V slope = slopes.main + slopes.others;
    if (r->product) {
        const V from = v_set(slopes.at < 0 ? 0 : (double)r->vector[slopes.at]); /* a constant part does not count */
        row_sum_t along = row_sum();
        EACH_VECTOR(r, i) row_add(&along, r, i, v_load(b + i) * (v_load(r->vector + i) - from));
        const V middle = row_total_v(&along) / slope;
        EACH_VECTOR(r, i)
        v_store(r->product + i, all * v_load(b + i) * ((v_load(r->vector + i) - from) - middle));
        return;
    }
    EACH_VECTOR(r, i) {
        const V here = v_load(b + i), t = v_load(r->in[TARGET] + i), w = v_load(r->w + i), a = w * t;
        const V root = v_sqrt(t), gone = entmax_gone(&s, v_load(r->in[PRED] + i), v_load(q + i));
        const M certain = m_and(v_load(q + i) == one, s.u < v_set(0.5)); /* 1 - b is u */
        const V apart = v_select(certain, (root - one) + s.u, root - here);
        /* b^3 all - 3 a b + 2 a root; as a product of factors where the weights and sizes are those of a distribution
         */
        const V b3 = here * here * here, straight = all * b3, surplus = v_where(all != w, (all - w) * b3);
        const V factors = w * apart * apart * (2 * root + here);
        const M plain = straight + a * (3 * here + 2 * root) < v_abs(surplus) + factors;
        const V more = v_select(plain, straight - a * (3 * here - 2 * root), factors + surplus);
        row_outside(r, i, t < zero);
        row_add(&value, r, i, v_fma(third, more, v_where(a != zero, 2 * a * gone)));
        row_add(&cube, r, i, here * here * here);
        row_put(r->grad[PRED], i,
                v_select(certain, v_fma(all, s.u * (s.u - v_set(2)), all - a), v_fma(all, here * here, -a)));
        row_put(r->hess, i, all * here * (sum_without(&slopes, here, i) / slope));
    }
    r->value = (REAL)row_total(&value);
    if (!r->grad[TARGET]) return;
    const V middle = third * row_total_v(&cube);
    EACH_VECTOR(r, i) {
        const V gone = entmax_gone(&s, v_load(r->in[PRED] + i), v_load(q + i));
        const V t = v_load(r->in[TARGET] + i), w = v_load(r->w + i);
        const V loss = (middle + 2 * (v_sqrt(t) - v_load(b + i))) + 2 * gone;
        v_store(r->grad[TARGET] + i, v_where(w != zero, w * loss));
    }
}

/* yes log(1 + e^-z) + no log(1 + e^z) and its derivatives by z. */
typedef struct {
    V value, slope, curve;
} logistic_t;
ALWAYS_INLINE logistic_t logistic_of(V z, V yes, V no) {
    const V zero = v_zero(), one = v_one();
    const M negative = z < zero;
    const V a = v_abs(z), e = v_exp_minus(a), sum = one + e;
    const V far = v_select(negative, yes, no), near = v_select(negative, no, yes); /* of what grows, of what fades */
    const V slope = v_fma(-near, e, far) / sum;
    return (logistic_t){v_where(far != zero, far * a) + (yes + no) * v_log1p_unit(e), v_select(negative, -slope, slope),
                        (yes + no) * (e / (sum * sum))};
}

/* Ordered classes as events "more than c": z_c is the log-odds of it, t_c whether it is so (1 for c < label).
 *   sum over c of level_weight_c (log(1 + e^z_c) - t_c z_c) */
DEFINE(ordinal_cross_entropy) = {
    LOSS(ordinal_cross_entropy),
    .aliases = "coral",
    .family = "multiclass",
    .summary = "Ordered classes: a binary cross entropy for each threshold between them.",
    .formula = "sum over thresholds of level_weight (log(1 + exp(pred)) - t pred);  t = 1 where the label lies above",
    .latex = "\\sum_c w_c \\left(\\log(1 + e^{z_c}) - [y > c]\\, z_c\\right)",
    .tasks = "ordinal",
    .see_also = "corn, bce_with_logits",
    .look_alikes = "TF-Ranking: OrdinalLoss: the same\ncoral_pytorch: coral_loss: level_weight as importance_weights",
    .source = "W. Cao, V. Mirjalili, S. Raschka, Rank consistent ordinal regression for neural networks, 2020",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {INPUT("pred", LOGITS, 1, "log-odds of being above each of the K - 1 thresholds of K classes"),
               INPUT_LEVELS("target", 1, "label from 0 to K - 1, or the probability of being above each threshold")},
    .params = {PARAM_LIST("level_weight", "weight of each threshold")},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX | LOSSFN_TRAIT_NONNEGATIVE |
              LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_CALIBRATED,
    .hess_kinds = EXACT | FISHER,
    .whole_rows = 1,
    .has_product = 1,
    .link = LOSSFN__LINK_LOGIT,
    .ulp_value = 4,
    .ulp_grad = 4,
    .ulp_hess = 6,
};
WHOLE_ROWS(ordinal_cross_entropy) {
    const V zero = v_zero(), one = v_one();
    row_sum_t value = row_sum();
    EACH_VECTOR(r, i) {
        const V z = v_load(r->in[PRED] + i), t = v_load(r->in[TARGET] + i);
        const V w = r->lists[0] ? v_load(r->lists[0] + i) : one;
        const logistic_t l = logistic_of(z, t, one - t);
        const M counts = w != zero;
        row_outside(r, i, (t < zero) | (t > one));
        row_add(&value, r, i, v_where(counts, w * l.value));
        row_put(r->grad[PRED], i, w * l.slope);
        row_put(r->grad[TARGET], i, v_where(counts, -w * z));
        row_put(r->hess, i, w * l.curve);
        if (r->product) v_store(r->product + i, w * l.curve * v_load(r->vector + i));
    }
    r->value = (REAL)row_total(&value);
}

/* The same for the conditional events "more than c, if at least c", of which those up to the label have come:
 *   sum over c of t_c log(1 + e^-z_c) + (t_(c-1) - t_c) log(1 + e^z_c),  t_-1 = 1 */
DEFINE(corn) = {
    LOSS(corn),
    .aliases = "conditional_ordinal_cross_entropy",
    .family = "multiclass",
    .summary = "Ordered classes as a chain of questions, each asked if the one before was answered with yes.",
    .formula = "sum over c of t_c log(1 + exp(-pred)) + (t_(c-1) - t_c) log(1 + exp(pred));  t_c = 1 where label > c",
    .latex = "\\sum_c t_c \\log(1 + e^{-z_c}) + (t_{c-1} - t_c) \\log(1 + e^{z_c}), \\quad t_{-1} = 1",
    .tasks = "ordinal",
    .see_also = "ordinal_cross_entropy, bce_with_logits",
    .look_alikes = "coral_pytorch: corn_loss: divides by all questions that were asked of the batch, here by the rows",
    .source = "X. Shi, W. Cao, S. Raschka, Deep neural networks for rank-consistent ordinal regression based on "
              "conditional probabilities, Pattern Anal. Appl. 26, 2023",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .inputs = {INPUT("pred", LOGITS, 1, "log-odds of being above each of the K - 1 thresholds, if not below it"),
               INPUT_LEVELS("target", 1, "label from 0 to K - 1, or the falling probabilities of being above each")},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_CALIBRATED,
    .hess_kinds = EXACT,
    .whole_rows = 1,
    .has_product = 1,
    .n_scratch = 1,
    .link = LOSSFN__LINK_LOGIT,
    .ulp_value = 4,
    .ulp_grad = 4,
    .ulp_hess = 6,
};
WHOLE_ROWS(corn) {
    const V zero = v_zero();
    REAL *const before = r->scratch[0];
    row_sum_t value = row_sum();
    before[0] = 1;
    memcpy(before + 1, r->in[TARGET], (size_t)(r->n - 1) * sizeof(REAL));
    EACH_VECTOR(r, i) {
        const V z = v_load(r->in[PRED] + i), t = v_load(r->in[TARGET] + i), ends = v_load(before + i) - t;
        const logistic_t l = logistic_of(z, t, ends);
        row_outside(r, i, (t < zero) | (ends < zero));
        row_add(&value, r, i, v_where((t != zero) | (ends != zero), l.value));
        row_put(r->grad[PRED], i, l.slope);
        row_put(r->hess, i, l.curve);
        if (r->product) v_store(r->product + i, l.curve * v_load(r->vector + i));
        if (r->grad[TARGET]) v_store(r->grad[TARGET] + i, -z);
    }
    r->value = (REAL)row_total(&value);
    for (int64_t c = 0; r->grad[TARGET] && c + 1 < r->n; c++) { /* t_c stands in the next question, too */
        const V z = v_set((double)r->in[PRED][c + 1]);
        r->grad[TARGET][c] += (v_log1p_unit(v_exp_minus(v_abs(z))) + v_where(z > zero, z))[0];
    }
}

/* What every class costs where the truth is distributed as t: c has the sum over k of |c - k| t_k, or of its square.
 * Sums of what lies below and above are carried on from class to class, where nothing cancels. */
typedef struct {
    double mass, far, square;
} kappa_side_t;
ALWAYS_INLINE double kappa_step(kappa_side_t *side, double t, int quadratic) {
    const double cost = quadratic ? side->square : side->far;
    side->mass += t;
    side->square += 2 * side->far + side->mass;
    side->far += side->mass;
    return cost;
}
#define KAPPA_COSTS(type, costs, t, n, quadratic)                                                                      \
    do {                                                                                                               \
        kappa_side_t below = {0}, above = {0};                                                                         \
        for (int64_t c = 0; c < (n); c++) (costs)[c] = (type)kappa_step(&below, (double)(t)[c], quadratic);            \
        for (int64_t c = (n); c-- > 0;) (costs)[c] += (type)kappa_step(&above, (double)(t)[c], quadratic);             \
    } while (0)

/* Cohen (1968); de la Torre, Puig, Valls (2018). */
enum { KAPPA_LINEAR, KAPPA_EPS };
static void kappa_of_marginals(lossfn__marginals_t *m) {
    const int quadratic = m->constants[KAPPA_LINEAR] == 0;
    double chance = 0;
    for (int j = 0; j < 2; j++) KAPPA_COSTS(double, m->offsets[j], m->marginals[1 - j], m->classes, quadratic);
    for (int64_t c = 0; c < m->classes; c++) chance += m->marginals[PRED][c] * m->offsets[PRED][c];
    /* nothing differs, even by chance: perfect agreement, which no small change would leave */
    const int agrees = m->mean == 0 && chance == 0;
    const double ratio = agrees ? 0 : m->mean / chance, argument = ratio + m->constants[KAPPA_EPS];
    for (int j = 0; j < 2; j++)
        for (int64_t c = 0; c < m->classes; c++) m->offsets[j][c] *= ratio;
    m->value = (double)v_log(v_set(argument))[0];
    m->slope = agrees ? 0 : 1 / (argument * chance);
}
DEFINE(weighted_kappa) = {
    LOSS(weighted_kappa),
    .aliases = "weighted_kappa_loss",
    .family = "multiclass",
    .summary = "Ordered classes: disagreement relative to that of chance, a loss of the whole batch.",
    .formula = "log(sum of W O / sum of W E + eps);  W = (i - j)^2 or |i - j|, O_ij = mean of target_i pred_j, E_ij = "
               "(mean of target_i) (mean of pred_j)",
    .latex = "\\ln\\left(\\frac{\\sum_{ij} W_{ij} \\overline{t_i p_j}}{\\sum_{ij} W_{ij}\\, \\overline{t_i}\\, "
             "\\overline{p_j}} + \\epsilon\\right), \\quad W_{ij} = (i - j)^2",
    .tasks = "ordinal",
    .see_also = "ordinal_cross_entropy, corn",
    .look_alikes = "TensorFlow Addons: WeightedKappaLoss: the same\n"
                   "scikit-learn: cohen_kappa_score: 1 - exp(this) with eps=0, of one-hot pred; weights=weighting",
    .source = "J. Cohen, Weighted kappa: nominal scale agreement with provision for scaled disagreement or partial "
              "credit, Psychol. Bull. 70, 1968; J. de la Torre, D. Puig, A. Valls, Weighted kappa loss function for "
              "multi-class classification of ordinal data in deep learning, Pattern Recognit. Lett. 105, 2018",
    .kinks = "all in one class: value log(eps), gradient 0. With reduction none and per_row: each row's sum of W O",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 2,
    .inputs = {INPUT("pred", PROBABILITY, 1, "probability of each class, in their order"),
               INPUT("target", LABEL, 1, "class label, or a distribution over the classes")},
    .params = {PARAM_CHOICE("weighting", "quadratic", "quadratic, linear",
                            "what a disagreement costs, of the distance between the classes"),
               PARAM_DOUBLE("eps", "1e-6", 0, 0, INFINITY, 1, "added to the ratio, against the logarithm of 0")},
    .outer = LOSSFN__OUTER_OF_MARGINALS,
    .of_marginals = kappa_of_marginals,
    .whole_rows = 1,
    .n_scratch = 1,
    .ulp_value = 4, /* f64: sums over the classes in double */
    .ulp_grad = 4,
};
/* What is left of a row's costs as a gradient. */
ALWAYS_INLINE void kappa_put(const whole_row_t *r, int j, const REAL *costs) {
    const double *const offsets = r->offsets[j];
    int64_t c = 0;
    if (!r->grad[j]) return;
    for (; c + LANES <= r->n; c += LANES) {
        D wide[DPARTS];
        v_widen(v_load(costs + c), wide);
        for (int d = 0; offsets && d < DPARTS; d++) wide[d] -= d_load(offsets + c + d * DLANES);
        v_store(r->grad[j] + c, v_narrow(wide));
    }
    for (; c < r->n; c++) r->grad[j][c] = offsets ? (REAL)((double)costs[c] - offsets[c]) : costs[c];
}
WHOLE_ROWS(weighted_kappa) {
    const int quadratic = !IS(r->p[KAPPA_LINEAR]);
    const V zero = v_zero(), one = v_one();
    REAL *const costs = r->scratch[0];
    row_sum_t value = row_sum();
    if (r->label < 0) KAPPA_COSTS(REAL, costs, r->in[TARGET], r->n, quadratic);
    EACH_VECTOR(r, i) {
        if (r->label >= 0) {
            const V far = v_abs(v_from_i(i_iota() + i_set((int)(i - r->label))));
            v_store(costs + i, quadratic ? far * far : far);
        }
        const V x = v_load(r->in[PRED] + i), t = v_load(r->in[TARGET] + i);
        row_outside(r, i, (x < zero) | (x > one) | (t < zero) | (t > one));
        row_add(&value, r, i, x * v_load(costs + i));
    }
    r->value = (REAL)row_total(&value);
    kappa_put(r, PRED, costs);
    if (!r->grad[TARGET]) return;
    KAPPA_COSTS(REAL, costs, r->in[PRED], r->n, quadratic);
    kappa_put(r, TARGET, costs);
}

/* Distribution focal loss: logits over the bins 0, 1, ... C - 1 of a number; the cross entropy of the two bins around
 * it, as near as they are. */
DEFINE(distribution_focal) = {
    LOSS(distribution_focal),
    .aliases = "distribution_focal_loss",
    .family = "multiclass",
    .summary = "A number as a distribution over bins: cross entropy of the two bins around it.",
    .formula = "(1 - f) ce(l) + f ce(l + 1);  l = floor(target), f = target - l, ce(c) = log sum exp(pred) - pred_c",
    .latex = "\\log\\sum_k e^{z_k} - (1 - f) z_l - f z_{l+1}, \\quad l = \\lfloor y \\rfloor,\\ f = y - l",
    .tasks = "regression",
    .see_also = "cross_entropy",
    .look_alikes =
        "mmdetection: DistributionFocalLoss: the same\nUltralytics: DFLoss: the mean over the four sides of a box",
    .source = "X. Li et al., Generalized focal loss, NeurIPS 2020",
    .kinks = "the gradient of target jumps at whole numbers; there it is that from the right",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .inputs = {INPUT("pred", LOGITS, 1, "unnormalised log-probability of each bin"),
               INPUT_PER_ROW("target", REAL, 1, "number in [0, C - 1], counted in bins")},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 1.4142135623730951,
    .hess_kinds = EXACT | FISHER,
    .whole_rows = 1,
    .has_product = 1,
    .ulp_value = 4,
    .ulp_grad = 4,
    .ulp_hess = 6,
};
WHOLE_ROWS(distribution_focal) {
    const REAL y = r->in[TARGET][0], *const x = r->in[PRED];
    if (!(y >= 0 && y <= (REAL)(r->n - 1))) {
        r->outside = 0;
        return;
    }
    const int64_t low = (int64_t)y, high = low + 1 < r->n ? low + 1 : low;
    const V f = v_set((double)(y - (REAL)low)), nearer = v_one() - f;
    const softmax_t q = softmax_of(r, x, NULL);
    if (r->product) {
        const V from = v_set((double)r->vector[q.at < 0 ? 0 : q.at]);
        row_sum_t along = row_sum();
        EACH_VECTOR(r, i)
        row_add(&along, r, i, softmax_at(&q, i) * (v_load(r->vector + i) - from));
        const V middle = row_total_v(&along);
        EACH_VECTOR(r, i)
        v_store(r->product + i, softmax_at(&q, i) * ((v_load(r->vector + i) - from) - middle));
        return;
    }
    EACH_VECTOR(r, i) {
        const V p = softmax_at(&q, i);
        const V rest = v_select(row_is(i, q.at), q.rest * q.inverse, v_one() - p);
        const V t = v_where(row_is(i, low), nearer) + v_where(row_is(i, high), f);
        /* where t is 1, the probability of all others */
        row_put(r->grad[PRED], i, v_select(t == v_one(), -rest, p - t));
        row_put(r->hess, i, p * rest);
    }
    const V half = v_set(0.5); /* of what may overflow though a share of it does not */
    const V down = half * q.top - half * v_set((double)x[low]), other = half * q.top - half * v_set((double)x[high]);
    const V value = v_where(nearer != v_zero(), nearer * down) + v_where(f != v_zero(), f * other);
    r->value = (2 * value + q.log_total)[0];
    if (!r->grad[TARGET]) return;
    if (low == high)
        r->grad[TARGET][0] = low > 0 ? x[low - 1] - x[low] : 0;
    else
        r->grad[TARGET][0] = x[low] - x[high];
}

/* ---- Margins between classes ---------------------------------------------------------------------------------------
 */

/* The largest score of other classes than k, for every k: that of the first, or for it of the second. */
typedef struct {
    V first, second;
    int64_t at, next; /* their classes, -1 if there is none */
} rivals_t;
ALWAYS_INLINE rivals_t rivals_of(const whole_row_t *r, const REAL *x) {
    rivals_t s;
    s.first = v_set((double)row_top(r, x, -1, &s.at));
    s.second = v_set((double)row_top(r, x, s.at, &s.next));
    return s;
}
/* The margin as it is given: the parameters as they are, and in the last constant what float leaves out of it. */
enum { MARGIN_LEFT = LOSSFN__MAX_CONSTANTS - 1 };
static inline void keep_margin(const double *params, int n, int margin, double *constants) {
    double parts[2];
    for (int i = 0; i < n; i++) constants[i] = params[i];
    set_finely(params[margin], parts);
    constants[MARGIN_LEFT] = parts[1];
}
ALWAYS_INLINE V margin_left(const V *p) { return sizeof(REAL) == 4 ? p[MARGIN_LEFT] : v_zero(); }
/* a + left + (x - y), exact wherever it matters. */
ALWAYS_INLINE V margin_over(V a, V left, V x, V y) {
    V rest, far, down = two_sum(x, -y, &rest), sum = two_sum(a, down, &far);
    return v_select(v_isfinite(sum), sum + (far + (rest + left)), sum);
}
/* sum over k of a_k max(margin + max over c != k of z_c - z_k, 0); zero_rival: a score of 0 takes part. */
ALWAYS_INLINE void crammer_singer_row(whole_row_t *r, V margin, int zero_rival) {
    const REAL *const x = r->in[PRED];
    const V zero = v_zero(), left = margin_left(r->p);
    rivals_t s = rivals_of(r, x);
    if (zero_rival && !(s.second[0] > 0)) s.second = zero, s.next = -1;
    if (zero_rival && !(s.first[0] > 0)) s.first = zero, s.at = -1;
    row_sum_t value = row_sum(), first = row_sum(), second = row_sum();
    EACH_VECTOR(r, i) {
        const V w = v_load(r->w + i), a = w * v_load(r->in[TARGET] + i);
        const M top = row_is(i, s.at);
        const V gap = margin_over(margin, left, v_select(top, s.second, s.first), v_load(x + i));
        const M active = m_not(gap <= zero);
        const V hurt = v_where(active, a);
        row_add(&value, r, i, v_where(m_and(active, a != zero), a * gap));
        row_add(&first, r, i, v_where(m_not(top), hurt));
        row_add(&second, r, i, v_where(top, hurt));
        row_put(r->grad[PRED], i, -hurt);
        row_put(r->grad[TARGET], i, v_where(active, w * gap));
        row_put(r->hess, i, zero);
    }
    r->value = (REAL)row_total(&value);
    if (r->value == (REAL)INFINITY) { /* a difference may overflow where a share of it does not: all in quarters */
        const V quarter = v_set(0.25);
        value = row_sum();
        EACH_VECTOR(r, i) {
            const V a = v_load(r->w + i) * v_load(r->in[TARGET] + i),
                    rival = v_select(row_is(i, s.at), s.second, s.first);
            const V gap = margin_over(quarter * margin, zero, quarter * rival, quarter * v_load(x + i));
            row_add(&value, r, i, v_where(m_andnot(a != zero, gap <= zero), a * gap));
        }
        r->value = (REAL)(4 * row_total(&value));
    }
    if (!r->grad[PRED]) return;
    if (s.at >= 0) r->grad[PRED][s.at] += (REAL)row_total(&first);
    if (s.next >= 0) r->grad[PRED][s.next] += (REAL)row_total(&second);
}

#define SCORES                                                                                                         \
    INPUT("pred", REAL, 1, "score of each class"), INPUT("target", LABEL, 1, "label, or distribution over the classes")

static void crammer_singer_setup(const double *params, double *constants) { keep_margin(params, 5, 3, constants); }
DEFINE(crammer_singer) = {
    LOSS(crammer_singer),
    .aliases = "categorical_hinge, multiclass_hinge",
    .family = "multiclass",
    .summary = "Hinge of the margin between the class and its strongest rival.",
    .formula = "sum over k of class_weight target max(margin + max over c != k of pred - pred_k, 0)",
    .latex = "\\sum_k w_k t_k \\max\\left(m + \\max_{c \\ne k} z_c - z_k,\\ 0\\right)",
    .tasks = "multiclass",
    .see_also = "multi_margin, multiclass_perceptron, cross_entropy",
    .look_alikes = "Keras: CategoricalHinge: zero_rival=true\noptax: multiclass_hinge_loss: the same\n"
                   "JAXopt: multiclass_hinge_loss: the same",
    .source = "K. Crammer, Y. Singer, On the algorithmic implementation of multiclass kernel-based vector machines, "
              "JMLR 2, 2001",
    .kinks = "where the margin is met: 0; between rivals that are equal: the first",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 5,
    .inputs = {SCORES},
    .params = {CLASS_PARAMS, PARAM_DOUBLE("margin", "1", 0, 0, INFINITY, 1, "margin that is asked for"),
               PARAM_BOOL("zero_rival", "false", "a score of 0 is a rival, too")},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 1.4142135623730951,
    .hess_kinds = EXACT,
    .whole_rows = 1,
    .ulp_value = 2,
    .ulp_grad = 3, /* of soft targets, whose rounded coefficients add up */
    .ulp_hess = 0,
    .setup = crammer_singer_setup,
};
WHOLE_ROWS(crammer_singer) { crammer_singer_row(r, r->p[3], IS(r->p[4])); }

DEFINE(multiclass_perceptron) = {
    LOSS(multiclass_perceptron),
    .aliases = "",
    .family = "multiclass",
    .summary = "How much the strongest class is above the right one: crammer_singer without a margin.",
    .formula = "sum over k of class_weight target (max over c of pred - pred_k)",
    .latex = "\\sum_k w_k t_k \\left(\\max_c z_c - z_k\\right)",
    .tasks = "multiclass",
    .see_also = "crammer_singer",
    .look_alikes = "optax: multiclass_perceptron_loss: the same\nJAXopt: multiclass_perceptron_loss: the same",
    .source = "M. Collins, Discriminative training methods for hidden Markov models, EMNLP 2002",
    .kinks = "where the class is among the strongest: 0; between others that are equal: the first",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 3,
    .inputs = {SCORES},
    .params = {CLASS_PARAMS},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 1.4142135623730951,
    .hess_kinds = EXACT,
    .whole_rows = 1,
    .ulp_value = 2,
    .ulp_grad = 3, /* as crammer_singer */
    .ulp_hess = 0,
};
WHOLE_ROWS(multiclass_perceptron) { crammer_singer_row(r, v_zero(), 0); }

/* What a gap adds, to the power of 1 or 2, with its derivatives (half of them with 2: not to overflow before they
 * must); 0 where it is not positive. */
typedef struct {
    V value, slope, curve;
} gap_t;
ALWAYS_INLINE gap_t gap_of(V gap, int squared) {
    const M active = m_not(gap <= v_zero());
    if (squared) return (gap_t){v_where(active, gap * gap), v_where(active, gap), v_where(active, v_one())};
    return (gap_t){v_where(active, gap), v_where(active, v_one()), v_zero()};
}
#define PARAM_POWER PARAM_CHOICE("power", "1", "1, 2", "of the hinges")

/* A sum for each class that grows, with what its roundings took: all NULL where it is not wanted. */
typedef struct {
    REAL *sum, *rest;
} growing_t;
ALWAYS_INLINE growing_t grow(const whole_row_t *r, REAL *sum, REAL *rest) {
    EACH_VECTOR(r, i) row_put(sum, i, v_zero());
    EACH_VECTOR(r, i) row_put(sum ? rest : NULL, i, v_zero());
    return (growing_t){sum, rest};
}
ALWAYS_INLINE void grow_by(const growing_t *g, int64_t i, V x) {
    if (!g->sum) return;
    V rest, sum = two_sum(v_load(g->sum + i), x, &rest);
    v_store(g->sum + i, sum);
    v_store(g->rest + i, v_where(v_isfinite(sum), v_load(g->rest + i) + rest));
}
ALWAYS_INLINE void grow_class(const growing_t *g, int64_t class, V x) {
    grow_by(g, class / LANES * LANES, v_where(row_is(class / LANES * LANES, class), x));
}
ALWAYS_INLINE void grow_end(const whole_row_t *r, const growing_t *g, V share) {
    if (!g->sum) return;
    EACH_VECTOR(r, i) v_store(g->sum + i, (v_load(g->sum + i) + v_load(g->rest + i)) / share);
}

/* Weston and Watkins: a hinge for every other class. */
enum { MULTI_MARGIN = 3, MULTI_POWER, MULTI_AVERAGE };
static void multi_margin_setup(const double *params, double *constants) { keep_margin(params, 6, 3, constants); }
DEFINE(multi_margin) = {
    LOSS(multi_margin),
    .aliases = "multi_margin_loss",
    .family = "multiclass",
    .summary = "Hinges of the margins between the class and each other one, averaged over all classes.",
    .formula = "sum over k of class_weight target (sum over c != k of max(margin + pred_c - pred_k, 0)^power) / C",
    .latex = "\\sum_k \\frac{w_k t_k}{C} \\sum_{c \\ne k} \\max(m + z_c - z_k,\\ 0)^P",
    .tasks = "multiclass",
    .see_also = "crammer_singer, one_vs_all_hinge",
    .look_alikes = "PyTorch: MultiMarginLoss: the same, p is power; with weight: reduction=mean_units\nTorch7: "
                   "MultiMarginCriterion: the same\n"
                   "Weston and Watkins (1999): average=false",
    .source = "J. Weston, C. Watkins, Support vector machines for multi-class pattern recognition, ESANN 1999",
    .kinks = "with power=1 where a margin is met: 0",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 6,
    .inputs = {SCORES},
    .params = {CLASS_PARAMS, PARAM_DOUBLE("margin", "1", 0, 0, INFINITY, 1, "margin that is asked for"), PARAM_POWER,
               PARAM_BOOL("average", "true", "divides by the number of classes")},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 1,
    .hess_kinds = EXACT,
    .whole_rows = 1,
    .n_scratch = 3,
    .ulp_value = 4,
    .ulp_grad = 20, /* of soft targets, where sums over many classes cancel of which each coefficient was rounded */
    .ulp_hess = 4,
    .setup = multi_margin_setup,
};
/* Hinges may overflow, or their sum, where that divided by the number of classes does not. Then all is made anew of
 * scores that are so small that no sum over pairs of classes does. */
ALWAYS_INLINE double small_unit(int64_t n) {
    double unit = 0x1p-2;
    while (unit * (double)n * (double)n > 0x1p-2) unit /= 2;
    return unit;
}
ALWAYS_INLINE const REAL *scores_in_units(const whole_row_t *r, double unit, REAL *scaled) {
    if (unit == 1) return r->in[PRED];
    EACH_VECTOR(r, i) v_store(scaled + i, v_load(r->in[PRED] + i) * v_set(unit));
    return scaled;
}
ALWAYS_INLINE void multi_margin_in(whole_row_t *r, double unit) {
    const REAL *const x = scores_in_units(r, unit, r->scratch[2]);
    const V margin = r->p[MULTI_MARGIN] * v_set(unit), left = margin_left(r->p) * v_set(unit);
    const int squared = IS(r->p[MULTI_POWER]);
    const V share = IS(r->p[MULTI_AVERAGE]) ? v_set((double)r->n) : v_one();
    const growing_t grad = grow(r, r->grad[PRED], r->scratch[0]), hess = grow(r, r->hess, r->scratch[1]);
    row_sum_t value = row_sum();
    for (int64_t k = 0; k < r->n; k++) {
        const V w = v_set((double)r->w[k]), a = w * v_set((double)r->in[TARGET][k]);
        if (a[0] == 0 && !r->grad[TARGET]) continue;
        row_sum_t own = row_sum(), slope = row_sum(), curve = row_sum();
        EACH_VECTOR(r, i) {
            const gap_t g = gap_of(margin_over(margin, left, v_load(x + i), v_set((double)x[k])), squared);
            const M other = m_not(row_is(i, k));
            row_add(&own, r, i, v_where(other, g.value));
            row_add(&slope, r, i, v_where(other, g.slope));
            row_add(&curve, r, i, v_where(other, g.curve));
            if (a[0] == 0) continue;
            grow_by(&grad, i, v_where(other, a * g.slope));
            grow_by(&hess, i, v_where(other, a * g.curve));
        }
        const V loss = row_total_v(&own) / (share * v_set(unit));
        if (r->grad[TARGET]) r->grad[TARGET][k] = (w * loss)[0];
        if (a[0] == 0) continue;
        row_add(&value, r, k / LANES * LANES, v_where(row_is(k / LANES * LANES, k), a * loss));
        grow_class(&grad, k, -a * row_total_v(&slope));
        grow_class(&hess, k, a * row_total_v(&curve));
    }
    r->value = (REAL)row_total(&value);
    const V parts = squared ? v_set(0.5) * share : share;
    grow_end(r, &grad, parts);
    grow_end(r, &hess, parts);
}
WHOLE_ROWS(multi_margin) {
    double unit = 1;
    do { /* squares do not come back from infinity */
        multi_margin_in(r, unit);
        unit = unit == 1 && v_abs(v_set((double)r->value))[0] == (REAL)INFINITY ? small_unit(r->n) : 0;
    } while (unit > 0 && !IS(r->p[MULTI_POWER]));
}

/* A hinge for every class that applies against every one that does not. */
static void multilabel_margin_setup(const double *params, double *constants) { keep_margin(params, 1, 0, constants); }
DEFINE(multilabel_margin) = {
    LOSS(multilabel_margin),
    .aliases = "multilabel_margin_loss",
    .family = "multiclass",
    .summary = "Hinges of the margins between each class that applies and each one that does not.",
    .formula = "sum over j != i of target_j (1 - target_i) max(margin - (pred_j - pred_i), 0) / C",
    .latex = "\\frac{1}{C} \\sum_{j \\ne i} t_j (1 - t_i) \\max(m - (z_j - z_i),\\ 0)",
    .tasks = "multilabel",
    .see_also = "multi_margin, one_vs_all_hinge, bce_with_logits",
    .look_alikes = "PyTorch: MultiLabelMarginLoss: lists the classes, here 1 stands for each\n"
                   "Torch7: MultiLabelMarginCriterion: lists the classes",
    .source = "K. Crammer, Y. Singer, A family of additive online algorithms for category ranking, JMLR 3, 2003",
    .kinks = "where a margin is met: 0",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {INPUT("pred", REAL, 1, "score of each class"),
               INPUT("target", PROBABILITY, 1, "1 for each class that applies, 0 for the others")},
    .params = {PARAM_DOUBLE("margin", "1", 0, 0, INFINITY, 1, "margin that is asked for")},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_NONNEGATIVE,
    .hess_kinds = EXACT,
    .whole_rows = 1,
    .n_scratch = 3,
    .ulp_value = 4,
    .ulp_grad = 20, /* of soft targets, where sums over many classes cancel of which each coefficient was rounded */
    .ulp_hess = 0,
    .setup = multilabel_margin_setup,
};
ALWAYS_INLINE void multilabel_margin_in(whole_row_t *r, double unit) {
    const REAL *const x = scores_in_units(r, unit, r->scratch[2]), *const t = r->in[TARGET];
    const V margin = r->p[0] * v_set(unit), left = margin_left(r->p) * v_set(unit);
    const V zero = v_zero(), one = v_one(), classes = v_set((double)r->n);
    const growing_t grad = grow(r, r->grad[PRED], r->scratch[0]), by_target = grow(r, r->grad[TARGET], r->scratch[1]);
    row_sum_t value = row_sum();
    EACH_VECTOR(r, i) {
        row_outside(r, i, (v_load(t + i) < zero) | (v_load(t + i) > one));
        row_put(r->hess, i, zero);
    }
    if (r->outside >= 0) return;
    for (int64_t j = 0; j < r->n; j++) {
        const V applies = v_set((double)t[j]);
        if (t[j] == 0 && !r->grad[TARGET]) continue;
        row_sum_t own = row_sum(), slope = row_sum();
        EACH_VECTOR(r, i) {
            const gap_t g = gap_of(margin_over(margin, left, v_load(x + i), v_set((double)x[j])), 0);
            const M other = m_not(row_is(i, j));
            const V against = v_where(other, one - v_load(t + i));
            row_add(&own, r, i, v_where(against != zero, against * g.value));
            row_add(&slope, r, i, against * g.slope);
            if (t[j] == 0) continue;
            grow_by(&grad, i, applies * against * g.slope);
            grow_by(&by_target, i, v_where(other, -applies * g.value));
        }
        const V loss = row_total_v(&own);
        grow_class(&by_target, j, loss);
        if (t[j] == 0) continue;
        row_add(&value, r, j / LANES * LANES, v_where(row_is(j / LANES * LANES, j), applies * loss));
        grow_class(&grad, j, -applies * row_total_v(&slope));
    }
    r->value = (REAL)(row_total(&value) / ((double)r->n * unit));
    grow_end(r, &grad, classes);
    grow_end(r, &by_target, classes * v_set(unit));
}
WHOLE_ROWS(multilabel_margin) {
    double unit = 1;
    do {
        multilabel_margin_in(r, unit);
        unit = unit == 1 && v_abs(v_set((double)r->value))[0] == (REAL)INFINITY ? small_unit(r->n) : 0;
    } while (unit > 0 && r->outside < 0);
}

/* ---- One class against all others ----------------------------------------------------------------------------------
 */

DEFINE(one_vs_all_logistic) = {
    LOSS(one_vs_all_logistic),
    .aliases = "one_vs_rest_logistic",
    .family = "multiclass",
    .summary = "A binary cross entropy for each class, added up, on logits.",
    .formula = "sum over classes of class_weight (target log(1 + exp(-pred)) + (1 - target) log(1 + exp(pred)))",
    .latex = "\\sum_c w_c \\left(t_c \\log(1 + e^{-z_c}) + (1 - t_c) \\log(1 + e^{z_c})\\right)",
    .tasks = "multiclass, multilabel",
    .see_also = "bce_with_logits, one_vs_all_hinge, cross_entropy",
    .look_alikes = "CatBoost: MultiClassOneVsAll: multilabel_soft_margin\nLightGBM: multiclassova: the same\n"
                   "timm: BinaryCrossEntropy: multilabel_soft_margin",
    .source = "R. Rifkin, A. Klautau, In defense of one-vs-all classification, JMLR 5, 2004",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 3,
    .inputs = {INPUT("pred", LOGITS, 1, "log-odds of each class"),
               INPUT("target", LABEL, 1, "label, or the probability of each class")},
    .params = {CLASS_PARAMS},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX | LOSSFN_TRAIT_NONNEGATIVE |
              LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_CALIBRATED,
    .hess_kinds = EXACT | FISHER,
    .whole_rows = 1,
    .has_product = 1,
    .link = LOSSFN__LINK_LOGIT,
    .ulp_value = 4,
    .ulp_grad = 4,
    .ulp_hess = 6,
};
/* Divided by `parts`. */
ALWAYS_INLINE void one_vs_all_row(whole_row_t *r, double parts) {
    const V zero = v_zero(), one = v_one(), all = v_set(parts);
    row_sum_t value = row_sum();
    EACH_VECTOR(r, i) {
        const V z = v_load(r->in[PRED] + i), t = v_load(r->in[TARGET] + i), w = v_load(r->w + i);
        const logistic_t l = logistic_of(z, t, row_against(r, t));
        const M counts = w != zero;
        row_outside(r, i, (t < zero) | (t > one));
        row_add(&value, r, i, v_where(counts, w * l.value));
        row_put(r->grad[PRED], i, w * l.slope / all);
        row_put(r->grad[TARGET], i, v_where(counts, -w * z / all));
        row_put(r->hess, i, w * l.curve / all);
        if (r->product) v_store(r->product + i, w * l.curve * v_load(r->vector + i) / all);
    }
    r->value = (REAL)(row_total(&value) / parts);
    if (parts == 1 || !(r->value == (REAL)INFINITY)) return;
    const double unit = small_unit(r->n); /* the sum may overflow where the mean does not */
    value = row_sum();
    EACH_VECTOR(r, i) {
        const V t = v_load(r->in[TARGET] + i), w = v_load(r->w + i);
        const logistic_t l = logistic_of(v_load(r->in[PRED] + i), t, row_against(r, t));
        row_add(&value, r, i, v_where(w != zero, w * (l.value * v_set(unit))));
    }
    r->value = (REAL)(row_total(&value) / (parts * unit));
}
WHOLE_ROWS(one_vs_all_logistic) { one_vs_all_row(r, 1); }

/* The mean over the classes of their binary cross entropies. */
DEFINE(multilabel_soft_margin) = {
    LOSS(multilabel_soft_margin),
    .aliases = "",
    .family = "multiclass",
    .summary = "A binary cross entropy for each label of a sample, and their mean.",
    .formula =
        "sum over classes of class_weight (target log(1 + exp(-pred)) + (1 - target) log(1 + exp(pred))) / classes",
    .latex = "\\tfrac1C \\sum_c w_c \\left(t_c \\log(1 + e^{-z_c}) + (1 - t_c) \\log(1 + e^{z_c})\\right)",
    .tasks = "multilabel",
    .see_also = "one_vs_all_logistic, bce_with_logits, asymmetric_multilabel",
    .look_alikes = "PyTorch: MultiLabelSoftMarginLoss: the same; with weight: reduction=mean_units",
    .source =
        "R. Collobert, K. Kavukcuoglu, C. Farabet, Torch7: a Matlab-like environment for machine learning, BigLearn, "
        "2011",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 3,
    .inputs = {INPUT("pred", LOGITS, 1, "log-odds of each label"),
               INPUT("target", LABEL, 1, "probability of each label, or the only one that holds")},
    .params = {CLASS_PARAMS},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX | LOSSFN_TRAIT_NONNEGATIVE |
              LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_CALIBRATED,
    .hess_kinds = EXACT | FISHER,
    .whole_rows = 1,
    .has_product = 1,
    .link = LOSSFN__LINK_LOGIT,
    .ulp_value = 4,
    .ulp_grad = 5,
    .ulp_hess = 7,
};
WHOLE_ROWS(multilabel_soft_margin) { one_vs_all_row(r, (double)r->n); }

static void one_vs_all_hinge_setup(const double *params, double *constants) { keep_margin(params, 5, 3, constants); }
DEFINE(one_vs_all_hinge) = {
    LOSS(one_vs_all_hinge),
    .aliases = "one_vs_rest_hinge",
    .family = "multiclass",
    .summary = "A hinge for each class against all others, added up.",
    .formula = "sum over classes of class_weight (target max(margin - pred, 0)^power + (1 - target) max(margin + pred, "
               "0)^power)",
    .latex = "\\sum_c w_c \\left(t_c \\max(m - z_c, 0)^P + (1 - t_c) \\max(m + z_c, 0)^P\\right)",
    .tasks = "multiclass, multilabel",
    .see_also = "hinge, multi_margin, one_vs_all_logistic",
    .look_alikes =
        "Chainer: hinge: norm=L2 is power=2\nscikit-learn: LinearSVC: its data term, loss=squared_hinge is power=2",
    .source = "R. Rifkin, A. Klautau, In defense of one-vs-all classification, JMLR 5, 2004",
    .kinks = "with power=1 where a margin is met: 0",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 5,
    .inputs = {INPUT("pred", REAL, 1, "score of each class"),
               INPUT("target", LABEL, 1, "label, or the probability of each class")},
    .params = {CLASS_PARAMS, PARAM_DOUBLE("margin", "1", 0, 0, INFINITY, 1, "margin that is asked for"), PARAM_POWER},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_NONNEGATIVE,
    .hess_kinds = EXACT,
    .whole_rows = 1,
    .ulp_value = 4,
    .ulp_grad = 4,
    .ulp_hess = 2,
    .setup = one_vs_all_hinge_setup,
};
WHOLE_ROWS(one_vs_all_hinge) {
    const V zero = v_zero(), one = v_one(), margin = r->p[3], left = margin_left(r->p);
    const int squared = IS(r->p[4]);
    const V unit = squared ? v_set(2) : one; /* of a gap's derivatives */
    row_sum_t value = row_sum();
    EACH_VECTOR(r, i) {
        const V z = v_load(r->in[PRED] + i), t = v_load(r->in[TARGET] + i), w = v_load(r->w + i),
                no = row_against(r, t);
        const gap_t yes_gap = gap_of(margin_over(margin, left, zero, z), squared),
                    no_gap = gap_of(margin_over(margin, left, z, zero), squared);
        const M counts = w != zero;
        row_outside(r, i, (t < zero) | (t > one));
        const V loss = v_where(t != zero, t * yes_gap.value) + v_where(no != zero, no * no_gap.value);
        const V slope = v_where(no != zero, no * no_gap.slope) - v_where(t != zero, t * yes_gap.slope);
        row_add(&value, r, i, v_where(counts, w * loss));
        row_put(r->grad[PRED], i, v_where(counts, unit * (w * slope)));
        /* where both gaps are open their difference cancels */
        const V apart = squared ? v_set(-4) * margin * z : v_set(-2) * z;
        const V more = v_select(v_abs(z) < margin, apart, yes_gap.value - no_gap.value);
        row_put(r->grad[TARGET], i, v_where(counts, w * more));
        row_put(r->hess, i, unit * (w * (t * yes_gap.curve + no * no_gap.curve)));
    }
    r->value = (REAL)row_total(&value);
}
