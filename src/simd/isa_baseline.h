/* 16-byte vectors without fused multiply-add: SSE2 where there is one, else what the compiler makes of plain C.
 * For correctness; speed is not an aim here. */
#ifdef __SSE2__
#include <emmintrin.h>
#endif
#include "isa_magic.h"

/* With intrinsics or through a barrier: written as conversions of lanes, gcc 12 takes (double)(float)x for x. */
#ifdef __SSE2__
INLINE f64v f32_widen_low(f32v x) { return _mm_cvtps_pd(x); }
INLINE f64v f32_widen_high(f32v x) { return _mm_cvtps_pd(_mm_movehl_ps(x, x)); }
INLINE f32v f32_narrow(f64v low, f64v high) { return _mm_movelh_ps(_mm_cvtpd_ps(low), _mm_cvtpd_ps(high)); }
#else
INLINE f64v f32_widen_low(f32v x) { return (f64v){x[0], x[1]}; }
INLINE f64v f32_widen_high(f32v x) { return (f64v){x[2], x[3]}; }
INLINE f32v f32_narrow(f64v low, f64v high) {
    f32v x = {(float)low[0], (float)low[1], (float)high[0], (float)high[1]};
    __asm__("" : "+m"(x));
    return x;
}
#endif

/* p + c rounded to odd: truncated, and the last bit set if inexact. Rounding that to f32, normal or subnormal,
 * equals rounding the exact sum, because f64 has more than 24 + 2 bits. */
INLINE f64v f64_add_odd(f64v p, f64v c) {
    f64v s = p + c;
    f64v v = s - p, e = (p - (s - v)) + (c - v); /* two-sum: s + e = p + c; NaN if s is inf or NaN */
    i64v inexact = (e < 0) | (e > 0);
    i64v beyond = (i64v)((u64v)((i64v)s ^ (i64v)e) >> 63); /* 1 if s was rounded away from zero */
    return (f64v)(((i64v)s - (beyond & inexact)) | (1 & inexact));
}
OUT_OF_LINE f32v f32_fma(f32v a, f32v b, f32v c) { /* the product of two f32 is exact in f64 */
    return f32_narrow(f64_add_odd(f32_widen_low(a) * f32_widen_low(b), f32_widen_low(c)),
                      f64_add_odd(f32_widen_high(a) * f32_widen_high(b), f32_widen_high(c)));
}
OUT_OF_LINE f64v f64_fma(f64v a, f64v b, f64v c) { /* the C library's fma is rounded once */
    return (f64v){fma(a[0], b[0], c[0]), fma(a[1], b[1], c[1])};
}

/* |x| + 2^p - 2^p rounds to an integer where x may have a fraction: |x| < 2^p. */
INLINE f32v f32_round(f32v x) {
    const i32v sign = (i32v)(-0.0f - (f32v){0});
    f32v a = (f32v)((i32v)x & ~sign), r = (a + 0x1p23f) - 0x1p23f;
    i32v small = (a < 0x1p23f) & ~sign;
    return (f32v)((small & (i32v)r) | (~small & (i32v)x));
}
INLINE f64v f64_round(f64v x) {
    const i64v sign = (i64v)(-0.0 - (f64v){0});
    f64v a = (f64v)((i64v)x & ~sign), r = (a + 0x1p52) - 0x1p52;
    i64v small = (a < 0x1p52) & ~sign;
    return (f64v)((small & (i64v)r) | (~small & (i64v)x));
}

INLINE f32v f32_from_int(i32v i) { return __builtin_convertvector(i, f32v); }
INLINE f32v f32_lookup8(i32v i, const float *t) { return (f32v){t[i[0] & 7], t[i[1] & 7], t[i[2] & 7], t[i[3] & 7]}; }

#ifdef __SSE2__
INLINE f32v f32_sqrt(f32v x) { return _mm_sqrt_ps(x); }
INLINE f64v f64_sqrt(f64v x) { return _mm_sqrt_pd(x); }
INLINE uint32_t f32_bits(i32v m) { return (uint32_t)_mm_movemask_ps((__m128)m); }
INLINE uint32_t f64_bits(i64v m) { return (uint32_t)_mm_movemask_pd((__m128d)m); }
INLINE i32v f32_to_int(f32v x) { return (i32v)_mm_cvtps_epi32(x); }
#else
INLINE f32v f32_sqrt(f32v x) { return (f32v){sqrtf(x[0]), sqrtf(x[1]), sqrtf(x[2]), sqrtf(x[3])}; }
INLINE f64v f64_sqrt(f64v x) { return (f64v){sqrt(x[0]), sqrt(x[1])}; }
INLINE uint32_t f32_bits(i32v m) {
    i32v b = m & (i32v){1, 2, 4, 8};
    return (uint32_t)(b[0] | b[1] | b[2] | b[3]);
}
INLINE uint32_t f64_bits(i64v m) {
    i64v b = m & (i64v){1, 2};
    return (uint32_t)(b[0] | b[1]);
}
INLINE i32v f32_to_int(f32v x) { return __builtin_convertvector(x, i32v); }
#endif
INLINE int f32_any(i32v i) { return (((i64v)i)[0] | ((i64v)i)[1]) != 0; }
INLINE int f64_any(i64v i) { return (i[0] | i[1]) != 0; }

INLINE f32v join_parts(const void *const *at) {
    f32v x;
    memcpy(&x, at[0], sizeof x);
    return x;
}

INLINE void stream_vector(void *to, f32v x) { memcpy(to, &x, sizeof x); } /* an ordinary store */
INLINE void stream_half(void *to, u16h x) { memcpy(to, &x, sizeof x); }
INLINE void stream_fence(void) {}
