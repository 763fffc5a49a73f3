/* SPDX-License-Identifier: MIT
 * Which loss for which task. */
#ifndef LOSSFN_CORE_RECOMMEND_H
#define LOSSFN_CORE_RECOMMEND_H

#include "lossfn/lossfn.h"

const char *lossfn__task_at(int32_t i);
lossfn_status_t lossfn__recommend(const char *task, uint32_t flags, int32_t i, lossfn_recommendation_t *out);

#endif
