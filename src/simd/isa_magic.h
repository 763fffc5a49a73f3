/* Conversion between f64 and int64 where no instruction does it: 1.5 * 2^52 + k has k in its low bits, |k| <
 * 2^51. */
#define MAGIC 0x1.8p52
INLINE i64v f64_to_int(f64v x) { return (i64v)(x + MAGIC) - (i64v)(MAGIC - (f64v){0}); }
INLINE f64v f64_from_int(i64v i) { return (f64v)(i + (i64v)(MAGIC - (f64v){0})) - MAGIC; }
#undef MAGIC
