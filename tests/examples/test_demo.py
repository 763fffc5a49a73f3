# SPDX-License-Identifier: MIT
"""The demo runs, its models learn, robust losses win where targets are wrong, and its pictures are there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import lossfn
import pytest

DEMO = Path(__file__).resolve().parent.parent.parent / "docs" / "examples" / "demo" / "demo.py"


def test_demo(tmp_path):
    if not os.environ.get("CMAKE_PREFIX_PATH"):
        pytest.skip("lossfn is not installed")
    run = subprocess.run([sys.executable, DEMO, "--output", tmp_path], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    results = (tmp_path / "results.txt").read_text(encoding="utf-8")
    assert results in run.stdout
    errors = [float(number) for number in re.findall(r"off by (\d+) francs", results)]
    assert len(errors) == 4
    assert errors[0] > 5 * max(errors[1:])
    shares = [float(number) for number in re.findall(r"([\d.]+) % right", results)]
    assert len(shares) == 3
    assert min(shares) > 95
    assert "the same to the last digit" in results
    for name in ("losses", "regression", "digits", "digits_worst"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    drawn = {path.stem for path in (tmp_path / "losses").glob("*.svg")}
    assert drawn == set(lossfn.names())
