# SPDX-License-Identifier: MIT
"""The data sets of docs/examples/data (their sources and licences: README.md there), cut into training and held-out rows."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

FOLDER = Path(__file__).resolve().parent.parent / "data"


class Split(NamedTuple):
    """Rows to train with and rows held out; x holds the inputs, one row per sample, y the targets."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def load(name: str, held_out: float, seed: int = 1) -> Split:
    """Reads a table, shuffles its rows and holds a share of them out."""
    table = np.loadtxt(FOLDER / name, delimiter=",", skiprows=1)
    np.random.default_rng(seed).shuffle(table)
    n = round(len(table) * (1 - held_out))
    return Split(table[:n, :-1], table[:n, -1], table[n:, :-1], table[n:, -1])


def standardise(data: Split) -> Split:
    """Inputs of mean 0 and standard deviation 1, both measured on the training rows alone."""
    mean, std = data.x.mean(axis=0), data.x.std(axis=0)
    std[std == 0] = 1  # a pixel that is never set
    return data._replace(x=(data.x - mean) / std, x_test=(data.x_test - mean) / std)


def slip_decimal_points(y: np.ndarray, share: float, seed: int = 2) -> np.ndarray:
    """The indices of a share of the targets, which become ten times too large in place, as if mistyped."""
    wrong = np.random.default_rng(seed).choice(len(y), round(share * len(y)), replace=False)
    y[wrong] *= 10
    return wrong
