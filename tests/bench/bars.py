# SPDX-License-Identifier: MIT
"""What speed the project asks of itself: every bar in one table, each with the figures of a run that it looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from results import (
    LARGE,
    READ_HALVES,
    READ_WHOLE,
    WANTS,
    Record,
    Results,
    arithmetic_time,
    best,
    binds,
    clock,
    over_operations,
    ratio,
    share_of_limit,
    size,
    stream_time,
    threads_words,
)

Figures = Iterator[tuple[str, float]]  # where, how much


@dataclass(frozen=True)
class Bar:
    group: str
    text: str
    limit: float
    figures: Callable[[Results], Figures]
    unit: str = "x"
    at_most: bool = False
    floor: Callable[[Results], str] = lambda results: ""  # where a bar is out of reach: the figures that show it

    def holds(self, figure: float) -> bool:
        return figure <= self.limit if self.at_most else figure >= self.limit

    def judge(self, results: Results) -> tuple[int, int, str, float] | None:
        """(how many figures meet it, of how many, where the worst is, the worst); None: nothing was measured."""
        found = list(self.figures(results))
        if not found:
            return None
        worst = (max if self.at_most else min)(found, key=lambda item: item[1])
        return sum(self.holds(figure) for _, figure in found), len(found), *worst


def place(record: Record) -> str:
    return f"{record['case']}, {size(record['elements'])}, {threads_words(record['threads'])}"


def of_peer(
    results: Results, key: str, cases: tuple[str, ...], dtype: str, elementwise: bool
) -> Iterator[tuple[Record, float]]:
    """What a peer was compared in at large sizes, with recycled allocations: all cases or those named; and the ratio."""
    for record in results.find(kind="case", allocator="recycled", dtype=dtype):
        if record["elements"] < LARGE * 0.9 or (cases and record["case"] not in cases):
            continue
        found = ratio(record, key)
        if found and not (elementwise and len(record["shape"]) > 1):
            yield record, found


def most_possible(results: Results, record: Record, key: str) -> tuple[float, str] | None:
    """The ratio to a peer if a call took no longer than its arithmetic does in the first cache or, in memory, a bare
    kernel that moves the same bytes, whichever is longer, and all threads shared that; and which it is. That of losses
    of rows is measured on rows of 1024."""
    theirs, dtype = best(record, key), {"float32": "f32", "float64": "f64"}[record["dtype"]]
    want = "value_grad_hess" if record["want"] == "grad_hess" else record["want"]
    for near in results.native("limit", loss=record["loss"], dtype=dtype, want=want):
        bounds = [(arithmetic_time(near) or 0.0, "arithmetic")]
        if record["elements"] > 32 * LARGE:
            bounds.append((stream_time(near) / near["elements"], "bytes"))
        per_element, which = max(bounds)
        least = per_element * record["elements"] / record["threads"]
        if theirs and 0 < least <= (best(record, "lossfn") or 0):  # else the call was faster: on other numbers
            return theirs / least, which
    return None


def peer_bar(text: str, least: float, key: str, *cases: str, dtype: str = "float32", elementwise: bool = False) -> Bar:
    def figures(results: Results) -> Figures:
        for record, found in of_peer(results, key, cases, dtype, elementwise):
            yield f"{place(record)}{', gradient and Hessian' if record['want'] == 'grad_hess' else ''}", found

    def floor(results: Results) -> str:
        """Which of those that miss the bar could not meet it at the speed of their arithmetic or of their bytes."""
        missing = [r for r, found in of_peer(results, key, cases, dtype, elementwise) if found < least]
        known = [(most, place(r)) for r in missing if (most := most_possible(results, r, key))]
        words = []
        for kind, some in (
            (f"{{}} of the {len(missing)} that miss it cannot reach it", [k for k in known if k[0][0] < least]),
            ("the other {}", [k for k in known if k[0][0] >= least]),
        ):
            if some:
                (most, which), where = min(some)
                words.append(f"{kind.format(len(some))}: {where}, at most {most:.3g} x by its {which}")
        return "; ".join(words)

    return Bar("peers", text, least, figures, floor=floor)


def limit(want: str, dtype: str) -> Callable[[Results], Figures]:
    def figures(results: Results) -> Figures:
        for record in results.native("limit", want=want, dtype=dtype):
            if record["unit"] == "element":
                yield record["loss"], share_of_limit(record)

    return figures


def bound(want: str, dtype: str) -> Callable[[Results], str]:
    """How many of the losses below the bar are bound by arithmetic, and how near to that the others are."""

    def floor(results: Results) -> str:
        below = [
            r
            for r in results.native("limit", want=want, dtype=dtype, unit="element")
            if share_of_limit(r) < 0.9 and "in_cache" in r["times"]
        ]
        by_arithmetic = [r for r in below if binds(r) == "arithmetic"]
        if not below:
            return ""
        words = f"{len(by_arithmetic)} of {len(below)} take longer than the stream in the first cache already"
        others = [(share_of_limit(r), r["loss"]) for r in below if binds(r) == "memory"]
        return words + (f"; worst of the others: {min(others)[1]}, {min(others)[0]:.2f}" if others else "")

    return floor


def by_operations(dtype: str) -> Callable[[Results], Figures]:
    def figures(results: Results) -> Figures:
        for record, factor in over_operations(results, "value_grad", dtype):
            yield record["loss"], factor

    return figures


def halves_over_singles(results: Results) -> Figures:
    for record in results.native("limit", want="value_grad", dtype="bf16", unit="element"):
        for single in results.native("limit", want="value_grad", dtype="f32", loss=record["loss"]):
            half, full = best(record, "lossfn"), best(single, "lossfn")
            if half and full:
                yield record["loss"], full / half


def halves_by_arithmetic(results: Results) -> str:
    """How much faster halves could be if they took no longer than in the first cache."""
    most = []
    for record in results.native("limit", want="value_grad", dtype="bf16", unit="element"):
        for single in results.native("limit", want="value_grad", dtype="f32", loss=record["loss"]):
            half, full = arithmetic_time(record), best(single, "lossfn")
            if half and full and single["elements"] == record["elements"]:
                most.append((full / single["elements"] / half, record["loss"]))
    if not most:
        return ""
    short = sum(ratio_ < 1.7 for ratio_, _ in most)
    return (
        f"{short} of {len(most)} take more than that of f32's time in the first cache already; what their arithmetic "
        f"allows goes from {min(most)[0]:.2g} x ({min(most)[1]}) to {max(most)[0]:.2g} x ({max(most)[1]})"
    )


def call_time(
    loss: str, rows: int, cols: int, what: str = "value_grad", isa: str | None = None, per_element: bool = False
) -> Callable[[Results], Figures]:
    def figures(results: Results) -> Figures:
        wanted = {"isa": isa} if isa else {"first_isa": True}
        for record in results.native("call", loss=loss, rows=rows, cols=cols, what=what, **wanted):
            seconds = best(record, "lossfn")
            if seconds:
                yield size(rows * cols), seconds * 1e9 / (rows * cols if per_element else 1)

    return figures


def cycles(figures: Callable[[Results], Figures]) -> Callable[[Results], str]:
    """The worst of nanoseconds in cycles of the clock that the run had."""

    def floor(results: Results) -> str:
        ghz, found = clock(results), [nanoseconds for _, nanoseconds in figures(results)]
        return f"{max(found) * ghz:.3g} cycles at {ghz:.2g} GHz" if ghz and found else ""

    return floor


def control_word(results: Results) -> str:
    """What a call can't do without."""
    found = [t for record in results.native("control_word") if (t := best(record, "control_word"))]
    return f"saving and restoring the control word alone takes {min(found) * 1e9:.2g} ns" if found else ""


def further_row(results: Results) -> str:
    """What a row takes where the call is there already, beside a call with hardly any arithmetic."""
    one, six = (next(call_time("cross_entropy", rows, 10)(results), None) for rows in (1, 6))
    call = next(call_time("mse", 16, 1)(results), None)
    if not (one and six and call):
        return ""
    return f"each of five further rows takes {(six[1] - one[1]) / 5:.2g} ns more; a call of mse takes {call[1]:.2g} ns"


def in_cycles(
    section: str,
    text: str,
    most: float,
    figures: Callable[[Results], Figures],
    also: Callable[[Results], str] = lambda results: "",
) -> Bar:
    def floor(results: Results) -> str:
        return "; ".join(filter(None, (cycles(figures)(results), also(results))))

    return Bar(section, text, most, figures, "ns", True, floor)


def deposit(isa: str) -> Callable[[Results], Figures]:
    """Nanoseconds per element that an exact sum adds, in cache."""

    def figures(results: Results) -> Figures:
        for record in results.native("sums", isa=isa):
            exact, plain = best(record, "exact"), best(record, "plain")
            if exact and plain and record["elements"] <= 1 << 16:
                yield f"{record['want']}, {size(record['elements'])}", (exact - plain) / record["elements"] * 1e9

    return figures


def deposit_in_memory(results: Results) -> Figures:
    for record in results.native("sums", first_isa=True):
        exact = best(record, "exact")
        plain = [t for t in (best(record, "plain"), best(record, "plain_streamed")) if t]
        if exact and record["elements"] > 1 << 20:
            yield record["want"], exact / min(plain)


def variant(*names: str, speed: bool = False) -> Callable[[Results], Figures]:
    """How much longer than the plain call, or (speed) what is left of its speed; in memory, on one thread."""

    def figures(results: Results) -> Figures:
        for record in results.find(kind="variants", threads=1, loss="mse", allocator="recycled"):
            if record["elements"] < 1 << 22:
                continue
            for name in names:
                plain, other = best(record, "plain"), best(record, name)
                if plain and other:
                    yield name, plain / other if speed else other / plain

    return figures


def half_rows(results: Results) -> str:
    """What reading alone costs of rows of which only half is wanted."""
    for record in results.find(kind="variants", threads=1, loss="mse", allocator="recycled"):
        halves, whole = best(record, READ_HALVES), best(record, READ_WHOLE)
        if record["elements"] >= 1 << 22 and halves and whole:
            apart, together = (1e9 * seconds / record["elements"] for seconds in (halves, whole))
            return f"reading half of longer rows alone takes {apart:.3g} ns an element, whole rows {together:.3g} ns"
    return ""


def class_options(results: Results) -> Figures:
    """Speed under options, over that of plain labels."""
    for record in results.find(kind="case", loss="cross_entropy", allocator="recycled", threads=1):
        if record["case"].split(", ")[-1] not in ("smoothing", "class weights"):
            continue
        for plain in results.find(kind="case", case="cross_entropy, C = 1000", allocator="recycled", threads=1):
            ours, other = best(plain, "lossfn"), best(record, "lossfn")
            if plain["shape"] == record["shape"] and ours and other:
                yield place(record), ours / other


def from_python(results: Results) -> Figures:
    for record in results.find(kind="case", elements=(10, 16), allocator="recycled", threads=1):
        found = ratio(record, "torch")
        if found:
            yield record["case"], found


def python_call(results: Results) -> Figures:
    for record in results.find(kind="case", elements=(10, 16), allocator="recycled", threads=1):
        seconds = best(record, "lossfn")
        if seconds:
            yield record["case"], seconds * 1e6


def never_slower(results: Results) -> Figures:
    for record in results.native("threads"):
        one, everyone = best(record, "one"), best(record, "all")
        if one and everyone:
            yield f"{record['loss']}, {size(record['elements'])}", one / everyone


def efficiency(results: Results) -> Figures:
    """In the shared cache, where arithmetic binds and not memory."""
    for record in results.native("threads", loss="bce_with_logits"):
        one, everyone = best(record, "one"), best(record, "all")
        if one and everyone and 1 << 18 <= record["elements"] <= 1 << 21:
            yield size(record["elements"]), one / everyone / record["threads"]


def wake_up(results: Results) -> Figures:
    """What the first sizes that are shared cost above an equal share of the work, in microseconds."""
    for loss in ("mse", "bce_with_logits"):
        for record in results.native("threads", loss=loss):
            if record["pieces"] > 1:
                one, everyone = best(record, "one"), best(record, "all")
                if one and everyone:
                    yield f"{loss}, {size(record['elements'])}", (everyone - one / record["threads"]) * 1e6
                break


DTYPES = ("f32", "f64", "bf16", "f16")

TORCH = {
    ("mse", "huber"): 2.5,
    ("mae",): 3.5,
    ("kl_div, of log-probabilities", "poisson_nll"): 7,
    ("binary_cross_entropy",): 8,
    ("bce_with_logits",): 8,
    ("hinge",): 8,
    ("barron",): 20,
}
CLASSES = {10: 10, 1000: 6, 50257: 6, 128256: 5}

BARS = (
    *(
        Bar(
            "memory",
            f"{WANTS[want]}, {dtype}: speed of a bare stream kernel",
            0.9,
            limit(want, dtype),
            floor=bound(want, dtype),
        )
        for want in ("value_grad", "value_grad_hess")
        for dtype in DTYPES
    ),
    Bar("memory", "bf16 over f32, value and gradient", 1.7, halves_over_singles, floor=halves_by_arithmetic),
    in_cycles(
        "arithmetic",
        "bce_with_logits per element in cache, AVX-512",
        0.85,
        call_time("bce_with_logits", 4096, 1, isa="avx512", per_element=True),
    ),
    in_cycles(
        "arithmetic",
        "bce_with_logits per element in cache, AVX2",
        1.4,
        call_time("bce_with_logits", 4096, 1, isa="avx2", per_element=True),
    ),
    # What the bar of bce_with_logits above, 0.85 ns, is over its own operations: 0.3 for mse, and 0.35 for an exponential,
    # a log1p of at most 1 and a division.
    *(
        Bar(
            "arithmetic",
            f"value and gradient, {dtype}: time in cache over that of its operations",
            1.3,
            by_operations(dtype),
            "x",
            True,
        )
        for dtype in DTYPES[:2]
    ),
    Bar("exact sums", "added per element in cache, AVX-512", 0.17, deposit("avx512"), "ns", True),
    Bar("exact sums", "added per element in cache, AVX2", 0.32, deposit("avx2"), "ns", True),
    Bar("exact sums", "time over that with plain sums, in memory", 1.03, deposit_in_memory, "x", True),
    # A weight of 4 bytes beside 12, read twice (for the denominator) or once, and 20 %; a mask of one byte.
    Bar(
        "options",
        "mse with a weight, over plain: 20 bytes to 12, and 20 %",
        20 / 12 * 1.2,
        variant("weight"),
        "x",
        True,
    ),
    Bar(
        "options",
        "the same, denominator given: 16 bytes to 12, and 20 %",
        16 / 12 * 1.2,
        variant("weight, denominator given"),
        "x",
        True,
    ),
    Bar("options", "mse with a mask, over plain: 14 bytes to 12, and 20 %", 14 / 12 * 1.2, variant("mask"), "x", True),
    Bar(
        "options",
        "the same, denominator given: 13 bytes to 12, and 20 %",
        13 / 12 * 1.2,
        variant("mask, denominator given"),
        "x",
        True,
    ),
    Bar(
        "options",
        "strided and broadcast inputs: speed of contiguous ones",
        0.6,
        variant(
            "pred strided: half of longer rows",
            "target broadcast along rows",
            "target broadcast over rows",
            "all transposed",
            speed=True,
        ),
        floor=half_rows,
    ),
    Bar("options", "cross entropy with smoothing or class weights: speed of plain labels", 0.9, class_options),
    in_cycles("small calls", "mse, n = 16, from C", 40, call_time("mse", 16, 1)),
    in_cycles("small calls", "bce_with_logits, n = 16, from C", 70, call_time("bce_with_logits", 16, 1)),
    in_cycles("small calls", "cross_entropy, 1 x 10, from C", 90, call_time("cross_entropy", 1, 10), further_row),
    in_cycles("small calls", "lossfn_rho of huber", 8, call_time("huber", 1, 1, "rho"), control_word),
    Bar("small calls", "n = 16 from Python, over PyTorch eager", 15, from_python),
    Bar("small calls", "n = 16 from Python", 1.5, python_call, "µs", True),
    Bar("threads", "all threads never slower than one, at any size (3 % is noise)", 0.97, never_slower),
    Bar("threads", "share of the threads that arithmetic gets", 0.85, efficiency),
    Bar("threads", "waking the pool", 3, wake_up, "µs", True),
    *(peer_bar(f"{' and '.join(cases)} over PyTorch eager", least, "torch", *cases) for cases, least in TORCH.items()),
    *(
        peer_bar(f"cross entropy, C = {cols}, over PyTorch eager", least, "torch", f"cross_entropy, C = {cols}")
        for cols, least in CLASSES.items()
    ),
    peer_bar("losses of elements over JAX", 1.0, "jax", elementwise=True),
    peer_bar("losses of elements over torch.compile", 1.5, "compile", elementwise=True),
    *(
        peer_bar(f"cross entropy over {name}", 2, key, *(f"cross_entropy, C = {cols}" for cols in CLASSES))
        for key, name in (("jax", "JAX"), ("compile", "torch.compile"))
    ),
    peer_bar("all over scikit-learn, f64", 5, "sklearn", dtype="float64"),
    peer_bar("all over scikit-learn, f32", 10, "sklearn"),
)
