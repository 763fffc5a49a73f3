/* SPDX-License-Identifier: MIT
 * Specs: what they mean, how they are printed, and every message of a wrong one. Compiled as unit.h says. */
#include "unit.h"
#include "lossfn/lossfn.h"
#include "core/memory.h"
#include "comma.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static lossfn_t *create(const char *spec) {
    lossfn_t *loss = NULL;
    if (lossfn_create(&loss, spec) != LOSSFN_OK) fail_msg("%s: %s", spec, lossfn_last_error());
    return loss;
}

static const char *canonical(const char *spec, char buf[512]) {
    lossfn_t *loss = create(spec);
    int64_t n = lossfn_spec(loss, buf, 512);
    assert_int_equal(n, strlen(buf));
    lossfn_destroy(loss);
    return buf;
}

static void test_canonical_text(void **unused) {
    static const char *const texts[][2] = {
        {"huber", "huber"},
        {" huber ( ) ", "huber"},
        {"huber(delta=1)", "huber"},
        {"huber(delta=1.50)", "huber(delta=1.5)"},
        {"huber(delta=inf)", "huber(delta=inf)"},
        {"\thuber\n(delta\r= 1e-3 , reduction = sum)", "huber(delta=0.001, reduction=sum)"},
        {"l1", "mae"},
        {"+mse", "mse"},
        {"-mse", "-mse"},
        {"1*mse", "mse"},
        {"-0*mse", "0*mse"},
        {"- .5 * mse + 1e3*mae", "-0.5*mse + 1000*mae"},
        {"0.7*bce_with_logits - 0.01*entropy", "0.7*bce_with_logits - 0.01*entropy"},
        {"mse + mae(reduction=sum, axis=0)", "mse(reduction=sum, axis=0) + mae"},
        {"mse(reduction=sum) + mae(reduction=sum)", "mse(reduction=sum) + mae"},
        {"cross_entropy(label_smoothing=.1, class_weight=[ 1 , 2,.5])",
         "cross_entropy(class_weight=[1,2,0.5], label_smoothing=0.1)"},
        {"cross_entropy(class_weight=[0,0])", "cross_entropy(class_weight=[0,0])"},
        {"cross_entropy(class_weight=none)", "cross_entropy"},
        {"cross_entropy(class_mask=[1,0,1])", "cross_entropy(class_mask=[1,0,1])"},
        {"cross_entropy(ignore_index=-100, axis=1)", "cross_entropy(axis=1, ignore_index=-100)"},
        {"cross_entropy(ignore_index=0)", "cross_entropy(ignore_index=0)"},
        {"cross_entropy(ignore_index=none)", "cross_entropy"},
        {"cross_entropy(ignore_index=-9223372036854775808)", "cross_entropy(ignore_index=-9223372036854775808)"},
        {"mse(label_base=1)", "mse(label_base=1)"},
        {"mse(axis=2.0)", "mse(axis=2)"},
        {"mse(nan_policy=ignore, domain=error, empty=zero)", "mse(nan_policy=ignore, domain=error, empty=zero)"},
        {"mse(nan_policy=omit)", "mse(nan_policy=ignore)"},
        {"mse(nan_policy='raise')", "mse(nan_policy=error)"},
        {"mse(reduction=mean_with_sample_weight)", "mse"},
        {"mse(reduction=sum_by_nonzero_weights)", "mse(reduction=mean_units)"},
        {"hinge(labels=01)", "hinge(labels=01)"},
        {"hinge(labels=\"01\")", "hinge(labels=01)"},
        {"hinge(labels=+-1)", "hinge"},
        {"entropy(base=2)", "entropy(base=2)"},
        {"entropy(base=e)", "entropy"},
        {"entropy(base=2.718281828459045)", "entropy"},
        {"kl_div(log_pred=1, log_target=false)", "kl_div(log_pred=true)"},
        {"bce_with_logits(pos_weight=1)", "bce_with_logits(pos_weight=1)"}, /* learnable: that it is given counts */
        {"barron(alpha=-inf)", "barron(alpha=-inf)"},
        {"binary_cross_entropy(clamp=1e-7)", "binary_cross_entropy(clamp=1e-07)"},
        {"quantile(tau=0.30000000000000004)", "quantile(tau=0.30000000000000004)"},
    };
    char once[512], twice[512];
    (void)unused;
    for (size_t i = 0; i < COUNT(texts); i++) {
        assert_string_equal(canonical(texts[i][0], once), texts[i][1]);
        assert_string_equal(canonical(once, twice), once);
    }
}

static const struct {
    const char *spec;
    lossfn_status_t status;
    const char *message;
} wrong[] = {
    {"", LOSSFN_ERROR_SPEC, "spec: expected the name of a loss at column 1, found the end"},
    {"  ", LOSSFN_ERROR_SPEC, "spec: expected the name of a loss at column 3, found the end"},
    {"(mse)", LOSSFN_ERROR_SPEC, "spec: expected the name of a loss at column 1, found '('"},
    {"mse mae", LOSSFN_ERROR_SPEC, "spec: expected '+', '-' or the end at column 5, found 'mae'"},
    {"mse*2", LOSSFN_ERROR_SPEC, "spec: expected '+', '-' or the end at column 4, found '*'"},
    {"2mse", LOSSFN_ERROR_SPEC, "spec: expected '*' at column 2, found 'mse'"},
    {"2", LOSSFN_ERROR_SPEC, "spec: expected '*' at column 2, found the end"},
    {"mse + ", LOSSFN_ERROR_SPEC, "spec: expected the name of a loss at column 7, found the end"},
    {"mse + -mae", LOSSFN_ERROR_SPEC, "spec: expected the name of a loss at column 7, found '-'"},
    {"huber(", LOSSFN_ERROR_SPEC, "spec: expected the name of a parameter at column 7, found the end"},
    {"huber(1.5)", LOSSFN_ERROR_SPEC, "spec: expected the name of a parameter at column 7, found '1.5'"},
    {"huber(delta=1,)", LOSSFN_ERROR_SPEC, "spec: expected the name of a parameter at column 15, found ')'"},
    {"huber(delta)", LOSSFN_ERROR_SPEC, "spec: expected '=' at column 12, found ')'"},
    {"huber(delta=)", LOSSFN_ERROR_SPEC, "spec: expected a value at column 13, found ')'"},
    {"huber(delta=1 x)", LOSSFN_ERROR_SPEC, "spec: expected ',' or ')' at column 15, found 'x'"},
    {"huber(delta=1", LOSSFN_ERROR_SPEC, "spec: expected ',' or ')' at column 14, found the end"},
    {"huber(\xc3\xa4=1)", LOSSFN_ERROR_SPEC, "spec: expected the name of a parameter at column 7, found '\xc3\xa4'"},
    {"huber('\xc3\xa4' 1)", LOSSFN_ERROR_SPEC, "spec: expected the name of a parameter at column 7, found '''"},
    {"hinge(labels='\xc3\xa4' 1)", LOSSFN_ERROR_PARAMETER, "labels is '\xc3\xa4', must be one of: +-1, 01"},
    {"hinge(labels='01' \xc3\xa4)", LOSSFN_ERROR_SPEC, "spec: expected ',' or ')' at column 19, found '\xc3\xa4'"},
    {"hinge(labels='01)", LOSSFN_ERROR_SPEC, "spec: the string that begins at column 14 has no end"},
    {"cross_entropy(class_weight=[1,,2])", LOSSFN_ERROR_SPEC, "spec: expected a number at column 31, found ','"},
    {"cross_entropy(class_weight=[1 2])", LOSSFN_ERROR_SPEC, "spec: expected ',' or ']' at column 31, found '2'"},
    {"cross_entropy(class_weight=[1", LOSSFN_ERROR_SPEC, "spec: expected ',' or ']' at column 30, found the end"},
    {"cross_entropy(class_weight=[1,1e400])", LOSSFN_ERROR_SPEC,
     "spec: the number 1e400 at column 31 is beyond a double; infinity is inf"},
    {"1e999*mse", LOSSFN_ERROR_SPEC, "spec: the number 1e999 at column 1 is beyond a double; infinity is inf"},
    {"huber(delta=1e999)", LOSSFN_ERROR_SPEC,
     "spec: the number 1e999 at column 13 is beyond a double; infinity is inf"},
    {"mse(axis=0, axis=0)", LOSSFN_ERROR_SPEC, "axis is given twice in mse"},
    {"huber(delta=1, delta=1)", LOSSFN_ERROR_SPEC, "delta is given twice in huber"},
    {"mse+mse+mse+mse+mse+mse+mse+mse+mse", LOSSFN_ERROR_SPEC, "spec: more than 8 terms: 'mse' ends at column 35"},

    {"hubr", LOSSFN_ERROR_NOT_FOUND, "no loss is named 'hubr'; the nearest is 'huber'"},
    {"MSELoss", LOSSFN_ERROR_NOT_FOUND, "no loss is named 'MSELoss'; see mse (PyTorch: MSELoss: the same)"},
    {"CrossEntropyLoss", LOSSFN_ERROR_NOT_FOUND,
     "no loss is named 'CrossEntropyLoss'; see cross_entropy (PyTorch: CrossEntropyLoss: axis=1, ignore_index=-100; of "
     "soft targets with class weights its mean divides by N, as reduction=mean_units does, and mean by the total "
     "weight)"},
    {"bce", LOSSFN_ERROR_NOT_FOUND,
     "no loss is named 'bce'; binary_cross_entropy takes probabilities, bce_with_logits takes logits"},
    {"StudentT", LOSSFN_ERROR_NOT_FOUND,
     "no loss is named 'StudentT'; see student_t_rho (statsmodels: StudentT: df is nu)"},
    {"qqqqqqqqqqq", LOSSFN_ERROR_NOT_FOUND, "no loss is named 'qqqqqqqqqqq'"},
    {"custom", LOSSFN_ERROR_NOT_FOUND,
     "no loss is named 'custom'; an anonymous loss has no spec; a registered one has"},
    {"acme.focal", LOSSFN_ERROR_NOT_FOUND, "no loss is registered as 'acme.focal'"},
    {"huber(dleta=1)", LOSSFN_ERROR_NOT_FOUND, "huber has no parameter 'dleta'; the nearest is 'delta'"},
    {"huber(qqqqqqqqqqq=1)", LOSSFN_ERROR_NOT_FOUND, "huber has no parameter 'qqqqqqqqqqq'"},
    {"mse(mask=1)", LOSSFN_ERROR_NOT_FOUND, "mse has no parameter 'mask'; it is an argument of the call"},
    {"mse(weight=[1])", LOSSFN_ERROR_NOT_FOUND,
     "mse has no parameter 'weight'; weight is an argument of the call; weights of classes are class_weight or "
     "pos_weight"},
    {"smooth_l1(delta=1)", LOSSFN_ERROR_NOT_FOUND,
     "smooth_l1 has no parameter 'delta'; where its quadratic part ends is beta"},
    {"binary_cross_entropy(from_logits=true)", LOSSFN_ERROR_NOT_FOUND,
     "binary_cross_entropy has no parameter 'from_logits'; the loss of logits is bce_with_logits"},

    {"huber(delta=0)", LOSSFN_ERROR_PARAMETER, "delta is 0, must be > 0"},
    {"huber(delta=-inf)", LOSSFN_ERROR_PARAMETER, "delta is -inf, must be > 0"},
    {"huber(delta=nan)", LOSSFN_ERROR_PARAMETER, "delta is nan, must be > 0"},
    {"huber(delta=1_000)", LOSSFN_ERROR_PARAMETER, "delta is '1_000', must be a number"},
    {"huber(delta='1')", LOSSFN_ERROR_PARAMETER, "delta is '1', must be a number"},
    {"huber(delta=true)", LOSSFN_ERROR_PARAMETER, "delta is true, must be a number"},
    {"huber(delta=[1])", LOSSFN_ERROR_PARAMETER, "delta is a list of 1, must be a number"},
    {"pseudo_huber(delta=inf)", LOSSFN_ERROR_PARAMETER, "delta is inf, must be > 0 and < inf"},
    {"quantile(tau=1)", LOSSFN_ERROR_PARAMETER, "tau is 1, must be > 0 and < 1"},
    {"entropy(base=1)", LOSSFN_ERROR_PARAMETER, "base is 1, must be other than 1"},
    {"entropy(base=pi)", LOSSFN_ERROR_PARAMETER, "base is 'pi', must be a number, or e"},
    {"kl_div(log_pred=2)", LOSSFN_ERROR_PARAMETER, "log_pred is 2, must be true or false"},
    {"kl_div(log_pred=maybe)", LOSSFN_ERROR_PARAMETER, "log_pred is 'maybe', must be true or false"},
    {"kl_div(log_pred=[1])", LOSSFN_ERROR_PARAMETER, "log_pred is a list of 1, must be true or false"},
    {"barron(alpha=nan)", LOSSFN_ERROR_PARAMETER, "alpha is nan, must be a number"},
    {"mse(axis=1.5)", LOSSFN_ERROR_PARAMETER, "axis is 1.5, must be an integer of 64 bits"},
    {"mse(axis=8)", LOSSFN_ERROR_PARAMETER, "axis is 8, must be >= -8 and <= 7"},
    {"mse(label_base=99999999999999999999)", LOSSFN_ERROR_PARAMETER,
     "label_base is 1e+20, must be an integer of 64 bits"},
    {"mse(reduction=summ)", LOSSFN_ERROR_PARAMETER,
     "reduction is 'summ', must be one of: mean, sum, none, mean_units, mean_all, mean_rows, per_row"},
    {"kl_div(reduction=batchmean)", LOSSFN_ERROR_PARAMETER,
     "reduction is 'batchmean'; PyTorch's batchmean of a pred with two axes is mean_rows"},
    {"hinge(labels=1)", LOSSFN_ERROR_PARAMETER, "labels is 1, must be one of: +-1, 01"},
    {"cross_entropy(class_weight=[1,-2])", LOSSFN_ERROR_PARAMETER, "class_weight[1] is -2, must be >= 0 and < inf"},
    {"cross_entropy(class_weight=[1,2,nan])", LOSSFN_ERROR_PARAMETER, "class_weight[2] is nan, must be >= 0 and < inf"},
    {"cross_entropy(class_weight=[])", LOSSFN_ERROR_PARAMETER, "class_weight is an empty list"},
    {"cross_entropy(class_weight=2)", LOSSFN_ERROR_PARAMETER,
     "class_weight is 2, must be a list of numbers, such as [1, 2]"},
    {"cross_entropy(class_mask=[1,2])", LOSSFN_ERROR_PARAMETER, "class_mask[1] is 2, must be 0 or 1"},
    {"mse(ignore_index=1)", LOSSFN_ERROR_PARAMETER,
     "ignore_index needs class labels, mse takes none; a mask leaves out"},
    {"mse(reduction=sum) + mae(reduction=mean)", LOSSFN_ERROR_PARAMETER,
     "reduction differs between the terms of the sum, which share it"},
    {"bce_with_logits(reduction=none) - entropy", LOSSFN_ERROR_PARAMETER,
     "reduction is none, but some terms of the sum have a value per element, some per row"},
    {"cross_entropy + mse", LOSSFN_ERROR_UNSUPPORTED,
     "cross_entropy and mse cannot be added: target holds class labels in one, numbers in the other"},
    {"hinge + mse", LOSSFN_ERROR_UNSUPPORTED,
     "hinge and mse cannot be added: target holds labels -1 and +1 in one, numbers in the other"},
    {"gaussian_nll + bce_with_logits", LOSSFN_ERROR_UNSUPPORTED,
     "gaussian_nll and bce_with_logits cannot be added: input 3 is var in one, pos_weight in the other"},
};

static void test_messages(void **unused) {
    (void)unused;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        lossfn_t *loss = (lossfn_t *)0x1, *before = loss;
        char message[512];
        errno = 4711;
        lossfn_status_t status = lossfn_create_msg(&loss, wrong[i].spec, message, sizeof message);
        assert_int_equal(errno, 4711);
        assert_string_equal(lossfn_last_error(), wrong[i].message);
        assert_string_equal(message, wrong[i].message);
        assert_int_equal(status, wrong[i].status);
        assert_ptr_equal(loss, before);
    }
    assert_int_equal(lossfn__allocations(), 0);
}

static void test_null_arguments(void **unused) {
    lossfn_t *loss;
    (void)unused;
    assert_int_equal(lossfn_create(NULL, "mse"), LOSSFN_ERROR_ARGUMENT);
    assert_string_equal(lossfn_last_error(), "out is NULL");
    assert_int_equal(lossfn_create(&loss, NULL), LOSSFN_ERROR_ARGUMENT);
    assert_string_equal(lossfn_last_error(), "spec is NULL");
}

static void test_locale(void **unused) {
    char buf[512], before[64], after[64];
    (void)unused;
    need_decimal_comma();
    snprintf(before, sizeof before, "%s", setlocale(LC_ALL, NULL));
    canonical("0.5*huber(delta=1.5)", buf);
    snprintf(after, sizeof after, "%s", setlocale(LC_ALL, NULL));
    setlocale(LC_ALL, "C");
    assert_string_equal(buf, "0.5*huber(delta=1.5)");
    assert_string_equal(after, before);
}

/* A list longer than any buffer. */
static void test_long_list(void **unused) {
    enum { N = 20000 };
    char *text = malloc(64 + 16 * N), *back = malloc(64 + 32 * N), *at = text;
    (void)unused;
    at += sprintf(at, "cross_entropy(class_weight=[0");
    for (int i = 1; i < N; i++) at += sprintf(at, ",%d.%d", i, i % 10);
    strcpy(at, "])");
    lossfn_t *loss = create(text);
    assert_true(lossfn_spec(loss, back, 64 + 32 * N) < 64 + 32 * N);
    lossfn_t *again = create(back);
    assert_int_equal(lossfn_spec(again, text, 64 + 16 * N), strlen(back));
    assert_string_equal(text, back);
    lossfn_destroy(again);
    lossfn_destroy(loss);
    free(back);
    free(text);
}

/* Writes like snprintf at every capacity. */
static void test_small_buffers(void **unused) {
    static const char full[] = "0.5*huber(delta=1.5, reduction=sum) - mae";
    lossfn_t *loss = create(full);
    (void)unused;
    assert_int_equal(lossfn_spec(loss, NULL, 0), sizeof full - 1);
    for (size_t cap = 0; cap <= sizeof full + 2; cap++) {
        char buf[64];
        memset(buf, '#', sizeof buf);
        assert_int_equal(lossfn_spec(loss, buf, (int64_t)cap), sizeof full - 1);
        size_t n = cap == 0 ? 0 : cap - 1 < sizeof full - 1 ? cap - 1 : sizeof full - 1;
        assert_memory_equal(buf, full, n);
        if (cap) assert_int_equal(buf[n], 0);
        assert_int_equal(buf[cap], '#');
    }
    lossfn_destroy(loss);
}

/* Random texts from the grammar's pieces: each is refused with a message, or its canonical text is a fixed point. The
 * text stands at the end of its own allocation, so that a sanitizer sees a read beyond it. */
static void test_fuzz(void **unused) {
    static const char *const pieces[] = {"mse",
                                         "huber",
                                         "cross_entropy",
                                         "hinge",
                                         "entropy",
                                         "barron",
                                         "bce_with_logits",
                                         "acme.x",
                                         "(",
                                         ")",
                                         "=",
                                         ",",
                                         "+",
                                         "-",
                                         "*",
                                         "[",
                                         "]",
                                         "delta",
                                         "1",
                                         "0.5",
                                         "1e-3",
                                         "inf",
                                         "nan",
                                         "true",
                                         "none",
                                         "'",
                                         "\"",
                                         " ",
                                         "\n",
                                         "class_weight",
                                         "base",
                                         "e",
                                         "labels",
                                         "01",
                                         "axis",
                                         "sum",
                                         "reduction",
                                         "1e999",
                                         ".",
                                         "\xc3\xa4",
                                         "_",
                                         "alpha",
                                         "ignore_index",
                                         "-100",
                                         "9223372036854775808",
                                         "\x01",
                                         "huber(delta=2)",
                                         "mse(axis=1)"};
    uint64_t state = 4242;
    char once[4096], twice[4096];
    int accepted = 0;
    const char *rounds = getenv("LOSSFN_FUZZ");
    (void)unused;
    for (long i = 0, n = rounds ? atol(rounds) : 20000; i < n; i++) {
        char text[512] = "";
        for (int k = (int)(next_random(&state) >> 32) % 14; k >= 0; k--)
            strcat(text, pieces[(next_random(&state) >> 32) % COUNT(pieces)]);
        char *tight = malloc(strlen(text) + 1);
        strcpy(tight, text);
        lossfn_t *loss = NULL;
        if (lossfn_create(&loss, tight) == LOSSFN_OK) {
            accepted++;
            lossfn_spec(loss, once, sizeof once);
            lossfn_destroy(loss);
            assert_string_equal(canonical(once, twice), once);
        } else {
            assert_null(loss);
            assert_true(*lossfn_last_error() && !strchr(lossfn_last_error(), '\n'));
        }
        free(tight);
    }
    assert_true(accepted > 50); /* else nothing was tested */
    assert_int_equal(lossfn__allocations(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_canonical_text), cmocka_unit_test(test_messages),  cmocka_unit_test(test_null_arguments),
        cmocka_unit_test(test_locale),         cmocka_unit_test(test_long_list), cmocka_unit_test(test_small_buffers),
        cmocka_unit_test(test_fuzz),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
