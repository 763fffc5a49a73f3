/* SPDX-License-Identifier: MIT
 * The loop that the mathematics of a loss of elements is inlined into. */
#ifndef LOSSFN_ENGINE_ELEMENT_LOOP_H
#define LOSSFN_ENGINE_ELEMENT_LOOP_H

#include "engine/deposit.h"
#include "losses/formula.h"

/* A block of elements for one loss: contiguous arrays of n. */
typedef struct {
    int64_t n;
    const REAL *in[LOSSFN_MAX_INPUTS];
    uint8_t is_constant[LOSSFN_MAX_INPUTS]; /* in[j], a learnable parameter, is one vector for all */
    const REAL *weight;                     /* NULL: all 1; 0 = not kept */
    const REAL *factor;                     /* of each derivative, or NULL: scale, times the weight if there is one */
    REAL scale;
    REAL constants[MAX_CONSTANTS];
    REAL *values; /* weighted, or NULL */
    REAL *grads[LOSSFN_MAX_INPUTS];
    REAL *hess;
    int stream;           /* outputs lie on vector boundaries and are written around the caches */
    int ahead;            /* inputs come from memory and are asked for in good time */
    int tuned;            /* parameters and learnable inputs are what they are by default */
    lossfn__exact_t *sum; /* of the weighted values */
    REAL *alone;          /* where the values of one vector, if that is all, are left instead; or NULL */
    int grid;             /* where the block before left its values */
    int64_t fault;        /* first element of the block outside the domain, or -1 */
} block_t;

typedef void (*element_fn)(block_t *b);

ALWAYS_INLINE void put_vector(REAL *to, V x, int stream) {
    if (stream)
        stream_vector(to, (f32v)x);
    else
        v_store(to, x);
}

/* What a loop over elements knows while it is compiled. */
typedef struct {
    void (*kernel)(const V *, const V *, unit_t *);
    int n_inputs, want;
    int plain; /* no weights or values, and every output that can be wanted is */
    int tuned; /* for the default parameters */
    int fixed; /* learnable inputs are constants: what is made of them alone is made before the loop */
} shape_t;

/* How far. Into all caches: what passes by the second one halves the speed on Intel's server cores. Beyond half a
 * kilobyte AMD's prefetch less well of their own accord, which costs a sixth. */
enum { AHEAD = 512 / sizeof(REAL) };

/* One vector on its way through the loop. */
typedef struct {
    unit_t unit;
    V factor; /* of its derivatives */
    M kept;
} vector_t;

ALWAYS_INLINE int n_grads(const shape_t s) {
    return s.want == LOSSFN__WANT_ALL ? s.n_inputs : s.want >= LOSSFN__WANT_GRAD ? 1 : 0;
}
ALWAYS_INLINE int has_hess(const shape_t s) { return s.want == LOSSFN__WANT_HESS || s.want == LOSSFN__WANT_ALL; }

ALWAYS_INLINE void compute_vector(const block_t *b, const shape_t s, int64_t i, const int64_t *moving, const V *fixed,
                                  const V *p, vector_t *v) {
    V x[MAX_GRADS];
    const V scale = v_set(b->scale);
    v->unit.outside = m_none();
    v->unit.want = s.want;
    v->factor = scale;
    v->kept = m_not(m_none());
    UNROLL
    for (int j = 0; j < s.n_inputs; j++) {
        const REAL *const at = b->in[j] + (j < 2 ? i : i & moving[j]);
        x[j] = s.fixed && j >= 2 ? fixed[j] : v_load(at);
    }
    s.kernel(x, s.tuned ? NULL : p, &v->unit);
    /* behind what may be called once: to gcc this is a call */
    for (int j = 0; b->ahead && j < s.n_inputs && j < 2; j++) __builtin_prefetch(b->in[j] + i + AHEAD, 0, 3);
    if (s.plain || !b->weight) return;
    V w = v_load(b->weight + i);
    v->kept = w != v_zero();
    v->unit.value = v_where(v->kept, v->unit.value * w);
    v->unit.outside = m_and(v->unit.outside, v->kept);
    v->factor = b->factor ? v_load(b->factor + i) : w * scale;
}

/* NaN where an input is outside the loss's domain. */
ALWAYS_INLINE void spoil_vector(block_t *b, const shape_t s, int64_t i, vector_t *v) {
    const M fault = v->unit.outside;
    const V nan = v_set(NAN);
    if (!m_any(fault)) return;
    v->unit.value = v_select(fault, nan, v->unit.value);
    for (int j = 0; j < n_grads(s); j++) v->unit.grad[j] = v_select(fault, nan, v->unit.grad[j]);
    if (has_hess(s)) v->unit.hess = v_select(fault, nan, v->unit.hess);
    if (b->fault < 0) b->fault = i + __builtin_ctz(m_bits(fault));
}

ALWAYS_INLINE void put_unit(const block_t *b, const shape_t s, int64_t i, const vector_t *v) {
    const int stream = b->stream;
    if (!s.plain && b->values) put_vector(b->values + i, v->unit.value, stream);
    for (int j = 0; j < n_grads(s); j++)
        if (s.plain || b->grads[j]) put_vector(b->grads[j] + i, v_where(v->kept, v->unit.grad[j] * v->factor), stream);
    if (has_hess(s) && (s.plain || b->hess))
        put_vector(b->hess + i, v_where(v->kept, v->unit.hess * v->factor), stream);
}

/* NaN in every output of the elements at i whose value is NaN, which are written already: not each derivative depends
 * on the input that was NaN. */
OUT_OF_LINE void spoil_written(const block_t *b, int grads, int64_t i, const V *value) {
    REAL values[LANES];
    v_store(values, *value);
    for (int j = -1; j < grads; j++) {
        REAL *const to = j < 0 ? b->hess : b->grads[j];
        for (int l = 0; to && l < LANES; l++)
            if (values[l] != values[l]) to[i + l] = NAN;
    }
}
ALWAYS_INLINE void check_written(const block_t *b, const shape_t s, int64_t i, V value) {
    if (s.want == LOSSFN__WANT_VALUE || __builtin_expect(!m_any(value != value), 1)) return;
    const V written = value; /* in memory here alone */
    spoil_written(b, n_grads(s), i, &written);
}

/* The one loop over elements, whole vectors of them. All but the block are constants of each caller, so the kernel is
 * inlined and what is not wanted vanishes. A vector that needs more than arithmetic (outside the domain, a value that
 * does not fit on the grids) leaves the inner loop, in which nothing is called, so that all stays in registers there. A
 * value is added up while the next vector is computed: the longest chain of dependences bounds the speed. */
ALWAYS_INLINE void element_loop(block_t *block, const shape_t s) {
    /* What is used of it in registers: no store can change it, and its address goes nowhere. */
    const block_t copy = *block, *const b = &copy;
    const int64_t n = b->n;
    int64_t moving[MAX_GRADS]; /* pred and target always do */
    tally_t tally;
    V p[MAX_CONSTANTS], fixed[MAX_GRADS], pending = v_zero();
    for (int j = 2; j < s.n_inputs; j++) moving[j] = b->is_constant[j] ? 0 : -1;
    UNROLL
    for (int j = 2; j < s.n_inputs; j++) fixed[j] = s.fixed ? v_load(b->in[j]) : v_zero();
    UNROLL
    for (int j = 0; j < MAX_CONSTANTS; j++) p[j] = v_set(b->constants[j]);
    grids_t grids = tally_begin(&tally, b->sum, b->grid);
    for (int64_t i = 0; i < n; i += LANES) {
        vector_t v;
        for (; i < n; i += LANES) {
            compute_vector(b, s, i, moving, fixed, p, &v);
            if (__builtin_expect(m_any(v.unit.outside), 0) || !grids_take(&grids, pending)) break;
            put_unit(b, s, i, &v);
            pending = v.unit.value;
        }
        if (i >= n) break;
        tally_add(&tally, &grids, pending, i / LANES);
        if (i > 0) check_written(block, s, i - LANES, pending);
        spoil_vector(block, s, i, &v);
        put_unit(b, s, i, &v);
        pending = v.unit.value;
    }
    check_written(block, s, n - LANES, pending);
    if (b->alone) {
        v_store(b->alone, pending);
        return;
    }
    tally_add(&tally, &grids, pending, n / LANES);
    block->grid = tally_end(&tally, &grids, n / LANES + 1);
}

/* A loss's loops for one `want`; plain is the general one where no other was made. */
typedef struct {
    element_fn plain, general;
} element_kernel_t;

/* ---- The loops of a loss ----------------------------------------------------------------------------------------- */

/* Where it need not be fast, few loops do for everything. */
enum { FEW_LOOPS = UNHURRIED };

/* Whether all inputs from the third on are constants. */
ALWAYS_INLINE int is_fixed(const block_t *b, int n_inputs) {
    int fixed = n_inputs > 2;
    for (int j = 2; j < n_inputs; j++) fixed &= b->is_constant[j];
    return fixed;
}

/* What a loss needs no loop of has an empty one. */
#define ELEMENTWISE_LOOP(name, inputs, suffix, wanted, is_plain, is_needed)                                            \
    OUT_OF_LINE void name##_##suffix(block_t *b) {                                                                     \
        const shape_t s = {name##_element, inputs, LOSSFN__WANT_##wanted, is_plain, 0, 0};                             \
        const shape_t fixed = {name##_element, inputs, LOSSFN__WANT_##wanted, is_plain, 0, 1};                         \
        if (is_needed && is_plain && is_fixed(b, inputs))                                                              \
            element_loop(b, fixed);                                                                                    \
        else if (is_needed)                                                                                            \
            element_loop(b, s);                                                                                        \
    }
#define TUNED_LOOP(name, inputs, suffix, wanted, is_plain)                                                             \
    OUT_OF_LINE void name##_tuned_##suffix(block_t *b) {                                                               \
        const shape_t s = {name##_element, inputs, LOSSFN__WANT_##wanted, is_plain, 1, 0};                             \
        if (name##_is_tuned && !FEW_LOOPS) element_loop(b, s);                                                         \
    }

/* Each want has a loop for the plain case, and one that also weighs and writes values; that one leaves out what has no
 * place to go. */
#define ELEMENTWISE_FUNCTIONS(name, inputs)                                                                            \
    ELEMENTWISE_LOOP(name, inputs, plain_value, VALUE, 1, !FEW_LOOPS)                                                  \
    ELEMENTWISE_LOOP(name, inputs, plain_grad, GRAD, 1, !FEW_LOOPS)                                                    \
    ELEMENTWISE_LOOP(name, inputs, plain_hess, HESS, 1, !FEW_LOOPS)                                                    \
    ELEMENTWISE_LOOP(name, inputs, grad, GRAD, 0, 1)                                                                   \
    ELEMENTWISE_LOOP(name, inputs, all, ALL, 0, 1)                                                                     \
    TUNED_LOOP(name, inputs, plain_value, VALUE, 1)                                                                    \
    TUNED_LOOP(name, inputs, plain_grad, GRAD, 1)                                                                      \
    TUNED_LOOP(name, inputs, plain_hess, HESS, 1)                                                                      \
    TUNED_LOOP(name, inputs, grad, GRAD, 0)                                                                            \
    const kernel_t NAME_OF(name) = {                                                                                   \
        .n_inputs = inputs,                                                                                            \
        .is_tuned = name##_is_tuned && !FEW_LOOPS,                                                                     \
        .elements = {{FEW_LOOPS ? name##_grad : name##_plain_value, name##_grad},                                      \
                     {FEW_LOOPS ? name##_grad : name##_plain_grad, name##_grad},                                       \
                     {FEW_LOOPS ? name##_all : name##_plain_hess, name##_all},                                         \
                     {name##_all, name##_all}},                                                                        \
        .tuned = {{name##_tuned_plain_value, name##_tuned_grad},                                                       \
                  {name##_tuned_plain_grad, name##_tuned_grad},                                                        \
                  {name##_tuned_plain_hess, name##_all},                                                               \
                  {name##_all, name##_all}},                                                                           \
    };

#endif
