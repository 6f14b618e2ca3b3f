import json
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path

import pytest
import torch
import yaml
from helpers import tiny_config
from hypothesis import given, settings
from hypothesis import strategies as st
from released import random_model

import pyannote_prune
from pyannote_prune import DiarizationSettings, WavLMConfig, WavLMSegmentation
from pyannote_prune.pipeline.settings import ORACLE_SETTINGS
from pyannote_prune.recipe.config import UNITS, ConformerOptions, Recipe
from pyannote_prune.recipe.stages import first_model
from pyannote_prune.released.diarizen import write_stand_in
from pyannote_prune.wavlm.presets import PRESETS

RECIPES = sorted((Path(pyannote_prune.__file__).parent / "recipe" / "shipped").glob("*.yml"))
MINIMAL = {
    "protocol": "X.SpeakerDiarization.Compound",
    "database": "database.yml",
    "wavlm": "microsoft/wavlm-base-plus",
}


def from_dict(change: dict | None = None, **options) -> Recipe:
    """Minimal recipe with changes, none of whose files exists"""
    return Recipe.from_dict(MINIMAL | (change or {}), **{"check_files": False} | options)


def nested(key: str, value) -> dict:
    """Dictionary of dictionaries

    >>> nested("a.b", 1)
    {'a': {'b': 1}}
    """
    for name in reversed(key.split(".")):
        value = {name: value}
    return value


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
        "pruning": some(
            target_sparsity=st.floats(0, 1, exclude_max=True),
            objective=st.sampled_from(["parameters", "macs"]),
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
            distil=stages(max_epochs=counts(0)),
            train=stages(max_epochs=counts(), wavlm_learning_rate=numbers()),
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
    imitation = common | {"learning_rate": 2e-4}
    gates = {"warm_up_epochs": 5, "gate_learning_rate": 2e-2, "multiplier_learning_rate": None}
    assert asdict(recipe.stages) == {
        "fine_tune": supervised | {"max_epochs": 100, "patience": 10},
        "prune": imitation | gates | {"max_epochs": 30, "patience": 5},
        "distil": imitation | {"max_epochs": 20, "patience": None},
        "train": supervised | {"max_epochs": 20, "patience": 5},
    }
    assert list(asdict(recipe.stages)) == ["fine_tune", "prune", "distil", "train"]


def test_conformer_is_checked_against_the_defaults_of_the_model():
    assert asdict(ConformerOptions()) == WavLMSegmentation.CONFORMER_DEFAULTS


def test_there_are_four_recipes():
    names = ["base-plus-s80", "base-plus-s90", "large-s80", "large-s90"]
    assert [path.stem for path in RECIPES] == names


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
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
    (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ValueError, match="`database` must be an existing file"):
        Recipe.load(tmp_path / path.name)
    database = tmp_path / "database.yml"
    database.write_bytes((Path(__file__).parents[2] / "database.yml").read_bytes())
    recipe = Recipe.load(tmp_path / path.name)
    assert recipe.database == database
    database_, task, protocol = recipe.protocol.split(".")
    assert protocol in yaml.safe_load(database.read_text())["Protocols"][database_][task]


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


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("protocole", "protocol"),
        ("stage", "stages"),
        ("conformer.num_head", "num_heads"),
        ("pruning.target_sparsty", "target_sparsity"),
        ("stages.finetune", "fine_tune"),
        ("stages.fine_tune.wavlm_learningrate", "wavlm_learning_rate"),
        ("stages.prune.max_epoch", "max_epochs"),
        ("stages.prune.wavlm_learning_rate", "learning_rate"),
        ("stages.distil.batchsize", "batch_size"),
        ("stages.train.patiance", "patience"),
        ("trainer.device", "devices"),
        ("export.part", "parts"),
    ],
)
def test_misspelt_key_is_refused_with_the_nearest_one(key, nearest):
    message = rf"^Unknown key `{key}` \(did you mean '{nearest}'\?\): expected .*{nearest}"
    with pytest.raises(ValueError, match=message):
        from_dict(nested(key, 1))


def test_key_that_resembles_nothing_is_refused_with_all_valid_ones():
    message = "^Unknown key `export.42`: expected parts, oracle_clustering, clustering, seg"
    with pytest.raises(ValueError, match=message):
        from_dict({"export": {42: 1}})


@pytest.mark.parametrize("key", ["protocol", "database"])
def test_missing_key_is_named(key):
    plain = {name: value for name, value in MINIMAL.items() if name != key}
    with pytest.raises(ValueError, match=f"^Missing key `{key}`: it must be "):
        Recipe.from_dict(plain)


def keys(section=None, prefix: str = "") -> list[str]:
    """All keys of recipes"""
    section, found = section or from_dict(), []
    for item in fields(section):
        value, key = getattr(section, item.name), f"{prefix}{item.name}"
        found += [key, *(keys(value, f"{key}.") if is_dataclass(value) else [])]
    return found


@pytest.mark.parametrize("wrong", [b"bytes", [[]], float("nan"), ""], ids=repr)
@pytest.mark.parametrize("key", keys())
def test_nonsense_is_refused_wherever_it_is(key, wrong):
    # a list of lists where a list is expected: its first item is wrong
    with pytest.raises(ValueError, match=rf"^`{key}(\[0\])?` must be .*, found ") as refusal:
        from_dict(nested(key, wrong))
    assert str(refusal.value).endswith((f"found {wrong!r}.", "found []."))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("protocol", "Compound", "a protocol, such as 'X.SpeakerDiarization.Compound', found"),
        ("protocol", "X.SpeakerDiarization.", "a protocol, such as"),
        ("protocol", 3, "a protocol, such as 'X.SpeakerDiarization.Compound', found 3."),
        ("database", ["database.yml"], "the path of a `database.yml`, found"),
        ("wavlm", 3, r"a hub id, a local folder, or a structure such as {preset: base}, found 3."),
        ("seed", -1, "an integer, at least 0 and at most 4294967295, found -1."),
        ("seed", 2**32, "an integer, at least 0"),
        ("seed", 3407.0, "an integer, .* found 3407.0."),
        ("seed", True, "an integer, .* found True."),
        ("seed", "3407", "an integer, .* found '3407'."),
        ("duration", 0, "a number, above 0, found 0."),
        ("duration", "long", "a number, above 0, found 'long'."),
        ("duration", "inf", "a number, above 0, found 'inf'."),
        ("duration", float("inf"), "a number, above 0, found inf."),
        ("duration", 10**400, "a number, above 0, found 1000"),
        ("duration", True, "a number, above 0, found True."),
        ("max_speakers_per_chunk", 0, "an integer, at least 1, found 0."),
        ("max_speakers_per_frame", 5, r"at most `max_speakers_per_chunk` \(4\), found 5."),
        ("num_workers", -1, "an integer, at least 0, found -1."),
        ("conformer", [], r"a dictionary, found \[\]."),
        ("conformer.dropout", 1, "a number, at least 0 and below 1, found 1."),
        ("conformer.input_dim", 30, r"a multiple of `conformer.num_heads` \(4\), found 30."),
        ("conformer.depthwise_conv_kernel_size", 30, "odd, found 30."),
        ("pruning.target_sparsity", 1, "a number, at least 0 and below 1, found 1."),
        ("pruning.target_sparsity", -0.1, "a number, at least 0 and below 1, found -0.1."),
        ("pruning.objective", "mac", r"one of 'parameters', 'macs', .*did you mean 'macs'\?"),
        ("pruning.units", "head", "a list, found 'head'."),
        ("pruning.units", [], r"a list of different values, at least one, found \[\]."),
        ("pruning.units", ["head", "head"], "a list of different values"),
        ("pruning.layers", 4, "a list or null, at least 0, found 4."),
        ("pruning.layers", [0, 4, 4], r"a list of different values, .* found \[0, 4, 4\]."),
        ("pruning.cosine_weight", -1, "a number, at least 0, found -1."),
        ("stages", None, "a dictionary, found nothing."),
        ("stages.prune", 30, "a dictionary, found 30."),
        ("stages.fine_tune.max_epochs", -1, "an integer, at least 0, found -1."),
        ("stages.distil.max_epochs", -1, "an integer, at least 0, found -1."),
        ("stages.train.max_steps_per_epoch", 0, "an integer or null, at least 1, found 0."),
        ("stages.train.patience", "never", "an integer or null, at least 1, found 'never'."),
        ("stages.train.batch_size", None, "an integer, at least 1, found nothing."),
        ("stages.train.accumulate", 0.5, "an integer, at least 1, found 0.5."),
        ("stages.train.learning_rate", "0e-3", "a number, above 0, found '0e-3'."),
        ("stages.prune.clip_percentile", 101, "a number or null, above 0 and at most 100, found"),
        ("stages.prune.warm_up_epochs", 30, r"below `stages.prune.max_epochs` \(30\), found 30."),
        ("trainer.accelerator", "cuad", r"one of 'auto', .*did you mean 'cuda'\?"),
        ("trainer.devices", 0, "a number of devices, 'auto', or indices such as '0,1', found 0."),
        ("trainer.devices", "all", "a number of devices, .* found 'all'."),
        ("trainer.strategy", "dpd", r"one of 'auto', .*did you mean 'ddp'\?"),
        ("trainer.precision", 32, "one of '32-true', 'bf16-mixed', '16-mixed', found 32."),
        ("trainer.num_nodes", 0, "an integer, at least 1, found 0."),
        ("export.parts", 1, "a string, found 1."),
        ("export.oracle_clustering", "yes", "true or false, found 'yes'."),
        ("export.oracle_clustering", 1, "true or false, found 1."),
        ("export.median_filter", 10, "an odd number of frames, found 10."),
        ("export.clustering", "KMeansClustering", "one of 'AgglomerativeClustering', 'VBx"),
        ("export.segmentation_step", 0, "a number, above 0 and at most 1, found 0."),
    ],
)
def test_impossible_value_is_named(key, value, message):
    with pytest.raises(ValueError, match=f"^`{key}` must be {message}"):
        from_dict(nested(key, value))


def test_encoder_or_checkpoint_but_not_both(tmp_path):
    rest = {key: value for key, value in MINIMAL.items() if key != "wavlm"}
    (tmp_path / "model.ckpt").touch()
    with pytest.raises(ValueError, match=r"`wavlm` or `checkpoint` must be given.* found none"):
        Recipe.from_dict(rest, tmp_path, check_files=False)
    with pytest.raises(ValueError, match=r"`wavlm` or `checkpoint` must be given.* found both"):
        Recipe.from_dict(MINIMAL | {"checkpoint": "model.ckpt"}, tmp_path, check_files=False)
    options = {"checkpoint": "model.ckpt", "conformer": {"num_layers": 1}}
    with pytest.raises(ValueError, match=r"`conformer` must be absent when `checkpoint`"):
        Recipe.from_dict(rest | options, tmp_path, check_files=False)
    recipe = Recipe.from_dict(rest | {"checkpoint": "model.ckpt"}, tmp_path, check_files=False)
    assert recipe.checkpoint == tmp_path / "model.ckpt"
    assert Recipe.from_dict(recipe.to_dict(), check_files=False) == recipe


def test_checkpoint_must_exist(tmp_path):
    (tmp_path / "database.yml").touch()
    plain = {
        "protocol": "My.SpeakerDiarization.Own",
        "database": "database.yml",
        "checkpoint": "missing.ckpt",
    }
    with pytest.raises(ValueError, match=r"`checkpoint` must be an existing file, or .*missing"):
        Recipe.from_dict(plain, tmp_path)


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


def test_stages_without_epochs():
    stages = {name: {"max_epochs": 0} for name in ("fine_tune", "prune", "distil", "train")}
    with pytest.raises(ValueError, match="One stage at least must have `max_epochs` above 0"):
        Recipe.from_dict(MINIMAL | {"stages": stages}, check_files=False)
    del stages["train"]
    with pytest.raises(ValueError, match="`stages.fine_tune.max_epochs` must be above 0 without"):
        Recipe.from_dict(MINIMAL | {"stages": stages}, check_files=False)


def test_impossible_value_of_a_list_is_located():
    with pytest.raises(ValueError, match=r"^`pruning.units\[1\]` .*did you mean 'neuron'\?"):
        from_dict(nested("pruning.units", ["head", "neurons"]))
    with pytest.raises(ValueError, match=r"^`pruning.layers\[0\]` must be an integer, at least 0"):
        from_dict(nested("pruning.layers", [-1]))


def test_warm_up_by_default_must_fit_in_few_epochs():
    with pytest.raises(ValueError, match=r"`stages.prune.warm_up_epochs` .*\(3\), found 5."):
        from_dict(nested("stages.prune.max_epochs", 3))


def test_layers_must_be_those_of_the_structure():
    change = {"wavlm": tiny_config().to_dict(), "pruning": {"layers": [0, 2]}}
    assert from_dict(change).pruning.layers == (0, 2)
    change["pruning"]["layers"].append(3)
    with pytest.raises(ValueError, match=r"`pruning.layers` must be at most 2 .*found 3."):
        from_dict(change)


@pytest.mark.parametrize(
    ("wavlm", "message"),
    [
        ({"preset": "larg"}, r"`wavlm.preset` must be one of .*did you mean 'large'\?"),
        ({"preset": ["base"]}, "`wavlm.preset` must be one of"),
        ({"preset": "base", "dropout": 0}, "Unknown key `wavlm.dropout`: expected preset"),
        ({"pre": "base"}, "`wavlm` does not describe an encoder: Unknown key 'pre'"),
        ({}, "`wavlm` does not describe an encoder: Missing keys"),
        (tiny_config().to_dict() | {"num_head": 4}, "`wavlm` .*did you mean 'num_heads'"),
        (tiny_config().to_dict() | {"num_heads": 5}, "`wavlm.embed_dim` must be a multiple"),
        (tiny_config().to_dict() | {"layers": [1]}, r"`wavlm.layers\[0\]` must be a dictionary"),
        (tiny_config().to_dict() | {"layers": 1}, "`wavlm.layers` must be a list, found 1"),
    ],
)
def test_impossible_structure_is_named(wavlm, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        from_dict({"wavlm": wavlm})


@pytest.mark.parametrize("name", ["./wavlm", "../a/b", "~/wavlm", "/data/wavlm", "a/b/c", "file"])
@pytest.mark.parametrize("key", ["wavlm", "export.parts"])
def test_missing_folder_is_refused(key, name, tmp_path):
    (tmp_path / "database.yml").touch()
    (tmp_path / "file").touch()
    message = rf"^`{key}` must be a local folder or a hub id \(owner/name\), found '{name}'."
    with pytest.raises(ValueError, match=message):
        from_dict(nested(key, name), folder=tmp_path, check_files=True)


def test_name_of_a_preset_is_no_hub_id():
    message = r"hub id \(owner/name\) \(as a preset, {preset: base}\), found 'base'"
    with pytest.raises(ValueError, match=message):
        from_dict({"wavlm": "base"}, check_files=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("protocol: [a\n", ", line 2: .*expected ',' or ']'"),
        ("protocol: a\n wavlm: b\n", ", line 2: .*mapping values are not allowed"),
        ("seed: 1\n---\nseed: 2\n", ", line 2: .*another document"),
        ("stages:\n  train: {}\n  train: {}\n", ", line 3: .*found key 'train' twice"),
        ("protocol: 2024-99-99\n", ", line 1: .*month must be in 1..12"),
        ("- protocol\n- database\n", r": The recipe must be a dictionary, found \['protocol'"),
        ("", ": The recipe must be a dictionary, found nothing."),
        ("seeds: 1\n", r": Unknown key `seeds` \(did you mean 'seed'\?\)"),
    ],
)
def test_unreadable_file_is_named(tmp_path, text, message):
    path = tmp_path / "recipe.yml"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"^{path}{message}"):
        Recipe.load(path)


def test_bytes_that_are_not_text_are_refused(tmp_path):
    path = tmp_path / "recipe.yml"
    path.write_bytes(b"seed: 1\nprotocol: \xff\xfe\n")
    with pytest.raises(ValueError, match=f"^{path}, line 2: .*it must be text in UTF-8 "):
        Recipe.load(path)


def test_missing_recipe_is_an_ordinary_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="recipe.yml"):
        Recipe.load(tmp_path / "recipe.yml")


def test_keys_of_merged_sections_can_be_given_again(tmp_path):
    path = tmp_path / "recipe.yml"
    path.write_text(
        f"{yaml.safe_dump(MINIMAL)}"
        "stages: {distil: &same {batch_size: 8}, prune: {<<: *same, patience: 1, batch_size: 4}}\n"
    )
    stages = Recipe.load(path, check_files=False).stages
    assert (stages.distil.batch_size, stages.prune.batch_size, stages.prune.patience) == (8, 4, 1)


def test_python_objects_are_refused_and_not_executed(tmp_path):
    path, executed = tmp_path / "recipe.yml", tmp_path / "executed"
    path.write_text(f"protocol: !!python/object/apply:os.mkdir [{executed}]\n")
    yaml.unsafe_load(path.read_text())
    assert executed.is_dir()  # it would work
    executed.rmdir()
    path.write_text(f"seed: 1\n{path.read_text()}")
    with pytest.raises(ValueError, match=f"^{path}, line 2: .*python/object/apply:os.mkdir"):
        Recipe.load(path)
    assert not executed.exists()
    path.write_text(f"protocol: !!python/object/apply:os.system ['mkdir {executed}']\n")
    with pytest.raises(ValueError, match=f"^{path}, line 1: .*python/object/apply:os.system"):
        Recipe.load(path)
    assert not executed.exists()


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
