#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes docs/reliability.md from what the last run of all tests measured.

sh cmake/bootstrap test && python3 docs/reliability.py

It needs the Python module. The tests leave their figures in build/test/records; nothing here is typed in by hand. What a
long run found is kept in docs/reliability.json, with the commit that it is of, until a long run finds it anew."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import lossfn

ROOT = Path(__file__).resolve().parent.parent
RECORDS = ROOT / "build" / "test" / "records"
PAGE = ROOT / "docs" / "reliability.md"
KEPT = ROOT / "docs" / "reliability.json"
NOTE = "<!-- Made by docs/reliability.py from a run of all tests; do not edit. -->"

# What a stage shows; those without an entry are about the project itself.
STAGES = {
    "unit": "the parts, and every function of `src/simd` against MPFR, once per instruction set",
    "numeric": "the references: derivatives against differences, stored values against formulas",
    "conformance": "every promise of the header, over the whole catalogue",
    "stress": "threads, fork, failing memory, registration while others run",
    "fuzz": "whole calls, specs and what accumulators are read from, made of random bytes",
    "python": "the Python module",
    "lua": "the Lua module, under five interpreters",
    "cpp": "the C++ header",
    "docs": "every example of the documentation, every link",
    "peers": "what PyTorch, Keras, optax, scikit-learn, XGBoost ... give for the same numbers",
    "abi": "symbols, struct layouts, a program that was built against an older header, builds that are equal byte by byte",
    "install": "installed copies, and how others consume them",
    "asan": "the C tests, compiled by clang, under its address and undefined-behaviour sanitizers",
    "tsan": "what runs on several threads under the thread sanitizer",
    "msan": "C tests, specs and accumulators made of random bytes under the sanitizer of memory that was never written",
    "valgrind": "C tests under valgrind: what is read was written, what is taken is given back; no suppressions",
    "bits": "the same bits from gcc and clang, at -O1, -O2 and -O3",
    "clang": "the C tests as clang compiles them, without sanitizers",
    "fuzzers": "the fuzz targets led by libFuzzer and AFL++, under the address and undefined-behaviour sanitizers",
    "coverage": "the C, conformance and Python tests again, with counters",
    "mutation": "that tests notice small changes of the source",
}
DTYPES = ("f32", "f64", "f16", "bf16")
# The kinds of figures that take a long run, and the stage that finds them.
LONG_KINDS = {
    "sweep": "unit",
    "fuzz": "fuzz",
    "peers": "peers",
    "fuzzers": "fuzzers",
    "bits": "bits",
    "coverage": "coverage",
    "mutation": "mutation",
}


def recorded(kind: str) -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text()) for path in sorted((RECORDS / kind).glob("*.json"))}


def keep() -> dict[str, Any]:
    """What long runs found, this one's in place of those before: by kind the commit and the records."""
    kept: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    stages = recorded("stages")
    for kind, stage in LONG_KINDS.items():
        if stage in stages and stages[stage]["long"] and (found := recorded(kind)):
            kept[kind] = {"stage": stages[stage], "records": found}
    if kept:
        KEPT.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return kept


LONG = keep()


def records(kind: str) -> dict[str, Any]:
    """Of the long run, where one is on record."""
    if kind == "stages":
        alone = {one: LONG[kind]["stage"] for kind, one in LONG_KINDS.items() if kind == one and kind in LONG}
        return {**alone, **recorded(kind)}
    found: dict[str, Any] = LONG[kind]["records"] if kind in LONG else recorded(kind)
    return found


def of_commit(kind: str) -> str:
    """Where the figures are of another version than the rest of the page."""
    return f" (a long run of {LONG[kind]['stage']['commit']})" if kind in LONG else ""


def tests() -> list[str]:
    out = ["## Tests", "", "| stage | of commit | passed | skipped | what it shows |", "|---|---|---|---|---|"]
    found = records("stages")
    for name, what in STAGES.items():
        if name in found:
            count = found[name]
            if count["failed"]:
                sys.exit(f"{name} has {count['failed']} failures: no page is made of that")
            out.append(f"| {name} | {count['commit']} | {count['passed']} | {count['skipped']} | {what} |")
    calls = sum(one["calls"] for one in records("invalid").values())
    fuzz = records("fuzz")
    out += [
        "",
        f"Among them are {calls:,} invalid calls, of `lossfn_run`, the everyday forms, the flat tier, accumulators, `lossfn_check_gradient`,",
        "`lossfn_init_score` and `lossfn_minimum`: each fails with its own status and a message that names the argument and the",
        "numbers, and every output is byte for byte what it was before.",
        "",
    ]
    if fuzz:
        made = sum(one["made"] for one in fuzz.values())
        out += [
            f"The {len(fuzz)} fuzz targets ran {made:,} inputs of a fixed seed beside their corpus{of_commit('fuzz')}: a call that fails writes"
        ]
        out += [
            "nothing; one that succeeds writes its outputs alone, with the same bits from contiguous copies, from fewer outputs at a"
        ]
        out += ["time, from any number of threads and from the everyday forms.", ""]
    if led := records("fuzzers"):
        done = ", ".join(f"{one['fuzzer']} {one['executions']:,} of `{one['target']}`" for one in led.values())
        out += [
            f"Fuzzers that are led by what of the code they reach ran under the sanitizers{of_commit('fuzzers')}: {done}.",
            "",
        ]
    return out


def same_bits() -> list[str]:
    built: list[str] = []
    if one := records("bits").get("bits"):
        *builds, last = one["builds"]
        told = f"{one['digests']:,} digests are equal between builds with {', '.join(builds)} and {last}"
        built = [f"{told}{of_commit('bits')}.", ""]
    return [
        "## The same bits",
        "",
        "The conformance tests compare digests of everything that every loss gives, over wild and tame inputs of many shapes and",
        f"all dtypes: between the instruction sets of the machine (here {', '.join(records('isas')['isas']['names'])}), between one and several threads,",
        "every alignment within a vector, every split into calls whose partial sums are merged in any order, and every order of",
        "the units of a sum. They are equal, byte for byte, but for the payload of NaN. Digests of what each loss gives in each",
        "dtype are in the repository (tests/conformance/data/bits.json), so that no bit changes unnoticed from one version, compiler",
        "or machine to the next.",
        "",
        *built,
    ]


def worst(record: dict[str, Any] | None, key: str) -> float | None:
    if record is None:
        return None
    errors = record["worst"]
    if key in ("value", "hess"):
        return errors.get(key)
    slopes = [x for name, x in errors.items() if name not in ("value", "hess")]
    return max(slopes) if slopes else None


def cell(about: lossfn.Description, measured: dict[str, Any], dtype: str) -> str:
    record = measured.get(f"{about.name}.{dtype}")
    shown = [worst(record, key) for key in ("value", "grad", "hess")]
    if dtype in ("f32", "f64"):
        for error, bound in zip(shown, (about.ulp_value, about.ulp_grad, about.ulp_hess), strict=True):
            if error is not None and error > bound + 1e-6:
                sys.exit(f"{about.name} in {dtype} is {error} ulp off, its bound is {bound}")
    return " · ".join("–" if x is None else f"{x:.2f}" for x in shown)


def accuracy() -> list[str]:
    measured = records("accuracy")
    compared = sum(one["compared"] for one in measured.values())
    out = ["## Accuracy", ""]
    out += [
        f"{compared:,} numbers were compared with references of 60 and more digits that share no formula with the library:"
    ]
    out += [
        "log-uniform, subnormal and huge numbers, near kinks and branches, every parameter that a loss's reference lists. What"
    ]
    out += [
        "is shown is the largest error of the value, of the gradients and of the Hessian, in units in the last place (ulp) of one"
    ]
    out += [
        "unreduced element, beside the bounds that the loss states; where terms cancel because the inputs do, the ulp is that of"
    ]
    out += [
        "the largest term. Half precision is storage: half an ulp of it is the rounding at the end. A test fails where a bound is"
    ]
    out += ["exceeded.", ""]
    out += ["| loss | bounds | " + " | ".join(DTYPES) + " |", "|---|---|" + "---|" * len(DTYPES)]
    for name in lossfn.names():
        if "." in name:
            continue
        about = lossfn.describe(name)
        hess = f"{about.ulp_hess:g}" if about.hessians else "–"
        bounds = f"{about.ulp_value:g} · {about.ulp_grad:g} · {hess}"
        cells = [cell(about, measured, dtype) for dtype in DTYPES]
        out.append(f"| [{name}](losses/{name}.md) | {bounds} | " + " | ".join(cells) + " |")
    return [*out, ""]


def pairs() -> list[str]:
    """Nothing where none was recorded."""
    if not (found := records("pairs")):
        return []
    out = ["## Half precision", ""]
    for dtype in ("f16", "bf16"):
        of = [one for name, one in found.items() if name.endswith(f".{dtype}")]
        worst, compared = max(one["worst"] for one in of), sum(one["compared"] for one in of)
        out += [
            f"{dtype}: {compared:,} values and derivatives of {len(of)} losses, every number as pred beside drawn targets, are within"
        ]
        out += [f"{worst:.4f} ulp of what double precision gives, or else within the bound of the reference.", ""]
    return out


def sweeps() -> list[str]:
    """Nothing where none was recorded."""
    found = {name: one for group in records("sweep").values() for name, one in group.items()}
    if not found:
        return []
    out = [f"## exp, log and friends{of_commit('sweep')}", ""]
    out += [
        "The functions of `src/simd` in f32, on bit patterns of the argument spread evenly over all 2^32 of them; `--long` takes"
    ]
    out += [
        "every one, or every seventh where the reference takes long. The reference is in double or more, and itself compared"
    ]
    out += [
        "with MPFR. One instruction set is measured; digests of what all of them give for the same patterns are equal. Errors"
    ]
    out += ["and bounds are in ulp of the exact result, subnormal results included.", ""]
    out += ["| function | patterns | largest error | at | bound |", "|---|---|---|---|---|"]
    for name, one in found.items():
        if not one["error"] <= one["bound"]:
            sys.exit(f"{name} is {one['error']} ulp off at {one['at']}, its bound is {one['bound']}")
        out.append(f"| {name} | {one['tried']:,} | {one['error']:.3f} | `{one['at']}` | {one['bound']:g} |")
    return [*out, ""]


def peers() -> list[str]:
    """Nothing where none was recorded: only a long run asks the packages."""
    if not (found := records("peers")):
        return []
    kinds = sorted({kind for one in found.values() for kind in one["differ"]})
    inputs, compared = (f"{sum(one[key] for one in found.values()):,}" for key in ("points", "compared"))
    out = [f"## The same function elsewhere{of_commit('peers')}", ""]
    out += [
        f"{inputs} random and extreme inputs went through the functions that [peers.md](peers.md) lists, there and here, and"
    ]
    out += [
        f"{compared} values and derivatives were compared. Every number that differs falls under one of the reasons that"
    ]
    out += ["stand there, function by function; so many do:", ""]
    out += [
        "| package | functions | inputs | numbers | " + " | ".join(kinds) + " |",
        "|---|" + "---|" * (3 + len(kinds)),
    ]
    for one in found.values():
        cells = [f"{one['differ'].get(kind, 0):,}" for kind in kinds]
        out.append(
            f"| {one['heading']} {one['version']} | {one['rows']} | {one['points']:,} | {one['compared']:,} | "
            + " | ".join(cells)
            + " |"
        )
    return [*out, ""]


def percent(covered: int, of: int) -> str:
    return f"{100 * covered / of:.1f}" if of else "–"


def coverage() -> list[str]:
    """Nothing where none was recorded: only a long run does."""
    if "coverage" not in (found := records("coverage")):
        return []
    files, missed = found["coverage"]["files"], found["coverage"]["missed"]
    counted = ("lines", "branches", "conditions")
    out = [f"## Coverage{of_commit('coverage')}", ""]
    out += [
        "The parts of the library that are not mathematics, by clang's counters, as the C, conformance and Python tests reach"
    ]
    out += [
        "them; the instruction set is the baseline. Conditions are those of decisions with several, and covered (MC/DC) where two"
    ]
    out += [
        "runs differ in that condition alone and in what was decided. A header is counted once, whatever is compiled with it.",
        "",
    ]
    out += [
        "| file | lines | covered, % | branches | taken, % | conditions | covered, % |",
        "|---|---|---|---|---|---|---|",
    ]
    for part in sorted({str(Path(name).parent) for name in files}):
        inside = [one for name, one in files.items() if str(Path(name).parent) == part]
        sums = {key: sum(one[key] for one in inside) for key in inside[0]}
        for name, one in [*((n, f) for n, f in files.items() if str(Path(n).parent) == part), (f"**{part}**", sums)]:
            cells = [f"{one[key]} | {percent(one[f'{key}_covered'], one[key])}" for key in counted]
            out.append(f"| {name} | {' | '.join(cells)} |")
    if missed:
        out += [
            "",
            "No test covers these of `src/api` and `src/core`:",
            "",
            "| line | what of it | why |",
            "|---|---|---|",
        ]
        for one in missed:
            if not one["reason"]:
                sys.exit(f"{one['file']}:{one['line']} is not covered and has no reason")
            text = one["text"].replace("|", "\\|")
            out.append(f"| {one['file']}: `{text}` | {one['what']} | {one['reason']} |")
    return [*out, ""]


def mutation() -> list[str]:
    """Nothing where none was recorded: only a long run does."""
    if "mutation" not in (found := records("mutation")):
        return []
    parts, survivors = found["mutation"]["parts"], found["mutation"]["survivors"]
    out = [
        f"## Mutation{of_commit('mutation')}",
        "",
        "Operators, numbers, conditions and branches of the source changed, and clamps left out, one at a time: what of it the tests",
        "notice (`tests/mutation.py`; the places are drawn by lot, the instruction set is the baseline). Argued is what no test can tell.",
        "",
        "| part | mutants | killed | argued | killed of the others, % |",
        "|---|---|---|---|---|",
    ]
    for part, n in parts.items():
        share = percent(n["killed"], n["mutants"] - n["argued"])
        out.append(f"| {part} | {n['mutants']} | {n['killed']} | {n['argued']} | {share} |")
    out += ["", "What survived:", "", "| file | line | became | why |", "|---|---|---|---|"] if survivors else []
    for one in survivors:
        before, after = (f"`{one[key]}`".replace("|", "\\|") for key in ("before", "after"))
        out.append(f"| {one['file']} | {before} | {after} | {one['reason'] or 'a gap in the tests'} |")
    return [*out, ""]


def main() -> None:
    if not (RECORDS / "accuracy").is_dir():
        sys.exit(f"{RECORDS} has no figures: run all tests first")
    intro = [
        NOTE,
        "",
        "# Reliability",
        "",
        "What a run of all tests found (`sh cmake/bootstrap test`; `--long` takes larger budgets).",
        "",
    ]
    PAGE.write_text(
        "\n".join(
            [*intro, *tests(), *same_bits(), *pairs(), *sweeps(), *peers(), *coverage(), *mutation(), *accuracy()]
        ).rstrip()
        + "\n",
        encoding="utf-8",
    )
    print(f"{PAGE.relative_to(ROOT)} is written")


if __name__ == "__main__":
    main()
