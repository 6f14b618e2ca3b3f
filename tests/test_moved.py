"""Former import paths"""

import importlib
import subprocess
import sys

import pytest

from pyannote_prune.moved import MOVED

# what the pages of release 0.1.0 import, and what moved since
DOCUMENTED = [
    ("benchmark.speed.diarization", "measure_diarization", "benchmark.diarization.speed"),
    ("callbacks", "PercentileGradientClipping", "training.clipping"),
    ("corpora", "prepare", "data.corpora.preparation"),
    ("diarizen", "load_settings", "released.diarizen.settings"),
    ("diarizen", "write_stand_in", "released.diarizen.stand_in"),
    ("figures", "plot_structure", "recipe.structure_figure"),
    ("figures", "plot_training", "recipe.training_figure"),
    ("quickstart", "quickstart", "recipe.quickstart"),
    ("report", "structure_table", "segmentation.tables"),
    ("settings", "ORACLE_SETTINGS", "pipeline.settings"),
    ("sparsity", "meet_target", "pruning.sparsity"),
    ("specifications", "powerset_specifications", "segmentation.specifications"),
    ("speed", "take_turns", "benchmark.speed.measure"),
]


@pytest.mark.parametrize(("former", "name", "present"), DOCUMENTED)
def test_former_path_works_and_names_the_present_one(former, name, present):
    module = importlib.import_module(f"pyannote_prune.{former}")
    message = rf"pyannote_prune\.{former}\.{name} is now pyannote_prune\.[\w.]+\.{name}"
    with pytest.warns(DeprecationWarning, match=message) as caught:
        found = getattr(module, name)
    assert caught[0].filename == __file__
    assert found is getattr(importlib.import_module(f"pyannote_prune.{present}"), name)


@pytest.mark.parametrize("former", MOVED)
def test_modules_that_are_named_exist(former):
    for present in MOVED[former]:
        importlib.import_module(f"pyannote_prune.{present}")


def test_unknown_name_is_refused_as_by_any_module():
    module = importlib.import_module("pyannote_prune.callbacks")
    with pytest.raises(AttributeError, match=r"'pyannote_prune\.callbacks' has no attribute 'x'"):
        _ = module.x
    with pytest.raises(ImportError):
        importlib.import_module("pyannote_prune.nothing")


@pytest.mark.parametrize("first", ["pyannote_prune", "pyannote.audio"])
def test_classes_are_registered_whatever_is_imported_first(first):
    """In a new process, where nothing is imported yet"""
    code = (
        f"import {first}, pyannote_prune\n"
        "from pyannote.audio.models.segmentation import WavLMSegmentation\n"
        "import pyannote.audio.tasks as tasks\n"
        "assert 'DistillationPruning' in tasks.__all__\n"
        "assert tasks.DistillationPruning is pyannote_prune.DistillationPruning\n"
        "assert WavLMSegmentation is pyannote_prune.WavLMSegmentation\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
