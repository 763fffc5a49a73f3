/* SPDX-License-Identifier: MIT
 * What a loss declares of itself, built-in or user-made: the one description from which specs are parsed, handles made,
 * and documentation, bindings and tests derived. */
#ifndef LOSSFN_CORE_DEFINITION_H
#define LOSSFN_CORE_DEFINITION_H

#include "lossfn/extend.h"

enum { LOSSFN__MAX_PARAMS = 12, LOSSFN__MAX_CONSTANTS = 16 };

typedef struct {
    const char *name;
    const char *doc;
    int32_t scale; /* LOSSFN_SCALE_ */
    uint8_t differentiable;
    uint8_t learnable; /* may be left out: then it is the constant of the parameter of the same name */
    uint8_t spreads;   /* where it varies along an axis, target may repeat: several levels of one target */
    uint8_t per_row;   /* one number for each row, without the class axis */
    uint8_t levels;    /* labels go from 0 to the number of classes; class c stands for "more than c" */
} lossfn__input_t;

typedef struct {
    const char *name;
    const char *doc;
    int32_t type;              /* LOSSFN_PARAM_ */
    const char *default_value; /* in the spec's grammar; NULL means "not set" for a list */
    double lower, upper;
    uint8_t lower_open, upper_open;
    uint8_t learnable;
    const char *choices; /* of a CHOICE, separated by ", "; the value is the position in it */
} lossfn__param_t;

/* What is made of the sum or the mean of the values, last: of a loss of the whole batch. With reduction none or per_row
 * there is nothing to apply it to. OF_MARGINALS: a function of the mean over the rows and of the marginals: those of
 * pred and of target. */
enum lossfn__outer { LOSSFN__OUTER_NONE, LOSSFN__OUTER_SQRT, LOSSFN__OUTER_OF_MARGINALS };

/* From the weighted means over the rows, of their values and of pred and target class by class: the value of the whole,
 * and its derivatives, slope * (derivative of the row's value - offsets[j][class]) for input j. */
typedef struct {
    int64_t classes;
    double mean;
    const double *marginals[2];
    const double *constants;
    double value, slope;
    double *offsets[2];
} lossfn__marginals_t;

/* pred = link(mean). What is left open is logit, softmax for rows, where pred holds logits, log where it holds
 * logarithms, else the identity. NONE: pred is the transform of no mean. */
enum lossfn__link {
    LOSSFN__LINK_BY_SCALE,
    LOSSFN__LINK_IDENTITY,
    LOSSFN__LINK_LOG,
    LOSSFN__LINK_LOGIT,
    LOSSFN__LINK_HALF_LOGIT,
    LOSSFN__LINK_SOFTMAX,
    LOSSFN__LINK_NONE
};

/* Parameters that the engine and not the loss acts on, found by name in any definition that declares them:
 * class_weight (list >= 0), class_mask (list of 0/1), labels (choice "+-1, 01") of margin losses. */

typedef struct lossfn__definition {
    const char *name, *aliases, *family, *summary, *formula, *latex, *tasks, *see_also, *look_alikes, *source, *kinks;
    int32_t unit;
    int32_t n_inputs;
    int32_t n_params;
    uint32_t traits;
    double lipschitz;
    uint32_t hess_kinds;   /* bit 1 << LOSSFN_HESS_ */
    int32_t outer;         /* lossfn__outer; then there is no Hessian */
    uint8_t whole_rows;    /* its kernel takes whole rows: WHOLE_ROWS in losses/formula.h */
    uint8_t has_product;   /* of rows: there is a Hessian-vector product */
    uint8_t n_scratch;     /* arrays of a row's length that its kernel for whole rows works in */
    int32_t link;          /* lossfn__link */
    const char *link_when; /* the parameter that must be true, or else the link is the identity; NULL: none */
    double ulp_value, ulp_grad, ulp_hess;
    lossfn__input_t inputs[LOSSFN_MAX_INPUTS];
    lossfn__param_t params[LOSSFN__MAX_PARAMS];
    /* Constants of the kernel from the parameters (numbers, booleans and choices in declared order; lists read as 0).
     * NULL: the parameters themselves. */
    void (*setup)(const double *params, double *constants);
    /* rho, rho', rho'' of the squared residual s from the constants; NULL if the loss has none. */
    void (*rho)(double s, const double *constants, double out[3]);
    /* Of outer OF_MARGINALS, a loss over whole rows of two inputs. */
    void (*of_marginals)(lossfn__marginals_t *m);
    int32_t kernel;                            /* index into the kernel tables; -1 for a user-made loss */
    const lossfn_vtable_t *user;               /* its functions */
    struct lossfn__registration *registration; /* user-made: keeps everything above alive */
} lossfn__definition_t;

/* The built-in losses in catalogue order; index = kernel. Defined in losses/catalogue.c. */
extern const lossfn__definition_t *const lossfn__catalogue[];
extern const int32_t lossfn__catalogue_size;

#endif
