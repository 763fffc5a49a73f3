# SPDX-License-Identifier: MIT
"""Exact sums over batches."""

from __future__ import annotations

from threading import Lock
from typing import Any

from . import _core
from ._errors import ArgumentError
from ._loss import Loss, create
from ._native import read


class Accumulator:
    """A loss over batches. Over any split of the data, merged in any order, value() has the bits of one call over all.

    acc = lossfn.Accumulator("mse")
    for pred, target in batches: acc.update(pred, target)
    acc.value(), acc.sum, acc.denominator"""

    __slots__ = ("__weakref__", "_handle", "_lock", "_loss")

    def __init__(self, loss: str | Loss, /, **params: Any) -> None:
        self._loss = create(loss, **params)
        self._handle = _core.accumulator_create(self._loss._handle)
        self._lock = Lock()  # the C object is for one thread at a time, and update() lets other threads run

    @property
    def loss(self) -> Loss:
        """The loss that is accumulated."""
        return self._loss

    def update(self, *inputs: Any, **options: Any) -> None:
        """Adds a batch: inputs, weight, sample_weight and mask as for a loss. One that fails adds nothing."""
        with self._lock:
            _core.accumulator_update(self._handle, (self._loss._handle, self._loss._flags, inputs, options))

    def merge(self, other: Accumulator) -> None:
        """Adds what another accumulator of the same loss holds."""
        if not isinstance(other, Accumulator):
            raise ArgumentError(f"merge takes an Accumulator, not a {type(other).__name__}")
        if other is self:
            other = Accumulator.from_bytes(self.to_bytes())
        first, second = sorted((self, other), key=id)  # one order for all threads
        with first._lock, second._lock:
            _core.accumulator_merge(self._handle, other._handle)

    def value(self) -> float:
        """The reduced loss so far; NaN if nothing was kept."""
        with self._lock:
            return float(_core.accumulator_value(self._handle))

    @property
    def sum(self) -> float:
        """The exact sum, rounded once (of the first term of a sum of losses)."""
        return self.parts()[0]

    @property
    def denominator(self) -> float:
        """What the value divides by, rounded once (of the first term of a sum of losses)."""
        return self.parts()[1]

    def parts(self, term: int = 0) -> tuple[float, float]:
        """(sum, denominator) of a term of a sum of losses."""
        with self._lock:
            total, denominator = _core.accumulator_parts(self._handle, term)
        return total, denominator

    def reset(self) -> None:
        """Forgets all batches."""
        with self._lock:
            _core.accumulator_reset(self._handle)

    def to_bytes(self) -> bytes:
        """Bytes that recreate it, on any machine and in any language."""
        with self._lock:
            data: bytes = read(_core.accumulator_write, self._handle, capacity=1024)
        return data

    @classmethod
    def from_bytes(cls, data: Any) -> Accumulator:
        """What to_bytes() gave: bytes, or whatever has a buffer of them."""
        made = cls.__new__(cls)
        made._handle = _core.accumulator_read(data)
        data = memoryview(data).tobytes()
        length = int.from_bytes(data[4:8], "little")  # the bytes begin with LFA1, the length of the spec, the spec
        made._loss = create(data[8 : 8 + length].decode())
        made._lock = Lock()
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return Accumulator.from_bytes, (self.to_bytes(),)

    def __repr__(self) -> str:
        return f"<lossfn.Accumulator of {self._loss.spec!r}: {self.value()!r}>"
