/* SPDX-License-Identifier: MIT
 * From arguments to a plan: everything is checked here, before anything is written. */
#include "engine/plan.h"

#include <math.h>
#include <string.h>
#include "core/status.h"
#include "core/tensor.h"

typedef char shape_text[LOSSFN__SHAPE_TEXT];

static const char *shape_of(const lossfn_tensor_t *tensor, shape_text text) {
    return lossfn__format_shape(tensor->ndim, tensor->shape, text);
}

static int is_float(int32_t dtype) { return dtype >= LOSSFN_F64 && dtype <= LOSSFN_BF16; }

/* The products wrap where an extent is 0 and others are huge; nothing is there then. */
LOSSFN__WRAPS static int64_t times(int64_t a, int64_t b) { return (int64_t)((uint64_t)a * (uint64_t)b); }

static void strides_of(const lossfn_tensor_t *tensor, int64_t strides[8]) {
    int64_t next = 1;
    for (int32_t d = tensor->ndim - 1; d >= 0; d--) {
        strides[d] = tensor->flags & LOSSFN_TENSOR_STRIDED ? tensor->strides[d] : next;
        next = times(next, tensor->shape[d]);
    }
}

static int same_shape(const lossfn_tensor_t *tensor, int32_t ndim, const int64_t *shape) {
    if (tensor->ndim != ndim) return 0;
    for (int32_t d = 0; d < ndim; d++)
        if (tensor->shape[d] != shape[d]) return 0;
    return 1;
}

/* Whether a tensor's extents are the shape's or 1. */
static int repeats_to(const lossfn_tensor_t *tensor, int32_t ndim, const int64_t *shape) {
    if (tensor->ndim == 0) return 1;
    if (tensor->ndim != ndim) return 0;
    for (int32_t d = 0; d < ndim; d++)
        if (tensor->shape[d] != shape[d] && tensor->shape[d] != 1) return 0;
    return 1;
}

/* ---- Single tensors ---------------------------------------------------------------------------------------------- */

static int64_t magnitude(int64_t x) { return x < 0 ? (x == INT64_MIN ? INT64_MAX : -x) : x; }

/* An output: writable, of a floating dtype, no two of its elements in one place. */
static lossfn_status_t check_output(const char *name, const lossfn_tensor_t *t) {
    int64_t strides[8];
    LOSSFN__TRY(lossfn__tensor_check(name, t));
    LOSSFN__REQUIRE(!(t->flags & LOSSFN_TENSOR_READONLY), LOSSFN_ERROR_ARGUMENT, "%s is read-only", name);
    LOSSFN__REQUIRE(is_float(t->dtype), LOSSFN_ERROR_DTYPE, "%s is %s, outputs are floating", name,
                    lossfn_dtype_name(t->dtype));
    if (!(t->flags & LOSSFN_TENSOR_STRIDED) || lossfn__tensor_count(t) == 0) return LOSSFN_OK;
    strides_of(t, strides);
    /* by growing stride, each axis must step over all that the axes before it cover */
    int64_t covered = 0;
    int used[8] = {0};
    for (int32_t step = 0; step < t->ndim; step++) {
        int32_t least = -1;
        for (int32_t d = 0; d < t->ndim; d++)
            if (!used[d] && t->shape[d] > 1 && (least < 0 || magnitude(strides[d]) < magnitude(strides[least])))
                least = d;
        if (least < 0) break;
        used[least] = 1;
        LOSSFN__REQUIRE(magnitude(strides[least]) > covered, LOSSFN_ERROR_ALIAS,
                        "%s overlaps itself: stride %lld along axis %d of extent %lld", name, (long long)strides[least],
                        (int)least, (long long)t->shape[least]);
        const int64_t reach = magnitude(strides[least]), steps = t->shape[least] - 1;
        LOSSFN__REQUIRE(reach <= (INT64_MAX - covered) / steps, LOSSFN_ERROR_ARGUMENT,
                        "%s has stride %lld along axis %d of extent %lld: beyond 2^63 - 1", name,
                        (long long)strides[least], (int)least, (long long)t->shape[least]);
        covered += reach * steps;
    }
    return LOSSFN_OK;
}

static uint64_t divisor(uint64_t a, uint64_t b) {
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Whether two tensors share a byte, as far as bounds and the common divisor of their strides can tell. */
static int overlap(const lossfn_tensor_t *a, const lossfn_tensor_t *b) {
    const lossfn_tensor_t *pair[2] = {a, b};
    int64_t low[2], high[2], item[2];
    uint64_t step = 0;
    if (lossfn__tensor_count(a) == 0 || lossfn__tensor_count(b) == 0) return 0;
    for (int i = 0; i < 2; i++) {
        int64_t strides[8];
        item[i] = lossfn_dtype_size(pair[i]->dtype);
        low[i] = high[i] = (int64_t)(intptr_t)pair[i]->data;
        high[i] += item[i];
        strides_of(pair[i], strides);
        for (int32_t d = 0; d < pair[i]->ndim; d++) {
            int64_t reach = times(times(pair[i]->shape[d] - 1, strides[d]), item[i]);
            if (reach < 0) low[i] += reach;
            if (reach > 0) high[i] += reach;
            if (pair[i]->shape[d] > 1) step = divisor(step, (uint64_t)magnitude(times(strides[d], item[i])));
        }
    }
    if (high[0] <= low[1] || high[1] <= low[0]) return 0;
    if (step == 0) return 1;
    int64_t apart = (int64_t)(((uint64_t)(intptr_t)b->data - (uint64_t)(intptr_t)a->data) % step);
    return !(apart >= item[0] && apart <= (int64_t)step - item[1]);
}

static int lies_exactly_on(const lossfn_tensor_t *a, const lossfn_tensor_t *b) {
    int64_t one[8], other[8];
    if (a->data != b->data || a->dtype != b->dtype || !same_shape(a, b->ndim, b->shape)) return 0;
    strides_of(a, one);
    strides_of(b, other);
    for (int32_t d = 0; d < a->ndim; d++)
        if (a->shape[d] > 1 && one[d] != other[d]) return 0;
    return 1;
}

/* ---- Views ------------------------------------------------------------------------------------------------------- */

/* How a tensor of `ndim` axes lies along the same axes; a scalar repeats everywhere. */
static lossfn__layout_t lay(const lossfn_tensor_t *t, int32_t ndim, const int64_t *shape) {
    lossfn__layout_t layout = {t->data, t->dtype, {0}};
    int64_t strides[8];
    if (lossfn__tensor_count(t) == 0) return layout; /* its strides may be anything */
    strides_of(t, strides);
    for (int32_t d = 0; d < ndim && t->ndim == ndim; d++)
        if (t->shape[d] == shape[d] && shape[d] != 1) layout.strides[d] = strides[d];
    return layout;
}

void lossfn__make_view(lossfn__view_t *view, const lossfn__layout_t *layout, int32_t ndim, const int64_t *shape,
                       int32_t apart) {
    view->data = layout->data;
    view->dtype = layout->dtype;
    view->item = (int32_t)lossfn_dtype_size(layout->dtype);
    view->ndim = 0;
    view->class_stride = 0;
    for (int32_t d = 0; d < ndim; d++) {
        int32_t last = view->ndim - 1;
        if (d == apart) {
            view->class_stride = layout->strides[d];
        } else if (shape[d] != 1) {
            if (view->ndim > 0 && view->strides[last] == layout->strides[d] * shape[d]) {
                view->shape[last] = times(view->shape[last], shape[d]); /* an extent may be 0 and others huge */
                view->strides[last] = layout->strides[d];
            } else {
                view->shape[view->ndim] = shape[d];
                view->strides[view->ndim++] = layout->strides[d];
            }
        }
    }
}

/* ---- The call ---------------------------------------------------------------------------------------------------- */

typedef struct {
    lossfn__plan_t *plan;
    const lossfn_t *loss;
    const lossfn_args_t *args;
    int32_t axis; /* class axis, or -1 when elements are walked */
    int32_t row_ndim;
    int64_t row_shape[8]; /* pred's shape without the class axis */
    const lossfn_tensor_t *outputs[LOSSFN_MAX_INPUTS + 3];
    char names[LOSSFN_MAX_INPUTS + 3][40];
    int32_t n_outputs;
} maker_t;

static lossfn_status_t check_pred(maker_t *m) {
    lossfn__plan_t *plan = m->plan;
    const lossfn_tensor_t *pred = m->args->inputs[0];
    LOSSFN__TRY(lossfn__tensor_check("pred", pred));
    if (!is_float(pred->dtype)) {
        const lossfn_tensor_t *target = m->args->n_inputs > 1 ? m->args->inputs[1] : NULL;
        if (target && is_float(target->dtype))
            return lossfn__fail(LOSSFN_ERROR_DTYPE, "pred is %s and target %s; are they swapped? pred must be floating",
                                lossfn_dtype_name(pred->dtype), lossfn_dtype_name(target->dtype));
        return lossfn__fail(LOSSFN_ERROR_DTYPE, "pred is %s, it must be floating", lossfn_dtype_name(pred->dtype));
    }
    plan->ndim = pred->ndim;
    memcpy(plan->shape, pred->shape, sizeof plan->shape);
    m->axis = -1;
    plan->unit = m->loss->unit;
    if (plan->unit == LOSSFN_UNIT_ROW) {
        shape_text text;
        LOSSFN__REQUIRE(pred->ndim > 0, LOSSFN_ERROR_SHAPE, "pred is a scalar, %s needs a class axis",
                        lossfn_name(m->loss));
        m->axis = m->loss->axis < 0 ? m->loss->axis + pred->ndim : m->loss->axis;
        LOSSFN__REQUIRE(m->axis >= 0 && m->axis < pred->ndim, LOSSFN_ERROR_SHAPE,
                        "axis %d is not one of pred's, whose shape is %s", (int)m->loss->axis, shape_of(pred, text));
        plan->cols = pred->shape[m->axis];
        LOSSFN__REQUIRE(plan->cols > 0, LOSSFN_ERROR_SHAPE, "pred has shape %s, without a class", shape_of(pred, text));
        LOSSFN__REQUIRE(plan->cols < INT32_MAX, LOSSFN_ERROR_SHAPE,
                        "pred has %lld classes, at most 2^31 - 2 are possible", (long long)plan->cols);
        plan->rows = 1;
        for (int32_t d = 0; d < pred->ndim; d++)
            if (d != m->axis) {
                m->row_shape[m->row_ndim++] = pred->shape[d];
                plan->rows = pred->shape[d] ? times(plan->rows, pred->shape[d]) : 0;
            }
        plan->units = plan->rows;
        plan->span = 1;
    } else {
        int64_t n = lossfn__tensor_count(pred);
        plan->rows = pred->ndim > 0 ? pred->shape[0] : 1;
        plan->cols = plan->rows > 0 ? n / plan->rows : 0;
        int by_rows = m->loss->reduction == LOSSFN__PER_ROW || m->loss->reduction == LOSSFN__MEAN_ROWS;
        plan->units = by_rows ? plan->rows : n;
        plan->span = by_rows ? plan->cols : 1;
        m->row_ndim = pred->ndim;
        memcpy(m->row_shape, pred->shape, sizeof m->row_shape);
    }
    plan->input_layouts[0] = lay(pred, plan->ndim, plan->shape);
    return LOSSFN_OK;
}

/* The shape of a weight, mask or label tensor: a row's in row losses, else pred's. Lays it along pred's axes. */
static lossfn__layout_t lay_units(const maker_t *m, const lossfn_tensor_t *t) {
    if (m->axis < 0) return lay(t, m->plan->ndim, m->plan->shape);
    lossfn__layout_t rows = lay(t, m->row_ndim, m->row_shape), layout = {t->data, t->dtype, {0}};
    for (int32_t d = 0, r = 0; d < m->plan->ndim; d++)
        if (d != m->axis) layout.strides[d] = rows.strides[r++];
    return layout;
}

/* Whether a target repeats only where an input of several levels of it varies. */
static int repeats_for_levels(const maker_t *m, const lossfn_tensor_t *target) {
    const lossfn__plan_t *plan = m->plan;
    if (plan->unit != LOSSFN_UNIT_ELEMENT || target->ndim != plan->ndim) return 0;
    for (int32_t d = 0; d < plan->ndim; d++) {
        int varies = 0;
        for (int32_t j = 2; j < m->args->n_inputs; j++) {
            const lossfn_tensor_t *t = m->args->inputs[j];
            varies |= t && m->loss->inputs[j].spreads && t->ndim == plan->ndim && t->shape[d] == plan->shape[d];
        }
        if (target->shape[d] != plan->shape[d] && !(varies && target->shape[d] == 1)) return 0;
    }
    return 1;
}

/* An input with one number per row. */
static lossfn_status_t check_per_row(const maker_t *m, const char *name, const lossfn_tensor_t *t) {
    shape_text one, other, right;
    LOSSFN__REQUIRE(same_shape(t, m->row_ndim, m->row_shape), LOSSFN_ERROR_SHAPE,
                    "%s has shape %s, pred has shape %s; %s has one number per row, so reshape it to %s", name,
                    shape_of(t, one), shape_of(m->args->inputs[0], other), name,
                    lossfn__format_shape(m->row_ndim, m->row_shape, right));
    return LOSSFN_OK;
}

/* A further input: pred's shape, or what repeats to it; in rows without a gradient if it repeats. */
static lossfn_status_t check_other(const maker_t *m, int32_t j, const lossfn_tensor_t *t) {
    const lossfn__plan_t *plan = m->plan;
    const char *name = m->loss->inputs[j].name;
    shape_text one, other;
    LOSSFN__REQUIRE(is_float(t->dtype), LOSSFN_ERROR_DTYPE, "%s is %s, it must be floating", name,
                    lossfn_dtype_name(t->dtype));
    if (plan->per_row[j])
        LOSSFN__TRY(check_per_row(m, name, t));
    else
        LOSSFN__REQUIRE(repeats_to(t, plan->ndim, plan->shape), LOSSFN_ERROR_SHAPE,
                        "%s has shape %s; for pred of shape %s it is a scalar, pred's shape, or that with extents of 1",
                        name, shape_of(t, one), shape_of(m->args->inputs[0], other));
    for (int32_t k = 0; k < plan->n_parts; k++) {
        const lossfn__term_t *term = plan->parts[k].term;
        LOSSFN__REQUIRE(plan->unit == term->definition->unit || j >= plan->parts[k].n_inputs, LOSSFN_ERROR_UNSUPPORTED,
                        "%s must be a constant in a sum with a loss over rows", name);
        for (int32_t i = 0; i < term->definition->n_params; i++)
            LOSSFN__REQUIRE(strcmp(term->definition->params[i].name, name) != 0 || !term->values[i].is_set,
                            LOSSFN_ERROR_ARGUMENT, "%s is given both as a parameter of the loss and as an input", name);
    }
    return LOSSFN_OK;
}

/* A user-made loss that reads labels[] has no use for a distribution. */
static int takes_labels_alone(const lossfn__part_t *part) {
    const lossfn_vtable_t *user = part->term->definition->user;
    return user && part->n_inputs > 1 && user->flags & LOSSFN_VTABLE_LABELS;
}

static lossfn_status_t check_target(maker_t *m, const char *name, const lossfn_tensor_t *target) {
    lossfn__plan_t *plan = m->plan;
    shape_text one, other;
    const lossfn_tensor_t *pred = m->args->inputs[0];
    if (plan->per_row[1]) return check_per_row(m, name, target);
    if (same_shape(target, plan->ndim, plan->shape) || repeats_for_levels(m, target)) {
        for (int32_t k = 0; k < plan->n_parts; k++)
            LOSSFN__REQUIRE(!takes_labels_alone(&plan->parts[k]), LOSSFN_ERROR_SHAPE,
                            "%s has shape %s; %s takes labels, of shape %s, no distributions", name,
                            shape_of(target, one), plan->parts[k].term->definition->name,
                            lossfn__format_shape(m->row_ndim, m->row_shape, other));
        return LOSSFN_OK;
    }
    int takes_labels = 0;
    for (int32_t k = 0; k < plan->n_parts; k++)
        takes_labels |= plan->parts[k].term->definition->inputs[1].scale == LOSSFN_SCALE_LABEL;
    if (plan->unit == LOSSFN_UNIT_ROW && takes_labels && same_shape(target, m->row_ndim, m->row_shape)) {
        for (int32_t k = 0; k < plan->n_parts; k++)
            LOSSFN__REQUIRE(plan->parts[k].n_inputs < 2 ||
                                plan->parts[k].term->definition->inputs[1].scale == LOSSFN_SCALE_LABEL,
                            LOSSFN_ERROR_SHAPE, "%s holds labels, %s needs a %s of pred's shape %s", name,
                            plan->parts[k].term->definition->name, name, shape_of(pred, one));
        plan->has_labels = 1;
        plan->n_labels = plan->cols + m->loss->inputs[1].levels;
        return LOSSFN_OK;
    }
    if (lossfn__tensor_count(target) == lossfn__tensor_count(pred) ||
        (plan->unit == LOSSFN_UNIT_ROW && takes_labels && lossfn__tensor_count(target) == plan->rows)) {
        int labels = lossfn__tensor_count(target) != lossfn__tensor_count(pred);
        return lossfn__fail(LOSSFN_ERROR_SHAPE, "%s has shape %s, pred has shape %s; reshape %s to %s", name,
                            shape_of(target, one), shape_of(pred, other), name,
                            labels ? lossfn__format_shape(m->row_ndim, m->row_shape, (char[LOSSFN__SHAPE_TEXT]){0})
                                   : lossfn__format_shape(pred->ndim, pred->shape, (char[LOSSFN__SHAPE_TEXT]){0}));
    }
    if (target->ndim == pred->ndim && target->ndim > 0 && target->shape[0] != pred->shape[0])
        return lossfn__fail(LOSSFN_ERROR_SHAPE, "%s has %lld rows, pred has %lld (shapes %s and %s)", name,
                            (long long)target->shape[0], (long long)pred->shape[0], shape_of(target, one),
                            shape_of(pred, other));
    if (plan->unit == LOSSFN_UNIT_ROW && takes_labels)
        return lossfn__fail(LOSSFN_ERROR_SHAPE,
                            "%s has shape %s; for pred of shape %s it is %s with labels, or pred's shape with "
                            "distributions",
                            name, shape_of(target, one), shape_of(pred, other),
                            lossfn__format_shape(m->row_ndim, m->row_shape, (char[LOSSFN__SHAPE_TEXT]){0}));
    for (int32_t j = 2; j < m->loss->n_inputs; j++)
        LOSSFN__REQUIRE(!m->loss->inputs[j].spreads || target->ndim != pred->ndim, LOSSFN_ERROR_SHAPE,
                        "%s has shape %s, pred has shape %s; they must be equal but where an input %s varies", name,
                        shape_of(target, one), shape_of(pred, other), m->loss->inputs[j].name);
    return lossfn__fail(LOSSFN_ERROR_SHAPE, "%s has shape %s, pred has shape %s; they must be equal", name,
                        shape_of(target, one), shape_of(pred, other));
}

static lossfn_status_t check_inputs(maker_t *m) {
    lossfn__plan_t *plan = m->plan;
    const lossfn_args_t *args = m->args;
    plan->n_inputs = m->loss->n_inputs;
    for (int32_t j = 0; j < plan->n_inputs; j++) {
        const lossfn__input_t *input = &m->loss->inputs[j];
        const lossfn_tensor_t *t = j < args->n_inputs ? args->inputs[j] : NULL;
        plan->per_row[j] = input->per_row;
        if (!t) {
            LOSSFN__REQUIRE(input->learnable, LOSSFN_ERROR_ARGUMENT, "input %s is missing: it is NULL", input->name);
            plan->is_constant[j] = 1;
            continue;
        }
        if (j == 0) {
            LOSSFN__TRY(check_pred(m));
        } else {
            LOSSFN__TRY(lossfn__tensor_check(input->name, t));
            if (j == 1) LOSSFN__TRY(check_target(m, input->name, t));
            if (j > 1) LOSSFN__TRY(check_other(m, j, t));
            plan->input_layouts[j] =
                plan->per_row[j] || (plan->has_labels && j == 1) ? lay_units(m, t) : lay(t, plan->ndim, plan->shape);
        }
        if (t->dtype == LOSSFN_F64 && !(j == 1 && plan->has_labels)) plan->is_double = 1;
    }
    return LOSSFN_OK;
}

/* Weight or mask: a scalar, or the units' shape with extents of 1 where it repeats. */
static lossfn_status_t check_weight(maker_t *m, const char *name, const lossfn_tensor_t *t, lossfn__layout_t *layout) {
    shape_text one, other, by_row, by_column;
    LOSSFN__TRY(lossfn__tensor_check(name, t));
    if (!repeats_to(t, m->row_ndim, m->row_shape)) {
        int64_t row[8], column[8];
        if (m->axis >= 0)
            return lossfn__fail(
                LOSSFN_ERROR_SHAPE, "%s has shape %s; %s has one value per row, so it is a scalar or %s", name,
                shape_of(t, one), lossfn_name(m->loss), lossfn__format_shape(m->row_ndim, m->row_shape, other));
        if (m->row_ndim == 1)
            return lossfn__fail(LOSSFN_ERROR_SHAPE, "%s has shape %s, pred has shape %s; use %s or a scalar", name,
                                shape_of(t, one), lossfn__format_shape(1, m->row_shape, other),
                                lossfn__format_shape(1, m->row_shape, by_row));
        for (int32_t d = 0; d < m->row_ndim; d++) {
            row[d] = d == 0 ? m->row_shape[0] : 1;
            column[d] = d == m->row_ndim - 1 ? m->row_shape[d] : 1;
        }
        return lossfn__fail(
            LOSSFN_ERROR_SHAPE, "%s has shape %s, pred has shape %s; use %s for one per row, %s for one per column",
            name, shape_of(t, one), lossfn__format_shape(m->row_ndim, m->row_shape, other),
            lossfn__format_shape(m->row_ndim, row, by_row), lossfn__format_shape(m->row_ndim, column, by_column));
    }
    *layout = lay_units(m, t);
    return LOSSFN_OK;
}

static lossfn_status_t add_output(maker_t *m, const char *name, const lossfn_tensor_t *t) {
    size_t length = strlen(name);
    if (length > sizeof m->names[0] - 1) length = sizeof m->names[0] - 1;
    memcpy(m->names[m->n_outputs], name, length);
    m->names[m->n_outputs][length] = 0;
    LOSSFN__TRY(check_output(m->names[m->n_outputs], t));
    m->outputs[m->n_outputs++] = t;
    return LOSSFN_OK;
}

static lossfn_status_t require_shape(const char *name, const lossfn_tensor_t *t, const char *of, int32_t ndim,
                                     const int64_t *shape) {
    shape_text one, other;
    LOSSFN__REQUIRE(same_shape(t, ndim, shape), LOSSFN_ERROR_SHAPE, "%s has shape %s, %s has shape %s", name,
                    shape_of(t, one), of, lossfn__format_shape(ndim, shape, other));
    return LOSSFN_OK;
}

/* Whether a term can give the gradient of its input j. */
static int gives_gradient(const lossfn__part_t *part, int32_t j) {
    const lossfn__definition_t *definition = part->term->definition;
    if (j >= part->n_inputs || !definition->inputs[j].differentiable) return 0;
    if (definition->user && !definition->user->run)
        return (definition->user->flags & LOSSFN_VTABLE_GRAD_ALL) ||
               (j == 0 && definition->user->flags & LOSSFN_VTABLE_GRAD);
    return 1;
}

static lossfn_status_t check_gradients(maker_t *m) {
    lossfn__plan_t *plan = m->plan;
    const lossfn_args_t *args = m->args;
    for (int32_t j = 0; j < LOSSFN_MAX_INPUTS; j++) {
        const lossfn_tensor_t *grad = args->grads[j];
        if (!grad) continue;
        LOSSFN__REQUIRE(j < plan->n_inputs, LOSSFN_ERROR_ARGUMENT, "grads[%d] is given, %s has %d inputs", (int)j,
                        lossfn_name(m->loss), (int)plan->n_inputs);
        const char *name = m->loss->inputs[j].name;
        char grad_name[40] = "grad_";
        size_t length = strlen(name) < 34 ? strlen(name) : 34;
        memcpy(grad_name + 5, name, length + 0);
        LOSSFN__REQUIRE(!plan->is_constant[j], LOSSFN_ERROR_ARGUMENT, "%s is wanted, but %s is no input of this call",
                        grad_name, name);
        LOSSFN__REQUIRE(!(j == 1 && plan->has_labels), LOSSFN_ERROR_UNSUPPORTED, "%s is wanted, but %s holds labels",
                        grad_name, name);
        for (int32_t k = 0; k < plan->n_parts; k++)
            LOSSFN__REQUIRE(j >= plan->parts[k].n_inputs || gives_gradient(&plan->parts[k], j),
                            LOSSFN_ERROR_UNSUPPORTED, "%s has no gradient with respect to %s",
                            plan->parts[k].term->definition->name, name);
        LOSSFN__TRY(add_output(m, grad_name, grad));
        LOSSFN__TRY(require_shape(grad_name, grad, name, args->inputs[j]->ndim, args->inputs[j]->shape));
        if (j > 0 && !plan->per_row[j] && !same_shape(args->inputs[j], plan->ndim, plan->shape)) {
            for (int32_t d = 0; plan->unit == LOSSFN_UNIT_ROW && d < grad->ndim; d++)
                LOSSFN__REQUIRE(d == m->axis || grad->shape[d] == 1, LOSSFN_ERROR_UNSUPPORTED,
                                "%s is wanted, but %s repeats along some axes of the rows and not along others; it can "
                                "be a scalar, one for each class, or pred's shape",
                                grad_name, name);
            plan->collects[j] = 1;
            plan->collected[j] = grad;
            continue;
        }
        plan->has_grad[j] = 1;
        plan->grad_layouts[j] = plan->per_row[j] ? lay_units(m, grad) : lay(grad, plan->ndim, plan->shape);
        lossfn__make_view(&plan->grads[j], &plan->grad_layouts[j], plan->ndim, plan->shape, m->axis);
    }
    return LOSSFN_OK;
}

/* The shape of `values`. */
static void values_shape(const lossfn_t *loss, int32_t ndim, const int64_t *shape, int32_t row_ndim,
                         const int64_t *row_shape, int32_t *out_ndim, int64_t *out_shape) {
    if (loss->reduction == LOSSFN__PER_ROW && loss->unit == LOSSFN_UNIT_ELEMENT) {
        *out_ndim = ndim > 0;
        out_shape[0] = ndim > 0 ? shape[0] : 1;
    } else {
        *out_ndim = row_ndim;
        memcpy(out_shape, row_shape, 8 * sizeof *row_shape);
    }
}

static lossfn_status_t check_outputs(maker_t *m) {
    lossfn__plan_t *plan = m->plan;
    const lossfn_args_t *args = m->args;
    int32_t ndim;
    int64_t shape[8];
    const int reduced = lossfn__reduces(plan->reduction);
    LOSSFN__REQUIRE(!args->value || reduced, LOSSFN_ERROR_ARGUMENT,
                    "value is wanted, but the reduction is %s: ask for values",
                    plan->reduction == LOSSFN__NONE ? "none" : "per_row");
    LOSSFN__REQUIRE(!args->components || reduced, LOSSFN_ERROR_ARGUMENT,
                    "components are wanted, but the reduction is %s",
                    plan->reduction == LOSSFN__NONE ? "none" : "per_row");
    values_shape(m->loss, plan->ndim, plan->shape, m->row_ndim, m->row_shape, &ndim, shape);
    if (args->values) {
        for (int32_t k = 0; k < plan->n_parts; k++)
            LOSSFN__REQUIRE(plan->parts[k].term->definition->unit == plan->unit, LOSSFN_ERROR_UNSUPPORTED,
                            "values are wanted, but %s has one per element and %s one per row", "one term of the sum",
                            "another");
        LOSSFN__TRY(add_output(m, "values", args->values));
        LOSSFN__TRY(require_shape("values", args->values,
                                  plan->reduction == LOSSFN__PER_ROW ? "one per row" : "one per unit", ndim, shape));
        plan->has_values = 1;
        if (plan->reduction == LOSSFN__PER_ROW && plan->unit == LOSSFN_UNIT_ELEMENT) {
            lossfn__layout_t layout = lay(args->values, ndim, shape);
            lossfn__make_view(&plan->values, &layout, ndim, shape, -1);
        } else {
            plan->values_layout = lay_units(m, args->values);
            lossfn__make_view(&plan->values, &plan->values_layout, plan->ndim, plan->shape, m->axis);
        }
    }
    if (args->upstream) {
        shape_text one, other;
        const lossfn_tensor_t *t = args->upstream;
        LOSSFN__TRY(lossfn__tensor_check("upstream", t));
        LOSSFN__REQUIRE(is_float(t->dtype), LOSSFN_ERROR_DTYPE, "upstream is %s, it must be floating",
                        lossfn_dtype_name(t->dtype));
        LOSSFN__REQUIRE(t->ndim == 0 || (!reduced && same_shape(t, ndim, shape)), LOSSFN_ERROR_SHAPE,
                        reduced ? "upstream has shape %s, with this reduction it is a scalar%.0s"
                                : "upstream has shape %s, it is a scalar or the shape of values, %s",
                        shape_of(t, one), lossfn__format_shape(ndim, shape, other));
        plan->has_upstream = t->ndim != 0;
        if (plan->has_upstream) {
            if (plan->reduction == LOSSFN__PER_ROW && plan->unit == LOSSFN_UNIT_ELEMENT) {
                int64_t strides[8];
                lossfn__layout_t layout = lay(t, ndim, shape);
                lossfn__make_view(&plan->upstream, &layout, ndim, shape, -1);
                strides_of(t, strides);
                plan->upstream_layout = (lossfn__layout_t){t->data, t->dtype, {strides[0]}};
            } else {
                plan->upstream_layout = lay_units(m, t);
                lossfn__make_view(&plan->upstream, &plan->upstream_layout, plan->ndim, plan->shape, m->axis);
            }
        } else {
            lossfn__load_double(t->data, t->dtype, &plan->upstream_scalar);
        }
    }
    if (args->hess || args->hvp) {
        LOSSFN__REQUIRE(args->hess_kind >= LOSSFN_HESS_EXACT && args->hess_kind <= LOSSFN_HESS_UPPER,
                        LOSSFN_ERROR_ARGUMENT, "hess_kind is %d, it is 0 (exact), 1 (fisher) or 2 (upper)",
                        (int)args->hess_kind);
        for (int32_t k = 0; k < plan->n_parts; k++) {
            const lossfn__definition_t *definition = plan->parts[k].term->definition;
            static const char *const kinds[] = {"exact", "fisher", "upper"};
            char number[LOSSFN__DOUBLE_TEXT];
            LOSSFN__REQUIRE(definition->hess_kinds >> args->hess_kind & 1, LOSSFN_ERROR_UNSUPPORTED,
                            "%s has no Hessian of kind %s", definition->name, kinds[args->hess_kind]);
            LOSSFN__REQUIRE(args->hess_kind == LOSSFN_HESS_EXACT || !(plan->parts[k].term->coefficient < 0),
                            LOSSFN_ERROR_UNSUPPORTED,
                            "%s has the coefficient %s: times a negative number its Hessian of kind %s is none",
                            definition->name, lossfn__format_double(plan->parts[k].term->coefficient, number),
                            kinds[args->hess_kind]);
            LOSSFN__REQUIRE(
                !args->hvp || definition->unit == LOSSFN_UNIT_ELEMENT || args->hess_kind != LOSSFN_HESS_UPPER,
                LOSSFN_ERROR_UNSUPPORTED, "hvp is wanted of the upper bound of the Hessian of %s, which is a diagonal",
                definition->name);
        }
        plan->hess_kind = args->hess_kind;
    }
    if (args->hess) {
        LOSSFN__TRY(add_output(m, "hess", args->hess));
        LOSSFN__TRY(require_shape("hess", args->hess, "pred", plan->ndim, plan->shape));
        plan->hess_layout = lay(args->hess, plan->ndim, plan->shape);
        lossfn__make_view(&plan->hess, &plan->hess_layout, plan->ndim, plan->shape, m->axis);
        plan->has_hess = 1;
    }
    LOSSFN__REQUIRE(!args->hvp == !args->hvp_vector, LOSSFN_ERROR_ARGUMENT, "%s is given without %s",
                    args->hvp ? "hvp" : "hvp_vector", args->hvp ? "hvp_vector" : "hvp");
    if (args->hvp) {
        for (int32_t k = 0; plan->unit == LOSSFN_UNIT_ROW && k < plan->n_parts; k++)
            LOSSFN__REQUIRE(plan->parts[k].term->definition->has_product, LOSSFN_ERROR_UNSUPPORTED,
                            "%s has no Hessian-vector product%s", plan->parts[k].term->definition->name,
                            plan->parts[k].term->definition->unit == LOSSFN_UNIT_ELEMENT ? " in a sum with rows" : "");
        LOSSFN__TRY(lossfn__tensor_check("hvp_vector", args->hvp_vector));
        LOSSFN__REQUIRE(is_float(args->hvp_vector->dtype), LOSSFN_ERROR_DTYPE, "hvp_vector is %s, it must be floating",
                        lossfn_dtype_name(args->hvp_vector->dtype));
        LOSSFN__TRY(require_shape("hvp_vector", args->hvp_vector, "pred", plan->ndim, plan->shape));
        LOSSFN__TRY(add_output(m, "hvp", args->hvp));
        LOSSFN__TRY(require_shape("hvp", args->hvp, "pred", plan->ndim, plan->shape));
        plan->hvp_vector_layout = lay(args->hvp_vector, plan->ndim, plan->shape);
        lossfn__make_view(&plan->hvp_vector, &plan->hvp_vector_layout, plan->ndim, plan->shape, m->axis);
        plan->hvp_layout = lay(args->hvp, plan->ndim, plan->shape);
        lossfn__make_view(&plan->hvp, &plan->hvp_layout, plan->ndim, plan->shape, m->axis);
        plan->has_hvp = 1;
    }
    return LOSSFN_OK;
}

static lossfn_status_t check_aliasing(maker_t *m) {
    const lossfn_args_t *args = m->args;
    for (int32_t o = 0; o < m->n_outputs; o++) {
        const lossfn_tensor_t *out = m->outputs[o];
        int exact = 0;
        for (int32_t j = 0; j < args->n_inputs; j++) {
            const lossfn_tensor_t *in = args->inputs[j];
            if (!in || !overlap(out, in)) continue;
            /* An element of the output is written after the same element of the input was last read. That holds for one
             * output; another pass, over broadcast inputs or for products, would find its input destroyed. */
            int passes = m->plan->has_hvp && m->plan->unit == LOSSFN_UNIT_ROW && out != args->hvp;
            for (int32_t i = 0; i < LOSSFN_MAX_INPUTS; i++) passes |= m->plan->collects[i];
            if (lies_exactly_on(out, in) && !exact && !passes &&
                (m->plan->per_row[j] || same_shape(out, m->plan->ndim, m->plan->shape)))
                exact = m->plan->is_aliased = 1;
            else
                return lossfn__fail(LOSSFN_ERROR_ALIAS, "%s overlaps the input %s", m->names[o],
                                    m->loss->inputs[j].name);
        }
        const lossfn_tensor_t *others[] = {args->weight, args->mask, args->upstream, args->hvp_vector};
        static const char *const names[] = {"weight", "mask", "upstream", "hvp_vector"};
        for (int i = 0; i < 4; i++)
            LOSSFN__REQUIRE(!others[i] || !overlap(out, others[i]), LOSSFN_ERROR_ALIAS, "%s overlaps %s", m->names[o],
                            names[i]);
        for (int32_t i = 0; i < o; i++)
            LOSSFN__REQUIRE(!overlap(out, m->outputs[i]), LOSSFN_ERROR_ALIAS, "%s overlaps %s", m->names[o],
                            m->names[i]);
    }
    return LOSSFN_OK;
}

/* Every list of a loss over rows has a number for each class. */
static lossfn_status_t check_lists(const maker_t *m) {
    for (int32_t k = 0; k < m->plan->n_parts; k++) {
        const lossfn__term_t *term = m->plan->parts[k].term;
        for (int32_t i = 0; term->definition->unit == LOSSFN_UNIT_ROW && i < term->definition->n_params; i++)
            LOSSFN__REQUIRE(!term->values[i].list || term->values[i].count == m->plan->cols || term->definition->user,
                            LOSSFN_ERROR_SHAPE, "%s has %lld entries, pred has %lld classes",
                            term->definition->params[i].name, (long long)term->values[i].count,
                            (long long)m->plan->cols);
    }
    return LOSSFN_OK;
}

/* How many arrays of a row's length engine/whole.h stages rows in. */
static int64_t whole_row_arrays(const lossfn_t *loss, const lossfn_args_t *args) {
    const int products = args->hvp != NULL;
    int64_t wanted = (args->hess != NULL), arrays = 0;
    int whole = products;
    for (int32_t j = 0; j < loss->n_inputs; j++) wanted += args->grads[j] != NULL;
    for (int32_t k = 0; k < loss->n_terms; k++) {
        const lossfn__term_t *term = &loss->terms[k];
        const lossfn__definition_t *d = term->definition;
        whole |= d->unit == LOSSFN_UNIT_ROW && (d->user || d->whole_rows);
        arrays += wanted + (d->user ? 0 : 1 + d->n_scratch);
        for (int32_t i = 0; i < d->n_params; i++)
            arrays += i != term->class_weight && i != term->class_mask && term->values[i].list;
    }
    return whole ? arrays + loss->n_inputs + 3 * products : 0;
}

/* How many marginals there are for each class, and numbers that outer functions make of them. */
static int64_t marginal_arrays(const lossfn_t *loss) {
    int64_t parts = 0;
    for (int32_t k = 0; k < loss->n_terms; k++) parts += loss->terms[k].definition->outer == LOSSFN__OUTER_OF_MARGINALS;
    return parts && lossfn__reduces(loss->reduction) ? 2 + 2 * parts : 0;
}

/* The classes of a call over rows that nobody has checked yet; 0 if it is none or something is wrong with it. */
static int64_t classes_of(const lossfn_t *loss, const lossfn_args_t *args) {
    const lossfn_tensor_t *pred = args->n_inputs > 0 ? args->inputs[0] : NULL;
    if (!pred || loss->unit != LOSSFN_UNIT_ROW || pred->ndim < 0 || pred->ndim > LOSSFN_MAX_DIMS) return 0;
    const int32_t axis = loss->axis < 0 ? loss->axis + pred->ndim : loss->axis;
    if (axis < 0 || axis >= pred->ndim || pred->shape[axis] < 0 || pred->shape[axis] >= INT32_MAX) return 0;
    return pred->shape[axis];
}

int lossfn__takes_marginals(const lossfn_t *loss) { return marginal_arrays(loss) > 0; }

int64_t lossfn__marginal_classes(const lossfn_t *loss, const lossfn_args_t *args) {
    return marginal_arrays(loss) ? classes_of(loss, args) : 0;
}

lossfn__scratch_t lossfn__scratch_needed(const lossfn_t *loss, const lossfn_args_t *args) {
    lossfn__scratch_t needed = {0, 0};
    const int64_t classes = classes_of(loss, args);
    const int64_t padding = LOSSFN__WHOLE_ROW_PADDING;
    int is_double = loss->needs_double;
    for (int32_t j = 0; j < args->n_inputs && j < LOSSFN_MAX_INPUTS; j++)
        is_double |= args->inputs[j] && args->inputs[j]->dtype == LOSSFN_F64;
    for (int32_t k = 0; k < loss->n_terms; k++) {
        const lossfn_vtable_t *user = loss->terms[k].definition->user;
        is_double |= user && !(user->flags & LOSSFN_VTABLE_F32);
    }
    const int64_t item = is_double ? (int64_t)sizeof(double) : (int64_t)sizeof(float);
    const int64_t bytes = whole_row_arrays(loss, args) * ((classes + padding - 1) / padding * padding) * item;
    const int64_t marginals = marginal_arrays(loss) * classes;
    if (bytes > LOSSFN__WHOLE_ROW_BYTES) needed.rows = bytes;
    if (marginals > LOSSFN__MARGINALS) needed.marginals = marginals * (int64_t)sizeof(double);
    return needed;
}

lossfn_status_t lossfn__check_given(const lossfn_t *loss, const lossfn_args_t *args) {
    LOSSFN__REQUIRE(args->n_inputs >= 0 && args->n_inputs <= loss->n_inputs, LOSSFN_ERROR_ARGUMENT,
                    "%d inputs given, %s takes %d", (int)args->n_inputs, lossfn_name(loss), (int)loss->n_inputs);
    LOSSFN__REQUIRE(args->n_inputs > 0 && args->inputs[0], LOSSFN_ERROR_ARGUMENT, "input %s is missing: it is NULL",
                    loss->inputs[0].name);
    return LOSSFN_OK;
}

lossfn_status_t lossfn__plan_make(lossfn__plan_t *plan, const lossfn_t *loss, const lossfn_args_t *args) {
    maker_t m;
    memset(&m, 0, offsetof(maker_t, outputs));
    m.n_outputs = 0;
    memset(plan, 0, offsetof(lossfn__plan_t, parts));
    m.plan = plan;
    m.loss = loss;
    m.args = args;
    plan->loss = loss;
    plan->is_double = loss->needs_double;
    plan->collect = -1;
    plan->marginals = -1;
    plan->reduction = loss->reduction;
    plan->upstream_scalar = 1;
    plan->exec = args->exec;
    plan->n_parts = plan->n_sums = loss->n_terms;
    for (int32_t k = 0; k < plan->n_parts; k++) {
        lossfn__part_t *part = &plan->parts[k];
        part->term = &loss->terms[k];
        part->n_inputs = part->term->definition->n_inputs;
        part->is_count = part->is_given = part->margin_labels = part->labels_01 = 0;
        part->offsets[0] = part->offsets[1] = NULL;
        const lossfn_vtable_t *user = part->term->definition->user;
        if (user && !(user->flags & LOSSFN_VTABLE_F32)) plan->is_double = 1;
    }
    LOSSFN__TRY(lossfn__check_given(loss, args));
    LOSSFN__TRY(check_inputs(&m));
    LOSSFN__TRY(check_lists(&m));
    for (int32_t k = 0; k < plan->n_parts; k++) {
        lossfn__part_t *part = &plan->parts[k];
        if (part->n_inputs > 1 && part->term->definition->inputs[1].scale == LOSSFN_SCALE_MARGIN_LABEL) {
            part->margin_labels = 1;
            part->labels_01 = (part->term->labels >= 0 && part->term->values[part->term->labels].number == 1) ||
                              args->inputs[1]->dtype == LOSSFN_BOOL;
        }
    }
    if (args->weight) {
        LOSSFN__TRY(check_weight(&m, "weight", args->weight, &plan->weight_layout));
        plan->has_weight = 1;
        lossfn__make_view(&plan->weight, &plan->weight_layout, plan->ndim, plan->shape, m.axis);
    }
    if (args->mask) {
        LOSSFN__TRY(check_weight(&m, "mask", args->mask, &plan->mask_layout));
        plan->has_mask = 1;
        lossfn__make_view(&plan->mask, &plan->mask_layout, plan->ndim, plan->shape, m.axis);
    }
    LOSSFN__TRY(check_outputs(&m));
    LOSSFN__TRY(check_gradients(&m));
    LOSSFN__TRY(check_aliasing(&m));
    for (int32_t j = 0; j < plan->n_inputs; j++)
        if (!plan->is_constant[j])
            lossfn__make_view(&plan->inputs[j], &plan->input_layouts[j], plan->ndim, plan->shape, m.axis);
    int others = 0;
    for (int32_t j = 1; j < plan->n_inputs; j++) others |= plan->has_grad[j];
    int hess = plan->has_hess || plan->has_hvp;
    plan->want = others || (hess && !plan->has_grad[0]) ? LOSSFN__WANT_ALL
                 : hess                                 ? LOSSFN__WANT_HESS
                 : plan->has_grad[0]                    ? LOSSFN__WANT_GRAD
                                                        : LOSSFN__WANT_VALUE;
    lossfn__plan_order(plan);
    return LOSSFN_OK;
}

lossfn_status_t lossfn_values_shape(const lossfn_t *loss, const lossfn_tensor_t *pred, int32_t *ndim, int64_t *shape) {
    LOSSFN__REQUIRE(loss && pred && ndim && shape, LOSSFN_ERROR_ARGUMENT, "%s is NULL",
                    !loss   ? "loss"
                    : !pred ? "pred"
                    : !ndim ? "ndim"
                            : "shape");
    lossfn__plan_t plan;
    maker_t m;
    lossfn_args_t args = {.n_inputs = 1, .inputs = {pred}};
    memset(&m, 0, sizeof m);
    plan.unit = 0;
    m.plan = &plan;
    m.loss = loss;
    m.args = &args;
    LOSSFN__TRY(check_pred(&m));
    values_shape(loss, pred->ndim, pred->shape, m.row_ndim, m.row_shape, ndim, shape);
    return LOSSFN_OK;
}
