# SPDX-License-Identifier: MIT
"""lossfn.hpp under every C++ standard and compiler at hand, with and without exceptions, without a warning."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LIBRARY = Path(os.environ.get("LOSSFN_LIBRARY", ROOT / "build" / "dev" / "liblossfn.so"))
COMPILERS = [name for name in ("g++", "clang++", "clang++-14") if shutil.which(name)]
WARNINGS = [
    "-Wall",
    "-Wextra",
    "-pedantic",
    "-Wshadow",
    "-Wconversion",
    "-Wold-style-cast",
    "-Wnon-virtual-dtor",
    "-Werror",
]


def compile_and_run(compiler: str, source: Path, program: Path, *options: str) -> str:
    command = [compiler, "-O1", *WARNINGS, *options, f"-I{ROOT / 'include'}", source, "-o", program, LIBRARY]
    command += [f"-Wl,-rpath,{LIBRARY.parent}"]
    compiled = subprocess.run(command, capture_output=True, text=True)
    assert compiled.returncode == 0, compiled.stderr
    done = subprocess.run([program], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("exceptions", [True, False])
@pytest.mark.parametrize("standard", ["11", "14", "17", "20", "2b"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_standards(compiler, standard, exceptions, tmp_path):
    options = [f"-std=c++{standard}"] + ([] if exceptions else ["-fno-exceptions"])
    out = compile_and_run(compiler, HERE / "test_hpp.cpp", tmp_path / "test_hpp", *options)
    passed, failed = map(int, re.search(r"^(\d+) passed, (\d+) failed$", out, re.M).groups())
    assert passed >= 50 and failed == 0


def test_memory(tmp_path):
    compile_and_run(
        "g++", HERE / "test_hpp.cpp", tmp_path / "test_hpp", "-std=c++17", "-g", "-fsanitize=address,undefined"
    )


def test_example_of_the_header(tmp_path):
    comment = (ROOT / "include" / "lossfn" / "lossfn.hpp").read_text().split("*/")[0]
    lines = [line[7:] for line in comment.splitlines() if line == " *" or line.startswith(" *     ")]
    source = tmp_path / "example.cpp"
    source.write_text("\n".join(lines) + "\n")
    out = compile_and_run("g++", source, tmp_path / "example", "-std=c++11").splitlines()
    assert out[:2] == ["0.166667 0.333333 0.333333", "0.507606"]
    assert len(out) == 4 and out[2] == out[3] and "2" in out[2] and "3" in out[2]
