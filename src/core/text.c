/* SPDX-License-Identifier: MIT */
#include "core/text.h"
#include "core/number.h"
#include <string.h>

void lossfn__put_bytes(lossfn__writer_t *out, const char *text, int64_t n) {
    int64_t room = out->buf ? out->cap - 1 - out->length : 0;
    if (room > 0) {
        int64_t fits = n < room ? n : room;
        memcpy(out->buf + out->length, text, (size_t)fits);
        out->buf[out->length + fits] = 0;
    } else if (out->buf && out->cap > 0 && out->length == 0) {
        out->buf[0] = 0;
    }
    out->length += n;
}

void lossfn__put(lossfn__writer_t *out, const char *text) { lossfn__put_bytes(out, text, (int64_t)strlen(text)); }

void lossfn__put_double(lossfn__writer_t *out, double x) {
    char number[32];
    lossfn__put(out, lossfn__format_double(x, number));
}

void lossfn__put_integer(lossfn__writer_t *out, int64_t x) {
    char number[32];
    lossfn__put(out, lossfn__format_integer(x, number));
}

lossfn__piece_t lossfn__piece(const char *text) { return (lossfn__piece_t){text, (int64_t)strlen(text)}; }

static int equal(lossfn__piece_t a, lossfn__piece_t b) {
    return a.length == b.length && memcmp(a.text, b.text, (size_t)a.length) == 0;
}

int lossfn__equal(lossfn__piece_t a, const char *word) { return equal(a, lossfn__piece(word)); }

int lossfn__next_word(const char **at, lossfn__piece_t *word) {
    if (!**at) return 0;
    size_t n = strcspn(*at, ",");
    *word = (lossfn__piece_t){*at, (int64_t)n};
    *at += n;
    *at += strspn(*at, ", ");
    return 1;
}

int32_t lossfn__find_word(const char *list, lossfn__piece_t word) {
    lossfn__piece_t each;
    for (int32_t i = 0; lossfn__next_word(&list, &each); i++)
        if (equal(each, word)) return i;
    return -1;
}

lossfn__piece_t lossfn__word_at(const char *list, int32_t i) {
    lossfn__piece_t word = {"", 0};
    for (; i >= 0; i--) lossfn__next_word(&list, &word);
    return word;
}

/* Not isalpha: that depends on the locale. */
int lossfn__is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
int lossfn__is_name(char c) { return lossfn__is_name_start(c) || (c >= '0' && c <= '9'); }
int lossfn__is_continuation(char c) { return ((unsigned char)c & 0xc0) == 0x80; }

int lossfn__is_identifier(const char *text) {
    if (!lossfn__is_name_start(*text)) return 0;
    while (*text && lossfn__is_name(*text)) text++;
    return !*text;
}

/* ---- The nearest name -------------------------------------------------------------------------------------------- */

enum { MAX_COMPARED = 48 };

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

int lossfn__same_letters(const char *text, lossfn__piece_t word) {
    int same = 1;
    for (int64_t i = 0; i < word.length && same; i++) same = lower(text[i]) == lower(word.text[i]);
    return same;
}

static int ends_with(const char *text, int32_t n, const char *end) {
    int32_t k = (int32_t)strlen(end);
    return n > k && memcmp(text + n - k, end, (size_t)k) == 0;
}

/* Without case, underscores and a final "loss": MSELoss, mse_loss and mse are the same. */
static int32_t normalise(lossfn__piece_t piece, char out[MAX_COMPARED]) {
    int32_t n = 0;
    for (int64_t i = 0; i < piece.length && n < MAX_COMPARED; i++)
        if (piece.text[i] != '_' && piece.text[i] != '-') out[n++] = lower(piece.text[i]);
    return ends_with(out, n, "loss") ? n - 4 : n;
}

static int32_t least(int32_t a, int32_t b) { return a < b ? a : b; }

/* Insertions, deletions, substitutions and swaps of neighbours (Damerau 1964) that make one of the other. */
static int32_t distance(const char *a, int32_t n, const char *b, int32_t m) {
    int32_t rows[3][MAX_COMPARED + 1], *before = rows[0], *last = rows[1], *row = rows[2];
    for (int32_t j = 0; j <= m; j++) before[j] = 0, last[j] = j;
    for (int32_t i = 1; i <= n; i++) {
        row[0] = i;
        for (int32_t j = 1; j <= m; j++) {
            row[j] = least(least(row[j - 1], last[j]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
        int32_t *oldest = before;
        before = last, last = row, row = oldest;
    }
    return last[m];
}

void lossfn__nearest_start(lossfn__nearest_t *nearest, lossfn__piece_t wanted) {
    *nearest = (lossfn__nearest_t){wanted, {"", 0}, INT32_MAX};
}

void lossfn__nearest_offer(lossfn__nearest_t *nearest, lossfn__piece_t candidate) {
    char a[MAX_COMPARED], b[MAX_COMPARED];
    int32_t n = normalise(nearest->wanted, a), m = normalise(candidate, b);
    int32_t d = distance(a, n, b, m);
    if (d >= nearest->distance) return;
    nearest->distance = d;
    nearest->best = candidate;
}

int lossfn__nearest_found(const lossfn__nearest_t *nearest) {
    int64_t n = nearest->wanted.length;
    return nearest->distance <= (n < 4 ? 1 : n < 8 ? 2 : 3) && nearest->distance < n;
}
