# SPDX-License-Identifier: MIT
"""What stands in a term of a sum belongs to that term, also where several terms have a parameter of the same name."""

from __future__ import annotations

import ctypes as c
import zlib
from typing import Any

import clib
import harness
import numpy as np
import pytest
from clib import lib
from harness import ELEMENTWISE, NAMES
from reference import LOSSES

CONSTANTS = {"tau": (0.9, 0.125), "alpha": (0.5, 1.75)}  # two that differ; of any other
LEARNABLE = [(name, parameter) for name in NAMES for parameter in LOSSES[name].learnable]


def run(text: str, inputs: list[Any]) -> dict[str, Any]:
    """The value, and derivatives by pred."""
    loss, pred = clib.Loss(text), inputs[0]
    grad = clib.filled(pred.shape, clib.dtype_of(pred))
    args, kept = loss.arguments(*inputs, value=True, grads={"pred": grad})
    clib.check(lib.lossfn_run(loss.handle, c.byref(args)))
    return {"value": kept["value"].value, "grad": grad}


def close(got: Any, want: Any, dtype: str, size: Any) -> None:
    eps = 8 * np.finfo(clib.NUMPY[dtype]).eps
    np.testing.assert_array_less(np.abs(got - want), eps * np.abs(size) + 1e-30)


@pytest.mark.parametrize("n", [1, 7, 5000])
@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize(("name", "parameter"), LEARNABLE)
def test_own_constants(name: str, parameter: str, dtype: str, n: int) -> None:
    entry = LOSSES[name]
    rng = np.random.default_rng(zlib.crc32(f"{name} {parameter} {dtype} {n}".encode()))
    shape = (n, 3) if entry.unit == "row" else (n,)
    inputs = [
        None if key in entry.learnable else x for key, x in zip(entry.inputs, harness.tame(name, dtype, shape, rng))
    ]
    specs = [clib.spec(name, **{parameter: x}) for x in CONSTANTS.get(parameter, (0.5, 3.0))]
    alone = [run(spec, inputs) for spec in specs]
    for first, second in ((0, 1), (1, 0)):
        both = run(f"{specs[first]} + 2*{specs[second]}", inputs)
        for key in ("value", "grad"):
            terms = alone[first][key], 2 * alone[second][key]
            close(both[key], sum(terms), dtype, sum(np.abs(x) for x in terms))


@pytest.mark.parametrize("n", [1, 7, 500])
@pytest.mark.parametrize("name", sorted({name for name, _ in LEARNABLE if name in ELEMENTWISE and "scale" in LOSSES[name].learnable}))  # fmt: skip
def test_beside_rows(name: str, n: int) -> None:
    """The same in a sum of elements and rows."""
    rng = np.random.default_rng(n)
    pred, target = (rng.dirichlet(np.ones(5), n) for _ in range(2))
    rest = [None] * (len(LOSSES[name].inputs) - 2)
    if any(key not in LOSSES[name].learnable for key in list(LOSSES[name].inputs)[2:]):
        return
    specs = [clib.spec(name, scale=0.5), clib.spec(name, scale=3.0), "total_variation"]
    alone = [run(spec, [pred, target, *(rest if k < 2 else [])]) for k, spec in enumerate(specs)]
    both = run(" + ".join(specs), [pred, target, *rest])
    for key in ("value", "grad"):
        close(both[key], sum(one[key] for one in alone), "f64", sum(np.abs(one[key]) for one in alone))
