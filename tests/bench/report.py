# SPDX-License-Identifier: MIT
"""The page docs/bench.md, from the results."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator

import peers
from bars import BARS, Bar
from results import (
    WANTS,
    Record,
    Results,
    arithmetic_time,
    best,
    binds,
    clock,
    duration,
    function_times,
    meant,
    over_operations,
    ratio,
    share_of_limit,
    size,
    stream_time,
    threads_words,
    unique,
)

SECOND = {"recycled": "", "default": ", default"}


def page(results: Results, images: list[str]) -> str:
    drawn = {image.rsplit("bench-", 1)[-1].removesuffix(".svg"): image for image in images}
    parts = [
        "# Speed",
        "",
        *introduction(results),
        "",
        "## Bars",
        "",
        *bars(results),
        "",
        "## Beside what the memory allows",
        "",
        *picture(drawn, "limit", "how near each loss comes to a bare stream kernel"),
        *limits(results),
        "",
        "## Beside its operations",
        "",
        *operations(results),
        "",
        "## Beside others",
        "",
        *picture(drawn, "peers", "how many times longer each peer takes, by loss"),
        *beside_others(results),
        "",
        "## Over sizes",
        "",
        *picture(drawn, "scaling", "time per element over the number of elements"),
        "## By itself",
        "",
        *by_itself(results),
    ]
    return re.sub("\n{3,}", "\n\n", "\n".join(parts)).rstrip() + "\n"


def picture(drawn: dict[str, str], name: str, words: str) -> list[str]:
    return [f"![{words}]({drawn[name]})", ""] if name in drawn else []


def table(head: list[str], rows: list[list[str]], left: int = 1, words: tuple[int, ...] = ()) -> list[str]:
    """A table whose first columns, and those in `words`, hold words and the others numbers."""
    line = "|".join("---" if i < left or i in words else "---:" for i in range(len(head)))
    return [f"| {' | '.join(head)} |", f"|{line}|", *(f"| {' | '.join(row)} |" for row in rows)]


def number(x: float) -> str:
    return f"{x:.0f}" if x >= 100 else f"{x:.3g}"


def introduction(results: Results) -> list[str]:
    m, versions = results.machine, results.versions
    names = peers.headings()
    compared = [f"{names[key]} {versions[key]}" for key in names if key in versions]
    missing = [f"{names[key]} ({why})" for key, why in results.missing.items()]
    ghz = clock(results)
    measured = f", at {ghz:.2g} GHz as measured by a chain of additions" if ghz else ""
    return [
        "`sh cmake/bootstrap bench` measured this and wrote this page. Before its time is taken, each case is checked to give the same",
        "numbers everywhere. Then all take turns in one process, so that what else the machine does hits them all. Times are the",
        "best of the turns, where it matters with the median behind in brackets. A ratio says how many times longer the other",
        "takes; below 1 it is bold.",
        "",
        "| | |",
        "|---|---|",
        f"| processor | {m['cpu']}, {m['cores']} cores{measured}, {', '.join(m['caches'])}; memory {m['memory']} |",
        f"| system | {m['system']}, Python {m['python']} |",
        f"| lossfn | {versions.get('lossfn')}, {m['isa']}; programs compiled by {m['compiler']} |",
        f"| compared with | {', '.join(compared) or 'nobody'} |",
        f"| missing | {', '.join(missing) or 'nobody'} |",
        f"| turns | at least {fewest_turns(results)} of each; the run took {m.get('minutes', '?')} minutes |",
        f"| load | {m['load']:.1f} before, {m.get('load after', 0):.1f} after; 0 is idle, the run itself makes 1 to {m['cores']} |",
    ]


def fewest_turns(results: Results) -> int:
    return min((len(times) for r in results.records for times in r["times"].values()), default=0)


# ---- Bars ----


def figure(bar: Bar, value: float) -> str:
    return f"{number(value)} {bar.unit}"


def bars(results: Results) -> list[str]:
    rows = []
    for bar in BARS:
        judged = bar.judge(results)
        wanted = f"{'≤' if bar.at_most else '≥'} {number(bar.limit)} {bar.unit}"
        if judged is None:
            rows.append([bar.group, bar.text, wanted, "not measured", "", "", ""])
            continue
        met, count, where, worst = judged
        verdict = "yes" if met == count else "**no**" if met == 0 else f"**{met} of {count}**"
        rows.append(
            [
                bar.group,
                bar.text,
                wanted,
                figure(bar, worst),
                where,
                verdict,
                "" if met == count else bar.floor(results),
            ]
        )
    head = ["", "bar", "wanted", "worst figure", "where", "met", "floor"]
    return [
        "What the project asks of itself. The figure is the worst of all that belong to a bar, at 256 Ki elements and more",
        "where peers are concerned, with allocations recycled.",
        "",
        *table(head, rows, left=2, words=(4, 5, 6)),
    ]


def bars_text(results: Results) -> str:
    """For a terminal."""
    lines = []
    for bar in BARS:
        judged = bar.judge(results)
        if judged:
            met, count, where, worst = judged
            sign = "<=" if bar.at_most else ">="
            verdict = "ok  " if met == count else "MISS"
            lines.append(
                f"{verdict} {bar.text}: {sign} {number(bar.limit)} {bar.unit}, worst {figure(bar, worst)} ({where}), {met} of {count}"
            )
    return "\n".join(lines)


# ---- The memory's limit ----


def limits(results: Results) -> list[str]:
    records = list(results.native("limit"))
    if not records:
        return ["Not measured."]
    wants = dict(zip(WANTS, ("value", "+ gradient", "+ Hessian")))
    dtypes = unique(r["dtype"] for r in records)
    head = ["loss", *(f"{dtype} {words}" for dtype in dtypes for words in wants.values())]
    rows = []
    for loss in unique(r["loss"] for r in records):
        cells = []
        for dtype in dtypes:
            for want in wants:
                found = next(results.native("limit", loss=loss, dtype=dtype, want=want), None)
                cells.append(limit_cell(found) if found else "")
        rows.append([loss, *cells])
    shapes = sorted({(r["reads"], r["writes"]) for r in records})
    floors = [
        [
            dtype,
            *(
                number(min(floor(r) for r in results.native("limit", dtype=dtype, reads=reads, writes=writes)))
                for reads, writes in shapes
            ),
        ]
        for dtype in dtypes
    ]
    return [
        f"One thread, {size(max(r['elements'] for r in records))} elements, called from C, in turn with a bare kernel that reads and writes as many",
        "streams and does nothing else, with ordinary or non-temporal stores, whichever is faster. In each cell: nanoseconds per",
        "element, and the share of the bare kernel's speed; below 0.9 with an *a* where arithmetic binds, which is to say that the",
        "same call takes longer than the stream in the first cache already, else in italics. Losses of rows have rows of 1024.",
        "What takes more than 10 ns per element is measured on 1 Mi.",
        "",
        *table(head, rows),
        "",
        "The bare kernels themselves, in nanoseconds per element, by streams read and written:",
        "",
        *table(["", *(f"{reads} + {writes}" for reads, writes in shapes)], floors),
    ]


def floor(record: Record) -> float:
    return stream_time(record) / float(record["elements"]) * 1e9


def limit_cell(record: Record) -> str:
    ours = best(record, "lossfn") or 0
    share = share_of_limit(record)
    text = f"{number(ours / record['elements'] * 1e9)} ({share:.2f})"
    return text if share >= 0.9 else f"{text} a" if binds(record) == "arithmetic" else f"*{text}*"


# ---- Operations ----


def operations(results: Results) -> list[str]:
    dtypes = unique(r["dtype"] for r in results.native("math"))
    found = {d: {r["loss"]: (r, x) for r, x in over_operations(results, "value_grad", d)} for d in dtypes}
    worst = sorted(found[dtypes[0]].values(), key=lambda item: -item[1]) if dtypes else []
    if not worst:
        return ["Not measured."]
    rows = []
    for record, _ in worst:
        cells = [operations_cell(*found[d][record["loss"]]) if record["loss"] in found[d] else "" for d in dtypes]
        needed = record["operations"].items()
        rows.append([record["loss"], ", ".join(name if n == 1 else f"{n} {name}" for name, n in needed), *cells])
    times = {dtype: function_times(results, dtype) for dtype in dtypes}
    functions = [[dtype, *(f"{seconds * 1e9:.2g}" for seconds in times[dtype].values())] for dtype in dtypes]
    return [
        "What value and gradient take in the first cache, in nanoseconds per element, and (in brackets) over what mse takes there",
        "together with the functions that the plain formula of the loss evaluates, those of the library, each timed in a loop. They",
        "are counted by `tests/bench/operations.py`: an upper count, as the formula gives the Hessian and derivatives by the target",
        "as well. Losses that evaluate none, or divide alone, are left to the bytes that they move.",
        "",
        *table(["loss", "operations", *dtypes], rows, left=2),
        "",
        "The functions themselves, in nanoseconds per element:",
        "",
        *table(["", *times[dtypes[0]]], functions),
    ]


def operations_cell(record: Record, factor: float) -> str:
    return f"{number((arithmetic_time(record) or 0) * 1e9)} ({number(factor)})"


# ---- Peers ----


def beside_others(results: Results) -> Iterator[str]:
    yield from (
        "Called from Python. *value and gradient*: of the mean, in float32, into given arrays, where PyTorch runs forward and",
        "`backward()`, JAX `jit` of `value_and_grad`, scikit-learn `loss_gradient` (which leaves the values unsummed), and NumPy",
        "the expressions that one writes by hand. *default*: with the allocator as it comes, where each new large array costs",
        "page faults; otherwise freed blocks are kept (`GLIBC_TUNABLES`). Empty: there is no such function. *lossfn*: its time per",
        "element. *Gradient and Hessian*: of the sum; scikit-learn's `gradient_hessian`, where lossfn gives the value as well.",
        "",
    )
    records = list(results.find(kind="case", want="value_grad", dtype="float32"))
    for threads in unique(r["threads"] for r in records):
        for n in sorted({meant(r) for r in records if r["threads"] == threads}, reverse=True):
            some = [r for r in records if r["threads"] == threads and meant(r) == n]
            yield from (f"### {size(n)} elements, {threads_words(threads)}", "", *peer_table(some), "")
    for dtype, want, words in (
        ("float64", "value_grad", "Value and gradient in float64"),
        ("float32", "grad_hess", "Gradient and Hessian in float32"),
        ("float64", "grad_hess", "Gradient and Hessian in float64"),
    ):
        some = list(results.find(kind="case", want=want, dtype=dtype))
        if some:
            yield from (f"### {words}", "", *peer_table(some, sizes=True), "")
    if any(r["times"].get("xgboost") or r["times"].get("lightgbm") for r in records_of_boosters(results)):
        yield from (
            "XGBoost and LightGBM have no call that gives an objective's gradients. XGBoost's time is what its own clock says of",
            "its objective; LightGBM's is a boosting step that has nothing to split, less the same step with gradients given.",
            "What they computed cannot be looked at.",
            "",
        )


def records_of_boosters(results: Results) -> Iterator[Record]:
    return results.find(kind="case", want="grad_hess")


def peer_table(records: list[Record], sizes: bool = False) -> list[str]:
    columns = [
        (key, allocator)
        for key in peers.headings()
        for allocator in SECOND
        if any(r["allocator"] == allocator and key in {*r["times"], *r.get("failed", {})} for r in records)
    ]
    head = ["loss", *(["elements", "threads"] if sizes else []), "lossfn"]
    head += [f"{peers.headings()[key]}{SECOND[allocator]}" for key, allocator in columns]
    rows = []
    for key in unique((r["case"], tuple(r["shape"]), r["threads"]) for r in records):
        same = {r["allocator"]: r for r in records if (r["case"], tuple(r["shape"]), r["threads"]) == key}
        first = same.get("recycled") or same["default"]
        row = [key[0], *([size(first["elements"]), str(key[2])] if sizes else [])]
        ours = best(first, "lossfn")
        row.append(duration(ours / first["elements"]) if ours else "")
        row += [ratio_cell(same.get(allocator), peer) for peer, allocator in columns]
        rows.append(row)
    return table(head, rows)


def ratio_cell(record: Record | None, peer: str) -> str:
    if record is None:
        return ""
    if peer in record.get("failed", {}):
        return "failed"
    found = ratio(record, peer)
    if found is None:
        return ""
    text = f"{number(found)} ({number(ratio(record, peer, median=True) or 0)})"
    return text if found >= 1 else f"**{text}**"


def failed_cells(results: Results) -> list[str]:
    return [
        f"{record['case']}, {size(record['elements'])}, {record['dtype']}: {peer}: {fault}"
        for record in results.find(kind="case")
        for peer, fault in record.get("failed", {}).items()
    ]


# ---- lossfn alone ----


def by_itself(results: Results) -> Iterator[str]:
    for words, part in (
        ("### Weights, masks and layouts", variants_table(results)),
        ("### Small calls from C", calls_table(results)),
        ("### Threads", threads_table(results)),
        ("### Exact sums", sums_table(results)),
    ):
        if part:
            yield from (words, "", *part, "")


def variants_table(results: Results) -> list[str]:
    records = list(results.find(kind="variants", allocator="recycled"))
    if not records:
        return []
    head = ["", *(f"{r['loss']}, {size(r['elements'])}, {threads_words(r['threads'])}" for r in records)]
    rows = []
    for name in records[0]["times"]:
        cells = []
        for record in records:
            mine, plain = best(record, name) or 0, best(record, "plain") or 1
            cells.append(f"{number(mine / record['elements'] * 1e9)} ns ({mine / plain:.2f})")
        rows.append([name, *cells])
    return [
        "Value and gradient, per element, and (in brackets) over the plain call. Rows are of 256.",
        "",
        *table(head, rows),
    ]


def calls_table(results: Results) -> list[str]:
    records = list(results.native("call"))
    if not records:
        return []
    isas = unique(r["isa"] for r in records)
    head = ["loss", "", "elements", *isas]
    rows = []
    for key in unique((r["loss"], r["what"], r["rows"], r["cols"]) for r in records):
        cells = []
        for isa in isas:
            loss, what, rows_, cols = key
            found = next(results.native("call", loss=loss, what=what, rows=rows_, cols=cols, isa=isa), None)
            cells.append(duration(best(found, "lossfn") or 0) if found else "")
        shape = f"{key[2]} x {key[3]}" if key[3] > 1 else str(key[2])
        rows.append([key[0], WANTS.get(key[1], "lossfn_rho"), shape, *cells])
    return ["A whole call, checks of the arguments included, one thread.", "", *table(head, rows, left=2)]


def threads_table(results: Results) -> list[str]:
    records = list(results.native("threads"))
    if not records:
        return []
    rows = []
    for record in records:
        one, everyone = best(record, "one") or 0, best(record, "all") or 1
        paused = record["after_pause"]
        rows.append(
            [record["loss"], size(record["elements"]), str(record["pieces"]), duration(one), duration(everyone)]
            + [number(one / everyone), number(paused["one"] / paused["all"])]
        )
    head = ["loss", "elements", "pieces", "1 thread", threads_words(records[0]["threads"]), "speed-up", "after a pause"]
    return [
        "Value and gradient. *Pieces*: into how many the library cuts the call. *After a pause*: the speed-up of a call before which",
        "its threads had gone to sleep.",
        "",
        *table(head, rows),
    ]


def sums_table(results: Results) -> list[str]:
    rows = []
    for record in results.native("sums"):
        n = record["elements"]
        times = {name: best(record, name) for name in ("exact", "plain", "plain_streamed")}
        median = statistics.median(record["times"]["exact"])
        exact = f"{number((times['exact'] or 0) / n * 1e9)} ({number(median / n * 1e9)})"
        cells = [number(t / n * 1e9) if t else "" for name, t in times.items() if name != "exact"]
        rows.append([record["isa"], WANTS[record["want"]], size(n), exact, *cells])
    if not rows:
        return []
    head = ["", "mse", "elements", "lossfn, exact sum", "plain sums", "plain sums, non-temporal stores"]
    return [
        "Nanoseconds per element: the library, and the same arithmetic by a kernel that adds up floats.",
        "",
        *table(head, rows, left=2),
    ]
