/* SPDX-License-Identifier: MIT */
#include "core/registry.h"
#include "core/registration.h"
#include "core/status.h"
#include <pthread.h>
#include <string.h>

/* User-made losses in the order of their registration. The lock is held for a walk along the list and no longer: never
 * while a callback runs. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static lossfn__registration_t *first;

static int has_dot(lossfn__piece_t name) { return memchr(name.text, '.', (size_t)name.length) != NULL; }

/* The link that points to the registration of that name, or the last link. */
static lossfn__registration_t **find_link(lossfn__piece_t name) {
    lossfn__registration_t **link = &first;
    while (*link && !lossfn__equal(name, (*link)->definition.name)) link = &(*link)->next;
    return link;
}

lossfn_status_t lossfn__registry_add(lossfn__registration_t *registration) {
    pthread_mutex_lock(&lock);
    lossfn__registration_t **link = find_link(lossfn__piece(registration->definition.name));
    int taken = *link != NULL;
    if (!taken) *link = registration;
    pthread_mutex_unlock(&lock);
    if (!taken) return LOSSFN_OK;
    lossfn_status_t status =
        lossfn__fail(LOSSFN_ERROR_EXISTS, "a loss named '%s' is registered already", registration->definition.name);
    lossfn__registration_release(registration);
    return status;
}

lossfn_status_t lossfn__registry_remove(const char *name) {
    pthread_mutex_lock(&lock);
    lossfn__registration_t **link = find_link(lossfn__piece(name)), *found = *link;
    if (found) *link = found->next;
    pthread_mutex_unlock(&lock);
    LOSSFN__REQUIRE(found, LOSSFN_ERROR_NOT_FOUND, "no user-made loss is named '%s'", name);
    lossfn__registration_release(found);
    return LOSSFN_OK;
}

static const lossfn__definition_t *find_builtin(lossfn__piece_t name) {
    for (int32_t i = 0; i < lossfn__catalogue_size; i++)
        if (lossfn__equal(name, lossfn__catalogue[i]->name)) return lossfn__catalogue[i];
    for (int32_t i = 0; i < lossfn__catalogue_size; i++)
        if (lossfn__find_word(lossfn__catalogue[i]->aliases, name) >= 0) return lossfn__catalogue[i];
    return NULL;
}

const lossfn__definition_t *lossfn__find_loss(lossfn__piece_t name) {
    if (!has_dot(name)) return find_builtin(name);
    pthread_mutex_lock(&lock);
    lossfn__registration_t *found = *find_link(name);
    if (found) lossfn__definition_retain(&found->definition);
    pthread_mutex_unlock(&lock);
    return found ? &found->definition : NULL;
}

const lossfn__definition_t *lossfn__loss_at(int32_t i) {
    if (i < 0) return NULL;
    if (i < lossfn__catalogue_size) return lossfn__catalogue[i];
    pthread_mutex_lock(&lock);
    lossfn__registration_t *at = first;
    for (i -= lossfn__catalogue_size; at && i > 0; i--) at = at->next;
    if (at) lossfn__definition_retain(&at->definition);
    pthread_mutex_unlock(&lock);
    return at ? &at->definition : NULL;
}

int32_t lossfn__loss_count(void) {
    int32_t n = lossfn__catalogue_size;
    pthread_mutex_lock(&lock);
    for (lossfn__registration_t *at = first; at; at = at->next) n++;
    pthread_mutex_unlock(&lock);
    return n;
}

/* ---- Unknown names ----------------------------------------------------------------------------------------------- */

/* Words that people try, whose meaning differs between systems or lies elsewhere. */
static const char *const hints[][2] = {
    {"bce", "binary_cross_entropy takes probabilities, bce_with_logits takes logits"},
    {"ce", "cross_entropy takes logits, categorical_cross_entropy takes probabilities"},
    {"crossentropy", "cross_entropy takes logits, categorical_cross_entropy takes probabilities"},
    {"sparse_categorical_cross_entropy", "categorical_cross_entropy takes labels and distributions alike"},
    {"sparse_categorical_crossentropy", "categorical_cross_entropy takes labels and distributions alike"},
    {"SparseCategoricalCrossentropy", "categorical_cross_entropy takes labels and distributions alike"},
    {"l2", "squared error is mse, half of it half_squared_error"},
    {"rmse", "the root of mse, taken after the reduction"},
    {"nll", "the likelihood must be named: cross_entropy, gaussian_nll, poisson_nll"},
    {"nll_loss", "categorical_cross_entropy takes probabilities, cross_entropy takes logits"},
    {"logistic", "bce_with_logits takes targets 0 and 1"},
    {"kl", "the Kullback-Leibler divergence is kl_div"},
    {"sum", "losses are added in the spec itself: mse + 0.1*mae"},
    {"custom", "an anonymous loss has no spec; a registered one has"},
    {"inf", "a coefficient must be finite"},
};

static void offer_losses(lossfn__nearest_t *nearest) {
    for (int32_t i = 0; i < lossfn__catalogue_size; i++) {
        const char *aliases = lossfn__catalogue[i]->aliases;
        lossfn__piece_t alias;
        lossfn__nearest_offer(nearest, lossfn__piece(lossfn__catalogue[i]->name));
        while (lossfn__next_word(&aliases, &alias)) lossfn__nearest_offer(nearest, alias);
    }
}

/* Whether `line`, of look_alikes ("system: name: how"), is about this function of another system, whatever the case: as
 * it stands, or `called` with arguments. Where it says "is ..." it is about another loss. */
static int is_about(lossfn__piece_t line, lossfn__piece_t name, int called) {
    const char *end = line.text + line.length, *at = line.text + strcspn(line.text, ":") + 2;
    if (end - at < name.length || !lossfn__same_letters(at, name)) return 0;
    at += name.length;
    if (called) return *at == '(';
    return strncmp(at, ": ", 2) == 0 && strncmp(at, ": is ", 5) != 0;
}

/* The line of a loss that is about this function; an empty one without. */
static lossfn__piece_t line_about(const lossfn__definition_t *d, lossfn__piece_t name, int called) {
    for (const char *at = d->look_alikes; *at; at += *at == '\n') {
        const lossfn__piece_t line = {at, (int64_t)strcspn(at, "\n")};
        if (is_about(line, name, called)) return line;
        at += line.length;
    }
    return lossfn__piece("");
}

const lossfn__definition_t *lossfn__find_look_alike(lossfn__piece_t name, lossfn__piece_t *line) {
    lossfn__nearest_t nearest;
    lossfn__nearest_start(&nearest, name);
    offer_losses(&nearest);
    *line = lossfn__piece("");
    if (name.length == 0) return NULL;
    const int same = nearest.distance == 0; /* but for how it is written */
    const lossfn__definition_t *ours = same ? find_builtin(nearest.best) : NULL;
    enum { OUR_LINES, ALL_LINES, CALLED, PASSES };
    for (int pass = 0; pass < PASSES; pass++) {
        for (int32_t i = 0; i < lossfn__catalogue_size; i++) {
            const lossfn__definition_t *d = lossfn__catalogue[i];
            if ((pass > OUR_LINES || d == ours) && (*line = line_about(d, name, pass == CALLED)).length) return d;
        }
        if (pass == ALL_LINES && same) return ours;
    }
    return NULL;
}

static lossfn_status_t unknown_user_loss(lossfn__piece_t name) {
    char best[64] = "";
    lossfn__nearest_t nearest;
    lossfn__nearest_start(&nearest, name);
    pthread_mutex_lock(&lock);
    for (lossfn__registration_t *at = first; at; at = at->next)
        lossfn__nearest_offer(&nearest, lossfn__piece(at->definition.name));
    if (lossfn__nearest_found(&nearest)) /* a copy: it may vanish once the lock is gone */
        lossfn__put_bytes(&(lossfn__writer_t){best, sizeof best, 0}, nearest.best.text, nearest.best.length);
    pthread_mutex_unlock(&lock);
    if (!*best) return lossfn__fail(LOSSFN_ERROR_NOT_FOUND, "no loss is registered as '%.*s'", LOSSFN__PRINT(name));
    return lossfn__fail(LOSSFN_ERROR_NOT_FOUND, "no loss is registered as '%.*s'; the nearest is '%s'",
                        LOSSFN__PRINT(name), best);
}

lossfn_status_t lossfn__unknown_loss(lossfn__piece_t name) {
    lossfn__nearest_t nearest;
    lossfn__piece_t line;
    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
        if (lossfn__equal(name, hints[i][0]))
            return lossfn__fail(LOSSFN_ERROR_NOT_FOUND, "no loss is named '%s'; %s", hints[i][0], hints[i][1]);
    const lossfn__definition_t *look_alike = lossfn__find_look_alike(name, &line);
    if (look_alike && line.length)
        return lossfn__fail(LOSSFN_ERROR_NOT_FOUND, "no loss is named '%.*s'; see %s (%.*s)", LOSSFN__PRINT(name),
                            look_alike->name, (int)line.length, line.text);
    if (has_dot(name)) return unknown_user_loss(name);
    lossfn__nearest_start(&nearest, name);
    offer_losses(&nearest);
    if (!lossfn__nearest_found(&nearest))
        return lossfn__fail(LOSSFN_ERROR_NOT_FOUND, "no loss is named '%.*s'", LOSSFN__PRINT(name));
    return lossfn__fail(LOSSFN_ERROR_NOT_FOUND, "no loss is named '%.*s'; the nearest is '%.*s'", LOSSFN__PRINT(name),
                        LOSSFN__PRINT(nearest.best));
}
