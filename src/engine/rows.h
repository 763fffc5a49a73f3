/* SPDX-License-Identifier: MIT
 * Losses over rows of classes, and sums of losses with one of them, row by row; long rows chunk by chunk. */
#ifndef LOSSFN_ENGINE_ROWS_H
#define LOSSFN_ENGINE_ROWS_H

#include "engine/users.h"

/* Weight of a row: 0 when it is masked, ignored or of weight 0. *label from 0, -1 without one. */
static REAL row_weight(const lossfn__plan_t *plan, int64_t row, int64_t *label) {
    REAL w = plan->has_weight ? load_one(&plan->weight, row) : 1;
    *label = -1;
    if (plan->has_mask && load_one(&plan->mask, row) == 0) return 0;
    if (plan->has_labels) {
        double shown;
        int64_t number = 0;
        int valid = load_label(&plan->inputs[TARGET], row, &number, &shown);
        if (valid && plan->loss->has_ignore_index && number == plan->loss->ignore_index) return 0;
        *label = valid ? number - plan->loss->label_base : -1;
    }
    if (w != 0 && plan->loss->nan_policy == LOSSFN__NAN_IGNORE) {
        REAL buffer[64];
        for (int j = 0; j < plan->n_inputs; j++) {
            if (plan->is_constant[j] || (j == TARGET && plan->has_labels)) continue;
            for (int64_t c = 0; c < plan->cols; c += 64) {
                int64_t n = plan->cols - c < 64 ? plan->cols - c : 64;
                const REAL *x = row_classes(&plan->inputs[j], row, c, n, buffer);
                for (int64_t i = 0; i < n; i++)
                    if (x[i] != x[i]) return 0;
            }
        }
    }
    return w;
}

/* Whether rows differ only in their labels, if they have any, and these are integers: then many are looked at at once.
 */
static int has_plain_rows(const lossfn__plan_t *plan) {
    const int32_t dtype = plan->inputs[TARGET].dtype;
    return !plan->has_weight && !plan->has_mask && plan->loss->nan_policy == LOSSFN__NAN_PROPAGATE &&
           (!plan->has_labels || (dtype >= LOSSFN_I8 && dtype <= LOSSFN_U64 && dtype != LOSSFN_U64));
}

/* Labels, from 0, and weights of the rows [row, row + n) of such a plan. Returns whether all labels are in range. */
static int plain_rows(const lossfn__plan_t *plan, int64_t row, int64_t n, int64_t *labels, REAL *weights) {
    const lossfn__view_t *view = &plan->inputs[TARGET];
    const int ignores = plan->loss->has_ignore_index;
    int in_range = 1;
    for (int64_t i = 0; i < n; i++) weights[i] = 1;
    if (!plan->has_labels) return 1;
    FOR_RUNS(view, row, n, offset, step, done, count) {
        const char *from = view->data + offset * view->item;
        switch (view->dtype) {
#define STAGE_LABELS(code, type)                                                                                       \
    case code:                                                                                                         \
        for (int64_t i = 0; i < count; i++) labels[done + i] = (int64_t)((const type *)from)[i * step];                \
        break;
            LOSSFN__INTEGER_TYPES(STAGE_LABELS)
#undef STAGE_LABELS
        }
    }
    for (int64_t i = 0; i < n; i++) {
        const int ignored = ignores && labels[i] == plan->loss->ignore_index;
        labels[i] = ignored ? -1 : (int64_t)((uint64_t)labels[i] - (uint64_t)plan->loss->label_base);
        in_range &= ignored || (uint64_t)labels[i] < (uint64_t)plan->cols;
        if (ignored) weights[i] = 0;
    }
    return in_range;
}

static void list_to_real(REAL *to, const double *list, int64_t first, int64_t n) {
    for (int64_t i = 0; i < n; i++) to[i] = (REAL)list[first + i];
}

/* Everything that the walk over rows keeps between rows. */
typedef struct {
    const lossfn__plan_t *plan;
    lossfn__partial_t *partial;
    int64_t block; /* classes staged at a time: all, or a multiple of FOLD */
    REAL *inputs[LOSSFN_MAX_INPUTS], *weights[LOSSFN__MAX_TERMS], *outs[LOSSFN__MAX_TERMS];
    REAL *element_values, *element_weight, *element_factor;
    REAL *grads[2], *hess, *total_grads[2], *total_hess;
    REAL *row_values[LOSSFN__MAX_TERMS];                                                    /* waiting to be summed */
    REAL *user_inputs[2], *user_grads[LOSSFN__MAX_TERMS][2], *user_hess[LOSSFN__MAX_TERMS]; /* whole rows */
    int guesses[LOSSFN__MAX_TERMS];
    int64_t waiting;
    chunk_t chunks[LOSSFN__MAX_TERMS];
    arena_t arena; /* the rest: user kernels */
} rows_t;

enum { ROW_BATCH = 64 };

static void flush_rows(rows_t *w) {
    for (int k = 0; k < w->plan->n_parts; k++)
        if (w->plan->parts[k].term->definition->unit == LOSSFN_UNIT_ROW && w->plan->need_sum)
            deposit(w->row_values[k], w->waiting, &w->partial->sums[k], &w->guesses[k]);
    w->waiting = 0;
}

static void stage_chunk(rows_t *w, int64_t row, int64_t first, chunk_t *c, int k) {
    const lossfn__plan_t *plan = w->plan;
    const lossfn__term_t *term = plan->parts[k].term;
    int64_t n = plan->cols - first < w->block ? plan->cols - first : w->block;
    int copy = is_sum(plan);
    c->first = first;
    c->n = n;
    if (k == 0) {
        c->x = row_classes(&plan->inputs[PRED], row, first, n, w->inputs[PRED]);
        if (copy && c->x != w->inputs[PRED]) {
            memcpy(w->inputs[PRED], c->x, (size_t)n * sizeof(REAL));
            c->x = w->inputs[PRED];
        }
        c->t = NULL;
        if (plan->n_inputs > 1 && !plan->has_labels)
            c->t = row_classes(&plan->inputs[TARGET], row, first, n, w->inputs[TARGET]);
    } else {
        c->x = w->chunks[0].x;
        c->t = w->chunks[0].t;
    }
    c->weight = c->out = NULL;
    if (term->class_weight >= 0 && term->values[term->class_weight].list) {
        if (plan->cols > w->block) list_to_real(w->weights[k], term->values[term->class_weight].list, first, n);
        c->weight = w->weights[k];
    }
    if (term->class_mask >= 0 && term->values[term->class_mask].list) {
        if (plan->cols > w->block)
            for (int64_t i = 0; i < n; i++) w->outs[k][i] = term->values[term->class_mask].list[first + i] == 0;
        c->out = w->outs[k];
    }
    c->plain = plan->has_labels && !c->weight && !c->out &&
               !(term->label_smoothing >= 0 && term->values[term->label_smoothing].number != 0);
}

/* Where the classes from `first` lie in a row of a gradient, if they lie as REAL side by side, else NULL. */
static REAL *grad_in_place(const lossfn__view_t *view, int64_t row, int64_t first) {
    if (view->dtype != REAL_DTYPE || view->class_stride != 1) return NULL;
    return (REAL *)view->data + lossfn__view_offset(view, row) + first;
}

/* Where the sums over a chunk can leave something for the map: where its gradient will be, unless an input lies there
 * too or nothing may be written yet. */
static REAL *keeping_place(const rows_t *w, int64_t row, int64_t first, const chunk_t *c) {
    const lossfn__plan_t *plan = w->plan;
    if (!plan->has_grad[PRED] || is_sum(plan)) return NULL;
    REAL *place = plan->dry ? NULL : grad_in_place(&plan->grads[PRED], row, first);
    if (place && (place == c->x || place == c->t)) return NULL;
    return place ? place : plan->cols <= w->block ? w->grads[PRED] : NULL;
}

/* Derivatives of one chunk: of every part, added up if there are several, and written. */
static lossfn_status_t map_chunk(rows_t *w, int64_t row, int64_t first, REAL weight, double upstream) {
    const lossfn__plan_t *plan = w->plan;
    const int sum = is_sum(plan);
    int64_t n = plan->cols - first < w->block ? plan->cols - first : w->block;
    REAL *out_grads[2] = {0}, *out_hess = NULL;
    if (sum) {
        for (int j = 0; j < 2; j++)
            if (w->total_grads[j]) fill(w->total_grads[j], 0, n);
        if (w->total_hess) fill(w->total_hess, 0, n);
    }
    for (int k = 0; k < plan->n_parts; k++) {
        const lossfn__part_t *part = &plan->parts[k];
        chunk_t *c = &w->chunks[k];
        if (plan->cols > w->block) stage_chunk(w, row, first, c, k);
        c->factor = (REAL)(weight * part->scale * upstream);
        c->hess = NULL;
        for (int j = 0; j < 2; j++) {
            const lossfn__view_t *view = &plan->grads[j];
            c->grads[j] = j < part->n_inputs && plan->has_grad[j] ? w->grads[j] : NULL;
            REAL *place = c->grads[j] && !sum ? grad_in_place(view, row, first) : NULL;
            if (place) c->grads[j] = place;
        }
        if (plan->has_hess) {
            c->hess = w->hess;
            REAL *place = sum ? NULL : grad_in_place(&plan->hess, row, first);
            if (place) c->hess = place;
        }
        if (part->term->definition->unit == LOSSFN_UNIT_ROW) {
            if (part->term->definition->user) { /* computed whole when the row was valued; scaled here */
                for (int64_t i = 0; i < n; i++) {
                    for (int j = 0; j < 2; j++)
                        if (c->grads[j]) c->grads[j][i] = w->user_grads[k][j][first + i] * c->factor;
                    if (c->hess) c->hess[i] = w->user_hess[k][first + i] * c->factor;
                }
            } else {
                if (c->kept && plan->cols > w->block) c->kept = keeping_place(w, row, first, c);
                kernels[part->term->definition->kernel].rows.map(c);
            }
        } else {
            block_t b = {.n = n,
                         .in = {c->x, c->t},
                         .weight = w->element_weight,
                         .factor = w->element_factor,
                         .values = w->element_values,
                         .grads = {c->grads[0], c->grads[1]},
                         .hess = c->hess,
                         .sum = &w->partial->sums[k],
                         .grid = w->guesses[k],
                         .fault = -1};
            fill(w->element_weight, weight, n);
            fill(w->element_factor, c->factor, n);
            for (int j = 2; j < plan->n_inputs; j++) b.in[j] = w->inputs[j];
            set_constants(b.constants, part);
            b.tuned = is_tuned_for(plan, part);
            if (part->term->definition->user)
                LOSSFN__TRY(user_elements(plan, part, &b, w->arena));
            else
                run_kernel(part->term->definition->kernel, LOSSFN__WANT_ALL, &b);
            if (b.fault >= 0) c->fault = first + b.fault;
            w->guesses[k] = b.grid;
        }
        for (int j = 0; j < 2; j++) {
            out_grads[j] = sum ? w->total_grads[j] : c->grads[j];
            if (sum && c->grads[j])
                for (int64_t i = 0; i < n; i++) out_grads[j][i] += c->grads[j][i];
        }
        out_hess = sum ? w->total_hess : c->hess;
        if (sum && c->hess)
            for (int64_t i = 0; i < n; i++) out_hess[i] += c->hess[i];
    }
    if (plan->dry) return LOSSFN_OK;
    for (int j = 0; j < 2; j++)
        if (plan->has_grad[j] && j < plan->n_inputs) store_classes(&plan->grads[j], row, first, out_grads[j], n);
    if (plan->has_hess) store_classes(&plan->hess, row, first, out_hess, n);
    return LOSSFN_OK;
}

static void note_fault(rows_t *w, int k, int64_t row, int64_t class) {
    int64_t at = row * w->plan->cols + class;
    if (w->partial->fault < 0 || at < w->partial->fault) {
        w->partial->fault = at;
        w->partial->fault_part = k;
    }
}

/* Values one row: every row part's sums over all classes, then its value. */
static lossfn_status_t value_row(rows_t *w, int64_t row, int64_t label, REAL weight, REAL *total) {
    const lossfn__plan_t *plan = w->plan;
    *total = 0;
    for (int k = 0; k < plan->n_parts; k++) {
        const lossfn__part_t *part = &plan->parts[k];
        const lossfn__definition_t *definition = part->term->definition;
        chunk_t *c = &w->chunks[k];
        c->label = label;
        c->top = -INFINITY;
        c->top_class = -1;
        c->fault = -1;
        if (plan->cols <= w->block) stage_chunk(w, row, 0, c, k);
        if (definition->unit != LOSSFN_UNIT_ROW) continue;
        if (definition->user) {
            const REAL *pred = row_classes(&plan->inputs[PRED], row, 0, plan->cols, w->user_inputs[PRED]);
            if (plan->n_inputs > 1 && !plan->has_labels) {
                const REAL *target = row_classes(&plan->inputs[TARGET], row, 0, plan->cols, w->user_inputs[TARGET]);
                if (target != w->user_inputs[TARGET])
                    memcpy(w->user_inputs[TARGET], target, (size_t)plan->cols * sizeof(REAL));
            }
            LOSSFN__TRY(user_row(plan, part, pred, w->user_inputs[TARGET], label, plan->cols, &c->value,
                                 w->user_grads[k], w->user_hess[k]));
        } else {
            const row_kernel_t *kernel = &kernels[definition->kernel].rows;
            if (kernel->wants_top)
                for (int64_t first = 0; first < plan->cols; first += w->block) {
                    if (plan->cols > w->block) stage_chunk(w, row, first, c, k);
                    chunk_top(c);
                }
            memset(c->sums, 0, sizeof c->sums);
            for (int64_t first = 0; first < plan->cols; first += w->block) {
                if (plan->cols > w->block) stage_chunk(w, row, first, c, k);
                c->kept = kernel->keeps ? keeping_place(w, row, first, c) : NULL;
                kernel->sums(c);
            }
            kernel->finish(c);
        }
        if (c->fault >= 0) {
            c->value = NAN;
            note_fault(w, k, row, c->fault);
        }
        c->value *= weight;
        w->row_values[k][w->waiting] = c->value;
        *total = is_sum(plan) ? *total + (REAL)part->term->coefficient * c->value : c->value;
    }
    return LOSSFN_OK;
}

static void clear_row(rows_t *w, int64_t row) {
    const lossfn__plan_t *plan = w->plan;
    if (plan->dry) return;
    for (int64_t first = 0; first < plan->cols; first += w->block) {
        int64_t n = plan->cols - first < w->block ? plan->cols - first : w->block;
        fill(w->element_values, 0, n);
        for (int j = 0; j < 2; j++)
            if (plan->has_grad[j]) store_classes(&plan->grads[j], row, first, w->element_values, n);
        if (plan->has_hess) store_classes(&plan->hess, row, first, w->element_values, n);
    }
}

static void run_rows(const lossfn__plan_t *plan, int64_t begin, int64_t end, lossfn__partial_t *partial) {
    _Alignas(64) REAL memory[ARENA];
    rows_t w;
    memset(&w, 0, sizeof w);
    w.plan = plan;
    w.partial = partial;
    int elements = 0, user = 0;
    for (int k = 0; k < plan->n_parts; k++) {
        const lossfn__definition_t *definition = plan->parts[k].term->definition;
        w.guesses[k] = GRID_NONE;
        elements |= definition->unit == LOSSFN_UNIT_ELEMENT;
        if (definition->user) user = 2 * (plan->n_inputs + 4);
    }
    int needed = plan->n_inputs + 2 * plan->n_parts + 3 + 6 + user + 5 * (user != 0) * plan->n_parts;
    arena_t arena = {memory, ARENA - ROW_BATCH * LOSSFN__MAX_TERMS, 0};
    arena.length = arena.left / needed / LANES * LANES;
    for (int k = 0; k < plan->n_parts; k++) w.row_values[k] = memory + arena.left + k * ROW_BATCH;
    if (arena.length > BLOCK) arena.length = BLOCK;
    if (plan->cols <= arena.length)
        arena.length = (plan->cols + LANES - 1) / LANES * LANES;
    else
        arena.length = arena.length / FOLD * FOLD;
    w.block = arena.length;
    for (int j = 0; j < plan->n_inputs; j++) {
        w.inputs[j] = take(&arena);
        if (plan->is_constant[j]) fill(w.inputs[j], (REAL)plan->constant[j], w.block);
    }
    w.element_values = take(&arena);
    w.element_weight = take(&arena);
    w.element_factor = take(&arena);
    for (int j = 0; j < 2; j++) w.grads[j] = take(&arena);
    w.hess = take(&arena);
    if (is_sum(plan)) {
        for (int j = 0; j < 2; j++) w.total_grads[j] = plan->has_grad[j] ? take(&arena) : NULL;
        w.total_hess = plan->has_hess ? take(&arena) : NULL;
    }
    REAL *scratch = plan->exec ? plan->exec->scratch : NULL;
    for (int k = 0; k < plan->n_parts; k++) {
        const lossfn__term_t *term = plan->parts[k].term;
        chunk_t *c = &w.chunks[k];
        set_constants(c->constants, &plan->parts[k]);
        c->classes = (REAL)plan->cols;
        w.weights[k] = take(&arena);
        w.outs[k] = take(&arena);
        if (term->class_weight >= 0 && term->values[term->class_weight].list && plan->cols <= w.block)
            list_to_real(w.weights[k], term->values[term->class_weight].list, 0, plan->cols);
        if (term->class_mask >= 0 && term->values[term->class_mask].list) {
            int64_t classes = 0;
            for (int64_t i = 0; i < plan->cols; i++) {
                int out = term->values[term->class_mask].list[i] == 0;
                if (plan->cols <= w.block) w.outs[k][i] = out;
                classes += !out;
            }
            c->classes = (REAL)classes;
        }
        if (term->definition->user && term->definition->unit == LOSSFN_UNIT_ROW) {
            REAL **whole[] = {&w.user_inputs[0], &w.user_inputs[1], &w.user_grads[k][0], &w.user_grads[k][1],
                              &w.user_hess[k]};
            for (int i = 0; i < 5; i++) {
                if ((i < 2 && *whole[i]) || (i == 2 && !plan->has_grad[0]) || (i == 3 && !plan->has_grad[1]) ||
                    (i == 4 && !plan->has_hess))
                    continue;
                if (plan->cols <= w.block) {
                    *whole[i] = take(&arena);
                } else {
                    *whole[i] = scratch;
                    scratch += plan->cols;
                }
            }
        }
    }
    w.arena = arena;
    const int maps = elements || plan->has_grad[0] || plan->has_grad[1] || plan->has_hess;
    for (int64_t row = begin; row < end; row++) {
        int64_t label;
        REAL weight = row_weight(plan, row, &label), value = 0;
        if (weight == 0) {
            clear_row(&w, row);
        } else {
            double upstream = plan->has_upstream ? (double)load_one(&plan->upstream, row) : 1;
            partial->status = value_row(&w, row, label, weight, &value);
            if (partial->status != LOSSFN_OK) return;
            if (++w.waiting == ROW_BATCH) flush_rows(&w);
            if (maps)
                for (int64_t first = 0; first < plan->cols; first += w.block) {
                    partial->status = map_chunk(&w, row, first, weight, upstream);
                    if (partial->status != LOSSFN_OK) return;
                    for (int k = 0; elements && k < plan->n_parts; k++)
                        if (w.chunks[k].fault >= 0 && plan->parts[k].term->definition->unit == LOSSFN_UNIT_ELEMENT)
                            note_fault(&w, k, row, w.chunks[k].fault);
                }
        }
        if (plan->has_values && !plan->dry)
            store_run(plan->values.data + lossfn__view_offset(&plan->values, row) * plan->values.item,
                      plan->values.dtype, 0, &value, 1);
    }
    flush_rows(&w);
}

#endif
