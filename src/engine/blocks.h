/* SPDX-License-Identifier: MIT
 * Buffers of one call on one thread, and what every walk over blocks needs. */
#ifndef LOSSFN_ENGINE_BLOCKS_H
#define LOSSFN_ENGINE_BLOCKS_H

#include "core/registry.h"
#include "core/status.h"
#include "engine/deposit.h"

enum { ARENA = 60 * 1024 / sizeof(REAL), BLOCK = 4096 / sizeof(REAL) };

/* Buffers of one call on one thread, cut from a piece of the stack. */
typedef struct {
    REAL *at;
    int64_t left, length;
} arena_t;

static REAL *take(arena_t *arena) {
    REAL *buffer = arena->at;
    arena->at += arena->length;
    return buffer;
}

static const REAL ones[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

/* Runs the last elements of a block, less than a vector, in padded copies, where lanes past the end have weight 0. The
 * block is lent to them: a copy of what has just been written piece by piece would wait for that to reach the cache. */
OUT_OF_LINE void element_rest(const element_kernel_t *kernel, int n_inputs, block_t *b) {
    const int64_t n = b->n, whole = n / LANES * LANES, fault = b->fault;
    const int rest = (int)(n - whole), stream = b->stream, ahead = b->ahead;
    const REAL *const weights = b->weight, *const factors = b->factor;
    REAL *const value = b->values, *const second = b->hess;
    const REAL *from[MAX_GRADS];
    REAL *to[MAX_GRADS];
    REAL in[MAX_GRADS][LANES], weight[LANES], factor[LANES], values[LANES], grads[MAX_GRADS][LANES], hess[LANES];
    const V w = v_load_first(weights ? weights + whole : ones, rest, v_set(0));
    for (int j = 0; j < n_inputs; j++) {
        from[j] = b->in[j];
        to[j] = b->grads[j];
        if (!b->is_constant[j]) {
            v_store(in[j], v_load_first(from[j] + whole, rest, v_set((double)from[j][n - 1])));
            b->in[j] = in[j];
        }
        if (to[j]) b->grads[j] = grads[j];
    }
    v_store(weight, w);
    v_store(factor, factors ? v_load_first(factors + whole, rest, v_zero()) : w * v_set((double)b->scale));
    b->n = LANES;
    b->stream = b->ahead = 0;
    b->fault = -1;
    b->weight = weight;
    b->factor = factor;
    if (value) b->values = values;
    if (second) b->hess = hess;
    kernel->general(b);
    if (value) v_store_first(value + whole, rest, v_load(values));
    for (int j = 0; j < n_inputs; j++) {
        if (to[j]) v_store_first(to[j] + whole, rest, v_load(grads[j]));
        b->in[j] = from[j];
        b->grads[j] = to[j];
    }
    if (second) v_store_first(second + whole, rest, v_load(hess));
    b->n = n;
    b->stream = stream;
    b->ahead = ahead;
    b->fault = fault >= 0 || b->fault < 0 ? fault : whole + b->fault;
    b->weight = weights;
    b->factor = factors;
    b->values = value;
    b->hess = second;
}

/* A built-in loss of elements on a block: whole vectors where they lie. */
static inline void run_kernel(int32_t kernel, int32_t want, block_t *b) {
    const kernel_t *k = kernels[kernel];
    const element_kernel_t *loops = b->tuned && k->is_tuned ? &k->tuned[want] : &k->elements[want];
    const int64_t n = b->n, whole = n / LANES * LANES;
    if (whole) {
        b->n = whole;
        (b->weight || b->values ? loops->general : loops->plain)(b);
        b->n = n;
    }
    if (whole < n) element_rest(loops, k->n_inputs, b);
}

/* Whether the parts' outputs must be added up in buffers before they are written. */
static int is_sum(const lossfn__plan_t *plan) { return plan->n_parts > 1 || plan->parts[0].term->coefficient != 1; }

/* Whether a part's parameters, and what stands for its learnable inputs, are what they are by default. */
static int is_tuned_for(const lossfn__plan_t *plan, const lossfn__part_t *part) {
    const lossfn__definition_t *definition = part->term->definition;
    int constant = part->term->is_default && !part->labels_01 && plan->hess_kind == LOSSFN_HESS_EXACT;
    for (int32_t j = 2; j < part->n_inputs; j++) constant &= !definition->inputs[j].learnable || plan->is_constant[j];
    return constant;
}

static void set_constants(REAL *constants, const lossfn__plan_t *plan, const lossfn__part_t *part) {
    for (int j = 0; j < LOSSFN__MAX_CONSTANTS; j++) constants[j] = (REAL)part->term->constants[j];
    constants[HESS_KIND] = (REAL)plan->hess_kind;
    /* bool targets of a margin loss are 0 and 1 whatever `labels` says */
    if (part->labels_01) constants[part->term->labels] = 1;
}

#endif
