import pytest
from hypothesis import given, settings
from strategies import configs

from pyannote_prune import Cost, WavLM, WavLMConfig, cost
from pyannote_prune.wavlm.cost import cost_per_part

# published: Han et al. (Interspeech 2025), in millions and billions
PUBLISHED = {
    "base": (94.38, 6.91),
    "large": (315.45, 17.81),
    "base-s80-md": (18.88, 1.13),
    "large-s80-md": (63.10, 3.68),
}


@settings(max_examples=60, deadline=None)
@given(configs())
def test_parameters_are_those_of_the_encoder(config):
    wavlm = WavLM(config)
    assert cost(wavlm) == cost(config)
    assert cost(config).parameters == sum(p.numel() for p in wavlm.parameters())


@pytest.mark.parametrize(("name", "published"), PUBLISHED.items())
def test_presets_have_the_published_cost(name, published):
    found = cost(WavLMConfig.preset(name))
    assert (round(found.parameters / 1e6, 2), round(found.macs_per_second / 1e9, 2)) == published


def test_parts_add_up():
    config = WavLMConfig.preset("large-s80-md")
    parts = cost_per_part(config)
    assert list(parts)[:4] == ["extractor", "projection", "position", "layers.0"]
    assert sum(parts.values(), start=Cost(0, 0)) == cost(config)
