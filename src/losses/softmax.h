/* SPDX-License-Identifier: MIT
 * Losses that look at the softmax probability p_k of the class alone: sum over k of w_k t_k phi(p_k). What a loss says
 * is phi, its slope p phi'(p), and that slope's own, p (p phi'(p))': these are derivatives by ln p, so they stay finite
 * where p vanishes. With h_k and c_k those two times w_k t_k, H and C their sums:
 *   d/dz_j = h_j (1 - p_j) - p_j (H - h_j)
 *   d2/dz_j2 = (1 - p_j) (c_j (1 - p_j) - p_j h_j) - p_j (1 - p_j) (H - h_j) + p_j^2 (C - c_j) */

#include "losses/softmax_row.h"
#include "simd/deviance.h"

/* A class's probability, the probability of all others, -ln p. */
typedef struct {
    V p, rest, surprise;
    V down, down_rest; /* ln p of the likeliest class, less ln p; and what rounding took from it */
} chance_t;
typedef struct {
    V value, slope, curve;
} phi_t;
typedef phi_t (*phi_fn)(const whole_row_t *r, const softmax_t *q, const chance_t *c, int64_t i);

ALWAYS_INLINE chance_t chance_at(const softmax_t *q, int64_t i) {
    chance_t c;
    const V e = softmax_exp(q, i);
    c.down = two_sum(q->top, -v_load(q->x + i), &c.down_rest);
    c.down_rest = v_where(c.down < v_set(INFINITY), c.down_rest + (q->top_low - softmax_low(q, i)));
    c.p = e * q->inverse;
    c.rest = v_select(row_is(i, q->at), q->rest, q->total - e) * q->inverse;
    c.surprise = (c.down + (q->low ? c.down_rest : v_zero())) + q->log_total;
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
        row_add(&value, r, i, v_where(counts, a * f.value));
        v_store(drops + i, v_where(counts, -a * f.slope));
        v_store(curves + i, v_where(counts, a * f.curve));
        row_put(r->grad[TARGET], i, v_where(w != v_zero(), w * f.value));
    }
    r->value = v_isfinite(q.top)[0] ? (REAL)row_total(&value) : (REAL)NAN;
    if (!r->grad[PRED] && !r->hess && !r->product) return;
    const parted_t drop = part_sum(r, drops), curve = part_sum(r, curves);
    EACH_VECTOR(r, i) {
        const chance_t c = chance_at(&q, i);
        const V h = v_load(drops + i), k = v_load(curves + i);
        const V others = sum_without(&drop, h, i), bent = sum_without(&curve, k, i);
        const V p1 = scale * c.p, p2 = scale * p1; /* first, as they may be subnormal */
        row_put(r->grad[PRED], i, v_fma(-h * scale, c.rest, p1 * others));
        row_put(r->hess, i, v_fma(c.rest, v_fma(k * scale * scale, c.rest, p2 * h) + p2 * others, p2 * c.p * bent));
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
    .tasks = "multiclass, imbalanced",
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
    if (!IS(r->p[CATEGORICAL_FOCAL_GAMMA])) return (phi_t){alpha * c->surprise, -alpha, zero};
    /* w = (1 - p)^(gamma - 1); all is 0 where p is 1 */
    const M sure = c->rest == zero;
    const V w = alpha * (gamma[0] == 2 ? c->rest : v_pow(c->rest, gamma - v_one()));
    const V ps = v_where(c->p != zero, c->p * c->surprise);
    const V bend = (gamma - v_one()) * (c->p * ps) + c->rest * (2 * c->p - ps);
    return (phi_t){v_where(m_not(sure), w * c->rest * c->surprise),
                   v_where(m_not(sure), -w * v_fma(gamma, ps, c->rest)),
                   v_where(m_not(sure), w * (gamma * (bend / c->rest))) /* in this order: w / rest may overflow */};
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
    return (phi_t){v_fma(epsilon, c->rest, c->surprise), epsilon[0] < 0 ? low : high, -epsilon * c->p};
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
    .tasks = "multiclass, noisy labels",
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
    const V own = v_where(alpha != v_zero(), alpha * c->surprise);
    return (phi_t){v_fma(back, c->rest, own), v_fma(-back, c->p, -alpha), -back * c->p};
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
    .tasks = "multiclass, noisy labels",
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
    return (phi_t){-v_expm1(-power * c->surprise) / power, -pq, -power * pq};
}

/* Cross entropy of logits to which the logarithms of the classes' frequencies were added, so that the model need not
 * learn them: it is to be used without. */
ALWAYS_INLINE phi_t cross_entropy_phi(const whole_row_t *r, const softmax_t *q, const chance_t *c, int64_t i) {
    (void)r, (void)q, (void)i;
    return (phi_t){c->surprise, -v_one(), v_zero()};
}
DEFINE(logit_adjusted) = {
    LOSS(logit_adjusted),
    .aliases = "logit_adjusted_cross_entropy, balanced_softmax",
    .family = "multiclass",
    .summary = "Cross entropy with the classes' frequencies in the logits: fair to rare classes.",
    .formula = "cross_entropy of pred + tau log(prior)",
    .latex = "\\sum_k w_k t_k \\left(\\log\\sum_c \\pi_c^\\tau e^{z_c} - z_k - \\tau\\log\\pi_k\\right)",
    .tasks = "multiclass, imbalanced",
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
    /* measured from the largest pred, so that nothing is lost where all are far from 0 */
    const V top = v_set((double)row_top(r, r->in[PRED], -1, &at)), tau = r->p[4];
    EACH_VECTOR(r, i) {
        V rest = v_zero(), log_rest = v_zero(), sum_rest, add = v_zero(),
          down = two_sum(v_load(r->in[PRED] + i), -top, &rest);
        if (r->lists[0]) {
            const V prior = v_load(r->lists[0] + i),
                    log_prior = log_limits(prior, log_two_parts(prior, &log_rest), v_set(INFINITY));
            add = v_where(tau != v_zero(), tau * log_prior);
            log_rest = v_where(v_isfinite(add), v_fma(tau, log_prior, -add) + tau * log_rest);
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
    .tasks = "multiclass, imbalanced",
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
ALWAYS_INLINE phi_t ldam_phi(const whole_row_t *r, const softmax_t *q, const chance_t *c, int64_t i) {
    (void)q;
    const V *const most = r->p + (sizeof(REAL) == 4 ? LDAM_F32 : LDAM_F64);
    const V share = r->lists[0] ? v_load(r->scratch[4] + i) : v_one();
    const V m = most[0] * share, m_rest = v_fma(most[0], share, -m) + most[1] * share;
    V x, tail, left;
    const V bounded = at_least(-m, EXP_UNDERFLOW);
    const V n = exp_parts(bounded, v_select(bounded == -m, -m_rest, v_zero()), &x, &tail);
    const V rho = exp_whole(n, x, tail, &left), gone = -v_expm1(-m), d = v_fma(c->p, rho, c->rest);
    const M near = m_and(c->p > v_set(0.5), rho > v_set(SMALLEST_NORMAL));
    const V far = ((c->surprise + m) + m_rest) + v_log1p(-c->p * gone);
    return (phi_t){v_select(near, v_log1p(c->rest / (c->p * rho)), far), -v_one() / d, -c->p * gone / (d * d)};
}
WHOLE_ROWS(ldam) {
    REAL *const x = r->scratch[2], *const low = r->scratch[3], *const share = r->scratch[4];
    int64_t at;
    const V top = v_set((double)row_top(r, r->in[PRED], -1, &at)), scale = r->p[LDAM_SCALE];
    if (r->lists[0]) { /* of the largest margin */
        EACH_VECTOR(r, i) v_store(share + i, -v_load(r->lists[0] + i));
        const V fewest = v_set(-(double)row_top(r, share, -1, &at));
        EACH_VECTOR(r, i) v_store(share + i, v_sqrt(v_sqrt(fewest / v_load(r->lists[0] + i))));
    }
    EACH_VECTOR(r, i) {
        V rest, down = two_sum(v_load(r->in[PRED] + i), -top, &rest);
        const V product = scale * down;
        v_store(x + i, product);
        v_store(low + i, v_where(v_isfinite(product), v_fma(scale, down, -product) + scale * rest));
    }
    softmax_phi(r, x, low, scale, ldam_phi);
}

/* Cross entropy of logits that were bent into (-cap, cap): y = cap tanh(z/cap). With g and h by y, y' = 1 - (y/cap)^2
 * and y'' = -2 y y'/cap^2, by z: g y' and h y'^2 + g y''. */
enum { SOFTCAP = 3 };
static void softcap_setup(const double *params, double *constants) { set_finely(params[SOFTCAP], constants + SOFTCAP); }
DEFINE(softcap_cross_entropy) = {
    LOSS(softcap_cross_entropy),
    .aliases = "",
    .family = "multiclass",
    .summary = "Cross entropy of logits that a hyperbolic tangent holds below a cap.",
    .formula = "cross_entropy of cap tanh(pred / cap)",
    .latex = "\\sum_k w_k t_k \\left(\\log\\sum_c e^{y_c} - y_k\\right), \\quad y = a \\tanh(z / a)",
    .tasks = "multiclass",
    .see_also = "cross_entropy, logit_adjusted",
    .look_alikes = "Liger: LigerCrossEntropyLoss(softcap=30): cap=30\nGemma 2: final_logit_softcapping=30: cap=30",
    .source = "Gemma Team, Gemma 2: improving open language models at a practical size, 2024",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 4,
    .inputs = {SOFTMAX_INPUTS},
    .params = {CLASS_PARAMS, PARAM_DOUBLE("cap", "30", 0, 1, INFINITY, 1, "what no logit exceeds")},
    .traits = LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE |
              LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 1.4142135623730951,
    .hess_kinds = EXACT,
    .whole_rows = 1,
    .has_product = 1,
    .n_scratch = 8,
    .ulp_value = 4,
    .ulp_grad = 8,
    .ulp_hess = 12,
    .setup = softcap_setup,
};
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
    r->grad[PRED] = by_z, r->vector = vector;
    EACH_VECTOR(r, i) {
        const V y1 = v_load(slope + i), y2 = v_load(bend + i), g = v_load(by_y + i);
        row_put(by_z, i, g * y1);
        if (r->hess) v_store(r->hess + i, v_fma(v_load(r->hess + i) * y1, y1, g * y2));
        if (r->product) v_store(r->product + i, v_fma(v_load(r->product + i), y1, g * y2 * v_load(vector + i)));
    }
}

/* Exponential and logarithm of Tsallis' statistics in place of those of softmax and of cross entropy:
 *   exp_t(x) = (1 + (1 - t) x)^(1/(1 - t)),   log_t(x) = (x^(1 - t) - 1)/(1 - t)
 * With s = t2 - 1, P the p of the largest logit, and y_c how far a logit lies below that,
 *   p_c = P (1 + u_c)^(-1/s),   u_c = s k y_c,   k = P^s
 * so all comes from l = -ln P, the root of l = ln(sum of p_c/P), where nothing overflows or cancels: the sum is 1 + R,
 * 1 - P is R/(1 + R), and ln p_c is -(ln(1 + u_c)/s + l). The loss is made of power deviances D of p_c from t_c (see
 * deviance.h). With A the sum of a_c = w_c t_c, b = 1 - t1, m = t2 - t1, and q_c = p_c^t2 over the sum of these:
 *   value = sum of a_c (log_t1 t_c - log_t1 p_c - t_c^b/(1 + b)) + A p_c^(1 + b)/(1 + b)
 *         = sum of w_c D(p_c, t_c) + (A - w_c) p_c^(1 + b)/(1 + b)
 *   d/dz_d = e_d - q_d (sum of e_c),   e_c = p_c^m (A p_c - a_c)
 *   Hessian (1 - q 1') diag(h) (1 - 1 q'),   h_c = p_c^s (A p_c^(1 + m) + m e_c - t2 q_c (sum of e_c))
 * For labels, and targets that sum to 1 without class weights, it is the paper's; with a label it is w_c times that. */
enum { TEMPERED_T1 = 3, TEMPERED_S = 5 };
static void tempered_setup(const double *params, double *constants) {
    set_finely(params[3], constants + TEMPERED_T1);
    /* beyond, all probabilities are the same to the last digit */
    set_finely(params[4] - 1 < 0x1p100 ? params[4] - 1 : 0x1p100, constants + TEMPERED_S);
}
DEFINE(bi_tempered_logistic) = {
    LOSS(bi_tempered_logistic),
    .aliases = "bi_tempered",
    .family = "multiclass",
    .summary = "Cross entropy with a bounded logarithm and a softmax of heavy tails: bears noisy labels, on logits.",
    .formula =
        "sum over classes of class_weight target (log_t1(target) - log_t1(p) - target^(1 - t1)/(2 - t1)) + A p^(2 "
        "- t1)/(2 - t1);  A = sum of class_weight target,  p = exp_t2(pred - lambda) sums to 1",
    .latex = "\\sum_c w_c t_c \\left(\\log_{t_1} t_c - \\log_{t_1} p_c - \\frac{t_c^{1 - t_1}}{2 - t_1}\\right) + "
             "\\frac{\\sum_k w_k t_k}{2 - t_1} \\sum_c p_c^{2 - t_1}, \\quad p_c = \\exp_{t_2}(z_c - \\lambda)",
    .tasks = "multiclass, noisy labels",
    .see_also = "cross_entropy, generalized_cross_entropy, symmetric_cross_entropy",
    .look_alikes = "bi-tempered-loss (Google): bi_tempered_logistic_loss: the same, after five steps for lambda; its "
                   "label_smoothing e is e C/(C - 1) here",
    .source = "E. Amid, M. Warmuth, R. Anil, T. Koren, Robust bi-tempered logistic loss based on Bregman divergences, "
              "NeurIPS 2019",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 5,
    .inputs = {INPUT("pred", LOGITS, 1, "score of each class"),
               INPUT("target", LABEL, 1, "label, or distribution over the classes")},
    .params = {CLASS_PARAMS, PARAM_DOUBLE("t1", "0.8", 0, 0, 1, 0, "of the logarithm: below 1 the loss is bounded"),
               PARAM_DOUBLE("t2", "1.3", 1, 0, INFINITY, 1, "of the exponential: above 1 its tails are heavy")},
    .traits = LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_DIFFERENTIABLE | LOSSFN_TRAIT_TWICE_DIFFERENTIABLE |
              LOSSFN_TRAIT_CALIBRATED,
    .hess_kinds = EXACT,
    .whole_rows = 1,
    .has_product = 1,
    .n_scratch = 6,
    .link = LOSSFN__LINK_NONE,
    /* In double: q, the powers of p and the sum of e, each with an error of 1 or 2 ulp, meet in a product. */
    .ulp_value = 4,
    .ulp_grad = 6,
    .ulp_hess = 8,
    .setup = tempered_setup,
};
/* Numbers of double and their sum, the largest apart. */
typedef struct {
    D main, others;
    int64_t at;
} wide_parted_t;
typedef struct {
    int64_t at;     /* the class of the largest logit */
    double quarter; /* of it: sums of quarters do not overflow */
    double s;
    int wide;         /* whether u may overflow */
    pair a, b, m, t2; /* 2 - t1, 1 - t1, t2 - t1, t2 */
    D power;          /* k is kept 2^power */
    pair kept, scale; /* and 4 s kept */
    pair log_scale;   /* and its logarithm */
    pair log_total;   /* l */
    D rest, bent;     /* R; the same of p^t2 */
    wide_parted_t mass;
    D whole; /* A */
    /* (ln P - ln p)/4 in two parts, 1/(1 + u), e, h and q of each class */
    REAL *downs, *lows, *shares, *slopes, *bends, *escorts;
} tempered_t;

/* A sum over classes as row_sum_t, of pairs. */
typedef struct {
    D high[ROW_LANES / DLANES], low[ROW_LANES / DLANES];
} row_pairs_t;
ALWAYS_INLINE void row_add_pair(row_pairs_t *sum, int64_t i, int d, L where, pair x) {
    const int64_t at = i % ROW_LANES / DLANES + d;
    const D zero = d_set(0);
    const pair s = exact_sum(sum->high[at], d_select(where, x.hi, zero));
    sum->high[at] = s.hi;
    sum->low[at] += s.lo + d_select(where, x.lo, zero);
}
ALWAYS_INLINE pair row_total_pair(const row_pairs_t *sum) {
    pair total = pair_of(d_set(0), d_set(0));
    for (int l = 0; l < ROW_LANES; l++) {
        const double high = sum->high[l / DLANES][l % DLANES], low = sum->low[l / DLANES][l % DLANES];
        total = pair_sum(total, quick_sum(d_set(high), d_set(low)));
    }
    return total;
}
/* Which lanes of a vector of double are those of m. */
ALWAYS_INLINE void d_where(M m, L *lanes) {
    D wide[DPARTS];
    v_widen(v_where(m, v_one()), wide);
    UNROLL for (int d = 0; d < DPARTS; d++) lanes[d] = wide[d] != d_set(0);
}

/* (ln P - ln p)/4 of a logit, and 1/(1 + u) */
ALWAYS_INLINE pair tempered_down(const tempered_t *q, D z, D *share) {
    const D zero = d_set(0), one = d_set(1);
    const L gone = z == d_set(-INFINITY);
    pair y = exact_sum(d_set(q->quarter), -d_select(gone, d_set(q->quarter), z * 0.25));
    y = pair_of(d_scale(y.hi, q->power), d_scale(y.lo, q->power));
    const pair u = pair_product(q->scale, y);
    const L near = u.hi < d_set(0x1p-54), far = ~(u.hi < d_set(0x1p1000));
    pair log = pair_log1p(pair_of(d_select(near | far, zero, u.hi), d_select(near | far, zero, u.lo)));
    *share = d_select(far, zero, one / (one + d_select(far, zero, u.hi)));
    if (q->wide) {
        const pair whole = pair_log_of(d_select(far, y.hi, one));
        const pair sum = pair_sum(q->log_scale, quick_sum(whole.hi, whole.lo + y.lo / d_select(far, y.hi, one)));
        log = pair_of(d_select(far, sum.hi, log.hi), d_select(far, sum.lo, log.lo));
        *share = d_select(far, one / y.hi / q->scale.hi, *share);
    }
    const pair down = pair_quotient(log, pair_of(d_set(4 * q->s), zero)), small = pair_product(q->kept, y);
    *share = d_select(gone, zero, *share);
    return pair_of(d_select(gone, d_set(INFINITY), d_select(near, small.hi, down.hi)),
                   d_select(gone, zero, d_select(near, d_fma(small.hi, u.hi * -0.5, small.lo), down.lo)));
}
ALWAYS_INLINE void tempered_keep(tempered_t *q) {
    const D zero = d_set(0), one = d_set(1), s = d_set(q->s);
    const pair power = pair_product(pair_of(-s, zero), q->log_total);
    pair e;
    const D n = pair_exp_finely(power, &e);
    const pair unit = pair_sum(pair_of(one, zero), e);
    q->power = n, q->kept = unit;
    q->scale = pair_product(pair_of(4 * s, zero), unit);
    q->log_scale = pair_sum(pair_log_of(d_select(s > zero, 4 * s, one)), pair_log1p(e));
}
/* A step of Newton's method to the root l, on the sum to the power -s, a concave function of (1/P)^s, which is
 * approached from below; apart: ln(1 + R) - l. */
ALWAYS_INLINE double tempered_step(double s, double apart, double slope) {
    const double rise = s * apart;
    if (rise > 40) return apart - pair_log_of(d_set(slope)).hi[0] / s;
    if (rise <= 0x1p-30) return apart / slope;
    const D grown = pair_expm1(pair_of(d_set(rise), d_set(0))).hi / slope;
    return pair_log1p(pair_of(grown, d_set(0))).hi[0] / s;
}
/* How far a step is from the last one: the error is squared by it. */
ALWAYS_INLINE double tempered_far(double s, double by, double slope) { return fabs(by) * (1 + s / slope); }
/* Steps as exact as REAL, from which tempered_solve goes on; 0 where that cannot be. */
ALWAYS_INLINE double tempered_guess(const whole_row_t *r, const tempered_t *q) {
    const V top = v_set(4 * q->quarter), one = v_one(), inverse = v_set(1 / q->s);
    double at = 0;
    if (!(q->s > 0x1p-10 && q->s < 0x1p6)) return 0;
    for (int step = 0; step < 20; step++) {
        row_sum_t rest = row_sum(), bent = row_sum();
        const V scale = v_set(q->s * d_exp(pair_of(d_set(-q->s * at), d_set(0)), d_set(0))[0]);
        EACH_VECTOR(r, i) {
            const V u = scale * (top - v_load(r->in[PRED] + i));
            const V e = v_where(m_not(row_is(i, q->at)), v_exp(-v_log1p(u) * inverse));
            row_add(&rest, r, i, e);
            row_add(&bent, r, i, e / (one + u));
        }
        const D total = d_set(row_total(&rest));
        const double slope = (1 + row_total(&bent)) / (1 + total[0]);
        const double by = tempered_step(q->s, pair_log1p(pair_of(total, d_set(0))).hi[0] - at, slope);
        at += by;
        if (!(tempered_far(q->s, by, slope) > (sizeof(REAL) == 4 ? 0x1p-8 : 0x1p-16))) break;
    }
    return at >= 0 && at < 100 ? at : 0;
}
/* The root. */
ALWAYS_INLINE void tempered_solve(const whole_row_t *r, tempered_t *q) {
    const D zero = d_set(0), one = d_set(1), most = d_set(INFINITY);
    q->log_total = pair_of(d_set(tempered_guess(r, q)), zero);
    for (int step = 0, last = q->s == 0; step < 100; step++) {
        row_pairs_t rest = {{{0}}, {{0}}};
        row_sum_t bent = row_sum();
        tempered_keep(q);
        EACH_VECTOR(r, i) {
            D z[DPARTS], low[DPARTS], back[DPARTS], share[DPARTS], power[DPARTS];
            L other[DPARTS];
            v_widen(v_load(r->in[PRED] + i), z);
            d_where(m_andnot(row_holds(r, i), row_is(i, q->at)), other);
            for (int d = 0; d < DPARTS; d++) {
                const pair down = tempered_down(q, z[d], &share[d]);
                pair e;
                const D n = pair_exp_finely(pair_times(down, d_set(-4)), &e);
                const pair unit = pair_sum(pair_of(one, zero), e);
                row_add_pair(&rest, i, d, other[d], pair_of(d_scale(unit.hi, n), d_scale(unit.lo, n)));
                power[d] = d_select(other[d], d_scale(unit.hi, n) * share[d], zero);
                z[d] = down.hi, low[d] = down.lo;
            }
            row_add_wide(&bent, i, power);
            const V whole = v_narrow(z);
            v_widen(whole, back);
            for (int d = 0; d < DPARTS; d++) low[d] = d_select(back[d] < most, (z[d] - back[d]) + low[d], zero);
            v_store(q->downs + i, whole), v_store(q->lows + i, v_narrow(low)), v_store(q->shares + i, v_narrow(share));
        }
        const pair total = row_total_pair(&rest), log = pair_log1p(total);
        q->rest = total.hi, q->bent = d_set(row_total(&bent));
        const double apart = pair_sum(log, pair_of(-q->log_total.hi, -q->log_total.lo)).hi[0];
        if (last) {
            q->log_total = log;
            return;
        }
        const double slope = ((one + q->bent) / (one + q->rest))[0], by = tempered_step(q->s, apart, slope);
        q->log_total = pair_sum(q->log_total, pair_of(d_set(by), zero));
        last = !(tempered_far(q->s, by, slope) > (sizeof(REAL) == 4 ? 0x1p-14 : 0x1p-30)) || step == 98;
    }
}

/* log_t of the number with logarithm x, t = 1 - b; at: x, where that is held */
ALWAYS_INLINE pair tempered_log(pair b, pair x, D at) {
    const D zero = d_set(0), size = d_abs(b.hi * x.hi);
    const pair part = deviance_part(b, x, size);
    const L end = (at < d_set(-0x1p900)) | (size > d_set(700));
    return pair_of(d_select(end, d_select(b.hi > zero, d_set(-1) / b.hi, at), part.hi), d_select(end, zero, part.lo));
}

/* Of a class: ln P - ln p and ln p, held where products with them could overflow, and ln p as it is. */
typedef struct {
    pair down, log;
    D at;
} tempered_class_t;
ALWAYS_INLINE void tempered_classes(const tempered_t *q, int64_t i, tempered_class_t *c) {
    const D zero = d_set(0), most = d_set(0x1p900);
    D down[DPARTS], low[DPARTS];
    v_widen(v_load(q->downs + i), down), v_widen(v_load(q->lows + i), low);
    for (int d = 0; d < DPARTS; d++) {
        const L held = ~(down[d] < most / 4);
        c[d].down = pair_of(d_select(held, most, down[d] * 4), d_select(held, zero, low[d] * 4));
        c[d].log = pair_sum(c[d].down, q->log_total);
        c[d].log = pair_of(-c[d].log.hi, -c[d].log.lo);
        c[d].at = d_select(held, down[d] * -4, c[d].log.hi);
    }
}

/* What a class adds to the value where its target counts; power: p^(1 + b)/(1 + b) */
ALWAYS_INLINE D tempered_value(const tempered_t *q, const tempered_class_t *p, D t, D w, D power) {
    const D zero = d_set(0), one = d_set(1), counted = w * t;
    const L none = t == zero;
    const pair log = pair_log_of(d_select(none, one, t));
    const deviance_place at = {.a = q->a,
                               .b = q->b,
                               .x = pair_sum(p->log, pair_of(-log.hi, -log.lo)),
                               .log_y = log,
                               .log_m = p->log,
                               .at = p->at,
                               .none = none,
                               .empty = p->at == d_set(-INFINITY),
                               .unbounded = one < zero};
    const D deviance = w * deviance_value(&at, DEVIANCE_BY_LOG), surplus = (q->whole - w) * power;
    const pair log_t = tempered_log(q->b, log, d_select(none, d_set(-INFINITY), log.hi)),
               log_p = tempered_log(q->b, p->log, p->at);
    const D unit = d_exp(pair_product(q->b, log), zero) / q->a.hi;
    const D straight = d_fma(counted, pair_sum(log_t, pair_of(-log_p.hi, -log_p.lo)).hi - unit, q->whole * power);
    const D size = d_fma(counted, d_abs(log_t.hi) + d_abs(log_p.hi) + unit, q->whole * power);
    const D all = d_select(size < deviance + d_abs(surplus), straight, deviance + surplus);
    return d_select(counted == zero, q->whole * power, all);
}
/* Returns the sum of p^(1 + b)/(1 + b) as well. */
ALWAYS_INLINE D tempered_values(whole_row_t *r, const tempered_t *q) {
    row_sum_t value = row_sum(), powers = row_sum();
    EACH_VECTOR(r, i) {
        tempered_class_t p[DPARTS];
        D w[DPARTS], t[DPARTS], power[DPARTS], own[DPARTS];
        const V weights = v_load(r->w + i), targets = v_load(r->in[TARGET] + i);
        const int counts = m_any((weights != v_zero()) & (targets != v_zero()));
        v_widen(weights, w), v_widen(targets, t);
        tempered_classes(q, i, p);
        for (int d = 0; d < DPARTS; d++) {
            power[d] = d_exp(pair_product(q->a, p[d].log), d_set(0)) / q->a.hi;
            own[d] = counts ? tempered_value(q, &p[d], t[d], w[d], power[d]) : q->whole * power[d];
        }
        row_add_wide(&value, i, row_held(r, i, own));
        row_add_wide(&powers, i, row_held(r, i, power));
    }
    r->value = (REAL)row_total(&value);
    return d_set(row_total(&powers));
}
ALWAYS_INLINE void tempered_by_target(const whole_row_t *r, const tempered_t *q, D powers) {
    const D zero = d_set(0);
    EACH_VECTOR(r, i) {
        tempered_class_t p[DPARTS];
        D w[DPARTS], t[DPARTS];
        v_widen(v_load(r->w + i), w), v_widen(v_load(r->in[TARGET] + i), t);
        tempered_classes(q, i, p);
        for (int d = 0; d < DPARTS; d++) {
            const L none = t[d] == zero;
            const pair log = pair_log_of(d_select(none, d_set(1), t[d]));
            const pair log_t = tempered_log(q->b, log, d_select(none, d_set(-INFINITY), log.hi));
            const pair log_p = tempered_log(q->b, p[d].log, p[d].at);
            const D apart = pair_sum(log_t, pair_of(-log_p.hi, -log_p.lo)).hi + powers;
            const L endless = (q->b.hi == zero) & (none | (p[d].at == d_set(-INFINITY)));
            t[d] = w[d] * d_select(endless, d_select(none, log_t.hi, -log_p.hi), apart);
            t[d] = d_select(w[d] == zero, zero, t[d]);
        }
        v_store(r->grad[TARGET] + i, v_narrow(t));
    }
}

ALWAYS_INLINE wide_parted_t wide_part_sum(const whole_row_t *r, const REAL *x) {
    wide_parted_t s;
    row_sum_t sum = row_sum();
    row_top_of(r, x, -1, &s.at, 1);
    EACH_VECTOR(r, i) row_add(&sum, r, i, v_where(m_not(row_is(i, s.at)), v_load(x + i)));
    s.main = d_set(s.at < 0 ? 0 : (double)x[s.at]), s.others = d_set(row_total(&sum));
    return s;
}
/* The sums of all but the numbers x at i. */
ALWAYS_INLINE void wide_sum_without(const wide_parted_t *s, const D *x, int64_t i, D *sums) {
    L main[DPARTS];
    d_where(row_is(i, s->at), main);
    UNROLL for (int d = 0; d < DPARTS; d++) sums[d] = d_select(main[d], s->others, s->main + (s->others - x[d]));
}
/* a, in double, and A */
ALWAYS_INLINE void tempered_mass(const whole_row_t *r, tempered_t *q) {
    const REAL *const w = r->w, *const t = r->in[TARGET];
    row_sum_t sum = row_sum();
    EACH_VECTOR(r, i) v_store(q->slopes + i, v_load(w + i) * v_load(t + i));
    row_top_of(r, q->slopes, -1, &q->mass.at, 1);
    EACH_VECTOR(r, i) {
        D weight[DPARTS], target[DPARTS];
        v_widen(v_where(m_not(row_is(i, q->mass.at)), v_load(w + i)), weight), v_widen(v_load(t + i), target);
        for (int d = 0; d < DPARTS; d++) weight[d] = weight[d] * target[d];
        row_add_wide(&sum, i, row_held(r, i, weight));
    }
    q->mass.main = d_set(q->mass.at < 0 ? 0 : (double)w[q->mass.at] * (double)t[q->mass.at]);
    q->mass.others = d_set(row_total(&sum));
    q->whole = q->mass.main + q->mass.others;
}

/* e, q, and A p^(1 + m) + m e */
ALWAYS_INLINE void tempered_slopes(const whole_row_t *r, const tempered_t *q) {
    const D zero = d_set(0), total = d_set(1) + q->rest, bent = d_set(1) + q->bent;
    EACH_VECTOR(r, i) {
        tempered_class_t p[DPARTS];
        D a[DPARTS], t[DPARTS], rest[DPARTS], e[DPARTS], h[DPARTS], f[DPARTS];
        L first[DPARTS];
        v_widen(v_load(r->w + i), a), v_widen(v_load(r->in[TARGET] + i), t);
        d_where(row_is(i, q->at), first);
        tempered_classes(q, i, p);
        for (int d = 0; d < DPARTS; d++) a[d] = a[d] * t[d];
        wide_sum_without(&q->mass, a, i, rest);
        for (int d = 0; d < DPARTS; d++) {
            const D chance = d_exp(p[d].log, zero), scale = d_exp(pair_product(q->m, p[d].log), zero);
            const D apart = d_fma(q->whole, chance, -a[d]), sure = d_fma(-q->whole, q->rest / total, rest[d]);
            const pair by_t2 = pair_product(q->t2, p[d].down);
            e[d] = scale * d_select(first[d] & (chance > d_set(0.5)), sure, apart);
            h[d] = d_fma(q->m.hi, e[d], scale * (q->whole * chance));
            f[d] = d_exp(pair_of(-by_t2.hi, -by_t2.lo), zero) / bent;
        }
        v_store(q->slopes + i, v_narrow(e)), v_store(q->bends + i, v_narrow(h)), v_store(q->escorts + i, v_narrow(f));
    }
}
/* q and 1 - q */
ALWAYS_INLINE void tempered_escorts(const tempered_t *q, int64_t i, D *f, D *rest) {
    L first[DPARTS];
    v_widen(v_load(q->escorts + i), f);
    d_where(row_is(i, q->at), first);
    for (int d = 0; d < DPARTS; d++) rest[d] = d_select(first[d], q->bent / (d_set(1) + q->bent), d_set(1) - f[d]);
}
/* x - q (sum of x); squared: the diagonal of (1 - q 1') diag(x) (1 - 1 q') */
ALWAYS_INLINE void tempered_across(const whole_row_t *r, const tempered_t *q, const REAL *x, REAL *to,
                                   const int squared) {
    const wide_parted_t sum = wide_part_sum(r, x);
    EACH_VECTOR(r, i) {
        D own[DPARTS], others[DPARTS], f[DPARTS], rest[DPARTS];
        v_widen(v_load(x + i), own);
        wide_sum_without(&sum, own, i, others);
        tempered_escorts(q, i, f, rest);
        for (int d = 0; d < DPARTS; d++)
            own[d] = squared ? d_fma(own[d] * rest[d], rest[d], f[d] * (f[d] * others[d]))
                             : d_fma(own[d], rest[d], -f[d] * others[d]);
        v_store(to + i, v_narrow(own));
    }
}
/* Makes h of what tempered_slopes left. */
ALWAYS_INLINE void tempered_bends(const whole_row_t *r, const tempered_t *q) {
    const wide_parted_t slope = wide_part_sum(r, q->slopes);
    const D pull = q->t2.hi * (slope.main + slope.others);
    EACH_VECTOR(r, i) {
        D h[DPARTS], f[DPARTS], share[DPARTS];
        v_widen(v_load(q->bends + i), h), v_widen(v_load(q->escorts + i), f), v_widen(v_load(q->shares + i), share);
        for (int d = 0; d < DPARTS; d++) h[d] = d_scale(q->kept.hi * share[d], q->power) * d_fma(-pull, f[d], h[d]);
        v_store(q->bends + i, v_narrow(h));
    }
}
/* h times the vector, measured from its mean under q */
ALWAYS_INLINE void tempered_move(const whole_row_t *r, const tempered_t *q) {
    const D from = d_set((double)r->vector[q->at]);
    row_sum_t sum = row_sum();
    EACH_VECTOR(r, i) {
        D v[DPARTS], f[DPARTS];
        v_widen(v_load(r->vector + i), v), v_widen(v_load(q->escorts + i), f);
        for (int d = 0; d < DPARTS; d++) v[d] = f[d] * (v[d] - from);
        row_add_wide(&sum, i, row_held(r, i, v));
    }
    const D middle = d_set(row_total(&sum));
    EACH_VECTOR(r, i) {
        D v[DPARTS], h[DPARTS];
        v_widen(v_load(r->vector + i), v), v_widen(v_load(q->bends + i), h);
        for (int d = 0; d < DPARTS; d++) h[d] = h[d] * ((v[d] - from) - middle);
        v_store(r->product + i, v_narrow(h));
    }
}

/* Whether there is a largest logit and all is within the domain; sets what does not depend on l. */
ALWAYS_INLINE int tempered_begin(whole_row_t *r, tempered_t *q) {
    const D one = d_set(1);
    const double t1 = finely(r->p + TEMPERED_T1), top = (double)row_top(r, r->in[PRED], -1, &q->at);
    V least = v_set(top);
    EACH_VECTOR(r, i) {
        const V x = v_load(r->in[PRED] + i);
        row_outside(r, i, v_load(r->in[TARGET] + i) < v_zero());
        least = v_lesser(v_select(m_and(row_holds(r, i), x > v_set(-INFINITY)), x, least), least);
    }
    q->s = finely(r->p + TEMPERED_S);
    q->quarter = top / 4;
    q->wide = !((q->quarter + (double)v_largest(-least)[0] / 4) * q->s < 0x1p990);
    q->b = exact_sum(one, d_set(-t1));
    q->a = pair_sum(q->b, pair_of(one, d_set(0)));
    q->m = pair_sum(q->b, pair_of(d_set(q->s), d_set(0)));
    q->t2 = exact_sum(one, d_set(q->s));
    REAL *const *const s = r->scratch;
    q->downs = s[0], q->lows = s[1], q->shares = s[2], q->slopes = s[3], q->bends = s[4], q->escorts = s[5];
    return r->outside < 0 && fabs(top) < (double)INFINITY;
}
WHOLE_ROWS(bi_tempered_logistic) {
    tempered_t q;
    if (!tempered_begin(r, &q)) {
        const V nan = v_set(NAN);
        r->value = (REAL)NAN;
        EACH_VECTOR(r, i) {
            row_put(r->grad[PRED], i, nan), row_put(r->grad[TARGET], i, nan);
            row_put(r->hess, i, nan), row_put(r->product, i, nan);
        }
        return;
    }
    tempered_solve(r, &q);
    tempered_mass(r, &q);
    if (!r->product) {
        const D powers = tempered_values(r, &q);
        if (r->grad[TARGET]) tempered_by_target(r, &q, powers);
        if (!r->grad[PRED] && !r->hess) return;
    }
    tempered_slopes(r, &q);
    if (r->grad[PRED]) tempered_across(r, &q, q.slopes, r->grad[PRED], 0);
    if (!r->hess && !r->product) return;
    tempered_bends(r, &q);
    if (r->hess) tempered_across(r, &q, q.bends, r->hess, 1);
    if (!r->product) return;
    tempered_move(r, &q);
    tempered_across(r, &q, r->product, r->product, 0);
}
