# SPDX-License-Identifier: MIT
"""Robust linear regression: python regression.py DATA.csv SPEC, as in python regression.py engel.csv "huber(delta=0.5)"

DATA.csv has a line of names, then numbers; the last column is the target. Columns are standardised, 200 steps of gradient
descent fit the rest, and what is printed is in the units of the file. docs/examples/c and docs/examples/lua hold the same
program; all three print the same digits, so this one adds up in plain loops where NumPy would be shorter.
"""

from __future__ import annotations

import csv
import math
import sys
from array import array
from pathlib import Path

import lossfn

STEPS, RATE = 200, 0.1


def standardise(column: list[float]) -> tuple[float, float]:
    """Takes the mean from a column and divides it by its standard deviation; returns both."""
    total = squares = 0.0
    for x in column:
        total += x
    mean = total / len(column)
    for x in column:
        squares += (x - mean) * (x - mean)
    deviation = math.sqrt(squares / len(column)) or 1.0
    column[:] = [(x - mean) / deviation for x in column]
    return mean, deviation


def main(path: str, spec: str) -> None:
    with Path(path).open(newline="") as file:
        names, *rows = csv.reader(file)
    columns = [[float(row[c]) for row in rows] for c in range(len(names))]
    loss = lossfn.create(spec)

    moments = [standardise(column) for column in columns]
    *features, target = columns
    *moments, (target_mean, target_deviation) = moments
    y = array("d", target)
    intercept, w = 0.0, [0.0] * len(features)

    def predict() -> array[float]:
        pred = array("d")
        for cells in zip(*features):
            total = intercept
            for weight, x in zip(w, cells):
                total += weight * x
            pred.append(total)
        return pred

    for _ in range(STEPS):
        grad = loss.grad(predict(), y).tolist()
        total = 0.0
        for g in grad:
            total += g
        intercept -= RATE * total
        for c, column in enumerate(features):
            total = 0.0
            for g, x in zip(grad, column):
                total += g * x
            w[c] -= RATE * total
    value = loss(predict(), y)

    for weight, (mean, deviation) in zip(w, moments):
        intercept -= weight * mean / deviation
    print(f"intercept {target_mean + intercept * target_deviation:.17g}")
    for name, weight, (_, deviation) in zip(names, w, moments):
        print(f"{name} {weight * target_deviation / deviation:.17g}")
    print(f"loss {value:.17g}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python regression.py DATA.csv SPEC")
    main(*sys.argv[1:])
