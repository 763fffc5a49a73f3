# SPDX-License-Identifier: MIT
"""Losses that compare all rows with what chance would give. What all losses promise is tested with all of them; here is
what comes from the function of the marginals."""

from __future__ import annotations

import ctypes as c
import math
from typing import Any

import clib
import harness
import numpy as np
import pytest
from formulas.multiclass import apart, kappa
from mpmath import mp, mpf
from reference import LOSSES
from test_accumulators import Accumulator

EMPTY_ROWS = np.zeros((0, 3)), np.zeros(0, np.int64)
SETTINGS: tuple[dict[str, Any], ...] = ({}, {"weighting": "linear"}, {"eps": 0}, {"weighting": "linear", "eps": 0.5})


def batch(n: int, classes: int, soft: bool = False, dtype: str = "f64", seed: int = 5) -> list[Any]:
    return harness.tame("weighted_kappa", dtype, (n, classes), np.random.default_rng(seed), soft)


def whole(pred: Any, target: Any, weight: Any = None, weighting: str = "quadratic", eps: float = 1e-6) -> Any:
    """The loss by its definition, with 60 digits: from the table of what was meant and what was said."""
    rows, classes = len(pred), len(pred[0])
    t = [[mpf(c == y) for c in range(classes)] for y in target] if np.ndim(target) == 1 else target
    w = [mpf(1)] * rows if weight is None else [mpf(float(x)) for x in weight]
    meant = [mp.fsum(w[i] * t[i][c] for i in range(rows)) for c in range(classes)]
    said = [mp.fsum(w[i] * pred[i][c] for i in range(rows)) for c in range(classes)]
    pairs = [(j, k) for j in range(classes) for k in range(classes)]
    observed = mp.fsum(
        apart(j, k, weighting) * mp.fsum(w[i] * t[i][j] * pred[i][k] for i in range(rows)) for j, k in pairs
    )
    chance = mp.fsum(apart(j, k, weighting) * meant[j] * said[k] for j, k in pairs) / mp.fsum(w)
    return mp.log(observed / chance + eps)


def exactly(x: np.ndarray) -> Any:
    return [[mpf(float(v)) for v in row] for row in x] if x.ndim == 2 else [int(v) for v in x]


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("options", SETTINGS, ids=str)
def test_by_its_definition(options: dict[str, Any], soft: bool) -> None:
    """Value, and every derivative as a difference of values of 60 digits."""
    inputs = batch(6, 4, soft)
    weight = np.array([1.0, 0.5, 3.0, 0.25, 1.0, 2.0])
    for reduction in ("mean", "sum", "mean_rows"):
        out = clib.Loss(clib.spec("weighted_kappa", reduction=reduction, **options)).run(*inputs, weight=weight)
        assert out.hess is None and out.value is not None and out.grads is not None
        exact = [exactly(x) for x in inputs]
        assert abs(out.value - whole(*exact, weight, **options)) < 4e-16
        step = mpf(10) ** -20
        for k, g in enumerate(out.grads.values()):
            for at in np.ndindex(g.shape):
                kept, sides = exact[k][at[0]][at[1]], []
                for sign in (-1, 1):
                    exact[k][at[0]][at[1]] = kept + sign * step
                    sides.append(whole(*exact, weight, **options))
                exact[k][at[0]][at[1]] = kept
                assert abs(g[at] - (sides[1] - sides[0]) / (2 * step)) < 2e-14, (k, at)


def test_the_reference_agrees_with_itself() -> None:
    """What the other tests take from the means of the marginals is the definition above."""
    pred, label = (exactly(x) for x in batch(9, 5))
    for options in SETTINGS:
        entry = LOSSES["weighted_kappa"]
        each = {k: v for k, v in options.items() if k in entry.defaults}
        values = [entry.formula(p, y, **each)["value"] for p, y in zip(pred, label, strict=True)]
        means = [[mp.fsum(p[c] for p in pred) / 9 for c in range(5)], [mpf(label.count(c)) / 9 for c in range(5)]]
        assert mp.almosteq(kappa(mp.fsum(values) / 9, *means, **options)[0], whole(pred, label, **options), 1e-40)


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16"])
def test_other_dtypes(dtype: str) -> None:
    pred, label = batch(40, 5, dtype=dtype)
    wide = clib.floats(pred).astype(np.float64)
    out = clib.Loss("weighted_kappa").run(pred, label, out="f32")
    want = clib.Loss("weighted_kappa").run(wide, label)
    assert abs(out.value - want.value) < 2.0**-23
    np.testing.assert_allclose(clib.floats(out.grads["pred"]), want.grads["pred"], atol=2.0**-25)


def test_its_edges() -> None:
    rng = np.random.default_rng(3)
    loss, plain = clib.Loss("weighted_kappa"), clib.Loss("weighted_kappa(eps=0)")
    label = np.array([0, 2, 1, 2, 0])
    agrees = loss.run(np.eye(3)[label], label)
    assert agrees.value == pytest.approx(math.log(1e-6), rel=1e-15)
    assert plain.run(np.eye(3)[label], label).value == -math.inf
    one = loss.run(np.eye(3)[[1, 1]], np.array([1, 1]))  # and chance agrees as well
    assert one.value == agrees.value and not one.grads["pred"].any()
    constant = loss.run(np.tile(rng.dirichlet(np.ones(3)), (5, 1)), label)
    assert abs(constant.value) < 2e-6  # no better than chance
    opposite = plain.run(np.eye(3)[[2, 2, 0, 0]], np.array([0, 0, 2, 2]))
    assert opposite.value == pytest.approx(math.log(2), rel=1e-15)
    single = loss.run(np.ones((4, 1)), np.zeros(4, np.int64))
    assert single.value == agrees.value
    for weight in (np.zeros(5), np.array([1.0, -1.0, 0, 0, 0])):
        nothing = loss.run(rng.dirichlet(np.ones(3), 5), label, weight=weight)
        assert math.isnan(nothing.value) and nothing.notes & clib.EMPTY and not nothing.grads["pred"].any()
    empty = clib.Loss("weighted_kappa(empty=zero)").run(*EMPTY_ROWS)
    assert empty.value == 0 and empty.notes & clib.EMPTY
    outside = rng.dirichlet(np.ones(3), 5)
    outside[3, 1] = 1.5
    bad = loss.run(outside, label)
    assert math.isnan(bad.value) and bad.notes & clib.DOMAIN and bad.note_index == 10
    assert np.isnan(bad.grads["pred"]).all()
    only = loss.run(outside, label, want="value")
    assert math.isnan(only.value) and only.notes & clib.DOMAIN and only.note_index == 10
    with pytest.raises(clib.Failure, match=r"weighted_kappa: element 10 is outside the domain: pred is 1\.5"):
        clib.Loss("weighted_kappa(domain=error)").run(outside, label)
    fine = loss.run(outside, label, mask=np.array([1, 1, 1, 0, 1], np.uint8))
    kept = np.array([0, 1, 2, 4])
    same = loss.run(outside[kept], label[kept])
    assert fine.value == same.value and (fine.grads["pred"][kept] == same.grads["pred"]).all()


def test_what_does_not_matter() -> None:
    """The size of all weights, the order of rows; a weight of 2 is a row that comes twice; mirrored classes."""
    rng = np.random.default_rng(8)
    pred, label = batch(50, 5)
    weight = rng.choice([1.0, 2.0], 50)
    for options in SETTINGS:
        loss = clib.Loss(clib.spec("weighted_kappa", **options))
        one = loss.run(pred, label, weight=weight)
        twice = np.repeat(np.arange(50), weight.astype(int))
        assert loss.run(pred[twice], label[twice]).value == one.value
        for scale in (2.0**-300, 2.0**300):
            other = loss.run(pred, label, weight=weight * scale)
            assert other.value == one.value and (other.grads["pred"] == one.grads["pred"]).all()
        for far in (1e-300, 1e300, 3e306):  # where 1 over their sum is no normal number
            other = loss.run(pred, label, weight=np.full(50, far))
            plain = loss.run(pred, label)
            assert other.value == pytest.approx(plain.value, rel=1e-11)
            np.testing.assert_allclose(other.grads["pred"], plain.grads["pred"], rtol=1e-11, atol=1e-13)
        order = rng.permutation(50)
        other = loss.run(pred[order], label[order], weight=weight[order])
        assert other.value == one.value and (other.grads["pred"] == one.grads["pred"][order]).all()
        mirrored = loss.run(pred[:, ::-1].copy(), 4 - label, weight=weight)
        assert mirrored.value == pytest.approx(one.value, rel=1e-13, abs=1e-15)
        alone = loss.run(pred, label, weight=weight, want="value"), loss.run(pred, label, weight=weight, want="grads")
        assert alone[0].value == one.value and (alone[1].grads["pred"] == one.grads["pred"]).all()
        scaled = loss.run(pred, label, weight=weight, upstream=np.array(-4.0), want="grads")
        assert (scaled.grads["pred"] == -4 * one.grads["pred"]).all()


@pytest.mark.parametrize("classes", [7, 8, 9, 256, 257, 3001])
def test_any_number_of_classes(classes: int) -> None:
    """Of which marginals take one pass or many, and room on the stack or in exec.scratch."""
    pred, label = batch(20, classes)
    loss = clib.Loss("weighted_kappa")
    out = loss.run(pred, label)
    far = np.subtract.outer(label, np.arange(classes)).astype(float) ** 2
    meant, said = np.bincount(label, minlength=classes), pred.sum(0)
    chance = meant @ np.subtract.outer(np.arange(classes), np.arange(classes)).astype(float) ** 2 @ said / 20
    assert out.value == pytest.approx(math.log((far * pred).sum() / chance + 1e-6), abs=1e-13)
    args, kept = loss.arguments(pred, label, value=True)
    needed = clib.lib.lossfn_scratch_size(loss.handle, c.byref(args))
    assert (needed > 0) == (classes > 256)
    if needed:
        args.exec = None
        assert clib.STATUS_NAMES[clib.lib.lossfn_run(loss.handle, c.byref(args))] == "ARGUMENT"
        assert f"exec.scratch has 0 bytes, {needed} are needed" in clib.lib.lossfn_last_error().decode()
        nowhere = clib.Exec()
        clib.lib.lossfn_exec_init(c.byref(nowhere))
        nowhere.scratch_size, args.exec = needed, c.pointer(nowhere)
        assert clib.STATUS_NAMES[clib.lib.lossfn_run(loss.handle, c.byref(args))] == "ARGUMENT"
        assert f"exec.scratch has 0 bytes, {needed} are needed" in clib.lib.lossfn_last_error().decode()
    del kept


def test_threads() -> None:
    for soft in (False, True):
        inputs = batch(40000, 5, soft, "f32")
        loss = clib.Loss("weighted_kappa")
        one = loss.run(*inputs)
        for threads in (2, 3, 8):
            harness.same(one, loss.run(*inputs, threads=threads), f"{threads} threads")


def test_in_a_sum() -> None:
    """Each part is reduced, then its function of the marginals, then the sum; several share the marginals."""
    inputs = batch(30, 4, soft=True)
    parts = {
        0.5: "weighted_kappa",
        -2: "categorical_cross_entropy",
        3: "weighted_kappa(weighting=linear)",
    }
    alone = [clib.Loss(name).run(*inputs, want="value grads") for name in parts.values()]
    both = clib.Loss(" + ".join(f"{factor}*{name}" for factor, name in parts.items()).replace("+ -", "- "))
    grads = {key: np.empty_like(g) for key, g in alone[0].grads.items()}
    args, kept = both.arguments(*inputs, value=True, grads=grads)
    clib.check(clib.lib.lossfn_run(both.handle, c.byref(args)))
    found = kept["value"].value
    assert found == pytest.approx(sum(k * a.value for k, a in zip(parts, alone, strict=True)), rel=1e-14)
    for key, g in grads.items():
        want = sum(k * a.grads[key] for k, a in zip(parts, alone, strict=True))
        np.testing.assert_allclose(g, want, rtol=1e-12, atol=1e-15)
    total = Accumulator(both)
    for rows in (slice(0, 7), slice(7, 30)):
        total.update(*[x[rows] for x in inputs])
    value = c.c_double()
    clib.check(clib.lib.lossfn_accumulator_value(total.handle, c.byref(value), None))
    assert value.value == found


def test_accumulators() -> None:
    """Rows of other classes cannot join; nothing is changed by what fails; empty ones have no value."""
    loss = clib.Loss("weighted_kappa")
    total, other = Accumulator(loss), Accumulator(loss)
    nothing = total.to_bytes(), total.read()
    with pytest.raises(clib.Failure):
        total.update(np.ones((3, 4)), np.array([0, 1, 9]))
    assert (total.to_bytes(), total.read()) == nothing
    total.update(*batch(9, 4))
    other.update(*batch(5, 3))
    before = total.to_bytes(), total.read()
    for join in (lambda: total.update(*batch(5, 3)), lambda: total.merge(other)):
        with pytest.raises(clib.Failure, match="3 classes are to be added to an accumulator of 4") as caught:
            join()
        assert caught.value.status == "SHAPE"
    with pytest.raises(clib.Failure):
        total.update(np.ones((3, 4)), np.array([0, 1, 9]))
    assert (total.to_bytes(), total.read()) == before
    total.merge(total)
    assert np.frombuffer(total.read(), np.float64, 1)[0] == np.frombuffer(before[1], np.float64, 1)[0]
    data = before[0]
    for length in range(len(data)):
        with pytest.raises(clib.Failure):
            Accumulator.from_bytes(loss, data[:length])
    at = len(loss.spec) + 9
    for classes in (0, 3, 5, 2**40, 2**63):
        place = data.index((4).to_bytes(8, "little"), at)
        with pytest.raises(clib.Failure):
            Accumulator.from_bytes(loss, data[:place] + classes.to_bytes(8, "little") + data[place + 8 :])
    blank = clib.Args()  # nobody has initialised it
    c.memset(c.byref(blank), 0xA5, c.sizeof(blank))
    blank.struct_size = 8
    for args in (None, c.byref(blank)):
        status = clib.lib.lossfn_accumulator_update(total.handle, args)
        assert clib.STATUS_NAMES[status] == "ARGUMENT", clib.lib.lossfn_last_error()
    clib.lib.lossfn_accumulator_reset(total.handle)
    assert (total.to_bytes(), total.read()) == nothing
    total.update(*batch(5, 3))
    assert total.to_bytes() == other.to_bytes()


def test_an_update_upon_its_input() -> None:
    """The gradient may lie on pred; weights that cancel have no value but count in what follows."""
    pred, label = batch(9, 4)
    loss = clib.Loss("weighted_kappa")
    whole = loss.run(pred, label, want="value grads")
    upon, total = pred.copy(), Accumulator(loss)
    total.update(upon, label, grads={"pred": upon})
    assert (upon == whole.grads["pred"]).all()
    assert np.frombuffer(total.read(), np.float64, 1)[0] == whole.value
    weight = np.array([1.0, 2.0, -3.0, 1, 1, 1, 1, 1, 1])
    parts = Accumulator(loss)
    for rows in (slice(0, 3), slice(3, 9)):
        parts.update(pred[rows], label[rows], weight=weight[rows])
    want = loss.run(pred, label, weight=weight, want="value").value
    assert np.frombuffer(parts.read(), np.float64, 1)[0] == want


def test_no_constant_is_best() -> None:
    loss = clib.Loss("weighted_kappa")
    args, kept = loss.arguments(*batch(9, 4))
    best = (c.c_double * 4)()
    assert clib.STATUS_NAMES[clib.lib.lossfn_init_score(loss.handle, c.byref(args), best)] == "UNSUPPORTED"
    assert "to it all constants are the same" in clib.lib.lossfn_last_error().decode()
    del kept
