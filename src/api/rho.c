/* SPDX-License-Identifier: MIT
 * Robust losses for solvers: as functions of the squared residual, and as weights. */
#include <float.h>
#include <math.h>
#include <stddef.h>
#include <string.h>
#include "core/common.h"
#include "core/handle.h"
#include "core/status.h"
#include "engine/fpenv.h"
#include "engine/run.h"

/* A sum of losses has rho if every term has. */
static int has_rho(const lossfn_t *loss) {
    for (int32_t t = 0; loss && t < loss->n_terms; t++)
        if (!loss->terms[t].definition->rho) return 0;
    return loss != NULL;
}

int32_t lossfn_has_rho(const lossfn_t *loss) { return has_rho(loss); }

static void set_nan(double out[3]) { out[0] = out[1] = out[2] = NAN; }

/* rho is linear in the loss. */
static void rho_at(const lossfn_t *loss, double s, double out[3]) {
    if (!(s >= 0)) {
        set_nan(out);
        return;
    }
    if (loss->n_terms == 1 && loss->terms[0].coefficient == 1) { /* a call is a chain of few operations */
        loss->terms[0].definition->rho(s, loss->terms[0].constants, out);
        return;
    }
    for (int32_t t = 0; t < loss->n_terms; t++) {
        const lossfn__term_t *term = &loss->terms[t];
        double own[3] = {0};
        term->definition->rho(s, term->constants, own);
        for (int i = 0; i < 3; i++) out[i] = (t ? out[i] : -0.0) + term->coefficient * own[i];
    }
}

void lossfn_rho(void *loss, double s, double out[3]) {
    if (!out) return;
    if (!has_rho(loss)) {
        set_nan(out);
        return;
    }
    lossfn__fpenv_t saved;
    lossfn__fpenv_enter(&saved);
    rho_at(loss, s, out);
    lossfn__fpenv_leave(&saved);
}

lossfn_status_t lossfn_rho_batch(const lossfn_t *loss, int64_t n, const double *s, double *out) {
    LOSSFN__REQUIRE(loss != NULL, LOSSFN_ERROR_ARGUMENT, "loss is NULL");
    LOSSFN__REQUIRE(n >= 0, LOSSFN_ERROR_ARGUMENT, "n is %lld, it must be at least 0", (long long)n);
    LOSSFN__REQUIRE(n == 0 || (s && out), LOSSFN_ERROR_ARGUMENT, "%s is NULL", s ? "out" : "s");
    LOSSFN__REQUIRE(lossfn_has_rho(loss), LOSSFN_ERROR_UNSUPPORTED, "%s is no function of the squared residual",
                    lossfn_name(loss));
    lossfn__fpenv_t saved;
    lossfn__fpenv_enter(&saved);
    for (int64_t i = 0; i < n; i++) {
        double at[3];
        rho_at(loss, s[i], at);
        for (int k = 0; k < 3; k++) out[k * n + i] = at[k];
    }
    lossfn__fpenv_leave(&saved);
    return LOSSFN_OK;
}

/* The chain rule for f(g(s)). */
void lossfn_rho_compose(void *outer, void *inner, double s, double out[3]) {
    if (!out) return;
    if (!has_rho(outer) || !has_rho(inner)) {
        set_nan(out);
        return;
    }
    lossfn__fpenv_t saved;
    double f[3] = {0}, g[3] = {0};
    lossfn__fpenv_enter(&saved);
    rho_at(inner, s, g);
    rho_at(outer, g[0], f);
    out[0] = f[0];
    out[1] = f[1] * g[1];
    out[2] = f[2] * g[1] * g[1] + f[1] * g[2];
    lossfn__fpenv_leave(&saved);
}

/* ---- Weights ----------------------------------------------------------------------------------------------------- */

enum { CHUNK = 256 };

static lossfn_status_t check_weights(const lossfn_t *loss, int64_t n, const double *residual, const double *out) {
    LOSSFN__REQUIRE(loss != NULL, LOSSFN_ERROR_ARGUMENT, "loss is NULL");
    LOSSFN__REQUIRE(n >= 0, LOSSFN_ERROR_ARGUMENT, "n is %lld, it must be at least 0", (long long)n);
    LOSSFN__REQUIRE(n == 0 || (residual && out), LOSSFN_ERROR_ARGUMENT, "%s is NULL", residual ? "out" : "residual");
    for (int32_t t = 0; t < loss->n_terms; t++) {
        const lossfn__definition_t *d = loss->terms[t].definition;
        LOSSFN__REQUIRE(d->traits & LOSSFN_TRAIT_DISTANCE && d->unit == LOSSFN_UNIT_ELEMENT && !d->outer,
                        LOSSFN_ERROR_UNSUPPORTED, "%s is no function of one residual", d->name);
        for (int32_t i = 2; i < d->n_inputs; i++)
            LOSSFN__REQUIRE(d->inputs[i].learnable, LOSSFN_ERROR_UNSUPPORTED, "%s is a function of the residual and %s",
                            d->name, d->inputs[i].name);
    }
    for (int64_t i = 0; i < n && loss->nan_policy == LOSSFN__NAN_ERROR; i++)
        LOSSFN__REQUIRE(!isnan(residual[i]), LOSSFN_ERROR_DOMAIN, "residual is NaN at element %lld", (long long)i);
    return LOSSFN_OK;
}

/* Of up to CHUNK residuals, none 0: the gradient at target 0, by the residual. */
static lossfn_status_t weigh(const lossfn_t *loss, int64_t n, const double *residual, double *out) {
    static const double zeros[CHUNK];
    const double one = 1;
    lossfn_tensor_t pred, target, grad;
    lossfn_args_t args;
    lossfn_args_init(&args);
    LOSSFN__TRY(lossfn_tensor_init_const(&pred, residual, LOSSFN_F64, 1, &n));
    LOSSFN__TRY(lossfn_tensor_init_const(&target, zeros, LOSSFN_F64, 1, &n));
    LOSSFN__TRY(lossfn_tensor_init(&grad, out, LOSSFN_F64, 1, &n));
    args.n_inputs = 2;
    args.inputs[0] = &pred, args.inputs[1] = &target;
    args.grads[0] = &grad;
    if (lossfn__is_mean(loss->reduction)) args.denominator = &one;
    LOSSFN__TRY(lossfn_run(loss, &args));
    for (int64_t i = 0; i < n; i++)
        if (!isnan(residual[i])) out[i] /= residual[i]; /* what is ignored counts 0 */
    return LOSSFN_OK;
}

/* Where the quotient says nothing: next to 0 the slope is too small to be exact, unless there is a kink; at infinity it
 * may be infinite. */
static double stand_in(double residual) {
    return fabs(residual) < DBL_MIN ? copysign(DBL_MIN, residual)
           : isinf(residual)        ? copysign(1e300, residual)
                                    : residual;
}

lossfn_status_t lossfn_irls_weight(const lossfn_t *loss, int64_t n, const double *residual, double *out) {
    LOSSFN__TRY(check_weights(loss, n, residual, out));
    for (int64_t begin = 0; begin < n; begin += CHUNK) {
        const int64_t size = n - begin < CHUNK ? n - begin : CHUNK;
        double r[CHUNK] = {0}, w[CHUNK] = {0}, at_infinity[CHUNK] = {0};
        int far = 0;
        for (int64_t i = 0; i < size; i++) {
            r[i] = stand_in(residual[begin + i]);
            far |= isinf(residual[begin + i]);
        }
        LOSSFN__TRY(weigh(loss, size, r, w));
        if (far) LOSSFN__TRY(weigh(loss, size, residual + begin, at_infinity));
        for (int64_t i = 0; i < size; i++) {
            const double size_of = fabs(residual[begin + i]);
            const int kink = size_of < DBL_MIN && fabs(w[i]) > 1e300;
            out[begin + i] = kink                                         ? w[i] * DBL_MIN / size_of
                             : isinf(size_of) && isfinite(at_infinity[i]) ? at_infinity[i]
                                                                          : w[i];
        }
    }
    return LOSSFN_OK;
}
