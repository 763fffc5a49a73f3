#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whether the tests notice: small changes of the source, one at a time, each built and tested in build/mutation.

python3 tests/mutation.py [--jobs N] [--count N] [--minutes N] [--seed N] [--only PATH] [--again]

A change that does not compile does not count. What survives either has its reason in REASONS or is a gap in the tests;
less than KILLED of the others dead is a failure. Changed are operators, numbers, conditions, branches of selects, and
clamps are left out; not the places where one form takes over from another that agrees with it there, nor stated bounds.
--again judges anew what survived the last time, after tests or reasons for it have come, and keeps the other verdicts."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import queue
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import records

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "mutation"
KILLED = 0.95
MOST_SECONDS = 1200  # for one test of a mutant: what hangs is noticed as well

# Whatever part of the source is changed, and how often among a hundred.
LOSSES, SIMD, CORE = "src/losses", "src/simd", "src/core, src/api, src/engine"
SHARES = {LOSSES: 50, SIMD: 15, CORE: 35}
# The headers of src/simd that have a unit test, and its name.
UNITS = {name: name for name in ("math", "trig", "gamma", "normal", "special", "vec")} | {"bessel": "normal"}
ENGINE = ("exact.c", "plan.c", "run.c", "direct.c", "deposit.h", "everyday.h")  # not what only makes it fast

# (file, line without the spaces around it, what it became): why no test can tell.
REASONS: dict[tuple[str, str, str], str] = {
    (
        "src/losses/regression.h",
        "const V lift = v_set(sizeof(REAL) == 4 ? 64 : 512);",
        "const V lift = v_set(sizeof(REAL) == 4 ? 64 : 513);",
    ): "any power of two in the middle of the range does: it is taken back exactly",
    (
        "src/losses/tempered.h",
        "if (rise <= 0x1p-30) return apart / slope;",
        "if (!(rise <= 0x1p-30)) return apart / slope;",
    ): "Newton's method on the sum itself finds the same root in more steps",
}

SWAPPED = {
    " + ": " - ", " - ": " + ", " * ": " / ", " / ": " * ", " < ": " >= ", " > ": " <= ", " <= ": " > ", " >= ": " < ",
    " == ": " != ", " != ": " == ", " && ": " || ", " || ": " && ", " & ": " | ", " | ": " & ", " += ": " -= ",
    " -= ": " += ", " << ": " >> ", " >> ": " << ",
}  # fmt: skip
NOT_CODE = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\])\'|^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', re.S | re.M
)
NOT_LINES = re.compile(
    r"\.(ulp_|lipschitz|n_|params|inputs|see_also)|_Static_assert|__builtin_expect|UNROLL|PARAM_|static const|^enum"
)
OPERATOR = re.compile("|".join(re.escape(op) for op in sorted(SWAPPED, key=len, reverse=True)))
NUMBER = re.compile(r"(?<![\w.])(\d+\.\d+|\d+)(?![\w.\[])")
CALL = re.compile(r"\b(v_select|d_select|i_select|v_where|at_least|at_most|d_at_least|d_at_most|d_between)\(|\b(if) \(")


@dataclass(frozen=True)
class Mutant:
    file: str
    begin: int
    end: int
    text: str
    line: int
    before: str
    after: str

    def apply(self, source: str) -> str:
        return source[: self.begin] + self.text + source[self.end :]


def arguments(source: str, at: int) -> list[tuple[int, int]]:
    """Of the call whose opening parenthesis is before `at`: where each argument is."""
    depth, begin, found = 0, at, []
    for i in range(at, len(source)):
        c = source[i]
        if c in "([{":
            depth += 1
        elif c in ")]}":
            if depth == 0:
                return [*found, (begin, i)]
            depth -= 1
        elif c == "," and depth == 0:
            found.append((begin, i))
            begin = i + 1
    return []


def changes(code: str) -> Iterator[tuple[int, int, str]]:
    """(begin, end, text) in source whose comments and strings are blank."""
    for match in OPERATOR.finditer(code):
        yield match.start(), match.end(), SWAPPED[match[0]]
    for match in NUMBER.finditer(code):
        if re.search(r"[<>]=? *(v_set|d_set)?\(?$", code[: match.start()][-12:]):
            continue  # where another form takes over
        yield match.start(), match.end(), f"{float(match[0]) * 1.25!r}" if "." in match[0] else str(int(match[0]) + 1)
    for match in CALL.finditer(code):
        parts = arguments(code, match.end())
        pieces = [code[begin:end] for begin, end in parts]
        if not parts:
            continue
        end = parts[-1][1]
        name = match[1] or match[2]
        if name.endswith("_select") and len(parts) == 3:
            yield match.end(), end, f"{pieces[0]},{pieces[2]},{pieces[1]}"
        elif name == "v_where" and len(parts) == 2:
            yield match.start(), end + 1, f"({pieces[1].strip()})"
        elif name == "if" and len(parts) == 1:
            yield match.end(), end, f"!({pieces[0]})"
        elif len(parts) > 1 and not name.endswith("_select"):
            yield match.start(), end + 1, f"({pieces[0].strip()})"


def mutants(file: str) -> Iterator[Mutant]:
    source = (ROOT / file).read_text()
    code = NOT_CODE.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), source)
    for begin, end, text in changes(code):
        first, last = source.rfind("\n", 0, begin) + 1, source.find("\n", end)
        before = source[first:last]
        if not NOT_LINES.search(before):
            after = source[first:begin] + text + source[end:last]
            yield Mutant(file, begin, end, text, source.count("\n", 0, begin) + 1, before.strip(), after.strip())


def files(part: str) -> list[str]:
    if part == LOSSES:
        found = [p for p in sorted((ROOT / LOSSES).glob("*.h")) if p.name not in ("catalogue.h", "list.h")]
    elif part == SIMD:
        found = [ROOT / SIMD / f"{name}.h" for name in UNITS]
    else:
        found = [p for folder in ("core", "api") for p in sorted((ROOT / "src" / folder).glob("*.c"))]
        found += [ROOT / "src" / "engine" / name for name in ENGINE]
    return [p.relative_to(ROOT).as_posix() for p in found]


def chosen(count: int, seed: int, only: str) -> list[Mutant]:
    """By file, so that what is put back and what is changed next are compiled at once; the files in an order drawn by lot,
    so that those which time is enough for are a sample, too."""
    rng = random.Random(seed)
    out: list[Mutant] = []
    for part, share in SHARES.items():
        pool = [m for file in files(part) if only in file for m in mutants(file)]
        out += rng.sample(pool, min(len(pool), max(1, count * share // 100) if not only else count))
    order = sorted({m.file for m in out})
    rng.shuffle(order)
    return sorted(out, key=lambda m: (order.index(m.file), m.begin))


def losses_of(mutant: Mutant) -> list[str]:
    """The losses that a place in src/losses belongs to: its own, or for what several share all of the file."""
    source = (ROOT / mutant.file).read_text()
    block = r"^(?:TUNED_)?(?:ELEMENTWISE|ROW_\w+|WHOLE_ROWS?\w*|IN_DOUBLE|ROWWISE\w*)\((\w+)|^DEFINE\((\w+)\)"
    blocks = [(m.start(), m[1] or m[2]) for m in re.finditer(block, source, re.M)]
    names = list(dict.fromkeys(name for _, name in blocks))
    ends = source.find("\n}", mutant.begin)
    inside = [(at, name) for at, name in blocks if at <= mutant.begin and source.find("\n}", at) >= ends]
    return [inside[-1][1]] if inside else names or re.findall(r"^    LOSS\((\w+)\)", source, re.M)


class Worker:
    """A copy of the project, its build, and what runs there."""

    def __init__(self, number: int) -> None:
        self.folder = BUILD / str(number)
        self.source, self.build = self.folder / "source", self.folder / "build"
        tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
        for name in filter(None, tracked.split("\0")):
            from_, to = ROOT / name, self.source / name
            if from_.is_file() and not (to.exists() and to.read_bytes() == from_.read_bytes()):
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(from_, to)
        self.log = (self.folder / "log").open("w")
        options = [
            "-DCMAKE_BUILD_TYPE=Debug",
            "-DCMAKE_C_FLAGS=-O1",
            "-DLOSSFN_ISAS=baseline",
            "-DLOSSFN_BUILD_TESTS=ON",
        ]
        configure = [
            "cmake",
            "-S",
            self.source,
            "-B",
            self.build,
            "-G",
            "Ninja",
            f"-DPython_EXECUTABLE={sys.executable}",
        ]
        if self.run(*configure, *options) or self.make("lossfn_shared", *self.units("api", "core", "engine")):
            raise SystemExit(f"the source as it is does not build: {self.folder / 'log'}")

    def run(self, *command: object, seconds: int | None = None) -> int:
        env = {**os.environ, "LOSSFN_LIBRARY": str(self.build / "liblossfn.so"), "LOSSFN_RECORDS": ""}
        env |= {"LD_LIBRARY_PATH": str(self.build), "LOSSFN_TEST_LONG": "", "LOSSFN_TEST_BUDGET": "1"}
        print("$", *command, file=self.log, flush=True)
        words = list(map(str, command))
        try:
            return subprocess.run(
                words,
                cwd=self.source,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=self.log,
                stderr=self.log,
                timeout=seconds,
            ).returncode
        except subprocess.TimeoutExpired:
            return 124

    def make(self, *targets: object) -> int:
        return self.run("cmake", "--build", self.build, "-j", 1, "--target", *targets)

    def units(self, *folders: str) -> list[str]:
        found = [p for folder in folders for p in sorted((self.source / "tests/unit" / folder).glob("test_*.c"))]
        return [f"lossfn_test_unit_{p.parent.name}_{p.stem.removeprefix('test_')}" for p in found]

    @staticmethod
    def simd(unit: str) -> list[str]:
        return [f"lossfn_test_unit_simd_{unit}_baseline_{real}" for real in ("f32", "f64")]

    def tests(self, *arguments: object, jobs: int = 0) -> int:
        pytest = (sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-n", jobs)
        code = self.run(*pytest, *arguments, seconds=MOST_SECONDS)
        return 0 if code == 5 else code  # no test of that name

    def passes(self, likely: list[str], *selection: str) -> bool:
        """Whether the conformance tests pass; those that are likely to notice run first."""
        folder = Path("tests/conformance")
        first = [folder / f"test_{name}.py" for name in likely]
        rest = [folder, *(f"--ignore={file}" for file in first)]
        return not (self.tests(*first, *selection) or self.tests(*rest, *selection))

    def survives(self, mutant: Mutant) -> bool | None:
        """None where it does not build."""
        if mutant.file.startswith(SIMD):
            programs = self.simd(UNITS[Path(mutant.file).stem])
            if self.make(*programs):
                return None
            if any(self.run(self.build / "tests" / p, seconds=MOST_SECONDS) for p in programs):
                return False
            return not self.make("lossfn_shared") and not self.tests("tests/conformance/test_elements.py")
        if mutant.file.startswith(LOSSES):
            if self.make("lossfn_shared"):
                return None
            return self.passes(["elements"], "-k", " or ".join(losses_of(mutant)))
        programs = self.units("api", "core", "engine")
        if self.make("lossfn_shared", *programs):
            return None
        if any(self.run(self.build / "tests" / p, seconds=MOST_SECONDS) not in (0, 77) for p in programs):
            return False
        return self.passes(["invalid", "semantics", "everyday", "accumulators", "rho"])

    def judge(self, mutant: Mutant) -> str:
        file = self.source / mutant.file
        source = file.read_text()
        print(f"\n== {mutant.file}:{mutant.line}: {mutant.after}", file=self.log, flush=True)
        file.write_text(mutant.apply(source))
        try:
            survives = self.survives(mutant)
        finally:
            file.write_text(source)
        return "does not build" if survives is None else "survives" if survives else "killed"


def unchanged(jobs: int) -> None:
    """The tests must pass without a change, or each would seem to be noticed. Said once for the same files."""
    worker = Worker(0)
    seen = hashlib.sha256()
    for path in sorted(worker.source.rglob("*")):
        if path.is_file() and re.match(
            r"(include|src|tests/(conformance|numeric|unit))/", str(path.relative_to(worker.source))
        ):
            seen.update(path.read_bytes())
    passed = BUILD / "passed"
    if passed.exists() and passed.read_text() == seen.hexdigest():
        return
    programs = [*worker.units("api", "core", "engine"), *(p for unit in UNITS.values() for p in worker.simd(unit))]
    if (
        worker.make("lossfn_shared", *programs)
        or any(worker.run(worker.build / "tests" / p, seconds=MOST_SECONDS) not in (0, 77) for p in programs)
        or worker.tests("tests/conformance", jobs=jobs)
    ):
        raise SystemExit(f"the tests fail on the source as it is: {worker.folder / 'log'}")
    passed.write_text(seen.hexdigest())


def run(jobs: int, some: list[Mutant], minutes: float) -> list[tuple[Mutant, str]]:
    """By whole files to each worker, in turn."""
    unchanged(jobs)
    waiting: queue.Queue[list[Mutant]] = queue.Queue()
    for file in dict.fromkeys(m.file for m in some):
        waiting.put([m for m in some if m.file == file])
    found: list[tuple[Mutant, str]] = []
    end = time.monotonic() + 60 * minutes

    def work(number: int) -> None:
        worker = Worker(number)
        while not waiting.empty():
            try:
                batch = waiting.get_nowait()
            except queue.Empty:
                return
            for mutant in batch:
                if time.monotonic() > end:
                    return
                found.append((mutant, worker.judge(mutant)))
                print(
                    f"{found[-1][1]:<15} {mutant.file}:{mutant.line}: {mutant.before}  ->  {mutant.after}", flush=True
                )

    threads = [threading.Thread(target=work, args=(i,)) for i in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def reason(mutant: Mutant) -> str | None:
    return REASONS.get((mutant.file, mutant.before, mutant.after))


def figures(found: list[tuple[Mutant, str]]) -> dict[str, object]:
    parts = {}
    for part in SHARES:
        mine = [(m, verdict) for m, verdict in found if m.file in files(part) and verdict != "does not build"]
        survivors = [m for m, verdict in mine if verdict == "survives"]
        parts[part] = {
            "mutants": len(mine),
            "killed": len(mine) - len(survivors),
            "argued": sum(reason(m) is not None for m in survivors),
        }
    survivors = [m for m, verdict in found if verdict == "survives"]
    told = [{"file": m.file, "before": m.before, "after": m.after, "reason": reason(m)} for m in survivors]
    return {"parts": parts, "survivors": told}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at a time")
    parser.add_argument("--count", type=int, default=200, help="how many mutants")
    parser.add_argument("--minutes", type=float, default=math.inf, help="start no other one after so many")
    parser.add_argument("--seed", type=int, default=1, help="chooses them")
    parser.add_argument("--only", default="", metavar="PATH", help="of files whose path contains this")
    parser.add_argument("--again", action="store_true", help="those that survived the last time")
    parser.add_argument("--list", action="store_true", help="print them, build nothing")
    options = parser.parse_args()
    some = chosen(options.count, options.seed, options.only)
    if options.list:
        for m in some:
            print(f"{m.file}:{m.line}: {m.before}  ->  {m.after}")
        return 0
    last = BUILD / "verdicts.json"
    kept: list[tuple[Mutant, str]] = []
    if options.again:
        kept = [(Mutant(**fields), verdict) for fields, verdict in json.loads(last.read_text())]
        open_ones = {(m.file, m.before, m.after) for m, verdict in kept if verdict == "survives" and not reason(m)}
        kept = [(m, verdict) for m, verdict in kept if (m.file, m.before, m.after) not in open_ones]
        now = [m for file in sorted({file for file, _, _ in open_ones}) for m in mutants(file)]
        some = [m for m in now if (m.file, m.before, m.after) in open_ones]
    found = kept + run(options.jobs, some, options.minutes)
    last.write_text(json.dumps([(vars(m), verdict) for m, verdict in found]))
    told = figures(found)
    records.record("mutation", "mutation", told)
    counted = [(m, verdict) for m, verdict in found if verdict != "does not build" and reason(m) is None]
    killed = sum(verdict == "killed" for _, verdict in counted)
    print(f"{killed} of {len(counted)} killed, {len(found) - len(counted)} do not build or are argued")
    return 0 if counted and killed >= KILLED * len(counted) else 1


if __name__ == "__main__":
    sys.exit(main())
