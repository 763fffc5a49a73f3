/* SPDX-License-Identifier: MIT
 * Negative log-likelihoods of distributions. Constants of the target are left out unless full=true. */

#include "losses/divergence.h"
#include "losses/softmax_row.h"
#include "simd/bessel.h"
#include "simd/logistic.h"
#include "simd/zeros.h"

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
                   "XGBoost: count:poisson: gradient of reduction=sum; the Hessian e^max_delta_step times this one",
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
/* ln y - z, and what it leaves, y > 0 finite; to the last digits also where z is ln y rounded */
ALWAYS_INLINE V log_less(V y, V z, V *rest) {
    V log_rest, lost, t = two_sum(log_two_parts(y, &log_rest), -z, &lost);
    *rest = v_where(v_isfinite(t), log_rest + lost);
    const M near = v_abs(t) < v_set(0x1p-8) * v_abs(z);
    if (m_any(near)) { /* there the logarithm's own error shows */
        D time[DPARTS], less[DPARTS], left[DPARTS];
        v_widen(v_select(near, y, v_one()), time), v_widen(v_where(near, z), less);
        for (int i = 0; i < DPARTS; i++) {
            const pair x = pair_log_less(time[i], pair_log_of(time[i]), less[i]);
            less[i] = x.hi, left[i] = x.lo;
        }
        D whole[DPARTS];
        v_widen(v_narrow(less), whole);
        for (int i = 0; i < DPARTS; i++) left[i] += less[i] - whole[i];
        t = v_select(near, v_narrow(less), t), *rest = v_select(near, v_narrow(left), *rest);
    }
    return t;
}
/* With ln y!, y >= 1: half the deviance and the rest of Stirling's formula, neither of which is negative; the formula's
 * three terms grow with the count and cancel. */
IN_DOUBLE(poisson_full, 2) {
    const D y = in[TARGET];
    const pair order = pair_of(d_set(1), d_set(0));
    if (IS(p[POISSON_LOG_INPUT])) {
        u->value = d_power_deviance(in[PRED], y, order, DEVIANCE_BY_LOG, 0).value + d_stirling(y);
    } else {
        const D eps = d_set((double)p[POISSON_EPS][0]);
        u->value = (d_power_deviance(in[PRED] + eps, y, order, DEVIANCE_BY_MEAN, 0).value + d_stirling(y)) - eps;
    }
}
ELEMENTWISE(poisson_nll) {
    V z = in[PRED], y = in[TARGET], zero = v_zero();
    u->outside = y < zero;
    if (IS(p[POISSON_LOG_INPUT])) {
        /* with the rest of the exponential: both differences may be small beside it */
        V rest, rate = exp_two_parts(z, &rest);
        u->value = v_fma(v_neg(y), z, rate) + rest;
        const M odd = v_isnan(u->value); /* 0 of an infinite z, or the difference of two infinities */
        if (m_any(odd)) {
            const V limit = v_select(rate == v_set(INFINITY), rate, rate - v_select(y == zero, zero, y * z));
            u->value = v_select(odd, limit, u->value);
        }
        u->grad[PRED] = (rate - y) + rest;
        u->hess = rate;
    } else {
        V rate = z + p[POISSON_EPS];
        u->outside |= z < zero;
        u->value = v_select(z == v_set(INFINITY), z, z - v_select(y == zero, zero, y * v_log(rate)));
        const M whole = (y == zero) | ((z == v_set(INFINITY)) & v_isfinite(y));
        u->grad[PRED] = v_nan_from(v_select(whole, v_one(), ((z - y) + p[POISSON_EPS]) / rate), z);
        u->hess = WANTS(FISHER, p) ? v_one() / rate : v_where(y != zero, y / rate / rate);
    }
    if (IS(p[POISSON_FULL])) {
        const M some = (y >= v_one()) & (y < v_set(INFINITY));
        V constant;
        log_factorial(&y, &constant);
        u->value += constant;
        if (m_any(some)) {
            const V of[] = {z, v_select(some, y, v_one())};
            unit_t full = {.want = LOSSFN__WANT_VALUE};
            poisson_full_in_double(of, p, &full);
            u->value = v_select(some, full.value, u->value);
        }
        if (m_any(y == v_set(INFINITY))) u->value = v_select((y == v_set(INFINITY)) & v_isfinite(z), y, u->value);
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
    V r_rest, r = two_sum(in[PRED], v_neg(in[TARGET]), &r_rest), var = in[2], eps = p[GAUSSIAN_EPS];
    M raised = var < eps;
    u->outside = (var < zero) | ((var == zero) & (eps == zero));
    V v = v_select(raised, eps, var), q = r / v;
    V fit = half * r * q;
    M large = v_abs(q) == v_set(INFINITY);
    if (m_any(large)) { /* r / v overflows before r^2 / v, and r before either */
        const V part = v_fma(half, in[PRED], -half * in[TARGET]);
        const M over = v_abs(r) == v_set(INFINITY);
        q = v_select(over, 2 * (part / v), q);
        fit = v_select(large, v_select(over, part * q, half * r * r / v), fit);
    }
    u->value = v_fma(half, v_log(v), fit);
    if (IS(p[GAUSSIAN_FULL])) u->value += v_set(0.918938533204672741780);
    u->grad[PRED] = q;
    u->grad[TARGET] = -q;
    /* (1/v - q^2)/2: near 0 with what rounding took from r and q, far from it the form that cannot become inf - inf or
     * overflow before it must */
    const M near = v_abs(q * r) < v_set(4);
    const V taken = v_where(near, q * v_fma(half, v_fma(v_neg(q), v, r), r_rest));
    V slope = v_select(near | (v < one), (v_fma(-q, half * r, half) - taken) / v, v_fma(-q, half * q, half / v));
    u->grad[2] = v_select(raised, v_nan_from(zero, r), slope);
    u->hess = one / v;
}

/* ---- Densities of a location and a scale: pred is the location ----------------------------------------------------
 */

#define PARAM_FULL  PARAM_BOOL("full", "false", "adds the constant that makes it a density")
#define PARAM_SCALE PARAM_LEARNABLE("scale", "1", 0, 1, INFINITY, 1, "scale, greater than 0")

#define EXP_SQUARED (sizeof(REAL) == 4 ? 60.0 : 600.0) /* beyond, an exponential is the square of another */
enum { SCALE = 2, SCALE_FULL = 1 };
/* The residual, its quotient by the scale, and what rounding took from that. */
typedef struct {
    V r, q, rest;
    V part, times; /* r, which may overflow, is part times 1 or 4 */
} scaled_t;
#define SMALL_SCALE (sizeof(REAL) == 4 ? 0x1p-64 : 0x1p-512)
ALWAYS_INLINE scaled_t scaled_residual(const V *in, unit_t *u) {
    const V scale = in[SCALE], most = v_set(sizeof(REAL) == 4 ? 0x1p125 : 0x1p1021);
    const M huge = (v_abs(in[PRED]) > most) | (v_abs(in[TARGET]) > most);
    V lost, r = two_sum(in[PRED], -in[TARGET], &lost), times = v_one();
    if (m_any(huge)) { /* where r may overflow */
        const V down = v_select(huge, v_set(0.25), v_one());
        times = v_select(huge, v_set(4), v_one());
        r = two_sum(down * in[PRED], -(down * in[TARGET]), &lost);
    }
    const V q = r / scale;
    const V up = v_select(scale < v_set(SMALL_SCALE), v_set(1 / SMALL_SCALE), v_one()), unit = up * scale;
    V rest = (v_fma(-q, unit, up * r) + up * lost) / unit; /* which would be lost among subnormal numbers */
    u->outside = (scale <= v_zero()) | (scale == v_set(INFINITY));
    return (scaled_t){in[PRED] - in[TARGET], q * times, v_where(v_isfinite(rest), rest * times), r, times};
}
/* ln |r| */
ALWAYS_INLINE V log_residual(const scaled_t *s) {
    return v_log(v_abs(s->part)) + v_where(s->times > v_one(), v_set(2 * LN2));
}
/* From the derivatives by q of the negative logarithm of the density of scale 1. Where q has lost digits to be small
 * the slope is the curvature times r. */
ALWAYS_INLINE void scale_unit(const scaled_t *s, V value, V slope, V curve, V by_scale, const V *in, unit_t *u) {
    const V scale = in[SCALE];
    const M tiny = (v_abs(s->q) < v_set(4 * SMALLEST_NORMAL)) & (s->r != v_zero());
    u->value = value + v_log(scale);
    u->hess = curve / scale / scale;
    u->grad[PRED] = slope / scale;
    if (m_any(tiny)) u->grad[PRED] = v_select(tiny & (curve != v_zero()), u->hess * s->r, u->grad[PRED]);
    u->grad[TARGET] = -u->grad[PRED];
    u->grad[SCALE] = by_scale / scale;
}
/* Where the density falls like |r|^-(power): also where r/s overflows. For hardly any, so behind a branch. */
ALWAYS_INLINE void heavy_tail(const scaled_t *s, M far, V power, V value, unit_t *u) {
    const V back = v_one() / s->part / s->times;
    u->value = v_select(far, value, u->value);
    u->grad[PRED] = v_select(far, power * back, u->grad[PRED]);
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = v_select(far, -(power * back) * back, u->hess);
}

/* Laplace (1774): |r|/s + ln s [+ ln 2]. */
DEFINE(laplace_nll) = {
    LOSS(laplace_nll),
    .aliases = "",
    .family = "likelihood",
    .summary = "Negative log-likelihood of a Laplace distribution: mae with a scale.",
    .formula = "|pred - target| / scale + log(scale)  [+ log 2 with full]",
    .latex = "|p - y| / s + \\ln s \\quad[+ \\ln 2]",
    .tasks = "regression",
    .see_also = "mae, gaussian_nll",
    .look_alikes = "",
    .source = "P. S. Laplace, Memoire sur la probabilite des causes par les evenements, 1774",
    .kinks = "pred = target: gradient 0",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 3,
    .n_params = 2,
    .inputs = {PRED_REAL, TARGET_REAL, LEARNABLE("scale", POSITIVE, 1, "scale, greater than 0")},
    .params = {PARAM_SCALE, PARAM_FULL},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_SYMMETRIC | LOSSFN_TRAIT_LIPSCHITZ,
    .hess_kinds = EXACT,
    .lipschitz = 1,
    .ulp_value = 2,
    .ulp_grad = 2,
    .ulp_hess = 1,
};
ELEMENTWISE(laplace_nll) {
    const scaled_t s = scaled_residual(in, u);
    const V a = v_abs(s.q);
    scale_unit(&s, a, v_sign(s.r), v_nan_from(v_zero(), s.r), (v_one() - a) - v_copysign(v_one(), s.q) * s.rest, in, u);
    if (IS(p[SCALE_FULL])) u->value += v_set(LN2);
}

/* Cauchy (1853): ln(1 + (r/s)^2) + ln s [+ ln pi]. */
DEFINE(cauchy_nll) = {
    LOSS(cauchy_nll),
    .aliases = "",
    .family = "likelihood",
    .summary = "Negative log-likelihood of a Cauchy distribution.",
    .formula = "log(1 + ((pred - target) / scale)^2) + log(scale)  [+ log pi with full]",
    .latex = "\\ln\\left(1 + \\left(\\tfrac{p - y}{s}\\right)^2\\right) + \\ln s \\quad[+ \\ln\\pi]",
    .tasks = "regression",
    .see_also = "cauchy, student_t_nll",
    .look_alikes = "",
    .source = "A. Cauchy, Sur les resultats moyens d'observations de meme nature, C. R. Acad. Sci. 37, 1853",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 3,
    .n_params = 2,
    .inputs = {PRED_REAL, TARGET_REAL, LEARNABLE("scale", POSITIVE, 1, "scale, greater than 0")},
    .params = {PARAM_SCALE, PARAM_FULL},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_SYMMETRIC | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_LIPSCHITZ,
    .hess_kinds = EXACT,
    .lipschitz = 1,
    .ulp_value = 3,
    .ulp_grad = 4,
    .ulp_hess = 5,
};
ELEMENTWISE(cauchy_nll) {
    const scaled_t s = scaled_residual(in, u);
    const V one = v_one(), square = s.q * s.q, share = one / (one + square), rest = (one - square) * share;
    const M far = v_abs(s.q) > v_set(0x1p40);
    scale_unit(&s, v_log1p(square), 2 * s.q * share, 2 * rest * share, v_select(far, v_set(-1), rest), in, u);
    if (m_any(far)) heavy_tail(&s, far, v_set(2), 2 * log_residual(&s) - v_log(in[SCALE]), u);
    u->value = v_nan_from(u->value, s.r);
    if (IS(p[SCALE_FULL])) u->value += v_set(1.14472988584940017414);
}

/* Verhulst (1838): |q| + 2 ln(1 + exp(-|q|)) + ln s, q = r/s. */
DEFINE(logistic_nll) = {
    LOSS(logistic_nll),
    .aliases = "",
    .family = "likelihood",
    .summary = "Negative log-likelihood of a logistic distribution.",
    .formula = "|q| + 2 log(1 + exp(-|q|)) + log(scale);  q = (pred - target) / scale",
    .latex = "|q| + 2\\ln(1 + e^{-|q|}) + \\ln s,\\quad q = (p - y)/s",
    .tasks = "regression",
    .see_also = "logit_dist, gaussian_nll",
    .look_alikes = "",
    .source = "N. Balakrishnan, Handbook of the Logistic Distribution, 1991",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 3,
    .n_params = 1,
    .inputs = {PRED_REAL, TARGET_REAL, LEARNABLE("scale", POSITIVE, 1, "scale, greater than 0")},
    .params = {PARAM_SCALE},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX | LOSSFN_TRAIT_SYMMETRIC |
              LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_LIPSCHITZ,
    .hess_kinds = EXACT,
    .lipschitz = 1,
    .ulp_value = 2.5,
    .ulp_grad = 3,
    .ulp_hess = 4,
};
ELEMENTWISE(logistic_nll) {
    (void)p;
    const scaled_t s = scaled_residual(in, u);
    const V one = v_one(), a = v_abs(s.q), half = v_set(0.5), rest = v_select(s.q < v_zero(), -s.rest, s.rest);
    const M wide = a > v_set(EXP_SQUARED); /* there e may be subnormal, and its quotient by a small scale is not */
    const V e = v_exp_minus_parts(a, rest), sum = one + e;
    const V slope = v_tanh(half * s.q), pull = v_select(a == v_set(INFINITY), a, s.q * slope);
    scale_unit(&s, a + 2 * v_log1p_unit(e), slope, 2 * (e / (sum * sum)), one - pull, in, u);
    u->value = v_nan_from(u->value, s.r);
    if (m_any(wide)) u->hess = v_select(wide, 2 * v_exp_over(-a, -rest, in[SCALE], 2), u->hess);
}

/* Gumbel (1935), of maxima: q + exp(-q) + ln s with q = (target - pred)/s. */
DEFINE(gumbel_nll) = {
    LOSS(gumbel_nll),
    .aliases = "",
    .family = "likelihood",
    .summary = "Negative log-likelihood of a Gumbel distribution: of maxima.",
    .formula = "q + exp(-q) + log(scale);  q = (target - pred) / scale",
    .latex = "q + e^{-q} + \\ln s,\\quad q = (y - p)/s",
    .tasks = "regression",
    .see_also = "logistic_nll, log_lin_quantile",
    .look_alikes = "",
    .source = "E. J. Gumbel, Les valeurs extremes des distributions statistiques, Ann. Inst. H. Poincare 5, 1935",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 3,
    .n_params = 1,
    .inputs = {PRED_REAL, TARGET_REAL, LEARNABLE("scale", POSITIVE, 1, "scale, greater than 0")},
    .params = {PARAM_SCALE},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT,
    .ulp_value = 3,
    .ulp_grad = 4,
    .ulp_hess = 3.5,
};
ELEMENTWISE(gumbel_nll) {
    (void)p;
    const scaled_t s = scaled_residual(in, u); /* here q is the negative of the formula's */
    const V one = v_one(), e = v_exp_parts(s.q, s.rest), less = v_fma(s.rest, e, v_expm1(s.q));
    const M wide = v_abs(s.q) > v_set(EXP_SQUARED); /* as in logistic_nll; and infinite, and its quotient is not */
    const M huge = e == v_set(INFINITY), steep = wide & (s.q > v_zero());
    const V slope = v_select(huge, e, less), pull = v_select(s.q == v_set(-INFINITY), v_set(INFINITY), s.q * slope);
    scale_unit(&s, v_select(huge, e, e - s.q), slope, e, one - pull, in, u);
    if (m_any(wide)) {
        const V once = v_exp_over(s.q, s.rest, in[SCALE], 1);
        u->grad[PRED] = v_select(steep, once, u->grad[PRED]);
        u->grad[TARGET] = -u->grad[PRED];
        u->grad[SCALE] = v_select(steep, -s.q * once, u->grad[SCALE]);
        u->hess = v_select(wide, v_exp_over(s.q, s.rest, in[SCALE], 2), u->hess);
    }
}

enum { STUDENT_FULL = 2, STUDENT_DF };
/* Student (1908): (nu + 1)/2 ln(1 + q^2/nu) + ln s, q = r/s [+ ln Gamma(nu/2) - ln Gamma((nu + 1)/2) + ln(nu pi)/2]. */
DEFINE(student_t_nll) = {
    LOSS(student_t_nll),
    .aliases = "",
    .family = "likelihood",
    .summary = "Negative log-likelihood of Student's t distribution.",
    .formula =
        "(df + 1)/2 log(1 + q^2 / df) + log(scale);  q = (pred - target) / scale  [+ log Gamma(df/2) - log Gamma((df + "
        "1)/2) + log(pi df)/2 with full]",
    .latex = "\\tfrac{\\nu + 1}{2}\\ln(1 + q^2/\\nu) + \\ln s,\\quad q = (p - y)/s",
    .tasks = "regression",
    .see_also = "cauchy_nll, student_t_rho, gaussian_nll",
    .look_alikes = "PyTorch: StudentT(df, loc, scale): the same, with full=true\n"
                   "SciPy: scipy.stats.t: the same, with full=true",
    .source = "Student, The probable error of a mean, Biometrika 6, 1908",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 4,
    .n_params = 3,
    .inputs = {PRED_REAL, TARGET_REAL, LEARNABLE("scale", POSITIVE, 1, "scale, greater than 0"),
               LEARNABLE("df", POSITIVE, 1, "degrees of freedom, greater than 0; to learn them takes full=true")},
    .params = {PARAM_SCALE, PARAM_LEARNABLE("df", "3", 0, 1, INFINITY, 1, "degrees of freedom"), PARAM_FULL},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_SYMMETRIC | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_LIPSCHITZ,
    .hess_kinds = EXACT,
    .lipschitz = 1.155, /* (df + 1) / (2 sqrt(df)) */
    .ulp_value = 4,
    .ulp_grad = 5,
    .ulp_hess = 6,
};
/* What the constant and its derivative by nu = 2 x are made of; far out both are asymptotic series of
 * ln Gamma(x + 1/2) - ln Gamma(x), in v = 1/x. */
typedef struct {
    D v, w, near; /* w = v^2; near: x, where the series is not taken */
    L far;
} student_df_t;
ALWAYS_INLINE student_df_t student_df(D nu) {
    const D one = d_set(1), x = d_set(0.5) * nu, v = one / x;
    const L far = x > d_set(25);
    return (student_df_t){v, v * v, d_select((x > d_set(0)) & ~far, x, one), far};
}
ALWAYS_INLINE D student_constant_of(D nu) {
    const student_df_t s = student_df(nu);
    const D one = d_set(1), half = d_set(0.5), log_root = d_set(0.91893853320467274178), x = s.near, w = s.w;
    const D near = d_lgamma(x) - d_lgamma(x + half) + half * pair_log_of(x).hi + log_root;
    const D tail =
        s.v * (one / 8 - w * (one / 192 - w * (one / 640 - w * (d_set(17. / 14336) - w * d_set(31. / 18432)))));
    return d_select(s.far, log_root + tail, near);
}
ALWAYS_INLINE D student_slope_of(D nu) {
    const student_df_t s = student_df(nu);
    const D one = d_set(1), half = d_set(0.5), x = s.near, w = s.w;
    const D near = half * (d_digamma(x) - d_digamma(x + half) + half / x);
    const D tail = -w * (one / 8 - w * (one / 64 - w * (one / 128 - w * (d_set(17. / 2048) - w * d_set(31. / 2048)))));
    return d_select(s.far, half * tail, near);
}
CALLED_ONCE V student_constant(V df) {
    D nu[DPARTS];
    v_widen(df, nu);
    for (int d = 0; d < DPARTS; d++) nu[d] = student_constant_of(nu[d]);
    return v_narrow(nu);
}
CALLED_ONCE V student_constant_by_df(V df) {
    D nu[DPARTS];
    v_widen(df, nu);
    for (int d = 0; d < DPARTS; d++) nu[d] = student_slope_of(nu[d]);
    return v_narrow(nu);
}
/* With t = q^2/df; q and df are scaled together where q^2 would overflow, or underflow beside a df as small. */
ALWAYS_INLINE V student_unit(V q, V df) {
    const double step = sizeof(REAL) == 4 ? 0x1p65 : 0x1p513;
    const M large = q > v_set(0x1p40), little = (q < v_set(0x1p-40)) & (df < v_set(0x1p-20));
    if (!m_any(large | little)) return v_one();
    return v_select(large, v_set(1 / step), v_select(little, v_set(step), v_one()));
}
ELEMENTWISE(student_t_nll) {
    const scaled_t s = scaled_residual(in, u);
    const V one = v_one(), half = v_set(0.5), df = in[STUDENT_DF], more = df + one;
    const int full = IS(p[STUDENT_FULL]);
    const V unit = student_unit(v_abs(s.q), df), q = s.q * unit, d = df * unit * unit;
    const V square = q * q, share = one / (d + square), t = q * (q / d), log_scale = v_log(in[SCALE]);
    const M far = t > v_set(sizeof(REAL) == 4 ? 0x1p30 : 0x1p60);
    const V part = v_select(far, one, square * share);
    V log = v_log1p(t);
    /* 1 - (df + 1) q^2/(df + q^2) */
    const V rest = v_select(v_abs(s.q) > v_set(4), d * share - df * part, d * share * (one - s.q * s.q));
    const V pull = more * unit * share, slope = pull * q, curve = pull * unit * ((d - square) * share);
    u->outside |= (df <= v_zero()) | (df == v_set(INFINITY));
    scale_unit(&s, half * more * log, slope, curve, rest, in, u);
    if (m_any(far)) {
        const V far_log = 2 * (log_residual(&s) - log_scale) - v_log(df);
        log = v_select(far, far_log, log);
        heavy_tail(&s, far, more, half * more * far_log + log_scale, u);
    }
    u->value = v_nan_from(u->value, s.r);
    /* ln(1 + t) - t/(1 + t), and by how much less the numerator's t/(1 + t)/df makes it */
    const V gap = v_select(part < v_set(0.25), -log_tail(-part), log - part);
    const V less = v_select(far, one / df, q * share * unit * (q / d * unit));
    u->grad[STUDENT_DF] = v_nan_from(half * (gap - less), s.r);
    if (full) {
        u->value += student_constant(df);
        u->grad[STUDENT_DF] += student_constant_by_df(df);
    }
}

/* ---- Positive quantities ------------------------------------------------------------------------------------------
 */

#define MEAN_INPUTS                                                                                                    \
    INPUT("pred", REAL, 1, "logarithm of the mean, or the mean with log_input=false"),                                 \
        INPUT("target", POSITIVE, 0, "positive number")
#define PARAM_LOG_INPUT PARAM_BOOL("log_input", "true", "pred is the logarithm of the mean")
enum { MEAN_LOG_INPUT };

/* The gamma distribution of a given shape, per shape; the exponential one: y/m + ln m, m the mean. */
DEFINE(gamma_nll) = {
    LOSS(gamma_nll),
    .aliases = "exponential_nll",
    .family = "likelihood",
    .summary = "Negative log-likelihood of positive numbers, gamma or exponential, of a given mean.",
    .formula = "pred + target exp(-pred); with log_input=false: log(pred) + target / pred",
    .latex = "z + y e^{-z}",
    .tasks = "regression",
    .see_also = "inverse_gaussian_nll, poisson_nll, itakura_saito",
    .look_alikes = "scikit-learn: HalfGammaLoss: the same\n"
                   "XGBoost: reg:gamma: gradient and Hessian of reduction=sum\n"
                   "LightGBM: gamma: gradient and Hessian of reduction=sum",
    .source = "P. McCullagh, J. Nelder, Generalized Linear Models, 1989",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {MEAN_INPUTS},
    .params = {PARAM_LOG_INPUT},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT | FISHER,
    .link = LOSSFN__LINK_LOG,
    .link_when = "log_input",
    .ulp_value = 4,
    .ulp_grad = 4,
    .ulp_hess = 4,
};
ELEMENTWISE(gamma_nll) {
    const V z = in[PRED], y = in[TARGET], one = v_one(), zero = v_zero(), infinity = v_set(INFINITY);
    u->outside = (y <= zero) | (y == infinity);
    u->grad[TARGET] = zero;
    if (IS(p[MEAN_LOG_INPUT])) {
        const M wide = v_abs(z) > v_set(EXP_SQUARED); /* there the product may be neither 0 nor infinite */
        V scaled = y * v_exp(-z);
        if (m_any(wide)) {
            const V e = v_exp(v_set(-0.5) * z);
            scaled = v_select(wide, y * e * e, scaled);
        }
        u->value = v_select(scaled == infinity, scaled, z + scaled);
        u->grad[PRED] = one - scaled;
        u->hess = WANTS(FISHER, p) ? v_nan_from(one, z) : scaled;
    } else {
        u->outside |= z < zero;
        const V q = y / z, back = one / z, over = (z - y) / z, bend = v_fma(v_set(2), q, -one);
        u->value = v_select(z == zero, infinity, v_log(z) + q);
        u->grad[PRED] = v_where((over != zero) & (z != infinity), over * back); /* 1/z may be infinite */
        if (m_any(back == infinity))
            u->grad[PRED] = v_select((back == infinity) & (z != zero), over / z, u->grad[PRED]);
        u->hess = WANTS(FISHER, p) ? v_where(z != infinity, back * back)
                                   : v_where((bend != zero) & (z != infinity), bend * back * back);
    }
}

/* The inverse Gaussian distribution, half its deviance: (y - m)^2/(2 y m^2), m the mean. */
DEFINE(inverse_gaussian_nll) = {
    LOSS(inverse_gaussian_nll),
    .aliases = "inverse_gaussian_deviance",
    .family = "likelihood",
    .summary = "Half the deviance of an inverse Gaussian distribution of a given mean.",
    .formula = "(target / m - 1)^2 / (2 target);  m = exp(pred), or pred with log_input=false",
    .latex = "\\frac{(y/m - 1)^2}{2 y}",
    .tasks = "regression",
    .see_also = "gamma_nll, gaussian_nll",
    .look_alikes = "scikit-learn: HalfTweedieLoss(power=3): up to a constant of the target",
    .source = "M. Tweedie, Statistical properties of inverse Gaussian distributions, Ann. Math. Statist. 28, 1957",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {MEAN_INPUTS},
    .params = {PARAM_LOG_INPUT},
    .traits = LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT | FISHER,
    .link = LOSSFN__LINK_LOG,
    .link_when = "log_input",
    .ulp_value = 5,
    .ulp_grad = 5,
    .ulp_hess = 6,
};
ELEMENTWISE(inverse_gaussian_nll) {
    const V z = in[PRED], y = in[TARGET], one = v_one(), zero = v_zero(), half = v_set(0.5);
    u->outside = (y <= zero) | (y == v_set(INFINITY));
    u->grad[TARGET] = zero;
    if (IS(p[MEAN_LOG_INPUT])) {
        V rest, t = log_less(y, z, &rest);
        const M near = v_abs(t) < v_set(0.5); /* there y/m - 1 would cancel */
        const V back = v_exp(-z), q = y * back, less = v_expm1(t), over = v_select(near, v_fma(rest, q, less), q - one);
        u->value = half * (over / y) * over;
        u->grad[PRED] = -(back * over);
        u->hess = WANTS(FISHER, p) ? back : back * (2 * q - one);
    } else {
        u->outside |= z < zero;
        const V back = one / z, q = y / z, over = v_select(z == v_set(INFINITY), v_set(-1), (y - z) / z);
        u->value = half * (over / y) * over;
        u->grad[PRED] = v_where(over != zero, -(over * back * back)); /* 1/z may be infinite */
        u->hess = WANTS(FISHER, p) ? back * back * back : v_fma(v_set(3), q, v_set(-2)) * back * back * back;
    }
}

enum { LOGNORMAL_FULL = 1 };
/* Galton (1879), McAlister: ln y is normal: q^2/2 + ln s [+ ln y + ln(2 pi)/2], q = (ln y - pred)/s. */
DEFINE(lognormal_nll) = {
    LOSS(lognormal_nll),
    .aliases = "",
    .family = "likelihood",
    .summary = "Negative log-likelihood of a lognormal distribution: the logarithm is normal.",
    .formula = "q^2/2 + log(scale);  q = (pred - log(target)) / scale  [+ log(target) + log(2 pi)/2 with full]",
    .latex = "\\tfrac12 q^2 + \\ln s,\\quad q = (z - \\ln y)/s \\quad[+ \\ln y + \\tfrac12\\ln 2\\pi]",
    .tasks = "positive",
    .see_also = "gaussian_nll, msle, weibull_nll",
    .look_alikes = "SciPy: scipy.stats.lognorm: s is scale, its scale exp(pred); with full=true",
    .source = "N. Johnson, S. Kotz, N. Balakrishnan, Continuous Univariate Distributions 1, 1994",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .link = LOSSFN__LINK_LOG,
    .n_inputs = 3,
    .n_params = 2,
    .inputs = {INPUT("pred", REAL, 1, "mean of the logarithm"), INPUT("target", POSITIVE, 1, "positive number"),
               LEARNABLE("scale", POSITIVE, 1, "standard deviation of the logarithm, greater than 0")},
    .params = {PARAM_SCALE, PARAM_FULL},
    .traits = LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX |
              LOSSFN_TRAIT_STRONGLY_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT,
    .ulp_value = 3,
    .ulp_grad = 3.5, /* by the scale: the square of a quotient */
    .ulp_hess = 1.5,
};
ELEMENTWISE(lognormal_nll) {
    const V y = in[TARGET], scale = in[SCALE], one = v_one(), half = v_set(0.5), zero = v_zero();
    u->outside = (y <= zero) | (y == v_set(INFINITY)) | (scale <= zero) | (scale == v_set(INFINITY));
    V rest, t = log_less(y, in[PRED], &rest);
    const V r = v_nan_from(-(t + rest), y);
    const M large = y > one, wide = scale > one; /* what to divide by first, not to overflow */
    const V q = r / scale, slope = q / scale;
    u->value = v_fma(half * q, q, v_log(scale));
    u->grad[PRED] = slope;
    const V part = r / y;
    const M faint = v_abs(v_select(large, part, slope)) < v_set(SMALLEST_NORMAL); /* the quotient need not be */
    V by_target = v_select(large, part / scale / scale, slope / y);
    if (m_any(faint)) {
        V f, k = log_split(y, &f);
        by_target = v_select(faint, v_over(r / (one + f), -k, scale, 2), by_target);
    }
    u->grad[TARGET] = -by_target;
    u->grad[SCALE] = v_select(wide, v_fma(-q, slope, one / scale), v_fma(-q, q, one) / scale);
    u->hess = v_nan_from(one / scale / scale, r);
    if (IS(p[LOGNORMAL_FULL])) {
        u->value += v_log(y) + v_set(0.918938533204672741780);
        u->grad[TARGET] = v_select(large, one / y - by_target, (one - slope) / y);
    }
}

enum { WEIBULL_SHAPE = 2, WEIBULL_FULL = 1 };
/* Weibull (1951): e^u - u - ln k [+ ln y], u = k (ln y - pred). */
DEFINE(weibull_nll) = {
    LOSS(weibull_nll),
    .aliases = "",
    .family = "likelihood",
    .summary = "Negative log-likelihood of a Weibull distribution; the exponential one at shape 1.",
    .formula = "exp(u) - u - log(shape);  u = shape (log(target) - pred)  [+ log(target) with full]",
    .latex = "e^u - u - \\ln k,\\quad u = k (\\ln y - z) \\quad[+ \\ln y]",
    .tasks = "positive",
    .see_also = "gumbel_nll, gamma_nll, lognormal_nll",
    .look_alikes = "SciPy: scipy.stats.weibull_min: c is shape, scale is exp(pred); with full=true",
    .source = "W. Weibull, A statistical distribution function of wide applicability, J. Appl. Mech. 18, 1951",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .link = LOSSFN__LINK_LOG,
    .n_inputs = 3,
    .n_params = 2,
    .inputs = {INPUT("pred", REAL, 1, "logarithm of the scale"), INPUT("target", POSITIVE, 1, "positive number"),
               LEARNABLE("shape", POSITIVE, 1, "greater than 0")},
    .params = {PARAM_LEARNABLE("shape", "1", 0, 1, INFINITY, 1, "shape, greater than 0"), PARAM_FULL},
    .traits = LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX |
              LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT,
    .ulp_value = 3,
    .ulp_grad = 4,
    .ulp_hess = 4,
};
ELEMENTWISE(weibull_nll) {
    const V y = in[TARGET], k = in[WEIBULL_SHAPE], zero = v_zero(), infinity = v_set(INFINITY);
    u->outside = (y <= zero) | (y == infinity) | (k <= zero) | (k == infinity);
    V rest, r = v_nan_from(log_less(y, in[PRED], &rest), y);
    const V t = k * (r + rest), t_rest = v_where(v_isfinite(t), v_fma(k, r, -t) + k * rest);
    const M wide = v_abs(t) > v_set(EXP_SQUARED);
    const V half = v_select(wide, v_set(0.5), v_one()), root = v_exp_parts(half * t, half * t_rest);
    const V e = v_select(wide, root * root, root), less = v_fma(t_rest, e, v_expm1(t));
    const M huge = e == infinity;
    const V slope = v_select(huge, e, less);
    u->value = v_select(huge, e, e - t) - v_log(k);
    u->grad[PRED] = -(k * slope);
    /* ln y counts 1 - k times with full, 0 in the exponential distribution: k (e - 1) + 1 cancels where e is small */
    const int full = IS(p[WEIBULL_FULL]);
    const V one = v_one(), less_k = one - k;
    const M deep = full ? t < v_set(-0.5) : m_none();
    const V most = v_select(deep, e, slope), extra = full ? v_select(deep, less_k, one) : zero;
    u->grad[TARGET] = v_select(y > one, v_fma(k, most / y, extra / y), v_fma(k, most, extra) / y);
    const M far = huge | m_and(deep, e < v_set(SMALLEST_NORMAL / DBL_EPSILON));
    if (m_any(far)) /* e/y may be finite, and have all its digits */
        u->grad[TARGET] =
            v_select(far, v_fma(k, v_exp_over(t, t_rest, y, 1), v_where(deep, extra / y)), u->grad[TARGET]);
    u->grad[WEIBULL_SHAPE] = v_fma(r + rest, slope, v_set(-1) / k);
    u->hess = v_select(wide, (k * root) * (k * root), k * (k * e));
    if (full) {
        const V log = v_log(y),
                linear = v_select(v_abs(less_k) <= v_set(0.5), v_fma(k, in[PRED], less_k * log), log - t);
        u->value = v_select(huge, u->value + log, (e + linear) - v_log(k));
    }
}

enum { TWEEDIE_POWER = 1 };
static void tweedie_setup(const double *params, double *constants) {
    constants[MEAN_LOG_INPUT] = params[MEAN_LOG_INPUT];
    set_finely(params[TWEEDIE_POWER], constants + TWEEDIE_POWER);
}
/* Tweedie's distributions, half their deviance: the integral from y to m of (t - y) t^-w, m the mean, w the power. */
DEFINE(tweedie_nll) = {
    LOSS(tweedie_nll),
    .aliases = "",
    .family = "likelihood",
    .summary = "Half the deviance of Tweedie's distributions, continuous in their power: what is positive or 0.",
    .formula = "m^(2-w)/(2-w) - target m^(1-w)/(1-w) + target^(2-w)/((1-w)(2-w)), or its limit;  w = power, "
               "m = exp(pred), or pred with log_input=false",
    .latex = "\\frac{m^{2-w}}{2-w} - \\frac{y\\,m^{1-w}}{1-w} + \\frac{y^{2-w}}{(1-w)(2-w)}",
    .tasks = "positive, counts",
    .see_also = "poisson_nll, gamma_nll, inverse_gaussian_nll",
    .look_alikes = "scikit-learn: HalfTweedieLoss: up to a constant of the target\n"
                   "scikit-learn: HalfTweedieLossIdentity: log_input=false, up to a constant of the target\n"
                   "scikit-learn: mean_tweedie_deviance: log_input=false, twice this, reduction=mean\n"
                   "XGBoost: reg:tweedie: gradient and Hessian of reduction=sum\n"
                   "LightGBM: tweedie: gradient and Hessian of reduction=sum",
    .source = "B. Jorgensen, The Theory of Dispersion Models, 1997",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 2,
    .inputs = {INPUT("pred", REAL, 1, "logarithm of the mean, or the mean with log_input=false"),
               INPUT("target", COUNT, 0, "at least 0; greater than 0 if the power is 2 or more")},
    .params = {PARAM_LOG_INPUT, PARAM_DOUBLE("power", "1.5", -INFINITY, 1, INFINITY, 1,
                                             "variance is mean^power; a target of 0 needs a power below 2")},
    .traits = LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT | FISHER,
    .link = LOSSFN__LINK_LOG,
    .link_when = "log_input",
    .ulp_value = 2,
    .ulp_grad = 2,
    .ulp_hess = 3,
    .setup = tweedie_setup,
};
IN_DOUBLE(tweedie_nll, 2) {
    const int by = IS(p[MEAN_LOG_INPUT]) ? DEVIANCE_BY_LOG : DEVIANCE_BY_MEAN;
    const pair order = pair_sum_of(d_set(2), d_set(-finely(p + TWEEDIE_POWER)));
    const deviance_t d = d_power_deviance(in[PRED], in[TARGET], order, by, WANTS_HESS(u));
    u->value = d.value, u->grad[PRED] = d.slope, u->hess = WANTS(FISHER, p) ? d.expected : d.curve;
}
/* Of power 3/2 by the logarithm: with h = e^(z/2) and s = sqrt y, 2 (h - s)^2/h. Single precision does not see what the
 * difference loses in double. */
IN_DOUBLE(tweedie_nll_by_roots, 2) {
    const D half = d_set(0.5), y = in[TARGET], s = f64_sqrt(y);
    pair e;
    const D n = pair_exp(pair_of(d_between(in[PRED], -800, 800) * half, d_set(0)), &e); /* beyond, 0 or infinite */
    const D power = d_power_of_two(n), h = d_fma(e.hi, power, power), back = d_set(1) / h, less = h - s;
    u->value = 2 * less * (less * back);
    u->grad[PRED] = less * ((h + s) * back);
    u->hess = WANTS(FISHER, p) ? h : half * d_fma(y, back, h);
}
ELEMENTWISE(tweedie_nll) {
    const V y = in[TARGET], zero = v_zero();
    u->outside = (y < zero) | (y == v_set(INFINITY));
    if (finely(p + TWEEDIE_POWER) >= 2) u->outside |= y == zero; /* float makes 2 of what is less */
    if (!IS(p[MEAN_LOG_INPUT])) u->outside |= in[PRED] < zero;
    if (sizeof(REAL) == 4 && IS(p[MEAN_LOG_INPUT]) && finely(p + TWEEDIE_POWER) == 1.5)
        tweedie_nll_by_roots_in_double(in, p, u);
    else
        tweedie_nll_in_double(in, p, u);
}

enum { FAILURES = 2, BINOMIAL_FULL = 0 };
/* Bernoulli (1713): y ln(1 + exp -z) + f ln(1 + exp z) [- ln C(y + f, y)]: y successes, f failures. */
DEFINE(binomial_nll) = {
    LOSS(binomial_nll),
    .aliases = "",
    .family = "likelihood",
    .summary = "Negative log-likelihood of so many successes and so many failures.",
    .formula =
        "target log(1 + exp(-pred)) + failures log(1 + exp(pred))  [- log C(target + failures, target) with full]",
    .latex = "y \\ln(1 + e^{-z}) + f \\ln(1 + e^z) \\quad[- \\ln \\tbinom{y+f}{y}]",
    .tasks = "counts, binary",
    .see_also = "bce_with_logits, poisson_nll",
    .look_alikes = "SciPy: scipy.stats.binom: p is sigmoid(pred), n is target + failures; with full=true\n"
                   "statsmodels: Binomial: its two columns are target and failures; with full=true",
    .source = "J. Bernoulli, Ars conjectandi, 1713",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 3,
    .n_params = 1,
    .inputs = {INPUT("pred", LOGITS, 1, "log-odds of a success"), INPUT("target", COUNT, 0, "successes, at least 0"),
               INPUT("failures", COUNT, 0, "at least 0")},
    .params = {PARAM_FULL},
    .traits = LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT,
    .link = LOSSFN__LINK_LOGIT,
    .ulp_value = 3,
    .ulp_grad = 4,
    .ulp_hess = 5, /* the sum of the counts, an exponential and four products */
};
OUT_OF_LINE void log_choose(const V *k, const V *rest, V *value) {
    *value = v_lgamma1p(*k + *rest) - v_lgamma1p(*k) - v_lgamma1p(*rest);
}
/* Of counts that are not small: the deviance and what is left of Stirling's formula for each factorial; the logarithm
 * of the number of ways grows with the counts and cancels what the others have. With q the share of the smaller count
 * and x how far its log-odds are from the predicted ones, the deviance is n (ln(1 - q + q e^x) - q x). */
IN_DOUBLE(binomial_full, 3) {
    (void)p;
    const D y = in[TARGET], f = in[FAILURES], zero = d_set(0);
    const L swap = y > f;
    const D few = d_select(swap, f, y), many = d_select(swap, y, f), z = d_select(swap, -in[PRED], in[PRED]);
    const pair n = pair_sum_of(few, many), log_few = pair_log_of(few), log_many = pair_log_of(many);
    const pair log_n = pair_log_of(n.hi), odds = pair_sum(log_few, pair_of(-log_many.hi, -log_many.lo));
    const pair x = pair_sum(pair_of(z, zero), pair_of(-odds.hi, -odds.lo));
    pair e;
    const D scale = d_power_of_two(pair_exp(x, &e)), k = few * scale; /* |x| is not large */
    const pair grown = pair_sum(pair_of(k, zero), pair_product(pair_of(k, zero), e));
    const pair more = pair_quotient(pair_sum(grown, pair_of(-few, zero)), n),
               linear = pair_product(pair_of(few, zero), x);
    const D deviance = pair_sum(pair_product(n, pair_log1p(more)), pair_of(-linear.hi, -linear.lo)).hi;
    const D root = pair_sum(log_many, pair_of(-log_n.hi, -log_n.lo)).hi;
    const D rest = stirling_rest(many, log_many, 0.5) - stirling_rest(n.hi, log_n, 0.5);
    u->value = d_at_least(deviance, 0) + (stirling_rest(few, log_few, 0) + d_fma(d_set(0.5), root, rest));
}
ELEMENTWISE(binomial_nll) {
    const V z = in[PRED], y = in[TARGET], f = in[FAILURES], zero = v_zero(), one = v_one(), a = v_abs(z), all = y + f;
    const M up = z > zero, wide = a > v_set(EXP_SQUARED); /* there a product with exp(-|z|) may be more than that */
    u->outside = (v_lesser(y, f) < zero) | (all == v_set(INFINITY));
    const V root = v_exp_minus(v_select(wide, v_set(0.5) * a, a)), again = v_select(wide, root, one), e = root * again;
    const V share = one / (one + e), against = v_select(up, f, y), with = v_select(up, y, f);
    const V slope = v_fma(against, share, -(with * share * root * again));
    u->value = v_select(wide, all * root * root, all * v_log1p_unit(e)) + v_select(against == zero, zero, against * a);
    u->grad[PRED] = v_select(up, slope, -slope);
    u->grad[TARGET] = u->grad[FAILURES] = zero;
    u->hess = all * share * share * root * again;
    if (IS(p[BINOMIAL_FULL])) {
        V ways;
        log_choose(&y, &f, &ways);
        u->value -= ways;
        const V odds = v_log(v_select(f > zero, y / f, one)); /* far from what is predicted no terms cancel */
        const V least = v_set(0.125);
        const M both = (y >= least) & (f >= least) & (all < v_set(INFINITY)) & (v_abs(z - odds) < v_set(30));
        if (m_any(both)) {
            const V counts[] = {v_where(both, z), v_select(both, y, one), v_select(both, f, one)};
            unit_t full = {.want = LOSSFN__WANT_VALUE};
            binomial_full_in_double(counts, p, &full);
            u->value = v_select(both, full.value, u->value);
        }
    }
}

#define PARAM_DISPERSION PARAM_DOUBLE("dispersion", "1", 0, 0, INFINITY, 1, "variance is mean + dispersion mean^2")
enum { NB_DISPERSION };
/* Negative binomial of mean m and variance m + a m^2: (1/a + y) ln(1 + a m) - y ln m; at a = 0 Poisson's. */
DEFINE(negative_binomial_nll) = {
    LOSS(negative_binomial_nll),
    .aliases = "",
    .family = "likelihood",
    .summary = "Negative log-likelihood of counts that vary more than Poisson's.",
    .formula = "(1/a + target) log(1 + a exp(pred)) - target pred;  a = dispersion",
    .latex = "(\\tfrac1a + y)\\ln(1 + a e^{z}) - y z",
    .tasks = "counts",
    .see_also = "poisson_nll",
    .look_alikes = "statsmodels: NegativeBinomial (NB2): alpha is dispersion, up to constants of the target",
    .source = "J. Hilbe, Negative Binomial Regression, 2011",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {INPUT("pred", REAL, 1, "logarithm of the mean"), INPUT("target", COUNT, 0, "count, at least 0")},
    .params = {PARAM_DISPERSION},
    .traits = LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT | FISHER,
    .link = LOSSFN__LINK_LOG,
    .ulp_value = 4,
    .ulp_grad = 4,
    .ulp_hess = 5,
};
ELEMENTWISE(negative_binomial_nll) {
    const V z = in[PRED], y = in[TARGET], one = v_one(), zero = v_zero(), a = p[NB_DISPERSION],
            infinity = v_set(INFINITY);
    u->outside = (y < zero) | (y == infinity);
    const M none = a == zero, up = z > zero, wide = v_abs(z) > v_set(EXP_SQUARED);
    const V root = v_exp_minus(v_select(wide, v_set(0.5) * v_abs(z), v_abs(z))), again = v_select(wide, root, one);
    const V e = root * again, sum = v_select(up, e + a, one + a * e); /* exp(-|z|); 1 + a m, over m where z > 0 */
    const V share = v_select(none, one, v_select(up, e, one) / sum), mean = v_exp(z);
    const V kept = v_select(none, mean, v_select(up, one, e) / sum); /* m/(1 + a m) */
    /* ln(1 + a m), and less z: where they would cancel of ln(a + e^-z) itself */
    V lost, f, high = two_sum(e, a, &lost);
    const V t = a * mean, quarter = v_set(0.25);
    const M apart = up & m_not(none) & ((t == infinity) | ((t > one) & (a * a > e)));
    const V k = log_split(v_select(apart, high, t + one), &f), scale = power_of_two(v_set(2) - k);
    const V straight = v_fma(scale, t * quarter, v_fma(scale, quarter, -one)), turned = f + v_where(k == zero, lost);
    V found = log_natural(v_select(apart, high, t + one), k, v_select(apart, turned, straight));
    found = v_select(m_not(apart) & (t < v_set(NEGLIGIBLE)), t, found);
    const V log = v_where(m_not(none), v_select(apart, found + z, found)), less = v_select(apart, found, log - z);
    const V most = v_select(none, mean, log / a);
    u->value = v_select(most == infinity, most, most + v_select(y == zero, zero, y * less));
    const V excess = v_select(up & m_not(none), v_fma(-y, e, one) / sum, (mean - y) * share);
    u->grad[PRED] = v_select(y == zero, kept, excess);
    u->grad[TARGET] = zero;
    u->hess = WANTS(FISHER, p) ? kept : v_select(none, mean, v_fma(a, y, one) / sum * root * again / sum);
}

/* ---- Counts with extra zeros: a share sigmoid(gate) of units is 0 whatever their mean is ---- */

#define GATE_INPUT INPUT("gate", LOGITS, 1, "log-odds that a unit is 0 whatever its mean is")
enum { GATE = 2 };
enum { ZERO_INFLATED_DISPERSION = 3 }; /* beside the inputs */
IN_DOUBLE(zero_inflated, 4) {
    const zeros_t d = d_zero_inflated(in[PRED], in[TARGET], in[GATE], in[ZERO_INFLATED_DISPERSION], WANTS_HESS(u));
    (void)p;
    u->value = d.value, u->grad[PRED] = d.by_z, u->grad[GATE] = d.by_g, u->hess = d.hess;
}
ALWAYS_INLINE void zero_inflated(const V *in, V dispersion, unit_t *u) {
    const V all[] = {in[PRED], in[TARGET], in[GATE], dispersion};
    zero_inflated_in_double(all, NULL, u);
    u->outside = (in[TARGET] < v_zero()) | (in[TARGET] == v_set(INFINITY));
}
#define ZERO_INFLATED_FORMULA(rest)                                                                                    \
    "log(1 + exp(gate)) + (" rest " if target > 0, else -log(exp(gate) + p));  p: the probability of 0 without the "   \
    "gate"

/* Lambert (1992). */
DEFINE(zero_inflated_poisson_nll) = {
    LOSS(zero_inflated_poisson_nll),
    .aliases = "zip_nll",
    .family = "likelihood",
    .summary = "Negative log-likelihood of counts with more zeros than Poisson's.",
    .formula = ZERO_INFLATED_FORMULA("exp(pred) - target pred"),
    .latex = "\\ln(1 + e^g) + \\begin{cases} e^z - y z & y > 0 \\\\ -\\ln(e^g + e^{-e^z}) & y = 0 \\end{cases}",
    .tasks = "counts",
    .see_also = "poisson_nll, zero_inflated_negative_binomial_nll",
    .look_alikes = "statsmodels: ZeroInflatedPoisson: gate is its inflation model, up to constants of the target",
    .source = "D. Lambert, Zero-inflated Poisson regression, Technometrics 34, 1992",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 3,
    .n_params = 0,
    .inputs = {INPUT("pred", REAL, 1, "logarithm of the rate"), INPUT("target", COUNT, 0, "count, at least 0"),
               GATE_INPUT},
    .traits = LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT,
    .link = LOSSFN__LINK_LOG,
    .ulp_value = 3,
    .ulp_grad = 3,
    .ulp_hess = 6,
};
ELEMENTWISE(zero_inflated_poisson_nll) {
    (void)p;
    zero_inflated(in, v_zero(), u);
}

/* Greene (1994). */
DEFINE(zero_inflated_negative_binomial_nll) = {
    LOSS(zero_inflated_negative_binomial_nll),
    .aliases = "zinb_nll",
    .family = "likelihood",
    .summary = "Negative log-likelihood of counts that vary more than Poisson's and have more zeros.",
    .formula = ZERO_INFLATED_FORMULA("(1/a + target) log(1 + a exp(pred)) - target pred") ", a = dispersion",
    .latex = "\\ln(1 + e^g) + \\begin{cases} (\\tfrac1a + y)\\ln(1 + a e^z) - y z & y > 0 \\\\ "
             "-\\ln(e^g + (1 + a e^z)^{-1/a}) & y = 0 \\end{cases}",
    .tasks = "counts",
    .see_also = "negative_binomial_nll, zero_inflated_poisson_nll",
    .look_alikes =
        "statsmodels: ZeroInflatedNegativeBinomialP(p=2): gate is its inflation model, alpha is dispersion, up to "
        "constants of the target",
    .source = "W. Greene, Accounting for excess zeros and sample selection in Poisson and negative binomial regression "
              "models, 1994",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 3,
    .n_params = 1,
    .inputs = {INPUT("pred", REAL, 1, "logarithm of the mean"), INPUT("target", COUNT, 0, "count, at least 0"),
               GATE_INPUT},
    .params = {PARAM_DISPERSION},
    .traits = LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT,
    .link = LOSSFN__LINK_LOG,
    .ulp_value = 3,
    .ulp_grad = 3,
    .ulp_hess = 6,
};
ELEMENTWISE(zero_inflated_negative_binomial_nll) { zero_inflated(in, p[NB_DISPERSION], u); }

#define CONCENTRATION 2
/* von Mises (1918): -k cos(r) + ln I0(k) [+ ln 2 pi], as k (1 - cos r) + (ln I0(k) - k). */
DEFINE(von_mises_nll) = {
    LOSS(von_mises_nll),
    .aliases = "",
    .family = "likelihood",
    .summary = "Negative log-likelihood of angles: the normal distribution's like on the circle.",
    .formula = "-concentration cos(pred - target) + log I0(concentration)  [+ log(2 pi) with full]",
    .latex = "-\\kappa \\cos(p - y) + \\ln I_0(\\kappa) \\quad[+ \\ln 2\\pi]",
    .tasks = "angles",
    .see_also = "periodic, gaussian_nll",
    .look_alikes = "SciPy: scipy.stats.vonmises: kappa is concentration; with full=true\n"
                   "PyTorch: VonMises(loc, concentration): the same, with full=true",
    .source = "R. von Mises, Ueber die Ganzzahligkeit der Atomgewichte, Phys. Z. 19, 1918",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 3,
    .n_params = 2,
    .inputs = {INPUT("pred", REAL, 1, "angle in radians"), INPUT("target", REAL, 1, "angle in radians"),
               LEARNABLE("concentration", POSITIVE, 1, "at least 0, where all angles are as likely")},
    .params = {PARAM_LEARNABLE("concentration", "1", 0, 0, INFINITY, 1, "at least 0"), PARAM_FULL},
    .traits = LOSSFN_TRAIT_DISTANCE | LOSSFN_TRAIT_SYMMETRIC | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 1,
    .hess_kinds = EXACT,
    .ulp_value = 5, /* the square of a sine of 0.85 ulp, which may be turned, times the concentration */
    .ulp_grad = 3,
    .ulp_hess = 3,
};
CALLED_ONCE V von_mises_log(V k) { return v_log_i0(k); }
CALLED_ONCE V von_mises_rest(V k) { return v_i1_rest(k); }
/* Of the little that rounding took from an angle; after many turns it is no small angle. */
#define SINE_IS_ANGLE (sizeof(REAL) == 4 ? 0x1p-13 : 0x1p-28)
ALWAYS_INLINE void little_sincos(V x, V *sine, V *cosine) {
    *sine = x, *cosine = v_one();
    if (m_any(v_abs(x) > v_set(SINE_IS_ANGLE))) v_sincos(x, sine, cosine);
}
ELEMENTWISE(von_mises_nll) {
    const V k = in[CONCENTRATION], half = v_set(0.5), zero = v_zero(), infinity = v_set(INFINITY);
    V lost, r = two_sum(in[PRED], -in[TARGET], &lost), sine, cosine, half_sine, half_cosine;
    V lost_sine, lost_cosine, lost_half_sine, lost_half_cosine;
    const V log = von_mises_log(k), rest = von_mises_rest(k);
    u->outside = (k < zero) | (k == infinity) | (v_abs(in[PRED]) == infinity) | (v_abs(in[TARGET]) == infinity);
    lost = v_where(v_isfinite(lost), lost);
    const M beyond = v_abs(r) == infinity; /* then both angles are the parts */
    r = v_select(beyond, in[PRED], r), lost = v_select(beyond, -in[TARGET], lost);
    v_sincos(half * r, &half_sine, &half_cosine);
    little_sincos(half * lost, &lost_half_sine, &lost_half_cosine);
    half_sine = v_fma(half_sine, lost_half_cosine, half_cosine * lost_half_sine);
    const V versine = 2 * half_sine * half_sine;
    u->value = v_fma(k, versine, log);
    if (IS(p[SCALE_FULL])) u->value += v_set(1.83787706640934548356);
    if (u->want == LOSSFN__WANT_VALUE) return;
    v_sincos(r, &sine, &cosine);
    little_sincos(lost, &lost_sine, &lost_cosine);
    u->grad[PRED] = k * v_fma(sine, lost_cosine, cosine * lost_sine);
    u->grad[TARGET] = -u->grad[PRED];
    u->grad[CONCENTRATION] = versine - rest;
    u->hess = k * v_fma(cosine, lost_cosine, -(sine * lost_sine));
}

/* Ferrari and Cribari-Neto (2004): with m = sigmoid(z), a = m c, b = (1 - m) c, the beta distribution of a and b. */
DEFINE(beta_nll) = {
    LOSS(beta_nll),
    .aliases = "",
    .family = "likelihood",
    .summary =
        "Negative log-likelihood of shares between 0 and 1: the beta distribution of a mean and a concentration.",
    .formula = "log Gamma(a) + log Gamma(b) - log Gamma(c) - (a - 1) log(target) - (b - 1) log(1 - target);  "
               "m = sigmoid(pred), a = m c, b = (1 - m) c, c = concentration",
    .latex =
        "\\ln\\Gamma(a) + \\ln\\Gamma(b) - \\ln\\Gamma(c) - (a - 1)\\ln y - (b - 1)\\ln(1 - y),\\quad a = \\sigma(z) c",
    .tasks = "regression",
    .see_also = "bce_with_logits, binomial_nll",
    .look_alikes = "statsmodels: BetaModel: its precision is concentration\n"
                   "SciPy: scipy.stats.beta: a = m c, b = (1 - m) c\n"
                   "beta-NLL of Seitzer et al.: not this: gaussian_nll with variance^beta as weight",
    .source =
        "S. Ferrari, F. Cribari-Neto, Beta regression for modelling rates and proportions, J. Appl. Stat. 31, 2004",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 3,
    .n_params = 1,
    .inputs = {INPUT("pred", LOGITS, 1, "log-odds of the mean"), INPUT("target", PROBABILITY, 0, "between 0 and 1"),
               LEARNABLE("concentration", POSITIVE, 1, "greater than 0: the larger, the nearer to the mean")},
    .params = {PARAM_LEARNABLE("concentration", "10", 0, 1, INFINITY, 1, "greater than 0")},
    .traits = LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT | FISHER,
    .link = LOSSFN__LINK_LOGIT,
    .ulp_value = 5, /* sums of seven terms */
    .ulp_grad = 5,
    .ulp_hess = 16, /* a probability that is subnormal has fewer digits */
};
/* x^2 psi'(1 + x): what x^2 psi'(x) is more than 1 */
INLINE D beta_second(D x) { return x * (x * d_trigamma(x + 1)); }
/* A number that is 2^100 times as large, times another one, without losing digits of either. */
INLINE D lifted_times(D lifted, D x) {
    const D low = d_set(0x1p-100);
    return d_select(d_abs(x) < d_set(1), lifted * low * x, lifted * (x * low));
}
/* The second one does not count where the first may be infinite. */
INLINE pair beta_sum(pair a, pair b) { return pair_select(d_abs(a.hi) < d_set(0x1p900), pair_sum(a, b), a); }
/* What is left of Stirling's formula; where a is nearly 0 its logarithm alone, which is known there, too. */
INLINE D beta_rest(D a, pair log_a) {
    const L some = a > d_set(0x1p-900);
    const pair log = pair_select(some, log_a, pair_of(d_set(0), d_set(0)));
    return d_select(some, stirling_rest(d_select(some, a, d_set(1)), log, 0.5), d_set(-0.5) * log_a.hi);
}
CALLED_ONCE D beta_rest_of_all(D c) { return beta_rest(c, pair_log_of(c)); }
CALLED_ONCE D beta_digamma_of_all(D c) { return digamma_rest(c, d_digamma(c + 1), pair_log_of(c)); }
enum { BETA_REST = 3, BETA_DIGAMMA }; /* beside the inputs: of the concentration */
/* By Stirling's formula: c times the divergence of the target from the mean, of which nothing cancels that grows with
 * c, the logarithms that are left, and what the formula leaves of each factorial. As in binomial_full, near each other
 * the divergence is ln(1 - q + q e^x) - q x, q the smaller one of m and 1 - m. */
IN_DOUBLE_AND(beta_nll, 3, 2) {
    const D z = in[PRED], y = in[TARGET], c = in[CONCENTRATION], zero = d_set(0), one = d_set(1);
    const logistic_pair l = logistic_pair_of(z);
    /* s = m and t = 1 - m times 2^100: their products with c may have all digits where they are subnormal themselves */
    const D lift = d_set(0x1p100), low = d_set(0x1p-100), e = l.lifted / l.sum.hi, other = lift / l.sum.hi;
    const D s = d_select(l.up, other, e), t = d_select(l.up, e, other), m = s * low, no_m = t * low;
    const D a = lifted_times(s, c), b = lifted_times(t, c);
    const pair log_c = pair_log_of(c), less_c = pair_minus(log_c), sum = pair_log1p_unit(l.e), most = pair_minus(sum);
    const pair least = beta_sum(pair_of(-l.size, zero), most);
    const pair log_m = pair_select(l.up, most, least), log_no_m = pair_select(l.up, least, most);
    const pair log_a = beta_sum(log_m, log_c), log_b = beta_sum(log_no_m, log_c);
    const pair log_y = pair_log_of(y), log_no = pair_log1p(pair_of(-y, zero));
    const pair edges = beta_sum(pair_of(l.size, zero), pair_sum(pair_times(sum, d_set(2)), less_c)); /* ln c/(a b) */

    const pair lean = beta_sum(pair_of(z, zero), pair_sum(log_no, pair_minus(log_y))), q = pair_quotient(l.e, l.sum);
    const L near = (d_abs(lean.hi) < d_set(8)) & (q.hi > d_set(0x1p-900));
    const pair x = pair_select(near, pair_select(l.up, lean, pair_minus(lean)), pair_of(zero, zero));
    const pair grown = pair_log1p(pair_product(q, pair_expm1(x)));
    const D divergence = d_at_least(pair_sum(grown, pair_minus(pair_product(q, x))).hi, 0);
    const D log_ratio = log_m.hi - log_y.hi, log_no_ratio = log_no_m.hi - log_no.hi;
    const D yes = d_select(a == zero, zero, a * log_ratio), no = d_select(b == zero, zero, b * log_no_ratio);
    const D spread = d_select(near, c * divergence, yes + no);
    const pair logs = beta_sum(pair_times(edges, d_set(0.5)), pair_sum(log_y, log_no));
    u->value = spread + ((beta_rest(a, log_a) + beta_rest(b, log_b)) - in[BETA_REST] + logs.hi);
    if (u->want == LOSSFN__WANT_VALUE) return;

    /* digamma(a) - digamma(b), without -1/a and 1/b, less the log-odds of y: of what grows with c the logarithms cancel
     */
    const D psi_a = d_digamma(a + 1), psi_b = d_digamma(b + 1);
    const D rest_a = digamma_rest(a, psi_a, log_a), rest_b = digamma_rest(b, psi_b, log_b);
    const L grown_both = (a >= one) & (b >= one);
    const D gap = d_select(grown_both, lean.hi + (rest_a - rest_b), (psi_a - psi_b) - (log_y.hi - log_no.hi));
    const D tilt = d_select(a == zero, zero, d_select(b == zero, zero, lifted_times(t, a)));
    const D pull = d_select(tilt == zero, zero, tilt * gap), curve = logistic_tilt(&l);
    u->grad[PRED] = pull - curve;
    if (WANTS_HESS(u)) {
        const D q_a = beta_second(a), q_b = beta_second(b), both = s * t * low * low;
        const D squares = lifted_times(t, lifted_times(t, q_a)) + lifted_times(s, lifted_times(s, q_b));
        if (WANTS(FISHER, p))
            u->hess = no_m * no_m + m * m + squares;
        else
            u->hess = curve * pull + (2 * both + squares);
    }
    if (!WANTS_OTHERS(u)) return;
    const D by_yes = d_select(m == zero, zero, m * rest_a), by_no = d_select(no_m == zero, zero, no_m * rest_b);
    const D apart = d_select(m == zero, zero, m * log_ratio) + d_select(no_m == zero, zero, no_m * log_no_ratio);
    u->grad[CONCENTRATION] = d_select(near, divergence, apart) + (((by_yes + by_no) - in[BETA_DIGAMMA]) - one / c);
}
ELEMENTWISE(beta_nll) {
    const V z = in[PRED], y = in[TARGET], c = in[CONCENTRATION], zero = v_zero();
    u->outside = (y <= zero) | (y >= v_one()) | (c <= zero) | (c == v_set(INFINITY));
    const M missing = v_isnan(z) | v_isnan(y) | v_isnan(c), harmless = m_or(u->outside, missing);
    const V of[] = {z, v_select(harmless, v_set(0.5), y), v_select(harmless, v_one(), c)};
    D wide[DPARTS], of_c[2][DPARTS];
    v_widen(of[CONCENTRATION], wide);
    UNROLL
    for (int i = 0; i < DPARTS; i++) {
        of_c[0][i] = beta_rest_of_all(wide[i]);
        of_c[1][i] = WANTS_OTHERS(u) ? beta_digamma_of_all(wide[i]) : d_set(0);
    }
    beta_nll_in_double_and(of, of_c, p, u);
    const V nan = v_set(NAN);
    u->value = v_select(missing, nan, u->value), u->hess = v_select(missing, nan, u->hess);
    u->grad[PRED] = v_select(missing, nan, u->grad[PRED]);
    u->grad[CONCENTRATION] = v_select(missing, nan, u->grad[CONCENTRATION]);
}

enum { MIXTURE_LOGITS = 2, MIXTURE_SCALE };
/* Bishop (1994): -ln(sum over k of pi_k N(y; m_k, s_k)), pi = softmax(logits). */
DEFINE(mixture_density) = {
    LOSS(mixture_density),
    .aliases = "mixture_nll, mdn",
    .family = "likelihood",
    .summary = "Negative log-likelihood of a mixture of normal distributions: mixture density networks.",
    .formula =
        "-log(sum over k of softmax(logits)_k exp(-q_k^2/2) / scale_k);  q_k = (target - pred_k) / scale_k  [+ log(2 "
        "pi)/2 with full]",
    .latex = "-\\ln \\sum_k \\pi_k\\, s_k^{-1} e^{-(y - p_k)^2 / (2 s_k^2)},\\quad \\pi = "
             "\\mathrm{softmax}(\\mathit{logits})",
    .tasks = "regression",
    .see_also = "gaussian_nll, crps_ensemble",
    .look_alikes = "PyTorch: MixtureSameFamily(Categorical(logits=logits), Normal(pred, scale)): with full=true",
    .source = "C. Bishop, Mixture density networks, Aston University, 1994",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 4,
    .n_params = 1,
    .inputs = {INPUT("pred", REAL, 1, "mean of each component"), INPUT_PER_ROW("target", REAL, 1, "target"),
               INPUT("logits", LOGITS, 1, "logarithm of each component's share, up to a constant"),
               INPUT("scale", POSITIVE, 1, "standard deviation of each component, greater than 0")},
    .params = {PARAM_FULL},
    .traits = LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT,
    .whole_rows = 1,
    .n_scratch = 2,
    .ulp_value = 4,
    .ulp_grad = 6,
    .ulp_hess = 12,
};
/* ln of each component's share times its density, but for ln(2 pi)/2 and as if the largest logit, `top`, were that of
 * the share 1; and what rounding lost. Where all q^2 overflow, only components count whose |q| is `nearest`, and that
 * is left out; it is below 0 otherwise. */
ALWAYS_INLINE void mixture_logs(const whole_row_t *r, double top, double nearest, int64_t i, D *logs, D *rests) {
    const V s = v_load(r->in[MIXTURE_SCALE] + i);
    D means[DPARTS], targets[DPARTS], scales[DPARTS];
    v_widen(v_load(r->in[PRED] + i), means), v_widen(v_set((double)r->in[TARGET][0]), targets);
    v_widen(v_select(s > v_zero(), s, v_one()), scales), v_widen(v_load(r->in[MIXTURE_LOGITS] + i), logs);
    for (int d = 0; d < DPARTS; d++) {
        const D zero = d_set(0), lowest = d_set(-INFINITY);
        const pair q = fine_quotient(exact_sum(targets[d], -means[d]), pair_of(scales[d], zero));
        const L as_near = d_abs(q.hi) == d_set(nearest);
        pair half = pair_times(fine_product(q, q), d_set(-0.5));
        half = pair_select(as_near, pair_of(zero, zero), half);
        const pair log = pair_log_of(scales[d]);
        const pair sum = fine_sum(fine_sum(half, pair_of(-log.hi, -log.lo)), exact_sum(logs[d], d_set(-top)));
        const L gone = (logs[d] == lowest) | ~(d_abs(half.hi) < d_set(INFINITY));
        logs[d] = d_select(gone, lowest, sum.hi);
        rests[d] = d_select(gone, zero, sum.lo);
    }
}
/* The least |q| of a component that has a share, if its square overflows; else -1. */
ALWAYS_INLINE double mixture_nearest(const whole_row_t *r, double top) {
    const V y = v_set((double)r->in[TARGET][0]), most = v_set(sizeof(REAL) == 4 ? INFINITY : 0x1p500);
    M far = m_none(), near = m_none();
    EACH_VECTOR(r, i) {
        const M holds = m_and(row_holds(r, i), v_load(r->in[MIXTURE_LOGITS] + i) > v_set(-INFINITY));
        const V gap = v_abs(v_load(r->in[PRED] + i) - y), s = v_load(r->in[MIXTURE_SCALE] + i);
        const M here = gap > most * s;
        far |= holds & here, near |= m_andnot(holds, here);
    }
    if (m_any(near) || !m_any(far) || !isfinite(top)) return -1;
    double least = INFINITY;
    for (int64_t k = 0; k < r->n; k++) {
        const double gap = fabs((double)(r->in[PRED][k] - r->in[TARGET][0]));
        const double q = gap / (double)r->in[MIXTURE_SCALE][k];
        if ((double)r->in[MIXTURE_LOGITS][k] > -INFINITY && q < least) least = q;
    }
    return least > 0x1p512 ? least : -1;
}
WHOLE_ROWS(mixture_density) {
    REAL *const x = r->scratch[0], *const low = r->scratch[1];
    const V y = v_set((double)r->in[TARGET][0]), zero = v_zero(), one = v_one(), infinity = v_set(INFINITY);
    int64_t at_first;
    const double first = (double)row_top(r, r->in[MIXTURE_LOGITS], -1, &at_first);
    D logs[DPARTS], rests[DPARTS], top = d_set(-INFINITY), top_low = d_set(0), held[DPARTS];
    const double nearest = mixture_nearest(r, first);
    EACH_VECTOR(r, i) {
        const V at = v_load(r->in[PRED] + i), logit = v_load(r->in[MIXTURE_LOGITS] + i);
        const V s = v_load(r->in[MIXTURE_SCALE] + i);
        row_outside(r, i,
                    (s <= zero) | (s == infinity) | (v_abs(at) == infinity) | (v_abs(y) == infinity) |
                        (logit == infinity));
        mixture_logs(r, first, nearest, i, logs, rests);
        v_widen(v_where(row_holds(r, i), one), held);
        for (int d = 0; d < DPARTS; d++) {
            const L larger = (logs[d] > top) | ((logs[d] == top) & (rests[d] > top_low));
            const L more = (held[d] != d_set(0)) & larger;
            top = d_select(more, logs[d], top);
            top_low = d_select(more, rests[d], top_low);
        }
    }
    double most = -INFINITY, most_low = 0;
    for (int l = 0; l < DLANES; l++)
        if (top[l] > most || (top[l] == most && top_low[l] > most_low)) most = top[l], most_low = top_low[l];
    EACH_VECTOR(r, i) { /* relative to the largest, in two parts */
        mixture_logs(r, first, nearest, i, logs, rests);
        D back[DPARTS];
        for (int d = 0; d < DPARTS; d++) {
            const pair down = exact_sum(logs[d], d_set(-most));
            const L gone = logs[d] == d_set(-INFINITY);
            const pair both = exact_sum(down.hi, (rests[d] - d_set(most_low)) + down.lo);
            logs[d] = d_select(gone, d_set(-INFINITY), both.hi);
            rests[d] = d_select(gone, d_set(0), both.lo);
        }
        const V whole = v_narrow(logs);
        v_widen(whole, back);
        for (int d = 0; d < DPARTS; d++)
            rests[d] = d_select(back[d] > d_set(-INFINITY), (logs[d] - back[d]) + rests[d], d_set(0));
        v_store(x + i, whole);
        v_store(low + i, v_narrow(rests));
    }
    if (r->outside >= 0) return;
    const softmax_t joint = softmax_of(r, x, low), prior = softmax_of(r, r->in[MIXTURE_LOGITS], NULL);
    const double apart = ((double)prior.log_total[0] - (double)joint.log_total[0]) - (most + most_low);
    r->value = (REAL)(nearest >= 0 ? (double)INFINITY : IS(r->p[0]) ? apart + 0.918938533204672741780 : apart);
    const softmax_t lifted = softmax_lifted(&joint);
    row_sum_t by_target = row_sum();
    EACH_VECTOR(r, i) {
        const V at = v_load(r->in[PRED] + i), s = v_load(r->in[MIXTURE_SCALE] + i), q = (at - y) / s;
        V unit;
        const V plain = softmax_at(&joint, i), share = softmax_in_units(&lifted, plain, i, &unit);
        const V slope = v_where(share != zero, share * q / s * unit);
        row_add(&by_target, r, i, -slope);
        row_put(r->grad[PRED], i, slope);
        row_put(r->grad[MIXTURE_LOGITS], i, softmax_at(&prior, i) - plain);
        row_put(r->grad[MIXTURE_SCALE], i, v_where(share != zero, share * v_fma(-q, q, one) / s * unit));
        row_put(r->hess, i, v_where(share != zero, share * v_fma(-q, q * softmax_lack(&joint, i), one) / s * unit / s));
    }
    if (r->grad[TARGET]) r->grad[TARGET][0] = (REAL)row_total(&by_target);
}
