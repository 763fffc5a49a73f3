/* SPDX-License-Identifier: MIT
 * What surrounds a call neither changes its bits nor is changed by it: the floating-point control word, errno, the
 * locale; fork; loading and unloading. Compiled as: cc -std=gnu11 -Iinclude tests/stress/test_environment.c -llossfn
 * -lcmocka -lm -ldl */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "common.h"

#include <dlfcn.h>
#include <errno.h>
#include <fenv.h>
#include <locale.h>
#include <sys/wait.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

static const int64_t ROWS = 41, COLS = 7;

static uint64_t digest(const char *name, int32_t dtype, int threads) {
    batch_t b;
    lossfn_exec_t exec;
    lossfn_t *loss = make(name);
    batch_make(&b, name, dtype, ROWS, COLS);
    put(b.data[0], dtype, 3, 1e-40); /* subnormal in f32 */
    put(b.data[0], dtype, 5, dtype == LOSSFN_F64 ? 3e-310 : 1e-30);
    lossfn_exec_init(&exec);
    exec.threads = threads;
    b.args.exec = &exec;
    succeed(lossfn_run(loss, &b.args));
    uint64_t h = batch_digest(&b);
    batch_free(&b);
    lossfn_destroy(loss);
    return h;
}

#if defined(__x86_64__)
/* Data is made under the ordinary word and the call runs under the foreign one. */
static uint64_t digest_under(const char *name, int32_t dtype, unsigned word, int threads) {
    batch_t b;
    lossfn_exec_t exec;
    lossfn_t *loss = make(name);
    batch_make(&b, name, dtype, ROWS, COLS);
    put(b.data[0], dtype, 3, 1e-40);
    put(b.data[0], dtype, 5, dtype == LOSSFN_F64 ? 3e-310 : 1e-30);
    lossfn_exec_init(&exec);
    exec.threads = threads;
    b.args.exec = &exec;
    unsigned ordinary = _mm_getcsr();
    _mm_setcsr(word);
    lossfn_status_t status = lossfn_run(loss, &b.args);
    unsigned after = _mm_getcsr();
    _mm_setcsr(ordinary);
    succeed(status);
    assert_int_equal(after, word);
    uint64_t h = batch_digest(&b);
    batch_free(&b);
    lossfn_destroy(loss);
    return h;
}

static void test_control_word(void **state) {
    (void)state;
    const unsigned base = 0x1f80; /* all masked, nearest */
    const unsigned words[] = {
        base,          base | 0x8000,   base | 0x8040,     base | 0x2000, base | 0x4000,
        base | 0x6000, base & ~0x1f80u, (base & ~0x0080u), base | 0x3f,   (base & ~0x1000u) | 0x8040};
    for (int32_t i = 0; i < lossfn_count(); i++)
        for (int32_t dtype = LOSSFN_F64; dtype <= LOSSFN_F32; dtype++)
            for (int threads = 1; threads < 3; threads++) {
                uint64_t want = digest(lossfn_name_at(i), dtype, 1);
                for (size_t k = 0; k < sizeof words / sizeof *words; k++)
                    if (digest_under(lossfn_name_at(i), dtype, words[k], threads) != want)
                        fail_msg("%s differs under the control word %x", lossfn_name_at(i), words[k]);
            }
    /* a call that fails restores it too; so do create and the accumulator */
    _mm_setcsr(base | 0xe040);
    assert_int_not_equal(lossfn_run(NULL, NULL), LOSSFN_OK);
    assert_int_equal(_mm_getcsr(), base | 0xe040);
    lossfn_t *loss = NULL;
    lossfn_status_t status = lossfn_create(&loss, "huber(delta=0.1)");
    assert_int_equal(_mm_getcsr(), base | 0xe040);
    _mm_setcsr(base);
    succeed(status);
    double delta;
    succeed(lossfn_get_double(loss, "delta", &delta));
    assert_true(delta == 0.1); /* read as under the ordinary rounding */
    lossfn_destroy(loss);
    loss = NULL;
}
#endif

static void test_errno_and_locale(void **state) {
    (void)state;
    const char *found = NULL;
    const char *locales[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8"};
    for (int i = 0; i < 3 && !found; i++) found = setlocale(LC_ALL, locales[i]);
    char before[256];
    snprintf(before, sizeof before, "%s", setlocale(LC_ALL, NULL));
    for (int32_t i = 0; i < lossfn_count(); i++) {
        errno = 1234;
        digest(lossfn_name_at(i), LOSSFN_F32, 2);
        lossfn_t *loss = NULL;
        assert_int_equal(lossfn_create(&loss, "no_such_loss"), LOSSFN_ERROR_NOT_FOUND);
        assert_int_not_equal(lossfn_create(&loss, "huber(delta=1e999"), LOSSFN_OK);
    }
    errno = 1234;
    lossfn_t *loss = make("huber(delta=1.5)");
    char text[100];
    lossfn_spec(loss, text, sizeof text);
    assert_int_equal(errno, 1234);
    assert_string_equal(text, "huber(delta=1.5)");
    lossfn_destroy(loss);
    assert_string_equal(setlocale(LC_ALL, NULL), before);
}

static void test_fork(void **state) {
    (void)state;
    uint64_t want = digest("bce_with_logits", LOSSFN_F32, 2);
    for (int round = 0; round < 5; round++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            alarm(20);
            int ok = digest("bce_with_logits", LOSSFN_F32, 2) == want && digest("cross_entropy", LOSSFN_F64, 2) != 0;
            _exit(ok ? 0 : 1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_true(digest("bce_with_logits", LOSSFN_F32, 2) == want);
    }
}

/* A second copy of the library, loaded, used with threads, unloaded, many times. */
static void test_load_and_unload(void **state) {
    (void)state;
    Dl_info where;
    assert_int_not_equal(dladdr((void *)(uintptr_t)lossfn_version, &where), 0);
    char copy[] = "/tmp/lossfn-XXXXXX", command[600];
    int fd = mkstemp(copy);
    assert_true(fd >= 0);
    close(fd);
    snprintf(command, sizeof command, "cp -L '%s' '%s'", where.dli_fname, copy);
    assert_int_equal(system(command), 0);
    for (int round = 0; round < 20; round++) {
        void *library = dlopen(copy, RTLD_NOW | RTLD_LOCAL);
        if (!library) fail_msg("%s", dlerror());
        lossfn_status_t (*create)(lossfn_t **, const char *);
        lossfn_status_t (*start)(int32_t);
        void (*destroy)(lossfn_t *);
        *(void **)&create = dlsym(library, "lossfn_create");
        *(void **)&start = dlsym(library, "lossfn_threads_start");
        *(void **)&destroy = dlsym(library, "lossfn_destroy");
        lossfn_t *loss = NULL;
        assert_int_equal(create(&loss, "mse"), LOSSFN_OK);
        assert_int_equal(start(2), LOSSFN_OK);
        destroy(loss);
        assert_int_equal(dlclose(library), 0);
    }
    unlink(copy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#if defined(__x86_64__)
        cmocka_unit_test(test_control_word),
#endif
        cmocka_unit_test(test_errno_and_locale),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_load_and_unload)
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
