# SPDX-License-Identifier: MIT
"""Entropies and divergences."""

from __future__ import annotations

from mpmath import mp, mpf
from reference import INF, NAN, OUTSIDE, POSITIVE, PROBABILITY, loss, over, sign, times


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


def log_over(a, b):
    """ln(a/b), infinite where one of them is 0."""
    return NAN if a == 0 and b == 0 else -INF if a == 0 else INF if b == 0 else mp.log(a / b)


def outside(*rows):
    return any(not 0 <= x <= 1 for row in rows for x in row)


@loss({"base": 2}, unit="row", pred=POSITIVE, target=POSITIVE, based=True)
def generalized_kl(pred, target):
    if any(x < 0 for x in [*pred, *target]):
        return OUTSIDE
    pairs = list(zip(pred, target, strict=True))
    return {
        "value": tuple(
            x for p, t in pairs for x in (times(t, mp.log(t) if t else mpf(0)), -times(t, mp.log(p)), p, -t)
        ),
        "pred": [(1, -over(t, p)) for p, t in pairs],
        "target": [log_over(t, p) for p, t in pairs],
        "hess": [over(t, p * p) for p, t in pairs],
    }


@loss({"base": 2}, unit="row", pred=PROBABILITY, target=PROBABILITY, based=True)
def reverse_kl(pred, target):
    if outside(pred, target):
        return OUTSIDE
    pairs = list(zip(pred, target, strict=True))
    return {
        "value": tuple(x for p, t in pairs for x in (times(p, mp.log(p) if p else mpf(0)), -times(p, mp.log(t)))),
        "pred": [(log_over(p, t), 1) if p else -INF for p, t in pairs],
        "target": [-over(p, t) for p, t in pairs],
        "hess": [over(1, p) for p in pred],
    }


@loss({"base": 2}, {"share": 0.25}, unit="row", pred=PROBABILITY, target=PROBABILITY, based=True)
def jensen_shannon(pred, target, share=0.5):
    if outside(pred, target):
        return OUTSIDE
    a, pairs = mpf(share), list(zip(pred, target, strict=True))
    mixed = [(p, t, a * t + (1 - a) * p) for p, t in pairs]
    terms = [
        (times(a * t, log_over(t, m)) if t else 0, times((1 - a) * p, log_over(p, m)) if p else 0) for p, t, m in mixed
    ]
    return {
        "value": tuple(x for term in terms for x in term),
        "pred": [times(1 - a, log_over(p, m)) if m else 0 for p, t, m in mixed],
        "target": [times(a, log_over(t, m)) if m else 0 for p, t, m in mixed],
        "hess": [over(a * (1 - a) * t, p * m) if t else 0 for p, t, m in mixed],
    }


@loss(unit="row", pred=PROBABILITY, target=PROBABILITY)
def total_variation(pred, target):
    if outside(pred, target):
        return OUTSIDE
    gaps = [p - t for p, t in zip(pred, target, strict=True)]
    slopes = [mpf(sign(g)) / 2 for g in gaps]
    return {
        "value": tuple(abs(g) / 2 for g in gaps),
        "pred": slopes,
        "target": [-s for s in slopes],
        "hess": [0] * len(gaps),
    }


@loss(unit="row", pred=PROBABILITY, target=PROBABILITY)
def hellinger(pred, target):
    if outside(pred, target):
        return OUTSIDE
    pairs = [(mp.sqrt(p), mp.sqrt(t)) for p, t in zip(pred, target, strict=True)]
    return {
        "value": tuple((a - b) ** 2 / 2 for a, b in pairs),
        "pred": [(1 - over(b, a)) / 2 for a, b in pairs],
        "target": [(1 - over(a, b)) / 2 for a, b in pairs],
        "hess": [over(b, 4 * a**3) for a, b in pairs],
    }


@loss(unit="row", pred=PROBABILITY, target=PROBABILITY)
def chi2(pred, target):
    if outside(pred, target):
        return OUTSIDE
    pairs = list(zip(pred, target, strict=True))
    return {
        "value": tuple(over((p - t) ** 2, t) for p, t in pairs),
        "pred": [over(2 * (p - t), t) for p, t in pairs],
        "target": [over((t - p) * (t + p), t * t) for p, t in pairs],
        "hess": [over(2, t) for p, t in pairs],
    }


@loss(unit="row", pred=PROBABILITY, target=PROBABILITY)
def brier(pred, target):
    if outside(pred, target):
        return OUTSIDE
    gaps = [p - t for p, t in zip(pred, target, strict=True)]
    slopes = [2 * g for g in gaps]
    return {
        "value": tuple(g * g for g in gaps),
        "pred": slopes,
        "target": [-s for s in slopes],
        "hess": [2] * len(gaps),
    }


@loss(pred=POSITIVE, target=POSITIVE)
def itakura_saito(pred, target):
    p, y = pred, target
    if p <= 0 or not 0 < y < INF:
        return OUTSIDE
    if p == INF:
        return {"value": INF, "pred": 0, "target": -1 / y, "hess": 0}
    return {
        "value": (y / p, -mp.log(y / p), -1),
        "pred": (1 / p, -y / p**2),
        "target": (1 / p, -1 / y),
        "hess": (2 * y / p**3, -1 / p**2),
    }
