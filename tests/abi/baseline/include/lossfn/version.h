/* SPDX-License-Identifier: MIT
 * The version of lossfn. The numbers are written here and nowhere else. */
#ifndef LOSSFN_VERSION_H
#define LOSSFN_VERSION_H

#define LOSSFN_VERSION_MAJOR 0
#define LOSSFN_VERSION_MINOR 1
#define LOSSFN_VERSION_PATCH 0

/* Raised by every change that an already compiled client could notice; the library's SONAME is made from it. */
#define LOSSFN_ABI_VERSION 0

#endif
