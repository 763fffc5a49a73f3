/* SPDX-License-Identifier: MIT
 * The bytes of an accumulator: they are refused with a message, or give one that writes the same bytes again, has a
 * value and can be merged. The first byte chooses whether the rest is all of the bytes, the sums of a loss, or batches
 * whose written sums are damaged. */
#include "fuzz.h"

uint64_t fuzz_digest;

/* ---- Memory: no more than the bytes account for ----------------------------------------------------------------- */

static uint64_t held, most_held;

static void *count_alloc(void *user, uint64_t size) {
    (void)user;
    held += size;
    if (held > most_held) most_held = held;
    return exact_room(size);
}
static void count_free(void *user, void *pointer, uint64_t size) {
    (void)user;
    held -= size;
    free(pointer);
}

static void count_allocations(void) {
    const lossfn_allocator_t counting = {sizeof counting, count_alloc, count_free, NULL};
    static int is_set;
    if (!is_set) CHECK(lossfn_set_allocator(&counting) == LOSSFN_OK, "%s", lossfn_last_error());
    is_set = 1;
    CHECK(held == 0, "%llu bytes were not freed", (unsigned long long)held);
    most_held = 0;
}

/* ---- Bytes and what they give ----------------------------------------------------------------------------------- */

typedef struct {
    unsigned char *data;
    size_t size;
} text_t;

static text_t written(const lossfn_accumulator_t *a) {
    int64_t length = -1, again = -1;
    CHECK(lossfn_accumulator_write(a, NULL, 0, &length) == LOSSFN_OK, "%s", lossfn_last_error());
    CHECK(length >= 9, "%lld bytes", (long long)length);
    text_t text = {exact_room((size_t)length), (size_t)length};
    memset(text.data, 0xa5, text.size);
    CHECK(lossfn_accumulator_write(a, text.data, length - 1, &again) == LOSSFN_OK && again == length, "two lengths");
    for (size_t i = 0; i < text.size; i++) CHECK(text.data[i] == 0xa5, "byte %zu was written without room", i);
    CHECK(lossfn_accumulator_write(a, text.data, length, &again) == LOSSFN_OK && again == length, "two lengths");
    return text;
}

static size_t spec_length(const unsigned char *data) {
    return data[4] | (size_t)data[5] << 8 | (size_t)data[6] << 16 | (size_t)data[7] << 24;
}

/* Where the sums begin. */
static size_t head(const unsigned char *data) { return 9 + spec_length(data); }

/* The same bytes, but for the spec: what is read may be any text for the loss, what is written is the canonical. */
static void same_sums(const unsigned char *a, size_t a_size, const unsigned char *b, size_t b_size) {
    const size_t from_a = head(a), from_b = head(b);
    CHECK(a_size - from_a == b_size - from_b, "%zu bytes of sums became %zu", a_size - from_a, b_size - from_b);
    CHECK(memcmp(a + from_a, b + from_b, a_size - from_a) == 0, "other sums");
}

static lossfn_accumulator_t *read_or_fail(text_t text) {
    lossfn_accumulator_t *a = NULL;
    CHECK(lossfn_accumulator_read(&a, text.data, (int64_t)text.size) == LOSSFN_OK, "%s", lossfn_last_error());
    return a;
}

/* It has a value, or says that it is empty, and sums; each twice the same. */
static void has_value(const lossfn_accumulator_t *a) {
    double value[2] = {-1, -2}, sum, denominator;
    uint32_t notes = 99;
    int32_t i = 0;
    CHECK(lossfn_accumulator_value(a, &value[0], &notes) == LOSSFN_OK, "%s", lossfn_last_error());
    CHECK(lossfn_accumulator_value(a, &value[1], NULL) == LOSSFN_OK, "%s", lossfn_last_error());
    CHECK(memcmp(&value[0], &value[1], sizeof *value) == 0, "%g, then %g", value[0], value[1]);
    CHECK((notes & ~(uint32_t)LOSSFN_NOTE_EMPTY) == 0, "notes %u", (unsigned)notes);
    uint64_t bits;
    memcpy(&bits, value, sizeof bits);
    if (isnan(value[0])) bits = 0; /* its sign and payload are no result */
    fuzz_digest = (fuzz_digest ^ bits ^ notes) * 1099511628211u;
    while (lossfn_accumulator_parts(a, i, &sum, &denominator) == LOSSFN_OK) i++;
    CHECK(i > 0, "no sums");
    check_failure(LOSSFN_ERROR_ARGUMENT, 1);
}

static text_t merged(text_t into, text_t other) {
    lossfn_accumulator_t *a = read_or_fail(into), *b = read_or_fail(other);
    CHECK(lossfn_accumulator_merge(a, b) == LOSSFN_OK, "%s", lossfn_last_error());
    lossfn_accumulator_destroy(b);
    has_value(a);
    text_t text = written(a);
    lossfn_accumulator_destroy(a);
    return text;
}

static int mergeable(text_t a, text_t b) {
    lossfn_accumulator_t *one = read_or_fail(a), *other = read_or_fail(b);
    const lossfn_status_t status = lossfn_accumulator_merge(one, other);
    lossfn_accumulator_destroy(one), lossfn_accumulator_destroy(other);
    if (status == LOSSFN_OK) return 1;
    check_failure(status, 1);
    /* other classes, or the damage has hit the spec */
    CHECK(status == LOSSFN_ERROR_SHAPE || status == LOSSFN_ERROR_ARGUMENT, "%s", lossfn_last_error());
    return 0;
}

/* Reads the bytes, of which nothing is taken for granted. Beside it, `known` may hold sums of the same loss. */
static void look_at(const uint8_t *data, size_t size, const text_t *known) {
    uint8_t *copy = exact_copy(data, size);
    lossfn_accumulator_t *a = (lossfn_accumulator_t *)(uintptr_t)16; /* stays untouched by a failure */
    const uint64_t before = held;
    most_held = held;
    const lossfn_status_t status = lossfn_accumulator_read(&a, copy, (int64_t)size);
    /* a sum has 650 bytes in memory, one byte at least in writing, and there are two of each; the spec's text and what
     * it means is the parser's business */
    CHECK(most_held - before <= 65536 + 4096 * (uint64_t)size, "%llu bytes of memory for %zu",
          (unsigned long long)(most_held - before), size);
    free(copy); /* nothing of it is kept */
    if (status != LOSSFN_OK) {
        check_failure(status, 0); /* a message has names of the spec, which may be no UTF-8 */
        CHECK(a == (lossfn_accumulator_t *)(uintptr_t)16, "a failure wrote the handle");
        CHECK(held == before, "a failure keeps %llu bytes", (unsigned long long)(held - before));
        return;
    }
    has_value(a);
    const text_t once = written(a);
    same_sums(data, size, once.data, once.size);
    lossfn_accumulator_t *again = read_or_fail(once);
    const text_t twice = written(again);
    CHECK(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0, "written twice, other bytes");
    free(twice.data);
    /* Nothing, and itself: from a copy or not. */
    lossfn_accumulator_reset(again);
    has_value(again);
    const text_t nothing = written(again);
    CHECK(lossfn_accumulator_merge(again, a) == LOSSFN_OK, "%s", lossfn_last_error());
    const text_t only = written(again);
    CHECK(once.size == only.size && memcmp(once.data, only.data, once.size) == 0, "0 + x is not x");
    CHECK(lossfn_accumulator_merge(a, a) == LOSSFN_OK, "%s", lossfn_last_error());
    const text_t doubled = written(a), sum = merged(once, once);
    CHECK(sum.size == doubled.size && memcmp(sum.data, doubled.data, sum.size) == 0, "x + x depends on who is asked");
    lossfn_accumulator_destroy(a), lossfn_accumulator_destroy(again);
    free(only.data), free(doubled.data), free(sum.data);
    if (known && mergeable(once, *known)) {
        const text_t left = merged(once, *known), right = merged(*known, once), twice_x = merged(once, once);
        CHECK(left.size == right.size && memcmp(left.data, right.data, left.size) == 0, "x + y is not y + x");
        const text_t more = merged(left, once), other = merged(*known, twice_x);
        CHECK(more.size == other.size && memcmp(more.data, other.data, more.size) == 0, "the order matters");
        free(left.data), free(right.data), free(twice_x.data), free(more.data), free(other.data);
    }
    free(once.data), free(nothing.data);
}

/* ---- Batches ---------------------------------------------------------------------------------------------------- */

enum { ROWS = 3, COLS = 3 };

/* Adds a batch of numbers that are in most domains; one that is refused adds nothing. */
static void add_batch(lossfn_accumulator_t *a, const lossfn_t *loss, bytes_t *b) {
    static const double scales[] = {1, 1, 1, 1e-300, 1e300, -1};
    static const int64_t shape[] = {ROWS, COLS};
    double data[8][ROWS * COLS], weights[ROWS];
    lossfn_tensor_t inputs[8], weight;
    lossfn_args_t args;
    uint64_t state = take(b, 65536);
    const double scale = scales[take(b, 6)];
    lossfn_args_init(&args);
    args.n_inputs = lossfn_input_count(loss);
    for (int32_t j = 0; j < args.n_inputs; j++) {
        lossfn_input_info_t input = {.struct_size = sizeof input};
        for (int32_t k = 0; k < lossfn_component_count(loss); k++) /* not all parts take all inputs */
            if (lossfn_describe_input(lossfn_component_name(loss, k), j, &input) == LOSSFN_OK) break;
        for (int i = 0; i < ROWS * COLS; i++)
            data[j][i] = input.per_row ? 0 : (1 + (double)(next_random(&state) % 9)) / 10 * scale;
        CHECK(lossfn_tensor_init_const(&inputs[j], data[j], LOSSFN_F64, input.per_row ? 1 : 2, shape) == LOSSFN_OK,
              "%s", lossfn_last_error());
        args.inputs[j] = &inputs[j];
    }
    if (take(b, 2)) {
        const int64_t by_row[] = {ROWS, 1};
        for (int i = 0; i < ROWS; i++) weights[i] = (double)(next_random(&state) % 4) * 0.25;
        const int32_t ndim = lossfn_unit(loss) == LOSSFN_UNIT_ROW ? 1 : 2;
        CHECK(lossfn_tensor_init_const(&weight, weights, LOSSFN_F64, ndim, by_row) == LOSSFN_OK, "%s",
              lossfn_last_error());
        args.weight = &weight;
    }
    const lossfn_status_t status = lossfn_accumulator_update(a, &args);
    if (status != LOSSFN_OK) check_failure(status, 1);
}

static text_t sums_of(const lossfn_t *loss, bytes_t *b) {
    lossfn_accumulator_t *a = NULL;
    CHECK(lossfn_accumulator_create(&a, loss) == LOSSFN_OK, "%s", lossfn_last_error());
    for (uint32_t n = take(b, 3); n > 0; n--) add_batch(a, loss, b);
    const text_t text = written(a);
    has_value(a);
    lossfn_accumulator_destroy(a);
    return text;
}

/* A few bytes are changed, taken away or put in. */
static void damage(text_t *text, bytes_t *b) {
    for (uint32_t n = take(b, 4); n > 0; n--) {
        /* mostly among the sums */
        const size_t from = one_in(b, 8) ? 0 : head(text->data) % text->size, room = text->size - from;
        const size_t at = room ? from + take(b, 65536) % room : from;
        switch (room ? take(b, 4) : 3) {
        case 0:
            text->data[at] ^= (unsigned char)(1u << take(b, 8));
            break;
        case 1:
            text->data[at] = (unsigned char)take_byte(b);
            break;
        case 2:
            if (text->size < 16) break; /* a head remains */
            memmove(text->data + at, text->data + at + 1, text->size - at - 1);
            text->size--;
            break;
        default:
            text->data = realloc(text->data, text->size + 1);
            CHECK(text->data, "out of memory");
            memmove(text->data + at + 1, text->data + at, text->size - at);
            text->data[at] = (unsigned char)take_byte(b);
            text->size++;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    bytes_t b = {data, data + size};
    spec_t spec = {{0}, 0};
    lossfn_t *loss = NULL;
    lossfn_accumulator_t *empty = NULL;
    count_allocations();
    const uint32_t kind = take(&b, 4);
    if (kind == 0) {
        look_at(b.at, (size_t)(b.end - b.at), NULL);
        return 0;
    }
    spec_make(&spec, &b, COLS);
    lossfn_status_t status = lossfn_create(&loss, spec.text);
    if (status == LOSSFN_OK) status = lossfn_accumulator_create(&empty, loss);
    if (status != LOSSFN_OK) {
        check_failure(status, 1);
        lossfn_destroy(loss);
        return 0;
    }
    lossfn_accumulator_destroy(empty);
    const text_t known = sums_of(loss, &b);
    text_t text = kind == 1 ? known : sums_of(loss, &b);
    if (kind == 1) { /* all that is left instead of the sums */
        const size_t n = head(known.data), left = (size_t)(b.end - b.at);
        text = (text_t){exact_room(n + left), n + left};
        memcpy(text.data, known.data, n);
        if (left) memcpy(text.data + n, b.at, left);
    } else {
        damage(&text, &b);
    }
    look_at(text.data, text.size, &known);
    free(text.data), free(known.data);
    lossfn_destroy(loss);
    return 0;
}
