# SPDX-License-Identifier: MIT
"""PyTorch: torch.nn, by its functional forms."""

from __future__ import annotations

from typing import Any

import numpy as np
from rows import (
    Difference,
    Inputs,
    Row,
    beyond,
    everywhere,
    gradients_by_sum,
    infinite,
    largest,
    nan,
    not_a_number,
    one,
)

HEADING, PACKAGE = "PyTorch", "torch"
DTYPE = "float64"
EPSILON = 16 * 2.0**-52
PRECISION = "double precision; a few operations, each within an ulp or two"

torch: Any = None
F: Any = None


def load() -> None:
    global torch, F
    import torch as package
    import torch.nn.functional

    torch, F = package, torch.nn.functional


def evaluate(row: Row, inputs: Inputs) -> dict[str, Any]:
    given = {name: torch.tensor(a) for name, a in inputs.items()}
    for name in row.wrt:
        given[name].requires_grad_()
    value = row.function(*given.values())
    found = gradients_by_sum(value, given, row.wrt, torch.autograd.grad)
    return {name: a.detach().numpy() for name, a in {"value": value, **found}.items()}


BOTH = ("pred", "target")
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
OUT_OF_RANGE = Difference(
    "overflows",
    "logits whose differences leave the range of the type give NaN, 0 times infinity",
    lambda i: np.ptp(i["pred"], axis=-1) > 1e308,
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


def listed_classes(target: Any) -> Any:
    """Rows of 0/1 as PyTorch takes them: the classes that are 1, then -1."""
    rows = [torch.nonzero(row).ravel() for row in target]
    return torch.stack([F.pad(row, (0, target.shape[1] - len(row)), value=-1) for row in rows])


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
        (LIMITS,),
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
        (SKIPS_NAN,),
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
]
