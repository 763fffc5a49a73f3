# SPDX-License-Identifier: MIT
"""The pictures of docs/bench.md: SVG, readable on light and dark pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import peers
from results import LARGE, SIZES, WANTS, Results, best, meant, ratio, share_of_limit, size, unique

matplotlib.use("svg")
from matplotlib import pyplot

COLOURS = {
    "lossfn": "#4477aa",
    "torch": "#ee6677",
    "compile": "#aa3377",
    "jax": "#228833",
    "sklearn": "#ccaa22",
    "numpy": "#66ccee",
}
MARKS = {"torch": "o", "compile": "s", "jax": "D", "sklearn": "^", "numpy": "v", "lossfn": "o"}
GREY = "#6e7781"  # is read on white as on black
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "lossfn",
    "font.family": "sans-serif",
    "font.sans-serif": ["system-ui", "DejaVu Sans"],
    "font.size": 9,
    "text.color": GREY,
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "axes.titlecolor": GREY,
    "axes.titleweight": "bold",
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GREY,
    "grid.alpha": 0.25,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


def draw(results: Results, folder: Path) -> list[Path]:
    """Draws what was measured; the files that were made."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    with pyplot.rc_context(STYLE):
        for name, make in (("limit", limit), ("peers", beside_peers), ("scaling", scaling)):
            figure = make(results)
            if figure is None:
                continue
            path = folder / f"bench-{name}.svg"
            figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight")
            pyplot.close(figure)
            made.append(path)
    return made


def limit(results: Results) -> Any:
    """For each loss how near it comes to a kernel that only moves its bytes."""
    losses = unique(r["loss"] for r in results.native("limit", dtype="f32"))
    if not losses:
        return None
    figure, axes = pyplot.subplots(figsize=(8, 0.28 * len(losses) + 1.4))
    for k, (want, words) in enumerate(WANTS.items()):
        shares = []
        for loss in losses:
            found = next(results.native("limit", dtype="f32", loss=loss, want=want), None)
            shares.append(share_of_limit(found) if found else float("nan"))
        places = [i + 0.22 * (k - 1) for i in range(len(losses))]
        axes.barh(places, shares, 0.2, label=words, color=("#66ccee", "#4477aa", "#aa3377")[k])
    axes.axvline(1, color=GREY, linewidth=1)
    axes.axvline(0.9, color=GREY, linewidth=1, linestyle=":")
    axes.set_yticks(range(len(losses)), losses)
    axes.grid(axis="y", visible=False)
    axes.set_ylim(len(losses) - 0.5, -0.5)
    axes.set_xlabel("speed over that of a bare kernel that moves the same bytes (dotted: 0.9)")
    axes.set_title("How near to the memory's limit: 16 Mi elements of float32, one thread", loc="left")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.02 + 0.5 / len(losses)), ncols=3)
    return figure


def beside_peers(results: Results) -> Any:
    """Ratios by loss, on a logarithmic axis."""
    records = [
        r
        for r in results.find(kind="case", want="value_grad", dtype="float32", allocator="recycled", threads=1)
        if len(r["times"]) > 1
    ]
    largest = max((r["elements"] for r in records), default=0)
    records = [r for r in records if r["elements"] > 0.8 * largest and r["elements"] > 0.8 * LARGE]
    if not records:
        return None
    figure, axes = pyplot.subplots(figsize=(8, 0.26 * len(records) + 1.4))
    for key, heading in peers.headings().items():
        points = [(found, i) for i, r in enumerate(records) if (found := ratio(r, key))]
        if points:
            axes.plot(*zip(*points), MARKS[key], color=COLOURS[key], label=heading, markersize=5, alpha=0.9)
    axes.axvline(1, color=COLOURS["lossfn"], linewidth=1.5)
    axes.set_xscale("log")
    ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200) if axes.get_xlim()[0] <= t <= axes.get_xlim()[1]]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    axes.set_yticks(range(len(records)), [r["case"] for r in records])
    axes.set_ylim(len(records) - 0.5, -0.5)
    axes.set_xlabel("times as long as lossfn takes (right of the line: slower than lossfn)")
    axes.set_title(
        f"Value and gradient of {size(largest)} elements of float32, one thread, allocations recycled", loc="left"
    )
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.02 + 0.5 / len(records)), ncols=5)
    return figure


SHOWN = ("mse", "bce_with_logits", "barron", "cross_entropy")


def scaling(results: Results) -> Any:
    """Time per element over the number of elements, for a few losses that differ."""
    records = list(results.find(kind="case", want="value_grad", dtype="float32", allocator="recycled", threads=1))
    known = [r["case"] for r in records]
    losses = [name for name in SHOWN if name in known] or unique(known)[:1]
    if not losses:
        return None
    drawn: dict[str, Any] = {}
    figure, all_axes = pyplot.subplots(1, len(losses), figsize=(2.6 * len(losses) + 1, 3), sharey=True, squeeze=False)
    for axes, loss in zip(all_axes[0], losses):
        some = sorted((r for r in records if r["case"] == loss and meant(r) in SIZES), key=meant)
        for key, heading in {**peers.headings(), "lossfn": "lossfn"}.items():
            points = [(meant(r), t / r["elements"] * 1e9) for r in some if (t := best(r, key))]
            if points and key in COLOURS:
                (drawn[heading],) = axes.plot(*zip(*points), marker=MARKS[key], color=COLOURS[key], markersize=4)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks([meant(r) for r in some], [size(meant(r)) for r in some], rotation=45)
        axes.minorticks_off()
        axes.set_title(loss, loc="left")
        axes.set_xlabel("elements")
    all_axes[0][0].set_ylabel("ns per element")
    figure.legend(drawn.values(), drawn.keys(), loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=6)
    return figure
