# SPDX-License-Identifier: MIT
# The C module that SWIG makes; private. Handles are opaque.
from typing import Any

def __getattr__(name: str) -> Any: ...
