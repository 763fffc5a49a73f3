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

/* Lanes that are kept; weight NULL: all. */
INLINE M kept_at(const REAL *weight, int64_t i, int64_t n) {
    return weight ? (M)(load_some(weight, i, n, 0) != v_zero()) : m_not(m_none());
}

/* Whether any of n targets that are kept is neither low nor 1. */
static int has_bad_label(const REAL *target, const REAL *weight, int64_t n, REAL low) {
    M bad = m_none();
    for (int64_t i = 0; i < n; i += LANES) {
        const V t = load_some(target, i, n, 1);
        bad = m_or(bad, m_and((t != v_one()) & (t != v_set((double)low)), kept_at(weight, i, n)));
    }
    return m_any(bad);
}

static int64_t count_kept(const REAL *weight, int64_t n) {
    return count_run((const char *)weight, REAL_DTYPE, sizeof(REAL), n);
}

static int has_nan(const REAL *x, const REAL *weight, int64_t n) {
    M nan = m_none();
    for (int64_t i = 0; i < n; i += LANES)
        nan = m_or(nan, m_and(v_isnan(load_some(x, i, n, 0)), kept_at(weight, i, n)));
    return m_any(nan);
}

static void find_nans(const lossfn__plan_t *plan, int64_t begin, int64_t n, const REAL *const *in, const REAL *weight,
                      lossfn__survey_t *survey) {
    for (int j = 0; j < plan->n_inputs; j++) {
        if (plan->is_constant[j] || !has_nan(in[j], weight, n)) continue;
        for (int64_t e = 0; e < n; e++)
            if ((!weight || weight[e] != 0) && in[j][e] != in[j][e]) note_nan(survey, begin + e, j);
    }
}

static void find_bad_label(const lossfn__plan_t *plan, int64_t begin, int64_t n, const REAL *target, const REAL *weight,
                           lossfn__survey_t *survey) {
    for (int k = 0; k < plan->n_parts; k++) {
        const REAL low = plan->parts[k].labels_01 ? 0 : -1;
        if (!plan->parts[k].margin_labels || survey->bad_label >= 0) continue;
        if (!has_bad_label(target, weight, n, low)) continue;
        int64_t e = 0;
        while ((weight && weight[e] == 0) || target[e] == 1 || target[e] == low) e++;
        survey->bad_label = begin + e;
        survey->label = (double)target[e];
        survey->label_part = k;
    }
}

/* What a survey of elements looks at. */
enum { SURVEY_INPUTS = 1, SURVEY_TARGET = 2, SURVEY_WEIGHTS = 4, SURVEY_MASK = 8 };

static int survey_needs(const lossfn__plan_t *plan) {
    int needs = plan->loss->nan_policy != LOSSFN__NAN_PROPAGATE ? SURVEY_INPUTS : 0;
    for (int k = 0; k < plan->n_parts; k++) needs |= plan->parts[k].margin_labels ? SURVEY_TARGET : 0;
    if (!is_weighted(plan)) return needs;
    const int mask_alone = needs == 0 && !plan->has_weight && in_line(&plan->mask) && !plan->counts_rows;
    return needs | (mask_alone ? SURVEY_MASK : SURVEY_WEIGHTS);
}

/* How many of the rows of a block, `cols` elements each, have something kept. */
static int64_t count_rows(const REAL *weight, int64_t n, int64_t cols) {
    int64_t rows = 0;
    if (!weight) return n / cols;
    for (int64_t i = 0; i < n; i += cols) {
        int kept = 0;
        if (cols >= LANES)
            kept = count_kept(weight + i, cols) > 0;
        else
            for (int64_t e = i; e < i + cols; e++) kept |= weight[e] != 0;
        rows += kept;
    }
    return rows;
}

static const REAL *survey_block(walk_t *w, int needs, int64_t begin, int64_t n, lossfn__survey_t *survey) {
    const lossfn__plan_t *plan = w->plan;
    const lossfn__view_t *mask = &plan->mask;
    const REAL *in[LOSSFN_MAX_INPUTS] = {0}, *weight = NULL;
    if (needs & SURVEY_INPUTS)
        stage_inputs(w, begin, n, in);
    else if (needs & SURVEY_TARGET)
        in[TARGET] = stage(&w->inputs[TARGET], begin, n);
    if (needs & SURVEY_WEIGHTS) weight = stage_weights(w, begin, n, in);
    if (needs & SURVEY_MASK)
        survey->kept += count_run(mask->data + begin * mask->item, mask->dtype, mask->item, n);
    else if (!weight)
        survey->kept += n;
    else if (plan->counts || plan->counts_rows || survey->kept == 0)
        survey->kept += count_kept(weight, n);
    if (plan->weighs) deposit(weight, n, &survey->weights[0], &w->collected);
    if (plan->loss->nan_policy == LOSSFN__NAN_ERROR) find_nans(plan, begin, n, in, weight, survey);
    if (needs & SURVEY_TARGET) find_bad_label(plan, begin, n, in[TARGET], weight, survey);
    return weight;
}

static void survey_elements(const lossfn__plan_t *plan, int64_t begin, int64_t end, lossfn__survey_t *survey) {
    _Alignas(64) REAL memory[ROOM + LANES];
    const int needs = survey_needs(plan), whole = plan->counts || plan->weighs || plan->counts_rows;
    const int64_t cols = plan->span;
    walk_t w;
    begin_survey(&w, plan, memory, needs & SURVEY_INPUTS, needs & SURVEY_TARGET, (end - begin) * cols);
    if (plan->counts_rows && cols > 0 && cols <= w.block) w.block = w.block / cols * cols; /* of whole rows */
    const int64_t block = needs & SURVEY_MASK ? 1 << 16 : w.block;
    int64_t kept_before = 0;
    for (int64_t i = begin * cols, n; i < end * cols; i += n) {
        n = end * cols - i < block ? end * cols - i : block;
        if (plan->counts_rows && cols > block && n > cols - i % cols) n = cols - i % cols; /* of one row */
        const REAL *weight = survey_block(&w, needs, i, n, survey);
        if (plan->counts_rows && cols <= block) {
            survey->kept_rows += count_rows(weight, n, cols);
        } else if (plan->counts_rows && (i + n) % cols == 0) {
            survey->kept_rows += survey->kept > kept_before;
            kept_before = survey->kept;
        }
        if (survey->kept > 0 && !whole && !(needs & (SURVEY_INPUTS | SURVEY_TARGET))) break;
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
        if (plan->has_labels && (label < 0 || label >= plan->n_labels) && survey->bad_label < 0) {
            survey->bad_label = row;
            load_label(&plan->inputs[TARGET], row, &survey->label_number, &survey->label);
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
                survey->label_number = label + plan->loss->label_base;
                survey->label = (double)survey->label_number;
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
