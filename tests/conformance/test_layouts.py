# SPDX-License-Identifier: MIT
"""However the tensors lie, whatever repeats, and however short the rows: the bits of contiguous copies, one by one."""

from __future__ import annotations

import math
import zlib
from typing import Any

import clib
import harness
import numpy as np
import pytest
from clib import lib
from harness import ELEMENTWISE, same

SHAPES = [(70, 150), (3, 5, 40, 7), (200, 3), (2, 65, 130), (130, 1, 33), (4, 2100), (2100, 4)]


def laid(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same values with the axes in any order in memory, some backwards, some with gaps."""
    order = rng.permutation(x.ndim)
    steps = [int(rng.choice([1, 1, 1, -1, 2])) for _ in order]
    room = clib.empty([x.shape[d] * abs(s) for d, s in zip(order, steps, strict=True)], clib.dtype_of(x))
    out = room[tuple(slice(None, None, s) for s in steps)].transpose(np.argsort(order))
    assert out.shape == x.shape
    out[...] = x
    return out


def as_it_is(x: np.ndarray) -> np.ndarray:
    return x


def run(loss: clib.Loss, inputs: list[Any], laid_out: Any, dtype: str, threads: int, **options: Any) -> clib.Output:
    """All outputs, each laid out by `laid_out`."""
    shape = inputs[0].shape
    is_sum = loss.base_name == "sum"
    grads = {
        name: laid_out(clib.filled(x.shape, dtype))
        for i, (name, x) in enumerate(zip(loss.inputs, inputs, strict=False))
        if is_sum or loss.differentiable(i)
    }
    values = laid_out(clib.filled(loss.values_shape(inputs[0]), dtype))
    hess = laid_out(clib.filled(shape, dtype)) if is_sum or loss.has_hess else None
    reduced = not any(f"reduction={r}" in loss.spec.replace('"', "") for r in ("none", "per_row"))
    args, kept = loss.arguments(
        *inputs, grads=grads, values=values, hess=hess, value=reduced, sum=True, threads=threads, **options
    )
    clib.check(lib.lossfn_run(loss.handle, clib.c.byref(args)))
    plain = {k: np.ascontiguousarray(g) for k, g in grads.items()}
    value = kept["value"].value if reduced else None
    return clib.Output(
        value,
        np.ascontiguousarray(values),
        plain,
        None if hess is None else np.ascontiguousarray(hess),
        kept["sum"].value,
        None,
        args.notes,
        args.note_index,
    )


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_any_layout(name: str) -> None:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    for turn in range(harness.scaled(10)):
        shape = SHAPES[turn % len(SHAPES)]
        dtype = ("f32", "f32", "f64", "bf16", "f16")[turn % 5]
        inputs = harness.tame(name, dtype, shape, rng)
        some = [tuple(n if rng.random() < 0.5 else 1 for n in shape) for _ in range(2)]
        options: dict[str, Any] = {}
        if turn % 3 > 0:
            options["weight"] = rng.choice([0, 0.5, 1.25, 3], some[0]).astype("f4")
        if turn % 4 > 1:
            options["mask"] = rng.integers(0, 3, some[1]).astype(("u1", "i4", "f4", "f8")[turn % 4])
        if turn % 5 == 1:
            options["upstream"] = rng.normal(0, 1, shape).astype("f4")
        loss = clib.Loss(clib.spec(name, reduction="none" if "upstream" in options else "mean"))
        want = run(loss, inputs, as_it_is, dtype, 1, **options)
        for threads in (1, 3):
            turned = {k: laid(x, rng) for k, x in options.items()}
            got = run(loss, [laid(x, rng) for x in inputs], lambda x: laid(x, rng), dtype, threads, **turned)
            same(want, got, f"{shape} {dtype} {list(options)}")


def test_first_fault_in_any_layout() -> None:
    rng = np.random.default_rng(5)
    loss = clib.Loss("poisson_nll")
    for shape in ((70, 150), (33, 7), (3, 40, 50)):
        pred, target = harness.tame("poisson_nll", "f32", shape, rng)
        bad = rng.choice(target.size, 20, replace=False)
        target.reshape(-1)[bad] = -1
        for _ in range(6):
            got = run(loss, [laid(pred, rng), laid(target, rng)], lambda x: laid(x, rng), "f32", 1)
            assert got.note_index == bad.min()
    hinge = clib.Loss("hinge")
    for shape in ((70, 150), (33, 7)):
        pred, target = harness.tame("hinge", "f32", shape, rng)
        bad = rng.choice(target.size, 20, replace=False)
        target.reshape(-1)[bad] = 0
        for _ in range(6):
            with pytest.raises(clib.Failure, match=rf"target\[{bad.min()}\] is 0"):
                hinge.run(laid(pred, rng), laid(target, rng))


@pytest.mark.parametrize("spec", ["mse", "bce_with_logits", "mse + 0.5*mae"])
@pytest.mark.parametrize("dtype", ["f32", "f64", "bf16"])
def test_rows_by_themselves(spec: str, dtype: str) -> None:
    """per_row, and what it counts: as one call per row."""
    rng = np.random.default_rng(6)
    for cols in (1, 2, 4, 7, 16, 33, 128, 200, 700, 9000):
        rows = max(3, 400 // cols)
        pred = clib.cast(rng.normal(0, 1, (rows, cols)) * np.exp2(rng.integers(-40, 3, (rows, cols))), dtype)
        target = clib.cast(rng.uniform(0, 1, (rows, cols)), dtype)
        weight = rng.choice([0, 0.7, 1, -2], (rows, cols)).astype("f4")
        upstream = rng.normal(0, 1, rows).astype("f4")
        rows_loss, alone, single = (clib.Loss(text(spec, r)) for r in ("per_row", "sum", "none"))
        got = run(rows_loss, [pred, target], as_it_is, "f64", 1, weight=weight, upstream=upstream)
        for row in range(rows):
            one = run(alone, [pred[row], target[row]], as_it_is, "f64", 1, weight=weight[row])
            assert got.values[row] == one.value
        each = np.repeat(upstream[:, None], cols, 1)
        every = run(single, [pred, target], as_it_is, "f64", 1, weight=weight, upstream=each)
        assert got.grads["pred"].tobytes() == every.grads["pred"].tobytes()
        kept = rng.random((rows, cols)) < 0.3
        mean = clib.Loss(text(spec, "mean_rows")).run(pred, target, mask=kept, want="value denom")
        assert mean.denom == kept.any(1).sum()


def text(spec: str, reduction: str) -> str:
    """A spec, of a sum too, with a reduction."""
    first, *others = spec.split(" ", 1)
    return " ".join([f"{first}(reduction={reduction})", *others])


@pytest.mark.parametrize("shape", [(300, 37), (37, 300), (5, 6, 70), (1000, 3)])
def test_gradients_that_repeated_inputs_collect(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(7)
    loss = clib.Loss("barron(reduction=sum)")
    for dtype in ("f32", "f64"):
        pred, target, alpha, scale = harness.tame("barron", dtype, shape, rng)
        for _ in range(4):
            kept = [rng.random() < 0.5 for _ in shape]
            part = tuple(slice(None) if k else slice(0, 1) for k in kept)
            few = [np.ascontiguousarray(x[part]) for x in (alpha, scale)]
            full = [np.ascontiguousarray(np.broadcast_to(x, shape)) for x in few]
            every = loss.run(pred, target, *full, want="grads")
            for threads in (1, 3):
                got = loss.run(laid(pred, rng), target, *few, want="grads", threads=threads)
                for name in ("alpha", "scale"):
                    axes = [i for i, k in enumerate(kept) if not k]
                    moved = np.moveaxis(every.grads[name].astype("f8"), axes, range(-len(axes), 0)) if axes else None
                    if moved is None:
                        assert got.grads[name].tobytes() == every.grads[name].tobytes()
                        continue
                    lines = moved.reshape(math.prod(n for n, k in zip(shape, kept, strict=True) if k), -1)
                    sums = np.array([math.fsum(line) for line in lines]).reshape(few[0].shape)
                    assert got.grads[name].tobytes() == sums.astype(got.grads[name].dtype).tobytes()
