"""Costs of whole models: those of WavLM are in `tests/wavlm/test_cost.py`"""

import pytest
import torch
from helpers import tiny_config
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import heads, prunable_conformers
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pyannote_prune import WavLMSegmentation, cost, gate, prune
from pyannote_prune.segmentation.cost import (
    expected_model_cost,
    head_cost_per_part,
    model_cost,
    pruned_model_cost,
)
from pyannote_prune.segmentation.head import Head
from pyannote_prune.segmentation.specifications import powerset_specifications
from pyannote_prune.segmentation.units import HEAD_UNITS
from pyannote_prune.wavlm.gates import SATURATED, gates_of

CONFIG = tiny_config()


def model_with(head: Head, **options) -> WavLMSegmentation:
    model = WavLMSegmentation(CONFIG, head=head, **options)
    model.specifications = powerset_specifications(2.0, 3, 2)
    model.setup()
    return model.eval()


@settings(max_examples=40, deadline=None)
@given(heads(CONFIG.embed_dim))
def test_parameters_are_those_of_the_model(head):
    model = model_with(head)
    assert model_cost(model).parameters == sum(p.numel() for p in model.parameters())
    parts = sum(head_cost_per_part(model).values(), start=cost(model.wavlm))
    assert parts == model_cost(model)


@settings(max_examples=20, deadline=None)
@given(heads(CONFIG.embed_dim))
def test_operations_are_those_that_pytorch_counts(head):
    """But for LSTMs, whose products it does not see"""
    assume(head.lstm is None)
    model = model_with(head)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        # without the encoder, whose convolutions see other numbers of frames
        states = [torch.randn(1, 49, CONFIG.embed_dim)] * (CONFIG.num_layers + 1)
        model.scores(states)
    expected = sum(part.macs_per_second for part in head_cost_per_part(model).values())
    assert counter.get_total_flops() == 2 * expected


@settings(max_examples=12, deadline=None)
@given(prunable_conformers(), st.integers(0, 2**31))
def test_expected_cost_with_saturated_gates_is_the_count(case, seed):
    options, units = case
    dense = model_with(Head(conformer=options))
    gated = gate(dense, ("head", *units))
    assert model_cost(gated) == model_cost(dense)
    generator = torch.Generator().manual_seed(seed)
    for gates in gates_of(gated):
        gates.settle(torch.rand(gates.num_gates, generator=generator) < 0.3)
    expected, counted = expected_model_cost(gated), model_cost(prune(gated))
    assert pruned_model_cost(gated) == counted
    assert expected.parameters.item() == pytest.approx(counted.parameters, rel=1e-5)
    assert expected.macs_per_second.item() == pytest.approx(counted.macs_per_second, rel=1e-5)


def test_expected_cost_decreases_with_every_gate_of_the_head():
    gated = gate(model_with(Head(conformer={"input_dim": 16, "ffn_dim": 8})), tuple(HEAD_UNITS))
    expected = expected_model_cost(gated)
    (expected.parameters + expected.macs_per_second).backward()
    assert len(gates_of(gated)) == 16
    for gates in gates_of(gated):
        assert (gates.log_alpha.grad > 0).all()


def test_gates_count_nothing():
    model = model_with(Head())
    gated = gate(model, ("head", "conformer_head"))
    for gates in gates_of(gated):
        gates.log_alpha.data.fill_(SATURATED)
    assert pruned_model_cost(gated) == model_cost(gated) == model_cost(model)
