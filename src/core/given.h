/* SPDX-License-Identifier: MIT
 * A value as it was given, in a spec or through the options builder, and its way into a parameter. */
#ifndef LOSSFN_CORE_GIVEN_H
#define LOSSFN_CORE_GIVEN_H

#include "core/handle.h"
#include "core/number.h"
#include "core/text.h"

enum lossfn__given_kind {
    LOSSFN__GIVEN_NUMBER,
    LOSSFN__GIVEN_BOOL,
    LOSSFN__GIVEN_WORD, /* or a quoted string */
    LOSSFN__GIVEN_LIST,
    LOSSFN__GIVEN_DEFAULT /* by a builder: what there is when nothing is given */
};

typedef struct {
    int32_t kind;
    int32_t is_integer; /* NUMBER: it is one, and `integer` holds it */
    double number;      /* NUMBER, BOOL */
    int64_t integer;
    lossfn__piece_t text; /* as written, without quotes; of a list what stands in the brackets; NULL from a builder */
    const double *list;   /* LIST from a builder */
    int64_t count;
} lossfn__given_t;

/* A piece of a spec: a number, true, false or a word; NUMBER_TOO_LARGE if it is one. */
enum lossfn__number lossfn__given_from_token(lossfn__given_t *given, lossfn__piece_t token);
/* What may stand after `=` in a spec; anything else is a word. */
void lossfn__given_from_text(lossfn__given_t *given, const char *text);
void lossfn__given_from_double(lossfn__given_t *given, double x);
void lossfn__given_from_integer(lossfn__given_t *given, int64_t x);
void lossfn__given_from_bool(lossfn__given_t *given, int32_t x);
/* For messages: 'word', 1.5, [...]. */
const char *lossfn__show_given(const lossfn__given_t *given, char buf[48]);

/* The elements of a list that was checked when it was parsed, one by one from *at = 0. */
int lossfn__next_element(const lossfn__given_t *list, int64_t *at, double *x);

/* Checks type and bounds, and fills *value (but for a list's elements: value->list stays NULL, value->count counts).
 * is_set is 1 afterwards, 0 for a list given as `none`. */
lossfn_status_t lossfn__set_value(const lossfn__param_t *param, const lossfn__given_t *given, lossfn__value_t *value);
/* The parameter's default. */
void lossfn__default_value(const lossfn__param_t *param, lossfn__value_t *value);

/* The value in the spec's grammar. */
void lossfn__put_value(lossfn__writer_t *out, const lossfn__param_t *param, const lossfn__value_t *value);

/* Characters of an unquoted value. */
int lossfn__is_token(char c);

#endif
