"""Turn a GPT-SoVITS bundle in fp32 into one in INT8: a quarter of the size and of the memory, twice as fast.

    python -m tools.quantize_gpt_sovits voices/nora-fp32 models_int8/en-nora-gpt_sovits [--texts sentences.txt]

The voice speaks the texts in fp32; what flows between its layers then sets the scales of the INT8 convolutions. Layers
that lose too much stay float. What each graph loses is in the new voice.json under `quality`.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from edge_tts.errors import EdgeTtsError
from edge_tts.voices.bundle import Bundle
from tools.quantization.calibration import sample_sentences
from tools.quantization.gpt_sovits import Targets, quantize_bundle


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="bundle with fp32 graphs")
    parser.add_argument("target", type=Path, help="folder of the new bundle; its name becomes the voice's name")
    parser.add_argument("--texts", type=Path, metavar="FILE", help="what to calibrate with, one sentence per line")
    parser.add_argument(
        "--target-snr",
        type=float,
        default=Targets.wave,
        metavar="DB",
        help="least SNR of the waveform with one graph in INT8 (%(default)s)",
    )
    parser.add_argument(
        "--target-logits-snr",
        type=float,
        default=Targets.logits,
        metavar="DB",
        help="least SNR of the token model's scores (%(default)s)",
    )
    parser.add_argument(
        "--keep",
        action="append",
        choices=("fp16", "fp32"),
        default=[],
        help="also put graphs of this precision into the bundle, as a fallback",
    )
    parser.add_argument("--report", action="store_true", help="measure every layer alone, also where all can be INT8")
    args = parser.parse_args()
    try:
        source = Bundle(args.source)
        sentences = sample_sentences(source.manifest.language, args.texts)
        targets = Targets(args.target_snr, args.target_logits_snr)
        manifest = quantize_bundle(
            source, args.target, sentences, targets, args.keep, args.report, partial(print, flush=True)
        )
    except EdgeTtsError as error:
        sys.exit(f"error: {error}")
    before, after = (sum(path.stat().st_size for path in folder.iterdir()) for folder in (args.source, args.target))
    whole = manifest.quality["int8"]
    print(f"{args.target}: {after / 1e6:.0f} MB of {before / 1e6:.0f} MB ({after / before:.2f})")
    print(
        f"waveform {whole['waveform_snr_db']} dB, likeliest token agrees {100 * whole['likeliest_token_agrees']:.0f} %"
    )


if __name__ == "__main__":
    main()
