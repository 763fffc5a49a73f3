/* SPDX-License-Identifier: MIT
 * Losses over rows of classes, and sums of losses with one of them, row by row; long rows chunk by chunk. */
#ifndef LOSSFN_ENGINE_ROWS_H
#define LOSSFN_ENGINE_ROWS_H

#include "engine/whole.h"

enum { ROW_BATCH = 64 };

static int row_has_nan(const lossfn__plan_t *plan, int64_t row) {
    REAL buffer[64];
    for (int j = 0; j < plan->n_inputs; j++) {
        if (plan->is_constant[j] || (j == TARGET && plan->has_labels)) continue;
        for (int64_t c = 0; c < plan->cols; c += 64) {
            int64_t n = plan->cols - c < 64 ? plan->cols - c : 64;
            const REAL *x = row_classes(&plan->inputs[j], row, c, n, buffer);
            for (int64_t i = 0; i < n; i++)
                if (x[i] != x[i]) return 1;
        }
    }
    return 0;
}

/* Labels of n <= ROW_BATCH rows as they are given. Returns whether all are integers that fit; else `valid` tells which.
 */
static int load_labels(const lossfn__view_t *view, int64_t row, int64_t n, int64_t *numbers, uint8_t *valid) {
    int all = 1;
    FOR_RUNS(view, row, n, offset, step, done, count) {
        const char *from = view->data + offset * view->item;
        switch (view->dtype) {
#define STAGE_LABELS(code, type)                                                                                       \
    case code:                                                                                                         \
        if (step == 1)                                                                                                 \
            for (int64_t i = 0; i < count; i++) numbers[done + i] = (int64_t)((const type *)from)[i];                  \
        else                                                                                                           \
            for (int64_t i = 0; i < count; i++) numbers[done + i] = (int64_t)((const type *)from)[i * step];           \
        break;
            LOSSFN__INTEGER_TYPES(STAGE_LABELS)
#undef STAGE_LABELS
        default:
            for (int64_t i = 0; i < count; i++) {
                double shown;
                valid[done + i] = (uint8_t)load_label(view, row + done + i, &numbers[done + i], &shown);
                all &= valid[done + i];
            }
        }
    }
    for (int64_t i = 0; view->dtype == LOSSFN_U64 && i < n; i++) {
        valid[i] = numbers[i] >= 0;
        all &= valid[i];
    }
    return all;
}

/* Labels of n <= ROW_BATCH rows from 0, -1 out of range; what is ignored gets the weight 0. Returns whether the labels
 * of all that is kept are in range. */
static int stage_labels(const lossfn__plan_t *plan, int64_t row, int64_t n, int64_t *labels, REAL *weights) {
    const uint64_t base = (uint64_t)plan->loss->label_base;
    const int64_t ignored = plan->loss->ignore_index, classes = plan->n_labels;
    uint8_t valid[ROW_BATCH];
    const int all_valid = load_labels(&plan->inputs[TARGET], row, n, labels, valid);
    int64_t missing = 0;
    int in_range = 1;
    if (!all_valid) {
        for (int64_t i = 0; i < n; i++) {
            if (plan->loss->has_ignore_index && valid[i] && labels[i] == ignored) weights[i] = 0;
            if (!valid[i]) labels[i] = (int64_t)(base - 1);
        }
    } else if (plan->loss->has_ignore_index) {
        for (int64_t i = 0; i < n; i++) weights[i] = labels[i] == ignored ? 0 : weights[i];
    }
    for (int64_t i = 0; i < n; i++) { /* by bits, so that compilers vectorise it */
        const int64_t label = (int64_t)((uint64_t)labels[i] - base);
        const int64_t good = -(int64_t)((label >= 0) & (label < classes));
        labels[i] = (label & good) | ~good;
        missing |= ~good;
    }
    for (int64_t i = 0; missing < 0 && i < n; i++) in_range &= (labels[i] >= 0) | (weights[i] == 0);
    return in_range;
}

/* Labels as above, -1 without one, and weights of n <= ROW_BATCH rows: 0 where a row is masked, ignored or of weight 0.
 */
static int stage_rows(const lossfn__plan_t *plan, int64_t row, int64_t n, int64_t *labels, REAL *weights) {
    int in_range = 1;
    if (plan->has_weight)
        gather(weights, &plan->weight, row, n);
    else
        for (int64_t i = 0; i < n; i++) weights[i] = 1;
    if (plan->has_mask) {
        REAL mask[ROW_BATCH];
        gather(mask, &plan->mask, row, n);
        mend_mask(mask, &plan->mask, row, n);
        for (int64_t i = 0; i < n; i++) weights[i] = mask[i] == 0 ? 0 : weights[i];
    }
    if (plan->has_labels)
        in_range = stage_labels(plan, row, n, labels, weights);
    else
        for (int64_t i = 0; i < n; i++) labels[i] = -1;
    for (int64_t i = 0; plan->loss->nan_policy == LOSSFN__NAN_IGNORE && i < n; i++)
        if (weights[i] != 0 && row_has_nan(plan, row + i)) weights[i] = 0;
    return in_range;
}

/* Labels and weights of a batch of rows, and what their derivatives are multiplied with; past the end nothing is kept.
 */
typedef struct {
    int64_t labels[ROW_BATCH + LANES];
    REAL weights[ROW_BATCH + LANES], factors[ROW_BATCH + LANES], values[ROW_BATCH + LANES];
} batch_t;

static void stage_batch(const lossfn__plan_t *plan, int64_t row, int64_t n, batch_t *b) {
    stage_rows(plan, row, n, b->labels, b->weights);
    for (int64_t i = n; i < n + LANES; i++) b->labels[i] = -1, b->weights[i] = 0;
    if (plan->has_upstream) {
        gather(b->factors, &plan->upstream, row, n);
        for (int64_t i = 0; i < n; i++)
            b->factors[i] = (REAL)(lossfn__factor(&plan->parts[0], (double)b->weights[i]) * (double)b->factors[i]);
    } else {
        for (int64_t i = 0; i < n; i++) b->factors[i] = (REAL)lossfn__factor(&plan->parts[0], (double)b->weights[i]);
    }
    for (int64_t i = n; i < n + LANES; i++) b->factors[i] = 0;
}

static const double *class_weights(const lossfn__term_t *term) {
    return term->class_weight >= 0 ? term->values[term->class_weight].list : NULL;
}

static const double *class_mask(const lossfn__term_t *term) {
    return term->class_mask >= 0 ? term->values[term->class_mask].list : NULL;
}

/* Whether all targets but the label's are 0, and every class takes part. */
static int is_plain(const lossfn__plan_t *plan, const lossfn__term_t *term) {
    return plan->has_labels && !class_mask(term) &&
           !(term->label_smoothing >= 0 && term->values[term->label_smoothing].number != 0);
}

static void list_to_real(REAL *to, const double *list, int64_t first, int64_t n) {
    for (int64_t i = 0; i < n; i++) to[i] = (REAL)list[first + i];
}

/* Everything that the walk over rows keeps between rows. */
typedef struct {
    const lossfn__plan_t *plan;
    lossfn__partial_t *partial;
    int64_t end;   /* after the last row */
    int64_t block; /* classes staged at a time: all, or a multiple of FOLD */
    REAL *inputs[LOSSFN_MAX_INPUTS], *weights[LOSSFN__MAX_TERMS], *outs[LOSSFN__MAX_TERMS];
    REAL *element_values, *element_weight, *element_factor;
    REAL *grads[LOSSFN_MAX_INPUTS], *hess, *total_grads[LOSSFN_MAX_INPUTS], *total_hess;
    REAL *row_values[LOSSFN__MAX_TERMS]; /* waiting to be summed */
    whole_t whole;
    int guesses[LOSSFN__MAX_TERMS], collected; /* grids */
    int64_t waiting;
    chunk_t chunks[LOSSFN__MAX_TERMS];
    arena_t arena; /* the rest: user kernels */
} rows_t;

static void flush_rows(rows_t *w) {
    for (int k = 0; k < w->plan->n_parts; k++)
        if (w->plan->parts[k].term->definition->unit == LOSSFN_UNIT_ROW && w->plan->need_sum)
            deposit(w->row_values[k], w->waiting, &w->partial->sums[k], &w->guesses[k]);
    w->waiting = 0;
}

/* Where the classes from `first` of the row that is run next lie; those that are staged already where that is unknown.
 */
static void ask_for_row(const lossfn__plan_t *plan, classes_t *at, int64_t row, int64_t first) {
    at->item = sizeof(REAL);
    at->next[0] = (const char *)at->x;
    at->next[1] = (const char *)at->t;
    const lossfn__view_t *pred = &plan->inputs[PRED], *target = &plan->inputs[TARGET];
    if (pred->class_stride != 1) return;
    at->item = pred->item;
    at->next[0] = pred->data + (lossfn__view_offset(pred, row) + first) * pred->item;
    if (at->t && target->class_stride == 1 && target->item == pred->item)
        at->next[1] = target->data + (lossfn__view_offset(target, row) + first) * target->item;
}

static void stage_chunk(rows_t *w, int64_t row, int64_t first, chunk_t *c, int k) {
    const lossfn__plan_t *plan = w->plan;
    const lossfn__term_t *term = plan->parts[k].term;
    int64_t n = plan->cols - first < w->block ? plan->cols - first : w->block;
    int copy = is_sum(plan);
    classes_t *at = &c->at;
    at->first = first;
    at->n = n;
    if (k == 0) {
        at->x = row_classes(&plan->inputs[PRED], row, first, n, w->inputs[PRED]);
        if (copy && at->x != w->inputs[PRED]) {
            memcpy(w->inputs[PRED], at->x, (size_t)n * sizeof(REAL));
            at->x = w->inputs[PRED];
        }
        at->t = NULL;
        if (plan->n_inputs > 1 && !plan->has_labels && !plan->per_row[TARGET])
            at->t = row_classes(&plan->inputs[TARGET], row, first, n, w->inputs[TARGET]);
    } else {
        at->x = w->chunks[0].at.x;
        at->t = w->chunks[0].at.t;
    }
    const double *weights = class_weights(term), *mask = class_mask(term);
    if (weights && plan->cols > w->block) list_to_real(w->weights[k], weights, first, n);
    for (int64_t i = 0; mask && plan->cols > w->block && i < n; i++) w->outs[k][i] = mask[first + i] == 0;
    at->weight = weights ? w->weights[k] : NULL;
    at->out = mask ? w->outs[k] : NULL;
    ask_for_row(plan, at, row + 1 < w->end ? row + 1 : row, first);
}

/* Where the classes from `first` lie in a row of a gradient, if they lie as REAL side by side, else NULL. */
static REAL *grad_in_place(const lossfn__view_t *view, int64_t row, int64_t first) {
    if (view->dtype != REAL_DTYPE || view->class_stride != 1) return NULL;
    return (REAL *)view->data + lossfn__view_offset(view, row) + first;
}

/* Where the sums over a chunk can leave something for the map: where its gradient will be, unless the map will look at
 * an input there or nothing may be written yet. */
static REAL *keeping_place(const rows_t *w, int64_t row, int64_t first, const chunk_t *c) {
    const lossfn__plan_t *plan = w->plan;
    if (!plan->has_grad[PRED] || is_sum(plan)) return NULL;
    REAL *place = plan->dry ? NULL : grad_in_place(&plan->grads[PRED], row, first);
    if (place && (place == c->at.t || (place == c->at.x && plan->has_grad[TARGET]))) return NULL;
    return place ? place : plan->cols <= w->block ? w->grads[PRED] : NULL;
}

/* Whether anything looks at the chunks of a part. */
static int is_cut(const lossfn__plan_t *plan, int k) {
    return is_sum(plan) || !is_whole(plan->parts[k].term->definition);
}

/* How many numbers of a gradient belong to n classes of a row, from `first`. */
static int64_t grad_extent(const lossfn__plan_t *plan, int j, int64_t first, int64_t n) {
    return plan->per_row[j] ? first == 0 : n;
}

/* A part whose rows were computed whole when they were valued: scaled here. */
static void scale_whole(const rows_t *w, int k, int64_t first, int64_t n, REAL factor, REAL *const *grads, REAL *hess) {
    const whole_part_t *own = &w->whole.parts[k];
    for (int j = 0; j < w->plan->parts[k].n_inputs; j++) {
        const int64_t count = grad_extent(w->plan, j, first, n);
        for (int64_t i = 0; grads[j] && i < count; i++) grads[j][i] = own->grads[j][first + i] * factor;
    }
    for (int64_t i = 0; hess && i < n; i++) hess[i] = own->hess[first + i] * factor;
}

/* A part of elements in a sum with rows. */
static lossfn_status_t map_elements(rows_t *w, int k, int64_t first, int64_t n, REAL weight, REAL *const *grads) {
    const lossfn__plan_t *plan = w->plan;
    const lossfn__part_t *part = &plan->parts[k];
    chunk_t *c = &w->chunks[k];
    block_t b = {.n = n,
                 .in = {c->at.x, c->at.t},
                 .weight = w->element_weight,
                 .factor = w->element_factor,
                 .values = w->element_values,
                 .grads = {grads[PRED], grads[TARGET]},
                 .hess = c->hess,
                 .sum = &w->partial->sums[k],
                 .grid = w->guesses[k],
                 .fault = -1};
    fill(w->element_weight, weight, n);
    fill(w->element_factor, c->factor, n);
    for (int j = 2; j < plan->n_inputs; j++) {
        b.in[j] = w->inputs[j];
        if (plan->is_constant[j]) fill(w->inputs[j], (REAL)part->term->constant_inputs[j], n);
    }
    set_constants(b.constants, plan, part);
    b.tuned = is_tuned_for(plan, part);
    if (part->term->definition->user)
        LOSSFN__TRY(user_elements(plan, part, &b, w->arena));
    else
        run_kernel(part->term->definition->kernel, LOSSFN__WANT_ALL, &b);
    if (b.fault >= 0) c->fault = first + b.fault;
    w->guesses[k] = b.grid;
    return LOSSFN_OK;
}

static lossfn_status_t map_part(rows_t *w, int k, int64_t row, int64_t first, int64_t n, REAL weight,
                                REAL *const *grads) {
    const lossfn__definition_t *definition = w->plan->parts[k].term->definition;
    chunk_t *c = &w->chunks[k];
    if (w->plan->collect >= w->plan->parts[k].n_inputs) return LOSSFN_OK;
    if (is_whole(definition)) {
        scale_whole(w, k, first, n, c->factor, grads, c->hess);
        return LOSSFN_OK;
    }
    if (definition->unit == LOSSFN_UNIT_ELEMENT) return map_elements(w, k, first, n, weight, grads);
    c->grads[PRED] = grads[PRED];
    c->grads[TARGET] = grads[TARGET];
    if (c->at.kept && w->plan->cols > w->block) c->at.kept = keeping_place(w, row, first, c);
    kernels[definition->kernel]->rows.map(c);
    return LOSSFN_OK;
}

static void add_to(REAL *to, const REAL *from, int64_t n) {
    for (int64_t i = 0; i < n; i++) to[i] += from[i];
}

/* Adds a chunk of a gradient to the exact sums that a broadcast input collects. */
static void collect_chunk(rows_t *w, int64_t first, int64_t n, const REAL *grad) {
    const int64_t wanted = w->plan->collect_class;
    if (wanted < 0) {
        deposit(grad, n, &w->partial->sums[0], &w->collected);
        return;
    }
    for (int64_t c = 0; c < w->plan->n_sums; c++)
        if (wanted + c >= first && wanted + c < first + n)
            lossfn__exact_add(&w->partial->sums[c], (double)grad[wanted + c - first]);
}

/* Derivatives of one chunk: of every part, added up if there are several, and written. */
static lossfn_status_t map_chunk(rows_t *w, int64_t row, int64_t first, REAL weight, double upstream) {
    const lossfn__plan_t *plan = w->plan;
    const int sum = is_sum(plan);
    int64_t n = plan->cols - first < w->block ? plan->cols - first : w->block;
    REAL *outs[LOSSFN_MAX_INPUTS] = {0}, *out_hess = NULL;
    if (sum) {
        for (int j = 0; j < plan->n_inputs; j++)
            if (w->total_grads[j]) fill(w->total_grads[j], 0, n);
        if (w->total_hess) fill(w->total_hess, 0, n);
    }
    for (int k = 0; k < plan->n_parts; k++) {
        const lossfn__part_t *part = &plan->parts[k];
        chunk_t *c = &w->chunks[k];
        REAL *grads[LOSSFN_MAX_INPUTS] = {0};
        if (plan->cols > w->block && is_cut(plan, k)) stage_chunk(w, row, first, c, k);
        c->factor = (REAL)(lossfn__factor(part, (double)weight) * upstream);
        c->hess = NULL;
        for (int j = 0; j < part->n_inputs; j++) {
            if (!plan->has_grad[j]) continue;
            REAL *place = sum || plan->collect >= 0 ? NULL : grad_in_place(&plan->grads[j], row, first);
            grads[j] = place ? place : w->grads[j];
        }
        if (plan->has_hess) {
            REAL *place = sum ? NULL : grad_in_place(&plan->hess, row, first);
            c->hess = place ? place : w->hess;
        }
        LOSSFN__TRY(map_part(w, k, row, first, n, weight, grads));
        for (int j = 0; j < plan->n_inputs; j++) {
            outs[j] = sum ? w->total_grads[j] : grads[j];
            if (sum && grads[j]) add_to(outs[j], grads[j], grad_extent(plan, j, first, n));
        }
        out_hess = sum ? w->total_hess : c->hess;
        if (sum && c->hess) add_to(out_hess, c->hess, n);
    }
    if (plan->dry) return LOSSFN_OK;
    if (plan->collect >= 0) {
        if (outs[plan->collect]) collect_chunk(w, first, n, outs[plan->collect]);
        return LOSSFN_OK;
    }
    for (int j = 0; j < plan->n_inputs; j++)
        if (plan->has_grad[j]) store_classes(&plan->grads[j], row, first, outs[j], grad_extent(plan, j, first, n));
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
        c->at.label = label;
        c->at.top = -1;
        c->top = -INFINITY;
        c->fault = -1;
        if (plan->cols <= w->block && is_cut(plan, k)) stage_chunk(w, row, 0, c, k);
        if (definition->unit != LOSSFN_UNIT_ROW) continue;
        if (definition->user) {
            stage_part(&w->whole, plan, k, row, label);
            LOSSFN__TRY(user_row(plan, part, w->whole.inputs, label, &c->value, w->whole.parts[k].grads,
                                 w->whole.parts[k].hess));
        } else if (definition->whole_rows) {
            c->fault = value_whole_row(&w->whole, plan, k, row, label, &c->value);
        } else {
            const row_kernel_t *kernel = &kernels[definition->kernel]->rows;
            if (kernel->wants_top)
                for (int64_t first = 0; first < plan->cols; first += w->block) {
                    if (plan->cols > w->block) stage_chunk(w, row, first, c, k);
                    chunk_top(c);
                }
            for (int64_t first = 0; first < plan->cols; first += w->block) {
                if (plan->cols > w->block) stage_chunk(w, row, first, c, k);
                c->at.kept = kernel->keeps ? keeping_place(w, row, first, c) : NULL;
                kernel->sums(c);
            }
            kernel->finish(c, 1);
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
    if (plan->dry || plan->collect >= 0) return;
    for (int64_t first = 0; first < plan->cols; first += w->block) {
        int64_t n = plan->cols - first < w->block ? plan->cols - first : w->block;
        fill(w->element_values, 0, n);
        for (int j = 0; j < plan->n_inputs; j++)
            if (plan->has_grad[j])
                store_classes(&plan->grads[j], row, first, w->element_values, grad_extent(plan, j, first, n));
        if (plan->has_hess) store_classes(&plan->hess, row, first, w->element_values, n);
    }
}

static void run_cut_rows(const lossfn__plan_t *plan, int64_t begin, int64_t end, lossfn__partial_t *partial) {
    _Alignas(64) REAL memory[ARENA];
    rows_t w;
    memset(&w, 0, sizeof w);
    w.plan = plan;
    w.partial = partial;
    w.end = end;
    w.collected = GRID_NONE;
    int elements = 0, wanted = plan->has_hess;
    for (int k = 0; k < plan->n_parts; k++) {
        w.guesses[k] = GRID_NONE;
        elements |= plan->parts[k].term->definition->unit == LOSSFN_UNIT_ELEMENT;
    }
    for (int j = 0; j < plan->n_inputs; j++) wanted += plan->has_grad[j];
    const int needed =
        plan->n_inputs + 2 * plan->n_parts + 3 + (wanted << is_sum(plan)) + (elements ? plan->n_inputs + 4 : 0);
    arena_t arena = {memory, ARENA - ROW_BATCH * LOSSFN__MAX_TERMS, 0};
    for (int k = 0; k < plan->n_parts; k++) w.row_values[k] = memory + arena.left + k * ROW_BATCH;
    if (has_whole_part(plan)) {
        begin_whole(&w.whole, plan, memory);
        arena.at += LOSSFN__WHOLE_ROW_BYTES / sizeof(REAL);
        arena.left -= LOSSFN__WHOLE_ROW_BYTES / (int64_t)sizeof(REAL);
    }
    arena.length = arena.left / needed / LANES * LANES;
    if (arena.length > BLOCK) arena.length = BLOCK;
    if (plan->cols <= arena.length)
        arena.length = (plan->cols + LANES - 1) / LANES * LANES;
    else
        arena.length = arena.length / FOLD * FOLD;
    w.block = arena.length;
    for (int j = 0; j < plan->n_inputs; j++) w.inputs[j] = take(&arena);
    w.element_values = take(&arena);
    w.element_weight = take(&arena);
    w.element_factor = take(&arena);
    for (int j = 0; j < plan->n_inputs; j++) {
        if (!plan->has_grad[j]) continue;
        w.grads[j] = take(&arena);
        if (is_sum(plan)) w.total_grads[j] = take(&arena);
    }
    if (plan->has_hess) {
        w.hess = take(&arena);
        if (is_sum(plan)) w.total_hess = take(&arena);
    }
    for (int k = 0; k < plan->n_parts; k++) {
        const lossfn__term_t *term = plan->parts[k].term;
        chunk_t *c = &w.chunks[k];
        set_constants(c->constants, plan, &plan->parts[k]);
        c->at.plain = is_plain(plan, term);
        c->classes = (REAL)plan->cols;
        w.weights[k] = take(&arena);
        w.outs[k] = take(&arena);
        const double *weights = class_weights(term), *mask = class_mask(term);
        if (weights && plan->cols <= w.block) list_to_real(w.weights[k], weights, 0, plan->cols);
        if (mask) {
            int64_t classes = 0;
            for (int64_t i = 0; i < plan->cols; i++) {
                if (plan->cols <= w.block) w.outs[k][i] = mask[i] == 0;
                classes += mask[i] != 0;
            }
            c->classes = (REAL)classes;
        }
    }
    w.arena = arena;
    const int maps = elements || wanted;
    int64_t labels[ROW_BATCH];
    REAL weights[ROW_BATCH];
    for (int64_t row = begin; row < end; row++) {
        const int64_t place = (row - begin) % ROW_BATCH;
        if (place == 0) stage_rows(plan, row, end - row < ROW_BATCH ? end - row : ROW_BATCH, labels, weights);
        const int64_t label = labels[place];
        REAL weight = weights[place], value = 0;
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

/* ---- Whole rows of one loss -------------------------------------------------------------------------------------- */

/* Some at once, pass by pass: what one row waits for at the end of a pass, another fills. */
enum { ROWS_AT_ONCE = 4, ROWS_BYTES = 32 * 1024 };

static int lies_by_row(const lossfn__view_t *view) { return view->dtype == REAL_DTYPE && view->class_stride == 1; }

static int streams_rows(const lossfn__plan_t *plan) {
    return plan->streams && lies_by_row(&plan->grads[PRED]) && plan->cols * (int64_t)sizeof(REAL) >= 16 * VECTOR_BYTES;
}

/* What a row needs a buffer for. */
typedef struct {
    uint8_t inputs[2], grads[2], hess;
    int streams, count;
} needs_t;

static needs_t needs_of_row(const lossfn__plan_t *plan, int streams) {
    needs_t needs = {.streams = streams};
    needs.inputs[PRED] = !lies_by_row(&plan->inputs[PRED]);
    needs.inputs[TARGET] = plan->n_inputs > 1 && !plan->has_labels && !lies_by_row(&plan->inputs[TARGET]);
    for (int j = 0; j < 2; j++)
        needs.grads[j] = plan->has_grad[j] && (streams || plan->dry || !lies_by_row(&plan->grads[j]));
    needs.hess = plan->has_hess && (plan->dry || !lies_by_row(&plan->hess));
    needs.count = needs.inputs[0] + needs.inputs[1] + needs.grads[0] + needs.grads[1] + needs.hess;
    return needs;
}

/* How many rows can be run at once; 0: they must be cut. */
static int64_t rows_at_once(const lossfn__plan_t *plan, const needs_t *needs) {
    const lossfn__term_t *term = plan->parts[0].term;
    const int64_t block = (plan->cols + LANES - 1) / LANES * LANES, room = ARENA - 2 * block;
    const int64_t bytes = plan->cols * 2 * (int64_t)sizeof(REAL);
    if (is_sum(plan) || is_whole(term->definition) || ((class_weights(term) || class_mask(term)) && room < 0)) return 0;
    int64_t most = ROWS_BYTES / (bytes ? bytes : 1);
    if (needs->count && room / (needs->count * block) < most) most = room / (needs->count * block);
    if (most < 1 && !(needs->count && room < needs->count * block)) most = 1;
    return most < ROWS_AT_ONCE ? most : ROWS_AT_ONCE;
}

static REAL *row_output(const lossfn__view_t *view, int wanted, int buffered, int64_t row, arena_t *arena) {
    return !wanted ? NULL : buffered ? take(arena) : grad_in_place(view, row, 0);
}

/* Stages a row; `after` is the one that is run when this one is done. */
static void stage_row(const lossfn__plan_t *plan, const needs_t *needs, chunk_t *c, int64_t row, int64_t after,
                      arena_t *arena) {
    const row_kernel_t *kernel = &kernels[plan->parts[0].term->definition->kernel]->rows;
    classes_t *at = &c->at;
    at->first = 0;
    at->n = plan->cols;
    at->top = -1;
    c->top = -INFINITY;
    c->fault = -1;
    at->x = row_classes(&plan->inputs[PRED], row, 0, plan->cols, needs->inputs[PRED] ? take(arena) : NULL);
    at->t = NULL;
    if (plan->n_inputs > 1 && !plan->has_labels)
        at->t = row_classes(&plan->inputs[TARGET], row, 0, plan->cols, needs->inputs[TARGET] ? take(arena) : NULL);
    for (int j = 0; j < 2; j++)
        c->grads[j] = row_output(&plan->grads[j], plan->has_grad[j], needs->grads[j], row, arena);
    c->hess = row_output(&plan->hess, plan->has_hess, needs->hess, row, arena);
    at->kept = kernel->keeps ? c->grads[PRED] : NULL;
    if (at->kept && (at->kept == at->t || (at->kept == at->x && c->grads[TARGET]))) at->kept = NULL;
    ask_for_row(plan, at, after, 0);
}

/* Around the caches, but for what does not fill a vector at either end. */
static void stream_copy(REAL *to, const REAL *from, int64_t n) {
    const int64_t lead = (int64_t)(-(uintptr_t)to % VECTOR_BYTES / sizeof(REAL)), head = lead < n ? lead : n;
    int64_t i = head;
    if (head) v_store_first(to, (int)head, v_load_first(from, (int)head, v_zero()));
    for (; i + LANES <= n; i += LANES) stream_vector(to + i, (f32v)v_load(from + i));
    if (i < n) v_store_first(to + i, (int)(n - i), v_load_first(from + i, (int)(n - i), v_zero()));
}

static void write_row(const lossfn__plan_t *plan, const needs_t *needs, const chunk_t *c, int64_t row) {
    if (needs->streams) stream_copy(grad_in_place(&plan->grads[PRED], row, 0), c->grads[PRED], plan->cols);
    for (int j = 0; j < 2; j++)
        if (needs->grads[j] && !needs->streams) store_classes(&plan->grads[j], row, 0, c->grads[j], plan->cols);
    if (needs->hess) store_classes(&plan->hess, row, 0, c->hess, plan->cols);
}

/* Zeros for a row that is not kept. */
static void write_zeros(const lossfn__plan_t *plan, int64_t row) {
    static const REAL zeros[FOLD];
    for (int64_t first = 0; first < plan->cols; first += FOLD) {
        const int64_t n = plan->cols - first < FOLD ? plan->cols - first : FOLD;
        for (int j = 0; j < 2; j++)
            if (plan->has_grad[j]) store_classes(&plan->grads[j], row, first, zeros, n);
        if (plan->has_hess) store_classes(&plan->hess, row, first, zeros, n);
    }
}

/* Values and derivatives of n <= ROWS_AT_ONCE rows. */
static void run_some_rows(const lossfn__plan_t *plan, const needs_t *needs, int64_t row, int64_t n, int64_t end,
                          chunk_t *chunks, arena_t arena, batch_t *b, int64_t at, lossfn__partial_t *partial) {
    const row_kernel_t *kernel = &kernels[plan->parts[0].term->definition->kernel]->rows;
    const int maps = plan->has_grad[PRED] || plan->has_grad[TARGET] || plan->has_hess;
    int64_t rows[ROWS_AT_ONCE];
    int kept = 0;
    for (int64_t i = 0; i < n; i++) {
        chunk_t *c = &chunks[kept];
        if (b->weights[at + i] == 0) {
            if (!plan->dry) write_zeros(plan, row + i);
            continue;
        }
        rows[kept++] = i;
        c->at.label = b->labels[at + i];
        c->factor = b->factors[at + i];
        stage_row(plan, needs, c, row + i, row + i + n < end ? row + i + n : row + i, &arena);
        if (kernel->wants_top) chunk_top(c);
    }
    for (int k = 0; k < kept; k++) kernel->sums(&chunks[k]);
    kernel->finish(chunks, kept);
    for (int k = 0; maps && k < kept; k++) kernel->map(&chunks[k]);
    for (int k = 0; k < kept; k++) {
        const chunk_t *c = &chunks[k];
        const int64_t where = (row + rows[k]) * plan->cols + c->fault;
        if (c->fault >= 0 && (partial->fault < 0 || where < partial->fault)) {
            partial->fault = where;
            partial->fault_part = 0;
        }
        if (!plan->dry) write_row(plan, needs, c, row + rows[k]);
    }
    for (int k = 0; k < kept; k++)
        b->values[at + rows[k]] = (chunks[k].fault >= 0 ? (REAL)NAN : chunks[k].value) * b->weights[at + rows[k]];
}

static void run_whole_rows(const lossfn__plan_t *plan, const needs_t *needs, int64_t at_once, int64_t begin,
                           int64_t end, lossfn__partial_t *partial) {
    _Alignas(64) REAL memory[ARENA];
    const lossfn__term_t *term = plan->parts[0].term;
    const double *weights = class_weights(term), *mask = class_mask(term);
    chunk_t chunks[ROWS_AT_ONCE];
    batch_t batch;
    int guess = GRID_NONE;
    arena_t arena = {memory, ARENA, (plan->cols + LANES - 1) / LANES * LANES};
    REAL *list = weights ? take(&arena) : NULL, *outs = mask ? take(&arena) : NULL;
    REAL classes = (REAL)plan->cols;
    if (weights) list_to_real(list, weights, 0, plan->cols);
    for (int64_t i = 0; mask && i < plan->cols; i++) {
        outs[i] = mask[i] == 0;
        classes -= outs[i];
    }
    for (int64_t i = 0; i < at_once; i++) {
        chunk_t *c = &chunks[i];
        c->at.weight = list;
        c->at.out = outs;
        c->at.plain = is_plain(plan, term);
        c->classes = classes;
        set_constants(c->constants, plan, &plan->parts[0]);
    }
    for (int64_t first = begin; first < end; first += ROW_BATCH) {
        const int64_t n = end - first < ROW_BATCH ? end - first : ROW_BATCH;
        stage_batch(plan, first, n, &batch);
        for (int64_t i = 0; i < n; i++) batch.values[i] = 0;
        for (int64_t i = 0; i < n; i += at_once)
            run_some_rows(plan, needs, first + i, n - i < at_once ? n - i : at_once, end, chunks, arena, &batch, i,
                          partial);
        if (plan->need_sum) deposit(batch.values, n, &partial->sums[0], &guess);
        if (plan->has_values && !plan->dry) scatter(&plan->values, first, batch.values, n);
    }
    if (needs->streams) stream_fence();
}

/* Rows of classes in any way that they can be run one by one. */
static void run_rows(const lossfn__plan_t *plan, int64_t begin, int64_t end, lossfn__partial_t *partial) {
    needs_t needs = needs_of_row(plan, 0);
    int64_t at_once = 0;
    if (streams_rows(plan) && plan->has_grad[PRED] && !plan->has_grad[TARGET] && !plan->has_hess) {
        const needs_t streaming = needs_of_row(plan, 1);
        at_once = rows_at_once(plan, &streaming);
        if (at_once > 1) needs = streaming;
    }
    if (at_once <= 1) at_once = rows_at_once(plan, &needs);
    if (at_once > 0)
        run_whole_rows(plan, &needs, at_once, begin, end, partial);
    else
        run_cut_rows(plan, begin, end, partial);
}

#endif
