# SPDX-License-Identifier: MIT
"""SciPy: the losses of least_squares, special functions, distances, and what its distributions give as likelihoods."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from rows import BETA, Difference, Inputs, Row, lgamma_size, no_length, one, residual

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


def lifetimes(times: Any, low: Any, high: Any) -> Any:
    """Of a time that is known, or lies between bounds."""
    known, no_low, no_high = low == high, low == 0, np.isinf(high)
    between = -np.log(times.cdf(high) - times.cdf(low))
    return np.select(
        [known, no_low, no_high], [-times.logpdf(low), -times.logcdf(high), -times.logsf(low)], default=between
    )


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


def powers(power: float) -> Any:
    """Of each class a power less 1, times its probability."""
    return lambda i: np.maximum(1, (i["target"] * (i["target"] / i["pred"]) ** power).max(-1))


def log_gap(i: Inputs) -> Any:
    return np.abs(i["pred"] - np.log(i["target"]))


def logs(i: Inputs) -> Any:
    return 1 + np.abs(i["pred"]) + np.abs(np.log(i["target"]))


def weibull(i: Inputs) -> Any:
    """exp(u) has the relative error of u."""
    u = i["shape"] * (np.log(i["target"]) - i["pred"])
    return logs(i) + np.abs(u) + np.exp(u) * (1 + i["shape"] + np.abs(u))


LOGNORMAL = {"value": lambda i: np.maximum(logs(i), log_gap(i) / i["scale"] ** 2)}
WEIBULL = {"value": weibull}


def binomial(i: Inputs) -> Any:
    """log(1 - p) has the rounding error of 1."""
    n = i["target"] + i["failures"]
    return lgamma_size(n + 1) + n * np.abs(i["pred"]) + i["failures"] * np.exp(i["pred"])


def counts(i: Inputs) -> Any:
    return (1 + i["target"]) * (1 + np.abs(i["pred"])) + i["target"] * np.exp(-i["pred"])


BINOMIAL, COUNTS = {"value": binomial}, {"value": counts}
CERTAIN = Difference(
    "rounding",
    "the logit is made a probability first, which is 0 or 1 far out: infinite",
    lambda i: (i["pred"] < -708) | (i["pred"] > 36),
)
NO_COUNT = Difference(
    "rounding",
    "the logarithm of the mean is made a probability first, which is 1 below -37: infinite",
    lambda i: i["pred"] < -36,
)


def normal(z: Any) -> Any:
    return np.array([math.erfc(-x / math.sqrt(2)) / 2 for x in z])


def logistic(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def extreme(z: Any) -> Any:
    return -np.expm1(-np.exp(z))


def bounds(i: Inputs) -> Any:
    return [(np.log(i[name]) - i["pred"]) / 0.5 for name in ("target", "upper")]


def nothing(z: Any) -> Any:
    return 0.0


def lifetime_terms(cdf: Any, above: Any = nothing) -> Any:
    """Between two bounds the difference of cdf has the rounding error of the larger one; beyond one bound an
    exponential has that of its argument, or 1 less cdf that of 1; of a known time logarithms are added."""

    def terms(i: Inputs) -> Any:
        a, b = bounds(i)
        z = np.where(np.isfinite(a), a, b)
        chances = cdf(b)
        between = chances / (chances - cdf(a))
        beyond = (1 + z * z) * np.exp(-np.abs(z)) + above(z)
        known = 1 + z * z + np.abs(np.log(i["target"]))
        return np.select([a == b, np.isfinite(a) & np.isfinite(b)], [known, between], default=beyond)

    return terms


def far_between(threshold: float) -> Difference:
    return Difference(
        "rounding",
        "far above the median the distribution function is 1 at both bounds: infinite",
        lambda i: (bounds(i)[0] > threshold) & (bounds(i)[0] < bounds(i)[1]) & np.isfinite(i["upper"]),
    )


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
    Row(
        "special.rel_entr(p, t).sum(-1)",
        "reverse_kl",
        "distribution pairs",
        lambda p, t: special.rel_entr(p, t).sum(-1),
        wrt=(),
        terms={"value": one},
    ),
    Row(
        "spatial.distance.cityblock(p, t) / 2",
        "total_variation",
        "distribution pairs",
        lambda p, t: [distance.cityblock(a, b) / 2 for a, b in zip(p, t)],
        wrt=(),
    ),
    Row(
        "spatial.distance.cosine(p, one-hot)",
        "spherical",
        "hot pairs",
        lambda p, t: [distance.cosine(a, b) for a, b in zip(p, t)],
        wrt=(),
        terms={"value": one},
    ),
    Row(
        "stats.chisquare(p, t, axis=-1).statistic",
        "chi2",
        "inner pairs",
        lambda p, t: stats.chisquare(p, t, axis=-1).statistic,
        wrt=(),
    ),
    *(
        Row(
            f"{formula.format(f'stats.power_divergence(t, p, -1, lambda_={power}).statistic')}",
            spec,
            "inner pairs",
            lambda p, t, power=power, of=of: of(stats.power_divergence(t, p, axis=-1, lambda_=power).statistic),
            wrt=(),
            terms={"value": powers(power)},
        )
        for spec, power, formula, of in (
            ("alpha_divergence(alpha=1.5)", 0.5, "{} / 2", lambda d: d / 2),
            ("tsallis_divergence(alpha=1.5)", 0.5, "0.75 * {}", lambda d: 0.75 * d),
            ("renyi_divergence(alpha=1.5)", 0.5, "2 * log1p(0.375 * {})", lambda d: 2 * np.log1p(0.375 * d)),
            ("hellinger", -0.5, "{} / 8", lambda d: d / 8),
        )
    ),
    Row(
        "stats.logistic.logpdf(0) - stats.logistic.logpdf(t, p)",
        "logit_dist",
        "reals",
        lambda p, t: stats.logistic.logpdf(0) - stats.logistic.logpdf(t, p),
        wrt=(),
        terms={"value": one},
    ),
    Row(
        "-stats.norm.logpdf(t, p, 0.5)",
        "barron_nll(alpha=2, scale=0.5)",
        "reals",
        lambda p, t: -stats.norm.logpdf(t, p, 0.5),
        wrt=(),
        terms={"value": one},
    ),
    Row(
        "-stats.cauchy.logpdf(t, p, sqrt(0.5))",
        "barron_nll(alpha=0, scale=0.5)",
        "reals",
        lambda p, t: -stats.cauchy.logpdf(t, p, np.sqrt(0.5)),
        wrt=(),
        terms={"value": one},
    ),
    Row(
        "-stats.genhyperbolic.logpdf(t, 1, 1, 0, p, 0.5)",
        "barron_nll(alpha=1, scale=0.5)",
        "finite",
        lambda p, t: -stats.genhyperbolic.logpdf(t, 1, 1, 0, p, 0.5),
        wrt=(),
        terms={"value": one},
    ),
    Row(
        "-stats.t.logpdf(t, df, p, scale)",
        "student_t_nll(full=true)",
        "scales and df",
        lambda p, t, s, df: -stats.t.logpdf(t, df, p, s),
        (SQUARES,),
        wrt=(),
        terms={"value": lambda i: lgamma_size(i["df"]) + np.abs(np.log(i["scale"]))},
    ),
    Row(
        "-stats.lognorm.logpdf(t, scale, scale=exp(p))",
        "lognormal_nll(full=true)",
        "log scales",
        lambda p, t, s: -stats.lognorm.logpdf(t, s, scale=np.exp(p)),
        wrt=(),
        terms=LOGNORMAL,
    ),
    Row(
        "-stats.weibull_min.logpdf(t, shape, scale=exp(p))",
        "weibull_nll(full=true)",
        "shapes",
        lambda p, t, k: -stats.weibull_min.logpdf(t, k, scale=np.exp(p)),
        wrt=(),
        terms=WEIBULL,
    ),
    Row(
        "-stats.expon.logpdf(t, scale=exp(p))",
        "gamma_nll",
        "log means",
        lambda p, t: -stats.expon.logpdf(t, scale=np.exp(p)),
        wrt=(),
        terms={"value": logs},
    ),
    Row(
        "-stats.vonmises.logpdf(t, concentration, p)",
        "von_mises_nll(full=true)",
        "angles",
        lambda p, t, k: -stats.vonmises.logpdf(t, k, p),
        wrt=(),
        terms={"value": lambda i: i["concentration"]},
    ),
    Row(
        "-stats.beta.logpdf(t, m c, (1 - m) c), m = expit(p)",
        "beta_nll",
        "fractions",
        lambda p, t, c: -stats.beta.logpdf(t, special.expit(p) * c, special.expit(-p) * c),
        wrt=(),
        terms=BETA,
    ),
    Row(
        "-stats.binom.logpmf(t, t + failures, expit(p))",
        "binomial_nll(full=true)",
        "trials",
        lambda p, t, failures: -stats.binom.logpmf(t, t + failures, special.expit(p)),
        (CERTAIN,),
        wrt=(),
        terms=BINOMIAL,
    ),
    Row(
        "-stats.nbinom.logpmf(t, 1, expit(-p))",
        "negative_binomial_nll",
        "log counts",
        lambda p, t: -stats.nbinom.logpmf(t, 1, special.expit(-p)),
        (NO_COUNT,),
        wrt=(),
        terms=COUNTS,
    ),
    *(
        Row(
            f"-stats.{name}({options}): logpdf, logcdf, logsf, or the logarithm of a difference of cdf",
            f"aft_nll(distribution={distribution}, scale=0.5, full=true)",
            "times",
            lambda p, low, high, make=make: lifetimes(make(p), low, high),
            differences,
            wrt=(),
            terms={"value": terms},
        )
        for name, options, distribution, make, terms, differences in (
            (
                "lognorm",
                "0.5, scale=exp(p)",
                "normal",
                lambda p: stats.lognorm(0.5, scale=np.exp(p)),
                lifetime_terms(normal),
                (far_between(8),),
            ),
            (
                "fisk",
                "2, scale=exp(p)",
                "logistic",
                lambda p: stats.fisk(2, scale=np.exp(p)),
                lifetime_terms(logistic, np.exp),
                (),
            ),
            (
                "weibull_min",
                "2, scale=exp(p)",
                "extreme",
                lambda p: stats.weibull_min(2, scale=np.exp(p)),
                lifetime_terms(extreme),
                (far_between(3.5),),
            ),
        )
    ),
]
