# SPDX-License-Identifier: MIT
"""LightGBM's objectives. It has no call for gradient and Hessian; without regularisation a leaf of one sample is
-g/h. Each sample is grown beside another one, so that there is a split."""

from __future__ import annotations

from typing import Any

import numpy as np
from rows import Inputs, Row

HEADING, PACKAGE = "LightGBM", "lightgbm"
DTYPE = "float32"
EPSILON = 64 * 2.0**-24
PRECISION = "gradient and Hessian in single precision; their quotient is compared"

lightgbm: Any = None


def load() -> None:
    global lightgbm
    import lightgbm as package

    lightgbm = package


COMMON = {"verbosity": -1, "num_threads": 1, "boost_from_average": False, "feature_pre_filter": False}
COMMON |= {
    "min_data_in_bin": 1,
    "min_data_in_leaf": 0,
    "min_sum_hessian_in_leaf": 1e-30,
    "lambda_l2": 0,
    "num_leaves": 2,
}
COMMON |= {"learning_rate": 1, "max_delta_step": 0}


def step(objective: dict[str, Any], pred: float, target: float, other: float) -> float:
    """The leaf of the first sample. Its companion has the same score, the target `other` and so about the same Hessian,
    by which LightGBM estimates how many samples a leaf has."""
    data = lightgbm.Dataset(
        np.array([[0.0], [1.0]]), label=np.array([target, other]), init_score=np.full(2, pred), params=dict(COMMON)
    )
    booster = lightgbm.train({**COMMON, **objective}, data, 1)
    if booster.dump_model()["tree_info"][0]["num_leaves"] != 2:
        raise ValueError(f"no split for {pred}, {target}")
    return float(booster.predict(np.array([[0.0]]), raw_score=True)[0])


def evaluate(row: Row, inputs: Inputs) -> dict[str, Any]:
    objective, companion = row.function()
    pairs = zip(inputs["pred"], inputs["target"])
    return {"step": np.array([step(objective, p, t, companion(p, t)) for p, t in pairs])}


GIVES = {"wrt": (), "outputs": ("step",)}


def mirrored(p: float, t: float) -> float:
    return 2 * p - t if p != t else t + 0.01


def more(p: float, t: float) -> float:
    return 2 * t + 1


def twice(p: float, t: float) -> float:
    return 2 * t


def across(p: float, t: float) -> float:
    return 1 - t if t != 0.5 else 0.75


def on(objective: str, companion: Any, **options: Any) -> Any:
    return lambda: ({"objective": objective, **options}, companion)


ROWS = [
    Row("regression", "half_squared_error", "moderate", on("regression", mirrored), **GIVES),
    Row("huber, alpha=0.9", "huber(delta=0.9)", "moderate", on("huber", mirrored, alpha=0.9), **GIVES, hessian="one"),
    Row("fair", "fair(c=1)", "moderate", on("fair", mirrored), **GIVES),
    Row(
        "poisson, poisson_max_delta_step=1e-9",
        "poisson_nll",
        "moderate log rates",
        on("poisson", more, poisson_max_delta_step=1e-9),
        **GIVES,
    ),
    Row("gamma", "gamma_nll", "moderate log means", on("gamma", twice), **GIVES),
    Row("binary", "bce_with_logits", "moderate margins 0/1", on("binary", across), **GIVES),
    Row("cross_entropy", "bce_with_logits", "moderate logits", on("cross_entropy", across), **GIVES),
    Row("tweedie", "tweedie_nll", "moderate log means", on("tweedie", twice, tweedie_variance_power=1.5), **GIVES),
]
