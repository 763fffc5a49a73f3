/* SPDX-License-Identifier: MIT */
#include "engine/run.h"

#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "core/memory.h"
#include "core/registry.h"
#include "core/status.h"
#include "engine/fpenv.h"
#include "engine/isa.h"
#include "engine/pool.h"

/* Below this much work per thread, another thread costs more than it saves; a sleeping one is woken for work that takes
 * one thread so long. */
enum { ELEMENTS_PER_THREAD = 1 << 15, LONG_NS = 200000, SHARE_MULTIPLE = 4096 };

/* Bytes of pred from which data are taken to come from memory, or nearly. */
enum { LARGE = 8 << 20 };

/* ---- Sharing work among threads ---------------------------------------------------------------------------------- */

typedef struct {
    const lossfn__plan_t *plan;
    const lossfn__engine_t *engine;
    int64_t share; /* units per task */
    void *result;  /* what the tasks' findings are merged into */
    pthread_mutex_t lock;
} work_t;

typedef union {
    lossfn__partial_t partial;
    char room[sizeof(lossfn__partial_t) + LOSSFN__MAX_SUMS * sizeof(lossfn__exact_t)];
} partial_room;

typedef union {
    lossfn__survey_t survey;
    char room[sizeof(lossfn__survey_t) + LOSSFN__MAX_TERMS * sizeof(lossfn__exact_t)];
} survey_room;

static void clear_partial(lossfn__partial_t *partial, int32_t n_sums) {
    partial->fault = -1;
    partial->fault_part = 0;
    partial->status = LOSSFN_OK;
    for (int32_t k = 0; k < n_sums; k++) lossfn__exact_clear(&partial->sums[k]);
}

static void clear_survey(lossfn__survey_t *survey, int32_t n_parts) {
    memset(survey, 0, sizeof *survey);
    survey->bad_label = survey->nan_index = -1;
    for (int32_t k = 0; k < n_parts; k++) lossfn__exact_clear(&survey->weights[k]);
}

static void range_of(const work_t *work, int index, int64_t *begin, int64_t *end) {
    *begin = work->share * index;
    *end = *begin + work->share;
    if (*begin > work->plan->units) *begin = work->plan->units;
    if (*end > work->plan->units) *end = work->plan->units;
}

static void run_task(void *context, int32_t index) {
    work_t *work = context;
    partial_room room;
    lossfn__fpenv_t saved;
    int64_t begin, end;
    lossfn__partial_t *into = work->result, *from = &room.partial;
    range_of(work, index, &begin, &end);
    if (begin == end) return;
    clear_partial(from, work->plan->n_sums);
    lossfn__fpenv_enter(&saved);
    work->engine->run(work->plan, begin, end, from);
    lossfn__fpenv_leave(&saved);
    pthread_mutex_lock(&work->lock);
    for (int32_t k = 0; k < work->plan->n_sums; k++) lossfn__exact_merge(&into->sums[k], &from->sums[k]);
    if (from->fault >= 0 && (into->fault < 0 || from->fault < into->fault)) {
        into->fault = from->fault;
        into->fault_part = from->fault_part;
    }
    if (into->status == LOSSFN_OK) into->status = from->status;
    pthread_mutex_unlock(&work->lock);
}

static void survey_task(void *context, int32_t index) {
    work_t *work = context;
    survey_room room;
    lossfn__fpenv_t saved;
    int64_t begin, end;
    lossfn__survey_t *into = work->result, *from = &room.survey;
    range_of(work, index, &begin, &end);
    if (begin == end) return;
    clear_survey(from, work->plan->n_parts);
    lossfn__fpenv_enter(&saved);
    work->engine->survey(work->plan, begin, end, from);
    lossfn__fpenv_leave(&saved);
    pthread_mutex_lock(&work->lock);
    for (int32_t k = 0; k < work->plan->n_parts; k++) lossfn__exact_merge(&into->weights[k], &from->weights[k]);
    into->kept += from->kept;
    into->kept_rows += from->kept_rows;
    if (from->bad_label >= 0 && (into->bad_label < 0 || from->bad_label < into->bad_label)) {
        into->bad_label = from->bad_label;
        into->label = from->label;
        into->label_number = from->label_number;
        into->label_part = from->label_part;
        into->label_masked = from->label_masked;
    }
    if (from->nan_index >= 0 && (into->nan_index < 0 || from->nan_index < into->nan_index)) {
        into->nan_index = from->nan_index;
        into->nan_input = from->nan_input;
    }
    pthread_mutex_unlock(&work->lock);
}

/* Elements, or classes, of a plan. */
static double work_of(const lossfn__plan_t *plan) {
    return (double)plan->units * (double)(plan->unit == LOSSFN_UNIT_ROW ? plan->cols : plan->span);
}

/* How a call is spread over threads, and when it began, if it is large enough. */
typedef struct {
    int missed; /* workers that were asleep would have helped */
    int64_t began_ns;
} spread_t;

/* The most threads for a call. Asked once: whether the pool answers changes. */
static int most_threads(const lossfn__plan_t *plan, spread_t *spread) {
    int threads = plan->exec ? plan->exec->threads : 1;
    spread->missed = 0;
    spread->began_ns = 0;
    if (threads == 1 || work_of(plan) < 2.0 * ELEMENTS_PER_THREAD) return 1;
    for (int32_t k = 0; k < plan->n_parts; k++) {
        const lossfn_vtable_t *user = plan->parts[k].term->definition->user;
        if (plan->in_scratch || (user && !(user->flags & LOSSFN_VTABLE_CONCURRENT))) return 1;
    }
    if (threads == 0) threads = lossfn__pool_default_threads();
    if (threads == 1 || plan->exec->parallel_for) return threads;
    const double pace = atomic_load_explicit(&plan->loss->pace, memory_order_relaxed);
    spread->missed = pace * work_of(plan) < LONG_NS && !lossfn__pool_answers();
    spread->began_ns = lossfn__pool_clock_ns();
    return spread->missed ? 1 : threads;
}

/* Remembers how long a large call took: it costs the next one nothing, and no result depends on it. */
static void note_pace(const lossfn__plan_t *plan, const spread_t *spread) {
    if (spread->began_ns == 0) return;
    const double took = (double)(lossfn__pool_clock_ns() - spread->began_ns);
    lossfn_t *loss = (lossfn_t *)(uintptr_t)plan->loss;
    atomic_store_explicit(&loss->pace, took * plan->threads / work_of(plan), memory_order_relaxed);
    if (spread->missed) lossfn__pool_missed();
}

/* Of these, as many as there is work for in a pass over the plan or a slice of it. */
static int threads_for(const lossfn__plan_t *plan) {
    const double shares = work_of(plan) / ELEMENTS_PER_THREAD;
    return shares < 2 ? 1 : shares < plan->threads ? (int)shares : plan->threads;
}

static void share(const lossfn__plan_t *plan, int threads, void (*task)(void *, int32_t), void *result) {
    work_t work = {plan, lossfn__engine(plan->is_double), 0, result, PTHREAD_MUTEX_INITIALIZER};
    int64_t multiple = plan->unit == LOSSFN_UNIT_ELEMENT && plan->span == 1 ? SHARE_MULTIPLE : 1;
    if (plan->tile > 1) multiple = (SHARE_MULTIPLE + plan->tile - 1) / plan->tile * plan->tile;
    work.share = (plan->units + threads - 1) / threads;
    work.share = (work.share + multiple - 1) / multiple * multiple;
    if (plan->exec && plan->exec->parallel_for)
        plan->exec->parallel_for(plan->exec->parallel_user, threads, task, &work);
    else
        lossfn__pool_run(threads, task, &work);
}

/* Whether the outputs would throw everything out of the caches and be thrown out themselves. An output that lies on an
 * input is there already. */
static int overflows_caches(const lossfn__plan_t *plan) {
    int64_t bytes = 0, elements = plan->units * (plan->unit == LOSSFN_UNIT_ROW ? plan->cols : plan->span);
    if (plan->exec && plan->exec->flags & LOSSFN_EXEC_CACHED) return 0;
    for (int32_t j = 0; j < plan->n_inputs; j++) {
        if (plan->has_grad[j]) bytes += elements * plan->grads[j].item;
        for (int32_t i = 0; i < plan->n_inputs; i++)
            if ((plan->has_grad[i] && plan->grads[i].data == plan->inputs[j].data) ||
                (plan->has_hess && plan->hess.data == plan->inputs[j].data))
                return 0;
    }
    if (plan->has_hess) bytes += elements * plan->hess.item;
    if (plan->has_values && plan->reduction == LOSSFN__NONE) bytes += elements * plan->values.item;
    return bytes >= lossfn__cache_size() / 2;
}

static void run_units(const lossfn__plan_t *plan, lossfn__partial_t *partial) {
    int threads = threads_for(plan);
    if (threads > 1)
        share(plan, threads, run_task, partial);
    else
        lossfn__engine(plan->is_double)->run(plan, 0, plan->units, partial);
}

static void survey_units(const lossfn__plan_t *plan, lossfn__survey_t *survey) {
    int threads = threads_for(plan);
    if (threads > 1)
        share(plan, threads, survey_task, survey);
    else
        lossfn__engine(plan->is_double)->survey(plan, 0, plan->units, survey);
}

/* The same plan, which writes nothing. */
static void make_silent(lossfn__plan_t *silent, const lossfn__plan_t *plan) {
    *silent = *plan;
    silent->want = LOSSFN__WANT_VALUE;
    silent->has_values = silent->has_hess = silent->has_hvp = silent->need_sum = silent->need_total = 0;
    memset(silent->has_grad, 0, sizeof silent->has_grad);
}

/* The same plan, of which only values outside the domain are wanted. */
static void make_dry(lossfn__plan_t *dry, const lossfn__plan_t *plan) {
    make_silent(dry, plan);
    dry->dry = 1;
}

/* Which fault is the first, and whose, after another order than C order found some. */
static void find_first_fault(const lossfn__plan_t *plan, lossfn__partial_t *partial) {
    lossfn__plan_t dry;
    partial_room room;
    make_dry(&dry, plan);
    clear_partial(&room.partial, plan->n_sums);
    run_units(&dry, &room.partial);
    partial->fault = room.partial.fault;
    partial->fault_part = room.partial.fault_part;
}

/* Runs a pass over all units. The result must have been cleared. */
static void run_pass(const lossfn__plan_t *plan, lossfn__partial_t *partial) {
    lossfn__plan_t piece;
    if (plan->order.n == 0) {
        run_units(plan, partial);
        return;
    }
    for (int i = 0; partial->status == LOSSFN_OK && lossfn__plan_piece(&piece, plan, i); i++)
        run_units(&piece, partial);
    if (partial->fault >= 0) find_first_fault(plan, partial);
}

static void run_survey(const lossfn__plan_t *plan, lossfn__survey_t *survey) {
    lossfn__plan_t part;
    const int64_t repeats = lossfn__plan_distinct(&part, plan);
    if (repeats > 1) {
        survey_units(&part, survey);
        survey->kept *= repeats;
        for (int32_t k = 0; k < plan->n_parts; k++) lossfn__exact_multiply(&survey->weights[k], (uint64_t)repeats);
        return;
    }
    for (int i = 0; plan->order.n > 0 && lossfn__plan_piece(&part, plan, i); i++) survey_units(&part, survey);
    if (plan->order.n > 0 && survey->bad_label < 0 && survey->nan_index < 0) return;
    clear_survey(survey, plan->n_parts); /* in C order, also to say what comes first in it */
    survey_units(plan, survey);
}

/* ---- Messages about data ----------------------------------------------------------------------------------------- */

/* Position in pred, in C order, of what the engine walked as element `at`. */
static int64_t index_in_pred(const lossfn__plan_t *plan, int64_t at) {
    if (plan->unit == LOSSFN_UNIT_ELEMENT) return at;
    int32_t axis = plan->loss->axis < 0 ? plan->loss->axis + plan->ndim : plan->loss->axis;
    int64_t inner = 1, row = at / plan->cols, class = at % plan->cols;
    for (int32_t d = axis + 1; d < plan->ndim; d++) inner *= plan->shape[d];
    return (row / inner * plan->cols + class) * inner + row % inner;
}

static double value_at(const lossfn__plan_t *plan, const lossfn__layout_t *layout, int64_t index) {
    double x;
    int64_t offset = 0;
    for (int32_t d = plan->ndim - 1; d >= 0; d--) {
        offset += index % plan->shape[d] * layout->strides[d];
        index /= plan->shape[d];
    }
    lossfn__load_double(layout->data + offset * lossfn_dtype_size(layout->dtype), layout->dtype, &x);
    return x;
}

static lossfn_status_t fail_domain(const lossfn__plan_t *plan, const lossfn__partial_t *found) {
    char number[LOSSFN__DOUBLE_TEXT], text[160];
    int64_t index = index_in_pred(plan, found->fault);
    size_t length = 0;
    text[0] = 0;
    for (int32_t j = 0; j < plan->parts[found->fault_part].n_inputs && j < 4; j++) {
        if (plan->is_constant[j] || (j == 1 && plan->has_labels)) continue;
        const char *pieces[] = {length ? ", " : "", plan->loss->inputs[j].name, " is ",
                                lossfn__format_double(value_at(plan, &plan->input_layouts[j], index), number)};
        for (int i = 0; i < 4; i++) {
            size_t n = strlen(pieces[i]);
            if (length + n >= sizeof text) break;
            memcpy(text + length, pieces[i], n + 1);
            length += n;
        }
    }
    return lossfn__fail(LOSSFN_ERROR_DOMAIN, "%s: element %lld is outside the domain: %s",
                        plan->parts[found->fault_part].term->definition->name, (long long)index, text);
}

static lossfn_status_t fail_label(const lossfn__plan_t *plan, const lossfn__survey_t *found) {
    char number[LOSSFN__DOUBLE_TEXT];
    const char *name = plan->loss->inputs[1].name;
    if (plan->has_labels && plan->inputs[1].dtype == LOSSFN_U64)
        snprintf(number, sizeof number, "%llu", (unsigned long long)found->label_number);
    else if (plan->has_labels && plan->inputs[1].dtype == LOSSFN_I64) /* may be beyond what a double holds */
        lossfn__format_integer(found->label_number, number);
    else
        lossfn__format_double(found->label, number);
    if (!plan->has_labels) {
        if (plan->parts[found->label_part].labels_01)
            return lossfn__fail(LOSSFN_ERROR_LABEL, "%s[%lld] is %s, labels are 0 and 1", name,
                                (long long)found->bad_label, number);
        return lossfn__fail(LOSSFN_ERROR_LABEL, "%s[%lld] is %s, labels are -1 and +1%s", name,
                            (long long)found->bad_label, number, found->label == 0 ? "; labels=01 takes 0 and 1" : "");
    }
    const long long base = (long long)plan->loss->label_base;
    const long long row = (long long)found->bad_label + (base == 1); /* who counts labels from 1 counts rows from 1 */
    if (found->label_masked)
        return lossfn__fail(LOSSFN_ERROR_LABEL, "%s[%lld] is %s, a class that class_mask takes out", name, row, number);
    const char *hint = found->label < 0 ? "; ignore_index takes rows out" : "";
    if (base != 0) {
        char last[LOSSFN__DOUBLE_TEXT]; /* of a large base it is beyond 2^63 */
        const int64_t more = plan->n_labels - 1;
        if (base > 0)
            snprintf(last, sizeof last, "%llu", (unsigned long long)base + (unsigned long long)more);
        else
            snprintf(last, sizeof last, "%lld", base + (long long)more);
        return lossfn__fail(LOSSFN_ERROR_LABEL, "%s[%lld] is %s, labels are %lld to %s (label_base=%lld)%s", name, row,
                            number, base, last, base, hint);
    }
    return lossfn__fail(LOSSFN_ERROR_LABEL, "%s[%lld] is %s, labels are 0 to %lld%s", name, (long long)found->bad_label,
                        number, (long long)plan->n_labels - 1, hint);
}

/* ---- Reducing ---------------------------------------------------------------------------------------------------- */

static double apply_outer(int32_t outer, double x) {
    if (outer == LOSSFN__OUTER_NONE) return x;
    return x >= 0 ? sqrt(x) : NAN; /* asked first: the root of less sets errno */
}

/* The outer function's derivative where it has this value; 0 at its kink. */
static double outer_slope(double value) { return value == 0 ? 0 : 0.5 / value; }

/* What a loss makes of a sum that nothing divides: also the root of one beyond all doubles. */
static double finish_sum(const lossfn__term_t *term, const lossfn__exact_t *sum) {
    const int32_t outer = term->definition->outer;
    const double x = lossfn__exact_round(sum);
    if (outer != LOSSFN__OUTER_NONE && isinf(x))
        return 0x1p31 * apply_outer(outer, lossfn__exact_quotient_count(sum, (uint64_t)1 << 62));
    return apply_outer(outer, x);
}

/* What an outer function makes of marginals, whose means are known; offsets go behind each other into `made`. */
static lossfn__marginals_t of_marginals(const lossfn__term_t *term, const lossfn__exact_t *sum,
                                        const lossfn__exact_t *weight, int64_t classes, const double *means,
                                        double *made) {
    lossfn__marginals_t m = {.classes = classes,
                             .mean = lossfn__exact_quotient(sum, weight),
                             .marginals = {means, means + classes},
                             .constants = term->constants,
                             .offsets = {made, made + classes}};
    term->definition->of_marginals(&m);
    return m;
}

/* The value of nothing. */
static double nothing(const lossfn_t *loss, int *empty) {
    *empty = 1;
    return loss->empty_zero ? 0 : NAN;
}

double lossfn__reduce(const lossfn_t *loss, int32_t k, const lossfn__total_t *total,
                      const lossfn__marginal_sums_t *kept, double *room, int *empty) {
    const lossfn__term_t *term = &loss->terms[k];
    const int marginals = term->definition->outer == LOSSFN__OUTER_OF_MARGINALS;
    if (total->kept == 0) *empty = 1;
    if (!marginals && !lossfn__is_mean(loss->reduction)) return finish_sum(term, &total->sum);
    if (total->kept == 0 || lossfn__exact_is_zero(marginals ? kept->sums : &total->denominator))
        return nothing(loss, empty);
    if (!marginals)
        return apply_outer(term->definition->outer, lossfn__exact_quotient(&total->sum, &total->denominator));
    const int64_t count = 2 * kept->classes;
    for (int64_t i = 0; i < count; i++) room[i] = lossfn__exact_quotient(&kept->sums[1 + i], &kept->sums[0]);
    return of_marginals(term, &total->sum, &kept->sums[0], kept->classes, room, room + count).value;
}

/* Whether a number other than 0 and NaN is none of the normal ones, from least to most. */
static int beyond(double x, double least, double most) {
    return x != 0 && !isnan(x) && !(fabs(x) >= least && fabs(x) <= most);
}

/* Divides a part's scale by a denominator, which is that of `weight` unless that is NULL. Times a weight the quotient
 * may well be a number where it is none alone: then a power of two stands apart. */
static void divide_scale(lossfn__plan_t *plan, lossfn__part_t *part, double denominator,
                         const lossfn__exact_t *weight) {
    enum { FAR = 600 };
    const double scale = part->scale, quotient = scale / denominator;
    const int zero = weight ? lossfn__exact_is_zero(weight) : denominator == 0;
    part->scale = zero ? 0 : quotient;
    if (!zero && scale != 0 && (quotient == 0 || beyond(quotient, DBL_MIN, DBL_MAX))) {
        const int far = fabs(quotient) < 1 ? FAR : -FAR;
        const double power = far > 0 ? 0x1p600 : 0x1p-600;
        lossfn__exact_t exact;
        lossfn__exact_clear(&exact);
        lossfn__exact_add_scaled(&exact, 1, far);
        part->scale = scale * (weight ? lossfn__exact_quotient(&exact, weight) : power / denominator);
        part->unit = 1 / power;
    }
    plan->has_far_scale |= part->unit != 1 || (!plan->is_double && beyond(part->scale, FLT_MIN, FLT_MAX));
}

/* What each part's mean divides by. */
static void set_denominators(lossfn__plan_t *plan, const lossfn__survey_t *survey, const double *given) {
    for (int32_t k = 0; k < plan->n_parts; k++) {
        lossfn__part_t *part = &plan->parts[k];
        /* an element of a sum over rows: its units are all the elements of the kept rows */
        int64_t each =
            plan->unit == LOSSFN_UNIT_ROW && part->term->definition->unit == LOSSFN_UNIT_ELEMENT ? plan->cols : 1;
        int64_t all = plan->units * plan->span, kept = survey ? survey->kept : all;
        part->is_count = 1;
        part->count = 1;
        switch (plan->reduction) {
        case LOSSFN__MEAN:
            if (plan->has_weight ||
                (part->term->class_weight >= 0 && part->term->values[part->term->class_weight].list)) {
                part->is_count = 0;
                part->weight = survey->weights[k];
            } else {
                part->count = kept * each;
            }
            break;
        case LOSSFN__MEAN_UNITS:
            part->count = kept * each;
            break;
        case LOSSFN__MEAN_ALL:
            part->count = all * each;
            break;
        case LOSSFN__MEAN_ROWS:
            part->count = survey ? survey->kept_rows : plan->cols == 0 ? 0 : plan->rows;
            break;
        }
        part->is_given = given && lossfn__is_mean(plan->reduction);
        part->denominator = part->is_given   ? *given
                            : part->is_count ? (double)part->count
                                             : lossfn__exact_round(&part->weight);
        part->scale = part->term->coefficient * plan->upstream_scalar;
        part->unit = 1;
        const int is_mean = lossfn__is_mean(plan->reduction), is_number = part->is_given || part->is_count;
        divide_scale(plan, part, is_mean ? part->denominator : 1, is_mean && !is_number ? &part->weight : NULL);
    }
}

static int takes_marginals(const lossfn__plan_t *plan, int32_t k) {
    return plan->parts[k].term->definition->outer == LOSSFN__OUTER_OF_MARGINALS;
}

static double reduced(const lossfn__plan_t *plan, int32_t k, const lossfn__exact_t *sum, int64_t kept, int *empty) {
    const lossfn__part_t *part = &plan->parts[k];
    const int32_t outer = part->term->definition->outer;
    if (takes_marginals(plan, k)) return part->offsets[0] ? part->outer_value : nothing(plan->loss, empty);
    if (kept == 0) *empty = 1;
    if (!lossfn__is_mean(plan->reduction)) return finish_sum(part->term, sum);
    if (part->is_given) {
        lossfn__exact_t denominator;
        lossfn__exact_clear(&denominator);
        lossfn__exact_add(&denominator, part->denominator);
        return apply_outer(outer, lossfn__exact_quotient(sum, &denominator));
    }
    if (kept == 0 || (part->is_count ? part->count == 0 : lossfn__exact_is_zero(&part->weight)))
        return nothing(plan->loss, empty);
    return apply_outer(outer, part->is_count ? lossfn__exact_quotient_count(sum, (uint64_t)part->count)
                                             : lossfn__exact_quotient(sum, &part->weight));
}

/* Whether something is wanted of an outer function that needs all values, or marginals, beforehand. */
static int needs_outer(const lossfn__plan_t *plan) {
    int any = 0, derives = 0, marginals = 0;
    for (int32_t k = 0; k < plan->n_parts; k++) {
        any |= plan->parts[k].term->definition->outer != LOSSFN__OUTER_NONE;
        marginals |= takes_marginals(plan, k);
    }
    for (int32_t j = 0; j < plan->n_inputs; j++) derives |= plan->has_grad[j] | plan->collects[j];
    return (marginals || (any && derives)) && lossfn__reduces(plan->reduction);
}

/* The weighted means over the rows of pred and of target, class by class; their sums for an accumulator, too. */
static void find_marginals(const lossfn__plan_t *silent, const lossfn__exact_t *weight, double *means,
                           const lossfn__marginal_sums_t *sums) {
    lossfn__plan_t some = *silent;
    const int64_t count = 2 * some.cols;
    for (some.marginals = 0; some.marginals < count; some.marginals += some.n_sums) {
        partial_room room;
        const int64_t left = count - some.marginals;
        some.n_sums = left < LOSSFN__MAX_SUMS ? (int32_t)left : LOSSFN__MAX_SUMS;
        clear_partial(&room.partial, some.n_sums);
        run_units(&some, &room.partial);
        for (int32_t i = 0; i < some.n_sums; i++) {
            means[some.marginals + i] = lossfn__exact_quotient(&room.partial.sums[i], weight);
            if (sums) sums->sums[1 + some.marginals + i] = room.partial.sums[i];
        }
    }
    if (sums) sums->sums[0] = *weight;
}

/* The total weight of the kept rows. */
static void weigh_rows(const lossfn__plan_t *plan, const lossfn__survey_t *survey, int32_t k, int64_t kept,
                       lossfn__exact_t *weight) {
    lossfn__exact_clear(weight);
    if (survey && plan->has_weight)
        *weight = survey->weights[k];
    else
        lossfn__exact_add_scaled(weight, kept, 0);
}

/* Outer functions of marginals, which are found first; nothing if no weight is kept. */
static void apply_marginals(lossfn__plan_t *plan, const lossfn__plan_t *silent, const lossfn__survey_t *survey,
                            int64_t kept, const lossfn__exact_t *values, double *room,
                            const lossfn__marginal_sums_t *sums) {
    double *made = NULL;
    for (int32_t k = 0; kept > 0 && k < plan->n_parts; k++) {
        lossfn__part_t *part = &plan->parts[k];
        lossfn__exact_t weight;
        if (!takes_marginals(plan, k)) continue;
        weigh_rows(plan, survey, k, kept, &weight);
        if (!made) {
            find_marginals(silent, &weight, room, sums);
            made = room + 2 * plan->cols;
        }
        part->scale = 0, part->unit = 1;
        if (lossfn__exact_is_zero(&weight)) continue;
        const lossfn__marginals_t m = of_marginals(part->term, &values[k], &weight, plan->cols, room, made);
        made += 2 * plan->cols;
        for (int j = 0; j < 2; j++) part->offsets[j] = m.offsets[j];
        part->outer_value = m.value;
        const double scale = part->term->coefficient * plan->upstream_scalar;
        if (scale == 0) continue;
        part->scale = scale * m.slope;
        divide_scale(plan, part, lossfn__exact_round(&weight), &weight);
    }
}

/* What outer functions, and their derivatives, need of all values: a pass that writes nothing finds their sums first.
 */
static void apply_outers(lossfn__plan_t *plan, const lossfn__survey_t *survey, int64_t kept, double *room,
                         const lossfn__marginal_sums_t *marginals, lossfn__partial_t *found) {
    lossfn__plan_t silent;
    int empty = 0;
    make_silent(&silent, plan);
    silent.need_sum = silent.need_total = 1;
    run_pass(&silent, found);
    if (found->status != LOSSFN_OK) return;
    for (int32_t k = 0; k < plan->n_parts; k++) {
        lossfn__part_t *part = &plan->parts[k];
        if (part->term->definition->outer != LOSSFN__OUTER_SQRT || part->scale == 0) continue;
        part->scale *= outer_slope(reduced(plan, k, &found->sums[k], kept, &empty));
    }
    apply_marginals(plan, &silent, survey, kept, found->sums, room, marginals);
}

/* ---- The call ---------------------------------------------------------------------------------------------------- */

static int needs_survey(const lossfn__plan_t *plan) {
    int margins = 0;
    for (int32_t k = 0; k < plan->n_parts; k++) {
        const lossfn__term_t *term = plan->parts[k].term;
        margins |= plan->parts[k].margin_labels || (term->class_weight >= 0 && term->values[term->class_weight].list);
    }
    return margins || plan->has_weight || plan->has_mask || plan->has_labels ||
           plan->loss->nan_policy != LOSSFN__NAN_PROPAGATE;
}

/* What the survey of elements has to find out. */
static void set_survey(lossfn__plan_t *plan, int given, int totals) {
    const int reduction = given ? LOSSFN__SUM : plan->reduction;
    plan->weighs = plan->has_weight && reduction == LOSSFN__MEAN;
    plan->counts = totals || reduction == LOSSFN__MEAN_UNITS || (reduction == LOSSFN__MEAN && !plan->has_weight);
    plan->counts_rows = reduction == LOSSFN__MEAN_ROWS;
}

/* The place of element `index`, in C order, of a tensor. */
static char *element_at(const lossfn_tensor_t *t, int64_t index) {
    int64_t offset = 0, next = 1;
    for (int32_t d = t->ndim - 1; d >= 0; d--) {
        offset += index % t->shape[d] * (t->flags & LOSSFN_TENSOR_STRIDED ? t->strides[d] : next);
        next *= t->shape[d];
        index /= t->shape[d];
    }
    return (char *)t->data + offset * lossfn_dtype_size(t->dtype);
}

/* The part of a plan over rows that belongs to element `index` of the gradient of broadcast input j, of n, and to some
 * elements after it. Returns how many they are. */
static int64_t slice_rows(lossfn__plan_t *slice, const lossfn__plan_t *plan, int32_t j, int64_t index, int64_t n) {
    *slice = *plan;
    slice->has_values = slice->has_hess = slice->need_sum = slice->need_total = 0;
    memset(slice->has_grad, 0, sizeof slice->has_grad);
    slice->has_grad[j] = 1;
    slice->collect = j;
    slice->collect_class = n > 1 ? index : -1;
    slice->n_sums = n - index < LOSSFN__MAX_SUMS ? (int32_t)(n - index) : LOSSFN__MAX_SUMS;
    return slice->n_sums;
}

/* Exact sums of the gradients that broadcast inputs collect, one pass over its slice of the data for some of each. */
static lossfn_status_t collect(const lossfn__plan_t *plan) {
    for (int32_t j = 0; j < plan->n_inputs; j++) {
        if (!plan->collects[j]) continue;
        const lossfn_tensor_t *grad = plan->collected[j];
        int64_t n = 1;
        for (int32_t d = 0; d < grad->ndim; d++) n *= grad->shape[d];
        for (int64_t i = 0, some; i < n; i += some) {
            lossfn__plan_t slice;
            partial_room room;
            some = plan->unit == LOSSFN_UNIT_ROW ? slice_rows(&slice, plan, j, i, n)
                                                 : lossfn__plan_slice(&slice, plan, j, i);
            clear_partial(&room.partial, slice.n_sums);
            run_pass(&slice, &room.partial);
            if (room.partial.status != LOSSFN_OK) return room.partial.status;
            for (int64_t k = 0; k < some; k++)
                lossfn__store_double(element_at(grad, i + k), grad->dtype, lossfn__exact_round(&room.partial.sums[k]));
        }
    }
    return LOSSFN_OK;
}

/* Hessian-vector products of losses over rows. */
static void run_products(const lossfn__plan_t *plan) {
    lossfn__plan_t products = *plan;
    partial_room room;
    products.product = 1;
    products.has_hess = 0;
    memset(products.has_grad, 0, sizeof products.has_grad);
    clear_partial(&room.partial, products.n_sums);
    run_units(&products, &room.partial);
}

static lossfn_status_t fail_callback(lossfn_status_t status, const lossfn_call_t *call) {
    return lossfn__fail(status, "%s", call->message[0] ? call->message : "a user-made loss failed without a message");
}

/* Whether the pass over all units has anything to write. */
static int writes(const lossfn__plan_t *plan) {
    int any = plan->has_values | plan->has_hess;
    for (int32_t j = 0; j < plan->n_inputs; j++) any |= plan->has_grad[j];
    return any;
}

/* Not inlined, so that no arithmetic moves out of the guard around it. */
static __attribute__((noinline)) lossfn_status_t compute(const lossfn_t *loss, lossfn_args_t *args,
                                                         lossfn__total_t *totals,
                                                         const lossfn__marginal_sums_t *marginal_sums) {
    lossfn__plan_t plan;
    lossfn_call_t call = {.status = LOSSFN_OK};
    survey_room surveyed;
    partial_room found;
    call.message[0] = 0;
    const lossfn_vtable_t *whole = loss->terms[0].definition->user;
    if (whole && whole->run) {
        LOSSFN__REQUIRE(loss->n_terms == 1 && loss->terms[0].coefficient == 1 && !totals, LOSSFN_ERROR_UNSUPPORTED,
                        "%s computes by itself, so it cannot be part of a sum or be accumulated",
                        loss->terms[0].definition->name);
        lossfn_status_t status = whole->run(lossfn__user_data(loss->terms[0].definition), loss, args, &call);
        return status == LOSSFN_OK ? status : fail_callback(lossfn__known_failure(status), &call);
    }
    LOSSFN__TRY(lossfn__plan_make(&plan, loss, args));
    plan.call = &call;
    const lossfn__scratch_t scratch = lossfn__scratch_needed(loss, args);
    const int64_t needed = scratch.rows + scratch.marginals;
    plan.in_scratch = scratch.rows > 0;
    spread_t spread;
    plan.threads = most_threads(&plan, &spread);
    LOSSFN__REQUIRE(!args->denominator || (isfinite(*args->denominator) && *args->denominator != 0),
                    LOSSFN_ERROR_ARGUMENT, "denominator must be finite and not 0");
    LOSSFN__REQUIRE(!args->denominator || lossfn__is_mean(plan.reduction), LOSSFN_ERROR_ARGUMENT,
                    "denominator is given, but the reduction divides by nothing");
    LOSSFN__REQUIRE(!args->denominator || !totals, LOSSFN_ERROR_ARGUMENT,
                    "denominator is given, but the accumulator makes its own");
    const int64_t given = args->exec && args->exec->scratch ? args->exec->scratch_size : 0;
    LOSSFN__REQUIRE(needed == 0 || given >= needed, LOSSFN_ERROR_ARGUMENT,
                    "exec.scratch has %lld bytes, %lld are needed", (long long)given, (long long)needed);
    plan.is_large = plan.units * plan.span * plan.inputs[0].item >= LARGE;
    const int surveys = needs_survey(&plan);
    if (surveys) {
        const lossfn__survey_t *survey = &surveyed.survey;
        clear_survey(&surveyed.survey, plan.n_parts);
        set_survey(&plan, args->denominator != NULL, totals != NULL);
        run_survey(&plan, &surveyed.survey);
        if (survey->bad_label >= 0) return fail_label(&plan, survey);
        if (survey->nan_index >= 0 && loss->nan_policy == LOSSFN__NAN_ERROR)
            return lossfn__fail(LOSSFN_ERROR_DOMAIN, "%s is NaN at element %lld", loss->inputs[survey->nan_input].name,
                                (long long)index_in_pred(&plan, survey->nan_index));
    }
    set_denominators(&plan, surveys ? &surveyed.survey : NULL, args->denominator);
    if (loss->domain_error) {
        lossfn__plan_t dry;
        make_dry(&dry, &plan);
        clear_partial(&found.partial, plan.n_sums);
        run_pass(&dry, &found.partial);
        if (found.partial.status != LOSSFN_OK) return fail_callback(found.partial.status, &call);
        if (found.partial.fault >= 0) return fail_domain(&plan, &found.partial);
    }
    plan.need_total = args->value || args->sum || args->components || totals;
    plan.need_sum =
        plan.need_total || (plan.reduction == LOSSFN__PER_ROW && plan.unit == LOSSFN_UNIT_ELEMENT && plan.has_values);
    const int64_t kept = surveys ? surveyed.survey.kept : plan.units * plan.span;
    clear_partial(&found.partial, plan.n_sums);
    lossfn__exact_t sums[LOSSFN__MAX_TERMS];
    double marginals[LOSSFN__MARGINALS];
    const int outer = needs_outer(&plan);
    if (outer) {
        double *room = scratch.marginals ? (double *)(void *)((char *)plan.exec->scratch + scratch.rows) : marginals;
        apply_outers(&plan, surveys ? &surveyed.survey : NULL, kept, room, marginal_sums, &found.partial);
        if (found.partial.status != LOSSFN_OK) return fail_callback(found.partial.status, &call);
        for (int32_t k = 0; k < plan.n_parts; k++) sums[k] = found.partial.sums[k];
        plan.need_sum = plan.need_total = 0;
    }
    if (!outer || writes(&plan)) {
        clear_partial(&found.partial, plan.n_sums);
        plan.streams = overflows_caches(&plan);
        run_pass(&plan, &found.partial);
    }
    if (found.partial.status != LOSSFN_OK) return fail_callback(found.partial.status, &call);
    if (plan.has_hvp && plan.unit == LOSSFN_UNIT_ROW) run_products(&plan);
    const lossfn_status_t status = collect(&plan);
    note_pace(&plan, &spread);
    if (status != LOSSFN_OK) return fail_callback(status, &call);

    int empty = kept == 0;
    double value = 0, sum = 0;
    const int single = plan.n_parts == 1 && plan.parts[0].term->coefficient == 1;
    for (int32_t k = 0; k < plan.n_parts; k++) {
        const lossfn__exact_t *exact = outer ? &sums[k] : &found.partial.sums[k];
        double coefficient = plan.parts[k].term->coefficient;
        if (args->value || args->components) {
            double part = reduced(&plan, k, exact, kept, &empty);
            if (args->components) args->components[k] = part;
            value = single ? part : value + coefficient * part;
        }
        if (args->sum) sum = single ? lossfn__exact_round(exact) : sum + coefficient * lossfn__exact_round(exact);
        if (totals) {
            totals[k].sum = *exact;
            totals[k].kept = (uint64_t)kept;
            lossfn__exact_clear(&totals[k].denominator);
            if (lossfn__is_mean(plan.reduction)) {
                if (plan.parts[k].is_count)
                    lossfn__exact_add_scaled(&totals[k].denominator, plan.parts[k].count, 0);
                else
                    totals[k].denominator = plan.parts[k].weight;
            }
        }
    }
    if (args->value) *args->value = value;
    if (args->sum) *args->sum = sum;
    if (args->denom) {
        *args->denom = plan.parts[0].denominator;
        for (int32_t k = 1; k < plan.n_parts; k++)
            if (plan.parts[k].denominator != plan.parts[0].denominator) *args->denom = NAN;
    }
    args->notes = (empty ? LOSSFN_NOTE_EMPTY : 0) | (found.partial.fault >= 0 ? LOSSFN_NOTE_DOMAIN : 0);
    args->note_index = found.partial.fault >= 0 ? index_in_pred(&plan, found.partial.fault) : -1;
    return LOSSFN_OK;
}

static double direct_sum(const lossfn__direct_t *call) {
    return call->is_double_sum ? call->double_sum : lossfn__exact_round(&call->sum);
}

/* Not inlined either. */
static __attribute__((noinline)) int compute_direct(lossfn__direct_t *call, double *value) {
    if (!lossfn__engine(call->is_double)->direct(call)) return 0;
    if (!value) return 1;
    const int64_t count = lossfn__direct_count(call); /* 1 for a sum */
    *value = call->is_double_sum ? call->double_sum / (double)count
             : count == 1        ? lossfn__exact_round(&call->sum)
                                 : lossfn__exact_quotient_count(&call->sum, (uint64_t)count);
    return 1;
}

static int run_direct(lossfn__direct_t *call, double *value) {
    lossfn__fpenv_t saved;
    lossfn__fpenv_enter(&saved);
    const int done = compute_direct(call, value);
    lossfn__fpenv_leave(&saved);
    return done;
}

int lossfn__run_everyday(const lossfn_t *loss, const lossfn__asked_t *asked, double *value) {
    lossfn__direct_t call;
    return loss && lossfn__direct_make(&call, loss, asked) && run_direct(&call, value);
}

/* The same for all arguments: most of them are not given. */
static int run_args_direct(const lossfn_t *loss, lossfn_args_t *args) {
    const lossfn__asked_t asked = {args->inputs, args->n_inputs, args->grads[0], args->hess};
    lossfn__direct_t call;
    if (args->weight || args->mask || args->upstream || args->values || args->components || args->hvp ||
        args->hvp_vector || args->denominator || args->hess_kind != LOSSFN_HESS_EXACT)
        return 0;
    for (int j = 1; j < LOSSFN_MAX_INPUTS; j++)
        if (args->grads[j]) return 0;
    if (!lossfn__direct_make(&call, loss, &asked) || !run_direct(&call, args->value)) return 0;
    if (args->sum) *args->sum = direct_sum(&call);
    if (args->denom) *args->denom = (double)lossfn__direct_count(&call);
    args->notes = call.fault >= 0 ? LOSSFN_NOTE_DOMAIN : 0;
    args->note_index = call.fault;
    return 1;
}

static lossfn_status_t check_frame(const lossfn_t *loss, const lossfn_args_t *args) {
    LOSSFN__REQUIRE(loss != NULL, LOSSFN_ERROR_ARGUMENT, "loss is NULL");
    const lossfn_exec_t *exec = args->exec;
    if (!exec) return LOSSFN_OK;
    LOSSFN__REQUIRE(exec->struct_size == sizeof *exec, LOSSFN_ERROR_ARGUMENT,
                    "exec.struct_size is %llu; lossfn_exec_init sets it", (unsigned long long)exec->struct_size);
    LOSSFN__REQUIRE(exec->threads >= 0 && exec->threads <= LOSSFN__POOL_MAX_THREADS, LOSSFN_ERROR_ARGUMENT,
                    "exec.threads is %d, it is 0 to %d", (int)exec->threads, LOSSFN__POOL_MAX_THREADS);
    LOSSFN__REQUIRE(!(exec->flags & ~(uint32_t)LOSSFN_EXEC_CACHED), LOSSFN_ERROR_ARGUMENT,
                    "exec.flags is %u, the only flag is LOSSFN_EXEC_CACHED (1)", (unsigned)exec->flags);
    return LOSSFN_OK;
}

lossfn_status_t lossfn__run(const lossfn_t *loss, lossfn_args_t *args, lossfn__total_t *totals,
                            const lossfn__marginal_sums_t *marginals) {
    LOSSFN__REQUIRE(args != NULL, LOSSFN_ERROR_ARGUMENT, "args is NULL");
    LOSSFN__REQUIRE(args->struct_size >= offsetof(lossfn_args_t, message), LOSSFN_ERROR_ARGUMENT,
                    "args.struct_size is %llu; lossfn_args_init sets it", (unsigned long long)args->struct_size);
    lossfn__fpenv_t saved;
    lossfn_args_t own;
    lossfn_args_t *used = args;
    if (args->struct_size < sizeof own) { /* an older caller */
        memset(&own, 0, sizeof own);
        memcpy(&own, args, args->struct_size);
        used = &own;
    }
    lossfn_status_t status = check_frame(loss, used);
    if (status == LOSSFN_OK && (totals || !run_args_direct(loss, used))) {
        lossfn__fpenv_enter(&saved);
        status = compute(loss, used, totals, marginals);
        lossfn__fpenv_leave(&saved);
    }
    if (status == LOSSFN_OK && used == &own) {
        args->notes = own.notes;
        args->note_index = own.note_index;
    }
    if (status != LOSSFN_OK && used->message) lossfn__copy_message(used->message, used->message_capacity);
    return status;
}

lossfn_status_t lossfn__run_allocating(const lossfn_t *loss, lossfn_args_t *args) {
    const int64_t needed = lossfn__scratch_size(loss, args);
    if (needed == 0 || args->exec) return lossfn__run(loss, args, NULL, NULL);
    lossfn_exec_t exec = {.struct_size = sizeof exec, .threads = 1, .scratch_size = needed};
    exec.scratch = lossfn__allocate((uint64_t)needed);
    LOSSFN__REQUIRE(exec.scratch, LOSSFN_ERROR_MEMORY, "out of memory for %lld bytes of scratch", (long long)needed);
    args->exec = &exec;
    const lossfn_status_t status = lossfn__run(loss, args, NULL, NULL);
    args->exec = NULL;
    lossfn__free(exec.scratch, (uint64_t)needed);
    return status;
}
