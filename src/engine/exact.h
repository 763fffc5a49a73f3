/* Exact sums of doubles: an integer wide enough for every double and every sum of 2^62 of them, so that neither
 * order nor grouping, threads nor machines change a bit. Rounded once, at the end, in integer arithmetic alone:
 * the rounding mode and flush-to-zero have no influence.
 *
 * The value is the sum over i of limb[i] * 2^(32 i + LOSSFN__EXACT_BASE). A limb is a digit of 32 bits with 31
 * bits of room and a sign, so that an addition carries nothing; the carries are made after some 2^29 additions,
 * or in rounding. */
#ifndef LOSSFN_ENGINE_EXACT_H
#define LOSSFN_ENGINE_EXACT_H

#include <stddef.h>
#include <stdint.h>

/* Unsigned numbers wrap in such a function on purpose: a magnitude of the least integer, digits with a borrow. Anywhere
 * else in what is compiled once clang's sanitizer takes it for a fault. */
#ifdef __clang__
#define LOSSFN__WRAPS __attribute__((no_sanitize("unsigned-integer-overflow")))
#else
#define LOSSFN__WRAPS
#endif

#define LOSSFN__EXACT_BASE  (-1152) /* the exponent of limb 0: below 2^-1074 with room for finer block sums */
#define LOSSFN__EXACT_LIMBS 72

/* The room that lossfn__exact_write needs at most. */
#define LOSSFN__EXACT_BYTES (5 + 4 * LOSSFN__EXACT_LIMBS)

#ifdef __SIZEOF_INT128__
__extension__ typedef __int128 lossfn__steps_t;
#else
typedef int64_t lossfn__steps_t;
#endif

typedef struct {
    int32_t lo, hi;       /* only limbs lo..hi-1 hold anything, the others not even zero: small sums stay cheap */
    uint32_t pending;     /* |limb[i]| <= pending * 2^32 */
    uint32_t infinite;    /* bit 0: +inf was added, bit 1: -inf, both: the sum is NaN */
    lossfn__steps_t held; /* held * 2^held_exponent belongs to the sum as well: most sums need no limbs at all */
    int32_t held_exponent;
    int64_t limb[LOSSFN__EXACT_LIMBS];
} lossfn__exact_t;

static inline void lossfn__exact_clear(lossfn__exact_t *sum) {
    sum->lo = sum->hi = 0;
    sum->pending = 0;
    sum->infinite = 0;
    sum->held = 0;
}

void lossfn__exact_add(lossfn__exact_t *sum, double x);

/* Adds m * 2^exponent, -1152 <= exponent <= 1024 (any exponent where m is 0). */
void lossfn__exact_add_scaled(lossfn__exact_t *sum, int64_t m, int exponent);

/* Adds (high * 2^bits + low) * 2^exponent, |low| <= 2^62, 0 <= bits < 63, both exponents as above. */
void lossfn__exact_add_steps(lossfn__exact_t *sum, int64_t high, int64_t low, int bits, int exponent);

/* Adds x times over; nothing where times is 0, even if x is NaN. */
void lossfn__exact_add_multiple(lossfn__exact_t *sum, double x, uint64_t times);

/* times the sum; nothing where times is 0, even of infinities. */
void lossfn__exact_multiply(lossfn__exact_t *sum, uint64_t times);

void lossfn__exact_merge(lossfn__exact_t *into, const lossfn__exact_t *from);

/* The sum correctly rounded, ties to even. An exact zero is +0. */
double lossfn__exact_round(const lossfn__exact_t *sum);

/* num / den correctly rounded, whatever the size of either. NaN where den is 0; an exact zero is +0. */
double lossfn__exact_quotient(const lossfn__exact_t *num, const lossfn__exact_t *den);
double lossfn__exact_quotient_count(const lossfn__exact_t *num, uint64_t n);

int lossfn__exact_is_zero(const lossfn__exact_t *sum);

/* Whether both have the same value; NaN equals NaN. */
int lossfn__exact_equal(const lossfn__exact_t *a, const lossfn__exact_t *b);

/* The canonical bytes: the same value gives the same bytes, whatever its history. Returns the size, and writes
 * only if that is at most cap. byte 0        0 zero, 1 positive, 2 negative, 3 +inf, 4 -inf, 5 NaN; for 1 and 2
 * there follow bytes 1, 2    little-endian: the exponent of the lowest byte that is not 0, in bytes above
 * 2^-1152 bytes 3, 4    little-endian: the number of bytes of the magnitude the magnitude, lowest byte first;
 * neither its first nor its last byte is 0 */
size_t lossfn__exact_write(const lossfn__exact_t *sum, unsigned char *buf, size_t cap);

/* Reads what lossfn__exact_write wrote and returns its size (bytes may follow it), or returns 0 and leaves *sum
 * alone where the bytes are anything else. */
size_t lossfn__exact_read(lossfn__exact_t *sum, const unsigned char *buf, size_t len);

#endif
