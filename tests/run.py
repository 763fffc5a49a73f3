#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs every test and check of the project and sums them up; `sh cmake/bootstrap test` sets up what it needs.

python3 tests/run.py [--jobs N] [STAGE ...]

Each stage prints one line when it is done, and the end of its output if it failed. Output of all stages: build/test/.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import covered
from records import record

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
LOGS = BUILD / "test"
RECORDS = LOGS / "records"  # figures for docs/reliability.md
LUAS = ("lua5.1", "lua5.2", "lua5.3", "lua5.4", "luajit")
MOST_SECONDS = 1200  # for one command; a test that hangs must not take the summary with it
LONG = bool(os.environ.get("LOSSFN_TEST_LONG"))


@dataclass
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed" + (f", {self.skipped} skipped" if self.skipped else "")


class Stage:
    """A running stage: its commands write to its log."""

    def __init__(self, name: str, jobs: int) -> None:
        self.name = name
        self.jobs = jobs
        self.log = LOGS / f"{name}.log"
        self.log.write_text("")

    def run(self, *command: object, env: dict[str, str] | None = None) -> int:
        with self.log.open("a") as out:
            out.write(f"$ {' '.join(map(str, command))}\n")
            out.flush()
            process = subprocess.Popen(
                list(map(str, command)),
                cwd=ROOT,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
            try:
                return process.wait(None if LONG or self.name in LONG_ONLY else MOST_SECONDS)
            except BaseException as stopped:
                os.killpg(process.pid, signal.SIGKILL)  # with what it started
                process.wait()
                if not isinstance(stopped, subprocess.TimeoutExpired):
                    raise
                out.write(f"stopped after {MOST_SECONDS} seconds\n")
                return 124

    def one(self, *command: object, env: dict[str, str] | None = None) -> Count:
        """A command that is itself one test."""
        return Count(failed=1) if self.run(*command, env=env) else Count(passed=1)

    def build(self, preset: str, *isas: str, targets: Sequence[str] = ()) -> bool:
        """With these instruction sets alone, except in the long run."""
        chosen = [f"-DLOSSFN_ISAS={';'.join(isas)}"] if isas and not LONG else []
        return (
            self.run("cmake", "--preset", preset, f"-DPython_EXECUTABLE={sys.executable}", *chosen) == 0
            and self.run(
                "cmake", "--build", BUILD / preset, "-j", self.jobs, *(("--target", *targets) if targets else ())
            )
            == 0
        )

    def ctest(self, preset: str, *selection: str, env: dict[str, str] | None = None) -> Count:
        report = LOGS / f"{self.name}.xml"
        report.unlink(missing_ok=True)
        self.run(
            *("ctest", "--test-dir", BUILD / preset, "-j", self.jobs, "--output-on-failure", "--no-tests=error"),
            *("--test-output-size-passed", 1 << 20, "--test-output-size-failed", 1 << 20),
            *("--output-junit", report, *selection),
            env=env,
        )
        return count_report(report)

    def pytest(self, folder: Path) -> Count:
        report = LOGS / f"{self.name}-python.xml"
        report.unlink(missing_ok=True)
        library = BUILD / "dev" / "liblossfn.so"
        code = self.run(*pytest_command(self, report), folder, env={"LOSSFN_LIBRARY": str(library)})
        count = count_report(report)
        return count if code == 0 or count.failed else count + Count(failed=1)


def pytest_command(stage: Stage, report: Path) -> tuple[object, ...]:
    return (sys.executable, "-m", "pytest", "-q", "-n", stage.jobs, "--dist", "worksteal", f"--junit-xml={report}")


def count_report(report: Path) -> Count:
    """Tests of a JUnit report; a ctest program that is made with cmocka counts as many tests as it has."""
    if not report.exists():
        return Count(failed=1)
    total = Count()
    for case in ET.parse(report).getroot().iter("testcase"):
        text = case.findtext("system-out") or ""
        inner = Count(
            sum(map(int, re.findall(r"^\[  PASSED  \] (\d+) test", text, re.M))),
            sum(map(int, re.findall(r"^\[  FAILED  \] (\d+) test", text, re.M))),
            sum(map(int, re.findall(r"^\[  SKIPPED \] (\d+) test", text, re.M))),
        )
        if case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail":
            total += Count(inner.passed, max(inner.failed, 1), inner.skipped)
        elif case.find("skipped") is not None or case.get("status") == "notrun":
            total += Count(skipped=1)
        elif inner.passed or inner.failed:
            total += inner
        else:
            total += Count(passed=1)
    return total


def sources(*patterns: str) -> list[Path]:
    folders = ("include", "src", "bindings", "tests", "docs")
    return sorted(p for folder in folders for pattern in patterns for p in (ROOT / folder).rglob(pattern))


def widest_isa() -> str:
    """The widest instruction set of this machine that the library has kernels for."""
    machine = platform.machine().lower()
    if machine in ("aarch64", "arm64"):
        return "neon"
    cpu = Path("/proc/cpuinfo")
    flags = set(re.findall(r"\w+", cpu.read_text())) if cpu.exists() and machine in ("x86_64", "amd64") else set()
    if {"avx512f", "avx512dq", "avx512bw", "avx512vl"} <= flags:
        return "avx512"
    return "avx2" if {"avx2", "fma"} <= flags else "baseline"


# ---- Stages: functions of a Stage that return a Count ---------------------------------------------------------------


def stage_build(stage: Stage) -> Count:
    return Count(passed=1) if stage.build("dev") else Count(failed=1)


def kind(name: str) -> Callable[[Stage], Count]:
    """The stage of the tests in tests/<name>: programs in C and scripts run by ctest, Python run by pytest."""

    def stage_kind(stage: Stage) -> Count:
        folder = ROOT / "tests" / name
        scripted = name in ("abi", "install")
        count = Count()
        if scripted or any(folder.rglob("test_*.c")):
            count += stage.ctest("dev", "-L", f"^{name}$")
        if any(folder.rglob("test_*.py")):
            count += stage.pytest(folder)
        return count

    return stage_kind


def stage_fuzz(stage: Stage) -> Count:
    """The fuzz targets; in the long run 10^8 inputs."""
    if not LONG:
        return stage.ctest("dev", "-L", "^fuzz$")
    runs = {"spec": 90_000_000, "run": 5_000_000, "accumulator": 5_000_000}

    def target(name: str) -> Count:
        return stage.one(
            BUILD / "dev" / "tests" / f"lossfn_fuzz_{name}", runs[name], ROOT / "tests" / "fuzz" / "corpus" / name
        )

    with ThreadPoolExecutor(stage.jobs) as pool:
        return sum(pool.map(target, runs), Count())


def stage_asan(stage: Stage) -> Count:
    """The C tests as clang compiles them, under its sanitizers of addresses and undefined behaviour."""
    if not stage.build("asan", "baseline"):
        return Count(failed=1)
    env = {"ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1", "LOSSFN_RECORDS": ""}
    return stage.ctest("asan", "-L", "^(unit|numeric|conformance|stress|fuzz)$", env=env)


def stage_tsan(stage: Stage) -> Count:
    if not stage.build("tsan", "baseline"):
        return Count(failed=1)
    # What runs on several threads.
    env = {"TSAN_OPTIONS": "die_after_fork=0:halt_on_error=1:second_deadlock_stack=1"}
    return stage.ctest("tsan", "-R", "^stress/|pool|thread|accumulator|registry", env=env)


def stage_msan(stage: Stage) -> Count:
    """What is read was written: specs, options, handles, accumulators and the calls of C tests.

    Not the fuzz target of whole calls: lanes past the end of a row, whose numbers go nowhere, are converted as well, and
    this sanitizer stops at conversions. Nor what needs MPFR, which is not built for it, or limits its memory."""
    units = [p for folder in ("api", "core") for p in sorted((ROOT / "tests/unit" / folder).glob("test_*.c"))]
    programs = [f"lossfn_test_unit_{p.parent.name}_{p.stem.removeprefix('test_')}" for p in units]
    programs += ["lossfn_test_unit_engine_direct", "lossfn_test_unit_engine_fpenv"]
    if not stage.build("msan", targets=[*programs, "lossfn_fuzz_spec", "lossfn_fuzz_accumulator"]):
        return Count(failed=1)
    commands: list[list[object]] = [[name] for name in programs]
    for name in ("spec", "accumulator"):
        commands.append([f"lossfn_fuzz_{name}", 10000, ROOT / "tests" / "fuzz" / "corpus" / name])
    total = Count()
    for program, *arguments in commands:
        total += stage.one(BUILD / "msan" / "tests" / str(program), *arguments, env={"LOSSFN_RECORDS": ""})
    return total


def stage_valgrind(stage: Stage) -> Count:
    """C tests of the release build under memcheck, without suppressions; in the long run those that take minutes, too.

    valgrind knows no AVX-512, and neither rounding modes nor flags of floating point, so unit/engine/fpenv is left out."""
    cpu = Path("/proc/cpuinfo")
    isas = ["avx2"] if cpu.exists() and re.search(r"\bavx2\b", cpu.read_text()) else ["baseline"]
    programs = ["api_check", "api_extend", "api_memory", "core_handle", "core_memory", "core_registry"]
    runs = 5000 if LONG else 200
    if LONG:
        programs += ["api_accumulator", "api_rho", "core_number", "core_spec", "core_status"]
        programs += ["engine_direct", "engine_exact", "engine_pool"]
        isas = sorted({*isas, "baseline"})
    commands: list[list[object]] = [[f"lossfn_test_unit_{name}"] for name in programs]
    corpus = ROOT / "tests" / "fuzz" / "corpus"
    commands += [[f"lossfn_fuzz_{name}", runs, corpus / name] for name in ("run", "spec", "accumulator")]
    commands += [["lossfn_test_stress_memory"]] if LONG else []
    total = Count()
    for isa in isas:
        for program, *arguments in commands:
            # A child of the pool's tests ends while its threads run: the C library's own block of each is "possibly lost".
            kinds = ["--errors-for-leak-kinds=definite"] if program == "lossfn_test_unit_engine_pool" else []
            code = stage.run(
                *("valgrind", "--quiet", "--error-exitcode=1", "--leak-check=full", "--track-origins=yes", *kinds),
                *(BUILD / "dev" / "tests" / str(program), *arguments),
                env={"LOSSFN_ISA": isa, "LOSSFN_TEST_LONG": "", "LOSSFN_RECORDS": ""},
            )
            total += Count(failed=1) if code else Count(passed=1)
    return total


def fuzzer_record(fuzzer: str, target: str, executions: int, failures: int) -> Count:
    told = {"fuzzer": fuzzer, "target": target, "executions": executions, "failures": failures}
    record("fuzzers", f"{fuzzer}-{target}", told)
    return Count(failed=failures) if failures else Count(passed=1) if executions else Count(failed=1)


def stage_fuzzers(stage: Stage) -> Count:
    """The fuzz targets, led by what of the code they reach: libFuzzer and AFL++, under the sanitizers, from the corpus."""
    total = Count()
    budget = float(os.environ.get("LOSSFN_TEST_BUDGET") or 4)
    env = {
        "AFL_NO_UI": "1",
        "AFL_SKIP_CPUFREQ": "1",
        "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1",
        "LOSSFN_RECORDS": "",
    }
    names = {"run": 50_000, "spec": 500_000, "accumulator": 200_000}
    for preset in ("fuzz", "afl"):
        if not stage.build(preset, targets=["lossfn_fuzz"]):
            return total + Count(failed=1)
    for name, runs in names.items():
        corpus, program = ROOT / "tests" / "fuzz" / "corpus" / name, f"tests/lossfn_fuzz_{name}"
        work = {fuzzer: LOGS / f"{fuzzer}-{name}" for fuzzer in ("libfuzzer", "afl")}
        for folder in work.values():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        before = len(stage.log.read_text(errors="replace"))
        runs = int(runs * budget)
        artifacts = f"-artifact_prefix={work['libfuzzer']}/failed-"
        code = stage.run(
            *(BUILD / "fuzz" / program, f"-runs={runs}", "-seed=1", "-max_len=1024", "-print_final_stats=1", artifacts),
            *(work["libfuzzer"], corpus),
            env=env,
        )
        done = re.search(r"number_of_executed_units: *(\d+)", stage.log.read_text(errors="replace")[before:])
        total += fuzzer_record("libFuzzer", name, int(done[1]) if done else 0, int(code != 0))
        seconds = int(75 * budget)
        stage.run("afl-fuzz", "-V", seconds, "-i", corpus, "-o", work["afl"], "--", BUILD / "afl" / program, env=env)
        stats = work["afl"] / "default" / "fuzzer_stats"
        found = dict(re.findall(r"^(\w+) *: *(\S+)", stats.read_text(), re.M)) if stats.exists() else {}
        failures = int(found.get("saved_crashes", 0)) + int(found.get("saved_hangs", 0))
        total += fuzzer_record("AFL++", name, int(found.get("execs_done", 0)), failures)
    return total


def stage_coverage(stage: Stage) -> Count:
    """What tests reach through the public functions of a build with counters; see covered.py."""
    if not stage.build("coverage"):
        return Count(failed=1)
    build = BUILD / "coverage"
    shutil.rmtree(covered.PROFILES, ignore_errors=True)
    env = {"LOSSFN_TEST_LONG": "", "LOSSFN_TEST_BUDGET": "1", "LOSSFN_RECORDS": ""}
    env |= {"LLVM_PROFILE_FILE": f"{covered.PROFILES}/%4m.profraw"}  # programs of the same code add to four files
    count = stage.ctest("coverage", "-L", "^(unit|stress|fuzz)$", "-E", "^stress/large$", env=env)
    env |= {"LOSSFN_LIBRARY": str(build / "liblossfn.so"), "LD_LIBRARY_PATH": str(build)}
    for folder in ("conformance", "python"):
        report = LOGS / f"{stage.name}-{folder}.xml"
        report.unlink(missing_ok=True)
        stage.run(*pytest_command(stage, report), ROOT / "tests" / folder, env=env)
        count += count_report(report)
    files = covered.collect()
    record("coverage", "coverage", covered.figures(files))
    return count + stage.one(sys.executable, ROOT / "tests" / "covered.py")  # fails on what has no reason


def stage_mutation(stage: Stage) -> Count:
    """Whether the tests notice small changes of the source; see mutation.py."""
    budget = float(os.environ.get("LOSSFN_TEST_BUDGET") or 4)
    size = ("--count", int(100 * budget), "--minutes", 60 * budget)
    return stage.one(sys.executable, ROOT / "tests" / "mutation.py", "--jobs", stage.jobs, *size)


def stage_clang(stage: Stage) -> Count:
    """What clang makes of the release build; its warnings are errors in the stage asan, too."""
    if not stage.build("clang"):
        return Count(failed=1)
    return stage.ctest("clang", "-L", "^(unit|numeric|conformance|stress)$")


def stage_bits(stage: Stage) -> Count:
    """Every loss over wild and tame inputs, as each compiler makes it at each level of optimisation: the digests of all."""
    digests: dict[str, Path] = {}
    total = Count()
    script = ROOT / "tests" / "conformance" / "test_determinism.py"
    for compiler in ("gcc", "clang-14"):
        for level in (1, 2, 3):
            name = f"{compiler} -O{level}"
            build = BUILD / "bits" / name.replace(" ", "")
            options = [f"-DCMAKE_C_COMPILER={compiler}", "-DCMAKE_BUILD_TYPE=Debug", f"-DCMAKE_C_FLAGS_DEBUG=-O{level}"]
            options.append(f"-DLOSSFN_ISAS={';'.join(dict.fromkeys(['baseline', widest_isa()]))}")
            # What of it the widest instruction set of this machine gives; the stage conformance compares all of them.
            made = stage.run("cmake", "-G", "Ninja", "-S", ROOT, "-B", build, *options) == 0 and (
                stage.run("cmake", "--build", build, "-j", stage.jobs, "--target", "lossfn_shared") == 0
            )
            to = LOGS / f"bits-{compiler}-{level}.json"
            to.unlink(missing_ok=True)
            env = {"LOSSFN_LIBRARY": str(build / "liblossfn.so"), "LOSSFN_TEST_BUDGET": "1"}
            if not made or stage.run(sys.executable, script, "--to", to, env=env):
                return total + Count(failed=1)
            digests[name] = to
            total += stage.one("diff", digests["gcc -O1"], to)
    told = {"builds": list(digests), "digests": len(json.loads(digests["gcc -O1"].read_text()))}
    record("bits", "bits", told)
    return total


def stage_lua(stage: Stage) -> Count:
    tests = sorted((ROOT / "tests" / "lua").glob("test_*.lua"))
    total = Count()
    for interpreter in LUAS:
        if not shutil.which(interpreter):
            stage.run("echo", f"{interpreter} is missing")
            total += Count(failed=1)
            continue
        before = len(stage.log.read_text())
        code = stage.run(interpreter, ROOT / "tests" / "lua" / "run.lua", *tests)
        match = re.search(r"^(\d+) passed, (\d+) failed$", stage.log.read_text()[before:], re.M)
        count = Count(int(match[1]), int(match[2])) if match else Count()
        total += count if code == 0 or count.failed else count + Count(failed=1)
    return total


def stage_format(stage: Stage) -> Count:
    c = stage.one("clang-format-14", "--dry-run", "-Werror", *sources("*.c", "*.h", "*.hpp"))
    return c + stage.one(sys.executable, "-m", "ruff", "format", "--check", "--diff")


def stage_lint(stage: Stage) -> Count:
    total = stage.one(sys.executable, "-m", "ruff", "check")
    total += stage.one(sys.executable, "-m", "mypy")
    total += stage.one(
        sys.executable,
        "-m",
        "mypy.stubtest",
        "lossfn",
        "--ignore-unused-allowlist",
        "--allowlist",
        ROOT / "tests" / "python" / "stubtest.allow",
    )
    files = [p for folder in ("api", "core", "engine") for p in sorted((ROOT / "src" / folder).rglob("*.c"))]
    commands = [["clang-tidy-14", "-p", str(BUILD / "dev"), "--quiet", str(file)] for file in files]
    running: list[subprocess.Popen[str]] = []
    with stage.log.open("a") as out:
        while commands or running:
            while commands and len(running) < stage.jobs:
                pipe = subprocess.PIPE
                running.append(subprocess.Popen(commands.pop(0), cwd=ROOT, stdout=pipe, stderr=pipe, text=True))
            process = running.pop(0)
            text, _ = process.communicate()
            out.write(text)
            total += Count(failed=1) if process.returncode else Count(passed=1)
    return total


STAGES = {
    "build": stage_build,
    "unit": kind("unit"),
    "numeric": kind("numeric"),
    "conformance": kind("conformance"),
    "stress": kind("stress"),
    "fuzz": stage_fuzz,
    "python": kind("python"),
    "lua": stage_lua,
    "cpp": kind("cpp"),
    "examples": kind("examples"),
    "docs": kind("docs"),
    "bench": kind("bench"),
    "peers": kind("peers"),
    "abi": kind("abi"),
    "install": kind("install"),
    "format": stage_format,
    "lint": stage_lint,
    "asan": stage_asan,
    "tsan": stage_tsan,
    "msan": stage_msan,
    "valgrind": stage_valgrind,
    "clang": stage_clang,
    "bits": stage_bits,
    "fuzzers": stage_fuzzers,
    "coverage": stage_coverage,
    "mutation": stage_mutation,
}
LONG_ONLY = {"msan", "clang", "bits", "fuzzers", "coverage", "mutation"}  # unless it is named
WITH_MODULE = {"python", "docs", "bench", "peers", "lint", "coverage"}  # that need the Python module


def busy() -> float:
    """Seconds of processors that what ran so far has used."""
    times = os.times()
    return times.children_user + times.children_system


def took(start: float, start_busy: float) -> str:
    return f"{time.monotonic() - start:7.1f} s, {busy() - start_busy:7.1f} s of processors"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how much to do at a time")
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"{', '.join(STAGES)}; all if none is named")
    options = parser.parse_args()
    if unknown := set(options.stages) - set(STAGES):
        parser.error(f"no stage {', '.join(sorted(unknown))}; there are {', '.join(STAGES)}")
    if (needing := WITH_MODULE & set(options.stages)) and not importlib.util.find_spec("lossfn"):
        setup = 'eval "$(sh cmake/bootstrap env)"'
        parser.error(f"{', '.join(sorted(needing))}: the Python module is not on the path; {setup} puts it there")

    RECORDS.mkdir(parents=True, exist_ok=True)
    os.environ["LOSSFN_RECORDS"] = str(RECORDS)
    os.environ["LOCPATH"] = str(BUILD / "locale")  # cmake/bootstrap makes one with a decimal comma
    told = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    commit = told.stdout.strip() or "no commit"
    lines, total = [], Count()
    begin, begin_busy = time.monotonic(), busy()
    for name in options.stages or [name for name in STAGES if LONG or name not in LONG_ONLY]:
        print(f"-- {name}", file=sys.stderr, flush=True)
        stage = Stage(name, options.jobs)
        start, start_busy = time.monotonic(), busy()
        count = STAGES[name](stage)
        if count == Count():
            count = Count(failed=1)  # a stage without a test tests nothing
            stage.run("echo", "there is no test in this stage")
        lines.append(f"{name:<12} {took(start, start_busy)}   {count}")
        if count.failed:
            tail = stage.log.read_text(errors="replace").splitlines()[-40:]
            print("\n".join([*tail, f"-- {name} failed; the whole of its output is in {stage.log}"]), flush=True)
        total += count
        record("stages", name, {**count.__dict__, "commit": commit, "long": LONG or name in LONG_ONLY})
    print("\n".join(["", *lines, f"{'all':<12} {took(begin, begin_busy)}", str(total)]), flush=True)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
