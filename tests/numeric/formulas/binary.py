# SPDX-License-Identifier: MIT
"""Binary classification."""

from __future__ import annotations

from mpmath import mp, mpf
from reference import (
    BINARY,
    INF,
    LOGITS,
    OUTSIDE,
    POSITIVE,
    PROBABILITY,
    loss,
    over,
    sigmoid,
    softplus,
    times,
)


@loss(
    {"label_smoothing": 0.125}, {"base": 2}, {"clamp": 2.0**-20}, {"log_clamp": -100}, {"base": 10, "clamp": 2.0**-10},
    pred=PROBABILITY, target=BINARY, based=True,
)  # fmt: skip
def binary_cross_entropy(pred, target, clamp=0, log_clamp=-INF, label_smoothing=0):
    if not (0 <= pred <= 1 and 0 <= target <= 1):
        return OUTSIDE
    y, smooth = target * (1 - label_smoothing) + mpf(label_smoothing) / 2, 1 - label_smoothing
    p = min(max(pred, clamp), 1 - clamp)
    moves = 1 if p == pred else 0
    log_p, log_q = mp.log(p), mp.log1p(-p)
    by_p, by_q = moves * (log_p >= log_clamp), moves * (log_q >= log_clamp)
    log_p, log_q = max(log_p, log_clamp), max(log_q, log_clamp)
    return {
        "value": (-times(y, log_p), -times(1 - y, log_q)),
        "pred": (-times(by_p, over(y, p)), times(by_q, over(1 - y, 1 - p))),
        "target": (times(smooth, log_q), -times(smooth, log_p)),
        "hess": (times(by_p, over(y, p * p)), times(by_q, over(1 - y, (1 - p) ** 2))),
    }


@loss(
    {"pos_weight": 1}, {"pos_weight": 3}, {"pos_weight": 0.25, "label_smoothing": 0.25}, {"label_smoothing": 1}, {"base": 2},
    pred=LOGITS, target=BINARY, pos_weight=POSITIVE, learnable=("pos_weight",), based=True, kinks=lambda **_: [0],
)  # fmt: skip
def bce_with_logits(pred, target, pos_weight=1, label_smoothing=0):
    if not 0 <= target <= 1 or pos_weight < 0:
        return OUTSIDE
    y, smooth = target * (1 - label_smoothing) + mpf(label_smoothing) / 2, 1 - label_smoothing
    s, t = sigmoid(pred), sigmoid(-pred)
    return {
        "value": (y * pos_weight * softplus(-pred), (1 - y) * softplus(pred)),
        # A hard label is held to sigmoid(-z) or sigmoid(z); a soft one to the terms of sigmoid(z) - y.
        "pred": (-y * pos_weight * t, (1 - y) * s) if y in (0, 1) else (s * (1 - y + pos_weight * y), -pos_weight * y),
        "target": -smooth * pred
        if pos_weight == 1
        else (smooth * pos_weight * softplus(-pred), -smooth * softplus(pred)),
        "pos_weight": y * softplus(-pred),
        "hess": (y * pos_weight + 1 - y) * s * t,
    }


def focal(z, y, gamma, factor):
    """|y - s|^gamma times the cross entropy, and its derivatives, by the product rule."""
    s, t = sigmoid(z), sigmoid(-z)
    entropy = y * softplus(-z) + (1 - y) * softplus(z)
    w = s * (1 - y) + t * y
    power = mpf(1) if gamma == 0 else w**gamma
    if factor == 0:
        return {"value": 0, "pred": 0, "hess": 0}
    slope, bend = s * (1 - y) - t * y, s * t
    by, twice = (1 - 2 * y) * s * t / w, (1 - 2 * y) * s * t * (t - s) / w  # w'/w, w''/w
    value = factor * power * entropy
    first = (factor * power * gamma * by * entropy, factor * power * s * (1 - y), -factor * power * t * y)
    second = (
        factor * power * gamma * (gamma - 1) * by**2 * entropy,
        factor * power * gamma * twice * entropy,
        factor * power * 2 * gamma * by * slope,
        factor * power * bend,
    )
    return {"value": value, "pred": first, "hess": second}


@loss({"alpha": -1}, {"gamma": 0}, {"gamma": 0.5}, {"alpha": 0.75, "gamma": 3.5}, pred=LOGITS, target=BINARY)
def sigmoid_focal(pred, target, alpha=0.25, gamma=2):
    if not 0 <= target <= 1:
        return OUTSIDE
    factor = 1 if alpha < 0 else alpha * target + (1 - mpf(alpha)) * (1 - target)
    return focal(pred, target, mpf(gamma), factor)
