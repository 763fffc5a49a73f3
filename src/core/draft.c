/* SPDX-License-Identifier: MIT */
#include "core/draft.h"
#include "core/registry.h"
#include "core/status.h"
#include <string.h>

void lossfn__draft_init(lossfn__draft_t *draft) {
    draft->n_terms = draft->is_copy = 0;
    lossfn__default_commons(&draft->commons);
}

static int32_t find_param(const lossfn__definition_t *d, lossfn__piece_t key) {
    for (int32_t i = 0; i < d->n_params; i++)
        if (lossfn__equal(key, d->params[i].name)) return i;
    return -1;
}

void lossfn__draft_add(lossfn__draft_t *draft, double coefficient, const lossfn__definition_t *d) {
    lossfn__draft_term_t *added = &draft->terms[draft->n_terms++];
    lossfn__term_t *term = &added->term;
    memset(term, 0, sizeof *term); /* lists[] are read only where values[] count elements */
    added->own_seen = added->common_seen = 0;
    term->coefficient = coefficient;
    term->definition = d;
    term->class_weight = find_param(d, lossfn__piece("class_weight"));
    term->class_mask = find_param(d, lossfn__piece("class_mask"));
    term->label_smoothing = find_param(d, lossfn__piece("label_smoothing"));
    term->labels = find_param(d, lossfn__piece("labels"));
    for (int32_t i = 0; i < d->n_params; i++) lossfn__default_value(&d->params[i], &term->values[i]);
}

void lossfn__draft_copy(lossfn__draft_t *draft, const lossfn_t *loss, const lossfn__commons_t *commons) {
    draft->is_copy = 1;
    draft->commons = *commons;
    for (int32_t t = 0; t < loss->n_terms; t++) {
        const lossfn__term_t *term = &loss->terms[t];
        lossfn__definition_retain(term->definition);
        lossfn__draft_add(draft, term->coefficient, term->definition);
        lossfn__draft_term_t *added = &draft->terms[t];
        memcpy(added->term.values, term->values, sizeof term->values);
        for (int32_t i = 0; i < term->definition->n_params; i++)
            if (term->values[i].count)
                added->lists[i] = (lossfn__given_t){
                    .kind = LOSSFN__GIVEN_LIST, .list = term->values[i].list, .count = term->values[i].count};
    }
}

void lossfn__draft_release(lossfn__draft_t *draft) {
    for (int32_t i = 0; i < draft->n_terms; i++) lossfn__definition_release(draft->terms[i].term.definition);
    draft->n_terms = 0;
}

/* ---- Keys -------------------------------------------------------------------------------------------------------- */

static const char *draft_name(const lossfn__draft_t *draft) {
    return draft->n_terms == 1 ? draft->terms[0].term.definition->name : "the sum";
}

/* An unknown key of term `from` and the following ones up to `to`. */
static lossfn_status_t unknown_key(const lossfn__draft_t *draft, int32_t from, int32_t to, lossfn__piece_t key) {
    const char *name = to - from == 1 ? draft->terms[from].term.definition->name : draft_name(draft);
    const char *hint = lossfn__key_hint(name, key);
    lossfn__nearest_t nearest;
    char copy[64];
    lossfn__writer_t out = {copy, sizeof copy, 0};
    lossfn__put_bytes(&out, key.text, key.length);
    if (hint)
        return lossfn__fail(LOSSFN_ERROR_NOT_FOUND, "%s has no parameter '%.*s'; %s", name, LOSSFN__PRINT(key), hint);
    lossfn__nearest_start(&nearest, key);
    for (int32_t t = from; t < to; t++) {
        const lossfn__definition_t *d = draft->terms[t].term.definition;
        for (int32_t i = 0; i < d->n_params; i++) lossfn__nearest_offer(&nearest, lossfn__piece(d->params[i].name));
    }
    for (int32_t i = 0; i < LOSSFN__COMMONS; i++)
        lossfn__nearest_offer(&nearest, lossfn__piece(lossfn__common_param(i)->name));
    if (!lossfn__nearest_found(&nearest) && lossfn__is_reserved(copy))
        return lossfn__fail(LOSSFN_ERROR_NOT_FOUND, "%s has no parameter '%s'; it is an argument of the call", name,
                            copy);
    const int32_t of_parameters = nearest.distance;
    lossfn__offer_call_arguments(&nearest);
    if (lossfn__nearest_found(&nearest))
        return lossfn__fail(LOSSFN_ERROR_NOT_FOUND, "%s has no parameter '%.*s'; the nearest is '%.*s'%s", name,
                            LOSSFN__PRINT(key), LOSSFN__PRINT(nearest.best),
                            nearest.distance < of_parameters ? ", an argument of the call" : "");
    return lossfn__fail(LOSSFN_ERROR_NOT_FOUND, "%s has no parameter '%.*s'", name, LOSSFN__PRINT(key));
}

static lossfn_status_t set_own(lossfn__draft_term_t *to, int32_t i, const lossfn__given_t *given) {
    LOSSFN__TRY(lossfn__set_value(&to->term.definition->params[i], given, &to->term.values[i]));
    to->lists[i] = *given;
    return LOSSFN_OK;
}

/* The terms of a sum share the common options: any may give one, but not different ones. */
static lossfn_status_t set_shared(lossfn__draft_t *draft, int32_t i, const lossfn__given_t *given) {
    lossfn__commons_t before = draft->commons;
    LOSSFN__TRY(lossfn__set_common(&draft->commons, i, given));
    LOSSFN__REQUIRE(!before.set[i] || lossfn__common_equal(&before, &draft->commons, i), LOSSFN_ERROR_PARAMETER,
                    "%s differs between the terms of the sum, which share it", lossfn__common_param(i)->name);
    draft->commons.set[i] = given->kind != LOSSFN__GIVEN_DEFAULT;
    return LOSSFN_OK;
}

lossfn_status_t lossfn__draft_set(lossfn__draft_t *draft, lossfn__piece_t key, const lossfn__given_t *given) {
    lossfn__draft_term_t *last = &draft->terms[draft->n_terms - 1];
    int32_t own = find_param(last->term.definition, key), common = own < 0 ? lossfn__find_common(key) : -1;
    if (own < 0 && common < 0) return unknown_key(draft, draft->n_terms - 1, draft->n_terms, key);
    uint32_t *seen = own >= 0 ? &last->own_seen : &last->common_seen, bit = 1u << (own >= 0 ? own : common);
    LOSSFN__REQUIRE(!(*seen & bit), LOSSFN_ERROR_SPEC, "%.*s is given twice in %s", LOSSFN__PRINT(key),
                    last->term.definition->name);
    *seen |= bit;
    return own >= 0 ? set_own(last, own, given) : set_shared(draft, common, given);
}

static lossfn_status_t already_in_spec(const char *key) {
    return lossfn__fail(LOSSFN_ERROR_PARAMETER, "%s is given in the spec and in the options", key);
}

static lossfn_status_t apply_common(lossfn__draft_t *draft, int32_t i, const lossfn__option_t *option) {
    if (draft->commons.set[i] && !draft->is_copy) return already_in_spec(option->key);
    draft->commons.set[i] = 0;
    return set_shared(draft, i, &option->given);
}

static lossfn_status_t apply_option(lossfn__draft_t *draft, const lossfn__option_t *option) {
    lossfn__piece_t key = lossfn__piece(option->key);
    int32_t common = lossfn__find_common(key), found = -1, param = -1;
    if (common >= 0) return apply_common(draft, common, option);
    for (int32_t t = 0; t < draft->n_terms; t++) {
        int32_t i = find_param(draft->terms[t].term.definition, key);
        if (i < 0) continue;
        LOSSFN__REQUIRE(found < 0, LOSSFN_ERROR_PARAMETER,
                        "option %s fits term %d (%s) and term %d (%s) of the sum; it belongs into the spec",
                        option->key, found + 1, draft->terms[found].term.definition->name, t + 1,
                        draft->terms[t].term.definition->name);
        found = t, param = i;
    }
    if (found < 0) return unknown_key(draft, 0, draft->n_terms, key);
    if (draft->terms[found].own_seen >> param & 1) return already_in_spec(option->key);
    return set_own(&draft->terms[found], param, &option->given);
}

lossfn_status_t lossfn__draft_apply(lossfn__draft_t *draft, const lossfn_options_t *options) {
    if (!options) return LOSSFN_OK;
    for (const lossfn__option_t *at = options->first; at; at = at->next) LOSSFN__TRY(apply_option(draft, at));
    return LOSSFN_OK;
}

/* ---- The whole --------------------------------------------------------------------------------------------------- */

/* Inputs can be shared between terms when they hold the same kind of thing: numbers (whatever they stand for), one for
 * each element or row, class labels, or margin labels. */
static const char *kind_of(const lossfn__input_t *input) {
    if (input->scale == LOSSFN_SCALE_LABEL) return input->levels ? "ordered levels" : "class labels";
    if (input->per_row) return "one number per row";
    return input->scale == LOSSFN_SCALE_MARGIN_LABEL ? "labels -1 and +1" : "numbers";
}

static lossfn_status_t check_shared_inputs(const lossfn__definition_t *a, const lossfn__definition_t *b) {
    int32_t shared = a->n_inputs < b->n_inputs ? a->n_inputs : b->n_inputs;
    for (int32_t i = 0; i < shared; i++) {
        const lossfn__input_t *p = &a->inputs[i], *q = &b->inputs[i];
        LOSSFN__REQUIRE(strcmp(p->name, q->name) == 0, LOSSFN_ERROR_UNSUPPORTED,
                        "%s and %s cannot be added: input %d is %s in one, %s in the other", a->name, b->name,
                        (int)i + 1, p->name, q->name);
        LOSSFN__REQUIRE(kind_of(p) == kind_of(q), LOSSFN_ERROR_UNSUPPORTED,
                        "%s and %s cannot be added: %s holds %s in one, %s in the other", a->name, b->name, p->name,
                        kind_of(p), kind_of(q));
    }
    return LOSSFN_OK;
}

static int has_labels(const lossfn__definition_t *d) {
    for (int32_t i = 0; i < d->n_inputs; i++)
        if (d->inputs[i].scale == LOSSFN_SCALE_LABEL) return 1;
    return 0;
}

/* Accepted without effect it would be a trap: the labels that it names would count. */
static lossfn_status_t check_ignore_index(const lossfn__draft_t *draft) {
    int used = !draft->commons.has_ignore_index;
    for (int32_t t = 0; t < draft->n_terms; t++) used = used || has_labels(draft->terms[t].term.definition);
    LOSSFN__REQUIRE(used, LOSSFN_ERROR_PARAMETER, "ignore_index needs class labels, %s takes none; a mask leaves out",
                    draft_name(draft));
    return LOSSFN_OK;
}

static int calls_everything_itself(const lossfn__definition_t *d) { return d->user && d->user->run; }

lossfn_status_t lossfn__draft_check(const lossfn__draft_t *draft) {
    const lossfn__definition_t *first = draft->terms[0].term.definition;
    int same_unit = 1;
    LOSSFN__TRY(check_ignore_index(draft));
    for (int32_t t = 0; t < draft->n_terms; t++) {
        const lossfn__definition_t *d = draft->terms[t].term.definition;
        LOSSFN__REQUIRE(draft->n_terms == 1 || !calls_everything_itself(d), LOSSFN_ERROR_UNSUPPORTED,
                        "%s cannot be part of a sum: its vtable runs everything itself", d->name);
        for (int32_t before = 0; before < t; before++)
            LOSSFN__TRY(check_shared_inputs(draft->terms[before].term.definition, d));
        same_unit = same_unit && d->unit == first->unit;
    }
    LOSSFN__REQUIRE(same_unit || draft->commons.value[LOSSFN__REDUCTION] != LOSSFN__NONE, LOSSFN_ERROR_PARAMETER,
                    "reduction is none, but some terms of the sum have a value per element, some per row");
    return LOSSFN_OK;
}
