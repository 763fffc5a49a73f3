/* SPDX-License-Identifier: MIT
 * The options that every loss has, and the names that no parameter may have. */
#ifndef LOSSFN_CORE_COMMON_H
#define LOSSFN_CORE_COMMON_H

#include "core/given.h"

enum lossfn__common {
    LOSSFN__REDUCTION,
    LOSSFN__AXIS,
    LOSSFN__IGNORE_INDEX,
    LOSSFN__LABEL_BASE,
    LOSSFN__NAN_POLICY,
    LOSSFN__DOMAIN,
    LOSSFN__EMPTY,
    LOSSFN__COMMONS
};

/* Values of all of them; choices as their position. */
typedef struct {
    int64_t value[LOSSFN__COMMONS];
    uint8_t has_ignore_index;
    uint8_t set[LOSSFN__COMMONS]; /* given by the caller */
} lossfn__commons_t;

/* What each says of itself, as a loss's own parameters do. ignore_index is an INT that may also be `none`. */
const lossfn__param_t *lossfn__common_param(int32_t i);
/* Its place in the table; -1 if no option is named so. */
int32_t lossfn__find_common(lossfn__piece_t name);
void lossfn__default_commons(lossfn__commons_t *commons);
/* Checks and sets one; `set` is left to the caller. */
lossfn_status_t lossfn__set_common(lossfn__commons_t *commons, int32_t i, const lossfn__given_t *given);
int lossfn__common_is_default(const lossfn__commons_t *commons, int32_t i);
int lossfn__common_equal(const lossfn__commons_t *a, const lossfn__commons_t *b, int32_t i);
void lossfn__put_common(lossfn__writer_t *out, const lossfn__commons_t *commons, int32_t i);

/* pred, target, weight, mask ...: arguments of a call, which no option or parameter may be called. */
int lossfn__is_call_argument(const char *name);
int lossfn__is_reserved(const char *name);
void lossfn__offer_call_arguments(lossfn__nearest_t *nearest);
/* What may have been meant by an unknown key of a loss; NULL if nothing is known. */
const char *lossfn__key_hint(const char *loss, lossfn__piece_t key);

#endif
