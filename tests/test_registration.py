"""What importing the package does, and what it is imported as"""

import ast
import inspect
from importlib import import_module
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


def test_type_checkers_find_the_public_names():
    """They read imports that are never executed"""
    tree = ast.parse(inspect.getsource(pyannote_prune))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    found = {
        alias.name: getattr(import_module(f"pyannote_prune.{node.module}"), alias.name, None)
        for node in block.body
        for alias in node.names
    }
    assert found == {
        name: getattr(pyannote_prune, name) for name in pyannote_prune.__all__ if name[0] != "_"
    }
