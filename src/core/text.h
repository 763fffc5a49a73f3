/* SPDX-License-Identifier: MIT
 * Small things about text: writing it into a caller's buffer, lists of words, the nearest name. */
#ifndef LOSSFN_CORE_TEXT_H
#define LOSSFN_CORE_TEXT_H

#include <stdint.h>

/* Appends to a buffer that may be too small or NULL, as snprintf does: always ends in NUL if there is room for it, and
 * `length` counts what all of it would have needed. Start with length 0. */
typedef struct {
    char *buf;
    int64_t cap, length;
} lossfn__writer_t;

void lossfn__put(lossfn__writer_t *out, const char *text);
void lossfn__put_bytes(lossfn__writer_t *out, const char *text, int64_t n);
void lossfn__put_double(lossfn__writer_t *out, double x);
void lossfn__put_integer(lossfn__writer_t *out, int64_t x);

/* A piece of a longer text. */
typedef struct {
    const char *text;
    int64_t length;
} lossfn__piece_t;

lossfn__piece_t lossfn__piece(const char *text);
int lossfn__equal(lossfn__piece_t a, const char *word);
/* For "%.*s". */
#define LOSSFN__PRINT(piece) (int)((piece).length < 80 ? (piece).length : 80), (piece).text

/* The words of "a, b, c" one by one: starts with *at = list, returns 0 past the last. */
int lossfn__next_word(const char **at, lossfn__piece_t *word);
/* Position of a word in such a list; -1 if it is not there. */
int32_t lossfn__find_word(const char *list, lossfn__piece_t word);
lossfn__piece_t lossfn__word_at(const char *list, int32_t i);

int lossfn__is_name_start(char c);   /* letter, _ */
int lossfn__is_name(char c);         /* letter, digit, _ */
int lossfn__is_continuation(char c); /* a further byte of a UTF-8 character */
/* Letters, digits and _, no digit first. */
int lossfn__is_identifier(const char *text);

/* Whether text begins with the word, but for the case of ASCII letters. */
int lossfn__same_letters(const char *text, lossfn__piece_t word);

/* Collects the candidate nearest to what was written. */
typedef struct {
    lossfn__piece_t wanted, best;
    int32_t distance;
} lossfn__nearest_t;

void lossfn__nearest_start(lossfn__nearest_t *nearest, lossfn__piece_t wanted);
void lossfn__nearest_offer(lossfn__nearest_t *nearest, lossfn__piece_t candidate);
/* Near enough to be meant. */
int lossfn__nearest_found(const lossfn__nearest_t *nearest);

#endif
