/* SPDX-License-Identifier: MIT
 * Exact sums, at the speed of plain ones, where the numbers are made. A number added to 1.5 * 2^e lands on the grid of
 * 2^(e - MANTISSA_BITS); the bits of the result, added as integers, count grid steps exactly. What is left of it goes
 * to a second grid below. What fits on neither (a wide range of magnitudes, infinities) is rare, found at once and
 * added to the wide sum one number at a time. */
#ifndef LOSSFN_ENGINE_DEPOSIT_H
#define LOSSFN_ENGINE_DEPOSIT_H

#include "engine/exact.h"
#include "simd/vec.h"

enum {
    GRID_NONE = -4096,
    GRID_LOWEST = 3 + 2 * MANTISSA_BITS - EXPONENT_BIAS - MANTISSA_BITS, /* the lower steps are no less than REAL has */
    GRID_HIGHEST = EXPONENT_BIAS - 1,
    GRID_LIKELY = MANTISSA_BITS - 17, /* holds what lies from 2^-17 to 2^(GRID_LIKELY - 1): most losses */
    GRID_VECTORS = 256                /* on a grid, before a lane's count could overflow */
};

/* What a loop over vectors keeps in registers: 1.5 * 2^exponent, the same for the lower grid, and what was counted on
 * either: the bits of all that landed there, lane by lane. */
typedef struct {
    V upper, lower;
    U count_upper, count_lower;
    I range; /* the bits of sign and exponent, by which what is outside the upper grid differs from it */
} grids_t;

/* A sum that grows. `wide` has what left the grids. */
typedef struct {
    lossfn__exact_t *wide;
    int exponent;    /* of the upper grid: numbers below 2^(exponent - 1) in magnitude fit */
    int guessed;     /* no number has chosen the grid yet */
    grids_t grids;   /* as a misfit found them, or at the end */
    int64_t begun;   /* vectors that had been added when these grids were set */
    int64_t misfits; /* vectors that left a rest */
} tally_t;

/* 2^exponent, a normal number. */
static inline double power(int exponent) {
    int64_t bits = (int64_t)(exponent + 1023) << 52;
    double x;
    memcpy(&x, &bits, 8);
    return x;
}

/* The grid for the finite numbers among x, with `headroom` bits above. */
static inline int grid_for(const V *x, int headroom) {
    I bits = v_as_i(v_abs(*x));
    __typeof__(bits[0]) lanes[LANES], largest = 0;
    bits &= (I)(bits < v_as_i(v_set(INFINITY)));
    memcpy(lanes, &bits, sizeof lanes);
    for (int l = 0; l < LANES; l++) largest = lanes[l] > largest ? lanes[l] : largest;
    int exponent = (int)(largest >> MANTISSA_BITS) - EXPONENT_BIAS + 2 + headroom;
    return exponent < GRID_LOWEST ? GRID_LOWEST : exponent > GRID_HIGHEST ? GRID_HIGHEST : exponent;
}

static inline void set_grid(tally_t *tally, int exponent, int64_t vectors) {
    tally->exponent = exponent;
    tally->begun = vectors;
    tally->grids.upper = v_set(1.5 * power(exponent));
    tally->grids.lower = v_set(1.5 * power(exponent - MANTISSA_BITS));
    tally->grids.count_upper = tally->grids.count_lower = (U)i_set(0);
}

/* `exponent`: of the grid that served before, or GRID_NONE for a guess, which the first vector that does not fit
 * corrects. */
static inline void tally_begin(tally_t *tally, lossfn__exact_t *wide, int exponent) {
    tally->wide = wide;
    tally->misfits = 0;
    tally->guessed = exponent == GRID_NONE;
    tally->grids.range = i_held(v_as_i(v_set(-INFINITY)));
    set_grid(tally, tally->guessed ? GRID_LIKELY : exponent, 0);
}

/* Moves what is on the grids to the wide sum; `vectors` have been added. */
OUT_OF_LINE void tally_flush(tally_t *tally, int64_t vectors) {
    const grids_t *g = &tally->grids;
    const U none = (U)i_set((int)(vectors - tally->begun)), counts[2] = {g->count_upper, g->count_lower};
    const V magic[2] = {g->upper, g->lower};
    int64_t sums[2];
    for (int i = 0; i < 2; i++) {
        I steps = (I)(counts[i] - none * (U)magic[i]);
        sums[i] = 0;
        for (int l = 0; l < LANES; l++) sums[i] += steps[l];
    }
    lossfn__exact_add_steps(tally->wide, sums[0], sums[1], MANTISSA_BITS, tally->exponent - 2 * MANTISSA_BITS);
}

/* Any bit if a, where a number landed, is outside the upper grid. */
INLINE I outside_grid(const grids_t *g, V a) { return (v_as_i(a) ^ v_as_i(g->upper)) & g->range; }

/* Adds x, which leaves a rest on the lower grid or is outside the grids. */
OUT_OF_LINE void tally_misfit(tally_t *tally, const V *x, int64_t vectors) {
    grids_t *g = &tally->grids;
    V a = *x + g->upper;
    if (tally->guessed || i_any(outside_grid(g, a))) { /* to grids that hold it, if there are any */
        const int exponent = grid_for(x, tally->guessed ? 2 : 1);
        if (tally->guessed ? exponent != tally->exponent : exponent > tally->exponent) {
            if (vectors > tally->begun) tally_flush(tally, vectors);
            set_grid(tally, exponent, vectors);
        }
        tally->guessed = 0;
        a = *x + g->upper;
    }
    V rest = *x - (a - g->upper), b = rest + g->lower;
    rest -= b - g->lower;
    if (i_any(outside_grid(g, a))) a = g->upper, b = g->lower, rest = *x; /* no step */
    g->count_upper += (U)a;
    g->count_lower += (U)b;
    uint32_t lanes = m_bits(rest != v_set(0));
    tally->misfits += lanes != 0;
    for (; lanes; lanes &= lanes - 1) lossfn__exact_add(tally->wide, (double)rest[__builtin_ctz(lanes)]);
}

/* Adds x to what is counted on the grids if nothing of it is lost there; else returns 0, and x waits for tally_add. */
INLINE int grids_take(grids_t *g, V x) {
    const V a = x + g->upper, rest = x - (a - g->upper);
    const V b = rest + g->lower, lost = rest - (b - g->lower);
    if (__builtin_expect(i_any(v_as_i(lost) | outside_grid(g, a)), 0)) return 0; /* any bit is lost */
    g->count_upper += (U)a;
    g->count_lower += (U)b;
    return 1;
}

/* Adds x, after `vectors` others, to a sum whose grids a loop keeps in *g. */
INLINE void tally_add(tally_t *tally, grids_t *g, V x, int64_t vectors) {
    if (grids_take(g, x)) return;
    tally->grids = *g;
    tally_misfit(tally, &x, vectors);
    *g = tally->grids;
}

/* Ends the sum of at most GRID_VECTORS vectors. Returns the grid for what follows. */
INLINE int tally_end(tally_t *tally, const grids_t *g, int64_t vectors) {
    tally->grids = *g;
    tally_flush(tally, vectors);
    return tally->misfits * 8 > vectors ? GRID_NONE : tally->exponent;
}

/* Adds b to a. `lost` gets a bit where the sum is no double, or infinite or NaN. */
INLINE D add_whole(D a, D b, L *lost) {
    const D sum = a + b;
    *lost |= (L)((sum - a != b) | (sum - b != a));
    return sum;
}

/* The sum of the lanes, if it and what it is made of on the way are doubles, which is nearly always so in f32: then it
 * needs neither grids nor the wide sum. Else returns 0. */
INLINE int sum_vector(V x, double *sum) {
    D wide[DPARTS];
    L lost = (L)d_set(0);
    v_widen(x, wide);
    UNROLL for (int d = 1; d < DPARTS; d++) wide[0] = add_whole(wide[0], wide[d], &lost);
    UNROLL for (int step = DLANES / 2; step > 0; step /= 2) wide[0] =
        add_whole(wide[0], d_across(wide[0], step), &lost);
    *sum = wide[0][0] + 0; /* -0 as +0 */
    return !i_any((I)lost);
}

/* Adds c[0..n) to sum. *grid is the one that served before, or GRID_NONE. */
OUT_OF_LINE void deposit(const REAL *c, int64_t n, lossfn__exact_t *sum, int *grid) {
    if (n == 1) { /* needs no grid */
        lossfn__exact_add(sum, (double)c[0]);
        return;
    }
    while (n > 0) {
        const int64_t some = n < GRID_VECTORS * LANES ? n : GRID_VECTORS * LANES;
        tally_t tally;
        tally_begin(&tally, sum, *grid);
        grids_t g = tally.grids;
        for (int64_t i = 0; i < some; i += LANES) tally_add(&tally, &g, load_some(c, i, some, 0), i / LANES);
        *grid = tally_end(&tally, &g, (some + LANES - 1) / LANES);
        c += some;
        n -= some;
    }
}

#endif
