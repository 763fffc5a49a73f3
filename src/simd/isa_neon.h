/* AArch64: what vec.h needs from the instruction set. */
#include <arm_neon.h>

INLINE f32v f32_fma(f32v a, f32v b, f32v c) { return (f32v)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
INLINE f64v f64_fma(f64v a, f64v b, f64v c) { return (f64v)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b); }
INLINE f32v f32_sqrt(f32v x) { return (f32v)vsqrtq_f32((float32x4_t)x); }
INLINE f64v f64_sqrt(f64v x) { return (f64v)vsqrtq_f64((float64x2_t)x); }
INLINE f32v f32_round(f32v x) { return (f32v)vrndnq_f32((float32x4_t)x); }
INLINE f64v f64_round(f64v x) { return (f64v)vrndnq_f64((float64x2_t)x); }
INLINE uint32_t f32_bits(i32v m) { return vaddvq_u32((uint32x4_t)(m & (i32v){1, 2, 4, 8})); }
INLINE uint32_t f64_bits(i64v m) { return (uint32_t)vaddvq_u64((uint64x2_t)(m & (i64v){1, 2})); }
INLINE int f32_any(i32v i) { return vmaxvq_u32((uint32x4_t)i) != 0; }
INLINE int f64_any(i64v i) { return vmaxvq_u32((uint32x4_t)i) != 0; }
INLINE i32v f32_to_int(f32v x) { return (i32v)vcvtnq_s32_f32((float32x4_t)x); }
INLINE i64v f64_to_int(f64v x) { return (i64v)vcvtnq_s64_f64((float64x2_t)x); }
INLINE f32v f32_from_int(i32v i) { return (f32v)vcvtq_f32_s32((int32x4_t)i); }
INLINE f64v f64_from_int(i64v i) { return (f64v)vcvtq_f64_s64((int64x2_t)i); }
INLINE f32v f32_lookup8(i32v i, const float *t) { return (f32v){t[i[0] & 7], t[i[1] & 7], t[i[2] & 7], t[i[3] & 7]}; }
INLINE f64v f32_widen_low(f32v x) { return (f64v)vcvt_f64_f32(vget_low_f32((float32x4_t)x)); }
INLINE f64v f32_widen_high(f32v x) { return (f64v)vcvt_high_f64_f32((float32x4_t)x); }
INLINE f32v f32_narrow(f64v low, f64v high) {
    return (f32v)vcvt_high_f32_f64(vcvt_f32_f64((float64x2_t)low), (float64x2_t)high);
}

INLINE f32v join_parts(const void *const *at) {
    f32v x;
    memcpy(&x, at[0], sizeof x);
    return x;
}

INLINE void stream_vector(void *to, f32v x) { memcpy(to, &x, sizeof x); } /* an ordinary store */
INLINE void stream_half(void *to, u16h x) { memcpy(to, &x, sizeof x); }
INLINE void stream_fence(void) {}
