# SPDX-License-Identifier: MIT
"""scikit-learn's loss functions, into arrays that it is given. loss_gradient leaves values unsummed, which spares it
the sum that its callers need; gradient_hessian is what its boosting calls."""

from __future__ import annotations

from typing import Any

import numpy as np
from cases import Case
from turns import Contestant

from . import find

PEERS = {"sklearn": "scikit-learn"}


def load(key: str, threads: int) -> Sklearn:
    import sklearn

    return Sklearn(threads, str(sklearn.__version__))


def table() -> dict[str, Any]:
    from sklearn._loss import loss

    return {
        "half_squared_error": lambda: loss.HalfSquaredError(),
        "mae": lambda: loss.AbsoluteError(),
        "huber": lambda delta=1.0: loss.HuberLoss(quantile=0.9, delta=delta),
        "quantile": lambda tau=0.5: loss.PinballLoss(quantile=tau),
        "poisson_nll": lambda: loss.HalfPoissonLoss(),
        "bce_with_logits": lambda: loss.HalfBinomialLoss(),
        "cross_entropy": lambda classes: loss.HalfMultinomialLoss(n_classes=classes),
    }


class Sklearn:
    def __init__(self, threads: int, version: str) -> None:
        self.version = version
        self.threads = threads
        self.table = table()

    def build(self, case: Case) -> Contestant | None:
        make = find(self.table, case)
        if make is None or case.soft:
            return None
        about = make(case.shape[-1]) if case.loss == "cross_entropy" else make()
        pred = case.inputs["pred"]
        target = case.inputs["target"].astype(pred.dtype)
        values, grad, hess = np.empty(target.shape, pred.dtype), np.empty_like(pred), np.empty_like(pred)
        first = {"y_true": target, "raw_prediction": pred, "sample_weight": None, "n_threads": self.threads}
        if case.want == "value_grad":
            return Contestant(
                lambda: about.loss_gradient(**first, loss_out=values, gradient_out=grad),
                lambda: (
                    about.loss_gradient(**first, loss_out=values, gradient_out=grad)[0].mean(),
                    [grad / case.units],
                ),
            )
        if case.loss in ("mae", "quantile"):
            return None  # its boosting takes 1 for the Hessian, which is 0
        return Contestant(
            lambda: about.gradient_hessian(**first, gradient_out=grad, hessian_out=hess),
            lambda: (None, list(about.gradient_hessian(**first, gradient_out=grad, hessian_out=hess))),
        )
