# SPDX-License-Identifier: MIT
"""Losses of the residual that outliers do not rule."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from mpmath import mp, mpf
from reference import INF, OUTSIDE, POSITIVE, REAL, SHAPE, SHAPE_NONNEGATIVE, distance, loss, sigmoid, sign, softplus


def barron_parts(r: Any, alpha: Any, scale: Any) -> tuple[Any, ...]:
    """rho, the factor W of its slope, the terms of its curvature, and its derivative by alpha."""
    x = r / scale
    s = x * x
    if alpha == INF:
        w = mp.exp(s / 2)
        return mp.expm1(s / 2), w, (w, w * s), mpf(0)
    if alpha == -INF:
        w = mp.exp(-s / 2)
        return -mp.expm1(-s / 2), w, (w, -w * s), mpf(0)
    if alpha == 2:
        return s / 2, mpf(1), (mpf(1),), mpf(0) if s == 0 else INF
    b = abs(alpha - 2)
    side = sign(alpha - 2)
    u = mp.log1p(s / b)
    w = mp.exp((alpha / 2 - 1) * u)
    curve = (w * b / (s + b), w * (alpha - 1) * s / (s + b)) if side < 0 else (w, w * b * s / (s + b))
    if alpha == 0:
        return u, w, curve, barron_by_alpha(s, alpha)
    rho = b / alpha * mp.expm1(alpha / 2 * u)
    return rho, w, curve, barron_by_alpha(s, alpha)


def barron_by_alpha(s: Any, alpha: Any) -> Any:
    """The derivative by alpha is of the order of s^2, made of terms of the order of s: so many more digits."""
    b, side = abs(alpha - 2), sign(alpha - 2)
    lost = max(0, -mp.frexp(s / b)[1]) if s else 0
    with mp.workdps(mp.dps + lost):
        u = mp.log1p(s / b)
        if alpha == 0:
            return u * u / 4 - u / 2 + s / (2 * (2 + s))
        return side * 2 / alpha**2 * mp.expm1(alpha / 2 * u) + b / alpha * mp.exp(alpha / 2 * u) * (
            u / 2 - side * alpha / 2 * s / (b * (b + s))
        )


@loss(
    *({"alpha": a, "scale": c} for a, c in ((-INF, 1), (-2, 0.5), (0, 1), (2, 4), (INF, 2), (1.5, 1), (-8, 1), (5, 3))),
    {"alpha": 2.0**-30}, {"alpha": 2 - 2.0**-20}, {"alpha": 2 + 2.0**-20},
    pred=REAL, target=REAL, alpha=SHAPE, scale=POSITIVE, learnable=("alpha", "scale"),
)  # fmt: skip
def barron(pred, target, alpha=1, scale=1):
    r = pred - target
    if scale <= 0:
        return OUTSIDE
    rho, w, curve, by_alpha = barron_parts(r, alpha, scale)
    if abs(r) > mpf(10) ** 390 and -INF < alpha < 0:  # stands for infinity, which a small power is slow to come near
        rho, w, curve, by_alpha = 1 - 2 / alpha, mpf(0), (mpf(0),), 2 / alpha**2
    slope = r / scale**2 * w
    result = distance(rho, slope, tuple(c / scale**2 for c in curve))
    return result | {"alpha": by_alpha, "scale": -r / scale * slope}


@loss(
    *({"alpha": a, "scale": c} for a, c in ((0, 1), (2, 4), (1.5, 0.5), (0.25, 8))),
    pred=REAL, target=REAL, alpha=SHAPE_NONNEGATIVE, scale=POSITIVE, learnable=("alpha", "scale"),
)  # fmt: skip
def barron_nll(pred, target, alpha=1, scale=1):
    if alpha < 0 or scale <= 0:
        return OUTSIDE
    result = barron(pred, target, alpha, scale)
    log_z, by_alpha = log_partition(alpha)
    return result | {
        "value": (result["value"], mp.log(scale), log_z),
        # At 2 both grow without bound, as (s - 1) ln(1 / |alpha - 2|) / 4.
        "alpha": (result["alpha"], by_alpha) if alpha != 2 else sign(abs(pred - target) - scale) * INF,
        "scale": (result["scale"], 1 / scale),
    }


def with_digits(x: Any, compute: Any) -> Any:
    """What is of the order of x^2, though its terms are of the order of 1."""
    with mp.workdps(mp.dps + max(0, -mp.frexp(x)[1]) if x else mp.dps):
        return compute()


# ---- M-estimators --------------------------------------------------------------------------------------------------


@loss({"c": 1}, {"c": 0.1}, {"c": 300}, pred=REAL, target=REAL, kinks=lambda c=2.3849: [c])
def cauchy(pred, target, c=2.3849):
    r, s = pred - target, ((pred - target) / c) ** 2
    return distance(c**2 / 2 * mp.log1p(s), r / (1 + s), (1 / (1 + s), -2 * s / (1 + s) ** 2))


@loss({"nu": 1}, {"c": 0.3, "nu": 7.5}, pred=REAL, target=REAL, kinks=lambda c=2.3849, nu=4: [c * mp.sqrt(nu)])
def student_t_rho(pred, target, c=2.3849, nu=4):
    r, u = pred - target, ((pred - target) / c) ** 2 / nu
    return distance(c**2 * nu / 2 * mp.log1p(u), r / (1 + u), (1 / (1 + u), -2 * u / (1 + u) ** 2))


@loss({"c": 1}, {"c": 0.1}, {"c": 300}, pred=REAL, target=REAL, kinks=lambda c=2.9846: [c, c / mp.sqrt(2), 9 * c])
def welsch(pred, target, c=2.9846):
    r, s = pred - target, ((pred - target) / c) ** 2
    e = mp.exp(-s) if s < 1e5 else mpf(0)
    return distance(-(c**2) / 2 * (mp.expm1(-s) if e else -1), r * e, (e, -2 * s * e))


@loss({"c": 0.1}, {"c": 300}, pred=REAL, target=REAL, kinks=lambda c=1: [c, c / mp.sqrt(3)])
def geman_mcclure(pred, target, c=1):
    r, s = pred - target, ((pred - target) / c) ** 2
    return distance(r**2 / 2 / (1 + s), r / (1 + s) ** 2, (1 / (1 + s) ** 2, -4 * s / (1 + s) ** 3))


@loss({"c": 1}, {"c": 0.1}, {"c": 300}, pred=REAL, target=REAL, kinks=lambda c=4.685: [c, c / mp.sqrt(5)])
def tukey(pred, target, c=4.685):
    r, s = pred - target, ((pred - target) / c) ** 2
    if s >= 1:
        return distance(c**2 / 6, 0, 0)
    return distance(c**2 / 2 * s * (1 - s + s**2 / 3), (r, -r * s * (2 - s)), (1, -6 * s, 5 * s**2))


@loss(
    {"k": 2}, {"c": 1, "k": 1}, {"c": 0.1, "k": 7}, {"k": 0.5},
    pred=REAL, target=REAL, kinks=lambda c=3.61752, k=4: [c, c * (1 / mpf(2 * k + 1)) ** (1 / mpf(k))],
)  # fmt: skip
def tukey_quartic(pred, target, c=3.61752, k=4):
    r, x = pred - target, min(abs(pred - target) / c, mpf(1))
    u = mp.power(x, k) if x else mpf(0)
    if x == 1:
        return distance(c**2 / 2 * (1 - 4 / (k + 2) + 1 / (k + 1)), 0, 0)
    value = (c * x) ** 2 / 2 * (1 - 4 * u / (k + 2) + u**2 / (k + 1))
    return distance(value, (r, -r * u * (2 - u)), (1, -(2 * k + 2) * u, (2 * k + 1) * u**2))


@loss({"c": 1}, pred=REAL, target=REAL, kinks=lambda c=4.685: [0, c])
def asymmetric_tukey(pred, target, c=4.685):
    r = pred - target
    return half_square(r) if r <= 0 else tukey(pred, target, c)


@loss({"c": 1}, pred=REAL, target=REAL, kinks=lambda c=2.3849: [0, c])
def asymmetric_cauchy(pred, target, c=2.3849):
    r = pred - target
    return half_square(r) if r <= 0 else cauchy(pred, target, c)


def half_square(r: Any) -> Any:
    return distance(r * r / 2, r, 1)


@loss({"c": 1}, {"c": 0.1}, {"c": 300}, pred=REAL, target=REAL, kinks=lambda c=1.3998: [0, c / 2, c])
def fair(pred, target, c=1.3998):
    r, x = pred - target, abs(pred - target) / c
    return distance(c**2 * with_digits(x, lambda: x - mp.log1p(x)), r / (1 + x), 1 / (1 + x) ** 2)


@loss({"a": 1}, {"a": 20}, {"a": 0.01}, pred=REAL, target=REAL, kinks=lambda a=0.3: [0, 1 / mpf(a), 1.375 / mpf(a)])
def ramsay_e(pred, target, a=0.3):
    r, x = pred - target, a * abs(pred - target)
    e = mp.exp(-x) if x < 1e5 else mpf(0)
    value = with_digits(x, lambda: 1 - mp.exp(-x) * (1 + x)) if e else mpf(1)
    return distance(value / a**2, r * e, (e, -x * e))


@loss({"c": 0.1}, {"c": 300}, pred=REAL, target=REAL, kinks=lambda c=1: [c, c / 3**0.25])
def arctan(pred, target, c=1):
    r, t = pred - target, ((pred - target) / c) ** 4
    hess = (1 / (1 + t), -4 * t / (1 + t) ** 2)
    return distance(c**2 / 2 * mp.atan(mp.sqrt(t)), r / (1 + t), hess)


@loss(
    {"c": 1}, {"c": 0.1}, {"c": 300}, pred=REAL, target=REAL,
    kinks=lambda c=1.339: [mp.pi * c, mp.pi * c / 2, mp.pi * c / 4, mp.pi * c * 3 / 4],
)  # fmt: skip
def andrews_wave(pred, target, c=1.339):
    r, x = pred - target, abs(pred - target) / c
    if x > mp.pi:
        return distance(2 * c**2, 0, 0)
    versine = 2 * mp.sin(x / 2) ** 2
    return distance(c**2 * versine, sign(r) * c * mp.sin(x), (1, -versine))


@loss({"c": 0.1}, {"c": 300}, pred=REAL, target=REAL, kinks=lambda c=2: [c])
def saturated(pred, target, c=2):
    r = pred - target
    return half_square(r) if abs(r) < c else distance(c**2 / 2, 0, 0)


@loss({"phi": 4}, {"phi": 0.1}, {"phi": 300}, pred=REAL, target=REAL, kinks=lambda phi=1: [mp.sqrt(phi)])
def dcs(pred, target, phi=1):
    r, s = pred - target, (pred - target) ** 2
    if s <= phi:
        return half_square(r)
    slope = 4 * phi**2 * r / (phi + s) ** 2
    return distance(2 * phi * s / (phi + s) - phi / 2, slope, 4 * phi**2 * (phi - 3 * s) / (phi + s) ** 3)


@loss(
    {"a": 1.7, "b": 3.4, "c": 8.5}, {"a": 0.1, "b": 0.1, "c": 1000}, {"a": 2, "b": 3, "c": 3},
    pred=REAL, target=REAL, kinks=lambda a=2, b=4, c=8: [a, b, c],
)  # fmt: skip
def hampel(pred, target, a=2, b=4, c=8):
    r, x = pred - target, abs(pred - target)
    if x >= c:
        return distance(a * (b + c - a) / 2, 0, 0)
    if x <= a:
        return half_square(r)
    if x <= b:
        return distance(a * x - a**2 / 2, a * sign(r), 0)
    value = a * (b + c - a) / 2 - a * (c - x) ** 2 / (2 * (c - b))
    return distance(value, a * sign(r) * (c - x) / (c - b), -a / (c - b))


@loss(
    {"a": 4, "b": 0.1}, {"a": 0, "b": 2}, {"a": 30, "b": 7}, pred=REAL, target=REAL,
    kinks=lambda a=1, b=1: [mp.sqrt(a), mp.sqrt(mpf(a) + b)],
)  # fmt: skip
def tolerant(pred, target, a=1, b=1):
    r, s = pred - target, (pred - target) ** 2
    up, down = sigmoid((s - a) / b), sigmoid((a - s) / b)
    w = s / b
    value = b / 2 * (softplus((s - a) / b) - softplus(-a / b) if w > 1 else mp.log1p(sigmoid(-a / b) * mp.expm1(w)))
    return distance(value, r * up, up + 2 * s * up * down / b)


@loss({"tau": 0.25}, {"tau": 0.9, "delta": 1}, pred=REAL, target=REAL, kinks=lambda tau=0.5, delta=1.345: [0, delta])
def m_quantile(pred, target, tau=0.5, delta=1.345):
    r, x = pred - target, abs(pred - target)
    w = (1 - tau) if r > 0 else tau
    if x <= delta:
        return distance(w * r * r / 2, w * r, w)
    return distance(w * delta * (x - delta / 2), w * delta * sign(r), 0)


# ---- Barron's partition function -----------------------------------------------------------------------------------

PARTITION = Path(__file__).parent.parent / "data" / "partition.json"


@functools.cache
def stored_partition() -> dict[str, list[str]]:
    return json.loads(PARTITION.read_text()) if PARTITION.exists() else {}


@functools.cache
def log_partition(alpha: Any) -> tuple[Any, Any]:
    """ln Z(alpha) and its derivative, Z the integral of exp(-rho(x, alpha, 1)) over the line: 40 digits."""
    stored = stored_partition().get(mp.nstr(alpha, 25))
    return (mpf(stored[0]), mpf(stored[1])) if stored else compute_log_partition(alpha)


def compute_log_partition(alpha: Any) -> tuple[Any, Any]:
    """Double exponential quadrature, the step halved until 40 digits stand still."""
    with mp.workdps(50):
        h, before = mpf(1) / 16, None
        while True:
            z, slope = mpf(0), mpf(0)
            for direction in (1, -1):
                k = 0 if direction > 0 else 1
                while True:
                    t = direction * k * h
                    x = mp.exp(mp.pi / 2 * mp.sinh(t))
                    rho, _, _, by_alpha = barron_parts(x, alpha, mpf(1))
                    density = mp.exp(-rho) * mp.pi / 2 * mp.cosh(t) * x
                    if density < mpf(10) ** -60 and k * h > 1:
                        break
                    z += density
                    slope += density * by_alpha if by_alpha != INF else 0
                    k += 1
            result = mp.log(2 * h * z), -slope / z
            if before and all(abs(a - b) <= mpf(10) ** -40 * (abs(a) + 1) for a, b in zip(result, before, strict=True)):
                return (result[0], -INF) if alpha == 2 else result
            h, before = h / 2, result
