/* SPDX-License-Identifier: MIT
 * The library's own memory, through the caller's allocator if one is set. */
#ifndef LOSSFN_CORE_MEMORY_H
#define LOSSFN_CORE_MEMORY_H

#include <stdint.h>

/* Zeroed memory, or NULL with no message set. */
void *lossfn__allocate(uint64_t size);
void lossfn__free(void *pointer, uint64_t size);

#endif
