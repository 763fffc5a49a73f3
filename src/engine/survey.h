/* SPDX-License-Identifier: MIT
 * The pre-pass over weights, masks, labels and NaNs: what is kept, what it weighs, what is illegal. */
#ifndef LOSSFN_ENGINE_SURVEY_H
#define LOSSFN_ENGINE_SURVEY_H

#include "engine/elements.h"
#include "engine/rows.h"

static void note_nan(lossfn__survey_t *survey, int64_t at, int input) {
    if (survey->nan_index >= 0 && survey->nan_index <= at) return;
    survey->nan_index = at;
    survey->nan_input = input;
}

/* Whether any of n targets with a weight is neither low nor 1. */
static int has_bad_label(const REAL *target, const REAL *weight, int64_t n, REAL low) {
    M bad = m_none();
    for (int64_t i = 0; i < n; i += LANES) {
        V t = load_some(target, i, n, 1);
        bad = m_or(bad, m_and((t != v_one()) & (t != v_set((double)low)), load_some(weight, i, n, 0) != v_zero()));
    }
    return m_any(bad);
}

static int64_t count_kept(const REAL *weight, int64_t n) {
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i += LANES) kept += __builtin_popcount(m_bits(load_some(weight, i, n, 0) != v_zero()));
    return kept;
}

static int has_nan(const REAL *x, const REAL *weight, int64_t n) {
    M nan = m_none();
    for (int64_t i = 0; i < n; i += LANES)
        nan = m_or(nan, m_and(v_isnan(load_some(x, i, n, 0)), load_some(weight, i, n, 0) != v_zero()));
    return m_any(nan);
}

static void survey_elements(const lossfn__plan_t *plan, int64_t begin, int64_t end, lossfn__survey_t *survey) {
    enum { STEP = 4096 / sizeof(REAL) };
    REAL memory[LOSSFN_MAX_INPUTS + 2][STEP], *buffers[LOSSFN_MAX_INPUTS], *weight = memory[8], *spare = memory[9];
    const REAL *in[LOSSFN_MAX_INPUTS] = {0}, *weights = weight;
    const int weighs = stages_weights(plan), nans = plan->loss->nan_policy == LOSSFN__NAN_ERROR;
    const int reads = plan->loss->nan_policy != LOSSFN__NAN_PROPAGATE;
    int labels = 0, guess = GRID_NONE;
    for (int k = 0; k < plan->n_parts; k++) labels |= plan->parts[k].margin_labels;
    for (int j = 0; j < LOSSFN_MAX_INPUTS; j++) buffers[j] = memory[j];
    for (int j = 0; j < plan->n_inputs; j++)
        if (plan->is_constant[j]) fill(buffers[j], (REAL)plan->constant[j], STEP);
    if (!weighs) fill(weight, 1, STEP);
    for (int64_t unit = begin; unit < end; unit += plan->span == 1 ? STEP : 1) {
        /* a unit is an element, or a row of span elements where rows are counted */
        int64_t first = unit * plan->span, last = plan->span != 1     ? first + plan->span
                                                  : unit + STEP < end ? unit + STEP
                                                                      : end;
        int64_t kept_before = survey->kept;
        for (int64_t i = first; i < last; i += STEP) {
            int64_t n = last - i < STEP ? last - i : STEP;
            if (reads) {
                stage_inputs(plan, i, n, buffers, in, 0);
            } else if (labels) {
                in[TARGET] = in_place(&plan->inputs[TARGET], i);
                if (!in[TARGET]) gather(buffers[TARGET], &plan->inputs[TARGET], i, n), in[TARGET] = buffers[TARGET];
            }
            if (weighs) weights = weights_of(plan, i, n, in, weight, spare);
            survey->kept += weighs ? count_kept(weights, n) : n;
            if (plan->has_weight) deposit(weights, n, &survey->weights[0], &guess);
            for (int j = 0; nans && j < plan->n_inputs; j++)
                if (has_nan(in[j], weights, n))
                    for (int64_t e = 0; e < n; e++)
                        if (weights[e] != 0 && in[j][e] != in[j][e]) note_nan(survey, i + e, j);
            for (int k = 0; k < plan->n_parts; k++) {
                const REAL low = plan->parts[k].labels_01 ? 0 : -1, *target = in[TARGET];
                if (!plan->parts[k].margin_labels || survey->bad_label >= 0) continue;
                if (!has_bad_label(target, weights, n, low)) continue;
                int64_t e = 0;
                while (weights[e] == 0 || target[e] == 1 || target[e] == low) e++;
                survey->bad_label = i + e;
                survey->label = (double)target[e];
                survey->label_part = k;
            }
        }
        survey->kept_rows += plan->span == 1 ? survey->kept - kept_before : survey->kept > kept_before;
    }
    for (int k = 1; k < plan->n_parts; k++) survey->weights[k] = survey->weights[0];
}

/* As long as nothing is wrong with them, rows are looked at many at a time. Returns the first of those that are left.
 */
static int64_t survey_good_rows(const lossfn__plan_t *plan, int64_t begin, int64_t end, lossfn__survey_t *survey) {
    REAL weights[ROW_BATCH], totals[ROW_BATCH];
    int64_t labels[ROW_BATCH];
    int guesses[LOSSFN__MAX_TERMS];
    if (plan->loss->nan_policy == LOSSFN__NAN_ERROR) return begin;
    for (int k = 0; k < plan->n_parts; k++) {
        const lossfn__term_t *term = plan->parts[k].term;
        guesses[k] = GRID_NONE;
        if (class_mask(term) || (class_weights(term) && !plan->has_labels) ||
            term->definition->unit == LOSSFN_UNIT_ELEMENT)
            return begin;
    }
    for (int64_t n; begin < end; begin += n) {
        n = end - begin < ROW_BATCH ? end - begin : ROW_BATCH;
        if (!stage_rows(plan, begin, n, labels, weights)) return begin;
        survey->kept += count_kept(weights, n);
        for (int k = 0; k < plan->n_parts; k++) {
            const double *list = class_weights(plan->parts[k].term);
            if (!list && !plan->has_weight) continue;
            for (int64_t i = 0; i < n; i++)
                totals[i] = !list ? weights[i] : weights[i] == 0 ? 0 : weights[i] * (REAL)list[labels[i]];
            deposit(totals, n, &survey->weights[k], &guesses[k]);
        }
    }
    return begin;
}

static void survey_rows(const lossfn__plan_t *plan, int64_t begin, int64_t end, lossfn__survey_t *survey) {
    REAL buffer[64];
    begin = survey_good_rows(plan, begin, end, survey);
    for (int64_t row = begin; row < end; row++) {
        int64_t label;
        REAL weight;
        stage_rows(plan, row, 1, &label, &weight);
        if (weight == 0) continue;
        survey->kept++;
        if (plan->has_labels && (label < 0 || label >= plan->cols) && survey->bad_label < 0) {
            survey->bad_label = row;
            int64_t number;
            load_label(&plan->inputs[TARGET], row, &number, &survey->label);
        }
        for (int k = 0; k < plan->n_parts; k++) {
            const lossfn__term_t *term = plan->parts[k].term;
            const double *list = class_weights(term);
            REAL total = weight;
            if (list && plan->has_labels) {
                total = label >= 0 && label < plan->cols ? weight * (REAL)list[label] : 0;
            } else if (list && plan->n_inputs > 1) {
                double mass = 0;
                for (int64_t first = 0; first < plan->cols; first += 64) {
                    int64_t n = plan->cols - first < 64 ? plan->cols - first : 64;
                    const REAL *t = row_classes(&plan->inputs[TARGET], row, first, n, buffer);
                    for (int64_t i = 0; i < n; i++) mass += (double)t[i] * (double)(REAL)list[first + i];
                }
                total = weight * (REAL)mass;
            }
            /* in a sum with a loss of elements, each element of the row has the row's weight */
            int64_t each = term->definition->unit == LOSSFN_UNIT_ELEMENT ? plan->cols : 1;
            lossfn__exact_add_multiple(&survey->weights[k], (double)total, (uint64_t)each);
            const double *mask = class_mask(term);
            if (mask && plan->has_labels && label >= 0 && label < plan->cols && mask[label] == 0 &&
                survey->bad_label < 0) {
                survey->bad_label = row;
                survey->label = (double)(label + plan->loss->label_base);
                survey->label_part = k;
                survey->label_masked = 1;
            }
        }
        if (plan->loss->nan_policy == LOSSFN__NAN_ERROR && survey->nan_index < 0)
            for (int j = 0; j < plan->n_inputs; j++) {
                if (plan->is_constant[j] || (j == TARGET && plan->has_labels)) continue;
                for (int64_t first = 0; first < plan->cols; first += 64) {
                    int64_t n = plan->cols - first < 64 ? plan->cols - first : 64;
                    const REAL *x = row_classes(&plan->inputs[j], row, first, n, buffer);
                    for (int64_t i = 0; i < n; i++)
                        if (x[i] != x[i]) note_nan(survey, row * plan->cols + first + i, j);
                }
            }
    }
    survey->kept_rows = survey->kept;
}

static void survey(const lossfn__plan_t *plan, int64_t begin, int64_t end, lossfn__survey_t *survey) {
    if (plan->unit == LOSSFN_UNIT_ROW)
        survey_rows(plan, begin, end, survey);
    else
        survey_elements(plan, begin, end, survey);
}

#endif
