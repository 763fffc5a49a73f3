# SPDX-License-Identifier: MIT
"""Measures lossfn: beside what the memory allows, beside its peers, and by itself: sh cmake/bootstrap bench

Writes build/bench/results.json with all times; then, from a run of everything, docs/bench.md and docs/images/bench-*.svg,
from others build/bench/bench.md. Turns of all who compute the same thing alternate in one process, so that what else the machine does
hits them all; each number is the best, or the median, of these turns."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import machine
import peers
from results import SIZES, Record, Results, duration, ratio, size, threads_words

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
COMPILER = shutil.which("cc") or "gcc"

# glibc gives large blocks back to the system, and the next call pays for fetching them anew, page by page. Peers that
# allocate their results at every call are measured in both ways; lossfn writes to arrays that it is given. One arena,
# because those of other threads (JAX computes on one) cannot hold large blocks.
RECYCLED = "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=17179869184:glibc.malloc.arena_max=1"
ALLOCATORS = {"recycled": RECYCLED, "default": ""}
ALLOCATING = ("torch", "compile", "jax", "numpy")  # who allocates results at every call

SMALL, LARGE = SIZES[:2], SIZES[2:]


@dataclass(frozen=True)
class Pass:
    """One process of worker.py."""

    threads: int
    allocator: str
    groups: tuple[str, ...]
    sizes: tuple[int, ...]
    peers: tuple[str, ...]


def passes(options: argparse.Namespace) -> Iterator[Pass]:
    everyone = tuple(key for key in peers.headings() if not options.peers or key in options.peers)
    for threads in options.threads[:1] if options.quick else options.threads:
        if threads == 1:
            yield Pass(1, "recycled", ("small", "catalogue"), SMALL, everyone)
        groups: tuple[str, ...] = ("catalogue", "classes", "options", "doubles", "variants")
        yield Pass(threads, "recycled", groups, options.sizes, everyone)
        if not options.quick:
            allocating = tuple(key for key in everyone if key in ALLOCATING)
            groups = ("catalogue", "classes", "options") if threads == 1 else ("catalogue",)
            yield Pass(threads, "default", groups, options.sizes[-1:], allocating)
            if threads > 1:
                yield Pass(threads, "recycled", ("catalogue",), SMALL, everyone)


def environment(allocator: str) -> dict[str, str]:
    """That of a worker, without what may be set here that changes how a peer computes."""
    wanted = {k: v for k, v in os.environ.items() if not k.startswith(("OPENBLAS_", "OMP_", "GLIBC_TUNABLES"))}
    wanted.update(TORCHINDUCTOR_CACHE_DIR=str(ROOT / "build" / "bench" / "inductor"), TF_CPP_MIN_LOG_LEVEL="2")
    if ALLOCATORS[allocator]:
        wanted["GLIBC_TUNABLES"] = ALLOCATORS[allocator]
    return wanted


def run_pass(one: Pass, options: argparse.Namespace, results: Results) -> None:
    command: list[object] = [sys.executable, HERE / "worker.py", "--threads", one.threads, "--only", options.only]
    command += ["--seconds", options.seconds, "--turns", options.turns, "--groups", *one.groups]
    command += ["--sizes", *one.sizes, "--peers", *one.peers]
    start = time.monotonic()
    log = (options.output / "worker.log").open("a", encoding="utf-8")
    with (
        log,
        subprocess.Popen(
            list(map(str, command)), env=environment(one.allocator), stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        for line in process.stdout or ():
            if not line.startswith("{"):
                continue  # a peer talks
            record = json.loads(line)
            if "peer" in record:
                note_peer(record, results)
                continue
            record.update(threads=one.threads, allocator=one.allocator)
            results.add(record)
            tell(record)
    if process.returncode:
        sys.exit(f"a measurement failed; {log.name} tells how")
    print(f"-- {threads_words(one.threads)}, {one.allocator}: {time.monotonic() - start:.0f} s", flush=True)


def note_peer(record: Record, results: Results) -> None:
    if "missing" in record:
        if record["peer"] not in results.missing:
            print(f"{record['peer']} is missing: {record['missing']}", flush=True)
        results.missing[record["peer"]] = record["missing"]
        return
    results.versions[record["peer"]] = record["version"]
    if "isa" in record:
        results.machine["isa"] = record["isa"]


def tell(record: Record) -> None:
    """A line for whoever waits."""
    times = {name: min(seconds) for name, seconds in record["times"].items()}
    what = record.get("case", record["loss"])
    where = f"{size(record['elements']):>7} {threads_words(record['threads'])}, {record['allocator']}"
    if record["kind"] == "case":
        cells = [f"{duration(times['lossfn']):>9}"] if times else []
        cells += [f"{key} {found:.3g} x" for key in times if (found := ratio(record, key)) and key != "lossfn"]
        cells += [f"{key}: {fault}" for key, fault in record.get("failed", {}).items()]
    else:
        cells = [f"{name} {duration(seconds)}" for name, seconds in times.items()]
    print(
        f"{what:36} {where:28} {record.get('want', ''):10} {record.get('dtype', ''):7} {', '.join(cells)}", flush=True
    )


# As cmake/library.cmake has them.
ISA_FLAGS = {"avx512": "-mavx512f -mavx512dq -mavx512bw -mavx512vl -mavx2 -mfma", "avx2": "-mavx2 -mfma"}


def compile_program(name: str, folder: Path, isa: str) -> Path:
    """A native program, against the installed library. With a dtype behind the name: compiled as the library's kernels
    of this instruction set are."""
    program = folder / name.replace(" ", "_")
    name, _, dtype = name.partition(" ")
    flags = ["-O2", "-std=c11", "-ffp-contract=off"]
    if dtype:
        flags += [f"-I{ROOT / 'src'}", f"-DLOSSFN_ISA_{isa.upper()}", f"-DLOSSFN_REAL_{dtype.upper()}"]
        flags += ISA_FLAGS.get(isa, "").split()
    library = subprocess.run(["pkg-config", "--cflags", "--libs", "lossfn"], capture_output=True, text=True, check=True)
    source = HERE / "native" / f"{name}.c"
    subprocess.run([COMPILER, *flags, source, "-o", program, *library.stdout.split()], check=True)
    return program


def run_native(options: argparse.Namespace, results: Results) -> None:
    """The programs in C: the limit, functions, exact sums, calls and threads. Sums and calls on AVX2 as well."""
    import lossfn
    import operations

    turns = options.turns
    isas = ["", "avx2"] if results.machine["isa"] == "avx512" and not options.quick else [""]
    plans: list[tuple[str, list[object], str]] = [
        ("bench_limit", [16 << 20, turns, only, "f32" if options.quick else ""], "")
        for only in ((options.only, "mse") if options.only else ("",))  # operations are counted beside those of mse
    ]
    plans += [(f"bench_math {dtype}", [8 * turns], "") for dtype in ("f32", "f64")]
    plans += [("bench_sums", [8 * turns], isa) for isa in isas]
    plans += [("bench_call", [8 * turns], isa) for isa in isas]
    if not options.only and max(options.threads) > 1:
        plans.append(("bench_threads", [8 * turns, max(options.threads)], ""))
    for name, arguments, isa in plans:
        program = compile_program(name, options.output, results.machine["isa"])
        wanted = {**environment("recycled"), **({"LOSSFN_ISA": isa} if isa else {})}
        command = [str(program), *map(str, arguments)]
        start = time.monotonic()
        with subprocess.Popen(command, env=wanted, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout or ():
                record = json.loads(line)
                record.update(kind="native", isa=isa or results.machine["isa"], first_isa=not isa)
                if name == "bench_limit":
                    record["unit"] = lossfn.describe(record["loss"]).unit
                    if record["unit"] == "element":
                        record["operations"] = operations.count(record["loss"])
                results.add(record)
        if process.returncode:
            sys.exit(f"{name} failed")
        print(f"-- {name}{f' with {isa}' if isa else ''}: {time.monotonic() - start:.0f} s", flush=True)


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one allocator, fewer turns; for a first look")
    parser.add_argument("--only", default="", metavar="LOSS", help="losses with this in their name; writes no docs")
    parser.add_argument("--peers", nargs="*", help=f"default: all, which are {', '.join(peers.headings())}")
    parser.add_argument("--threads", type=int, nargs="*", default=sorted({1, cores}), help="default: 1 and all")
    parser.add_argument("--seconds", type=float, help="per case and pass (default: 0.2; 0.05 with --quick)")
    parser.add_argument("--turns", type=int, help="at least, per case and pass (default: 5; 3 with --quick)")
    parser.add_argument("--passes", type=int, default=1, help="over everything, so that no noise lasts (default: 1)")
    parser.add_argument("--no-native", action="store_true", help="leave out the programs in C")
    parser.add_argument("--report", action="store_true", help="measure nothing, report build/bench/results.json anew")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench")
    options = parser.parse_args(arguments)
    options.seconds = options.seconds or (0.05 if options.quick else 0.2)
    options.turns = options.turns or (3 if options.quick else 5)
    options.sizes = LARGE[:1] if options.quick else LARGE
    less = options.quick or options.only or options.peers or options.no_native
    options.whole = not less and options.threads == parser.get_default("threads")
    return options


def measure(options: argparse.Namespace) -> Results:
    import lossfn

    start = time.monotonic()
    results = Results(whole=options.whole, machine=machine.describe(COMPILER))
    results.machine["isa"] = lossfn.isa()
    (options.output / "worker.log").write_text("", encoding="utf-8")
    for _ in range(options.passes):
        for one in passes(options):
            run_pass(one, options, results)
            store(results, options)
        if not options.no_native:
            run_native(options, results)
    results.machine["load after"] = os.getloadavg()[0]
    results.machine["minutes"] = round((time.monotonic() - start) / 60, 1)
    store(results, options)
    return results


def store(results: Results, options: argparse.Namespace) -> None:
    text = json.dumps(dataclasses.asdict(results)) + "\n"
    (options.output / "results.json").write_text(text, encoding="utf-8")


def write_report(results: Results, options: argparse.Namespace) -> None:
    import plots
    import report

    page = ROOT / "docs" / "bench.md" if results.whole else options.output / "bench.md"
    drawn = plots.draw(results, page.parent / "images")
    page.write_text(report.page(results, [f"images/{image.name}" for image in drawn]), encoding="utf-8")
    print(f"\n{report.bars_text(results)}\n\n{os.path.relpath(page)} and {len(drawn)} pictures in images/ beside it")
    failed = report.failed_cells(results)
    if failed:
        sys.exit("these failed or computed something else:\n" + "\n".join(failed))


def main() -> None:
    options = options_of()
    options.output.mkdir(parents=True, exist_ok=True)
    if options.report:
        results = Results(**json.loads((options.output / "results.json").read_text(encoding="utf-8")))
    else:
        results = measure(options)
    write_report(results, options)


if __name__ == "__main__":
    main()
