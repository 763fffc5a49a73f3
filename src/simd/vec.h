/* The vector type and its operations, for one dtype and one instruction set.
 *
 * A translation unit defines, before including this header, one of
 *     LOSSFN_REAL_F32      LOSSFN_REAL_F64
 * and one of
 *     LOSSFN_ISA_BASELINE  SSE2, or 16-byte vectors of the compiler where there is no SSE2
 *     LOSSFN_ISA_AVX2      AVX2 and FMA
 *     LOSSFN_ISA_AVX512    AVX-512 F, DQ, BW and VL
 *     LOSSFN_ISA_NEON      AArch64
 * and is compiled for that set with -ffp-contract=off. Every operation gives the same bits on every set, up to
 * the sign and payload of NaN.
 *
 *     V   vector of REAL, native width          + - * / and comparisons come from the language
 *     M   mask: what comparing two V yields     lanes are 0 or -1
 *     I   signed integers as wide as REAL       the same type as M
 *     D   vector of double, native width        DPARTS of them hold one V
 *     L   signed 64-bit integers                D's counterpart of I
 *
 * Vectors are native width, never wider; select is and/or, because C has no ?: on vectors. */
#ifndef LOSSFN_SIMD_VEC_H
#define LOSSFN_SIMD_VEC_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(LOSSFN_REAL_F32) + defined(LOSSFN_REAL_F64) != 1
#error "define exactly one of LOSSFN_REAL_F32 and LOSSFN_REAL_F64"
#endif
#if defined(LOSSFN_ISA_BASELINE) + defined(LOSSFN_ISA_AVX2) + defined(LOSSFN_ISA_AVX512) + defined(LOSSFN_ISA_NEON) != 1
#error "define exactly one LOSSFN_ISA_*"
#endif

#if defined(LOSSFN_ISA_AVX512)
#define ISA_NAME     avx512
#define VECTOR_BYTES 64
#elif defined(LOSSFN_ISA_AVX2)
#define ISA_NAME     avx2
#define VECTOR_BYTES 32
#elif defined(LOSSFN_ISA_NEON)
#define ISA_NAME     neon
#define VECTOR_BYTES 16
#else
#define ISA_NAME     baseline
#define VECTOR_BYTES 16
#endif

#define INLINE static inline __attribute__((always_inline, unused))
/* For what is too long to be inlined into every loop; vectors go through pointers there. */
#define OUT_OF_LINE static __attribute__((noinline, unused))
/* The baseline and what is built to be checked need not be fast. LOSSFN_UNHURRIED says so of a build. */
#if defined(LOSSFN_ISA_BASELINE) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                   \
    defined(LOSSFN_UNHURRIED)
#define UNHURRIED 1
#else
#define UNHURRIED 0
#endif
/* Before a short loop of constant length over vectors, which must be in registers. clang unrolls it unasked. */
#if defined(__clang__) || UNHURRIED
#define UNROLL
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

typedef float f32v __attribute__((vector_size(VECTOR_BYTES)));
typedef double f64v __attribute__((vector_size(VECTOR_BYTES)));
typedef int32_t i32v __attribute__((vector_size(VECTOR_BYTES))); /* also what comparing f32v gives */
typedef int64_t i64v __attribute__((vector_size(VECTOR_BYTES)));
typedef uint32_t u32v __attribute__((vector_size(VECTOR_BYTES)));
typedef uint64_t u64v __attribute__((vector_size(VECTOR_BYTES)));
typedef uint16_t u16h __attribute__((vector_size(VECTOR_BYTES / 2))); /* as many as f32v has lanes */

/* What differs between instruction sets: fma, sqrt, round (to nearest even), mask bits, integral value to
 * integer, the lower and upper half widened, two halves narrowed. */
#if defined(LOSSFN_ISA_AVX512)
#include "isa_avx512.h"
#elif defined(LOSSFN_ISA_AVX2)
#include "isa_avx2.h"
#elif defined(LOSSFN_ISA_NEON)
#include "isa_neon.h"
#else
#include "isa_baseline.h"
#endif

typedef f64v D;
typedef i64v L;
#define DLANES (VECTOR_BYTES / 8)

#ifdef LOSSFN_REAL_F32
#define REAL_NAME f32
typedef float REAL;
typedef f32v V;
typedef i32v M, I;
typedef u32v U; /* I unsigned, for shifts */
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
#define LANES         (VECTOR_BYTES / 4)
#define DPARTS        2
#define ISA_OP(op)    f32_##op
#else
#define REAL_NAME     f64
typedef double REAL;
typedef f64v V;
typedef i64v M, I;
typedef u64v U;
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define LANES         DLANES
#define DPARTS        1
#define ISA_OP(op)    f64_##op
#endif

/* ---- loading, storing, bits ---- */

INLINE V v_load(const REAL *p) {
    V x;
    memcpy(&x, p, sizeof x);
    return x;
}
INLINE void v_store(REAL *p, V x) { memcpy(p, &x, sizeof x); }
/* The first n lanes, 0 to LANES of them, none if n < 0; the others from `rest`, or left alone in memory. */
INLINE V v_load_first(const REAL *p, int n, V rest) {
#if defined(LOSSFN_ISA_AVX512) || defined(LOSSFN_ISA_AVX2)
    return ISA_OP(load_first)(p, n, rest);
#else
    for (int l = 0; l < n; l++) rest[l] = p[l];
    return rest;
#endif
}
INLINE void v_store_first(REAL *p, int n, V x) {
#ifdef LOSSFN_ISA_AVX512
    ISA_OP(store_first)(p, n, x);
#else
    for (int l = 0; l < n; l++) p[l] = x[l];
#endif
}
INLINE V v_set(double s) { return (REAL)s - (V){0}; } /* s - 0 is s, also for -0 */
INLINE I v_as_i(V x) { return (I)x; }
INLINE V i_as_v(I i) { return (V)i; }

/* LANES unsigned integers of 1, 2 or 4 bytes. gcc 12 makes of such a conversion one of single numbers. */
INLINE U u_load(const void *p, const int item) {
#if defined(LOSSFN_ISA_AVX512) || defined(LOSSFN_ISA_AVX2)
    if (item == 1) return ISA_OP(widen_bytes)(p);
    if (item == 2) return ISA_OP(widen_halves)(p);
#ifdef LOSSFN_REAL_F64
    if (item == 4) return ISA_OP(widen_words)(p);
#endif
    U x;
    memcpy(&x, p, sizeof x);
    return x;
#else
    U x = {0};
    for (int l = 0; l < LANES; l++) {
        uint8_t byte;
        uint16_t half;
        uint32_t word;
        const char *at = (const char *)p + l * item;
        if (item == 1) memcpy(&byte, at, 1), x[l] = byte;
        if (item == 2) memcpy(&half, at, 2), x[l] = half;
        if (item == 4) memcpy(&word, at, 4), x[l] = word;
    }
    return x;
#endif
}

/* ---- masks and integers ---- */

INLINE M m_and(M a, M b) { return a & b; }
INLINE M m_or(M a, M b) { return a | b; }
INLINE M m_not(M a) { return ~a; }
INLINE M m_andnot(M a, M b) { return a & ~b; } /* a and not b */
INLINE M m_none(void) { return (M){0}; }
INLINE uint32_t m_bits(M m) { return ISA_OP(bits)(m); } /* bit i is lane i */
INLINE int m_any(M m) { return m_bits(m) != 0; }
/* A constant that a loop is to hold in a register rather than make anew. */
INLINE I i_held(I i) {
#ifdef LOSSFN_ISA_AVX512
    return (I)in_register((i64v)i);
#else
    return i;
#endif
}
INLINE int i_any(I i) { return ISA_OP(any)(i); } /* whether any bit of any lane is set */
INLINE int m_all(M m) { return m_bits(m) == (1u << LANES) - 1; }

INLINE I i_set(int s) { return (I){0} + s; }
INLINE I i_select(M m, I a, I b) { return (m & a) | (~m & b); } /* a where m */
INLINE I i_iota(void) {
#if VECTOR_BYTES == 64 && defined(LOSSFN_REAL_F32)
    return (I){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif VECTOR_BYTES == 64 || (VECTOR_BYTES == 32 && defined(LOSSFN_REAL_F32))
    return (I){0, 1, 2, 3, 4, 5, 6, 7};
#elif VECTOR_BYTES == 32 || defined(LOSSFN_REAL_F32)
    return (I){0, 1, 2, 3};
#else
    return (I){0, 1};
#endif
}

/* ---- arithmetic ---- */

INLINE V v_select(M m, V a, V b) { /* a where m */
#ifdef LOSSFN_ISA_AVX512
    if (__builtin_constant_p(a[0]) && a[0] != 0) a = (V)in_register((i64v)a);
#endif
    return (V)((m & (M)a) | (~m & (M)b));
}
INLINE M v_sign_bit(void) { return (M)v_set(-0.0); }
INLINE V v_abs(V x) { return (V)((M)x & ~v_sign_bit()); }
INLINE V v_neg(V x) { return (V)((M)x ^ v_sign_bit()); }
INLINE V v_copysign(V mag, V sgn) { return v_select(v_sign_bit(), sgn, mag); }
INLINE V v_fma(V a, V b, V c) { return ISA_OP(fma)(a, b, c); } /* a b + c, rounded once */
INLINE V v_sqrt(V x) { return ISA_OP(sqrt)(x); }
INLINE V v_round(V x) { return ISA_OP(round)(x); } /* to nearest, ties to even; keeps the sign of zero */
INLINE V v_floor(V x) {
    V r = v_round(x);
    return r - v_select(r > x, v_set(1), v_set(0));
}
INLINE M v_isnan(V x) { return x != x; }
INLINE M v_isfinite(V x) { return v_abs(x) < v_set(INFINITY); }
/* b unless a < b (a > b), so b if either is NaN; one instruction on x86, whose minimum and maximum mean just
 * that. */
#if defined(LOSSFN_ISA_AVX512) || defined(LOSSFN_ISA_AVX2)
INLINE V v_lesser(V a, V b) { return ISA_OP(lesser)(a, b); }
INLINE V v_greater(V a, V b) { return ISA_OP(greater)(a, b); }
#else
INLINE V v_lesser(V a, V b) { return v_select(a < b, a, b); }
INLINE V v_greater(V a, V b) { return v_select(a > b, a, b); }
#endif
/* NaN if either is NaN; of two zeros the second. */
INLINE V v_min(V a, V b) { return v_select((a < b) | v_isnan(a), a, b); }
INLINE V v_max(V a, V b) { return v_select((a > b) | v_isnan(a), a, b); }

/* ---- parts and rows ---- */

#ifdef __clang__
#define SHUFFLE(index, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(index, a, b, ...) __builtin_shuffle(a, b, (index){__VA_ARGS__})
#endif
/* Lane l ^ step in lane l; step is a power of 2, less than DLANES. */
INLINE D d_across(D x, const int step) {
#if DLANES == 8
    return step == 4   ? SHUFFLE(L, x, x, 4, 5, 6, 7, 0, 1, 2, 3)
           : step == 2 ? SHUFFLE(L, x, x, 2, 3, 0, 1, 6, 7, 4, 5)
                       : SHUFFLE(L, x, x, 1, 0, 3, 2, 5, 4, 7, 6);
#elif DLANES == 4
    return step == 2 ? SHUFFLE(L, x, x, 2, 3, 0, 1) : SHUFFLE(L, x, x, 1, 0, 3, 2);
#else
    (void)step;
    return SHUFFLE(L, x, x, 1, 0);
#endif
}
INLINE V v_across(V x, const int step) {
    enum { IN_DOUBLE = LANES / DLANES };
    if (step >= IN_DOUBLE) return (V)d_across((D)x, step / IN_DOUBLE);
    return (V)((u64v)x << 32 | (u64v)x >> 32);
}

/* The largest lane, in all lanes (of two zeros either); none is NaN. */
INLINE V v_largest(V x) {
    UNROLL for (int step = LANES / 2; step > 0; step /= 2) x = v_greater(x, v_across(x, step));
    return x;
}

/* A vector is made of parts of 16 bytes, within which exchanging lanes costs least. */
enum { PART = 16 / sizeof(REAL), PARTS = LANES / PART };

/* Lanes of a and b in turn: of the lower halves of their parts, of the upper ones. */
#if LANES == 16
#define LOW_PAIRS  0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29
#define HIGH_PAIRS 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31
#elif LANES == 8 && defined(LOSSFN_REAL_F32)
#define LOW_PAIRS  0, 8, 1, 9, 4, 12, 5, 13
#define HIGH_PAIRS 2, 10, 3, 11, 6, 14, 7, 15
#elif LANES == 8
#define LOW_PAIRS  0, 8, 2, 10, 4, 12, 6, 14
#define HIGH_PAIRS 1, 9, 3, 11, 5, 13, 7, 15
#elif LANES == 4 && defined(LOSSFN_REAL_F32)
#define LOW_PAIRS  0, 4, 1, 5
#define HIGH_PAIRS 2, 6, 3, 7
#elif LANES == 4
#define LOW_PAIRS  0, 4, 2, 6
#define HIGH_PAIRS 1, 5, 3, 7
#else
#define LOW_PAIRS  0, 2
#define HIGH_PAIRS 1, 3
#endif
INLINE V v_low_pairs(V a, V b) { return SHUFFLE(I, a, b, LOW_PAIRS); }
INLINE V v_high_pairs(V a, V b) { return SHUFFLE(I, a, b, HIGH_PAIRS); }

/* The vector whose part g lies at at[g]. */
INLINE V v_join(const REAL *const at[PARTS]) {
    const void *parts[PARTS];
    UNROLL for (int g = 0; g < PARTS; g++) parts[g] = at[g];
    return (V)join_parts(parts);
}

/* Lane j of each part of row i to lane i of the same part of row j, by as many rounds of pairing as a part's lanes have
 * bits. With rows of which part g is the first columns of row g * PART + i of a table, these become its columns. */
INLINE void v_turn_parts(V rows[PART]) {
    V other[PART];
    UNROLL for (int round = 1; round < PART; round *= 2) {
        UNROLL for (int i = 0; i < PART / 2; i++) {
            other[2 * i] = v_low_pairs(rows[i], rows[i + PART / 2]);
            other[2 * i + 1] = v_high_pairs(rows[i], rows[i + PART / 2]);
        }
        UNROLL for (int i = 0; i < PART; i++) rows[i] = other[i];
    }
}

/* n rows of LANES numbers, `step` apart, to LANES columns, `to_step` apart; lanes past n repeat the first row. */
INLINE void v_turn(REAL *to, int64_t to_step, const REAL *from, int64_t step, int64_t n) {
    UNROLL for (int c = 0; c < LANES; c += PART) {
        V x[PART];
        UNROLL for (int i = 0; i < PART; i++) {
            const REAL *at[PARTS];
            UNROLL for (int g = 0; g < PARTS; g++) at[g] = from + (g * PART + i < n ? (g * PART + i) * step : 0) + c;
            x[i] = v_join(at);
        }
        v_turn_parts(x);
        UNROLL for (int i = 0; i < PART; i++) v_store(to + (c + i) * to_step, x[i]);
    }
}

/* ---- a table of eight ---- */

#ifdef LOSSFN_REAL_F32
/* The one of eight that the last three bits of each lane choose. */
#define v_lookup8(i, a, b, c, d, e, f, g, h) ISA_OP(lookup8)(i, (const float[8]){a, b, c, d, e, f, g, h})
#endif

/* ---- between integers and reals ----
 * Integral values with |x| < 2^31 (f32), 2^51 (f64); anything else gives some integer. */

INLINE I v_to_i(V x) { return ISA_OP(to_int)(x); }
INLINE V v_from_i(I i) { return ISA_OP(from_int)(i); }

/* x 2^n, rounded once, for integral n with |n| <= 252 (f32), 2044 (f64), if x 2^(n/2) is 0 or not subnormal. */
INLINE V v_ldexp(V x, V n) {
#ifdef LOSSFN_ISA_AVX512
    return ISA_OP(ldexp)(x, n);
#else /* by two powers of two, only the second product can be inexact */
    U biases = (U)v_to_i(n) + 2 * EXPONENT_BIAS, first = biases >> 1;
    return x * (V)(first << MANTISSA_BITS) * (V)((biases - first) << MANTISSA_BITS);
#endif
}

/* The same for -EXPONENT_BIAS - MANTISSA_BITS <= n <= 0 and 1/2 <= |x| < 2. */
INLINE V v_ldexp_down(V x, V n) {
#ifdef LOSSFN_ISA_AVX512
    return ISA_OP(ldexp)(x, n);
#else /* the first product is normal and exact */
    const int half = EXPONENT_BIAS / 2;
    return x * (V)((U)(v_to_i(n) + (EXPONENT_BIAS + half)) << MANTISSA_BITS) *
           v_set(sizeof(REAL) == 4 ? 0x1p-63 : 0x1p-511);
#endif
}

/* x 2^n, rounded once, for any x and integral n with |n| <= 252 (f32), 2044 (f64). */
INLINE V v_ldexp_any(V x, V n) {
#ifdef LOSSFN_ISA_AVX512
    return ISA_OP(ldexp)(x, n);
#else /* the first product is exact, or all is 0 or infinite */
    const V low = v_set(1 - EXPONENT_BIAS), high = v_set(EXPONENT_BIAS);
    const V second = v_lesser(v_greater(n, low), high);
    return x * (V)((U)(v_to_i(n - second) + EXPONENT_BIAS) << MANTISSA_BITS) *
           (V)((U)(v_to_i(second) + EXPONENT_BIAS) << MANTISSA_BITS);
#endif
}

/* ---- double ---- */

INLINE D d_set(double s) { return s - (D){0}; }
INLINE D d_load(const double *p) {
    D x;
    memcpy(&x, p, sizeof x);
    return x;
}
INLINE void d_store(double *p, D x) { memcpy(p, &x, sizeof x); }
INLINE L d_as_l(D x) { return (L)x; }
INLINE D l_as_d(L i) { return (D)i; }
INLINE D d_select(L m, D a, D b) { return (D)((m & (L)a) | (~m & (L)b)); }
INLINE D d_fma(D a, D b, D c) { return f64_fma(a, b, c); }

/* Lane order is kept: out[0] holds lanes 0 to DLANES - 1. */
INLINE void v_widen(V x, D out[DPARTS]) {
#ifdef LOSSFN_REAL_F32
    out[0] = f32_widen_low(x);
    out[1] = f32_widen_high(x);
#else
    out[0] = x;
#endif
}
INLINE V v_narrow(const D in[DPARTS]) {
#ifdef LOSSFN_REAL_F32
    return f32_narrow(in[0], in[1]);
#else
    return in[0];
#endif
}

/* Loads a vector from at[i]; lanes at or past n read as fill. */
INLINE V load_some(const REAL *at, int64_t i, int64_t n, REAL fill) {
    if (__builtin_expect(i + LANES <= n, 1)) return v_load(at + i);
    return v_load_first(at + i, (int)(n - i), v_set((double)fill));
}

INLINE void store_some(REAL *at, int64_t i, int64_t n, V x) {
    if (__builtin_expect(i + LANES <= n, 1))
        v_store(at + i, x);
    else
        v_store_first(at + i, (int)(n - i), x);
}

#endif
