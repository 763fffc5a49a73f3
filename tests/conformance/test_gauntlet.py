# SPDX-License-Identifier: MIT
"""Real bugs of other systems, with the right answers. data/gauntlet.jsonl holds the cases of the losses that there are."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import clib
import numpy as np
import pytest

CASES = [json.loads(line) for line in (Path(__file__).parent / "data" / "gauntlet.jsonl").read_text().splitlines()]
NAMES = {"softmax_ce": "cross_entropy", "softmax_ce_prob": "cross_entropy", "softmax_ce_backward": "cross_entropy", "nll": "cross_entropy",
         "bce": "binary_cross_entropy", "l1": "mae", "half_poisson": "poisson_nll", "soft_margin": "logistic_margin",
         "half_tweedie": "tweedie_nll"}  # fmt: skip
RENAMED = {"quantile": "tau", "p": "power"}
STATUS = {
    "ERR_SHAPE": "SHAPE",
    "ERR_PARAM": "PARAMETER",
    "ERR_DOMAIN": "DOMAIN",
    "ERR_TARGET_RANGE": "LABEL",
    "ERR_WEIGHT": "PARAMETER",
    "ERR_ALIAS": "ALIAS",
}
# Where the same mistake is another one here.
OTHERWISE = {
    "E09": "NOT_FOUND",  # there is no eps that could be absurd
    "F06": "DOMAIN",  # a target says 0 or 1 of each class instead of listing them
}
PARAMETERS = {
    "class_weight",
    "label_smoothing",
    "ignore_index",
    "delta",
    "beta",
    "alpha",
    "scale",
    "tau",
    "log_target",
    "log_input",
    "full",
    "eps",
    "pos_weight",
    "base",
    "gamma",
    "margin",
    "power",
}
TESTED_ELSEWHERE = {"dtype", "sklearn_name", "entry", "grad_output", "grad_strides", "var", "var_shape", "var_strides", "mask", "alias", "note", "empty_mean",
                    "allow_negative_weight", "class_axis", "axis", "fenv", "callback", "layout", "input"}  # fmt: skip


def array(x: Any, dtype: str) -> np.ndarray:
    if isinstance(x, dict):
        shape = tuple(x["shape"])
        if x.get("gen") == "fill":
            out = clib.cast(np.full(shape, float(x["value"])), dtype)
            for at, value in x.get("set", []):
                out.reshape(-1)[at] = clib.cast(np.array(float(value)), dtype)
        elif "gen" in x:
            out = clib.cast(generated(x), dtype)
        elif "strides" in x:
            data = clib.cast(np.array(x["data"], float), dtype)
            out = np.lib.stride_tricks.as_strided(data, shape, [s * data.itemsize for s in x["strides"]])
        else:
            out = clib.cast(np.array(x["data"], float).reshape(shape), dtype)
        return out
    return clib.cast(np.array(numbers(x), dtype=float), dtype)


def generated(x: dict) -> np.ndarray:
    """lcg24: s <- (a s + c) mod 2^24."""
    raise AssertionError(f"unknown generator {x}")


def numbers(x: Any) -> Any:
    return [numbers(one) for one in x] if isinstance(x, list) else float(x)


def is_labels(case: dict) -> bool:
    target = case["target"]
    if case["loss"] not in ("softmax_ce", "softmax_ce_backward", "nll", "multi_margin"):
        return False
    return True if isinstance(target, dict) else case["loss"] != "softmax_ce_prob"


def build(case: dict) -> tuple[str, list, dict, str]:
    params = {RENAMED.get(k, k): v for k, v in case["params"].items()}
    dtype = params["dtype"]
    unknown = set(params) - PARAMETERS - TESTED_ELSEWHERE
    assert not unknown, unknown
    options = {k: (float(v) if v in ("inf", "-inf") else v) for k, v in params.items() if k in PARAMETERS}
    name = NAMES.get(case["loss"], case["loss"])
    if name == "sigmoid_focal" and options["alpha"] is None:
        options["alpha"] = -1  # no weights
    if name == "cosine_embedding":
        return pair_of_vectors(case, options)
    if name == "kl_div":
        options["log_pred"] = case["params"].get("input") != "prob"
    if case.get("expect_error") == "ERR_DOMAIN" or OTHERWISE.get(case["id"]) == "DOMAIN":
        options["domain"] = "error"
    reduction = case.get("reduction") or "mean"
    pred = array(case["pred"], dtype)
    inputs = [pred]
    if case["target"] is not None:
        inputs.append(array(case["target"], dtype) if not is_labels(case) else labels(case["target"]))
    if name == "gaussian_nll":
        var = params.get("var", 1.0)
        if "var_shape" in params:
            one = np.array([float(var)] * max(1, math.prod(params["var_shape"])), clib.NUMPY[dtype]).reshape(
                params["var_shape"]
            )
            inputs.append(one)
        else:
            inputs.append(np.broadcast_to(np.array(var, clib.NUMPY[dtype]), pred.shape).copy())
    keywords: dict[str, Any] = {}
    if case.get("weight") is not None:
        keywords["weight"] = array(case["weight"], dtype)
    if name == "kl_div" and reduction == "mean":
        keywords["denominator"] = float(pred.size)  # PyTorch's mean
    if "mask" in params:
        keywords["mask"] = np.array(params["mask"], np.uint8)
    if "grad_output" in params:
        keywords["upstream"] = clib.cast(np.array(params["grad_output"], float), "f32" if dtype != "f64" else "f64")
    if is_labels(case) and pred.ndim > 2:
        options["axis"] = params.get("class_axis", params.get("axis", 1))
    return (
        clib.spec(name, reduction=reduction, **{k: v for k, v in options.items() if k != "reduction"}),
        inputs,
        keywords,
        dtype,
    )


def pair_of_vectors(case: dict, options: dict) -> tuple[str, list, dict, str]:
    """A row for each vector; the case's target is our label."""
    dtype = case["params"]["dtype"]
    inputs = [np.atleast_2d(array(case["pred"][x], dtype)) for x in ("x1", "x2")]
    text = clib.spec("cosine_embedding", reduction=case["reduction"], **options)
    return text, [*inputs, array(case["target"], dtype)], {}, dtype


def labels(target: Any) -> np.ndarray:
    if isinstance(target, dict):
        return np.full(tuple(target["shape"]), int(target["value"]), np.int64)
    return np.array(target, np.int64)


def agrees(got: Any, want: Any, tol: dict) -> None:
    got, want = np.asarray(got, float).ravel(), np.array(np.ravel(numbers(want)), float)
    assert got.shape == want.shape
    for g, w in zip(got, want, strict=True):
        if math.isnan(w) or math.isinf(w):
            assert g == w or (math.isnan(g) and math.isnan(w)), (g, w)
        else:
            assert abs(g - w) <= tol["abs"] + tol["rel"] * abs(w), (g, w)


SOLVERS = {"ceres_huber": ("huber", {"a": "delta"}), "ceres_tolerant": ("tolerant", {"a": "a", "b": "b"})}


@pytest.mark.parametrize("case", [c for c in CASES if c["loss"] in SOLVERS], ids=lambda c: c["id"])
def test_for_solvers(case: dict) -> None:
    """rho of the squared residual; a parameter is called as the table says."""
    name, renamed = SOLVERS[case["loss"]]
    loss = clib.Loss(clib.spec(name, **{renamed[k]: v for k, v in case["params"].items() if k in renamed}))
    found = []
    for s in case["pred"]:
        out = (clib.c.c_double * 3)()
        clib.lib.lossfn_rho(loss.handle, s, out)
        found.append(list(out))
    value, slope, curve = np.array(found).T
    agrees(value, case["expect_value"], case["tol"])
    agrees(slope, case["expect_grad"], case["tol"])
    agrees(curve, case["expect_hess_diag"], case["tol"])


VALUES = [c for c in CASES if c["kind"] == "value" and c["loss"] not in SOLVERS]


@pytest.mark.parametrize("case", VALUES, ids=lambda c: c["id"])
def test_value(case: dict) -> None:
    text, inputs, keywords, _dtype = build(case)
    if case["params"].get("allow_negative_weight"):
        with pytest.raises(clib.Failure):  # the recommended default: class weights are at least 0
            clib.Loss(text)
        return
    loss = clib.Loss(text)
    reduction = case.get("reduction") or "mean"
    out = loss.run(*inputs, **keywords)
    tol = case.get("tol", {"rel": 1e-15, "abs": 0})
    wanted = case["expect_value"]
    if case["loss"] == "half_tweedie":  # less a constant of the target, so that a perfect prediction is 0
        (y,), w = case["target"], case["params"]["power"]
        wanted = [wanted[0] + y ** (2 - w) / ((1 - w) * (2 - w))]
    agrees(clib.floats(out.values) if reduction == "none" else out.value, wanted, tol)
    if "expect_grad" in case:
        agrees(clib.floats(out.grads["pred"]), case["expect_grad"], tol)
    if "expect_hess_diag" in case:
        agrees(clib.floats(out.hess), case["expect_hess_diag"], tol)
    if case["expect_value"] == "nan" and not np.isnan(clib.floats(inputs[0])).any():
        assert out.notes & clib.EMPTY


@pytest.mark.parametrize("case", [c for c in CASES if c["kind"] == "error"], ids=lambda c: c["id"])
def test_error(case: dict) -> None:
    params = case["params"]
    want = OTHERWISE.get(case["id"], STATUS[case["expect_error"]])
    if want in ("PARAMETER", "NOT_FOUND"):
        with pytest.raises(clib.Failure) as caught:
            clib.Loss(build(case)[0])
        assert caught.value.status == want
        return
    text, inputs, keywords, dtype = build(case)
    loss = clib.Loss(text)
    grad = clib.filled(inputs[0].shape, dtype)
    if "alias" in params:
        memory = np.concatenate([inputs[0], np.zeros(1)])
        inputs[0], grad = memory[:-1], memory[1:]
    if "grad_strides" in params:
        grad = np.lib.stride_tricks.as_strided(np.zeros(1), inputs[0].shape, [0])
    before = grad.tobytes()
    args, kept = loss.arguments(
        *inputs, value=(case.get("reduction") or "mean") != "none", grads={"pred": grad}, **keywords
    )
    status = clib.lib.lossfn_run(loss.handle, clib.c.byref(args))
    assert clib.STATUS_NAMES[status] == want, clib.lib.lossfn_last_error().decode()
    assert grad.tobytes() == before
    assert all(v.value == -12345.0 for v in kept.values())


def test_every_public_case_of_these_losses_is_here() -> None:
    assert len(CASES) >= 95
    assert {c["kind"] for c in CASES} <= {"value", "error"}
