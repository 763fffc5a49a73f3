/* SPDX-License-Identifier: MIT
 * A created loss. Immutable after creation. */
#ifndef LOSSFN_CORE_HANDLE_H
#define LOSSFN_CORE_HANDLE_H

#include <stdatomic.h>
#include "core/definition.h"

enum lossfn__reduction {
    LOSSFN__MEAN,
    LOSSFN__SUM,
    LOSSFN__NONE,
    LOSSFN__MEAN_UNITS,
    LOSSFN__MEAN_ALL,
    LOSSFN__MEAN_ROWS,
    LOSSFN__PER_ROW
};
/* Whether a reduction gives one value for everything. */
static inline int lossfn__reduces(int32_t reduction) {
    return reduction != LOSSFN__NONE && reduction != LOSSFN__PER_ROW;
}
enum lossfn__nan_policy { LOSSFN__NAN_PROPAGATE, LOSSFN__NAN_IGNORE, LOSSFN__NAN_ERROR };

/* One parameter's value. */
typedef struct {
    double number;   /* DOUBLE, BOOL (0, 1), CHOICE (position); INT rounded */
    int64_t integer; /* INT */
    double *list;    /* LIST; NULL when not set */
    int64_t count;
    uint8_t is_set; /* given by the caller, not the default */
} lossfn__value_t;

/* One term of a loss: coefficient * loss(parameters). */
typedef struct {
    double coefficient;
    const lossfn__definition_t *definition;
    lossfn__value_t values[LOSSFN__MAX_PARAMS];
    double params[LOSSFN__MAX_PARAMS];       /* values as plain numbers, lists 0: what user kernels see */
    double constants[LOSSFN__MAX_CONSTANTS]; /* what built-in kernels see */
    int32_t class_weight, class_mask, label_smoothing, labels; /* index in values, or -1 */
    int32_t is_default;                                        /* every parameter is what it is by default */
    double constant_inputs[LOSSFN_MAX_INPUTS]; /* what stands for a learnable input that a call leaves out */
} lossfn__term_t;

enum { LOSSFN__MAX_TERMS = 8 };

struct lossfn_loss {
    atomic_int references;
    int32_t n_terms;
    /* The union of the terms' inputs, in declared order. Every term takes the first n_inputs of its own of them: terms
     * must agree in name, order and scale class of the inputs that they share. */
    int32_t n_inputs;
    const lossfn__input_t *inputs; /* of the term that declares most */
    int32_t unit;                  /* ROW if any term is of rows */
    /* common options */
    int32_t reduction;
    int32_t axis;
    int32_t has_ignore_index;
    int64_t ignore_index;
    int64_t label_base;
    int32_t nan_policy;
    int32_t domain_error;
    int32_t empty_zero;
    int32_t is_direct;     /* its plain calls go without a plan: engine/direct.h */
    int32_t needs_double;  /* a number that it was given lies beyond float's range */
    uint8_t common_set[8]; /* which common options the caller gave, in the order of the table */
    _Atomic double pace; /* ns that an element of a large call took one thread, 0 not known: how to run the next one */
    uint64_t size;       /* bytes of the allocation, lists included */
    lossfn__term_t terms[]; /* n_terms */
};

#endif
