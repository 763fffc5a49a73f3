# SPDX-License-Identifier: MIT
"""scoringrules, on JAX in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from rows import Difference, Inputs, Row, largest, one, residual

HEADING, PACKAGE = "scoringrules", "scoringrules"
DTYPE = "float64"
EPSILON = 16 * 2.0**-52
PRECISION = "on JAX in double precision; a few operations, each within an ulp or two"

jax: Any = None
rules: Any = None


def load() -> None:
    global jax, rules
    import jax as package
    import scoringrules

    package.config.update("jax_enable_x64", True)
    jax, rules = package, scoringrules
    rules.register_backend("jax")


def evaluate(row: Row, inputs: Inputs) -> dict[str, Any]:
    given = [jax.numpy.asarray(a) for a in inputs.values()]
    places = [list(inputs).index(name) for name in row.wrt]
    grads = jax.grad(lambda *all: row.function(*all).sum(), argnums=places)(*given)
    return {"value": row.function(*given), **dict(zip(row.wrt, grads))}


def met(i: Inputs) -> Any:
    """A member or a quantile is the target."""
    return (i["pred"] == i["target"][:, None]).any(-1)


def tied(i: Inputs) -> Any:
    return met(i) | (np.diff(np.sort(i["pred"]), axis=-1) == 0).any(-1)


def at_end(i: Inputs) -> Any:
    return (i["target"] == i["pred"]) | (i["target"] == i["upper"])


def distance(i: Inputs) -> Any:
    """In standard deviations: the derivative by them is what terms of this size leave."""
    return 1 + np.abs(residual(i)) / i["scale"]


ABS = Difference("kink convention", "JAX gives |x| the slope 1 at 0", met, ("pred", "target"))
SORTED = Difference(
    "kink convention", "of equal numbers each has the slope of its place in the order", tied, ("pred", "target")
)
BELOW = Difference("kink convention", "what equals the target has the slope of what lies below it", met, ("pred",))
ENDS = Difference("kink convention", "at an end of the interval the slope is that inside", at_end, ("pred", "upper"))
KINK = Difference("kink convention", "the gradient at 0 is that below it", lambda i: residual(i) == 0, ("pred",))
NAN = Difference("limits", "and so is that of NaN", lambda i: np.isnan(residual(i)), ("pred",))
MEMBERS = {"value": largest("pred"), "pred": one, "target": one}

LEVELS = np.array([0.1, 0.3, 0.5, 0.7, 0.9])

ROWS = [
    Row(
        "crps_ensemble",
        "crps_ensemble",
        "members",
        lambda p, t: rules.crps_ensemble(t, p, backend="jax"),
        (SORTED,),
        wrt=("pred", "target"),
        terms=MEMBERS,
    ),
    Row(
        "crps_ensemble(estimator='nrg')",
        "crps_ensemble",
        "members",
        lambda p, t: rules.crps_ensemble(t, p, estimator="nrg", backend="jax"),
        (ABS,),
        wrt=("pred", "target"),
        terms=MEMBERS,
    ),
    Row(
        "crps_ensemble(estimator='fair')",
        "crps_ensemble(fair=true)",
        "members",
        lambda p, t: rules.crps_ensemble(t, p, estimator="fair", backend="jax"),
        (ABS,),
        wrt=("pred", "target"),
        terms=MEMBERS,
    ),
    Row(
        "crps_quantile of levels (i - 1/2) / 5",
        "crps_quantile",
        "quantiles",
        lambda p, t: rules.crps_quantile(t, p, LEVELS, backend="jax"),
        (BELOW,),
    ),
    Row(
        "crps_normal",
        "crps_gaussian",
        "scales",
        lambda p, t, s: rules.crps_normal(t, p, s, backend="jax"),
        wrt=("pred", "target", "scale"),
        terms={"value": lambda i: i["scale"], "pred": one, "target": one, "scale": distance},
    ),
    Row(
        "interval_score(alpha=0.1)",
        "interval_score",
        "intervals",
        lambda p, t, upper: rules.interval_score(t, p, upper, 0.1, backend="jax"),
        (ENDS,),
        wrt=("pred", "target", "upper"),
    ),
    Row(
        "quantile_score(alpha=0.2)",
        "quantile(tau=0.2)",
        "reals",
        lambda p, t: rules.quantile_score(t, p, 0.2, backend="jax"),
        (KINK, NAN),
    ),
]
