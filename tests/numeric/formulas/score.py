# SPDX-License-Identifier: MIT
"""Proper scores of distributions."""

from __future__ import annotations

from mpmath import mp, mpf
from reference import REAL, ROW_REAL, loss, sign, times


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
