# SPDX-License-Identifier: MIT
"""Inputs for any loss of the reference: log-uniform over the dtype, near kinks, at extremes; and what they covered."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import reference
from reference import LOSSES, Loss

FLOATS = {"f32": np.float32, "f64": np.float64}
CLASS_COUNTS = (1, 2, 3, 5, 10, 16, 17, 33)


def magnitudes(
    rng: np.random.Generator, n: int, dtype: Any, low: float | None = None, high: float | None = None
) -> Any:
    """Positive numbers, log-uniform from the smallest subnormal to the largest finite, or within 2^low..2^high."""
    info = np.finfo(dtype)
    low = np.log2(float(info.smallest_subnormal)) if low is None else low
    high = float(info.maxexp) if high is None else high
    exponent = rng.uniform(low, high, n)
    with np.errstate(all="ignore"):
        x = np.ldexp(np.exp2(exponent - np.floor(exponent)), np.floor(exponent).astype(int)).astype(dtype)
    return np.clip(x, info.smallest_subnormal, info.max)


def signs(rng: np.random.Generator, n: int) -> Any:
    return rng.choice([-1.0, 1.0], n)


def around(point: float, dtype: Any) -> list[Any]:
    """A point, its neighbours, and points a few thousand ulps and a percent away."""
    x = dtype(point)
    near = [x, np.nextafter(x, dtype(np.inf)), np.nextafter(x, dtype(-np.inf))]
    with np.errstate(all="ignore"):
        near += [dtype(x * (1 + k * np.finfo(dtype).eps)) for k in (-4000, -5, 3, 4000)] + [
            dtype(x * 0.99),
            dtype(x * 1.01),
        ]
    return near


def specials(dtype: Any) -> list[Any]:
    info = np.finfo(dtype)
    tiny = [0.0, -0.0, info.smallest_subnormal, info.tiny, np.nextafter(info.tiny, dtype(0)), info.eps]
    large = [1.0, np.sqrt(info.max), info.max, np.inf]
    return [dtype(s * x) for x in (*tiny, *large) for s in (1, -1)]


def reals(rng: np.random.Generator, n: int, dtype: Any) -> Any:
    pools = [
        signs(rng, n) * magnitudes(rng, n, dtype),
        signs(rng, n) * magnitudes(rng, n, dtype, -12, 8),
        rng.normal(0, 3, n),
        rng.uniform(-120, 120, n) if dtype is np.float32 else rng.uniform(-760, 760, n),
    ]
    return np.choose(rng.integers(0, 4, n), pools).astype(dtype)


def probabilities(rng: np.random.Generator, n: int, dtype: Any) -> Any:
    info = np.finfo(dtype)
    near_one = (1 - magnitudes(rng, n, np.float64, -float(info.nmant) - 1, -1)).astype(dtype)
    pools = [
        rng.uniform(0, 1, n),
        np.minimum(magnitudes(rng, n, dtype, high=0), 1),
        near_one,
        rng.choice([0.0, 1.0, 0.5], n),
    ]
    return np.clip(np.choose(rng.choice(4, n, p=[0.4, 0.25, 0.25, 0.1]), pools).astype(dtype), 0, 1)


def column(kind: str, rng: np.random.Generator, n: int, dtype: Any, params: dict[str, Any], name: str) -> Any:
    if kind == reference.PROBABILITY:
        if params.get("log_pred" if name == "pred" else "log_target"):
            return -magnitudes(rng, n, dtype, -30, 9)
        return probabilities(rng, n, dtype)
    if kind == reference.BINARY:
        soft = probabilities(rng, n, dtype)
        return np.where(rng.random(n) < 0.7, rng.choice([0.0, 1.0], n), soft).astype(dtype)
    if kind == reference.MARGIN:
        return signs(rng, n).astype(dtype)
    if kind == reference.EVENT:
        return rng.integers(0, 2, n).astype(dtype)
    if kind == reference.OPEN_PROBABILITY:
        return np.clip(
            probabilities(rng, n, dtype), np.finfo(dtype).smallest_subnormal, np.nextafter(dtype(1), dtype(0))
        )
    if kind == reference.POSITIVE:
        return np.where(
            rng.random(n) < 0.7, magnitudes(rng, n, dtype, -8, 8), magnitudes(rng, n, dtype, -60, 60)
        ).astype(dtype)
    if kind == reference.VARIANCE:
        return np.where(rng.random(n) < 0.6, magnitudes(rng, n, dtype, -16, 16), magnitudes(rng, n, dtype)).astype(
            dtype
        )
    if kind == reference.ABOVE_MINUS_ONE:
        near = -1 + magnitudes(rng, n, np.float64, -float(np.finfo(dtype).nmant), 0)
        return np.where(rng.random(n) < 0.3, near, magnitudes(rng, n, dtype)).astype(dtype)
    if kind == reference.COUNT:
        whole = np.floor(magnitudes(rng, n, np.float64, 0, 20)) - 1
        return np.where(rng.random(n) < 0.8, whole, magnitudes(rng, n, np.float64, -10, 10)).astype(dtype)
    if kind in (reference.SHAPE, reference.SHAPE_NONNEGATIVE):
        special = rng.choice([0.0, 1.0, 2.0, -2.0, np.inf, -np.inf, 0.5, 1.5], n)
        near = rng.choice([0.0, 2.0], n) + signs(rng, n) * np.exp2(rng.uniform(-30, -2, n))
        x = np.choose(rng.choice(3, n, p=[0.25, 0.5, 0.25]), [special, rng.uniform(-6, 6, n), near]).astype(dtype)
        if kind == reference.SHAPE_NONNEGATIVE:  # few values: each costs a quadrature
            stored = np.array(NONNEGATIVE_SHAPES, dtype=dtype)
            x = rng.choice(stored, n)
        return x
    if name == "pred" and params.get("log_input") is False:
        return np.abs(reals(rng, n, dtype))
    return reals(rng, n, dtype)


# Values of alpha >= 0 whose partition function is stored; all exact in f32.
NONNEGATIVE_SHAPES = [
    0.0, 2.0**-20, 2.0**-10, 0.0625, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0, 1.125, 1.25, 1.375, 1.5, 1.625,
    1.75, 1.875, 1.96875, 2 - 2.0**-10, 2 - 2.0**-20, 2.0, 2 + 2.0**-20, 2 + 2.0**-10, 2.03125, 2.125, 2.25, 2.5, 3.0, 3.5,
    4.0, 5.0, 6.5, 8.0, 12.0, 20.0, 50.0, 100.0, 1000.0, 2.0**20, float("inf"),
]  # fmt: skip


def elements(entry: Loss, dtype: Any, params: dict[str, Any], n: int, rng: np.random.Generator) -> list[Any]:
    """n elements of every input, of which the first ones lie at kinks and extremes."""
    columns = {name: column(kind, rng, n, dtype, params, name) for name, kind in entry.inputs.items()}
    if reference.UPPER in entry.inputs.values():  # known; nearly so; bounded; without a bound
        low = columns["target"]
        with np.errstate(over="ignore"):
            wide = low * np.exp2(np.where(rng.random(n) < 0.4, rng.uniform(-20, -4, n), rng.uniform(-4, 6, n))) + low
        ends = [low, np.maximum(wide.astype(dtype), low), np.full(n, np.inf, dtype)]
        columns["upper"] = np.choose(rng.choice(3, n, p=[0.3, 0.5, 0.2]), ends)
        columns["target"] = np.where(rng.random(n) < 0.1, 0, low).astype(dtype)
    fixed = {k: v for k, v in params.items() if k in inspect_names(entry)}
    for name in entry.learnable:  # as often a constant
        if name in fixed:
            columns.pop(name, None)
    points = [p for k in entry.kinks(**fixed) for s in (1, -1) for p in around(s * float(k), dtype) if np.isfinite(p)]
    points += specials(dtype)
    if entry.inputs["pred"] == reference.PROBABILITY:
        points = [dtype(x) for x in (0, 1, np.finfo(dtype).smallest_subnormal, np.finfo(dtype).tiny, 0.5)]
        points += [np.nextafter(dtype(1), dtype(0)), *around(1 - params.get("clamp", 0.25), dtype)]
        points += around(params.get("clamp", 0.25), dtype)
        points = [p for p in points if 0 <= p <= 1]
    elif params.get("log_input") is False:
        points = [abs(p) for p in points]
    k = min(len(points), n * 2 // 3)
    pred, target = columns["pred"], columns.get("target")
    kept = rng.permutation(len(points))[:k]
    pred[:k] = [points[i] for i in kept]
    if entry.inputs.get("target") in (reference.REAL, reference.AMOUNT):
        # Residuals: half of the kinks against 0, half against another number, so that pred - target is rounded.
        other = rng.normal(0, 1, n).astype(dtype)
        against_zero = rng.random(n) < 0.5
        zero = np.arange(n) < k
        target[zero & against_zero] = 0
        with np.errstate(all="ignore"):
            moved = zero & ~against_zero & np.isfinite(pred) & (np.abs(pred) < 1e30)
            target[moved] = other[moved]
            pred[moved] = (pred[moved] + other[moved]).astype(dtype)
        close = rng.random(n) < 0.2  # nearly equal
        close &= ~zero
        target[close] = pred[close]
        pred[close] = np.nextafter(pred[close], dtype(np.inf))
        far = rng.random(n) < 0.4
        target[far & ~zero & ~close] = rng.normal(0, 1, n).astype(dtype)[far & ~zero & ~close]
    elif entry.inputs.get("target") == reference.PROBABILITY and entry.inputs["pred"] == reference.REAL:
        close = rng.random(n) < 0.6
        pred[close] = (target + signs(rng, n) * magnitudes(rng, n, np.float64, -30, 1))[close]
        target[close & (rng.random(n) < 0.3)] = 0
    elif entry.inputs.get("target") == reference.ABOVE_MINUS_ONE:
        close = rng.random(n) < 0.3
        with np.errstate(over="ignore"):
            target[close] = (pred * (1 + rng.normal(0, 2.0 ** rng.uniform(-40, 0, n))))[close]
    elif entry.inputs.get("target") == reference.COUNT:
        target[: min(6, n)] = [0, 0, 1, 2, 3, 1][: min(6, n)]
    if "upper" not in columns and target is not None:
        related(entry, columns, params, rng, n, dtype)
    if "scale" in columns:
        in_proportion(columns, rng, n, dtype)
    if entry.inputs.get("target") == reference.MARGIN and k:
        with np.errstate(all="ignore"):
            pred[:k] = pred[:k] * target[:k]
    return [columns[name] for name in entry.inputs if name in columns]


def related(
    entry: Loss, columns: dict[str, Any], params: dict[str, Any], rng: np.random.Generator, n: int, dtype: Any
) -> None:
    """A fifth of the elements: of any size both, and nearly equal or a power of two apart, or the prediction nearly the
    logarithm of the target."""
    pred, target = columns["pred"], columns["target"]
    kind = {"pred": entry.inputs["pred"], "target": entry.inputs["target"]}
    some = rng.random(n) < 0.2
    near = 1 + signs(rng, n) * np.exp2(rng.uniform(-52, 0, n))
    factor = np.where(rng.random(n) < 0.5, near, signs(rng, n) * np.exp2(rng.uniform(-30, 30, n)))
    sizes = magnitudes(rng, n, dtype)
    with np.errstate(all="ignore"):
        if kind["target"] == reference.REAL:
            target[some] = (signs(rng, n) * sizes)[some]
            other = target.astype(float) * factor
        elif kind["pred"] == reference.REAL and target.min() >= 0:
            if kind["target"] in (reference.POSITIVE, reference.AMOUNT):
                target[some] = sizes[some]
            far = rng.uniform(-1500, 1500, n) if dtype is np.float64 else rng.uniform(-250, 250, n)
            other = np.where(rng.random(n) < 0.5, np.log(target.astype(float)) * factor, far)
        else:
            other = target.astype(float) * np.abs(factor)
        if kind["pred"] == reference.PROBABILITY:
            some &= (other >= 0) & (other <= 1) & (not params.get("log_pred"))
        some &= np.isfinite(other.astype(dtype))
        pred[some] = other.astype(dtype)[some]


def in_proportion(columns: dict[str, Any], rng: np.random.Generator, n: int, dtype: Any) -> None:
    """A third of the elements a few hundred times a scale apart, however small or large that is: what is exponential
    in the quotient may be beyond the type's range, and divided by the scale it is not."""
    some = rng.random(n) < 1 / 3
    any_size = some & (rng.random(n) < 0.5)
    columns["scale"][any_size] = magnitudes(rng, n, dtype)[any_size]
    far = rng.uniform(-120, 120, n) if dtype is np.float32 else rng.uniform(-1500, 1500, n)
    with np.errstate(all="ignore"):
        apart = far * np.where(rng.random(n) < 0.5, 1, 2 ** rng.uniform(-8, 0, n)) * columns["scale"].astype(float)
        if "upper" in columns:  # pred is compared with their logarithms
            low = np.where(rng.random(n) < 0.2, 0, np.exp2(rng.integers(-1, 2, n)))
            width = np.where(rng.random(n) < 0.5, 1, np.exp(np.abs(far) * columns["scale"].astype(float)))
            columns["target"][some] = low[some]
            columns["upper"][some] = np.maximum((low * width).astype(dtype), np.exp2(rng.integers(-1, 2, n)))[some]
            columns["upper"][some] = np.maximum(columns["upper"], columns["target"])[some]
            middle = np.where(rng.random(n) < 0.5, columns["upper"], np.where(low > 0, low, columns["upper"]))
            columns["pred"][some] = (np.where(np.isfinite(middle), np.log(middle), 0) - apart).astype(dtype)[some]
        elif columns["target"].min() < 0:
            columns["pred"][some] = apart.astype(dtype)[some]
            columns["target"][some] = 0


def inspect_names(entry: Loss) -> set[str]:
    return set(entry.defaults)


def rows(entry: Loss, dtype: Any, params: dict[str, Any], n: int, rng: np.random.Generator) -> list[list[Any]]:
    """n rows with few or many classes: lists of (pred, target), target an int, a list, or missing."""
    made = []
    for i in range(n):
        classes = int(CLASS_COUNTS[i % len(CLASS_COUNTS)])
        if entry.inputs["pred"] == reference.EMBEDDING:
            made.append(embeddings(rng, classes, dtype) + per_row(entry, rng))
            if rng.random() < 0.25:
                belong_together(entry, dtype, params, made[-1], rng)
            continue
        pred = logits(rng, classes, dtype) if entry.inputs["pred"] == reference.LOGITS else None
        if entry.inputs["pred"] == reference.REAL:
            pred = tame_reals(rng, classes, dtype)
        elif entry.inputs["pred"] == reference.LOG_PROBABILITY:
            pred = -magnitudes(rng, classes, dtype, -20, 9)
        if pred is None and params.get("log_pred"):
            pred = -magnitudes(rng, classes, dtype, -20, 9)
        elif pred is None:
            pred = probabilities(rng, classes, dtype) if rng.random() < 0.5 else normalised(rng, classes, dtype)
        row: list[Any] = [[float(x) for x in pred]]
        kind = entry.inputs.get("target")
        if kind == reference.ROW_REAL:
            row.append(float(tame_reals(rng, 1, dtype)[0]))
        elif kind == reference.BINS:
            row.append(float(dtype(rng.integers(classes) if rng.random() < 0.3 else rng.uniform(0, classes - 1))))
        elif kind == reference.BINARY:
            row.append([float(x) for x in column(kind, rng, classes, dtype, params, "target")])
        elif kind == reference.LEVELS and rng.random() < 0.5:
            row.append(int(rng.integers(classes + 1)))
        elif kind == reference.LEVELS:
            row.append([float(x) for x in -np.sort(-probabilities(rng, classes, dtype))])
        elif kind == reference.CLASSES and rng.random() < 0.5:
            row.append(int(rng.integers(classes)))
        elif kind == reference.TIMES:  # some are the same
            row.append([float(x) for x in (rng.integers(0, classes // 2 + 1, classes) * 0.7).astype(dtype)])
        elif kind == reference.REAL:
            near = rng.normal(0, 3, classes).astype(dtype) if rng.random() < 0.5 else pred * dtype(1 + 2.0**-9)
            row.append([float(x) for x in np.where(np.isinf(near), dtype(1), near)])
        elif kind and params.get("log_target"):
            row.append([float(x) for x in -magnitudes(rng, classes, dtype, -20, 7)])
        elif kind:
            soft = normalised(rng, classes, dtype)
            if rng.random() < 0.4:
                soft = np.where(rng.random(classes) < 0.5, 0, soft).astype(dtype)
            row.append([float(x) for x in soft])
        for name, other in list(entry.inputs.items())[2:]:
            if name not in params:
                row.append([float(x) for x in column(other, rng, classes, dtype, params, name)])
        if rng.random() < 0.25:
            belong_together(entry, dtype, params, row, rng)
        made.append(row)
    return made


def nearly(rng: np.random.Generator, x: Any, dtype: Any, powers: bool = True) -> Any:
    """Numbers a few ulps away, or any number of digits; or by powers of two, all by the same or each by its own."""
    ulps = 1 + float(np.finfo(dtype).eps) * rng.integers(-3, 4, len(x))
    digits = 1 + signs(rng, len(x)) * np.exp2(rng.uniform(-52, -1, len(x)))
    ways = [ulps, digits, np.exp2(rng.integers(-3, 4)), np.exp2(rng.integers(-20, 21, len(x)))]
    return np.asarray(x, float) * ways[rng.integers(4 if powers else 2)]


def log_softmax(x: Any) -> Any:
    return x - x.max() - np.log(np.exp(x - x.max()).sum())


def belong_together(entry: Loss, dtype: Any, params: dict[str, Any], row: list[Any], rng: np.random.Generator) -> None:
    """Makes a row's inputs nearly meet each other: a target that is nearly the prediction's distribution, or a power of
    two away; logits and scores that nearly tie or differ by a margin; exponentials or probabilities whose sum is nearly 1."""
    kind, other = entry.inputs["pred"], entry.inputs.get("target")
    soft = len(row) > 1 and isinstance(row[1], list)
    classes, info = len(row[0]), np.finfo(dtype)

    def put(i: int, x: Any, low: float = -np.inf, high: float = np.inf) -> None:
        with np.errstate(over="ignore"):
            held = np.clip(np.clip(x, low, high).astype(dtype), low, info.max)
        row[i] = [float(one) for one in held] if isinstance(row[i], list) else float(held[0])

    with np.errstate(all="ignore"):
        if kind == reference.EMBEDDING:
            put(1, rng.choice([-1, 1]) * nearly(rng, row[0], dtype))
        elif kind == reference.LOGITS:
            way = rng.integers(0, 4 if soft else 2)
            size = rng.choice([-1, 1]) * 2.0 ** rng.uniform(-30, 8)
            pred = log_softmax(rng.normal(0, rng.choice([0.1, 1, 5]), classes))
            pred = pred + rng.choice([-1, 0, 1]) * 2.0 ** rng.uniform(-40, 0)
            if way == 0:
                pred = np.where(rng.random(classes) < 0.3, size - np.exp(rng.normal(0, 2, classes)), size)
            if way == 2:
                pred = np.array(inverse_of(other, np.array(row[1]), rng)) + rng.choice([0, 0, size])
            pred = nearly(rng, pred, dtype, powers=False)
            put(0, np.where(np.isfinite(pred), pred, np.array(row[0])))
            if way == 3 and other == reference.CLASSES:
                put(1, nearly(rng, np.exp(log_softmax(np.array(row[0]))), dtype), 0)
        elif kind in (reference.PROBABILITY, reference.POSITIVE):
            high = 1 if kind == reference.PROBABILITY else np.inf
            likely = normalised(rng, classes, np.float64) if rng.random() < 0.7 else np.full(classes, 1 / classes)
            if kind == reference.POSITIVE:
                likely = likely * 2.0 ** rng.choice([0, rng.uniform(-40, 40)])
            likely = likely.astype(dtype).astype(float)
            pred = np.clip(nearly(rng, likely, dtype), 0, high)
            if "clamp" in params and rng.random() < 0.5:
                pred = np.clip(nearly(rng, np.full(classes, params["clamp"]), dtype, powers=False), 0, 1)
            put(0, np.log(pred) if params.get("log_pred") else pred)
            if soft:
                put(1, np.log(likely) if params.get("log_target") else likely)
        elif kind == reference.LOG_PROBABILITY:
            put(0, nearly(rng, log_softmax(rng.normal(0, 3, classes)), dtype, powers=False), high=0)
        elif kind == reference.REAL:
            steps = rng.integers(-1, 2, classes) * params.get("margin", 1)
            put(0, nearly(rng, rng.choice([0, rng.normal(0, 1), 1000]) + steps, dtype, powers=False))
            if other == reference.REAL:
                put(1, nearly(rng, row[0], dtype))
            elif other == reference.ROW_REAL:
                put(1, nearly(rng, [rng.choice(row[0])], dtype, powers=False))
        if other == reference.BINS:
            near = rng.integers(classes) + rng.choice([-1, 1]) * 2.0 ** rng.uniform(-40, 0)
            put(1, np.array([near]), 0, classes - 1)
        if "logits" in entry.inputs:  # of components whose distances are on the scale of their widths, whatever that is
            put(2, log_softmax(rng.normal(0, 3, classes)))
            put(3, nearly(rng, np.full(classes, 2.0 ** rng.uniform(-40, 40)), dtype))
            put(0, row[1] + np.array(row[3]) * rng.choice([0, 1, 3]) * rng.normal(0, 1, classes))


def inverse_of(kind: str | None, target: Any, rng: np.random.Generator) -> Any:
    """Logits that a target is the distribution of, in one of the ways that losses make one."""
    if kind == reference.LEVELS:
        before = np.concatenate([[1.0], target[:-1]]) if rng.random() < 0.5 else 1.0
        share = target / before
        return np.log(share / (1 - share))
    ways = [np.log(target), target, 2 * np.sqrt(target), np.log(target / (1 - target))]
    return ways[rng.integers(4)]


def per_row(entry: Loss, rng: np.random.Generator) -> list[float]:
    """What a pair of vectors has beside itself."""
    return [float(x) for kind in entry.inputs.values() if kind == reference.ROW_LABEL for x in signs(rng, 1)]


def embeddings(rng: np.random.Generator, n: int, dtype: Any) -> list[list[float]]:
    """Two vectors of any lengths and angle; now and then one is 0, or has only a few numbers that are not."""
    pred, other = (rng.normal(0, 1, n) * rng.choice([0.0, 1.0], n, p=[0.2, 0.8]) for _ in range(2))
    near = rng.choice([0.0, 2.0**-20, 2.0**-5, 1.0, 1e3])
    target = rng.choice([-1, 1]) * (pred + near * other) if rng.random() < 0.7 else other
    scales = np.exp2(rng.uniform(-40, 40, 2))
    return [[float(x) for x in (v * scale).astype(dtype)] for v, scale in zip((pred, target), scales, strict=True)]


def tame_reals(rng: np.random.Generator, n: int, dtype: Any) -> Any:
    """Numbers of which differences matter: near each other, equal, or of very different size."""
    kind = rng.integers(0, 4)
    x = rng.normal(0, 2, n)
    if kind == 1:
        x = x * np.exp2(rng.uniform(-20, 20, n))
    elif kind == 2:
        x = np.round(x)
    elif kind == 3:
        x = 1000 + x / 100
    return x.astype(dtype)


def normalised(rng: np.random.Generator, classes: int, dtype: Any) -> Any:
    x = np.exp(rng.normal(0, rng.choice([0.5, 5]), classes))
    return (x / x.sum()).astype(dtype)


def logits(rng: np.random.Generator, classes: int, dtype: Any) -> Any:
    kind = rng.integers(0, 7)
    x = rng.normal(0, 2, classes)
    if kind == 1:
        x = x * rng.choice([10, 100, 1000])
    elif kind == 2:  # far from 0 and close together
        x = rng.choice([-1, 1]) * 1e8 + x * (8 if dtype is np.float32 else 1)
    elif kind == 3:
        x[rng.integers(classes)] += rng.choice([20, 60, 300])
    elif kind == 4:
        x[:] = x[0]
    elif kind == 5 and classes > 1:
        x[rng.integers(1, classes)] = -np.inf
    elif kind == 6:
        x = signs(rng, classes) * magnitudes(rng, classes, np.float64, -100, 120)
    return x.astype(dtype)


def coverage(entry: Loss, params: dict[str, Any], made: Any) -> str:
    """What was drawn, in one line: ranges, and how many lie on each side of each kink."""
    if entry.unit == "row":
        widths = Counter(len(r[0]) for r in made)
        flat = np.array([x for r in made for x in r[0]])
        labels = sum(isinstance(r[1], int) for r in made if len(r) > 1)
        return f"{len(made)} rows ({labels} labels), classes {min(widths)}..{max(widths)}, {span(flat)}"
    with np.errstate(all="ignore"):
        pred = made[0].astype(float)
        x = pred - made[1].astype(float) if entry.inputs.get("target") == reference.REAL else pred
        if entry.inputs.get("target") == reference.MARGIN:
            x = pred * made[1].astype(float)
    fixed = {k: v for k, v in params.items() if k in inspect_names(entry)}
    sides = "; ".join(
        f"at {float(k):g}: {np.sum(x < float(k))} below, {np.sum(x == float(k))} on, {np.sum(x > float(k))} above"
        for k in entry.kinks(**fixed)
    )
    return f"{len(pred)} elements, {span(x)}" + (f"; {sides}" if sides else "")


def span(x: Any) -> str:
    a = np.abs(x[np.isfinite(x) & (x != 0)])
    low, high = (a.min(), a.max()) if a.size else (0, 0)
    return f"|x| {low:.3g}..{high:.3g}, {np.sum(x == 0)} zeros, {np.sum(np.isinf(x))} infinite"


def all_losses() -> list[Loss]:
    return list(LOSSES.values())
