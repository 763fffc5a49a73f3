# SPDX-License-Identifier: MIT
"""Arrays of any kind, drawn: each call gives the bits of contiguous copies, or fails with an error of ours that writes nothing."""

import os

import lossfn
import numpy as np
import pytest

LONG = bool(os.environ.get("LOSSFN_TEST_LONG"))
CALLS = int(300 * float(os.environ.get("LOSSFN_TEST_BUDGET", "20" if LONG else "1")))
FLOATS = ("f8", "f4", "f2", ">f8", ">f4")
OTHERS = ("i1", "i2", ">i4", "i8", "u1", "u8", "?", "c8", "U3", "O", "M8[s]", "f16")
LOSSES = ("mse", "huber", "bce_with_logits", "cross_entropy", "hinge", "poisson_nll", "kl_div")


def laid(x, rng):
    """The same numbers, in memory in any order, with any steps, where nothing need be aligned, or not in an array."""
    how = rng.integers(8) if x.ndim else 7
    if how == 0:
        return np.asfortranarray(x)
    if how == 1:
        return np.repeat(x, 3, axis=-1)[..., ::3]
    if how == 2:
        return x[::-1].copy()[::-1]
    if how == 3:
        room = np.zeros(x.nbytes + 1, np.uint8)
        out = np.frombuffer(room.data, x.dtype, x.size, offset=1).reshape(x.shape)
        out[...] = x
        return out
    if how == 4 and x.dtype.isnative and x.dtype.kind in "fiu":
        return memoryview(np.ascontiguousarray(x))
    if how == 5 and x.dtype == np.float64:
        return x.tolist()
    if how == 6:
        x = x.copy()
        x.flags.writeable = False
    return x


def drawn(shape, rng):
    dtype = str(rng.choice(OTHERS)) if rng.random() < 0.1 else str(rng.choice(FLOATS))
    if rng.random() < 0.1:
        shape = shape[:-1] if rng.random() < 0.5 else (*shape, 1)
    with np.errstate(all="ignore"):
        return rng.integers(0, 2, shape).astype(dtype)


@pytest.mark.parametrize("name", LOSSES)
def test_any_arrays(name):
    rng = np.random.default_rng(len(name))
    good = bad = 0
    for _ in range(CALLS):
        shape = tuple(rng.choice([1, 2, 3, 5, 8], rng.integers(1, 4)))
        given = [drawn(shape, rng) for _ in range(2)]
        out = np.full(shape, 7.0, rng.choice(["f8", "f4"]))
        if rng.random() < 0.1:
            out = laid(out, rng)
        options = {"weight": drawn(shape, rng)} if rng.random() < 0.2 else {}
        before = memoryview(out).tobytes() if isinstance(out, (np.ndarray, memoryview)) else None
        try:
            laid_out = {k: laid(x, rng) for k, x in options.items()}
            got = getattr(lossfn, name).value_and_grad(*[laid(x, rng) for x in given], grad_out=out, **laid_out)
        except (lossfn.Error, TypeError, ValueError, BufferError):
            bad += 1
            assert before is None or memoryview(out).tobytes() == before
            continue
        plain = [np.array(x, x.dtype.newbyteorder("="), order="C") for x in (*given, *options.values())]
        again = np.full(shape, 7.0, out.dtype if isinstance(out, np.ndarray) else out.format)
        want = getattr(lossfn, name).value_and_grad(*plain[:2], grad_out=again, **dict(zip(options, plain[2:])))
        assert np.float64(got[0]).tobytes() == np.float64(want[0]).tobytes()
        assert memoryview(out).tobytes() == again.tobytes()
        good += 1
    assert good > CALLS / 20 and bad > CALLS / 50
