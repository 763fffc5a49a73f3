# SPDX-License-Identifier: MIT
"""Over any split of the data, merged in any order and through bytes, an accumulator gives the bits of one call."""

from __future__ import annotations

import ctypes as c
import math

import clib
import harness
import numpy as np
import pytest
from clib import lib
from harness import NAMES
from reference import LOSSES

REDUCTIONS = ("mean", "sum", "mean_units", "mean_all", "mean_rows")


class Accumulator:
    def __init__(self, loss: clib.Loss, handle: c.c_void_p | None = None) -> None:
        self.loss, self.handle = loss, handle or c.c_void_p()
        if handle is None:
            clib.check(lib.lossfn_accumulator_create(c.byref(self.handle), loss.handle))

    def __del__(self) -> None:
        lib.lossfn_accumulator_destroy(self.handle)

    def update(self, *inputs, **options) -> None:
        args, _ = self.loss.arguments(*inputs, **options)
        clib.check(lib.lossfn_accumulator_update(self.handle, c.byref(args)))

    def merge(self, other: Accumulator) -> None:
        clib.check(lib.lossfn_accumulator_merge(self.handle, other.handle))

    def read(self) -> bytes:
        value, notes, total, denominator = c.c_double(), c.c_uint32(), c.c_double(), c.c_double()
        clib.check(lib.lossfn_accumulator_value(self.handle, c.byref(value), c.byref(notes)))
        clib.check(lib.lossfn_accumulator_parts(self.handle, 0, c.byref(total), c.byref(denominator)))
        return clib.canonical(np.float64([value.value, total.value, denominator.value])) + bytes(
            [notes.value & clib.EMPTY]
        )

    def to_bytes(self) -> bytes:
        n = c.c_int64()
        lib.lossfn_accumulator_write(self.handle, None, 0, c.byref(n))
        buf = (c.c_char * n.value)()
        clib.check(lib.lossfn_accumulator_write(self.handle, buf, n.value, c.byref(n)))
        return bytes(buf)

    @classmethod
    def from_bytes(cls, loss: clib.Loss, data: bytes) -> Accumulator:
        handle = c.c_void_p()
        clib.check(lib.lossfn_accumulator_read(c.byref(handle), data, len(data)))
        return cls(loss, handle)


def one_call(loss: clib.Loss, inputs, reduction: str, **options) -> bytes:
    out = loss.run(*inputs, want="value sum denom", **options)
    return clib.canonical(np.float64([out.value, out.sum, out.denom])) + bytes([out.notes & clib.EMPTY])


def spread_out(name: str, dtype: str, n: int, rng: np.random.Generator):
    """A batch whose values range over many magnitudes, so that a plain sum would depend on its order."""
    entry = LOSSES[name]
    shape = (n, 3)
    inputs = harness.tame(name, dtype, shape, rng)
    if entry.inputs["pred"] in ("real", "logits"):
        inputs[0] = (inputs[0] * np.exp2(rng.integers(-40, 20, shape))).astype(inputs[0].dtype)
    return inputs


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", NAMES)
def test_any_split_and_order(name: str, reduction: str) -> None:
    rng = np.random.default_rng(17)
    loss = clib.Loss(clib.spec(name, reduction=reduction))
    for trial in range(harness.scaled(4)):
        dtype = ("f32", "f64")[trial % 2]
        n = int(rng.integers(1, 400))
        inputs = spread_out(name, dtype, n, rng)
        unit = (n,) if LOSSES[name].unit == "row" else (n, 3)
        weight = rng.choice([0.0, 1.0, 0.1, 3.7, 1e-3, -0.5], unit).astype(clib.NUMPY[dtype])
        mask = (rng.random(unit) < 0.7).astype(np.uint8)
        options = [{}, {"weight": weight}, {"mask": mask}, {"weight": weight, "mask": mask}][trial % 4]
        whole = one_call(loss, inputs, reduction, **options)
        cuts = np.sort(rng.integers(0, n + 1, int(rng.integers(1, 6))))
        order = rng.permutation(n)
        parts = []
        for rows in np.split(order, cuts):  # some may be empty
            part = Accumulator(loss)
            part.update(*[x[rows] for x in inputs], **{k: v[rows] for k, v in options.items()})
            parts.append(Accumulator.from_bytes(loss, part.to_bytes()) if rng.random() < 0.5 else part)
        total = Accumulator(loss)
        for i in rng.permutation(len(parts)):
            total.merge(parts[i])
        assert total.read() == whole
        assert Accumulator.from_bytes(loss, total.to_bytes()).read() == whole
        # one accumulator, updated again and again
        running = Accumulator(loss)
        for rows in np.split(order, cuts):
            running.update(*[x[rows] for x in inputs], **{k: v[rows] for k, v in options.items()})
        assert running.read() == whole
        assert running.to_bytes() == total.to_bytes(), "the bytes depend on the order"
        lib.lossfn_accumulator_reset(running.handle)
        assert running.read() == Accumulator(loss).read()


@pytest.mark.parametrize("name", NAMES)
def test_outputs_of_an_update(name: str) -> None:
    """An update fills the outputs that are asked for, with the bits of a plain call."""
    rng = np.random.default_rng(4)
    loss = clib.Loss(clib.spec(name, reduction="sum"))
    inputs = harness.tame(name, "f32", (6, 3), rng)
    whole = loss.run(*inputs, want="value values grad:pred")
    values, grad = clib.filled(loss.values_shape(inputs[0]), "f32"), clib.filled((6, 3), "f32")
    total = Accumulator(loss)
    total.update(*inputs, values=values, grads={"pred": grad})
    assert (values.tobytes(), grad.tobytes()) == (whole.values.tobytes(), whole.grads["pred"].tobytes())


@pytest.mark.parametrize("name", NAMES)
def test_failures(name: str) -> None:
    rng = np.random.default_rng(4)
    for reduction in ("none", "per_row"):
        with pytest.raises(clib.Failure) as caught:
            Accumulator(clib.Loss(clib.spec(name, reduction=reduction)))
        assert caught.value.status in ("UNSUPPORTED", "ARGUMENT")
    loss = clib.Loss(name)
    inputs = harness.tame(name, "f64", (6, 3), rng)
    total = Accumulator(loss)
    total.update(*inputs)
    before = total.to_bytes(), total.read()
    with pytest.raises(clib.Failure):
        total.update(*inputs, weight=np.ones((5, 7)))
    other = Accumulator(clib.Loss(clib.spec(name, reduction="sum")))
    with pytest.raises(clib.Failure):
        total.merge(other)
    assert (total.to_bytes(), total.read()) == before, "a failed call changed the accumulator"
    data = total.to_bytes()
    for broken in (
        b"",
        data[:-1],
        data[: len(data) // 2],
        data + b"x",
        b"\0" * len(data),
        data[:3] + bytes([data[3] ^ 1]) + data[4:],
    ):
        with pytest.raises(clib.Failure):
            Accumulator.from_bytes(loss, broken)
    again = Accumulator.from_bytes(loss, data)
    again.update(*inputs)
    assert total.read() == before[1]


def test_altered_bytes_never_crash() -> None:
    rng = np.random.default_rng(4)
    loss = clib.Loss("mse")
    total = Accumulator(loss)
    total.update(rng.normal(size=50), rng.normal(size=50))
    data = bytearray(total.to_bytes())
    for _ in range(harness.scaled(400)):
        other = bytearray(data)
        for _ in range(int(rng.integers(1, 4))):
            other[rng.integers(len(other))] = rng.integers(256)
        handle = c.c_void_p()
        if lib.lossfn_accumulator_read(c.byref(handle), bytes(other), len(other)) == 0:
            lib.lossfn_accumulator_destroy(handle)


def test_nothing_kept() -> None:
    for empty, want in (("nan", math.nan), ("zero", 0.0)):
        total = Accumulator(clib.Loss(clib.spec("mse", empty=empty)))
        value, notes = c.c_double(5), c.c_uint32()
        clib.check(lib.lossfn_accumulator_value(total.handle, c.byref(value), c.byref(notes)))
        assert notes.value & clib.EMPTY
        assert value.value == want or (math.isnan(want) and math.isnan(value.value))


def test_beyond_the_range_of_doubles_on_the_way() -> None:
    """1e308 and 1e308 and -1.5e308 add up to 0.5e308, whatever comes first."""
    loss = clib.Loss("0.5*mae")
    big = np.array([1.7e308])
    total = Accumulator(clib.Loss("mae(reduction=mean)"))
    for _ in range(3):
        total.update(big, np.zeros(1))
    value = c.c_double()
    clib.check(lib.lossfn_accumulator_value(total.handle, c.byref(value), None))
    assert value.value == 1.7e308
    assert loss.run(big, np.zeros(1), want="value").value == 0.5 * 1.7e308
