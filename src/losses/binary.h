/* SPDX-License-Identifier: MIT
 * Losses of a binary event: target y is 0, 1 or a probability between. */

#include "simd/logistic.h"

/* A target, or one minus it, with label smoothing, whose constant is the given one. */
ALWAYS_INLINE V smoothed(V y, const V *p, int epsilon) {
    return p ? y * (v_one() - p[epsilon]) + v_set(0.5) * p[epsilon] : y;
}

enum { BCE_CLAMP = BASE_CONSTANTS, BCE_LOG_CLAMP, BCE_SMOOTHING, BCE_LOG_LEAST, BCE_LOG_MOST };
static void binary_cross_entropy_setup(const double *params, double *constants) {
    set_base(params[0], constants);
    constants[BCE_CLAMP] = params[1];
    constants[BCE_LOG_CLAMP] = params[2];
    constants[BCE_SMOOTHING] = params[3];
    constants[BCE_LOG_LEAST] = (double)v_log(v_set(params[1]))[0] / constants[BASE_LN];
    constants[BCE_LOG_MOST] = (double)v_log1p(v_set(-params[1]))[0] / constants[BASE_LN];
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
    M under = m_none(), over = m_none(), low_p = m_none(), low_q = m_none();
    V against = one - in[TARGET];
    u->outside = (v_lesser(prob, one - prob) < zero) | (v_lesser(in[TARGET], against) < zero);
    const int clamped = p && IS(p[BCE_CLAMP]);
    V q = one - prob;
    if (clamped) { /* 1 - clamp rounded is another number, of which little may be left to 1 */
        const V low = p[BCE_CLAMP], high = one - low;
        under = prob < low, over = q < low;
        prob = v_select(under, low, v_select(over, high, prob));
        q = v_select(over, low, v_select(under, high, q));
    }
    const M moved = under | over;
    V z = smoothed(against, p, BCE_SMOOTHING); /* q is exact for p >= 1/2 */
    /* A hard label needs the logarithm of one side only. */
    const int both = u->want == LOSSFN__WANT_ALL;
    M yes = y != zero, no = z != zero, soft = m_and(yes, no);
    V log_p = log_of_either(both ? m_not(m_none()) : yes, prob, p), log_q = log_p;
    if (both || m_any(soft)) log_q = v_select(both ? m_not(m_none()) : soft, log_of_either(m_none(), prob, p), log_p);
    if (clamped) {
        log_p = v_select(under, p[BCE_LOG_LEAST], v_select(over, p[BCE_LOG_MOST], log_p));
        log_q = v_select(over, p[BCE_LOG_LEAST], v_select(under, p[BCE_LOG_MOST], log_q));
    }
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
    V w;              /* may be subnormal: for powers of it that vanish there */
    V e, base, decay; /* w = base e^-decay, decay 0 but for hard labels */
    M hard;
} focal_t;
ALWAYS_INLINE focal_t focal_of(V z, V y) {
    const V zero = v_zero(), one = v_one(), a = v_abs(z), e = v_exp_minus(a), sum = one + e, no = one - y;
    const V more = one / sum, less = e / sum;
    const M negative = z < zero;
    focal_t f = {.e = e};
    f.s = v_select(negative, less, more);
    f.t = v_select(negative, more, less);
    f.hard = (y == zero) | (no == zero);
    const V far = v_select(negative, y, no); /* the weight of what grows */
    f.entropy = v_fma(one, v_log1p_unit(e), v_where(far != zero, far * a));
    /* hard: w = s for y = 0, t for y = 1: e / sum where that fades, else 1 / sum */
    const M fades = v_select(y == zero, one, zero) == v_select(negative, one, zero);
    f.slope = v_select(y == zero, f.s, -f.t);
    f.w = v_select(y == zero, f.s, f.t);
    f.ratio = v_select(y == zero, f.t, -f.s);
    f.base = more;
    f.decay = v_where(m_and(f.hard, fades), a);
    if (!m_all(f.hard)) {
        const V distance = v_fma(f.s, no, f.t * y), bend = (no - y) * f.s * f.t / distance;
        f.slope = v_select(f.hard, f.slope, v_fma(no, f.s, -(y * f.t)));
        f.w = v_select(f.hard, f.w, distance);
        f.ratio = v_select(f.hard, f.ratio, bend);
        f.base = v_select(f.hard, more, distance);
    }
    return f;
}
/* sigmoid(a) and sigmoid(-a) in two parts, a >= 0, for where they count several times */
typedef struct {
    V e, share; /* e^-a is e (1 + share) */
    V more, more_rest, less, less_rest;
} sides_t;
ALWAYS_INLINE sides_t sides_of(V a) {
    sides_t s;
    const V one = v_one(), zero = v_zero();
    V r, tail, left, rest, n = exp_parts(at_least(-a, EXP_UNDERFLOW), zero, &r, &tail),
                           m = exp_whole(zero, r, tail, &left);
    s.e = v_ldexp(m, n), s.share = left / m;
    const V sum = fast_two_sum(one, s.e, &rest);
    s.more = one / sum;
    const V lost = v_fma(-s.more, sum, one) - s.more * v_fma(s.e, s.share, rest);
    s.more_rest = lost * s.more;
    s.less = s.e * s.more;
    s.less_rest = v_fma(lost + s.share, s.less, v_fma(s.e, s.more, -s.less));
    return s;
}
/* w^g of any g */
ALWAYS_INLINE V focal_power(const focal_t *f, V g) {
    const V sum = v_one() + f->e, power = v_pow(v_select(f->hard, sum, f->base), v_select(f->hard, -g, g));
    const V product = g * f->decay, rest = v_fma(g, f->decay, -product);
    return power * v_exp_minus_parts(product, rest);
}
/* w^(g/2), without a general power where g is one of those that everybody takes. */
ALWAYS_INLINE V focal_root(const focal_t *f, V g) {
    const M none = g == v_zero(), single = g == v_one(), two = g == v_set(2), four = g == v_set(4);
    const M easy = m_or(m_or(none, single), m_or(two, four));
    V root = v_select(two, f->w, v_one());
    if (m_any(m_or(single, four))) {
        const V base = v_select(single, v_sqrt(f->base), f->base * f->base);
        root = v_select(m_or(single, four), base * v_exp_minus(v_set(0.5) * g * f->decay), root);
    }
    return m_all(easy) ? root : v_select(easy, root, focal_power(f, v_set(0.5) * g));
}
/* x^g, 0 <= x <= 1, alike */
ALWAYS_INLINE V share_power(V x, V g) {
    const M single = g == v_one(), two = g == v_set(2), four = g == v_set(4), easy = m_or(single, m_or(two, four));
    const V square = x * x, power = v_select(single, x, v_select(two, square, square * square));
    return m_all(easy) ? power : v_select(easy, power, v_pow(x, g));
}
/* The value, slope and curvature of w^g H, all times `factor`. */
ALWAYS_INLINE void focal_unit(const focal_t *f, V g, V factor, V z, unit_t *u) {
    const V root = focal_root(f, g), infinity = v_set(INFINITY);
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

enum { FOCAL_ALPHA, FOCAL_GAMMA, FOCAL_AGAINST };
static void sigmoid_focal_setup(const double *params, double *constants) {
    constants[FOCAL_ALPHA] = params[FOCAL_ALPHA];
    constants[FOCAL_GAMMA] = params[FOCAL_GAMMA];
    constants[FOCAL_AGAINST] = 1 - params[FOCAL_ALPHA];
}
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
    .ulp_value = 10, /* a power, a logarithm and the products of both */
    .ulp_grad = 12,
    .ulp_hess = 12,
    .setup = sigmoid_focal_setup,
};
ELEMENTWISE(sigmoid_focal) {
    const V one = v_one(), y = in[TARGET], no = one - y, alpha = p[FOCAL_ALPHA];
    const focal_t f = focal_of(in[PRED], y);
    u->outside = v_lesser(y, no) < v_zero();
    const V factor = v_select(alpha < v_zero(), one, v_fma(alpha, y, p[FOCAL_AGAINST] * no));
    focal_unit(&f, p[FOCAL_GAMMA], factor, in[PRED], u);
}

enum { VARIFOCAL_ALPHA, VARIFOCAL_GAMMA, VARIFOCAL_WEIGHTED };
/* Zhang, Wang, Dayoub and Sunderhauf (2021): a positive's weight is its quality, only negatives are turned down. */
DEFINE(varifocal) = {
    LOSS(varifocal),
    .aliases = "varifocal_loss",
    .family = "probability",
    .summary = "Focal for scores that predict a quality: only what has none is turned down.",
    .formula = "target bce where target > 0, else alpha s^gamma bce;  s = sigmoid(pred), bce = bce_with_logits",
    .latex = "\\begin{cases} y\\,\\mathrm{bce}(z, y) & y > 0 \\\\ \\alpha\\,\\sigma(z)^\\gamma\\,\\mathrm{bce}(z, 0) & "
             "y = 0 "
             "\\end{cases}",
    .tasks = "detection",
    .see_also = "sigmoid_focal, quality_focal, gaussian_focal",
    .look_alikes = "mmdetection: VarifocalLoss: reduction=none",
    .source =
        "H. Zhang, Y. Wang, F. Dayoub, N. Sunderhauf, VarifocalNet, an IoU-aware dense object detector, CVPR, 2021",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 3,
    .inputs = {INPUT("pred", LOGITS, 1, "log-odds of the class"),
               INPUT("target", PROBABILITY, 0, "quality in (0, 1], as the overlap with the object; 0 without one")},
    .params = {PARAM_DOUBLE("alpha", "0.75", 0, 0, INFINITY, 1, "weight of what has no object"),
               PARAM_DOUBLE("gamma", "2", 0, 0, INFINITY, 1, "how much of it that is easy is turned down"),
               PARAM_BOOL("weighted", "true", "an object counts as much as its quality")},
    .traits = FOCAL_TRAITS,
    .lipschitz = 1,
    .hess_kinds = EXACT,
    .ulp_value = 7.5,
    .ulp_grad = 8.5,
    .ulp_hess = 12,
};
ELEMENTWISE(varifocal) {
    const V y = in[TARGET], zero = v_zero();
    const focal_t f = focal_of(in[PRED], y);
    const M object = y > zero;
    u->outside = v_lesser(y, v_one() - y) < zero;
    const V weight = v_select(object, IS(p[VARIFOCAL_WEIGHTED]) ? y : v_one(), p[VARIFOCAL_ALPHA]);
    focal_unit(&f, v_where(m_not(object), p[VARIFOCAL_GAMMA]), weight, in[PRED], u);
}

enum { GAUSSIAN_ALPHA, GAUSSIAN_GAMMA };
/* Law and Deng (2018). */
DEFINE(gaussian_focal) = {
    LOSS(gaussian_focal),
    .aliases = "heatmap_focal, penalty_reduced_focal",
    .family = "probability",
    .summary = "Focal for heatmaps of key points: near a peak less is asked for.",
    .formula =
        "-(1 - s)^alpha log(s) where target = 1, else -(1 - target)^gamma s^alpha log(1 - s);  s = sigmoid(pred)",
    .latex = "\\begin{cases} -(1 - s)^\\alpha \\ln s & y = 1 \\\\ -(1 - y)^\\gamma s^\\alpha \\ln(1 - s) & y < 1 "
             "\\end{cases}",
    .tasks = "detection",
    .see_also = "sigmoid_focal, quality_focal",
    .look_alikes = "mmdetection: GaussianFocalLoss: takes probabilities, adds 1e-12 inside logarithms, reduction=none",
    .source = "H. Law, J. Deng, CornerNet, detecting objects as paired keypoints, ECCV, 2018",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 2,
    .inputs = {INPUT("pred", LOGITS, 1, "log-odds of a key point"),
               INPUT("target", PROBABILITY, 0, "1 at a key point, falling off around it")},
    .params = {PARAM_DOUBLE("alpha", "2", 0, 0, INFINITY, 1, "how much easy places are turned down"),
               PARAM_DOUBLE("gamma", "4", 0, 0, INFINITY, 1, "how much places near a peak are")},
    .traits = FOCAL_TRAITS,
    .lipschitz = 1.13,
    .hess_kinds = EXACT,
    .ulp_value = 8.5,
    .ulp_grad = 9.5,
    .ulp_hess = 13,
};
ELEMENTWISE(gaussian_focal) {
    const V y = in[TARGET], one = v_one(), zero = v_zero();
    const M peak = y == one;
    const focal_t f = focal_of(in[PRED], v_select(peak, one, v_nan_from(zero, y)));
    u->outside = v_lesser(y, one - y) < zero;
    const V weight = v_select(peak, one, share_power(one - y, p[GAUSSIAN_GAMMA]));
    focal_unit(&f, p[GAUSSIAN_ALPHA], weight, in[PRED], u);
}

/* Li, Wang, Wu, Chen, Hu, Li, Tang and Yang (2020). */
static void quality_setup(const double *params, double *constants) { set_finely(params[0], constants); }
DEFINE(quality_focal) = {
    LOSS(quality_focal),
    .aliases = "quality_focal_loss",
    .family = "probability",
    .summary = "Focal for soft targets: what is near its target is turned down.",
    .formula = "|target - s|^beta bce;  s = sigmoid(pred), bce = bce_with_logits",
    .latex = "|y - \\sigma(z)|^\\beta\\,\\mathrm{bce}(z, y)",
    .tasks = "detection",
    .see_also = "sigmoid_focal, varifocal, distribution_focal",
    .look_alikes = "mmdetection: QualityFocalLoss: summed over the classes",
    .source = "X. Li et al., Generalized focal loss, learning qualified and distributed bounding boxes, NeurIPS, 2020",
    .kinks = "sigmoid(pred) = target: gradient 0; the Hessian jumps or is infinite there if beta is below 2",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {INPUT("pred", LOGITS, 1, "log-odds of the class"),
               INPUT("target", PROBABILITY, 0, "quality, as the overlap with the object; 0 without one")},
    .params = {PARAM_DOUBLE("beta", "2", 1, 0, INFINITY, 1, "how much easy examples are turned down")},
    .traits = FOCAL_TRAITS,
    .lipschitz = 1.13,
    .hess_kinds = EXACT,
    .ulp_value = 3.5,
    .ulp_grad = 5,
    .ulp_hess = 6,
    .setup = quality_setup,
};
/* With d = s - y, H the cross entropy: |d|^b H, its derivatives by z. */
IN_DOUBLE(quality_focal, 2) {
    const double beta = finely(p);
    const D z = in[PRED], y = in[TARGET], b = d_set(beta), zero = d_set(0), one = d_set(1);
    const logistic_pair l = logistic_pair_of(z);
    pair d = logistic_gap(&l, y);
    const D entropy = logistic_entropy(&l, y), st = logistic_slope(&l);
    const L below = d.hi < zero;
    d = pair_of(d_abs(d.hi), d_select(below, -d.lo, d.lo));
    const D lower = d_pow_pair(d, beta - 1), pull = d_select(st == zero, zero, b * st * entropy);
    const D side = d_select(below, -lower, lower), nan = z + y;
    const L missing = nan != nan;
    u->value = d_select(missing, nan, d_select(d.hi == zero, zero, lower * (d.hi * entropy)));
    u->grad[PRED] = d_select(missing, nan, side * d_fma(d.hi, d.hi, pull));
    if (!WANTS_HESS(u)) return;
    const D w = d_select(d.hi == zero, zero, lower * d.hi), lowest = d_pow_pair(d, beta - 2);
    const D bend = d_select(b == one, zero, (b - one) * st * lowest), tilt = logistic_tilt(&l);
    u->hess = d_select(st == zero, zero, d_fma(st * w, 2 * b + one, pull * d_fma(side, tilt, bend)));
    u->hess = d_select(missing, nan, u->hess);
}
/* Value and gradient for beta = 2 where y is 0 or 1: of x = z or -z they are w^2 H and w^2 (2 (1 - w) H + w), with
 * w = sigmoid(x), H = softplus(x). */
ALWAYS_INLINE void quality_of_outcome(V z, V y, unit_t *u) {
    const V zero = v_zero(), a = v_abs(z);
    const M no = y == zero, fades = v_select(no, z, -z) < zero;
    const sides_t s = sides_of(a);
    const V w = v_select(fades, s.less, s.more), rest = v_select(fades, s.less_rest, s.more_rest);
    const V other = v_select(fades, s.more, s.less), square = v_fma(w, w, 2 * w * rest);
    const V entropy = v_fma(s.share, s.less, v_log1p_unit(s.e)) + v_where(m_not(fades), a);
    const V slope = square * v_fma(2 * other, v_where(other != zero, entropy), w);
    u->value = square * entropy;
    u->grad[PRED] = v_select(no, slope, -slope);
}
ELEMENTWISE(quality_focal) {
    const V z = in[PRED], y = in[TARGET], zero = v_zero(), one = v_one();
    u->outside = v_lesser(y, one - y) < zero;
    if (finely(p) != 2) {
        quality_focal_in_double(in, p, u);
        return;
    }
    quality_of_outcome(z, y, u);
    u->hess = u->grad[TARGET] = zero;
    const M outcome = (y == zero) | (y == one);
    if (u->want >= LOSSFN__WANT_HESS || !m_all(outcome)) {
        unit_t any = {.want = u->want};
        quality_focal_in_double(in, p, &any);
        u->value = v_select(outcome, u->value, any.value);
        u->grad[PRED] = v_select(outcome, u->grad[PRED], any.grad[PRED]);
        u->hess = any.hess;
    }
}

enum { ASYMMETRIC_POS, ASYMMETRIC_NEG, ASYMMETRIC_CLIP };
/* Ridnik, Ben-Baruch, Zamir, Noy, Friedman, Protter and Zelnik-Manor (2021). */
static void asymmetric_setup(const double *params, double *constants) {
    constants[ASYMMETRIC_POS] = params[ASYMMETRIC_POS];
    constants[ASYMMETRIC_NEG] = params[ASYMMETRIC_NEG];
    set_finely(params[ASYMMETRIC_CLIP], constants + ASYMMETRIC_CLIP);
}
DEFINE(asymmetric_multilabel) = {
    LOSS(asymmetric_multilabel),
    .aliases = "asymmetric_loss, asl",
    .family = "probability",
    .summary =
        "Focal that turns down negatives more than positives, and leaves out those that are certain: for many labels.",
    .formula =
        "-target (1 - s)^gamma_pos log(s) - (1 - target) m^gamma_neg log(1 - m);  s = sigmoid(pred), m = max(s - "
        "clip, 0)",
    .latex = "-y (1 - s)^{\\gamma_+} \\ln s - (1 - y)\\, m^{\\gamma_-} \\ln(1 - m),\\quad m = \\max(s - c, 0)",
    .tasks = "multilabel",
    .see_also = "sigmoid_focal, bce_with_logits",
    .look_alikes = "timm: AsymmetricLossMultiLabel: reduction=sum, labels 0 and 1; its eps is not needed",
    .source = "T. Ridnik et al., Asymmetric loss for multi-label classification, ICCV, 2021",
    .kinks = "s = clip: gradient 0",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 3,
    .inputs = {INPUT("pred", LOGITS, 1, "log-odds of the label"),
               INPUT("target", PROBABILITY, 0, "0, 1 or a probability")},
    .params = {PARAM_DOUBLE("gamma_pos", "1", 0, 0, INFINITY, 1, "how much easy positives are turned down"),
               PARAM_DOUBLE("gamma_neg", "4", 0, 0, INFINITY, 1, "how much easy negatives are"),
               PARAM_DOUBLE("clip", "0.05", 0, 0, 1, 1, "a negative of less probability costs nothing")},
    .traits = LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT,
    .ulp_value = 7.5,
    .ulp_grad = 8.5,
    .ulp_hess = 12,
    .setup = asymmetric_setup,
};
/* m^g l with l = -ln(1 - m), and its derivatives by z; q = 1/(1 - m) */
IN_DOUBLE(asymmetric_negative, 1) {
    const double gamma = (double)p[ASYMMETRIC_NEG][0];
    const D z = in[PRED], g = d_set(gamma), c = d_set(finely(p + ASYMMETRIC_CLIP));
    const D zero = d_set(0), one = d_set(1);
    const logistic_pair l = logistic_pair_of(z);
    pair m = logistic_gap(&l, c);
    const D st = logistic_slope(&l), rest = logistic_rest(&l) + c;
    const L some = m.hi > zero, small = m.hi < d_set(0.5);
    m = pair_of(d_select(some, m.hi, zero), d_select(some, m.lo, zero));
    const pair near = pair_log1p(pair_of(-d_select(small, m.hi, zero), -d_select(small, m.lo, zero)));
    D log = -near.hi;
    if (f64_any(~small)) log = d_select(small, log, -pair_log_of(d_select(rest > zero, rest, one)).hi);
    const D power = d_pow_pair(m, gamma), ratio = d_select(some, log / d_select(some, m.hi, one), one), q = one / rest;
    const D first = power * d_fma(g, ratio, q);
    const L none = ~some & (z == z);
    u->value = d_select(none, zero, d_select(z != z, z, power * log));
    u->grad[PRED] = d_select(none, zero, d_select(z != z, z, st * first));
    if (!WANTS_HESS(u)) return;
    const D lower = d_pow_pair(m, gamma - 1);
    const D major = d_select(g == zero, zero, lower * d_fma(g * (g - one), ratio, 2 * g * q));
    const D second = d_fma(power * q, q, major), bend = st * d_fma(st, second, first * logistic_tilt(&l));
    u->hess = d_select(none, zero, d_select(z != z, z, bend));
}
/* The same of gamma = 4, value and gradient, where m is not so small that it is a matter of the digits that it lacks:
 * there, and of NaN, not a lane of what is returned. */
ALWAYS_INLINE M asymmetric_of_four(V z, const V *p, unit_t *u) {
    const V zero = v_zero(), one = v_one(), c = p[ASYMMETRIC_CLIP];
    const V c_rest = sizeof(REAL) == 4 ? p[ASYMMETRIC_CLIP + 1] : zero;
    const sides_t s = sides_of(v_abs(z));
    const M up = z > zero;
    V low, m = two_sum(v_select(up, s.more, s.less), -c, &low);
    low += v_select(up, s.more_rest, s.less_rest) - c_rest;
    const V rest = v_select(up, s.less, s.more) + c, q = one / rest;
    const M small = (m < v_set(0.5)), some = (m > v_set(0.125) * c), good = some | (m < v_set(-0x1p-12));
    V sum = v_select(small, one - m, rest), f, k = log_split(sum, &f), scale = power_of_two(v_where(small, -k));
    f = v_select(small, v_fma(-m, scale, scale - one), f);
    const V log = -log_whole(k, v_set(LN2_SHORT), v_set(LN2_SHORT_REST), f, log_tail(f) - v_where(small, low * q));
    const V square = v_fma(m, m, 2 * m * low), power = square * square;
    u->value = v_where(some, power * log);
    u->grad[PRED] = v_where(some, s.more * s.less * (power * v_fma(v_set(4), log / m, q)));
    return good;
}
ELEMENTWISE(asymmetric_multilabel) {
    const V z = in[PRED], y = in[TARGET], zero = v_zero(), one = v_one(), no = one - y;
    const focal_t yes = focal_of(z, v_nan_from(one, y));
    unit_t pos, neg = {.hess = zero};
    focal_unit(&yes, p[ASYMMETRIC_POS], y, z, &pos);
    if (finely(p + ASYMMETRIC_CLIP) > 0) {
        M good = m_none();
        if (p[ASYMMETRIC_NEG][0] == 4) good = asymmetric_of_four(z, p, &neg);
        if (u->want >= LOSSFN__WANT_HESS || m_any(m_andnot(no != zero, good))) {
            unit_t any = {.want = u->want};
            asymmetric_negative_in_double(&z, p, &any);
            neg.value = v_select(good, neg.value, any.value);
            neg.grad[PRED] = v_select(good, neg.grad[PRED], any.grad[PRED]);
            neg.hess = any.hess;
        }
        neg.value = v_where(no != zero, no * neg.value);
        neg.grad[PRED] *= no, neg.hess *= no;
    } else {
        const focal_t against = focal_of(z, v_nan_from(zero, y));
        focal_unit(&against, p[ASYMMETRIC_NEG], no, z, &neg);
    }
    u->outside = v_lesser(y, no) < zero;
    u->value = pos.value + neg.value;
    u->grad[PRED] = pos.grad[PRED] + neg.grad[PRED];
    u->hess = pos.hess + neg.hess;
    u->grad[TARGET] = zero;
}
