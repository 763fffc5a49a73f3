# SPDX-License-Identifier: MIT
"""The everyday call goes without a plan: it gives the bits, the notes and the failures of a planned one. Asking for the
components, which changes nothing else, makes a plan of any call."""

from __future__ import annotations

import ctypes as c
from fractions import Fraction
from typing import Any

import clib
import harness
import numpy as np
import pytest
from clib import lib
from harness import CLASSES, NAMES
from reference import LOSSES

SIZES = (*range(1, 71), 127, 129, 260, 1000, 4097, 9000)
CLASS_COUNTS = (1, 2, 3, 7, 8, 10, 15, 16, 17, 31, 32, 33, 40, 64, 100, 127, 128, 129, 200, 257, 300, 600)
ODD = (np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, -1e-42, 5e-324, 1e-300, 1e-30, 3e30, -1e38, 1e300)


def outcome(loss: clib.Loss, inputs: list[Any], want: str, planned: bool, on: int | None = None) -> Any:
    """All that a call gives, as bytes; or its failure, which must have written nothing. `on`: the gradient lies on
    this input."""
    inputs = [None if x is None else x.copy() for x in inputs]
    pred = inputs[0]
    before = clib.filled(pred.shape, clib.dtype_of(pred))
    grad, hess = before.copy(), before.copy()
    if on is not None:
        grad = inputs[on]
        before = grad.copy()
    args, kept = loss.arguments(
        *inputs, value="value" in want, sum="sum" in want, denom="denom" in want,
        grads={"pred": grad} if "grad" in want else None, hess=hess if "hess" in want else None,
    )  # fmt: skip
    components = (c.c_double * 1)()
    if planned:
        args.components = components
    status = lib.lossfn_run(loss.handle, c.byref(args))
    if status:
        assert grad.tobytes() == before.tobytes()
        assert all(x.value == -12345.0 for x in kept.values())
        return status, lib.lossfn_last_error()
    numbers = np.float64([x.value for x in kept.values()])
    return clib.canonical(numbers), clib.canonical(grad), clib.canonical(hess), args.notes, args.note_index


def compare(loss: clib.Loss, inputs: list[Any], want: str = "value sum denom grad hess", on: int | None = None) -> Any:
    direct = outcome(loss, inputs, want, False, on)
    assert direct == outcome(loss, inputs, want, True, on), (
        loss.text,
        [getattr(x, "shape", None) for x in inputs],
        want,
    )
    return direct


def shapes(name: str) -> list[tuple[int, ...]]:
    if LOSSES[name].unit == "element":
        return [(n,) for n in SIZES] + [(), (3, 5), (2, 3, 4)]
    return [(rows, cols) for cols in CLASS_COUNTS for rows in (1, 2, 5, 17, 70)] + [(6,), (2, 3, 4), (1000, 3)]


def wants(name: str) -> list[str]:
    hess = " hess" if clib.describe(name).hess_kinds & 1 else ""
    return ["value", "sum denom", "grad", "value grad", f"value grad{hess}"]


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "mean_all", "mean_units", "mean_rows"])
@pytest.mark.parametrize("name", NAMES)
def test_same_bits(name: str, reduction: str, dtype: str) -> None:
    loss = clib.Loss(clib.spec(name, reduction=reduction))
    rng = np.random.default_rng(5)
    every = shapes(name)
    for i, shape in enumerate(every if reduction == "mean" else every[::7]):
        inputs = harness.tame(name, dtype, shape, rng, soft=i % 3 == 0)
        inputs = [x if n not in LOSSES[name].learnable else None for x, n in zip(inputs, LOSSES[name].inputs)]
        for want in wants(name) if i % 5 == 0 else wants(name)[-1:]:
            compare(loss, inputs, want)


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("name", NAMES)
def test_odd_numbers(name: str, dtype: str) -> None:
    """NaN, infinities, subnormals, values outside the domain, magnitudes far apart: anywhere in the data."""
    loss = clib.Loss(name)
    rng = np.random.default_rng(6)
    odd = [x for x in ODD if dtype == "f64" or (not 0 < abs(x) < 1e-45 and not 1e39 < abs(x) < np.inf)]
    for shape in ((1,), (3,), (16,), (37,), (64,), (300,)) if LOSSES[name].unit == "element" else ((1, 10), (3, 17), (20, 3), (2, 130)):  # fmt: skip
        for share in (0.02, 0.3, 1.0):
            for kinds in (odd, odd[3:]):
                inputs = harness.tame(name, dtype, shape, rng, soft=True)
                inputs = [x if n not in LOSSES[name].learnable else None for x, n in zip(inputs, LOSSES[name].inputs)]
                for x in inputs:
                    if x is not None:
                        where = rng.random(x.shape) < share
                        x[where] = rng.choice(kinds, int(where.sum())).astype(x.dtype)
                compare(loss, inputs, wants(name)[-1])
    for scale in (1e-30, 1e-12, 1e-6, 1e6, 1e12):  # where the values lie far from 1
        for shape in ((7,), (16,), (50,)) if LOSSES[name].unit == "element" else ((1, 10), (5, 10)):
            inputs = harness.tame(name, dtype, shape, rng, soft=True)
            inputs = [x if n not in LOSSES[name].learnable else None for x, n in zip(inputs, LOSSES[name].inputs)]
            compare(loss, [None if x is None else (x * scale).astype(x.dtype) for x in inputs])


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_few_values(dtype: str) -> None:
    """The sum and the mean of a few numbers of either sign, rounded once: close, far apart, cancelling, subnormal."""
    rng = np.random.default_rng(9)
    sums, means = (clib.Loss(f"mean_bias_error(reduction={reduction})") for reduction in ("sum", "mean"))
    exponents = {"f32": (-149, 126), "f64": (-1074, 1000)}[dtype]
    wide = 0
    for turn in range(600):
        n = int(rng.integers(1, 18))
        low = int(rng.integers(*exponents))
        high = min(low + int(rng.choice([1, 20, 60, 300])), exponents[1])
        x = np.ldexp(rng.uniform(-2, 2, n), rng.integers(low, high + 1, n)).astype(clib.NUMPY[dtype])
        if turn % 3 == 0:
            x[n // 2 :] = -x[: n - n // 2][::-1]
        exact = sum(map(Fraction, x.tolist()), Fraction(0))
        wide += Fraction(float(exact)) != exact
        for loss, expected in ((sums, float(exact)), (means, float(exact / n))):
            got = loss.run(x, np.zeros_like(x), want="value grad:pred").value
            assert np.float64(got).tobytes() == np.float64(expected).tobytes(), (x, got, expected)
    assert 50 < wide < 550


@pytest.mark.parametrize("label_dtype", ["i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"])
@pytest.mark.parametrize("name", CLASSES)
def test_labels(name: str, label_dtype: str) -> None:
    """Labels of every integer type, ignored ones, ones out of range: with the message of a planned call."""
    rng = np.random.default_rng(7)
    failures = 0
    for options in ({}, {"ignore_index": 1}, {"label_base": 1}, {"ignore_index": -100}, {"label_base": -3, "reduction": "sum"},
                    {"ignore_index": 2, "reduction": "mean_all"}):  # fmt: skip
        loss = clib.Loss(clib.spec(name, **options))
        base = options.get("label_base", 0)
        for shape in ((1, 10), (5, 3), (40, 4), (200, 3), (3, 130), (7, 2, 5)):
            pred, labels = harness.tame(name, "f32", shape, rng)
            labels = (labels + base).astype(clib.NUMPY[label_dtype])
            failures += isinstance(compare(loss, [pred, labels])[0], int)
            ignored = labels.copy()
            skip = np.int64(options.get("ignore_index", base)).astype(labels.dtype)
            ignored.flat[rng.random(labels.size) < 0.5] = skip
            compare(loss, [pred, ignored])
            compare(loss, [pred, np.full_like(labels, skip)])
            for bad in (shape[-1] + base, -1, -100, 2**63 - 1):
                wrong = labels.copy()
                wrong.flat[rng.integers(labels.size)] = np.int64(bad).astype(labels.dtype)
                failures += isinstance(compare(loss, [pred, wrong])[0], int)
    assert failures > 50


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("name", NAMES)
def test_in_place(name: str, dtype: str) -> None:
    loss = clib.Loss(name)
    rng = np.random.default_rng(8)
    for shape in ((5,), (16,), (40,)) if LOSSES[name].unit == "element" else ((1, 10), (4, 33), (20, 3), (2, 300)):
        inputs = harness.tame(name, dtype, shape, rng, soft=True)
        inputs = [x if n not in LOSSES[name].learnable else None for x, n in zip(inputs, LOSSES[name].inputs)]
        apart = outcome(loss, inputs, "value grad", False)
        for on in [i for i, x in enumerate(inputs[:2]) if x is not None and x.shape == shape]:
            assert compare(loss, inputs, "value grad", on)[:2] == apart[:2]


@pytest.mark.parametrize("name", CLASSES)
def test_class_axis(name: str) -> None:
    rng = np.random.default_rng(9)
    for axis, shape in ((-1, (4, 5)), (1, (4, 5)), (0, (4, 5)), (2, (2, 3, 5)), (1, (2, 3, 5)), (0, (6,))):
        loss = clib.Loss(clib.spec(name, axis=axis))
        for soft in (False, True):
            compare(loss, harness.tame(name, "f64", shape, rng, soft, axis))


@pytest.mark.parametrize("name", ["mse", "cross_entropy"])
def test_what_is_wrong(name: str) -> None:
    """Arguments that no call may have: the everyday path leaves them to the checks of a planned call."""
    loss = clib.Loss(name)
    x = np.zeros((4, 3), np.float32)
    for bad in ([x, np.zeros((3, 4), np.float32)], [x, np.zeros((4, 3), np.int64)], [x, None], [x, np.zeros(5, np.int32)],
                [x.astype(np.int32), x], [x[:0], x[:0]], [x[:, :0], x[:, :0]]):  # fmt: skip
        compare(loss, bad)
    args, _ = loss.arguments(x, x, value=True, grads={"pred": x.reshape(-1)[1:].reshape(-1)[:9].reshape(3, 3)})
    assert lib.lossfn_run(loss.handle, c.byref(args)) != 0
