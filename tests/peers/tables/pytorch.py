# SPDX-License-Identifier: MIT
"""PyTorch: torch.nn, by its functional forms, and the likelihoods of torch.distributions."""

from __future__ import annotations

from typing import Any

import numpy as np
from rows import (
    BETA,
    Difference,
    Inputs,
    Row,
    beyond,
    by_autograd,
    digamma_size,
    everywhere,
    infinite,
    largest,
    lgamma_size,
    nan,
    not_a_number,
    one,
    residual,
)

HEADING, PACKAGE = "PyTorch", "torch"
DTYPE = "float64"
EPSILON = 16 * 2.0**-52
PRECISION = "double precision; a few operations, each within an ulp or two"

torch: Any = None
F: Any = None
D: Any = None


def load() -> None:
    global torch, F, D
    import torch as package
    import torch.distributions
    import torch.nn.functional

    torch, F, D = package, torch.nn.functional, torch.distributions


def evaluate(row: Row, inputs: Inputs) -> dict[str, Any]:
    return by_autograd(torch, row, inputs)


BOTH = ("pred", "target")
LOCATED = ("pred", "target", "scale")
SOFTMAX = {"value": largest("pred"), "pred": one}  # log-sum-exp less a logit; probability less target
SIGMOID = {"value": largest("pred"), "pred": one, "target": largest("pred")}
LIMITS = Difference("limits", "an infinite logit gives NaN where it is multiplied or subtracted", infinite("pred"))
SIGN = Difference("limits", "the sign of NaN is 0", not_a_number, BOTH)
BCE_GRADIENT = Difference(
    "clips",
    "the gradient is (p - t) / max(p (1 - p), 1e-12), which is no derivative of the value near 0 and 1",
    lambda i: i["pred"] * (1 - i["pred"]) < 1e-12,
    ("pred",),
)
EXP = Difference(
    "overflows", "log(1 + exp(-t x)) as it stands: infinite from t x = -710 on, its gradient NaN", beyond(709)
)
ZERO_TIMES = Difference("limits", "0 times minus infinity is NaN: a class of probability 0 there", infinite("pred"))
RATE = Difference("limits", "an infinite logarithm of the rate gives NaN: exp(x) - t x as it stands", infinite("pred"))
STIRLING = Difference(
    "approximates",
    "the logarithm of t! is Stirling's approximation, from t = 2 on",
    lambda i: i["target"] > 1,
    ("value",),
    within=lambda i: 1 / (12 * np.maximum(i["target"], 1)) * 1.01,
)
HELD = Difference(
    "clips",
    "below eps the gradient by var is still that at eps, though the value does not depend on var",
    lambda i: i["var"] < 1e-6,
    ("var",),
)
SKIPS_NAN = Difference("limits", "a NaN in the comparison with 0 counts as no violation", nan("pred"))


def differences_overflow(i: Inputs) -> Any:
    return np.ptp(i["pred"], axis=-1) > 1e308


OUT_OF_RANGE = Difference(
    "overflows",
    "logits whose differences leave the range of the type give NaN, 0 times infinity",
    differences_overflow,
    ("value",),
)
OVERFLOWS = Difference(
    "overflows",
    "the difference of two logits overflows before it is multiplied with a share, or divided by the number of classes",
    differences_overflow,
    ("value",),
)


def by_norm(i: Inputs, times: float = 2e-12) -> Any:
    """What 1e-12 in both squared norms does at most."""
    return sum(times / (i[name] ** 2).sum(-1) for name in BOTH)


def gaussian(i: Inputs) -> Any:
    var = np.maximum(i["var"], 1e-6)
    return np.maximum(1, np.abs(np.log(var)))  # 1: of the constant


GAUSSIAN = {"value": gaussian, "var": lambda i: 1 / np.maximum(i["var"], 1e-6)}
MARGINS = {"value": largest("pred"), "pred": lambda i: np.maximum(1, largest("pred")(i))}
NORM_EPS = Difference("adds eps", "1e-12 is added to both squared norms", everywhere, ("value",), by_norm)
NORM_EPS_GRADIENT = Difference(
    "adds eps",
    "and so in the gradient",
    everywhere,
    ("pred",),
    lambda i: by_norm(i, 4e-12) / np.sqrt((i["pred"] ** 2).sum(-1)),
)
ZERO_VECTOR = Difference(
    "definition",
    "the gradient at a vector of zeros is that of 1e-12 as squared norm, 0 here",
    lambda i: ~i["pred"].any(-1),
    ("pred",),
)
SQUARE_OVERFLOWS = Difference(
    "overflows", "NaN where the square of a number overflows", lambda i: np.abs(i["pred"]).max(-1) > 1e154
)
WEIGHTS = [1.0, 2.0, 0.5, 0.25, 3.0]


def weights() -> Any:
    return torch.tensor(WEIGHTS, dtype=torch.float64)


def neighbours(pred: Any, target: Any) -> Any:
    """As object detectors write it, for a number between two bins."""
    left = target.long()
    far = target - left
    entropies = [F.cross_entropy(pred, label, reduction="none") for label in (left, left + 1)]
    return entropies[0] * (1 - far) + entropies[1] * far


def listed_classes(target: Any) -> Any:
    """Rows of 0/1 as PyTorch takes them: the classes that are 1, then -1."""
    rows = [torch.nonzero(row).ravel() for row in target]
    return torch.stack([F.pad(row, (0, target.shape[1] - len(row)), value=-1) for row in rows])


def chance(i: Inputs) -> Any:
    return 1 / (1 + np.exp(-i["pred"]))


def quality_gap(i: Inputs) -> Any:
    return np.maximum(np.abs(i["target"] - chance(i)), 2.0**-53)


def quality_value(i: Inputs) -> Any:
    """The entropy has the rounding error of the logit, the distance that of 1."""
    far, entropy = quality_gap(i), np.logaddexp(0, i["pred"]) - i["target"] * i["pred"]
    return far * far * np.abs(i["pred"]) + 2 * far * entropy


def quality_slope(i: Inputs) -> Any:
    """The same by the product rule."""
    s, z = chance(i), np.abs(i["pred"])
    far, entropy = quality_gap(i), np.logaddexp(0, i["pred"]) - i["target"] * i["pred"]
    bend = s * (1 - s)
    return 3 * far * far + 2 * far * z * bend + 2 * entropy * (bend + far * s)


def varifocal(i: Inputs) -> Any:
    weight = np.where(i["target"] > 0, i["target"], 0.75 * chance(i) ** 2)
    return weight * (1 + 2 * np.abs(i["pred"]))


TWICE = Difference(
    "overflows",
    "twice the entropy is infinite, and is multiplied by 0",
    lambda i: np.isfinite(i["pred"]) & (np.abs(i["pred"]) > 8e307),
    ("pred",),
)
QUALITY = {"value": quality_value, "pred": quality_slope}
VARIFOCAL = {"value": varifocal, "pred": varifocal}

# ---- Distributions ---------------------------------------------------------------------------------------------------


def quotient(i: Inputs) -> Any:
    return residual(i) / i["scale"]


SQUARES = Difference("overflows", "squares the residual", lambda i: np.abs(quotient(i)) > 1e154)
NO_RATE = Difference(
    "limits", "the gradient is 0 / 0 where both are 0", lambda i: (i["pred"] == 0) & (i["target"] == 0), ("pred",)
)
POWER = Difference(
    "overflows",
    "the power of the target underflows before its logarithm is taken",
    lambda i: i["shape"] * (np.log(i["target"]) - i["pred"]) < -708,
)
BESSEL = Difference(
    "approximates",
    "the Bessel function is that of single precision: a polynomial, or one times a power and an exponential from 3.75 on",
    everywhere,
    ("value",),
    within=lambda i: 2e-7,
)
BESSEL_SLOPE = Difference(
    "approximates", "and so in the gradient by the concentration", everywhere, ("concentration",), lambda i: 1e-6
)
NORMALISES = Difference(
    "definition", "divides by the sum of the row, through which the gradient flows", everywhere, ("pred",)
)
HELD_INSIDE = Difference(
    "clips",
    "probabilities are held in [2^-52, 1 - 2^-52]",
    lambda i: (i["pred"] == 0).any(-1),
    ("value",),
    lambda i: 1e-13,
)


NORMAL = {"value": lambda i: np.maximum(1, np.abs(np.log(i["var"]))), "var": lambda i: 1 / i["var"]}
CAUCHY = {"value": lambda i: np.maximum(1, np.abs(np.log(i["scale"]))), "scale": lambda i: 1 / i["scale"]}


def gumbel(i: Inputs) -> Any:
    """exp has the relative error of its argument times that."""
    z = quotient(i)
    return np.maximum(1, np.abs(z)) * np.maximum(1, np.exp(z))


GUMBEL = {
    "value": lambda i: gumbel(i) + np.abs(np.log(i["scale"])),
    "pred": lambda i: gumbel(i) / i["scale"],
    "target": lambda i: gumbel(i) / i["scale"],
    "scale": lambda i: gumbel(i) * np.maximum(1, np.abs(quotient(i))) / i["scale"],
}


def turned(i: Inputs) -> Any:
    """The sine of an angle has its rounding error."""
    return i["concentration"] * np.abs(residual(i))


def counted(i: Inputs) -> Any:
    return (1 + i["target"]) * np.maximum(1, np.abs(i["pred"]))


def student_pull(i: Inputs) -> Any:
    """What the power of the density pulls by, beside the scale's 1."""
    square, df = quotient(i) ** 2, i["df"]
    return np.maximum(1, (df + 1) * square / (df + square))


STUDENT = {
    "value": lambda i: np.maximum(lgamma_size(i["df"]), np.abs(np.log(i["scale"]))),
    "scale": lambda i: student_pull(i) / i["scale"],
    "df": lambda i: np.maximum(digamma_size(i["df"]), student_pull(i) / i["df"]),
}


def log_gap(i: Inputs) -> Any:
    """What the residual of the logarithm is the difference of, over the squared scale."""
    return (np.abs(np.log(i["target"])) + np.abs(i["pred"])) / i["scale"] ** 2


LOGNORMAL = {
    "value": lambda i: np.maximum(1, np.abs(np.log(i["target"]))),
    "pred": log_gap,
    "target": lambda i: np.maximum(1, log_gap(i)) / i["target"],
    "scale": lambda i: (1 + log_gap(i) * np.abs(i["pred"] - np.log(i["target"]))) / i["scale"],
}


def weibull_log(i: Inputs) -> Any:
    return np.log(i["target"]) - i["pred"]


def weibull(i: Inputs) -> Any:
    """exp(u) and 1, the first with the error of u."""
    u = i["shape"] * weibull_log(i)
    return np.maximum(1, np.exp(u) * np.maximum(1, np.abs(u)))


WEIBULL = {
    "value": lambda i: weibull(i) + np.abs(i["shape"] * weibull_log(i)) + np.abs(np.log(i["shape"])),
    "pred": lambda i: weibull(i) * np.maximum(1, i["shape"]),
    "target": lambda i: weibull(i) * np.maximum(1, i["shape"]) / i["target"],
    "shape": lambda i: weibull(i) * np.abs(weibull_log(i)) + 1 / i["shape"],
}


def trials(i: Inputs) -> Any:
    return i["target"] + i["failures"]


BINOMIAL = {"value": lambda i: lgamma_size(1 + trials(i)) + trials(i) * np.abs(i["pred"]), "pred": trials}


def mixed(i: Inputs) -> Any:
    """The logarithm of what each component gives to the density."""
    shares = i["logits"] - i["logits"].max(-1, keepdims=True)
    shares = shares - np.log(np.exp(shares).sum(-1, keepdims=True))
    return shares - mixed_square(i) / 2 - np.log(i["scale"])


def mixed_square(i: Inputs) -> Any:
    return ((i["target"][:, None] - i["pred"]) / i["scale"]) ** 2


def mixed_part(i: Inputs) -> Any:
    """A component's share of the density, which has the relative error of what it is the exponential of."""
    logs = mixed(i)
    part = np.exp(logs - logs.max(-1, keepdims=True))
    return part / part.sum(-1, keepdims=True) * (1 + np.abs(logs).max(-1, keepdims=True))


def mixed_pull(i: Inputs) -> Any:
    return mixed_part(i) * np.sqrt(mixed_square(i)) / i["scale"]


MIXTURE = {
    "value": lambda i: 1 + np.abs(mixed(i)).max(-1),
    "pred": mixed_pull,
    "target": lambda i: mixed_pull(i).max(-1),
    "logits": one,
    "scale": lambda i: mixed_part(i) * np.maximum(1, mixed_square(i)) / i["scale"],
}
SHIFTED = {"value": largest("pred"), "pred": lambda i: np.maximum(1, largest("pred")(i))}

ROWS = [
    Row("MSELoss()", "mse", "reals", lambda p, t: F.mse_loss(p, t, reduction="none"), wrt=BOTH),
    Row("L1Loss()", "mae", "reals", lambda p, t: F.l1_loss(p, t, reduction="none"), (SIGN,), wrt=BOTH),
    Row("HuberLoss()", "huber", "reals", lambda p, t: F.huber_loss(p, t, reduction="none"), wrt=BOTH),
    Row(
        "HuberLoss(delta=1.5)",
        "huber(delta=1.5)",
        "reals",
        lambda p, t: F.huber_loss(p, t, reduction="none", delta=1.5),
        wrt=BOTH,
    ),
    Row("SmoothL1Loss()", "smooth_l1", "reals", lambda p, t: F.smooth_l1_loss(p, t, reduction="none"), wrt=BOTH),
    Row(
        "SmoothL1Loss(beta=0.5)",
        "smooth_l1(beta=0.5)",
        "reals",
        lambda p, t: F.smooth_l1_loss(p, t, reduction="none", beta=0.5),
        wrt=BOTH,
    ),
    Row(
        "BCELoss()",
        "binary_cross_entropy(log_clamp=-100)",
        "probabilities",
        lambda p, t: F.binary_cross_entropy(p, t, reduction="none"),
        (BCE_GRADIENT,),
    ),
    Row(
        "BCEWithLogitsLoss()",
        "bce_with_logits",
        "logits",
        lambda p, t: F.binary_cross_entropy_with_logits(p, t, reduction="none"),
        (LIMITS,),
        wrt=BOTH,
        terms=SIGMOID,
    ),
    Row(
        "BCEWithLogitsLoss(pos_weight=3)",
        "bce_with_logits(pos_weight=3)",
        "logits",
        lambda p, t: F.binary_cross_entropy_with_logits(p, t, reduction="none", pos_weight=torch.tensor(3.0)),
        (LIMITS,),
        terms={"value": largest("pred"), "pred": one},
    ),
    Row(
        "SoftMarginLoss()",
        "logistic_margin",
        "margins",
        lambda p, t: F.soft_margin_loss(p, t, reduction="none"),
        (EXP,),
    ),
    Row(
        "CrossEntropyLoss()",
        "cross_entropy",
        "labels",
        lambda p, t: F.cross_entropy(p, t, reduction="none"),
        (LIMITS,),
        terms=SOFTMAX,
    ),
    Row(
        "CrossEntropyLoss(label_smoothing=0.1)",
        "cross_entropy(label_smoothing=0.1)",
        "labels",
        lambda p, t: F.cross_entropy(p, t, reduction="none", label_smoothing=0.1),
        (LIMITS, OVERFLOWS),
        terms=SOFTMAX,
    ),
    Row(
        "CrossEntropyLoss(weight=w, reduction='none')",
        f"cross_entropy(class_weight={WEIGHTS})",
        "labels",
        lambda p, t: F.cross_entropy(p, t, weight=weights(), reduction="none"),
        (LIMITS,),
        terms=SOFTMAX,
    ),
    Row(
        "CrossEntropyLoss(weight=w)",
        f"cross_entropy(class_weight={WEIGHTS})",
        "plain labels",
        lambda p, t: F.cross_entropy(p, t, weight=weights()),
        terms=SOFTMAX,
        reduction="mean",
    ),
    Row(
        "CrossEntropyLoss(weight=w, label_smoothing=0.1)",
        f"cross_entropy(class_weight={WEIGHTS}, label_smoothing=0.1)",
        "plain labels",
        lambda p, t: F.cross_entropy(p, t, weight=weights(), label_smoothing=0.1),
        terms=SOFTMAX,
        reduction="mean",
    ),
    Row(
        "CrossEntropyLoss(ignore_index=0)",
        "cross_entropy(ignore_index=0)",
        "plain labels",
        lambda p, t: F.cross_entropy(p, t, ignore_index=0),
        terms=SOFTMAX,
        reduction="mean",
    ),
    Row(
        "CrossEntropyLoss() of probabilities",
        "cross_entropy",
        "distributions",
        lambda p, t: F.cross_entropy(p, t, reduction="none"),
        (LIMITS, OUT_OF_RANGE),
        terms=SOFTMAX,
    ),
    Row(
        "CrossEntropyLoss(weight=w) of probabilities",
        f"cross_entropy(class_weight={WEIGHTS})",
        "plain distributions",
        lambda p, t: F.cross_entropy(p, t, weight=weights()),
        terms=SOFTMAX,
        reduction="mean_units",
    ),
    Row("NLLLoss()", "nll", "log labels", lambda p, t: F.nll_loss(p, t, reduction="none")),
    Row(
        "NLLLoss(weight=w)",
        f"nll(class_weight={WEIGHTS})",
        "log labels",
        lambda p, t: F.nll_loss(p, t, weight=weights(), reduction="none"),
    ),
    Row(
        "KLDivLoss(reduction='none').sum(-1)",
        "kl_div(log_pred=true)",
        "log pairs",
        lambda p, t: F.kl_div(p, t, reduction="none").sum(-1),
        (ZERO_TIMES,),
    ),
    Row(
        "KLDivLoss(log_target=True, reduction='none').sum(-1)",
        "kl_div(log_pred=true, log_target=true)",
        "both logs",
        lambda p, t: F.kl_div(p, t, reduction="none", log_target=True).sum(-1),
    ),
    Row(
        "KLDivLoss(log_target=True, reduction='batchmean')",
        "kl_div(log_pred=true, log_target=true)",
        "both logs",
        lambda p, t: F.kl_div(p, t, reduction="batchmean", log_target=True),
        reduction="mean",
    ),
    Row(
        "KLDivLoss(log_target=True), 5 classes",
        "0.2*kl_div(log_pred=true, log_target=true)",
        "both logs",
        lambda p, t: F.kl_div(p, t, log_target=True),
        reduction="mean",
    ),
    Row(
        "PoissonNLLLoss()",
        "poisson_nll",
        "log rates",
        lambda p, t: F.poisson_nll_loss(p, t, reduction="none"),
        (RATE,),
    ),
    Row(
        "PoissonNLLLoss(log_input=False)",
        "poisson_nll(log_input=false, eps=1e-8)",
        "rates",
        lambda p, t: F.poisson_nll_loss(p, t, log_input=False, reduction="none"),
        terms={"pred": one},
    ),
    Row(
        "PoissonNLLLoss(full=True)",
        "poisson_nll(full=true)",
        "log rates",
        lambda p, t: F.poisson_nll_loss(p, t, full=True, reduction="none"),
        (
            RATE,
            STIRLING,
        ),
    ),
    Row(
        "GaussianNLLLoss()",
        "gaussian_nll(eps=1e-6)",
        "variances",
        lambda p, t, var: F.gaussian_nll_loss(p, t, var, reduction="none"),
        (HELD,),
        wrt=("pred", "var"),
        terms=GAUSSIAN,
    ),
    Row(
        "GaussianNLLLoss(full=True)",
        "gaussian_nll(full=true, eps=1e-6)",
        "variances",
        lambda p, t, var: F.gaussian_nll_loss(p, t, var, full=True, reduction="none"),
        terms=GAUSSIAN,
    ),
    Row(
        "MultiMarginLoss()",
        "multi_margin",
        "labels",
        lambda p, t: F.multi_margin_loss(p, t, reduction="none"),
        (SKIPS_NAN, OVERFLOWS),
    ),
    Row(
        "MultiMarginLoss(p=2, margin=0.5)",
        "multi_margin(power=2, margin=0.5)",
        "labels",
        lambda p, t: F.multi_margin_loss(p, t, p=2, margin=0.5, reduction="none"),
        (SKIPS_NAN,),
        terms=MARGINS,
    ),
    Row(
        "MultiLabelMarginLoss()",
        "multilabel_margin",
        "multilabel",
        lambda p, t: F.multilabel_margin_loss(p, listed_classes(t), reduction="none"),
    ),
    Row(
        "CosineEmbeddingLoss() of targets 1",
        "cosine_distance",
        "vectors",
        lambda p, t: F.cosine_embedding_loss(p, t, torch.ones(len(p)), reduction="none"),
        (
            ZERO_VECTOR,
            SQUARE_OVERFLOWS,
            NORM_EPS,
            NORM_EPS_GRADIENT,
        ),
    ),
    Row(
        "CosineEmbeddingLoss(margin=0.25)",
        "cosine_embedding(margin=0.25)",
        "labelled vectors",
        lambda p, t, label: F.cosine_embedding_loss(p, t, label, margin=0.25, reduction="none"),
        (SQUARE_OVERFLOWS, NORM_EPS, NORM_EPS_GRADIENT),
    ),
    Row(
        "MultiLabelSoftMarginLoss()",
        "multilabel_soft_margin",
        "multilabel",
        lambda p, t: F.multilabel_soft_margin_loss(p, t, reduction="none"),
        terms=SIGMOID,
    ),
    Row(
        "MultiLabelSoftMarginLoss(weight=w)",
        f"multilabel_soft_margin(class_weight={WEIGHTS})",
        "multilabel",
        lambda p, t: F.multilabel_soft_margin_loss(p, t, weight=weights(), reduction="none"),
        terms=SIGMOID,
    ),
    Row(
        "BCEWithLogitsLoss() * (t - sigmoid(z))**2",
        "quality_focal",
        "logits",
        lambda p, t: F.binary_cross_entropy_with_logits(p, t, reduction="none") * (t - torch.sigmoid(p)) ** 2,
        (LIMITS, TWICE),
        terms=QUALITY,
    ),
    Row(
        "BCEWithLogitsLoss() * where(t > 0, t, 0.75 * sigmoid(z)**2)",
        "varifocal",
        "logits",
        lambda p, t: (
            F.binary_cross_entropy_with_logits(p, t, reduction="none")
            * torch.where(t > 0, t, 0.75 * torch.sigmoid(p) ** 2)
        ),
        (LIMITS,),
        terms=VARIFOCAL,
    ),
    Row(
        "MultiLabelSoftMarginLoss() * C",
        "one_vs_all_logistic",
        "multilabel",
        lambda p, t: F.multilabel_soft_margin_loss(p, t, reduction="none") * 5,
        terms=SIGMOID,
    ),
    Row(
        "CrossEntropyLoss() of 30 * tanh(z / 30)",
        "softcap_cross_entropy",
        "labels",
        lambda p, t: F.cross_entropy(30 * torch.tanh(p / 30), t, reduction="none"),
        terms={"value": lambda i: 30.0, "pred": one},
    ),
    Row(
        "CrossEntropyLoss() of z + log(prior)",
        f"logit_adjusted(prior={WEIGHTS})",
        "labels",
        lambda p, t: F.cross_entropy(p + torch.log(weights()), t, reduction="none"),
        terms=SHIFTED,
    ),
    Row(
        "CrossEntropyLoss() of both neighbours, each times the distance to the other",
        "distribution_focal",
        "bins",
        lambda p, t: neighbours(p, t),
        terms=SOFTMAX,
    ),
    Row(
        "-Normal(p, sqrt(var)).log_prob(t)",
        "gaussian_nll(full=true)",
        "variances",
        lambda p, t, var: -D.Normal(p, torch.sqrt(var)).log_prob(t),
        wrt=("pred", "target", "var"),
        terms=NORMAL,
    ),
    Row(
        "-Laplace(p, scale).log_prob(t)",
        "laplace_nll(full=true)",
        "scales",
        lambda p, t, s: -D.Laplace(p, s).log_prob(t),
        wrt=LOCATED,
    ),
    Row(
        "-Cauchy(p, scale).log_prob(t)",
        "cauchy_nll(full=true)",
        "scales",
        lambda p, t, s: -D.Cauchy(p, s).log_prob(t),
        (SQUARES,),
        wrt=LOCATED,
        terms=CAUCHY,
    ),
    Row(
        "-Gumbel(p, scale).log_prob(t)",
        "gumbel_nll",
        "scales",
        lambda p, t, s: -D.Gumbel(p, s).log_prob(t),
        wrt=LOCATED,
        terms=GUMBEL,
    ),
    Row(
        "-StudentT(df, p, scale).log_prob(t)",
        "student_t_nll(full=true)",
        "scales and df",
        lambda p, t, s, df: -D.StudentT(df, p, s).log_prob(t),
        (SQUARES,),
        wrt=(*LOCATED, "df"),
        terms=STUDENT,
    ),
    Row(
        "-LogNormal(p, scale).log_prob(t)",
        "lognormal_nll(full=true)",
        "log scales",
        lambda p, t, s: -D.LogNormal(p, s).log_prob(t),
        wrt=LOCATED,
        terms=LOGNORMAL,
    ),
    Row(
        "-Weibull(exp(p), shape).log_prob(t)",
        "weibull_nll(full=true)",
        "shapes",
        lambda p, t, k: -D.Weibull(torch.exp(p), k).log_prob(t),
        (POWER,),
        wrt=("pred", "target", "shape"),
        terms=WEIBULL,
    ),
    Row(
        "-Exponential(exp(-p)).log_prob(t)",
        "gamma_nll",
        "log means",
        lambda p, t: -D.Exponential(torch.exp(-p)).log_prob(t),
        terms={"value": largest("pred"), "pred": one},
    ),
    Row(
        "-VonMises(p, concentration).log_prob(t)",
        "von_mises_nll(full=true)",
        "angles",
        lambda p, t, k: -D.VonMises(p, k).log_prob(t),
        (BESSEL, BESSEL_SLOPE),
        wrt=("pred", "target", "concentration"),
        terms={"pred": turned, "target": turned},
    ),
    Row(
        "-Beta(m c, (1 - m) c).log_prob(t), m = sigmoid(p)",
        "beta_nll",
        "fractions",
        lambda p, t, c: -D.Beta(torch.sigmoid(p) * c, torch.sigmoid(-p) * c).log_prob(t),
        wrt=("pred", "concentration"),
        terms=BETA,
    ),
    Row(
        "-Poisson(p).log_prob(t)",
        "poisson_nll(log_input=false, full=true)",
        "rates",
        lambda p, t: -D.Poisson(p).log_prob(t),
        (NO_RATE,),
    ),
    Row(
        "-Binomial(t + failures, logits=p).log_prob(t)",
        "binomial_nll(full=true)",
        "trials",
        lambda p, t, failures: -D.Binomial(t + failures, logits=p).log_prob(t),
        terms=BINOMIAL,
    ),
    Row(
        "-NegativeBinomial(1, logits=p).log_prob(t)",
        "negative_binomial_nll",
        "log counts",
        lambda p, t: -D.NegativeBinomial(1, logits=p).log_prob(t),
        terms={"value": counted, "pred": counted},
    ),
    Row(
        "-MixtureSameFamily(Categorical(logits=logits), Normal(p, scale)).log_prob(t)",
        "mixture_density(full=true)",
        "components",
        lambda p, t, logits, s: -D.MixtureSameFamily(D.Categorical(logits=logits), D.Normal(p, s)).log_prob(t),
        wrt=("pred", "target", "logits", "scale"),
        terms=MIXTURE,
    ),
    Row(
        "kl_divergence(Normal(p, exp(log_var / 2)), Normal(0, 1))",
        "gaussian_kl",
        "normals",
        lambda p, log_var: D.kl_divergence(D.Normal(p, torch.exp(log_var / 2)), D.Normal(0, 1)),
        wrt=("pred", "log_var"),
        terms={"value": one, "log_var": one},
    ),
    Row(
        "kl_divergence(Categorical(t), Categorical(p))",
        "kl_div",
        "inner pairs",
        lambda p, t: D.kl_divergence(D.Categorical(t), D.Categorical(p)),
        (NORMALISES,),
        terms={"value": one},
    ),
    Row(
        "kl_divergence(Categorical(p), Categorical(t))",
        "reverse_kl",
        "inner pairs",
        lambda p, t: D.kl_divergence(D.Categorical(p), D.Categorical(t)),
        (NORMALISES,),
        terms={"value": one},
    ),
    Row(
        "Categorical(p).entropy()",
        "entropy",
        "one distribution",
        lambda p: D.Categorical(p).entropy(),
        (NORMALISES, HELD_INSIDE),
    ),
]
