# SPDX-License-Identifier: MIT
"""Inputs for the comparison: edges first, then random ones, which have few digits so that the data stays small."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

Inputs = dict[str, Any]
INF, NAN = np.inf, np.nan
CLASSES = 5

# (pred, target): equal, on the usual kinks, tiny, where exp and squares overflow, infinite, NaN.
REAL_EDGES = [(0, 0), (1, 1), (1, 0), (-1, 0), (0, 1), (1.5, 0), (-1.5, 0), (0.5, 0), (2, 0), (1e-9, 0), (1e-160, 0)]
REAL_EDGES += [(20, 0), (-40, 0), (800, 0), (-800, 0), (1e160, 0), (-1e160, 0), (1e308, -1e308)]
REAL_EDGES += [(INF, 0), (-INF, 0), (0, INF), (NAN, 0), (0, NAN)]
LOGIT_EDGES = [0, 1, -1, 1e-9, 20, -20, 40, -40, 800, -800, 1e308, -1e308, INF, -INF, NAN]
MARGIN_EDGES = [*LOGIT_EDGES, 0.5, -0.5, 2, -2, 1e160, -1e160]
PROBABILITY_EDGES = [0, 1, 0.5, 1e-9, 1e-20, 1e-300, 1 - 2**-53]


def spread(rng: Any, n: Any, size: float = 4) -> Any:
    """Numbers of both signs, most around 1, with 4 digits."""
    numbers = rng.standard_normal(n) * size ** rng.uniform(-1, 1, n)
    return np.array([float(f"{x:.4g}") for x in numbers.ravel()]).reshape(numbers.shape)


def positive(rng: Any, n: Any) -> Any:
    return np.maximum(np.abs(spread(rng, n)), 1e-4)


def unit(rng: Any, n: Any) -> Any:
    """Probabilities that are multiples of 1/1024: exact."""
    return rng.integers(1, 1024, n) / 1024


def rows(rng: Any, n: int, classes: int = CLASSES) -> Any:
    """Rows of probabilities that sum to exactly 1."""
    cuts = np.sort(rng.integers(1, 1023, (n, classes - 1)), axis=1) / 1024
    return np.diff(cuts, axis=1, prepend=0, append=1)


def joined(edges: Any, random: Any) -> Any:
    return np.concatenate([np.asarray(edges, float), random])


def pairs(edges: list[tuple[float, ...]], *random: Any) -> list[Any]:
    return [joined(edge, drawn) for edge, drawn in zip(zip(*edges), random)]


def reals(rng: Any, n: int) -> Inputs:
    pred, target = pairs(REAL_EDGES, spread(rng, n), spread(rng, n))
    return {"pred": pred, "target": target}


def finite(rng: Any, n: int) -> Inputs:
    """For functions that refuse NaN and infinity."""
    edges = [e for e in REAL_EDGES if np.isfinite(e).all() and np.abs(e).max() < 1e100]
    pred, target = pairs(edges, spread(rng, n), spread(rng, n))
    return {"pred": pred, "target": target}


def far(rng: Any, n: int) -> Inputs:
    """Predictions far from a target that is not 0."""
    return {"pred": spread(rng, n, 50), "target": positive(rng, n)}


def labels_of(labels: tuple[float, float], edges: list[float] = MARGIN_EDGES) -> Callable[[Any, int], Inputs]:
    def draw(rng: Any, n: int) -> Inputs:
        both = [(pred, label) for pred in edges for label in labels]
        pred, target = pairs(both, spread(rng, n), np.asarray(labels)[rng.integers(0, 2, n)])
        return {"pred": pred, "target": target}

    return draw


def logits(rng: Any, n: int) -> Inputs:
    edges = [(pred, target) for pred in LOGIT_EDGES for target in (0, 1, 0.25)]
    pred, target = pairs(edges, spread(rng, n), unit(rng, n))
    return {"pred": pred, "target": target}


def probabilities(rng: Any, n: int) -> Inputs:
    edges = [(pred, target) for pred in PROBABILITY_EDGES for target in (0, 1, 0.25)]
    pred, target = pairs(edges, unit(rng, n), unit(rng, n))
    return {"pred": pred, "target": target}


def hard(rng: Any, n: int) -> Inputs:
    """Probabilities with targets 0 and 1."""
    drawn = probabilities(rng, n)
    return {"pred": drawn["pred"], "target": np.arange(len(drawn["pred"])) % 2}


def row_edges() -> Any:
    big = [[800, 0, -800, 0, 1], [1e308, 0, 0, 0, -1e308], [0] * 5, [30, 0, 0, 0, 0], [60, 20, 0, -20, -60]]
    return np.array([*big, [1, -INF, 0, 2, 3], [1e8, 1e8, 1e8 - 1, 0, 0], [NAN, 0, 0, 0, 0], [INF, 0, 0, 0, 0]], float)


def labelled(rng: Any, n: int) -> Inputs:
    edges = np.repeat(row_edges(), 2, axis=0)
    labels = np.concatenate([np.tile([0, 4], len(edges) // 2), rng.integers(0, CLASSES, n)])
    return {"pred": joined(edges, spread(rng, (n, CLASSES))), "target": labels}


def finite_labelled(rng: Any, n: int) -> Inputs:
    drawn = labelled(rng, n)
    kept = np.isfinite(drawn["pred"]).all(-1) & (np.abs(drawn["pred"]).max(-1) < 1e100)
    return {name: a[kept] for name, a in drawn.items()}


def distributions(rng: Any, n: int) -> Inputs:
    edges = row_edges()
    hot = np.eye(CLASSES)[np.arange(len(edges)) % CLASSES]
    return {"pred": joined(edges, spread(rng, (n, CLASSES))), "target": joined(hot, rows(rng, n))}


def plain_rows(rng: Any, n: int) -> Inputs:
    """Labels and scores without edges, for what is reduced over the rows."""
    return {"pred": spread(rng, (n, CLASSES)), "target": rng.integers(0, CLASSES, n)}


def plain_distributions(rng: Any, n: int) -> Inputs:
    return {"pred": spread(rng, (n, CLASSES)), "target": rows(rng, n)}


def multilabel(rng: Any, n: int) -> Inputs:
    pred = joined([[0] * 5, [1, 0, 0, 0, 0], [800, -800, 0, 1, 2]], spread(rng, (n, CLASSES)))
    return {"pred": pred, "target": joined([[0] * 5, [1] * 5, [0, 1, 0, 0, 1]], rng.integers(0, 2, (n, CLASSES)))}


def distribution_pairs(rng: Any, n: int) -> Inputs:
    preds = [[0.25, 0.25, 0.5, 0, 0], [0.2] * 5, [1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0.5, 0.5 - 1e-9, 1e-9, 0, 0]]
    targets = [[0.25, 0.25, 0.5, 0, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0.5, 0.5, 0, 0, 0]]
    return {"pred": joined(preds, rows(rng, n)), "target": joined(targets, rows(rng, n))}


def inner_pairs(rng: Any, n: int) -> Inputs:
    """No probability is 0."""
    pred, target = ((rows(rng, n) + 1 / 256) / (1 + CLASSES / 256) for _ in range(2))
    return {"pred": pred, "target": target}


def log_pairs(rng: Any, n: int) -> Inputs:
    """The logarithm of rows of probabilities, beside probabilities."""
    with np.errstate(divide="ignore"):
        drawn = distribution_pairs(rng, n)
        return {"pred": np.log(drawn["pred"]), "target": drawn["target"]}


def probability_labels(rng: Any, n: int) -> Inputs:
    pred = distribution_pairs(rng, n)["pred"]
    return {"pred": pred, "target": np.arange(len(pred)) % CLASSES}


def hot_pairs(rng: Any, n: int) -> Inputs:
    drawn = probability_labels(rng, n)
    return {"pred": drawn["pred"], "target": np.eye(CLASSES)[drawn["target"]]}


def chosen(rng: Any, n: int) -> Inputs:
    """One class each, most of them not far from what they should be."""
    labels = rng.integers(0, CLASSES, 4 * n)
    said = np.clip(labels + rng.integers(-1, 2, 4 * n), 0, CLASSES - 1)
    return {"pred": np.eye(CLASSES)[said], "target": labels}


def one_distribution(rng: Any, n: int) -> Inputs:
    return {"pred": distribution_pairs(rng, n)["pred"]}


def plain_hot(rng: Any, n: int) -> Inputs:
    drawn = plain_rows(rng, n)
    return {"pred": drawn["pred"], "target": np.eye(CLASSES)[drawn["target"]]}


def log_labelled(rng: Any, n: int) -> Inputs:
    drawn = log_pairs(rng, n)
    return {"pred": drawn["pred"], "target": np.arange(len(drawn["pred"])) % CLASSES}


def both_logs(rng: Any, n: int) -> Inputs:
    return {name: np.log(rows) for name, rows in inner_pairs(rng, n).items()}


def vectors(rng: Any, n: int) -> Inputs:
    preds = [[1, 0, 0], [3, 4, 0], [1, 2, 3], [1, 2, 3], [0, 0, 0], [1e-5, 0, 0], [1e200, 0, 0]]
    targets = [[0, 1, 0], [3, 4, 0], [-1, -2, -3], [1, 2, 3], [1, 0, 0], [1e-5, 0, 0], [1e200, 1e200, 0]]
    return {"pred": joined(preds, spread(rng, (n, 3))), "target": joined(targets, spread(rng, (n, 3)))}


def log_rates(rng: Any, n: int) -> Inputs:
    edges = [(p, t) for p in (0, 1, -20, 20, -800, INF, -INF, NAN) for t in (0, 1, 7)]
    pred, target = pairs(edges, spread(rng, n, 2), rng.poisson(3, n))
    return {"pred": pred, "target": target}


def rates(rng: Any, n: int) -> Inputs:
    edges = [(p, t) for p in (0, 1, 1e-12, 1e-5, 1e8) for t in (0, 1, 7)]
    pred, target = pairs(edges, positive(rng, n), rng.poisson(3, n))
    return {"pred": pred, "target": target}


def log_means(rng: Any, n: int) -> Inputs:
    edges = [(p, t) for p in (0, 1, -20, 20, -300, 300) for t in (1, 1e-3, 1e3)]
    pred, target = pairs(edges, spread(rng, n, 2), positive(rng, n))
    return {"pred": pred, "target": target}


def moderate(edges: list[tuple[float, float]], draw_target: Callable[[Any, int], Any]) -> Callable[[Any, int], Inputs]:
    """For boosters, in single precision: Newton steps must be finite."""

    def draw(rng: Any, n: int) -> Inputs:
        pred, target = pairs(edges, np.clip(spread(rng, n, 2), -8, 8), draw_target(rng, n))
        return {"pred": pred, "target": target}

    return draw


def moderate_positives(rng: Any, n: int) -> Inputs:
    edges = [(1, 1), (1, 2), (0, 1), (1, 0), (0, 0)]
    pred, target = pairs(edges, positive(rng, n), positive(rng, n))
    return {"pred": pred, "target": target}


def squares(rng: Any, n: int) -> Inputs:
    """Squared residuals."""
    return {"s": joined([0, 1, 2.25, 1e-300, 1e-18, 1e-9, 100, 1e9, 1e300], positive(rng, n))}


def positives(rng: Any, n: int) -> Inputs:
    edges = [(1, 1), (1, 2), (1e-9, 1), (1, 1e-9), (1e8, 1), (0, 1), (1, 0), (0, 0)]
    pred, target = pairs(edges, positive(rng, n), positive(rng, n))
    return {"pred": pred, "target": target}


def plain_positives(rng: Any, n: int) -> Inputs:
    return {"pred": positive(rng, n), "target": positive(rng, n)}


def variances(rng: Any, n: int) -> Inputs:
    edges = [(0, 0, 1), (1, 0, 1), (1, 0, 1e-7), (1, 0, 1e-300), (1e160, 0, 1), (0, 0, 1e8), (1, 0, 1e-6)]
    pred, target, var = pairs(edges, spread(rng, n), spread(rng, n), positive(rng, n))
    return {"pred": pred, "target": target, "var": var}


def scales(rng: Any, n: int) -> Inputs:
    edges = [(0, 0, 1), (1, 0, 1), (-1, 0, 1), (40, 0, 1), (-40, 0, 1), (-1e4, 0, 1), (1e160, 0, 1), (1, 0, 1e-8)]
    pred, target, scale = pairs(edges, spread(rng, n), spread(rng, n), positive(rng, n))
    return {"pred": pred, "target": target, "scale": scale}


def named(names: str, edges: list[tuple[float, ...]], *random: Any) -> Inputs:
    return dict(zip(names.split(), pairs(edges, *random)))


def dfs(rng: Any, n: int) -> Inputs:
    edges = [(0, 0, 1, 3), (1, 0, 1, 1), (-40, 0, 1, 0.5), (1e160, 0, 1, 3), (1, 0, 1e-8, 30), (2, 0, 1, 1e8)]
    random = spread(rng, n), spread(rng, n), positive(rng, n), positive(rng, n)
    return named("pred target scale df", edges, *random)


def log_scales(rng: Any, n: int) -> Inputs:
    """Of the logarithm of a positive target."""
    edges = [(0, 1, 1), (1, 1, 0.5), (-20, 1e-3, 1), (300, 1e3, 1), (0, 1e300, 1), (0, 1e-300, 0.1)]
    return named("pred target scale", edges, spread(rng, n, 2), positive(rng, n), positive(rng, n))


def shapes(rng: Any, n: int) -> Inputs:
    edges = [(0, 1, 1), (1, 1, 0.5), (-20, 1e-3, 1), (300, 1e3, 1), (0, 2, 3), (1, 1e-300, 2)]
    return named("pred target shape", edges, spread(rng, n, 2), positive(rng, n), positive(rng, n))


def angles(rng: Any, n: int) -> Inputs:
    edges = [(0, 0, 1), (1, 0, 1), (3.125, -3.125, 2), (1, 0, 1e-8), (0, 1, 700), (0.5, 0, 1e4), (100, 0, 1)]
    return named("pred target concentration", edges, spread(rng, n), spread(rng, n), positive(rng, n))


def fractions(rng: Any, n: int) -> Inputs:
    """The logit of a mean, a fraction and a concentration."""
    edges = [(0, 0.5, 10), (1, 0.25, 1), (-3, 1e-9, 2), (3, 1 - 2**-20, 50), (8, 0.75, 1e3), (0, 0.5, 1e-3)]
    return named("pred target concentration", edges, spread(rng, n, 2), unit(rng, n), positive(rng, n))


def log_counts(rng: Any, n: int) -> Inputs:
    edges = [(p, t) for p in (0, 1, -20, 20, -300, 300) for t in (0, 1, 7)]
    return named("pred target", edges, spread(rng, n, 2), rng.poisson(3, n))


def gates(rng: Any, n: int) -> Inputs:
    """The logarithm of a mean, a count, the logit of an excess of zeros."""
    edges = [(p, t, g) for p in (0, 1, -10, 5) for t in (0, 1, 7) for g in (0, -3, 10)]
    counts = rng.poisson(3, n) * rng.integers(0, 2, n)
    return named("pred target gate", edges, spread(rng, n, 2), counts, spread(rng, n, 2))


def trials(rng: Any, n: int) -> Inputs:
    edges = [(p, t, f) for p in (0, 1, -20, 20, 800, -800) for t, f in ((0, 0), (0, 1), (3, 0), (2, 5))]
    return named("pred target failures", edges, spread(rng, n), rng.poisson(3, n), rng.poisson(3, n))


def normals(rng: Any, n: int) -> Inputs:
    """Mean and logarithm of the variance."""
    edges = [(0, 0), (1, 0), (0, 1), (1e-9, 1e-9), (0, 1e-5), (40, -40), (1, 300), (1, -300), (1e100, 2)]
    return named("pred log_var", edges, spread(rng, n), spread(rng, n, 2))


def intervals(rng: Any, n: int) -> Inputs:
    edges = [(0, 0, 0), (-1, 0, 1), (0, 0, 1), (0, 1, 1), (0, -1, 1), (0, 2, 1), (-1e160, 1, 1e160)]
    lower = spread(rng, n)
    return named("pred target upper", edges, lower, spread(rng, n), lower + positive(rng, n))


def components(rng: Any, n: int) -> Inputs:
    """Three normal distributions, mixed."""
    size = (n, 3)
    means = joined([[0, 0, 0], [0, 5, -5], [40, 60, -80], [1, 2, 3]], spread(rng, size))
    shares = joined([[0, 0, 0], [0, -30, 2], [1, 2, 3], [800, 0, -800]], spread(rng, size))
    scales = joined([[1, 1, 1], [0.5, 1, 2], [1, 0.125, 1], [1e-3, 1, 1e3]], positive(rng, size))
    return {"pred": means, "target": joined([0, 1, 0, 2], spread(rng, n)), "logits": shares, "scale": scales}


def members(rng: Any, n: int) -> Inputs:
    """An ensemble, and what happened."""
    pred = joined([[0] * 5, [1, 2, 3, 4, 5], [1, 1, 2, 2, 3], [-1e9, 0, 1, 2, 1e9]], spread(rng, (n, 5)))
    return {"pred": pred, "target": joined([0, 3, 0, 0.5], spread(rng, n))}


def quantiles(rng: Any, n: int) -> Inputs:
    drawn = members(rng, n)
    return {"pred": np.sort(drawn["pred"]), "target": drawn["target"]}


def bins(rng: Any, n: int) -> Inputs:
    """Logits of the numbers 0 to 4, and a number between."""
    target = np.minimum(rng.integers(0, 4 * 256, n) / 256, 3.75)
    edges = row_edges()[:5]
    return {"pred": joined(edges, spread(rng, (n, CLASSES))), "target": joined([0, 1, 0.5, 3.75, 2], target)}


def levels(rng: Any, n: int) -> Inputs:
    """Logits of four thresholds, and a label from 0 to 4."""
    edges = [[0] * 4, [800, 0, 1, -800], [40, 20, -20, -40], [-40, -20, 20, 40], [INF, 0, 0, 0], [NAN, 0, 0, 0]]
    labels = np.concatenate([[2, 1, 0, 4, 2, 1], rng.integers(0, CLASSES, n)])
    return {"pred": joined(edges, spread(rng, (n, 4))), "target": labels}


def labelled_vectors(rng: Any, n: int) -> Inputs:
    drawn = vectors(rng, n)
    return {**drawn, "label": 2.0 * (np.arange(len(drawn["pred"])) % 2) - 1}


def samples(rng: Any, n: int) -> Inputs:
    """Of six members: logarithm of the hazard, the time until which each was seen, whether it happened then."""
    size = (n, 6)
    edges = [[0] * 6, [1, 2, 3, 4, 5, 6], [40, 0, -40, 0, 1, 2], [0] * 6, [3, 1, 0, 2, 1, -1]]
    until = [[1, 2, 3, 4, 5, 6], [1, 1, 1, 2, 2, 2], [3, 2, 1, 1, 2, 3], [2] * 6, [1, 2, 3, 4, 5, 6]]
    happened = [[1] * 6, [1, 0, 1, 1, 1, 0], [0, 1, 1, 0, 1, 1], [1] * 6, [0, 0, 0, 0, 0, 1]]
    pred = joined(edges, spread(rng, size))
    times = joined(until, rng.integers(1, 6, size))
    events = joined(happened, rng.integers(0, 2, size))
    events[:, 0] = np.where(events.any(-1), events[:, 0], 1)
    return {"pred": pred, "target": times, "event": events}


def moderate_samples(rng: Any, n: int) -> Inputs:
    """No two of the random times are the same."""
    n //= 2
    drawn = samples(rng, n)
    drawn["target"][len(drawn["target"]) - n :] = rng.permuted(np.tile(np.arange(1.0, 7), (n, 1)), axis=-1)
    return {**drawn, "pred": np.clip(drawn["pred"], -8, 8)}


def times(rng: Any, n: int) -> Inputs:
    """Logarithm of a time, and bounds of it: known, from below, from above, from both sides."""
    edges = [(0, 1, 1), (1, 1, 1), (0, 1, INF), (2, 1, INF), (-1, 1, INF), (0, 0, 1), (1, 0, 1), (0, 1, 2), (1, 0.5, 4)]
    edges += [(-6, 1, 2), (-6, 1, INF), (6, 0, 1), (-2, 16, 16), (-2, 16, INF), (2, 0, 0.0625), (2, 0.03125, 0.0625)]
    edges += [(2, 0.25, 0.3125), (2, 2**-8, 2**-7)]
    low = positive(rng, n)
    high = np.select([np.arange(n) % 4 == k for k in range(3)], [low, np.full(n, INF), low * 2], low * 1.25)
    return named("pred target upper", edges, spread(rng, n, 2), low, high)


def moderate_times(rng: Any, n: int) -> Inputs:
    drawn = times(rng, n)
    return {**drawn, "pred": np.clip(drawn["pred"], -2, 2)}


KINDS: dict[str, Callable[[Any, int], Inputs]] = {
    "reals": reals,
    "finite": finite,
    "far": far,
    "margins": labels_of((-1, 1)),
    "margins 0/1": labels_of((0, 1)),
    "finite margins": labels_of((-1, 1), [0, 1, -1, 0.5, 1e-9, 20, -20, 40, -40, 800, -800]),
    "finite margins 0/1": labels_of((0, 1), [0, 1, -1, 0.5, 1e-9, 20, -20, 40, -40, 800, -800]),
    "logits": logits,
    "logits 0/1": labels_of((0, 1), LOGIT_EDGES),
    "probabilities": probabilities,
    "hard probabilities": hard,
    "probability labels": probability_labels,
    "hot pairs": hot_pairs,
    "chosen": chosen,
    "one distribution": one_distribution,
    "plain labels one-hot": plain_hot,
    "labels": labelled,
    "finite labels": finite_labelled,
    "distributions": distributions,
    "plain labels": plain_rows,
    "plain distributions": plain_distributions,
    "multilabel": multilabel,
    "distribution pairs": distribution_pairs,
    "inner pairs": inner_pairs,
    "log pairs": log_pairs,
    "log labels": log_labelled,
    "both logs": both_logs,
    "vectors": vectors,
    "log rates": log_rates,
    "rates": rates,
    "log means": log_means,
    "moderate": moderate([(0, 0), (1, 0), (-1, 0), (0, 1.5), (20, 0), (-300, 0), (1e-3, 0)], spread),
    "moderate logits": moderate([(p, t) for p in (0, 1, -10, 10) for t in (0, 1, 0.25)], unit),
    "moderate margins 0/1": moderate(
        [(p, t) for p in (0, 1, -1, -10, 10) for t in (0, 1)], lambda g, n: g.integers(0, 2, n)
    ),
    "moderate log rates": moderate([(p, t) for p in (0, 1, -10, 10) for t in (0, 1, 7)], lambda g, n: g.poisson(3, n)),
    "moderate log means": moderate([(p, t) for p in (0, 1, -10, 10) for t in (1, 1e-3, 1e3)], positive),
    "moderate positives": moderate_positives,
    "squares": squares,
    "positives": positives,
    "plain positives": plain_positives,
    "variances": variances,
    "scales": scales,
    "scales and df": dfs,
    "log scales": log_scales,
    "shapes": shapes,
    "angles": angles,
    "fractions": fractions,
    "log counts": log_counts,
    "gates": gates,
    "trials": trials,
    "normals": normals,
    "intervals": intervals,
    "components": components,
    "members": members,
    "quantiles": quantiles,
    "bins": bins,
    "levels": levels,
    "labelled vectors": labelled_vectors,
    "samples": samples,
    "moderate samples": moderate_samples,
    "times": times,
    "moderate times": moderate_times,
}

# Their targets are integers.
LABELLED = ("probability labels", "labels", "finite labels", "plain labels", "log labels", "levels")


def batch(kind: str, n: int, seed: int = 0) -> Inputs:
    """All edges, and n random units."""
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode())])
    return {name: np.asarray(a) for name, a in KINDS[kind](rng, n).items()}


def rounded(inputs: Inputs, dtype: str) -> Inputs:
    """Numbers that the peer's type has; float64 again, so that lossfn gets the very same."""
    with np.errstate(over="ignore", under="ignore"):
        return {k: a.astype(dtype).astype(float) if a.dtype.kind == "f" else a for k, a in inputs.items()}
