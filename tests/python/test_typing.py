# SPDX-License-Identifier: MIT
"""The types that the package states, against a user's program and against the package."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import lossfn
import pytest

HERE = Path(__file__).parent
PACKAGE = Path(lossfn.__file__).parent


def _run(*command: str) -> None:
    pytest.importorskip("mypy")
    env = {**os.environ, "MYPYPATH": str(PACKAGE.parent), "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, env=env, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_example():
    runpy.run_path(str(HERE / "typed_example.py"))
    _run("mypy", "--strict", str(HERE / "typed_example.py"))


def test_stubs():
    _run("mypy.stubtest", "lossfn", "--allowlist", str(HERE / "stubtest.allow"), "--ignore-unused-allowlist")


def test_marked_as_typed():
    assert (PACKAGE / "py.typed").is_file()
