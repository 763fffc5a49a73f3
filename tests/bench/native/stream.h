/* SPDX-License-Identifier: MIT
 * Bare kernels that only move bytes: they read some streams, add them up, write some streams. What a loss costs beyond
 * one of them is not the memory's. */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { MOST_STREAMS = 4 };

typedef struct streams {
    int reads, writes;
    const char *in[MOST_STREAMS];
    char *out[MOST_STREAMS];
    size_t bytes; /* of each stream, a multiple of 128 */
    float sum;    /* so that reads are not dropped */
} streams_t;

/* R and W are constants where this is inlined. Two lines of each stream per step. */
#define STREAM_BODY(V, STORE)                                                                                          \
    V sum = {0};                                                                                                       \
    for (size_t i = 0; i < s->bytes; i += 128)                                                                         \
        for (size_t k = i; k < i + 128; k += sizeof(V)) {                                                              \
            V all = {1};                                                                                               \
            for (int r = 0; r < R; r++) {                                                                              \
                V one;                                                                                                 \
                memcpy(&one, s->in[r] + k, sizeof one);                                                                \
                all += one;                                                                                            \
            }                                                                                                          \
            for (int w = 0; w < W; w++) STORE(s->out[w] + k, all);                                                     \
            if (!W) sum += all;                                                                                        \
        }                                                                                                              \
    s->sum = sum[0]

#define STREAM_CASE(NAME, R, W)                                                                                        \
    case R * 8 + W:                                                                                                    \
        NAME##_any(s, R, W);                                                                                           \
        break;
#define STREAM_CASES(NAME, R)                                                                                          \
    STREAM_CASE(NAME, R, 0)                                                                                            \
    STREAM_CASE(NAME, R, 1) STREAM_CASE(NAME, R, 2) STREAM_CASE(NAME, R, 3) STREAM_CASE(NAME, R, 4)
#define STREAM_FAMILY(NAME, TARGET, V, STORE)                                                                          \
    TARGET static inline __attribute__((always_inline)) void NAME##_any(streams_t *s, const int R, const int W) {      \
        STREAM_BODY(V, STORE);                                                                                         \
    }                                                                                                                  \
    TARGET static void NAME(void *context) {                                                                           \
        streams_t *s = context;                                                                                        \
        switch (s->reads * 8 + s->writes) {                                                                            \
            STREAM_CASES(NAME, 1)                                                                                      \
            STREAM_CASES(NAME, 2)                                                                                      \
            STREAM_CASES(NAME, 3)                                                                                      \
            STREAM_CASES(NAME, 4)                                                                                      \
        default:                                                                                                       \
            s->sum = -1; /* no loss has such a shape yet */                                                            \
        }                                                                                                              \
    }

typedef float bench_v16 __attribute__((vector_size(16)));
#define STORE_CACHED(to, value) memcpy(to, &(value), sizeof(value))
STREAM_FAMILY(stream_plain, , bench_v16, STORE_CACHED)

#ifdef __x86_64__
#include <immintrin.h>
typedef float bench_v32 __attribute__((vector_size(32)));
typedef float bench_v64 __attribute__((vector_size(64)));
#define AVX2                   __attribute__((target("avx2")))
#define AVX512                 __attribute__((target("avx512f")))
#define STORE_NT256(to, value) _mm256_stream_ps((float *)(void *)(to), (__m256)(value))
#define STORE_NT512(to, value) _mm512_stream_ps((float *)(void *)(to), (__m512)(value))
STREAM_FAMILY(stream_avx2, AVX2, bench_v32, STORE_CACHED)
STREAM_FAMILY(stream_avx512, AVX512, bench_v64, STORE_CACHED)
STREAM_FAMILY(stream_avx2_nt, AVX2, bench_v32, STORE_NT256)
STREAM_FAMILY(stream_avx512_nt, AVX512, bench_v64, STORE_NT512)
#endif

typedef void (*stream_t)(void *context);

/* The widest kernels of this machine: one through the caches, one around them (NULL: there is none). */
static inline stream_t stream_kernel(int nontemporal) {
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f")) return nontemporal ? stream_avx512_nt : stream_avx512;
    if (__builtin_cpu_supports("avx2")) return nontemporal ? stream_avx2_nt : stream_avx2;
#endif
    return nontemporal ? NULL : stream_plain;
}

#endif
