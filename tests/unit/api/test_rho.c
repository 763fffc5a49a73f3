/* SPDX-License-Identifier: MIT
 * The composition of losses of the squared residual. */
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "lossfn/lossfn.h"

static lossfn_t *make(const char *spec) {
    lossfn_t *loss = NULL;
    assert_int_equal(lossfn_create(&loss, spec), LOSSFN_OK);
    return loss;
}

/* f(g(s)), f'(g) g', f''(g) g'^2 + f'(g) g'' */
static void the_chain_rule(void **unused) {
    (void)unused;
    lossfn_t *outer = make("cauchy"), *inner = make("huber");
    for (double s = 0.25; s < 100; s *= 3) {
        double f[3], g[3], h[3];
        lossfn_rho(inner, s, g);
        lossfn_rho(outer, g[0], f);
        lossfn_rho_compose(outer, inner, s, h);
        assert_true(h[0] == f[0] && h[1] == f[1] * g[1] && h[2] == f[2] * g[1] * g[1] + f[1] * g[2]);
        assert_true(h[0] > 0 && h[1] > 0);
    }
    lossfn_destroy(outer), lossfn_destroy(inner);
}

static void what_is_none_gives_nan(void **unused) {
    (void)unused;
    lossfn_t *loss = make("cauchy"), *none = make("hinge");
    double out[3] = {1, 1, 1};
    lossfn_rho_compose(none, loss, 1, out);
    for (int i = 0; i < 3; i++) assert_true(isnan(out[i])), out[i] = 1;
    lossfn_rho_compose(loss, none, 1, out);
    for (int i = 0; i < 3; i++) assert_true(isnan(out[i]));
    lossfn_rho_compose(loss, loss, 1, NULL); /* writes nothing */
    lossfn_destroy(loss), lossfn_destroy(none);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_chain_rule), cmocka_unit_test(what_is_none_gives_nan)};
    return cmocka_run_group_tests_name("rho", tests, NULL, NULL);
}
