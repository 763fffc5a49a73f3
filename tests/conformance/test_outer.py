# SPDX-License-Identifier: MIT
"""Losses of the whole batch: an outer function of the sum or mean, applied last. What all losses promise is tested with
all of them; here is what comes from the root. For functions of marginals: test_marginals.py."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import clib
import harness
import numpy as np
import pytest
from harness import NAMES, exact_sum, to_float
from reference import LOSSES

OUTER = [n for n in NAMES if LOSSES[n].outer == "sqrt"]


def batch(name: str, dtype: str = "f64", n: int = 50) -> tuple[list[Any], np.ndarray]:
    """Inputs of n rows, and the values whose mean or sum it is."""
    inputs = harness.tame(name, dtype, (n, 3), np.random.default_rng(31))
    return inputs, clib.Loss(clib.spec(name, reduction="none")).run(*inputs, want="values").values


def root(total: Fraction, denominator: float = 1) -> float:
    return math.sqrt(to_float(total / Fraction(denominator)))


def test_there_are_some() -> None:
    assert {"rmse", "multi_rmse"} <= set(OUTER)


@pytest.mark.parametrize("name", OUTER)
def test_value_and_gradient(name: str) -> None:
    inputs, values = batch(name)
    total = exact_sum(values)
    bare = clib.Loss(clib.spec(name, reduction="none")).run(*inputs, want="grads").grads
    for reduction, count in (("mean", values.size), ("sum", 1), ("mean_rows", 50)):
        loss = clib.Loss(clib.spec(name, reduction=reduction))
        out = loss.run(*inputs)
        assert out.value == root(total, count) and out.sum == to_float(total)
        for key, g in bare.items():
            np.testing.assert_allclose(out.grads[key], g * (0.5 / (count * out.value)), rtol=1e-15)
        scaled = loss.run(*inputs, upstream=np.array(-4.0), want="grads")
        for key, g in out.grads.items():
            np.testing.assert_array_equal(scaled.grads[key], -4 * g)
        alone = loss.run(*inputs, want="grads"), loss.run(*inputs, want="value")
        assert alone[0].grads["pred"].tobytes() == out.grads["pred"].tobytes() and alone[1].value == out.value
    given = clib.Loss(name).run(*inputs, denominator=7.5, want="value grads")
    assert given.value == root(total, 7.5)
    np.testing.assert_allclose(given.grads["pred"], bare["pred"] * (0.5 / (7.5 * given.value)), rtol=1e-15)


@pytest.mark.parametrize("name", OUTER)
def test_its_edges(name: str) -> None:
    """0 has gradient 0; nothing kept has none; a negative sum, NaN and infinity come through; errno stays."""
    inputs, _ = batch(name)
    loss = clib.Loss(name)
    perfect = loss.run(inputs[0], inputs[0].copy())
    assert perfect.value == 0 and not any(g.any() for g in perfect.grads.values())
    units = (50,) if LOSSES[name].unit == "row" else (50, 3)
    nothing = loss.run(*inputs, mask=np.zeros(units, np.uint8))
    assert math.isnan(nothing.value) and nothing.notes & clib.EMPTY
    assert not any(g.any() for g in nothing.grads.values())
    zero = clib.Loss(clib.spec(name, empty="zero")).run(*inputs, mask=np.zeros(units, np.uint8))
    assert zero.value == 0 and not any(g.any() for g in zero.grads.values())
    weight = np.ones(units)
    weight[0] = -1e6
    assert math.isnan(clib.Loss(clib.spec(name, reduction="sum")).run(*inputs, weight=weight).value)
    for poison, want in ((np.nan, math.nan), (np.inf, math.inf)):
        bad = [x.copy() for x in inputs]
        bad[0][3, 1] = poison
        got = loss.run(*bad).value
        assert got == want or (math.isnan(got) and math.isnan(want))


@pytest.mark.parametrize("name", OUTER)
def test_sum_beyond_the_range(name: str) -> None:
    """The root of a sum that no double holds, though it can hold the root."""
    pred = np.full((400, 3), 1e153)
    out = clib.Loss(clib.spec(name, reduction="sum")).run(pred, np.zeros(pred.shape))
    assert out.sum == math.inf and abs(out.value - math.sqrt(1200) * 1e153) <= 1e-15 * out.value
    np.testing.assert_allclose(out.grads["pred"], 1 / math.sqrt(1200), rtol=1e-15)


@pytest.mark.parametrize("name", OUTER)
def test_threads_and_dtypes(name: str) -> None:
    for dtype in ("f32", "f64", "f16"):
        inputs, _ = batch(name, dtype, 40000)
        one, many = (clib.Loss(name).run(*inputs, threads=t) for t in (1, 4))
        harness.same(one, many, dtype)


@pytest.mark.parametrize("name", OUTER)
def test_in_a_sum(name: str) -> None:
    """Each part is reduced, then its outer function, then the sum."""
    inputs, _ = batch(name)
    other = "mse" if LOSSES[name].unit == "element" else "kl_div"
    if other == "kl_div":
        inputs = [np.abs(x) / (1 + np.abs(x)) for x in inputs]
    a, b = (clib.Loss(n).run(*inputs, want="value grads") for n in (name, other))
    both = clib.Loss(f"0.5*{name} - 2*{other}")
    grads = {key: np.empty_like(g) for key, g in a.grads.items()}
    args, kept = both.arguments(*inputs, value=True, grads=grads)
    clib.check(clib.lib.lossfn_run(both.handle, clib.c.byref(args)))
    assert kept["value"].value == 0.5 * a.value - 2 * b.value
    for key, g in grads.items():
        np.testing.assert_allclose(g, 0.5 * a.grads[key] - 2 * b.grads[key], rtol=1e-13, atol=1e-15)
