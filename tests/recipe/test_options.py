"""Defaults of options, and the pipeline that they describe"""

from dataclasses import asdict, replace

import pytest
from recipes import from_dict, nested

from pyannote_prune import DiarizationSettings, WavLMSegmentation
from pyannote_prune.pipeline.settings import ORACLE_SETTINGS
from pyannote_prune.recipe.config import ConformerOptions


def test_values_of_the_paper_are_the_defaults():
    recipe = from_dict()
    assert recipe.seed == 3407
    assert (recipe.duration, recipe.num_workers, recipe.conformer) == (8.0, 2, {})
    assert (recipe.max_speakers_per_chunk, recipe.max_speakers_per_frame) == (4, 2)
    assert asdict(recipe.pruning) == {
        "target_sparsity": 0.8,
        "objective": "parameters",
        "scope": "wavlm",
        "units": ("channel", "head", "neuron"),
        "layers": None,
        "l1_weight": 1.0,
        "cosine_weight": 1.0,
        "extractor_gradient": 1.0,
    }
    common = {
        "decay_to": 1.0,
        "max_steps_per_epoch": None,
        "batch_size": 64,
        "accumulate": 1,
        "average": 5,
        "clip_percentile": 90.0,
    }
    supervised = common | {"learning_rate": 1e-3, "wavlm_learning_rate": 2e-5}
    imitation = common | {"learning_rate": 2e-4, "output_weight": 0.0, "task_weight": 0.0}
    gates = {"warm_up_epochs": 5, "gate_learning_rate": 2e-2, "multiplier_learning_rate": None}
    assert asdict(recipe.stages) == {
        "fine_tune": supervised | {"max_epochs": 100, "patience": 10},
        "prune": imitation | gates | {"max_epochs": 30, "patience": 5},
        "distil": imitation | {"max_epochs": 20, "patience": None},
        "train": supervised | {"max_epochs": 20, "patience": 5, "teacher_weight": 0.0},
    }
    assert list(asdict(recipe.stages)) == ["fine_tune", "prune", "distil", "train"]


def test_conformer_is_checked_against_the_defaults_of_the_model():
    assert asdict(ConformerOptions()) == WavLMSegmentation.CONFORMER_DEFAULTS


def test_licences_of_recipes_are_single_lines():
    export = {"licence": "MIT", "data_licence": "CC BY 4.0"}
    assert from_dict({"export": export}).export.licence == "MIT"
    for key in export:
        with pytest.raises(ValueError, match=f"`export.{key}` must be one line"):
            from_dict({"export": {key: "a\nb"}})


def test_distillation_can_be_skipped():
    assert from_dict(nested("stages.distil.max_epochs", 0)).stages.distil.max_epochs == 0


def test_pipelines_of_recipes_are_those_of_diarizen():
    expected = DiarizationSettings(median_filter=11, min_clean_ratio=0.1)
    assert from_dict({}).export.settings == expected
    plain = {"median_filter": 1, "segmentation_step": 0.25, "min_clean_ratio": 0.2}
    found = from_dict({"export": plain}).export.settings
    assert found == replace(expected, **plain)
    found = from_dict({"export": {"clustering": "AgglomerativeClustering"}}).export.settings
    assert found == replace(
        expected,
        clustering="AgglomerativeClustering",
        parameters={"method": "centroid", "min_cluster_size": 30, "threshold": 0.7},
        constrained_assignment=True,
    )


def test_oracle_clustering_of_recipes_does_not_filter_unless_asked_to():
    assert from_dict({"export": {"oracle_clustering": True}}).export.settings == ORACLE_SETTINGS
    plain = {"oracle_clustering": True, "median_filter": 11}
    assert from_dict({"export": plain}).export.settings == replace(
        ORACLE_SETTINGS, median_filter=11
    )
