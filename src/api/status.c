/* SPDX-License-Identifier: MIT */
#include "core/status.h"

const char *lossfn_status_name(lossfn_status_t status) {
    switch (status) {
#define CASE(name, number, text)                                                                                       \
    case number:                                                                                                       \
        return #name;
        LOSSFN_STATUS_TABLE(CASE)
#undef CASE
    default:
        return "unknown status";
    }
}

const char *lossfn_status_text(lossfn_status_t status) {
    switch (status) {
#define CASE(name, number, text)                                                                                       \
    case number:                                                                                                       \
        return text;
        LOSSFN_STATUS_TABLE(CASE)
#undef CASE
    default:
        return "unknown status";
    }
}

const char *lossfn_last_error(void) { return lossfn__message(); }
