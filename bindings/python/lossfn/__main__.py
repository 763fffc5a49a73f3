# SPDX-License-Identifier: MIT
"""python -m lossfn [--cflags] [--libs] [--version]: how to compile against this package's C library."""

import sys
from pathlib import Path

from . import __version__, get_include, get_library, isa


def main() -> None:
    """Prints what is asked for on one line."""
    folder = str(Path(get_library()).parent)
    answers = {
        "--cflags": lambda: f"-I{get_include()}",
        "--libs": lambda: f"-L{folder} -Wl,-rpath,{folder} -l:{Path(get_library()).name}",
        "--version": lambda: __version__,
    }
    asked = sys.argv[1:]
    if not asked or any(option not in answers for option in asked):
        print(f"lossfn {__version__}, {isa()}, {get_library()}")
        sys.exit(f"usage: python -m lossfn {' '.join(f'[{option}]' for option in answers)}" if asked else 0)
    print(" ".join(answers[option]() for option in asked))


if __name__ == "__main__":
    main()
