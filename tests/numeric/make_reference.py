# SPDX-License-Identifier: MIT
"""Writes data/<loss>.<dtype>.json and data/partition.json: reference values of every loss at 25 digits.

    python tests/numeric/make_reference.py [loss ...]

Inputs are hexadecimal floats of the dtype, results decimal. `scale` stands where terms cancel: the largest term, in whose
ulps an error counts. Reproducible: the seed is the loss's name.
"""

from __future__ import annotations

import json
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import reference
import sample
from formulas import robust
from mpmath import mp, mpf
from reference import LOSSES, Loss, Number

DATA = Path(__file__).parent / "data"
ELEMENTS, ROWS = 72, 20


def partition() -> None:
    table = {}
    for alpha in sorted({mpf(a) for a in sample.NONNEGATIVE_SHAPES}):
        value, slope = robust.compute_log_partition(alpha)
        table[mp.nstr(alpha, 25)] = [mp.nstr(value, 38), mp.nstr(slope, 38)]
    robust.PARTITION.write_text(json.dumps(table, indent=0) + "\n")
    robust.stored_partition.cache_clear()
    robust.log_partition.cache_clear()
    print(f"partition function: {len(table)} values of alpha")


def text(x: Any) -> str:
    return mp.nstr(x, 25, strip_zeros=True, min_fixed=-4, max_fixed=25)


def pair(x: Any) -> Any:
    """A result as text; with the largest term where that is not the result itself."""
    if isinstance(x, list):
        return [pair(one) for one in x]
    assert isinstance(x, Number)
    if mp.isfinite(x.sum) and x.largest > abs(x.sum):
        return [text(x.sum), mp.nstr(x.largest, 6)]
    return text(x.sum)


def hexed(x: Any) -> Any:
    if isinstance(x, list):
        return [hexed(one) for one in x]
    return x if isinstance(x, int) else float(x).hex()


def plain(params: dict[str, Any]) -> dict[str, Any]:
    return {k: (float(v) if not isinstance(v, (bool, str)) else v) for k, v in params.items()}


def make(entry: Loss, dtype: str) -> None:
    rng = np.random.default_rng(zlib.crc32(f"{entry.name}.{dtype}".encode()))
    groups = []
    for params in entry.params:
        full = max(18, ELEMENTS if not params else ELEMENTS * 2 // len(entry.params))
        if entry.unit == "row":
            units = sample.rows(entry, sample.FLOATS[dtype], params, max(8, ROWS if not params else ROWS // 2), rng)
            drawn: Any = units
        else:
            drawn = sample.elements(entry, sample.FLOATS[dtype], params, full, rng)
            units = [[float(c[i]) for c in drawn] for i in range(len(drawn[0]))]
            units = [u for u in units if sum(np.isinf(u[:2])) < 2]  # inf - inf is tested by hand
        cases = []
        for unit in units:
            out = reference.evaluate(entry.name, unit, params)
            cases.append({"in": hexed(unit), **{name: pair(x) for name, x in out.items()}})
        groups.append({"params": plain(params), "cases": cases})
        print(f"{entry.name}.{dtype} {params or ''}: {sample.coverage(entry, params, drawn)}")
    body = ",\n".join(
        json.dumps({"params": g["params"]})[:-1]
        + ', "cases": [\n'
        + ",\n".join(json.dumps(c) for c in g["cases"])
        + "\n]}"
        for g in groups
    )
    (DATA / f"{entry.name}.{dtype}.json").write_text(f"[\n{body}\n]\n")


def main() -> None:
    mp.dps = reference.DIGITS
    DATA.mkdir(exist_ok=True)
    wanted = sys.argv[1:] or list(LOSSES)
    if not robust.PARTITION.exists() or not sys.argv[1:]:
        partition()
    for name in wanted:
        for dtype in sample.FLOATS:
            make(LOSSES[name], dtype)
    total = sum(f.stat().st_size for f in DATA.glob("*.json"))
    print(f"{len(list(DATA.glob('*.json')))} files, {total / 1e6:.2f} MB")
    assert total < 12e6, "keep the committed data below 12 MB"


if __name__ == "__main__":
    main()
