"""Sets and tables of words, written as plain text."""

from __future__ import annotations


def word_set(text: str) -> frozenset[str]:
    """The words of `text`, which are apart by white space."""
    return frozenset(text.split())


def word_map(text: str) -> dict[str, str]:
    """A table of `key value` pairs apart by semicolons; a value may be several words."""
    entries = (entry.split(None, 1) for entry in text.split(";"))
    return {key: " ".join(value.split()) for key, value in entries}
