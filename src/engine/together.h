/* SPDX-License-Identifier: MIT
 * Rows of few classes, LANES of them at a time. */
#ifndef LOSSFN_ENGINE_TOGETHER_H
#define LOSSFN_ENGINE_TOGETHER_H

#include "engine/rows.h"

/* Few classes, one built-in loss: LANES rows at a time. */
static int runs_together(const lossfn__plan_t *plan) {
    const lossfn__definition_t *definition = plan->parts[0].term->definition;
    return !is_sum(plan) && plan->cols <= TOGETHER && !definition->user;
}

/* Where n rows of a view lie if they are REAL and evenly spaced, `step` apart, else NULL. */
static REAL *evenly(const lossfn__view_t *view, int64_t row, int64_t n, int64_t *step) {
    int64_t offset, count;
    run_at(view, row, n, &offset, step, &count);
    return view->dtype == REAL_DTYPE && count == n ? (REAL *)view->data + offset : NULL;
}

/* n rows of a view, class by class into [class][lane]; lanes past n repeat the last. */
static void gather_group(REAL *to, const lossfn__view_t *view, int64_t row, int64_t n, int64_t cols) {
    int64_t step;
    const REAL *from = evenly(view, row, n, &step);
    if (from && n == LANES && step == 1) {
        for (int64_t c = 0; c < cols; c++) v_store(to + c * LANES, v_load(from + c * view->class_stride));
    } else if (from && n == LANES) {
        for (int64_t c = 0; c < cols; c++, from += view->class_stride, to += LANES)
            for (int64_t l = 0; l < LANES; l++) to[l] = from[l * step];
    } else {
        lossfn__view_t class = *view;
        for (int64_t c = 0; c < cols; c++, to += LANES) {
            gather(to, &class, row, n);
            for (int64_t l = n; l < LANES; l++) to[l] = to[n - 1];
            class.data += view->class_stride * view->item;
        }
    }
}

static void scatter_group(const lossfn__view_t *view, int64_t row, const REAL *from, int64_t n, int64_t cols) {
    int64_t step;
    REAL *to = evenly(view, row, n, &step);
    if (to && n == LANES && step == 1) {
        for (int64_t c = 0; c < cols; c++) v_store(to + c * view->class_stride, v_load(from + c * LANES));
    } else if (to && n == LANES) {
        for (int64_t l = 0; l < LANES; l++)
            for (int64_t c = 0; c < cols; c++) to[l * step + c * view->class_stride] = from[c * LANES + l];
    } else {
        lossfn__view_t class = *view;
        for (int64_t c = 0; c < cols; c++, from += LANES) {
            scatter(&class, row, from, n);
            class.data += view->class_stride * view->item;
        }
    }
}

static void run_rows_together(const lossfn__plan_t *plan, int64_t begin, int64_t end, lossfn__partial_t *partial) {
    _Alignas(64) REAL tiles[5][TOGETHER * LANES], lists[2][TOGETHER], waiting[ROW_BATCH];
    const lossfn__part_t *part = &plan->parts[0];
    const lossfn__term_t *term = part->term;
    const double *class_weight = term->class_weight >= 0 ? term->values[term->class_weight].list : NULL;
    const double *class_mask = term->class_mask >= 0 ? term->values[term->class_mask].list : NULL;
    const int has_target = plan->n_inputs > 1 && !plan->has_labels;
    const int plain = has_plain_rows(plan);
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
            g.fault[l] = g.labels[l] = -1;
            g.weight[l] = 0;
        }
        if (plain) plain_rows(plan, row, n, g.labels, g.weight);
        for (int64_t l = 0; l < LANES; l++) {
            double upstream = 1;
            if (!plain && l < n) g.weight[l] = row_weight(plan, row + l, &g.labels[l]);
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

#endif
