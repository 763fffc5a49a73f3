# SPDX-License-Identifier: MIT
"""Losses written in Python."""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Callable
from typing import Any

from . import _core
from ._errors import ArgumentError
from ._loss import Loss, checked_name, create, is_bool, new_options


def _definition(
    fn: Callable[..., Any],
    rows: bool = False,
    labels: bool = False,
    wrt: str | tuple[str, ...] | None = None,
    hess: bool = True,
    summary: str | None = None,
    formula: str = "",
) -> tuple[Any, ...]:
    """What the C side needs to know of fn: arguments without a default are inputs, those with one are parameters."""
    if not callable(fn):
        raise ArgumentError(f"a loss is a function of blocks; {type(fn).__name__} is not callable")
    inputs: list[str] = []
    params: list[tuple[str, int, str]] = []
    try:
        arguments = list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError):  # a built-in
        arguments = []
    for argument in arguments:
        default = argument.default
        if argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD):
            continue
        if default is argument.empty:
            inputs.append(argument.name)
        elif is_bool(default):
            params.append((argument.name, _core.PARAM_BOOL, "true" if default else "false"))
        elif isinstance(default, numbers.Integral):
            params.append((argument.name, _core.PARAM_INT, str(int(default))))
        elif isinstance(default, numbers.Real):
            params.append((argument.name, _core.PARAM_DOUBLE, repr(float(default))))
        else:
            raise ArgumentError(f"the default of {argument.name} is {default!r}; a parameter is a number or a bool")
    if summary is None:
        summary = (inspect.getdoc(fn) or "").partition("\n")[0]
    flags = 1 * bool(rows or labels) | 2 * bool(labels) | 4 * bool(hess)  # FUNCTION_ in callback.h
    inputs = inputs or ["pred", "target"]
    wrt = (wrt,) if isinstance(wrt, str) else wrt
    unknown = [name for name in wrt or () if name not in inputs]
    if unknown:
        raise ArgumentError(f"wrt names {unknown[0]!r}; the inputs are {', '.join(inputs)}")
    for i, name in enumerate(inputs):
        flags |= (name in wrt if wrt is not None else i != 1) << 8 + i
    return fn, tuple(inputs), tuple(params), flags, summary, formula


def register(
    name: str,
    fn: Callable[..., Any] | None = None,
    *,
    rows: bool = False,
    labels: bool = False,
    wrt: str | tuple[str, ...] | None = None,
    hess: bool = True,
    summary: str | None = None,
    formula: str = "",
) -> Any:
    """Makes fn a loss that every part of the library knows by `name`, which must contain a dot. Returns the loss.

    fn(pred, target, **params) -> value, grad[, hess] gets float64 arrays of kept elements, of any length n, and returns
    arrays of that length; it must not depend on how elements are cut into blocks. Weights, masks, reductions, dtypes
    and strides come from the library. Arguments with a default are parameters of the loss.

    rows=True: arrays are (n, classes) and the value has one number per row; labels arrive one-hot, or as int64 numbers
    with labels=True. wrt names the inputs that fn can differentiate by; default: all but the second. When it returns
    more than pred's gradient, grad is a tuple in the order of the inputs, None where there is none. hess=False says
    beforehand that fn returns no Hessian; otherwise that is found out when one is asked for.

    Without fn it is a decorator that returns fn."""
    if fn is None:

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            register(name, function, rows=rows, labels=labels, wrt=wrt, hess=hess, summary=summary, formula=formula)
            return function

        return decorate
    _core.register_function(checked_name("name", name), _definition(fn, rows, labels, wrt, hess, summary, formula))
    return create(name)


def unregister(name: str) -> None:
    """Forgets a loss made by register(). Those created before go on working."""
    _core.unregister(checked_name("name", name))


def custom(
    fn: Callable[..., Any],
    *,
    rows: bool = False,
    labels: bool = False,
    wrt: str | tuple[str, ...] | None = None,
    hess: bool = True,
    **params: Any,
) -> Loss:
    """A loss from fn without a name; otherwise as register(). Pickles if fn does."""
    kinds = {"rows": rows, "labels": labels, "wrt": wrt, "hess": hess}
    definition = _definition(fn, rows, labels, wrt, hess)
    inputs = {
        name: {
            "scale": _core.SCALE_LABEL if i == 1 and (rows or labels) else _core.SCALE_REAL,
            "differentiable": definition[3] >> 8 + i & 1,
            "learnable": False,
        }
        for i, name in enumerate(definition[1])
    }
    return Loss._from_handle(_core.create_function(definition, new_options(params)), (fn, kinds, params), inputs)


def _restore_custom(fn: Callable[..., Any], kinds: dict[str, Any], params: dict[str, Any]) -> Loss:
    return custom(fn, **kinds, **params)
