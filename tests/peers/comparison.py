#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares lossfn with what a peer gave, number by number, and puts each difference down to a reason of the table.

python3 tests/peers/comparison.py FILE ...        counts of data that make_data.py wrote"""

from __future__ import annotations

import json
import sys
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import draw
import lossfn
import numpy as np
import tables
from rows import Difference, Inputs, Row

MOST_SHOWN = 8  # of a row


@dataclass
class Outcome:
    """How one row fared."""

    compared: int = 0  # numbers
    counts: Counter[Difference] = field(default_factory=Counter)  # numbers that differ, by their reason
    unexplained: list[str] = field(default_factory=list)


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def batch(data: dict[str, Any], row: Row) -> Inputs:
    inputs = {name: np.asarray(a, float) for name, a in data["inputs"][row.inputs].items()}
    if row.inputs in draw.LABELLED:
        inputs["target"] = inputs["target"].astype(np.int64)
    return inputs


def ours(row: Row, inputs: Inputs) -> dict[str, Any]:
    """What lossfn gives: the values, and the derivatives of their sum, or of the row's own reduction."""
    loss = lossfn.create(row.spec, reduction=row.reduction)
    summed = lossfn.create(row.spec, reduction="sum") if row.reduction == "none" else loss
    given, found = list(inputs.values()), {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lossfn.DomainWarning)
        if "value" in row.outputs:
            found["value"] = np.asarray(loss(*given))
        if row.wrt:
            grads = summed.grad(*given, wrt=row.wrt)
            found.update(zip(row.wrt, grads if isinstance(grads, tuple) else (grads,)))
        if "step" in row.outputs:
            hess = 1.0 if row.hessian == "one" else summed.hess(*given)
            with np.errstate(all="ignore"):
                found["step"] = -summed.grad(*given) / hess
        if "rho" in row.outputs:
            found.update(zip(row.outputs, loss.rho(inputs["s"])))
    return found


def per_unit(mask: Any, shape: tuple[int, ...]) -> Any:
    """Something of each unit for an output that may have classes, or be one number for all units: the largest."""
    mask = np.asarray(mask)
    if not shape:
        return mask.max()
    return np.broadcast_to(mask if mask.ndim in (0, len(shape)) else mask[:, None], shape)


def close(got: Any, want: Any, largest: Any, peer: Any) -> Any:
    """Equal, both NaN, or within the peer's precision of the largest number on the way. Subnormal numbers have none."""
    limits = np.finfo(peer.DTYPE)
    with np.errstate(all="ignore"):
        room = peer.EPSILON * np.maximum(np.abs(want), largest) + float(limits.smallest_normal)
        near = np.abs(got - want) <= np.where(np.isfinite(want), room, 0)
        near |= np.isinf(want) & (got * np.sign(want) > float(limits.max))
    return (got == want) | (np.isnan(got) & np.isnan(want)) | near


def compare(peer: Any, row: Row, data: dict[str, Any]) -> Outcome:
    inputs, outcome = batch(data, row), Outcome()
    theirs = {name: np.asarray(a, float) for name, a in data["outputs"][row.name].items()}
    mine = ours(row, inputs)
    assert set(theirs) == set(mine) == {*row.outputs, *row.wrt}
    for name, want in theirs.items():
        got = np.asarray(mine[name], float)
        assert got.shape == want.shape, f"{row.name}: {name} has shape {got.shape}, {want.shape} there"
        with np.errstate(all="ignore"):
            largest = per_unit(row.terms[name](inputs) if name in row.terms else 0.0, got.shape)
        differs = ~close(got, want, largest, peer)
        outcome.compared += got.size
        for reason in row.differences:
            if reason.concerns(name):
                with np.errstate(all="ignore"):
                    here = differs & per_unit(reason.where(inputs), got.shape)
                    if reason.within:
                        here &= np.abs(got - want) <= per_unit(reason.within(inputs), got.shape)
                outcome.counts[reason] += int(here.sum())
                differs &= ~here
        for place in zip(*np.nonzero(differs)) if got.ndim else [()] * int(differs):
            shown = {k: a[place[0]].tolist() if place else "all" for k, a in inputs.items()}
            outcome.unexplained.append(
                f"{name}{list(map(int, place))} of {shown}: {got[place]} here, {want[place]} there"
            )
    return outcome


def main() -> None:
    failed = False
    for path in map(Path, sys.argv[1:]):
        peer, data = tables.load(path.stem), read(path)
        print(f"{peer.HEADING} {data['version']}")
        for row in peer.ROWS:
            outcome = compare(peer, row, data)
            counts = "; ".join(f"{n} {reason.kind}: {reason.why}" for reason, n in outcome.counts.items())
            print(f"  {row.name} = {row.spec}: {outcome.compared} numbers" + (f"; {counts}" if counts else ""))
            failed = failed or bool(outcome.unexplained)
            for line in outcome.unexplained[:MOST_SHOWN]:
                print(f"    UNEXPLAINED {line}")
            if len(outcome.unexplained) > MOST_SHOWN:
                print(f"    and {len(outcome.unexplained) - MOST_SHOWN} more")
    sys.exit(failed)


if __name__ == "__main__":
    main()
