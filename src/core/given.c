/* SPDX-License-Identifier: MIT */
#include "core/given.h"
#include "core/status.h"
#include <math.h>
#include <string.h>

int lossfn__is_token(char c) { return lossfn__is_name(c) || c == '.' || c == '+' || c == '-'; }

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

enum lossfn__number lossfn__given_from_token(lossfn__given_t *given, lossfn__piece_t token) {
    *given = (lossfn__given_t){.kind = LOSSFN__GIVEN_WORD, .text = token};
    enum lossfn__number result = lossfn__parse_double(token.text, token.length, &given->number);
    if (result == LOSSFN__A_NUMBER) {
        given->kind = LOSSFN__GIVEN_NUMBER;
        given->is_integer = lossfn__parse_integer(token.text, token.length, &given->integer) ||
                            lossfn__integer_from_double(given->number, &given->integer);
    } else if (lossfn__equal(token, "true") || lossfn__equal(token, "false")) {
        given->kind = LOSSFN__GIVEN_BOOL;
        given->number = given->integer = lossfn__equal(token, "true");
    }
    return result;
}

static int is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

int lossfn__next_element(const lossfn__given_t *given, int64_t *at, double *x) {
    if (given->list) {
        if (*at >= given->count) return 0;
        *x = given->list[(*at)++];
        return 1;
    }
    const char *text = given->text.text;
    int64_t i = *at, end = given->text.length;
    while (i < end && (is_space(text[i]) || text[i] == ',')) i++;
    int64_t begin = i;
    while (i < end && lossfn__is_token(text[i])) i++;
    *at = i;
    return lossfn__parse_double(text + begin, i - begin, x) == LOSSFN__A_NUMBER;
}

/* The number of tokens if there is a comma between any two and nothing else; -1 otherwise. */
static int64_t count_tokens(lossfn__piece_t text) {
    int64_t tokens = 0, commas = 0;
    for (int64_t i = 0; i < text.length;) {
        const char c = text.text[i];
        if (is_space(c)) {
            i++;
        } else if (tokens > commas) {
            if (c != ',') return -1;
            commas++, i++;
        } else {
            if (!lossfn__is_token(c)) return -1;
            tokens++;
            while (i < text.length && lossfn__is_token(text.text[i])) i++;
        }
    }
    return tokens == 0 || tokens > commas ? tokens : -1;
}

/* "[1, 2, .5]" as a list; 0 if it is none. */
static int list_from_text(lossfn__given_t *given, lossfn__piece_t text) {
    lossfn__given_t list = {.kind = LOSSFN__GIVEN_LIST};
    int64_t at = 0;
    double x;
    if (text.length < 2 || text.text[0] != '[' || text.text[text.length - 1] != ']') return 0;
    list.text = (lossfn__piece_t){text.text + 1, text.length - 2};
    while (lossfn__next_element(&list, &at, &x)) list.count++;
    if (list.count != count_tokens(list.text)) return 0; /* not all of them are numbers */
    *given = list;
    return 1;
}

void lossfn__given_from_text(lossfn__given_t *given, const char *text) {
    lossfn__piece_t piece = lossfn__piece(text);
    while (piece.length && is_space(*piece.text)) piece.text++, piece.length--;
    while (piece.length && is_space(piece.text[piece.length - 1])) piece.length--;
    if (!list_from_text(given, piece)) lossfn__given_from_token(given, piece);
}

void lossfn__given_from_double(lossfn__given_t *given, double x) {
    *given = (lossfn__given_t){.kind = LOSSFN__GIVEN_NUMBER, .number = x};
    given->is_integer = lossfn__integer_from_double(x, &given->integer);
}

void lossfn__given_from_integer(lossfn__given_t *given, int64_t x) {
    *given = (lossfn__given_t){.kind = LOSSFN__GIVEN_NUMBER, .number = (double)x, .integer = x, .is_integer = 1};
}

void lossfn__given_from_bool(lossfn__given_t *given, int32_t x) {
    *given = (lossfn__given_t){.kind = LOSSFN__GIVEN_BOOL, .number = x != 0, .integer = x != 0};
}

const char *lossfn__show_given(const lossfn__given_t *given, char buf[48]) {
    lossfn__writer_t out = {buf, 48, 0};
    if (given->kind == LOSSFN__GIVEN_LIST) {
        lossfn__put(&out, "a list of ");
        lossfn__put_integer(&out, given->count);
    } else if (given->kind == LOSSFN__GIVEN_BOOL) {
        lossfn__put(&out, given->integer ? "true" : "false");
    } else if (given->kind == LOSSFN__GIVEN_NUMBER && given->is_integer) {
        lossfn__put_integer(&out, given->integer);
    } else if (given->kind == LOSSFN__GIVEN_NUMBER) {
        lossfn__put_double(&out, given->number);
    } else {
        int64_t n = given->text.length;
        if (n > 32) /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a text of length n has n bytes */
            for (n = 32; n > 0 && lossfn__is_continuation(given->text.text[n]);) n--;
        lossfn__put(&out, "'");
        lossfn__put_bytes(&out, given->text.text, n);
        lossfn__put(&out, n < given->text.length ? "...'" : "'");
    }
    return buf;
}

/* ---- Into a parameter -------------------------------------------------------------------------------------------- */

static int within(const lossfn__param_t *p, double x) {
    return (p->lower_open ? x > p->lower : x >= p->lower) && (p->upper_open ? x < p->upper : x <= p->upper);
}

/* "must be >= 0 and < 1"; an infinite bound that is allowed itself is none. */
static const char *show_bounds(const lossfn__param_t *p, char buf[80]) {
    lossfn__writer_t out = {buf, 80, 0};
    int has_lower = p->lower_open || p->lower > -INFINITY, has_upper = p->upper_open || p->upper < INFINITY;
    lossfn__put(&out, has_lower || has_upper ? "must be " : "must be a number");
    if (has_lower) {
        lossfn__put(&out, p->lower_open ? "> " : ">= ");
        lossfn__put_double(&out, p->lower);
    }
    if (has_lower && has_upper) lossfn__put(&out, " and ");
    if (has_upper) {
        lossfn__put(&out, p->upper_open ? "< " : "<= ");
        lossfn__put_double(&out, p->upper);
    }
    return buf;
}

static lossfn_status_t check_bounds(const lossfn__param_t *p, double x) {
    char number[32], bounds[80];
    LOSSFN__REQUIRE(within(p, x), LOSSFN_ERROR_PARAMETER, "%s is %s, %s", p->name, lossfn__format_double(x, number),
                    show_bounds(p, bounds));
    return LOSSFN_OK;
}

/* The base of a logarithm is the one parameter with a hole: log 1 is 0. */
static int is_base(const lossfn__param_t *p) { return strcmp(p->name, "base") == 0; }

static lossfn_status_t wrong_type(const lossfn__param_t *p, const lossfn__given_t *given, const char *wanted) {
    char shown[48];
    return lossfn__fail(LOSSFN_ERROR_PARAMETER, "%s is %s, must be %s", p->name, lossfn__show_given(given, shown),
                        wanted);
}

static lossfn_status_t set_double(const lossfn__param_t *p, const lossfn__given_t *given, lossfn__value_t *value) {
    if (is_base(p) && given->kind == LOSSFN__GIVEN_WORD && lossfn__equal(given->text, "e")) {
        value->number = LOSSFN__E;
        return LOSSFN_OK;
    }
    if (given->kind != LOSSFN__GIVEN_NUMBER) return wrong_type(p, given, is_base(p) ? "a number, or e" : "a number");
    LOSSFN__TRY(check_bounds(p, given->number));
    LOSSFN__REQUIRE(!is_base(p) || given->number != 1, LOSSFN_ERROR_PARAMETER, "base is 1, must be other than 1");
    value->number = given->number;
    return LOSSFN_OK;
}

static lossfn_status_t set_integer(const lossfn__param_t *p, const lossfn__given_t *given, lossfn__value_t *value) {
    if (given->kind != LOSSFN__GIVEN_NUMBER || !given->is_integer) return wrong_type(p, given, "an integer of 64 bits");
    LOSSFN__TRY(check_bounds(p, (double)given->integer));
    value->integer = given->integer;
    value->number = (double)given->integer;
    return LOSSFN_OK;
}

static lossfn_status_t set_bool(const lossfn__param_t *p, const lossfn__given_t *given, lossfn__value_t *value) {
    int fits = given->kind == LOSSFN__GIVEN_BOOL || given->kind == LOSSFN__GIVEN_NUMBER;
    if (!fits || (given->number != 0 && given->number != 1)) return wrong_type(p, given, "true or false");
    value->number = given->number != 0;
    return LOSSFN_OK;
}

static lossfn_status_t set_choice(const lossfn__param_t *p, const lossfn__given_t *given, lossfn__value_t *value) {
    char shown[48];
    int32_t i = -1;
    lossfn__show_given(given, shown);
    if (given->kind != LOSSFN__GIVEN_LIST && given->text.text) i = lossfn__find_word(p->choices, given->text);
    if (i < 0 && given->kind == LOSSFN__GIVEN_NUMBER) /* a word may be made of digits */
        i = lossfn__find_word(p->choices, lossfn__piece(shown));
    LOSSFN__REQUIRE(i >= 0, LOSSFN_ERROR_PARAMETER, "%s is %s, must be one of: %s", p->name, shown, p->choices);
    value->number = i;
    return LOSSFN_OK;
}

static lossfn_status_t set_list(const lossfn__param_t *p, const lossfn__given_t *given, lossfn__value_t *value) {
    char number[32], bounds[80];
    int only_bits = strcmp(p->name, "class_mask") == 0;
    int64_t at = 0;
    double x;
    value->count = 0;
    if (given->kind == LOSSFN__GIVEN_WORD && lossfn__equal(given->text, "none")) return value->is_set = 0, LOSSFN_OK;
    if (given->kind != LOSSFN__GIVEN_LIST) return wrong_type(p, given, "a list of numbers, such as [1, 2]");
    for (; lossfn__next_element(given, &at, &x); value->count++) {
        LOSSFN__REQUIRE(within(p, x), LOSSFN_ERROR_PARAMETER, "%s[%lld] is %s, %s", p->name, (long long)value->count,
                        lossfn__format_double(x, number), show_bounds(p, bounds));
        LOSSFN__REQUIRE(!only_bits || x == 0 || x == 1, LOSSFN_ERROR_PARAMETER, "%s[%lld] is %s, must be 0 or 1",
                        p->name, (long long)value->count, lossfn__format_double(x, number));
    }
    LOSSFN__REQUIRE(value->count > 0, LOSSFN_ERROR_PARAMETER, "%s is an empty list", p->name);
    return LOSSFN_OK;
}

lossfn_status_t lossfn__set_value(const lossfn__param_t *param, const lossfn__given_t *given, lossfn__value_t *value) {
    if (given->kind == LOSSFN__GIVEN_DEFAULT) return lossfn__default_value(param, value), LOSSFN_OK;
    *value = (lossfn__value_t){.is_set = 1};
    switch (param->type) {
    case LOSSFN_PARAM_INT:
        return set_integer(param, given, value);
    case LOSSFN_PARAM_BOOL:
        return set_bool(param, given, value);
    case LOSSFN_PARAM_CHOICE:
        return set_choice(param, given, value);
    case LOSSFN_PARAM_LIST:
        return set_list(param, given, value);
    default:
        return set_double(param, given, value);
    }
}

void lossfn__default_value(const lossfn__param_t *param, lossfn__value_t *value) {
    lossfn__given_t given;
    *value = (lossfn__value_t){.is_set = 0};
    if (param->type == LOSSFN_PARAM_LIST) return;
    lossfn__given_from_text(&given, param->default_value);
    lossfn__set_value(param, &given, value); /* cannot fail: defaults are within bounds */
    value->is_set = 0;
}

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

/* A choice bare where a spec reads it back so, else quoted. */
static void put_word(lossfn__writer_t *out, lossfn__piece_t word) {
    int bare = word.length > 0;
    for (int64_t i = 0; i < word.length; i++) bare = bare && lossfn__is_token(word.text[i]);
    if (bare) {
        lossfn__put_bytes(out, word.text, word.length);
        return;
    }
    const char *quote = memchr(word.text, '"', (size_t)word.length) ? "'" : "\"";
    lossfn__put(out, quote);
    lossfn__put_bytes(out, word.text, word.length);
    lossfn__put(out, quote);
}

static void put_list(lossfn__writer_t *out, const lossfn__value_t *value) {
    if (!value->list) {
        lossfn__put(out, "none");
        return;
    }
    for (int64_t i = 0; i < value->count; i++) {
        lossfn__put(out, i ? "," : "[");
        lossfn__put_double(out, value->list[i]);
    }
    lossfn__put(out, "]");
}

void lossfn__put_value(lossfn__writer_t *out, const lossfn__param_t *param, const lossfn__value_t *value) {
    switch (param->type) {
    case LOSSFN_PARAM_INT:
        lossfn__put_integer(out, value->integer);
        return;
    case LOSSFN_PARAM_BOOL:
        lossfn__put(out, value->number != 0 ? "true" : "false");
        return;
    case LOSSFN_PARAM_CHOICE:
        put_word(out, lossfn__word_at(param->choices, (int32_t)value->number));
        return;
    case LOSSFN_PARAM_LIST:
        put_list(out, value);
        return;
    default:
        if (is_base(param) && value->number == LOSSFN__E) {
            lossfn__put(out, "e");
        } else {
            lossfn__put_double(out, value->number);
        }
    }
}
