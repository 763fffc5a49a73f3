/* SPDX-License-Identifier: MIT
 * What can be done with handles. */
#ifndef LOSSFN_CORE_LOSS_H
#define LOSSFN_CORE_LOSS_H

#include "core/options.h"
#include "core/registry.h"

/* options may be NULL. */
lossfn_status_t lossfn__create(lossfn_t **out, const char *spec, const lossfn_options_t *options);
/* From a registration; its reference is taken over, also on failure. */
lossfn_status_t lossfn__create_anonymous(lossfn_t **out, lossfn__registration_t *registration,
                                         const lossfn_options_t *options);
/* A loss like this one, but for the parameters in options, which may be NULL. */
lossfn_status_t lossfn__replace(lossfn_t **out, const lossfn_t *loss, const lossfn_options_t *options);
void lossfn__destroy(lossfn_t *loss);

/* The canonical spec. */
void lossfn__put_spec(lossfn__writer_t *out, const lossfn_t *loss);
/* One parameter or common option of it. */
lossfn_status_t lossfn__get_text(const lossfn_t *loss, const char *key, lossfn__writer_t *out);
lossfn_status_t lossfn__get_double(const lossfn_t *loss, const char *key, double *out);

#endif
