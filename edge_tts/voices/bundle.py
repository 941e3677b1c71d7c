"""A voice on disk: a folder with voice.json, ONNX graphs and other files, each with its checksum."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_tts.errors import BundleError
from edge_tts.request import explain

MANIFEST = "voice.json"

Precision = Literal["int8", "fp16", "fp32"]
SMALLEST_FIRST: tuple[Precision, ...] = ("int8", "fp16", "fp32")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GraphFile(_Part):
    """One ONNX file that computes a graph in one precision."""

    file: str
    precision: Precision
    sha256: str


class Streaming(_Part):
    """Numbers that chunked synthesis needs."""

    hop: int = Field(gt=0)
    """Samples per frame of the decoder."""
    receptive_field: int = Field(0, ge=0)
    """Context frames on either side for which a chunk is exact."""
    overlap: int = Field(0, ge=0)
    """Samples by which neighbouring chunks overlap; 0 where chunks are exact."""


class Golden(_Part):
    """A short utterance and what the voice must make of it on any machine."""

    phonemes: str
    """ARPAbet words apart by ` | `, ending with a mark: `HH AH0 L OW1 .`"""
    duration_ms: int = Field(gt=0)
    levels_db: tuple[float, ...]
    """RMS level of each 100 ms, relative to full scale."""
    tolerance_db: float = Field(6.0, gt=0)


class Manifest(_Part):
    """voice.json."""

    format: Literal[1] = 1
    name: str
    family: str
    language: str
    sample_rate: int = Field(ge=8000, le=48000)
    license: str
    teacher: str = ""
    description: str = ""
    graphs: dict[str, tuple[GraphFile, ...]]
    """By graph name; each graph's files in order of preference."""
    files: dict[str, str] = Field(default_factory=dict)
    """Other files the voice needs, with their sha256."""
    symbols: tuple[str, ...] = ()
    """Front-end symbols in the order of their ids."""
    styles: tuple[str, ...] = ()
    streaming: Streaming
    golden: Golden | None = None
    quality: dict[str, Any] = Field(default_factory=dict)
    """Measured figures, e.g. {"int8": {"p808": 3.8, "wer": 20.0}}."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """What only the family understands."""


class Bundle:
    """A voice folder whose manifest has been read; files are checked when they are asked for."""

    def __init__(self, folder: Path) -> None:
        """Read voice.json. Raises BundleError naming the file and the key."""
        self.folder = folder
        path = folder / MANIFEST
        try:
            self.manifest = Manifest.model_validate(json.loads(path.read_bytes()))
        except OSError as error:
            raise BundleError(f"{path}: cannot be read: {error.strerror}") from error
        except ValidationError as error:
            raise BundleError(f"{path}: {explain(error)}") from error
        except (ValueError, RecursionError) as error:
            raise BundleError(f"{path}: not valid JSON: {error}") from error
        for name in self.checksums():
            if Path(name).name != name:
                raise BundleError(f"{path}: {name!r} must be a plain file name in the voice's folder")

    @property
    def name(self) -> str:
        """The voice's name, as requests use it."""
        return self.manifest.name

    def checksums(self) -> dict[str, str]:
        """Every file the manifest lists, with its sha256."""
        sums = {item.file: item.sha256 for files in self.manifest.graphs.values() for item in files}
        return {**sums, **self.manifest.files}

    def file(self, name: str) -> Path:
        """The path of a listed file, its checksum verified. Raises BundleError naming the file."""
        path = self.folder / name
        try:
            expected = self.checksums()[name]
        except KeyError:
            raise BundleError(f"{self.folder / MANIFEST}: {name} is not listed") from None
        if sha256(path) != expected:
            raise BundleError(
                f"{path}: damaged or truncated (its sha256 differs from {MANIFEST}); copy the voice again"
            )
        return path

    def precisions(self) -> tuple[Precision, ...]:
        """The precisions there is a choice of, in order of preference; without a choice, the smallest there is."""
        graphs = self.manifest.graphs.values()
        choice = dict.fromkeys(item.precision for files in graphs if len(files) > 1 for item in files)
        if choice:
            return tuple(choice)
        present = {item.precision for files in graphs for item in files}
        return tuple(item for item in SMALLEST_FIRST if item in present)[:1]

    def graph(self, name: str, precision: Precision) -> Path:
        """The verified file of a graph in `precision`; a graph with a single file has that one for every precision."""
        files = self.manifest.graphs.get(name)
        if not files:
            raise BundleError(f"{self.folder / MANIFEST}: graphs.{name} is missing")
        for item in files:
            if item.precision == precision or len(files) == 1:
                return self.file(item.file)
        offered = ", ".join(item.precision for item in files)
        raise BundleError(f"{self.folder / MANIFEST}: graphs.{name} has no {precision} file (only {offered})")


def sha256(path: Path) -> str:
    """The file's SHA-256 in hexadecimal. Raises BundleError when it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror}") from error
    return digest.hexdigest()
