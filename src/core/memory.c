/* SPDX-License-Identifier: MIT */
#include "core/memory.h"
#include "core/status.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* How many allocations are alive, or CHANGING while the allocator is replaced. An allocation is counted before the
 * allocator is looked at, and the allocator is replaced only while the count is 0: so nobody reads it meanwhile, and
 * what it allocated it will free. */
enum { CHANGING = -1 };
static _Atomic int64_t alive;
static lossfn_allocator_t allocator; /* alloc NULL: malloc and free */

static void count_one(void) {
    int64_t n = atomic_load_explicit(&alive, memory_order_relaxed);
    do {
        while (n == CHANGING) n = atomic_load_explicit(&alive, memory_order_relaxed);
    } while (!atomic_compare_exchange_weak_explicit(&alive, &n, n + 1, memory_order_acquire, memory_order_relaxed));
}

static void uncount_one(void) { atomic_fetch_sub_explicit(&alive, 1, memory_order_release); }

void *lossfn__allocate(uint64_t size) {
    int saved = errno;
    void *pointer = NULL;
    if (size == 0) size = 1;
    if (size > PTRDIFF_MAX) return NULL;
    count_one();
    if (allocator.alloc) {
        pointer = allocator.alloc(allocator.user, size);
        if (pointer) memset(pointer, 0, (size_t)size);
    } else {
        pointer = calloc(1, (size_t)size);
    }
    if (!pointer) uncount_one();
    errno = saved;
    return pointer;
}

void lossfn__free(void *pointer, uint64_t size) {
    int saved = errno;
    if (!pointer) return;
    if (allocator.alloc) {
        allocator.free(allocator.user, pointer, size ? size : 1);
    } else {
        free(pointer);
    }
    uncount_one();
    errno = saved;
}

int64_t lossfn__allocations(void) {
    int64_t n = atomic_load_explicit(&alive, memory_order_relaxed);
    return n == CHANGING ? 0 : n;
}

lossfn_status_t lossfn__set_allocator(const lossfn_allocator_t *replacement) {
    int64_t none = 0;
    if (!atomic_compare_exchange_strong_explicit(&alive, &none, CHANGING, memory_order_acq_rel, memory_order_relaxed))
        return lossfn__fail(LOSSFN_ERROR_ARGUMENT,
                            "the allocator cannot be replaced while %lld allocations of the library are alive",
                            (long long)(none == CHANGING ? 0 : none));
    allocator = replacement ? *replacement : (lossfn_allocator_t){0};
    atomic_store_explicit(&alive, 0, memory_order_release);
    return LOSSFN_OK;
}
