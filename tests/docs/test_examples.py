# SPDX-License-Identifier: MIT
"""Runs the examples of README.md, CONTRIBUTING.md and docs: each fenced block, by its language.

python, lua   all blocks of a file run one after the other in one process, each compared with what it says it prints
c             compiled, linked with the library, run; a block without main() is the inside of one
sh, cmake     looked at only: the files, commands, presets, options and targets that they name must be there

What a block prints stands in comments behind an arrow (`# -> 1.5`, `// ->`, `-- ->`) or in a block ```text right behind it.
A block that says nothing must print nothing. Blocks of other languages, and those marked `skip`, are left alone."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
ARROW = re.compile(r"(?:#|//|--)[ \t]*-> ?(.*)$", re.M)
MARK = "=== end of example ==="


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    code: str
    expected: tuple[str, ...]

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def normal(text: str) -> tuple[str, ...]:
    """Lines without the spacing, which no reader of an example minds."""
    return tuple(" ".join(line.split()) for line in text.splitlines() if line.strip())


def read(page: Path) -> list[Block]:
    """The fenced blocks of a page; the text behind one becomes its output."""
    found: list[Block] = []
    lines = page.read_text(encoding="utf-8").splitlines()
    i = 0
    while i < len(lines):
        if not (fence := re.match(r"```(.*)$", lines[i])):
            i += 1
            continue
        start = i + 1
        i = start
        while lines[i] != "```":
            i += 1
        code = "\n".join(lines[start:i])
        i += 1
        after = i
        while after < len(lines) and not lines[after].strip():
            after += 1
        language = fence[1].strip()
        output = "\n".join(ARROW.findall(code))
        if language in ("python", "lua", "c") and after < len(lines) and lines[after] == "```text":
            end = lines.index("```", after + 1)
            output = "\n".join(lines[after + 1 : end])
        found.append(Block(page, start, language, code, normal(output)))
    return found


BLOCKS = [block for page in PAGES if page.exists() for block in read(page)]


def pages_with(language: str) -> list[Path]:
    return list(dict.fromkeys(block.page for block in BLOCKS if block.language == language))


def blocks_of(page: Path, language: str) -> list[Block]:
    return [block for block in BLOCKS if block.page == page and block.language == language]


def name_of(thing: object) -> str:
    return thing.place if isinstance(thing, Block) else str(Path(str(thing)).relative_to(ROOT))


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def compare(blocks: list[Block], outputs: list[str]) -> None:
    assert len(blocks) == len(outputs)
    wrong = []
    for block, output in zip(blocks, outputs):
        found = normal(output)
        if found != block.expected:
            wrong += [f"{block.place} says", *block.expected, "and prints", *found]
    assert not wrong, "\n".join(wrong)


def test_blocks_are_found() -> None:
    languages = {block.language for block in BLOCKS if block.page.name == "README.md"}
    assert {"python", "c", "lua", "sh", "cmake"} <= languages
    assert all(block.language for block in BLOCKS), [b.place for b in BLOCKS if not b.language]


@pytest.mark.parametrize("page", pages_with("python"), ids=name_of)
def test_python(page: Path, tmp_path: Path) -> None:
    blocks = blocks_of(page, "python")
    script = f"""import sys
scope = {{"__name__": "__main__"}}
for place, code in {[(block.place, block.code) for block in blocks]!r}:
    exec(compile(code, place, "exec"), scope)
    print({MARK!r}, flush=True)
"""
    (tmp_path / "examples.py").write_text(script, encoding="utf-8")
    compare(blocks, run(sys.executable, "examples.py", cwd=tmp_path).split(MARK + "\n")[:-1])


@pytest.mark.parametrize("page", pages_with("lua"), ids=name_of)
def test_lua(page: Path, tmp_path: Path) -> None:
    blocks = blocks_of(page, "lua")
    # Locals of one block are not seen by the next: each stands for itself.
    parts = [f"do\n{block.code}\nend\nprint {json.dumps(MARK)}" for block in blocks]
    (tmp_path / "examples.lua").write_text("\n".join(parts), encoding="utf-8")
    compare(blocks, run("lua5.4", "examples.lua", cwd=tmp_path).split(MARK + "\n")[:-1])


@cache
def c_flags() -> tuple[str, ...]:
    return tuple(shlex.split(run(sys.executable, "-m", "lossfn", "--cflags", "--libs", cwd=ROOT / "tests")))


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "c"], ids=name_of)
def test_c(block: Block, tmp_path: Path) -> None:
    code = block.code
    if not re.search(r"\bmain\(", code):
        code = f"int main(void) {{\n{code}\nreturn 0;\n}}"
    headers = ("stdio.h", "stdlib.h", "math.h", "lossfn/lossfn.h", "lossfn/extend.h")
    source = "".join(f"#include <{header}>\n" for header in headers) + code + "\n"
    (tmp_path / "example.c").write_text(source, encoding="utf-8")
    compiler = shutil.which("cc") or "gcc"
    run(compiler, "-std=c11", "-Wall", "-Werror", "example.c", "-o", "example", *c_flags(), "-lm", cwd=tmp_path)
    compare([block], [run("./example", cwd=tmp_path)])


# ---- Commands: what they name ----------------------------------------------------------------------------------------


def check_command(words: list[str], place: str) -> None:
    """Asserts that the files, presets, options and stages of one command line are there."""
    options = set(re.findall(r"option\((LOSSFN_\w+)", (ROOT / "CMakeLists.txt").read_text()))
    presets = {p["name"] for p in json.loads((ROOT / "CMakePresets.json").read_text())["configurePresets"]}
    assert shutil.which(words[0]) or words[0] in ("eval", "cmake", "pip", "git", "ctest"), f"{place}: {words[0]}"
    for i, word in enumerate(words):
        if match := re.match(r"-D(LOSSFN_\w+)=", word):
            assert match[1] in options | {"LOSSFN_SANITIZE"}, f"{place}: no option {match[1]}"
        if word == "--preset":
            assert words[i + 1] in presets, f"{place}: no preset {words[i + 1]}"
        path = word.partition("::")[0].rstrip("/")
        if re.fullmatch(r"[\w.-]+(/[\w.-]+)+", path) and not path.startswith("build/"):
            assert (ROOT / path).exists(), f"{place}: no file {path}"
    if "cmake/bootstrap" in words:
        usage = (ROOT / "cmake/bootstrap").read_text()
        command = words[words.index("cmake/bootstrap") + 1]
        assert re.search(rf"^\s*[\w |]*\b{command}\b[\w |-]*\)", usage, re.M), f"{place}: bootstrap has no {command}"
    if "tests/run.py" in words:
        stages = set(re.findall(r'^    "(\w+)": ', (ROOT / "tests/run.py").read_text(), re.M))
        named = {word for word in words[words.index("tests/run.py") + 1 :] if word.isalpha()}
        assert named <= stages, f"{place}: no stage {named - stages}"
    if words[:2] == ["pip", "install"] and "." in words:
        assert (ROOT / "pyproject.toml").exists()


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "sh"], ids=name_of)
def test_sh(block: Block) -> None:
    commands = 0
    for line in block.code.replace("\\\n", " ").splitlines():
        if inner := re.search(r"\$\(([^)]*)\)", line):
            check_command(shlex.split(inner[1]), block.place)
        if words := shlex.split(line, comments=True):
            check_command(words, block.place)
            commands += 1
    assert commands, block.place


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "cmake"], ids=name_of)
def test_cmake(block: Block) -> None:
    config = (ROOT / "cmake/lossfnConfig.cmake.in").read_text()
    targets = re.findall(r"lossfn::\w+", block.code)
    assert targets, block.place
    for target in targets:
        assert target in config, f"{block.place}: no target {target}"
