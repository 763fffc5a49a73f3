/* SPDX-License-Identifier: MIT
 * How user-made kernels are called. */
#ifndef LOSSFN_ENGINE_USERS_H
#define LOSSFN_ENGINE_USERS_H

#include "engine/blocks.h"

/* Calls a user's elementwise kernel on the kept elements of a block, then weighs and scales what it gives. */
static lossfn_status_t user_elements(const lossfn__plan_t *plan, const lossfn__part_t *part, block_t *b,
                                     arena_t arena) {
    const lossfn_vtable_t *table = part->term->definition->user;
    lossfn_block_t call = {.struct_size = sizeof call, .cols = 1, .dtype = REAL_DTYPE, .n_inputs = part->n_inputs};
    REAL *packed[LOSSFN_MAX_INPUTS], *values = take(&arena), *outputs[LOSSFN_MAX_INPUTS + 1] = {0};
    int64_t kept = 0;
    for (int j = 0; j < part->n_inputs; j++) call.inputs[j] = packed[j] = take(&arena);
    for (int64_t i = 0; i < b->n; i++) {
        if (b->weight && b->weight[i] == 0) continue;
        for (int j = 0; j < part->n_inputs; j++) packed[j][kept] = b->in[j][i];
        kept++;
    }
    call.count = kept;
    call.values = values;
    call.params = part->term->params;
    call.user_data = lossfn__user_data(part->term->definition);
    call.call = plan->call;
    for (int j = 0; j < part->n_inputs; j++)
        if (b->grads[j]) call.grads[j] = outputs[j] = take(&arena);
    if (b->hess) call.hess = outputs[LOSSFN_MAX_INPUTS] = take(&arena);
    if (kept > 0) LOSSFN__TRY(lossfn__call_user(table->elementwise, &call));
    for (int64_t i = 0, from = 0; i < b->n; i++) {
        REAL w = b->weight ? b->weight[i] : 1, factor = b->factor ? b->factor[i] : b->weight ? w * b->scale : b->scale;
        int keep = w != 0;
        b->values[i] = keep ? values[from] * w : 0;
        for (int j = 0; j < part->n_inputs; j++)
            if (b->grads[j]) b->grads[j][i] = keep ? outputs[j][from] * factor : 0;
        if (b->hess) b->hess[i] = keep ? outputs[LOSSFN_MAX_INPUTS][from] * factor : 0;
        from += keep;
    }
    deposit(b->values, b->n, b->sum, &b->grid);
    return LOSSFN_OK;
}

/* A user's rowwise kernel on one row, staged whole; values, gradients and Hessian as it gives them. */
static lossfn_status_t user_row(const lossfn__plan_t *plan, const lossfn__part_t *part, REAL *const *inputs,
                                int64_t label, REAL *value, REAL *const *grads, REAL *hess) {
    const lossfn_vtable_t *table = part->term->definition->user;
    const int numbers = plan->has_labels && table->flags & LOSSFN_VTABLE_LABELS;
    lossfn_block_t call = {
        .struct_size = sizeof call, .count = 1, .cols = plan->cols, .dtype = REAL_DTYPE, .n_inputs = part->n_inputs};
    for (int j = 0; j < part->n_inputs; j++) {
        call.inputs[j] = j == TARGET && numbers ? NULL : inputs[j];
        call.grads[j] = grads[j];
    }
    if (numbers) call.labels = &label;
    call.values = value;
    call.hess = hess;
    call.params = part->term->params;
    call.user_data = lossfn__user_data(part->term->definition);
    call.call = plan->call;
    return lossfn__call_user(table->rowwise, &call);
}

#endif
