"""Turn written English into spoken words."""

from __future__ import annotations

import re
import unicodedata

from num2words import num2words

_TOKEN = re.compile(r"[A-Za-z][A-Za-z']*|\d+|[,;:()]")


def normalize(text: str) -> list[str]:
    """Lower-case words, upper-case single letters that are spelled, and the marks `,` `;` `:`."""
    text = unicodedata.normalize("NFKD", text.replace("’", "'")).encode("ascii", "ignore").decode()
    tokens: list[str] = []
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token.isdigit():
            tokens += num2words(int(token[:30])).replace(",", "").replace("-", " ").split()
        elif token in "()":
            tokens.append(",")
        else:
            tokens.append(token.lower().strip("'") or ",")
    return tokens
