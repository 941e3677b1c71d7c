"""Pack CMUdict and our additions into the lexicon that ships with the package.

    python tools/pack_lexicon.py cmudict.dict

`cmudict.dict` is the dictionary as https://github.com/cmusphinx/cmudict publishes it; the shipped lexicon was packed
from the file with SHA-256 81917843c7f44ce2b094ac63873c2c7a4cf802040792c455ba3ca406891c3d22.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from edge_tts.frontend.lexicon import pack
from edge_tts.frontend.symbols import PHONE_INDEX

ROOT = Path(__file__).resolve().parent.parent
ADDITIONS = ROOT / "tools" / "lexicon_additions.dict"
TARGET = ROOT / "edge_tts" / "frontend" / "data" / "en_us.lexicon"
_WORD = re.compile(r"[a-z][a-z'.-]*")


def read_dict(path: Path) -> dict[str, tuple[str, ...]]:
    """Words and their first pronunciation from a file in CMUdict's format; further ones (`word(2)`) are left out."""
    entries: dict[str, tuple[str, ...]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        word, *phones = line.partition("#")[0].split() or [""]
        if not _WORD.fullmatch(word) or word in entries:
            continue
        unknown = [phone for phone in phones if phone not in PHONE_INDEX]
        if unknown or not phones:
            raise ValueError(f"{path}: {word!r} has no readable phones: {line}")
        entries[word] = tuple(phones)
    return entries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cmudict", type=Path, help="cmudict.dict as published by Carnegie Mellon University")
    parser.add_argument("--additions", type=Path, default=ADDITIONS)
    parser.add_argument("-o", "--output", type=Path, default=TARGET)
    args = parser.parse_args()
    entries = read_dict(args.cmudict) | read_dict(args.additions)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_bytes(pack(entries.items()))
    print(f"{args.output}: {len(entries)} words, {args.output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
