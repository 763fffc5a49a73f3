/* SPDX-License-Identifier: MIT
 * Losses that look at the softmax probability p_k of the class alone: sum over k of w_k t_k phi(p_k). What a loss says
 * is phi, its slope p phi'(p), and that slope's own, p (p phi'(p))': these are derivatives by ln p, so they stay finite
 * where p vanishes. With h_k and c_k those two times w_k t_k, H and C their sums:
 *   d/dz_j = h_j (1 - p_j) - p_j (H - h_j)
 *   d2/dz_j2 = (1 - p_j) (c_j (1 - p_j) - p_j h_j) - p_j (1 - p_j) (H - h_j) + p_j^2 (C - c_j) */

#include "losses/softmax_row.h"

/* A class's probability, the probability of all others, -ln p, and half of that, which may be finite alone. */
typedef struct {
    V p, rest, surprise, half;
    V down, down_rest; /* ln p of the likeliest class, less ln p; and what rounding took from it */
} chance_t;
typedef struct {
    V half, slope, curve; /* half of the value */
} phi_t;
typedef phi_t (*phi_fn)(const whole_row_t *r, const softmax_t *q, const chance_t *c, int64_t i);

ALWAYS_INLINE chance_t chance_at(const softmax_t *q, int64_t i) {
    chance_t c;
    const V e = softmax_exp(q, i);
    const V half = v_set(0.5), half_down = v_fma(v_load(q->x + i), -half, half * q->top);
    c.down = two_sum(q->top, -v_load(q->x + i), &c.down_rest);
    c.down_rest = v_where(c.down < v_set(INFINITY), c.down_rest + (q->top_low - softmax_low(q, i)));
    c.p = e * q->inverse;
    c.rest = v_select(row_is(i, q->at), q->rest, q->total - e) * q->inverse;
    c.surprise = (c.down + (q->low ? c.down_rest : v_zero())) + q->log_total;
    c.half = v_select(c.down == v_set(INFINITY), half_down, half * c.surprise);
    return c;
}

/* For logits x and what rounding took from them: pred times `scale` and something else. */
ALWAYS_INLINE void softmax_phi(whole_row_t *r, const REAL *x, const REAL *low, V scale, phi_fn phi) {
    REAL *const drops = r->scratch[0], *const curves = r->scratch[1]; /* -h, c */
    const softmax_t q = softmax_of(r, x, low);
    row_sum_t value = row_sum();
    EACH_VECTOR(r, i) {
        const V w = v_load(r->w + i), a = w * v_load(r->in[TARGET] + i);
        const M counts = a != v_zero();
        const chance_t c = chance_at(&q, i);
        const phi_t f = phi(r, &q, &c, i);
        row_add(&value, r, i, v_where(counts, a * f.half));
        v_store(drops + i, v_where(counts, -a * f.slope));
        v_store(curves + i, v_where(counts, a * f.curve));
        row_put(r->grad[TARGET], i, v_where(w != v_zero(), 2 * (w * f.half)));
    }
    r->value = v_isfinite(q.top)[0] ? (REAL)(2 * row_total(&value)) : (REAL)NAN;
    if (!r->grad[PRED] && !r->hess && !r->product) return;
    const parted_t drop = part_sum(r, drops), curve = part_sum(r, curves);
    EACH_VECTOR(r, i) {
        const chance_t c = chance_at(&q, i);
        const V h = v_load(drops + i), k = v_load(curves + i);
        const V others = sum_without(&drop, h, i), bent = sum_without(&curve, k, i);
        const V p1 = scale * c.p, p2 = scale * p1; /* first, as they may be subnormal */
        row_put(r->grad[PRED], i, v_fma(-h * scale, c.rest, p1 * others));
        row_put(r->hess, i, v_fma(c.rest, v_fma(k * scale * scale, c.rest, p2 * h) + p2 * others, p2 * (c.p * bent)));
    }
    if (!r->product) return;
    /* with v_j measured from p.v, m_j = c_j v_j and M their sum: m_j (1 - p_j) - p_j (H v_j + M - m_j) */
    const V from = v_set(q.at < 0 ? 0 : (double)r->vector[q.at]);
    row_sum_t sum = row_sum();
    EACH_VECTOR(r, i) row_add(&sum, r, i, chance_at(&q, i).p * (v_load(r->vector + i) - from));
    const V middle = row_total_v(&sum);
    EACH_VECTOR(r, i) v_store(r->product + i, v_load(curves + i) * ((v_load(r->vector + i) - from) - middle));
    const parted_t moved = part_sum(r, r->product);
    EACH_VECTOR(r, i) {
        const chance_t c = chance_at(&q, i);
        const V m = v_load(r->product + i), v = (v_load(r->vector + i) - from) - middle;
        v_store(r->product + i,
                scale * scale * v_fma(m, c.rest, c.p * v_fma(drop.main + drop.others, v, -sum_without(&moved, m, i))));
    }
}

#define SOFTMAX_PHI(name)                                                                                              \
    ALWAYS_INLINE phi_t name##_phi(const whole_row_t *r, const softmax_t *q, const chance_t *c, int64_t i);            \
    WHOLE_ROWS(name) { softmax_phi(r, r->in[PRED], NULL, v_one(), name##_phi); }                                       \
    ALWAYS_INLINE phi_t name##_phi(const whole_row_t *r, const softmax_t *q, const chance_t *c, int64_t i)
#define SOFTMAX_INPUTS                                                                                                 \
    INPUT("pred", LOGITS, 1, "unnormalised log-probability of each class"),                                            \
        INPUT("target", LABEL, 1, "label, or distribution over the classes")

/* Focal loss of a softmax: -(1 - p)^gamma ln p, with a factor alpha for each class. */
enum { CATEGORICAL_FOCAL_GAMMA = 3 };
DEFINE(categorical_focal) = {
    LOSS(categorical_focal),
    .aliases = "softmax_focal",
    .family = "multiclass",
    .summary = "Cross entropy that turns its back on classes which are predicted well, on logits.",
    .formula = "-sum over classes of class_weight target alpha (1 - p)^gamma log(p);  p = softmax(pred)",
    .latex = "-\\sum_c w_c t_c \\alpha_c (1 - p_c)^\\gamma \\log p_c",
    .tasks = "multiclass",
    .see_also = "cross_entropy, poly1_cross_entropy",
    .look_alikes = "Keras: CategoricalFocalCrossentropy(from_logits=True): alpha=0.25 there is a factor of 0.25 here\n"
                   "MONAI: FocalLoss(use_softmax=True): alpha as a list; class 0 is the background there\n"
                   "Kornia: focal_loss: alpha as a list",
    .source = "T.-Y. Lin et al., Focal loss for dense object detection, ICCV 2017",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 5,
    .inputs = {SOFTMAX_INPUTS},
    .params = {CLASS_PARAMS, PARAM_DOUBLE("gamma", "2", 0, 0, INFINITY, 1, "how much easy classes are turned down"),
               PARAM_LIST("alpha", "factor of each class, which a mean does not divide by")},
    .traits = LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE |
              LOSSFN_TRAIT_CALIBRATED,
    .hess_kinds = EXACT,
    .whole_rows = 1,
    .has_product = 1,
    .n_scratch = 2,
    .ulp_value = 8, /* of (1 - p)^gamma: gamma times the error of 1 - p */
    .ulp_grad = 10,
    .ulp_hess = 10,
};
SOFTMAX_PHI(categorical_focal) {
    (void)q;
    const V zero = v_zero(), gamma = r->p[CATEGORICAL_FOCAL_GAMMA];
    const V alpha = r->lists[0] ? v_load(r->lists[0] + i) : v_one();
    if (!IS(r->p[CATEGORICAL_FOCAL_GAMMA])) return (phi_t){alpha * c->half, -alpha, zero};
    /* w = (1 - p)^(gamma - 1); all is 0 where p is 1 */
    const M sure = c->rest == zero;
    V w = alpha * (gamma[0] == 2 ? c->rest : v_pow(c->rest, gamma - v_one())), also = v_one();
    const V ps = v_where(c->p != zero, c->p * c->surprise);
    const V bend = (gamma - v_one()) * (c->p * ps) + c->rest * (2 * c->p - ps);
    const M faint = c->rest < v_set(SMALLEST_NORMAL);
    const int small = gamma[0] < 1 && m_any(faint);
    if (small) { /* w may overflow: as two factors */
        const V root = v_pow(c->rest, v_set(0.5) * (gamma - v_one()));
        w = v_select(faint, alpha * root, w), also = v_select(faint, root, also);
    }
    V curve = also * (w * (gamma * (bend / c->rest))); /* in this order: w / rest may overflow */
    if (small) {                                       /* times rest^2 that is nothing */
        const double largest = sizeof(REAL) == 4 ? (double)FLT_MAX : DBL_MAX;
        curve = at_most(at_least(curve, -largest), largest);
    }
    return (phi_t){v_where(m_not(sure), also * (w * c->rest) * c->half),
                   v_where(m_not(sure), -(also * (w * v_fma(gamma, ps, c->rest)))), v_where(m_not(sure), curve)};
}

/* The first terms of cross entropy's series in 1 - p, of which the first has another coefficient: -ln p + epsilon (1 -
 * p).
 */
DEFINE(poly1_cross_entropy) = {
    LOSS(poly1_cross_entropy),
    .aliases = "poly1, poly_loss",
    .family = "multiclass",
    .summary = "Cross entropy with the first term of its series in 1 - p changed, on logits.",
    .formula = "sum over classes of class_weight target (-log(p) + epsilon (1 - p));  p = softmax(pred)",
    .latex = "\\sum_c w_c t_c \\left(-\\log p_c + \\epsilon (1 - p_c)\\right)",
    .tasks = "multiclass",
    .see_also = "cross_entropy, categorical_focal, symmetric_cross_entropy",
    .look_alikes = "optax: poly_loss_cross_entropy: epsilon=2\nTensorFlow Ranking: PolyOneSoftmaxLoss: epsilon=1",
    .source = "Z. Leng et al., PolyLoss, ICLR 2022",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 4,
    .inputs = {SOFTMAX_INPUTS},
    .params = {CLASS_PARAMS, PARAM_DOUBLE("epsilon", "1", -1, 0, INFINITY, 1,
                                          "what is added to the first coefficient; convex up to 1")},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_LIPSCHITZ | LOSSFN_TRAIT_CALIBRATED,
    .lipschitz = 1.4142135623730951,
    .hess_kinds = EXACT,
    .whole_rows = 1,
    .has_product = 1,
    .n_scratch = 2,
    .ulp_value = 4,
    .ulp_grad = 6,
    .ulp_hess = 8,
};
SOFTMAX_PHI(poly1_cross_entropy) {
    (void)q, (void)i;
    const V epsilon = r->p[3];
    const V low = v_fma(epsilon, c->rest, -(v_one() + epsilon)), high = v_fma(-epsilon, c->p, -v_one());
    return (phi_t){v_fma(v_set(0.5) * epsilon, c->rest, c->half), epsilon[0] < 0 ? low : high, -epsilon * c->p};
}

/* Cross entropy and, the other way round, the target's logarithm (held at clip where it is minus infinity) under the
 * prediction, which for a label is -clip (1 - p). */
DEFINE(symmetric_cross_entropy) = {
    LOSS(symmetric_cross_entropy),
    .aliases = "",
    .family = "multiclass",
    .summary = "Cross entropy and reverse cross entropy together: bears noisy labels, on logits.",
    .formula = "sum over classes of class_weight target (-alpha log(p) - beta clip (1 - p));  p = softmax(pred)",
    .latex = "\\sum_c w_c t_c \\left(-\\alpha \\log p_c - \\beta A (1 - p_c)\\right)",
    .tasks = "multiclass",
    .see_also = "cross_entropy, generalized_cross_entropy, poly1_cross_entropy",
    .look_alikes = "SCELoss of the paper's code: one-hot targets clipped at 1e-4: clip=-9.210340371976182",
    .source = "Y. Wang et al., Symmetric cross entropy for robust learning with noisy labels, ICCV 2019",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 6,
    .inputs = {SOFTMAX_INPUTS},
    .params = {CLASS_PARAMS, PARAM_DOUBLE("alpha", "0.1", 0, 0, INFINITY, 1, "factor of the cross entropy"),
               PARAM_DOUBLE("beta", "1", 0, 0, INFINITY, 1, "factor of the reverse cross entropy"),
               PARAM_DOUBLE("clip", "-4", -INFINITY, 1, 0, 0, "what stands for log 0")},
    .traits = LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE |
              LOSSFN_TRAIT_CALIBRATED,
    .hess_kinds = EXACT,
    .whole_rows = 1,
    .has_product = 1,
    .n_scratch = 2,
    .ulp_value = 4,
    .ulp_grad = 6,
    .ulp_hess = 8,
};
SOFTMAX_PHI(symmetric_cross_entropy) {
    (void)q, (void)i;
    const V alpha = r->p[3], back = -r->p[4] * r->p[5];
    const V own = v_where(alpha != v_zero(), alpha * c->half);
    return (phi_t){v_fma(v_set(0.5) * back, c->rest, own), v_fma(-back, c->p, -alpha), -back * c->p};
}

/* q, and what float takes from it: -ln p is multiplied with it. */
enum { GCE_POWER = 3, GCE_REST };
static void gce_setup(const double *params, double *constants) {
    constants[GCE_POWER] = params[GCE_POWER];
    constants[GCE_REST] = params[GCE_POWER] - (double)(float)params[GCE_POWER];
}

/* The Box-Cox transform of the likelihood: (1 - p^q) / q, from cross entropy (q to 0) to the mean absolute error (1).
 */
DEFINE(generalized_cross_entropy) = {
    LOSS(generalized_cross_entropy),
    .aliases = "",
    .family = "multiclass",
    .summary = "Between cross entropy and the absolute error of the probability: bears noisy labels, on logits.",
    .formula = "sum over classes of class_weight target (1 - p^q) / q;  p = softmax(pred)",
    .latex = "\\sum_c w_c t_c \\frac{1 - p_c^q}{q}",
    .tasks = "multiclass",
    .see_also = "cross_entropy, symmetric_cross_entropy",
    .look_alikes = "Keras: CategoricalGeneralizedCrossEntropy: q=0.5, takes probabilities",
    .source = "Z. Zhang, M. Sabuncu, Generalized cross entropy loss for training deep neural networks with noisy "
              "labels, NeurIPS 2018",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 4,
    .inputs = {SOFTMAX_INPUTS},
    .params = {CLASS_PARAMS, PARAM_DOUBLE("q", "0.7", 0, 1, 1, 0, "1 for the absolute error; near 0 cross entropy")},
    .traits = LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE |
              LOSSFN_TRAIT_LIPSCHITZ | LOSSFN_TRAIT_CALIBRATED,
    .lipschitz = 0.447,
    .hess_kinds = EXACT,
    .whole_rows = 1,
    .has_product = 1,
    .n_scratch = 2,
    .ulp_value = 4,
    .ulp_grad = 6,
    .ulp_hess = 8,
    .setup = gce_setup,
};
SOFTMAX_PHI(generalized_cross_entropy) {
    (void)i;
    const V power = r->p[GCE_POWER];
    /* p^q: of the likeliest class, times e^(-q down), the product in two parts */
    const V moved = -power * c->down, power_rest = sizeof(REAL) == 4 ? r->p[GCE_REST] : v_zero();
    const V rest = v_fma(-power, c->down, -moved) - power * c->down_rest - power_rest * c->down;
    V r0, tail, bounded = at_most(at_least(moved, EXP_UNDERFLOW), 0);
    const V n = exp_parts(bounded, v_select(bounded == moved, rest, v_zero()), &r0, &tail);
    const V pq = exp_whole(n, r0, tail, &(V){0}) * v_pow(q->one * q->inverse, power);
    return (phi_t){-v_expm1(-power * c->surprise) / (2 * power), -pq, -power * pq};
}

/* Cross entropy of logits to which the logarithms of the classes' frequencies were added, so that the model need not
 * learn them: it is to be used without. */
ALWAYS_INLINE phi_t cross_entropy_phi(const whole_row_t *r, const softmax_t *q, const chance_t *c, int64_t i) {
    (void)r, (void)q, (void)i;
    return (phi_t){c->half, -v_one(), v_zero()};
}
DEFINE(logit_adjusted) = {
    LOSS(logit_adjusted),
    .aliases = "logit_adjusted_cross_entropy, balanced_softmax",
    .family = "multiclass",
    .summary = "Cross entropy with the classes' frequencies in the logits: fair to rare classes.",
    .formula = "cross_entropy of pred + tau log(prior)",
    .latex = "\\sum_k w_k t_k \\left(\\log\\sum_c \\pi_c^\\tau e^{z_c} - z_k - \\tau\\log\\pi_k\\right)",
    .tasks = "multiclass",
    .see_also = "cross_entropy, ldam, categorical_focal",
    .look_alikes = "Balanced Softmax (Ren et al. 2020): the same",
    .source = "A. K. Menon et al., Long-tail learning via logit adjustment, ICLR 2021",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 5,
    .inputs = {SOFTMAX_INPUTS},
    .params = {CLASS_PARAMS,
               PARAM_LIST("prior", "frequency of each class; they need not sum to 1. Without: all the same"),
               PARAM_DOUBLE("tau", "1", 0, 0, INFINITY, 1, "how much the frequencies count")},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_LIPSCHITZ | LOSSFN_TRAIT_PROPER |
              LOSSFN_TRAIT_CALIBRATED,
    .lipschitz = 1.4142135623730951,
    .hess_kinds = EXACT | FISHER,
    .whole_rows = 1,
    .has_product = 1,
    .n_scratch = 4,
    .ulp_value = 4,
    .ulp_grad = 6,
    .ulp_hess = 8,
};
WHOLE_ROWS(logit_adjusted) {
    REAL *const x = r->scratch[2], *const low = r->scratch[3];
    int64_t at;
    /* measured from the largest pred, so that nothing is lost where all are far from 0; or half of it, if a difference
     * might overflow */
    const V most = v_set(sizeof(REAL) == 4 ? 0x1p126 : 0x1p1022),
            first = v_set((double)row_top(r, r->in[PRED], -1, &at));
    const V top = v_select(v_abs(first) > most, v_set(0.5) * first, first), tau = r->p[4];
    EACH_VECTOR(r, i) {
        V rest = v_zero(), log_rest = v_zero(), sum_rest, add = v_zero(),
          down = two_sum(v_load(r->in[PRED] + i), -top, &rest);
        if (r->lists[0]) {
            const V prior = v_load(r->lists[0] + i),
                    log_prior = log_limits(prior, log_two_parts(prior, &log_rest), v_set(INFINITY));
            add = v_where(tau != v_zero(), tau * log_prior);
            log_rest = v_where(v_isfinite(log_prior) & v_isfinite(add),
                               v_fma(tau, log_prior, -add) + tau * log_rest); /* tau may be 0 and the prior, too */
        }
        const V sum = two_sum(down, add, &sum_rest);
        v_store(x + i, sum);
        v_store(low + i, v_where(v_isfinite(sum), (rest + log_rest) + sum_rest));
    }
    softmax_phi(r, x, low, v_one(), cross_entropy_phi);
}

/* Label-distribution-aware margins: the class's own logit must be larger by a margin that is the larger, the rarer the
 * class is, m_k = max_margin (fewest / count_k)^(1/4). A function of p alone: with rho = e^(-scale m_k), D = 1 - p (1 -
 * rho) phi = -ln(p rho / D),   p phi' = -1 / D,   p (p phi')' = -p (1 - rho) / D^2 */
/* The largest margin times the scale, in two parts of float and of double. */
enum { LDAM_MARGIN = 3, LDAM_SCALE, LDAM_F64, LDAM_F32 = LDAM_F64 + 2 };
static void ldam_setup(const double *params, double *constants) {
    const double product = params[3] * params[4];
    constants[LDAM_MARGIN] = params[3];
    constants[LDAM_SCALE] = params[4];
    constants[LDAM_F64] = product;
    constants[LDAM_F64 + 1] = v_fma(v_set(params[3]), v_set(params[4]), v_set(-product))[0];
    constants[LDAM_F32] = (double)(float)product;
    constants[LDAM_F32 + 1] = product - (double)(float)product;
}
DEFINE(ldam) = {
    LOSS(ldam),
    .aliases = "label_distribution_aware_margin",
    .family = "multiclass",
    .summary = "Cross entropy with a margin for the class that is larger for rare classes.",
    .formula = "cross_entropy of scale (pred - m at the class);  m = max_margin (min(class_count) / class_count)^(1/4)",
    .latex = "-\\sum_k w_k t_k \\log \\frac{e^{s (z_k - m_k)}}{e^{s (z_k - m_k)} + \\sum_{c \\ne k} e^{s z_c}}",
    .tasks = "multiclass",
    .see_also = "cross_entropy, logit_adjusted, crammer_singer",
    .look_alikes = "LDAMLoss of the paper's code: class_count as cls_num_list, max_margin as max_m, s=30 as scale\n"
                   "CosFace, AM-softmax: pred of cosines, no class_count, max_margin=0.35, scale=64",
    .source = "K. Cao et al., Learning imbalanced datasets with label-distribution-aware margin loss, NeurIPS 2019",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 6,
    .inputs = {INPUT("pred", LOGITS, 1, "score of each class, as a cosine"),
               INPUT("target", LABEL, 1, "label, or distribution over the classes")},
    .params = {CLASS_PARAMS, PARAM_DOUBLE("max_margin", "0.5", 0, 0, INFINITY, 1, "margin of the rarest class"),
               PARAM_DOUBLE("scale", "1", 0, 1, INFINITY, 1, "factor of the scores: 30 for cosines"),
               PARAM_LIST("class_count", "how often each class comes; without: all the same")},
    .traits = LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 1.4142135623730951,
    .hess_kinds = EXACT,
    .whole_rows = 1,
    .has_product = 1,
    .n_scratch = 5,
    /* A probability that is not normal has fewer digits, of which scale^2 e^(scale margin) makes more of a result. */
    .ulp_value = 4,
    .ulp_grad = 8,
    .ulp_hess = 12,
    .setup = ldam_setup,
};
/* A class's margin in units of the logits, and what rounding took from it. */
ALWAYS_INLINE V ldam_margin(const whole_row_t *r, int64_t i, V *rest) {
    const V *const most = r->p + (sizeof(REAL) == 4 ? LDAM_F32 : LDAM_F64);
    const V share = r->lists[0] ? v_load(r->scratch[4] + i) : v_one(), m = most[0] * share;
    *rest = v_fma(most[0], share, -m) + most[1] * share;
    return m;
}
ALWAYS_INLINE phi_t ldam_phi(const whole_row_t *r, const softmax_t *q, const chance_t *c, int64_t i) {
    (void)q;
    V m_rest;
    const V m = ldam_margin(r, i, &m_rest);
    V x, tail, left;
    const V bounded = at_least(-m, EXP_UNDERFLOW);
    const V n = exp_parts(bounded, v_select(bounded == -m, -m_rest, v_zero()), &x, &tail);
    const V rho = exp_whole(n, x, tail, &left), gone = -v_expm1(-m), d = v_fma(c->p, rho, c->rest);
    const M near = m_and(c->p > v_set(0.5), rho > v_set(SMALLEST_NORMAL));
    const V far = ((c->surprise + m) + m_rest) + v_log1p(-c->p * gone);
    return (phi_t){v_set(0.5) * v_select(near, v_log1p(c->rest / (c->p * rho)), far), -v_one() / d,
                   -c->p * gone / (d * d)};
}
/* The only class whose target counts, or -1. */
ALWAYS_INLINE int64_t only_target(const whole_row_t *r) {
    int64_t only = -1, count = 0;
    for (int64_t c = 0; c < r->n; c++)
        if (r->w[c] * r->in[TARGET][c] != 0) only = c, count++;
    return count == 1 ? only : -1;
}
WHOLE_ROWS(ldam) {
    REAL *const x = r->scratch[2], *const low = r->scratch[3], *const share = r->scratch[4];
    int64_t at;
    const V top = v_set((double)row_top(r, r->in[PRED], -1, &at)), scale = r->p[LDAM_SCALE];
    if (r->lists[0]) { /* of the largest margin */
        EACH_VECTOR(r, i) v_store(share + i, -v_load(r->lists[0] + i));
        const V fewest = v_set(-(double)row_top(r, share, -1, &at));
        EACH_VECTOR(r, i) { /* 1 of the rarest class, also of one that never comes */
            const V count = v_load(r->lists[0] + i);
            v_store(share + i, v_select(count == fewest, v_one(), v_sqrt(v_sqrt(fewest / count))));
        }
    }
    EACH_VECTOR(r, i) {
        V rest, down = two_sum(v_load(r->in[PRED] + i), -top, &rest);
        const V product = scale * down;
        v_store(x + i, product);
        v_store(low + i, v_where(v_isfinite(product), v_fma(scale, down, -product) + scale * rest));
    }
    const int64_t only = only_target(r);
    if (only < 0) {
        softmax_phi(r, x, low, scale, ldam_phi);
        return;
    }
    /* Of one class it is the cross entropy of logits that lack its margin. By probabilities without the margin the
     * terms of the second derivatives cancel, all but e^-margin of them. */
    REAL *const by_target = r->grad[TARGET];
    if (by_target) {
        whole_row_t others = *r;
        others.grad[PRED] = others.hess = others.product = NULL;
        softmax_phi(&others, x, low, scale, ldam_phi);
    }
    const int64_t i = only / LANES * LANES;
    const M at_only = row_is(i, only);
    V m_rest, lost, m = ldam_margin(r, i, &m_rest), less = two_sum(v_load(x + i), -m, &lost);
    lost = v_where(v_isfinite(less), v_load(low + i) + (lost - m_rest));
    v_store(x + i, v_select(at_only, less, v_load(x + i)));
    v_store(low + i, v_select(at_only, lost, v_load(low + i)));
    r->grad[TARGET] = NULL;
    softmax_phi(r, x, low, scale, cross_entropy_phi);
    r->grad[TARGET] = by_target;
}

/* Cross entropy of logits that were bent into (-cap, cap): y = cap tanh(z/cap). With g and h by y, y' = 1 - (y/cap)^2
 * and y'' = -2 y y'/cap^2, by z: g y' and h y'^2 + g y''. */
enum { SOFTCAP = BASE_CONSTANTS, SOFTCAP_Z_LOSS = SOFTCAP + 2 };
static void softcap_setup(const double *params, double *constants) {
    set_base(params[0], constants);
    set_finely(params[4], constants + SOFTCAP);
    constants[SOFTCAP_Z_LOSS] = params[5];
}
DEFINE(softcap_cross_entropy) = {
    LOSS(softcap_cross_entropy),
    .aliases = "",
    .family = "multiclass",
    .summary = "Cross entropy of logits that a hyperbolic tangent holds below a cap.",
    .formula =
        "cross_entropy of y = cap tanh(pred / cap): sum over classes of class_weight target (Z - y) + z_loss Z^2; "
        " Z = log sum exp(y)",
    .latex = "\\sum_k w_k t_k \\left(Z - y_k\\right) + \\lambda Z^2, \\quad Z = \\log\\sum_c e^{y_c}, \\quad y = a "
             "\\tanh(z / a)",
    .tasks = "multiclass",
    .see_also = "cross_entropy, logit_adjusted",
    .look_alikes = "Liger: LigerCrossEntropyLoss(softcap=30): cap=30; lse_square_scale as z_loss\nGemma 2: "
                   "final_logit_softcapping=30: cap=30",
    .source = "Gemma Team, Gemma 2: improving open language models at a practical size, 2024",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 6,
    .inputs = {SOFTMAX_INPUTS},
    .params = {PARAM_BASE, CLASS_PARAMS, PARAM_DOUBLE("cap", "30", 0, 1, INFINITY, 1, "what no logit exceeds"),
               PARAM_DOUBLE("z_loss", "0", 0, 0, INFINITY, 1,
                            "factor of the squared log-sum-exp (in nats), which it keeps near 0")},
    .traits = LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE |
              LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 1.4142135623730951,
    .hess_kinds = EXACT,
    .link = LOSSFN__LINK_NONE,
    .whole_rows = 1,
    .has_product = 1,
    .n_scratch = 8,
    .ulp_value = 4,
    .ulp_grad = 8,
    .ulp_hess = 12,
    .setup = softcap_setup,
};
/* Adds z_loss times the square of Z = ln sum exp y to cross entropy and its derivatives by y. */
ALWAYS_INLINE void add_z_loss(whole_row_t *r, const REAL *y, const REAL *low, V z_loss) {
    const softmax_t q = softmax_of(r, y, low);
    const V z = softmax_log_total(r, &q), twice = 2 * z_loss, pull = twice * z;
    row_sum_t product = row_sum();
    r->value = r->value + (z_loss * z * z)[0];
    EACH_VECTOR(r, i) {
        const V prob = softmax_at(&q, i),
                rest = v_select(row_is(i, q.at), q.rest, q.total - softmax_exp(&q, i)) * q.inverse;
        if (r->grad[PRED]) v_store(r->grad[PRED] + i, v_fma(pull, prob, v_load(r->grad[PRED] + i)));
        if (r->hess) v_store(r->hess + i, v_fma(prob, v_fma(pull, rest, twice * prob), v_load(r->hess + i)));
        if (r->product) row_add(&product, r, i, prob * v_load(r->vector + i));
    }
    const V middle = row_total_v(&product);
    for (int64_t i = 0; r->product && i < r->n; i += LANES) {
        const V along = v_fma(pull, v_load(r->vector + i) - middle, twice * middle);
        v_store(r->product + i, v_fma(softmax_at(&q, i), along, v_load(r->product + i)));
    }
}
ALWAYS_INLINE void row_in_base(const whole_row_t *r, REAL *x) {
    if (!x || is_natural(r->p)) return;
    EACH_VECTOR(r, i) v_store(x + i, in_base(v_load(x + i), r->p));
}
WHOLE_ROWS(softcap_cross_entropy) {
    REAL *const *const s = r->scratch, *const y = s[2], *const low = s[3], *const slope = s[4], *const bend = s[5];
    REAL *const turned = s[6], *const by_y = s[7], *const by_z = r->grad[PRED];
    const REAL *const vector = r->vector;
    const D cap = d_set(finely(r->p + SOFTCAP)), zero = d_set(0), one = d_set(1);
    EACH_VECTOR(r, i) {
        D z[DPARTS], rest[DPARTS], first[DPARTS], second[DPARTS], back[DPARTS];
        v_widen(v_load(r->in[PRED] + i), z);
        for (int d = 0; d < DPARTS; d++) {
            const pair twice = pair_times(
                pair_quotient(pair_of(-d_at_most(d_abs(z[d]), 0x1p900), zero), pair_of(cap, zero)), d_set(2));
            const pair a = pair_of(d_at_least(twice.hi, -800), d_select(twice.hi > d_set(-800), twice.lo, zero));
            const pair gone = pair_expm1(a), sum = pair_sum(gone, pair_of(d_set(2), zero));
            const pair tanh = pair_quotient(pair_of(-gone.hi, -gone.lo), sum),
                       size = pair_product(tanh, pair_of(cap, zero));
            const L below = z[d] < zero;
            first[d] = 4 * d_exp(a, zero) / (sum.hi * sum.hi);
            second[d] = d_select(below, one, -one) * (2 * tanh.hi * first[d] / cap);
            z[d] = d_select(below, -size.hi, size.hi), rest[d] = d_select(below, -size.lo, size.lo);
        }
        const V whole = v_narrow(z);
        v_widen(whole, back);
        for (int d = 0; d < DPARTS; d++) rest[d] = (z[d] - back[d]) + rest[d];
        v_store(y + i, whole), v_store(low + i, v_narrow(rest));
        v_store(slope + i, v_narrow(first)), v_store(bend + i, v_narrow(second));
        if (r->product) v_store(turned + i, v_load(slope + i) * v_load(vector + i));
    }
    if (by_z || r->hess || r->product) r->grad[PRED] = by_y;
    r->vector = turned;
    softmax_phi(r, y, low, v_one(), cross_entropy_phi);
    r->value = in_base(v_set((double)r->value), r->p)[0];
    row_in_base(r, r->grad[PRED]), row_in_base(r, r->grad[TARGET]);
    row_in_base(r, r->hess), row_in_base(r, r->product);
    if (IS(r->p[SOFTCAP_Z_LOSS])) add_z_loss(r, y, low, r->p[SOFTCAP_Z_LOSS]);
    r->grad[PRED] = by_z, r->vector = vector;
    EACH_VECTOR(r, i) {
        const V y1 = v_load(slope + i), y2 = v_load(bend + i), g = v_load(by_y + i);
        row_put(by_z, i, g * y1);
        if (r->hess) v_store(r->hess + i, v_fma(v_load(r->hess + i) * y1, y1, g * y2));
        if (r->product) v_store(r->product + i, v_fma(v_load(r->product + i), y1, g * y2 * v_load(vector + i)));
    }
}

#include "losses/tempered.h"
