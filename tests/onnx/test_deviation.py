"""Deviation from PyTorch"""

import numpy as np
import pytest
import torch
from helpers import tiny_model

from pyannote_prune.onnx.deviation import Deviation, find_turns, measure_deviation, windows
from pyannote_prune.segmentation.checkpoint import load_checkpoint


def test_turns_are_runs_of_frames():
    active = np.zeros((2, 6, 2), dtype=bool)
    active[0, :2, 0] = active[0, 4:, 0] = active[1, 3, 1] = True
    assert find_turns(active) == [(0, 0, 0, 2), (0, 0, 4, 6), (1, 1, 3, 4)]
    assert find_turns(np.zeros((1, 5, 3), dtype=bool)) == []


@pytest.mark.parametrize(("duration", "shape"), [(2.0, (15, 1, 32000)), (60.0, (1, 1, 480000))])
def test_windows_are_those_of_the_model(duration, shape):
    model = tiny_model(duration=duration)
    assert windows(model).shape == shape


def test_same_model_does_not_deviate_and_another_one_does(checkpoint, onnx_file):
    model = load_checkpoint(checkpoint)
    found = measure_deviation(model, onnx_file)
    assert found.scores < 1e-3  # its classifier has weights 30 times larger
    assert found == Deviation(found.scores, 1.0, found.num_turns, 1.0)
    assert found.num_turns > 5

    with torch.no_grad():
        model.classifier.bias[1] += 5
    changed = measure_deviation(model, onnx_file)
    assert changed.scores > 1
    assert changed.same_class < 1
    assert changed.kept_turns < 1
