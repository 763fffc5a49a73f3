/* SPDX-License-Identifier: MIT
 * More than 2^31 and 2^32 elements: inputs that repeat through strides of 0, outputs on pages that are only touched
 * here and there. Compiled as: cc -std=gnu11 -Iinclude tests/stress/test_large.c -llossfn -lcmocka -lm */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "common.h"

#include <errno.h>
#include <unistd.h>

/* Whether a sanitizer looks at each access. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__SANITIZE_MEMORY__)
enum { SLOW = 1 };
#else
enum { SLOW = 0 };
#endif

static const int64_t MANY = (1ll << 31) + 5;

static lossfn_tensor_t repeated(void *x, int32_t dtype, int32_t ndim, const int64_t *shape) {
    lossfn_tensor_t t;
    const int64_t strides[8] = {0};
    succeed(lossfn_tensor_init_strided(&t, x, dtype, ndim, shape, strides, LOSSFN_TENSOR_READONLY));
    return t;
}

/* Sums over 2^31 + 5 elements of one value are exact. */
static void test_count(void **state) {
    (void)state;
    float pred = 1.5f, target = 0.5f;
    uint8_t keep = 1;
    int64_t shape[1] = {MANY};
    double value, sum, denom;
    lossfn_args_t args;
    lossfn_exec_t exec;
    lossfn_t *loss = make("mae");
    lossfn_tensor_t p = repeated(&pred, LOSSFN_F32, 1, shape), t = repeated(&target, LOSSFN_F32, 1, shape),
                    m = repeated(&keep, LOSSFN_U8, 1, shape);
    (void)m;
    lossfn_exec_init(&exec);
    exec.threads = 0;
    lossfn_args_init(&args);
    args.exec = &exec;
    args.n_inputs = 2;
    args.inputs[0] = &p, args.inputs[1] = &t;
    args.value = &value, args.sum = &sum, args.denom = &denom;
    succeed(lossfn_run(loss, &args));
    assert_true(sum == (double)MANY && denom == (double)MANY && value == 1);
    lossfn_destroy(loss);
}

/* Many elements on few pages: the same memory again and again. */
static char *wound(size_t bytes, size_t turn) {
    const int fd = memfd_create("lossfn", 0);
    char *map = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(fd >= 0 && map != MAP_FAILED && bytes % turn == 0);
    assert_int_equal(ftruncate(fd, (off_t)turn), 0);
    for (size_t at = 0; at < bytes; at += turn)
        assert_true(mmap(map + at, turn, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == map + at);
    close(fd);
    return map;
}

/* More than 2^32 elements, contiguous: nothing on the way holds a count or a place in 32 bits. */
static void test_contiguous(void **state) {
    (void)state;
    const size_t turn = (size_t)1 << 23;
    const int64_t n = (1ll << 32) + (1ll << 22) - 3;
    const size_t bytes = ((size_t)1 << 33) + turn;
    if (SLOW && !getenv("LOSSFN_TEST_LONG")) skip();
    uint16_t *pred = (uint16_t *)wound(bytes, turn), *grad = (uint16_t *)wound(bytes, turn);
    for (size_t i = 0; i < turn / 2; i++) pred[i] = i % 4 ? 0x3f80 : 0xc000; /* 1 and -2 in bf16 */
    uint16_t zero = 0;
    double value, sum, denom;
    lossfn_tensor_t p, t = repeated(&zero, LOSSFN_BF16, 1, &n), g;
    lossfn_args_t args;
    lossfn_exec_t exec;
    lossfn_exec_init(&exec);
    exec.threads = 0;
    lossfn_args_init(&args);
    succeed(lossfn_tensor_init_const(&p, pred, LOSSFN_BF16, 1, &n));
    succeed(lossfn_tensor_init(&g, grad, LOSSFN_BF16, 1, &n));
    args.exec = &exec;
    args.n_inputs = 2;
    args.inputs[0] = &p, args.inputs[1] = &t, args.grads[0] = &g;
    args.value = &value, args.sum = &sum, args.denom = &denom;
    lossfn_t *loss = make("mae");
    succeed(lossfn_run(loss, &args));
    assert_true(denom == (double)n);
    assert_true(sum == (double)(n + (n + 3) / 4)); /* one in four is 2 */
    assert_true(value == sum / denom);
    const uint16_t slope = 0x2f80; /* 2^-32, which 1/n rounds to */
    for (size_t i = 0; i < turn / 2 - 4; i++) assert_int_equal(grad[i], i % 4 ? slope : slope | 0x8000);
    lossfn_destroy(loss);
    munmap(pred, bytes), munmap(grad, bytes);
}

/* 65537 rows of 32768 classes: an ignored row is not touched, so only two rows of the gradient ever get memory. */
static void test_rows(void **state) {
    (void)state;
    const int64_t shape[2] = {65537, 32768};
    size_t bytes = (size_t)shape[0] * (size_t)shape[1] * 2;
    float zero = 0;
    lossfn_tensor_t p, t, g;
    int64_t *labels = calloc((size_t)shape[0], sizeof *labels);
    double value;
    lossfn_t *loss = make("cross_entropy(reduction=sum, ignore_index=-100)");
    assert_non_null(labels);
    /* two kept rows in the middle of nothing, addressed by a stride of more than 2^31 elements */
    uint16_t *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(map != MAP_FAILED);
    const int64_t two[2] = {2, shape[1]}, strides[2] = {65536 * shape[1], 1}, none[2] = {0, 0};
    succeed(lossfn_tensor_init_strided(&p, &zero, LOSSFN_F32, 2, two, none, LOSSFN_TENSOR_READONLY));
    succeed(lossfn_tensor_init_const(&t, labels, LOSSFN_I64, 1, two));
    succeed(lossfn_tensor_init_strided(&g, map, LOSSFN_F16, 2, two, strides, 0));
    succeed(lossfn_forward_backward(loss, &p, &t, NULL, &value, &g, NULL));
    assert_true(value > 20.79 && value < 20.80);
    uint16_t minus_one = 0xbc00; /* -1 + 2^-15 rounds to -1 in f16 */
    assert_int_equal(map[0], minus_one);
    assert_int_equal(map[(size_t)65536 * (size_t)shape[1]], minus_one);
    assert_int_equal(map[(size_t)65536 * (size_t)shape[1] + 1], map[1]);
    assert_int_equal(map[(size_t)65535 * (size_t)shape[1]], 0);
    munmap(map, bytes);
    free(labels);
    lossfn_destroy(loss);
}

/* Outputs larger than the caches are written around them: the same bits as through them, from any place on, and nothing
 * beside them. */
static void test_streams(void **state) {
    (void)state;
    enum { OUTSIDE = 40 };
    const long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
    const int64_t n = (cache > 0 && cache < 1l << 28 ? cache : 1l << 25) / 4 + 4099;
    const size_t bytes = (size_t)(n + OUTSIDE) * sizeof(float);
    float *pred = malloc(bytes), *target = malloc(bytes), *around = malloc(bytes), *through = malloc(bytes);
    assert_true(pred && target && around && through);
    for (int64_t i = 0; i < n + OUTSIDE; i++) {
        pred[i] = (float)(i % 1013) * 0.37f - 100;
        target[i] = (float)(i % 511) - 200;
    }
    lossfn_t *loss = make("huber(delta=50)");
    lossfn_exec_t exec;
    lossfn_exec_init(&exec);
    for (int64_t start = 0; start < 17; start += 3) {
        lossfn_tensor_t p, t, g[2];
        double value[2];
        for (int k = 0; k < 2; k++) {
            float *out = k ? through : around;
            for (int64_t i = 0; i < n + OUTSIDE; i++) out[i] = -77;
            succeed(lossfn_tensor_init_const(&p, pred + 1, LOSSFN_F32, 1, &n));
            succeed(lossfn_tensor_init_const(&t, target, LOSSFN_F32, 1, &n));
            succeed(lossfn_tensor_init(&g[k], out + start, LOSSFN_F32, 1, &n));
            exec.flags = k ? LOSSFN_EXEC_CACHED : 0;
            exec.threads = start % 2 ? 2 : 1;
            succeed(lossfn_forward_backward(loss, &p, &t, NULL, &value[k], &g[k], &exec));
        }
        assert_memory_equal(around, through, bytes);
        assert_true(value[0] == value[1]);
        for (int64_t i = 0; i < start; i++) assert_true(around[i] == -77);
        for (int64_t i = start + n; i < n + OUTSIDE; i++) assert_true(around[i] == -77);
    }
    exec.flags = 2;
    lossfn_tensor_t p;
    double value;
    const int64_t one = 1;
    succeed(lossfn_tensor_init_const(&p, pred, LOSSFN_F32, 1, &one));
    assert_int_equal(lossfn_forward(loss, &p, &p, NULL, &value, &exec), LOSSFN_ERROR_ARGUMENT);
    free(pred), free(target), free(around), free(through);
    lossfn_destroy(loss);
}

/* The same for rows of classes, whose length is no multiple of a vector. */
static void test_streamed_rows(void **state) {
    (void)state;
    enum { CLASSES = 1003, OUTSIDE = 40 };
    const long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
    const int64_t rows = (cache > 0 && cache < 1l << 28 ? cache : 1l << 25) / 4 / CLASSES + 3, n = rows * CLASSES;
    const int64_t shape[] = {rows, CLASSES};
    const size_t bytes = (size_t)(n + OUTSIDE) * sizeof(float);
    float *pred = malloc(bytes), *around = malloc(bytes), *through = malloc(bytes);
    uint16_t *labels = malloc((size_t)rows * sizeof *labels);
    assert_true(pred && around && through && labels);
    for (int64_t i = 0; i < n + OUTSIDE; i++) pred[i] = (float)(i * 7919 % 1013) * 0.037f - 17;
    for (int64_t i = 0; i < rows; i++) labels[i] = (uint16_t)(i * 31 % (CLASSES + 1));
    lossfn_t *loss = make("cross_entropy(ignore_index=1003)");
    lossfn_exec_t exec;
    lossfn_exec_init(&exec);
    for (int64_t start = 0; start < 17; start += 7) {
        lossfn_tensor_t p, t, g;
        double value[2];
        for (int k = 0; k < 2; k++) {
            float *out = k ? through : around;
            for (int64_t i = 0; i < n + OUTSIDE; i++) out[i] = -77;
            succeed(lossfn_tensor_init_const(&p, pred + 1, LOSSFN_F32, 2, shape));
            succeed(lossfn_tensor_init_const(&t, labels, LOSSFN_U16, 1, shape));
            succeed(lossfn_tensor_init(&g, out + start, LOSSFN_F32, 2, shape));
            exec.flags = k ? LOSSFN_EXEC_CACHED : 0;
            succeed(lossfn_forward_backward(loss, &p, &t, NULL, &value[k], &g, &exec));
        }
        assert_memory_equal(around, through, bytes);
        assert_true(value[0] == value[1]);
        for (int64_t i = 0; i < start; i++) assert_true(around[i] == -77);
        for (int64_t i = start + n; i < n + OUTSIDE; i++) assert_true(around[i] == -77);
    }
    free(pred), free(around), free(through), free(labels);
    lossfn_destroy(loss);
}

/* Sizes that overflow are refused. */
static void test_overflow(void **state) {
    (void)state;
    double x = 0;
    lossfn_tensor_t t;
    const int64_t shapes[][2] = {
        {1ll << 62, 2}, {1ll << 32, 1ll << 32}, {INT64_MAX, 1}, {INT64_MAX / 8 + 1, 1}, {-1, 3}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        assert_int_equal(lossfn_tensor_init(&t, &x, LOSSFN_F64, 2, shapes[i]), LOSSFN_ERROR_SHAPE);
    lossfn_t *loss = make("mse");
    double value = -1;
    assert_int_not_equal(
        lossfn_run_f64(loss, 1ll << 40, 1ll << 40, &x, &x, LOSSFN_F64, NULL, 0, NULL, 0, &value, NULL, 0, NULL, NULL),
        LOSSFN_OK);
    assert_int_not_equal(lossfn_run_f64(loss, -1, 3, &x, &x, LOSSFN_F64, NULL, 0, NULL, 0, &value, NULL, 0, NULL, NULL),
                         LOSSFN_OK);
    assert_true(value == -1);
    lossfn_destroy(loss);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_count),         cmocka_unit_test(test_contiguous),
                                       cmocka_unit_test(test_rows),          cmocka_unit_test(test_streams),
                                       cmocka_unit_test(test_streamed_rows), cmocka_unit_test(test_overflow)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
