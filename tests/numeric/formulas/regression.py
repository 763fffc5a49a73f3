# SPDX-License-Identifier: MIT
"""Losses of the residual."""

from __future__ import annotations

from mpmath import mp, mpf
from reference import (
    ABOVE_MINUS_ONE,
    AMOUNT,
    EMBEDDING,
    INF,
    OUTSIDE,
    POSITIVE,
    PROBABILITY,
    REAL,
    ROW_LABEL,
    distance,
    loss,
    sign,
)


def residual(pred, target):
    """pred - target and its size, exactly: what is compared with a kink, or taken modulo something, may not be rounded."""
    with mp.workdps(1500):  # 1e308 and 5e-324 are far apart
        return pred - target, abs(pred - target)


@loss(pred=REAL, target=REAL)
def mse(pred, target):
    r = pred - target
    return distance(r * r, 2 * r, 2)


def squares(pred, target):
    """What rmse takes the mean of."""
    return {"value": (pred - target) ** 2, "pred": 2 * (pred - target), "target": 2 * (target - pred)}


@loss(pred=REAL, target=REAL, outer="sqrt")
def rmse(pred, target):
    return squares(pred, target)


@loss(unit="row", pred=REAL, target=REAL, outer="sqrt")
def multi_rmse(pred, target):
    parts = [squares(x, y) for x, y in zip(pred, target, strict=True)]
    return {
        "value": mp.fsum(one["value"] for one in parts),
        "pred": [one["pred"] for one in parts],
        "target": [one["target"] for one in parts],
    }


@loss(pred=REAL, target=REAL)
def half_squared_error(pred, target):
    r = pred - target
    return distance(r * r / 2, r, 1)


@loss(pred=REAL, target=REAL, kinks=lambda: [0])
def mae(pred, target):
    r = pred - target
    return distance(abs(r), sign(r), 0)


@loss({"delta": 0.25}, {"delta": 1e4}, {"delta": INF}, pred=REAL, target=REAL, kinks=lambda delta=1: [-delta, 0, delta])
def huber(pred, target, delta=1):
    r, a = pred - target, abs(pred - target)
    return distance(r * r / 2, r, 1) if a <= delta else distance(delta * (a - delta / 2), delta * sign(r), 0)


@loss({"delta": 0.125}, {"delta": 300}, pred=REAL, target=REAL, kinks=lambda delta=1: [0, delta])
def pseudo_huber(pred, target, delta=1):
    r = pred - target
    root = mp.sqrt(1 + (r / delta) ** 2)
    return distance(r * r / (1 + root), r / root, 1 / root**3)


@loss({"beta": 0.25}, {"beta": 50}, {"beta": 0}, pred=REAL, target=REAL, kinks=lambda beta=1: [-beta, 0, beta])
def smooth_l1(pred, target, beta=1):
    r, a = pred - target, abs(pred - target)
    return distance(r * r / (2 * beta), r / beta, 1 / beta) if a < beta else distance(a - beta / 2, sign(r), 0)


@loss(pred=REAL, target=REAL, kinks=lambda: [0, 1, 0.35])
def log_cosh(pred, target):
    r = pred - target
    return distance(mp.log1p(2 * mp.sinh(r / 2) ** 2), mp.tanh(r), mp.sech(r) ** 2)


LEVELS = {"tau": PROBABILITY, "learnable": ("tau",)}


@loss({"tau": 0.25}, {"tau": 0.984375}, pred=REAL, target=REAL, kinks=lambda tau=0.5: [0], **LEVELS)
def quantile(pred, target, tau=0.5):
    if not 0 < tau < 1:
        return OUTSIDE
    r = pred - target
    slope = (1 - tau) if r > 0 else -tau if r < 0 else 0
    return distance(slope * r, slope, 0) | {"tau": -r}


@loss({"tau": 0.25}, pred=REAL, target=REAL, kinks=lambda tau=0.5: [0], **LEVELS)
def expectile(pred, target, tau=0.5):
    if not 0 < tau < 1:
        return OUTSIDE
    r = pred - target
    w = (1 - tau) if r > 0 else tau
    return distance(w * r * r, 2 * w * r, 2 * w) | {"tau": -r * abs(r)}


@loss({"tau": 0.25}, {"tau": 0.984375}, pred=REAL, target=AMOUNT, **LEVELS)
def log_lin_quantile(pred, target, tau=0.5):
    if not 0 < tau < 1:
        return OUTSIDE
    e = mp.exp(pred)
    slope = (1 - tau) if e > target else -tau if e < target else 0
    return {
        "value": (slope * e, -slope * target), "pred": slope * e, "target": -slope, "tau": (target, -e),
        "hess": slope * e,
    }  # fmt: skip


@loss({"alpha": 0.5}, {"alpha": 0.03125}, pred=REAL, target=REAL, upper=REAL)
def interval_score(pred, target, upper, alpha=0.1):
    cost, below, above = 2 / mpf(alpha), pred - target, target - upper
    low, high = cost * (below > 0), cost * (above > 0)
    return {
        "value": (upper - pred, low * below, high * above),
        "pred": low - 1 if below != 0 else 0,
        "target": high - low,
        "upper": 1 - high if above != 0 else 0,
        "hess": 0,
    }


@loss({"p": 1.5}, {"p": 1}, {"p": 0.5}, {"p": 3}, {"p": 4.125}, pred=REAL, target=REAL, kinks=lambda p=2: [0, 1])
def lp(pred, target, p=2):
    r, a = pred - target, abs(pred - target)
    if r == 0:
        return distance(0, 0, 2 if p == 2 else 0 if p > 2 or p == 1 else sign(p - 1) * INF)
    return distance(a**p, p * a ** (p - 1) * sign(r), p * (p - 1) * a ** (p - 2))


@loss(pred=REAL, target=REAL, kinks=lambda: [0, 1.5])
def logit_dist(pred, target):
    r = pred - target
    return distance(2 * mp.log1p(2 * mp.sinh(r / 4) ** 2), mp.tanh(r / 2), mp.sech(r / 2) ** 2 / 2)


@loss({"epsilon": 0.125}, {"epsilon": 0}, pred=REAL, target=REAL, kinks=lambda epsilon=1: [epsilon])
def epsilon_insensitive(pred, target, epsilon=1):
    r, a = residual(pred, target)
    return distance(a - epsilon, sign(r), 0) if a > epsilon else distance(0, 0, 0)


@loss({"epsilon": 0.125}, {"epsilon": 0}, pred=REAL, target=REAL, kinks=lambda epsilon=1: [epsilon])
def squared_epsilon_insensitive(pred, target, epsilon=1):
    r, a = residual(pred, target)
    return distance((a - epsilon) ** 2, 2 * sign(r) * (a - epsilon), 2) if a > epsilon else distance(0, 0, 0)


@loss(
    {"c": 0.25}, {"c": 360}, {"c": 6.25}, pred=REAL, target=REAL,
    kinks=lambda c=1: [0, c / 8, c / 4, 3 * c / 8, c / 2, c],
)  # fmt: skip
def periodic(pred, target, c=1):
    if max(abs(pred), abs(target)) > mpf(10) ** 390:  # at infinity it has no limit
        return OUTSIDE
    r, _ = residual(pred, target)
    with mp.workdps(mp.dps + 700):  # the quotient's digits before the point, too
        x, turn = r / c, 2 * mp.pi / c
        return distance(2 * mp.sinpi(x) ** 2, turn * mp.sinpi(2 * x), turn**2 * mp.cospi(2 * x))


@loss({"eps": 0.25}, pred=REAL, target=AMOUNT, kinks=lambda eps=0: [0])
def mape(pred, target, eps=0):
    r, held, base = pred - target, abs(target) < eps, max(abs(target), mpf(eps))
    if base == 0:
        return OUTSIDE if r == 0 else {"value": INF, "pred": sign(r) * INF, "target": 0, "hess": 0}
    by_target = -100 * sign(r) / base if held else -100 * sign(r) * pred / target / base
    return {"value": 100 * abs(r) / base, "pred": 100 * sign(r) / base, "target": by_target, "hess": 0}


@loss(pred=REAL, target=AMOUNT, kinks=lambda: [0])
def smape(pred, target):
    r, both = pred - target, abs(pred) + abs(target)
    if both == 0:
        return distance(0, 0, 0)
    slope = 400 * sign(r) / both**2 * (pred * target > 0)
    return {
        "value": 200 * abs(r) / both, "pred": slope * abs(target), "target": -slope * abs(pred),
        "hess": -2 * sign(pred) * slope * abs(target) / both,
    }  # fmt: skip


@loss({"scale": 0.25}, pred=REAL, target=REAL, scale=POSITIVE, learnable=("scale",), kinks=lambda scale=1: [0])
def mase(pred, target, scale=1):
    if scale <= 0:
        return OUTSIDE
    r = pred - target
    return distance(abs(r) / scale, sign(r) / scale, 0) | {"scale": -abs(r) / scale**2}


@loss(pred=ABOVE_MINUS_ONE, target=ABOVE_MINUS_ONE)
def msle(pred, target):
    if pred < -1 or target < -1:
        return OUTSIDE
    if pred == -1:
        return {"value": INF, "pred": -INF, "target": INF, "hess": INF} if target > -1 else OUTSIDE
    if target == -1:
        return {"value": INF, "pred": INF, "target": -INF, "hess": -INF}
    d = mp.log1p(pred) - mp.log1p(target)
    return {
        "value": d * d,
        "pred": 2 * d / (1 + pred),
        "target": -2 * d / (1 + target),
        "hess": (2 / (1 + pred) ** 2, -2 * d / (1 + pred) ** 2),
    }


@loss(pred=REAL, target=REAL)
def mean_bias_error(pred, target):
    return distance(pred - target, 1, 0)


@loss(
    {"width": 5, "curvature": 0.5},
    {"width": 0.25},
    pred=REAL,
    target=REAL,
    kinks=lambda width=10, curvature=2: [0, width],
)
def wing(pred, target, width=10, curvature=2):
    r, a = residual(pred, target)
    if a >= width:
        return distance(a - width + width * mp.log1p(mpf(width) / curvature), sign(r), 0)
    return distance(
        width * mp.log1p(a / curvature), sign(r) * width / (curvature + a), -(sign(a) * width) / (curvature + a) ** 2
    )


@loss(
    {"alpha": 1, "gamma": 0.5}, {"beta": 0.125}, {"gamma": 8, "beta": 3}, pred=REAL, target=REAL,
    kinks=lambda alpha=0.5, gamma=1.5, beta=1: [beta],
)  # fmt: skip
def balanced_l1(pred, target, alpha=0.5, gamma=1.5, beta=1):
    r, a = residual(pred, target)
    b = mp.expm1(mpf(gamma) / alpha)
    if a >= beta:
        return distance(gamma * a + beta * (gamma / b - alpha), gamma * sign(r), 0)
    with mp.workdps(mp.dps + 700):  # near 0 all digits but these cancel
        log = mp.log1p(b * a / beta)
        value = alpha / b * (b * a + beta) * log - alpha * a
    return distance(value, alpha * log * sign(r), alpha * b / (b * a + beta))


@loss(
    {"alpha": 2.5, "omega": 4, "epsilon": 0.25, "theta": 1}, {"alpha": 3, "theta": 2},
    pred=REAL, target=PROBABILITY,
)  # fmt: skip
def adaptive_wing(pred, target, alpha=2.1, omega=14, epsilon=1, theta=0.5):
    if not 0 <= target <= 1:
        return OUTSIDE
    (r, size), n = residual(pred, target), alpha - target
    a = min(size, mpf(theta))
    if a == 0:
        return distance(0, 0, 2 * omega / mpf(epsilon) ** 2 if n == 2 else 0 if n > 2 else INF)
    q = a / mpf(epsilon)
    s, left = q**n / (1 + q**n), 1 / (1 + q**n)
    slope, log, d = omega * n * s / a, mp.log(q), size - a
    far = size >= theta
    return {
        "value": (omega * mp.log1p(q**n), slope * d),
        "pred": sign(r) * slope,
        "target": (
            -sign(r) * slope, -omega * s * log, -omega * s / theta * d * far, -omega * s / theta * n * left * log * d * far,
        ),
        "hess": (omega * n * s / a**2 * n * left, -omega * n * s / a**2) if not far else 0,
    }  # fmt: skip


@loss(unit="row", pred=EMBEDDING, target=EMBEDDING)
def cosine_similarity(pred, target):
    n = len(pred)
    if INF in map(abs, (*pred, *target)):
        return OUTSIDE
    if not any(pred) or not any(target):
        return {"value": 0, "pred": [0] * n, "target": [0] * n, "hess": [0] * n}
    with mp.workdps(400):  # what is not along the other vector may be small
        norm_x, norm_t = (mp.sqrt(mp.fsum(v * v for v in row)) for row in (pred, target))
        x, t = [v / norm_x for v in pred], [v / norm_t for v in target]
        cosine = mp.fsum(a * b for a, b in zip(x, t))

        return {
            "value": -cosine,
            "pred": [(cosine * a / norm_x, -b / norm_x) for a, b in zip(x, t)],
            "target": [(cosine * b / norm_t, -a / norm_t) for a, b in zip(x, t)],
            "hess": [
                (cosine * (1 - a * a) / norm_x**2, 2 * a * b / norm_x**2, -2 * a * a * cosine / norm_x**2)
                for a, b in zip(x, t)
            ],
        }


@loss(unit="row", pred=EMBEDDING, target=EMBEDDING)
def cosine_distance(pred, target):
    result = cosine_similarity(pred, target)
    if result is OUTSIDE:
        return OUTSIDE
    with mp.workdps(400):
        least = mpf(2) ** -160  # an angle of less than 2^-80 has fewer digits
        return result | {"value": (1 + result["value"], least, -least)}


@loss({"margin": 0.5}, {"margin": -0.25}, unit="row", pred=EMBEDDING, target=EMBEDDING, label=ROW_LABEL)
def cosine_embedding(pred, target, label, margin=0):
    if label > 0:
        result = cosine_distance(pred, target)
        return OUTSIDE if result is OUTSIDE else result | {"label": 0}
    result = cosine_similarity(pred, target)
    if result is OUTSIDE:
        return OUTSIDE
    n = len(pred)
    cosine = -result["value"]
    if cosine <= margin:
        return {"value": 0, "pred": [0] * n, "target": [0] * n, "label": 0, "hess": [0] * n}

    def turned(terms):
        return tuple(-t for t in terms) if isinstance(terms, tuple) else -terms

    slopes = {k: [turned(t) for t in result[k]] for k in ("pred", "target", "hess")}
    return {"value": (cosine, -mpf(margin)), "label": 0, **slopes}
