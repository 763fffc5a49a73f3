/* AVX2 and FMA: what vec.h needs from the instruction set. */
#include <immintrin.h>
#include "isa_magic.h"

#define NEAREST (_MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)

INLINE f32v f32_fma(f32v a, f32v b, f32v c) { return _mm256_fmadd_ps(a, b, c); }
INLINE f64v f64_fma(f64v a, f64v b, f64v c) { return _mm256_fmadd_pd(a, b, c); }
INLINE f32v f32_sqrt(f32v x) { return _mm256_sqrt_ps(x); }
INLINE f64v f64_sqrt(f64v x) { return _mm256_sqrt_pd(x); }
INLINE f32v f32_round(f32v x) { return _mm256_round_ps(x, NEAREST); }
INLINE f64v f64_round(f64v x) { return _mm256_round_pd(x, NEAREST); }
INLINE f32v f32_lesser(f32v a, f32v b) { return _mm256_min_ps(a, b); }
INLINE f64v f64_lesser(f64v a, f64v b) { return _mm256_min_pd(a, b); }
INLINE f32v f32_greater(f32v a, f32v b) { return _mm256_max_ps(a, b); }
INLINE f64v f64_greater(f64v a, f64v b) { return _mm256_max_pd(a, b); }
INLINE uint32_t f32_bits(i32v m) { return (uint32_t)_mm256_movemask_ps((__m256)m); }
INLINE uint32_t f64_bits(i64v m) { return (uint32_t)_mm256_movemask_pd((__m256d)m); }
INLINE int f32_any(i32v i) { return !_mm256_testz_si256((__m256i)i, (__m256i)i); }
INLINE int f64_any(i64v i) { return !_mm256_testz_si256((__m256i)i, (__m256i)i); }
INLINE i32v f32_to_int(f32v x) { return (i32v)_mm256_cvtps_epi32(x); }
INLINE f32v f32_from_int(i32v i) { return _mm256_cvtepi32_ps((__m256i)i); }
INLINE f32v f32_lookup8(i32v i, const float *t) {
    return _mm256_permutevar8x32_ps((f32v){t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7]}, (__m256i)i);
}
INLINE f64v f32_widen_low(f32v x) { return _mm256_cvtps_pd(_mm256_castps256_ps128(x)); }
INLINE f64v f32_widen_high(f32v x) { return _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1)); }
INLINE f32v f32_narrow(f64v low, f64v high) { return _mm256_set_m128(_mm256_cvtpd_ps(high), _mm256_cvtpd_ps(low)); }

INLINE u32v f32_widen_bytes(const void *p) { return (u32v)_mm256_cvtepu8_epi32(_mm_loadl_epi64(p)); }
INLINE u32v f32_widen_halves(const void *p) { return (u32v)_mm256_cvtepu16_epi32(_mm_loadu_si128(p)); }
INLINE u64v f64_widen_bytes(const void *p) { return (u64v)_mm256_cvtepu8_epi64(_mm_loadu_si32(p)); }
INLINE u64v f64_widen_halves(const void *p) { return (u64v)_mm256_cvtepu16_epi64(_mm_loadl_epi64(p)); }
INLINE u64v f64_widen_words(const void *p) { return (u64v)_mm256_cvtepu32_epi64(_mm_loadu_si128(p)); }

INLINE __m256i f32_first(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
INLINE __m256i f64_first(int n) { return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3)); }
INLINE f32v f32_load_first(const float *p, int n, f32v rest) {
    const __m256i first = f32_first(n);
    return _mm256_blendv_ps(rest, _mm256_maskload_ps(p, first), (__m256)first);
}
INLINE f64v f64_load_first(const double *p, int n, f64v rest) {
    const __m256i first = f64_first(n);
    return _mm256_blendv_pd(rest, _mm256_maskload_pd(p, first), (__m256d)first);
}

INLINE f32v join_parts(const void *const *at) { return _mm256_set_m128(_mm_loadu_ps(at[1]), _mm_loadu_ps(at[0])); }

INLINE void stream_vector(void *to, f32v x) { _mm256_stream_ps(to, x); }
INLINE void stream_half(void *to, u16h x) { _mm_stream_si128(to, (__m128i)x); }
INLINE void stream_fence(void) { _mm_sfence(); }

#undef NEAREST
