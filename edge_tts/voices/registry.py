"""Which voices are installed, and loading one of them in the best precision that works here."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from edge_tts.errors import BundleError, EdgeTtsError, UnknownVoice
from edge_tts.voices.base import Voice
from edge_tts.voices.bundle import MANIFEST, Bundle, Precision
from edge_tts.voices.golden import check_golden

log = logging.getLogger(__name__)

ENTRY_POINTS = "edge_tts.voices"


class VoiceLoader(Protocol):
    """What a family registers under the entry-point group `edge_tts.voices`."""

    def __call__(self, bundle: Bundle, precision: Precision, threads: int) -> Voice:
        """Load the bundle. Raises BundleError naming the file that is at fault."""


def voice_directories(configured: Path | None = None) -> list[Path]:
    """Where voices are looked for: the configured folder, else the checkout's and the installed one."""
    if configured is not None:
        return [configured]
    checkout = Path(__file__).resolve().parents[2] / "models_int8"
    installed = Path(sys.prefix) / "share" / "edge-tts" / "models_int8"
    return [folder for folder in (checkout, installed) if folder.is_dir()]


def find_bundles(directories: Sequence[Path]) -> dict[str, Path]:
    """Voice folders by name; the first directory wins."""
    found: dict[str, Path] = {}
    for directory in directories:
        for manifest in sorted(directory.glob(f"*/{MANIFEST}")):
            found.setdefault(manifest.parent.name, manifest.parent)
    return found


def open_bundle(name: str, directories: Sequence[Path]) -> Bundle:
    """The bundle called `name`. Raises UnknownVoice listing what is installed, or BundleError."""
    bundles = find_bundles(directories)
    if name not in bundles:
        where = ", ".join(str(directory) for directory in directories) or "no voice directory"
        known = ", ".join(bundles) or f"none, looked in {where}"
        raise UnknownVoice(f"voice {name!r} is not installed (installed: {known})")
    bundle = Bundle(bundles[name])
    if bundle.name != name:
        raise BundleError(f"{bundle.folder / MANIFEST}: name is {bundle.name!r} but the folder is {name!r}")
    return bundle


def family_loader(family: str) -> VoiceLoader:
    """The loader registered for a family. Raises BundleError listing the families there are."""
    families = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if family not in families:
        raise BundleError(f"voice family {family!r} is unknown (known: {', '.join(sorted(families))})")
    loader: VoiceLoader = families[family].load()
    return loader


def load_voice(bundle: Bundle, order: Sequence[Precision], threads: int = 1) -> Voice:
    """Load a bundle in the first precision of `order` that loads and passes its golden utterance.

    Each precision that fails is logged in one line. Raises BundleError with the last reason when none is left.
    """
    loader = family_loader(bundle.manifest.family)
    reason: EdgeTtsError | None = None
    for precision in order:
        try:
            voice = loader(bundle, precision, threads)
        except EdgeTtsError as error:
            reason = error
        else:
            try:
                if bundle.manifest.golden is not None:
                    check_golden(voice, bundle.manifest.golden)
                return voice
            except EdgeTtsError as error:
                voice.close()
                reason = error
        log.warning("voice %s: %s is not usable: %s", bundle.name, precision, reason)
    raise BundleError(f"voice {bundle.name}: no usable graph is left ({reason})") from reason
