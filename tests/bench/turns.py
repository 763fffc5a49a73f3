# SPDX-License-Identifier: MIT
"""Timing in turns: contestants alternate in one process, so that what else the machine does hits all of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TURN = 0.004  # seconds of calls between two looks at the clock
LEAST_TURNS = 5
SPINNING = 0.012  # seconds for which threads of an OpenMP runtime may still keep a core busy after their work
AT_KINKS = 1e-6  # of random numbers lie so exactly on a kink that conventions on its derivative show

Array = NDArray[Any]


@dataclass
class Contestant:
    """One who computes a case. `results` gives (value or None, gradients and the like), to be compared with others'.
    One who can only time itself gives `seconds` instead of `call`; None: it cannot be looked at."""

    call: Callable[[], object] | None = None
    results: Callable[[], tuple[float | None, list[Array]]] | None = None
    seconds: Callable[[], float] | None = None


def calls_per_turn(who: Contestant) -> int:
    if who.call is None:
        return 1
    who.call()
    start = time.perf_counter()
    who.call()
    return max(1, int(TURN / max(time.perf_counter() - start, 1e-9)))


def one_turn(who: Contestant, calls: int) -> float:
    """Seconds per call. Where a turn is many calls, one before the clock starts brings its data into the caches."""
    if who.call is None:
        assert who.seconds
        return who.seconds()
    call = who.call
    if calls > 1:
        call()
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls


def take_turns(
    contestants: dict[str, Contestant], seconds: float, least: int = LEAST_TURNS, threads: int = 1
) -> dict[str, list[float]]:
    """Turns of all until the time is up, there and back again: each one's seconds per call."""
    pause = SPINNING if threads > 1 else 0.001
    calls = {name: calls_per_turn(who) for name, who in contestants.items()}
    times: dict[str, list[float]] = {name: [] for name in contestants}
    until = time.perf_counter() + seconds
    turn = 0
    while turn < least or time.perf_counter() < until:
        for name in sorted(contestants, reverse=turn % 2 == 1):
            time.sleep(pause)
            times[name].append(one_turn(contestants[name], calls[name]))
        turn += 1
    return times


def disagreement(ours: Contestant, theirs: Contestant, dtype: str) -> str | None:
    """What keeps two contestants from having computed the same thing."""
    if theirs.results is None or ours.results is None:
        return None
    value, arrays = ours.results()
    their_value, their_arrays = theirs.results()
    tolerance = 2e-3 if dtype == "float32" else 1e-9
    if value is not None and their_value is not None and not np.isclose(value, their_value, rtol=tolerance):
        return f"value {their_value:.6g} instead of {value:.6g}"
    for mine, other in zip(arrays, their_arrays):
        off = np.abs(mine - np.asarray(other).reshape(mine.shape))
        allowed = tolerance * float(np.abs(mine).max())
        wrong = mine.size - int(np.count_nonzero(off <= allowed))
        if wrong > AT_KINKS * mine.size:
            return f"{wrong} of {mine.size} derivatives differ, by up to {off.max() / allowed * tolerance:.2g} of the largest"
    return None
