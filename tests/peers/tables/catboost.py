# SPDX-License-Identifier: MIT
"""CatBoost's metrics, which are what it trains on as well, sample by sample."""

from __future__ import annotations

from typing import Any

import numpy as np
from rows import Difference, Inputs, Row, everywhere, largest, one

HEADING, PACKAGE = "CatBoost", "catboost"
DTYPE = "float32"
EPSILON = 16 * 2.0**-52
PRECISION = "utils.eval_metric of targets in single precision, computed in double precision"

utils: Any = None


def load() -> None:
    global utils
    import catboost.utils

    utils = catboost.utils


def evaluate(row: Row, inputs: Inputs) -> dict[str, Any]:
    return {"value": row.function(inputs["pred"], inputs["target"])}


def metric(name: str) -> Any:
    return lambda pred, target: [utils.eval_metric([t], p[None], name)[0] for p, t in zip(pred, target)]


def exponential(i: Inputs) -> Any:
    """It has the relative error of its argument."""
    return (1 + np.abs(i["pred"])) * np.exp(i["pred"]) + i["target"]


def fast_log(i: Inputs) -> Any:
    """A logarithm is off by at most 1.5e-7; their difference is squared."""
    gap = np.abs(np.log1p(i["pred"]) - np.log1p(i["target"]))
    return 2 * gap * 1.5e-7 + 1.5e-7**2


DELTA = Difference("adds eps", "its delta, 1e-6, is taken from the distance", everywhere, ("value",), lambda i: 1.01e-6)
LOG_COSH = Difference(
    "approximates", "its fast logarithm is off by up to 1.1e-4", everywhere, ("value",), lambda i: 1.1e-4
)
FAST_LOG = Difference("approximates", "its fast logarithm is off by up to 1.5e-7", everywhere, ("value",), fast_log)
VALUE = {"wrt": ()}

ROWS = [
    Row("RMSE", "rmse", "finite", lambda p, t: utils.eval_metric(t, p, "RMSE")[0], reduction="mean", **VALUE),
    Row(
        "MultiRMSE",
        "multi_rmse",
        "plain distributions",
        lambda p, t: utils.eval_metric(t, p, "MultiRMSE")[0],
        reduction="mean",
        **VALUE,
    ),
    *(
        Row(name, spec, kind, metric(name), differences, terms={"value": terms} if terms else {}, **VALUE)
        for name, spec, kind, differences, terms in (
            ("MAE", "mae", "finite", (DELTA,), None),
            ("Huber:delta=1.5", "huber(delta=1.5)", "finite", (), None),
            ("Quantile:alpha=0.25", "quantile(tau=0.25)", "finite", (DELTA,), None),
            ("Expectile:alpha=0.25", "expectile(tau=0.25)", "finite", (), None),
            ("LogLinQuantile:alpha=0.25", "log_lin_quantile(tau=0.25)", "log means", (), exponential),
            ("Lq:q=3", "lp(p=3)", "finite", (), None),
            ("Lq:q=1.5", "lp(p=1.5)", "finite", (), None),
            ("LogCosh", "log_cosh", "finite", (LOG_COSH,), one),
            ("FairLoss:smoothness=2", "fair(c=2)", "finite", (), one),
            ("MAPE", "0.01*mape(eps=1)", "finite", (), None),
            ("SMAPE", "smape", "finite", (), None),
            ("MSLE", "msle", "positives", (FAST_LOG,), None),
            ("Poisson", "poisson_nll", "log counts", (), exponential),
            ("Logloss", "bce_with_logits", "finite margins 0/1", (), largest("pred")),
            ("MultiClass", "cross_entropy", "finite labels", (), largest("pred")),
            ("MultiClassOneVsAll", "multilabel_soft_margin", "finite labels", (), largest("pred")),
        )
    ),
]
