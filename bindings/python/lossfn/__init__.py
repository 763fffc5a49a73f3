# SPDX-License-Identifier: MIT
"""Loss functions with value, gradient and Hessian in one pass.

    import lossfn
    lossfn.huber(pred, target, delta=1.0)                       # the mean
    value, grad = lossfn.cross_entropy.value_and_grad(logits, labels, label_smoothing=0.1)
    loss = lossfn.create("huber(delta=1.5)")
    loss.value_grad_hess(pred, target, weight=w, mask=m)

Every loss of lossfn.names() is an attribute of the module; help(lossfn.Loss) lists what all of them understand and
print(lossfn.describe("huber")) what one is. Arrays are NumPy's, or anything with a buffer or DLPack; lists work too.
NumPy is used when it is there; without it results are array.array and memoryview."""

from __future__ import annotations

import os as _os
from pathlib import Path as _Path

from . import _core
from ._accumulator import Accumulator
from ._catalogue import Description, Input, Parameter, Recommendation, describe, names, recommend, tasks
from ._errors import (
    AliasError,
    ArgumentError,
    CallbackError,
    DeviceError,
    DomainError,
    DomainWarning,
    DTypeError,
    Error,
    ExistsError,
    LabelError,
    NotFoundError,
    OutOfMemoryError,
    ParameterError,
    ShapeError,
    SpecError,
    UnsupportedError,
)
from ._loss import Component, Loss, create
from ._plot import Plot, plot
from ._register import custom, register, unregister

__version__: str = _core.version_string()

__all__ = [
    "Accumulator",
    "AliasError",
    "ArgumentError",
    "CallbackError",
    "Component",
    "DTypeError",
    "Description",
    "DeviceError",
    "DomainError",
    "DomainWarning",
    "Error",
    "ExistsError",
    "Input",
    "LabelError",
    "Loss",
    "NotFoundError",
    "OutOfMemoryError",
    "Parameter",
    "ParameterError",
    "Plot",
    "Recommendation",
    "ShapeError",
    "SpecError",
    "UnsupportedError",
    "check",
    "create",
    "custom",
    "describe",
    "get_include",
    "get_library",
    "isa",
    "names",
    "num_threads",
    "plot",
    "recommend",
    "register",
    "set_num_threads",
    "tasks",
    "threads_start",
    "threads_stop",
    "unregister",
]


def check(spec: str | Loss, /, *inputs: object, **options: object) -> list[str]:
    """What looks wrong with a loss's arguments (probabilities given to a loss of logits, swapped arguments, labels in
    another coding ...), in words; [] if nothing does. Reads all data."""
    return create(spec).check(*inputs, **options)


def isa() -> str:
    """The instruction set in use: "avx512", "avx2", "neon" or "baseline". LOSSFN_ISA in the environment forces one."""
    return str(_core.isa())


def num_threads() -> int:
    """How many threads a call uses at most unless it says otherwise."""
    return int(_core.num_threads())


def set_num_threads(threads: int) -> None:
    """Sets num_threads(); 0 goes back to the library's choice. Results do not depend on it."""
    _core.set_num_threads(threads)


def threads_start(threads: int = 0) -> None:
    """Starts the library's threads now instead of when they are first needed."""
    _core.threads_start(threads)


def threads_stop() -> None:
    """Ends the library's threads; they start again when needed."""
    _core.threads_stop()


def get_library() -> str:
    """The path of the C library in use."""
    return str(_Path(_core.library_path()).resolve())


def get_include() -> str:
    """The folder to compile against: it holds lossfn/lossfn.h."""
    library = _Path(get_library())
    for folder in (_Path(__file__).parent / "include", *(parent / "include" for parent in library.parents)):
        if (folder / "lossfn" / "lossfn.h").is_file():
            return str(folder)
    raise FileNotFoundError("the headers of lossfn are not installed beside the library")


def __getattr__(name: str) -> Loss:
    if name.startswith("_"):
        raise AttributeError(f"module 'lossfn' has no attribute {name!r}")
    try:
        loss = Loss(name)
    except (NotFoundError, SpecError) as error:
        raise AttributeError(f"module 'lossfn' has no attribute {name!r}: {error}") from None
    globals()[name] = loss
    return loss


def __dir__() -> list[str]:
    return sorted({*__all__, "__version__", *(name for name in names() if name.isidentifier())})


def _limit_threads() -> None:
    """joblib and others say by OMP_NUM_THREADS how many threads a worker process may use: a limit, never more."""
    wanted = _os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if wanted.isdigit() and int(wanted) > 0 and not _os.environ.get("LOSSFN_NUM_THREADS"):
        set_num_threads(min(int(wanted), num_threads()))


_limit_threads()
