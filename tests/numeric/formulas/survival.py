# SPDX-License-Identifier: MIT
"""Survival analysis."""

from __future__ import annotations

from mpmath import mp, mpf
from reference import EVENT, INF, OUTSIDE, POSITIVE, REAL, TIMES, UPPER, VARIANCE, loss, sigmoid, softplus, times


def log_density(x):
    return -x * x / 2 - mp.log(2 * mp.pi) / 2


def log_tail(x):
    """ln(1 - Phi(x))"""
    if x == -INF:
        return mpf(0)
    if x < 0:
        return mp.log1p(-mp.exp(log_tail(-x)))
    if x > 10**6:
        return (
            log_density(x)
            - mp.log(x)
            + mp.log1p(mp.fsum((-1) ** k * mp.fac2(2 * k - 1) / x ** (2 * k) for k in range(1, 20)))
        )
    return mp.log(mp.erfc(x / mp.sqrt(2)) / 2)


def normal(a, b, width):
    """The value, the slope, the curvature and the spread as terms."""
    if (b != INF and a + b < 0) or (a == -INF and b != INF):
        value, slope, curve, spread = normal(-b, -a, width)
        return value, -slope, curve, spread
    tail = log_tail(a)
    if b == INF:
        share, by_a, by_b, reach = tail, mp.exp(log_density(a) - tail) if a != -INF else mpf(0), mpf(0), mpf(0)
    else:
        share = tail + mp.log1p(-mp.exp(log_tail(b) - tail))
        by_a, by_b = mp.exp(log_density(a) - share), mp.exp(log_density(b) - share)
        reach = b * by_b
    slope = by_a - by_b
    spread = (reach, -times(a, by_a) if a != -INF else mpf(0))
    return -share, slope, slope**2 + sum(spread), spread


def logistic(a, b, width):
    whole = width == INF
    up_a, up_b = (sigmoid(a) if a != -INF else mpf(0)), (sigmoid(-b) if b != INF else mpf(0))
    value = (
        softplus(-b) if b != INF else mpf(0),
        softplus(a) if a != -INF else mpf(0),
        mpf(0) if whole else -mp.log(-mp.expm1(-width)),
    )
    spread = (
        mpf(0) if b == INF else b * up_b,
        mpf(0) if a == -INF else -a * up_a,
        mpf(0) if whole else width / mp.expm1(width) if width < 10**6 else mpf(0),
    )
    down_a, down_b = (sigmoid(-a) if a != -INF else mpf(1)), (sigmoid(b) if b != INF else mpf(1))
    slope = (up_a, -up_b)
    if a != -INF and b != INF and abs(a + b) < 0.49:  # no terms that cancel, but of logarithms that meet very nearly
        least = a * down_a * up_b * mpf(2) ** -16
        slope = (up_a - up_b, least, -least)
    return value, slope, up_a * down_a + up_b * down_b, spread


def extreme(a, b, width):
    start, end = (mp.exp(a) if a != -INF else mpf(0)), (mp.exp(b) if b != INF else INF)
    if end == INF:
        return start, start, start, -times(start, a) if a != -INF else mpf(0)
    g = end if a == -INF else start * mp.expm1(width)
    if g > 10**6:  # as without an upper bound, but for what is negligible
        return start, start, start, -times(start, a) if a != -INF else mpf(0)
    q = mp.expm1(g)
    if g < mpf(10) ** -mp.dps:
        curve = g / 2  # the first term of its series; the quotient would lose all digits
    else:
        with mp.workdps(3 * mp.dps):
            q = mp.expm1(g)
            curve = g * (g * mp.exp(g) - q) / q**2
    by_a, by_b = start * (1 + 1 / q), -end / q
    # near to each other, where these two would be large, as of a time that is known
    spread = (-a * (by_a + by_b), -width * by_b) if width < 1 else (-times(a, by_a) if a != -INF else mpf(0), -b * by_b)
    log = mp.log(-mp.expm1(-g)) if g < 1 else mp.log1p(-mp.exp(-g))
    level = g < 0.49 and a < 0.99  # of a large scale both are nearly 1
    slope = (mp.expm1(a) if a != -INF else mpf(-1), 1 - g / q) if level else (start, -g / q)
    return (start, -log), slope, start + curve, spread


def scaled(x, factor):
    return tuple(y * factor for y in x) if isinstance(x, tuple) else x * factor


@loss(
    {"scale": 1}, {"distribution": "logistic"}, {"distribution": "extreme"}, {"full": True},
    {"scale": 0.5, "distribution": "logistic", "full": True}, {"scale": 3, "distribution": "extreme"},
    pred=REAL, target=POSITIVE, upper=UPPER, scale=VARIANCE, learnable=("scale",),
)  # fmt: skip
def aft_nll(pred, target, upper, scale=1, distribution="normal", full=False):
    if scale <= 0 or target < 0 or upper < target or upper == 0 or target > mpf(10) ** 390:
        return OUTSIDE
    s, distribution = mpf(scale), str(distribution)
    if target == upper:
        z = (mp.log(target) - pred) / s
        constant = (
            mp.log(s),
            mp.log(target) if full else mpf(0),
            mp.log(2 * mp.pi) / 2 if full and distribution == "normal" else mpf(0),
        )
        if distribution == "normal":
            value, slope, curve = (z * z / 2,), z, mpf(1)
        elif distribution == "logistic":
            value, slope = (abs(z) + 2 * mp.log1p(mp.exp(-abs(z))),), mp.tanh(z / 2)
            curve = 2 * mp.exp(-abs(z)) / (1 + mp.exp(-abs(z))) ** 2
        else:
            value, slope, curve = (mp.exp(z), -z), mp.expm1(z), mp.exp(z)
        return {
            "value": (*value, *constant),
            "pred": -slope / s,
            "scale": (1 / s, -z * slope / s),
            "hess": curve / s / s,
        }
    whole = target == 0 or upper > mpf(10) ** 390
    if target == 0 and upper > mpf(10) ** 390:
        return {"value": mpf(0), "pred": mpf(0), "scale": mpf(0), "hess": mpf(0)}
    width = INF if whole else mp.log(upper / target) / s
    small = -int(mp.log10(width)) if width < 1 else 0  # as many digits cancel, once or twice
    large = max(int(mp.log10((abs(pred) + 1000) / s)), 0)
    with mp.workdps(mp.dps + 2 * small + 2 * large + 20):
        a = (mp.log(target) - pred) / s if target else -INF
        b = (mp.log(upper) - pred) / s if upper < mpf(10) ** 390 else INF
        of = {"normal": normal, "logistic": logistic, "extreme": extreme}[distribution]
        value, slope, curve, spread = of(a, b, INF if whole else mp.log(upper / target) / s)
    return {
        "value": value,
        "pred": scaled(slope, -1 / s),
        "scale": scaled(spread, 1 / s),
        "hess": scaled(curve, 1 / s**2),
    }


@loss({"ties": "efron"}, unit="row", pred=REAL, target=TIMES, event=EVENT)
def cox_nll(pred, target, event, ties="breslow"):
    n, efron = range(len(pred)), str(ties) == "efron"
    if any(abs(x) == INF for x in (*pred, *target)) or any(e not in (0, 1) for e in event):
        return OUTSIDE
    value, first, second = [], [[] for _ in n], [[] for _ in n]
    for time in sorted({target[i] for i in n if event[i]}):
        dead = [i for i in n if event[i] and target[i] == time]
        risk = [j for j in n if target[j] >= time]
        for k in range(len(dead)):
            share = mpf(k) / len(dead) if efron else mpf(0)
            weight = {j: (1 - share if j in dead else mpf(1)) * mp.exp(pred[j]) for j in risk}
            total = mp.fsum(weight.values())
            value += [mp.log(total), -pred[dead[k]]]
            for j in risk:
                q = weight[j] / total
                first[j].append(q)
                second[j] += [q, -q * q]
    return {
        "value": tuple(value) or mpf(0),
        "pred": [(*first[i], -mpf(event[i])) for i in n],
        "hess": [tuple(second[i]) or mpf(0) for i in n],
    }
