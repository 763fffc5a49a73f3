/* SPDX-License-Identifier: MIT */
#include "lossfn/lossfn.h"

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)

int32_t lossfn_version(void) {
    return 10000 * LOSSFN_VERSION_MAJOR + 100 * LOSSFN_VERSION_MINOR + LOSSFN_VERSION_PATCH;
}

const char *lossfn_version_string(void) {
    return TEXT(LOSSFN_VERSION_MAJOR) "." TEXT(LOSSFN_VERSION_MINOR) "." TEXT(LOSSFN_VERSION_PATCH);
}

int32_t lossfn_abi_version(void) { return LOSSFN_ABI_VERSION; }
