"""A pronouncing dictionary that opens at once: 126,000 words in 1.6 MB, memory-mapped, found by binary search.

File format (little endian), written by tools/pack_lexicon.py:

    8 bytes   b"ETLEX01\\n"
    u32       number of words
    u32       number of blocks
    u32       size of the file
    u32 × n   where each block begins, counted from the start of the file
    blocks    up to BLOCK words in order of their bytes; each word is
              u8 bytes shared with the word before it in the block, u8 length of the rest, the rest,
              u8 number of phones, one byte per phone (its index in symbols.PHONES)
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable
from pathlib import Path

from edge_tts.errors import BundleError
from edge_tts.frontend.symbols import PHONE_INDEX, PHONES

MAGIC = b"ETLEX01\n"
BLOCK = 8
_HEADER = struct.Struct("<8sIII")


class Lexicon:
    """Words and their phones, read from a packed file. Raises BundleError when the file is absent or damaged."""

    def __init__(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            magic, words, blocks, size = _HEADER.unpack_from(self._data)
            self._words = int(words)
            self._blocks: tuple[int, ...] = struct.unpack_from(f"<{blocks}I", self._data, _HEADER.size)
        except (OSError, ValueError, struct.error) as error:
            raise BundleError(f"{path}: not a readable lexicon: {error}; install the package again") from error
        if magic == MAGIC and size != len(self._data):
            raise BundleError(f"{path}: damaged, {len(self._data)} of {size} bytes; install the package again")
        if magic != MAGIC:
            raise BundleError(f"{path}: not a lexicon of this version; write it with tools/pack_lexicon.py")

    def __len__(self) -> int:
        return self._words

    def get(self, word: str) -> tuple[str, ...] | None:
        """The phones of a lower-case word, or None if it is not listed."""
        key = word.encode()
        low, high = 0, len(self._blocks)
        while high - low > 1:
            middle = (low + high) // 2
            if self._head(self._blocks[middle]) <= key:
                low = middle
            else:
                high = middle
        return self._scan(self._blocks[low], key) if self._blocks else None

    def _head(self, offset: int) -> bytes:
        return self._data[offset + 2 : offset + 2 + self._data[offset + 1]]

    def _scan(self, offset: int, key: bytes) -> tuple[str, ...] | None:
        data, word = self._data, b""
        for _ in range(BLOCK):
            if offset >= len(data):
                return None
            begin = offset + 2
            end = begin + data[offset + 1]
            word = word[: data[offset]] + data[begin:end]
            phones = data[end + 1 : end + 1 + data[end]]
            if word == key:
                return tuple(PHONES[index] for index in phones)
            if word > key:
                return None
            offset = end + 1 + len(phones)
        return None


def pack(entries: Iterable[tuple[str, tuple[str, ...]]]) -> bytes:
    """The bytes of a lexicon file for these words, which must be distinct."""
    words = sorted((word.encode(), bytes(PHONE_INDEX[phone] for phone in phones)) for word, phones in entries)
    blocks: list[bytes] = []
    for first in range(0, len(words), BLOCK):
        block, before = bytearray(), b""
        for word, phones in words[first : first + BLOCK]:
            shared = 0
            while shared < min(len(before), len(word)) and before[shared] == word[shared]:
                shared += 1
            block += bytes((shared, len(word) - shared)) + word[shared:] + bytes((len(phones),)) + phones
            before = word
        blocks.append(bytes(block))
    offset = _HEADER.size + 4 * len(blocks)
    index = bytearray()
    for part in blocks:
        index += struct.pack("<I", offset)
        offset += len(part)
    return _HEADER.pack(MAGIC, len(words), len(blocks), offset) + bytes(index) + b"".join(blocks)
