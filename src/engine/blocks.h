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

/* A built-in loss of elements on a block. */
static inline void run_kernel(int32_t kernel, int32_t want, block_t *b) {
    const kernel_t *k = &kernels[kernel];
    element_block(b->tuned && k->is_tuned ? &k->tuned[want] : &k->elements[want], k->n_inputs, b);
}

/* Whether the parts' outputs must be added up in buffers before they are written. */
static int is_sum(const lossfn__plan_t *plan) { return plan->n_parts > 1 || plan->parts[0].term->coefficient != 1; }

/* Whether a part's parameters, and what stands for its learnable inputs, are what they are by default. */
static int is_tuned_for(const lossfn__plan_t *plan, const lossfn__part_t *part) {
    const lossfn__definition_t *definition = part->term->definition;
    int constant = part->term->is_default && !part->labels_01;
    for (int32_t j = 2; j < part->n_inputs; j++) constant &= !definition->inputs[j].learnable || plan->is_constant[j];
    return constant;
}

static void set_constants(REAL *constants, const lossfn__part_t *part) {
    for (int j = 0; j < MAX_CONSTANTS; j++) constants[j] = (REAL)part->term->constants[j];
    /* bool targets of a margin loss are 0 and 1 whatever `labels` says */
    if (part->labels_01) constants[part->term->labels] = 1;
}

#endif
