/* SPDX-License-Identifier: MIT
 * lossfn_check: what looks wrong with a call, for humans. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "core/status.h"
#include "core/tensor.h"
#include "engine/fpenv.h"
#include "engine/run.h"

/* Text of findings, one per line, cut at cap as snprintf does. */
typedef struct {
    char *buf;
    int64_t cap, length;
} findings_t;

static void LOSSFN__PRINTF(2, 3) find(findings_t *f, const char *format, ...) {
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (n < 0) return;
    if (n >= (int)sizeof line) n = (int)sizeof line - 1;
    line[n++] = '\n';
    for (int i = 0; i < n; i++, f->length++)
        if (f->length < f->cap - 1) f->buf[f->length] = line[i];
}

/* What a look over one tensor tells. */
typedef struct {
    int64_t count, nan, inf, outside_unit, integral, zero_one, plus_minus_one, zeros;
    double least, most;
} survey_t;

static double at(const lossfn_tensor_t *t, const int64_t *index) {
    double x;
    int64_t offset = 0, next = 1;
    for (int32_t d = t->ndim - 1; d >= 0; d--) {
        offset += index[d] * (t->flags & LOSSFN_TENSOR_STRIDED ? t->strides[d] : next);
        next *= t->shape[d];
    }
    lossfn__load_double((const char *)t->data + offset * lossfn_dtype_size(t->dtype), t->dtype, &x);
    return x;
}

/* The next index in C order; 0 after the last. */
static int advance(const lossfn_tensor_t *t, int64_t *index) {
    for (int32_t d = t->ndim - 1; d >= 0; d--) {
        if (++index[d] < t->shape[d]) return 1;
        index[d] = 0;
    }
    return 0;
}

static void look_at(survey_t *s, double x) {
    if (x != x) {
        s->nan++;
        return;
    }
    s->inf += isinf(x) != 0;
    s->outside_unit += x < 0 || x > 1;
    s->integral += x == floor(x);
    s->zero_one += x == 0 || x == 1;
    s->plus_minus_one += x == -1 || x == 1;
    s->zeros += x == 0;
    if (x < s->least) s->least = x;
    if (x > s->most) s->most = x;
}

static survey_t look(const lossfn_tensor_t *t) {
    survey_t s = {.least = INFINITY, .most = -INFINITY};
    int64_t index[8] = {0};
    s.count = lossfn__tensor_count(t);
    if (s.count == 0) return s;
    do { look_at(&s, at(t, index)); } while (advance(t, index));
    return s;
}

/* How many of the sums along an axis are 1. */
static double share_of_unit_sums(const lossfn_tensor_t *t, int32_t axis) {
    int64_t index[8] = {0}, rows = 0, unit = 0;
    if (lossfn__tensor_count(t) == 0) return 0;
    do {
        if (index[axis] != 0) continue;
        int64_t walk[8];
        double sum = 0;
        memcpy(walk, index, sizeof walk);
        for (walk[axis] = 0; walk[axis] < t->shape[axis]; walk[axis]++) sum += at(t, walk);
        rows++;
        unit += fabs(sum - 1) < 1e-3;
    } while (advance(t, index));
    return rows ? (double)unit / (double)rows : 0;
}

static void check_numbers(findings_t *f, const char *name, const survey_t *s) {
    if (s->nan)
        find(f, "%s has %lld NaN among %lld elements (nan_policy=ignore leaves them out)", name, (long long)s->nan,
             (long long)s->count);
    if (s->inf) find(f, "%s has %lld infinite values", name, (long long)s->inf);
}

/* axis: the class axis of a loss over rows */
static void check_pred(findings_t *f, const lossfn_t *loss, const lossfn_tensor_t *pred, const survey_t *s,
                       int32_t axis) {
    int32_t scale = loss->inputs[0].scale;
    const char *name = lossfn_name(loss);
    if (scale == LOSSFN_SCALE_LOGITS && s->count > 1 && s->outside_unit == 0 && s->nan < s->count) {
        if (loss->unit != LOSSFN_UNIT_ROW)
            find(f,
                 "all of pred lies in [0, 1]: these look like probabilities, %s takes logits (binary_cross_entropy "
                 "takes probabilities)",
                 name);
        else if (share_of_unit_sums(pred, axis) > 0.9)
            find(f,
                 "rows of pred sum to 1: these look like probabilities, %s takes logits (categorical_cross_entropy "
                 "takes probabilities)",
                 name);
    }
    if (scale == LOSSFN_SCALE_PROBABILITY && s->outside_unit) {
        int logs = s->most <= 0;
        int can_log = strcmp(name, "kl_div") == 0;
        if (!can_log || loss->terms[0].params[1] == 0)
            find(f, "%lld values of pred lie outside [0, 1]: %s takes probabilities%s", (long long)s->outside_unit,
                 name,
                 logs && can_log                 ? "; these look like log-probabilities (log_pred=true)"
                 : loss->unit == LOSSFN_UNIT_ROW ? "; these look like logits (cross_entropy takes them)"
                                                 : "; these look like logits (bce_with_logits takes them)");
    } else if (scale == LOSSFN_SCALE_PROBABILITY && loss->unit == LOSSFN_UNIT_ROW && s->nan == 0 &&
               share_of_unit_sums(pred, axis) < 0.5) {
        find(f, "rows of pred do not sum to 1 along axis %d", (int)loss->axis);
        for (int32_t d = 0; d < pred->ndim; d++)
            if (d != axis && share_of_unit_sums(pred, d) > 0.9)
                find(f, "they do along axis %d: is that the class axis?", (int)d);
    }
}

static void check_target(findings_t *f, const lossfn_t *loss, const lossfn_tensor_t *pred,
                         const lossfn_tensor_t *target, const survey_t *p, const survey_t *t) {
    int32_t scale = loss->inputs[1].scale;
    if (t->count == 0) return;
    int swapped =
        p->count == t->count && p->count > 1 && p->zero_one == p->count && t->zero_one < t->count &&
        (scale == LOSSFN_SCALE_PROBABILITY || scale == LOSSFN_SCALE_MARGIN_LABEL || scale == LOSSFN_SCALE_LABEL);
    if (swapped) find(f, "pred holds only 0 and 1 and target does not: are pred and target swapped?");
    if (scale == LOSSFN_SCALE_MARGIN_LABEL && target->dtype != LOSSFN_BOOL) {
        int zero_one = loss->terms[0].labels >= 0 && loss->terms[0].values[loss->terms[0].labels].number == 1;
        if (!zero_one && t->zero_one == t->count && t->zeros)
            find(f, "target holds 0 and 1, %s takes -1 and +1 (labels=01)", lossfn_name(loss));
        if (zero_one && t->plus_minus_one == t->count && t->least < 0)
            find(f, "target holds -1 and +1, labels=01 takes 0 and 1");
    }
    if (scale == LOSSFN_SCALE_PROBABILITY && loss->unit == LOSSFN_UNIT_ELEMENT && t->plus_minus_one == t->count &&
        t->least < 0)
        find(f, "target holds -1 and +1, %s takes 0 and 1 (hinge takes -1 and +1)", lossfn_name(loss));
    if (scale == LOSSFN_SCALE_LABEL && t->count < p->count && t->least == -100 && !loss->has_ignore_index)
        find(f, "target holds -100: ignore_index=-100 leaves these rows out");
    if (scale == LOSSFN_SCALE_LABEL && t->count < p->count && t->least > (double)loss->label_base &&
        loss->label_base == 0 && t->integral == t->count) {
        int32_t axis = loss->axis < 0 ? loss->axis + pred->ndim : loss->axis;
        if (axis >= 0 && axis < pred->ndim && t->most == (double)pred->shape[axis])
            find(f, "labels go from %lld to the number of classes: do they count from 1 (label_base=1)?",
                 (long long)t->least);
    }
}

static int fits_along(const lossfn_tensor_t *pred, const lossfn_tensor_t *target, int32_t axis) {
    int fits = 1;
    for (int32_t d = 0, r = 0; d < pred->ndim; d++)
        if (d != axis) fits &= target->shape[r++] == pred->shape[d];
    return fits;
}

/* Shapes that would fit with another class axis, and do not with this one. */
static void check_axis(findings_t *f, const lossfn_t *loss, const lossfn_tensor_t *pred,
                       const lossfn_tensor_t *target) {
    if (loss->unit != LOSSFN_UNIT_ROW || loss->inputs[1].scale != LOSSFN_SCALE_LABEL || target->ndim != pred->ndim - 1)
        return;
    const int32_t own = loss->axis < 0 ? loss->axis + pred->ndim : loss->axis;
    if (own >= 0 && own < pred->ndim && fits_along(pred, target, own)) return;
    for (int32_t axis = 0; axis < pred->ndim; axis++)
        if (axis != own && fits_along(pred, target, axis)) find(f, "target fits pred with axis=%d", (int)axis);
}

/* Of a call that succeeds, so that the shapes are the same. */
static void check_delta(findings_t *f, const lossfn_t *loss, const lossfn_tensor_t *pred,
                        const lossfn_tensor_t *target) {
    const char *name = lossfn_name(loss);
    if (strcmp(name, "huber") && strcmp(name, "smooth_l1") && strcmp(name, "pseudo_huber")) return;
    if (loss->terms[0].values[0].is_set || lossfn__tensor_count(pred) == 0) return;
    int64_t index[8] = {0}, far = 0, count = 0;
    do {
        double r = fabs(at(pred, index) - at(target, index));
        count++;
        far += r > loss->terms[0].params[0];
    } while (advance(pred, index));
    char number[LOSSFN__DOUBLE_TEXT];
    lossfn__format_double(loss->terms[0].params[0], number);
    const char *key = loss->terms[0].definition->params[0].name;
    if (far * 10 > count * 9)
        find(f, "%lld of %lld residuals are beyond %s=%s: %s is linear there; choose it on the scale of the noise",
             (long long)far, (long long)count, key, number, name);
    else if (far == 0 && count >= 32)
        find(f, "no residual is beyond %s=%s: %s is the squared error here; choose it on the scale of the noise", key,
             number, name);
}

static lossfn_status_t check(const lossfn_t *loss, const lossfn_args_t *args, char *buf, int64_t cap, int64_t *length) {
    findings_t f = {buf, cap, 0};
    double sum;
    lossfn_args_t call;
    lossfn_args_init(&call);
    call.n_inputs = args->n_inputs;
    memcpy(call.inputs, args->inputs, sizeof call.inputs);
    call.weight = args->weight;
    call.mask = args->mask;
    call.sum = &sum;
    lossfn_status_t status = lossfn__run_allocating(loss, &call);
    if (status == LOSSFN_ERROR_CALLBACK || status == LOSSFN_ERROR_MEMORY) return status;
    if (status != LOSSFN_OK) find(&f, "%s", lossfn_last_error());
    const lossfn_tensor_t *pred = args->inputs[0], *target = args->n_inputs > 1 ? args->inputs[1] : NULL;
    /* what is no tensor cannot be looked at */
    const int sound = lossfn__tensor_check("pred", pred) == LOSSFN_OK;
    const int32_t axis = sound && loss->axis < 0 ? loss->axis + pred->ndim : loss->axis;
    if (target && lossfn__tensor_check("target", target) != LOSSFN_OK) target = NULL;
    if (sound) {
        survey_t p = look(pred);
        check_numbers(&f, "pred", &p);
        if (loss->unit == LOSSFN_UNIT_ELEMENT || (axis >= 0 && axis < pred->ndim)) check_pred(&f, loss, pred, &p, axis);
        if (target) {
            survey_t t = look(target);
            check_numbers(&f, "target", &t);
            check_target(&f, loss, pred, target, &p, &t);
            check_axis(&f, loss, pred, target);
            if (status == LOSSFN_OK) check_delta(&f, loss, pred, target);
        }
        if (args->weight && lossfn__tensor_check("weight", args->weight) == LOSSFN_OK) {
            survey_t w = look(args->weight);
            check_numbers(&f, "weight", &w);
            if (w.count && w.zeros == w.count) find(&f, "all weights are 0: nothing is kept");
        }
        if (args->mask && lossfn__tensor_check("mask", args->mask) == LOSSFN_OK) {
            survey_t m = look(args->mask);
            if (m.count && m.zeros == m.count) find(&f, "the mask keeps nothing");
        }
    }
    if (f.length > 0) f.length--; /* no newline at the end */
    if (cap > 0) buf[f.length < cap - 1 ? f.length : cap - 1] = 0;
    *length = f.length;
    return LOSSFN_OK;
}

lossfn_status_t lossfn_check(const lossfn_t *loss, const lossfn_args_t *args, char *buf, int64_t cap, int64_t *length) {
    LOSSFN__REQUIRE(loss && args && length, LOSSFN_ERROR_ARGUMENT, "%s is NULL",
                    !loss   ? "loss"
                    : !args ? "args"
                            : "length");
    LOSSFN__REQUIRE(buf || cap == 0, LOSSFN_ERROR_ARGUMENT, "buf is NULL, but cap is %lld", (long long)cap);
    LOSSFN__REQUIRE(args->n_inputs > 0 && args->inputs[0], LOSSFN_ERROR_ARGUMENT, "input %s is missing: it is NULL",
                    loss->inputs[0].name);
    lossfn__fpenv_t saved;
    lossfn__fpenv_enter(&saved);
    const lossfn_status_t status = check(loss, args, buf, cap, length);
    lossfn__fpenv_leave(&saved);
    return status;
}
