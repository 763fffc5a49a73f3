/* SPDX-License-Identifier: MIT
 * A whole call: plan, pre-pass, passes, reduction. */
#ifndef LOSSFN_ENGINE_RUN_H
#define LOSSFN_ENGINE_RUN_H

#include "engine/plan.h"

/* What an accumulator keeps of a term. */
typedef struct {
    lossfn__exact_t sum;
    lossfn__exact_t denominator; /* of its mean; nothing with reduction sum */
    uint64_t kept;               /* units */
} lossfn__total_t;

/* And of the marginals that an outer function takes: the total weight, then weighted sums over the rows of pred and of
 * target, class by class. */
typedef struct {
    int64_t classes;
    lossfn__exact_t *sums;
} lossfn__marginal_sums_t;

/* lossfn_run; totals (one per term) and, if there are some, marginals (cleared before) are what the call adds to an
 * accumulator. Both may be NULL. */
lossfn_status_t lossfn__run(const lossfn_t *loss, lossfn_args_t *args, lossfn__total_t *totals,
                            const lossfn__marginal_sums_t *marginals);

/* The same with scratch from the heap where it is needed: for calls off the hot path. */
lossfn_status_t lossfn__run_allocating(const lossfn_t *loss, lossfn_args_t *args);

/* The everyday form of it, if this is such a call (engine/direct.h) with nothing wrong about it. Otherwise returns 0,
 * having done nothing, and lossfn__run does the rest or says what is wrong. value may be NULL. */
int lossfn__run_everyday(const lossfn_t *loss, const lossfn__asked_t *asked, double *value);

/* The reduced value of term k. Sets *empty if there is nothing to divide by. `room`: four numbers for each class. */
double lossfn__reduce(const lossfn_t *loss, int32_t k, const lossfn__total_t *total,
                      const lossfn__marginal_sums_t *kept, double *room, int *empty);

/* Whether a reduction divides by something. */
static inline int lossfn__is_mean(int32_t reduction) { return reduction != LOSSFN__SUM && lossfn__reduces(reduction); }

#endif
