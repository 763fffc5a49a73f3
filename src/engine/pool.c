#define _GNU_SOURCE /* sched_getaffinity */
#include "pool.h"
#include "file.h"
#include "fpenv.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_WORKERS (LOSSFN__POOL_MAX_THREADS - 1)
/* How long a worker waits for the next call before it sleeps, and a caller for its last worker, which may be about to
 * wake on the caller's core. */
#define WORKER_SPIN_NS 100000
#define CALLER_SPIN_NS 15000

/* A worker sleeps in its own slot, so that a call wakes as many as it needs and no more. It finds its work in
 * the job's ticket, not in the slot: one that wakes late finds nothing left to do, and nobody has waited for
 * it. */
enum { ABSENT, AWAKE, ASLEEP, CALLED };

typedef struct {
    _Alignas(64) atomic_int state;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_t thread;
} slot_t;

static struct {
    pthread_mutex_t lock;     /* held by the call that runs and while workers come and go */
    _Atomic(pthread_t) owner; /* who holds it, 0 nobody: a thread asks only about itself */
    int workers;
    int spins; /* 0 on a single core, where spinning keeps the others from working */
    pid_t pid; /* of the process in which the workers live */
    atomic_int stopping;

    void (*task)(void *ctx, int index);
    void *ctx;
    atomic_int called;                    /* how many workers this job calls on */
    _Alignas(64) _Atomic uint64_t ticket; /* the job's number << 32 | the highest index that nobody has taken, 0 none */
    _Alignas(64) atomic_int unfinished;   /* indices, and 1 for the caller until it goes to sleep */
    pthread_mutex_t done_mutex;
    pthread_cond_t done;

    slot_t slot[MAX_WORKERS];
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .done_mutex = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};

/* Read in start and stop only: the first access in a thread may allocate. */
static _Thread_local int is_worker;

static int clamp(long threads) {
    return threads < 1 ? 1 : threads > LOSSFN__POOL_MAX_THREADS ? LOSSFN__POOL_MAX_THREADS : (int)threads;
}

/* quota / period rounded up; 0 where there is no quota ("max" or -1). */
static long cores_of(long long quota, long long period) {
    if (quota <= 0 || period <= 0) return 0;
    long long cores = quota / period + (quota % period != 0);
    return cores < LOSSFN__POOL_MAX_THREADS ? (long)cores : LOSSFN__POOL_MAX_THREADS;
}

#define PATH_BYTES 4096

/* The quota of the cgroup in a directory: cpu.max of version 2 ("quota period"), or two files of version 1. */
static long directory_cores(const char *directory, int version) {
    char path[PATH_BYTES + 32], text[128], *end;
    snprintf(path, sizeof path, "%s/%s", directory, version == 2 ? "cpu.max" : "cpu.cfs_quota_us");
    if (!lossfn__read_text(path, text, sizeof text)) return 0;
    long long quota = strtoll(text, &end, 10);
    if (version == 2) return cores_of(quota, strtoll(end, NULL, 10));
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", directory);
    return lossfn__read_text(path, text, sizeof text) ? cores_of(quota, strtoll(text, NULL, 10)) : 0;
}

static int lists_cpu(const char *controllers) {
    for (const char *c = controllers; *c != 0; c += strcspn(c, ","), c += *c == ',')
        if (strncmp(c, "cpu", 3) == 0 && (c[3] == 0 || c[3] == ',')) return 1;
    return 0;
}

/* The least quota of a directory and those above it, up to the first `root` characters: any ancestor may have
 * the tightest. A container often has its own cgroup mounted as the root, where the path that the host sees
 * does not exist: going up finds that too. */
static long path_cores(char *directory, size_t root, int version) {
    long least = 0;
    for (;;) {
        long cores = directory_cores(directory, version);
        if (cores > 0 && (least == 0 || cores < least)) least = cores;
        char *last = strrchr(directory + root, '/');
        if (!last) return least;
        *last = 0;
    }
}

int lossfn__pool_cgroup_cores(const char *self, const char *root) {
    char text[4096], directory[PATH_BYTES];
    long least = 0;
    if (!lossfn__read_text(self, text, sizeof text)) return 0;
    for (char *line = text, *next; *line != 0; line = next) { /* number:controllers:path */
        next = line + strcspn(line, "\n");
        if (*next != 0) *next++ = 0;
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path) continue;
        *controllers++ = *path++ = 0;
        int version = *controllers == 0 ? 2 : 1;
        if (version == 1 && !lists_cpu(controllers)) continue;
        const char *mount = version == 1 ? "/cpu" : "";
        int length = snprintf(directory, sizeof directory, "%s%s%s", root, mount, path);
        if (length < 0 || length >= PATH_BYTES) continue;
        long cores = path_cores(directory, strlen(root) + strlen(mount), version);
        if (cores > 0 && (least == 0 || cores < least)) least = cores;
    }
    return (int)least;
}

/* What the system allows, read once; two threads that do so at the same time find the same. */
static int allowed_cores(void) {
    static atomic_int known;
    int cores = atomic_load(&known);
    if (cores > 0) return cores;
    long online = sysconf(_SC_NPROCESSORS_ONLN);
#ifdef __linux__
    cpu_set_t set; /* too small beyond 1024 cores, where the call fails */
    if (sched_getaffinity(0, sizeof set, &set) == 0) online = CPU_COUNT(&set);
    int quota = lossfn__pool_cgroup_cores("/proc/self/cgroup", "/sys/fs/cgroup");
    if (quota > 0 && quota < online) online = quota;
#endif
    cores = clamp(online);
    atomic_store(&known, cores);
    return cores;
}

static atomic_int chosen_threads; /* 0: not known yet */

int lossfn__pool_default_threads(void) {
    int threads = atomic_load(&chosen_threads);
    if (threads > 0) return threads;
    int saved_errno = errno;
    const char *text = getenv("LOSSFN_NUM_THREADS");
    char *end = NULL;
    long wanted = text ? strtol(text, &end, 10) : 0;
    threads = text && end != text && *end == 0 ? clamp(wanted) : allowed_cores();
    int unknown = 0; /* what another thread has set meanwhile wins */
    if (!atomic_compare_exchange_strong(&chosen_threads, &unknown, threads)) threads = unknown;
    errno = saved_errno;
    return threads;
}

void lossfn__pool_set_default(int threads) { atomic_store(&chosen_threads, threads > 0 ? clamp(threads) : 0); }

int64_t lossfn__pool_clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void relax(void) {
#if defined(__x86_64__)
    __asm__ volatile("pause");
#elif defined(__aarch64__)
    __asm__ volatile("isb"); /* yield is over at once on most cores */
#endif
}

/* Waits a short time for *value to become wanted, and returns whether it did. Now and then it lets others run, for a
 * worker may have woken on the core of the very thread that called it. */
static int spin_until(atomic_int *value, int wanted, int64_t longest_ns) {
    int64_t end = lossfn__pool_clock_ns() + (pool.spins ? longest_ns : 0);
    int rounds = 0;
    do {
        for (int i = 0; i < 8; i++) {
            if (atomic_load(value) == wanted) return 1;
            relax();
        }
        if (++rounds % 4 == 0) sched_yield();
    } while (lossfn__pool_clock_ns() < end);
    return 0;
}

static void call_worker(int i) {
    slot_t *slot = &pool.slot[i];
    if (atomic_exchange(&slot->state, CALLED) != ASLEEP) return;
    pthread_mutex_lock(&slot->mutex);
    pthread_cond_signal(&slot->wake);
    pthread_mutex_unlock(&slot->mutex);
}

/* Whoever works on a job calls two more to it, so that the time to wake many grows with their logarithm. */
static void call_two(int first) {
    for (int i = first; i < first + 2; i++)
        if (i < atomic_load_explicit(&pool.called, memory_order_relaxed)) call_worker(i);
}

static void wait_for_call(slot_t *slot) {
    if (!spin_until(&slot->state, CALLED, WORKER_SPIN_NS)) {
        int expected = AWAKE;
        pthread_mutex_lock(&slot->mutex);
        if (atomic_compare_exchange_strong(&slot->state, &expected, ASLEEP))
            while (atomic_load(&slot->state) == ASLEEP) pthread_cond_wait(&slot->wake, &slot->mutex);
        pthread_mutex_unlock(&slot->mutex);
    }
    atomic_exchange(&slot->state, AWAKE);
}

/* Takes and runs indices until none is left. task, ctx and called belong to the index taken: they change only
 * when all indices of their job are finished. The two workers from `first` on are called to every job but the
 * one numbered `job`: not on waking, for one that is still awake after the last job may be in the next before
 * it is called. */
static void run_indices(int first, uint64_t job) {
    uint64_t ticket = atomic_load(&pool.ticket);
    while ((uint32_t)ticket != 0) {
        if (!atomic_compare_exchange_weak(&pool.ticket, &ticket, ticket - 1)) continue;
        if (ticket >> 32 != job) call_two(first);
        job = ticket >> 32;
        /* A thread inherits the control word of the one that created it, and a callback may leave another
         * behind. */
        lossfn__fpenv_t saved;
        lossfn__fpenv_enter(&saved);
        pool.task(pool.ctx, (int)(uint32_t)ticket);
        lossfn__fpenv_leave(&saved);
        if (atomic_fetch_sub(&pool.unfinished, 1) == 1) {
            pthread_mutex_lock(&pool.done_mutex);
            pthread_cond_signal(&pool.done);
            pthread_mutex_unlock(&pool.done_mutex);
        }
        ticket = atomic_load(&pool.ticket);
    }
}

static void *worker_main(void *arg) {
    slot_t *slot = arg;
    int index = (int)(slot - pool.slot);
    is_worker = 1;
    for (;;) {
        wait_for_call(slot);
        if (atomic_load(&pool.stopping)) return NULL;
        run_indices(2 * index + 2, 0);
    }
}

static void no_workers(void) {
    for (int i = 0; i < pool.workers; i++) atomic_store(&pool.slot[i].state, ABSENT);
    pool.workers = 0;
}

/* In the child of a fork there are no workers, and whoever held the lock may be gone. */
static void forget_workers(void) {
    pthread_mutex_init(&pool.lock, NULL);
    pthread_mutex_init(&pool.done_mutex, NULL);
    pthread_cond_init(&pool.done, NULL);
    atomic_store(&pool.owner, (pthread_t)0);
    atomic_store(&pool.stopping, 0);
    atomic_store(&pool.ticket, 0);
    no_workers();
}

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static void watch_forks(void) { pthread_atfork(NULL, NULL, forget_workers); }

/* Makes sure of so many workers, as far as threads can be had. The lock is held. */
static void ensure_workers(int wanted) {
    if (wanted > MAX_WORKERS) wanted = MAX_WORKERS;
    if (pool.workers >= wanted) return;
    pthread_once(&fork_once, watch_forks);
    if (pool.workers == 0) {
        pool.pid = getpid();
        pool.spins = allowed_cores() > 1;
    }

    /* Signals are for the program's own threads, except for those that a fault in a task raises here. */
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    sigset_t blocked, before;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) sigdelset(&blocked, faults[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    for (; pool.workers < wanted; pool.workers++) {
        slot_t *slot = &pool.slot[pool.workers];
        atomic_store(&slot->state, AWAKE);
        pthread_mutex_init(&slot->mutex, NULL);
        pthread_cond_init(&slot->wake, NULL);
        if (pthread_create(&slot->thread, NULL, worker_main, slot) != 0) break;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void join_workers(void) {
    if (pool.pid != getpid()) { /* a child made without the handlers of fork: they don't exist here */
        no_workers();
        return;
    }
    atomic_store(&pool.stopping, 1);
    for (int i = 0; i < pool.workers; i++) call_worker(i);
    for (int i = 0; i < pool.workers; i++) pthread_join(pool.slot[i].thread, NULL);
    atomic_store(&pool.stopping, 0);
    no_workers();
}

static int try_lock(void) {
    if (pthread_mutex_trylock(&pool.lock) != 0) return 0;
    atomic_store(&pool.owner, pthread_self());
    return 1;
}

/* Fails inside a task, which would wait for itself. */
static int lock(void) {
    if (is_worker || pthread_equal(atomic_load(&pool.owner), pthread_self())) return 0;
    pthread_mutex_lock(&pool.lock);
    atomic_store(&pool.owner, pthread_self());
    return 1;
}

static void unlock(void) {
    atomic_store(&pool.owner, (pthread_t)0);
    pthread_mutex_unlock(&pool.lock);
}

static int run_alone(int threads, void (*task)(void *ctx, int index), void *ctx) {
    for (int i = 0; i < threads; i++) task(ctx, i);
    return 1;
}

/* A sleeping thread answers when a short task is long over, and to wake it costs the caller time. Calls that follow
 * each other closely find it awake from the third on. */
static _Atomic int64_t missed_ns; /* when a call last ended that would have had it awake */

int lossfn__pool_answers(void) {
    const int state = atomic_load_explicit(&pool.slot[0].state, memory_order_relaxed);
    if (state == AWAKE || state == CALLED) return 1;
    return lossfn__pool_clock_ns() - atomic_load_explicit(&missed_ns, memory_order_relaxed) < WORKER_SPIN_NS;
}

void lossfn__pool_missed(void) { atomic_store_explicit(&missed_ns, lossfn__pool_clock_ns(), memory_order_relaxed); }

int lossfn__pool_run(int threads, void (*task)(void *ctx, int index), void *ctx) {
    if (threads < 2 || !try_lock()) return run_alone(threads, task, ctx);
    int saved_errno = errno;
    ensure_workers(threads - 1);
    int called = pool.workers < threads - 1 ? pool.workers : threads - 1;
    if (called == 0) {
        unlock();
        errno = saved_errno;
        return run_alone(threads, task, ctx);
    }
    pool.task = task;
    pool.ctx = ctx;
    atomic_store(&pool.called, called);
    atomic_store(&pool.unfinished, threads);
    uint64_t job = (uint32_t)((atomic_load(&pool.ticket) >> 32) + 1);
    atomic_store(&pool.ticket, job << 32 | (uint32_t)(threads - 1));
    call_two(0);
    task(ctx, 0);
    run_indices(0, job);

    if (!spin_until(&pool.unfinished, 1, CALLER_SPIN_NS)) {
        pthread_mutex_lock(&pool.done_mutex);
        atomic_fetch_sub(&pool.unfinished, 1);
        while (atomic_load(&pool.unfinished) != 0) pthread_cond_wait(&pool.done, &pool.done_mutex);
        pthread_mutex_unlock(&pool.done_mutex);
    }
    unlock();
    errno = saved_errno;
    return called + 1;
}

int lossfn__pool_start(int threads) {
    if (!lock()) return -1;
    int saved_errno = errno;
    ensure_workers(threads - 1);
    int enough = pool.workers >= threads - 1;
    unlock();
    errno = saved_errno;
    return enough ? 0 : -1;
}

void lossfn__pool_stop(void) {
    if (!lock()) return;
    join_workers();
    unlock();
}

/* When the library is unloaded no thread may be left in its code. At the exit of a process this must not wait
 * for a call that runs, nor for itself if a task called exit. */
__attribute__((destructor)) static void stop_at_unload(void) {
    if (!try_lock()) return;
    join_workers();
    unlock();
}
