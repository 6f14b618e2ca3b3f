"""Teacher of the tests of pruning"""

import pytest
import torch
from helpers import tiny_model
from students import DURATION

from pyannote_prune import save_checkpoint


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("teacher") / "teacher.ckpt"
    save_checkpoint(tiny_model(duration=DURATION), path)
    return path
