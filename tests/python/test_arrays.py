# SPDX-License-Identifier: MIT
"""What may be passed, and what comes back."""

import array
import ctypes
import os
import subprocess
import sys

import lossfn
import numpy as np
import pytest

FLOATS = [np.float64, np.float32, np.float16]
INTEGERS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]


@pytest.mark.parametrize("dtype", FLOATS)
def test_float_dtypes(dtype):
    pred, target = np.array([1, 2, 4], dtype), np.array([1, 2, 3], dtype)
    value, grad, hess = lossfn.mse.value_grad_hess(pred, target)
    assert value == pytest.approx(1 / 3, rel=1e-7)
    assert grad.dtype == dtype and hess.dtype == dtype
    np.testing.assert_allclose(grad, np.array([0, 0, 2 / 3], dtype), rtol=1e-3)
    values = lossfn.mse(pred, target, reduction="none")
    assert values.dtype == (np.float64 if dtype is np.float64 else np.float32)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_label_dtypes(dtype, rng):
    logits = rng.normal(size=(4, 3)).astype(np.float32)
    labels = np.array([0, 2, 1, 1])
    assert lossfn.cross_entropy(logits, labels.astype(dtype)) == lossfn.cross_entropy(logits, labels)


def test_float_and_bool_labels(rng):
    logits = rng.normal(size=(4, 2))
    labels = np.array([0, 1, 1, 0])
    assert lossfn.cross_entropy(logits, labels.astype(np.float32)) == lossfn.cross_entropy(logits, labels)
    assert lossfn.cross_entropy(logits, labels.astype(bool)) == lossfn.cross_entropy(logits, labels)


def test_bfloat16():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    pred = np.array([1, 2, 4], ml_dtypes.bfloat16)
    value, grad = lossfn.mse.value_and_grad(pred, np.array([1, 2, 3], np.float32))
    assert value == pytest.approx(1 / 3, rel=1e-7)
    assert grad.dtype == ml_dtypes.bfloat16
    assert float(grad[2]) == float(ml_dtypes.bfloat16(2 / 3))
    out = np.zeros(3, ml_dtypes.bfloat16)
    assert lossfn.mse.grad(pred, [1, 2, 3], grad_out=out) is out
    assert (out == grad).all()


def packed(values):
    """In a record behind one byte: unaligned, with a stride that its items do not measure."""
    record = np.zeros(len(values), np.dtype([("first", np.uint8), ("second", values.dtype)]))
    record["second"] = values
    return record["second"]


def test_bfloat16_without_alignment():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    pred = np.array([1, 2, 4], ml_dtypes.bfloat16)
    unaligned = np.frombuffer(b"\0" + pred.tobytes(), np.uint8)[1:].view(pred.dtype)
    for seen in (packed(pred), packed(pred)[::-1][::-1], unaligned):
        assert (lossfn.mse.grad(seen, [1, 2, 3]) == lossfn.mse.grad(pred, [1, 2, 3])).all()
    with pytest.raises(lossfn.DTypeError, match=r"grad_out has dtype bfloat16; an output is .* aligned"):
        lossfn.mse.grad(pred, pred, grad_out=packed(pred))


def test_other_small_floats():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for dtype in (ml_dtypes.float8_e5m2, ml_dtypes.float8_e4m3fn, ml_dtypes.int4):
        with pytest.raises(lossfn.DTypeError, match=f"pred has dtype {np.dtype(dtype)}"):
            lossfn.mse(np.zeros(3, dtype), np.zeros(3))


VIEWS = {
    "reversed": lambda a: a[::-1, ::-1],
    "every other": lambda a: np.repeat(np.repeat(a, 2, 0), 3, 1)[::2, ::3],
    "transposed": lambda a: np.asfortranarray(a),
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
    "of a record": lambda a: np.rec.fromarrays([a, a.astype(np.int8)], names="x,y").x,
    "unaligned": lambda a: np.frombuffer(b"\0" + a.tobytes(), np.uint8)[1:].view(a.dtype).reshape(a.shape),
    "foreign byte order": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    "memoryview": lambda a: memoryview(a),
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_layouts(view, dtype, rng):
    pred, target = rng.normal(size=(2, 5, 4)).astype(dtype)
    seen = VIEWS[view](pred)
    copy = np.array(seen, dtype=dtype)
    value, grad = lossfn.huber.value_and_grad(seen, target)
    expected, expected_grad = lossfn.huber.value_and_grad(copy, target)
    assert value == expected
    np.testing.assert_array_equal(grad, expected_grad)


def test_shapes():
    assert lossfn.mse(1.0, 3.0) == 4.0
    assert lossfn.mse(np.float32(1), np.float64(3)) == 4.0
    assert lossfn.mse(1, 3) == 4.0
    assert lossfn.mse.grad(np.float64(1), 3.0).shape == ()
    assert np.isnan(lossfn.mse(np.empty((0, 3)), np.empty((0, 3))))
    assert lossfn.mse.grad(np.empty((0, 3)), np.empty((0, 3))).shape == (0, 3)
    deep = np.ones((2,) * 8)
    assert lossfn.mse(deep, 0 * deep) == 1
    with pytest.raises(lossfn.ShapeError, match="pred has 9 dimensions, at most 8"):
        lossfn.mse(np.ones((2,) * 9), np.ones((2,) * 9))


def test_lists_and_whole_numbers():
    assert lossfn.mse([1, 2, 4], [1, 2, 3]) == 1 / 3
    assert lossfn.mse((1, 2.5), [1, 2]) == 0.125
    assert lossfn.mse(range(3), [0, 1, 5]) == 3.0
    assert lossfn.mse(np.array([1, 2, 4]), np.array([1, 2, 3])) == 1 / 3
    assert lossfn.mse.grad([1, 2, 4], [1, 2, 3]).dtype == np.float64
    assert lossfn.cross_entropy([[0.0, 0.0]], [1]) == pytest.approx(np.log(2))
    with pytest.raises(lossfn.DTypeError, match="swapped"):
        lossfn.mse(np.array([1, 2, 4]), np.array([1.0, 2.0, 3.0]))
    assert lossfn.mse([1, 2, 4], [1.0, 2.0, 3.0]) == 1 / 3, "a list has no dtype to be swapped"


def test_weights():
    pred, target = np.arange(6.0).reshape(3, 2), np.zeros((3, 2))
    square = pred**2
    w = np.array([1, 0, 3])
    expected = (square * w[:, None]).sum() / (w.sum() * 2)
    assert lossfn.mse(pred, target, weight=w[:, None]) == pytest.approx(expected, rel=1e-15)
    assert lossfn.mse(pred, target, sample_weight=w) == pytest.approx(expected, rel=1e-15)
    assert lossfn.mse(pred, target, sample_weight=[1, 0, 3]) == pytest.approx(expected, rel=1e-15)
    assert lossfn.mse(pred, target, weight=2.0) == lossfn.mse(pred, target)
    assert lossfn.mse(pred, target, weight=None, mask=None) == lossfn.mse(pred, target)
    assert lossfn.mse(pred, target, mask=[[True], [False], [True]]) == pytest.approx((0 + 1 + 16 + 25) / 4)
    with pytest.raises(lossfn.ShapeError, match=r"\(3, 1\) for one per row"):
        lossfn.mse(pred, target, weight=w)
    with pytest.raises(lossfn.ShapeError, match="pred has 3 samples along axis 0"):
        lossfn.mse(pred, target, sample_weight=[1, 2])
    with pytest.raises(lossfn.ArgumentError, match="weight and sample_weight are both given"):
        lossfn.mse(pred, target, weight=1.0, sample_weight=w)


def test_sample_weight_of_rows(rng):
    logits, labels = rng.normal(size=(4, 3, 2)), rng.integers(0, 3, (4, 2))
    w = rng.random(4)
    by_row = lossfn.cross_entropy(logits, labels, axis=1, weight=np.repeat(w[:, None], 2, 1))
    assert lossfn.cross_entropy(logits, labels, axis=1, sample_weight=w) == by_row


def test_names_of_inputs():
    assert lossfn.mse(y_pred=[1, 2], y_true=[1, 4]) == 2
    assert lossfn.mse([1, 2], target=[1, 4]) == 2
    g = lossfn.gaussian_nll.grad([1.0], [2.0], var=np.array([2.0]))
    assert g.var.shape == (1,)


def test_wrt():
    pred, target = np.array([1.0, 2.0]), np.array([0.0, 5.0])
    one, other = np.zeros(2), np.zeros(2)
    turned = lossfn.mse.grad(pred, target, wrt=("target", "pred", "target"), grad_out=(one, other))
    assert turned._fields == ("target", "pred"), "in the order that was asked for"
    assert turned[0] is one and turned[1] is other
    np.testing.assert_array_equal(one, lossfn.mse.grad(pred, target, wrt="target"))
    np.testing.assert_array_equal(other, lossfn.mse.grad(pred, target))
    np.testing.assert_array_equal(lossfn.mse.grad(pred, target, wrt="target"), [-1, 3])
    both = lossfn.mse.grad(pred, target, wrt=("pred", "target"))
    np.testing.assert_array_equal(both.pred, -both.target)
    assert lossfn.mse.grad(pred, target, wrt=("pred",))._fields == ("pred",)
    with pytest.raises(lossfn.ArgumentError, match="mse has no input 'scale'"):
        lossfn.mse.grad(pred, target, wrt="scale")


def test_learnable_parameters():
    pred, target = np.array([0.5, 3.0]), np.zeros(2)
    constant = lossfn.barron.grad(pred, target, alpha=1.0, scale=2.0)
    assert isinstance(constant, np.ndarray)
    g = lossfn.barron.grad(pred, target, alpha=np.array(1.0), scale=np.array([2.0, 2.0]))
    assert g._fields == ("pred", "alpha", "scale")
    assert g.alpha.shape == () and g.scale.shape == (2,)
    np.testing.assert_array_equal(g.pred, constant)


def test_outputs():
    pred, target = np.array([1.0, 2.0, 4.0], np.float32), np.array([1.0, 2.0, 3.0], np.float32)
    grad, hess, values = np.zeros(3, np.float32), np.zeros(3), np.zeros(6)[::2]
    value, g, h = lossfn.mse.value_grad_hess(pred, target, grad_out=grad, hess_out=hess, out=values)
    assert value == lossfn.mse(pred, target) and g is grad and h is hess
    np.testing.assert_array_equal(values, [0, 0, 1])
    np.testing.assert_array_equal(grad, lossfn.mse.grad(pred, target))
    assert lossfn.mse(pred, target, reduction="none", out=values) is values
    in_place = pred.copy()
    assert lossfn.mse.grad(in_place, target, grad_out=in_place) is in_place
    np.testing.assert_array_equal(in_place, grad)


def test_outputs_refused():
    pred, target = np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0])
    frozen = np.zeros(3)
    frozen.flags.writeable = False
    for out, error, text in [
        (frozen, lossfn.ArgumentError, "grad_out is read-only"),
        (bytes(24), lossfn.ArgumentError, "an output is a writable array"),
        ([0.0] * 3, lossfn.ArgumentError, "grad_out is a list"),
        (np.zeros(3, complex), lossfn.DTypeError, "dtype complex128"),
        (np.zeros(3, ">f8"), lossfn.DTypeError, "native byte order"),
        (np.zeros(3, int), lossfn.DTypeError, "int64"),
        (np.zeros(2), lossfn.ShapeError, r"\(2,\)"),
        (np.concatenate([pred, pred])[1:4], None, None),
    ]:
        if error is None:
            lossfn.mse.grad(pred, target, grad_out=out)
            continue
        with pytest.raises(error, match=text):
            lossfn.mse.grad(pred, target, grad_out=out)
    both = np.arange(5.0)
    with pytest.raises(lossfn.AliasError):
        lossfn.mse.grad(both[:3], target, grad_out=both[1:4])
    np.testing.assert_array_equal(both, np.arange(5.0))


def test_several_outputs():
    pred, target, var = np.array([1.0, 2.0]), np.zeros(2), np.ones(2)
    out = np.zeros(2)
    g = lossfn.gaussian_nll.grad(pred, target, var, grad_out=(None, out))
    assert g.var is out and g.pred is not None
    with pytest.raises(lossfn.ArgumentError, match="2 gradients need a sequence of 2 arrays"):
        lossfn.gaussian_nll.grad(pred, target, var, grad_out=(out,))


def test_bad_arrays():
    good = np.zeros(2)
    for bad, error, text in [
        (np.zeros(2, complex), lossfn.DTypeError, "pred has dtype complex128"),
        (np.zeros(2, np.longdouble), lossfn.DTypeError, "pred has dtype"),
        (np.array(["a", "b"]), lossfn.DTypeError, "pred has dtype <U1"),
        (np.array([None, 1]), lossfn.DTypeError, "dtype object"),
        (np.zeros(2, "datetime64[s]"), lossfn.DTypeError, "datetime64"),
        ("text", lossfn.DTypeError, "from a str"),
        ({}, lossfn.DTypeError, "from a dict"),
        ([[1, 2], [3]], lossfn.ShapeError, "pred is no array of numbers"),
        (object(), lossfn.DTypeError, "from a object"),
    ]:
        with pytest.raises(error, match=text):
            lossfn.mse(bad, good)


def test_masked_arrays():
    """Their buffer says nothing of the mask: they are refused, unless nothing is masked."""
    plain, masked = np.ma.array([1.0, 3.0]), np.ma.array([1.0, 100.0], mask=[False, True])
    assert lossfn.mse(plain, np.zeros(2)) == 5
    assert lossfn.mse(masked.data, np.zeros(2), mask=~masked.mask) == 1
    for call in (
        lambda: lossfn.mse(masked, np.zeros(2)),
        lambda: lossfn.mse(np.zeros(2), masked),
        lambda: lossfn.mse(np.zeros(2), np.zeros(2), weight=masked),
        lambda: lossfn.huber.rho(masked),
        lambda: lossfn.mse.grad(np.zeros(2), np.zeros(2), grad_out=masked),
    ):
        with pytest.raises(lossfn.ArgumentError, match="is a masked array"):
            call()


def test_choices_that_are_numbers():
    for power in (2, 2.0, "2", np.int64(2)):
        assert lossfn.create("multi_margin", power=power) == lossfn.create("multi_margin(power=2)")


def test_pandas():
    pandas = pytest.importorskip("pandas")
    series = pandas.Series([1.0, 2.0, 4.0])
    assert lossfn.mse(series, pandas.Series([1, 2, 3])) == 1 / 3
    frame = pandas.DataFrame({"a": [0.0, 1.0], "b": [2.0, 0.0]})
    assert lossfn.cross_entropy(frame, pandas.Series([0, 1])) > 0
    with pytest.raises(lossfn.DTypeError, match="object"):
        lossfn.mse(pandas.Series([1, None, 2], dtype="object"), series)


def test_standard_library_arrays():
    assert lossfn.mse(array.array("d", [1, 2, 4]), array.array("f", [1, 2, 3])) == 1 / 3
    out = array.array("d", bytes(24))
    assert lossfn.mse.grad(array.array("d", [1, 2, 4]), [1, 2, 3], grad_out=out) is out
    assert list(out) == pytest.approx([0, 0, 2 / 3])


def test_arrays_of_ctypes():
    """Their buffers tell no strides, though they are asked for."""
    out, table = (ctypes.c_double * 3)(), ((ctypes.c_float * 2) * 3)
    assert lossfn.mse.grad((ctypes.c_double * 3)(1, 2, 4), (ctypes.c_int32 * 3)(1, 2, 3), grad_out=out) is out
    assert list(out) == pytest.approx([0, 0, 2 / 3])
    rows = table((1, 2), (3, 4), (5, 6))
    assert lossfn.cross_entropy(rows, (ctypes.c_uint8 * 3)(0, 1, 1)) == lossfn.cross_entropy(np.array(rows), [0, 1, 1])
    assert lossfn.mse((ctypes.c_float * 0)(), (ctypes.c_float * 0)(), empty="zero") == 0
    assert lossfn.mse(ctypes.c_double(1), ctypes.c_float(3)) == 4


# ---- DLPack --------------------------------------------------------------------------------------------------------


class DLTensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


DELETER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Managed(ctypes.Structure):
    _fields_ = [("tensor", DLTensor), ("context", ctypes.c_void_p), ("deleter", DELETER)]


class Versioned(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", DELETER),
        ("flags", ctypes.c_uint64),
        ("tensor", DLTensor),
    ]


new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.restype = ctypes.py_object
new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


class Exporter:
    """An array that offers nothing but DLPack."""

    def __init__(
        self, values, *, code=2, bits=None, versioned=True, major=1, flags=0, device=1, offset=0, strides=None
    ):
        self.values, self.deleted, self.exported = values, 0, 0
        self.versioned, self.device = versioned, device
        self.bits = bits or values.itemsize * 8
        self.shape = (ctypes.c_int64 * values.ndim)(*values.shape)
        self.strides = (ctypes.c_int64 * values.ndim)(*(strides or [s // values.itemsize for s in values.strides]))
        self.deleter = DELETER(self.count)
        tensor = DLTensor(
            values.ctypes.data - offset, device, 0, values.ndim, code, self.bits, 1, self.shape, self.strides, offset
        )
        if versioned:
            self.managed = Versioned(major, 0, None, self.deleter, flags, tensor)
        else:
            self.managed = Managed(tensor, None, self.deleter)

    def count(self, _):
        self.deleted += 1

    def __dlpack_device__(self):
        return (self.device, 0)

    def __dlpack__(self, **options):
        if options and not self.versioned:
            raise TypeError("__dlpack__() got an unexpected keyword argument 'max_version'")
        assert not self.versioned or options == {"max_version": (1, 0)}
        self.exported += 1
        name = b"dltensor_versioned" if self.versioned else b"dltensor"
        return new_capsule(ctypes.addressof(self.managed), name, None)


@pytest.mark.parametrize("versioned", [True, False])
def test_dlpack(versioned):
    pred = Exporter(np.array([1.0, 2.0, 4.0], np.float32), versioned=versioned)
    target = Exporter(np.array([1, 2, 3]), code=0, versioned=versioned, offset=8)
    assert lossfn.mse(pred, target) == 1 / 3
    assert (pred.deleted, target.deleted) == (1, 1)
    with pytest.raises(lossfn.ShapeError):
        lossfn.mse(pred, np.zeros(4))
    assert pred.deleted == pred.exported == 2


def test_dlpack_strides_and_halves():
    values = np.arange(12, dtype=np.float64).reshape(3, 4)
    assert lossfn.mse(Exporter(values[:, ::2]), np.zeros((3, 2))) == (values[:, ::2] ** 2).mean()
    words = np.array([0x3F80, 0x4000, 0x4080], np.uint16)  # 1, 2, 4 in bfloat16
    assert lossfn.mse(Exporter(words, code=4), [1.0, 2.0, 3.0]) == 1 / 3
    half = np.array([1, 2, 4], np.float16)
    assert lossfn.mse(Exporter(half), [1.0, 2.0, 3.0]) == 1 / 3
    assert lossfn.mse([1.0, 2.0], [1.0, 3.0], mask=Exporter(np.array([True, False]), code=6, bits=8)) == 0


@pytest.mark.parametrize("versioned", [True, False])
def test_dlpack_output(versioned):
    out = Exporter(np.zeros(3), versioned=versioned)
    assert lossfn.mse.grad([1.0, 2.0, 4.0], [1.0, 2.0, 3.0], grad_out=out) is out
    np.testing.assert_allclose(out.values, [0, 0, 2 / 3])
    assert out.deleted == 1


def test_dlpack_refused():
    values = np.zeros(3)
    frozen = Exporter(values, flags=1)
    with pytest.raises(lossfn.ArgumentError, match="grad_out is read-only"):
        lossfn.mse.grad(values, values, grad_out=frozen)
    assert frozen.deleted == frozen.exported
    future = Exporter(values, major=2)
    with pytest.raises(lossfn.UnsupportedError, match="DLPack 2"):
        lossfn.mse(future, values)
    assert future.deleted == 1
    with pytest.raises(lossfn.DeviceError, match=r"pred lives on CUDA device 0.*\.cpu\(\)"):
        lossfn.mse(Exporter(values, device=2), values)
    with pytest.raises(lossfn.DTypeError, match="type code 5 with 64 bits"):
        lossfn.mse(Exporter(values, code=5), values)
    traced = Exporter(values)
    traced.requires_grad = True
    with pytest.raises(lossfn.ArgumentError, match=r"pass pred\.detach\(\)"):
        lossfn.mse(traced, values)

    class NotACapsule(Exporter):
        def __dlpack__(self, **options):
            return 1

    with pytest.raises(lossfn.ArgumentError, match="did not return a DLPack capsule"):
        lossfn.mse(NotACapsule(values), values)

    class Raises(Exporter):
        def __dlpack__(self, **options):
            raise BufferError("not now")

    with pytest.raises(BufferError, match="not now"):
        lossfn.mse(Raises(values), values)

    class Converted(Raises):
        def __array__(self, dtype=None, copy=None):
            return np.array([1.0, 2.0, 3.0])

    class WithoutDLPack(Converted):
        __dlpack__ = None

    for kind in (Converted, WithoutDLPack):
        assert lossfn.mse(kind(values), [1.0, 2.0, 6.0]) == 3
    with pytest.raises(BufferError, match="not now"):
        lossfn.mse.grad(values, values, grad_out=Converted(values))

    for place in ("CPU", ("CPU", 0), (1,)):

        class Nowhere(Exporter):
            def __dlpack_device__(self, place=place):
                return place

        with pytest.raises(lossfn.ArgumentError, match=r"pred: __dlpack_device__ did not return \(type, id\)"):
            lossfn.mse(Nowhere(values), values)


# ---- Without NumPy -------------------------------------------------------------------------------------------------

WITHOUT_NUMPY = r"""
import sys
sys.modules["numpy"] = None
import array, lossfn
assert lossfn.mse([1, 2, 4], [1, 2, 3]) == 1 / 3
value, grad = lossfn.mse.value_and_grad([[1.0, 2.0], [3.0, 4.0]], [[1, 2], [3, 5]])
assert value == 0.25 and grad.tolist() == [[0, 0], [0, -0.5]], (value, grad)
assert lossfn.mse(array.array("i", [1, 2]), array.array("i", [1, 4])) == 2
assert lossfn.mse([1.0, 2.0], [1.0, 4.0], reduction="none").tolist() == [0, 4]
assert lossfn.mse.grad(array.array("f", [1, 2]), [1.0, 4.0]).typecode == "f"
assert lossfn.mse(1.0, 3.0) == 4.0
assert lossfn.mse.grad(1.0, 3.0).tolist() == -4.0
assert lossfn.cross_entropy([[0.0, 0.0]], [1], class_weight=[1, 2]) > 0
assert lossfn.mse([], []) != lossfn.mse([], [])
g = lossfn.gaussian_nll.grad([1.0], [2.0], [1.0])
assert g.pred.tolist() == [-1.0], g
for bad, error in [([[1], [2, 3]], lossfn.ShapeError), ("ab", lossfn.DTypeError), (object(), lossfn.DTypeError)]:
    try:
        lossfn.mse(bad, [1.0])
    except error as caught:
        assert "pred" in str(caught)
    else:
        raise AssertionError(bad)
try:
    lossfn.mse.grad([1.0], [1.0], grad_out=bytes(8))
except lossfn.ArgumentError as caught:
    assert "read-only" in str(caught)
def fn(pred, target):
    return [(p - t) ** 2 for p, t in zip(pred, target)], [2 * (p - t) for p, t in zip(pred, target)]
assert lossfn.custom(fn).value_and_grad([1.0, 2.0], [1.0, 4.0])[0] == 2
acc = lossfn.Accumulator("mse"); acc.update([1.0], [3.0]); assert acc.value() == 4
assert "<svg" in lossfn.plot("huber", "cross_entropy").svg
print("fine")
"""


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, timeout=120)


def test_without_numpy():
    done = run_python(WITHOUT_NUMPY)
    assert done.stdout == "fine\n", done.stderr
