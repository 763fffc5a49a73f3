/* SPDX-License-Identifier: MIT
 * Which instruction set's engine runs. */
#ifndef LOSSFN_ENGINE_ISA_H
#define LOSSFN_ENGINE_ISA_H

#include "engine/plan.h"

/* The engine for a compute dtype; NULL when LOSSFN_ISA asks for what there is not. */
const lossfn__engine_t *lossfn__engine(int is_double);
/* Why there is no engine, or NULL. */
const char *lossfn__isa_problem(void);

#endif
