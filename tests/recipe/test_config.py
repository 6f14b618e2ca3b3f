import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from helpers import tiny_config
from hypothesis import given, settings
from hypothesis import strategies as st
from recipes import MINIMAL, from_dict, nested
from released import random_model
from scipy.io import wavfile

import pyannote_prune
from pyannote_prune import DiarizationSettings, WavLMConfig, WavLMSegmentation
from pyannote_prune.pipeline.settings import ORACLE_SETTINGS
from pyannote_prune.recipe.augmentation import augmentation_options
from pyannote_prune.recipe.config import ConformerOptions, Recipe
from pyannote_prune.recipe.starting_models import first_model
from pyannote_prune.released.diarizen import write_stand_in
from pyannote_prune.training.augmentation import Mixing
from pyannote_prune.wavlm.presets import PRESETS
from pyannote_prune.wavlm.units import UNITS

RECIPES = sorted((Path(pyannote_prune.__file__).parent / "recipe" / "shipped").glob("*.yml"))
OF_TEACHERS = [path for path in RECIPES if "\ncheckpoint: " in path.read_text()]
COMMERCIAL = [path for path in RECIPES if path.stem.startswith("commercial-")]
TRIALS = [path for path in RECIPES if path.stem == "tiny"]
OF_THE_PAPER = [path for path in RECIPES if path not in (*OF_TEACHERS, *COMMERCIAL, *TRIALS)]


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
            fine_tune=stages(max_epochs=counts(), wavlm_learning_rate=numbers()),
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


def test_folders_of_augmentation_start_from_the_recipe(tmp_path):
    """And have WAV files, which tasks of all stages get"""
    (tmp_path / "database.yml").touch()
    plain = MINIMAL | {"augmentation": {"noise": {"folder": "noise"}, "mix": {}}}
    message = r"`augmentation.noise.folder` must be a folder with WAV files, found '.*noise'"
    with pytest.raises(ValueError, match=message):
        Recipe.from_dict(plain, tmp_path)
    (tmp_path / "noise" / "more").mkdir(parents=True)
    with pytest.raises(ValueError, match=message):
        Recipe.from_dict(plain, tmp_path)
    wavfile.write(tmp_path / "noise" / "more" / "a.WAV", 16_000, np.ones(100, np.int16))
    recipe = Recipe.from_dict(plain, tmp_path)
    assert recipe.augmentation.noise.folder == tmp_path / "noise"
    options = augmentation_options(recipe.augmentation)
    assert options["mixing"] == Mixing(0.3, (0.0, 5.0))
    (noise,) = options["augmentation"].transforms
    assert (noise.p, noise.min_snr_in_db, noise.max_snr_in_db) == (0.5, 5.0, 20.0)
    assert augmentation_options(from_dict().augmentation) == {"augmentation": None, "mixing": None}


def test_conformer_is_checked_against_the_defaults_of_the_model():
    assert asdict(ConformerOptions()) == WavLMSegmentation.CONFORMER_DEFAULTS


def test_recipes_of_the_paper_and_of_teachers_ship():
    names = ["base-plus-s80", "base-plus-s90", "large-s80", "large-s90"]
    assert [path.stem for path in OF_THE_PAPER] == names
    names = ["diarizen-large-s80-from-teacher", "suplime-large-s80", "suplime-s80"]
    assert [path.stem for path in OF_TEACHERS] == names
    assert [path.stem for path in COMMERCIAL] == ["commercial-base-plus-s80"]
    assert len(OF_THE_PAPER) + len(OF_TEACHERS) + len(COMMERCIAL) + len(TRIALS) == len(RECIPES)


def test_commercial_recipe_is_that_of_the_paper_with_licences():
    (path,) = COMMERCIAL
    paper = path.with_name(path.name.removeprefix("commercial-"))
    found, expected = (Recipe.load(one, check_files=False) for one in (path, paper))
    licence = "CC BY 4.0 (AMI), CC BY-SA 4.0 (AISHELL-4, AliMeeting)"
    assert found == replace(expected, export=replace(expected.export, data_licence=licence))
    # nothing in it comes from weights that are not for commercial use
    assert (found.wavlm, found.checkpoint) == ("microsoft/wavlm-base-plus", None)
    assert found.export.parts == "pyannote/speaker-diarization-community-1"


def test_licences_of_recipes_are_single_lines():
    export = {"licence": "MIT", "data_licence": "CC BY 4.0"}
    assert from_dict({"export": export}).export.licence == "MIT"
    for key in export:
        with pytest.raises(ValueError, match=f"`export.{key}` must be one line"):
            from_dict({"export": {key: "a\nb"}})


@pytest.mark.parametrize(
    ("path", "checkpoint", "duration"),
    zip(
        OF_TEACHERS,
        ("diarizen-large/pytorch_model.bin", "rewayai/suplime-large", "rewayai/suplime"),
        (8.0, 10.0, 10.0),
        strict=True,
    ),
    ids=lambda value: getattr(value, "stem", None),
)
def test_recipe_of_a_teacher_leaves_the_first_stage_out(path, checkpoint, duration):
    recipe = Recipe.load(path, check_files=False)
    large = "large" in path.stem
    change = {
        "wavlm": None,
        "checkpoint": checkpoint,
        "duration": duration,
        "stages": {"fine_tune": {"max_epochs": 0}, "prune": {"batch_size": 32 if large else 64}},
        "export": {"from_checkpoint": True},
    }
    assert recipe == from_dict(change, folder=path.parent)
    is_file = checkpoint.endswith(".bin")
    assert recipe.checkpoint == (path.parent / checkpoint if is_file else checkpoint)


@pytest.mark.parametrize("path", OF_THE_PAPER, ids=lambda path: path.stem)
def test_shipped_recipe_differs_from_the_defaults_by_its_name_only(path):
    size, sparsity = path.stem.rsplit("-s", 1)
    change = {
        "wavlm": f"microsoft/wavlm-{size}",
        "pruning": {"target_sparsity": int(sparsity) / 100},
        "stages": {"prune": {"batch_size": 32 if size == "large" else 64}},
    }
    recipe = Recipe.load(path, check_files=False)
    assert recipe == from_dict(change, folder=path.parent)
    assert recipe.database == path.parent / "database.yml"


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipe_runs_next_to_our_database(path, tmp_path):
    (tmp_path / "diarizen-large").mkdir()
    (tmp_path / "diarizen-large" / "pytorch_model.bin").touch()
    (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match="`database` must be an existing file"):
        Recipe.load(tmp_path / path.name)
    database = tmp_path / "database.yml"
    database.write_text(database_of_pages(path), encoding="utf-8")
    recipe = Recipe.load(tmp_path / path.name)
    assert recipe.database == database
    database_, task, protocol = recipe.protocol.split(".")
    assert protocol in yaml.safe_load(database.read_text())["Protocols"][database_][task]


def database_of_pages(recipe: Path) -> str:
    """Our `database.yml`, or the one that tutorials/data.md shows for recordings of users"""
    root = Path(__file__).parents[2]
    if recipe not in TRIALS:
        return (root / "database.yml").read_text(encoding="utf-8")
    page = (root / "tutorials" / "data.md").read_text(encoding="utf-8")
    return page.partition("```yaml\n")[2].partition("```")[0]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_header_of_shipped_recipe_has_its_command(path):
    assert f"\n#   pyannote-prune train {path.name}\n" in path.read_text()


@pytest.mark.parametrize("name", PRESETS)
def test_preset_becomes_its_structure(name):
    recipe = from_dict({"wavlm": {"preset": name}})
    assert recipe.wavlm == WavLMConfig.preset(name).to_dict()


def test_local_folders_win_over_hub_ids(tmp_path):
    (tmp_path / "database.yml").touch()
    plain = MINIMAL | {"wavlm": "owner/wavlm", "export": {"parts": "owner/parts"}}
    recipe = Recipe.from_dict(plain, tmp_path)
    assert (recipe.wavlm, recipe.export.parts) == ("owner/wavlm", "owner/parts")
    (tmp_path / "owner" / "wavlm").mkdir(parents=True)
    (tmp_path / "owner" / "parts").mkdir()
    recipe = Recipe.from_dict(plain, tmp_path)
    assert recipe.wavlm == str(tmp_path / "owner" / "wavlm")
    assert recipe.export.parts == str(tmp_path / "owner" / "parts")


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


def test_distillation_can_be_skipped():
    assert from_dict(nested("stages.distil.max_epochs", 0)).stages.distil.max_epochs == 0


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


def test_keys_of_merged_sections_can_be_given_again(tmp_path):
    path = tmp_path / "recipe.yml"
    path.write_text(
        f"{yaml.safe_dump(MINIMAL)}"
        "stages: {distil: &same {batch_size: 8}, prune: {<<: *same, patience: 1, batch_size: 4}}\n"
    )
    stages = Recipe.load(path, check_files=False).stages
    assert (stages.distil.batch_size, stages.prune.batch_size, stages.prune.patience) == (8, 4, 1)


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
