/* SPDX-License-Identifier: MIT
 * The loops that a loss's mathematics is inlined into. Included once per instruction set and dtype. */
#ifndef LOSSFN_ENGINE_KERNEL_H
#define LOSSFN_ENGINE_KERNEL_H

#include "engine/deposit.h"
#include "losses/formula.h"

/* ---- Elements ---------------------------------------------------------------------------------------------------- */

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
    int tuned;            /* parameters and learnable inputs are what they are by default */
    lossfn__exact_t *sum; /* of the weighted values */
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
    int plain;  /* no weights or values */
    int stream; /* outputs are written around the caches */
    int tuned;  /* for the default parameters */
} shape_t;

enum { AHEAD = 2048 / sizeof(REAL) }; /* where the loop's own arithmetic would keep memory from working */

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

ALWAYS_INLINE void compute_vector(const block_t *b, const shape_t s, int64_t i, const int64_t *moving, const V *p,
                                  vector_t *v) {
    V x[MAX_GRADS];
    const V scale = v_set(b->scale);
    v->unit.outside = m_none();
    v->unit.want = s.want;
    v->factor = scale;
    v->kept = m_not(m_none());
    UNROLL
    for (int j = 0; j < s.n_inputs; j++) {
        const REAL *const at = b->in[j] + (j < 2 ? i : i & moving[j]);
        if (s.stream && j < 2) __builtin_prefetch(at + AHEAD, 0, 0);
        x[j] = v_load(at);
    }
    s.kernel(x, s.tuned ? NULL : p, &v->unit);
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
    const int all = s.want == LOSSFN__WANT_ALL;
    if (!s.plain && b->values) put_vector(b->values + i, v->unit.value, s.stream);
    for (int j = 0; j < n_grads(s); j++)
        if (!all || b->grads[j]) put_vector(b->grads[j] + i, v_where(v->kept, v->unit.grad[j] * v->factor), s.stream);
    if (has_hess(s) && (!all || b->hess)) put_vector(b->hess + i, v_where(v->kept, v->unit.hess * v->factor), s.stream);
}

/* The one loop over elements, whole vectors of them. All but the block are constants of each caller, so the kernel is
 * inlined and what is not wanted vanishes. A vector that needs more than arithmetic (outside the domain, a value that
 * does not fit on the grids) leaves the inner loop, in which nothing is called, so that all stays in registers there. A
 * value is added up while the next vector is computed: the longest chain of dependences bounds the speed. */
ALWAYS_INLINE void element_loop(block_t *b, const shape_t s) {
    const int64_t n = b->n;
    int64_t moving[MAX_GRADS]; /* pred and target always do */
    tally_t tally;
    V p[MAX_CONSTANTS], pending = v_zero();
    for (int j = 2; j < s.n_inputs; j++) moving[j] = b->is_constant[j] ? 0 : -1;
    UNROLL
    for (int j = 0; j < MAX_CONSTANTS; j++) p[j] = v_set(b->constants[j]);
    tally_begin(&tally, b->sum, b->grid);
    for (int64_t i = 0; i < n; i += LANES) {
        grids_t grids = tally.grids;
        vector_t v;
        for (; i < n; i += LANES) {
            compute_vector(b, s, i, moving, p, &v);
            if (__builtin_expect(m_any(v.unit.outside), 0) || !grids_take(&grids, pending)) break;
            put_unit(b, s, i, &v);
            pending = v.unit.value;
        }
        tally.grids = grids;
        if (i >= n) break;
        tally_add(&tally, &tally.grids, pending, i / LANES);
        spoil_vector(b, s, i, &v);
        put_unit(b, s, i, &v);
        pending = v.unit.value;
    }
    tally_add(&tally, &tally.grids, pending, n / LANES);
    b->grid = tally_end(&tally, &tally.grids, n / LANES + 1);
}

/* A loss's loops for one `want`; plain is the general one where no other was made. */
typedef struct {
    element_fn plain, general;
} element_kernel_t;

static const REAL ones[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

/* Runs a block: whole vectors where they lie, the last n % LANES elements in padded copies, where lanes past the end
 * have weight 0. */
NO_INLINE void element_block(const element_kernel_t *kernel, int n_inputs, block_t *b) {
    const int64_t n = b->n, whole = n / LANES * LANES;
    const int rest = (int)(n - whole);
    if (whole) {
        b->n = whole;
        (b->weight || b->values ? kernel->general : kernel->plain)(b);
        b->n = n;
    }
    if (rest == 0) return;
    REAL in[MAX_GRADS][LANES], weight[LANES], factor[LANES], values[LANES], grads[MAX_GRADS][LANES], hess[LANES];
    const V w = v_load_first(b->weight ? b->weight + whole : ones, rest, v_set(0));
    block_t tail = *b;
    tail.n = LANES;
    tail.stream = 0;
    tail.fault = -1;
    for (int j = 0; j < n_inputs; j++) {
        if (!b->is_constant[j]) {
            v_store(in[j], v_load_first(b->in[j] + whole, rest, v_set((double)b->in[j][n - 1])));
            tail.in[j] = in[j];
        }
        if (b->grads[j]) tail.grads[j] = grads[j];
    }
    v_store(weight, w);
    v_store(factor, b->factor ? v_load_first(b->factor + whole, rest, v_zero()) : w * v_set((double)b->scale));
    tail.weight = weight;
    tail.factor = factor;
    if (b->values) tail.values = values;
    if (b->hess) tail.hess = hess;
    kernel->general(&tail);
    b->grid = tail.grid;
    if (b->fault < 0 && tail.fault >= 0) b->fault = whole + tail.fault;
    if (b->values) v_store_first(b->values + whole, rest, v_load(values));
    for (int j = 0; j < n_inputs; j++)
        if (b->grads[j]) v_store_first(b->grads[j] + whole, rest, v_load(grads[j]));
    if (b->hess) v_store_first(b->hess + whole, rest, v_load(hess));
}

/* ---- Rows -------------------------------------------------------------------------------------------------------- */

/* The layout of every sum inside a row: class c belongs to virtual lane c % 16; a lane adds in double, folded every
 * FOLD classes; the 16 lanes meet in one fixed tree. So neither the vector width nor the chunks show in the bits. */
enum { ROW_LANES = 16, FOLD = 256 };

/* Part of a row, staged: classes [first, first + n). */
typedef struct {
    int64_t first, n;
    const REAL *x, *t;  /* t NULL: the label */
    const REAL *weight; /* class weights, or NULL */
    const REAL *out;    /* nonzero: the class is taken out; or NULL */
    int64_t label;      /* from 0; -1 without one */
    int plain;          /* a label without smoothing, class weights or classes taken out: all other targets are 0 */
    int64_t top_class;  /* first class of the largest x; -1 if there is none */
    REAL top, classes;
    REAL constants[MAX_CONSTANTS];
    double sums[MAX_SUMS][ROW_LANES];
    REAL totals[MAX_SUMS];        /* the sums of the whole row, rounded */
    REAL finished[MAX_CONSTANTS]; /* k[] */
    REAL value, factor;
    REAL *grads[2], *hess;
    REAL *kept;    /* what the sums leave for the map, or NULL: it may lie where the gradient will */
    int64_t fault; /* first class outside the domain, or -1 */
} chunk_t;

struct group;
typedef struct {
    void (*sums)(chunk_t *c);          /* over one chunk, added to c->sums */
    void (*finish)(chunk_t *c);        /* totals -> value, finished */
    void (*map)(chunk_t *c);           /* over one chunk: derivatives */
    void (*whole)(chunk_t *c);         /* all of it, derivatives of pred alone, for at most ROW_LANES classes */
    void (*together)(struct group *g); /* all of it, for LANES rows at once */
    int wants_top, keeps;
} row_kernel_t;

/* The classes of one vector, and which lanes hold one. */
ALWAYS_INLINE M load_classes(const chunk_t *c, int64_t i, class_t *cl) {
    I index = i_set(c->first + i) + i_iota();
    M valid = (M)(index < i_set(c->first + c->n));
    cl->x = load_some(c->x, i, c->n, 1);
    cl->t = c->t ? load_some(c->t, i, c->n, 0) : v_where((M)(index == i_set(c->label)), v_one());
    cl->w = c->weight ? load_some(c->weight, i, c->n, 0) : v_one();
    cl->top = (M)(index == i_set(c->top_class));
    cl->has_kept = cl->absent = 0;
    if (c->out) valid = m_and(valid, load_some(c->out, i, c->n, 1) == v_zero());
    return valid;
}

/* The end of the run of classes from i, by `step` and at most to `end`, that are neither the label nor the largest x:
 * in a long row nearly all are. They are computed as load_absent loads them, with less work and the same result. */
ALWAYS_INLINE int64_t absent_until(const chunk_t *c, int64_t i, int64_t end, int64_t step) {
    if (!c->plain) return i;
    const int64_t special[] = {c->label - c->first, c->top_class - c->first};
    end = i + (end - i) / step * step;
    for (int k = 0; k < 2; k++)
        if (special[k] >= i && special[k] < end) end = i + (special[k] - i) / step * step;
    return end;
}

ALWAYS_INLINE class_t load_absent(const REAL *x) {
    return (class_t){.x = v_load(x), .t = v_zero(), .w = v_one(), .top = m_none(), .absent = 1};
}

ALWAYS_INLINE row_t load_row(const chunk_t *c) {
    row_t r;
    r.top = v_set(c->top);
    r.classes = v_set(c->classes);
    return r;
}

/* x of the classes at i; -inf for those taken out and past the end. */
ALWAYS_INLINE V load_contenders(const chunk_t *c, int64_t i) {
    V x = load_some(c->x, i, c->n, -INFINITY);
    return c->out ? v_select(load_some(c->out, i, c->n, 1) == v_zero(), x, v_set(-INFINITY)) : x;
}

/* The largest x of the chunk and its first place, into top and top_class. NaN is never the largest. */
NO_INLINE void chunk_top(chunk_t *c) {
    enum { STREAMS = 4 }; /* independent of each other, so that none waits */
    V best[STREAMS];
    int64_t i = 0;
    for (int s = 0; s < STREAMS; s++) best[s] = v_set(-INFINITY);
    for (; !c->out && i + STREAMS * LANES <= c->n; i += STREAMS * LANES)
        for (int s = 0; s < STREAMS; s++) best[s] = v_greater(v_load(c->x + i + s * LANES), best[s]);
    for (; i < c->n; i += LANES) best[0] = v_greater(load_contenders(c, i), best[0]);
    for (int s = 1; s < STREAMS; s++) best[0] = v_greater(best[s], best[0]);
    REAL top = c->top, lanes[LANES];
    v_store(lanes, best[0]);
    for (int l = 0; l < LANES; l++)
        if (lanes[l] > top) top = lanes[l];
    if (top == c->top) return;
    for (i = 0; i < c->n; i += LANES) {
        uint32_t bits = m_bits(load_contenders(c, i) == v_set((double)top));
        if (bits == 0) continue;
        c->top = c->x[i + __builtin_ctz(bits)]; /* of two zeros the first, too */
        c->top_class = c->first + i + __builtin_ctz(bits);
        return;
    }
}

/* One vector of classes: what it adds to the sums goes to add[]. */
ALWAYS_INLINE void row_sums_step(chunk_t *c, int64_t i, const row_t *r, const V *p,
                                 void (*kernel)(const row_t *, const class_t *, const V *, V *, unit_t *),
                                 const int n_sums, const int keeps, V *add) {
    class_t cl;
    unit_t u;
    M valid = load_classes(c, i, &cl);
    u.outside = m_none();
    kernel(r, &cl, p, add, &u);
    M fault = m_and(u.outside, valid);
    if (__builtin_expect(m_any(fault), 0) && c->fault < 0) c->fault = c->first + i + __builtin_ctz(m_bits(fault));
    if (keeps && c->kept) store_some(c->kept, i, c->n, u.kept);
    for (int k = 0; k < n_sums; k++) add[k] = v_where(valid, add[k]);
}

ALWAYS_INLINE void row_sums_loop(chunk_t *c, void (*kernel)(const row_t *, const class_t *, const V *, V *, unit_t *),
                                 const int n_sums, const int keeps) {
    enum { STEPS = ROW_LANES / LANES, GROUPS = ROW_LANES / DLANES };
    const row_t r = load_row(c);
    V p[MAX_CONSTANTS], add[MAX_SUMS];
    D wide[DPARTS];
    for (int j = 0; j < MAX_CONSTANTS; j++) p[j] = v_set(c->constants[j]);
    for (int64_t fold = 0; fold < c->n; fold += FOLD) {
        D sums[MAX_SUMS][GROUPS];
        int64_t i = fold, end = fold + FOLD < c->n ? fold + FOLD : c->n;
        for (int k = 0; k < n_sums; k++)
            for (int g = 0; g < GROUPS; g++) sums[k][g] = d_set(0);
        while (i < end) {
            const int64_t stop = absent_until(c, i, end, ROW_LANES);
            const REAL *const x = c->x;
            REAL *const kept = keeps ? c->kept : NULL;
            D run[GROUPS]; /* sums[0], in registers along a run of absent classes */
            for (int g = 0; g < GROUPS; g++) run[g] = sums[0][g];
            for (; i < stop; i += ROW_LANES)
                for (int step = 0; step < STEPS; step++) {
                    unit_t u;
                    V s[MAX_SUMS];
                    const class_t cl = load_absent(x + i + step * LANES);
                    u.outside = m_none();
                    kernel(&r, &cl, p, s, &u);
                    if (__builtin_expect(m_any(u.outside), 0) && c->fault < 0)
                        c->fault = c->first + i + step * LANES + __builtin_ctz(m_bits(u.outside));
                    if (kept) v_store(kept + i + step * LANES, u.kept);
                    v_widen(s[0], wide);
                    for (int d = 0; d < DPARTS; d++) run[step * DPARTS + d] += wide[d];
                }
            for (int g = 0; g < GROUPS; g++) sums[0][g] = run[g];
            if (i >= end) break;
            for (int step = 0; step < STEPS; step++) {
                row_sums_step(c, i + step * LANES, &r, p, kernel, n_sums, keeps, add);
                for (int k = 0; k < n_sums; k++) {
                    v_widen(add[k], wide);
                    for (int d = 0; d < DPARTS; d++) sums[k][step * DPARTS + d] += wide[d];
                }
            }
            i += ROW_LANES;
        }
        for (int k = 0; k < n_sums; k++)
            for (int g = 0; g < GROUPS; g++) {
                double *lanes = c->sums[k] + g * DLANES;
                d_store(lanes, d_load(lanes) + sums[k][g]);
            }
    }
}

/* The lanes of a sum up the tree: l with l + 8, then l + 4, ... */
ALWAYS_INLINE double tree_sum(const double *lanes) {
    enum { GROUPS = ROW_LANES / DLANES };
    D groups[GROUPS];
    UNROLL for (int g = 0; g < GROUPS; g++) groups[g] = d_load(lanes + g * DLANES);
    UNROLL for (int half = GROUPS / 2; half > 0; half /= 2) {
        UNROLL for (int g = 0; g < half; g++) groups[g] += groups[g + half];
    }
    return d_sum(groups[0]);
}

ALWAYS_INLINE void row_finish_once(chunk_t *c, void (*kernel)(const row_t *, const V *, const V *, V *, unit_t *),
                                   const int n_sums) {
    const row_t r = load_row(c);
    V p[MAX_CONSTANTS], s[MAX_SUMS], k[MAX_CONSTANTS];
    unit_t u;
    UNROLL for (int j = 0; j < MAX_CONSTANTS; j++) p[j] = v_set((double)c->constants[j]), k[j] = v_zero();
    UNROLL for (int j = 0; j < n_sums; j++) {
        c->totals[j] = (REAL)tree_sum(c->sums[j]);
        s[j] = v_set((double)c->totals[j]);
    }
    kernel(&r, s, p, k, &u);
    c->value = u.value[0];
    UNROLL for (int j = 0; j < MAX_CONSTANTS; j++) c->finished[j] = k[j][0];
}

/* One vector of classes. `alone`: only the gradient of pred is wanted. */
ALWAYS_INLINE void row_map_step(const chunk_t *c, int64_t i, const row_t *r, const V *k, const V *p, V factor,
                                void (*kernel)(const row_t *, const class_t *, const V *, const V *, unit_t *),
                                const int has_kept, const int alone) {
    class_t cl;
    unit_t u;
    M valid = load_classes(c, i, &cl);
    cl.has_kept = has_kept;
    if (has_kept) cl.kept = load_some(c->kept, i, c->n, 0);
    u.outside = m_none();
    kernel(r, &cl, k, p, &u);
    M fault = m_and(u.outside, valid);
    V nan = v_set(NAN), out[3] = {u.grad[PRED], u.grad[TARGET], u.hess};
    REAL *const to[3] = {c->grads[PRED], alone ? NULL : c->grads[TARGET], alone ? NULL : c->hess};
    for (int j = 0; j < (alone ? 1 : 3); j++) {
        if (!alone && !to[j]) continue;
        store_some(to[j], i, c->n, v_where(valid, v_select(fault, nan, out[j]) * factor));
    }
}

ALWAYS_INLINE void row_map_loop(chunk_t *c,
                                void (*kernel)(const row_t *, const class_t *, const V *, const V *, unit_t *),
                                const int has_kept, const int alone) {
    const row_t r = load_row(c);
    V p[MAX_CONSTANTS], k[MAX_CONSTANTS], factor = v_set(c->factor);
    for (int j = 0; j < MAX_CONSTANTS; j++) p[j] = v_set(c->constants[j]), k[j] = v_set(c->finished[j]);
    for (int64_t i = 0; i < c->n; i += LANES) {
        const int64_t stop = alone ? absent_until(c, i, c->n, LANES) : i;
        const REAL *const x = c->x, *const kept = c->kept;
        REAL *const grad = c->grads[PRED];
        for (; i < stop; i += LANES) {
            unit_t u;
            class_t cl = load_absent(x + i);
            cl.has_kept = has_kept;
            if (has_kept) cl.kept = v_load(kept + i);
            u.outside = m_none();
            kernel(&r, &cl, k, p, &u);
            v_store(grad + i, v_select(u.outside, v_set(NAN), u.grad[PRED]) * factor);
        }
        if (i < c->n) row_map_step(c, i, &r, k, p, factor, kernel, has_kept, alone);
    }
}

/* A row of no more classes than lanes: all of it at once, nothing but the outputs in memory. The same sums, so the same
 * bits. */
ALWAYS_INLINE void short_row(chunk_t *c, void (*sums)(const row_t *, const class_t *, const V *, V *, unit_t *),
                             void (*finish)(const row_t *, const V *, const V *, V *, unit_t *),
                             void (*map)(const row_t *, const class_t *, const V *, const V *, unit_t *),
                             const int n_sums, const int wants_top, const int keeps) {
    enum { STEPS = ROW_LANES / LANES };
    row_t r = load_row(c);
    V p[MAX_CONSTANTS], s[MAX_SUMS], k[MAX_CONSTANTS], kept[STEPS];
    double lanes[MAX_SUMS][ROW_LANES];
    unit_t u;
    UNROLL for (int j = 0; j < MAX_CONSTANTS; j++) p[j] = v_set((double)c->constants[j]), k[j] = v_zero();
    if (wants_top) {
        V best = v_set(-INFINITY);
        for (int step = 0; step < STEPS; step++) best = v_greater(load_contenders(c, step * LANES), best);
        const REAL largest = v_largest(best);
        const V top = v_set((double)largest);
        for (int step = STEPS - 1; step >= 0; step--) {
            const uint32_t bits = m_bits((load_contenders(c, step * LANES) == top) & (top > v_set(-INFINITY)));
            if (bits) c->top_class = step * LANES + __builtin_ctz(bits);
        }
        r.top = top;
        if (largest == 0) r.top = v_set((double)c->x[c->top_class]); /* of two zeros the first */
    }
    for (int step = 0; step < STEPS; step++) {
        class_t cl;
        V add[MAX_SUMS];
        D wide[DPARTS];
        const M valid = load_classes(c, step * LANES, &cl);
        u.outside = m_none();
        sums(&r, &cl, p, add, &u);
        if (keeps) kept[step] = u.kept;
        const M fault = m_and(u.outside, valid);
        if (__builtin_expect(m_any(fault), 0) && c->fault < 0) c->fault = step * LANES + __builtin_ctz(m_bits(fault));
        UNROLL for (int j = 0; j < n_sums; j++) {
            v_widen(v_where(valid, add[j]), wide);
            for (int d = 0; d < DPARTS; d++) d_store(lanes[j] + step * LANES + d * DLANES, wide[d] + d_set(0));
        }
    }
    UNROLL for (int j = 0; j < n_sums; j++) s[j] = v_set((double)(REAL)tree_sum(lanes[j]));
    finish(&r, s, p, k, &u);
    c->value = u.value[0];
    if (!c->grads[PRED]) return;
    const V factor = v_set((double)c->factor), nan = v_set(NAN);
    for (int step = 0; step < STEPS; step++) {
        class_t cl;
        const M valid = load_classes(c, step * LANES, &cl);
        cl.has_kept = keeps;
        if (keeps) cl.kept = kept[step];
        u.outside = m_none();
        map(&r, &cl, k, p, &u);
        const M fault = m_and(u.outside, valid);
        store_some(c->grads[PRED], step * LANES, c->n, v_where(valid, v_select(fault, nan, u.grad[PRED]) * factor));
        if (c->hess) store_some(c->hess, step * LANES, c->n, v_where(valid, v_select(fault, nan, u.hess) * factor));
    }
}

/* ---- Rows together ----------------------------------------------------------------------------------------------- */

/* Few classes: LANES rows at once, each in a lane of its own, so that nothing is done across lanes. A row's sums are
 * added in the same order as above, class by class into ROW_LANES lanes and up the same tree: the same bits. */
enum { TOGETHER = 128 }; /* the most classes, at most FOLD */

typedef struct group {
    int64_t cols;
    const REAL *x, *t;        /* [class][lane]; t NULL: labels */
    const REAL *class_weight; /* [class], or NULL */
    const REAL *out;          /* [class] nonzero: taken out; or NULL */
    int64_t labels[LANES];
    REAL constants[MAX_CONSTANTS], classes;
    REAL weight[LANES], factor[LANES]; /* weight 0: not kept */
    REAL values[LANES];                /* weighted */
    REAL *grads[2], *hess;             /* [class][lane], or NULL */
    int64_t fault[LANES];              /* first class outside the domain, or -1 */
} group_t;

ALWAYS_INLINE void note_faults(group_t *g, M fault, int64_t c) {
    uint32_t bits = m_bits(fault);
    for (int l = 0; l < LANES; l++)
        if (bits >> l & 1 && g->fault[l] < 0) g->fault[l] = c;
}

ALWAYS_INLINE void rows_together(group_t *g, void (*sums)(const row_t *, const class_t *, const V *, V *, unit_t *),
                                 void (*finish)(const row_t *, const V *, const V *, V *, unit_t *),
                                 void (*map)(const row_t *, const class_t *, const V *, const V *, unit_t *),
                                 const int n_sums, const int wants_top, const int keeps) {
    const M kept = v_load(g->weight) != v_zero();
    const int64_t lanes = g->cols < ROW_LANES ? g->cols : ROW_LANES;
    D acc[MAX_SUMS][ROW_LANES][DPARTS];
    V p[MAX_CONSTANTS], s[MAX_SUMS], k[MAX_CONSTANTS];
    I label = i_set(-1), place = i_set(-1);
    M any_fault = m_none();
    unit_t u;
    class_t cl;
    row_t r = {v_set(-INFINITY), v_set(g->classes)};
    for (int j = 0; j < MAX_CONSTANTS; j++) p[j] = v_set(g->constants[j]), k[j] = v_zero();
    for (int l = 0; l < LANES; l++) label[l] = g->labels[l];
    for (int64_t c = 0; wants_top && c < g->cols; c++) {
        if (g->out && g->out[c] != 0) continue;
        V x = v_load(g->x + c * LANES);
        M larger = x > r.top;
        r.top = v_select(larger, x, r.top);
        place = i_select(larger, i_set((int)c), place);
    }
    for (int j = 0; j < n_sums; j++)
        for (int64_t l = 0; l < lanes; l++)
            for (int d = 0; d < DPARTS; d++) acc[j][l][d] = d_set(0);
    for (int64_t c = 0; c < g->cols; c++) {
        if (g->out && g->out[c] != 0) continue;
        cl.x = v_load(g->x + c * LANES);
        cl.t = g->t ? v_load(g->t + c * LANES) : v_where((M)(label == i_set((int)c)), v_one());
        cl.w = v_set(g->class_weight ? g->class_weight[c] : 1);
        cl.top = (M)(place == i_set((int)c));
        cl.has_kept = cl.absent = 0;
        u.outside = m_none();
        sums(&r, &cl, p, s, &u);
        if (keeps && g->grads[PRED]) v_store(g->grads[PRED] + c * LANES, u.kept);
        u.outside = m_and(u.outside, kept);
        if (__builtin_expect(m_any(u.outside), 0)) {
            any_fault = m_or(any_fault, u.outside);
            note_faults(g, u.outside, c);
        }
        for (int j = 0; j < n_sums; j++) {
            D wide[DPARTS];
            v_widen(s[j], wide);
            for (int d = 0; d < DPARTS; d++) acc[j][c % ROW_LANES][d] += wide[d];
        }
    }
    for (int j = 0; j < n_sums; j++) {
        for (int half = ROW_LANES / 2; half > 0; half /= 2)
            for (int64_t l = 0; l < half && l + half < lanes; l++)
                for (int d = 0; d < DPARTS; d++) acc[j][l][d] += acc[j][l + half][d];
        s[j] = v_narrow(acc[j][0]);
    }
    finish(&r, s, p, k, &u);
    V value = v_select(any_fault, v_set(NAN), u.value) * v_load(g->weight);
    v_store(g->values, v_where(kept, value));
    if (!g->grads[0] && !g->grads[1] && !g->hess) return;
    V factor = v_load(g->factor);
    const int has_kept = keeps && g->grads[PRED];
    for (int64_t c = 0; c < g->cols; c++) {
        M valid = g->out && g->out[c] != 0 ? m_none() : kept;
        cl.x = v_load(g->x + c * LANES);
        cl.t = g->t ? v_load(g->t + c * LANES) : v_where((M)(label == i_set((int)c)), v_one());
        cl.w = v_set(g->class_weight ? g->class_weight[c] : 1);
        cl.top = (M)(place == i_set((int)c));
        cl.absent = 0;
        cl.has_kept = has_kept;
        if (has_kept) cl.kept = v_load(g->grads[PRED] + c * LANES);
        u.outside = m_none();
        map(&r, &cl, k, p, &u);
        V nan = v_set(NAN);
        for (int j = 0; j < 2; j++)
            if (g->grads[j])
                v_store(g->grads[j] + c * LANES, v_where(valid, v_select(u.outside, nan, u.grad[j]) * factor));
        if (g->hess) v_store(g->hess + c * LANES, v_where(valid, v_select(u.outside, nan, u.hess) * factor));
    }
}

/* ---- The functions of a loss ------------------------------------------------------------------------------------- */

/* A loss that is not tuned has nothing in the loops that would be. */
#define ELEMENTWISE_FUNCTION(name, n_inputs, suffix, want, plain, tuned)                                               \
    NO_INLINE void name##_##suffix(block_t *b) {                                                                       \
        if (tuned && !name##_is_tuned) return;                                                                         \
        const shape_t cached = {name##_element, n_inputs, LOSSFN__WANT_##want, plain, 0, tuned};                       \
        const shape_t streaming = {name##_element, n_inputs, LOSSFN__WANT_##want, plain, 1, tuned};                    \
        if (b->stream)                                                                                                 \
            element_loop(b, streaming);                                                                                \
        else                                                                                                           \
            element_loop(b, cached);                                                                                   \
    }
#define ELEMENTWISE_FUNCTIONS(name, n_inputs)                                                                          \
    ELEMENTWISE_FUNCTION(name, n_inputs, plain_value, VALUE, 1, 0)                                                     \
    ELEMENTWISE_FUNCTION(name, n_inputs, plain_grad, GRAD, 1, 0)                                                       \
    ELEMENTWISE_FUNCTION(name, n_inputs, plain_hess, HESS, 1, 0)                                                       \
    ELEMENTWISE_FUNCTION(name, n_inputs, value, VALUE, 0, 0)                                                           \
    ELEMENTWISE_FUNCTION(name, n_inputs, grad, GRAD, 0, 0)                                                             \
    ELEMENTWISE_FUNCTION(name, n_inputs, hess, HESS, 0, 0)                                                             \
    ELEMENTWISE_FUNCTION(name, n_inputs, all, ALL, 0, 0)                                                               \
    ELEMENTWISE_FUNCTION(name, n_inputs, tuned_plain_value, VALUE, 1, 1)                                               \
    ELEMENTWISE_FUNCTION(name, n_inputs, tuned_plain_grad, GRAD, 1, 1)                                                 \
    ELEMENTWISE_FUNCTION(name, n_inputs, tuned_plain_hess, HESS, 1, 1)                                                 \
    ELEMENTWISE_FUNCTION(name, n_inputs, tuned_value, VALUE, 0, 1)                                                     \
    ELEMENTWISE_FUNCTION(name, n_inputs, tuned_grad, GRAD, 0, 1)                                                       \
    ELEMENTWISE_FUNCTION(name, n_inputs, tuned_hess, HESS, 0, 1)

/* The loops of a loss, by what is wanted; for any parameters, and for those that it is tuned for. */
#define ELEMENTWISE_LOOPS(name)                                                                                        \
    {                                                                                                                  \
        {name##_plain_value, name##_value}, {name##_plain_grad, name##_grad}, {name##_plain_hess, name##_hess}, {      \
            name##_all, name##_all                                                                                     \
        }                                                                                                              \
    }
#define TUNED_ELEMENTWISE_LOOPS(name)                                                                                  \
    {                                                                                                                  \
        {name##_tuned_plain_value, name##_tuned_value}, {name##_tuned_plain_grad, name##_tuned_grad},                  \
            {name##_tuned_plain_hess, name##_tuned_hess}, {                                                            \
            name##_all, name##_all                                                                                     \
        }                                                                                                              \
    }

#define ROWWISE_FUNCTIONS(name)                                                                                        \
    NO_INLINE void name##_row_sums(chunk_t *c) { row_sums_loop(c, name##_sums, name##_n_sums, name##_keeps); }         \
    NO_INLINE void name##_row_finish(chunk_t *c) { row_finish_once(c, name##_finish, name##_n_sums); }                 \
    NO_INLINE void name##_row_map(chunk_t *c) {                                                                        \
        const int alone = c->grads[PRED] && !c->grads[TARGET] && !c->hess;                                             \
        if (name##_keeps && c->kept && alone)                                                                          \
            row_map_loop(c, name##_map, 1, 1);                                                                         \
        else if (name##_keeps && c->kept)                                                                              \
            row_map_loop(c, name##_map, 1, 0);                                                                         \
        else                                                                                                           \
            row_map_loop(c, name##_map, 0, 0);                                                                         \
    }                                                                                                                  \
    NO_INLINE void name##_short_row(chunk_t *c) {                                                                      \
        short_row(c, name##_sums, name##_finish, name##_map, name##_n_sums, name##_wants_top, name##_keeps);           \
    }                                                                                                                  \
    NO_INLINE void name##_rows_together(group_t *g) {                                                                  \
        rows_together(g, name##_sums, name##_finish, name##_map, name##_n_sums, name##_wants_top, name##_keeps);       \
    }

typedef struct {
    int n_inputs;
    element_kernel_t elements[LOSSFN__WANTS]; /* by what is wanted; NULL for a loss over rows */
    element_kernel_t tuned[LOSSFN__WANTS];
    int is_tuned;
    row_kernel_t rows;
} kernel_t;

#endif
