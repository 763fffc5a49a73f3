# SPDX-License-Identifier: MIT
"""The committed pages are what docs/make.py makes now, and every link leads somewhere."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import lossfn
import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("docs", "src", "tests", "bindings")
PAGES = [*sorted(ROOT.glob("*.md")), *(p for folder in FOLDERS for p in sorted((ROOT / folder).rglob("*.md")))]


def load_make():
    spec = importlib.util.spec_from_file_location("docs_make", ROOT / "docs/make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_are_up_to_date():
    make = load_make()
    assert not make.stale(), "python3 docs/make.py writes them anew"


def test_every_loss_has_its_page():
    made = {path.name for path in load_make().files()}
    for name in lossfn.names():
        if "." not in name:
            assert {f"{name}.md", f"{name}.svg"} <= made


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    text = re.sub(r"`[^`\n]*`", "", text)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page.relative_to(ROOT)} links to {target}"
        if anchor:
            assert anchor in anchors(there), f"{page.relative_to(ROOT)} links to {target}"
