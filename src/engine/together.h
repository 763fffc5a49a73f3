/* SPDX-License-Identifier: MIT
 * LANES rows at a time: rows of few classes, turned so that each has a lane, and rows that lie side by side. */
#ifndef LOSSFN_ENGINE_TOGETHER_H
#define LOSSFN_ENGINE_TOGETHER_H

#include "engine/rows.h"

enum { TOGETHER = 128 }; /* the most classes of rows that must be turned */

/* Whether the rows of a view lie side by side as REAL, class by class. */
static int lies_by_class(const lossfn__view_t *view) {
    return view->dtype == REAL_DTYPE && view->class_stride != 1 && view->ndim > 0 && view->strides[view->ndim - 1] == 1;
}

static int runs_together(const lossfn__plan_t *plan) {
    if (is_sum(plan) || is_whole(plan->parts[0].term->definition)) return 0;
    return plan->cols <= TOGETHER;
}

/* n rows of a view if they lie `step` apart, of any dtype, else NULL. */
static char *evenly(const lossfn__view_t *view, int64_t row, int64_t n, int64_t *step) {
    int64_t offset, count;
    run_at(view, row, n, &offset, step, &count);
    return count == n ? view->data + offset * view->item : NULL;
}

/* The rows [row, row + LANES) where they lie, if nothing need be done to read or write them. */
static lanes_t lanes_in_place(const lossfn__view_t *view, int64_t row, int64_t n) {
    int64_t step;
    if (n < LANES || !lies_by_class(view)) return (lanes_t){0};
    char *at = evenly(view, row, n, &step);
    return (lanes_t){(REAL *)at, view->class_stride};
}

/* PART classes of n rows, `step` apart, to [class][lane]; lanes past n repeat the last row. */
ALWAYS_INLINE void turn_part_in(REAL *to, const REAL *from, int64_t step, int64_t n) {
    V x[PART];
    UNROLL for (int64_t i = 0; i < PART; i++) {
        const REAL *at[PARTS];
        UNROLL for (int64_t g = 0; g < PARTS; g++) {
            const int64_t l = g * PART + i;
            at[g] = from + (l < n ? l : n - 1) * step;
        }
        x[i] = v_join(at);
    }
    v_turn_parts(x);
    UNROLL for (int64_t i = 0; i < PART; i++) v_store(to + i * LANES, x[i]);
}
/* Rows of less than a part have room for one behind the last while they are turned. */
enum { NARROW = (LANES + 1) * PART };
static void copy_narrow(REAL *to, int64_t to_step, const REAL *from, int64_t step, int64_t n, int64_t cols) {
    if (step == cols && to_step == cols)
        memcpy(to, from, (size_t)(n * cols) * sizeof(REAL));
    else
        for (int64_t i = 0; i < n * cols; i++) to[i / cols * to_step + i % cols] = from[i / cols * step + i % cols];
}
/* n rows, `step` apart, to [class][lane]; lanes past n repeat the last. The last classes may come twice. */
OUT_OF_LINE void turn_rows_in(REAL *to, const REAL *from, int64_t step, int64_t n, int64_t cols) {
    if (cols < PART) {
        REAL narrow[NARROW] = {0};
        copy_narrow(narrow, cols, from, step, n, cols);
        turn_part_in(to, narrow, cols, n);
        return;
    }
    for (int64_t c = 0; c < cols; c += PART) {
        const int64_t at = c + PART <= cols ? c : cols - PART;
        if (n == LANES)
            turn_part_in(to + at * LANES, from + at, step, LANES);
        else
            turn_part_in(to + at * LANES, from + at, step, n);
    }
}

/* The reverse: row by row, so that each may be shorter than a part and followed by the next. */
ALWAYS_INLINE void turn_part_out(REAL *to, int64_t step, const REAL *from, int64_t n) {
    REAL turned[PART][LANES];
    V x[PART];
    UNROLL for (int64_t i = 0; i < PART; i++) x[i] = v_load(from + i * LANES);
    v_turn_parts(x);
    UNROLL for (int64_t i = 0; i < PART; i++) v_store(turned[i], x[i]);
    UNROLL for (int64_t l = 0; l < LANES; l++) if (l < n)
        memcpy(to + l * step, turned[l % PART] + l / PART * PART, PART * sizeof(REAL));
}
OUT_OF_LINE void turn_rows_out(REAL *to, int64_t step, const REAL *from, int64_t n, int64_t cols) {
    if (cols < PART) {
        REAL narrow[NARROW];
        turn_part_out(narrow, cols, from, LANES);
        copy_narrow(to, step, narrow, cols, n, cols);
        return;
    }
    for (int64_t c = 0; c < cols; c += PART) {
        const int64_t at = c + PART <= cols ? c : cols - PART;
        if (n == LANES)
            turn_part_out(to + at, step, from + at * LANES, LANES);
        else
            turn_part_out(to + at, step, from + at * LANES, n);
    }
}

/* n rows of a view to [class][lane]; lanes past n repeat the last. `spare` has room for as much. */
static void gather_group(REAL *to, const lossfn__view_t *view, int64_t row, int64_t n, int64_t cols, REAL *spare) {
    int64_t step;
    const char *from = evenly(view, row, n, &step);
    if (from && view->class_stride == 1 && step >= 0) {
        if (view->dtype != REAL_DTYPE) {
            for (int64_t l = 0; step != cols && l < n; l++)
                load_run(spare + l * cols, from + l * step * view->item, view->dtype, 1, cols);
            if (step == cols) load_run(spare, from, view->dtype, 1, n * cols);
            from = (const char *)spare;
            step = cols;
        }
        turn_rows_in(to, (const REAL *)from, step, n, cols);
        return;
    }
    lossfn__view_t class = *view;
    for (int64_t c = 0; c < cols; c++, to += LANES) {
        gather(to, &class, row, n);
        for (int64_t l = n; l < LANES; l++) to[l] = to[n - 1];
        class.data += view->class_stride * view->item;
    }
}

static void scatter_group(const lossfn__view_t *view, int64_t row, const REAL *from, int64_t n, int64_t cols,
                          REAL *spare) {
    int64_t step;
    char *to = evenly(view, row, n, &step);
    if (to && view->class_stride == 1 && step >= 0) {
        if (view->dtype == REAL_DTYPE) {
            turn_rows_out((REAL *)to, step, from, n, cols);
            return;
        }
        turn_rows_out(spare, cols, from, n, cols);
        for (int64_t l = 0; step != cols && l < n; l++)
            store_run(to + l * step * view->item, view->dtype, 1, spare + l * cols, cols);
        if (step == cols) store_run(to, view->dtype, 1, spare, n * cols);
        return;
    }
    lossfn__view_t class = *view;
    for (int64_t c = 0; c < cols; c++, from += LANES) {
        scatter(&class, row, from, n);
        class.data += view->class_stride * view->item;
    }
}

/* Where the outputs of one group go: in place, or into tiles that are scattered afterwards. */
static lanes_t output_lanes(const lossfn__plan_t *plan, const lossfn__view_t *view, int wanted, int64_t row, int64_t n,
                            REAL *tile) {
    if (!wanted) return (lanes_t){0};
    lanes_t place = plan->dry ? (lanes_t){0} : lanes_in_place(view, row, n);
    return place.at ? place : (lanes_t){tile, LANES};
}

/* Buffers of the groups that are run at once, cut from tiles of TOGETHER classes. */
typedef struct {
    REAL pred[TOGETHER * LANES], target[TOGETHER * LANES], grads[2][TOGETHER * LANES], hess[TOGETHER * LANES];
    REAL spare[TOGETHER * LANES];
} tiles_t;

static void stage_group(const lossfn__plan_t *plan, group_t *g, int64_t row, int64_t n, tiles_t *tiles, int64_t tile) {
    const int has_target = plan->n_inputs > 1 && !plan->has_labels;
    g->has_fault = 0;
    g->x = lanes_in_place(&plan->inputs[PRED], row, n);
    g->next = g->x.at ? GROUPS_AT_ONCE * LANES : 0;
    if (!g->x.at) {
        g->x = (lanes_t){tiles->pred + tile, LANES};
        gather_group(g->x.at, &plan->inputs[PRED], row, n, plan->cols, tiles->spare);
    }
    g->t = has_target ? lanes_in_place(&plan->inputs[TARGET], row, n) : (lanes_t){0};
    if (has_target && !g->t.at) {
        g->t = (lanes_t){tiles->target + tile, LANES};
        gather_group(g->t.at, &plan->inputs[TARGET], row, n, plan->cols, tiles->spare);
    }
    for (int j = 0; j < 2; j++)
        g->grads[j] = output_lanes(plan, &plan->grads[j], plan->has_grad[j], row, n, tiles->grads[j] + tile);
    g->hess = output_lanes(plan, &plan->hess, plan->has_hess, row, n, tiles->hess + tile);
    g->kept = plan->has_grad[PRED] ? (lanes_t){tiles->grads[PRED] + tile, LANES} : (lanes_t){0};
}

/* Faults, values, and the outputs that have not been written in place. */
static void write_group(const lossfn__plan_t *plan, const group_t *g, int64_t row, int64_t n, tiles_t *tiles,
                        int64_t tile, lossfn__partial_t *partial) {
    for (int64_t l = 0; g->has_fault && l < n; l++) {
        int64_t where = (row + l) * plan->cols + g->fault[l];
        if (g->fault[l] < 0 || (partial->fault >= 0 && partial->fault <= where)) continue;
        partial->fault = where;
        partial->fault_part = 0;
    }
    if (plan->dry) return;
    if (plan->has_values) scatter(&plan->values, row, g->values, n);
    for (int j = 0; j < 2; j++)
        if (g->grads[j].at == tiles->grads[j] + tile)
            scatter_group(&plan->grads[j], row, g->grads[j].at, n, plan->cols, tiles->spare);
    if (g->hess.at == tiles->hess + tile) scatter_group(&plan->hess, row, g->hess.at, n, plan->cols, tiles->spare);
}

static void run_rows_together(const lossfn__plan_t *plan, int64_t begin, int64_t end, lossfn__partial_t *partial) {
    _Alignas(64) tiles_t tiles;
    REAL weights[TOGETHER], outs[TOGETHER];
    index_t labels[ROW_BATCH + LANES];
    const lossfn__part_t *part = &plan->parts[0];
    const row_kernel_t *kernel = &kernels[part->term->definition->kernel]->rows;
    const int64_t tile = (plan->cols + LANES - 1) / LANES * LANES * LANES; /* of one group */
    const int64_t fit = TOGETHER * LANES / tile, at_once = (fit < GROUPS_AT_ONCE ? fit : GROUPS_AT_ONCE) * LANES;
    batch_t batch;
    int guess = GRID_NONE;
    group_t groups[GROUPS_AT_ONCE];
    groups[0].cols = plan->cols;
    groups[0].plain = is_plain(plan, part->term);
    groups[0].classes = (REAL)plan->cols;
    groups[0].class_weight = class_weights(part->term) ? weights : NULL;
    groups[0].out = class_mask(part->term) ? outs : NULL;
    if (groups[0].class_weight) list_to_real(weights, class_weights(part->term), 0, plan->cols);
    for (int64_t c = 0; groups[0].out && c < plan->cols; c++) {
        outs[c] = class_mask(part->term)[c] == 0;
        groups[0].classes -= outs[c];
    }
    set_constants(groups[0].constants, plan, part);
    for (int i = 1; i < at_once / LANES && i * LANES < end - begin; i++) groups[i] = groups[0];
    for (int64_t first = begin; first < end; first += at_once) {
        const int64_t some = end - first < at_once ? end - first : at_once;
        const int n = (int)((some + LANES - 1) / LANES);
        stage_batch(plan, first, some, &batch);
        for (int64_t i = 0; i < some + LANES; i++) labels[i] = (index_t)batch.labels[i];
        for (int i = 0; i < n; i++) {
            const int64_t row = first + i * LANES, rows = end - row < LANES ? end - row : LANES;
            groups[i].labels = labels + i * LANES;
            groups[i].weight = batch.weights + i * LANES;
            groups[i].factor = batch.factors + i * LANES;
            groups[i].values = batch.values + i * LANES;
            stage_group(plan, &groups[i], row, rows, &tiles, i * tile);
        }
        kernel->together(groups, n);
        for (int i = 0; i < n; i++) {
            const int64_t row = first + i * LANES, rows = end - row < LANES ? end - row : LANES;
            write_group(plan, &groups[i], row, rows, &tiles, i * tile, partial);
        }
        if (plan->need_sum) deposit(batch.values, some, &partial->sums[0], &guess);
    }
}

#endif
