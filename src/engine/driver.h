/* SPDX-License-Identifier: MIT
 * Runs the losses of a plan over a share of its units, block by block: stage inputs, weights and masks, call the
 * kernels, sum exactly, write. Included once per instruction set and dtype, after the losses; `kernels` is the table of
 * them. */
#ifndef LOSSFN_ENGINE_DRIVER_H
#define LOSSFN_ENGINE_DRIVER_H

#include "core/registry.h"
#include "core/status.h"
#include "engine/deposit.h"

enum { ARENA = 60 * 1024 / sizeof(REAL), BLOCK = 4096 / sizeof(REAL) };

/* Buffers of one call on one thread, cut from a piece of the stack. */
typedef struct {
    REAL *at;
    int64_t left, length;
} arena_t;

static REAL *take(arena_t *arena) {
    REAL *buffer = arena->at;
    arena->at += arena->length;
    return buffer;
}

static void fill(REAL *to, REAL x, int64_t n) {
    for (int64_t i = 0; i < n; i++) to[i] = x;
}

/* Whether the parts' outputs must be added up in buffers before they are written. */
static int is_sum(const lossfn__plan_t *plan) { return plan->n_parts > 1 || plan->parts[0].term->coefficient != 1; }

static void set_constants(REAL *constants, const lossfn__part_t *part) {
    for (int j = 0; j < MAX_CONSTANTS; j++) constants[j] = (REAL)part->term->constants[j];
    /* bool targets of a margin loss are 0 and 1 whatever `labels` says */
    if (part->labels_01) constants[part->term->labels] = 1;
}

/* ---- User-made kernels ------------------------------------------------------------------------------------------- */

/* Calls a user's elementwise kernel on the kept elements of a block, then weighs and scales what it gives. */
static lossfn_status_t user_elements(const lossfn__plan_t *plan, const lossfn__part_t *part, block_t *b,
                                     arena_t arena) {
    const lossfn_vtable_t *table = part->term->definition->user;
    lossfn_block_t call = {.struct_size = sizeof call, .cols = 1, .dtype = REAL_DTYPE, .n_inputs = part->n_inputs};
    REAL *packed[LOSSFN_MAX_INPUTS], *values = take(&arena), *outputs[LOSSFN_MAX_INPUTS + 1] = {0};
    int64_t kept = 0;
    for (int j = 0; j < part->n_inputs; j++) call.inputs[j] = packed[j] = take(&arena);
    for (int64_t i = 0; i < b->n; i++) {
        if (b->weight && b->weight[i] == 0) continue;
        for (int j = 0; j < part->n_inputs; j++) packed[j][kept] = b->in[j][i];
        kept++;
    }
    call.count = kept;
    call.values = values;
    call.params = part->term->params;
    call.user_data = lossfn__user_data(part->term->definition);
    call.call = plan->call;
    for (int j = 0; j < part->n_inputs; j++)
        if (b->grads[j]) call.grads[j] = outputs[j] = take(&arena);
    if (b->hess) call.hess = outputs[LOSSFN_MAX_INPUTS] = take(&arena);
    if (kept > 0) LOSSFN__TRY(lossfn__call_user(table->elementwise, &call));
    for (int64_t i = 0, from = 0; i < b->n; i++) {
        REAL w = b->weight ? b->weight[i] : 1, factor = b->factor ? b->factor[i] : b->scale;
        int keep = w != 0;
        b->values[i] = keep ? values[from] * w : 0;
        for (int j = 0; j < part->n_inputs; j++)
            if (b->grads[j]) b->grads[j][i] = keep ? outputs[j][from] * factor : 0;
        if (b->hess) b->hess[i] = keep ? outputs[LOSSFN_MAX_INPUTS][from] * factor : 0;
        from += keep;
    }
    return LOSSFN_OK;
}

/* A user's rowwise kernel on one row, staged whole in b->in; values, gradients and Hessian as it gives them. */
static lossfn_status_t user_row(const lossfn__plan_t *plan, const lossfn__part_t *part, const REAL *pred, REAL *target,
                                int64_t label, int64_t cols, REAL *value, REAL *grads[2], REAL *hess) {
    const lossfn_vtable_t *table = part->term->definition->user;
    lossfn_block_t call = {
        .struct_size = sizeof call, .count = 1, .cols = cols, .dtype = REAL_DTYPE, .n_inputs = part->n_inputs};
    call.inputs[PRED] = pred;
    if (plan->has_labels && table->flags & LOSSFN_VTABLE_LABELS) {
        call.labels = &label;
    } else if (part->n_inputs > 1) {
        if (plan->has_labels)
            for (int64_t c = 0; c < cols; c++) target[c] = c == label;
        call.inputs[TARGET] = target;
    }
    call.values = value;
    call.grads[PRED] = grads[PRED];
    call.grads[TARGET] = grads[TARGET];
    call.hess = hess;
    call.params = part->term->params;
    call.user_data = lossfn__user_data(part->term->definition);
    call.call = plan->call;
    return lossfn__call_user(table->rowwise, &call);
}

/* ---- Elements ---------------------------------------------------------------------------------------------------- */

/* Weight of the units [begin, begin + n): what is not kept gets 0. */
static void stage_weights(const lossfn__plan_t *plan, int64_t begin, int64_t n, const REAL *const *in, REAL *weight,
                          REAL *buffer) {
    fill(weight, 1, n);
    if (plan->has_weight) gather(weight, &plan->weight, begin, n);
    if (plan->has_mask) {
        gather(buffer, &plan->mask, begin, n);
        for (int64_t i = 0; i < n; i++)
            if (buffer[i] == 0) weight[i] = 0;
    }
    if (plan->loss->nan_policy == LOSSFN__NAN_IGNORE)
        for (int j = 0; j < plan->n_inputs; j++)
            for (int64_t i = 0; i < n; i++)
                if (in[j][i] != in[j][i]) weight[i] = 0;
}

static int stages_weights(const lossfn__plan_t *plan) {
    return plan->has_weight || plan->has_mask || plan->loss->nan_policy == LOSSFN__NAN_IGNORE;
}

/* Inputs of the elements [begin, begin + n), where they lie or in their buffers. */
static void stage_inputs(const lossfn__plan_t *plan, int64_t begin, int64_t n, REAL *const *buffers, const REAL **in,
                         int copy) {
    for (int j = 0; j < plan->n_inputs; j++) {
        in[j] = buffers[j];
        if (plan->is_constant[j]) continue; /* filled once */
        const REAL *direct = copy ? NULL : in_place(&plan->inputs[j], begin);
        if (direct)
            in[j] = direct;
        else
            gather(buffers[j], &plan->inputs[j], begin, n);
    }
}

/* Elements [begin, end), all derivatives times `upstream`. */
static void run_span(const lossfn__plan_t *plan, int64_t begin, int64_t end, double upstream,
                     lossfn__partial_t *partial, lossfn__exact_t *sums) {
    _Alignas(64) REAL memory[ARENA];
    const int sum = is_sum(plan), weights = stages_weights(plan) || plan->has_upstream;
    const int per_row = plan->reduction == LOSSFN__PER_ROW;
    REAL *buffers[LOSSFN_MAX_INPUTS], *weight = NULL, *factor = NULL, *upstreams = NULL, *spare;
    REAL *values, *grads[LOSSFN_MAX_INPUTS] = {0}, *hess = NULL;
    REAL *total_values = NULL, *total_grads[LOSSFN_MAX_INPUTS] = {0}, *total_hess = NULL;
    int guesses[LOSSFN__MAX_TERMS], user = 0, outputs = 1 + (plan->has_hess || plan->has_hvp);
    for (int j = 0; j < plan->n_inputs; j++) outputs += plan->has_grad[j];
    for (int k = 0; k < plan->n_parts; k++) {
        guesses[k] = GRID_NONE;
        if (plan->parts[k].term->definition->user) user = plan->n_inputs + outputs;
    }
    int needed = plan->n_inputs + 4 + outputs * (1 + sum) + user;
    arena_t arena = {memory, ARENA, ARENA / needed / LANES * LANES};
    if (arena.length > BLOCK) arena.length = BLOCK;
    if (arena.length > end - begin) arena.length = (end - begin + LANES - 1) / LANES * LANES;
    const int64_t block = arena.length;
    for (int j = 0; j < plan->n_inputs; j++) {
        buffers[j] = take(&arena);
        if (plan->is_constant[j]) fill(buffers[j], (REAL)plan->constant[j], block);
    }
    spare = take(&arena);
    if (weights) weight = take(&arena), factor = take(&arena), upstreams = take(&arena);
    values = take(&arena);
    for (int j = 0; j < plan->n_inputs; j++)
        if (plan->has_grad[j]) grads[j] = take(&arena);
    if (plan->has_hess || plan->has_hvp) hess = take(&arena);
    if (sum) {
        total_values = take(&arena);
        for (int j = 0; j < plan->n_inputs; j++)
            if (plan->has_grad[j]) total_grads[j] = take(&arena);
        if (hess) total_hess = take(&arena);
    }
    for (int64_t i = begin; i < end; i += block) {
        const int64_t n = end - i < block ? end - i : block;
        block_t b = {.n = n, .weight = weight, .factor = factor};
        stage_inputs(plan, i, n, buffers, b.in, sum);
        if (weights) {
            stage_weights(plan, i, n, b.in, weight, spare);
            if (plan->has_upstream && !per_row) gather(upstreams, &plan->upstream, i, n);
        }
        if (sum) {
            fill(total_values, 0, n);
            for (int j = 0; j < plan->n_inputs; j++)
                if (total_grads[j]) fill(total_grads[j], 0, n);
            if (total_hess) fill(total_hess, 0, n);
        }
        for (int k = 0; k < plan->n_parts; k++) {
            const lossfn__part_t *part = &plan->parts[k];
            const lossfn__definition_t *definition = part->term->definition;
            b.fault = -1;
            b.scale = (REAL)(part->scale * upstream);
            if (weights)
                for (int64_t e = 0; e < n; e++)
                    factor[e] =
                        plan->has_upstream && !per_row ? weight[e] * b.scale * upstreams[e] : weight[e] * b.scale;
            REAL *direct = sum || plan->dry || per_row || !plan->has_values ? NULL : in_place(&plan->values, i);
            b.values = direct ? direct : values;
            for (int j = 0; j < plan->n_inputs; j++) {
                direct = sum || !plan->has_grad[j] || plan->collect >= 0 ? NULL : in_place(&plan->grads[j], i);
                b.grads[j] = j >= part->n_inputs ? NULL : direct ? direct : grads[j];
            }
            direct = sum || !plan->has_hess || plan->has_hvp ? NULL : in_place(&plan->hess, i);
            b.hess = direct ? direct : hess;
            set_constants(b.constants, part);
            if (definition->user) {
                lossfn_status_t status = user_elements(plan, part, &b, arena);
                if (status != LOSSFN_OK) {
                    partial->status = status;
                    return;
                }
            } else {
                kernels[definition->kernel].elements[plan->want](&b);
            }
            if (b.fault >= 0 && (partial->fault < 0 || i + b.fault < partial->fault)) {
                partial->fault = i + b.fault;
                partial->fault_part = k;
            }
            if (plan->collect >= 0) { /* only the exact sum of one gradient is wanted */
                if (plan->collect < part->n_inputs) deposit(b.grads[plan->collect], n, &sums[0], &guesses[0]);
                continue;
            }
            if (plan->need_sum) deposit(b.values, n, &sums[k], &guesses[k]);
            if (sum) {
                REAL coefficient = (REAL)part->term->coefficient;
                for (int64_t e = 0; e < n; e++)
                    if (!weights || weight[e] != 0) total_values[e] += coefficient * b.values[e];
                for (int j = 0; j < part->n_inputs; j++)
                    if (total_grads[j])
                        for (int64_t e = 0; e < n; e++) total_grads[j][e] += b.grads[j][e];
                if (total_hess)
                    for (int64_t e = 0; e < n; e++) total_hess[e] += b.hess[e];
            } else {
                total_values = b.values;
                for (int j = 0; j < plan->n_inputs; j++) total_grads[j] = b.grads[j];
                total_hess = b.hess;
            }
        }
        if (plan->dry || plan->collect >= 0) continue;
        if (plan->has_values && !per_row && total_values != in_place(&plan->values, i))
            scatter(&plan->values, i, total_values, n);
        for (int j = 0; j < plan->n_inputs; j++)
            if (plan->has_grad[j] && total_grads[j] != in_place(&plan->grads[j], i))
                scatter(&plan->grads[j], i, total_grads[j], n);
        if (plan->has_hvp) {
            gather(spare, &plan->hvp_vector, i, n);
            for (int64_t e = 0; e < n; e++) spare[e] = total_hess[e] == 0 ? 0 : spare[e] * total_hess[e];
            scatter(&plan->hvp, i, spare, n);
        }
        if (plan->has_hess && total_hess != in_place(&plan->hess, i)) scatter(&plan->hess, i, total_hess, n);
    }
}

static void run_elements(const lossfn__plan_t *plan, int64_t begin, int64_t end, lossfn__partial_t *partial) {
    if (plan->reduction != LOSSFN__PER_ROW) {
        run_span(plan, begin * plan->span, end * plan->span, 1, partial, partial->sums);
        return;
    }
    for (int64_t row = begin; row < end && partial->status == LOSSFN_OK; row++) {
        lossfn__exact_t sums[LOSSFN__MAX_TERMS];
        double value = 0;
        for (int k = 0; k < plan->n_parts; k++) lossfn__exact_clear(&sums[k]);
        double upstream = plan->has_upstream ? (double)load_one(&plan->upstream, row) : 1;
        run_span(plan, row * plan->cols, (row + 1) * plan->cols, upstream, partial, sums);
        for (int k = 0; k < plan->n_parts; k++) {
            double part = lossfn__exact_round(&sums[k]);
            value = k == 0 && !is_sum(plan) ? part : value + plan->parts[k].term->coefficient * part;
            if (plan->need_total) lossfn__exact_merge(&partial->sums[k], &sums[k]);
        }
        if (plan->has_values && !plan->dry) {
            char *to = plan->values.data + lossfn__view_offset(&plan->values, row) * plan->values.item;
            lossfn__store_double(to, plan->values.dtype, value);
        }
    }
}

/* ---- Rows -------------------------------------------------------------------------------------------------------- */

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
                         .fault = -1};
            fill(w->element_weight, weight, n);
            fill(w->element_factor, c->factor, n);
            for (int j = 2; j < plan->n_inputs; j++) b.in[j] = w->inputs[j];
            set_constants(b.constants, part);
            if (part->term->definition->user)
                LOSSFN__TRY(user_elements(plan, part, &b, w->arena));
            else
                kernels[part->term->definition->kernel].elements[LOSSFN__WANT_ALL](&b);
            if (b.fault >= 0) c->fault = first + b.fault;
            if (plan->need_sum) deposit(w->element_values, n, &w->partial->sums[k], &w->guesses[k]);
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

/* Few classes, one built-in loss: LANES rows at a time. */
static int runs_together(const lossfn__plan_t *plan) {
    const lossfn__definition_t *definition = plan->parts[0].term->definition;
    return !is_sum(plan) && plan->cols <= TOGETHER && !definition->user;
}

/* n rows of a view, class by class into [class][lane]; lanes past n repeat the last. */
static void gather_group(REAL *to, const lossfn__view_t *view, int64_t row, int64_t n, int64_t cols) {
    lossfn__view_t class = *view;
    for (int64_t c = 0; c < cols; c++, to += LANES) {
        gather(to, &class, row, n);
        for (int64_t l = n; l < LANES; l++) to[l] = to[n - 1];
        class.data += view->class_stride * view->item;
    }
}

static void scatter_group(const lossfn__view_t *view, int64_t row, const REAL *from, int64_t n, int64_t cols) {
    lossfn__view_t class = *view;
    for (int64_t c = 0; c < cols; c++, from += LANES) {
        scatter(&class, row, from, n);
        class.data += view->class_stride * view->item;
    }
}

static void run_rows_together(const lossfn__plan_t *plan, int64_t begin, int64_t end, lossfn__partial_t *partial) {
    _Alignas(64) REAL tiles[5][TOGETHER * LANES], lists[2][TOGETHER], waiting[ROW_BATCH];
    const lossfn__part_t *part = &plan->parts[0];
    const lossfn__term_t *term = part->term;
    const double *class_weight = term->class_weight >= 0 ? term->values[term->class_weight].list : NULL;
    const double *class_mask = term->class_mask >= 0 ? term->values[term->class_mask].list : NULL;
    const int has_target = plan->n_inputs > 1 && !plan->has_labels;
    int guess = GRID_NONE;
    int64_t n_waiting = 0;
    group_t g;
    g.cols = plan->cols;
    g.x = tiles[0];
    g.t = has_target ? tiles[1] : NULL;
    g.grads[0] = plan->has_grad[0] ? tiles[2] : NULL;
    g.grads[1] = plan->has_grad[1] ? tiles[3] : NULL;
    g.hess = plan->has_hess ? tiles[4] : NULL;
    g.class_weight = class_weight ? lists[0] : NULL;
    g.out = class_mask ? lists[1] : NULL;
    g.classes = (REAL)plan->cols;
    if (class_weight) list_to_real(lists[0], class_weight, 0, plan->cols);
    for (int64_t c = 0; class_mask && c < plan->cols; c++) {
        lists[1][c] = class_mask[c] == 0;
        g.classes -= lists[1][c];
    }
    set_constants(g.constants, part);
    for (int64_t row = begin; row < end; row += LANES) {
        const int64_t n = end - row < LANES ? end - row : LANES;
        for (int64_t l = 0; l < LANES; l++) {
            double upstream = 1;
            g.fault[l] = g.labels[l] = -1;
            g.weight[l] = l < n ? row_weight(plan, row + l, &g.labels[l]) : 0;
            if (l < n && plan->has_upstream) upstream = (double)load_one(&plan->upstream, row + l);
            g.factor[l] = (REAL)(g.weight[l] * part->scale * upstream);
        }
        gather_group(tiles[0], &plan->inputs[PRED], row, n, plan->cols);
        if (has_target) gather_group(tiles[1], &plan->inputs[TARGET], row, n, plan->cols);
        kernels[term->definition->kernel].rows.together(&g);
        for (int64_t l = 0; l < n; l++) {
            int64_t at = (row + l) * plan->cols + g.fault[l];
            if (g.fault[l] < 0 || (partial->fault >= 0 && partial->fault <= at)) continue;
            partial->fault = at;
            partial->fault_part = 0;
        }
        if (plan->need_sum) {
            memcpy(waiting + n_waiting, g.values, (size_t)n * sizeof(REAL));
            n_waiting += n;
            if (n_waiting > ROW_BATCH - LANES || row + LANES >= end) {
                deposit(waiting, n_waiting, &partial->sums[0], &guess);
                n_waiting = 0;
            }
        }
        if (plan->dry) continue;
        if (plan->has_values) scatter(&plan->values, row, g.values, n);
        for (int j = 0; j < 2; j++)
            if (g.grads[j]) scatter_group(&plan->grads[j], row, g.grads[j], n, plan->cols);
        if (g.hess) scatter_group(&plan->hess, row, g.hess, n, plan->cols);
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

static void run(const lossfn__plan_t *plan, int64_t begin, int64_t end, lossfn__partial_t *partial) {
    if (plan->unit == LOSSFN_UNIT_ROW && runs_together(plan))
        run_rows_together(plan, begin, end, partial);
    else if (plan->unit == LOSSFN_UNIT_ROW)
        run_rows(plan, begin, end, partial);
    else
        run_elements(plan, begin, end, partial);
}

/* ---- Pre-pass ---------------------------------------------------------------------------------------------------- */

static void note_nan(lossfn__survey_t *survey, int64_t at, int input) {
    if (survey->nan_index >= 0) return;
    survey->nan_index = at;
    survey->nan_input = input;
}

static void survey_elements(const lossfn__plan_t *plan, int64_t begin, int64_t end, lossfn__survey_t *survey) {
    REAL memory[LOSSFN_MAX_INPUTS + 2][256], *buffers[LOSSFN_MAX_INPUTS], *weight = memory[8], *spare = memory[9];
    const REAL *in[LOSSFN_MAX_INPUTS];
    int reads = plan->loss->nan_policy != LOSSFN__NAN_PROPAGATE, labels = 0, guess = GRID_NONE;
    for (int k = 0; k < plan->n_parts; k++) labels |= plan->parts[k].margin_labels;
    for (int j = 0; j < LOSSFN_MAX_INPUTS; j++) buffers[j] = memory[j];
    for (int j = 0; j < plan->n_inputs; j++)
        if (plan->is_constant[j]) fill(buffers[j], (REAL)plan->constant[j], 256);
    for (int64_t unit = begin; unit < end; unit += plan->span == 1 ? 256 : 1) {
        /* a unit is an element, or a row of span elements where rows are counted */
        int64_t first = unit * plan->span, last = plan->span != 1    ? first + plan->span
                                                  : unit + 256 < end ? unit + 256
                                                                     : end;
        int64_t kept_before = survey->kept;
        for (int64_t i = first; i < last; i += 256) {
            int64_t n = last - i < 256 ? last - i : 256;
            if (reads)
                stage_inputs(plan, i, n, buffers, in, 0);
            else if (labels)
                gather(buffers[TARGET], &plan->inputs[TARGET], i, n);
            stage_weights(plan, i, n, in, weight, spare);
            for (int64_t e = 0; e < n; e++) {
                if (weight[e] == 0) continue;
                survey->kept++;
                for (int j = 0; reads && j < plan->n_inputs; j++)
                    if (in[j][e] != in[j][e]) note_nan(survey, i + e, j);
            }
            deposit(weight, n, &survey->weights[0], &guess);
            for (int k = 0; k < plan->n_parts; k++) {
                if (!plan->parts[k].margin_labels) continue;
                const REAL *target = reads ? in[TARGET] : buffers[TARGET], low = plan->parts[k].labels_01 ? 0 : -1;
                for (int64_t e = 0; e < n; e++)
                    if (weight[e] != 0 && target[e] != 1 && target[e] != low && survey->bad_label < 0) {
                        survey->bad_label = i + e;
                        survey->label = (double)target[e];
                        survey->label_part = k;
                    }
            }
        }
        survey->kept_rows += plan->span == 1 ? survey->kept - kept_before : survey->kept > kept_before;
    }
    for (int k = 1; k < plan->n_parts; k++) survey->weights[k] = survey->weights[0];
}

static void survey_rows(const lossfn__plan_t *plan, int64_t begin, int64_t end, lossfn__survey_t *survey) {
    REAL buffer[64];
    for (int64_t row = begin; row < end; row++) {
        int64_t label;
        REAL weight = row_weight(plan, row, &label);
        if (weight == 0) continue;
        survey->kept++;
        if (plan->has_labels && (label < 0 || label >= plan->cols) && survey->bad_label < 0) {
            survey->bad_label = row;
            int64_t number;
            load_label(&plan->inputs[TARGET], row, &number, &survey->label);
        }
        for (int k = 0; k < plan->n_parts; k++) {
            const lossfn__term_t *term = plan->parts[k].term;
            const double *list = term->class_weight >= 0 ? term->values[term->class_weight].list : NULL;
            REAL total = weight;
            if (list && plan->has_labels) {
                total = label >= 0 && label < plan->cols ? weight * (REAL)list[label] : 0;
            } else if (list && plan->n_inputs > 1) {
                double mass = 0;
                for (int64_t first = 0; first < plan->cols; first += 64) {
                    int64_t n = plan->cols - first < 64 ? plan->cols - first : 64;
                    const REAL *t = row_classes(&plan->inputs[TARGET], row, first, n, buffer);
                    for (int64_t i = 0; i < n; i++) mass += (double)t[i] * (double)(REAL)list[first + i];
                }
                total = weight * (REAL)mass;
            }
            /* in a sum with a loss of elements, each element of the row has the row's weight */
            int64_t each = term->definition->unit == LOSSFN_UNIT_ELEMENT ? plan->cols : 1;
            lossfn__exact_add_multiple(&survey->weights[k], (double)total, (uint64_t)each);
            const double *mask = term->class_mask >= 0 ? term->values[term->class_mask].list : NULL;
            if (mask && plan->has_labels && label >= 0 && label < plan->cols && mask[label] == 0 &&
                survey->bad_label < 0) {
                survey->bad_label = row;
                survey->label = (double)(label + plan->loss->label_base);
                survey->label_part = k;
                survey->label_masked = 1;
            }
        }
        if (plan->loss->nan_policy == LOSSFN__NAN_ERROR && survey->nan_index < 0)
            for (int j = 0; j < plan->n_inputs; j++) {
                if (plan->is_constant[j] || (j == TARGET && plan->has_labels)) continue;
                for (int64_t first = 0; first < plan->cols; first += 64) {
                    int64_t n = plan->cols - first < 64 ? plan->cols - first : 64;
                    const REAL *x = row_classes(&plan->inputs[j], row, first, n, buffer);
                    for (int64_t i = 0; i < n; i++)
                        if (x[i] != x[i]) note_nan(survey, row * plan->cols + first + i, j);
                }
            }
    }
    survey->kept_rows = survey->kept;
}

static void survey(const lossfn__plan_t *plan, int64_t begin, int64_t end, lossfn__survey_t *survey) {
    if (plan->unit == LOSSFN_UNIT_ROW)
        survey_rows(plan, begin, end, survey);
    else
        survey_elements(plan, begin, end, survey);
}

#endif
