/* SPDX-License-Identifier: MIT
 * Which calls go without a plan. What they give is compared with planned ones by tests/conformance/test_everyday.py.
 * Compiled as: cc -std=c11 -Isrc -Iinclude tests/unit/engine/test_direct.c -llossfn -lcmocka -lm */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "engine/direct.h"
#include "lossfn/lossfn.h"

static float x[64], y[64], g[64], h[64];
static int64_t labels[64];

typedef struct {
    lossfn_tensor_t pred, target, grad, hess;
} call_t;

static call_t elements(void) {
    const int64_t shape[] = {16};
    call_t c;
    assert_int_equal(lossfn_tensor_init_const(&c.pred, x, LOSSFN_F32, 1, shape), LOSSFN_OK);
    assert_int_equal(lossfn_tensor_init_const(&c.target, y, LOSSFN_F32, 1, shape), LOSSFN_OK);
    assert_int_equal(lossfn_tensor_init(&c.grad, g, LOSSFN_F32, 1, shape), LOSSFN_OK);
    assert_int_equal(lossfn_tensor_init(&c.hess, h, LOSSFN_F32, 1, shape), LOSSFN_OK);
    return c;
}

static call_t rows(void) {
    const int64_t shape[] = {3, 5};
    call_t c = elements();
    assert_int_equal(lossfn_tensor_init_const(&c.pred, x, LOSSFN_F32, 2, shape), LOSSFN_OK);
    assert_int_equal(lossfn_tensor_init_const(&c.target, labels, LOSSFN_I64, 1, shape), LOSSFN_OK);
    assert_int_equal(lossfn_tensor_init(&c.grad, g, LOSSFN_F32, 2, shape), LOSSFN_OK);
    assert_int_equal(lossfn_tensor_init(&c.hess, h, LOSSFN_F32, 2, shape), LOSSFN_OK);
    return c;
}

static int is_direct(const char *spec, const call_t *c) {
    const lossfn_tensor_t *inputs[] = {&c->pred, &c->target};
    const lossfn__asked_t asked = {inputs, 2, &c->grad, &c->hess};
    lossfn__direct_t call;
    lossfn_t *loss;
    assert_int_equal(lossfn_create(&loss, spec), LOSSFN_OK);
    const int made = lossfn__direct_make(&call, loss, &asked);
    lossfn_destroy(loss);
    return made;
}

static void losses(void **state) {
    (void)state;
    const call_t e = elements(), r = rows();
    assert_true(is_direct("mse", &e));
    assert_true(is_direct("huber(delta=2, reduction=sum)", &e));
    assert_true(is_direct("bce_with_logits(reduction=mean_all)", &e));
    assert_true(is_direct("cross_entropy", &r));
    assert_true(is_direct("cross_entropy(ignore_index=-1, label_smoothing=0.1, axis=1)", &r));
    assert_false(is_direct("cross_entropy(axis=0)", &r));
    assert_false(is_direct("cross_entropy(class_weight=[1,1,1,1,2])", &r));
    assert_false(is_direct("mse(reduction=none)", &e));
    assert_false(is_direct("mse(nan_policy=ignore)", &e));
    assert_false(is_direct("2*mse", &e));
    assert_false(is_direct("mse + mae", &e));
    assert_false(is_direct("hinge", &e));
}

static void tensors(void **state) {
    (void)state;
    call_t c = elements();
    c.target.dtype = LOSSFN_F64;
    assert_false(is_direct("mse", &c));
    c = elements();
    c.target.shape[0] = 15;
    assert_false(is_direct("mse", &c));
    c = elements();
    c.pred.flags |= LOSSFN_TENSOR_STRIDED;
    assert_false(is_direct("mse", &c));
    c = elements();
    c.grad.flags |= LOSSFN_TENSOR_READONLY;
    assert_false(is_direct("mse", &c));
    c = elements();
    c.pred.data = (char *)x + 2;
    assert_false(is_direct("mse", &c));
    c = rows();
    c.target.shape[0] = 2;
    assert_false(is_direct("cross_entropy", &c));
    c = rows();
    c.target.dtype = LOSSFN_BOOL;
    assert_false(is_direct("cross_entropy", &c));
}

/* An output lies exactly on one input, or on nothing at all. */
static void overlaps(void **state) {
    (void)state;
    call_t c = elements();
    c.grad.data = x;
    assert_true(is_direct("mse", &c));
    c.hess.data = y;
    assert_false(is_direct("mse", &c));
    c = elements();
    c.grad.data = x + 1;
    assert_false(is_direct("mse", &c));
    c = elements();
    c.hess.data = g + 15;
    assert_false(is_direct("mse", &c));
    c.hess.data = g + 16;
    assert_true(is_direct("mse", &c));
    c = rows();
    c.grad.data = labels;
    assert_false(is_direct("cross_entropy", &c));
    c.grad.data = labels + 3;
    assert_true(is_direct("cross_entropy", &c));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(losses), cmocka_unit_test(tensors), cmocka_unit_test(overlaps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
