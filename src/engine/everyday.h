/* SPDX-License-Identifier: MIT
 * Runs a direct call: the kernels on the caller's arrays, with nothing staged. */
#ifndef LOSSFN_ENGINE_EVERYDAY_H
#define LOSSFN_ENGINE_EVERYDAY_H

#include "engine/together.h"

/* Its scale, and its loss's constants. */
static REAL direct_scale(const lossfn__direct_t *call) { return (REAL)(1 / (double)lossfn__direct_count(call)); }

static void direct_constants(const lossfn__direct_t *call, REAL *constants) {
    const double *from = call->loss->terms[0].constants;
    for (int j = 0; j < MAX_CONSTANTS; j++) constants[j] = (REAL)from[j];
}

static int direct_elements(lossfn__direct_t *call) {
    enum { LONGEST = GRID_VECTORS * LANES };
    const lossfn_t *loss = call->loss;
    REAL defaults[LOSSFN_MAX_INPUTS][LANES];
    block_t b;
    call->kept = call->n;
    b.weight = b.factor = b.values = NULL;
    b.stream = 0;
    b.tuned = loss->terms[0].is_default;
    b.scale = direct_scale(call);
    b.sum = &call->sum;
    b.grid = GRID_NONE;
    direct_constants(call, b.constants);
    for (int j = 0; j < loss->n_inputs; j++) {
        b.in[j] = call->inputs[j];
        b.is_constant[j] = !b.in[j];
        b.grads[j] = NULL;
        if (b.in[j]) continue;
        v_store(defaults[j], v_set(loss->constant_inputs[j]));
        b.in[j] = defaults[j];
    }
    b.grads[PRED] = call->grad;
    b.hess = call->hess;
    for (int64_t i = 0; i < call->n; i += LONGEST) {
        b.n = call->n - i < LONGEST ? call->n - i : LONGEST;
        b.fault = -1;
        run_kernel(loss->terms[0].definition->kernel, call->want, &b);
        if (b.fault >= 0 && call->fault < 0) call->fault = i + b.fault;
        for (int j = 0; j < loss->n_inputs; j++)
            if (!b.is_constant[j]) b.in[j] += LONGEST;
        if (b.grads[PRED]) b.grads[PRED] += LONGEST;
        if (b.hess) b.hess += LONGEST;
    }
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
    c.first = 0;
    c.n = call->cols;
    c.classes = (REAL)call->cols;
    c.weight = c.out = NULL;
    c.plain = call->labels && !(smoothing >= 0 && call->loss->terms[0].values[smoothing].number != 0);
    c.factor = d->scale;
    direct_constants(call, c.constants);
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = (row + i) * c.n;
        c.x = (const REAL *)call->inputs[PRED] + at;
        c.t = call->inputs[TARGET] ? (const REAL *)call->inputs[TARGET] + at : NULL;
        c.grads[PRED] = call->grad ? (REAL *)call->grad + at : NULL;
        c.grads[TARGET] = NULL;
        c.hess = call->hess ? (REAL *)call->hess + at : NULL;
        if (!is_kept(d, i)) {
            if (c.grads[PRED]) fill(c.grads[PRED], 0, c.n);
            if (c.hess) fill(c.hess, 0, c.n);
            continue;
        }
        c.label = call->labels ? d->labels[i] : -1;
        c.top = -INFINITY;
        c.top_class = -1;
        c.fault = -1;
        if (c.n <= ROW_LANES) {
            d->kernel->whole(&c);
        } else {
            c.kept = d->kernel->keeps && c.grads[PRED] != c.x && c.grads[PRED] != c.t ? c.grads[PRED] : NULL;
            if (d->kernel->wants_top) chunk_top(&c);
            memset(c.sums, 0, sizeof c.sums);
            d->kernel->sums(&c);
            d->kernel->finish(&c);
            if (c.grads[PRED]) d->kernel->map(&c);
        }
        if (c.fault >= 0) {
            c.value = NAN;
            direct_fault(d->call, row + i, c.fault);
        }
        d->values[d->n_values++] = c.value;
    }
}

/* n rows as a view of them. */
static lossfn__view_t direct_view(const lossfn__direct_t *call, const void *data) {
    lossfn__view_t view;
    view.data = (char *)(uintptr_t)data;
    view.dtype = REAL_DTYPE;
    view.item = sizeof(REAL);
    view.ndim = 1;
    view.shape[0] = call->n / call->cols;
    view.strides[0] = call->cols;
    view.class_stride = 1;
    return view;
}

/* n rows, LANES at a time. */
static void rows_in_groups(direct_rows_t *d, int64_t row, int64_t n) {
    _Alignas(64) REAL tiles[4][TOGETHER * LANES];
    const lossfn__direct_t *call = d->call;
    const void *const arrays[4] = {call->inputs[PRED], call->inputs[TARGET], call->grad, call->hess};
    lossfn__view_t views[4];
    REAL *tile[4];
    group_t g;
    for (int k = 0; k < 4; k++) {
        tile[k] = arrays[k] ? tiles[k] : NULL;
        if (tile[k]) views[k] = direct_view(call, arrays[k]);
    }
    g.cols = call->cols;
    g.x = tile[0];
    g.t = tile[1];
    g.grads[PRED] = tile[2];
    g.grads[TARGET] = NULL;
    g.hess = tile[3];
    g.class_weight = g.out = NULL;
    g.classes = (REAL)call->cols;
    direct_constants(call, g.constants);
    for (int64_t i = 0; i < n; i += LANES) {
        const int64_t some = n - i < LANES ? n - i : LANES;
        for (int64_t l = 0; l < LANES; l++) {
            const int kept = l < some && is_kept(d, i + l);
            g.fault[l] = -1;
            g.labels[l] = kept && call->labels ? d->labels[i + l] : -1;
            g.weight[l] = kept;
            g.factor[l] = kept ? d->scale : 0;
        }
        for (int k = 0; k < 2; k++)
            if (tile[k]) gather_group(tile[k], &views[k], row + i, some, call->cols);
        d->kernel->together(&g);
        for (int64_t l = 0; l < some; l++) {
            if (g.fault[l] >= 0) direct_fault(d->call, row + i + l, g.fault[l]);
            if (is_kept(d, i + l)) d->values[d->n_values++] = g.values[l];
        }
        for (int k = 2; k < 4; k++)
            if (tile[k]) scatter_group(&views[k], row + i, tile[k], some, call->cols);
    }
}

static int direct_rows(lossfn__direct_t *call) {
    const int64_t rows = call->n / call->cols;
    direct_rows_t d;
    int grid = GRID_NONE;
    d.call = call;
    d.kernel = &kernels[call->loss->terms[0].definition->kernel].rows;
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
    /* The fewer vectors: of classes, row by row, or of rows, class by class. */
    const int alone = call->cols > TOGETHER || rows * ((call->cols + LANES - 1) / LANES) < call->cols;
    for (int64_t row = 0; row < rows; row += ROW_BATCH) {
        const int64_t n = rows - row < ROW_BATCH ? rows - row : ROW_BATCH;
        if (call->labels && rows > ROW_BATCH) direct_labels(call, row, n, d.labels);
        d.n_values = 0;
        (alone ? rows_alone : rows_in_groups)(&d, row, n);
        deposit(d.values, d.n_values, &call->sum, &grid);
    }
    return 1;
}

static int run_direct(lossfn__direct_t *call) {
    call->fault = -1;
    lossfn__exact_clear(&call->sum);
    return call->loss->unit == LOSSFN_UNIT_ROW ? direct_rows(call) : direct_elements(call);
}

#endif
