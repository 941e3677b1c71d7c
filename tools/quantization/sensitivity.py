"""How much each layer loses in INT8, and which layers go back to float until the loss is acceptable."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Loss = Callable[[Collection[str]], float]
"""The signal-to-noise ratio in dB of a graph, against its float form, with these nodes in INT8."""
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """Which nodes of a graph are computed in INT8, and what that costs."""

    snr_db: float
    int8: tuple[str, ...]
    kept: tuple[str, ...] = ()
    """Nodes that went back to float, the worst first."""
    layers: Mapping[str, float] = field(default_factory=dict)
    """SNR in dB with one node alone in INT8; empty where nobody asked and nothing had to go back."""


def snr_db(wanted: npt.NDArray[np.float32], got: npt.NDArray[np.float32]) -> float:
    """Signal-to-noise ratio of `got` in dB, at most 200; minus infinity when it is not finite."""
    if not np.isfinite(got).all():
        return -np.inf
    noise = np.square(wanted.astype(np.float64) - got).sum()
    signal = np.square(wanted.astype(np.float64)).sum()
    return min(10 * float(np.log10(max(signal, 1e-30) / max(noise, 1e-30))), 200.0)


def layer_report(nodes: Sequence[str], loss: Loss, progress: Progress) -> dict[str, float]:
    """The SNR with each node alone in INT8, the worst first."""
    report = {}
    for number, node in enumerate(nodes, 1):
        report[node] = loss([node])
        progress(f"{number}/{len(nodes)} {node}: {report[node]:.1f} dB")
    return dict(sorted(report.items(), key=lambda item: item[1]))


def retreat(nodes: Sequence[str], loss: Loss, target_db: float, progress: Progress, report: bool = False) -> Outcome:
    """As many nodes in INT8 as `target_db` allows; the worst ones go back to float first.

    The noise of the layers adds up, nearly: how many have to go is predicted from what each does alone, scaled to what
    they did together, and then measured.
    """
    current = loss(nodes)
    if current >= target_db and not report:
        return Outcome(current, tuple(nodes))
    layers = layer_report(nodes, loss, progress)
    order = list(layers)
    noise = np.array([10 ** (-layers[node] / 10) for node in order])
    gone = 0
    while current < target_db and gone < len(order):
        rest = np.array([noise[count:].sum() for count in range(gone, len(order) + 1)])
        if np.isfinite(current):
            enough = np.flatnonzero(rest[1:] * 10 ** (-current / 10) <= rest[0] * 10 ** (-target_db / 10))
        else:
            enough = np.flatnonzero(np.isfinite(rest[1:]))
        gone += 1 + int(enough[0])
        current = loss(order[gone:])
        progress(f"{gone} of {len(order)} layers in float: {current:.1f} dB")
    kept = frozenset(order[:gone])
    return Outcome(current, tuple(node for node in nodes if node not in kept), tuple(order[:gone]), layers)
