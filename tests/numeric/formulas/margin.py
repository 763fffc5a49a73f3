# SPDX-License-Identifier: MIT
"""Losses of the margin."""

from __future__ import annotations

from typing import Any

from mpmath import mp, mpf
from reference import MARGIN, REAL, loss, sigmoid, softplus


@loss({"margin": 0.5}, {"margin": 3}, pred=REAL, target=MARGIN, kinks=lambda margin=1: [-margin, margin, 0])
def hinge(pred, target, margin=1):
    active = target * pred < margin
    return {
        "value": margin - target * pred if active else 0,
        "pred": -target if active else 0,
        "target": -pred if active else 0,
        "hess": 0,
    }


@loss({"margin": 0.5}, {"margin": 3}, pred=REAL, target=MARGIN, kinks=lambda margin=1: [-margin, margin, 0])
def squared_hinge(pred, target, margin=1):
    gap = max(margin - target * pred, mpf(0))
    return {"value": gap**2, "pred": -2 * target * gap, "target": -2 * pred * gap, "hess": 2 if gap > 0 else 0}


def of_margin(target: Any, pred: Any, value: Any, slope: Any, curve: Any) -> dict[str, Any]:
    """By pred and target, from the derivatives by the margin m = target pred."""
    by = {"pred": target, "target": pred}
    many = isinstance(slope, tuple)
    slopes = {k: tuple(x * t for t in slope) if many else x * slope for k, x in by.items()}
    return {"value": value, **slopes, "hess": curve}


@loss(pred=REAL, target=MARGIN, kinks=lambda: [0])
def zero_one(pred, target):
    return of_margin(target, pred, 1 if target * pred < 0 else 0, 0, 0)


@loss(pred=REAL, target=MARGIN, kinks=lambda: [0])
def perceptron(pred, target):
    m = target * pred
    return of_margin(target, pred, max(-m, mpf(0)), -1 if m < 0 else 0, 0)


def smoothed(pred, target, gamma, factor):
    m = target * pred
    if m >= 1:
        return of_margin(target, pred, 0, 0, 0)
    if m > 1 - gamma:
        t = 1 - m
        return of_margin(target, pred, factor * t**2 / (2 * gamma), -factor * t / gamma, factor / gamma)
    return of_margin(target, pred, factor * (1 - gamma / 2 - m), -factor, 0)


@loss({"gamma": 0.25}, {"gamma": 2.5}, pred=REAL, target=MARGIN, kinks=lambda gamma=1: [1, 1 - gamma, -1, gamma - 1])
def smoothed_hinge(pred, target, gamma=1):
    return smoothed(pred, target, mpf(gamma), mpf(1))


@loss(pred=REAL, target=MARGIN, kinks=lambda: [1, -1])
def modified_huber(pred, target):
    return smoothed(pred, target, mpf(2), mpf(4))


@loss(pred=REAL, target=MARGIN, kinks=lambda: [1, -1])
def binary_sparsemax(pred, target):
    return smoothed(pred, target, mpf(2), mpf(1))


@loss(pred=REAL, target=MARGIN, kinks=lambda: [1, -1])
def l2_margin(pred, target):
    gap = 1 - target * pred
    return of_margin(target, pred, gap**2, -2 * gap, 2)


@loss(pred=REAL, target=MARGIN)
def logistic_margin(pred, target):
    m = target * pred
    return of_margin(target, pred, softplus(-m), -sigmoid(-m), sigmoid(m) * sigmoid(-m))


@loss({"gamma": 0.25}, {"gamma": 3}, pred=REAL, target=MARGIN)
def focal_star(pred, target, gamma=1):
    m = gamma * target * pred
    return of_margin(target, pred, softplus(-m) / gamma, -sigmoid(-m), gamma * sigmoid(m) * sigmoid(-m))


@loss(pred=REAL, target=MARGIN)
def exponential_margin(pred, target):
    e = mp.exp(-target * pred)
    return of_margin(target, pred, e, -e, e)


@loss(pred=REAL, target=MARGIN)
def sigmoid_margin(pred, target):
    m = target * pred
    bell = 4 * sigmoid(2 * m) * sigmoid(-2 * m)
    return of_margin(target, pred, 2 * sigmoid(-2 * m), -bell, 2 * mp.tanh(m) * bell)


@loss({"q": 0.5}, {"q": 2}, {"q": 7.25}, pred=REAL, target=MARGIN, kinks=lambda q=1: [q / (q + 1), -q / (q + 1)])
def dwd_margin(pred, target, q=1):
    q, m = mpf(q), target * pred
    if m * (q + 1) <= q:
        return of_margin(target, pred, 1 - m, -1, 0)
    tail = (q / ((q + 1) * m)) ** q / (q + 1)
    return of_margin(target, pred, tail, -q * tail / m, q * (q + 1) * tail / m / m)


@loss(pred=REAL, target=MARGIN)
def savage(pred, target):
    m = target * pred
    s, t = sigmoid(-m), sigmoid(m)
    return of_margin(target, pred, s**2, -2 * s * s * t, (4 * s * s * t * t, -2 * s**3 * t))


@loss(pred=REAL, target=MARGIN, kinks=lambda: [mp.tan(mpf(1) / 2), -mp.tan(mpf(1) / 2)])
def tangent(pred, target):
    m = target * pred
    gap, square = 2 * mp.atan(m) - 1, 1 + m * m
    curve = (8 / square**2, -8 * m / square**2 * gap)
    return of_margin(target, pred, gap**2, 4 * gap / square, curve)


@loss(pred=REAL, target=MARGIN, kinks=lambda: [0, 1, -1])
def ramp(pred, target):
    m = target * pred
    return of_margin(target, pred, min(mpf(1), max(mpf(0), 1 - m)), -1 if 0 < m < 1 else 0, 0)
