# SPDX-License-Identifier: MIT
"""Half precision over its own numbers: every pred against some targets, in the long run against more of them;
LOSSFN_TEST_PAIRS=65536 takes all pairs.

What double precision gives, whose errors are bounded elsewhere in ulps that are 2^40 times smaller, is the sieve; what does
not pass it is judged by the reference, which also knows the largest term where terms cancel."""

from __future__ import annotations

import os
import zlib

import clib
import harness
import numpy as np
import pytest
import reference
from harness import ELEMENTWISE, PRECISION
from records import record
from reference import LOSSES

TARGETS = int(os.environ.get("LOSSFN_TEST_PAIRS", 256 * harness.BUDGET if harness.LONG else 4))
EVERY = np.arange(1 << 16).astype(np.uint16)
IN_UNIT = (reference.BINARY, reference.PROBABILITY, reference.OPEN_PROBABILITY)


def halves(bits: np.ndarray, dtype: str) -> np.ndarray:
    return bits.view(clib.BF16) if dtype == "bf16" else bits.view(np.float16)


def targets(kind: str, dtype: str, rng: np.random.Generator) -> np.ndarray:
    """Numbers that a target may be, all of them or some, in random order."""
    if kind == reference.MARGIN:
        return clib.cast(np.array([-1.0, 1.0]), dtype)
    x = clib.floats(halves(EVERY, dtype))
    legal = np.isfinite(x) if kind not in IN_UNIT else (x >= 0) & (x <= 1)
    if kind == reference.COUNT:
        legal &= (x >= 0) & (x == np.floor(x))
    return halves(rng.permutation(EVERY[legal])[:TARGETS], dtype)


def errors(got: np.ndarray, exact: np.ndarray, dtype: str) -> np.ndarray:
    """In ulps as harness.ulps counts them; infinite where one is NaN or infinite and the other is not."""
    bits, lowest, highest = PRECISION[dtype]
    with np.errstate(all="ignore"):
        exponent = np.frexp(exact)[1] - bits
        ulp = np.ldexp(1.0, np.clip(exponent, lowest + harness.ROOM, highest - bits))
        alike = (got == exact) | (np.isnan(got) & np.isnan(exact)) | (got == clib.floats(clib.cast(exact, dtype)))
        error = np.abs(got - exact) / ulp
    return np.where(np.isfinite(error), error, np.where(alike, 0, np.inf))


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
@pytest.mark.parametrize("name", [n for n in ELEMENTWISE if len(LOSSES[n].inputs) - len(LOSSES[n].learnable) <= 3])
def test_pairs(name: str, dtype: str) -> None:
    info, entry = clib.describe(name), LOSSES[name]
    rng = np.random.default_rng(zlib.crc32(f"pairs {name} {dtype}".encode()))
    loss = clib.Loss(clib.spec(name, reduction="none"))
    needed = [n for n in entry.inputs if n not in entry.learnable]
    every = halves(EVERY, dtype)
    chosen = targets(entry.inputs[needed[1]], dtype, rng) if len(needed) > 1 else every[:1]
    limits = {"value": info.ulp_value, "hess": info.ulp_hess}
    worst, compared, judged = 0.0, 0, 0
    for target in chosen:
        inputs = [every, np.full_like(every, target), *harness.tame(name, dtype, every.shape, rng)[2:]]
        inputs = [x if n in needed else None for n, x in zip(entry.inputs, inputs)]
        wide = [None if x is None else clib.floats(x) for x in inputs]
        half, double = (loss.run(*x, want="values grads hess") for x in (inputs, wide))
        outputs = {"value": (half.values, double.values), "hess": (half.hess, double.hess)}
        outputs |= {n: (g, double.grads[n]) for n, g in half.grads.items()}
        for key, (narrow, exact) in outputs.items():
            if narrow is None:
                continue
            limit = harness.bound(limits.get(key, info.ulp_grad), "f32", dtype)
            got = clib.floats(narrow)
            error = errors(got, exact, dtype)
            beyond = np.flatnonzero(error > limit)
            for i in rng.permutation(beyond)[:8]:
                unit = [float(x[i]) for x in wide if x is not None]
                constants = {k: entry.defaults[k] for k in entry.learnable}
                want = reference.evaluate(name, unit, constants)[key]
                off = harness.ulps(float(got[i]), want, dtype)
                if off > limit and key == "hess" and entry.inputs.get("target") == reference.REAL:
                    r = float(np.float32(unit[0]) - np.float32(unit[1]))  # rounded, it may be beyond a kink
                    there = reference.evaluate(name, [r, 0.0, *unit[2:]], constants)[key]
                    off = min(off, harness.ulps(float(got[i]), there, dtype))
                assert off <= limit, (unit, key, got[i], want, off)
                judged += 1
            worst = max(worst, float(np.delete(error, beyond).max(initial=0)))
            compared += error.size
    record("pairs", f"{name}.{dtype}", {"worst": worst, "compared": compared, "judged": judged})
