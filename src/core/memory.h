/* SPDX-License-Identifier: MIT
 * The library's own memory, through the caller's allocator if one is set. */
#ifndef LOSSFN_CORE_MEMORY_H
#define LOSSFN_CORE_MEMORY_H

#include "lossfn/lossfn.h"

/* Zeroed memory, or NULL with no message set. */
void *lossfn__allocate(uint64_t size);
/* `size` as it was allocated; NULL is allowed. */
void lossfn__free(void *pointer, uint64_t size);
/* NULL: malloc and free. Fails while anything is allocated. */
lossfn_status_t lossfn__set_allocator(const lossfn_allocator_t *allocator);
/* How many allocations are alive. */
int64_t lossfn__allocations(void);

#endif
