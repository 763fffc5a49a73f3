/* SPDX-License-Identifier: MIT */
#include "core/common.h"
#include "core/status.h"
#include <math.h>
#include <string.h>

#define CHOICE(n, initial, words, text)                                                                                \
    { .name = n, .doc = text, .type = LOSSFN_PARAM_CHOICE, .default_value = initial, .choices = words }
#define INT(n, initial, low, high, text)                                                                               \
    { .name = n, .doc = text, .type = LOSSFN_PARAM_INT, .default_value = initial, .lower = low, .upper = high }

/* In the order of enum lossfn__common; words in the order of the enums in handle.h. */
static const lossfn__param_t table[LOSSFN__COMMONS] = {
    CHOICE(
        "reduction", "mean", "mean, sum, none, mean_units, mean_all, mean_rows, per_row",
        "what is made of the values: mean = sum / total weight of the kept units, mean_units = sum / their number, "
        "mean_all = sum / number of units, mean_rows = sum / number of rows with a kept unit, per_row = a sum per row"),
    INT("axis", "-1", -LOSSFN_MAX_DIMS, LOSSFN_MAX_DIMS - 1, "the class axis, counted from the end when negative"),
    INT("ignore_index", "none", -INFINITY, INFINITY, "a class label that takes its row out"),
    INT("label_base", "0", -INFINITY, INFINITY, "what the first class is called"),
    CHOICE("nan_policy", "propagate", "propagate, ignore, error", "what a NaN in a kept input does"),
    CHOICE("domain", "note", "note, error",
           "what a value outside the domain does: NaN there and a note, or an error before anything is written"),
    CHOICE("empty", "nan", "nan, zero", "the mean of nothing"),
};

/* Other systems' words, where they mean the same for every loss, mask and weight. */
static const struct {
    int32_t option;
    const char *word, *meaning;
} aliases[] = {
    {LOSSFN__REDUCTION, "mean_with_sample_weight", "mean"},      /* Keras 3 */
    {LOSSFN__REDUCTION, "sum_by_nonzero_weights", "mean_units"}, /* TensorFlow 1 */
    {LOSSFN__NAN_POLICY, "omit", "ignore"},                      /* SciPy */
    {LOSSFN__NAN_POLICY, "raise", "error"},
};

/* And those that mean almost the same. */
static const char *const reduction_hints[][2] = {
    {"batchmean", "PyTorch's batchmean of a pred with two axes is mean_rows"},
    {"sum_over_batch_size", "Keras' sum_over_batch_size is mean_all"},
    {"avg", "the average is mean"},
    {"average", "the average is mean"},
};

const lossfn__param_t *lossfn__common_param(int32_t i) { return &table[i]; }

int32_t lossfn__find_common(lossfn__piece_t name) {
    for (int32_t i = 0; i < LOSSFN__COMMONS; i++)
        if (lossfn__equal(name, table[i].name)) return i;
    return -1;
}

void lossfn__default_commons(lossfn__commons_t *commons) {
    memset(commons, 0, sizeof *commons); /* the first word of each choice is its default */
    commons->value[LOSSFN__AXIS] = -1;
}

static void resolve_alias(int32_t i, lossfn__given_t *given) {
    if (given->kind != LOSSFN__GIVEN_WORD) return;
    for (size_t k = 0; k < sizeof aliases / sizeof *aliases; k++)
        if (aliases[k].option == i && lossfn__equal(given->text, aliases[k].word))
            given->text = lossfn__piece(aliases[k].meaning);
}

static lossfn_status_t check_reduction(const lossfn__given_t *given) {
    if (given->kind != LOSSFN__GIVEN_WORD) return LOSSFN_OK;
    for (size_t k = 0; k < sizeof reduction_hints / sizeof *reduction_hints; k++)
        LOSSFN__REQUIRE(!lossfn__equal(given->text, reduction_hints[k][0]), LOSSFN_ERROR_PARAMETER,
                        "reduction is '%s'; %s", reduction_hints[k][0], reduction_hints[k][1]);
    return LOSSFN_OK;
}

lossfn_status_t lossfn__set_common(lossfn__commons_t *commons, int32_t i, const lossfn__given_t *given) {
    lossfn__given_t resolved = *given;
    lossfn__value_t value;
    if (given->kind == LOSSFN__GIVEN_DEFAULT) {
        lossfn__commons_t initial;
        lossfn__default_commons(&initial);
        commons->value[i] = initial.value[i];
        if (i == LOSSFN__IGNORE_INDEX) commons->has_ignore_index = 0;
        return LOSSFN_OK;
    }
    resolve_alias(i, &resolved);
    if (i == LOSSFN__REDUCTION) LOSSFN__TRY(check_reduction(given));
    if (i == LOSSFN__IGNORE_INDEX) {
        commons->has_ignore_index = 0;
        commons->value[i] = 0;
        if (given->kind == LOSSFN__GIVEN_WORD && lossfn__equal(given->text, "none")) return LOSSFN_OK;
    }
    LOSSFN__TRY(lossfn__set_value(&table[i], &resolved, &value));
    commons->value[i] = table[i].type == LOSSFN_PARAM_INT ? value.integer : (int64_t)value.number;
    if (i == LOSSFN__IGNORE_INDEX) commons->has_ignore_index = 1;
    return LOSSFN_OK;
}

int lossfn__common_equal(const lossfn__commons_t *a, const lossfn__commons_t *b, int32_t i) {
    if (i == LOSSFN__IGNORE_INDEX && a->has_ignore_index != b->has_ignore_index) return 0;
    return a->value[i] == b->value[i];
}

int lossfn__common_is_default(const lossfn__commons_t *commons, int32_t i) {
    lossfn__commons_t initial;
    lossfn__default_commons(&initial);
    return lossfn__common_equal(commons, &initial, i);
}

void lossfn__put_common(lossfn__writer_t *out, const lossfn__commons_t *commons, int32_t i) {
    lossfn__value_t value = {.number = (double)commons->value[i], .integer = commons->value[i]};
    if (i == LOSSFN__IGNORE_INDEX && !commons->has_ignore_index) {
        lossfn__put(out, "none");
    } else {
        lossfn__put_value(out, &table[i], &value);
    }
}

/* ---- Names ------------------------------------------------------------------------------------------------------- */

static const char call_arguments[] =
    "weight, mask, upstream, denominator, value, values, sum, denom, components, grad, grads, hess, hess_kind, "
    "hvp, hvp_vector, vector, notes, note_index, message, exec, threads, cached, out, grad_out, hess_out, wrt, "
    "sample_weight, inputs";

int lossfn__is_call_argument(const char *name) { return lossfn__find_word(call_arguments, lossfn__piece(name)) >= 0; }

void lossfn__offer_call_arguments(lossfn__nearest_t *nearest) {
    const char *words = call_arguments;
    lossfn__piece_t word;
    while (lossfn__next_word(&words, &word)) lossfn__nearest_offer(nearest, word);
}

int lossfn__is_reserved(const char *name) {
    return lossfn__is_call_argument(name) ||
           lossfn__find_word("pred, target, var, y_pred, y_true, spec, options", lossfn__piece(name)) >= 0;
}

/* Keys that other systems use. An empty loss stands for any. */
static const struct {
    const char *loss, *key, *hint;
} hints[] = {
    {"", "weight", "weight is an argument of the call; weights of classes are class_weight or pos_weight"},
    {"", "weights", "weight is an argument of the call; weights of classes are class_weight or pos_weight"},
    {"", "sample_weight", "sample weights are the argument weight of the call"},
    {"binary_cross_entropy", "from_logits", "the loss of logits is bce_with_logits"},
    {"categorical_cross_entropy", "from_logits", "the loss of logits is cross_entropy"},
    {"bce_with_logits", "from_logits", "it takes logits; the loss of probabilities is binary_cross_entropy"},
    {"cross_entropy", "from_logits", "it takes logits; the loss of probabilities is categorical_cross_entropy"},
    {"smooth_l1", "delta", "where its quadratic part ends is beta"},
    {"huber", "beta", "where its quadratic part ends is delta"},
    {"pseudo_huber", "beta", "where it turns linear is delta"},
    {"quantile", "alpha", "the quantile's level is tau"},
    {"quantile", "q", "the quantile's level is tau"},
    {"log_lin_quantile", "alpha", "the quantile's level is tau"},
    {"expectile", "alpha", "the expectile's level is tau"},
    {"pseudo_huber", "huber_slope", "where it turns linear is delta"},
    {"lp", "q", "the power is p"},
    {"lp", "power", "the power is p"},
    {"epsilon_insensitive", "eps", "what is free is epsilon"},
    {"squared_epsilon_insensitive", "eps", "what is free is epsilon"},
    {"periodic", "period", "a whole turn is c"},
    {"mape", "epsilon", "what a smaller target counts as is eps"},
    {"wing", "w", "where the logarithmic part ends is width"},
    {"wing", "epsilon", "how steep it is at zero is curvature"},
    {"barron", "c", "its scale is scale"},
    {"barron_nll", "c", "its scale is scale"},
    {"binary_cross_entropy", "eps", "clipping of probabilities is clamp"},
    {"categorical_cross_entropy", "eps", "clipping of probabilities is clamp"},
    {"", "dim", "the class axis is axis"},
    {"", "ignore_label", "the ignored label is ignore_index"},
    {"", "size_average", "the reduction is named: reduction=mean or sum"},
    {"", "reduce", "the reduction is named: reduction=none"},
};

const char *lossfn__key_hint(const char *loss, lossfn__piece_t key) {
    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
        if (lossfn__equal(key, hints[i].key) && (!*hints[i].loss || strcmp(hints[i].loss, loss) == 0))
            return hints[i].hint;
    return NULL;
}
