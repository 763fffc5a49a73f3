/* SPDX-License-Identifier: MIT */
#include <stddef.h>
#include <string.h>
#include "core/memory.h"
#include "core/status.h"

lossfn_status_t lossfn_set_allocator(const lossfn_allocator_t *allocator) {
    const uint64_t first = offsetof(lossfn_allocator_t, user) + sizeof(void *); /* the struct's first version */
    lossfn_allocator_t own = {0};
    if (!allocator) return lossfn__set_allocator(NULL);
    LOSSFN__REQUIRE(allocator->struct_size >= first, LOSSFN_ERROR_ARGUMENT,
                    "struct_size of allocator is %llu, expected %zu", (unsigned long long)allocator->struct_size,
                    sizeof own);
    memcpy(&own, allocator, allocator->struct_size < sizeof own ? (size_t)allocator->struct_size : sizeof own);
    LOSSFN__REQUIRE(own.alloc && own.free, LOSSFN_ERROR_ARGUMENT, "allocator has no %s", own.alloc ? "free" : "alloc");
    return lossfn__set_allocator(&own);
}
