# SPDX-License-Identifier: MIT
"""lossfn as a contestant, from Python, into arrays that are given; and its own variants beside the plain call."""

from __future__ import annotations

from typing import Any

import lossfn
import numpy as np
from cases import Case
from results import READ_HALVES, READ_WHOLE
from turns import Contestant


def build(case: Case, threads: int) -> Contestant:
    inputs = list(case.inputs.values())
    grads = [np.empty_like(case.inputs[name]) for name in case.differentiable]
    common = {"grad_out": grads[0] if len(grads) == 1 else tuple(grads), "threads": threads}
    if case.want == "value_grad":
        loss = lossfn.create(case.loss, **case.params)
        return Contestant(
            lambda: loss.value_and_grad(*inputs, **common),
            lambda: (loss.value_and_grad(*inputs, **common)[0], grads),
        )
    loss = lossfn.create(case.loss, **case.params, reduction="sum")
    hess = np.empty_like(grads[0])
    return Contestant(
        lambda: loss.value_grad_hess(*inputs, hess_out=hess, **common),
        lambda: (loss.value_grad_hess(*inputs, hess_out=hess, **common) and None, [*grads, hess]),
    )


def variants(loss: str, n: int, threads: int) -> dict[str, Contestant]:
    """A loss of elements plainly, and with weights, masks and other layouts, over rows of 256."""
    rng = np.random.default_rng(n)
    handle = lossfn.create(loss)
    shape = (n // 256, 256)
    pred, grad = rng.standard_normal(shape, np.float32), np.empty(shape, np.float32)
    target = rng.integers(0, 2, shape).astype(np.float32)
    weight, mask = rng.random(shape, np.float32) + np.float32(0.5), rng.random(shape) < 0.9
    wide = rng.standard_normal((shape[0], 512), np.float32)
    total = float(weight.sum(dtype=np.float64))

    def of(pred: Any = pred, target: Any = target, **options: Any) -> Contestant:
        out = options.pop("grad_out", grad)
        return Contestant(lambda: handle.value_and_grad(pred, target, grad_out=out, threads=threads, **options))

    return {
        "plain": of(),
        "weight": of(weight=weight),
        "weight, denominator given": of(weight=weight, denominator=total),
        "weight per row": of(weight=weight[:, :1].copy()),
        "mask": of(mask=mask),
        "mask, denominator given": of(mask=mask, denominator=float(mask.sum())),
        "pred strided: half of longer rows": of(pred=wide[:, :256]),
        "target broadcast along rows": of(target=np.broadcast_to(target[:, :1], shape)),
        "target broadcast over rows": of(target=np.broadcast_to(target[:1], shape)),
        "all transposed": of(pred=pred.T, target=target.T, grad_out=grad.T),
        READ_HALVES: Contestant(lambda: np.add.reduce(wide[:, :256], axis=1)),  # what the machine makes of such rows
        READ_WHOLE: Contestant(lambda: np.add.reduce(pred, axis=1)),
    }
