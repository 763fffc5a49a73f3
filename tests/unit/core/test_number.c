/* SPDX-License-Identifier: MIT
 * Decimal to double and back. Compiled as unit.h says. The reference is strtod in the C locale, which glibc rounds
 * correctly. */
#include "unit.h"
#include "core/number.h"
#include "comma.h"
#include <fenv.h>
#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t bits_of(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static double from_bits(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Bits of all magnitudes, then moderate ones, powers of two, and subnormals. */
static double random_double(uint64_t *state, int kind) {
    uint64_t bits = next_random(state);
    if (kind == 1) bits = (bits & UINT64_C(0x800fffffffffffff)) | (UINT64_C(0x3f0) + (bits >> 52) % 32) << 52;
    if (kind == 2) bits &= UINT64_C(0xfff0000000000000);
    if (kind == 3) bits &= UINT64_C(0x800fffffffffffff);
    return from_bits(bits);
}

static double parse(const char *text) {
    double x = 0;
    assert_int_equal(lossfn__parse_double(text, (int64_t)strlen(text), &x), LOSSFN__A_NUMBER);
    return x;
}

static void test_random_round_trips(void **unused) {
    uint64_t state = 20240611;
    char text[64], back[32];
    (void)unused;
    for (int i = 0; i < 20000; i++) {
        double x = random_double(&state, i % 4);
        if (x - x != 0) continue;
        lossfn__format_double(x, back);
        assert_true(bits_of(parse(back)) == bits_of(x));
        assert_true(bits_of(strtod(back, NULL)) == bits_of(x));
        sprintf(text, "%.*g", 1 + i % 25, x);
        double reference = strtod(text, NULL), own;
        enum lossfn__number result = lossfn__parse_double(text, (int64_t)strlen(text), &own);
        assert_int_equal(result == LOSSFN__NUMBER_TOO_LARGE, reference - reference != 0);
        if (result == LOSSFN__A_NUMBER) assert_true(bits_of(own) == bits_of(reference));
    }
}

/* No shorter decimal reads back. */
static void test_shortest(void **unused) {
    uint64_t state = 7;
    char text[64], own[32];
    (void)unused;
    for (int i = 0; i < 5000; i++) {
        double x = random_double(&state, i % 4);
        if (x - x != 0 || x == 0) continue;
        lossfn__format_double(x, own);
        size_t digits = 0;
        int leading = 1;
        for (const char *c = own; *c && *c != 'e'; c++) {
            if (*c > '0' && *c <= '9') leading = 0;
            if (*c >= '0' && *c <= '9' && !leading) digits++;
        }
        size_t least = 1;
        while (sprintf(text, "%.*e", (int)least - 1, x), strtod(text, NULL) != x) least++;
        while (digits > least && strpbrk(own, "eE.") == NULL && own[strlen(own) - 1] == '0') { /* 100: 1 digit */
            own[strlen(own) - 1] = 0;
            digits--;
        }
        assert_true(digits <= least);
    }
}

static void test_halfway_cases(void **unused) {
    uint64_t state = 99;
    char *text = malloc(1400);
    (void)unused;
    for (int i = 0; i < 2000; i++) {
        double x = random_double(&state, i % 4);
        if (x - x != 0 || x == 0 || x > 1e300 || x < -1e300) continue;
        double y = from_bits(bits_of(x) + 1);
        snprintf(text, 1400, "%.1100Lg", ((long double)x + (long double)y) / 2);
        assert_true(bits_of(parse(text)) == bits_of(strtod(text, NULL)));
        char *e = strchr(text, 'e'), tail[16] = "";
        if (!e || !strchr(text, '.')) continue;
        strcpy(tail, e);
        sprintf(e, "%s%s", "000000000001", tail); /* a little beyond the middle */
        assert_true(bits_of(parse(text)) == bits_of(strtod(text, NULL)));
    }
    free(text);
}

static void test_known_texts(void **unused) {
    static const struct {
        double x;
        const char *text;
    } known[] = {{0, "0"},
                 {-0.0, "-0"},
                 {0.1, "0.1"},
                 {1, "1"},
                 {100, "100"},
                 {1.5, "1.5"},
                 {1e15, "1000000000000000"},
                 {1e16, "1e+16"},
                 {1e22, "1e+22"},
                 {1e23, "1e+23"},
                 {1e-4, "0.0001"},
                 {1e-5, "1e-05"},
                 {1e30, "1e+30"},
                 {-2.5e-7, "-2.5e-07"},
                 {DBL_MAX, "1.7976931348623157e+308"},
                 {DBL_MIN, "2.2250738585072014e-308"},
                 {4.9406564584124654e-324, "5e-324"},
                 {0x1p-44, "5.684341886080802e-14"},
                 {9007199254740993.0, "9007199254740992"}};
    char buf[32];
    (void)unused;
    for (size_t i = 0; i < COUNT(known); i++)
        assert_string_equal(lossfn__format_double(known[i].x, buf), known[i].text);
}

static void test_what_is_a_number(void **unused) {
    static const char *const good[] = {
        "1",      "+1",    "-1", "1.", ".5", "1e5", "1E+5", "1e-5", "00012", "1e-999999999999", "0e99999999999999",
        "1e-325", "1e-329"};
    static const char *const bad[] = {"",   "+",  "-",   ".",   "e5",  "1e",       "1e+", "--1",  "+-1",
                                      "1 ", " 1", "0x1", "1_0", "1,5", "infinity", "INF", "1.2.3"};
    static const char *const large[] = {"1e309", "1.7976931348623159e308", "-1e999", "1e99999999999999999999"};
    double x;
    (void)unused;
    for (size_t i = 0; i < COUNT(good); i++) assert_true(parse(good[i]) == strtod(good[i], NULL));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(lossfn__parse_double(bad[i], (int64_t)strlen(bad[i]), &x), LOSSFN__NO_NUMBER);
    for (size_t i = 0; i < COUNT(large); i++)
        assert_int_equal(lossfn__parse_double(large[i], (int64_t)strlen(large[i]), &x), LOSSFN__NUMBER_TOO_LARGE);
    assert_true(parse("inf") > DBL_MAX);
    assert_true(parse("-inf") < -DBL_MAX);
    assert_true(parse("nan") != parse("nan"));
}

/* Thousands of digits, where only the last decides. */
static void test_long_numbers(void **unused) {
    static char text[4096];
    (void)unused;
    memset(text, '0', sizeof text);
    memcpy(text, "9007199254740993.", 17); /* in the middle between two doubles: to even */
    text[4000] = 0;
    assert_true(parse(text) == 9007199254740992.0);
    text[3999] = '1';
    assert_true(parse(text) == 9007199254740994.0);
    memset(text, '9', 4000);
    strcpy(text + 4000, "e-4000");
    assert_true(parse(text) == 1);
}

static void test_integers(void **unused) {
    static const char *const bad[] = {
        "", "-", "1.0", "9223372036854775808", "-9223372036854775809", "1e3", "99999999999999999999999"};
    int64_t x;
    (void)unused;
    assert_true(lossfn__parse_integer("9223372036854775807", 19, &x) && x == INT64_MAX);
    assert_true(lossfn__parse_integer("-9223372036854775808", 20, &x) && x == INT64_MIN);
    assert_true(lossfn__parse_integer("+7", 2, &x) && x == 7);
    assert_true(lossfn__parse_integer("-100", 4, &x) && x == -100);
    for (size_t i = 0; i < COUNT(bad); i++) assert_false(lossfn__parse_integer(bad[i], (int64_t)strlen(bad[i]), &x));
    assert_true(lossfn__integer_from_double(-0x1p53, &x) && x == -(INT64_C(1) << 53));
    assert_false(lossfn__integer_from_double(0x1p54, &x));
    assert_false(lossfn__integer_from_double(1.5, &x));
    assert_false(lossfn__integer_from_double(from_bits(UINT64_C(0x7ff8000000000000)), &x));
}

/* Neither the rounding mode nor a locale with a decimal comma has a part in it. */
static void test_rounding_modes(void **unused) {
    static const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    char buf[32];
    (void)unused;
    for (size_t i = 0; i < COUNT(modes); i++) {
        fesetround(modes[i]);
        double tenth = parse("0.1"), third = parse("0.333333333333333333333");
        lossfn__format_double(third, buf);
        fesetround(FE_TONEAREST);
        assert_true(tenth == 0.1 && third == 1.0 / 3);
        assert_string_equal(buf, "0.3333333333333333");
    }
}

static void test_decimal_comma(void **unused) {
    char buf[32];
    double x, none = 0;
    (void)unused;
    need_decimal_comma();
    int is_number = lossfn__parse_double("1.5", 3, &x) == LOSSFN__A_NUMBER;
    int with_comma = lossfn__parse_double("1,5", 3, &none) == LOSSFN__A_NUMBER;
    lossfn__format_double(2.5, buf);
    setlocale(LC_ALL, "C");
    assert_true(is_number && x == 1.5);
    assert_false(with_comma);
    assert_string_equal(buf, "2.5");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_round_trips), cmocka_unit_test(test_shortest),
        cmocka_unit_test(test_halfway_cases),      cmocka_unit_test(test_known_texts),
        cmocka_unit_test(test_what_is_a_number),   cmocka_unit_test(test_long_numbers),
        cmocka_unit_test(test_integers),           cmocka_unit_test(test_rounding_modes),
        cmocka_unit_test(test_decimal_comma),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
