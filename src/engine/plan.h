/* SPDX-License-Identifier: MIT
 * A checked call: what the kernels need of it, without its arguments' ways of saying it. */
#ifndef LOSSFN_ENGINE_PLAN_H
#define LOSSFN_ENGINE_PLAN_H

#include "core/handle.h"
#include "engine/direct.h"
#include "engine/exact.h"
#include "engine/want.h"

/* A tensor as the engine walks it. The leading axes (all of them when elements are walked, the row axes when rows are)
 * are merged where they can be; the class axis stands apart. Strides count elements. */
typedef struct {
    char *data;
    int32_t dtype;
    int32_t item; /* bytes of an element */
    int32_t ndim; /* merged leading axes; 0: one element for all */
    int64_t shape[8];
    int64_t strides[8];
    int64_t class_stride; /* rows: step along the class axis; 0 when it has none */
} lossfn__view_t;

typedef struct {
    const lossfn__term_t *term;
    int32_t n_inputs;
    double scale;       /* what its derivatives are multiplied with: coefficient * upstream / denominator, */
    double unit;        /* in this unit: 1, but where it is beyond the normal doubles */
    double denominator; /* what its mean divides by */
    int32_t is_count;   /* then it is `count`, else the exact `weight`, else (given) the number above */
    int32_t is_given;
    int64_t count;
    lossfn__exact_t weight;
    int32_t margin_labels; /* targets are -1, +1 (0, 1 with labels_01) */
    int32_t labels_01;
    /* Of an outer function of marginals, once they are known: */
    double outer_value;
    const double *offsets[2]; /* what the derivatives of pred and target are less, by class; NULL: nothing */
} lossfn__part_t;

/* What the derivatives of a unit of this weight are multiplied with, before they are rounded to the compute dtype. */
static inline double lossfn__factor(const lossfn__part_t *part, double weight) {
    return weight * part->scale * part->unit;
}

/* A tensor laid along pred's axes: stride 0 where it repeats. */
typedef struct {
    char *data;
    int32_t dtype;
    int64_t strides[8];
} lossfn__layout_t;

/* In what order the elements are walked, where it is not C order: what lies side by side should be met side by side.
 * Of the last two axes, `tile_rows` times `tile_cols` elements at a time (0: no tiles), where some tensors lie the
 * other way round than the rest. */
typedef struct {
    int32_t n; /* 0: C order */
    int32_t axis[8];
    int64_t tile_rows, tile_cols;
} lossfn__order_t;

/* What kernels over whole rows work in may take so many bytes of the stack; longer rows need scratch. */
enum { LOSSFN__WHOLE_ROW_BYTES = 24 * 1024, LOSSFN__WHOLE_ROW_PADDING = 16 };

typedef struct lossfn__plan {
    const lossfn_t *loss;
    lossfn_call_t *call;
    int32_t n_parts;
    int32_t unit;      /* what is walked: elements, or rows with their class axis */
    int32_t is_double; /* compute dtype */
    int64_t units;     /* what threads share: elements (rows of them where rows count), or rows */
    int64_t span;      /* elements of such a unit */
    int64_t rows;      /* of the data: axis 0 of elements */
    int64_t cols;      /* elements of a row, or classes */
    int32_t n_inputs;
    lossfn__view_t inputs[8];
    uint8_t is_constant[8];                     /* a learnable parameter left to its constant */
    uint8_t per_row[8];                         /* rows: the input has one number for each, and so has its gradient */
    int32_t has_far_scale;                      /* of a part, beyond what the compute dtype holds */
    int32_t has_labels;                         /* rows: inputs[1] holds labels */
    int64_t n_labels;                           /* how many there are */
    int32_t has_weight, has_mask, has_upstream; /* upstream: one per value */
    lossfn__view_t weight, mask, upstream;
    double upstream_scalar;
    int32_t want;
    int32_t has_values, has_hess, has_hvp;
    int32_t hess_kind; /* LOSSFN_HESS_ */
    uint8_t has_grad[8];
    uint8_t collects[8]; /* grads[i] belongs to a broadcast input: an exact sum, made in a pass of its own */
    lossfn__view_t values, grads[8], hess, hvp_vector, hvp;
    int32_t reduction;                   /* lossfn__reduction */
    int32_t need_sum;                    /* exact sums are wanted, of rows or of everything */
    int32_t need_total;                  /* and of everything, with per_row */
    int32_t weighs, counts, counts_rows; /* the survey is to find the total weight, how many units are kept (or only
                                            whether any), in how many rows; rows are surveyed for all of it */
    int32_t in_scratch;                  /* rows: what they are staged whole in lies in exec.scratch */
    int32_t product;                     /* rows: only the Hessian-vector product is made */
    int32_t dry;                         /* only look for values outside the domain */
    int32_t collect;                     /* or only the exact sum of this input's gradient; -1 normally */
    int64_t collect_class;               /* rows: of each class from this one on; -1: of all classes */
    int64_t marginals;                   /* or only the weighted sums over the rows of pred, then of target, class by
                                            class: from this one on; -1 normally */
    int32_t streams;                     /* outputs are too large for the caches: they may be written around them */
    int32_t is_large;                    /* data come from memory rather than from a cache */
    const lossfn_exec_t *exec;
    int32_t threads; /* at most */
    /* Kept for passes over slices of the data: pred's shape and how everything lies along it. */
    int32_t ndim;
    int64_t shape[8];
    lossfn__layout_t input_layouts[8], weight_layout, mask_layout, upstream_layout;
    const lossfn_tensor_t *collected[8]; /* the gradients of broadcast inputs */
    lossfn__order_t order;
    int32_t n_sums;
    int32_t is_aliased; /* an output lies on an input */
    int64_t tile;       /* elements that a block should have whole numbers of; 0: any */
    lossfn__part_t parts[LOSSFN__MAX_TERMS];
    lossfn__layout_t grad_layouts[8], values_layout, hess_layout, hvp_vector_layout, hvp_layout;
} lossfn__plan_t;

/* A pass makes an exact sum per part, or of this many columns of a collected gradient or of marginals: a cache line of
 * them. */
enum { LOSSFN__MAX_SUMS = 16 };

/* Marginals, and what outer functions make of them, may take so many numbers of the stack. */
enum { LOSSFN__MARGINALS = 1024 };

/* What one thread finds while it runs over its share of the units; shares are merged in any order. */
typedef struct {
    int64_t fault; /* first element outside the domain, or -1 */
    int32_t fault_part;
    lossfn_status_t status; /* of a callback */
    lossfn__exact_t sums[]; /* n_sums of the plan */
} lossfn__partial_t;

/* What the pre-pass over weights, masks, labels and NaNs finds. */
typedef struct {
    int64_t kept;         /* units */
    int64_t kept_rows;    /* rows with something kept */
    int64_t bad_label;    /* first unit whose label is illegal, or -1 */
    double label;         /* and what it is */
    int64_t label_number; /* the same of integers; of uint64 the bits */
    int64_t nan_index;    /* first kept element that is NaN, or -1 */
    int32_t nan_input;
    int32_t label_part;
    int32_t label_masked;      /* it is the label of a class taken out */
    lossfn__exact_t weights[]; /* total weight, one per part */
} lossfn__survey_t;

/* The engine compiled for one instruction set and compute dtype. Units are half-open ranges. */
typedef struct lossfn__engine {
    void (*run)(const lossfn__plan_t *plan, int64_t begin, int64_t end, lossfn__partial_t *partial);
    /* Returns 0, having written nothing, where a label is out of range or no unit is kept. */
    int (*direct)(lossfn__direct_t *call);
    void (*survey)(const lossfn__plan_t *plan, int64_t begin, int64_t end, lossfn__survey_t *survey);
} lossfn__engine_t;

/* The running call, as user-made losses see it. */
struct lossfn_call {
    char message[256];
    lossfn_status_t status;
};

/* Calls a user's kernel; any failure comes back as a status of the library's, its message in the call. */
lossfn_status_t lossfn__call_user(lossfn_status_t (*kernel)(const lossfn_block_t *), const lossfn_block_t *block);
/* A kernel's status if it is a failure that the library has, else LOSSFN_ERROR_CALLBACK. */
lossfn_status_t lossfn__known_failure(lossfn_status_t status);
/* One number, rounded once to a floating dtype; one number of any dtype. */
void lossfn__store_double(void *to, int32_t dtype, double x);
void lossfn__load_double(const void *from, int32_t dtype, double *x);

/* An element, counted with the last axis fastest. */
double lossfn__element(const lossfn_tensor_t *t, int64_t i);

/* The offset of leading index i in a view, in elements. */
static inline int64_t lossfn__view_offset(const lossfn__view_t *view, int64_t i) {
    if (view->ndim == 1) return i * view->strides[0];
    int64_t offset = 0;
    for (int32_t d = view->ndim - 1; d >= 0; d--) {
        int64_t rest = i / view->shape[d];
        offset += (i - rest * view->shape[d]) * view->strides[d];
        i = rest;
    }
    return offset;
}

/* Whether the inputs are as many as the loss takes, and pred, whose shape decides, is among them. */
lossfn_status_t lossfn__check_given(const lossfn_t *loss, const lossfn_args_t *args);
/* Checks a call and describes it; fails with a message, having written nothing. */
lossfn_status_t lossfn__plan_make(lossfn__plan_t *plan, const lossfn_t *loss, const lossfn_args_t *args);
/* Bytes of exec.scratch that a call needs: for rows that are staged whole, and behind them for marginals. 0: they fit
 * the stack. */
typedef struct {
    int64_t rows, marginals;
} lossfn__scratch_t;
lossfn__scratch_t lossfn__scratch_needed(const lossfn_t *loss, const lossfn_args_t *args);
static inline int64_t lossfn__scratch_size(const lossfn_t *loss, const lossfn_args_t *args) {
    const lossfn__scratch_t needed = lossfn__scratch_needed(loss, args);
    return needed.rows + needed.marginals;
}
/* Whether a loss makes its value of marginals; the classes of such a call, checked or not, else 0. */
int lossfn__takes_marginals(const lossfn_t *loss);
int64_t lossfn__marginal_classes(const lossfn_t *loss, const lossfn_args_t *args);
/* Merges the axes of a layout (all but `apart`, the class axis; -1 for none). */
void lossfn__make_view(lossfn__view_t *view, const lossfn__layout_t *layout, int32_t ndim, const int64_t *shape,
                       int32_t apart);

/* Chooses the order of a plan's walk. */
void lossfn__plan_order(lossfn__plan_t *plan);
/* Piece `index` of a plan that has such an order, itself without one: the elements of each come in that order, in whole
 * tiles or in less than one along each side. Returns 0 after the last. */
int lossfn__plan_piece(lossfn__plan_t *piece, const lossfn__plan_t *plan, int index);
/* The part of a plan that a survey of weight and mask alone has to see: where both repeat along an axis, once. Returns
 * how often all of it comes in the data. */
int64_t lossfn__plan_distinct(lossfn__plan_t *distinct, const lossfn__plan_t *plan);
/* The part of a plan that belongs to element `index` of the gradient of broadcast input j, and to some elements after
 * it along the last axis that it has: they lie along the last axis of the slice. Returns how many they are. */
int32_t lossfn__plan_slice(lossfn__plan_t *slice, const lossfn__plan_t *plan, int32_t j, int64_t index);

#endif
