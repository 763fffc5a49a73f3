/* SPDX-License-Identifier: MIT
 * Information and divergences of distributions, c->x the predicted one and c->t the target. */

#include "losses/angle.h"
#include "losses/divergence.h"

ALWAYS_INLINE M no_probability(V x) { return (x < v_zero()) | (x > v_one()); }

static void information_setup(const double *params, double *constants) { set_base(params[0], constants); }

/* Hartley (1928), Shannon (1948): the information of an event of probability p, -log p. */
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
    u->outside = no_probability(prob);
    u->value = v_zero() - log_in_base(prob, p); /* 0 - x: no negative zero at p = 1 */
    const V unit = in_base(v_one(), p);
    u->grad[PRED] = -unit / prob;
    u->hess = unit / prob / prob;
}

/* Shannon (1948): the expected information of a distribution, -sum over classes of p_c log p_c, 0 log 0 = 0. */
DEFINE(entropy) = {
    LOSS(entropy),
    .aliases = "shannon_entropy",
    .family = "information",
    .summary = "Entropy of the predicted distribution: in bits with base=2.",
    .formula = "-sum over classes of pred log(pred)",
    .latex = "-\\sum_c p_c \\log p_c",
    .tasks = "",
    .see_also = "self_information, cross_entropy, kl_div",
    .look_alikes = "SciPy: scipy.stats.entropy: normalises first",
    .source = "C. E. Shannon, A mathematical theory of communication, Bell Syst. Tech. J. 27, 1948",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 1,
    .n_params = 1,
    .inputs = {INPUT("pred", PROBABILITY, 1, "probability of each class")},
    .params = {PARAM_BASE},
    .traits = LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT,
    .has_product = 1,
    .ulp_value = 4,
    .ulp_grad = 3,
    .ulp_hess = 2.5,
    .setup = information_setup,
};
ROWWISE_SEPARABLE(entropy, 1, 1, 0, 0);
ROW_SUMS(entropy) {
    (void)r;
    V x = c->x;
    u->outside = no_probability(x);
    s[0] = v_select(x == v_zero(), v_zero(), x * log_in_base(x, p));
}
ROW_FINISH(entropy) {
    (void)r, (void)p, (void)k;
    u->value = v_zero() - s[0];
}
ROW_MAP(entropy) {
    (void)r, (void)k;
    V x = c->x;
    u->outside = no_probability(x);
    u->grad[PRED] = -(log_in_base(x, p) + in_base(v_one(), p));
    u->grad[TARGET] = v_zero();
    u->hess = -in_base(v_one(), p) / x;
}

enum { KL_LOG_PRED = BASE_CONSTANTS, KL_LOG_TARGET };
static void kl_div_setup(const double *params, double *constants) {
    set_base(params[0], constants);
    constants[KL_LOG_PRED] = params[1];
    constants[KL_LOG_TARGET] = params[2];
}
/* Kullback and Leibler (1951): sum over classes of t_c (ln t_c - ln p_c), 0 ln 0 = 0. */
DEFINE(kl_div) = {
    LOSS(kl_div),
    .aliases = "kullback_leibler",
    .family = "information",
    .summary = "Kullback-Leibler divergence D(target || pred): what the prediction's code costs beyond the target's.",
    .formula = "sum over classes of target (log(target) - log(pred))",
    .latex = "\\sum_c t_c (\\log t_c - \\log p_c)",
    .tasks = "multiclass",
    .see_also = "cross_entropy, entropy",
    .look_alikes =
        "PyTorch: KLDivLoss: log_pred=true; reduction=batchmean there is mean here, its mean is this divided by C\n"
        "Keras: KLDivergence: clips both into [1e-7, 1]\noptax: kl_divergence: log_pred=true, reduction=none\n"
        "MXNet: KLDivLoss: mean over classes too: this divided by C",
    .source = "S. Kullback, R. A. Leibler, On information and sufficiency, Ann. Math. Statist. 22, 1951",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 3,
    .inputs = {INPUT("pred", PROBABILITY, 1, "probability of each class, or its natural logarithm with log_pred"),
               INPUT("target", PROBABILITY, 1,
                     "distribution over the classes, or its natural logarithm with log_target")},
    .params = {PARAM_BASE, PARAM_BOOL("log_pred", "false", "pred holds natural logarithms"),
               PARAM_BOOL("log_target", "false", "target holds natural logarithms")},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE |
              LOSSFN_TRAIT_PROPER,
    .hess_kinds = EXACT,
    .has_product = 1,
    .ulp_value = 4,
    .ulp_grad = 4, /* of log_target, whose exponential is the square of another one */
    .ulp_hess = 4,
    .setup = kl_div_setup,
};
/* ln(t/x): where they are near, of their difference, gap; else of the quotient, if that is no subnormal or infinite. */
ALWAYS_INLINE V log_quotient_of(V t, V x, V gap) {
    V f, q = t / x;
    const M plain = (q >= v_set(SMALLEST_NORMAL)) & (q < v_set(INFINITY));
    q = v_select(plain, q, t);
    const V k = log_split(q, &f), less = gap / x; /* 1 + f is q in [3/4, 3/2), 2 q in [3/8, 3/4) */
    const M same = k == v_zero(), half = (k == -v_one()) & (f >= v_zero());
    f = v_select(same & plain, less, v_select(half & plain, v_fma(v_set(2), less, v_one()), f));
    const V log = log_natural(q, k, f);
    return m_all(plain) ? log : v_select(plain, log, log - v_log(x));
}
ALWAYS_INLINE V log_quotient(V t, V x) { return log_quotient_of(t, x, t - x); }

/* x t, t / x and t / x^2, also where t = exp(y) is so small that it has lost digits, or too large. */
ALWAYS_INLINE V kl_times(V x, V t, const class_t *c, const V *p) {
    if (!IS(p[KL_LOG_TARGET])) return x * t;
    V root = v_exp(v_set(0.5) * c->t); /* which may be 0 or infinite, as t is not */
    return v_select((x == v_zero()) | (v_abs(x) == v_set(INFINITY)), x, x * root * root);
}
/* Both at once, before v_where: gcc 12 fails on it within. */
ALWAYS_INLINE void kl_over(V t, V x, const class_t *c, const V *p, V *once, V *twice) {
    *once = t / x, *twice = *once / x;
    if (!IS(p[KL_LOG_TARGET])) return;
    const M zero = x == v_zero();
    *once = v_select(zero, v_set(INFINITY), v_exp_over(c->t, v_zero(), x, 1));
    *twice = v_select(zero, v_set(INFINITY), v_exp_over(c->t, v_zero(), x, 2));
}
/* Where t = 0, so that the class adds nothing. */
ALWAYS_INLINE M kl_nothing(const class_t *c, const V *p) {
    return c->t == (IS(p[KL_LOG_TARGET]) ? v_set(-INFINITY) : v_zero());
}
/* ln t - ln p, and t; where t = 0 the logarithm is -inf. */
ALWAYS_INLINE V kl_log_ratio(const class_t *c, const V *p, V *t, M *outside) {
    const V x = c->x;
    const int log_pred = IS(p[KL_LOG_PRED]), log_target = IS(p[KL_LOG_TARGET]);
    *t = log_target ? v_exp(c->t) : c->t;
    *outside = log_target ? m_none() : no_probability(*t);
    if (!log_pred) *outside |= no_probability(x);
    if (!log_pred && !log_target) return log_quotient(*t, x);
    if (log_pred && log_target) return c->t - x;
    /* in two parts: where it nearly is the other logarithm, what is rounded is all that is left */
    const V other = log_pred ? *t : x;
    V rest, log = log_limits(other, log_two_parts(other, &rest), v_set(INFINITY));
    rest = v_where(v_isfinite(log), rest);
    return log_pred ? (log - x) + rest : (c->t - log) - rest;
}
ROWWISE_SEPARABLE(kl_div, 1, 1, 0, 0);
ROW_SUMS(kl_div) {
    (void)r;
    V t, ratio = kl_log_ratio(c, p, &t, &u->outside);
    s[0] = v_select(kl_nothing(c, p), v_nan_from(v_zero(), c->x), kl_times(ratio, t, c, p));
}
ROW_FINISH(kl_div) {
    (void)r, (void)k;
    u->value = in_base(s[0], p);
}
ROW_MAP(kl_div) {
    (void)r, (void)k;
    V t, ratio = kl_log_ratio(c, p, &t, &u->outside);
    M none = kl_nothing(c, p);
    if (IS(p[KL_LOG_PRED])) {
        u->grad[PRED] = in_base(v_nan_from(-t, c->x), p);
        u->hess = v_zero();
    } else {
        V once, twice;
        kl_over(t, c->x, c, p, &once, &twice);
        u->grad[PRED] = v_nan_from(in_base(v_where(m_not(none), -once), p), c->x);
        u->hess = in_base(v_where(m_not(none), twice), p);
    }
    if (IS(p[KL_LOG_TARGET]))
        u->grad[TARGET] = in_base(v_where(m_not(none), kl_times(ratio + v_one(), t, c, p)), p);
    else
        u->grad[TARGET] = in_base(ratio + v_one(), p);
}

/* ---- Divergences whose classes add up -----------------------------------------------------------------------------
 */

#define TWO_DISTRIBUTIONS                                                                                              \
    INPUT("pred", PROBABILITY, 1, "probability of each class"),                                                        \
        INPUT("target", PROBABILITY, 1, "distribution over the classes")
#define BASE_SETUP .setup = information_setup,

/* Csiszar (1991), of numbers that need not sum to 1: sum of t ln(t/p) - t + p. */
DEFINE(generalized_kl) = {
    LOSS(generalized_kl),
    .aliases = "i_divergence",
    .family = "information",
    .summary = "Kullback-Leibler divergence of numbers that need not sum to 1.",
    .formula = "sum over classes of target log(target / pred) - target + pred",
    .latex = "\\sum_c t_c \\log(t_c / p_c) - t_c + p_c",
    .tasks = "multiclass",
    .see_also = "kl_div, poisson_nll",
    .look_alikes = "optax: generalized_kl_divergence: takes the logarithm of pred, reduction=none",
    .source = "I. Csiszar, Why least squares and maximum entropy?, Ann. Statist. 19, 1991",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {INPUT("pred", POSITIVE, 1, "number for each class"),
               INPUT("target", POSITIVE, 1, "number for each class")},
    .params = {PARAM_BASE},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT,
    .has_product = 1,
    .ulp_value = 4,
    .ulp_grad = 3,
    .ulp_hess = 4,
    BASE_SETUP};
ROWWISE_SEPARABLE(generalized_kl, 1, 1, 0, 0);
ROW_SUMS(generalized_kl) {
    (void)r, (void)p;
    const V zero = v_zero(), x = c->x, t = c->t;
    u->outside = (x < zero) | (t < zero);
    s[0] = v_select(t == zero, zero, t * log_quotient(t, x)) + (x - t);
}
ROW_FINISH(generalized_kl) {
    (void)r, (void)k;
    u->value = in_base(s[0], p);
}
ROW_MAP(generalized_kl) {
    (void)r, (void)k;
    const V zero = v_zero(), x = c->x, t = c->t;
    u->outside = (x < zero) | (t < zero);
    u->grad[PRED] = in_base(v_select(t == zero, v_nan_from(v_one(), x), (x - t) / x), p);
    u->grad[TARGET] = in_base(log_quotient(t, x), p);
    u->hess = v_where(t != zero, in_base(t, p) / x / x);
}

/* Kullback and Leibler (1951), the other way round: sum of p ln(p/t). */
DEFINE(reverse_kl) = {
    LOSS(reverse_kl),
    .aliases = "",
    .family = "information",
    .summary = "Kullback-Leibler divergence D(pred || target): seeks one mode.",
    .formula = "sum over classes of pred log(pred / target)",
    .latex = "\\sum_c p_c \\log(p_c / t_c)",
    .tasks = "multiclass",
    .see_also = "kl_div, jensen_shannon",
    .look_alikes = "",
    .source = "S. Kullback, R. A. Leibler, On information and sufficiency, Ann. Math. Statist. 22, 1951",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {TWO_DISTRIBUTIONS},
    .params = {PARAM_BASE},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT,
    .has_product = 1,
    .ulp_value = 4,
    .ulp_grad = 3,
    .ulp_hess = 3,
    BASE_SETUP};
ROWWISE_SEPARABLE(reverse_kl, 1, 1, 0, 0);
ROW_SUMS(reverse_kl) {
    (void)r, (void)p;
    u->outside = no_probability(c->x) | no_probability(c->t);
    s[0] = v_select(c->x == v_zero(), v_zero(), c->x * log_quotient(c->x, c->t));
}
ROW_FINISH(reverse_kl) {
    (void)r, (void)k;
    u->value = in_base(s[0], p);
}
ROW_MAP(reverse_kl) {
    (void)r, (void)k;
    const V zero = v_zero(), x = c->x, t = c->t;
    u->outside = no_probability(x) | no_probability(t);
    u->grad[PRED] = in_base(v_select(x == zero, v_set(-INFINITY), log_quotient(x, t) + v_one()), p);
    u->grad[TARGET] = in_base(v_where(x != zero, -(x / t)), p);
    u->hess = in_base(v_one(), p) / x;
}

enum { JS_SHARE = BASE_CONSTANTS, JS_REST };
static void jensen_shannon_setup(const double *params, double *constants) {
    set_base(params[0], constants);
    constants[JS_SHARE] = params[1];
    constants[JS_REST] = 1 - params[1];
}
/* Lin (1991): with the mixture m = a t + (1 - a) p, a KL(t || m) + (1 - a) KL(p || m). */
DEFINE(jensen_shannon) = {
    LOSS(jensen_shannon),
    .aliases = "",
    .family = "information",
    .summary = "Divergence of both distributions from their mixture: symmetric and bounded.",
    .formula = "sum over classes of a target log(target / m) + (1 - a) pred log(pred / m);  m = a target + (1 - a) "
               "pred, a = share",
    .latex = "\\sum_c a t_c \\log\\frac{t_c}{m_c} + (1 - a) p_c \\log\\frac{p_c}{m_c}",
    .tasks = "multiclass",
    .see_also = "kl_div, reverse_kl, hellinger",
    .look_alikes = "Kornia: js_div_loss_2d: its sum",
    .source = "J. Lin, Divergence measures based on the Shannon entropy, IEEE Trans. Inf. Theory 37, 1991",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 2,
    .inputs = {TWO_DISTRIBUTIONS},
    .params = {PARAM_BASE, PARAM_DOUBLE("share", "0.5", 0, 1, 1, 1, "share of the target in the mixture")},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT,
    .has_product = 1,
    .ulp_value = 8, /* of classes that are all alike, where two terms of each cancel in part */
    .ulp_grad = 3.5,
    .ulp_hess = 4,
    .setup = jensen_shannon_setup,
};
/* ln(t/m), ln(p/m), t/m and m; m, t and p are in units of `unit`. */
typedef struct {
    V m, of_target, of_pred, share, unit;
} mixture_t;
ALWAYS_INLINE mixture_t mixture_of(V x, V t, const V *p) {
    const V a = p[JS_SHARE], b = p[JS_REST];
    const M tiny = v_greater(x, t) < v_set(0x1p-60); /* m shall be no subnormal */
    const V scale = v_select(tiny, v_set(0x1p60), v_one()), unit = v_select(tiny, v_set(0x1p-60), v_one());
    x *= scale, t *= scale;
    const V m = v_fma(a, t, b * x), gap = t - x;
    return (mixture_t){m, log_quotient_of(t, m, b * gap), log_quotient_of(x, m, -(a * gap)), t / m, unit};
}
/* (1 + d) ln(1 + d) - d, -1/4 <= d <= 1/4 */
ALWAYS_INLINE V excess_near(V d) { return v_fma(v_one() + d, log_tail(d), d * d); }
ROWWISE_SEPARABLE(jensen_shannon, 1, 1, 0, 0);
ROW_SUMS(jensen_shannon) {
    (void)r;
    const V zero = v_zero(), a = p[JS_SHARE], x = c->x, t = c->t;
    const mixture_t q = mixture_of(x, t, p);
    u->outside = no_probability(x) | no_probability(t);
    /* Where both are near to m their logarithms cancel, but for the squares; t - m and p - m add up to 0. */
    const V b = p[JS_REST], d = (t - x) / q.unit / q.m;
    const V far = v_select(t == zero, zero, a * t * q.of_target) + v_select(x == zero, zero, b * x * q.of_pred);
    const V near = q.unit * (q.m * v_fma(a, excess_near(b * d), b * excess_near(-a * d)));
    s[0] = v_select(v_greater(a, b) * v_abs(d) < v_set(0.25), near, far);
}
ROW_FINISH(jensen_shannon) {
    (void)r, (void)k;
    u->value = in_base(s[0], p);
}
ROW_MAP(jensen_shannon) {
    (void)r, (void)k;
    const V zero = v_zero(), a = p[JS_SHARE], b = p[JS_REST], x = c->x, t = c->t;
    const mixture_t q = mixture_of(x, t, p);
    const M none = q.m == zero;
    u->outside = no_probability(x) | no_probability(t);
    u->grad[PRED] = in_base(v_where(m_not(none), b * q.of_pred), p);
    u->grad[TARGET] = in_base(v_where(m_not(none), a * q.of_target), p);
    u->hess = in_base(v_where(t != zero, b * a * q.share / x), p);
}

/* The largest difference of the probabilities of an event: sum of |p - t|/2. */
DEFINE(total_variation) = {
    LOSS(total_variation),
    .aliases = "",
    .family = "information",
    .summary = "Half the sum of absolute differences of two distributions.",
    .formula = "sum over classes of |pred - target| / 2",
    .latex = "\\tfrac12 \\sum_c |p_c - t_c|",
    .tasks = "multiclass",
    .see_also = "hellinger, mae",
    .look_alikes = "",
    .source = "D. Levin, Y. Peres, Markov Chains and Mixing Times, 2017",
    .kinks = "pred = target: gradient 0",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 0,
    .inputs = {TWO_DISTRIBUTIONS},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_NONNEGATIVE,
    .hess_kinds = EXACT,
    .has_product = 1,
    .ulp_value = 4,
    .ulp_grad = 0.5,
    .ulp_hess = 0.5,
};
ROWWISE_SEPARABLE(total_variation, 1, 1, 0, 0);
ROW_SUMS(total_variation) {
    (void)r, (void)p;
    u->outside = no_probability(c->x) | no_probability(c->t);
    s[0] = v_set(0.5) * v_abs(c->x - c->t);
}
ROW_FINISH(total_variation) {
    (void)r, (void)k, (void)p;
    u->value = s[0];
}
ROW_MAP(total_variation) {
    (void)r, (void)p, (void)k;
    u->outside = no_probability(c->x) | no_probability(c->t);
    u->grad[PRED] = v_set(0.5) * v_sign(c->x - c->t);
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = v_zero();
}

/* Hellinger (1909), squared: sum of (sqrt p - sqrt t)^2/2. */
DEFINE(hellinger) = {
    LOSS(hellinger),
    .aliases = "squared_hellinger",
    .family = "information",
    .summary = "Squared Hellinger distance of two distributions.",
    .formula = "sum over classes of (sqrt(pred) - sqrt(target))^2 / 2",
    .latex = "\\tfrac12 \\sum_c \\left(\\sqrt{p_c} - \\sqrt{t_c}\\right)^2",
    .tasks = "multiclass",
    .see_also = "total_variation, jensen_shannon",
    .look_alikes = "",
    .source = "E. Hellinger, Neue Begruendung der Theorie quadratischer Formen, J. reine angew. Math. 136, 1909",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 0,
    .inputs = {TWO_DISTRIBUTIONS},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT,
    .has_product = 1,
    .ulp_value = 4.5,
    .ulp_grad = 4,
    .ulp_hess = 4,
};
/* sqrt x - sqrt t without cancelling. */
ALWAYS_INLINE V root_gap(V x, V t) { return v_where(x != t, (x - t) / (v_sqrt(x) + v_sqrt(t))); }
/* The slope by x of (sqrt x - sqrt t)^2/2. */
ALWAYS_INLINE V hellinger_slope(V x, V t) {
    return v_select(t == v_zero(), v_nan_from(v_set(0.5), x), v_set(0.5) * root_gap(x, t) / v_sqrt(x));
}
ROWWISE_SEPARABLE(hellinger, 1, 1, 0, 0);
ROW_SUMS(hellinger) {
    (void)r, (void)p;
    const V gap = root_gap(c->x, c->t);
    u->outside = no_probability(c->x) | no_probability(c->t);
    s[0] = v_nan_from(v_set(0.5) * gap * gap, c->x + c->t);
}
ROW_FINISH(hellinger) {
    (void)r, (void)k, (void)p;
    u->value = s[0];
}
ROW_MAP(hellinger) {
    (void)r, (void)p, (void)k;
    const V x = c->x, t = c->t;
    u->outside = no_probability(x) | no_probability(t);
    u->grad[PRED] = hellinger_slope(x, t);
    u->grad[TARGET] = hellinger_slope(t, x);
    u->hess = v_where(t != v_zero(), v_set(0.25) * v_sqrt(t / x) / x);
}

/* Pearson (1900): sum of (p - t)^2/t. */
DEFINE(chi2) = {
    LOSS(chi2),
    .aliases = "pearson_chi2",
    .family = "information",
    .summary = "Pearson's chi-squared divergence D(pred || target).",
    .formula = "sum over classes of (pred - target)^2 / target",
    .latex = "\\sum_c \\frac{(p_c - t_c)^2}{t_c}",
    .tasks = "multiclass",
    .see_also = "hellinger, kl_div",
    .look_alikes = "",
    .source = "K. Pearson, On the criterion that a given system of deviations..., Phil. Mag. 50, 1900",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 0,
    .inputs = {TWO_DISTRIBUTIONS},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT,
    .has_product = 1,
    .ulp_value = 4,
    .ulp_grad = 3,
    .ulp_hess = 2,
};
ROWWISE_SEPARABLE(chi2, 1, 1, 0, 0);
ROW_SUMS(chi2) {
    (void)r, (void)p;
    const V gap = c->x - c->t;
    u->outside = no_probability(c->x) | no_probability(c->t);
    s[0] = v_select(gap == v_zero(), v_zero(), gap / c->t * gap);
}
ROW_FINISH(chi2) {
    (void)r, (void)k, (void)p;
    u->value = s[0];
}
ROW_MAP(chi2) {
    (void)r, (void)p, (void)k;
    const V x = c->x, t = c->t, gap = x - t;
    u->outside = no_probability(x) | no_probability(t);
    u->grad[PRED] = v_where(gap != v_zero(), 2 * gap / t);
    u->grad[TARGET] = v_where(gap != v_zero(), -(gap / t) * ((x + t) / t));
    u->hess = 2 / t;
}

/* Brier (1950): sum of (p - t)^2. */
DEFINE(brier) = {
    LOSS(brier),
    .aliases = "quadratic_score",
    .family = "information",
    .summary = "The quadratic score of a probability forecast.",
    .formula = "sum over classes of (pred - target)^2",
    .latex = "\\sum_c (p_c - t_c)^2",
    .tasks = "multiclass",
    .see_also = "categorical_cross_entropy, mse",
    .look_alikes = "scikit-learn: brier_score_loss: of two classes half of it",
    .source = "G. Brier, Verification of forecasts expressed in terms of probability, Mon. Weather Rev. 78, 1950",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 0,
    .inputs = {TWO_DISTRIBUTIONS},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX | LOSSFN_TRAIT_STRONGLY_CONVEX |
              LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_PROPER | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT | FISHER,
    .has_product = 1,
    .ulp_value = 4,
    .ulp_grad = 1,
    .ulp_hess = 0.5,
};
ROWWISE_SEPARABLE(brier, 1, 1, 0, 0);
ROW_SUMS(brier) {
    (void)r, (void)p;
    const V gap = c->x - c->t;
    u->outside = no_probability(c->x) | no_probability(c->t);
    s[0] = gap * gap;
}
ROW_FINISH(brier) {
    (void)r, (void)k, (void)p;
    u->value = s[0];
}
ROW_MAP(brier) {
    (void)r, (void)p, (void)k;
    u->outside = no_probability(c->x) | no_probability(c->t);
    u->grad[PRED] = 2 * (c->x - c->t);
    u->grad[TARGET] = -u->grad[PRED];
    u->hess = v_nan_from(v_set(2), c->x);
}

/* Itakura and Saito (1968): y/p - ln(y/p) - 1. */
DEFINE(itakura_saito) = {
    LOSS(itakura_saito),
    .aliases = "",
    .family = "information",
    .summary = "Divergence of spectra: a ratio counts, not its scale.",
    .formula = "target / pred - log(target / pred) - 1",
    .latex = "y/p - \\ln(y/p) - 1",
    .tasks = "regression",
    .see_also = "gamma_nll, generalized_kl",
    .look_alikes = "",
    .source = "F. Itakura, S. Saito, Analysis synthesis telephony based on the maximum likelihood method, ICA, 1968",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 0,
    .inputs = {INPUT("pred", POSITIVE, 1, "positive number"), INPUT("target", POSITIVE, 1, "positive number")},
    .traits = LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT,
    .ulp_value = 3,
    .ulp_grad = 3,
    .ulp_hess = 4,
};
ELEMENTWISE(itakura_saito) {
    (void)p;
    const V x = in[PRED], y = in[TARGET], zero = v_zero(), infinity = v_set(INFINITY), gap = y - x;
    u->outside = (x <= zero) | (y <= zero) | (y == infinity);
    const V over = v_select(x == infinity, v_set(-1), gap / x); /* y/p - 1 */
    const M near = v_abs(over) < v_set(0.25);                   /* there both terms are much alike */
    u->value = v_select(over == infinity, infinity, over - log_quotient(y, x));
    u->value = v_select(near, zero - log_tail(over), u->value); /* never -0 */
    u->grad[PRED] = -over / x;
    u->grad[TARGET] = v_select(y > x, gap / y / x, over / y);
    u->hess = v_fma(v_set(2), y / x, v_set(-1)) / x / x;
}

/* Basu, Harris, Hjort and Jones (1998), Eguchi and Kano (2001): between Itakura-Saito (0), the generalized
 * Kullback-Leibler divergence (1) and half the squared error (2). */
enum { ORDER };
static void order_setup(const double *params, double *constants) { set_finely(params[0], constants + ORDER); }
DEFINE(beta_divergence) = {
    LOSS(beta_divergence),
    .aliases = "beta_div",
    .family = "information",
    .summary = "Divergence of positive numbers between Itakura-Saito (beta 0), Kullback-Leibler (1) and squares (2).",
    .formula = "target^b/(b (b - 1)) + pred^b/b - target pred^(b-1)/(b - 1), or its limit;  b = beta",
    .latex = "\\frac{y^\\beta}{\\beta(\\beta-1)} + \\frac{p^\\beta}{\\beta} - \\frac{y\\,p^{\\beta-1}}{\\beta-1}",
    .tasks = "positive",
    .see_also = "itakura_saito, generalized_kl, alpha_divergence, tweedie_nll",
    .look_alikes = "scikit-learn: NMF(beta_loss=b): reduction=sum\ntweedie_nll: log_input=false, power=2-beta",
    .source = "A. Cichocki, S. Amari, Families of alpha- beta- and gamma-divergences, Entropy 12, 2010",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {INPUT("pred", POSITIVE, 1, "number, at least 0"),
               INPUT("target", POSITIVE, 1, "number, at least 0; greater than 0 if beta is 0 or less")},
    .params = {PARAM_DOUBLE("beta", "0.5", -INFINITY, 1, INFINITY, 1, "0, 1 and 2 are the ones above")},
    .traits = LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT | FISHER,
    .ulp_value = 4,
    .ulp_grad = 2,
    .ulp_hess = 3,
    .setup = order_setup,
};
IN_DOUBLE(beta_divergence, 2) {
    const pair order = pair_of(d_set(finely(p + ORDER)), d_set(0));
    const deviance_t d = d_power_deviance(in[PRED], in[TARGET], order, DEVIANCE_BY_MEAN, WANTS_HESS(u));
    u->value = d.value, u->grad[PRED] = d.slope, u->hess = WANTS(FISHER, p) ? d.expected : d.curve;
    if (WANTS_OTHERS(u)) u->grad[TARGET] = d_power_deviance_by_target(in[PRED], in[TARGET], order);
}
/* Of beta = 1/2, without the derivative by target: 2 (p - y)^2/(sqrt(p) (sqrt(p) + sqrt(y))^2) */
ALWAYS_INLINE void beta_of_half(V x, V y, const V *p, unit_t *u) {
    V rest, gap = two_sum(x, -y, &rest), root = v_sqrt(x), cube = x * root;
    V sum = v_fma(v_set(2), v_sqrt(x * y), x + y), twice = 2 * (gap / (sum * root));
    u->value = v_fma(twice, gap, twice * (2 * rest));
    const V per_cube = v_one() / cube, slope = gap * per_cube;
    u->grad[PRED] = v_fma(v_fma(-slope, cube, gap) + rest, per_cube, slope);
    u->hess = WANTS(FISHER, p) ? v_one() / cube : v_fma(v_set(1.5), y, v_set(-0.5) * x) / x / cube;
}
ELEMENTWISE(beta_divergence) {
    const V x = in[PRED], y = in[TARGET], zero = v_zero(), least = v_set(0x1p-40), most = v_set(0x1p40);
    const double order = finely(p + ORDER);
    u->outside = (y < zero) | (x < zero) | (y == v_set(INFINITY));
    if (order <= 0) u->outside |= y == zero;
    if (order != 0.5) {
        beta_divergence_in_double(in, p, u);
        return;
    }
    beta_of_half(x, y, p, u);
    const M plain = (v_lesser(x, y) > least) & (v_greater(x, y) < most) & (x == x); /* no product leaves the range */
    if (u->want == LOSSFN__WANT_ALL || !m_all(plain)) {
        unit_t any = {.want = u->want};
        beta_divergence_in_double(in, p, &any);
        u->value = v_select(plain, u->value, any.value);
        u->grad[PRED] = v_select(plain, u->grad[PRED], any.grad[PRED]);
        u->hess = v_select(plain, u->hess, any.hess);
        u->grad[TARGET] = any.grad[TARGET];
    }
}

/* Amari (1985), of numbers that need not sum to 1: Zhu and Rohwer (1995). */
DEFINE(alpha_divergence) = {
    LOSS(alpha_divergence),
    .aliases = "alpha_div",
    .family = "information",
    .summary =
        "Divergence between reverse Kullback-Leibler (alpha 0), four times Hellinger (1/2) and Kullback-Leibler (1).",
    .formula =
        "sum over classes of (target^a pred^(1-a) - a target + (a - 1) pred) / (a (a - 1)), or its limit;  a = alpha",
    .latex = "\\sum_c \\frac{t_c^\\alpha p_c^{1-\\alpha} - \\alpha t_c + (\\alpha - 1) p_c}{\\alpha(\\alpha - 1)}",
    .tasks = "multiclass",
    .see_also = "kl_div, hellinger, renyi_divergence, beta_divergence",
    .look_alikes = "Cressie-Read: this with alpha = lambda + 1, summed",
    .source = "A. Cichocki, S. Amari, Families of alpha- beta- and gamma-divergences, Entropy 12, 2010",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {INPUT("pred", POSITIVE, 1, "number, at least 0; they need not sum to 1"),
               INPUT("target", POSITIVE, 1, "number, at least 0; they need not sum to 1")},
    .params = {PARAM_DOUBLE("alpha", "0.5", -INFINITY, 1, INFINITY, 1, "0.5 is symmetric")},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT,
    .whole_rows = 1,
    .has_product = 1,
    .ulp_value = 3, /* of classes that are all alike */
    .ulp_grad = 2,
    .ulp_hess = 2,
    .setup = order_setup,
};
WHOLE_ROWS(alpha_divergence) {
    const double order = finely(r->p + ORDER);
    row_sum_t value = row_sum();
    EACH_VECTOR(r, i) {
        const V x = v_load(r->in[PRED] + i), t = v_load(r->in[TARGET] + i), zero = v_zero(), infinity = v_set(INFINITY);
        ratio_t ratio[DPARTS];
        D by_x[DPARTS], by_t[DPARTS], bend[DPARTS], term[DPARTS];
        row_outside(r, i, (x < zero) | (t < zero) | (x == infinity) | (t == infinity));
        row_ratio(r, i, order, ratio);
        for (int d = 0; d < DPARTS; d++)
            by_x[d] = ratio[d].less, by_t[d] = ratio[d].more, bend[d] = ratio[d].bend, term[d] = ratio[d].value;
        row_put(r->grad[PRED], i, v_narrow(by_x));
        row_put(r->grad[TARGET], i, v_narrow(by_t));
        row_put(r->hess, i, v_narrow(bend));
        if (r->product) v_store(r->product + i, v_narrow(bend) * v_load(r->vector + i));
        row_add_wide(&value, i, row_held(r, i, term));
    }
    r->value = (REAL)row_total(&value);
}

/* Tsallis (1998), Borland, Plastino and Tsallis (1998). */
#define ORDER_INPUTS .inputs = {TWO_DISTRIBUTIONS}
DEFINE(tsallis_divergence) = {
    LOSS(tsallis_divergence),
    .aliases = "tsallis, tsallis_relative_entropy",
    .family = "information",
    .summary = "Tsallis' relative entropy: Kullback-Leibler for a power in place of the logarithm.",
    .formula = "sum over classes of target ((target/pred)^(a-1) - 1) / (a - 1), kl_div at 1;  a = alpha",
    .latex = "\\sum_c t_c\\,\\frac{(t_c/p_c)^{\\alpha-1} - 1}{\\alpha - 1}",
    .tasks = "multiclass",
    .see_also = "kl_div, renyi_divergence, alpha_divergence",
    .look_alikes = "",
    .source =
        "L. Borland, A. Plastino, C. Tsallis, Information gain within nonextensive thermostatistics, J. Math. Phys. "
        "39, 1998",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 1,
    ORDER_INPUTS,
    .params = {PARAM_DOUBLE("alpha", "0.5", 0, 1, INFINITY, 1, "the larger, the more rare events count")},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT,
    .whole_rows = 1,
    .has_product = 1,
    .ulp_value = 4,
    .ulp_grad = 2,
    .ulp_hess = 3,
    .setup = order_setup,
};
ALWAYS_INLINE void rows_of_probabilities(whole_row_t *r, int64_t i) {
    row_outside(r, i, no_probability(v_load(r->in[PRED] + i)) | no_probability(v_load(r->in[TARGET] + i)));
}
WHOLE_ROWS(tsallis_divergence) {
    const double order = finely(r->p + ORDER);
    const D a = d_set(order), one = d_set(1);
    row_sum_t value = row_sum();
    EACH_VECTOR(r, i) {
        ratio_t ratio[DPARTS];
        D by_x[DPARTS], by_t[DPARTS], bend[DPARTS], term[DPARTS];
        rows_of_probabilities(r, i);
        row_ratio(r, i, order, ratio);
        for (int d = 0; d < DPARTS; d++) {
            by_x[d] = -ratio[d].power, by_t[d] = d_fma(a, ratio[d].more, one);
            bend[d] = a * ratio[d].bend, term[d] = ratio[d].t_more;
        }
        row_put(r->grad[PRED], i, v_narrow(by_x));
        row_put(r->grad[TARGET], i, v_narrow(by_t));
        row_put(r->hess, i, v_narrow(bend));
        if (r->product) v_store(r->product + i, v_narrow(bend) * v_load(r->vector + i));
        row_add_wide(&value, i, row_held(r, i, term));
    }
    r->value = (REAL)row_total(&value);
}

/* Renyi (1961), of distributions that need not sum to 1: ln(sum of t u^(a-1) / sum of t)/(a - 1), u = t/p. With E = sum
 * of t (u^(a-1) - 1)/(a - 1), over T = sum of t, that is ln(1 + (a - 1) E)/(a - 1). */
enum { RENYI_ORDER = BASE_CONSTANTS };
static void renyi_setup(const double *params, double *constants) {
    set_base(params[0], constants);
    set_finely(params[1], constants + RENYI_ORDER);
}
DEFINE(renyi_divergence) = {
    LOSS(renyi_divergence),
    .aliases = "renyi",
    .family = "information",
    .summary = "Renyi's divergence D(target || pred) of two distributions.",
    .formula = "log(sum over classes of target^a pred^(1-a) / sum of target) / (a - 1), kl_div at 1;  a = alpha",
    .latex = "\\frac{1}{\\alpha - 1} \\log \\sum_c t_c^\\alpha p_c^{1-\\alpha}",
    .tasks = "multiclass",
    .see_also = "kl_div, tsallis_divergence, hellinger",
    .look_alikes = "",
    .source = "A. Renyi, On measures of entropy and information, Berkeley Symp. Math. Stat. Probab. 4, 1961",
    .kinks = "where it is infinite: no derivatives (NaN)",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 2,
    ORDER_INPUTS,
    .params = {PARAM_BASE, PARAM_DOUBLE("alpha", "0.5", 0, 1, INFINITY, 1, "the larger, the more rare events count")},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT,
    .whole_rows = 1,
    .ulp_value = 4,
    .ulp_grad = 6,
    .ulp_hess = 4,
    .setup = renyi_setup,
};
/* x nats, as double, in units of the base */
ALWAYS_INLINE double in_base_wide(double x, const V *p) { return is_natural(p) ? x : x / (double)p[BASE_LN][0]; }
/* The sum of t^a p^(1-a) as its logarithm, also where it overflows. */
ALWAYS_INLINE pair renyi_log_sum(const whole_row_t *r, double order) {
    row_sum_t sum = row_sum();
    D top = d_set(-INFINITY);
    ratio_t ratio[DPARTS];
    EACH_VECTOR(r, i) {
        row_ratio(r, i, order, ratio);
        for (int d = 0; d < DPARTS; d++) {
            const D here = ratio[d].log_mix.hi;
            top = d_select((here > top) & (ratio[d].mix > d_set(0)), here, top);
        }
    }
    double most = -INFINITY;
    for (int l = 0; l < DLANES; l++) most = top[l] > most ? top[l] : most;
    EACH_VECTOR(r, i) {
        D mix[DPARTS];
        row_ratio(r, i, order, ratio);
        for (int d = 0; d < DPARTS; d++) {
            const pair down = pair_sum(ratio[d].log_mix, pair_of(d_set(-most), d_set(0)));
            mix[d] = d_select(ratio[d].mix > d_set(0), d_exp(down, d_set(0)), d_set(0));
        }
        row_add_wide(&sum, i, row_held(r, i, mix));
    }
    return pair_sum(pair_of(d_set(most), d_set(0)), pair_log_of(d_set(row_total(&sum))));
}
WHOLE_ROWS(renyi_divergence) {
    const double order = finely(r->p + RENYI_ORDER), less = order - 1;
    row_sum_t total = row_sum(), excess = row_sum(), mixed = row_sum();
    int unforeseen = 0; /* some class has a target and no chance at all */
    EACH_VECTOR(r, i) {
        ratio_t ratio[DPARTS];
        D term[DPARTS], mix[DPARTS], wide[DPARTS];
        const V x = v_load(r->in[PRED] + i), t = v_load(r->in[TARGET] + i);
        rows_of_probabilities(r, i);
        row_ratio(r, i, order, ratio);
        v_widen(t, wide);
        for (int d = 0; d < DPARTS; d++) term[d] = ratio[d].t_more, mix[d] = ratio[d].mix;
        row_add_wide(&excess, i, row_held(r, i, term));
        row_add_wide(&mixed, i, row_held(r, i, mix));
        row_add_wide(&total, i, row_held(r, i, wide));
        unforeseen |= m_any(m_and(row_holds(r, i), m_and(x == v_zero(), t > v_zero())));
    }
    const double all = row_total(&total), sum = row_total(&mixed), mean = row_total(&excess) / all, more = less * mean;
    const D scale = d_set(in_base_wide(1, r->p)), a = d_set(order), one = d_set(1), zero = d_set(0);
    const int infinite = sum == 0 || (unforeseen && order >= 1), huge = !infinite && !isfinite(sum);
    const pair log_all = pair_log_of(d_set(all > 0 ? all : 1));
    const pair log_sum = huge ? renyi_log_sum(r, order) : pair_log_of(d_set(infinite ? 1 : sum));
    const pair log = fabs(more) < 0.5 ? pair_log1p(pair_of(d_set(more), zero))
                                      : pair_sum(log_sum, pair_of(-log_all.hi, -log_all.lo));
    r->value = (REAL)in_base_wide(all == 0 ? NAN : infinite ? INFINITY : more == 0 ? mean : log.hi[0] / less, r->p);
    EACH_VECTOR(r, i) {
        ratio_t ratio[DPARTS];
        D by_x[DPARTS], by_t[DPARTS], bend[DPARTS], x[DPARTS], t[DPARTS];
        row_ratio(r, i, order, ratio);
        v_widen(v_load(r->in[PRED] + i), x), v_widen(v_load(r->in[TARGET] + i), t);
        for (int d = 0; d < DPARTS; d++) { /* u^a over the sum, and by what else it is multiplied */
            const ratio_t *u = &ratio[d];
            const L plain = (u->power > zero) & (x[d] > zero);
            const pair log_pull = pair_sum(u->log_power, pair_of(-log_sum.hi, -log_sum.lo));
            const pair log_x = pair_sum(u->log_mix, pair_of(-u->log_power.hi, -u->log_power.lo));
            const D part = d_exp(pair_sum(log_pull, log_x), zero); /* of the sum of t^a p^(1-a) */
            const pair log_over = pair_sum(log_pull, pair_of(-log_x.hi, -log_x.lo));
            const L large = log_over.hi > zero; /* it may overflow before it is multiplied with what is small */
            const D over = d_exp(log_over, d_select(large, d_set(-64), zero));
            const D bare = d_exp(pair_sum(log_pull, pair_of(-u->l.hi, -u->l.lo)), zero);
            /* u^(a - 1) over the sum, which may be as small as the target */
            const D limit =
                d_select((t[d] == zero) & (x[d] > zero) & (d_set(less) > zero), zero, d_fma(d_set(less), u->more, one));
            const D share = d_select((t[d] > zero) & (x[d] > zero), bare, limit / d_set(sum));
            const D far = (a * share - one / d_set(all)) / d_set(less);
            const D near = ((one - d_set(mean)) + a * u->more) / d_set(sum);
            by_x[d] = -scale * d_select(plain, d_exp(log_pull, zero), u->power / d_set(sum));
            by_t[d] = scale * (fabs(more) < 0.5 ? near : far);
            bend[d] = scale * d_select(plain, over * d_fma(-d_set(less), part, a), -by_x[d]);
            bend[d] *= d_select((L)plain & large, d_set(0x1p64), one);
            if (infinite || all == 0) by_x[d] = by_t[d] = bend[d] = d_set(NAN);
        }
        row_put(r->grad[PRED], i, v_narrow(by_x));
        row_put(r->grad[TARGET], i, v_narrow(by_t));
        row_put(r->hess, i, v_narrow(bend));
    }
}

/* Proper, and 0 for a perfect forecast: |t| (1 - cosine of the angle between p and t). */
DEFINE(spherical) = {
    LOSS(spherical),
    .aliases = "spherical_score",
    .family = "information",
    .summary = "The spherical score of a probability forecast, as a loss.",
    .formula = "|target| - sum over classes of target pred / |pred|",
    .latex = "\\|t\\| - \\frac{\\sum_c t_c p_c}{\\|p\\|}",
    .tasks = "multiclass",
    .see_also = "brier, categorical_cross_entropy, cosine_distance",
    .look_alikes = "1 - spherical score: the same for labels",
    .source = "T. Gneiting, A. Raftery, Strictly proper scoring rules, prediction and estimation, JASA 102, 2007",
    .kinks = "a row of zeros: cosine and derivatives by pred 0",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 0,
    .inputs = {TWO_DISTRIBUTIONS},
    .traits = LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_PROPER,
    .hess_kinds = EXACT,
    .whole_rows = 1,
    .ulp_value = 3,
    .ulp_grad = 4,
    .ulp_hess = 5,
};
WHOLE_ROWS(spherical) {
    EACH_VECTOR(r, i) rows_of_probabilities(r, i);
    REAL *const by_target = r->grad[TARGET];
    r->grad[TARGET] = NULL; /* of the length of target as well: not the slope of the cosine */
    const angle_t a = angle_of(r);
    const double length = ldexp(a.lengths[TARGET], a.exponents[TARGET]), distance = cosine_distance_of(r, &a);
    r->value = (REAL)(length * distance);
    cosine_slopes(r, &a, length);
    r->grad[TARGET] = by_target;
    const L none = d_set(a.lengths[PRED] * a.lengths[TARGET]) == d_set(0);
    EACH_VECTOR(r, i) { /* both of length 1, target - pred: along target 1 - cosine, the rest is pred's */
        D across[DPARTS], other[DPARTS];
        not_along(r, &a, PRED, i, across, other);
        UNROLL for (int d = 0; d < DPARTS; d++) {
            const D along = d_set(distance) * (other[d] / d_set(a.lengths[TARGET]));
            across[d] = along - d_select(none, d_set(0), across[d] / d_set(a.lengths[PRED]));
            across[d] = d_select(d_set(a.lengths[TARGET]) == d_set(0), d_set(0), across[d]);
        }
        row_put(by_target, i, v_narrow(across));
    }
}

/* Kullback-Leibler divergence of N(pred, e^log_var) from N(0, 1), the regulariser of variational autoencoders. */
DEFINE(gaussian_kl) = {
    LOSS(gaussian_kl),
    .aliases = "vae_kl",
    .family = "information",
    .summary = "Divergence of a normal distribution from the standard one: what a variational autoencoder adds.",
    .formula = "(pred^2 + exp(log_var) - log_var - 1) / 2",
    .latex = "\\tfrac12\\left(\\mu^2 + e^{v} - v - 1\\right)",
    .tasks = "",
    .see_also = "kl_div, gaussian_nll",
    .look_alikes =
        "Chainer: gaussian_kl_divergence: reduction=sum\nPyTorch: kl_divergence(Normal(mu, sigma), Normal(0, 1)): "
        "log_var = 2 log(sigma), reduction=none",
    .source = "D. Kingma, M. Welling, Auto-encoding variational Bayes, ICLR 2014",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 2,
    .n_params = 0,
    .inputs = {INPUT("pred", REAL, 1, "mean"), INPUT("log_var", REAL, 1, "logarithm of the variance")},
    .traits = LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_STRICTLY_CONVEX |
              LOSSFN_TRAIT_STRONGLY_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT,
    .ulp_value = 2,
    .ulp_grad = 1,
    .ulp_hess = 0.5,
};
ELEMENTWISE(gaussian_kl) {
    (void)p;
    const V m = in[PRED], v = in[1], half = v_set(0.5);
    const M huge = v > v_set(EXP_OVERFLOW - 2); /* half of e^v may be finite */
    V whole = half * v_expm1_less(v), slope = half * v_expm1(v);
    if (m_any(huge)) {
        const V e = v_exp_over(v, v_zero(), v_set(2), 1);
        whole = v_select(huge, v_select(e == v_set(INFINITY), e, v_fma(-half, v, e)), whole);
        slope = v_select(huge, e, slope);
    }
    u->value = v_fma(half * m, m, whole);
    u->grad[PRED] = m;
    u->grad[1] = slope;
    u->hess = v_nan_from(v_one(), m + v);
}
