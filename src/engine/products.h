/* SPDX-License-Identifier: MIT
 * Hessian-vector products of losses over rows: a pass of their own. */
#ifndef LOSSFN_ENGINE_PRODUCTS_H
#define LOSSFN_ENGINE_PRODUCTS_H

#include "engine/rows.h"

/* Row by row: of every part, added up. */
static void run_row_products(const lossfn__plan_t *plan, int64_t begin, int64_t end, lossfn__partial_t *partial) {
    _Alignas(64) REAL memory[LOSSFN__WHOLE_ROW_BYTES / sizeof(REAL)];
    whole_t w;
    (void)partial;
    begin_whole(&w, plan, memory);
    for (int64_t row = begin; row < end; row++) {
        int64_t label;
        REAL weight;
        stage_rows(plan, row, 1, &label, &weight);
        fill(w.total, 0, plan->cols);
        for (int k = 0; weight != 0 && k < plan->n_parts; k++) {
            const lossfn__part_t *part = &plan->parts[k];
            whole_part_t *own = &w.parts[k];
            const double upstream = plan->has_upstream ? (double)load_one(&plan->upstream, row) : 1;
            const REAL factor = (REAL)(lossfn__factor(part, (double)weight) * upstream);
            whole_row_t r = {.vector = w.vector, .product = w.product};
            int nan = stage_part(&w, plan, k, row, label);
            const REAL *from = row_classes(&plan->hvp_vector, row, 0, plan->cols, w.vector);
            nan |= stage_array(own, w.vector, from, plan->cols);
            for (int j = 0; j < part->n_inputs; j++) r.in[j] = w.inputs[j];
            nan = nan || call_row(part, own, kernels[part->term->definition->kernel]->rows.product, &r, label,
                                  plan->cols) >= 0;
            if (nan) fill(w.product, (REAL)NAN, own->n);
            unpack(w.product, own->mask, plan->cols, own->n);
            for (int64_t c = 0; c < plan->cols; c++) w.total[c] += w.product[c] * factor;
        }
        store_classes(&plan->hvp, row, 0, w.total, plan->cols);
    }
}

#endif
