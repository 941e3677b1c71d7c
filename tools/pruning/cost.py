"""What a model costs to run: multiply-accumulates, counted from the operations it really executes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode


def macs(run: Callable[[], object]) -> int:
    """Multiply-accumulates of the matrix products and convolutions that `run` executes."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops()) // 2


def shapes(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without their values, weight norm folded: a model built from them under `torch.device("meta")`
    computes nothing, and still says what it would compute.
    """
    plain = {
        name.removesuffix("_v") if name.endswith(".weight_v") else name: tensor
        for name, tensor in tensors.items()
        if not name.endswith(".weight_g")
    }
    return {name: tensor.to("meta") for name, tensor in plain.items()}
