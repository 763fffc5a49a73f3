# SPDX-License-Identifier: MIT
"""XGBoost's objectives: gradient and Hessian of the sum. It has no call for them; they are read off trees of a single
leaf, -g / (h + lambda), grown for one sample at a time."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from rows import Difference, Inputs, Row, one

HEADING, PACKAGE = "XGBoost", "xgboost"
DTYPE = "float32"
EPSILON = 64 * 2.0**-24
PRECISION = "gradient and Hessian in single precision; read off leaves, which adds a few roundings"

xgboost: Any = None
HEAVY = 2.0**60  # beside it no Hessian counts: the leaf is -g / HEAVY


def load() -> None:
    global xgboost
    import xgboost as package

    xgboost = package


def leaves(objective: dict[str, Any], pred: Any, target: float, weight: float) -> list[float]:
    """Of the first tree, or the first trees of all classes."""
    pred = np.atleast_1d(pred).astype(np.float32)
    data = xgboost.DMatrix(np.zeros((1, 1), np.float32), label=[target], base_margin=pred[None, :])
    common = {"eta": 1, "min_child_weight": 0, "lambda": weight, "nthread": 1, "base_score": 0.5, "verbosity": 0}
    booster = xgboost.train({**common, **objective}, data, 1)
    model = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]
    return [tree["split_conditions"][0] for tree in model["trees"]]


def evaluate(row: Row, inputs: Inputs) -> dict[str, Any]:
    """The leaf without lambda is the Newton step, -g/h."""
    objective = row.function()
    times = objective.pop("hessian_times", 1)  # what its Hessian is too large by
    pairs = list(zip(inputs["pred"], inputs["target"]))
    grads = -HEAVY * np.array([leaves(objective, *pair, HEAVY) for pair in pairs])
    steps = times * np.array([leaves(objective, *pair, 0) for pair in pairs])
    shape = inputs["pred"].shape
    with np.errstate(all="ignore"):
        return {"pred": grads.reshape(shape), "step": steps.reshape(shape)}


GIVES = {"outputs": ("step",)}


def flat(i: Inputs) -> Any:
    """Where the squared error of logarithms is not convex."""
    with np.errstate(all="ignore"):
        return np.log1p(i["pred"]) - np.log1p(i["target"]) > 1


def one_less(i: Inputs) -> Any:
    """The Hessian p (1 - p) has the rounding error of 1 - p, which is this much larger relative to it."""
    return np.exp(2 * np.abs(i["pred"]))


NEGATIVE = Difference("clips", "the Hessian is raised to 1e-6 where it is negative", flat, ("step",))
SIGMOID = {"pred": one, "step": one_less}


def softmax_one_less(i: Inputs) -> Any:
    """The same for each class: the rounding error of 1 - p in a step of at most 1 / (p (1 - p))."""
    shifted = np.exp(i["pred"] - i["pred"].max(-1, keepdims=True))
    p = shifted / shifted.sum(-1, keepdims=True)
    return 1 / (p * (1 - p) ** 2)


def logarithms(i: Inputs) -> Any:
    return np.maximum(np.log1p(i["pred"]), np.log1p(i["target"]))


def log_slope(i: Inputs) -> Any:
    """The Hessian times (1 + p)^2."""
    return np.abs(1 - np.log1p(i["pred"]) + np.log1p(i["target"]))


SOFTMAX = {"pred": one, "step": softmax_one_less}
SQUARED_LOGARITHMS = {
    "pred": lambda i: logarithms(i) / (1 + i["pred"]),
    "step": lambda i: logarithms(i) * (1 + i["pred"]) / log_slope(i),
}
GAMMA = {"pred": one, "step": lambda i: np.exp(i["pred"]) / i["target"]}  # 1 less the Hessian, over the Hessian

ROWS = [
    Row("reg:squarederror", "half_squared_error", "moderate", lambda: {"objective": "reg:squarederror"}, **GIVES),
    Row("reg:pseudohubererror", "pseudo_huber", "moderate", lambda: {"objective": "reg:pseudohubererror"}, **GIVES),
    Row(
        "reg:pseudohubererror, huber_slope=1.5",
        "pseudo_huber(delta=1.5)",
        "moderate",
        lambda: {"objective": "reg:pseudohubererror", "huber_slope": 1.5},
        **GIVES,
    ),
    Row(
        "reg:squaredlogerror",
        "0.5*msle",
        "moderate positives",
        lambda: {"objective": "reg:squaredlogerror"},
        (NEGATIVE,),
        terms=SQUARED_LOGARITHMS,
        **GIVES,
    ),
    Row(
        "binary:logistic",
        "bce_with_logits",
        "moderate logits",
        lambda: {"objective": "binary:logistic"},
        terms=SIGMOID,
        **GIVES,
    ),
    Row(
        "binary:hinge",
        "hinge(labels=01)",
        "moderate margins 0/1",
        lambda: {"objective": "binary:hinge"},
        **GIVES,
        hessian="one",
    ),
    Row(
        "count:poisson, max_delta_step=0",
        "poisson_nll",
        "moderate log rates",
        lambda: {"objective": "count:poisson", "max_delta_step": 0},
        **GIVES,
    ),
    Row("reg:gamma", "gamma_nll", "moderate log means", lambda: {"objective": "reg:gamma"}, terms=GAMMA, **GIVES),
    Row(
        "multi:softprob, half its Hessian",
        "cross_entropy",
        "plain labels",
        lambda: {"objective": "multi:softprob", "num_class": 5, "hessian_times": 2},
        terms=SOFTMAX,
        **GIVES,
    ),
]
