# SPDX-License-Identifier: MIT
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "numeric"), str(HERE / "conformance")]
