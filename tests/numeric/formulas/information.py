# SPDX-License-Identifier: MIT
"""Entropies and divergences."""

from __future__ import annotations

from mpmath import mp, mpf
from reference import NAN, OUTSIDE, PROBABILITY, loss, over, times


@loss(
    {"log_pred": True}, {"log_target": True}, {"log_pred": True, "log_target": True}, {"base": 2},
    unit="row", pred=PROBABILITY, target=PROBABILITY, based=True,
)  # fmt: skip
def kl_div(pred, target, log_pred=False, log_target=False):
    log_p = list(pred) if log_pred else [mp.log(p) if p >= 0 else NAN for p in pred]
    log_t = list(target) if log_target else [mp.log(t) if t >= 0 else NAN for t in target]
    if (not log_pred and any(not 0 <= p <= 1 for p in pred)) or (
        not log_target and any(not 0 <= t <= 1 for t in target)
    ):
        return OUTSIDE
    t = [mp.exp(u) for u in target] if log_target else list(target)
    n = range(len(pred))
    by_t = [t if log_target else mpf(1) for t in t]
    return {
        "value": tuple(x for c in n for x in (times(t[c], log_t[c]), -times(t[c], log_p[c]))),
        "pred": [-t[c] if log_pred else -over(t[c], pred[c]) for c in n],
        "target": [tuple(times(by_t[c], x) for x in (log_t[c], -log_p[c], 1)) for c in n],
        "hess": [0 if log_pred else over(t[c], pred[c] ** 2) for c in n],
    }


@loss({"base": 2}, {"base": 10}, unit="row", pred=PROBABILITY, based=True)
def entropy(pred):
    if any(not 0 <= p <= 1 for p in pred):
        return OUTSIDE
    return {
        "value": tuple(-times(p, mp.log(p)) for p in pred),
        "pred": [(-mp.log(p), -1) for p in pred],
        "hess": [-over(1, p) for p in pred],
    }


@loss({"base": 2}, pred=PROBABILITY, based=True)
def self_information(pred):
    if not 0 <= pred <= 1:
        return OUTSIDE
    return {"value": -mp.log(pred), "pred": -over(1, pred), "hess": over(1, pred**2)}
