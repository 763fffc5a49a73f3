/* SPDX-License-Identifier: MIT
 * Losses of the residual r = pred - target. */

#include "losses/angle.h"

/* The residual, and what its rounding took away: at a kink, that decides. */
ALWAYS_INLINE V exact_residual(const V *in, V *rest) {
    V r = two_sum(in[PRED], -in[TARGET], rest);
    *rest = v_where(v_isfinite(*rest), *rest);
    return r;
}
/* The residual's quarter, where that itself would overflow. */
ALWAYS_INLINE V quarter_residual(const V *in) { return v_fma(v_set(0.25), in[PRED], v_set(-0.25) * in[TARGET]); }
/* How far |residual| goes beyond an edge, which may be of two parts: of the right sign, however near it is. */
ALWAYS_INLINE V beyond_finely(V r, V rest, V edge, V edge_rest) {
    return (v_abs(r) - edge) + (v_select(r < v_zero(), -rest, rest) - edge_rest);
}
ALWAYS_INLINE V beyond(V r, V rest, V edge) { return beyond_finely(r, rest, edge, v_zero()); }

/* The level of a quantile or expectile. Where it varies along an axis, the target may repeat: several at once. */
#define LEVEL_INPUT(text)                                                                                              \
    { .name = "tau", .scale = LOSSFN_SCALE_PROBABILITY, .differentiable = 1, .learnable = 1, .spreads = 1, .doc = text }
#define LEVEL_PARAM(text) PARAM_LEARNABLE("tau", "0.5", 0, 1, 1, 1, text)
enum { TAU = 2, LEVEL_REST = 1 };
static void level_setup(const double *params, double *constants) {
    constants[0] = params[0];
    constants[LEVEL_REST] = 1 - params[0];
}
/* 1 - tau: of a parameter as it was given, not as REAL holds it. An input is what it is, and the parameter then 1/2. */
ALWAYS_INLINE V level_rest(V tau, const V *p) { return v_select(tau == p[0], p[LEVEL_REST], v_one() - tau); }
ALWAYS_INLINE M no_level(V tau, V rest) { return (tau <= v_zero()) | (rest <= v_zero()); }

/* Gauss (1809), least squares: r^2. */
static void mse_rho(double s, const double *p, double out[3]) {
    (void)p;
    out[0] = 2 * s, out[1] = 2, out[2] = 0;
}
DEFINE(mse) = {
    LOSS(mse),
    .aliases = "squared_error, mean_squared_error, mse_loss, l2_dist",
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

/* The root of a mean of squares; the engine draws it, of the sum over its denominator. */
DEFINE(rmse) = {
    LOSS(rmse),
    .aliases = "root_mean_squared_error",
    .family = "regression",
    .summary = "Root of the mean squared error, in the target's units: a loss of the whole batch.",
    .formula = "sqrt(mean of (pred - target)^2)",
    .latex = "\\sqrt{\\tfrac1n \\sum (p - y)^2}",
    .tasks = "regression",
    .see_also = "mse, multi_rmse, mae",
    .look_alikes = "scikit-learn: root_mean_squared_error: the same\npytorch-forecasting: RMSE: the same\n"
                   "XGBoost: rmse: the same, as a metric; reg:squarederror trains on half_squared_error\n"
                   "CatBoost: RMSE: the same, as a metric; it trains on half_squared_error\n"
                   "Keras: RootMeanSquaredError: the same, as a metric",
    .source = "C. F. Gauss, Theoria motus corporum coelestium, 1809",
    .kinks = "all residuals 0: gradient 0. With reduction none and per_row no root is drawn: squares and their sums",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .inputs = {PRED_REAL, TARGET_REAL},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_SYMMETRIC,
    .outer = LOSSFN__OUTER_SQRT,
    .ulp_value = 2,
    .ulp_grad = 1,
};
ELEMENTWISE(rmse) { mse_element(in, p, u); }

/* The same of the length of each row's residual. */
DEFINE(multi_rmse) = {
    LOSS(multi_rmse),
    .aliases = "",
    .family = "regression",
    .summary =
        "Root of the mean squared length of the error, for targets of several numbers: a loss of the whole batch.",
    .formula = "sqrt(mean over rows of the sum of (pred - target)^2)",
    .latex = "\\sqrt{\\tfrac1n \\sum_i \\sum_j (p_{ij} - y_{ij})^2}",
    .tasks = "regression",
    .see_also = "rmse, mse",
    .look_alikes = "CatBoost: MultiRMSE: the same, as a metric; it trains on the sum of half_squared_error",
    .source = "C. F. Gauss, Theoria motus corporum coelestium, 1809",
    .kinks = "all residuals 0: gradient 0. With reduction none and per_row no root is drawn: sums of squares",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .inputs = {PRED_REAL, TARGET_REAL},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_SYMMETRIC,
    .outer = LOSSFN__OUTER_SQRT,
    .ulp_value = 4,
    .ulp_grad = 1,
};
ROWWISE(multi_rmse, 1, 1, 0, 0);
ROW_SUMS(multi_rmse) {
    (void)r, (void)p, (void)u;
    V d = c->x - c->t;
    s[0] = d * d;
}
ROW_FINISH(multi_rmse) {
    (void)r, (void)p, (void)k;
    u->value = s[0];
}
ROW_MAP(multi_rmse) {
    (void)r, (void)p, (void)k;
    u->grad[PRED] = 2 * (c->x - c->t);
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = v_zero();
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
    .aliases = "absolute_error, mean_absolute_error, l1, l1_loss, l1_dist",
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
        const double half = 0.5 / s; /* need not wait for the root */
        out[0] = delta * (2 * root - delta), out[1] = delta / root, out[2] = -half * (delta / root);
    }
}
DEFINE(huber) = {
    LOSS(huber),
    .aliases = "huber_loss",
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
    .hess_kinds = EXACT | UPPER,
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
    u->hess = residual_hess(u->hess, u->grad[PRED], r, p);
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
    .aliases = "charbonnier, pseudohubererror",
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
    .hess_kinds = EXACT | UPPER,
    .ulp_value = 4.5, /* residual, quotient, root, and the products of these */
    .ulp_grad = 2.5,
    .ulp_hess = 4.5, /* the quotient's rounding counts thrice */
    .rho = pseudo_huber_rho,
};
ELEMENTWISE(pseudo_huber) {
    const V delta = p[0], whole = in[PRED] - in[TARGET];
    V r = whole, unit = delta, times = v_one();
    const M over = v_abs(r) == v_set(INFINITY);
    if (m_any(over)) { /* of finite numbers as well: all in quarters */
        r = v_select(over, quarter_residual(in), r), times = v_select(over, v_set(4), times);
        unit = v_select(over, v_set(0.25) * delta, unit);
    }
    V a = v_abs(r), q = a / unit;
    M far = q > v_set(0x1p60); /* then q^2 would overflow, and sqrt(1 + q^2) is q */
    V square = v_fma(q, q, v_one()), root = v_select(far, q, v_sqrt(square));
    u->value = delta * (a * v_select(far, v_one(), q / (v_one() + root))) * times;
    u->grad[PRED] = v_select(far, v_copysign(delta, r), r / root * times);
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = v_one() / root / square;
    u->hess = residual_hess(u->hess, u->grad[PRED], whole, p);
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
    .aliases = "smooth_l1_loss",
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
    .hess_kinds = EXACT | UPPER,
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
    u->hess = residual_hess(u->hess, u->grad[PRED], r, p);
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

/* ln cosh(a + rest), a + rest >= 0, with its slope and curvature. Near 0 by the series of it and of tanh, further out
 * a - ln 2 + ln(1 + e^-2a) and 1 - 2/(e^2a + 1). The curvature is 4 e^-2a / (1 + e^-2a)^2; what rounding takes from the
 * quotient is carried on. The coefficients come from tests/numeric/minimax.py. */
ALWAYS_INLINE V ln_cosh(V a, V rest, V *slope, V *curve) {
#ifdef LOSSFN_REAL_F32
    static const double series[] = {-0x1.b81cbep-16, 0x1.764b7p-13, -0x1.65f7d2p-11, 0x1.1b9ceep-9,
                                    -0x1.b9c39cp-8,  0x1.6c1464p-6, -0x1.55555p-4};
    static const double tanh_series[] = {-0x1.76b76ap-12, 0x1.2d2d22p-9, -0x1.043b84p-7, 0x1.5ffeb6p-6,
                                         -0x1.b960b2p-5,  0x1.110bdap-3, -0x1.55553cp-2};
#else
    static const double series[] = {0x1.f02376d1942ecp-28,  -0x1.3a9a64bd92b4dp-24, 0x1.95573a05ecab6p-22,
                                    -0x1.71655e59b4041p-20, 0x1.194815bb48cd5p-18,  -0x1.8cd776bf66040p-17,
                                    0x1.127cf41996757p-15,  -0x1.7d8f52dad7516p-14, 0x1.0d0a2b7ee926bp-12,
                                    -0x1.833d853046390p-11, 0x1.1ea5d302d4f46p-9,   -0x1.ba1ba1b572abcp-8,
                                    0x1.6c16c16c0d955p-6,   -0x1.55555555554f1p-4};
    static const double tanh_series[] = {-0x1.0bd39c2f4cc17p-24, 0x1.5e0ac18d732f6p-21,  -0x1.c9dd35b83e96dp-19,
                                         0x1.9d8d6b8efbe49p-17,  -0x1.2e8912c89272bp-15, 0x1.8d6783c46cb49p-14,
                                         -0x1.f3300b86968dbp-13, 0x1.35207f8a3a089p-11,  -0x1.7d9bad21e2ba7p-10,
                                         0x1.d6d30c754e352p-9,   -0x1.226e2e9d7c53bp-7,  0x1.664f48350a4a4p-6,
                                         -0x1.ba1ba1b805fedp-5,  0x1.111111110d70dp-3,   -0x1.555555555550fp-2};
#endif
    const V one = v_one(), half = v_set(0.5), minus_two = v_set(-2), square = a * a;
    V e = v_exp_minus(v_set(2) * a);
    e = v_fma(minus_two * rest, e, e);
    V sum_rest, sum = fast_two_sum(one, e, &sum_rest), inverse = one / sum;
    V lost = v_fma(-inverse, sum, one) - inverse * sum_rest, whole = v_set(4) * (inverse * inverse * e);
    *curve = v_fma(2 * lost, whole, whole);
    V value = v_set(series[0]), tanh = v_set(tanh_series[0]);
    UNROLL
    for (size_t i = 1; i < sizeof series / sizeof *series; i++) value = v_fma(value, square, v_set(series[i]));
    UNROLL
    for (size_t i = 1; i < sizeof tanh_series / sizeof *tanh_series; i++)
        tanh = v_fma(tanh, square, v_set(tanh_series[i]));
    M near = a < one;
    *slope = v_select(near, a + v_fma(a * square, tanh, rest * *curve), v_fma(minus_two, e * inverse, one));
    V square_rest = v_fma(half * a, a, -(half * square));
    value = half * square + v_fma(square * square, value, v_fma(*slope, rest, square_rest));
    V far = (a - v_set(LN2)) + v_fma(*slope, rest, v_log1p_unit(e) - v_set(LN2_REST));
    return v_select(near, value, far);
}

/* ln cosh r */
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
    .hess_kinds = EXACT | UPPER,
    .ulp_value = 2,
    .ulp_grad = 1.5,
    .ulp_hess = 3.5, /* the exponential's own error, and a square */
    .rho = log_cosh_rho,
};
ELEMENTWISE(log_cosh) {
    V rest, r = exact_residual(in, &rest), slope;
    u->value = ln_cosh(v_abs(r), v_select(r < v_zero(), -rest, rest), &slope, &u->hess);
    u->grad[PRED] = v_copysign(slope, r);
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = residual_hess(u->hess, u->grad[PRED], r, p);
}

/* Koenker and Bassett (1978), the pinball loss: tau (target - pred) below the target, (1 - tau) (pred - target) above.
 */
DEFINE(quantile) = {
    LOSS(quantile),
    .aliases = "pinball, pinball_loss, mean_pinball_loss",
    .family = "regression",
    .summary = "Pinball loss: its minimiser is the tau-quantile of the target.",
    .formula = "tau (target - pred) if pred < target, else (1 - tau) (pred - target)",
    .latex = "\\max(\\tau (y - p), (1 - \\tau)(p - y))",
    .tasks = "quantile, regression",
    .see_also = "expectile, interval_score, mae",
    .look_alikes = "scikit-learn: PinballLoss: gradient -tau at 0 there, 0 here\nLightGBM: quantile: alpha is tau\n"
                   "CatBoost: Quantile: alpha is tau\nXGBoost: reg:quantileerror: a smoothed surrogate, not this\n"
                   "CatBoost: MultiQuantile: tau given as an input of shape (1, levels), target of shape (N, 1)\n"
                   "pytorch-forecasting: QuantileLoss: 2*quantile, levels in the last axis: tau of shape (1, levels)\n"
                   "LossFunctions.jl: QuantileLoss: the same",
    .source = "R. Koenker, G. Bassett, Regression quantiles, Econometrica 46, 1978",
    .kinks = "pred = target: gradient 0",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 3,
    .n_params = 1,
    .inputs = {PRED_REAL, TARGET_REAL, LEVEL_INPUT("the quantile's level")},
    .params = {LEVEL_PARAM("the quantile's level")},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_SYMMETRIC | LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 0.5,
    .hess_kinds = EXACT,
    .ulp_value = 1.5,
    .ulp_grad = 0.5,
    .ulp_hess = 0.5,
    .setup = level_setup,
};
/* The slope of the pinball loss; r: 0 or NaN where it is that. */
ALWAYS_INLINE V pinball_slope(V r, V tau, V above) {
    return v_select(r > v_zero(), above, v_select(r < v_zero(), -tau, r));
}
ELEMENTWISE(quantile) {
    V above = level_rest(in[TAU], p), r = in[PRED] - in[TARGET], slope = pinball_slope(r, in[TAU], above);
    u->outside = no_level(in[TAU], above);
    u->value = v_select(r == v_zero(), v_zero(), slope * r);
    u->grad[PRED] = slope;
    u->grad[TARGET] = -slope;
    u->grad[TAU] = -r;
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
    .n_inputs = 3,
    .n_params = 1,
    .inputs = {PRED_REAL, TARGET_REAL, LEVEL_INPUT("the expectile's level")},
    .params = {LEVEL_PARAM("the expectile's level")},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX | LOSSFN_TRAIT_STRONGLY_CONVEX |
              LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_SYMMETRIC,
    .hess_kinds = EXACT | UPPER,
    .ulp_value = 3.5, /* the residual's rounding counts twice, 1 - tau is rounded */
    .ulp_grad = 2,    /* by tau: a square */
    .ulp_hess = 0.51,
    .setup = level_setup,
};
ELEMENTWISE(expectile) {
    V r = in[PRED] - in[TARGET], tau = in[TAU], above = level_rest(tau, p), w = v_select(r > v_zero(), above, tau);
    u->outside = no_level(tau, above);
    V square = r * r;
    u->value =
        v_select(square == v_set(INFINITY), w * r * r, w * square); /* no product too small or large on the way */
    u->grad[PRED] = 2 * w * r;
    u->grad[TARGET] = -u->grad[PRED];
    u->grad[TAU] = v_copysign(square, -r);
    u->hess = v_nan_from(2 * (WANTS(UPPER, p) ? v_greater(tau, above) : w), r);
}

/* CatBoost's LogLinQuantile: the pinball loss of a prediction on a logarithmic scale. e^pred - target is found with the
 * rest of the exponential, so that it has the right sign. */
DEFINE(log_lin_quantile) = {
    LOSS(log_lin_quantile),
    .aliases = "",
    .family = "regression",
    .summary = "Pinball loss of a prediction whose logarithm is given: for positive targets.",
    .formula = "tau (target - e) if e < target, else (1 - tau) (e - target);  e = exp(pred)",
    .latex = "\\max(\\tau (y - e^z), (1 - \\tau)(e^z - y))",
    .tasks = "quantile",
    .see_also = "quantile",
    .look_alikes = "CatBoost: LogLinQuantile: alpha is tau; no Hessian there",
    .source = "R. Koenker, G. Bassett, Regression quantiles, Econometrica 46, 1978",
    .kinks = "exp(pred) = target: gradient 0",
    .unit = LOSSFN_UNIT_ELEMENT,
    .link = LOSSFN__LINK_LOG,
    .n_inputs = 3,
    .n_params = 1,
    .inputs = {INPUT("pred", REAL, 1, "logarithm of the prediction"), TARGET_REAL, LEVEL_INPUT("the quantile's level")},
    .params = {LEVEL_PARAM("the quantile's level")},
    .traits = LOSSFN_TRAIT_NONNEGATIVE,
    .hess_kinds = EXACT,
    .ulp_value = 2.5, /* exponential, difference, 1 - tau and the product are rounded */
    .ulp_grad = 2,
    .ulp_hess = 2,
    .setup = level_setup,
};
ELEMENTWISE(log_lin_quantile) {
    const V lift = v_set(sizeof(REAL) == 4 ? 64 : 512), above = level_rest(in[TAU], p);
    V shift, tail, rest, z = at_most(at_least(in[PRED], EXP_UNDERFLOW), EXP_OVERFLOW + 40);
    V n = exp_parts(z, v_zero(), &shift, &tail);
    /* At the ends of the range all is moved to its middle first: a small slope may make what is too large finite, and
     * e^pred is never 0. */
    V back = v_one(), target = in[TARGET];
    const M low = m_and(n < v_set(60 - EXPONENT_BIAS), v_abs(target) < v_one());
    const M high = n > v_set(EXPONENT_BIAS - 20);
    if (m_any(m_or(low, high))) {
        const V apart = v_select(low, -lift, v_where(high, lift));
        back = power_of_two(apart), target *= power_of_two(-apart), n -= apart;
    }
    V e = exp_whole(n, shift, tail, &rest), r = (e - target) + rest;
    V slope = pinball_slope(r, in[TAU], above);
    u->outside = no_level(in[TAU], above);
    u->value = v_select(r == v_zero(), v_zero(), slope * r * back);
    u->grad[PRED] = slope * e * back;
    u->grad[TARGET] = -slope;
    u->grad[TAU] = -r * back;
    u->hess = u->grad[PRED];
}

/* Winkler (1972), Gneiting and Raftery (2007): width of an interval, and 2/alpha times what the target lies outside. */
static void interval_score_setup(const double *params, double *constants) {
    constants[0] = 2 / params[0];
    constants[1] = constants[0] - 1;
}
DEFINE(interval_score) = {
    LOSS(interval_score),
    .aliases = "winkler_score",
    .family = "regression",
    .summary = "Winkler's score of a prediction interval: its width, and a penalty where the target is outside.",
    .formula = "upper - pred + (2/alpha) (max(pred - target, 0) + max(target - upper, 0))",
    .latex = "u - l + \\tfrac{2}{\\alpha}\\left((l - y)_+ + (y - u)_+\\right)",
    .tasks = "quantile",
    .see_also = "quantile",
    .look_alikes =
        "the sum of quantile at alpha/2 of the lower end and at 1 - alpha/2 of the upper one: alpha/2 of this",
    .source = "T. Gneiting, A. E. Raftery, Strictly proper scoring rules, prediction, and estimation, JASA 102, 2007",
    .kinks = "target at an end of the interval: its gradient there 0",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 3,
    .n_params = 1,
    .inputs = {INPUT("pred", REAL, 1, "lower end of the interval"), TARGET_REAL,
               INPUT("upper", REAL, 1, "upper end of the interval")},
    .params = {PARAM_DOUBLE("alpha", "0.1", 0, 1, 1, 1, "the interval is to hold the target but for this probability")},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 19,
    .hess_kinds = EXACT,
    .ulp_value = 2,
    .ulp_grad = 0.5,
    .ulp_hess = 0.5,
    .setup = interval_score_setup,
};
ELEMENTWISE(interval_score) {
    enum { UPPER_END = 2 };
    const V zero = v_zero(), one = v_one(), cost = p[0], more = p[1];
    V below = in[PRED] - in[TARGET], above = in[TARGET] - in[UPPER_END];
    /* the width is -below - above: two terms, neither negative */
    u->value = v_select(below > zero, more * below, v_abs(below)) + v_select(above > zero, more * above, v_abs(above));
    V low = v_select(below > zero, cost, v_nan_from(zero, below));
    V high = v_select(above > zero, cost, v_nan_from(zero, above));
    u->grad[PRED] = v_select(below == zero, zero, low - one);
    u->grad[TARGET] = high - low;
    u->grad[UPPER_END] = v_select(above == zero, zero, one - high);
    u->hess = zero;
}

static void lp_setup(const double *params, double *constants) { set_finely(params[0], constants); }

/* |r|^p, by one logarithm with its rest, so that exponents near p may take it. */
static void lp_rho(double s, const double *p, double out[3]) {
    const double half = p[0] / 2, bend = p[0] * (half - 1);
    out[0] = 2 * s_pow(s, half);
    out[1] = p[0] * s_pow(s, half - 1);
    out[2] = bend == 0 ? 0 : bend * s_pow(s, half - 2);
}
DEFINE(lp) = {
    LOSS(lp),
    .aliases = "lp_dist",
    .family = "regression",
    .summary = "A power of the absolute error: 1 is mae, 2 is mse, between them outliers count less than squared.",
    .formula = "|pred - target|^p",
    .latex = "|p - y|^p",
    .tasks = "regression",
    .see_also = "mse, mae, huber",
    .look_alikes = "LossFunctions.jl: LPDistLoss: p is P; its derivatives are 0 at r = 0\nCatBoost: Lq: q is p",
    .source = "J. R. Rice, J. S. White, Norms for smoothing and estimation, SIAM Review 6, 1964",
    .kinks =
        "pred = target: gradient 0; the Hessian is its limit there, inf for 1 < p < 2, 0 for p = 1, -inf for p < 1",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_DOUBLE("p", "2", 0, 1, INFINITY, 1, "the power; convex from 1")},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX | LOSSFN_TRAIT_STRONGLY_CONVEX |
              LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_SYMMETRIC,
    .hess_kinds = EXACT,
    .ulp_value = 1,
    .ulp_grad = 1.5,
    .ulp_hess = 1.5,
    .rho = lp_rho,
    .setup = lp_setup,
};
/* factor x^(y + y_rest), log x in two parts, x^0 = 1. A power too large or too small for all its digits meets the
 * factor before it is put there. */
ALWAYS_INLINE V lp_power(V factor, V log_x, V log_rest, V y, V y_rest) {
    const double lift = sizeof(REAL) == 4 ? 64 : 512;
    y = two_sum(y, y_rest, &y_rest);
    V product = y * log_x, rest = v_fma(y, log_rest, v_fma(y, log_x, -product)) + y_rest * log_x, r, tail;
    V bounded = at_most(at_least(product, EXP_UNDERFLOW - 40), EXP_OVERFLOW + 40);
    V n = exp_parts(bounded, v_where(bounded == product, rest), &r, &tail);
    V high = v_where(n > v_set(EXPONENT_BIAS - 20), v_set(lift));
    V apart = v_select(n < v_set(60 - EXPONENT_BIAS), v_set(-lift), high);
    V power = factor * exp_whole(n - apart, r, tail, &(V){0}) * power_of_two(apart);
    return v_select(y == v_zero(), factor, v_where(product != v_set(-INFINITY), power));
}
/* The powers that everybody takes need no logarithm. The square has what rounding took from r. */
ALWAYS_INLINE void lp_of_one(V r, unit_t *u) {
    u->value = v_abs(r);
    u->grad[PRED] = v_sign(r);
    u->hess = v_nan_from(v_zero(), r);
}
ALWAYS_INLINE void lp_of_two(V r, V rest, unit_t *u) {
    const V square = r * r, left = v_fma(r, r, -square) + 2 * r * rest, whole = square + left;
    u->value = v_select(square < v_set(INFINITY), whole, square);
    u->grad[PRED] = 2 * r;
    u->hess = v_nan_from(v_set(2), r);
}
ELEMENTWISE(lp) {
    const V zero = v_zero(), power = p[0], power_rest = left_of(p);
    V rest, r = exact_residual(in, &rest), a = v_abs(r), log_rest, less_rest, least_rest;
    if ((power[0] == 1 || power[0] == 2) && power_rest[0] == 0) {
        if (power[0] == 1)
            lp_of_one(r, u);
        else
            lp_of_two(r, rest, u);
        u->grad[TARGET] = -u->grad[PRED];
        return;
    }
    const M over = a == v_set(INFINITY); /* of finite numbers as well */
    if (m_any(over)) a = v_select(over, v_abs(quarter_residual(in)), a);
    V log_a = log_limits(a, log_two_parts(a, &log_rest), v_set(INFINITY));
    log_rest += rest / r; /* a power would multiply what rounding took from r */
    if (m_any(over)) {
        V lost, more = two_sum(log_a, v_set(2 * LN2), &lost);
        lost = v_where(v_isfinite(more), lost + log_rest + v_set(2 * LN2_REST));
        log_a = v_select(over, more, log_a), log_rest = v_select(over, lost, log_rest);
    }
    V less = two_sum(power, v_set(-1), &less_rest), least = two_sum(power, v_set(-2), &least_rest);
    less_rest += power_rest, least_rest += power_rest;
    u->value = lp_power(v_one(), log_a, log_rest, power, power_rest);
    V slope = v_copysign(lp_power(power, log_a, log_rest, less, less_rest), r);
    u->grad[PRED] = v_nan_from(v_select(r == zero, zero, slope), r);
    u->grad[TARGET] = -u->grad[PRED];
    V curve = lp_power(power * (less + less_rest), log_a, log_rest, least, least_rest);
    u->hess = v_nan_from(v_select(less + less_rest == zero, zero, curve), r);
}

/* The logistic distribution's density, up to a constant: -ln(4 e^r / (1 + e^r)^2) = 2 ln cosh(r/2). */
DEFINE(logit_dist) = {
    LOSS(logit_dist),
    .aliases = "logistic_distance",
    .family = "regression",
    .summary = "Negative log-density of a logistic error: smooth, quadratic near zero and linear far out.",
    .formula = "-log(4 exp(r) / (1 + exp(r))^2);  r = pred - target",
    .latex = "-\\ln\\frac{4 e^r}{(1 + e^r)^2}",
    .tasks = "regression",
    .see_also = "log_cosh, huber, pseudo_huber",
    .look_alikes = "LossFunctions.jl: LogitDistLoss: the same; overflows for large r there\n"
                   "log_cosh: this of r is twice that of r/2",
    .source = "I. Steinwart, A. Christmann, Support vector machines, Springer, 2008",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .inputs = {PRED_REAL, TARGET_REAL},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_SYMMETRIC | LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 1,
    .hess_kinds = EXACT | UPPER,
    .ulp_value = 2,
    .ulp_grad = 1.5,
    .ulp_hess = 3.5, /* the exponential's own error, and a square */
};
ELEMENTWISE(logit_dist) {
    V rest, r = exact_residual(in, &rest), slope;
    const V half = v_copysign(v_set(0.5), r);
    u->value = 2 * ln_cosh(half * r, half * rest, &slope, &u->hess);
    u->grad[PRED] = v_copysign(slope, r);
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = v_set(0.5) * u->hess;
    u->hess = residual_hess(u->hess, u->grad[PRED], r, p);
}

/* Vapnik (1995): nothing within epsilon, the absolute error from there. */
static void epsilon_setup(const double *params, double *constants) { set_finely(params[0], constants); }
DEFINE(epsilon_insensitive) = {
    LOSS(epsilon_insensitive),
    .aliases = "l1_epsilon_ins",
    .family = "regression",
    .summary = "The loss of support vector regression: errors up to epsilon are free, larger ones count by their rest.",
    .formula = "max(|pred - target| - epsilon, 0)",
    .latex = "\\max(|p - y| - \\varepsilon, 0)",
    .tasks = "regression",
    .see_also = "squared_epsilon_insensitive, mae, huber",
    .look_alikes =
        "LossFunctions.jl: L1EpsilonInsLoss: the same\nscikit-learn: SVR: epsilon=0.1\n"
        "scikit-learn: SGDRegressor(loss='epsilon_insensitive'): epsilon=0.1\nLIBSVM: epsilon-SVR: epsilon=0.1",
    .source = "V. N. Vapnik, The nature of statistical learning theory, Springer, 1995",
    .kinks = "|pred - target| = epsilon: gradient 0",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_DOUBLE("epsilon", "1", 0, 0, INFINITY, 1, "what is free; 0 is mae")},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_SYMMETRIC | LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 1,
    .hess_kinds = EXACT,
    .ulp_value = 1.5,
    .ulp_grad = 0.5,
    .ulp_hess = 0.5,
    .setup = epsilon_setup,
};
ELEMENTWISE(epsilon_insensitive) {
    V rest, r = exact_residual(in, &rest), d = beyond_finely(r, rest, p[0], left_of(p));
    M inside = d <= v_zero();
    u->value = v_select(inside, v_zero(), d);
    u->grad[PRED] = v_select(inside, v_zero(), v_sign(r));
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = v_zero();
}

/* The square of it. */
DEFINE(squared_epsilon_insensitive) = {
    LOSS(squared_epsilon_insensitive),
    .aliases = "l2_epsilon_ins",
    .family = "regression",
    .summary = "Errors up to epsilon are free, larger ones count by their rest squared.",
    .formula = "max(|pred - target| - epsilon, 0)^2",
    .latex = "\\max(|p - y| - \\varepsilon, 0)^2",
    .tasks = "regression",
    .see_also = "epsilon_insensitive, mse",
    .look_alikes = "LossFunctions.jl: L2EpsilonInsLoss: the same\nGTSAM: L2WithDeadZone: half of this\n"
                   "scikit-learn: LinearSVR(loss='squared_epsilon_insensitive'): epsilon=0",
    .source = "V. N. Vapnik, The nature of statistical learning theory, Springer, 1995",
    .kinks = "Hessian at |pred - target| = epsilon: 0",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_DOUBLE("epsilon", "1", 0, 0, INFINITY, 1, "what is free; 0 is mse")},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_SYMMETRIC,
    .hess_kinds = EXACT | UPPER,
    .ulp_value = 2.5, /* what is squared is rounded twice */
    .ulp_grad = 1,
    .ulp_hess = 0.5,
    .setup = epsilon_setup,
};
ELEMENTWISE(squared_epsilon_insensitive) {
    V rest, r = exact_residual(in, &rest), d = beyond_finely(r, rest, p[0], left_of(p));
    M inside = d <= v_zero();
    u->value = v_select(inside, v_zero(), d * d);
    u->grad[PRED] = v_select(inside, v_zero(), v_copysign(2 * d, r));
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = v_nan_from(v_select(inside, v_set(WANTS(UPPER, p) ? 2 : 0), v_set(2)), r);
}

/* The error of an angle, or of anything that returns after c: 1 - cos(2 pi r/c). */
enum { PERIODIC_LEFT = 1, PERIODIC_LAST, PERIODIC_RATE, PERIODIC_CURVE };
static void periodic_setup(const double *params, double *constants) {
    set_finely(params[0], constants); /* PERIODIC_LEFT, which again is more than float holds */
    constants[PERIODIC_LAST] = constants[PERIODIC_LEFT] - (double)(float)constants[PERIODIC_LEFT];
    constants[PERIODIC_RATE] = 0x1.921fb54442d18p+2 / params[0];
    constants[PERIODIC_CURVE] = 0x1.3bd3cc9be45dep+5 / params[0] / params[0]; /* (2 pi)^2 */
}
DEFINE(periodic) = {
    LOSS(periodic),
    .aliases = "",
    .family = "regression",
    .summary = "The error of an angle: 0 whenever the residual is a whole number of turns.",
    .formula = "1 - cos(2 pi (pred - target) / c)",
    .latex = "1 - \\cos(2\\pi (p - y) / c)",
    .tasks = "regression, angles",
    .see_also = "mse",
    .look_alikes = "LossFunctions.jl: PeriodicLoss: the same",
    .source = "K. V. Mardia, P. E. Jupp, Directional statistics, Wiley, 2000",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_DOUBLE("c", "1", 0, 1, INFINITY, 1, "a whole turn, in units of the residual")},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE |
              LOSSFN_TRAIT_SYMMETRIC | LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 6.283185307179587,
    .hess_kinds = EXACT,
    .ulp_value = 2,
    .ulp_grad = 2.5, /* sine, rate and their product */
    .ulp_hess = 3,   /* the same with the rate's square */
    .setup = periodic_setup,
};
/* The residual where it has so many turns that none can be counted, or overflows: remainder() is exact. */
OUT_OF_LINE void periodic_far(const V *in, const V *p, const M *far, V *r, V *rest) {
    for (uint32_t lanes = m_bits(*far); lanes; lanes &= lanes - 1) {
        const int l = __builtin_ctz(lanes);
        const double pred = (double)in[PRED][l], target = (double)in[TARGET][l];
        double c = (double)p[0][l];
        if (sizeof(REAL) == 4) c += (double)p[PERIODIC_LEFT][l] + (double)p[PERIODIC_LAST][l];
        if (!isfinite(pred) || !isfinite(target) || c == 0) continue; /* too small for REAL: NaN */
        const double x = remainder(pred, c), y = -remainder(target, c), sum = (double)(REAL)(x + y), y_part = sum - x;
        (*r)[l] = (REAL)remainder(sum, c);
        (*rest)[l] = (REAL)((x - (sum - y_part)) + (y - y_part));
    }
}
/* 1 - cos and sin of 2 pi (y + y_rest), |y| <= 1/8, by their Taylor series. */
ALWAYS_INLINE void turn_parts(V y, V y_rest, V *versine, V *sine) {
    V z = y * y, z_rest = v_fma(y, y, -z) + 2 * y * y_rest;
#ifdef LOSSFN_REAL_F32
    V v = v_set(0x1.a6d1f2p+4), s = v_set(0x1.507834p+5);
    const double versine_head = 0x1.3bd3ccp+4, versine_rest = 0x1.37c8bcp-21;
    const double sine_head = 0x1.921fb6p+2, sine_rest = -0x1.777a5cp-23;
#else
    V v = v_set(0x1.2a0c591af8314p-5), s = v_set(0x1.aaec32af93359p-4);
    v = v_fma(v, z, v_set(-0x1.20c62c2f2d7f5p-2)), s = v_fma(s, z, v_set(-0x1.6fadb9f155744p-1));
    v = v_fma(v, z, v_set(0x1.b6e24f44b128fp+0)), s = v_fma(s, z, v_set(0x1.e8f434d018d63p+1));
    v = v_fma(v, z, v_set(-0x1.f9d38a3763cc3p+2)), s = v_fma(s, z, v_set(-0x1.e3074fde8871fp+3));
    v = v_fma(v, z, v_set(0x1.a6d1f2a204a8cp+4)), s = v_fma(s, z, v_set(0x1.50783487ee782p+5));
    const double versine_head = 0x1.3bd3cc9be45dep+4, versine_rest = 0x1.692b71366cc04p-50;
    const double sine_head = 0x1.921fb54442d18p+2, sine_rest = 0x1.1a62633145c07p-52;
#endif
    v = v_fma(v, z, v_set(-0x1.e1f506891babbp+5)), s = v_fma(s, z, v_set(-0x1.32d2cce62bd86p+6));
    v = v_fma(v, z, v_set(0x1.55d3c7e3cbffap+6)), s = v_fma(s, z, v_set(0x1.466bc6775aae2p+6));
    v = v_fma(v, z, v_set(-0x1.03c1f081b5ac4p+6)), s = v_fma(s, z, v_set(-0x1.4abbce625be53p+5));
    *versine = v_fma(z, v_set(versine_head), v_fma(z_rest, v_set(versine_head), z * v_fma(v, z, v_set(versine_rest))));
    *sine = v_fma(y, v_set(sine_head), v_fma(y_rest, v_set(sine_head), y * v_fma(s, z, v_set(sine_rest))));
}
ELEMENTWISE(periodic) {
    const V one = v_one(), turn = p[0];
    V rest, r = exact_residual(in, &rest);
    M far = v_abs(r) >= turn * v_set((double)(1ll << (MANTISSA_BITS - 2)));
    if (m_any(far)) periodic_far(in, p, &far, &r, &rest);
    const V whole = v_round(r / turn), left = left_of(p);
    r = v_fma(-whole, turn, r); /* at most half a turn, exactly */
    if (sizeof(REAL) == 4) {
        V lost, product = whole * left;
        r = two_sum(r, -product, &lost);
        rest = (rest - v_fma(whole, left, -product)) + v_fma(-whole, p[PERIODIC_LAST], lost);
    }
    r = two_sum(r, rest, &rest);
    V a = v_abs(r), eighth = v_set(0.125) * turn, a_rest = v_select(r < v_zero(), -rest, rest);
    M low = a<eighth, high = a> 3 * eighth;
    V part = v_select(low, a, v_select(high, 4 * eighth, 2 * eighth) - a),
      part_rest = v_select(low, a_rest, v_select(high, v_set(0.5), v_set(0.25)) * left - a_rest);
    V y = part / turn, y_rest = (v_fma(-y, turn, part) + v_fma(-y, left, part_rest)) / turn, versine, sine;
    turn_parts(y, y_rest, &versine, &sine);
    M middle = m_not(low | high);
    u->value = v_select(low, versine, v_select(high, v_set(2) - versine, one - sine));
    u->grad[PRED] = p[PERIODIC_RATE] * v_select(r < v_zero(), v_set(-1), one) * v_select(middle, one - versine, sine);
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = p[PERIODIC_CURVE] * v_select(low, one - versine, v_select(high, versine - one, sine));
}

/* x / a^2 up to the factor *lower, which is left to the end: x / a may be too small for all its digits, or too large.
 */
ALWAYS_INLINE V over_square(V x, V a, V *lower) {
    const double little = sizeof(REAL) == 4 ? 0x1p-64 : 0x1p-512;
    M faint = v_abs(x)<v_set(little) * a, large = v_abs(x) * v_set(little)> a;
    V lift = v_select(faint, v_set(1 / little), v_select(large, v_set(little), v_one()));
    *lower = v_select(faint, v_set(little), v_select(large, v_set(1 / little), v_one()));
    return x * lift / a / a;
}

/* The absolute error in percent of the target. */
DEFINE(mape) = {
    LOSS(mape),
    .aliases = "mean_absolute_percentage_error, absolute_percentage_error",
    .family = "regression",
    .summary = "Absolute error in percent of the target.",
    .formula = "100 |pred - target| / max(|target|, eps)",
    .latex = "100\\,\\frac{|p - y|}{\\max(|y|, \\epsilon)}",
    .tasks = "",
    .see_also = "smape, mase, msle",
    .look_alikes = "Keras: MeanAbsolutePercentageError: eps=1e-7\n"
                   "scikit-learn: mean_absolute_percentage_error: 0.01*mape(eps=2.220446049250313e-16)\n"
                   "LightGBM: mape: 0.01*mape(eps=1)\nCatBoost: MAPE: 0.01*mape(eps=1)\n"
                   "TorchMetrics: mean_absolute_percentage_error: 0.01*mape(eps=1.17e-06)\n"
                   "pytorch-forecasting: MAPE: |pred - target| / (|target| + 1e-8)",
    .source = "S. Makridakis, Accuracy measures: theoretical and practical concerns, Int. J. Forecasting 9, 1993",
    .kinks = "pred = target: gradient 0. Target 0 and eps 0: infinite, with gradient of target 0; outside if pred is 0 "
             "as well",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {PRED_REAL, INPUT("target", REAL, 1, "target; 0 counts infinitely much, but for eps")},
    .params = {PARAM_DOUBLE("eps", "0", 0, 0, INFINITY, 1, "a smaller |target| counts as this")},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_NONNEGATIVE,
    .hess_kinds = EXACT,
    .ulp_value = 2.5, /* residual, quotient and percentage are rounded */
    .ulp_grad = 3,    /* two quotients and the percentage */
    .ulp_hess = 0.5,
};
ELEMENTWISE(mape) {
    const V zero = v_zero(), half = v_set(0.5), hundred = v_set(100), infinity = v_set(INFINITY);
    V pred = in[PRED], target = in[TARGET], size = v_abs(target);
    M held = size < p[0];
    V r = pred - target, a = v_abs(r), base = v_select(held, p[0], size);
    M large = a == infinity; /* of finite numbers as well */
    V share = v_select(large, v_abs(half * pred - half * target), a) / v_select(large, half * base, base);
    u->outside = (base == zero) & (r == zero);
    u->value = hundred * v_select((base == infinity) & v_isfinite(pred), v_one(), share);
    const V sign = v_sign(r);
    u->grad[PRED] = v_select(sign == zero, zero, sign * (hundred / base));
    V lower, slope = hundred * over_square(pred, base, &lower) * lower; /* the quotient depends on pred/target alone */
    slope = v_select(target < zero, sign, -sign) * slope;
    u->grad[TARGET] = v_nan_from(v_select(held, -u->grad[PRED], v_where((base != zero) & (sign != zero), slope)), r);
    u->hess = v_nan_from(zero, r);
}

/* Symmetric: the absolute error in percent of the mean size of both. */
DEFINE(smape) = {
    LOSS(smape),
    .aliases = "symmetric_mean_absolute_percentage_error",
    .family = "regression",
    .summary = "Absolute error in percent of the mean size of prediction and target: 0 to 200.",
    .formula = "200 |pred - target| / (|pred| + |target|)",
    .latex = "200\\,\\frac{|p - y|}{|p| + |y|}",
    .tasks = "",
    .see_also = "mape, mase, msle",
    .look_alikes = "pytorch-forecasting: SMAPE: 0.01*smape, with 1e-8 added to the denominator\n"
                   "TorchMetrics: symmetric_mean_absolute_percentage_error: 0.01*smape",
    .source = "S. Makridakis, Accuracy measures: theoretical and practical concerns, Int. J. Forecasting 9, 1993",
    .kinks = "pred = target and pred = 0: gradient 0; both 0: value 0",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .inputs = {PRED_REAL, TARGET_REAL},
    .traits = LOSSFN_TRAIT_NONNEGATIVE,
    .hess_kinds = EXACT,
    .ulp_value = 3, /* residual, sum, quotient and percentage are rounded */
    .ulp_grad = 4,  /* a rounded sum and two quotients by it */
    .ulp_hess = 5,  /* and one quotient more */
};
ELEMENTWISE(smape) {
    (void)p;
    const V zero = v_zero(), one = v_one(), infinity = v_set(INFINITY);
    M large = v_greater(v_abs(in[PRED]), v_abs(in[TARGET])) > v_set(sizeof(REAL) == 4 ? 0x1p125 : 0x1p1021);
    V scale = v_select(large, v_set(0.25), one); /* so that nothing overflows on the way */
    V pred = scale * in[PRED], target = scale * in[TARGET], r = pred - target, a = v_abs(r);
    V pred_size = v_abs(pred), size = v_abs(target), both = pred_size + size;
    u->value = v_set(200) * v_select(a == infinity, one, v_select(both == zero, zero, a / both));
    /* of one sign, the quotient is that of |pred| and |target|; of two, it is 1 */
    const V x = in[PRED], y = in[TARGET]; /* a quarter may be 0 */
    M alike = ((x > zero) & (y > zero)) | ((x < zero) & (y < zero));
    M moves = m_and(alike, m_and(both < infinity, r != zero));
    V slope = v_copysign(v_set(400) * scale, r), lower, by_pred = over_square(size, both, &lower);
    V curve = v_select(x > zero, v_set(-2), v_set(2)) * (slope * by_pred) / both * scale * lower;
    u->grad[PRED] = v_nan_from(v_where(moves, slope * by_pred * lower), r);
    u->hess = v_nan_from(v_where(moves, curve), r);
    V by_target = over_square(pred_size, both, &lower);
    u->grad[TARGET] = v_nan_from(v_where(moves, -slope * by_target * lower), r);
}

/* Hyndman and Koehler (2006): the absolute error in units of what the naive forecast misses in the past. */
DEFINE(mase) = {
    LOSS(mase),
    .aliases = "mean_absolute_scaled_error",
    .family = "regression",
    .summary = "Absolute error in units of what the naive forecast misses on the series' past: below 1 is better.",
    .formula = "|pred - target| / scale;  scale = mean |y_t - y_(t-m)| of the past, m the season or 1",
    .latex = "|p - y| / s",
    .tasks = "",
    .see_also = "mae, mape, smape",
    .look_alikes = "sktime: mean_absolute_scaled_error: scale from y_train, one per series\n"
                   "pytorch-forecasting: MASE: divides by one more than there are differences",
    .source =
        "R. J. Hyndman, A. B. Koehler, Another look at measures of forecast accuracy, Int. J. Forecasting 22, 2006",
    .kinks = "pred = target: gradient 0",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 3,
    .n_params = 1,
    .inputs = {PRED_REAL, TARGET_REAL,
               LEARNABLE("scale", POSITIVE, 1,
                         "mean absolute error of the naive forecast on the past; (N, 1) for one "
                         "per series")},
    .params = {PARAM_LEARNABLE("scale", "1", 0, 1, INFINITY, 1,
                               "mean absolute error of the naive forecast on the past")},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_SYMMETRIC | LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 1,
    .hess_kinds = EXACT,
    .ulp_value = 1.5,
    .ulp_grad = 2.5, /* by scale: residual and two quotients */
    .ulp_hess = 0.5,
};
ELEMENTWISE(mase) {
    enum { SCALE = 2 };
    (void)p;
    const V r = in[PRED] - in[TARGET], scale = in[SCALE];
    V size = v_abs(r), unit = scale, lower;
    const M over = size == v_set(INFINITY);
    if (m_any(over)) { /* of finite numbers as well */
        size = v_select(over, v_abs(quarter_residual(in)), size), unit = v_select(over, v_set(0.25) * scale, scale);
    }
    const V by_scale = over_square(size, scale, &lower);
    if (m_any(over)) lower = v_select(over, 4 * lower, lower);
    u->outside = scale <= v_zero();
    u->value = size / unit;
    u->grad[PRED] = v_sign(r) / scale;
    u->grad[TARGET] = -u->grad[PRED];
    u->grad[SCALE] = -by_scale * lower;
    u->hess = v_nan_from(v_zero(), r);
}

/* The squared error of ln(1 + x). With the smaller of both as x, the difference of the logarithms is log1p((y - x) / (1
 * + x)), whose argument is not negative: nothing cancels. */
DEFINE(msle) = {
    LOSS(msle),
    .aliases = "squared_log_error, mean_squared_log_error, mean_squared_logarithmic_error",
    .family = "regression",
    .summary = "Squared error of log(1 + x): of counts and amounts over orders of magnitude.",
    .formula = "(log(1 + pred) - log(1 + target))^2",
    .latex = "(\\ln(1 + p) - \\ln(1 + y))^2",
    .tasks = "positive",
    .see_also = "mse, mape, poisson_nll",
    .look_alikes = "scikit-learn: mean_squared_log_error: the same\n"
                   "Keras: MeanSquaredLogarithmicError: raises both to 1e-7 first\n"
                   "XGBoost: reg:squaredlogerror: half of this; pred is raised to -1 + 1e-6, the Hessian to 1e-6\n"
                   "Flux: msle: of x, not of 1 + x",
    .source =
        "M. Tornqvist, P. Vartia, Y. Vartia, How should relative changes be measured?, The American Statistician 39, "
        "1985",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .inputs = {INPUT("pred", REAL, 1, "prediction, greater than -1"),
               INPUT("target", REAL, 1, "target, greater than -1")},
    .traits = LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT,
    .ulp_value = 2.5, /* the logarithm's error counts twice in its square */
    .ulp_grad = 2.5,
    .ulp_hess = 3.5, /* two quotients by a rounded 1 + pred */
};
ELEMENTWISE(msle) {
    const V one = v_one(), infinity = v_set(INFINITY), lift = v_set(sizeof(REAL) == 4 ? 0x1p-32 : 0x1p-64);
    const double lifted = (sizeof(REAL) == 4 ? 32 : 64) * 0.693147180559945309417;
    (void)p;
    V pred = in[PRED], target = in[TARGET], rest, r = exact_residual(in, &rest), a = v_abs(r), base_rest;
    V base = two_sum(v_select(r < v_zero(), pred, target), one, &base_rest), q = a / base;
    M large = (q == infinity) & (a < infinity); /* a quotient that overflows: its logarithm does not */
    q = v_select(large, a * lift / base, q);
    V q_rest = (v_fma(-q, base, a) + v_select(r < v_zero(), -rest, rest) - q * base_rest) / base;
    V d = v_log1p_parts(q, v_where(m_andnot(v_isfinite(q_rest), large), q_rest));
    d = v_copysign(d + v_where(large, v_set(lifted)), r);
    V whole = one + pred;
    u->outside = (pred < -one) | (target < -one);
    u->value = d * d;
    u->grad[PRED] = v_select((pred == infinity) & v_isfinite(target), v_zero(), 2 * d / whole);
    u->grad[TARGET] = v_select((target == infinity) & v_isfinite(pred), v_zero(), -2 * d / (one + target));
    u->hess = v_select((pred == infinity) & v_isfinite(target), v_zero(), 2 * (one - d) / whole / whole);
}

/* The signed error. */
DEFINE(mean_bias_error) = {
    LOSS(mean_bias_error),
    .aliases = "bias_error",
    .family = "regression",
    .summary = "The signed error: by how much predictions are too high. It has no minimum; a measure.",
    .formula = "pred - target",
    .latex = "p - y",
    .tasks = "",
    .see_also = "mae, mse",
    .look_alikes = "mlpack: MeanBiasError: target - pred, this times -1",
    .source = "C. J. Willmott, Some comments on the evaluation of model performance, Bull. Am. Meteorol. Soc. 63, 1982",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .inputs = {PRED_REAL, TARGET_REAL},
    .traits = LOSSFN_TRAIT_DISTANCE | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 1,
    .hess_kinds = EXACT,
    .ulp_value = 0.5,
    .ulp_grad = 0.5,
    .ulp_hess = 0.5,
};
ELEMENTWISE(mean_bias_error) {
    (void)p;
    V r = in[PRED] - in[TARGET];
    u->value = r;
    u->grad[PRED] = v_nan_from(v_one(), r);
    u->grad[TARGET] = v_nan_from(v_set(-1), r);
    u->hess = v_nan_from(v_zero(), r);
}

/* Feng et al. (2018): logarithmic near zero, where its slope is largest, linear beyond the width. The linear part goes
 * on from where the curve ends, so that nothing cancels. */
DEFINE(wing) = {
    LOSS(wing),
    .aliases = "",
    .family = "regression",
    .summary = "Logarithmic near zero, linear far out: small errors, as of landmarks, keep large gradients.",
    .formula = "width log(1 + a/curvature) if a < width, else a - width + width log(1 + width/curvature);  a = |pred - "
               "target|",
    .latex = "\\begin{cases} w \\ln(1 + a/\\epsilon) & a < w \\\\ a - w + w \\ln(1 + w/\\epsilon) & \\text{else} "
             "\\end{cases}",
    .tasks = "regression",
    .see_also = "adaptive_wing, smooth_l1, mae",
    .look_alikes = "segmentation_models.pytorch: wing_loss: width=5, curvature=0.5",
    .source =
        "Z. Feng et al., Wing loss for robust facial landmark localisation with convolutional neural networks, CVPR "
        "2018",
    .kinks = "pred = target: gradient 0; |pred - target| = width: gradient 1",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 2,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_DOUBLE("width", "10", 0, 1, INFINITY, 1, "where the logarithmic part ends: w of the paper"),
               PARAM_DOUBLE("curvature", "2", 0, 1, INFINITY, 1,
                            "the smaller, the steeper at zero: epsilon of the paper")},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_SYMMETRIC | LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 5,
    .hess_kinds = EXACT,
    .ulp_value = 2,
    .ulp_grad = 2,
    .ulp_hess = 3.5, /* two quotients by a rounded sum */
};
ELEMENTWISE(wing) {
    const V zero = v_zero(), width = p[0], curvature = p[1];
    V rest, r = exact_residual(in, &rest), a = v_abs(r), d = beyond(r, rest, width);
    M far = d >= zero;
    V sum = curvature + a;
    u->value = width * v_log1p(v_select(far, width, a) / curvature) + v_where(far, d);
    u->grad[PRED] = v_select(far | (r == zero), v_sign(r), v_copysign(width / sum, r));
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = v_where(m_not(far | (r == zero)), -width / sum / sum);
}

/* Wang, Bo and Li (2019): the wing loss of heatmaps. Its power n = alpha - target makes it smooth where there is
 * foreground. With q = a/epsilon, t = n ln q and s = sigmoid(t):
 *   value omega softplus(t),   d/da = omega n s/a,   d/dn = omega s ln q
 * up to a = theta, from where it goes on with the slope it has there. */
enum { AWING_OMEGA = 1, AWING_EPSILON, AWING_THETA, AWING_ALPHA_REST };
static void adaptive_wing_setup(const double *params, double *constants) {
    for (int i = 0; i < 4; i++) constants[i] = params[i];
    constants[0] = (double)(float)params[0]; /* in two parts, for it is a power's */
    constants[AWING_ALPHA_REST] = params[0] - constants[0];
}
DEFINE(adaptive_wing) = {
    LOSS(adaptive_wing),
    .aliases = "",
    .family = "regression",
    .summary = "The wing loss of heatmaps: sharp on the foreground, where target is near 1, smooth on the background.",
    .formula =
        "omega log(1 + (a/epsilon)^n) if a < theta, else its tangent from theta on;  a = |pred - target|, n = alpha - "
        "target",
    .latex = "\\begin{cases} \\omega \\ln(1 + (a/\\epsilon)^{\\alpha - y}) & a < \\theta \\\\ A a - C & \\text{else} "
             "\\end{cases}",
    .tasks = "",
    .see_also = "wing, smooth_l1",
    .look_alikes = "AdaptiveWingLoss: the same, without its weight map: weight=1 + 10*mask",
    .source = "X. Wang, L. Bo, F. Li, Adaptive wing loss for robust face alignment via heatmap regression, ICCV 2019",
    .kinks = "Hessian at |pred - target| = theta: 0",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 4,
    .inputs = {PRED_REAL, INPUT("target", PROBABILITY, 1, "heatmap: 0 is background, 1 a landmark")},
    .params = {PARAM_DOUBLE("alpha", "2.1", 2, 1, INFINITY, 1, "power of the background; somewhat more than 2"),
               PARAM_DOUBLE("omega", "14", 0, 1, INFINITY, 1, "factor of the curved part"),
               PARAM_DOUBLE("epsilon", "1", 0, 1, INFINITY, 1, "unit of the residual"),
               PARAM_DOUBLE("theta", "0.5", 0, 1, INFINITY, 1, "where the curved part ends")},
    .traits = LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE,
    .hess_kinds = EXACT,
    .ulp_value = 4, /* the tangent, whose slope is a product of five */
    .ulp_grad = 8,  /* by target: three terms, the tangent's again products of five */
    .ulp_hess = 5,
    .setup = adaptive_wing_setup,
};
ELEMENTWISE(adaptive_wing) {
    const V zero = v_zero(), one = v_one(), omega = p[AWING_OMEGA], epsilon = p[AWING_EPSILON], theta = p[AWING_THETA];
    V target = in[TARGET], rest, r = exact_residual(in, &rest), a = v_abs(r), d = beyond(r, rest, theta);
    M far = d >= zero;
    u->outside = (target < zero) | (target > one);
    V n_rest, n = two_sum(p[0], -target, &n_rest), log_rest;
    n = two_sum(n, n_rest + p[AWING_ALPHA_REST], &n_rest);
    V held = v_select(far, theta, a), q = held / epsilon, held_rest = v_select(r < zero, -rest, rest);
    V log_q = log_limits(q, log_two_parts(q, &log_rest), v_set(INFINITY));
    log_rest += (v_fma(-q, epsilon, held) + v_where(m_not(far), held_rest)) / held;
    V t = n * log_q, t_rest = v_fma(n, log_rest, v_fma(n, log_q, -t)) + n_rest * log_q, shift, tail;
    M low = t < zero;
    V least = at_least(v_select(low, t, -t), EXP_UNDERFLOW), sign = v_select(low, one, -one);
    V steps = exp_parts(least, v_where(least == sign * t, sign * t_rest), &shift, &tail);
    V e = exp_whole(steps, shift, tail, &(V){0}), sum = one + e; /* e^-|t| */
    V risen = v_select(low, e, one) / sum, left = v_select(low, one, e) / sum, less_rest, least_rest;
    V less = two_sum(n, -one, &less_rest), lesser = two_sum(n, v_set(-2), &least_rest), unit = omega * n;
    V slope = v_select(low, lp_power(unit / epsilon, log_q, log_rest, less, less_rest + n_rest), unit / held) / sum;
    u->value = omega * (v_log1p_unit(e) + v_select(low, zero, t)) + v_where(far, slope * d);
    u->grad[PRED] = v_nan_from(v_select(r == zero, zero, v_copysign(slope, r)), r);
    V curve = v_select(low, lp_power(unit / epsilon / epsilon, log_q, log_rest, lesser, least_rest + n_rest),
                       unit / held / held);
    u->hess = v_nan_from(v_where(m_not(far), curve / sum * v_fma(n, left, -one)), r);
    V by_power = v_select(risen == zero, zero, omega * risen * log_q);
    V by_tangent = v_where(far, omega / theta * risen * v_fma(n * left, log_q, one) * d);
    u->grad[TARGET] = -(u->grad[PRED] + by_power + by_tangent);
}

/* Pang et al. (2019), Libra R-CNN: the gradient alpha ln(1 + b a/beta), b = e^(gamma/alpha) - 1, up to its bound gamma.
 */
enum { BALANCED_BOUND = 2, BALANCED_RATE, BALANCED_UNIT, BALANCED_CURVE, BALANCED_MOST };
static void balanced_l1_setup(const double *params, double *constants) {
    const double alpha = params[0], gamma = params[1], beta = params[2];
    const double most = (double)v_expm1(v_set(gamma / alpha))[0];
    constants[0] = alpha;
    constants[1] = gamma;
    constants[BALANCED_BOUND] = beta;
    constants[BALANCED_RATE] = most / beta;
    constants[BALANCED_UNIT] = alpha * beta / most;
    constants[BALANCED_CURVE] = alpha * most / beta;
    constants[BALANCED_MOST] = most;
}
DEFINE(balanced_l1) = {
    LOSS(balanced_l1),
    .aliases = "",
    .family = "regression",
    .summary = "A smooth L1 loss whose gradient grows fast at first: small errors count beside large ones.",
    .formula =
        "(alpha/b) (b a + beta) log(1 + b a/beta) - alpha a if a < beta, else gamma a + beta (gamma/b - alpha);  a = "
        "|pred - target|, b = exp(gamma/alpha) - 1",
    .latex = "\\begin{cases} \\tfrac{\\alpha}{b}(b a + \\beta)\\ln(1 + b a/\\beta) - \\alpha a & a < \\beta \\\\ "
             "\\gamma a + "
             "\\beta(\\gamma/b - \\alpha) & \\text{else} \\end{cases}",
    .tasks = "regression",
    .see_also = "smooth_l1, huber",
    .look_alikes = "MMDetection: BalancedL1Loss: the same for beta=1; its gradient is not the paper's otherwise",
    .source = "J. Pang et al., Libra R-CNN: towards balanced learning for object detection, CVPR 2019",
    .kinks = "Hessian at |pred - target| = beta: 0",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 3,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_DOUBLE("alpha", "0.5", 0, 1, INFINITY, 1, "the smaller, the more small errors count"),
               PARAM_DOUBLE("gamma", "1.5", 0, 1, INFINITY, 1, "largest gradient; at most 80 alpha"),
               PARAM_DOUBLE("beta", "1", 0, 1, INFINITY, 1, "where the gradient stops growing")},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_SYMMETRIC |
              LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 1.5,
    .hess_kinds = EXACT,
    .ulp_value = 5,  /* the rounded constant b counts twice in what is quadratic */
    .ulp_grad = 2.5, /* and once here */
    .ulp_hess = 2.5,
    .setup = balanced_l1_setup,
};
/* (1 + u) ln(1 + u) - u, u >= 0 */
ALWAYS_INLINE V balanced_curve(V u) {
    V tail = log_tail(u), near = v_fma(u, u, v_fma(u, tail, tail));
    V whole_rest, whole = two_sum(v_one(), u, &whole_rest), log_rest, log = log_two_parts(whole, &log_rest);
    V far = v_fma(whole, log, -u) + v_fma(whole, log_rest, whole_rest * (log + v_one()));
    return v_select(u < v_set(0.25), near, far);
}
ELEMENTWISE(balanced_l1) {
    const V zero = v_zero(), alpha = p[0], gamma = p[1], beta = p[BALANCED_BOUND];
    V rest, r = exact_residual(in, &rest), a = v_abs(r), d = beyond(r, rest, beta);
    M far = d >= zero;
    V u_near = a * p[BALANCED_RATE], u_held = v_select(far, p[BALANCED_MOST], u_near);
    V linear = gamma * d;
    const M over = a == v_set(INFINITY);
    if (m_any(over)) /* of finite numbers as well */
        linear = v_select(over, gamma * (v_abs(quarter_residual(in)) - v_set(0.25) * beta) * 4, linear);
    u->value = v_nan_from(p[BALANCED_UNIT] * balanced_curve(u_held) + v_where(far, linear), r);
    u->grad[PRED] = v_select(far, gamma * v_sign(r), v_copysign(alpha * v_log1p(u_held), r));
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = v_nan_from(v_where(m_not(far), p[BALANCED_CURVE] / (v_one() + u_near)), r);
}

#define COSINE_KINKS  "a vector of zeros: cosine and derivatives 0; outside: infinite numbers"
#define COSINE_SOURCE "G. Salton, M. J. McGill, Introduction to modern information retrieval, McGraw-Hill, 1983"
DEFINE(cosine_similarity) = {
    LOSS(cosine_similarity),
    .aliases = "negative_cosine_similarity",
    .family = "regression",
    .summary = "Cosine of the angle between prediction and target, times -1: only directions count.",
    .formula = "-sum of pred target / (|pred| |target|)",
    .latex = "-\\frac{p \\cdot y}{\\|p\\|\\,\\|y\\|}",
    .tasks = "",
    .see_also = "cosine_distance, mse",
    .look_alikes =
        "Keras: CosineSimilarity: the same\nMLX: cosine_similarity_loss: this times -1\n"
        "optax: cosine_similarity: this times -1, reduction=none\noptax: cosine_distance: is cosine_distance",
    .source = COSINE_SOURCE,
    .kinks = COSINE_KINKS,
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .inputs = {PRED_REAL, TARGET_REAL},
    .hess_kinds = EXACT,
    .whole_rows = 1,
    .ulp_value = 3,
    .ulp_grad = 4,
    .ulp_hess = 5,
};
WHOLE_ROWS(cosine_similarity) {
    const angle_t a = angle_of(r);
    r->value = (REAL)-a.cosine;
    cosine_slopes(r, &a, 1);
}

DEFINE(cosine_distance) = {
    LOSS(cosine_distance),
    .aliases = "",
    .family = "regression",
    .summary = "1 - cosine of the angle between prediction and target: 0 for one direction, 2 for opposite ones.",
    .formula = "1 - sum of pred target / (|pred| |target|)",
    .latex = "1 - \\frac{p \\cdot y}{\\|p\\|\\,\\|y\\|}",
    .tasks = "",
    .see_also = "cosine_similarity, mse",
    .look_alikes = "optax: cosine_distance: reduction=none\nSciPy: scipy.spatial.distance.cosine: reduction=none\n"
                   "PyTorch: CosineEmbeddingLoss: this where its target is 1; adds 1e-12 to the squared lengths",
    .source = COSINE_SOURCE,
    .kinks = COSINE_KINKS,
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .inputs = {PRED_REAL, TARGET_REAL},
    .traits = LOSSFN_TRAIT_NONNEGATIVE,
    .hess_kinds = EXACT,
    .whole_rows = 1,
    .ulp_value = 3,
    .ulp_grad = 4,
    .ulp_hess = 5,
};
WHOLE_ROWS(cosine_distance) {
    const angle_t a = angle_of(r);
    r->value = (REAL)cosine_distance_of(r, &a);
    cosine_slopes(r, &a, 1);
}

enum { COSINE_MARGIN };
static void cosine_embedding_setup(const double *params, double *constants) { set_finely(params[0], constants); }
/* The distance of like vectors, the similarity of others where it is more than the margin. */
DEFINE(cosine_embedding) = {
    LOSS(cosine_embedding),
    .aliases = "cosine_embedding_loss",
    .family = "regression",
    .summary = "Draws vectors together that are alike, and pushes others apart until their cosine is the margin.",
    .formula = "1 - cos if label = 1, else max(cos - margin, 0);  cos = sum of pred target / (|pred| |target|)",
    .latex = "\\begin{cases} 1 - \\cos & l = 1 \\\\ \\max(\\cos - m,\\ 0) & l = -1 \\end{cases}",
    .tasks = "",
    .see_also = "cosine_distance, cosine_similarity",
    .look_alikes =
        "PyTorch: CosineEmbeddingLoss: pred and target are its two inputs, label its target; adds 1e-12 to the "
        "squared lengths",
    .source = "R. Hadsell, S. Chopra, Y. LeCun, Dimensionality reduction by learning an invariant mapping, CVPR 2006",
    .kinks = "cos = margin: gradient 0; a vector of zeros: cosine and derivatives 0; outside: infinite numbers, labels "
             "other than -1 and 1",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 3,
    .n_params = 1,
    .inputs = {PRED_REAL, TARGET_REAL, INPUT_PER_ROW("label", MARGIN_LABEL, 0, "1: alike, -1: not")},
    .params = {PARAM_DOUBLE("margin", "0", -1, 0, 1, 0, "a cosine of less costs nothing where the label is -1")},
    .traits = LOSSFN_TRAIT_NONNEGATIVE,
    .hess_kinds = EXACT,
    .whole_rows = 1,
    .ulp_value = 3,
    .ulp_grad = 4,
    .ulp_hess = 5,
    .setup = cosine_embedding_setup,
};
WHOLE_ROWS(cosine_embedding) {
    const angle_t a = angle_of(r);
    const double label = (double)r->in[2][0], margin = finely(r->p + COSINE_MARGIN), over = a.cosine - margin;
    if (label != 1 && label != -1) r->outside = 0;
    r->value = (REAL)(label > 0 ? cosine_distance_of(r, &a) : over > 0 ? over : 0);
    cosine_slopes(r, &a, label > 0 ? 1 : over > 0 ? -1 : 0);
    if (r->grad[2]) r->grad[2][0] = 0;
}
