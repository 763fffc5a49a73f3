# SPDX-License-Identifier: MIT
"""What losses are called elsewhere, and how they are found by that."""

from __future__ import annotations

import re

import lossfn
import pytest

# What users of other systems call losses, and which of ours that is.
ELSEWHERE = {
    "MSELoss": "mse", "L1Loss": "mae", "SmoothL1Loss": "smooth_l1", "HuberLoss": "huber", "BCELoss": "binary_cross_entropy",
    "BCEWithLogitsLoss": "bce_with_logits", "CrossEntropyLoss": "cross_entropy", "NLLLoss": "nll", "KLDivLoss": "kl_div",
    "PoissonNLLLoss": "poisson_nll", "GaussianNLLLoss": "gaussian_nll", "MultiMarginLoss": "multi_margin",
    "CosineEmbeddingLoss": "cosine_embedding", "SoftMarginLoss": "logistic_margin",
    "MeanSquaredError": "mse", "LogCosh": "log_cosh", "BinaryCrossentropy": "binary_cross_entropy",
    "CategoricalCrossentropy": "categorical_cross_entropy", "KLDivergence": "kl_div", "Poisson": "poisson_nll",
    "SparseCategoricalCrossentropy": "categorical_cross_entropy", "CategoricalHinge": "crammer_singer",
    "l2_loss": "half_squared_error", "sigmoid_focal_loss": "sigmoid_focal", "softmax_cross_entropy": "cross_entropy",
    "PinballLoss": "quantile", "HalfSquaredError": "half_squared_error", "HalfTweedieLoss": "tweedie_nll",
    "reg:squarederror": "half_squared_error", "binary:logistic": "bce_with_logits", "reg:tweedie": "tweedie_nll",
    "survival:aft": "aft_nll", "multi:softprob": "cross_entropy", "count:poisson": "poisson_nll",
    "fair": "fair", "poisson": "poisson_nll", "CauchyLoss": "cauchy", "TukeyLoss": "tukey", "TolerantLoss": "tolerant",
    "LogitDistLoss": "logit_dist", "DWDMarginLoss": "dwd_margin", "scipy.stats.weibull_min": "weibull_nll",
    "sparsemax_loss": "binary_sparsemax",
}  # fmt: skip


@pytest.mark.parametrize(("name", "ours"), ELSEWHERE.items())
def test_names_of_other_systems_are_found(name: str, ours: str) -> None:
    assert lossfn.describe(name).name == ours


def test_every_look_alike_is_found() -> None:
    """Each line `system: name: how` but those that say of which other loss it is; the first loss with such a line."""
    looked_up = 0
    for ours in lossfn.names():
        for line in lossfn.describe(ours).look_alikes:
            found = re.match(r"[^:(]+: ([\w.:-]*[\w])(?=: |,|\(|$)", line)
            if not found or line[found.end() :].startswith(": is "):
                continue
            described = lossfn.describe(found[1])
            words = (described.name, *described.aliases, *described.look_alikes)
            assert any(
                found[1].lower().replace("_", "").removesuffix("loss") in w.lower().replace("_", "") for w in words
            )
            looked_up += 1
    assert looked_up > 200


def test_creating_by_a_look_alike_says_how_it_differs() -> None:
    own = {word for name in lossfn.names() for word in (name, *lossfn.describe(name).aliases)}
    told = 0
    for ours in lossfn.names():
        for line in lossfn.describe(ours).look_alikes:
            found = re.match(r"[^:(]+: ([A-Za-z][\w.:]*\w): ", line)
            if not found or line[found.end(1) :].startswith(": is ") or found[1] in own:
                continue
            if found[1] in ("SparseCategoricalCrossentropy", "nll_loss"):  # they have hints of their own
                continue
            with pytest.raises(
                lossfn.NotFoundError, match=rf"; see \w+ \([^:]+: (?i:{re.escape(found[1])}): "
            ) as caught:
                lossfn.create(found[1])
            assert "nearest" not in str(caught.value)
            told += 1
    assert told > 150


def test_creating_takes_own_names_and_says_which() -> None:
    with pytest.raises(lossfn.NotFoundError) as caught:
        lossfn.create("BCELoss")
    assert "see binary_cross_entropy (PyTorch: BCELoss" in str(caught.value)
