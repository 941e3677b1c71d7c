"""One path from a request's content, whatever its form, to what the synthesizer speaks."""

from __future__ import annotations

from collections.abc import Iterator

from edge_tts.errors import BadRequest
from edge_tts.frontend.base import SpokenPart
from edge_tts.frontend.phonemize import parse_phonemes, phonemizer_for
from edge_tts.frontend.ssml import ssml_parts


def parts(
    *, text: str | None = None, ssml: str | None = None, phonemes: str | None = None, language: str
) -> Iterator[SpokenPart]:
    """The sentences of a text, an SSML document or ARPAbet phonemes (exactly one is given), worked out lazily.

    Raises BadRequest, NothingToSay or UnknownLanguage at the call, before there is an iterator.
    """
    if phonemes is not None:
        return iter([SpokenPart(sentence) for sentence in parse_phonemes(phonemes)])
    phonemizer = phonemizer_for(language)
    if ssml is not None:
        return ssml_parts(ssml, phonemizer)
    if text is None:
        raise BadRequest("give text, ssml or phonemes")
    return map(SpokenPart, phonemizer.sentences(text))
