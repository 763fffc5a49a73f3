/* SPDX-License-Identifier: MIT
 * The call that is made again and again while a best prediction is sought. */
#ifndef LOSSFN_API_SEARCH_H
#define LOSSFN_API_SEARCH_H
#include "core/handle.h"

typedef struct {
    const lossfn_t *loss;
    lossfn_args_t args; /* the caller's inputs, weight and mask; pred and the outputs are ours */
    lossfn_tensor_t pred, grad, values;
    int64_t n;
    double *memory, *slopes, one;
    uint64_t size;
} lossfn__search_t;

/* Room for `arrays` arrays of pred's length. What is asked is checked first, as it stands. */
lossfn_status_t lossfn__search_begin(lossfn__search_t *s, const lossfn_t *loss, const lossfn_args_t *args, int arrays);
void lossfn__search_end(lossfn__search_t *s);

/* A prediction for each class: out has as many. */
lossfn_status_t lossfn__best_row(const lossfn_t *loss, const lossfn_args_t *args, double *out);

#endif
