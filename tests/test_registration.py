"""What importing the package does, and what it is imported as"""

import subprocess
import sys
from pathlib import Path

import pyannote.audio.models.segmentation
import pytest
from torch.serialization import get_safe_globals

import pyannote_prune
from pyannote_prune import WavLMSegmentation
from pyannote_prune.checkpoint import SAFE_CLASSES
from pyannote_prune.registration import register

FORMER_PATH = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
import pyannote_prune
import pyannote_prune.cost as module
from pyannote_prune.cost import cost_per_part
config = pyannote_prune.WavLMConfig.preset("base")
assert module.cost_per_part is cost_per_part
assert pyannote_prune.cost(config) == module.cost(config) == module(config)
"""


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
    assert name == "cost" or not [*folder.glob(f"{name}.py"), *folder.glob(f"{name}/__init__.py")]


def test_former_path_of_costs_is_both_module_and_function():
    """Release 0.1.0 documented `pyannote_prune.cost.cost_per_part`"""
    subprocess.run([sys.executable, "-c", FORMER_PATH], check=True)
