/* SPDX-License-Identifier: MIT
 * What a running kernel of a user's may call, and how the library calls it. */
#include <string.h>
#include "core/status.h"
#include "engine/plan.h"

lossfn_status_t lossfn__known_failure(lossfn_status_t status) {
#define KNOWN(name, number, text)                                                                                      \
    if (number != 0 && status == number) return status;
    LOSSFN_STATUS_TABLE(KNOWN)
#undef KNOWN
    return LOSSFN_ERROR_CALLBACK;
}

lossfn_status_t lossfn_call_fail(lossfn_call_t *call, lossfn_status_t status, const char *text) {
    status = status == LOSSFN_OK ? LOSSFN_ERROR_CALLBACK : lossfn__known_failure(status);
    if (call && text) {
        size_t length = strlen(text) < sizeof call->message - 1 ? strlen(text) : sizeof call->message - 1;
        memcpy(call->message, text, length);
        call->message[length] = 0;
    }
    return status;
}

lossfn_status_t lossfn__call_user(lossfn_status_t (*kernel)(const lossfn_block_t *), const lossfn_block_t *block) {
    lossfn_status_t status = kernel(block);
    return status == LOSSFN_OK ? status : lossfn__known_failure(status);
}
