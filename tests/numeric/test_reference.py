# SPDX-License-Identifier: MIT
"""The reference against itself: hand-derived derivatives against numeric ones, published constants, stored data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import reference
from formulas import robust
from mpmath import mp, mpf
from reference import LOSSES, Loss

POINTS = {
    reference.REAL: ("0.37", "-1.9", "2.6", "-14.5"), reference.LOGITS: ("0.37", "-1.9", "2.6", "-14.5"),
    reference.PROBABILITY: ("0.13", "0.5", "0.81", "0.97"), reference.BINARY: ("0.3", "0.6", "0.9", "0.25"),
    reference.MARGIN: ("1", "-1", "-1", "1"), reference.POSITIVE: ("0.7", "1.3", "4.5", "0.2"),
    reference.VARIANCE: ("0.7", "1.3", "4.5", "0.2"), reference.COUNT: ("3", "0.5", "7", "2"),
    reference.SHAPE: ("0.6", "-3.2", "1.7", "3.5"), reference.SHAPE_NONNEGATIVE: ("0.6", "0.3", "1.7", "3.5"),
    reference.CLASSES: ("0.2", "0.5", "0.1", "0.3"), reference.AMOUNT: ("0.58", "-1.6", "-2.8", "-15.5"),
    reference.ABOVE_MINUS_ONE: ("0.7", "-0.3", "4.5", "0.2"), reference.EMBEDDING: ("0.37", "-1.9", "2.6", "-0.5"),
    reference.LOG_PROBABILITY: ("-0.3", "-2.1", "-0.7", "-6.5"), reference.LEVELS: ("0.9", "0.6", "0.5", "0.1"),
    reference.OPEN_PROBABILITY: ("0.3", "0.6", "0.9", "0.25"), reference.UPPER: ("0.7", "2.6", "9", "0.2"),
    reference.EVENT: ("1", "0", "1", "1"), reference.TIMES: ("2", "1.5", "0.5", "2"),
    reference.ROW_REAL: ("0.41",), reference.BINS: ("1.3",), reference.ROW_LABEL: ("-1",),
}  # fmt: skip
SHIFT = mpf("0.21")


def samples(entry: Loss, params: dict) -> list[list]:
    names = [n for n in entry.inputs if n not in params]
    columns = [[mpf(x) + (SHIFT * mpf(x) ** 2 if n == "target" and entry.inputs[n] == reference.EMBEDDING else SHIFT if n == "target" and entry.inputs[n] == reference.REAL else 0) for x in POINTS[entry.inputs[n]]] for n in names]  # fmt: skip
    for n, column in zip(names, columns, strict=True):
        if n == "target" and entry.unit == "row" and entry.inputs[n] == reference.PROBABILITY:
            column.reverse()  # away from pred, where a difference has a kink
        if params.get("log_pred" if n == "pred" else "log_target"):
            column[:] = [mp.log(x) for x in column]
        if n == "pred" and params.get("log_input") is False:
            column[:] = [abs(x) for x in column]
    if entry.unit == "row":
        kinds = [entry.inputs[n] for n in names]
        hard = [[columns[0], 2]] if entry.inputs.get("target") in (reference.CLASSES, reference.LEVELS) else []
        return [[c[0] if k in reference.PER_ROW else c for c, k in zip(columns, kinds, strict=True)], *hard]
    return [list(x) for x in zip(*columns, strict=True)]


def perturbed(unit: list, i: int, c: int | None, x) -> list:
    if c is None:
        return [x if k == i else one for k, one in enumerate(unit)]
    return [[x if j == c else v for j, v in enumerate(one)] if k == i else one for k, one in enumerate(unit)]


@pytest.mark.parametrize("name", LOSSES)
def test_derivatives(name: str) -> None:
    entry = LOSSES[name]
    mp.dps = reference.DIGITS
    compared = 0
    for params in entry.params:
        for unit in samples(entry, params):
            out = reference.evaluate(name, unit, params)
            for i, input_name in enumerate(n for n in entry.inputs if n not in params):
                if isinstance(unit[i], int) or input_name not in out:
                    continue
                if input_name == "alpha" and name == "barron_nll":
                    continue  # quadrature: checked against the table below
                for c in range(len(unit[i])) if isinstance(unit[i], list) else [None]:
                    x = unit[i] if c is None else unit[i][c]
                    got = out[input_name] if c is None else out[input_name][c]
                    h = mpf(10) ** -12
                    values = [
                        reference.evaluate(name, perturbed(unit, i, c, x + k * h), params)["value"].sum for k in (-1, 1)
                    ]
                    want = (values[1] - values[0]) / (2 * h)
                    assert abs(got.sum - want) <= mpf(10) ** -18 * (1 + abs(want)), (params, unit, input_name, c)
                    compared += 1
                    if input_name == "pred" and "hess" in out:
                        grads = [
                            reference.evaluate(name, perturbed(unit, i, c, x + k * h), params)["pred"] for k in (-1, 1)
                        ]
                        grads = [g if c is None else g[c] for g in grads]
                        curve = (grads[1].sum - grads[0].sum) / (2 * h)
                        hess = out["hess"] if c is None else out["hess"][c]
                        assert abs(hess.sum - curve) <= mpf(10) ** -18 * (1 + abs(curve)), (params, unit, "hess", c)
    assert compared >= 4


def test_partition_function() -> None:
    """Against closed forms, and the derivative against differences."""
    mp.dps = reference.DIGITS
    closed = {0: mp.log(mp.pi * mp.sqrt(2)), 1: mp.log(2 * mp.e * mp.besselk(1, 1)), 2: mp.log(2 * mp.pi) / 2}
    for alpha, want in closed.items():
        assert abs(robust.compute_log_partition(mpf(alpha))[0] - want) < mpf(10) ** -36
        assert abs(robust.log_partition(mpf(alpha))[0] - want) < mpf(10) ** -36
    for alpha in (mpf("1.5"), mpf("2.5")):
        h = mpf(10) ** -9
        low, high = (robust.compute_log_partition(alpha + k * h)[0] for k in (-1, 1))
        assert abs(robust.log_partition(alpha)[1] - (high - low) / (2 * h)) < mpf(10) ** -15
    for text in ("0.25", "8.0"):  # the stored table holds what is computed
        stored = robust.stored_partition().get(text)
        if stored:
            assert abs(mpf(stored[0]) - robust.compute_log_partition(mpf(text))[0]) < mpf(10) ** -36


@pytest.mark.parametrize("name", LOSSES)
def test_stored_data(name: str) -> None:
    """Every loss has data for both dtypes; a few of its cases are computed again."""
    mp.dps = reference.DIGITS
    for dtype in ("f32", "f64"):
        groups = json.loads((Path(__file__).parent / "data" / f"{name}.{dtype}.json").read_text())
        assert len(groups) == len(LOSSES[name].params)
        for group in groups:
            for case in group["cases"][::31]:
                unit = [[float.fromhex(x) for x in one] if isinstance(one, list) else one if isinstance(one, int) else float.fromhex(one) for one in case["in"]]  # fmt: skip
                out = reference.evaluate(name, unit, group["params"])
                stored = case["value"] if isinstance(case["value"], str) else case["value"][0]
                want = out["value"].sum
                assert mp.isnan(want) == (stored == "nan")
                if not mp.isnan(want) and not mp.isinf(want):
                    left = out["value"].largest * mpf(10) ** -45  # of terms whose sum is 0
                    assert abs(mpf(stored) - want) <= max(abs(want) * mpf(10) ** -24, left)


def test_limits() -> None:
    """At infinity, by hand."""
    at = lambda name, *x, **p: {k: float(v.sum) for k, v in reference.evaluate(name, x, p).items()}  # noqa: E731
    inf = float("inf")
    assert at("huber", inf, 0.0) == {"value": inf, "pred": 1, "target": -1, "hess": 0}
    assert at("log_cosh", -inf, 0.0)["pred"] == -1
    assert at("bce_with_logits", inf, 1.0)["value"] == 0
    assert at("bce_with_logits", -inf, 1.0)["value"] == inf
    assert at("barron", inf, 0.0, alpha=-2.0)["value"] == 2
    assert at("barron", inf, 0.0, alpha=0.0)["value"] == inf
    assert reference.evaluate("cross_entropy", [[-inf, 0.0], 1])["value"].sum == 0
    smoothed = reference.evaluate("cross_entropy", [[-inf, 0.0], 1], {"label_smoothing": 0.1})
    assert smoothed["value"].sum == inf
    assert abs(float(smoothed["pred"][0].sum) + 0.05) < 1e-16


@pytest.mark.parametrize("alpha", [-2, 0, 1.5, 5])
def test_barron_by_alpha_of_tiny_residuals(alpha: float) -> None:
    """s^3/(24 b^2), made of terms of the order of s: 60 digits would lose it all."""
    for size in ("1e-12", "1e-40", "1e-160"):
        s, b = mpf(size) ** 2, abs(mpf(alpha) - 2)
        got = reference.evaluate("barron", [mpf(size), mpf(0), mpf(1)], {"alpha": alpha})["alpha"].sum
        assert abs(got / (s**3 / (24 * b**2)) - 1) < mpf(10) ** -20
