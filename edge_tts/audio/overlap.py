"""Cross-fade of consecutive chunks that cover the same samples at their seam."""

from __future__ import annotations

import numpy as np

from edge_tts.audio.chunk import Samples

_NOTHING: Samples = np.zeros(0, np.float32)


class OverlapAdder:
    """Joins chunks of which each begins with the last `overlap` samples of the one before.

    The weights are raised cosines that sum to one, so a seam between equal signals is the signal itself. A chunk
    covers at most what came before it and at most its own length: over chunks of n[k] samples the output grows by
    n[k] - min(overlap, output so far, n[k]).
    """

    def __init__(self, overlap: int) -> None:
        if overlap < 0:
            raise ValueError(f"overlap is {overlap} samples; it cannot be negative")
        self._overlap = overlap
        self._held = _NOTHING

    def push(self, chunk: Samples) -> Samples:
        """The samples that no later chunk can change any more, shape [n], n may be 0."""
        if self._overlap == 0:
            return chunk
        seam = min(len(self._held), len(chunk))
        before, old = np.split(self._held, [len(self._held) - seam])
        mixed = old + rising(seam) * (chunk[:seam] - old)
        joined = np.concatenate([before, mixed, chunk[seam:]])
        done, self._held = np.split(joined, [max(0, len(joined) - self._overlap)])
        return done

    def flush(self) -> Samples:
        """The tail after the last chunk, shape [n]; the next push begins anew."""
        tail, self._held = self._held, _NOTHING
        return tail


def rising(count: int) -> Samples:
    """The rising half of a raised cosine, shape [count]; mirrored in time it is one minus itself."""
    return (0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / max(count, 1))).astype(np.float32)
