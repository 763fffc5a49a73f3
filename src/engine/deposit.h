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
    grids_t grids;   /* as a misfit leaves them, or at the end */
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

/* Nothing on them yet. */
INLINE grids_t grids_from(int exponent) {
    const U none = (U)i_set(0);
    return (grids_t){v_set(1.5 * power(exponent)), v_set(1.5 * power(exponent - MANTISSA_BITS)), none, none,
                     i_held(v_as_i(v_set(-INFINITY)))};
}

/* `exponent`: of the grid that served before, or GRID_NONE for a guess, which the first vector that does not fit
 * corrects. Returns the grids, which a loop keeps: tally->grids is for what is out of line. */
INLINE grids_t tally_begin(tally_t *tally, lossfn__exact_t *wide, int exponent) {
    tally->wide = wide;
    tally->misfits = tally->begun = 0;
    tally->guessed = exponent == GRID_NONE;
    tally->exponent = tally->guessed ? GRID_LIKELY : exponent;
    return grids_from(tally->exponent);
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
            tally->exponent = exponent;
            tally->begun = vectors;
            *g = grids_from(exponent);
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
#define ADD_WHOLE(a, b, lost)                                                                                          \
    do {                                                                                                               \
        const __typeof__(a) sum_ = (a) + (b);                                                                          \
        (lost) |= (sum_ - (a) != (b)) | (sum_ - (b) != (a));                                                           \
        (a) = sum_;                                                                                                    \
    } while (0)

/* The sum of c[0..LANES), if it and what it is made of on the way are doubles, which is nearly always so in f32: then
 * it needs neither grids nor the wide sum. Else returns 0. By fours: adding across a wide register takes longer. */
INLINE int sum_lanes(const REAL *c, double *sum) {
    enum { FOURS = LANES > 4 ? LANES / 4 : 1 };
    typedef double four __attribute__((vector_size(4 * sizeof(double))));
    typedef double two __attribute__((vector_size(2 * sizeof(double))));
    typedef int64_t four_bits __attribute__((vector_size(4 * sizeof(double))));
    typedef int64_t two_bits __attribute__((vector_size(2 * sizeof(double))));
    four_bits lost = {0};
    two_bits lost_of_two = {0};
    int64_t lost_of_one = 0;
    four x[FOURS];
    if (sizeof(REAL) == sizeof(double)) return 0;
    UNROLL for (int q = 0; q < FOURS; q++) {
        const REAL *at = c + 4 * q;
        x[q] = (four){at[0], at[1], at[2], at[3]};
    }
    UNROLL for (int step = FOURS / 2; step > 0; step /= 2) UNROLL for (int q = 0; q < step; q++)
        ADD_WHOLE(x[q], x[q + step], lost);
    two pair = {x[0][0], x[0][1]};
    const two other = {x[0][2], x[0][3]};
    ADD_WHOLE(pair, other, lost_of_two);
    double one = pair[0];
    ADD_WHOLE(one, pair[1], lost_of_one);
    *sum = one + 0; /* -0 as +0 */
    lost_of_two |= (two_bits){lost[0] | lost[2], lost[1] | lost[3]};
    return !(lost_of_two[0] | lost_of_two[1] | lost_of_one);
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
        grids_t g = tally_begin(&tally, sum, *grid);
        for (int64_t i = 0; i < some; i += LANES) tally_add(&tally, &g, load_some(c, i, some, 0), i / LANES);
        *grid = tally_end(&tally, &g, (some + LANES - 1) / LANES);
        c += some;
        n -= some;
    }
}

#endif
