# SPDX-License-Identifier: MIT
"""The machine on which a run was made; nothing that names it."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path


def describe(compiler: str) -> dict[str, object]:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    facts = {key.strip(): value.strip() for key, value in pairs}
    name = facts.get("model name") or platform.processor() or platform.machine()
    return {
        "cpu": f"{name} (family {facts.get('cpu family')}, model {facts.get('model')})" if facts else name,
        "cores": len(os.sched_getaffinity(0)),
        "caches": caches(),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release().split('-')[0]}, {' '.join(platform.libc_ver())}",
        "compiler": first_line(compiler, "--version"),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def caches() -> list[str]:
    found = []
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction":
            found.append(f"L{level} {size}")
    return found


def first_line(*command: str) -> str:
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return run.stdout.splitlines()[0] if run.stdout else ""
