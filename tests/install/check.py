#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks of installed copies, one per argument: python3 tests/install/check.py --build build/dev CHECK

find_package  a CMake project uses an installed copy, lossfn::lossfn and lossfn::static; wrong versions are refused
pkg_config    the same through pkg-config
static        the same through pkg-config --static with no shared library in sight
moved         an installed tree works after it was moved, CMake and pkg-config, C, Python and Lua
subdirectory  a CMake project has the sources inside it and none of its own settings are changed
components    each component installs what it should, also below DESTDIR
wheel         a source distribution makes a wheel that works without anything else
aarch64       the library cross compiled for 64-bit ARM gives the same bits as the native one (runs in qemu)

All programs print the values of consumer/consumer.c, which must be the same everywhere.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CONSUMER = HERE / "consumer"
# What is packed is tested here, not each instruction set again, nor how fast it is.
LONG = bool(os.environ.get("LOSSFN_TEST_LONG"))
ISAS = [] if LONG else ["-DLOSSFN_ISAS=baseline"]


class Failure(Exception):
    pass


def run(*command: object, env: dict[str, str] | None = None, cwd: Path | None = None, fails: bool = False) -> str:
    result = subprocess.run(
        [str(c) for c in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=cwd,
        env={**os.environ, **(env or {})},
    )
    if (result.returncode != 0) != fails:
        expected = "expected to fail" if fails else f"exit code {result.returncode}"
        raise Failure(f"{' '.join(map(str, command))}\n{expected}\n{result.stdout}")
    return result.stdout


def install(build: Path, prefix: Path, *components: str) -> Path:
    for component in components or (None,):
        run("cmake", "--install", build, "--prefix", prefix, *(["--component", component] if component else []))
    return prefix


def pkg_config_dir(prefix: Path) -> Path:
    return next(prefix.rglob("lossfn.pc")).parent


def cmake_consumer(work: Path, *arguments: object) -> str:
    shutil.rmtree(work, ignore_errors=True)
    run("cmake", "-G", "Ninja", "-S", CONSUMER, "-B", work, *arguments)
    run("cmake", "--build", work, "--target", "consumer")
    return run(work / "consumer")


def pkg_config_consumer(work: Path, prefix: Path, *options: str) -> str:
    env = {"PKG_CONFIG_PATH": str(pkg_config_dir(prefix))}
    flags = run("pkg-config", *options, "--cflags", "--libs", "lossfn", env=env).split()
    program = work / "consumer"
    run("gcc", "-std=c99", "-Werror", CONSUMER / "consumer.c", "-o", program, *flags)
    return run(program, env={"LD_LIBRARY_PATH": str(pkg_config_dir(prefix).parent)})


def same(first: str, second: str) -> str:
    if not first or first != second:
        raise Failure(f"different results:\n{first}\n{second}")
    return f"{len(first.splitlines())} losses agree to the last bit"


def check_find_package(build: Path, work: Path) -> str:
    prefix = install(build, work / "prefix")
    shared = cmake_consumer(work / "shared", f"-DCMAKE_PREFIX_PATH={prefix}")
    static = cmake_consumer(work / "static", f"-DCMAKE_PREFIX_PATH={prefix}", "-DLOSSFN_TARGET=lossfn::static")
    if "liblossfn" in run("ldd", work / "static" / "consumer"):
        raise Failure("lossfn::static linked the shared library")
    if "liblossfn" not in run("ldd", work / "shared" / "consumer"):
        raise Failure("lossfn::lossfn did not link the shared library")
    probe = work / "probe"
    probe.mkdir()
    for version in ("0.0", "1.0", "99"):
        (probe / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.25)\nproject(probe NONE)\n"
            f"find_package(lossfn {version} CONFIG REQUIRED)\n"
        )
        run("cmake", "-S", probe, "-B", probe / version, f"-DCMAKE_PREFIX_PATH={prefix}", fails=True)
    return same(shared, static)


def check_pkg_config(build: Path, work: Path) -> str:
    prefix = install(build, work / "prefix", "runtime", "dev")
    return same(pkg_config_consumer(work, prefix), cmake_consumer(work / "cmake", f"-DCMAKE_PREFIX_PATH={prefix}"))


def check_static(build: Path, work: Path) -> str:
    prefix = install(build, work / "prefix", "runtime", "dev")
    reference = pkg_config_consumer(work, prefix)
    for library in prefix.rglob("liblossfn.so*"):
        library.unlink()
    return same(pkg_config_consumer(work, prefix, "--static"), reference)


PYTHON_CONSUMER = """
import lossfn
print(lossfn.create("huber(delta=0.5)")([1.0, 2.0, 4.0], [1.0, 2.0, 3.0]))
"""
LUA_CONSUMER = """
local lossfn = require "lossfn"
print(string.format("%.17g", lossfn.create("huber(delta=0.5)")({1, 2, 4}, {1, 2, 3})))
"""


def check_moved(build: Path, work: Path) -> str:
    first = install(build, work / "first")
    before = pkg_config_consumer(work, first)
    second = work / "second place"
    first.rename(second)
    leftovers = [p for p in second.rglob("*") if p.suffix in (".pc", ".cmake") and str(work / "first") in p.read_text()]
    if leftovers:
        raise Failure(f"{leftovers} name the place of installation")
    after = cmake_consumer(work / "cmake", f"-DCMAKE_PREFIX_PATH={second}")
    package = next(second.rglob("lossfn/__init__.py")).parent.parent
    python = float(run(sys.executable, "-c", PYTHON_CONSUMER, env={"PYTHONPATH": str(package)}, cwd=work))
    ran = 0
    for version, interpreter in LUAS:
        modules = second / "lib" / "lua" / version
        if not modules.exists() or not shutil.which(interpreter):
            continue
        sources = second / "share" / "lua" / version
        env = {"LUA_INIT": ""}
        for suffix in ("", "_" + version.replace(".", "_")):
            env[f"LUA_PATH{suffix}"] = f"{sources}/?.lua;{sources}/?/init.lua"
            env[f"LUA_CPATH{suffix}"] = f"{modules}/?.so"
        script = work / "consumer.lua"
        script.write_text(LUA_CONSUMER)
        lua = float(run(interpreter, script, env=env, cwd=work))
        if lua != python:
            raise Failure(f"{interpreter}: {lua}, Python: {python}")
        ran += 1
    if not ran:
        raise Failure("no Lua was tried")
    return f"{same(before, after)}; Python and {ran} Luas too"


LUAS = [("5.1", "lua5.1"), ("5.1", "luajit"), ("5.2", "lua5.2"), ("5.3", "lua5.3"), ("5.4", "lua5.4")]


def check_subdirectory(build: Path, work: Path) -> str:
    inside = cmake_consumer(work / "inside", f"-DLOSSFN_SOURCE={ROOT}", *ISAS)
    return same(inside, cmake_consumer(work / "found", f"-DCMAKE_PREFIX_PATH={install(build, work / 'prefix')}"))


def check_components(build: Path, work: Path) -> str:
    expected = {
        "runtime": {r"lib/.*liblossfn\.so\.\d+", r"lib/.*liblossfn\.so\.[\d.]+"},
        "dev": {
            r"lib/.*liblossfn\.(so|a)",
            r"include/lossfn/\w+\.(h|hpp)",
            r"lib/.*cmake/lossfn/.*\.cmake",
            r"lib/.*pkgconfig/lossfn\.pc",
        },
        "python": {r"lib/python3[\d.]*/site-packages/lossfn/.*\.(py|pyi|so)", r".*/lossfn/py\.typed"},
        "lua": {r"lib/lua/5\.\d/lossfn/core\.so", r"share/lua/5\.\d/lossfn/.*\.lua"},
        "doc": {r"share/doc/lossfn/(LICENSE|.*\.(md|svg))"},
    }
    everything: set[str] = set()
    for component, patterns in expected.items():
        stage = work / component
        run("cmake", "--install", build, "--component", component, "--prefix", "/usr", env={"DESTDIR": str(stage)})
        files = {str(p.relative_to(stage / "usr")) for p in stage.rglob("*") if not p.is_dir()}
        for file in files:
            if not any(re.fullmatch(p, file) for p in patterns):
                raise Failure(f"component {component} installs {file}")
        for pattern in patterns:
            if not any(re.fullmatch(pattern, file) for file in files):
                raise Failure(f"component {component} installs nothing like {pattern}")
        if everything & files and component != "dev":
            raise Failure(f"installed by two components: {everything & files}")
        everything |= files
    return f"{len(everything)} files in {len(expected)} components"


def compiler(build: Path) -> str:
    found = re.search(r"^CMAKE_C_COMPILER:\w+=(.+)$", (build / "CMakeCache.txt").read_text(), re.M)
    if not found:
        raise Failure(f"{build} has no compiler")
    return found[1]


def check_wheel(build: Path, work: Path) -> str:
    # From a copy, so that no build tree is in reach.
    source = work / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns("build", "dist", ".*", "__pycache__"))
    # With the tools beside this Python (the newest SWIG among them), not those of the system.
    env = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    if not LONG:
        # As the tests' own build compiles them, and as far from the sources, the compiler cache knows the objects.
        env |= {"CMAKE_ARGS": " ".join([*ISAS, "-DCMAKE_C_FLAGS=-g", "-DLOSSFN_WERROR=ON"])}
        env |= {"SKBUILD_BUILD_DIR": "build/wheel", "CC": compiler(build)}
    run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", work, source, env=env)
    unpacked = work / "unpacked"
    with tarfile.open(next(work.glob("*.tar.gz"))) as archive:
        archive.extractall(unpacked)
    tree = next(unpacked.iterdir())
    for wanted in ("LICENSE", "CMakeLists.txt", "include/lossfn/lossfn.h", "bindings/python/lossfn_core.i"):
        if not (tree / wanted).exists():
            raise Failure(f"the source distribution lacks {wanted}")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    run(*pip, "wheel", "--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", work, tree, env=env)
    wheel = next(work.glob("*.whl"))
    site = work / "site"
    run(*pip, "install", "--no-index", "--no-deps", "--target", site, wheel)
    package = site / "lossfn"
    if not list(package.glob("liblossfn.so.*")) or not (package / "py.typed").exists():
        raise Failure(f"{wheel.name} lacks the library or py.typed: {sorted(p.name for p in package.iterdir())}")
    strangers = [p.name for p in site.iterdir() if p.name not in ("lossfn",) and not p.name.endswith(".dist-info")]
    if strangers:
        raise Failure(f"{wheel.name} also holds {strangers}")
    module = next(package.glob("_core*.so"))
    if "[$ORIGIN]" not in run("readelf", "-d", module):
        raise Failure(f"{module.name} does not look for the library beside itself")
    script = "import sys; sys.path.insert(0, sys.argv[1])\n" + PYTHON_CONSUMER
    run(sys.executable, "-I", "-c", script, site, cwd=work)
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    if not module.name.endswith(suffix):
        raise Failure(f"{module.name} does not end in {suffix}")
    return wheel.name


def check_aarch64(build: Path, work: Path) -> str:
    # Sooner, and another level of optimisation has the same bits; gcc warns without reason there.
    quick = ["-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_C_FLAGS=-O1 -DLOSSFN_UNHURRIED", "-DLOSSFN_WERROR=OFF"]
    chosen = [] if LONG else quick
    run("cmake", "--preset", "aarch64", "-S", ROOT, "-B", work / "build", *chosen, cwd=ROOT)
    run("cmake", "--build", work / "build")
    prefix = install(work / "build", work / "prefix")
    toolchain = ROOT / "cmake" / "toolchains" / "aarch64-linux-gnu.cmake"
    arguments = [
        f"-DCMAKE_TOOLCHAIN_FILE={toolchain}",
        f"-Dlossfn_DIR={next(prefix.rglob('lossfnConfig.cmake')).parent}",
    ]
    run("cmake", "-G", "Ninja", "-S", CONSUMER, "-B", work / "arm", *arguments, "-DLOSSFN_TARGET=lossfn::static")
    run("cmake", "--build", work / "arm")
    native = cmake_consumer(work / "native", f"-DCMAKE_PREFIX_PATH={install(build, work / 'native-prefix')}")
    emulator = ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"]
    results = [native]
    for isa in ("neon", "baseline"):
        results.append(run(*emulator, work / "arm" / "consumer", env={"LOSSFN_ISA": isa}))
        same(native, results[-1])
    # And of any loss, option, dtype and layout, as a fuzz target makes them.
    program, fuzz = work / "arm" / "fuzz", ROOT / "tests" / "fuzz"
    sources = [fuzz / name for name in ("fuzz_run.c", "driver.c")]
    library = next(prefix.rglob("liblossfn.a"))
    compile_it = ["aarch64-linux-gnu-gcc", "-std=gnu11", "-O1", f"-I{ROOT / 'include'}"]
    run(*compile_it, *sources, "-o", program, library, "-lm", "-lpthread")
    calls = [200_000 if LONG else 4000, fuzz / "corpus" / "run", "bits"]
    env = {"LOSSFN_RECORDS": "", "LOSSFN_TEST_BUDGET": "1"}
    digests = run(build / "tests" / "lossfn_fuzz_run", *calls, env=env)
    for isa in ("neon", "baseline"):
        same(digests, run(*emulator, program, *calls, env={**env, "LOSSFN_ISA": isa}))
    return f"{same(native, results[-1])} and {calls[0]} calls between x86-64, NEON and the ARM baseline"


CHECKS = {
    name.removeprefix("check_"): function for name, function in list(globals().items()) if name.startswith("check_")
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, required=True, help="the build tree that is installed from")
    parser.add_argument("check", choices=CHECKS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.build.resolve().parent, prefix="install-") as work:
        try:
            print(f"{options.check}: {CHECKS[options.check](options.build.resolve(), Path(work))}")
        except Failure as failure:
            print(f"{options.check}: {failure}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
