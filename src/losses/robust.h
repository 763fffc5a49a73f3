/* SPDX-License-Identifier: MIT
 * Losses of the residual that outliers do not rule. */

#define BARRON_INPUTS(alpha_scale, alpha_text)                                                                         \
    PRED_REAL, TARGET_REAL, LEARNABLE("alpha", alpha_scale, 1, alpha_text),                                            \
        LEARNABLE("scale", POSITIVE, 1, "scale of the residual, greater than 0")
#define BARRON_PARAMS(alpha_low, alpha_text)                                                                           \
    PARAM_LEARNABLE("alpha", "1", alpha_low, 0, INFINITY, 0, alpha_text),                                              \
        PARAM_LEARNABLE("scale", "1", 0, 1, INFINITY, 1, "scale of the residual, greater than 0")

enum { BARRON_ALPHA = 2, BARRON_SCALE = 3 }; /* inputs */

static void barron_rho(double s, const double *p, double out[3]) {
    double alpha = p[0], c = p[1], root = sqrt(s), ratio = root / c;
    double rest = (fma(-ratio, c, root) + fma(-root, root, s) / (2 * root)) / c; /* NaN at 0 and infinity */
    V value, w, curvature, dalpha;
    v_barron(v_set(ratio), v_set(isfinite(rest) ? rest : 0), v_set(alpha), &value, &w, &curvature, &dalpha);
    double q = alpha == 2 ? 0 : s / c / c / fabs(alpha - 2), slope = (double)w[0] / c / c;
    out[0] = 2 * (double)value[0];
    out[1] = slope;
    if (s == INFINITY) {
        out[2] = alpha > 4 ? INFINITY : 0;
        return;
    }
    out[2] = alpha == 2 || slope == 0 ? 0 : (alpha > 2 ? 0.5 : -0.5) * slope / (1 + q) / c / c;
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
    .hess_kinds = EXACT | UPPER,
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
CALLED_ONCE V log_partition(V alpha) {
    V slope;
    return v_barron_log_partition(alpha, &slope);
}
CALLED_ONCE V log_partition_slope(V alpha) {
    V slope;
    v_barron_log_partition(alpha, &slope);
    return slope;
}
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
TUNED_ELEMENTWISE(barron) {
    barron_unit(in, p, u);
    u->hess = residual_hess(u->hess, u->grad[PRED], in[PRED] - in[TARGET], p);
}

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
    const V partition = log_partition(in[BARRON_ALPHA]);
    barron_unit(in, p, u);
    u->outside |= in[BARRON_ALPHA] < v_zero();
    u->value += v_log(in[BARRON_SCALE]) + partition;
    /* at alpha = 2 both are infinite; the sum's limit is that of (r^2/4 - 1/4) ln(1/b) */
    if (u->want != LOSSFN__WANT_ALL) return;
    V size = v_abs(in[PRED] - in[TARGET]) / in[BARRON_SCALE];
    u->grad[BARRON_ALPHA] =
        v_select(in[BARRON_ALPHA] == v_set(2), v_nan_from(v_copysign(v_set(INFINITY), size - v_one()), size),
                 u->grad[BARRON_ALPHA] + log_partition_slope(in[BARRON_ALPHA]));
    V scale = in[BARRON_SCALE], whole = u->grad[BARRON_SCALE] + v_one() / scale;
    const M tiny =
        scale < v_set(2 * SMALLEST_NORMAL); /* both may be infinite, and opposite: larger by a power of two */
    if (m_any(tiny)) {
        const V up = v_set(0x1p60), more[] = {in[PRED] * up, in[TARGET] * up, in[BARRON_ALPHA], scale * up};
        V out[BARRON_OUTPUTS];
        barron_parts(more, out);
        whole = v_select(tiny, (out[BARRON_DSCALE] + v_one() / more[BARRON_SCALE]) * up, whole);
    }
    u->grad[BARRON_SCALE] = whole;
}

/* ---- M-estimators ------------------------------------------------------------------------------------------------
 * Functions of x = |r|/c, on the scale r^2/2 near 0. The residual r = pred - target is kept in two parts and so is x:
 * the exponentials amplify what rounding r takes away, and so do differences to 1 where a loss ends. */

/* The constants of such a loss: c in two parts, for double and for single precision, quartered so that the quarter of
 * pred - target, which cannot overflow, is divided by it; and the factor of the value, a share of c^2, in two parts as
 * well. */
enum {
    C_QUARTER,
    C_REST,
    C_REST_F32,
    C_FACTOR,
    C_FACTOR_REST,
    C_FACTOR_REST_F32,
    C_UNIT,
    C_MANTISSA,
    C_EXPONENT,
    C_CONSTANTS
};
#define REST_OF(p, constant) (p)[sizeof(REAL) == 4 ? constant##_F32 : constant]

/* What single precision leaves out of x. */
static inline double beyond_float(double x) { return x > 0x1p-126 && x < 0x1p127 ? x - (double)(float)x : 0; }

/* For c + rest and a value whose factor is c^2/part, which is kept as factor * unit because it may overflow. */
static inline void set_c(double c, double rest, double part, double *constants) {
    int exponent;
    c = c < 0x1p-1018 ? 0x1p-1018 : c;
    double mantissa = 2 * frexp(c, &exponent), product = mantissa * c, factor = product / part;
    double product_rest = fma(mantissa, c, -product) + 2 * mantissa * rest;
    constants[C_QUARTER] = c / 4, constants[C_REST] = rest / 4;
    constants[C_REST_F32] = beyond_float(c / 4);
    constants[C_FACTOR] = factor, constants[C_FACTOR_REST] = (fma(-factor, part, product) + product_rest) / part;
    constants[C_FACTOR_REST_F32] = beyond_float(factor);
    constants[C_UNIT] = ldexp(1, exponent - 1);
    constants[C_MANTISSA] = mantissa, constants[C_EXPONENT] = exponent - 1;
}
static void half_c_setup(const double *params, double *constants) { set_c(params[0], 0, 2, constants); }

#ifdef LOSSFN_REAL_F32
#define FAR_OUT   0x1p31 /* its fourth power is finite */
#define NEGLECTED 0x1p-28
#else
#define FAR_OUT   0x1p60
#define NEGLECTED 0x1p-57
#endif

typedef struct {
    V r;                     /* pred - target */
    V quarter, quarter_rest; /* |r|/4, finite for finite inputs, and what rounding took from it */
    V x, x_rest;             /* |r|/c, held at FAR_OUT, where what is left is a power of y */
    V s, s_rest;             /* x^2 */
    M far, near, over;       /* near: the loss is r^2/2; x^2 may underflow. over: r is infinite or NaN */
    int special;             /* whether any lane is one of these: what they need is not looked at before */
} residual_t;

ALWAYS_INLINE residual_t residual(const V *in, const V *p) {
    residual_t t;
    const V fourth = v_set(0.25), c = at_least(p[C_QUARTER], SMALLEST_NORMAL), per_c = v_one() / c;
    const V c_rest = REST_OF(p, C_REST);
    V rest, difference = two_sum(fourth * in[PRED], v_neg(fourth * in[TARGET]), &rest), a = v_abs(difference);
    V a_rest = v_times_sign(rest, difference), x = a / c;
    t.r = in[PRED] - in[TARGET];
    t.quarter = a;
    t.quarter_rest = a_rest;
    t.x = x;
    t.x_rest = (v_fma(-x, c, a) + (a_rest - x * c_rest)) * per_c;
    t.far = x > v_set(FAR_OUT);
    t.near = x < v_set(NEGLECTED);
    t.over = m_not(v_isfinite(t.r));
    t.special = m_any(m_or(m_or(t.far, t.near), t.over));
    if (t.special) {
        t.x = at_most(x, FAR_OUT);
        t.x_rest = v_where(v_abs(t.x_rest) < v_set(0x1p8), t.x_rest); /* not of infinities */
    }
    t.s = t.x * t.x;
    t.s_rest = v_fma(t.x, t.x, -t.s) + 2 * t.x * t.x_rest;
    return t;
}
/* c/|r|, and its relative error */
ALWAYS_INLINE V inverse_residual(const residual_t *t, const V *p, V *error) {
    const V c = at_least(p[C_QUARTER], SMALLEST_NORMAL), per_c = v_one() / c, y = c / t->quarter;
    *error = (v_fma(-y, t->quarter, c) + (REST_OF(p, C_REST) - y * t->quarter_rest)) * per_c;
    return y;
}

/* 1/(1 + s + s_rest), s >= 0, and its relative error. */
ALWAYS_INLINE V inverse_of_one_and(V s, V s_rest, V *error) {
    V rest, sum = two_sum(v_one(), s, &rest), y = v_one() / sum;
    *error = v_fma(-y, sum, v_one()) - y * (rest + s_rest);
    return y;
}
/* y without `times` times a relative error. */
ALWAYS_INLINE V corrected(V y, double times, V error) { return v_fma(v_set(times) * error, y, y); }

/* What is h in units of the factor. */
ALWAYS_INLINE V times_factor(V h, const V *p) {
    return v_fma(h, p[C_FACTOR], at_most(h, FAR_OUT) * REST_OF(p, C_FACTOR_REST)) * p[C_UNIT];
}
ALWAYS_INLINE V valued(const residual_t *t, V h, const V *p) {
    const V value = times_factor(h, p);
    return t->special ? v_select(t->near, v_set(0.5) * t->r * t->r, value) : value;
}
ALWAYS_INLINE V c_of(const V *p) { return 4 * p[C_QUARTER]; }
/* r y for 0 <= y <= 1, also where r alone overflows */
ALWAYS_INLINE V times_residual(const residual_t *t, V y) {
    const V product = t->r * y;
    return t->special ? v_select(t->over, v_copysign(4 * (t->quarter * y), t->r), product) : product;
}
/* y x^2 */
ALWAYS_INLINE V times_square(const residual_t *t, V y) { return v_fma(t->s, y, t->s_rest * y); }
/* c y^n with the sign of r: what gradients come to far out. */
ALWAYS_INLINE V far_slope(const residual_t *t, int n, const V *p) {
    V error, y = inverse_residual(t, p, &error), slope = 4 * v_fma(p[C_QUARTER], y, REST_OF(p, C_REST) * y);
    if (n == 3) slope *= y * y;
    return v_copysign(v_select(y > v_zero(), corrected(slope, n, error), y), t->r);
}
/* y^n, the same for Hessians */
ALWAYS_INLINE V far_curve(const residual_t *t, int n, const V *p) {
    V error, y = inverse_residual(t, p, &error), square = y * y;
    return v_select(y > v_zero(), corrected(n == 4 ? square * square : square, n, error), y);
}
/* Far out, of losses whose gradient falls with the third power */
ALWAYS_INLINE void far_cubed(const residual_t *t, const V *p, unit_t *u) {
    if (!t->special) return;
    u->grad[PRED] = v_select(t->far, far_slope(t, 3, p), u->grad[PRED]);
    u->hess = v_select(t->far, -3 * far_curve(t, 4, p), u->hess);
}

/* 1 - k s, also near 0 */
ALWAYS_INLINE V one_less(double k, V s, V s_rest) { return v_fma(v_set(-k), s, v_one()) - v_set(k) * s_rest; }

/* ln(1 + x^2), with 1/(1 + x^2) */
ALWAYS_INLINE V log1p_of_square(const residual_t *t, V inverse) {
    const V fourth = v_set(0.25);
    V f, k = log_parts(v_one() + t->s, 0.75, v_zero(), &f), scale = power_of_two(v_set(2) - k);
    f = v_fma(scale, t->s * fourth, v_fma(scale, fourth, v_set(-1)));
    return log_whole(k, v_set(LN2_SHORT), v_set(LN2_SHORT_REST), f, log_tail(f) + t->s_rest * inverse);
}
/* far out twice ln x, whose x may be infinite */
ALWAYS_INLINE V far_log(const residual_t *t, const V *p) {
    V x = t->quarter / p[C_MANTISSA], f, k = log_parts(x, 0.75, v_zero(), &f) + (v_set(2) - p[C_EXPONENT]);
    V y = log_whole(k, v_set(LN2_SHORT), v_set(LN2_SHORT_REST), f, log_tail(f));
    return v_select(x < v_set(INFINITY), 2 * y, x);
}

/* exp(-(s + s_rest)) = m 2^n for s >= 0, and what is missing to 1. A factor may keep m 2^n from underflow. */
typedef struct {
    V m, left, n, complement; /* left: what rounding m left out */
    M gone;                   /* m 2^n is 0, whatever the factor */
} decay_t;
#define DECAY_GONE (sizeof(REAL) == 4 ? 174.0 : 1416.0)

ALWAYS_INLINE decay_t decay(V s, V s_rest) {
    decay_t d;
    V r, tail, rest;
    d.gone = s > v_set(DECAY_GONE);
    d.n = exp_parts(v_neg(at_most(s, DECAY_GONE)), v_select(d.gone, v_zero(), -s_rest), &r, &tail);
    V sum = fast_two_sum(v_one(), r, &rest);
    d.m = fast_two_sum(sum, rest + tail, &d.left);
    V whole = v_ldexp(d.m, d.n);
    d.complement = v_select(d.n == v_zero(), v_neg(r + tail), (v_one() - whole) - v_ldexp(d.left, d.n));
    return d;
}
/* y exp(-s) */
ALWAYS_INLINE V decayed(V y, const decay_t *d) { return v_select(d->gone, v_zero(), v_ldexp_any(y * d->m, d->n)); }

/* x - ln(1 + x), x >= 0: with 1 + x = 2^k (1 + f), what is added is positive. The slope is x/(1 + x). */
ALWAYS_INLINE V less_log1p(V x, V x_rest, V inverse) {
    V f, k = log_parts(x + v_one(), 0.75, v_zero(), &f), scale = power_of_two(v_set(2) - k), fourth = v_set(0.25);
    f = v_fma(scale, x * fourth, v_fma(scale, fourth, v_set(-1)));
    V rest, head = two_sum(v_fma(k, v_set(-LN2_SHORT), x), -f, &rest);
    return head + (rest + (x * inverse * x_rest - v_fma(k, v_set(LN2_SHORT_REST), log_tail(f))));
}

/* ---- the same of the squared residual, for solvers ---- */

/* q = s/c^2 in two parts */
typedef struct {
    double of, rest;
} quotient_t;

static inline double c_double(const double *p) { return 4 * p[C_QUARTER]; }
static inline quotient_t over_c2(double s, const double *p) {
    double c = c_double(p), first = s / c, q = first / c;
    double left = fma(-q, c, first) + fma(-first, c, s) / c - 8 * first * p[C_REST] / c;
    left /= c;
    return (quotient_t){q, isfinite(q) && isfinite(left) ? left : 0};
}
/* rho, rho' and rho'' from those of a loss with c = 1; s itself below `least`. */
static inline void set_rho(double s, const double *p, double least, double value, double slope, double curve,
                           double out[3]) {
    double c = c_double(p);
    out[0] = s / c / c < least ? s : c * (c * value);
    out[1] = slope;
    out[2] = curve / c / c;
}
static inline double s_exp_minus(quotient_t q, double *complement) {
    decay_t d = decay(v_set(q.of), v_set(q.rest));
    *complement = (double)d.complement[0];
    return (double)decayed(v_one(), &d)[0];
}

#define ROBUST_TRAITS          (DISTANCE_TRAITS | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_SYMMETRIC | LOSSFN_TRAIT_LIPSCHITZ)
#define PARAM_C(initial, text) PARAM_DOUBLE("c", initial, 0, 1, INFINITY, 1, text)

/* Cauchy's density (the likelihood of a Student t with one degree of freedom): c^2/2 ln(1 + (r/c)^2). */
static void cauchy_rho(double s, const double *p, double out[3]) {
    double c = c_double(p), q = s / c / c, i = q < INFINITY ? 1 / (1 + q) : c / s * c;
    double h = q < INFINITY ? s_log1p(q) : s_log(s) - 2 * s_log(c);
    set_rho(s, p, 0x1p-54, h, i, -i * i, out);
}
DEFINE(cauchy) = {
    LOSS(cauchy),
    .aliases = "lorentzian",
    .family = "robust",
    .summary = "Grows like a logarithm: outliers pull the less the farther they are.",
    .formula = "c^2/2 ln(1 + (r/c)^2);  r = pred - target",
    .latex = "\\tfrac{c^2}{2}\\ln\\left(1 + (r/c)^2\\right)",
    .tasks = "regression",
    .see_also = "student_t_rho, welsch, geman_mcclure, barron",
    .look_alikes =
        "Ceres: CauchyLoss: lossfn_rho of this, c is a\ng2o: RobustKernelCauchy: lossfn_rho of this, c is delta\n"
        "SciPy: cauchy: lossfn_rho of this, c is f_scale\nGTSAM: Cauchy: c is k\nstatsmodels: StudentT(df=1): the "
        "same\n"
        "Kornia: cauchy_loss: c=1.4142135623730951\n"
        "barron(alpha=0, scale=c/sqrt(2)): this times 2/c^2",
    .source = "P. W. Holland, R. E. Welsch, Robust regression using iteratively reweighted least-squares, Commun. "
              "Stat. Theory Methods 6, 1977",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_C("2.3849", "where the pull is strongest, in units of the residual")},
    .traits = ROBUST_TRAITS | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .lipschitz = 1.19245,
    .hess_kinds = EXACT | UPPER,
    .ulp_value = 2,
    .ulp_grad = 2,
    .ulp_hess = 2,
    .setup = half_c_setup,
    .rho = cauchy_rho,
};
ALWAYS_INLINE void cauchy_unit(const residual_t *t, const V *p, unit_t *u) {
    V error, inverse = inverse_of_one_and(t->s, t->s_rest, &error);
    V log = log1p_of_square(t, inverse);
    u->grad[PRED] = corrected(times_residual(t, inverse), 1, error);
    u->hess = corrected(one_less(1, t->s, t->s_rest) * inverse * inverse, 2, error);
    if (t->special) {
        log = v_select(t->far, far_log(t, p), log);
        u->grad[PRED] = v_select(t->far, far_slope(t, 1, p), u->grad[PRED]);
        u->hess = v_select(t->far, -far_curve(t, 2, p), u->hess);
    }
    u->value = valued(t, log, p);
    u->grad[TARGET] = -u->grad[PRED];
}
ELEMENTWISE(cauchy) {
    residual_t t = residual(in, p);
    cauchy_unit(&t, p, u);
    u->hess = residual_hess(u->hess, u->grad[PRED], t.r, p);
}

/* Lange, Little and Taylor (1989): the residual's part of a Student t likelihood, c^2 nu/2 ln(1 + (r/c)^2/nu): Cauchy's
 * with c sqrt(nu). */
static void student_t_rho_setup(const double *params, double *constants) {
    double root = sqrt(params[1]), root_rest = root < INFINITY ? fma(-root, root, params[1]) / (2 * root) : 0;
    double c = params[0] * root, rest = fma(params[0], root, -c) + params[0] * root_rest;
    set_c(c < DBL_MAX ? c : DBL_MAX, c < DBL_MAX ? rest : 0, 2, constants);
}
DEFINE(student_t_rho) = {
    LOSS(student_t_rho),
    .aliases = "",
    .family = "robust",
    .summary = "What a Student t likelihood makes of a residual: Cauchy's loss with a heaviness of tails.",
    .formula = "c^2 nu/2 ln(1 + (r/c)^2/nu);  r = pred - target",
    .latex = "\\tfrac{c^2\\nu}{2}\\ln\\left(1 + \\frac{(r/c)^2}{\\nu}\\right)",
    .tasks = "regression",
    .see_also = "cauchy, barron",
    .look_alikes = "statsmodels: StudentT: df is nu\ncauchy(c=c*sqrt(nu)): the same",
    .source = "K. L. Lange, R. J. A. Little, J. M. G. Taylor, Robust statistical modeling using the t distribution, "
              "J. Am. Stat. Assoc. 84, 1989",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 2,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_C("2.3849", "the scale, in units of the residual"),
               PARAM_DOUBLE("nu", "4", 0, 1, INFINITY, 1, "degrees of freedom")},
    .traits = ROBUST_TRAITS | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .lipschitz = 2.3849,
    .hess_kinds = EXACT | UPPER,
    .ulp_value = 2,
    .ulp_grad = 2,
    .ulp_hess = 2,
    .setup = student_t_rho_setup,
    .rho = cauchy_rho,
};
ELEMENTWISE(student_t_rho) {
    residual_t t = residual(in, p);
    cauchy_unit(&t, p, u);
    u->hess = residual_hess(u->hess, u->grad[PRED], t.r, p);
}

/* Dennis and Welsch (1978), also Leclerc's: c^2/2 (1 - exp(-(r/c)^2)). */
static void welsch_rho(double s, const double *p, double out[3]) {
    double h, e = s_exp_minus(over_c2(s, p), &h);
    set_rho(s, p, 0x1p-54, h, e, -e, out);
}
DEFINE(welsch) = {
    LOSS(welsch),
    .aliases = "leclerc",
    .family = "robust",
    .summary = "Least squares for small residuals, a constant for large ones; smooth, with a bell for weight.",
    .formula = "c^2/2 (1 - exp(-(r/c)^2));  r = pred - target",
    .latex = "\\tfrac{c^2}{2}\\left(1 - e^{-(r/c)^2}\\right)",
    .tasks = "regression",
    .see_also = "tukey, geman_mcclure, cauchy, barron",
    .look_alikes = "GTSAM: Welsch: c is k\ng2o: RobustKernelWelsch: lossfn_rho of this, c is delta\n"
                   "Kornia: welsch_loss: c=1.4142135623730951\n"
                   "barron(alpha=-inf, scale=c/sqrt(2)): this times 2/c^2",
    .source = "J. E. Dennis, R. E. Welsch, Techniques for nonlinear least squares and robust regression, Commun. "
              "Stat. Simul. Comput. 7, 1978",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_C("2.9846", "how far residuals count, in units of the residual")},
    .traits = ROBUST_TRAITS | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .lipschitz = 1.2800410455268628,
    .hess_kinds = EXACT | UPPER,
    .ulp_value = 2,
    .ulp_grad = 2,
    .ulp_hess = 2,
    .setup = half_c_setup,
    .rho = welsch_rho,
};
ELEMENTWISE(welsch) {
    residual_t t = residual(in, p);
    decay_t d = decay(t.s, t.s_rest);
    u->value = valued(&t, d.complement, p);
    u->grad[PRED] = decayed(t.r, &d);
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = decayed(one_less(2, t.s, t.s_rest), &d);
    u->hess = residual_hess(u->hess, u->grad[PRED], t.r, p);
}

/* Geman and McClure (1985): r^2/2 / (1 + (r/c)^2). */
static void geman_mcclure_rho(double s, const double *p, double out[3]) {
    double q = over_c2(s, p).of, i = 1 / (1 + q);
    set_rho(s, p, 0x1p-54, q < INFINITY ? q * i : 1, i * i, -2 * i * i * i, out);
}
DEFINE(geman_mcclure) = {
    LOSS(geman_mcclure),
    .aliases = "",
    .family = "robust",
    .summary = "A rational function that levels off: outliers hardly pull.",
    .formula = "r^2/2 / (1 + (r/c)^2);  r = pred - target",
    .latex = "\\frac{r^2/2}{1 + (r/c)^2}",
    .tasks = "regression",
    .see_also = "welsch, tukey, cauchy, barron",
    .look_alikes = "GTSAM: GemanMcClure: the same\n"
                   "g2o: RobustKernelGemanMcClure: lossfn_rho of this, its delta is c^2\n"
                   "Kornia: geman_mcclure_loss: c=2\n"
                   "barron(alpha=-2, scale=c/2): this times 4/c^2",
    .source = "S. Geman, D. E. McClure, Bayesian image analysis: an application to single photon emission "
              "tomography, Proc. Stat. Comput. Sect. ASA, 1985",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_C("1", "where half of the height is reached, in units of the residual")},
    .traits = ROBUST_TRAITS | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .lipschitz = 0.3247595264191645,
    .hess_kinds = EXACT | UPPER,
    .ulp_value = 2,
    .ulp_grad = 2.5, /* the product of three rounded factors, of four */
    .ulp_hess = 2.5,
    .setup = half_c_setup,
    .rho = geman_mcclure_rho,
};
ELEMENTWISE(geman_mcclure) {
    residual_t t = residual(in, p);
    V error, inverse = inverse_of_one_and(t.s, t.s_rest, &error);
    u->value = valued(&t, times_square(&t, corrected(inverse, 1, error)), p);
    u->grad[PRED] = corrected(times_residual(&t, inverse) * inverse, 2, error);
    u->hess = corrected(one_less(3, t.s, t.s_rest) * inverse * inverse * inverse, 3, error);
    far_cubed(&t, p, u);
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = residual_hess(u->hess, u->grad[PRED], t.r, p);
}

/* Beaton and Tukey (1974), the biweight: c^2/6 (1 - (1 - (r/c)^2)^3) for |r| <= c, c^2/6 beyond. With h = 1 - (r/c)^2
 * it is c^2/6 (r/c)^2 (1 + h + h^2), which does not cancel. */
static void tukey_setup(const double *params, double *constants) { set_c(params[0], 0, 6, constants); }
static void tukey_rho(double s, const double *p, double out[3]) {
    quotient_t q = over_c2(s, p);
    double h = (1 - q.of) - q.rest;
    h = h < 0 ? 0 : h;
    set_rho(s, p, 0x1p-54, h > 0 ? q.of * (1 + h + h * h) / 3 : 1. / 3, h * h, -2 * h, out);
}
DEFINE(tukey) = {
    LOSS(tukey),
    .aliases = "biweight, bisquare, tukey_biweight",
    .family = "robust",
    .summary = "Tukey's biweight: least squares near zero, nothing is felt beyond c.",
    .formula = "c^2/6 (1 - (1 - (r/c)^2)^3) if |r| <= c, else c^2/6;  r = pred - target",
    .latex = "\\begin{cases} \\tfrac{c^2}{6}\\left(1 - (1 - (r/c)^2)^3\\right) & |r| \\le c \\\\ \\tfrac{c^2}{6} & "
             "\\text{else} \\end{cases}",
    .tasks = "regression",
    .see_also = "tukey_quartic, welsch, hampel, asymmetric_tukey",
    .look_alikes = "statsmodels: TukeyBiweight: the same\nGTSAM: Tukey: c is k\n"
                   "Ceres: TukeyLoss: lossfn_rho of this, c is a\ng2o: RobustKernelTukey: lossfn_rho of this",
    .source = "A. E. Beaton, J. W. Tukey, The fitting of power series, Technometrics 16, 1974",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_C("4.685",
                       "beyond it residuals count no more, in units of the residual; 4.685 has 95 % efficiency")},
    .traits = ROBUST_TRAITS | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .lipschitz = 1.3409252447470739,
    .hess_kinds = EXACT | UPPER,
    .ulp_value = 2.5, /* the product of four rounded factors */
    .ulp_grad = 2,
    .ulp_hess = 2,
    .setup = tukey_setup,
    .rho = tukey_rho,
};
ALWAYS_INLINE void tukey_unit(const residual_t *t, const V *p, unit_t *u) {
    V h = one_less(1, t->s, t->s_rest);
    M beyond = h <= v_zero(); /* not for NaN */
    u->value = valued(t, v_select(beyond, v_one(), times_square(t, v_fma(h, v_one() + h, v_one()))), p);
    u->grad[PRED] = v_select(beyond, v_zero(), t->r * h * h);
    u->hess = v_select(beyond, v_zero(), h * one_less(5, t->s, t->s_rest));
    u->grad[TARGET] = -u->grad[PRED];
}
ELEMENTWISE(tukey) {
    residual_t t = residual(in, p);
    tukey_unit(&t, p, u);
    u->hess = residual_hess(u->hess, u->grad[PRED], t.r, p);
}

/* Residuals of one sign are squared, the others go by a robust loss. */
ALWAYS_INLINE void squared_below(const residual_t *t, unit_t *u) {
    M below = t->r <= v_zero();
    u->value = v_select(below, v_set(0.5) * t->r * t->r, u->value);
    u->grad[PRED] = v_select(below, t->r, u->grad[PRED]);
    u->hess = v_select(below, v_one(), u->hess);
    u->grad[TARGET] = -u->grad[PRED];
}
#define ASYMMETRIC_TRAITS (DISTANCE_TRAITS | LOSSFN_TRAIT_DIFFERENTIABLE)

/* r^2/2 for r <= 0, Tukey's biweight for r > 0. */
DEFINE(asymmetric_tukey) = {
    LOSS(asymmetric_tukey),
    .aliases = "",
    .family = "robust",
    .summary = "Least squares for predictions that are too low, Tukey's biweight for those too high.",
    .formula = "r^2/2 if r <= 0, c^2/6 (1 - (1 - (r/c)^2)^3) if r <= c, else c^2/6;  r = pred - target",
    .latex =
        "\\begin{cases} \\tfrac12 r^2 & r \\le 0 \\\\ \\tfrac{c^2}{6}\\left(1 - (1 - (r/c)^2)^3\\right) & r \\le c "
        "\\\\ \\tfrac{c^2}{6} & \\text{else} \\end{cases}",
    .tasks = "regression",
    .see_also = "tukey, asymmetric_cauchy, expectile",
    .look_alikes = "GTSAM: AsymmetricTukey: c is k",
    .source = "A. E. Beaton, J. W. Tukey, The fitting of power series, Technometrics 16, 1974",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_C("4.685", "beyond it residuals count no more, in units of the residual")},
    .traits = ASYMMETRIC_TRAITS | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT,
    .ulp_value = 2.5, /* as tukey */
    .ulp_grad = 2,
    .ulp_hess = 2,
    .setup = tukey_setup,
};
ELEMENTWISE(asymmetric_tukey) {
    residual_t t = residual(in, p);
    tukey_unit(&t, p, u);
    squared_below(&t, u);
}

/* r^2/2 for r <= 0, Cauchy's loss for r > 0. */
DEFINE(asymmetric_cauchy) = {
    LOSS(asymmetric_cauchy),
    .aliases = "",
    .family = "robust",
    .summary = "Least squares for predictions that are too low, Cauchy's loss for those too high.",
    .formula = "r^2/2 if r <= 0, else c^2/2 ln(1 + (r/c)^2);  r = pred - target",
    .latex =
        "\\begin{cases} \\tfrac12 r^2 & r \\le 0 \\\\ \\tfrac{c^2}{2}\\ln\\left(1 + (r/c)^2\\right) & \\text{else} "
        "\\end{cases}",
    .tasks = "regression",
    .see_also = "cauchy, asymmetric_tukey, expectile",
    .look_alikes = "GTSAM: AsymmetricCauchy: c is k",
    .source = "P. W. Holland, R. E. Welsch, Robust regression using iteratively reweighted least-squares, Commun. "
              "Stat. Theory Methods 6, 1977",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_C("2.3849", "where the pull is strongest, in units of the residual")},
    .traits = ASYMMETRIC_TRAITS | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT,
    .ulp_value = 2,
    .ulp_grad = 2,
    .ulp_hess = 2,
    .setup = half_c_setup,
};
ELEMENTWISE(asymmetric_cauchy) {
    residual_t t = residual(in, p);
    cauchy_unit(&t, p, u);
    squared_below(&t, u);
}

/* statsmodels' generalised biweight: for x = |r|/c <= 1 the gradient is r (1 - x^k)^2; k = 2 is Tukey's. With
 * h = 1 - x^k the value is r^2/2 (k^2 + 2 k h + (k + 2) h^2)/((k + 1) (k + 2)), which does not cancel. */
enum { QUARTIC_K = C_CONSTANTS, QUARTIC_H, QUARTIC_H2, QUARTIC_SHARE };
static void tukey_quartic_setup(const double *params, double *constants) {
    double k = params[1], part = (1 + 1 / k) * (1 + 2 / k);
    set_c(params[0], 0, 2 * part, constants);
    constants[QUARTIC_K] = k;
    constants[QUARTIC_H] = 2 / k;
    constants[QUARTIC_H2] = (1 + 2 / k) / k;
    constants[QUARTIC_SHARE] = 1 / part;
}
/* x^k, 0 <= x <= 1, as a decay in -k ln x */
ALWAYS_INLINE decay_t power_of_fraction(V x, V x_rest, V k) {
    V f, e = log_split(x, &f), minus_log = v_neg(log_natural(x, e, f + v_where(e == v_zero(), x_rest)));
    V product = k * at_least(minus_log, 0), rest = v_fma(k, minus_log, -product);
    return decay(product, v_where((product > v_zero()) & v_isfinite(product), rest));
}
static void tukey_quartic_rho(double s, const double *p, double out[3]) {
    quotient_t q = over_c2(s, p);
    double k = p[QUARTIC_K], c = c_double(p);
    out[0] = c * (c * p[QUARTIC_SHARE]), out[1] = out[2] = 0;
    if (!(q.of < 1 || (q.of == 1 && q.rest < 0))) return;
    decay_t d = power_of_fraction(v_set(q.of), v_set(q.rest), v_set(k / 2));
    double h = d.gone[0] ? 1 : (double)d.complement[0];
    out[0] = s * (p[QUARTIC_SHARE] * (1 + p[QUARTIC_H] * h + p[QUARTIC_H2] * h * h));
    out[1] = h * h;
    out[2] = -k * h * s_pow(sqrt(s) / c, k - 2) / c / c;
}
DEFINE(tukey_quartic) = {
    LOSS(tukey_quartic),
    .aliases = "",
    .family = "robust",
    .summary = "Tukey's biweight with any power: the larger k, the more sudden the end.",
    .formula = "r^2/2 (1 - 4 x^k/(k + 2) + x^(2k)/(k + 1)), x = min(|r|/c, 1), r held at c;  r = pred - target",
    .latex = "\\tfrac12 \\min(|r|, c)^2\\left(1 - \\frac{4 x^k}{k + 2} + \\frac{x^{2k}}{k + 1}\\right),\\ x = "
             "\\min(|r|/c, 1)",
    .tasks = "regression",
    .see_also = "tukey",
    .look_alikes = "statsmodels: TukeyQuartic: the same\ntukey: k=2",
    .source = "A. E. Beaton, J. W. Tukey, The fitting of power series, Technometrics 16, 1974",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 2,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_C("3.61752",
                       "beyond it residuals count no more, in units of the residual; 3.61752 has 95 % efficiency"),
               PARAM_DOUBLE("k", "4", 1e-150, 0, INFINITY, 1, "the power")},
    .traits = ROBUST_TRAITS | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .lipschitz = 1.6502330040879843,
    .hess_kinds = EXACT | UPPER,
    .ulp_value = 3.5, /* x^k is made by a logarithm and an exponential, and counts twice */
    .ulp_grad = 2.5,
    .ulp_hess = 4,
    .setup = tukey_quartic_setup,
    .rho = tukey_quartic_rho,
};
ELEMENTWISE(tukey_quartic) {
    residual_t t = residual(in, p);
    V k = p[QUARTIC_K], power, h;
    if (k[0] == 4) { /* no logarithm */
        power = t.s * t.s;
        h = one_less(1, power, v_fma(t.s, t.s, -power) + 2 * t.s * t.s_rest);
    } else {
        decay_t d = power_of_fraction(t.x, t.x_rest, k);
        power = decayed(v_one(), &d);
        h = v_select(d.gone, v_one(), d.complement);
    }
    V rest = v_fma(h, v_fma(h, p[QUARTIC_H2], p[QUARTIC_H]), v_one());
    M beyond = h <= v_zero();                                    /* not for NaN */
    V tiny = v_set(0.5) * t.r * t.r * (rest * p[QUARTIC_SHARE]); /* x^k need not be small */
    u->value = v_select(t.near, tiny, times_factor(v_select(beyond, v_one(), times_square(&t, rest)), p));
    u->grad[PRED] = v_select(beyond, v_zero(), t.r * h * h);
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = v_select(beyond, v_zero(), h * (h - 2 * k * power));
    u->hess = residual_hess(u->hess, u->grad[PRED], t.r, p);
}

/* Fair (1974): c^2 (|r|/c - ln(1 + |r|/c)). */
static void fair_setup(const double *params, double *constants) { set_c(params[0], 0, 1, constants); }
static void fair_rho(double s, const double *p, double out[3]) {
    double c = c_double(p), x = sqrt(s) / c, i = 1 / (1 + x);
    double h = x < INFINITY ? (double)less_log1p(v_set(x), v_zero(), v_zero())[0] : x;
    set_rho(s, p, 0x1p-110, 2 * h, i, -0.5 * i * i / x, out);
}
DEFINE(fair) = {
    LOSS(fair),
    .aliases = "",
    .family = "robust",
    .summary = "Convex, quadratic near zero and linear far out, with all derivatives where it matters.",
    .formula = "c^2 (|r|/c - ln(1 + |r|/c));  r = pred - target",
    .latex = "c^2\\left(|r|/c - \\ln(1 + |r|/c)\\right)",
    .tasks = "regression",
    .see_also = "huber, pseudo_huber, log_cosh",
    .look_alikes = "LightGBM: fair: c is fair_c, 1 by default\nGTSAM: Fair: c is k\n"
                   "g2o: RobustKernelFair: lossfn_rho of this, c is delta",
    .source = "R. C. Fair, On the robust estimation of econometric models, Ann. Econ. Soc. Meas. 3, 1974",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_C("1.3998", "the pull in the limit, in units of the residual; 1.3998 has 95 % efficiency")},
    .traits = ROBUST_TRAITS | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX,
    .lipschitz = 1.3998,
    .hess_kinds = EXACT | UPPER,
    .ulp_value = 4.5, /* the error of ln(1 + x) counts beside a smaller difference */
    .ulp_grad = 2,
    .ulp_hess = 2,
    .setup = fair_setup,
    .rho = fair_rho,
};
ELEMENTWISE(fair) {
    residual_t t = residual(in, p);
    V error, inverse = inverse_of_one_and(t.x, t.x_rest, &error);
    u->value = valued(&t, less_log1p(t.x, t.x_rest, inverse), p);
    u->grad[PRED] = corrected(times_residual(&t, inverse), 1, error);
    u->hess = corrected(inverse * inverse, 2, error);
    if (t.special) {
        const V c = c_of(p);
        u->value = v_select(t.far, c * t.quarter * 4, u->value);
        u->grad[PRED] = v_select(t.far, v_copysign(c, t.r), u->grad[PRED]);
        u->hess = v_select(t.far, far_curve(&t, 2, p), u->hess);
    }
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = residual_hess(u->hess, u->grad[PRED], t.r, p);
}

/* Ramsay (1977): (1 - exp(-a |r|) (1 + a |r|))/a^2, here with c = 1/a, x = a |r|. For small x as
 * exp(-x) (exp(x) - 1 - x). */
static void ramsay_e_setup(const double *params, double *constants) {
    double c = 1 / params[0] < DBL_MAX ? 1 / params[0] : DBL_MAX;
    set_c(c, fma(-c, params[0], 1) / params[0], 1, constants);
}
/* 1 - exp(-x) (1 + x), x^2 = s */
ALWAYS_INLINE V ramsay_complement(V x, V x_rest, V s, V s_rest, const decay_t *d) {
    V whole = v_ldexp(d->m, d->n), left = v_ldexp(d->left, d->n), small = at_most(x, 0.34375);
    V f = v_fma(exp_polynomial(small), small, v_set(0.5));
    V rest, above = two_sum(v_one(), -whole, &rest);
    rest -= v_fma(v_one() + x, left, x_rest * whole);
    V large = v_fma(-x, whole, above) + rest;
    V near = v_fma(s, f, s_rest * f) * whole;
    return v_select(d->gone, v_one(), v_select(x < v_set(0.34375), near, large));
}
static void ramsay_e_rho(double s, const double *p, double out[3]) {
    double root = sqrt(s), c = c_double(p), x = root / c;
    double left = fma(-root, root, s) / (2 * root) / c + fma(-x, c, root) / c - x * (4 * p[C_REST]) / c;
    decay_t d = decay(v_set(x), v_set(isfinite(left) ? left : 0));
    double e = (double)decayed(v_one(), &d)[0];
    set_rho(s, p, 0x1p-110, 2 * (double)ramsay_complement(v_set(x), v_zero(), v_set(x * x), v_zero(), &d)[0], e,
            x < INFINITY ? -0.5 * e / x : 0, out);
}
DEFINE(ramsay_e) = {
    LOSS(ramsay_e),
    .aliases = "",
    .family = "robust",
    .summary = "Residuals count with a weight that falls exponentially.",
    .formula = "(1 - exp(-a |r|) (1 + a |r|))/a^2;  r = pred - target",
    .latex = "\\frac{1 - e^{-a|r|}(1 + a|r|)}{a^2}",
    .tasks = "regression",
    .see_also = "welsch, tukey",
    .look_alikes = "statsmodels: RamsayE: the same",
    .source = "J. O. Ramsay, A comparative study of several robust estimates of slope, intercept, and scale in linear "
              "regression, J. Am. Stat. Assoc. 72, 1977",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_DOUBLE("a", "0.3", 0, 1, INFINITY, 1, "how fast the weight falls, per unit of the residual")},
    .traits = ROBUST_TRAITS | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .lipschitz = 1.2262648039048079,
    .hess_kinds = EXACT | UPPER,
    .ulp_value = 3, /* a difference of exponentials */
    .ulp_grad = 2,
    .ulp_hess = 2,
    .setup = ramsay_e_setup,
    .rho = ramsay_e_rho,
};
ELEMENTWISE(ramsay_e) {
    residual_t t = residual(in, p);
    decay_t d = decay(t.x, t.x_rest);
    u->value = valued(&t, ramsay_complement(t.x, t.x_rest, t.s, t.s_rest, &d), p);
    u->grad[PRED] = decayed(t.r, &d);
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = decayed(one_less(1, t.x, t.x_rest), &d);
    u->hess = residual_hess(u->hess, u->grad[PRED], t.r, p);
}

/* Ceres: c^2/2 atan((r/c)^2). */
static void arctan_rho(double s, const double *p, double out[3]) {
    double q = over_c2(s, p).of, i = q < 0x1p500 ? 1 / (1 + q * q) : 1 / q / q;
    set_rho(s, p, 0x1p-54, (double)v_atan(v_set(q))[0], i, q < INFINITY ? -2 * (q * i) * i : 0, out);
}
DEFINE(arctan) = {
    LOSS(arctan),
    .aliases = "",
    .family = "robust",
    .summary = "Least squares for longer than others, then it levels off: outliers hardly pull.",
    .formula = "c^2/2 atan((r/c)^2);  r = pred - target",
    .latex = "\\tfrac{c^2}{2}\\arctan\\left((r/c)^2\\right)",
    .tasks = "regression",
    .see_also = "geman_mcclure, cauchy, welsch",
    .look_alikes =
        "SciPy: arctan: lossfn_rho of this, c is f_scale\nCeres: ArctanLoss: lossfn_rho of this, its a is c^2",
    .source = "S. Agarwal, K. Mierle, Ceres Solver, loss functions",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_C("1", "how far residuals count, in units of the residual")},
    .traits = ROBUST_TRAITS | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .lipschitz = 0.5698767642386945,
    .hess_kinds = EXACT | UPPER,
    .ulp_value = 2,
    .ulp_grad = 2.5, /* the product of three rounded factors, of four */
    .ulp_hess = 2.5,
    .setup = half_c_setup,
    .rho = arctan_rho,
};
ELEMENTWISE(arctan) {
    residual_t t = residual(in, p);
    V fourth = t.s * t.s, rest = v_fma(t.s, t.s, -fourth) + 2 * t.s * t.s_rest;
    V error, inverse = inverse_of_one_and(fourth, rest, &error);
    u->value = valued(&t, atan_of_parts(t.s, t.s_rest), p);
    u->grad[PRED] = corrected(times_residual(&t, inverse), 1, error);
    u->hess = corrected(one_less(3, fourth, rest) * inverse * inverse, 2, error);
    far_cubed(&t, p, u);
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = residual_hess(u->hess, u->grad[PRED], t.r, p);
}

/* Andrews et al. (1972), a wave: c^2 (1 - cos(r/c)) for |r| <= pi c, 2 c^2 beyond. */
/* What is felt ends at pi c, where the sine is what pi c - |r| leaves: a quarter of pi c in three parts. */
enum { C_END = C_CONSTANTS, C_END_REST, C_END_LAST, C_END_REST_F32, C_END_LAST_F32 };
static void andrews_wave_setup(const double *params, double *constants) {
    set_c(params[0], 0, 1, constants);
    const double c = constants[C_QUARTER], first = c * 0x1.921fb54442d18p1, second = c * 0x1.1a62633145c07p-53;
    double rest = fma(c, 0x1.921fb54442d18p1, -first), sum = rest + second, from_rest = sum - second;
    double last = fma(c, 0x1.1a62633145c07p-53, -second) + c * -0x1.f1976b7ed8fbcp-109;
    last += (rest - from_rest) + (second - (sum - from_rest));
    constants[C_END] = first, constants[C_END_REST] = sum, constants[C_END_LAST] = last;
    rest = beyond_float(first);
    constants[C_END_REST_F32] = (double)(float)rest;
    constants[C_END_LAST_F32] = rest - (double)(float)rest + (rest != 0 ? sum : 0);
}
typedef struct {
    V sine, cosine, versine; /* versine = 1 - cosine */
    M beyond;                /* x > pi */
} wave_t;
/* Of x in [0, pi], by the nearest multiple of pi/2; to_pi is pi - x, of which more digits may be known. */
ALWAYS_INLINE wave_t wave(V x, V x_rest, V to_pi, V to_pi_rest) {
    const V one = v_one();
    wave_t w;
    M middle = x > v_set(PI / 4), high = x > v_set(3 * PI / 4), odd = m_andnot(middle, high);
    V rest, from = two_sum(v_set(PI / 2), -x, &rest);
    rest += v_set(PI_REST / 2) - x_rest;
    V y = v_select(high, to_pi, v_select(middle, from, x)), tail, less;
    V y_rest = v_select(high, to_pi_rest, v_select(middle, rest, x_rest));
    V sine = sin_reduced(y, y_rest, &tail), cosine = cos_reduced(y, y_rest, &less);
    w.sine = v_select(odd, cosine, sine);
    w.cosine = v_select(odd, sine, v_select(high, -cosine, cosine));
    V above = two_sum(one, -y, &rest);
    w.versine = v_select(odd, above + (rest - tail), v_select(high, one + cosine, less));
    w.beyond = m_and(high, y + y_rest < v_zero());
    return w;
}
/* (x cos x - sin x)/(2 x^3), a series in q = x^2 where it cancels. */
static inline double wave_curve(double q, double cosine, double slope) {
    double sum = 1;
    if (q >= 1) return (cosine - slope) / (2 * q);
    for (int k = 9; k > 0; k--) sum = 1 - q * (k + 1) / (double)(k * (2 * k + 3) * (2 * k + 2)) * sum;
    return -sum / 6;
}
static void andrews_wave_rho(double s, const double *p, double out[3]) {
    quotient_t q = over_c2(s, p);
    double x = sqrt(q.of), x_rest = x > 0 && x < INFINITY ? (fma(-x, x, q.of) + q.rest) / (2 * x) : 0;
    const V to_pi = v_set(PI) - v_set(x); /* exact where it counts */
    wave_t w = wave(v_set(x), v_set(x_rest), to_pi, v_set(PI_REST) - v_set(x_rest));
    if (w.beyond[0] || x == INFINITY) {
        set_rho(s, p, 0, 4, 0, 0, out);
        return;
    }
    double slope = q.of > 0x1p-54 ? (double)w.sine[0] / x : 1;
    set_rho(s, p, 0x1p-54, 2 * (double)w.versine[0], slope, wave_curve(q.of, (double)w.cosine[0], slope), out);
}
DEFINE(andrews_wave) = {
    LOSS(andrews_wave),
    .aliases = "andrews",
    .family = "robust",
    .summary = "Andrews' wave: the pull is a sine of the residual, nothing is felt beyond pi c.",
    .formula = "c^2 (1 - cos(r/c)) if |r| <= pi c, else 2 c^2;  r = pred - target",
    .latex = "\\begin{cases} c^2(1 - \\cos(r/c)) & |r| \\le \\pi c \\\\ 2 c^2 & \\text{else} \\end{cases}",
    .tasks = "regression",
    .see_also = "tukey, hampel, welsch",
    .look_alikes = "statsmodels: AndrewWave: c is a",
    .source = "D. F. Andrews, P. J. Bickel, F. R. Hampel, P. J. Huber, W. H. Rogers, J. W. Tukey, Robust Estimates of "
              "Location, Princeton University Press, 1972",
    .kinks = "Hessian at |r| = pi c: -1",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_C("1.339", "residuals beyond pi c count no more, in units of the residual; 1.339 has 95 % "
                                "efficiency")},
    .traits = ROBUST_TRAITS,
    .lipschitz = 1.339,
    .hess_kinds = EXACT | UPPER,
    .ulp_value = 2,
    .ulp_grad = 3, /* where pi c - |r| is next to nothing */
    .ulp_hess = 2,
    .setup = andrews_wave_setup,
    .rho = andrews_wave_rho,
};
ALWAYS_INLINE wave_t wave_of(const residual_t *t, const V *p) {
    const V c = at_least(p[C_QUARTER], SMALLEST_NORMAL);
    V lost, rest, sum = two_sum(p[C_END], -t->quarter, &rest);
    sum = two_sum(sum, -t->quarter_rest, &lost), rest += lost;
    sum = two_sum(sum, REST_OF(p, C_END_REST), &lost), rest += lost + REST_OF(p, C_END_LAST);
    const V gap = two_sum(sum, rest, &lost), to_pi = gap / c;
    const V left = (v_fma(-to_pi, c, gap) + (lost - to_pi * REST_OF(p, C_REST))) / c;
    const M close = t->x < v_set(4);
    return wave(t->x, t->x_rest, v_select(close, to_pi, v_set(PI) - t->x), v_where(close, left));
}
ELEMENTWISE(andrews_wave) {
    residual_t t = residual(in, p);
    wave_t w = wave_of(&t, p);
    V slope = 4 * v_fma(p[C_QUARTER], w.sine, REST_OF(p, C_REST) * w.sine);
    u->value = valued(&t, v_select(w.beyond, v_set(2), w.versine), p);
    u->grad[PRED] = v_select(t.near, t.r, v_copysign(v_select(w.beyond, v_zero(), slope), t.r));
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = v_select(w.beyond, v_zero(), w.cosine);
    u->hess = residual_hess(u->hess, u->grad[PRED], t.r, p);
}

/* Huber's skipped mean: r^2/2 for |r| < c, c^2/2 beyond. */
static void saturated_rho(double s, const double *p, double out[3]) {
    quotient_t q = over_c2(s, p);
    int within = (1 - q.of) - q.rest > 0;
    out[0] = within ? s : 2 * p[C_FACTOR] * p[C_UNIT];
    out[1] = within, out[2] = 0;
}
DEFINE(saturated) = {
    LOSS(saturated),
    .aliases = "truncated_l2, truncated_quadratic",
    .family = "robust",
    .summary = "Least squares up to c, a constant beyond: far residuals count as if they were not there.",
    .formula = "r^2/2 if |r| < c, else c^2/2;  r = pred - target",
    .latex = "\\tfrac12\\min(|r|, c)^2",
    .tasks = "regression",
    .see_also = "tukey, hampel, welsch",
    .look_alikes = "statsmodels: TrimmedMean: the same; its gradient at |r| = c is r, 0 here\n"
                   "g2o: RobustKernelSaturated: lossfn_rho of this, c is delta",
    .source = "A. Blake, A. Zisserman, Visual Reconstruction, MIT Press, 1987",
    .kinks = "|r| = c: gradient 0, Hessian 0",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_C("2", "beyond it residuals count no more, in units of the residual")},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_SYMMETRIC | LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 2,
    .hess_kinds = EXACT | UPPER,
    .ulp_value = 2,
    .ulp_grad = 1,
    .ulp_hess = 0.5,
    .setup = half_c_setup,
    .rho = saturated_rho,
};
ELEMENTWISE(saturated) {
    residual_t t = residual(in, p);
    M beyond = one_less(1, t.x, t.x_rest) <= v_zero(); /* not for NaN */
    u->value = v_select(beyond, times_factor(v_one(), p), v_set(0.5) * t.r * t.r);
    u->grad[PRED] = v_select(beyond, v_zero(), t.r);
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = v_select(beyond, v_zero(), v_nan_from(v_one(), t.r));
    u->hess = residual_hess(u->hess, u->grad[PRED], t.r, p);
}

/* Agarwal et al. (2013), the loss whose weight is that of dynamic covariance scaling, min(1, 2 phi/(phi + r^2))^2:
 * r^2/2 for r^2 <= phi, else 2 phi r^2/(phi + r^2) - phi/2 = phi/2 (1 + 2 (s - 1)/(s + 1)), s = r^2/phi. */
static void dcs_setup(const double *params, double *constants) {
    double c = sqrt(params[0]);
    set_c(c, fma(-c, c, params[0]) / (2 * c), 2, constants);
}
static void dcs_rho(double s, const double *p, double out[3]) {
    quotient_t q = over_c2(s, p);
    double i = 1 / (1 + q.of), square = (2 * i) * (2 * i);
    if ((1 - q.of) - q.rest >= 0) {
        out[0] = s, out[1] = 1, out[2] = 0;
    } else {
        set_rho(s, p, 0, 3 - 4 * i, square, -2 * square * i, out);
    }
}
DEFINE(dcs) = {
    LOSS(dcs),
    .aliases = "dynamic_covariance_scaling",
    .family = "robust",
    .summary = "Least squares up to phi, then with a weight that falls: for wrong loop closures in SLAM.",
    .formula = "r^2/2 if r^2 <= phi, else 2 phi r^2/(phi + r^2) - phi/2;  r = pred - target",
    .latex = "\\begin{cases} \\tfrac12 r^2 & r^2 \\le \\varphi \\\\ \\frac{2\\varphi r^2}{\\varphi + r^2} - "
             "\\tfrac12\\varphi & \\text{else} \\end{cases}",
    .tasks = "regression",
    .see_also = "geman_mcclure, huber, saturated",
    .look_alikes = "GTSAM: DCS: the same weight; its value phi r^2/(phi + r^2) beyond phi does not fit it\n"
                   "g2o: RobustKernelDCS: the same weight; its value falls beyond phi",
    .source = "P. Agarwal, G. D. Tipaldi, L. Spinello, C. Stachniss, W. Burgard, Robust map optimization using "
              "dynamic covariance scaling, ICRA 2013",
    .kinks = "Hessian at r^2 = phi: 1",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_DOUBLE("phi", "1", 0, 1, INFINITY, 1, "the squared residual from which the weight falls")},
    .traits = ROBUST_TRAITS,
    .lipschitz = 1,
    .hess_kinds = EXACT | UPPER,
    .ulp_value = 2,
    .ulp_grad = 2.5,
    .ulp_hess = 3.5, /* the product of four rounded factors */
    .setup = dcs_setup,
    .rho = dcs_rho,
};
ELEMENTWISE(dcs) {
    residual_t t = residual(in, p);
    V above = v_neg(one_less(1, t.s, t.s_rest)), error, inverse = inverse_of_one_and(t.s, t.s_rest, &error);
    V share = v_fma(2 * above, inverse, v_fma(2 * above * inverse, error, v_one()));
    M beyond = above > v_zero(); /* not for NaN */
    u->grad[PRED] = corrected(times_residual(&t, inverse) * inverse, 2, error);
    u->hess = corrected(one_less(3, t.s, t.s_rest) * inverse * inverse * inverse, 3, error);
    far_cubed(&t, p, u);
    u->value = v_select(beyond, times_factor(share, p), v_set(0.5) * t.r * t.r);
    u->grad[PRED] = v_select(beyond, 4 * u->grad[PRED], t.r);
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = v_select(beyond, 4 * u->hess, v_nan_from(v_one(), t.r));
    u->hess = residual_hess(u->hess, u->grad[PRED], t.r, p);
}

/* Hampel (1974), in three parts: the gradient is r up to a, then a, falls in a line from b to c, and is 0 beyond. With
 * d = |r| - b and w = 1/(c - b) the third part is a (b - a/2 + d (1 - d w/2)). */
enum { HAMPEL_A, HAMPEL_B, HAMPEL_C, HAMPEL_RESTS, HAMPEL_CORNER = 6, HAMPEL_W, HAMPEL_SLOPE, HAMPEL_TOP };
static void hampel_setup(const double *params, double *constants) {
    double a = params[0], b = params[1] > a ? params[1] : a, c = params[2] > b ? params[2] : b;
    const double ends[] = {a, b, c};
    for (int i = 0; i < 3; i++) {
        constants[HAMPEL_A + i] = ends[i] / 4;
        constants[HAMPEL_RESTS + i] = beyond_float(ends[i] / 4);
    }
    constants[HAMPEL_CORNER] = b - a / 2;
    constants[HAMPEL_W] = 0.5 / (c - b);
    constants[HAMPEL_SLOPE] = a / (c - b);
    constants[HAMPEL_TOP] = a * (b / 2 + c / 2 - a / 2);
}
static void hampel_rho(double s, const double *p, double out[3]) {
    double r = sqrt(s), a = 4 * p[HAMPEL_A], b = 4 * p[HAMPEL_B], c = 4 * p[HAMPEL_C], d = r - b;
    if (r <= a) {
        out[0] = s, out[1] = 1, out[2] = 0;
    } else if (r <= b) {
        out[0] = a * (2 * r - a), out[1] = a / r, out[2] = -0.5 * a / r / s;
    } else if (r < c) {
        out[0] = 2 * a * (p[HAMPEL_CORNER] + d * (1 - d * p[HAMPEL_W]));
        out[1] = p[HAMPEL_SLOPE] * ((c - r) / r), out[2] = -0.5 * p[HAMPEL_SLOPE] * c / r / s;
    } else {
        out[0] = 2 * p[HAMPEL_TOP], out[1] = out[2] = 0;
    }
}
DEFINE(hampel) = {
    LOSS(hampel),
    .aliases = "",
    .family = "robust",
    .summary = "In three parts: quadratic up to a, linear up to b, and the pull falls to nothing at c.",
    .formula =
        "r^2/2 if |r| <= a; a |r| - a^2/2 if |r| <= b; a (b + c - a)/2 - a (c - |r|)^2/(2 (c - b)) if |r| <= c; else "
        "a (b + c - a)/2;  r = pred - target",
    .latex = "\\begin{cases} \\tfrac12 r^2 & |r| \\le a \\\\ a|r| - \\tfrac12 a^2 & |r| \\le b \\\\ "
             "\\tfrac{a}{2}\\left(b + c "
             "- a - \\frac{(c - |r|)^2}{c - b}\\right) & |r| \\le c \\\\ \\tfrac{a}{2}(b + c - a) & \\text{else} "
             "\\end{cases}",
    .tasks = "regression",
    .see_also = "huber, tukey, saturated",
    .look_alikes = "statsmodels: Hampel: the same",
    .source = "F. R. Hampel, The influence curve and its role in robust estimation, J. Am. Stat. Assoc. 69, 1974",
    .kinks = "Hessian at |r| = a: 1; at |r| = b: 0; at |r| = c: 0; b below a counts as a, c below b as b",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 3,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_DOUBLE("a", "2", 0, 1, INFINITY, 1, "where the quadratic part ends"),
               PARAM_DOUBLE("b", "4", 0, 1, INFINITY, 1, "where the linear part ends, at least a"),
               PARAM_DOUBLE("c", "8", 0, 1, INFINITY, 1, "beyond it residuals count no more, at least b")},
    .traits = ROBUST_TRAITS,
    .lipschitz = 2,
    .hess_kinds = EXACT | UPPER,
    .ulp_value = 2.5, /* the product of three rounded factors */
    .ulp_grad = 2.5,
    .ulp_hess = 1,
    .setup = hampel_setup,
    .rho = hampel_rho,
};
/* end/4 - |r|/4, also where it is next to nothing */
ALWAYS_INLINE V hampel_left(V quarter, V rest, const V *p, int end) {
    V end_rest = sizeof(REAL) == 4 ? p[HAMPEL_RESTS + end] : v_zero();
    return (p[end] - quarter) + (end_rest - rest);
}
ELEMENTWISE(hampel) {
    const V fourth = v_set(0.25), a = 4 * p[HAMPEL_A];
    V r = in[PRED] - in[TARGET], size = v_abs(r);
    V rest, difference = two_sum(fourth * in[PRED], v_neg(fourth * in[TARGET]), &rest), quarter = v_abs(difference);
    rest = v_where(v_isfinite(difference), v_copysign(v_one(), difference) * rest);
    M past_a = hampel_left(quarter, rest, p, HAMPEL_A) < v_zero(); /* not for NaN */
    V d = -4 * hampel_left(quarter, rest, p, HAMPEL_B), left = 4 * hampel_left(quarter, rest, p, HAMPEL_C);
    M past_b = d > v_zero(), past_c = left <= v_zero();
    V third = a * v_fma(d, v_fma(-d, p[HAMPEL_W], v_one()), p[HAMPEL_CORNER]);
    V value = v_select(past_a, a * (size - v_set(0.5) * a), v_set(0.5) * r * r);
    u->value = v_select(past_c, p[HAMPEL_TOP], v_select(past_b, third, value));
    V slope = v_select(past_b, v_copysign(left * p[HAMPEL_SLOPE], r), v_select(past_a, v_copysign(a, r), r));
    u->grad[PRED] = v_select(past_c, v_zero(), slope);
    u->grad[TARGET] = -u->grad[PRED];
    V curve = v_select(past_b, -p[HAMPEL_SLOPE], v_select(past_a, v_zero(), v_nan_from(v_one(), r)));
    u->hess = v_select(past_c, v_zero(), curve);
    u->hess = residual_hess(u->hess, u->grad[PRED], r, p);
}

/* Ceres' tolerant loss: nothing is felt much below r^2 = a, least squares beyond. With s = r^2 and softplus
 * sp(z) = ln(1 + e^z) it is b/2 (sp((s - a)/b) - sp(-a/b)); for z = (s - a)/b <= 1 the difference is
 * ln(1 + e^z (1 - e^(-s/b))/(1 + e^(-a/b))). */
enum { TOL_A, TOL_B, TOL_A_REST, TOL_B_REST, TOL_SHARE, TOL_SOFTPLUS, TOL_HALF_B, TOL_SIGMOID };
static void tolerant_setup(const double *params, double *constants) {
    double a = params[0], b = params[1], ratio = a / b, e_complement;
    double e = s_exp_minus((quotient_t){ratio, fma(-ratio, b, a) / b}, &e_complement);
    constants[TOL_A] = a, constants[TOL_A_REST] = beyond_float(a);
    constants[TOL_B] = b, constants[TOL_B_REST] = beyond_float(b);
    constants[TOL_SHARE] = 1 / (1 + e), constants[TOL_SOFTPLUS] = s_log1p(e);
    constants[TOL_HALF_B] = b / 2, constants[TOL_SIGMOID] = e / (1 + e);
}
typedef struct {
    V value;
    V slope;   /* sigmoid(z), made of r */
    V falling; /* 1 - sigmoid(z) */
} tolerant_t;
/* r sigmoid(z), which may underflow without r */
ALWAYS_INLINE tolerant_t tolerant_of(V r, V s, V s_rest, const V *p) {
    tolerant_t t;
    const V one = v_one(), b = p[TOL_B];
    const V a_rest = sizeof(REAL) == 4 ? p[TOL_A_REST] : v_zero(),
            b_rest = sizeof(REAL) == 4 ? p[TOL_B_REST] : v_zero();
    V rest, above = two_sum(s, -p[TOL_A], &rest), z = above / b;
    rest = v_where(v_isfinite(above), rest + (s_rest - a_rest));
    V left = (v_fma(-z, b, above) + (rest - z * b_rest)) / b;
    left = v_where(v_isfinite(left), left);
    M positive = z > v_zero(), high = z > one;
    decay_t d = decay(v_abs(z), v_select(positive, left, -left));
    V e = decayed(one, &d), share = one / (one + e), up = v_select(positive, one / e, e);
    V through = up * p[TOL_SHARE] * v_neg(v_expm1(v_neg(s / b)));
    V half = v_set(0.5), logarithm = v_log1p(v_select(high, e, through)) - v_where(high, p[TOL_SOFTPLUS]);
    t.value = v_where(high, half * above) + v_fma(p[TOL_HALF_B], logarithm, v_where(high, half * rest));
    t.slope = v_select(positive, r * share, decayed(r * share, &d));
    t.falling = v_select(positive, e * share, share);
    return t;
}
static void tolerant_rho(double s, const double *p, double out[3]) {
    V constants[TOL_SIGMOID + 1];
    for (int i = 0; i <= TOL_SIGMOID; i++) constants[i] = v_set(p[i]);
    tolerant_t t = tolerant_of(v_one(), v_set(s), v_zero(), constants);
    double b = p[TOL_B], sigmoid = (double)t.slope[0];
    out[0] = s / b < 0x1p-60 ? s * p[TOL_SIGMOID] : 2 * (double)t.value[0];
    out[1] = sigmoid;
    out[2] = sigmoid * (double)t.falling[0] / b;
}
DEFINE(tolerant) = {
    LOSS(tolerant),
    .aliases = "",
    .family = "robust",
    .summary = "Tolerates residuals up to the square root of a, squares those beyond.",
    .formula = "b/2 (ln(1 + exp((r^2 - a)/b)) - ln(1 + exp(-a/b)));  r = pred - target",
    .latex = "\\tfrac{b}{2}\\left(\\ln(1 + e^{(r^2 - a)/b}) - \\ln(1 + e^{-a/b})\\right)",
    .tasks = "regression",
    .see_also = "half_squared_error",
    .look_alikes = "Ceres: TolerantLoss: lossfn_rho of this",
    .source = "S. Agarwal, K. Mierle, Ceres Solver, loss functions",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 2,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_DOUBLE("a", "1", 0, 0, INFINITY, 1, "the squared residual that is tolerated"),
               PARAM_DOUBLE("b", "1", 0, 1, INFINITY, 1, "how gradually tolerance ends, of the squared residual")},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_SYMMETRIC | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX |
              LOSSFN_TRAIT_STRONGLY_CONVEX,
    .hess_kinds = EXACT,
    .ulp_value = 4, /* a logarithm of a product of two exponentials */
    .ulp_grad = 3,  /* the sigmoid of a rounded difference */
    .ulp_hess = 4,
    .setup = tolerant_setup,
    .rho = tolerant_rho,
};
ELEMENTWISE(tolerant) {
    V rest, r = two_sum(in[PRED], -in[TARGET], &rest), s = r * r;
    const V half = v_set(0.5);
    V s_rest = v_fma(r, r, -s) + 2 * r * rest, w = s / p[TOL_B];
    r = in[PRED] - in[TARGET];
    tolerant_t t = tolerant_of(r, s, v_where(v_isfinite(s_rest), s_rest), p);
    tolerant_t unit = tolerant_of(v_one(), s, v_where(v_isfinite(s_rest), s_rest), p);
    const M far = (w > v_set(FAR_OUT)) & (p[TOL_A] * v_set(FAR_OUT) < s);
    u->value = v_select(w < v_set(0x1p-60), half * r * r * p[TOL_SIGMOID], v_select(far, half * r * r, t.value));
    u->grad[PRED] = t.slope;
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = unit.slope * v_fma(2 * v_where(t.falling != v_zero(), w), t.falling, v_one());
}

/* Breckling and Chambers (1988) with Huber's loss: tau huber(r) below the target, (1 - tau) huber(r) above. */
static void m_quantile_setup(const double *params, double *constants) {
    constants[0] = params[0], constants[1] = 1 - params[0];
    constants[2] = params[1], constants[3] = beyond_float(params[1]);
}
DEFINE(m_quantile) = {
    LOSS(m_quantile),
    .aliases = "",
    .family = "robust",
    .summary = "Between quantile and expectile: a Huber loss with two weights, whose minimiser is the M-quantile.",
    .formula = "tau huber(r, delta) if r < 0, else (1 - tau) huber(r, delta);  r = pred - target",
    .latex = "\\left|\\tau - 1_{p > y}\\right| \\operatorname{huber}_\\delta(p - y)",
    .tasks = "quantile, regression",
    .see_also = "quantile, expectile, huber",
    .look_alikes = "statsmodels: MQuantileNorm: with HuberT as base, q is tau, t is delta",
    .source = "J. Breckling, R. Chambers, M-quantiles, Biometrika 75, 1988",
    .kinks = "Hessian at pred = target: tau, at |r| = delta: as within",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 2,
    .inputs = {PRED_REAL, TARGET_REAL},
    .params = {PARAM_DOUBLE("tau", "0.5", 0, 1, 1, 1, "the level"),
               PARAM_DOUBLE("delta", "1.345", 0, 1, INFINITY, 0,
                            "where the quadratic part ends, in units of the residual; 1.345 has 95 % efficiency")},
    .traits = ROBUST_TRAITS | LOSSFN_TRAIT_CONVEX,
    .lipschitz = 0.6725,
    .hess_kinds = EXACT,
    .ulp_value = 3, /* the product of four rounded factors */
    .ulp_grad = 1.5,
    .ulp_hess = 0.51,
    .setup = m_quantile_setup,
};
ELEMENTWISE(m_quantile) {
    const V half = v_set(0.5), delta = p[2];
    V r = in[PRED] - in[TARGET], a = v_abs(r), b = v_abs(half * in[PRED] - half * in[TARGET]);
    V w = v_select(r > v_zero(), p[1], p[0]);
    M far = a - delta > (sizeof(REAL) == 4 ? p[3] : v_zero()); /* not for NaN */
    u->value = v_select(far, 2 * (w * delta * (b - v_set(0.25) * delta)), half * w * r * r);
    u->grad[PRED] = w * v_select(far, v_copysign(delta, r), r);
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = w * v_select(far, v_zero(), v_nan_from(v_one(), r));
}
