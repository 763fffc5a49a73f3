/* SPDX-License-Identifier: MIT
 * Losses over rows of classes beside the cross entropies: with another normalisation than softmax, of ordered classes,
 * of margins. */

/* Sparsemax: with p the point of the simplex nearest to the logits z, p_c = max(z_c - tau, 0),
 *   sum over k of w_k t_k (|p - e_k|^2 / 2 + max(tau - z_k, 0)) + w_k t_k (t_k - 1) / 2,
 * which for t that sums to 1 (and no weights) is |p - t|^2 / 2 + t.max(tau - z, 0): a sum of squares, so nothing
 * cancels. q_c = 1 + z_c - max z: then p_c = max(q_c - u, 0) and 1 - p of the largest is u itself. */
DEFINE(sparsemax) = {
    LOSS(sparsemax),
    .aliases = "multiclass_sparsemax",
    .family = "multiclass",
    .summary = "Cross entropy's sparse relative: probabilities of unlikely classes are exactly 0.",
    .formula = "|p - target|^2 / 2 + sum over classes of target max(tau - pred, 0);  p = max(pred - tau, 0) sums to 1",
    .latex =
        "\\tfrac12 \\lVert p - t \\rVert^2 + \\sum_c t_c \\max(\\tau - z_c, 0), \\quad p_c = \\max(z_c - \\tau, 0)",
    .tasks = "multiclass",
    .see_also = "cross_entropy, entmax, crammer_singer",
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
    .ulp_value = 4,
    .ulp_grad = 4,
    .ulp_hess = 4,
};
typedef struct {
    V top, u, tau; /* the largest z; 1 + tau and tau of z - top */
    int64_t first; /* the class of the largest */
    int64_t n;     /* classes that have a probability */
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
        row_sum_t sum = row_sum(), down = row_sum();
        before = s.n;
        s.n = 0;
        EACH_VECTOR(r, i) {
            const V here = v_load(q + i);
            const M in = m_and(here > s.u, row_holds(r, i));
            s.n += __builtin_popcount(m_bits(in));
            row_add(&sum, r, i, v_where(m_and(in, m_not(row_is(i, s.first))), here));
            row_add(&down, r, i, v_where(in, v_load(r->in[PRED] + i) - s.top));
        }
        s.u = v_set((double)(REAL)(row_total(&sum) / (double)s.n));
        s.tau = v_set((double)(REAL)((row_total(&down) - 1) / (double)s.n));
        if (s.n == 0) s.u = v_set(NAN); /* no largest, or it is infinite */
    }
    return s;
}
/* The probability at x: z - tau or q - u, of which that of the smaller terms is exact to more digits. */
ALWAYS_INLINE V sparsemax_at(const sparsemax_t *s, V x, V q) {
    const V down = x - s->top;
    const V p = v_select(-(down + s->tau) < v_one(), down - s->tau, q - s->u);
    return v_where(m_not(q <= s->u), v_select(v_isnan(s->u), s->u, p));
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
        const V cross = v_where(all != w, (all - w) * t * (2 * p - t));
        const V below = v_where(m_and(out, a != zero), a * (s.u - here));
        row_add(&value, r, i, half * v_fma(all * error, error, cross) + below);
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
        v_store(r->grad[TARGET] + i, w * ((middle - p + t) + v_where(here <= s.u, s.u - here)));
    }
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
        const M negative = z < zero;
        const V a = v_abs(z), e = v_exp_minus(a), sum = one + e, against = one - t;
        const V far = v_select(negative, t, against), near = v_select(negative, against, t);
        const V slope = w * (v_fma(-near, e, far) / sum), curve = w * (e / (sum * sum));
        row_outside(r, i, (t < zero) | (t > one));
        row_add(&value, r, i, v_where(w != zero, w * (v_where(far != zero, far * a) + v_log1p_unit(e))));
        row_put(r->grad[PRED], i, v_select(negative, -slope, slope));
        row_put(r->grad[TARGET], i, v_where(w != zero, -w * z));
        row_put(r->hess, i, curve);
        if (r->product) v_store(r->product + i, curve * v_load(r->vector + i));
    }
    r->value = (REAL)row_total(&value);
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
    const softmax_t q = softmax_of(r, x);
    if (r->product) {
        const V from = v_set((double)r->vector[q.at < 0 ? 0 : q.at]);
        row_sum_t along = row_sum();
        EACH_VECTOR(r, i)
        row_add(&along, r, i, softmax_at(&q, v_load(x + i)) * (v_load(r->vector + i) - from));
        const V middle = row_total_v(&along);
        EACH_VECTOR(r, i)
        v_store(r->product + i, softmax_at(&q, v_load(x + i)) * ((v_load(r->vector + i) - from) - middle));
        return;
    }
    EACH_VECTOR(r, i) {
        const V p = softmax_at(&q, v_load(x + i));
        const V rest = v_select(row_is(i, q.at), q.rest * q.inverse, v_one() - p);
        const V t = v_where(row_is(i, low), nearer) + v_where(row_is(i, high), f);
        /* where t is 1, the probability of all others */
        row_put(r->grad[PRED], i, v_select(t == v_one(), -rest, p - t));
        row_put(r->hess, i, p * rest);
    }
    const V down = q.top - v_set((double)x[low]), other = q.top - v_set((double)x[high]);
    const V value = v_where(nearer != v_zero(), nearer * down) + v_where(f != v_zero(), f * other) + q.log_total;
    r->value = value[0];
    if (!r->grad[TARGET]) return;
    if (low == high)
        r->grad[TARGET][0] = low > 0 ? x[low - 1] - x[low] : 0;
    else
        r->grad[TARGET][0] = x[low] - x[high];
}
