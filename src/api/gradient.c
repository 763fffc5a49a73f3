/* SPDX-License-Identifier: MIT
 * lossfn_check_gradient: derivatives against central differences of the loss's own value. */
#include <math.h>
#include <string.h>
#include "core/memory.h"
#include "core/status.h"
#include "core/tensor.h"
#include "engine/fpenv.h"
#include "engine/plan.h"
#include "engine/run.h"

enum { MOST_COMPARED = 256 }; /* places per input, spread evenly */

typedef struct {
    const lossfn_t *loss;
    lossfn_args_t args;                        /* asks for the value (or the sum) alone */
    lossfn_tensor_t inputs[LOSSFN_MAX_INPUTS]; /* copies in double of what can be moved */
    double *copies[LOSSFN_MAX_INPUTS], *grads[LOSSFN_MAX_INPUTS], *hess;
    int64_t counts[LOSSFN_MAX_INPUTS];
    int64_t index; /* the element whose slope is taken */
    double result;
} trial_t;

static lossfn_status_t evaluate(trial_t *trial, double *value) {
    LOSSFN__TRY(lossfn__run_allocating(trial->loss, &trial->args));
    *value = trial->result;
    return LOSSFN_OK;
}

/* Compares a derivative with differences of f around x[i]: steps h and h/2 tell how far to trust them, and one-sided
 * ones where there is a kink. Returns the error relative to what is expected, or -1 at a kink or where f is not finite.
 */
static lossfn_status_t compare(trial_t *trial, double *x, double analytic, double *numeric, double *error,
                               lossfn_status_t (*f)(trial_t *, double *)) {
    const double at = *x, h = 0x1p-16 * (fabs(at) > 0x1p-6 ? fabs(at) : 0x1p-6);
    double low[2], high[2], middle;
    *error = -1;
    LOSSFN__TRY(f(trial, &middle));
    for (int step = 0; step < 2; step++) {
        double move = step ? h / 2 : h;
        *x = at - move;
        lossfn_status_t status = f(trial, &low[step]);
        *x = at + move;
        if (status == LOSSFN_OK) status = f(trial, &high[step]);
        *x = at;
        if (status != LOSSFN_OK) return status;
    }
    double wide = (high[0] - low[0]) / (2 * h), narrow = (high[1] - low[1]) / h;
    double left = (middle - low[1]) / (h / 2), right = (high[1] - middle) / (h / 2);
    double size = fabs(middle) + fabs(high[0]) + fabs(low[0]);
    double expected =
        2 * fabs(wide - narrow) + 8 * 0x1p-52 * size / h + 0x1p-30 * (fabs(narrow) + fabs(analytic)) + 1e-300;
    if (!isfinite(wide) || !isfinite(narrow) || !isfinite(analytic)) return LOSSFN_OK;
    /* at a kink the sides differ by more than curvature explains at half the step */
    double gap = fabs(right - left), gap_wide = fabs((high[0] - middle) / h - (middle - low[0]) / h);
    if (gap > 0.75 * gap_wide && gap > 16 * expected) return LOSSFN_OK;
    *numeric = narrow;
    *error = fabs(narrow - analytic) / expected;
    return LOSSFN_OK;
}

static void note(lossfn_gradient_report_t *report, int32_t input, int64_t index, double analytic, double numeric,
                 double error) {
    if (error < 0) return;
    report->compared++;
    if (report->compared > 1 && error <= report->error) return;
    report->worst_input = input;
    report->worst_index = index;
    report->analytic = analytic;
    report->numeric = numeric;
    report->error = error;
}

/* The gradient with respect to pred at the element that is moved: what the Hessian is a difference of. */
static lossfn_status_t slope(trial_t *trial, double *value) {
    double *wanted = trial->args.value, *sum = trial->args.sum;
    lossfn_tensor_t grad;
    LOSSFN__TRY(lossfn_tensor_init(&grad, trial->grads[0], LOSSFN_F64, trial->inputs[0].ndim, trial->inputs[0].shape));
    trial->args.value = trial->args.sum = NULL;
    trial->args.grads[0] = &grad;
    lossfn_status_t status = lossfn__run_allocating(trial->loss, &trial->args);
    trial->args.grads[0] = NULL;
    trial->args.value = wanted;
    trial->args.sum = sum;
    *value = trial->grads[0][trial->index];
    return status;
}

static lossfn_status_t compare_all(trial_t *trial, const lossfn_args_t *args, lossfn_gradient_report_t *report) {
    lossfn_args_t full = trial->args;
    lossfn_tensor_t grads[LOSSFN_MAX_INPUTS], hess;
    int has_hess = trial->hess != NULL;
    for (int32_t k = 0; k < trial->loss->n_terms; k++)
        has_hess &= trial->loss->terms[k].definition->hess_kinds >> LOSSFN_HESS_EXACT & 1;
    for (int32_t j = 0; j < args->n_inputs; j++) {
        if (!trial->grads[j]) continue;
        LOSSFN__TRY(
            lossfn_tensor_init(&grads[j], trial->grads[j], LOSSFN_F64, trial->inputs[j].ndim, trial->inputs[j].shape));
        full.grads[j] = &grads[j];
    }
    if (has_hess) {
        LOSSFN__TRY(lossfn_tensor_init(&hess, trial->hess, LOSSFN_F64, trial->inputs[0].ndim, trial->inputs[0].shape));
        full.hess = &hess;
    }
    char message[LOSSFN__MESSAGE_TEXT];
    lossfn__copy_message(message, sizeof message);
    lossfn_status_t status = lossfn__run_allocating(trial->loss, &full);
    if (status == LOSSFN_ERROR_UNSUPPORTED && has_hess) { /* of a user-made loss that has none after all */
        has_hess = 0;
        full.hess = NULL;
        status = lossfn__run_allocating(trial->loss, &full);
        if (status == LOSSFN_OK) lossfn__restore_message(message);
    }
    if (status != LOSSFN_OK) return status;
    for (int32_t j = 0; j < args->n_inputs; j++) {
        if (!trial->grads[j]) continue;
        int64_t n = trial->counts[j], step = n > MOST_COMPARED ? n / MOST_COMPARED : 1;
        for (int64_t i = 0; i < n; i += step) {
            double numeric = 0, error;
            LOSSFN__TRY(compare(trial, &trial->copies[j][i], trial->grads[j][i], &numeric, &error, evaluate));
            note(report, j, i, trial->grads[j][i], numeric, error);
        }
    }
    if (has_hess) {
        int64_t n = trial->counts[0], step = n > MOST_COMPARED ? n / MOST_COMPARED : 1;
        for (int64_t i = 0; i < n; i += step) {
            double numeric = 0, error, analytic = trial->hess[i];
            trial->index = i;
            LOSSFN__TRY(compare(trial, &trial->copies[0][i], analytic, &numeric, &error, slope));
            note(report, -1, i, analytic, numeric, error);
        }
    }
    report->agrees = report->compared > 0 && report->error <= 1;
    return LOSSFN_OK;
}

/* An input can be moved if some term gives its gradient and it holds no labels. */
static int moves(const lossfn_t *loss, const lossfn_args_t *args, int32_t j) {
    if (!args->inputs[j] || args->inputs[j]->dtype > LOSSFN_BF16) return 0;
    if (j == 1 && loss->unit == LOSSFN_UNIT_ROW && !loss->inputs[1].per_row &&
        lossfn__tensor_count(args->inputs[1]) != lossfn__tensor_count(args->inputs[0]))
        return 0;
    for (int32_t k = 0; k < loss->n_terms; k++) {
        const lossfn__definition_t *definition = loss->terms[k].definition;
        if (j >= definition->n_inputs) continue;
        if (!definition->inputs[j].differentiable) return 0;
        if (definition->user && !definition->user->run &&
            !(definition->user->flags &
              (j == 0 ? LOSSFN_VTABLE_GRAD | LOSSFN_VTABLE_GRAD_ALL : LOSSFN_VTABLE_GRAD_ALL)))
            return 0;
    }
    return 1;
}

static lossfn_status_t check(const lossfn_t *loss, const lossfn_args_t *args, lossfn_gradient_report_t *report) {
    LOSSFN__TRY(lossfn__check_given(loss, args));
    trial_t trial;
    lossfn_status_t status = LOSSFN_OK;
    memset(&trial, 0, sizeof trial);
    trial.loss = loss;
    lossfn_args_init(&trial.args);
    trial.args.n_inputs = args->n_inputs;
    trial.args.weight = args->weight;
    trial.args.mask = args->mask;
    trial.args.denominator = args->denominator;
    /* checks the call as it stands */
    double sum, denominator;
    memcpy(trial.args.inputs, args->inputs, sizeof trial.args.inputs);
    trial.args.sum = &sum;
    trial.args.denom = &denominator;
    LOSSFN__TRY(lossfn__run_allocating(loss, &trial.args));
    trial.args.denom = NULL;
    const int reduced = lossfn__reduces(loss->reduction);
    trial.args.sum = reduced ? NULL : &trial.result;
    trial.args.value = reduced ? &trial.result : NULL;
    /* A gradient takes what the mean divides by as given, though soft targets under class weights move it. */
    if (lossfn__is_mean(loss->reduction) && loss->n_terms == 1 && isfinite(denominator) && denominator != 0)
        trial.args.denominator = args->denominator ? args->denominator : &denominator;
    uint64_t sizes[LOSSFN_MAX_INPUTS] = {0};
    for (int32_t j = 0; j < args->n_inputs; j++) {
        if (!moves(loss, args, j)) continue;
        trial.inputs[j] = *args->inputs[j];
        trial.counts[j] = lossfn__tensor_count(args->inputs[j]);
        sizes[j] = ((uint64_t)trial.counts[j] + 1) * sizeof(double);
        trial.copies[j] = lossfn__allocate(sizes[j]);
        trial.grads[j] = lossfn__allocate(sizes[j]);
        if (j == 0) trial.hess = lossfn__allocate(sizes[j]);
        if (!trial.copies[j] || !trial.grads[j] || (j == 0 && !trial.hess)) {
            status = lossfn__fail(LOSSFN_ERROR_MEMORY, "out of memory for %lld numbers", (long long)trial.counts[j]);
            break;
        }
        for (int64_t i = 0; i < trial.counts[j]; i++) trial.copies[j][i] = lossfn__element(args->inputs[j], i);
        /* cannot fail: there is memory for that shape */
        lossfn_tensor_init(&trial.inputs[j], trial.copies[j], LOSSFN_F64, args->inputs[j]->ndim,
                           args->inputs[j]->shape);
        trial.args.inputs[j] = &trial.inputs[j];
    }
    if (status == LOSSFN_OK) {
        lossfn_gradient_report_t found = {.struct_size = report->struct_size, .worst_index = -1};
        status = compare_all(&trial, args, &found);
        if (status == LOSSFN_OK) *report = found;
    }
    for (int32_t j = 0; j < args->n_inputs; j++) {
        lossfn__free(trial.copies[j], sizes[j]);
        lossfn__free(trial.grads[j], sizes[j]);
    }
    lossfn__free(trial.hess, sizes[0]);
    return status;
}

lossfn_status_t lossfn_check_gradient(const lossfn_t *loss, const lossfn_args_t *args,
                                      lossfn_gradient_report_t *report) {
    LOSSFN__REQUIRE(loss && args && report, LOSSFN_ERROR_ARGUMENT, "%s is NULL",
                    !loss   ? "loss"
                    : !args ? "args"
                            : "report");
    LOSSFN__REQUIRE(report->struct_size >= sizeof *report, LOSSFN_ERROR_ARGUMENT,
                    "report.struct_size is %llu, it is %llu", (unsigned long long)report->struct_size,
                    (unsigned long long)sizeof *report);
    lossfn__fpenv_t saved;
    lossfn__fpenv_enter(&saved);
    const lossfn_status_t status = check(loss, args, report);
    lossfn__fpenv_leave(&saved);
    return status;
}
