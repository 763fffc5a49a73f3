/* SPDX-License-Identifier: MIT
 * Losses of the residual that outliers do not rule. */

#define BARRON_INPUTS(alpha_scale, alpha_text)                                                                         \
    PRED_REAL, TARGET_REAL, LEARNABLE("alpha", alpha_scale, 1, alpha_text),                                            \
        LEARNABLE("scale", POSITIVE, 1, "scale of the residual, greater than 0")
#define BARRON_PARAMS(alpha_low, alpha_text)                                                                           \
    {.name = "alpha",                                                                                                  \
     .type = LOSSFN_PARAM_DOUBLE,                                                                                      \
     .default_value = "1",                                                                                             \
     .lower = alpha_low,                                                                                               \
     .upper = INFINITY,                                                                                                \
     .learnable = 1,                                                                                                   \
     .doc = alpha_text},                                                                                               \
    {                                                                                                                  \
        .name = "scale", .type = LOSSFN_PARAM_DOUBLE, .default_value = "1", .lower = 0, .lower_open = 1,               \
        .upper = INFINITY, .upper_open = 1, .learnable = 1, .doc = "scale of the residual, greater than 0"             \
    }

enum { BARRON_ALPHA = 2, BARRON_SCALE = 3 }; /* inputs */

static void barron_rho(double s, const double *p, double out[3]) {
    double alpha = p[0], c2 = p[1] * p[1], root = sqrt(s);
    V ratio = v_set(root / p[1]), rest = v_set(0), a = v_set(alpha), value, w, curvature, dalpha;
    v_barron(ratio, rest, a, &value, &w, &curvature, &dalpha);
    double q = alpha == 2 ? 0 : s / (c2 * fabs(alpha - 2));
    out[0] = 2 * (double)value[0];
    out[1] = (double)w[0] / c2;
    out[2] = alpha == 2 ? 0 : (alpha > 2 ? 0.5 : -0.5) * (double)w[0] / (1 + q) / (c2 * c2);
}

/* Barron (2019), general form: with s = (r/scale)^2 and b = |alpha - 2|,
 *   (b/alpha) ((s/b + 1)^(alpha/2) - 1)
 * alpha 2: s/2;  1: sqrt(s + 1) - 1;  0: ln(1 + s/2);  -2: 2 s/(s + 4);  -inf: 1 - exp(-s/2) */
DEFINE(barron) = {
    LOSS(barron),
    .aliases = "general_robust",
    .family = "robust",
    .summary = "One family of robust losses: alpha goes from least squares (2) over Charbonnier (1), Cauchy (0), "
               "Geman-McClure (-2) to Welsch (-inf).",
    .formula = "(b/alpha) ((s/b + 1)^(alpha/2) - 1);  s = ((pred - target)/scale)^2, b = |alpha - 2|",
    .latex = "\\frac{|\\alpha - 2|}{\\alpha}\\left(\\left(\\frac{(r/c)^2}{|\\alpha - 2|} + 1\\right)^{\\alpha/2} - "
             "1\\right)",
    .tasks = "regression",
    .see_also = "barron_nll, huber, pseudo_huber",
    .look_alikes = "robust_loss_pytorch: lossfun: the same; its derivative in alpha is 0 at alpha = 0, exact here\n"
                   "pseudo_huber(delta=scale): scale^2 times this at alpha=1",
    .source = "J. T. Barron, A general and adaptive robust loss function, CVPR 2019",
    .kinks = "alpha = 2: the derivative in alpha is +inf (0 at r = 0)",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 4,
    .n_params = 2,
    .inputs = {BARRON_INPUTS(REAL, "shape: smaller is more robust")},
    .params = {BARRON_PARAMS(-INFINITY, "shape: smaller is more robust")},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_SYMMETRIC | LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 1,
    .hess_kinds = EXACT,
    .ulp_value = 2,
    .ulp_grad = 8,
    .ulp_hess = 4,
    .rho = barron_rho,
};
OUT_OF_LINE void barron_parts(const V *in, V *out) {
    v_barron_loss(in[PRED], in[TARGET], in[BARRON_SCALE], in[BARRON_ALPHA], out, 0);
}
OUT_OF_LINE void barron_parts_and_alpha(const V *in, V *out) {
    v_barron_loss(in[PRED], in[TARGET], in[BARRON_SCALE], in[BARRON_ALPHA], out, 1);
}
OUT_OF_LINE void log_partition(const V *alpha, V *value, V *slope) { *value = v_barron_log_partition(*alpha, slope); }
ALWAYS_INLINE void barron_unit(const V *in, const V *p, unit_t *u) {
    V out[BARRON_OUTPUTS] = {v_zero()}, scale = LEARNED(p, in, BARRON_SCALE, 1);
    u->outside = (scale <= v_zero()) | (scale == v_set(INFINITY));
    if (!p)
        v_barron_one(in[PRED], in[TARGET], scale, out);
    else if (u->want == LOSSFN__WANT_ALL)
        barron_parts_and_alpha(in, out);
    else
        barron_parts(in, out);
    u->value = out[BARRON_RHO];
    u->grad[PRED] = out[BARRON_SLOPE];
    u->grad[TARGET] = -out[BARRON_SLOPE];
    u->grad[BARRON_ALPHA] = out[BARRON_DALPHA];
    u->grad[BARRON_SCALE] = out[BARRON_DSCALE];
    u->hess = out[BARRON_CURVATURE];
}
TUNED_ELEMENTWISE(barron) { barron_unit(in, p, u); }

/* The adaptive form: the negative log-likelihood of the density exp(-barron) / (scale Z(alpha)), alpha >= 0, whose
 * alpha and scale can be learned: barron + ln scale + ln Z(alpha). */
DEFINE(barron_nll) = {
    LOSS(barron_nll),
    .aliases = "adaptive_robust",
    .family = "likelihood",
    .summary = "Barron's adaptive robust loss: a likelihood, so that alpha and scale can be learned with the model.",
    .formula = "barron(r, alpha, scale) + log(scale) + log Z(alpha);  Z(alpha) = integral of exp(-barron(x, alpha, 1))",
    .latex = "\\rho(r, \\alpha, c) + \\ln c + \\ln Z(\\alpha)",
    .tasks = "regression",
    .see_also = "barron, gaussian_nll",
    .look_alikes = "robust_loss_pytorch: AdaptiveLossFunction: the same likelihood; ln Z is a spline there, exact here",
    .source = "J. T. Barron, A general and adaptive robust loss function, CVPR 2019",
    .kinks = "alpha = 2: the derivative in alpha is +inf where |r| >= scale, else -inf",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 4,
    .n_params = 2,
    .inputs = {BARRON_INPUTS(REAL, "shape, at least 0: smaller is more robust")},
    .params = {BARRON_PARAMS(0, "shape, at least 0: smaller is more robust")},
    .traits = LOSSFN_TRAIT_DISTANCE | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_SYMMETRIC | LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 1,
    .hess_kinds = EXACT,
    .ulp_value = 3,
    .ulp_grad = 8,
    .ulp_hess = 4,
};
ELEMENTWISE(barron_nll) {
    V slope, partition;
    log_partition(&in[BARRON_ALPHA], &partition, &slope);
    barron_unit(in, p, u);
    u->outside |= in[BARRON_ALPHA] < v_zero();
    u->value += v_log(in[BARRON_SCALE]) + partition;
    /* at alpha = 2 both are infinite; the sum's limit is that of (r^2/4 - 1/4) ln(1/b) */
    if (u->want != LOSSFN__WANT_ALL) return;
    V size = v_abs(in[PRED] - in[TARGET]) / in[BARRON_SCALE];
    u->grad[BARRON_ALPHA] =
        v_select(in[BARRON_ALPHA] == v_set(2), v_nan_from(v_copysign(v_set(INFINITY), size - v_one()), size),
                 u->grad[BARRON_ALPHA] + slope);
    u->grad[BARRON_SCALE] += v_one() / in[BARRON_SCALE];
}
