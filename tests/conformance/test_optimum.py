# SPDX-License-Identifier: MIT
"""Best constants, least values and links: against closed forms, and as optima of every loss."""

from __future__ import annotations

import ctypes as c
import math
from typing import Any

import clib
import harness
import numpy as np
import pytest
from harness import NAMES
from mpmath import mp, mpf
from reference import LOSSES

clib.lib.lossfn_link.restype = c.c_char_p
clib.lib.lossfn_link.argtypes = [c.c_void_p]
for _function in (clib.lib.lossfn_link_apply, clib.lib.lossfn_link_invert):
    _function.argtypes = [c.c_void_p, c.c_int64, c.c_int64, c.c_void_p, c.c_void_p]


def init_score(loss: clib.Loss, *inputs: Any, classes: int = 1, **options: Any) -> np.ndarray:
    out = np.full(classes, -7.0)
    args, _kept = loss.arguments(*inputs, **options)
    clib.check(clib.lib.lossfn_init_score(loss.handle, c.byref(args), c.c_void_p(out.ctypes.data)))
    return out


def minimum(loss: clib.Loss, *inputs: Any) -> np.ndarray:
    out = np.full(inputs[0].shape, -7.0)
    args, _kept = loss.arguments(*inputs, values=out)
    clib.check(clib.lib.lossfn_minimum(loss.handle, c.byref(args)))
    return out


def linked(loss: clib.Loss, x: np.ndarray, inverse: bool) -> np.ndarray:
    out = np.full_like(x, -7)
    function = clib.lib.lossfn_link_invert if inverse else clib.lib.lossfn_link_apply
    clib.check(function(loss.handle, *(x.shape if x.ndim == 2 else (1, x.size)), x.ctypes.data, out.ctypes.data))
    return out


def data(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return np.zeros(n), rng.normal(3, 2, n), rng.uniform(0, 2, n) * (rng.random(n) < 0.8)


CLOSED = {
    "mse": lambda t, w: np.average(t, weights=w), "half_squared_error": lambda t, w: np.average(t, weights=w),
    "rmse": lambda t, w: np.average(t, weights=w),
    "bce_with_logits": lambda t, w: np.log(np.average(t, weights=w)) - np.log1p(-np.average(t, weights=w)),
    "binary_cross_entropy": lambda t, w: np.average(t, weights=w),
    "poisson_nll": lambda t, w: np.log(np.average(t, weights=w)),
    "poisson_nll(log_input=false)": lambda t, w: np.average(t, weights=w),
}  # fmt: skip


@pytest.mark.parametrize("spec", CLOSED)
def test_constants_of_closed_form(spec: str) -> None:
    for seed in range(20):
        pred, target, weight = data(97, seed)
        if "poisson" in spec:
            target = np.floor(np.abs(target))
        elif "cross" in spec or "bce" in spec:
            target = 1 / (1 + np.exp(2 - target))
        got = init_score(clib.Loss(spec), pred, target, weight=weight)[0]
        assert got == pytest.approx(CLOSED[spec](target, weight), rel=2e-15, abs=4e-16)


def test_medians_and_quantiles() -> None:
    mae = clib.Loss("mae")
    for n in (1, 2, 3, 4, 97, 98):
        pred, target, _ = data(n, n)
        assert init_score(mae, pred, target)[0] == np.median(target)
    pred, target, _ = data(100, 5)
    ordered = np.sort(target)
    assert init_score(clib.Loss("quantile(tau=0.125)"), pred, target)[0] == ordered[12]
    assert init_score(clib.Loss("huber(delta=1e-9)"), pred, target)[0] == pytest.approx(np.median(target), abs=1e-9)
    integers = np.array([1.0, 2, 2, 2, 9])
    assert init_score(mae, np.zeros(5), integers, weight=np.array([1.0, 1, 1, 1, 4.0]))[0] == 5.5


def test_constants_at_the_ends() -> None:
    zero, one = np.zeros(5), np.ones(5)
    assert init_score(clib.Loss("bce_with_logits"), zero, zero)[0] == -math.inf
    assert init_score(clib.Loss("bce_with_logits"), zero, one)[0] == math.inf
    assert init_score(clib.Loss("binary_cross_entropy"), zero, zero)[0] == 0
    assert init_score(clib.Loss("binary_cross_entropy"), zero, one)[0] == 1
    assert math.isnan(init_score(clib.Loss("mse"), zero, one, weight=zero)[0])


@pytest.mark.parametrize("name", ["savage", "tangent"])
@pytest.mark.parametrize("share", [2, 3, 8, 20, 100, 1e6])
def test_a_valley_is_not_passed_over(name: str, share: float) -> None:
    """Not convex, and flat far away: where the classes are uneven, the best place is still the nearest downhill."""
    target, weight = np.array([1.0, -1]), np.array([share, 1.0])
    loss = clib.Loss(clib.spec(name, reduction="sum"))
    best = init_score(loss, np.zeros(2), target, weight=weight)[0]
    if name == "savage":
        assert best == pytest.approx(math.log(share), rel=1e-12)
    assert init_score(loss, np.zeros(2), -target, weight=weight)[0] == pytest.approx(-best, rel=1e-12)

    def slope(x: float) -> float:
        return float(loss.run(np.full(2, x), target, weight=weight, want="grad:pred").grads["pred"].sum())

    assert 0 < best < 100 and all(slope(x * best) < 0 for x in (0, 0.25, 0.5, 0.9, 0.999)) and slope(1.001 * best) > 0


@pytest.mark.parametrize("name", [n for n in NAMES if clib.describe(n).unit == clib.UNIT_ELEMENT])
def test_constants_are_optima(name: str) -> None:
    """No constant nearby is better, and for convex losses none anywhere."""
    rng = np.random.default_rng(8)
    inputs = harness.tame(name, "f64", (60,), rng)
    loss = clib.Loss(clib.spec(name, reduction="sum"))
    if len(LOSSES[name].inputs) < 2:
        with pytest.raises(clib.Failure, match="no target"):
            init_score(loss, *inputs)
        return
    for x in inputs[1:]:
        x[-3:] = x[:3]
    best = init_score(loss, *inputs)[0]

    def value(x: float) -> float:
        return float(loss.run(np.full(60, x), *inputs[1:], want="sum").sum)

    if math.isnan(best):
        for x in (-1.0, 0.5, 2.0):  # nothing slopes
            assert loss.run(np.full(60, x), *inputs[1:], want="grad:pred").grads["pred"].sum() == pytest.approx(
                0, abs=1e-13
            )
        return
    if not math.isfinite(best):  # it falls for ever
        assert value(math.copysign(1e3, best)) <= value(math.copysign(1e2, best)) <= value(0.0)
        return
    at, slack = value(best), 1e-11
    steps = np.concatenate([-np.logspace(-9, -3, 13), np.logspace(-9, -3, 13)])
    scale = clib.SCALES[clib.describe_input(name, 0).scale]
    for step in steps if not clib.describe(name).traits & clib.TRAITS["convex"] else [*steps, -1.0, 1.0, -0.1, 0.1]:
        x = best + step
        if (scale == "probability" and not 0 <= x <= 1) or (scale == "positive" and x < 0):
            continue
        there = value(x)
        assert not there < at - slack * (1 + abs(at)), (best, step)


def test_constants_of_rows() -> None:
    rng = np.random.default_rng(4)
    labels, weight = rng.integers(0, 5, 200), rng.uniform(0, 1, 200)
    share = np.bincount(labels, weights=weight) / weight.sum()
    for shape, axis in (((200, 5), -1), ((4, 5, 50), 1)):
        loss = clib.Loss(f"cross_entropy(axis={axis})")
        rows = labels if axis == -1 else labels.reshape(4, 50)
        by_row = weight if axis == -1 else weight.reshape(4, 50)
        got = init_score(loss, np.zeros(shape), rows, classes=5, weight=by_row)
        want = np.log(share) - np.log(share).mean()
        np.testing.assert_allclose(got - got.mean(), want, atol=1e-12)
    focal = clib.Loss("categorical_focal(reduction=sum)")
    best = init_score(focal, np.zeros((200, 5)), labels, classes=5)
    slope = focal.run(np.tile(best, (200, 1)), labels, want="grad:pred").grads["pred"].sum(0)
    assert np.abs(slope).max() < 1e-9
    with pytest.raises(clib.Failure, match="among scores and logits"):
        init_score(clib.Loss("categorical_cross_entropy"), np.zeros((200, 5)), labels, classes=5)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_constants_of_a_cone(scale: float) -> None:
    """A single row: the loss is its distance, whose slope is the same everywhere, and the best constant its target."""
    rng = np.random.default_rng(7)
    for classes in (1, 2, 3, 6):
        target = rng.normal(2, 1, (1, classes)) * scale
        for reduction in ("mean", "sum"):
            best = init_score(
                clib.Loss(f"multi_rmse(reduction={reduction})"), np.zeros((1, classes)), target, classes=classes
            )
            np.testing.assert_allclose(best, target[0], rtol=1e-6)
        target = rng.normal(2, 1, (9, classes)) * scale
        best = init_score(clib.Loss("multi_rmse"), np.zeros((9, classes)), target, classes=classes)
        np.testing.assert_allclose(best, target.mean(0), rtol=1e-9)


def test_constants_of_rows_go_on_where_the_loss_bends_down() -> None:
    loss = clib.Loss("symmetric_cross_entropy")
    best = init_score(loss, np.zeros((1, 3)), np.array([1]), classes=3)
    assert loss.run(best.reshape(1, 3), np.array([1]), want="value").value < 1e-6


def test_constants_of_rows_with_nan() -> None:
    target = np.array([[0.5, np.nan, 0.5], [0.2, 0.3, 0.5]])
    assert np.isnan(init_score(clib.Loss("cross_entropy"), np.zeros((2, 3)), target, classes=3)).all()
    kept = init_score(clib.Loss("cross_entropy"), np.zeros((2, 3)), target, classes=3, mask=np.array([0, 1], np.uint8))
    np.testing.assert_allclose(np.exp(kept) / np.exp(kept).sum(), target[1], rtol=1e-9)


@pytest.mark.parametrize("name", [n for n in NAMES if clib.describe(n).unit == clib.UNIT_ELEMENT])
def test_minima(name: str) -> None:
    """No prediction is better than the least value, and some is as good."""
    rng = np.random.default_rng(9)
    inputs = harness.tame(name, "f64", (30,), rng)
    loss = clib.Loss(clib.spec(name, reduction="none"))
    if len(LOSSES[name].inputs) < 2:
        with pytest.raises(clib.Failure, match="no target"):
            minimum(loss, *inputs)
        return
    least = minimum(loss, *inputs)
    scale = clib.SCALES[clib.describe_input(name, 0).scale]
    low = 0.0 if scale in ("probability", "positive") else -40.0
    high = 1.0 if scale == "probability" else 40.0
    found = np.full(30, np.inf)
    for x in np.concatenate([np.linspace(low, high, 4001), rng.uniform(low, high, 300)]):
        values = loss.run(np.full(30, x), *inputs[1:], want="values").values
        found = np.fmin(found, values)
    if clib.SCALES[clib.describe_input(name, 1).scale] in ("real", "probability") and low < 0:
        found = np.fmin(found, loss.run(inputs[1], *inputs[1:], want="values").values)
    finite = np.isfinite(least)
    assert (least[finite] <= found[finite] + 1e-12 * (1 + abs(found[finite]))).all()
    assert (least[finite] >= found[finite] - 2e-2 * (1 + abs(found[finite]))).all()


def test_least_of_soft_labels_is_their_entropy() -> None:
    target = np.array([0.0, 0.25, 0.5, 1.0])
    got = minimum(clib.Loss("bce_with_logits"), np.zeros(4), target)
    np.testing.assert_allclose(got, [0, 0.5623351446188083, math.log(2), 0], rtol=1e-15)


LINKS = {
    "mse": "identity", "bce_with_logits": "logit", "binary_cross_entropy": "identity", "poisson_nll": "log",
    "poisson_nll(log_input=false)": "identity", "cross_entropy": "softmax", "nll": "log", "sparsemax": None,
    "2*bce_with_logits + bce_with_logits": "logit", "bce_with_logits + mse": None, "one_vs_all_logistic": "logit",
    "log_lin_quantile": "log", "lognormal_nll": "log", "weibull_nll": "log", "aft_nll": "log", "softcap_cross_entropy": None,
}  # fmt: skip


def test_names_of_links() -> None:
    for spec, want in LINKS.items():
        made = clib.Loss(spec)
        got = clib.lib.lossfn_link(made.handle)
        assert (got.decode() if got else None) == want, spec
    assert clib.lib.lossfn_link(None) is None
    with pytest.raises(clib.Failure, match="no link"):
        linked(clib.Loss("sparsemax"), np.zeros(3), False)


def test_links_are_exact() -> None:
    rng = np.random.default_rng(10)
    z = np.concatenate([rng.normal(0, 3, 300), rng.normal(0, 200, 100), [0.0, 1e-300, 750.0, -750.0]])
    p = np.concatenate(
        [rng.uniform(0, 1, 300), np.exp2(rng.uniform(-1000, 0, 100)), 0.5 + np.exp2(np.arange(-53.0, -2))]
    )
    with mp.workdps(60):
        for got, x in zip(linked(clib.Loss("bce_with_logits"), z, True), z, strict=True):
            want = 1 / (1 + mp.exp(-mpf(float(x))))
            assert abs(got - want) <= 3 * 2.0**-53 * want + mpf(2) ** -1073
        for got, x in zip(linked(clib.Loss("bce_with_logits"), p, False), p, strict=True):
            want = mp.log(mpf(float(x)) / (1 - mpf(float(x))))
            assert abs(got - want) <= 5 * 2.0**-53 * abs(want)
    rows = rng.normal(0, 5, (50, 7))
    means = linked(clib.Loss("cross_entropy"), rows, True)
    np.testing.assert_allclose(means.sum(1), 1, rtol=1e-15)
    np.testing.assert_allclose(means, np.exp(rows) / np.exp(rows).sum(1, keepdims=True), rtol=3e-15)
    back = linked(clib.Loss("cross_entropy"), means, False)
    np.testing.assert_allclose(back - back.mean(1, keepdims=True), rows - rows.mean(1, keepdims=True), atol=1e-14)
