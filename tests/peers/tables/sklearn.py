# SPDX-License-Identifier: MIT
"""scikit-learn: the losses that its gradient boosting and linear models train on, SGD's, and its metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
from rows import Difference, Inputs, Row, infinite, largest, margin, one, residual

HEADING, PACKAGE = "scikit-learn", "scikit-learn"
DTYPE = "float64"
EPSILON = 16 * 2.0**-52
PRECISION = "double precision; a few operations, each within an ulp or two"

losses: Any = None
sgd: Any = None
metrics: Any = None
nmf: Any = None


def load() -> None:
    global losses, metrics, nmf, sgd
    import sklearn._loss.loss
    import sklearn.decomposition._nmf
    import sklearn.linear_model._sgd_fast
    import sklearn.metrics

    losses, sgd, metrics = sklearn._loss.loss, sklearn.linear_model._sgd_fast, sklearn.metrics
    nmf = sklearn.decomposition._nmf


def evaluate(row: Row, inputs: Inputs) -> dict[str, Any]:
    """A function gives the value, or a pair of value and gradient."""
    found = row.function(inputs["pred"], inputs["target"].astype(float))
    return dict(zip(("value", *row.wrt), found if row.wrt else (found,)))


def trained(loss: Any, pred: Any, target: Any) -> Any:
    return loss.loss_gradient(y_true=target, raw_prediction=pred)


def deviance(loss: Any, pred: Any, target: Any) -> Any:
    value, slope = trained(loss, pred, target)
    return value + loss.constant_to_optimal_zero(target), slope


def stochastic(loss: Any, pred: Any, target: Any) -> Any:
    """SGD's losses have an interface for one number."""
    pairs = list(zip(pred, target))
    return [loss.py_loss(*pair) for pair in pairs], [loss.py_dloss(*pair) for pair in pairs]


def tied(i: Inputs) -> Any:
    return residual(i) == 0


def is_nan(i: Inputs) -> Any:
    return np.isnan(residual(i))


KINK = Difference("kink convention", "the gradient at 0 is -1, 0 here", tied, ("pred",))
QUANTILE_KINK = Difference("kink convention", "the gradient at 0 is -tau, 0 here", tied, ("pred",))
NAN_GRADIENT = Difference("limits", "a NaN has a gradient: that of a large residual", is_nan, ("pred",))
NAN = Difference("limits", "a NaN costs nothing", is_nan)
LIMITS = Difference("limits", "an infinite logit gives NaN where it is multiplied or subtracted", infinite("pred"))
RATE = Difference("limits", "an infinite logarithm of the rate gives NaN: exp(x) - t x as it stands", infinite("pred"))
BOTH_TAILS = Difference(
    "overflows", "both exp(x) and exp(-x) are computed: NaN beyond 709", lambda i: np.abs(i["pred"]) > 709
)
CONSTANT = Difference(
    "definition",
    "leaves out 1/(2 t), which does not depend on the prediction",
    lambda i: True,
    ("value",),
    lambda i: 0.5 / i["target"] + 16 * 2.0**-52 * (0.5 / i["target"] + tweedie(i)),
)


def tweedie(i: Inputs) -> Any:
    return np.exp(-i["pred"]) + i["target"] * np.exp(-2 * i["pred"])


def poisson(i: Inputs) -> Any:
    return np.exp(i["pred"]) + i["target"]


def poisson_value(i: Inputs) -> Any:
    return np.exp(i["pred"]) + np.abs(i["target"] * i["pred"])


def gamma(i: Inputs) -> Any:
    return np.abs(i["pred"]) + i["target"] * np.exp(-i["pred"])


def margin_is(number: float) -> Any:
    return lambda i: margin(i) == number


def at(number: float, slope: str) -> Difference:
    return Difference(
        "kink convention", f"the gradient at a margin of {number} is {slope}, 0 here", margin_is(number), ("pred",)
    )


SOFTMAX = {"value": largest("pred"), "pred": one}


def tweedie_terms(i: Inputs) -> Any:
    """Powers that a deviance near 0 is the difference of."""
    mean = np.exp(i["pred"] / 2)
    return np.maximum(2 * mean + 2 * i["target"] / mean, 4 * np.sqrt(i["target"]))


def pulls(i: Inputs) -> Any:
    return 4 * np.maximum(1, np.maximum(i["pred"], i["target"]))


NO_MEAN = Difference("limits", "infinity less infinity is NaN: a mean of 0", lambda i: i["pred"] == 0, ("value",))
NOTHING = Difference(
    "limits",
    "and so is the gradient where both are 0",
    lambda i: (i["pred"] == 0) & (i["target"] == 0),
    ("pred",),
)
TINY = Difference(
    "clips",
    "predictions below 2^-23 are raised to it, and terms with a target below it are left out",
    lambda i: np.minimum(i["pred"], i["target"]) < 2.0**-23,
)

ROWS = [
    Row("HalfSquaredError()", "half_squared_error", "reals", lambda p, t: trained(losses.HalfSquaredError(), p, t)),
    Row(
        "AbsoluteError()",
        "mae",
        "reals",
        lambda p, t: trained(losses.AbsoluteError(), p, t),
        (
            KINK,
            NAN_GRADIENT,
        ),
    ),
    Row(
        "PinballLoss(quantile=0.2)",
        "quantile(tau=0.2)",
        "reals",
        lambda p, t: trained(losses.PinballLoss(quantile=0.2), p, t),
        (
            QUANTILE_KINK,
            NAN_GRADIENT,
        ),
    ),
    Row(
        "HuberLoss(delta=1.5)",
        "huber(delta=1.5)",
        "reals",
        lambda p, t: trained(losses.HuberLoss(delta=1.5), p, t),
        (NAN_GRADIENT,),
    ),
    Row(
        "HalfPoissonLoss()",
        "poisson_nll",
        "log rates",
        lambda p, t: trained(losses.HalfPoissonLoss(), p, t),
        (RATE,),
        terms={"value": poisson_value, "pred": poisson},
    ),
    Row(
        "HalfGammaLoss()",
        "gamma_nll",
        "log means",
        lambda p, t: trained(losses.HalfGammaLoss(), p, t),
        terms={"value": gamma, "pred": one},
    ),
    Row(
        "HalfTweedieLoss(power=3)",
        "inverse_gaussian_nll",
        "log means",
        lambda p, t: trained(losses.HalfTweedieLoss(power=3), p, t),
        (CONSTANT,),
        terms={"value": tweedie, "pred": tweedie},
    ),
    Row(
        "HalfBinomialLoss()",
        "bce_with_logits",
        "logits",
        lambda p, t: trained(losses.HalfBinomialLoss(), p, t),
        (LIMITS,),
        terms={"value": largest("pred"), "pred": one},
    ),
    Row(
        "HalfMultinomialLoss(n_classes=5)",
        "cross_entropy",
        "labels",
        lambda p, t: trained(losses.HalfMultinomialLoss(n_classes=5), p, t),
        (LIMITS,),
        terms=SOFTMAX,
    ),
    Row(
        "ExponentialLoss()",
        "exponential_margin(labels=01)",
        "margins 0/1",
        lambda p, t: trained(losses.ExponentialLoss(), p, t),
        (BOTH_TAILS,),
    ),
    Row(
        "SGDClassifier(loss='hinge')",
        "hinge",
        "margins",
        lambda p, t: stochastic(sgd.Hinge(1.0), p, t),
        (
            NAN,
            at(1, "that below it"),
        ),
    ),
    Row(
        "SGDClassifier(loss='perceptron')",
        "perceptron",
        "margins",
        lambda p, t: stochastic(sgd.Hinge(0.0), p, t),
        (
            NAN,
            at(0, "that below it"),
        ),
    ),
    Row(
        "SGDClassifier(loss='squared_hinge')",
        "squared_hinge",
        "margins",
        lambda p, t: stochastic(sgd.SquaredHinge(1.0), p, t),
        (NAN,),
    ),
    Row(
        "SGDClassifier(loss='modified_huber')",
        "modified_huber",
        "margins",
        lambda p, t: stochastic(sgd.ModifiedHuber(), p, t),
        (Difference("limits", "a NaN has the gradient of a large violation", is_nan, ("pred",)),),
    ),
    Row(
        "SGDRegressor(loss='epsilon_insensitive')",
        "epsilon_insensitive(epsilon=0.1)",
        "reals",
        lambda p, t: stochastic(sgd.EpsilonInsensitive(0.1), p, t),
        (NAN,),
    ),
    Row(
        "SGDRegressor(loss='squared_epsilon_insensitive')",
        "squared_epsilon_insensitive(epsilon=0.1)",
        "reals",
        lambda p, t: stochastic(sgd.SquaredEpsilonInsensitive(0.1), p, t),
        (NAN,),
    ),
    Row(
        "zero_one_loss(y, pred > 0)",
        "zero_one(labels=01)",
        "margins 0/1",
        lambda p, t: [metrics.zero_one_loss([a], [b]) for a, b in zip(t, p > 0)],
        (
            Difference("definition", "0 is class 0 there; here a score of 0 costs nothing", lambda i: i["pred"] == 0),
            Difference("limits", "a NaN is class 0", is_nan),
        ),
        wrt=(),
    ),
    Row(
        "HalfTweedieLoss(power=1.5), plus constant_to_optimal_zero",
        "tweedie_nll",
        "log means",
        lambda p, t: deviance(losses.HalfTweedieLoss(power=1.5), p, t),
        terms={"value": tweedie_terms, "pred": tweedie_terms},
    ),
    Row(
        "HalfTweedieLossIdentity(power=1.5), plus constant_to_optimal_zero",
        "tweedie_nll(log_input=false)",
        "positives",
        lambda p, t: deviance(losses.HalfTweedieLossIdentity(power=1.5), p, t),
        (NO_MEAN, NOTHING),
        terms={"value": pulls, "pred": pulls},
    ),
    *(
        Row(
            f"NMF(beta_loss={beta!r})",
            spec,
            "positives",
            lambda p, t, beta=beta: [nmf._beta_divergence(b, a, 1.0, beta) for a, b in zip(p, t)],
            differences,
            wrt=(),
            terms={"value": pulls},
        )
        for beta, spec, differences in (
            ("itakura-saito", "itakura_saito", (TINY,)),
            ("kullback-leibler", "beta_divergence(beta=1)", (TINY,)),
            ("frobenius", "beta_divergence(beta=2)", ()),
            (0.5, "beta_divergence(beta=0.5)", (TINY,)),
            (1.5, "beta_divergence(beta=1.5)", (TINY,)),
        )
    ),
    *(
        Row(name, spec, kind, function, differences, (), "mean")
        for name, spec, kind, function, differences in (
            ("mean_squared_error", "mse", "finite", lambda p, t: metrics.mean_squared_error(t, p), ()),
            ("root_mean_squared_error", "rmse", "finite", lambda p, t: metrics.root_mean_squared_error(t, p), ()),
            ("mean_absolute_error", "mae", "finite", lambda p, t: metrics.mean_absolute_error(t, p), ()),
            (
                "mean_absolute_percentage_error",
                "0.01*mape(eps=2.220446049250313e-16)",
                "far",
                lambda p, t: metrics.mean_absolute_percentage_error(t, p),
                (),
            ),
            ("mean_squared_log_error", "msle", "positives", lambda p, t: metrics.mean_squared_log_error(t, p), ()),
            (
                "mean_pinball_loss(alpha=0.2)",
                "quantile(tau=0.2)",
                "finite",
                lambda p, t: metrics.mean_pinball_loss(t, p, alpha=0.2),
                (),
            ),
            ("hinge_loss", "hinge", "finite margins", lambda p, t: metrics.hinge_loss(t, p), ()),
            (
                "log_loss",
                "binary_cross_entropy(clamp=2.220446049250313e-16)",
                "hard probabilities",
                lambda p, t: metrics.log_loss(t, p, labels=[0, 1]),
                (),
            ),
            (
                "log_loss of several classes",
                "categorical_cross_entropy(clamp=2.220446049250313e-16)",
                "probability labels",
                lambda p, t: metrics.log_loss(t, p, labels=range(5)),
                (),
            ),
            (
                "mean_poisson_deviance",
                "2*tweedie_nll(log_input=false, power=1)",
                "plain positives",
                lambda p, t: metrics.mean_poisson_deviance(t, p),
                (),
            ),
            (
                "mean_gamma_deviance",
                "2*tweedie_nll(log_input=false, power=2)",
                "plain positives",
                lambda p, t: metrics.mean_gamma_deviance(t, p),
                (),
            ),
            (
                "mean_tweedie_deviance(power=1.5)",
                "2*tweedie_nll(log_input=false)",
                "plain positives",
                lambda p, t: metrics.mean_tweedie_deviance(t, p, power=1.5),
                (),
            ),
            (
                "hinge_loss of several classes",
                "crammer_singer",
                "plain labels",
                lambda p, t: metrics.hinge_loss(t, p, labels=range(5)),
                (),
            ),
            ("brier_score_loss", "mse", "hard probabilities", lambda p, t: metrics.brier_score_loss(t, p), ()),
            (
                "brier_score_loss of several classes",
                "brier",
                "hot pairs",
                lambda p, t: metrics.brier_score_loss(t.argmax(-1), p, labels=range(5)),
                (),
            ),
            *(
                (
                    f"log(1 - cohen_kappa_score(weights={weights}))",
                    f"weighted_kappa(weighting={weights}, eps=0)",
                    "chosen",
                    lambda p, t, weights=weights: np.log(
                        1 - metrics.cohen_kappa_score(t, p.argmax(-1), labels=range(5), weights=weights)
                    ),
                    (),
                )
                for weights in ("quadratic", "linear")
            ),
        )
    ),
]
