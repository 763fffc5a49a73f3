/* SPDX-License-Identifier: MIT
 * Losses of the margin m = Y pred, Y = -1 or +1. */

#define MARGIN_INPUTS                                                                                                  \
    INPUT("pred", REAL, 1, "score; its sign is the decision"),                                                         \
        INPUT("target", MARGIN_LABEL, 0, "-1 or +1, or bool; 0 or 1 with labels=01")
#define PARAM_LABELS PARAM_CHOICE("labels", "+-1", "+-1, 01", "what targets are called")
#define MARGIN_PARAMS                                                                                                  \
    PARAM_DOUBLE("margin", "1", 0, 0, INFINITY, 1, "the margin beyond which the loss is 0"), PARAM_LABELS
/* The constant that is 1 if labels are 0 and 1: of a loss without a parameter of its own, or with one. */
enum { ONLY_LABELS, LABELS_SECOND };

ALWAYS_INLINE V margin_label(V target, V labels_01) {
    return v_select(labels_01 != v_zero(), 2 * target - v_one(), target);
}

/* What a function of the margin m, its slope and curvature are by pred. */
ALWAYS_INLINE void margin_unit(V y, V value, V slope, V curve, unit_t *u) {
    u->value = value;
    u->grad[PRED] = y * slope;
    u->grad[TARGET] = v_zero();
    u->hess = curve;
}

#define MARGIN_TRAITS (LOSSFN_TRAIT_MARGIN | LOSSFN_TRAIT_NONNEGATIVE)
#define SMOOTH_MARGIN (LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE)

/* The misclassification itself: 1 where the sign is wrong. */
DEFINE(zero_one) = {
    LOSS(zero_one),
    .aliases = "zero_one_loss",
    .family = "margin",
    .summary = "Counts wrong signs: for scoring, not for training.",
    .formula = "1 if target pred < 0, else 0",
    .latex = "[y z < 0]",
    .tasks = "binary",
    .see_also = "hinge, perceptron",
    .look_alikes =
        "LossFunctions.jl: ZeroOneLoss: the same\nscikit-learn: zero_one_loss: the same, of scores that are not 0",
    .source = "C. M. Bishop, Pattern Recognition and Machine Learning, 2006",
    .kinks = "target pred = 0: value 0, gradient 0",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {MARGIN_INPUTS},
    .params = {PARAM_LABELS},
    .traits = MARGIN_TRAITS,
    .hess_kinds = EXACT,
    .ulp_value = 0.5,
    .ulp_grad = 0.5,
    .ulp_hess = 0.5,
};
ELEMENTWISE(zero_one) {
    V y = margin_label(in[TARGET], p[ONLY_LABELS]), m = y * in[PRED], none = v_nan_from(v_zero(), m);
    margin_unit(y, v_select(m < v_zero(), v_one(), none), none, none, u);
}

/* Rosenblatt (1958): max(0, -m). */
DEFINE(perceptron) = {
    LOSS(perceptron),
    .aliases = "",
    .family = "margin",
    .summary = "The perceptron's loss: how far a score lies on the wrong side.",
    .formula = "max(0, -target pred)",
    .latex = "\\max(0, -y z)",
    .tasks = "binary",
    .see_also = "hinge, multiclass_perceptron",
    .look_alikes = "LossFunctions.jl: PerceptronLoss: the same\noptax: perceptron_loss: reduction=none\n"
                   "JAXopt: binary_perceptron_loss: labels=01",
    .source = "F. Rosenblatt, The perceptron, Psychol. Rev. 65, 1958",
    .kinks = "target pred = 0: gradient 0",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {MARGIN_INPUTS},
    .params = {PARAM_LABELS},
    .traits = MARGIN_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 1,
    .hess_kinds = EXACT,
    .ulp_value = 0.5,
    .ulp_grad = 0.5,
    .ulp_hess = 0.5,
};
ELEMENTWISE(perceptron) {
    V y = margin_label(in[TARGET], p[ONLY_LABELS]), m = y * in[PRED], zero = v_nan_from(v_zero(), m);
    M wrong = m < v_zero();
    margin_unit(y, v_select(wrong, -m, zero), v_select(wrong, v_set(-1), zero), zero, u);
}

/* The margin in two parts, around the labels' constant; and what is missing to it, rounded once. */
enum { HINGE_LEFT = LABELS_SECOND + 1 };
static void hinge_setup(const double *params, double *constants) {
    double margin[2];
    set_finely(params[0], margin);
    constants[0] = margin[0], constants[LABELS_SECOND] = params[1], constants[HINGE_LEFT] = margin[1];
}
ALWAYS_INLINE V slack_of(V m, const V *p) {
    if (sizeof(REAL) != 4 || p[HINGE_LEFT][0] == 0) return p[0] - m;
    V rest, slack = two_sum(p[0], -m, &rest);
    return slack + v_where(v_isfinite(slack), rest + p[HINGE_LEFT]);
}

/* Vapnik (1995), the support vector machine's loss: max(0, margin - Y pred). */
DEFINE(hinge) = {
    LOSS(hinge),
    .aliases = "",
    .family = "margin",
    .summary = "The support vector machine's loss: 0 beyond the margin, linear before it.",
    .formula = "max(0, margin - target pred)",
    .latex = "\\max(0, M - y z)",
    .tasks = "binary",
    .see_also = "squared_hinge, bce_with_logits",
    .look_alikes =
        "Keras: Hinge: labels -1 and +1 here; labels=01 for 0 and 1\noptax: hinge_loss: reduction=none\n"
        "XGBoost: binary:hinge: labels=01, reduction=sum\n"
        "LossFunctions.jl: WeightedMarginLoss(L1HingeLoss(), w): weight is w where target > 0, 1 - w elsewhere",
    .source = "C. Cortes, V. Vapnik, Support-vector networks, Machine Learning 20, 1995",
    .kinks = "target pred = margin: gradient 0",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 2,
    .inputs = {MARGIN_INPUTS},
    .params = {MARGIN_PARAMS},
    .traits = LOSSFN_TRAIT_MARGIN | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_LIPSCHITZ |
              LOSSFN_TRAIT_CALIBRATED,
    .lipschitz = 1,
    .hess_kinds = EXACT,
    .ulp_value = 0.51,
    .ulp_grad = 0.5,
    .ulp_hess = 0.5,
    .setup = hinge_setup,
};
ELEMENTWISE(hinge) {
    V y = margin_label(in[TARGET], p[LABELS_SECOND]), slack = slack_of(y * in[PRED], p);
    M beyond = slack <= v_zero();
    u->value = v_select(beyond, v_zero(), slack);
    u->grad[PRED] = v_select(beyond, v_zero(), v_nan_from(-y, slack));
    u->grad[TARGET] = v_zero();
    u->hess = v_zero();
}

/* The hinge squared, differentiable: max(0, margin - Y pred)^2. */
DEFINE(squared_hinge) = {
    LOSS(squared_hinge),
    .aliases = "l2_hinge",
    .family = "margin",
    .summary = "The hinge squared: differentiable, punishes large violations more.",
    .formula = "max(0, margin - target pred)^2",
    .latex = "\\max(0, M - y z)^2",
    .tasks = "binary",
    .see_also = "hinge, bce_with_logits",
    .look_alikes = "Keras: SquaredHinge: labels -1 and +1 here; labels=01 for 0 and 1",
    .source = "Y. Lee, O. Mangasarian, SSVM: a smooth support vector machine, Comput. Optim. Appl. 20, 2001",
    .kinks = "Hessian at target pred = margin: 0",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 2,
    .inputs = {MARGIN_INPUTS},
    .params = {MARGIN_PARAMS},
    .traits = LOSSFN_TRAIT_MARGIN | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_CALIBRATED,
    .hess_kinds = EXACT,
    .ulp_value = 2,
    .ulp_grad = 1,
    .ulp_hess = 0.5,
    .setup = hinge_setup,
};
ELEMENTWISE(squared_hinge) {
    V y = margin_label(in[TARGET], p[LABELS_SECOND]), slack = slack_of(y * in[PRED], p);
    M beyond = slack <= v_zero();
    V s = v_select(beyond, v_zero(), slack);
    u->value = s * s;
    u->grad[PRED] = -2 * y * s;
    u->grad[TARGET] = v_zero();
    u->hess = v_select(beyond, v_zero(), v_set(2));
}

/* A parabola of t = 1 - m from 0 to gamma, linear beyond: t^2 / (2 gamma), then t - gamma/2; all times a power of two.
 */
ALWAYS_INLINE void smoothed_hinge_unit(V y, V pred, V gamma, double factor, unit_t *u) {
    const V times = v_set(factor), m = y * pred, zero = v_nan_from(v_zero(), m), half = v_set(0.5);
    V t = v_one() - m;
    const M good = t <= v_zero(), edge = t == gamma;
    M far = t >= gamma;
    if (m_any(edge)) { /* what rounding took from t decides */
        V rest;
        two_sum(v_one(), -m, &rest);
        far = m_andnot(far, edge & (rest < v_zero()));
    }
    V value = v_select(far, t - half * gamma, half * t * (t / gamma));
    V slope = v_select(far, v_set(-1), -(t / gamma));
    V curve = v_select(far, zero, v_one() / gamma);
    margin_unit(y, times * v_select(good, zero, value), times * v_select(good, zero, v_nan_from(slope, m)),
                times * v_select(good, zero, v_nan_from(curve, m)), u);
}
/* Rennie and Srebro (2005). */
DEFINE(smoothed_hinge) = {
    LOSS(smoothed_hinge),
    .aliases = "smooth_l1_hinge",
    .family = "margin",
    .summary = "The hinge with a parabola at its corner.",
    .formula = "0 if m >= 1; (1 - m)^2 / (2 gamma) if m > 1 - gamma; else 1 - gamma/2 - m;  m = target pred",
    .latex =
        "\\begin{cases} 0 & m \\ge 1 \\\\ \\frac{(1 - m)^2}{2\\gamma} & m > 1 - \\gamma \\\\ 1 - \\tfrac\\gamma2 - m & "
        "\\text{else} \\end{cases},\\quad m = y z",
    .tasks = "binary",
    .see_also = "hinge, modified_huber, binary_sparsemax",
    .look_alikes = "LossFunctions.jl: SmoothedL1HingeLoss: the same",
    .source = "J. Rennie, N. Srebro, Loss functions for preference levels, IJCAI workshop, 2005",
    .kinks = "Hessian at m = 1 and 1 - gamma: 0",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 2,
    .inputs = {MARGIN_INPUTS},
    .params = {PARAM_DOUBLE("gamma", "1", 0, 1, INFINITY, 1, "width of the parabola"), PARAM_LABELS},
    .traits = MARGIN_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_LIPSCHITZ |
              LOSSFN_TRAIT_CALIBRATED,
    .lipschitz = 1,
    .hess_kinds = EXACT,
    .ulp_value = 3,
    .ulp_grad = 1.5,
    .ulp_hess = 0.5,
};
ELEMENTWISE(smoothed_hinge) { smoothed_hinge_unit(margin_label(in[TARGET], p[LABELS_SECOND]), in[PRED], p[0], 1, u); }

/* Zhang (2004): four times the smoothed hinge of width 2. */
DEFINE(modified_huber) = {
    LOSS(modified_huber),
    .aliases = "",
    .family = "margin",
    .summary = "The squared hinge, linear where the score is far wrong.",
    .formula = "max(0, 1 - m)^2 if m >= -1, else -4 m;  m = target pred",
    .latex = "\\begin{cases} \\max(0, 1 - m)^2 & m \\ge -1 \\\\ -4 m & \\text{else} \\end{cases},\\quad m = y z",
    .tasks = "binary",
    .see_also = "squared_hinge, smoothed_hinge",
    .look_alikes = "LossFunctions.jl: ModifiedHuberLoss: the same\n"
                   "scikit-learn: SGDClassifier(loss='modified_huber'): the same",
    .source = "T. Zhang, Solving large scale linear prediction problems using stochastic gradient descent, ICML, 2004",
    .kinks = "Hessian at m = 1 and -1: 0",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {MARGIN_INPUTS},
    .params = {PARAM_LABELS},
    .traits = MARGIN_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_LIPSCHITZ |
              LOSSFN_TRAIT_CALIBRATED,
    .lipschitz = 4,
    .hess_kinds = EXACT,
    .ulp_value = 2.5,
    .ulp_grad = 1,
    .ulp_hess = 0.5,
};
ELEMENTWISE(modified_huber) { smoothed_hinge_unit(margin_label(in[TARGET], p[ONLY_LABELS]), in[PRED], v_set(2), 4, u); }

/* Martins and Astudillo (2016), for two classes: the smoothed hinge of width 2. */
DEFINE(binary_sparsemax) = {
    LOSS(binary_sparsemax),
    .aliases = "",
    .family = "margin",
    .summary = "The sparsemax loss of two classes.",
    .formula = "0 if m >= 1; (1 - m)^2 / 4 if m > -1; else -m;  m = target pred",
    .latex = "\\begin{cases} 0 & m \\ge 1 \\\\ \\tfrac14 (1 - m)^2 & m > -1 \\\\ -m & \\text{else} \\end{cases},\\quad "
             "m = y z",
    .tasks = "binary",
    .see_also = "sparsemax, smoothed_hinge, modified_huber",
    .look_alikes = "optax: sparsemax_loss: labels=01, reduction=none\nJAXopt: binary_sparsemax_loss: labels=01",
    .source = "A. Martins, R. Astudillo, From softmax to sparsemax, ICML, 2016",
    .kinks = "Hessian at m = 1 and -1: 0",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {MARGIN_INPUTS},
    .params = {PARAM_LABELS},
    .traits = MARGIN_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_LIPSCHITZ |
              LOSSFN_TRAIT_CALIBRATED,
    .lipschitz = 1,
    .hess_kinds = EXACT,
    .ulp_value = 2.5,
    .ulp_grad = 1,
    .ulp_hess = 0.5,
};
ELEMENTWISE(binary_sparsemax) {
    smoothed_hinge_unit(margin_label(in[TARGET], p[ONLY_LABELS]), in[PRED], v_set(2), 1, u);
}

/* Least squares for classification: (1 - m)^2. */
DEFINE(l2_margin) = {
    LOSS(l2_margin),
    .aliases = "least_squares_margin",
    .family = "margin",
    .summary = "Least squares of the margin: also punishes what is too right.",
    .formula = "(1 - target pred)^2",
    .latex = "(1 - y z)^2",
    .tasks = "binary",
    .see_also = "squared_hinge, mse",
    .look_alikes = "LossFunctions.jl: L2MarginLoss: the same",
    .source =
        "J. Suykens, J. Vandewalle, Least squares support vector machine classifiers, Neural Process. Lett. 9, 1999",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {MARGIN_INPUTS},
    .params = {PARAM_LABELS},
    .traits = MARGIN_TRAITS | SMOOTH_MARGIN | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX |
              LOSSFN_TRAIT_STRONGLY_CONVEX | LOSSFN_TRAIT_CALIBRATED,
    .hess_kinds = EXACT | UPPER,
    .ulp_value = 2,
    .ulp_grad = 1,
    .ulp_hess = 0.5,
};
ELEMENTWISE(l2_margin) {
    V y = margin_label(in[TARGET], p[ONLY_LABELS]), t = v_one() - y * in[PRED];
    margin_unit(y, t * t, -2 * t, v_nan_from(v_set(2), t), u);
}

/* e = exp(-|m|), with which sigmoid(-m) and sigmoid(m) are quotients without cancelling. */
typedef struct {
    V e, against, with;
} odds_t;
ALWAYS_INLINE odds_t odds_of(V m) {
    const V e = v_exp_minus(v_abs(m)), sum = v_one() + e;
    const M negative = m < v_zero();
    return (odds_t){e, v_select(negative, v_one(), e) / sum, v_select(negative, e, v_one()) / sum};
}

/* Logistic regression in terms of the margin: ln(1 + exp(-m)). */
DEFINE(logistic_margin) = {
    LOSS(logistic_margin),
    .aliases = "soft_margin",
    .family = "margin",
    .summary = "Logistic loss of labels -1 and +1: bce_with_logits of hard labels.",
    .formula = "log(1 + exp(-target pred))",
    .latex = "\\log(1 + e^{-y z})",
    .tasks = "binary",
    .see_also = "bce_with_logits, exponential_margin",
    .look_alikes =
        "PyTorch: SoftMarginLoss: the same, but for overflow there\nLossFunctions.jl: LogitMarginLoss: the same\n"
        "MXNet: LogisticLoss: the same; label_format='binary' is labels=01\nJAXopt: binary_logistic_loss: labels=01",
    .source = "J. Friedman, T. Hastie, R. Tibshirani, Additive logistic regression, Ann. Statist. 28, 2000",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {MARGIN_INPUTS},
    .params = {PARAM_LABELS},
    .traits = MARGIN_TRAITS | SMOOTH_MARGIN | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX |
              LOSSFN_TRAIT_LIPSCHITZ | LOSSFN_TRAIT_CALIBRATED,
    .lipschitz = 1,
    .hess_kinds = EXACT | FISHER | UPPER,
    .link = LOSSFN__LINK_LOGIT,
    .ulp_value = 2,
    .ulp_grad = 2.5,
    .ulp_hess = 4,
};
ELEMENTWISE(logistic_margin) {
    V y = margin_label(in[TARGET], p[ONLY_LABELS]), m = y * in[PRED];
    const odds_t odds = odds_of(m);
    V curve = WANTS(UPPER, p) ? v_nan_from(v_set(0.25), m) : odds.against * odds.with;
    margin_unit(y, v_where(m_not(m >= v_zero()), -m) + v_log1p_unit(odds.e), -odds.against, curve, u);
}

/* Lin et al. (2017), appendix: the logistic loss of gamma m, divided by gamma. */
DEFINE(focal_star) = {
    LOSS(focal_star),
    .aliases = "",
    .family = "margin",
    .summary = "The focal loss's simpler sister: a steeper logistic loss.",
    .formula = "-log(sigmoid(gamma m)) / gamma;  m = target pred",
    .latex = "-\\tfrac1\\gamma \\log\\sigma(\\gamma\\, y z)",
    .tasks = "binary, detection",
    .see_also = "sigmoid_focal, logistic_margin",
    .look_alikes = "fvcore: sigmoid_focal_loss_star: labels=01, reduction=none",
    .source = "T. Lin, P. Goyal, R. Girshick, K. He, P. Dollar, Focal loss for dense object detection, ICCV, 2017",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 2,
    .inputs = {MARGIN_INPUTS},
    .params = {PARAM_DOUBLE("gamma", "1", 0, 1, INFINITY, 1, "steepness"), PARAM_LABELS},
    .traits = MARGIN_TRAITS | SMOOTH_MARGIN | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX |
              LOSSFN_TRAIT_LIPSCHITZ | LOSSFN_TRAIT_CALIBRATED,
    .lipschitz = 1,
    .hess_kinds = EXACT,
    .link = LOSSFN__LINK_NONE,
    .ulp_value = 3,
    .ulp_grad = 3,
    .ulp_hess = 4,
};
ELEMENTWISE(focal_star) {
    V y = margin_label(in[TARGET], p[LABELS_SECOND]), m = y * in[PRED], gamma = p[0], one = v_one();
    const V a = v_abs(m), product = gamma * a, rest = v_fma(gamma, a, -product);
    const V e = v_exp_minus_parts(product, v_where(v_isfinite(rest), rest)), sum = one + e;
    const M negative = m < v_zero();
    const V value = v_nan_from(v_where(negative, a) + v_log1p_unit(e) / gamma, m);
    margin_unit(y, value, -(v_select(negative, one, e) / sum), gamma * (e / (sum * sum)), u);
}

/* Freund and Schapire (1997), boosting: exp(-m). */
DEFINE(exponential_margin) = {
    LOSS(exponential_margin),
    .aliases = "",
    .family = "margin",
    .summary = "AdaBoost's loss: what is far wrong rules.",
    .formula = "exp(-target pred)",
    .latex = "e^{-y z}",
    .tasks = "binary",
    .see_also = "logistic_margin",
    .look_alikes = "LossFunctions.jl: ExpLoss: the same\nscikit-learn: ExponentialLoss: labels=01",
    .source = "Y. Freund, R. Schapire, A decision-theoretic generalization of on-line learning, J. Comput. Syst. Sci. "
              "55, 1997",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {MARGIN_INPUTS},
    .params = {PARAM_LABELS},
    .traits = MARGIN_TRAITS | SMOOTH_MARGIN | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX |
              LOSSFN_TRAIT_CALIBRATED,
    .hess_kinds = EXACT,
    .link = LOSSFN__LINK_HALF_LOGIT,
    .ulp_value = 1.1,
    .ulp_grad = 1.1,
    .ulp_hess = 1.1,
};
ELEMENTWISE(exponential_margin) {
    V y = margin_label(in[TARGET], p[ONLY_LABELS]), e = v_exp(-(y * in[PRED]));
    margin_unit(y, e, -e, e, u);
}

/* Mason, Baxter, Bartlett and Frean (1999): 1 - tanh m. */
DEFINE(sigmoid_margin) = {
    LOSS(sigmoid_margin),
    .aliases = "",
    .family = "margin",
    .summary = "A smooth count of wrong signs, times two.",
    .formula = "1 - tanh(target pred)",
    .latex = "1 - \\tanh(y z)",
    .tasks = "binary",
    .see_also = "zero_one, savage",
    .look_alikes = "LossFunctions.jl: SigmoidLoss: the same",
    .source = "L. Mason, J. Baxter, P. Bartlett, M. Frean, Boosting algorithms as gradient descent, NIPS, 1999",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {MARGIN_INPUTS},
    .params = {PARAM_LABELS},
    .traits = MARGIN_TRAITS | SMOOTH_MARGIN | LOSSFN_TRAIT_LIPSCHITZ | LOSSFN_TRAIT_CALIBRATED,
    .lipschitz = 1,
    .hess_kinds = EXACT,
    .ulp_value = 2,
    .ulp_grad = 4,
    .ulp_hess = 5, /* the slope times another hyperbolic tangent */
};
ELEMENTWISE(sigmoid_margin) {
    V y = margin_label(in[TARGET], p[ONLY_LABELS]), m = y * in[PRED];
    const odds_t odds = odds_of(2 * m);
    V bell = 4 * odds.against * odds.with;
    margin_unit(y, 2 * odds.against, -bell, 2 * v_tanh(m) * bell, u);
}

/* Marron, Todd and Ahn (2007): with r = (q/(q + 1))/m, r^q/(q + 1) where r < 1, else 1 - m. */
enum { DWD_Q, DWD_LABELS, DWD_EDGE, DWD_REST_32, DWD_REST_64, DWD_Q_REST };
#define DWD_REST (sizeof(REAL) == 4 ? DWD_REST_32 : DWD_REST_64)
static void dwd_setup(const double *params, double *constants) {
    /* to the power of q a rounding of q + 1 would count q times */
    const double q = params[0], more = q + 1, lost = more - q == 1 ? 0 : q > 1 ? 1 - (more - q) : q - (more - 1);
    const double edge = q / more;
    constants[DWD_Q] = q;
    constants[DWD_Q_REST] = q < 0x1p127 ? q - (double)(float)q : 0;
    constants[DWD_LABELS] = params[1];
    constants[DWD_EDGE] = edge;
    constants[DWD_REST_32] = edge - (double)(float)edge;
    constants[DWD_REST_64] = isfinite(q) ? (fma(-edge, more, q) - edge * lost) / more : 0;
}
DEFINE(dwd_margin) = {
    LOSS(dwd_margin),
    .aliases = "dwd",
    .family = "margin",
    .summary = "Distance-weighted discrimination: linear, then a falling power of the margin.",
    .formula = "1 - m if m <= q/(q + 1), else (q/((q + 1) m))^q / (q + 1);  m = target pred",
    .latex =
        "\\begin{cases} 1 - m & m \\le \\frac{q}{q + 1} \\\\ \\frac{1}{q + 1}\\left(\\frac{q}{(q + 1) m}\\right)^q & "
        "\\text{else} \\end{cases},\\quad m = y z",
    .tasks = "binary",
    .see_also = "hinge, logistic_margin",
    .look_alikes = "LossFunctions.jl: DWDMarginLoss: the same",
    .source = "J. Marron, M. Todd, J. Ahn, Distance-weighted discrimination, JASA 102, 2007",
    .kinks = "Hessian at m = q/(q + 1): 0",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 2,
    .inputs = {MARGIN_INPUTS},
    .params = {PARAM_DOUBLE("q", "1", 0, 1, INFINITY, 1, "power of the tail"), PARAM_LABELS},
    .traits = MARGIN_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_LIPSCHITZ |
              LOSSFN_TRAIT_CALIBRATED,
    .lipschitz = 1,
    .hess_kinds = EXACT,
    .ulp_value = 3.5,
    .ulp_grad = 4,
    .ulp_hess = 5, /* a power and three products */
    .setup = dwd_setup,
};
ELEMENTWISE(dwd_margin) {
    V y = margin_label(in[TARGET], p[DWD_LABELS]), m = y * in[PRED], one = v_one(), zero = v_zero();
    M near = m_not((m - p[DWD_EDGE]) - p[DWD_REST] > zero);
    V by = v_select(near, one, m), r = p[DWD_EDGE] / by, more = p[DWD_Q] + one;
    V rest = (v_fma(-r, by, p[DWD_EDGE]) + p[DWD_REST]) / by; /* r + rest is the quotient */
    V share = v_where(m_and(r > zero, v_isfinite(by)), rest / r), power = p[DWD_Q][0] == 1 ? r : v_pow(r, p[DWD_Q]);
    V growth = p[DWD_Q] * share; /* (1 + share)^q is e to this */
    if (sizeof(REAL) == 4 && IS(p[DWD_Q_REST])) growth = v_fma(p[DWD_Q_REST], v_log(r), growth);
    V tail = v_fma(power, growth, power);
    if (m_any(v_abs(growth) > v_set(0x1p-13))) tail = power * v_exp(growth); /* q is large */
    V slope = v_fma(tail * r, share, tail * r);
    margin_unit(y, v_select(near, one - m, tail / more), v_select(near, v_nan_from(v_set(-1), m), -slope),
                v_select(near, v_nan_from(zero, m), more * slope / by), u);
}

/* Masnadi-Shirazi and Vasconcelos (2008): sigmoid(-m)^2. */
DEFINE(savage) = {
    LOSS(savage),
    .aliases = "",
    .family = "margin",
    .summary = "Bounded: what is far wrong counts no more than 1.",
    .formula = "1 / (1 + exp(m))^2;  m = target pred",
    .latex = "\\frac{1}{(1 + e^{m})^2},\\quad m = y z",
    .tasks = "binary",
    .see_also = "tangent, logistic_margin",
    .look_alikes = "",
    .source = "H. Masnadi-Shirazi, N. Vasconcelos, On the design of loss functions for classification, NIPS, 2008",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {MARGIN_INPUTS},
    .params = {PARAM_LABELS},
    .traits = MARGIN_TRAITS | SMOOTH_MARGIN | LOSSFN_TRAIT_LIPSCHITZ | LOSSFN_TRAIT_CALIBRATED,
    .lipschitz = 8.0 / 27,
    .hess_kinds = EXACT,
    .link = LOSSFN__LINK_LOGIT,
    .ulp_value = 4.5, /* the square of a sigmoid of 2 ulp */
    .ulp_grad = 6,
    .ulp_hess = 9,
};
ELEMENTWISE(savage) {
    V y = margin_label(in[TARGET], p[ONLY_LABELS]), m = y * in[PRED];
    const odds_t odds = odds_of(m);
    V square = odds.against * odds.against, bell = 2 * square * odds.with;
    margin_unit(y, square, -bell, bell * v_fma(v_set(2), odds.with, -odds.against), u);
}

/* The margin where the tangent loss is 0, tan(1/2), in two parts. */
#define TANGENT_ZERO      (sizeof(REAL) == 4 ? 0x1.17b4f6p-1 : 0x1.17b4f5bf3474ap-1)
#define TANGENT_ZERO_REST (sizeof(REAL) == 4 ? -0x1.032e2ep-27 : 0x1.0c5e59201e209p-55)
DEFINE(tangent) = {
    LOSS(tangent),
    .aliases = "",
    .family = "margin",
    .summary = "Bounded, and also punishes what is too right.",
    .formula = "(2 atan(m) - 1)^2;  m = target pred",
    .latex = "(2 \\arctan m - 1)^2,\\quad m = y z",
    .tasks = "binary",
    .see_also = "savage, l2_margin",
    .look_alikes = "",
    .source = "H. Masnadi-Shirazi, V. Mahadevan, N. Vasconcelos, On the design of robust classifiers for computer "
              "vision, CVPR, 2010",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {MARGIN_INPUTS},
    .params = {PARAM_LABELS},
    .traits = MARGIN_TRAITS | SMOOTH_MARGIN | LOSSFN_TRAIT_LIPSCHITZ | LOSSFN_TRAIT_CALIBRATED,
    .lipschitz = 6.169, /* 4 |2 atan m - 1| / (1 + m^2) is largest near m = -0.513 */
    .hess_kinds = EXACT,
    .ulp_value = 6, /* the square of an arc of a quotient */
    .ulp_grad = 5,
    .ulp_hess = 5,
};
/* 2 atan m - 1 is 2 atan((m - T)/(1 + m T)), T = tan(1/2), which does not cancel near T. */
ELEMENTWISE(tangent) {
    V y = margin_label(in[TARGET], p[ONLY_LABELS]), m = y * in[PRED], one = v_one();
    V edge = v_set(TANGENT_ZERO), past = (m - edge) - v_set(TANGENT_ZERO_REST);
    M near = m_and(m > v_zero(), m < v_set(2)), far = v_abs(m) > v_set(0x1p28); /* where 1 is lost beside m^2 */
    V arc = 2 * v_atan(v_select(near, past / v_fma(m, edge, one), m)), back = one / m;
    V gap = v_select(near, arc, arc - one), inverse = v_select(far, back * back, one / v_fma(m, m, one));
    V pull = v_select(far, back, m * inverse);
    margin_unit(y, gap * gap, 4 * gap * inverse, 8 * inverse * v_fma(-pull, gap, inverse), u);
}

/* Collobert, Sinz, Weston and Bottou (2006): min(1, max(0, 1 - m)). */
DEFINE(ramp) = {
    LOSS(ramp),
    .aliases = "",
    .family = "margin",
    .summary = "The hinge, cut off at 1: outliers do not pull.",
    .formula = "min(1, max(0, 1 - target pred))",
    .latex = "\\min(1, \\max(0, 1 - y z))",
    .tasks = "binary",
    .see_also = "hinge, zero_one",
    .look_alikes = "",
    .source = "R. Collobert, F. Sinz, J. Weston, L. Bottou, Trading convexity for scalability, ICML, 2006",
    .kinks = "target pred = 0 and 1: gradient 0",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {MARGIN_INPUTS},
    .params = {PARAM_LABELS},
    .traits = MARGIN_TRAITS | LOSSFN_TRAIT_LIPSCHITZ | LOSSFN_TRAIT_CALIBRATED,
    .lipschitz = 1,
    .hess_kinds = EXACT,
    .ulp_value = 0.51,
    .ulp_grad = 0.5,
    .ulp_hess = 0.5,
};
ELEMENTWISE(ramp) {
    V y = margin_label(in[TARGET], p[ONLY_LABELS]), m = y * in[PRED], zero = v_nan_from(v_zero(), m), one = v_one();
    M inside = m_and(m > zero, m < one);
    margin_unit(y, v_select(inside, one - m, v_select(m <= v_zero(), one, zero)), v_select(inside, v_set(-1), zero),
                zero, u);
}
