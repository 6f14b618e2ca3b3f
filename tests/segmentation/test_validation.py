"""Each sample of the development set is counted once, in whichever process"""

import pytest
import torch
from torch.utils.data import DistributedSampler

from pyannote_prune.segmentation.validation import first_samples, num_samples_once


@pytest.mark.parametrize("num_processes", [1, 2, 3, 5])
@pytest.mark.parametrize("batch_size", [1, 2, 4, 7])
def test_shares_of_all_processes_are_the_set(num_processes, batch_size):
    for num_samples in range(1, 40):
        dataset, counted = range(num_samples), []
        for rank in range(num_processes):
            share = DistributedSampler(dataset, num_processes, rank, shuffle=False)
            indices = list(share)
            for first in range(0, len(indices), batch_size):
                batch = indices[first : first + batch_size]
                counted += batch[: num_samples_once(share, first, len(batch))]
        assert sorted(counted) == list(dataset)


def test_batches_are_cut_wherever_they_have_samples():
    batch = {
        "X": torch.arange(12).view(4, 1, 3),
        "y": torch.arange(8).view(4, 2),
        "meta": {"file": torch.arange(4), "names": ["a", "b"], "scale": torch.tensor(2.0)},
    }
    cut = first_samples(batch, 3, 4)
    assert torch.equal(cut["X"], batch["X"][:3])
    assert torch.equal(cut["y"], batch["y"][:3])
    assert cut["meta"]["file"].tolist() == [0, 1, 2]
    assert cut["meta"]["names"] == ["a", "b"]
    assert cut["meta"]["scale"] == 2.0
