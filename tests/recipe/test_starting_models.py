"""Models that recipes start from"""

import pytest
import torch
from released import random_model

from pyannote_prune.recipe.config import Recipe
from pyannote_prune.recipe.starting_models import first_model
from pyannote_prune.released.diarizen import write_stand_in


def test_checkpoint_may_be_a_released_model(tmp_path):
    (tmp_path / "database.yml").touch()
    released = random_model()
    folder = write_stand_in(released, tmp_path / "released")
    plain = {"protocol": "My.SpeakerDiarization.Own", "database": "database.yml"}
    recipe = Recipe.from_dict(plain | {"checkpoint": "released"}, tmp_path)
    assert recipe.checkpoint == folder
    weights, expected = first_model(recipe).state_dict(), released.state_dict()
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[key], expected[key]) for key in weights)
    encoder = Recipe.from_dict(plain | {"checkpoint": "released/wavlm_tiny_base.bin"}, tmp_path)
    with pytest.raises(ValueError, match="`checkpoint` must be a whole model, found .*WavLM alone"):
        first_model(encoder)
