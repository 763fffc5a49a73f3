/* SPDX-License-Identifier: MIT
 * Losses of elements over a share of the units, block by block: stage inputs, weights and masks, call the kernels, sum
 * exactly, write. */
#ifndef LOSSFN_ENGINE_ELEMENTS_H
#define LOSSFN_ENGINE_ELEMENTS_H

#include "engine/pairs.h"
#include "engine/users.h"

/* ---- Staging ----------------------------------------------------------------------------------------------------- */

/* A tensor that is read block by block. */
typedef struct {
    const lossfn__view_t *view;
    REAL *buffer;     /* NULL where all of it lies as REAL already */
    int64_t period;   /* its elements come again after so many, or 0 */
    int64_t begin, n; /* what the buffer holds */
} source_t;

/* A tensor that is written block by block. */
typedef struct {
    const lossfn__view_t *view; /* NULL: computed, but not written */
    REAL *buffer;               /* of one part, and of the sum of parts; NULL where nothing needs one */
    REAL *total;
} output_t;

/* Blocks: at most what one grid takes, no longer than the buffers fit the first cache, but not too short for that.
 * Where data come from memory, they are short: it rests while a block is computed. */
enum {
    LONGEST_BLOCK = GRID_VECTORS * LANES,
    AT_HAND = 24 * 1024 / sizeof(REAL),
    ROOM = 52 * 1024 / sizeof(REAL),
    MAX_CLAIMS = 40
};

/* A walk over a share of the units. */
typedef struct {
    const lossfn__plan_t *plan;
    lossfn__partial_t *partial;
    source_t inputs[LOSSFN_MAX_INPUTS], weight, mask, upstream;
    REAL *weights; /* weight, mask and what else takes out, where it is not one of them alone */
    REAL *factor, *ones, *hvp, *row_upstream;
    double *row_values;
    int sum, stream, whole_rows; /* whole_rows: a block is made of them, each with a value */
    output_t values, grads[LOSSFN_MAX_INPUTS], hess;
    REAL constants[LOSSFN_MAX_INPUTS][LANES];
    int guesses[LOSSFN__MAX_TERMS], collected; /* grids */
    int64_t block;
    arena_t arena;             /* what is left, for user kernels */
    REAL **claims[MAX_CLAIMS]; /* buffers that are needed */
    int n_claims;
} walk_t;

static void claim(walk_t *w, REAL **buffer) { w->claims[w->n_claims++] = buffer; }

static void read_from(walk_t *w, source_t *s, const lossfn__view_t *view) {
    *s = (source_t){.view = view};
    if (in_place(view, 0)) return;
    if (view->ndim == 0 || view->strides[0] == 0) {
        s->period = 1;
        for (int32_t d = 1; d < view->ndim; d++) s->period *= view->shape[d];
    }
    claim(w, &s->buffer);
}

static void write_to(walk_t *w, output_t *out, const lossfn__view_t *view) {
    *out = (output_t){.view = view};
    if (w->sum || !view || !in_place(view, 0)) claim(w, &out->buffer);
    if (w->sum) claim(w, &out->total);
}

/* Cuts the buffers, `more` of them to come, and the blocks of n units. A block is a whole number of periods, if they
 * are short, so that what repeats is staged once. */
static void lay_out(walk_t *w, REAL *memory, int64_t n, int more) {
    const int needed = w->n_claims + more;
    int64_t length = needed * BLOCK > AT_HAND ? BLOCK : needed ? AT_HAND / needed : LONGEST_BLOCK;
    if (needed && length > ROOM / needed) length = ROOM / needed;
    if (length > LONGEST_BLOCK) length = LONGEST_BLOCK;
    if (needed && w->plan->is_large && w->plan->tile == 0 && length > BLOCK) length = BLOCK;
    if (length > n) length = n + LANES - 1;
    length = length / LANES * LANES;
    w->arena = (arena_t){memory, 0, length};
    for (int i = 0; i < w->n_claims; i++) *w->claims[i] = take(&w->arena);
    w->block = length;
    if (w->plan->tile > 0 && w->plan->tile <= length) {
        w->block = length / w->plan->tile * w->plan->tile;
        return;
    }
    const source_t *sources[LOSSFN_MAX_INPUTS + 3] = {&w->weight, &w->mask, &w->upstream};
    for (int j = 0; j < LOSSFN_MAX_INPUTS; j++) sources[3 + j] = &w->inputs[j];
    for (int i = 0; i < LOSSFN_MAX_INPUTS + 3; i++) {
        int64_t period = sources[i]->period;
        while (period % LANES && period * 2 <= w->block) period *= 2;
        if (period > 1 && period <= w->block) w->block = w->block / period * period;
    }
}

/* The elements [begin, begin + n), where they lie or in their buffer. */
static const REAL *stage(source_t *s, int64_t begin, int64_t n) {
    const REAL *direct = in_place(s->view, begin);
    if (direct) return direct;
    if (s->period && n <= s->n && (begin - s->begin) % s->period == 0) return s->buffer;
    gather(s->buffer, s->view, begin, n);
    s->begin = begin;
    s->n = n;
    return s->buffer;
}

/* Whether units may weigh something else than 1. */
static int is_weighted(const lossfn__plan_t *plan) {
    return plan->has_weight || plan->has_mask || plan->loss->nan_policy == LOSSFN__NAN_IGNORE;
}

static void read_weights(walk_t *w) {
    const lossfn__plan_t *plan = w->plan;
    if (plan->has_weight) read_from(w, &w->weight, &plan->weight);
    if (plan->has_mask && !in_line(&plan->mask)) read_from(w, &w->mask, &plan->mask);
    if (plan->has_mask || plan->loss->nan_policy == LOSSFN__NAN_IGNORE) claim(w, &w->weights);
}

/* Weight of the units [begin, begin + n), whose inputs are in[]: what is not kept has 0. */
static const REAL *stage_weights(walk_t *w, int64_t begin, int64_t n, const REAL *const *in) {
    const lossfn__plan_t *plan = w->plan;
    const REAL *weight = plan->has_weight ? stage(&w->weight, begin, n) : NULL;
    if (plan->has_mask) {
        const lossfn__view_t *mask = &plan->mask;
        if (in_line(mask)) {
            keep_run(w->weights, weight, mask->data + begin * mask->item, mask->dtype, mask->item, n);
        } else {
            const REAL *staged = stage(&w->mask, begin, n);
            if (staged == w->mask.buffer) mend_mask(w->mask.buffer, mask, begin, n);
            keep_run(w->weights, weight, (const char *)staged, REAL_DTYPE, sizeof(REAL), n);
        }
        weight = w->weights;
    }
    if (plan->loss->nan_policy == LOSSFN__NAN_IGNORE) {
        for (int64_t i = 0; i < n; i += LANES) {
            V kept = weight ? load_some(weight, i, n, 0) : v_one();
            for (int j = 0; j < plan->n_inputs; j++)
                if (!plan->is_constant[j]) kept = v_where(m_not(v_isnan(load_some(in[j], i, n, 0))), kept);
            v_store(w->weights + i, kept);
        }
        weight = w->weights;
    }
    return weight;
}

static void read_inputs(walk_t *w, int user) {
    const lossfn__plan_t *plan = w->plan;
    for (int j = 0; j < plan->n_inputs; j++) {
        if (!plan->is_constant[j])
            read_from(w, &w->inputs[j], &plan->inputs[j]);
        else if (user)
            claim(w, &w->inputs[j].buffer);
        else
            w->inputs[j].buffer = w->constants[j];
    }
}

/* Every part has its own. */
static void fill_constants(walk_t *w, const lossfn__part_t *part) {
    const lossfn__plan_t *plan = w->plan;
    for (int j = 0; j < plan->n_inputs; j++) {
        REAL *const buffer = w->inputs[j].buffer;
        const int64_t n = buffer == w->constants[j] ? LANES : w->arena.length;
        if (plan->is_constant[j]) fill(buffer, (REAL)part->term->constant_inputs[j], n);
    }
}

static void stage_inputs(walk_t *w, int64_t begin, int64_t n, const REAL **in) {
    for (int j = 0; j < w->plan->n_inputs; j++)
        in[j] = w->plan->is_constant[j] ? w->inputs[j].buffer : stage(&w->inputs[j], begin, n);
}

/* ---- A block ----------------------------------------------------------------------------------------------------- */

static REAL *place_of(const output_t *out, int64_t begin) { return out->view ? in_place(out->view, begin) : NULL; }

/* Where a part's share of an output goes. */
static REAL *target_of(const walk_t *w, const output_t *out, int64_t begin) {
    REAL *direct = w->sum ? NULL : place_of(out, begin);
    return direct ? direct : out->buffer;
}

/* Adds what a part left in its buffer; the last part's sum goes where the output lies, if it is REAL. */
static void add_up(walk_t *w, output_t *out, int64_t begin, int64_t n, int k, REAL coefficient) {
    REAL *direct = k == w->plan->n_parts - 1 ? place_of(out, begin) : NULL, *to = direct ? direct : out->total;
    const int stream = direct && w->stream;
    for (int64_t i = 0; i < n; i += LANES) {
        const V before = k > 0 ? v_load(out->total + i) : v_zero();
        const V sum = before + v_set((double)coefficient) * v_load(out->buffer + i);
        if (stream && i + LANES <= n)
            put_vector(to + i, sum, 1);
        else
            store_some(to, i, n, sum);
    }
}

static void write_out(const walk_t *w, const output_t *out, int64_t begin, int64_t n) {
    if (!out->view || place_of(out, begin)) return;
    scatter_around(out->view, begin, w->sum ? out->total : out->buffer, n, w->plan->streams);
}

/* The Hessian times a vector, 0 where it is 0. */
static void write_hvp(walk_t *w, int64_t begin, int64_t n) {
    const REAL *direct = place_of(&w->hess, begin);
    const REAL *hess = direct ? direct : w->sum ? w->hess.total : w->hess.buffer;
    gather(w->hvp, &w->plan->hvp_vector, begin, n);
    for (int64_t i = 0; i < n; i += LANES) {
        const V h = load_some(hess, i, n, 0);
        v_store(w->hvp + i, v_where(h != v_zero(), v_load(w->hvp + i) * h));
    }
    scatter(&w->plan->hvp, begin, w->hvp, n);
}

/* The factors of derivatives where each value has its own upstream. */
static void stage_factor(walk_t *w, int64_t begin, int64_t n, const REAL *weight, REAL scale) {
    const REAL *upstream = stage(&w->upstream, begin, n);
    for (int64_t i = 0; i < n; i += LANES)
        v_store(w->factor + i, load_some(weight, i, n, 0) * v_set((double)scale) * load_some(upstream, i, n, 0));
}

/* The same where only the product of weight and scale is a number of the compute dtype. */
static void stage_far_factor(walk_t *w, int64_t begin, int64_t n, const REAL *weight, const lossfn__part_t *part,
                             double upstream) {
    const REAL *each = w->plan->has_upstream ? stage(&w->upstream, begin, n) : NULL;
    for (int64_t i = 0; i < n; i++)
        w->factor[i] = (REAL)(lossfn__factor(part, (double)weight[i]) * (each ? (double)each[i] : upstream));
}

/* The same where each row has. */
static void stage_row_factor(walk_t *w, int64_t begin, int64_t n, const REAL *weight, double scale) {
    const int64_t cols = w->plan->cols;
    gather(w->row_upstream, &w->plan->upstream, begin / cols, n / cols);
    for (int64_t row = 0; row < n / cols; row++) {
        const V factor = v_set((double)(REAL)(scale * (double)w->row_upstream[row]));
        for (int64_t i = row * cols; i < (row + 1) * cols; i += LANES) /* whole vectors, into the next row */
            store_some(w->factor, i, n, load_some(weight, i, n, 0) * factor);
    }
}

/* Adds a part's rows to the values of rows. */
static void sum_rows(walk_t *w, const REAL *values, int64_t n, int k) {
    enum { SOME = 64 };
    const int64_t cols = w->plan->cols, rows = n / cols;
    const double coefficient = w->plan->parts[k].term->coefficient;
    double sums[SOME];
    for (int64_t row = 0; row < rows; row += SOME) {
        const int64_t some = rows - row < SOME ? rows - row : SOME;
        double *const total = w->row_values + row;
        sum_short_rows(values + row * cols, some, cols, w->sum ? sums : total);
        for (int64_t i = 0; w->sum && i < some; i++) total[i] = (k == 0 ? 0 : total[i]) + coefficient * sums[i];
    }
}

static void write_row_values(const walk_t *w, int64_t first, int64_t rows) {
    const lossfn__view_t *view = &w->plan->values;
    char *to = view->data + lossfn__view_offset(view, first) * view->item;
    const int64_t step = view->ndim > 0 ? view->strides[0] : 0;
    if (view->dtype == LOSSFN_F64)
        for (int64_t i = 0; i < rows; i++) ((double *)to)[i * step] = w->row_values[i];
    else if (view->dtype == LOSSFN_F32)
        for (int64_t i = 0; i < rows; i++) ((float *)to)[i * step] = (float)w->row_values[i];
    else
        for (int64_t i = 0; i < rows; i++)
            lossfn__store_double(to + i * step * view->item, view->dtype, w->row_values[i]);
}

/* What a part gives to the gradient of an input that repeats. */
static void add_collected(walk_t *w, const REAL *grad, int64_t n, lossfn__exact_t *sums) {
    const int64_t cols = w->plan->n_sums;
    if (cols == 1)
        deposit(grad, n, &sums[0], &w->collected);
    else
        sum_columns(grad, n / cols, cols, sums);
}

static void run_block(walk_t *w, int64_t begin, int64_t n, double upstream, lossfn__exact_t *sums) {
    const lossfn__plan_t *plan = w->plan;
    lossfn__exact_t discarded;
    block_t b = {.n = n, .factor = w->factor, .stream = w->stream, .ahead = plan->is_large};
    stage_inputs(w, begin, n, b.in);
    b.weight = is_weighted(plan) ? stage_weights(w, begin, n, b.in) : w->ones;
    for (int j = 0; j < plan->n_inputs; j++) b.is_constant[j] = plan->is_constant[j];
    for (int k = 0; k < plan->n_parts; k++) {
        const lossfn__part_t *part = &plan->parts[k];
        const lossfn__definition_t *definition = part->term->definition;
        const int summed = w->whole_rows ? plan->need_total : plan->need_sum && plan->collect < 0;
        if (!summed) lossfn__exact_clear(&discarded);
        b.fault = -1;
        b.scale = (REAL)(part->scale * upstream);
        b.sum = summed ? &sums[k] : &discarded;
        b.grid = w->guesses[k];
        b.values = target_of(w, &w->values, begin);
        for (int j = 0; j < plan->n_inputs; j++)
            b.grads[j] = j < part->n_inputs ? target_of(w, &w->grads[j], begin) : NULL;
        b.hess = target_of(w, &w->hess, begin);
        set_constants(b.constants, plan, part);
        b.tuned = is_tuned_for(plan, part);
        if (plan->n_parts > 1) fill_constants(w, part);
        if (w->row_upstream)
            stage_row_factor(w, begin, n, b.weight, part->scale);
        else if (w->factor && plan->has_far_scale)
            stage_far_factor(w, begin, n, b.weight, part, upstream);
        else if (w->factor)
            stage_factor(w, begin, n, b.weight, b.scale);
        if (definition->user)
            w->partial->status = user_elements(plan, part, &b, w->arena);
        else
            run_kernel(definition->kernel, plan->want, &b);
        if (w->partial->status != LOSSFN_OK) return;
        w->guesses[k] = b.grid;
        if (b.fault >= 0 && (w->partial->fault < 0 || begin + b.fault < w->partial->fault)) {
            w->partial->fault = begin + b.fault;
            w->partial->fault_part = k;
        }
        if (plan->collect >= 0 && plan->collect < part->n_inputs) add_collected(w, b.grads[plan->collect], n, sums);
        if (w->row_values) sum_rows(w, b.values, n, k);
        if (!w->sum || plan->collect >= 0) continue;
        if (w->values.view) add_up(w, &w->values, begin, n, k, (REAL)part->term->coefficient);
        for (int j = 0; j < plan->n_inputs; j++) {
            REAL *const grad = w->grads[j].buffer;
            if (!grad) continue;
            if (j >= part->n_inputs) memset(grad, 0, (size_t)n * sizeof *grad); /* an input of other terms alone */
            add_up(w, &w->grads[j], begin, n, k, 1);
        }
        if (b.hess) add_up(w, &w->hess, begin, n, k, 1);
    }
    if (w->row_values) write_row_values(w, begin / plan->cols, n / plan->cols);
    write_out(w, &w->values, begin, n);
    for (int j = 0; j < plan->n_inputs; j++) write_out(w, &w->grads[j], begin, n);
    if (plan->has_hvp) write_hvp(w, begin, n);
    write_out(w, &w->hess, begin, n);
}

/* ---- A share of the units ---------------------------------------------------------------------------------------- */

/* How many elements from `begin` lie before the first vector boundary of all outputs that lie as REAL, or -1 if these
 * have none in common. */
static int64_t before_boundary(const walk_t *w, int64_t begin) {
    const output_t *outputs[LOSSFN_MAX_INPUTS + 2] = {&w->values, &w->hess};
    int64_t before = -1;
    for (int32_t j = 0; j < w->plan->n_inputs; j++) outputs[2 + j] = &w->grads[j];
    for (int i = 0; i < 2 + w->plan->n_inputs; i++) {
        const uintptr_t at = (uintptr_t)place_of(outputs[i], begin);
        const int64_t own = (int64_t)(-at % VECTOR_BYTES / sizeof(REAL));
        if (at == 0) continue;
        if (before >= 0 && own != before) return -1;
        before = own;
    }
    return before;
}

/* The buffers of derivatives. Returns how many there are. */
static int write_derivatives(walk_t *w) {
    const lossfn__plan_t *plan = w->plan;
    int n = 0;
    for (int j = 0; j < plan->n_inputs; j++) {
        if (!plan->has_grad[j]) continue;
        write_to(w, &w->grads[j], plan->collect < 0 ? &plan->grads[j] : NULL);
        n++;
    }
    if (plan->has_hess || plan->has_hvp) {
        write_to(w, &w->hess, plan->has_hess ? &plan->hess : NULL);
        n++;
    }
    if (plan->has_hvp) claim(w, &w->hvp);
    return n;
}

/* A walk over n units. `whole_rows`: by rows that each have a value. */
static void begin_walk(walk_t *w, const lossfn__plan_t *plan, REAL *memory, int64_t n, lossfn__partial_t *partial,
                       int whole_rows) {
    const int per_row = plan->reduction == LOSSFN__PER_ROW;
    REAL *row_values[2] = {0};
    int user = 0;
    memset(w, 0, offsetof(walk_t, constants));
    w->n_claims = 0;
    w->plan = plan;
    w->partial = partial;
    w->sum = is_sum(plan);
    w->whole_rows = whole_rows;
    w->collected = GRID_NONE;
    for (int k = 0; k < plan->n_parts; k++) {
        w->guesses[k] = GRID_NONE;
        user |= plan->parts[k].term->definition->user != NULL;
    }
    read_inputs(w, user);
    read_weights(w);
    if (plan->has_upstream && whole_rows) claim(w, &w->row_upstream);
    if (plan->has_upstream && !per_row) read_from(w, &w->upstream, &plan->upstream);
    if ((plan->has_upstream || plan->has_far_scale) && (whole_rows || !per_row)) {
        claim(w, &w->factor);
        if (!is_weighted(plan)) claim(w, &w->ones);
    }
    if (plan->has_values && !per_row)
        write_to(w, &w->values, &plan->values);
    else if (user || (plan->has_values && whole_rows))
        write_to(w, &w->values, NULL);
    if (plan->has_values && whole_rows) /* doubles: two of float side by side */
        for (size_t i = 0; i < sizeof(double) / sizeof(REAL); i++) claim(w, &row_values[i]);
    const int outputs = 1 + write_derivatives(w);
    lay_out(w, memory, n, user ? plan->n_inputs + outputs : 0);
    if (whole_rows) w->block = plan->cols * LANES <= w->block ? w->block / plan->cols * plan->cols : 0;
    w->row_values = (double *)row_values[0];
    fill_constants(w, &plan->parts[0]);
    if (w->ones) fill(w->ones, 1, w->arena.length);
}

/* The walk of the pre-pass: of inputs only the target, unless all are wanted. */
static void begin_survey(walk_t *w, const lossfn__plan_t *plan, REAL *memory, int inputs, int target, int64_t n) {
    memset(w, 0, offsetof(walk_t, constants));
    w->n_claims = 0;
    w->plan = plan;
    w->collected = GRID_NONE;
    if (inputs) read_inputs(w, 1);
    if (target && !inputs) read_from(w, &w->inputs[TARGET], &plan->inputs[TARGET]);
    if (is_weighted(plan)) read_weights(w);
    lay_out(w, memory, n, 0);
    if (inputs) fill_constants(w, &plan->parts[0]);
}

/* Elements [begin, end), all derivatives times `upstream`. */
static void run_span(walk_t *w, int64_t begin, int64_t end, double upstream, lossfn__exact_t *sums) {
    const int per_row = w->plan->reduction == LOSSFN__PER_ROW;
    int64_t before = w->plan->streams && !per_row ? before_boundary(w, begin) : -1;
    if (before > 0 && w->plan->tile > 0) before = -1; /* tiles stay whole */
    w->stream = before >= 0;
    for (int64_t i = begin, n; i < end && w->partial->status == LOSSFN_OK; i += n) {
        n = i == begin && before > 0 ? before : w->block;
        if (n > end - i) n = end - i;
        run_block(w, i, n, upstream, sums);
    }
    if (w->plan->streams) stream_fence();
}

static void write_row_value(const lossfn__plan_t *plan, int64_t row, const lossfn__exact_t *sums) {
    double value = 0;
    for (int k = 0; k < plan->n_parts; k++) {
        const double part = lossfn__exact_round(&sums[k]);
        value = k == 0 && !is_sum(plan) ? part : value + plan->parts[k].term->coefficient * part;
    }
    char *to = plan->values.data + lossfn__view_offset(&plan->values, row) * plan->values.item;
    lossfn__store_double(to, plan->values.dtype, value);
}

static void run_elements(const lossfn__plan_t *plan, int64_t begin, int64_t end, lossfn__partial_t *partial) {
    _Alignas(64) REAL memory[ROOM + LANES]; /* whole vectors may be read from the end */
    const int per_row = plan->reduction == LOSSFN__PER_ROW;
    walk_t w;
    begin_walk(&w, plan, memory, (end - begin) * plan->span, partial, per_row && plan->cols > 0 && plan->cols <= BLOCK);
    if (w.whole_rows && w.block == 0) begin_walk(&w, plan, memory, (end - begin) * plan->span, partial, 0);
    if (!per_row || w.whole_rows) {
        run_span(&w, begin * plan->span, end * plan->span, 1, partial->sums);
        return;
    }
    for (int64_t row = begin; row < end && partial->status == LOSSFN_OK; row++) {
        lossfn__exact_t sums[LOSSFN__MAX_TERMS];
        for (int k = 0; k < plan->n_parts; k++) lossfn__exact_clear(&sums[k]);
        const double upstream = plan->has_upstream ? (double)load_one(&plan->upstream, row) : 1;
        run_span(&w, row * plan->cols, (row + 1) * plan->cols, upstream, sums);
        for (int k = 0; plan->need_total && k < plan->n_parts; k++) lossfn__exact_merge(&partial->sums[k], &sums[k]);
        if (plan->has_values) write_row_value(plan, row, sums);
    }
}

#endif
