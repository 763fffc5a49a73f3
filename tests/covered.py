#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the tests that went through build/coverage have covered of src/api, src/core and src/engine: lines, branches, and
MC/DC: for every condition of a decision with several, two runs in which it alone made the difference.

python3 tests/covered.py         # what is not covered, line by line

Clang counts, in the source as it stands, so that code optimised away counts as well. A function in a header is one,
however many objects have it; a decision in a macro belongs, once, to the function that the macro is used in. Conditions that are
constants where they stand don't count. A line or condition of the core that no test covers has its reason below, by its
text; `run.py coverage` fails without."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "coverage"
PROFILES = BUILD / "profiles"  # where programs leave their counts: LLVM_PROFILE_FILE
TOOLS = "19"  # of clang
PARTS = ("src/api", "src/core", "src/engine")
COMPLETE = ("src/api", "src/core")
MCDC_BRANCH = 6  # kind of a branch that is a condition of a decision

# By file: the text of a line, and why no test gets there, or shows that a condition of it matters.
NO_STEP = "a slope that is off by rounding alone points nowhere downhill: the search ends where it is"
REASONS: dict[str, dict[str, str]] = {
    "src/api/best_row.c": {"*length = 0;": NO_STEP, "return LOSSFN_OK;": NO_STEP},
}


def tool(name: str, *arguments: object) -> str:
    command = [f"llvm-{name}-{TOOLS}", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def part(path: str) -> str:
    """The path from the project's root, if it is a file that counts, else nothing."""
    full = Path(path)
    name = full.relative_to(ROOT).as_posix() if full.is_relative_to(ROOT) else ""
    return name if name.startswith(tuple(f"{part}/" for part in PARTS)) else ""


@dataclass
class Decision:
    line: int
    asked: int = 0  # conditions that ran; constants have no counters
    shown: int = 0  # those that were shown to matter


@dataclass
class File:
    lines: dict[int, int] = field(default_factory=dict)
    branches: dict[tuple[Any, ...], list[int]] = field(default_factory=dict)
    decisions: dict[tuple[Any, ...], Decision] = field(default_factory=dict)

    def figures(self) -> dict[str, int]:
        ways = [way for branch in self.branches.values() if any(branch) for way in branch]
        return {
            "lines": len(self.lines),
            "lines_covered": sum(count > 0 for count in self.lines.values()),
            "branches": len(ways),
            "branches_covered": sum(count > 0 for count in ways),
            "conditions": sum(decision.asked for decision in self.decisions.values()),
            "conditions_covered": sum(decision.shown for decision in self.decisions.values()),
        }

    def missed(self) -> list[tuple[int, str]]:
        found = [(line, "line") for line, count in self.lines.items() if not count]
        for decision in self.decisions.values():
            if decision.shown < decision.asked:
                found.append((decision.line, f"{decision.asked - decision.shown} of {decision.asked} conditions"))
        return sorted(set(found))


def add_function(files: dict[str, File], function: dict[str, Any]) -> None:
    name = part(function["filenames"][0])
    if not name or not function["count"]:
        return  # what never ran is missed line by line
    itself, file = (function["regions"][0][0], function["name"].rpartition(":")[2]), files[name]
    # Where the macros stand whose text is in other files.
    used = {region[6]: region for region in function["regions"] if region[7] == 1}

    def line_of(region: list[Any], at: int) -> int:
        while at in used:
            region = used[at]
            at = region[5]
        return int(region[0])

    for i, branch in enumerate(function["branches"]):
        counts = file.branches.setdefault((*itself, i), [0, 0])
        counts[0] += branch[4]
        counts[1] += branch[5]
    # By where a decision stands: those of a macro that is used several times are one. Inner ones first.
    shown: dict[tuple[int, ...], int] = defaultdict(int)
    for *where, _, _, conditions in function["mcdc_records"]:
        shown[tuple(where)] += sum(conditions)
    inner = sorted(shown, key=lambda w: (w[2] - w[0], w[3] - w[1] if w[2] == w[0] else 0))
    found: dict[tuple[int, ...], Decision] = {}
    for branch in function["branches"]:
        holds = (w for w in inner if (w[0], w[1]) <= (branch[0], branch[1]) and (branch[2], branch[3]) <= (w[2], w[3]))
        if branch[8] != MCDC_BRANCH or not (where := next(holds, None)):
            continue
        decision = found.setdefault(where, Decision(line_of(branch, branch[6])))
        decision.asked += bool(branch[4] or branch[5])
    for where, decision in found.items():
        decision.shown = min(shown[where], decision.asked)
        known = file.decisions.setdefault((*itself, *where), decision)
        known.asked, known.shown = max(known.asked, decision.asked), max(known.shown, decision.shown)


def collect() -> dict[str, File]:
    merged, library = BUILD / "tests.profdata", BUILD / "liblossfn.so"
    tool("profdata", "merge", "-sparse", *sorted(PROFILES.glob("*.profraw")), "-o", merged)
    files: dict[str, File] = defaultdict(File)
    exported = tool("cov", "export", library, "-instr-profile", merged)
    for function in json.loads(exported)["data"][0]["functions"]:
        add_function(files, function)
    name = ""
    for line in tool("cov", "export", "--format=lcov", library, "-instr-profile", merged).splitlines():
        key, _, rest = line.partition(":")
        if key == "SF":
            name = part(rest)
        elif key == "DA" and name:
            number, count = map(int, rest.split(","))
            files[name].lines[number] = count
    return dict(sorted(files.items()))


def missed(files: dict[str, File]) -> list[dict[str, Any]]:
    """What must be covered and is not, with the reason or None."""
    out = []
    for name, file in files.items():
        if name.startswith(tuple(f"{part}/" for part in COMPLETE)):
            text = (ROOT / name).read_text().splitlines()
            for number, what in file.missed():
                line = text[number - 1].strip()
                if line.startswith("#"):  # of the preprocessor: what clang counts there is the gap behind a return
                    continue
                reason = REASONS.get(name, {}).get(line)
                out.append({"file": name, "line": number, "what": what, "text": line, "reason": reason})
    return out


def figures(files: dict[str, File]) -> dict[str, Any]:
    """For docs/reliability.md"""
    return {"files": {name: file.figures() for name, file in files.items()}, "missed": missed(files)}


def main() -> int:
    files = collect()
    for name, file in files.items():
        n = file.figures()
        counts = [f"{n[f'{key}_covered']:>5} of {n[key]:>5} {key}" for key in ("lines", "branches", "conditions")]
        print(f"{name:<30} {', '.join(counts)}")
    unexplained = 0
    for one in missed(files):
        print(f"{one['file']}:{one['line']}: {one['what']}: {one['text']}   -- {one['reason'] or 'NO REASON'}")
        unexplained += one["reason"] is None
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
