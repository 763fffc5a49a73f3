# SPDX-License-Identifier: MIT
"""Every way of asking gives the same bits: all outputs at once, one at a time, the everyday forms, the flat tier."""

from __future__ import annotations

import ctypes as c

import clib
import harness
import numpy as np
import pytest
from clib import lib, tensor
from harness import NAMES
from reference import LOSSES

SIZES = {"row": [(5, 3), (3, 16), (2, 40), (70, 2), (4, 1)], "element": [(7,), (3, 5), (1,), (260, 17)]}


def situations(name: str):
    entry = LOSSES[name]
    rng = np.random.default_rng(11)
    for dtype in ("f32", "f64"):
        for shape in SIZES[entry.unit]:
            for soft in (False, True):
                yield dtype, shape, soft, harness.tame(name, dtype, shape, rng, soft), rng


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", NAMES)
def test_each_output_alone(name: str, reduction: str) -> None:
    loss = clib.Loss(clib.spec(name, reduction=reduction))
    for _dtype, shape, _soft, inputs, rng in situations(name):
        unit = shape[:1] if LOSSES[name].unit == "row" else shape
        for weight in (None, rng.choice([0.0, 0.5, 1.0, 2.0], unit)):
            whole = loss.run(*inputs, weight=weight)
            for want in ["value", "sum", "denom", "values", "hess", "value values", "value grads", "hess values",
                         *(f"grad:{n}" for n in whole.grads)]:  # fmt: skip
                part = loss.run(*inputs, weight=weight, want=want).bits()
                whole_bits = whole.bits()
                for key, bits in part.items():
                    assert bits == whole_bits[key], (shape, want, key)


@pytest.mark.parametrize("name", NAMES)
def test_everyday_forms(name: str) -> None:
    entry = LOSSES[name]
    required = [n for n in entry.inputs if n not in entry.learnable]
    loss = clib.Loss(name)
    for _dtype, shape, _soft, inputs, rng in situations(name):
        value, both = c.c_double(), c.c_double()
        pred = inputs[0]
        target = inputs[1] if len(inputs) > 1 else None
        weight = rng.choice([0.0, 0.5, 1.0, 2.0], shape[:1] if entry.unit == "row" else shape)
        g1, g2 = clib.filled(shape, clib.dtype_of(pred)), clib.filled(shape, clib.dtype_of(pred))
        forward = lib.lossfn_forward(loss.handle, tensor(pred), tensor(target), tensor(weight), c.byref(value), None)
        if len(required) > 2:
            assert forward != 0, "an input is missing, yet the call succeeded"
            return
        clib.check(forward)
        clib.check(lib.lossfn_backward(loss.handle, tensor(pred), tensor(target), tensor(weight), tensor(g1), None))
        clib.check(
            lib.lossfn_forward_backward(
                loss.handle, tensor(pred), tensor(target), tensor(weight), c.byref(both), tensor(g2), None
            )
        )
        whole = loss.run(*[pred, target, *[None] * 6][: len(entry.inputs)], weight=weight, want="value grad:pred")
        assert np.float64([value.value, both.value, whole.value]).tobytes() == np.float64([whole.value] * 3).tobytes()
        assert g1.tobytes() == g2.tobytes() == whole.grads["pred"].tobytes()


@pytest.mark.parametrize("reduction", ["mean", "none", "per_row", "sum"])
@pytest.mark.parametrize("name", NAMES)
def test_flat_tier(name: str, reduction: str) -> None:
    entry = LOSSES[name]
    required = [n for n in entry.inputs if n not in entry.learnable]
    loss = clib.Loss(clib.spec(name, reduction=reduction))
    pointer = lambda x: None if x is None else x.ctypes.data  # noqa: E731
    for dtype, shape, _soft, inputs, rng in situations(name):
        rows, cols = shape if len(shape) == 2 else (shape[0], 1)
        pred = inputs[0].reshape(rows, cols)
        target = inputs[1] if len(inputs) > 1 else None
        if target is not None and target.shape == shape:
            target = target.reshape(rows, cols)
        run = getattr(lib, f"lossfn_run_{dtype}")
        real = clib.NUMPY[dtype]
        for weight, mask in (
            (None, None),
            (rng.choice([0, 0.5, 2], rows).astype(real), None),
            (np.array([2.0], real), (rng.random(rows) < 0.6).astype(np.uint8)),
        ):
            units = rows if entry.unit == "row" or reduction == "per_row" else rows * cols
            value, values = c.c_double(-1), clib.filled((units,), dtype)
            grad, hess = clib.filled((rows, cols), dtype), clib.filled((rows, cols), dtype)
            scalar = None if reduction in ("none", "per_row") else c.byref(value)
            status = run(loss.handle, rows, cols, pointer(pred), pointer(target), clib.DTYPES[clib.dtype_of(target)] if target is not None else 0,
                         pointer(weight), 0 if weight is None else weight.size, pointer(mask), 0 if mask is None else mask.size,
                         scalar, pointer(values), units, pointer(grad), pointer(hess) if loss.has_hess else None)  # fmt: skip
            if len(required) > 2:
                assert status != 0
                continue
            clib.check(status)
            shaped = (rows,) if entry.unit == "row" else (rows, 1)
            keywords = {}
            if weight is not None:
                keywords["weight"] = weight.reshape(shaped) if weight.size > 1 or rows == 1 else weight.reshape(())
            if mask is not None:
                keywords["mask"] = mask.reshape(shaped)
            whole = loss.run(
                *[pred, target, *[None] * 6][: len(entry.inputs)], want="value values grad:pred hess", **keywords
            )
            assert values.tobytes() == whole.values.tobytes()
            assert grad.tobytes() == whole.grads["pred"].tobytes()
            assert whole.hess is None or hess.tobytes() == whole.hess.tobytes()
            if scalar is not None:
                assert np.float64(value.value).tobytes() == np.float64(whole.value).tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_aliased_output(name: str) -> None:
    """A gradient written exactly over its input is the gradient that a separate array gets."""
    loss = clib.Loss(name)
    for _dtype, _shape, _soft, inputs, _rng in situations(name):
        whole = loss.run(*inputs, want="value grad:pred hess")
        for output in ("grads", "hess") if loss.has_hess else ("grads",):
            inputs_again = [x.copy() for x in inputs]
            args, kept = loss.arguments(*inputs_again, value=True, **({"grads": {"pred": inputs_again[0]}} if output == "grads" else {"hess": inputs_again[0]}))  # fmt: skip
            clib.check(lib.lossfn_run(loss.handle, c.byref(args)))
            want = whole.grads["pred"] if output == "grads" else whole.hess
            assert clib.canonical(inputs_again[0]) == clib.canonical(want)
            assert kept["value"].value == whole.value


@pytest.mark.parametrize("name", NAMES)
def test_constant_and_input(name: str) -> None:
    """A learnable parameter as a constant, as a scalar input and as an input of every element: the same bits."""
    entry = LOSSES[name]
    rng = np.random.default_rng(2)
    for dtype in ("f32", "f64"):
        shape = (9, 5)
        inputs = harness.tame(name, dtype, shape, rng)
        for parameter in entry.learnable:
            at = list(entry.inputs).index(parameter)
            number = 0.75
            rest = [None if n in entry.learnable else x for n, x in zip(entry.inputs, inputs, strict=True)]
            constant = clib.Loss(clib.spec(name, **{parameter: number})).run(*rest)
            runs = []
            for given in (
                np.array(number, clib.NUMPY[dtype]),
                np.full((1, 5), number, clib.NUMPY[dtype]),
                np.full(shape, number, clib.NUMPY[dtype]),
            ):
                one = [given if i == at else x for i, x in enumerate(rest)]
                out = clib.Loss(name).run(*one)
                runs.append(out)
                assert constant.value == out.value
                assert constant.values.tobytes() == out.values.tobytes()
                assert constant.grads["pred"].tobytes() == out.grads["pred"].tobytes()
            # A broadcast input's gradient is the exact sum of the elements' gradients, rounded once.
            none = clib.Loss(clib.spec(name, reduction="none")).run(*[np.full(shape, number, clib.NUMPY[dtype]) if i == at else x for i, x in enumerate(rest)])  # fmt: skip
            each = none.grads[parameter].astype(np.float64)
            summed = clib.Loss(clib.spec(name, reduction="sum")).run(*[np.array(number, clib.NUMPY[dtype]) if i == at else x for i, x in enumerate(rest)])  # fmt: skip
            want = harness.to_float(harness.exact_sum(each))
            assert summed.grads[parameter] == clib.NUMPY[dtype](want)
            columns = clib.Loss(clib.spec(name, reduction="sum")).run(*[np.full((1, 5), number, clib.NUMPY[dtype]) if i == at else x for i, x in enumerate(rest)])  # fmt: skip
            for j in range(5):
                assert columns.grads[parameter][0, j] == clib.NUMPY[dtype](
                    harness.to_float(harness.exact_sum(each[:, j]))
                )
            with pytest.raises(clib.Failure):  # both at once
                clib.Loss(clib.spec(name, **{parameter: number})).run(
                    *[np.array(number) if i == at else x for i, x in enumerate(rest)]
                )
