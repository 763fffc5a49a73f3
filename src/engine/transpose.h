/* SPDX-License-Identifier: MIT
 * Squares of LANES times LANES, turned in registers. */
#ifndef LOSSFN_ENGINE_TRANSPOSE_H
#define LOSSFN_ENGINE_TRANSPOSE_H

#include "engine/stage.h"

/* The lower and upper halves of two vectors, lane beside lane. */
#if LANES == 16
#define ZIP_LOW  0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define ZIP_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif LANES == 8
#define ZIP_LOW  0, 8, 1, 9, 2, 10, 3, 11
#define ZIP_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#elif LANES == 4
#define ZIP_LOW  0, 4, 1, 5
#define ZIP_HIGH 2, 6, 3, 7
#else
#define ZIP_LOW  0, 2
#define ZIP_HIGH 1, 3
#endif
#ifdef __clang__
#define ZIP(a, b, lanes) __builtin_shufflevector(a, b, lanes)
#else
#define ZIP(a, b, lanes) __builtin_shuffle(a, b, (I){lanes})
#endif

/* x[r][c] to x[c][r]: each round moves the highest bit of the row to the lowest of the column and the other way. */
INLINE void transpose_square(V *x) {
    V y[LANES];
    UNROLLED
    for (int round = 1; round < LANES; round *= 2) {
        UNROLLED
        for (int i = 0; i < LANES / 2; i++) {
            y[2 * i] = ZIP(x[i], x[i + LANES / 2], ZIP_LOW);
            y[2 * i + 1] = ZIP(x[i], x[i + LANES / 2], ZIP_HIGH);
        }
        UNROLLED
        for (int i = 0; i < LANES; i++) x[i] = y[i];
    }
}

#endif
