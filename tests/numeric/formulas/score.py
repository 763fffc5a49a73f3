# SPDX-License-Identifier: MIT
"""Proper scores of distributions."""

from __future__ import annotations

from mpmath import mp, mpf
from reference import OUTSIDE, REAL, ROW_REAL, VARIANCE, loss, sign, times


@loss({"fair": True}, unit="row", pred=REAL, target=ROW_REAL)
def crps_ensemble(pred, target, fair=False):
    n, fair = len(pred), fair and len(pred) > 1
    pairs = n * (n - fair)
    spread = [sum(sign(a - b) for b in pred) for a in pred]
    return {
        "value": mp.fsum(abs(x - target) for x in pred) / n
        - mp.fsum(abs(a - b) for a in pred for b in pred) / (2 * pairs),
        "pred": [mpf((n - fair) * sign(x - target) - s) / pairs for x, s in zip(pred, spread)],
        "target": mpf(-sum(sign(x - target) for x in pred)) / n,
        "hess": [0 for _ in pred],
    }


@loss(unit="row", pred=REAL, target=ROW_REAL)
def crps_quantile(pred, target):
    n = len(pred)
    slopes = [
        (1 - mpf(2 * i + 1) / (2 * n)) if x > target else -mpf(2 * i + 1) / (2 * n) if x < target else mpf(0)
        for i, x in enumerate(pred)
    ]
    return {
        "value": mp.fsum(2 * times(s, x - target) / n for s, x in zip(slopes, pred)),
        "pred": [2 * s / n for s in slopes],
        "target": tuple(-2 * s / n for s in slopes),
        "hess": [0 for _ in pred],
    }


@loss({"scale": 1}, {"scale": 0.125}, {"scale": 30}, pred=REAL, target=REAL, scale=VARIANCE, learnable=("scale",))
def crps_gaussian(pred, target, scale=1):
    if scale <= 0 or scale > mp.mpf(10) ** 390:
        return OUTSIDE
    s = mpf(scale)
    w = (target - pred) / s
    density = mp.exp(-w * w / 2) / mp.sqrt(2 * mp.pi) if abs(w) < mpf(10) ** 10 else mpf(0)
    within = mp.erf(w / mp.sqrt(2)) if abs(w) < mpf(10) ** 10 else mpf(sign(w))
    return {
        "value": s * (w * within + 2 * density - 1 / mp.sqrt(mp.pi)),
        "pred": -within,
        "target": within,
        "scale": 2 * density - 1 / mp.sqrt(mp.pi),
        "hess": 2 * density / s,
    }
