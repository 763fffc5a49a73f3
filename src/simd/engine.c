/* SPDX-License-Identifier: MIT
 * The engine, compiled once per instruction set and dtype. Everything but the table at the end is static, so that no
 * wide code leaks into another object. */
#include "engine/kernel.h"

#define ELEMENTWISE_LOSS(name, inputs) &NAME_OF(name),
#define ROWWISE_LOSS(name)             &NAME_OF(name),
#define WHOLE_ROW_LOSS(name)           &NAME_OF(name),
#define IN_FAMILY(family)              1
static const kernel_t *const kernels[] = {
#include "losses/list.h"
};

#include "engine/driver.h"

extern const lossfn__engine_t NAME_OF(engine);
const lossfn__engine_t NAME_OF(engine) = {run, run_direct, survey};
