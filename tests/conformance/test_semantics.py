# SPDX-License-Identifier: MIT
"""Any call, predicted: weights, masks, ignored labels, reductions, axes, dtypes, layouts, threads, in any combination.

The elements themselves are held to the reference elsewhere. Here a bare contiguous call (reduction none, no weight) gives
what every unit is worth, and the model in the harness says what any other call must make of that, exactly.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import clib
import harness
import numpy as np
import pytest
from formulas.multiclass import kappa
from harness import LABELS, LAYOUTS, NAMES, REDUCTIONS, same, scaled, strided
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from reference import LOSSES

COVERED: Counter[str] = Counter()


@dataclass
class Call:
    """One call of one loss, and what its parts were drawn from."""

    name: str
    dtype: str
    out: str
    shape: tuple[int, ...]
    axis: int
    reduction: str
    soft: bool
    weight: str
    weight_dtype: str
    mask: str
    mask_dtype: str
    label_dtype: str
    label_base: int
    ignore: bool
    upstream: str
    denominator: float | None
    empty: str
    layouts: tuple[str, ...]
    threads: int | None
    class_options: int
    nan_policy: str
    seed: int


SHAPES = [
    (),
    (1,),
    (5,),
    (3, 4),
    (2, 3, 5),
    (4, 1),
    (1, 7),
    (0,),
    (3, 0),
    (2, 2, 3, 2),
    (37,),
    (6, 21),
    (1500,),
    (40, 50),
]
ROW_SHAPES = [(4,), (1,), (3, 4), (5, 2), (1, 7), (2, 3, 5), (0, 3), (2, 4, 2, 3), (6, 19), (90, 3), (3, 130), (33, 33)]

calls = st.builds(
    Call,
    name=st.sampled_from(NAMES),
    dtype=st.sampled_from(["f32", "f64", "f32", "f64", "f16", "bf16"]),
    out=st.sampled_from(["same", "same", "f64", "f32", "f16", "bf16"]),
    shape=st.integers(0, 99),
    axis=st.integers(0, 7),
    reduction=st.sampled_from(REDUCTIONS),
    soft=st.booleans(),
    weight=st.sampled_from(["no", "no", "scalar", "full", "full", "broadcast", "negative", "zero"]),
    weight_dtype=st.sampled_from(["f32", "f64", "f16", "i32"]),
    mask=st.sampled_from(["no", "no", "scalar", "full", "broadcast", "nothing"]),
    mask_dtype=st.sampled_from(["bool", "u8", "i64", "f32", "f64", "i8"]),
    label_dtype=st.sampled_from(LABELS),
    label_base=st.sampled_from([0, 0, 1, -3]),
    ignore=st.booleans(),
    upstream=st.sampled_from(["no", "no", "scalar", "full"]),
    denominator=st.sampled_from([None, None, 7.0, 0.5]),
    empty=st.sampled_from(["nan", "zero"]),
    layouts=st.tuples(*[st.sampled_from(LAYOUTS)] * 8),
    threads=st.sampled_from([None, None, 1, 2, 3, 8]),
    class_options=st.integers(0, 5),
    nan_policy=st.sampled_from(["propagate", "propagate", "ignore"]),
    seed=st.integers(0, 10**6),
)


def dyadic(rng: np.random.Generator, shape: Any, kind: str) -> np.ndarray:
    """Weights that are exact in every dtype, some 0."""
    x = (
        rng.choice([0.0, 0.5, 1.0, 2.0, 3.0], shape)
        if kind != "negative"
        else rng.choice([-1.0, 0.5, 2.0, -0.25], shape)
    )
    return np.zeros(shape) if kind == "zero" else x


def spread(rng: np.random.Generator, shape: tuple[int, ...], kind: str) -> tuple[int, ...]:
    if kind == "scalar":
        return ()
    return tuple(1 if rng.random() < 0.5 else s for s in shape) if kind == "broadcast" else shape


def check(call: Call) -> None:
    entry, rng = LOSSES[call.name], np.random.default_rng(call.seed)
    row = entry.unit == "row"
    shapes = ROW_SHAPES if row else SHAPES
    shape = shapes[call.shape % len(shapes)]
    axis = call.axis % len(shape) if row else -1
    while row and shape[axis] == 0:  # a class axis has a class
        axis = (axis + 1) % len(shape)
    unit_shape = tuple(s for i, s in enumerate(shape) if i != axis) if row else shape
    classes = shape[axis] if row else 0
    inputs = harness.tame(call.name, call.dtype, shape, rng, call.soft, axis)
    hard = row and len(inputs) > 1 and inputs[1].dtype == np.int64
    compute = "f64" if call.dtype == "f64" else "f32"
    kept = np.ones(unit_shape, bool)
    options: dict[str, Any] = {"reduction": call.reduction}
    bare: dict[str, Any] = {"reduction": "none"}
    row_total = None
    if row:
        options["axis"] = axis if call.seed % 2 else axis - len(shape)
    if "class_weight" in entry.defaults:
        if call.class_options in (1, 2, 3):
            bare["class_weight"] = [[1.0, 0.5, 2.0, 0.25][c % 4] for c in range(classes)]
        if call.class_options in (2, 4):
            bare["label_smoothing"] = 0.125
        if call.class_options == 5 and classes > 2 and not hard:
            bare["class_mask"] = [int(c != 1) for c in range(classes)]
            moved = np.moveaxis(inputs[1], axis, -1)
            moved[..., 1] = 0
    labels = inputs[1] if hard else None
    if call.nan_policy != "propagate" and shape and 0 not in shape:
        options["nan_policy"] = call.nan_policy
        at = tuple(rng.integers(0, s) for s in shape)
        if isinstance(inputs[0], clib.BF16):
            inputs[0][at] = np.uint16(0x7FC1)
        else:
            inputs[0][at] = np.nan
        kept[tuple(x for i, x in enumerate(at) if i != axis) if row else at] = False

    # What every unit is worth: contiguous, in the compute dtype, the class axis last.
    plain = [np.moveaxis(harness.widen(x, compute), axis, -1) if row and x.shape == shape else x if x.dtype == np.int64 else harness.widen(x, compute) for x in inputs]  # fmt: skip
    reference = clib.Loss(clib.spec(call.name, **bare))
    unit = reference.run(*[np.ascontiguousarray(x).reshape(x.shape) for x in plain], want="values grads hess")
    back = lambda g: np.moveaxis(g, -1, axis) if row and g.ndim == len(shape) else g  # noqa: E731
    grads = {k: back(g) for k, g in unit.grads.items()}
    hess = None if unit.hess is None else back(unit.hess)

    if hard:
        if call.ignore and labels.size:
            chosen = rng.random(labels.shape) < 0.4
            ignore_index = int(rng.choice([-100, 99, call.label_base, call.label_base - 1]))
            if clib.NUMPY.get(call.label_dtype, np.float32) in (np.uint8, np.uint16, np.uint32, np.uint64, np.bool_):
                ignore_index = abs(ignore_index)
            if call.label_dtype != "bool" and not (call.label_base < ignore_index <= call.label_base + classes):
                kept &= ~(chosen | (labels + call.label_base == ignore_index))
                labels = np.where(chosen, ignore_index, labels + call.label_base)
                options |= {"ignore_index": ignore_index, "label_base": call.label_base}
        label_dtype = call.label_dtype
        low, high = (labels.min(), labels.max()) if labels.size else (0, 0)
        fits = {"bool": (0, 1), "i8": (-128, 127), "f16": (-2048, 2048), "bf16": (-256, 256)}
        small, large = fits.get(
            label_dtype, (0 if label_dtype[0] == "u" else -300, 255 if label_dtype == "u8" else 300)
        )
        if not (small <= low and high <= large):
            label_dtype = "i64"
        # labels as a float64 tensor would widen the computation
        if label_dtype == "f64" and compute == "f32":
            label_dtype = "i32"
        labels_in = clib.cast(labels, label_dtype)
        inputs[1] = labels_in
        COVERED[f"label {label_dtype}"] += 1
    options |= {k: v for k, v in bare.items() if k != "reduction"}
    if "class_weight" in bare:
        cw = np.array(bare["class_weight"])
        if hard:
            bare_labels = plain[1] if plain[1].dtype == np.int64 else None
            row_total = cw[bare_labels]
        else:
            row_total = np.array([float(sum(harness.exact(a) * harness.exact(b) for a, b in zip(r, cw, strict=True))) for r in plain[1].reshape(-1, classes)]).reshape(unit_shape)  # fmt: skip
    if call.empty == "zero":
        options["empty"] = "zero"

    weight = mask = None
    keywords: dict[str, Any] = {}
    if call.weight != "no":
        w = dyadic(rng, spread(rng, unit_shape, call.weight), call.weight)
        if call.weight_dtype == "i32":
            w = np.round(w)
        keywords["weight"] = strided(clib.cast(w, call.weight_dtype), call.layouts[5])
        weight = np.broadcast_to(w, unit_shape)
    if call.mask != "no":
        m = rng.random(spread(rng, unit_shape, call.mask)) < 0.6
        if call.mask == "nothing":
            m = np.zeros(unit_shape, bool)
        keywords["mask"] = strided(
            clib.cast(m * (1 if call.mask_dtype == "bool" else 3), call.mask_dtype), call.layouts[6]
        )
        mask = np.broadcast_to(m, unit_shape)
        kept = kept & mask
    upstream = None
    if call.upstream != "no":
        up_shape = ()
        if call.upstream == "full" and call.reduction in ("none", "per_row"):
            up_shape = unit_shape if call.reduction == "none" or row else unit_shape[:1]
        upstream = rng.choice([0.5, 2.0, -1.0, 0.0], up_shape)
        keywords["upstream"] = strided(clib.cast(upstream, compute), call.layouts[7])
    denominator = call.denominator if call.reduction in harness.MEANS else None
    laid = [strided(x, how) if x is not None else None for x, how in zip(inputs, call.layouts, strict=False)]
    out = call.dtype if call.out == "same" else call.out
    loss = clib.Loss(clib.spec(call.name, **options))
    want = (
        "sum values grads hess"
        + (" value" if call.reduction not in ("none", "per_row") else "")
        + (" denom" if call.reduction in harness.MEANS else "")
    )
    got = loss.run(*laid, want=want, out=out, denominator=denominator, threads=call.threads, **keywords)
    expected = harness.predict(
        entry.unit, unit.values, grads, hess, axis=axis, pred_shape=shape, reduction=call.reduction, kept=kept, weight=weight,
        row_total=row_total, upstream=upstream, denominator=denominator, empty=call.empty, compute=compute,
        outer=entry.outer, inputs=plain, params={k: v for k, v in bare.items() if k in entry.defaults},
    )  # fmt: skip
    soft_total = row_total is not None and not hard
    for key in ("value", "sum", "denom"):
        if key in expected and getattr(got, key) is not None:
            a, b = getattr(got, key), expected[key]
            if soft_total and key in ("denom", "value"):  # the row's own total is rounded in the model
                assert abs(a - b) <= 1e-6 * abs(b) or a == b or (np.isnan(a) and np.isnan(b)), (key, a, b)
            elif entry.outer == "kappa" and key == "value":  # a logarithm: its argument's last digits count
                assert abs(a - b) <= 2.0**-50 * max(1, abs(b)) or a == b or (np.isnan(a) and np.isnan(b)), (a, b)
            else:
                assert a == b or (np.isnan(a) and np.isnan(b)), (key, a, b)
    want_values = expected["values"]
    if out in ("f64", compute):
        real = clib.NUMPY[out]
        np.testing.assert_array_equal(
            clib.floats(got.values), np.asarray(want_values, np.float64).astype(real).astype(np.float64)
        )
    else:
        wider = np.asarray(want_values, np.float64)
        np.testing.assert_array_equal(clib.floats(got.values), clib.floats(clib.cast(wider, out)))
    for key, g in got.grads.items():
        if not (soft_total and call.reduction == "mean"):
            harness.close(clib.floats(g), expected["grads"][key], compute, out, expected["sizes"].get(key))
        dead = np.broadcast_to(np.expand_dims(kept, axis) if row and g.ndim == len(shape) else kept, g.shape) == 0
        assert not clib.floats(g)[dead].any(), f"gradient of {key} where nothing is kept"
    if got.hess is not None and not (soft_total and call.reduction == "mean"):
        harness.close(clib.floats(got.hess), expected["hess"], compute, out)
    assert bool(got.notes & clib.EMPTY) == bool(expected["empty"]), (got.notes, expected["empty"])
    assert not got.notes & clib.DOMAIN

    # The same, contiguous and on one thread, bit for bit.
    again = loss.run(*[None if x is None else strided(x, "contiguous") for x in laid], want=want, out=out, denominator=denominator,
                     **{k: strided(v, "contiguous") for k, v in keywords.items()})  # fmt: skip
    same(got, again, "layout")
    for key, value in vars(call).items():
        if key in ("name", "dtype", "reduction", "weight", "mask", "upstream", "soft", "threads", "nan_policy"):
            COVERED[f"{key} {value}"] += 1
    COVERED["empty" if expected["empty"] else "not empty"] += 1
    event(f"{entry.unit} {call.reduction}")


@settings(
    max_examples=max(1000, scaled(1500)),
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(call=calls)
def test_any_call(call: Call) -> None:
    check(call)


@pytest.mark.parametrize("name", NAMES)
@settings(
    max_examples=scaled(60), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
@given(call=calls)
def test_each_loss(name: str, call: Call) -> None:
    call.name = name
    check(call)


@pytest.mark.parametrize("label_dtype", LABELS)
@settings(
    max_examples=max(30, scaled(30)),
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(call=calls)
def test_each_label_dtype(label_dtype: str, call: Call) -> None:
    call.name, call.soft, call.label_dtype, call.label_base = (
        "cross_entropy",
        False,
        label_dtype,
        abs(call.label_base) % 2,
    )
    check(call)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", NAMES)
def test_against_the_reference_by_hand(name: str, reduction: str) -> None:
    """A small call with everything at once, wholly from multi-precision numbers."""
    import reference

    entry, rng = LOSSES[name], np.random.default_rng(3)
    row = entry.unit == "row"
    shape = (4, 3)
    inputs = harness.tame(name, "f64", shape, rng)
    if "alpha" in entry.inputs:
        inputs[2] = rng.choice([0.5, 1.0, 1.5], shape)
    units = [(i,) for i in range(4)] if row else list(np.ndindex(shape))
    w = rng.choice([0.5, 2.0, 1.5], (4,) if row else shape)
    mask = np.ones(w.shape, np.uint8)
    mask[1] = 0
    w[2] = 0
    exact: dict[Any, Any] = {}
    for at in units:
        unit = [x[at].tolist() if x.ndim and not isinstance(x[at], np.generic) else x[at].item() for x in inputs]
        exact[at] = reference.evaluate(name, unit)
    live = [at for at in units if mask[at] and w[at] != 0]
    total = sum(exact[at]["value"].sum * reference.mpf(float(w[at])) for at in live)
    counts = {"mean": sum(float(w[at]) for at in live), "mean_units": len(live), "mean_all": len(units),
              "mean_rows": len({at[0] for at in live}), "sum": 1, "none": 1, "per_row": 1}  # fmt: skip
    got = clib.Loss(clib.spec(name, reduction=reduction)).run(*inputs, weight=w, mask=mask)
    slope, less = reference.mpf(1), {}
    if reduction not in ("none", "per_row"):
        want = total / counts[reduction]
        if entry.outer == "sqrt":
            want = reference.mp.sqrt(want)
            slope = 1 / (2 * want)
        if entry.outer == "kappa":
            counts[reduction] = counts["mean"]
            rows = [(float(w[at]) / counts["mean"], *(x[at] for x in inputs)) for at in live]
            means = [[sum(share * reference.mpf(float(p[c])) for share, p, _ in rows) for c in range(3)],
                     [sum(reference.mpf(share) for share, _, t in rows if t == c) for c in range(3)]]  # fmt: skip
            want, slope, offsets = kappa(total / counts["mean"], *means)
            less = dict(zip(entry.inputs, offsets, strict=True))
        assert abs(got.value - want) <= 3e-15 * max(abs(want), entry.outer == "kappa") + 1e-300
    for at in units:
        for key, g in {**got.grads, "hess": got.hess}.items():
            if g is None:
                continue
            wants = exact[at][key]
            gots = np.atleast_1d(g[at])
            for c, (one, want) in enumerate(zip(gots, wants if isinstance(wants, list) else [wants], strict=True)):
                factor = slope * reference.mpf(float(w[at])) / counts[reduction] if at in live else 0
                offset = less[key][c] if key in less else 0
                error, size = abs(one - (want.sum - offset) * factor), max(want.largest, abs(offset))
                assert error <= 8e-15 * size * factor if factor else one == 0


def test_the_generator_covered_what_it_should() -> None:
    """Runs after the others in this file (on this worker): each alternative was really met."""
    if sum(n for key, n in COVERED.items() if key.startswith("name ")) < 1000:
        test_any_call()
    for wanted in ("empty", "not empty", "soft True", "soft False", "threads 8",
                   *(f"reduction {r}" for r in REDUCTIONS), "nan_policy ignore", "weight negative", "mask nothing"):  # fmt: skip
        assert COVERED[wanted] >= 3, (wanted, COVERED)
