# SPDX-License-Identifier: MIT
"""Threads, memory, processes."""

import gc
import multiprocessing
import os
import subprocess
import sys
import threading
import time
import tracemalloc

import lossfn
import numpy as np
import pytest


def test_other_threads_run_during_a_long_call():
    pred, target = np.zeros(20_000_000, np.float32), np.ones(20_000_000, np.float32)
    start, stop, laps = threading.Event(), threading.Event(), []

    def count():
        start.set()
        while not stop.is_set():
            laps.append(time.perf_counter())
            time.sleep(0.0005)

    thread = threading.Thread(target=count)
    thread.start()
    start.wait()
    begin = time.perf_counter()
    assert lossfn.log_cosh.value_and_grad(pred, target, threads=1)[0] > 0
    end = time.perf_counter()
    stop.set()
    thread.join()
    during = [lap for lap in laps if begin < lap < end]
    assert len(during) >= 3, f"{len(during)} laps in {end - begin} s"


def test_many_threads_one_loss(rng):
    pred, target = rng.normal(size=(2, 5000))
    loss = lossfn.create("huber", delta=0.5)
    expected = loss(pred, target)
    accumulator = lossfn.Accumulator(loss)
    wrong = []

    def work(i):
        for k in range(50):
            if loss(pred, target) != expected or lossfn.huber(pred, target, delta=0.5) != expected:
                wrong.append(i)
            lossfn.huber(pred, target, delta=1 + i + k / 7)
            accumulator.update(pred, target)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert accumulator.value() == expected and accumulator.denominator == 200 * 5000


def test_thread_count_changes_no_bit(rng):
    pred, target = rng.normal(size=(2, 300_000))
    one = lossfn.log_cosh.value_and_grad(pred, target, threads=1)
    two = lossfn.log_cosh.value_and_grad(pred, target, threads=2)
    assert one[0] == two[0]
    np.testing.assert_array_equal(one[1], two[1])


def test_cached_changes_no_bit(rng):
    pred, target = rng.normal(size=(2, 5_000_000))  # beyond half of many a cache
    around = lossfn.mse.value_and_grad(pred, target)
    through = lossfn.mse.value_and_grad(pred, target, cached=True)
    assert around[0] == through[0]
    np.testing.assert_array_equal(around[1], through[1])


def _everything(pred, target, w, out):
    lossfn.mse(pred, target)
    lossfn.mse(pred, target, weight=w, mask=w, reduction="none")
    lossfn.huber.value_grad_hess(pred, target, delta=2.0, grad_out=out)
    lossfn.mse([1, 2], [3, 4])
    lossfn.gaussian_nll.value_and_grad(pred, target, w)
    accumulator = lossfn.Accumulator("mse")
    accumulator.update(pred, target)
    accumulator.merge(lossfn.Accumulator.from_bytes(accumulator.to_bytes()))
    lossfn.create("0.5*mse + 0.5*mae").components(pred, target)
    lossfn.create("quantile", tau=0.3).check(pred, target)
    lossfn.describe("huber")
    for bad in (
        lambda: lossfn.mse(pred, target[:1]),
        lambda: lossfn.mse(pred, "x"),
        lambda: lossfn.mse(pred, target, weight=object()),
        lambda: lossfn.mse.grad(pred, target, grad_out=bytes(8)),
        lambda: lossfn.mse(pred, target, nonsense=pred),
        lambda: lossfn.create("nothing"),
    ):
        with pytest.raises((lossfn.Error, TypeError)):
            bad()


def test_nothing_leaks():
    pred, target, w, out = np.ones(4), np.zeros(4), np.ones(4), np.zeros(4)
    for _ in range(100):
        _everything(pred, target, w, out)
    gc.collect()
    counts = [sys.getrefcount(x) for x in (pred, target, w, out, lossfn.mse._handle, None)]
    tracemalloc.start()
    levels = []
    for _ in range(5):
        for _ in range(150):
            _everything(pred, target, w, out)
        gc.collect()
        levels.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    after = [sys.getrefcount(x) for x in (pred, target, w, out, lossfn.mse._handle, None)]
    assert counts[:5] == after[:5]
    assert abs(counts[5] - after[5]) < 500, "None, which everything refers to"
    # Caches may fill in one window or another; what is lost at every call grows in all of them.
    assert min(b - a for a, b in zip(levels, levels[1:])) < 5000, levels


def test_outputs_allocate_nothing():
    pred, target, out = np.ones(100_000), np.zeros(100_000), np.zeros(100_000)
    lossfn.mse.value_and_grad(pred, target, grad_out=out)
    tracemalloc.start()
    lossfn.mse.value_and_grad(pred, target, grad_out=out)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4000


def test_buffers_are_held_during_the_call_only():
    import array

    pred = array.array("d", [1, 2])
    lossfn.mse(pred, [1.0, 1.0])
    pred.append(3)  # a BufferError if anything still held it
    with pytest.raises(lossfn.Error):
        lossfn.mse(pred, [1.0])
    pred.append(4)

    def fn(p, t):
        with pytest.raises(BufferError):
            pred.append(5)
        return p, p

    lossfn.custom(fn)(pred, pred)
    pred.append(5)


def _child(pipe):
    pred = np.linspace(0, 1, 200_000)
    pipe.send(lossfn.mse(pred, 0 * pred, threads=2))


def test_fork():
    pred = np.linspace(0, 1, 200_000)
    expected = lossfn.mse(pred, 0 * pred, threads=2)
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=_child, args=(there,))
    child.start()
    assert here.poll(30)
    assert here.recv() == expected
    child.join(30)
    assert child.exitcode == 0


def _run(code, **environment):
    env = {key: value for key, value in os.environ.items() if key not in ("OMP_NUM_THREADS", "LOSSFN_NUM_THREADS")}
    env.update(environment, PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=120)


def test_environment():
    show = "import lossfn; print(lossfn.num_threads())"
    default = int(_run(show).stdout)
    assert int(_run(show, OMP_NUM_THREADS="1").stdout) == 1
    assert int(_run(show, OMP_NUM_THREADS="1,2").stdout) == 1
    assert int(_run(show, OMP_NUM_THREADS="99").stdout) == default
    assert int(_run(show, OMP_NUM_THREADS="x").stdout) == default
    assert int(_run(show, OMP_NUM_THREADS="1", LOSSFN_NUM_THREADS="2").stdout) == 2
    assert _run("import lossfn; print(lossfn.isa())", LOSSFN_ISA="baseline").stdout == "baseline\n"


def test_exit_with_everything_alive():
    code = """
import lossfn
fn = lambda pred, target: (pred, pred)
lossfn.register("at.exit", fn)
keep = [lossfn.custom(fn), lossfn.Accumulator(lossfn.custom(fn)), lossfn.create("at.exit")]
lossfn.threads_start(2)
keep.append(keep)
"""
    done = _run(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_module_command():
    done = _run(
        "import runpy, sys; sys.argv = ['lossfn', '--version']; runpy.run_module('lossfn', run_name='__main__')"
    )
    assert done.stdout.strip() == lossfn.__version__, done.stderr
