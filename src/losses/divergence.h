/* SPDX-License-Identifier: MIT
 * Divergences of an order, for losses of several families: of vectors, computed in double. */
#ifndef LOSSFN_LOSSES_DIVERGENCE_H
#define LOSSFN_LOSSES_DIVERGENCE_H

#include "losses/formula.h"
#include "simd/deviance.h"

/* Of every class at i of a row. */
OUT_OF_LINE void row_ratio(const whole_row_t *r, int64_t i, double order, ratio_t ratio[DPARTS]) {
    D x[DPARTS], t[DPARTS];
    v_widen(v_load(r->in[PRED] + i), x), v_widen(v_load(r->in[TARGET] + i), t);
    for (int d = 0; d < DPARTS; d++) ratio[d] = d_ratio(x[d], t[d], d_set(order));
}

#endif
