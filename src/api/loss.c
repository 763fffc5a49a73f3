/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stddef.h>
#include "core/loss.h"
#include "core/status.h"

/* ---- Handles ----------------------------------------------------------------------------------------------------- */

lossfn_status_t lossfn_create(lossfn_t **out, const char *spec) { return lossfn_create_options(out, spec, NULL); }

lossfn_status_t lossfn_create_msg(lossfn_t **out, const char *spec, char *buf, int64_t cap) {
    lossfn_status_t status = lossfn_create(out, spec);
    if (status != LOSSFN_OK) {
        lossfn__copy_message(buf, cap);
    } else if (buf && cap > 0) {
        buf[0] = 0;
    }
    return status;
}

lossfn_status_t lossfn_create_options(lossfn_t **out, const char *spec, const lossfn_options_t *options) {
    LOSSFN__REQUIRE(out, LOSSFN_ERROR_ARGUMENT, "out is NULL");
    LOSSFN__REQUIRE(spec, LOSSFN_ERROR_ARGUMENT, "spec is NULL");
    return lossfn__create(out, spec, options);
}

lossfn_status_t lossfn_replace(lossfn_t **out, const lossfn_t *loss, const lossfn_options_t *options) {
    LOSSFN__REQUIRE(out && loss, LOSSFN_ERROR_ARGUMENT, "%s is NULL", !out ? "out" : "loss");
    return lossfn__replace(out, loss, options);
}

lossfn_t *lossfn_retain(lossfn_t *loss) {
    if (loss) atomic_fetch_add_explicit(&loss->references, 1, memory_order_relaxed);
    return loss;
}

void lossfn_destroy(lossfn_t *loss) { lossfn__destroy(loss); }

/* ---- Reading back ------------------------------------------------------------------------------------------------ */

int64_t lossfn_spec(const lossfn_t *loss, char *buf, int64_t cap) {
    lossfn__writer_t out = {buf, cap, 0};
    lossfn__put(&out, "");
    if (loss) lossfn__put_spec(&out, loss);
    return out.length;
}

const char *lossfn_name(const lossfn_t *loss) {
    if (!loss) return NULL;
    return loss->n_terms == 1 ? loss->terms[0].definition->name : "sum";
}

int32_t lossfn_unit(const lossfn_t *loss) { return loss ? loss->unit : 0; }

int32_t lossfn_input_count(const lossfn_t *loss) { return loss ? loss->n_inputs : 0; }

const char *lossfn_input_name(const lossfn_t *loss, int32_t i) {
    return loss && i >= 0 && i < loss->n_inputs ? loss->inputs[i].name : NULL;
}

int32_t lossfn_component_count(const lossfn_t *loss) { return loss ? loss->n_terms : 0; }

static const lossfn__term_t *term_at(const lossfn_t *loss, int32_t i) {
    return loss && i >= 0 && i < loss->n_terms ? &loss->terms[i] : NULL;
}

double lossfn_component_coefficient(const lossfn_t *loss, int32_t i) {
    const lossfn__term_t *term = term_at(loss, i);
    return term ? term->coefficient : NAN;
}

const char *lossfn_component_name(const lossfn_t *loss, int32_t i) {
    const lossfn__term_t *term = term_at(loss, i);
    return term ? term->definition->name : NULL;
}

lossfn_status_t lossfn_get_double(const lossfn_t *loss, const char *key, double *out) {
    LOSSFN__REQUIRE(loss && key && out, LOSSFN_ERROR_ARGUMENT, "%s is NULL", !loss ? "loss" : !key ? "key" : "out");
    return lossfn__get_double(loss, key, out);
}

lossfn_status_t lossfn_get_text(const lossfn_t *loss, const char *key, char *buf, int64_t cap, int64_t *length) {
    lossfn__writer_t out = {buf, cap, 0};
    LOSSFN__REQUIRE(loss && key, LOSSFN_ERROR_ARGUMENT, "%s is NULL", !loss ? "loss" : "key");
    LOSSFN__TRY(lossfn__get_text(loss, key, &out));
    if (length) *length = out.length;
    return LOSSFN_OK;
}

/* ---- Options ----------------------------------------------------------------------------------------------------- */

lossfn_status_t lossfn_options_create(lossfn_options_t **out) {
    LOSSFN__REQUIRE(out, LOSSFN_ERROR_ARGUMENT, "out is NULL");
    return lossfn__options_create(out);
}

void lossfn_options_destroy(lossfn_options_t *options) { lossfn__options_destroy(options); }

static lossfn_status_t set(lossfn_options_t *options, const char *key, const lossfn__given_t *given) {
    LOSSFN__REQUIRE(options && key, LOSSFN_ERROR_ARGUMENT, "%s is NULL", !options ? "options" : "key");
    return lossfn__options_set(options, key, given);
}

lossfn_status_t lossfn_options_set_default(lossfn_options_t *options, const char *key) {
    return set(options, key, &(lossfn__given_t){.kind = LOSSFN__GIVEN_DEFAULT});
}

lossfn_status_t lossfn_options_set_double(lossfn_options_t *options, const char *key, double value) {
    lossfn__given_t given;
    lossfn__given_from_double(&given, value);
    return set(options, key, &given);
}

lossfn_status_t lossfn_options_set_int(lossfn_options_t *options, const char *key, int64_t value) {
    lossfn__given_t given;
    lossfn__given_from_integer(&given, value);
    return set(options, key, &given);
}

lossfn_status_t lossfn_options_set_bool(lossfn_options_t *options, const char *key, int32_t value) {
    lossfn__given_t given;
    lossfn__given_from_bool(&given, value);
    return set(options, key, &given);
}

lossfn_status_t lossfn_options_set_string(lossfn_options_t *options, const char *key, const char *value) {
    LOSSFN__REQUIRE(value, LOSSFN_ERROR_ARGUMENT, "value is NULL");
    lossfn__given_t given = {.kind = LOSSFN__GIVEN_WORD, .text = lossfn__piece(value)};
    return set(options, key, &given);
}

lossfn_status_t lossfn_options_set_doubles(lossfn_options_t *options, const char *key, const double *values,
                                           int64_t n) {
    lossfn__given_t given = {.kind = LOSSFN__GIVEN_LIST, .list = values, .count = n};
    LOSSFN__REQUIRE(n >= 0, LOSSFN_ERROR_ARGUMENT, "n is %lld, must be >= 0", (long long)n);
    LOSSFN__REQUIRE(values || n == 0, LOSSFN_ERROR_ARGUMENT, "values is NULL, n is %lld", (long long)n);
    return set(options, key, &given);
}
