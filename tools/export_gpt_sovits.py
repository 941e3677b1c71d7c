"""Turn a GPT-SoVITS voice (s1 .ckpt, s2 .pth, a reference clip with its text) into a bundle for the daemon.

    python -m tools.export_gpt_sovits --gpt voice.ckpt --sovits voice.pth --reference clip.wav --text "What is said." \\
        --hubert pretrained_models/chinese-hubert-base --out voices/nora-fp32 --int8 models_int8/en-nora-gpt_sovits

v2, v2Pro and v2ProPlus voices. HuBERT, the speaker model and BERT stay on the workstation: only what they say about the
reference goes into the bundle. A voice with several styles takes --styles, a JSON file such as

    {"calm": {"clips": ["calm.wav"], "text": "…"}, "cheerful": {"clips": ["a.wav", "b.wav"], "text": "what a.wav says"}}

whose keys are those of tools.gpt_sovits.reference.StyleSource; its paths are relative to the file, the first style is
the default.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edge_tts.errors import EdgeTtsError, UnknownLanguage
from edge_tts.frontend.phonemize import phonemizer_for
from edge_tts.request import explain
from edge_tts.voices.bundle import Bundle
from edge_tts.voices.gpt_sovits.phones import phone_ids as spell
from tools.gpt_sovits.checkpoint import read_gpt, read_sovits
from tools.gpt_sovits.export import symbols, write_bundle
from tools.gpt_sovits.reference import BadReference, StyleSource, phone_ids, style_arrays
from tools.quantization.calibration import sample_sentences
from tools.quantization.gpt_sovits import Targets, quantize_bundle


def read_styles(path: Path) -> dict[str, StyleSource]:
    """The styles of a JSON file by name. Raises BadReference naming the file and the key."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadReference(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BadReference(f"{path}: not valid JSON: {error}") from error
    if not isinstance(content, dict) or not content:
        raise BadReference(f'{path}: must be an object of styles, {{"calm": {{"clips": ["calm.wav"], "text": "…"}}}}')
    return {name: make_style(name, fields, path) for name, fields in content.items()}


def make_style(name: str, fields: Any, path: Path) -> StyleSource:
    """A style from JSON fields, its paths made relative to the file's folder. Raises BadReference."""
    if not re.fullmatch(r"[a-z0-9_-]+", name):
        raise BadReference(f"{path}: style {name!r}: use small letters, digits, - and _")
    try:
        source = StyleSource.model_validate(fields)
    except ValidationError as error:
        raise BadReference(f"{path}: {name}: {explain(error)}") from error
    base = path.parent
    moved: dict[str, Any] = {"clips": tuple(base / clip for clip in source.clips)}
    moved["speakers"] = tuple(base / speaker for speaker in source.speakers)
    for key in ("tokens", "features", "bert"):
        value = getattr(source, key)
        moved[key] = None if value is None else base / value
    return source.model_copy(update=moved)


def reference_phones(source: StyleSource, language: str) -> list[int]:
    """Ids of what the first clip says, spelled as the runtime spells what it speaks. Raises BadReference."""
    where = str(source.clips[0])
    if source.phones is not None:
        return phone_ids(symbols(), source.phones, where)
    if source.text is None or not source.text.strip():
        raise BadReference(f"{where}: give the text that is said in it, or its phones")
    known = {symbol: number for number, symbol in enumerate(symbols())}
    try:
        sentences = phonemizer_for(language).phonemize(source.text)
    except UnknownLanguage as error:
        raise BadReference(f"{where}: there is no front end for {language}; give the phones of the clip") from error
    return [int(phone) for sentence in sentences for phone in spell(sentence, known)]


def folder_size(folder: Path) -> float:
    """MB of the files in a folder."""
    return sum(path.stat().st_size for path in folder.iterdir()) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpt", type=Path, required=True, metavar="CKPT", help="s1 model")
    parser.add_argument("--sovits", type=Path, required=True, metavar="PTH", help="s2 model")
    parser.add_argument("--out", type=Path, required=True, help="bundle folder; its name becomes the voice's name")
    parser.add_argument(
        "--reference", type=Path, action="append", metavar="WAV", help="3-10 s; more than one: mean timbre"
    )
    parser.add_argument("--text", help="what the first reference clip says")
    parser.add_argument("--phones", help="the same as the model's symbols: 'HH AH0 L OW1 .'")
    parser.add_argument("--styles", type=Path, metavar="JSON", help="several styles, in place of --reference")
    parser.add_argument("--hubert", type=Path, metavar="DIR", help="local chinese-hubert-base folder")
    parser.add_argument("--features", type=Path, metavar="NPY", help="HuBERT features of the first clip, [768, frames]")
    parser.add_argument("--tokens", type=Path, metavar="NPY", help="prompt tokens of the first clip")
    parser.add_argument(
        "--bert", type=Path, metavar="NPY", help="BERT features of a Chinese reference text, [1024, phones]"
    )
    parser.add_argument(
        "--speaker", type=Path, action="append", metavar="NPY", help="speaker embedding per clip, [20480] (v2Pro)"
    )
    parser.add_argument("--speaker-model", type=Path, metavar="CKPT", help="ERes2NetV2 file of GPT-SoVITS (v2Pro)")
    parser.add_argument("--language", default="en-US", help="what the voice speaks (en-US)")
    parser.add_argument("--license", default="not stated", help="licence of the voice")
    parser.add_argument("--description", default="")
    parser.add_argument(
        "--int8", type=Path, metavar="DIR", help="also write the voice in INT8 there, see tools.quantize_gpt_sovits"
    )
    args = parser.parse_args()
    if (args.styles is None) == (args.reference is None):
        parser.error("give either --reference or --styles")
    try:
        if args.styles is not None:
            sources = read_styles(args.styles)
        else:
            sources = {
                "default": StyleSource(
                    clips=tuple(args.reference),
                    text=args.text,
                    phones=args.phones,
                    tokens=args.tokens,
                    features=args.features,
                    bert=args.bert,
                    speakers=tuple(args.speaker or ()),
                )
            }
        gpt, sovits = read_gpt(args.gpt), read_sovits(args.sovits)
        styles = {}
        for name, source in sources.items():
            phones = reference_phones(source, args.language)
            styles[name] = style_arrays(gpt, sovits, source, phones, args.hubert, args.speaker_model)
            print(f"style {name}: {len(styles[name]['prompt_tokens'])} prompt tokens")
        write_bundle(
            args.out, gpt, sovits, styles, language=args.language, license=args.license, description=args.description
        )
        print(f"{args.out}: GPT-SoVITS {sovits.version}, {folder_size(args.out):.0f} MB")
        if args.int8 is not None:
            quantize_bundle(Bundle(args.out), args.int8, sample_sentences(args.language, None), Targets())
            print(f"{args.int8}: INT8, {folder_size(args.int8):.0f} MB")
    except EdgeTtsError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
