/* SPDX-License-Identifier: MIT
 * Status codes, messages, tensors, versions, and the nearest name. Compiled as unit.h says. */
#include "unit.h"
#include "core/status.h"
#include "core/text.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static void test_table(void **unused) {
    (void)unused;
#define IS_KNOWN(name, number, text)                                                                                   \
    assert_string_equal(lossfn_status_name(number), #name);                                                            \
    assert_string_equal(lossfn_status_text(number), text);
    LOSSFN_STATUS_TABLE(IS_KNOWN)
#undef IS_KNOWN
    assert_string_equal(lossfn_status_text(LOSSFN_ERROR_SHAPE), "shapes do not fit");
    assert_string_equal(lossfn_status_name(1), "unknown status");
    assert_string_equal(lossfn_status_text(-99), "unknown status");
}

static void test_version(void **unused) {
    char text[32];
    (void)unused;
    snprintf(text, sizeof text, "%d.%d.%d", LOSSFN_VERSION_MAJOR, LOSSFN_VERSION_MINOR, LOSSFN_VERSION_PATCH);
    assert_string_equal(lossfn_version_string(), text);
    assert_int_equal(lossfn_version(),
                     10000 * LOSSFN_VERSION_MAJOR + 100 * LOSSFN_VERSION_MINOR + LOSSFN_VERSION_PATCH);
    assert_int_equal(lossfn_abi_version(), LOSSFN_ABI_VERSION);
}

static void test_message(void **unused) {
    char copy[8];
    (void)unused;
    errno = 17;
    assert_int_equal(lossfn__fail(LOSSFN_ERROR_SHAPE, "target has %d rows", 3), LOSSFN_ERROR_SHAPE);
    assert_int_equal(errno, 17);
    assert_string_equal(lossfn_last_error(), "target has 3 rows");
    lossfn__fail(LOSSFN_ERROR_SHAPE, "before: %s", lossfn_last_error()); /* the old message in the new */
    assert_string_equal(lossfn_last_error(), "before: target has 3 rows");
    lossfn__fail(LOSSFN_ERROR_SPEC, "a\nb\tc\x7f");
    assert_string_equal(lossfn_last_error(), "a?b?c?"); /* one line, whatever a caller's text held */
    lossfn__copy_message(copy, 4);
    assert_string_equal(copy, "a?b");
    lossfn__copy_message(NULL, 4);
    lossfn__fail(LOSSFN_ERROR_SPEC, "\xc3\xa4\xc3\xa4");
    lossfn__copy_message(copy, 4); /* not inside a character */
    assert_string_equal(copy, "\xc3\xa4");
    lossfn__fail(LOSSFN_ERROR_SPEC, "\x80\x81\x82\x83"); /* no character begins there, so there is none to keep */
    lossfn__copy_message(copy, 4);
    assert_string_equal(copy, "");
    lossfn_t *loss = NULL;
    strcpy(copy, "kept");
    assert_int_equal(lossfn_create_msg(&loss, "no such loss", copy, 0), LOSSFN_ERROR_NOT_FOUND);
    assert_int_equal(lossfn_create_msg(&loss, "no such loss", copy, -1), LOSSFN_ERROR_NOT_FOUND);
    assert_string_equal(copy, "kept");
}

static void test_long_message(void **unused) {
    char text[2000] = "x";
    (void)unused;
    for (int i = 0; i < 900; i++) strcat(text, "\xc3\xa4");
    lossfn__fail(LOSSFN_ERROR_SPEC, "%s", text);
    const char *cut = lossfn_last_error();
    size_t n = strlen(cut);
    assert_true(n < 512 && n > 500);
    assert_string_equal(cut + n - 3, "...");
    assert_false(((unsigned char)cut[n - 4] & 0xc0) == 0xc0); /* no half character before the dots */
    assert_memory_equal(cut, text, n - 3);
    memset(text, 0x80, 600); /* not even the beginning of a character */
    text[600] = 0;
    lossfn__fail(LOSSFN_ERROR_SPEC, "%s", text);
    assert_string_equal(lossfn_last_error(), "...");
}

static void *look(void *seen) {
    *(int *)seen = *lossfn_last_error() != 0;
    return NULL;
}

static void test_message_belongs_to_the_thread(void **unused) {
    pthread_t thread;
    int seen = 1;
    (void)unused;
    lossfn__fail(LOSSFN_ERROR_SPEC, "here");
    assert_int_equal(pthread_create(&thread, NULL, look, &seen), 0);
    pthread_join(thread, NULL);
    assert_int_equal(seen, 0);
    lossfn_t *loss;
    assert_int_equal(lossfn_create(&loss, "mse"), LOSSFN_OK); /* success leaves it alone */
    lossfn_destroy(loss);
    assert_string_equal(lossfn_last_error(), "here");
}

/* ---- Tensors ----------------------------------------------------------------------------------------------------- */

static void test_dtypes(void **unused) {
    (void)unused;
    assert_int_equal(lossfn_dtype_size(LOSSFN_F64), 8);
    assert_int_equal(lossfn_dtype_size(LOSSFN_BF16), 2);
    assert_int_equal(lossfn_dtype_size(LOSSFN_BOOL), 1);
    assert_string_equal(lossfn_dtype_name(LOSSFN_F16), "float16");
    assert_string_equal(lossfn_dtype_name(LOSSFN_U32), "uint32");
    assert_int_equal(lossfn_dtype_size(0), 0);
    assert_int_equal(lossfn_dtype_size(14), 0);
    assert_null(lossfn_dtype_name(-1));
    for (int32_t i = LOSSFN_F64; i <= LOSSFN_BOOL; i++) assert_true(lossfn_dtype_size(i) && *lossfn_dtype_name(i));
}

static void test_tensors(void **unused) {
    lossfn_tensor_t t;
    float data[6];
    int64_t shape[2] = {3, 2}, strides[2] = {-1, 3};
    (void)unused;
    memset(&t, 0xff, sizeof t);
    assert_int_equal(lossfn_tensor_init(&t, data, LOSSFN_F32, 2, shape), LOSSFN_OK);
    assert_true(t.data == data && t.ndim == 2 && t.shape[0] == 3 && t.shape[2] == 0);
    assert_true(t.strides[0] == 2 && t.strides[1] == 1 && t.flags == 0 && t.device_type == LOSSFN_DEVICE_CPU);
    assert_true(t.device_id == 0 && t.reserved0 == 0 && t.reserved[3] == 0);
    assert_int_equal(lossfn_tensor_init_const(&t, data, LOSSFN_F32, 0, NULL), LOSSFN_OK);
    assert_int_equal(t.flags, LOSSFN_TENSOR_READONLY);
    assert_int_equal(lossfn_tensor_init_strided(&t, data, LOSSFN_F32, 2, shape, strides, 0), LOSSFN_OK);
    assert_int_equal(t.flags, LOSSFN_TENSOR_STRIDED);
    assert_true(t.strides[0] == -1 && t.strides[1] == 3);
}

static void check_refused(lossfn_tensor_t *t, int32_t dtype, int32_t ndim, const int64_t *shape, lossfn_status_t wanted,
                          const char *message) {
    lossfn_tensor_t before = *t;
    assert_int_equal(lossfn_tensor_init(t, NULL, dtype, ndim, shape), wanted);
    assert_string_equal(lossfn_last_error(), message);
    assert_memory_equal(t, &before, sizeof before);
}

static void test_tensor_errors(void **unused) {
    lossfn_tensor_t t = {0};
    const int64_t negative[2] = {3, -1}, huge[3] = {INT64_MAX / 4, 2, 2}, empty[3] = {INT64_MAX, 0, INT64_MAX};
    (void)unused;
    check_refused(&t, LOSSFN_F32, 9, negative, LOSSFN_ERROR_ARGUMENT, "ndim is 9, must be 0 to 8");
    check_refused(&t, LOSSFN_F32, -1, negative, LOSSFN_ERROR_ARGUMENT, "ndim is -1, must be 0 to 8");
    check_refused(&t, 0, 1, negative, LOSSFN_ERROR_DTYPE, "dtype is 0, must be a lossfn_dtype (1 to 13)");
    check_refused(&t, LOSSFN_F32, 1, NULL, LOSSFN_ERROR_ARGUMENT, "shape is NULL, ndim is 1");
    check_refused(&t, LOSSFN_F32, 2, negative, LOSSFN_ERROR_SHAPE, "shape (3, -1) has an extent below 0");
    check_refused(&t, LOSSFN_F32, 3, huge, LOSSFN_ERROR_SHAPE,
                  "shape (2305843009213693951, 2, 2) of items of 4 bytes exceeds 2^63-1 bytes");
    assert_int_equal(lossfn_tensor_init(&t, NULL, LOSSFN_U8, 3, huge), LOSSFN_OK);
    assert_int_equal(lossfn_tensor_init(&t, NULL, LOSSFN_F64, 3, empty), LOSSFN_OK);
    assert_int_equal(lossfn_tensor_init(NULL, NULL, LOSSFN_F64, 0, NULL), LOSSFN_ERROR_ARGUMENT);
    assert_int_equal(lossfn_tensor_init_strided(&t, NULL, LOSSFN_F64, 2, empty, NULL, 0), LOSSFN_ERROR_ARGUMENT);
    assert_int_equal(lossfn_tensor_init_strided(&t, NULL, LOSSFN_F64, 2, empty, empty, 4), LOSSFN_ERROR_ARGUMENT);
}

/* ---- Text -------------------------------------------------------------------------------------------------------- */

static int near(const char *wanted, const char *candidate) {
    lossfn__nearest_t nearest;
    lossfn__nearest_start(&nearest, lossfn__piece(wanted));
    lossfn__nearest_offer(&nearest, lossfn__piece(candidate));
    return lossfn__nearest_found(&nearest) ? nearest.distance : -1;
}

static void test_nearest(void **unused) {
    (void)unused;
    assert_int_equal(near("huber", "huber"), 0);
    assert_int_equal(near("Huber_Loss", "huber"), 0);
    assert_int_equal(near("hubre", "huber"), 1); /* a swap is one step */
    assert_int_equal(near("huer", "huber"), 1);
    assert_int_equal(near("hubber", "huber"), 1);
    assert_int_equal(near("x", "huber"), -1);
    assert_int_equal(near("x", "y"), -1); /* nothing of it is left */
    assert_int_equal(near("", "huber"), -1);
}

static void test_shape_text(void **unused) {
    char buf[192];
    const int64_t shape[8] = {INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN, INT64_MIN};
    (void)unused;
    assert_string_equal(lossfn__format_shape(2, (int64_t[]){3, 2}, buf), "(3, 2)");
    assert_string_equal(lossfn__format_shape(1, (int64_t[]){3}, buf), "(3,)");
    assert_string_equal(lossfn__format_shape(0, NULL, buf), "()");
    assert_int_equal(strlen(lossfn__format_shape(8, shape, buf)), 8 * 20 + 7 * 2 + 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_message),
        cmocka_unit_test(test_long_message),
        cmocka_unit_test(test_message_belongs_to_the_thread),
        cmocka_unit_test(test_dtypes),
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_tensor_errors),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_shape_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
