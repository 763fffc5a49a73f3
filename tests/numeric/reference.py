# SPDX-License-Identifier: MIT
"""What every loss is, at 60 digits: plain formulas in mpmath that share nothing with the library.

One entry per loss is what a new loss adds, in formulas/: a function of its name, decorated with what its inputs are and which
parameters to try. It takes numbers (a loss of rows takes lists) and returns a dict: `value`, the derivative by each
input under that input's name, and `hess`, the diagonal of the second derivative by pred. Each result is one number or a
tuple of terms to be added: where these cancel, errors count in units of the largest term. Formulas see finite inputs
only; values at infinite ones are found as limits. Nothing is rounded: how exactly a result is known is found out by
evaluating again with more digits.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mpmath import mp, mpf

INF = mpf("inf")
NAN = mpf("nan")
DIGITS = 60
Result = dict[str, Any]


def exp(x: Any, _exp: Any = mp.exp) -> Any:
    """e^x. mpmath takes e to a power where x is an integer, for seconds where that stands for infinity."""
    if not mp.isint(x) or abs(x) < 2**64:
        return _exp(x)
    with mp.extraprec(mp.mag(x)):
        result = _exp(x - mpf(0.5)) * _exp(mpf(0.5))
    return +result


mp.exp = exp

# What an input may hold; decides how it is sampled.
REAL, PROBABILITY, LOG_PROBABILITY, LOGITS = "real", "probability", "log_probability", "logits"
BINARY, CLASSES, MARGIN, POSITIVE, COUNT = "binary", "classes", "margin", "positive", "count"
SHAPE, SHAPE_NONNEGATIVE = "shape", "shape_nonnegative"  # Barron's alpha
VARIANCE = "variance"
AMOUNT, ABOVE_MINUS_ONE = "amount", "above_minus_one"  # an amount: any number, but its size counts
EMBEDDING = "embedding"  # a vector of which the direction counts
OPEN_PROBABILITY, UPPER = "open_probability", "upper"  # in (0, 1); not below the target, which is positive
EVENT, TIMES = "event", "times"  # 0 or 1; numbers of which the order counts
# Of rows: one number each; one in [0, classes - 1]; a label from 0 to the number of classes, or levels in [0, 1].
ROW_REAL, BINS, LEVELS = "row_real", "bins", "levels"
ROW_LABEL = "row_label"  # -1 or 1
PER_ROW = (ROW_REAL, BINS, ROW_LABEL)


@dataclass(frozen=True)
class Loss:
    """A loss: its formula, what its inputs hold, the parameters worth trying, and the residuals where it is not smooth."""

    name: str
    formula: Callable[..., Result]
    unit: str
    inputs: dict[str, str]
    params: tuple[dict[str, Any], ...]
    kinks: Callable[..., list[Any]]
    based: bool
    learnable: tuple[str, ...] = ()
    outer: str = ""
    defaults: dict[str, Any] = field(default_factory=dict)


LOSSES: dict[str, Loss] = {}


def loss(
    *params: dict[str, Any],
    unit: str = "element",
    kinks: Callable[..., list[Any]] = lambda **_: [],
    based: bool = False,
    learnable: tuple[str, ...] = (),
    outer: str = "",
    **inputs: str,
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    def enter(formula: Callable[..., Result]) -> Callable[..., Result]:
        signature = inspect.signature(formula).parameters.values()
        defaults = {p.name: p.default for p in signature if p.default is not p.empty}
        name = formula.__name__
        LOSSES[name] = Loss(name, formula, unit, inputs, ({}, *params), kinks, based, learnable, outer, defaults)
        return formula

    return enter


# ---- Helpers ------------------------------------------------------------------------------------------------------


def sign(x: Any) -> Any:
    return (x > 0) - (x < 0)


def over(a: Any, b: Any) -> Any:
    """a / b with 0/0 = 0 and otherwise the limit from above at b = 0."""
    return (mpf(0) if a == 0 else sign(a) * INF) if b == 0 else a / b


def times(a: Any, b: Any) -> Any:
    """a * b with 0 * inf = 0."""
    return mpf(0) if a == 0 or b == 0 else a * b


def sigmoid(z: Any) -> Any:
    return 1 / (1 + mp.exp(-z)) if z > 0 else mp.exp(z) / (1 + mp.exp(z))


def softplus(z: Any) -> Any:
    return max(z, mpf(0)) + mp.log1p(mp.exp(-abs(z)))


def distance(value: Any, first: Any, second: Any) -> Result:
    negated = tuple(-t for t in first) if isinstance(first, tuple) else -first
    return {"value": value, "pred": first, "target": negated, "hess": second}


OUTSIDE: Result = {}  # what a formula returns outside the loss's domain: every result is NaN


# ---- Evaluation ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Number:
    """A result: the sum of its terms, and the largest term (at least the sum itself) whose ulp counts."""

    sum: Any
    largest: Any

    def __mul__(self, factor: Any) -> Number:
        return Number(times(self.sum, factor), abs(times(self.largest, factor)))


Evaluated = dict[str, Any]  # as a formula's result, with Number in place of numbers and tuples


def as_number(x: Any, factor: Any) -> Any:
    if isinstance(x, list):
        return [as_number(one, factor) for one in x]
    terms = [times(mpf(t), factor) for t in (x if isinstance(x, tuple) else (x,))]
    total = mpf(0)
    for t in terms:
        total += t
    return Number(total, max([abs(total), *(abs(t) for t in terms)]) if not mp.isnan(total) else NAN)


def numbers(result: Evaluated) -> list[Number]:
    flat: list[Number] = []
    for entry in result.values():
        flat += entry if isinstance(entry, list) else [entry]
    return flat


def convert(x: Any) -> Any:
    """Floats as exact numbers; labels and switches as they are."""
    if isinstance(x, (bool, int, str)) or x is None:
        return x
    return [convert(one) for one in x] if isinstance(x, (list, tuple)) else mpf(x)


def ramp(classes: int) -> list[float]:
    """Class weights that any number of classes can be given; some are 0."""
    return [[1.0, 0.5, 2.0, 0.0, 0.75][c % 5] for c in range(classes)]


def steps(classes: int) -> list[float]:
    """Numbers between 0 and 1 that grow."""
    return [(c + 1) / (classes + 1) for c in range(classes)]


def counts(classes: int) -> list[float]:
    """How often each class comes."""
    return [[4.0, 64.0, 1.0, 10.0, 1000.0][c % 5] for c in range(classes)]


LISTS = {"ramp": ramp, "steps": steps, "counts": counts}


def expand(params: dict[str, Any], classes: int) -> dict[str, Any]:
    """Lists, of which params have the names, for so many classes."""
    return {k: LISTS[v](classes) if isinstance(v, str) and v in LISTS else v for k, v in params.items()}


def nothing(entry: Loss, inputs: dict[str, Any]) -> Evaluated:
    """All NaN."""
    nan, pred = Number(NAN, NAN), inputs["pred"]
    shape = [nan] * len(pred) if isinstance(pred, list) else nan
    own = {name: nan for name, kind in entry.inputs.items() if kind in PER_ROW}
    return {"value": nan, **dict.fromkeys((*entry.inputs, "hess"), shape), **own}


def raw(entry: Loss, inputs: dict[str, Any], params: dict[str, Any], digits: int) -> Evaluated:
    with mp.workdps(digits):
        given = {k: v for k, v in entry.defaults.items() if k not in inputs} | params
        options = {k: convert(float(v) if type(v) is int else v) for k, v in given.items()}
        base = options.pop("base", mp.e)
        factor = 1 / mp.log(base) if entry.based and base != mp.e else mpf(1)
        if "z_loss" in options:  # it stays in nats
            options["z_loss"] /= factor
        result = entry.formula(**inputs, **options)
        if not result:
            return nothing(entry, inputs)
        return {name: as_number(x, factor) for name, x in result.items()}


def settled(a: Any, b: Any, eps: Any) -> bool:
    if mp.isnan(a) or mp.isnan(b) or mp.isinf(a) or mp.isinf(b):
        return str(a) == str(b)
    return abs(a - b) <= eps * abs(b)


ZERO_DIGITS = 800  # what is not 0 within so many digits is 0: twice those of the smallest number, and more


def finite(entry: Loss, inputs: dict[str, Any], params: dict[str, Any]) -> Evaluated:
    digits, before = DIGITS, raw(entry, inputs, params, DIGITS)
    while digits < 20000:
        digits *= 2
        after = raw(entry, inputs, params, digits)
        pairs = zip(numbers(before), numbers(after), strict=True)
        if all(
            settled(a.sum, b.sum, mpf(10) ** -32) or abs(a.sum - b.sum) <= mpf(10) ** -45 * b.largest for a, b in pairs
        ):
            if digits < ZERO_DIGITS and any(a.sum == 0 for a in numbers(after)):  # or of less than so many digits
                digits = ZERO_DIGITS // 2
                before = after
                continue
            return after  # a sum of 0 has what is left of its terms
        before = after
    raise ArithmeticError(f"{entry.name}{inputs} {params} does not settle")


def evaluate(name: str, inputs: Sequence[Any], params: dict[str, Any] | None = None) -> Evaluated:
    """Value, gradients and Hessian of one unit. inputs: exact numbers, or lists of them, or an int label.

    NaN anywhere gives NaN everywhere. At infinite inputs the result is the limit, found from 1e400 and 1e1000 (which
    are infinite to any dtype here); what differs between these grows or falls without bound.
    """
    entry = LOSSES[name]
    params = expand(params or {}, len(inputs[0]) if isinstance(inputs[0], (list, tuple)) else 0)
    names = [n for n in entry.inputs if n not in params]
    exact = {n: convert(x) for n, x in zip(names, inputs, strict=False)}
    flat = [
        (n, x) for n, one in exact.items() for x in (one if isinstance(one, list) else [one]) if not isinstance(x, int)
    ]
    if any(mp.isnan(x) for _, x in flat):
        return nothing(entry, exact)

    def put(x: Any, big: Any) -> Any:
        if isinstance(x, list):
            return [put(one, big) for one in x]
        return sign(x) * big if not isinstance(x, int) and mp.isinf(x) else x

    def at(exponent: int) -> Evaluated:
        big = mpf(10) ** exponent  # alpha may be infinite
        return finite(entry, {n: x if n == "alpha" else put(x, big) for n, x in exact.items()}, params)

    near = at(400)
    if not any(n != "alpha" and mp.isinf(x) for n, x in flat):
        return near
    far = at(1000)

    def falls(a: Number, b: Number) -> bool:
        tiny = abs(b.sum) < mpf(10) ** -380
        return not settled(a.sum, b.sum, mpf(10) ** -30) and not tiny and abs(b.sum) < abs(a.sum)

    slow = any(falls(a, b) for a, b in zip(numbers(near), numbers(far), strict=True))
    farther = at(1600) if slow else far

    def limit(a: Any, b: Any, c: Any) -> Any:
        if isinstance(a, list):
            return [limit(*abc) for abc in zip(a, b, c, strict=True)]
        if mp.isnan(b.sum) or mp.isinf(b.sum):
            return b
        if abs(b.sum) < mpf(10) ** -380 and abs(b.sum) <= abs(a.sum):
            return Number(mpf(0), mpf(0))
        if settled(a.sum, b.sum, mpf(10) ** -30):
            return b
        if falls(a, b):  # to 0, however slowly (a small power), unless it is a logarithm on its way through 0
            if not settled(c.sum - b.sum, b.sum - a.sum, mpf(10) ** -9):
                return Number(mpf(0), mpf(0))
            return Number(sign(c.sum - b.sum) * INF, INF)
        return Number(sign(b.sum) * INF, INF)

    return {key: limit(near[key], far[key], farther[key]) for key in near}


# The entries, a file per family. They import this module, so it must be whole by now.
for family in (
    "regression",
    "robust",
    "margin",
    "binary",
    "classes",
    "multiclass",
    "information",
    "likelihood",
    "score",
    "survival",
):
    importlib.import_module(f"formulas.{family}")
