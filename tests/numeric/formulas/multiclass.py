# SPDX-License-Identifier: MIT
"""Losses over rows of classes beside the cross entropies."""

from __future__ import annotations

from typing import Any

from mpmath import mp, mpf
from reference import BINS, CLASSES, INF, LEVELS, LOGITS, OUTSIDE, loss, sigmoid, softplus, times


def coefficients(
    target: Any, classes: int, label_smoothing: Any, class_weight: Any, class_mask: Any
) -> tuple[list[int], list[Any], list[Any], bool]:
    """Classes that take part, smoothed targets, weights, and whether there is one class alone."""
    live = [c for c in range(classes) if class_mask is None or class_mask[c]]
    plain = [mpf(c == target) for c in range(classes)] if isinstance(target, int) else list(target)
    smooth = [
        t * (1 - label_smoothing) + (mpf(label_smoothing) / len(live) if c in live else 0) for c, t in enumerate(plain)
    ]
    return live, smooth, list(class_weight or [mpf(1)] * classes), isinstance(target, int) and label_smoothing == 0


def simplex_projection(z: dict[int, Any]) -> tuple[Any, list[int]]:
    """The threshold tau with sum max(z - tau, 0) = 1, and the classes above it."""
    order = sorted(z, key=lambda c: -z[c])
    size = max(k + 1 for k in range(len(order)) if 1 + (k + 1) * z[order[k]] > mp.fsum(z[c] for c in order[: k + 1]))
    tau = (mp.fsum(z[c] for c in order[:size]) - 1) / size
    return tau, [c for c in order if z[c] > tau]


@loss(
    {"label_smoothing": 0.125}, {"class_weight": "ramp"}, {"class_weight": "ramp", "label_smoothing": 0.25},
    unit="row", pred=LOGITS, target=CLASSES,
)  # fmt: skip
def sparsemax(pred, target, class_weight=None, label_smoothing=0, class_mask=None):
    n = len(pred)
    live, t, w, hard = coefficients(target, n, label_smoothing, class_weight, class_mask)
    if max(pred[c] for c in live) == -INF:
        return OUTSIDE
    top = max(pred[c] for c in live)
    z = {c: pred[c] - top for c in live}
    tau, support = simplex_projection({c: x for c, x in z.items() if x > -INF})
    p = {c: z[c] - tau if c in support else mpf(0) for c in live}
    below = {c: mpf(0) if c in support else tau - z[c] for c in live}
    a, mass = {c: t[c] * w[c] for c in live}, mp.fsum(t[c] * w[c] for c in live)
    square = mp.fsum(x * x for x in p.values())
    own = {c: ((square - 2 * p[c] + 1) / 2 + below[c]) for c in live}  # the loss of label c
    u, first = 1 + tau, next(c for c in live if z[c] == 0)
    value: Any = (
        a[target] * own[target]
        if hard
        else (*(mass * x * x / 2 for x in p.values()), *(-times(a[c], p[c]) for c in live),
              *(a[c] * t[c] / 2 for c in live), *(times(a[c], below[c]) for c in live))
    )  # fmt: skip

    def slope(c: int) -> Any:
        if hard and c == target and z[c] == 0:
            return -w[c] * u
        return (mass * (z[c] + 1), -mass * u, -a[c]) if c in support and c != first else (mass * p[c], -a[c])

    return {
        "value": value,
        "pred": [slope(c) if c in live else 0 for c in range(n)],
        "target": [
            (w[c] * square / 2, -w[c] * p[c], w[c] * below[c], w[c] * t[c]) if c in live else 0 for c in range(n)
        ]
        if label_smoothing == 0
        else [
            tuple((1 - label_smoothing) * w[c] * x for x in (square / 2, -p[c], below[c], t[c])) if c in live else 0
            for c in range(n)
        ],
        "hess": [mass * (1 - mpf(1) / len(support)) if c in support else 0 for c in range(n)],
    }


@loss({"level_weight": "ramp"}, unit="row", pred=LOGITS, target=LEVELS)
def ordinal_cross_entropy(pred, target, level_weight=None):
    n = range(len(pred))
    w = level_weight or [mpf(1)] * len(pred)
    t = [mpf(c < target) for c in n] if isinstance(target, int) else list(target)
    if any(not 0 <= x <= 1 for x in t):
        return OUTSIDE
    s, q = [sigmoid(z) for z in pred], [sigmoid(-z) for z in pred]
    return {
        "value": tuple(
            w[c] * x for c in n for x in (times(t[c], softplus(-pred[c])), times(1 - t[c], softplus(pred[c])))
        ),
        "pred": [w[c] * s[c] if t[c] == 0 else -w[c] * q[c] if t[c] == 1 else (w[c] * s[c], -w[c] * t[c]) for c in n],
        "target": [times(-w[c], pred[c]) for c in n],
        "hess": [w[c] * s[c] * q[c] for c in n],
    }


@loss(unit="row", pred=LOGITS, target=BINS)
def distribution_focal(pred, target):
    n = len(pred)
    if not 0 <= target <= n - 1 or max(pred) == -INF:
        return OUTSIDE
    low = int(mp.floor(target))
    f = target - low
    high = min(low + 1, n - 1)
    top = max(pred)
    e = [mp.exp(z - top) for z in pred]
    rest = [mp.fsum(e[:c] + e[c + 1 :]) for c in range(n)]
    surprise = [mp.log1p(rest[c] / e[c]) if e[c] else INF for c in range(n)]
    total = mp.fsum(e)
    t = [(1 - f) * (c == low) + f * (c == high) for c in range(n)]
    below = low - 1 if low == high and low > 0 else low
    above = low if low == high else high
    return {
        "value": (times(1 - f, surprise[low]), times(f, surprise[high])),
        "pred": [-rest[c] / total if t[c] == 1 else (e[c] / total, -t[c]) for c in range(n)],
        "target": (pred[below], -pred[above]) if above > below else 0,
        "hess": [e[c] * rest[c] / total**2 for c in range(n)],
    }
