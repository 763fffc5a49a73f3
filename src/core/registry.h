/* SPDX-License-Identifier: MIT
 * Which losses there are: the built-in ones, looked up without a lock, and those that users have registered. */
#ifndef LOSSFN_CORE_REGISTRY_H
#define LOSSFN_CORE_REGISTRY_H

#include "core/definition.h"
#include "core/text.h"

/* A user-made loss. The registry holds one reference and every handle one for each of its terms; the last one gone
 * calls destroy and frees. */
typedef struct lossfn__registration lossfn__registration_t;

/* Makes one with a single reference, owning user_data; a NULL name makes an anonymous loss. Everything behind the
 * vtable is copied. Whenever it fails, destroy(user_data) has been called. */
lossfn_status_t lossfn__registration_create(lossfn__registration_t **out, const char *name,
                                            const lossfn_vtable_t *vtable, void *user_data, lossfn_destroy_t destroy);
void lossfn__registration_release(lossfn__registration_t *registration); /* NULL is allowed */
const lossfn__definition_t *lossfn__registration_definition(const lossfn__registration_t *registration);
/* What was registered with a user-made loss. */
void *lossfn__user_data(const lossfn__definition_t *definition);
/* One more reference to the registration behind a definition, if there is one; one less. */
void lossfn__definition_retain(const lossfn__definition_t *definition);
void lossfn__definition_release(const lossfn__definition_t *definition);

/* Takes over the caller's reference, also when it fails. */
lossfn_status_t lossfn__registry_add(lossfn__registration_t *registration);
lossfn_status_t lossfn__registry_remove(const char *name);
/* The loss of that name or alias, retained; NULL if there is none. */
const lossfn__definition_t *lossfn__find_loss(lossfn__piece_t name);
/* The i-th loss, retained; NULL past the end. */
const lossfn__definition_t *lossfn__loss_at(int32_t i);
int32_t lossfn__loss_count(void);
/* The built-in loss that a name of another system means: one of the same name but for case, underscores and a final
 * "loss" (*line is empty), else the first one that has a line of look_alikes about it. NULL if there is none. */
const lossfn__definition_t *lossfn__find_look_alike(lossfn__piece_t name, lossfn__piece_t *line);
/* The message of an unknown name. */
lossfn_status_t lossfn__unknown_loss(lossfn__piece_t name);

#endif
