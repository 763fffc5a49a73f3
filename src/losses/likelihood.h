/* SPDX-License-Identifier: MIT
 * Negative log-likelihoods of distributions. Constants of the target are left out unless full=true. */

enum { POISSON_LOG_INPUT, POISSON_FULL, POISSON_EPS };
/* Poisson (1837): rate - target ln rate [+ ln target!]. */
DEFINE(poisson_nll) = {
    LOSS(poisson_nll),
    .aliases = "",
    .family = "likelihood",
    .summary = "Negative log-likelihood of counts.",
    .formula =
        "exp(pred) - target pred; with log_input=false: pred - target log(pred + eps)  [+ log(target!) with full]",
    .latex = "e^{z} - y z \\quad[+ \\ln y!]",
    .tasks = "counts",
    .see_also = "gaussian_nll",
    .look_alikes = "PyTorch: PoissonNLLLoss: eps=1e-8; its full is Stirling's approximation, exact here\n"
                   "Keras: Poisson: log_input=false, eps=1e-7\nscikit-learn: HalfPoissonLoss: the same\n"
                   "XGBoost: count:poisson: gradient of reduction=sum",
    .source = "S. D. Poisson, Recherches sur la probabilite des jugements, 1837",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 3,
    .inputs = {INPUT("pred", REAL, 1, "logarithm of the rate, or the rate with log_input=false"),
               INPUT("target", COUNT, 0, "count, at least 0")},
    .params = {PARAM_BOOL("log_input", "true", "pred is the logarithm of the rate"),
               PARAM_BOOL("full", "false", "adds log(target!)"),
               PARAM_DOUBLE("eps", "0", 0, 0, INFINITY, 1, "added to a rate inside its logarithm")},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT | FISHER,
    .link = LOSSFN__LINK_LOG,
    .link_when = "log_input",
    .ulp_value = 3,
    .ulp_grad = 2.5,
    .ulp_hess = 2.5,
};
OUT_OF_LINE void log_factorial(const V *y, V *value) { *value = v_lgamma1p(*y); }
ELEMENTWISE(poisson_nll) {
    V z = in[PRED], y = in[TARGET], zero = v_zero();
    u->outside = y < zero;
    if (IS(p[POISSON_LOG_INPUT])) {
        V rate = v_exp(z);
        u->value = v_select(rate == v_set(INFINITY), rate, rate - v_select(y == zero, zero, y * z));
        u->grad[PRED] = rate - y;
        u->hess = rate;
    } else {
        V rate = z + p[POISSON_EPS];
        u->outside |= z < zero;
        u->value = v_select(z == v_set(INFINITY), z, z - v_select(y == zero, zero, y * v_log(rate)));
        u->grad[PRED] = v_nan_from(v_one() - v_where(y != zero, y / rate), z);
        u->hess = WANTS(FISHER, p) ? v_one() / rate : v_where(y != zero, y / rate / rate);
    }
    if (IS(p[POISSON_FULL])) {
        V constant;
        log_factorial(&y, &constant);
        u->value += constant;
    }
    u->grad[TARGET] = zero;
}

enum { GAUSSIAN_FULL, GAUSSIAN_EPS };
/* Gauss (1809): (ln v + (pred - target)^2 / v) / 2 [+ ln(2 pi)/2], v the variance. */
DEFINE(gaussian_nll) = {
    LOSS(gaussian_nll),
    .aliases = "",
    .family = "likelihood",
    .summary = "Negative log-likelihood of a normal distribution, whose variance is predicted as well.",
    .formula = "(log(v) + (pred - target)^2 / v) / 2, v = max(var, eps)  [+ log(2 pi)/2 with full]",
    .latex = "\\tfrac12\\left(\\ln v + (p - y)^2 / v\\right) \\quad[+ \\tfrac12 \\ln 2\\pi]",
    .tasks = "regression",
    .see_also = "mse, barron_nll, poisson_nll",
    .look_alikes = "PyTorch: GaussianNLLLoss: eps=1e-6; its gradient flows through the clamp, 0 here",
    .source = "C. F. Gauss, Theoria motus corporum coelestium, 1809",
    .kinks = "var < eps: gradient of var 0",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 3,
    .n_params = 2,
    .inputs = {INPUT("pred", REAL, 1, "mean"), TARGET_REAL, INPUT("var", POSITIVE, 1, "variance, greater than 0")},
    .params = {PARAM_BOOL("full", "false", "adds log(2 pi)/2"),
               PARAM_DOUBLE("eps", "0", 0, 0, INFINITY, 1, "a smaller variance counts as this")},
    .traits = LOSSFN_TRAIT_DISTANCE | LOSSFN_TRAIT_SYMMETRIC | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX |
              LOSSFN_TRAIT_STRONGLY_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT | FISHER,
    .ulp_value = 3,
    .ulp_grad = 3.5,
    .ulp_hess = 0.5,
};
ELEMENTWISE(gaussian_nll) {
    const V zero = v_zero(), one = v_one(), half = v_set(0.5);
    V r = in[PRED] - in[TARGET], var = in[2], eps = p[GAUSSIAN_EPS];
    M raised = var < eps;
    u->outside = (var < zero) | ((var == zero) & (eps == zero));
    V v = v_select(raised, eps, var), q = r / v;
    V fit = half * r * q;
    M large = v_abs(q) == v_set(INFINITY);
    if (m_any(large)) fit = v_select(large, half * r * r / v, fit); /* r / v overflows before r^2 / v */
    u->value = v_fma(half, v_log(v), fit);
    if (IS(p[GAUSSIAN_FULL])) u->value += v_set(0.918938533204672741780);
    u->grad[PRED] = q;
    u->grad[TARGET] = -q;
    /* (1/v - q^2)/2, the form that cannot become inf - inf or overflow before it must */
    V slope = v_select(v < one, v_fma(-q, half * r, half) / v, v_fma(-q, half * q, half / v));
    u->grad[2] = v_select(raised, v_nan_from(zero, r), slope);
    u->hess = one / v;
}
