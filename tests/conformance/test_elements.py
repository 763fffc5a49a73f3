# SPDX-License-Identifier: MIT
"""Every unreduced value, gradient and Hessian lies within the loss's stated bound of the multi-precision reference."""

from __future__ import annotations

import json
import math
import zlib
from collections import defaultdict
from pathlib import Path
from typing import Any

import clib
import harness
import numpy as np
import pytest
import reference
import sample
from harness import NAMES, ulps
from mpmath import mpf
from records import record
from reference import LOSSES, Number

DATA = Path(__file__).parent.parent / "numeric" / "data"


def test_every_loss_has_a_reference() -> None:
    missing = [n for n in NAMES if n not in LOSSES]
    assert not missing, f"no entry in tests/numeric/formulas for {missing}"
    extra = [n for n in LOSSES if n not in NAMES]
    assert not extra, f"the library lost {extra}"
    assert len(NAMES) >= 21


@pytest.mark.parametrize("name", NAMES)
def test_description_fits_the_reference(name: str) -> None:
    """Inputs, unit and parameters have the same names on both sides."""
    info, entry = clib.describe(name), LOSSES[name]
    assert (info.unit == clib.UNIT_ROW) == (entry.unit == "row")
    assert [clib.describe_input(name, i).name.decode() for i in range(info.n_inputs)] == list(entry.inputs)
    learnable = {i for i in range(info.n_inputs) if clib.describe_input(name, i).learnable}
    assert {list(entry.inputs)[i] for i in learnable} == set(entry.learnable)
    params = {clib.describe_param(name, i).name.decode() for i in range(info.n_params)}
    assert set(entry.defaults) <= params, "the reference knows parameters that the library does not"
    assert params - set(entry.defaults) <= {"base", "labels"}, "the library has parameters without a reference"


def parse(x: Any) -> Number:
    """A result, or a result and its largest term."""
    one, largest = (mpf(x), mpf(0)) if isinstance(x, str) else map(mpf, x)
    return Number(one, max(abs(one), largest))


def stored(name: str, dtype: str) -> list[tuple[dict, list, list]]:
    """(params, units, results) of the committed file. A row of one class is told from a pair by its input."""
    groups = []
    for group in json.loads((DATA / f"{name}.{dtype}.json").read_text()):
        units, results = [], []
        for case in group["cases"]:
            units.append([one if isinstance(one, int) else [float.fromhex(x) for x in one] if isinstance(one, list) else float.fromhex(one) for one in case["in"]])  # fmt: skip
            lists = {n for n, x in zip(LOSSES[name].inputs, units[-1], strict=False) if isinstance(x, (list, int))}
            row, numbers = (
                isinstance(units[-1][0], list),
                {"value", *(set(LOSSES[name].inputs) - lists - set(group["params"]))},
            )
            out = {}
            for key, x in case.items():
                if key != "in":
                    out[key] = [parse(one) for one in x] if row and key not in numbers else parse(x)
            results.append(out)
        groups.append((group["params"], units, results))
    return groups


def fresh(name: str, dtype: str, n: int) -> list[tuple[dict, list, list]]:
    """The same, drawn now: other points than the stored ones."""
    entry = LOSSES[name]
    rng = np.random.default_rng(zlib.crc32(f"fresh {name} {dtype} {n}".encode()))
    groups = []
    for params in entry.params:
        if entry.unit == "row":
            units: list[Any] = sample.rows(entry, sample.FLOATS[dtype], params, max(8, n // 12), rng)
        else:
            columns = sample.elements(entry, sample.FLOATS[dtype], params, n, rng)
            units = [[float(c[i]) for c in columns] for i in range(n)]
            units = [u for u in units if sum(np.isinf(u[:2])) < 2]
        groups.append((params, units, [reference.evaluate(name, u, params) for u in units]))
    return groups


def batches(name: str, dtype: str, params: dict, units: list, results: list):
    """Units of one shape together: (loss, inputs for the library, indices)."""
    entry = LOSSES[name]
    shapes: dict[Any, list[int]] = defaultdict(list)
    for i, unit in enumerate(units):
        shapes[tuple("label" if isinstance(x, int) else len(x) if isinstance(x, list) else 1 for x in unit)].append(i)
    for key, at in shapes.items():
        options = reference.expand(params, key[0] if entry.unit == "row" else 0)
        loss = clib.Loss(clib.spec(name, reduction="none", **options))
        inputs: list[Any] = []
        given = [n for n in entry.inputs if n not in params]
        for input_name in entry.inputs:
            if input_name not in given:
                inputs.append(None)
                continue
            k = given.index(input_name)
            if k >= len(units[at[0]]):
                continue
            column = [units[i][k] for i in at]
            inputs.append(np.array(column, np.int64) if key[k] == "label" else clib.cast(np.array(column), dtype))
        yield loss, inputs, at


def compare(name: str, dtype: str, groups: list, least: int = 101) -> tuple[dict[str, float], int]:
    """The largest errors, and how many numbers were compared."""
    info, entry, worst = clib.describe(name), LOSSES[name], defaultdict(float)
    limits = {"value": info.ulp_value, "hess": info.ulp_hess}
    failures = []
    compared = 0
    digits = 1e-7  # ulps that 25 stored digits may be off
    for params, units, results in groups:
        for loss, inputs, at in batches(name, dtype, params, units, results):
            got = loss.run(*inputs, want="values grads hess")
            outputs = {"value": got.values, "hess": got.hess, **(got.grads or {})}
            for key, x in outputs.items():
                if x is None:
                    continue
                limit = limits.get(key, info.ulp_grad)
                for j, i in enumerate(at):
                    wants = results[i][key]
                    gots = x[j] if isinstance(wants, list) else [x[j]]
                    for c, (g, want) in enumerate(
                        zip(gots, wants if isinstance(wants, list) else [wants], strict=True)
                    ):
                        error = ulps(float(g), want, dtype)
                        if error > limit and key == "hess" and entry.inputs.get("target") == reference.REAL:
                            error = min(error, beside_the_kink(name, units[i], params, float(g), dtype))
                        compared += 1
                        worst[key] = max(worst[key], error)
                        if error > limit + digits:
                            failures.append(
                                f"{loss.text} {[h(u) for u in units[i]]} {key}[{c}] = {g!r}, not {mp_text(want)}: {error:.3g} ulp > {limit}"
                            )
    assert compared >= least
    assert not failures, f"{len(failures)} of {compared} beyond the bound\n" + "\n".join(failures[:12])
    return worst, compared


def h(x: Any) -> Any:
    return [h(one) for one in x] if isinstance(x, list) else x if isinstance(x, int) else float(x)


def mp_text(n: Number) -> str:
    return reference.mp.nstr(n.sum, 20)


def beside_the_kink(name: str, unit: list, params: dict, got: float, dtype: str) -> float:
    """The second derivative may belong to the rounded residual, which can lie on the other side of a kink."""
    with np.errstate(all="ignore"):
        r = float(sample.FLOATS[dtype](unit[0]) - sample.FLOATS[dtype](unit[1]))
    return ulps(got, reference.evaluate(name, [r, 0.0, *unit[2:]], params)["hess"], dtype) if np.isfinite(r) else np.inf


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("name", NAMES)
def test_stored(name: str, dtype: str) -> None:
    worst, _ = compare(name, dtype, stored(name, dtype))
    print(f"{name}.{dtype}: " + ", ".join(f"{k} {v:.2f}" for k, v in worst.items()))


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("name", NAMES)
def test_fresh(name: str, dtype: str) -> None:
    worst, compared = compare(name, dtype, fresh(name, dtype, harness.scaled(60)))
    print(f"{name}.{dtype}: " + ", ".join(f"{k} {v:.2f}" for k, v in worst.items()))
    record("accuracy", f"{name}.{dtype}", {"worst": worst, "compared": compared})


# What was beyond the bounds once, found by drawing more: cancellation near 1/2 and of large numbers, a quotient that
# overflowed, a weight of 0 times something infinite.
FOUND: list[tuple[str, dict[str, Any], list[Any]]] = [
    ("quality_focal", {"beta": 1}, [5.532259626128053e-31, 0.5]),
    ("quality_focal", {"beta": 1}, [-4.9842884675263197e-14, 0.5]),
    ("quality_focal", {"beta": 1.3}, [8.407790785948902e-45, 0.5]),
    ("student_t_nll", {"scale": 1, "full": True}, [-32033153024.0, -4.244925022125244, 2.1885226182392173e-18]),
    ("student_t_nll", {"scale": 1}, [1e-10, 0.0, 1.401298464324817e-45]),
    *(
        (name, {"class_weight": [1.0, 0.0, 2.0]}, [pred, [0.5, 0.25, 0.25]])
        for name, pred in (
            ("cross_entropy", [1.0, -np.inf, 2.0]),
            ("nll", [-1.0, -np.inf, -0.5]),
            ("categorical_cross_entropy", [0.25, 0.0, 0.75]),
        )
    ),
    ("mixture_density", {"full": True}, [[1.0, 0.5, -1.0], 0.0, [4100963434496.0, 0.25, -3.5], [2.0**-33, 1.0, 2.0]]),
    # a component whose share is subnormal and whose derivatives are not
    *(("mixture_density", {}, [[0.25, 0.0], 0.0, [0.0, x], [1.0, 2.0**-40]]) for x in (-760.0, -120.0)),
    # the same of densities
    *(("gumbel_nll", {}, [x * 2.0**-40, 0.0, 2.0**-40]) for x in (-735.0, -100.0)),
    ("crps_gaussian", {}, [38.0 * 2.0**-40, 0.0, 2.0**-40]),
    # exponentials beyond the type's range whose quotient by the scale is not, small and large; of aft_nll with the time
    # known, bounded below, bounded above and between bounds
    *(
        ("gumbel_nll", {}, [z * s, 0.0, s])
        for z, s in ((720.0, 1e30), (90.0, 1e30), (-1458.0, 1e-288), (1424.0, 6e161))
    ),
    ("crps_gaussian", {}, [-4.440461470071586e-307, 0.0, 2.751827518702744e-308]),
    *(
        ("aft_nll", {"distribution": distribution}, [z * 2.0**-40, *bounds, 2.0**-40])
        for distribution in ("normal", "logistic", "extreme")
        for z in (720.0, 735.0, -720.0, -735.0, 38.0, -38.0)
        for bounds in ((1.0, 1.0), (1.0, np.inf), (0.0, 1.0), (0.5, 1.0), (1.0, 2.0))
    ),
    *(
        ("aft_nll", {"distribution": "extreme"}, [-z * 1e30, *bounds, 1e30])
        for z in (720.0, 90.0)
        for bounds in ((1.0, 1.0), (1.0, np.inf))
    ),
    # what a quotient leaves where the scale is subnormal
    ("gumbel_nll", {}, [1.6177577262e-312, 0.0, 1.961248158e-314]),
    ("gumbel_nll", {}, [1.4503439105761857e-42, 0.0, 1.8216880036222622e-44]),
    ("logistic_nll", {}, [-2.7090599758962597e-38, 0.0, 2.474819204859416e-40]),
    ("aft_nll", {"distribution": "logistic"}, [-3.657107811138e-312, 0.0, 1.0, 2.995220395e-315]),
    *(("barron_nll", {}, [-8.711064003493472e-39, 0.0, 2.03125, s]) for s in (1.0840585049863217e-40, 5.4e-309)),
    ("lognormal_nll", {}, [-19058.072265625, 1.5609753132756767e-15, 3.290365556265933e23]),
    ("lognormal_nll", {}, [1e300, 0.75, 1.5e308]),
    # a prediction that is the logarithm of the time; bounds near to each other and far apart
    *(
        ("aft_nll", {"distribution": "logistic"}, [math.log(x), *bounds, 1e-7])
        for x in (2.0, 2.75)
        for bounds in ((x, x), (x, np.inf), (0.0, x), (x, 3.0))
    ),
    ("aft_nll", {}, [0.0008475311360933934, 0.04536702181295348, 0.04536707307868864, 195.37737507988237]),
    ("aft_nll", {"distribution": "extreme"}, [-1.5413481512258154, 0.011120744038506061, 0.011120760452281936, 3.0]),
    ("aft_nll", {"distribution": "logistic"}, [0.0, 1.0, 1.941505667496486e71, 0.23327724036199193]),
    ("aft_nll", {"distribution": "extreme"}, [1.8612056972883046e-31, 0.5, 1.0, 4.048532730231312e-32]),
    ("aft_nll", {"distribution": "extreme"}, [-8.087560376484864e-180, 0.5, 1.0, 1.3887016257847328e-180]),
    ("aft_nll", {}, [8.088605758932302e-220, 0.5, 1.0, 6.1466792381570495e-223]),
    ("aft_nll", {}, [-9.345362830007047e154, 97924822.44016519, np.inf, 6.31748473767928]),
    ("aft_nll", {}, [-0.35008328342539907, 0.4187021494538264, 1.2212796965438197, 1.0]),
    # where one form takes over from another one too early, and what overflows or underflows on the way
    ("tangent", {}, [1429299.3364772054, -1.0]),
    ("student_t_nll", {}, [1e-31, 0.0, 1.0, 3e-18]),
    ("student_t_nll", {}, [1e-22, 0.0, 1.0, 1e-45]),
    ("student_t_nll", {}, [100.0, 0.5, 1e-10, 3.4e14]),
    ("student_t_nll", {}, [1e20, 0.0, 1e-10, 1e38]),
    *(
        (name, {}, [-3.402823e38, other, scale, *df])
        for other, scale in ((2.25e32, 10.6), (3e38, 2.0), (3e38, 3e38))
        for name, df in (
            ("gumbel_nll", []),
            ("laplace_nll", []),
            ("logistic_nll", []),
            ("cauchy_nll", []),
            ("student_t_nll", [3.0]),
        )
    ),
    ("beta_nll", {}, [0.5, 0.75, 1e307]),
    ("beta_nll", {}, [-3.0, 0.25, 3e38]),
    # next to the residual where nothing is felt any more
    *(("andrews_wave", {"c": 1}, [math.nextafter(math.pi, x), rest]) for x in (0, 4) for rest in (0.0, 1e-17, -1e-17)),
    ("andrews_wave", {"c": 1.339}, [4.206592559, 0.0]),
    # rows: an intermediate that overflows; small probabilities beside a threshold; a target that is no distribution;
    # distributions that nearly agree, of which all classes are alike
    ("renyi_divergence", {"alpha": 0.1}, [[1.2e-281, 1.0], [0.5, 0.5]]),
    ("entmax15", {}, [[0.0, -0.807, -1.684, -1.312, -1.612], [0.0, 0.0, 0.0, 0.0, 0.125]]),
    ("sparsemax", {}, [[-0.125], [65536.0]]),
    *(("kl_div", {"log_target": True}, [[p] * 33, [math.log(p)] * 33]) for p in (43 / 128, 47 / 128)),
    *(("jensen_shannon", {}, [[p * (1 + e)] * 33, [p] * 33]) for p, e in ((30 / 512, 2.0**-23), (21 / 512, 2.0**-51))),
    # ln sum exp(pred) nearly 0 is all that counts, as the label's class has weight 0
    *(
        (name, {"z_loss": 0.25, "class_weight": "ramp"}, [[*pred], 3])
        for name, *pred in (
            ("cross_entropy", -8.88139533996582, -0.008697589859366417, -6.686336040496826, -4.916194438934326),
            ("cross_entropy", -4.710664769808407, -8.557570010049833, -1.9062641078163847, -0.17013918541133738),
            ("softcap_cross_entropy", -1.7895983, -0.18038562, -8.341854, -6.291608, -5.230761),
            ("softcap_cross_entropy", -10.61991903025016, -9.743976843237116, -0.01024095311438223, -4.581786169236676),
        )
    ),
    # 0 times infinity: a factor of 0 and the logarithm of 0, a target of which only the logarithm is a number, and
    # one that is too large for any
    ("logit_adjusted", {"prior": [1.0, 0.0], "tau": 0.0}, [[1.0, 2.0], 0]),
    ("logit_adjusted", {"prior": [1.0, 0.0, 3.0], "tau": 0.0}, [[1.0, 2.0, -1.0], [0.25, 0.25, 0.5]]),
    *(("kl_div", {"log_target": True}, [[0.0, 1.0], [x, 0.0]]) for x in (-2000.0, -250.0, -1e30)),
    *(("kl_div", {"log_pred": True, "log_target": True}, [[-np.inf, -1.0], [x, 0.0]]) for x in (-2000.0, -250.0)),
    *(("kl_div", {"log_pred": True, "log_target": True}, [[x, -1.0], [x, 0.0]]) for x in (2000.0, 250.0)),
    # the square of a probability is 0, and its product with a large slope is not
    *(("categorical_focal", {"gamma": 0.5}, [[x, 2.0670320987701416], 0]) for x in (60.61680603027344, 474.0)),
    # a class that never comes is the rarest
    *(
        ("ldam", {"class_count": [0.0, 16.0, x]}, [[0.5, 1.0, -1.0], t])
        for x in (0.0, 4.0)
        for t in (0, 1, [0.5, 0.25, 0.25])
    ),
    # a power that is 2 to float alone
    *(("tweedie_nll", {"power": power}, [0.5, 0.0]) for power in (1.99999999, 1 + 1 - 2.0**-52)),
    ("tweedie_nll", {"power": 1.99999999, "log_input": False}, [3.0, 0.0]),
    # a mean or a quotient by it that is subnormal
    *(
        (name, {"log_input": False}, [x, y])
        for name in ("gamma_nll", "inverse_gaussian_nll")
        for x, y in ((5e-324, 5e-324), (1e-45, 1e-45), (5e-309, 5e-309 + 5e-324))
    ),
    # what cancels of a count that is near to the mean of the distribution's other end
    *(("negative_binomial_nll", {"dispersion": a}, [z, 20000.0]) for a in (1, 0.75, 1.25) for z in (10.0, 3.0, 30.0)),
    # a mean beyond the type's range
    *(("negative_binomial_nll", {"dispersion": a}, [89.0, 2.0**122]) for a in (1, 0.75)),
    ("ramsay_e", {"a": 1e-309}, [3.0, 1.0]),  # its reciprocal is beyond any
    *(("negative_binomial_nll", {"dispersion": a}, [z, 3.0]) for a in (0, 2.0**-900) for z in (700.0, 400.0, 80.0)),
    # b next to nothing beside what is tolerated
    *(
        ("tolerant", {"a": a, "b": b}, [r, 0.0])
        for a, b, r in (
            (1, 1e-30, 0.5),
            (1, 1e-30, 2.0),
            (4, 1e-30, 2.0),
            (1, 1e-18, 2.0),
            (1, 1e-9, 2.0),
            (100, 1e-7, 20.0),
            (100, 1e-7, 3.0),
            (1, 1e-9, 1e6),
            (1, 1e-9, 1e12),
        )
    ),
    # q + 1 is rounded, and the power makes much of it
    *(
        ("dwd_margin", {"q": q}, [m, 1.0])
        for q, m in (
            (511.7657549526204, 1.0623541479806426),
            (31.43, 1.154),
            (15.940870762169029, 4.79464994936772),
            (0.3, 1.5),
            (1e-3, 2.0),
            (1e9 / 3, 1 + 1e-9),
        )
    ),
    *((name, {}, [1.0, 0.0, 1.0, s]) for name in ("barron", "barron_nll") for s in (1e-160, 1e-200, 1e-285)),
    # what single precision takes from a parameter, where 1 less that or a power counts
    *(
        (name, {"tau": tau}, [x, 0.5])
        for name in ("quantile", "expectile", "log_lin_quantile")
        for tau in (0.99, 0.9999999, 1 - 1e-8)
        for x in (1.0, -1.0)
    ),
    *(("lp", {"p": p}, [x, 0.0]) for p in (1.000001, 1 + 1e-9, 1.1, 0.7, 3.3) for x in (1e30, -3e-30, 3.0)),
    *(("sigmoid_focal", {"alpha": alpha}, [1.0, y]) for alpha in (0.99, 0.9999) for y in (0.0, 0.25, 1.0)),
    *(
        ("jensen_shannon", {"share": share}, [[0.14451525, 0.85548478], [0.8010957, 0.29376218]])
        for share in (0.999, 0.9999999)
    ),
    # 1 - clamp is another number when rounded
    *(
        ("binary_cross_entropy", {"clamp": clamp, **base}, [x, y])
        for clamp in (1e-7, 4e-8, 1e-17, 0.1)
        for base in ({}, {"base": 2})
        for x in (0.0, 1.0)
        for y in (0.0, 0.25, 1.0)
    ),
    *(
        ("categorical_cross_entropy", {"clamp": clamp}, [[1.0, 0.0, 0.5], t])
        for clamp in (1e-7, 4e-8, 0.1)
        for t in (0, 1, [0.5, 0.25, 0.25])
    ),
    # counts near what is predicted, whose terms grow with them
    *(
        ("poisson_nll", {"full": True, **how}, [x, y])
        for how, x, y in (
            ({}, 13.678635597229004, 872080.0),
            ({}, 2.25, 10.0),
            ({}, 0.75, 2.0),
            ({}, 1.5, 4.5),
            ({}, 60.0, 2.0**86),
            ({"log_input": False}, 2.4111714471510016e17, 2.4111716189496934e17),
            ({"log_input": False}, 1e6, 1e6),
            ({"log_input": False}, 3.0, 2.0),
            ({"log_input": False, "eps": 1e-8}, 1e-30, 0.0),
            ({"log_input": False, "eps": 1e-8}, 9.0, 10.0),
        )
    ),
    *(
        ("binomial_nll", {"full": True}, unit)
        for unit in (
            [0.0, 1e6, 1e6],
            [-13.8125, 1.0, 1e6],
            [13.8125, 1e6, 1.0],
            [0.5, 3.0, 2.0],
            [2.25, 1e5, 1e4],
            [-1.5, 0.25, 1.0],
            [-20.0, 1e4, 1e4],
        )
    ),
    # an exponential distribution, of which the logarithm of the time is not felt
    *(
        ("weibull_nll", {"full": True, "shape": k}, [z, y])
        for k in (1, 1.25, 3)
        for z, y in (
            (80.0, 0.871),
            (-1.0, 5.8e-41),
            (1.1674180030822754, 8.3e-20),
            (0.016848668, 0.13558577),
            (700.0, 1.5),
        )
    ),
    # counts of a large mean, between which and the mean's logarithm 1/m is felt
    *(
        ("zero_inflated_negative_binomial_nll", params, [z, y, 0.25])
        for params in ({}, {"dispersion": 1.5}, {"dispersion": 0.75})
        for z, y in ((5.0, 148.0), (7.0, 1000.0), (14.88, 2902170.0), (40.0, 2.0**57))
    ),
    # scales beside which the bounds are all alike
    *(
        ("aft_nll", {"distribution": distribution, "scale": scale}, [pred, 2.0, 3.0])
        for distribution in ("normal", "logistic", "extreme")
        for scale in (0.125, 100.0, 1e4, 1e8, 1e30)
        for pred in (0.25, 0.875, 0.8955, -40.0)
    ),
    *(
        ("one_vs_all_hinge", {"power": power, "margin": margin}, [[2.45e-11, -0.3, 0.9, -3.0], [0.25, 1.0, 0.0, 0.5]])
        for power in ("1", "2")
        for margin in (1, 1e10)
    ),
    # a class that neither distribution has
    *(
        (name, {"alpha": alpha}, [[0.5, 0.5, 0.0], [0.25, 0.75, 0.0]])
        for name in ("alpha_divergence", "tsallis_divergence", "renyi_divergence")
        for alpha in (0.1, 0.5, 1, 2, *((0, -1) if name == "alpha_divergence" else ()))
    ),
    # a likely class other than the one whose margin is large
    *(
        ("ldam", {"scale": 30, **how}, [[1.2739852310228346, 1.7840856763195005, -1.168931539642159], t])
        for how in ({}, {"class_count": [1.0, 16.0, 1e12]}, {"class_weight": [0.5, 1.0, 2.0]})
        for t in (0, 1, 2, [0.75, 0.0, 0.0])
    ),
]

# Numbers at the end of a type's range, whose sum, difference or product is beyond it, and a result is not. Only for types
# that hold them.
FOUND_FAR: list[tuple[str, dict[str, Any], list[Any]]] = [
    *(("negative_binomial_nll", {"dispersion": a}, [710.0, 1e306]) for a in (1, 0.75)),
    *(
        ("mixture_density", {"full": full}, [[0.0, x / 2], x, [0.0, 1.0], [1.0, 2.0]])
        for x in (1e200, -1.5e308, 1e38)
        for full in (False, True)
    ),
    *(("mixture_density", {}, [[0.0, 0.0], 1e200, [0.0, z], [1.0, s]]) for z, s in ((1.0, 1.0), (-np.inf, 4.0))),
    *(
        ("alpha_divergence", {"alpha": alpha}, [[x], [t]])
        for alpha in (0.5, 1, 0, 1.5, -2.5, 1.125)
        for x, t in ((1.0, 1.7e308), (1.7e308, 1.0), (1.3e307, 1e308), (1e308, 1.3e307), (1e-300, 1.7e308), (1e37, 3e38))
    ),
    *(
        ("poisson_nll", {"full": True, "log_input": log_input}, [z, y])
        for y in (1e308, 3e305, 1e306, 3e38, 4e36, 1e37)
        for z, log_input in ((3.0, True), (709.0, True), (708.3, True), (80.0, True), (-5.0, True), (3.0, False),
                             (1e308, False), (3e38, False))
    ),
    *(
        (name, {"log_input": False}, [3.0, y])
        for name in ("gamma_nll", "inverse_gaussian_nll")
        for y in (1.2e308, 2e38)
    ),
    *(("von_mises_nll", {}, [x, y, 2.0]) for x, y in ((1e308, -1e308), (-1.7e308, 1.5e308), (3e38, -3e38))),
    *(
        ("cross_entropy", params, [[-x, x, 0.0], t])
        for x in (1e308, 2e38)
        for params in ({}, {"base": 2}, {"label_smoothing": 0.125})
        for t in ([0.1, 0.9, 0.0], [0.25, 0.5, 0.25], 1)
    ),
    *(
        (name, params, [[-x, x, 0.0], t])
        for x in (1e308, 2e38)
        for name in ("categorical_focal", "poly1_cross_entropy", "symmetric_cross_entropy", "logit_adjusted")
        for params in ({}, {"class_weight": "ramp"}, *([{"prior": [0.5, 2.0, 0.0]}] if name == "logit_adjusted" else []))
        for t in ([0.1, 0.9, 0.0], [0.25, 0.75, 0.0], 1)
    ),
    *(
        (name, params, [x, -x])
        for x in (1e308, -1.5e308, 3e38)
        for name, params in (
            ("lp", {"p": 0.5}),
            ("lp", {"p": 0.9375}),
            ("lp", {"p": 1}),
            ("lp", {"p": 2}),
            ("pseudo_huber", {"delta": 1e-10}),
            ("pseudo_huber", {"delta": 1}),
            ("pseudo_huber", {"delta": 1e308}),
            ("balanced_l1", {"gamma": 0.25}),
            ("mase", {"scale": 1e10}),
            ("mase", {"scale": 0.5}),
        )
        if params.get("delta", 0) <= x or x > 1e300
    ),
    *(("gaussian_nll", {}, [x, -x, v]) for x, v in ((1e308, 1e308), (1.75e308, 1.79e308), (1e308, 1.0), (2e38, 3e38))),
    *(("smape", {}, pair) for x, y in ((5e-324, 1.7e308), (1e-45, 3e38)) for pair in ([x, y], [y, x], [-x, -y], [-x, y])),
    *(
        (name, {}, [[-x, x, x / 2], t])
        for x in (1e308, 2e38)
        for name, t in (
            ("crammer_singer", [0.25, 0.5, 0.25]),
            ("crammer_singer", 0),
            ("multiclass_perceptron", [0.25, 0.5, 0.25]),
            ("multi_margin", 0),
            ("multi_margin", [0.5, 0.25, 0.25]),
            ("multilabel_margin", [1.0, 0.0, 0.0]),
            ("multilabel_margin", [0.25, 0.5, 1.0]),
            ("multilabel_soft_margin", [1.0, 0.0, 0.0]),
            ("multilabel_soft_margin", [0.5, 0.25, 0.75]),
            ("distribution_focal", 0.875),
            ("distribution_focal", 1.0),
            ("crps_quantile", x),
            ("crps_quantile", -x),
        )
    ),
]  # fmt: skip


def holds(unit: list[Any], dtype: str) -> bool:
    """Whether nothing is beyond the type's range that was not infinite before."""
    flat = [x for one in unit for x in (one if isinstance(one, list) else [one])]
    return all(math.isinf(x) or abs(x) <= float(np.finfo(sample.FLOATS[dtype]).max) for x in flat)


def in_type(unit: list[Any], dtype: str) -> list[Any]:
    with np.errstate(over="ignore"):
        return [x if isinstance(x, int) else np.array(x, sample.FLOATS[dtype]).astype(float).tolist() for x in unit]


def has_scale(name: str, unit: list[Any]) -> bool:
    """Some scales are ones of double precision alone."""
    if "scale" not in LOSSES[name].inputs or not isinstance(unit[-1], float):
        return True
    return 0 < unit[-1] < math.inf


FOUND_IN_TYPE = [
    (name, params, in_type(unit, dtype), dtype)
    for name, params, unit in FOUND
    for dtype in sample.FLOATS
    if has_scale(name, in_type(unit, dtype))
] + [
    (name, params, in_type(unit, dtype), dtype)
    for name, params, unit in FOUND_FAR
    for dtype in sample.FLOATS
    if holds(unit, dtype)
]


@pytest.mark.parametrize(
    ("name", "params", "unit", "dtype"), FOUND_IN_TYPE, ids=lambda x: x if isinstance(x, str) else ""
)
def test_found(name: str, params: dict[str, Any], unit: list[Any], dtype: str) -> None:
    compare(name, dtype, [(params, [unit], [reference.evaluate(name, unit, params)])], least=3)


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
@pytest.mark.parametrize("name", NAMES)
def test_half(name: str, dtype: str) -> None:
    """Half precision is storage: half an ulp of it, and what single precision adds."""
    info, entry = clib.describe(name), LOSSES[name]
    rng = np.random.default_rng(zlib.crc32(f"{name} {dtype}".encode()))
    limits = {"value": info.ulp_value, "hess": info.ulp_hess}
    shape = (24, 6) if entry.unit == "row" else (harness.scaled(40),)
    worst: dict[str, float] = defaultdict(float)
    compared = 0
    for soft in (False, True):
        inputs = harness.tame(name, dtype, shape, rng, soft)
        if entry.unit == "element":
            pred = (
                clib.floats(inputs[0])
                if entry.inputs["pred"] == reference.PROBABILITY
                else clib.floats(inputs[0]) * np.exp2(rng.integers(-8, 3, shape))
            )
            inputs[0] = clib.cast(pred, dtype)
        if "alpha" in entry.inputs:
            inputs[2] = clib.cast(rng.choice([0.0, 0.5, 1.0, 1.5, 1.875], shape), dtype)
        columns = [v.tolist() if v.dtype == np.int64 else clib.floats(v).tolist() for v in inputs]
        units = [list(unit) for unit in zip(*columns, strict=True)]
        results = [reference.evaluate(name, unit) for unit in units]
        got = clib.Loss(clib.spec(name, reduction="none")).run(*inputs, want="values grads hess")
        for key, x in {"value": got.values, "hess": got.hess, **(got.grads or {})}.items():
            if x is None:
                continue
            assert clib.dtype_of(x) == dtype
            limit = harness.bound(limits.get(key, info.ulp_grad), "f32", dtype)
            exact = clib.floats(x)
            for i, (unit, wants) in enumerate(zip(units, results, strict=True)):
                want = wants[key]
                for c, w in enumerate(want if isinstance(want, list) else [want]):
                    g = float(exact[i][c] if isinstance(want, list) else exact[i])
                    error = ulps(g, w, dtype)
                    assert error <= limit, (unit, key, g, mp_text(w))
                    worst[key], compared = max(worst[key], error), compared + 1
    record("accuracy", f"{name}.{dtype}", {"worst": worst, "compared": compared})


@pytest.mark.parametrize("name", NAMES)
def test_mirror(name: str) -> None:
    """Losses of the residual alone: bit for bit even where declared symmetric, and grad_target = -grad_pred."""
    info = clib.describe(name)
    if not info.traits & clib.TRAITS["distance"]:
        return
    rng = np.random.default_rng(5)
    loss = clib.Loss(clib.spec(name, reduction="none"))
    for dtype in ("f32", "f64"):
        pred, target = (sample.reals(rng, 400, sample.FLOATS[dtype]) for _ in range(2))
        rest = [
            None if clib.describe_input(name, i).learnable else np.exp(rng.normal(size=400)).astype(pred.dtype)
            for i in range(2, info.n_inputs)
        ]
        with np.errstate(all="ignore"):
            out, swapped = loss.run(pred, target, *rest), loss.run(target, pred, *rest)
        np.testing.assert_array_equal(out.grads["target"], -out.grads["pred"])
        if info.traits & clib.TRAITS["symmetric"]:
            np.testing.assert_array_equal(out.values, swapped.values)
            np.testing.assert_array_equal(out.hess, swapped.hess)
