/* SPDX-License-Identifier: MIT */
#include "core/number.h"
#include "core/status.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A natural number in base 2^32, least digit first. The largest: MAX_DIGITS digits shifted up for the division by the
 * smallest power of ten, about 6600 bits. */
enum { MAX_WORDS = 256, MAX_DIGITS = 800 };

typedef struct {
    int32_t n; /* words in use; the top one is not 0 */
    uint32_t word[MAX_WORDS];
} natural_t;

static void multiply_add(natural_t *a, uint32_t factor, uint32_t addend) {
    uint64_t carry = addend;
    for (int32_t i = 0; i < a->n; i++) {
        carry += (uint64_t)a->word[i] * factor;
        a->word[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry) a->word[a->n++] = (uint32_t)carry;
}

/* Divides and returns the remainder. */
static uint32_t divide(natural_t *a, uint32_t divisor) {
    uint64_t rest = 0;
    for (int32_t i = a->n; i-- > 0;) {
        rest = rest << 32 | a->word[i];
        a->word[i] = (uint32_t)(rest / divisor);
        rest %= divisor;
    }
    while (a->n && !a->word[a->n - 1]) a->n--;
    return (uint32_t)rest;
}

static void shift_up(natural_t *a, int32_t bits) {
    int32_t words = bits / 32;
    if (!a->n) return;
    memmove(a->word + words, a->word, (size_t)a->n * sizeof *a->word);
    memset(a->word, 0, (size_t)words * sizeof *a->word);
    a->n += words;
    multiply_add(a, UINT32_C(1) << bits % 32, 0);
}

static void multiply_power(natural_t *a, uint32_t base, uint32_t base_to_9, int32_t exponent) {
    for (; exponent >= 9; exponent -= 9) multiply_add(a, base_to_9, 0);
    for (; exponent > 0; exponent--) multiply_add(a, base, 0);
}

static int32_t bit_length(const natural_t *a) {
    int32_t bits = 32 * a->n;
    if (!a->n) return 0;
    for (uint32_t top = a->word[a->n - 1]; !(top & UINT32_C(0x80000000)); top <<= 1) bits--;
    return bits;
}

static int bit(const natural_t *a, int32_t i) { return a->word[i / 32] >> i % 32 & 1; }

static int any_below(const natural_t *a, int32_t i) {
    for (int32_t k = 0; k < i; k++)
        if (bit(a, k)) return 1;
    return 0;
}

static double from_bits(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* a * 2^exponent, plus something below the last bit if sticky, rounded to nearest even. */
static enum lossfn__number round_natural(const natural_t *a, int32_t exponent, int sticky, uint64_t *bits) {
    int32_t length = bit_length(a), lowest = length - 53;
    if (length == 0) return *bits = 0, LOSSFN__A_NUMBER;
    if (length <= 53) { /* exact, and common: 1, 100; a quotient has more bits, as has what digits were cut from */
        double x = (double)(a->n > 1 ? (uint64_t)a->word[1] << 32 | a->word[0] : a->word[0]);
        memcpy(bits, &x, sizeof x);
        return LOSSFN__A_NUMBER;
    }
    if (lowest + exponent < -1074) lowest = -1074 - exponent; /* a subnormal has fewer bits */
    uint64_t mantissa = 0;
    for (int32_t i = length - 1; i >= lowest; i--) mantissa = mantissa << 1 | (uint64_t)bit(a, i);
    if (lowest <= length && bit(a, lowest - 1) && (sticky || any_below(a, lowest - 1) || (mantissa & 1))) mantissa++;
    if (mantissa >> 53) mantissa >>= 1, lowest++;
    if (mantissa >> 52 && lowest + exponent > 971) return LOSSFN__NUMBER_TOO_LARGE;
    *bits =
        mantissa >> 52 ? (uint64_t)(lowest + exponent + 1075) << 52 | (mantissa & ((UINT64_C(1) << 52) - 1)) : mantissa;
    return LOSSFN__A_NUMBER;
}

/* digits * 10^exponent */
static enum lossfn__number round_decimal(natural_t *digits, int32_t exponent, int sticky, uint64_t *bits) {
    if (exponent >= 0) {
        multiply_power(digits, 10, 1000000000, exponent);
        return round_natural(digits, 0, sticky, bits);
    }
    /* enough bits that 64 or more are left after the division; floors of floors are exact */
    int32_t k = -exponent, shift = (int32_t)((int64_t)k * 3322 / 1000) + 66;
    shift_up(digits, shift);
    for (; k >= 9; k -= 9) sticky |= divide(digits, 1000000000) != 0;
    for (; k > 0; k--) sticky |= divide(digits, 10) != 0;
    return round_natural(digits, -shift, sticky, bits);
}

static int is_digit(char c) { return c >= '0' && c <= '9'; }

int64_t lossfn__scan_number(const char *text, const char *end) {
    const char *at = text;
    int64_t digits = 0;
    while (at < end && is_digit(*at)) at++, digits++;
    if (at < end && *at == '.') {
        at++;
        while (at < end && is_digit(*at)) at++, digits++;
    }
    if (!digits) return 0;
    if (at < end && (*at == 'e' || *at == 'E')) {
        const char *power = at + 1;
        if (power < end && (*power == '+' || *power == '-')) power++;
        if (power < end && is_digit(*power)) {
            while (power < end && is_digit(*power)) power++;
            at = power;
        }
    }
    return at - text;
}

/* The exponent after e or E, which has a digit; saturated: beyond a billion it decides alone. */
static int64_t scan_exponent(const char *at, const char *end) {
    int64_t exponent = 0;
    int negative = *at == '-';
    if (*at == '-' || *at == '+') at++;
    for (; at < end; at++)
        if (exponent < 1000000000) exponent = 10 * exponent + (*at - '0');
    return negative ? -exponent : exponent;
}

/* An unsigned number that lossfn__scan_number has accepted whole. */
static enum lossfn__number parse_unsigned(const char *at, const char *end, uint64_t *bits) {
    natural_t digits;
    int64_t exponent = 0, kept = 0;
    int point = 0, sticky = 0;
    digits.n = 0;
    for (; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            point = 1;
            continue;
        }
        if (kept < MAX_DIGITS) {
            multiply_add(&digits, 10, (uint32_t)(*at - '0'));
            kept += digits.n > 0; /* leading zeros are not kept */
            exponent -= point;
        } else {
            sticky |= *at != '0';
            exponent += !point;
        }
    }
    if (at < end) exponent += scan_exponent(at + 1, end);
    if (digits.n == 0) return *bits = 0, LOSSFN__A_NUMBER;
    if (kept + exponent > 310) return LOSSFN__NUMBER_TOO_LARGE;
    if (kept + exponent < -330) return *bits = 0, LOSSFN__A_NUMBER;
    return round_decimal(&digits, (int32_t)exponent, sticky, bits);
}

static int same(const char *text, int64_t length, const char *word) {
    return (int64_t)strlen(word) == length && memcmp(text, word, (size_t)length) == 0;
}

enum lossfn__number lossfn__parse_double(const char *text, int64_t length, double *out) {
    const char *end = text + length;
    uint64_t sign = 0, bits;
    if (length > 0 && (*text == '-' || *text == '+')) sign = (uint64_t)(*text++ == '-') << 63;
    if (same(text, end - text, "inf")) {
        bits = UINT64_C(0x7ff) << 52;
    } else if (same(text, end - text, "nan")) {
        bits = UINT64_C(0xfff) << 51;
    } else {
        if (text == end || lossfn__scan_number(text, end) != end - text) return LOSSFN__NO_NUMBER;
        enum lossfn__number result = parse_unsigned(text, end, &bits);
        if (result != LOSSFN__A_NUMBER) return result;
    }
    *out = from_bits(sign | bits);
    return LOSSFN__A_NUMBER;
}

int lossfn__parse_integer(const char *text, int64_t length, int64_t *out) {
    const char *end = text + length;
    int negative = length > 0 && *text == '-';
    uint64_t value = 0, limit = (uint64_t)INT64_MAX + (uint64_t)negative;
    if (length > 0 && (*text == '-' || *text == '+')) text++;
    if (text == end) return 0;
    for (; text < end; text++) {
        if (!is_digit(*text)) return 0;
        uint64_t digit = (uint64_t)(*text - '0');
        if (value > (limit - digit) / 10) return 0;
        value = 10 * value + digit;
    }
    *out = negative ? -(int64_t)(value / 2) - (int64_t)(value - value / 2) : (int64_t)value;
    return 1;
}

int lossfn__integer_from_double(double x, int64_t *out) {
    if (!(x >= -0x1p53 && x <= 0x1p53)) return 0;
    int64_t i = (int64_t)x;
    if ((double)i != x) return 0;
    *out = i;
    return 1;
}

/* ---- Shortest decimal -------------------------------------------------------------------------------------------- */

enum { MAX_DECIMAL = 800 };

/* A positive finite double in full: 0.d1 d2 d3 ... times 10^point. */
typedef struct {
    int32_t n, point;
    char digit[MAX_DECIMAL];
} decimal_t;

static void expand(uint64_t bits, decimal_t *d) {
    natural_t a;
    int32_t biased = (int32_t)(bits >> 52), exponent = (biased ? biased : 1) - 1075, scale = 0;
    uint64_t mantissa = (bits & ((UINT64_C(1) << 52) - 1)) | (uint64_t)(biased != 0) << 52;
    char reversed[MAX_DECIMAL + 9];
    int32_t n = 0;
    a.word[0] = (uint32_t)mantissa, a.word[1] = (uint32_t)(mantissa >> 32);
    a.n = a.word[1] ? 2 : 1;
    if (exponent >= 0) {
        shift_up(&a, exponent);
    } else { /* m / 2^k = m 5^k / 10^k */
        scale = -exponent;
        multiply_power(&a, 5, 1953125, scale);
    }
    while (a.n) {
        uint32_t nine = divide(&a, 1000000000);
        for (int32_t k = 0; k < 9; k++, nine /= 10) reversed[n++] = (char)('0' + nine % 10);
    }
    /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): the number is not 0 */
    while (reversed[n - 1] == '0') n--;
    d->n = n;
    d->point = n - scale;
    for (int32_t i = 0; i < n; i++) d->digit[i] = reversed[n - 1 - i];
    /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): there are n digits */
    while (d->digit[d->n - 1] == '0') d->n--;
}

/* The first n digits, rounded up if `up`; a carry out of the top moves the point. */
static void cut(const decimal_t *full, int32_t n, int up, decimal_t *out) {
    out->n = n, out->point = full->point;
    for (int32_t i = 0; i < n; i++) out->digit[i] = i < full->n ? full->digit[i] : '0';
    if (!up) return;
    int32_t i = n;
    while (i > 0 && out->digit[i - 1] == '9') out->digit[--i] = '0';
    if (i > 0) {
        out->digit[i - 1]++;
    } else {
        out->digit[0] = '1', out->point++;
    }
}

static int reads_as(const decimal_t *d, uint64_t bits) {
    natural_t a;
    uint64_t back;
    a.n = 0;
    for (int32_t i = 0; i < d->n; i++) multiply_add(&a, 10, (uint32_t)(d->digit[i] - '0'));
    return round_decimal(&a, d->point - d->n, 0, &back) == LOSSFN__A_NUMBER && back == bits;
}

static void shortest(uint64_t bits, decimal_t *best) {
    decimal_t full;
    full.digit[0] = 0; /* the compiler cannot see that there is a first digit */
    expand(bits, &full);
    for (int32_t n = 1;; n++) {
        int up = n < full.n && full.digit[n] >= '5'; /* the nearer of the two first */
        cut(&full, n, up, best);
        if (n >= full.n || reads_as(best, bits)) break;
        cut(&full, n, !up, best);
        if (reads_as(best, bits)) break;
    }
    /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): the first digit is not 0 */
    while (best->digit[best->n - 1] == '0') best->n--;
}

/* As printf's %g and Python's repr write it: an exponent below 1e-4 and from 1e16 on. */
static void layout(const decimal_t *d, char *to) {
    int32_t exponent = d->point - 1;
    if (exponent < -4 || exponent >= 16) {
        *to++ = d->digit[0];
        if (d->n > 1) *to++ = '.';
        for (int32_t i = 1; i < d->n; i++) *to++ = d->digit[i];
        sprintf(to, "e%c%02" PRId32, exponent < 0 ? '-' : '+', exponent < 0 ? -exponent : exponent);
        return;
    }
    if (d->point <= 0) {
        *to++ = '0', *to++ = '.';
        for (int32_t i = d->point; i < 0; i++) *to++ = '0';
    }
    for (int32_t i = 0; i < d->n || i < d->point; i++) {
        if (i == d->point && i > 0) *to++ = '.';
        *to++ = (char)(i < d->n ? d->digit[i] : '0');
    }
    *to = 0;
}

const char *lossfn__format_double(double x, char buf[32]) {
    uint64_t bits, magnitude;
    decimal_t d;
    char *to = buf;
    memcpy(&bits, &x, sizeof bits);
    magnitude = bits & ~(UINT64_C(1) << 63);
    if (magnitude > UINT64_C(0x7ff) << 52) return strcpy(buf, "nan");
    if (magnitude != bits) *to++ = '-';
    if (magnitude == UINT64_C(0x7ff) << 52) {
        strcpy(to, "inf");
    } else if (magnitude == 0) {
        strcpy(to, "0");
    } else {
        shortest(magnitude, &d);
        layout(&d, to);
    }
    return buf;
}

const char *lossfn__format_integer(int64_t x, char buf[32]) {
    sprintf(buf, "%" PRId64, x);
    return buf;
}
