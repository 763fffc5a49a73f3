/* SPDX-License-Identifier: MIT
 * A client as it was compiled on the day when baseline/include was frozen: check.py builds it with those headers and
 * runs it on today's library. It uses what cannot be changed: struct layouts, numbers, calls. */
#include <lossfn/extend.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            printf("%s:%d: %s (last error: %s)\n", __FILE__, __LINE__, #condition, lossfn_last_error());               \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static double pred[3] = {1, 2, 4}, target[3] = {1, 2, 3}, grad[3], hess[3];
static const int64_t shape[1] = {3};

static void everyday(void) {
    lossfn_tensor_t p, t, g;
    lossfn_t *huber = NULL;
    double value = -1;
    REQUIRE(lossfn_tensor_init_const(&p, pred, LOSSFN_F64, 1, shape) == 0);
    REQUIRE(lossfn_tensor_init_const(&t, target, LOSSFN_F64, 1, shape) == 0);
    REQUIRE(lossfn_tensor_init(&g, grad, LOSSFN_F64, 1, shape) == 0);
    REQUIRE(lossfn_create(&huber, "huber(delta=0.5)") == LOSSFN_OK);
    REQUIRE(lossfn_forward_backward(huber, &p, &t, NULL, &value, &g, NULL) == 0);
    REQUIRE(value == 0.375 / 3 && grad[0] == 0 && grad[2] == 0.5 / 3);
    lossfn_destroy(huber);
}

static void full_call(void) {
    lossfn_tensor_t p, t, h;
    lossfn_options_t *options = NULL;
    lossfn_t *mse = NULL;
    lossfn_args_t args;
    lossfn_exec_t exec;
    double value = -1, sum = -1, denom = -1;
    REQUIRE(lossfn_options_create(&options) == 0);
    REQUIRE(lossfn_options_set_string(options, "reduction", "sum") == 0);
    REQUIRE(lossfn_create_options(&mse, "mse", options) == 0);
    lossfn_options_destroy(options);
    REQUIRE(lossfn_tensor_init_const(&p, pred, LOSSFN_F64, 1, shape) == 0);
    REQUIRE(lossfn_tensor_init_const(&t, target, LOSSFN_F64, 1, shape) == 0);
    REQUIRE(lossfn_tensor_init(&h, hess, LOSSFN_F64, 1, shape) == 0);
    lossfn_exec_init(&exec);
    exec.threads = 2;
    lossfn_args_init(&args);
    args.n_inputs = 2;
    args.inputs[0] = &p;
    args.inputs[1] = &t;
    args.value = &value;
    args.sum = &sum;
    args.denom = &denom;
    args.hess = &h;
    args.exec = &exec;
    REQUIRE(lossfn_run(mse, &args) == 0);
    REQUIRE(value == 1 && sum == 1 && hess[1] == 2 && args.notes == 0);
    lossfn_destroy(mse);
}

/* A caller whose structs end earlier than the library's: nothing behind struct_size may be read or written. */
static void short_struct(void) {
    struct {
        lossfn_info_t info;
        unsigned char guard[64];
    } s;
    memset(&s, 0xAA, sizeof s);
    s.info.struct_size = offsetof(lossfn_info_t, family);
    REQUIRE(lossfn_describe("huber", &s.info) == 0);
    REQUIRE(strcmp(s.info.name, "huber") == 0);
    for (size_t i = offsetof(lossfn_info_t, family); i < sizeof s; i++) REQUIRE(((unsigned char *)&s)[i] == 0xAA);
}

static int destroyed;
static void count_destroy(void *user) { (void)user, destroyed++; }
static lossfn_status_t quartic(const lossfn_block_t *b) {
    const double *x = b->inputs[0], *y = b->inputs[1];
    double *value = b->values;
    for (int64_t i = 0; value && i < b->count; i++) value[i] = pow(x[i] - y[i], 4);
    return LOSSFN_OK;
}

static void own_loss(void) {
    lossfn_vtable_t table;
    lossfn_t *loss = NULL;
    double value = -1;
    lossfn_vtable_init(&table);
    table.elementwise = quartic;
    REQUIRE(lossfn_register("client.quartic", &table, NULL, count_destroy) == 0);
    REQUIRE(lossfn_create(&loss, "client.quartic") == 0);
    REQUIRE(lossfn_run_f64(loss, 3, 1, pred, target, LOSSFN_F64, NULL, 0, NULL, 0, &value, NULL, 0, NULL, NULL) == 0);
    REQUIRE(value == 1.0 / 3);
    REQUIRE(lossfn_unregister("client.quartic") == 0);
    lossfn_destroy(loss);
    REQUIRE(destroyed == 1);
}

static void errors(void) {
    lossfn_t *loss = NULL;
    REQUIRE(lossfn_create(&loss, "hubber") == LOSSFN_ERROR_NOT_FOUND && loss == NULL);
    REQUIRE(strstr(lossfn_last_error(), "huber") != NULL);
    REQUIRE(strcmp(lossfn_status_name(-6), "LOSSFN_ERROR_SHAPE") == 0);
}

int main(void) {
    REQUIRE(lossfn_abi_version() == LOSSFN_ABI_VERSION);
    everyday();
    full_call();
    short_struct();
    own_loss();
    errors();
    printf("client of %d.%d.%d runs on %s\n", LOSSFN_VERSION_MAJOR, LOSSFN_VERSION_MINOR, LOSSFN_VERSION_PATCH,
           lossfn_version_string());
    return 0;
}
