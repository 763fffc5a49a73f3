# SPDX-License-Identifier: MIT
"""statsmodels: rho and psi of its robust norms, and what its models and families give as likelihoods and deviances."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from rows import BETA, Difference, Inputs, Row, lgamma_size, one, residual

HEADING, PACKAGE = "statsmodels", "statsmodels"
DTYPE = "float64"
EPSILON = 16 * 2.0**-52
PRECISION = "robust norms, rho and psi, likelihoods and their scores, in double precision; a few operations, each within an ulp or two"

norms: Any = None
families: Any = None
measures: Any = None
discrete: Any = None
counts: Any = None
BetaModel: Any = None
PHReg: Any = None


def load() -> None:
    global norms, families, measures, discrete, counts, BetaModel, PHReg
    import statsmodels.discrete.count_model
    import statsmodels.discrete.discrete_model
    import statsmodels.genmod.families
    import statsmodels.robust.norms
    import statsmodels.tools.eval_measures
    from statsmodels.duration.hazard_regression import PHReg
    from statsmodels.othermod.betareg import BetaModel

    norms, families, measures = statsmodels.robust.norms, statsmodels.genmod.families, statsmodels.tools.eval_measures
    discrete, counts = statsmodels.discrete.discrete_model, statsmodels.discrete.count_model


def evaluate(row: Row, inputs: Inputs) -> dict[str, Any]:
    """A function gives the value, or a list of value and gradients."""
    found = row.function(*(inputs[name].astype(float) for name in inputs))
    return dict(zip(("value", *row.wrt), found if row.wrt else (found,)))


def robust(norm: Any, pred: Any, target: Any) -> Any:
    """Residuals are target less prediction there, which matters to what is not symmetric."""
    r = target - pred
    return norm.rho(r), -norm.psi(r)


def deviances(family: Any, pred: Any, target: Any) -> Any:
    return [family.deviance(np.array([t]), np.array([p])) / 2 for p, t in zip(pred, target)]


def of_units(model: Any, *linear: Any, last: tuple[float, ...] = ()) -> Any:
    """Of a model whose linear predictors have a coefficient for each unit: values, and the gradients by each."""
    params = np.concatenate([*linear, last])
    n, scores = len(linear[0]), model.score_obs(params)
    return -model.loglikeobs(params), *(-np.diag(scores[:, k * n : k * n + n]) for k in range(len(linear)))


def counted(pred: Any, target: Any, dispersion: float) -> Any:
    each = np.eye(len(pred))
    value, slope = of_units(discrete.NegativeBinomialP(target, each, p=2), pred, last=(dispersion,))
    return value - constant(target, dispersion), slope


def inflated(model: Any, pred: Any, target: Any, gate: Any, dispersion: float = 0, **options: Any) -> Any:
    """Its parameters begin with those of the inflation."""
    each, last = np.eye(len(pred)), (dispersion,) if dispersion else ()
    value, by_gate, slope = of_units(model(target, each, each, **options), gate, pred, last=last)
    return value - constant(target, dispersion), slope, by_gate


def constant(target: Any, dispersion: float) -> Any:
    """What the likelihood of a count has that no prediction changes: a product for the negative binomial one."""
    powers = [sum(math.log1p(dispersion * k) for k in range(int(t))) for t in target]
    return np.array([math.lgamma(t + 1) for t in target]) - powers


def fractions(pred: Any, target: Any, concentration: Any) -> Any:
    each = np.eye(len(pred))
    model = BetaModel(target, each, each)
    params = np.concatenate([pred, np.log(concentration)])
    slope, by_log = model.score_factor(params)
    return -model.loglikeobs(params), -slope, -by_log / concentration


def proportional(pred: Any, target: Any, event: Any, ties: str) -> Any:
    """A coefficient for each member of a sample."""
    models = [PHReg(t, np.eye(len(t)), status=e, ties=ties) for t, e in zip(target, event)]
    return [-m.loglike(p) for m, p in zip(models, pred)], [-m.score(p) for m, p in zip(models, pred)]


def far(threshold: float) -> Any:
    return lambda i: np.abs(residual(i)) > threshold


def times_zero(threshold: float, *of: str) -> Difference:
    return Difference(
        "overflows", "what lies outside a piece is multiplied by 0: NaN once it is infinite", far(threshold), of
    )


PIECES = times_zero(1e153)
QUARTIC = times_zero(1e77)
LOGARITHM = Difference("overflows", "squares the residual: the value is infinite, the gradient 0 or NaN", far(1e153))
INFINITE = times_zero(1.7e308)
NAN = Difference("limits", "a NaN is taken for a large residual", lambda i: np.isnan(residual(i)))
KINK = Difference(
    "kink convention", "the gradient at |r| = c is r, 0 here", lambda i: np.abs(residual(i)) == 2, ("pred",)
)
TERMS = {"value": one, "pred": lambda i: np.abs(residual(i))}  # 1 less something; the logarithm of 1 and something


def fifteen(i: Inputs) -> Any:
    return 15.0  # c^2 (nu + 1) / 2


def quartic(i: Inputs) -> Any:
    return np.abs(residual(i))  # times 1 less (r/c)^k


HAMPEL = {"value": lambda i: 5.0, "pred": lambda i: np.abs(residual(i))}  # c less the residual


def ramsay(i: Inputs) -> Any:
    """exp has the relative error of its argument times that."""
    r = np.abs(residual(i))
    return 0.3 * r * r * np.exp(-0.3 * r)


BOTH_ZERO = Difference(
    "limits", "NaN where both are 0, in 0 times infinity or 0 / 0", lambda i: (i["pred"] == 0) & (i["target"] == 0)
)
NO_MEAN = Difference("limits", "infinity less infinity is NaN: a mean of 0", lambda i: i["pred"] == 0)
HELD_TARGET = Difference("clips", "a target of 0 counts as 2^-52 of the mean; NaN here", lambda i: i["target"] == 0)
NO_TARGET = Difference("limits", "a target of 0 costs infinitely much; NaN here", lambda i: i["target"] == 0)


def pulls(i: Inputs) -> Any:
    """What a deviance near 0 is the difference of."""
    return np.maximum(1, np.maximum(i["pred"], i["target"]))


def gammas(i: Inputs) -> Any:
    """Terms of the likelihood of a count of dispersion 0.5."""
    return lgamma_size(i["target"] + 2) + (i["target"] + 2) * np.maximum(1, np.abs(i["pred"]))


def gated(i: Inputs) -> Any:
    """And the logarithm of 1 - sigmoid(gate), which has the rounding error of 1."""
    return gammas(i) + np.exp(i["pred"]) + np.exp(i["gate"])


INFLATED = {"value": gated, "pred": lambda i: i["target"] + 2 + np.exp(i["pred"]), "gate": one}
COX = {"pred": lambda i: i["event"].sum(-1)}  # each event less its chances

ROWS = [
    Row("LeastSquares()", "half_squared_error", "reals", lambda p, t: robust(norms.LeastSquares(), p, t)),
    Row("HuberT()", "huber(delta=1.345)", "reals", lambda p, t: robust(norms.HuberT(), p, t), (PIECES,)),
    Row("HuberT(t=0.5)", "huber(delta=0.5)", "reals", lambda p, t: robust(norms.HuberT(t=0.5), p, t), (PIECES,)),
    Row(
        "TukeyBiweight()",
        "tukey",
        "reals",
        lambda p, t: robust(norms.TukeyBiweight(), p, t),
        (QUARTIC,),
        terms={"value": fifteen, "pred": quartic},
    ),
    Row(
        "TukeyBiweight(c=2)",
        "tukey(c=2)",
        "reals",
        lambda p, t: robust(norms.TukeyBiweight(c=2), p, t),
        (QUARTIC,),
        terms=TERMS,
    ),
    Row(
        "TukeyQuartic()",
        "tukey_quartic",
        "reals",
        lambda p, t: robust(norms.TukeyQuartic(), p, t),
        (QUARTIC,),
        terms={"pred": quartic},
    ),
    Row(
        "TukeyQuartic(k=2)",
        "tukey_quartic(k=2)",
        "reals",
        lambda p, t: robust(norms.TukeyQuartic(k=2), p, t),
        (QUARTIC,),
        terms={"pred": quartic},
    ),
    Row(
        "StudentT()",
        "student_t_rho",
        "reals",
        lambda p, t: robust(norms.StudentT(), p, t),
        (LOGARITHM,),
        terms={"value": fifteen},
    ),
    Row(
        "StudentT(df=1, c=2)",
        "student_t_rho(nu=1, c=2)",
        "reals",
        lambda p, t: robust(norms.StudentT(df=1, c=2), p, t),
        (LOGARITHM,),
        terms={"value": fifteen},
    ),
    Row(
        "StudentT(df=1)",
        "cauchy",
        "reals",
        lambda p, t: robust(norms.StudentT(df=1), p, t),
        (LOGARITHM,),
        terms={"value": fifteen},
    ),
    Row(
        "RamsayE()",
        "ramsay_e",
        "reals",
        lambda p, t: robust(norms.RamsayE(), p, t),
        (INFINITE,),
        terms={"value": fifteen, "pred": ramsay},
    ),
    Row(
        "AndrewWave()", "andrews_wave", "reals", lambda p, t: robust(norms.AndrewWave(), p, t), (INFINITE,), terms=TERMS
    ),
    Row("TrimmedMean()", "saturated", "reals", lambda p, t: robust(norms.TrimmedMean(), p, t), (KINK, PIECES)),
    Row("Hampel()", "hampel", "reals", lambda p, t: robust(norms.Hampel(), p, t), (NAN,), terms=HAMPEL),
    Row(
        "Hampel(a=1, b=2, c=3)",
        "hampel(a=1, b=2, c=3)",
        "reals",
        lambda p, t: robust(norms.Hampel(a=1, b=2, c=3), p, t),
        (NAN,),
        terms=HAMPEL,
    ),
    Row(
        "MQuantileNorm(0.25, HuberT())",
        "m_quantile(tau=0.25)",
        "reals",
        lambda p, t: robust(norms.MQuantileNorm(0.25, norms.HuberT()), p, t),
        (PIECES,),
    ),
    Row(
        "eval_measures.bias",
        "mean_bias_error",
        "finite",
        lambda p, t: measures.bias(p, t),
        wrt=(),
        reduction="mean",
        terms={"value": lambda i: np.abs(residual(i))},
    ),
    *(
        Row(
            f"families.{name}.deviance / 2",
            f"tweedie_nll(log_input=false, power={power})",
            "positives",
            lambda p, t, make=make: deviances(make(), p, t),
            differences,
            wrt=(),
            terms={"value": pulls},
        )
        for name, power, make, differences in (
            ("Poisson()", 1, lambda: families.Poisson(), (BOTH_ZERO,)),
            ("Tweedie(var_power=1.5)", 1.5, lambda: families.Tweedie(var_power=1.5), (BOTH_ZERO,)),
            ("Gamma()", 2, lambda: families.Gamma(), (NO_MEAN, HELD_TARGET)),
        )
    ),
    Row(
        "families.InverseGaussian().deviance / 2",
        "inverse_gaussian_nll(log_input=false)",
        "positives",
        lambda p, t: deviances(families.InverseGaussian(), p, t),
        (NO_TARGET,),
        wrt=(),
    ),
    Row(
        "-NegativeBinomialP(y, x, p=2).loglikeobs, but for constants",
        "negative_binomial_nll(dispersion=0.5)",
        "log counts",
        lambda p, t: counted(p, t, 0.5),
        terms={"value": gammas, "pred": lambda i: i["target"] + 2},
    ),
    Row(
        "-ZeroInflatedPoisson(y, x, x).loglikeobs, but for constants",
        "zero_inflated_poisson_nll",
        "gates",
        lambda p, t, gate: inflated(counts.ZeroInflatedPoisson, p, t, gate),
        wrt=("pred", "gate"),
        terms=INFLATED,
    ),
    Row(
        "-ZeroInflatedNegativeBinomialP(y, x, x, p=2).loglikeobs, but for constants",
        "zero_inflated_negative_binomial_nll(dispersion=0.5)",
        "gates",
        lambda p, t, gate: inflated(counts.ZeroInflatedNegativeBinomialP, p, t, gate, 0.5, p=2),
        wrt=("pred", "gate"),
        terms=INFLATED,
    ),
    Row(
        "-BetaModel(y, x, z).loglikeobs",
        "beta_nll",
        "fractions",
        lambda p, t, concentration: fractions(p, t, concentration),
        wrt=("pred", "concentration"),
        terms=BETA,
    ),
    *(
        Row(
            f"-PHReg(time, x, status, ties={ties!r}).loglike",
            f"cox_nll(ties={ties})",
            "samples",
            lambda p, t, event, ties=ties: proportional(p, t, event, ties),
            terms=COX,
        )
        for ties in ("breslow", "efron")
    ),
]
