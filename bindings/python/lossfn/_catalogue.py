# SPDX-License-Identifier: MIT
"""What losses there are."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

from . import _core
from ._errors import ArgumentError, NotFoundError
from ._native import fill, words

_TYPES = {
    _core.PARAM_DOUBLE: "float",
    _core.PARAM_INT: "int",
    _core.PARAM_BOOL: "bool",
    _core.PARAM_CHOICE: "word",
    _core.PARAM_LIST: "list",
}
_SCALES = {
    _core.SCALE_REAL: "real",
    _core.SCALE_PROBABILITY: "probability",
    _core.SCALE_LOG_PROBABILITY: "log-probability",
    _core.SCALE_LOGITS: "logits",
    _core.SCALE_LABEL: "label or distribution",
    _core.SCALE_MARGIN_LABEL: "label -1 or +1",
    _core.SCALE_POSITIVE: "positive",
    _core.SCALE_COUNT: "count",
}
_TRAITS = {name[len("TRAIT_") :].lower(): getattr(_core, name) for name in dir(_core) if name.startswith("TRAIT_")}
_HESSIANS = {"exact": _core.HESS_EXACT, "fisher": _core.HESS_FISHER, "upper": _core.HESS_UPPER}


@dataclass(frozen=True)
class Input:
    """An input of a loss."""

    name: str
    scale: str
    differentiable: bool
    learnable: bool
    per_row: bool
    doc: str


@dataclass(frozen=True)
class Parameter:
    """A parameter of a loss, or an option that all losses have. The default is text in the grammar of specs."""

    name: str
    type: str
    default: str
    choices: tuple[str, ...]
    lower: float
    upper: float
    lower_open: bool
    upper_open: bool
    learnable: bool
    doc: str

    @property
    def bounds(self) -> str:
        """The interval, as in mathematics: "(0, inf]"; "" for what is no number."""
        if self.type not in ("float", "int") or (self.lower == float("-inf") and self.upper == float("inf")):
            return ""
        left, right = "(" if self.lower_open else "[", ")" if self.upper_open else "]"
        return f"{left}{self.lower:g}, {self.upper:g}{right}"


@dataclass(frozen=True)
class Description:
    """All that a loss says of itself."""

    name: str
    aliases: tuple[str, ...]
    family: str
    summary: str
    formula: str
    latex: str
    unit: str
    inputs: tuple[Input, ...]
    params: tuple[Parameter, ...]
    options: tuple[Parameter, ...]
    traits: tuple[str, ...]
    lipschitz: float
    hessians: tuple[str, ...]
    has_rho: bool
    kinks: str
    tasks: tuple[str, ...]
    see_also: tuple[str, ...]
    look_alikes: tuple[str, ...]
    source: str
    ulp_value: float
    ulp_grad: float
    ulp_hess: float

    def _facts(self) -> list[tuple[str, str]]:
        traits = [trait.replace("_", " ") for trait in self.traits]
        if "lipschitz" in traits:
            traits[traits.index("lipschitz")] = f"Lipschitz {self.lipschitz:g}"
        facts = [
            ("also called", ", ".join(self.aliases)),
            ("one value per", self.unit),
            ("traits", ", ".join(traits)),
            ("kinks", self.kinks),
            ("Hessian", ", ".join(self.hessians)),
            ("tasks", ", ".join(self.tasks)),
            ("see also", ", ".join(self.see_also)),
            ("source", self.source),
        ]
        return [(label, text) for label, text in facts if text]

    def __str__(self) -> str:
        lines = [f"{self.name} - {self.summary}", "", f"    {self.formula}", ""]
        for entry in self.inputs:
            note = ", may be a parameter" if entry.learnable else ", one for each row" if entry.per_row else ""
            lines.append(f"  {entry.name:<14}input, {entry.scale}{note}. {entry.doc}".rstrip())
        for param in self.params:
            kind = ", ".join(part for part in (param.type, " | ".join(param.choices), param.bounds) if part)
            lines.append(f"  {param.name:<14}= {param.default or 'none'} ({kind}). {param.doc}".rstrip())
        lines.append("")
        lines += [f"  {label:<14}{text}" for label, text in self._facts()]
        lines += [f"  {'elsewhere' if not i else '':<14}{line}" for i, line in enumerate(self.look_alikes)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><th>{label}</th><td>{html.escape(text)}</td></tr>" for label, text in self._facts())
        for param in self.params:
            rows += (
                f"<tr><th><code>{param.name}</code></th>"
                f"<td>{html.escape(f'{param.default or chr(8212)} {param.bounds} {param.doc}')}</td></tr>"
            )
        return f"<h4>{self.name}</h4><p>{html.escape(self.summary)}</p><p>$${self.latex}$$</p><table>{rows}</table>"

    def _repr_latex_(self) -> str:
        return f"$${self.latex}$$"


@dataclass(frozen=True)
class Recommendation:
    """A loss for a task."""

    spec: str
    activation: str
    why: str
    caution: str
    source: str

    def __str__(self) -> str:
        lines = [self.spec, f"  output    {self.activation}", f"  why       {self.why}"]
        lines += [f"  caution   {self.caution}"] if self.caution else []
        return "\n".join([*lines, f"  source    {self.source}"])


def tasks() -> list[str]:
    """The words that names(task=) and recommend() know."""
    found: list[str] = []
    while (task := _core.task_at(len(found))) is not None:
        found.append(task)
    return found


def _check_task(task: str) -> None:
    if task not in tasks():
        raise ArgumentError(f"unknown task {task!r}; there are {', '.join(tasks())}")


def names(task: str | None = None) -> list[str]:
    """The losses by name: all, or those for a task (see tasks())."""
    found = [_core.name_at(i) for i in range(_core.count())]
    if task is None:
        return found
    _check_task(task)
    return [name for name in found if task in words(fill("info", _core.describe, name)["tasks"])]


def _parameter(name: str, i: int) -> Parameter:
    info = fill("param_info", _core.describe_param, name, i)
    return Parameter(
        info["name"],
        _TYPES.get(info["type"], "?"),
        info["default_value"],
        words(info["choices"]),
        info["lower"],
        info["upper"],
        bool(info["lower_open"]),
        bool(info["upper_open"]),
        bool(info["learnable"]),
        info["doc"],
    )


def describe(name: str) -> Description:
    """What a loss says of itself; print it, or read its fields. Its name may be one that other systems have for it."""
    info: dict[str, Any] = fill("info", _core.describe, str(name))
    inputs = [fill("input_info", _core.describe_input, name, i) for i in range(info["n_inputs"])]
    own = info["n_params"]
    params = [_parameter(name, i) for i in range(own + _core.common_option_count())]
    return Description(
        name=info["name"],
        aliases=words(info["aliases"]),
        family=info["family"],
        summary=info["summary"],
        formula=info["formula"],
        latex=info["latex"],
        unit="element" if info["unit"] == _core.UNIT_ELEMENT else "row",
        inputs=tuple(
            Input(
                name=i["name"],
                scale=_SCALES.get(i["scale"], "?"),
                differentiable=bool(i["differentiable"]),
                learnable=bool(i["learnable"]),
                per_row=bool(i["per_row"]),
                doc=i["doc"],
            )
            for i in inputs
        ),
        params=tuple(params[:own]),
        options=tuple(params[own:]),
        traits=tuple(trait for trait, bit in _TRAITS.items() if info["traits"] & bit),
        lipschitz=info["lipschitz"],
        hessians=tuple(kind for kind, bit in _HESSIANS.items() if info["hess_kinds"] >> bit & 1),
        has_rho=bool(info["has_rho"]),
        kinks=info["kinks"],
        tasks=words(info["tasks"]),
        see_also=words(info["see_also"]),
        look_alikes=tuple(info["look_alikes"].splitlines()),
        source=info["source"],
        ulp_value=info["ulp_value"],
        ulp_grad=info["ulp_grad"],
        ulp_hess=info["ulp_hess"],
    )


def recommend(
    task: str, *, outliers: bool = False, imbalanced: bool = False, noisy_labels: bool = False
) -> list[Recommendation]:
    """Losses for a task, best first, each with the model's output activation, the reason and a caution."""
    _check_task(task)
    flags = _core.DATA_OUTLIERS * outliers | _core.DATA_IMBALANCED * imbalanced | _core.DATA_NOISY_LABELS * noisy_labels
    found: list[Recommendation] = []
    while True:
        try:
            info = fill("recommendation", _core.recommend, task, flags, len(found))
        except NotFoundError:
            return found
        info.pop("struct_size")
        found.append(Recommendation(**info))
