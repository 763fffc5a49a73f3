# SPDX-License-Identifier: MIT
"""JAX: jit of value_and_grad."""

from __future__ import annotations

import inspect
import os
from functools import partial
from typing import Any

import numpy as np
from cases import Case
from turns import Contestant

from . import find

PEERS = {"jax": "JAX"}


def load(key: str, threads: int) -> Jax:
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    return Jax()


def table() -> dict[str, Any]:
    import jax
    import jax.numpy as jnp

    def mean_of(function):
        """The loss of one element, averaged."""

        def loss(*inputs, **params):
            return jnp.mean(function(*inputs, **params))

        loss.__signature__ = inspect.signature(function)
        return loss

    def huber(pred, target, delta=1.0):
        a = jnp.abs(pred - target)
        return jnp.where(a <= delta, 0.5 * a**2, delta * (a - 0.5 * delta))

    def log_cosh(pred, target):
        r = pred - target
        return jnp.logaddexp(r, -r) - jnp.log(2.0)

    def quantile(pred, target, tau=0.5):
        r = target - pred
        return jnp.maximum(tau * r, (tau - 1) * r)

    def expectile(pred, target, tau=0.5):
        r = pred - target
        return jnp.where(r < 0, tau, 1 - tau) * r**2

    def bce(pred, target):
        return -target * jnp.log(pred) - (1 - target) * jnp.log1p(-pred)

    def bce_with_logits(pred, target):  # as in optax
        return -target * jax.nn.log_sigmoid(pred) - (1 - target) * jax.nn.log_sigmoid(-pred)

    def cross_entropy(pred, target, class_weight=None, label_smoothing=0.0, axis=-1):
        logp = jax.nn.log_softmax(pred, axis=axis)
        soft = target.ndim == pred.ndim
        if soft:
            return -(target * logp).sum(axis).mean()
        picked = jnp.take_along_axis(logp, jnp.expand_dims(target, axis), axis).squeeze(axis)
        if class_weight is not None:
            weight = class_weight[target]
            return -(weight * picked).sum() / weight.sum()
        return -((1 - label_smoothing) * picked + label_smoothing * logp.mean(axis)).mean()

    def categorical_cross_entropy(pred, target):
        return -jnp.log(jnp.take_along_axis(pred, target[:, None], 1)).mean()

    def kl_div(pred, target, log_pred=False):
        return (jax.scipy.special.xlogy(target, target) - target * (pred if log_pred else jnp.log(pred))).sum(-1).mean()

    def barron(pred, target, alpha=1.0, scale=1.0):
        x, b = ((pred - target) / scale) ** 2, abs(alpha - 2)
        return (b / alpha) * ((x / b + 1) ** (alpha / 2) - 1)

    return {
        "mse": mean_of(lambda pred, target: (pred - target) ** 2),
        "half_squared_error": mean_of(lambda pred, target: 0.5 * (pred - target) ** 2),
        "mae": mean_of(lambda pred, target: jnp.abs(pred - target)),
        "huber": mean_of(huber),
        "pseudo_huber": mean_of(
            lambda pred, target, delta=1.0: delta**2 * (jnp.sqrt(1 + ((pred - target) / delta) ** 2) - 1)
        ),
        "smooth_l1": mean_of(lambda pred, target, beta=1.0: huber(pred, target, beta) / beta),
        "log_cosh": mean_of(log_cosh),
        "quantile": mean_of(quantile),
        "expectile": mean_of(expectile),
        "hinge": mean_of(lambda pred, target, margin=1.0: jnp.maximum(0, margin - target * pred)),
        "squared_hinge": mean_of(lambda pred, target, margin=1.0: jnp.maximum(0, margin - target * pred) ** 2),
        "binary_cross_entropy": mean_of(bce),
        "bce_with_logits": mean_of(bce_with_logits),
        "cross_entropy": cross_entropy,
        "categorical_cross_entropy": categorical_cross_entropy,
        "kl_div": kl_div,
        "self_information": mean_of(lambda pred: -jnp.log(pred)),
        "entropy": lambda pred: jax.scipy.special.entr(pred).sum(-1).mean(),
        "barron": mean_of(barron),
        "poisson_nll": mean_of(lambda pred, target: jnp.exp(pred) - target * pred),
        "gaussian_nll": mean_of(lambda pred, target, var: 0.5 * (jnp.log(var) + (pred - target) ** 2 / var)),
    }


class Jax:
    def __init__(self) -> None:
        import jax

        self.version = str(jax.__version__)
        self.table = table()

    def build(self, case: Case) -> Contestant | None:
        import jax
        import jax.numpy as jnp

        function = find(self.table, case)
        if function is None or case.want != "value_grad" or case.dtype != "float32":
            return None
        params = {k: v if isinstance(v, (int, float)) else jnp.asarray(v) for k, v in case.params.items()}
        wanted = tuple(i for i, name in enumerate(case.inputs) if name in case.differentiable)
        compiled = jax.jit(jax.value_and_grad(partial(function, **params), argnums=wanted))
        inputs = [jnp.asarray(array) for array in case.inputs.values()]

        def call() -> object:
            return jax.block_until_ready(compiled(*inputs))

        def results() -> tuple[float, list[Any]]:
            value, grads = compiled(*inputs)
            return float(value), [np.asarray(grad) for grad in grads]

        return Contestant(call, results)
