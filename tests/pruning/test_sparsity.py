import copy

import pytest
import torch
from helpers import LARGE_STYLE, TINY, randomize, relative_error, tiny_config

from pyannote_prune import WavLM, cost, gate, prune
from pyannote_prune.pruning.distillation import layer_distance
from pyannote_prune.pruning.scope import settle_all
from pyannote_prune.pruning.sparsity import (
    SparsityPenalty,
    expected_sparsity,
    maximum_sparsity,
    meet_target,
    reached_sparsity,
    target_at,
)
from pyannote_prune.recipe.quickstart import small_wavlm
from pyannote_prune.wavlm.config import WavLMConfig
from pyannote_prune.wavlm.gates import gates_of
from pyannote_prune.wavlm.units import UNITS as KINDS


def gated_encoder(units=("channel", "head", "neuron"), spread=3.0):
    dense = WavLM(small_wavlm())
    gated = gate(dense, units)
    with torch.no_grad():
        for gates in gates_of(gated):
            gates.log_alpha.normal_(0, spread)
    return gated.eval(), cost(dense)


@pytest.mark.parametrize("units", [("channel", "head", "neuron"), tuple(KINDS)])
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


@pytest.mark.parametrize("units", [("channel", "head", "neuron"), tuple(KINDS)])
def test_meeting_the_target_keeps_the_values_of_units_that_stay(units):
    """Where gates say so already, nothing changes, whatever their values are"""
    gated, dense = gated_encoder(units)
    reached = reached_sparsity(gated, dense)
    met = meet_target(gated, reached, dense)
    waveforms = torch.randn(1, 4000)
    for found, expected in zip(met(waveforms), gated(waveforms), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    for before, after in zip(gates_of(gated), gates_of(met), strict=True):
        assert torch.equal(before.kept(), after.kept())
        assert (after.values() == 1).all()

    # the encoder itself is left as it was, and a shift of all gates would be another function
    other = copy.deepcopy(gated)
    for gates in gates_of(other):
        gates.log_alpha.data += 1.0
    assert relative_error(other(waveforms)[-1], gated(waveforms)[-1]) > 1e-3


@pytest.mark.parametrize("objective", ["parameters", "macs"])
@pytest.mark.parametrize("change", [-0.1, -0.01, 0.01, 0.1])
def test_units_of_low_value_per_cost_go_first(objective, change):
    """All units closed (opened) of one kind and layer are worth less (more) than those that stay"""
    gated, dense = gated_encoder()
    target = reached_sparsity(gated, dense, objective) + change
    met = meet_target(gated, target, dense, objective)
    changed = 0
    for before, after in zip(gates_of(gated), gates_of(met), strict=True):
        was, stays = (mask_of(gates) for gates in (before, after))
        changed += (was != stays).sum()
        if was.sum() != stays.sum() and stays.any() and not stays.all():
            values = before.soft_values()
            assert values[stays].min() > values[~stays].max()
    assert changed > 0
    assert abs(reached_sparsity(met, dense, objective) - target) < 0.005


def mask_of(gates) -> torch.Tensor:
    mask = torch.zeros(gates.num_gates, dtype=torch.bool)
    mask[gates.kept()] = True
    return mask


@pytest.mark.parametrize("objective", ["parameters", "macs"])
@pytest.mark.parametrize("large", [False, True], ids=["base", "large"])
@pytest.mark.parametrize("seed", [0, 1])
def test_units_that_are_closed_matter_less_to_the_teacher_than_others(objective, large, seed):
    """Than as many of the same layers and kinds, whose gates are worth most; few hardly matter"""
    torch.manual_seed(seed)
    dropouts = dict.fromkeys(("dropout", "projection_dropout", "attention_dropout"), 0.0)
    style = LARGE_STYLE if large else {}
    # no unit is larger than a change
    sizes = {"num_layers": 3, "neurons": 96, "channels": 16} | TINY | {"num_heads": 12}
    config = WavLMConfig.dense(**sizes | style | dropouts)
    teacher = WavLM(config).eval()
    randomize(teacher)
    student, dense = gate(teacher).train(), cost(teacher)
    distance = train_gates(student, teacher, dense, objective)
    trained = reached_sparsity(student, dense, objective)
    assert 0.3 < trained < 0.7
    before = distance(student.eval())
    ours = others = 0.0
    for change in (-0.019, -0.005, 0.005, 0.019, 0.05):
        met = meet_target(student, trained + change, dense, objective)
        reached = reached_sparsity(met, dense, objective)
        assert reached == pytest.approx(trained + change, abs=0.004)
        if change < 0.01:
            assert distance(met) < before + 0.05, change
        if change > 0:
            opposite = settle_all(student, closed_in_reverse(student, met))
            assert reached == reached_sparsity(opposite, dense, objective)
            ours += distance(met)
            others += distance(opposite)
    assert ours < others


def closed_in_reverse(gated, met) -> list[torch.Tensor]:
    """Close as many units of each layer and kind as were closed, those of highest value"""
    masks = []
    for before, after in zip(gates_of(gated), gates_of(met), strict=True):
        stays = mask_of(after)
        was = mask_of(before) | stays
        values = before.soft_values().detach().where(was, torch.tensor(-1.0))
        was[values.argsort(descending=True)[: was.sum() - stays.sum()]] = False
        masks.append(was)
    return masks


def train_gates(student, teacher, dense, objective, num_steps=120):
    """Train gates and weights for a moment, and return a function that measures the distance"""
    multipliers = SparsityPenalty()
    gates = [gates.log_alpha for gates in gates_of(student)]
    others = {id(p) for p in gates}
    weights = [p for p in student.parameters() if p.requires_grad and id(p) not in others]
    ascent = {"params": [*multipliers.parameters()], "lr": 0.05, "maximize": True}
    groups = [{"params": weights, "lr": 1e-3}, {"params": gates, "lr": 0.2}, ascent]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.0)

    def distance(wavlm, waveforms) -> torch.Tensor:
        with torch.no_grad():
            expected = torch.stack(teacher(waveforms), dim=1)
        return layer_distance(torch.stack(wavlm(waveforms), dim=1), expected)

    for step in range(num_steps):
        optimizer.zero_grad()
        target = target_at(step / (0.4 * num_steps), 0.5)
        penalty = multipliers(expected_sparsity(student, dense, objective), target)
        (distance(student, torch.randn(2, 2000).cumsum(1) / 30) + penalty).backward()
        optimizer.step()
    held_out = torch.randn(8, 2000).cumsum(1) / 30
    return lambda wavlm: distance(wavlm, held_out).item()


def test_prune_meets_a_target():
    gated, dense = gated_encoder()
    assert abs(reached_sparsity(gated, dense) - 0.8) > 0.01
    pruned = prune(gated, target_sparsity=0.8)
    assert 1 - cost(pruned).parameters / dense.parameters == pytest.approx(0.8, abs=0.005)
    with pytest.raises(ValueError, match="must have gates, found none"):
        prune(pruned, target_sparsity=0.8)


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
