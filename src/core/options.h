/* SPDX-License-Identifier: MIT
 * Parameters by name, collected before a loss is created. */
#ifndef LOSSFN_CORE_OPTIONS_H
#define LOSSFN_CORE_OPTIONS_H

#include "core/given.h"

/* One key; its text and list lie behind it in the same allocation. */
typedef struct lossfn__option {
    struct lossfn__option *next;
    lossfn__given_t given;
    const char *key;
    uint64_t size;
    double data[];
} lossfn__option_t;

struct lossfn_options {
    lossfn__option_t *first; /* in the order of their first setting */
};

lossfn_status_t lossfn__options_create(lossfn_options_t **out);
void lossfn__options_destroy(lossfn_options_t *options);
/* Copies the value; a word is read as the text after `=` in a spec. */
lossfn_status_t lossfn__options_set(lossfn_options_t *options, const char *key, const lossfn__given_t *given);

#endif
