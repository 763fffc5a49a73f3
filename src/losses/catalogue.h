/* SPDX-License-Identifier: MIT
 * All families of losses. */
#include "losses/formula.h"
#include "losses/regression.h"
#include "losses/margin.h"
#include "losses/binary.h"
#include "losses/classes.h"
#include "losses/information.h"
#include "losses/softmax.h"
#include "losses/multiclass.h"
#include "losses/robust.h"
#include "losses/likelihood.h"
#include "losses/score.h"
#include "losses/survival.h"
