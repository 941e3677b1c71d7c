"""The speech parameters of a source-filter voice: 80 envelope points, log F0, voicing and 6 band periodicities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

SAMPLE_RATE = 24_000
FRAME = 240
"""Samples per parameter frame: 10 ms."""
POINTS = 80
BANDS = np.array([500.0, 1500.0, 3000.0, 5000.0, 7000.0, 10000.0])
"""Hz: where periodicity is known."""
COLUMNS = POINTS + 2 + len(BANDS)
"""Numbers per frame: envelope points (log amplitude), log F0, voicing, band periodicities."""


def mel(hertz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Mel scale (O'Shaughnessy 1987)."""
    return 2595.0 * np.log10(1.0 + hertz / 700.0)


def interpolation(frequencies: npt.NDArray[np.float64], knots: npt.NDArray[np.float64]) -> Array:
    """Matrix [frequencies, knots] of linear interpolation between sorted `knots`, held constant outside them."""
    columns = [np.interp(frequencies, knots, row) for row in np.eye(len(knots))]
    return np.stack(columns, axis=1).astype(np.float32)


def envelope_matrix(bins: int) -> Array:
    """Matrix [bins, POINTS]: mel-spaced log-envelope points to `bins` linear frequencies from 0 to Nyquist."""
    frequencies = np.linspace(0.0, SAMPLE_RATE / 2, bins)
    top = mel(np.array([SAMPLE_RATE / 2]))[0]
    return interpolation(mel(frequencies), np.linspace(0.0, top, POINTS))


def periodicity_matrix(bins: int) -> Array:
    """Matrix [bins, 6]: band periodicities to `bins` linear frequencies from 0 to Nyquist."""
    return interpolation(np.linspace(0.0, SAMPLE_RATE / 2, bins), BANDS)
