#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes what the documentation has from the catalogue: docs/losses, docs/images, docs/peers.md and the table in README.md.

python3 docs/make.py            writes the files
python3 docs/make.py --check    says which files would change, and fails if one would

It needs the Python module. Nothing here names a single loss but LECTURE: a new loss has its page by itself."""

from __future__ import annotations

import contextlib
import io
import math
import re
import sys
import warnings
from pathlib import Path

import lossfn

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs"))

import peers_page  # noqa: E402  (found by the line above, however this file is loaded)

BEGIN, END = "<!-- losses: made by docs/make.py -->", "<!-- end of losses -->"
NOTE = "<!-- Made from the catalogue by docs/make.py; change src/losses and run that. -->"
PEERS_NOTE = "<!-- Made from tests/peers by docs/make.py; change the tables there and run that. -->"

# How the functions that lectures on deep learning begin with are obtained.
LECTURE = {
    "mse": "mean squared error: this, with the default reduction `mean`",
    "mae": "mean absolute error: this, with the default reduction `mean`",
    "huber": "Huber loss: this, the piecewise formula, delta = 1 unless given",
    "pseudo_huber": "pseudo-Huber loss: this",
    "hinge": "hinge loss: this, targets -1 and +1; `labels=01` takes 0 and 1",
    "self_information": "information of an event in bits: `base=2`",
    "entropy": "entropy in bits: `base=2`; a fair coin has exactly 1",
    "binary_cross_entropy": "binary cross entropy: this, on probabilities",
    "bce_with_logits": "binary cross entropy after a sigmoid: this, on what goes into the sigmoid",
    "categorical_cross_entropy": "categorical cross entropy, and cross entropy in bits with `base=2`: this, on probabilities",
    "cross_entropy": "categorical cross entropy after a softmax: this, on what goes into the softmax",
    "kl_div": "Kullback-Leibler divergence D(target || pred): this; in bits with `base=2`",
    "barron": "general robust loss: this; `alpha` and `scale` (often called c) are parameters or inputs",
    "barron_nll": "adaptive robust loss: this; `alpha` and `scale` as inputs have gradients",
}

FAMILIES = {
    "regression": "Regression",
    "robust": "Robust regression",
    "margin": "Margins",
    "probability": "Classification",
    "multiclass": "Classes",
    "information": "Information",
    "likelihood": "Likelihoods",
    "score": "Proper scores",
}


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def formula(text: str) -> str:
    """As code in a table, where a bar must be escaped."""
    return f"`{cell(text)}`"


# What the examples show: numbers for each scale, per element and per row.
ELEMENTS = {
    "real": "[0.5, -2.0, 3.0]",
    "logits": "[2.0, 0.0, -1.0]",
    "probability": "[0.5, 0.9, 0.25]",
    "positive": "[0.5, 1.0, 3.0]",
}
ELEMENT_TARGETS = {
    "real": "[0.0, 0.0, 0.0]",
    "probability": "[1, 1, 0]",
    "label -1 or +1": "[1, 1, -1]",
    "count": "[1, 2, 9]",
    "positive": "[1.0, 1.0, 1.0]",
}
ROWS = {
    "real": "[[0.5, -2.0, 3.0], [1.0, 0.0, 2.0]]",
    "logits": "[[2.0, 0.5, -1.0], [0.1, 1.2, 0.3]]",
    "probability": "[[0.7, 0.2, 0.1], [0.25, 0.5, 0.25]]",
    "log-probability": "[[-0.25, -2.0, -2.5], [-1.5, -0.5, -2.0]]",
    "positive": "[[1.0, 2.0, 0.5], [1.0, 1.0, 3.0]]",
}
ROW_TARGETS = {
    "real": "[[0.0, -1.0, 2.0], [1.0, 0.5, 2.0]]",
    "label or distribution": "[0, 2]",
    "probability": "[[0.5, 0.25, 0.25], [0.0, 0.5, 0.5]]",
    "positive": "[[1.0, 1.0, 1.0], [0.5, 1.0, 4.0]]",
    "logits": "[[0.0, 1.0, 0.0], [2.0, 0.0, 0.0]]",
}
PER_ROW = {"real": "[0.75, 1.5]", "label -1 or +1": "[1, -1]"}


def example_inputs(about: lossfn.Description) -> dict[str, str]:
    """Numbers for each input that must be given."""
    row, found = about.unit == "row", {}
    for i in about.inputs:
        preds, targets = (ROWS, ROW_TARGETS) if row else (ELEMENTS, ELEMENT_TARGETS)
        if not i.learnable:
            found[i.name] = (PER_ROW if i.per_row else preds if i.name == "pred" else targets).get(
                i.scale, "[1.0, 1.0, 4.0]"
            )
    scales = [i.scale for i in about.inputs[:2]]
    if scales == ["positive", "real"]:
        found["target"] = ELEMENT_TARGETS["positive"]
    elif (
        not row and scales == ["real", "real"] and "target" in found and "distance" not in about.traits
    ):  # what their size is counts
        found |= {"pred": "[0.5, 2.0, 3.0]", "target": "[1.0, 2.0, 5.0]"}
        if "upper" in found:
            found["upper"] = "[2.0, 3.0, 4.0]"
    elif scales[1:] == ["positive"] and "upper" in found:
        found["upper"] = '[1.0, 2.0, float("inf")]'
    elif "event" in found:
        found["event"] = "[[1, 0, 1], [0, 1, 1]]"
    elif row and scales[0] != "probability" and scales[1:] == ["probability"] and "multilabel" in about.tasks:
        found["target"] = "[[1, 0, 1], [0, 1, 0]]"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not row and math.isnan(getattr(lossfn, about.name)(*map(eval, found.values()))):  # no labels, but shares
            found["target"] = "[0.75, 0.5, 0.125]"
    return found


def example(about: lossfn.Description) -> str:
    """Python that shows the loss on inputs of the scales that it takes."""
    data = example_inputs(about)
    given = list(data)
    lines = ["import lossfn", ""]
    lines += [f"{name} = {numbers}" for name, numbers in data.items()]
    arguments = ", ".join(given)
    function = f"lossfn.{about.name}"
    lines.append(f"print({function}({arguments}))")
    if any(p.name == "base" for p in about.params):
        lines.append(f"print({function}({arguments}, base=2))")
    lines.append(f'print({function}({arguments}, reduction="none"))')
    if "exact" in about.hessians:
        lines.append(f'value, grad, hess = {function}.value_grad_hess({arguments}, reduction="sum")')
        lines += ["print(grad)", "print(hess)"]
    else:
        lines += [f"value, grad = {function}.value_and_grad({arguments})", "print(grad)"]
    return "\n".join(lines)


def output(code: str) -> str:
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(compile(code, "example", "exec"), {})
    return shown.getvalue().rstrip()


def parameter_row(p: lossfn.Parameter) -> str:
    values = (
        ", ".join(f"`{choice}`" for choice in p.choices) or p.bounds or {"bool": "`true`, `false`"}.get(p.type, "any")
    )
    return f"| `{p.name}` | `{p.default or 'none'}` | {p.type} | {cell(values)} | {cell(p.doc)} |"


def elsewhere_row(line: str) -> str:
    """`system: name: how it differs`, or without one of the first two: `another loss of this library: how it differs`."""
    system, _, rest = line.partition(": ")
    name, colon, how = rest.partition(": ")
    if colon:
        return f"| {cell(system)} | {formula(name)} | {cell(how)} |"
    if set(re.findall(r"\w+", system)) & set(lossfn.names()):
        return f"| lossfn | {formula(system)} | {cell(rest)} |"
    return f"| {cell(system)} | | {cell(rest)} |"


def shape_of(about: lossfn.Description, place: int) -> str:
    """Of an input, as check_inputs in the library's plan has it."""
    i = about.inputs[place]
    if place == 0:
        return "any" if about.unit == "element" else "rows of classes"
    if i.per_row:
        return "one per row, without the class axis"
    if place == 1 and i.scale == "label or distribution":
        return "labels: one per row, without the class axis; distributions: as pred"
    return "as pred" if place == 1 and not i.learnable else "as pred, or what repeats to it"


def page(about: lossfn.Description) -> str:
    name = about.name
    known = set(lossfn.names())
    out = [NOTE, "", f"# {name}", "", about.summary, "", "```math", about.latex, "```", ""]
    out += ["As text:", "", f"    {about.formula}", ""]
    out += [f"![value, gradient and Hessian of {name}](../images/{name}.svg)", ""]
    facts = []
    if about.aliases:
        facts.append(("Also called", ", ".join(f"`{alias}`" for alias in about.aliases)))
    facts.append(("One value per", about.unit))
    facts.append(("Tasks", ", ".join(about.tasks)))
    traits = [t.replace("_", " ") for t in about.traits]
    traits = [f"Lipschitz with constant {about.lipschitz:g}" if t == "lipschitz" else t for t in traits]
    facts.append(("Traits, at the default parameters", ", ".join(traits)))
    facts.append(("Kinks", about.kinks or "none"))
    facts.append(("Hessians", ", ".join(about.hessians) or "none"))
    if about.has_rho:
        facts.append(("Least-squares solvers", "`lossfn_rho` gives rho, rho' and rho'' of the squared residual"))
    facts.append(("Source", about.source))
    links = [f"[{n}]({n}.md)" if n in known else f"`{n}`" for n in about.see_also]
    facts.append(("See also", ", ".join(links)))
    out += ["| | |", "|---|---|"] + [f"| {k} | {cell(v)} |" for k, v in facts if v] + [""]

    out += ["## Inputs", "", "| name | scale | shape | gradient | |", "|---|---|---|---|---|"]
    for place, i in enumerate(about.inputs):
        doc = i.doc + (" (an input or a parameter)" if i.learnable else "")
        gradient = "yes" if i.differentiable else "no"
        out.append(f"| `{i.name}` | {i.scale} | {shape_of(about, place)} | {gradient} | {cell(doc)} |")
    out.append("")
    if about.params:
        out += ["## Parameters", "", "| name | default | type | values | |", "|---|---|---|---|---|"]
        out += [parameter_row(p) for p in about.params] + [""]
    out += ["[Options of every loss](../guide.md#options-of-every-loss) come on top.", ""]

    out += ["## Error bounds", ""]
    out += ["In units in the last place, of one unreduced and unweighted element:", ""]
    out += ["| value | gradient | Hessian |", "|---|---|---|"]
    hess = f"{about.ulp_hess:g}" if about.hessians else "none"
    out += [f"| {about.ulp_value:g} | {about.ulp_grad:g} | {hess} |", ""]

    code = example(about)
    out += ["## Example", "", "```python", code, "```", "", "```text", output(code), "```", ""]

    rows = [elsewhere_row(line) for line in about.look_alikes]
    if name in LECTURE:
        rows.insert(0, f"| lectures on deep learning | | {cell(LECTURE[name])} |")
    if rows:
        out += ["## Elsewhere", "", "| system | name there | here |", "|---|---|---|", *rows, ""]
    return "\n".join(out).rstrip() + "\n"


def index() -> str:
    out = [
        NOTE,
        "",
        "# Losses",
        "",
        "One page per loss: formula, curve, inputs, parameters, traits, error bounds, an example,",
    ]
    out += ["and how the function of that name in other systems is obtained.", ""]
    about = [lossfn.describe(name) for name in lossfn.names() if "." not in name]
    families = list(dict.fromkeys([*FAMILIES, *(a.family for a in about)]))
    for family in families:
        members = [a for a in about if a.family == family]
        if not members:
            continue
        out += [f"## {FAMILIES.get(family, family.capitalize())}", ""]
        out += ["| loss | what it is | one value per | Hessians |", "|---|---|---|---|"]
        for a in members:
            out.append(f"| [{a.name}]({a.name}.md) | {cell(a.summary)} | {a.unit} | {', '.join(a.hessians)} |")
        out.append("")
    out += ["## Which loss for which task", "", "As `lossfn.recommend(task)` says, best first.", ""]
    out += ["| task | spec | output of the model | why |", "|---|---|---|---|"]
    for task in lossfn.tasks():
        for i, r in enumerate(lossfn.recommend(task)):
            out.append(f"| {'' if i else task} | `{cell(r.spec)}` | {cell(r.activation)} | {cell(r.why)} |")
    return "\n".join(out).rstrip() + "\n"


def readme_table() -> str:
    out = ["| loss | formula | |", "|---|---|---|"]
    for name in lossfn.names():
        if "." not in name:
            a = lossfn.describe(name)
            out.append(f"| [{name}](docs/losses/{name}.md) | {formula(a.formula)} | {cell(a.summary)} |")
    return "\n".join(out)


def files() -> dict[Path, str]:
    """Everything that is made, by its path."""
    made = {ROOT / "docs/losses/index.md": index(), ROOT / "docs/peers.md": peers_page.page(PEERS_NOTE)}
    for name in lossfn.names():
        if "." not in name:
            made[ROOT / f"docs/losses/{name}.md"] = page(lossfn.describe(name))
            made[ROOT / f"docs/images/{name}.svg"] = lossfn.plot(name).svg + "\n"
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise SystemExit(f"{readme.name} has no lines {BEGIN} and {END}")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    made[readme] = f"{head}{BEGIN}\n{readme_table()}\n{END}{tail}"
    return made


def stale() -> list[str]:
    """The files that writing would change or that belong to no loss any more."""
    made = files()
    changed = [p for p, text in made.items() if not p.exists() or p.read_text(encoding="utf-8") != text]
    orphans = [p for p in sorted((ROOT / "docs/losses").glob("*.md")) if p not in made]
    return [str(p.relative_to(ROOT)) for p in [*changed, *orphans]]


def main() -> None:
    if sys.argv[1:] == ["--check"]:
        names = stale()
        print("\n".join(f"{name} is out of date: python3 docs/make.py" for name in names), end="\n" if names else "")
        sys.exit(1 if names else 0)
    if sys.argv[1:]:
        sys.exit(__doc__)
    for path, text in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
