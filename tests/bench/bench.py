# SPDX-License-Identifier: MIT
"""Measures lossfn beside PyTorch eager (value and gradient, float32): sh cmake/bootstrap bench

Writes build/bench/results.json with all times, and docs/bench.md. Both libraries take turns in one process, so that
other work on the machine hits both; each number is the best, or the median, of these turns."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# glibc gives large blocks back to the system, and the next call pays for fetching them anew, page by page. PyTorch
# allocates its results at every call, so it is measured in both ways; lossfn writes to arrays that it is given.
RECYCLED = "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=17179869184"
ALLOCATORS = {"default": "", "recycled": RECYCLED}


def machine() -> dict[str, object]:
    """The processor and what runs on it; nothing that names the machine."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    names = {key.strip(): value.strip() for key, value in fields.items()}
    caches = []
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            caches.append(f"L{level} {size}")
    model = f"{names.get('model name', platform.processor())} (family {names.get('cpu family')}, model {names.get('model')})"
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "caches": caches,
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def run_worker(threads: int, allocator: str, seconds: float, only: str) -> tuple[dict[str, str], list[dict]]:
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), GLIBC_TUNABLES=ALLOCATORS[allocator])
    command = [sys.executable, HERE / "worker.py", "--threads", str(threads), "--seconds", str(seconds), "--only", only]
    results, versions = [], {}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            result = json.loads(line)
            if "times" not in result:
                versions = result
                continue
            result.update(threads=threads, allocator=allocator)
            results.append(result)
            best = {name: min(times) for name, times in result["times"].items()}
            shape = f"{result['rows']} x {result['cols']}"
            print(
                f"{result['loss']:16} {shape:>16}  {threads} thread{'s'[: threads > 1]}, {allocator:8}  "
                f"lossfn {best['lossfn'] * 1e6:10.2f} us  torch {best['torch'] * 1e6:10.2f} us  "
                f"{best['torch'] / best['lossfn']:6.2f} x",
                flush=True,
            )
    if process.returncode:
        sys.exit("a measurement failed")
    return versions, results


def case_of(result: dict) -> tuple:
    return tuple(result[key] for key in ("loss", "rows", "cols", "threads", "allocator"))


def call_overhead(folder: Path) -> list[dict]:
    """What a call costs from C, where nothing else is in the way: bench_call.c, built against the installed library."""
    program = folder / "bench_call"
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "lossfn"], capture_output=True, text=True, check=True)
    command = ["cc", "-O2", "-std=c11", HERE / "bench_call.c", "-o", program, *flags.stdout.split()]
    subprocess.run(command, check=True)
    run = subprocess.run([program], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def duration(seconds: float) -> str:
    for unit, factor in (("ns", 1e9), ("µs", 1e6), ("ms", 1e3)):
        if seconds * factor < 1000 or unit == "ms":
            return f"{seconds * factor:.3g} {unit}"
    raise AssertionError


def count(n: int) -> str:
    for unit, size in (("Mi", 1 << 20), ("Ki", 1 << 10)):
        if n >= size:
            return f"{n / size:.3g} {unit}"
    return str(n)


def report(results: list[dict], calls: list[dict], about: dict, versions: dict[str, str]) -> str:
    """The table: times of the recycled run, ratios against both allocators, best of the turns and (median)."""
    found = {case_of(r): r["times"] for r in results}

    def ratio(key: tuple, allocator: str) -> str:
        times = found.get((*key, allocator))
        if times is None:
            return ""
        best = min(times["torch"]) / min(times["lossfn"])
        median = statistics.median(times["torch"]) / statistics.median(times["lossfn"])
        text = f"{best:.1f} ({median:.1f})"
        return text if best >= 1 else f"**{text}**"

    lines = [
        "# lossfn beside PyTorch",
        "",
        "Value and gradient in float32, called from Python: `value_and_grad` into a given array, against PyTorch's forward",
        "and `backward()`. Both take turns in one process. Times are the best of the turns; a ratio says how many times",
        "longer PyTorch takes, by the best and (by the median) of the turns; below 1 it stands in bold. *Recycled*: with an",
        "allocator that keeps large blocks (`GLIBC_TUNABLES`), which spares PyTorch the page faults that it has by default.",
        "",
        f"Machine: {about['cpu']}, {about['cores']} cores, {', '.join(about['caches'])}.",
        f"lossfn {versions['lossfn']} ({versions['isa']}), PyTorch {versions['torch']}, Python {about['python']}.",
        f"Load of the machine before the start: {about['load']:.1f} (0 is idle; what else runs disturbs two threads most).",
        "`sh cmake/bootstrap bench` makes this page.",
        "",
        "| loss | rows | classes | elements | threads | lossfn | PyTorch, recycled | ratio, recycled | ratio, default |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for key in dict.fromkeys(k[:4] for k in found):
        loss, rows, cols, threads = key
        times = found.get((*key, "recycled")) or found[(*key, "default")]
        shape = (count(rows), str(cols)) if loss == "cross_entropy" else ("", "")
        cells = (loss, *shape, count(rows * cols), str(threads))
        both = (duration(min(times["lossfn"])), duration(min(times["torch"])))
        lines.append(f"| {' | '.join((*cells, *both, ratio(key, 'recycled'), ratio(key, 'default')))} |")
    if calls:
        lines += [
            "",
            "From C, one thread: a whole call of `lossfn_forward_backward`, checks of the arguments included.",
            "",
            "| loss | elements | call |",
            "|---|---:|---:|",
        ]
        lines += [f"| {c['loss']} | {count(c['elements'])} | {duration(c['seconds'])} |" for c in calls]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.3, help="per case and pass (default: %(default)s)")
    parser.add_argument(
        "--passes", type=int, default=2, help="over all cases, so that no noise lasts (default: %(default)s)"
    )
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2], help="default: 1 2")
    parser.add_argument("--only", default="", help="cases whose loss has this in its name; writes no docs/bench.md")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)

    about = machine()
    results: list[dict] = []
    versions: dict[str, str] = {}
    for number in range(options.passes):
        for threads, allocator in itertools.product(options.threads, ALLOCATORS):
            versions, found = run_worker(threads, allocator, options.seconds, options.only)
            if number == 0:
                results += found
                continue
            at = {case_of(result): result["times"] for result in results}
            for result in found:
                for name, times in result["times"].items():
                    at[case_of(result)][name] += times
    calls = call_overhead(options.output)
    everything = {"machine": about, "versions": versions, "results": results, "calls": calls}
    (options.output / "results.json").write_text(json.dumps(everything, indent=1) + "\n", encoding="utf-8")
    text = report(results, calls, about, versions)
    (options.output / "bench.md").write_text(text, encoding="utf-8")
    if not options.only:
        (ROOT / "docs" / "bench.md").write_text(text, encoding="utf-8")
    print(f"\n{text}")
    slower = [r for r in results if min(r["times"]["torch"]) < min(r["times"]["lossfn"])]
    print(f"slower than PyTorch: {len(slower)} of {len(results)} cases")


if __name__ == "__main__":
    main()
