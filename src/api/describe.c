/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "core/common.h"
#include "core/recommend.h"
#include "core/registry.h"
#include "core/status.h"

int32_t lossfn_count(void) { return lossfn__loss_count(); }

int32_t lossfn_common_option_count(void) { return LOSSFN__COMMONS; }

/* A user-made loss's strings stay until it is unregistered: that the caller sees to. */
const char *lossfn_name_at(int32_t i) {
    const lossfn__definition_t *d = lossfn__loss_at(i);
    const char *name = d ? d->name : NULL;
    lossfn__definition_release(d);
    return name;
}

/* Copies min(struct_size, own) bytes behind struct_size, which stays the caller's. */
static lossfn_status_t give(void *out, const void *own, uint64_t own_size, const char *what) {
    uint64_t size;
    LOSSFN__REQUIRE(out, LOSSFN_ERROR_ARGUMENT, "%s is NULL", what);
    memcpy(&size, out, sizeof size);
    LOSSFN__REQUIRE(size >= sizeof size + sizeof(void *) && size <= 65536, LOSSFN_ERROR_ARGUMENT,
                    "struct_size of %s is %llu, expected %llu", what, (unsigned long long)size,
                    (unsigned long long)own_size);
    uint64_t n = size < own_size ? size : own_size;
    memcpy((char *)out + sizeof size, (const char *)own + sizeof size, (size_t)(n - sizeof size));
    return LOSSFN_OK;
}

static lossfn_status_t find(const char *name, const lossfn__definition_t **d) {
    LOSSFN__REQUIRE(name, LOSSFN_ERROR_ARGUMENT, "name is NULL");
    lossfn__piece_t line;
    *d = lossfn__find_loss(lossfn__piece(name));
    if (!*d) *d = lossfn__find_look_alike(lossfn__piece(name), &line);
    return *d ? LOSSFN_OK : lossfn__unknown_loss(lossfn__piece(name));
}

lossfn_status_t lossfn_describe(const char *name, lossfn_info_t *info) {
    const lossfn__definition_t *d;
    LOSSFN__TRY(find(name, &d));
    lossfn_info_t own = {.struct_size = sizeof own,
                         .name = d->name,
                         .aliases = d->aliases,
                         .family = d->family,
                         .summary = d->summary,
                         .formula = d->formula,
                         .latex = d->latex,
                         .tasks = d->tasks,
                         .see_also = d->see_also,
                         .look_alikes = d->look_alikes,
                         .source = d->source,
                         .kinks = d->kinks,
                         .unit = d->unit,
                         .n_inputs = d->n_inputs,
                         .n_params = d->n_params,
                         .traits = d->traits,
                         .lipschitz = d->lipschitz,
                         .hess_kinds = d->hess_kinds,
                         .has_rho = d->rho != NULL,
                         .ulp_value = d->ulp_value,
                         .ulp_grad = d->ulp_grad,
                         .ulp_hess = d->ulp_hess};
    lossfn_status_t status = give(info, &own, sizeof own, "info");
    lossfn__definition_release(d);
    return status;
}

static lossfn_status_t give_input(const lossfn__definition_t *d, int32_t i, lossfn_input_info_t *info) {
    LOSSFN__REQUIRE(i >= 0 && i < d->n_inputs, LOSSFN_ERROR_NOT_FOUND, "%s has %d inputs, asked for number %d", d->name,
                    d->n_inputs, i);
    const lossfn__input_t *input = &d->inputs[i];
    lossfn_input_info_t own = {.struct_size = sizeof own,
                               .name = input->name,
                               .doc = input->doc,
                               .scale = input->scale,
                               .differentiable = input->differentiable,
                               .learnable = input->learnable,
                               .per_row = input->per_row};
    return give(info, &own, sizeof own, "info");
}

lossfn_status_t lossfn_describe_input(const char *name, int32_t i, lossfn_input_info_t *info) {
    const lossfn__definition_t *d;
    LOSSFN__TRY(find(name, &d));
    lossfn_status_t status = give_input(d, i, info);
    lossfn__definition_release(d);
    return status;
}

static lossfn_status_t give_param(const lossfn__definition_t *d, int32_t i, lossfn_param_info_t *info) {
    LOSSFN__REQUIRE(i >= 0 && i < d->n_params + LOSSFN__COMMONS, LOSSFN_ERROR_NOT_FOUND,
                    "%s has %d parameters and %d common options, asked for number %d", d->name, d->n_params,
                    LOSSFN__COMMONS, i);
    const lossfn__param_t *param = i < d->n_params ? &d->params[i] : lossfn__common_param(i - d->n_params);
    lossfn_param_info_t own = {.struct_size = sizeof own,
                               .name = param->name,
                               .doc = param->doc,
                               .choices = param->choices ? param->choices : "",
                               .default_value = param->default_value ? param->default_value : "none",
                               .type = param->type,
                               .learnable = param->learnable,
                               .lower_open = param->lower_open,
                               .upper_open = param->upper_open,
                               .lower = param->lower,
                               .upper = param->upper};
    return give(info, &own, sizeof own, "info");
}

lossfn_status_t lossfn_describe_param(const char *name, int32_t i, lossfn_param_info_t *info) {
    const lossfn__definition_t *d;
    LOSSFN__TRY(find(name, &d));
    lossfn_status_t status = give_param(d, i, info);
    lossfn__definition_release(d);
    return status;
}

/* ---- Recommendations --------------------------------------------------------------------------------------------- */

const char *lossfn_task_at(int32_t i) { return lossfn__task_at(i); }

lossfn_status_t lossfn_recommend(const char *task, uint32_t flags, int32_t i, lossfn_recommendation_t *recommendation) {
    const uint32_t known = LOSSFN_DATA_OUTLIERS | LOSSFN_DATA_IMBALANCED | LOSSFN_DATA_NOISY_LABELS;
    lossfn_recommendation_t own;
    LOSSFN__REQUIRE(task, LOSSFN_ERROR_ARGUMENT, "task is NULL");
    LOSSFN__REQUIRE(!(flags & ~known), LOSSFN_ERROR_ARGUMENT, "flags has unknown bits: %u", flags & ~known);
    LOSSFN__TRY(lossfn__recommend(task, flags, i, &own));
    return give(recommendation, &own, sizeof own, "recommendation");
}
