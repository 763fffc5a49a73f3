# SPDX-License-Identifier: MIT
"""The bench finds every loss and judges what it measured. Nothing here takes a time."""

from __future__ import annotations

import bars
import cases
import lossfn
import numpy as np
import operations
import ours
import peers
import pytest
import report
from results import Results
from turns import Contestant, disagreement

CATALOGUE = [name for name in lossfn.names() if "." not in name]


def test_every_loss_has_its_cases():
    found = {(case.loss, case.elements) for case in cases.catalogue((64, 4000))}
    assert found == {(name, n) for name in CATALOGUE for n in (64, 4000)}


@pytest.mark.parametrize("case", list(cases.catalogue((64,))), ids=lambda case: case.loss)
def test_inputs_suit_the_loss(case):
    value, grads = ours.build(case, 1).results()
    assert np.isfinite(value)
    flat = not {"lipschitz", "differentiable"} & set(case.about.traits)  # it counts, and has no slope
    assert all(np.isfinite(grad).all() and (grad.any() or flat) for grad in grads)
    assert not lossfn.create(case.loss).check(*case.inputs.values())


@pytest.mark.parametrize("case", [*cases.classes(cases.LARGE[:1]), *cases.options(cases.LARGE[:1])], ids=str)
def test_named_cases_can_be_computed(case):
    value, grads = ours.build(case, 1).results()
    assert np.isfinite(value)
    assert all(np.isfinite(grad).all() for grad in grads)


@pytest.mark.parametrize("key", [key for key in peers.headings() if key != "compile"])
def test_peers_compute_the_same(key):
    try:
        peer = peers.load(key, 1)
    except ImportError:
        pytest.skip(f"{key} is not installed")
    for case in [*cases.catalogue((64,)), *cases.small_calls()]:
        who = peer.build(case)
        if who is not None:
            assert disagreement(ours.build(case, 1), who, case.dtype) is None, case.name


def test_disagreement_is_noticed():
    def who(value, grad):
        return Contestant(lambda: None, lambda: (value, [np.array(grad)]))

    one = who(1.0, [1.0, 2.0])
    assert disagreement(one, who(1.0001, [1.0, 2.001]), "float32") is None
    assert "value" in disagreement(one, who(1.1, [1.0, 2.0]), "float32")
    assert "1 of 2 derivatives" in disagreement(one, who(1.0, [1.0, 2.1]), "float32")
    assert "1 of 2 derivatives" in disagreement(one, who(1.0, [1.0, np.nan]), "float32")


def case_record(**others):
    record = {"kind": "case", "case": "mse", "loss": "mse", "shape": [1 << 24], "elements": 1 << 24}
    record.update(dtype="float32", want="value_grad", threads=1, allocator="recycled", failed={})
    return {**record, **others}


def test_passes_over_the_same_case_are_joined():
    results = Results()
    results.add(case_record(times={"lossfn": [2.0]}))
    results.add(case_record(times={"lossfn": [1.0], "torch": [3.0]}))
    results.add(case_record(times={"lossfn": [5.0]}, threads=2))
    assert [r["times"] for r in results.records] == [{"lossfn": [2.0, 1.0], "torch": [3.0]}, {"lossfn": [5.0]}]


@pytest.mark.parametrize(("theirs", "met"), [(2.6, 1), (2.4, 0)])
def test_bars_judge_the_worst(theirs, met):
    results = Results()
    results.add(case_record(times={"lossfn": [1.0, 9.0], "torch": [9.0, theirs]}))
    (bar,) = (bar for bar in bars.BARS if bar.text.startswith("mse and huber"))
    count, total, where, worst = bar.judge(results)
    assert (count, total, worst) == (met, 1, theirs)
    assert where == "mse, 16 Mi, 1 thread"
    assert bars.Bar("", "", 3, bar.figures, at_most=True).judge(results)[0] == 1


def limit_record(**others):
    record = {"kind": "native", "program": "limit", "loss": "mse", "dtype": "f32", "unit": "element", "reads": 2}
    return {**record, "want": "value_grad", "writes": 1, "elements": 1 << 24, "elements_in_cache": 1000, **others}


@pytest.mark.parametrize(
    ("in_cache", "stream", "says"),
    [
        (0.2, 1e-5, "1 of the 1 that miss it cannot reach it: mse, 16 Mi, 1 thread, at most 1.2 x by its arithmetic"),
        (0.05, 1.5e-4, "1 of the 1 that miss it cannot reach it: mse, 16 Mi, 1 thread, at most 1.6 x by its bytes"),
        (0.05, 1e-5, "the other 1: mse, 16 Mi, 1 thread, at most 4.8 x by its arithmetic"),
    ],
)
def test_floors_say_what_is_possible(in_cache, stream, says):
    results = Results()
    n = 1 << 24
    results.add(case_record(times={"lossfn": [n * 4e-4], "torch": [n * 2.4e-4]}))
    results.add(limit_record(times={"lossfn": [n * 3e-4], "in_cache": [in_cache], "stream": [n * stream]}))
    results.add(limit_record(dtype="bf16", times={"lossfn": [n * 3e-4], "in_cache": [0.25], "stream": [n * 1e-5]}))
    (bar,) = (bar for bar in bars.BARS if bar.text.startswith("mse and huber"))
    assert bar.floor(results) == says
    (bar,) = (bar for bar in bars.BARS if bar.text.startswith("bf16 over f32"))
    assert bar.floor(results).startswith("1 of 1 take more") and "1.2 x (mse)" in bar.floor(results)


@pytest.mark.parametrize(
    ("loss", "needed"),
    [
        ("mse", {}),
        ("bce_with_logits", {"division": 1, "exp": 1, "log1p_unit": 1}),
        ("binary_cross_entropy", {"division": 2, "log": 1, "log1p": 1}),
        ("poisson_nll", {"exp": 1}),
        ("gaussian_kl", {"expm1": 1}),
        ("log_cosh", {"division": 1, "expm1": 1, "log1p": 1}),
        ("pseudo_huber", {"division": 2, "sqrt": 1}),
        ("adaptive_wing", {"division": 2, "log": 1, "log1p_unit": 1, "pow": 1}),
        ("von_mises_nll", {"sincos": 1}),
    ],
)
def test_operations_are_counted(loss, needed):
    assert operations.count(loss) == needed


def math_record(function, seconds):
    record = {"kind": "native", "program": "math", "function": function, "dtype": "f32", "elements": 1000}
    return {**record, "times": {"function": [1000 * (seconds + 1)], "bare": [1000.0]}}


def operation_results(in_cache):
    """mse takes 1 an element, log_cosh what is given; its operations are 4, and mse."""
    results = Results()
    for loss, seconds in (("mse", 1), ("log_cosh", in_cache)):
        times = {"lossfn": [1e9], "in_cache": [1000 * seconds], "stream": [1e6]}
        results.add(limit_record(loss=loss, operations=operations.count(loss), times=times))
    for function, seconds in (("division", 0.5), ("expm1", 1.5), ("log1p", 2)):
        results.add(math_record(function, seconds))
    return results


@pytest.mark.parametrize(("in_cache", "met"), [(6, 1), (7, 0)])
def test_bars_judge_by_operations(in_cache, met):
    (bar,) = (bar for bar in bars.BARS if bar.text.startswith("value and gradient, f32: time in cache"))
    count, total, where, worst = bar.judge(operation_results(in_cache))
    assert (count, total, where, worst) == (met, 1, "log_cosh", pytest.approx(in_cache / 5))
    assert bar.judge(Results()) is None


def test_tables_of_the_page_are_whole():
    results = Results(machine={"cpu": "c", "cores": 2, "caches": [], "memory": "m", "system": "s", "python": "p"})
    results.machine.update(compiler="cc", isa="avx512", load=0.0)
    results.add(case_record(times={"lossfn": [1.0], "torch": [0.5]}))
    results.add(case_record(case="huber", times={"lossfn": [1.0]}, failed={"jax": "value 1 instead of 2"}))
    limit = {
        "kind": "native",
        "program": "limit",
        "loss": "mse",
        "dtype": "f32",
        "elements": 1 << 24,
        "unit": "element",
    }
    for want, writes in (("value", 0), ("value_grad", 1), ("value_grad_hess", 2)):
        results.add({**limit, "want": want, "reads": 2, "writes": writes, "times": {"lossfn": [0.1], "stream": [0.08]}})
    for what in ("value_grad", "rho"):
        call = {
            "kind": "native",
            "program": "call",
            "loss": "mse",
            "what": what,
            "rows": 16,
            "cols": 1,
            "isa": "avx512",
        }
        results.add({**call, "times": {"lossfn": [1e-8]}})
    results.add({"kind": "native", "program": "clock", "additions": 4000, "times": {"clock": [1e-6]}})
    sums = {"kind": "native", "program": "sums", "isa": "avx512", "want": "value_grad", "elements": 4096}
    results.add({**sums, "times": {"exact": [2e-6], "plain": [1e-6]}})
    threads = {"kind": "native", "program": "threads", "loss": "mse", "threads": 2, "pieces": 2, "elements": 1 << 16}
    results.add({**threads, "times": {"one": [2.0], "all": [1.0]}, "after_pause": {"one": 2.0, "all": 1.0}})
    variants = {"kind": "variants", "loss": "mse", "elements": 1 << 24, "threads": 1, "allocator": "recycled"}
    results.add({**variants, "times": {"plain": [1.0], "weight": [1.5]}})
    results.records += operation_results(6).records
    text = report.page(results, ["images/bench-limit.svg"])
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1, block
    assert "**0.5 (0.5)**" in text
    assert "at 4 GHz" in text
    assert "| log_cosh | division, expm1, log1p | 6000000000 (1.2) |" in text
    assert "*5.96 (0.80)*" in text
    assert "](images/bench-limit.svg)" in text
    assert report.failed_cells(results) == ["huber, 16 Mi, float32: jax: value 1 instead of 2"]


@pytest.mark.parametrize(("ghz", "says"), [(2, "200 cycles at 2 GHz"), (None, "")])
def test_small_calls_are_told_in_cycles(ghz, says):
    results = Results()
    call = {"kind": "native", "program": "call", "loss": "mse", "what": "value_grad", "rows": 16, "cols": 1}
    results.add({**call, "first_isa": True, "times": {"lossfn": [1e-7]}})
    if ghz:
        results.add({"kind": "native", "program": "clock", "additions": 1000, "times": {"clock": [1e-6 / ghz]}})
    (bar,) = (bar for bar in bars.BARS if bar.text.startswith("mse, n = 16"))
    assert bar.floor(results) == says
