/* cc -std=c11 -Isrc/engine tests/unit/engine/test_pool.c src/engine/pool.c -lcmocka -lpthread -lm
 *
 * Also run by hand with -fsanitize=address,undefined and with -fsanitize=thread; the latter can't follow
 * threads of a forked child, and leaves those tests out. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pool.h"

typedef struct {
    atomic_int runs[1000];
    pthread_t caller;
    atomic_int first_elsewhere; /* index 0 away from the calling thread */
} job_t;

static void count(void *ctx, int index) {
    job_t *job = ctx;
    atomic_fetch_add(&job->runs[index], 1);
    if (index == 0 && !pthread_equal(job->caller, pthread_self())) atomic_fetch_add(&job->first_elsewhere, 1);
}

/* Whether one call runs each index once, and the first of them here. */
static int call_is_right(int threads) {
    job_t job;
    memset(&job, 0, sizeof job);
    job.caller = pthread_self();
    lossfn__pool_run(threads, count, &job);
    int right = atomic_load(&job.first_elsewhere) == 0;
    for (int i = 0; i < 1000; i++) right &= atomic_load(&job.runs[i]) == (i < threads);
    return right;
}

static void every_index_runs_once(void **unused) {
    (void)unused;
    static const int threads[] = {0, 1, 2, 3, 4, 7, 16, 256, 1000};
    for (int i = 0; i < 9; i++) assert_true(call_is_right(threads[i]));
    lossfn__pool_stop();
    for (int i = 0; i < 3000; i++) assert_true(call_is_right(i % 6));
    for (int i = 0; i < 100; i++) { /* the workers are asleep by then */
        nanosleep(&(struct timespec){.tv_nsec = i * 2000}, NULL);
        assert_true(call_is_right(4));
    }
}

/* Waits, for a few seconds at most, for a number to be reached. */
static void wait_until(atomic_int *number, int reached) {
    time_t end = time(NULL) + 5;
    while (atomic_load(number) < reached && time(NULL) < end) sched_yield();
}

#define MEETING 7

static void meet(void *ctx, int index) {
    atomic_int *here = ctx; /* how many are, and how many saw all of them */
    (void)index;
    atomic_fetch_add(here, 1);
    wait_until(here, MEETING);
    if (atomic_load(here) == MEETING) atomic_fetch_add(here + 1, 1);
}

static int all_meet(void) {
    atomic_int here[2] = {0};
    return lossfn__pool_run(MEETING, meet, here) == MEETING && atomic_load(here + 1) == MEETING;
}

static void tasks_run_at_the_same_time(void **unused) {
    (void)unused;
    lossfn__pool_stop();
    for (int i = 0; i < 20; i++) assert_true(all_meet());
}

#define LEFT_TO_CALLER 11

typedef struct {
    pthread_t caller;
    atomic_int by_caller;
} turns_t;

static void wait_for_caller(void *ctx, int index) {
    turns_t *turns = ctx;
    (void)index;
    if (pthread_equal(turns->caller, pthread_self()))
        atomic_fetch_add(&turns->by_caller, 1);
    else
        wait_until(&turns->by_caller, LEFT_TO_CALLER);
}

/* Workers that are late or stuck don't keep the rest from being done: each holds one index until the caller has run
 * what they can't. */
static void the_caller_helps(void **unused) {
    (void)unused;
    turns_t turns = {.caller = pthread_self()};
    lossfn__pool_run(LOSSFN__POOL_MAX_THREADS - 1 + LEFT_TO_CALLER, wait_for_caller, &turns);
    assert_in_range(atomic_load(&turns.by_caller), LEFT_TO_CALLER, LOSSFN__POOL_MAX_THREADS - 1 + LEFT_TO_CALLER);
}

static void *call_often(void *arg) {
    intptr_t right = 1;
    for (int i = 0; i < 500; i++) right &= call_is_right(1 + (int)(intptr_t)arg % 5);
    return (void *)right;
}

static void *start_and_stop_often(void *arg) {
    for (int i = 0; i < 50; i++) {
        lossfn__pool_start(1 + i % 6);
        lossfn__pool_stop();
    }
    return arg;
}

static void many_callers(void **unused) {
    (void)unused;
    pthread_t caller[8], other;
    pthread_create(&other, NULL, start_and_stop_often, NULL);
    for (intptr_t i = 0; i < 8; i++) pthread_create(&caller[i], NULL, call_often, (void *)(i + 1));
    for (int i = 0; i < 8; i++) {
        void *right;
        pthread_join(caller[i], &right);
        assert_non_null(right);
    }
    pthread_join(other, NULL);
}

static void call_inside(void *ctx, int index) {
    atomic_int *wrong = ctx;
    (void)index;
    atomic_fetch_add(wrong + 1, 1);
    wait_until(wrong + 1, 2); /* one of the two is on a worker */
    if (!call_is_right(4)) atomic_store(wrong, 1);
    if (lossfn__pool_start(8) != -1) atomic_store(wrong, 1);
    lossfn__pool_stop();
}

static void nested_calls(void **unused) {
    (void)unused;
    for (int i = 0; i < 50; i++) {
        atomic_int wrong[2] = {0};
        lossfn__pool_run(2, call_inside, wrong);
        assert_int_equal(atomic_load(wrong), 0);
    }
}

static void disturb_errno(void *ctx, int index) {
    (void)ctx;
    (void)index;
    errno = EDOM;
}

static void start_and_stop(void **unused) {
    (void)unused;
    lossfn__pool_stop();
    lossfn__pool_stop();
    assert_int_equal(lossfn__pool_start(0), 0);
    assert_int_equal(lossfn__pool_start(5), 0);
    assert_int_equal(lossfn__pool_start(3), 0);
    assert_int_equal(lossfn__pool_run(5, disturb_errno, NULL), 5);
    assert_int_equal(lossfn__pool_start(LOSSFN__POOL_MAX_THREADS + 1), -1);
    for (int i = 0; i < 30; i++) {
        lossfn__pool_stop();
        assert_true(call_is_right(1 + i % 5));
    }
}

/* Runs check in a forked child, and wants it to be through within ten seconds. */
static void assert_in_child(int (*check)(void)) {
    fflush(NULL); /* the child's exit would write it again */
    pid_t child = fork();
    if (child == 0) {
        alarm(10);
        int right = check();
        exit(right ? 0 : 1); /* with the destructors */
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int child_calls(void) {
    int right = 1;
    for (int i = 0; i < 50; i++) right &= call_is_right(4);
    return right && all_meet();
}

static int child_only_exits(void) { return 1; }

static int child_stops(void) {
    lossfn__pool_stop();
    return child_calls();
}

static int grandchild_calls(void) {
    if (!child_calls()) return 0;
    pid_t child = fork();
    if (child == 0) exit(child_calls() ? 0 : 1);
    int status;
    return waitpid(child, &status, 0) == child && status == 0;
}

static atomic_int keep_calling;

static void *call_until_told(void *arg) {
    while (atomic_load(&keep_calling)) call_is_right(3);
    return arg;
}

static void forks(void **unused) {
    (void)unused;
#ifdef __SANITIZE_THREAD__
    skip();
#endif
    assert_true(call_is_right(4));
    int (*const checks[])(void) = {child_calls, child_only_exits, child_stops, grandchild_calls};
    for (int i = 0; i < 4; i++) assert_in_child(checks[i]);
    assert_true(call_is_right(4));

    pthread_t caller; /* forks while another thread is in a call: the lock is held at a random point of it */
    atomic_store(&keep_calling, 1);
    pthread_create(&caller, NULL, call_until_told, NULL);
    for (int i = 0; i < 20; i++) assert_in_child(checks[i % 3]);
    atomic_store(&keep_calling, 0);
    pthread_join(caller, NULL);
}

static void look_at_signals(void *ctx, int index) {
    atomic_int *wrong = ctx;
    sigset_t set;
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    if (index > 0 && (!sigismember(&set, SIGINT) || !sigismember(&set, SIGALRM) || sigismember(&set, SIGSEGV)))
        atomic_store(wrong, 1);
    atomic_fetch_add(wrong + 1, 1);
    wait_until(wrong + 1, 2); /* so that index 1 runs on a worker */
}

static void callers_see_no_change(void **unused) {
    (void)unused;
    sigset_t before, mine, after;
    lossfn__pool_stop();
    sigemptyset(&mine);
    sigaddset(&mine, SIGUSR1);
    pthread_sigmask(SIG_SETMASK, &mine, &before);
    atomic_int wrong[2] = {0};
    assert_int_equal(lossfn__pool_run(2, look_at_signals, wrong), 2);
    assert_int_equal(atomic_load(wrong), 0);
    pthread_sigmask(SIG_SETMASK, &before, &after);
    for (int i = 1; i < 32; i++) assert_int_equal(sigismember(&after, i), i == SIGUSR1);
    errno = ERANGE;
    lossfn__pool_run(4, disturb_errno, NULL);
    assert_int_equal(errno, ERANGE);
}

static void look_at_rounding(void *ctx, int index) {
    atomic_int *wrong = ctx;
    volatile double one = 1, tiny = 0x1p-60;
    if (index > 0 && (one + tiny != 1 || one - tiny != 1)) atomic_store(wrong, 1);
    if (index > 0) fesetround(FE_DOWNWARD); /* a callback that does not tidy up */
    atomic_fetch_add(wrong + 1, 1);
    wait_until(wrong + 1, 2);
}

static void workers_round_to_nearest(void **unused) {
    (void)unused;
    lossfn__pool_stop();
    fesetround(FE_UPWARD);
    atomic_int wrong = 0;
    for (int i = 0; i < 10; i++) {
        atomic_int both[2] = {0};
        lossfn__pool_run(2, look_at_rounding, both);
        wrong |= atomic_load(both);
    }
    fesetround(FE_TONEAREST);
    assert_int_equal(wrong, 0);
}

/* A child that may not map memory gets no more threads than there are stacks left over. */
static int child_without_threads(void) {
    lossfn__pool_stop();
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_AS, &none);
    return lossfn__pool_start(100) == -1 && lossfn__pool_run(100, disturb_errno, NULL) < 100 && call_is_right(100);
}

static void threads_that_cannot_be_had(void **unused) {
    (void)unused;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* they map memory themselves, and give up without it */
#endif
    assert_in_child(child_without_threads);
}

static void exit_inside(void *ctx, int index) {
    (void)ctx;
    (void)index;
    exit(0);
}

static int child_exits_in_task(void) { return lossfn__pool_run(2, exit_inside, NULL) < 0; }

static atomic_int at_work;

static void work_long(void *ctx, int index) {
    (void)ctx;
    (void)index;
    atomic_fetch_add(&at_work, 1);
    sleep(60);
}

static void *call_long(void *arg) {
    lossfn__pool_run(2, work_long, NULL);
    return arg;
}

static int child_exits_during_a_call(void) {
    pthread_t caller;
    pthread_create(&caller, NULL, call_long, NULL);
    wait_until(&at_work, 2);
    return atomic_load(&at_work) == 2;
}

static void exit_does_not_hang(void **unused) {
    (void)unused;
#ifdef __SANITIZE_THREAD__
    skip();
#endif
    assert_in_child(child_exits_in_task);
    assert_in_child(child_exits_during_a_call);
}

static int wanted_threads;

static int child_default(void) { return lossfn__pool_default_threads() == wanted_threads; }

static void default_threads(void **unused) {
    (void)unused;
    static const struct {
        const char *text;
        int want; /* 0: the automatic number */
    } cases[] = {{"3", 3},     {"0", 1}, {"-7", 1},  {"99999999999999999999", 256},
                 {"300", 256}, {"", 0},  {"two", 0}, {"2x", 0}};
    unsetenv("LOSSFN_NUM_THREADS");
    lossfn__pool_set_default(0);
    int automatic = lossfn__pool_default_threads();
    assert_in_range(automatic, 1, sysconf(_SC_NPROCESSORS_ONLN));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        lossfn__pool_set_default(0);
        setenv("LOSSFN_NUM_THREADS", cases[i].text, 1);
        wanted_threads = cases[i].want ? cases[i].want : automatic;
        assert_in_child(child_default);
    }
    unsetenv("LOSSFN_NUM_THREADS");
    lossfn__pool_set_default(5);
    assert_int_equal(lossfn__pool_default_threads(), 5);
    lossfn__pool_set_default(1 << 20);
    assert_int_equal(lossfn__pool_default_threads(), 256);
    lossfn__pool_set_default(-1);
    assert_int_equal(lossfn__pool_default_threads(), automatic);
}

static char directory[] = "/tmp/lossfn_cgroup_XXXXXX";

static const char *path_of(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void put(const char *name, const char *text) {
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int cores(const char *self) {
    put("self", self);
    char self_path[256];
    snprintf(self_path, sizeof self_path, "%s", path_of("self"));
    return lossfn__pool_cgroup_cores(self_path, directory);
}

static void cgroup_quotas(void **unused) {
    (void)unused;
    assert_non_null(mkdtemp(directory));
    static const char *const folders[] = {"a", "a/b", "cpu", "cpu/x"};
    for (int i = 0; i < 4; i++) assert_int_equal(mkdir(path_of(folders[i]), 0700), 0);
    put("a/b/cpu.max", "max 100000\n");
    assert_int_equal(cores("0::/a/b\n"), 0);
    put("a/b/cpu.max", "250000 100000\n");
    assert_int_equal(cores("0::/a/b\n"), 3); /* two and a half */
    put("a/cpu.max", "100000 100000\n");
    assert_int_equal(cores("0::/a/b\n"), 1); /* the parent has less */
    assert_int_equal(cores("0::/\n"), 0);
    put("cpu/x/cpu.cfs_quota_us", "-1\n");
    put("cpu/x/cpu.cfs_period_us", "100000\n");
    assert_int_equal(cores("4:cpuset:/x\n3:cpu,cpuacct:/x\n"), 0);
    put("cpu/x/cpu.cfs_quota_us", "400000\n");
    assert_int_equal(cores("4:cpuset:/x\n3:cpu,cpuacct:/x\n"), 4);
    assert_int_equal(cores("3:cpuacct,cpu:/x"), 4);
    assert_int_equal(cores("3:cpuacct:/x\n"), 0);
    put("cpu/cpu.cfs_quota_us", "200000\n");
    put("cpu/cpu.cfs_period_us", "100000\n");
    assert_int_equal(cores("1:cpu:/docker/0123\n"), 2); /* a path of the host, the container's own group at the root */
    assert_int_equal(cores("1:cpu:/x\n0::/a\n"), 1);
    assert_int_equal(cores("nonsense\n::\n:\n\n"), 0);
    put("a/cpu.max", "100000 0\n");
    assert_int_equal(cores("0::/a\n"), 0);
    put("a/cpu.max", "");
    assert_int_equal(cores("0::/a\n"), 0);
    assert_int_equal(lossfn__pool_cgroup_cores("/nonexistent", directory), 0);
    static const char *const files[] = {"self",
                                        "a/b/cpu.max",
                                        "a/cpu.max",
                                        "cpu/x/cpu.cfs_quota_us",
                                        "cpu/x/cpu.cfs_period_us",
                                        "cpu/cpu.cfs_quota_us",
                                        "cpu/cpu.cfs_period_us",
                                        "a/b",
                                        "a",
                                        "cpu/x",
                                        "cpu",
                                        "."};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        assert_int_equal(remove(i + 1 < sizeof files / sizeof files[0] ? path_of(files[i]) : directory), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_threads),
        cmocka_unit_test(cgroup_quotas),
        cmocka_unit_test(every_index_runs_once),
        cmocka_unit_test(tasks_run_at_the_same_time),
        cmocka_unit_test(the_caller_helps),
        cmocka_unit_test(many_callers),
        cmocka_unit_test(nested_calls),
        cmocka_unit_test(start_and_stop),
        cmocka_unit_test(forks),
        cmocka_unit_test(callers_see_no_change),
        cmocka_unit_test(workers_round_to_nearest),
        cmocka_unit_test(threads_that_cannot_be_had),
        cmocka_unit_test(exit_does_not_hang),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
