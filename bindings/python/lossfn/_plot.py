# SPDX-License-Identifier: MIT
"""Curves of losses, computed by the library and drawn as SVG without any other package."""

from __future__ import annotations

import html
import math
import warnings
import zlib
from array import array
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from . import _core
from ._errors import ArgumentError, Error, NotFoundError
from ._loss import Loss, create
from ._native import fill

_POINTS = 401
_WIDTH, _HEIGHT = 300, 230  # of a panel
_LEFT, _TOP, _RIGHT, _BOTTOM = 46, 34, 10, 38  # margins around its axes
_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccaa22", "#66ccee", "#aa3377", "#999999")

# Text and axes are grey enough for either background; the media query makes them right where it is honoured.
_STYLE = """.lossfn text{font:11px system-ui,sans-serif;fill:#57606a}.lossfn .title{font-size:13px;font-weight:600}
.lossfn .axis{stroke:#8c959f;stroke-width:1;fill:none}.lossfn .grid{stroke:#8c959f;stroke-opacity:.25}
.lossfn .curve{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
@media (prefers-color-scheme:dark){.lossfn text{fill:#adbac7}}"""


@dataclass(frozen=True)
class Curve:
    """One line of a panel: y is NaN where there is nothing to draw."""

    label: str
    x: list[float]
    y: list[float]
    colour: str


@dataclass(frozen=True)
class Plot:
    """A drawing: shown in notebooks, saved by save(path), as text in `svg`."""

    svg: str
    panels: dict[str, list[Curve]]
    axis: str  # what x is

    def save(self, path: str | PathLike[str]) -> None:
        """Writes the SVG to a file."""
        Path(path).write_text(self.svg, encoding="utf-8")

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        labels = [curve.label for curve in self.panels.get("value", [])]
        return f"<lossfn.Plot of {', '.join(labels)}; .save('plot.svg') writes it>"


def _grid(low: float, high: float) -> list[float]:
    return [low + (high - low) * i / (_POINTS - 1) for i in range(_POINTS)]


def _data(loss: Loss) -> tuple[str, list[float], list[Any], int]:
    """What to draw a loss over: the label of the axis, its ticks' range, the inputs, and columns of pred."""
    scales: dict[str, int] = {}
    per_row: set[str] = set()
    traits = 0
    for c in range(_core.component_count(loss._handle)):
        try:
            name = _core.component_name(loss._handle, c)
            info = fill("info", _core.describe, name)
            traits |= info["traits"]
            for i in range(info["n_inputs"]):
                entry = fill("input_info", _core.describe_input, name, i)
                if not entry["learnable"]:
                    scales.setdefault(entry["name"], entry["scale"])
                if entry["per_row"]:
                    per_row.add(entry["name"])
        except NotFoundError:
            pass
    names = [name for name in loss.inputs if name not in loss._learnable]
    pred, target = scales.get(names[0], _core.SCALE_REAL), scales.get("target", _core.SCALE_REAL)
    rows = _core.unit(loss._handle) == _core.UNIT_ROW
    wide = traits & _core.TRAIT_DISTANCE == 0
    if pred in (_core.SCALE_PROBABILITY, _core.SCALE_LOG_PROBABILITY):
        x, label = _grid(0.002, 0.998), "predicted probability"
        aim = 1.0
    elif pred == _core.SCALE_LOGITS:
        x, label, aim = _grid(-5, 5), "logit of the true class", 1.0
    elif rows and target == _core.SCALE_LABEL:
        x, label, aim = _grid(-3, 3), "score of the true class", 1.0
    elif target == _core.SCALE_MARGIN_LABEL:
        x, label, aim = _grid(-3, 3), "margin, target × pred", 1.0
    elif pred == _core.SCALE_POSITIVE:
        x, label, aim = _grid(0.02, 4), "pred, target 1", 1.0
    elif target == _core.SCALE_COUNT:
        x, label, aim = _grid(-2, 3), "pred, target 2", 2.0
    elif rows:
        x, label, aim = _grid(-3, 3), "x, pred (x, 1 − x)", 0.0
    elif wide and "target" in names:  # its size counts
        x, label, aim = _grid(-0.96, 4), "pred, target 1", 1.0
    else:
        x, label, aim = _grid(-3, 3), "pred" if wide else "pred − target", 0.0
    if not rows:
        rest = [array("d", [aim if name == "target" else 1.0]) * _POINTS for name in names[1:]]
        if pred == _core.SCALE_LOGITS and target == _core.SCALE_PROBABILITY and not _drawable(loss, x, rest):
            label, rest[0] = "logit of the mean, target 0.75", array("d", [0.75]) * _POINTS
        return label, x, [array("d", x), *rest], 1
    return label, x, _row_inputs(x, names, scales, per_row), 2


def _drawable(loss: Loss, x: list[float], rest: list[Any]) -> bool:
    """Whether the loss is a number there: to some that are about shares a label is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return math.isfinite(loss(array("d", x), *rest, reduction="sum"))


def _table(first: list[float], second: list[float]) -> Any:
    both = array("d", [number for pair in zip(first, second) for number in pair])
    return memoryview(both).cast("B").cast("d", [_POINTS, 2])


def _row_inputs(x: list[float], names: list[str], scales: dict[str, int], per_row: set[str]) -> list[Any]:
    """Rows of two classes, of which the first has pred x."""
    pred = scales.get(names[0], _core.SCALE_REAL)
    if pred == _core.SCALE_LOG_PROBABILITY:
        inputs = [_table([math.log(p) for p in x], [math.log1p(-p) for p in x])]
    else:
        other = 0.5 if pred == _core.SCALE_POSITIVE else 0.0
        inputs = [_table(x, [1 - p if pred == _core.SCALE_PROBABILITY else other for p in x])]
    for name in names[1:]:
        if name in per_row:
            aim = 1.0 if scales.get(name) == _core.SCALE_MARGIN_LABEL else 0.0
            inputs.append(array("d", [aim]) * _POINTS)
        elif scales.get(name) == _core.SCALE_LABEL:
            inputs.append(array("q", [0]) * _POINTS)
        else:
            share = 0.5 if name == "target" else 1.0  # a distribution
            inputs.append(_table([share] * _POINTS, [share] * _POINTS))
    return inputs


def _numbers(result: Any, columns: int) -> list[float]:
    values = result.tolist()
    return [float(v[0] if columns > 1 and isinstance(v, list) else v) for v in values]


def _curves(loss: Loss, label: str, colour: str) -> tuple[str, dict[str, Curve]]:
    axis, x, inputs, columns = _data(loss)
    curves = {"value": Curve(label, x, _numbers(loss(*inputs, reduction="none"), 1), colour)}
    for panel, verb in (("gradient", loss.grad), ("Hessian", loss.hess)):
        try:
            options = {"wrt": loss.inputs[0]} if panel == "gradient" else {}
            curves[panel] = Curve(label, x, _numbers(verb(*inputs, reduction="none", **options), columns), colour)
        except (Error, NotImplementedError):
            pass
    return axis, curves


def _ticks(low: float, high: float) -> list[float]:
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (factor * step) <= 5)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def _limits(curves: list[Curve]) -> tuple[float, float]:
    """The range of y: all of it, unless a pole at an end of the axis would leave nothing to see of the rest."""
    ys = sorted(y for curve in curves for y in curve.y if math.isfinite(y))
    if not ys:
        return 0.0, 1.0
    low, high = ys[0], ys[-1]
    inner_low, inner_high = ys[len(ys) // 50], ys[-1 - len(ys) // 50]
    spread = max(inner_high - inner_low, 1e-6)
    low, high = max(low, inner_low - spread / 4), min(high, inner_high + spread / 4)
    low, high = min(low, 0.0), max(high, 0.0)  # the zero line is always seen
    pad = max((high - low) * 0.06, 1e-3)
    return low - (pad if low < 0 else 0), high + pad


def _panel(title: str, axis: str, curves: list[Curve], left: int, key: str) -> list[str]:
    low, high = _limits(curves)
    x_low, x_high = min(c.x[0] for c in curves), max(c.x[-1] for c in curves)
    width, height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def at(x: float, y: float) -> tuple[float, float]:
        return (_LEFT + (x - x_low) / (x_high - x_low) * width, _TOP + (high - y) / (high - low) * height)

    parts = [f'<g transform="translate({left})">', f'<text class="title" x="{_LEFT}" y="{_TOP - 12}">{title}</text>']
    for tick in _ticks(x_low, x_high):
        x, _ = at(tick, low)
        parts.append(f'<path class="grid" d="M{x:.1f} {_TOP}v{height}"/>')
        parts.append(f'<text x="{x:.1f}" y="{_TOP + height + 15}" text-anchor="middle">{tick:g}</text>')
    for tick in _ticks(low, high):
        _, y = at(x_low, tick)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}h{width}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    _, zero = at(x_low, 0.0)
    parts.append(f'<path class="axis" d="M{_LEFT} {_TOP}v{height}M{_LEFT} {zero:.1f}h{width}"/>')
    parts.append(
        f'<text x="{_LEFT + width / 2}" y="{_HEIGHT - 6}" text-anchor="middle">{html.escape(axis)}</text>'
        f'<clipPath id="{key}"><rect x="{_LEFT}" y="{_TOP}" width="{width}" height="{height}"/></clipPath>'
        f'<g clip-path="url(#{key})">'
    )
    for curve in curves:
        path, pen = [], "M"
        for x, y in zip(curve.x, curve.y):
            if not math.isfinite(y):
                pen = "M"
                continue
            # Far outside is outside: keeps the numbers short.
            px, py = at(x, min(max(y, low - 10 * (high - low)), high + 10 * (high - low)))
            path.append(f"{pen}{px:.1f} {py:.1f}")
            pen = "L"
        parts.append(f'<path class="curve" stroke="{curve.colour}" d="{"".join(path)}"/>')
    return [*parts, "</g></g>"]


def plot(*specs: str | Loss) -> Plot:
    """Value, gradient and Hessian of one or several losses side by side, drawn as SVG: over the residual, the margin,
    the logit or the probability, whichever the losses take."""
    if not specs:
        raise ArgumentError("plot needs at least one loss: lossfn.plot('huber', 'mae')")
    panels: dict[str, list[Curve]] = {}
    axes: list[str] = []
    labels: list[str] = []
    for spec in specs:
        loss = create(spec)
        axis, curves = _curves(loss, loss.spec, _COLOURS[len(labels) % len(_COLOURS)])
        labels.append(loss.spec)
        if axis not in axes:
            axes.append(axis)
        for panel, curve in curves.items():
            panels.setdefault(panel, []).append(curve)
    width = _WIDTH * len(panels)
    height = _HEIGHT + 22
    name = html.escape(", ".join(labels))
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="lossfn" {size} role="img" aria-label="{name}">',
        f"<title>{name}</title><style>{_STYLE}</style>",
    ]
    for i, (title, curves_) in enumerate(panels.items()):
        # Ids are global in a page: different drawings must differ in them, equal ones stay equal.
        key = f"lossfn{zlib.crc32(name.encode()):x}{i}"
        parts += _panel(title, " / ".join(axes), curves_, i * _WIDTH, key)
    x = float(_LEFT)
    for i, label in enumerate(labels):
        parts.append(f'<path class="curve" stroke="{_COLOURS[i % len(_COLOURS)]}" d="M{x:.0f} {_HEIGHT + 8}h18"/>')
        parts.append(f'<text x="{x + 24:.0f}" y="{_HEIGHT + 12}">{html.escape(label)}</text>')
        x += 44 + 6.4 * len(label)
    return Plot("\n".join([*parts, "</svg>"]), panels, " / ".join(axes))
