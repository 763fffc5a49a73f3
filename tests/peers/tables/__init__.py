# SPDX-License-Identifier: MIT
"""A module here is one peer. Its package is imported by load() alone, so that the table can be read without it:

HEADING, PACKAGE      its name, and that of the package whose version counts
DTYPE                 what it computes in
EPSILON, PRECISION    what one output may be off, relative to the largest number added on the way; the reason
ROWS                  the table
load()                imports the package
evaluate(row, inputs) its outputs: "value", and by name of the input the gradients of the sum of the values; of boosters
                      "step", a Newton step; of solvers "rho", "rho'", "rho''"
version()             only of what is no Python package, beside VERSION, what data/ was made with"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

NAMES = (
    *("pytorch", "keras", "optax", "sklearn", "xgboost", "lightgbm", "catboost", "scipy", "ceres", "statsmodels"),
    *("scoringrules", "kornia", "entmax", "coral_pytorch", "pytorch_optimizer"),
)


def load(name: str) -> Any:
    return importlib.import_module(f"tables.{name}")


def pinned(peer: Any) -> str:
    """The version that data/ was made with: that of requirements.txt, if it is no package of Debian."""
    if hasattr(peer, "VERSION"):
        return str(peer.VERSION)
    text = (Path(__file__).parents[1] / "requirements.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w-]+)==(\S+)", text, re.M))[peer.PACKAGE]
