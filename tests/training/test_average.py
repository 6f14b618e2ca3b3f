"""Average of checkpoints"""

import numpy as np
import pytest
import torch
from regression import SMALL_TRAINING, Regression, validate

from pyannote_prune.files.pickles import read_safely
from pyannote_prune.training.average import average_checkpoints

pytestmark = SMALL_TRAINING


def save_states(folder, states):
    paths = [folder / f"{i}.ckpt" for i in range(len(states))]
    for path, state in zip(paths, states, strict=True):
        torch.save({"epoch": 1, "state_dict": state}, path)
    return paths


@pytest.mark.parametrize("num_checkpoints", [1, 2, 5])
def test_average_is_that_of_numpy_and_integers_are_those_of_the_first(num_checkpoints, tmp_path):
    states = [
        {
            "weight": torch.randn(3, 4),
            "half": torch.randn(5).half(),
            "double": torch.randn((), dtype=torch.float64),
            "count": torch.tensor(10 * i + 7),
            "mask": torch.tensor([i == 0, True]),
        }
        for i in range(num_checkpoints)
    ]
    paths = save_states(tmp_path, states)
    average = average_checkpoints(paths)
    assert list(average) == list(states[0])
    for key, first in states[0].items():
        assert average[key].dtype == first.dtype
        if first.is_floating_point():
            mean = np.mean([state[key].double().numpy() for state in states], axis=0)
            expected = torch.as_tensor(mean).to(first.dtype)
            torch.testing.assert_close(average[key], expected, rtol=1e-15, atol=1e-15)
            assert torch.equal(average[key], first) == (num_checkpoints == 1)
        else:
            assert torch.equal(average[key], first)
    if num_checkpoints > 1:
        assert average_checkpoints(paths[::-1])["count"] == 10 * num_checkpoints - 3


def test_average_of_best_checkpoints_is_loaded_by_the_model(tmp_path):
    checkpoints = validate(tmp_path, [0.5, 0.2, 0.9], num_best=2)
    model = Regression()
    model.load_state_dict(average_checkpoints(checkpoints.best_paths))
    best, second = (read_safely(path)["state_dict"] for path in checkpoints.best_paths)
    assert not torch.equal(best["gates.weight"], second["gates.weight"])
    expected = (best["gates.weight"] + second["gates.weight"]) / 2
    torch.testing.assert_close(model.gates.weight.data, expected)
    # batches of the best epoch, which is the second one
    assert model.network[1].num_batches_tracked == 2


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"a": torch.zeros(2), "b": torch.zeros(3)}, r"'b' is torch.Size\(\[3\]\) in .*1.ckpt"),
        ({"a": torch.zeros(2)}, "'b' is absent in .*1.ckpt"),
        (
            {"a": torch.zeros(2), "b": torch.zeros(2), "c": torch.zeros(4)},
            r"'c' is torch.Size\(\[4\]\) in .*1.ckpt', absent in .*0.ckpt",
        ),
    ],
)
def test_checkpoints_of_another_network_are_not_averaged(other, message, tmp_path):
    first = {"a": torch.zeros(2), "b": torch.zeros(2)}
    assert average_checkpoints(save_states(tmp_path, [first, first]))
    with pytest.raises(ValueError, match=message):
        average_checkpoints(save_states(tmp_path, [first, other]))


def test_average_of_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`paths` must name one checkpoint at least, found none"):
        average_checkpoints([])
    torch.save({"weight": torch.zeros(2)}, tmp_path / "weights.pt")
    with pytest.raises(ValueError, match=r"weights.pt' must be a Lightning checkpoint"):
        average_checkpoints([tmp_path / "weights.pt"])
