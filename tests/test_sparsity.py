import pytest
import torch
from helpers import tiny_config

from pyannote_prune import WavLM, cost, gate, prune
from pyannote_prune.gates import DROP_RATES
from pyannote_prune.quickstart import small_wavlm
from pyannote_prune.sparsity import (
    SparsityPenalty,
    expected_sparsity,
    gates_of,
    maximum_sparsity,
    meet_target,
    reached_sparsity,
    target_at,
)


def gated_encoder(units=("channel", "head", "neuron"), spread=3.0):
    dense = WavLM(small_wavlm())
    gated = gate(dense, units)
    with torch.no_grad():
        for gates in gates_of(gated):
            gates.log_alpha.normal_(0, spread)
    return gated.eval(), cost(dense)


@pytest.mark.parametrize("units", [("channel", "head", "neuron"), tuple(DROP_RATES)])
@pytest.mark.parametrize("objective", ["parameters", "macs"])
@pytest.mark.parametrize("target", [0.0, 0.5, 0.8, 0.9])
def test_target_is_met_within_half_a_percent(units, objective, target):
    gated, dense = gated_encoder(units)
    maximum = maximum_sparsity(gated, dense, objective)
    target = min(target, maximum - 0.01)
    assert abs(reached_sparsity(gated, dense, objective) - target) > 0.01
    met = meet_target(gated, target, dense, objective)
    pruned = prune(met)
    name = {"parameters": "parameters", "macs": "macs_per_second"}[objective]
    reached = 1 - getattr(cost(pruned), name) / getattr(dense, name)
    assert reached == pytest.approx(reached_sparsity(met, dense, objective))
    assert abs(reached - target) < 0.005

    # what was chosen is what is deployed
    waveforms = torch.randn(1, 4000)
    torch.testing.assert_close(pruned(waveforms)[-1], met(waveforms)[-1], rtol=0, atol=1e-4)


def test_meeting_the_target_keeps_the_order_of_gates():
    gated, dense = gated_encoder()
    met = meet_target(gated, 0.7, dense)
    for before, after in zip(gates_of(gated), gates_of(met), strict=True):
        assert torch.equal(before.log_alpha.argsort(), after.log_alpha.argsort())


def test_target_beyond_reach_gives_the_maximum():
    gated, dense = gated_encoder(("head",))
    maximum = maximum_sparsity(gated, dense)
    with pytest.raises(ValueError, match=f"must be at most {maximum:.4f} .* gates on head"):
        meet_target(gated, 0.8, dense)
    # and the maximum is what closing everything gives
    with torch.no_grad():
        for gates in gates_of(gated):
            gates.log_alpha.fill_(-50.0)
    assert 1 - cost(prune(gated)).parameters / dense.parameters == pytest.approx(maximum)


@pytest.mark.parametrize("objective", ["parameters", "macs"])
def test_penalty_drives_sparsity_to_target(objective):
    """Gradient descent on gates, ascent on multipliers, nothing else"""
    dense = WavLM(tiny_config())
    gated, penalty = gate(dense), SparsityPenalty()
    gates = [gate_.log_alpha for gate_ in gates_of(gated)]
    optimizer = torch.optim.AdamW(
        [
            {"params": gates, "lr": 5e-2},
            {"params": list(penalty.parameters()), "lr": 5e-2, "maximize": True},
        ],
        weight_decay=0.0,
    )
    assert expected_sparsity(gated, cost(dense), objective) < 0.3
    for step in range(600):
        expected = expected_sparsity(gated, cost(dense), objective)
        optimizer.zero_grad()
        penalty(expected, target_at(step / 100, 0.6)).backward()
        optimizer.step()
    assert abs(expected.item() - 0.6) < 0.03


def test_target_grows_linearly_then_stays():
    assert [target_at(p, 0.8) for p in (0, 0.5, 1, 7)] == [0, 0.4, 0.8, 0.8]


def test_unknown_objective_and_impossible_target_are_refused():
    gated, dense = gated_encoder()
    with pytest.raises(ValueError, match="`objective` must be one of 'parameters', 'macs'"):
        meet_target(gated, 0.5, dense, "flops")
    for target in (-0.1, 1.0, 80):
        with pytest.raises(ValueError, match=r"`target_sparsity` must be in \[0, 1\), found"):
            meet_target(gated, target, dense)
