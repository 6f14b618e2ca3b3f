import json

import pytest
import yaml
from helpers import tiny_config
from hypothesis import given
from strategies import configs

from pyannote_prune import WavLMConfig, cost
from pyannote_prune.wavlm.presets import PRESETS


@given(configs())
def test_dictionary_round_trip(config):
    plain = config.to_dict()
    assert WavLMConfig.from_dict(plain) == config
    assert WavLMConfig.from_dict(json.loads(json.dumps(plain))) == config
    assert WavLMConfig.from_dict(yaml.safe_load(yaml.safe_dump(plain))) == config


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_a_round_trip(name):
    config = WavLMConfig.preset(name)
    assert WavLMConfig.from_dict(config.to_dict()) == config


def test_unknown_preset_is_refused_with_the_nearest_one():
    with pytest.raises(ValueError, match=r"`name` must be one of .*did you mean 'base-s80-md'"):
        WavLMConfig.preset("base-s80")


def test_misspelt_key_is_refused_with_the_nearest_one():
    plain = tiny_config().to_dict() | {"num_head": 3}
    with pytest.raises(ValueError, match=r"Unknown key 'num_head'.*did you mean 'num_heads'"):
        WavLMConfig.from_dict(plain)


def test_missing_key_is_named():
    plain = tiny_config().to_dict()
    del plain["layers"]
    with pytest.raises(ValueError, match="Missing keys.*'layers'"):
        WavLMConfig.from_dict(plain)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_heads": 5}, "`embed_dim` must be a multiple of `num_heads`"),
        ({"position_groups": 7}, "`embed_dim` must be a multiple of `position_groups`"),
        ({"embed_dim": 0}, "`embed_dim` must be an integer, at least 1"),
        ({"embed_dim": "48"}, "`embed_dim` must be an integer"),
        ({"embed_dim": True}, "`embed_dim` must be an integer"),
        ({"conv_norm": "batch"}, "`conv_norm` must be"),
        ({"norm_first": 1}, "`norm_first` must be true or false"),
        ({"dropout": 1.0}, r"`dropout` must be in \[0, 1\)"),
        ({"layer_drop": -0.1}, r"`layer_drop` must be in \[0, 1\)"),
        ({"max_distance": 8}, "`max_distance` must be an integer, at least 9"),
        ({"convolutions": []}, "`convolutions` must not be empty"),
        ({"layers": []}, "`layers` must not be empty"),
        ({"layers": [{"heads": [1, 0], "neurons": 1}]}, r"`layers\[0\].heads` must be increasing"),
        ({"layers": [{"heads": [0, 4], "neurons": 1}]}, r"increasing indices below 4"),
        ({"layers": [{"heads": [0, 0], "neurons": 1}]}, r"`layers\[0\].heads` must be increasing"),
        ({"layers": [{"heads": [0], "neurons": -1}]}, r"`layers\[0\].neurons` must be an integer"),
        ({"layers": [3]}, r"`layers\[0\]` must be a dictionary, found int"),
        (
            {"convolutions": [{"channels": 0, "kernel": 10, "stride": 5}]},
            r"`convolutions\[0\].channels` must be an integer, at least 1, found 0",
        ),
    ],
)
def test_impossible_value_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        WavLMConfig.from_dict(tiny_config().to_dict() | change)


def test_tiny_preset_has_the_structure_that_its_documentation_says():
    config = WavLMConfig.preset("tiny")
    assert (config.num_layers, config.embed_dim, config.num_heads) == (4, 96, 4)
    assert {layer.neurons for layer in config.layers} == {384}
    assert {convolution.channels for convolution in config.convolutions} == {32}
    assert cost(config).parameters == 488240
