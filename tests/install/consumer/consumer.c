/* SPDX-License-Identifier: MIT
 * Prints what it gets from the library, to the last bit. */
#include <lossfn/lossfn.h>
#include <stdio.h>

static const char *const specs[] = {"mse", "huber(delta=0.5)", "log_cosh", "bce_with_logits", "barron(alpha=0.5)"};
enum { N = 1000 };

int main(void) {
    static double pred[N], target[N], grad[N];
    unsigned state = 1;
    for (int i = 0; i < N; i++) {
        state = state * 1664525u + 1013904223u;
        pred[i] = (double)(int)(state >> 8) / (1 << 20) - 8;
        target[i] = (double)(state >> 31);
    }
    if (lossfn_version() != 10000 * LOSSFN_VERSION_MAJOR + 100 * LOSSFN_VERSION_MINOR + LOSSFN_VERSION_PATCH) return 2;
    for (unsigned s = 0; s < sizeof specs / sizeof *specs; s++) {
        lossfn_t *loss;
        double value, sum = 0;
        if (lossfn_create(&loss, specs[s]) != LOSSFN_OK ||
            lossfn_run_f64(loss, N, 1, pred, target, LOSSFN_F64, NULL, 0, NULL, 0, &value, NULL, 0, grad, NULL) !=
                LOSSFN_OK) {
            fprintf(stderr, "%s: %s\n", specs[s], lossfn_last_error());
            return 1;
        }
        for (int i = 0; i < N; i++) sum += grad[i] * (1 + i % 7);
        printf("%s %a %a\n", specs[s], value, sum);
        lossfn_destroy(loss);
    }
    return 0;
}
