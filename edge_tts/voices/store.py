"""The voices that are loaded: the default one always, and the last other one that a request asked for."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from edge_tts.errors import BundleError, EdgeTtsError, UnknownLanguage
from edge_tts.voices.base import Voice
from edge_tts.voices.bundle import MANIFEST, sha256
from edge_tts.voices.precision import PrecisionMemory, load_best
from edge_tts.voices.registry import find_bundles, open_bundle, voice_directories

log = logging.getLogger(__name__)


class VoiceStore:
    """Loads voices by name or language. Thread-safe."""

    def __init__(
        self, default: str, directory: Path | None, precision: str, threads: int, state_folder: Path | None
    ) -> None:
        """Nothing is loaded yet; call `load_default`."""
        self.default = default
        self._directories = voice_directories(directory)
        self._precision = precision
        self._threads = threads
        self._memory = PrecisionMemory(state_folder)
        self._loaded: dict[str, Voice] = {}
        self._editions: dict[str, str] = {}
        self._lock = threading.RLock()

    def load_default(self) -> Voice:
        """Load the default voice, or any other installed one when it is not usable.

        Raises the default voice's error when there is no usable voice at all.
        """
        try:
            return self.voice_for(None, None)
        except EdgeTtsError as error:
            log.error("the default voice cannot be used: %s", error)
            for name in find_bundles(self._directories):
                if name == self.default:
                    continue
                try:
                    voice = self._load(name)
                except EdgeTtsError as other:
                    log.error("%s", other)
                    continue
                log.warning("speaking with %s instead of %s", name, self.default)
                self.default = name
                return voice
            raise

    def voice_for(self, name: str | None, language: str | None) -> Voice:
        """The voice called `name`, else one that speaks `language`, else the default.

        Raises UnknownVoice, UnknownLanguage or BundleError; the voices loaded so far stay.
        """
        with self._lock:
            voice = self._load(name or self.default)
            if name is not None or language is None or _speaks(voice.language, language):
                return voice
            for other in find_bundles(self._directories):
                try:
                    bundle = open_bundle(other, self._directories)
                except BundleError as error:
                    log.warning("%s", error)
                    continue
                if _speaks(bundle.manifest.language, language):
                    return self._load(other)
            raise UnknownLanguage(f"no installed voice speaks {language!r}")

    def choose_default(self, name: str) -> None:
        """Make `name` the default voice once it has loaded. Raises UnknownVoice or BundleError and changes nothing."""
        with self._lock:
            self._load(name)
            self.default = name

    def edition(self, voice: Voice) -> str:
        """Changes with the contents of a loaded voice's folder."""
        return self._editions.get(voice.name, "")

    def _load(self, name: str) -> Voice:
        with self._lock:
            if name not in self._loaded:
                bundle = open_bundle(name, self._directories)
                self._loaded[name] = load_best(bundle, self._precision, self._memory, self._threads)
                self._editions[name] = sha256(bundle.folder / MANIFEST)
                self._forget_all_but({name, self.default})
            return self._loaded[name]

    def _forget_all_but(self, kept: set[str]) -> None:
        # Dropped, not closed: the worker may be speaking with one of them, whose memory goes with its last session.
        for name in set(self._loaded) - kept:
            del self._loaded[name]


def _speaks(voice_language: str, wanted: str) -> bool:
    voice, wanted = voice_language.lower().replace("_", "-"), wanted.lower().replace("_", "-")
    return voice == wanted or voice.split("-")[0] == wanted or voice == wanted.split("-")[0]
