"""One-shot pruning keeps the units of largest weights, as they were"""

import pytest
import torch
from helpers import randomize, relative_error, tiny_config, tiny_model

from pyannote_prune import cost, gate
from pyannote_prune.benchmark.accuracy.magnitude import magnitudes, prune_by_magnitude

UNITS = ("channel", "head", "neuron")


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("objective", ["parameters", "macs"])
@pytest.mark.parametrize("per_layer", [False, True])
@pytest.mark.parametrize("target", [0.3, 0.6])
def test_target_is_met_and_the_model_left_as_it_was(target, per_layer, objective, large):
    model = tiny_model(tiny_config(large))
    randomize(model)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    pruned = prune_by_magnitude(model, target, objective, per_layer=per_layer)
    name = {"parameters": "parameters", "macs": "macs_per_second"}[objective]
    removed = 1 - getattr(cost(pruned.wavlm), name) / getattr(cost(model.wavlm), name)
    # units of the tiny encoder are large, and none exceeds the target
    assert target - 0.01 < removed <= target
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("unit", UNITS)
def test_units_of_small_weights_go_first(unit):
    model = tiny_model()
    randomize(model)
    with torch.no_grad():
        for convolution in model.wavlm.extractor.convolutions:
            convolution.conv.weight[3] *= 1e-3
            if convolution.conv.in_channels > 1:
                convolution.conv.weight[:, 3] *= 1e-3
        model.wavlm.projection.linear.weight[:, 3] *= 1e-3
        for layer in model.wavlm.layers:
            for name in ("query", "key", "value"):
                getattr(layer.attention, name).weight[12:24] *= 1e-3  # second head
            layer.attention.output.weight[:, 12:24] *= 1e-3
            layer.feed_forward.input.weight[5] *= 1e-3
            layer.feed_forward.output.weight[:, 5] *= 1e-3
    weakest = {"channel": 3, "head": 1, "neuron": 5}[unit]
    found = [values for _, values in magnitudes(gate(model, (unit,)).wavlm)]
    assert [values.argmin().item() for values in found] == [weakest] * len(found)
    assert len(found) == {"channel": 7, "head": 2, "neuron": 2}[unit]

    pruned = prune_by_magnitude(model, 0.02, units=(unit,))
    kept = [i for i in range(40) if i != weakest]
    if unit == "head":
        assert {layer.heads for layer in pruned.wavlm.config.layers} <= {(0, 1, 2, 3), (0, 2, 3)}
    for old, new in zip(model.wavlm.layers, pruned.wavlm.layers, strict=True):
        # what is left is as it was
        if new.feed_forward.input.out_features == 39:
            assert torch.equal(new.feed_forward.input.weight, old.feed_forward.input.weight[kept])


def test_removing_units_without_weights_changes_nothing():
    model = tiny_model()
    randomize(model)
    with torch.no_grad():
        for layer in model.wavlm.layers:
            layer.feed_forward.output.weight[:, :20] = 0.0
            layer.feed_forward.input.weight[:20] = 0.0
    waveforms = torch.randn(2, 1, 32000)
    target = 0.9 * (2 * 20 * (2 * 48 + 1)) / cost(model.wavlm).parameters
    pruned = prune_by_magnitude(model, target, units=("neuron",))
    assert cost(pruned.wavlm).parameters < cost(model.wavlm).parameters
    with torch.no_grad():
        assert relative_error(pruned(waveforms), model(waveforms)) < 1e-5


def test_target_beyond_reach_and_unknown_units_are_refused():
    model = tiny_model()
    with pytest.raises(ValueError, match="`target_sparsity` must be at most"):
        prune_by_magnitude(model, 0.9, units=("head",))
    with pytest.raises(ValueError, match=r"`units` must be among .* found \('attention',\)"):
        prune_by_magnitude(model, 0.5, units=("attention",))


def test_a_threshold_for_each_layer_removes_the_same_share_of_all():
    """Also where one layer has smaller weights, as a whole or for half of its units"""
    model = tiny_model()
    randomize(model)
    with torch.no_grad():
        first = model.wavlm.layers[0].feed_forward
        first.input.weight[:20] *= 1e-3
        first.output.weight[:, :20] *= 1e-3
    one, each = (prune_by_magnitude(model, 0.5, per_layer=per_layer) for per_layer in (False, True))
    neurons = [
        [layer.neurons for layer in pruned.wavlm.config.layers] for pruned in (one, each, model)
    ]
    spread = [max(found) - min(found) for found in neurons]
    assert spread[0] > 3 >= 1 >= spread[1]
    share, config, dense = neurons[1][0] / neurons[2][0], each.wavlm.config, model.wavlm.config
    kept = [(len(a.heads), len(b.heads)) for a, b in zip(config.layers, dense.layers, strict=True)]
    convolutions = zip(config.convolutions, dense.convolutions, strict=True)
    kept += [(a.channels, b.channels) for a, b in convolutions]
    for found, full in kept:
        assert abs(found / full - share) <= 1 / full
