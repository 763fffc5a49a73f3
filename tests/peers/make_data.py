#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the peers and writes what they give.

python3 tests/peers/make_data.py [--points N] [--seed S] [--output FOLDER] [PEER ...]

Without options it writes data/, which is committed and what the tests compare with. It needs the packages of
requirements.txt, but not lossfn: `sh cmake/bootstrap peers` runs it with them."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import warnings
from pathlib import Path
from typing import Any

import draw
import numpy as np
import tables

HERE = Path(__file__).parent
POINTS = 12


def listed(array: Any) -> Any:
    """Shortest texts: integers where a float is one."""
    if isinstance(array, list):
        return [listed(a) for a in array]
    return int(array) if float(array).is_integer() and abs(array) < 1e6 and str(array) != "-0.0" else array


def run(name: str, points: int, seed: int) -> dict[str, Any]:
    """What the peer gives for every row of its table."""
    peer = tables.load(name)
    peer.load()
    batches = {
        kind: draw.rounded(draw.batch(kind, points, seed), peer.DTYPE)
        for kind in dict.fromkeys(row.inputs for row in peer.ROWS)
    }
    outputs = {}
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for row in peer.ROWS:
            given = {input_name: a.copy() for input_name, a in batches[row.inputs].items()}
            outputs[row.name] = peer.evaluate(row, given)
    return {
        "package": peer.PACKAGE,
        "version": peer.version()
        if hasattr(peer, "version")
        else importlib.metadata.version(peer.PACKAGE).partition("+")[0],
        "inputs": {kind: {k: listed(a.tolist()) for k, a in b.items()} for kind, b in batches.items()},
        "outputs": {r: {k: listed(np.asarray(a).tolist()) for k, a in o.items()} for r, o in outputs.items()},
    }


def text(data: dict[str, Any]) -> str:
    """A line per array."""
    lines = [f'{{"package": "{data["package"]}",', f'"version": "{data["version"]}",']
    for part in ("inputs", "outputs"):
        items = [
            f"{json.dumps(key)}: {{\n"
            + ",\n".join(f"{json.dumps(k)}: {json.dumps(a)}" for k, a in arrays.items())
            + "}"
            for key, arrays in data[part].items()
        ]
        lines.append(f'"{part}": {{\n' + ",\n".join(items) + ("}," if part == "inputs" else "}}"))
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=POINTS, help="random units of each kind of inputs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=HERE / "data")
    parser.add_argument("peers", nargs="*", metavar="PEER", help=", ".join(tables.NAMES))
    options = parser.parse_args()
    if unknown := set(options.peers) - set(tables.NAMES):
        parser.error(f"no table {', '.join(sorted(unknown))}; there are {', '.join(tables.NAMES)}")
    options.output.mkdir(parents=True, exist_ok=True)
    for name in options.peers or tables.NAMES:
        written = text(run(name, options.points, options.seed))
        (options.output / f"{name}.json").write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()
