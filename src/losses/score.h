/* SPDX-License-Identifier: MIT
 * Proper scores of a forecast that is a whole distribution. */

#include "simd/normal.h"

/* The continuous ranked probability score, the integral over x of (F(x) - [y <= x])^2, of a step function F: a sum over
 * the gaps between members, of which no term is negative. */

/* A gap: what of it lies below y and above. Equal infinite members have none between them. */
ALWAYS_INLINE V distance_between(V low, V high) { return v_where(low < high, high - low); }

enum { CRPS_FAIR };
/* Matheson, Winkler (1976); fair: Ferro (2014). (1/M) sum |x_i - y| - (1/(2 M^2)) sum |x_i - x_j|; sorted, a gap with
 * k members below it counts (k/M)^2 where it lies below y and (1 - k/M)^2 above; fair: k (k - 1) and (M - k) (M - k -
 * 1), over M (M - 1). */
DEFINE(crps_ensemble) = {
    LOSS(crps_ensemble),
    .aliases = "",
    .family = "score",
    .summary = "Continuous ranked probability score of an ensemble of forecasts.",
    .formula =
        "mean over i of |pred_i - target| - mean over i, j of |pred_i - pred_j| / 2;  fair: the second mean over i "
        "other than j",
    .latex = "\\tfrac1M \\sum_i |x_i - y| - \\tfrac{1}{2M^2} \\sum_{i,j} |x_i - x_j|",
    .tasks = "quantile",
    .see_also = "crps_quantile, quantile, mae",
    .look_alikes = "properscoring: crps_ensemble: the same\n"
                   "scoringrules: crps_ensemble: the same; estimator=fair is fair=true",
    .source =
        "J. Matheson, R. Winkler, Scoring rules for continuous probability distributions, Manage. Sci. 22, 1976; C. "
        "Ferro, Fair scores for ensemble forecasts, Q. J. R. Meteorol. Soc. 140, 2014",
    .kinks = "two members that are equal, or one that is the target: they do not count for each other's gradient",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .n_params = 1,
    .inputs = {INPUT("pred", REAL, 1, "members of the ensemble"), INPUT_PER_ROW("target", REAL, 1, "what happened")},
    .params = {PARAM_BOOL("fair", "false", "as of an ensemble without limit; of one member it is what it is anyway")},
    .traits = LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 1,
    .hess_kinds = EXACT,
    .whole_rows = 1,
    .n_scratch = 4,
    .ulp_value = 2,
    .ulp_grad = 1,
    .ulp_hess = 0.5,
};
/* k (k - fair)/all for the lanes from k on, each times `step`. */
ALWAYS_INLINE V crps_share(int64_t k, double step, double fair, double all) {
    static const double count[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    D share[DPARTS];
    for (int d = 0; d < DPARTS; d++) {
        const D at = d_set((double)k) + d_set(step) * d_load(count + d * DLANES);
        share[d] = at * (at - fair) / all;
    }
    return v_narrow(share);
}
WHOLE_ROWS(crps_ensemble) {
    const int64_t n = r->n, fair = IS(r->p[CRPS_FAIR]) && n > 1;
    const REAL y = r->in[TARGET][0];
    REAL *const x = r->scratch[0];
    row_index_t *const at = r->grad[PRED] ? (row_index_t *)r->scratch[2] : NULL;
    memcpy(x, r->in[PRED], (size_t)n * sizeof *x);
    for (int64_t i = 0; at && i < n; i++) at[i] = (row_index_t)i;
    row_sort(x, r->scratch[1], at, at ? (row_index_t *)r->scratch[3] : NULL, n);
    const double all = (double)n * (double)(n - fair);
    const V middle = v_set((double)y);
    row_sum_t value = row_sum();
    for (int64_t i = 0; i < n + 1; i += LANES) { /* the gap before member i; the first and the last end at y */
        REAL low[LANES], high[LANES];
        const int inside = i > 0 && i + LANES <= n;
        for (int l = 0; !inside && l < LANES; l++) {
            const int64_t k = i + l;
            low[l] = k > 0 && k <= n ? x[k - 1] : y < x[0] || k > n ? y : x[0];
            high[l] = k < n ? x[k] : y > x[n - 1] && k == n ? y : low[l];
        }
        const V from = v_load(inside ? x + i - 1 : low), to = v_load(inside ? x + i : high);
        const V under = distance_between(from, v_lesser(middle, to)),
                over = distance_between(v_greater(middle, from), to);
        const V below = crps_share(i, 1, (double)fair, all), above = crps_share(n - i, -1, (double)fair, all);
        D wide[DPARTS];
        v_widen(v_where(under != v_zero(), below * under) + v_where(over != v_zero(), above * over), wide);
        row_add_wide(&value, i, wide);
    }
    r->value = (REAL)row_total(&value);
    int64_t balance = 0;
    for (int64_t i = 0, end; i < n; i = end) { /* members that are equal */
        const int64_t side = (x[i] > y) - (x[i] < y);
        for (end = i + 1; end < n && x[end] == x[i]; end++) continue;
        const int64_t rank = i - (n - end); /* how many more are below than above */
        balance += side * (end - i);
        const REAL slope = (REAL)(((double)(n - fair) * (double)side - (double)rank) / all);
        for (int64_t k = i; at && k < end; k++) r->grad[PRED][at[k]] = slope;
    }
    for (int64_t i = 0; r->hess && i < n; i++) r->hess[i] = 0;
    if (r->grad[TARGET]) r->grad[TARGET][0] = (REAL)(-(double)balance / (double)n);
}

/* Twice the mean pinball loss of the quantiles of level (i - 1/2)/Q. */
DEFINE(crps_quantile) = {
    LOSS(crps_quantile),
    .aliases = "",
    .family = "score",
    .summary = "Continuous ranked probability score of predicted quantiles at evenly spaced levels.",
    .formula = "2 mean over i of quantile(pred_i, target, tau_i);  tau_i = (i - 1/2)/Q, i = 1 ... Q",
    .latex = "\\tfrac2Q \\sum_i \\max(\\tau_i (y - x_i), (1 - \\tau_i)(x_i - y))",
    .tasks = "quantile",
    .see_also = "quantile, crps_ensemble",
    .look_alikes = "quantile(tau of shape (1, Q)): for other levels; this is twice its mean over them",
    .source = "F. Laio, S. Tamea, Verification tools for probabilistic forecasts, Hydrol. Earth Syst. Sci. 11, 2007",
    .kinks = "pred = target: gradient 0",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 2,
    .inputs = {INPUT("pred", REAL, 1, "quantiles of level (i - 1/2)/Q"), INPUT_PER_ROW("target", REAL, 1, "target")},
    .traits = LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 2,
    .hess_kinds = EXACT,
    .whole_rows = 1,
    .ulp_value = 4, /* a sum in which no term is larger than the others */
    .ulp_grad = 1,
    .ulp_hess = 0.5,
};
WHOLE_ROWS(crps_quantile) {
    const double most = 2 * (double)r->n, squared = (double)r->n * (double)r->n;
    double unit = 1; /* a power of two, so that no product overflows before the value does */
    while (unit < most) unit *= 2;
    const V y = v_set((double)r->in[TARGET][0]), zero = v_zero(), top = v_set(most / unit), all = v_set(squared / unit);
    row_sum_t value = row_sum(), by_target = row_sum();
    EACH_VECTOR(r, i) { /* 2 tau/Q = (2 i + 1)/Q^2, from 0 */
        REAL level[LANES];
        for (int l = 0; l < LANES; l++) level[l] = (REAL)((double)(2 * (i + l) + 1) / unit);
        const V x = v_load(r->in[PRED] + i), low = v_load(level);
        const V pull = v_select(x > y, top - low, v_where(x < y, -low));
        row_add(&value, r, i, v_where(pull != zero, pull * (x - y)));
        row_add(&by_target, r, i, -pull);
        row_put(r->grad[PRED], i, pull / all);
        row_put(r->hess, i, zero);
    }
    r->value = (REAL)(row_total(&value) / (squared / unit));
    if (r->value == (REAL)INFINITY) { /* differences and their sum may overflow where the mean does not */
        const V small = v_set(1 / (4 * unit)), middle = y * small;
        value = row_sum();
        EACH_VECTOR(r, i) {
            REAL level[LANES];
            for (int l = 0; l < LANES; l++) level[l] = (REAL)((double)(2 * (i + l) + 1) / unit);
            const V x = v_load(r->in[PRED] + i), low = v_load(level);
            const V pull = v_select(x > y, top - low, v_where(x < y, -low));
            row_add(&value, r, i, v_where(pull != zero, pull * v_fma(x, small, -middle)));
        }
        r->value = (REAL)(row_total(&value) / (squared / unit * (double)small[0]));
    }
    if (r->grad[TARGET]) r->grad[TARGET][0] = (REAL)(row_total(&by_target) / (squared / unit));
}

/* Of a normal distribution: |r| - s/sqrt(pi) + 2 s phi(w) N(w) with w = |r|/s, N = 1 - w (1 - Phi(w))/phi(w). */
enum { CRPS_SCALE = 2 };
DEFINE(crps_gaussian) = {
    LOSS(crps_gaussian),
    .aliases = "",
    .family = "score",
    .summary = "Continuous ranked probability score of a predicted normal distribution.",
    .formula = "scale (w (2 Phi(w) - 1) + 2 phi(w) - 1/sqrt(pi));  w = (target - pred) / scale",
    .latex = "s \\left(w\\,(2\\Phi(w) - 1) + 2\\varphi(w) - \\tfrac{1}{\\sqrt{\\pi}}\\right),\\quad w = (y - p)/s",
    .tasks = "regression, quantile",
    .see_also = "crps_ensemble, crps_quantile, gaussian_nll",
    .look_alikes = "properscoring: crps_gaussian: the same\nscoringrules: crps_normal: the same",
    .source = "T. Gneiting, A. Raftery, Strictly proper scoring rules, prediction and estimation, JASA 102, 2007",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .n_inputs = 3,
    .n_params = 1,
    .inputs = {INPUT("pred", REAL, 1, "mean"), TARGET_REAL,
               LEARNABLE("scale", POSITIVE, 1, "standard deviation, greater than 0")},
    .params = {PARAM_LEARNABLE("scale", "1", 0, 1, INFINITY, 1, "standard deviation, greater than 0")},
    .traits = DISTANCE_TRAITS | LOSSFN_TRAIT_SYMMETRIC | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE | LOSSFN_TRAIT_LIPSCHITZ,
    .lipschitz = 1,
    .hess_kinds = EXACT,
    .ulp_value = 1.5,
    .ulp_grad = 1.5,
    .ulp_hess = 1.5,
};
IN_DOUBLE(crps_gaussian, 3) {
    (void)p;
    const D pred = in[PRED], target = in[TARGET], s = in[CRPS_SCALE];
    const D zero = d_set(0), one = d_set(1), infinity = d_set(INFINITY);
    pair r = pair_sum_of(pred, -target);
    const L below = r.hi < zero, missing = r.hi != r.hi;
    const D size = d_abs(r.hi), low = d_select(size < infinity, d_select(below, -r.lo, r.lo), zero);
    const L held = (size < infinity) & (s > zero) & (s < infinity);
    pair w = pair_over(pair_of(d_select(held, size, zero), d_select(held, low, zero)), d_select(held, s, one));
    const L far = ~(w.hi < d_set(0x1p100)) | (size == infinity);
    w = pair_of(d_select(far, d_set(0x1p100), w.hi), d_select(far, zero, w.lo));
    const pair log = log_normal_density(w);
    const pair density = pair_exp_of(log), mills = pair_mills(w.hi);
    const pair more = pair_product(pair_times(density, d_set(2)), mills_gap_of(w.hi, mills));
    const pair root = pair_of(d_set(0x1.20dd750429b6dp-1), d_set(0x1.1ae3a914fed80p-57)); /* 1/sqrt(pi) */
    const pair rest = pair_product(pair_sum(more, pair_of(-root.hi, -root.lo)), pair_of(s, zero));
    u->value = d_select(size < infinity, pair_sum(pair_sum_of(size, low), rest).hi, size);
    if (u->want == LOSSFN__WANT_VALUE) return;
    const D within = d_select(far & (size == size), one, normal_within_of(w, pair_product(density, mills)));
    u->grad[PRED] = d_select(missing, r.hi, d_select(below, -within, within));
    if (WANTS_HESS(u)) { /* the density may be too small, and this not */
        D mantissa, exponent = d_split(d_select(held, s, one), &mantissa);
        u->hess = d_select(missing, r.hi, d_exp(log, d_set(1) - exponent) / mantissa);
    }
    if (!WANTS_OTHERS(u)) return;
    const pair half_log_2 = pair_of(d_set(0x1.62e42fefa39efp-2), d_set(0x1.abc9e3b39803fp-57));
    const pair square = pair_times(pair_product(w, w), d_set(-0.5));
    const pair change = pair_expm1(pair_sum(half_log_2, square));
    u->grad[CRPS_SCALE] = d_select(missing, r.hi, pair_product(change, root).hi);
}
ELEMENTWISE(crps_gaussian) {
    u->outside = (in[CRPS_SCALE] <= v_zero()) | (in[CRPS_SCALE] == v_set(INFINITY));
    crps_gaussian_in_double(in, p, u);
    u->grad[TARGET] = -u->grad[PRED];
}
