/* SPDX-License-Identifier: MIT
 * The allocator hook, and every allocation failing in turn. Compiled as unit.h says. */
#include "unit.h"
#include "lossfn/extend.h"
#include "core/memory.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Fails at the n-th allocation, counts, and checks that free gets the size back. */
typedef struct {
    int64_t until_failure, alive, bytes, total;
} ledger_t;

static void *take(void *user, uint64_t size) {
    ledger_t *ledger = user;
    errno = ENOMEM; /* what malloc may do */
    if (ledger->until_failure-- == 0) return NULL;
    char *p = malloc((size_t)size + 16);
    memcpy(p, &size, sizeof size);
    memset(p + 16, 0xa5, (size_t)size);
    ledger->alive++, ledger->total++, ledger->bytes += (int64_t)size;
    return p + 16;
}

static void give_back(void *user, void *pointer, uint64_t size) {
    ledger_t *ledger = user;
    uint64_t taken;
    char *p = (char *)pointer - 16;
    memcpy(&taken, p, sizeof taken);
    assert_int_equal(taken, size);
    ledger->alive--, ledger->bytes -= (int64_t)size;
    errno = EBADF;
    free(p);
}

static void use(ledger_t *ledger) {
    lossfn_allocator_t a = {sizeof a, take, give_back, ledger};
    assert_int_equal(lossfn_set_allocator(&a), LOSSFN_OK);
}

static lossfn_status_t kernel(const lossfn_block_t *block) {
    (void)block;
    return LOSSFN_OK;
}

static void count(void *counter) { ++*(int *)counter; }

/* Everything that allocates; stops at the first failure and cleans up. *destroyed counts against *given. */
static lossfn_status_t scenario(int *given, int *destroyed) {
    static const double weights[] = {1, 2, 3};
    lossfn_vtable_t v;
    lossfn_options_t *options = NULL;
    lossfn_t *a = NULL, *b = NULL, *c = NULL;
    lossfn_vtable_init(&v);
    v.elementwise = kernel;
    ++*given;
    lossfn_status_t status = lossfn_register("acme.memory", &v, destroyed, count);
    int registered = status == LOSSFN_OK;
    if (!status) status = lossfn_options_create(&options);
    if (!status) status = lossfn_options_set_doubles(options, "class_weight", weights, 3);
    if (!status) status = lossfn_options_set_string(options, "reduction", "mean");
    if (!status) status = lossfn_options_set_string(options, "reduction", "sum");
    if (!status) status = lossfn_create_options(&a, "cross_entropy - 0.1*entropy", options);
    if (!status) status = lossfn_create(&b, "acme.memory + mse");
    if (!status) ++*given, status = lossfn_create_custom(&c, &v, destroyed, count, NULL);
    lossfn_destroy(a);
    lossfn_destroy(b);
    lossfn_destroy(c);
    lossfn_options_destroy(options);
    if (registered) assert_int_equal(lossfn_unregister("acme.memory"), LOSSFN_OK);
    return status;
}

static void test_each_allocation_failing(void **unused) {
    (void)unused;
    for (int64_t n = 0;; n++) {
        ledger_t ledger = {.until_failure = n};
        int given = 0, destroyed = 0;
        use(&ledger);
        errno = 4711;
        lossfn_status_t status = scenario(&given, &destroyed);
        assert_int_equal(errno, 4711);
        assert_int_equal(given, destroyed);
        assert_int_equal(ledger.alive, 0);
        assert_int_equal(ledger.bytes, 0);
        assert_int_equal(lossfn__allocations(), 0);
        if (status == LOSSFN_OK) {
            assert_true(n >= 8); /* as many allocations have failed in turn */
            break;
        }
        assert_int_equal(status, LOSSFN_ERROR_MEMORY);
        assert_memory_equal(lossfn_last_error(), "out of memory", 13);
    }
    assert_int_equal(lossfn_set_allocator(NULL), LOSSFN_OK);
}

static void test_memory_is_zeroed(void **unused) {
    ledger_t ledger = {.until_failure = -1};
    (void)unused;
    use(&ledger);
    unsigned char *p = lossfn__allocate(100);
    for (int i = 0; i < 100; i++) assert_int_equal(p[i], 0);
    lossfn__free(p, 100);
    p = lossfn__allocate(0);
    assert_non_null(p);
    lossfn__free(p, 0);
    lossfn__free(NULL, 0);
    assert_null(lossfn__allocate(UINT64_MAX));
    assert_int_equal(ledger.alive, 0);
    assert_int_equal(lossfn_set_allocator(NULL), LOSSFN_OK);
}

static void test_no_change_while_in_use(void **unused) {
    ledger_t ledger = {.until_failure = -1};
    lossfn_allocator_t a = {sizeof a, take, give_back, &ledger};
    lossfn_t *loss;
    (void)unused;
    assert_int_equal(lossfn_create(&loss, "mse"), LOSSFN_OK);
    assert_int_equal(lossfn_set_allocator(&a), LOSSFN_ERROR_ARGUMENT);
    assert_string_equal(lossfn_last_error(),
                        "the allocator cannot be replaced while 1 allocations of the library are alive");
    lossfn_destroy(loss);
    a.alloc = NULL;
    assert_int_equal(lossfn_set_allocator(&a), LOSSFN_ERROR_ARGUMENT);
    assert_string_equal(lossfn_last_error(), "allocator has no alloc");
    a.alloc = take, a.struct_size = 8;
    assert_int_equal(lossfn_set_allocator(&a), LOSSFN_ERROR_ARGUMENT);
    assert_string_equal(lossfn_last_error(), "struct_size of allocator is 8, expected 32");
    a.struct_size = sizeof a;
    assert_int_equal(lossfn_set_allocator(&a), LOSSFN_OK);
    assert_int_equal(lossfn_set_allocator(NULL), LOSSFN_OK);
    assert_int_equal(ledger.total, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_allocation_failing),
        cmocka_unit_test(test_memory_is_zeroed),
        cmocka_unit_test(test_no_change_while_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
