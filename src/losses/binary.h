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
    .params = {PARAM_BASE, PARAM_DOUBLE("label_smoothing", "0", 0, 0, 1, 0, "targets become y (1 - e) + e/2"),
               PARAM_LEARNABLE("pos_weight", "1", 0, 0, INFINITY, 1, "weight of the event's term")},
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

/* ---- Binary losses that turn down what is easy ------------------------------------------------------------------- */

/* What focal losses are made of, for a target y: s = sigmoid(z), t = 1 - s, both without cancelling; the binary cross
 * entropy and its slope; the distance w = s + y - 2 s y of the prediction from the target, whose power turns easy
 * examples down; w'/w. A hard label's w is a sigmoid, whose power is made of an exponential and of 1 + e, so that it
 * may be small. */
typedef struct {
    V s, t, entropy, slope, ratio;
    V e, base, decay; /* w = base e^-decay, decay 0 but for hard labels */
    M hard;
} focal_t;
ALWAYS_INLINE focal_t focal_of(V z, V y) {
    const V zero = v_zero(), one = v_one(), a = v_abs(z), e = v_exp_minus(a), sum = one + e, no = one - y;
    const M negative = z < zero;
    focal_t f = {.e = e};
    f.s = v_select(negative, e, one) / sum;
    f.t = v_select(negative, one, e) / sum;
    f.hard = (y == zero) | (no == zero);
    const V far = v_select(negative, y, no); /* the weight of what grows */
    f.entropy = v_fma(one, v_log1p_unit(e), v_where(far != zero, far * a));
    const V apart = v_fma(no, f.s, -(y * f.t));
    f.slope = v_select(f.hard, v_select(y == zero, f.s, -f.t), apart);
    const V distance = v_fma(f.s, no, f.t * y);
    f.ratio = v_select(f.hard, v_select(y == zero, f.t, -f.s), (no - y) * f.s * f.t / distance);
    /* hard: w = s for y = 0, t for y = 1: e / sum where that fades, else 1 / sum */
    const M fades = v_select(y == zero, one, zero) == v_select(negative, one, zero);
    f.base = v_select(f.hard, one / sum, distance);
    f.decay = v_where(m_and(f.hard, fades), a);
    return f;
}
/* w^g */
ALWAYS_INLINE V focal_power(const focal_t *f, V g) {
    const V sum = v_one() + f->e, power = v_pow(v_select(f->hard, sum, f->base), v_select(f->hard, -g, g));
    const V product = g * f->decay, rest = v_fma(g, f->decay, -product);
    return power * v_exp_minus_parts(product, rest);
}
/* The value, slope and curvature of w^g H, all times `factor`. */
ALWAYS_INLINE void focal_unit(const focal_t *f, V g, V factor, V z, unit_t *u) {
    const V root = v_select(g == v_zero(), v_one(), focal_power(f, v_set(0.5) * g)), infinity = v_set(INFINITY);
    const V pull = v_where(f->ratio != v_zero(), g * f->ratio * f->entropy), weight = factor * (root * root);
    const M none = (weight == v_zero()) | v_isnan(z); /* so small that nothing is left */
    const V value = v_select(f->entropy == infinity, infinity, factor * (f->entropy * root) * root);
    const V bend = v_fma(g - v_one(), f->ratio, f->t - f->s);
    const V curve = v_fma(pull, bend, v_fma(2 * g * f->ratio, f->slope, f->s * f->t));
    u->value = v_nan_from(v_where(factor != v_zero(), value), z);
    u->grad[PRED] = v_nan_from(v_where(m_not(none), weight * (pull + f->slope)), z);
    u->hess = v_nan_from(v_where(m_not(none), weight * curve), z);
    u->grad[TARGET] = v_zero();
}
#define BINARY_LOGITS                                                                                                  \
    INPUT("pred", LOGITS, 1, "log-odds of the event"), INPUT("target", PROBABILITY, 0, "0, 1 or a probability")
#define FOCAL_TRAITS                                                                                                   \
    (LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE |                      \
     LOSSFN_TRAIT_LIPSCHITZ)

enum { FOCAL_ALPHA, FOCAL_GAMMA };
/* Lin, Goyal, Girshick, He and Dollar (2017). */
DEFINE(sigmoid_focal) = {
    LOSS(sigmoid_focal),
    .aliases = "binary_focal",
    .family = "probability",
    .summary = "Binary cross entropy that turns down what is classified well: for rare events.",
    .formula = "a |target - s|^gamma bce;  s = sigmoid(pred), a = alpha target + (1 - alpha) (1 - target), bce = "
               "-target log(s) "
               "- (1 - target) log(1 - s), |target - s| = s (1 - target) + (1 - s) target",
    .latex = "\\alpha_t (1 - p_t)^\\gamma\\, \\mathrm{bce}(z, y)",
    .tasks = "binary, multilabel, detection",
    .see_also = "bce_with_logits, focal_star, categorical_focal",
    .look_alikes = "torchvision: sigmoid_focal_loss: the same, reduction=none\n"
                   "Keras: BinaryFocalCrossentropy(from_logits=True): alpha=-1 unless apply_class_balancing, clips the "
                   "sigmoid at 1e-7\n"
                   "optax: sigmoid_focal_loss: alpha=-1 unless given, reduction=none",
    .source = "T. Lin, P. Goyal, R. Girshick, K. He, P. Dollar, Focal loss for dense object detection, ICCV, 2017",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 2,
    .inputs = {BINARY_LOGITS},
    .params = {PARAM_DOUBLE("alpha", "0.25", -1, 0, 1, 0,
                            "weight of the event, 1 - alpha of the rest; below 0: both 1"),
               PARAM_DOUBLE("gamma", "2", 0, 0, INFINITY, 1, "how much easy examples are turned down")},
    .traits = FOCAL_TRAITS,
    .lipschitz = 0.85, /* 1.13 alpha or 1 - alpha, at gamma = 2 */
    .hess_kinds = EXACT,
    .ulp_value = 7.5, /* a power, a logarithm and the products of both */
    .ulp_grad = 8.5,
    .ulp_hess = 12,
};
ELEMENTWISE(sigmoid_focal) {
    const V one = v_one(), y = in[TARGET], no = one - y, alpha = p[FOCAL_ALPHA];
    const focal_t f = focal_of(in[PRED], y);
    u->outside = v_lesser(y, no) < v_zero();
    const V factor = v_select(alpha < v_zero(), one, v_fma(alpha, y, (one - alpha) * no));
    focal_unit(&f, p[FOCAL_GAMMA], factor, in[PRED], u);
}
