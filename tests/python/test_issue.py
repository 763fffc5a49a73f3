# SPDX-License-Identifier: MIT
"""The promised lines, as written, with the numbers that NumPy gives for them."""

import lossfn
import numpy as np
import pytest


@pytest.fixture
def names(rng):
    labels = rng.integers(0, 3, 6)
    labels[3] = -100
    pred, target, logits = rng.normal(size=(3, 6, 3))
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return {
        "pred": pred,
        "target": target,
        "w": rng.random((6, 1)) + 0.1,
        "m": rng.random((6, 3)) > 0.3,
        "logits": logits,
        "labels": labels,
        "probabilities": probabilities,
    }


def test_huber(names):
    pred, target = names["pred"], names["target"]
    r = np.abs(pred - target)
    value = lossfn.huber(pred, target, delta=1.0)
    assert type(value) is float
    assert value == pytest.approx(np.where(r <= 1, r * r / 2, r - 0.5).mean(), rel=1e-15)


def test_mse_unreduced(names):
    pred, target, w, m = (names[k] for k in ("pred", "target", "w", "m"))
    values = lossfn.mse(pred, target, weight=w, mask=m, reduction="none")
    assert isinstance(values, np.ndarray) and values.shape == pred.shape and values.dtype == np.float64
    np.testing.assert_array_equal(values, np.where(m, w * (pred - target) ** 2, 0))


def test_cross_entropy(names):
    logits, labels = names["logits"], names["labels"]
    value, grad = lossfn.cross_entropy.value_and_grad(logits, labels, label_smoothing=0.1, ignore_index=-100)
    kept = labels != -100
    p = names["probabilities"]
    goal = np.full(p.shape, 0.1 / 3)
    goal[kept, labels[kept]] += 0.9
    expected = -(goal * np.log(p)).sum(1)[kept].mean()
    assert value == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(grad, np.where(kept[:, None], (p - goal) / kept.sum(), 0), rtol=1e-12, atol=1e-16)
    assert (grad[3] == 0).all()


def test_log_cosh(names):
    pred, target = names["pred"], names["target"]
    value, grad, hess = lossfn.log_cosh.value_grad_hess(pred, target, reduction="sum")
    r = pred - target
    assert value == pytest.approx(np.log(np.cosh(r)).sum(), rel=1e-13)
    np.testing.assert_allclose(grad, np.tanh(r), rtol=1e-14)
    np.testing.assert_allclose(hess, 1 / np.cosh(r) ** 2, rtol=1e-13)


def test_created(names):
    pred, target, n_total = names["pred"], names["target"], 100.0
    loss = lossfn.create("huber(delta=1.5)")
    assert loss == lossfn.create("huber", delta=1.5)
    value, grad = loss.value_and_grad(pred, target)
    assert loss(pred, target) == value
    np.testing.assert_array_equal(loss.grad(pred, target), grad)
    np.testing.assert_array_equal(loss.hess(pred, target) * pred.size > 0.5, np.abs(pred - target) <= 1.5)
    global_value, global_grad = loss.value_and_grad(pred, target, denominator=n_total)
    assert global_value == pytest.approx(value * pred.size / n_total, rel=1e-15)
    np.testing.assert_allclose(global_grad, grad * pred.size / n_total, rtol=1e-15)


def test_gaussian_nll(names, rng):
    mu, y, var = names["pred"], names["target"], rng.random((6, 3)) + 0.1
    value, g = lossfn.gaussian_nll.value_and_grad(mu, y, var)
    assert isinstance(value, float)
    np.testing.assert_allclose(g.pred, (mu - y) / var / mu.size, rtol=1e-14)
    np.testing.assert_allclose(g.var, (1 / var - (mu - y) ** 2 / var**2) / 2 / mu.size, rtol=1e-12)
    assert g._fields == ("pred", "var")


def test_catalogue_lines():
    p = np.array([0.5, 0.5])
    assert lossfn.entropy(p, base=2) == 1.0
    assert {"mse", "mae", "huber"} <= set(lossfn.names(task="regression")) <= set(lossfn.names())
    description = lossfn.describe("huber")
    assert description.name == "huber" and description.params[0].name == "delta"
    assert str(description).startswith("huber - ")
    best = lossfn.recommend("regression", outliers=True)[0]
    lossfn.create(best.spec)
    assert best.why and best.activation
    assert lossfn.recommend("regression")[0].spec == "mse"


def test_accumulator(names):
    pred, target = names["pred"], names["target"]
    other = lossfn.Accumulator("mse")
    other.update(pred[4:], target[4:])
    acc = lossfn.Accumulator("mse")
    acc.update(pred[:4], target[:4])
    acc.merge(other)
    assert acc.value() == lossfn.mse(pred, target)
    assert acc.sum == lossfn.mse(pred, target, reduction="sum")
    assert acc.denominator == pred.size
    assert lossfn.Accumulator.from_bytes(acc.to_bytes()).value() == acc.value()


def test_register_check_plot(names):
    pred, target = names["pred"], names["target"]

    def fn(pred, target):
        return (pred - target) ** 2, 2 * (pred - target)

    try:
        lossfn.register("my.loss", fn)
        assert lossfn.create("my.loss")(pred, target) == lossfn.mse(pred, target)
    finally:
        lossfn.unregister("my.loss")
    assert lossfn.custom(fn)(pred, target) == lossfn.mse(pred, target)
    findings = lossfn.check("cross_entropy", names["probabilities"], np.abs(names["labels"]) % 3)
    assert any("probabilities" in finding for finding in findings)
    assert "<svg" in lossfn.plot("huber", "mae").svg


def test_threads_and_isa():
    before = lossfn.num_threads()
    lossfn.set_num_threads(2)
    assert lossfn.num_threads() == 2
    lossfn.set_num_threads(0)
    assert lossfn.num_threads() >= 1
    lossfn.set_num_threads(before)
    assert lossfn.isa() in ("avx512", "avx2", "neon", "baseline")
