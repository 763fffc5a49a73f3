/* SPDX-License-Identifier: MIT
 * What the native programs share: the clock, turns, and output as one JSON object a line. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#define _POSIX_C_SOURCE 200112L
#include <lossfn/lossfn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline void require(lossfn_status_t status) {
    if (status == LOSSFN_OK) return;
    fprintf(stderr, "%s\n", lossfn_last_error());
    exit(1);
}

/* Memory from the first byte of a page on, touched once so that no turn pays for fetching pages. */
static inline void *allocate(size_t bytes) {
    void *p;
    if (posix_memalign(&p, 4096, bytes ? bytes : 1)) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    memset(p, 0, bytes);
    return p;
}

/* A contestant: what is done once per call. */
typedef struct contestant {
    const char *name;
    void (*call)(void *context);
    void *context;
} contestant_t;

enum { MOST_TURNS = 64 };

/* Each contestant in turn, `turns` times over; seconds per call as a JSON object of lists. The order alternates. */
static inline void take_turns(const contestant_t *who, int count, int turns, int calls) {
    static double times[8][MOST_TURNS];
    for (int i = 0; i < count; i++) who[i].call(who[i].context);
    for (int turn = 0; turn < turns; turn++)
        for (int k = 0; k < count; k++) {
            int i = turn % 2 ? count - 1 - k : k;
            double start;
            if (calls > 1) who[i].call(who[i].context); /* brings its data back into the caches */
            start = now();
            for (int c = 0; c < calls; c++) who[i].call(who[i].context);
            times[i][turn] = (now() - start) / calls;
        }
    printf("\"times\": {");
    for (int i = 0; i < count; i++) {
        printf("%s\"%s\": [", i ? ", " : "", who[i].name);
        for (int turn = 0; turn < turns; turn++) printf("%s%.4g", turn ? ", " : "", times[i][turn]);
        printf("]");
    }
    printf("}");
}

/* Pseudo-random bits (xorshift), the same at every run. */
static inline uint32_t random_bits(uint64_t *state) {
    uint64_t x = *state;
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    *state = x;
    return (uint32_t)(x >> 32);
}

/* A positive number of the command line, or `otherwise`. */
static inline int64_t argument(int argc, char **argv, int i, int64_t otherwise) {
    int64_t n = argc > i ? atoll(argv[i]) : 0;
    return n > 0 ? n : otherwise;
}

#endif
