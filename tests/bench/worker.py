# SPDX-License-Identifier: MIT
"""Measures lossfn and PyTorch in turns in one process, value and gradient in float32; prints a JSON line per case.
bench.py starts it, because the number of threads and the allocator are settled when a process starts."""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import lossfn
import numpy as np
import torch
import torch.nn.functional as F

SIZES = (64, 4 << 10, 256 << 10, 16 << 20)  # elements: a handful, in the first cache, in the second, in memory
CLASSES = (10, 1000, 50257)
TURN = 0.004  # seconds of calls between two looks at the clock


class Case(NamedTuple):
    loss: str
    rows: int
    cols: int
    ours: Callable[[], object]
    theirs: Callable[[], object]


def backward(pred: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """As a training step has it: the old gradient is gone, the new one is stored."""
    pred.grad = None
    value.backward()
    return pred.grad


def elementwise(name: str, peer: Callable[..., torch.Tensor], n: int, threads: int) -> Case:
    rng = np.random.default_rng(n)
    pred = rng.standard_normal(n, np.float32)
    target = rng.standard_normal(n, np.float32)
    if name == "bce_with_logits":
        target = (target > 0).astype(np.float32)
    grad = np.empty_like(pred)
    loss = lossfn.create(name)
    torch_pred, torch_target = torch.from_numpy(pred).requires_grad_(), torch.from_numpy(target)

    def ours() -> object:
        return loss.value_and_grad(pred, target, grad_out=grad, threads=threads)

    def theirs() -> object:
        return backward(torch_pred, peer(torch_pred, torch_target))

    check(ours()[0], grad, peer(torch_pred, torch_target), theirs())
    return Case(name, n, 1, ours, theirs)


def classes(rows: int, cols: int, threads: int) -> Case:
    rng = np.random.default_rng(rows)
    pred = rng.standard_normal((rows, cols), np.float32)
    labels = rng.integers(0, cols, rows)
    grad = np.empty_like(pred)
    loss = lossfn.create("cross_entropy")
    torch_pred, torch_labels = torch.from_numpy(pred).requires_grad_(), torch.from_numpy(labels)

    def ours() -> object:
        return loss.value_and_grad(pred, labels, grad_out=grad, threads=threads)

    def theirs() -> object:
        return backward(torch_pred, F.cross_entropy(torch_pred, torch_labels))

    check(ours()[0], grad, F.cross_entropy(torch_pred, torch_labels), theirs())
    return Case("cross_entropy", rows, cols, ours, theirs)


def check(value: float, grad: np.ndarray, peer_value: torch.Tensor, peer_grad: torch.Tensor) -> None:
    """Both compute the same thing, else times mean nothing."""
    np.testing.assert_allclose(value, peer_value.item(), rtol=1e-4)
    np.testing.assert_allclose(grad, peer_grad.numpy(), rtol=1e-3, atol=1e-3 * float(np.abs(grad).max()))


def cases(threads: int) -> Iterator[Case]:
    for n in SIZES:
        yield elementwise("mse", F.mse_loss, n, threads)
    for n in SIZES:
        yield elementwise("bce_with_logits", F.binary_cross_entropy_with_logits, n, threads)
    for cols in CLASSES:
        for rows in sorted({max(1, n // cols) for n in SIZES}):
            yield classes(rows, cols, threads)


def time_calls(function: Callable[[], object], calls: int) -> float:
    """Seconds per call. A call before the clock starts brings code and data back into the caches."""
    function()
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls


def measure(case: Case, seconds: float) -> dict[str, object]:
    """Turns of both until the time is up: one's noise is the other's as well."""
    functions = {"lossfn": case.ours, "torch": case.theirs}
    calls = {name: max(1, int(TURN / max(time_calls(f, 1), 1e-9))) for name, f in functions.items()}
    times: dict[str, list[float]] = {name: [] for name in functions}
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times["torch"]) < 5:
        for name in sorted(functions, reverse=len(times["torch"]) % 2 == 1):
            time.sleep(0.001)  # the other's threads stop spinning
            times[name].append(time_calls(functions[name], calls[name]))
    return {"loss": case.loss, "rows": case.rows, "cols": case.cols, "times": times}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True, help="per case")
    parser.add_argument("--only", default="", help="cases whose loss has this in its name")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    lossfn.set_num_threads(options.threads)
    lossfn.threads_start()
    gc.disable()
    versions = {"lossfn": lossfn.__version__, "isa": lossfn.isa(), "torch": torch.__version__, "numpy": np.__version__}
    print(json.dumps(versions), flush=True)
    for case in cases(options.threads):
        if options.only in case.loss:
            print(json.dumps(measure(case, options.seconds)), flush=True)
        gc.collect()


if __name__ == "__main__":
    main()
