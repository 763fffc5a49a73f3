# SPDX-License-Identifier: MIT
"""Negative log-likelihoods."""

from __future__ import annotations

from mpmath import mp, mpf
from reference import (
    COUNT,
    INF,
    LOGITS,
    OPEN_PROBABILITY,
    OUTSIDE,
    POSITIVE,
    REAL,
    ROW_REAL,
    VARIANCE,
    distance,
    loss,
    over,
    sigmoid,
    sign,
    times,
)


@loss(
    {"log_input": False}, {"full": True}, {"log_input": False, "full": True, "eps": 2.0**-20},
    pred=LOGITS, target=COUNT,
)  # fmt: skip
def poisson_nll(pred, target, log_input=True, full=False, eps=0):
    if target < 0 or (not log_input and pred < 0):
        return OUTSIDE
    constant, slope = (mp.loggamma(target + 1), mp.digamma(target + 1)) if full else (mpf(0), mpf(0))
    whole = full and 1 <= target < INF  # a deviance and what Stirling's formula leaves: no term that grows and cancels
    if log_input:
        rate = mp.exp(pred)
        value = (rate, -target * pred, constant)
        return {
            "value": mp.fsum(value) if whole and rate < INF else value,
            "pred": (rate, -target),
            "target": (-pred, slope),
            "hess": rate,
        }
    value = (pred, -times(target, mp.log(pred + eps)), constant)
    return {
        "value": (mp.fsum(value) + eps, -eps) if whole and 0 < pred + eps < INF else value,
        "pred": 1 - over(target, pred + eps),
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
    return result | {"var": (1 / v - r * r / v**2) / 2 if var >= eps else 0}


def power_of(x, c):
    """x^c for x >= 0, its limit at 0 and infinity."""
    return mpf(1) if c == 0 else (mpf(0) if (c > 0) == (x == 0) else INF) if x in (0, INF) else x**c


def of_scale(q, scale, value, slope, curve, by_scale):
    """From the derivatives by q = r/scale of a density's negative logarithm; by_scale in terms."""
    values = value if isinstance(value, tuple) else (value,)
    result = distance((*values, mp.log(scale)), slope / scale, tuple(c / scale**2 for c in curve))
    return result | {"scale": tuple(b / scale for b in by_scale)}


LOCATED = {"pred": REAL, "target": REAL, "scale": POSITIVE, "learnable": ("scale",)}


@loss({"scale": 2}, {"scale": 0.25, "full": True}, **LOCATED, kinks=lambda **_: [0])
def laplace_nll(pred, target, scale=1, full=False):
    q = (pred - target) / scale
    value = (abs(q), mp.log(2) if full else mpf(0))
    return of_scale(q, scale, value, sign(q), (mpf(0),), (1, -abs(q))) if scale > 0 else OUTSIDE


@loss({"scale": 2}, {"scale": 0.25, "full": True}, **LOCATED)
def cauchy_nll(pred, target, scale=1, full=False):
    if scale <= 0:
        return OUTSIDE
    q = (pred - target) / scale
    if abs(q) == INF:
        return of_scale(q, scale, INF, mpf(0), (mpf(0),), (mpf(-1),))
    share = 1 / (1 + q * q)
    value = (mp.log1p(q * q), mp.log(mp.pi) if full else mpf(0))
    curve = (2 * share**2, -2 * q * q * share**2)
    return of_scale(q, scale, value, 2 * q * share, curve, (share, -q * q * share))


@loss({"scale": 2}, {"scale": 0.25}, **LOCATED)
def logistic_nll(pred, target, scale=1):
    if scale <= 0:
        return OUTSIDE
    q = (pred - target) / scale
    e = mp.exp(-abs(q))
    slope = mp.tanh(q / 2)
    pull = INF if abs(q) == INF else q * slope
    return of_scale(q, scale, (abs(q), 2 * mp.log1p(e)), slope, (2 * e / (1 + e) ** 2,), (1, -pull))


@loss({"scale": 2}, {"scale": 0.25}, **LOCATED)
def gumbel_nll(pred, target, scale=1):
    if scale <= 0:
        return OUTSIDE
    q = (target - pred) / scale
    e = mp.exp(-q)
    pull = INF if abs(q) == INF else q * mp.expm1(-q)
    value = (q, e) if q != -INF else INF
    result = of_scale(-q, scale, value, mp.expm1(-q), (e,), (1, pull if q != INF else -INF))
    return result


@loss(
    {"scale": 2, "df": 3}, {"scale": 0.25, "df": 1}, {"df": 30.5}, {"scale": 1, "full": True},
    pred=REAL, target=REAL, scale=POSITIVE, df=POSITIVE, learnable=("scale", "df"),
)  # fmt: skip
def student_t_nll(pred, target, scale=1, df=3, full=False):
    df = mpf(df)
    if scale <= 0 or df <= 0 or df > mpf(10) ** 390:
        return OUTSIDE
    q = (pred - target) / scale
    half, next_half = df / 2, (df + 1) / 2
    constant = (mp.loggamma(half), -mp.loggamma(next_half), mp.log(df * mp.pi) / 2) if full else (mpf(0),)
    by_df = (mp.digamma(half) / 2, -mp.digamma(next_half) / 2, 1 / (2 * df)) if full else (mpf(0),)
    share = 1 / (df + q * q)
    curve = ((df + 1) * df * share**2, -(df + 1) * q * q * share**2)
    log = mp.log1p(q * q / df)
    found = of_scale(q, scale, (df + 1) / 2 * log, (df + 1) * q * share, curve, (df * share, -df * q * q * share))
    value = found["value"] if isinstance(found["value"], tuple) else (found["value"],)
    return found | {
        "value": (*value, *constant),
        "df": INF if abs(q) > mpf(10) ** 380 else (log / 2, -(df + 1) / (2 * df) * q * q * share, *by_df),
    }


@loss({"log_input": False}, pred=LOGITS, target=POSITIVE)
def gamma_nll(pred, target, log_input=True):
    if not 0 < target < INF or (not log_input and pred < 0):
        return OUTSIDE
    if log_input:
        scaled = target * mp.exp(-pred)
        value = INF if scaled == INF else (pred, scaled)
        return {"value": value, "pred": (1, -scaled), "target": mp.exp(-pred), "hess": scaled}
    if pred == 0:
        return {"value": INF, "pred": -INF, "target": INF, "hess": INF}
    if pred == INF:
        return {"value": INF, "pred": 0, "target": 0, "hess": 0}
    slope, curve = (1 / pred, -target / pred**2), (-1 / pred**2, 2 * target / pred**3)
    return {"value": (mp.log(pred), target / pred), "pred": slope, "target": 1 / pred, "hess": curve}


@loss({"log_input": False}, pred=LOGITS, target=POSITIVE)
def inverse_gaussian_nll(pred, target, log_input=True):
    if not 0 < target < INF or (not log_input and pred < 0):
        return OUTSIDE
    y = target
    if log_input:
        back = mp.exp(-pred)
        value = (y * back - 1) ** 2 / (2 * y)
        by_y = (back**2 / 2, -1 / (2 * y * y))
        return {"value": value, "pred": (back, -y * back**2), "target": by_y, "hess": (-back, 2 * y * back**2)}
    if pred == 0:
        return {"value": INF, "pred": -INF, "target": INF, "hess": INF}
    if pred == INF:
        return {"value": 1 / (2 * y), "pred": 0, "target": 0, "hess": 0}
    slope, curve = (1 / pred**2, -y / pred**3), (-2 / pred**3, 3 * y / pred**4)
    value = (y / pred - 1) ** 2 / (2 * y)
    return {"value": value, "pred": slope, "target": (1 / pred**2 / 2, -1 / (2 * y * y)), "hess": curve}


@loss(
    {"power": 0},
    {"power": 1},
    {"power": 2},
    {"power": 3},
    {"power": 1.0625, "log_input": False},
    {"power": 1.96875, "log_input": False},
    {"power": -1.5, "log_input": False},
    {"power": 2.5, "log_input": False},
    pred=LOGITS,
    target=COUNT,
)
def tweedie_nll(pred, target, log_input=True, power=1.5):
    near = 0 < target < INF and abs((pred if log_input else mp.log(pred or 1)) - mp.log(target)) < 1e-10
    with mp.workdps(400 if near else mp.dps):  # there digits of the terms cancel
        return power_deviance(pred, target, log_input, power)


def power_deviance(pred, target, log_input, power):
    y, w = target, mpf(power)
    if not 0 <= y < INF or (y == 0 and w >= 2) or (not log_input and pred < 0):
        return OUTSIDE
    a, b = 2 - w, 1 - w
    m = mp.exp(pred) if log_input else pred

    def part(c):  # integral from y to m of t^(c-1)
        if m in (0, INF) or y == 0:
            ends = power_of(m, c) - power_of(y, c)
            return ends / c if c else mp.log(m) - mp.log(y)
        return y**c * mp.expm1(c * mp.log(m / y)) / c if c else mp.log(m / y)

    if m == INF:
        value = INF if a >= 0 else y**a / (a * b)
    elif m == 0:
        value = INF if b <= 0 and y > 0 else y**a / (a * b) if y > 0 else mpf(0)
    else:
        value = part(a) - times(y, part(b))
    k = 0 if log_input else 1
    slope = (power_of(m, a - k), -times(y, power_of(m, b - k)))
    curve = (times(a - k, power_of(m, a - 2 * k)), -times((b - k) * y, power_of(m, b - 2 * k)))
    if m == INF:  # the higher power rules
        slope, curve = slope[0], curve[0] if a != k else curve[1]
    elif m == 0 and y > 0:  # the lower
        slope, curve = (t[1] if abs(t[1]) == INF else t for t in (slope, curve))
    return {"value": value, "pred": slope, "target": -part(b) if m not in (0, INF) else 0, "hess": curve}


@loss({"scale": 2}, {"scale": 0.25, "full": True}, pred=REAL, target=POSITIVE, scale=POSITIVE, learnable=("scale",))
def lognormal_nll(pred, target, scale=1, full=False):
    if not 0 < target < INF or not 0 < scale < INF:
        return OUTSIDE
    q = (pred - mp.log(target)) / scale
    constant = (mp.log(target), mp.log(2 * mp.pi) / 2) if full else (mpf(0),)
    return {
        "value": (q * q / 2, mp.log(scale), *constant),
        "pred": (pred / scale**2, -mp.log(target) / scale**2),
        "target": (-pred / scale**2 / target, mp.log(target) / scale**2 / target, 1 / target if full else mpf(0)),
        "scale": (-q * q / scale, 1 / scale),
        "hess": 1 / scale**2,
    }


@loss({"shape": 2}, {"shape": 0.25, "full": True}, pred=REAL, target=POSITIVE, shape=POSITIVE, learnable=("shape",))
def weibull_nll(pred, target, shape=1, full=False):
    if not 0 < target < INF or not 0 < shape < INF:
        return OUTSIDE
    u, k = shape * (mp.log(target) - pred), mpf(shape)
    e = mp.exp(u)
    by_u = e - 1
    value, by_target = (e, -u, -mp.log(k)), (k * e / target, -k / target)
    if full:  # ln target counts 1 - k times
        near = abs(1 - k) <= 0.5
        value = (e, k * pred, (1 - k) * mp.log(target), -mp.log(k)) if near else (*value, mp.log(target))
        by_target = (k * e / target, (1 - k) / target) if u < -0.5 else (*by_target, 1 / target)
    return {
        "value": INF if e == INF else value,
        "pred": -k * by_u,
        "target": by_target,
        "shape": (INF if abs(u) == INF else u * by_u / k, -1 / k) if abs(u) < INF else INF,
        "hess": k * k * e,
    }


@loss({"full": True}, pred=LOGITS, target=COUNT, failures=COUNT)
def binomial_nll(pred, target, failures, full=False):
    y, f = target, failures
    if min(y, f) < 0 or y + f == INF:
        return OUTSIDE
    e, s = mp.exp(-abs(pred)), sigmoid(pred)
    against = f if pred > 0 else y
    ways = (mp.loggamma(y + f + 1), -mp.loggamma(y + 1), -mp.loggamma(f + 1)) if full else (mpf(0),)
    up, low = mp.log1p(e) + max(-pred, 0), mp.log1p(e) + max(pred, 0)
    value = (times(against, abs(pred)), (y + f) * mp.log1p(e), *(-w for w in ways))
    if full and min(y, f) >= 0.125 and abs(pred - mp.log(y / f)) < 29:  # as poisson_nll
        value = mp.fsum(value)
    all_slope, slopes = mp.digamma(y + f + 1) if full else 0, [mp.digamma(c + 1) if full else 0 for c in (y, f)]
    return {
        "value": value,
        "pred": (f * s, -y * sigmoid(-pred)),
        "target": (up, -all_slope, slopes[0]),
        "failures": (low, -all_slope, slopes[1]),
        "hess": (y + f) * e / (1 + e) ** 2,
    }


@loss({"dispersion": 0}, {"dispersion": 0.25}, {"dispersion": 30}, pred=LOGITS, target=COUNT)
def negative_binomial_nll(pred, target, dispersion=1):
    if not 0 <= target < INF:
        return OUTSIDE
    a, y = mpf(dispersion), target
    if pred == INF:
        flat = a > 0
        return {
            "value": INF,
            "pred": 1 / a if flat else INF,
            "target": mp.log(a) if flat else -INF,
            "hess": 0 if flat else INF,
        }
    mean = mp.exp(pred)
    log, share = mp.log1p(a * mean), 1 / (1 + a * mean)
    most = log / a if a else mean
    apart = (times(y, mp.log(a + mp.exp(-pred))),)  # of dispersion 1 or more a term above 0: nothing is to cancel
    return {
        "value": (most, *(apart if a >= 1 and pred > 0 else (times(y, log), -times(y, pred)))),
        "pred": (mean * share, -y * share),
        "target": (log, -pred),
        "hess": mean * (1 + a * y) * share**2,
    }


GONE = mpf(10) ** 30  # e to the power of minus that is 0 to any dtype


def zero_inflated(pred, target, gate, a):
    """minus_log: of the probability of 0 without the gate."""
    y, g = target, gate
    if not 0 <= y < INF:
        return OUTSIDE
    m = mp.exp(pred)
    log = mp.log1p(a * m) if m < INF else INF
    minus_log, share = (m, mpf(1)) if a == 0 else (log / a, 1 / (1 + a * m))
    kept = (INF if a == 0 else 1 / mpf(a)) if m == INF else m * share
    plus = mp.log1p(mp.exp(-abs(g))) + max(g, 0)
    if y > 0:
        apart = (-y * pred, y * log if a else 0)
        if a >= 1 and 0 < pred < INF:  # as negative_binomial_nll
            apart = (y * mp.log(a + mp.exp(-pred)),)
        return {
            "value": (plus, minus_log, *apart),
            "pred": (kept, -y * share),
            "target": (log if a else 0, -pred),
            "gate": sigmoid(g),
            "hess": m * share * (1 + a * y) * share if m < INF else (INF if a == 0 else 0),
        }
    none = sigmoid(-g) * (1 if minus_log > GONE else -mp.expm1(-minus_log))
    from_rest, other = (mpf(0), mpf(1)) if minus_log + g > GONE else (sigmoid(-(minus_log + g)), sigmoid(minus_log + g))
    return {
        "value": -mp.log1p(-none)
        if none < 0.5
        else plus + min(minus_log, -g) - (0 if abs(minus_log + g) > GONE else mp.log1p(mp.exp(-abs(minus_log + g)))),
        "pred": times(from_rest, kept),
        "target": 0,
        "gate": -other * none,
        "hess": (times(kept * from_rest, share), -times(from_rest, kept * kept * other)),
    }


@loss(pred=LOGITS, target=COUNT, gate=LOGITS)
def zero_inflated_poisson_nll(pred, target, gate):
    return zero_inflated(pred, target, gate, 0)


@loss({"dispersion": 0}, {"dispersion": 0.25}, {"dispersion": 30}, pred=LOGITS, target=COUNT, gate=LOGITS)
def zero_inflated_negative_binomial_nll(pred, target, gate, dispersion=1):
    return zero_inflated(pred, target, gate, dispersion)


@loss(
    {"concentration": 1}, {"concentration": 0}, {"concentration": 30, "full": True}, {"concentration": 0.25},
    pred=REAL, target=REAL, concentration=POSITIVE, learnable=("concentration",),
)  # fmt: skip
def von_mises_nll(pred, target, concentration=1, full=False):
    k = mpf(concentration)
    if k < 0 or max(abs(pred), abs(target), k) > mpf(10) ** 390:
        return OUTSIDE
    with mp.workdps(mp.dps + 2 * int(mp.log10(abs(pred) + abs(target) + 1)) + 20):
        r = pred - target
        sine, cosine, versine = mp.sin(r), mp.cos(r), 2 * mp.sin(r / 2) ** 2
    if k < 10**4:
        log, rest = mp.log(mp.besseli(0, k)) - k, 1 - mp.besseli(1, k) / mp.besseli(0, k)
    else:  # Hankel's series
        i0, i1 = (
            mp.fsum(
                (-1) ** j * mp.fprod(4 * n * n - (2 * i - 1) ** 2 for i in range(1, j + 1)) / (mp.fac(j) * (8 * k) ** j)
                for j in range(60)
            )
            for n in (0, 1)
        )
        log, rest = mp.log(i0) - mp.log(2 * mp.pi * k) / 2, (i0 - i1) / i0
    turns = mpf(1) if abs(r) > 1000 else mpf(0)  # an angle of so many turns is known to some digits less
    return {
        "value": (k * versine, log, mp.log(2 * mp.pi) if full else mpf(0), k * turns, -k * turns),
        "pred": (k * sine, k * turns, -k * turns),
        "target": (-k * sine, k * turns, -k * turns),
        "concentration": (versine, -rest, turns, -turns),
        "hess": (k * cosine, k * turns, -k * turns),
    }


@loss(
    {"concentration": 10}, {"concentration": 0.5}, {"concentration": 1000},
    pred=LOGITS, target=OPEN_PROBABILITY, concentration=VARIANCE, learnable=("concentration",),
)  # fmt: skip
def beta_nll(pred, target, concentration=10):
    c, y = mpf(concentration), target
    if not 0 < y < 1 or c <= 0 or c > mpf(10) ** 390:
        return OUTSIDE
    s, t = sigmoid(pred), sigmoid(-pred)
    a, b, log_y, log_no = s * c, t * c, mp.log(y), mp.log1p(-y)
    apart = s * (mp.log(s) - log_y) + t * (mp.log(t) - log_no)
    tilt, curve = a * t, t - s
    # digamma(a) - digamma(b) less the log-odds of the target: where both are large no term grows with the concentration
    if min(a, b) >= 1:
        parts = (pred - log_y + log_no, digamma_rest(a), -digamma_rest(b))
    else:
        parts = (mp.digamma(1 + a), -mp.digamma(1 + b), -log_y, log_no)
    pull = [tilt * part for part in parts]
    return {
        "value": (
            c * apart, stirling_rest(a) + stirling_rest(b) - stirling_rest(c),
            log_y + log_no - (mp.log(s) + mp.log(t) + mp.log(c)) / 2,
        ),
        "pred": (s - t, *pull),
        "concentration": (apart, s * digamma_rest(a) + t * digamma_rest(b) - digamma_rest(c), -1 / c),
        "hess": (
            2 * s * t, a * a * t * t * mp.psi(1, 1 + a), b * b * s * s * mp.psi(1, 1 + b),
            *(curve * part for part in pull),
        ),
    }  # fmt: skip


def stirling_rest(x):
    """ln x! less (x + 1/2) ln x - x."""
    if x < mpf(10) ** 8:
        return mp.loggamma(1 + x) - (x + mpf(1) / 2) * mp.log(x) + x
    return mp.log(2 * mp.pi) / 2 + 1 / x / 12 - 1 / x**3 / 360 + 1 / x**5 / 1260


def digamma_rest(x):
    """The derivative of ln x! less ln x."""
    if x < mpf(10) ** 8:
        return mp.digamma(1 + x) - mp.log(x)
    return 1 / x / 2 - 1 / x**2 / 12 + 1 / x**4 / 120 - 1 / x**6 / 252


@loss({"full": True}, unit="row", pred=REAL, target=ROW_REAL, logits=LOGITS, scale=POSITIVE)
def mixture_density(pred, target, logits, scale, full=False):
    if any(s <= 0 or s > mpf(10) ** 390 for s in scale):
        return OUTSIDE
    with mp.workdps(mp.dps + 2 * int(mp.log10(1 + max(abs(x) for x in (target, *pred))))):  # squares beside logarithms
        return mixture(pred, target, logits, scale, full)


def mixture(pred, target, logits, scale, full):
    n = range(len(pred))
    top = max(logits)
    q = [(m - target) / s for m, s in zip(pred, scale, strict=True)]
    terms = [(z - top, -mp.log(s), -x * x / 2) for z, s, x in zip(logits, scale, q, strict=True)]
    most = max(range(len(pred)), key=lambda k: sum(terms[k]))
    joint = [mp.exp(sum(t) - sum(terms[most])) for t in terms]
    prior = [mp.exp(z - top) for z in logits]
    share, part = [x / mp.fsum(joint) for x in joint], [x / mp.fsum(prior) for x in prior]
    slope = [share[k] * q[k] / scale[k] for k in n]
    return {
        "value": (
            *(-t for t in terms[most]), -mp.log(mp.fsum(joint)), mp.log(mp.fsum(prior)),
            mp.log(2 * mp.pi) / 2 if full else mpf(0),
        ),
        "pred": slope,
        "target": tuple(-x for x in slope),
        "logits": [(part[k], -share[k]) for k in n],
        "scale": [(share[k] / scale[k], -share[k] * q[k] ** 2 / scale[k]) for k in n],
        "hess": [
            (share[k] / scale[k] ** 2, -share[k] * mp.fsum(share[:k] + share[k + 1 :]) * (q[k] / scale[k]) ** 2) for k in n
        ],
    }  # fmt: skip
