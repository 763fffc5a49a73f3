/* SPDX-License-Identifier: MIT
 * The kernels of one family of losses, compiled once per family, instruction set and dtype. Everything but the kernels
 * themselves is static, so that no wide code leaks into another object. */
#include "engine/kernel.h"
#include LOSSFN_FAMILY_FILE

#define NUMBER_OF(family)              NUMBER_OF_(family)
#define NUMBER_OF_(family)             FAMILY_##family
#define IN_FAMILY(other)               (FAMILY_##other == NUMBER_OF(LOSSFN_FAMILY))
#define ELEMENTWISE_LOSS(name, inputs) ELEMENTWISE_FUNCTIONS(name, inputs)
#define ROWWISE_LOSS(name)             ROWWISE_FUNCTIONS(name)
#define WHOLE_ROW_LOSS(name)           WHOLE_ROW_FUNCTIONS(name)
#include "losses/list.h"
