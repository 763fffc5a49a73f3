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
    if (is_sum(plan) || plan->parts[0].term->definition->user) return 0;
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

/* n rows, `step` apart, to [class][lane]; lanes past n repeat the last. What lies behind a row's classes may be read as
 * long as it lies before the last row's end. */
NO_INLINE void turn_in(REAL *to, const REAL *from, int64_t step, int64_t n, int64_t cols) {
    const REAL *const last = from + (n - 1) * step + cols - LANES;
    for (int64_t c = 0; c < cols; c += LANES) {
        V rows[LANES];
        UNROLL for (int64_t l = 0; l < LANES; l++) {
            const REAL *at = from + (l < n ? l : n - 1) * step + c;
            rows[l] = at <= last ? v_load(at) : v_load_first(at, cols - c < LANES ? cols - c : LANES - 1);
        }
        v_transpose(rows);
        UNROLL for (int64_t j = 0; j < LANES; j++) v_store(to + (c + j) * LANES, rows[j]);
    }
}

/* The reverse. Where rows follow each other without a gap, what is behind a row's classes may be overwritten: it comes
 * after, in the rows and from the last classes to the first. */
NO_INLINE void turn_out(REAL *to, int64_t step, const REAL *from, int64_t n, int64_t cols) {
    const REAL *const last = to + n * step - LANES;
    for (int64_t c = (cols - 1) / LANES * LANES; c >= 0; c -= LANES) {
        const int64_t some = cols - c < LANES ? cols - c : LANES;
        V rows[LANES];
        UNROLL for (int64_t j = 0; j < LANES; j++) rows[j] = v_load(from + (c + j) * LANES);
        v_transpose(rows);
        UNROLL for (int64_t l = 0; l < LANES; l++) {
            REAL *const at = to + l * step + c;
            if (l >= n) continue;
            if (some == LANES || (step == cols && at <= last))
                v_store(at, rows[l]);
            else
                v_store_first(at, some, rows[l]);
        }
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
        turn_in(to, (const REAL *)from, step, n, cols);
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
            turn_out((REAL *)to, step, from, n, cols);
            return;
        }
        turn_out(spare, cols, from, n, cols);
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
            b->factors[i] = (REAL)(b->weights[i] * plan->parts[0].scale * (double)b->factors[i]);
    } else {
        for (int64_t i = 0; i < n; i++) b->factors[i] = (REAL)(b->weights[i] * plan->parts[0].scale);
    }
    for (int64_t i = n; i < n + LANES; i++) b->factors[i] = 0;
}

/* Where the outputs of one group go: in place, or into tiles that are scattered afterwards. */
static lanes_t output_lanes(const lossfn__plan_t *plan, const lossfn__view_t *view, int wanted, int64_t row, int64_t n,
                            REAL *tile) {
    if (!wanted) return (lanes_t){0};
    lanes_t place = plan->dry ? (lanes_t){0} : lanes_in_place(view, row, n);
    return place.at ? place : (lanes_t){tile, LANES};
}

static void run_rows_together(const lossfn__plan_t *plan, int64_t begin, int64_t end, lossfn__partial_t *partial) {
    _Alignas(64) REAL tiles[6][TOGETHER * LANES];
    REAL lists[2][TOGETHER];
    REAL *const weights = lists[0], *const outs = lists[1], *const spare = tiles[5];
    const lossfn__part_t *part = &plan->parts[0];
    const lossfn__term_t *term = part->term;
    const row_kernel_t *kernel = &kernels[term->definition->kernel].rows;
    const int has_target = plan->n_inputs > 1 && !plan->has_labels;
    batch_t batch;
    int guess = GRID_NONE;
    group_t g;
    g.cols = plan->cols;
    g.plain = is_plain(plan, term);
    g.classes = (REAL)plan->cols;
    g.class_weight = class_weights(term) ? weights : NULL;
    g.out = class_mask(term) ? outs : NULL;
    if (g.class_weight) list_to_real(weights, class_weights(term), 0, plan->cols);
    for (int64_t c = 0; g.out && c < plan->cols; c++) {
        outs[c] = class_mask(term)[c] == 0;
        g.classes -= outs[c];
    }
    set_constants(g.constants, part);
    for (int64_t row = begin; row < end; row += LANES) {
        const int64_t n = end - row < LANES ? end - row : LANES, at = (row - begin) % ROW_BATCH;
        const int64_t batched = end - (row - at) < ROW_BATCH ? end - (row - at) : ROW_BATCH;
        if (at == 0) stage_batch(plan, row, batched, &batch);
        g.labels = batch.labels + at;
        g.weight = batch.weights + at;
        g.factor = batch.factors + at;
        g.values = batch.values + at;
        for (int64_t l = 0; l < LANES; l++) g.fault[l] = -1;
        g.x = lanes_in_place(&plan->inputs[PRED], row, n);
        if (!g.x.at) {
            g.x = (lanes_t){tiles[0], LANES};
            gather_group(tiles[0], &plan->inputs[PRED], row, n, plan->cols, spare);
        }
        g.t = has_target ? lanes_in_place(&plan->inputs[TARGET], row, n) : (lanes_t){0};
        if (has_target && !g.t.at) {
            g.t = (lanes_t){tiles[1], LANES};
            gather_group(tiles[1], &plan->inputs[TARGET], row, n, plan->cols, spare);
        }
        for (int j = 0; j < 2; j++)
            g.grads[j] = output_lanes(plan, &plan->grads[j], plan->has_grad[j], row, n, tiles[2 + j]);
        g.hess = output_lanes(plan, &plan->hess, plan->has_hess, row, n, tiles[4]);
        g.kept = plan->has_grad[PRED] && kernel->keeps ? (lanes_t){tiles[2], LANES} : (lanes_t){0};
        kernel->together(&g);
        for (int64_t l = 0; l < n; l++) {
            int64_t where = (row + l) * plan->cols + g.fault[l];
            if (g.fault[l] < 0 || (partial->fault >= 0 && partial->fault <= where)) continue;
            partial->fault = where;
            partial->fault_part = 0;
        }
        if (plan->need_sum && at + n == batched) deposit(batch.values, batched, &partial->sums[0], &guess);
        if (plan->dry) continue;
        if (plan->has_values) scatter(&plan->values, row, g.values, n);
        for (int j = 0; j < 2; j++)
            if (g.grads[j].at == tiles[2 + j]) scatter_group(&plan->grads[j], row, tiles[2 + j], n, plan->cols, spare);
        if (g.hess.at == tiles[4]) scatter_group(&plan->hess, row, tiles[4], n, plan->cols, spare);
    }
}

#endif
