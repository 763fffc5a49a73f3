/* SPDX-License-Identifier: MIT
 * Links of generalized linear models: pred = link(mean), where mean is what is predicted on the scale of the target. */
#define LOSSFN_ISA_BASELINE
#define LOSSFN_REAL_F64
#include "core/common.h"
#include "core/handle.h"
#include "core/status.h"
#include "engine/fpenv.h"
#include "losses/formula.h"

typedef struct {
    const char *name;
    double (*apply)(double mean), (*invert)(double pred); /* NULL for one of whole rows */
} link_t;

static double same(double x) { return x; }
static double exponential(double x) { return s_exp(x); }
static double logarithm(double x) { return s_log(x); }
/* ln(m/(1 - m)) */
static double logit(double m) { return m > 0.25 && m < 0.75 ? s_log1p((2 * m - 1) / (1 - m)) : s_log(m) - s_log1p(-m); }
static double sigmoid(double z) {
    const double e = s_exp(-fabs(z));
    return (z < 0 ? e : 1) / (1 + e);
}
static double half_logit(double m) { return logit(m) / 2; }
static double half_sigmoid(double z) { return sigmoid(2 * z); }

static const link_t links[] = {
    [LOSSFN__LINK_IDENTITY] = {"identity", same, same},
    [LOSSFN__LINK_LOG] = {"log", logarithm, exponential},
    [LOSSFN__LINK_LOGIT] = {"logit", logit, sigmoid},
    [LOSSFN__LINK_HALF_LOGIT] = {"half_logit", half_logit, half_sigmoid},
    [LOSSFN__LINK_SOFTMAX] = {"softmax", NULL, NULL},
};

/* What a definition leaves open follows from the scale of pred. */
static int32_t link_of(const lossfn__term_t *term) {
    const lossfn__definition_t *d = term->definition;
    for (int32_t i = 0; d->link_when && i < d->n_params; i++)
        if (strcmp(d->params[i].name, d->link_when) == 0 && term->params[i] == 0) return LOSSFN__LINK_IDENTITY;
    if (d->link != LOSSFN__LINK_BY_SCALE) return d->link;
    switch (d->inputs[0].scale) {
    case LOSSFN_SCALE_LOGITS:
        return d->unit == LOSSFN_UNIT_ROW ? LOSSFN__LINK_SOFTMAX : LOSSFN__LINK_LOGIT;
    case LOSSFN_SCALE_LOG_PROBABILITY:
        return LOSSFN__LINK_LOG;
    default:
        return LOSSFN__LINK_IDENTITY;
    }
}

/* A sum of losses has a link if all terms have the same. */
static const link_t *find_link(const lossfn_t *loss) {
    const int32_t link = link_of(&loss->terms[0]);
    for (int32_t t = 1; t < loss->n_terms; t++)
        if (link_of(&loss->terms[t]) != link) return NULL;
    return link == LOSSFN__LINK_NONE ? NULL : &links[link];
}

const char *lossfn_link(const lossfn_t *loss) {
    const link_t *link = loss ? find_link(loss) : NULL;
    return link ? link->name : NULL;
}

static void softmax_row(int64_t cols, const double *pred, double *mean) {
    double top = -INFINITY, sum = 0;
    int nan = 0;
    for (int64_t c = 0; c < cols; c++) {
        nan |= isnan(pred[c]);
        if (pred[c] > top) top = pred[c];
    }
    for (int64_t c = 0; c < cols; c++) {
        mean[c] = nan ? NAN : pred[c] == top ? 1 : s_exp(pred[c] - top);
        sum += mean[c];
    }
    for (int64_t c = 0; c < cols; c++) mean[c] /= sum;
}

static lossfn_status_t check_link(const lossfn_t *loss, const link_t **link, int64_t rows, int64_t cols,
                                  const double *mean, const double *pred) {
    LOSSFN__REQUIRE(loss, LOSSFN_ERROR_ARGUMENT, "loss is NULL");
    LOSSFN__REQUIRE(rows >= 0 && cols >= 0, LOSSFN_ERROR_ARGUMENT,
                    "rows is %lld and cols is %lld, neither can be less than 0", (long long)rows, (long long)cols);
    LOSSFN__REQUIRE(rows == 0 || cols == 0 || (mean && pred), LOSSFN_ERROR_ARGUMENT, "%s is NULL",
                    mean ? "pred" : "mean");
    *link = find_link(loss);
    LOSSFN__REQUIRE(*link, LOSSFN_ERROR_UNSUPPORTED, "%s has no link", lossfn_name(loss));
    return LOSSFN_OK;
}

lossfn_status_t lossfn_link_apply(const lossfn_t *loss, int64_t rows, int64_t cols, const double *mean, double *pred) {
    const link_t *link = NULL;
    LOSSFN__TRY(check_link(loss, &link, rows, cols, mean, pred));
    lossfn__fpenv_t saved;
    lossfn__fpenv_enter(&saved);
    for (int64_t i = 0; i < rows * cols; i++) pred[i] = link->apply ? link->apply(mean[i]) : s_log(mean[i]);
    lossfn__fpenv_leave(&saved);
    return LOSSFN_OK;
}

lossfn_status_t lossfn_link_invert(const lossfn_t *loss, int64_t rows, int64_t cols, const double *pred, double *mean) {
    const link_t *link = NULL;
    LOSSFN__TRY(check_link(loss, &link, rows, cols, mean, pred));
    lossfn__fpenv_t saved;
    lossfn__fpenv_enter(&saved);
    if (link->invert)
        for (int64_t i = 0; i < rows * cols; i++) mean[i] = link->invert(pred[i]);
    else
        for (int64_t row = 0; row < rows; row++) softmax_row(cols, pred + row * cols, mean + row * cols);
    lossfn__fpenv_leave(&saved);
    return LOSSFN_OK;
}
