/* AVX-512 F, DQ, BW, VL: what vec.h needs from the instruction set. */
#include <immintrin.h>

/* Four bits for each of NaN, signalling NaN, 0, 1, -inf, inf, negative, positive: 3 is NaN, 4 -inf, 5 inf, 0 stays. */
#define LOG_LIMITS 0x03530433

#define NEAREST (_MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)

INLINE f32v f32_fma(f32v a, f32v b, f32v c) { return _mm512_fmadd_ps(a, b, c); }
INLINE f64v f64_fma(f64v a, f64v b, f64v c) { return _mm512_fmadd_pd(a, b, c); }
INLINE f32v f32_sqrt(f32v x) { return _mm512_sqrt_ps(x); }
INLINE f64v f64_sqrt(f64v x) { return _mm512_sqrt_pd(x); }
INLINE f32v f32_round(f32v x) { return _mm512_roundscale_ps(x, NEAREST); }
INLINE f64v f64_round(f64v x) { return _mm512_roundscale_pd(x, NEAREST); }
INLINE f32v f32_lesser(f32v a, f32v b) { return _mm512_min_ps(a, b); }
INLINE f64v f64_lesser(f64v a, f64v b) { return _mm512_min_pd(a, b); }
INLINE f32v f32_greater(f32v a, f32v b) { return _mm512_max_ps(a, b); }
INLINE f64v f64_greater(f64v a, f64v b) { return _mm512_max_pd(a, b); }
/* gcc would load all ones from memory under the mask that was compared, and while that mask is empty and the page has
 * not been touched, some processors take hundreds of cycles to suppress the fault. From a register it makes one move.
 */
INLINE i64v in_register(i64v x) {
    __asm__("" : "+v"(x));
    return x;
}
INLINE i64v all_ones(void) { return in_register(~(i64v){0}); }
INLINE uint32_t f32_bits(i32v m) { return _mm512_movepi32_mask((__m512i)(m & (i32v)all_ones())); }
INLINE uint32_t f64_bits(i64v m) { return _mm512_movepi64_mask((__m512i)(m & all_ones())); }
INLINE int f32_any(i32v i) { return _mm512_test_epi32_mask((__m512i)i, (__m512i)i) != 0; }
INLINE int f64_any(i64v i) { return _mm512_test_epi64_mask((__m512i)i, (__m512i)i) != 0; }
INLINE i32v f32_to_int(f32v x) { return (i32v)_mm512_cvtps_epi32(x); }
INLINE i64v f64_to_int(f64v x) { return (i64v)_mm512_cvtpd_epi64(x); }
INLINE f32v f32_from_int(i32v i) { return _mm512_cvtepi32_ps((__m512i)i); }
INLINE f64v f64_from_int(i64v i) { return _mm512_cvtepi64_pd((__m512i)i); }
INLINE f32v f32_ldexp(f32v x, f32v n) { return _mm512_scalef_ps(x, n); }
INLINE f64v f64_ldexp(f64v x, f64v n) { return _mm512_scalef_pd(x, n); }
INLINE f32v f32_lookup8(i32v i, const float *t) {
    return _mm512_permutexvar_ps((__m512i)i, (f32v){t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[0], t[1], t[2],
                                                    t[3], t[4], t[5], t[6], t[7]});
}
INLINE f64v f32_widen_low(f32v x) { return _mm512_cvtps_pd(_mm512_castps512_ps256(x)); }
INLINE f64v f32_widen_high(f32v x) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1)); }
INLINE f32v f32_narrow(f64v low, f64v high) {
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low)), _mm512_cvtpd_ps(high), 1);
}

/* The mantissa in [3/4, 3/2), and the floor of the binary logarithm, of a positive number. */
INLINE f32v f32_mantissa(f32v x) { return _mm512_getmant_ps(x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_src); }
INLINE f64v f64_mantissa(f64v x) { return _mm512_getmant_pd(x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_src); }
INLINE f32v f32_exponent(f32v x) { return _mm512_getexp_ps(x); }
INLINE f64v f64_exponent(f64v x) { return _mm512_getexp_pd(x); }
/* y where x is positive and finite; -inf at 0, inf at inf, else NaN. */
INLINE f32v f32_log_limits(f32v x, f32v y) { return _mm512_fixupimm_ps(y, x, _mm512_set1_epi32(LOG_LIMITS), 0); }
INLINE f64v f64_log_limits(f64v x, f64v y) { return _mm512_fixupimm_pd(y, x, _mm512_set1_epi64(LOG_LIMITS), 0); }
INLINE __mmask16 f32_first(int n) {
    return _mm512_cmplt_epi32_mask(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                                   _mm512_set1_epi32(n));
}
INLINE __mmask8 f64_first(int n) {
    return _mm512_cmplt_epi64_mask(_mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7), _mm512_set1_epi64(n));
}
INLINE f32v f32_load_first(const float *p, int n, f32v rest) { return _mm512_mask_loadu_ps(rest, f32_first(n), p); }
INLINE f64v f64_load_first(const double *p, int n, f64v rest) { return _mm512_mask_loadu_pd(rest, f64_first(n), p); }
INLINE void f32_store_first(float *p, int n, f32v x) { _mm512_mask_storeu_ps(p, f32_first(n), x); }
INLINE void f64_store_first(double *p, int n, f64v x) { _mm512_mask_storeu_pd(p, f64_first(n), x); }

INLINE u32v f32_widen_bytes(const void *p) { return (u32v)_mm512_cvtepu8_epi32(_mm_loadu_si128(p)); }
INLINE u32v f32_widen_halves(const void *p) { return (u32v)_mm512_cvtepu16_epi32(_mm256_loadu_si256(p)); }
INLINE u64v f64_widen_bytes(const void *p) { return (u64v)_mm512_cvtepu8_epi64(_mm_loadl_epi64(p)); }
INLINE u64v f64_widen_halves(const void *p) { return (u64v)_mm512_cvtepu16_epi64(_mm_loadu_si128(p)); }
INLINE u64v f64_widen_words(const void *p) { return (u64v)_mm512_cvtepu32_epi64(_mm256_loadu_si256(p)); }

#define HAS_HALF_CONVERSIONS
INLINE f32v f32_from_halves(u16h x) { return _mm512_cvtph_ps((__m256i)x); }
INLINE u16h f32_to_halves(f32v x) { return (u16h)_mm512_cvtps_ph(x, NEAREST); }

INLINE f32v join_parts(const void *const *at) {
    f32v x = _mm512_castps128_ps512(_mm_loadu_ps(at[0]));
    x = _mm512_insertf32x4(x, _mm_loadu_ps(at[1]), 1);
    x = _mm512_insertf32x4(x, _mm_loadu_ps(at[2]), 2);
    return _mm512_insertf32x4(x, _mm_loadu_ps(at[3]), 3);
}

INLINE void stream_vector(void *to, f32v x) { _mm512_stream_ps(to, x); }
INLINE void stream_half(void *to, u16h x) { _mm256_stream_si256(to, (__m256i)x); }
INLINE void stream_fence(void) { _mm_sfence(); }

#undef LOG_LIMITS
#undef NEAREST
