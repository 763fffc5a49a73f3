#include "exact.h"

#include <string.h>

#define LIMBS        LOSSFN__EXACT_LIMBS
#define DIGIT        0xFFFFFFFFu
#define MAX_PENDING  (UINT32_C(1) << 29)
#define PLUS         1u
#define MINUS        2u
#define NOT_A_NUMBER (PLUS | MINUS)

/* Signed integers are shifted right here, which gcc and clang define as arithmetic. */

typedef struct {
    uint64_t significand;
    int offset; /* above the base: the double is +-significand * 2^(offset + LOSSFN__EXACT_BASE) */
    int negative;
    int finite;
} parts_t;

static parts_t parts_of(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int exponent = (int)(bits >> 52) & 0x7FF;
    uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    parts_t p;
    p.negative = (int)(bits >> 63);
    p.finite = exponent != 0x7FF;
    p.significand = exponent == 0 || !p.finite ? fraction : fraction | UINT64_C(1) << 52;
    p.offset = (exponent == 0 ? 1 : exponent) - 1075 - LOSSFN__EXACT_BASE;
    return p;
}

static double double_of(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static double infinity(int negative) { return double_of(negative ? UINT64_C(0xFFF) << 52 : UINT64_C(0x7FF) << 52); }

static double not_a_number(void) { return double_of(UINT64_C(0x7FF8) << 48); }

static uint32_t infinite_of(parts_t p) { return p.significand != 0 ? NOT_A_NUMBER : p.negative ? MINUS : PLUS; }

/* Out of line: happens once or twice in the life of a sum. */
static void widen(lossfn__exact_t *sum, int lo, int hi) {
    if (sum->lo == sum->hi) sum->lo = sum->hi = lo;
    if (lo < sum->lo) {
        memset(sum->limb + lo, 0, (size_t)(sum->lo - lo) * sizeof sum->limb[0]);
        sum->lo = lo;
    }
    if (hi > sum->hi) {
        memset(sum->limb + sum->hi, 0, (size_t)(hi - sum->hi) * sizeof sum->limb[0]);
        sum->hi = hi;
    }
}

/* Makes every limb but the highest a plain digit. The highest keeps the sign and, if it is the last there is,
 * its carries. */
static void carry(lossfn__exact_t *sum) {
    for (int i = sum->lo; i < sum->hi && i < LIMBS - 1; i++) {
        int64_t high = sum->limb[i] >> 32;
        if (i == sum->hi - 1) {
            if (high == 0 || high == -1) break;
            widen(sum, sum->lo, sum->hi + 1);
        }
        sum->limb[i] &= DIGIT;
        sum->limb[i + 1] += high;
    }
    sum->pending = 1;
}

static void deposit(lossfn__exact_t *sum, uint64_t m, int negative, int offset) {
    if (m == 0) return;
    int i = offset >> 5, shift = offset & 31;
    if (i < sum->lo || i + 3 > sum->hi) widen(sum, i, i + 3);
    if (sum->pending == MAX_PENDING) carry(sum);
    sum->pending++;
    uint64_t low = (m & DIGIT) << shift, high = (m >> 32) << shift;
    int64_t sign = -(int64_t)negative; /* (d ^ sign) - sign is d or -d */
    sum->limb[i] += ((int64_t)(low & DIGIT) ^ sign) - sign;
    sum->limb[i + 1] += ((int64_t)((low >> 32) + (high & DIGIT)) ^ sign) - sign;
    sum->limb[i + 2] += ((int64_t)(high >> 32) ^ sign) - sign;
}

LOSSFN__WRAPS void lossfn__exact_add_scaled(lossfn__exact_t *sum, int64_t m, int exponent) {
    uint64_t magnitude = m < 0 ? -(uint64_t)m : (uint64_t)m;
    deposit(sum, magnitude, m < 0, exponent - LOSSFN__EXACT_BASE);
}

/* So that two of them and 2^62 never overflow. */
enum { HELD_BITS = 8 * sizeof(lossfn__steps_t) - 4 };

static int can_be_held(lossfn__steps_t steps) { return steps >> HELD_BITS == 0 || steps >> HELD_BITS == -1; }

/* Adds what is held, or would be, to the limbs. */
LOSSFN__WRAPS static void settle(lossfn__exact_t *sum, lossfn__steps_t steps, int exponent) {
    const int negative = steps < 0, offset = exponent - LOSSFN__EXACT_BASE;
#ifdef __SIZEOF_INT128__
    __extension__ const unsigned __int128 magnitude = negative ? -(unsigned __int128)steps : (unsigned __int128)steps;
    deposit(sum, (uint64_t)(magnitude >> 64), negative, offset + 64);
#else
    const uint64_t magnitude = negative ? -(uint64_t)steps : (uint64_t)steps;
#endif
    deposit(sum, (uint64_t)magnitude, negative, offset);
}

static void hold(lossfn__exact_t *sum, lossfn__steps_t steps, int exponent) {
    if (sum->held == 0) sum->held_exponent = exponent;
    if (sum->held_exponent == exponent && can_be_held(steps) && can_be_held(sum->held + steps))
        sum->held += steps;
    else
        settle(sum, steps, exponent);
}

void lossfn__exact_add(lossfn__exact_t *sum, double x) {
    parts_t p = parts_of(x);
    if (!p.finite)
        sum->infinite |= infinite_of(p);
    else if (sum->lo == sum->hi && sum->held == 0) /* the first */
        hold(sum, p.negative ? -(int64_t)p.significand : (int64_t)p.significand, p.offset + LOSSFN__EXACT_BASE);
    else
        deposit(sum, p.significand, p.negative, p.offset);
}

void lossfn__exact_add_steps(lossfn__exact_t *sum, int64_t high, int64_t low, int bits, int exponent) {
    const int room = HELD_BITS - bits; /* for high */
    if (room >= 63 || high >> room == 0 || high >> room == -1) {
        hold(sum, (lossfn__steps_t)high * ((lossfn__steps_t)1 << bits) + low, exponent);
    } else {
        lossfn__exact_add_scaled(sum, high, exponent + bits);
        lossfn__exact_add_scaled(sum, low, exponent);
    }
}

void lossfn__exact_add_multiple(lossfn__exact_t *sum, double x, uint64_t times) {
    parts_t p = parts_of(x);
    if (times == 0) return;
    if (!p.finite) {
        sum->infinite |= infinite_of(p);
        return;
    }
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            deposit(sum, (p.significand >> 32 * i & DIGIT) * (times >> 32 * j & DIGIT), p.negative,
                    p.offset + 32 * (i + j));
}

void lossfn__exact_merge(lossfn__exact_t *into, const lossfn__exact_t *from) {
    into->infinite |= from->infinite;
    if (from->held) hold(into, from->held, from->held_exponent);
    if (from->lo == from->hi) return;
    widen(into, from->lo, from->hi);
    if (into->pending + from->pending > MAX_PENDING) carry(into);
    into->pending += from->pending;
    for (int i = from->lo; i < from->hi; i++) into->limb[i] += from->limb[i];
}

void lossfn__exact_multiply(lossfn__exact_t *sum, uint64_t times) {
    lossfn__exact_t product;
    if (times == 1) return;
    lossfn__exact_clear(&product);
    if (sum->held) { /* a sum that is merged into itself must not hold anything back */
        settle(sum, sum->held, sum->held_exponent);
        sum->held = 0;
    }
    for (; times > 0; times >>= 1) {
        if (times & 1) lossfn__exact_merge(&product, sum);
        if (times > 1) lossfn__exact_merge(sum, sum);
    }
    *sum = product;
}

/* A sum as sign and magnitude. digit[0] is the lowest and digit[count - 1] the highest that is not 0; count is
 * 0 for 0. */
typedef struct {
    int negative;
    int count;
    int exponent; /* of digit[0] */
    const uint32_t *digit;
    uint32_t storage[LIMBS + 2]; /* carries may reach two digits beyond the limbs */
} magnitude_t;

static void magnitude_of(magnitude_t *m, const lossfn__exact_t *sum) {
    lossfn__exact_t settled;
    if (sum->held) {
        memcpy(&settled, sum, offsetof(lossfn__exact_t, limb));
        for (int i = sum->lo; i < sum->hi; i++) settled.limb[i] = sum->limb[i];
        settle(&settled, sum->held, sum->held_exponent);
        sum = &settled;
    }
    uint32_t *digit = m->storage;
    int count = 0;
    int64_t carried = 0;
    for (int i = sum->lo; i < sum->hi; i++) {
        carried += sum->limb[i];
        digit[count++] = (uint32_t)carried;
        carried >>= 32;
    }
    while (carried != 0 && carried != -1) {
        digit[count++] = (uint32_t)carried;
        carried >>= 32;
    }
    m->negative = carried != 0;
    if (m->negative) { /* two's complement; the 1 that is added stops at the lowest digit that is not 0 */
        uint64_t one = 1;
        for (int i = 0; i < count; i++) {
            one += (uint32_t)~digit[i];
            digit[i] = (uint32_t)one;
            one >>= 32;
        }
        if (one != 0) digit[count++] = 1;
    }
    int low = 0;
    while (count > 0 && digit[count - 1] == 0) count--;
    while (low < count && digit[low] == 0) low++;
    m->digit = digit + low;
    m->count = count - low;
    m->exponent = LOSSFN__EXACT_BASE + 32 * (sum->lo + low);
}

/* How far the magnitude is shifted to the left so that the highest bit of its highest digit is set. */
static int normal_shift(const magnitude_t *m) { return __builtin_clz(m->digit[m->count - 1]); }

/* Digit i, counted from the highest, of the magnitude shifted so; 0 beyond the lowest. */
static uint32_t normal_digit(const magnitude_t *m, int shift, int i) {
    int at = m->count - 1 - i;
    if (at < 0) return 0;
    uint64_t pair = (uint64_t)m->digit[at] << 32 | (at > 0 ? m->digit[at - 1] : 0);
    return (uint32_t)(pair << shift >> 32);
}

static uint64_t normal_pair(const magnitude_t *m, int shift, int i) {
    return (uint64_t)normal_digit(m, shift, i) << 32 | normal_digit(m, shift, i + 1);
}

/* Whether anything but 0 is left of it from digit i on. */
static int normal_tail(const magnitude_t *m, int shift, int i) {
    return m->count > i + 1 || normal_digit(m, shift, i) != 0;
}

/* (top + something between 0 and 1, where sticky) * 2^exponent as a double, ties to even. The highest bit of
 * top is set. */
LOSSFN__WRAPS static double compose(int negative, uint64_t top, int exponent, int sticky) {
    int leading = exponent + 63; /* the exponent of the highest bit */
    if (leading > 1023) return infinity(negative);
    uint64_t sign = (uint64_t)negative << 63;
    int drop = leading >= -1022 ? 11 : 11 - 1022 - leading;
    if (drop > 64) return double_of(sign);
    uint64_t kept = drop < 64 ? top >> drop : 0;
    uint64_t half = UINT64_C(1) << (drop - 1);
    uint64_t rest = top & (2 * half - 1);
    if (rest > half || (rest == half && (sticky || (kept & 1)))) kept++;
    /* The leading bit of kept raises the exponent field by one, as does a carry out of the fraction; so a
     * subnormal becomes normal and the largest double infinite by themselves. */
    uint64_t field = leading >= -1022 ? (uint64_t)(leading + 1022) << 52 : 0;
    return double_of(sign | (field + kept));
}

static double round_infinite(uint32_t infinite) {
    return infinite == NOT_A_NUMBER ? not_a_number() : infinity(infinite == MINUS);
}

#ifdef __SIZEOF_INT128__
/* A sum that is all held, and not 0: +-(high * 2^64 + low) * 2^exponent, the highest bit of high set. */
typedef struct {
    int negative, exponent;
    uint64_t high, low;
} held_t;

static int is_held(const lossfn__exact_t *sum) { return sum->lo == sum->hi && sum->held != 0; }

LOSSFN__WRAPS static held_t held_of(const lossfn__exact_t *sum) {
    __extension__ typedef unsigned __int128 uint128_t;
    const int negative = sum->held < 0;
    uint128_t m = negative ? -(uint128_t)sum->held : (uint128_t)sum->held;
    const uint64_t high = (uint64_t)(m >> 64);
    const int shift = high ? __builtin_clzll(high) : 64 + __builtin_clzll((uint64_t)m);
    m <<= shift;
    return (held_t){negative, sum->held_exponent - shift, (uint64_t)(m >> 64), (uint64_t)m};
}
#endif

double lossfn__exact_round(const lossfn__exact_t *sum) {
    if (sum->infinite) return round_infinite(sum->infinite);
#ifdef __SIZEOF_INT128__
    if (is_held(sum)) {
        const held_t held = held_of(sum);
        return compose(held.negative, held.high, held.exponent + 64, held.low != 0);
    }
#endif
    magnitude_t m;
    magnitude_of(&m, sum);
    if (m.count == 0) return 0.0;
    int shift = normal_shift(&m);
    return compose(m.negative, normal_pair(&m, shift, 0), m.exponent + 32 * (m.count - 2) - shift,
                   normal_tail(&m, shift, 2));
}

/* r -= q * v, both of n digits, highest first. Returns what is to be subtracted above. */
LOSSFN__WRAPS static uint64_t subtract_multiple(uint32_t *r, const uint32_t *v, int n, uint32_t q) {
    uint64_t borrow = 0;
    for (int i = n - 1; i >= 0; i--) {
        borrow += (uint64_t)q * v[i];
        uint32_t low = (uint32_t)borrow;
        borrow = (borrow >> 32) + (r[i] < low);
        r[i] -= low;
    }
    return borrow;
}

static void add_back(uint32_t *r, const uint32_t *v, int n) {
    uint64_t sum = 0;
    for (int i = n - 1; i >= 0; i--) {
        sum += (uint64_t)r[i] + v[i];
        r[i] = (uint32_t)sum;
        sum >>= 32;
    }
}

/* One digit of a long division (Knuth, algorithm D): divides r[-1..n-1], highest first, by v and leaves the
 * remainder in r[0..n-1]. n >= 2, and the highest bit of v is set. */
static uint32_t divide_step(uint32_t *r, const uint32_t *v, int n) {
    uint64_t top = (uint64_t)r[-1] << 32 | r[0];
    uint64_t q = top / v[0], left = top % v[0];
    while (q > DIGIT || q * v[1] > (left << 32 | r[1])) {
        q--;
        left += v[0];
        if (left > DIGIT) break;
    }
    if (subtract_multiple(r, v, n, (uint32_t)q) > r[-1]) { /* one too many */
        q--;
        add_back(r, v, n);
    }
    return (uint32_t)q;
}

/* A quotient of two fractions in [1/2, 1): one + low / 2^64 + something below 2^-64 where sticky. */
typedef struct {
    int one, sticky;
    uint64_t low;
} fraction_t;

static fraction_t divide_long(const magnitude_t *num, int num_shift, const magnitude_t *den, int den_shift) {
    uint32_t v[LIMBS + 2], dividend[LIMBS + 5];
    int n = den->count < 2 ? 2 : den->count;
    for (int i = 0; i < n; i++) v[i] = normal_digit(den, den_shift, i);
    dividend[0] = 0;
    for (int i = 0; i < n + 2; i++) dividend[i + 1] = normal_digit(num, num_shift, i);
    fraction_t q;
    q.one = divide_step(dividend + 1, v, n) != 0;
    q.low = (uint64_t)divide_step(dividend + 2, v, n) << 32;
    q.low |= divide_step(dividend + 3, v, n);
    q.sticky = normal_tail(num, num_shift, n + 2);
    for (int i = 0; i < n; i++) q.sticky |= dividend[i + 3] != 0;
    return q;
}

#ifdef __SIZEOF_INT128__
/* The same for (high + low / 2^64) by v, the highest bits of high and v set, in a third of the time: nearly every
 * mean. */
LOSSFN__WRAPS static fraction_t divide_short(uint64_t high, uint64_t low, uint64_t v) {
    __extension__ typedef unsigned __int128 uint128_t;
    fraction_t q;
    q.one = high >= v;
    uint128_t dividend = (uint128_t)(q.one ? high - v : high) << 64 | low;
    q.low = (uint64_t)(dividend / v); /* NOLINT(clang-analyzer-core.DivideZero): the top bit of v is set */
    q.sticky = (uint64_t)dividend != q.low * v;
    return q;
}
#endif

/* +-quotient * 2^(exponent + 64) */
static double round_fraction(int negative, fraction_t q, int exponent) {
    if (q.one) {
        q.sticky |= (int)(q.low & 1);
        q.low = UINT64_C(1) << 63 | q.low >> 1;
        exponent++;
    }
    return compose(negative, q.low, exponent, q.sticky);
}

static double divide(const magnitude_t *num, const magnitude_t *den) {
    if (den->count == 0) return not_a_number();
    if (num->count == 0) return 0.0;
    int num_shift = normal_shift(num), den_shift = normal_shift(den);
    fraction_t q;
#ifdef __SIZEOF_INT128__
    if (den->count <= 2) {
        q = divide_short(normal_pair(num, num_shift, 0), normal_pair(num, num_shift, 2),
                         normal_pair(den, den_shift, 0));
        q.sticky |= normal_tail(num, num_shift, 4);
    } else
#endif
        q = divide_long(num, num_shift, den, den_shift);
    int exponent = num->exponent + 32 * num->count - num_shift - (den->exponent + 32 * den->count - den_shift) - 64;
    return round_fraction(num->negative ^ den->negative, q, exponent);
}

double lossfn__exact_quotient(const lossfn__exact_t *num, const lossfn__exact_t *den) {
    magnitude_t n, d;
    magnitude_of(&d, den);
    int den_zero = !den->infinite && d.count == 0;
    if (num->infinite == NOT_A_NUMBER || den->infinite == NOT_A_NUMBER || den_zero) return not_a_number();
    if (num->infinite) {
        if (den->infinite) return not_a_number();
        return infinity((num->infinite == MINUS) ^ d.negative);
    }
    magnitude_of(&n, num);
    if (den->infinite) return double_of((uint64_t)(n.count != 0 && n.negative ^ (den->infinite == MINUS)) << 63);
    return divide(&n, &d);
}

#ifdef __SIZEOF_INT128__
static double divide_held(const lossfn__exact_t *num, uint64_t n) {
    const lossfn__steps_t most = (lossfn__steps_t)1 << 53;
    /* Two doubles far from their limits: the quotient is rounded once, and scaling it rounds nothing. */
    if (num->held < most && num->held > -most && n < (uint64_t)most && num->held_exponent > -800 &&
        num->held_exponent < 800)
        return (double)(int64_t)num->held / (double)(int64_t)n * double_of((uint64_t)(num->held_exponent + 1023) << 52);
    const held_t held = held_of(num);
    const int shift = __builtin_clzll(n);
    return round_fraction(held.negative, divide_short(held.high, held.low, n << shift), held.exponent + shift);
}
#endif

double lossfn__exact_quotient_count(const lossfn__exact_t *num, uint64_t n) {
    if (n == 0) return not_a_number();
    if (num->infinite) return round_infinite(num->infinite);
#ifdef __SIZEOF_INT128__
    if (is_held(num)) return divide_held(num, n);
#endif
    magnitude_t m, count;
    magnitude_of(&m, num);
    count.negative = 0;
    count.count = n >> 32 != 0 ? 2 : 1;
    count.exponent = 0;
    count.digit = count.storage;
    count.storage[0] = (uint32_t)n;
    count.storage[1] = (uint32_t)(n >> 32);
    return divide(&m, &count);
}

int lossfn__exact_is_zero(const lossfn__exact_t *sum) {
    magnitude_t m;
    magnitude_of(&m, sum);
    return !sum->infinite && m.count == 0;
}

int lossfn__exact_equal(const lossfn__exact_t *a, const lossfn__exact_t *b) {
    if (a->infinite || b->infinite) return a->infinite == b->infinite;
    magnitude_t x, y;
    magnitude_of(&x, a);
    magnitude_of(&y, b);
    if (x.count == 0 || y.count == 0) return x.count == y.count;
    return x.negative == y.negative && x.count == y.count && x.exponent == y.exponent &&
           memcmp(x.digit, y.digit, (size_t)x.count * sizeof x.digit[0]) == 0;
}

enum { ZERO, POSITIVE, NEGATIVE, INFINITE }; /* the first byte; INFINITE + 0, 1, 2 are +inf, -inf, NaN */

static unsigned char byte_of(const magnitude_t *m, int i) {
    return (unsigned char)(m->digit[i / 4] >> 8 * (i & 3) & 0xFF);
}

size_t lossfn__exact_write(const lossfn__exact_t *sum, unsigned char *buf, size_t cap) {
    magnitude_t m;
    magnitude_of(&m, sum);
    if (sum->infinite || m.count == 0) {
        if (cap >= 1) buf[0] = (unsigned char)(sum->infinite ? INFINITE + sum->infinite - PLUS : ZERO);
        return 1;
    }
    int first = 0, end = 4 * m.count; /* the bytes of the magnitude that are written */
    while (byte_of(&m, first) == 0) first++;
    while (byte_of(&m, end - 1) == 0) end--;
    int above = (m.exponent - LOSSFN__EXACT_BASE) / 8 + first;
    size_t position = (size_t)above, length = (size_t)(end - first);
    if (cap < 5 + length) return 5 + length;
    buf[0] = m.negative ? NEGATIVE : POSITIVE;
    buf[1] = (unsigned char)(position & 0xFF);
    buf[2] = (unsigned char)(position >> 8);
    buf[3] = (unsigned char)(length & 0xFF);
    buf[4] = (unsigned char)(length >> 8);
    for (int i = first; i < end; i++) buf[5 + i - first] = byte_of(&m, i);
    return 5 + length;
}

size_t lossfn__exact_read(lossfn__exact_t *sum, const unsigned char *buf, size_t len) {
    if (len < 1 || buf[0] > INFINITE + NOT_A_NUMBER - PLUS) return 0;
    if (buf[0] == ZERO || buf[0] >= INFINITE) {
        lossfn__exact_clear(sum);
        if (buf[0] != ZERO) sum->infinite = buf[0] - INFINITE + PLUS;
        return 1;
    }
    if (len < 5) return 0;
    int position = buf[1] | buf[2] << 8, length = buf[3] | buf[4] << 8;
    if (length == 0 || position + length > 4 * LIMBS || len < 5 + (size_t)length) return 0;
    if (buf[5] == 0 || buf[5 + length - 1] == 0) return 0;
    lossfn__exact_clear(sum);
    widen(sum, position / 4, (position + length + 3) / 4);
    sum->pending = 1;
    int64_t sign = buf[0] == NEGATIVE ? -1 : 1;
    for (int i = 0; i < length; i++)
        sum->limb[(position + i) / 4] += sign * ((int64_t)buf[5 + i] << 8 * ((position + i) & 3));
    return 5 + (size_t)length;
}
