# SPDX-License-Identifier: MIT
"""pytorch_optimizer.loss, on PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
from rows import Difference, Inputs, Row, by_autograd, infinite, largest, margin

HEADING, PACKAGE = "pytorch_optimizer", "pytorch_optimizer"
DTYPE = "float64"
EPSILON = 16 * 2.0**-52
PRECISION = "double precision; a few operations, each within an ulp or two"

torch: Any = None
loss: Any = None


def load() -> None:
    global torch, loss
    import pytorch_optimizer.loss
    import torch as package

    torch, loss = package, pytorch_optimizer.loss


def evaluate(row: Row, inputs: Inputs) -> dict[str, Any]:
    return by_autograd(torch, row, inputs)


COUNTS = [16, 81, 1, 256, 3]


def each(function: Any, pred: Any, target: Any) -> Any:
    """Its losses give the mean of a batch."""
    return torch.stack([function(p, t) for p, t in zip(pred.split(1), target.split(1))])


SCALED = Difference(
    "overflows", "NaN where a logit times the scale is infinite", lambda i: np.abs(i["pred"]).max(-1) > 1e307
)


def inexact(i: Inputs) -> Any:
    """Of the other classes the margins, 1/4, 1/2 and 1/8, are the same in single precision."""
    return (i["target"] == 1) | (i["target"] == 4)


def margins(scale: float) -> tuple[Difference, ...]:
    off = scale * 2.0**-24
    return (
        Difference("rounding", "the margins are in single precision", inexact, ("value",), lambda i: off),
        Difference("rounding", "and so in the gradient", inexact, ("pred",), lambda i: scale * off),
    )


def softmax(scale: float) -> dict[str, Any]:
    return {
        "value": lambda i: scale * np.maximum(1, largest("pred")(i)),
        "pred": lambda i: scale * np.maximum(1, scale * largest("pred")(i)),
    }


def entropy(i: Inputs) -> Any:
    return np.logaddexp(0, -margin(i))


def turned_down(i: Inputs) -> Any:
    """1 - exp(-x), which has the rounding error of 1, times x and itself."""
    x = entropy(i)
    return -np.expm1(-x) * (x - np.expm1(-x)) * 4


FOCAL = {"value": turned_down, "pred": turned_down}
ZERO_TIMES = Difference("limits", "0 times infinity, or infinity less infinity, is NaN", infinite("pred"))
HUGE = Difference(
    "overflows",
    "twice the entropy is infinite, and is multiplied by 0",
    lambda i: np.abs(i["pred"]) > 8e307,
    ("pred",),
)

ROWS = [
    Row(
        "LDAMLoss(counts, s=1)",
        f"ldam(class_count={COUNTS})",
        "labels",
        lambda p, t: each(loss.LDAMLoss(COUNTS, s=1), p, t),
        margins(1),
        terms=softmax(1),
    ),
    Row(
        "LDAMLoss(counts)",
        f"ldam(class_count={COUNTS}, scale=30)",
        "labels",
        lambda p, t: each(loss.LDAMLoss(COUNTS), p, t),
        (SCALED, *margins(30)),
        terms=softmax(30),
    ),
    Row(
        "FocalLoss()",
        "sigmoid_focal(alpha=-1)",
        "logits 0/1",
        lambda p, t: each(loss.FocalLoss(), p, t),
        (ZERO_TIMES, HUGE),
        terms=FOCAL,
    ),
]
