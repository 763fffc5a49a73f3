/* SPDX-License-Identifier: MIT
 * What a call costs from C where little else is in the way: value and gradient of few elements, and lossfn_rho; what
 * saving and restoring the floating-point control word alone costs of that; and the clock, as additions of which each
 * waits for the one before, one in a cycle.
 *     bench_call [turns] */
#include "common.h"

enum { LONGEST = 4096, ADDITIONS = 4096 };

static float pred[LONGEST], target[LONGEST], grad[LONGEST];
static int64_t labels[LONGEST];

typedef struct small_call {
    lossfn_t *loss;
    lossfn_tensor_t p, t, g;
    double value, rho[3];
} small_call_t;

static void value_grad(void *context) {
    small_call_t *c = context;
    require(lossfn_forward_backward(c->loss, &c->p, &c->t, NULL, &c->value, &c->g, NULL));
}

static void rho(void *context) {
    small_call_t *c = context;
    lossfn_rho(c->loss, 2.5, c->rho);
}

static void additions(void *unused) {
    uint64_t x = 0;
    (void)unused;
    for (int i = 0; i < ADDITIONS; i++) {
        x++;
#ifdef __GNUC__
        __asm__ volatile("" : "+r"(x)); /* none is left out */
#endif
    }
}

#ifdef __SSE__
static void control_word(void *unused) {
    uint32_t word;
    (void)unused;
    __asm__ volatile("stmxcsr %0" : "=m"(word) : : "memory");
    __asm__ volatile("ldmxcsr %0" : : "m"(word) : "memory");
}
#endif

static void measure(const char *what, small_call_t *c, void (*call)(void *), int64_t rows, int64_t cols, int turns) {
    contestant_t who = {"lossfn", call, c};
    printf("{\"program\": \"call\", \"loss\": \"%s\", \"what\": \"%s\", \"rows\": %lld, \"cols\": %lld, ",
           lossfn_name(c->loss), what, (long long)rows, (long long)cols);
    take_turns(&who, 1, turns, rows * cols < 256 ? 2000 : 100);
    printf("}\n");
}

/* Before and after everything else: a machine that is shared may be slow at one of them. */
static void measure_clock(int turns) {
#ifdef __GNUC__
    contestant_t clock = {"clock", additions, NULL};
    printf("{\"program\": \"clock\", \"additions\": %d, ", ADDITIONS);
    take_turns(&clock, 1, turns, 100);
    printf("}\n");
#else
    (void)turns;
#endif
}

/* `cols` is 1 for losses of elements. */
static void value_and_gradient(const char *name, int64_t rows, int64_t cols, int turns) {
    int64_t shape[2] = {rows, cols};
    int ndim = cols > 1 ? 2 : 1;
    small_call_t c;
    require(lossfn_create(&c.loss, name));
    require(lossfn_tensor_init_const(&c.p, pred, LOSSFN_F32, ndim, shape));
    require(lossfn_tensor_init_const(&c.t, cols > 1 ? (void *)labels : target, cols > 1 ? LOSSFN_I64 : LOSSFN_F32, 1,
                                     shape));
    require(lossfn_tensor_init(&c.g, grad, LOSSFN_F32, ndim, shape));
    measure("value_grad", &c, value_grad, rows, cols, turns);
    lossfn_destroy(c.loss);
}

int main(int argc, char **argv) {
    static const char *const names[] = {"mse", "bce_with_logits"};
    static const int64_t sizes[] = {1, 16, 64, 512, 4096}, rows[] = {1, 6, 51, 409};
    int turns = (int)argument(argc, argv, 1, MOST_TURNS);
    small_call_t c;
    if (turns > MOST_TURNS) turns = MOST_TURNS;
    for (int i = 0; i < LONGEST; i++) {
        pred[i] = (float)(i % 17) - 8;
        target[i] = (float)(i % 2);
        labels[i] = i % 10;
    }
    measure_clock(turns);
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 5; k++) value_and_gradient(names[i], sizes[k], 1, turns);
    for (int k = 0; k < 4; k++) value_and_gradient("cross_entropy", rows[k], 10, turns);
    require(lossfn_create(&c.loss, "huber"));
    measure("rho", &c, rho, 1, 1, turns);
    lossfn_destroy(c.loss);
#ifdef __SSE__
    contestant_t word = {"control_word", control_word, NULL};
    printf("{\"program\": \"control_word\", ");
    take_turns(&word, 1, turns, 2000);
    printf("}\n");
#endif
    measure_clock(turns);
    return 0;
}
