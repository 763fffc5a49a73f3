# SPDX-License-Identifier: MIT
"""More cases of the kinds of bug that the gauntlet collects: A binary, B classes, C sums and regression, D divergences,
E directions, F margins, H robust losses, S shapes."""

from __future__ import annotations

import clib
import harness
import numpy as np
import pytest
import reference
import sample
from harness import same, scaled

DTYPES = ("f32", "f64")


def none(name: str, **params) -> clib.Loss:
    return clib.Loss(clib.spec(name, reduction="none", **params))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_mirror_images(dtype: str) -> None:
    """A08: bce(z, 1) is bce(-z, 0), bit for bit, in value, gradient and Hessian; nothing saturates."""
    real = sample.FLOATS[dtype]
    z = sample.reals(np.random.default_rng(0), scaled(20000), real)
    one, zero = (
        none("bce_with_logits").run(s * z, np.full(z.shape, y, real), want="values grad:pred hess")
        for s, y in ((1, 1), (-1, 0))
    )
    np.testing.assert_array_equal(one.values, zero.values)
    np.testing.assert_array_equal(one.grads["pred"], -zero.grads["pred"])
    np.testing.assert_array_equal(one.hess, zero.hess)
    assert (one.values >= 0).all() and np.isfinite(one.values[np.isfinite(z)]).all()
    assert (np.abs(one.grads["pred"]) <= 1).all() and (one.grads["pred"] <= 0).all()
    p = sample.probabilities(np.random.default_rng(1), scaled(5000), real)
    exact = p[1 - (1 - p) == p]  # 1 - p representable
    a, b = (
        none("binary_cross_entropy").run(exact, np.ones_like(exact), want="values"),
        none("binary_cross_entropy").run(1 - exact, np.zeros_like(exact), want="values"),
    )
    np.testing.assert_allclose(a.values, b.values, rtol=8 * np.finfo(real).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_certain_probabilities(dtype: str) -> None:
    """A14, A15: exactly 0 and exactly infinite where that is so, for hard and soft targets."""
    real = sample.FLOATS[dtype]
    p, y = (x.ravel() for x in np.meshgrid(np.array([0, 1], real), np.array([0, 0.25, 1], real)))
    out = none("binary_cross_entropy").run(p, y, want="values grad:pred hess")
    right = p == y
    np.testing.assert_array_equal(out.values, np.where(right, 0, np.inf))
    np.testing.assert_array_equal(
        out.grads["pred"], np.where(right, np.where(p == 0, 1, -1), np.where(p == 0, -np.inf, np.inf))
    )
    assert not np.signbit(out.values).any()


@pytest.mark.parametrize("classes", [1, 2, 3, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 129, 1000, 4097])
@pytest.mark.parametrize("dtype", DTYPES)
def test_b_one_finite_class_anywhere(dtype: str, classes: int) -> None:
    """B14: all other logits are -inf, in whatever block the finite one stands."""
    real = sample.FLOATS[dtype]
    at = sorted(
        {0, 1, classes // 2, classes - 1, *(b + d for b in (16, 64, 1024) for d in (-1, 0, 1))} & set(range(classes))
    )
    pred = np.full((len(at), classes), -np.inf, real)
    pred[np.arange(len(at)), at] = 10
    out = none("cross_entropy").run(pred, np.array(at), want="values grad:pred hess")
    assert not out.values.any() and not out.grads["pred"].any() and not out.hess.any()
    if classes > 1:
        other = none("cross_entropy").run(pred, (np.array(at) + 1) % classes, want="values")
        assert np.isposinf(other.values).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_b_far_from_zero(dtype: str) -> None:
    """B01 to B04: logits shifted by a large number that keeps them exact have the same bits whatever the number is, and
    the values that they have near 0."""
    real = sample.FLOATS[dtype]
    rng = np.random.default_rng(2)
    close = 8 * np.finfo(real).eps  # both within 4 ulp
    for classes in (2, 3, 5, 16, 40, 130):
        z = np.round(rng.normal(0, 30, (60, classes)))
        label = rng.integers(0, classes, 60)
        plain = none("cross_entropy").run(z.astype(real), label)
        shifted = none("cross_entropy").run((z + 2.0**14).astype(real), label)
        steps = 8 * float(np.finfo(real).smallest_subnormal)
        np.testing.assert_allclose(shifted.values, plain.values, rtol=close, atol=steps)
        np.testing.assert_allclose(shifted.grads["pred"], plain.grads["pred"], rtol=close, atol=steps)
        for shift in (-(2.0**14), 2.0**15, *((2.0**40, -(2.0**45)) if dtype == "f64" else ())):
            same(shifted, none("cross_entropy").run((z + shift).astype(real), label), f"shift {shift}")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", harness.CLASSES)
def test_b_labels_and_their_one_hot(name: str, dtype: str) -> None:
    """B23, B24: a label and its one-hot are one distribution: the same bits under any options and reduction."""
    real = sample.FLOATS[dtype]
    rng = np.random.default_rng(3)
    for classes in (1, 2, 3, 10, 17, 33):
        pred = rng.uniform(0.05, 0.95, (25, classes)).astype(real)
        label = rng.integers(0, classes, 25)
        weights = rng.choice([0.5, 1.0, 2.0, 0.0], classes)
        weight = rng.choice([0.0, 1.0, 0.25], 25)
        for reduction in harness.REDUCTIONS:
            for options in (
                {},
                {"class_weight": weights},
                {"label_smoothing": 0.25},
                {"class_weight": weights, "label_smoothing": 0.1},
            ):
                if not options.keys() <= reference.LOSSES[name].defaults.keys():
                    continue
                loss = clib.Loss(clib.spec(name, reduction=reduction, **options))
                want = "sum denom values grad:pred hess" + ("" if reduction in ("none", "per_row") else " value")
                same(
                    loss.run(pred, label, weight=weight, want=want),
                    loss.run(pred, np.eye(classes, dtype=real)[label], weight=weight, want=want),
                    f"{classes} {reduction} {options}",
                )


def test_b_two_shards_or_padding() -> None:
    """B16 to B22: rows that are ignored may as well not be there, whatever the other options."""
    rng = np.random.default_rng(4)
    for _ in range(scaled(60)):
        classes = int(rng.integers(2, 9))
        pred = rng.normal(0, 3, (20, classes))
        label = rng.integers(0, classes, 20)
        dead = rng.random(20) < 0.4
        options = {
            "label_smoothing": rng.choice([0.0, 0.1, 1.0]),
            "class_weight": rng.choice([0.5, 1.0, 16.0], classes),
        }
        for ignore in (-100, -1, 255, classes, classes + 1):
            loss = clib.Loss(clib.spec("cross_entropy", ignore_index=ignore, **options))
            padded = loss.run(
                np.where(dead[:, None], np.nan, pred), np.where(dead, ignore, label), want="value sum denom grad:pred"
            )
            bare = loss.run(pred[~dead], label[~dead], want="value sum denom grad:pred")
            assert clib.canonical(np.float64([padded.value, padded.sum, padded.denom])) == clib.canonical(
                np.float64([bare.value, bare.sum, bare.denom])
            )
            assert padded.grads["pred"][~dead].tobytes() == bare.grads["pred"].tobytes()
            assert not padded.grads["pred"][dead].any()


@pytest.mark.parametrize("dtype", harness.FLOATS)
def test_c_sums_that_stop_growing(dtype: str) -> None:
    """C25, C26: counts beyond the precision of the dtype, and a large number among small ones."""
    for n in (257, 1000, 2049, 70000):
        ones, zeros = clib.cast(np.ones(n), dtype), clib.cast(np.zeros(n), dtype)
        assert clib.Loss("mae(reduction=sum)").run(ones, zeros, want="value").value == n
    n = (1 << 24) + 5
    if dtype == "f32":
        one = np.lib.stride_tricks.as_strided(np.ones(1, np.float32), (n,), (0,))
        assert clib.Loss("mae(reduction=sum)").run(one, one * 0, want="value").value == n
    top = float(np.finfo(np.float32).max) if dtype != "f64" else float(np.finfo(np.float64).max)
    if dtype in DTYPES:
        x = clib.cast(np.array([top, top, top, 1.0]), dtype)
        assert clib.Loss("mae").run(x, x * 0, want="value").value == pytest.approx(0.75 * top, rel=1e-7)
        mixed = clib.cast(np.array([1e30, 1.0, 1e-30] * 100), dtype)
        got = clib.Loss("mae(reduction=sum)").run(mixed, mixed * 0, want="value").value
        assert got == harness.to_float(harness.exact_sum(mixed))


@pytest.mark.parametrize("dtype", DTYPES)
def test_c_continuous_at_the_switch(dtype: str) -> None:
    """C02 to C05: value and slope pass through the kink without a step; huber(d) = d smooth_l1(d)."""
    real = sample.FLOATS[dtype]
    for d in (0.25, 1.0, 2.0, 10.0, 1024.0):
        x = np.array([s * v for v in sample.around(d, real) for s in (1, -1)], real)
        for name, parameter, slope in (("huber", "delta", d), ("smooth_l1", "beta", 1.0)):
            out = none(name, **{parameter: d}).run(x, np.zeros_like(x), want="values grad:pred")
            assert (np.abs(np.abs(out.grads["pred"]) - slope) <= 0.02 * slope).all()
            np.testing.assert_array_equal(np.sign(out.grads["pred"]), np.sign(x))
        huber, smooth = (
            none("huber", delta=d).run(x, x * 0, want="values").values,
            none("smooth_l1", beta=d).run(x, x * 0, want="values").values,
        )
        np.testing.assert_allclose(huber, smooth * real(d), rtol=4 * np.finfo(real).eps)
    x = sample.reals(np.random.default_rng(6), 500, real)
    same(none("huber", delta=np.inf).run(x, x * 0), none("half_squared_error").run(x, x * 0), "delta=inf")
    same(none("smooth_l1", beta=0.0).run(x, x * 0), none("mae").run(x, x * 0), "beta=0")


@pytest.mark.parametrize("dtype", DTYPES)
def test_d_identities(dtype: str) -> None:
    """kl(p, p) = 0; cross entropy = entropy + divergence; bits; log probabilities or probabilities."""
    real = sample.FLOATS[dtype]
    rng = np.random.default_rng(7)
    p = np.stack([sample.normalised(rng, 8, real) for _ in range(200)])
    q = np.stack([sample.normalised(rng, 8, real) for _ in range(200)])
    assert not none("kl_div").run(p, p, want="values").values.any()
    ce = none("categorical_cross_entropy").run(q, p, want="values").values
    parts = none("entropy").run(p, want="values").values + none("kl_div").run(q, p, want="values").values
    np.testing.assert_allclose(ce, parts, rtol=30 * np.finfo(real).eps)
    for base, unit in ((2.0, 1.0), (10.0, np.log10(2))):
        fair = none("entropy", base=base).run(np.full((1, 2), 0.5, real), want="values").values[0]
        assert fair == real(unit) if base == 2 else abs(fair - unit) < 1e-6
    for k in (1, 2, 4, 8, 16, 64, 1024):
        assert none("entropy", base=2.0).run(np.full((1, k), 1 / k, real), want="values").values[0] == np.log2(k)
        assert none("self_information", base=2.0).run(np.array([1 / k], real), want="values").values[0] == np.log2(k)
    zero = np.zeros((1, 4), real)
    zero[0, 2] = 1
    assert none("entropy").run(zero, want="values").values[0] == 0
    assert none("kl_div").run(zero, zero, want="values").values[0] == 0
    assert none("kl_div").run(zero, np.full((1, 4), 0.25, real), want="values").values[0] == np.inf


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0, 4.0, 10.0, 20.0])
@pytest.mark.parametrize("dtype", DTYPES)
def test_d_small_targets(dtype: str, alpha: float) -> None:
    """Targets need not sum to 1. Renyi's divergence of s t is that of t and ln s, so that its slope by the target grows
    as that falls, in classes without a target, too."""
    real, rng = sample.FLOATS[dtype], np.random.default_rng(10)
    p = rng.uniform(0.01, 1, (30, 6)).astype(real)
    t = np.where(rng.random(p.shape) < 0.4, 0, rng.uniform(0.01, 1, p.shape)).astype(real)
    t[:, 0] = 0.5
    loss = none("renyi_divergence", alpha=alpha)
    plain = loss.run(p, t, want="values grads")
    for s in (2.0**-3, 2.0**-20):
        out = loss.run(p, t * real(s), want="values grads")
        np.testing.assert_allclose(out.values, plain.values + np.log(s), rtol=1e-5 if dtype == "f32" else 1e-12)
        np.testing.assert_allclose(out.grads["pred"], plain.grads["pred"], rtol=100 * np.finfo(real).eps)
        finite = np.isfinite(plain.grads["target"])
        size = np.abs(np.where(finite, plain.grads["target"], 0)).max(-1, keepdims=True)
        off = np.subtract(out.grads["target"] * real(s), plain.grads["target"], where=finite, out=np.zeros_like(p))
        assert (np.abs(off) <= 100 * np.finfo(real).eps * size).all(), (s, np.abs(off).max())


@pytest.mark.parametrize("size", [1, 2, 3, 16, 17, 100, 1000])
@pytest.mark.parametrize("dtype", DTYPES)
def test_e_directions_alone_count(dtype: str, size: int) -> None:
    """E01 to E05: lengths near overflow and underflow change nothing, vectors of zeros are at a right angle to all,
    nothing is beyond -1 and 1, and a gradient stands upright on its vector."""
    real = sample.FLOATS[dtype]
    info, rng = np.finfo(real), np.random.default_rng(size)
    x, y = (rng.normal(size=(100, size)).astype(real) for _ in range(2))
    plain = none("cosine_similarity").run(x, y, want="values grad:pred")
    room = int(np.log2(size)) + 4
    for up, down in (
        (0, 0),
        (info.maxexp - room, info.minexp + info.nmant + 4),
        (info.minexp + info.nmant + 4, 0),
        (-9, 5),
    ):
        a, b = np.ldexp(x, up), np.ldexp(y, down)
        out = none("cosine_similarity").run(a, b, want="values")
        np.testing.assert_allclose(out.values, plain.values, rtol=0, atol=4 * info.eps)
        assert (np.abs(out.values) <= 1).all()
        same = none("cosine_distance").run(a, np.ldexp(a, min(0, -up) // 2 * 2), want="values")
        assert not same.values.any()
        against = none("cosine_distance").run(a, -a, want="values").values
        assert (against <= 2).all() and (against >= 2 - 4 * info.eps).all()
    upright = np.abs((plain.grads["pred"].astype(float) * x).sum(-1))
    assert (upright <= 40 * info.eps * np.abs(plain.grads["pred"] * x).sum(-1) + info.tiny).all()
    for a, b in ((x * 0, y), (x, y * 0), (x * 0, y * 0)):
        out = none("cosine_distance").run(a, b, want="values grads")
        assert (out.values == 1).all()
        assert not out.grads["pred"].any() and not out.grads["target"].any()


MARGINS = [name for name in harness.NAMES if clib.describe(name).family == b"margin"]


@pytest.mark.parametrize("name", MARGINS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_f_margins_are_symmetric(name: str, dtype: str) -> None:
    """F01: the loss of pred at -1 is that of -pred at 1, bit for bit, also far out; labels of any dtype say the same."""
    real = sample.FLOATS[dtype]
    z = sample.reals(np.random.default_rng(8), scaled(3000), real)
    one = none(name).run(z, np.ones_like(z), want="values grad:pred hess")
    other = none(name).run(-z, -np.ones_like(z), want="values grad:pred hess")
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(one.grads["pred"], -other.grads["pred"])
    if one.hess is not None:
        np.testing.assert_array_equal(one.hess, other.hess)
    assert not np.isnan(one.values[np.isfinite(z)]).any()
    for labels in (np.ones(z.shape, np.int8), np.ones(z.shape, np.int64), np.ones(z.shape, bool)):
        same(one, none(name).run(z, labels, want="values grad:pred hess"), labels.dtype)
    assert np.isnan(none(name).run(z[:1] * np.nan, np.ones(1, real), want="values").values).all()


@pytest.mark.parametrize("alpha", [1e-9, -1e-9, 2 - 1e-10, 2 + 1e-10, 1e-300, 0.0, 2.0, 1e9, -1e9, np.inf, -np.inf])
def test_h_barron_near_its_special_cases(alpha: float) -> None:
    """H09, H12: nothing is lost around alpha = 0 and 2 and far out."""
    x = np.array([1e-8, 0.1, 1.0, 3.0, 10.0])
    out = none("barron", alpha=alpha).run(x, x * 0, want="values grad:pred hess")
    info = clib.describe("barron")
    for i, r in enumerate(x):
        want = reference.evaluate("barron", [float(r), 0.0], {"alpha": alpha})
        assert harness.ulps(out.values[i], want["value"], "f64") <= info.ulp_value
        assert harness.ulps(out.grads["pred"][i], want["pred"], "f64") <= info.ulp_grad
        assert harness.ulps(out.hess[i], want["hess"], "f64") <= info.ulp_hess


@pytest.mark.parametrize("shape", [(3, 0), (0, 3), (0,), (2, 0, 3), (1, 1), ()])
@pytest.mark.parametrize("reduction", harness.REDUCTIONS)
def test_s_nothing_or_nearly(shape: tuple[int, ...], reduction: str) -> None:
    """Extents of 0 with every reduction and masks: no hang, no fault, EMPTY. (A mask on (3, 0) once hung.)"""
    x = np.zeros(shape)
    for options in ({}, {"mask": np.ones((1,) * x.ndim)}, {"weight": np.ones(())}):
        out = clib.Loss(clib.spec("mse", reduction=reduction)).run(
            x, x, want="values grads hess sum" + ("" if reduction in ("none", "per_row") else " value"), **options
        )
        assert bool(out.notes & clib.EMPTY) == (x.size == 0)
        assert out.sum == 0


# A parameter that is no number of the dtype, and what is made of it: the rest to 1, a difference from something near.
FINE = [
    *((name, {"tau": tau}) for name in ("quantile", "expectile", "log_lin_quantile", "m_quantile") for tau in (0.999, 1 - 1e-9)),
    ("sigmoid_focal", {"alpha": 0.999}), ("jensen_shannon", {"share": 0.999}), ("periodic", {"c": 0.1}), ("periodic", {"c": 2 * np.pi}),
    *((name, {"margin": 0.9}) for name in ("hinge", "squared_hinge", "crammer_singer", "multi_margin", "multilabel_margin", "one_vs_all_hinge")),
    *((name, {"epsilon": 1.1}) for name in ("epsilon_insensitive", "squared_epsilon_insensitive")),
    *((name, {"label_smoothing": e}) for e in (0.001, 0.999, 1.0) for name in (
        "binary_cross_entropy", "bce_with_logits", "cross_entropy", "categorical_cross_entropy", "nll", "one_vs_all_hinge", "one_vs_all_logistic")),
    *((name, {"clamp": c}) for c in (1e-7, 1e-15, 0.3) for name in ("binary_cross_entropy", "categorical_cross_entropy")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "params"), FINE, ids=lambda x: x if isinstance(x, str) else "-".join(map(str, *x.items()))
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_p_parameters_are_not_rounded(name: str, params: dict, dtype: str) -> None:
    """Parameters are doubles: float32 data are judged by the number that was given, not by the nearest float32."""
    entry, info, real = reference.LOSSES[name], clib.describe(name), sample.FLOATS[dtype]
    rng, loss = np.random.default_rng(9), none(name, **params)
    made = (sample.rows if entry.unit == "row" else sample.elements)(entry, real, params, 40, rng)
    for unit in made if entry.unit == "row" else list(zip(*made, strict=True)):
        exact = [x if isinstance(x, int) else [float(v) for v in x] if np.ndim(x) else float(x) for x in unit]
        inputs = [np.array([x]) if isinstance(x, int) else np.array([x], real) for x in exact]
        want, out = reference.evaluate(name, exact, params), loss.run(*inputs, want="values grads hess")
        found = {"value": (out.values, info.ulp_value), **{k: (g, info.ulp_grad) for k, g in out.grads.items()}}
        if out.hess is not None and entry.unit == "row":  # an edge may lie between the residual and its rounded value
            found["hess"] = out.hess, info.ulp_hess
        for key, (got, bound) in found.items():
            right = want[key] if isinstance(want[key], list) else [want[key]]
            for g, w in zip(np.ravel(got), right, strict=True):
                assert harness.ulps(float(g), w, dtype) <= 1.5 * bound + 1, (exact, key, g, w.sum)


def test_p_a_cosine_near_the_margin() -> None:
    x, y = (np.array([v], np.float32) for v in ((1, 0), (3, 4)))
    out = none("cosine_embedding", margin=0.5999).run(x, y, np.array([-1], np.float32), want="values")
    np.testing.assert_allclose(out.values, 0.6 - 0.5999, rtol=1e-6)


@pytest.mark.parametrize("clamp", [1e-7, 1e-15, 1e-20, 0.25])
@pytest.mark.parametrize("dtype", DTYPES)
def test_p_clipping_is_finite(dtype: str, clamp: float) -> None:
    """1 - clamp may round to 1: what is certain and wrong costs -log(clamp) all the same, either way round."""
    real = sample.FLOATS[dtype]
    p, y = np.array([0, 1, 0, 1], real), np.array([1, 0, 0, 1], real)
    want = np.array([-np.log(clamp)] * 2 + [-np.log1p(-clamp)] * 2)
    for out in (
        none("binary_cross_entropy", clamp=clamp).run(p, y, want="values grad:pred hess"),
        none("categorical_cross_entropy", clamp=clamp).run(
            np.stack([1 - p, p], -1), y.astype(np.int64), want="values grad:pred hess"
        ),
    ):
        np.testing.assert_allclose(out.values, want, rtol=4 * np.finfo(real).eps)
        assert not out.grads["pred"].any() and not out.hess.any()


@pytest.mark.parametrize("name", [n for n in harness.CLASSES if "label_smoothing" in reference.LOSSES[n].defaults])
@pytest.mark.parametrize("dtype", DTYPES)
def test_p_nothing_of_the_target(name: str, dtype: str) -> None:
    """B47: label_smoothing=1 leaves nothing of the target: no loss depends on it, impossible classes or not."""
    real = sample.FLOATS[dtype]
    pred = np.array([[0, 0.25, 0.5, 0.25], [0.125, 0.5, 0, 0.375]], real)
    if clib.SCALES[clib.describe_input(name, 0).scale] == "logits":
        pred = np.log(np.maximum(pred, 0), where=pred > 0, out=np.full_like(pred, -np.inf))
    loss = none(name, label_smoothing=1.0)
    soft = [np.eye(4, dtype=real)[labels] for labels in ([0, 1], [2, 2])]
    a, b = (loss.run(pred, t, want="values grads") for t in soft)
    np.testing.assert_array_equal(a.values, b.values)
    np.testing.assert_array_equal(a.grads["pred"], b.grads["pred"])
    for out in (a, b):
        assert np.isnan(out.values).all() or not out.grads["target"].any()


@pytest.mark.parametrize("gamma", [2.0**-10, 0.0625, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("name", ["sigmoid_focal", "categorical_focal"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_h_focal_of_the_nearly_certain(name: str, dtype: str, gamma: float) -> None:
    """H01, H02: 1 - p goes through the subnormal numbers to 0, and nothing of the loss becomes NaN or infinite."""
    real = sample.FLOATS[dtype]
    z = np.linspace(0.9, 1.1, 60) * -np.log(float(np.finfo(real).tiny))
    options = {"gamma": gamma, "reduction": "none"}
    if name == "sigmoid_focal":
        out = clib.Loss(clib.spec(name, alpha=-1, **options)).run(z.astype(real), np.ones(60, real))
    else:
        pred = np.stack([z, np.zeros(60)], -1).astype(real)
        out = clib.Loss(clib.spec(name, **options)).run(pred, np.zeros(60, np.int64))
    for x in (out.values, out.grads["pred"], out.hess):
        assert np.isfinite(x).all() and np.abs(x).max() < 1e-15
    steps = 2**8 * float(np.finfo(real).smallest_subnormal)
    want = np.exp(-(1 + gamma) * z.astype(real).astype(np.longdouble))
    np.testing.assert_allclose(out.values, want.astype(float), rtol=100 * np.finfo(real).eps, atol=steps)
