# SPDX-License-Identifier: MIT
"""Trains small models on real data with losses from lossfn, in under a minute: sh cmake/bootstrap demo"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the models are small

import lossfn
import numpy as np
from data import FOLDER, load, slip_decimal_points, standardise
from pictures import draw_curve, draw_lines, draw_losses, draw_mistakes
from train import Network, fit_line, fit_linear, fit_logistic, fit_network, with_ones

EXAMPLES = Path(__file__).resolve().parent.parent

Row = tuple[str, str, str]  # task, loss, held-out result


def say(text: str) -> None:
    print(text, flush=True)


def regression(folder: Path) -> Iterator[Row]:
    """Food expenditure by income, where 15 % of the training targets have a slipped decimal point."""
    data = load("engel.csv", held_out=0.3)
    x, y, x_test, y_test = data.x[:, 0] / 100, data.y / 100, data.x_test[:, 0] / 100, data.y_test / 100
    wrong = slip_decimal_points(y, share=0.15)
    centre, spread = x.mean(), x.std()
    lines = {}
    for spec in ("mse", "mae", "huber(delta=0.5)", "barron_nll"):
        fitted = fit_line(lossfn.create(spec), (x - centre) / spread, y)
        slope = fitted.slope / spread
        lines[spec] = (slope, fitted.intercept - slope * centre)
        error = 100 * lossfn.mae(lines[spec][0] * x_test + lines[spec][1], y_test)
        learned = (
            "" if fitted.alpha is None else f"; it learned alpha {fitted.alpha:.2f}, scale {100 * fitted.scale:.0f}"
        )
        say(f"  {spec:18} food = {slope:.3f} income {100 * lines[spec][1]:+5.0f}{learned}")
        yield "food by income, 15 % of targets wrong", spec, f"off by {error:.0f} francs on average"
    draw_lines((x, y, x_test, y_test), wrong, lines, folder)


def classification() -> Iterator[Row]:
    """Malignant or benign, from 30 measurements of cell nuclei."""
    data = standardise(load("breast_cancer.csv", held_out=0.3))
    x_test = with_ones(data.x_test)

    weights, steps = fit_logistic(lossfn.bce_with_logits, data.x, data.y)
    logits = x_test @ weights
    accuracy = ((logits > 0) == data.y_test).mean()
    bits = lossfn.bce_with_logits(logits, data.y_test, base=2)
    say(f"  {'bce_with_logits':18} {steps} steps of Newton's method with its Hessian")
    yield "malignant or benign", "bce_with_logits", f"{100 * accuracy:.1f} % right, {bits:.3f} bits per tumour"

    weights = fit_linear(lossfn.create("hinge(labels=01)"), data.x, data.y)
    accuracy = ((x_test @ weights > 0) == data.y_test).mean()
    say(f"  {'hinge':18} 400 gradient steps")
    yield "malignant or benign", "hinge", f"{100 * accuracy:.1f} % right"


def digits(folder: Path) -> Iterator[Row]:
    """Ten handwritten digits of 8 x 8 pixels, by a network with one hidden layer."""
    raw = load("digits.csv.gz", held_out=0.3)
    x, x_test = (raw.x / 16).astype(np.float32), (raw.x_test / 16).astype(np.float32)
    y, y_test = raw.y.astype(np.int64), raw.y_test.astype(np.int64)
    network = Network(64, 48, 10)

    def report(epoch: int, line: Sequence[float]) -> None:
        if epoch in (1, 2, 5) or epoch % 10 == 0:
            say(f"  epoch {epoch:2}: {line[0]:.4f} bits training, {line[1]:.4f} held out, {100 * line[2]:.1f} % right")

    loss = lossfn.create("cross_entropy(base=2)")
    curve = fit_network(network, loss, (x, y, x_test, y_test), epochs=40, report=report)
    draw_curve(curve, folder)
    draw_mistakes(x_test, y_test, network.logits(x_test), folder)
    result = f"{100 * curve[-1].accuracy:.1f} % right, {curve[-1].test_loss:.3f} bits per digit"
    yield "ten handwritten digits", "cross_entropy", result


def three_languages(folder: Path) -> Iterator[Row]:
    """The same robust regression from C (built here against the installed library), Python and Lua."""
    spec = "huber(delta=0.5)"
    build = folder / "c"
    for command in (["cmake", "-S", EXAMPLES / "c", "-B", build], ["cmake", "--build", build]):
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode:
            sys.exit(f"the C example does not build:\n{run.stdout}{run.stderr}")
    lua = next(name for name in ("lua5.4", "lua5.3", "lua5.2", "lua5.1", "luajit", "lua") if shutil.which(name))
    commands = {
        "C": [build / "regression"],
        "Python": [sys.executable, EXAMPLES / "python" / "regression.py"],
        "Lua": [lua, EXAMPLES / "lua" / "regression.lua"],
    }
    printed = {}
    for language, command in commands.items():
        run = subprocess.run([*command, FOLDER / "engel.csv", spec], capture_output=True, text=True)
        if run.returncode:
            sys.exit(f"the example in {language} failed:\n{run.stdout}{run.stderr}")
        printed[language] = run.stdout
        say("\n".join(f"  {language:6}  {line}" for line in run.stdout.splitlines()))
    if len(set(printed.values())) != 1:
        sys.exit("the three languages do not print the same:\n" + "\n".join(printed.values()))
    yield "food by income in C, Python and Lua", spec, "the same to the last digit"


def table(rows: Sequence[Row]) -> str:
    head = ("task", "loss", "on held-out data")
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(3)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in (head, *rows)]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("build/demo"), help="folder for the pictures")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    say(f"lossfn {lossfn.__version__}, {lossfn.isa()}, {lossfn.num_threads()} threads")

    rows: list[Row] = []
    for title, part in (
        ("a regression with wrong targets", regression(folder)),
        ("a binary classification", classification()),
        ("ten classes", digits(folder)),
        ("one regression, three languages", three_languages(folder)),
    ):
        say(f"\n{title}")
        rows += part
    say("\neach loss with its gradient and its Hessian: drawing")
    draw_losses(lossfn.names(), folder)

    say(f"\n{table(rows)}\n")
    (folder / "results.txt").write_text(table(rows) + "\n", encoding="utf-8")
    say("pictures:")
    for path, what in (
        ("losses.png", "each loss with its gradient and its Hessian"),
        ("losses/*.svg", "the same, a file for each loss"),
        ("regression.png", "the fits to corrupted targets"),
        ("digits.png", "the digits' learning curve"),
        ("digits_worst.png", "the held-out digits that cost most"),
    ):
        say(f"  {folder / path}: {what}")
    say(f"done in {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
