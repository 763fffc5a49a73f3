/* SPDX-License-Identifier: MIT
 * "Accumulators": exact sums and denominators over batches. */
#include <math.h>
#include <stddef.h>
#include <string.h>
#include "core/memory.h"
#include "core/status.h"
#include "engine/fpenv.h"
#include "engine/run.h"

struct lossfn_accumulator {
    lossfn_t *loss;
    lossfn__marginal_sums_t marginals; /* no classes until there is a call that has some */
    lossfn__marginal_sums_t added;     /* room for those of one call */
    lossfn__total_t totals[];          /* one per term */
};

static uint64_t size_for(const lossfn_t *loss) {
    return sizeof(lossfn_accumulator_t) + (uint64_t)loss->n_terms * sizeof(lossfn__total_t);
}

static int64_t count_marginals(const lossfn_accumulator_t *accumulator) {
    return accumulator->marginals.classes ? 1 + 2 * accumulator->marginals.classes : 0;
}
static uint64_t marginals_size(int64_t classes) { return 2 * (1 + 2 * (uint64_t)classes) * sizeof(lossfn__exact_t); }

static void drop_marginals(lossfn_accumulator_t *accumulator) {
    lossfn__marginal_sums_t *marginals = &accumulator->marginals;
    if (marginals->classes) lossfn__free(marginals->sums, marginals_size(marginals->classes));
    *marginals = accumulator->added = (lossfn__marginal_sums_t){0, NULL};
}

/* Makes room for the marginals of so many classes, if there are none yet: all of them 0. */
static lossfn_status_t need_marginals(lossfn_accumulator_t *accumulator, int64_t classes) {
    lossfn__marginal_sums_t *marginals = &accumulator->marginals;
    if (classes == 0) return LOSSFN_OK;
    LOSSFN__REQUIRE(marginals->classes == 0 || marginals->classes == classes, LOSSFN_ERROR_SHAPE,
                    "%lld classes are to be added to an accumulator of %lld", (long long)classes,
                    (long long)marginals->classes);
    if (marginals->classes) return LOSSFN_OK;
    lossfn__exact_t *sums = lossfn__allocate(marginals_size(classes));
    LOSSFN__REQUIRE(sums != NULL, LOSSFN_ERROR_MEMORY, "out of memory for the marginals of %lld classes",
                    (long long)classes);
    *marginals = (lossfn__marginal_sums_t){classes, sums};
    accumulator->added = (lossfn__marginal_sums_t){classes, sums + count_marginals(accumulator)};
    for (int64_t i = 0; i < count_marginals(accumulator); i++) lossfn__exact_clear(&sums[i]);
    return LOSSFN_OK;
}

lossfn_status_t lossfn_accumulator_create(lossfn_accumulator_t **out, const lossfn_t *loss) {
    LOSSFN__REQUIRE(out && loss, LOSSFN_ERROR_ARGUMENT, "%s is NULL", out ? "loss" : "out");
    LOSSFN__REQUIRE(lossfn__reduces(loss->reduction), LOSSFN_ERROR_UNSUPPORTED,
                    "reduction %s leaves nothing to accumulate", loss->reduction == LOSSFN__NONE ? "none" : "per_row");
    for (int32_t k = 0; k < loss->n_terms; k++) {
        const lossfn_vtable_t *user = loss->terms[k].definition->user;
        LOSSFN__REQUIRE(!user || !user->run, LOSSFN_ERROR_UNSUPPORTED,
                        "%s computes by itself, so it cannot be accumulated", loss->terms[k].definition->name);
    }
    lossfn_accumulator_t *accumulator = lossfn__allocate(size_for(loss));
    LOSSFN__REQUIRE(accumulator != NULL, LOSSFN_ERROR_MEMORY, "out of memory for an accumulator");
    accumulator->loss = lossfn_retain((lossfn_t *)loss);
    accumulator->marginals = accumulator->added = (lossfn__marginal_sums_t){0, NULL};
    lossfn_accumulator_reset(accumulator);
    *out = accumulator;
    return LOSSFN_OK;
}

void lossfn_accumulator_destroy(lossfn_accumulator_t *accumulator) {
    if (!accumulator) return;
    lossfn_t *loss = accumulator->loss;
    drop_marginals(accumulator);
    lossfn__free(accumulator, size_for(loss));
    lossfn_destroy(loss);
}

void lossfn_accumulator_reset(lossfn_accumulator_t *accumulator) {
    if (!accumulator) return;
    drop_marginals(accumulator);
    for (int32_t k = 0; k < accumulator->loss->n_terms; k++) {
        lossfn__exact_clear(&accumulator->totals[k].sum);
        lossfn__exact_clear(&accumulator->totals[k].denominator);
        accumulator->totals[k].kept = 0;
    }
}

/* The number of kept units is whatever was read: it may wrap. */
LOSSFN__WRAPS static void add(lossfn_accumulator_t *accumulator, const lossfn__total_t *totals,
                              const lossfn__marginal_sums_t *marginals) {
    for (int32_t k = 0; k < accumulator->loss->n_terms; k++) {
        lossfn__exact_merge(&accumulator->totals[k].sum, &totals[k].sum);
        lossfn__exact_merge(&accumulator->totals[k].denominator, &totals[k].denominator);
        accumulator->totals[k].kept += totals[k].kept;
    }
    for (int64_t i = 0; marginals->classes && i < count_marginals(accumulator); i++)
        lossfn__exact_merge(&accumulator->marginals.sums[i], &marginals->sums[i]);
}

lossfn_status_t lossfn_accumulator_update(lossfn_accumulator_t *accumulator, lossfn_args_t *args) {
    LOSSFN__REQUIRE(accumulator != NULL, LOSSFN_ERROR_ARGUMENT, "accumulator is NULL");
    lossfn__total_t totals[LOSSFN__MAX_TERMS];
    /* what is no argument struct is for lossfn__run to refuse */
    const int is_struct = args && args->struct_size >= offsetof(lossfn_args_t, message);
    const int64_t classes = is_struct ? lossfn__marginal_classes(accumulator->loss, args) : 0;
    const int is_first = accumulator->marginals.classes == 0;
    LOSSFN__TRY(need_marginals(accumulator, classes));
    for (int64_t i = 0; i < count_marginals(accumulator); i++) lossfn__exact_clear(&accumulator->added.sums[i]);
    const lossfn_status_t status = lossfn__run(accumulator->loss, args, totals, classes ? &accumulator->added : NULL);
    if (status == LOSSFN_OK)
        add(accumulator, totals, &accumulator->added);
    else if (is_first)
        drop_marginals(accumulator);
    return status;
}

/* Handles are interchangeable if their specs are the same text. */
static lossfn_status_t require_same_spec(const lossfn_t *a, const lossfn_t *b) {
    if (a == b) return LOSSFN_OK;
    const int64_t first = lossfn_spec(a, NULL, 0) + 1, second = lossfn_spec(b, NULL, 0) + 1;
    const uint64_t size = (uint64_t)(first + second);
    char *texts = lossfn__allocate(size);
    LOSSFN__REQUIRE(texts != NULL, LOSSFN_ERROR_MEMORY, "out of memory for two specs");
    lossfn_spec(a, texts, first);
    lossfn_spec(b, texts + first, second);
    lossfn_status_t status = LOSSFN_OK;
    if (strcmp(texts, texts + first) != 0)
        status =
            lossfn__fail(LOSSFN_ERROR_ARGUMENT, "accumulators of different losses (%.200s and %.200s) cannot be merged",
                         texts, texts + first);
    lossfn__free(texts, size);
    return status;
}

lossfn_status_t lossfn_accumulator_merge(lossfn_accumulator_t *accumulator, const lossfn_accumulator_t *other) {
    LOSSFN__REQUIRE(accumulator && other, LOSSFN_ERROR_ARGUMENT, "%s is NULL", accumulator ? "other" : "accumulator");
    LOSSFN__TRY(require_same_spec(accumulator->loss, other->loss));
    LOSSFN__TRY(need_marginals(accumulator, other->marginals.classes));
    if (accumulator == other) { /* from a copy */
        lossfn__total_t twice[LOSSFN__MAX_TERMS];
        memcpy(twice, other->totals, (size_t)other->loss->n_terms * sizeof *twice);
        for (int64_t i = 0; i < count_marginals(other); i++) other->added.sums[i] = other->marginals.sums[i];
        add(accumulator, twice, &other->added);
    } else {
        add(accumulator, other->totals, &other->marginals);
    }
    return LOSSFN_OK;
}

/* Of all terms; `room` for the marginals. */
static double value_of(const lossfn_accumulator_t *accumulator, double *room, int *empty) {
    const lossfn_t *loss = accumulator->loss;
    double sum = 0;
    for (int32_t k = 0; k < loss->n_terms; k++) {
        double part = lossfn__reduce(loss, k, &accumulator->totals[k], &accumulator->marginals, room, empty);
        double coefficient = loss->terms[k].coefficient;
        sum = loss->n_terms == 1 && coefficient == 1 ? part : sum + coefficient * part;
    }
    return sum;
}

lossfn_status_t lossfn_accumulator_value(const lossfn_accumulator_t *accumulator, double *value, uint32_t *notes) {
    LOSSFN__REQUIRE(accumulator && value, LOSSFN_ERROR_ARGUMENT, "%s is NULL", accumulator ? "value" : "accumulator");
    const uint64_t bytes = 4 * (uint64_t)accumulator->marginals.classes * sizeof(double);
    double *room = bytes ? lossfn__allocate(bytes) : NULL;
    LOSSFN__REQUIRE(room || !bytes, LOSSFN_ERROR_MEMORY, "out of memory for the marginals of %lld classes",
                    (long long)accumulator->marginals.classes);
    int empty = 0;
    lossfn__fpenv_t saved;
    lossfn__fpenv_enter(&saved);
    *value = value_of(accumulator, room, &empty);
    lossfn__fpenv_leave(&saved);
    if (room) lossfn__free(room, bytes);
    if (notes) *notes = empty ? LOSSFN_NOTE_EMPTY : 0;
    return LOSSFN_OK;
}

lossfn_status_t lossfn_accumulator_parts(const lossfn_accumulator_t *accumulator, int32_t i, double *sum,
                                         double *denominator) {
    LOSSFN__REQUIRE(accumulator != NULL, LOSSFN_ERROR_ARGUMENT, "accumulator is NULL");
    LOSSFN__REQUIRE(i >= 0 && i < accumulator->loss->n_terms, LOSSFN_ERROR_ARGUMENT,
                    "component %d is wanted, there are %d", (int)i, (int)accumulator->loss->n_terms);
    if (sum) *sum = lossfn__exact_round(&accumulator->totals[i].sum);
    if (denominator)
        *denominator = lossfn__is_mean(accumulator->loss->reduction)
                           ? lossfn__exact_round(&accumulator->totals[i].denominator)
                           : 1;
    return LOSSFN_OK;
}

/* Bytes: "LFA1", length of the spec (4, little-endian), the spec, then per term: kept (8), sum, denominator. Of a loss
 * that takes marginals: the number of classes (8), 0 before there are any; the total weight, the sums of pred, those of
 * target. */
static const unsigned char magic[4] = {'L', 'F', 'A', '1'};

static void put(unsigned char *to, uint64_t x, int bytes) {
    for (int i = 0; i < bytes; i++) to[i] = (unsigned char)(x >> 8 * i);
}
static uint64_t get(const unsigned char *from, int bytes) {
    uint64_t x = 0;
    for (int i = 0; i < bytes; i++) x |= (uint64_t)from[i] << 8 * i;
    return x;
}

lossfn_status_t lossfn_accumulator_write(const lossfn_accumulator_t *accumulator, void *buf, int64_t cap,
                                         int64_t *length) {
    LOSSFN__REQUIRE(accumulator && length, LOSSFN_ERROR_ARGUMENT, "%s is NULL", accumulator ? "length" : "accumulator");
    LOSSFN__REQUIRE(buf || cap == 0, LOSSFN_ERROR_ARGUMENT, "buf is NULL, but cap is %lld", (long long)cap);
    const lossfn_t *loss = accumulator->loss;
    int64_t spec = lossfn_spec(loss, NULL, 0), needed = 8 + spec + 1;
    for (int32_t k = 0; k < loss->n_terms; k++)
        needed += 8 + (int64_t)lossfn__exact_write(&accumulator->totals[k].sum, NULL, 0) +
                  (int64_t)lossfn__exact_write(&accumulator->totals[k].denominator, NULL, 0);
    const int marginals = lossfn__takes_marginals(loss);
    if (marginals) needed += 8;
    for (int64_t i = 0; i < count_marginals(accumulator); i++)
        needed += (int64_t)lossfn__exact_write(&accumulator->marginals.sums[i], NULL, 0);
    *length = needed;
    if (cap < needed) return LOSSFN_OK;
    unsigned char *at = buf;
    memcpy(at, magic, 4);
    put(at + 4, (uint64_t)spec, 4);
    lossfn_spec(loss, (char *)at + 8, spec + 1);
    at += 8 + spec + 1;
    for (int32_t k = 0; k < loss->n_terms; k++) {
        put(at, accumulator->totals[k].kept, 8);
        at += 8;
        at += lossfn__exact_write(&accumulator->totals[k].sum, at, LOSSFN__EXACT_BYTES);
        at += lossfn__exact_write(&accumulator->totals[k].denominator, at, LOSSFN__EXACT_BYTES);
    }
    if (marginals) put(at, (uint64_t)accumulator->marginals.classes, 8), at += 8;
    for (int64_t i = 0; i < count_marginals(accumulator); i++)
        at += lossfn__exact_write(&accumulator->marginals.sums[i], at, LOSSFN__EXACT_BYTES);
    return LOSSFN_OK;
}

/* All that follows the spec. */
static lossfn_status_t read_sums(lossfn_accumulator_t *accumulator, const unsigned char *at, const unsigned char *end,
                                 long long length) {
    static const char damaged[] = "these %lld bytes are a damaged accumulator";
    for (int32_t k = 0; k < accumulator->loss->n_terms; k++) {
        lossfn__total_t *total = &accumulator->totals[k];
        lossfn__exact_t *parts[] = {&total->sum, &total->denominator};
        LOSSFN__REQUIRE(end - at >= 8, LOSSFN_ERROR_ARGUMENT, damaged, length);
        total->kept = get(at, 8), at += 8;
        for (int i = 0; i < 2; i++) {
            const size_t used = lossfn__exact_read(parts[i], at, (size_t)(end - at));
            LOSSFN__REQUIRE(used > 0, LOSSFN_ERROR_ARGUMENT, damaged, length);
            at += used;
        }
    }
    if (lossfn__takes_marginals(accumulator->loss)) {
        LOSSFN__REQUIRE(end - at >= 8, LOSSFN_ERROR_ARGUMENT, damaged, length);
        const uint64_t classes = get(at, 8);
        at += 8;
        /* each sum has a byte at least: so nobody is made to allocate for what is not there */
        LOSSFN__REQUIRE(classes <= (uint64_t)(end - at) / 2, LOSSFN_ERROR_ARGUMENT, damaged, length);
        /* rows that were kept had classes */
        for (int32_t k = 0; k < accumulator->loss->n_terms; k++)
            LOSSFN__REQUIRE(classes > 0 || accumulator->totals[k].kept == 0, LOSSFN_ERROR_ARGUMENT, damaged, length);
        LOSSFN__TRY(need_marginals(accumulator, (int64_t)classes));
        for (int64_t i = 0; i < count_marginals(accumulator); i++) {
            const size_t used = lossfn__exact_read(&accumulator->marginals.sums[i], at, (size_t)(end - at));
            LOSSFN__REQUIRE(used > 0, LOSSFN_ERROR_ARGUMENT, damaged, length);
            at += used;
        }
    }
    LOSSFN__REQUIRE(at == end, LOSSFN_ERROR_ARGUMENT, damaged, length);
    return LOSSFN_OK;
}

lossfn_status_t lossfn_accumulator_read(lossfn_accumulator_t **out, const void *buf, int64_t length) {
    LOSSFN__REQUIRE(out && (buf || length == 0), LOSSFN_ERROR_ARGUMENT, "%s is NULL", out ? "buf" : "out");
    const unsigned char *at = buf;
    uint64_t spec = length >= 9 ? get(at + 4, 4) : 0;
    LOSSFN__REQUIRE(length >= 9 && memcmp(at, magic, 4) == 0 && spec <= (uint64_t)length - 9 && at[8 + spec] == 0 &&
                        memchr(at + 8, 0, spec) == NULL,
                    LOSSFN_ERROR_ARGUMENT, "these %lld bytes are not an accumulator's", (long long)length);
    lossfn_t *loss;
    lossfn_accumulator_t *accumulator;
    LOSSFN__TRY(lossfn_create(&loss, (const char *)at + 8));
    lossfn_status_t status = lossfn_accumulator_create(&accumulator, loss);
    lossfn_destroy(loss);
    if (status != LOSSFN_OK) return status;
    status = read_sums(accumulator, at + 9 + spec, at + length, (long long)length);
    if (status == LOSSFN_OK)
        *out = accumulator;
    else
        lossfn_accumulator_destroy(accumulator);
    return status;
}
