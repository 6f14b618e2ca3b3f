"""What importing the package does, and what it is imported as"""

from pathlib import Path

import pyannote.audio.models.segmentation
import pytest
from torch.serialization import get_safe_globals

import pyannote_prune
from pyannote_prune import WavLMSegmentation
from pyannote_prune.files.pickles import SAFE_CLASSES
from pyannote_prune.registration import register


def test_model_is_among_those_of_pyannote():
    from pyannote.audio.models.segmentation import WavLMSegmentation as Registered

    assert Registered is WavLMSegmentation
    assert set(SAFE_CLASSES) <= set(get_safe_globals())


def test_registering_twice_is_harmless():
    register()
    assert pyannote.audio.models.segmentation.__all__.count("WavLMSegmentation") == 1


@pytest.mark.parametrize("name", pyannote_prune.__all__)
def test_no_public_name_hides_a_module(name):
    """`import pyannote_prune.x as module` would give something else"""
    folder = Path(pyannote_prune.__file__).parent
    assert not [*folder.glob(f"{name}.py"), *folder.glob(f"{name}/__init__.py")]
