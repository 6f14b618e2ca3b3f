"""Recipes are read, and written, without any change"""

import json

import pytest
import yaml
from helpers import tiny_config
from hypothesis import given, settings
from hypothesis import strategies as st
from recipes import MINIMAL, from_dict

from pyannote_prune.recipe.config import Recipe
from pyannote_prune.wavlm.units import UNITS


def counts(minimum: int = 1):
    return st.integers(minimum, 1000)


def numbers(minimum: float = 0.0, maximum: float | None = None):
    return st.floats(minimum, maximum, exclude_min=True, allow_infinity=False)


def some(**values):
    """Dictionary with any of these keys"""
    return st.fixed_dictionaries({}, optional=values)


def stages(**values):
    return some(
        max_steps_per_epoch=st.none() | counts(),
        patience=st.none() | counts(),
        batch_size=counts(),
        accumulate=counts(),
        learning_rate=numbers(),
        average=counts(),
        clip_percentile=st.none() | numbers(maximum=100),
        **values,
    )


NOISE = {"folder": "/noise", "snr": [-5.0, 10.0]}
recipes = st.fixed_dictionaries(
    {
        "protocol": st.sampled_from(["X.SpeakerDiarization.Compound", "AMI-SDM.Task.only_words"]),
        "database": st.sampled_from(["database.yml", "../other folder/é.yml", "/database.yml"]),
        "wavlm": st.sampled_from(
            ["microsoft/wavlm-large", "../wavlm", {"preset": "base"}, tiny_config().to_dict()]
        ),
    },
    optional={
        "seed": st.integers(0, 2**32 - 1),
        "duration": numbers(),
        "max_speakers_per_chunk": counts(2),
        "max_speakers_per_frame": st.integers(1, 2),
        "num_workers": counts(0),
        "conformer": some(
            input_dim=counts().map(lambda n: 4 * n),
            num_heads=st.sampled_from([1, 2, 4]),
            ffn_dim=counts(),
            num_layers=counts(),
            depthwise_conv_kernel_size=counts().map(lambda n: 2 * n + 1),
            dropout=st.floats(0, 1, exclude_max=True),
        ),
        "augmentation": some(
            noise=st.none() | some(probability=st.floats(0, 1)).map(lambda x: x | NOISE),
            impulse_responses=st.none() | st.just({"folder": "/rooms", "probability": 0.1}),
            mix=st.none() | some(probability=st.floats(0, 1)),
        ),
        "pruning": some(
            target_sparsity=st.floats(0, 1, exclude_max=True),
            objective=st.sampled_from(["parameters", "macs"]),
            scope=st.sampled_from(["wavlm", "model"]),
            units=st.lists(st.sampled_from(list(UNITS)), min_size=1, unique=True),
            layers=st.none() | st.lists(st.integers(0, 2), min_size=1, unique=True),
            l1_weight=numbers(),
            extractor_gradient=numbers(),
            cosine_weight=numbers(),
        ),
        "stages": some(
            fine_tune=stages(
                max_epochs=counts(), wavlm_learning_rate=numbers(), decay_to=st.floats(0, 1)
            ),
            prune=stages(
                max_epochs=counts(6), warm_up_epochs=st.integers(0, 5), gate_learning_rate=numbers()
            ),
            distil=stages(
                max_epochs=counts(0), output_weight=st.floats(0, 9), task_weight=st.floats(0, 9)
            ),
            train=stages(
                max_epochs=counts(), wavlm_learning_rate=numbers(), teacher_weight=st.floats(0, 9)
            ),
        ),
        "trainer": some(
            accelerator=st.sampled_from(["auto", "cpu", "gpu"]),
            devices=counts() | st.sampled_from(["auto", "0", "0,1"]),
            strategy=st.sampled_from(["auto", "ddp", "ddp_find_unused_parameters_true"]),
            precision=st.sampled_from(["32-true", "bf16-mixed", "16-mixed"]),
            num_nodes=counts(),
        ),
        "export": some(
            parts=st.sampled_from(["owner/pipeline", "../parts"]),
            oracle_clustering=st.booleans(),
            clustering=st.sampled_from(["VBxClustering", "AgglomerativeClustering"]),
            segmentation_step=st.floats(0.01, 1),
            median_filter=st.none() | st.integers(0, 20).map(lambda n: 2 * n + 1),
            min_clean_ratio=st.floats(0.01, 1),
        ),
    },
)


@settings(max_examples=60, deadline=None)
@given(recipes)
def test_round_trip(plain):
    recipe = from_dict(plain)
    again = recipe.to_dict()
    assert_says(again, plain)
    for copy in (again, json.loads(json.dumps(again)), yaml.safe_load(yaml.safe_dump(again))):
        # paths are absolute: the folder has no say any more
        assert Recipe.from_dict(copy, folder="/elsewhere", check_files=False) == recipe
        assert Recipe.from_dict(copy, check_files=False).to_dict() == again


def assert_says(found: dict, given: dict):
    """All given values are found, except those that `from_dict` completes"""
    for key, value in given.items():
        if isinstance(value, dict) and key != "wavlm":
            assert_says(found[key], value)
        elif key not in ("wavlm", "database"):
            assert found[key] == value


def test_the_way_to_a_recipe_does_not_change_it(tmp_path, monkeypatch):
    path = tmp_path / "recipe.yml"
    path.write_text(yaml.safe_dump(MINIMAL))
    monkeypatch.chdir(tmp_path)
    expected = Recipe.load(path, check_files=False)
    for other in ("recipe.yml", f"../{tmp_path.name}/recipe.yml"):
        assert Recipe.load(other, check_files=False).to_dict() == expected.to_dict()


@pytest.mark.parametrize("written", ["2e-4", "2.0e-4", "0.0002", "'2e-4'", "2.0E-04"])
def test_all_spellings_of_a_number_are_read(tmp_path, written):
    path = tmp_path / "recipe.yml"
    path.write_text(f"{yaml.safe_dump(MINIMAL)}stages: {{prune: {{learning_rate: {written}}}}}\n")
    assert Recipe.load(path, check_files=False).stages.prune.learning_rate == 2e-4


def test_integers_are_numbers():
    duration = from_dict({"duration": 10}).duration
    assert duration == 10.0
    assert isinstance(duration, float)


def test_keys_of_merged_sections_can_be_given_again(tmp_path):
    path = tmp_path / "recipe.yml"
    path.write_text(
        f"{yaml.safe_dump(MINIMAL)}"
        "stages: {distil: &same {batch_size: 8}, prune: {<<: *same, patience: 1, batch_size: 4}}\n"
    )
    stages = Recipe.load(path, check_files=False).stages
    assert (stages.distil.batch_size, stages.prune.batch_size, stages.prune.patience) == (8, 4, 1)
