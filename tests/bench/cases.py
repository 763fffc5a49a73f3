# SPDX-License-Identifier: MIT
"""What is measured: every loss of the catalogue by itself, on inputs made from what it says of them, and further cases
that need a name. No loss of the catalogue is listed here."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import lossfn
import numpy as np
from numpy.typing import NDArray
from results import SIZES

LARGE = SIZES[2:]
COLS = 1000  # classes of a row where a case does not say how many

Array = NDArray[Any]


@dataclass(frozen=True)
class Case:
    """A loss on given data, and what is wanted of it: "value_grad" (the mean, and its gradients) or "grad_hess" (of the
    sum). `peers` are the only ones that are asked; none named: all."""

    loss: str
    shape: tuple[int, ...]
    params: dict[str, Any] = field(default_factory=dict)
    options: str = ""  # what tells the case from the plain one of the loss; part of its name
    dtype: str = "float32"
    want: str = "value_grad"
    axis: int = -1
    soft: bool = False  # a class loss's target is a distribution
    peers: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.loss}, {self.options}" if self.options else self.loss

    @property
    def elements(self) -> int:
        return int(np.prod(self.shape))

    @property
    def units(self) -> int:
        return self.elements if self.about.unit == "element" else self.elements // self.shape[self.axis]

    @property
    def about(self) -> Any:
        return lossfn.describe(self.loss)

    @property
    def key(self) -> dict[str, Any]:
        return {
            "case": self.name,
            "loss": self.loss,
            "shape": list(self.shape),
            "elements": self.elements,
            "dtype": self.dtype,
            "want": self.want,
        }

    @cached_property
    def inputs(self) -> dict[str, Array]:
        """An array for each input that is not a parameter as well."""
        rng = np.random.default_rng(self.elements)
        given = [i for i in self.about.inputs if not i.learnable]
        made = {i.name: self._make(i, rng) for i in given}
        if "upper" in made and given[1].scale == "positive":  # not below the target
            made["upper"] = np.maximum(made["upper"], made["target"])
        if not self.suits(made):  # numbers above -1 alone, say
            made = {name: np.abs(x) if x.dtype.kind == "f" else x for name, x in made.items()}
        if not self.suits(made) and "target" in made:  # to some that are about shares a label is none
            made["target"] = made["target"] * 0.5 + 0.25
        return made

    def suits(self, made: dict[str, Array]) -> bool:
        """Whether the loss is finite on some of the inputs: it is NaN outside its domain."""
        few = [x[:64] if self.axis % len(self.shape) else x for x in made.values()]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return bool(np.isfinite(lossfn.create(self.loss)(*few, **self.params)).all())

    @property
    def differentiable(self) -> tuple[str, ...]:
        """The inputs by which is differentiated, in their order."""
        return tuple(
            i.name for i in self.about.inputs if i.name in self.inputs and i.differentiable and i.name != "target"
        )

    def _make(self, about: Any, rng: np.random.Generator) -> Array:
        scale, target, rows = about.scale, about.name == "target", self.about.unit == "row"
        per_row = tuple(extent for i, extent in enumerate(self.shape) if i != self.axis % len(self.shape))
        if scale.startswith("label or") and not self.soft:
            return rng.integers(0, self.shape[self.axis], per_row)
        if scale == "label -1 or +1":
            return (2 * rng.integers(0, 2, per_row if about.per_row else self.shape) - 1).astype(self.dtype)
        if scale == "count":
            return rng.integers(0, 6, self.shape).astype(self.dtype)
        if scale == "probability" and target and not rows:
            return rng.integers(0, 2, self.shape).astype(self.dtype)
        if about.name == "event":
            return rng.integers(0, 2, self.shape).astype(self.dtype)
        if about.per_row:
            return rng.random(per_row, np.dtype(self.dtype).type)
        values: Array = rng.random(self.shape, np.dtype(self.dtype).type)
        if scale == "positive":
            values += 0.5
            return values
        if scale == "probability" or scale.startswith("label or"):
            if not rows:
                values *= 0.98
                values += 0.01
                return values
            values += 0.05
            values /= values.sum(self.axis, keepdims=True)
            if self.params.get(f"log_{about.name}"):
                np.log(values, out=values)
            return values
        values *= 6
        values -= 3
        return values


def shape_of(loss: str, elements: int) -> tuple[int, ...]:
    if lossfn.describe(loss).unit == "element":
        return (elements,)
    cols = min(elements, COLS)
    return (elements // cols, cols)


def catalogue(sizes: tuple[int, ...]) -> Iterator[Case]:
    for name in lossfn.names():
        if "." not in name:
            for n in sizes:
                yield Case(name, shape_of(name, n))


def classes(sizes: tuple[int, ...]) -> Iterator[Case]:
    """Cross entropy over numbers of classes, layouts and options."""
    for cols in (10, 1000, 50257, 128256):
        for n in sizes:
            if cols <= n:
                yield Case("cross_entropy", (n // cols, cols), options=f"C = {cols}")
    weights = np.linspace(0.5, 1.5, COLS, dtype=np.float32)
    for n in sizes:
        if n in LARGE:
            rows = (n // COLS, COLS)
            side = 64 if n == LARGE[0] else 256
            yield Case("cross_entropy", (n // (32 * side * side), 32, side, side), {"axis": 1}, "(N, 32, H, W)", axis=1)
            yield Case("cross_entropy", rows, options="soft targets", soft=True)
            yield Case("cross_entropy", rows, {"label_smoothing": 0.1}, "smoothing")
            yield Case("cross_entropy", rows, {"class_weight": weights}, "class weights")


def options(sizes: tuple[int, ...]) -> Iterator[Case]:
    """Losses whose everyday form elsewhere is not their default here."""
    for n in sizes:
        if n in LARGE:
            yield Case("kl_div", shape_of("kl_div", n), {"log_pred": True}, "of log-probabilities")
            yield Case("barron", (n,), {"alpha": 0.7}, "alpha = 0.7")


def small_calls() -> Iterator[Case]:
    yield Case("mse", (16,))
    yield Case("bce_with_logits", (16,))
    yield Case("cross_entropy", (1, 10), options="C = 10")


def doubles(sizes: tuple[int, ...]) -> Iterator[Case]:
    """What NumPy users and boosters compute: double precision, gradient and Hessian."""
    for name in lossfn.names():
        if "." not in name:
            for n in sizes:
                if n in LARGE:
                    yield Case(name, shape_of(name, n), dtype="float64", peers=("sklearn",))
                    for dtype in ("float32", "float64"):
                        yield Case(
                            name,
                            shape_of(name, n),
                            dtype=dtype,
                            want="grad_hess",
                            peers=("sklearn", "xgboost", "lightgbm"),
                        )


GROUPS = {
    "catalogue": catalogue,
    "classes": classes,
    "options": options,
    "small": lambda sizes: small_calls(),
    "doubles": doubles,
}
