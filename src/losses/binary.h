/* SPDX-License-Identifier: MIT
 * Losses of a binary event: target y is 0, 1 or a probability between. */

/* A target, or one minus it, with label smoothing, whose constant is the given one. */
ALWAYS_INLINE V smoothed(V y, const V *p, int epsilon) {
    return p ? y * (v_one() - p[epsilon]) + v_set(0.5) * p[epsilon] : y;
}

enum { BCE_CLAMP = BASE_CONSTANTS, BCE_LOG_CLAMP, BCE_SMOOTHING };
static void binary_cross_entropy_setup(const double *params, double *constants) {
    set_base(params[0], constants);
    constants[BCE_CLAMP] = params[1];
    constants[BCE_LOG_CLAMP] = params[2];
    constants[BCE_SMOOTHING] = params[3];
}

/* Good (1952), the logarithmic score: -y ln p - (1 - y) ln(1 - p). Exact at p = 0 and 1. */
DEFINE(binary_cross_entropy) = {
    LOSS(binary_cross_entropy),
    .aliases = "log_loss",
    .family = "probability",
    .summary = "Negative log-likelihood of a binary event, on probabilities.",
    .formula = "-target log(pred) - (1 - target) log(1 - pred)",
    .latex = "-y \\log p - (1 - y) \\log(1 - p)",
    .tasks = "binary, multilabel",
    .see_also = "bce_with_logits, cross_entropy",
    .look_alikes = "PyTorch: BCELoss: log_clamp=-100 for the value; +inf at p = 0, y = 1 here\n"
                   "Keras: BinaryCrossentropy: clamp=1e-7\nscikit-learn: log_loss: clamp=2.22e-16",
    .source = "I. J. Good, Rational decisions, J. R. Statist. Soc. B 14, 1952",
    .kinks = "where clamp or log_clamp acts: gradient 0",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 4,
    .inputs = {INPUT("pred", PROBABILITY, 1, "probability of the event"),
               INPUT("target", PROBABILITY, 1, "0, 1 or a probability")},
    .params = {PARAM_BASE,
               PARAM_DOUBLE("clamp", "0", 0, 0, 0.5, 1, "probabilities are clipped into [clamp, 1 - clamp]"),
               PARAM_DOUBLE("log_clamp", "-inf", -INFINITY, 0, 0, 1, "natural logarithms are at least this"),
               PARAM_DOUBLE("label_smoothing", "0", 0, 0, 1, 0, "targets become y (1 - e) + e/2")},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_PROPER | LOSSFN_TRAIT_CALIBRATED,
    .hess_kinds = EXACT,
    .ulp_value = 2.5,
    .ulp_grad = 3,
    .ulp_hess = 3,
    .setup = binary_cross_entropy_setup,
};
TUNED_ELEMENTWISE(binary_cross_entropy) {
    const V zero = v_zero(), one = v_one();
    V prob = in[PRED], y = smoothed(in[TARGET], p, BCE_SMOOTHING);
    M moved = m_none(), low_p = m_none(), low_q = m_none();
    V against = one - in[TARGET];
    u->outside = (v_lesser(prob, one - prob) < zero) | (v_lesser(in[TARGET], against) < zero);
    if (p && IS(p[BCE_CLAMP])) {
        V high = one - p[BCE_CLAMP];
        moved = (prob < p[BCE_CLAMP]) | (prob > high);
        prob = v_select(prob < p[BCE_CLAMP], p[BCE_CLAMP], v_select(prob > high, high, prob));
    }
    V q = one - prob, z = smoothed(against, p, BCE_SMOOTHING); /* q is exact for p >= 1/2 */
    /* A hard label needs the logarithm of one side only. */
    const int both = u->want == LOSSFN__WANT_ALL;
    M yes = y != zero, no = z != zero, soft = m_and(yes, no);
    V log_p = log_of_either(both ? m_not(m_none()) : yes, prob, p), log_q = log_p;
    if (both || m_any(soft)) log_q = v_select(both ? m_not(m_none()) : soft, log_of_either(m_none(), prob, p), log_p);
    if (p && p[BCE_LOG_CLAMP][0] > -INFINITY) {
        V least = in_base(p[BCE_LOG_CLAMP], p);
        low_p = log_p < least;
        low_q = log_q < least;
        log_p = v_select(low_p, least, log_p);
        log_q = v_select(low_q, least, log_q);
    }
    u->value = zero - (v_where(yes, y * log_p) + v_where(no, z * log_q));      /* never -0 */
    M of_p = m_andnot(yes, low_p | moved), of_q = m_andnot(no, low_q | moved); /* terms with a slope */
    /* (p - y) / (p q) where both have one: their difference cancels; of a smoothed y, the smaller side is right */
    V apart = v_select(prob < v_set(0.5), prob - y, z - q);
    V slope = v_select(m_and(of_p, of_q), apart, v_select(of_p, -y, v_where(of_q, z)));
    u->grad[PRED] = in_base(slope / (v_select(of_p, prob, one) * v_select(of_q, q, one)), p);
    u->grad[PRED] = v_nan_from(u->grad[PRED], prob + y);
    u->hess = in_base(v_where(of_p, y / prob / prob) + v_where(of_q, z / q / q), p);
    V middle = in_base(v_log1p((one - 2 * prob) / prob), p); /* log((1 - p)/p) without cancelling near 1/2 */
    M near = (prob > v_set(0.25)) & (prob < v_set(0.75)) & m_not(low_p | low_q);
    u->grad[TARGET] = (p ? one - p[BCE_SMOOTHING] : one) * v_select(near, middle, log_q - log_p);
}

enum { LOGIT_BASE = 0, LOGIT_SMOOTHING = BASE_CONSTANTS };
static void bce_with_logits_setup(const double *params, double *constants) {
    set_base(params[0], constants);
    constants[LOGIT_SMOOTHING] = params[1];
}

/* The same on logits, p = sigmoid(z). With a positive class of weight q, c = 1 + (q - 1) y and l = log1p(exp(-|z|)):
 *   (1 - y) max(z, 0) + q y max(-z, 0) + c l */
DEFINE(bce_with_logits) = {
    LOSS(bce_with_logits),
    .aliases = "sigmoid_cross_entropy",
    .family = "probability",
    .summary = "Negative log-likelihood of a binary event, on logits.",
    .formula = "-pos_weight target log(s) - (1 - target) log(1 - s);  s = sigmoid(pred)",
    .latex = "-w y \\log\\sigma(z) - (1 - y) \\log(1 - \\sigma(z))",
    .tasks = "binary, multilabel",
    .see_also = "binary_cross_entropy, cross_entropy, hinge",
    .look_alikes =
        "PyTorch: BCEWithLogitsLoss: the same, pos_weight included\n"
        "Keras: BinaryCrossentropy(from_logits=True): the same\noptax: sigmoid_binary_cross_entropy: reduction=none\n"
        "TensorFlow: weighted_cross_entropy_with_logits: pos_weight\nscikit-learn: HalfBinomialLoss: the same\n"
        "XGBoost: binary:logistic: gradient and Hessian of reduction=sum",
    .source = "J. Berkson, Application of the logistic function to bio-assay, JASA 39, 1944",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 3,
    .n_params = 3,
    .inputs = {INPUT("pred", LOGITS, 1, "log-odds of the event"),
               INPUT("target", PROBABILITY, 1, "0, 1 or a probability"),
               LEARNABLE("pos_weight", POSITIVE, 1, "weight of the event's term")},
    .params = {PARAM_BASE,
               PARAM_DOUBLE("label_smoothing", "0", 0, 0, 1, 0, "targets become y (1 - e) + e/2"),
               {.name = "pos_weight",
                .type = LOSSFN_PARAM_DOUBLE,
                .default_value = "1",
                .lower = 0,
                .upper = INFINITY,
                .upper_open = 1,
                .learnable = 1,
                .doc = "weight of the event's term"}},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX | LOSSFN_TRAIT_NONNEGATIVE |
              LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_LIPSCHITZ |
              LOSSFN_TRAIT_PROPER | LOSSFN_TRAIT_CALIBRATED,
    .lipschitz = 1,
    .hess_kinds = EXACT | FISHER | UPPER,
    .ulp_value = 3,
    .ulp_grad = 3,
    .ulp_hess = 6,
    .setup = bce_with_logits_setup,
};
TUNED_ELEMENTWISE(bce_with_logits) {
    const V zero = v_zero(), one = v_one();
    V z = in[PRED], y = smoothed(in[TARGET], p, LOGIT_SMOOTHING), q = LEARNED(p, in, 2, 1);
    V against = one - in[TARGET];
    u->outside = (v_lesser(in[TARGET], against) < zero) | (q < zero);
    M negative = z < zero;
    V no = smoothed(against, p, LOGIT_SMOOTHING), yes = q * y, c = no + yes;
    V a = v_abs(z), e = v_exp_minus(a), l = v_log1p_unit(e), sum = one + e;
    V far = v_select(negative, yes, no), near = v_select(negative, no, yes); /* weights of what grows and what fades */
    V rise = v_where(far != zero, p ? v_select(negative, q, one) * (v_select(negative, y, no) * a) : far * a);
    V fall = c * l, slope = v_fma(-near, e, far), curve = c * (e / (sum * sum));
    M faint = p ? m_and(e<v_set(NEGLIGIBLE), q> one) : m_none();
    if (p && m_any(faint)) { /* a subnormal e has lost digits that a large pos_weight would show; sum = 1, l = e */
        V root = v_exp_minus(v_set(0.5) * a), whole = c * root * root;
        fall = v_select(faint, whole, fall);
        slope = v_select(faint, far - near * root * root, slope);
        curve = v_select(faint, whole, curve);
    }
    u->value = in_base(rise + fall, p);
    slope /= sum;
    u->grad[PRED] = in_base(v_select(negative, -slope, slope), p);
    u->hess = in_base(WANTS(UPPER, p) ? v_nan_from(v_set(0.25) * c, z) : curve, p);
    V soft = l + v_where(negative, a); /* softplus(-z) */
    /* -z + (q - 1) softplus(-z), without the cancelling of z */
    V linear = v_select(negative, q, one), kept = p ? one - p[LOGIT_SMOOTHING] : one;
    linear = v_select(linear == zero, v_nan_from(zero, z), linear * z);
    u->grad[TARGET] = v_select(kept == zero, v_nan_from(zero, z), in_base(kept * ((q - one) * l - linear), p));
    u->grad[2] = in_base(v_select(y == zero, v_nan_from(zero, z), y * soft), p);
}
