"""Figure of the units that pruning kept"""

from dataclasses import replace

import numpy as np
import pytest
from helpers import tiny_config
from hypothesis import given, settings
from images import area, read
from strategies import configs

from pyannote_prune import WavLMConfig
from pyannote_prune.recipe.panels import BLUE, LIGHT, ORANGE
from pyannote_prune.recipe.structure_figure import plot_structure
from pyannote_prune.wavlm.config import LayerConfig

EMPTIED = (LayerConfig((), 0), LayerConfig((1, 3), 17))


@pytest.fixture
def structure(tmp_path):
    def plot(before, after):
        plot_structure(before, after, tmp_path / "structure.png")
        return read(tmp_path / "structure.png")

    return plot


@pytest.mark.parametrize("name", ["base", "large"])
def test_presets(name, structure):
    before, after = WavLMConfig.preset(name), WavLMConfig.preset(f"{name}-s80-md")
    image = structure(before, after)
    # most is removed, and so is the attention of some layers
    assert area(image, LIGHT) > area(image, BLUE) > 0
    assert area(image, ORANGE) > 0


def test_nothing_removed_shows_nothing_removed(structure):
    image = structure(tiny_config(), tiny_config())
    assert area(image, ORANGE) == 0
    assert area(image, LIGHT) < 0.05 * area(image, BLUE)  # but for the legend


def test_every_head_has_the_same_area(structure):
    # two cells turn grey, then one more
    areas = []
    for heads in ((0, 1, 2, 3), (1, 2), (2,)):
        layers = (LayerConfig(heads, 40), LayerConfig((0,), 40))
        areas.append(area(structure(tiny_config(), replace(tiny_config(), layers=layers)), BLUE))
    assert areas[0] > areas[1] > areas[2]
    assert (areas[0] - areas[1]) / (areas[1] - areas[2]) == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize("removed", ["channel", "head", "same number of heads", "neuron"])
def test_figure_follows_structure(removed, structure):
    before = tiny_config()
    full = LayerConfig((0, 1, 2, 3), 40)
    first = replace(before.convolutions[0], channels=5)
    one = replace(before, layers=(full, LayerConfig((0, 1), 40)))
    reference, after = {
        "channel": (before, replace(before, convolutions=(first, *before.convolutions[1:]))),
        "head": (before, one),
        "same number of heads": (one, replace(before, layers=(full, LayerConfig((0, 2), 40)))),
        "neuron": (before, replace(before, layers=(full, LayerConfig((0, 1, 2, 3), 13)))),
    }[removed]
    image = structure(before, reference)
    assert np.array_equal(image, structure(before, reference))
    assert not np.array_equal(image, structure(before, after))


def test_emptied_layer_is_marked(structure):
    before = tiny_config()
    kept = replace(before, layers=(LayerConfig((0,), 1), EMPTIED[1]))
    emptied = replace(before, layers=EMPTIED)
    assert area(structure(before, kept), ORANGE) == 0
    assert area(structure(before, emptied), ORANGE) > 0
    assert area(structure(emptied, emptied), ORANGE) > 0  # gone from the beginning


@settings(max_examples=10, deadline=None)
@given(configs())
def test_any_structure(tmp_path_factory, config):
    path = tmp_path_factory.mktemp("any") / "structure.png"
    layers = tuple(LayerConfig(layer.heads[1:], layer.neurons // 2) for layer in config.layers)
    plot_structure(config, replace(config, layers=layers), path)
    read(path)


def test_other_numbers_of_layers_or_convolutions_are_refused(tmp_path):
    tiny = tiny_config()
    fewer = replace(tiny, layers=tiny.layers[:1])
    with pytest.raises(ValueError, match="`after` must have as many `layers` .* 2, found 1"):
        plot_structure(tiny, fewer, tmp_path / "structure.png")
    fewer = replace(tiny, convolutions=tiny.convolutions[:5])
    with pytest.raises(ValueError, match="as many `convolutions` .* 5, found 7"):
        plot_structure(fewer, tiny, tmp_path / "structure.png")
    assert not list(tmp_path.iterdir())


def test_path_is_written_as_it_is(tmp_path):
    plot_structure(tiny_config(), tiny_config(), tmp_path / "without suffix")
    assert [path.name for path in tmp_path.iterdir()] == ["without suffix"]
    read(tmp_path / "without suffix")


@pytest.mark.parametrize(
    ("suffix", "start"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), ("", b"\x89PNG")]
)
def test_format_is_that_of_the_suffix(tmp_path, suffix, start):
    path = tmp_path / f"structure{suffix}"
    plot_structure(tiny_config(), tiny_config(), path)
    assert path.read_bytes().startswith(start)


def test_format_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"'onnx' is not supported \(supported formats: .*png"):
        plot_structure(tiny_config(), tiny_config(), tmp_path / "structure.onnx")
