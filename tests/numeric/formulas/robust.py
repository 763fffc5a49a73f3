# SPDX-License-Identifier: MIT
"""Losses of the residual that outliers do not rule."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from mpmath import mp, mpf
from reference import INF, OUTSIDE, POSITIVE, REAL, SHAPE, SHAPE_NONNEGATIVE, distance, loss, sign


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
    power = mp.exp(alpha / 2 * u)
    w = mp.exp((alpha / 2 - 1) * u)
    curve = (w * b / (s + b), w * (alpha - 1) * s / (s + b)) if side < 0 else (w, w * b * s / (s + b))
    if alpha == 0:
        return u, w, curve, u * u / 4 - u / 2 + s / (2 * (2 + s))
    rho = b / alpha * mp.expm1(alpha / 2 * u)
    by_alpha = side * 2 / alpha**2 * mp.expm1(alpha / 2 * u) + b / alpha * power * (
        u / 2 - side * alpha / 2 * s / (b * (b + s))
    )
    return rho, w, curve, by_alpha


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
