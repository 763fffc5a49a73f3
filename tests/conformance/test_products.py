# SPDX-License-Identifier: MIT
"""Hessian-vector products: of one vector for each class they make the Hessian, which is symmetric, has the diagonal that
is given as `hess`, and is the derivative of the gradient; and weights, masks and layouts act as on gradients."""

from __future__ import annotations

import ctypes as c
from typing import Any

import clib
import harness
import numpy as np
import pytest
from clib import lib
from harness import ROWWISE
from reference import LOSSES

SOFTMAX = {
    "cross_entropy", "distribution_focal", "categorical_focal", "poly1_cross_entropy", "symmetric_cross_entropy",
    "generalized_cross_entropy", "logit_adjusted", "ldam",
}  # fmt: skip
SEPARABLE = {
    "categorical_cross_entropy", "entropy", "kl_div", "generalized_kl", "reverse_kl", "jensen_shannon", "total_variation",
    "hellinger", "chi2", "brier", "alpha_divergence", "tsallis_divergence", "multilabel_soft_margin", "one_vs_all_logistic",
    "nll", "ordinal_cross_entropy",
}  # fmt: skip
WITH_PRODUCT = SOFTMAX | SEPARABLE | {"sparsemax", "entmax15", "corn", "softcap_cross_entropy", "bi_tempered_logistic"}


def product(loss: clib.Loss, inputs: list[Any], vector: Any, **options: Any) -> Any:
    out = clib.filled(vector.shape, clib.dtype_of(vector))
    args, _ = loss.arguments(*inputs, hvp_vector=vector, hvp=out, **options)
    clib.check(lib.lossfn_run(loss.handle, c.byref(args)))
    return out


def situations(name: str) -> Any:
    rng = np.random.default_rng(31)
    for params in LOSSES[name].params:
        for shape in ((6, 1), (6, 2), (7, 5), (5, 17), (3, 40)):
            for soft in (False, True):
                options = harness.reference.expand(params, shape[1])
                yield options, harness.tame(name, "f64", shape, rng, soft), rng


def test_who_has_one() -> None:
    for name in ROWWISE:
        inputs = harness.tame(name, "f64", (2, 3), np.random.default_rng(1))
        try:
            product(clib.Loss(name), inputs, np.ones((2, 3)))
            assert name in WITH_PRODUCT
        except clib.Failure as failure:
            assert failure.status == "UNSUPPORTED" and name not in WITH_PRODUCT


@pytest.mark.parametrize("name", sorted(WITH_PRODUCT))
def test_it_is_the_hessian(name: str) -> None:
    for options, inputs, rng in situations(name):
        loss = clib.Loss(clib.spec(name, reduction="none", **options))
        rows, classes = inputs[0].shape
        hessian = np.empty((rows, classes, classes))
        for k in range(classes):
            hessian[:, :, k] = product(loss, inputs, np.tile(np.eye(classes)[k], (rows, 1)))
        size = np.abs(hessian).max(axis=(1, 2))[:, None, None] + 1e-300
        assert (np.abs(hessian - hessian.transpose(0, 2, 1)) <= 1e-13 * size).all()
        whole = loss.run(*inputs, want="hess grad:pred")
        assert (np.abs(np.einsum("rkk->rk", hessian) - whole.hess) <= 1e-13 * size[:, 0]).all()
        vector = rng.normal(0, 1, (rows, classes))
        got = product(loss, inputs, vector)
        assert (np.abs(got - np.einsum("rjk,rk->rj", hessian, vector)) <= 1e-13 * size[:, 0] * classes).all()
        step = 1e-6
        high, low = (
            loss.run(inputs[0] + s * step * vector, *inputs[1:], want="grad:pred").grads["pred"] for s in (1, -1)
        )
        slope = (high - low) / (2 * step)
        assert (np.abs(got - slope) <= 1e-5 * (1 + np.abs(slope))).mean() > 0.95, "kinks are rare"
        smooth = product(loss, inputs, np.full((rows, classes), 3.0))
        if name in SOFTMAX | {"sparsemax", "entmax15"} and "z_loss" not in options:
            assert (np.abs(smooth) <= 1e-15 * size[:, 0]).all(), "a constant vector changes no probability"


@pytest.mark.parametrize("name", sorted(WITH_PRODUCT))
def test_it_is_scaled_as_a_gradient(name: str) -> None:
    """Weights, masks, dtypes, the class axis, threads, and gradients of the same call."""
    for dtype in ("f32", "f64", "bf16"):
        for options, inputs, rng in situations(name):
            rows, classes = inputs[0].shape
            inputs = [x if x.dtype == np.int64 else clib.cast(x, dtype) for x in inputs]
            vector = clib.cast(rng.normal(0, 1, (rows, classes)), dtype)
            plain = product(clib.Loss(clib.spec(name, reduction="sum", **options)), inputs, vector)
            weight, mask = rng.choice([1.0, 2.0, 0.0], rows), np.arange(rows) % 3 > 0
            loss = clib.Loss(clib.spec(name, reduction="sum", **options))
            got = product(loss, inputs, vector, weight=weight, mask=mask)
            want = np.where((mask & (weight != 0))[:, None], clib.floats(plain) * weight[:, None], 0)
            np.testing.assert_array_equal(clib.floats(got), want)
            first = clib.Loss(clib.spec(name, reduction="sum", axis=0, **options))
            turned = product(first, [x.T.copy() for x in inputs], vector.T.copy(), weight=weight, mask=mask, threads=3)
            assert clib.canonical(turned.T.copy()) == clib.canonical(got)
            grad, out = clib.filled(vector.shape, dtype), clib.filled(vector.shape, dtype)
            args, _ = loss.arguments(
                *inputs, hvp_vector=vector, hvp=out, grads={"pred": grad}, weight=weight, mask=mask
            )
            clib.check(lib.lossfn_run(loss.handle, c.byref(args)))
            assert clib.canonical(out) == clib.canonical(got)
            alone = loss.run(*inputs, want="grad:pred", weight=weight, mask=mask)
            assert clib.canonical(grad) == clib.canonical(alone.grads["pred"])


def test_sums_of_rows_have_one() -> None:
    rng = np.random.default_rng(3)
    inputs, vector = harness.tame("sparsemax", "f64", (5, 4), rng), rng.normal(0, 1, (5, 4))
    both = product(clib.Loss("2*cross_entropy(reduction=sum) + sparsemax"), inputs, vector)
    one, other = (product(clib.Loss(f"{n}(reduction=sum)"), inputs, vector) for n in ("cross_entropy", "sparsemax"))
    np.testing.assert_allclose(both, 2 * one + other, rtol=1e-14)
    with pytest.raises(clib.Failure):
        product(clib.Loss("cross_entropy(reduction=sum) + mse"), [inputs[0], inputs[0]], vector)
