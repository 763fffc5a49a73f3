# SPDX-License-Identifier: MIT
"""kornia.losses, on PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
from rows import Difference, Inputs, Row, by_autograd, infinite, largest, one, residual, spread_overflows

HEADING, PACKAGE = "Kornia", "kornia"
DTYPE = "float64"
EPSILON = 16 * 2.0**-52
PRECISION = "double precision; a few operations, each within an ulp or two"

torch: Any = None
losses: Any = None


def load() -> None:
    global torch, losses
    import kornia.losses
    import torch as package

    torch, losses = package, kornia.losses


def evaluate(row: Row, inputs: Inputs) -> dict[str, Any]:
    return by_autograd(torch, row, inputs)


BOTH = ("pred", "target")


def heatmaps(rows: Any) -> Any:
    return rows[:, None, None, :]


def far(i: Inputs) -> Any:
    return np.abs(residual(i)) > 1e153


SQUARES = Difference(
    "overflows", "squares the residual: infinite, or NaN where that is divided or multiplied by 0", far
)
LIMITS = Difference("limits", "an infinite logit gives NaN where it is multiplied by 0", infinite("pred"))
ROW_LIMITS = Difference("limits", "infinite logits, or a difference that overflows, give NaN", spread_overflows)


def exponent(i: Inputs) -> Any:
    """The exponential of r^2/2 has the relative error of its argument times that; and c^2 is not exactly 2."""
    half = residual(i) ** 2 / 2
    return np.where(half < 700, half * np.exp(-half) * np.sqrt(2 * half), 0)


def geman_mcclure(i: Inputs) -> Any:
    """The derivative of a quotient is the difference of two."""
    r = np.abs(residual(i))
    return np.where(np.isfinite(r), 4 * r / (r * r + 4), 0)


EMPTY = Difference(
    "limits",
    "a class of probability 0 is left out with its logarithm, so that its slope is finite",
    lambda i: (i["pred"] == 0) & (i["target"] > 0),
    ("pred",),
)
WELSCH = dict.fromkeys(BOTH, exponent)
GEMAN_MCCLURE = dict.fromkeys(BOTH, geman_mcclure)
SIGMOID = {"value": largest("pred"), "pred": one}


def binary_focal(pred: Any, target: Any) -> Any:
    """It wants a second axis, of classes."""
    columns = pred[:, None], target[:, None]
    return losses.binary_focal_loss_with_logits(*columns, alpha=0.25, gamma=2.0, reduction="none")[:, 0]


ROWS = [
    *(
        Row(name, spec, "reals", lambda p, t, name=name: getattr(losses, name)(p, t), (SQUARES,), BOTH, terms=terms)
        for name, spec, terms in (
            ("charbonnier_loss", "pseudo_huber", {"value": one}),
            ("cauchy_loss", "cauchy(c=1.4142135623730951)", {}),
            ("geman_mcclure_loss", "geman_mcclure(c=2)", GEMAN_MCCLURE),
            ("welsch_loss", "welsch(c=1.4142135623730951)", WELSCH),
        )
    ),
    *(
        Row(
            f"{name}, of Barron's family",
            f"barron(alpha={alpha})",
            "reals",
            lambda p, t, name=name: getattr(losses, name)(p, t),
            (SQUARES,),
            BOTH,
            terms=terms,
        )
        for name, alpha, terms in (
            ("charbonnier_loss", 1, {"value": one}),
            ("cauchy_loss", 0, {}),
            ("geman_mcclure_loss", -2, GEMAN_MCCLURE),
            ("welsch_loss", "-inf", WELSCH),
        )
    ),
    Row(
        "binary_focal_loss_with_logits(alpha=0.25, gamma=2)",
        "sigmoid_focal",
        "logits 0/1",
        lambda p, t: binary_focal(p, t),
        (LIMITS,),
        terms=SIGMOID,
    ),
    Row(
        "focal_loss(alpha=None, gamma=2).sum(-1)",
        "categorical_focal",
        "labels",
        lambda p, t: losses.focal_loss(p, t, alpha=None, gamma=2.0, reduction="none").sum(-1),
        (ROW_LIMITS,),
        terms=SIGMOID,
    ),
    Row(
        "kl_div_loss_2d",
        "kl_div",
        "distribution pairs",
        lambda p, t: losses.kl_div_loss_2d(heatmaps(p), heatmaps(t), reduction="none")[:, 0],
        terms={"value": one},
    ),
    Row(
        "js_div_loss_2d",
        "jensen_shannon",
        "distribution pairs",
        lambda p, t: losses.js_div_loss_2d(heatmaps(p), heatmaps(t), reduction="none")[:, 0],
        (EMPTY,),
        terms={"value": one, "pred": one},
    ),
]
