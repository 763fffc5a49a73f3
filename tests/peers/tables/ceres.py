# SPDX-License-Identifier: MIT
"""Ceres Solver's robust losses: rho, rho' and rho'' of squared residuals, by a small program."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rows import Difference, Inputs, Row, one

HEADING, PACKAGE = "Ceres Solver", "libceres"
DTYPE = "float64"
EPSILON = 16 * 2.0**-52
PRECISION = "rho, rho' and rho'' of the squared residual; double precision, a few operations"
VERSION = "2.1.0"  # Debian 12's

folder: Any = None
program: Any = None


def load() -> None:
    """Compiles it: needs g++ and Debian's libceres-dev."""
    global folder, program
    folder = tempfile.TemporaryDirectory()
    program = Path(folder.name) / "ceres"
    source = Path(__file__).parents[1] / "ceres.cpp"
    include = ["-isystem", "/usr/include/eigen3"]
    subprocess.run(["g++", "-std=c++17", *include, str(source), "-o", str(program), "-lceres", "-lglog"], check=True)


def ask(lines: list[str]) -> list[str]:
    return subprocess.run(
        [str(program)], input="\n".join(lines), capture_output=True, text=True, check=True
    ).stdout.split("\n")


def version() -> str:
    return ask([])[0].partition("-")[0]


def evaluate(row: Row, inputs: Inputs) -> dict[str, Any]:
    name, a, b = row.function()
    lines = ask([f"{name} {a!r} {b!r} {float(s)!r}" for s in inputs["s"]])[1:]
    return dict(zip(row.outputs, np.array([line.split() for line in lines if line], float).T))


ROOT = {"rho": lambda i: 4.5}  # 2 a^2, a root less 1
LOGARITHM = {"rho": lambda i: 2.25}  # a^2, the logarithm of 1 and something
# a^2/3 times 1 less a cube; the square of 1 - s/a^2
CUBE = {"rho": lambda i: 0.75, "rho'": lambda i: np.abs(1 - i["s"] / 2.25)}
FLAT = Difference(
    "approximates",
    "rho'' is 0 where the exponential passes 2^53, from s = a + 36.7 b on",
    lambda i: i["s"] > 20,
    ("rho''",),
)

RHO = {"wrt": (), "outputs": ("rho", "rho'", "rho''")}

ROWS = [
    Row("TrivialLoss()", "half_squared_error", "squares", lambda: ("TrivialLoss", 0, 0), **RHO),
    Row("HuberLoss(1.5)", "huber(delta=1.5)", "squares", lambda: ("HuberLoss", 1.5, 0), **RHO),
    Row("SoftLOneLoss(1.5)", "pseudo_huber(delta=1.5)", "squares", lambda: ("SoftLOneLoss", 1.5, 0), terms=ROOT, **RHO),
    Row("CauchyLoss(1.5)", "cauchy(c=1.5)", "squares", lambda: ("CauchyLoss", 1.5, 0), terms=LOGARITHM, **RHO),
    Row("ArctanLoss(2.25)", "arctan(c=1.5)", "squares", lambda: ("ArctanLoss", 2.25, 0), **RHO),
    Row("TukeyLoss(1.5)", "tukey(c=1.5)", "squares", lambda: ("TukeyLoss", 1.5, 0), terms=CUBE, **RHO),
    Row(
        "TolerantLoss(2, 0.5)",
        "tolerant(a=2, b=0.5)",
        "squares",
        lambda: ("TolerantLoss", 2, 0.5),
        (FLAT,),
        terms={"rho": one},
        **RHO,
    ),
]
