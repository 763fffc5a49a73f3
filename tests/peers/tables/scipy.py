# SPDX-License-Identifier: MIT
"""SciPy: the losses of least_squares, special functions, distances, and what its distributions give as likelihoods."""

from __future__ import annotations

from typing import Any

import numpy as np
from rows import Difference, Inputs, Row, no_length, one, residual

HEADING, PACKAGE = "SciPy", "scipy"
DTYPE = "float64"
EPSILON = 16 * 2.0**-52
PRECISION = "double precision; a few operations, each within an ulp or two"

optimize: Any = None
special: Any = None
stats: Any = None
distance: Any = None


def load() -> None:
    global distance, optimize, special, stats
    import scipy.optimize
    import scipy.spatial.distance
    import scipy.special
    import scipy.stats

    optimize, special, stats, distance = scipy.optimize, scipy.special, scipy.stats, scipy.spatial.distance


def evaluate(row: Row, inputs: Inputs) -> dict[str, Any]:
    """A function gives the value, or a pair of value and gradient."""
    found = row.function(*(inputs[name].astype(float) for name in inputs))
    return dict(zip(("value", *row.wrt), found if row.wrt else (found,)))


def least_squares(pred: Any, target: Any, **options: Any) -> Any:
    """cost and gradient at the start of a fit with one residual."""
    found = [
        optimize.least_squares(lambda x, t=t: x - t, [p], jac=lambda x: np.eye(1), max_nfev=1, **options)
        for p, t in zip(pred, target)
    ]
    return [f.cost for f in found], [f.grad[0] for f in found]


def likelihood(name: str, **options: Any) -> Any:
    """Minus the logarithm of a density of the target, at the prediction and a scale."""
    return lambda p, t, s: -getattr(stats, name).logpdf(t, loc=p, scale=s, **options)


def far(threshold: float) -> Any:
    return lambda i: np.abs(residual(i)) / i.get("scale", 1) > threshold


SQUARES = Difference("overflows", "squares the residual", far(1e153))
DENSITY = Difference("overflows", "the density underflows before its logarithm is taken: infinite", far(740))
NO_LENGTH = Difference("limits", "NaN for a vector of zeros, or where the square of a number overflows", no_length)
SOFT = {"value": one}  # a root less 1
SOFTER = {"value": lambda i: 2.25}

NLL = {"value": lambda i: np.maximum(1, np.abs(np.log(i["scale"])))}


def gumbel(i: Inputs) -> Any:
    """exp has the relative error of its argument times that."""
    z = residual(i) / i["scale"]
    return np.maximum(NLL["value"](i), np.abs(z) * np.exp(z))


GUMBEL = {"value": gumbel}

ROWS = [
    Row("least_squares(loss='linear')", "half_squared_error", "finite", lambda p, t: least_squares(p, t)),
    Row(
        "least_squares(loss='soft_l1')",
        "pseudo_huber",
        "finite",
        lambda p, t: least_squares(p, t, loss="soft_l1"),
        terms=SOFT,
    ),
    Row(
        "least_squares(loss='soft_l1', f_scale=1.5)",
        "pseudo_huber(delta=1.5)",
        "finite",
        lambda p, t: least_squares(p, t, loss="soft_l1", f_scale=1.5),
        terms=SOFTER,
    ),
    Row("least_squares(loss='huber')", "huber", "finite", lambda p, t: least_squares(p, t, loss="huber")),
    Row(
        "least_squares(loss='huber', f_scale=1.5)",
        "huber(delta=1.5)",
        "finite",
        lambda p, t: least_squares(p, t, loss="huber", f_scale=1.5),
    ),
    Row("least_squares(loss='cauchy')", "cauchy(c=1)", "finite", lambda p, t: least_squares(p, t, loss="cauchy")),
    Row(
        "least_squares(loss='cauchy', f_scale=1.5)",
        "cauchy(c=1.5)",
        "finite",
        lambda p, t: least_squares(p, t, loss="cauchy", f_scale=1.5),
    ),
    Row("least_squares(loss='arctan')", "arctan", "finite", lambda p, t: least_squares(p, t, loss="arctan")),
    Row(
        "least_squares(loss='arctan', f_scale=1.5)",
        "arctan(c=1.5)",
        "finite",
        lambda p, t: least_squares(p, t, loss="arctan", f_scale=1.5),
    ),
    Row("special.huber(1.5, r)", "huber(delta=1.5)", "reals", lambda p, t: special.huber(1.5, p - t), wrt=()),
    Row(
        "special.pseudo_huber(1.5, r)",
        "pseudo_huber(delta=1.5)",
        "reals",
        lambda p, t: special.pseudo_huber(1.5, p - t),
        (SQUARES,),
        wrt=(),
    ),
    Row(
        "special.rel_entr(t, p).sum(-1)",
        "kl_div",
        "distribution pairs",
        lambda p, t: special.rel_entr(t, p).sum(-1),
        wrt=(),
        terms={"value": one},
    ),
    Row(
        "special.kl_div(t, p).sum(-1)",
        "generalized_kl",
        "distribution pairs",
        lambda p, t: special.kl_div(t, p).sum(-1),
        wrt=(),
        terms={"value": one},
    ),
    Row("special.entr(p).sum(-1)", "entropy", "one distribution", lambda p: special.entr(p).sum(-1), wrt=()),
    Row("stats.entropy(p, axis=-1)", "entropy", "one distribution", lambda p: stats.entropy(p, axis=-1), wrt=()),
    Row(
        "stats.entropy(p, base=2, axis=-1)",
        "entropy(base=2)",
        "one distribution",
        lambda p: stats.entropy(p, base=2, axis=-1),
        wrt=(),
    ),
    Row(
        "stats.entropy(t, p, axis=-1)",
        "kl_div",
        "distribution pairs",
        lambda p, t: stats.entropy(t, p, axis=-1),
        wrt=(),
        terms={"value": one},
    ),
    Row(
        "spatial.distance.cosine",
        "cosine_distance",
        "vectors",
        lambda p, t: [distance.cosine(a, b) for a, b in zip(p, t)],
        (NO_LENGTH,),
        wrt=(),
        terms={"value": one},
    ),
    Row(
        "spatial.distance.jensenshannon(p, t)**2",
        "jensen_shannon",
        "distribution pairs",
        lambda p, t: distance.jensenshannon(p, t, axis=-1) ** 2,
        wrt=(),
        terms={"value": one},
    ),
    Row(
        "-stats.norm.logpdf",
        "gaussian_nll(full=true)",
        "variances",
        lambda p, t, var: -stats.norm.logpdf(t, loc=p, scale=np.sqrt(var)),
        wrt=(),
        terms={"value": lambda i: np.maximum(1, np.abs(np.log(i["var"])))},
    ),
    Row(
        "-stats.laplace.logpdf",
        "laplace_nll(full=true)",
        "scales",
        likelihood("laplace"),
        (DENSITY,),
        wrt=(),
        terms=NLL,
    ),
    Row("-stats.cauchy.logpdf", "cauchy_nll(full=true)", "scales", likelihood("cauchy"), wrt=(), terms=NLL),
    Row("-stats.logistic.logpdf", "logistic_nll", "scales", likelihood("logistic"), wrt=(), terms=NLL),
    Row("-stats.gumbel_r.logpdf", "gumbel_nll", "scales", likelihood("gumbel_r"), wrt=(), terms=GUMBEL),
    Row(
        "-stats.t.logpdf(df=3) + stats.t.logpdf(0, df=3)",
        "student_t_nll",
        "scales",
        lambda p, t, s: likelihood("t", df=3)(p, t, s) + stats.t.logpdf(0, df=3),
        (SQUARES,),
        wrt=(),
        terms=NLL,
    ),
    Row(
        "-stats.poisson.logpmf(t, p)",
        "poisson_nll(log_input=false, full=true)",
        "rates",
        lambda p, t: -stats.poisson.logpmf(t, p),
        wrt=(),
        terms={"value": lambda i: 1 + np.abs(i["target"] * np.log(i["pred"]))},
    ),
]
