/* SPDX-License-Identifier: MIT
 * Information and divergences of distributions, c->x the predicted one and c->t the target. */

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
    u->grad[PRED] = in_base(-v_one() / prob, p);
    u->hess = in_base(v_one() / prob / prob, p);
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
    .ulp_value = 4,
    .ulp_grad = 3,
    .ulp_hess = 2,
    .setup = information_setup,
};
ROWWISE(entropy, 1, 1, 0, 0);
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
    u->hess = in_base(-v_one() / x, p);
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
    .summary = "Kullback-Leibler divergence of the prediction from the target distribution.",
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
    .ulp_value = 4,
    .ulp_grad = 3,
    .ulp_hess = 4,
    .setup = kl_div_setup,
};
/* ln(t/x): where they are near, of their difference, gap; else of the quotient, if that is no subnormal or infinite. */
ALWAYS_INLINE V log_quotient_of(V t, V x, V gap) {
    const V q = t / x;
    const M near = v_abs(gap) < v_set(0.5) * x, plain = (q >= v_set(SMALLEST_NORMAL)) & (q < v_set(INFINITY));
    V log = v_log(v_select(plain, q, t));
    if (!m_all(plain | near)) log = v_select(plain, log, log - v_log(x));
    return v_select(near, v_log1p(gap / x), log);
}
ALWAYS_INLINE V log_quotient(V t, V x) { return log_quotient_of(t, x, t - x); }

/* x t and t / x, also where t = exp(y) is so small that it has lost digits: by its root, twice. */
ALWAYS_INLINE V kl_times(V x, V t, const class_t *c, const V *p) {
    if (!IS(p[KL_LOG_TARGET])) return x * t;
    V root = v_exp(v_set(0.5) * c->t);
    return x * root * root;
}
ALWAYS_INLINE V kl_over(V t, V x, const class_t *c, const V *p) {
    if (!IS(p[KL_LOG_TARGET])) return t / x;
    V root = v_exp(v_set(0.5) * c->t);
    return root / x * root;
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
    return (log_target ? c->t : v_log(*t)) - (log_pred ? x : v_log(x));
}
ROWWISE(kl_div, 1, 1, 0, 0);
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
        u->grad[PRED] = v_nan_from(in_base(v_where(m_not(none), -kl_over(t, c->x, c, p)), p), c->x);
        u->hess = in_base(v_where(m_not(none), kl_over(t, c->x, c, p) / c->x), p);
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
    .ulp_value = 4,
    .ulp_grad = 3,
    .ulp_hess = 4,
    BASE_SETUP};
ROWWISE(generalized_kl, 1, 1, 0, 0);
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
    u->hess = in_base(v_where(t != zero, t / x / x), p);
}

/* Kullback and Leibler (1951), the other way round: sum of p ln(p/t). */
DEFINE(reverse_kl) = {
    LOSS(reverse_kl),
    .aliases = "",
    .family = "information",
    .summary = "Kullback-Leibler divergence of the target from the prediction: seeks one mode.",
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
    .ulp_value = 4,
    .ulp_grad = 3,
    .ulp_hess = 3,
    BASE_SETUP};
ROWWISE(reverse_kl, 1, 1, 0, 0);
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
    u->hess = in_base(v_one() / x, p);
}

enum { JS_SHARE = BASE_CONSTANTS };
static void jensen_shannon_setup(const double *params, double *constants) {
    set_base(params[0], constants);
    constants[JS_SHARE] = params[1];
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
    .ulp_value = 4,
    .ulp_grad = 3.5,
    .ulp_hess = 4,
    .setup = jensen_shannon_setup,
};
/* ln(t/m), ln(p/m), t/m and m, the last two times any power of two. */
typedef struct {
    V m, of_target, of_pred, share;
} mixture_t;
ALWAYS_INLINE mixture_t mixture_of(V x, V t, const V *p) {
    const V a = p[JS_SHARE], b = v_one() - a;
    const V scale = v_select(v_greater(x, t) < v_set(0x1p-60), v_set(0x1p60), v_one()); /* so that m is no subnormal */
    x *= scale, t *= scale;
    const V m = v_fma(a, t, b * x), gap = t - x;
    return (mixture_t){m, log_quotient_of(t, m, b * gap), log_quotient_of(x, m, -(a * gap)), t / m};
}
ROWWISE(jensen_shannon, 1, 1, 0, 0);
ROW_SUMS(jensen_shannon) {
    (void)r;
    const V zero = v_zero(), a = p[JS_SHARE], x = c->x, t = c->t;
    const mixture_t q = mixture_of(x, t, p);
    u->outside = no_probability(x) | no_probability(t);
    s[0] = v_select(t == zero, zero, a * t * q.of_target) + v_select(x == zero, zero, (v_one() - a) * x * q.of_pred);
}
ROW_FINISH(jensen_shannon) {
    (void)r, (void)k;
    u->value = in_base(s[0], p);
}
ROW_MAP(jensen_shannon) {
    (void)r, (void)k;
    const V zero = v_zero(), a = p[JS_SHARE], b = v_one() - a, x = c->x, t = c->t;
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
    .ulp_value = 4,
    .ulp_grad = 0.5,
    .ulp_hess = 0.5,
};
ROWWISE(total_variation, 1, 1, 0, 0);
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
ROWWISE(hellinger, 1, 1, 0, 0);
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
    .summary = "Pearson's chi-squared divergence of the prediction from the target.",
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
    .ulp_value = 4,
    .ulp_grad = 3,
    .ulp_hess = 2,
};
ROWWISE(chi2, 1, 1, 0, 0);
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
    .ulp_value = 4,
    .ulp_grad = 1,
    .ulp_hess = 0.5,
};
ROWWISE(brier, 1, 1, 0, 0);
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
    u->value = v_select(over == infinity, infinity, over - log_quotient(y, x));
    u->grad[PRED] = -over / x;
    u->grad[TARGET] = v_select(y > x, gap / y / x, over / y);
    u->hess = v_fma(v_set(2), y / x, v_set(-1)) / x / x;
}
