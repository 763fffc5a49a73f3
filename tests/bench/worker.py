# SPDX-License-Identifier: MIT
"""Measures in one process, and prints a JSON object a line. bench.py starts it, because the number of threads and the
allocator are settled when a process starts."""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
import sys
import traceback
from collections.abc import Iterator
from typing import Any


def say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True, help="per case")
    parser.add_argument("--turns", type=int, required=True, help="at least, per case")
    parser.add_argument("--groups", nargs="*", default=[])
    parser.add_argument("--sizes", type=int, nargs="*", default=[])
    parser.add_argument("--peers", nargs="*", default=[])
    parser.add_argument("--only", default="")
    return parser.parse_args()


def reason(error: Exception) -> str:
    """The first line of what went wrong, without paths of this machine."""
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {re.sub(r'/[^ ]+/', '', first)}"


def load_peers(keys: list[str], threads: int) -> dict[str, Any]:
    import peers

    found = {}
    for key in keys:
        try:
            found[key] = peers.load(key, threads)
            say(peer=key, version=found[key].version)
        except Exception as error:  # whatever keeps it from being here
            say(peer=key, missing=reason(error))
    return found


def contestants(case: Any, found: dict[str, Any], threads: int) -> tuple[dict[str, Any], dict[str, str]]:
    """Who takes part, and who fails or computes something else."""
    import ours
    from turns import disagreement

    lossfn = ours.build(case, threads)
    taking_part, failed = {"lossfn": lossfn}, {}
    for key, peer in found.items():
        if case.peers and key not in case.peers:
            continue
        try:
            who = peer.build(case)
            if who is None:
                continue
            fault = disagreement(lossfn, who, case.dtype)
        except Exception as error:
            traceback.print_exc()
            fault = reason(error)
        if fault:
            failed[key] = fault
        else:
            taking_part[key] = who
    return taking_part, failed


def cases(groups: list[str], sizes: tuple[int, ...], only: str) -> Iterator[Any]:
    from cases import GROUPS

    for group in groups:
        if group in GROUPS:  # and not "variants"
            yield from (case for case in GROUPS[group](sizes) if only in case.loss)


def main() -> None:
    options = arguments()
    if options.threads == 1:  # one core, so that nobody uses another
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import lossfn
    import ours
    from results import LARGE
    from turns import take_turns

    lossfn.set_num_threads(options.threads)
    lossfn.threads_start()
    gc.disable()
    say(peer="lossfn", version=lossfn.__version__, isa=lossfn.isa())
    found = load_peers(options.peers, options.threads)
    alone = set()  # what no peer has: measured briefly, and in memory by bench_limit
    for case in cases(options.groups, tuple(options.sizes), options.only):
        if case.name in alone and case.elements > LARGE * 1.1:
            continue
        who, failed = contestants(case, found, options.threads)
        wanted = len(who) > 1 or not case.peers  # some cases are only there for a peer
        brief = len(who) == 1 and not failed
        if brief and case.elements > LARGE * 0.8:
            alone.add(case.name)
        seconds = options.seconds * (0.25 if brief else 1)
        times = take_turns(who, seconds, options.turns, options.threads) if wanted else {}
        if times or failed:
            say(kind="case", **case.key, times=times, failed=failed)
        del who, case
        gc.collect()
    if "variants" in options.groups:
        for name in ("mse", "bce_with_logits"):
            for n in options.sizes:
                if options.only in name:
                    times = take_turns(
                        ours.variants(name, n, options.threads), options.seconds, options.turns, options.threads
                    )
                    say(kind="variants", loss=name, elements=n, times=times)
    sys.stdout.flush()
    os._exit(0)  # some peers take long to leave


if __name__ == "__main__":
    main()
