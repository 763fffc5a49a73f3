/* SPDX-License-Identifier: MIT
 * Robust losses as functions of the squared residual. */
#include <math.h>
#include <stddef.h>
#include "core/status.h"
#include "engine/fpenv.h"
#include "core/handle.h"

static int has_rho(const lossfn_t *loss) {
    return loss && loss->n_terms == 1 && loss->terms[0].definition->rho != NULL;
}

int32_t lossfn_has_rho(const lossfn_t *loss) { return has_rho(loss); }

/* A coefficient scales all three. */
static void rho_at(const lossfn_t *loss, double s, double out[3]) {
    if (!(s >= 0)) {
        out[0] = out[1] = out[2] = NAN;
        return;
    }
    loss->terms[0].definition->rho(s, loss->terms[0].constants, out);
    if (loss->terms[0].coefficient == 1) return;
    for (int i = 0; i < 3; i++) out[i] *= loss->terms[0].coefficient;
}

void lossfn_rho(void *loss, double s, double out[3]) {
    if (!out) return;
    if (!has_rho(loss)) {
        out[0] = out[1] = out[2] = NAN;
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
