/* SPDX-License-Identifier: MIT
 * The engine and all losses, compiled once per instruction set and compute dtype. Everything but the table at the end
 * is static, so that no wide code leaks into another object. */
#include "losses/catalogue.h"
#include "engine/kernel.h"

#define ELEMENTWISE_LOSS(name, inputs) ELEMENTWISE_FUNCTIONS(name, inputs)
#define ROWWISE_LOSS(name)             ROWWISE_FUNCTIONS(name)
#define WHOLE_ROW_LOSS(name)           WHOLE_ROW_FUNCTIONS(name)
#include "losses/list.h"
#undef ELEMENTWISE_LOSS
#undef ROWWISE_LOSS
#undef WHOLE_ROW_LOSS

#define ELEMENTWISE_LOSS(name, inputs)                                                                                 \
    {.n_inputs = inputs,                                                                                               \
     .elements = ELEMENTWISE_LOOPS(name),                                                                              \
     .tuned = TUNED_ELEMENTWISE_LOOPS(name),                                                                           \
     .is_tuned = name##_is_tuned},
#define ROWWISE_LOSS(name)                                                                                             \
    {.rows = {name##_row_sums, name##_row_finish, name##_row_map, name##_short_row, name##_rows_together,              \
              name##_wants_top, name##_keeps, name##_run_product, NULL}},
#define WHOLE_ROW_LOSS(name) {.rows = {.product = name##_run_row, .whole_row = name##_run_row}},
static const kernel_t kernels[] = {
#include "losses/list.h"
};

#include "engine/driver.h"

#if defined(LOSSFN_ISA_AVX512)
#define ENGINE_ISA avx512
#elif defined(LOSSFN_ISA_AVX2)
#define ENGINE_ISA avx2
#elif defined(LOSSFN_ISA_NEON)
#define ENGINE_ISA neon
#else
#define ENGINE_ISA baseline
#endif
#ifdef LOSSFN_REAL_F32
#define ENGINE_NAME(isa) ENGINE_NAME_(isa, f32)
#else
#define ENGINE_NAME(isa) ENGINE_NAME_(isa, f64)
#endif
#define ENGINE_NAME_(isa, dtype)  ENGINE_NAME__(isa, dtype)
#define ENGINE_NAME__(isa, dtype) lossfn__engine_##isa##_##dtype

extern const lossfn__engine_t ENGINE_NAME(ENGINE_ISA);
const lossfn__engine_t ENGINE_NAME(ENGINE_ISA) = {run, run_direct, survey};
