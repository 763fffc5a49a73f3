/* SPDX-License-Identifier: MIT
 * Exact sums of a block. A number added to 1.5 * 2^e lands on the grid of 2^(e-52); the bits of the result, added as
 * integers, count grid steps exactly. What is left of it goes to a second grid below, or, of a float, is added up as it
 * is: these rests are so small and so coarse that no double rounds on the way. Blocks that do not fit (a wide range of
 * magnitudes, infinities) are found by checks and added one number at a time. */
#ifndef LOSSFN_ENGINE_DEPOSIT_H
#define LOSSFN_ENGINE_DEPOSIT_H

#include "engine/kernel.h"

enum { GRID_NONE = -4096, GRID_LOWEST = -900, GRID_HIGHEST = 1020, GRID_STEP = 53, REST_BITS = 70 };

/* 2^exponent, a normal number. */
static inline double power(int exponent) {
    int64_t bits = (int64_t)(exponent + 1023) << 52;
    double x;
    memcpy(&x, &bits, 8);
    return x;
}

/* Adds c[0..n), n <= 1024, to sum if every one is below 2^(exponent-1) in magnitude and, of doubles, a multiple of the
 * last grid's step, of floats, 0 or not too small: n rests, each at most half a step of the last grid, 2^-53 of its
 * exponent, and all multiples of 2^-23 of the smallest number, have a sum that a double holds. Otherwise returns 0,
 * adds nothing. */
ALWAYS_INLINE int deposit_on_grids(const REAL *c, int64_t n, int exponent, const int grids, lossfn__exact_t *sum) {
    const int rests = sizeof(REAL) == 4;
    u64v count[2][DPARTS]; /* wraps around */
    L inexact = {0}, far = {0};
    D magic[2], rest[DPARTS];
    V least = v_set((REAL)power(exponent - (grids - 1) * GRID_STEP - REST_BITS));
    M small = m_none();
    for (int d = 0; d < DPARTS; d++) rest[d] = d_set(0);
    int64_t vectors = 0;
    for (int g = 0; g < grids; g++) {
        magic[g] = d_set(1.5 * power(exponent - g * GRID_STEP));
        for (int d = 0; d < DPARTS; d++) count[g][d] = (u64v){0};
    }
    for (int64_t i = 0; i < n; i += LANES, vectors++) {
        D part[DPARTS];
        V x = load_some(c, i, n, 0);
        v_widen(x, part);
        if (rests) small = m_or(small, m_and(v_abs(x) < least, x != v_zero()));
        for (int d = 0; d < DPARTS; d++)
            for (int g = 0; g < grids; g++) {
                D t = part[d] + magic[g];
                count[g][d] += (u64v)d_as_l(t);
                far |= d_as_l(t) ^ d_as_l(magic[g]);
                part[d] -= t - magic[g];
                if (g == grids - 1 && rests) rest[d] += part[d];
                if (g == grids - 1 && !rests) inexact |= d_as_l(part[d]);
            }
    }
    int64_t bad = m_any(small);
    for (int l = 0; l < DLANES; l++) bad |= (int64_t)inexact[l] << 1 | (int64_t)((uint64_t)far[l] >> 52);
    if (bad) return 0;
    for (int g = 0; g < grids; g++) {
        uint64_t steps = 0;
        for (int d = 0; d < DPARTS; d++)
            for (int l = 0; l < DLANES; l++)
                steps += count[g][d][l] - (uint64_t)vectors * (uint64_t)d_as_l(magic[g])[l];
        lossfn__exact_add_scaled(sum, (int64_t)steps, exponent - g * GRID_STEP - 52);
    }
    double left = 0;
    for (int d = 0; rests && d < DPARTS; d++)
        for (int l = 0; l < DLANES; l++) left += rest[d][l];
    if (left != 0) lossfn__exact_add(sum, left);
    return 1;
}

/* Adds c[0..n), n <= 1024, to sum. *guess is the grid that served the block before. */
NO_INLINE void deposit(const REAL *c, int64_t n, lossfn__exact_t *sum, int *guess) {
    const int grids = sizeof(REAL) == 4 ? 1 : 2;
    if (*guess != GRID_NONE && deposit_on_grids(c, n, *guess, grids, sum)) return;
    V largest = v_zero();
    for (int64_t i = 0; i < n; i += LANES) {
        V a = v_abs(load_some(c, i, n, 0));
        largest = v_select(a <= largest, largest, a); /* a NaN stays or is replaced by the next number: found below */
    }
    REAL lanes[LANES];
    double top = 0;
    v_store(lanes, largest);
    for (int l = 0; l < LANES; l++)
        if (!((double)lanes[l] <= top)) top = (double)lanes[l];
    int64_t bits;
    memcpy(&bits, &top, 8);
    int exponent = (int)(bits >> 52 & 0x7ff) - 1023 + 2;
    if (top == 0 && deposit_on_grids(c, n, 0, 1, sum)) return; /* all zeros */
    if (exponent >= GRID_LOWEST && exponent <= GRID_HIGHEST) {
        *guess = exponent + 2 <= GRID_HIGHEST ? exponent + 2 : exponent;
        if (deposit_on_grids(c, n, exponent, 2, sum)) return;
    }
    for (int64_t i = 0; i < n; i++) lossfn__exact_add(sum, (double)c[i]);
}

#endif
