# SPDX-License-Identifier: MIT
"""Entropies and divergences."""

from __future__ import annotations

from mpmath import mp, mpf
from reference import INF, NAN, OUTSIDE, POSITIVE, PROBABILITY, REAL, loss, over, sign, times


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
        "value": y / p - mp.log(y / p) - 1 if abs(y - p) < p / 4 else (y / p, -mp.log(y / p), -1),
        "pred": (1 / p, -y / p**2),
        "target": (1 / p, -1 / y),
        "hess": (2 * y / p**3, -1 / p**2),
    }


def power_over(u, a):
    """(u^a - 1)/a, ln u at 0; u at its ends as a limit."""
    if u == 0:
        return -1 / a if a > 0 else -INF
    if u == INF:
        return -1 / a if a < 0 else INF
    return mp.log(u) if a == 0 else (u**a - 1) / a


def bregman(y, p, b):
    """The divergence of order b: y^b/(b (b - 1)) + p^b/b - y p^(b-1)/(b - 1) with limits in b, p and y."""
    if y == p:
        return mpf(0)
    if p == 0 and b <= 1:
        return INF
    if b == 0:
        return INF if y == 0 else y / p - mp.log(y / p) - 1
    if b == 1:
        return times(y, mp.log(y / p) if y else 0) - y + p
    return over(y**b if y else 0, b * (b - 1)) + (p**b if p else 0) / b - times(y, p ** (b - 1) if p else 0) / (b - 1)


@loss({"beta": 0}, {"beta": 1}, {"beta": 2}, {"beta": -1.5}, {"beta": 3}, {"beta": 0.1}, pred=POSITIVE, target=POSITIVE)
def beta_divergence(pred, target, beta=0.5):
    b, p, y = mpf(beta), pred, target
    if p < 0 or y < 0 or (y == 0 and b <= 0):
        return OUTSIDE

    def power(c):
        return p**c if p else mpf(0) if c > 0 else mpf(1) if c == 0 else INF

    most = times(2 - b, times(y, power(b - 3)))  # the steeper term decides where both are infinite
    return {
        "value": bregman(y, p, b),
        "pred": -INF if p == 0 < y and b < 2 else mpf(0) if p == y > 0 else power(b - 1) - times(y, power(b - 2)),
        "target": (power_over(y, b - 1), -power_over(p, b - 1)) if p or y else mpf(0) if b > 1 else NAN,
        "hess": most if abs(most) == INF else (times(b - 1, power(b - 2)), most),
    }


def quotient(t, p):
    return NAN if t == 0 and p == 0 else over(t, p)


def at(t, p, a):
    """u^a and u^a/p of u = t/p, 0 where both are 0."""
    if t == 0 and p == 0:
        return mpf(0), mpf(0)
    if t == 0:
        u = mpf(0) if a > 0 else mpf(1) if a == 0 else INF
        return u, u / p
    if p == 0:
        return (mpf(0) if a < 0 else mpf(1) if a == 0 else INF), (mpf(0) if a < -1 else t**a if a == -1 else INF)
    return (t / p) ** a, (t / p) ** a / p


def alone(a):
    """The derivative at 0 by one of them while the other is 0, if it is finite."""
    return 1 / mpf(a) if a > 0 else NAN


@loss(
    {"alpha": 0}, {"alpha": 1}, {"alpha": 2}, {"alpha": -1}, {"alpha": 3}, {"alpha": 0.1},
    unit="row", pred=POSITIVE, target=POSITIVE,
)  # fmt: skip
def alpha_divergence(pred, target, alpha=0.5):
    if any(x < 0 for x in [*pred, *target]):
        return OUTSIDE
    a, pairs = mpf(alpha), list(zip(pred, target, strict=True))

    def term(p, t):
        if p == 0 and t == 0:
            return mpf(0)
        if p == 0:
            return t / (1 - a) if a < 1 else INF
        if t == 0:
            return p / a if a > 0 else INF
        return p * bregman(t / p, mpf(1), a)

    return {
        "value": mp.fsum(term(p, t) for p, t in pairs),
        "pred": [-power_over(quotient(t, p), a) if p or t else alone(a) for p, t in pairs],
        "target": [power_over(quotient(t, p), a - 1) if p or t else alone(1 - a) for p, t in pairs],
        "hess": [at(t, p, a)[1] for p, t in pairs],
    }


ORDERS = ({"alpha": 1}, {"alpha": 2}, {"alpha": 3}, {"alpha": 0.1})


def excess(p, t, a):
    """t (u^(a-1) - 1)/(a - 1)"""
    return mpf(0) if t == 0 else times(t, power_over(quotient(t, p), a - 1))


@loss(*ORDERS, unit="row", pred=PROBABILITY, target=PROBABILITY)
def tsallis_divergence(pred, target, alpha=0.5):
    if outside(pred, target):
        return OUTSIDE
    a, pairs = mpf(alpha), list(zip(pred, target, strict=True))
    return {
        "value": tuple(excess(p, t, a) for p, t in pairs),
        "pred": [-at(t, p, a)[0] for p, t in pairs],
        "target": [(1, a * power_over(quotient(t, p), a - 1)) if p or t else alone(1 - a) for p, t in pairs],
        "hess": [a * at(t, p, a)[1] for p, t in pairs],
    }


@loss(*ORDERS, {"alpha": 2, "base": 2}, unit="row", pred=PROBABILITY, target=PROBABILITY, based=True)
def renyi_divergence(pred, target, alpha=0.5):
    if outside(pred, target):
        return OUTSIDE
    a, pairs = mpf(alpha), list(zip(pred, target, strict=True))
    nothing = {"pred": [NAN] * len(pred), "target": [NAN] * len(pred), "hess": [NAN] * len(pred)}
    total = mp.fsum(target)
    if total == 0:
        return {"value": NAN, **nothing}
    terms = [excess(p, t, a) for p, t in pairs]
    s = mp.fsum(mpf(0) if t == 0 else INF if p == 0 < t and a > 1 else t**a * p ** (1 - a) for p, t in pairs)
    if s == 0 or INF in terms:
        return {"value": INF, **nothing}
    mean = mp.fsum(terms) / total
    pull = [at(t, p, a)[0] / s for p, t in pairs]
    terms = [x / total for x in terms] if a == 1 else [1 / (a - 1)]
    return {
        "value": (mean if a == 1 else mp.log(s / total) / (a - 1), *terms, *(-x for x in terms)),
        "pred": [-x for x in pull],
        "target": [
            (1 / s, a * power_over(quotient(t, p), a - 1) / s, -mean / s) if p or t else (alone(1 - a) / s, -mean / s)
            for p, t in pairs
        ],
        "hess": [(a * at(t, p, a)[1] / s, times(1 - a, x * x)) for (p, t), x in zip(pairs, pull, strict=True)],
    }


@loss(unit="row", pred=PROBABILITY, target=PROBABILITY)
def spherical(pred, target):
    if outside(pred, target):
        return OUTSIDE
    n = range(len(pred))
    with mp.workdps(400):
        p_len, t_len = mp.sqrt(mp.fsum(p * p for p in pred)), mp.sqrt(mp.fsum(t * t for t in target))
        dot = mp.fsum(p * t for p, t in zip(pred, target, strict=True))
        if p_len == 0 or t_len == 0:
            return {
                "value": t_len,
                "pred": [mpf(0) for _ in n],
                "target": [t / t_len if t_len else mpf(0) for t in target],
                "hess": [mpf(0) for _ in n],
            }
        size, least = p_len**3, t_len * mpf(2) ** -160  # an angle of less than 2^-80 has fewer digits
        return {
            "value": (t_len - dot / p_len, least, -least),
            "pred": [(-target[c] / p_len, pred[c] * dot / size) for c in n],
            "target": [(target[c] / t_len, -pred[c] / p_len) for c in n],
            "hess": [
                (
                    2 * pred[c] * mp.fsum(pred[k] * (target[c] * pred[k] - target[k] * pred[c]) for k in n) / p_len**5,
                    dot * mp.fsum(pred[k] ** 2 for k in n if k != c) / p_len**5,
                    dot / size,
                    -dot / size,
                )
                for c in n
            ],
        }


@loss(pred=REAL, log_var=REAL)
def gaussian_kl(pred, log_var):
    return {
        "value": (pred**2 + mp.expm1(log_var) - log_var) / 2,
        "pred": pred,
        "log_var": mp.expm1(log_var) / 2,
        "hess": mpf(1),
    }
