/* SPDX-License-Identifier: MIT
 * Losses of elements over a share of the units, block by block: stage inputs, weights and masks, call the kernels, sum
 * exactly, write. */
#ifndef LOSSFN_ENGINE_ELEMENTS_H
#define LOSSFN_ENGINE_ELEMENTS_H

#include "engine/users.h"

/* Weight of the units [begin, begin + n): what is not kept gets 0. Both buffers have room for whole vectors. */
static void stage_weights(const lossfn__plan_t *plan, int64_t begin, int64_t n, const REAL *const *in, REAL *weight,
                          REAL *buffer) {
    if (plan->has_weight)
        gather(weight, &plan->weight, begin, n);
    else
        fill(weight, 1, n);
    if (plan->has_mask) {
        gather(buffer, &plan->mask, begin, n);
        for (int64_t i = 0; i < n; i += LANES)
            v_store(weight + i, v_where(v_load(buffer + i) != v_zero(), v_load(weight + i)));
    }
    if (plan->loss->nan_policy == LOSSFN__NAN_IGNORE)
        for (int j = 0; j < plan->n_inputs; j++)
            for (int64_t i = 0; i < n; i++)
                if (in[j][i] != in[j][i]) weight[i] = 0;
}

static int stages_weights(const lossfn__plan_t *plan) {
    return plan->has_weight || plan->has_mask || plan->loss->nan_policy == LOSSFN__NAN_IGNORE;
}

/* The same, where they lie if they are all there is to it. */
static const REAL *weights_of(const lossfn__plan_t *plan, int64_t begin, int64_t n, const REAL *const *in, REAL *weight,
                              REAL *buffer) {
    const REAL *direct = NULL;
    if (plan->has_weight && !plan->has_mask && plan->loss->nan_policy != LOSSFN__NAN_IGNORE)
        direct = in_place(&plan->weight, begin);
    if (!direct) stage_weights(plan, begin, n, in, weight, buffer);
    return direct ? direct : weight;
}

/* Inputs of the elements [begin, begin + n), where they lie or in their buffers. */
static void stage_inputs(const lossfn__plan_t *plan, int64_t begin, int64_t n, REAL *const *buffers, const REAL **in,
                         int copy) {
    for (int j = 0; j < plan->n_inputs; j++) {
        in[j] = buffers[j];
        if (plan->is_constant[j]) continue; /* filled once */
        const REAL *direct = copy ? NULL : in_place(&plan->inputs[j], begin);
        if (direct)
            in[j] = direct;
        else
            gather(buffers[j], &plan->inputs[j], begin, n);
    }
}

/* How many elements from `begin` lie before the first vector boundary of all outputs, or -1 if these have none in
 * common. */
static int64_t before_boundary(const lossfn__plan_t *plan, int64_t begin) {
    const lossfn__view_t *outputs[LOSSFN_MAX_INPUTS + 2];
    int64_t before = -1;
    int n = 0;
    for (int32_t j = 0; j < plan->n_inputs; j++)
        if (plan->has_grad[j]) outputs[n++] = &plan->grads[j];
    if (plan->has_hess) outputs[n++] = &plan->hess;
    if (plan->has_values) outputs[n++] = &plan->values;
    for (int i = 0; i < n; i++) {
        uintptr_t at = (uintptr_t)in_place(outputs[i], begin);
        int64_t own = (int64_t)(-at % VECTOR_BYTES / sizeof(REAL));
        if (at == 0 || (i > 0 && own != before)) return -1;
        before = own;
    }
    return before;
}

/* Whether nothing needs a buffer: then blocks need not be short. */
static int is_all_in_place(const lossfn__plan_t *plan) {
    if (is_sum(plan) || plan->parts[0].term->definition->user || plan->has_upstream || plan->has_mask ||
        plan->has_hvp || plan->dry || plan->collect >= 0 || plan->loss->nan_policy == LOSSFN__NAN_IGNORE ||
        plan->reduction == LOSSFN__PER_ROW)
        return 0;
    if ((plan->has_weight && !in_place(&plan->weight, 0)) || (plan->has_values && !in_place(&plan->values, 0)) ||
        (plan->has_hess && !in_place(&plan->hess, 0)))
        return 0;
    for (int j = 0; j < plan->n_inputs; j++)
        if ((!plan->is_constant[j] && !in_place(&plan->inputs[j], 0)) ||
            (plan->has_grad[j] && !in_place(&plan->grads[j], 0)))
            return 0;
    return 1;
}

/* Elements [begin, end), all derivatives times `upstream`. */
static void run_span(const lossfn__plan_t *plan, int64_t begin, int64_t end, double upstream,
                     lossfn__partial_t *partial, lossfn__exact_t *sums) {
    _Alignas(64) REAL memory[ARENA];
    const int sum = is_sum(plan), weights = stages_weights(plan) || plan->has_upstream;
    const int per_row = plan->reduction == LOSSFN__PER_ROW;
    REAL *buffers[LOSSFN_MAX_INPUTS], *weight = NULL, *factor = NULL, *spare;
    const REAL *weighing = NULL;
    REAL *values, *grads[LOSSFN_MAX_INPUTS] = {0}, *hess = NULL;
    REAL *total_values = NULL, *total_grads[LOSSFN_MAX_INPUTS] = {0}, *total_hess = NULL;
    lossfn__exact_t discarded;
    int guesses[LOSSFN__MAX_TERMS], collected = GRID_NONE, user = 0, outputs = 1 + (plan->has_hess || plan->has_hvp);
    lossfn__exact_clear(&discarded);
    for (int j = 0; j < plan->n_inputs; j++) outputs += plan->has_grad[j];
    for (int k = 0; k < plan->n_parts; k++) {
        guesses[k] = GRID_NONE;
        if (plan->parts[k].term->definition->user) user = plan->n_inputs + outputs;
    }
    int needed = plan->n_inputs + 4 + outputs * (1 + sum) + user;
    arena_t arena = {memory, ARENA, ARENA / needed / LANES * LANES};
    if (arena.length > BLOCK) arena.length = BLOCK;
    if (arena.length > end - begin) arena.length = (end - begin + LANES - 1) / LANES * LANES;
    const int64_t block = is_all_in_place(plan) ? GRID_VECTORS * LANES : arena.length;
    for (int j = 0; j < plan->n_inputs; j++) {
        buffers[j] = take(&arena);
        if (plan->is_constant[j]) fill(buffers[j], (REAL)plan->constant[j], arena.length);
    }
    spare = take(&arena);
    if (weights) weight = take(&arena);
    if (plan->has_upstream && !per_row) factor = take(&arena);
    values = take(&arena);
    for (int j = 0; j < plan->n_inputs; j++)
        if (plan->has_grad[j]) grads[j] = take(&arena);
    if (plan->has_hess || plan->has_hvp) hess = take(&arena);
    if (sum) {
        total_values = take(&arena);
        for (int j = 0; j < plan->n_inputs; j++)
            if (plan->has_grad[j]) total_grads[j] = take(&arena);
        if (hess) total_hess = take(&arena);
    }
    const int64_t before = plan->streams && !sum && !plan->has_hvp && !per_row ? before_boundary(plan, begin) : -1;
    for (int64_t i = begin, n; i < end; i += n) {
        n = i == begin && before > 0 ? before : block;
        if (n > end - i) n = end - i;
        block_t b = {.n = n, .factor = factor, .stream = before >= 0};
        stage_inputs(plan, i, n, buffers, b.in, sum);
        for (int j = 0; j < plan->n_inputs; j++) b.is_constant[j] = plan->is_constant[j];
        if (weights) b.weight = weighing = weights_of(plan, i, n, b.in, weight, spare);
        if (sum) {
            fill(total_values, 0, n);
            for (int j = 0; j < plan->n_inputs; j++)
                if (total_grads[j]) fill(total_grads[j], 0, n);
            if (total_hess) fill(total_hess, 0, n);
        }
        for (int k = 0; k < plan->n_parts; k++) {
            const lossfn__part_t *part = &plan->parts[k];
            const lossfn__definition_t *definition = part->term->definition;
            b.fault = -1;
            b.scale = (REAL)(part->scale * upstream);
            if (factor) {
                gather(factor, &plan->upstream, i, n);
                for (int64_t e = 0; e < n; e += LANES)
                    v_store(factor + e, load_some(weighing, e, n, 0) * v_set(b.scale) * v_load(factor + e));
            }
            REAL *direct = sum || plan->dry || per_row || !plan->has_values ? NULL : in_place(&plan->values, i);
            b.values = direct                                                                    ? direct
                       : sum || definition->user || (plan->has_values && !plan->dry && !per_row) ? values
                                                                                                 : NULL;
            b.sum = &discarded;
            b.grid = guesses[k];
            if (plan->need_sum && plan->collect < 0) b.sum = &sums[k];
            for (int j = 0; j < plan->n_inputs; j++) {
                direct = sum || !plan->has_grad[j] || plan->collect >= 0 ? NULL : in_place(&plan->grads[j], i);
                b.grads[j] = j >= part->n_inputs ? NULL : direct ? direct : grads[j];
            }
            direct = sum || !plan->has_hess || plan->has_hvp ? NULL : in_place(&plan->hess, i);
            b.hess = direct ? direct : hess;
            set_constants(b.constants, part);
            b.tuned = is_tuned_for(plan, part);
            if (definition->user) {
                lossfn_status_t status = user_elements(plan, part, &b, arena);
                if (status != LOSSFN_OK) {
                    partial->status = status;
                    return;
                }
            } else {
                run_kernel(definition->kernel, plan->want, &b);
            }
            if (b.fault >= 0 && (partial->fault < 0 || i + b.fault < partial->fault)) {
                partial->fault = i + b.fault;
                partial->fault_part = k;
            }
            if (plan->collect >= 0) { /* only the exact sum of one gradient is wanted */
                if (plan->collect < part->n_inputs) deposit(b.grads[plan->collect], n, &sums[0], &collected);
                continue;
            }
            guesses[k] = b.grid;
            if (sum) {
                REAL coefficient = (REAL)part->term->coefficient;
                for (int64_t e = 0; e < n; e++)
                    if (!weights || weighing[e] != 0) total_values[e] += coefficient * b.values[e];
                for (int j = 0; j < part->n_inputs; j++)
                    if (total_grads[j])
                        for (int64_t e = 0; e < n; e++) total_grads[j][e] += b.grads[j][e];
                if (total_hess)
                    for (int64_t e = 0; e < n; e++) total_hess[e] += b.hess[e];
            } else {
                total_values = b.values;
                for (int j = 0; j < plan->n_inputs; j++) total_grads[j] = b.grads[j];
                total_hess = b.hess;
            }
        }
        if (plan->dry || plan->collect >= 0) continue;
        if (plan->has_values && !per_row && total_values != in_place(&plan->values, i))
            scatter(&plan->values, i, total_values, n);
        for (int j = 0; j < plan->n_inputs; j++)
            if (plan->has_grad[j] && total_grads[j] != in_place(&plan->grads[j], i))
                scatter(&plan->grads[j], i, total_grads[j], n);
        if (plan->has_hvp) {
            gather(spare, &plan->hvp_vector, i, n);
            for (int64_t e = 0; e < n; e++) spare[e] = total_hess[e] == 0 ? 0 : spare[e] * total_hess[e];
            scatter(&plan->hvp, i, spare, n);
        }
        if (plan->has_hess && total_hess != in_place(&plan->hess, i)) scatter(&plan->hess, i, total_hess, n);
    }
    if (before >= 0) stream_fence();
}

static void run_elements(const lossfn__plan_t *plan, int64_t begin, int64_t end, lossfn__partial_t *partial) {
    if (plan->reduction != LOSSFN__PER_ROW) {
        run_span(plan, begin * plan->span, end * plan->span, 1, partial, partial->sums);
        return;
    }
    for (int64_t row = begin; row < end && partial->status == LOSSFN_OK; row++) {
        lossfn__exact_t sums[LOSSFN__MAX_TERMS];
        double value = 0;
        for (int k = 0; k < plan->n_parts; k++) lossfn__exact_clear(&sums[k]);
        double upstream = plan->has_upstream ? (double)load_one(&plan->upstream, row) : 1;
        run_span(plan, row * plan->cols, (row + 1) * plan->cols, upstream, partial, sums);
        for (int k = 0; k < plan->n_parts; k++) {
            double part = lossfn__exact_round(&sums[k]);
            value = k == 0 && !is_sum(plan) ? part : value + plan->parts[k].term->coefficient * part;
            if (plan->need_total) lossfn__exact_merge(&partial->sums[k], &sums[k]);
        }
        if (plan->has_values && !plan->dry) {
            char *to = plan->values.data + lossfn__view_offset(&plan->values, row) * plan->values.item;
            lossfn__store_double(to, plan->values.dtype, value);
        }
    }
}

#endif
