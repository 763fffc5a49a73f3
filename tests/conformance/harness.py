# SPDX-License-Identifier: MIT
"""What the conformance tests share: valid batches for any loss, ulps, layouts, and a model of the semantics."""

from __future__ import annotations

import math
import os
from fractions import Fraction
from typing import Any

import clib
import numpy as np
import reference
from formulas.multiclass import kappa
from mpmath import mp, mpf
from reference import LOSSES, Number

mp.dps = reference.DIGITS
LONG = bool(os.environ.get("LOSSFN_TEST_LONG"))
BUDGET = float(os.environ.get("LOSSFN_TEST_BUDGET", "4" if LONG else "1"))
NAMES = [n for n in clib.names() if "." not in n]
ROWWISE = [n for n in NAMES if n in LOSSES and LOSSES[n].unit == "row"]
ELEMENTWISE = [n for n in NAMES if n in LOSSES and LOSSES[n].unit == "element"]
CLASSES = [n for n in ROWWISE if LOSSES[n].inputs.get("target") == reference.CLASSES]
FLOATS = ("f64", "f32", "f16", "bf16")
LABELS = ("i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "bool", "f32", "f64", "f16", "bf16")
PRECISION = {"f64": (53, -1074, 1024), "f32": (24, -149, 128), "f16": (11, -24, 16), "bf16": (8, -133, 128)}


def scaled(n: int) -> int:
    """How many cases of n to take: more in the long run."""
    return max(1, int(n * BUDGET))


# ---- Ulps -----------------------------------------------------------------------------------------------------------


# Bounds are stated for results above 2^8 times the smallest positive number: below, what goes into a result (e^-|z| ...)
# may have lost digits before it. An error down there counts in ulps of that size.
ROOM = 8


def ulps(got: float, want: Number, dtype: str) -> float:
    """The error of got in ulps of the largest term; 0 or inf where either is NaN or infinite."""
    bits, lowest, highest = PRECISION[dtype]
    exact = want.sum
    if mp.isnan(exact):
        return 0.0 if math.isnan(got) else math.inf
    if math.isnan(got):
        return math.inf
    if mp.isinf(exact):
        return 0.0 if got == float(exact) else math.inf
    top = mpf(2) ** highest
    if math.isinf(got):  # overflow: as if the next number were there
        if (got > 0) != (exact > 0):
            return math.inf
        got_exact = top if got > 0 else -top
        if abs(exact) >= top:
            return 0.0
    else:
        got_exact = mpf(got)
    largest = max(want.largest, abs(exact))
    if mp.isinf(largest) or largest >= top:
        exponent = highest - 1
    else:
        exponent = lowest if largest == 0 else int(mp.frexp(largest)[1]) - 1
    exponent = min(max(exponent - bits + 1, lowest + ROOM), highest - bits)
    return float(abs(got_exact - exact) / mpf(2) ** exponent)


def bound(stated: float, compute: str, out: str) -> float:
    """The bound of an output of another dtype than was computed in: half an ulp and the stated bound, scaled."""
    if out == compute:
        return stated
    return 0.5 + (stated + 0.5) * 2.0 ** (PRECISION[out][0] - PRECISION[compute][0])


# ---- Batches --------------------------------------------------------------------------------------------------------


def tame(
    name: str, dtype: str, shape: tuple[int, ...], rng: np.random.Generator, soft: bool = False, axis: int = -1
) -> list[Any]:
    """Valid inputs of ordinary magnitude: floats of `dtype`; hard labels are int64, without the class axis."""
    entry = LOSSES[name]
    made: list[Any] = []
    for _input_name, kind in entry.inputs.items():
        size = shape
        x: Any
        if kind in (*reference.PER_ROW, reference.LEVELS):
            rows, classes = tuple(s for i, s in enumerate(shape) if i != axis % len(shape)), shape[axis]
            if kind == reference.LEVELS and not soft:
                made.append(rng.integers(0, classes + 1, rows))
                continue
            if kind == reference.LEVELS:
                x = np.flip(np.sort(rng.uniform(0, 1, size), axis), axis)
            else:
                x = rng.normal(0, 2, rows)
                if kind == reference.BINS:
                    x = rng.uniform(0, max(classes - 1, 0), rows)
                elif kind == reference.ROW_LABEL:
                    x = rng.choice([-1.0, 1.0], rows)
        elif kind in (reference.REAL, reference.LOGITS, reference.EMBEDDING, reference.TIMES):
            x = rng.normal(0, 2, size)
        elif kind in (reference.PROBABILITY, reference.OPEN_PROBABILITY):
            x = rng.uniform(0.05, 0.95, size)
        elif kind == reference.EVENT:
            x = rng.integers(0, 2, size)
        elif kind == reference.UPPER:  # exact in every dtype
            x = clib.floats(made[1]) * rng.choice([1.0, 2.0], size)
        elif kind == reference.LOG_PROBABILITY:
            x = -rng.uniform(0.05, 4, size)
        elif kind == reference.BINARY:
            x = rng.uniform(0, 1, size) if soft else rng.integers(0, 2, size)
        elif kind == reference.CLASSES:
            rows = tuple(s for i, s in enumerate(shape) if i != axis % len(shape))
            if not soft:
                made.append(rng.integers(0, max(shape[axis], 1), rows))
                continue
            x = rng.uniform(0.05, 0.95, size)
        elif kind == reference.MARGIN:
            x = rng.choice([-1.0, 1.0], size)
        elif kind == reference.COUNT:
            x = rng.integers(0, 9, size)
        elif kind == reference.SHAPE_NONNEGATIVE:
            x = rng.uniform(0.1, 1.9, size)
        elif kind == reference.SHAPE:
            x = rng.uniform(-3, 1.9, size)
        else:
            x = rng.uniform(0.3, 3, size)
        made.append(clib.cast(x, dtype))
    return made


def compute_dtype(inputs: list[Any]) -> str:
    return "f64" if any(x is not None and x.dtype == np.float64 for x in inputs) else "f32"


def widen(x: np.ndarray, compute: str) -> np.ndarray:
    return clib.floats(x).astype(clib.NUMPY[compute])


# ---- Layouts --------------------------------------------------------------------------------------------------------


def strided(x: np.ndarray, how: str) -> np.ndarray:
    """The same numbers laid out in another way."""
    if x.ndim == 0 or how == "contiguous":
        return np.array(x, order="C", subok=True, copy=True)
    if how == "transposed":
        return np.array(x.T, order="C", subok=True, copy=True).T
    if how == "negative":
        return np.array(x[::-1], order="C", subok=True, copy=True)[::-1]
    if how == "negative last":
        return np.array(x[..., ::-1], order="C", subok=True, copy=True)[..., ::-1]
    big = np.zeros(tuple(2 * s + 1 for s in x.shape), x.dtype).view(type(x))
    big[...] = 0xFF if isinstance(x, clib.BF16) else np.iinfo(x.dtype).max if x.dtype.kind in "iu" else 1
    if x.dtype.kind == "f":
        big[...] = np.nan
    view = big[tuple(slice(1, 2 * s + 1, 2) for s in x.shape)]
    view[...] = x
    return view


LAYOUTS = ("contiguous", "transposed", "negative", "negative last", "spread")


# ---- The semantics --------------------------------------------------------------------------------------------------


def exact(x: Any) -> Fraction:
    return Fraction(float(x))


def to_float(x: Fraction) -> float:
    try:
        return float(x)
    except OverflowError:
        return math.inf if x > 0 else -math.inf


def exact_sum(xs: Any) -> Any:
    """Fraction; or a float when something is not finite."""
    flat = np.asarray(xs, np.float64).ravel()
    if np.isnan(flat).any() or (np.isposinf(flat).any() and np.isneginf(flat).any()):
        return math.nan
    if np.isinf(flat).any():
        return float(flat[np.isinf(flat)][0])
    return sum((exact(x) for x in flat), Fraction(0))


def divided(total: Any, denominator: Fraction) -> float:
    return total / float(denominator) if isinstance(total, float) else to_float(total / denominator)


def number(x: Any) -> Any:
    """mpf of a Fraction, or of a float that is not finite."""
    return mpf(x) if isinstance(x, float) else mpf(x.numerator) / x.denominator


def of_marginals(total: Any, total_weight: Fraction, w: np.ndarray, kept: np.ndarray, inputs: list[Any],
                 params: dict[str, Any]) -> Any:  # fmt: skip
    """weighted_kappa's value, factor and offsets from the inputs, in the compute dtype, of rows with these weights."""
    classes = inputs[0].shape[-1]
    pred, target = inputs[0].reshape(-1, classes), inputs[1]
    target = np.eye(classes)[target.ravel()] if target.dtype == np.int64 else target.reshape(-1, classes)
    means = []
    for x in (pred, target):
        with np.errstate(all="ignore"):
            products = np.where(kept.ravel()[:, None], (w.ravel()[:, None] * x.astype(w.dtype)).astype(w.dtype), 0)
        means.append([number(exact_sum(column)) / number(total_weight) for column in products.T])
    return kappa(number(total) / number(total_weight), *means, **params)


MEANS = ("mean", "mean_units", "mean_all", "mean_rows")
REDUCTIONS = (*MEANS, "sum", "none", "per_row")


def predict(
    unit: str, values: np.ndarray, grads: dict[str, np.ndarray], hess: np.ndarray | None, *, axis: int, pred_shape: tuple[int, ...],
    reduction: str, kept: np.ndarray, weight: np.ndarray | None, row_total: np.ndarray | None = None, upstream: Any = None,
    denominator: float | None = None, empty: str = "nan", compute: str = "f64", outer: str = "",
    inputs: list[Any] | None = None, params: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """What a call must give, from the bare values and derivatives of every unit (reduction none, no weight).

    kept, weight: of the units' shape. row_total: each unit's share of the total weight beside its weight (class weights).
    outer: what is made of the sum or mean, last; some of it of the inputs, whose class axis is the last, with params.
    """
    real = clib.NUMPY[compute]
    shape = values.shape
    w = np.ones(shape, real) if weight is None else weight.astype(real)
    kept = kept & (w != 0)
    with np.errstate(all="ignore"):
        c = np.where(kept, (w * values.astype(real)).astype(real), 0)
    share = np.ones(shape) if row_total is None else row_total
    if weight is None and row_total is None:
        total_weight = Fraction(int(kept.sum()))
    else:
        total_weight = exact_sum([float(x) for x in np.where(kept, w.astype(np.float64) * share, 0).ravel()])
    by_row = kept.any(axis=tuple(range(1, kept.ndim))) if unit == "element" and kept.ndim else kept.ravel()
    denominators = {
        "mean": total_weight, "mean_units": Fraction(int(kept.sum())), "mean_all": Fraction(kept.size),
        "mean_rows": Fraction(int(by_row.sum())),
    }  # fmt: skip
    total = exact_sum(c)
    out: dict[str, Any] = {"sum": total if isinstance(total, float) else to_float(total)}
    scale = Fraction(1)
    out["empty"] = not kept.any()
    if reduction in MEANS:
        d = denominators[reduction] if denominator is None else exact(denominator)
        out["denom"] = to_float(d)
        if denominator is None and (out["empty"] or d == 0):
            out["empty"] = True
            out["value"] = 0.0 if empty == "zero" else math.nan
            scale = Fraction(0)
        else:
            out["value"] = divided(total, d)
            scale = 1 / d
    elif reduction == "sum":
        out["value"] = out["sum"]
    if reduction == "per_row" and unit == "element":
        rows = [exact_sum(row) for row in (c if c.ndim else c.reshape(1))]
        out["values"] = np.array([r if isinstance(r, float) else to_float(r) for r in rows]).reshape(c.shape[:1])
    else:
        out["values"] = c
    slope, sizes = 1.0, {}
    if outer == "sqrt" and "value" in out and (reduction not in MEANS or scale != 0):
        root = math.sqrt(out["value"]) if out["value"] >= 0 else math.nan
        out["value"] = root
        if not (upstream is not None and np.ndim(upstream) == 0 and upstream == 0):
            slope = 0.5 / root if root != 0 else 0.0
    if outer == "kappa" and "value" in out:
        out["empty"] |= total_weight == 0
        scale, slope = Fraction(0 if out["empty"] else 1), 1.0
        out["value"] = 0.0 if empty == "zero" else math.nan
        if not out["empty"]:
            made = of_marginals(total, total_weight, w, kept, inputs or [], params or {})
            out["value"], slope = float(made[0]), float(made[1] / number(total_weight))
            grads = dict(grads)
            for (key, g), offsets in zip(list(grads.items()), made[2], strict=False):
                rows, less = np.moveaxis(g.astype(np.float64), axis, -1), np.array([float(x) for x in offsets])
                sizes[key] = np.moveaxis(np.maximum(np.abs(rows), np.abs(less)), -1, axis)
                grads[key] = np.moveaxis(rows - less, -1, axis)
    factor = np.where(kept, w.astype(np.float64) * float(scale) * slope, 0)
    if upstream is not None:
        up = np.asarray(upstream, np.float64)
        if up.ndim and reduction == "per_row" and unit == "element":
            up = up.reshape(-1, *([1] * (len(shape) - 1)))
        factor = factor * up
    along = factor if unit == "element" else np.expand_dims(factor, axis % len(pred_shape))
    keep = kept if unit == "element" else np.expand_dims(kept, axis % len(pred_shape))

    def scaled_derivative(g: np.ndarray) -> np.ndarray:
        own, factors = (keep, along) if g.ndim == len(pred_shape) else (kept, factor)  # or one number per row
        with np.errstate(all="ignore"):
            return np.where(np.broadcast_to(own, g.shape), g.astype(np.float64) * factors, 0)

    out["grads"] = {n: scaled_derivative(g) for n, g in grads.items()}
    out["sizes"] = {n: np.abs(scaled_derivative(g)) for n, g in sizes.items()}  # of terms that cancel
    out["hess"] = None if hess is None else scaled_derivative(hess)
    return out


def close(
    got: np.ndarray, want: np.ndarray, compute: str, out: str | None = None, sizes: np.ndarray | None = None
) -> None:
    """Derivatives: three roundings of the compute dtype (weight, upstream, denominator), then one of the output. What
    is a difference is so close in relation to its terms, of these sizes."""
    eps = 2.0 ** -PRECISION[compute][0] * 4 + (2.0 ** -PRECISION[out][0] * 1.001 if out and out != compute else 0)
    bits, lowest, highest = PRECISION[out or compute]
    tiny, largest = 2.0 ** (lowest + 1), (2 - 2.0 ** (1 - bits)) * 2.0 ** (highest - 1)  # what is larger may overflow
    if np.shape(got) != np.shape(want):
        raise AssertionError(f"shape {np.shape(got)} instead of {np.shape(want)}")
    with np.errstate(all="ignore"):
        size = np.abs(want) if sizes is None else sizes
        bad = ~((np.abs(got - want) <= eps * size + tiny) | (np.isnan(got) & np.isnan(want)) | (got == want))
        bad &= ~(np.isinf(got) & (got * want > 0) & (np.abs(want) * (1 + eps) >= largest))
    assert not bad.any(), f"{got[bad][:3]} instead of {want[bad][:3]} at {np.argwhere(bad)[:3].tolist()}"


def same(a: clib.Output, b: clib.Output, what: str = "") -> None:
    one, other = a.bits(), b.bits()
    assert one.keys() == other.keys(), (what, one.keys(), other.keys())
    for key in one:
        assert one[key] == other[key], f"{what}: {key} differs: {getattr(a, key, None)} and {getattr(b, key, None)}"
