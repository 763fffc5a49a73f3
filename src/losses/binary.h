/* SPDX-License-Identifier: MIT
 * Losses of a binary event: target y is 0, 1 or a probability between. */

#define SMOOTHED(y, epsilon) ((y) * (v_one() - (epsilon)) + v_set(0.5) * (epsilon))

enum { BCE_CLAMP = BASE_CONSTANTS, BCE_LOG_CLAMP, BCE_SMOOTHING, BCE_CLAMPED };
static void binary_cross_entropy_setup(const double *params, double *constants) {
    set_base(params[0], constants);
    constants[BCE_CLAMP] = params[1];
    constants[BCE_LOG_CLAMP] = params[2];
    constants[BCE_SMOOTHING] = params[3];
    constants[BCE_CLAMPED] = params[1] > 0 || params[2] > -INFINITY;
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
    .ulp_value = 4,
    .ulp_grad = 4,
    .ulp_hess = 5,
    .setup = binary_cross_entropy_setup,
};
ELEMENTWISE(binary_cross_entropy) {
    const V zero = v_zero(), one = v_one();
    V prob = in[PRED], y = in[TARGET];
    u->outside = (prob < zero) | (prob > one) | (y < zero) | (y > one);
    y = SMOOTHED(y, p[BCE_SMOOTHING]);
    M moved = m_none();
    if (IS(p[BCE_CLAMP])) {
        V high = one - p[BCE_CLAMP];
        moved = (prob < p[BCE_CLAMP]) | (prob > high);
        prob = v_select(prob < p[BCE_CLAMP], p[BCE_CLAMP], v_select(prob > high, high, prob));
    }
    V q = one - prob, z = one - y; /* q is exact for p >= 1/2 */
    V log_p = log_in_base(prob, p);
    V log_q = v_select(prob >= v_set(0.5), log_in_base(q, p), in_base(v_log1p(-prob), p));
    M low_p = m_none(), low_q = m_none();
    if (p[BCE_LOG_CLAMP][0] > -INFINITY) {
        V least = in_base(p[BCE_LOG_CLAMP], p);
        low_p = log_p < least;
        low_q = log_q < least;
        log_p = v_select(low_p, least, log_p);
        log_q = v_select(low_q, least, log_q);
    }
    u->value = zero - (v_select(y == zero, zero, y * log_p) + v_select(z == zero, zero, z * log_q)); /* never -0 */
    V of_p = v_where(m_not((y == zero) | low_p | moved), y / prob);
    V of_q = v_where(m_not((z == zero) | low_q | moved), z / q);
    /* (p - y) / (p q) where both terms count: their difference cancels */
    M both = m_not((y == zero) | (z == zero) | low_p | low_q | moved);
    u->grad[PRED] = in_base(v_nan_from(v_select(both, (prob - y) / (prob * q), of_q - of_p), prob + y), p);
    u->hess = in_base(v_where(of_p != zero, of_p / prob) + v_where(of_q != zero, of_q / q), p);
    V middle = in_base(v_log1p((one - 2 * prob) / prob), p); /* log((1 - p)/p) without cancelling near 1/2 */
    M near = (prob > v_set(0.25)) & (prob < v_set(0.75)) & m_not(low_p | low_q);
    u->grad[TARGET] = (one - p[BCE_SMOOTHING]) * v_select(near, middle, log_q - log_p);
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
    .hess_kinds = EXACT | FISHER,
    .ulp_value = 4,
    .ulp_grad = 4,
    .ulp_hess = 5,
    .setup = bce_with_logits_setup,
};
ELEMENTWISE(bce_with_logits) {
    const V zero = v_zero(), one = v_one();
    V z = in[PRED], y = in[TARGET], q = in[2], s, not_s, l;
    u->outside = (y < zero) | (y > one) | (q < zero);
    y = SMOOTHED(y, p[LOGIT_SMOOTHING]);
    V no = one - y, yes = q * y, c = no + yes;
    v_sigmoid_softplus(z, &s, &not_s, &l);
    V slope = v_select(z < zero, yes, no), far = v_select(slope == zero, zero, slope * v_abs(z));
    u->value = in_base(far + c * l, p);
    u->grad[PRED] = in_base(no * s - yes * not_s, p);
    V soft = l + v_select(z < zero, -z, zero); /* softplus(-z) */
    /* -z + (q - 1) softplus(-z), without the cancelling of z */
    V linear = v_select(z < zero, q, one), kept = one - p[LOGIT_SMOOTHING];
    linear = v_select(linear == zero, v_nan_from(zero, z), linear * z);
    u->grad[TARGET] = v_select(kept == zero, v_nan_from(zero, z), in_base(kept * ((q - one) * l - linear), p));
    u->grad[2] = in_base(v_select(y == zero, v_nan_from(zero, z), y * soft), p);
    u->hess = in_base(c * s * not_s, p);
}

/* Hartley (1928), Shannon (1948): the information of an event of probability p, -log p. */
static void information_setup(const double *params, double *constants) { set_base(params[0], constants); }
DEFINE(self_information) = {
    LOSS(self_information),
    .aliases = "surprisal",
    .family = "information",
    .summary = "The information of an event: in bits with base=2.",
    .formula = "-log(pred)",
    .latex = "-\\log p",
    .tasks = "",
    .see_also = "entropy, cross_entropy",
    .look_alikes = "",
    .source = "C. E. Shannon, A mathematical theory of communication, Bell Syst. Tech. J. 27, 1948",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 1,
    .n_params = 1,
    .inputs = {INPUT("pred", PROBABILITY, 1, "probability of what happened")},
    .params = {PARAM_BASE},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX | LOSSFN_TRAIT_NONNEGATIVE |
              LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT,
    .ulp_value = 1.5,
    .ulp_grad = 1.5,
    .ulp_hess = 2.5,
    .setup = information_setup,
};
ELEMENTWISE(self_information) {
    V prob = in[PRED];
    u->outside = (prob < v_zero()) | (prob > v_one());
    u->value = v_zero() - log_in_base(prob, p); /* 0 - x: no negative zero at p = 1 */
    u->grad[PRED] = in_base(-v_one() / prob, p);
    u->hess = in_base(v_one() / prob / prob, p);
}
