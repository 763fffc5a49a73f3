# SPDX-License-Identifier: MIT
"""A user's program, for mypy --strict: see test_typing.py."""

from __future__ import annotations

import array

import lossfn

pred, target = array.array("d", [1, 2, 4]), array.array("d", [1, 2, 3])

loss: lossfn.Loss = lossfn.create("huber", delta=1.5)
value: float = loss(pred, target)
value, grad = lossfn.mse.value_and_grad(pred, target, weight=2.0)
names: list[str] = lossfn.names(task="regression")
description: lossfn.Description = lossfn.describe("huber")
bounds: str = description.params[0].bounds
first: lossfn.Recommendation = lossfn.recommend("regression", outliers=True)[0]
accumulator = lossfn.Accumulator(loss)
accumulator.update(pred, target)
total: float = accumulator.value() + accumulator.sum + accumulator.denominator
data: bytes = accumulator.to_bytes()
findings: list[str] = lossfn.check("mse", pred, target)
svg: str = lossfn.plot("huber", loss).svg


def square(p: list[float], t: list[float]) -> tuple[list[float], list[float]]:
    """Squares, in lists."""
    d = [a - b for a, b in zip(p, t)]
    return [x * x for x in d], [2 * x for x in d]


custom: lossfn.Loss = lossfn.custom(square, hess=False)
try:
    lossfn.create("hubr")
except lossfn.NotFoundError as error:
    code: int = error.code
