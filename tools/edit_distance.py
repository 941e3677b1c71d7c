"""How far two sequences are apart: the measure behind word and phone error rates."""

from __future__ import annotations

from collections.abc import Sequence


def edit_distance(reference: Sequence[str], other: Sequence[str]) -> int:
    """Insertions, deletions and substitutions that turn one sequence of words or phones into another (Levenshtein)."""
    row = list(range(len(other) + 1))
    for i, expected in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, found in enumerate(other, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (expected != found))
    return row[-1]
