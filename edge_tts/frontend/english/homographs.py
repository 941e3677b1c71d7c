"""Words whose sound depends on their part of speech, chosen by the words beside them.

The hints are deliberately few: a determiner or preposition before the word makes it a noun (or adjective), a pronoun,
auxiliary or `to` makes it a verb, and so does an object after a word that opens a clause (`Record a message.`).
"""

from __future__ import annotations

from collections.abc import Sequence

from edge_tts.frontend.english.inflect import plural_phones
from edge_tts.frontend.word_lists import word_set

_TABLE = """
abuse n AH0 B Y UW1 S | AH0 B Y UW1 Z
advocate n AE1 D V AH0 K AH0 T | AE1 D V AH0 K EY2 T
aggregate n AE1 G R AH0 G AH0 T | AE1 G R AH0 G EY2 T
alternate n AO1 L T ER0 N AH0 T | AO1 L T ER0 N EY2 T
approximate n AH0 P R AA1 K S AH0 M AH0 T | AH0 P R AA1 K S AH0 M EY2 T
articulate n AA0 R T IH1 K Y AH0 L AH0 T | AA0 R T IH1 K Y AH0 L EY2 T
associate n AH0 S OW1 SH IY0 AH0 T | AH0 S OW1 SH IY0 EY2 T
attribute n AE1 T R AH0 B Y UW2 T | AH0 T R IH1 B Y UW2 T
close v K L OW1 S | K L OW1 Z
combine v K AA1 M B AY0 N | K AH0 M B AY1 N
compact n K AA1 M P AE2 K T | K AH0 M P AE1 K T
compound n K AA1 M P AW0 N D | K AH0 M P AW1 N D
conduct v K AA1 N D AH0 K T | K AH0 N D AH1 K T
conflict n K AA1 N F L IH0 K T | K AH0 N F L IH1 K T
console n K AA1 N S OW0 L | K AH0 N S OW1 L
content n K AA1 N T EH0 N T | K AH0 N T EH1 N T
contest n K AA1 N T EH0 S T | K AH0 N T EH1 S T
contract n K AA1 N T R AE2 K T | K AH0 N T R AE1 K T
convert v K AA1 N V ER0 T | K AH0 N V ER1 T
convict n K AA1 N V IH0 K T | K AH0 N V IH1 K T
coordinate n K OW0 AO1 R D AH0 N AH0 T | K OW0 AO1 R D AH0 N EY2 T
decrease v D IY1 K R IY2 S | D IH0 K R IY1 S
delegate n D EH1 L AH0 G AH0 T | D EH1 L AH0 G EY2 T
deliberate n D IH0 L IH1 B ER0 AH0 T | D IH0 L IH1 B ER0 EY2 T
desert n D EH1 Z ER0 T | D IH0 Z ER1 T
digest v D AY1 JH EH0 S T | D AY0 JH EH1 S T
discount n D IH1 S K AW0 N T | D IH0 S K AW1 N T
duplicate n D UW1 P L AH0 K AH0 T | D UW1 P L AH0 K EY2 T
elaborate n IH0 L AE1 B R AH0 T | IH0 L AE1 B ER0 EY2 T
escort n EH1 S K AO0 R T | EH0 S K AO1 R T
estimate n EH1 S T AH0 M AH0 T | EH1 S T AH0 M EY2 T
excuse v IH0 K S K Y UW1 S | IH0 K S K Y UW1 Z
export n EH1 K S P AO0 R T | EH0 K S P AO1 R T
extract v EH1 K S T R AE2 K T | IH0 K S T R AE1 K T
graduate n G R AE1 JH AH0 W AH0 T | G R AE1 JH AH0 W EY2 T
impact n IH1 M P AE0 K T | IH2 M P AE1 K T
import v IH1 M P AO2 R T | IH2 M P AO1 R T
incline n IH1 N K L AY0 N | IH2 N K L AY1 N
increase v IH1 N K R IY2 S | IH2 N K R IY1 S
insert v IH1 N S ER2 T | IH2 N S ER1 T
insult n IH1 N S AH2 L T | IH2 N S AH1 L T
lead v L EH1 D | L IY1 D
live n L AY1 V | L IH1 V
minute n M IH1 N AH0 T | M AY0 N UW1 T
moderate n M AA1 D ER0 AH0 T | M AA1 D ER0 EY2 T
object n AA1 B JH EH0 K T | AH0 B JH EH1 K T
perfect n P ER1 F IH2 K T | P ER0 F EH1 K T
permit v P ER1 M IH2 T | P ER0 M IH1 T
present n P R EH1 Z AH0 N T | P R IY0 Z EH1 N T
produce v P R OW1 D UW0 S | P R AH0 D UW1 S
progress n P R AA1 G R EH2 S | P R AH0 G R EH1 S
project n P R AA1 JH EH0 K T | P R AH0 JH EH1 K T
protest n P R OW1 T EH2 S T | P R AH0 T EH1 S T
read v R EH1 D | R IY1 D
rebel n R EH1 B AH0 L | R IH0 B EH1 L
record n R EH1 K ER0 D | R IH0 K AO1 R D
refuse v R EH1 F Y UW2 Z | R AH0 F Y UW1 Z
reject v R IY1 JH EH0 K T | R IH0 JH EH1 K T
reset v R IY1 S EH0 T | R IY0 S EH1 T
separate n S EH1 P R AH0 T | S EH1 P ER0 EY2 T
subject n S AH1 B JH IH0 K T | S AH0 B JH EH1 K T
survey n S ER1 V EY2 | S ER0 V EY1
suspect v S AH1 S P EH2 K T | S AH0 S P EH1 K T
tear v T IH1 R | T EH1 R
transfer v T R AE1 N S F ER0 | T R AE0 N S F ER1
transport n T R AE1 N S P AO0 R T | T R AE0 N S P AO1 R T
update v AH1 P D EY2 T | AH0 P D EY1 T
upgrade v AH1 P G R EY2 D | AH0 P G R EY1 D
upset v AH1 P S EH2 T | AH0 P S EH1 T
use v Y UW1 S | Y UW1 Z
wind n W IH1 N D | W AY1 N D
wound n W UW1 N D | W AW1 N D
"""

Phones = tuple[str, ...]


def _parse(table: str) -> dict[str, tuple[str, Phones, Phones]]:
    entries = {}
    for line in table.strip().splitlines():
        word, default, phones = line.split(maxsplit=2)
        noun, _, verb = phones.partition("|")
        entries[word] = (default, tuple(noun.split()), tuple(verb.split()))
    return entries


_ENTRIES = _parse(_TABLE)
_BE = frozenset(("am", "is", "are", "was", "were", "be", "been", "being", "i'm", "it's", "you're", "we're", "they're"))
_DETERMINERS = word_set(
    """
    the a an this that these those my your his her its our their all each every no some any another both
    """
)
_NOUN_AFTER = (_DETERMINERS - {"all"}) | {
    *("of", "in", "on", "with", "for", "by", "per", "from", "at", "as", "new", "first", "last", "next", "one", "two"),
    *("more", "most", "very", "too", "so", "what", "which", "whose", "than", "into", "under", "about", "full"),
}
_VERB_AFTER = word_set(
    """
    to i you we they who will would can could shall should may might must not don't doesn't didn't can't cannot
    won't couldn't wouldn't shouldn't please let's always never do does did i'll you'll we'll they'll it'll he'll
    she'll let help people me us them
    """
)
_OBJECT = _DETERMINERS | {"it", "them", "me", "us", "him", "up", "down", "one", "two", "three", "only", "here", "with"}
_THIRD_PERSON = frozenset(("he", "she", "it", "who", "which", "that", "everyone", "nobody", "someone"))
_FOLLOWED = {
    "close": (frozenset(("to", "by", "together", "enough", "beside", "behind", "friend", "friends")), "n"),
    "content": (frozenset(("with",)), "v"),
    "lead": (frozenset(("acid", "poisoning", "pipe", "pipes", "paint", "solder")), "n"),
    "live": (frozenset(("in", "on", "at", "here", "there", "with", "together", "near", "longer", "alone")), "v"),
    "minute": (frozenset(("detail", "details", "amount", "amounts", "particles", "quantities", "differences")), "v"),
    "tear": (frozenset(("in", "along", "through", "off", "here", "up")), "v"),
    "wind": (frozenset(("up", "down", "around")), "v"),
    "wound": (frozenset(("up", "around", "down")), "v"),
}
_PAST = frozenset(
    ("have", "has", "had", "i've", "you've", "we've", "they've", "he", "she", "get", "got", "he's", "she's")
)
_LISTED_PLURALS = frozenset(("reads", "leads", "winds", "wounds", "deserts", "closes"))
"""Plurals that the dictionary pronounces well."""
_PAST_MARKS = frozenset(("yesterday", "ago", "earlier"))


def homograph(words: Sequence[str], at: int) -> Phones | None:
    """The phones of the word `words[at]` in its place, or None if it has one pronunciation only.

    `words` is a sentence as normalized tokens, breaks among them.
    """
    word = words[at]
    plural = word.endswith("s") and word[:-1] in _ENTRIES
    entry = _ENTRIES.get(word[:-1] if plural else word)
    if entry is None:
        return None
    default, noun, verb = entry
    before = words[at - 1] if at else ","
    after = words[at + 1] if at + 1 < len(words) else ","
    if plural:
        if word in _LISTED_PLURALS:
            return None
        return plural_phones(verb if _third_person(word[:-1], before, after, default) else noun)
    if word == "read":
        past = (
            before in _PAST or before in _BE or (at > 1 and words[at - 2] in _PAST) or not _PAST_MARKS.isdisjoint(words)
        )
        return noun if past else verb
    return verb if _part_of_speech(word, before, after, default) == "v" else noun


def _third_person(stem: str, before: str, after: str, default: str) -> bool:
    """Whether a word with an s is a verb: `she records it`, `Anna lives here`, but `the records`."""
    if before in _THIRD_PERSON:
        return True
    followers, part = _FOLLOWED.get(stem, (frozenset(), ""))
    likely = default == "v" or after in _DETERMINERS or (part == "v" and after in followers)
    return likely and before not in _NOUN_AFTER and before not in ",;:"


def _part_of_speech(word: str, before: str, after: str, default: str) -> str:
    words, part = _FOLLOWED.get(word, (frozenset(), ""))
    if after in words and (word == "minute" or before not in _NOUN_AFTER) and not (word == "live" and before in _BE):
        return part
    if word == "content":
        return "v" if before in _BE else default
    if before in _VERB_AFTER and word != "minute":
        return "v"
    if before in _NOUN_AFTER or before in _BE or before.endswith("'s"):
        return "v" if word == "lead" and after not in words else "n"
    if before in ",;:" and after in _OBJECT and word not in ("minute", "wound"):
        return "v"
    return default
