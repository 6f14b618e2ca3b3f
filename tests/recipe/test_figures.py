import csv
from dataclasses import replace

import numpy as np
import pytest
from helpers import tiny_config
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from strategies import configs

from pyannote_prune import WavLMConfig
from pyannote_prune.recipe.figures import BLUE, CURVES, LIGHT, ORANGE, plot_structure, plot_training
from pyannote_prune.wavlm.config import LayerConfig

SIGNATURE = b"\x89PNG\r\n\x1a\n"
FINE_TUNING = {
    "epoch": [0, 0, 1, 1],
    "step": [9, 9, 19, 19],
    "loss/train": [0.9, None, 0.5, None],
    "loss/val": [None, 0.8, None, 0.6],
    "DiarizationErrorRate": [None, 0.4, None, 0.2],
}
PRUNING = {
    "step": [0, 1, 2, 3],
    "loss/distillation": [0.1, 0.5, 0.3, 0.2],
    "loss/distillation/val": [None, None, None, 0.25],
    "sparsity/expected": [0.0, 0.3, 0.6, 0.8],
    "sparsity/target": [0.0, 0.4, 0.8, 0.8],
}
EMPTIED = (LayerConfig((), 0), LayerConfig((1, 3), 17))


def read(path) -> np.ndarray:
    """(height, width, 3) image, after checks that any figure must pass"""
    assert path.read_bytes().startswith(SIGNATURE)
    image = imread(path)[..., :3]
    height, width, _ = image.shape
    assert 300 <= height <= 900
    assert 600 <= width <= 2200
    assert image.min() < 0.5 < image.max()
    return image


def area(image, color) -> int:
    """Number of pixels of this very color"""
    return int((np.abs(image - np.array(to_rgb(color))).max(axis=-1) < 1e-3).sum())


def write(path, columns):
    """Write columns as Lightning's `CSVLogger` does: None is an empty cell"""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


@pytest.fixture
def structure(tmp_path):
    def plot(before, after):
        plot_structure(before, after, tmp_path / "structure.png")
        return read(tmp_path / "structure.png")

    return plot


@pytest.fixture
def training(tmp_path):
    def plot(**stages):
        files = {name: write(tmp_path / f"{name}.csv", stages[name]) for name in stages}
        plot_training(files, tmp_path / "training.png")
        return read(tmp_path / "training.png")

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


def test_one_panel_for_each_kind_of_values(training):
    loss = training(first={"step": [0, 1], "loss/val": [0.5, 0.4]})
    two = training(first=FINE_TUNING)
    three = training(first=FINE_TUNING, second=PRUNING)
    assert loss.shape[1] < two.shape[1] < three.shape[1]
    assert area(two, ORANGE) == 0
    assert area(three, ORANGE) > 0  # distillation


def test_figure_follows_values(training):
    other = {**FINE_TUNING, "loss/val": [None, 0.8, None, 0.7]}
    image = training(first=FINE_TUNING)
    assert np.array_equal(image, training(first=FINE_TUNING))
    assert not np.array_equal(image, training(first=other))


def test_stages_are_in_the_given_order(training):
    image = training(a=FINE_TUNING, b=PRUNING)
    other = training(b=PRUNING, a=FINE_TUNING)
    assert image.shape == other.shape
    assert not np.array_equal(image, other)


def test_figures_take_any_title(tmp_path):
    file = write(tmp_path / "metrics.csv", FINE_TUNING)
    titles = ["$x_1$ and $", "80%", "fine-tuning\\", "a very long title " * 5]
    plot_training(dict.fromkeys(titles, file), tmp_path / "training.png")
    read(tmp_path / "training.png")


def test_a_single_value_and_values_that_are_not_finite(training):
    one = {"step": [7], "DiarizationErrorRate": [0.3]}
    assert area(training(one=one), BLUE) > 0
    values = [0.9, float("nan"), float("inf"), 0.7]
    training(diverged={"step": [0, 1, 2, 3], "loss/train": values})
    training(diverged={"step": [0], "loss/train": [float("nan")]})


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_any_columns(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("any")
    files = {}
    for index in range(data.draw(st.integers(1, 5))):
        num_rows = data.draw(st.integers(1, 6))
        names = data.draw(st.sets(st.sampled_from([*CURVES, "lr-AdamW", "epoch"])))
        cell = st.none() | st.floats(-1, 2, width=32)
        rows = st.lists(cell, min_size=num_rows, max_size=num_rows)
        steps = st.integers(0, data.draw(st.sampled_from([1, 100, 10**6])))
        columns = {name: data.draw(rows) for name in sorted(names)}
        columns["step"] = sorted(data.draw(st.tuples(*[steps] * num_rows)))
        columns["loss/train"] = [0.5, *columns.get("loss/train", [None] * num_rows)[1:]]
        files[f"stage {index}"] = write(folder / f"{index}.csv", columns)
    plot_training(files, folder / "training.png")
    read(folder / "training.png")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "FileNotFoundError"),
        ("", "must have values of at least one of loss/train, "),
        ("epoch,step,loss\n0,1,0.3\n", "must have values of at least one of loss/train, "),
        ("step,loss/train\n1,\n2,\n", "must have values of at least one of loss/train, "),
        ("epoch,loss/train\n1,0.3\n", "is not what `CSVLogger` writes: KeyError"),
        ("step,loss/train\n,0.3\n", "is not what `CSVLogger` writes: ValueError"),
        ("step,loss/train\n1,low\n", "is not what `CSVLogger` writes: .*low"),
        ("loss/train,step\n0.3\n", "is not what `CSVLogger` writes: TypeError"),
    ],
)
def test_files_that_cannot_be_drawn_are_named(content, message, tmp_path):
    good = write(tmp_path / "good.csv", FINE_TUNING)
    if content is not None:
        (tmp_path / "bad.csv").write_text(content)
    with pytest.raises(ValueError, match=f"bad.csv .*{message}"):
        plot_training({"good": good, "bad": tmp_path / "bad.csv"}, tmp_path / "training.png")
    assert not (tmp_path / "training.png").exists()


def test_no_stage_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`metrics` must have at least one training stage"):
        plot_training({}, tmp_path / "training.png")


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
