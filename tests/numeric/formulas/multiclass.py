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


# ---- Functions of the softmax probability of the class ---------------------------------------------------------------


def softmax_phi(pred, target, class_weight, label_smoothing, class_mask, phi):
    """sum of w t phi(p): phi gives the value, p phi' and p (p phi')' from p, 1 - p and -ln p, each a number or terms."""
    n = len(pred)
    live, t, w, _ = coefficients(target, n, label_smoothing, class_weight, class_mask)
    top = max(pred[c] for c in live)
    if top == -INF:
        return OUTSIDE
    e = {c: mp.exp(pred[c] - top) for c in live}
    total = mp.fsum(e.values())
    p = {c: e[c] / total for c in live}
    q = {c: mp.fsum(e[k] for k in live if k != c) / total for c in live}
    s = {c: mp.log1p(q[c] * total / e[c]) if e[c] else INF for c in live}
    out = {c: [x if isinstance(x, tuple) else (x,) for x in phi(c, p[c], q[c], s[c])] for c in live}
    a = {c: t[c] * w[c] for c in live}
    at = [c for c in live if a[c] != 0]
    h = {c: a[c] * mp.fsum(out[c][1]) if c in at else mpf(0) for c in live}
    k = {c: [a[c] * x for x in out[c][2]] if c in at else [mpf(0)] for c in live}
    slopes = {c: mp.fsum(h[j] for j in live if j != c) for c in live}  # of the others
    curves = {c: mp.fsum(x for j in live if j != c for x in k[j]) for c in live}

    def curve(c: int) -> Any:
        return (*(q[c] ** 2 * x for x in k[c]), -q[c] * p[c] * h[c], -p[c] * q[c] * slopes[c], p[c] ** 2 * curves[c])

    return {
        "value": tuple(a[c] * x for c in at for x in out[c][0]) or 0,
        "pred": [(h[c] * q[c], -p[c] * slopes[c]) if c in p else 0 for c in range(n)],
        "target": [tuple(times((1 - label_smoothing) * w[c], x) for x in out[c][0]) if c in p else 0 for c in range(n)],
        "hess": [curve(c) if c in p else 0 for c in range(n)],
    }


@loss(
    {"label_smoothing": 0.125}, {"class_weight": "ramp", "gamma": 1}, {"gamma": 0}, {"gamma": 0.5}, {"gamma": 3.5, "alpha": "steps"},
    unit="row", pred=LOGITS, target=CLASSES,
)  # fmt: skip
def categorical_focal(pred, target, class_weight=None, label_smoothing=0, class_mask=None, gamma=2, alpha=None):
    def phi(c, p, q, s):
        factor = alpha[c] if alpha else mpf(1)
        if q == 0:
            return (0, -factor if gamma == 0 else 0, 0)
        w, ps = factor * q ** (gamma - 1), times(p, s)
        return (times(w * q, s), (-w * gamma * ps, -w * q),
                (w / q * gamma * (gamma - 1) * p * ps, w * gamma * 2 * p, -w * gamma * ps))  # fmt: skip

    return softmax_phi(pred, target, class_weight, label_smoothing, class_mask, phi)


@loss(
    {"label_smoothing": 0.125}, {"class_weight": "ramp", "epsilon": 3}, {"epsilon": -1},
    unit="row", pred=LOGITS, target=CLASSES,
)  # fmt: skip
def poly1_cross_entropy(pred, target, class_weight=None, label_smoothing=0, class_mask=None, epsilon=1):
    return softmax_phi(
        pred, target, class_weight, label_smoothing, class_mask,
        lambda c, p, q, s: ((s, epsilon * q), (mpf(-1), -epsilon * p), -epsilon * p),
    )  # fmt: skip


@loss(
    {"label_smoothing": 0.125}, {"class_weight": "ramp", "alpha": 0.5, "clip": -6}, {"alpha": 0, "beta": 2},
    unit="row", pred=LOGITS, target=CLASSES,
)  # fmt: skip
def symmetric_cross_entropy(
    pred, target, class_weight=None, label_smoothing=0, class_mask=None, alpha=mpf(0.1), beta=1, clip=-4
):
    return softmax_phi(
        pred, target, class_weight, label_smoothing, class_mask,
        lambda c, p, q, s: ((times(alpha, s), -beta * clip * q), (-alpha, beta * clip * p), beta * clip * p),
    )  # fmt: skip


@loss(
    {"label_smoothing": 0.125}, {"class_weight": "ramp", "q": 0.5}, {"q": 1}, {"q": 0.0625},
    unit="row", pred=LOGITS, target=CLASSES,
)  # fmt: skip
def generalized_cross_entropy(pred, target, class_weight=None, label_smoothing=0, class_mask=None, q=mpf(0.7)):
    power = q

    def phi(c, p, q, s):
        return (-mp.expm1(-power * s) / power if s < INF else 1 / power, -(p**power), -power * p**power)

    return softmax_phi(pred, target, class_weight, label_smoothing, class_mask, phi)
