/* SPDX-License-Identifier: MIT
 * One thread beside all threads, over sizes and in turns: whether sharing ever loses, how much of the threads
 * arithmetic gets, and what it costs to wake them.
 *     bench_threads [turns] [threads] */
#include "common.h"

enum { LARGEST = 1 << 24 };

typedef struct job {
    lossfn_t *loss;
    lossfn_args_t args;
    lossfn_exec_t exec;
    lossfn_tensor_t p, t, g;
    double value;
} job_t;

static void call(void *context) {
    job_t *job = context;
    require(lossfn_run(job->loss, &job->args));
}

static void set_up(job_t *job, lossfn_t *loss, int threads, int64_t n, float *const data[3]) {
    memset(job, 0, sizeof *job);
    lossfn_args_init(&job->args);
    lossfn_exec_init(&job->exec);
    require(lossfn_tensor_init_const(&job->p, data[0], LOSSFN_F32, 1, &n));
    require(lossfn_tensor_init_const(&job->t, data[1], LOSSFN_F32, 1, &n));
    require(lossfn_tensor_init(&job->g, data[2], LOSSFN_F32, 1, &n));
    job->loss = loss;
    job->exec.threads = threads;
    job->args.exec = &job->exec;
    job->args.n_inputs = 2;
    job->args.inputs[0] = &job->p;
    job->args.inputs[1] = &job->t;
    job->args.grads[0] = &job->g;
    job->args.value = &job->value;
}

static void count_pieces(void *user, int32_t n, lossfn_task_t task, void *context) {
    if (*(int32_t *)user < n) *(int32_t *)user = n;
    for (int32_t i = 0; i < n; i++) task(context, i);
}

/* Into how many pieces the library cuts this call: 1 when it is not shared. */
static int pieces(const job_t *shared) {
    job_t job = *shared;
    int32_t most = 1;
    job.exec.parallel_for = count_pieces;
    job.exec.parallel_user = &most;
    job.args.exec = &job.exec;
    call(&job);
    return most;
}

/* Best seconds of a call after a pause in which the library's threads have gone to sleep. */
static double after_pause(job_t *job, int turns) {
    double best = 1;
    for (int turn = 0; turn < turns; turn++) {
        struct timespec pause = {0, 300000};
        double until, start, seconds;
        nanosleep(&pause, NULL);
        until = now() + 30e-6; /* until this thread itself has come back to speed */
        while ((start = now()) < until) continue;
        call(job);
        seconds = now() - start;
        if (seconds < best) best = seconds;
    }
    return best;
}

static void measure(const char *name, int threads, int turns, float *const data[3]) {
    lossfn_t *loss;
    job_t single, shared;
    contestant_t who[] = {{"one", call, &single}, {"all", call, &shared}};
    require(lossfn_create(&loss, name));
    for (int64_t n = 1024; n <= LARGEST; n *= 2) {
        int calls = (int)(500000 / n);
        set_up(&single, loss, 1, n, data);
        set_up(&shared, loss, threads, n, data);
        printf("{\"program\": \"threads\", \"loss\": \"%s\", \"threads\": %d, \"pieces\": %d, \"elements\": %lld, ",
               name, threads, pieces(&shared), (long long)n);
        take_turns(who, 2, turns, calls > 1 ? calls : 1);
        printf(", \"after_pause\": {\"one\": %.4g, \"all\": %.4g}}\n", after_pause(&single, turns),
               after_pause(&shared, turns));
        fflush(stdout);
    }
    lossfn_destroy(loss);
}

int main(int argc, char **argv) {
    static const char *const names[] = {"mse", "bce_with_logits"};
    int turns = (int)argument(argc, argv, 1, 15), threads = (int)argument(argc, argv, 2, lossfn_num_threads());
    float *data[3];
    uint64_t random = 88172645463325252U;
    if (turns > MOST_TURNS) turns = MOST_TURNS;
    for (int i = 0; i < 3; i++) data[i] = allocate((size_t)LARGEST * 4);
    for (int i = 0; i < LARGEST; i++) {
        data[0][i] = (float)(random_bits(&random) >> 8) * 0x1p-22F - 2;
        data[1][i] = (float)(random_bits(&random) & 1);
    }
    require(lossfn_threads_start(threads));
    for (int i = 0; i < 2; i++) measure(names[i], threads, turns, data);
    for (int i = 0; i < 3; i++) free(data[i]);
    return 0;
}
