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


COMMON = {"eta": 1, "min_child_weight": 0, "nthread": 1, "base_score": 0.5, "verbosity": 0}


def leaves(objective: dict[str, Any], data: Any, margin: Any, weight: float) -> list[float]:
    """Of the first tree, or the first trees of all classes."""
    data.set_base_margin(np.asarray(margin, np.float32))
    booster = xgboost.train({**COMMON, "lambda": weight, **objective}, data, 1)
    model = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]
    return [tree["split_conditions"][0] for tree in model["trees"]]


def of_unit(unit: dict[str, Any]) -> Any:
    """A sample by itself: its target, or bounds of it."""
    data, target = xgboost.DMatrix(np.zeros((1, 1), np.float32)), [unit["target"]]
    if "upper" in unit:
        data.set_float_info("label_lower_bound", target)
        data.set_float_info("label_upper_bound", [unit["upper"]])
    else:
        data.set_label(target)
    return data, np.atleast_1d(unit["pred"])[None, :]


def of_member(unit: dict[str, Any], j: int) -> Any:
    """All members of a sample, of which one has a weight; a time at which nothing happened is negative there."""
    n = len(unit["pred"])
    label = np.where(unit["event"] > 0, unit["target"], -unit["target"])
    return xgboost.DMatrix(np.zeros((n, 1), np.float32), label=label, weight=np.eye(n)[j]), unit["pred"]


def evaluate(row: Row, inputs: Inputs) -> dict[str, Any]:
    """The leaf without lambda is the Newton step, -g/h."""
    objective = row.function()
    times = objective.pop("hessian_times", 1)  # what its Hessian is too large by
    units = [{name: a[k] for name, a in inputs.items()} for k in range(len(inputs["pred"]))]
    if "event" in inputs:
        given = [of_member(unit, j) for unit in units for j in range(len(unit["pred"]))]
    else:
        given = [of_unit(unit) for unit in units]
    grads = -HEAVY * np.array([leaves(objective, *one, HEAVY) for one in given])
    steps = times * np.array([leaves(objective, *one, 0) for one in given])
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
POISSON = {  # the larger one of the rate and the count; over the Hessian, which is the rate
    "pred": lambda i: np.maximum(np.exp(i["pred"]), i["target"]),
    "step": lambda i: np.maximum(1, i["target"] * np.exp(-i["pred"])),
}
GAMMA = {"pred": one, "step": lambda i: np.exp(i["pred"]) / i["target"]}  # 1 less the Hessian, over the Hessian


def tweedie(i: Inputs) -> Any:
    return np.exp(i["pred"] / 2) + i["target"] * np.exp(-i["pred"] / 2)


TWEEDIE = {"pred": tweedie, "step": lambda i: 2.0}  # over the Hessian, which is half of it


def lower(i: Inputs) -> Any:
    return (np.log(i["target"]) - i["pred"]) / 0.5


def between(i: Inputs) -> Any:
    return (i["target"] > 0) & (i["target"] < i["upper"]) & np.isfinite(i["upper"])


STEEP = Difference("clips", "gradients are held in [-15, 15]", lambda i: lower(i) > 2, ("pred",))
CURVED = Difference("clips", "and Hessians in [1e-16, 15]", lambda i: lower(i) > 1.2, ("step",))
STEEP_NORMAL = Difference(
    "clips",
    "gradients are held in [-15, 15], Hessians in [1e-16, 15], densities and probabilities above 1e-12",
    lambda i: np.abs(np.where(np.isfinite(lower(i)), lower(i), 2 * (np.log(i["upper"]) - i["pred"]))) > 7,
)
IN_TAIL = Difference(
    "rounding",
    "between bounds far out, or far below one: digits that 1 + erf has lost",
    lambda i: (between(i) | np.isinf(i["upper"])) & (np.abs(lower(i)) > 5),
)
EARLY = Difference(
    "rounding",
    "the Hessian between early bounds is the difference of two squares, of what is itself a difference",
    lambda i: between(i) & (lower(i) < -11),
    ("step",),
)
TIES = Difference(
    "definition",
    "of members with the same time each sees only the events that stand before it in the order, not all",
    lambda i: (np.diff(np.sort(i["target"]), axis=-1) == 0).any(-1),
)


def first_event(i: Inputs) -> Any:
    return np.where(i["event"] > 0, i["target"], np.inf).min(-1, keepdims=True)


NO_EVENT = Difference(
    "limits",
    "of who was seen no longer when the first event came gradient and Hessian are 0, and so is the step; 0 / 0 here",
    lambda i: i["target"] < first_event(i),
    ("step",),
)


def cox(i: Inputs) -> dict[str, Any]:
    """The sum at risk is what is left of that of all, with its rounding error. Of gradient and Hessian: what they are,
    and the terms they are the difference of."""
    hazard = np.exp(i["pred"])
    comes = (i["target"][:, :, None] >= i["target"][:, None, :]) & (i["event"][:, None, :] > 0)  # to whom, which
    risk = (hazard[:, None, :] * (i["target"][:, None, :] >= i["target"][:, :, None])).sum(-1)[:, None, :]
    lost = hazard.sum(-1)[:, None, None] / risk
    share = hazard[:, :, None] / risk * comes
    terms, grad, hess = (share * lost).sum(-1) + 1, share.sum(-1) - i["event"], (share * (1 - share)).sum(-1)
    return {"hess": hess, "pred": terms, "step": (1 + np.abs(grad / hess)) * terms / hess}


ALONE = Difference(
    "rounding",
    "of who is alone at risk whenever an event comes both are 0, but for rounding; 0 / 0 here",
    lambda i: cox(i)["hess"] < 1e-9,
    ("step",),
)
COX = {"pred": lambda i: cox(i)["pred"], "step": lambda i: cox(i)["step"]}

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
        terms=POISSON,
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
    Row(
        "reg:tweedie",
        "tweedie_nll",
        "moderate log means",
        lambda: {"objective": "reg:tweedie", "tweedie_variance_power": 1.5},
        terms=TWEEDIE,
        **GIVES,
    ),
    *(
        Row(
            f"survival:aft, aft_loss_distribution={distribution!r}, aft_loss_distribution_scale=0.5",
            f"aft_nll(distribution={distribution}, scale=0.5)",
            "moderate times",
            lambda distribution=distribution: {
                "objective": "survival:aft",
                "aft_loss_distribution": distribution,
                "aft_loss_distribution_scale": 0.5,
            },
            differences,
            **GIVES,
        )
        for distribution, differences in (
            ("normal", (STEEP_NORMAL, IN_TAIL)),
            ("logistic", ()),
            ("extreme", (STEEP, CURVED, EARLY)),
        )
    ),
    Row(
        "survival:cox",
        "cox_nll",
        "moderate samples",
        lambda: {"objective": "survival:cox"},
        (TIES, NO_EVENT, ALONE),
        terms=COX,
        **GIVES,
    ),
]
