#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the tests that went through build/coverage have covered of src/api, src/core and src/engine, by gcov.

python3 tests/covered.py         # what is not covered, line by line

A line of src/api and src/core that no test reaches has its reason below, by its text; `run.py coverage` fails without."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "coverage"
PARTS = ("src/api", "src/core", "src/engine")
COMPLETE = ("src/api", "src/core")

# By file: the text of a line, and why no test gets there.
NO_STEP = "a slope that is off by rounding alone points nowhere downhill: the search ends where it is"
REASONS: dict[str, dict[str, str]] = {
    "src/api/best_row.c": {"*length = 0;": NO_STEP, "return LOSSFN_OK;": NO_STEP},
}


def counters() -> list[Path]:
    """Of the library; the fuzz targets' and tests' own say nothing about it."""
    return sorted(p for p in (BUILD / "CMakeFiles").rglob("*.gcda"))


def reports() -> Iterator[dict[str, Any]]:
    for file in counters():
        command = ["gcov", "--json-format", "--stdout", "--branch-probabilities", str(file)]
        out = subprocess.run(command, cwd=BUILD, capture_output=True, text=True, check=True).stdout
        for line in out.splitlines():
            yield json.loads(line)


class File:
    """Lines and branches of a file, over all the objects that it is compiled into: a header is many times."""

    def __init__(self) -> None:
        self.lines: dict[int, int] = defaultdict(int)
        self.branches: dict[tuple[int, int], list[int]] = {}

    def add(self, line: dict[str, Any]) -> None:
        number, taken = line["line_number"], [branch["count"] for branch in line["branches"]]
        self.lines[number] += line["count"]
        if taken:
            before = self.branches.get((number, len(taken)), [0] * len(taken))
            self.branches[number, len(taken)] = [a + b for a, b in zip(before, taken)]

    def counts(self) -> dict[str, int]:
        ways = [way for branch in self.branches.values() for way in branch]
        return {
            "lines": len(self.lines),
            "lines_covered": sum(count > 0 for count in self.lines.values()),
            "branches": len(ways),
            "branches_covered": sum(count > 0 for count in ways),
        }

    def missed(self) -> list[int]:
        return sorted(number for number, count in self.lines.items() if not count)


def collect() -> dict[str, File]:
    files: dict[str, File] = defaultdict(File)
    for report in reports():
        for file in report["files"]:
            path = (Path(report["current_working_directory"]) / file["file"]).resolve()
            name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else ""
            if name.startswith(tuple(f"{part}/" for part in PARTS)):
                for line in file["lines"]:
                    files[name].add(line)
    return dict(sorted(files.items()))


def missed(files: dict[str, File]) -> list[dict[str, Any]]:
    """The lines that must be covered and are not, with their reason or None."""
    out = []
    for name, file in files.items():
        if name.startswith(tuple(f"{part}/" for part in COMPLETE)):
            text = (ROOT / name).read_text().splitlines()
            for number in file.missed():
                line = text[number - 1].strip()
                out.append({"file": name, "line": number, "text": line, "reason": REASONS.get(name, {}).get(line)})
    return out


def record(files: dict[str, File]) -> dict[str, Any]:
    """For docs/reliability.md"""
    return {"files": {name: file.counts() for name, file in files.items()}, "missed": missed(files)}


def main() -> int:
    files = collect()
    for name, file in files.items():
        n = file.counts()
        print(
            f"{name:<30} {n['lines_covered']:>5} of {n['lines']:>5} lines, {n['branches_covered']:>5} of {n['branches']:>5} branches"
        )
    unexplained = 0
    for one in missed(files):
        print(f"{one['file']}:{one['line']}: {one['text']}   -- {one['reason'] or 'NO REASON'}")
        unexplained += one["reason"] is None
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
