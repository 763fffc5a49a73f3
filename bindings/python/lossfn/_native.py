# SPDX-License-Identifier: MIT
"""Sets up the C module: tells it the package's exceptions and conversions, and how its handles are destroyed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import _arrays, _core
from ._errors import BY_STATUS, DeviceError, DomainWarning

_core.install(
    (
        _arrays.convert,
        _arrays.allocate,
        _arrays.gradients,
        _arrays.numpy.empty if _arrays.numpy is not None else None,
        _arrays.dtypes(),
        BY_STATUS,
        DeviceError,
        DomainWarning,
        _arrays.numpy.ma.MaskedArray if _arrays.numpy is not None else None,
    )
)

_STRUCTS = ("info", "input_info", "param_info", "recommendation", "gradient_report")
# SWIG finds the destructor of a type in the class that is registered for it.
for _name in ("loss", "options", "accumulator", *_STRUCTS):
    _destroy = {"__swig_destroy__": getattr(_core, f"delete_{_name}")}
    getattr(_core, f"{_name}_swigregister")(type(_name, (), _destroy))

_GETTERS: dict[str, list[tuple[str, Callable[[Any], Any]]]] = {
    struct: [
        (name[len(struct) + 1 : -4], getattr(_core, name))
        for name in dir(_core)
        if name.startswith(f"{struct}_") and name.endswith("_get")
    ]
    for struct in _STRUCTS
}


def fill(struct: str, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
    """Calls function(*args, struct *) and returns the struct's fields; missing strings are ""."""
    pointer = getattr(_core, f"new_{struct}")()
    function(*args, pointer)
    return {name: "" if (value := get(pointer)) is None else value for name, get in _GETTERS[struct]}


def read(function: Callable[..., Any], *args: Any, capacity: int = 512) -> Any:
    """Calls function(*args, capacity) until the text or bytes that it writes have room."""
    while True:
        text, length = function(*args, capacity)
        if isinstance(text, int):
            text, length = length, text
        if length < capacity:
            return text if isinstance(text, str) else text[:length]
        capacity = length + 1


def words(text: str) -> tuple[str, ...]:
    """The items of a list in one string, as the library gives them."""
    return tuple(text.split(", ")) if text else ()
