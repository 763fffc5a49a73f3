# SPDX-License-Identifier: MIT
"""Every instruction set, every number of threads, every order: the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zlib
from itertools import count
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[i] / p) for i, p in ((0, ""), (1, ""), (1, "numeric"))]

import clib
import harness
import numpy as np
import pytest
import reference
import sample
from clib import lib
from harness import NAMES, same
from records import record
from reference import LOSSES

HERE = Path(__file__).parent


def isas() -> list[str]:
    found, i = [], 0
    while (name := lib.lossfn_isa_at(i)) is not None:
        found.append(name.decode())
        i += 1
    return found


STORED = HERE / "data" / "bits.json"


def ordinary_bits() -> dict[str, str]:
    """A digest of what each loss gives for inputs that are the same on every machine: numpy makes them without
    functions that a processor or a library rounds in its own way (where normal ones are accepted by an exp alone)."""
    out = {}
    for name in NAMES:
        shapes = ((5, 13), (1,), (3,), (64,), (300,))
        if LOSSES[name].unit == "row":
            shapes = ((40, 3), (5, 16), (4, 33), (3, 65), (2, 130), (1, 4097))
        for dtype in ("f32", "f64", "f16", "bf16"):
            rng = np.random.default_rng(zlib.crc32(f"{name} {dtype}".encode()))
            digest = hashlib.sha256()
            for shape in shapes:
                for soft in (False, True):
                    inputs = harness.tame(name, dtype, shape, rng, soft)
                    for reduction in ("none", "mean"):
                        got = clib.Loss(clib.spec(name, reduction=reduction)).run(*inputs)
                        for key, bits in sorted(got.bits().items()):
                            digest.update(key.encode() + bits)
            out[f"{name} {dtype}"] = digest.hexdigest()[:16]
    return out


def fingerprints() -> dict[str, str]:
    """A digest of everything that every loss gives over wild and tame inputs of many shapes."""
    out = {}
    for name in NAMES:
        entry = LOSSES[name]
        for dtype in ("f32", "f64", "f16", "bf16"):
            rng = np.random.default_rng(zlib.crc32(f"{name} {dtype}".encode()))
            compute = sample.FLOATS["f64" if dtype == "f64" else "f32"]
            for params in entry.params:
                digest = hashlib.sha256()
                fixed = {} if entry.unit == "row" else params
                made = []
                if entry.unit == "element":
                    n = harness.scaled(700)
                    columns = sample.elements(entry, compute, params, n, rng)
                    given = iter(columns)
                    made.append([None if k in params else clib.cast(next(given), dtype) for k in entry.inputs])
                    for shape in ((5, 13), (1,), (3,), (64,)):
                        tame = harness.tame(name, dtype, shape, rng)
                        made.append([None if k in params else x for k, x in zip(entry.inputs, tame, strict=True)])
                else:
                    for shape in (
                        (40, 2),
                        (40, 3),
                        (9, 7),
                        (5, 16),
                        (5, 17),
                        (4, 33),
                        (3, 64),
                        (3, 65),
                        (2, 130),
                        (2, 1000),
                        (33, 5),
                        (1, 4097),
                    ):
                        for soft in (False, True):
                            inputs = harness.tame(name, dtype, shape, rng, soft)
                            if entry.inputs["pred"] == reference.LOGITS and dtype in ("f32", "f64"):
                                inputs[0] = np.stack([sample.logits(rng, shape[1], compute) for _ in range(shape[0])])
                            made.append(inputs)
                for inputs in made:
                    options = reference.expand(params, inputs[0].shape[-1]) if entry.unit == "row" else fixed
                    for reduction in ("none", "mean"):
                        loss = clib.Loss(clib.spec(name, reduction=reduction, **options))
                        with np.errstate(all="ignore"):
                            got = loss.run(*inputs)
                        for key, bits in sorted(got.bits().items()):
                            digest.update(key.encode() + bits)
                out[f"{name} {dtype} {params}"] = digest.hexdigest()
    return out


def test_instruction_sets() -> None:
    """Each in a process of its own, LOSSFN_ISA naming it."""
    found = isas()
    print("instruction sets:", found)
    assert "baseline" in found
    record("isas", "isas", {"names": found})
    results = {}
    running = {
        isa: subprocess.Popen(
            [sys.executable, __file__], env=os.environ | {"LOSSFN_ISA": isa}, stdout=subprocess.PIPE, text=True
        )
        for isa in found
    }
    for isa, process in running.items():
        text, _ = process.communicate(timeout=900)
        assert process.returncode == 0, isa
        results[isa] = json.loads(text.splitlines()[-1])
        assert results[isa].pop("isa") == isa
    first = results[found[0]]
    assert len(first) > 4 * len(NAMES)
    for isa in found[1:]:
        different = [k for k in first if results[isa][k] != first[k]]
        assert not different, f"{isa} and {found[0]} differ: {different[:10]}"


def test_stored_bits() -> None:
    """A version gives the bits of the one before, on every machine. Where they are meant to change, or losses have come,
    write them anew before a release (python3 tests/conformance/test_determinism.py --store, with LOSSFN_LIBRARY); a
    change stands in CHANGELOG.md."""
    stored, now = json.loads(STORED.read_text()), ordinary_bits()
    different = [key for key, digest in stored.items() if now.get(key) != digest]
    assert stored and not different, f"{len(different)} of {len(stored)} differ from what is stored: {different[:10]}"


def test_impossible_instruction_set() -> None:
    code = "import clib\ntry:\n    clib.Loss('mse')\nexcept clib.Failure as e:\n    print(clib.lib.lossfn_isa().decode(), '|', e.message)"
    for isa in ("sse9", "AVX2 "):
        environment = os.environ | {"LOSSFN_ISA": isa, "PYTHONPATH": str(HERE.parent)}
        text = subprocess.run(
            [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
        ).stdout
        assert text.startswith("unsupported |"), text
        assert isa.strip() in text


@pytest.mark.parametrize("name", NAMES)
def test_threads(name: str) -> None:
    rng = np.random.default_rng(9)
    entry = LOSSES[name]
    n = harness.scaled(30000)
    shape = (n // 5, 5)
    for dtype in ("f32", "f64"):
        inputs = harness.tame(name, dtype, shape, rng)
        if entry.inputs["pred"] in ("real", "logits"):
            inputs[0] = (inputs[0] * np.exp2(rng.integers(-20, 3, shape))).astype(inputs[0].dtype)
        weight = rng.choice([0.0, 0.3, 1.7, 1e-6], shape[:1] if entry.unit == "row" else shape)
        for reduction in ("mean", "per_row", "none"):
            loss = clib.Loss(clib.spec(name, reduction=reduction))
            one = loss.run(*inputs, weight=weight)
            for threads in range(17) if harness.LONG else (0, 1, 2, 3, 8, 16):
                same(one, loss.run(*inputs, weight=weight, threads=threads), f"{threads} threads")


def placed(x: np.ndarray, at: int) -> np.ndarray:
    """The same numbers, `at` bytes beyond a multiple of 64."""
    room = np.empty(x.nbytes + 128, np.uint8)
    start = (at - room.ctypes.data) % 64
    out = room[start : start + x.nbytes].view(x.dtype).reshape(x.shape).view(type(x))
    out[...] = x
    assert out.ctypes.data % 64 == at
    return out


@pytest.mark.parametrize("name", NAMES)
def test_alignment(name: str) -> None:
    """Inputs, weights, masks and outputs at all places within 64 bytes: all the same one, and each another one."""
    rng = np.random.default_rng(13)
    row = LOSSES[name].unit == "row"
    for dtype, shape in (("f32", (3, 37)), ("f64", (5, 19)), ("f16", (2, 67)), ("bf16", (9, 13))):
        loss = clib.Loss(clib.spec(name, reduction="none"))
        inputs = harness.tame(name, dtype, shape, rng)
        unit = shape[:1] if row else shape
        options = {"weight": rng.choice([0.0, 0.5, 1.7], unit).astype(np.float32), "mask": rng.random(unit) < 0.8}
        whole = loss.run(*inputs, want="values grads hess", **options)
        size = inputs[0].itemsize
        for at in range(0, 64, size):
            for step in (0, 13):
                places = ((at + step * k) % 64 for k in count())
                put = lambda x: placed(x, next(places) // x.itemsize * x.itemsize)  # noqa: B023, E731
                outputs = {"values": whole.values, "hess": whole.hess}
                outputs = {k: put(clib.filled(x.shape, dtype)) for k, x in outputs.items() if x is not None}
                grads = {k: put(clib.filled(x.shape, dtype)) for k, x in whole.grads.items()}
                args, _ = loss.arguments(
                    *map(put, inputs), grads=grads, **outputs, **{k: put(x) for k, x in options.items()}
                )
                clib.check(lib.lossfn_run(loss.handle, clib.c.byref(args)))
                got = clib.Output(None, outputs["values"], grads, outputs.get("hess"))
                want = clib.Output(None, whole.values, whole.grads, whole.hess)
                same(want, got, f"{dtype} at {at}, {step} apart")


@pytest.mark.parametrize("name", NAMES)
def test_order_of_units(name: str) -> None:
    """Shuffled units give the same sums and mean; every unit its own bits, wherever it stands."""
    rng = np.random.default_rng(10)
    entry = LOSSES[name]
    for dtype in ("f32", "f64"):
        n = 1000
        inputs = harness.tame(name, dtype, (n, 3) if entry.unit == "row" else (n,), rng)
        if entry.inputs["pred"] in ("real", "logits"):
            inputs[0] = (inputs[0] * np.exp2(rng.integers(-60, 3, inputs[0].shape))).astype(inputs[0].dtype)
        loss = clib.Loss(name)
        one = loss.run(*inputs)
        for _ in range(4):
            order = rng.permutation(n)[:n]
            other = loss.run(*[x[order] for x in inputs])
            assert np.float64([one.value, one.sum]).tobytes() == np.float64([other.value, other.sum]).tobytes()
            assert one.values[order].tobytes() == other.values.tobytes()
            assert one.grads["pred"][order].tobytes() == other.grads["pred"].tobytes()
        bare = clib.Loss(clib.spec(name, reduction="none"))
        whole = bare.run(*inputs)
        for start, stop in ((0, 1), (1, 18), (500, 533), (999, 1000)):
            piece = bare.run(*[x[start:stop] for x in inputs])  # other alignment, other tail
            assert piece.values.tobytes() == whole.values[start:stop].tobytes()
            assert piece.grads["pred"].tobytes() == whole.grads["pred"][start:stop].tobytes()
            if whole.hess is not None:
                assert piece.hess.tobytes() == whole.hess[start:stop].tobytes()


if __name__ == "__main__":
    if "--store" in sys.argv:
        STORED.write_text(json.dumps(ordinary_bits(), indent=0) + "\n")
    elif "--to" in sys.argv:
        Path(sys.argv[-1]).write_text(json.dumps(fingerprints() | ordinary_bits(), indent=0))
    else:
        print(json.dumps(fingerprints() | {"isa": lib.lossfn_isa().decode()}))
