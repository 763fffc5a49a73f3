# SPDX-License-Identifier: MIT
"""Figures for docs/reliability.md: a run of all tests says in LOSSFN_RECORDS where to keep them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any


def record(kind: str, name: str, what: dict[str, Any]) -> None:
    if folder := os.environ.get("LOSSFN_RECORDS"):
        path = Path(folder) / kind / f"{re.sub(r'[^A-Za-z0-9_.+-]', '_', name)}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(what))
