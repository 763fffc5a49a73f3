# SPDX-License-Identifier: MIT
"""The demo's pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import lossfn
import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt

BLUE, RED, GREEN, GREY = "#4477aa", "#ee6677", "#228833", "#8c959f"
COLOURS = (RED, GREEN, BLUE, "#aa3377")

plt.rcParams.update(
    {
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": GREY,
        "axes.labelcolor": "#57606a",
        "xtick.color": "#57606a",
        "ytick.color": "#57606a",
        "axes.grid": True,
        "grid.color": "#d8dee4",
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "savefig.dpi": 130,
        "figure.constrained_layout.use": True,
    }
)

CURVES = {"value": (BLUE, "-", 2.2), "gradient": (RED, "-", 1.5), "Hessian": (GREEN, (0, (4, 2)), 1.5)}


def limits(value: Sequence[float], curves: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The range of y: all of the value and of its derivatives, unless they have poles and would leave nothing to see."""
    numbers = [np.asarray(curve)[np.isfinite(curve)] for curve in [value, *curves]]
    room = 1.5 * max(numbers[0].max(initial=1.0), 1.0)
    low = max(min(curve.min(initial=0.0) for curve in numbers[1:]), -room)
    high = min(max(curve.max(initial=0.0) for curve in numbers[1:]), room)
    low, high = min(low, 0.0), max(high, 0.0)
    pad = 0.06 * (high - low)
    return low - pad, high + pad


def draw_losses(names: Sequence[str], folder: Path) -> Path:
    """Each loss with its gradient and its Hessian: all on one sheet, and one SVG by lossfn.plot() for each."""
    (folder / "losses").mkdir(exist_ok=True)
    columns = 4
    rows = -(-(len(names) + 1) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(3.1 * columns, 2.35 * rows))
    for ax, name in zip(axes.flat, names):
        drawing = lossfn.plot(name)
        drawing.save(folder / "losses" / f"{name}.svg")
        ax.axhline(0, color=GREY, linewidth=0.8)
        for panel, lines in drawing.panels.items():
            colour, style, width = CURVES[panel]
            ax.plot(lines[0].x, lines[0].y, color=colour, linestyle=style, linewidth=width)
        ax.set_ylim(*limits(drawing.panels["value"][0].y, [lines[0].y for lines in drawing.panels.values()]))
        ax.set_title(name)
        ax.set_xlabel(drawing.axis)
        ax.margins(x=0)
    rest = list(axes.flat)[len(names) :]
    for ax in rest:
        ax.axis("off")
    for panel, (colour, style, width) in CURVES.items():
        rest[0].plot([], [], color=colour, linestyle=style, linewidth=width, label=panel)
    rest[0].legend(loc="center", fontsize=12)
    return save(figure, folder / "losses.png")


def draw_lines(data: tuple[np.ndarray, ...], wrong: np.ndarray, lines: dict[str, tuple], folder: Path) -> Path:
    """The fits to corrupted targets: all points on the left, where the line should be on the right."""
    x, y, x_test, y_test = data
    right = np.delete(np.arange(len(x)), wrong)
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.4), width_ratios=(1, 1.5))
    ends = np.array([0, x.max() * 1.05])
    for ax in axes:
        ax.scatter(x[right], y[right], s=13, color=GREY, alpha=0.7, linewidth=0, label="training data")
        ax.scatter(x[wrong], y[wrong], s=26, color="black", marker="x", linewidth=1, label="decimal point slipped")
        for (name, line), colour, style in zip(lines.items(), COLOURS, ("-", "--", "-", "--")):
            ax.plot(ends, line[0] * ends + line[1], color=colour, linestyle=style, linewidth=2, label=name)
        ax.set_xlim(0, ends[1])
        ax.set_xlabel("income, hundreds of francs")
    axes[0].set_ylabel("food, hundreds of francs")
    axes[0].set_title("What the losses are given")
    axes[0].set_ylim(0, None)
    axes[1].set_title("Enlarged, with the held-out households")
    axes[1].scatter(x_test, y_test, s=16, facecolor="none", edgecolor="black", linewidth=0.6, label="held out")
    axes[1].set_ylim(0, 1.15 * max(y[right].max(), y_test.max()))
    axes[1].legend(loc="upper left", ncols=2)
    return save(figure, folder / "regression.png")


def draw_curve(curve: Sequence[tuple[float, float, float]], folder: Path) -> Path:
    """Cross entropy and accuracy over the epochs of the digits."""
    train, test, accuracy = np.array(curve).T
    epochs = np.arange(1, len(train) + 1)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
    left.plot(epochs, train, color=BLUE, linewidth=2, label="training")
    left.plot(epochs, test, color=RED, linewidth=2, label="held out")
    left.set_yscale("log")
    left.set_title("Cross entropy, bits per digit")
    left.legend()
    right.plot(epochs, 100 * accuracy, color=RED, linewidth=2)
    right.set_title("Held-out digits recognised, %")
    for ax in (left, right):
        ax.set_xlabel("epoch")
        ax.set_xlim(1, len(train))
    return save(figure, folder / "digits.png")


def draw_mistakes(images: np.ndarray, labels: np.ndarray, logits: np.ndarray, folder: Path) -> Path:
    """The held-out digits that cost most."""
    cost = lossfn.cross_entropy(logits, labels, reduction="none", base=2)
    worst = np.argsort(-cost)[:12]
    figure, axes = plt.subplots(2, 6, figsize=(9, 3.4))
    for ax, i in zip(axes.flat, worst):
        ax.imshow(images[i].reshape(8, 8), cmap="Greys")
        ax.set_title(f"{labels[i]} as {logits[i].argmax()}: {cost[i]:.1f} bits", fontsize=8)
        ax.axis("off")
    return save(figure, folder / "digits_worst.png")


def save(figure: plt.Figure, path: Path) -> Path:
    figure.savefig(path)
    plt.close(figure)
    return path
