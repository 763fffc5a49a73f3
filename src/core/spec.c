/* SPDX-License-Identifier: MIT
 * The grammar of docs/spec.md, read from left to right; each rule is a function. */
#include "core/draft.h"
#include "core/registry.h"
#include "core/status.h"
#include <string.h>

typedef struct {
    const char *text, *at, *end;
    lossfn__draft_t *draft;
} parser_t;

static int is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static void skip_spaces(parser_t *p) {
    while (p->at < p->end && is_space(*p->at)) p->at++;
}

static int next_is(const parser_t *p, char c) { return p->at < p->end && *p->at == c; }

static int accept(parser_t *p, char c) {
    skip_spaces(p);
    if (!next_is(p, c)) return 0;
    p->at++;
    return 1;
}

/* ---- Messages ---------------------------------------------------------------------------------------------------- */

/* Columns count characters from 1, not bytes. */
static int column(const parser_t *p) {
    int n = 1;
    for (const char *c = p->text; c < p->at; c++) n += !lossfn__is_continuation(*c);
    return n;
}

/* What stands here: a whole word or number, else one character. */
static lossfn__piece_t found(const parser_t *p) {
    const char *to = p->at;
    while (to < p->end && (lossfn__is_name(*to) || (*to == '.' && to > p->at))) to++;
    if (to == p->at) to++;
    while (to < p->end && lossfn__is_continuation(*to)) to++;
    return (lossfn__piece_t){p->at, to - p->at < 32 ? to - p->at : 32};
}

static lossfn_status_t expected(parser_t *p, const char *what) {
    skip_spaces(p);
    if (p->at == p->end)
        return lossfn__fail(LOSSFN_ERROR_SPEC, "spec: expected %s at column %d, found the end", what, column(p));
    return lossfn__fail(LOSSFN_ERROR_SPEC, "spec: expected %s at column %d, found '%.*s'", what, column(p),
                        LOSSFN__PRINT(found(p)));
}

static lossfn_status_t too_large(const parser_t *p, lossfn__piece_t number) {
    return lossfn__fail(LOSSFN_ERROR_SPEC, "spec: the number %.*s at column %d is beyond a double; infinity is inf",
                        LOSSFN__PRINT(number), column(p));
}

/* ---- Values ------------------------------------------------------------------------------------------------------ */

static lossfn__piece_t token(const parser_t *p) {
    const char *to = p->at;
    while (to < p->end && lossfn__is_token(*to)) to++;
    return (lossfn__piece_t){p->at, to - p->at};
}

static lossfn_status_t parse_token(parser_t *p, lossfn__given_t *given) {
    lossfn__piece_t piece = token(p);
    if (!piece.length) return expected(p, "a value");
    if (lossfn__given_from_token(given, piece) == LOSSFN__NUMBER_TOO_LARGE) return too_large(p, piece);
    p->at += piece.length;
    return LOSSFN_OK;
}

static lossfn_status_t parse_quoted(parser_t *p, lossfn__given_t *given) {
    const char *begin = p->at + 1, *close = memchr(begin, *p->at, (size_t)(p->end - begin));
    LOSSFN__REQUIRE(close, LOSSFN_ERROR_SPEC, "spec: the string that begins at column %d has no end", column(p));
    *given = (lossfn__given_t){.kind = LOSSFN__GIVEN_WORD, .text = {begin, close - begin}};
    p->at = close + 1;
    return LOSSFN_OK;
}

static lossfn_status_t parse_element(parser_t *p) {
    double x;
    skip_spaces(p);
    lossfn__piece_t piece = token(p);
    enum lossfn__number result = lossfn__parse_double(piece.text, piece.length, &x);
    if (result == LOSSFN__NUMBER_TOO_LARGE) return too_large(p, piece);
    if (result == LOSSFN__NO_NUMBER) return expected(p, "a number");
    p->at += piece.length;
    return LOSSFN_OK;
}

/* Elements are only counted: they are read again once there is memory for them. */
static lossfn_status_t parse_list(parser_t *p, lossfn__given_t *given) {
    const char *begin = ++p->at;
    *given = (lossfn__given_t){.kind = LOSSFN__GIVEN_LIST};
    if (!accept(p, ']')) {
        do {
            LOSSFN__TRY(parse_element(p));
            given->count++;
        } while (accept(p, ','));
        if (!accept(p, ']')) return expected(p, "',' or ']'");
    }
    given->text = (lossfn__piece_t){begin, p->at - 1 - begin};
    return LOSSFN_OK;
}

static lossfn_status_t parse_value(parser_t *p, lossfn__given_t *given) {
    skip_spaces(p);
    if (next_is(p, '[')) return parse_list(p, given);
    if (next_is(p, '"') || next_is(p, '\'')) return parse_quoted(p, given);
    return parse_token(p, given);
}

/* ---- Terms ------------------------------------------------------------------------------------------------------- */

/* key = name ; a loss's name may have dots as well */
static lossfn__piece_t parse_name(parser_t *p, int dots) {
    const char *begin = p->at;
    if (p->at < p->end && lossfn__is_name_start(*p->at))
        while (p->at < p->end && (lossfn__is_name(*p->at) || (dots && *p->at == '.'))) p->at++;
    return (lossfn__piece_t){begin, p->at - begin};
}

static lossfn_status_t parse_setting(parser_t *p) {
    lossfn__given_t given;
    skip_spaces(p);
    lossfn__piece_t key = parse_name(p, 0);
    if (!key.length) return expected(p, "the name of a parameter");
    if (!accept(p, '=')) return expected(p, "'='");
    LOSSFN__TRY(parse_value(p, &given));
    return lossfn__draft_set(p->draft, key, &given);
}

static lossfn_status_t parse_settings(parser_t *p) {
    if (!accept(p, '(') || accept(p, ')')) return LOSSFN_OK;
    do { LOSSFN__TRY(parse_setting(p)); } while (accept(p, ','));
    return accept(p, ')') ? LOSSFN_OK : expected(p, "',' or ')'");
}

/* [number "*"] */
static lossfn_status_t parse_coefficient(parser_t *p, double *coefficient) {
    skip_spaces(p);
    lossfn__piece_t number = {p->at, lossfn__scan_number(p->at, p->end)};
    *coefficient = 1;
    if (!number.length) return LOSSFN_OK;
    if (lossfn__parse_double(number.text, number.length, coefficient) == LOSSFN__NUMBER_TOO_LARGE)
        return too_large(p, number);
    p->at += number.length;
    return accept(p, '*') ? LOSSFN_OK : expected(p, "'*'");
}

static lossfn_status_t parse_term(parser_t *p, int negative) {
    double coefficient;
    LOSSFN__TRY(parse_coefficient(p, &coefficient));
    if (negative && coefficient != 0) coefficient = -coefficient; /* a zero has no sign */
    skip_spaces(p);
    lossfn__piece_t name = parse_name(p, 1);
    if (!name.length) return expected(p, "the name of a loss");
    LOSSFN__REQUIRE(p->draft->n_terms < LOSSFN__MAX_TERMS, LOSSFN_ERROR_SPEC,
                    "spec: more than %d terms: '%.*s' ends at column %d", LOSSFN__MAX_TERMS, LOSSFN__PRINT(name),
                    column(p) - 1);
    const lossfn__definition_t *definition = lossfn__find_loss(name);
    if (!definition) {
        while (p->at < p->end && (lossfn__is_name(*p->at) || strchr(".:", *p->at))) p->at++; /* as "reg:tweedie" */
        return lossfn__unknown_loss((lossfn__piece_t){name.text, p->at - name.text});
    }
    lossfn__draft_add(p->draft, coefficient, definition);
    return parse_settings(p);
}

lossfn_status_t lossfn__parse_spec(lossfn__draft_t *draft, const char *spec) {
    parser_t p = {spec, spec, spec + strlen(spec), draft};
    int negative = accept(&p, '-');
    if (!negative) accept(&p, '+');
    for (;;) {
        LOSSFN__TRY(parse_term(&p, negative));
        skip_spaces(&p);
        if (p.at == p.end) return LOSSFN_OK;
        negative = accept(&p, '-');
        if (!negative && !accept(&p, '+')) return expected(&p, "'+', '-' or the end");
    }
}
