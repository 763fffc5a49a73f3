/* SPDX-License-Identifier: MIT
 * What the stress tests share: a valid batch for any loss, on pages of its own. */
#ifndef LOSSFN_TESTS_STRESS_COMMON_H
#define LOSSFN_TESTS_STRESS_COMMON_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lossfn/extend.h"

/* n bytes that end (or begin) at a page that cannot be touched. */
typedef struct {
    char *map, *data;
    size_t map_size, size, page;
} guarded_t;

static inline guarded_t guarded(size_t n, int at_end) {
    guarded_t g = {.size = n, .page = (size_t)sysconf(_SC_PAGESIZE)};
    size_t room = (n + g.page - 1) / g.page * g.page + (n == 0 ? g.page : 0);
    g.map_size = room + 2 * g.page;
    g.map = mmap(NULL, g.map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g.map != MAP_FAILED);
    assert_int_equal(mprotect(g.map, g.page, PROT_NONE), 0);
    assert_int_equal(mprotect(g.map + g.page + room, g.page, PROT_NONE), 0);
    g.data = g.map + g.page + (at_end ? room - n : 0);
    return g;
}

static inline void freeze(const guarded_t *g) {
    assert_int_equal(mprotect(g->map + g->page, g->map_size - 2 * g->page, PROT_READ), 0);
}

static inline void release(guarded_t *g) { munmap(g->map, g->map_size); }

static inline uint32_t lcg(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* A valid number for an input of this scale. */
static inline double sample(int32_t scale, uint32_t *state) {
    double u = (lcg(state) % 1000) / 1000.0;
    switch (scale) {
    case LOSSFN_SCALE_PROBABILITY:
        return 0.05 + 0.9 * u;
    case LOSSFN_SCALE_LABEL:
        return 0.05 + 0.9 * u;
    case LOSSFN_SCALE_MARGIN_LABEL:
        return u < 0.5 ? -1 : 1;
    case LOSSFN_SCALE_POSITIVE:
        return 0.5 + u;
    case LOSSFN_SCALE_COUNT:
        return (double)(lcg(state) % 7);
    default:
        return 4 * u - 2;
    }
}

static inline lossfn_input_info_t input_of(const char *name, int32_t i) {
    lossfn_input_info_t input = {.struct_size = sizeof input};
    assert_int_equal(lossfn_describe_input(name, i, &input), LOSSFN_OK);
    return input;
}

static inline lossfn_info_t info_of(const char *name) {
    lossfn_info_t info = {.struct_size = sizeof info};
    assert_int_equal(lossfn_describe(name, &info), LOSSFN_OK);
    return info;
}

static inline lossfn_t *make(const char *spec) {
    lossfn_t *loss = NULL;
    if (lossfn_create(&loss, spec) != LOSSFN_OK) fail_msg("%s: %s", spec, lossfn_last_error());
    return loss;
}

static inline void succeed(lossfn_status_t status) {
    if (status != LOSSFN_OK) fail_msg("%s", lossfn_last_error());
}

/* Inputs of a loss over rows x cols in plain memory, with a weight and a mask, and all outputs. */
typedef struct {
    const char *name;
    lossfn_info_t info;
    int32_t dtype;
    int64_t shape[2], row_shape[1];
    void *data[8], *grad_data[8], *values_data, *hess_data, *weight_data, *mask_data;
    lossfn_tensor_t inputs[8], grads[8], values, hess, weight, mask;
    double value, sum, denom;
    lossfn_args_t args;
    size_t item, bytes, unit_bytes;
} batch_t;

static inline void *plain_room(size_t n) { return calloc(1, n ? n : 1); }

/* The upper half of a float, or a normal number of half precision; digits are cut off. */
static inline uint16_t half_of(int32_t dtype, double x) {
    const float narrow = (float)x;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    if (dtype == LOSSFN_BF16) return (uint16_t)(bits >> 16);
    const uint32_t exponent = bits >> 23 & 0xff;
    if (exponent < 113) return (uint16_t)(bits >> 16 & 0x8000); /* 0 */
    return (uint16_t)((bits >> 16 & 0x8000) | (exponent - 112) << 10 | (bits >> 13 & 0x3ff));
}

static inline void put(void *data, int32_t dtype, size_t i, double x) {
    if (dtype == LOSSFN_F64)
        ((double *)data)[i] = x;
    else if (dtype != LOSSFN_F32)
        ((uint16_t *)data)[i] = half_of(dtype, x);
    else
        ((float *)data)[i] = (float)x;
}

/* Describes the batch on memory that is already there (data[], grad_data[], ... set). */
static inline void batch_point(batch_t *b) {
    int row = b->info.unit == LOSSFN_UNIT_ROW;
    lossfn_args_init(&b->args);
    b->args.n_inputs = b->info.n_inputs;
    for (int32_t i = 0; i < b->info.n_inputs; i++) {
        const int32_t ndim = input_of(b->name, i).per_row ? 1 : 2;
        succeed(lossfn_tensor_init_const(&b->inputs[i], b->data[i], b->dtype, ndim, b->shape));
        b->args.inputs[i] = &b->inputs[i];
        if (!input_of(b->name, i).differentiable) continue;
        succeed(lossfn_tensor_init(&b->grads[i], b->grad_data[i], b->dtype, ndim, b->shape));
        b->args.grads[i] = &b->grads[i];
    }
    succeed(lossfn_tensor_init(&b->values, b->values_data, b->dtype, row ? 1 : 2, b->shape));
    succeed(lossfn_tensor_init(&b->hess, b->hess_data, b->dtype, 2, b->shape));
    succeed(lossfn_tensor_init_const(&b->weight, b->weight_data, b->dtype, row ? 1 : 2, b->shape));
    succeed(lossfn_tensor_init_const(&b->mask, b->mask_data, LOSSFN_U8, row ? 1 : 2, b->shape));
    b->args.values = &b->values;
    if (b->info.hess_kinds) b->args.hess = &b->hess;
    b->args.weight = &b->weight;
    b->args.mask = &b->mask;
    b->args.value = &b->value;
    b->args.sum = &b->sum;
    b->args.denom = &b->denom;
}

static inline void batch_make(batch_t *b, const char *name, int32_t dtype, int64_t rows, int64_t cols) {
    uint32_t state = 7;
    memset(b, 0, sizeof *b);
    b->name = name;
    b->info = info_of(name);
    b->dtype = dtype;
    b->shape[0] = rows, b->shape[1] = cols;
    size_t n = (size_t)(rows * cols), units = b->info.unit == LOSSFN_UNIT_ROW ? (size_t)rows : n;
    b->item = (size_t)lossfn_dtype_size(dtype);
    b->bytes = n * b->item;
    b->unit_bytes = units * b->item;
    for (int32_t i = 0; i < b->info.n_inputs; i++) {
        int32_t scale = input_of(name, i).scale;
        b->data[i] = plain_room(b->bytes);
        b->grad_data[i] = plain_room(b->bytes);
        for (size_t j = 0; j < n; j++) put(b->data[i], dtype, j, sample(scale, &state));
        for (size_t j = 0; input_of(name, i).per_row && j < n; j++) put(b->data[i], dtype, j, 0); /* in every domain */
        if (!strcmp(input_of(name, i).name, "alpha"))
            for (size_t j = 0; j < n; j++) put(b->data[i], dtype, j, 0.5 + (double)(j % 3) * 0.4);
    }
    b->values_data = plain_room(b->unit_bytes);
    b->hess_data = plain_room(b->bytes);
    b->weight_data = plain_room(b->unit_bytes);
    b->mask_data = plain_room(units);
    for (size_t j = 0; j < units; j++) {
        put(b->weight_data, dtype, j, (double)(lcg(&state) % 3));
        ((uint8_t *)b->mask_data)[j] = lcg(&state) % 4 != 0;
    }
    batch_point(b);
}

static inline void batch_free(batch_t *b) {
    for (int i = 0; i < 8; i++) free(b->data[i]), free(b->grad_data[i]);
    free(b->values_data), free(b->hess_data), free(b->weight_data), free(b->mask_data);
}

/* A digest of everything that a call wrote. */
static inline uint64_t batch_digest(const batch_t *b) {
    uint64_t h = 1469598103934665603u;
    const void *parts[13] = {b->values_data, b->hess_data, &b->value, &b->sum, &b->denom};
    size_t sizes[13] = {b->unit_bytes, b->bytes, 8, 8, 8};
    for (int i = 0; i < 8; i++)
        if (b->grad_data[i]) parts[5 + i] = b->grad_data[i], sizes[5 + i] = b->bytes;
    for (int k = 0; k < 13; k++)
        for (size_t i = 0; i < sizes[k]; i++) h = (h ^ ((const unsigned char *)parts[k])[i]) * 1099511628211u;
    return h;
}

#endif
