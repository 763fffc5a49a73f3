# SPDX-License-Identifier: MIT
"""optax.losses, on JAX in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from rows import (
    Difference,
    Inputs,
    Row,
    infinite,
    largest,
    margin,
    nan,
    no_length,
    one,
    scores,
    scores_with_margin,
    spread_overflows,
    tied,
)

HEADING, PACKAGE = "optax", "optax"
DTYPE = "float64"
EPSILON = 16 * 2.0**-52
PRECISION = "on JAX in double precision; a few operations, each within an ulp or two"

optax: Any = None
jax: Any = None


def load() -> None:
    global jax, optax
    import jax as jax_package
    import optax as package

    jax_package.config.update("jax_enable_x64", True)
    jax, optax = jax_package, package


def evaluate(row: Row, inputs: Inputs) -> dict[str, Any]:
    given = [jax.numpy.asarray(a) for a in inputs.values()]
    places = [list(inputs).index(name) for name in row.wrt]
    grads = jax.grad(lambda *all: row.function(*all).sum(), argnums=places)(*given)
    return {"value": row.function(*given), **dict(zip(row.wrt, grads))}


BOTH = ("pred", "target")
SOFTMAX = {"value": largest("pred"), "pred": one}
SIGMOID = {"value": largest("pred"), "pred": one}
NEAR = {"value": one, "pred": one, "target": one}
LIMITS = Difference("limits", "an infinite logit gives NaN where it is multiplied by 0", infinite("pred"))
ROW_LIMITS = Difference("limits", "infinite logits, or a difference that overflows, give NaN", spread_overflows)
HALF = "JAX gives half the slope where both sides of max are equal"
NAN_SLOPE = Difference("limits", "max hides a NaN from the gradient", nan("pred"), ("pred",))
HUGE = Difference(
    "overflows", "the gradient squares the logit: NaN beyond 1e154", lambda i: np.abs(i["pred"]) > 1e154, ("pred",)
)
FOCAL = Difference("limits", "NaN where the sum of logarithms overflows", lambda i: np.abs(i["pred"]) > 1e307)
ZERO_TIMES = Difference("limits", "0 times minus infinity is NaN: a class of probability 0 there", infinite("pred"))
SHARED = "the slope is shared by all classes that are equally far ahead; here it is one's"
NO_LENGTH = Difference("limits", "NaN or 0 for vectors of zeros and those whose square overflows", no_length)


def inverse_length(i: Inputs) -> Any:
    return 1 / np.sqrt((i["pred"] ** 2).sum(-1))


COSINE = {"value": one, "pred": inverse_length}

ROWS = [
    Row("squared_error", "mse", "reals", lambda p, t: optax.losses.squared_error(p, t), wrt=BOTH),
    Row("l2_loss", "half_squared_error", "reals", lambda p, t: optax.losses.l2_loss(p, t), wrt=BOTH),
    Row("huber_loss", "huber", "reals", lambda p, t: optax.losses.huber_loss(p, t), wrt=BOTH, terms=NEAR),
    Row(
        "huber_loss(delta=1.5)",
        "huber(delta=1.5)",
        "reals",
        lambda p, t: optax.losses.huber_loss(p, t, delta=1.5),
        wrt=BOTH,
        terms=NEAR,
    ),
    Row("log_cosh", "log_cosh", "reals", lambda p, t: optax.losses.log_cosh(p, t), wrt=BOTH, terms=NEAR),
    Row(
        "hinge_loss",
        "hinge",
        "margins",
        lambda p, t: optax.losses.hinge_loss(p, t),
        (
            Difference("kink convention", HALF, lambda i: margin(i) == 1, ("pred",)),
            NAN_SLOPE,
        ),
    ),
    Row(
        "perceptron_loss",
        "perceptron",
        "margins",
        lambda p, t: optax.losses.perceptron_loss(p, t),
        (
            Difference("kink convention", HALF, lambda i: margin(i) == 0, ("pred",)),
            NAN_SLOPE,
        ),
    ),
    Row(
        "sparsemax_loss",
        "binary_sparsemax(labels=01)",
        "margins 0/1",
        lambda p, t: optax.losses.sparsemax_loss(p, t),
        (HUGE,),
    ),
    Row(
        "sigmoid_binary_cross_entropy",
        "bce_with_logits",
        "logits",
        lambda p, t: optax.losses.sigmoid_binary_cross_entropy(p, t),
        (LIMITS,),
        terms=SIGMOID,
    ),
    Row(
        "sigmoid_focal_loss",
        "sigmoid_focal(alpha=-1)",
        "logits 0/1",
        lambda p, t: optax.losses.sigmoid_focal_loss(p, t),
        (FOCAL,),
        terms=SIGMOID,
    ),
    Row(
        "sigmoid_focal_loss(alpha=0.25, gamma=1.5)",
        "sigmoid_focal(alpha=0.25, gamma=1.5)",
        "logits",
        lambda p, t: optax.losses.sigmoid_focal_loss(p, t, alpha=0.25, gamma=1.5),
        (FOCAL,),
        terms=SIGMOID,
    ),
    Row(
        "softmax_cross_entropy",
        "cross_entropy",
        "distributions",
        lambda p, t: optax.losses.softmax_cross_entropy(p, t),
        (ROW_LIMITS,),
        terms=SOFTMAX,
    ),
    Row(
        "safe_softmax_cross_entropy",
        "cross_entropy",
        "distributions",
        lambda p, t: optax.losses.safe_softmax_cross_entropy(p, t),
        (ROW_LIMITS,),
        terms=SOFTMAX,
    ),
    Row(
        "softmax_cross_entropy_with_integer_labels",
        "cross_entropy",
        "labels",
        lambda p, t: optax.losses.softmax_cross_entropy_with_integer_labels(p, t),
        (ROW_LIMITS,),
        terms=SOFTMAX,
    ),
    Row(
        "poly_loss_cross_entropy",
        "poly1_cross_entropy(epsilon=2)",
        "distributions",
        lambda p, t: optax.losses.poly_loss_cross_entropy(p, t),
        (ROW_LIMITS,),
        terms=SOFTMAX,
    ),
    Row(
        "multiclass_hinge_loss",
        "crammer_singer",
        "labels",
        lambda p, t: optax.losses.multiclass_hinge_loss(p, t),
        (
            ROW_LIMITS,
            Difference("kink convention", SHARED, tied(scores_with_margin), ("pred",)),
        ),
        terms={"value": largest("pred")},
    ),
    Row(
        "multiclass_perceptron_loss",
        "multiclass_perceptron",
        "labels",
        lambda p, t: optax.losses.multiclass_perceptron_loss(p, t),
        (
            ROW_LIMITS,
            Difference("kink convention", SHARED, tied(scores), ("pred",)),
        ),
        terms={"value": largest("pred")},
    ),
    Row(
        "multiclass_sparsemax_loss",
        "sparsemax",
        "labels",
        lambda p, t: optax.losses.multiclass_sparsemax_loss(p, t),
        (ROW_LIMITS,),
        terms=SOFTMAX,
    ),
    Row(
        "kl_divergence",
        "kl_div(log_pred=true)",
        "log pairs",
        lambda p, t: optax.losses.kl_divergence(p, t),
        (ZERO_TIMES,),
    ),
    Row(
        "kl_divergence_with_log_targets",
        "kl_div(log_pred=true, log_target=true)",
        "both logs",
        lambda p, t: optax.losses.kl_divergence_with_log_targets(p, t),
    ),
    Row(
        "generalized_kl_divergence(log_predictions=log p)",
        "generalized_kl",
        "inner pairs",
        lambda p, t: optax.losses.generalized_kl_divergence(jax.numpy.log(p), t),
        terms={"value": one, "pred": lambda i: (i["target"] / i["pred"]).max(-1)},
    ),
    Row(
        "cosine_distance",
        "cosine_distance",
        "vectors",
        lambda p, t: optax.losses.cosine_distance(p, t),
        (NO_LENGTH,),
        terms=COSINE,
    ),
    Row(
        "cosine_similarity",
        "-1*cosine_similarity",
        "vectors",
        lambda p, t: optax.losses.cosine_similarity(p, t),
        (NO_LENGTH,),
        terms=COSINE,
    ),
]
