/* SPDX-License-Identifier: MIT
 * What surrounds a call neither changes its bits nor is changed by it: the floating-point control word, errno, the
 * locale; fork; loading and unloading. Compiled as: cc -std=gnu11 -Iinclude tests/stress/test_environment.c -llossfn
 * -lcmocka -lm -ldl */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "common.h"
#include "comma.h"

#include <dlfcn.h>
#include <errno.h>
#include <fenv.h>
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

static const unsigned base = 0x1f80; /* all masked, nearest */
static const unsigned words[] = {
    0x1f80,          0x1f80 | 0x8000,   0x1f80 | 0x8040,     0x1f80 | 0x2000, 0x1f80 | 0x4000,
    0x1f80 | 0x6000, 0x1f80 & ~0x1f80u, (0x1f80 & ~0x0080u), 0x1f80 | 0x3f,   (0x1f80 & ~0x1000u) | 0x8040};

static void test_control_word(void **state) {
    (void)state;
    for (int32_t i = 0; i < lossfn_count(); i++)
        for (int32_t dtype = LOSSFN_F64; dtype <= LOSSFN_F32; dtype++)
            for (int threads = 1; threads < 3; threads++) {
                uint64_t want = digest(lossfn_name_at(i), dtype, 1);
                for (size_t k = 0; k < sizeof words / sizeof *words; k++)
                    if (digest_under(lossfn_name_at(i), dtype, words[k], threads) != want)
                        fail_msg("%s differs under the control word %x", lossfn_name_at(i), words[k]);
            }
    /* a call that fails restores it too; so does create */
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

/* A digest of what a loss gives by the other ways in; no arithmetic here, under whatever word. */
static uint64_t other_ways(lossfn_t *loss, batch_t *b) {
    const lossfn_tensor_t *pred = &b->inputs[0], *target = b->info.n_inputs > 1 ? &b->inputs[1] : NULL;
    const int64_t units = (int64_t)(b->unit_bytes / b->item);
    lossfn_accumulator_t *sum = NULL;
    double found[16] = {0};
    const double squares[2] = {0.7, 30.1};
    uint64_t h = 0;
    lossfn_forward(loss, pred, target, &b->weight, &found[0], NULL);
    lossfn_forward_backward(loss, pred, target, &b->weight, &found[1], &b->grads[0], NULL);
    h ^= batch_digest(b);
    lossfn_backward(loss, pred, target, &b->weight, &b->grads[0], NULL);
    h = h * 31 ^ batch_digest(b);
    if (b->dtype == LOSSFN_F32)
        lossfn_run_f32(loss, b->shape[0], b->shape[1], pred->data, target ? target->data : NULL, target ? b->dtype : 0,
                       b->weight_data, units, b->mask_data, units, &found[2], b->values_data, units, b->grad_data[0],
                       NULL);
    else
        lossfn_run_f64(loss, b->shape[0], b->shape[1], pred->data, target ? target->data : NULL, target ? b->dtype : 0,
                       b->weight_data, units, b->mask_data, units, &found[2], b->values_data, units, b->grad_data[0],
                       NULL);
    if (lossfn_accumulator_create(&sum, loss) == LOSSFN_OK) {
        b->args.weight = NULL;
        lossfn_accumulator_update(sum, &b->args);
        b->args.weight = &b->weight;
        lossfn_accumulator_update(sum, &b->args);
        lossfn_accumulator_value(sum, &found[3], NULL);
        lossfn_accumulator_parts(sum, 0, &found[4], &found[5]);
    }
    lossfn_accumulator_destroy(sum);
    if (lossfn_has_rho(loss)) {
        lossfn_rho(loss, squares[0], found + 6);
        lossfn_rho_batch(loss, 2, squares, found + 9);
    }
    lossfn_gradient_report_t report = {.struct_size = sizeof report};
    char text[500] = "";
    int64_t length;
    lossfn_check(loss, &b->args, text, sizeof text, &length);
    if (b->dtype == LOSSFN_F32) lossfn_check_gradient(loss, &b->args, &report);
    h = h * 31 ^ batch_digest(b);
    for (size_t i = 0; i < sizeof report; i++) h = (h ^ ((const unsigned char *)&report)[i]) * 1099511628211u;
    for (size_t i = 0; i < sizeof text; i++) h = (h ^ (unsigned char)text[i]) * 1099511628211u;
    for (size_t i = 0; i < sizeof found; i++) h = (h ^ ((const unsigned char *)found)[i]) * 1099511628211u;
    return h;
}

static void test_control_word_of_other_ways(void **state) {
    (void)state;
    for (int32_t i = 0; i <= lossfn_count(); i++)
        for (int32_t dtype = LOSSFN_F64; dtype <= LOSSFN_F32; dtype++) {
            batch_t b;
            const char *name = i < lossfn_count() ? lossfn_name_at(i) : "huber";
            lossfn_t *loss = make(i < lossfn_count() ? name : "0.7*huber - 0.1*mse");
            batch_make(&b, name, dtype, 4, 3);
            put(b.data[0], dtype, 3, 1e-40);
            other_ways(loss, &b); /* what it leaves in the outputs counts as well */
            const uint64_t want = other_ways(loss, &b);
            for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
                const unsigned ordinary = _mm_getcsr();
                _mm_setcsr(words[k]);
                const uint64_t got = other_ways(loss, &b);
                const unsigned after = _mm_getcsr();
                _mm_setcsr(ordinary);
                if (got != want) fail_msg("%s differs under the control word %x", name, words[k]);
                if (after != words[k]) fail_msg("%s left the word %x, not %x", name, after, words[k]);
            }
            batch_free(&b);
            lossfn_destroy(loss);
        }
}
#endif

static void test_errno_and_locale(void **state) {
    (void)state;
    need_decimal_comma();
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
    setlocale(LC_ALL, "C");
}

/* What calls say of a loss and of a batch for it, with every number as its bits or as the library's text. */
static char *told(const char *name) {
    enum { ROOM = 1 << 16 };
    char *text = plain_room(ROOM), part[4096];
    size_t used = 0;
    batch_t b;
    double found[8] = {0}; /* of rows one for each class */
    uint64_t bits;
    lossfn_t *loss = make(name);
    batch_make(&b, name, LOSSFN_F64, ROWS, COLS);
#define TELL(...) used += (size_t)snprintf(text + used, ROOM - used, __VA_ARGS__)
    TELL("%llx\n", (unsigned long long)digest(name, LOSSFN_F64, 1));
    lossfn_status_t status = lossfn_init_score(loss, &b.args, found);
    TELL("init_score %d %s\n", (int)status, status ? lossfn_last_error() : "");
    for (int c = 0; c < COLS; c++) memcpy(&bits, &found[c], sizeof bits), TELL("%llx\n", (unsigned long long)bits);
    status = lossfn_minimum(loss, &b.args);
    TELL("minimum %d %llx %s\n", (int)status, (unsigned long long)batch_digest(&b), status ? lossfn_last_error() : "");
    for (int32_t i = 0; i < b.info.n_inputs; i++) put(b.data[i], LOSSFN_F64, 0, 1.5 + i);
    int64_t length;
    status = lossfn_check(loss, &b.args, part, sizeof part, &length);
    TELL("check %d %s\n", (int)status, status ? lossfn_last_error() : part);
    const int32_t n_params = info_of(name).n_params;
    for (int32_t i = 0; i < n_params + lossfn_common_option_count(); i++) {
        lossfn_param_info_t param = {.struct_size = sizeof param};
        succeed(lossfn_describe_param(name, i, &param));
        TELL("%s = %s\n", param.name, param.default_value);
        if (lossfn_get_text(loss, param.name, part, sizeof part, &length) == LOSSFN_OK) TELL("  is %s\n", part);
        if (lossfn_get_double(loss, param.name, found) == LOSSFN_OK)
            memcpy(&bits, found, sizeof bits), TELL("  is %llx\n", (unsigned long long)bits);
        if (i >= n_params) continue;
        lossfn_t *other = NULL; /* out of its bounds, or not */
        snprintf(part, sizeof part, "%s(%s=-1234.5)", name, param.name);
        status = lossfn_create(&other, part);
        if (status == LOSSFN_OK) lossfn_spec(other, part, sizeof part);
        TELL("  %d %s\n", (int)status, status ? lossfn_last_error() : part);
        lossfn_destroy(other);
    }
#undef TELL
    assert_true(used < ROOM);
    batch_free(&b);
    lossfn_destroy(loss);
    return text;
}

static void test_decimal_comma(void **state) {
    (void)state;
    for (int32_t i = 0; i < lossfn_count(); i++) {
        char *want = told(lossfn_name_at(i));
        need_decimal_comma();
        char *got = told(lossfn_name_at(i));
        setlocale(LC_ALL, "C");
        assert_string_equal(got, want);
        free(got), free(want);
    }
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
    const char *where = getenv("LOSSFN_LIBRARY"); /* the shared one; this program holds the static one */
    assert_non_null(where);
    char copy[] = "/tmp/lossfn-XXXXXX", command[600];
    int fd = mkstemp(copy);
    assert_true(fd >= 0);
    close(fd);
    snprintf(command, sizeof command, "cp -L '%s' '%s'", where, copy);
    assert_int_equal(system(command), 0);
    uint64_t want = 0;
    for (int round = 0; round < 20; round++) {
        void *library = dlopen(copy, RTLD_NOW | RTLD_LOCAL);
        if (!library) fail_msg("%s", dlerror());
        lossfn_status_t (*create)(lossfn_t **, const char *);
        lossfn_status_t (*start)(int32_t);
        lossfn_status_t (*run)(const lossfn_t *, lossfn_args_t *);
        void (*destroy)(lossfn_t *);
        *(void **)&create = dlsym(library, "lossfn_create");
        *(void **)&start = dlsym(library, "lossfn_threads_start");
        *(void **)&run = dlsym(library, "lossfn_run");
        *(void **)&destroy = dlsym(library, "lossfn_destroy");
        lossfn_t *loss = NULL;
        assert_int_equal(create(&loss, "mse"), LOSSFN_OK);
        if (round % 2) assert_int_equal(start(2), LOSSFN_OK); /* or by the call */
        batch_t b;
        lossfn_exec_t exec;
        lossfn_exec_init(&exec);
        exec.threads = 2;
        batch_make(&b, "mse", LOSSFN_F32, 1000, 1000);
        b.args.exec = &exec;
        assert_int_equal(run(loss, &b.args), LOSSFN_OK);
        if (round == 0) want = batch_digest(&b);
        assert_true(batch_digest(&b) == want);
        batch_free(&b);
        destroy(loss);
        assert_int_equal(dlclose(library), 0);
    }
    unlink(copy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#if defined(__x86_64__)
        cmocka_unit_test(test_control_word),
        cmocka_unit_test(test_control_word_of_other_ways),
#endif
        cmocka_unit_test(test_errno_and_locale),
        cmocka_unit_test(test_decimal_comma),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_load_and_unload)
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
