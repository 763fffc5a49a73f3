# SPDX-License-Identifier: MIT
"""How many functions a loss needs for one element: those that its plain formula in tests/numeric evaluates, which shares
nothing with the library.

The formula gives everything at once, the Hessian and derivatives by targets, too: so the count is an upper one for value
and gradient. Trigamma functions, which only Hessians need, are left out, and additions and products, which cost little.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cases import Case
from mpmath import libmp, mp, mpf

sys.path.append(str(Path(__file__).resolve().parent.parent / "numeric"))
import reference

ELEMENTS = 64
BITS = 130  # numbers that differ by less differ by rounding

# Each function that bench_math measures, and those of mpmath that it stands for. One exponential gives all functions of
# the same argument, expm1 also those that need its digits near 0.
MEASURED = {
    "exp": "exp cosh sech",
    "expm1": "expm1 sinh tanh",
    "log": "log",
    "log1p": "log1p",
    "sqrt": "sqrt",
    "sincos": "sin cos tan",
    "sincospi": "sinpi cospi",
    "atan": "atan",
    "erf": "erf erfc",
    "lgamma": "loggamma",
    "digamma": "digamma",
    "log_i0": "besseli",
}
FUNCTIONS = {name: measured for measured, names in MEASURED.items() for name in names.split()}
OF_ANY_OCTAVE = {"exp", "expm1", "sincos", "sincospi"}  # twice the argument costs a product
RECURRENT = {"lgamma", "digamma"}  # the next argument costs a logarithm or a division
DIVIDE = {"sech", "tanh", "tan"}

Evaluation = tuple[Any, ...]  # a function and the size of its argument


def key(function: str, x: Any) -> Evaluation:
    x = mpf(x)
    if function in RECURRENT and not mp.isint(x):
        x %= 1
    _, mantissa, exponent, _ = libmp.mpf_pos(x._mpf_, BITS, "n")
    return function, int(mantissa), 0 if function in OF_ANY_OCTAVE else int(exponent)


class Recorder:
    """Stands in for mpmath's functions, powers and quotients while a formula is evaluated."""

    def __init__(self) -> None:
        self.seen: set[Evaluation] = set()
        self.roots: dict[Evaluation, Evaluation] = {}  # of whole powers: one division is enough for both
        self.busy = False  # inside a function of mpmath, which has its own arithmetic

    def watch(self, name: str, kept: Callable[..., Any], note: Callable[..., None]) -> Callable[..., Any]:
        @functools.wraps(kept)
        def watched(*args: Any, **named: Any) -> Any:
            if self.busy:
                return kept(*args, **named)
            self.busy = True
            try:
                result = kept(*args, **named)
                if result is not NotImplemented:
                    note(name, result, *args)
                return result
            finally:
                self.busy = False

        return watched

    def function(self, name: str, result: Any, *args: Any) -> None:
        unit = name == "log1p" and 0 <= args[-1] <= 1
        self.seen.add(key("log1p_unit" if unit else FUNCTIONS[name], args[-1]))
        if name in DIVIDE:
            self.seen.add(("division", name != "tan", *key("exp", args[-1])))

    def power(self, name: str, result: Any, base: Any, exponent: Any) -> None:
        rest = mpf(exponent) % 1
        if exponent < 0:
            self.seen.add(key("division", base))
        if rest == 0:
            self.whole_power(result, base)
        elif rest == 0.5:
            self.seen.add(key("sqrt", base))
        else:
            self.seen.add((*key("pow", base), *key("", rest)))

    def product(self, name: str, result: Any, a: Any, b: Any) -> None:
        if a is b:
            self.whole_power(result, a)

    def whole_power(self, result: Any, base: Any) -> None:
        root = key("division", base)
        self.roots.setdefault(key("division", result), self.roots.get(root, root))

    def quotient(self, name: str, result: Any, a: Any, b: Any) -> None:
        divisor = key("division", a if name == "__rtruediv__" else b)
        self.seen.add(self.roots.get(divisor, divisor))


@contextlib.contextmanager
def recording() -> Iterator[set[Evaluation]]:
    recorder = Recorder()
    notes = [(mp, name, recorder.function) for name in FUNCTIONS]
    notes += [(mp, "power", recorder.power), (mp.mpf, "__pow__", recorder.power), (mp.mpf, "__mul__", recorder.product)]
    notes += [(mp.mpf, name, recorder.quotient) for name in ("__truediv__", "__rtruediv__")]
    with contextlib.ExitStack() as undo:
        for owner, name, note in notes:
            kept = getattr(owner, name)
            undo.callback(setattr, owner, name, kept)
            setattr(owner, name, recorder.watch(name, kept, note))
        yield recorder.seen


def evaluations(loss: str) -> Iterator[set[Evaluation]]:
    """Of each of some elements, with default parameters."""
    entry, inputs = reference.LOSSES[loss], Case(loss, (ELEMENTS,)).inputs
    for i in range(ELEMENTS):
        with recording() as seen:
            element = {name: mpf(float(x[i])) for name, x in inputs.items()}
            reference.raw(entry, element, {}, reference.DIGITS)
        # Where both are known, expm1 gives exp.
        yield {e for e in seen if e[0] != "exp" or ("expm1", *e[1:]) not in seen}


@functools.cache
def count(loss: str) -> dict[str, int]:
    """Of each function that bench_math measures, for a loss of elements: the most that one of the elements needs, as a
    vector has some of every kind. What many of them evaluate of the same argument is constant."""
    found = list(evaluations(loss))
    often = Counter(e for one in found for e in one)
    constant = {e for e, times in often.items() if times > ELEMENTS / 4}
    any_log1p = any(e[0] == "log1p" for one in found for e in one)
    counts = Counter[str]()
    for one in found:
        names = (e[0] for e in one - constant)
        counts |= Counter("log1p" if any_log1p and name == "log1p_unit" else name for name in names)
    return dict(sorted(counts.items()))
