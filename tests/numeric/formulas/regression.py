# SPDX-License-Identifier: MIT
"""Losses of the residual."""

from __future__ import annotations

from mpmath import mp
from reference import INF, REAL, distance, loss, sign


@loss(pred=REAL, target=REAL)
def mse(pred, target):
    r = pred - target
    return distance(r * r, 2 * r, 2)


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


@loss({"tau": 0.25}, {"tau": 0.984375}, pred=REAL, target=REAL, kinks=lambda tau=0.5: [0])
def quantile(pred, target, tau=0.5):
    r = pred - target
    slope = (1 - tau) if r > 0 else -tau if r < 0 else 0
    return distance(slope * r, slope, 0)


@loss({"tau": 0.25}, pred=REAL, target=REAL, kinks=lambda tau=0.5: [0])
def expectile(pred, target, tau=0.5):
    r = pred - target
    w = (1 - tau) if r > 0 else tau
    return distance(w * r * r, 2 * w * r, 2 * w)
