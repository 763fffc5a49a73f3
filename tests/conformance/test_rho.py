# SPDX-License-Identifier: MIT
"""Losses for solvers: rho, rho', rho'' of the squared residual against multi-precision, sums, composition, weights."""

from __future__ import annotations

import math
from typing import Any

import clib
import numpy as np
import pytest
import reference
from harness import NAMES, ulps
from mpmath import mp, mpf
from reference import LOSSES, Number

SQUARES = (
    5e-324, 1e-310, 1e-200, 1e-60, 1e-17, 1e-9, 1e-4, 0.01, 0.07, 0.3, 0.51, 0.999, 1.2, 2.3, 4.1, 7.7, 15.9, 22.0, 31.0,
    50.0, 300.0, 1e3, 1e5, 1e9, 1e30, 1e150, 1e200,
)  # fmt: skip
BOUND = {"tukey_quartic": 8.0}  # ulp; a logarithm and an exponential
NORMAL = 6.0


def has_rho(loss: clib.Loss) -> bool:
    return bool(clib.lib.lossfn_has_rho(loss.handle))


WITH_RHO = [n for n in NAMES if has_rho(clib.Loss(n))]


def rho(loss: clib.Loss, s: float) -> list[float]:
    out = (clib.c.c_double * 3)()
    clib.lib.lossfn_rho(loss.handle, s, out)
    return list(out)


def exact(name: str, s: Any, params: dict[str, Any]) -> list[Any]:
    """2 loss(sqrt(s)) and its derivatives, which cancel for small s."""
    entry = LOSSES[name]
    digits = 400 + 3 * abs(int(mp.floor(mp.log10(s))))
    given = {k: mpf(v) for k, v in (entry.defaults | params).items() if k in entry.learnable}
    options = {k: v for k, v in params.items() if k not in entry.learnable}
    with mp.workdps(digits + 20):
        r = mp.sqrt(mpf(s))
        out = reference.raw(entry, {"pred": r, "target": mpf(0)} | given, options, digits)
        slope = out["pred"].sum / r
        curve = (out["hess"].sum - slope) / (2 * mpf(s))
        return [2 * out["value"].sum, slope, curve if abs(curve) * s > mpf(10) ** (60 - digits) else mpf(0)]


@pytest.mark.parametrize("name", WITH_RHO)
def test_rho_is_exact(name: str) -> None:
    for params in LOSSES[name].params:
        loss = clib.Loss(clib.spec(name, **params))
        for s in SQUARES:
            for k, (got, want) in enumerate(zip(rho(loss, s), exact(name, s, params), strict=True)):
                assert ulps(got, Number(want, abs(want)), "f64") <= BOUND.get(name, NORMAL), (params, s, k, got, want)


@pytest.mark.parametrize("name", WITH_RHO)
def test_rho_at_the_ends(name: str) -> None:
    """At 0 and infinity the limits, NaN for what is no square."""
    for params in LOSSES[name].params:
        loss = clib.Loss(clib.spec(name, **params))
        at_zero, near = rho(loss, 0.0), exact(name, mpf(10) ** -2000, params)
        assert at_zero[0] == 0
        for got, want in zip(at_zero[1:], near[1:], strict=True):
            if math.isinf(got):
                assert got * want > 0 and abs(want) > 1e14
            else:
                assert abs(got - want) <= 1e-12 * abs(want) + 1e-25
        at_infinity = rho(loss, math.inf)
        assert not any(math.isnan(x) for x in at_infinity), (params, at_infinity)
        assert at_infinity[0] >= rho(loss, 1e300)[0]
        assert all(math.isnan(x) for s in (-1.0, math.nan) for x in rho(loss, s))


def test_scaled_and_summed() -> None:
    huber, cauchy, both = clib.Loss("huber"), clib.Loss("cauchy(c=2)"), clib.Loss("3*huber - 0.5*cauchy(c=2)")
    assert has_rho(both)
    for s in (0.0, 0.3, 7.0):
        a, b = rho(huber, s), rho(cauchy, s)
        assert rho(both, s) == [3 * x - 0.5 * y for x, y in zip(a, b, strict=True)]
        assert rho(clib.Loss("2*cauchy(c=2)"), s) == [2 * y for y in b]
    assert not has_rho(clib.Loss("huber + quantile"))


def test_composed() -> None:
    """outer(inner(s)) by differences, and NaN without rho."""

    def composed(outer: str, inner: str, s: float) -> list[float]:
        out = (clib.c.c_double * 3)()
        f, g = clib.Loss(outer), clib.Loss(inner)
        clib.lib.lossfn_rho_compose(f.handle, g.handle, s, out)
        return list(out)

    for outer, inner in (("cauchy(c=2)", "huber"), ("2*welsch", "pseudo_huber"), ("tukey", "0.5*mse")):
        for s in (0.2, 1.7, 9.0):
            value, slope, curve = composed(outer, inner, s)
            h = 1e-5 * s
            low, high = composed(outer, inner, s - h), composed(outer, inner, s + h)
            assert value == rho(clib.Loss(outer), rho(clib.Loss(inner), s)[0])[0]
            assert abs((high[0] - low[0]) / (2 * h) - slope) <= 1e-7
            assert abs((high[1] - low[1]) / (2 * h) - curve) <= 1e-7
    assert composed("half_squared_error", "tukey", 3.0) == rho(clib.Loss("tukey"), 3.0)
    assert all(math.isnan(x) for x in composed("huber", "quantile", 1.0) + composed("bce_with_logits", "huber", 1.0))


def weights(loss: clib.Loss, residual: np.ndarray) -> np.ndarray:
    out = np.full_like(residual, -1)
    clib.check(clib.lib.lossfn_irls_weight(loss.handle, residual.size, residual.ctypes.data, out.ctypes.data))
    return out


@pytest.mark.parametrize("name", NAMES)
def test_weights(name: str) -> None:
    """loss'(r)/r, whatever the reduction; rho' where there is rho; at 0 what it comes to from above."""
    info = clib.describe(name)
    others = [clib.describe_input(name, i) for i in range(2, info.n_inputs)]
    loss = clib.Loss(name)
    apart = info.unit == clib.UNIT_ELEMENT and not LOSSES[name].outer
    if not info.traits & clib.TRAITS["distance"] or not apart or not all(i.learnable for i in others):
        with pytest.raises(clib.Failure):
            weights(loss, np.ones(3))
        return
    rng = np.random.default_rng(3)
    residual = np.concatenate([rng.normal(0, 3, 700), [1e-300, -1e-300, 1e-20, 40.0, -1e6]])
    got = weights(loss, residual)
    for reduction in ("sum", "none", "mean_rows", "per_row"):
        np.testing.assert_array_equal(weights(clib.Loss(clib.spec(name, reduction=reduction)), residual), got)
    bare = clib.Loss(clib.spec(name, reduction="none"))
    gradient = bare.run(residual, np.zeros_like(residual), *[None] * len(others), want="grad:pred").grads["pred"]
    np.testing.assert_array_equal(got, gradient / residual)
    if name in WITH_RHO:
        squares = residual[:700] ** 2
        slopes = [rho(loss, s)[1] for s in squares]
        np.testing.assert_allclose(got[:700], slopes, rtol=1e-11)
        assert weights(loss, np.zeros(1))[0] == pytest.approx(rho(loss, 0.0)[1], rel=1e-15)
    in_place = residual.copy()
    clib.check(clib.lib.lossfn_irls_weight(loss.handle, residual.size, in_place.ctypes.data, in_place.ctypes.data))
    np.testing.assert_array_equal(in_place, got)


def test_no_weights_without_another_input() -> None:
    """What the residual alone does not tell is not a missing argument of the function."""
    for spec in ("gaussian_nll", "mse + gaussian_nll"):
        with pytest.raises(clib.Failure, match="UNSUPPORTED: gaussian_nll is a function of the residual and var"):
            weights(clib.Loss(spec), np.array([1.0]))
    assert weights(clib.Loss("barron(alpha=2)"), np.array([1.0]))[0] == 1  # alpha is a constant


def test_weights_of_special_residuals() -> None:
    assert weights(clib.Loss("mae"), np.array([0.0]))[0] == np.inf
    assert weights(clib.Loss("expectile(tau=0.25)"), np.array([0.0, -1.0]))[:].tolist() == [1.5, 0.5]
    assert weights(clib.Loss("tukey"), np.array([np.inf, -np.inf])).tolist() == [0, 0]
    assert np.isnan(weights(clib.Loss("tukey"), np.array([np.nan])))[0]
    assert weights(clib.Loss("tukey(nan_policy=ignore)"), np.array([np.nan]))[0] == 0
    assert weights(clib.Loss("2*huber + huber"), np.array([0.5]))[0] == 3
    assert weights(clib.Loss("huber"), np.empty(0)).size == 0
    least = np.array([5e-324, -5e-324, 1e-310, 0.0])
    for spec, near, far in (
        ("mse", 2, 2),
        ("lp(p=4)", 0, np.inf),
        ("logit_dist", 0.5, 0),
        ("log_cosh", 1, 0),
        ("student_t_nll", 4 / 3, 0),
        ("tolerant", 1 / (1 + np.e), 1),
        ("fair", 1, 0),
    ):
        np.testing.assert_allclose(weights(clib.Loss(spec), least), near, rtol=1e-15, atol=1e-300, err_msg=spec)
        beyond = weights(clib.Loss(spec), np.array([np.inf, -np.inf]))
        np.testing.assert_allclose(beyond, far, rtol=1e-12, atol=1e-12, err_msg=spec)
    assert weights(clib.Loss("mae"), least).tolist() == [np.inf, np.inf, 1e310, np.inf]
    assert weights(clib.Loss("mae"), np.array([1e-308, -1e-308])) == pytest.approx(1e308, rel=1e-15)
    out = np.full(2, -1.0)
    residual = np.array([1.0, np.nan])
    strict = clib.Loss("huber(nan_policy=error)")
    status = clib.lib.lossfn_irls_weight(strict.handle, 2, residual.ctypes.data, out.ctypes.data)
    assert status != 0 and out.tolist() == [-1, -1]
    assert clib.lib.lossfn_irls_weight(None, 0, None, None) != 0
    assert clib.lib.lossfn_irls_weight(strict.handle, 2, None, out.ctypes.data) != 0
    assert clib.lib.lossfn_irls_weight(strict.handle, -1, residual.ctypes.data, out.ctypes.data) != 0
