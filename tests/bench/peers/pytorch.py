# SPDX-License-Identifier: MIT
"""PyTorch, eager and compiled: forward, then backward() into .grad, as a training step has it."""

from __future__ import annotations

import math
from typing import Any

from cases import Case
from turns import Contestant

from . import find

PEERS = {"torch": "PyTorch eager", "compile": "torch.compile"}


def load(key: str, threads: int) -> Torch:
    import torch

    torch.set_num_threads(threads)
    return Torch(compiled=key == "compile")


def table() -> dict[str, Any]:
    import torch
    import torch.nn.functional as F

    def pseudo_huber(pred, target, delta=1.0):
        return (delta**2 * (torch.sqrt(1 + ((pred - target) / delta) ** 2) - 1)).mean()

    def log_cosh(pred, target):
        r = pred - target
        return (r + F.softplus(-2 * r) - math.log(2)).mean()

    def quantile(pred, target, tau=0.5):
        r = target - pred
        return torch.maximum(tau * r, (tau - 1) * r).mean()

    def expectile(pred, target, tau=0.5):
        r = pred - target
        return (torch.where(r < 0, tau, 1 - tau) * r**2).mean()

    def hinge(pred, target, margin=1.0):
        return F.relu(margin - target * pred).mean()

    def squared_hinge(pred, target, margin=1.0):
        return (F.relu(margin - target * pred) ** 2).mean()

    def cross_entropy(pred, target, class_weight=None, label_smoothing=0.0, axis=-1):
        return F.cross_entropy(pred, target, weight=class_weight, label_smoothing=label_smoothing)

    def kl_div(pred, target, log_pred=False):
        return F.kl_div(pred if log_pred else pred.log(), target, reduction="batchmean")

    def entropy(pred):
        return torch.special.entr(pred).sum(-1).mean()

    def barron(pred, target, alpha=1.0, scale=1.0):
        """The general form of Barron's published code: every branch, then a choice."""
        alpha = torch.as_tensor(alpha, dtype=pred.dtype)
        eps = torch.tensor(torch.finfo(torch.float32).eps, dtype=pred.dtype)
        x = ((pred - target) / scale) ** 2
        two, zero = 0.5 * x, torch.log1p(torch.clamp(0.5 * x, max=3e37))
        below, above = -torch.expm1(-0.5 * x), torch.expm1(torch.clamp(0.5 * x, max=87.5))
        b = torch.maximum(eps, torch.abs(alpha - 2))
        a = torch.where(alpha >= 0, 1.0, -1.0) * torch.maximum(eps, torch.abs(alpha))
        otherwise = (b / a) * (torch.pow(x / b + 1, 0.5 * alpha) - 1)
        chosen = torch.where(alpha == math.inf, above, otherwise)
        chosen = torch.where(alpha == 2, two, torch.where(alpha == 0, zero, chosen))
        return torch.where(alpha == -math.inf, below, chosen).mean()

    return {
        "mse": lambda pred, target: F.mse_loss(pred, target),
        "half_squared_error": lambda pred, target: 0.5 * F.mse_loss(pred, target),
        "mae": lambda pred, target: F.l1_loss(pred, target),
        "huber": lambda pred, target, delta=1.0: F.huber_loss(pred, target, delta=delta),
        "pseudo_huber": pseudo_huber,
        "smooth_l1": lambda pred, target, beta=1.0: F.smooth_l1_loss(pred, target, beta=beta),
        "log_cosh": log_cosh,
        "quantile": quantile,
        "expectile": expectile,
        "hinge": hinge,
        "squared_hinge": squared_hinge,
        "binary_cross_entropy": lambda pred, target: F.binary_cross_entropy(pred, target),
        "bce_with_logits": lambda pred, target: F.binary_cross_entropy_with_logits(pred, target),
        "cross_entropy": cross_entropy,
        "categorical_cross_entropy": lambda pred, target: F.nll_loss(torch.log(pred), target),
        "kl_div": kl_div,
        "self_information": lambda pred: -torch.log(pred).mean(),
        "entropy": entropy,
        "barron": barron,
        "poisson_nll": lambda pred, target: F.poisson_nll_loss(pred, target, log_input=True),
        "gaussian_nll": lambda pred, target, var: F.gaussian_nll_loss(pred, target, var),
    }


class Torch:
    def __init__(self, compiled: bool) -> None:
        import torch

        self.compiled = compiled
        self.version = str(torch.__version__)
        self.table = table()
        if compiled:  # one that cannot compile anything is missing, and says so once
            torch.compile(lambda x: x + 1, dynamic=False)(torch.zeros(4))

    def build(self, case: Case) -> Contestant | None:
        import torch

        function = find(self.table, case)
        if function is None or case.want != "value_grad":
            return None
        if self.compiled:
            torch._dynamo.reset()  # compiled anew for each case, for just its shape
            function = torch.compile(function, dynamic=False)
        tensors = {name: torch.from_numpy(array) for name, array in case.inputs.items()}
        params = {k: v if isinstance(v, (int, float)) else torch.as_tensor(v) for k, v in case.params.items()}
        inputs = [tensor.requires_grad_(name in case.differentiable) for name, tensor in tensors.items()]
        wanted = [tensor for tensor in inputs if tensor.requires_grad]

        def call() -> torch.Tensor:
            for tensor in wanted:
                tensor.grad = None
            value = function(*inputs, **params)
            value.backward()
            return value

        def results() -> tuple[float, list[Any]]:
            value = call().item()
            return value, [tensor.grad.numpy() for tensor in wanted]

        return Contestant(call, results)
