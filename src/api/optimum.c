/* SPDX-License-Identifier: MIT
 * Predictions that are best: one for all units (the init score of boosting, the intercept of a model that has nothing
 * else), and for each unit by itself (what a perfect prediction costs). Found by the sign of the gradient, which is
 * exact for sums, so that any loss will do. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "api/search.h"
#include "core/status.h"
#include "core/tensor.h"
#include "engine/exact.h"
#include "engine/fpenv.h"
#include "engine/plan.h"
#include "engine/run.h"

/* ---- Doubles in their order, as integers: halving reaches any of them in 64 steps ---- */

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
LOSSFN__WRAPS static uint64_t apart(int64_t a, int64_t b) {
    return a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a;
}
static double between(double a, double b) { return isfinite(b - a) ? a + (b - a) / 2 : a / 2 + b / 2; }

/* Where predictions of a scale lie. */
static void domain_of(int32_t scale, double *low, double *high) {
    *low = scale == LOSSFN_SCALE_PROBABILITY || scale == LOSSFN_SCALE_POSITIVE ? 0 : -INFINITY;
    *high = scale == LOSSFN_SCALE_PROBABILITY ? 1 : scale == LOSSFN_SCALE_LOG_PROBABILITY ? 0 : INFINITY;
}

/* ---- One prediction for all units ---------------------------------------------------- */

/* The slope of the loss over all units where every prediction is x, of exactly the sign of the sum; NaN counts as 0. */
static lossfn_status_t slope_at(lossfn__search_t *s, double x, double *slope) {
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
static lossfn_status_t side_at(lossfn__search_t *s, double x, int *side) {
    double slope;
    LOSSFN__TRY(slope_at(s, x, &slope));
    *side = (slope > 0) - (slope < 0);
    return LOSSFN_OK;
}

/* From `start` towards `end`, in steps that double, until the loss rises that way: *found, or `end` if it never does.
 * *back follows as long as it falls. The steps are `step` at first; 0: one double. From far away on they are powers of
 * two, and then powers of those. */
static lossfn_status_t walk(lossfn__search_t *s, double start, double step, int64_t end, int64_t *found,
                            int64_t *back) {
    const int up = end > rank_of(start);
    const double far = step * 0x1p40;
    int64_t at = rank_of(start);
    for (uint64_t leap = step == 0 ? 1 : (uint64_t)1 << 52;; step *= 2) {
        const int64_t there = rank_of(of_rank(at) + (up ? step : -step));
        if (step == 0) {
            at = leap >= apart(at, end) ? end : up ? at + (int64_t)leap : at - (int64_t)leap;
            leap *= 1 + (leap < (uint64_t)1 << 60);
        } else {
            at = up ? (there < end ? there : end) : (there > end ? there : end);
            if (step >= far) step = 0;
        }
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
static lossfn_status_t find_edge(lossfn__search_t *s, int side, int64_t *inside, int64_t outside) {
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
static lossfn_status_t best_constant(lossfn__search_t *s, double start, double step, double *out) {
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
    static const char *const levels[] = {"0.25", "0.75", "0.5"}; /* printf would write 0,25 in some locales */
    double found[3];
    for (int i = 0; i < 3; i++) {
        char spec[64];
        lossfn_t *quantile;
        lossfn__search_t s;
        lossfn_args_t two = *args;
        two.n_inputs = 2;
        snprintf(spec, sizeof spec, "quantile(tau=%s, nan_policy=%s)", levels[i],
                 loss->nan_policy == LOSSFN__NAN_PROPAGATE ? "propagate" : "ignore");
        LOSSFN__TRY(lossfn_create(&quantile, spec));
        lossfn_status_t status = lossfn__search_begin(&s, quantile, &two, 1);
        if (status == LOSSFN_OK) {
            status = best_constant(&s, 0, 0, &found[i]);
            lossfn__search_end(&s);
        }
        lossfn_destroy(quantile);
        LOSSFN__TRY(status);
    }
    const double spread = (found[1] - found[0]) / 16;
    *middle = isfinite(found[2]) ? found[2] : 0;
    *step = isfinite(spread) && spread > 0x1p-40 * fabs(*middle) ? spread : 0;
    return LOSSFN_OK;
}

static uint32_t shared_traits(const lossfn_t *loss) {
    uint32_t traits = ~0u;
    for (int32_t t = 0; t < loss->n_terms; t++) traits &= loss->terms[t].definition->traits;
    return traits;
}

static lossfn_status_t best_of_elements(lossfn__search_t *s, const lossfn_args_t *args, double *out) {
    const lossfn_t *loss = s->loss;
    double start = 0, step = 0;
    if (shared_traits(loss) & LOSSFN_TRAIT_DISTANCE) {
        double slope; /* what is wrong with the call is said of this loss, not of that which finds the median */
        LOSSFN__TRY(slope_at(s, start, &slope));
        LOSSFN__TRY(find_middle(loss, args, &start, &step));
    } else if (loss->inputs[0].scale != LOSSFN_SCALE_REAL && loss->inputs[0].scale != LOSSFN_SCALE_LOGITS) {
        start = loss->inputs[0].scale == LOSSFN_SCALE_LOG_PROBABILITY ? -1 : 0.5;
    } else if (!(shared_traits(loss) & LOSSFN_TRAIT_CONVEX)) {
        step = 0x1p-4; /* of margins: leaps among the doubles pass over a valley some units wide */
    }
    return best_constant(s, start, step, out);
}

static __attribute__((noinline)) lossfn_status_t init_score(const lossfn_t *loss, const lossfn_args_t *args,
                                                            double *out) {
    for (int32_t t = 0; t < loss->n_terms; t++)
        LOSSFN__REQUIRE(loss->terms[t].definition->outer != LOSSFN__OUTER_OF_MARGINALS, LOSSFN_ERROR_UNSUPPORTED,
                        "%s compares with chance: to it all constants are the same", loss->terms[t].definition->name);
    if (loss->unit == LOSSFN_UNIT_ROW) {
        const int32_t scale = loss->inputs[0].scale;
        LOSSFN__REQUIRE(scale == LOSSFN_SCALE_LOGITS || scale == LOSSFN_SCALE_REAL, LOSSFN_ERROR_UNSUPPORTED,
                        "%s takes a distribution; a best constant is searched for among scores and logits",
                        lossfn_name(loss));
        return lossfn__best_row(loss, args, out);
    }
    lossfn__search_t s;
    LOSSFN__TRY(lossfn__search_begin(&s, loss, args, 1));
    const lossfn_status_t status = best_of_elements(&s, args, out);
    lossfn__search_end(&s);
    return status;
}

/* ---- A prediction for each unit ------------------------------------------------------------------------------- */

/* Halves for every unit at once: x, and places below and above the best. */
static lossfn_status_t best_of_each(lossfn__search_t *s, double *x, int64_t *below, int64_t *above) {
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
static int takes_any_number(const lossfn__search_t *s) {
    const int32_t scale = s->loss->inputs[0].scale;
    return scale == LOSSFN_SCALE_REAL || scale == LOSSFN_SCALE_LOGITS;
}
static int target_is_candidate(const lossfn__search_t *s) {
    const lossfn_tensor_t *target = s->args.inputs[1];
    /* a call has succeeded: the target has as many dimensions as pred, or is a constant of the loss */
    return target && s->loss->inputs[1].scale == LOSSFN_SCALE_REAL &&
           memcmp(target->shape, s->pred.shape, (size_t)target->ndim * sizeof *target->shape) == 0;
}

static lossfn_status_t least_of_each(lossfn__search_t *s, const lossfn_tensor_t *values) {
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

static __attribute__((noinline)) lossfn_status_t minimum(const lossfn_t *loss, const lossfn_args_t *args) {
    LOSSFN__REQUIRE(loss->unit == LOSSFN_UNIT_ELEMENT, LOSSFN_ERROR_UNSUPPORTED,
                    "%s is a loss over rows; the least value is known for losses of elements", lossfn_name(loss));
    lossfn__search_t s;
    LOSSFN__TRY(lossfn__search_begin(&s, loss, args, 6));
    lossfn_status_t status = least_of_each(&s, args->values);
    lossfn__search_end(&s);
    return status;
}

/* ---- The functions of the interface: their own arithmetic is IEEE's as well, whatever the caller's is ---- */

static lossfn_status_t check_search(const lossfn_t *loss, const lossfn_args_t *args, const void *out,
                                    const char *out_name) {
    LOSSFN__REQUIRE(loss && args && out, LOSSFN_ERROR_ARGUMENT, "%s is NULL",
                    !loss   ? "loss"
                    : !args ? "args"
                            : out_name);
    LOSSFN__TRY(lossfn__check_given(loss, args));
    LOSSFN__REQUIRE(loss->n_inputs > 1, LOSSFN_ERROR_UNSUPPORTED, "%s has no target", lossfn_name(loss));
    for (int32_t j = 0; j < args->n_inputs; j++)
        if (args->inputs[j]) LOSSFN__TRY(lossfn__tensor_check(loss->inputs[j].name, args->inputs[j]));
    return LOSSFN_OK;
}

lossfn_status_t lossfn_init_score(const lossfn_t *loss, const lossfn_args_t *args, double *out) {
    LOSSFN__TRY(check_search(loss, args, out, "out"));
    lossfn__fpenv_t saved;
    lossfn__fpenv_enter(&saved);
    const lossfn_status_t status = init_score(loss, args, out);
    lossfn__fpenv_leave(&saved);
    return status;
}

lossfn_status_t lossfn_minimum(const lossfn_t *loss, lossfn_args_t *args) {
    LOSSFN__TRY(check_search(loss, args, args ? args->values : NULL, "args.values"));
    lossfn__fpenv_t saved;
    lossfn__fpenv_enter(&saved);
    const lossfn_status_t status = minimum(loss, args);
    lossfn__fpenv_leave(&saved);
    return status;
}
