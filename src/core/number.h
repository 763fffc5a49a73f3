/* SPDX-License-Identifier: MIT
 * Numbers as text, exactly: decimal to double rounded once to nearest even, and double to the shortest decimal. In
 * integers alone, so that neither the locale, nor the floating-point control word, nor errno can have a part in it:
 * strtod and printf heed the first two and have to be kept from changing the third. */
#ifndef LOSSFN_CORE_NUMBER_H
#define LOSSFN_CORE_NUMBER_H

#include <stdint.h>

/* Length of the unsigned number at the start of `text` (digits, fraction, exponent); 0 if there is none. */
int64_t lossfn__scan_number(const char *text, const char *end);

enum lossfn__number { LOSSFN__NO_NUMBER, LOSSFN__A_NUMBER, LOSSFN__NUMBER_TOO_LARGE };

/* All of text[0..length) as a signed number, inf or nan. What is too small becomes a zero, what is too large fails. */
enum lossfn__number lossfn__parse_double(const char *text, int64_t length, double *out);
/* All of it as a signed decimal integer of 64 bits; 0 if it is none. */
int lossfn__parse_integer(const char *text, int64_t length, int64_t *out);
/* x as an integer if it is one that a double holds exactly (at most 2^53). */
int lossfn__integer_from_double(double x, int64_t *out);

/* The shortest decimal that reads back as x (of several the nearest); returns buf. */
const char *lossfn__format_double(double x, char buf[32]);
const char *lossfn__format_integer(int64_t x, char buf[32]);

/* e = 2.718..., the base of the natural logarithm as a double. */
#define LOSSFN__E 0x1.5bf0a8b145769p+1

#endif
