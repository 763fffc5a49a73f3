# SPDX-License-Identifier: MIT
"""Whom lossfn is measured beside. Each module here is one peer, or two that share a table:

PEERS           key -> heading
load(key, threads)    imports what it needs and gives a Peer; ImportError: it is not installed

A peer has a table from losses to functions that are written as its users would write them. They take the inputs of
the loss in their order and its parameters by keyword; a loss, or a parameter, that is not there is an empty cell."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any, Protocol

from cases import Case
from turns import Contestant

MODULES = ("pytorch", "jax_xla", "scikit_learn", "by_hand", "boosters")


class Peer(Protocol):
    version: str

    def build(self, case: Case) -> Contestant | None:
        """Everything ready for its turns; None if it cannot do the case."""


def headings() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in MODULES:
        found.update(importlib.import_module(f"peers.{name}").PEERS)
    return found


def load(key: str, threads: int) -> Peer:
    for name in MODULES:
        module = importlib.import_module(f"peers.{name}")
        if key in module.PEERS:
            return module.load(key, threads)  # type: ignore[no-any-return]
    raise KeyError(key)


def find(table: dict[str, Callable[..., Any]], case: Case) -> Callable[..., Any] | None:
    """The function for a case, if it takes the case's parameters."""
    function = table.get(case.loss)
    if function is None:
        return None
    known = inspect.signature(function).parameters
    return function if all(name in known for name in case.params) else None
