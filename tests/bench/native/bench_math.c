/* SPDX-License-Identifier: MIT
 * The vector functions that losses are made of, each in a loop over the first cache: bench_math [turns]
 * A program per dtype and instruction set, compiled as kernels of the library are. */
#include "common.h"
#include "simd/bessel.h"
#include "simd/gamma.h"
#include "simd/math.h"
#include "simd/normal.h"
#include "simd/trig.h"

enum { N = 1024, CALLS = 64 };

static REAL x[N], y[N], out[N];

/* The second argument is added to what a function gives: so the bare loop beside it does the same but for the function,
 * and what it takes less is the function's time. */
#define LOOP(name, value)                                                                                              \
    static void name##_loop(void *unused) {                                                                            \
        (void)unused;                                                                                                  \
        for (int i = 0; i < N; i += LANES) {                                                                           \
            const V a = v_load(x + i), b = v_load(y + i);                                                              \
            v_store(out + i, (value) + b);                                                                             \
        }                                                                                                              \
    }

INLINE V both(void of(V, V *, V *), V a) {
    V sine, cosine;
    of(a, &sine, &cosine);
    return sine * cosine;
}

LOOP(bare, a)
LOOP(division, a / b)
LOOP(sqrt, v_sqrt(a))
LOOP(exp, v_exp(a))
LOOP(expm1, v_expm1(a))
LOOP(log, v_log(a))
LOOP(log1p, v_log1p(a))
LOOP(log1p_unit, v_log1p_unit(a))
LOOP(pow, v_pow(a, b))
LOOP(sincos, both(v_sincos, a))
LOOP(sincospi, both(v_sincospi, a))
LOOP(atan, v_atan(a))
LOOP(erf, v_erf(a))
LOOP(lgamma, v_lgamma(a))
LOOP(digamma, v_digamma(a))
LOOP(log_i0, v_log_i0(a))

static const struct {
    const char *name;
    void (*loop)(void *unused);
    double low, high; /* of the first argument; the second is of 1/2 to 3/2 */
} FUNCTIONS[] = {
    {"division", division_loop, -3, 3},
    {"sqrt", sqrt_loop, 0, 4},
    {"exp", exp_loop, -3, 3},
    {"expm1", expm1_loop, -3, 3},
    {"log", log_loop, 0.01, 4},
    {"log1p", log1p_loop, 0, 3},
    {"log1p_unit", log1p_unit_loop, 0, 1}, /* of these arguments alone */
    {"pow", pow_loop, 0.01, 4},
    {"sincos", sincos_loop, -3, 3},
    {"sincospi", sincospi_loop, -3, 3},
    {"atan", atan_loop, -3, 3},
    {"erf", erf_loop, -3, 3},
    {"lgamma", lgamma_loop, 0.01, 9},
    {"digamma", digamma_loop, 0.01, 9},
    {"log_i0", log_i0_loop, 0.01, 100},
};

static double uniform(uint64_t *random) { return (double)random_bits(random) * 0x1p-32; }

int main(int argc, char **argv) {
    int64_t turns = argument(argc, argv, 1, 40);
    uint64_t random = 88172645463325252U;
    if (turns > MOST_TURNS) turns = MOST_TURNS;
    for (size_t f = 0; f < sizeof FUNCTIONS / sizeof *FUNCTIONS; f++) {
        const contestant_t who[] = {{"function", FUNCTIONS[f].loop, NULL}, {"bare", bare_loop, NULL}};
        for (int i = 0; i < N; i++) {
            x[i] = (REAL)(FUNCTIONS[f].low + (FUNCTIONS[f].high - FUNCTIONS[f].low) * uniform(&random));
            y[i] = (REAL)(0.5 + uniform(&random));
        }
        printf("{\"program\": \"math\", \"function\": \"%s\", \"dtype\": \"%s\", \"elements\": %d, ", FUNCTIONS[f].name,
               sizeof(REAL) == 4 ? "f32" : "f64", N);
        take_turns(who, 2, (int)turns, CALLS);
        printf("}\n");
        fflush(stdout);
    }
    return 0;
}
