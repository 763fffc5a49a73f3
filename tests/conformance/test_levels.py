# SPDX-License-Identifier: MIT
"""Several levels of one target at once: a level per column, the target repeats."""

from __future__ import annotations

import clib
import harness
import numpy as np
import pytest
from harness import NAMES
from reference import LOSSES

LEVELS = [n for n in NAMES if "tau" in LOSSES[n].inputs]
TAU = np.array([[0.125, 0.5, 0.75, 0.96875]])


def test_there_are_some() -> None:
    assert {"quantile", "expectile"} <= set(LEVELS)


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("name", LEVELS)
def test_columns(name: str, dtype: str) -> None:
    """The bits of one call per level; what target and levels collect is the exact sum of it."""
    rng = np.random.default_rng(8)
    real = clib.NUMPY[dtype]
    pred, target, tau = rng.normal(size=(30, 4)).astype(real), rng.normal(size=(30, 1)).astype(real), TAU.astype(real)
    weight = rng.choice([0.0, 0.5, 2.0], (30, 1)).astype(real)
    out = clib.Loss(clib.spec(name, reduction="none")).run(pred, target, tau, weight=weight)
    whole = clib.Loss(clib.spec(name, reduction="none")).run(
        pred, np.repeat(target, 4, 1), np.repeat(tau, 30, 0), weight=weight
    )
    assert out.values.tobytes() == whole.values.tobytes() and out.hess.tobytes() == whole.hess.tobytes()
    for j, level in enumerate(TAU[0]):
        one = clib.Loss(clib.spec(name, tau=float(level), reduction="none"))
        column = one.run(pred[:, j : j + 1], target, None, weight=weight)
        assert out.values[:, j].tobytes() == column.values.tobytes()
        assert out.grads["pred"][:, j].tobytes() == column.grads["pred"].tobytes()
    for key, axis in (("target", 1), ("tau", 0)):
        for got, each in zip(out.grads[key].ravel(), np.moveaxis(whole.grads[key], axis, 1).reshape(-1, whole.grads[key].shape[axis]), strict=True):  # fmt: skip
            assert got == real(harness.to_float(harness.exact_sum(each)))


@pytest.mark.parametrize("name", LEVELS)
def test_target_repeats_for_levels_alone(name: str) -> None:
    pred, target = np.zeros((5, 4)), np.ones((5, 1))
    for tau in (None, np.array(0.5), np.full((5, 1), 0.5)):
        with pytest.raises(clib.Failure) as caught:
            clib.Loss(name).run(pred, target, tau)
        assert caught.value.status == "SHAPE" and "tau" in str(caught.value)
    with pytest.raises(clib.Failure) as caught:
        clib.Loss(name).run(pred, np.ones((1, 1)), TAU)
    assert caught.value.status == "SHAPE"
    with pytest.raises(clib.Failure) as caught:
        clib.Loss(name).run(pred, np.ones(5), TAU)
    assert caught.value.status == "SHAPE"
