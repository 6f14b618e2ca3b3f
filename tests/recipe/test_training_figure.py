"""Figure of training curves"""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from images import area, read

from pyannote_prune.recipe.panels import BLUE, ORANGE
from pyannote_prune.recipe.training_figure import CURVES, plot_training

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


def write(path, columns):
    """Write columns as Lightning's `CSVLogger` does: None is an empty cell"""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


@pytest.fixture
def training(tmp_path):
    def plot(**stages):
        files = {name: write(tmp_path / f"{name}.csv", stages[name]) for name in stages}
        plot_training(files, tmp_path / "training.png")
        return read(tmp_path / "training.png")

    return plot


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
        ("epoch,loss/train\n1,0.3\n", "is not a log of `CSVLogger`: KeyError"),
        ("step,loss/train\n,0.3\n", "is not a log of `CSVLogger`: ValueError"),
        ("step,loss/train\n1,low\n", "is not a log of `CSVLogger`: .*low"),
        ("loss/train,step\n0.3\n", "is not a log of `CSVLogger`: TypeError"),
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
