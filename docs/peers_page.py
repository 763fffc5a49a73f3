# SPDX-License-Identifier: MIT
"""docs/peers.md, from the tables in tests/peers, which the tests compare with the packages themselves."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import lossfn

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/peers"))

import tables  # noqa: E402  (found by the line above)
from rows import CLASSES  # noqa: E402

INTRO = """# The same function elsewhere

What a function of another package is called here, and where the two differ. Every row is tested: values and gradients over
random and extreme inputs against what the package itself gave, in the version named. "yes" means equal everywhere within the
precision stated; a difference is found only where its sentence says.
"""


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def spec_cell(row: Any) -> str:
    """The spec with a link to each loss, and the reduction if the row is about one."""
    names = [name for name in re.findall(r"[a-z]\w*(?![\w=])", row.spec) if name in set(lossfn.names())]
    links = ", ".join(f"[{name}](losses/{name}.md)" for name in dict.fromkeys(names) if name != row.spec)
    reduced = f", reduction={row.reduction}" if row.reduction != "none" else ""
    if not links:
        return f"[`{row.spec}`](losses/{row.spec}.md){reduced}"
    return f"`{cell(row.spec)}` ({links}){reduced}"


def differences(row: Any) -> str:
    """Each with its class; what it concerns if it is not all that is compared."""
    texts = []
    for d in row.differences:
        where = " of the value" if d.of == ("value",) else " of the gradient" if d.of and "value" not in d.of else ""
        texts.append(f"*{d.kind}*{where}: {d.why}")
    if row.hessian == "one":
        texts.append("*definition* of the Hessian: 1 there")
    if row.terms:
        texts.append("*rounding*: what is small beside the terms that are added there keeps fewer digits")
    return "; ".join(texts)


def compared(row: Any) -> str:
    """What is compared, if it is not value and gradient."""
    names = {"value": "value", "step": "gradient/Hessian"}
    parts = [*(["gradient"] if row.wrt else []), *(names[output] for output in row.outputs if output in names)]
    return "" if parts == ["gradient", "value"] else " and ".join(parts)


def section(name: str) -> list[str]:
    peer = tables.load(name)
    version = tables.pinned(peer)
    out = [f"## {peer.HEADING}", "", f"{peer.PACKAGE} {version}; {peer.PRECISION}.", ""]
    out += ["| there | here | the same | where not |", "|---|---|---|---|"]
    for row in peer.ROWS:
        same = "but for" if row.differences or row.hessian == "one" else "yes"
        if what := compared(row):
            same += f"; {what}"
        out.append(f"| `{cell(row.name)}` | {spec_cell(row)} | {same} | {cell(differences(row))} |")
    return [*out, ""]


def page(note: str) -> str:
    out = [note, "", INTRO, "| difference | meaning |", "|---|---|"]
    out += [f"| *{kind}* | {meaning} |" for kind, meaning in CLASSES.items()] + [""]
    for name in tables.NAMES:
        out += section(name)
    return "\n".join(out).rstrip() + "\n"
