/* SPDX-License-Identifier: MIT
 * Runs the losses of a plan over a share of its units. Included once per instruction set and dtype, after the losses;
 * `kernels` is the table of them. */
#ifndef LOSSFN_ENGINE_DRIVER_H
#define LOSSFN_ENGINE_DRIVER_H

#include "engine/elements.h"
#include "engine/everyday.h"
#include "engine/marginals.h"
#include "engine/products.h"
#include "engine/survey.h"
#include "engine/together.h"

static void run(const lossfn__plan_t *plan, int64_t begin, int64_t end, lossfn__partial_t *partial) {
    if (plan->marginals >= 0)
        run_marginals(plan, begin, end, partial);
    else if (plan->product)
        run_row_products(plan, begin, end, partial);
    else if (plan->unit == LOSSFN_UNIT_ROW && runs_together(plan))
        run_rows_together(plan, begin, end, partial);
    else if (plan->unit == LOSSFN_UNIT_ROW)
        run_rows(plan, begin, end, partial);
    else
        run_elements(plan, begin, end, partial);
}

#endif
