/* SPDX-License-Identifier: MIT
 *
 * lossfn: loss functions with value, gradient and Hessian in one pass. This header is for those who use losses;
 * lossfn/extend.h is for those who write their own.
 *
 *     #include <lossfn/lossfn.h>
 *
 *     float pred[3] = {1, 2, 4}, target[3] = {1, 2, 3}, grad[3];
 *     int64_t shape[1] = {3};
 *     double value;
 *     lossfn_tensor_t p, t, g;
 *     lossfn_t *huber;
 *
 *     lossfn_tensor_init_const(&p, pred, LOSSFN_F32, 1, shape);
 *     lossfn_tensor_init_const(&t, target, LOSSFN_F32, 1, shape);
 *     lossfn_tensor_init(&g, grad, LOSSFN_F32, 1, shape);
 *     if (lossfn_create(&huber, "huber(delta=1.5)") != LOSSFN_OK) { puts(lossfn_last_error()); exit(1); }
 *     lossfn_forward_backward(huber, &p, &t, NULL, &value, &g, NULL);     // value = mean, grad = its gradient
 *     lossfn_destroy(huber);
 *
 * Words: pred the prediction, target, weight, mask (nonzero = kept), value the loss, grad a derivative with respect to
 * an input, hess the diagonal of the second derivative with respect to pred, unit what has one value (an element, or a
 * row of classes), row what lies along the class axis; of a loss of elements one position of axis 0 with all that
 * follows (a scalar is one row), kept = neither masked nor ignored and of weight other than 0.
 *
 * Threads: every function may be called from any thread. A lossfn_t is immutable and may be used by any number of
 * threads at once (if user-made: lossfn/extend.h); options and accumulators by one at a time.
 * Errors: a function that can fail returns a lossfn_status_t, ARGUMENT where a pointer is NULL that must not be and
 * MEMORY where it allocates, beside what stands at the function. A failed call leaves all outputs as they were, but
 * where a user-made loss fails; lossfn_last_error() says what was wrong. Nothing aborts, prints, or changes errno, the
 * locale or the floating-point environment.
 * Structs that begin with struct_size are filled by their _init function; those without one are zeroed by the caller,
 * who sets struct_size to their sizeof before the call.
 * Ownership: what a function returns through `T **out` is released by the matching _destroy (which accepts NULL);
 * everything else stays its owner's. Strings are UTF-8, end in NUL and belong to the library unless said otherwise. */
#ifndef LOSSFN_LOSSFN_H
#define LOSSFN_LOSSFN_H

#include <stdint.h>
#include "version.h"

#if defined(SWIG) || defined(LOSSFN_STATIC)
#define LOSSFN_API
#elif defined(_WIN32)
#ifdef LOSSFN_BUILDING
#define LOSSFN_API __declspec(dllexport)
#else
#define LOSSFN_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define LOSSFN_API __attribute__((visibility("default")))
#else
#define LOSSFN_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Version and instruction set -------------------------------------------------------------------------------- */

/* The library's version as 10000 * major + 100 * minor + patch, as text, and its ABI number. */
LOSSFN_API int32_t lossfn_version(void);
LOSSFN_API const char *lossfn_version_string(void);
LOSSFN_API int32_t lossfn_abi_version(void);

/* The instruction set in use: "avx512", "avx2", "neon" or "baseline". It is chosen once, by what the processor can do
 * or by the environment variable LOSSFN_ISA; results do not depend on it. An impossible LOSSFN_ISA gives "unsupported",
 * and lossfn_create fails and says why. */
LOSSFN_API const char *lossfn_isa(void);
/* The i-th instruction set that this machine can run, best first; NULL past the end. */
LOSSFN_API const char *lossfn_isa_at(int32_t i);

/* ---- Status ----------------------------------------------------------------------------------------------------- */

typedef int32_t lossfn_status_t;

/* X(name, number, text). Numbers are never reused. */
#define LOSSFN_STATUS_TABLE(X)                                                                                         \
    X(LOSSFN_OK, 0, "success")                                                                                         \
    X(LOSSFN_ERROR_ARGUMENT, -1, "invalid argument")                                                                   \
    X(LOSSFN_ERROR_SPEC, -2, "malformed spec")                                                                         \
    X(LOSSFN_ERROR_PARAMETER, -3, "parameter out of its bounds or of the wrong type")                                  \
    X(LOSSFN_ERROR_NOT_FOUND, -4, "unknown name")                                                                      \
    X(LOSSFN_ERROR_EXISTS, -5, "name already in use")                                                                  \
    X(LOSSFN_ERROR_SHAPE, -6, "shapes do not fit")                                                                     \
    X(LOSSFN_ERROR_DTYPE, -7, "unsupported data type")                                                                 \
    X(LOSSFN_ERROR_LABEL, -8, "label out of range")                                                                    \
    X(LOSSFN_ERROR_DOMAIN, -9, "value outside the domain")                                                             \
    X(LOSSFN_ERROR_ALIAS, -10, "output overlaps another array")                                                        \
    X(LOSSFN_ERROR_UNSUPPORTED, -11, "not offered by this loss")                                                       \
    X(LOSSFN_ERROR_MEMORY, -12, "out of memory")                                                                       \
    X(LOSSFN_ERROR_CALLBACK, -13, "a callback failed")

enum lossfn_status {
#define LOSSFN_STATUS_ENUM(name, number, text) name = number,
    LOSSFN_STATUS_TABLE(LOSSFN_STATUS_ENUM)
#undef LOSSFN_STATUS_ENUM
};

/* "LOSSFN_ERROR_SHAPE" and "shapes do not fit"; "unknown status" for a number that is none. */
LOSSFN_API const char *lossfn_status_name(lossfn_status_t status);
LOSSFN_API const char *lossfn_status_text(lossfn_status_t status);

/* The message of this thread's last failed call: one line with the numbers ("target has 3 rows, pred has 2").
 * Successful calls leave it alone; "" if none has failed. Never NULL; valid until the thread's next failure. */
LOSSFN_API const char *lossfn_last_error(void);

/* What a successful call has to say: bits of lossfn_args_t.notes. */
enum lossfn_note {
    LOSSFN_NOTE_EMPTY = 1,     /* no unit was kept: the mean is NaN (0 with empty=zero), gradients are 0 */
    LOSSFN_NOTE_DOMAIN = 2,    /* a kept value lies outside the loss's domain: NaN there; note_index says where */
    LOSSFN_NOTE_INFEASIBLE = 4 /* reserved for losses of sequences: one has no feasible alignment */
};

/* ---- Tensors ---------------------------------------------------------------------------------------------------- */

enum lossfn_dtype {
    LOSSFN_F64 = 1,
    LOSSFN_F32 = 2,
    LOSSFN_F16 = 3,
    LOSSFN_BF16 = 4,
    LOSSFN_I8 = 5,
    LOSSFN_I16 = 6,
    LOSSFN_I32 = 7,
    LOSSFN_I64 = 8,
    LOSSFN_U8 = 9,
    LOSSFN_U16 = 10,
    LOSSFN_U32 = 11,
    LOSSFN_U64 = 12,
    LOSSFN_BOOL = 13
};

/* Bytes of one element, "float32" ...; 0 and NULL for a number that is no dtype. */
LOSSFN_API int64_t lossfn_dtype_size(int32_t dtype);
LOSSFN_API const char *lossfn_dtype_name(int32_t dtype);

enum { LOSSFN_MAX_DIMS = 8, LOSSFN_MAX_INPUTS = 8 };

enum lossfn_tensor_flag {
    LOSSFN_TENSOR_READONLY = 1, /* refused as an output */
    LOSSFN_TENSOR_STRIDED = 2   /* strides[] counts; otherwise the data is contiguous, last axis fastest */
};

enum lossfn_device { LOSSFN_DEVICE_CPU = 1 };

/* An array that belongs to the caller. Strides count elements; inputs may have strides of 0 (broadcast) or below 0, an
 * output may not have a stride of 0 along an axis longer than 1. ndim 0 is a scalar. Fill it with an init function. */
typedef struct lossfn_tensor {
    void *data; /* may be NULL when there are no elements */
    int32_t dtype;
    int32_t ndim;
    int64_t shape[8];
    int64_t strides[8];
    uint32_t flags;
    int32_t device_type;
    int32_t device_id;
    uint32_t reserved0;
    int64_t reserved[4];
} lossfn_tensor_t;

/* Fails with ARGUMENT (NULL, ndim outside 0..8), DTYPE, or SHAPE (an extent below 0, more than 2^63-1 bytes); then the
 * tensor is unchanged. `shape` and `strides` are copied and may be NULL when ndim is 0. */
LOSSFN_API lossfn_status_t lossfn_tensor_init(lossfn_tensor_t *tensor, void *data, int32_t dtype, int32_t ndim,
                                              const int64_t *shape);
LOSSFN_API lossfn_status_t lossfn_tensor_init_const(lossfn_tensor_t *tensor, const void *data, int32_t dtype,
                                                    int32_t ndim, const int64_t *shape);
LOSSFN_API lossfn_status_t lossfn_tensor_init_strided(lossfn_tensor_t *tensor, void *data, int32_t dtype, int32_t ndim,
                                                      const int64_t *shape, const int64_t *strides, uint32_t flags);

/* ---- Losses ----------------------------------------------------------------------------------------------------- */

/* A created loss: immutable, reference counted. */
typedef struct lossfn_loss lossfn_t;
/* Parameters by name, for lossfn_create_options and lossfn_replace. */
typedef struct lossfn_options lossfn_options_t;

/* Makes a loss from its spec: `huber`, `huber(delta=1.5)`, `cross_entropy(class_weight=[1,2,.5], label_smoothing=0.1)`,
 * `0.7*categorical_cross_entropy - 0.01*entropy`. The grammar is in docs/spec.md; numbers are read in the C locale.
 *
 * Options of every loss, beside its own parameters:
 *   reduction    mean (default: sum / total weight of the kept), sum, none, mean_units (/ number of kept units),
 *                mean_all (/ number of units), mean_rows (/ number of rows with something kept), per_row (one sum per
 *                row)
 *   axis         the class axis, default -1; a 1-D pred is one row; losses of elements use none
 *   ignore_index a class label that takes its row out; default none; losses of class labels alone
 *   label_base   what the first class is called, default 0
 *   nan_policy   propagate (default), ignore (a unit with NaN in an input is not kept), error
 *   domain       note (default: NaN there and a note), error (checked first, nothing written)
 *   empty        nan (default), zero: the mean of nothing
 * Losses made of logarithms have a parameter `base` of their own: e (default), 2, 10 or any number > 0 other than 1.
 *
 * Fails with SPEC (the message shows the position), NOT_FOUND (the message names the nearest), PARAMETER, MEMORY,
 * UNSUPPORTED (LOSSFN_ISA names what this machine has not).
 * The _msg form also copies the message to buf, for callers whose threads hop. */
LOSSFN_API lossfn_status_t lossfn_create(lossfn_t **out, const char *spec);
LOSSFN_API lossfn_status_t lossfn_create_msg(lossfn_t **out, const char *spec, char *buf, int64_t cap);
/* The same with parameters from a builder; `spec` may hold some already, but no key twice. options may be NULL. */
LOSSFN_API lossfn_status_t lossfn_create_options(lossfn_t **out, const char *spec, const lossfn_options_t *options);
/* A loss like `loss`, but with the parameters in options in place of its own; options may be NULL. Fails as creating
 * does. */
LOSSFN_API lossfn_status_t lossfn_replace(lossfn_t **out, const lossfn_t *loss, const lossfn_options_t *options);
/* One more reference; returns its argument. */
LOSSFN_API lossfn_t *lossfn_retain(lossfn_t *loss);
/* One reference less; the last one frees. NULL is allowed. */
LOSSFN_API void lossfn_destroy(lossfn_t *loss);

/* The canonical spec, which recreates the handle bit for bit. Writes at most cap bytes with the final NUL, returns the
 * length needed without it (as snprintf does); buf may be NULL when cap is 0. */
LOSSFN_API int64_t lossfn_spec(const lossfn_t *loss, char *buf, int64_t cap);
/* The name of a single loss; "sum" for a sum of losses. */
LOSSFN_API const char *lossfn_name(const lossfn_t *loss);
/* LOSSFN_UNIT_ELEMENT or LOSSFN_UNIT_ROW. */
LOSSFN_API int32_t lossfn_unit(const lossfn_t *loss);
/* Number of inputs, learnable parameters included, and their names ("pred", "target", "var" ...; NULL past the end). */
LOSSFN_API int32_t lossfn_input_count(const lossfn_t *loss);
LOSSFN_API const char *lossfn_input_name(const lossfn_t *loss, int32_t i);
/* Terms of a sum of losses (1 for a single loss), their coefficients and names. */
LOSSFN_API int32_t lossfn_component_count(const lossfn_t *loss);
LOSSFN_API double lossfn_component_coefficient(const lossfn_t *loss, int32_t i);
LOSSFN_API const char *lossfn_component_name(const lossfn_t *loss, int32_t i);
/* A parameter or common option read back: a number; as text in the spec's grammar (as lossfn_spec). NOT_FOUND, and
 * PARAMETER when it is no number. Booleans read as 0 and 1. */
LOSSFN_API lossfn_status_t lossfn_get_double(const lossfn_t *loss, const char *key, double *out);
LOSSFN_API lossfn_status_t lossfn_get_text(const lossfn_t *loss, const char *key, char *buf, int64_t cap,
                                           int64_t *length);

/* A builder of parameters: string keys, typed values. Keys are checked when the loss is created; a key set twice keeps
 * the last value. Strings and arrays are copied. */
LOSSFN_API lossfn_status_t lossfn_options_create(lossfn_options_t **out);
LOSSFN_API void lossfn_options_destroy(lossfn_options_t *options);
LOSSFN_API lossfn_status_t lossfn_options_set_double(lossfn_options_t *options, const char *key, double value);
LOSSFN_API lossfn_status_t lossfn_options_set_int(lossfn_options_t *options, const char *key, int64_t value);
LOSSFN_API lossfn_status_t lossfn_options_set_bool(lossfn_options_t *options, const char *key, int32_t value);
LOSSFN_API lossfn_status_t lossfn_options_set_string(lossfn_options_t *options, const char *key, const char *value);
LOSSFN_API lossfn_status_t lossfn_options_set_doubles(lossfn_options_t *options, const char *key, const double *values,
                                                      int64_t n);
/* What the key is by default; for lossfn_replace. */
LOSSFN_API lossfn_status_t lossfn_options_set_default(lossfn_options_t *options, const char *key);

/* ---- Computing -------------------------------------------------------------------------------------------------- */

/* Runs task(context, i) for i = 0 .. n-1, in any order and on any threads, and returns when all are done. */
typedef void (*lossfn_task_t)(void *context, int32_t index);
typedef void (*lossfn_parallel_for_t)(void *user, int32_t n, lossfn_task_t task, void *context);

enum lossfn_exec_flag {
    LOSSFN_EXEC_CACHED = 1 /* outputs go through the caches however large they are: for a caller that reads them next */
};

/* How to run a call. A NULL exec means: on the calling thread. Fill with lossfn_exec_init. */
typedef struct lossfn_exec {
    uint64_t struct_size;
    int32_t threads; /* 1: the calling thread; 0: the library's choice (lossfn_num_threads); n: at most n */
    uint32_t flags;  /* of lossfn_exec_flag */
    void *scratch;   /* lossfn_scratch_size bytes, aligned as malloc's, for one call at a time; or NULL */
    int64_t scratch_size;
    /* The caller's own threads instead of the library's: asked for at most `threads` tasks, so not where that is 1. May
     * be NULL. */
    lossfn_parallel_for_t parallel_for;
    void *parallel_user;
} lossfn_exec_t;

enum lossfn_hess_kind {
    LOSSFN_HESS_EXACT = 0,  /* the second derivative */
    LOSSFN_HESS_FISHER = 1, /* its expectation under the model: never negative, unless as below */
    LOSSFN_HESS_UPPER = 2   /* an upper bound, never negative: for losses of elements the curvature of a parabola that
                               touches the loss and lies above it, for rows a diagonal that bounds the whole Hessian.
                               Times a negative weight, or with a base below 1, it is neither. */
};

/* Everything that a call takes and gives. Fill with lossfn_args_init (all zero but struct_size), then set what is used;
 * a NULL output is not wanted. */
typedef struct lossfn_args {
    uint64_t struct_size;
    int32_t n_inputs;
    int32_t hess_kind;
    /* In the order that the loss declares: most take pred, target. target has pred's shape; of a class loss it holds a
     * distribution then, and labels if it lacks the class axis; what a loss declares per_row (lossfn_input_info_t)
     * lacks it as well. Further inputs are scalars, or have pred's ndim with extents of 1 where they repeat. One that
     * is learnable (alpha, scale) may be NULL for its constant; where it has several levels (tau, 1 x Q) target may be
     * N x 1. */
    const lossfn_tensor_t *inputs[8];
    /* Outputs parallel to inputs, each of its input's shape: derivative of the returned value, with what a mean divides
     * by held fixed. With reduction none and per_row: of the sum of values times upstream. */
    const lossfn_tensor_t *grads[8];
    const lossfn_tensor_t
        *weight; /* a scalar, or pred's ndim (row losses: the row shape) with extents of 1 where it repeats */
    const lossfn_tensor_t *mask; /* bool, integer or float; nonzero = kept; the same shapes */
    const lossfn_tensor_t
        *upstream;             /* factor of every derivative: a scalar, or with none and per_row the shape of values */
    const double *denominator; /* replaces the computed one: a global batch, gradient accumulation */
    double *value;             /* the reduced loss, rounded once from the exact result; NULL for none and per_row */
    const lossfn_tensor_t *values; /* one per unit (also beside a reduced value), or per row with per_row */
    double *sum;                   /* the exact weighted sum, rounded once */
    double *denom;                 /* what a mean divides by */
    double *components;          /* lossfn_component_count values: each term's reduced value without its coefficient */
    const lossfn_tensor_t *hess; /* pred's shape: diagonal of the second derivative of the returned value */
    const lossfn_tensor_t *hvp_vector; /* pred's shape */
    const lossfn_tensor_t *hvp;        /* pred's shape: the Hessian with respect to pred times hvp_vector */
    uint32_t notes;                    /* out: LOSSFN_NOTE_ bits */
    uint32_t reserved0;
    int64_t note_index; /* out: C-order index in pred of the first value outside the domain; -1 without one */
    char *message;      /* out: a copy of the message of a failure, for callers whose threads hop; may be NULL */
    int64_t message_capacity;
    const lossfn_exec_t *exec; /* NULL: the calling thread */
} lossfn_args_t;

LOSSFN_API void lossfn_args_init(lossfn_args_t *args);
LOSSFN_API void lossfn_exec_init(lossfn_exec_t *exec);

/* Computes whatever args asks for, in one pass over the data. Arithmetic is double if any floating input is float64 or
 * a number in the loss lies beyond float's range, else float (weight and mask do not count); each output is rounded
 * once from that. Nothing is allocated, but for the library's threads when they first start.
 * Fails with ARGUMENT (exec.scratch is smaller than lossfn_scratch_size, among others), SHAPE, DTYPE, LABEL (index and
 * label in the message), ALIAS (an output may lie exactly on one input, any other overlap is an error), DOMAIN (with
 * domain=error or nan_policy=error), UNSUPPORTED, CALLBACK (user-made losses). */
LOSSFN_API lossfn_status_t lossfn_run(const lossfn_t *loss, lossfn_args_t *args);

/* The everyday forms, of losses with one or two inputs and a reduction to one number. target is NULL for a loss of one
 * input; weight and exec may be NULL. Fail as lossfn_run does, with ARGUMENT for a value under none or per_row. */
LOSSFN_API lossfn_status_t lossfn_forward(const lossfn_t *loss, const lossfn_tensor_t *pred,
                                          const lossfn_tensor_t *target, const lossfn_tensor_t *weight, double *value,
                                          const lossfn_exec_t *exec);
LOSSFN_API lossfn_status_t lossfn_backward(const lossfn_t *loss, const lossfn_tensor_t *pred,
                                           const lossfn_tensor_t *target, const lossfn_tensor_t *weight,
                                           const lossfn_tensor_t *grad_pred, const lossfn_exec_t *exec);
LOSSFN_API lossfn_status_t lossfn_forward_backward(const lossfn_t *loss, const lossfn_tensor_t *pred,
                                                   const lossfn_tensor_t *target, const lossfn_tensor_t *weight,
                                                   double *value, const lossfn_tensor_t *grad_pred,
                                                   const lossfn_exec_t *exec);

/* The flat tier, for callers without structs, on the calling thread and without scratch: pred is rows x cols,
 * row-major. target_dtype is a lossfn_dtype; a loss over rows takes an integer target as `rows` labels and a floating
 * one as a rows x cols distribution, or as `rows` numbers where its target has one per row; a loss of elements takes
 * any dtype, rows x cols. Other inputs than target keep their constants. weight_len and mask_len are 0 (with NULL), 1,
 * rows or, for losses of elements, rows * cols; values_len is the number of units (rows with per_row) or 0 with NULL.
 * grad (by pred) and hess are rows x cols or NULL. Pointers may be NULL where there are no elements. Fails as
 * lossfn_run does. */
LOSSFN_API lossfn_status_t lossfn_run_f32(const lossfn_t *loss, int64_t rows, int64_t cols, const float *pred,
                                          const void *target, int32_t target_dtype, const float *weight,
                                          int64_t weight_len, const uint8_t *mask, int64_t mask_len, double *value,
                                          float *values, int64_t values_len, float *grad, float *hess);
LOSSFN_API lossfn_status_t lossfn_run_f64(const lossfn_t *loss, int64_t rows, int64_t cols, const double *pred,
                                          const void *target, int32_t target_dtype, const double *weight,
                                          int64_t weight_len, const uint8_t *mask, int64_t mask_len, double *value,
                                          double *values, int64_t values_len, double *grad, double *hess);

/* Shape of args.values for these inputs (only pred is looked at): ndim and up to 8 extents. */
LOSSFN_API lossfn_status_t lossfn_values_shape(const lossfn_t *loss, const lossfn_tensor_t *pred, int32_t *ndim,
                                               int64_t *shape);
/* Bytes that lossfn_run needs in exec.scratch for these args, inputs and wanted outputs set. 0 but for long rows (some
 * hundred classes or more) of losses that take them whole, which sort or iterate or are user-made, for products with
 * the Hessian of such rows, and for weighted_kappa of more than 256 classes. Such rows are worked off on the calling
 * thread. */
LOSSFN_API int64_t lossfn_scratch_size(const lossfn_t *loss, const lossfn_args_t *args);

/* What looks wrong with these arguments, for humans (probabilities given to a loss of logits, swapped arguments, 0/1
 * against -1/+1, one-hot against labels, a wrong class axis, weights all 0, NaNs ...): one finding per line in buf, as
 * lossfn_spec; *length 0 means that nothing looks wrong. Reads all data and may allocate; not for the hot path. */
LOSSFN_API lossfn_status_t lossfn_check(const lossfn_t *loss, const lossfn_args_t *args, char *buf, int64_t cap,
                                        int64_t *length);

/* Compares gradients and Hessian with central differences, for any loss, user-made ones too (of which a Hessian that
 * fails with UNSUPPORTED is left out). The report names the worst place found; *agrees is 1 if every difference is
 * within its expected error. Allocates. */
typedef struct lossfn_gradient_report {
    uint64_t struct_size;
    int32_t agrees;
    int32_t worst_input; /* input whose derivative is worst; -1 for the Hessian */
    int64_t worst_index; /* C-order index in that input */
    double analytic;     /* what the loss says there */
    double numeric;      /* what differences of its value (or gradient) say */
    double error;        /* their difference relative to the expected error */
    int64_t compared;    /* derivatives compared; those at kinks are left out */
} lossfn_gradient_report_t;

LOSSFN_API lossfn_status_t lossfn_check_gradient(const lossfn_t *loss, const lossfn_args_t *args,
                                                 lossfn_gradient_report_t *report);

/* rho, rho', rho'' of a robust loss as functions of the squared residual s: rho(s) = 2 loss(sqrt(s)), the convention of
 * least-squares solvers (their cost is rho/2). Usable as a solver's C callback: `loss` is a lossfn_t; out is NaN when
 * lossfn_has_rho is 0. */
LOSSFN_API void lossfn_rho(void *loss, double s, double out[3]);
LOSSFN_API int32_t lossfn_has_rho(const lossfn_t *loss);
/* The same for n values: out is 3 x n (all rho, then all rho', then all rho''). UNSUPPORTED without rho. */
LOSSFN_API lossfn_status_t lossfn_rho_batch(const lossfn_t *loss, int64_t n, const double *s, double *out);
/* The same of outer(inner(s)), by the chain rule. Scaling needs no function: lossfn_rho of "3*cauchy" is 3 times that
 * of cauchy, and of a sum of losses the sum. */
LOSSFN_API void lossfn_rho_compose(void *outer, void *inner, double s, double out[3]);
/* The weights of iteratively reweighted least squares, loss'(r)/r for n residuals r = pred - target; at 0 the limit
 * from above, inf at a kink. It is rho' of r^2 where there is rho, and exists for every loss of the residual,
 * asymmetric ones too. out may be residual. UNSUPPORTED for other losses, DOMAIN for a residual that is NaN with
 * nan_policy=error. */
LOSSFN_API lossfn_status_t lossfn_irls_weight(const lossfn_t *loss, int64_t n, const double *residual, double *out);

/* The link of generalized linear models, pred = link(mean), mean being what is predicted on the scale of the target (a
 * probability, a rate): "identity", "log", "logit" (of independent probabilities), "half_logit" (half of it), "softmax"
 * (logarithms of probabilities, up to a constant per row); NULL if there is none. */
LOSSFN_API const char *lossfn_link(const lossfn_t *loss);
/* The link of rows x cols numbers, and its inverse; cols are the classes of a loss over rows, else rows and cols are
 * any whose product is right. mean and pred may be the same array. */
LOSSFN_API lossfn_status_t lossfn_link_apply(const lossfn_t *loss, int64_t rows, int64_t cols, const double *mean,
                                             double *pred);
LOSSFN_API lossfn_status_t lossfn_link_invert(const lossfn_t *loss, int64_t rows, int64_t cols, const double *pred,
                                              double *mean);

/* The best constant: the prediction x that makes the weighted loss over all units least, where every unit is predicted
 * as x - the score that boosting starts from, the intercept of a model without features. args is that of lossfn_run;
 * of pred only the shape is looked at, outputs are not. For a loss of elements out is one number: the middle, if any
 * number of an interval is best (the median of an even number), an end of the domain (-inf, 0, 1, inf) that the loss
 * falls towards, NaN if no unit is kept or nothing slopes. For a loss over rows of logits or scores it has one number
 * per class, as near as the slope tells. A loss that is not convex has its nearest best place downhill from the median
 * of the targets, or from 0. Allocates; takes some hundred passes. */
LOSSFN_API lossfn_status_t lossfn_init_score(const lossfn_t *loss, const lossfn_args_t *args, double *out);
/* The least value that the loss can have for each target, into args->values: what a perfect prediction costs, which
 * taken away makes it 0. Losses of elements alone. args as for lossfn_init_score. */
LOSSFN_API lossfn_status_t lossfn_minimum(const lossfn_t *loss, lossfn_args_t *args);

/* ---- Accumulators ----------------------------------------------------------------------------------------------- */

/* Exact (sum, denominator) of a loss over batches. Over any split of the data, merged in any order, its value has the
 * bits of one call over all of it. Used by one thread at a time. It holds a reference to the loss, which may be
 * destroyed first. Losses with reduction none or per_row have none (UNSUPPORTED). Of a loss that compares all rows
 * (weighted_kappa) it also holds exact sums over them for each class: the first batch says how many classes (another
 * number is LOSSFN_ERROR_SHAPE) and allocates, as does asking for the value. */
typedef struct lossfn_accumulator lossfn_accumulator_t;

LOSSFN_API lossfn_status_t lossfn_accumulator_create(lossfn_accumulator_t **out, const lossfn_t *loss);
LOSSFN_API void lossfn_accumulator_destroy(lossfn_accumulator_t *accumulator);
/* Adds a batch. args as for lossfn_run, but without denominator (ARGUMENT); whatever outputs it asks for are computed
 * as well. A failed call adds nothing. */
LOSSFN_API lossfn_status_t lossfn_accumulator_update(lossfn_accumulator_t *accumulator, lossfn_args_t *args);
/* Adds what `other` holds; both must be of the same spec, else ARGUMENT. */
LOSSFN_API lossfn_status_t lossfn_accumulator_merge(lossfn_accumulator_t *accumulator,
                                                    const lossfn_accumulator_t *other);
/* The reduced loss so far; notes (may be NULL) gets LOSSFN_NOTE_EMPTY if nothing was kept. */
LOSSFN_API lossfn_status_t lossfn_accumulator_value(const lossfn_accumulator_t *accumulator, double *value,
                                                    uint32_t *notes);
/* Sum and denominator of component i (0 for a single loss), each rounded once. Either pointer may be NULL. */
LOSSFN_API lossfn_status_t lossfn_accumulator_parts(const lossfn_accumulator_t *accumulator, int32_t i, double *sum,
                                                    double *denominator);
LOSSFN_API void lossfn_accumulator_reset(lossfn_accumulator_t *accumulator);
/* Bytes that recreate it, on any machine: *length gets their number; they are written if cap is no less, which is
 * for the caller to compare. Reading fails with ARGUMENT for bytes that are not an accumulator's. */
LOSSFN_API lossfn_status_t lossfn_accumulator_write(const lossfn_accumulator_t *accumulator, void *buf, int64_t cap,
                                                    int64_t *length);
LOSSFN_API lossfn_status_t lossfn_accumulator_read(lossfn_accumulator_t **out, const void *buf, int64_t length);

/* ---- What there is ---------------------------------------------------------------------------------------------- */

enum lossfn_unit_kind {
    LOSSFN_UNIT_ELEMENT = 1, /* one value per element */
    LOSSFN_UNIT_ROW = 2      /* one value per row of classes */
};

enum lossfn_scale {
    LOSSFN_SCALE_REAL = 1,            /* any number */
    LOSSFN_SCALE_PROBABILITY = 2,     /* in [0, 1] */
    LOSSFN_SCALE_LOG_PROBABILITY = 3, /* logarithm of a probability */
    LOSSFN_SCALE_LOGITS = 4,          /* unnormalised log-odds or log-probabilities */
    LOSSFN_SCALE_LABEL = 5,           /* a class label, or a distribution over the classes, by shape */
    LOSSFN_SCALE_MARGIN_LABEL = 6,    /* -1 or +1; bool maps to them */
    LOSSFN_SCALE_POSITIVE = 7,        /* greater than 0 */
    LOSSFN_SCALE_COUNT = 8            /* at least 0 */
};

enum lossfn_param_type {
    LOSSFN_PARAM_DOUBLE = 1,
    LOSSFN_PARAM_INT = 2,
    LOSSFN_PARAM_BOOL = 3,
    LOSSFN_PARAM_CHOICE = 4, /* one of a few words */
    LOSSFN_PARAM_LIST = 5    /* a list of numbers */
};

/* Declared and verified properties, as functions of pred with the other inputs fixed, at the default parameters. */
enum lossfn_trait {
    LOSSFN_TRAIT_CONVEX = 1,
    LOSSFN_TRAIT_STRICTLY_CONVEX = 2,
    LOSSFN_TRAIT_STRONGLY_CONVEX = 4,
    LOSSFN_TRAIT_DIFFERENTIABLE = 8,
    LOSSFN_TRAIT_TWICE_DIFFERENTIABLE = 16,
    LOSSFN_TRAIT_SYMMETRIC = 32, /* loss(pred, target) depends on |pred - target| alone */
    LOSSFN_TRAIT_LIPSCHITZ = 64, /* with the constant in lossfn_info_t.lipschitz */
    LOSSFN_TRAIT_NONNEGATIVE = 128,
    LOSSFN_TRAIT_DISTANCE = 256,   /* a function of pred - target */
    LOSSFN_TRAIT_MARGIN = 512,     /* a function of pred * target, target -1 or +1 */
    LOSSFN_TRAIT_PROPER = 1024,    /* its expectation is least at the true probabilities */
    LOSSFN_TRAIT_CALIBRATED = 2048 /* its minimiser has the sign of the better class */
};

/* All strings belong to the library (a user-made loss's until it is unregistered); lists are separated by ", ",
 * look_alikes by newlines, each `system: name: how it differs`. Fill struct_size before the call. */
typedef struct lossfn_info {
    uint64_t struct_size;
    const char *name;
    const char *aliases;
    const char *family;
    const char *summary; /* one sentence */
    const char *formula; /* plain text */
    const char *latex;   /* the same in LaTeX */
    const char *tasks;
    const char *see_also;
    const char *look_alikes; /* functions of other systems and how each is obtained */
    const char *source;      /* paper or textbook */
    const char *kinks;       /* where it is not differentiable and what is returned there; "" if nowhere */
    int32_t unit;
    int32_t n_inputs;
    int32_t n_params;
    uint32_t traits;
    double lipschitz;
    uint32_t hess_kinds; /* bit 1 << LOSSFN_HESS_EXACT ... for each kind offered */
    int32_t has_rho;
    /* Stated error bounds of an unreduced, unweighted element, in units in the last place: of the largest term where
     * terms cancel, and at least of 2^8 times the smallest positive number. */
    double ulp_value;
    double ulp_grad;
    double ulp_hess;
} lossfn_info_t;

typedef struct lossfn_input_info {
    uint64_t struct_size;
    const char *name;
    const char *doc;
    int32_t scale;          /* lossfn_scale */
    int32_t differentiable; /* has a gradient */
    int32_t learnable;      /* a parameter that may be a constant of the spec or an input */
    int32_t per_row;        /* one number for each row: it lacks the class axis */
} lossfn_input_info_t;

typedef struct lossfn_param_info {
    uint64_t struct_size;
    const char *name;
    const char *doc;
    const char *choices;       /* of a CHOICE, separated by ", " */
    const char *default_value; /* in the spec's grammar */
    int32_t type;              /* lossfn_param_type */
    int32_t learnable;
    int32_t lower_open; /* whether the bound itself is excluded */
    int32_t upper_open;
    double lower;
    double upper;
} lossfn_param_info_t;

/* Number of losses and their names, built-in ones first, user-made ones after them. */
LOSSFN_API int32_t lossfn_count(void);
LOSSFN_API const char *lossfn_name_at(int32_t i);
/* Describes a loss by its name, an alias, or what it is called elsewhere ("BCELoss", "reg:tweedie", see look_alikes;
 * creating a loss takes its own names alone); its i-th input; its i-th parameter (the common options come after the
 * loss's own: n_params counts the loss's own, lossfn_common_option_count the others). NOT_FOUND past the end. */
LOSSFN_API lossfn_status_t lossfn_describe(const char *name, lossfn_info_t *info);
LOSSFN_API lossfn_status_t lossfn_describe_input(const char *name, int32_t i, lossfn_input_info_t *info);
LOSSFN_API lossfn_status_t lossfn_describe_param(const char *name, int32_t i, lossfn_param_info_t *info);
LOSSFN_API int32_t lossfn_common_option_count(void);

enum lossfn_recommend_flag { LOSSFN_DATA_OUTLIERS = 1, LOSSFN_DATA_IMBALANCED = 2, LOSSFN_DATA_NOISY_LABELS = 4 };

typedef struct lossfn_recommendation {
    uint64_t struct_size;
    const char *spec;
    const char *activation; /* what the model's output layer should be */
    const char *why;
    const char *caution;
    const char *source;
} lossfn_recommendation_t;

/* The i-th best loss for a task: regression, quantile, counts, positive, binary, multiclass, multilabel, ordinal,
 * ranking, segmentation, metric, detection, survival, angles. flags says what is known of the data. NOT_FOUND past the
 * last, or for another word. */
LOSSFN_API lossfn_status_t lossfn_recommend(const char *task, uint32_t flags, int32_t i,
                                            lossfn_recommendation_t *recommendation);
/* The i-th task word; NULL past the end. */
LOSSFN_API const char *lossfn_task_at(int32_t i);

/* ---- Threads and memory ----------------------------------------------------------------------------------------- */

/* How many threads exec.threads = 0 uses: what was set here (0: as if nothing was), else LOSSFN_NUM_THREADS, else the
 * cores that affinity and control group allow. ARGUMENT outside 0..256. */
LOSSFN_API int32_t lossfn_num_threads(void);
LOSSFN_API lossfn_status_t lossfn_set_num_threads(int32_t threads);
/* Starts the library's threads now, so that no later call allocates; 0 = lossfn_num_threads(). Otherwise they start
 * when first needed. Safe across fork: the child starts its own. stop joins them; they start again when needed.
 * ARGUMENT outside 0..256, MEMORY if the system gives no thread. */
LOSSFN_API lossfn_status_t lossfn_threads_start(int32_t threads);
LOSSFN_API void lossfn_threads_stop(void);

/* Where the library's own memory (handles, options, accumulators, registrations) comes from. alloc returns NULL on
 * failure, memory aligned for any type otherwise; free gets the size back. */
typedef struct lossfn_allocator {
    uint64_t struct_size;
    void *(*alloc)(void *user, uint64_t size);
    void (*free)(void *user, void *pointer, uint64_t size);
    void *user;
} lossfn_allocator_t;

/* NULL goes back to malloc and free. Fails with ARGUMENT while anything that the library allocated is alive. */
LOSSFN_API lossfn_status_t lossfn_set_allocator(const lossfn_allocator_t *allocator);

#ifdef __cplusplus
}
#endif
#endif
