# SPDX-License-Identifier: MIT
"""What every loss is, at 60 digits: plain formulas in mpmath that share nothing with the library.

One entry per loss is what a new loss adds: a function of its name, decorated with what its inputs are and which
parameters to try. It takes numbers (a loss of rows takes lists) and returns a dict: `value`, the derivative by each
input under that input's name, and `hess`, the diagonal of the second derivative by pred. Each result is one number or a
tuple of terms to be added: where these cancel, errors count in units of the largest term. Formulas see finite inputs
only; values at infinite ones are found as limits. Nothing is rounded: how exactly a result is known is found out by
evaluating again with more digits.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpmath import mp, mpf

INF = mpf("inf")
NAN = mpf("nan")
DIGITS = 60
Result = dict[str, Any]

# What an input may hold; decides how it is sampled.
REAL, PROBABILITY, LOG_PROBABILITY, LOGITS = "real", "probability", "log_probability", "logits"
BINARY, CLASSES, MARGIN, POSITIVE, COUNT = "binary", "classes", "margin", "positive", "count"
SHAPE, SHAPE_NONNEGATIVE = "shape", "shape_nonnegative"  # Barron's alpha
VARIANCE = "variance"


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
    defaults: dict[str, Any] = field(default_factory=dict)


LOSSES: dict[str, Loss] = {}


def loss(
    *params: dict[str, Any],
    unit: str = "element",
    kinks: Callable[..., list[Any]] = lambda **_: [],
    based: bool = False,
    learnable: tuple[str, ...] = (),
    **inputs: str,
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    def enter(formula: Callable[..., Result]) -> Callable[..., Result]:
        signature = inspect.signature(formula).parameters.values()
        defaults = {p.name: p.default for p in signature if p.default is not p.empty}
        name = formula.__name__
        LOSSES[name] = Loss(name, formula, unit, inputs, ({}, *params), kinks, based, learnable, defaults)
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


# ---- Regression ---------------------------------------------------------------------------------------------------


@loss(pred=REAL, target=REAL)
def mse(pred, target):
    r = pred - target
    return distance(r * r, 2 * r, 2)


@loss(pred=REAL, target=REAL)
def half_squared_error(pred, target):
    r = pred - target
    return distance(r * r / 2, r, 1)


@loss(pred=REAL, target=REAL, kinks=lambda: [0])
def mae(pred, target):
    r = pred - target
    return distance(abs(r), sign(r), 0)


@loss({"delta": 0.25}, {"delta": 1e4}, {"delta": INF}, pred=REAL, target=REAL, kinks=lambda delta=1: [-delta, 0, delta])
def huber(pred, target, delta=1):
    r, a = pred - target, abs(pred - target)
    return distance(r * r / 2, r, 1) if a <= delta else distance(delta * (a - delta / 2), delta * sign(r), 0)


@loss({"delta": 0.125}, {"delta": 300}, pred=REAL, target=REAL, kinks=lambda delta=1: [0, delta])
def pseudo_huber(pred, target, delta=1):
    r = pred - target
    root = mp.sqrt(1 + (r / delta) ** 2)
    return distance(r * r / (1 + root), r / root, 1 / root**3)


@loss({"beta": 0.25}, {"beta": 50}, {"beta": 0}, pred=REAL, target=REAL, kinks=lambda beta=1: [-beta, 0, beta])
def smooth_l1(pred, target, beta=1):
    r, a = pred - target, abs(pred - target)
    return distance(r * r / (2 * beta), r / beta, 1 / beta) if a < beta else distance(a - beta / 2, sign(r), 0)


@loss(pred=REAL, target=REAL, kinks=lambda: [0, 1, 0.35])
def log_cosh(pred, target):
    r = pred - target
    return distance(mp.log1p(2 * mp.sinh(r / 2) ** 2), mp.tanh(r), mp.sech(r) ** 2)


@loss({"tau": 0.25}, {"tau": 0.984375}, pred=REAL, target=REAL, kinks=lambda tau=0.5: [0])
def quantile(pred, target, tau=0.5):
    r = pred - target
    slope = (1 - tau) if r > 0 else -tau if r < 0 else 0
    return distance(slope * r, slope, 0)


@loss({"tau": 0.25}, pred=REAL, target=REAL, kinks=lambda tau=0.5: [0])
def expectile(pred, target, tau=0.5):
    r = pred - target
    w = (1 - tau) if r > 0 else tau
    return distance(w * r * r, 2 * w * r, 2 * w)


def barron_parts(r: Any, alpha: Any, scale: Any) -> tuple[Any, ...]:
    """rho, the factor W of its slope, the terms of its curvature, and its derivative by alpha."""
    x = r / scale
    s = x * x
    if alpha == INF:
        w = mp.exp(s / 2)
        return mp.expm1(s / 2), w, (w, w * s), mpf(0)
    if alpha == -INF:
        w = mp.exp(-s / 2)
        return -mp.expm1(-s / 2), w, (w, -w * s), mpf(0)
    if alpha == 2:
        return s / 2, mpf(1), (mpf(1),), mpf(0) if s == 0 else INF
    b = abs(alpha - 2)
    side = sign(alpha - 2)
    u = mp.log1p(s / b)
    power = mp.exp(alpha / 2 * u)
    w = mp.exp((alpha / 2 - 1) * u)
    curve = (w * b / (s + b), w * (alpha - 1) * s / (s + b)) if side < 0 else (w, w * b * s / (s + b))
    if alpha == 0:
        return u, w, curve, u * u / 4 - u / 2 + s / (2 * (2 + s))
    rho = b / alpha * mp.expm1(alpha / 2 * u)
    by_alpha = side * 2 / alpha**2 * mp.expm1(alpha / 2 * u) + b / alpha * power * (
        u / 2 - side * alpha / 2 * s / (b * (b + s))
    )
    return rho, w, curve, by_alpha


@loss(
    *({"alpha": a, "scale": c} for a, c in ((-INF, 1), (-2, 0.5), (0, 1), (2, 4), (INF, 2), (1.5, 1), (-8, 1), (5, 3))),
    {"alpha": 2.0**-30}, {"alpha": 2 - 2.0**-20}, {"alpha": 2 + 2.0**-20},
    pred=REAL, target=REAL, alpha=SHAPE, scale=POSITIVE, learnable=("alpha", "scale"),
)  # fmt: skip
def barron(pred, target, alpha=1, scale=1):
    r = pred - target
    if scale <= 0:
        return OUTSIDE
    rho, w, curve, by_alpha = barron_parts(r, alpha, scale)
    slope = r / scale**2 * w
    result = distance(rho, slope, tuple(c / scale**2 for c in curve))
    return result | {"alpha": by_alpha, "scale": -r / scale * slope}


@loss(
    *({"alpha": a, "scale": c} for a, c in ((0, 1), (2, 4), (1.5, 0.5), (0.25, 8))),
    pred=REAL, target=REAL, alpha=SHAPE_NONNEGATIVE, scale=POSITIVE, learnable=("alpha", "scale"),
)  # fmt: skip
def barron_nll(pred, target, alpha=1, scale=1):
    if alpha < 0 or scale <= 0:
        return OUTSIDE
    result = barron(pred, target, alpha, scale)
    log_z, by_alpha = log_partition(alpha)
    return result | {
        "value": (result["value"], mp.log(scale), log_z),
        # At 2 both grow without bound, as (s - 1) ln(1 / |alpha - 2|) / 4.
        "alpha": (result["alpha"], by_alpha) if alpha != 2 else sign(abs(pred - target) - scale) * INF,
        "scale": (result["scale"], 1 / scale),
    }


PARTITION = Path(__file__).parent / "data" / "partition.json"


@functools.cache
def stored_partition() -> dict[str, list[str]]:
    return json.loads(PARTITION.read_text()) if PARTITION.exists() else {}


@functools.cache
def log_partition(alpha: Any) -> tuple[Any, Any]:
    """ln Z(alpha) and its derivative, Z the integral of exp(-rho(x, alpha, 1)) over the line: 40 digits."""
    stored = stored_partition().get(mp.nstr(alpha, 25))
    return (mpf(stored[0]), mpf(stored[1])) if stored else compute_log_partition(alpha)


def compute_log_partition(alpha: Any) -> tuple[Any, Any]:
    """Double exponential quadrature, the step halved until 40 digits stand still."""
    with mp.workdps(50):
        h, before = mpf(1) / 16, None
        while True:
            z, slope = mpf(0), mpf(0)
            for direction in (1, -1):
                k = 0 if direction > 0 else 1
                while True:
                    t = direction * k * h
                    x = mp.exp(mp.pi / 2 * mp.sinh(t))
                    rho, _, _, by_alpha = barron_parts(x, alpha, mpf(1))
                    density = mp.exp(-rho) * mp.pi / 2 * mp.cosh(t) * x
                    if density < mpf(10) ** -60 and k * h > 1:
                        break
                    z += density
                    slope += density * by_alpha if by_alpha != INF else 0
                    k += 1
            result = mp.log(2 * h * z), -slope / z
            if before and all(abs(a - b) <= mpf(10) ** -40 * (abs(a) + 1) for a, b in zip(result, before, strict=True)):
                return (result[0], -INF) if alpha == 2 else result
            h, before = h / 2, result


# ---- Binary classification -----------------------------------------------------------------------------------------


@loss({"margin": 0.5}, {"margin": 3}, pred=REAL, target=MARGIN, kinks=lambda margin=1: [-margin, margin, 0])
def hinge(pred, target, margin=1):
    active = target * pred < margin
    return {
        "value": margin - target * pred if active else 0,
        "pred": -target if active else 0,
        "target": -pred if active else 0,
        "hess": 0,
    }


@loss({"margin": 0.5}, {"margin": 3}, pred=REAL, target=MARGIN, kinks=lambda margin=1: [-margin, margin, 0])
def squared_hinge(pred, target, margin=1):
    gap = max(margin - target * pred, mpf(0))
    return {"value": gap**2, "pred": -2 * target * gap, "target": -2 * pred * gap, "hess": 2 if gap > 0 else 0}


@loss(
    {"label_smoothing": 0.125}, {"base": 2}, {"clamp": 2.0**-20}, {"log_clamp": -100}, {"base": 10, "clamp": 2.0**-10},
    pred=PROBABILITY, target=BINARY, based=True,
)  # fmt: skip
def binary_cross_entropy(pred, target, clamp=0, log_clamp=-INF, label_smoothing=0):
    if not (0 <= pred <= 1 and 0 <= target <= 1):
        return OUTSIDE
    y, smooth = target * (1 - label_smoothing) + mpf(label_smoothing) / 2, 1 - label_smoothing
    p = min(max(pred, clamp), 1 - clamp)
    moves = 1 if p == pred else 0
    log_p, log_q = mp.log(p), mp.log1p(-p)
    by_p, by_q = moves * (log_p >= log_clamp), moves * (log_q >= log_clamp)
    log_p, log_q = max(log_p, log_clamp), max(log_q, log_clamp)
    return {
        "value": (-times(y, log_p), -times(1 - y, log_q)),
        "pred": (-times(by_p, over(y, p)), times(by_q, over(1 - y, 1 - p))),
        "target": (times(smooth, log_q), -times(smooth, log_p)),
        "hess": (times(by_p, over(y, p * p)), times(by_q, over(1 - y, (1 - p) ** 2))),
    }


@loss(
    {"pos_weight": 1}, {"pos_weight": 3}, {"pos_weight": 0.25, "label_smoothing": 0.25}, {"label_smoothing": 1}, {"base": 2},
    pred=LOGITS, target=BINARY, pos_weight=POSITIVE, learnable=("pos_weight",), based=True, kinks=lambda **_: [0],
)  # fmt: skip
def bce_with_logits(pred, target, pos_weight=1, label_smoothing=0):
    if not 0 <= target <= 1 or pos_weight < 0:
        return OUTSIDE
    y, smooth = target * (1 - label_smoothing) + mpf(label_smoothing) / 2, 1 - label_smoothing
    s, t = sigmoid(pred), sigmoid(-pred)
    return {
        "value": (y * pos_weight * softplus(-pred), (1 - y) * softplus(pred)),
        # A hard label is held to sigmoid(-z) or sigmoid(z); a soft one to the terms of sigmoid(z) - y.
        "pred": (-y * pos_weight * t, (1 - y) * s) if y in (0, 1) else (s * (1 - y + pos_weight * y), -pos_weight * y),
        "target": -smooth * pred
        if pos_weight == 1
        else (smooth * pos_weight * softplus(-pred), -smooth * softplus(pred)),
        "pos_weight": y * softplus(-pred),
        "hess": (y * pos_weight + 1 - y) * s * t,
    }


# ---- Classes -------------------------------------------------------------------------------------------------------


def distribution(
    target: Any, classes: int, label_smoothing: Any, class_mask: Sequence[Any] | None
) -> tuple[list, list]:
    """A label or distribution as it is, and smoothed over the classes that are not masked."""
    plain = [mpf(c == target) for c in range(classes)] if isinstance(target, int) else list(target)
    live = [c for c in range(classes) if class_mask is None or class_mask[c]]
    smooth = [
        t * (1 - label_smoothing) + (mpf(label_smoothing) / len(live) if c in live else 0) for c, t in enumerate(plain)
    ]
    return plain, smooth


@loss(
    {"label_smoothing": 0.125}, {"class_weight": "ramp"}, {"class_weight": "ramp", "label_smoothing": 0.25}, {"base": 2},
    unit="row", pred=LOGITS, target=CLASSES, based=True,
)  # fmt: skip
def cross_entropy(pred, target, class_weight=None, label_smoothing=0, class_mask=None):
    n = len(pred)
    _, t = distribution(target, n, label_smoothing, class_mask)
    w = class_weight or [1] * n
    live = [c for c in range(n) if class_mask is None or class_mask[c]]
    tops = [pred[c] for c in live]
    if max(tops) == -INF:
        return OUTSIDE
    surprise, q, rest = [mpf(0)] * n, [mpf(0)] * n, [mpf(1)] * n
    top = max(tops)
    e = {c: mp.exp(pred[c] - top) for c in live}
    total = mp.fsum(e.values())
    for c in live:
        others = mp.fsum(e[k] for k in live if k != c)
        surprise[c] = mp.log1p(others / e[c])
        q[c], rest[c] = e[c] / total, others / total
    mass = mp.fsum(t[c] * w[c] for c in live)
    hard = isinstance(target, int) and label_smoothing == 0
    at = [c for c in live if t[c] != 0]
    return {
        "value": tuple(t[c] * w[c] * surprise[c] for c in at) or 0,
        "pred": [
            0 if c not in e else -w[c] * rest[c] if hard and c == target else (mass * q[c], -t[c] * w[c])
            for c in range(n)
        ],
        "target": [(1 - label_smoothing) * w[c] * surprise[c] if c in e else 0 for c in range(n)],
        "hess": [mass * q[c] * rest[c] for c in range(n)],
    }


@loss(
    {"label_smoothing": 0.125}, {"class_weight": "ramp"}, {"clamp": 2.0**-10}, {"base": 2}, {"log_clamp": -100},
    unit="row", pred=PROBABILITY, target=CLASSES, based=True,
)  # fmt: skip
def categorical_cross_entropy(
    pred, target, class_weight=None, label_smoothing=0, class_mask=None, clamp=0, log_clamp=-INF
):
    n = len(pred)
    _, t = distribution(target, n, label_smoothing, class_mask)
    w = class_weight or [1] * n
    live = [c for c in range(n) if class_mask is None or class_mask[c]]
    if any(not 0 <= pred[c] <= 1 for c in live):
        return OUTSIDE
    p = [min(max(x, clamp), 1 - clamp) for x in pred]
    logs = [max(mp.log(x), log_clamp) for x in p]
    moves = [int(p[c] == pred[c] and mp.log(p[c]) >= log_clamp and c in live) for c in range(n)]
    return {
        "value": tuple(-times(t[c] * w[c], logs[c]) for c in live),
        "pred": [-times(moves[c], over(t[c] * w[c], p[c])) for c in range(n)],
        "target": [-times((1 - label_smoothing) * w[c], logs[c]) if c in live else 0 for c in range(n)],
        "hess": [times(moves[c], over(t[c] * w[c], p[c] ** 2)) for c in range(n)],
    }


# ---- Information ---------------------------------------------------------------------------------------------------


@loss(
    {"log_pred": True}, {"log_target": True}, {"log_pred": True, "log_target": True}, {"base": 2},
    unit="row", pred=PROBABILITY, target=PROBABILITY, based=True,
)  # fmt: skip
def kl_div(pred, target, log_pred=False, log_target=False):
    log_p = list(pred) if log_pred else [mp.log(p) if p >= 0 else NAN for p in pred]
    log_t = list(target) if log_target else [mp.log(t) if t >= 0 else NAN for t in target]
    if (not log_pred and any(not 0 <= p <= 1 for p in pred)) or (
        not log_target and any(not 0 <= t <= 1 for t in target)
    ):
        return OUTSIDE
    t = [mp.exp(u) for u in target] if log_target else list(target)
    n = range(len(pred))
    by_t = [t if log_target else mpf(1) for t in t]
    return {
        "value": tuple(x for c in n for x in (times(t[c], log_t[c]), -times(t[c], log_p[c]))),
        "pred": [-t[c] if log_pred else -over(t[c], pred[c]) for c in n],
        "target": [tuple(times(by_t[c], x) for x in (log_t[c], -log_p[c], 1)) for c in n],
        "hess": [0 if log_pred else over(t[c], pred[c] ** 2) for c in n],
    }


@loss({"base": 2}, {"base": 10}, unit="row", pred=PROBABILITY, based=True)
def entropy(pred):
    if any(not 0 <= p <= 1 for p in pred):
        return OUTSIDE
    return {
        "value": tuple(-times(p, mp.log(p)) for p in pred),
        "pred": [(-mp.log(p), -1) for p in pred],
        "hess": [-over(1, p) for p in pred],
    }


@loss({"base": 2}, pred=PROBABILITY, based=True)
def self_information(pred):
    if not 0 <= pred <= 1:
        return OUTSIDE
    return {"value": -mp.log(pred), "pred": -over(1, pred), "hess": over(1, pred**2)}


# ---- Likelihoods ---------------------------------------------------------------------------------------------------


@loss(
    {"log_input": False}, {"full": True}, {"log_input": False, "full": True, "eps": 2.0**-20},
    pred=LOGITS, target=COUNT,
)  # fmt: skip
def poisson_nll(pred, target, log_input=True, full=False, eps=0):
    if target < 0 or (not log_input and pred < 0):
        return OUTSIDE
    constant, slope = (mp.loggamma(target + 1), mp.digamma(target + 1)) if full else (mpf(0), mpf(0))
    if log_input:
        rate = mp.exp(pred)
        return {
            "value": (rate, -target * pred, constant),
            "pred": (rate, -target),
            "target": (-pred, slope),
            "hess": rate,
        }
    return {
        "value": (pred, -times(target, mp.log(pred + eps)), constant),
        "pred": (1, -over(target, pred + eps)),
        "target": (-mp.log(pred + eps), slope),
        "hess": over(target, (pred + eps) ** 2),
    }


@loss({"full": True}, {"eps": 2.0**-10}, pred=REAL, target=REAL, var=VARIANCE)
def gaussian_nll(pred, target, var, full=False, eps=0):
    r = pred - target
    v = max(var, eps)
    if var < 0 or v == 0:
        return OUTSIDE
    result = distance((mp.log(v) / 2, r * r / v / 2, mp.log(2 * mp.pi) / 2 if full else 0), r / v, 1 / v)
    return result | {"var": (1 / v / 2, -r * r / v**2 / 2) if var >= eps else 0}


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


def expand(params: dict[str, Any], classes: int) -> dict[str, Any]:
    return params | {"class_weight": ramp(classes)} if params.get("class_weight") == "ramp" else params


def nothing(entry: Loss, inputs: dict[str, Any]) -> Evaluated:
    """All NaN."""
    nan, pred = Number(NAN, NAN), inputs["pred"]
    shape = [nan] * len(pred) if isinstance(pred, list) else nan
    return {name: nan if name == "value" else shape for name in ("value", *entry.inputs, "hess")}


def raw(entry: Loss, inputs: dict[str, Any], params: dict[str, Any], digits: int) -> Evaluated:
    with mp.workdps(digits):
        options = {k: convert(float(v) if type(v) is int else v) for k, v in params.items()}
        base = options.pop("base", mp.e)
        factor = 1 / mp.log(base) if entry.based and base != mp.e else mpf(1)
        result = entry.formula(**inputs, **options)
        if not result:
            return nothing(entry, inputs)
        return {name: as_number(x, factor) for name, x in result.items()}


def settled(a: Any, b: Any, eps: Any) -> bool:
    if mp.isnan(a) or mp.isnan(b) or mp.isinf(a) or mp.isinf(b):
        return str(a) == str(b)
    return abs(a - b) <= eps * abs(b)


def finite(entry: Loss, inputs: dict[str, Any], params: dict[str, Any]) -> Evaluated:
    digits, before = DIGITS, raw(entry, inputs, params, DIGITS)
    while digits < 20000:
        digits *= 2
        after = raw(entry, inputs, params, digits)
        if all(settled(a.sum, b.sum, mpf(10) ** -32) for a, b in zip(numbers(before), numbers(after), strict=True)):
            return after
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

    def limit(a: Any, b: Any) -> Any:
        if isinstance(a, list):
            return [limit(x, y) for x, y in zip(a, b, strict=True)]
        if mp.isnan(b.sum) or mp.isinf(b.sum):
            return b
        if abs(b.sum) < mpf(10) ** -380 and abs(b.sum) <= abs(a.sum):
            return Number(mpf(0), mpf(0))
        if settled(a.sum, b.sum, mpf(10) ** -30):
            return b
        if abs(b.sum) < abs(a.sum):  # falls without bound, however slowly (a small power)
            return Number(mpf(0), mpf(0))
        return Number(sign(b.sum) * INF, INF)

    return {key: limit(near[key], far[key]) for key in near}
