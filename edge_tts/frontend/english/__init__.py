"""The English front end."""

from edge_tts.frontend.english.phonemizer import EnglishPhonemizer

__all__ = ["EnglishPhonemizer"]
