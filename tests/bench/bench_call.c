/* SPDX-License-Identifier: MIT
 * What a call costs from C: the best of many turns, one JSON line per loss and size. */
#define _POSIX_C_SOURCE 199309L
#include <lossfn/lossfn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TURNS = 400, LONGEST = 4096 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void require(lossfn_status_t status) {
    if (status == LOSSFN_OK) return;
    fprintf(stderr, "%s\n", lossfn_last_error());
    exit(1);
}

static float pred[LONGEST], target[LONGEST], grad[LONGEST];
static int64_t labels[LONGEST];

/* `cols` is 0 for losses of elements. */
static void measure(const char *spec, int64_t n, int64_t cols) {
    lossfn_t *loss;
    lossfn_tensor_t p, t, g;
    int64_t shape[2] = {cols ? n / cols : n, cols};
    double value, best = 1;
    int calls = n < 256 ? 1000 : 100;
    require(lossfn_create(&loss, spec));
    require(lossfn_tensor_init_const(&p, pred, LOSSFN_F32, cols ? 2 : 1, shape));
    if (cols)
        require(lossfn_tensor_init_const(&t, labels, LOSSFN_I64, 1, shape));
    else
        require(lossfn_tensor_init_const(&t, target, LOSSFN_F32, 1, shape));
    require(lossfn_tensor_init(&g, grad, LOSSFN_F32, cols ? 2 : 1, shape));
    for (int turn = 0; turn < TURNS; turn++) {
        double start = now();
        for (int i = 0; i < calls; i++) require(lossfn_forward_backward(loss, &p, &t, NULL, &value, &g, NULL));
        double each = (now() - start) / calls;
        if (each < best) best = each;
    }
    printf("{\"loss\": \"%s\", \"elements\": %lld, \"seconds\": %.4g}\n", spec, (long long)n, best);
    lossfn_destroy(loss);
}

int main(void) {
    static const char *const names[] = {"mse", "bce_with_logits"};
    for (int i = 0; i < LONGEST; i++) {
        pred[i] = (float)(i % 17) - 8;
        target[i] = (float)(i % 2);
        labels[i] = i % 8;
    }
    for (int i = 0; i < 2; i++)
        for (int64_t n = 1; n <= LONGEST; n *= 4) measure(names[i], n, 0);
    for (int64_t rows = 1; 10 * rows <= LONGEST; rows *= 4) measure("cross_entropy", 10 * rows, 10);
    return 0;
}
