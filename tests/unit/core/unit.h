/* SPDX-License-Identifier: MIT
 * What every cmocka test includes, in the order that cmocka wants. Tests link the library's internal objects:
 *   cc -std=c11 -Isrc -Iinclude tests/unit/core/test_x.c <objects of the library> -lcmocka -lm -lpthread */
#ifndef LOSSFN_TESTS_UNIT_H
#define LOSSFN_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* A fixed sequence of random bits (xorshift64*). */
static inline uint64_t next_random(uint64_t *state) {
    *state ^= *state >> 12, *state ^= *state << 25, *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

#endif
