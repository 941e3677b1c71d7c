"""The shape of a reading rule: a pattern at the present place, and what it is read as."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from edge_tts.frontend.word_lists import word_set


@dataclass
class Context:
    """What a rule may look at besides its own match."""

    is_word: Callable[[str], bool]
    """Whether the dictionary lists a lower-case word."""
    shouting: bool = False
    """The whole sentence is in capitals, so that capitals mean nothing."""
    spoken: list[str] = field(default_factory=list)
    """Tokens read so far."""

    @property
    def last(self) -> str:
        """The token before this one, or an empty string."""
        return self.spoken[-1] if self.spoken else ""


Reader = Callable[["re.Match[str]", Context], "list[str] | None"]
"""Tokens for a match; None: this rule does not apply after all."""
Rule = tuple["re.Pattern[str]", Reader]

NUMBER = (
    r"(?:\d{1,3}(?:,\d{3}){1,8}(?!\d|,\d)(?:\.\d{1,60})?"
    r"|(?<!\d,)\d{1,9},\d{1,2}(?![\d,])"
    r"|\d{1,400}(?:\.\d{1,60})?)"
)
"""An unsigned number: `1,234.5`, `3.14`, or with a decimal comma `3,5`.

Quantifiers here and in the rules are bounded and alternatives exclusive, so that no text makes a pattern backtrack far.
"""
PLACES = word_set(
    "aisle apartment bay building counter desk dock door exit gate lane locker platform room row seat section slot "
    "stand stop terminal unit zone"
)
"""What is numbered with a letter behind: `gate 7A`."""
SIGN = r"(?:(?<![\w.)])[-−+±])?"
_SIGNS = {"-": ["minus"], "−": ["minus"], "+": ["plus"], "±": ["plus", "or", "minus"]}


def sign(text: str) -> list[str]:
    """The words for what SIGN matched."""
    return _SIGNS[text] if text else []
