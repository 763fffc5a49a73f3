# SPDX-License-Identifier: MIT
"""Arrays that the C side cannot take or make by itself: lists, pandas, bfloat16, foreign byte order, and all of it
without NumPy. The hot path (buffers and DLPack in, numpy.empty out) does not come here."""

from __future__ import annotations

import sys
from array import array
from collections import namedtuple
from types import ModuleType
from typing import Any, cast

from . import _core
from ._errors import ArgumentError, DTypeError, ShapeError

numpy: ModuleType | None
try:
    import numpy
except ImportError:
    numpy = None

# Bits of `flags`, as TENSOR_ in tensor.h.
OUTPUT, FLOATS, FORCE = 1, 2, 4

_WRITABLE = "float64, float32, float16 or bfloat16, aligned and in native byte order"


def _unmasked(obj: Any, name: str) -> Any:
    """The data of a masked array in which nothing is masked; what is not kept would count."""
    if numpy is None or not isinstance(obj, numpy.ma.MaskedArray):
        return obj
    if numpy.ma.is_masked(obj):
        raise ArgumentError(f"{name} is a masked array; give its data, and mask=~{name}.mask: what is to be kept")
    return obj.data


def _has_elements(values: Any) -> bool:
    """Whether pointers to its items, and strides that count them, can tell where each is."""
    steps = [stride for extent, stride in zip(values.shape, values.strides) if extent > 1]
    return bool(values.flags.aligned) and all(step % values.itemsize == 0 for step in steps)


def convert(obj: Any, name: str, flags: int) -> Any:
    """`obj` as something with a buffer, or (a buffer of 16-bit words, dtype)."""
    if numpy is None:
        return _convert_plain(obj, name, flags)
    if flags & OUTPUT and isinstance(obj, numpy.ma.MaskedArray):
        raise ArgumentError(f"{name} is a masked array; an output has no mask")
    obj = _unmasked(obj, name)
    if isinstance(obj, numpy.ndarray):
        values = obj
    elif flags & OUTPUT:
        raise ArgumentError(f"{name} is a {type(obj).__name__}; an output is a writable array")
    else:
        try:
            values = numpy.asarray(obj)
        except (TypeError, ValueError) as error:
            raise ShapeError(f"{name} is no array of numbers: {error}") from None
    dtype = values.dtype
    if flags & OUTPUT and not values.flags.writeable:
        raise ArgumentError(f"{name} is read-only")
    if dtype.name == "bfloat16" and (not flags & OUTPUT or _has_elements(values)):
        words = values if _has_elements(values) else values.copy()
        return words.view(numpy.uint16), _core.BF16
    if flags & OUTPUT:
        raise DTypeError(f"{name} has dtype {dtype}; an output is {_WRITABLE}")
    if dtype.kind not in "fiub" or dtype.itemsize > 8 or dtype.isbuiltin == 2:
        kind = "" if isinstance(obj, numpy.ndarray) else f" (from a {type(obj).__name__})"
        raise DTypeError(f"{name} has dtype {dtype}{kind}; lossfn reads floats up to float64, integers and bool")
    if dtype.kind != "f" and (flags & FORCE or (flags & FLOATS and isinstance(obj, (list, tuple, range)))):
        return values.astype(numpy.float64)
    if isinstance(obj, numpy.ndarray):  # a layout that has no name in C
        return numpy.array(values, dtype=dtype.newbyteorder("="), order="C")
    return values if dtype.isnative else values.astype(dtype.newbyteorder("="))


def _extents(obj: Any) -> list[int]:
    shape = []
    while isinstance(obj, (list, tuple, range)):
        shape.append(len(obj))
        if not obj:
            break
        obj = obj[0]
    return shape


def _flatten(obj: Any, shape: list[int], name: str) -> list[Any]:
    if not shape:
        if isinstance(obj, (list, tuple)):
            raise ShapeError(f"{name} is no regular array: the nesting is uneven")
        return [obj]
    if not isinstance(obj, (list, tuple, range)) or len(obj) != shape[0]:
        raise ShapeError(f"{name} is no regular array: the lists differ in length")
    return [value for item in obj for value in _flatten(item, shape[1:], name)]


def _shaped(values: array[Any], shape: list[int] | tuple[int, ...]) -> Any:
    if len(shape) == 1:
        return values
    return memoryview(values).cast("B").cast(cast(Any, values.typecode), list(shape))


def _convert_plain(obj: Any, name: str, flags: int) -> Any:
    if flags & OUTPUT:
        try:
            readonly = memoryview(obj).readonly
        except TypeError:
            raise ArgumentError(f"{name} is a {type(obj).__name__}; an output is a writable array") from None
        if readonly:
            raise ArgumentError(f"{name} is read-only")
        raise DTypeError(f"an output is {_WRITABLE}; {name} is not")
    if not isinstance(obj, (list, tuple, range)):
        try:
            obj = memoryview(obj).tolist()
        except (TypeError, NotImplementedError):
            raise DTypeError(
                f"{name} is a {type(obj).__name__}; without NumPy lossfn reads lists, buffers and DLPack"
            ) from None
    shape = _extents(obj)
    flat = _flatten(obj, shape, name)
    if not all(isinstance(value, (int, float)) for value in flat):
        raise DTypeError(f"{name} holds something that is no number")
    ints = not flags & (FLOATS | FORCE) and all(isinstance(value, int) for value in flat)
    return _shaped(array("q" if ints else "d", flat), shape)


def doubles(obj: Any, name: str) -> tuple[Any, tuple[int, ...]]:
    """`obj` as a buffer of doubles side by side, and its shape."""
    if numpy is None:
        if isinstance(obj, (int, float)):
            return array("d", [obj]), ()
        values = memoryview(_convert_plain(obj, name, FORCE))
        return array("d", values.cast("B").tobytes()), tuple(values.shape or ())
    obj = _unmasked(obj, name)
    try:
        values = numpy.asarray(obj, dtype=numpy.float64, order="C")
    except (TypeError, ValueError) as error:
        raise ShapeError(f"{name} is no array of numbers: {error}") from None
    return values, values.shape


def from_doubles(data: bytearray, shape: tuple[int, ...]) -> Any:
    """The array of that shape, a float for ()."""
    if numpy is not None:
        values = numpy.frombuffer(data, dtype=numpy.float64).reshape(shape)
        return values if shape else float(values)
    plain = array("d", bytes(data))
    return _shaped(plain, shape) if shape else plain[0]


def allocate(shape: tuple[int, ...], dtype: int) -> Any:
    """A new array where numpy.empty cannot make one: bfloat16 without ml_dtypes, or no NumPy at all."""
    if numpy is not None:
        extension = sys.modules.get("ml_dtypes")
        return numpy.empty(shape, extension.bfloat16 if extension else numpy.float32)
    code = {_core.F64: "d", _core.I64: "q"}.get(dtype, "f")  # a 16-bit float has no Python type: float32 holds it
    count = 1
    for extent in shape:
        count *= extent
    return _shaped(array(code, bytes(count * array(code).itemsize)), shape)


def dtypes() -> tuple[Any, ...]:
    """NumPy's dtypes by the numbers of lossfn_dtype, None where it has none."""
    names = ["float64", "float32", "float16", "", "int8", "int16", "int32", "int64"]
    names += ["uint8", "uint16", "uint32", "uint64", "bool"]
    if numpy is None:
        return (None,) * 14
    return (None, *(numpy.dtype(name) if name else None for name in names))


_gradients_types: dict[tuple[str, ...], Any] = {}


def _gradients_type(names: tuple[str, ...]) -> Any:
    make: Any = namedtuple  # with names known at run time only, so nothing for a type checker
    members = {
        "__slots__": (),
        "__doc__": "Gradients by input: " + ", ".join(names),
        "__reduce__": lambda self: (gradients, (names, tuple(self))),
    }
    return type("Gradients", (make("Gradients", names),), members)


def gradients(names: tuple[str, ...], arrays: tuple[Any, ...]) -> Any:
    """A named tuple of gradients, one field per input."""
    if names not in _gradients_types:
        _gradients_types[names] = _gradients_type(names)
    return _gradients_types[names](*arrays)
