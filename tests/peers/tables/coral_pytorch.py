# SPDX-License-Identifier: MIT
"""coral_pytorch.losses: of ordered classes, on PyTorch."""

from __future__ import annotations

from typing import Any

from rows import Difference, Inputs, Row, by_autograd, infinite, largest, nan, one

HEADING, PACKAGE = "coral-pytorch", "coral-pytorch"
DTYPE = "float64"
EPSILON = 16 * 2.0**-52
PRECISION = "double precision; a few operations, each within an ulp or two"

torch: Any = None
coral: Any = None


def load() -> None:
    global torch, coral
    import coral_pytorch.losses
    import torch as package

    torch, coral = package, coral_pytorch.losses


def evaluate(row: Row, inputs: Inputs) -> dict[str, Any]:
    return by_autograd(torch, row, inputs)


WEIGHTS = [1.0, 2.0, 0.5, 0.25]


def levels(target: Any) -> Any:
    """As its levels_from_labelbatch."""
    return (target[:, None] > torch.arange(4)).double()


def corn(pred: Any, target: Any) -> Any:
    """Row by row, times the questions that it is divided by."""
    asked = torch.clamp(target + 1, max=4)
    rows = [coral.corn_loss(p[None], t[None], 5) for p, t in zip(pred, target)]
    return torch.stack(rows) * asked


LIMITS = Difference("limits", "an infinite logit gives NaN where it is subtracted", infinite("pred"), ("value",))
OWN_NAN = Difference("limits", "a NaN does not reach the gradients of the other thresholds", nan("pred"), ("pred",))
SIGMOID = {"value": largest("pred"), "pred": one}

ROWS = [
    Row(
        "coral_loss",
        "ordinal_cross_entropy",
        "levels",
        lambda p, t: coral.coral_loss(p, levels(t), reduction=None),
        (LIMITS, OWN_NAN),
        terms=SIGMOID,
    ),
    Row(
        "coral_loss(importance_weights=w)",
        f"ordinal_cross_entropy(level_weight={WEIGHTS})",
        "levels",
        lambda p, t: coral.coral_loss(p, levels(t), torch.tensor(WEIGHTS), reduction=None),
        (LIMITS, OWN_NAN),
        terms=SIGMOID,
    ),
    Row(
        "corn_loss of a row, times the questions that were asked",
        "corn",
        "levels",
        lambda p, t: corn(p, t),
        (LIMITS, OWN_NAN),
        terms=SIGMOID,
    ),
]
