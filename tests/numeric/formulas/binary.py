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


@loss({"weighted": False}, {"alpha": 0.25, "gamma": 0}, {"gamma": 1.5}, pred=LOGITS, target=BINARY)
def varifocal(pred, target, alpha=0.75, gamma=2, weighted=True):
    if not 0 <= target <= 1:
        return OUTSIDE
    if target > 0:
        return focal(pred, target, mpf(0), target if weighted else mpf(1))
    return focal(pred, target, mpf(gamma), mpf(alpha))


@loss({"gamma": 0}, {"alpha": 0}, {"alpha": 3.5, "gamma": 1.5}, pred=LOGITS, target=BINARY)
def gaussian_focal(pred, target, alpha=2, gamma=4):
    if not 0 <= target <= 1:
        return OUTSIDE
    peak = target == 1
    return focal(pred, mpf(peak), mpf(alpha), mpf(1) if peak else (1 - target) ** mpf(gamma))


def near_digits(z):
    """Digits in which sigmoid(z) is known well enough that a number near it can be taken from it."""
    return mp.dps + 40 + (int(-mp.log10(abs(z))) if 0 < abs(z) < 1 else 0)


@loss({"beta": 1}, {"beta": 3}, {"beta": 1.3}, pred=LOGITS, target=BINARY)
def quality_focal(pred, target, beta=2):
    if not 0 <= target <= 1:
        return OUTSIDE
    b, y = mpf(beta), target
    with mp.workdps(near_digits(pred)):  # what s and y differ by may be small
        s, t = sigmoid(pred), sigmoid(-pred)
        d = s - y if y != 1 else -t
    entropy = times(y, softplus(-pred)) + times(1 - y, softplus(pred))
    side, size = (d > 0) - (d < 0), abs(d)
    power = lambda g: size**g if size else mpf(0) if g > 0 else mpf(1) if g == 0 else INF  # noqa: E731
    bend = b * (b - 1) * power(b - 2) * (s * t) ** 2 * entropy if b != 1 else mpf(0)
    return {
        "value": power(b) * entropy,
        "pred": (side * power(b - 1) * b * s * t * entropy, power(b) * d),
        "hess": (
            bend,
            side * b * power(b - 1) * s * t * (t - s) * entropy,
            (2 * b + 1) * power(b) * s * t,
        ),
    }


def clipped(clip=0.05, **_):
    return [mp.log(mpf(clip) / (1 - mpf(clip)))] if clip else [0]


@loss(
    {"clip": 0}, {"gamma_neg": 0}, {"gamma_neg": 1, "clip": 0.25}, {"gamma_pos": 0, "gamma_neg": 2.5, "clip": 0.5},
    pred=LOGITS, target=BINARY, kinks=clipped,
)  # fmt: skip
def asymmetric_multilabel(pred, target, gamma_pos=1, gamma_neg=4, clip=0.05):
    if not 0 <= target <= 1:
        return OUTSIDE
    g, c = mpf(gamma_neg), mpf(clip)
    yes = focal(pred, mpf(1), mpf(gamma_pos), target)
    if c == 0:
        no = focal(pred, mpf(0), g, 1 - target)
    else:
        with mp.workdps(near_digits(pred)):
            s, t = sigmoid(pred), sigmoid(-pred)
            m = s - c
        if m <= 0 or target == 1:
            no = {"value": 0, "pred": 0, "hess": 0}
        else:
            entropy, f = -mp.log1p(-m), 1 - target
            by = g * m ** (g - 1) * entropy + m**g / (1 - m)
            twice = g * (g - 1) * m ** (g - 2) * entropy + 2 * g * m ** (g - 1) / (1 - m) + m**g / (1 - m) ** 2
            value, first, second = f * m**g * entropy, f * by * s * t, f * twice * (s * t) ** 2
            near = c if m < c / 2**20 else 0  # an ulp of s is much of m there, to which power it ever is
            value_near, first_near, second_near = (near * x / m for x in (value, first, second))
            no = {
                "value": (value, value_near, -value_near),
                "pred": (first, first_near, -first_near),
                "hess": (second, f * by * s * t * (t - s), second_near, -second_near),
            }

    def terms(x):
        return x if isinstance(x, tuple) else (x,)

    return {key: (*terms(yes[key]), *terms(no[key])) for key in ("value", "pred", "hess")}
