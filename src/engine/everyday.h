/* SPDX-License-Identifier: MIT
 * Runs a direct call: the kernels on the caller's arrays, with nothing staged. */
#ifndef LOSSFN_ENGINE_EVERYDAY_H
#define LOSSFN_ENGINE_EVERYDAY_H

#include "engine/together.h"

/* Its scale, and its loss's constants. */
static REAL direct_scale(const lossfn__direct_t *call) { return (REAL)(1 / (double)lossfn__direct_count(call)); }

static void direct_constants(const lossfn__direct_t *call, REAL *constants) {
    const double *from = call->loss->terms[0].constants;
    for (int j = 0; j < LOSSFN__MAX_CONSTANTS; j++) constants[j] = (REAL)from[j];
    constants[HESS_KIND] = LOSSFN_HESS_EXACT;
}

/* The sum of one vector of values, if that is all there is to add up. */
INLINE void direct_sum(lossfn__direct_t *call, const REAL *values, int *grid) {
    call->is_double_sum = sum_lanes(values, &call->double_sum);
    if (!call->is_double_sum) deposit(values, LANES, &call->sum, grid);
}

/* Adds values[0..n) to the sum; all: there are no others, and a vector fits. */
static void direct_deposit(lossfn__direct_t *call, REAL *values, int64_t n, int all, int *grid) {
    if (all && n == 1) {
        call->double_sum = 0 + (double)values[0]; /* -0 as +0 */
        call->is_double_sum = __builtin_isfinite(values[0]);
        if (call->is_double_sum) return;
    } else if (all && n <= LANES) {
        for (int64_t i = n; i < LANES; i++) values[i] = 0;
        direct_sum(call, values, grid);
        return;
    }
    deposit(values, n, &call->sum, grid);
}

static int direct_elements(lossfn__direct_t *call) {
    enum { LONGEST = GRID_VECTORS * LANES };
    const lossfn_t *loss = call->loss;
    const lossfn__term_t *term = &loss->terms[0];
    REAL defaults[LOSSFN_MAX_INPUTS][LANES], alone[LANES] = {0};
    block_t b;
    call->kept = call->n;
    b.weight = b.factor = b.values = NULL;
    b.stream = b.ahead = 0;
    b.tuned = term->is_default;
    b.scale = direct_scale(call);
    b.sum = &call->sum;
    b.grid = GRID_NONE;
    b.alone = call->n <= LANES && sizeof(REAL) < sizeof(double) ? alone : NULL;
    direct_constants(call, b.constants);
    for (int j = 0; j < loss->n_inputs; j++) {
        b.in[j] = call->inputs[j];
        b.is_constant[j] = !b.in[j];
        b.grads[j] = NULL;
        if (b.in[j]) continue;
        v_store(defaults[j], v_set(term->constant_inputs[j]));
        b.in[j] = defaults[j];
    }
    b.grads[PRED] = call->grad;
    b.hess = call->hess;
    for (int64_t i = 0;;) {
        b.n = call->n - i < LONGEST ? call->n - i : LONGEST;
        b.fault = -1;
        run_kernel(term->definition->kernel, call->want, &b);
        if (b.fault >= 0 && call->fault < 0) call->fault = i + b.fault;
        i += LONGEST;
        if (i >= call->n) break;
        for (int j = 0; j < loss->n_inputs; j++)
            if (!b.is_constant[j]) b.in[j] += LONGEST;
        if (b.grads[PRED]) b.grads[PRED] += LONGEST;
        if (b.hess) b.hess += LONGEST;
    }
    if (b.alone) direct_sum(call, alone, &b.grid);
    return 1;
}

/* Labels, from 0, of the rows [row, row + n); -1 where the row is ignored. Returns how many are not, or -1 if a label
 * is out of range. */
static int64_t direct_labels(const lossfn__direct_t *call, int64_t row, int64_t n, int64_t *labels) {
    const lossfn_t *loss = call->loss;
    int64_t kept = n;
    int bad = 0;
    switch (call->label_dtype) {
#define DIRECT_LABELS(code, type)                                                                                      \
    case code:                                                                                                         \
        for (int64_t i = 0; i < n; i++) labels[i] = (int64_t)((const type *)call->labels)[row + i];                    \
        break;
        LOSSFN__INTEGER_TYPES(DIRECT_LABELS)
#undef DIRECT_LABELS
    }
    for (int64_t i = 0; i < n; i++) {
        const int fits = call->label_dtype != LOSSFN_U64 || labels[i] >= 0;
        const int ignored = loss->has_ignore_index && fits && labels[i] == loss->ignore_index;
        const uint64_t from_0 = (uint64_t)labels[i] - (uint64_t)loss->label_base;
        bad |= !ignored && (!fits || from_0 >= (uint64_t)call->cols);
        labels[i] = ignored ? -1 : (int64_t)from_0;
        kept -= ignored;
    }
    return bad ? -1 : kept;
}

/* Everything that a direct call keeps between rows. */
typedef struct {
    lossfn__direct_t *call;
    const row_kernel_t *kernel;
    int64_t labels[ROW_BATCH]; /* -1: none, or ignored */
    REAL values[ROW_BATCH];    /* of the kept, to be summed */
    int64_t n_values;
    REAL scale;
} direct_rows_t;

static int is_kept(const direct_rows_t *d, int64_t i) { return !d->call->labels || d->labels[i] >= 0; }

static void direct_fault(lossfn__direct_t *call, int64_t row, int64_t class) {
    const int64_t at = row * call->cols + class;
    if (call->fault < 0 || at < call->fault) call->fault = at;
}

/* n rows, one after the other. */
static void rows_alone(direct_rows_t *d, int64_t row, int64_t n) {
    const lossfn__direct_t *call = d->call;
    const int smoothing = call->loss->terms[0].label_smoothing;
    chunk_t c;
    classes_t *const at = &c.at;
    at->first = 0;
    at->n = call->cols;
    at->weight = at->out = NULL;
    at->plain = call->labels && !(smoothing >= 0 && call->loss->terms[0].values[smoothing].number != 0);
    at->item = sizeof(REAL);
    c.classes = (REAL)call->cols;
    c.factor = d->scale;
    direct_constants(call, c.constants);
    for (int64_t i = 0; i < n; i++) {
        const int64_t begin = (row + i) * at->n;
        at->x = (const REAL *)call->inputs[PRED] + begin;
        at->t = call->inputs[TARGET] ? (const REAL *)call->inputs[TARGET] + begin : NULL;
        at->next[0] = (const char *)at->x;
        at->next[1] = (const char *)at->t;
        c.grads[PRED] = call->grad ? (REAL *)call->grad + begin : NULL;
        c.grads[TARGET] = NULL;
        c.hess = call->hess ? (REAL *)call->hess + begin : NULL;
        if (!is_kept(d, i)) {
            if (c.grads[PRED]) fill(c.grads[PRED], 0, at->n);
            if (c.hess) fill(c.hess, 0, at->n);
            continue;
        }
        at->label = call->labels ? d->labels[i] : -1;
        at->top = -1;
        c.top = -INFINITY;
        c.fault = -1;
        if (at->n <= ROW_LANES) {
            d->kernel->whole(&c);
        } else {
            at->kept = d->kernel->keeps && c.grads[PRED] != at->t ? c.grads[PRED] : NULL;
            if (d->kernel->wants_top) chunk_top(&c);
            d->kernel->sums(&c);
            d->kernel->finish(&c, 1);
            if (c.grads[PRED]) d->kernel->map(&c);
        }
        if (c.fault >= 0) {
            c.value = NAN;
            direct_fault(d->call, row + i, c.fault);
        }
        d->values[d->n_values++] = c.value;
    }
}

static int direct_rows(lossfn__direct_t *call) {
    const int64_t rows = call->n / call->cols;
    direct_rows_t d;
    /* Where there are fewer vectors of rows than of classes, rows together are faster, and a plan does that. */
    if (call->cols <= TOGETHER && rows * ((call->cols + LANES - 1) / LANES) >= call->cols) return 0;
    int grid = GRID_NONE;
    d.call = call;
    d.kernel = &kernels[call->loss->terms[0].definition->kernel]->rows;
    call->kept = rows;
    if (call->labels) /* all of them before anything is written */
        for (int64_t row = 0; row < rows; row += ROW_BATCH) {
            const int64_t n = rows - row < ROW_BATCH ? rows - row : ROW_BATCH;
            const int64_t kept = direct_labels(call, row, n, d.labels);
            if (kept < 0) return 0;
            call->kept -= n - kept;
        }
    if (call->kept == 0) return 0;
    d.scale = direct_scale(call);
    for (int64_t row = 0; row < rows; row += ROW_BATCH) {
        const int64_t n = rows - row < ROW_BATCH ? rows - row : ROW_BATCH;
        if (call->labels && rows > ROW_BATCH) direct_labels(call, row, n, d.labels);
        d.n_values = 0;
        rows_alone(&d, row, n);
        direct_deposit(call, d.values, d.n_values, rows <= ROW_BATCH, &grid);
    }
    return 1;
}

static int run_direct(lossfn__direct_t *call) {
    call->fault = -1;
    call->is_double_sum = 0;
    lossfn__exact_clear(&call->sum);
    return call->loss->unit == LOSSFN_UNIT_ROW ? direct_rows(call) : direct_elements(call);
}

#endif
