/* SPDX-License-Identifier: MIT
 * What the fuzz targets share. A target is a function of bytes, LLVMFuzzerTestOneInput; what it finds wrong it prints
 * and aborts. Bytes are decisions: each is taken from the front, and those past the end are 0, so that every input
 * means something. */
#ifndef LOSSFN_TESTS_FUZZ_FUZZ_H
#define LOSSFN_TESTS_FUZZ_FUZZ_H

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lossfn/lossfn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of everything that the library computed, for comparing instruction sets; each target has one, the driver prints it.
 */
extern uint64_t fuzz_digest;

#define CHECK(condition, ...)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not true: %s: ", __FILE__, __LINE__, #condition);                                  \
            fprintf(stderr, __VA_ARGS__);                                                                              \
            fputc('\n', stderr);                                                                                       \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* ---- Bytes ------------------------------------------------------------------------------------------------------ */

typedef struct {
    const uint8_t *at, *end;
} bytes_t;

static inline uint32_t take_byte(bytes_t *b) { return b->at < b->end ? *b->at++ : 0; }

/* 0 to n - 1, n at most 65536. */
static inline uint32_t take(bytes_t *b, uint32_t n) {
    uint32_t x = take_byte(b);
    if (n > 256) x |= take_byte(b) << 8;
    return n ? x % n : 0;
}

/* Seldom, and never by bytes past the end. */
static inline int one_in(bytes_t *b, uint32_t n) { return take(b, n) == n - 1; }

/* splitmix64: many numbers from a few bytes. */
static inline uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* ---- Memory and text -------------------------------------------------------------------------------------------- */

/* Exactly n bytes, so that the address sanitizer sees a step beyond them. */
static inline void *exact_room(size_t n) {
    void *room = malloc(n);
    CHECK(room || n == 0, "out of memory for %zu bytes", n);
    return room;
}

static inline void *exact_copy(const void *from, size_t n) {
    void *room = exact_room(n);
    if (n) memcpy(room, from, n);
    return room;
}

static inline int is_utf8(const char *text) {
    const unsigned char *s = (const unsigned char *)text;
    while (*s) {
        int more = *s < 0x80                 ? 0
                   : *s >= 0xc2 && *s < 0xe0 ? 1
                   : *s >= 0xe0 && *s < 0xf0 ? 2
                   : *s >= 0xf0 && *s < 0xf5 ? 3
                                             : -1;
        uint32_t code = more <= 0 ? *s : *s & (0x3fu >> more);
        if (more < 0) return 0;
        for (s++; more > 0; more--, s++) {
            if ((*s & 0xc0) != 0x80) return 0;
            code = code << 6 | (*s & 0x3f);
        }
        if ((code >= 0xd800 && code < 0xe000) || code > 0x10ffff) return 0;
    }
    return 1;
}

/* A failure has a status of the table and a message: one line, not empty, of bounded length. Its bytes are UTF-8 if
 * those of the caller's strings were (`clean`). */
static inline void check_failure(lossfn_status_t status, int clean) {
    const char *message = lossfn_last_error();
    CHECK(strcmp(lossfn_status_name(status), "unknown status") != 0, "status %d", (int)status);
    CHECK(status < 0, "status %d", (int)status);
    CHECK(message[0] != 0, "the message of %s is empty", lossfn_status_name(status));
    CHECK(strlen(message) < 512, "a message of %zu bytes", strlen(message));
    CHECK(strpbrk(message, "\n\r\t") == NULL, "a message of several lines: %s", message);
    CHECK(!clean || is_utf8(message), "a message that is no UTF-8: %s", message);
}

/* The canonical spec in a buffer of just its size. */
static inline char *spec_of(const lossfn_t *loss) {
    int64_t length = lossfn_spec(loss, NULL, 0);
    CHECK(length > 0, "length %lld", (long long)length);
    char *text = exact_room((size_t)length + 1);
    CHECK(lossfn_spec(loss, text, length + 1) == length, "two lengths");
    CHECK((int64_t)strlen(text) == length, "%s", text);
    return text;
}

/* ---- Specs ------------------------------------------------------------------------------------------------------ */

typedef struct {
    char text[4096];
    size_t length;
} spec_t;

static inline void spec_put(spec_t *spec, const char *text) {
    size_t n = strlen(text);
    if (spec->length + n >= sizeof spec->text) return;
    memcpy(spec->text + spec->length, text, n + 1);
    spec->length += n;
}

static inline void spec_number(spec_t *spec, double x) {
    char text[40];
    snprintf(text, sizeof text, "%.17g", x);
    spec_put(spec, text);
}

/* Word k (counted around) of "a, b, c". */
static inline void spec_choice(spec_t *spec, const char *choices, uint32_t k) {
    uint32_t n = 1;
    for (const char *c = choices; *c; c++) n += *c == ',';
    for (k %= n; k > 0; k--) choices = strchr(choices, ',') + 2;
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)strcspn(choices, ","), choices);
    spec_put(spec, word);
}

static inline void spec_value(spec_t *spec, const lossfn_param_info_t *param, bytes_t *b, int64_t cols) {
    static const double numbers[] = {0.5, 1, 2, 0, 1.5, 0.1, 3, 10, -1, 0.999, 1e-3, 1e-300, 1e30, 1e308, -0.0, 7};
    enum { NUMBERS = sizeof numbers / sizeof *numbers };
    switch (param->type) {
    case LOSSFN_PARAM_DOUBLE: {
        uint32_t k = take(b, NUMBERS + 8);
        double inner = isfinite(param->lower) && isfinite(param->upper) ? (param->lower + param->upper) / 2
                       : isfinite(param->lower)                         ? param->lower + 1
                                                                        : 1;
        if (k < NUMBERS)
            spec_number(spec, numbers[k]);
        else if (k < NUMBERS + 2)
            spec_number(spec, k % 2 ? param->lower : param->upper);
        else if (k < NUMBERS + 3)
            spec_put(spec, param->default_value);
        else
            spec_number(spec, inner);
        break;
    }
    case LOSSFN_PARAM_INT: {
        static const char *const integers[] = {"0", "1",    "2",   "3",   "-1",
                                               "7", "-100", "255", "1e3", "9223372036854775807"};
        spec_put(spec, integers[take(b, sizeof integers / sizeof *integers)]);
        break;
    }
    case LOSSFN_PARAM_BOOL:
        spec_put(spec, take(b, 2) ? "false" : "true");
        break;
    case LOSSFN_PARAM_CHOICE:
        spec_choice(spec, param->choices, take(b, 16));
        break;
    default: {
        uint32_t k = take(b, 16);
        int64_t n = k < 14 ? cols : (int64_t)k - 13;
        spec_put(spec, "[");
        for (int64_t i = 0; i < n; i++) {
            if (i) spec_put(spec, ",");
            spec_number(spec, numbers[i < 8 ? take(b, NUMBERS) : (uint32_t)(i % 4)]);
        }
        spec_put(spec, "]");
    }
    }
}

static inline void spec_setting(spec_t *spec, int *n, const char *key) {
    spec_put(spec, (*n)++ ? ", " : "(");
    spec_put(spec, key);
    spec_put(spec, "=");
}

static inline const char *take_name(bytes_t *b) { return lossfn_name_at((int32_t)take(b, (uint32_t)lossfn_count())); }

/* A loss with parameters; most are within their bounds. `first`: with the common options. */
static inline void spec_term(spec_t *spec, bytes_t *b, int64_t cols, int first) {
    static const char *const reductions[] = {"mean",     "sum",     "none",      "mean_units",
                                             "mean_all", "per_row", "mean_rows", "mean"};
    static const char *const bases[] = {"0", "1", "-1", "7"}, *const ignored[] = {"-100", "0", "255", "1"};
    static const char *const axes[] = {"-1", "0", "1", "-2", "2", "3", "-8", "7"};
    lossfn_info_t info = {.struct_size = sizeof info};
    const char *name = take_name(b);
    int n = 0;
    CHECK(lossfn_describe(name, &info) == LOSSFN_OK, "%s", name);
    spec_put(spec, name);
    for (int32_t i = 0; i < info.n_params; i++) {
        lossfn_param_info_t param = {.struct_size = sizeof param};
        CHECK(lossfn_describe_param(name, i, &param) == LOSSFN_OK, "%s", name);
        if (take(b, 4) < 3) continue;
        spec_setting(spec, &n, param.name);
        spec_value(spec, &param, b, cols);
    }
    if (first) {
        uint32_t reduction = take(b, 16);
        if (reduction < 8) spec_setting(spec, &n, "reduction"), spec_put(spec, reductions[reduction]);
        if (one_in(b, 4)) spec_setting(spec, &n, "axis"), spec_put(spec, axes[take(b, 8)]);
        if (one_in(b, 8)) spec_setting(spec, &n, "ignore_index"), spec_put(spec, ignored[take(b, 4)]);
        if (one_in(b, 8)) spec_setting(spec, &n, "label_base"), spec_put(spec, bases[take(b, 4)]);
        if (one_in(b, 8)) spec_setting(spec, &n, "nan_policy"), spec_put(spec, one_in(b, 4) ? "error" : "ignore");
        if (one_in(b, 8)) spec_setting(spec, &n, "domain"), spec_put(spec, "error");
        if (one_in(b, 8)) spec_setting(spec, &n, "empty"), spec_put(spec, "zero");
    }
    if (n) spec_put(spec, ")");
}

/* A loss, or a sum of up to three. */
static inline void spec_make(spec_t *spec, bytes_t *b, int64_t cols) {
    spec->text[0] = 0;
    spec->length = 0;
    uint32_t terms = one_in(b, 8) ? 2 + take(b, 2) : 1;
    for (uint32_t k = 0; k < terms; k++) {
        static const char *const signs[] = {" + ", " - ", " + 0.5*", " + 0*"};
        if (k) spec_put(spec, signs[take(b, 4)]);
        spec_term(spec, b, cols, k == 0);
    }
}

#endif
