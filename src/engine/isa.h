/* SPDX-License-Identifier: MIT
 * The machine: which instruction set's engine runs, and how much its caches hold. */
#ifndef LOSSFN_ENGINE_ISA_H
#define LOSSFN_ENGINE_ISA_H

#include "engine/plan.h"

/* The engine for a compute dtype; NULL when LOSSFN_ISA asks for what there is not. */
const lossfn__engine_t *lossfn__engine(int is_double);
/* Why there is no engine, or NULL. */
const char *lossfn__isa_problem(void);
/* Bytes of the last cache. */
int64_t lossfn__cache_size(void);

#endif
