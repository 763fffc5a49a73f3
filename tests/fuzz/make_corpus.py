#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes the seeds of the fuzz targets, and the dictionary of the spec parser from the catalogue.

python3 tests/fuzz/make_corpus.py                      writes corpus/<target>/seed_*
python3 tests/fuzz/make_corpus.py --dictionary FILE    writes the dictionary for libFuzzer (LOSSFN_LIBRARY is the library)

The seeds are committed, and so are the inputs that once failed (`found_*`), which this leaves alone.
"""

from __future__ import annotations

import argparse
import random
import struct
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

SPECS = (
    "huber",
    "huber(delta=1.5)",
    "cross_entropy(class_weight=[1, 2, .5], label_smoothing=0.1, reduction=sum)",
    "0.7*bce_with_logits - 0.01*entropy",
    "mse + mae - 3e-2*log_cosh(reduction=mean_units)",
    "\n\t mse ( reduction = 'sum' ) \n",
    'mse(reduction="per_row", empty=zero)',
    "hinge(labels=01)",
    "nll(ignore_index=-9223372036854775808, label_base=9223372036854775807)",
    "quantile(q=1e-400)",
    "huber(delta=1e999999999)",
    "huber(delta=inf)",
    "huber(delta=nan)",
    "mse(axis=-8)",
    "mse(no_such=1)",
    "hubber",
    "kl_div(base=2)",
    "kl_div(base=e)",
    "mse(",
    "mse(reduction=[1,2",
    "mse(reduction='sum",
    "1*2*mse",
    "- - mse",
    "+".join(["mse"] * 9),
    "h\u00fcber(\u03b4=1)",
    "x" * 600,
)


def spec_seeds() -> dict[str, bytes]:
    """Texts, and drawn decisions for the words and for whole specs."""
    random.seed(1)
    seeds = {f"text_{i:02d}": b"\0" + text.encode() for i, text in enumerate(SPECS)}
    for kind in (1, 2, 3):
        for i in range(4):
            seeds[f"drawn_{kind}{i}"] = bytes([kind, 40, *random.randbytes(48)])
    return seeds


def run_seeds() -> dict[str, bytes]:
    """Decisions for whole calls, of several lengths."""
    random.seed(2)
    return {f"drawn_{i:02d}": random.randbytes(24 + 12 * i) for i in range(32)}


def accumulator_seeds() -> dict[str, bytes]:
    """Bytes as an accumulator writes them, well made and not, and drawn decisions."""
    random.seed(3)

    def written(spec: str, *sums: bytes) -> bytes:
        return b"LFA1" + struct.pack("<I", len(spec)) + spec.encode() + b"\0" + b"".join(sums)

    def finite(sign: int, position: int, magnitude: bytes) -> bytes:
        return struct.pack("<BHH", sign, position, len(magnitude)) + magnitude

    zero, infinite, nan, kept = b"\0", b"\3", b"\5", struct.pack("<Q", 3)
    three, widest = finite(1, 144, b"\3"), finite(2, 0, b"\xff" * 288)
    texts = {
        "nothing": b"",
        "magic": b"LFA1",
        "empty": written("mse", bytes(8), zero, zero),
        "three": written("mse(reduction=sum)", kept, three, three),
        "infinite": written("rmse", kept, infinite, three),
        "nan": written("mae", kept, nan, nan),
        "widest": written("mse", kept, widest, widest),
        "beyond": written("mse", kept, finite(1, 1, b"\1" * 288), three),
        "gap": written("mse", kept, finite(1, 3, b"\0\1"), three),
        "most_kept": written("mse(reduction=mean_units)", b"\xff" * 8, three, three),
        "two_terms": written("mse + 0.5*mae", kept, three, three, kept, three, three),
        "other_text": written(" mse ( ) ", kept, three, three),
        "no_sums": written("mse(reduction=none)", kept, three, three),
        "kappa": written("weighted_kappa", kept, three, three, struct.pack("<Q", 2), *[three] * 5),
        "kappa_no_classes": written("weighted_kappa", kept, three, three, bytes(8)),
        "kappa_most_classes": written("weighted_kappa", kept, three, three, b"\xff" * 8, *[zero] * 9),
        "kappa_2_62": written("weighted_kappa", kept, three, three, struct.pack("<Q", 1 << 62), *[zero] * 9),
        "long_spec": b"LFA1" + b"\xff" * 4 + b"mse\0" + bytes(32),
        "more": written("mse", kept, three, three, b"\0"),
        "less": written("mse", kept, three),
    }
    seeds = {f"bytes_{name}": b"\0" + text for name, text in texts.items()}
    for kind in (1, 2, 3):
        for i in range(8):
            seeds[f"drawn_{kind}{i}"] = bytes([kind]) + random.randbytes(16 + 12 * i)
    return seeds


SEEDS = {"spec": spec_seeds, "run": run_seeds, "accumulator": accumulator_seeds}


def write_seeds() -> None:
    for target, make in SEEDS.items():
        folder = HERE / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("seed_*"):
            old.unlink()
        for name, data in make().items():
            (folder / f"seed_{name}").write_bytes(data)


def dictionary() -> str:
    """Every name, parameter and choice; quoted as libFuzzer reads it."""
    sys.path.insert(0, str(HERE.parent))
    import clib

    words = {*"()[],=*+-'", '\\"', "true", "false", "none", "inf", "nan", "1e308", "1e309", "4e-324"}
    common = clib.lib.lossfn_common_option_count()
    for name in clib.names():
        info = clib.describe(name)
        words.update([name, *filter(None, info.aliases.decode().split(", "))])
        for i in range(info.n_params + common):
            param = clib.describe_param(name, i)
            words.add(f"{param.name.decode()}=")
            words.update(filter(None, param.choices.decode().split(", ")))
    return "".join(f'"{word}"\n' for word in sorted(words))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dictionary", type=Path, metavar="FILE")
    options = parser.parse_args()
    if options.dictionary:
        options.dictionary.write_text(dictionary())
    else:
        write_seeds()


if __name__ == "__main__":
    main()
