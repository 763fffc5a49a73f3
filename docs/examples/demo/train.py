# SPDX-License-Identifier: MIT
"""Small models, trained with values, gradients and Hessians from lossfn."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import lossfn
import numpy as np


class Adam:
    """Kingma and Ba (2015): gradient steps of a size that adapts to each parameter."""

    def __init__(self, parameters: list[np.ndarray], step: float) -> None:
        self.parameters, self.step, self.t = parameters, step, 0
        self.mean = [np.zeros_like(p) for p in parameters]
        self.square = [np.zeros_like(p) for p in parameters]

    def update(self, gradients: list[np.ndarray], step: float | None = None) -> None:
        self.t += 1
        step = self.step if step is None else step
        for p, g, mean, square in zip(self.parameters, gradients, self.mean, self.square):
            mean += 0.1 * (g - mean)
            square += 0.001 * (g * g - square)
            p -= step * mean / (1 - 0.9**self.t) / (np.sqrt(square / (1 - 0.999**self.t)) + 1e-8)


class Line(NamedTuple):
    """y = slope * x + intercept, and what else was learned."""

    slope: float
    intercept: float
    alpha: float | None = None
    scale: float | None = None


def fit_line(loss: lossfn.Loss, x: np.ndarray, y: np.ndarray, steps: int = 1500) -> Line:
    """A straight line by gradient descent. The adaptive loss learns its shape alpha and its scale along with the line:
    they are inputs like pred, and have gradients like it."""
    adaptive = "alpha" in loss.inputs
    line = np.array([0.0, np.median(y)])  # slope, intercept
    shape = np.array([0.0, 0.0])  # alpha = 2 sigmoid(shape[0]), scale = exp(shape[1])
    adam = Adam([line, shape], step=0.05)
    for t in range(steps):
        pred = line[0] * x + line[1]
        if adaptive:
            alpha, scale = 2 / (1 + np.exp(-shape[0])), np.exp(shape[1])
            g = loss.grad(pred, y, np.array(alpha), np.array(scale))
            shape_grad = np.array([g.alpha * alpha * (1 - alpha / 2), g.scale * scale])
            pred_grad = g.pred
        else:
            pred_grad = loss.grad(pred, y)
            shape_grad = np.zeros(2)
        adam.update([np.array([pred_grad @ x, pred_grad.sum()]), shape_grad], 0.05 * (1 - t / steps))
    if not adaptive:
        return Line(*line.tolist())
    return Line(*line.tolist(), float(2 / (1 + np.exp(-shape[0]))), float(np.exp(shape[1])))


def fit_logistic(loss: lossfn.Loss, x: np.ndarray, y: np.ndarray, ridge: float = 0.01) -> tuple[np.ndarray, int]:
    """Weights of a linear classifier, intercept last, by Newton's method: the loss gives its second derivative along
    with the first. The number of steps that it took comes with them."""
    x = with_ones(x)
    weights = np.zeros(x.shape[1])
    penalty = np.full(len(weights), ridge)
    penalty[-1] = 0  # the intercept is free
    move, steps = np.ones(1), 0
    while np.abs(move).max() > 1e-9 and steps < 50:
        _, grad, hess = loss.value_grad_hess(x @ weights, y)
        move = np.linalg.solve(x.T @ (hess[:, None] * x) + np.diag(penalty), x.T @ grad + penalty * weights)
        weights -= move
        steps += 1
    return weights, steps


def fit_linear(loss: lossfn.Loss, x: np.ndarray, y: np.ndarray, ridge: float = 0.01, steps: int = 400) -> np.ndarray:
    """The same classifier by gradient descent, for a loss whose second derivative says nothing."""
    x = with_ones(x)
    weights = np.zeros(x.shape[1])
    penalty = np.full(len(weights), ridge)
    penalty[-1] = 0
    adam = Adam([weights], step=0.05)
    for t in range(steps):
        adam.update([x.T @ loss.grad(x @ weights, y) + penalty * weights], 0.05 * (1 - t / steps))
    return weights


def with_ones(x: np.ndarray) -> np.ndarray:
    return np.column_stack([x, np.ones(len(x))])


class Network:
    """One hidden layer of rectified units."""

    def __init__(self, inputs: int, hidden: int, classes: int, seed: int = 3) -> None:
        rng = np.random.default_rng(seed)
        self.w1 = (rng.standard_normal((inputs, hidden)) * np.sqrt(2 / inputs)).astype(np.float32)
        self.b1 = np.zeros(hidden, np.float32)
        self.w2 = (rng.standard_normal((hidden, classes)) * np.sqrt(1 / hidden)).astype(np.float32)
        self.b2 = np.zeros(classes, np.float32)
        self.parameters = [self.w1, self.b1, self.w2, self.b2]

    def logits(self, x: np.ndarray) -> np.ndarray:
        self.hidden = np.maximum(x @ self.w1 + self.b1, 0)
        return self.hidden @ self.w2 + self.b2

    def backward(self, x: np.ndarray, grad: np.ndarray) -> list[np.ndarray]:
        """Gradients of the parameters from that of the logits, which the loss gave."""
        hidden_grad = (grad @ self.w2.T) * (self.hidden > 0)
        return [x.T @ hidden_grad, hidden_grad.sum(axis=0), self.hidden.T @ grad, grad.sum(axis=0)]


class Epoch(NamedTuple):
    """A line of the learning curve: mean losses and the share of held-out digits that are recognised."""

    train_loss: float
    test_loss: float
    accuracy: float


def fit_network(
    network: Network, loss: lossfn.Loss, data: tuple[np.ndarray, ...], epochs: int, report: Callable[[int, Epoch], None]
) -> list[Epoch]:
    """Trains in batches. An accumulator collects the loss of an epoch's batches: exactly, whatever their sizes."""
    x, y, x_test, y_test = data
    adam = Adam(network.parameters, step=0.005)
    rng = np.random.default_rng(4)
    curve = []
    for epoch in range(epochs):
        seen = lossfn.Accumulator(loss)
        for batch in np.array_split(rng.permutation(len(x)), len(x) // 64):
            logits = network.logits(x[batch])
            seen.update(logits, y[batch])
            adam.update(network.backward(x[batch], loss.grad(logits, y[batch])), 0.005 * (1 - epoch / epochs))
        logits = network.logits(x_test)
        accuracy = float((logits.argmax(axis=1) == y_test).mean())
        curve.append(Epoch(seen.value(), loss(logits, y_test), accuracy))
        report(epoch + 1, curve[-1])
    return curve
