/* SPDX-License-Identifier: MIT
 * Allocation: none in a compute call; one that fails anywhere, once or for ever, gives MEMORY, leaks nothing and leaves
 * the library usable. Compiled as: cc -std=gnu11 -Iinclude tests/stress/test_memory.c -llossfn -lcmocka -lm (malloc is
 * interposed here) */
#include "common.h"

#include <stdatomic.h>

static atomic_long heap_calls;
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__GLIBC__)
#define COUNTS_MALLOC 1
void *malloc(size_t n) {
    atomic_fetch_add(&heap_calls, 1);
    return __libc_malloc(n);
}
void *calloc(size_t n, size_t size) {
    atomic_fetch_add(&heap_calls, 1);
    return __libc_calloc(n, size);
}
void *realloc(void *p, size_t n) {
    atomic_fetch_add(&heap_calls, 1);
    return __libc_realloc(p, n);
}
#else
#define COUNTS_MALLOC 0
#endif

static void test_no_allocation_in_a_call(void **state) {
    const int64_t many = COUNTS_MALLOC ? 3000 : 300; /* where nothing is counted, threads have other tests */
    (void)state;
    succeed(lossfn_threads_start(2));
    for (int32_t i = 0; i < lossfn_count(); i++)
        for (int large = 0; large < 2; large++) {
            batch_t b;
            lossfn_exec_t exec;
            const char *name = lossfn_name_at(i);
            lossfn_t *loss = make(name);
            batch_make(&b, name, LOSSFN_F32, large ? many : 7, large ? 70 : 3);
            lossfn_exec_init(&exec);
            exec.threads = large ? 2 : 1;
            b.args.exec = &exec;
            succeed(lossfn_run(loss, &b.args));
            long before = atomic_load(&heap_calls);
            succeed(lossfn_run(loss, &b.args));
            b.args.weight = NULL;
            succeed(lossfn_run(loss, &b.args));
            b.inputs[0].shape[0]++; /* a failing call neither */
            assert_int_not_equal(lossfn_run(loss, &b.args), LOSSFN_OK);
            if (COUNTS_MALLOC) assert_int_equal(atomic_load(&heap_calls) - before, 0);
            lossfn_destroy(loss);
            batch_free(&b);
        }
    lossfn_threads_stop();
    void *volatile probe = malloc(3); /* the count does count */
    free(probe);
    if (COUNTS_MALLOC) assert_true(atomic_load(&heap_calls) > 0);
}

/* Nor in the everyday call, which goes without a plan. */
static void test_no_allocation_in_an_everyday_call(void **state) {
    (void)state;
    for (int32_t i = 0; i < lossfn_count(); i++)
        for (int32_t dtype = LOSSFN_F64; dtype <= LOSSFN_F32; dtype++)
            for (int64_t cols = 1; cols < 300; cols = 3 * cols + 2) {
                batch_t b;
                double value;
                lossfn_t *loss = make(lossfn_name_at(i));
                batch_make(&b, lossfn_name_at(i), dtype, 5, cols);
                long before = atomic_load(&heap_calls);
                const lossfn_tensor_t *target = b.info.n_inputs > 1 ? &b.inputs[1] : NULL;
                const lossfn_status_t status =
                    lossfn_forward_backward(loss, &b.inputs[0], target, NULL, &value, &b.grads[0], NULL);
                if (COUNTS_MALLOC) assert_int_equal(atomic_load(&heap_calls) - before, 0);
                if (b.info.n_inputs < 3) succeed(status);
                lossfn_destroy(loss);
                batch_free(&b);
            }
}

typedef struct {
    long live, bytes, calls, fail_at;
    int for_ever; /* all that come after fail as well */
} heap_t;

static void *counted_alloc(void *user, uint64_t size) {
    heap_t *heap = user;
    const long call = heap->calls++;
    if (call == heap->fail_at || (heap->for_ever && call > heap->fail_at)) return NULL;
    heap->live++;
    heap->bytes += (long)size;
    return malloc((size_t)size);
}

static void counted_free(void *user, void *p, uint64_t size) {
    heap_t *heap = user;
    if (!p) return;
    heap->live--;
    heap->bytes -= (long)size;
    free(p);
}

static lossfn_status_t nothing(const lossfn_block_t *b) {
    for (int64_t i = 0; i < b->count; i++) ((double *)b->values)[i] = 0;
    return LOSSFN_OK;
}

static int destroyed;
static void destroy(void *user) {
    (void)user;
    destroyed++;
}

/* Everything that allocates, in one go; the first failure ends it. */
static lossfn_status_t everything(void) {
    lossfn_t *loss = NULL, *sum = NULL, *custom = NULL, *named = NULL;
    lossfn_options_t *options = NULL;
    lossfn_accumulator_t *one = NULL, *two = NULL;
    const double weights[3] = {1, 2, 0.5};
    double x[3] = {1, 2, 3};
    char buf[4096];
    int64_t shape[1] = {3}, length = 0;
    int registered = 0;
    lossfn_vtable_t table;
    lossfn_tensor_t t;
    lossfn_args_t args;
    lossfn_status_t status;
    lossfn_vtable_init(&table);
    table.elementwise = nothing;
#define STEP(call)                                                                                                     \
    if ((status = (call)) != LOSSFN_OK) goto done
    STEP(lossfn_options_create(&options));
    STEP(lossfn_options_set_doubles(options, "class_weight", weights, 3));
    STEP(lossfn_options_set_double(options, "label_smoothing", 0.1));
    STEP(lossfn_options_set_string(options, "reduction", "sum"));
    STEP(lossfn_create_options(&loss, "cross_entropy", options));
    STEP(lossfn_create(&sum, "0.7*mse(reduction=mean) - 0.1*huber(delta=2)"));
    STEP(lossfn_accumulator_create(&one, sum));
    lossfn_args_init(&args);
    STEP(lossfn_tensor_init_const(&t, x, LOSSFN_F64, 1, shape));
    args.n_inputs = 2;
    args.inputs[0] = args.inputs[1] = &t;
    STEP(lossfn_accumulator_update(one, &args));
    STEP(lossfn_accumulator_write(one, buf, sizeof buf, &length));
    STEP(lossfn_accumulator_read(&two, buf, length));
    STEP(lossfn_accumulator_merge(two, one));
    STEP(lossfn_register("acme.nothing", &table, NULL, destroy));
    registered = 1;
    STEP(lossfn_create(&named, "acme.nothing"));
    STEP(lossfn_create_custom(&custom, &table, NULL, destroy, NULL));
done:
    lossfn_destroy(named);
    if (registered) assert_int_equal(lossfn_unregister("acme.nothing"), LOSSFN_OK);
    lossfn_destroy(custom);
    lossfn_accumulator_destroy(two);
    lossfn_accumulator_destroy(one);
    lossfn_destroy(sum);
    lossfn_destroy(loss);
    lossfn_options_destroy(options);
    return status;
}

static void test_failing_allocator(void **state) {
    (void)state;
    heap_t heap = {.fail_at = -1};
    lossfn_allocator_t allocator = {sizeof allocator, counted_alloc, counted_free, &heap};
    succeed(lossfn_set_allocator(&allocator));
    succeed(everything());
    assert_int_equal(destroyed, 2);
    assert_int_equal(heap.live, 0);
    assert_int_equal(heap.bytes, 0);
    long total = heap.calls;
    assert_true(total >= 5);
    for (heap.for_ever = 0; heap.for_ever < 2; heap.for_ever++)
        for (long at = 0; at < total; at++) {
            heap.calls = 0, heap.fail_at = at, destroyed = 0;
            assert_int_equal(everything(), LOSSFN_ERROR_MEMORY);
            assert_true(strlen(lossfn_last_error()) > 0);
            assert_int_equal(heap.live, 0);
            assert_int_equal(heap.bytes, 0);
            assert_true(destroyed <= 2);
        }
    heap.fail_at = -1, heap.for_ever = 0;
    destroyed = 0;
    succeed(everything());
    /* not while anything is alive */
    lossfn_t *loss = make("mse");
    assert_int_equal(lossfn_set_allocator(NULL), LOSSFN_ERROR_ARGUMENT);
    lossfn_destroy(loss);
    succeed(lossfn_set_allocator(NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_allocation_in_a_call),
                                       cmocka_unit_test(test_no_allocation_in_an_everyday_call),
                                       cmocka_unit_test(test_failing_allocator)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
