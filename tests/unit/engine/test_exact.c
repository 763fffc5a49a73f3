/* cc -std=c11 -Isrc/engine tests/unit/engine/test_exact.c src/engine/exact.c -lcmocka -lmpfr -lgmp
 *
 * The reference is MPFR: sums in 4096 bits, where nothing is lost, and quotients of those rounded by mpfr_div.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <fenv.h>
#include <float.h>
#include <math.h>
#include <cmocka.h>
#include <mpfr.h>

#include "exact.h"

static uint64_t state = 88172645463325252u;

static uint64_t random_bits(void) { /* xorshift64* */
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 2685821657736338717u;
}

static int random_int(int n) { return (int)(random_bits() % (uint64_t)n); }

static double double_of(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint64_t bits_of(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* The kinds of terms: any finite double, subnormals, near 1, few bits (ties), near the largest. */
static double random_term(int kind) {
    switch (kind) {
    case 0:
        for (;;) {
            double x = double_of(random_bits());
            if (isfinite(x)) return x;
        }
    case 1:
        return double_of(random_bits() & 0x801FFFFFFFFFFFFFu);
    case 2:
        return ldexp((double)(int64_t)random_bits(), random_int(20) - 70);
    case 3:
        return ldexp(random_int(9) - 4, random_int(120) - 60);
    default:
        return ldexp((double)(int64_t)random_bits(), 960 - random_int(4));
    }
}
#define KINDS 5

static void assert_same(double got, double want) {
    if (isnan(want))
        assert_true(isnan(got));
    else
        assert_int_equal(bits_of(got), bits_of(want));
}

typedef struct {
    lossfn__exact_t sum;
    mpfr_t reference;
} pair_t;

static void pair_init(pair_t *p) {
    lossfn__exact_clear(&p->sum);
    mpfr_init2(p->reference, 4096);
    mpfr_set_zero(p->reference, 1);
}

static void pair_add(pair_t *p, double x) {
    lossfn__exact_add(&p->sum, x);
    assert_int_equal(mpfr_add_d(p->reference, p->reference, x, MPFR_RNDN), 0);
}

static void pair_add_scaled(pair_t *p, int64_t m, int exponent) {
    mpfr_t term;
    mpfr_init2(term, 64);
    lossfn__exact_add_scaled(&p->sum, m, exponent);
    mpfr_set_sj_2exp(term, m, exponent, MPFR_RNDN);
    assert_int_equal(mpfr_add(p->reference, p->reference, term, MPFR_RNDN), 0);
    mpfr_clear(term);
}

static double reference_round(mpfr_t x) { return mpfr_zero_p(x) ? 0.0 : mpfr_get_d(x, MPFR_RNDN); }

static void pair_check(pair_t *p) { assert_same(lossfn__exact_round(&p->sum), reference_round(p->reference)); }

static size_t bytes_of(const lossfn__exact_t *sum, unsigned char *buf) {
    size_t size = lossfn__exact_write(sum, buf, LOSSFN__EXACT_BYTES);
    assert_in_range(size, 1, LOSSFN__EXACT_BYTES);
    return size;
}

static void assert_same_bytes(const lossfn__exact_t *a, const lossfn__exact_t *b) {
    unsigned char x[LOSSFN__EXACT_BYTES], y[LOSSFN__EXACT_BYTES];
    size_t size = bytes_of(a, x);
    assert_int_equal(bytes_of(b, y), size);
    assert_memory_equal(x, y, size);
    assert_true(lossfn__exact_equal(a, b));
}

static void sums_round_correctly(void **unused) {
    (void)unused;
    for (int round = 0; round < 20000; round++) {
        pair_t p;
        pair_init(&p);
        int kind = round % (KINDS + 1), n = random_int(20);
        for (int i = 0; i < n; i++) {
            pair_add(&p, random_term(kind < KINDS ? kind : random_int(KINDS)));
            if (random_int(4) == 0) pair_check(&p);
        }
        pair_check(&p);
        mpfr_clear(p.reference);
    }
}

static void single_doubles_come_back(void **unused) {
    (void)unused;
    for (int i = 0; i < 100000; i++) {
        double x = i < 4096 ? double_of((uint64_t)i << 52) : double_of(random_bits());
        lossfn__exact_t sum;
        lossfn__exact_clear(&sum);
        lossfn__exact_add(&sum, x);
        assert_same(lossfn__exact_round(&sum), x == 0 ? 0.0 : x);
        lossfn__exact_add(&sum, -x);
        assert_int_equal(lossfn__exact_is_zero(&sum), isfinite(x) != 0);
        assert_same(lossfn__exact_round(&sum), isfinite(x) ? 0.0 : (double)NAN);
    }
}

static void ties_go_to_even(void **unused) {
    (void)unused;
    const double tiny = DBL_TRUE_MIN;
    static const struct {
        double terms[4], want;
    } cases[] = {
        {{1, DBL_EPSILON / 2}, 1},
        {{1, DBL_EPSILON, DBL_EPSILON / 2}, 1 + 2 * DBL_EPSILON},
        {{1, DBL_EPSILON / 2, DBL_TRUE_MIN}, 1 + DBL_EPSILON},
        {{1, DBL_EPSILON / 2, -DBL_TRUE_MIN}, 1},
        {{-1, -DBL_EPSILON / 2, -DBL_TRUE_MIN}, -1 - DBL_EPSILON},
        {{DBL_MAX, DBL_MAX, -DBL_MAX}, DBL_MAX},
        {{DBL_MAX, 0x1p969}, DBL_MAX},
        {{DBL_MAX, 0x1p970}, INFINITY},
        {{DBL_MAX, 0x1p970, -DBL_TRUE_MIN}, DBL_MAX},
        {{-DBL_MAX, -0x1p970}, -INFINITY},
        {{0x1p1023, 0x1p1023}, INFINITY},
        {{1e300, 1, -1e300}, 1},
        {{-0.0, -0.0}, 0.0},
        {{1e308, -1e308}, 0.0},
        {{INFINITY, 1e308, -1e308}, INFINITY},
        {{-INFINITY, DBL_MAX, DBL_MAX, DBL_MAX}, -INFINITY},
        {{INFINITY, -INFINITY}, NAN},
        {{NAN, INFINITY}, NAN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        lossfn__exact_t sum;
        lossfn__exact_clear(&sum);
        for (int j = 0; j < 4; j++) lossfn__exact_add(&sum, cases[i].terms[j]);
        assert_same(lossfn__exact_round(&sum), cases[i].want);
    }
    lossfn__exact_t sum; /* below the smallest subnormal: half of it is a tie to 0, anything more is not */
    lossfn__exact_clear(&sum);
    lossfn__exact_add_scaled(&sum, 1, -1075);
    assert_same(lossfn__exact_round(&sum), 0.0);
    lossfn__exact_add_scaled(&sum, 1, -1152);
    assert_same(lossfn__exact_round(&sum), tiny);
    lossfn__exact_add_scaled(&sum, 1, -1074);
    assert_same(lossfn__exact_round(&sum), 2 * tiny);
    lossfn__exact_clear(&sum);
    lossfn__exact_add_scaled(&sum, -1, -1152);
    assert_same(lossfn__exact_round(&sum), -0.0);
}

static void scaled_integers(void **unused) {
    (void)unused;
    for (int round = 0; round < 20000; round++) {
        pair_t p;
        pair_init(&p);
        for (int n = random_int(8); n >= 0; n--) {
            int64_t m = random_int(8) == 0 ? INT64_MIN : (int64_t)random_bits() >> random_int(64);
            int exponent = n == 0 ? (round & 1 ? -1152 : 1024) : random_int(2177) - 1152;
            pair_add_scaled(&p, m, exponent);
        }
        pair_check(&p);
        mpfr_clear(p.reference);
    }
}

static void multiples(void **unused) {
    (void)unused;
    lossfn__exact_t sum;
    for (int round = 0; round < 20000; round++) {
        double x = random_term(round % KINDS);
        uint64_t times = round % 7 == 0 ? UINT64_MAX : random_bits() >> random_int(64);
        mpfr_t reference;
        mpfr_init2(reference, 200);
        mpfr_set_uj(reference, times, MPFR_RNDN);
        assert_int_equal(mpfr_mul_d(reference, reference, x, MPFR_RNDN), 0);
        lossfn__exact_clear(&sum);
        lossfn__exact_add_multiple(&sum, x, times);
        assert_same(lossfn__exact_round(&sum), reference_round(reference));
        mpfr_clear(reference);
    }
    lossfn__exact_clear(&sum);
    lossfn__exact_add_multiple(&sum, NAN, 0);
    assert_true(lossfn__exact_is_zero(&sum));
    lossfn__exact_add_multiple(&sum, -INFINITY, 3);
    assert_same(lossfn__exact_round(&sum), -INFINITY);
}

/* Far more additions than the limbs have room for without a carry: doubling by merging counts as 2^60 of them.
 * The exponents put the term at every place in its limbs. */
static void carries_lose_nothing(void **unused) {
    (void)unused;
    static const double significands[] = {0x1.fffffffffffffp0, -0x1.fffffffffffffp0, 1, -1};
    for (int i = 0; i < 4 * 36; i++) {
        int exponent = i / 4 < 34 ? i / 4 : i / 4 == 34 ? 1023 : -1022;
        double term = ldexp(significands[i % 4], exponent);
        lossfn__exact_t sum, same;
        lossfn__exact_clear(&sum);
        lossfn__exact_add(&sum, term);
        for (int k = 0; k < 60; k++) {
            lossfn__exact_t copy = sum;
            lossfn__exact_merge(&sum, &copy);
            lossfn__exact_clear(&same);
            lossfn__exact_add_multiple(&same, term, UINT64_C(2) << k);
            assert_same_bytes(&sum, &same);
        }
        lossfn__exact_add(&sum, -term); /* signed digits after a carry */
        lossfn__exact_clear(&same);
        lossfn__exact_add_multiple(&same, term, (UINT64_C(1) << 60) - 1);
        assert_same_bytes(&sum, &same);
        lossfn__exact_add_multiple(&sum, -term, (UINT64_C(1) << 60) - 1);
        assert_true(lossfn__exact_is_zero(&sum));
    }
}

/* 2^29 single additions would take seconds: the count is made to look like it. */
static void single_additions_carry_in_time(void **unused) {
    (void)unused;
    lossfn__exact_t sum;
    lossfn__exact_clear(&sum);
    lossfn__exact_add(&sum, -1);
    sum.pending = UINT32_C(1) << 29;
    lossfn__exact_add(&sum, -1);
    assert_int_equal(sum.pending, 2);
    assert_same(lossfn__exact_round(&sum), -2);
}

static void any_order_and_split_gives_the_same_bytes(void **unused) {
    (void)unused;
    double terms[300];
    for (int round = 0; round < 300; round++) {
        int kind = round % (KINDS + 1), n = 1 + random_int(300);
        for (int i = 0; i < n; i++) terms[i] = random_term(kind < KINDS ? kind : random_int(KINDS));
        if (round % 10 == 0) terms[random_int(n)] = round % 20 ? (double)NAN : INFINITY;
        if (round % 3 == 0) /* cancels to nothing or to one term */
            for (int i = 0; i + 1 < n; i += 2) terms[i + 1] = -terms[i];
        lossfn__exact_t first, sum, part;
        lossfn__exact_clear(&first);
        for (int i = 0; i < n; i++) lossfn__exact_add(&first, terms[i]);
        for (int again = 0; again < 10; again++) {
            for (int i = n - 1; i > 0; i--) {
                int j = random_int(i + 1);
                double t = terms[i];
                terms[i] = terms[j];
                terms[j] = t;
            }
            lossfn__exact_clear(&sum);
            for (int i = 0; i < n;) {
                lossfn__exact_clear(&part);
                for (int k = random_int(40); k >= 0 && i < n; k--) lossfn__exact_add(&part, terms[i++]);
                if (random_int(2)) { /* through bytes and back */
                    unsigned char buf[LOSSFN__EXACT_BYTES];
                    size_t size = bytes_of(&part, buf);
                    memset(&part, 0x5A, sizeof part);
                    assert_int_equal(lossfn__exact_read(&part, buf, size), size);
                }
                lossfn__exact_merge(&sum, &part);
            }
            assert_same_bytes(&sum, &first);
            assert_same(lossfn__exact_round(&sum), lossfn__exact_round(&first));
        }
    }
}

static void equality(void **unused) {
    (void)unused;
    lossfn__exact_t a, b;
    lossfn__exact_clear(&a);
    lossfn__exact_clear(&b);
    lossfn__exact_add(&b, 1e300);
    lossfn__exact_add(&b, -1e300);
    assert_true(lossfn__exact_equal(&a, &b));
    lossfn__exact_add(&b, DBL_TRUE_MIN);
    assert_false(lossfn__exact_equal(&a, &b));
    assert_false(lossfn__exact_is_zero(&b));
    lossfn__exact_add(&a, -DBL_TRUE_MIN);
    assert_false(lossfn__exact_equal(&a, &b));
    lossfn__exact_add(&a, INFINITY);
    assert_false(lossfn__exact_equal(&a, &b));
    lossfn__exact_add(&b, INFINITY); /* what is finite no longer counts */
    assert_true(lossfn__exact_equal(&a, &b));
    assert_same_bytes(&a, &b);
}

/* num / den by MPFR with the exponents of a double, subnormals included. Called within those exponents. */
static double reference_quotient(mpfr_t num, mpfr_t den) {
    if (mpfr_zero_p(den)) return (double)NAN;
    if (mpfr_zero_p(num)) return 0.0;
    mpfr_t q;
    mpfr_exp_t emin = mpfr_get_emin(), emax = mpfr_get_emax();
    mpfr_init2(q, 53);
    mpfr_set_emin(-1073);
    mpfr_set_emax(1024);
    int ternary = mpfr_div(q, num, den, MPFR_RNDN);
    mpfr_subnormalize(q, ternary, MPFR_RNDN);
    double x = mpfr_get_d(q, MPFR_RNDN);
    mpfr_set_emin(emin);
    mpfr_set_emax(emax);
    mpfr_clear(q);
    return x;
}

static void quotients_round_correctly(void **unused) {
    (void)unused;
    int subnormal = 0, infinite = 0;
    for (int round = 0; round < 60000; round++) {
        pair_t num, den;
        pair_init(&num);
        pair_init(&den);
        int kind = random_int(KINDS), den_kind = random_int(KINDS);
        for (int n = random_int(6); n >= 0; n--) pair_add(&num, random_term(kind));
        for (int n = random_int(6); n >= 0; n--) pair_add(&den, random_term(den_kind));
        double got = lossfn__exact_quotient(&num.sum, &den.sum);
        subnormal += got != 0 && fabs(got) < DBL_MIN;
        infinite += isinf(got) != 0;
        assert_same(got, reference_quotient(num.reference, den.reference));
        mpfr_clear(num.reference);
        mpfr_clear(den.reference);
    }
    assert_in_range(subnormal, 500, 60000); /* the cases reach what they are meant to */
    assert_in_range(infinite, 500, 60000);
}

/* num is a product q * den or a hair beside it, where q needs 54 bits: a quotient exactly on a tie, or next to
 * one. */
static void quotients_at_ties(void **unused) {
    (void)unused;
    for (int round = 0; round < 60000; round++) {
        pair_t num, den;
        pair_init(&num);
        pair_init(&den);
        uint64_t q = (random_bits() >> 10 | UINT64_C(1) << 53) | 1; /* odd, 54 bits */
        int exponent = round % 2 ? random_int(1800) - 1000 : -1074 - 54 + random_int(54);
        if (round % 2 == 0) q = (q >> random_int(53)) | 1;
        for (int n = random_int(4); n >= 0; n--) { /* den = sum of d * 2^e, num = sum of q * d * 2^(e + exponent) */
            int64_t d = (int64_t)(random_bits() >> (55 + random_int(9))) * (random_int(2) ? 1 : -1);
            int e = random_int(100), lowest = exponent + e < -1152 ? -1152 - exponent : e;
            pair_add_scaled(&den, d, lowest);
            for (int bit = 0; bit < 54; bit += 27)
                pair_add_scaled(&num, d * (int64_t)(q >> bit & 0x7FFFFFF), exponent + lowest + bit);
        }
        int beside = random_int(3) - 1;
        pair_add_scaled(&num, beside, -1152);
        assert_same(lossfn__exact_quotient(&num.sum, &den.sum), reference_quotient(num.reference, den.reference));
        mpfr_clear(num.reference);
        mpfr_clear(den.reference);
    }
}

/* Digits of all ones and all zeros make the estimated digits of a long division wrong most often. */
static void quotients_of_awkward_digits(void **unused) {
    (void)unused;
    static const int64_t digits[] = {0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF};
    for (int round = 0; round < 60000; round++) {
        pair_t num, den;
        pair_init(&num);
        pair_init(&den);
        for (int i = 0; i < 8; i++) pair_add_scaled(&num, digits[random_int(6)], 32 * i - 100);
        for (int n = random_int(7), i = 0; i <= n; i++) pair_add_scaled(&den, digits[random_int(6)], 32 * i - 100);
        assert_same(lossfn__exact_quotient(&num.sum, &den.sum), reference_quotient(num.reference, den.reference));
        mpfr_clear(num.reference);
        mpfr_clear(den.reference);
    }
}

static void quotients_by_counts(void **unused) {
    (void)unused;
    mpfr_t n;
    mpfr_init2(n, 64);
    for (int round = 0; round < 40000; round++) {
        pair_t num;
        pair_init(&num);
        for (int i = random_int(6); i >= 0; i--) pair_add(&num, random_term(round % KINDS));
        uint64_t count = round % 5 == 0 ? (uint64_t)random_int(10) : random_bits() >> random_int(64);
        mpfr_set_uj(n, count, MPFR_RNDN);
        assert_same(lossfn__exact_quotient_count(&num.sum, count), reference_quotient(num.reference, n));
        mpfr_clear(num.reference);
    }
    mpfr_clear(n);
}

/* Counts on two grids: held together as long as the grids stay, in the limbs otherwise; merged either way. */
static void steps(void **unused) {
    (void)unused;
    for (int round = 0; round < 3000; round++) {
        pair_t p, other;
        pair_init(&p);
        pair_init(&other);
        const int bits = random_int(2) ? 23 : 52;
        int exponent = random_int(400) - 200;
        for (int i = random_int(9) + 1; i > 0; i--) {
            pair_t *to = random_int(2) ? &p : &other;
            int64_t high = (int64_t)random_bits() >> (2 + random_int(62)),
                    low = (int64_t)random_bits() >> (2 + random_int(62));
            if (random_int(4) == 0) exponent += random_int(100) - 50;
            lossfn__exact_add_steps(&to->sum, high, low, bits, exponent);
            for (int k = 0; k < 2; k++) {
                mpfr_t term;
                mpfr_init2(term, 64);
                mpfr_set_sj(term, k ? high : low, MPFR_RNDN);
                mpfr_mul_2si(term, term, exponent + (k ? bits : 0), MPFR_RNDN);
                mpfr_add(to->reference, to->reference, term, MPFR_RNDN);
                mpfr_clear(term);
            }
            if (random_int(3) == 0) {
                double x = ldexp((double)(int64_t)random_bits(), random_int(40) - 20);
                lossfn__exact_add(&to->sum, x);
                mpfr_add_d(to->reference, to->reference, x, MPFR_RNDN);
            }
            pair_check(to);
        }
        lossfn__exact_merge(&p.sum, &other.sum);
        mpfr_add(p.reference, p.reference, other.reference, MPFR_RNDN);
        pair_check(&p);
        mpfr_t count;
        mpfr_init2(count, 64);
        for (uint64_t n = 1; n < UINT64_C(1) << 60; n = n * 7 + (uint64_t)random_int(3)) {
            mpfr_set_uj(count, n, MPFR_RNDN);
            assert_same(lossfn__exact_quotient_count(&p.sum, n), reference_quotient(p.reference, count));
        }
        mpfr_clears(count, p.reference, other.reference, (mpfr_ptr)0);
    }
}

static double quotient_of(double num, double den) {
    lossfn__exact_t n, d;
    lossfn__exact_clear(&n);
    lossfn__exact_clear(&d);
    lossfn__exact_add(&n, num);
    lossfn__exact_add(&d, den);
    return lossfn__exact_quotient(&n, &d);
}

static void quotients_of_special_values(void **unused) {
    (void)unused;
    static const double values[] = {0.0,     1,        -1,       DBL_TRUE_MIN, -DBL_TRUE_MIN,
                                    DBL_MAX, -DBL_MAX, INFINITY, -INFINITY,    NAN};
    const int count = sizeof values / sizeof values[0];
    for (int i = 0; i < count; i++)
        for (int j = 0; j < count; j++) {
            double want = values[j] == 0                        ? (double)NAN
                          : values[i] == 0 && !isnan(values[j]) ? 0.0
                                                                : values[i] / values[j];
            assert_same(quotient_of(values[i], values[j]), want);
        }
    lossfn__exact_t sum, infinite; /* a finite sum beyond the largest double is still finite */
    lossfn__exact_clear(&sum);
    lossfn__exact_add_multiple(&sum, DBL_MAX, 1000);
    assert_same(lossfn__exact_round(&sum), INFINITY);
    assert_same(lossfn__exact_quotient_count(&sum, 1000), DBL_MAX);
    lossfn__exact_clear(&infinite);
    lossfn__exact_add(&infinite, -INFINITY);
    assert_same(lossfn__exact_quotient(&sum, &infinite), -0.0);
    assert_same(lossfn__exact_quotient(&infinite, &sum), -INFINITY);
}

static void rounding_mode_has_no_influence(void **unused) {
    (void)unused;
    static const int modes[] = {FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
    for (int round = 0; round < 2000; round++) {
        lossfn__exact_t num, den;
        lossfn__exact_clear(&num);
        lossfn__exact_clear(&den);
        for (int i = 0; i < 5; i++) lossfn__exact_add(&num, random_term(round % KINDS));
        for (int i = 0; i < 5; i++) lossfn__exact_add(&den, random_term(random_int(KINDS)));
        double sum = lossfn__exact_round(&num), quotient = lossfn__exact_quotient(&num, &den);
        for (int i = 0; i < 3; i++) {
            fesetround(modes[i]);
            double sum_there = lossfn__exact_round(&num), quotient_there = lossfn__exact_quotient(&num, &den);
            fesetround(FE_TONEAREST);
            assert_same(sum_there, sum);
            assert_same(quotient_there, quotient);
        }
    }
}

static void bytes_are_as_documented(void **unused) {
    (void)unused;
    static const unsigned char one[] = {1, 144, 0, 1, 0, 1}, minus[] = {2, 143, 0, 3, 0, 0x80, 0, 1};
    unsigned char buf[LOSSFN__EXACT_BYTES];
    lossfn__exact_t sum;
    lossfn__exact_clear(&sum);
    assert_int_equal(lossfn__exact_write(&sum, NULL, 0), 1);
    assert_int_equal(bytes_of(&sum, buf), 1);
    assert_int_equal(buf[0], 0);
    lossfn__exact_add(&sum, 1);
    assert_int_equal(bytes_of(&sum, buf), sizeof one);
    assert_memory_equal(buf, one, sizeof one);
    lossfn__exact_add(&sum, -257.5);
    buf[0] = 99;
    assert_int_equal(lossfn__exact_write(&sum, buf, sizeof minus - 1), sizeof minus);
    assert_int_equal(buf[0], 99); /* too small: untouched */
    assert_int_equal(bytes_of(&sum, buf), sizeof minus);
    assert_memory_equal(buf, minus, sizeof minus);
    static const double specials[] = {INFINITY, -INFINITY, NAN};
    for (int i = 0; i < 3; i++) {
        lossfn__exact_clear(&sum);
        lossfn__exact_add(&sum, specials[i]);
        assert_int_equal(bytes_of(&sum, buf), 1);
        assert_int_equal(buf[0], 3 + i);
        assert_int_equal(lossfn__exact_read(&sum, buf, 1), 1);
        assert_same(lossfn__exact_round(&sum), specials[i]);
    }
}

/* Whatever is accepted is canonical and usable; whatever is not leaves the sum alone. The buffer is allocated
 * to its exact size, for the address sanitiser. */
static void hostile_bytes(void **unused) {
    (void)unused;
    int accepted = 0;
    for (int round = 0; round < 300000; round++) {
        size_t len = (size_t)random_int(round % 2 ? 320 : 12);
        unsigned char *buf = malloc(len + !len), again[LOSSFN__EXACT_BYTES];
        for (size_t i = 0; i < len; i++) buf[i] = (unsigned char)random_bits();
        if (len > 4 && random_int(8)) { /* plausible, or nearly so */
            int length = random_int(2) ? (int)len - 5 : random_int(300), position = random_int(300);
            buf[0] = (unsigned char)random_int(7);
            buf[1] = (unsigned char)(position & 255), buf[2] = (unsigned char)(position >> 8);
            buf[3] = (unsigned char)(length & 255), buf[4] = (unsigned char)(length >> 8);
        }
        lossfn__exact_t sum, before;
        memset(&before, 0xA5, sizeof before);
        sum = before;
        size_t size = lossfn__exact_read(&sum, buf, len);
        assert_true(size <= len);
        if (size == 0) {
            assert_memory_equal(&sum, &before, sizeof sum);
        } else {
            accepted++;
            assert_int_equal(bytes_of(&sum, again), size);
            assert_memory_equal(again, buf, size);
            lossfn__exact_t copy = sum;
            lossfn__exact_merge(&sum, &copy);
            (void)lossfn__exact_quotient(&sum, &copy);
            int finite = buf[0] == 1 || buf[0] == 2;
            assert_same(lossfn__exact_quotient(&copy, &copy), finite ? 1.0 : (double)NAN);
        }
        free(buf);
    }
    assert_in_range(accepted, 10000, 290000);
}

/* Against as many merges; what is held back is near its limit, so that doubling it does not fit. */
static void products(void **unused) {
    (void)unused;
    for (int i = 0; i < 400; i++) {
        lossfn__exact_t sum, copy, expected;
        const int times = random_int(60);
        lossfn__exact_clear(&sum);
        lossfn__exact_clear(&expected);
        lossfn__exact_add_steps(&sum, (int64_t)random_bits() >> random_int(8), (int64_t)random_bits() >> 2, 60, -30);
        if (i % 3 == 0) lossfn__exact_add(&sum, ldexp((double)(int64_t)random_bits(), random_int(80) - 40));
        copy = sum;
        for (int k = 0; k < times; k++) lossfn__exact_merge(&expected, &copy);
        lossfn__exact_multiply(&sum, (uint64_t)times);
        assert_true(lossfn__exact_equal(&sum, &expected));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_round_correctly),
        cmocka_unit_test(single_doubles_come_back),
        cmocka_unit_test(ties_go_to_even),
        cmocka_unit_test(scaled_integers),
        cmocka_unit_test(steps),
        cmocka_unit_test(multiples),
        cmocka_unit_test(products),
        cmocka_unit_test(carries_lose_nothing),
        cmocka_unit_test(single_additions_carry_in_time),
        cmocka_unit_test(any_order_and_split_gives_the_same_bytes),
        cmocka_unit_test(equality),
        cmocka_unit_test(quotients_round_correctly),
        cmocka_unit_test(quotients_at_ties),
        cmocka_unit_test(quotients_of_awkward_digits),
        cmocka_unit_test(quotients_by_counts),
        cmocka_unit_test(quotients_of_special_values),
        cmocka_unit_test(rounding_mode_has_no_influence),
        cmocka_unit_test(bytes_are_as_documented),
        cmocka_unit_test(hostile_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
