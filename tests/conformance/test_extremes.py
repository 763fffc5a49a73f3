# SPDX-License-Identifier: MIT
"""Tensors that are none, that hold nothing though their extents are huge, masks of the smallest numbers, and sums of losses
whose terms have different inputs."""

from __future__ import annotations

import ctypes as c
from typing import Any

import clib
import numpy as np
import pytest
from clib import lib

HUGE = 2**62


def derivatives(
    text: str, dtype: str, pred: np.ndarray, target: np.ndarray, **how: Any
) -> tuple[np.ndarray, np.ndarray]:
    loss = clib.Loss(text)
    grad, hess = (clib.filled(pred.shape, dtype) for _ in range(2))
    args, _ = loss.arguments(pred, target, grads={"pred": grad}, hess=hess, **how)
    clib.check(lib.lossfn_run(loss.handle, c.byref(args)))
    return grad, hess


@pytest.mark.parametrize(
    ("dtype", "weight"),
    [("f32", 2.0**k) for k in (-149, -140, -127, -126, 0, 120, 126, 127)]
    + [("f64", 2.0**k) for k in (-1074, -1060, -1023, -1022, 0, 1015, 1022, 1023)],
)
@pytest.mark.parametrize("n", [1, 2, 7, 100, 5000])
@pytest.mark.parametrize("text", ["mse", "huber", "mse + mae", "cross_entropy", "sparsemax"])
def test_weights_of_any_size(text: str, n: int, dtype: str, weight: float) -> None:
    """All the same: they have no influence on derivatives, even where 1 over their sum is no normal number."""
    rows = clib.Loss(text).unit == clib.UNIT_ROW
    rng = np.random.default_rng(n)
    pred = clib.cast(rng.normal(0, 1, (n, 3) if rows else n), dtype)
    target = rng.integers(0, 3, n) if rows else clib.cast(rng.normal(0, 1, n), dtype)
    weights = clib.cast(np.full(n, weight), dtype)
    for found, expected in zip(
        derivatives(text, dtype, pred, target, weight=weights),
        derivatives(text, dtype, pred, target, weight=clib.cast(np.ones(n), dtype)),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-6 if dtype == "f32" else 4e-16, atol=0)


@pytest.mark.parametrize(
    ("text", "plain"),
    [("pseudo_huber(delta=1e39)", "half_squared_error"), ("huber(delta=1e300)", "half_squared_error")]
    + [("cross_entropy(class_weight=[1e-50,1e-50,1e-50])", "cross_entropy")]
    + [("cross_entropy(class_weight=[1e39,1e39,1e39])", "cross_entropy"), ("1e-60*mse", "0*mse")]
    + [("softcap_cross_entropy(cap=1e39)", "cross_entropy"), ("student_t_nll(df=1e60)", "half_squared_error")],
)
@pytest.mark.parametrize("n", [1, 7, 300])
def test_parameters_beyond_float(text: str, plain: str, n: int) -> None:
    """Parameters are doubles, with data in single precision as well."""
    rows = clib.Loss(text).unit == clib.UNIT_ROW
    rng = np.random.default_rng(n)
    pred = clib.cast(rng.normal(0, 1, (n, 3) if rows else n), "f32")
    target = rng.integers(0, 3, n) if rows else clib.cast(rng.normal(0, 1, n), "f32")
    for found, expected in zip(derivatives(text, "f32", pred, target), derivatives(plain, "f32", pred, target)):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-37)


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("n", [1, 7, 5000])
def test_inputs_of_some_terms_alone(dtype: str, n: int) -> None:
    rng = np.random.default_rng(n)
    pred, target = (clib.cast(rng.normal(0, 1, n), dtype) for _ in range(2))
    var = clib.cast(rng.uniform(0.5, 2, n), dtype)

    def gradients(text: str) -> dict[str, np.ndarray]:
        loss = clib.Loss(text)
        grads = {name: clib.filled((n,), dtype) for name in ("pred", "var") if name in loss.inputs}
        args, _ = loss.arguments(pred, target, *([var] if "var" in loss.inputs else []), grads=grads)
        clib.check(lib.lossfn_run(loss.handle, c.byref(args)))
        return grads

    alone, other = gradients("gaussian_nll(reduction=none)"), gradients("mse(reduction=none)")
    for text in ("mse(reduction=none) + gaussian_nll", "gaussian_nll(reduction=none) + mse"):
        both = gradients(text)
        assert both["var"].tobytes() == alone["var"].tobytes(), text
        assert np.allclose(both["pred"], alone["pred"] + other["pred"], rtol=1e-4, atol=1e-6)
    assert gradients("mse(reduction=none) + gaussian_nll + mae")["var"].tobytes() == alone["var"].tobytes()


def impossible(ndim: int, shape: tuple[int, ...], data: np.ndarray) -> clib.Tensor:
    t = clib.Tensor()
    t.data, t.dtype, t.ndim, t.device_type = data.ctypes.data, clib.DTYPES["f64"], ndim, 1
    for d, extent in enumerate(shape):
        t.shape[d] = extent
    return t


IMPOSSIBLE = [(-1, ()), (9, ()), (2**31 - 1, ()), (3, (HUGE, HUGE, -1)), (2, (HUGE, HUGE)), (1, (-1,))]


@pytest.mark.parametrize(("ndim", "shape"), IMPOSSIBLE)
@pytest.mark.parametrize("name", ["mse", "cross_entropy", "sparsemax", "cox_nll"])
@pytest.mark.parametrize("which", ["pred", "target", "weight", "mask"])
def test_no_tensors(name: str, which: str, ndim: int, shape: tuple[int, ...]) -> None:
    """They are refused, a size query says 0, and lossfn_check says what is wrong instead of looking at them."""
    loss, numbers = clib.Loss(name), np.ones((2, 3))
    args, _ = loss.arguments(numbers, *[numbers for _ in loss.inputs[1:]], sum=True)
    wrong = c.pointer(impossible(ndim, shape, numbers))
    if which in ("pred", "target"):
        args.inputs[0 if which == "pred" else 1] = wrong
    else:
        setattr(args, which, wrong)
    assert lib.lossfn_run(loss.handle, c.byref(args)) in (clib.STATUS["ARGUMENT"], clib.STATUS["SHAPE"])
    assert which in lib.lossfn_last_error().decode()
    assert lib.lossfn_scratch_size(loss.handle, c.byref(args)) >= 0
    text, length = c.create_string_buffer(2000), c.c_int64()
    assert lib.lossfn_check(loss.handle, c.byref(args), text, 2000, c.byref(length)) == 0
    assert which in text.value.decode()


@pytest.mark.parametrize("shape", [(HUGE, HUGE, 0), (0, HUGE, HUGE), (HUGE, 0, HUGE)])
def test_nothing_of_huge_extents(shape: tuple[int, ...]) -> None:
    numbers = np.ones(1)
    loss = clib.Loss("mse")
    args, kept = loss.arguments(numbers, numbers, sum=True, grads={"pred": numbers})
    for i in range(2):
        args.inputs[i] = c.pointer(impossible(3, shape, numbers))
    args.grads[0] = c.pointer(impossible(3, shape, numbers))
    for t in (args.inputs[0], args.grads[0]):
        t.contents.flags |= clib.STRIDED
        for d, stride in enumerate((-(2**63), 2**63 - 1, -1)):
            t.contents.strides[d] = stride
    clib.check(lib.lossfn_run(loss.handle, c.byref(args)))
    assert args.notes & clib.EMPTY and kept["sum"].value == 0 and numbers[0] == 1


def test_outputs_that_reach_too_far() -> None:
    numbers, out = np.ones((2, 3)), np.zeros(8)
    loss = clib.Loss("mse")
    for strides in ((1, -(2**63)), (-(2**63), 2**61), (2**63 - 1, 2**61)):
        args, _ = loss.arguments(numbers, numbers, sum=True, grads={"pred": numbers})
        wrong = impossible(2, (2, 3), out)
        wrong.flags = clib.STRIDED
        wrong.strides[0], wrong.strides[1] = strides
        args.grads[0] = c.pointer(wrong)
        assert lib.lossfn_run(loss.handle, c.byref(args)) == clib.STATUS["ARGUMENT"]
        assert "grad_pred" in lib.lossfn_last_error().decode() and (out == 0).all()


@pytest.mark.parametrize("name", ["mse", "huber", "total_variation", "sparsemax"])
def test_masks_of_the_smallest_numbers(name: str) -> None:
    """A mask keeps what it is not 0 for, also where a double is less than any float, in every layout."""
    rng, row = np.random.default_rng(3), clib.Loss(name).unit == clib.UNIT_ROW
    pred, target = (rng.dirichlet(np.ones(6), 40).astype(np.float32) for _ in range(2))
    extents = (40,) if row else (40, 6)
    keep = rng.random(extents) < 0.5
    tiny = np.where(keep, 5e-324, 0.0)
    expected = clib.Loss(name).run(pred, target, mask=keep)
    for mask in (tiny, np.asfortranarray(tiny), np.repeat(tiny, 2, axis=0)[::2], tiny[::-1].copy()[::-1]):
        got = clib.Loss(name).run(pred, target, mask=mask)
        assert got.bits() == expected.bits()
