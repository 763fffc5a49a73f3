/* SPDX-License-Identifier: MIT
 * Sums over the rows of what they hold, class by class: for losses that compare with what chance would give. */
#ifndef LOSSFN_ENGINE_MARGINALS_H
#define LOSSFN_ENGINE_MARGINALS_H

#include "engine/rows.h"

/* Class c of n rows times their weights: of the rows that are kept. */
static void weigh_class(const lossfn__plan_t *plan, int j, int64_t c, int64_t row, int64_t n, const int64_t *labels,
                        const REAL *weights, REAL *products) {
    if (j == TARGET && plan->has_labels) {
        for (int64_t i = 0; i < n; i++) products[i] = labels[i] == c ? weights[i] : 0;
        return;
    }
    lossfn__view_t view = plan->inputs[j];
    view.data += c * view.class_stride * view.item;
    gather(products, &view, row, n);
    for (int64_t i = 0; i < n; i++) products[i] = weights[i] == 0 ? 0 : products[i] * weights[i];
}

/* Weighted exact sums over rows of the plan's classes, those of pred before those of target. */
static void run_marginals(const lossfn__plan_t *plan, int64_t begin, int64_t end, lossfn__partial_t *partial) {
    int64_t labels[ROW_BATCH];
    REAL weights[ROW_BATCH], products[ROW_BATCH];
    int guesses[LOSSFN__MAX_SUMS];
    for (int k = 0; k < plan->n_sums; k++) guesses[k] = GRID_NONE;
    for (int64_t row = begin, n; row < end; row += n) {
        n = end - row < ROW_BATCH ? end - row : ROW_BATCH;
        stage_rows(plan, row, n, labels, weights);
        for (int k = 0; k < plan->n_sums; k++) {
            const int64_t at = plan->marginals + k;
            const int j = at < plan->cols ? PRED : TARGET;
            weigh_class(plan, j, j == PRED ? at : at - plan->cols, row, n, labels, weights, products);
            deposit(products, n, &partial->sums[k], &guesses[k]);
        }
    }
}

#endif
