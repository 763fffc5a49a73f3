# SPDX-License-Identifier: MIT
"""What the tables of the peers are made of.

A row says: this function of that package is this loss here, on these inputs, but for these differences. A difference
says where it is allowed, as a function of the inputs; everywhere else both must agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Inputs = dict[str, Any]  # name of an input of the loss -> array

# Classes of differences, and what they mean.
CLASSES = {
    "clips": "an input or a logarithm is held within limits first",
    "adds eps": "a small number is added where the mathematics has none",
    "overflows": "an intermediate result leaves the range of the type though the result does not",
    "limits": "infinite or zero inputs give NaN or another value than the limit",
    "kink convention": "another subgradient where there is no derivative",
    "rounding": "digits are lost by cancellation",
    "approximates": "a formula that is close to the exact one",
    "definition": "another function there",
}


@dataclass(frozen=True)
class Difference:
    kind: str  # one of CLASSES
    why: str
    where: Callable[[Inputs], Any]  # true for the units, or for all, that may differ
    of: tuple[str, ...] = ()  # "value" and names of inputs whose gradient it is; all if empty
    within: Callable[[Inputs], Any] | None = None  # by how much at most; without limit if None

    def __post_init__(self) -> None:
        assert self.kind in CLASSES, self.kind

    def concerns(self, output: str) -> bool:
        return not self.of or output in self.of


@dataclass(frozen=True)
class Row:
    name: str  # as its users write it
    spec: str  # the same function here
    inputs: str  # one of draw.KINDS
    function: Callable[..., Any]  # takes the inputs in their order; what it gives, the peer's evaluate() knows
    differences: tuple[Difference, ...] = ()
    wrt: tuple[str, ...] = ("pred",)
    reduction: str = "none"
    outputs: tuple[str, ...] = ("value",)  # what there is beside the gradients: "value", "step", "rho" ...
    hessian: str = "exact"  # or "one", if the peer takes 1 for it
    # Size of the largest number that the peer adds or subtracts on the way to an output, if larger than the output.
    terms: Mapping[str, Callable[[Inputs], Any]] = field(default_factory=dict)


def gradients_by_sum(values: Any, inputs: Mapping[str, Any], wrt: tuple[str, ...], derive: Any) -> dict[str, Any]:
    """Units do not depend on each other: the gradient of their sum has all of theirs."""
    return dict(zip(wrt, derive(values.sum(), [inputs[name] for name in wrt])))


def by_autograd(torch: Any, row: Row, inputs: Inputs) -> dict[str, Any]:
    """A row of a package on PyTorch: its function takes tensors."""
    given = {name: torch.tensor(a) for name, a in inputs.items()}
    for name in row.wrt:
        given[name].requires_grad_()
    value = row.function(*given.values())
    found = gradients_by_sum(value, given, row.wrt, torch.autograd.grad)
    return {name: a.detach().numpy() for name, a in {"value": value, **found}.items()}


# ---- Where and terms, for several tables ----------------------------------------------------------------------------


def residual(i: Inputs) -> Any:
    with np.errstate(all="ignore"):
        return i["pred"] - i["target"]


def margin(i: Inputs) -> Any:
    """target * pred, for labels -1/+1 as for 0/1."""
    target = np.where(np.asarray(i["target"]) > 0, 1, -1)
    return target * i["pred"]


def largest(name: str) -> Callable[[Inputs], Any]:
    """The largest finite number of a row, or the number of an element."""

    def size(i: Inputs) -> Any:
        a = np.abs(np.where(np.isfinite(i[name]), i[name], 0))
        return a.max(-1) if a.ndim > 1 else a

    return size


def one(i: Inputs) -> Any:
    return 1.0


def infinite(*names: str) -> Callable[[Inputs], Any]:
    def where(i: Inputs) -> Any:
        found = [np.isinf(np.asarray(i[name], float)) for name in names]
        return np.logical_or.reduce([f.any(-1) if f.ndim > 1 else f for f in found])

    return where


def everywhere(i: Inputs) -> Any:
    return True


def not_a_number(i: Inputs) -> Any:
    return np.isnan(residual(i))


def beyond(threshold: float) -> Callable[[Inputs], Any]:
    """The margin is below -threshold."""
    return lambda i: margin(i) < -threshold


def spread_overflows(i: Inputs) -> Any:
    """A row holds numbers whose difference is infinite, or infinite ones."""
    with np.errstate(all="ignore"):
        return ~(i["pred"].max(-1) - i["pred"].min(-1) < 1.7e308) & ~np.isnan(i["pred"]).any(-1)


def no_length(i: Inputs) -> Any:
    """A vector of zeros, or one whose square overflows."""
    return np.any([~i[name].any(-1) | (np.abs(i[name]).max(-1) > 1e154) for name in ("pred", "target")], axis=0)


def tied(rivals_of: Callable[[Inputs], Any]) -> Callable[[Inputs], Any]:
    """The largest number of a row stands there twice; up to rounding, which may go either way."""

    def where(i: Inputs) -> Any:
        top = np.sort(rivals_of(i), axis=-1)[:, -2:]
        with np.errstate(invalid="ignore"):
            return top[:, 1] - top[:, 0] <= 2.0**-50 * np.abs(top[:, 1])

    return where


def scores(i: Inputs) -> Any:
    return i["pred"]


def scores_with_margin(i: Inputs) -> Any:
    """What the multiclass hinge takes the largest of: each score, and 1 more where the class is wrong."""
    return i["pred"] + (np.arange(i["pred"].shape[-1]) != i["target"][:, None])


def nan(name: str) -> Callable[[Inputs], Any]:
    def where(i: Inputs) -> Any:
        found = np.isnan(i[name])
        return found.any(-1) if found.ndim > 1 else found

    return where


def lgamma_size(x: Any) -> Any:
    """Of the terms of Stirling's formula."""
    return 1 + (1 + x) * np.abs(np.log(x))


def digamma_size(x: Any) -> Any:
    return 1 + np.abs(np.log(x)) + 1 / x


def beta_parts(i: Inputs) -> Any:
    mean, c = 1 / (1 + np.exp(-i["pred"])), i["concentration"]
    return mean * c, (1 - mean) * c


def beta_value(i: Inputs) -> Any:
    a, b = beta_parts(i)
    logs = np.abs((a - 1) * np.log(i["target"])) + np.abs((b - 1) * np.log1p(-i["target"]))
    of_rest = i["concentration"] * digamma_size(b)  # b, which has the rounding error of 1 - m
    return lgamma_size(a) + lgamma_size(b) + lgamma_size(a + b) + of_rest + logs


def beta_slope(i: Inputs) -> Any:
    a, b = beta_parts(i)
    logs = np.abs(np.log(i["target"])) + np.abs(np.log1p(-i["target"]))
    return digamma_size(a) + digamma_size(b) + logs


# The slope of the mean, m (1 - m), has the rounding error of 1 - m.
BETA = {"value": beta_value, "pred": lambda i: beta_slope(i) * i["concentration"], "concentration": beta_slope}
