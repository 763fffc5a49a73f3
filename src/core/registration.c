/* SPDX-License-Identifier: MIT
 * From a user's vtable to a definition like the built-in ones: checked, and copied with all that it points to. */
#include "core/registration.h"
#include "core/common.h"
#include "core/given.h"
#include "core/memory.h"
#include "core/status.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

/* Sizes of the structs in the first version: no caller's can be smaller. */
enum {
    FIRST_VTABLE = offsetof(lossfn_vtable_t, run) + sizeof(lossfn_status_t(*)(void)),
    FIRST_INPUT = offsetof(lossfn_input_info_t, per_row) + sizeof(int32_t),
    FIRST_PARAM = offsetof(lossfn_param_info_t, upper) + sizeof(double),
    MAX_STRUCT = 65536
};

/* Copies min(struct_size, own) bytes of the i-th struct of an array whose elements are struct_size apart. */
static lossfn_status_t copy_struct(const void *array, int32_t i, void *out, uint64_t own, uint64_t least,
                                   const char *what) {
    uint64_t size, stride;
    memcpy(&stride, array, sizeof stride);
    LOSSFN__REQUIRE(stride >= least && stride <= MAX_STRUCT && stride % sizeof(void *) == 0, LOSSFN_ERROR_ARGUMENT,
                    "struct_size of %s is %llu, expected %llu", what, (unsigned long long)stride,
                    (unsigned long long)own);
    const char *from = (const char *)array + (uint64_t)i * stride;
    memcpy(&size, from, sizeof size);
    LOSSFN__REQUIRE(size == stride, LOSSFN_ERROR_ARGUMENT, "struct_size of %s[%d] is %llu, that of %s[0] is %llu", what,
                    (int)i, (unsigned long long)size, what, (unsigned long long)stride);
    memset(out, 0, (size_t)own);
    memcpy(out, from, (size_t)(size < own ? size : own));
    memcpy(out, &own, sizeof own);
    return LOSSFN_OK;
}

/* Memory for strings, given out piece by piece; with no memory it only counts. */
typedef struct {
    char *at;
    uint64_t size;
} arena_t;

static const char *keep(arena_t *arena, const char *text) {
    if (!text) text = "";
    size_t n = strlen(text) + 1;
    arena->size += n;
    if (!arena->at) return text;
    const char *copy = memcpy(arena->at, text, n);
    arena->at += n;
    return copy;
}

/* ---- Checks ------------------------------------------------------------------------------------------------------ */

static lossfn_status_t check_name(const char *name) {
    const char *dot = strchr(name, '.');
    size_t n = strlen(name);
    LOSSFN__REQUIRE(dot, LOSSFN_ERROR_ARGUMENT, "the name '%s' has no dot: names without one belong to the library",
                    name);
    LOSSFN__REQUIRE(n < 64, LOSSFN_ERROR_ARGUMENT, "the name has %zu characters, the limit is 63", n);
    int good = lossfn__is_name_start(*name) && name[n - 1] != '.' && !strstr(name, "..");
    for (size_t i = 0; i < n; i++) good = good && (lossfn__is_name(name[i]) || name[i] == '.');
    LOSSFN__REQUIRE(good, LOSSFN_ERROR_ARGUMENT,
                    "the name '%s' is not made of letters, digits and _ with single dots between", name);
    return LOSSFN_OK;
}

static lossfn_status_t check_vtable(const lossfn_vtable_t *v) {
    int slots = (v->elementwise != NULL) + (v->rowwise != NULL) + (v->run != NULL);
    LOSSFN__REQUIRE(slots == 1, LOSSFN_ERROR_ARGUMENT,
                    "exactly one of elementwise, rowwise and run must be set, %d are", slots);
    LOSSFN__REQUIRE(!(v->flags & ~63u), LOSSFN_ERROR_ARGUMENT, "flags has unknown bits: %u", v->flags & ~63u);
    LOSSFN__REQUIRE(!(v->flags & LOSSFN_VTABLE_LABELS) || v->rowwise, LOSSFN_ERROR_ARGUMENT,
                    "LOSSFN_VTABLE_LABELS needs a rowwise kernel");
    LOSSFN__REQUIRE(v->n_inputs >= 0 && v->n_inputs <= LOSSFN_MAX_INPUTS, LOSSFN_ERROR_ARGUMENT,
                    "n_inputs is %d, must be 0 to %d", v->n_inputs, LOSSFN_MAX_INPUTS);
    LOSSFN__REQUIRE(v->inputs || v->n_inputs <= 2, LOSSFN_ERROR_ARGUMENT, "inputs is NULL, n_inputs is %d",
                    v->n_inputs);
    LOSSFN__REQUIRE(v->n_params >= 0 && v->n_params <= LOSSFN__MAX_PARAMS, LOSSFN_ERROR_ARGUMENT,
                    "n_params is %d, must be 0 to %d", v->n_params, LOSSFN__MAX_PARAMS);
    LOSSFN__REQUIRE(v->params || !v->n_params, LOSSFN_ERROR_ARGUMENT, "params is NULL, n_params is %d", v->n_params);
    return LOSSFN_OK;
}

static const lossfn__input_t *find_input(const lossfn__definition_t *d, const char *name, int32_t n) {
    for (int32_t i = 0; i < n; i++)
        if (strcmp(d->inputs[i].name, name) == 0) return &d->inputs[i];
    return NULL;
}

static lossfn_status_t check_input(const lossfn__definition_t *d, int32_t i) {
    const lossfn__input_t *input = &d->inputs[i];
    LOSSFN__REQUIRE(lossfn__is_identifier(input->name), LOSSFN_ERROR_ARGUMENT, "inputs[%d] is named '%s', not a word",
                    (int)i, input->name);
    LOSSFN__REQUIRE(!lossfn__is_call_argument(input->name), LOSSFN_ERROR_ARGUMENT,
                    "inputs[%d] is named '%s', an argument of every call", (int)i, input->name);
    LOSSFN__REQUIRE(!find_input(d, input->name, i), LOSSFN_ERROR_ARGUMENT, "two inputs are named '%s'", input->name);
    LOSSFN__REQUIRE(input->scale >= LOSSFN_SCALE_REAL && input->scale <= LOSSFN_SCALE_COUNT, LOSSFN_ERROR_ARGUMENT,
                    "input %s has scale %d, must be a lossfn_scale (1 to 8)", input->name, input->scale);
    return LOSSFN_OK;
}

static lossfn_status_t check_param_name(const lossfn__definition_t *d, int32_t i) {
    const lossfn__param_t *param = &d->params[i];
    const lossfn__input_t *input = find_input(d, param->name, d->n_inputs);
    LOSSFN__REQUIRE(lossfn__is_identifier(param->name), LOSSFN_ERROR_PARAMETER, "params[%d] is named '%s', not a word",
                    (int)i, param->name);
    LOSSFN__REQUIRE(lossfn__find_common(lossfn__piece(param->name)) < 0, LOSSFN_ERROR_PARAMETER,
                    "parameter %s has the name of an option that every loss has", param->name);
    for (int32_t k = 0; k < i; k++)
        LOSSFN__REQUIRE(strcmp(d->params[k].name, param->name) != 0, LOSSFN_ERROR_PARAMETER,
                        "two parameters are named '%s'", param->name);
    if (param->learnable) {
        LOSSFN__REQUIRE(input && input->learnable, LOSSFN_ERROR_PARAMETER,
                        "learnable parameter %s needs a learnable input of its name", param->name);
        LOSSFN__REQUIRE(param->type == LOSSFN_PARAM_DOUBLE, LOSSFN_ERROR_PARAMETER,
                        "learnable parameter %s must be a double", param->name);
        return LOSSFN_OK;
    }
    LOSSFN__REQUIRE(!input && !lossfn__is_reserved(param->name), LOSSFN_ERROR_PARAMETER,
                    "parameter name '%s' is reserved for an input or argument of the call", param->name);
    return LOSSFN_OK;
}

static lossfn_status_t check_param(const lossfn__definition_t *d, int32_t i) {
    const lossfn__param_t *param = &d->params[i];
    lossfn__value_t value;
    lossfn__given_t given;
    LOSSFN__TRY(check_param_name(d, i));
    LOSSFN__REQUIRE(param->type >= LOSSFN_PARAM_DOUBLE && param->type <= LOSSFN_PARAM_LIST, LOSSFN_ERROR_PARAMETER,
                    "parameter %s has type %d, must be a lossfn_param_type (1 to 5)", param->name, param->type);
    LOSSFN__REQUIRE(param->type != LOSSFN_PARAM_CHOICE || *param->choices, LOSSFN_ERROR_PARAMETER,
                    "parameter %s is a choice without choices", param->name);
    LOSSFN__REQUIRE(param->lower <= param->upper, LOSSFN_ERROR_PARAMETER, "the bounds of parameter %s are not in order",
                    param->name);
    if (param->type == LOSSFN_PARAM_LIST) return LOSSFN_OK; /* without a default: see describe_params */
    LOSSFN__REQUIRE(*param->default_value, LOSSFN_ERROR_PARAMETER, "parameter %s has no default", param->name);
    lossfn__given_from_text(&given, param->default_value);
    lossfn_status_t status = lossfn__set_value(param, &given, &value);
    if (status == LOSSFN_OK) return LOSSFN_OK;
    return lossfn__fail(LOSSFN_ERROR_PARAMETER, "default of a parameter: %s", lossfn__message());
}

static lossfn_status_t check_learnable_inputs(const lossfn__definition_t *d) {
    for (int32_t i = 0; i < d->n_inputs; i++) {
        int found = !d->inputs[i].learnable;
        for (int32_t k = 0; k < d->n_params; k++)
            found = found || (d->params[k].learnable && strcmp(d->params[k].name, d->inputs[i].name) == 0);
        LOSSFN__REQUIRE(found, LOSSFN_ERROR_ARGUMENT, "learnable input %s needs a learnable parameter of its name",
                        d->inputs[i].name);
    }
    return LOSSFN_OK;
}

static lossfn_status_t check_definition(const lossfn__definition_t *d) {
    for (int32_t i = 0; i < d->n_inputs; i++) LOSSFN__TRY(check_input(d, i));
    for (int32_t i = 0; i < d->n_params; i++) LOSSFN__TRY(check_param(d, i));
    return check_learnable_inputs(d);
}

/* ---- The definition ---------------------------------------------------------------------------------------------- */

static void default_inputs(lossfn__definition_t *d, const lossfn_vtable_t *v) {
    d->n_inputs = v->n_inputs ? v->n_inputs : 2;
    d->inputs[0] = (lossfn__input_t){.name = "pred",
                                     .doc = "prediction",
                                     .scale = LOSSFN_SCALE_REAL,
                                     .differentiable = (v->flags & LOSSFN_VTABLE_GRAD) != 0};
    d->inputs[1] = (lossfn__input_t){.name = "target",
                                     .doc = v->rowwise ? "label, or distribution over the classes" : "target",
                                     .scale = v->rowwise ? LOSSFN_SCALE_LABEL : LOSSFN_SCALE_REAL,
                                     .differentiable = (v->flags & LOSSFN_VTABLE_GRAD_ALL) != 0};
}

static lossfn_status_t describe_inputs(lossfn__definition_t *d, const lossfn_vtable_t *v, arena_t *arena) {
    lossfn_input_info_t info;
    if (!v->inputs || v->n_inputs == 0) return default_inputs(d, v), LOSSFN_OK;
    d->n_inputs = v->n_inputs;
    for (int32_t i = 0; i < v->n_inputs; i++) {
        LOSSFN__TRY(copy_struct(v->inputs, i, &info, sizeof info, FIRST_INPUT, "inputs"));
        d->inputs[i] = (lossfn__input_t){.name = keep(arena, info.name),
                                         .doc = keep(arena, info.doc),
                                         .scale = info.scale,
                                         .differentiable = info.differentiable != 0,
                                         .learnable = info.learnable != 0};
    }
    return LOSSFN_OK;
}

static lossfn_status_t describe_params(lossfn__definition_t *d, const lossfn_vtable_t *v, arena_t *arena) {
    lossfn_param_info_t info;
    d->n_params = v->n_params;
    for (int32_t i = 0; i < v->n_params; i++) {
        LOSSFN__TRY(copy_struct(v->params, i, &info, sizeof info, FIRST_PARAM, "params"));
        int unbounded = info.lower == 0 && info.upper == 0; /* both left at zero */
        int unset = info.type == LOSSFN_PARAM_LIST && (!info.default_value || !*info.default_value);
        d->params[i] = (lossfn__param_t){.name = keep(arena, info.name),
                                         .doc = keep(arena, info.doc),
                                         .type = info.type,
                                         .default_value = unset ? NULL : keep(arena, info.default_value),
                                         .lower = unbounded ? -INFINITY : info.lower,
                                         .upper = unbounded ? INFINITY : info.upper,
                                         .lower_open = info.lower_open != 0,
                                         .upper_open = info.upper_open != 0,
                                         .learnable = info.learnable != 0,
                                         .choices = keep(arena, info.choices)};
        if (info.type != LOSSFN_PARAM_LIST || unset) continue;
        return lossfn__fail(LOSSFN_ERROR_PARAMETER, "the default of list %s must be NULL: not set", d->params[i].name);
    }
    return LOSSFN_OK;
}

/* The definition with its strings in the arena; without memory there, with the caller's strings. */
static lossfn_status_t describe(lossfn__definition_t *d, const char *name, const lossfn_vtable_t *v, arena_t *arena) {
    *d = (lossfn__definition_t){.aliases = "",
                                .family = "user",
                                .latex = "",
                                .tasks = "",
                                .see_also = "",
                                .look_alikes = "",
                                .source = "",
                                .kinks = "",
                                .unit = v->rowwise ? LOSSFN_UNIT_ROW : LOSSFN_UNIT_ELEMENT,
                                .hess_kinds = v->flags & LOSSFN_VTABLE_HESS ? 1u << LOSSFN_HESS_EXACT : 0,
                                .kernel = -1};
    d->name = keep(arena, name ? name : "custom");
    d->summary = keep(arena, v->summary);
    d->formula = keep(arena, v->formula);
    LOSSFN__TRY(describe_inputs(d, v, arena));
    return describe_params(d, v, arena);
}

static lossfn_status_t create(lossfn__registration_t **out, const char *name, const lossfn_vtable_t *given) {
    lossfn_vtable_t vtable;
    lossfn__definition_t definition;
    arena_t arena = {NULL, 0};
    LOSSFN__REQUIRE(given, LOSSFN_ERROR_ARGUMENT, "vtable is NULL");
    if (name) LOSSFN__TRY(check_name(name));
    LOSSFN__TRY(copy_struct(given, 0, &vtable, sizeof vtable, FIRST_VTABLE, "vtable"));
    LOSSFN__TRY(check_vtable(&vtable));
    LOSSFN__TRY(describe(&definition, name, &vtable, &arena));
    LOSSFN__TRY(check_definition(&definition));
    uint64_t size = sizeof(lossfn__registration_t) + arena.size;
    lossfn__registration_t *made = lossfn__allocate(size);
    LOSSFN__REQUIRE(made, LOSSFN_ERROR_MEMORY, "out of memory: a registration needs %llu bytes",
                    (unsigned long long)size);
    arena.at = made->text;
    describe(&made->definition, name, &vtable, &arena); /* cannot fail: it did not before */
    made->definition.registration = made;
    made->definition.user = &made->vtable;
    made->vtable = vtable;
    made->vtable.inputs = NULL, made->vtable.params = NULL; /* the caller's; the definition has them */
    made->vtable.summary = made->definition.summary, made->vtable.formula = made->definition.formula;
    made->size = size;
    atomic_init(&made->references, 1);
    *out = made;
    return LOSSFN_OK;
}

lossfn_status_t lossfn__registration_create(lossfn__registration_t **out, const char *name,
                                            const lossfn_vtable_t *vtable, void *user_data, lossfn_destroy_t destroy) {
    lossfn_status_t status = create(out, name, vtable);
    if (status != LOSSFN_OK) {
        if (destroy) destroy(user_data);
        return status;
    }
    (*out)->user_data = user_data;
    (*out)->destroy = destroy;
    return LOSSFN_OK;
}

void lossfn__registration_release(lossfn__registration_t *registration) {
    if (!registration) return;
    if (atomic_fetch_sub_explicit(&registration->references, 1, memory_order_acq_rel) != 1) return;
    if (registration->destroy) registration->destroy(registration->user_data);
    lossfn__free(registration, registration->size);
}

const lossfn__definition_t *lossfn__registration_definition(const lossfn__registration_t *registration) {
    return &registration->definition;
}

void *lossfn__user_data(const lossfn__definition_t *definition) {
    return definition->registration ? definition->registration->user_data : NULL;
}

void lossfn__definition_retain(const lossfn__definition_t *definition) {
    if (definition->registration)
        atomic_fetch_add_explicit(&definition->registration->references, 1, memory_order_relaxed);
}

void lossfn__definition_release(const lossfn__definition_t *definition) {
    if (definition) lossfn__registration_release(definition->registration);
}
