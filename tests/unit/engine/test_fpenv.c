/* cc -std=c11 -Isrc/engine tests/unit/engine/test_fpenv.c -lcmocka -lm */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <fenv.h>
#include <float.h>
#include <cmocka.h>

#include "fpenv.h"

/* Results that change with rounding or flushing; volatile so that they are computed where they stand. */
static int computes_by_default(void) {
    volatile double one = 1, tiny = 0x1p-60, least = DBL_TRUE_MIN, half = 0.5, small = DBL_MIN;
    volatile float least_f = FLT_TRUE_MIN, small_f = FLT_MIN;
    return one + tiny == 1 && one - tiny == 1 && -one - tiny == -1 && least * 2 > least && small * half > 0 &&
           least_f * 2 > least_f && small_f / 2 > 0;
}

#if defined(__x86_64__)
static const uint32_t foreign_words[] = {
    0x9F80,        /* FTZ */
    0x1FC0,        /* DAZ */
    0x9FC0,        /* both */
    0x3F80,        /* down */
    0x5F80,        /* up */
    0x7F80,        /* towards zero */
    0x1D00,        /* traps on division by zero and invalid operations */
    0x9FC0 | 0x3F, /* with all flags raised */
};
#elif defined(__aarch64__)
static const uint32_t foreign_words[] = {UINT32_C(1) << 24, UINT32_C(1) << 22, UINT32_C(2) << 22, UINT32_C(3) << 22,
                                         UINT32_C(1) << 25};
#else
static const uint32_t foreign_words[] = {0};
#endif

static void foreign_words_come_back(void **unused) {
    (void)unused;
    for (size_t i = 0; i < sizeof foreign_words / sizeof foreign_words[0]; i++) {
        uint64_t ours = lossfn__fpenv_get();
        lossfn__fpenv_set(foreign_words[i]);
        lossfn__fpenv_t saved;
        lossfn__fpenv_enter(&saved);
        int right = computes_by_default();
        volatile double zero = 0, one = 1, infinite = one / zero; /* raises a flag, and traps under a foreign mask */
        (void)infinite;
        lossfn__fpenv_leave(&saved);
        uint64_t left = lossfn__fpenv_get();
        lossfn__fpenv_set(ours);
        assert_true(right);
        assert_int_equal(left, foreign_words[i]);
    }
}

/* The words above are foreign indeed: without the guard the same results differ. */
static void foreign_words_matter(void **unused) {
    (void)unused;
#if defined(__x86_64__) || defined(__aarch64__)
    uint64_t ours = lossfn__fpenv_get();
    for (int i = 0; i < 4; i++) {
        lossfn__fpenv_set(foreign_words[i]);
        int right = computes_by_default();
        lossfn__fpenv_set(ours);
        assert_false(right);
    }
#else
    skip();
#endif
}

static void default_word_is_left_alone(void **unused) {
    (void)unused;
    feclearexcept(FE_ALL_EXCEPT);
    uint64_t before = lossfn__fpenv_get();
    lossfn__fpenv_t saved;
    lossfn__fpenv_enter(&saved);
    assert_false(saved.foreign);
    assert_true(computes_by_default());
    lossfn__fpenv_leave(&saved);
    assert_int_equal(lossfn__fpenv_get() & LOSSFN__FPENV_CONTROL, before & LOSSFN__FPENV_CONTROL);
    feraiseexcept(FE_INEXACT); /* flags that the caller has raised are not foreign */
    lossfn__fpenv_enter(&saved);
    assert_false(saved.foreign);
    lossfn__fpenv_leave(&saved);
    assert_true(fetestexcept(FE_INEXACT));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(foreign_words_come_back),
        cmocka_unit_test(foreign_words_matter),
        cmocka_unit_test(default_word_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
