/* SPDX-License-Identifier: MIT
 * What an exact sum costs: mse and its gradient by the library, beside the same arithmetic with plain float sums.
 *     bench_sums [turns] */
#include "common.h"

typedef struct data {
    const float *pred, *target;
    float *grad;
    int64_t n;
    double value;
    lossfn_t *loss;
    lossfn_tensor_t p, t, g;
} data_t;

/* Four accumulators of vectors, written out so that they stay in registers; STORE drops the gradient for the value
 * alone. The sum is divided once, as the library does. */
#define STEP(V, STORE, SUM, K)                                                                                         \
    do {                                                                                                               \
        V pred, target, r, grad;                                                                                       \
        memcpy(&pred, d->pred + i + K * LANES, sizeof pred);                                                           \
        memcpy(&target, d->target + i + K * LANES, sizeof target);                                                     \
        r = pred - target;                                                                                             \
        SUM += r * r;                                                                                                  \
        grad = factor * r;                                                                                             \
        STORE(d->grad + i + K * LANES, grad);                                                                          \
    } while (0)
#define PLAIN(NAME, TARGET, V, STORE)                                                                                  \
    TARGET static void NAME(void *context) {                                                                           \
        data_t *d = context;                                                                                           \
        enum { LANES = sizeof(V) / sizeof(float) };                                                                    \
        V a = {0}, b = {0}, c = {0}, e = {0};                                                                          \
        float factor = 2.0F / (float)d->n, total = 0;                                                                  \
        for (int64_t i = 0; i < d->n; i += 4 * LANES) {                                                                \
            STEP(V, STORE, a, 0);                                                                                      \
            STEP(V, STORE, b, 1);                                                                                      \
            STEP(V, STORE, c, 2);                                                                                      \
            STEP(V, STORE, e, 3);                                                                                      \
        }                                                                                                              \
        a = (a + b) + (c + e);                                                                                         \
        for (int k = 0; k < LANES; k++) total += a[k];                                                                 \
        d->value = total / (double)d->n;                                                                               \
    }
#define CACHED(to, value)  memcpy(to, &(value), sizeof(value))
#define NOWHERE(to, value) (void)(value)

typedef float v16 __attribute__((vector_size(16)));
PLAIN(plain_value_grad, , v16, CACHED)
PLAIN(plain_value, , v16, NOWHERE)
#ifdef __x86_64__
#include <immintrin.h>
typedef float v32 __attribute__((vector_size(32)));
typedef float v64 __attribute__((vector_size(64)));
#define AVX2                       __attribute__((target("avx2")))
#define AVX512                     __attribute__((target("avx512f")))
#define STREAMED_AVX2(to, value)   _mm256_stream_ps(to, (__m256)(value))
#define STREAMED_AVX512(to, value) _mm512_stream_ps(to, (__m512)(value))
PLAIN(avx2_value_grad, AVX2, v32, CACHED)
PLAIN(avx2_value, AVX2, v32, NOWHERE)
PLAIN(avx2_streamed, AVX2, v32, STREAMED_AVX2)
PLAIN(avx512_value_grad, AVX512, v64, CACHED)
PLAIN(avx512_value, AVX512, v64, NOWHERE)
PLAIN(avx512_streamed, AVX512, v64, STREAMED_AVX512)
#endif

static void exact_value(void *context) {
    data_t *d = context;
    require(lossfn_forward(d->loss, &d->p, &d->t, NULL, &d->value, NULL));
}

static void exact_value_grad(void *context) {
    data_t *d = context;
    require(lossfn_forward_backward(d->loss, &d->p, &d->t, NULL, &d->value, &d->g, NULL));
}

/* Plain kernels of the instruction set that the library uses: value, value and gradient, the same streamed. */
typedef struct plain {
    void (*value)(void *), (*value_grad)(void *), (*streamed)(void *);
} plain_t;

static plain_t plain_kernels(void) {
#ifdef __x86_64__
    if (strcmp(lossfn_isa(), "avx512") == 0) return (plain_t){avx512_value, avx512_value_grad, avx512_streamed};
    if (strcmp(lossfn_isa(), "avx2") == 0) return (plain_t){avx2_value, avx2_value_grad, avx2_streamed};
#endif
    return (plain_t){plain_value, plain_value_grad, NULL};
}

static void measure(data_t *d, const char *want, contestant_t *who, int count, int turns) {
    int calls = (int)(4000000 / d->n);
    printf("{\"program\": \"sums\", \"isa\": \"%s\", \"want\": \"%s\", \"elements\": %lld, ", lossfn_isa(), want,
           (long long)d->n);
    take_turns(who, count, turns, calls > 1 ? calls : 1);
    printf("}\n");
    fflush(stdout);
}

int main(int argc, char **argv) {
    static const int64_t sizes[] = {4096, 65536, 1 << 24};
    int64_t largest = 1 << 24, turns = argument(argc, argv, 1, 15);
    float *pred = allocate((size_t)largest * 4), *target = allocate((size_t)largest * 4);
    float *grad = allocate((size_t)largest * 4);
    uint64_t random = 88172645463325252U;
    plain_t plain = plain_kernels();
    data_t d = {.pred = pred, .target = target, .grad = grad};
    if (turns > MOST_TURNS) turns = MOST_TURNS;
    for (int64_t i = 0; i < largest; i++) {
        pred[i] = (float)(random_bits(&random) >> 8) * 0x1p-22F - 2;
        target[i] = (float)(random_bits(&random) >> 8) * 0x1p-22F - 2;
    }
    require(lossfn_create(&d.loss, "mse"));
    for (int i = 0; i < 3; i++) {
        contestant_t value[] = {{"exact", exact_value, &d}, {"plain", plain.value, &d}};
        contestant_t both[] = {
            {"exact", exact_value_grad, &d}, {"plain", plain.value_grad, &d}, {"plain_streamed", plain.streamed, &d}};
        d.n = sizes[i];
        require(lossfn_tensor_init_const(&d.p, pred, LOSSFN_F32, 1, &d.n));
        require(lossfn_tensor_init_const(&d.t, target, LOSSFN_F32, 1, &d.n));
        require(lossfn_tensor_init(&d.g, grad, LOSSFN_F32, 1, &d.n));
        measure(&d, "value", value, 2, (int)turns);
        measure(&d, "value_grad", both, plain.streamed && d.n == largest ? 3 : 2, (int)turns);
    }
    lossfn_destroy(d.loss);
    free(pred), free(target), free(grad);
    return 0;
}
