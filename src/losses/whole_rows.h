/* SPDX-License-Identifier: MIT
 * The language of losses over whole rows: what sorts, iterates or looks at pairs of classes, takes more than two
 * inputs, or a target with one number per row. Part of formula.h. */
#ifndef LOSSFN_LOSSES_WHOLE_ROWS_H
#define LOSSFN_LOSSES_WHOLE_ROWS_H

enum { MAX_LISTS = 2, MAX_SCRATCH = 8 };

/* One row, staged side by side, without classes that are taken out, its target smoothed. Arrays have room to be read
 * and written in whole vectors past their end. No number is NaN: where one is, everything is NaN, and the loss is not
 * asked. */
typedef struct {
    int64_t n;        /* classes */
    int64_t label;    /* from 0; -1 without one, or if it is smoothed; the target is one-hot (or levels) with one */
    double smoothing; /* of the target: 0 without */
    const REAL *in[LOSSFN_MAX_INPUTS]; /* what has one number per row: in[j][0] */
    const REAL *w;                     /* class weights, 1 without */
    const REAL *lists[MAX_LISTS];      /* the other lists of numbers for each class, as declared; NULL: not given */
    const V *p;                        /* constants */
    REAL *scratch[MAX_SCRATCH];        /* as many as the definition asks for */
    const double *offsets[2];          /* to be taken from the gradients of pred and target, or NULL: OF_MARGINALS */
    int64_t outside;                   /* first class that is outside the domain, or -1; then all results are NaN */
    /* To be filled; NULL: not wanted. */
    REAL value, *grad[LOSSFN_MAX_INPUTS], *hess;
    /* The Hessian-vector product: only that is wanted then. */
    const REAL *vector;
    REAL *product;
} whole_row_t;

#define WHOLE_ROWS(name)  ALWAYS_INLINE void name##_whole_row(whole_row_t *r)
#define ROW_PRODUCT(name) ALWAYS_INLINE void name##_product(whole_row_t *r)

#define EACH_VECTOR(r, i) for (int64_t i = 0; i < (r)->n; i += LANES)

/* One minus a smoothed target, without cancelling where that is of a label's own class. */
ALWAYS_INLINE V row_against(const whole_row_t *r, V t) {
    const V e = v_set(r->smoothing), kept = v_set(1 - r->smoothing), share = v_one() / v_set((double)r->n);
    return v_select(t == smoothed_class(v_one(), e, kept, share), e * (v_one() - share), v_one() - t);
}

/* Which lanes at i hold a class. */
ALWAYS_INLINE M row_holds(const whole_row_t *r, int64_t i) {
    return (M)(i_iota() < i_set((int)(r->n - i < LANES ? r->n - i : LANES)));
}

/* Which lane at i is class c. */
ALWAYS_INLINE M row_is(int64_t i, int64_t c) {
    return (M)(i_iota() == i_set(c >= i && c < i + LANES ? (int)(c - i) : -1));
}

ALWAYS_INLINE void row_put(REAL *to, int64_t i, V x) {
    if (to) v_store(to + i, x);
}

/* Marks classes at i that are outside the domain. */
ALWAYS_INLINE void row_outside(whole_row_t *r, int64_t i, M outside) {
    const uint32_t bits = m_bits(m_and(outside, row_holds(r, i)));
    if (bits && (r->outside < 0 || r->outside > i + __builtin_ctz(bits))) r->outside = i + __builtin_ctz(bits);
}

/* A sum over classes: class c goes to lane c % ROW_LANES, in double; the lanes meet in one fixed tree. */
typedef struct {
    D lanes[ROW_LANES / DLANES];
} row_sum_t;

ALWAYS_INLINE row_sum_t row_sum(void) {
    row_sum_t sum;
    UNROLL for (int k = 0; k < ROW_LANES / DLANES; k++) sum.lanes[k] = d_set(0);
    return sum;
}

/* Adds the lanes at i that hold a class: x as it is, and as DPARTS of double. */
ALWAYS_INLINE void row_add_wide(row_sum_t *sum, int64_t i, const D *wide) {
    D *lanes = &sum->lanes[i % ROW_LANES / DLANES];
    UNROLL for (int d = 0; d < DPARTS; d++) lanes[d] += wide[d];
}
/* Sets what lies past the end to 0. */
ALWAYS_INLINE const D *row_held(const whole_row_t *r, int64_t i, D *wide) {
    D held[DPARTS];
    v_widen(v_where(row_holds(r, i), v_one()), held);
    UNROLL for (int d = 0; d < DPARTS; d++) wide[d] = d_select(held[d] != d_set(0), wide[d], d_set(0));
    return wide;
}
ALWAYS_INLINE void row_add(row_sum_t *sum, const whole_row_t *r, int64_t i, V x) {
    D wide[DPARTS];
    v_widen(v_where(row_holds(r, i), x), wide);
    row_add_wide(sum, i, wide);
}

ALWAYS_INLINE double row_total(const row_sum_t *sum) {
    double lanes[ROW_LANES];
    UNROLL for (int k = 0; k < ROW_LANES / DLANES; k++) d_store(lanes + k * DLANES, sum->lanes[k]);
    return add_lanes(lanes);
}

/* In all lanes, rounded to REAL. */
ALWAYS_INLINE V row_total_v(const row_sum_t *sum) { return v_set((double)(REAL)row_total(sum)); }

/* The same with what the additions lose, as a pair: for what is a difference of such sums. */
typedef struct {
    pair lanes[ROW_LANES / DLANES];
} row_fine_sum_t;
ALWAYS_INLINE row_fine_sum_t row_fine_sum(void) {
    row_fine_sum_t sum;
    for (int k = 0; k < ROW_LANES / DLANES; k++) sum.lanes[k] = pair_of(d_set(0), d_set(0));
    return sum;
}
/* Adds DPARTS of double for the classes at i, of which those count that are not 0 in `counts`. */
ALWAYS_INLINE void row_add_finely(row_fine_sum_t *sum, int64_t i, V counts, const pair *x) {
    D count[DPARTS];
    v_widen(counts, count);
    UNROLL for (int d = 0; d < DPARTS; d++) {
        pair *const lane = &sum->lanes[i % ROW_LANES / DLANES + d];
        *lane = pair_select((L)(count[d] != d_set(0)), fine_sum(*lane, x[d]), *lane);
    }
}
/* In all lanes. */
ALWAYS_INLINE pair row_fine_total(const row_fine_sum_t *sum) {
    pair total = pair_of(d_set(0), d_set(0));
    for (int k = 0; k < ROW_LANES / DLANES; k++)
        for (int l = 0; l < DLANES; l++)
            total = fine_sum(total, pair_of(d_set(sum->lanes[k].hi[l]), d_set(sum->lanes[k].lo[l])));
    return total;
}

/* The largest of x (or of |x|) and the first class that has it, but for `without` (-1: none); -inf and -1 if there is
 * none. */
ALWAYS_INLINE REAL row_top_of(const whole_row_t *r, const REAL *x, int64_t without, int64_t *class, const int size) {
    const V lowest = v_set(-INFINITY);
    V best = lowest;
    EACH_VECTOR(r, i) {
        const V here = size ? v_abs(v_load(x + i)) : v_load(x + i);
        best = v_greater(v_select(m_andnot(row_holds(r, i), row_is(i, without)), here, lowest), best);
    }
    const V top = v_largest(best);
    *class = -1;
    EACH_VECTOR(r, i) {
        const V here = size ? v_abs(v_load(x + i)) : v_load(x + i);
        const uint32_t bits = m_bits(m_andnot(m_and(here == top, row_holds(r, i)), row_is(i, without)));
        if (!bits) continue;
        *class = i + __builtin_ctz(bits);
        return x[*class];
    }
    return top[0];
}
ALWAYS_INLINE REAL row_top(const whole_row_t *r, const REAL *x, int64_t without, int64_t *class) {
    return row_top_of(r, x, without, class, 0);
}

/* Numbers of classes, in an array of REAL. */
typedef int32_t __attribute__((may_alias)) row_index_t;

/* Sorts x[0..n), the smallest first, and carries at[] along, if it is given; both have as much room elsewhere. Short
 * runs by insertion, then merged from one array into the other, without branches on what is compared. */
static inline __attribute__((unused)) void row_sort(REAL *x, REAL *room, row_index_t *at, row_index_t *at_room,
                                                    int64_t n) {
    enum { RUN = 8 };
    REAL *const home = x;
    row_index_t *const at_home = at;
    for (int64_t begin = 0; begin < n; begin += RUN)
        for (int64_t i = begin + 1; i < n && i < begin + RUN; i++) {
            const REAL moved = x[i];
            const row_index_t from = at ? at[i] : 0;
            int64_t k = i;
            for (; k > begin && moved < x[k - 1]; k--) {
                x[k] = x[k - 1];
                if (at) at[k] = at[k - 1];
            }
            x[k] = moved;
            if (at) at[k] = from;
        }
    for (int64_t run = RUN; run < n; run *= 2) {
        for (int64_t begin = 0; begin < n; begin += 2 * run) {
            const int64_t middle = begin + run < n ? begin + run : n, end = middle + run < n ? middle + run : n;
            int64_t first = begin, second = middle;
            for (int64_t k = begin; k < end; k++) {
                /* what is not in the second run is read, but does not count */
                const int64_t other = second < end ? second : first;
                const int later = (first == middle) | ((second < end) & (x[other] < x[first < middle ? first : begin]));
                const int64_t from = later ? second : first;
                room[k] = x[from];
                if (at) at_room[k] = at[from];
                first += !later, second += later;
            }
        }
        REAL *const x_before = x;
        row_index_t *const at_before = at;
        x = room, room = x_before;
        at = at_room, at_room = at_before;
    }
    if (x == home) return;
    memcpy(home, x, (size_t)n * sizeof *x);
    if (at) memcpy(at_home, at, (size_t)n * sizeof *at);
}

#endif
