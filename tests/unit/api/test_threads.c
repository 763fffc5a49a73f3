/* SPDX-License-Identifier: MIT
 * How many threads there are; what they do is in unit/engine/test_pool.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "lossfn/lossfn.h"

static void threads_of_a_call(void **unused) {
    (void)unused;
    const int32_t threads = lossfn_num_threads();
    assert_true(threads >= 1);
    assert_int_equal(lossfn_threads_start(threads), LOSSFN_OK);
    assert_int_equal(lossfn_num_threads(), threads);
    lossfn_threads_stop();
    assert_int_equal(lossfn_num_threads(), threads);
    const int32_t wrong[] = {-1, 257};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(lossfn_threads_start(wrong[i]), LOSSFN_ERROR_ARGUMENT);
        assert_int_equal(lossfn_set_num_threads(wrong[i]), LOSSFN_ERROR_ARGUMENT);
        assert_int_equal(lossfn_num_threads(), threads);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(threads_of_a_call)};
    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
