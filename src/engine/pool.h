/* A small pool of threads. Everything here may be called from any thread and changes neither errno nor signal
 * masks. */
#ifndef LOSSFN_ENGINE_POOL_H
#define LOSSFN_ENGINE_POOL_H

#include <stdint.h>

#define LOSSFN__POOL_MAX_THREADS 256

/* Runs task(ctx, 0) on the calling thread and task(ctx, 1) to task(ctx, threads - 1) on whichever thread is
 * free first, the calling one too; returns when all are done. Tasks must not wait for each other: where the
 * pool is busy with another call, or this call comes from a task, the calling thread runs them all itself.
 * Creates missing workers; where that fails there are fewer. Returns how many threads were called on, 1 for the
 * calling one alone. */
int lossfn__pool_run(int threads, void (*task)(void *ctx, int index), void *ctx);

/* Whether workers are awake, or missed so short a time ago that it pays to wake them; work that takes long need not
 * ask. A call that did not get them says at its end that it missed them. */
int lossfn__pool_answers(void);
void lossfn__pool_missed(void);

/* The monotonic clock. */
int64_t lossfn__pool_clock_ns(void);

/* Creates the workers for calls on so many threads, so that those allocate nothing. -1 where not all can be
 * had; also from inside a task. */
int lossfn__pool_start(int threads);

/* Ends all workers, after the running call if there is one; a later call creates new ones. Does nothing inside
 * a task. */
void lossfn__pool_stop(void);

/* LOSSFN_NUM_THREADS if set, else the cores that affinity and the cgroup's quota allow, rounded up; read
 * once. 1..256. */
int lossfn__pool_default_threads(void);

/* Replaces that number, held to 1..256; 0 or less goes back to the automatic one. */
void lossfn__pool_set_default(int threads);

/* The cores that the cgroups of a process may use together, rounded up; 0 without a quota. self:
 * "/proc/self/cgroup", root: "/sys/fs/cgroup" (tests give others). */
int lossfn__pool_cgroup_cores(const char *self, const char *root);

#endif
