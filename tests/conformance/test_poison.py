# SPDX-License-Identifier: MIT
"""What is not kept has no influence: NaN, infinities, illegal labels, values outside the domain in masked, ignored and
weight-0 units change no output, no note and no error."""

from __future__ import annotations

import clib
import harness
import numpy as np
import pytest
import reference
from harness import NAMES, REDUCTIONS, same
from reference import LOSSES

POISONS = (np.nan, np.inf, -np.inf, -3.0, 1e30, 0.0)


def poisoned(name: str, inputs: list, units: np.ndarray, poison: float, rng: np.random.Generator) -> list:
    """Copies with the poison in every input of the chosen units; labels become illegal."""
    out = []
    for x in inputs:
        x = x.copy()
        if x.dtype.kind in "iu":
            x[units] = rng.choice([-7, 99, np.iinfo(x.dtype).max, np.iinfo(x.dtype).min])
        else:
            x[units] = poison
        out.append(x)
    return out


@pytest.mark.parametrize("how", ["mask", "weight", "ignored", "scalar mask"])
@pytest.mark.parametrize("name", NAMES)
def test_not_kept(name: str, how: str) -> None:
    entry = LOSSES[name]
    hard = entry.inputs.get("target") == reference.CLASSES
    rng = np.random.default_rng(21)
    ran = 0
    for dtype in ("f32", "f64"):
        for shape in ((6, 3), (40, 4), (9, 1)):
            inputs = harness.tame(name, dtype, shape, rng)
            unit = shape[:1] if entry.unit == "row" else shape
            dead = rng.random(unit) < (1.1 if how == "scalar mask" else 0.4)
            keywords: dict = {}
            options: dict = {}
            if how == "mask":
                keywords["mask"] = ~dead
            elif how == "weight":
                keywords["weight"] = np.where(dead, 0.0, rng.choice([0.5, 2.0], unit))
            elif how == "scalar mask":
                keywords["mask"] = np.zeros((), np.uint8)
            elif not hard:
                continue
            else:
                options["ignore_index"] = -100
            for reduction in REDUCTIONS:
                for domain in ("note", "error"):
                    for nan_policy in ("propagate", "error"):
                        loss = clib.Loss(
                            clib.spec(name, reduction=reduction, domain=domain, nan_policy=nan_policy, **options)
                        )
                        clean_inputs = [x.copy() for x in inputs]
                        if how == "ignored":
                            clean_inputs[1][dead] = -100
                        clean = loss.run(*clean_inputs, **keywords)
                        assert not clean.notes & clib.DOMAIN
                        for poison in POISONS if reduction in ("mean", "none") else POISONS[:2]:
                            bad = poisoned(name, clean_inputs, dead, poison, rng)
                            if how == "ignored":
                                bad[1] = clean_inputs[1]
                            same(clean, loss.run(*bad, **keywords), f"{reduction} {domain} {nan_policy} {poison}")
                            ran += 1
                        for g in clean.grads.values():
                            assert not np.any(g[dead]) or g.shape != shape
    assert ran or how == "ignored"


@pytest.mark.parametrize("name", NAMES)
def test_kept_nan_stays_where_it_is(name: str) -> None:
    """NaN in a kept unit gives NaN there, in whatever is asked for, and in the reduction, no domain fault, and nothing
    elsewhere."""
    entry = LOSSES[name]
    rng = np.random.default_rng(22)
    for dtype in ("f32", "f64"):
        shape = (37, 3) if entry.unit == "row" else (37,)
        inputs = harness.tame(name, dtype, shape, rng, soft=True)
        bare = clib.Loss(clib.spec(name, reduction="none"))
        clean = bare.run(*inputs)
        for i, _x in enumerate(inputs):
            for at in (0, 5, 36):
                bad = [y.copy() for y in inputs]
                place = (at, int(rng.integers(3))) if entry.unit == "row" else (at,)
                bad[i][place[: bad[i].ndim]] = np.nan
                if entry.inputs[list(entry.inputs)[i]] == reference.MARGIN:
                    continue  # an illegal label
                got = bare.run(*bad)
                others = np.arange(37) != at
                assert np.isnan(got.values[at]), (list(entry.inputs)[i], got.values[at])
                assert got.values[others].tobytes() == clean.values[others].tobytes()
                assert not got.notes & clib.DOMAIN
                for key, g in got.grads.items():
                    assert g[others].tobytes() == clean.grads[key][others].tobytes()
                if got.hess is not None:
                    assert got.hess[others].tobytes() == clean.hess[others].tobytes()
                if entry.unit == "element":
                    outputs = {**got.grads, **({} if got.hess is None else {"hess": got.hess})}
                    assert all(np.isnan(x[at]) for x in outputs.values()), outputs
                elif i == 0:
                    assert np.isnan(got.grads["pred"][place]), "gradient where pred is NaN"
                assert np.isnan(clib.Loss(name).run(*bad, want="value").value)
                error = clib.Loss(clib.spec(name, nan_policy="error"))
                with pytest.raises(clib.Failure) as caught:
                    error.run(*bad, want="value")
                assert caught.value.status == "DOMAIN"
                ignoring = clib.Loss(clib.spec(name, nan_policy="ignore"))
                mask = np.ones(37, bool)
                mask[at] = False
                same(ignoring.run(*bad), clib.Loss(name).run(*inputs, mask=mask), "nan_policy=ignore")


OUTSIDE = {
    reference.PROBABILITY: (1.5, -0.25, np.inf, -np.inf, 1 + 2.0**-23), reference.BINARY: (1.5, -0.25),
    reference.COUNT: (-1.0, -0.5), reference.VARIANCE: (-1.0, 0.0), reference.POSITIVE: (-1.0,),
    reference.ABOVE_MINUS_ONE: (-1.5, -np.inf), reference.OPEN_PROBABILITY: (0.0, 1.0, -0.25, np.inf),
    reference.UPPER: (-1.0, 0.0), reference.EVENT: (0.5, -1.0, 2.0),
    reference.LEVELS: (1.5, -0.25), reference.BINS: (-0.5, 1000.0, np.inf),
    reference.ROW_LABEL: (0.0, 2.0),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_outside_the_domain(name: str) -> None:
    """NaN there and in the reduction, a note with the first index; domain=error writes nothing."""
    entry = LOSSES[name]
    rng = np.random.default_rng(23)
    for dtype in ("f32", "f64"):
        for shape, places in (((37, 3), [(0, 0), (5, 1), (36, 2)]), ((700, 20), [(0, 3), (699, 19), (350, 7)])):
            inputs = harness.tame(name, dtype, shape, rng, soft=True)
            bare, mean = clib.Loss(clib.spec(name, reduction="none")), clib.Loss(name)
            clean = bare.run(*inputs)
            for i, kind in enumerate(entry.inputs.values()):
                for value in OUTSIDE.get(kind, ()):
                    for place in places:
                        bad = [x.copy() for x in inputs]
                        inside = place[: bad[i].ndim]
                        bad[i][inside] = value
                        later = tuple(p - 1 if n == 0 else p for n, p in enumerate(shape))
                        bad[i][(-1, -1)[: bad[i].ndim]] = value
                        at = place[0] if entry.unit == "row" else place
                        got = bare.run(*bad)
                        assert np.isnan(got.values[at]), (name, value, later)
                        assert got.notes & clib.DOMAIN
                        assert got.note_index == place[0] * shape[1] + (place[1] if len(inside) > 1 else 0)
                        keep = np.ones(got.values.shape, bool)
                        keep[at] = False
                        keep[-1 if entry.unit == "row" else (-1, -1)] = False
                        assert got.values[keep].tobytes() == clean.values[keep].tobytes()
                        total = mean.run(*bad, threads=2)
                        assert np.isnan(total.value) and total.note_index == got.note_index
                        strict = clib.Loss(clib.spec(name, domain="error"))
                        grad, values = clib.filled(shape, dtype), clib.filled(got.values.shape, dtype)
                        before = grad.tobytes(), values.tobytes()
                        args, kept = strict.arguments(*bad, value=True, values=values, grads={"pred": grad})
                        status = clib.lib.lossfn_run(strict.handle, clib.c.byref(args))
                        assert clib.STATUS_NAMES[status] == "DOMAIN"
                        assert str(got.note_index) in clib.lib.lossfn_last_error().decode()
                        assert (grad.tobytes(), values.tobytes(), kept["value"].value) == (*before, -12345.0)
