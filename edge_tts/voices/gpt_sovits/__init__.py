"""GPT-SoVITS v2 voices on a board: an autoregressive token model, latents, flow and decoder in onnxruntime."""

from edge_tts.voices.gpt_sovits.voice import load

__all__ = ["load"]
