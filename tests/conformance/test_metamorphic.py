# SPDX-License-Identifier: MIT
"""What is known of any loss without knowing its formula: shifts, scales, weights as duplicates, permutations of classes,
parameters at their limits. Powers of two and small whole numbers keep both sides exact where they are said to be equal."""

from __future__ import annotations

from typing import Any

import clib
import harness
import numpy as np
import pytest
import reference
from harness import CLASSES, NAMES, PRECISION, scaled
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference import LOSSES

many = settings(
    max_examples=scaled(12), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)
seeds = st.integers(0, 10**6)
dtypes = st.sampled_from(["f32", "f64"])
DISTANCES = [n for n in NAMES if clib.describe(n).traits & clib.TRAITS["distance"]]


def drawn(name: str, dtype: str, seed: int, n: int = 23) -> tuple[list[Any], np.random.Generator]:
    rng = np.random.default_rng(seed)
    soft = bool(seed % 2)
    return harness.tame(name, dtype, (n, 3) if LOSSES[name].unit == "row" else (n,), rng, soft), rng


def run(name: str, inputs: list[Any], want: str, **how: Any) -> clib.Output:
    options = {k: how.pop(k) for k in list(how) if k not in ("weight", "mask")}
    inputs = [None if k in options else x for k, x in zip(LOSSES[name].inputs, inputs)]
    return clib.Loss(clib.spec(name, **options)).run(*inputs, want=want, **how)


@pytest.mark.parametrize("name", NAMES)
@many
@given(dtype=dtypes, seed=seeds, reduction=st.sampled_from(["mean", "sum"]))
def test_weights_are_duplicates(name: str, dtype: str, seed: int, reduction: str) -> None:
    inputs, rng = drawn(name, dtype, seed)
    if LOSSES[name].inputs.get("target") == reference.EVENT:
        return  # ties of times are another matter
    weight = rng.choice([0, 1, 2, 4], 23)
    weight[:2] = 1, 2
    as_weights = run(name, inputs, "value sum denom grad:pred", weight=weight.astype("f4"), reduction=reduction)
    copies = [np.repeat(x, weight, 0) for x in inputs]
    as_copies = run(name, copies, "value sum denom grad:pred", reduction=reduction)
    for key in ("sum", "denom"):
        assert getattr(as_weights, key) == getattr(as_copies, key), key
    np.testing.assert_allclose(as_weights.value, as_copies.value, rtol=1e-15 if LOSSES[name].outer != "kappa" else 1e-6)
    first = np.cumsum(weight) - weight
    alive = weight > 0
    each = as_copies.grads["pred"][first[alive]]
    times = weight[alive].reshape(-1, *[1] * (each.ndim - 1))
    eps = 8 * 2.0 ** -PRECISION[dtype][0] if LOSSES[name].outer != "kappa" else 1e-5
    np.testing.assert_allclose(as_weights.grads["pred"][alive], each * times, rtol=eps, atol=1e-30)


@pytest.mark.parametrize("name", DISTANCES)
@many
@given(dtype=dtypes, seed=seeds, shift=st.integers(-(2**10), 2**10))
def test_shift(name: str, dtype: str, seed: int, shift: int) -> None:
    (pred, target, *others), _ = drawn(name, dtype, seed)
    pred, target = (np.round(x * 256) / 256 for x in (pred, target))  # exact, shifted or not
    here = run(name, [pred, target, *others], "values grads hess", reduction="none")
    there = run(name, [pred + shift, target + shift, *others], "values grads hess", reduction="none")
    harness.same(here, there, f"{shift}")


# How many powers of the scale the unreduced value takes, and those that its parameters take.
SCALES: dict[str, tuple[int, dict[str, tuple[float, int]]]] = {
    **{n: (1, {}) for n in ("mae", "quantile", "mean_bias_error", "perceptron", "multiclass_perceptron")},
    **{n: (1, {}) for n in ("crps_ensemble", "crps_quantile")},
    **{n: (2, {}) for n in ("mse", "rmse", "half_squared_error", "expectile", "lp")},
    **{n: (0, {}) for n in ("mape", "smape", "cosine_similarity", "cosine_distance", "zero_one")},
    **{n: (1, {"margin": (1.25, 1)}) for n in ("hinge", "multi_margin", "crammer_singer")},
    **{n: (2, {"delta": (1.25, 1)}) for n in ("huber", "pseudo_huber", "m_quantile")},
    **{
        n: (2, {"c": (1.75, 1)})
        for n in ("cauchy", "student_t_rho", "welsch", "geman_mcclure", "tukey", "tukey_quartic")
    },
    **{n: (2, {"c": (1.75, 1)}) for n in ("asymmetric_tukey", "asymmetric_cauchy", "fair", "arctan", "andrews_wave")},
    "saturated": (2, {"c": (1.75, 1)}),
    "squared_hinge": (2, {"margin": (1.25, 1)}),
    "smooth_l1": (1, {"beta": (1.25, 1)}),
    "epsilon_insensitive": (1, {"epsilon": (0.5, 1)}),
    "squared_epsilon_insensitive": (2, {"epsilon": (0.5, 1)}),
    "periodic": (0, {"c": (1.25, 1)}),
    "mase": (0, {"scale": (1.25, 1)}),
    "barron": (0, {"scale": (1.25, 1)}),
    "crps_gaussian": (1, {"scale": (1.25, 1)}),
    "wing": (1, {"width": (3.0, 1), "curvature": (1.5, 1)}),
    "ramsay_e": (2, {"a": (0.75, -1)}),
    "dcs": (2, {"phi": (1.5, 2)}),
    "tolerant": (2, {"a": (1.5, 2), "b": (0.75, 2)}),
    "hampel": (2, {"a": (1.0, 1), "b": (2.0, 1), "c": (4.0, 1)}),
}


@pytest.mark.parametrize("name", SCALES)
@many
@given(dtype=dtypes, seed=seeds, power=st.integers(-12, 12))
def test_scale(name: str, dtype: str, seed: int, power: int) -> None:
    (pred, *others), _ = drawn(name, dtype, seed)
    degree, params = SCALES[name]
    moved = [np.ldexp(pred, power), *others]
    if LOSSES[name].inputs["target"] not in (reference.MARGIN, reference.CLASSES):
        moved[1] = np.ldexp(others[0], power)
    fixed = {"alpha": 1.0} if name == "barron" else {}
    here = run(
        name, [pred, *others], "values grad:pred", reduction="none", **fixed, **{k: x for k, (x, _) in params.items()}
    )
    there = run(name, moved, "values grad:pred", reduction="none", **fixed,
                **{k: float(np.ldexp(x, power * of)) for k, (x, of) in params.items()})  # fmt: skip
    eps = 2.0 ** -PRECISION[dtype][0]
    info = clib.describe(name)
    np.testing.assert_allclose(
        np.ldexp(there.values, -degree * power), here.values, rtol=4 * (info.ulp_value + 1) * eps, atol=8 * eps
    )
    np.testing.assert_allclose(np.ldexp(there.grads["pred"], (1 - degree) * power), here.grads["pred"],
                               rtol=4 * (info.ulp_grad + 1) * eps, atol=8 * eps)  # fmt: skip


LIMITS = [
    ("huber(delta=inf", "half_squared_error"), ("smooth_l1(beta=0", "mae"), ("quantile(tau=0.5", "0.5*mae"), ("lp(p=1", "mae"),
    ("expectile(tau=0.5", "half_squared_error"), ("lp(p=2", "mse"), ("epsilon_insensitive(epsilon=0", "mae"),
    ("squared_epsilon_insensitive(epsilon=0", "mse"), ("m_quantile(tau=0.5, delta=1", "0.5*huber"),
    ("barron(alpha=2", "half_squared_error"), ("barron(alpha=1", "pseudo_huber"), ("student_t_rho(nu=1", "cauchy"),
    ("barron(alpha=-2, scale=1", "geman_mcclure(c=2"), ("tukey_quartic(c=4.685, k=2", "tukey"),
    ("sigmoid_focal(gamma=0, alpha=-1", "bce_with_logits"), ("categorical_focal(gamma=0", "cross_entropy"),
    ("poly1_cross_entropy(epsilon=0", "cross_entropy"), ("softcap_cross_entropy(cap=1e30", "cross_entropy"),
    ("logit_adjusted(tau=0, prior=[1,2,1]", "cross_entropy"), ("ldam(max_margin=0, class_count=[5,1,2]", "cross_entropy"),
    ("student_t_nll(df=1", "cauchy_nll"), ("focal_star(gamma=1", "logistic_margin"), ("crammer_singer(margin=0", "multiclass_perceptron"),
    ("cross_entropy(z_loss=0, label_smoothing=0", "cross_entropy"), ("kl_div(base=2", "1.4426950408889634*kl_div"),
]  # fmt: skip


@pytest.mark.parametrize(("special", "plain"), LIMITS)
@many
@given(dtype=dtypes, seed=seeds)
def test_limits_of_parameters(special: str, plain: str, dtype: str, seed: int) -> None:
    name = special.split("(")[0]
    inputs, _ = drawn(name, dtype, seed)
    inputs = [None if k in LOSSES[name].learnable else x for k, x in zip(LOSSES[name].inputs, inputs)]
    found = []
    for text in (special, plain):
        loss = clib.Loss(text + (", " if "(" in text else "(") + "reduction=none)")
        given = inputs[: len(loss.inputs)]
        values, grad = clib.filled(loss.values_shape(inputs[0]), dtype), clib.filled(inputs[0].shape, dtype)
        args, _ = loss.arguments(*given, values=values, grads={"pred": grad})
        clib.check(clib.lib.lossfn_run(loss.handle, clib.c.byref(args)))
        found.append((values, grad))
    eps = 2.0 ** -PRECISION[dtype][0]
    for one, other in zip(*found):
        np.testing.assert_allclose(one, other, rtol=40 * eps, atol=40 * eps * np.abs(other).max())


ORDERED = {"weighted_kappa", "ordinal_cross_entropy", "corn"}


@pytest.mark.parametrize("name", [n for n in CLASSES if n not in ORDERED])
@many
@given(dtype=dtypes, seed=seeds, classes=st.sampled_from([2, 3, 17, 40]))
def test_classes_have_no_order(name: str, dtype: str, seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    pred, target = harness.tame(name, dtype, (9, classes), rng, bool(seed % 2))[:2]
    order = rng.permutation(classes)
    turned = np.argsort(order)[target] if target.ndim == 1 else target[:, order]
    here = run(name, [pred, target], "values grad:pred", reduction="none")
    there = run(name, [pred[:, order], turned], "values grad:pred", reduction="none")
    info, eps = clib.describe(name), 2.0 ** -PRECISION[dtype][0]
    for one, other, ulp in (
        (there.values, here.values, info.ulp_value),
        (there.grads["pred"], here.grads["pred"][:, order], info.ulp_grad),
    ):
        np.testing.assert_allclose(one, other, rtol=4 * ulp * eps, atol=16 * ulp * eps)
