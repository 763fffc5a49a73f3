/* SPDX-License-Identifier: MIT */
#include "api/search.h"
#include <string.h>
#include "core/memory.h"
#include "core/status.h"
#include "core/tensor.h"
#include "engine/plan.h"
#include "engine/run.h"

void lossfn__search_end(lossfn__search_t *s) { lossfn__free(s->memory, s->size); }

lossfn_status_t lossfn__search_begin(lossfn__search_t *s, const lossfn_t *loss, const lossfn_args_t *args, int arrays) {
    static const double zero;
    int64_t strides[LOSSFN_MAX_DIMS] = {0};
    memset(s, 0, sizeof *s);
    s->loss = loss;
    s->one = 1;
    lossfn_args_init(&s->args);
    const lossfn_tensor_t *pred = args->inputs[0];
    s->n = lossfn__tensor_count(pred);
    s->args.n_inputs = args->n_inputs;
    memcpy(s->args.inputs, args->inputs, sizeof s->args.inputs);
    s->args.weight = args->weight;
    s->args.mask = args->mask;
    if (lossfn__is_mean(loss->reduction)) s->args.denominator = &s->one; /* a factor does not move an optimum */
    s->size = ((uint64_t)s->n * (uint64_t)arrays + 1) * sizeof(double);
    s->memory = lossfn__allocate(s->size);
    if (!s->memory)
        return lossfn__fail(LOSSFN_ERROR_MEMORY, "out of memory for %lld numbers", (long long)s->n * arrays);
    s->slopes = s->memory;
    memset(s->memory, 0, s->size);
    lossfn_status_t status = lossfn_tensor_init(&s->grad, s->slopes, LOSSFN_F64, pred->ndim, pred->shape);
    if (status == LOSSFN_OK)
        status = lossfn_tensor_init_strided(&s->pred, (void *)(uintptr_t)&zero, LOSSFN_F64, pred->ndim, pred->shape,
                                            strides, LOSSFN_TENSOR_READONLY);
    if (status != LOSSFN_OK) return lossfn__search_end(s), status;
    s->args.inputs[0] = &s->pred;
    s->args.grads[0] = &s->grad;
    return LOSSFN_OK;
}
