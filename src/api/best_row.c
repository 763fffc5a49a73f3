/* SPDX-License-Identifier: MIT
 * The best constant of a loss over rows: a prediction for each class, by Broyden, Fletcher, Goldfarb and Shanno's
 * method. */
#include <math.h>
#include <string.h>
#include "api/search.h"
#include "core/memory.h"
#include "core/status.h"
#include "engine/exact.h"
#include "engine/run.h"

enum { MOST_STEPS = 1000, MOST_TRIALS = 60 };
#define SMALL_SLOPE 1e-13 /* of the first one: then it is over */
#define SMALL_CURVE 1e-9  /* of what the slope promised: as good as straight */

typedef struct {
    lossfn__search_t *search;
    int64_t cols, inner; /* elements between two classes */
    double *at, *slope, *trial, *trial_slope, *direction, *product, *inverse, value;
} descent_t;

static lossfn_status_t value_at(descent_t *d, double *x, double *slope, double *value) {
    lossfn__search_t *s = d->search;
    s->pred.data = x;
    if (lossfn__reduces(s->loss->reduction)) /* what the slope is of: a sum lacks the root of a whole batch */
        s->args.value = value;
    else
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

/* After the step `length` times d->direction, which changed the slope by y and was worth `gain`. Where the loss is
 * straight or bends down there is nothing to learn but that steps may be longer: what y holds there is rounding.
 * Returns whether it learned. */
static int learn(descent_t *d, double length, const double *y, double gain, int is_first) {
    const int64_t n = d->cols;
    const double curve = length * dot(d->direction, y, n);
    if (!(curve > SMALL_CURVE * gain)) {
        for (int64_t i = 0; i < n * n; i++) d->inverse[i] *= 4;
        return 0;
    }
    if (is_first) forget(d, curve / dot(y, y, n));
    for (int64_t i = 0; i < n; i++) d->product[i] = dot(d->inverse + i * n, y, n);
    const double share = (1 + dot(y, d->product, n) / curve) / curve * length * length;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            d->inverse[i * n + j] +=
                share * d->direction[i] * d->direction[j] -
                length / curve * (d->product[i] * d->direction[j] + d->direction[i] * d->product[j]);
    return 1;
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
    if (!isfinite(first)) { /* something is not, and so is no prediction better than another */
        for (int64_t c = 0; c < n; c++) d->at[c] = NAN;
        return LOSSFN_OK;
    }
    forget(d, 1 / (first > 0 ? first : 1));
    int is_first = 1;
    for (int step = 0; step < MOST_STEPS && sqrt(dot(d->slope, d->slope, n)) > SMALL_SLOPE * first; step++) {
        double length;
        for (int64_t c = 0; c < n; c++) d->direction[c] = -dot(d->inverse + c * n, d->slope, n);
        LOSSFN__TRY(go(d, &length));
        if (length == 0) break;
        const double gain = -length * dot(d->direction, d->slope, n);
        for (int64_t c = 0; c < n; c++) {
            const double change = d->trial_slope[c] - d->slope[c];
            d->at[c] = d->trial[c];
            d->slope[c] = d->trial_slope[c];
            d->trial_slope[c] = change;
        }
        if (learn(d, length, d->trial_slope, gain, is_first)) is_first = 0;
    }
    return LOSSFN_OK;
}

lossfn_status_t lossfn__best_row(const lossfn_t *loss, const lossfn_args_t *args, double *out) {
    const lossfn_tensor_t *pred = args->inputs[0];
    const int32_t axis = loss->axis < 0 ? loss->axis + pred->ndim : loss->axis;
    LOSSFN__REQUIRE(axis >= 0 && axis < pred->ndim, LOSSFN_ERROR_SHAPE, "pred has %d axes, the classes are on axis %d",
                    (int)pred->ndim, (int)loss->axis);
    descent_t d = {.cols = pred->shape[axis], .inner = 1};
    for (int32_t k = axis + 1; k < pred->ndim; k++) d.inner = (int64_t)((uint64_t)d.inner * (uint64_t)pred->shape[k]);
    if (d.cols == 0) return LOSSFN_OK;
    LOSSFN__REQUIRE(d.cols < INT32_MAX, LOSSFN_ERROR_SHAPE, "pred has %lld classes, at most 2^31 - 2 are possible",
                    (long long)d.cols);
    const uint64_t size = (uint64_t)(d.cols * (d.cols + 6)) * sizeof(double);
    double *memory = lossfn__allocate(size);
    LOSSFN__REQUIRE(memory, LOSSFN_ERROR_MEMORY, "out of memory for %lld classes", (long long)d.cols);
    memset(memory, 0, (size_t)size);
    double **const arrays[] = {&d.at, &d.slope, &d.trial, &d.trial_slope, &d.direction, &d.product, &d.inverse};
    for (int i = 0; i < 7; i++) *arrays[i] = memory + i * d.cols;
    lossfn__search_t s;
    lossfn_status_t status = lossfn__search_begin(&s, loss, args, 1);
    if (status == LOSSFN_OK) {
        d.search = &s;
        s.pred.strides[axis] = 1;
        status = descend(&d);
        lossfn__search_end(&s);
    }
    if (status == LOSSFN_OK) memcpy(out, d.at, (size_t)d.cols * sizeof(double));
    lossfn__free(memory, size);
    return status;
}
