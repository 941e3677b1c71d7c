"""Tuning a GPT against the unpruned one: its distribution of every token of the user's texts."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from tools.distillation.losses import ALPHA, TEMPERATURE, distillation
from tools.distillation.sequences import Sequence, forward_sequence, sequence
from tools.distillation.trainer import Losses
from tools.distillation.utterances import Utterances
from tools.gpt_sovits.t2s import TextToSemantic
from tools.gpt_sovits.weights import Weights

SENTENCES_PER_STEP = 4


class GptTask:
    """The loss of one training step of a GPT: alpha * task + (1 - alpha) * KL * T² over several sentences."""

    def __init__(
        self,
        student: TextToSemantic,
        teacher: TextToSemantic,
        weights: Weights,
        utterances: Utterances,
        alpha: float = ALPHA,
        temperature: float = TEMPERATURE,
    ) -> None:
        """`weights` hold the embeddings, which pruning leaves alone and tuning does too."""
        self.student, self.teacher = student, teacher
        self.alpha, self.temperature = alpha, temperature
        device = student.head.weight.device
        self.sequences = [_to(sequence(weights, utterances, sentence), device) for sentence in utterances.sentences]

    def __call__(self, step: int) -> Losses:
        random = torch.Generator().manual_seed(step)
        chosen = torch.randint(len(self.sequences), (SENTENCES_PER_STEP,), generator=random)
        total = []
        for index in chosen.tolist():
            one = self.sequences[index]
            with torch.no_grad():
                taught = forward_sequence(self.teacher, one)
            made = forward_sequence(self.student, one)
            total.append(distillation(made, taught, one.targets, self.alpha, self.temperature))
        return {"distillation": torch.stack(total).mean()}

    def agreement(self) -> tuple[float, float]:
        """(KL of the teacher to the student in nats per token at T = 1, share of equal argmaxes) over all sentences."""
        divergence, equal, count = 0.0, 0, 0
        for one in self.sequences:
            with torch.no_grad():
                taught = torch.log_softmax(forward_sequence(self.teacher, one), 1)
                made = torch.log_softmax(forward_sequence(self.student, one), 1)
            divergence += float((taught.exp() * (taught - made)).sum())
            equal += int((taught.argmax(1) == made.argmax(1)).sum())
            count += len(taught)
        return divergence / count, equal / count


def trained_tensors(model: TextToSemantic, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`tensors` of a .ckpt with the model's weights put back in their types; embeddings stay as they were."""
    result = dict(tensors)
    for index, layer in enumerate(model.layers):
        name = f"model.h.layers.{index}"
        weight, bias = layer.in_proj.weight.detach().clone(), layer.in_proj.bias.detach().clone()
        queries = layer.heads * layer.head_width
        # the model holds its queries scaled
        weight[:queries] *= layer.head_width**0.5
        bias[:queries] *= layer.head_width**0.5
        new = {f"{name}.self_attn.in_proj_weight": weight, f"{name}.self_attn.in_proj_bias": bias}
        for inner, outer in (
            ("out_proj", "self_attn.out_proj"),
            ("linear1", "linear1"),
            ("linear2", "linear2"),
            ("norm1", "norm1"),
            ("norm2", "norm2"),
        ):
            part = getattr(layer, inner)
            new |= {f"{name}.{outer}.weight": part.weight, f"{name}.{outer}.bias": part.bias}
        result |= {key: value.detach().cpu().to(tensors[key].dtype) for key, value in new.items()}
    head = "model.ar_predict_layer.weight"
    result[head] = model.head.weight.detach().cpu().to(tensors[head].dtype)
    return result


def _to(one: Sequence, device: torch.device) -> Sequence:
    return Sequence(one.rows.to(device), one.mask.to(device), one.targets.to(device))
