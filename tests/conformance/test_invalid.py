# SPDX-License-Identifier: MIT
"""Every invalid call fails with its status and a message with the numbers, and leaves its outputs byte for byte."""

from __future__ import annotations

import ctypes as c
import functools
import re
from typing import Any

import clib
import harness
import numpy as np
import pytest
import reference
from clib import lib
from harness import NAMES
from records import record
from reference import LOSSES

REDUCTIONS = ("mean", "none", "sum")
UNSUPPORTED = next(status for status, name in clib.STATUS_NAMES.items() if name == "UNSUPPORTED")


@pytest.fixture(autouse=True)
def counted(request: Any) -> Any:
    Call.made = 0
    yield
    record("invalid", request.node.name, {"calls": Call.made})


@functools.cache
def not_for(name: str) -> set[str]:
    """What a valid call says is not for this loss."""
    call, room = Call(name), (c.c_double * 64)()
    args, _ = call.loss.arguments(*call.inputs, **call.outputs)
    found = {
        "init_score": lib.lossfn_init_score(call.loss.handle, c.byref(args), room),
        "minimum": lib.lossfn_minimum(call.loss.handle, c.byref(args)),
    }
    assert set(found.values()) <= {0, UNSUPPORTED}
    return {search for search, status in found.items() if status != 0}


class Call:
    """A valid call, to be spoiled. `fails` runs it and checks the status, the message and every output byte."""

    made = 0  # by the test that runs

    def __init__(
        self, name: str, dtype: str = "f64", shape: tuple[int, ...] = (4, 3), reduction: str = "mean", **params: Any
    ) -> None:
        rng = np.random.default_rng(1)
        self.name, self.entry, self.shape = name, LOSSES[name], shape
        self.row = self.entry.unit == "row"
        self.loss = clib.Loss(clib.spec(name, reduction=reduction, **params))
        self.inputs = harness.tame(name, dtype, shape, rng)
        self.hard = self.row and len(self.inputs) > 1 and self.inputs[1].dtype == np.int64
        self.unit = shape[:1] if self.row else shape
        self.dtype, self.reduction = dtype, reduction
        self.outputs = {"values": clib.filled(self.unit, dtype)}
        if self.loss.has_hess:
            self.outputs["hess"] = clib.filled(shape, dtype)
        self.grad = clib.filled(shape, dtype)
        self.keywords: dict[str, Any] = {}

    def fails(self, status: str, *numbers: Any, spoil: Any = None) -> str:
        Call.made += 1
        args, kept = self.loss.arguments(
            *self.inputs, value=self.reduction not in ("none", "per_row"), sum=True, denom=True, grads={"pred": self.grad},
            **self.outputs, **self.keywords,
        )  # fmt: skip
        message = c.create_string_buffer(300)
        args.message, args.message_capacity = c.cast(message, c.c_char_p), 300
        if spoil:
            spoil(args)
        arrays = [x for x in (self.grad, *self.outputs.values()) if x is not None]
        before = [x.tobytes() for x in arrays] + [x.tobytes() for x in self.inputs if x is not None]
        got = lib.lossfn_run(self.loss.handle, c.byref(args))
        text = lib.lossfn_last_error().decode()
        assert clib.STATUS_NAMES[got] == status, f"{clib.STATUS_NAMES[got]} ({text}) instead of {status}"
        assert message.value.decode() == text
        assert text and "\n" not in text
        for number in numbers:
            assert re.search(rf"(?<![\d.]){re.escape(str(number))}(?![\d])", text), f"no {number} in: {text}"
        assert [x.tobytes() for x in arrays] + [x.tobytes() for x in self.inputs if x is not None] == before, (
            "something was written"
        )
        assert all(v.value == -12345.0 for v in kept.values())
        self.fails_elsewhere(args, got, text, [*arrays, *(x for x in self.inputs if x is not None)])
        assert [x.tobytes() for x in arrays] + [x.tobytes() for x in self.inputs if x is not None] == before
        assert all(v.value == -12345.0 for v in kept.values())
        return text

    def fails_elsewhere(self, args: Any, status: int, text: str, arrays: list[np.ndarray]) -> None:
        """An accumulator says the same of the call and stays as it was; the everyday forms say what lossfn_run says of
        what they have of it."""
        handle, n = c.c_void_p(), c.c_int64()
        if lib.lossfn_accumulator_create(c.byref(handle), self.loss.handle) == 0:
            written = []
            for _ in range(2):
                lib.lossfn_accumulator_write(handle, None, 0, c.byref(n))
                room = c.create_string_buffer(n.value)
                clib.check(lib.lossfn_accumulator_write(handle, room, n.value, c.byref(n)))
                written.append(room.raw)
                if len(written) == 1:
                    Call.made += 1
                    assert lib.lossfn_accumulator_update(handle, c.byref(args)) == status
                    assert lib.lossfn_last_error().decode() == text
            assert written[0] == written[1]
            lib.lossfn_accumulator_destroy(handle)
        before = [x.copy() for x in arrays]
        self.fails_in_looking(args, arrays)
        if args.n_inputs > 2:
            return
        pred, target, grad = args.inputs[0], args.inputs[1] if args.n_inputs > 1 else clib.TensorP(), args.grads[0]
        for form, wanted in (("forward", "value"), ("backward", "grad"), ("forward_backward", "value grad")):
            part, value = clib.Args(), c.c_double(-12345.0)
            lib.lossfn_args_init(c.byref(part))
            part.n_inputs, part.exec, part.weight = args.n_inputs, args.exec, args.weight
            part.inputs[0], part.inputs[1] = pred, target
            outputs: list[Any] = []
            if "value" in wanted:
                part.value = c.pointer(value)
                outputs.append(c.byref(value))
            if "grad" in wanted:
                part.grads[0] = grad
                outputs.append(grad)
            expected = lib.lossfn_run(self.loss.handle, c.byref(part))
            if expected == 0:  # it has nothing of what is wrong
                for x, was in zip(arrays, before, strict=True):
                    x[...] = was
                continue
            message = lib.lossfn_last_error().decode()
            Call.made += 1
            call = getattr(lib, f"lossfn_{form}")
            assert call(self.loss.handle, pred, target, args.weight, *outputs, args.exec) == expected, form
            assert lib.lossfn_last_error().decode() == message
            assert value.value == -12345.0

    def fails_in_looking(self, args: Any, arrays: list[np.ndarray]) -> None:
        """What looks at inputs, weight and mask says of these what lossfn_run says; nothing is written but where told."""
        part = clib.Args()
        lib.lossfn_args_init(c.byref(part))
        for field in ("struct_size", "n_inputs", "inputs", "weight", "mask"):
            setattr(part, field, getattr(args, field))
        values = clib.filled(self.unit[:1] if self.reduction == "per_row" else self.unit, self.dtype)
        part.values = clib.tensor(values)
        arrays = [*arrays, values]
        before = [x.tobytes() for x in arrays]
        expected = lib.lossfn_run(self.loss.handle, c.byref(part))
        if expected == 0:
            return
        text = lib.lossfn_last_error().decode()
        report = clib.Report(c.sizeof(clib.Report), 7, 7, 7, 7.0, 7.0, 7.0, 7)
        constants = (c.c_double * 64)(*[-12345.0] * 64)
        for call, outputs in (("check_gradient", (c.byref(report),)), ("init_score", (constants,)), ("minimum", ())):
            if call != "check_gradient" and "pred is int" in text:
                continue  # of pred only the shape is looked at
            absent = not_for(self.name) if call != "check_gradient" else set()
            Call.made += 1
            got = getattr(lib, f"lossfn_{call}")(self.loss.handle, c.byref(part), *outputs)
            said = lib.lossfn_last_error().decode()
            none = got == UNSUPPORTED and call in absent
            assert got == expected or none, f"{call}: {got} ({said}) instead of {expected} ({text})"
            assert none or said == text, f"{call}: {said} instead of {text}"
            assert [x.tobytes() for x in arrays] == before
        assert report.agrees == report.worst_input == report.worst_index == report.compared == 7
        assert report.analytic == report.numeric == report.error == 7
        assert set(constants) == {-12345.0}
        found, length = c.create_string_buffer(b"-", 4000), c.c_int64(-7)
        got = lib.lossfn_check(self.loss.handle, c.byref(part), found, 4000, c.byref(length))
        assert got in (0, expected) and [x.tobytes() for x in arrays] == before
        assert text in found.value.decode() if got == 0 else length.value == -7


@pytest.mark.parametrize("dtype", ("f32", "f64"))
@pytest.mark.parametrize("name", NAMES)
def test_flat_tier(name: str, dtype: str) -> None:
    """The same of rows, columns and lengths in place of shapes."""
    call = Call(name, dtype)
    handle, rows, cols = call.loss.handle, 4, 3
    pred, target = call.inputs[0], call.inputs[1] if len(call.inputs) > 1 else None
    units = rows if call.row else rows * cols
    function, none = getattr(lib, f"lossfn_run_{dtype}"), 0 if target is None else clib.DTYPES[clib.dtype_of(target)]
    made = function(handle, rows, cols, pred.ctypes, target if target is None else target.ctypes, none,
                    None, 0, None, 0, None, None, 0, None, None)  # fmt: skip
    if made != 0:  # of an input that this tier does not have
        assert len(call.inputs) > 2 and "is missing" in lib.lossfn_last_error().decode()
    weight, mask = np.ones(40, pred.dtype), np.ones(40, np.uint8)
    values, grad, hess = (np.full(64, -7, pred.dtype) for _ in range(3))
    value = c.c_double(-12345.0)
    valid = {
        "rows": rows, "cols": cols, "pred": pred.ctypes, "target": target if target is None else target.ctypes,
        "target_dtype": none, "weight": None, "weight_len": 0, "mask": None, "mask_len": 0, "value": c.byref(value),
        "values": None, "values_len": 0, "grad": grad.ctypes, "hess": None,
    }  # fmt: skip
    wrong: list[tuple[str, str, dict[str, Any]]] = [
        *(("SHAPE", "", {side: n}) for side in ("rows", "cols") for n in (-1, -(2**63))),
        *(("SHAPE", "", {"rows": n, "cols": m}) for n, m in ((2**32, 2**31), (2**62, 2), (2**63 - 1, 2**63 - 1))),
        ("ARGUMENT", "pred", {"pred": None}),
        *(("SHAPE", str(n), {"weight": weight.ctypes, "weight_len": n}) for n in (2, 3, 5, units + 1, -1, 2**40)),
        *(("SHAPE", str(n), {"mask": mask.ctypes, "mask_len": n}) for n in (2, 3, 5, units + 1, -1, 2**40)),
        *(("SHAPE", str(n), {"values": values.ctypes, "values_len": n}) for n in (1, units - 1, units + 1, -1, 2**40)),
        ("ARGUMENT", "weight", {"weight_len": units}), ("ARGUMENT", "mask", {"mask_len": units}),
        ("ARGUMENT", "values", {"values_len": units}),
        *([("ALIAS", "pred", {"grad": pred.ctypes.data + pred.itemsize})] if made == 0 else []),
    ]  # fmt: skip
    if target is not None:
        wrong += [("ARGUMENT", list(LOSSES[name].inputs)[1], {"target": None})]
        wrong += [("DTYPE", str(n), {"target_dtype": n}) for n in (-1, 14, 99)]
    for status, word, changes in wrong:
        Call.made += 1
        before = [x.tobytes() for x in (*call.inputs, weight, mask, values, grad, hess)]
        got = function(handle, *(valid | changes).values())
        text = lib.lossfn_last_error().decode()
        assert clib.STATUS_NAMES[got] == status, f"{clib.STATUS_NAMES[got]} ({text}) instead of {status} of {changes}"
        assert word in text and "\n" not in text, f"no {word} in: {text}"
        assert [x.tobytes() for x in (*call.inputs, weight, mask, values, grad, hess)] == before
        assert value.value == -12345.0


@pytest.mark.parametrize("name", NAMES)
def test_shapes(name: str) -> None:
    for reduction in REDUCTIONS:
        for wrong in ((5, 3), (4, 2), (4, 3, 1), (3,), (12,), (1, 4, 3), (4, 1), (1, 3)):
            call = Call(name, reduction=reduction)
            if len(call.inputs) < 2:
                break
            target = np.zeros(wrong, call.inputs[1].dtype)
            if call.hard and wrong == (4,):
                continue
            if "tau" in LOSSES[name].inputs and wrong in ((4, 1), (1, 3)):  # several levels of one target
                continue
            call.inputs[1] = target
            call.fails("SHAPE")
        for key in ("weight", "mask"):
            for wrong in (
                (5, 3),
                (4, 2),
                (12,),
                (3,),
                (4, 3, 1),
                *(((4, 3), (4, 1)) if LOSSES[name].unit == "row" else ((4,),)),
            ):
                call = Call(name, reduction=reduction)
                call.keywords[key] = np.ones(wrong)
                text = call.fails("SHAPE")
                assert key in text
        for key, wrong in (("values", (5,)), ("values", (4, 3, 1)), ("hess", (4,)), ("hess", (3, 4))):
            call = Call(name, reduction=reduction)
            if key not in call.outputs:
                continue
            call.outputs[key] = clib.filled(wrong, "f64")
            call.fails("SHAPE")
        call = Call(name, reduction=reduction)
        call.grad = clib.filled((3, 4), "f64")
        call.fails("SHAPE")
        call = Call(name, reduction=reduction)
        call.keywords["upstream"] = np.ones((5, 2))
        call.fails("SHAPE")


@pytest.mark.parametrize("name", NAMES)
def test_dtypes_and_pointers(name: str) -> None:
    call = Call(name)
    call.inputs[0] = np.ones((4, 3), np.int32)
    call.fails("DTYPE")
    for key in Call(name).outputs:
        call = Call(name)
        call.outputs[key] = np.zeros(call.outputs[key].shape, np.int64)
        call.fails("DTYPE")
    for number in (0, 14, -1, 99):
        call = Call(name)
        call.fails("DTYPE", number, spoil=lambda a, number=number: setattr(a.inputs[0].contents, "dtype", number))
    for ndim in (-1, 9, 1000):
        call = Call(name)
        call.fails("ARGUMENT", ndim, spoil=lambda a, ndim=ndim: setattr(a.inputs[0].contents, "ndim", ndim))

    def no_data(args: Any) -> None:
        args.inputs[0].contents.data = None

    Call(name).fails("ARGUMENT", 12, spoil=no_data)
    Call(name).fails("ARGUMENT", spoil=lambda a: a.inputs.__setitem__(0, clib.TensorP()))
    if len(LOSSES[name].inputs) > 1:
        Call(name).fails("ARGUMENT", spoil=lambda a: a.inputs.__setitem__(1, clib.TensorP()))
    Call(name).fails("ARGUMENT", spoil=lambda a: setattr(a, "n_inputs", 9))
    Call(name).fails("ARGUMENT", spoil=lambda a: setattr(a.inputs[0].contents, "device_type", 2))

    def extent(index: int, value: int) -> Any:
        return lambda a: a.inputs[0].contents.shape.__setitem__(index, value)

    Call(name).fails("SHAPE", -1, spoil=extent(0, -1))
    Call(name).fails("SHAPE", spoil=extent(0, 2**62))
    Call(name).fails("SHAPE", spoil=extent(0, 2**63 - 1))

    call = Call(name)
    args, kept = call.loss.arguments(*call.inputs, value=True)
    args.struct_size = 16
    assert clib.STATUS_NAMES[lib.lossfn_run(call.loss.handle, c.byref(args))] == "ARGUMENT"
    assert kept["value"].value == -12345.0
    assert clib.STATUS_NAMES[lib.lossfn_run(None, None)] == "ARGUMENT"
    assert clib.STATUS_NAMES[lib.lossfn_run(call.loss.handle, None)] == "ARGUMENT"


@pytest.mark.parametrize("name", NAMES)
def test_outputs_that_cannot_be(name: str) -> None:
    def readonly(field: str) -> Any:
        return lambda a: setattr(getattr(a, field).contents, "flags", clib.READONLY)

    Call(name).fails("ARGUMENT", spoil=lambda a: setattr(a.grads[0].contents, "flags", clib.READONLY))
    for key in Call(name).outputs:
        Call(name).fails("ARGUMENT", spoil=readonly(key))
    # stride 0, and strides that fold an output onto itself
    for strides in ((0, 1), (3, 0), (1, 1), (2, 1), (-1, 1)):
        call = Call(name)
        memory = np.zeros(40)
        call.grad = np.lib.stride_tricks.as_strided(memory[20:], (4, 3), [8 * s for s in strides])
        call.fails("ALIAS")
    # partly over an input, over another output, over the weight
    call = Call(name)
    memory = np.zeros(13)
    memory[:12] = call.inputs[0].ravel()
    call.inputs[0], call.grad = memory[:12].reshape(4, 3), memory[1:].reshape(4, 3)
    call.fails("ALIAS")
    call = Call(name)
    if call.loss.has_hess:
        call.outputs["hess"] = call.grad
        call.fails("ALIAS")
    call = Call(name)
    call.keywords["weight"] = np.ones(call.unit)
    call.outputs["values"] = call.keywords["weight"]
    if not call.row:
        call.fails("ALIAS")
    call = Call(name)
    call.grad = call.inputs[0].view(np.float32)[:, :3]  # same place, another dtype
    call.fails("ALIAS")
    call = Call(name)
    call.grad = call.inputs[0][::-1]  # same place, other strides
    call.fails("ALIAS")


@pytest.mark.parametrize("name", NAMES)
def test_reductions_and_scalars(name: str) -> None:
    for reduction in ("none", "per_row"):
        call = Call(name, reduction=reduction)
        if reduction == "per_row":
            call.outputs["values"] = clib.filled((4,), "f64")
        value = c.c_double(-12345.0)
        call.fails("ARGUMENT", spoil=lambda a, value=value: setattr(a, "value", c.pointer(value)))
        assert value.value == -12345.0
    for bad in (0.0, np.inf, np.nan):
        call = Call(name)
        call.keywords["denominator"] = bad
        call.fails("ARGUMENT")
    call = Call(name, reduction="sum")
    call.keywords["denominator"] = 2.0
    call.fails("ARGUMENT")
    for threads in (-1, 257):
        call = Call(name)
        call.keywords["threads"] = threads
        call.fails("ARGUMENT", threads)
    call = Call(name)
    call.keywords["hess_kind"] = 7
    if call.loss.has_hess:
        call.fails("ARGUMENT", 7)


@pytest.mark.parametrize("dtype", ["i8", "i64", "u8", "u64", "f32", "f16", "bool"])
@pytest.mark.parametrize("name", [n for n in NAMES if LOSSES[n].inputs.get("target") == reference.CLASSES])
def test_labels(name: str, dtype: str) -> None:
    for base in (0, 1):
        for bad in (-1, 3, 4, 100):
            for at in (0, 2, 3):
                for reduction in REDUCTIONS:
                    if (dtype[0] == "u" and bad < 0) or dtype == "bool":
                        continue
                    call = Call(name, reduction=reduction, label_base=base)
                    call.inputs[1] = clib.cast(call.inputs[1] + base, dtype)
                    call.inputs[1][at] = bad + base
                    call.fails("LABEL", at + base, bad + base)  # both in the caller's base
                    weight = np.ones(4)
                    weight[at] = 0
                    call.keywords["weight"] = weight
                    out = call.loss.run(*call.inputs, weight=weight, want="values")
                    assert out.values[at] == 0
    if dtype in ("f32", "f16"):
        call = Call(name)
        call.inputs[1] = clib.cast(call.inputs[1], dtype)
        call.inputs[1][2] = 0.5
        call.fails("LABEL", 2, 0.5)
    if dtype == "bool":
        call = Call(name, shape=(4, 1))
        call.inputs[1] = np.array([False, True, False, False])
        call.fails("LABEL", 1)


@pytest.mark.parametrize("name", [n for n in NAMES if LOSSES[n].inputs.get("target") == reference.MARGIN])
def test_margin_labels(name: str) -> None:
    for bad in (0.0, 2.0, -2.0, 0.5, np.inf):
        call = Call(name)
        call.inputs[1][2, 1] = bad
        text = call.fails("LABEL", 7)
        assert "labels=01" in text or bad != 0
    for bad in (-1.0, 2.0, 0.5):
        call = Call(name, labels="01")
        call.inputs[1] = (call.inputs[1] + 1) / 2
        call.inputs[1][3, 0] = bad
        call.fails("LABEL", 9)
    rng = np.random.default_rng(5)
    pred, truth = rng.normal(size=(5, 4)), rng.random((5, 4)) < 0.5
    plain = clib.Loss(name).run(pred, np.where(truth, 1.0, -1.0), want="value values grad:pred")
    for labels, target in (
        ("+-1", truth),
        ("01", truth),
        ("01", truth.astype(np.int8)),
        ("+-1", np.where(truth, 1, -1).astype(np.int16)),
    ):
        harness.same(
            plain,
            clib.Loss(f"{name}(labels='{labels}')").run(pred, target, want="value values grad:pred"),
            str(target.dtype),
        )


def test_specs() -> None:
    for text, status, word in (
        ("hubert", "NOT_FOUND", "huber"), ("huber(dleta=1)", "NOT_FOUND", "delta"), ("huber(delta=0)", "PARAMETER", "0"),
        ("huber(delta=-1)", "PARAMETER", "-1"), ("huber(delta=1", "SPEC", ""), ("huber(delta=)", "SPEC", ""), ("", "SPEC", ""),
        ("huber(delta=1,delta=2)", "SPEC PARAMETER", "delta"), ("huber(delta=true)", "PARAMETER", "delta"), ("huber)", "SPEC", ""),
        ("quantile(tau=0)", "PARAMETER", "tau"), ("quantile(tau=1)", "PARAMETER", "tau"), ("quantile(tau=nan)", "PARAMETER SPEC", ""),
        ("barron(scale=0)", "PARAMETER", "scale"), ("cross_entropy(class_weight=[1,-1])", "PARAMETER", "class_weight"),
        ("cross_entropy(label_smoothing=1.5)", "PARAMETER", "1.5"), ("entropy(base=1)", "PARAMETER", "base"), ("entropy(base=0)", "PARAMETER", "base"),
        ("mse(reduction=avg)", "PARAMETER", "reduction"), ("mse(reduction=7)", "PARAMETER", "reduction"),
        ("mse(base=2)", "NOT_FOUND PARAMETER", "base"), ("smooth_l1(beta=-0.5)", "PARAMETER", "beta"), ("bce_with_logits(pos_weight=-1)", "PARAMETER", "pos_weight"),
        ("mse(", "SPEC", ""), ("2**mse", "SPEC", ""), ("mse mae", "SPEC", ""), ("1e999*mse", "SPEC PARAMETER", ""), ("\xff", "SPEC NOT_FOUND", ""),
    ):  # fmt: skip
        with pytest.raises(clib.Failure) as caught:
            clib.Loss(text)
        assert caught.value.status in status.split(), (text, caught.value)
        assert word in caught.value.message, (text, caught.value.message)


@pytest.mark.parametrize("name", NAMES)
def test_canonical_spec(name: str) -> None:
    for params in LOSSES[name].params:
        options = reference.expand(params, 2)
        loss = clib.Loss(
            clib.spec(
                name,
                reduction="sum",
                **{k: float(v) if not isinstance(v, (bool, list, str)) else v for k, v in options.items()},
            )
        )
        again = clib.Loss(loss.spec)
        assert again.spec == loss.spec
    for number in (0.1, 1 / 3, 5e-324, 1.7976931348623157e308, 1e22, 123456789.123456789):
        assert f"delta={number!r}".replace("+", "") in clib.Loss(f"huber(delta={number!r})").spec.replace("+", "") or clib.Loss(clib.Loss(f"huber(delta={number!r})").spec).spec == clib.Loss(f"huber(delta={number!r})").spec  # fmt: skip


def test_two_readings_are_shown() -> None:
    """(N,) weights with (N, D) elements, and (N, 1) against (N,)."""
    call = Call("mse")
    call.keywords["weight"] = np.ones(4)
    text = call.fails("SHAPE", 4)
    assert "(4, 1)" in text or "(4,1)" in text, text
    call = Call("mse", shape=(4, 1))
    call.inputs[1] = np.zeros(4)
    text = call.fails("SHAPE", 4)
    assert "reshape" in text.lower(), text
    call = Call("mse")
    call.inputs[0] = np.ones((4, 3), np.int64)
    assert "swap" in call.fails("DTYPE").lower()
