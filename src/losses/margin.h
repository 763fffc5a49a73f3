/* SPDX-License-Identifier: MIT
 * Losses of the margin m = Y pred, Y = -1 or +1. */

#define MARGIN_INPUTS                                                                                                  \
    INPUT("pred", REAL, 1, "score; its sign is the decision"),                                                         \
        INPUT("target", MARGIN_LABEL, 0, "-1 or +1, or bool; 0 or 1 with labels=01")
#define MARGIN_PARAMS                                                                                                  \
    PARAM_DOUBLE("margin", "1", 0, 0, INFINITY, 1, "the margin beyond which the loss is 0"),                           \
        PARAM_CHOICE("labels", "+-1", "+-1, 01", "what targets are called")
enum { MARGIN_LABELS = 1 }; /* constant: 1 if labels are 0 and 1 */

ALWAYS_INLINE V margin_label(V target, V labels_01) {
    return v_select(labels_01 != v_zero(), 2 * target - v_one(), target);
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
    .look_alikes = "Keras: Hinge: labels -1 and +1 here; labels=01 for 0 and 1\noptax: hinge_loss: reduction=none\n"
                   "XGBoost: binary:hinge: labels=01, reduction=sum",
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
};
ELEMENTWISE(hinge) {
    V y = margin_label(in[TARGET], p[MARGIN_LABELS]), slack = p[0] - y * in[PRED];
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
};
ELEMENTWISE(squared_hinge) {
    V y = margin_label(in[TARGET], p[MARGIN_LABELS]), slack = p[0] - y * in[PRED];
    M beyond = slack <= v_zero();
    V s = v_select(beyond, v_zero(), slack);
    u->value = s * s;
    u->grad[PRED] = -2 * y * s;
    u->grad[TARGET] = v_zero();
    u->hess = v_select(beyond, v_zero(), v_set(2));
}
