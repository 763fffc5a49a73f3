#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the data files beside it from the copies that scikit-learn 1.9.1 and statsmodels 0.15.0 carry.

python3 docs/examples/data/make.py     (needs both packages; README.md tells the origins)
"""

import gzip
from pathlib import Path

import sklearn.datasets
import statsmodels.api

HERE = Path(__file__).parent


def write(name: str, header: list[str], rows: list[list[str]]) -> None:
    text = "".join(",".join(row) + "\n" for row in [header, *rows])
    if name.endswith(".gz"):
        (HERE / name).write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    else:
        (HERE / name).write_text(text)


engel = statsmodels.api.datasets.engel.load_pandas().data
write("engel.csv", ["income", "food"], [[f"{a:.2f}", f"{b:.2f}"] for a, b in engel[["income", "foodexp"]].values])

cancer = sklearn.datasets.load_breast_cancer()
names = [name.replace(" ", "_") for name in cancer.feature_names]
write(
    "breast_cancer.csv",
    [*names, "malignant"],
    [[*(f"{x:.6g}" for x in row), str(1 - label)] for row, label in zip(cancer.data, cancer.target)],
)

digits = sklearn.datasets.load_digits()
write(
    "digits.csv.gz",
    [*(f"pixel_{y}_{x}" for y in range(8) for x in range(8)), "digit"],
    [[*(str(int(x)) for x in row), str(label)] for row, label in zip(digits.data, digits.target)],
)
