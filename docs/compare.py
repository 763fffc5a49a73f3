#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints the comparison in README.md: what lossfn, PyTorch, Keras, optax and scikit-learn give for the same questions.

python3 docs/compare.py, where all of them are installed: torch, keras (run on torch), optax, scikit-learn."""

from __future__ import annotations

import os
import warnings

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
warnings.simplefilter("ignore")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import keras  # noqa: E402
import lossfn  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
import sklearn  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from sklearn import metrics  # noqa: E402

T = torch.tensor
logits = np.array([[2.0, 0.5, -1.0], [0.1, 1.2, 0.3]])
labels, one_hot, class_weight = np.array([0, 2]), np.eye(3)[[0, 2]], [1.0, 2.0, 4.0]
pred, target, weight = np.array([1.0, 2.0, 3.0]), np.zeros(3), np.array([1.0, 1.0, 2.0])
column = np.array([[1.0], [2.0], [3.0]])
holed, kept = np.array([1.0, np.nan, 3.0]), np.array([1.0, 0.0, 1.0])
rng = np.random.default_rng(0)
many = (rng.normal(size=(1_000_003, 1)) * 1e3).astype(np.float32)
goal = rng.normal(size=(1_000_003, 1)).astype(np.float32)
CUT = 7


def show(x: object) -> str:
    if isinstance(x, (tuple, list)):
        return " and ".join(show(v) for v in x)
    return x if isinstance(x, str) else f"{float(x):.5g}"  # type: ignore[arg-type]


def cell(question) -> str:
    if question is None:
        return "-"
    try:
        return show(question())
    except Exception as error:
        first = str(error).partition("\n")[0]
        return f"error: {first}"


def same(whole: float, parts: float) -> str:
    return "yes" if float(whole) == float(parts) else "no"


def lossfn_halves() -> str:
    first, second = lossfn.Accumulator("mse"), lossfn.Accumulator("mse")
    first.update(many[:CUT], goal[:CUT])
    second.update(many[CUT:], goal[CUT:])
    second.merge(first)
    return same(lossfn.mse(many, goal), second.value())


def torch_halves() -> str:
    a, b = T(many), T(goal)
    parts = F.mse_loss(a[:CUT], b[:CUT], reduction="sum") + F.mse_loss(a[CUT:], b[CUT:], reduction="sum")
    return same(F.mse_loss(a, b), parts / len(many))


def keras_halves() -> str:
    whole, parts = keras.metrics.MeanSquaredError(), keras.metrics.MeanSquaredError()
    whole.update_state(goal, many)
    parts.update_state(goal[:CUT], many[:CUT])
    parts.update_state(goal[CUT:], many[CUT:])
    return same(whole.result(), parts.result())


def optax_halves() -> str:
    v = optax.squared_error(jnp.array(many), jnp.array(goal))
    return same(v.mean(), (v[:CUT].sum() + v[CUT:].sum()) / len(many))


def sklearn_halves() -> str:
    f, n = metrics.mean_squared_error, len(many)
    parts = f(goal[:CUT], many[:CUT]) * CUT + f(goal[CUT:], many[CUT:]) * (n - CUT)
    return same(f(goal, many), parts / n)


def torch_nan() -> tuple[float, str]:
    x = T(holed, requires_grad=True)
    loss = F.mse_loss(x, T(target), weight=T(kept))
    loss.backward()
    return loss.item(), f"gradient {show(x.grad[1])}"


def lossfn_nan() -> tuple[float, str]:
    value, grad = lossfn.mse.value_and_grad(holed, target, weight=kept)
    return value, f"gradient {show(grad[1])}"


def torch_hess() -> str:
    full = torch.func.hessian(lambda x: F.huber_loss(x, torch.zeros(3)))(T([0.5, 2.0, -3.0]))
    return "3 x 3, by `torch.func.hessian`" if full.shape == (3, 3) else "?"


def jax_hess() -> str:
    full = jax.hessian(lambda x: optax.huber_loss(x, jnp.zeros(3)).mean())(jnp.array([0.5, 2.0, -3.0]))
    return "3 x 3, by `jax.hessian`" if full.shape == (3, 3) else "?"


K = keras.losses
ROWS = {
    "cross entropy, class weights 1, 2, 4: of labels and of their one-hot": (
        lambda: [lossfn.cross_entropy(logits, y, class_weight=class_weight) for y in (labels, one_hot)],
        lambda: [F.cross_entropy(T(logits), T(y), weight=T(class_weight).double()) for y in (labels, one_hot)],
        None,
        None,
        None,
    ),
    "mean of squared errors 1, 4, 9 with weights 1, 1, 2": (
        lambda: lossfn.mse(pred, target, weight=weight),
        lambda: F.mse_loss(T(pred), T(target), weight=T(weight)),
        lambda: K.MeanSquaredError()(target[:, None], column, sample_weight=weight),
        None,
        lambda: metrics.mean_squared_error(target, pred, sample_weight=weight),
    ),
    "binary cross entropy of logits 0 (each ln 2): mean with these weights, over that without": (
        lambda: lossfn.bce_with_logits(0 * pred, target, weight=weight) / np.log(2),
        lambda: F.binary_cross_entropy_with_logits(T(0 * pred), T(target), weight=T(weight)) / np.log(2),
        lambda: (
            float(K.BinaryCrossentropy(from_logits=True)(target[:, None], 0 * column, sample_weight=weight)) / np.log(2)
        ),
        None,
        None,
    ),
    "squared errors 1, NaN, 9 with weights 1, 0, 1": (
        lossfn_nan,
        torch_nan,
        lambda: K.MeanSquaredError()(target[:, None], holed[:, None], sample_weight=kept),
        None,
        lambda: metrics.mean_squared_error(target, holed, sample_weight=kept),
    ),
    "mse of 1 000 003 float32: the first 7 and the rest, put together, have the bits of one call": (
        lossfn_halves,
        torch_halves,
        keras_halves,
        optax_halves,
        sklearn_halves,
    ),
    "binary cross entropy of p = 0, y = 1": (
        lambda: lossfn.binary_cross_entropy([0.0], [1.0]),
        lambda: F.binary_cross_entropy(T([0.0]), T([1.0])),
        lambda: K.BinaryCrossentropy()(np.array([[1.0]]), np.array([[0.0]])),
        None,
        lambda: metrics.log_loss([1], [0.0], labels=[0, 1]),
    ),
    "mse of pred (3, 1) and target (3,), both 1, 2, 3": (
        lambda: lossfn.mse(column, pred),
        lambda: F.mse_loss(T(column), T(pred)),
        lambda: K.MeanSquaredError()(pred, column),
        lambda: optax.squared_error(jnp.array(column), jnp.array(pred)).mean(),
        lambda: metrics.mean_squared_error(pred, column),
    ),
    "class label 3 of 3": (
        lambda: lossfn.cross_entropy(logits, [0, 3]),
        lambda: F.cross_entropy(T(logits), T([0, 3])),
        lambda: K.SparseCategoricalCrossentropy(from_logits=True)(np.array([0, 3]), logits),
        lambda: optax.softmax_cross_entropy_with_integer_labels(jnp.array(logits), jnp.array([0, 3])).mean(),
        lambda: metrics.log_loss([0, 3], np.full((2, 3), 1 / 3), labels=[0, 1, 2]),
    ),
    "diagonal of the Hessian": (
        lambda: "in the same call" if lossfn.huber.value_grad_hess([0.5], [0.0])[2] == [1] else "?",
        torch_hess,
        None,
        jax_hess,
        None,
    ),
}


def main() -> None:
    versions = [
        lossfn.__version__,
        torch.__version__.partition("+")[0],
        keras.__version__,
        optax.__version__,
        sklearn.__version__,
    ]
    names = ("lossfn", "PyTorch", "Keras", "optax", "scikit-learn")
    print("| question |", " | ".join(f"{name} {version}" for name, version in zip(names, versions)), "|")
    print("|---" * 6 + "|")
    for question, answers in ROWS.items():
        print("|", question, "|", " | ".join(map(cell, answers)), "|")


if __name__ == "__main__":
    main()
