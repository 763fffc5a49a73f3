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
/* The C library has none. |x| = quarters/2 + *rest modulo 2, exactly; rest at most 1/4 */
static int half_turns(double x, double *rest) {
    const double a = fabs(x) < 0x1p24 ? fmod(fabs(x), 2) : 0; /* every f32 beyond is even */
    const int quarters = (int)(2 * a + 0.5);
    *rest = a - 0.5 * quarters;
    return quarters & 3;
}
static double c_sinpi(double x, double y) {
    (void)y;
    if (!isfinite(x)) return NAN;
    double rest;
    const int quarters = half_turns(x, &rest);
    const double sine = quarters & 1 ? cos(acos(-1) * rest) : sin(acos(-1) * rest);
    return sine == 0 ? copysign(0, x) : !(quarters & 2) == (x > 0) ? sine : -sine;
}
static double c_cospi(double x, double y) {
    (void)y;
    if (!isfinite(x)) return NAN;
    double rest;
    const int quarters = half_turns(x, &rest);
    const double cosine = quarters & 1 ? sin(acos(-1) * rest) : cos(acos(-1) * rest);
    return ((quarters + 1) & 2 ? -cosine : cosine) + 0.0;
}

static const struct function functions[] = {
    ROW(atan, atan, 0.85, 0.75), ROW(sin, sin, 0.85, 0.85),     ROW(cos, cos, 0.85, 0.85),
    ROW(sinpi, sinpi, 1, 1),     ROW(cospi, cospi, 0.85, 0.85),
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
    int code;
    if (measured(argc, argv, "trig", functions, sizeof functions / sizeof functions[0], &code)) return code;
    const struct CMUnitTest tests[] = {
        MEASURING_TESTS,
        cmocka_unit_test(worst_arguments),
    };
    return cmocka_run_group_tests_name("simd trig", tests, NULL, NULL);
}
