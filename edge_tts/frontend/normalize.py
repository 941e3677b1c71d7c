"""Bring any Unicode text to the plain letters, digits and marks that a language's rules are written for."""

from __future__ import annotations

import re
import unicodedata

from edge_tts.frontend.word_lists import word_map

_BEFORE_NFKC = str.maketrans(
    {
        **dict.fromkeys("‘’‛ʼ´`＇", "'"),
        **dict.fromkeys("“”„‟«»＂", '"'),
        **dict.fromkeys("‐‑‒﹣－", "-"),
        **dict.fromkeys("―⸺", "—"),
        **{"″": "in", "′": "ft", "⁄": "/", "…": "...", "∕": "/", "·": " ", "•": ", ", "‣": ", ", "●": ", ", "▪": ", "},
        **{"™": " ", "®": " ", "ª": "a", "º": "°", "\u2126": "\u03a9", "\u03bc": "\u00b5", "№": "No. "},
    }
)
_FRACTIONS = re.compile("[¼½¾⅐-⅞]")
_SUPERSCRIPTS = re.compile("\u207b?[⁰¹²³⁴-⁹]{1,40}")
_THIN_SPACES = re.compile("(?<=[0-9])[\u00a0\u2009\u202f](?=[0-9]{3}(?![0-9]))")
_LETTERS = str.maketrans(
    word_map(
        """
        ß ss; æ ae; Æ Ae; ø o; Ø O; œ oe; Œ Oe; ł l; Ł L; đ d; ð d; þ th
        """
    )
)
_INVISIBLE = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)


def clean(text: str) -> str:
    """`text` in NFKC without accents, invisible characters and typographic variants of quotes, dashes and digits.

    Fractions become `1/2` after a space, superscripts `^2`, digits of any script ASCII. Letters of other scripts stay.
    """
    text = _INVISIBLE.sub("", text)
    if text.isascii():
        return text.replace("`", "'") if "`" in text else text
    text = _FRACTIONS.sub(lambda match: " " + unicodedata.normalize("NFKC", match[0]), text)
    text = _SUPERSCRIPTS.sub(lambda match: "^" + unicodedata.normalize("NFKC", match[0]).replace("−", "-"), text)
    text = _THIN_SPACES.sub("", text)
    text = unicodedata.normalize("NFKC", text.translate(_BEFORE_NFKC)).translate(_BEFORE_NFKC)
    if not text.isascii():
        text = unicodedata.normalize("NFD", text.translate(_LETTERS))
        text = "".join(
            str(unicodedata.decimal(character, character)) for character in text if not unicodedata.combining(character)
        )
    return text
