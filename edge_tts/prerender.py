"""Phrases synthesized ahead of time, so that a slow board says them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from edge_tts.errors import BadRequest, EdgeTtsError
from edge_tts.rendering import Renderer
from edge_tts.request import make_request
from edge_tts.synthesizer import FrontEnd
from edge_tts.voices.base import Delivery, Voice


def prerender(
    lines: Iterable[str], front_end: FrontEnd, voice: Voice, renderer: Renderer, say: Callable[[str], None] = print
) -> int:
    """Store the sound of each line's sentences, spoken without options; returns how many lines could not be.

    Empty lines and lines that begin with # are passed over.
    """
    failures = 0
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            request = make_request({"text": text}, source="prerender")
            phrases = [
                renderer.keep(voice, part.sentence, Delivery(part.rate, part.pitch))
                for part in front_end(request, voice.language)
            ]
        except EdgeTtsError as error:
            failures += 1
            say(f"line {number}: {error}")
            if not isinstance(error, BadRequest):
                break
        except OSError as error:
            say(f"line {number}: cannot be stored: {error}")
            return failures + 1
        else:
            seconds = sum(len(phrase.pcm) for phrase in phrases) / voice.sample_rate
            say(f"{seconds:5.1f} s  {text}")
    return failures
