/* SPDX-License-Identifier: MIT
 * Predictions that are best: one for all units (the init score of boosting, the intercept of a model that has nothing
 * else), and for each unit by itself (what a perfect prediction costs). Found by the sign of the gradient, which is
 * exact for sums, so that any loss will do. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "core/memory.h"
#include "core/status.h"
#include "engine/exact.h"
#include "engine/run.h"

/* ---- Doubles in their order, as integers: halving reaches any of them in 64 steps ---------------------------------
 */

static int64_t rank_of(double x) {
    int64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits < 0 ? INT64_MIN - bits : bits;
}
static double of_rank(int64_t rank) {
    double x;
    int64_t bits = rank < 0 ? INT64_MIN - rank : rank;
    memcpy(&x, &bits, sizeof x);
    return x;
}
static int64_t halfway(int64_t a, int64_t b) { return (a >> 1) + (b >> 1) + (a & b & 1); }
static uint64_t apart(int64_t a, int64_t b) { return a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a; }
static double between(double a, double b) { return isfinite(b - a) ? a + (b - a) / 2 : a / 2 + b / 2; }

/* Where predictions of a scale lie. */
static void domain_of(int32_t scale, double *low, double *high) {
    *low = scale == LOSSFN_SCALE_PROBABILITY || scale == LOSSFN_SCALE_POSITIVE ? 0 : -INFINITY;
    *high = scale == LOSSFN_SCALE_PROBABILITY ? 1 : scale == LOSSFN_SCALE_LOG_PROBABILITY ? 0 : INFINITY;
}

/* ---- The call that is made again and again ------------------------------------------------------------------------
 */

typedef struct {
    const lossfn_t *loss;
    lossfn_args_t args; /* the caller's inputs, weight and mask; pred and the outputs are ours */
    lossfn_tensor_t pred, grad, values;
    int64_t n;
    double *memory, *slopes, one;
    uint64_t size;
} search_t;

static void end_search(search_t *s) { lossfn__free(s->memory, s->size); }

/* Room for `arrays` arrays of pred's length. What is asked is checked first, as it stands. */
static lossfn_status_t begin_search(search_t *s, const lossfn_t *loss, const lossfn_args_t *args, int arrays) {
    static const double zero;
    int64_t strides[LOSSFN_MAX_DIMS] = {0};
    memset(s, 0, sizeof *s);
    s->loss = loss;
    s->one = 1;
    lossfn_args_init(&s->args);
    const lossfn_tensor_t *pred = args->inputs[0];
    s->n = lossfn__elements(pred);
    s->args.n_inputs = args->n_inputs;
    memcpy(s->args.inputs, args->inputs, sizeof s->args.inputs);
    s->args.weight = args->weight;
    s->args.mask = args->mask;
    if (lossfn__is_mean(loss->reduction)) s->args.denominator = &s->one; /* a factor does not move an optimum */
    s->size = ((uint64_t)s->n * (uint64_t)arrays + 1) * sizeof(double);
    s->memory = lossfn__allocate(s->size);
    if (!s->memory)
        return lossfn__fail(LOSSFN_ERROR_MEMORY, "out of memory for %lld numbers", (long long)s->n * arrays);
    s->slopes = s->memory;
    memset(s->memory, 0, s->size);
    lossfn_status_t status = lossfn_tensor_init(&s->grad, s->slopes, LOSSFN_F64, pred->ndim, pred->shape);
    if (status == LOSSFN_OK)
        status = lossfn_tensor_init_strided(&s->pred, (void *)(uintptr_t)&zero, LOSSFN_F64, pred->ndim, pred->shape,
                                            strides, LOSSFN_TENSOR_READONLY);
    if (status != LOSSFN_OK) return end_search(s), status;
    s->args.inputs[0] = &s->pred;
    s->args.grads[0] = &s->grad;
    return LOSSFN_OK;
}

/* ---- One prediction for all units ---------------------------------------------------------------------------------
 */

/* The slope of the loss over all units where every prediction is x, of exactly the sign of the sum; NaN counts as 0. */
static lossfn_status_t slope_at(search_t *s, double x, double *slope) {
    double sum = 0, size = 0;
    s->pred.data = &x;
    LOSSFN__TRY(lossfn__run_allocating(s->loss, &s->args));
    for (int64_t i = 0; i < s->n; i++) {
        sum += s->slopes[i];
        size += fabs(s->slopes[i]);
    }
    if (!(fabs(sum) > 1e-6 * size)) { /* too near for plain sums */
        lossfn__exact_t exact;
        lossfn__exact_clear(&exact);
        for (int64_t i = 0; i < s->n; i++) lossfn__exact_add(&exact, s->slopes[i]);
        sum = lossfn__exact_round(&exact);
    }
    *slope = isnan(sum) ? 0 : sum;
    return LOSSFN_OK;
}
static lossfn_status_t side_at(search_t *s, double x, int *side) {
    double slope;
    LOSSFN__TRY(slope_at(s, x, &slope));
    *side = (slope > 0) - (slope < 0);
    return LOSSFN_OK;
}

/* From `start` towards `end`, in steps that double, until the loss rises that way: *found, or `end` if it never does.
 * *back follows as long as it falls. The steps are `step` at first; 0: one double. */
static lossfn_status_t walk(search_t *s, double start, double step, int64_t end, int64_t *found, int64_t *back) {
    const int up = end > rank_of(start);
    int64_t at = rank_of(start);
    for (uint64_t leap = 1;; leap *= 1 + (leap < (uint64_t)1 << 60), step *= 2) {
        const int64_t there = rank_of(of_rank(at) + (up ? step : -step));
        if (step == 0)
            at = leap >= apart(at, end) ? end : up ? at + (int64_t)leap : at - (int64_t)leap;
        else
            at = up ? (there < end ? there : end) : (there > end ? there : end);
        if (at == end) break;
        int side;
        LOSSFN__TRY(side_at(s, of_rank(at), &side));
        if (side == (up ? 1 : -1)) {
            *found = at;
            return LOSSFN_OK;
        }
        if (side != 0) *back = at;
    }
    *found = end;
    return LOSSFN_OK;
}

/* Halves what lies between `inside`, where the slope has that sign, and `outside`, where it does not. */
static lossfn_status_t find_edge(search_t *s, int side, int64_t *inside, int64_t outside) {
    while (apart(*inside, outside) > 1) {
        const int64_t middle = halfway(*inside, outside);
        int found;
        LOSSFN__TRY(side_at(s, of_rank(middle), &found));
        if (found == side)
            *inside = middle;
        else
            outside = middle;
    }
    return LOSSFN_OK;
}

/* The middle of where the loss is least, or the end of the domain that it falls towards. */
static lossfn_status_t best_constant(search_t *s, double start, double step, double *out) {
    double low, high;
    domain_of(s->loss->inputs[0].scale, &low, &high);
    const int64_t first = rank_of(low), last = rank_of(high);
    int64_t below = first, above = last;
    int side;
    LOSSFN__TRY(side_at(s, start, &side));
    if (side < 0) below = rank_of(start);
    if (side > 0) above = rank_of(start);
    if (side <= 0) LOSSFN__TRY(walk(s, start, step, last, &above, &below));
    if (side >= 0 && below == first) LOSSFN__TRY(walk(s, start, step, first, &below, &above));
    LOSSFN__TRY(find_edge(s, -1, &below, above));
    if (apart(below, above) > 1) LOSSFN__TRY(find_edge(s, 1, &above, below));
    if (below == first || above == last) {
        *out = below != first ? high : above != last ? low : NAN;
    } else if (apart(below, above) > 1) {
        *out = between(of_rank(below), of_rank(above));
    } else { /* neighbours: the one where the slope is less */
        double left, right;
        LOSSFN__TRY(slope_at(s, of_rank(below), &left));
        LOSSFN__TRY(slope_at(s, of_rank(above), &right));
        *out = of_rank(-left <= right ? below : above);
    }
    return LOSSFN_OK;
}

/* The median of the targets, and how far from it steps begin: a good place for a loss of the residual, however it goes
 * on far out. */
static lossfn_status_t find_middle(const lossfn_t *loss, const lossfn_args_t *args, double *middle, double *step) {
    static const double levels[] = {0.25, 0.75, 0.5};
    double found[3];
    for (int i = 0; i < 3; i++) {
        char spec[64];
        lossfn_t *quantile;
        search_t s;
        lossfn_args_t two = *args;
        two.n_inputs = 2;
        snprintf(spec, sizeof spec, "quantile(tau=%g, nan_policy=%s)", levels[i],
                 loss->nan_policy == LOSSFN__NAN_PROPAGATE ? "propagate" : "ignore");
        LOSSFN__TRY(lossfn_create(&quantile, spec));
        lossfn_status_t status = begin_search(&s, quantile, &two, 1);
        if (status == LOSSFN_OK) {
            status = best_constant(&s, 0, 0, &found[i]);
            end_search(&s);
        }
        lossfn_destroy(quantile);
        LOSSFN__TRY(status);
    }
    const double spread = (found[1] - found[0]) / 16;
    *middle = isfinite(found[2]) ? found[2] : 0;
    *step = isfinite(spread) && spread > 0x1p-40 * fabs(*middle) ? spread : 0;
    return LOSSFN_OK;
}

/* ---- Rows: a prediction for each class, by Broyden, Fletcher, Goldfarb and Shanno's method -------------------------
 */

enum { MOST_STEPS = 1000, MOST_TRIALS = 60 };
#define SMALL_SLOPE 1e-13 /* of the first one: then it is over */

typedef struct {
    search_t *search;
    int64_t cols, inner; /* elements between two classes */
    double *at, *slope, *trial, *trial_slope, *direction, *product, *inverse, value;
} descent_t;

static lossfn_status_t value_at(descent_t *d, double *x, double *slope, double *value) {
    search_t *s = d->search;
    s->pred.data = x;
    s->args.sum = value;
    LOSSFN__TRY(lossfn__run_allocating(s->loss, &s->args));
    for (int64_t c = 0; c < d->cols; c++) {
        lossfn__exact_t sum;
        lossfn__exact_clear(&sum);
        for (int64_t i = c * d->inner; i < s->n; i += d->cols * d->inner)
            for (int64_t k = 0; k < d->inner; k++) lossfn__exact_add(&sum, s->slopes[i + k]);
        slope[c] = lossfn__exact_round(&sum);
    }
    return LOSSFN_OK;
}

static double dot(const double *a, const double *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static void forget(descent_t *d, double scale) { /* the inverse Hessian: a multiple of the identity */
    memset(d->inverse, 0, (size_t)(d->cols * d->cols) * sizeof(double));
    for (int64_t c = 0; c < d->cols; c++) d->inverse[c * d->cols + c] = scale;
}

/* After the step `length` times d->direction, which changed the slope by y. */
static void learn(descent_t *d, double length, const double *y) {
    const int64_t n = d->cols;
    const double curve = length * dot(d->direction, y, n);
    if (!(curve > 0)) return;
    for (int64_t i = 0; i < n; i++) d->product[i] = dot(d->inverse + i * n, y, n);
    const double share = (1 + dot(y, d->product, n) / curve) / curve * length * length;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            d->inverse[i * n + j] +=
                share * d->direction[i] * d->direction[j] -
                length / curve * (d->product[i] * d->direction[j] + d->direction[i] * d->product[j]);
}

/* A step along d->direction that the loss is less after, or as little with less slope; 0: there is none. */
static lossfn_status_t go(descent_t *d, double *length) {
    const double before = dot(d->slope, d->direction, d->cols);
    *length = 1;
    for (int i = 0; i < MOST_TRIALS; i++, *length /= 2) {
        double value;
        for (int64_t c = 0; c < d->cols; c++) d->trial[c] = d->at[c] + *length * d->direction[c];
        LOSSFN__TRY(value_at(d, d->trial, d->trial_slope, &value));
        const int flatter = fabs(dot(d->trial_slope, d->direction, d->cols)) <= 0.9 * fabs(before);
        if (value <= d->value + 1e-4 * *length * before || (flatter && value <= d->value + 1e-14 * fabs(d->value))) {
            d->value = value;
            return LOSSFN_OK;
        }
    }
    *length = 0;
    return LOSSFN_OK;
}

static lossfn_status_t descend(descent_t *d) {
    const int64_t n = d->cols;
    LOSSFN__TRY(value_at(d, d->at, d->slope, &d->value));
    const double first = sqrt(dot(d->slope, d->slope, n));
    forget(d, 1 / (first > 0 ? first : 1));
    for (int step = 0; step < MOST_STEPS && sqrt(dot(d->slope, d->slope, n)) > SMALL_SLOPE * first; step++) {
        double length;
        for (int64_t c = 0; c < n; c++) d->direction[c] = -dot(d->inverse + c * n, d->slope, n);
        LOSSFN__TRY(go(d, &length));
        if (length == 0) break;
        for (int64_t c = 0; c < n; c++) {
            const double change = d->trial_slope[c] - d->slope[c];
            d->at[c] = d->trial[c];
            d->slope[c] = d->trial_slope[c];
            d->trial_slope[c] = change;
        }
        if (step == 0) {
            const double y = dot(d->trial_slope, d->trial_slope, n);
            if (y > 0) forget(d, length * dot(d->direction, d->trial_slope, n) / y);
        }
        learn(d, length, d->trial_slope);
    }
    return LOSSFN_OK;
}

static lossfn_status_t best_row(const lossfn_t *loss, const lossfn_args_t *args, double *out) {
    const lossfn_tensor_t *pred = args->inputs[0];
    const int32_t axis = loss->axis < 0 ? loss->axis + pred->ndim : loss->axis;
    LOSSFN__REQUIRE(axis >= 0 && axis < pred->ndim, LOSSFN_ERROR_SHAPE, "pred has %d axes, the classes are on axis %d",
                    (int)pred->ndim, (int)loss->axis);
    descent_t d = {.cols = pred->shape[axis], .inner = 1};
    for (int32_t k = axis + 1; k < pred->ndim; k++) d.inner *= pred->shape[k];
    if (d.cols == 0) return LOSSFN_OK;
    const uint64_t size = (uint64_t)(d.cols * (d.cols + 6)) * sizeof(double);
    double *memory = lossfn__allocate(size);
    LOSSFN__REQUIRE(memory, LOSSFN_ERROR_MEMORY, "out of memory for %lld classes", (long long)d.cols);
    memset(memory, 0, (size_t)size);
    double **const arrays[] = {&d.at, &d.slope, &d.trial, &d.trial_slope, &d.direction, &d.product, &d.inverse};
    for (int i = 0; i < 7; i++) *arrays[i] = memory + i * d.cols;
    search_t s;
    lossfn_status_t status = begin_search(&s, loss, args, 1);
    if (status == LOSSFN_OK) {
        d.search = &s;
        s.pred.strides[axis] = 1;
        status = descend(&d);
        end_search(&s);
    }
    if (status == LOSSFN_OK) memcpy(out, d.at, (size_t)d.cols * sizeof(double));
    lossfn__free(memory, size);
    return status;
}

/* ---- The functions of the interface -------------------------------------------------------------------------------
 */

static uint32_t shared_traits(const lossfn_t *loss) {
    uint32_t traits = ~0u;
    for (int32_t t = 0; t < loss->n_terms; t++) traits &= loss->terms[t].definition->traits;
    return traits;
}

static lossfn_status_t check_search(const lossfn_t *loss, const lossfn_args_t *args, const void *out,
                                    const char *out_name) {
    LOSSFN__REQUIRE(loss && args && out, LOSSFN_ERROR_ARGUMENT, "%s is NULL",
                    !loss   ? "loss"
                    : !args ? "args"
                            : out_name);
    LOSSFN__REQUIRE(args->n_inputs > 0 && args->n_inputs <= loss->n_inputs && args->inputs[0], LOSSFN_ERROR_ARGUMENT,
                    "input %s is NULL; its shape is looked at", loss->inputs[0].name);
    LOSSFN__REQUIRE(loss->n_inputs > 1, LOSSFN_ERROR_UNSUPPORTED, "%s has no target", lossfn_name(loss));
    return LOSSFN_OK;
}

lossfn_status_t lossfn_init_score(const lossfn_t *loss, const lossfn_args_t *args, double *out) {
    LOSSFN__TRY(check_search(loss, args, out, "out"));
    if (loss->unit == LOSSFN_UNIT_ROW) {
        const int32_t scale = loss->inputs[0].scale;
        LOSSFN__REQUIRE(scale == LOSSFN_SCALE_LOGITS || scale == LOSSFN_SCALE_REAL, LOSSFN_ERROR_UNSUPPORTED,
                        "%s takes a distribution; its best constant is the mean of the targets", lossfn_name(loss));
        return best_row(loss, args, out);
    }
    double start = 0, step = 0;
    search_t s;
    if (shared_traits(loss) & LOSSFN_TRAIT_DISTANCE)
        LOSSFN__TRY(find_middle(loss, args, &start, &step));
    else if (loss->inputs[0].scale != LOSSFN_SCALE_REAL && loss->inputs[0].scale != LOSSFN_SCALE_LOGITS)
        start = loss->inputs[0].scale == LOSSFN_SCALE_LOG_PROBABILITY ? -1 : 0.5;
    LOSSFN__TRY(begin_search(&s, loss, args, 1));
    lossfn_status_t status = best_constant(&s, start, step, out);
    end_search(&s);
    return status;
}

/* Halves for every unit at once: x, and places below and above the best. */
static lossfn_status_t best_of_each(search_t *s, double *x, int64_t *below, int64_t *above) {
    double low, high;
    domain_of(s->loss->inputs[0].scale, &low, &high);
    for (int64_t i = 0; i < s->n; i++) below[i] = rank_of(low), above[i] = rank_of(high);
    for (int step = 0; step < 64; step++) {
        for (int64_t i = 0; i < s->n; i++) x[i] = of_rank(halfway(below[i], above[i]));
        LOSSFN__TRY(lossfn__run_allocating(s->loss, &s->args));
        for (int64_t i = 0; i < s->n; i++) {
            const int64_t middle = rank_of(x[i]);
            if (!(s->slopes[i] > 0)) below[i] = middle;
            if (!(s->slopes[i] < 0)) above[i] = middle;
        }
    }
    return LOSSFN_OK;
}

/* Where a loss is flat in places, halving may stop there. So -1 and 1 are tried as well, and a target on the scale of
 * pred. */
enum { CANDIDATE_BELOW, CANDIDATE_ABOVE, CANDIDATE_MINUS_ONE, CANDIDATE_ONE, CANDIDATE_TARGET, CANDIDATES };
static int takes_any_number(const search_t *s) {
    const int32_t scale = s->loss->inputs[0].scale;
    return scale == LOSSFN_SCALE_REAL || scale == LOSSFN_SCALE_LOGITS;
}
static int target_is_candidate(const search_t *s) {
    const lossfn_tensor_t *target = s->args.inputs[1];
    return target && target->ndim == s->pred.ndim && s->loss->inputs[1].scale == LOSSFN_SCALE_REAL &&
           memcmp(target->shape, s->pred.shape, (size_t)target->ndim * sizeof *target->shape) == 0;
}

static lossfn_status_t least_of_each(search_t *s, const lossfn_tensor_t *values) {
    double *const x = s->memory + s->n, *const best = x + s->n, *const least = best + s->n;
    int64_t *const below = (int64_t *)(void *)(least + s->n), *const above = below + s->n;
    lossfn_tensor_t found;
    LOSSFN__TRY(lossfn_tensor_init(&s->pred, x, LOSSFN_F64, s->pred.ndim, s->pred.shape));
    LOSSFN__TRY(best_of_each(s, x, below, above));
    s->args.grads[0] = NULL;
    LOSSFN__TRY(lossfn_tensor_init(&found, s->slopes, LOSSFN_F64, s->pred.ndim, s->pred.shape));
    s->args.values = &found;
    for (int candidate = 0; candidate < CANDIDATES; candidate++) {
        if (candidate == CANDIDATE_TARGET && !target_is_candidate(s)) continue;
        if ((candidate == CANDIDATE_MINUS_ONE || candidate == CANDIDATE_ONE) && !takes_any_number(s)) continue;
        for (int64_t i = 0; i < s->n; i++)
            x[i] = candidate == CANDIDATE_BELOW       ? of_rank(below[i])
                   : candidate == CANDIDATE_ABOVE     ? of_rank(above[i])
                   : candidate == CANDIDATE_MINUS_ONE ? -1
                   : candidate == CANDIDATE_ONE       ? 1
                                                      : lossfn__element(s->args.inputs[1], i);
        LOSSFN__TRY(lossfn__run_allocating(s->loss, &s->args));
        for (int64_t i = 0; i < s->n; i++) {
            if (candidate > 0 && !(s->slopes[i] < least[i]) && !isnan(least[i])) continue;
            least[i] = s->slopes[i];
            best[i] = x[i];
        }
    }
    memcpy(x, best, (size_t)s->n * sizeof *x);
    s->args.values = values;
    return lossfn__run_allocating(s->loss, &s->args);
}

lossfn_status_t lossfn_minimum(const lossfn_t *loss, lossfn_args_t *args) {
    LOSSFN__TRY(check_search(loss, args, args ? args->values : NULL, "args.values"));
    LOSSFN__REQUIRE(loss->unit == LOSSFN_UNIT_ELEMENT, LOSSFN_ERROR_UNSUPPORTED,
                    "%s is a loss over rows; the least value is known for losses of elements", lossfn_name(loss));
    search_t s;
    LOSSFN__TRY(begin_search(&s, loss, args, 6));
    lossfn_status_t status = least_of_each(&s, args->values);
    end_search(&s);
    return status;
}
