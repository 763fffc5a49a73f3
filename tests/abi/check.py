#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks of the ABI, one per argument: python3 tests/abi/check.py --library build/dev/liblossfn.so CHECK

headers       every public header compiles alone under C99, C11 and C++11 upwards with gcc and clang, pedantically
linked        a program that takes the address of every function declared in the headers links with the library
symbols       the library exports cmake/lossfn.symbols, which is what the headers declare, and nothing else
dependencies  the library needs libc and libm only, and is linked so that little of it can be overwritten
baseline      abidiff finds no change against baseline/
constants     every enumerator of the headers in baseline/ has its value still: no signature shows them to abidiff
changes       abidiff finds each of some changes that are made to what abidw wrote
old_client    client.c, compiled against the frozen headers in baseline/include, runs on the library
reproducible  two builds in different places, with the hardening flags of distributions, are equal byte by byte

`freeze` instead of a check writes baseline/ anew. That is for a new ABI number, or before the first release.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
INCLUDE = ROOT / "include"
BASELINE = HERE / "baseline"
ABI = BASELINE / "liblossfn-x86_64.abi"
SYMBOLS = ROOT / "cmake" / "lossfn.symbols"
LONG = bool(os.environ.get("LOSSFN_TEST_LONG"))


class Failure(Exception):
    pass


def run(*command: object, ok: tuple[int, ...] = (0,)) -> str:
    result = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode not in ok:
        raise Failure(f"{' '.join(map(str, command))}\nexit code {result.returncode}\n{result.stdout}")
    return result.stdout


def headers(include: Path = INCLUDE) -> list[Path]:
    return sorted((include / "lossfn").glob("*.h"))


def declared() -> list[str]:
    """The functions that the headers declare."""
    names = set()
    for header in headers():
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
        for declaration in re.findall(r"^LOSSFN_API\b([^;]*);", text, flags=re.M):
            match = re.search(r"\b(lossfn_\w+)\s*\(", declaration)
            if not match:
                raise Failure(f"{header.name}: no function name in `{declaration.strip()}`")
            names.add(match.group(1))
    if not names:
        raise Failure("no declarations found")
    return sorted(names)


def check_headers(library: Path, work: Path) -> str:
    cases = []
    for c in ("gcc", "clang-14"):
        cases += [([c, "-x", "c", f"-std={std}"], "*.h") for std in ("c99", "c11", "c17")]
    for cxx in ("g++", "clang++-14"):
        cases += [([cxx, "-x", "c++", f"-std={std}"], "*.h*") for std in ("c++11", "c++14", "c++17", "c++20")]
    done = 0
    for command, pattern in cases:
        for header in sorted((INCLUDE / "lossfn").glob(pattern)):
            source = work / "alone.c"
            source.write_text(f"#include <lossfn/{header.name}>\ntypedef int alone;\n")
            run(
                *command,
                "-Wall",
                "-Wextra",
                "-Wshadow",
                "-pedantic",
                "-Werror",
                "-fsyntax-only",
                f"-I{INCLUDE}",
                source,
            )
            done += 1
    return f"{done} compilations"


def check_linked(library: Path, work: Path) -> str:
    names = declared()
    source = work / "linked.c"
    table = "".join(f'    {{"{n}", (function){n}}},\n' for n in names)
    source.write_text(
        "#include <stdio.h>\n"
        + "".join(f"#include <lossfn/{h.name}>\n" for h in headers())
        + "typedef void (*function)(void);\n"
        + f"static const struct {{ const char *name; function address; }} table[] = {{\n{table}}};\n"
        + "int main(void) {\n    int n = 0;\n"
        + "    for (unsigned i = 0; i < sizeof table / sizeof *table; i++) n += table[i].address != 0;\n"
        + '    printf("%d\\n", n);\n    return 0;\n}\n'
    )
    program = work / "linked"
    run("gcc", "-std=c11", f"-I{INCLUDE}", source, "-o", program, library, f"-Wl,-rpath,{library.parent}", "-Wl,-z,now")
    count = int(run(program))
    if count != len(names):
        raise Failure(f"{count} addresses of {len(names)} functions")
    return f"{count} functions"


def check_symbols(library: Path, work: Path) -> str:
    listed = [line for line in SYMBOLS.read_text().split() if line]
    if listed != sorted(set(listed)):
        raise Failure(f"{SYMBOLS} is not sorted or names a symbol twice")
    version = re.search(r"LOSSFN_ABI_VERSION (\d+)", (INCLUDE / "lossfn" / "version.h").read_text())
    assert version
    node = f"LOSSFN_{version.group(1)}"
    exported = []
    for line in run("nm", "-D", "--defined-only", "--with-symbol-versions", library).splitlines():
        kind, name = line.split()[-2:]
        if kind == "A" and name.startswith(node):
            continue  # the version node itself
        if not name.endswith(f"@@{node}"):
            raise Failure(f"{name}: not of version {node}")
        exported.append(name.split("@")[0])
    for title, names in (("exported", sorted(exported)), ("declared in the headers", declared())):
        if names != listed:
            more, less = sorted(set(names) - set(listed)), sorted(set(listed) - set(names))
            raise Failure(f"{title} but not listed in {SYMBOLS.name}: {more}\nlisted but not {title}: {less}")
    return f"{len(listed)} symbols"


def look_at_linking(library: Path) -> None:
    """Nothing is writable that need not be, nor writable and code at once."""
    dynamic, segments = run("readelf", "-dW", library), run("readelf", "-lW", library)
    if "RUNPATH" in dynamic or "RPATH" in dynamic or "TEXTREL" in dynamic:
        raise Failure(f"{library.name} has a run path or relocations in its code:\n{dynamic}")
    if "BIND_NOW" not in dynamic:
        raise Failure(f"{library.name} is not linked with -z now")
    if "GNU_RELRO" not in segments or "GNU_STACK" not in segments or "RWE" in segments:
        raise Failure(f"{library.name}: no RELRO, or memory that is both writable and code:\n{segments}")


def check_dependencies(library: Path, work: Path) -> str:
    dynamic = run("readelf", "-d", library)
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)
    allowed = re.compile(r"(libc|libm)\.so\.6|ld-linux.*")
    if strangers := [n for n in needed if not allowed.fullmatch(n)]:
        raise Failure(f"{library.name} needs {', '.join(strangers)}")
    look_at_linking(library)
    # What is asked for can be missed: a library that lacks it is refused.
    source = work / "loose.c"
    source.write_text('#include <stdio.h>\nint counter;\nint count(void) { return counter += puts(""); }\n')
    good = ["-fPIC", "-Wl,-z,relro,-z,now"]
    for flags in ([], ["-Wl,-z,lazy"], ["-Wl,-z,norelro"], ["-Wl,-z,execstack"], ["-Wl,-rpath,/nowhere"]):
        loose = work / "loose.so"
        run("gcc", "-shared", source, "-o", loose, *good, *flags)
        try:
            look_at_linking(loose)
            accepted = True
        except Failure:
            accepted = False
        if accepted == bool(flags):
            raise Failure(f"a library that is linked with {flags} is {'accepted' if accepted else 'refused'}")
    if sys.platform == "linux" and "__stack_chk_fail" not in run("nm", "-D", "--undefined-only", library):
        raise Failure(f"{library.name}: no function guards its stack")
    return f"needs {', '.join(needed)}"


def write_abi(library: Path, out: Path) -> None:
    """What callers see of the library; structs that only its own sources define are left out.

    Exported interfaces alone: else abidw takes a declaration where a file only calls the function, and abidiff passes over
    the function."""
    options = [
        "--exported-interfaces-only",
        "--headers-dir",
        INCLUDE,
        "--drop-private-types",
        "--no-corpus-path",
        "--no-comp-dir-path",
    ]
    run("abidw", *options, "--no-show-locs", "--out-file", out, library)
    out.write_text(out.read_text().replace(f"{ROOT}/", ""))


def check_baseline(library: Path, work: Path) -> str:
    if platform.machine() != "x86_64":
        print("baseline: kept for x86_64 only")
        sys.exit(77)
    # Both sides as files made the same way: abidiff takes types of unknown place for private ones.
    today = work / "today.abi"
    write_abi(library, today)
    for path in (ABI, today):
        # One that abidw does not know to be a function is not compared.
        abi = ET.parse(path)
        symbols = {symbol.get("name") for symbol in abi.iter("elf-symbol")}
        known = {
            function.get("mangled-name") for function in abi.iter("function-decl") if function.get("elf-symbol-id")
        }
        if not symbols or symbols - known:
            raise Failure(f"{path.name} has {len(symbols)} symbols, but no declaration of {sorted(symbols - known)}")
    run("abidiff", "--no-added-syms", ABI, today)
    return "no change"


def constants(include: Path, names: list[str], work: Path) -> dict[str, str]:
    source, program = work / "constants.c", work / "constants"
    lines = "".join(f'    printf("{name} %lld\\n", (long long){name});\n' for name in names)
    included = "".join(f"#include <lossfn/{h.name}>\n" for h in headers(include))
    source.write_text(f"#include <stdio.h>\n{included}int main(void) {{\n{lines}    return 0;\n}}\n")
    run("gcc", "-std=c11", f"-I{include}", source, "-o", program)
    return dict(line.split() for line in run(program).splitlines())


def check_constants(library: Path, work: Path) -> str:
    text = "".join(re.sub(r"/\*.*?\*/", "", h.read_text(), flags=re.S) for h in headers(BASELINE / "include"))
    names = sorted(set(re.findall(r"^ +(LOSSFN_\w+) = ", text, flags=re.M)))
    then, now = constants(BASELINE / "include", names, work), constants(INCLUDE, names, work)
    if not names or (other := [f"{name}: {then[name]}, now {now[name]}" for name in names if then[name] != now[name]]):
        raise Failure(f"constants have other values: {other if names else 'there are none'}")
    return f"{len(names)} constants"


def named(abi: ET.Element, path: str) -> ET.Element:
    if (found := abi.find(path)) is None:
        raise Failure(f"no {path} in what abidw wrote")
    return found


def change_gone(abi: ET.Element) -> None:
    symbols = named(abi, "elf-function-symbols")
    symbols.remove(named(symbols, "elf-symbol[@name='lossfn_run']"))
    for unit in abi.iter("abi-instr"):
        for function in unit.findall("function-decl[@name='lossfn_run']"):
            unit.remove(function)


def change_field(abi: ET.Element) -> None:
    unsigned = named(abi, ".//typedef-decl[@name='uint32_t']").attrib["id"]
    named(abi, ".//var-decl[@name='hess_kind']").set("type-id", unsigned)


def change_order(abi: ET.Element) -> None:
    first, second = named(abi, ".//var-decl[@name='sum']"), named(abi, ".//var-decl[@name='denom']")
    first.set("name", "denom"), second.set("name", "sum")


def change_parameter(abi: ET.Element) -> None:
    narrow = named(abi, ".//typedef-decl[@name='int32_t']").attrib["id"]
    named(abi, ".//function-decl[@name='lossfn_spec']/parameter[3]").set("type-id", narrow)


def change_result(abi: ET.Element) -> None:
    wide = named(abi, ".//typedef-decl[@name='int64_t']").attrib["id"]
    named(abi, ".//function-decl[@name='lossfn_run']/return").set("type-id", wide)


def check_changes(library: Path, work: Path) -> str:
    if platform.machine() != "x86_64":
        print("changes: the baseline is kept for x86_64 only")
        sys.exit(77)
    today, changed = work / "today.abi", work / "changed.abi"
    write_abi(library, today)
    changes = {name: f for name, f in globals().items() if name.startswith("change_")}
    for name, change in changes.items():
        abi = ET.parse(today)
        change(abi.getroot())
        abi.write(changed)
        result = subprocess.run(["abidiff", "--no-added-syms", ABI, changed], capture_output=True, text=True)
        # bit 2 of the exit code: something changed; bits 0 and 1: abidiff itself failed
        if result.returncode & 7 != 4:
            raise Failure(f"{name} is not noticed: {result.returncode}\n{result.stdout}{result.stderr}")
    return f"{len(changes)} changes are noticed"


def check_old_client(library: Path, work: Path) -> str:
    program = work / "client"
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{BASELINE / 'include'}"]
    run("gcc", *flags, HERE / "client.c", "-o", program, library, "-lm", f"-Wl,-rpath,{library.parent}")
    return run(program).strip()


HARDENED = "-fstack-protector-strong -fstack-clash-protection -fcf-protection -D_FORTIFY_SOURCE=2 -Wformat-security"


def check_reproducible(library: Path, work: Path) -> str:
    # The whole library in the long run; what is not mathematics otherwise, where paths, dates and order could get in.
    target, pattern = ("lossfn_shared", "liblossfn.so.*.*") if LONG else ("lossfn_common", "*.o")
    builds: list[dict[str, bytes]] = []
    for place in (work / "a", work / "another place"):
        for part in ("CMakeLists.txt", "LICENSE", "cmake", "include", "src"):
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            (place / "lossfn").mkdir(parents=True, exist_ok=True)
            copy(ROOT / part, place / "lossfn" / part)
        build = place / "build"
        hardened = HARDENED if platform.machine() == "x86_64" else HARDENED.replace("-fcf-protection", "")
        flags = ["-DCMAKE_BUILD_TYPE=Release", f"-DCMAKE_C_FLAGS={hardened}", "-DLOSSFN_WERROR=ON"]
        run("cmake", "-G", "Ninja", "-S", place / "lossfn", "-B", build, *flags, "-DCMAKE_C_COMPILER_LAUNCHER=")
        run("cmake", "--build", build, "--target", target)
        builds.append({str(p.relative_to(build)): p.read_bytes() for p in build.rglob(pattern)})
    first, second = builds
    if not first or first.keys() != second.keys():
        raise Failure(f"different files: {sorted(first.keys() ^ second.keys())}")
    if different := [name for name in first if first[name] != second[name]]:
        raise Failure(f"different bytes: {different}")
    return f"{len(first)} files, {sum(map(len, first.values()))} bytes"


def freeze(library: Path) -> None:
    shutil.rmtree(BASELINE / "include", ignore_errors=True)
    (BASELINE / "include" / "lossfn").mkdir(parents=True)
    for header in headers():
        shutil.copy(header, BASELINE / "include" / "lossfn")
    write_abi(library, ABI)


CHECKS = {
    name.removeprefix("check_"): function for name, function in list(globals().items()) if name.startswith("check_")
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", type=Path, required=True, help="the liblossfn.so to look at")
    parser.add_argument("check", choices=[*CHECKS, "freeze"])
    options = parser.parse_args()
    if options.check == "freeze":
        freeze(options.library.resolve())
        return 0
    with tempfile.TemporaryDirectory() as work:
        try:
            print(f"{options.check}: {CHECKS[options.check](options.library.resolve(), Path(work))}")
        except Failure as failure:
            print(f"{options.check}: {failure}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
