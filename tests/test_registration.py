import pyannote.audio.models.segmentation
from torch.serialization import get_safe_globals

from pyannote_prune import WavLMSegmentation
from pyannote_prune.checkpoint import SAFE_CLASSES
from pyannote_prune.registration import register


def test_model_is_among_those_of_pyannote():
    from pyannote.audio.models.segmentation import WavLMSegmentation as Registered

    assert Registered is WavLMSegmentation
    assert set(SAFE_CLASSES) <= set(get_safe_globals())


def test_registering_twice_is_harmless():
    register()
    assert pyannote.audio.models.segmentation.__all__.count("WavLMSegmentation") == 1
