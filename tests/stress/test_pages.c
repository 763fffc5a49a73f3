/* SPDX-License-Identifier: MIT
 * Inputs on pages that cannot be written, everything ending or beginning at a page that cannot be touched: every loss,
 * dtype and entry point, many sizes. Compiled as: cc -std=gnu11 -Iinclude tests/stress/test_pages.c -llossfn -lcmocka
 * -lm
 */
#include "common.h"

static void at_the_edge(const char *name, int32_t dtype, int64_t rows, int64_t cols, int at_end) {
    batch_t b, g;
    guarded_t pages[24];
    int n = 0;
    lossfn_t *loss = make(name);
    batch_make(&b, name, dtype, rows, cols);
    succeed(lossfn_run(loss, &b.args));
    g = b;
    for (int32_t i = 0; i < b.info.n_inputs; i++) {
        pages[n] = guarded(b.bytes, at_end);
        memcpy(pages[n].data, b.data[i], b.bytes);
        freeze(&pages[n]);
        g.data[i] = pages[n++].data;
        pages[n] = guarded(b.bytes, at_end);
        g.grad_data[i] = pages[n++].data;
    }
    size_t units = b.unit_bytes / b.item;
    const void *from[4] = {b.weight_data, b.mask_data, NULL, NULL};
    const size_t size[4] = {b.unit_bytes, units, b.unit_bytes, b.bytes};
    void *to[4];
    for (int k = 0; k < 4; k++) {
        pages[n] = guarded(size[k], at_end);
        if (from[k]) {
            memcpy(pages[n].data, from[k], size[k]);
            freeze(&pages[n]);
        }
        to[k] = pages[n++].data;
    }
    g.weight_data = to[0], g.mask_data = to[1], g.values_data = to[2], g.hess_data = to[3];
    batch_point(&g);
    for (int threads = 0; threads < 3; threads++) {
        lossfn_exec_t exec;
        lossfn_exec_init(&exec);
        exec.threads = threads;
        g.args.exec = &exec;
        succeed(lossfn_run(loss, &g.args));
        assert_true(batch_digest(&g) == batch_digest(&b));
    }
    g.args.exec = NULL;
    if (b.info.n_inputs <= 2) {
        double value;
        const lossfn_tensor_t *target = b.info.n_inputs > 1 ? &g.inputs[1] : NULL;
        succeed(lossfn_forward(loss, &g.inputs[0], target, &g.weight, &value, NULL));
        succeed(lossfn_backward(loss, &g.inputs[0], target, &g.weight, &g.grads[0], NULL));
        succeed(lossfn_forward_backward(loss, &g.inputs[0], target, &g.weight, &value, &g.grads[0], NULL));
        int64_t weights = (int64_t)units;
        void *hess = b.info.hess_kinds ? g.hess_data : NULL;
        if (dtype == LOSSFN_F32)
            succeed(lossfn_run_f32(loss, rows, cols, g.inputs[0].data, target ? target->data : NULL, target ? dtype : 0,
                                   g.weight_data, weights, g.mask_data, weights, &value, g.values_data, weights,
                                   g.grad_data[0], hess));
        else if (dtype == LOSSFN_F64)
            succeed(lossfn_run_f64(loss, rows, cols, g.inputs[0].data, target ? target->data : NULL, target ? dtype : 0,
                                   g.weight_data, weights, g.mask_data, weights, &value, g.values_data, weights,
                                   g.grad_data[0], hess));
    }
    for (int k = 0; k < n; k++) release(&pages[k]);
    batch_free(&b);
    lossfn_destroy(loss);
}

static void test_every_loss(void **state) {
    (void)state;
    static const int64_t sizes[][2] = {{1, 1},  {1, 2},  {3, 1},  {2, 3},  {5, 3},  {7, 5},   {1, 15},
                                       {2, 16}, {3, 17}, {16, 4}, {33, 2}, {1, 65}, {3, 129}, {67, 31}};
    for (int32_t i = 0; i < lossfn_count(); i++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            for (int at_end = 0; at_end < 2; at_end++)
                for (int32_t dtype = LOSSFN_F64; dtype <= LOSSFN_BF16; dtype++)
                    at_the_edge(lossfn_name_at(i), dtype, sizes[s][0], sizes[s][1], at_end);
}

/* Labels of every width at the end of a page. */
static void test_labels(void **state) {
    (void)state;
    static const int32_t dtypes[] = {LOSSFN_I8,  LOSSFN_I16, LOSSFN_I32, LOSSFN_I64, LOSSFN_U8,
                                     LOSSFN_U16, LOSSFN_U32, LOSSFN_U64, LOSSFN_BOOL};
    lossfn_t *loss = make("cross_entropy");
    for (size_t k = 0; k < sizeof dtypes / sizeof *dtypes; k++)
        for (int64_t rows = 1; rows < 40; rows += 3) {
            batch_t b;
            batch_make(&b, "cross_entropy", LOSSFN_F32, rows, 3);
            guarded_t labels = guarded((size_t)(rows * lossfn_dtype_size(dtypes[k])), 1);
            freeze(&labels); /* all 0 */
            succeed(lossfn_tensor_init_const(&b.inputs[1], labels.data, dtypes[k], 1, &rows));
            b.args.grads[1] = NULL;
            succeed(lossfn_run(loss, &b.args));
            release(&labels);
            batch_free(&b);
        }
    lossfn_destroy(loss);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_loss), cmocka_unit_test(test_labels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
