/* SPDX-License-Identifier: MIT
 * Exact sums, at the speed of plain ones, where the numbers are made. A number added to 1.5 * 2^e lands on the grid of
 * 2^(e - MANTISSA_BITS); the bits of the result, added as integers, count grid steps exactly. What is left of it goes
 * to a second grid below. What fits on neither (a wide range of magnitudes, infinities) is rare, found at once and
 * added to the wide sum one number at a time. */
#ifndef LOSSFN_ENGINE_DEPOSIT_H
#define LOSSFN_ENGINE_DEPOSIT_H

#include "engine/stage.h"

enum {
    GRID_NONE = -4096,
    GRID_LOWEST = 3 + 2 * MANTISSA_BITS - EXPONENT_BIAS - MANTISSA_BITS, /* the lower steps are no less than REAL has */
    GRID_HIGHEST = EXPONENT_BIAS - 1,
    GRID_HEADROOM = 1, /* bits that numbers leave to larger ones that follow */
    GRID_VECTORS = 256 /* on a grid, before a lane's count could overflow */
};

/* What a loop over vectors keeps in registers: 1.5 * 2^exponent, the same for the lower grid, and what was counted on
 * either: the bits of all that landed there, lane by lane. */
typedef struct {
    V upper, lower;
    U count_upper, count_lower;
} grids_t;

/* A sum that grows. `wide` has what left the grids. */
typedef struct {
    lossfn__exact_t *wide;
    int exponent;    /* of the upper grid: numbers below 2^(exponent - 1) in magnitude fit */
    grids_t grids;   /* as a misfit found them, or at the end */
    int64_t misfits; /* vectors that did not fit */
    double largest;  /* number outside the upper grid, or 0 */
} tally_t;

/* 2^exponent, a normal number. */
static inline double power(int exponent) {
    int64_t bits = (int64_t)(exponent + 1023) << 52;
    double x;
    memcpy(&x, &bits, 8);
    return x;
}

/* The least grid that holds numbers of this magnitude, and some more. */
static inline int grid_for(double largest) {
    int64_t bits;
    memcpy(&bits, &largest, 8);
    int exponent = (int)(bits >> 52 & 0x7ff) - 1023 + 2 + GRID_HEADROOM;
    return exponent < GRID_LOWEST ? GRID_LOWEST : exponent > GRID_HIGHEST ? GRID_HIGHEST : exponent;
}

static inline void set_grid(tally_t *tally, int exponent) {
    tally->exponent = exponent;
    tally->grids.upper = v_set(1.5 * power(exponent));
    tally->grids.lower = v_set(1.5 * power(exponent - MANTISSA_BITS));
}

/* `exponent`: of the grid that served before, or GRID_NONE; then the first vector chooses it. */
static inline void tally_begin(tally_t *tally, lossfn__exact_t *wide, int exponent) {
    tally->wide = wide;
    tally->exponent = exponent;
    tally->grids.upper = tally->grids.lower = v_set(NAN); /* fits nothing */
    if (exponent != GRID_NONE) set_grid(tally, exponent);
    tally->grids.count_upper = tally->grids.count_lower = (U)i_set(0);
    tally->misfits = 0;
    tally->largest = 0;
}

/* The largest finite magnitude among the lanes. */
static double largest_of(const V *x) {
    double largest = 0;
    for (int l = 0; l < LANES; l++) {
        double magnitude = fabs((double)(*x)[l]);
        if (magnitude > largest && magnitude < INFINITY) largest = magnitude;
    }
    return largest;
}

/* Adds x, which leaves a rest on the lower grid or is outside the grids. */
NO_INLINE void tally_misfit(tally_t *tally, const V *x) {
    grids_t *g = &tally->grids;
    const int first = tally->exponent == GRID_NONE;
    if (first) set_grid(tally, grid_for(largest_of(x)));
    V a = *x + g->upper, left = *x - (a - g->upper), b = left + g->lower;
    left -= b - g->lower;
    if (i_any((v_as_i(a) ^ v_as_i(g->upper)) & v_as_i(v_set(-INFINITY)))) {
        const double largest = largest_of(x);
        if (largest > tally->largest) tally->largest = largest;
        a = g->upper, b = g->lower, left = *x; /* no step on the grids */
    }
    g->count_upper += (U)a;
    g->count_lower += (U)b;
    uint32_t lanes = m_bits(left != v_set(0));
    tally->misfits += !first || lanes;
    for (; lanes; lanes &= lanes - 1) lossfn__exact_add(tally->wide, (double)left[__builtin_ctz(lanes)]);
}

/* Adds x to a sum whose grids a loop keeps in *g; at most GRID_VECTORS times between tally_begin and tally_end. */
INLINE void tally_add(tally_t *tally, grids_t *g, V x) {
    V a = x + g->upper, rest = x - (a - g->upper);
    V b = rest + g->lower, lost = rest - (b - g->lower);
    /* any bit of what is lost, any change of sign or exponent */
    I misfit = v_as_i(lost) | ((v_as_i(a) ^ v_as_i(g->upper)) & v_as_i(v_set(-INFINITY)));
    if (__builtin_expect(i_any(misfit), 0)) {
        V copy = x;
        tally->grids = *g;
        tally_misfit(tally, &copy);
        *g = tally->grids;
    } else {
        g->count_upper += (U)a;
        g->count_lower += (U)b;
    }
}

NO_INLINE int tally_close(tally_t *tally, int64_t vectors) {
    const grids_t *g = &tally->grids;
    if (tally->exponent == GRID_NONE) return GRID_NONE;
    const U none = (U)i_set((int)vectors), counts[2] = {g->count_upper, g->count_lower};
    const V magic[2] = {g->upper, g->lower};
    for (int i = 0; i < 2; i++) {
        I steps = (I)(counts[i] - none * (U)magic[i]);
        int64_t sum = 0;
        for (int l = 0; l < LANES; l++) sum += steps[l];
        if (sum) lossfn__exact_add_scaled(tally->wide, sum, tally->exponent - (i + 1) * MANTISSA_BITS);
    }
    if (tally->largest > 0) return grid_for(tally->largest);
    return tally->misfits * 8 > vectors ? GRID_NONE : tally->exponent;
}

/* Moves what was added, `vectors` times, to the wide sum. Returns the grid for what follows. */
INLINE int tally_end(tally_t *tally, const grids_t *g, int64_t vectors) {
    tally->grids = *g;
    return tally_close(tally, vectors);
}

/* Adds c[0..n) to sum. *grid is the one that served before, or GRID_NONE. */
NO_INLINE void deposit(const REAL *c, int64_t n, lossfn__exact_t *sum, int *grid) {
    while (n > 0) {
        const int64_t some = n < GRID_VECTORS * LANES ? n : GRID_VECTORS * LANES;
        tally_t tally;
        tally_begin(&tally, sum, *grid);
        grids_t g = tally.grids;
        for (int64_t i = 0; i < some; i += LANES) tally_add(&tally, &g, load_some(c, i, some, 0));
        *grid = tally_end(&tally, &g, (some + LANES - 1) / LANES);
        c += some;
        n -= some;
    }
}

#endif
