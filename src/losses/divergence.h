/* SPDX-License-Identifier: MIT
 * Divergences of an order, for losses of several families: of vectors, computed in double. */
#ifndef LOSSFN_LOSSES_DIVERGENCE_H
#define LOSSFN_LOSSES_DIVERGENCE_H

#include "losses/formula.h"
#include "simd/deviance.h"

/* u->kept: the expected Hessian; order: 2 less the power. */
OUT_OF_LINE void power_deviance(const V *at, const V *y, pair order, int by, unit_t *u) {
    D wide_at[DPARTS], wide_y[DPARTS], out[4][DPARTS];
    v_widen(*at, wide_at), v_widen(*y, wide_y);
    for (int i = 0; i < DPARTS; i++) {
        const deviance_t d = d_power_deviance(wide_at[i], wide_y[i], order, by);
        out[0][i] = d.value, out[1][i] = d.slope, out[2][i] = d.curve, out[3][i] = d.expected;
    }
    u->value = v_narrow(out[0]);
    u->grad[PRED] = v_narrow(out[1]);
    u->hess = v_narrow(out[2]);
    u->kept = v_narrow(out[3]);
}
OUT_OF_LINE void power_deviance_by_target(const V *m, const V *y, pair order, unit_t *u) {
    D wide_m[DPARTS], wide_y[DPARTS];
    v_widen(*m, wide_m), v_widen(*y, wide_y);
    for (int i = 0; i < DPARTS; i++) wide_m[i] = d_power_deviance_by_target(wide_m[i], wide_y[i], order);
    u->grad[TARGET] = v_narrow(wide_m);
}

/* Of every class at i of a row. */
OUT_OF_LINE void row_ratio(const whole_row_t *r, int64_t i, double order, ratio_t ratio[DPARTS]) {
    D x[DPARTS], t[DPARTS];
    v_widen(v_load(r->in[PRED] + i), x), v_widen(v_load(r->in[TARGET] + i), t);
    for (int d = 0; d < DPARTS; d++) ratio[d] = d_ratio(x[d], t[d], d_set(order));
}

#endif
