/* SPDX-License-Identifier: MIT */
#include "core/options.h"
#include "core/memory.h"
#include "core/status.h"
#include <string.h>

lossfn_status_t lossfn__options_create(lossfn_options_t **out) {
    lossfn_options_t *made = lossfn__allocate(sizeof *made);
    LOSSFN__REQUIRE(made, LOSSFN_ERROR_MEMORY, "out of memory: options need %zu bytes", sizeof *made);
    *out = made;
    return LOSSFN_OK;
}

void lossfn__options_destroy(lossfn_options_t *options) {
    if (!options) return;
    for (lossfn__option_t *at = options->first, *next; at; at = next) {
        next = at->next;
        lossfn__free(at, at->size);
    }
    lossfn__free(options, sizeof *options);
}

static lossfn__option_t *copy(const char *key, const lossfn__given_t *given) {
    uint64_t numbers = given->kind == LOSSFN__GIVEN_LIST ? (uint64_t)given->count : 0;
    uint64_t key_size = strlen(key) + 1, text_size = (uint64_t)given->text.length + 1;
    if (numbers > UINT64_MAX / 16) return NULL;
    uint64_t size = sizeof(lossfn__option_t) + numbers * sizeof(double) + key_size + text_size;
    lossfn__option_t *made = lossfn__allocate(size);
    if (!made) return NULL;
    char *text = (char *)(made->data + numbers);
    made->size = size;
    made->key = memcpy(text, key, (size_t)key_size);
    made->given = *given;
    text += key_size;
    if (numbers) memcpy(made->data, given->list, (size_t)(numbers * sizeof(double)));
    if (given->kind == LOSSFN__GIVEN_LIST) made->given.list = made->data;
    if (given->kind == LOSSFN__GIVEN_WORD) {
        memcpy(text, given->text.text, (size_t)given->text.length);
        lossfn__given_from_text(&made->given, text);
    }
    return made;
}

lossfn_status_t lossfn__options_set(lossfn_options_t *options, const char *key, const lossfn__given_t *given) {
    lossfn__option_t **link = &options->first, *made = copy(key, given);
    LOSSFN__REQUIRE(made, LOSSFN_ERROR_MEMORY, "out of memory: no room for option '%s'", key);
    while (*link && strcmp((*link)->key, key) != 0) link = &(*link)->next;
    lossfn__option_t *old = *link;
    if (old) made->next = old->next;
    *link = made;
    if (old) lossfn__free(old, old->size);
    return LOSSFN_OK;
}
