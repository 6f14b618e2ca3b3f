import pytest
import torch
from torch import nn

from pyannote_prune.wavlm.weights import load_exactly


def test_differences_are_listed_and_nothing_is_loaded():
    module = nn.Linear(2, 3)
    before = module.bias.clone()
    with pytest.raises(ValueError) as error:
        load_exactly(module, {"bias": torch.ones(3), "weights": torch.ones(3, 2)}, "the file")
    assert "the file" in str(error.value)
    assert "1 missing: weight\n1 unexpected: weights" in str(error.value)
    assert torch.equal(module.bias, before)


def test_long_lists_are_cut():
    found = {f"key{i}": torch.ones(1) for i in range(50)}
    with pytest.raises(ValueError, match="50 unexpected: key0, .*, and 30 more"):
        load_exactly(nn.Identity(), found, "the file")
