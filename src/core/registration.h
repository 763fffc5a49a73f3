/* SPDX-License-Identifier: MIT
 * What a registration is made of; for registry.c and registration.c alone. */
#ifndef LOSSFN_CORE_REGISTRATION_H
#define LOSSFN_CORE_REGISTRATION_H

#include <stdatomic.h>
#include "core/registry.h"

struct lossfn__registration {
    atomic_int references;
    lossfn__registration_t *next; /* in the registry */
    lossfn__definition_t definition;
    lossfn_vtable_t vtable;
    void *user_data;
    lossfn_destroy_t destroy;
    uint64_t size;
    char text[]; /* all strings */
};

#endif
