/* SPDX-License-Identifier: MIT
 * Information and divergences of distributions, c->x the predicted one and c->t the target. */

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
    u->outside = (prob < v_zero()) | (prob > v_one());
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
    u->outside = (x < v_zero()) | (x > v_one());
    s[0] = v_select(x == v_zero(), v_zero(), x * log_in_base(x, p));
}
ROW_FINISH(entropy) {
    (void)r, (void)p, (void)k;
    u->value = v_zero() - s[0];
}
ROW_MAP(entropy) {
    (void)r, (void)k;
    V x = c->x;
    u->outside = (x < v_zero()) | (x > v_one());
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
    const V zero = v_zero(), one = v_one();
    V x = c->x, log_t, ratio;
    *outside = m_none();
    if (IS(p[KL_LOG_TARGET])) {
        *t = v_exp(c->t);
        log_t = c->t;
    } else {
        *t = c->t;
        *outside |= (c->t < zero) | (c->t > one);
        log_t = v_log(c->t);
    }
    if (IS(p[KL_LOG_PRED])) return log_t - x;
    *outside |= (x < zero) | (x > one);
    ratio = log_t - v_log(x);
    if (IS(p[KL_LOG_TARGET])) return ratio;
    M near = (2 * *t > x) & (*t < 2 * x); /* there t - x is exact and the logarithms would cancel */
    return v_select(near, v_log1p((*t - x) / x), ratio);
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
