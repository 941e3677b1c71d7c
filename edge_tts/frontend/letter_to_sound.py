"""Phones for words no dictionary lists."""

from __future__ import annotations

_LETTERS = {
    **{"a": "AE", "b": "B", "c": "K", "d": "D", "e": "EH", "f": "F", "g": "G", "h": "HH", "i": "IH", "j": "JH"},
    **{"k": "K", "l": "L", "m": "M", "n": "N", "o": "AA", "p": "P", "q": "K", "r": "R", "s": "S", "t": "T"},
    **{"u": "AH", "v": "V", "w": "W", "x": "K S", "y": "IY", "z": "Z"},
}


class LetterToSound:
    """Reads a word letter by letter."""

    def phones(self, word: str) -> tuple[str, ...]:
        """ARPAbet with stress for a word of the letters a to z."""
        phones = " ".join(_LETTERS[letter] for letter in word if letter in _LETTERS).split()
        vowels = [at for at, phone in enumerate(phones) if phone[0] in "AEIOU"]
        return tuple(
            phone + ("1" if at == vowels[0] else "0") if at in vowels else phone for at, phone in enumerate(phones)
        )
