"""Sparsity of WavLM, or of a whole model"""

import pytest
import torch
from helpers import randomize, relative_error, tiny_config, tiny_model

from pyannote_prune import WavLM, WavLMSegmentation, cost, gate, prune
from pyannote_prune.pruning.scope import SCOPES
from pyannote_prune.pruning.sparsity import (
    expected_sparsity,
    maximum_sparsity,
    meet_target,
    reached_sparsity,
)
from pyannote_prune.segmentation.cost import model_cost
from pyannote_prune.segmentation.specifications import powerset_specifications
from pyannote_prune.segmentation.units import HEAD_UNITS
from pyannote_prune.wavlm.gates import SATURATED, gates_of

HEAD = tuple(HEAD_UNITS)
UNITS = ("channel", "head", "neuron", *HEAD)
WAVEFORMS = torch.randn(2, 1, 4000, generator=torch.Generator().manual_seed(0))
# as large as its encoder
CONFORMER = {"input_dim": 32, "ffn_dim": 64, "num_layers": 2, "depthwise_conv_kernel_size": 7}


def gated_model(units=UNITS):
    """Dense model, and the same with random gates"""
    dense = WavLMSegmentation(tiny_config(), conformer=CONFORMER)
    dense.specifications = powerset_specifications(2.0, 3, 2)
    dense.setup()
    randomize(dense)
    gated = gate(dense, units)
    with torch.no_grad():
        for gates in gates_of(gated):
            gates.log_alpha.normal_(0, 3)
    return dense.eval(), gated.eval()


@pytest.mark.parametrize("objective", ["parameters", "macs"])
@pytest.mark.parametrize(
    ("units", "target"), [(UNITS, 0.1), (UNITS, 0.5), (HEAD, 0.05), (HEAD, 0.3)]
)
def test_target_of_the_whole_model_is_met(units, objective, target):
    dense, gated = gated_model(units)
    size = model_cost(dense)
    assert abs(reached_sparsity(gated, size, objective) - target) > 0.005
    met = meet_target(gated, target, size, objective)
    pruned = prune(met).eval()
    name = {"parameters": "parameters", "macs": "macs_per_second"}[objective]
    reached = 1 - getattr(model_cost(pruned), name) / getattr(size, name)
    assert reached == pytest.approx(reached_sparsity(met, size, objective))
    assert abs(reached - target) < 0.01
    assert relative_error(pruned(WAVEFORMS), met(WAVEFORMS)) < 1e-5
    again = prune(gated, target, objective, scope="model")
    assert torch.equal(again.eval()(WAVEFORMS), pruned(WAVEFORMS))


def test_selection_compares_units_of_head_and_encoder():
    """The same gates keep more of the head where they say so, at the same size of the model"""
    parameters = {}
    for favoured in ("conformer", "wavlm"):
        torch.manual_seed(0)
        dense, gated = gated_model()
        for name in ("conformer", "wavlm"):
            for gates in gates_of(getattr(gated, name)):
                gates.log_alpha.data = torch.rand(gates.num_gates) + 3.0 * (name == favoured)
        pruned = prune(gated, 0.4, scope="model")
        assert 1 - model_cost(pruned).parameters / model_cost(dense).parameters == pytest.approx(
            0.4, abs=0.01
        )
        parameters[favoured] = sum(p.numel() for p in pruned.conformer.parameters())
    assert parameters["conformer"] > 1.3 * parameters["wavlm"]


def test_meeting_the_target_keeps_the_values_of_units_that_stay():
    dense, gated = gated_model()
    size = model_cost(dense)
    met = meet_target(gated, reached_sparsity(gated, size), size)
    assert relative_error(met(WAVEFORMS), gated(WAVEFORMS)) < 1e-5
    for before, after in zip(gates_of(gated), gates_of(met), strict=True):
        assert torch.equal(before.kept(), after.kept())
        assert (after.values() == 1).all()
    # neither the model itself, nor its gates, did change
    assert any((gates.values() != 1).any() for gates in gates_of(gated))


def test_target_beyond_reach_gives_the_maximum_of_head_and_encoder():
    dense, gated = gated_model()
    size = model_cost(dense)
    maximum = maximum_sparsity(gated, size)
    for part in (HEAD, UNITS[:3]):
        assert maximum_sparsity(gate(dense, part), size) < maximum
    units = "channel, head, neuron, conformer_neuron, conformer_head, conformer_channel"
    with pytest.raises(ValueError, match=f"must be at most {maximum:.4f} .* gates on {units}"):
        prune(gated, 0.99, scope="model")
    for gates in gates_of(gated):
        gates.log_alpha.data.fill_(-SATURATED)
    closed = prune(gated)
    assert 1 - model_cost(closed).parameters / size.parameters == pytest.approx(maximum)
    # nothing but the last normalization is left of each layer
    assert sum(p.numel() for p in closed.conformer.parameters()) == 2 * 2 * 32
    assert closed.eval()(WAVEFORMS).isfinite().all()


def test_scope_of_a_model_without_gates_on_the_head():
    dense, gated = gated_model(("channel", "head", "neuron"))
    pruned = {scope: prune(gated, 0.3, scope=scope) for scope in SCOPES}
    assert cost(pruned["wavlm"].wavlm).parameters == pytest.approx(
        0.7 * cost(dense.wavlm).parameters, rel=0.01
    )
    assert model_cost(pruned["model"]).parameters == pytest.approx(
        0.7 * model_cost(dense).parameters, rel=0.01
    )
    assert all(model.head == dense.head for model in pruned.values())
    assert expected_sparsity(gated, model_cost(dense)) < expected_sparsity(
        gated.wavlm, cost(dense.wavlm)
    )


def test_scopes_that_do_not_fit_are_refused():
    _, gated = gated_model()
    with pytest.raises(ValueError, match="`scope` must be 'model' for a model with gates on 'con"):
        prune(gated, 0.5)
    with pytest.raises(ValueError, match=r"`scope` must be one of .*did you mean 'model'\?"):
        prune(gate(tiny_model()), 0.5, scope="models")
    with pytest.raises(ValueError, match="`scope` must be 'wavlm' for WavLM alone, found 'model'"):
        prune(gate(WavLM(tiny_config())), 0.5, scope="model")
