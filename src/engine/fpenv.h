/* Computes under the default floating-point control word whatever the caller set: round to nearest, subnormals
 * kept, no traps. Enter, call the functions that compute, leave; the compiler may move arithmetic across these
 * two, so it must stand in functions that are not inlined between them.
 *
 * The whole word comes back as it was, on x86-64 with the sticky exception flags in it: a caller that watches them does
 * not see ours. (On AArch64 the flags live in a register of their own, which is left alone.) */
#ifndef LOSSFN_ENGINE_FPENV_H
#define LOSSFN_ENGINE_FPENV_H

#include <stdint.h>

/* clang's memory sanitizer does not see what assembly writes. */
#if defined(__has_feature)
#if __has_feature(memory_sanitizer)
#define LOSSFN__FPENV_SHOWN
#endif
#endif

#if defined(__x86_64__)

/* From and to memory, without a copy on the way, which would cost a call of a few nanoseconds a part of them. */
typedef uint32_t lossfn__fpenv_word_t;
static inline void lossfn__fpenv_save(lossfn__fpenv_word_t *word) {
#ifdef LOSSFN__FPENV_SHOWN
    *word = __builtin_ia32_stmxcsr();
#else
    __asm__ volatile("stmxcsr %0" : "=m"(*word) : : "memory");
#endif
}
static inline void lossfn__fpenv_load(const lossfn__fpenv_word_t *word) {
    __asm__ volatile("ldmxcsr %0" : : "m"(*word) : "memory");
}

/* Bits 0..5 are the sticky flags; 6 DAZ, 7..12 the masks, 13..14 rounding, 15 FTZ. */
#define LOSSFN__FPENV_CONTROL     0xFFC0u
#define LOSSFN__FPENV_DEFAULT     0x1F80u
#define LOSSFN__FPENV_HOLDS_FLAGS 1

#elif defined(__aarch64__)

typedef uint64_t lossfn__fpenv_word_t;
static inline void lossfn__fpenv_save(lossfn__fpenv_word_t *word) {
    __asm__ volatile("mrs %0, fpcr" : "=r"(*word) : : "memory");
}
static inline void lossfn__fpenv_load(const lossfn__fpenv_word_t *word) {
    __asm__ volatile("msr fpcr, %0" : : "r"(*word) : "memory");
}

/* FPCR holds control bits only (the flags live in FPSR), and all of them are 0 by default. */
#define LOSSFN__FPENV_CONTROL     UINT64_MAX
#define LOSSFN__FPENV_DEFAULT     0u
#define LOSSFN__FPENV_HOLDS_FLAGS 0

#else /* nothing to set, as in WebAssembly */

typedef uint64_t lossfn__fpenv_word_t;
static inline void lossfn__fpenv_save(lossfn__fpenv_word_t *word) { *word = 0; }
static inline void lossfn__fpenv_load(const lossfn__fpenv_word_t *word) { (void)word; }
#define LOSSFN__FPENV_CONTROL     0u
#define LOSSFN__FPENV_DEFAULT     0u
#define LOSSFN__FPENV_HOLDS_FLAGS 0

#endif

typedef struct {
    lossfn__fpenv_word_t word;
    int foreign;
} lossfn__fpenv_t;

static inline uint64_t lossfn__fpenv_get(void) {
    lossfn__fpenv_word_t word;
    lossfn__fpenv_save(&word);
    return word;
}

static inline void lossfn__fpenv_set(uint64_t word) {
    const lossfn__fpenv_word_t own = (lossfn__fpenv_word_t)word;
    lossfn__fpenv_load(&own);
}

static inline void lossfn__fpenv_enter(lossfn__fpenv_t *saved) {
    lossfn__fpenv_save(&saved->word);
    saved->foreign = (saved->word & LOSSFN__FPENV_CONTROL) != LOSSFN__FPENV_DEFAULT;
    if (saved->foreign) lossfn__fpenv_set(LOSSFN__FPENV_DEFAULT);
}

static inline void lossfn__fpenv_leave(const lossfn__fpenv_t *saved) {
    if (LOSSFN__FPENV_HOLDS_FLAGS || saved->foreign) lossfn__fpenv_load(&saved->word);
}

#endif
