/* SPDX-License-Identifier: MIT
 * Losses of the residual r = pred - target. */

#define DISTANCE_TRAITS (LOSSFN_TRAIT_DISTANCE | LOSSFN_TRAIT_NONNEGATIVE)

/* Gauss (1809), least squares: r^2. */
static void mse_rho(double s, const double *p, double out[3]) {
    (void)p;
    out[0] = 2 * s, out[1] = 2, out[2] = 0;
}
DEFINE(mse) = {
    LOSS(mse),
    .aliases = "squared_error, mean_squared_error",
    .family = "regression",
    .summary = "Squared error: the loss of the mean.",
    .formula = "(pred - target)^2",
    .latex = "(p - y)^2",
    .tasks = "regression",
    .see_also = "half_squared_error, mae, huber",
    .look_alikes =
        "PyTorch: MSELoss: the same\nKeras: MeanSquaredError: the same\noptax: squared_error: reduction=none\n"
        "optax: l2_loss: is half_squared_error\nscikit-learn: mean_squared_error: the same\n"
        "MXNet: L2Loss: is half_squared_error",
    .source = "C. F. Gauss, Theoria motus corporum coelestium, 1809",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .inputs = {PRED_REAL, TARGET_REAL},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX | LOSSFN_TRAIT_STRONGLY_CONVEX |
              LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_SYMMETRIC,
    .hess_kinds = EXACT | FISHER | UPPER,
    .ulp_value = 2,
    .ulp_grad = 1,
    .ulp_hess = 0.5,
    .rho = mse_rho,
};
ELEMENTWISE(mse) {
    (void)p;
    V r = in[PRED] - in[TARGET];
    u->value = r * r;
    u->grad[PRED] = 2 * r;
    u->grad[TARGET] = -2 * r;
    u->hess = v_set(2);
}

/* Half of mse, whose gradient is the residual: r^2 / 2. */
static void half_squared_error_rho(double s, const double *p, double out[3]) {
    (void)p;
    out[0] = s, out[1] = 1, out[2] = 0;
}
DEFINE(half_squared_error) = {
    LOSS(half_squared_error),
    .aliases = "half_mse",
    .family = "regression",
    .summary = "Half the squared error: its gradient is the residual, its Hessian 1.",
    .formula = "(pred - target)^2 / 2",
    .latex = "\\tfrac12 (p - y)^2",
    .tasks = "regression",
    .see_also = "mse, huber",
    .look_alikes =
        "optax: l2_loss: reduction=none\nscikit-learn: HalfSquaredError: the same\nMXNet: L2Loss: the same\n"
        "XGBoost: reg:squarederror: gradient and Hessian of reduction=sum\nPyTorch: MSELoss: is mse, twice this",
    .source = "C. F. Gauss, Theoria motus corporum coelestium, 1809",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .inputs = {PRED_REAL, TARGET_REAL},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX | LOSSFN_TRAIT_STRONGLY_CONVEX |
              LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_SYMMETRIC,
    .hess_kinds = EXACT | FISHER | UPPER,
    .ulp_value = 2,
    .ulp_grad = 1,
    .ulp_hess = 0.5,
    .rho = half_squared_error_rho,
};
ELEMENTWISE(half_squared_error) {
    (void)p;
    V r = in[PRED] - in[TARGET];
    u->value = v_set(0.5) * r * r;
    u->grad[PRED] = r;
    u->grad[TARGET] = -r;
    u->hess = v_one();
}

/* Laplace (1774), least absolute deviations: |r|. */
static void mae_rho(double s, const double *p, double out[3]) {
    (void)p;
    out[0] = 2 * sqrt(s), out[1] = 1 / sqrt(s), out[2] = -0.5 / sqrt(s) / s;
}
DEFINE(mae) = {
    LOSS(mae),
    .aliases = "absolute_error, mean_absolute_error, l1",
    .family = "regression",
    .summary = "Absolute error: the loss of the median, little moved by outliers.",
    .formula = "|pred - target|",
    .latex = "|p - y|",
    .tasks = "regression",
    .see_also = "huber, quantile, mse",
    .look_alikes = "PyTorch: L1Loss: the same\nKeras: MeanAbsoluteError: the same\n"
                   "scikit-learn: AbsoluteError: gradient -1 at 0 there, 0 here",
    .source = "P.-S. Laplace, Memoire sur la probabilite des causes par les evenements, 1774",
    .kinks = "pred = target: gradient 0",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .inputs = {PRED_REAL, TARGET_REAL},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_SYMMETRIC | LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 1,
    .hess_kinds = EXACT,
    .ulp_value = 0.5,
    .ulp_grad = 0.5,
    .ulp_hess = 0.5,
    .rho = mae_rho,
};
ELEMENTWISE(mae) {
    (void)p;
    V r = in[PRED] - in[TARGET];
    u->value = v_abs(r);
    u->grad[PRED] = v_sign(r);
    u->grad[TARGET] = -v_sign(r);
    u->hess = v_zero();
}

/* Huber (1964): quadratic near zero, linear beyond delta.
 *   |r| <= delta: r^2/2,   else delta (|r| - delta/2) */
static void huber_rho(double s, const double *p, double out[3]) {
    double delta = p[0], root = sqrt(s);
    if (!(root > delta)) {
        out[0] = s, out[1] = 1, out[2] = 0;
    } else {
        out[0] = delta * (2 * root - delta), out[1] = delta / root, out[2] = -0.5 * (delta / root) / s;
    }
}
DEFINE(huber) = {
    LOSS(huber),
    .aliases = "",
    .family = "regression",
    .summary = "Quadratic near zero, linear beyond delta.",
    .formula = "r^2/2 if |r| <= delta, else delta (|r| - delta/2);  r = pred - target",
    .latex = "\\begin{cases} \\tfrac12 r^2 & |r| \\le \\delta \\\\ \\delta(|r| - \\tfrac12\\delta) & \\text{else} "
             "\\end{cases}",
    .tasks = "regression",
    .see_also = "smooth_l1, pseudo_huber, log_cosh, barron",
    .look_alikes = "PyTorch: HuberLoss: the same\nKeras: Huber: the same\noptax: huber_loss: reduction=none\n"
                   "PyTorch: SmoothL1Loss: is smooth_l1 = huber(delta=beta)/beta\nMXNet: HuberLoss: is smooth_l1\n"
                   "Ceres: HuberLoss: lossfn_rho of this\n"
                   "scikit-learn: HuberLoss: delta is a quantile of the residuals there",
    .source = "P. J. Huber, Robust estimation of a location parameter, Ann. Math. Statist. 35, 1964",
    .kinks = "Hessian at |r| = delta: 1",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_DOUBLE("delta", "1", 0, 1, INFINITY, 0,
                            "where the quadratic part ends, in units of the residual")},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_SYMMETRIC |
              LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 1,
    .hess_kinds = EXACT,
    .ulp_value = 2,
    .ulp_grad = 1,
    .ulp_hess = 0.5,
    .rho = huber_rho,
};
ELEMENTWISE(huber) {
    V r = in[PRED] - in[TARGET], a = v_abs(r), delta = p[0];
    M far = a > delta; /* not for NaN, which passes through r */
    u->value = v_select(far, delta * (a - v_set(0.5) * delta), v_set(0.5) * r * r);
    u->grad[PRED] = v_select(far, v_copysign(delta, r), r);
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = v_select(far, v_zero(), v_one());
}

/* Charbonnier et al. (1997): a smooth Huber loss, delta^2 (sqrt(1 + (r/delta)^2) - 1),
 * as delta |r| q / (1 + sqrt(1 + q^2)) with q = |r|/delta, which neither cancels nor overflows. */
static void pseudo_huber_rho(double s, const double *p, double out[3]) {
    double delta = p[0], q = s / delta / delta, root = q < 0x1p120 ? sqrt(1 + q) : sqrt(s) / delta, i = 1 / root;
    out[0] = q < 0x1p120 ? 2 * s / (1 + root) : 2 * delta * sqrt(s);
    out[1] = i, out[2] = -0.5 * (i / delta) * (i / delta) * i;
}
DEFINE(pseudo_huber) = {
    LOSS(pseudo_huber),
    .aliases = "charbonnier",
    .family = "regression",
    .summary = "A Huber loss with all derivatives: quadratic near zero, linear far out.",
    .formula = "delta^2 (sqrt(1 + (r/delta)^2) - 1);  r = pred - target",
    .latex = "\\delta^2\\left(\\sqrt{1 + (r/\\delta)^2} - 1\\right)",
    .tasks = "regression",
    .see_also = "huber, log_cosh, barron",
    .look_alikes = "XGBoost: reg:pseudohubererror: huber_slope is delta\nCeres: SoftLOneLoss: lossfn_rho of this\n"
                   "SciPy: soft_l1: lossfn_rho of this\nbarron(alpha=1): this divided by delta^2",
    .source = "P. Charbonnier, L. Blanc-Feraud, G. Aubert, M. Barlaud, IEEE Trans. Image Processing 6, 1997",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_DOUBLE("delta", "1", 0, 1, INFINITY, 1, "where quadratic turns linear, in units of the residual")},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_SYMMETRIC | LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 1,
    .hess_kinds = EXACT,
    .ulp_value = 4,
    .ulp_grad = 2,
    .ulp_hess = 4,
    .rho = pseudo_huber_rho,
};
ELEMENTWISE(pseudo_huber) {
    V r = in[PRED] - in[TARGET], a = v_abs(r), delta = p[0], q = a / delta;
    M far = q > v_set(0x1p60); /* then q^2 would overflow, and sqrt(1 + q^2) is q */
    V square = v_fma(q, q, v_one()), root = v_select(far, q, v_sqrt(square));
    u->value = delta * (a * v_select(far, v_one(), q / (v_one() + root)));
    u->grad[PRED] = v_select(far, v_copysign(delta, r), r / root);
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = v_one() / root / square;
}

/* Girshick (2015): Huber divided by its delta.
 *   |r| < beta: r^2/(2 beta),   else |r| - beta/2 */
static void smooth_l1_rho(double s, const double *p, double out[3]) {
    double beta = p[0], root = sqrt(s);
    if (root < beta) {
        out[0] = s / beta, out[1] = 1 / beta, out[2] = 0;
    } else {
        out[0] = 2 * root - beta, out[1] = 1 / root, out[2] = -0.5 / root / s;
    }
}
DEFINE(smooth_l1) = {
    LOSS(smooth_l1),
    .aliases = "",
    .family = "regression",
    .summary = "Absolute error with a quadratic bottom: huber divided by its delta.",
    .formula = "r^2/(2 beta) if |r| < beta, else |r| - beta/2;  r = pred - target",
    .latex = "\\begin{cases} r^2/(2\\beta) & |r| < \\beta \\\\ |r| - \\tfrac12\\beta & \\text{else} \\end{cases}",
    .tasks = "regression",
    .see_also = "huber, mae",
    .look_alikes = "PyTorch: SmoothL1Loss: the same\nMXNet: HuberLoss: rho is beta\nPyTorch: HuberLoss: is huber = "
                   "beta times this",
    .source = "R. Girshick, Fast R-CNN, ICCV 2015",
    .kinks = "beta = 0 is mae: gradient 0 at r = 0; Hessian at |r| = beta: 0",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_DOUBLE("beta", "1", 0, 0, INFINITY, 1, "where the quadratic part ends; 0 is mae")},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_SYMMETRIC |
              LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 1,
    .hess_kinds = EXACT,
    .ulp_value = 2.5,
    .ulp_grad = 1.5,
    .ulp_hess = 1,
    .rho = smooth_l1_rho,
};
ELEMENTWISE(smooth_l1) {
    V r = in[PRED] - in[TARGET], a = v_abs(r), beta = p[0];
    M near = a < beta;
    u->value = v_select(near, v_set(0.5) * r * (r / beta), a - v_set(0.5) * beta);
    u->grad[PRED] = v_select(near, r / beta, v_sign(r));
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = v_where(near, v_one() / beta);
}

/* For small s by Lambert's continued fraction: tanh(r)/r = k/(k + s), k = 3 + s/(5 + s/(7 + ...)). */
static void log_cosh_rho(double s, const double *p, double out[3]) {
    (void)p;
    double r = sqrt(s);
    if (s < 1) {
        double e = s_expm1(r), k = 21;
        for (int n = 19; n >= 3; n -= 2) k = n + s / k;
        out[0] = 2 * s_log1p(e / 2 * (e / (1 + e)));
        out[1] = k / (k + s);
        out[2] = (k + s - k * k) / (2 * (k + s) * (k + s));
    } else {
        double tail = s_exp(-2 * r), slope = s_tanh(r) / r;
        out[0] = 2 * ((r - 0.693147180559945309417) + s_log1p(tail));
        out[1] = slope;
        out[2] = (4 * tail / ((1 + tail) * (1 + tail)) - slope) / 2 / s;
    }
}

/* ln cosh r: with e = expm1(|r|), cosh r - 1 = e^2 / (2 (1 + e)) near zero; |r| + log1p(exp(-2|r|)) - ln 2 far out. */
DEFINE(log_cosh) = {
    LOSS(log_cosh),
    .aliases = "logcosh",
    .family = "regression",
    .summary = "Logarithm of the hyperbolic cosine of the error: smooth, between mse and mae.",
    .formula = "ln(cosh(pred - target))",
    .latex = "\\ln\\cosh(p - y)",
    .tasks = "regression",
    .see_also = "huber, pseudo_huber",
    .look_alikes = "Keras: LogCosh: the same\noptax: log_cosh: reduction=none",
    .source = "P. J. Green, Bayesian reconstructions from emission tomography data, IEEE Trans. Med. Imaging 9, 1990",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .inputs = {PRED_REAL, TARGET_REAL},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_SYMMETRIC | LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 1,
    .hess_kinds = EXACT,
    .ulp_value = 5,
    .ulp_grad = 2,
    .ulp_hess = 5,
    .rho = log_cosh_rho,
};
ELEMENTWISE(log_cosh) {
    (void)p;
    V r = in[PRED] - in[TARGET], a = v_abs(r), e = v_expm1(a), tail = v_exp(-2 * a);
    M near = a < v_one();
    V t = v_select(near, v_set(0.5) * e * (e / (v_one() + e)), tail);
    u->value = v_log1p(t) + v_where(m_not(near), a - v_set(0.693147180559945309417));
    u->grad[PRED] = v_tanh(r);
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = 4 * tail / ((v_one() + tail) * (v_one() + tail));
}

/* Koenker and Bassett (1978), the pinball loss: tau (target - pred) below the target, (1 - tau) (pred - target) above.
 */
static void quantile_setup(const double *params, double *constants) {
    constants[0] = params[0];
    constants[1] = 1 - params[0];
}
DEFINE(quantile) = {
    LOSS(quantile),
    .aliases = "pinball",
    .family = "regression",
    .summary = "Pinball loss: its minimiser is the tau-quantile of the target.",
    .formula = "tau (target - pred) if pred < target, else (1 - tau) (pred - target)",
    .latex = "\\max(\\tau (y - p), (1 - \\tau)(p - y))",
    .tasks = "quantile, regression",
    .see_also = "mae",
    .look_alikes = "scikit-learn: PinballLoss: gradient -tau at 0 there, 0 here\nLightGBM: quantile: alpha is tau\n"
                   "CatBoost: Quantile: alpha is tau\nXGBoost: reg:quantileerror: a smoothed surrogate, not this",
    .source = "R. Koenker, G. Bassett, Regression quantiles, Econometrica 46, 1978",
    .kinks = "pred = target: gradient 0",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_DOUBLE("tau", "0.5", 0, 1, 1, 1, "the quantile's level")},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_SYMMETRIC | LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 0.5,
    .hess_kinds = EXACT,
    .ulp_value = 1.5,
    .ulp_grad = 0.5,
    .ulp_hess = 0.5,
    .setup = quantile_setup,
};
ELEMENTWISE(quantile) {
    V r = in[PRED] - in[TARGET], below = p[0], above = p[1];
    V slope = v_select(r > v_zero(), above, v_select(r < v_zero(), -below, r)); /* r: 0 or NaN */
    u->value = v_select(r == v_zero(), v_zero(), slope * r);
    u->grad[PRED] = slope;
    u->grad[TARGET] = -slope;
    u->hess = v_zero();
}

/* Newey and Powell (1987), asymmetric least squares: tau r^2 below the target, (1 - tau) r^2 above. */
DEFINE(expectile) = {
    LOSS(expectile),
    .aliases = "asymmetric_squared_error",
    .family = "regression",
    .summary = "Asymmetric squared error: its minimiser is the tau-expectile of the target.",
    .formula = "tau r^2 if r < 0, else (1 - tau) r^2;  r = pred - target",
    .latex = "\\left|\\tau - 1_{p > y}\\right| (p - y)^2",
    .tasks = "quantile, regression",
    .see_also = "quantile, mse",
    .look_alikes = "CatBoost: Expectile: alpha is tau\nXGBoost: reg:expectileerror: half of this\n"
                   "Vowpal Wabbit: expectile: its q is 1 - tau",
    .source = "W. K. Newey, J. L. Powell, Asymmetric least squares estimation and testing, Econometrica 55, 1987",
    .kinks = "Hessian at pred = target: 2 tau",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_DOUBLE("tau", "0.5", 0, 1, 1, 1, "the expectile's level")},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX | LOSSFN_TRAIT_STRONGLY_CONVEX |
              LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_SYMMETRIC,
    .hess_kinds = EXACT | UPPER,
    .ulp_value = 2.5,
    .ulp_grad = 1.5,
    .ulp_hess = 0.51,
    .setup = quantile_setup, /* tau and 1 - tau */
};
ELEMENTWISE(expectile) {
    V r = in[PRED] - in[TARGET], w = v_select(r > v_zero(), p[1], p[0]);
    u->value = w * r * r;
    u->grad[PRED] = 2 * w * r;
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = v_nan_from(2 * w, r);
}
