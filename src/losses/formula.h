/* SPDX-License-Identifier: MIT
 * The language that losses are written in. A loss is one block: a comment with its formula and source, DEFINE with what
 * it says of itself, and its mathematics on vectors. It never sees a stride, a dtype, a weight, a mask or a thread. */
#ifndef LOSSFN_LOSSES_FORMULA_H
#define LOSSFN_LOSSES_FORMULA_H

#include <float.h>
#include <math.h>
#include "core/definition.h"
#include "engine/want.h"
#include "simd/math.h"
#include "simd/gamma.h"
#include "simd/special.h"
#include "simd/trig.h"

/* A loss's place in the list: its index in the catalogue and in the tables of kernels. */
#define ELEMENTWISE_LOSS(name, inputs) KERNEL_##name,
#define ROWWISE_LOSS(name)             KERNEL_##name,
#define IN_FAMILY(family)              1
#define WHOLE_ROW_LOSS(name)           KERNEL_##name,
enum {
#include "losses/list.h"
    KERNELS
};
#undef ELEMENTWISE_LOSS
#undef ROWWISE_LOSS
#undef IN_FAMILY
#undef WHOLE_ROW_LOSS

#define ALWAYS_INLINE static inline __attribute__((always_inline))

enum { MAX_GRADS = 4, MAX_SUMS = 4, MAX_FINISHED = 7, HESS_KIND = LOSSFN__MAX_CONSTANTS, MAX_CONSTANTS };

/* The layout of every sum inside a row: class c belongs to virtual lane c % ROW_LANES. A lane adds the classes of each
 * fold of FOLD in REAL, in their order, and the folds in double (or all in double, where whole rows are staged); at the
 * end the lanes meet in one fixed tree. So neither the vector width nor the chunks show in the bits. */
enum { ROW_LANES = 16, FOLD = 64 };

/* The lanes of a sum, up the tree: the halves lane by lane, and again of what that gives. */
ALWAYS_INLINE double add_lanes(const double *lanes) {
    D parts[ROW_LANES / DLANES];
    UNROLL for (int i = 0; i < ROW_LANES / DLANES; i++) parts[i] = d_load(lanes + i * DLANES);
    UNROLL for (int half = ROW_LANES / DLANES / 2; half > 0; half /= 2) UNROLL for (int i = 0; i < half; i++)
        parts[i] += parts[i + half];
    UNROLL for (int step = DLANES / 2; step > 0; step /= 2) parts[0] += d_across(parts[0], step);
    return parts[0][0];
}

/* The inputs' places in in[] and grad[]. */
enum { PRED = 0, TARGET = 1 };

/* What a loss makes of one vector of units (or, mapping a row, of classes); `outside`: lanes outside the domain. */
typedef struct {
    V value, grad[MAX_GRADS], hess;
    V kept;
    M outside;
    int want; /* LOSSFN__WANT_, a constant: what a costly loss need not compute */
} unit_t;

/* An elementwise loss: in[] are its inputs, p[] its constants. Outputs that nobody wants vanish when it is inlined. One
 * that says TUNED is compiled for the default parameters as well: there p is NULL, learnable inputs are not read, and
 * what the parameters would choose or scale vanishes too, without a change of results. */
#define ELEMENTWISE_AND(name, is_tuned)                                                                                \
    enum { name##_is_tuned = is_tuned };                                                                               \
    ALWAYS_INLINE void name##_element(const V *in, const V *p, unit_t *u)
#define ELEMENTWISE(name)       ELEMENTWISE_AND(name, 0)
#define TUNED_ELEMENTWISE(name) ELEMENTWISE_AND(name, 1)

/* A long function, from vectors to a vector, of learnable inputs alone: a loop calls it once where they are constant,
 * if nothing else is called before. */
#define CALLED_ONCE static __attribute__((noinline, const, unused))

/* What needs double whatever the type is: IN_DOUBLE(name, inputs) is its mathematics on vectors of double;
 * name_in_double(in, p, u) makes of it a function of vectors of any type, which rounds once. Out of line, as it is
 * long: so `want` is known only when it runs. What it does not write is 0. IN_DOUBLE_AND has further inputs that are
 * vectors of double already. */
typedef struct {
    D value, grad[MAX_GRADS], hess, kept;
    int want;
} double_unit_t;
/* Whether the Hessian is asked for, and whether the other gradients are. */
#define WANTS_HESS(u)   ((u)->want >= LOSSFN__WANT_HESS)
#define WANTS_OTHERS(u) ((u)->want == LOSSFN__WANT_ALL)
#define IN_DOUBLE_AND(name, inputs, extras)                                                                            \
    ALWAYS_INLINE void name##_of_doubles(const D *in, const V *p, double_unit_t *u);                                   \
    OUT_OF_LINE void name##_in_double_and(const V *in, D extra[][DPARTS], const V *p, unit_t *u) {                     \
        D wide[inputs][DPARTS], value[DPARTS], grad[inputs][DPARTS], hess[DPARTS], kept[DPARTS];                       \
        for (int j = 0; j < inputs; j++) v_widen(in[j], wide[j]);                                                      \
        for (int i = 0; i < DPARTS; i++) {                                                                             \
            D part[inputs + extras];                                                                                   \
            double_unit_t of = {.want = u->want};                                                                      \
            for (int j = 0; j < inputs; j++) part[j] = wide[j][i];                                                     \
            for (int j = 0; j < extras; j++) part[inputs + j] = extra[j][i];                                           \
            name##_of_doubles(part, p, &of);                                                                           \
            value[i] = of.value, hess[i] = of.hess, kept[i] = of.kept;                                                 \
            for (int j = 0; j < inputs; j++) grad[j][i] = of.grad[j];                                                  \
        }                                                                                                              \
        u->value = v_narrow(value), u->hess = v_narrow(hess), u->kept = v_narrow(kept);                                \
        for (int j = 0; j < inputs; j++) u->grad[j] = v_narrow(grad[j]);                                               \
    }                                                                                                                  \
    ALWAYS_INLINE void name##_of_doubles(const D *in, const V *p, double_unit_t *u)
#define IN_DOUBLE(name, inputs)                                                                                        \
    OUT_OF_LINE void name##_in_double_and(const V *in, D extra[][DPARTS], const V *p, unit_t *u);                      \
    ALWAYS_INLINE void name##_in_double(const V *in, const V *p, unit_t *u) { name##_in_double_and(in, NULL, p, u); }  \
    IN_DOUBLE_AND(name, inputs, 0)

/* A loss over rows. Its value is made of up to MAX_SUMS sums over classes, its derivatives class by class:
 *   ROW_SUMS    s[]: what class c adds to each sum
 *   ROW_FINISH  u->value from the sums, and k[]: up to MAX_FINISHED numbers that the map wants
 *   ROW_MAP     u->grad[] and u->hess of class c
 * Written on vectors without saying whether lanes are classes or rows. */
typedef struct {
    V x, t, w; /* pred, target (labels arrive as one-hot), class weight (1 without) */
    M top;     /* the class of the largest x, once per row; only if the loss asks for it */
    V kept; /* mapping: what ROW_SUMS left in u->kept for this class, if has_kept; then x is there only for grad[TARGET]
             */
    int has_kept;
    int absent; /* known while compiling: t is 0 even when smoothed; such a class adds to s[0] alone */
} class_t;

typedef struct {
    V top;     /* the largest x of the row */
    V classes; /* how many classes the row has (without those taken out) */
} row_t;

/* n_common: to how many sums, the first of them, a class adds that is not the largest; wants_top: whether the largest
 * is asked for; keeps: whether ROW_SUMS leaves something in u->kept. A loss with a Hessian-vector product says
 * ROWWISE_WITH_PRODUCT, has_product in its definition, and what it is, as a loss over whole rows: ROW_PRODUCT. */
#define ROWWISE_WITH_PRODUCT(name, sums, common, wants, keeps_some)                                                    \
    enum { name##_n_sums = sums, name##_n_common = common, name##_wants_top = wants, name##_keeps = keeps_some }
/* ROWWISE_SEPARABLE: where a class's derivative is a matter of its own numbers alone, which then are what the product
 * is made of; says has_product as well. */
#define ROWWISE_SEPARABLE(name, sums, common, wants, keeps_some)                                                       \
    ROW_MAP(name);                                                                                                     \
    ROW_PRODUCT(name) { separable_product(r, name##_map); }                                                            \
    ROWWISE_WITH_PRODUCT(name, sums, common, wants, keeps_some)
#define ROWWISE(name, sums, common, wants, keeps_some)                                                                 \
    ROW_PRODUCT(name) { (void)r; }                                                                                     \
    ROWWISE_WITH_PRODUCT(name, sums, common, wants, keeps_some)
#define ROW_SUMS(name)   ALWAYS_INLINE void name##_sums(const row_t *r, const class_t *c, const V *p, V *s, unit_t *u)
#define ROW_FINISH(name) ALWAYS_INLINE void name##_finish(const row_t *r, const V *s, const V *p, V *k, unit_t *u)
#define ROW_MAP(name)    ALWAYS_INLINE void name##_map(const row_t *r, const class_t *c, const V *k, const V *p, unit_t *u)

ALWAYS_INLINE V v_zero(void) { return v_set(0); }
ALWAYS_INLINE V v_one(void) { return v_set(1); }
/* x where m, else 0: how things are left out (never by multiplying). */
ALWAYS_INLINE V v_where(M m, V x) { return v_select(m, x, v_zero()); }
/* The sign of x as -1, 0 or 1; NaN for NaN. */
ALWAYS_INLINE V v_sign(V x) {
    return v_select(x == v_zero(), v_zero(), v_select(v_isnan(x), x, v_copysign(v_one(), x)));
}

/* x times the sign of y, which is 1 for 0. */
ALWAYS_INLINE V v_times_sign(V x, V y) { return (V)((M)x ^ ((M)y & v_sign_bit())); }

/* x, or NaN where y is NaN: for derivatives that do not depend on their argument. */
ALWAYS_INLINE V v_nan_from(V x, V y) { return v_select(v_isnan(y), y, x); }

/* t (1 - e) + e/C, with kept = 1 - e and share = 1/C; in the form that takes less away. */
ALWAYS_INLINE V smoothed_class(V t, V e, V kept, V share) {
    return v_select(e > v_set(0.5), v_fma(kept, t, e * share), v_fma(-e, t - share, t));
}

#include "losses/whole_rows.h"

typedef void (*map_fn)(const row_t *r, const class_t *c, const V *k, const V *p, unit_t *u);
/* The target of a whole row is smoothed already, so this is for losses that do not smooth it. */
ALWAYS_INLINE void separable_product(whole_row_t *r, map_fn map) {
    EACH_VECTOR(r, i) {
        class_t c = {.x = v_load(r->in[PRED] + i), .t = v_zero(), .w = v_one(), .top = m_none()};
        unit_t u = {.want = LOSSFN__WANT_HESS};
        if (r->in[TARGET]) c.t = v_load(r->in[TARGET] + i);
        map(NULL, &c, NULL, r->p, &u);
        v_store(r->product + i, u.hess * v_load(r->vector + i));
    }
}

/* A parameter that is the same for all units, as a condition. */
#define IS(parameter) ((parameter)[0] != 0)

/* A parameter that stands in an exponent or a difference is two constants: the number, and what float takes from it. */
static inline void set_finely(double x, double *constants) { constants[0] = x, constants[1] = x - (double)(float)x; }
ALWAYS_INLINE double finely(const V *p) {
    return sizeof(REAL) == 4 ? (double)p[0][0] + (double)p[1][0] : (double)p[0][0];
}

/* What REAL leaves out of such a parameter, where another number is taken away from it that may be near. */
ALWAYS_INLINE V left_of(const V *p) { return sizeof(REAL) == 4 ? p[1] : v_zero(); }

/* Which Hessian is asked for, where a loss has several: p[HESS_KIND]. */
#define WANTS(kind, p) ((p) != NULL && (p)[HESS_KIND][0] == LOSSFN_HESS_##kind)
/* The Hessian of a loss of the residual r, where slope/r falls as |r| grows: that is the upper bound, the curvature of
 * the parabola that touches the loss at r and -r and lies above it. Elsewhere the larger of it and the Hessian itself.
 */
ALWAYS_INLINE V residual_hess(V hess, V slope, V r, const V *p) {
    return WANTS(UPPER, p) ? v_greater(slope / r, hess) : hess;
}

/* Learnable input j of a loss that is TUNED, with what it is by default. */
#define LEARNED(p, in, j, by_default) ((p) ? (in)[j] : v_set(by_default))

/* ---- The base of logarithms -------------------------------------------------------------------------------------- */

/* A loss with a base has these as its first constants, made by set_base from its first parameter. */
enum { BASE_LN, BASE_F64, BASE_F32 = BASE_F64 + 4, BASE_CONSTANTS = BASE_F32 + 4 };
#define PARAM_BASE PARAM_DOUBLE("base", "e", 0, 1, INFINITY, 1, "base of the logarithms: e, 2 for bits, 10 ...")

/* Run in the catalogue, which is compiled for double. */
static inline void set_base(double base, double *constants) {
    base_t b;
    base_init(&b, base);
    constants[BASE_LN] = base == 0x1.5bf0a8b145769p1 ? 1 : (double)v_log(v_set(base))[0];
    constants[BASE_F64] = b.step, constants[BASE_F64 + 1] = b.step_rest;
    constants[BASE_F64 + 2] = b.scale, constants[BASE_F64 + 3] = b.scale_rest;
    /* the same cut for float: k * step is exact with 16 bits */
    double step = (double)b.step + (double)b.step_rest, head;
    uint64_t bits;
    memcpy(&bits, &step, sizeof bits);
    bits &= ~(uint64_t)0 << (53 - 16);
    memcpy(&head, &bits, sizeof head);
    constants[BASE_F32] = head, constants[BASE_F32 + 1] = (double)(float)(step - head);
    constants[BASE_F32 + 2] = (double)(float)b.scale;
    constants[BASE_F32 + 3] = (double)b.scale - constants[BASE_F32 + 2] + (double)b.scale_rest;
}
/* x nats in units of the base. Division, so that ln 2 is exactly 1 bit. */
ALWAYS_INLINE int is_natural(const V *p) { return !p || p[BASE_LN][0] == 1; }
ALWAYS_INLINE V in_base(V x, const V *p) { return is_natural(p) ? x : x / p[BASE_LN]; }
/* The logarithm of x to the base; exact at powers of two in base 2. */
ALWAYS_INLINE V log_of_parts(V x, V k, V f, const V *p) {
    if (is_natural(p)) return log_natural(x, k, f);
    const V *c = p + (sizeof(REAL) == 4 ? BASE_F32 : BASE_F64);
    base_t b = {c[0][0], c[1][0], c[2][0], c[3][0]};
    return log_based(x, k, f, &b);
}
ALWAYS_INLINE V log_in_base(V x, const V *p) {
    V f, k = log_split(x, &f);
    return log_of_parts(x, k, f, p);
}
/* The same of a probability where `straight`, of its complement 1 - x elsewhere. */
ALWAYS_INLINE V log_of_either(M straight, V x, const V *p) {
    V f, side, k = log_split_either(straight, x, &side, &f);
    return log_of_parts(side, k, f, p);
}

/* ---- What a loss says of itself ---------------------------------------------------------------------------------- */

#define DEFINE(name) static const lossfn__definition_t name##_definition __attribute__((unused))

#define LOSS(loss) .name = #loss, .kernel = KERNEL_##loss

#define INPUT(n, s, d, text)                                                                                           \
    { .name = n, .scale = LOSSFN_SCALE_##s, .differentiable = d, .doc = text }
#define LEARNABLE(n, s, d, text)                                                                                       \
    { .name = n, .scale = LOSSFN_SCALE_##s, .differentiable = d, .learnable = 1, .doc = text }
/* Of rows: one number for each, without the class axis; a label, of which class c stands for "more than c". */
#define INPUT_PER_ROW(n, s, d, text)                                                                                   \
    { .name = n, .scale = LOSSFN_SCALE_##s, .differentiable = d, .per_row = 1, .doc = text }
#define INPUT_LEVELS(n, d, text)                                                                                       \
    { .name = n, .scale = LOSSFN_SCALE_LABEL, .differentiable = d, .levels = 1, .doc = text }
#define PRED_REAL   INPUT("pred", REAL, 1, "prediction")
#define TARGET_REAL INPUT("target", REAL, 1, "target")

#define PARAM_DOUBLE(n, initial, low, low_open, high, high_open, text)                                                 \
    {                                                                                                                  \
        .name = n, .type = LOSSFN_PARAM_DOUBLE, .default_value = initial, .lower = low, .lower_open = low_open,        \
        .upper = high, .upper_open = high_open, .doc = text                                                            \
    }
/* That may be an input as well: LEARNABLE. */
#define PARAM_LEARNABLE(n, initial, low, low_open, high, high_open, text)                                              \
    {                                                                                                                  \
        .name = n, .type = LOSSFN_PARAM_DOUBLE, .default_value = initial, .lower = low, .lower_open = low_open,        \
        .upper = high, .upper_open = high_open, .learnable = 1, .doc = text                                            \
    }
#define PARAM_BOOL(n, initial, text)                                                                                   \
    { .name = n, .type = LOSSFN_PARAM_BOOL, .default_value = initial, .lower = 0, .upper = 1, .doc = text }
#define PARAM_CHOICE(n, initial, words, text)                                                                          \
    { .name = n, .type = LOSSFN_PARAM_CHOICE, .default_value = initial, .choices = words, .doc = text }
#define PARAM_LIST(n, text)                                                                                            \
    { .name = n, .type = LOSSFN_PARAM_LIST, .lower = 0, .upper = INFINITY, .upper_open = 1, .doc = text }

#define CLASS_PARAMS                                                                                                   \
    PARAM_LIST("class_weight", "weight of each class"), PARAM_LIST("class_mask", "1 for each class that takes part"),  \
        PARAM_DOUBLE("label_smoothing", "0", 0, 0, 1, 0, "targets become t (1 - e) + e/C")

#define EXACT  (1u << LOSSFN_HESS_EXACT)
#define FISHER (1u << LOSSFN_HESS_FISHER)
#define UPPER  (1u << LOSSFN_HESS_UPPER)

#define DISTANCE_TRAITS (LOSSFN_TRAIT_DISTANCE | LOSSFN_TRAIT_NONNEGATIVE)

#endif
