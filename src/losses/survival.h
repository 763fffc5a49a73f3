/* SPDX-License-Identifier: MIT
 * Survival analysis: times of which often only bounds are known. */

#include "simd/normal.h"

enum { AFT_SCALE, AFT_DISTRIBUTION, AFT_FULL };
enum { AFT_UPPER = 2, AFT_SCALE_INPUT };
enum { AFT_NORMAL, AFT_LOGISTIC, AFT_EXTREME };
/* Accelerated failure time, Kalbfleisch and Prentice (1980): (ln time - pred)/scale has a given distribution F. With a
 * and b those of the bounds, -ln(F(b) - F(a)); of a time that is known -ln of the density [at time itself, full]. */
DEFINE(aft_nll) = {
    LOSS(aft_nll),
    .aliases = "accelerated_failure_time",
    .family = "likelihood",
    .summary = "Accelerated failure time: negative log-likelihood of times that are known or lie between bounds.",
    .formula =
        "-log(F(b) - F(a)) if target < upper, else g(a) + log(scale);  a, b = (log(target) - pred) / scale, "
        "(log(upper) - "
        "pred) / scale, g = -log(F') up to log(2 pi)/2: a^2/2, a + 2 log(1 + exp(-a)) or exp(a) - a  [+ log(target), "
        "and log(2 pi)/2 for normal, with full]",
    .latex = "\\begin{cases} -\\ln\\left(F(b) - F(a)\\right) & y < y_{\\max} \\\\ g(a) + \\ln s & y = y_{\\max} "
             "\\end{cases},"
             "\\quad a = \\frac{\\ln y - p}{s},\\ b = \\frac{\\ln y_{\\max} - p}{s}",
    .tasks = "survival",
    .see_also = "cox_nll, weibull_nll, lognormal_nll",
    .look_alikes =
        "XGBoost: survival:aft: its metric is this with full; it holds gradients to 15 and Hessians between 1e-16 "
        "and 15",
    .source = "J. Kalbfleisch, R. Prentice, The Statistical Analysis of Failure Time Data, 1980",
    .kinks = "",
    .unit = LOSSFN_UNIT_ELEMENT,
    .link = LOSSFN__LINK_LOG,
    .n_inputs = 4,
    .n_params = 3,
    .inputs = {INPUT("pred", REAL, 1, "location of the logarithm of the time"),
               INPUT("target", POSITIVE, 0, "the time, or its lower bound: 0 where there is none"),
               INPUT("upper", POSITIVE, 0, "upper bound: inf without one, target where the time is known"),
               LEARNABLE("scale", POSITIVE, 1, "scale, greater than 0")},
    .params = {PARAM_LEARNABLE("scale", "1", 0, 1, INFINITY, 1, "scale, greater than 0"),
               PARAM_CHOICE("distribution", "normal", "normal, logistic, extreme", "of the logarithm of the time"),
               PARAM_BOOL("full", "false",
                          "known times: adds log(target), for distribution=normal log(2 pi)/2 as well")},
    .traits = LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT,
    .ulp_value = 4,
    .ulp_grad = 5,
    .ulp_hess = 8,
};
/* 1/(1 + e^-x), and ln(1 + e^x) */
INLINE pair exp_minus_size(pair x) {
    const L below = x.hi < d_set(0);
    return pair_exp_of(pair_of(-d_abs(x.hi), d_select(below, x.lo, -x.lo)));
}
INLINE D d_sigmoid(pair x) {
    const D e = exp_minus_size(x).hi;
    return d_select(x.hi < d_set(0), e, d_set(1)) / (d_set(1) + e);
}
INLINE D d_softplus(pair x) {
    const L above = x.hi > d_set(0);
    const pair log = pair_log1p(exp_minus_size(x));
    return log.hi + d_select(above, x.hi, d_set(0)) + (log.lo + d_select(above, x.lo, d_set(0)));
}
/* Of a time that is known, z = (ln time - pred)/scale: spread is 1 less the slope times z. */
INLINE interval_t aft_known(pair z, int distribution) {
    const D zero = d_set(0), one = d_set(1);
    if (distribution == AFT_NORMAL) {
        const L held = d_abs(z.hi) < d_set(0x1p400);
        const pair at = pair_of(d_select(held, z.hi, zero), z.lo);
        pair square = pair_product(at, at);
        square = pair_of(d_select(held, square.hi, z.hi * z.hi), square.lo);
        const D spread = pair_sum(pair_of(one, zero), pair_of(-square.hi, -square.lo)).hi;
        return (interval_t){d_select(held, square.hi * 0.5, z.hi * 0.5 * z.hi), z.hi, one,
                            d_select(held, spread, one - square.hi)};
    }
    interval_t k;
    if (distribution == AFT_LOGISTIC) {
        const D a = d_abs(z.hi), e = d_exp(pair_of(-a, d_select(z.hi < zero, z.lo, -z.lo)), zero), sum = one + e;
        const D slope = -pair_expm1(pair_of(-d_at_most(a, 700), zero)).hi / sum;
        k = (interval_t){a + 2 * pair_log1p(pair_of(e, zero)).hi, d_select(z.hi < zero, -slope, slope),
                         2 * e / sum / sum, zero};
    } else {
        const pair held = pair_of(d_between(z.hi, -0x1p900, 709), d_select(d_abs(z.hi) < d_set(700), z.lo, zero));
        const D e = d_exp(z, zero), less = d_select(e < d_set(INFINITY), pair_expm1(held).hi, e);
        k = (interval_t){d_select(e == d_set(INFINITY), e, e - z.hi), less, e, zero};
    }
    k.spread = one - z.hi * k.slope;
    return k;
}
/* x/(e^x - 1), x > 0; 0 where x is infinite */
INLINE D d_bose(pair x) {
    const L large = x.hi > d_set(700), far = x.hi > d_set(2000);
    const pair held = pair_of(d_between(x.hi, 0x1p-1074, 700), d_select(large, d_set(0), x.lo));
    const D gone = d_exp(pair_of(-d_at_most(x.hi, 2000), d_select(far, d_set(0), -x.lo)), d_set(0));
    return d_select(large, d_at_most(x.hi, 2000) * gone, held.hi / pair_expm1(held).hi);
}
/* F(b) - F(a) = F(b) (1 - F(a)) (1 - e^-(b - a)) */
INLINE interval_t aft_logistic(pair a, pair b, pair width) {
    const D zero = d_set(0), infinity = d_set(INFINITY);
    const L no_a = a.hi == -infinity, no_b = b.hi == infinity, open = width.hi == infinity;
    const D up_a = d_sigmoid(a), up_b = d_sigmoid(pair_minus(b)),
            held = d_select(open, d_set(1), d_at_least(width.hi, 0x1p-1074));
    const D gone = d_at_most(d_exp(pair_of(-held, zero), zero), 1 - 0x1p-53);
    const L near = held < d_set(0.5);
    const D small = pair_log_of(-pair_expm1(pair_of(d_at_least(-held, -1), zero)).hi).hi;
    const D large = pair_log1p(pair_of(d_select(near, zero, -gone), zero)).hi, log = d_select(near, small, large);
    /* nearly as far below as above, as far as that is: the two sides of the slope cancel */
    pair sum = pair_sum(pair_of(d_select(no_a, zero, a.hi), a.lo), pair_of(d_select(no_b, zero, b.hi), b.lo));
    const L even = ~no_a & ~no_b & (d_abs(sum.hi) < d_set(0.5));
    sum = pair_of(d_select(even, sum.hi, zero), d_select(even, sum.lo, zero));
    const D of_a = d_select(no_a, zero, a.hi * up_a), of_b = d_select(no_b, zero, b.hi * up_b);
    return (interval_t){
        .value = d_softplus(pair_minus(b)) + d_softplus(a) - d_select(open, zero, log),
        .slope = d_select(even, pair_expm1(sum).hi * (d_sigmoid(pair_minus(a)) * up_b), up_a - up_b),
        .curve = up_a * d_sigmoid(pair_minus(a)) + up_b * d_sigmoid(b),
        .spread = (of_b - of_a) + d_select(open, zero, d_bose(width)),
    };
}
/* 1 - F(x) = e^(-e^x): with g = e^b - e^a, e^a - ln(1 - e^-g) */
INLINE interval_t aft_extreme(pair a, pair b, pair width) {
    static const double c[] = {
        1. / 2,         -1. / 6,          1. / 24,          -1. / 120,           1. / 720,
        -1. / 5040,     1. / 40320,       -1. / 362880,     1. / 3628800,        -1. / 39916800,
        1. / 479001600, -1. / 6227020800, 1. / 87178291200, -1. / 1307674368000, 1. / 20922789888000};
    const D zero = d_set(0), one = d_set(1), infinity = d_set(INFINITY);
    const L no_a = a.hi == -infinity, no_b = b.hi == infinity, whole = no_a | no_b;
    const pair held_a = pair_of(d_between(a.hi, -2000, 2000), d_select(d_abs(a.hi) < d_set(2000), a.lo, zero));
    const pair held_b = pair_of(d_between(b.hi, -2000, 700), d_select(d_abs(b.hi) < d_set(700), b.lo, zero));
    const D e_a = d_select(no_a, zero, d_exp(held_a, zero)),
            held_width = d_select(whole, one, d_at_most(width.hi, 700));
    const pair part = pair_expm1(pair_of(-held_width, zero)); /* 1 - e^-width, times -1 */
    const D share = d_select(whole, one, -part.hi), share_low = d_select(whole, zero, -part.lo);
    const pair rise = pair_product(pair_exp_of_finely(held_b), pair_of(share, share_low));
    const D g = d_select(no_b, infinity, rise.hi), g_low = d_select(rise.hi < d_set(700), rise.lo, zero);
    const D gone = d_exp(pair_of(-d_at_most(g, 2000), -g_low), zero), held = d_at_most(g, 700);
    const D less = -pair_expm1(pair_of(-held, -g_low)).hi; /* 1 - e^-g */
    const L near = g < d_set(0.5);
    /* where g may be too small to be one: ln g is b and what lacks, (1 - e^-g)/g nearly 1 */
    const D series = D_POLYNOMIAL(d_select(near, g, zero), c), quotient = d_fma(-g, series, one);
    const D small = b.hi + (b.lo + pair_log_of(share).hi) + pair_log_of(d_select(near, quotient, one)).hi;
    const D large = pair_log1p(pair_of(d_select(near, zero, -gone), zero)).hi;
    const D bose = d_select(near, gone / quotient, d_select(g > d_set(700), zero, held * gone / less));
    const D bend = d_select(near, gone * (g * series) / (quotient * quotient),
                            d_select(g > d_set(700), zero, held * gone * (held - less) / less / less));
    /* of a large scale both are nearly 1 */
    const L level = near & (a.hi < one);
    const D most = pair_expm1(pair_of(d_between(a.hi, -700, 1), d_select(level, a.lo, zero))).hi;
    const D apart = d_select(level, most + g * (quotient - series) / quotient, e_a - bose);
    const D slope = d_select(e_a == infinity, e_a, apart);
    /* (b e^b - a e^a)/g less a, or where b is far from a the whole of it */
    const L wide = width.hi > one;
    const D fade = d_exp(pair_of(-held_width, zero), zero), near_a = width.hi / share;
    const D reach = d_select(no_a, b.hi, d_select(wide, d_fma(-a.hi, fade, b.hi) / share, near_a));
    return (interval_t){
        .value = e_a - d_select(no_b, zero, d_select(near, small, large)),
        .slope = slope,
        .curve = e_a + bend,
        .spread = d_select(no_a, zero, -a.hi * d_select(wide, e_a, slope)) + d_select(bose == zero, zero, reach * bose),
    };
}

/* Where probabilities are so small, or an exponential is so large, that their quotient by the scale is a normal number
 * and they are not: the same slope, curve and spread as sums of c e^x for two x, whose exponents take the scale's. */
typedef struct {
    pair x[2];
    D slope[2], curve[2], spread[2];
    L slopes, curves; /* where slope and spread, and where curve, are to be taken from here */
} aft_far_t;
INLINE pair aft_held(pair x, double size) {
    const L held = d_abs(x.hi) < d_set(size);
    return pair_of(d_between(x.hi, -size, size), d_select(held, x.lo, d_set(0)));
}
/* a = b where the time is known */
INLINE aft_far_t aft_far(pair a, pair b, int distribution) {
    const D zero = d_set(0), one = d_set(1);
    const double far = distribution == AFT_NORMAL ? 27 : 360;
    if (!f64_any((d_abs(a.hi) > d_set(far)) | (d_abs(b.hi) > d_set(far)))) return (aft_far_t){.slope = {zero, zero}};
    const L below = a.hi < d_set(-far);
    const L above = b.hi > d_set(far), apart = below & above;
    const pair at = aft_held(a, 3000), to = aft_held(b, 3000);
    if (distribution == AFT_EXTREME) {
        const pair start = aft_held(a, 2000), end = aft_held(b, 350), from = pair_exp_of_finely(aft_held(a, 350));
        const pair whole = pair_exp_of_finely(end), g = pair_sum(whole, pair_of(-from.hi, -from.lo));
        const L up = a.hi > d_set(far), low = b.hi < d_set(-far), rare = below & (g.hi > d_set(far));
        const pair double_exponent = aft_held(pair_minus(g), 3000);
        const D half = d_set(0.5), second = d_select(rare, g.hi, zero);
        return (aft_far_t){
            .x = {at, pair_select(low, to, double_exponent)},
            .slope = {one, -second},
            .curve = {d_select(low, half, one), d_select(low, half, second * (g.hi - one))},
            .spread = {-start.hi, second * end.hi},
            .slopes = up | rare,
            .curves = up | low | rare,
        };
    }
    aft_far_t f = {.slope = {one, -one}, .slopes = apart, .curves = apart};
    f.spread[0] = d_abs(at.hi), f.spread[1] = d_abs(to.hi);
    if (distribution == AFT_NORMAL) {
        f.x[0] = log_normal_density(at), f.x[1] = log_normal_density(to);
        f.curve[0] = f.spread[0], f.curve[1] = f.spread[1];
    } else {
        f.x[0] = pair_select(at.hi < zero, at, pair_minus(at)), f.x[1] = pair_select(to.hi < zero, to, pair_minus(to));
        f.curve[0] = f.curve[1] = one;
        f.curves = (d_abs(at.hi) > d_set(far)) & (d_abs(to.hi) > d_set(far));
    }
    return f;
}
INLINE D aft_terms(const D *c, const D *e) { /* even where e is infinite, c 0 is nothing */
    const D zero = d_set(0);
    return d_select(c[0] == zero, zero, c[0] * e[0]) + d_select(c[1] == zero, zero, c[1] * e[1]);
}
/* Puts them where they belong: with s = 2^k m, e^x/s is 2^-k e^x / m. */
INLINE void aft_put_far(const aft_far_t *f, D s, D *by_pred, D *by_scale, D *hess) {
    D m, k = d_split(s, &m), once[2], twice[2];
    for (int i = 0; i < 2; i++) once[i] = d_exp(f->x[i], -k), twice[i] = d_exp(f->x[i], -2 * k);
    const D slope = aft_terms(f->slope, once), spread = aft_terms(f->spread, once), curve = aft_terms(f->curve, twice);
    *by_pred = d_select(f->slopes, -slope / m, *by_pred);
    *by_scale = d_select(f->slopes, spread / m, *by_scale);
    *hess = d_select(f->curves, curve / m / m, *hess);
}
/* ln(upper/time), 0 < time <= upper */
INLINE pair aft_change(D time, D upper, pair log_time, pair log_upper) {
    const D less = upper - time; /* exact where it counts */
    const L near = less <= time;
    const pair part = pair_over(pair_of(d_select(near, less, d_set(0)), d_set(0)), time);
    return pair_select(near, pair_log1p(part), fine_sum(log_upper, pair_minus(log_time)));
}
INLINE pair aft_offset(D time, pair log_time, D pred) {
    const L huge = d_abs(pred) >= d_set(0x1p200);
    const pair x = pair_log_less(time, log_time, d_select(huge, d_set(0), pred));
    return pair_select(huge, pair_of(-pred, d_set(0)), x);
}
IN_DOUBLE(aft_nll, 4) {
    const D pred = in[PRED], low = in[TARGET], high = in[AFT_UPPER], s = in[AFT_SCALE_INPUT];
    const int distribution = (int)p[AFT_DISTRIBUTION][0];
    const D zero = d_set(0), one = d_set(1), infinity = d_set(INFINITY);
    const L known = low == high, no_low = low == zero, no_high = high == infinity, scaled = (s > zero) & (s < infinity);
    const D held_low = d_select((low > zero) & (low < infinity), low, one);
    const D held_high = d_select((high > zero) & (high < infinity), high, one), held_s = d_select(scaled, s, one);
    const pair log_low = pair_log_of(held_low), log_high = pair_log_of(held_high);
    pair a = pair_over(aft_offset(held_low, log_low, pred), held_s), b = a;
    interval_t point = {zero, zero, zero, zero}, between = point;
    if (f64_any(known)) point = aft_known(a, distribution);
    if (f64_any(~known)) b = pair_over(aft_offset(held_high, log_high, pred), held_s);
    a = pair_of(d_select(no_low, -infinity, a.hi), d_select(no_low, zero, a.lo));
    b = pair_of(d_select(no_high, infinity, b.hi), d_select(no_high, zero, b.lo));
    if (f64_any(~known)) {
        const L open = no_low | no_high;
        pair width = pair_over(aft_change(held_low, held_high, log_low, log_high), held_s);
        width.hi = d_select(open, infinity, d_select(known, one, width.hi)); /* of a known time not used */
        width.lo = d_select(open | known, zero, width.lo);
        between = distribution == AFT_NORMAL     ? d_normal_interval(a, b, width.hi)
                  : distribution == AFT_LOGISTIC ? aft_logistic(a, b, width)
                                                 : aft_extreme(a, b, width);
    }
    const L nothing = no_low & no_high & (pred == pred);
    const L missing = (pred != pred) | (low != low) | (high != high) | (s != s);
    D value = point.value + pair_log_of(held_s).hi;
    if (IS(p[AFT_FULL])) value += log_low.hi + (distribution == AFT_NORMAL ? d_set(0x1.d67f1c864beb5p-1) : zero);
    u->value = d_select(nothing, zero, d_select(known, value, between.value));
    u->grad[PRED] = d_select(nothing, zero, -d_select(known, point.slope, between.slope) / s);
    u->hess = d_select(nothing, zero, d_select(known, point.curve, between.curve) / s / s);
    const D spread = d_select(known, point.spread, between.spread), slope = d_select(known, point.slope, between.slope);
    const L held = (spread > -infinity) | (d_abs(slope) < d_set(0x1p400)); /* else a square that overflows alone */
    u->grad[AFT_SCALE_INPUT] = d_select(nothing, zero, d_select(held, spread / s, -slope * (slope / s)));
    if (sizeof(REAL) == sizeof(double)) { /* in single precision both are zero, or finite in double */
        aft_far_t far = aft_far(a, b, distribution);
        far.slopes &= ~nothing, far.curves &= ~nothing;
        if (f64_any(far.slopes | far.curves))
            aft_put_far(&far, held_s, &u->grad[PRED], &u->grad[AFT_SCALE_INPUT], &u->hess);
    }
    const D nan = d_set(NAN);
    u->value = d_select(missing, nan, u->value), u->hess = d_select(missing, nan, u->hess);
    u->grad[PRED] = d_select(missing, nan, u->grad[PRED]);
    u->grad[AFT_SCALE_INPUT] = d_select(missing, nan, u->grad[AFT_SCALE_INPUT]);
}
ELEMENTWISE(aft_nll) {
    const V low = in[TARGET], high = in[AFT_UPPER], s = in[AFT_SCALE_INPUT], zero = v_zero(),
            infinity = v_set(INFINITY);
    u->outside = (low < zero) | (high < low) | (high == zero) | (low == infinity) | (s <= zero) | (s == infinity);
    aft_nll_in_double(in, p, u);
}

/* Cox (1972): sum over events i of ln(sum over j with time_j >= time_i of e^z_j) - z_i; of d events at the same time,
 * whose exponentials sum to E, Efron's (1977) k-th one takes k E/d from that sum. */
enum { COX_TIES };
enum { COX_EVENT = 2 };
DEFINE(cox_nll) = {
    LOSS(cox_nll),
    .aliases = "cox_partial_likelihood",
    .family = "likelihood",
    .summary = "Cox's proportional hazards: negative partial log-likelihood of the subjects of a row.",
    .formula = "sum over i with event of log(sum over j with target_j >= target_i of exp(pred_j)) - pred_i",
    .latex = "\\sum_{i:\\,\\delta_i = 1} \\ln \\sum_{j:\\,y_j \\ge y_i} e^{z_j} - z_i",
    .tasks = "survival",
    .see_also = "aft_nll",
    .look_alikes =
        "statsmodels: PHReg: the same, ties=efron for its ties='efron'\n"
        "pycox: CoxPHLoss: the mean over the events\n"
        "XGBoost: survival:cox: gradient of this where no times are equal; a negative label is one without event",
    .source =
        "D. Cox, Regression models and life-tables, J. R. Stat. Soc. B 34, 1972; B. Efron, The efficiency of Cox's "
        "likelihood function for censored data, JASA 72, 1977",
    .kinks = "",
    .unit = LOSSFN_UNIT_ROW,
    .n_inputs = 3,
    .n_params = 1,
    .inputs = {INPUT("pred", REAL, 1, "logarithm of each subject's hazard"),
               INPUT("target", REAL, 0, "until when each was seen"),
               INPUT("event", PROBABILITY, 0, "1 if it happened then, 0 if it had not yet happened")},
    .params = {PARAM_CHOICE("ties", "breslow", "breslow, efron",
                            "events at the same time: all against the whole sum, or "
                            "one after the other")},
    .traits = LOSSFN_TRAIT_NONNEGATIVE | LOSSFN_TRAIT_CONVEX | LOSSFN_TRAIT_DIFFERENTIABLE |
              LOSSFN_TRAIT_TWICE_DIFFERENTIABLE,
    .hess_kinds = EXACT,
    .whole_rows = 1,
    .n_scratch = 8,
    .ulp_value = 4,
    .ulp_grad = 8, /* sums over those at risk, in double for f64 as well */
    .ulp_hess = 24,
};
/* Times in their order; of every distinct time, at the place of its first: the largest z, a sum relative to e^z, of
 * events as well, as double in two parts. */
typedef struct {
    REAL *times, *top, *sum[2], *tied[2], *events;
} cox_t;
ALWAYS_INLINE double cox_double(REAL *const of[2], int64_t i) { return (double)of[0][i] + (double)of[1][i]; }
ALWAYS_INLINE void cox_put(REAL *const of[2], int64_t i, double x) {
    of[0][i] = (REAL)x;
    of[1][i] = (REAL)(x - (double)of[0][i]);
}
/* e^(a - b), the difference exact */
ALWAYS_INLINE double exp_apart(double a, double b) { return d_exp(pair_sum_of(d_set(a), d_set(-b)), d_set(0))[0]; }
ALWAYS_INLINE double log_wide(double x) { return pair_log_of(d_set(x)).hi[0]; }
ALWAYS_INLINE int64_t cox_place(const cox_t *c, int64_t n, REAL time) {
    int64_t low = 0;
    for (int64_t high = n; low < high;) {
        const int64_t middle = low + (high - low) / 2;
        if (c->times[middle] < time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
/* Those at risk at each time: from the last time on, sums relative to the largest z so far. Returns the value. */
ALWAYS_INLINE double cox_risks(const whole_row_t *r, const cox_t *c, int efron) {
    const int64_t n = r->n;
    double value = 0, top = -INFINITY, sum = 0;
    for (int64_t last = n; last > 0;) {
        int64_t b = last - 1;
        while (b > 0 && c->times[b - 1] == c->times[last - 1]) b--;
        const double own = (double)c->top[b], more = own > top ? own : top;
        const double fade = top == -INFINITY ? 0 : exp_apart(top, more), scale = exp_apart(own, more);
        sum = sum * fade + cox_double(c->sum, b) * scale;
        top = more;
        const double tied = cox_double(c->tied, b) * scale, events = (double)c->events[b];
        cox_put(c->sum, b, sum);
        cox_put(c->tied, b, tied);
        c->top[b] = (REAL)top;
        if (efron)
            for (double k = 0; k < events; k++) value += log_wide(sum - k / events * tied);
        else if (events > 0)
            value += events * log_wide(sum);
        last = b;
    }
    return value;
}
WHOLE_ROWS(cox_nll) {
    const int64_t n = r->n;
    const int efron = IS(r->p[COX_TIES]);
    const REAL *const z = r->in[PRED], *const time = r->in[TARGET], *const event = r->in[COX_EVENT];
    REAL *const *const s = r->scratch;
    cox_t c = {.times = s[0], .top = s[1], .sum = {s[2], s[3]}, .tied = {s[4], s[5]}, .events = s[6]};
    const V infinity = v_set(INFINITY), zero = v_zero();
    EACH_VECTOR(r, i) {
        const V e = v_load(event + i);
        row_outside(r, i,
                    (v_abs(v_load(z + i)) == infinity) | (v_abs(v_load(time + i)) == infinity) |
                        m_not((e == zero) | (e == v_one())));
        v_store(c.top + i, -infinity);
        for (int j = 2; j < 7; j++) v_store(s[j] + i, zero);
    }
    if (r->outside >= 0) return;
    memcpy(c.times, time, (size_t)n * sizeof *time);
    row_sort(c.times, s[7], NULL, NULL, n);
    for (int64_t i = 0; i < n; i++) {
        const int64_t b = cox_place(&c, n, time[i]);
        if (z[i] > c.top[b]) c.top[b] = z[i];
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t b = cox_place(&c, n, time[i]);
        const double e = exp_apart((double)z[i], (double)c.top[b]);
        cox_put(c.sum, b, cox_double(c.sum, b) + e);
        if (event[i] > 0) cox_put(c.tied, b, cox_double(c.tied, b) + e), c.events[b] += 1;
    }
    double value = cox_risks(r, &c, efron);
    for (int64_t i = 0; i < n; i++)
        if (event[i] > 0) value += (double)c.top[cox_place(&c, n, time[i])] - (double)z[i];
    r->value = (REAL)value;
    if (!r->grad[PRED] && !r->hess) return;

    /* from the first time on, sums over events of 1/S and 1/S^2, S the sum at risk, times e^top and e^(2 top); what an
     * event of Efron's lacks of its own time's */
    double hazard = 0, square = 0, before = 0;
    REAL *const hazards[2] = {s[2], s[3]}, *const squares[2] = {s[4], s[5]};
    REAL *const less = s[6], *const less_square = s[7];
    for (int64_t b = 0; b < n;) {
        const double top = (double)c.top[b], sum = cox_double(c.sum, b), tied = cox_double(c.tied, b);
        const double events = (double)c.events[b], fade = b == 0 ? 0 : exp_apart(top, before);
        double lacks = 0, lacks_square = 0;
        hazard *= fade, square *= fade * fade;
        for (double k = 0; k < (efron ? events : 1); k++) {
            const double share = efron ? k / events : 0, at = 1 / (sum - share * tied), many = efron ? 1 : events;
            hazard += many * at, square += many * at * at;
            lacks += share * at, lacks_square += (1 - (1 - share) * (1 - share)) * at * at;
        }
        before = top;
        cox_put(hazards, b, hazard), cox_put(squares, b, square);
        less[b] = (REAL)lacks, less_square[b] = (REAL)lacks_square;
        do b++;
        while (b < n && c.times[b] == c.times[b - 1]);
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t b = cox_place(&c, n, time[i]);
        const double e = exp_apart((double)z[i], (double)c.top[b]), own = (double)event[i];
        const double first = cox_double(hazards, b) - own * (double)less[b];
        const double second = cox_double(squares, b) - own * (double)less_square[b];
        if (r->grad[PRED]) r->grad[PRED][i] = (REAL)(e * first - own);
        if (r->hess) r->hess[i] = (REAL)(e * (first - e * second));
    }
}
