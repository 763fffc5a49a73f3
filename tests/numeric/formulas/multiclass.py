# SPDX-License-Identifier: MIT
"""Losses over rows of classes beside the cross entropies."""

from __future__ import annotations

from typing import Any

from formulas.classes import cross_entropy
from mpmath import mp, mpf
from reference import (
    BINARY,
    BINS,
    CLASSES,
    INF,
    LEVELS,
    LOGITS,
    OUTSIDE,
    PROBABILITY,
    REAL,
    loss,
    over,
    sigmoid,
    softplus,
    times,
)


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
        else (*(mass * x * x / 2 for x in p.values()), *(-times(a[c], 1 + z[c]) for c in support), *(a[c] * u for c in support),
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


@loss({"weighting": "linear"}, {"eps": 0.25}, unit="row", pred=PROBABILITY, target=CLASSES, outer="kappa")
def weighted_kappa(pred, target, weighting="quadratic", eps=1e-6):
    """What it relates to chance: kappa() makes the loss of it."""
    n = range(len(pred))
    t = [mpf(c == target) for c in n] if isinstance(target, int) else list(target)
    if any(not 0 <= x <= 1 for x in (*pred, *t)):
        return OUTSIDE
    cost = [mp.fsum(apart(j, c, weighting) * t[j] for j in n) for c in n]
    return {
        "value": mp.fsum(x * w for x, w in zip(pred, cost, strict=True)),
        "pred": cost,
        "target": [mp.fsum(apart(j, c, weighting) * pred[j] for j in n) for c in n],
    }


def apart(j, c, weighting):
    return mpf(abs(j - c)) ** (1 if weighting == "linear" else 2)


def kappa(mean, pred, target, weighting="quadratic", eps=1e-6):
    """Of the rows' mean value and the means of what they hold, class by class: the loss, and of its derivatives the
    factor and what is taken from those of each row before."""
    n = range(len(pred))
    costs = [[mp.fsum(apart(j, c, weighting) * x[j] for j in n) for c in n] for x in (target, pred)]
    chance = mp.fsum(p * w for p, w in zip(pred, costs[0], strict=True))
    if mean == 0 and chance == 0:
        return mp.log(eps) if eps else -INF, mpf(0), [[mpf(0)] * len(pred)] * 2
    ratio = mean / chance
    value = mp.log(ratio + eps) if ratio + eps else -INF
    return value, over(1, (ratio + eps) * chance), [[ratio * w for w in cost] for cost in costs]


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
    pred, target, class_weight=None, label_smoothing=0, class_mask=None, alpha=0.1, beta=1, clip=-4
):
    return softmax_phi(
        pred, target, class_weight, label_smoothing, class_mask,
        lambda c, p, q, s: ((times(alpha, s), -beta * clip * q), (-alpha, beta * clip * p), beta * clip * p),
    )  # fmt: skip


@loss(
    {"label_smoothing": 0.125}, {"class_weight": "ramp", "q": 0.5}, {"q": 1}, {"q": 0.0625},
    unit="row", pred=LOGITS, target=CLASSES,
)  # fmt: skip
def generalized_cross_entropy(pred, target, class_weight=None, label_smoothing=0, class_mask=None, q=0.7):
    power = q

    def phi(c, p, q, s):
        return (-mp.expm1(-power * s) / power if s < INF else 1 / power, -(p**power), -power * p**power)

    return softmax_phi(pred, target, class_weight, label_smoothing, class_mask, phi)


# ---- Ordered classes, margins, one class against all others ----------------------------------------------------------


@loss(unit="row", pred=LOGITS, target=LEVELS)
def corn(pred, target):
    n = range(len(pred))
    t = [mpf(c < target) for c in n] if isinstance(target, int) else list(target)
    ends = [(t[c - 1] if c else mpf(1)) - t[c] for c in n]
    if min(t) < 0 or min(ends) < 0:
        return OUTSIDE
    s, q = [sigmoid(z) for z in pred], [sigmoid(-z) for z in pred]
    return {
        "value": tuple(x for c in n for x in (times(t[c], softplus(-pred[c])), times(ends[c], softplus(pred[c])))),
        "pred": [ends[c] * s[c] if t[c] == 0 else -t[c] * q[c] if ends[c] == 0 else (ends[c] * s[c], -t[c] * q[c]) for c in n],
        "target": [(-pred[c], softplus(pred[c + 1])) if c + 1 in n else -pred[c] for c in n],
        "hess": [(t[c] + ends[c]) * s[c] * q[c] for c in n],
    }  # fmt: skip


def per_class(pred, target, class_weight, label_smoothing, class_mask, own):
    """sum over k of w_k t_k own(k), which gives value, slopes of all classes, and curves; each a number or terms."""
    n = len(pred)
    live, t, w, _ = coefficients(target, n, label_smoothing, class_weight, class_mask)
    parts = {k: own(k, live) for k in live}
    a = {k: t[k] * w[k] for k in live}
    at = [k for k in live if a[k] != 0]

    def added(which: int, c: int) -> Any:
        terms = tuple(a[k] * x for k in at for x in parts[k][which].get(c, ()))
        return terms or 0

    return {
        "value": tuple(times(a[k], x) for k in at for x in parts[k][0]) or 0,
        "pred": [added(1, c) for c in range(n)],
        "target": [
            tuple(times((1 - label_smoothing) * w[c], x) for x in parts[c][0]) or 0 if c in parts else 0
            for c in range(n)
        ],
        "hess": [added(2, c) for c in range(n)],
    }


def rival_hinge(pred, margin, zero_rival=False):
    def own(k, live):
        others = [c for c in live if c != k]
        best = max((pred[c] for c in others), default=-INF)
        first = next((c for c in others if pred[c] == best), None)
        if zero_rival and not best > 0:
            best, first = mpf(0), None
        gap = margin + best - pred[k]
        if not gap > 0:
            return (), {}, {}
        return (gap,), {k: (mpf(-1),), **({first: (mpf(1),)} if first is not None else {})}, {}

    return own


@loss(
    {"label_smoothing": 0.125}, {"class_weight": "ramp", "margin": 0.5}, {"zero_rival": True, "margin": 3},
    unit="row", pred=REAL, target=CLASSES,
)  # fmt: skip
def crammer_singer(pred, target, class_weight=None, label_smoothing=0, class_mask=None, margin=1, zero_rival=False):
    return per_class(pred, target, class_weight, label_smoothing, class_mask, rival_hinge(pred, margin, zero_rival))


@loss({"label_smoothing": 0.125}, {"class_weight": "ramp"}, unit="row", pred=REAL, target=CLASSES)
def multiclass_perceptron(pred, target, class_weight=None, label_smoothing=0, class_mask=None):
    return per_class(pred, target, class_weight, label_smoothing, class_mask, rival_hinge(pred, 0))


@loss({"label_smoothing": 0.125}, {"class_weight": "ramp"}, unit="row", pred=LOGITS, target=CLASSES)
def multilabel_soft_margin(pred, target, class_weight=None, label_smoothing=0, class_mask=None):
    whole = one_vs_all_logistic(pred, target, class_weight, label_smoothing, class_mask)
    if whole is OUTSIDE:
        return OUTSIDE
    n = sum(class_mask) if class_mask else len(pred)

    def part(x):
        return tuple(y / n for y in x) if isinstance(x, tuple) else x / n

    return {k: [part(x) for x in v] if isinstance(v, list) else part(v) for k, v in whole.items()}


@loss(
    {"label_smoothing": 0.125}, {"class_weight": "ramp", "margin": 0.5}, {"power": "2"}, {"power": "2", "average": False, "margin": 3},
    unit="row", pred=REAL, target=CLASSES,
)  # fmt: skip
def multi_margin(
    pred, target, class_weight=None, label_smoothing=0, class_mask=None, margin=1, power="1", average=True
):
    def own(k, live):
        share = mpf(len(live)) if average else mpf(1)
        gaps = {c: margin + pred[c] - pred[k] for c in live if c != k and margin + pred[c] - pred[k] > 0}
        square = str(power) == "2"
        value = tuple((g * g if square else g) / share for g in gaps.values())
        slopes = {c: ((2 * g if square else mpf(1)) / share,) for c, g in gaps.items()}
        slopes[k] = tuple(-x for (x,) in slopes.values())
        curves = dict.fromkeys(gaps, (2 / share,)) if square else {}
        curves[k] = tuple(2 / share for _ in gaps) if square else ()
        return value, slopes, curves

    return per_class(pred, target, class_weight, label_smoothing, class_mask, own)


@loss({"margin": 0.5}, unit="row", pred=REAL, target=BINARY)
def multilabel_margin(pred, target, margin=1):
    n = range(len(pred))
    if any(not 0 <= t <= 1 for t in target):
        return OUTSIDE
    gap = {(j, i): max(margin + pred[i] - pred[j], mpf(0)) / len(pred) for j in n for i in n if i != j}
    on = {pair: (g > 0) / mpf(len(pred)) for pair, g in gap.items()}
    weight = {(j, i): target[j] * (1 - target[i]) for j, i in gap}
    return {
        "value": tuple(times(weight[p], g) for p, g in gap.items()) or 0,
        "pred": [tuple(s * weight[p] * on[p] for p in gap for s in (1, -1) if p[s > 0] == c) or 0 for c in n],
        "target": [
            tuple(times((1 - target[i]) if j == c else -target[j], g) for (j, i), g in gap.items() if c in (i, j)) or 0
            for c in n
        ],
        "hess": [0 for _ in n],
    }


@loss({"label_smoothing": 0.125}, {"class_weight": "ramp"}, unit="row", pred=LOGITS, target=CLASSES)
def one_vs_all_logistic(pred, target, class_weight=None, label_smoothing=0, class_mask=None):
    n = range(len(pred))
    live, t, w, _ = coefficients(target, len(pred), label_smoothing, class_weight, class_mask)
    s, q = [sigmoid(z) for z in pred], [sigmoid(-z) for z in pred]
    if any(not 0 <= t[c] <= 1 for c in live):
        return OUTSIDE
    return {
        "value": tuple(w[c] * x for c in live if w[c] for x in (times(t[c], softplus(-pred[c])), times(1 - t[c], softplus(pred[c])))),
        "pred": [0 if c not in live else w[c] * s[c] if t[c] == 0 else -w[c] * q[c] if t[c] == 1 else (w[c] * s[c], -w[c] * t[c]) for c in n],
        "target": [times(-w[c] * (1 - label_smoothing), pred[c]) if c in live else 0 for c in n],
        "hess": [w[c] * s[c] * q[c] if c in live else 0 for c in n],
    }  # fmt: skip


@loss(
    {"label_smoothing": 0.125}, {"class_weight": "ramp", "margin": 0.5}, {"power": "2"}, {"power": "2", "margin": 3},
    unit="row", pred=REAL, target=CLASSES,
)  # fmt: skip
def one_vs_all_hinge(pred, target, class_weight=None, label_smoothing=0, class_mask=None, margin=1, power="1"):
    n = range(len(pred))
    live, t, w, _ = coefficients(target, len(pred), label_smoothing, class_weight, class_mask)
    if any(not 0 <= t[c] <= 1 for c in live):
        return OUTSIDE
    square = str(power) == "2"
    yes, no = [max(margin - z, mpf(0)) for z in pred], [max(margin + z, mpf(0)) for z in pred]
    value = lambda g: g * g if square else g  # noqa: E731
    slope = lambda g: 2 * g if square else mpf(g > 0)  # noqa: E731
    curve = lambda g: mpf(2 * (g > 0)) if square else mpf(0)  # noqa: E731

    def apart(c):  # one number where both gaps are open
        terms = value(yes[c]), -value(no[c])
        return (sum(terms),) if abs(pred[c]) < margin else terms

    return {
        "value": tuple(w[c] * x for c in live if w[c] for x in (times(t[c], value(yes[c])), times(1 - t[c], value(no[c])))),
        "pred": [(-w[c] * t[c] * slope(yes[c]), w[c] * (1 - t[c]) * slope(no[c])) if c in live else 0 for c in n],
        "target": [tuple((1 - label_smoothing) * times(w[c], x) for x in apart(c)) if c in live else 0 for c in n],
        "hess": [w[c] * (t[c] * curve(yes[c]) + (1 - t[c]) * curve(no[c])) if c in live else 0 for c in n],
    }  # fmt: skip


# ---- Softmax of logits that were changed; entmax ----------------------------------------------------------------------


@loss(
    {"label_smoothing": 0.125}, {"class_weight": "ramp", "prior": "steps"}, {"prior": "steps", "tau": 2},
    unit="row", pred=LOGITS, target=CLASSES,
)  # fmt: skip
def logit_adjusted(pred, target, class_weight=None, label_smoothing=0, class_mask=None, prior=None, tau=1):
    moved = [z + times(tau, mp.log(p)) for z, p in zip(pred, prior or [mpf(1)] * len(pred))]
    return softmax_phi(
        moved, target, class_weight, label_smoothing, class_mask, lambda c, p, q, s: (s, mpf(-1), mpf(0))
    )


@loss(
    {"label_smoothing": 0.125}, {"class_weight": "ramp", "class_count": "counts"}, {"scale": 2, "max_margin": 0.75},
    unit="row", pred=LOGITS, target=CLASSES,
)  # fmt: skip
def ldam(
    pred, target, class_weight=None, label_smoothing=0, class_mask=None, max_margin=0.5, scale=1, class_count=None
):
    live = [c for c in range(len(pred)) if class_mask is None or class_mask[c]]
    count = class_count or [mpf(1)] * len(pred)
    fewest = min(count[c] for c in live)

    def phi(c, p, q, s):
        share = mpf(1) if count[c] == fewest else mp.root(fewest / count[c], 4)
        rho = mp.exp(-scale * max_margin * share)
        d, gone = q + p * rho, 1 - rho
        value = mp.log1p(q / (p * rho)) if p else INF
        return value, -1 / d, -p * gone / d**2

    result = softmax_phi([scale * z for z in pred], target, class_weight, label_smoothing, class_mask, phi)
    if not result:
        return result
    _, t, w, _ = coefficients(target, len(pred), label_smoothing, class_weight, class_mask)
    counts = [c for c in live if t[c] * w[c] != 0]
    if len(counts) == 1:  # the cross entropy of logits that lack this margin: no terms that cancel
        (k,) = counts
        share = mpf(1) if count[k] == fewest else mp.root(fewest / count[k], 4)
        z = {c: scale * (pred[c] - (max_margin * share if c == k else 0)) for c in live}
        top = max(z.values())
        e = {c: mp.exp(x - top) for c, x in z.items()}
        total = mp.fsum(e.values())
        rest = {c: mp.fsum(x for i, x in e.items() if i != c) / total for c in live}
        a = t[k] * w[k]
        by_pred = {c: -a * rest[c] if c == k else a * e[c] / total for c in live}
        result |= {
            "pred": [by_pred.get(c, mpf(0)) for c in range(len(pred))],
            "hess": [a * e[c] / total * rest[c] if c in e else mpf(0) for c in range(len(pred))],
        }
    by = lambda x, f: [tuple(f * t for t in (one if isinstance(one, tuple) else (one,))) for one in x]  # noqa: E731
    return result | {"pred": by(result["pred"], scale), "hess": by(result["hess"], mpf(scale) ** 2)}


@loss(
    {"label_smoothing": 0.125}, {"class_weight": "ramp"}, {"class_weight": "ramp", "label_smoothing": 0.25},
    unit="row", pred=LOGITS, target=CLASSES,
)  # fmt: skip
def entmax15(pred, target, class_weight=None, label_smoothing=0, class_mask=None):
    n = len(pred)
    live, t, w, hard = coefficients(target, n, label_smoothing, class_weight, class_mask)
    if min(t) < 0 or max(pred[c] for c in live) == -INF:
        return OUTSIDE
    top = max(pred[c] for c in live)
    z = {c: (pred[c] - top) / 2 for c in live}
    order = [c for c in sorted(live, key=lambda c: -z[c]) if z[c] > -INF]
    for size in range(1, len(order) + 1):  # the most classes whose root lies below them all
        mean = mp.fsum(z[c] for c in order[:size]) / size
        inner = (1 - mp.fsum((z[c] - mean) ** 2 for c in order[:size])) / size
        if inner < 0 or mean - mp.sqrt(inner) >= z[order[size - 1]]:
            break
        tau, support = mean - mp.sqrt(inner), order[:size]
    b = {c: z[c] - tau if c in support else mpf(0) for c in live}
    gone = {c: mpf(0) if c in support else 2 * (tau - z[c]) for c in live}
    a, mass = {c: t[c] * w[c] for c in live}, mp.fsum(t[c] * w[c] for c in live)
    cubes = mp.fsum(x**3 for x in b.values())
    two_thirds, slopes = mpf(2) / 3, mp.fsum(b.values())
    own = {  # the loss of label c
        c: two_thirds * (mp.fsum(b[k] ** 3 for k in live if k != c) + (1 - b[c]) ** 2 * (2 + b[c])) + gone[c]
        for c in live
    }
    value: Any = (
        a[target] * own[target]
        if hard
        else (*(two_thirds * mass * x**3 for x in b.values()), *(-2 * times(a[c], b[c]) for c in live),
              *(2 * two_thirds * a[c] * mp.sqrt(t[c]) for c in live), *(times(a[c], gone[c]) for c in live))
    )  # fmt: skip

    def slope(c: int) -> Any:
        u = 1 + tau
        if hard and c == target and z[c] == 0:
            return w[c] * u * (u - 2)
        return (mass * (1 + z[c]) ** 2, -mass * u * (2 * (1 + z[c]) - u), -a[c]) if b[c] else -a[c]

    return {
        "value": value,
        "pred": [slope(c) if c in live else 0 for c in range(n)],
        "target": [
            tuple((1 - label_smoothing) * times(w[c], x) for x in (two_thirds * cubes, -2 * b[c], gone[c], 2 * mp.sqrt(t[c])))
            if c in live else 0 for c in range(n)
        ],
        "hess": [tuple(mass * x * mp.fsum(b[k] for k in support if k != c) / slopes for x in (z[c], -tau))
            if c in support else 0 for c in range(n)],
    }  # fmt: skip


@loss(
    {"label_smoothing": 0.125},
    {"class_weight": "ramp", "cap": 5},
    {"cap": 1.5},
    {"base": 2},
    {"z_loss": 0.25, "cap": 5, "base": 2},
    {"z_loss": 2.0**-13, "class_weight": "ramp"},
    unit="row",
    pred=LOGITS,
    target=CLASSES,
    based=True,
)
def softcap_cross_entropy(pred, target, class_weight=None, label_smoothing=0, class_mask=None, cap=30, z_loss=0):
    a = mpf(cap)
    y = [a * mp.tanh(z / a) for z in pred]
    first = [mp.sech(z / a) ** 2 for z in pred]
    result = cross_entropy(y, target, class_weight, label_smoothing, class_mask, z_loss)
    if result is OUTSIDE:
        return OUTSIDE

    def terms(x, factor):
        return tuple(one * factor for one in (x if isinstance(x, tuple) else (x,)))

    slopes, curves = result["pred"], result["hess"]
    return result | {
        "pred": [terms(g, f) for g, f in zip(slopes, first, strict=True)],
        "hess": [
            (*terms(h, f * f), *terms(g, -2 * v * f / a**2))
            for g, h, f, v in zip(slopes, curves, first, y, strict=True)
        ],
    }


# ---- Tempered logarithm and exponential ------------------------------------------------------------------------------


def tempered_log(t, x):
    if x == 0:
        return -INF if t == 1 else 1 / (t - 1)
    return mp.log(x) if t == 1 else (x ** (1 - t) - 1) / (1 - t)


def tempered_deviance(t, log):
    """-log_t(p) - (1 - p^(2 - t))/(2 - t), where two terms cancel if p is near 1."""
    small = -mp.mag(log) if log else mp.prec + 1
    if small > mp.prec:
        return log * log / 2
    with mp.extraprec(2 * max(int(small), 0)):
        return mp.expm1((2 - t) * log) / (2 - t) - (log if t == 1 else mp.expm1((1 - t) * log) / (1 - t))


def tempered_softmax(t, gaps):
    """The probabilities of logits that lie so far below the largest one, and what the largest one's lacks to 1."""
    likeliest = next(c for c in gaps if gaps[c] == 0)
    if t == 1:
        e = {c: mp.exp(-y) for c, y in gaps.items()}
        total = mp.fsum(e.values())
        return {c: x / total for c, x in e.items()}, mp.fsum(e[c] for c in e if c != likeliest) / total, likeliest
    s = t - 1
    log = lambda x: -mp.log1p(s * x) / s  # noqa: E731  (of exp_t(-x))
    at, step = mpf(0), mpf(1)
    while abs(step) > at * mpf(10) ** (5 - mp.dps):  # Newton's method on a convex sum, from the left
        below = mp.fsum(mp.exp(log(at + y)) for c, y in gaps.items() if c != likeliest)
        step = (below + mp.expm1(log(at))) / mp.fsum(mp.exp(log(at + y)) ** t for y in gaps.values())
        at += step
        if at == 0:
            break
    return {c: mp.exp(log(at + y)) for c, y in gaps.items()}, -mp.expm1(log(at)), likeliest


@loss(
    {"label_smoothing": 0.125}, {"class_weight": "ramp", "t1": 0.5, "t2": 2}, {"t1": 1, "t2": 1}, {"t1": 0, "t2": 4},
    {"t1": 1 - 2.0**-12, "t2": 1 + 2.0**-12, "label_smoothing": 0.25}, {"class_weight": "ramp", "t1": 0.25, "t2": 1},
    {"t1": 1, "t2": 1.5},
    unit="row", pred=LOGITS, target=CLASSES,
)  # fmt: skip
def bi_tempered_logistic(pred, target, class_weight=None, label_smoothing=0, class_mask=None, t1=0.8, t2=1.3):
    n = len(pred)
    live, t, w, hard = coefficients(target, n, label_smoothing, class_weight, class_mask)
    top = max(pred[c] for c in live)
    if top == -INF or min(t[c] for c in live) < 0:
        return OUTSIDE
    p, lacking, likeliest = tempered_softmax(t2, {c: top - pred[c] for c in live})
    rest = {c: lacking if c == likeliest else 1 - p[c] for c in live}
    a, m, order = {c: t[c] * w[c] for c in live}, t2 - t1, 2 - t1
    mass = mp.fsum(a.values())
    powers = {c: p[c] ** order / order for c in live}
    if hard:
        log = mp.log1p(-lacking) if target == likeliest else mp.log(p[target]) if p[target] else -INF
        own = tempered_deviance(t1, log)
        value: Any = w[target] * (own + mp.fsum(powers[c] for c in live if c != target))
    else:
        value = (
            *(times(a[c], tempered_log(t1, t[c])) for c in live), *(-times(a[c], tempered_log(t1, p[c])) for c in live),
            *(-a[c] * t[c] ** (1 - t1) / order for c in live), *(mass * x for x in powers.values()),
        )  # fmt: skip

    # p^t2 and the derivatives of the loss by the probabilities, times it; the shares of p^t2, and their complements
    raised = {c: p[c] ** t2 for c in live}
    total = mp.fsum(raised.values())
    q = {c: raised[c] / total for c in live}
    lack = {c: mp.fsum(raised[k] for k in live if k != c) / total for c in live}
    kept = {c: p[c] ** (t2 - 1) for c in live}

    def slope(c: int) -> tuple[Any, ...]:
        if hard and c == target:
            return (-w[c] * p[c] ** m * rest[c],)
        if c == likeliest and p[c] > 0.5:
            return (p[c] ** m * mp.fsum(a[k] for k in live if k != c), -mass * p[c] ** m * lacking)
        return (mass * p[c] ** (m + 1), -a[c] * p[c] ** m)

    def bend(c: int) -> tuple[Any, ...]:
        return ((1 + m) * mass * p[c] ** (m + 1) * kept[c], -m * a[c] * p[c] ** m * kept[c])

    slopes, bends = {c: slope(c) for c in live}, {c: bend(c) for c in live}

    def grad(c: int) -> tuple[Any, ...]:
        return (*(lack[c] * x for x in slopes[c]), *(-q[c] * x for k in live if k != c for x in slopes[k]))

    def curve(c: int) -> tuple[Any, ...]:
        turned = t2 * q[c] * (kept[c] * lack[c] ** 2 + q[c] * mp.fsum(kept[k] * q[k] for k in live if k != c))
        return (
            *(lack[c] ** 2 * x for x in bends[c]), *(q[c] ** 2 * x for k in live if k != c for x in bends[k]),
            *(-turned * x for k in live for x in slopes[k]),
        )  # fmt: skip

    whole = mp.fsum(powers.values())
    return {
        "value": value,
        "pred": [grad(c) if c in p else 0 for c in range(n)],
        "target": [
            tuple(
                times((1 - label_smoothing) * w[c], x)
                for x in (tempered_log(t1, t[c]), -tempered_log(t1, p[c]) if p[c] or t[c] else 0, whole)
            ) if c in p else 0
            for c in range(n)
        ],
        "hess": [curve(c) if c in p else 0 for c in range(n)],
    }  # fmt: skip
