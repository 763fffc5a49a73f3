# SPDX-License-Identifier: MIT
"""What a run has measured, and questions to it. Times are seconds; the best of the turns unless it says median."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

Record = dict[str, Any]

WANTS = {"value": "value", "value_grad": "value and gradient", "value_grad_hess": "value, gradient and Hessian"}

SIZES = (64, 4 << 10, 256 << 10, 16 << 20)  # elements: a handful, in the first cache, in the second, in memory
READ_HALVES, READ_WHOLE = "NumPy's sums of half of longer rows", "NumPy's sums of pred's rows"  # among the variants
LARGE = SIZES[2]  # where a call's own cost no longer counts


@dataclass
class Results:
    whole: bool = False  # a default run, which the documentation shows
    machine: Record = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)

    def add(self, record: Record) -> None:
        """A record; a later pass over the same thing adds its turns to the first."""
        same = {k: v for k, v in record.items() if k not in ("times", "after_pause")}
        for known in self.records:
            if all(known.get(k) == v for k, v in same.items()):
                for name, times in record["times"].items():
                    known["times"].setdefault(name, []).extend(times)
                return
        self.records.append(record)

    def find(self, **wanted: Any) -> Iterator[Record]:
        """Records that have these values; a tuple: one of them."""
        for record in self.records:
            if all(record.get(k) in v if isinstance(v, tuple) else record.get(k) == v for k, v in wanted.items()):
                yield record

    def native(self, program: str, **wanted: Any) -> Iterator[Record]:
        return self.find(kind="native", program=program, **wanted)


def clock(results: Results) -> float | None:
    """In GHz, while the programs in C ran."""
    for record in results.native("clock"):
        seconds = best(record, "clock")
        if seconds:
            return float(record["additions"]) / seconds / 1e9
    return None


def meant(record: Record) -> int:
    """The size that was meant, where rows do not divide it."""
    n = int(record["elements"])
    return next((s for s in SIZES if 0.8 * s < n <= s), n)


def best(record: Record, who: str) -> float | None:
    times = record["times"].get(who)
    return min(times) if times else None


def ratio(record: Record, peer: str, median: bool = False) -> float | None:
    """How many times longer the peer takes."""
    of = statistics.median if median else min
    theirs, ours = record["times"].get(peer), record["times"].get("lossfn")
    return of(theirs) / of(ours) if theirs and ours else None


def stream_time(record: Record) -> float:
    """The bare kernel of a record of bench_limit: whichever way of storing is faster."""
    return min(t for t in (best(record, "stream"), best(record, "stream_nt")) if t)


def share_of_limit(record: Record) -> float:
    ours = best(record, "lossfn")
    return stream_time(record) / ours if ours else 0.0


def arithmetic_time(record: Record) -> float | None:
    """Per element of a record of bench_limit: the same call in the first cache, where no memory binds."""
    near = best(record, "in_cache")
    return near / float(record["elements_in_cache"]) if near else None


def binds(record: Record) -> str:
    """What a record of bench_limit is bound by: "memory" or "arithmetic"."""
    near = arithmetic_time(record)
    return "arithmetic" if near and near > stream_time(record) / record["elements"] else "memory"


def function_times(results: Results, dtype: str) -> dict[str, float]:
    """Seconds per element of each vector function, by bench_math."""
    return {
        r["function"]: (min(r["times"]["function"]) - min(r["times"]["bare"])) / r["elements"]
        for r in results.native("math", dtype=dtype)
    }


def operations_time(results: Results, record: Record) -> float | None:
    """What an element of a record of bench_limit would take in the first cache if it took its functions alone beside what
    mse does, which loads, stores and adds up. None: it has no function but divisions, so bytes are what it is judged by,
    or something was not measured."""
    times = function_times(results, record["dtype"])
    needed = record.get("operations", {})
    mse = [
        arithmetic_time(r)
        for r in results.native("limit", loss="mse", dtype=record["dtype"], want=record["want"])
        if "in_cache" in r["times"]
    ]
    if not mse or not set(needed) <= set(times) or not set(needed) - {"division"}:
        return None
    return (mse[0] or 0.0) + sum(n * times[name] for name, n in needed.items())


def over_operations(results: Results, want: str, dtype: str) -> Iterator[tuple[Record, float]]:
    """How many times as long losses of elements take as their operations, in the first cache."""
    for record in results.native("limit", want=want, dtype=dtype, unit="element"):
        ours, least = arithmetic_time(record), operations_time(results, record)
        if ours and least:
            yield record, ours / least


def size(n: int) -> str:
    for unit, scale in (("Mi", 1 << 20), ("Ki", 1 << 10)):
        if n >= scale:
            return f"{n / scale:.3g} {unit}"
    return str(n)


def duration(seconds: float) -> str:
    for unit, factor in (("ns", 1e9), ("µs", 1e6)):
        if seconds * factor < 1000:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e3:.3g} ms"


def threads_words(threads: int) -> str:
    return "1 thread" if threads == 1 else f"{threads} threads"


def unique(items: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(items))
