/* SPDX-License-Identifier: MIT
 * The spec parser and the options builder: any text is refused with a message or gives a loss whose canonical spec
 * gives the same loss again. The first byte chooses whether the rest is text, words of the grammar or decisions. */
#include "fuzz.h"

uint64_t fuzz_digest; /* stays 0: nothing is computed */

/* The words of the grammar: punctuation, numbers, then every name, parameter and choice of the catalogue. */
static void put_word(spec_t *spec, bytes_t *b) {
    static const char *const words[] = {
        "(",
        ")",
        ",",
        "=",
        "[",
        "]",
        "*",
        "+",
        "-",
        " ",
        "none",
        "inf",
        "nan",
        "true",
        "false",
        "0",
        "1",
        "2.5",
        "1e308",
        "1e309",
        "4e-324",
        ".5",
        "1.",
        "e",
        "1e-9",
        "'e'",
        "\"sum\"",
        "axis",
        "empty",
        "domain",
        "reduction",
        "base",
        "[1,2]",
        "[]",
        "labels=01",
        "-1",
        "1e999999",
        "0.7*",
        "zero",
        "label_base",
        "mse",
        "huber",
        "delta",
        "\n",
        "18446744073709551616",
        "'",
        "nan_policy",
        "error",
        "ignore_index",
        "per_row",
        "\xc3\xa9",
        "\xf0\x9f\x98\x80",
        "_",
        ".",
    };
    enum { WORDS = sizeof words / sizeof *words };
    uint32_t k = take(b, WORDS + 24);
    if (k < WORDS) {
        spec_put(spec, words[k]);
        return;
    }
    const char *name = take_name(b);
    lossfn_info_t info = {.struct_size = sizeof info};
    lossfn_param_info_t param = {.struct_size = sizeof param};
    CHECK(lossfn_describe(name, &info) == LOSSFN_OK, "%s", name);
    if (k < WORDS + 12 || info.n_params == 0) {
        spec_put(spec, name);
        return;
    }
    CHECK(lossfn_describe_param(name, (int32_t)take(b, (uint32_t)info.n_params), &param) == LOSSFN_OK, "%s", name);
    spec_put(spec, param.name);
    spec_put(spec, "=");
    spec_value(spec, &param, b, 3);
}

/* What the handle says of itself, read in buffers of exactly the size that it asks for. */
static void read_back(const lossfn_t *loss) {
    static const char *const keys[] = {"reduction",  "axis",   "ignore_index", "label_base",
                                       "nan_policy", "domain", "empty"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        int64_t length, again;
        double number;
        lossfn_status_t status = lossfn_get_text(loss, keys[i], NULL, 0, &length);
        if (status != LOSSFN_OK) {
            check_failure(status, 1);
            continue;
        }
        char *text = exact_room((size_t)length + 1);
        CHECK(lossfn_get_text(loss, keys[i], text, length + 1, &again) == LOSSFN_OK && again == length, "%s", keys[i]);
        CHECK((int64_t)strlen(text) == length, "%s=%s", keys[i], text);
        free(text);
        status = lossfn_get_double(loss, keys[i], &number);
        if (status != LOSSFN_OK) check_failure(status, 1);
    }
    for (int32_t i = 0; i < lossfn_component_count(loss); i++) {
        CHECK(isfinite(lossfn_component_coefficient(loss, i)), "component %d", (int)i);
        CHECK(lossfn_component_name(loss, i) != NULL, "component %d", (int)i);
    }
    for (int32_t i = 0; i < lossfn_input_count(loss); i++)
        CHECK(lossfn_input_name(loss, i) != NULL, "input %d", (int)i);
    CHECK(lossfn_input_name(loss, lossfn_input_count(loss)) == NULL, "one input more");
}

/* The canonical text is a fixed point, whole and cut. */
static void round_trip(const lossfn_t *loss, const char *from) {
    char *once = spec_of(loss);
    lossfn_t *again = NULL;
    if (lossfn_create(&again, once) != LOSSFN_OK) CHECK(0, "'%s' from '%s': %s", once, from, lossfn_last_error());
    char *twice = spec_of(again);
    CHECK(strcmp(once, twice) == 0, "'%s' became '%s'", once, twice);
    CHECK(lossfn_input_count(loss) == lossfn_input_count(again), "%s", once);
    CHECK(lossfn_unit(loss) == lossfn_unit(again), "%s", once);
    CHECK(strcmp(lossfn_name(loss), lossfn_name(again)) == 0, "%s", once);
    for (int32_t i = 0; i < lossfn_component_count(loss); i++) {
        double one = lossfn_component_coefficient(loss, i), other = lossfn_component_coefficient(again, i);
        CHECK(memcmp(&one, &other, sizeof one) == 0, "%s", once);
    }
    size_t length = strlen(once), cap = 1 + length / 2;
    char *cut = exact_room(cap);
    CHECK(lossfn_spec(loss, cut, (int64_t)cap) == (int64_t)length, "%s", once);
    CHECK(strlen(cut) == cap - 1 && memcmp(cut, once, cap - 1) == 0, "'%s' was cut to '%s'", once, cut);
    free(cut);
    free(once);
    free(twice);
    lossfn_destroy(again);
}

/* The same through the builder: a setting of any type beside the text. */
static void with_options(const char *text, bytes_t *b) {
    static const char *const keys[] = {"reduction",    "delta", "axis",  "labels",
                                       "class_weight", "base",  "empty", "no such"};
    const char *key = keys[take(b, 8)];
    lossfn_options_t *options = NULL;
    lossfn_t *loss = NULL;
    double numbers[4];
    char word[17];
    CHECK(lossfn_options_create(&options) == LOSSFN_OK, "%s", lossfn_last_error());
    for (size_t i = 0; i < 4; i++) numbers[i] = (double)take(b, 256) / 4 - 8;
    lossfn_status_t status;
    switch (take(b, 5)) {
    case 0:
        status = lossfn_options_set_double(options, key, take(b, 4) ? numbers[0] : NAN);
        break;
    case 1:
        status = lossfn_options_set_int(options, key, (int64_t)numbers[0]);
        break;
    case 2:
        status = lossfn_options_set_bool(options, key, (int32_t)take(b, 3));
        break;
    case 3: {
        size_t n = take(b, 16);
        for (size_t i = 0; i < n; i++) word[i] = (char)take_byte(b);
        word[n] = 0;
        status = lossfn_options_set_string(options, key, word);
        break;
    }
    default:
        status = lossfn_options_set_doubles(options, key, numbers, take(b, 5));
    }
    if (status != LOSSFN_OK) check_failure(status, 0);
    status = lossfn_create_options(&loss, text, options);
    lossfn_options_destroy(options);
    if (status != LOSSFN_OK)
        check_failure(status, 0);
    else
        round_trip(loss, text);
    lossfn_destroy(loss);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    bytes_t b = {data, data + size};
    spec_t spec = {{0}, 0};
    char *text;
    uint32_t kind = take(&b, 4), cap = 0;
    bytes_t settings = {0};
    if (kind == 0) {
        size_t n = (size_t)(b.end - b.at);
        text = exact_room(n + 1);
        memcpy(text, b.at, n);
        text[n] = 0; /* the text ends at the first NUL */
    } else {
        cap = take(&b, 64);
        if (kind == 1)
            for (uint32_t n = 1 + take(&b, 32); n > 0; n--) put_word(&spec, &b);
        else
            spec_make(&spec, &b, 3);
        settings = b;
        text = exact_copy(spec.text, spec.length + 1);
    }
    int clean = is_utf8(text);
    lossfn_t *loss = (lossfn_t *)(uintptr_t)16; /* stays untouched by a failure */
    char *message = exact_room(cap);
    memset(message, '#', cap);
    errno = 4321;
    lossfn_status_t status = lossfn_create_msg(&loss, text, cap ? message : NULL, cap);
    CHECK(errno == 4321, "errno is %d", errno);
    if (status == LOSSFN_OK) {
        round_trip(loss, text);
        read_back(loss);
        for (uint32_t i = 0; i < cap; i++) CHECK(message[i] == '#' || i == 0, "a success wrote a message");
        lossfn_destroy(loss);
    } else {
        check_failure(status, clean);
        CHECK(loss == (lossfn_t *)(uintptr_t)16, "a failure wrote the handle");
        if (cap) {
            CHECK(memchr(message, 0, cap) != NULL, "a message without an end");
            CHECK(strncmp(message, lossfn_last_error(), strlen(message)) == 0, "another message: %s", message);
            CHECK(!clean || is_utf8(message), "a message cut inside a character: %s", message);
        }
    }
    free(message);
    if (kind == 3) with_options(text, &settings);
    free(text);
    return 0;
}
