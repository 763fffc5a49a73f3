/* SPDX-License-Identifier: MIT
 * lossfn_run with any loss, options, dtypes, shapes, strides, numbers, weights, masks and outputs; and what is
 * computed beside it. A failure writes nothing; a success writes the outputs alone, with the same bits from contiguous
 * copies, from fewer outputs at a time, from any number of threads and from the everyday forms. */
#include "tensors.h"

uint64_t fuzz_digest = 1469598103934665603u;

enum { GRADS = 8, VALUES = 8, HESS, HVP, OUTPUTS, SCALARS = 3 + 8, MOST_ELEMENTS = 600 };
enum { VALUE, SUM, DENOM, COMPONENTS };
#define SENTINEL 0xa5

typedef struct {
    lossfn_t *loss;
    lossfn_args_t args;
    array_t inputs[8], weight, mask, upstream, vector;
    array_t outputs[OUTPUTS]; /* grads, values, hess, hvp */
    double scalars[SCALARS], denominator;
    int asked[4]; /* of the scalars, the components as one */
    int reduced;  /* to a value */
    int on_input; /* the output that lies on pred, or -1 */
} call_t;

/* ---- A call from bytes ------------------------------------------------------------------------------------------- */

static int32_t take_dtype(bytes_t *b, int32_t usual) {
    if (!one_in(b, 12)) return usual;
    return 1 + (int32_t)take(b, one_in(b, 6) ? 13 : 4);
}

/* The description of an input, from the first term that has it. */
static lossfn_input_info_t input_of(const lossfn_t *loss, int32_t i) {
    lossfn_input_info_t input = {.struct_size = sizeof input};
    for (int32_t k = 0; k < lossfn_component_count(loss); k++)
        for (int32_t j = 0; lossfn_describe_input(lossfn_component_name(loss, k), j, &input) == LOSSFN_OK; j++)
            if (strcmp(input.name, lossfn_input_name(loss, i)) == 0) return input;
    CHECK(0, "input %d of %s is in no term", (int)i, lossfn_name(loss));
    return input;
}

static int32_t take_shape(bytes_t *b, int64_t shape[4]) {
    static const int64_t extents[] = {3, 2, 5, 1, 4, 8, 7, 16, 17, 0, 33, 130};
    static const int32_t ndims[] = {2, 1, 2, 3, 0, 4, 2, 1};
    int32_t ndim = ndims[take(b, 8)];
    for (int32_t d = 0; d < ndim; d++) {
        shape[d] = extents[take(b, 12)];
        if (extent_product(d + 1, shape) > MOST_ELEMENTS) shape[d] = 2;
    }
    return ndim;
}

/* Mostly the shape that it should have; a scalar, extents of 1 or something wrong as well. */
static int32_t bend_shape(bytes_t *b, int32_t ndim, const int64_t *from, int64_t shape[8], int may_repeat) {
    if (ndim) memcpy(shape, from, (size_t)ndim * sizeof *shape);
    if (may_repeat && one_in(b, 3)) {
        if (one_in(b, 3)) return 0;
        for (int32_t d = 0; d < ndim; d++)
            if (take(b, 2)) shape[d] = 1;
    }
    if (one_in(b, 100) && ndim > 0) {
        if (take(b, 2)) return ndim - 1;
        shape[take(b, (uint32_t)ndim)] = 1 + take(b, 4);
    }
    return ndim;
}

static int32_t without_axis(int32_t ndim, const int64_t *shape, int32_t axis, int64_t *rows) {
    int32_t n = 0;
    for (int32_t d = 0; d < ndim; d++)
        if (d != axis) rows[n++] = shape[d];
    return n;
}

static void output_make(array_t *a, bytes_t *b, int32_t usual, int32_t ndim, const int64_t *from) {
    int64_t shape[8];
    int32_t bent = bend_shape(b, ndim, from, shape, 0);
    array_make(a, b, take_dtype(b, usual), bent, shape, WRONG | OUTPUT);
    memset(a->room, SENTINEL, a->bytes);
    array_keep(a);
}

/* Points args at the arrays and scalars of the call; `wanted` says which of the outputs that there are. */
static void call_point(call_t *c, uint32_t wanted) {
    const double *denominator = c->args.denominator ? &c->denominator : NULL;
    int32_t n_inputs = c->args.n_inputs, hess_kind = c->args.hess_kind;
    lossfn_args_init(&c->args);
    c->args.n_inputs = n_inputs;
    c->args.hess_kind = hess_kind;
    c->args.denominator = denominator;
    for (int i = 0; i < 8; i++) {
        if (c->inputs[i].given) c->args.inputs[i] = &c->inputs[i].passed;
        if (c->outputs[i].given && wanted >> i & 1) c->args.grads[i] = &c->outputs[i].passed;
    }
    if (c->weight.given) c->args.weight = &c->weight.passed;
    if (c->mask.given) c->args.mask = &c->mask.passed;
    if (c->upstream.given) c->args.upstream = &c->upstream.passed;
    if (c->outputs[VALUES].given && wanted >> VALUES & 1) c->args.values = &c->outputs[VALUES].passed;
    if (c->outputs[HESS].given && wanted >> HESS & 1) c->args.hess = &c->outputs[HESS].passed;
    if (c->outputs[HVP].given && wanted >> HVP & 1) {
        c->args.hvp = &c->outputs[HVP].passed;
        if (c->vector.given) c->args.hvp_vector = &c->vector.passed;
    }
    wanted >>= OUTPUTS;
    if (c->asked[VALUE] && wanted & 1) c->args.value = &c->scalars[VALUE];
    if (c->asked[SUM] && wanted & 2) c->args.sum = &c->scalars[SUM];
    if (c->asked[DENOM] && wanted & 4) c->args.denom = &c->scalars[DENOM];
    if (c->asked[COMPONENTS] && wanted & 8) c->args.components = &c->scalars[COMPONENTS];
}

static void inputs_make(call_t *c, bytes_t *b, int32_t dtype, int32_t ndim, const int64_t *shape, int32_t axis) {
    int64_t bent[8], rows[8];
    int32_t n_rows = without_axis(ndim, shape, axis, rows);
    c->args.n_inputs = lossfn_input_count(c->loss);
    for (int32_t i = 0; i < c->args.n_inputs; i++) {
        lossfn_input_info_t input = input_of(c->loss, i);
        if (input.learnable && !one_in(b, 3)) continue;
        int labels = axis >= 0 && input.scale == LOSSFN_SCALE_LABEL && i == 1 && take(b, 3) < 2;
        int by_row = input.per_row || labels;
        int32_t n = i == 0 ? bend_shape(b, ndim, shape, bent, 0)
                           : bend_shape(b, by_row ? n_rows : ndim, by_row ? rows : shape, bent, i > 1 && !by_row);
        int32_t type = take_dtype(b, dtype);
        if (labels || (i == 1 && one_in(b, 8))) type = 1 + (int32_t)take(b, 13);
        array_make(&c->inputs[i], b, type, n, bent, WRONG);
        array_fill(&c->inputs[i], b, input.scale, labels ? shape[axis] : 0);
        array_keep(&c->inputs[i]);
    }
    int row_wise = axis >= 0;
    array_t *others[] = {&c->weight, &c->mask, &c->upstream, &c->vector};
    for (int i = 0; i < 3; i++) {
        static const int32_t scales[] = {LOSSFN_SCALE_POSITIVE, LOSSFN_SCALE_COUNT, LOSSFN_SCALE_REAL};
        if (!one_in(b, 3)) continue;
        int32_t n = bend_shape(b, row_wise ? n_rows : ndim, row_wise ? rows : shape, bent, i < 2);
        if (i == 2 && c->reduced != one_in(b, 50)) n = 0;
        array_make(others[i], b, i == 1 ? 1 + (int32_t)take(b, 13) : take_dtype(b, dtype), n, bent, WRONG);
        array_fill(others[i], b, scales[i], 0);
        array_keep(others[i]);
    }
    if (one_in(b, 4)) {
        array_make(&c->vector, b, take_dtype(b, dtype), ndim, shape, WRONG);
        array_fill(&c->vector, b, LOSSFN_SCALE_REAL, 0);
        array_keep(&c->vector);
    }
}

/* Mostly a kind that the first term has, -1 if it has none. */
static int32_t take_hess_kind(const lossfn_t *loss, bytes_t *b) {
    lossfn_info_t info = {.struct_size = sizeof info};
    CHECK(lossfn_describe(lossfn_component_name(loss, 0), &info) == LOSSFN_OK, "%s", lossfn_name(loss));
    int32_t kind = (int32_t)take(b, 4);
    if (one_in(b, 50)) return kind;
    for (int32_t k = 0; k < 4; k++)
        if (info.hess_kinds >> (kind + k) % 4 & 1) return (kind + k) % 4;
    return -1;
}

static void outputs_make(call_t *c, bytes_t *b, int32_t dtype, int32_t ndim, const int64_t *shape) {
    int64_t values[8];
    int32_t n_values;
    uint32_t asked = take(b, 256), more = take(b, 256);
    for (int i = 0; i < c->args.n_inputs; i++) {
        int differentiable = input_of(c->loss, i).differentiable || one_in(b, 50);
        if (c->inputs[i].given && differentiable && (i == 0 ? asked & 1 : more >> i & 1))
            output_make(&c->outputs[i], b, dtype, c->inputs[i].tensor.ndim, c->inputs[i].tensor.shape);
    }
    if (asked & 2 && lossfn_values_shape(c->loss, &c->inputs[0].tensor, &n_values, values) == LOSSFN_OK)
        output_make(&c->outputs[VALUES], b, dtype, n_values, values);
    c->args.hess_kind = take_hess_kind(c->loss, b);
    if ((asked & 12) < 8 && c->args.hess_kind >= 0) output_make(&c->outputs[HESS], b, dtype, ndim, shape);
    if (c->vector.given && c->args.hess_kind >= 0) output_make(&c->outputs[HVP], b, dtype, ndim, shape);
    c->asked[VALUE] = c->reduced && (asked & 48);
    c->asked[SUM] = asked >> 6 & 1;
    c->asked[DENOM] = asked >> 7 & 1;
    c->asked[COMPONENTS] = c->reduced && (more & 1);
    c->on_input = -1;
    if (one_in(b, 16)) { /* an output on pred */
        static const int outs[] = {0, 0, 1, VALUES, HESS, HVP};
        int k = outs[take(b, 6)];
        array_t *out = &c->outputs[k], *pred = &c->inputs[0];
        if (out->given && !out->wrong && !pred->wrong) {
            c->on_input = k;
            out->passed.data = pred->passed.data;
            if (take(b, 4)) out->passed = pred->passed;
            /* elsewhere it must not reach over the memory that it now lies in */
            else if (out->bytes - out->first > pred->bytes - pred->first || out->first > pred->first) {
                out->passed = out->tensor;
                c->on_input = -1;
            }
        }
    }
}

static void call_free(call_t *c) {
    for (int i = 0; i < 8; i++) array_free(&c->inputs[i]);
    for (int i = 0; i < OUTPUTS; i++) array_free(&c->outputs[i]);
    array_free(&c->weight), array_free(&c->mask), array_free(&c->upstream), array_free(&c->vector);
}

static void call_reset(call_t *c) {
    for (int i = 0; i < 8; i++)
        if (c->inputs[i].given) array_restore(&c->inputs[i]);
    for (int i = 0; i < OUTPUTS; i++)
        if (c->outputs[i].given) array_restore(&c->outputs[i]);
    memset(c->scalars, SENTINEL, sizeof c->scalars);
}

static int any_wrong(const call_t *c) {
    int wrong = c->weight.wrong | c->mask.wrong | c->upstream.wrong | c->vector.wrong;
    for (int i = 0; i < 8; i++) wrong |= c->inputs[i].wrong;
    for (int i = 0; i < OUTPUTS; i++) wrong |= c->outputs[i].wrong;
    return wrong;
}

/* ---- What must hold ---------------------------------------------------------------------------------------------- */

static void same_room(const array_t *a, const char *what, const char *spec) {
    if (a->given && a->bytes) CHECK(memcmp(a->room, a->pristine, a->bytes) == 0, "%s was written: %s", what, spec);
}

static void nothing_written(const call_t *c, const char *spec, int with_outputs) {
    for (int i = 0; i < 8; i++)
        if (i != 0 || c->on_input < 0 || with_outputs) same_room(&c->inputs[i], "an input", spec);
    same_room(&c->weight, "the weight", spec);
    same_room(&c->mask, "the mask", spec);
    same_room(&c->upstream, "upstream", spec);
    same_room(&c->vector, "hvp_vector", spec);
    for (int i = 0; with_outputs && i < OUTPUTS; i++) same_room(&c->outputs[i], "an output of a failed call", spec);
    for (size_t i = 0; with_outputs && i < sizeof c->scalars; i++)
        CHECK(((const unsigned char *)c->scalars)[i] == SENTINEL, "a scalar of a failed call was written: %s", spec);
}

/* Where output k was written: in its own room, or on pred. */
static const array_t *home_of(const call_t *c, int k) { return k == c->on_input ? &c->inputs[0] : &c->outputs[k]; }

/* The gaps between the elements of an output are as they were. */
static void gaps_kept(const call_t *c, const char *spec) {
    for (int k = 0; k < OUTPUTS; k++) {
        const array_t *a = &c->outputs[k];
        if (!a->given || k == c->on_input) continue;
        char *expected = exact_copy(a->pristine, a->bytes);
        for (int64_t i = 0; i < a->count; i++) memcpy(expected + place_of(a, i), a->room + place_of(a, i), item_of(a));
        if (a->bytes)
            CHECK(memcmp(expected, a->room, a->bytes) == 0, "output %d: written between elements: %s", k, spec);
        free(expected);
    }
}

/* The outputs of a call, and those of another that are `wanted`. */
static void same_outputs(const call_t *c, const call_t *other, uint32_t wanted, const char *how, const char *spec) {
    for (int k = 0; k < OUTPUTS; k++) {
        if (!c->outputs[k].given || !(wanted >> k & 1)) continue;
        const array_t *here = home_of(c, k), *there = home_of(other, k);
        char *one = elements_of(here, here->room), *two = elements_of(there, there->room);
        int64_t at = first_difference(one, two, here->count, here->tensor.dtype);
        CHECK(at < 0, "output %d differs at %lld with %s: %s", k, (long long)at, how, spec);
        free(one);
        free(two);
    }
    for (int k = 0; k < 4; k++) {
        if (!c->asked[k] || !(wanted >> (OUTPUTS + k) & 1)) continue;
        int64_t n = k == COMPONENTS ? lossfn_component_count(c->loss) : 1;
        int64_t at = first_difference((const char *)&c->scalars[k], (const char *)&other->scalars[k], n, LOSSFN_F64);
        CHECK(at < 0, "scalar %d differs with %s: %.17g, %.17g: %s", k, how, c->scalars[k], other->scalars[k], spec);
    }
}

static void scratch_give(lossfn_exec_t *exec, const lossfn_t *loss, const lossfn_args_t *args) {
    exec->scratch_size = lossfn_scratch_size(loss, args);
    CHECK(exec->scratch_size >= 0, "%lld", (long long)exec->scratch_size);
    exec->scratch = exec->scratch_size ? exact_room((size_t)exec->scratch_size) : NULL;
}

/* The caller's own threads, which are one that begins at the end. */
static void backwards(void *user, int32_t n, lossfn_task_t task, void *context) {
    (void)user;
    while (n-- > 0) task(context, n);
}

static lossfn_status_t run_with(call_t *c, uint32_t how) {
    lossfn_exec_t exec;
    lossfn_exec_init(&exec);
    exec.threads = how & 1 ? 3 : 1;
    if (how & 2) exec.parallel_for = backwards;
    if (how & 4) exec.flags = LOSSFN_EXEC_CACHED;
    scratch_give(&exec, c->loss, &c->args);
    c->args.exec = how || exec.scratch ? &exec : NULL;
    lossfn_status_t status = lossfn_run(c->loss, &c->args);
    free(exec.scratch);
    return status;
}

/* The everyday forms agree with lossfn_run, where they can say the same. */
static void everyday(call_t *c, const char *spec) {
    int grad = c->outputs[0].given && c->on_input < 0;
    if (c->mask.given || c->upstream.given || c->args.denominator || !c->asked[VALUE]) return;
    for (int i = 0; i < c->args.n_inputs; i++)
        if (i < 2 ? !c->inputs[i].given : c->inputs[i].given) return;
    if (lossfn_scratch_size(c->loss, &c->args) > 0) return; /* which they cannot be given */
    const lossfn_tensor_t *target = c->args.n_inputs > 1 ? &c->inputs[1].passed : NULL;
    const lossfn_tensor_t *weight = c->weight.given ? &c->weight.passed : NULL, *pred = &c->inputs[0].passed;
    call_t other = *c; /* on the same memory, so what is there is put aside */
    char *written = grad ? exact_copy(c->outputs[0].room, c->outputs[0].bytes) : NULL;
    lossfn_status_t status;
    if (grad) {
        array_restore(&c->outputs[0]);
        status = lossfn_forward_backward(c->loss, pred, target, weight, &other.scalars[VALUE], c->args.grads[0], NULL);
    } else {
        status = lossfn_forward(c->loss, pred, target, weight, &other.scalars[VALUE], NULL);
    }
    if (status != LOSSFN_OK) CHECK(0, "%s: %s", lossfn_last_error(), spec);
    same_outputs(c, &other, 1u << (OUTPUTS + VALUE), "the everyday form", spec);
    if (grad) {
        array_t *out = &c->outputs[0], before = *out;
        before.room = written;
        char *one = elements_of(&before, written), *two = elements_of(out, out->room);
        CHECK(first_difference(one, two, out->count, out->tensor.dtype) < 0, "grad of the everyday form: %s", spec);
        free(one);
        free(two);
        free(written);
    }
}

static void same_again(call_t *c, bytes_t *b, const char *spec) {
    uint32_t how = take(b, 8), wanted = take(b, 65536), everything = (1u << (OUTPUTS + 4)) - 1;
    call_t straight = {.loss = c->loss, .on_input = -1, .denominator = c->denominator};
    for (int i = 0; i < 8; i++) array_straighten(&straight.inputs[i], &c->inputs[i]);
    for (int i = 0; i < OUTPUTS; i++)
        if (i == c->on_input && memcmp(&c->outputs[i].passed, &c->inputs[0].passed, sizeof(lossfn_tensor_t)) == 0)
            array_straighten(&straight.outputs[i], &c->inputs[0]);
        else
            array_straighten(&straight.outputs[i], &c->outputs[i]);
    array_straighten(&straight.weight, &c->weight);
    array_straighten(&straight.mask, &c->mask);
    array_straighten(&straight.upstream, &c->upstream);
    array_straighten(&straight.vector, &c->vector);
    memcpy(straight.asked, c->asked, sizeof c->asked);
    straight.args.n_inputs = c->args.n_inputs;
    straight.args.hess_kind = c->args.hess_kind;
    straight.args.denominator = c->args.denominator;
    call_reset(&straight);
    call_point(&straight, everything);
    if (run_with(&straight, 0) != LOSSFN_OK) CHECK(0, "contiguous copies fail: %s: %s", lossfn_last_error(), spec);
    same_outputs(c, &straight, everything, "contiguous copies", spec);
    CHECK(c->args.notes == straight.args.notes && c->args.note_index == straight.args.note_index,
          "notes %u at %lld, of contiguous copies %u at %lld: %s", c->args.notes, (long long)c->args.note_index,
          straight.args.notes, (long long)straight.args.note_index, spec);
    for (int k = 0; k < OUTPUTS; k++)
        if (straight.outputs[k].given)
            digest(straight.outputs[k].room, straight.outputs[k].count, straight.outputs[k].tensor.dtype);
    for (int k = 0; k < 3; k++)
        if (straight.asked[k]) digest((const char *)&straight.scalars[k], 1, LOSSFN_F64);
    everyday(&straight, spec);

    /* Fewer outputs, other threads, the layout of the call. */
    wanted |= wanted << 8;
    call_reset(c);
    call_point(c, wanted);
    if (run_with(c, how) != LOSSFN_OK) CHECK(0, "fewer outputs fail: %s: %s", lossfn_last_error(), spec);
    same_outputs(&straight, c, wanted, "fewer outputs", spec);
    straight.loss = NULL;
    call_free(&straight);
}

/* ---- What is computed beside ------------------------------------------------------------------------------------- */

static void failed_well(lossfn_status_t status) {
    if (status != LOSSFN_OK) check_failure(status, 1);
}

static void beside(call_t *c, bytes_t *b, int64_t cols) {
    call_reset(c);
    call_point(c, ~0u);
    const lossfn_t *loss = c->loss;
    const array_t *pred = &c->inputs[0];
    size_t n = pred->count > 0 && !pred->wrong ? (size_t)pred->count : 0;
    switch (take(b, 6)) {
    case 0: {
        int64_t length = -1, again;
        lossfn_status_t status = lossfn_check(loss, &c->args, NULL, 0, &length);
        failed_well(status);
        if (status != LOSSFN_OK) break;
        char *text = exact_room((size_t)length + 1);
        CHECK(lossfn_check(loss, &c->args, text, length + 1, &again) == LOSSFN_OK && again == length, "two lengths");
        CHECK((int64_t)strlen(text) == length && is_utf8(text), "%s", text);
        free(text);
        break;
    }
    case 1: {
        lossfn_gradient_report_t report = {.struct_size = sizeof report};
        failed_well(lossfn_check_gradient(loss, &c->args, &report));
        break;
    }
    case 2: {
        double *out = exact_room((size_t)(lossfn_unit(loss) == LOSSFN_UNIT_ROW ? cols : 1) * sizeof *out);
        failed_well(lossfn_init_score(loss, &c->args, out));
        free(out);
        break;
    }
    case 3:
        failed_well(lossfn_minimum(loss, &c->args));
        break;
    case 4: {
        double *residual = exact_room(n * 8), *out = exact_room(n * 24), three[3];
        for (size_t i = 0; i < n; i++) residual[i] = special_numbers[take(b, SPECIALS)];
        failed_well(lossfn_irls_weight(loss, (int64_t)n, residual, out));
        failed_well(lossfn_rho_batch(loss, (int64_t)n, residual, out));
        lossfn_rho(c->loss, n ? residual[0] : 1, three);
        CHECK(lossfn_has_rho(loss) || three[0] != three[0], "rho without rho");
        free(residual);
        free(out);
        break;
    }
    default: {
        double *mean = exact_room(n * 8), *out = exact_room(n * 8);
        int64_t rows = cols > 0 ? (int64_t)n / cols : 0;
        for (size_t i = 0; i < n; i++) mean[i] = special_numbers[take(b, SPECIALS)];
        failed_well(lossfn_link_apply(loss, rows, cols, mean, out));
        failed_well(lossfn_link_invert(loss, rows, cols, mean, mean));
        free(mean);
        free(out);
    }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    bytes_t b = {data, data + size};
    int64_t shape[8] = {0};
    double axis_number;
    spec_t spec;
    call_t c;
    memset(&c, 0, sizeof c);
    int32_t dtype = 1 + (int32_t)take(&b, 4), ndim = take_shape(&b, shape), axis = -1;
    spec_make(&spec, &b, ndim > 0 ? shape[ndim - 1] : 1);
    lossfn_status_t status = lossfn_create(&c.loss, spec.text);
    if (status != LOSSFN_OK) {
        check_failure(status, 1);
        return 0;
    }
    if (lossfn_unit(c.loss) == LOSSFN_UNIT_ROW) {
        CHECK(lossfn_get_double(c.loss, "axis", &axis_number) == LOSSFN_OK, "axis");
        axis = (int32_t)axis_number + (axis_number < 0 ? ndim : 0);
        if (axis < 0 || axis >= ndim) axis = 0; /* to fail */
    }
    char reduction[32];
    int64_t length, cols = axis >= 0 ? shape[axis] : 1;
    CHECK(lossfn_get_text(c.loss, "reduction", reduction, sizeof reduction, &length) == LOSSFN_OK, "reduction");
    c.reduced = strcmp(reduction, "none") && strcmp(reduction, "per_row");
    inputs_make(&c, &b, dtype, ndim, shape, axis);
    outputs_make(&c, &b, dtype, ndim, shape);
    if (one_in(&b, 8)) {
        c.denominator = special_numbers[take(&b, SPECIALS)];
        c.args.denominator = &c.denominator;
    }
    size_t cap = one_in(&b, 4) ? take(&b, 80) : 0;
    char *message = exact_room(cap);
    memset(message, '#', cap);
    call_reset(&c);
    call_point(&c, ~0u);
    c.args.message = cap ? message : NULL;
    c.args.message_capacity = (int64_t)cap;
    errno = 4321;
    status = run_with(&c, take(&b, 8));
    CHECK(errno == 4321, "errno is %d: %s", errno, spec.text);
    nothing_written(&c, spec.text, status != LOSSFN_OK);
    if (status != LOSSFN_OK) {
        check_failure(status, 1);
        CHECK(!cap || memchr(message, 0, cap), "a message without an end");
        CHECK(!cap || strncmp(message, lossfn_last_error(), strlen(message)) == 0, "another message: %s", message);
        CHECK(!cap || is_utf8(message), "a message cut inside a character: %s", message);
    } else if (!any_wrong(&c)) {
        CHECK((c.args.note_index >= 0) == ((c.args.notes & LOSSFN_NOTE_DOMAIN) != 0), "notes %u at %lld: %s",
              c.args.notes, (long long)c.args.note_index, spec.text);
        CHECK(c.args.note_index < c.inputs[0].count, "note at %lld: %s", (long long)c.args.note_index, spec.text);
        gaps_kept(&c, spec.text);
        same_again(&c, &b, spec.text);
    }
    if (one_in(&b, 16)) beside(&c, &b, cols);
    free(message);
    call_free(&c);
    lossfn_destroy(c.loss);
    return 0;
}
