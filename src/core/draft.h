/* SPDX-License-Identifier: MIT
 * A loss while it is being described: by its spec first, then by options. */
#ifndef LOSSFN_CORE_DRAFT_H
#define LOSSFN_CORE_DRAFT_H

#include "core/common.h"
#include "core/options.h"

typedef struct {
    lossfn__term_t term;                       /* lists still missing, params and constants not made */
    lossfn__given_t lists[LOSSFN__MAX_PARAMS]; /* where their elements are */
    uint32_t own_seen, common_seen;            /* bits of the keys that its part of the spec gave */
} lossfn__draft_term_t;

typedef struct {
    int32_t n_terms;
    int32_t is_copy; /* of a loss: options replace what it has */
    lossfn__commons_t commons;
    lossfn__draft_term_t terms[LOSSFN__MAX_TERMS];
} lossfn__draft_t;

void lossfn__draft_init(lossfn__draft_t *draft);
/* Takes over one reference to the definition; there must be room. */
void lossfn__draft_add(lossfn__draft_t *draft, double coefficient, const lossfn__definition_t *definition);
/* A key in the parentheses of the last term. */
lossfn_status_t lossfn__draft_set(lossfn__draft_t *draft, lossfn__piece_t key, const lossfn__given_t *given);
/* An empty draft becomes one of a loss like this, which must live until the new one is made. */
void lossfn__draft_copy(lossfn__draft_t *draft, const lossfn_t *loss, const lossfn__commons_t *commons);
lossfn_status_t lossfn__draft_apply(lossfn__draft_t *draft, const lossfn_options_t *options);
/* What can be checked only when all is there. */
lossfn_status_t lossfn__draft_check(const lossfn__draft_t *draft);
/* Gives the references back; for a draft that did not become a loss. */
void lossfn__draft_release(lossfn__draft_t *draft);

/* Reads a spec into an empty draft. */
lossfn_status_t lossfn__parse_spec(lossfn__draft_t *draft, const char *spec);

#endif
