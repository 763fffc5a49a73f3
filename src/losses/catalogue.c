/* SPDX-License-Identifier: MIT
 * The table of built-in losses: what each says of itself. Their kernels are compiled in simd/kernels.c, in the same
 * order. */
#define LOSSFN_REAL_F64
#ifndef LOSSFN_ISA_BASELINE
#define LOSSFN_ISA_BASELINE
#endif
#include "losses/catalogue.h"

#define ELEMENTWISE_LOSS(name, inputs) &name##_definition,
#define ROWWISE_LOSS(name)             &name##_definition,
#define IN_FAMILY(family)              1
#define WHOLE_ROW_LOSS(name)           &name##_definition,
const lossfn__definition_t *const lossfn__catalogue[] = {
#include "losses/list.h"
};
const int32_t lossfn__catalogue_size = KERNELS;
