"""Recipes that are refused: keys, values, files"""

from dataclasses import fields, is_dataclass

import pytest
import yaml
from recipes import MINIMAL, from_dict, nested

from pyannote_prune.recipe.config import Recipe


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
    message = "^Missing key `augmentation.noise.folder`: it must be the path of a folder"
    with pytest.raises(ValueError, match=message):
        from_dict({"augmentation": {"noise": {}}})


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
        ("augmentation.noise", 1, "a dictionary or null, found 1."),
        ("augmentation.mix.probability", 2, "a number, at least 0 and at most 1, found 2."),
        ("augmentation.mix.snr", [5, 0], r"two numbers, the lower one first, found \[5.0, 0.0\]."),
        ("augmentation.mix.snr", [5], r"two numbers, the lower one first, found \[5.0\]."),
        ("conformer", [], r"a dictionary, found \[\]."),
        ("conformer.dropout", 1, "a number, at least 0 and below 1, found 1."),
        ("conformer.input_dim", 30, r"a multiple of `conformer.num_heads` \(4\), found 30."),
        ("conformer.depthwise_conv_kernel_size", 30, "odd, found 30."),
        ("pruning.target_sparsity", 1, "a number, at least 0 and below 1, found 1."),
        ("pruning.target_sparsity", -0.1, "a number, at least 0 and below 1, found -0.1."),
        ("pruning.objective", "mac", r"one of 'parameters', 'macs', .*did you mean 'macs'\?"),
        ("pruning.scope", "models", r"one of 'wavlm', 'model', .*did you mean 'model'\?"),
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
        ("stages.prune.output_weight", -1, "a number, at least 0, found -1."),
        ("stages.train.teacher_weight", "inf", "a number, at least 0, found 'inf'."),
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


def test_impossible_value_of_a_list_is_located():
    with pytest.raises(ValueError, match=r"^`pruning.units\[1\]` .*did you mean 'neuron'\?"):
        from_dict(nested("pruning.units", ["head", "neurons"]))
    with pytest.raises(ValueError, match=r"^`pruning.layers\[0\]` must be an integer, at least 0"):
        from_dict(nested("pruning.layers", [-1]))


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
