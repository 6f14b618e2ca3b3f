"""Step of distillation-pruning, to be timed"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ...pruning.distillation import layer_distance, matched_layers
from ...pruning.prune import gate
from ...pruning.sparsity import SparsityPenalty, expected_sparsity
from ...wavlm.config import WavLMConfig
from ...wavlm.cost import cost
from ...wavlm.encoder import WavLM
from ...wavlm.gates import gates_of


def distillation_step(preset: str, waveforms: Tensor) -> Callable[[], None]:
    """Make a function that runs one step of `DistillationPruning`, without loading data

    Parameters
    ----------
    preset : str
        Structure of the teacher, whose weights are random.
    waveforms : (batch_size, num_samples) torch.Tensor
    """
    teacher = WavLM(WavLMConfig.preset(preset)).to(waveforms.device).eval()
    student = gate(teacher).train()
    penalty, dense = SparsityPenalty().to(waveforms.device), cost(teacher)
    layers = matched_layers(teacher.config.num_layers)
    gates = [gates.log_alpha for gates in gates_of(student)]
    others = {id(parameter) for parameter in gates}
    weights = [p for p in student.parameters() if p.requires_grad and id(p) not in others]
    optimizer = torch.optim.AdamW(
        [
            {"params": weights, "lr": 2e-4},
            {"params": gates, "lr": 2e-2},
            {"params": [*penalty.parameters()], "lr": 2e-2, "maximize": True},
        ],
        weight_decay=0.0,
    )

    def select(wavlm: WavLM) -> Tensor:
        hidden_states = wavlm(waveforms)
        return torch.stack([hidden_states[layer] for layer in layers], dim=1)

    def step():
        with torch.no_grad():
            expected = select(teacher)
        with torch.enable_grad():
            loss = layer_distance(select(student), expected)
            loss = loss + penalty(expected_sparsity(student, dense), 0.8)
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step
