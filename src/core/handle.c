/* SPDX-License-Identifier: MIT */
#include "core/loss.h"
#include "core/draft.h"
#include "core/memory.h"
#include "core/status.h"
#include "engine/fpenv.h"
#include "engine/isa.h"
#include <float.h>
#include <math.h>
#include <string.h>

static uint64_t handle_size(const lossfn__draft_t *draft) {
    uint64_t size = sizeof(lossfn_t) + (uint64_t)draft->n_terms * sizeof(lossfn__term_t);
    for (int32_t t = 0; t < draft->n_terms; t++)
        for (int32_t i = 0; i < LOSSFN__MAX_PARAMS; i++)
            size += (uint64_t)draft->terms[t].term.values[i].count * sizeof(double);
    return size;
}

/* Reads a list's elements into `memory` and returns what lies behind them. */
static double *fill_list(lossfn__value_t *value, const lossfn__given_t *given, double *memory) {
    int64_t at = 0;
    if (!value->count) return memory;
    value->list = memory;
    while (lossfn__next_element(given, &at, memory)) memory++;
    return memory;
}

static void make_constants(lossfn__term_t *term) {
    const lossfn__definition_t *d = term->definition;
    for (int32_t i = 0; i < d->n_params; i++) term->params[i] = term->values[i].number;
    if (d->setup) {
        d->setup(term->params, term->constants);
    } else {
        _Static_assert(LOSSFN__MAX_PARAMS <= LOSSFN__MAX_CONSTANTS, "parameters fit where constants are");
        for (int32_t i = 0; i < d->n_params; i++) term->constants[i] = term->params[i];
    }
}

static void fill_terms(lossfn_t *loss, const lossfn__draft_t *draft) {
    double *memory = (double *)(loss->terms + draft->n_terms);
    loss->n_terms = draft->n_terms;
    loss->unit = LOSSFN_UNIT_ELEMENT;
    for (int32_t t = 0; t < draft->n_terms; t++) {
        lossfn__term_t *term = &loss->terms[t];
        *term = draft->terms[t].term;
        for (int32_t i = 0; i < term->definition->n_params; i++)
            memory = fill_list(&term->values[i], &draft->terms[t].lists[i], memory);
        make_constants(term);
        if (term->definition->unit == LOSSFN_UNIT_ROW) loss->unit = LOSSFN_UNIT_ROW;
        if (term->definition->n_inputs <= loss->n_inputs) continue;
        loss->n_inputs = term->definition->n_inputs;
        loss->inputs = term->definition->inputs;
    }
}

static void fill_commons(lossfn_t *loss, const lossfn__commons_t *c) {
    loss->reduction = (int32_t)c->value[LOSSFN__REDUCTION];
    loss->axis = (int32_t)c->value[LOSSFN__AXIS];
    loss->has_ignore_index = c->has_ignore_index;
    loss->ignore_index = c->value[LOSSFN__IGNORE_INDEX];
    loss->label_base = c->value[LOSSFN__LABEL_BASE];
    loss->nan_policy = (int32_t)c->value[LOSSFN__NAN_POLICY];
    loss->domain_error = (int32_t)c->value[LOSSFN__DOMAIN];
    loss->empty_zero = (int32_t)c->value[LOSSFN__EMPTY];
    memcpy(loss->common_set, c->set, LOSSFN__COMMONS);
}

static void read_commons(const lossfn_t *loss, lossfn__commons_t *c) {
    *c = (lossfn__commons_t){.value = {loss->reduction, loss->axis, loss->ignore_index, loss->label_base,
                                       loss->nan_policy, loss->domain_error, loss->empty_zero},
                             .has_ignore_index = (uint8_t)loss->has_ignore_index};
    memcpy(c->set, loss->common_set, LOSSFN__COMMONS);
}

static void fill_constant_inputs(lossfn__term_t *term) {
    const lossfn__definition_t *d = term->definition;
    for (int32_t j = 0; j < d->n_inputs; j++) {
        term->constant_inputs[j] = 0;
        for (int32_t i = 0; d->inputs[j].learnable && i < d->n_params; i++)
            if (d->params[i].learnable && strcmp(d->params[i].name, d->inputs[j].name) == 0)
                term->constant_inputs[j] = term->values[i].number;
    }
}

/* The same bits, so that a minus zero that differs from the default is kept. */
static int is_default(const lossfn__param_t *param, const lossfn__value_t *value) {
    lossfn__value_t initial;
    if (param->type == LOSSFN_PARAM_LIST) return !value->list;
    lossfn__default_value(param, &initial);
    /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
    return value->integer == initial.integer && memcmp(&value->number, &initial.number, sizeof initial.number) == 0;
}

static int has_defaults(const lossfn__term_t *term) {
    const lossfn__definition_t *d = term->definition;
    for (int32_t i = 0; i < d->n_params; i++)
        if (!is_default(&d->params[i], &term->values[i])) return 0;
    return 1;
}

static int has_list(const lossfn__term_t *term, int32_t parameter) {
    return parameter >= 0 && term->values[parameter].list;
}

/* One built-in loss, reduced to one number, that looks at no data but labels beforehand. */
static int is_direct(const lossfn_t *loss) {
    const lossfn__term_t *term = &loss->terms[0];
    return loss->n_terms == 1 && term->coefficient == 1 && !term->definition->user && !term->definition->outer &&
           !term->definition->whole_rows && loss->reduction != LOSSFN__NONE && loss->reduction != LOSSFN__PER_ROW &&
           loss->reduction != LOSSFN__MEAN_ROWS && loss->nan_policy == LOSSFN__NAN_PROPAGATE && !loss->domain_error &&
           !(loss->n_inputs > 1 && loss->inputs[1].scale == LOSSFN_SCALE_MARGIN_LABEL) &&
           !has_list(term, term->class_weight) && !has_list(term, term->class_mask);
}

static int beyond_float(double x) {
    return x != 0 && isfinite(x) && !(fabs(x) >= (double)FLT_MIN && fabs(x) <= (double)FLT_MAX);
}

/* Parameters are doubles: where float would make nothing or infinity of one, calls compute in double. */
static int needs_double(const lossfn_t *loss) {
    int needed = 0;
    for (int32_t t = 0; t < loss->n_terms; t++) {
        const lossfn__term_t *term = &loss->terms[t];
        needed |= beyond_float(term->coefficient);
        for (int32_t i = 0; i < term->definition->n_params; i++) {
            const lossfn__value_t *value = &term->values[i];
            needed |= term->definition->params[i].type == LOSSFN_PARAM_DOUBLE && beyond_float(value->number);
            for (int64_t k = 0; k < value->count; k++) needed |= beyond_float(value->list[k]);
        }
        for (int32_t i = 0; i < LOSSFN__MAX_CONSTANTS; i++) /* what is left of one may be tiny */
            needed |= isfinite(term->constants[i]) && fabs(term->constants[i]) > (double)FLT_MAX;
    }
    return needed;
}

/* Turns a draft into a loss, which takes over its references. */
static lossfn_status_t build(lossfn_t **out, const lossfn__draft_t *draft) {
    uint64_t size = handle_size(draft);
    LOSSFN__TRY(lossfn__draft_check(draft));
    lossfn_t *loss = lossfn__allocate(size);
    LOSSFN__REQUIRE(loss, LOSSFN_ERROR_MEMORY, "out of memory: the loss needs %llu bytes", (unsigned long long)size);
    loss->size = size;
    fill_terms(loss, draft);
    fill_commons(loss, &draft->commons);
    for (int32_t t = 0; t < loss->n_terms; t++) {
        fill_constant_inputs(&loss->terms[t]);
        loss->terms[t].is_default = has_defaults(&loss->terms[t]);
    }
    loss->is_direct = is_direct(loss);
    loss->needs_double = needs_double(loss);
    atomic_init(&loss->references, 1);
    atomic_init(&loss->pace, 0.0);
    *out = loss;
    return LOSSFN_OK;
}

static lossfn_status_t describe_and_build(lossfn_t **out, const char *spec, lossfn__draft_t *draft,
                                          const lossfn_options_t *options) {
    const char *problem = lossfn__isa_problem();
    LOSSFN__REQUIRE(!problem, LOSSFN_ERROR_UNSUPPORTED, "%s", problem);
    if (spec) LOSSFN__TRY(lossfn__parse_spec(draft, spec));
    LOSSFN__TRY(lossfn__draft_apply(draft, options));
    return build(out, draft);
}

/* Bounds are compared and constants made under the default control word, so that they are the same for every caller. */
static lossfn_status_t create(lossfn_t **out, const char *spec, lossfn__draft_t *draft,
                              const lossfn_options_t *options) {
    lossfn__fpenv_t saved;
    lossfn__fpenv_enter(&saved);
    lossfn_status_t status = describe_and_build(out, spec, draft, options);
    lossfn__fpenv_leave(&saved);
    if (status != LOSSFN_OK) lossfn__draft_release(draft);
    return status;
}

lossfn_status_t lossfn__create(lossfn_t **out, const char *spec, const lossfn_options_t *options) {
    lossfn__draft_t draft;
    lossfn__draft_init(&draft);
    return create(out, spec, &draft, options);
}

lossfn_status_t lossfn__create_anonymous(lossfn_t **out, lossfn__registration_t *registration,
                                         const lossfn_options_t *options) {
    lossfn__draft_t draft;
    lossfn__draft_init(&draft);
    lossfn__draft_add(&draft, 1, lossfn__registration_definition(registration));
    return create(out, NULL, &draft, options);
}

lossfn_status_t lossfn__replace(lossfn_t **out, const lossfn_t *loss, const lossfn_options_t *options) {
    lossfn__draft_t draft;
    lossfn__commons_t commons;
    read_commons(loss, &commons);
    lossfn__draft_init(&draft);
    lossfn__draft_copy(&draft, loss, &commons);
    return create(out, NULL, &draft, options);
}

void lossfn__destroy(lossfn_t *loss) {
    if (!loss) return;
    if (atomic_fetch_sub_explicit(&loss->references, 1, memory_order_acq_rel) != 1) return;
    for (int32_t t = 0; t < loss->n_terms; t++) lossfn__definition_release(loss->terms[t].definition);
    lossfn__free(loss, loss->size);
}

/* ---- Canonical text ---------------------------------------------------------------------------------------------- */

static void put_key(lossfn__writer_t *out, int *first, const char *key) {
    lossfn__put(out, *first ? "(" : ", ");
    lossfn__put(out, key);
    lossfn__put(out, "=");
    *first = 0;
}

/* A learnable constant that was given is part of the handle even when it is the default: giving the input as well is
 * then an error. Common options stand in the first term. */
static void put_settings(lossfn__writer_t *out, const lossfn__term_t *term, const lossfn__commons_t *commons) {
    const lossfn__definition_t *d = term->definition;
    int first = 1;
    for (int32_t i = 0; i < d->n_params; i++) {
        const lossfn__value_t *value = &term->values[i];
        if (is_default(&d->params[i], value) && !(d->params[i].learnable && value->is_set)) continue;
        put_key(out, &first, d->params[i].name);
        lossfn__put_value(out, &d->params[i], value);
    }
    for (int32_t i = 0; commons && i < LOSSFN__COMMONS; i++) {
        if (lossfn__common_is_default(commons, i)) continue;
        put_key(out, &first, lossfn__common_param(i)->name);
        lossfn__put_common(out, commons, i);
    }
    if (!first) lossfn__put(out, ")");
}

static void put_coefficient(lossfn__writer_t *out, double coefficient, int first) {
    int negative = coefficient < 0;
    double magnitude = negative ? -coefficient : coefficient;
    if (first) {
        lossfn__put(out, negative ? "-" : "");
    } else {
        lossfn__put(out, negative ? " - " : " + ");
    }
    if (magnitude == 1) return;
    lossfn__put_double(out, magnitude);
    lossfn__put(out, "*");
}

void lossfn__put_spec(lossfn__writer_t *out, const lossfn_t *loss) {
    lossfn__commons_t commons;
    read_commons(loss, &commons);
    for (int32_t t = 0; t < loss->n_terms; t++) {
        put_coefficient(out, loss->terms[t].coefficient, t == 0);
        lossfn__put(out, loss->terms[t].definition->name);
        put_settings(out, &loss->terms[t], t == 0 ? &commons : NULL);
    }
}

/* ---- Reading back ------------------------------------------------------------------------------------------------ */

/* The only term that has the parameter. */
static lossfn_status_t find_own(const lossfn_t *loss, const char *key, const lossfn__term_t **term, int32_t *param) {
    *term = NULL;
    for (int32_t t = 0; t < loss->n_terms; t++) {
        const lossfn__definition_t *d = loss->terms[t].definition;
        for (int32_t i = 0; i < d->n_params; i++) {
            if (strcmp(d->params[i].name, key) != 0) continue;
            LOSSFN__REQUIRE(!*term, LOSSFN_ERROR_PARAMETER, "%s is a parameter of several terms of the sum", key);
            *term = &loss->terms[t], *param = i;
        }
    }
    LOSSFN__REQUIRE(*term, LOSSFN_ERROR_NOT_FOUND, "%s has no parameter '%s'",
                    loss->n_terms == 1 ? loss->terms[0].definition->name : "the sum", key);
    return LOSSFN_OK;
}

lossfn_status_t lossfn__get_text(const lossfn_t *loss, const char *key, lossfn__writer_t *out) {
    int32_t common = lossfn__find_common(lossfn__piece(key)), param = 0;
    const lossfn__term_t *term;
    lossfn__commons_t commons;
    if (common >= 0) {
        read_commons(loss, &commons);
        lossfn__put_common(out, &commons, common);
        return LOSSFN_OK;
    }
    LOSSFN__TRY(find_own(loss, key, &term, &param));
    lossfn__put_value(out, &term->definition->params[param], &term->values[param]);
    return LOSSFN_OK;
}

static lossfn_status_t no_number(const char *key, const char *what) {
    return lossfn__fail(LOSSFN_ERROR_PARAMETER, "%s is %s, not a number", key, what);
}

static lossfn_status_t get_common_double(const lossfn_t *loss, int32_t i, double *out) {
    lossfn__commons_t commons;
    read_commons(loss, &commons);
    const lossfn__param_t *param = lossfn__common_param(i);
    if (param->type != LOSSFN_PARAM_INT) return no_number(param->name, "a word");
    if (i == LOSSFN__IGNORE_INDEX && !commons.has_ignore_index) return no_number(param->name, "none");
    *out = (double)commons.value[i];
    return LOSSFN_OK;
}

lossfn_status_t lossfn__get_double(const lossfn_t *loss, const char *key, double *out) {
    int32_t common = lossfn__find_common(lossfn__piece(key)), param = 0;
    const lossfn__term_t *term;
    if (common >= 0) return get_common_double(loss, common, out);
    LOSSFN__TRY(find_own(loss, key, &term, &param));
    int32_t type = term->definition->params[param].type;
    if (type == LOSSFN_PARAM_LIST) return no_number(key, "a list");
    if (type == LOSSFN_PARAM_CHOICE) return no_number(key, "a word");
    *out = term->values[param].number;
    return LOSSFN_OK;
}
