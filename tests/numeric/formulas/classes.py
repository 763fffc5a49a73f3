# SPDX-License-Identifier: MIT
"""Losses over a row of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mpmath import mp, mpf
from reference import CLASSES, INF, LOG_PROBABILITY, LOGITS, OUTSIDE, PROBABILITY, loss, over, times


def distribution(
    target: Any, classes: int, label_smoothing: Any, class_mask: Sequence[Any] | None
) -> tuple[list, list]:
    """A label or distribution as it is, and smoothed over the classes that are not masked."""
    plain = [mpf(c == target) for c in range(classes)] if isinstance(target, int) else list(target)
    live = [c for c in range(classes) if class_mask is None or class_mask[c]]
    smooth = [
        t * (1 - label_smoothing) + (mpf(label_smoothing) / len(live) if c in live else 0) for c, t in enumerate(plain)
    ]
    return plain, smooth


@loss(
    {"label_smoothing": 0.125}, {"class_weight": "ramp"}, {"class_weight": "ramp", "label_smoothing": 0.25}, {"base": 2},
    {"z_loss": 0.25}, {"z_loss": 2.0**-13, "class_weight": "ramp"}, {"z_loss": 0.25, "base": 2},
    unit="row", pred=LOGITS, target=CLASSES, based=True,
)  # fmt: skip
def cross_entropy(pred, target, class_weight=None, label_smoothing=0, class_mask=None, z_loss=0):
    n = len(pred)
    _, t = distribution(target, n, label_smoothing, class_mask)
    w = class_weight or [1] * n
    live = [c for c in range(n) if class_mask is None or class_mask[c]]
    tops = [pred[c] for c in live]
    if max(tops) == -INF:
        return OUTSIDE
    surprise, q, rest = [mpf(0)] * n, [mpf(0)] * n, [mpf(1)] * n
    top = max(tops)
    e = {c: mp.exp(pred[c] - top) for c in live}
    total = mp.fsum(e.values())
    for c in live:
        others = mp.fsum(e[k] for k in live if k != c)
        surprise[c] = mp.log1p(others / e[c])
        q[c], rest[c] = e[c] / total, others / total
    mass = mp.fsum(t[c] * w[c] for c in live)
    hard = isinstance(target, int) and label_smoothing == 0
    at = [c for c in live if t[c] != 0]
    # ln sum exp(pred) passes through 0 where these cancel; a square of less than 2^-24 of theirs has fewer digits
    parts = (top, mp.log(total))
    z, pull, least = sum(parts), [2 * z_loss * part for part in parts], z_loss * parts[1] ** 2 * mpf(2) ** -24
    return {
        "value": (*(t[c] * w[c] * surprise[c] for c in at), *(z_loss * z * part for part in parts), least, -least),
        "pred": [
            0
            if c not in e
            else (-w[c] * rest[c], *(x * q[c] for x in pull))
            if hard and c == target
            else (mass * q[c], -t[c] * w[c], *(x * q[c] for x in pull))
            for c in range(n)
        ],
        "target": [(1 - label_smoothing) * w[c] * surprise[c] if c in e else 0 for c in range(n)],
        "hess": [
            (mass * q[c] * rest[c], *(x * q[c] * rest[c] for x in pull), 2 * z_loss * q[c] ** 2) for c in range(n)
        ],
    }


@loss(
    {"label_smoothing": 0.125}, {"class_weight": "ramp"}, {"clamp": 2.0**-10}, {"base": 2}, {"log_clamp": -100},
    unit="row", pred=PROBABILITY, target=CLASSES, based=True,
)  # fmt: skip
def categorical_cross_entropy(
    pred, target, class_weight=None, label_smoothing=0, class_mask=None, clamp=0, log_clamp=-INF
):
    n = len(pred)
    _, t = distribution(target, n, label_smoothing, class_mask)
    w = class_weight or [1] * n
    live = [c for c in range(n) if class_mask is None or class_mask[c]]
    if any(not 0 <= pred[c] <= 1 for c in live):
        return OUTSIDE
    p = [min(max(x, clamp), 1 - clamp) for x in pred]
    logs = [max(mp.log(x), log_clamp) for x in p]
    moves = [int(p[c] == pred[c] and mp.log(p[c]) >= log_clamp and c in live) for c in range(n)]
    return {
        "value": tuple(-times(t[c] * w[c], logs[c]) for c in live),
        "pred": [-times(moves[c], over(t[c] * w[c], p[c])) for c in range(n)],
        "target": [-times((1 - label_smoothing) * w[c], logs[c]) if c in live else 0 for c in range(n)],
        "hess": [times(moves[c], over(t[c] * w[c], p[c] ** 2)) for c in range(n)],
    }


@loss(
    {"label_smoothing": 0.125}, {"class_weight": "ramp"}, {"base": 2},
    unit="row", pred=LOG_PROBABILITY, target=CLASSES, based=True,
)  # fmt: skip
def nll(pred, target, class_weight=None, label_smoothing=0, class_mask=None):
    n = len(pred)
    _, t = distribution(target, n, label_smoothing, class_mask)
    w = class_weight or [1] * n
    live = [c for c in range(n) if class_mask is None or class_mask[c]]
    return {
        "value": tuple(-times(t[c] * w[c], pred[c]) for c in live),
        "pred": [-t[c] * w[c] if c in live else 0 for c in range(n)],
        "target": [-times((1 - label_smoothing) * w[c], pred[c]) if c in live else 0 for c in range(n)],
        "hess": [0] * n,
    }
