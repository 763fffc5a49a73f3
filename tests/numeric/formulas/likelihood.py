# SPDX-License-Identifier: MIT
"""Negative log-likelihoods."""

from __future__ import annotations

from mpmath import mp, mpf
from reference import COUNT, LOGITS, OUTSIDE, REAL, VARIANCE, distance, loss, over, times


@loss(
    {"log_input": False}, {"full": True}, {"log_input": False, "full": True, "eps": 2.0**-20},
    pred=LOGITS, target=COUNT,
)  # fmt: skip
def poisson_nll(pred, target, log_input=True, full=False, eps=0):
    if target < 0 or (not log_input and pred < 0):
        return OUTSIDE
    constant, slope = (mp.loggamma(target + 1), mp.digamma(target + 1)) if full else (mpf(0), mpf(0))
    if log_input:
        rate = mp.exp(pred)
        return {
            "value": (rate, -target * pred, constant),
            "pred": (rate, -target),
            "target": (-pred, slope),
            "hess": rate,
        }
    return {
        "value": (pred, -times(target, mp.log(pred + eps)), constant),
        "pred": (1, -over(target, pred + eps)),
        "target": (-mp.log(pred + eps), slope),
        "hess": over(target, (pred + eps) ** 2),
    }


@loss({"full": True}, {"eps": 2.0**-10}, pred=REAL, target=REAL, var=VARIANCE)
def gaussian_nll(pred, target, var, full=False, eps=0):
    r = pred - target
    v = max(var, eps)
    if var < 0 or v == 0:
        return OUTSIDE
    result = distance((mp.log(v) / 2, r * r / v / 2, mp.log(2 * mp.pi) / 2 if full else 0), r / v, 1 / v)
    return result | {"var": (1 / v / 2, -r * r / v**2 / 2) if var >= eps else 0}
