/* SPDX-License-Identifier: MIT
 *
 * lossfn/extend.h: losses of your own, with the rights of the built-in ones: weights, masks, reductions, data types,
 * strides, exact sums and (if declared concurrent) threads come from the library.
 *
 *     static lossfn_status_t quartic(const lossfn_block_t *b) {
 *         const double *pred = b->inputs[0], *target = b->inputs[1];
 *         double *value = b->values, *grad = b->grads[0], *hess = b->hess;
 *         for (int64_t i = 0; i < b->count; i++) {
 *             double r = pred[i] - target[i];
 *             if (value) value[i] = r * r * r * r;
 *             if (grad) grad[i] = 4 * r * r * r;
 *             if (hess) hess[i] = 12 * r * r;
 *         }
 *         return LOSSFN_OK;
 *     }
 *     lossfn_vtable_t table;
 *     lossfn_vtable_init(&table);
 *     table.flags = LOSSFN_VTABLE_CONCURRENT | LOSSFN_VTABLE_GRAD | LOSSFN_VTABLE_HESS;
 *     table.elementwise = quartic;
 *     lossfn_register("acme.quartic", &table, NULL, NULL);
 */
#ifndef LOSSFN_EXTEND_H
#define LOSSFN_EXTEND_H

#include "lossfn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a kernel is called with. Arrays are contiguous; dtype is LOSSFN_F64, or LOSSFN_F32 if the vtable offers it and
 * the call computes in it. An output that is not wanted is NULL; the others must be filled whole. */
typedef struct lossfn_block {
    uint64_t struct_size;
    int64_t count; /* elementwise: number of elements, all kept; rowwise: number of rows, all kept */
    int64_t cols;  /* rowwise: classes of a row; elementwise: 1 */
    int32_t dtype;
    int32_t n_inputs;
    /* Elementwise: count elements each. Rowwise: count x cols elements each, the class axis last; labels arrive as a
     * distribution (one-hot), unless the vtable says LABELS: then inputs[1] is NULL and labels[] holds them from 0. */
    const void *inputs[8];
    const int64_t *labels;
    void *values;         /* count */
    void *grads[8];       /* of each input, of its extent: derivative of each unit's value */
    void *hess;           /* of pred's extent */
    const double *params; /* the parameters in the declared order; a list parameter is left out */
    void *user_data;
    struct lossfn_call *call;
} lossfn_block_t;

/* An opaque view of the running call. */
typedef struct lossfn_call lossfn_call_t;

/* Sets the message of the failure that the kernel is about to return; returns `status` (LOSSFN_ERROR_CALLBACK if that
 * is LOSSFN_OK). The text is copied. */
LOSSFN_API lossfn_status_t lossfn_call_fail(lossfn_call_t *call, lossfn_status_t status, const char *text);

enum lossfn_vtable_flag {
    /* May be called on several threads at once, and on threads of the library. Without it the library calls on the
     * caller's thread alone, and who uses a handle from several threads locks. */
    LOSSFN_VTABLE_CONCURRENT = 1,
    LOSSFN_VTABLE_F32 = 2,       /* kernels take LOSSFN_F32 blocks as well */
    LOSSFN_VTABLE_GRAD = 4,      /* grads[0] is filled on request */
    LOSSFN_VTABLE_HESS = 8,      /* hess is filled on request */
    LOSSFN_VTABLE_GRAD_ALL = 16, /* grads[] of every differentiable input is filled on request */
    LOSSFN_VTABLE_LABELS = 32    /* rowwise: labels are wanted as numbers */
};

/* A loss's functions and description. Fields are only ever appended; the library copies min(struct_size, its own) bytes
 * and the strings and arrays behind them, so that the caller's may be on the stack. Exactly one of elementwise, rowwise
 * and run is set.
 *   elementwise  must not depend on how the elements are cut into blocks
 *   rowwise      one value per row
 *   run          does everything itself, outputs, weights and reductions included, on the caller's args
 * A kernel returns LOSSFN_OK or any failure; the call then fails with that status (LOSSFN_ERROR_CALLBACK if it is none
 * of the library's) and the message set by lossfn_call_fail; outputs are then unspecified. */
typedef struct lossfn_vtable {
    uint64_t struct_size;
    uint32_t flags;
    int32_t n_inputs; /* 0 means 2: pred, target */
    const lossfn_input_info_t *inputs;
    int32_t n_params;
    int32_t reserved;
    const lossfn_param_info_t *params; /* lower = upper = 0: no bounds; a list's default_value is NULL, for not set */
    const char *summary;
    const char *formula;
    lossfn_status_t (*elementwise)(const lossfn_block_t *block);
    lossfn_status_t (*rowwise)(const lossfn_block_t *block);
    lossfn_status_t (*run)(void *user_data, const lossfn_t *loss, lossfn_args_t *args, lossfn_call_t *call);
} lossfn_vtable_t;

/* Zeroes all but struct_size. */
LOSSFN_API void lossfn_vtable_init(lossfn_vtable_t *vtable);

typedef void (*lossfn_destroy_t)(void *user_data);

/* Makes a loss known under a name, which must contain a dot (`acme.focal`). destroy(user_data) runs exactly once: when
 * the registration and the last handle made from it are gone, or before this returns if registration fails. Fails with
 * ARGUMENT (name, struct_size, slots), EXISTS, PARAMETER, MEMORY. */
LOSSFN_API lossfn_status_t lossfn_register(const char *name, const lossfn_vtable_t *vtable, void *user_data,
                                           lossfn_destroy_t destroy);
/* Handles made before go on working. NOT_FOUND. */
LOSSFN_API lossfn_status_t lossfn_unregister(const char *name);
/* A handle without a name, otherwise as lossfn_register; options may be NULL. */
LOSSFN_API lossfn_status_t lossfn_create_custom(lossfn_t **out, const lossfn_vtable_t *vtable, void *user_data,
                                                lossfn_destroy_t destroy, const lossfn_options_t *options);

#ifdef __cplusplus
}
#endif
#endif
