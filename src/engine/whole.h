/* SPDX-License-Identifier: MIT
 * Rows staged whole: for losses that take them so (WHOLE_ROWS in losses/formula.h, user-made ones), and for
 * Hessian-vector products. */
#ifndef LOSSFN_ENGINE_WHOLE_H
#define LOSSFN_ENGINE_WHOLE_H

#include "engine/users.h"

/* The arrays of one part; NULL: not needed. */
typedef struct {
    REAL *weight, *lists[MAX_LISTS], *grads[LOSSFN_MAX_INPUTS], *hess, *scratch[MAX_SCRATCH];
    const double *mask; /* of the classes, or NULL */
    int64_t n;          /* classes that take part */
    double smoothing;   /* of the target */
    REAL constants[MAX_CONSTANTS];
} whole_part_t;

/* What rows are staged in. An input or gradient with one number per row has a place of its own. */
typedef struct {
    REAL *inputs[LOSSFN_MAX_INPUTS], *vector, *product, *total;
    REAL per_row[LOSSFN_MAX_INPUTS], grads_per_row[LOSSFN__MAX_TERMS][LOSSFN_MAX_INPUTS];
    whole_part_t parts[LOSSFN__MAX_TERMS];
} whole_t;

static int is_whole(const lossfn__definition_t *d) {
    return d->unit == LOSSFN_UNIT_ROW && (d->user != NULL || d->whole_rows);
}

static int has_whole_part(const lossfn__plan_t *plan) {
    for (int k = 0; k < plan->n_parts; k++)
        if (is_whole(plan->parts[k].term->definition)) return 1;
    return 0;
}

/* Moves what belongs to the classes that take part to the front, and back, with 0 for the others. */
static void pack(REAL *x, const double *mask, int64_t n) {
    for (int64_t from = 0, to = 0; mask && from < n; from++)
        if (mask[from] != 0) x[to++] = x[from];
}
static void unpack(REAL *x, const double *mask, int64_t n, int64_t packed) {
    for (int64_t to = n - 1, from = packed - 1; mask && to >= 0; to--) x[to] = mask[to] != 0 ? x[from--] : 0;
}

/* What a part needs that is the same for all rows. */
static void begin_part(whole_t *w, const lossfn__plan_t *plan, int k, arena_t *arena) {
    const lossfn__part_t *part = &plan->parts[k];
    const lossfn__term_t *term = part->term;
    const lossfn__definition_t *d = term->definition;
    whole_part_t *own = &w->parts[k];
    int n_lists = 0;
    if (term->class_mask >= 0 && !d->user) own->mask = term->values[term->class_mask].list;
    own->n = plan->cols;
    for (int64_t c = 0; own->mask && c < plan->cols; c++) own->n -= own->mask[c] == 0;
    for (int j = 0; j < part->n_inputs; j++)
        if (plan->has_grad[j]) own->grads[j] = plan->per_row[j] ? &w->grads_per_row[k][j] : take(arena);
    if (plan->has_hess) own->hess = take(arena);
    if (d->user) return;
    set_constants(own->constants, plan, part);
    if (term->label_smoothing >= 0) own->smoothing = term->values[term->label_smoothing].number;
    own->weight = take(arena);
    fill(own->weight, 1, arena->length);
    for (int32_t i = 0; i < d->n_params; i++) {
        const double *list = term->values[i].list;
        if (d->params[i].type != LOSSFN_PARAM_LIST || i == term->class_mask) continue;
        REAL **to = i == term->class_weight ? &own->weight : &own->lists[n_lists++];
        if (!list) continue;
        if (!*to) *to = take(arena);
        for (int64_t c = 0; c < plan->cols; c++) (*to)[c] = (REAL)list[c];
        pack(*to, own->mask, plan->cols);
    }
    for (int i = 0; i < d->n_scratch; i++) own->scratch[i] = take(arena);
}

/* Cuts the arrays from `memory`, or from exec.scratch if they do not fit. */
static void begin_whole(whole_t *w, const lossfn__plan_t *plan, REAL *memory) {
    const int64_t padding = LOSSFN__WHOLE_ROW_PADDING;
    arena_t arena = {plan->in_scratch ? plan->exec->scratch : memory, 0,
                     (plan->cols + padding - 1) / padding * padding};
    memset(w, 0, sizeof *w);
    for (int j = 0; j < plan->n_inputs; j++) w->inputs[j] = plan->per_row[j] ? &w->per_row[j] : take(&arena);
    if (plan->product) {
        w->vector = take(&arena);
        w->product = take(&arena);
        w->total = take(&arena);
    }
    for (int k = 0; k < plan->n_parts; k++)
        if (plan->product || is_whole(plan->parts[k].term->definition)) begin_part(w, plan, k, &arena);
}

/* Copies n numbers, which may be there already, and sets what lies behind to 0. Returns whether any is NaN. */
static int close_array(REAL *to, const REAL *from, int64_t n) {
    M nan = m_none();
    for (int64_t i = 0; i < n; i += LANES) {
        const V x = load_part(from, i, n);
        nan = m_or(nan, v_isnan(x));
        v_store(to + i, x);
    }
    return m_any(nan);
}

/* The same for the classes of a row that take part, which are packed. */
static int stage_array(const whole_part_t *own, REAL *to, const REAL *from, int64_t classes) {
    if (own->mask) {
        if (from != to) memcpy(to, from, (size_t)classes * sizeof(REAL));
        pack(to, own->mask, classes);
        from = to;
    }
    return close_array(to, from, own->n);
}

/* What a label stands for: its class, or all below it. */
static void stage_label(REAL *to, int64_t label, int levels, int64_t n) {
    for (int64_t i = 0; i < n; i += LANES) {
        const int64_t lane = label - i < -1 ? -1 : label - i > LANES ? LANES : label - i;
        const M here = levels ? (M)(i_iota() < i_set((int)lane)) : (M)(i_iota() == i_set((int)lane));
        v_store(to + i, v_where(here, v_one()));
    }
}

/* The classes of a row that take part. Returns whether any is NaN. */
static int stage_input(whole_t *w, const lossfn__plan_t *plan, const whole_part_t *own, int j, int64_t row,
                       int64_t label) {
    REAL *to = w->inputs[j];
    const REAL *from = to;
    if (plan->is_constant[j])
        fill(to, (REAL)plan->parts[own - w->parts].term->constant_inputs[j], plan->cols);
    else if (j == TARGET && plan->has_labels)
        stage_label(to, label, plan->loss->inputs[j].levels, plan->cols);
    else
        from = row_classes(&plan->inputs[j], row, 0, plan->cols, to);
    if (!own->mask && j == TARGET && plan->has_labels) return 0;
    return stage_array(own, to, from, plan->cols);
}

/* t (1 - e) + e/C */
static void smooth(REAL *t, double smoothing, int64_t classes) {
    const V e = v_set(smoothing), kept = v_set(1 - smoothing), share = v_one() / v_set((double)classes);
    for (int64_t i = 0; i < classes; i += LANES) v_store(t + i, smoothed_class(v_load(t + i), e, kept, share));
}

/* Stages the inputs of a part. Returns whether a number is NaN. */
static int stage_part(whole_t *w, const lossfn__plan_t *plan, int k, int64_t row, int64_t label) {
    const whole_part_t *own = &w->parts[k];
    int nan = 0;
    for (int j = 0; j < plan->parts[k].n_inputs; j++) {
        if (plan->per_row[j]) {
            w->per_row[j] = load_one(&plan->inputs[j], row);
            nan |= w->per_row[j] != w->per_row[j];
            continue;
        }
        nan |= stage_input(w, plan, own, j, row, label);
        if (j == TARGET && own->smoothing != 0) smooth(w->inputs[j], own->smoothing, own->n);
    }
    return nan;
}

/* Gives a row to a built-in kernel. Returns the class that is outside the domain, or -1. */
static int64_t call_row(const lossfn__part_t *part, whole_part_t *own, void (*kernel)(whole_row_t *), whole_row_t *r,
                        int64_t label, int64_t cols) {
    V p[MAX_CONSTANTS];
    for (int i = 0; i < MAX_CONSTANTS; i++) p[i] = v_set((double)own->constants[i]);
    r->n = own->n;
    r->label = own->smoothing != 0 ? -1 : label;
    r->smoothing = own->smoothing;
    for (int64_t c = 0; own->mask && c < label && r->label > 0; c++) r->label -= own->mask[c] == 0;
    r->w = own->weight;
    r->p = p;
    r->outside = -1;
    for (int i = 0; i < MAX_LISTS; i++) r->lists[i] = own->lists[i];
    for (int i = 0; i < MAX_SCRATCH; i++) r->scratch[i] = own->scratch[i];
    for (int j = 0; j < 2; j++) r->offsets[j] = part->offsets[j];
    if (own->n > 0) kernel(r);
    int64_t outside = r->outside;
    for (int64_t c = 0; own->mask && r->outside >= 0 && c < cols && c <= outside; c++) outside += own->mask[c] == 0;
    return outside;
}

/* Value and derivatives of a row for a built-in loss; NaN where an input is NaN or outside the domain. Returns the
 * class that is. */
static int64_t value_whole_row(whole_t *w, const lossfn__plan_t *plan, int k, int64_t row, int64_t label, REAL *value) {
    const lossfn__part_t *part = &plan->parts[k];
    whole_part_t *own = &w->parts[k];
    whole_row_t r = {.value = 0, .hess = own->hess};
    int64_t outside = -1;
    const int nan = stage_part(w, plan, k, row, label);
    for (int j = 0; j < part->n_inputs; j++) {
        r.in[j] = w->inputs[j];
        r.grad[j] = own->grads[j];
    }
    if (!nan)
        outside = call_row(part, own, kernels[part->term->definition->kernel]->rows.whole_row, &r, label, plan->cols);
    *value = nan || outside >= 0 ? (REAL)NAN : r.value;
    for (int j = 0; j <= part->n_inputs; j++) {
        REAL *out = j < part->n_inputs ? own->grads[j] : own->hess;
        const int64_t n = j < part->n_inputs && plan->per_row[j] ? 1 : own->n;
        if (!out) continue;
        for (int64_t c = 0; j == TARGET && own->smoothing != 0 && c < n; c++)
            out[c] = own->smoothing == 1 ? 0 : out[c] * (REAL)(1 - own->smoothing);
        if (nan || outside >= 0) fill(out, (REAL)NAN, n);
        if (n == own->n) unpack(out, own->mask, plan->cols, own->n);
    }
    return outside;
}

#endif
