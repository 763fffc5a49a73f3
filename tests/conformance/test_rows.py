# SPDX-License-Identifier: MIT
"""However rows lie, whatever their labels are and however many are run at once: the same bits, and the right ones."""

from __future__ import annotations

import ctypes as c
import zlib
from typing import Any

import clib
import harness
import numpy as np
import pytest
import reference
from clib import lib
from harness import NAMES
from reference import LOSSES

ROWWISE = [name for name in NAMES if LOSSES[name].unit == "row"]
CLASSES = (1, 2, 3, 7, 10, 16, 17, 32, 33, 64, 65, 127, 128, 129, 1030, 9000)
if harness.LONG:
    CLASSES += (15, 31, 63, 191, 192, 1000, 1024, 4097)
LABELS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")


def options_of(name: str, classes: int, kind: str) -> dict[str, Any]:
    known = set(LOSSES[name].defaults)
    weights = [0.5 + (i % 3) for i in range(classes)]
    mask = [0 if i % 5 == 3 else 1 for i in range(classes)]
    every = {
        "plain": {},
        "smoothing": {"label_smoothing": 0.125},
        "class weights": {"class_weight": weights},
        "both": {"label_smoothing": 0.25, "class_weight": weights},
        "class mask": {"class_mask": mask},
    }
    return {k: v for k, v in every[kind].items() if k in known}


def rows(name: str, dtype: str, n: int, classes: int, soft: bool, kind: str, rng: np.random.Generator) -> list[Any]:
    inputs = harness.tame(name, dtype, (n, classes), rng, soft)
    if LOSSES[name].inputs["pred"] == reference.LOGITS and dtype in ("f32", "f64"):
        pred = inputs[0] * rng.choice([1, 1, 1, 30, 300], (n, 1)).astype(inputs[0].dtype)
        pred += rng.choice([0, 0, 100, -400, 1e6], (n, 1)).astype(inputs[0].dtype)
        if classes > 2 and kind != "class mask":
            pred[0, rng.integers(classes)] = -np.inf
            pred[1, rng.integers(classes)] = np.nan
            pred[2, :] = pred[2, 0]
        inputs[0] = pred
    elif dtype in ("f32", "f64"):
        inputs[0][1, rng.integers(classes)] = 1.5  # outside the domain
    if len(inputs) > 1 and inputs[1].ndim == 1 and kind == "class mask":
        inputs[1] = inputs[1] // 5 * 5  # a class that takes part
    return inputs


def bits(x: Any) -> bytes:
    return bytes(clib.canonical(x))


@pytest.mark.parametrize("kind", ["plain", "smoothing", "class weights", "both", "class mask"])
@pytest.mark.parametrize("name", ROWWISE)
def test_layouts_agree(name: str, kind: str) -> None:
    """Rows one after the other, one by one, class by class, spread out, reversed; and the gradient upon pred."""
    rng = np.random.default_rng(zlib.crc32(f"{name} {kind}".encode()))
    compared = 0
    for classes in CLASSES:
        options = options_of(name, classes, kind)
        if kind != "plain" and not options:
            continue
        for dtype in ("f32", "f64", "bf16") if classes < 200 else ("f32",):
            for soft in (False, True):
                n = 37 if classes < 200 else 3
                inputs = rows(name, dtype, n, classes, soft, kind, rng)
                want = "values grads hess" if classes % 2 else "values grad:pred"
                loss = clib.Loss(clib.spec(name, reduction="none", **options))
                weight = clib.cast(rng.choice([0.0, 1.0, 0.7], n), "f32")
                whole = loss.run(*inputs, want=want, weight=weight)
                for i in {0, 1, 2, n - 1}:
                    one = loss.run(*[x[i : i + 1] for x in inputs], want=want, weight=weight[i : i + 1])
                    assert bits(one.values) == bits(whole.values[i : i + 1]), (classes, dtype, soft, i)
                    assert bits(one.grads["pred"]) == bits(whole.grads["pred"][i : i + 1]), (classes, dtype, soft, i)
                first = clib.Loss(clib.spec(name, reduction="none", axis=0, **options))
                turned = first.run(*[x.T.copy() for x in inputs], want=want, weight=weight)
                assert bits(turned.values) == bits(whole.values), (classes, dtype, soft)
                assert bits(turned.grads["pred"].T.copy()) == bits(whole.grads["pred"]), (classes, dtype, soft)
                for how in ("spread", "negative", "negative last", "transposed"):
                    laid = loss.run(*[harness.strided(x, how) for x in inputs], want=want, weight=weight)
                    harness.same(laid, whole, f"{classes} {dtype} {soft} {how}")
                upon = [x.copy() for x in inputs]
                args, _ = loss.arguments(*upon, grads={"pred": upon[0]}, weight=weight)
                clib.check(lib.lossfn_run(loss.handle, c.byref(args)))
                assert bits(upon[0]) == bits(whole.grads["pred"]), (classes, dtype, soft)
                compared += 1
    assert compared or not options_of(name, 2, kind)


def test_labels_agree() -> None:
    """Labels of every type, ignored ones among them."""
    rng = np.random.default_rng(11)
    for classes in (10, 100, 1000):
        pred = rng.normal(0, 3, (70, classes)).astype(np.float32)
        labels = rng.integers(0, classes, 70)
        labels[rng.integers(0, 70, 9)] = 101
        for label_base in (0, 1):
            spec = clib.spec("cross_entropy", ignore_index=101, label_base=label_base)
            loss = clib.Loss(spec)
            given = np.where(labels == 101, 101, np.minimum(labels, 99) + label_base)
            want = loss.run(pred, given.astype(np.int64))
            assert (want.values[labels == 101] == 0).all()
            for dtype in LABELS:
                harness.same(loss.run(pred, given.astype(dtype)), want, dtype)


@pytest.mark.parametrize("classes", [2, 10, 17, 129, 1000, 20011])
def test_against_numpy(classes: int) -> None:
    """Value and gradient by the formula, in double precision, of what float32 holds."""
    rng = np.random.default_rng(classes)
    pred = rng.normal(0, 4, (5, classes)).astype(np.float32)
    labels = rng.integers(0, classes, 5)
    wide = pred.astype(np.float64)
    top = wide.max(1, keepdims=True)
    log_sum = top + np.log(np.exp(wide - top).sum(1, keepdims=True))
    got = clib.Loss("cross_entropy(reduction=none)").run(pred, labels)
    rows_at = np.arange(5)
    np.testing.assert_allclose(got.values, log_sum[:, 0] - wide[rows_at, labels], rtol=1e-6)
    grad = np.exp(wide - log_sum)
    grad[rows_at, labels] -= 1
    np.testing.assert_allclose(got.grads["pred"], grad, rtol=1e-6, atol=0)
