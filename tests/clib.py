# SPDX-License-Identifier: MIT
"""A thin and faithful ctypes view of lossfn.h: the tests talk to the C library and to nothing else.

The library is LOSSFN_LIBRARY, or the release build. Arrays are numpy's; bf16, which numpy lacks, is uint16 in a BF16.
"""

from __future__ import annotations

import ctypes as c
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = Path(os.environ.get("LOSSFN_LIBRARY", ROOT / "build" / "release" / "liblossfn.so"))

STATUS = {
    "OK": 0, "ARGUMENT": -1, "SPEC": -2, "PARAMETER": -3, "NOT_FOUND": -4, "EXISTS": -5, "SHAPE": -6, "DTYPE": -7,
    "LABEL": -8, "DOMAIN": -9, "ALIAS": -10, "UNSUPPORTED": -11, "MEMORY": -12, "CALLBACK": -13,
}  # fmt: skip
STATUS_NAMES = {v: k for k, v in STATUS.items()}
EMPTY, DOMAIN, INFEASIBLE = 1, 2, 4
READONLY, STRIDED = 1, 2
EXACT, FISHER, UPPER = 0, 1, 2
UNIT_ELEMENT, UNIT_ROW = 1, 2
DTYPES = {
    "f64": 1, "f32": 2, "f16": 3, "bf16": 4, "i8": 5, "i16": 6, "i32": 7, "i64": 8, "u8": 9, "u16": 10, "u32": 11,
    "u64": 12, "bool": 13,
}  # fmt: skip
NUMPY = {
    "f64": np.float64, "f32": np.float32, "f16": np.float16, "i8": np.int8, "i16": np.int16, "i32": np.int32,
    "i64": np.int64, "u8": np.uint8, "u16": np.uint16, "u32": np.uint32, "u64": np.uint64, "bool": np.bool_,
}  # fmt: skip
BY_NUMPY = {np.dtype(v): k for k, v in NUMPY.items()}
TRAITS = {
    "convex": 1, "strictly_convex": 2, "strongly_convex": 4, "differentiable": 8, "twice_differentiable": 16,
    "symmetric": 32, "lipschitz": 64, "nonnegative": 128, "distance": 256, "margin": 512, "proper": 1024,
    "calibrated": 2048,
}  # fmt: skip
SCALES = {
    1: "real",
    2: "probability",
    3: "log_probability",
    4: "logits",
    5: "label",
    6: "margin",
    7: "positive",
    8: "count",
}


class BF16(np.ndarray):
    """uint16 that holds the upper halves of float32."""


def to_bf16(x: Any) -> BF16:
    bits = np.asarray(x, np.float32).view(np.uint32)
    rounded = ((bits.astype(np.uint64) + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(x), np.uint16(0x7FC0), rounded).astype(np.uint16).view(BF16)


def cast(x: Any, dtype: str) -> np.ndarray:
    with np.errstate(all="ignore"):
        return to_bf16(x) if dtype == "bf16" else np.asarray(x).astype(NUMPY[dtype])


def empty(shape: Any, dtype: str) -> np.ndarray:
    return np.empty(shape, np.uint16).view(BF16) if dtype == "bf16" else np.empty(shape, NUMPY[dtype])


def floats(x: np.ndarray) -> np.ndarray:
    """As float64, exactly."""
    if isinstance(x, BF16):
        return (np.asarray(x, np.uint16).astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return x.astype(np.float64)


def dtype_of(x: np.ndarray) -> str:
    return "bf16" if isinstance(x, BF16) else BY_NUMPY[x.dtype]


class Tensor(c.Structure):
    _fields_ = (
        ("data", c.c_void_p), ("dtype", c.c_int32), ("ndim", c.c_int32), ("shape", c.c_int64 * 8),
        ("strides", c.c_int64 * 8), ("flags", c.c_uint32), ("device_type", c.c_int32), ("device_id", c.c_int32),
        ("reserved0", c.c_uint32), ("reserved", c.c_int64 * 4),
    )  # fmt: skip


TensorP = c.POINTER(Tensor)
PARALLEL_FOR = c.CFUNCTYPE(None, c.c_void_p, c.c_int32, c.c_void_p, c.c_void_p)


class Exec(c.Structure):
    _fields_ = (
        ("struct_size", c.c_uint64), ("threads", c.c_int32), ("flags", c.c_uint32), ("scratch", c.c_void_p),
        ("scratch_size", c.c_int64), ("parallel_for", c.c_void_p), ("parallel_user", c.c_void_p),
    )  # fmt: skip


class Args(c.Structure):
    _fields_ = (
        ("struct_size", c.c_uint64), ("n_inputs", c.c_int32), ("hess_kind", c.c_int32), ("inputs", TensorP * 8),
        ("grads", TensorP * 8), ("weight", TensorP), ("mask", TensorP), ("upstream", TensorP),
        ("denominator", c.POINTER(c.c_double)), ("value", c.POINTER(c.c_double)), ("values", TensorP),
        ("sum", c.POINTER(c.c_double)), ("denom", c.POINTER(c.c_double)), ("components", c.POINTER(c.c_double)),
        ("hess", TensorP), ("hvp_vector", TensorP), ("hvp", TensorP), ("notes", c.c_uint32), ("reserved0", c.c_uint32),
        ("note_index", c.c_int64), ("message", c.c_char_p), ("message_capacity", c.c_int64), ("exec", c.POINTER(Exec)),
    )  # fmt: skip


class Report(c.Structure):
    _fields_ = (
        ("struct_size", c.c_uint64), ("agrees", c.c_int32), ("worst_input", c.c_int32), ("worst_index", c.c_int64),
        ("analytic", c.c_double), ("numeric", c.c_double), ("error", c.c_double), ("compared", c.c_int64),
    )  # fmt: skip


class Info(c.Structure):
    _fields_ = (
        ("struct_size", c.c_uint64), *((n, c.c_char_p) for n in (
            "name", "aliases", "family", "summary", "formula", "latex", "tasks", "see_also", "look_alikes", "source", "kinks")),
        ("unit", c.c_int32), ("n_inputs", c.c_int32), ("n_params", c.c_int32), ("traits", c.c_uint32),
        ("lipschitz", c.c_double), ("hess_kinds", c.c_uint32), ("has_rho", c.c_int32), ("ulp_value", c.c_double),
        ("ulp_grad", c.c_double), ("ulp_hess", c.c_double),
    )  # fmt: skip


class InputInfo(c.Structure):
    _fields_ = (
        ("struct_size", c.c_uint64), ("name", c.c_char_p), ("doc", c.c_char_p), ("scale", c.c_int32),
        ("differentiable", c.c_int32), ("learnable", c.c_int32), ("per_row", c.c_int32),
    )  # fmt: skip


class ParamInfo(c.Structure):
    _fields_ = (
        ("struct_size", c.c_uint64), ("name", c.c_char_p), ("doc", c.c_char_p), ("choices", c.c_char_p),
        ("default_value", c.c_char_p), ("type", c.c_int32), ("learnable", c.c_int32), ("lower_open", c.c_int32),
        ("upper_open", c.c_int32), ("lower", c.c_double), ("upper", c.c_double),
    )  # fmt: skip


class Failure(Exception):
    """A failed call: its status ("SHAPE") and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{STATUS_NAMES.get(status, status)}: {message}")
        self.status, self.message = STATUS_NAMES.get(status, str(status)), message


def load(path: Path = LIBRARY) -> c.CDLL:
    lib = c.CDLL(str(path))
    text, double, i32, i64, u32, p = c.c_char_p, c.c_double, c.c_int32, c.c_int64, c.c_uint32, c.c_void_p
    args, tensor, exec_ = c.POINTER(Args), TensorP, c.POINTER(Exec)
    signatures: dict[str, tuple[Any, ...]] = {
        "version": (i32,), "version_string": (text,), "abi_version": (i32,), "isa": (text,), "isa_at": (text, i32),
        "status_name": (text, i32), "status_text": (text, i32), "last_error": (text,), "dtype_size": (i64, i32),
        "dtype_name": (text, i32), "tensor_init": (i32, tensor, p, i32, i32, p), "tensor_init_const": (i32, tensor, p, i32, i32, p),
        "tensor_init_strided": (i32, tensor, p, i32, i32, p, p, u32), "create": (i32, c.POINTER(p), text),
        "create_msg": (i32, c.POINTER(p), text, text, i64), "create_options": (i32, c.POINTER(p), text, p),
        "replace": (i32, c.POINTER(p), p, p), "options_set_default": (i32, p, text),
        "retain": (p, p), "destroy": (None, p), "spec": (i64, p, text, i64), "name": (text, p), "unit": (i32, p),
        "input_count": (i32, p), "input_name": (text, p, i32), "component_count": (i32, p),
        "component_coefficient": (double, p, i32), "component_name": (text, p, i32),
        "get_double": (i32, p, text, c.POINTER(double)), "get_text": (i32, p, text, text, i64, c.POINTER(i64)),
        "options_create": (i32, c.POINTER(p)), "options_destroy": (None, p), "options_set_double": (i32, p, text, double),
        "options_set_int": (i32, p, text, i64), "options_set_bool": (i32, p, text, i32), "options_set_string": (i32, p, text, text),
        "options_set_doubles": (i32, p, text, p, i64), "args_init": (None, args), "exec_init": (None, exec_), "run": (i32, p, args),
        "forward": (i32, p, tensor, tensor, tensor, c.POINTER(double), exec_),
        "backward": (i32, p, tensor, tensor, tensor, tensor, exec_),
        "forward_backward": (i32, p, tensor, tensor, tensor, c.POINTER(double), tensor, exec_),
        **{f"run_{d}": (i32, p, i64, i64, p, p, i32, p, i64, p, i64, c.POINTER(double), p, i64, p, p) for d in ("f32", "f64")},
        "values_shape": (i32, p, tensor, c.POINTER(i32), c.POINTER(i64)), "scratch_size": (i64, p, args),
        "check": (i32, p, args, text, i64, c.POINTER(i64)), "check_gradient": (i32, p, args, c.POINTER(Report)),
        "init_score": (i32, p, args, p), "minimum": (i32, p, args),
        "rho": (None, p, double, c.POINTER(double)), "has_rho": (i32, p), "rho_batch": (i32, p, i64, p, p),
        "rho_compose": (None, p, p, double, c.POINTER(double)), "irls_weight": (i32, p, i64, p, p),
        "accumulator_create": (i32, c.POINTER(p), p), "accumulator_destroy": (None, p), "accumulator_update": (i32, p, args),
        "accumulator_merge": (i32, p, p), "accumulator_value": (i32, p, c.POINTER(double), c.POINTER(u32)),
        "accumulator_parts": (i32, p, i32, c.POINTER(double), c.POINTER(double)), "accumulator_reset": (None, p),
        "accumulator_write": (i32, p, p, i64, c.POINTER(i64)), "accumulator_read": (i32, c.POINTER(p), p, i64),
        "count": (i32,), "name_at": (text, i32), "describe": (i32, text, c.POINTER(Info)),
        "describe_input": (i32, text, i32, c.POINTER(InputInfo)), "describe_param": (i32, text, i32, c.POINTER(ParamInfo)),
        "common_option_count": (i32,), "task_at": (text, i32), "num_threads": (i32,), "set_num_threads": (i32, i32),
        "threads_start": (i32, i32), "threads_stop": (None,),
    }  # fmt: skip
    for name, (result, *arguments) in signatures.items():
        function = getattr(lib, f"lossfn_{name}")
        function.restype, function.argtypes = result, arguments
    return lib


lib = load()


def check(status: int, message: str | None = None) -> None:
    if status:
        raise Failure(status, message or lib.lossfn_last_error().decode())


def tensor(x: np.ndarray | None, readonly: bool = False) -> Any:
    """A pointer to a lossfn_tensor_t that looks at x; None stays NULL."""
    if x is None or isinstance(x, TensorP):
        return x
    t = Tensor(x.ctypes.data, DTYPES[dtype_of(x)], x.ndim)
    t.shape[: x.ndim] = x.shape
    t.device_type = 1
    t.flags = READONLY * readonly
    if not x.flags.c_contiguous:
        t.strides[: x.ndim] = [s // x.itemsize for s in x.strides]
        t.flags |= STRIDED
    pointer = c.pointer(t)
    pointer.owner = x
    return pointer


def number(x: Any) -> str:
    """In the spec's grammar, exactly."""
    if isinstance(x, bool):
        return "true" if x else "false"
    if isinstance(x, (list, tuple, np.ndarray)):
        return "[" + ",".join(number(one) for one in x) + "]"
    if isinstance(x, str):
        return x
    return repr(x) if isinstance(x, int) else repr(float(x))


def spec(name: str, **params: Any) -> str:
    inside = ", ".join(f"{k}={number(v)}" for k, v in params.items() if v is not None)
    return f"{name}({inside})" if inside else name


@dataclass
class Output:
    """What a call gave. Arrays are of the dtypes that were asked for."""

    value: float | None = None
    values: np.ndarray | None = None
    grads: dict[str, np.ndarray] | None = None
    hess: np.ndarray | None = None
    sum: float | None = None
    denom: float | None = None
    notes: int = 0
    note_index: int = -1

    def bits(self) -> dict[str, bytes]:
        """Everything, to compare exactly; NaNs are one NaN, -0 is not 0."""
        found = {k: v for k, v in {"value": self.value, "sum": self.sum, "denom": self.denom}.items() if v is not None}
        arrays = {**{k: np.float64(v) for k, v in found.items()}, "values": self.values, "hess": self.hess}
        arrays |= {f"grad {k}": v for k, v in (self.grads or {}).items()}
        out = {k: canonical(v) for k, v in arrays.items() if v is not None}
        return out | {"notes": bytes([self.notes]), "note_index": str(self.note_index).encode()}


def canonical(x: Any) -> bytes:
    x = np.array(x, copy=True, subok=True)
    if isinstance(x, BF16):
        raw = x.view(np.ndarray).copy()
        raw[np.isnan(floats(x))] = 0x7FC0
        return raw.tobytes()
    if x.dtype.kind == "f":
        x = np.where(np.isnan(x), np.array(np.nan, x.dtype), x)
    return np.ascontiguousarray(x).tobytes()


class Loss:
    """A handle. Calls take inputs in the declared order (None: left out) and everything else by keyword."""

    def __init__(self, text: str) -> None:
        handle = c.c_void_p()
        check(lib.lossfn_create(c.byref(handle), text.encode()))
        self.handle, self.text = handle, text

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            lib.lossfn_destroy(self.handle)
            self.handle = None

    @cached_property
    def spec(self) -> str:
        n = lib.lossfn_spec(self.handle, None, 0)
        buf = c.create_string_buffer(n + 1)
        lib.lossfn_spec(self.handle, buf, n + 1)
        return buf.value.decode()

    @cached_property
    def inputs(self) -> list[str]:
        return [lib.lossfn_input_name(self.handle, i).decode() for i in range(lib.lossfn_input_count(self.handle))]

    @property
    def unit(self) -> int:
        return lib.lossfn_unit(self.handle)

    def values_shape(self, pred: np.ndarray) -> tuple[int, ...]:
        ndim, shape = c.c_int32(), (c.c_int64 * 8)()
        check(lib.lossfn_values_shape(self.handle, tensor(pred), c.byref(ndim), shape))
        return tuple(shape[: ndim.value])

    def arguments(
        self, *inputs: np.ndarray | None, weight: Any = None, mask: Any = None, upstream: Any = None,
        denominator: float | None = None, value: bool = False, sum: bool = False, denom: bool = False, values: Any = None,
        grads: dict[str, np.ndarray] | None = None, hess: Any = None, hess_kind: int = 0, threads: int | None = None,
        hvp_vector: Any = None, hvp: Any = None,
    ) -> tuple[Args, dict[str, Any]]:  # fmt: skip
        """The raw struct, and the scalars that it points to."""
        args, kept = Args(), {}
        lib.lossfn_args_init(c.byref(args))
        args.n_inputs, args.hess_kind = len(inputs), hess_kind
        hold: list[Any] = []

        def put(x: Any) -> Any:
            t = tensor(x)
            hold.append(t)
            return t

        for i, x in enumerate(inputs):
            if x is not None:
                args.inputs[i] = put(x)
        for name, g in (grads or {}).items():
            args.grads[self.inputs.index(name)] = put(g)
        for key, x in {"weight": weight, "mask": mask, "upstream": upstream, "values": values, "hess": hess,
                       "hvp_vector": hvp_vector, "hvp": hvp}.items():  # fmt: skip
            if x is not None:
                setattr(args, key, put(x))
        if denominator is not None:
            args.denominator = c.pointer(c.c_double(denominator))
        for key, wanted in {"value": value, "sum": sum, "denom": denom}.items():
            if wanted:
                kept[key] = c.c_double(-12345.0)
                setattr(args, key, c.pointer(kept[key]))
        if threads is not None:
            e = Exec()
            lib.lossfn_exec_init(c.byref(e))
            e.threads = threads
            args.exec = c.pointer(e)
        needed = lib.lossfn_scratch_size(self.handle, c.byref(args))
        if needed:
            if threads is None:
                e = Exec()
                lib.lossfn_exec_init(c.byref(e))
                args.exec = c.pointer(e)
            e.scratch, e.scratch_size = c.cast(c.create_string_buffer(needed), c.c_void_p), needed
            hold.append(e.scratch)
        args.hold = hold
        return args, kept

    def run(
        self,
        *inputs: np.ndarray | None,
        want: str = "value sum denom values grads hess",
        out: str | None = None,
        **options: Any,
    ) -> Output:
        """Runs with fresh outputs. want: words, or `grad:name`; out: their dtype, pred's if None."""
        pred = inputs[0]
        assert pred is not None
        words, dtype = (
            want.split(),
            out or (dtype_of(pred) if dtype_of(pred) in ("f64", "f32", "f16", "bf16") else "f32"),
        )
        grads = {}
        for i, name in enumerate(self.inputs):
            x = inputs[i] if i < len(inputs) else None
            if x is None or not ("grads" in words or f"grad:{name}" in words):
                continue
            if i == 1 and self.unit == UNIT_ROW and x.shape != pred.shape and not self.per_row(i):
                continue  # labels
            if self.differentiable(i) and not (dtype_of(x) not in ("f64", "f32", "f16", "bf16")):
                grads[name] = filled(x.shape, dtype)
        values = filled(self.values_shape(pred), dtype) if "values" in words else None
        hess = filled(pred.shape, dtype) if "hess" in words and self.has_hess else None
        reduced = not any(f"reduction={r}" in self.spec.replace('"', "") for r in ("none", "per_row"))
        args, kept = self.arguments(
            *inputs, **options, grads=grads, values=values, hess=hess, value="value" in words and reduced,
            sum="sum" in words, denom="denom" in words,
        )  # fmt: skip
        check(lib.lossfn_run(self.handle, c.byref(args)))
        scalars = {k: v.value for k, v in kept.items()}
        return Output(
            scalars.get("value"),
            values,
            grads,
            hess,
            scalars.get("sum"),
            scalars.get("denom"),
            args.notes,
            args.note_index,
        )

    @cached_property
    def base_name(self) -> str:
        return lib.lossfn_name(self.handle).decode()

    def differentiable(self, i: int) -> bool:
        return bool(describe_input(self.base_name, i).differentiable)

    def per_row(self, i: int) -> bool:
        return self.base_name != "sum" and bool(describe_input(self.base_name, i).per_row)

    @cached_property
    def has_hess(self) -> bool:
        return bool(describe(self.base_name).hess_kinds & 1)


def filled(shape: Any, dtype: str) -> np.ndarray:
    """An output whose every byte must be overwritten."""
    x = empty(shape, dtype)
    x.view(np.ndarray).view(np.uint8 if x.ndim else x.dtype).fill(0xA5 if x.ndim else 7)
    return x


def describe(name: str) -> Info:
    info = Info(c.sizeof(Info))
    check(lib.lossfn_describe(name.encode(), c.byref(info)))
    return info


def describe_input(name: str, i: int) -> InputInfo:
    info = InputInfo(c.sizeof(InputInfo))
    check(lib.lossfn_describe_input(name.encode(), i, c.byref(info)))
    return info


def describe_param(name: str, i: int) -> ParamInfo:
    info = ParamInfo(c.sizeof(ParamInfo))
    check(lib.lossfn_describe_param(name.encode(), i, c.byref(info)))
    return info


def names() -> list[str]:
    return [lib.lossfn_name_at(i).decode() for i in range(lib.lossfn_count())]
