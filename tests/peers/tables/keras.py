# SPDX-License-Identifier: MIT
"""keras.losses, on JAX: classes without their reduction."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from rows import Difference, Inputs, Row, infinite, largest, margin, nan, one, residual

HEADING, PACKAGE = "Keras", "keras"
DTYPE = "float32"
EPSILON = 16 * 2.0**-23
PRECISION = "on JAX in single precision, as its rules for types take float64 for float32 there"

jax: Any = None
losses: Any = None


def load() -> None:
    global jax, losses
    os.environ["KERAS_BACKEND"] = "jax"
    import jax as package
    import keras

    jax, losses = package, keras.losses


def evaluate(row: Row, inputs: Inputs) -> dict[str, Any]:
    """Keras takes the mean over the last axis of what has a value per element."""
    pred, target = (a if a.dtype.kind == "i" else a.astype("float32") for a in inputs.values())
    loss, pred = row.function(), jax.numpy.asarray(pred)

    def values(pred: Any) -> Any:
        return loss(target, pred) if pred.ndim > 1 else loss(target[:, None], pred[:, None])

    return {"value": values(pred), "pred": jax.grad(lambda pred: values(pred).sum())(pred)}


NONE = {"reduction": None, "dtype": "float32"}
SOFTMAX = {"value": largest("pred"), "pred": one}
SIGMOID = {"value": largest("pred"), "pred": one}

EPS = 1e-7  # keras.config.epsilon()


def tied(i: Inputs) -> Any:
    return (residual(i) == 0) | np.isnan(residual(i))


def infinite_residual(i: Inputs) -> Any:
    return np.isinf(residual(i))


def infinite_rows(i: Inputs) -> Any:
    return np.isinf(i["pred"]).any(-1)


def inverse_length(i: Inputs) -> Any:
    return 1 / np.sqrt((i["pred"] ** 2).sum(-1))


def near_one(i: Inputs) -> Any:
    near = i["pred"] > 1 - 2 * EPS
    return near.any(-1) if near.ndim > 1 else near


def clipped(i: Inputs) -> Any:
    """Some probability is held at an end."""
    p = i["pred"]
    return ((p < 2 * EPS) | (p > 1 - 2 * EPS)).any(-1)


SIGN = Difference("kink convention", "the gradient at 0, and of NaN, is that on one side", tied, ("pred",))
HUBER = Difference("limits", "the gradient of an infinite residual is NaN", infinite_residual, ("pred",))
LOG_COSH = Difference("limits", "x + softplus(-2 x) is NaN for an infinite residual", infinite_residual, ("value",))
MAPE = Difference("limits", "infinity divided by infinity is NaN", lambda i: np.isinf(i["target"]), ("value",))
MAPE_SLOPE = Difference(
    "limits",
    "where both are infinite and the value is NaN, the gradient is 0",
    lambda i: np.isinf(i["pred"]) & np.isinf(i["target"]),
    ("pred",),
)
MSLE = Difference(
    "clips", "numbers below 1e-7 are raised to it and have no gradient", lambda i: i["pred"] < EPS, ("pred",)
)
HALF = Difference(
    "kink convention", "half the slope where both sides of max are equal", lambda i: margin(i) == 1, ("pred",)
)
NAN_SLOPE = Difference("limits", "max hides a NaN from the gradient", nan("pred"), ("pred",))
NO_LENGTH = Difference("limits", "the gradient at a vector of zeros is NaN", lambda i: ~i["pred"].any(-1), ("pred",))
KL_CLIPS = Difference(
    "clips",
    "both are held in [1e-7, 1], so that no class costs infinitely much and impossible ones cost a little",
    lambda i: np.minimum(i["pred"], i["target"]).min(-1) < EPS,
)
ROUNDED_END = Difference("rounding", "1 - 1e-7 is 1 - 2^-23 in single precision", near_one)
ROUNDED_ENDS = Difference(
    "rounding", "1e-7 from the other end is 2^-23 in single precision", lambda i: near_one(i) | (i["pred"] < 2 * EPS)
)
LIMITS = Difference("limits", "an infinite logit gives NaN where it is multiplied by 0", infinite("pred"))
ROW_LIMITS = Difference("limits", "an infinite logit gives NaN", infinite_rows)
SATURATED = Difference(
    "clips",
    "takes the sigmoid first and holds it in [1e-7, 1 - 1e-7]: no gradient, and no loss above 16, beyond logits of 16",
    lambda i: np.abs(i["pred"]) > 15,
)


def exp_logit(i: Inputs) -> Any:
    """1 - p has the rounding error of p, which is this much larger relative to it."""
    return np.exp(np.minimum(np.abs(i["pred"]), 16))


def logarithms(i: Inputs) -> Any:
    """The difference of two logarithms has their rounding errors."""
    logs = np.log1p(i["pred"]), np.log1p(i["target"])
    return np.maximum(*logs)


SIGMOID_FIRST = {"value": exp_logit, "pred": exp_logit}
SQUARED_LOGARITHMS = {
    "value": lambda i: logarithms(i) * np.abs(np.log1p(i["pred"]) - np.log1p(i["target"])),
    "pred": lambda i: logarithms(i) / (1 + i["pred"]),
}
TWO_FRACTIONS = {"pred": lambda i: 1 / np.maximum(i["pred"] * (1 - i["pred"]), EPS)}  # t/p less (1 - t)/(1 - p)
NORMALISES = Difference(
    "definition", "divides by the sum of the row, through which the gradient flows", lambda i: True, ("pred",)
)

ROWS = [
    Row("MeanSquaredError()", "mse", "reals", lambda: losses.MeanSquaredError(**NONE)),
    Row("MeanAbsoluteError()", "mae", "reals", lambda: losses.MeanAbsoluteError(**NONE), (SIGN,)),
    Row("Huber()", "huber", "reals", lambda: losses.Huber(**NONE), (HUBER,)),
    Row("Huber(delta=1.5)", "huber(delta=1.5)", "reals", lambda: losses.Huber(delta=1.5, **NONE), (HUBER,)),
    Row(
        "LogCosh()",
        "log_cosh",
        "reals",
        lambda: losses.LogCosh(**NONE),
        (LOG_COSH,),
        terms={"value": lambda i: np.maximum(1, np.abs(residual(i))), "pred": one},
    ),
    Row(
        "MeanAbsolutePercentageError()",
        "mape(eps=1e-7)",
        "reals",
        lambda: losses.MeanAbsolutePercentageError(**NONE),
        (
            MAPE,
            MAPE_SLOPE,
            SIGN,
        ),
    ),
    Row(
        "MeanSquaredLogarithmicError()",
        "msle",
        "positives",
        lambda: losses.MeanSquaredLogarithmicError(**NONE),
        (MSLE,),
        terms=SQUARED_LOGARITHMS,
    ),
    Row(
        "Hinge()",
        "hinge",
        "margins",
        lambda: losses.Hinge(**NONE),
        (
            HALF,
            NAN_SLOPE,
        ),
    ),
    Row("SquaredHinge()", "squared_hinge", "margins", lambda: losses.SquaredHinge(**NONE)),
    Row("Hinge() of 0 and 1", "hinge(labels=01)", "finite margins 0/1", lambda: losses.Hinge(**NONE), (HALF,)),
    Row(
        "Poisson()",
        "poisson_nll(log_input=false, eps=1e-7)",
        "rates",
        lambda: losses.Poisson(**NONE),
        terms={"value": lambda i: np.abs(i["target"] * np.log(i["pred"] + EPS)), "pred": one},
    ),
    Row(
        "CosineSimilarity()",
        "cosine_similarity",
        "vectors",
        lambda: losses.CosineSimilarity(**NONE),
        (NO_LENGTH,),
        terms={"value": one, "pred": inverse_length},
    ),
    Row(
        "KLDivergence()",
        "kl_div",
        "distribution pairs",
        lambda: losses.KLDivergence(**NONE),
        (KL_CLIPS,),
        terms={"value": one},
    ),
    Row(
        "BinaryCrossentropy()",
        "binary_cross_entropy(clamp=1e-7)",
        "probabilities",
        lambda: losses.BinaryCrossentropy(**NONE),
        (ROUNDED_ENDS,),
        terms=TWO_FRACTIONS,
    ),
    Row(
        "BinaryCrossentropy(from_logits=True)",
        "bce_with_logits",
        "logits",
        lambda: losses.BinaryCrossentropy(from_logits=True, **NONE),
        (LIMITS,),
        terms=SIGMOID,
    ),
    Row(
        "BinaryCrossentropy(from_logits=True, label_smoothing=0.1)",
        "bce_with_logits(label_smoothing=0.1)",
        "logits",
        lambda: losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1, **NONE),
        terms=SIGMOID,
    ),
    Row(
        "BinaryFocalCrossentropy(from_logits=True)",
        "sigmoid_focal(alpha=-1)",
        "finite margins 0/1",
        lambda: losses.BinaryFocalCrossentropy(from_logits=True, **NONE),
        (SATURATED,),
        terms=SIGMOID_FIRST,
    ),
    Row(
        "BinaryFocalCrossentropy(from_logits=True, apply_class_balancing=True)",
        "sigmoid_focal",
        "finite margins 0/1",
        lambda: losses.BinaryFocalCrossentropy(from_logits=True, apply_class_balancing=True, **NONE),
        (SATURATED,),
        terms=SIGMOID_FIRST,
    ),
    Row(
        "CategoricalCrossentropy(from_logits=True)",
        "cross_entropy",
        "distributions",
        lambda: losses.CategoricalCrossentropy(from_logits=True, **NONE),
        (ROW_LIMITS,),
        terms=SOFTMAX,
    ),
    Row(
        "CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)",
        "cross_entropy(label_smoothing=0.1)",
        "distributions",
        lambda: losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1, **NONE),
        (ROW_LIMITS,),
        terms=SOFTMAX,
    ),
    Row(
        "CategoricalCrossentropy()",
        "categorical_cross_entropy(clamp=1e-7)",
        "distribution pairs",
        lambda: losses.CategoricalCrossentropy(**NONE),
        (
            ROUNDED_END,
            NORMALISES,
        ),
    ),
    Row(
        "SparseCategoricalCrossentropy(from_logits=True)",
        "cross_entropy",
        "labels",
        lambda: losses.SparseCategoricalCrossentropy(from_logits=True, **NONE),
        (ROW_LIMITS,),
        terms=SOFTMAX,
    ),
    Row(
        "CategoricalFocalCrossentropy(from_logits=True)",
        "0.25*categorical_focal",
        "plain labels one-hot",
        lambda: losses.CategoricalFocalCrossentropy(from_logits=True, **NONE),
        terms=SOFTMAX,
    ),
    Row(
        "CategoricalGeneralizedCrossEntropy() of softmax",
        "generalized_cross_entropy(q=0.5)",
        "plain labels",
        lambda: lambda t, p: losses.CategoricalGeneralizedCrossEntropy(**NONE)(t, jax.nn.softmax(p)),
        terms=SOFTMAX,
    ),
    Row(
        "CategoricalHinge()",
        "crammer_singer(zero_rival=true)",
        "plain labels one-hot",
        lambda: losses.CategoricalHinge(**NONE),
        terms={"value": largest("pred")},
    ),
]
