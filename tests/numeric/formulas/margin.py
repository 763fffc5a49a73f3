# SPDX-License-Identifier: MIT
"""Losses of the margin."""

from __future__ import annotations

from mpmath import mpf
from reference import MARGIN, REAL, loss


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
