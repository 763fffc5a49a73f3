# SPDX-License-Identifier: MIT
"""lossfn is, row by row, what the tables say it is elsewhere: against data/, and in the long run against the packages."""

from __future__ import annotations

import copy
import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import comparison
import draw
import lossfn
import numpy as np
import pytest
import tables
from records import record

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PYTHON = ROOT / "build/venv-peers/bin/python"  # has the packages
LONG = bool(os.environ.get("LOSSFN_TEST_LONG"))
POINTS = int(float(os.environ.get("LOSSFN_TEST_BUDGET", "4")) * 1000)  # of each kind of inputs, so for every row
PEERS = {name: tables.load(name) for name in tables.NAMES}
CASES = [pytest.param(name, row, id=f"{name}: {row.name}") for name, peer in PEERS.items() for row in peer.ROWS]


@pytest.fixture(scope="module")
def data():
    return {name: comparison.read(HERE / f"data/{name}.json") for name in PEERS}


@pytest.mark.parametrize(("name", "row"), CASES)
def test_row(name, row, data):
    outcome = comparison.compare(PEERS[name], row, data[name])
    assert not outcome.unexplained, "\n".join(outcome.unexplained)
    for reason in row.differences:
        assert outcome.counts[reason], f"nothing differs any more by this: {reason.why}"


@pytest.mark.parametrize("name", PEERS)
def test_data_is_of_the_table(name, data):
    assert data[name]["version"] == tables.pinned(PEERS[name])
    names = [row.name for row in PEERS[name].ROWS]
    assert len(set(names)) == len(names)
    assert list(data[name]["outputs"]) == names, "python3 tests/peers/make_data.py"
    for kind, drawn in data[name]["inputs"].items():
        again = draw.rounded(draw.batch(kind, 0), PEERS[name].DTYPE)  # the edges
        for key, edges in again.items():
            np.testing.assert_array_equal(np.asarray(drawn[key], float)[: len(edges)], edges)


@pytest.mark.parametrize(("name", "row"), CASES)
def test_a_wrong_number_is_found(name, row, data):
    """Where nothing is allowed to differ, a relative error of 1e-3 fails."""
    wrong = copy.copy(data[name])
    theirs = {k: np.asarray(a, float) for k, a in wrong["outputs"][row.name].items()}
    wrong["outputs"] = {**wrong["outputs"], row.name: {k: a * 1.001 for k, a in theirs.items()}}
    assert comparison.compare(PEERS[name], row, wrong).unexplained


def test_every_spec_is_whole():
    for _, row in (case.values for case in CASES):
        assert lossfn.create(row.spec)


@pytest.mark.skipif(not LONG, reason="runs the packages themselves: sh cmake/bootstrap test --long")
@pytest.mark.parametrize("name", PEERS)
def test_packages(name, tmp_path):
    """Many more points, other ones; what differs is counted by its reason in the output."""
    if not PYTHON.exists():
        pytest.skip("the packages are not installed: sh cmake/bootstrap peers")
    if name == "ceres" and not Path("/usr/include/ceres").exists():
        pytest.skip("libceres-dev is not installed")
    command = [PYTHON, HERE / "make_data.py", "--points", str(POINTS), "--seed", "1", "--output", tmp_path, name]
    subprocess.run(list(map(str, command)), check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    drawn, lines = comparison.read(tmp_path / f"{name}.json"), []
    told: dict[str, Any] = {"rows": 0, "points": 0, "compared": 0, "differ": Counter()}
    for row in PEERS[name].ROWS:
        outcome = comparison.compare(PEERS[name], row, drawn)
        told["rows"] += 1
        told["points"] += len(next(iter(drawn["inputs"][row.inputs].values())))
        told["compared"] += outcome.compared
        for reason, count in outcome.counts.items():
            told["differ"][reason.kind] += count
        print(
            f"{row.name}: {outcome.compared} numbers", *(f"{n} {r.kind}" for r, n in outcome.counts.items()), sep=", "
        )
        lines += [f"{row.name}: {line}" for line in outcome.unexplained]
    assert not lines, "\n".join(lines[:50])
    record("peers", name, {"heading": PEERS[name].HEADING, "version": drawn["version"], **told})
