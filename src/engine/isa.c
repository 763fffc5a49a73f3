/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE /* dl_iterate_phdr */
#include "engine/isa.h"
#include "engine/file.h"

#include <errno.h>
#ifdef __linux__
#include <link.h>
#endif
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DECLARE(isa) extern const lossfn__engine_t lossfn__engine_##isa##_f32, lossfn__engine_##isa##_f64;
DECLARE(baseline)

typedef struct {
    const char *name;
    int (*runs_here)(void);
    const lossfn__engine_t *f32, *f64;
} isa_t;

#define ROW(isa, runs_here)                                                                                            \
    { #isa, runs_here, &lossfn__engine_##isa##_f32, &lossfn__engine_##isa##_f64 }

static int always(void) { return 1; }

#ifdef LOSSFN_HAVE_AVX2
DECLARE(avx2)
static int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif
#ifdef LOSSFN_HAVE_AVX512
DECLARE(avx512)
static int has_avx512(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl");
}
#endif
#ifdef LOSSFN_HAVE_NEON
DECLARE(neon)
#endif

/* Those that are compiled in, best first, the reference last. */
static const isa_t isas[] = {
#ifdef LOSSFN_HAVE_AVX512
    ROW(avx512, has_avx512),
#endif
#ifdef LOSSFN_HAVE_AVX2
    ROW(avx2, has_avx2),
#endif
#ifdef LOSSFN_HAVE_NEON
    ROW(neon, always),
#endif
    ROW(baseline, always),
};
static const isa_t unsupported = {"unsupported", always, NULL, NULL};

static const isa_t *choose(void) {
    const char *forced = getenv("LOSSFN_ISA");
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
#endif
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
        int wanted = !forced || !*forced || strcmp(forced, isas[i].name) == 0;
        if (wanted && isas[i].runs_here()) return &isas[i];
    }
    return &unsupported;
}

/* Reads from every page of the constants. Compilers load a constant under a mask; while the mask is empty and the page
 * has not been touched otherwise, some processors take hundreds of cycles to suppress the fault, each time anew. (What
 * is chosen in every element comes from registers anyway: in_register in src/simd.)
 * AddressSanitizer, which puts guards between constants, must not look at these reads. */
#ifdef __linux__
#ifdef __GNUC__
__attribute__((no_sanitize_address))
#endif
static int
touch_constants(struct dl_phdr_info *object, size_t size, void *unused) {
    const uintptr_t here = (uintptr_t)&unsupported, page = 4096;
    int ours = 0;
    (void)size, (void)unused;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        const uintptr_t begin = object->dlpi_addr + segment->p_vaddr;
        ours |= segment->p_type == PT_LOAD && here >= begin && here - begin < segment->p_memsz;
    }
    for (int i = 0; ours && i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || segment->p_flags & (PF_W | PF_X)) continue;
        const volatile char *at = (const volatile char *)(object->dlpi_addr + segment->p_vaddr);
        for (uintptr_t offset = 0; offset < segment->p_memsz; offset += page) (void)at[offset];
    }
    return ours;
}
#endif

/* Chosen once; threads that race choose the same. */
static const isa_t *current(void) {
    static _Atomic(const isa_t *) chosen;
    const isa_t *isa = atomic_load_explicit(&chosen, memory_order_acquire);
    if (!isa) {
        isa = choose();
#ifdef __linux__
        dl_iterate_phdr(touch_constants, NULL);
#endif
        atomic_store_explicit(&chosen, isa, memory_order_release);
    }
    return isa;
}

const lossfn__engine_t *lossfn__engine(int is_double) { return is_double ? current()->f64 : current()->f32; }

/* What the system says of the caches that it shows its programs; the processor itself, whom the C library asks, may
 * speak of a larger one, of which a virtual machine has a part. 0 if it says nothing. */
static int64_t shown_cache_size(void) {
    char text[32], *unit;
    if (!lossfn__read_text("/sys/devices/system/cpu/cpu0/cache/index3/size", text, sizeof text)) return 0;
    const int64_t size = strtoll(text, &unit, 10);
    if (size <= 0 || size > 1 << 30) return 0;
    return *unit == 'M' ? size << 20 : *unit == 'K' ? size << 10 : size;
}

int64_t lossfn__cache_size(void) {
    static _Atomic int64_t size; /* threads that race find the same */
    int64_t known = atomic_load_explicit(&size, memory_order_relaxed);
    if (known == 0) {
        int saved = errno;
        known = shown_cache_size();
#ifdef _SC_LEVEL3_CACHE_SIZE
        if (known == 0) known = sysconf(_SC_LEVEL3_CACHE_SIZE);
#endif
        if (known <= 0) known = 32 << 20;
        errno = saved;
        atomic_store_explicit(&size, known, memory_order_relaxed);
    }
    return known;
}

const char *lossfn__isa_problem(void) {
    static _Thread_local char text[160];
    if (current() != &unsupported) return NULL;
    const char *forced = getenv("LOSSFN_ISA");
    snprintf(text, sizeof text, "LOSSFN_ISA is '%.40s', this machine and library have", forced ? forced : "");
    for (int32_t i = 0; lossfn_isa_at(i); i++) {
        size_t length = strlen(text);
        snprintf(text + length, sizeof text - length, "%s %s", i ? "," : "", lossfn_isa_at(i));
    }
    return text;
}

const char *lossfn_isa(void) { return current()->name; }

const char *lossfn_isa_at(int32_t i) {
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
#endif
    for (size_t k = 0; k < sizeof isas / sizeof *isas; k++)
        if (isas[k].runs_here() && i-- == 0) return isas[k].name;
    return NULL;
}
