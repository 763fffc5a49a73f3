/* SPDX-License-Identifier: MIT
 * Exact sums of short rows and of columns, LANES of them at a time: a double and the sum of what its additions lost.
 * Nearly always both are exact; where the second is not, or something is infinite or NaN, the row is added to a wide
 * sum. */
#ifndef LOSSFN_ENGINE_PAIRS_H
#define LOSSFN_ENGINE_PAIRS_H

#include "engine/stage.h"
#include "simd/special.h"

typedef struct {
    pair total;
    L lost; /* lanes whose lower part is not exact */
} pairs_t;

INLINE void pairs_add(pairs_t *p, D x) {
    const pair sum = exact_sum(p->total.hi, x), rest = exact_sum(p->total.lo, sum.lo);
    p->total = pair_of(sum.hi, rest.hi);
    p->lost |= (L)(rest.lo != d_set(0));
}

static double sum_one_by_one(const REAL *c, int64_t n) {
    lossfn__exact_t sum;
    lossfn__exact_clear(&sum);
    for (int64_t i = 0; i < n; i++) lossfn__exact_add(&sum, (double)c[i]);
    return lossfn__exact_round(&sum);
}

/* The exact sums of rows [0, rows), `cols` elements each, rounded once. Whole vectors are read from c's end. */
OUT_OF_LINE void sum_short_rows(const REAL *c, int64_t rows, int64_t cols, double *sums) {
    for (int64_t row = 0; cols == 1 && row < rows; row++) sums[row] = 0 + (double)c[row]; /* -0 as +0 */
    for (int64_t row = 0; cols > 1 && row < rows; row += LANES) {
        const int64_t some = rows - row < LANES ? rows - row : LANES;
        pairs_t p[DPARTS];
        double rounded[LANES];
        for (int d = 0; d < DPARTS; d++) p[d] = (pairs_t){pair_of(d_set(0), d_set(0)), (L)d_set(0)};
        for (int64_t first = 0; first < cols; first += LANES) {
            const int width = cols - first < LANES ? (int)(cols - first) : LANES;
            REAL turned[LANES][LANES];
            v_turn(turned[0], LANES, c + row * cols + first, cols, some);
            for (int l = 0; l < width; l++) {
                D wide[DPARTS];
                v_widen(v_load(turned[l]), wide);
                for (int d = 0; d < DPARTS; d++) pairs_add(&p[d], wide[d]);
            }
        }
        for (int d = 0; d < DPARTS; d++) d_store(rounded + d * DLANES, p[d].total.hi + p[d].total.lo);
        for (int64_t l = 0; l < some; l++)
            sums[row + l] = p[l / DLANES].lost[l % DLANES] ? sum_one_by_one(c + (row + l) * cols, cols) : rounded[l];
    }
}

/* Adds columns [0, cols), `rows` elements each, to sums. Whole vectors are read from c's end. */
OUT_OF_LINE void sum_columns(const REAL *c, int64_t rows, int64_t cols, lossfn__exact_t *sums) {
    for (int64_t first = 0; first < cols; first += LANES) {
        pairs_t p[DPARTS];
        for (int d = 0; d < DPARTS; d++) p[d] = (pairs_t){pair_of(d_set(0), d_set(0)), (L)d_set(0)};
        for (int64_t row = 0; row < rows; row++) {
            D wide[DPARTS];
            v_widen(v_load(c + row * cols + first), wide);
            for (int d = 0; d < DPARTS; d++) pairs_add(&p[d], wide[d]);
        }
        for (int64_t l = 0; l < LANES && first + l < cols; l++) {
            const pairs_t *own = &p[l / DLANES];
            const int64_t lane = l % DLANES;
            lossfn__exact_t *sum = &sums[first + l];
            if (!own->lost[lane]) {
                lossfn__exact_add(sum, own->total.hi[lane]);
                lossfn__exact_add(sum, own->total.lo[lane]);
                continue;
            }
            for (int64_t row = 0; row < rows; row++) lossfn__exact_add(sum, (double)c[row * cols + first + l]);
        }
    }
}

#endif
