/* The functions of simd/trig.h; as test_math.c, with the argument `bits` too. */
#include "measure.h"
#include "simd/trig.h"

APPLY(atan, v_atan(x))
APPLY(sin, v_sin(x))
APPLY(cos, v_cos(x))
APPLY(sinpi, v_sinpi(x))
APPLY(cospi, v_cospi(x))
ONE_ARGUMENT(atan)
ONE_ARGUMENT(sin)
ONE_ARGUMENT(cos)
ONE_ARGUMENT(sinpi)
ONE_ARGUMENT(cospi)
C_ARGUMENT(atan)
C_ARGUMENT(sin)
C_ARGUMENT(cos)

static const struct function functions[] = {
    ROW(atan, atan, 0.8, 0.75),   ROW(sin, sin, 0.85, 0.85),       ROW(cos, cos, 0.85, 0.85),
    EXACT(sinpi, sinpi, 1, 0.85), EXACT(cospi, cospi, 0.85, 0.85),
};

/* The two f64 nearest to multiples of pi/2, of their own size and of all (R. C. Ng's and W. Kahan's). */
static void worst_arguments(void **unused) {
    (void)unused;
    if (sizeof(REAL) == 4) return;
    REAL lane[LANES];
    v_store(lane, v_cos(v_set(0x1.6ac5b262ca1ffp849)));
    assert_true(fabs((double)lane[0]) == 4.6871659242546277e-19);
    v_store(lane, v_sin(v_set(0x1.921fb54442d18p1)));
    assert_true((double)lane[0] == 0x1.1a62633145c07p-53);
}

int main(int argc, char **argv) {
    tested = functions, tested_count = sizeof functions / sizeof functions[0];
    if (argc > 1 && strcmp(argv[1], "bits") == 0) return print_bits(), 0;
    const struct CMUnitTest tests[] = {
        MEASURING_TESTS,
        cmocka_unit_test(worst_arguments),
    };
    return cmocka_run_group_tests_name("simd trig", tests, NULL, NULL);
}
