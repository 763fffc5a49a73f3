# SPDX-License-Identifier: MIT
"""The regression of docs/examples prints the same digits from C (by find_package), Lua and Python."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = ROOT / "docs" / "examples"
SPECS = ["mse", "mae", "huber(delta=0.5)", "barron(alpha=0)", "0.5*mse + 0.5*log_cosh"]
LUAS = ["lua5.1", "lua5.2", "lua5.3", "lua5.4", "luajit"]


def output(*command: object) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The C program, built against the installed library, which CMAKE_PREFIX_PATH names."""
    if not os.environ.get("CMAKE_PREFIX_PATH"):
        pytest.skip("lossfn is not installed")
    build = tmp_path_factory.mktemp("regression")
    output("cmake", "-S", EXAMPLES / "c", "-B", build, "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror")
    output("cmake", "--build", build)
    return build / "regression"


@pytest.fixture(scope="module", params=["engel", "made"])
def data(request, tmp_path_factory):
    if request.param == "engel":
        return EXAMPLES / "data" / "engel.csv"
    path = tmp_path_factory.mktemp("data") / "made.csv"
    lines = ["a,b,always,y"]
    for i in range(60):
        a, b = (i * 37 % 61) / 7, (i * i % 53) / 3
        lines.append(f"{a!r},{b!r},4,{1000 if i % 10 == 3 else 2 * a - b + 0.1 * (i % 5)!r}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("spec", SPECS)
def test_same_digits(program, data, spec):
    expected = output(program, data, spec)
    lines = expected.splitlines()
    assert lines[0].startswith("intercept ") and lines[-1].startswith("loss ") and "nan" not in expected
    assert output(sys.executable, EXAMPLES / "python" / "regression.py", data, spec) == expected
    for lua in filter(shutil.which, LUAS):
        assert output(lua, EXAMPLES / "lua" / "regression.lua", data, spec) == expected, lua


def test_bad_spec(program):
    for command in (
        [program],
        [sys.executable, EXAMPLES / "python" / "regression.py"],
        ["lua5.4", EXAMPLES / "lua" / "regression.lua"],
    ):
        done = subprocess.run(
            [*command, EXAMPLES / "data" / "engel.csv", "huber(delta=-1)"], capture_output=True, text=True
        )
        assert done.returncode != 0
        assert "delta is -1, must be > 0" in done.stderr
