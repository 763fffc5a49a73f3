/* SPDX-License-Identifier: MIT
 * Losses over a row of classes. c->t is the target distribution (one-hot for a label), c->w the class weight. */

#include "losses/softmax_row.h"

enum { CLASS_SMOOTHING = BASE_CONSTANTS, CLASS_KEPT, CLASS_CLAMP, CLASS_LOG_CLAMP, CLASS_Z_LOSS = CLASS_CLAMP };
static void class_setup(const double *params, double *constants) {
    set_base(params[0], constants);
    constants[CLASS_SMOOTHING] = params[3];
    constants[CLASS_KEPT] = 1 - params[3];
}
static void cross_entropy_setup(const double *params, double *constants) {
    class_setup(params, constants);
    constants[CLASS_Z_LOSS] = params[4];
}
static void categorical_cross_entropy_setup(const double *params, double *constants) {
    class_setup(params, constants);
    constants[CLASS_CLAMP] = params[4];
    constants[CLASS_LOG_CLAMP] = params[5];
}

/* The coefficient of class c: its weight times its smoothed target. */
ALWAYS_INLINE V coefficient(const row_t *r, const class_t *c, const V *p) {
    if (c->absent) return v_zero();
    return c->w * smoothed_class(c->t, p[CLASS_SMOOTHING], p[CLASS_KEPT], v_one() / r->classes);
}

/* What a class costs, by its target before smoothing: 0 without a weight, or if nothing is kept of the target, whatever
 * it costs. */
ALWAYS_INLINE V by_target(const class_t *c, V cost, const V *p) {
    const V factor = p[CLASS_KEPT] * c->w;
    return v_where(factor != v_zero(), factor * cost);
}

/* Softmax cross entropy on logits x: sum over classes of a_c (ln sum exp x - x_c), a_c = w_c t_c.
 * With m the class of the largest logit and S' the sum of exp(x_c - x_m) over the others:
 *   value = sum a_c (x_m - x_c) + A log1p(S'),   A = sum a_c
 *   d/dx_c = A p_c - a_c,   at m: ((A - a_m) - a_m S') / (1 + S')
 * so that nothing is lost when the loss or 1 - p_c is small. The square of Z = ln sum exp x, times z_loss, adds
 * 2 z_loss Z to A in both derivatives, and 2 z_loss p_c^2 to the second. */
DEFINE(cross_entropy) = {
    LOSS(cross_entropy),
    .aliases = "softmax_cross_entropy",
    .family = "probability",
    .summary = "Negative log-likelihood of a class, on logits; labels or distributions.",
    .formula = "sum over classes of class_weight target (Z - pred) + z_loss Z^2;  Z = log sum exp(pred)",
    .latex = "\\sum_c w_c t_c \\left(Z - z_c\\right) + \\lambda Z^2, \\quad Z = \\log\\sum_k e^{z_k}",
    .tasks = "multiclass",
    .see_also = "categorical_cross_entropy, bce_with_logits, kl_div",
    .look_alikes =
        "PyTorch: CrossEntropyLoss: axis=1, ignore_index=-100; of soft targets with class weights its mean divides by "
        "N, as reduction=mean_units does, and mean by the total weight\n"
        "Keras: CategoricalCrossentropy(from_logits=True): the same\n"
        "Keras: SparseCategoricalCrossentropy(from_logits=True): the same\n"
        "optax: softmax_cross_entropy_with_integer_labels: reduction=none\n"
        "scikit-learn: HalfMultinomialLoss: the same\n"
        "Liger: LigerCrossEntropyLoss: lse_square_scale as z_loss; with softcap it is softcap_cross_entropy\nPaLM, "
        "T5X: z_loss=1e-4\n"
        "XGBoost: multi:softprob: its Hessian is twice this one",
    .source = "J. S. Bridle, Probabilistic interpretation of feedforward classification network outputs, 1990",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 5,
    .inputs = {INPUT("pred", LOGITS, 1, "unnormalised log-probability of each class"),
               INPUT("target", LABEL, 1, "label, or distribution over the classes")},
    .params = {PARAM_BASE, CLASS_PARAMS,
               PARAM_DOUBLE("z_loss", "0", 0, 0, INFINITY, 1,
                            "factor of the squared log-sum-exp (in nats), which it keeps near 0")},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_LIPSCHITZ | LOSSFN_TRAIT_PROPER |
              LOSSFN_TRAIT_CALIBRATED,
    .lipschitz = 1.4142135623730951,
    .hess_kinds = EXACT | FISHER | UPPER,
    .ulp_value = 4,
    .ulp_grad = 5, /* of many logits nearly alike, whose exponentials and their sum are off in opposite ways */
    .ulp_hess = 6,
    .has_product = 1,
    .setup = cross_entropy_setup,
};
/* With z_loss the curvature of Z itself may count less than 0 times, where Z is negative: but in no bound, and in what
 * must not be negative. */
ALWAYS_INLINE V curved_share(V share, const V *p) {
    return IS(p[CLASS_Z_LOSS]) && (WANTS(UPPER, p) || WANTS(FISHER, p)) ? at_least(share, 0) : share;
}
/* Every exponential here is e^(x_c - y), y near x_m and the same for the row: see v_below. */
ROWWISE_WITH_PRODUCT(cross_entropy, 4, 3, 1, 1);
ROW_SUMS(cross_entropy) {
    const below_t below = v_below(r->top);
    /* half of it, as the whole may overflow where a times it does not */
    V a = coefficient(r, c, p), half_down = v_fma(c->x, v_set(-0.5), v_set(0.5) * r->top);
    u->kept = v_exp_below(&below, c->x);
    s[0] = v_where(m_not(c->top), u->kept);
    s[1] = v_where(m_not(c->top | (a == v_zero())), a * half_down);
    s[2] = v_where(m_not(c->top), a);
    s[3] = v_where(c->top, a);
}
ROW_FINISH(cross_entropy) {
    V all = s[2] + s[3], rest, lost, one = v_exp_top(r->top, &rest), total = two_sum(one, s[0], &lost);
    V inverse = v_one() / total, share = all * inverse, log_total = v_log1p(s[0] / one);
    share = v_fma(v_fma(-share, total, all) - share * (lost + rest), inverse, share); /* A / S, rounded once */
    u->value = in_base(2 * s[1] + all * log_total, p);
    k[0] = r->top;
    k[1] = in_base(share, p);
    k[2] = in_base(v_fma(-s[3], s[0], s[2] * one) * inverse, p); /* gradient of the top class */
    k[3] = k[1] * one * (s[0] * inverse);                        /* its Hessian */
    k[4] = log_total;
    k[5] = inverse;
    k[6] = v_zero();
    if (IS(p[CLASS_Z_LOSS])) {
        const V z = log_sum_exp(r->top + log_total, r->top, v_zero(), one, rest, s[0]);
        const V twice = 2 * p[CLASS_Z_LOSS], pull = twice * z, likeliest = one * inverse;
        u->value = v_fma(p[CLASS_Z_LOSS] * z, z, u->value);
        k[1] = v_fma(pull, inverse, k[1]);
        k[2] = v_fma(pull, likeliest, k[2]);
        k[6] = twice * inverse * inverse;
        k[3] = curved_share(k[1], p) * one * (s[0] * inverse);
        if (!WANTS(UPPER, p)) k[3] = v_fma(twice * likeliest, likeliest, k[3]);
    }
}
ROW_MAP(cross_entropy) {
    const below_t below = v_below(k[0]);
    V a = c->absent ? v_zero() : in_base(coefficient(r, c, p), p);
    V half_down = v_fma(c->x, v_set(-0.5), v_set(0.5) * k[0]), e = c->has_kept ? c->kept : v_exp_below(&below, c->x);
    u->grad[PRED] = v_select(c->top, k[2], v_fma(e, k[1], -a));
    const V bend = e * curved_share(k[1], p) * (v_one() - e * k[5]);
    if (WANTS(UPPER, p)) /* the rows of the whole Hessian, summed */
        u->hess = v_fma(e, k[6] / k[5], 2 * v_select(c->top, k[3], bend));
    else
        u->hess = v_select(c->top, k[3], v_fma(e * e, k[6], bend));
    const V f = p[CLASS_KEPT] * c->w, whole = v_fma(f, k[4], 2 * (f * v_where(m_not(c->top), half_down)));
    u->grad[TARGET] = in_base(v_where(f != v_zero(), whole), p);
}

/* H v = A p (v - p.v), with v measured from that of the largest class, so that a constant part of it does not cancel.
 */
ROW_PRODUCT(cross_entropy) {
    const softmax_t q = softmax_of(r, r->in[PRED], NULL);
    const V from = v_set((double)r->vector[q.at < 0 ? 0 : q.at]);
    row_sum_t mass = row_sum(), product = row_sum();
    EACH_VECTOR(r, i) {
        row_add(&mass, r, i, v_load(r->w + i) * v_load(r->in[TARGET] + i));
        row_add(&product, r, i, softmax_at(&q, i) * (v_load(r->vector + i) - from));
    }
    const V twice = 2 * r->p[CLASS_Z_LOSS], pull = IS(r->p[CLASS_Z_LOSS]) ? twice * softmax_log_total(r, &q) : v_zero();
    const V share = in_base(row_total_v(&mass), r->p) + pull, middle = row_total_v(&product);
    const V shift = IS(r->p[CLASS_Z_LOSS]) ? twice * (from + middle) : v_zero();
    EACH_VECTOR(r, i)
    v_store(r->product + i, softmax_at(&q, i) * v_fma(share, (v_load(r->vector + i) - from) - middle, shift));
}

/* Cross entropy of log-probabilities as they are, of a log-softmax for instance: -sum over classes of w_c t_c x_c. */
DEFINE(nll) = {
    LOSS(nll),
    .aliases = "negative_log_likelihood",
    .family = "probability",
    .summary = "Negative log-likelihood of a class, on natural log-probabilities; labels or distributions.",
    .formula = "-sum over classes of class_weight target pred",
    .latex = "-\\sum_c w_c t_c \\log p_c",
    .tasks = "multiclass",
    .see_also = "cross_entropy, categorical_cross_entropy",
    .look_alikes = "PyTorch: NLLLoss: the same; axis=1; ignore_index=-100\nTorch7: ClassNLLCriterion: label_base=1\n"
                   "MLX: nll_loss: reduction=none",
    .source = "R. A. Fisher, On the mathematical foundations of theoretical statistics, Phil. Trans. A 222, 1922",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 4,
    .inputs = {INPUT("pred", LOG_PROBABILITY, 1, "natural logarithm of the probability of each class"),
               INPUT("target", LABEL, 1, "label, or distribution over the classes")},
    .params = {PARAM_BASE, CLASS_PARAMS},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_PROPER,
    .hess_kinds = EXACT,
    .has_product = 1,
    .ulp_value = 4,
    .ulp_grad = 3,
    .ulp_hess = 0,
    .setup = class_setup,
};
ROWWISE_WITH_PRODUCT(nll, 1, 1, 0, 0);
ROW_SUMS(nll) {
    (void)u;
    const V a = coefficient(r, c, p);
    s[0] = v_select(a == v_zero(), v_nan_from(v_zero(), c->x), a * c->x);
}
ROW_FINISH(nll) {
    (void)r, (void)k;
    u->value = v_zero() - in_base(s[0], p);
}
ROW_MAP(nll) {
    (void)k;
    u->grad[PRED] = v_nan_from(in_base(v_zero() - coefficient(r, c, p), p), c->x);
    u->hess = v_nan_from(v_zero(), c->x);
    u->grad[TARGET] = in_base(by_target(c, -c->x, p), p);
}
ROW_PRODUCT(nll) { EACH_VECTOR(r, i) v_store(r->product + i, v_zero()); }

/* Cross entropy of probabilities: -sum over classes of w_c t_c ln p_c, 0 ln 0 = 0. They are taken as they are. */
DEFINE(categorical_cross_entropy) = {
    LOSS(categorical_cross_entropy),
    .aliases = "",
    .family = "probability",
    .summary = "Negative log-likelihood of a class, on probabilities; labels or distributions.",
    .formula = "-sum over classes of class_weight target log(pred)",
    .latex = "-\\sum_c w_c t_c \\log p_c",
    .tasks = "multiclass",
    .see_also = "cross_entropy, kl_div, entropy",
    .look_alikes = "Keras: CategoricalCrossentropy: normalises and clips probabilities first; clamp=1e-7 clips\n"
                   "Keras: SparseCategoricalCrossentropy: as CategoricalCrossentropy, of labels\n"
                   "PyTorch: NLLLoss: takes log-probabilities",
    .source = "I. J. Good, Rational decisions, J. R. Statist. Soc. B 14, 1952",
    .kinks = "where clamp or log_clamp acts: gradient 0",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 6,
    .inputs = {INPUT("pred", PROBABILITY, 1, "probability of each class"),
               INPUT("target", LABEL, 1, "label, or distribution over the classes")},
    .params = {PARAM_BASE, CLASS_PARAMS,
               PARAM_DOUBLE("clamp", "0", 0, 0, 0.5, 1, "probabilities are clipped into [clamp, 1 - clamp]"),
               PARAM_DOUBLE("log_clamp", "-inf", -INFINITY, 0, 0, 1, "natural logarithms are at least this")},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_PROPER,
    .hess_kinds = EXACT,
    .has_product = 1,
    .ulp_value = 4,
    .ulp_grad = 3,
    .ulp_hess = 4,
    .setup = categorical_cross_entropy_setup,
};
/* The clipped probability and its logarithm; `held` where a clamp acts. */
ALWAYS_INLINE V clamped_log(V *prob, const V *p, M *held) {
    *held = m_none();
    V log_p, least = in_base(p[CLASS_LOG_CLAMP], p);
    if (IS(p[CLASS_CLAMP])) { /* from above it is the complement that is clipped: 1 - clamp may round to 1 */
        const V edge = p[CLASS_CLAMP];
        const M low = *prob < edge, high = v_one() - *prob < edge;
        *held = low | high;
        log_p = log_of_either(m_not(high), v_select(*held, edge, *prob), p);
        *prob = v_select(low, edge, v_select(high, v_one() - edge, *prob));
    } else {
        log_p = log_in_base(*prob, p);
    }
    *held |= log_p < least;
    return v_select(log_p < least, least, log_p);
}
ROWWISE_WITH_PRODUCT(categorical_cross_entropy, 1, 1, 0, 0);
ROW_SUMS(categorical_cross_entropy) {
    V a = coefficient(r, c, p), prob = c->x;
    M held;
    u->outside = (prob < v_zero()) | (prob > v_one());
    V log_p = clamped_log(&prob, p, &held);
    s[0] = v_select(a == v_zero(), v_nan_from(v_zero(), c->x), -a * log_p);
}
ROW_FINISH(categorical_cross_entropy) {
    (void)r, (void)p, (void)k;
    u->value = s[0];
}
ROW_MAP(categorical_cross_entropy) {
    (void)k;
    V a = coefficient(r, c, p), prob = c->x;
    M held;
    u->outside = (prob < v_zero()) | (prob > v_one());
    V log_p = clamped_log(&prob, p, &held);
    V slope = v_where(m_not(held | (a == v_zero())), a / prob);
    u->grad[PRED] = v_nan_from(in_base(-slope, p), c->x);
    u->hess = v_where(m_not(held | (a == v_zero())), in_base(a / prob / prob, p));
    u->grad[TARGET] = by_target(c, -log_p, p);
}
ROW_PRODUCT(categorical_cross_entropy) {
    EACH_VECTOR(r, i) {
        V a = v_load(r->w + i) * v_load(r->in[TARGET] + i), prob = v_load(r->in[PRED] + i);
        M held;
        clamped_log(&prob, r->p, &held);
        const V curve = v_where(m_not(held | (a == v_zero())), in_base(a / prob / prob, r->p));
        v_store(r->product + i, curve * v_load(r->vector + i));
    }
}
