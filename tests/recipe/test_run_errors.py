"""Recipes that are refused before anything is trained, or written"""

import logging
from pathlib import Path

import pytest
import yaml
from compressed import compress, needs_ffmpeg
from conversations import generate_conversations
from helpers import largest_file
from recipes import tiny_recipe
from released import random_model

from pyannote_prune.files.atomic import WriteError
from pyannote_prune.recipe.config import Recipe
from pyannote_prune.recipe.folder import claim_recipe
from pyannote_prune.recipe.run import RecipeRun
from pyannote_prune.released.diarizen import write_stand_in

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
pytestmark = pytest.mark.filterwarnings("ignore")


def test_licence_that_excludes_the_stated_one_is_said_before_training(data, tmp_path):
    released = write_stand_in(random_model(), tmp_path / "released")
    recipe = tiny_recipe(data) | {"wavlm": None, "conformer": {}, "checkpoint": str(released)}
    recipe["export"] |= {"licence": "MIT"}
    with pytest.raises(ValueError, match="`licence` must be 'CC BY-NC 4.0', found 'MIT'"):
        RecipeRun(Recipe.from_dict(recipe), tmp_path / "run")()
    assert not (tmp_path / "run").exists()


def test_target_beyond_reach_is_refused_before_pruning(data, finished, tmp_path):
    recipe = tiny_recipe(data, target_sparsity=0.9, units=["head"])
    output = tmp_path / "run"
    run = RecipeRun(Recipe.from_dict(recipe), output)
    claim_recipe(output, run.recipe)
    run.folder("fine_tune").mkdir()
    model = (finished / "1-fine-tune" / "model.ckpt").read_bytes()
    (run.folder("fine_tune") / "model.ckpt").write_bytes(model)
    with pytest.raises(ValueError, match="`target_sparsity` must be at most"):
        run()


def test_windows_longer_than_files_are_refused(data, tmp_path):
    recipe = tiny_recipe(data) | {"duration": 40.0}
    with pytest.raises(
        ValueError, match=r"In the train set.* `duration` must be at most .*40 s.*30.00 s.*'train"
    ):
        RecipeRun(Recipe.from_dict(recipe), tmp_path / "run")()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"trainer": {"accelerator": "cpu", "devices": 3}}, r"multiple of the number .*\(3\)"),
        ({"wavlm": "no/where"}, "`wavlm` must be a hub id or a local folder"),
        ({"wavlm": None, "conformer": {}, "checkpoint": "damaged.ckpt"}, "damaged.ckpt.*damaged"),
        ({"export": {"parts": "parts"}}, "`parts` must be laid out as .*without pytorch_model"),
    ],
    ids=["devices", "hub", "checkpoint", "parts"],
)
def test_nothing_is_written_before_all_checks(data, tmp_path, values, message):
    (tmp_path / "damaged.ckpt").write_bytes(b"not a checkpoint")
    (tmp_path / "parts").mkdir()
    recipe = Recipe.from_dict(tiny_recipe(data) | values, tmp_path)
    with pytest.raises((OSError, ValueError), match=message):
        RecipeRun(recipe, tmp_path / "run")()
    assert not (tmp_path / "run").exists()
    # nor in a folder that exists
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".DS_Store").touch()
    with pytest.raises((OSError, ValueError), match=message):
        RecipeRun(recipe, tmp_path / "run")()
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".DS_Store"]


def test_protocol_without_development_set_is_refused(data, tmp_path):
    content = yaml.safe_load(data.read_text())
    del content["Protocols"]["Generated"]["SpeakerDiarization"]["Mini"]["development"]
    database = tmp_path / "database.yml"
    for path in data.parent.iterdir():
        (tmp_path / path.name).symlink_to(path)
    database.unlink()
    database.write_text(yaml.safe_dump(content))
    with pytest.raises(ValueError, match="`protocol` must have a development set, found none"):
        RecipeRun(Recipe.from_dict(tiny_recipe(database)), tmp_path / "run")()


@pytest.mark.parametrize(("size", "name"), [(2_000, "recipe.yml"), (3_000, "data"), (60_000, "1-")])
def test_full_disk_is_said_with_the_file_and_the_run_goes_on(data, tmp_path, size, name):
    """Recipe, prepared data, checkpoint"""
    plain = tiny_recipe(data)
    for stage in ("prune", "distil", "train"):
        plain["stages"][stage]["max_epochs"] = 0
    plain["stages"]["fine_tune"] |= {"max_epochs": 1, "max_steps_per_epoch": 2}
    run = RecipeRun(Recipe.from_dict(plain), tmp_path / "run")
    message = rf"'{tmp_path}/run/\.?{name}.*' could not be written \(File too large\)"
    with largest_file(size), pytest.raises(WriteError, match=message):
        run()
    assert [*run()] == ["fine_tune"]
    assert not [*run.output.rglob(".*")]


def one_stage(database: Path, **options) -> dict:
    """Recipe that fine-tunes for one epoch, and that is all"""
    plain = tiny_recipe(database) | options
    stages = {name: {**stage, "max_epochs": 0} for name, stage in plain["stages"].items()}
    stages["fine_tune"] |= {"max_epochs": 1, "max_steps_per_epoch": 2}
    stages["prune"]["warm_up_epochs"] = 0
    return plain | {"stages": stages}


@needs_ffmpeg
def test_compressed_audio_is_refused_before_training_or_trained_on_in_memory(tmp_path):
    database = generate_conversations(tmp_path / "data")
    database.write_text(database.read_text().replace("{uri}.wav", "{uri}.mp3"))
    for wav in (tmp_path / "data").glob("*.wav"):
        compress(wav, ".mp3")
        wav.unlink()
    output = tmp_path / "run"
    with pytest.raises(ValueError, match=r"train0\.mp3': convert it to WAV"):
        RecipeRun(Recipe.from_dict(one_stage(database, in_memory=False)), output)()
    assert not (output / "1-fine-tune" / "logs").exists()
    summary = RecipeRun(Recipe.from_dict(one_stage(database)), output)()
    assert summary["fine_tune"]["DiarizationErrorRate"] > 0
    assert (output / "1-fine-tune" / "model.ckpt").is_file()


def test_accelerator_that_is_not_there_is_named(data, tmp_path):
    plain = one_stage(data, trainer={"accelerator": "tpu", "devices": 1})
    with pytest.raises(ValueError, match=r"`trainer.accelerator` must be one of .* found 'tpu'"):
        RecipeRun(Recipe.from_dict(plain), tmp_path / "run")()
