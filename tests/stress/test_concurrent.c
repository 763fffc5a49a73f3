/* SPDX-License-Identifier: MIT
 * Handles made, shared and destroyed, losses registered and called, on many threads at once. Meant for ThreadSanitizer.
 * Compiled as: cc -std=gnu11 -Iinclude tests/stress/test_concurrent.c -llossfn -lcmocka -lm -lpthread */
#include "common.h"

#include <pthread.h>
#include <stdatomic.h>

enum { THREADS = 6, ROUNDS = 150 };

static lossfn_t *shared;
static uint64_t expected;
static atomic_int wrong, destroyed, made;

static lossfn_status_t square(const lossfn_block_t *b) {
    const double *pred = b->inputs[0], *target = b->inputs[1];
    for (int64_t i = 0; i < b->count; i++) {
        double r = pred[i] - target[i];
        ((double *)b->values)[i] = r * r;
        if (b->grads[0]) ((double *)b->grads[0])[i] = 2 * r;
    }
    return LOSSFN_OK;
}

static void on_destroy(void *user) {
    (void)user;
    atomic_fetch_add(&destroyed, 1);
}

static void *work(void *number) {
    int me = *(int *)number;
    char name[40], spec[80];
    double pred[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, target[9] = {0}, value;
    int64_t shape[1] = {9};
    lossfn_tensor_t p, t;
    lossfn_tensor_init_const(&p, pred, LOSSFN_F64, 1, shape);
    lossfn_tensor_init_const(&t, target, LOSSFN_F64, 1, shape);
    for (int round = 0; round < ROUNDS; round++) {
        batch_t b;
        lossfn_exec_t exec;
        lossfn_t *mine = lossfn_retain(shared), *own = NULL, *user = NULL;
        batch_make(&b, "huber", LOSSFN_F32, 300, 30);
        lossfn_exec_init(&exec);
        exec.threads = round % 3;
        b.args.exec = &exec;
        if (lossfn_run(mine, &b.args) != LOSSFN_OK || batch_digest(&b) != expected) atomic_fetch_add(&wrong, 1);
        batch_free(&b);
        snprintf(spec, sizeof spec, "huber(delta=%d.5)", me);
        if (lossfn_create(&own, spec) != LOSSFN_OK) atomic_fetch_add(&wrong, 1);
        lossfn_destroy(own);
        lossfn_destroy(mine);
        /* every thread fails in its own way and reads its own message */
        snprintf(spec, sizeof spec, "no_such_%d", me);
        if (lossfn_create(&own, spec) == LOSSFN_OK || !strstr(lossfn_last_error(), spec)) atomic_fetch_add(&wrong, 1);
        snprintf(name, sizeof name, "acme.loss%d", me % 3); /* two threads fight for each name */
        lossfn_vtable_t table;
        lossfn_vtable_init(&table);
        table.flags = LOSSFN_VTABLE_CONCURRENT | LOSSFN_VTABLE_GRAD;
        table.elementwise = square;
        atomic_fetch_add(&made, 1);
        int mine_now = lossfn_register(name, &table, NULL, on_destroy) == LOSSFN_OK;
        if (lossfn_create(&user, name) == LOSSFN_OK) {
            if (lossfn_forward(user, &p, &t, NULL, &value, NULL) != LOSSFN_OK || value < 31.6 || value > 31.7)
                atomic_fetch_add(&wrong, 1);
        }
        if (mine_now) lossfn_unregister(name);
        lossfn_destroy(user);
        for (int32_t i = 0; i < lossfn_count(); i++) {
            const char *at = lossfn_name_at(i);
            if (i < 10 && !at) atomic_fetch_add(&wrong, 1);
        }
        if (round % 20 == 0) lossfn_set_num_threads(1 + round % 3);
    }
    return NULL;
}

static void test_everything_at_once(void **state) {
    (void)state;
    pthread_t threads[THREADS];
    int numbers[THREADS];
    batch_t b;
    shared = make("huber");
    batch_make(&b, "huber", LOSSFN_F32, 300, 30);
    succeed(lossfn_run(shared, &b.args));
    expected = batch_digest(&b);
    batch_free(&b);
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, work, &numbers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&wrong), 0);
    assert_int_equal(atomic_load(&destroyed),
                     atomic_load(&made)); /* exactly once each, also when registration failed */
    lossfn_destroy(shared);
    lossfn_threads_stop();
}

/* An accumulator is used by one thread at a time, but many may be filled at once and merged after. */
static void *fill_one(void *accumulator) {
    for (int i = 0; i < 50; i++) {
        batch_t b;
        batch_make(&b, "cross_entropy", LOSSFN_F64, 20, 5);
        if (lossfn_accumulator_update(accumulator, &b.args) != LOSSFN_OK) atomic_fetch_add(&wrong, 1);
        batch_free(&b);
    }
    return NULL;
}

static void test_accumulators(void **state) {
    (void)state;
    pthread_t threads[THREADS];
    lossfn_accumulator_t *parts[THREADS];
    lossfn_t *loss = make("cross_entropy");
    double first, merged;
    for (int i = 0; i < THREADS; i++) {
        succeed(lossfn_accumulator_create(&parts[i], loss));
        assert_int_equal(pthread_create(&threads[i], NULL, fill_one, parts[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    succeed(lossfn_accumulator_value(parts[0], &first, NULL));
    for (int i = 1; i < THREADS; i++) succeed(lossfn_accumulator_merge(parts[0], parts[i]));
    succeed(lossfn_accumulator_value(parts[0], &merged, NULL));
    assert_true(first == merged); /* the same rows, six times */
    for (int i = 0; i < THREADS; i++) lossfn_accumulator_destroy(parts[i]);
    lossfn_destroy(loss);
    assert_int_equal(atomic_load(&wrong), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_everything_at_once), cmocka_unit_test(test_accumulators)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
