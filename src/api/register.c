/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "core/loss.h"
#include "core/status.h"

void lossfn_vtable_init(lossfn_vtable_t *vtable) {
    if (!vtable) return;
    memset(vtable, 0, sizeof *vtable);
    vtable->struct_size = sizeof *vtable;
}

/* From here on the user's data is the library's: it is destroyed whatever happens. */
static lossfn_status_t refuse(void *user_data, lossfn_destroy_t destroy, const char *what) {
    if (destroy) destroy(user_data);
    return lossfn__fail(LOSSFN_ERROR_ARGUMENT, "%s is NULL", what);
}

lossfn_status_t lossfn_register(const char *name, const lossfn_vtable_t *vtable, void *user_data,
                                lossfn_destroy_t destroy) {
    lossfn__registration_t *registration;
    if (!name) return refuse(user_data, destroy, "name");
    LOSSFN__TRY(lossfn__registration_create(&registration, name, vtable, user_data, destroy));
    return lossfn__registry_add(registration);
}

lossfn_status_t lossfn_unregister(const char *name) {
    LOSSFN__REQUIRE(name, LOSSFN_ERROR_ARGUMENT, "name is NULL");
    return lossfn__registry_remove(name);
}

lossfn_status_t lossfn_create_custom(lossfn_t **out, const lossfn_vtable_t *vtable, void *user_data,
                                     lossfn_destroy_t destroy, const lossfn_options_t *options) {
    lossfn__registration_t *registration;
    if (!out) return refuse(user_data, destroy, "out");
    LOSSFN__TRY(lossfn__registration_create(&registration, NULL, vtable, user_data, destroy));
    return lossfn__create_anonymous(out, registration, options);
}
