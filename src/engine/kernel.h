/* SPDX-License-Identifier: MIT
 * The loops that a loss's mathematics is inlined into, and what the engine knows of a loss. Included once per
 * instruction set and dtype. */
#ifndef LOSSFN_ENGINE_KERNEL_H
#define LOSSFN_ENGINE_KERNEL_H

#include "engine/element_loop.h"

/* ---- Rows -------------------------------------------------------------------------------------------------------- */

/* Classes [first, first + n) of a row, where they lie. */
typedef struct {
    int64_t first, n;
    const REAL *x, *t;  /* t NULL: the label, or no target at all */
    const REAL *weight; /* class weights, or NULL */
    const REAL *out;    /* nonzero: the class is taken out; or NULL */
    int64_t label;      /* from 0; -1 without one */
    int64_t top;        /* first class of the largest x; -1 if there is none */
    int plain;  /* the targets of all other classes than the label are 0, without smoothing, and no class is out */
    REAL *kept; /* what the sums leave for the map, or NULL: it may lie where the gradient will, even if x does */
    const char *next[2]; /* x and t of the row after, asked for from memory in good time: class i at i * item */
    int64_t item;
} classes_t;

/* Part of a row, staged, and what is known of the whole row by then. */
typedef struct {
    classes_t at;
    REAL top, classes;
    REAL constants[MAX_CONSTANTS];
    double sums[MAX_SUMS][ROW_LANES];
    REAL own[MAX_SUMS];          /* what the label adds, if the row is plain */
    REAL at_label[2], at_top[2]; /* x and kept of these two, which the map may find overwritten */
    REAL finished[MAX_FINISHED]; /* k[] */
    REAL value, factor;
    REAL *grads[2], *hess;
    int64_t fault; /* first class outside the domain, or -1 */
} chunk_t;

struct group;
typedef struct {
    void (*sums)(chunk_t *c);               /* over one chunk, added to c->sums */
    void (*finish)(chunk_t *chunks, int n); /* of n rows of the same call: sums -> value, finished */
    void (*map)(chunk_t *c);                /* over one chunk: derivatives */
    void (*whole)(chunk_t *c);              /* all of it, derivatives of pred alone, for at most ROW_LANES classes */
    void (*together)(struct group *groups, int n); /* all of it, for n times LANES rows */
    int wants_top, keeps;
    void (*product)(whole_row_t *r);   /* of the Hessian and a vector */
    void (*whole_row)(whole_row_t *r); /* instead of all but `product`, for a loss over whole rows */
} row_kernel_t;

/* What a loss does with a vector of classes, with sums, with a vector of classes again. */
typedef void (*sums_fn)(const row_t *r, const class_t *c, const V *p, V *s, unit_t *u);
typedef void (*finish_fn)(const row_t *r, const V *s, const V *p, V *k, unit_t *u);
typedef void (*map_fn)(const row_t *r, const class_t *c, const V *k, const V *p, unit_t *u);

/* Loads a vector from at[i]; lanes at or past n read as 0. */
ALWAYS_INLINE V load_part(const REAL *at, int64_t i, int64_t n) {
    return i <= n - LANES ? v_load(at + i) : v_load_first(at + i, (int)(n - i), v_zero());
}

ALWAYS_INLINE void store_part(REAL *at, int64_t i, int64_t n, V x) {
    if (i <= n - LANES)
        v_store(at + i, x);
    else
        v_store_first(at + i, (int)(n - i), x);
}

/* What classes have of targets and weights that are not the label: each its own; all the same, which smoothing gives
 * them, so that what is made of it is made before the loop; nothing. */
enum { TARGETS_OWN, TARGETS_SAME, TARGETS_NONE };
ALWAYS_INLINE int targets_of(const classes_t *at) {
    return at->plain ? TARGETS_NONE : at->t || at->weight ? TARGETS_OWN : TARGETS_SAME;
}

/* The vector of classes at i, as if it held neither the label nor the largest x. */
ALWAYS_INLINE class_t load_common(const classes_t *at, int64_t i, const int targets, const int whole) {
    const int64_t n = whole ? INT64_MAX : at->n;
    class_t cl = {.x = load_part(at->x, i, n), .t = v_zero(), .w = v_one(), .top = m_none()};
    cl.absent = targets == TARGETS_NONE;
    if (targets == TARGETS_OWN && at->t) cl.t = load_part(at->t, i, n);
    if (targets == TARGETS_OWN && at->weight) cl.w = load_part(at->weight, i, n);
    return cl;
}

/* Which lanes at i hold a class, and one that takes part. */
ALWAYS_INLINE M valid_classes(const classes_t *at, int64_t i) {
    const M valid = (M)(i_iota() < i_set((int)(at->n - i < LANES ? at->n - i : LANES)));
    return at->out ? m_and(valid, load_part(at->out, i, at->n) == v_zero()) : valid;
}

/* Which lane at i is class c of the row. */
ALWAYS_INLINE M is_class(const classes_t *at, int64_t i, int64_t c) {
    const int64_t lane = c - at->first - i;
    return (M)(i_iota() == i_set(lane >= 0 && lane < LANES ? (int)lane : -1));
}

/* The end of the run of whole folds from i, at most to n, that hold neither the label nor the largest x. */
ALWAYS_INLINE int64_t run_until(const classes_t *at, int64_t i) {
    const int64_t special[] = {at->label - at->first, at->top - at->first};
    int64_t end = at->out ? i : i + (at->n - i) / FOLD * FOLD;
    for (int k = 0; k < 2; k++)
        if (special[k] >= i && special[k] < end) end = i + (special[k] - i) / FOLD * FOLD;
    return end;
}

ALWAYS_INLINE row_t load_row(const chunk_t *c) { return (row_t){v_set((double)c->top), v_set((double)c->classes)}; }

/* x of the classes at i; -inf for those taken out and past the end. */
ALWAYS_INLINE V load_contenders(const classes_t *at, int64_t i) {
    if (i + LANES <= at->n && !at->out) return v_load(at->x + i);
    return v_select(valid_classes(at, i), load_part(at->x, i, at->n), v_set(-INFINITY));
}

/* The largest x of the chunk and its first place, if it is larger than what came before. NaN is never the largest. The
 * first pass finds the largest, and for each lane which block of classes its own came from. */
OUT_OF_LINE void chunk_top(chunk_t *c) {
    enum { STREAMS = 4, BLOCK_STEPS = 4, BLOCK_CLASSES = STREAMS * BLOCK_STEPS * LANES };
    const classes_t at = c->at;
    V best = v_set(-INFINITY);
    V blocks = v_zero();
    int64_t i = 0;
    int block = 0;
    for (; !at.out && i + BLOCK_CLASSES <= at.n; block++) {
        V of_block[STREAMS]; /* independent of each other, so that none waits */
        UNROLL for (int s = 0; s < STREAMS; s++) of_block[s] = v_greater(v_load(at.x + i + s * LANES), best);
        for (int step = 1; step < BLOCK_STEPS; step++)
            UNROLL for (int s = 0; s < STREAMS; s++) of_block[s] =
                v_greater(v_load(at.x + i + (step * STREAMS + s) * LANES), of_block[s]);
        const V larger = v_greater(v_greater(of_block[0], of_block[1]), v_greater(of_block[2], of_block[3]));
        blocks = v_select(larger > best, v_set(block), blocks);
        best = larger;
        i += BLOCK_CLASSES;
    }
    const V before = best; /* all that is left is one more block */
    for (; i < at.n; i += LANES) best = v_greater(load_contenders(&at, i), best);
    blocks = v_select(best > before, v_set(block), blocks);
    const V wanted = v_largest(best);
    const REAL top = wanted[0];
    if (!(top > c->top)) return;
    uint32_t bits = m_bits(best == wanted);
    REAL places[LANES];
    int64_t first = INT64_MAX;
    v_store(places, blocks);
    for (; bits; bits &= bits - 1) {
        const int64_t place = (int64_t)places[__builtin_ctz(bits)];
        first = place < first ? place : first;
    }
    for (i = first * BLOCK_CLASSES; bits == 0; i += LANES) bits = m_bits(load_contenders(&at, i) == wanted);
    i += __builtin_ctz(bits) - LANES;
    c->top = c->at_top[0] = at.x[i]; /* of two zeros the first, too */
    c->at.top = at.first + i;
}

ALWAYS_INLINE void note_fault_at(chunk_t *c, int64_t i, M fault) {
    if (__builtin_expect(m_any(fault), 0) && c->fault < 0) c->fault = c->at.first + i + __builtin_ctz(m_bits(fault));
}

/* The lanes of a fold in double: a D for each DLANES of them. */
ALWAYS_INLINE void add_fold(D *sums, const V *fold) {
    UNROLL for (int step = 0; step < ROW_LANES / LANES; step++) {
        D wide[DPARTS];
        v_widen(fold[step], wide);
        UNROLL for (int d = 0; d < DPARTS; d++) sums[step * DPARTS + d] += wide[d];
    }
}

/* What the vector of classes at i adds to the sums, where it may hold the label, the largest x or the end of the row;
 * own[] is what the label of a plain row adds. */
ALWAYS_INLINE void sum_special(chunk_t *c, const classes_t *at, int64_t i, const row_t *r, const V *p, sums_fn kernel,
                               const int n_fold, const int keeps, const int absent, const V *own, V *s) {
    const M valid = valid_classes(at, i), is_label = is_class(at, i, at->label);
    class_t cl = load_common(at, i, absent ? TARGETS_NONE : TARGETS_OWN, 0);
    unit_t u;
    u.outside = m_none();
    cl.top = is_class(at, i, at->top);
    if (!absent && !at->t) cl.t = v_where(is_label, v_one());
    kernel(r, &cl, p, s, &u);
    note_fault_at(c, i, m_and(u.outside, valid));
    if (keeps) store_part(at->kept, i, at->n, u.kept);
    if (absent) s[0] = v_select(is_label, own[0], s[0]);
    UNROLL for (int k = 0; k < n_fold; k++) s[k] = v_where(valid, s[k]);
}

/* A fold of classes whose largest x is not to count: at `without` and past the end x is -inf. */
ALWAYS_INLINE void copy_fold(REAL *to, const classes_t *at, int64_t i, int64_t without) {
    for (int64_t j = 0; j < FOLD; j += LANES)
        v_store(to + j, i + j >= at->n
                            ? v_set(-INFINITY)
                            : v_select(valid_classes(at, i + j), load_part(at->x, i + j, at->n), v_set(-INFINITY)));
    if (without >= i && without < i + FOLD) to[without - i] = -INFINITY;
}

/* A fold of classes that are neither the label nor the largest. */
ALWAYS_INLINE void sum_fold(chunk_t *c, const classes_t *at, int64_t i, const REAL *x, REAL *kept, const row_t *r,
                            const V *p, sums_fn kernel, const int n_run, const int keeps, const int targets, D *sums) {
    enum { STEPS = ROW_LANES / LANES, GROUPS = ROW_LANES / DLANES, AT_ONCE = STEPS > 4 ? STEPS : 4 };
    const int whole = AT_ONCE * LANES == FOLD;
    V fold[MAX_SUMS][STEPS];
    UNROLL for (int k = 0; !whole && k < n_run; k++) UNROLL for (int step = 0; step < STEPS; step++) fold[k][step] =
        v_zero();
    for (int64_t j = 0; j < FOLD; j += AT_ONCE * LANES) {
        class_t cl[AT_ONCE];
        unit_t u[AT_ONCE];
        V s[AT_ONCE][MAX_SUMS];
        M outside = m_none();
        UNROLL for (int v = 0; v < AT_ONCE; v++) {
            cl[v] = (class_t){.x = v_load(x + j + v * LANES), .t = v_zero(), .w = v_one(), .top = m_none()};
            cl[v].absent = targets == TARGETS_NONE;
            if (targets == TARGETS_OWN && at->t) cl[v].t = v_load(at->t + i + j + v * LANES);
            if (targets == TARGETS_OWN && at->weight) cl[v].w = v_load(at->weight + i + j + v * LANES);
        }
        UNROLL for (int v = 0; v < AT_ONCE; v++) {
            const int64_t byte = (i + j + v * LANES) * at->item;
            __builtin_prefetch(at->next[0] + byte, 0, 2);
            if (targets == TARGETS_OWN && at->t) __builtin_prefetch(at->next[1] + byte, 0, 2);
            u[v].outside = m_none();
            kernel(r, &cl[v], p, s[v], &u[v]);
            outside = m_or(outside, u[v].outside);
        }
        UNROLL for (int v = 0; keeps && v < AT_ONCE; v++) v_store(kept + j + v * LANES, u[v].kept);
        UNROLL for (int v = 0; v < AT_ONCE; v++) UNROLL for (int k = 0; k < n_run; k++) {
            V *lanes = &fold[k][v % STEPS];
            *lanes = whole && v < STEPS ? s[v][k] : *lanes + s[v][k];
        }
        if (__builtin_expect(m_any(outside), 0))
            UNROLL for (int v = 0; v < AT_ONCE; v++) note_fault_at(c, i + j + v * LANES, u[v].outside);
    }
    UNROLL for (int k = 0; k < n_run; k++) add_fold(sums + k * GROUPS, fold[k]);
}

/* Adds a chunk to the sums. `keeps`: something is to be left in kept. In a plain row other classes than the label add
 * to sums[0] alone; otherwise those that are not the largest add to the first n_common. */
ALWAYS_INLINE void row_sums_loop(chunk_t *c, sums_fn kernel, const int n_sums, const int n_common, const int wants_top,
                                 const int keeps, const int targets) {
    enum { STEPS = ROW_LANES / LANES, GROUPS = ROW_LANES / DLANES };
    const int absent = targets == TARGETS_NONE;
    const int n_run = absent ? 1 : n_common, n_fold = absent ? 1 : n_sums;
    const classes_t at = c->at;
    const row_t r = load_row(c);
    const int64_t label = at.label - at.first, top = at.top - at.first;
    V p[MAX_CONSTANTS], own[MAX_SUMS];
    D sums[MAX_SUMS][GROUPS];
    UNROLL for (int j = 0; j < MAX_CONSTANTS; j++) p[j] = v_set((double)c->constants[j]);
    UNROLL for (int k = 0; k < n_sums; k++) own[k] = v_zero();
    UNROLL for (int k = 0; k < n_fold; k++) UNROLL for (int g = 0; g < GROUPS; g++) sums[k][g] =
        at.first ? d_load(c->sums[k] + g * DLANES) : d_set(0);
    if (label >= 0 && label < at.n) {
        c->at_label[0] = at.x[label];
        if (absent) {
            const class_t cl = {.x = v_set((double)at.x[label]),
                                .t = v_one(),
                                .w = v_set(at.weight ? (double)at.weight[label] : 1),
                                .top = label == top ? m_not(m_none()) : m_none()};
            unit_t u;
            kernel(&r, &cl, p, own, &u);
            UNROLL for (int k = 0; k < n_sums; k++) c->own[k] = own[k][0];
        }
    }
    if (absent && wants_top) { /* then the label is like all others, and the largest like one at -inf */
        REAL with_top[FOLD], last[FOLD], last_kept[FOLD];
        const int64_t last_at = at.n / FOLD * FOLD, top_at = top >= 0 && top < at.n ? top / FOLD * FOLD : -1;
        if (last_at < at.n) copy_fold(last, &at, last_at, top);
        if (top_at >= 0 && top_at < last_at) copy_fold(with_top, &at, top_at, top);
        for (int64_t i = 0; i < at.n; i += FOLD) {
            const REAL *x = i == last_at ? last : i == top_at ? with_top : at.x + i;
            REAL *kept = i == last_at ? last_kept : keeps ? at.kept + i : NULL;
            sum_fold(c, &at, i, x, kept, &r, p, kernel, n_run, keeps, targets, sums[0]);
        }
        for (int64_t i = last_at; keeps && i < at.n; i += LANES)
            store_part(at.kept, i, at.n, v_load(last_kept + (i - last_at)));
    } else {
        for (int64_t i = 0; i < at.n; i += FOLD) {
            for (const int64_t stop = run_until(&at, i); i < stop; i += FOLD)
                sum_fold(c, &at, i, at.x + i, keeps ? at.kept + i : NULL, &r, p, kernel, n_run, keeps, targets,
                         sums[0]);
            V fold[MAX_SUMS][STEPS];
            UNROLL for (int k = 0; k < n_fold; k++) UNROLL for (int step = 0; step < STEPS; step++) fold[k][step] =
                v_zero();
            for (int64_t j = i; j < i + FOLD && j < at.n; j += ROW_LANES)
                UNROLL for (int step = 0; step < STEPS; step++) {
                    V s[MAX_SUMS];
                    if (j + step * LANES >= at.n) break;
                    sum_special(c, &at, j + step * LANES, &r, p, kernel, n_fold, keeps, absent, own, s);
                    UNROLL for (int k = 0; k < n_fold; k++) fold[k][step] += s[k];
                }
            UNROLL for (int k = 0; k < n_fold; k++) add_fold(sums[k], fold[k]);
        }
    }
    UNROLL for (int k = 0; k < n_fold; k++) UNROLL for (int g = 0; g < GROUPS; g++)
        d_store(c->sums[k] + g * DLANES, sums[k][g]);
    if (keeps && label >= 0 && label < at.n) c->at_label[1] = at.kept[label];
    if (keeps && top >= 0 && top < at.n) c->at_top[1] = at.kept[top];
}

/* Values of n rows and what their maps want, each row in a lane. */
ALWAYS_INLINE void finish_rows(chunk_t *chunks, int n, finish_fn kernel, const int n_sums) {
    for (; n > 0; chunks += LANES, n -= LANES) {
        REAL tops[LANES], sums[MAX_SUMS][LANES], values[LANES], finished[MAX_FINISHED][LANES];
        V p[MAX_CONSTANTS], s[MAX_SUMS], k[MAX_FINISHED];
        unit_t u;
        v_store(tops, v_zero());
        UNROLL for (int j = 0; j < n_sums; j++) v_store(sums[j], v_zero());
        for (int l = 0; l < n && l < LANES; l++) {
            const chunk_t *c = &chunks[l];
            tops[l] = c->top;
            UNROLL for (int j = 0; j < n_sums; j++) sums[j][l] =
                j > 0 && c->at.plain ? 0 + c->own[j] : (REAL)add_lanes(c->sums[j]);
        }
        const row_t r = {v_load(tops), v_set((double)chunks->classes)};
        UNROLL for (int j = 0; j < MAX_CONSTANTS; j++) p[j] = v_set((double)chunks->constants[j]);
        UNROLL for (int j = 0; j < n_sums; j++) s[j] = v_load(sums[j]);
        UNROLL for (int j = 0; j < MAX_FINISHED; j++) k[j] = v_zero();
        kernel(&r, s, p, k, &u);
        v_store(values, u.value);
        UNROLL for (int j = 0; j < MAX_FINISHED; j++) v_store(finished[j], k[j]);
        for (int l = 0; l < n && l < LANES; l++) {
            chunks[l].value = values[l];
            for (int j = 0; j < MAX_FINISHED; j++) chunks[l].finished[j] = finished[j][l];
        }
    }
}

/* Derivatives of a vector of classes, those outside the domain NaN; then what is to be written: out[]. */
ALWAYS_INLINE void map_vector(const row_t *r, const class_t *cl, const V *k, const V *p, V factor, map_fn kernel,
                              V *out) {
    unit_t u;
    u.outside = m_none();
    kernel(r, cl, k, p, &u);
    const V nan = v_set(NAN);
    out[0] = v_select(u.outside, nan, u.grad[PRED]) * factor;
    out[1] = v_select(u.outside, nan, u.grad[TARGET]) * factor;
    out[2] = v_select(u.outside, nan, u.hess) * factor;
}

/* First all classes as if they were neither the label nor the largest, then these two. `alone`: only the gradient of
 * pred is wanted. */
ALWAYS_INLINE void row_map_loop(chunk_t *c, map_fn kernel, const int has_kept, const int targets, const int alone) {
    const classes_t at = c->at;
    const row_t r = load_row(c);
    REAL *const to[3] = {c->grads[PRED], alone ? NULL : c->grads[TARGET], alone ? NULL : c->hess};
    const int n_out = alone ? 1 : 3;
    const int64_t special[2] = {at.label - at.first, at.top - at.first};
    V p[MAX_CONSTANTS], k[MAX_FINISHED], factor = v_set((double)c->factor), out[3];
    REAL single[2][3] = {{0}};
    UNROLL for (int j = 0; j < MAX_CONSTANTS; j++) p[j] = v_set((double)c->constants[j]);
    UNROLL for (int j = 0; j < MAX_FINISHED; j++) k[j] = v_set((double)c->finished[j]);
    for (int l = 0; l < 2; l++) { /* before an output overwrites t */
        const int64_t i = special[l];
        const REAL *saved = l ? c->at_top : c->at_label;
        if (i < 0 || i >= at.n) continue;
        const class_t cl = {.x = v_set((double)saved[0]),
                            .t = v_set(at.t ? (double)at.t[i] : i == special[0]),
                            .w = v_set(at.weight ? (double)at.weight[i] : 1),
                            .top = at.top == at.first + i ? m_not(m_none()) : m_none(),
                            .has_kept = has_kept,
                            .kept = v_set((double)saved[1])};
        map_vector(&r, &cl, k, p, factor, kernel, out);
        UNROLL for (int j = 0; j < n_out; j++) single[l][j] = out[j][0];
    }
    const int64_t whole = at.out ? 0 : at.n / LANES * LANES;
    for (int64_t i = 0; i < whole; i += LANES) {
        class_t cl = load_common(&at, i, targets, 1);
        cl.has_kept = has_kept;
        if (has_kept) cl.kept = v_load(at.kept + i);
        map_vector(&r, &cl, k, p, factor, kernel, out);
        UNROLL for (int j = 0; j < n_out; j++) if (alone || to[j]) v_store(to[j] + i, out[j]);
    }
    for (int64_t i = whole; i < at.n; i += LANES) {
        class_t cl = load_common(&at, i, targets, 0);
        cl.has_kept = has_kept;
        if (has_kept) cl.kept = load_part(at.kept, i, at.n);
        map_vector(&r, &cl, k, p, factor, kernel, out);
        UNROLL for (int j = 0; j < n_out; j++) if (alone || to[j])
            store_part(to[j], i, at.n, v_where(valid_classes(&at, i), out[j]));
    }
    for (int l = 0; l < 2; l++) {
        if (special[l] < 0 || special[l] >= at.n) continue;
        UNROLL for (int j = 0; j < n_out; j++) if (alone || to[j]) to[j][special[l]] = single[l][j];
    }
}

/* A vector of classes of a short row. */
ALWAYS_INLINE class_t load_short(const classes_t *at, int64_t i) {
    class_t cl = load_common(at, i, TARGETS_OWN, 0);
    if (!at->t) cl.t = v_where(is_class(at, i, at->label), v_one());
    cl.top = is_class(at, i, at->top);
    return cl;
}

/* A row of no more classes than lanes: all of it at once, nothing but the outputs in memory. The same sums, so the same
 * bits. */
ALWAYS_INLINE void short_row(chunk_t *c, sums_fn sums, finish_fn finish, map_fn map, const int n_sums,
                             const int wants_top, const int keeps) {
    enum { STEPS = ROW_LANES / LANES };
    classes_t *const at = &c->at;
    row_t r = load_row(c);
    V p[MAX_CONSTANTS], s[MAX_SUMS], k[MAX_FINISHED], kept[STEPS];
    REAL added[MAX_SUMS][ROW_LANES];
    const int own = at->plain && at->label >= 0; /* all sums but the first are the label's */
    double lanes[MAX_SUMS][ROW_LANES];
    UNROLL for (int j = 0; j < MAX_CONSTANTS; j++) p[j] = v_set((double)c->constants[j]);
    UNROLL for (int j = 0; j < MAX_FINISHED; j++) k[j] = v_zero();
    if (wants_top) {
        V best = v_set(-INFINITY);
        for (int step = 0; step < STEPS; step++) best = v_greater(load_contenders(at, step * LANES), best);
        r.top = v_largest(best);
        for (int step = STEPS - 1; step >= 0; step--) {
            const uint32_t bits = m_bits((load_contenders(at, step * LANES) == r.top) & (r.top > v_set(-INFINITY)));
            if (bits) at->top = step * LANES + __builtin_ctz(bits);
        }
        if (r.top[0] == 0) r.top = v_set((double)at->x[at->top]); /* of two zeros the first */
    }
    for (int step = 0; step < STEPS; step++) {
        V add[MAX_SUMS];
        D wide[DPARTS];
        unit_t u;
        const M valid = valid_classes(at, step * LANES);
        const class_t cl = load_short(at, step * LANES);
        u.outside = m_none();
        sums(&r, &cl, p, add, &u);
        if (keeps) kept[step] = u.kept;
        note_fault_at(c, step * LANES, m_and(u.outside, valid));
        UNROLL for (int j = 0; j < n_sums; j++) {
            if (j > 0) v_store(added[j] + step * LANES, add[j]);
            if (j > 0 && own) continue;
            v_widen(v_where(valid, add[j]), wide);
            for (int d = 0; d < DPARTS; d++) d_store(lanes[j] + step * LANES + d * DLANES, wide[d] + d_set(0));
        }
    }
    UNROLL for (int j = 0; j < n_sums; j++) s[j] =
        v_set(j > 0 && own ? 0 + (double)added[j][at->label] : (double)(REAL)add_lanes(lanes[j]));
    unit_t whole;
    finish(&r, s, p, k, &whole);
    c->value = whole.value[0];
    if (!c->grads[PRED]) return;
    for (int step = 0; step < STEPS; step++) {
        V out[3];
        const M valid = valid_classes(at, step * LANES);
        class_t cl = load_short(at, step * LANES);
        cl.has_kept = keeps;
        if (keeps) cl.kept = kept[step];
        map_vector(&r, &cl, k, p, v_set((double)c->factor), map, out);
        if (step * LANES >= at->n) break;
        store_part(c->grads[PRED], step * LANES, at->n, v_where(valid, out[0]));
        if (c->hess) store_part(c->hess, step * LANES, at->n, v_where(valid, out[2]));
    }
}

/* ---- Rows together ----------------------------------------------------------------------------------------------- */

/* LANES rows at once, each in a lane of its own, so that nothing is done across lanes: for few classes, and for rows
 * that lie side by side. A row's sums are added in the order that they have above, so they have the same bits. */

/* Integers as wide as REAL. */
#ifdef LOSSFN_REAL_F32
typedef int32_t index_t;
#else
typedef int64_t index_t;
#endif

/* LANES rows, class by class: lane l of class c lies at at[c * step + l]. */
typedef struct {
    REAL *at; /* NULL: not there, not wanted */
    int64_t step;
} lanes_t;

typedef struct group {
    int64_t cols;
    lanes_t x, t;                /* t.at NULL: labels, or no target at all */
    const REAL *class_weight;    /* [class], or NULL */
    const REAL *out;             /* [class] nonzero: taken out; or NULL */
    int plain;                   /* as in classes_t */
    int64_t next;                /* lane l of the groups after these lies at x.at[c * x.step + next + l]; 0: unknown */
    const index_t *labels;       /* [lane] from 0, -1 without one */
    const REAL *weight, *factor; /* [lane]; weight 0: not kept */
    REAL constants[MAX_CONSTANTS], classes;
    REAL *values; /* [lane], weighted */
    lanes_t grads[2], hess;
    lanes_t kept;         /* what the sums leave for the map: may lie where grads[PRED] does, even if x does */
    int has_fault;        /* else fault[] holds nothing yet */
    int64_t fault[LANES]; /* first class outside the domain, or -1 */
} group_t;

ALWAYS_INLINE V load_lanes(const lanes_t *from, int64_t c) { return v_load(from->at + c * from->step); }
ALWAYS_INLINE void store_lanes(const lanes_t *to, int64_t c, V x) { v_store(to->at + c * to->step, x); }

OUT_OF_LINE void note_faults(group_t *g, const M *fault, int64_t c) {
    const uint32_t bits = m_bits(*fault);
    for (int l = 0; !g->has_fault && l < LANES; l++) g->fault[l] = -1;
    g->has_fault = 1;
    for (int l = 0; l < LANES; l++)
        if (bits >> l & 1 && g->fault[l] < 0) g->fault[l] = c;
}

/* What is known of a group's rows between the passes. */
typedef struct {
    V top, s[MAX_SUMS], k[MAX_FINISHED];
    I place, label; /* the classes of the largest x, -1 if there is none, and of the label */
    M any_fault;
} rows_state_t;

/* The largest x of each row and its first class. */
ALWAYS_INLINE void tops_together(const group_t *g, rows_state_t *state) {
    V top = v_set(-INFINITY);
    I place = i_set(-1);
    for (int64_t c = 0; c < g->cols; c++) {
        if (g->out && g->out[c] != 0) continue;
        const V x = load_lanes(&g->x, c);
        place = i_select(x > top, i_set((int)c), place);
        top = v_greater(x, top);
    }
    state->top = top;
    state->place = place;
}

/* x of each row's own label, of class 0 without one. */
ALWAYS_INLINE V label_x(const group_t *g, const I label) {
    enum { FEW = 24 }; /* sooner looked through than picked one by one */
    REAL picked[LANES];
    V x = load_lanes(&g->x, 0);
    if (g->cols <= FEW) {
        for (int64_t c = 1; c < g->cols; c++) x = v_select((M)(label == i_set((int)c)), load_lanes(&g->x, c), x);
        return x;
    }
    for (int l = 0; l < LANES; l++) picked[l] = g->x.at[(g->labels[l] < 0 ? 0 : g->labels[l]) * g->x.step + l];
    return v_load(picked);
}

/* What each row's own label adds. */
ALWAYS_INLINE void own_together(const group_t *g, const row_t *r, const rows_state_t *state, const V *p, sums_fn kernel,
                                V *own) {
    class_t cl = {.x = label_x(g, state->label), .t = v_one(), .w = v_one()};
    REAL w[LANES];
    unit_t u;
    for (int l = 0; g->class_weight && l < LANES; l++) w[l] = g->class_weight[g->labels[l] < 0 ? 0 : g->labels[l]];
    if (g->class_weight) cl.w = v_load(w);
    cl.top = (M)(state->place == state->label);
    kernel(r, &cl, p, own, &u);
}

/* The sum of n <= ROW_LANES vectors, in double, in the order that the sums of long rows have. */
ALWAYS_INLINE V add_fold_together(const V *fold, int64_t n) {
    D sums[ROW_LANES / 2][DPARTS], wide[DPARTS];
    UNROLL for (int64_t l = 0; l < ROW_LANES / 2; l++) {
        if (l >= n) break;
        v_widen(fold[l], sums[l]);
        UNROLL for (int d = 0; d < DPARTS; d++) sums[l][d] += d_set(0);
        if (l + ROW_LANES / 2 >= n) continue;
        v_widen(fold[l + ROW_LANES / 2], wide);
        UNROLL for (int d = 0; d < DPARTS; d++) sums[l][d] += wide[d];
    }
    UNROLL for (int64_t half = ROW_LANES / 4; half > 0; half /= 2)
        UNROLL for (int64_t l = 0; l < half; l++) if (l + half < n) UNROLL for (int d = 0; d < DPARTS; d++)
            sums[l][d] += sums[l + half][d];
    return v_narrow(sums[0]);
}

/* The sums of all rows; `keeps` as in row_sums_loop; absent: the rows are plain. */
ALWAYS_INLINE void sums_together(group_t *g, rows_state_t *state, sums_fn sums, const int n_sums, const int keeps,
                                 const int absent) {
    const int n_fold = absent ? 1 : n_sums;
    const M kept = v_load(g->weight) != v_zero();
    const row_t r = {state->top, v_set((double)g->classes)};
    const I place = state->place, label = state->label;
    const int64_t cols = g->cols, n_lanes = cols < ROW_LANES ? cols : ROW_LANES;
    D lanes[MAX_SUMS][ROW_LANES][DPARTS];
    V p[MAX_CONSTANTS], s[MAX_SUMS], own[MAX_SUMS], fold[MAX_SUMS][ROW_LANES];
    M any_fault = m_none();
    UNROLL for (int j = 0; j < MAX_CONSTANTS; j++) p[j] = v_set((double)g->constants[j]);
    if (absent) own_together(g, &r, state, p, sums, own);
    for (int64_t first = 0; first < cols; first += FOLD) {
        const int64_t end = first + FOLD < cols ? first + FOLD : cols;
        for (int64_t c = first; c < end; c++) {
            const int out = g->out && g->out[c] != 0;
            const M is_label = (M)(label == i_set((int)c));
            class_t cl = {.x = load_lanes(&g->x, c), .t = v_zero(), .w = v_one(), .absent = absent};
            unit_t u;
            cl.top = (M)(place == i_set((int)c));
            if (!absent) cl.t = g->t.at ? load_lanes(&g->t, c) : v_where(is_label, v_one());
            if (!absent && g->class_weight) cl.w = v_set((double)g->class_weight[c]);
            u.outside = m_none();
            sums(&r, &cl, p, s, &u);
            if (absent) s[0] = v_select(is_label, own[0], s[0]);
            if (keeps) store_lanes(&g->kept, c, u.kept);
            if (g->next) {
                __builtin_prefetch(g->x.at + c * g->x.step + g->next);
                if (g->grads[PRED].at) __builtin_prefetch(g->grads[PRED].at + c * g->grads[PRED].step, 1);
            }
            const M fault = out ? m_none() : m_and(u.outside, kept);
            if (__builtin_expect(m_any(fault), 0)) {
                any_fault = m_or(any_fault, fault);
                note_faults(g, &fault, c);
            }
            UNROLL for (int j = 0; j < n_fold; j++) {
                V *lane = &fold[j][c % ROW_LANES], add = out ? v_zero() : s[j];
                *lane = c - first < ROW_LANES ? add : *lane + add;
            }
        }
        UNROLL for (int j = 0; j < n_fold; j++) for (int64_t l = 0; cols > FOLD && l < n_lanes; l++) {
            D wide[DPARTS];
            v_widen(first + l < end ? fold[j][l] : v_zero(), wide);
            UNROLL for (int d = 0; d < DPARTS; d++) lanes[j][l][d] = (first ? lanes[j][l][d] : d_set(0)) + wide[d];
        }
    }
    UNROLL for (int j = 0; j < n_fold; j++) {
        if (cols <= FOLD) {
            state->s[j] = add_fold_together(fold[j], n_lanes);
            continue;
        }
        for (int half = ROW_LANES / 2; half > 0; half /= 2)
            for (int64_t l = 0; l < half && l + half < n_lanes; l++)
                UNROLL for (int d = 0; d < DPARTS; d++) lanes[j][l][d] += lanes[j][l + half][d];
        state->s[j] = v_narrow(lanes[j][0]);
    }
    UNROLL for (int j = n_fold; j < n_sums; j++) state->s[j] = v_zero() + own[j];
    state->any_fault = any_fault;
}

/* Weighted values, and k[] for the map. */
ALWAYS_INLINE void finish_together(const group_t *g, rows_state_t *state, finish_fn finish) {
    const row_t r = {state->top, v_set((double)g->classes)};
    const V weight = v_load(g->weight);
    V p[MAX_CONSTANTS];
    unit_t u;
    UNROLL for (int j = 0; j < MAX_CONSTANTS; j++) p[j] = v_set((double)g->constants[j]);
    finish(&r, state->s, p, state->k, &u);
    v_store(g->values, v_where(weight != v_zero(), v_select(state->any_fault, v_set(NAN), u.value) * weight));
}

/* `alone`: only the gradient of pred is wanted. */
ALWAYS_INLINE void map_together(const group_t *g, const rows_state_t *state, map_fn map, const int has_kept,
                                const int alone) {
    const M kept = v_load(g->weight) != v_zero();
    const row_t r = {state->top, v_set((double)g->classes)};
    const V factor = v_load(g->factor);
    const I place = state->place, label = state->label;
    const lanes_t to[3] = {g->grads[PRED], g->grads[TARGET], g->hess};
    const int n_out = alone ? 1 : 3;
    V p[MAX_CONSTANTS], k[MAX_FINISHED], out[3];
    UNROLL for (int j = 0; j < MAX_CONSTANTS; j++) p[j] = v_set((double)g->constants[j]);
    UNROLL for (int j = 0; j < MAX_FINISHED; j++) k[j] = state->k[j];
    for (int64_t c = 0; c < g->cols; c++) {
        const M valid = g->out && g->out[c] != 0 ? m_none() : kept, is_label = (M)(label == i_set((int)c));
        class_t cl = {.x = load_lanes(&g->x, c), .w = v_one(), .has_kept = has_kept};
        cl.t = g->t.at ? load_lanes(&g->t, c) : v_where(is_label, v_one());
        cl.top = (M)(place == i_set((int)c));
        if (g->class_weight) cl.w = v_set((double)g->class_weight[c]);
        if (has_kept) cl.kept = load_lanes(&g->kept, c);
        map_vector(&r, &cl, k, p, factor, map, out);
        UNROLL for (int j = 0; j < n_out; j++) if (alone || to[j].at) store_lanes(&to[j], c, v_where(valid, out[j]));
    }
}

enum { GROUPS_AT_ONCE = 4 };

/* Several groups at once, pass by pass: what one group waits for, another fills. All of them are alike. */
ALWAYS_INLINE void rows_together(group_t *groups, int n, sums_fn sums, finish_fn finish, map_fn map, const int n_sums,
                                 const int wants_top, const int keeps_some) {
    rows_state_t states[GROUPS_AT_ONCE];
    const int keeps = keeps_some && groups->kept.at;
    const int some = groups->grads[PRED].at || groups->grads[TARGET].at || groups->hess.at;
    const int alone = groups->grads[PRED].at && !groups->grads[TARGET].at && !groups->hess.at;
    for (int i = 0; i < n; i++) {
        memcpy(&states[i].label, groups[i].labels, sizeof states[i].label);
        states[i].top = v_set(-INFINITY);
        states[i].place = i_set(-1);
        if (wants_top) tops_together(&groups[i], &states[i]);
    }
    for (int i = 0; i < n; i++) {
        if (keeps_some && keeps && groups->plain)
            sums_together(&groups[i], &states[i], sums, n_sums, 1, 1);
        else if (keeps_some && keeps)
            sums_together(&groups[i], &states[i], sums, n_sums, 1, 0);
        else if (groups->plain)
            sums_together(&groups[i], &states[i], sums, n_sums, 0, 1);
        else
            sums_together(&groups[i], &states[i], sums, n_sums, 0, 0);
    }
    for (int i = 0; i < n; i++) finish_together(&groups[i], &states[i], finish);
    for (int i = 0; some && i < n; i++) {
        if (keeps_some && keeps && alone)
            map_together(&groups[i], &states[i], map, 1, 1);
        else if (keeps_some && keeps)
            map_together(&groups[i], &states[i], map, 1, 0);
        else if (alone)
            map_together(&groups[i], &states[i], map, 0, 1);
        else
            map_together(&groups[i], &states[i], map, 0, 0);
    }
}

/* ---- The functions of a loss ------------------------------------------------------------------------------------- */

typedef struct {
    int n_inputs;
    int is_tuned;
    element_kernel_t elements[LOSSFN__WANTS]; /* by what is wanted; NULL for a loss over rows */
    element_kernel_t tuned[LOSSFN__WANTS];    /* for the default parameters, if it is tuned for them */
    row_kernel_t rows;
} kernel_t;

/* The kernels of this instruction set and dtype: lossfn__mse_avx2_f32 ... */
#define NAME_OF(what)                  NAME_OF_(what, ISA_NAME, REAL_NAME)
#define NAME_OF_(what, isa, real)      NAME_OF__(what, isa, real)
#define NAME_OF__(what, isa, real)     lossfn__##what##_##isa##_##real
#define ELEMENTWISE_LOSS(name, inputs) extern const kernel_t NAME_OF(name);
#define ROWWISE_LOSS(name)             extern const kernel_t NAME_OF(name);
#define WHOLE_ROW_LOSS(name)           extern const kernel_t NAME_OF(name);
#define IN_FAMILY(family)              1
#include "losses/list.h"
#undef ELEMENTWISE_LOSS
#undef ROWWISE_LOSS
#undef WHOLE_ROW_LOSS
#undef IN_FAMILY

/* Where it need not be fast, all loops call the same mathematics instead of each having it inside. */
#define SUMS_OF(name) (UNHURRIED ? name##_sums_apart : name##_sums)
#define MAP_OF(name)  (UNHURRIED ? name##_map_apart : name##_map)

/* A loop for what the classes have of targets: LOOP(name, first, second, targets). Sums need no second. */
#define SUMS_LOOP(name, keeps, unused, targets)                                                                        \
    row_sums_loop(c, SUMS_OF(name), name##_n_sums, name##_n_common, name##_wants_top, keeps, targets)
#define MAP_LOOP(name, has_kept, alone, targets) row_map_loop(c, MAP_OF(name), has_kept, targets, alone)
#define WITH_TARGETS(targets, LOOP, name, first, second)                                                               \
    do {                                                                                                               \
        if (targets == TARGETS_NONE)                                                                                   \
            LOOP(name, first, second, TARGETS_NONE);                                                                   \
        else if (targets == TARGETS_SAME && !UNHURRIED)                                                                \
            LOOP(name, first, second, TARGETS_SAME);                                                                   \
        else                                                                                                           \
            LOOP(name, first, second, TARGETS_OWN);                                                                    \
    } while (0)

#define ROWWISE_FUNCTIONS(name)                                                                                        \
    OUT_OF_LINE void name##_sums_apart(const row_t *r, const class_t *c, const V *p, V *s, unit_t *u) {                \
        name##_sums(r, c, p, s, u);                                                                                    \
    }                                                                                                                  \
    OUT_OF_LINE void name##_map_apart(const row_t *r, const class_t *c, const V *k, const V *p, unit_t *u) {           \
        name##_map(r, c, k, p, u);                                                                                     \
    }                                                                                                                  \
    OUT_OF_LINE void name##_row_sums(chunk_t *c) {                                                                     \
        const int targets = targets_of(&c->at);                                                                        \
        if (name##_keeps && c->at.kept)                                                                                \
            WITH_TARGETS(targets, SUMS_LOOP, name, 1, 0);                                                              \
        else                                                                                                           \
            WITH_TARGETS(targets, SUMS_LOOP, name, 0, 0);                                                              \
    }                                                                                                                  \
    OUT_OF_LINE void name##_row_finish(chunk_t *chunks, int n) {                                                       \
        finish_rows(chunks, n, name##_finish, name##_n_sums);                                                          \
    }                                                                                                                  \
    OUT_OF_LINE void name##_row_map(chunk_t *c) {                                                                      \
        const int alone = c->grads[PRED] && !c->grads[TARGET] && !c->hess;                                             \
        const int targets = alone ? targets_of(&c->at) : TARGETS_OWN;                                                  \
        if (name##_keeps && c->at.kept && alone)                                                                       \
            WITH_TARGETS(targets, MAP_LOOP, name, 1, 1);                                                               \
        else if (name##_keeps && c->at.kept)                                                                           \
            MAP_LOOP(name, 1, 0, TARGETS_OWN);                                                                         \
        else if (alone)                                                                                                \
            WITH_TARGETS(targets, MAP_LOOP, name, 0, 1);                                                               \
        else                                                                                                           \
            MAP_LOOP(name, 0, 0, TARGETS_OWN);                                                                         \
    }                                                                                                                  \
    OUT_OF_LINE void name##_short_row(chunk_t *c) {                                                                    \
        short_row(c, SUMS_OF(name), name##_finish, MAP_OF(name), name##_n_sums, name##_wants_top, name##_keeps);       \
    }                                                                                                                  \
    OUT_OF_LINE void name##_rows_together(group_t *groups, int n) {                                                    \
        rows_together(groups, n, SUMS_OF(name), name##_finish, MAP_OF(name), name##_n_sums, name##_wants_top,          \
                      name##_keeps);                                                                                   \
    }                                                                                                                  \
    OUT_OF_LINE void name##_run_product(whole_row_t *r) { name##_product(r); }                                         \
    const kernel_t NAME_OF(name) = {.rows = {name##_row_sums, name##_row_finish, name##_row_map, name##_short_row,     \
                                             name##_rows_together, name##_wants_top, name##_keeps, name##_run_product, \
                                             NULL}};

/* Those of a loss over whole rows. */
#define WHOLE_ROW_FUNCTIONS(name)                                                                                      \
    OUT_OF_LINE void name##_run_row(whole_row_t *r) { name##_whole_row(r); }                                           \
    const kernel_t NAME_OF(name) = {.rows = {.product = name##_run_row, .whole_row = name##_run_row}};

#endif
