# SPDX-License-Identifier: MIT
"""What a loss says of itself, tried on random points; what it does not say is expected to fail somewhere."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import clib
import harness
import numpy as np
import pytest
import reference
from clib import TRAITS
from harness import NAMES
from reference import LOSSES


def points(name: str, n: int):
    """Two preds with the same other inputs, as rows of 3 classes or single elements; hard and soft targets."""
    entry = LOSSES[name]
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    shape = (n, 3) if entry.unit == "row" else (n,)
    for soft in (False, True):
        a, b = (harness.tame(name, "f64", shape, rng, soft) for _ in range(2))
        if entry.inputs["pred"] in (reference.REAL, reference.LOGITS):
            for x in (a, b):
                x[0] *= np.exp2(rng.uniform(-4, 4, (n, 1) if entry.unit == "row" else n))
        if soft and entry.inputs.get("target") in (reference.CLASSES, reference.PROBABILITY):
            a[1] /= a[1].sum(-1, keepdims=True)  # traits are of distributions
        others = [None if k in entry.learnable else x for k, x in zip(entry.inputs, a, strict=True)][1:]
        yield a[0], b[0], others


def values(loss: clib.Loss, pred: np.ndarray, others: list) -> np.ndarray:
    return loss.run(pred, *others, want="values").values


@pytest.mark.parametrize("name", NAMES)
def test_traits(name: str) -> None:
    info, entry = clib.describe(name), LOSSES[name]
    claims = {k for k, bit in TRAITS.items() if info.traits & bit}
    loss = clib.Loss(clib.spec(name, reduction="none"))
    violated: set[str] = set()
    row = entry.unit == "row"
    lengths = lambda x: np.sqrt((x * x).sum(-1)) if row else np.abs(x)  # noqa: E731
    both_sides = 0
    for a, b, others in points(name, harness.scaled(4000)):
        at_a, at_b, middle = values(loss, a, others), values(loss, b, others), values(loss, (a + b) / 2, others)
        both_sides += int((at_a > at_b).sum() > 100) + int((at_a < at_b).sum() > 100)
        noise = 1e-12 * (np.abs(at_a) + np.abs(at_b) + 1)
        if (middle > (at_a + at_b) / 2 + noise).any():
            violated |= {"convex", "strictly_convex", "strongly_convex"}
        apart = lengths(a - b) > 0.01
        if not (middle < (at_a + at_b) / 2)[apart & (at_a + at_b < 30)].all():
            violated.add("strictly_convex")
        if (at_a < 0).any() or (at_b < 0).any():
            violated.add("nonnegative")
        if info.lipschitz and (np.abs(at_a - at_b) > info.lipschitz * lengths(a - b) * (1 + 1e-12) + noise).any():
            violated.add("lipschitz")
        if entry.inputs.get("target") == reference.REAL:
            target = others[0]
            mirrored = values(loss, 2 * target - a, others)
            if not np.allclose(mirrored, at_a, rtol=1e-9, atol=1e-12):
                violated.add("symmetric")
            moved = values(loss, a + 3, [target + 3, *others[1:]])
            if not np.allclose(moved, at_a, rtol=1e-6, atol=1e-9):
                violated.add("distance")
        if entry.inputs.get("target") == reference.MARGIN and not np.array_equal(values(loss, -a, [-others[0]]), at_a):
            violated.add("margin")
        out = loss.run(a, *others, want="grad:pred hess")
        step = 1e-7 * np.maximum(np.abs(a), 1e-3)
        near = loss.run(a + step, *others, want="grad:pred hess")
        with np.errstate(all="ignore"):
            if (np.abs(near.grads["pred"] - out.grads["pred"]) > 1e-3 * (1 + np.abs(out.grads["pred"]))).any():
                violated.add("differentiable")
        if "strongly_convex" in claims:
            assert (out.hess > 1e-6).all()
        if "convex" in claims and not row and out.hess is not None:
            assert (out.hess >= 0).all()
    assert both_sides == 4, "the generator did not vary"
    assert not (claims & violated), f"{name} claims {claims & violated}, but it is not so"
    if "lipschitz" in claims:
        assert 0 < info.lipschitz < np.inf
    # A convex or nonnegative loss should say so.
    for trait in ("convex", "nonnegative", "symmetric", "distance", "margin"):
        applicable = {"symmetric": reference.REAL, "distance": reference.REAL, "margin": reference.MARGIN}.get(trait)
        if entry.outer == "kappa":  # its traits are those of the function of all rows, not of what each adds
            continue
        if (applicable and entry.inputs.get("target") != applicable) or (
            trait == "nonnegative" and name in ("kl_div", "poisson_nll", "gaussian_nll", "barron_nll")
        ):
            continue
        assert trait in claims or trait in violated, f"{name} is {trait} but does not say so"


@pytest.mark.parametrize("name", NAMES)
def test_kinks(name: str) -> None:
    """Differentiable: the gradient is continuous across every kink. Otherwise it jumps at one, and says where."""
    info, entry = clib.describe(name), LOSSES[name]
    if entry.outer or entry.unit == "row" or entry.inputs.get("target") not in (reference.REAL, reference.MARGIN):
        return
    loss = clib.Loss(clib.spec(name, reduction="none"))
    jumps = 0
    for kink in (0.0, *(float(k) for k in entry.kinks())):
        x = np.array([kink - 1e-9, kink, kink + 1e-9])
        others = [
            np.full(3, 1.0) if n == "var" or entry.inputs[n] == reference.MARGIN else np.zeros(3)
            for n in entry.inputs
            if n != "pred" and n not in entry.learnable
        ]
        there = loss.run(x, *others, want="values grad:pred")
        g = there.grads["pred"]
        jumps += bool(abs(g[2] - g[0]) > 1e-3 or abs(there.values[2] - there.values[0]) > 1e-3)
        assert min(g[0], g[2]) <= g[1] + 1e-8 and g[1] <= max(g[0], g[2]) + 1e-8, "not a subgradient"
        if abs(g[2] - g[0]) > 1e-3 and min(g[0], g[2]) <= 0 <= max(g[0], g[2]):
            assert g[1] == 0, "0 is a subgradient here"
    assert (jumps == 0) == bool(info.traits & TRAITS["differentiable"])
    assert jumps == 0 or info.kinks


@pytest.mark.parametrize("name", NAMES)
def test_proper(name: str) -> None:
    """The expectation of a proper loss is least at the true probabilities; a calibrated one's minimum has the right sign."""
    info, entry = clib.describe(name), LOSSES[name]
    loss = clib.Loss(clib.spec(name, reduction="none"))
    rng = np.random.default_rng(8)
    if info.traits & TRAITS["proper"] and entry.unit == "element":
        grid = np.linspace(0.01, 0.99, 99)
        pred = np.log(grid / (1 - grid)) if entry.inputs["pred"] == reference.LOGITS else grid
        one, zero = (values(loss, pred, [np.full(99, y), *[None] * (info.n_inputs - 2)]) for y in (1.0, 0.0))
        for p in (0.13, 0.5, 0.77):
            assert abs(grid[np.argmin(p * one + (1 - p) * zero)] - p) < 0.006
    if info.traits & TRAITS["proper"] and entry.unit == "row":
        for _ in range(50):
            truth, other = rng.dirichlet([1, 1, 1]), rng.dirichlet([1, 1, 1])
            pair = np.stack([truth, other])
            pair = np.log(pair) if entry.inputs["pred"] != reference.PROBABILITY else pair
            a, b = values(loss, pair, [np.stack([truth, truth])])
            assert a <= b + 1e-12
    if info.traits & TRAITS["calibrated"] and entry.unit == "element" and entry.inputs["pred"] != reference.PROBABILITY:
        grid = np.linspace(-3, 3, 601)
        low = -1.0 if entry.inputs["target"] == reference.MARGIN else 0.0
        one, zero = (values(loss, grid, [np.full(601, y), *[None] * (info.n_inputs - 2)]) for y in (1.0, low))
        for p in (0.2, 0.45, 0.55, 0.9):
            assert np.sign(grid[np.argmin(p * one + (1 - p) * zero)]) == np.sign(p - 0.5)


@pytest.mark.parametrize("name", NAMES)
def test_hessian_kinds(name: str) -> None:
    """Fisher and upper are never negative; upper is at least the exact one; what is not offered says so."""
    info, _entry = clib.describe(name), LOSSES[name]
    loss = clib.Loss(clib.spec(name, reduction="none"))
    for pred, _, others in points(name, 500):
        if not loss.has_hess:
            args, _ = loss.arguments(pred, *others, hess=np.zeros_like(pred))
            assert clib.STATUS_NAMES[clib.lib.lossfn_run(loss.handle, clib.c.byref(args))] == "UNSUPPORTED"
            continue
        exact = loss.run(pred, *others, want="hess").hess
        for kind, label in ((clib.FISHER, "fisher"), (clib.UPPER, "upper")):
            if info.hess_kinds & (1 << kind):
                got = loss.run(pred, *others, want="hess", hess_kind=kind).hess
                assert (got >= 0).all(), label
                if kind == clib.UPPER:
                    assert (got >= exact * (1 - 1e-12)).all()
            else:
                with pytest.raises(clib.Failure) as caught:
                    loss.run(pred, *others, want="hess", hess_kind=kind)
                assert caught.value.status == "UNSUPPORTED"


BOUNDED = [name for name in NAMES if clib.describe(name).hess_kinds & (1 << clib.UPPER)]


@pytest.mark.parametrize("name", [name for name in BOUNDED if clib.describe(name).unit == clib.UNIT_ELEMENT])
def test_upper_hessian_bounds_the_loss(name: str) -> None:
    """The parabola of value, gradient and upper bound at any point lies above the loss everywhere."""
    rng = np.random.default_rng(31)
    for params in LOSSES[name].params:
        if params.get("alpha", 0) > 2 or any(isinstance(v, float) and not np.isfinite(v) for v in params.values()):
            continue  # no parabola is above a loss that grows faster
        fixed = {k: v for k, v in params.items() if k not in LOSSES[name].learnable}
        loss = clib.Loss(clib.spec(name, reduction="none", **fixed))
        pred, target, *others = harness.tame(name, "f64", (400,), rng)
        for k, value in params.items():
            if k in LOSSES[name].learnable:
                others[list(LOSSES[name].inputs).index(k) - 2] = np.full(400, float(value))
        at = loss.run(pred, target, *others, want="values grad:pred hess", hess_kind=clib.UPPER)
        for step in (1e-3, 0.3, 1, 4, 30):
            d = step * rng.normal(0, 1, 400)
            above = at.values + d * at.grads["pred"] + d * d / 2 * at.hess
            there = loss.run(pred + d, target, *others, want="values").values
            assert (there <= above + 1e-9 * (1 + abs(above))).all(), (params, step)


@pytest.mark.parametrize("name", [name for name in BOUNDED if clib.describe(name).unit == clib.UNIT_ROW])
def test_upper_hessian_bounds_the_whole(name: str) -> None:
    """The diagonal, less the whole Hessian, is positive semidefinite, wherever the row's level is; Fisher's is not below 0."""
    rng = np.random.default_rng(32)
    for params in LOSSES[name].params:
        if params.get("base", 2) < 1:
            continue
        options = reference.expand(params, 6)
        loss = clib.Loss(clib.spec(name, reduction="none", **options))
        pred, target, *_ = harness.tame(name, "f64", (50, 6), rng, True)
        pred += rng.uniform(-15, 5, (50, 1))
        bound, fisher = (loss.run(pred, target, want="hess", hess_kind=k).hess for k in (clib.UPPER, clib.FISHER))
        assert (bound >= 0).all() and (fisher >= 0).all(), params
        whole = np.zeros((50, 6, 6))
        for k in range(6):
            v, product = np.zeros_like(pred), np.zeros_like(pred)
            v[:, k] = 1
            args, _kept = loss.arguments(pred, target, hvp=product, hvp_vector=v)
            clib.check(clib.lib.lossfn_run(loss.handle, clib.c.byref(args)))
            whole[:, :, k] = product
        least = np.linalg.eigvalsh(bound[:, :, None] * np.eye(6) - whole).min(1)
        assert (least >= -1e-12 * (1 + bound.max(1))).all(), (params, least.min())


Model = Callable[[float], tuple[np.ndarray, np.ndarray]]  # of pred: targets and their chances


def continuous(log_density: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Places of a positive number and their chances; the density need not be normalised. The trapezoids of a smooth
    function that falls off on both sides are as good as exact."""
    t = np.linspace(-60, 60, 24001)
    log_chance = log_density(np.exp(t)) + t
    chance = np.exp(log_chance - log_chance.max())
    return np.exp(t[chance > 0]), chance[chance > 0] / chance.sum()


def counted(log_ratio: Callable[[np.ndarray], np.ndarray], n: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """Counts and their chances; log_ratio(k) is that of k to k - 1."""
    counts = np.arange(float(n))
    log_chance = np.concatenate([[0.0], np.cumsum(log_ratio(counts[1:]))])
    chance = np.exp(log_chance - log_chance.max())
    return counts, chance / chance.sum()


def coin(p: float, low: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    return np.array([low, 1.0]), np.array([1 - p, p])


def sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def beta(pred: float) -> tuple[np.ndarray, np.ndarray]:
    """Of a concentration of 10."""
    odds, chance = continuous(lambda o: (10 * sigmoid(pred) - 1) * np.log(o) - 10 * np.log1p(o))
    y = odds / (1 + odds)
    return y[y < 1], chance[y < 1]


def negative_binomial(mean: float) -> tuple[np.ndarray, np.ndarray]:
    """Of a dispersion of 1: geometric."""
    return counted(lambda k: np.log(mean / (1 + mean)) + 0 * k)


def poisson(mean: float) -> tuple[np.ndarray, np.ndarray]:
    return counted(lambda k: np.log(mean / k))


def mean_alone(mean: float) -> tuple[np.ndarray, np.ndarray]:
    """Where the exact Hessian is affine in the target any distribution of the mean will do."""
    return continuous(lambda y: -y / mean)


def inverse_gaussian(mean: float) -> tuple[np.ndarray, np.ndarray]:
    return continuous(lambda y: -1.5 * np.log(y) - (y - mean) ** 2 / (2 * mean**2 * y))


def of_log(model: Model) -> Model:
    return lambda x: model(float(np.exp(x)))


MEANS, LOGS = (0.3, 2.0, 17.0), (-1.5, 0.2, 2.5)
FISHER_MODELS: list[tuple[str, tuple[float, ...], Model]] = [
    ("mse", LOGS, lambda x: coin(0.5, x)),
    ("half_squared_error", LOGS, lambda x: coin(0.5, x)),
    ("gaussian_nll", LOGS, lambda x: coin(0.5, x)),
    ("bce_with_logits", LOGS, lambda x: coin(sigmoid(x))),
    ("logistic_margin", LOGS, lambda x: coin(sigmoid(x), -1.0)),
    ("poisson_nll", LOGS, of_log(poisson)),
    ("poisson_nll(log_input=false)", MEANS, poisson),
    ("gamma_nll", LOGS, of_log(mean_alone)),
    ("gamma_nll(log_input=false)", MEANS, mean_alone),
    ("inverse_gaussian_nll", LOGS, of_log(inverse_gaussian)),
    ("inverse_gaussian_nll(log_input=false)", MEANS, inverse_gaussian),
    ("tweedie_nll", LOGS, of_log(mean_alone)),
    ("tweedie_nll(log_input=false, power=1.2)", MEANS, mean_alone),
    ("negative_binomial_nll", LOGS, of_log(negative_binomial)),
    ("beta_nll", LOGS, beta),
    ("beta_divergence", MEANS, mean_alone),
]
FISHER_CLASSES = ("cross_entropy", "cross_entropy(base=2)", "logit_adjusted(prior=[.5, .2, .2, .1], tau=1)")
FISHER_EACH = ("one_vs_all_logistic", "multilabel_soft_margin")


@pytest.mark.parametrize(("spec", "preds", "model"), FISHER_MODELS, ids=[spec for spec, *_ in FISHER_MODELS])
def test_fisher_is_the_expectation(spec: str, preds: tuple[float, ...], model: Model) -> None:
    """Of the exact Hessian over the targets that the model gives."""
    name, _, params = spec.partition("(")
    loss = clib.Loss(f"{name}(reduction=none{', ' + params if params else ')'}")
    for pred in preds:
        target, chance = model(pred)
        inputs = [np.full(len(target), pred), target]
        inputs += [np.full(len(target), 0.7)] if name == "gaussian_nll" else [None] * (clib.describe(name).n_inputs - 2)
        exact = loss.run(*inputs, want="hess").hess
        fisher = loss.run(*inputs, want="hess", hess_kind=clib.FISHER).hess
        np.testing.assert_allclose((chance * exact).sum(), fisher[0], rtol=1e-10)
        np.testing.assert_allclose(fisher, fisher[0], rtol=1e-14)  # the target has no part in it


@pytest.mark.parametrize("spec", FISHER_CLASSES)
def test_fisher_of_classes_is_the_expectation(spec: str) -> None:
    name, _, params = spec.partition("(")
    loss = clib.Loss(f"{name}(reduction=none{', ' + params if params else ')'}")
    rng = np.random.default_rng(33)
    for pred in rng.normal(0, 2, (20, 4)):
        scores = pred + (np.log([0.5, 0.2, 0.2, 0.1]) if "prior" in spec else 0)
        chance = np.exp(scores - scores.max())
        rows = np.tile(pred, (4, 1))
        exact = loss.run(rows, np.eye(4), want="hess").hess
        fisher = loss.run(rows, np.eye(4), want="hess", hess_kind=clib.FISHER).hess
        np.testing.assert_allclose(chance / chance.sum() @ exact, fisher[0], rtol=1e-12)
        np.testing.assert_allclose(fisher, fisher[[0, 0, 0, 0]], rtol=1e-14)


@pytest.mark.parametrize("name", FISHER_EACH)
def test_fisher_of_each_class_is_the_expectation(name: str) -> None:
    loss = clib.Loss(f"{name}(reduction=none)")
    rng = np.random.default_rng(34)
    for pred in rng.normal(0, 2, (20, 4)):
        rows, target, chance = np.tile(pred, (2, 1)), np.repeat([[0.0], [1.0]], 4, 1), 1 / (1 + np.exp(-pred))
        no, yes = loss.run(rows, target, want="hess").hess
        fisher = loss.run(rows, target, want="hess", hess_kind=clib.FISHER).hess
        np.testing.assert_allclose(chance * yes + (1 - chance) * no, fisher[0], rtol=1e-12)
        np.testing.assert_allclose(fisher[0], fisher[1], rtol=1e-14)


def test_fisher_is_compared() -> None:
    """Of every loss that has one, but those whose Hessian is the same for all targets."""
    has = {name for name in NAMES if clib.describe(name).hess_kinds & (1 << clib.FISHER)}
    compared = {spec.split("(")[0] for spec in (*(spec for spec, *_ in FISHER_MODELS), *FISHER_CLASSES, *FISHER_EACH)}
    for name in sorted(has - compared):
        loss = clib.Loss(f"{name}(reduction=none)")
        for pred, _, others in points(name, 50):
            exact = loss.run(pred, *others, want="hess").hess
            fisher = loss.run(pred, *others, want="hess", hess_kind=clib.FISHER).hess
            np.testing.assert_allclose(fisher, exact, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize("reduction", ["mean", "none", "sum"])
@pytest.mark.parametrize("name", NAMES)
def test_check_gradient(name: str, reduction: str) -> None:
    """The library's own check agrees, and the numbers that it reports are real."""
    entry = LOSSES[name]
    rng = np.random.default_rng(12)
    for soft in (False, True):
        inputs = harness.tame(name, "f64", (5, 3), rng, soft)
        for params in entry.params:
            options = {
                k: v if isinstance(v, (bool, str, list)) else float(v) for k, v in reference.expand(params, 3).items()
            }
            given = [None if k in params else x for k, x in zip(entry.inputs, inputs, strict=True)]
            if params.get("log_pred"):
                given[0] = np.log(given[0])
            if params.get("log_target"):
                given[1] = np.log(given[1])
            if params.get("log_input") is False:
                given[0] = np.abs(given[0]) + 0.1
            loss = clib.Loss(clib.spec(name, reduction=reduction, **options))
            report = clib.Report(clib.c.sizeof(clib.Report))
            args, _ = loss.arguments(*given)
            clib.check(clib.lib.lossfn_check_gradient(loss.handle, clib.c.byref(args), clib.c.byref(report)))
            assert report.agrees == 1, (
                params,
                report.worst_input,
                report.worst_index,
                report.analytic,
                report.numeric,
                report.error,
            )
            assert report.compared >= 5


@pytest.mark.parametrize("name", NAMES)
def test_rho(name: str) -> None:
    """rho(s) = 2 loss(sqrt s), and its derivatives, for losses of a residual."""
    loss = clib.Loss(name)
    out = (clib.c.c_double * 3)()
    if not clib.lib.lossfn_has_rho(loss.handle):
        clib.lib.lossfn_rho(loss.handle, 1.0, out)
        assert np.isnan(list(out)).all()
        return
    s = np.array([1e-12, 0.01, 0.5, 1.0, 1.7, 2.3, 50.0, 1e6])
    bare = clib.Loss(clib.spec(name, reduction="none"))
    others = [np.zeros(8), *[None] * (len(LOSSES[name].inputs) - 2)]
    got = bare.run(np.sqrt(s), *others, want="values grad:pred")
    batch = np.empty((3, 8))
    clib.check(clib.lib.lossfn_rho_batch(loss.handle, 8, s.ctypes.data, batch.ctypes.data))
    for i, x in enumerate(s):
        clib.lib.lossfn_rho(loss.handle, x, out)
        assert list(out) == batch[:, i].tolist()
        assert abs(out[0] - 2 * got.values[i]) <= 1e-13 * abs(out[0])
        assert abs(out[1] - got.grads["pred"][i] / np.sqrt(x)) <= 1e-12 * abs(out[1])
        more = (clib.c.c_double * 3)()
        h = 1e-6 * x
        clib.lib.lossfn_rho(loss.handle, x + h, more)
        if not any(abs(float(k) ** 2 - x) < 0.1 * x for k in LOSSES[name].kinks()):
            assert abs((more[1] - out[1]) / h - out[2]) <= 1e-4 * abs(out[2]) + 1e-9 * abs(out[1]) / x
