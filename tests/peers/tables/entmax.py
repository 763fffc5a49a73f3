# SPDX-License-Identifier: MIT
"""entmax, on PyTorch."""

from __future__ import annotations

from typing import Any

from rows import Inputs, Row, by_autograd, largest

HEADING, PACKAGE = "entmax", "entmax"
DTYPE = "float64"
EPSILON = 16 * 2.0**-52
PRECISION = "double precision; a few operations, each within an ulp or two"

torch: Any = None
entmax: Any = None


def load() -> None:
    global torch, entmax
    import entmax as package
    import torch as torch_package

    torch, entmax = torch_package, package


def evaluate(row: Row, inputs: Inputs) -> dict[str, Any]:
    return by_autograd(torch, row, inputs)


SCORES = {"value": largest("pred"), "pred": largest("pred")}  # less a threshold

ROWS = [
    Row(
        "SparsemaxLoss()",
        "sparsemax",
        "finite labels",
        lambda p, t: entmax.SparsemaxLoss(reduction="none")(p, t),
        terms=SCORES,
    ),
    Row(
        "Entmax15Loss()",
        "entmax15",
        "finite labels",
        lambda p, t: entmax.Entmax15Loss(reduction="none")(p, t),
        terms=SCORES,
    ),
]
