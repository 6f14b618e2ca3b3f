"""Four stages, finished, interrupted, and refused"""

import json
import logging
from pathlib import Path

import pytest
import torch
import yaml
from conftest import generate_conversations
from helpers import CONFORMER, tiny_config
from pyannote.audio import Pipeline
from pyannote.audio.sample import SAMPLE_FILE

from pyannote_prune import cost
from pyannote_prune.checkpoint import load_checkpoint
from pyannote_prune.logs import merge_logs
from pyannote_prune.recipe import RecipeRun
from pyannote_prune.recipe_config import Recipe

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
pytestmark = pytest.mark.filterwarnings("ignore")

STAGES = ("1-fine-tune", "2-prune", "3-distil", "4-train")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return generate_conversations(tmp_path_factory.mktemp("conversations"))


def tiny_recipe(database: Path, **pruning) -> dict:
    stage = {"batch_size": 8, "average": 2}
    return {
        "protocol": "Generated.SpeakerDiarization.Mini",
        "database": str(database),
        "wavlm": tiny_config().to_dict(),
        "conformer": CONFORMER,
        "duration": 2.0,
        "max_speakers_per_chunk": 3,
        "num_workers": 0,
        "pruning": {"target_sparsity": 0.5, **pruning},
        "stages": {
            "fine_tune": {"max_epochs": 2, "wavlm_learning_rate": 1e-3, **stage},
            "prune": {"max_epochs": 3, "warm_up_epochs": 1, "gate_learning_rate": 0.1, **stage},
            "distil": {"max_epochs": 2, **stage},
            "train": {"max_epochs": 2, "wavlm_learning_rate": 1e-3, **stage},
        },
        "trainer": {"accelerator": "cpu", "devices": 1},
        "export": {"oracle_clustering": True},
    }


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory) -> Path:
    """Folder of an undisturbed run"""
    output = tmp_path_factory.mktemp("finished") / "run"
    RecipeRun(Recipe.from_dict(tiny_recipe(data)), output)()
    return output


def test_stages_leave_what_they_should(finished):
    for stage in STAGES:
        for name in ("model.ckpt", "scores.json", "metrics.csv", "checkpoints/last.ckpt"):
            assert (finished / stage / name).is_file(), (stage, name)
    for name in ("structure.png", "training.png", "summary.json", "recipe.yml"):
        assert (finished / name).is_file(), name

    teacher, *pruned = (load_checkpoint(finished / stage / "model.ckpt") for stage in STAGES)
    assert not teacher.wavlm.units
    for model in pruned:
        assert not model.wavlm.units
        assert model.wavlm.config == pruned[0].wavlm.config
        removed = 1 - cost(model.wavlm).parameters / cost(teacher.wavlm).parameters
        assert removed == pytest.approx(0.5, abs=0.005)
    # distillation left the head as it was, diarization did not
    for model, same in zip(pruned, (True, True, False), strict=True):
        assert torch.equal(model.classifier.weight, teacher.classifier.weight) == same


def test_summary_says_what_was_trained(finished):
    summary = json.loads((finished / "summary.json").read_text())
    assert list(summary) == ["fine_tune", "prune", "distil", "train"]
    model = load_checkpoint(finished / "4-train" / "model.ckpt")
    assert summary["train"]["parameters"] == cost(model.wavlm).parameters
    assert summary["fine_tune"]["sparsity"] == 0.0
    assert summary["train"]["DiarizationErrorRate"] > 0


def test_pipeline_has_the_last_model(finished):
    pipeline = Pipeline.from_pretrained(finished / "pipeline")
    pipeline(dict(SAMPLE_FILE))
    expected = load_checkpoint(finished / "4-train" / "model.ckpt").state_dict()
    found = pipeline._segmentation.model.state_dict()
    assert all(torch.equal(found[key], value) for key, value in expected.items())


def test_finished_stages_are_not_run_again(data, finished):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("model.ckpt")}
    summary = RecipeRun(Recipe.from_dict(tiny_recipe(data)), finished)()
    assert summary == json.loads((finished / "summary.json").read_text())
    assert before == {path: path.stat().st_mtime_ns for path in finished.rglob("model.ckpt")}


def test_recipe_starts_from_a_checkpoint(data, finished, tmp_path):
    teacher = finished / "1-fine-tune" / "model.ckpt"
    recipe = tiny_recipe(data) | {"wavlm": None, "conformer": {}, "checkpoint": str(teacher)}
    recipe["stages"]["fine_tune"]["max_epochs"] = 0
    run = RecipeRun(Recipe.from_dict(recipe), tmp_path / "run")
    summary = run()
    # same seed, same teacher: same models as when the teacher was the first stage
    assert list(summary) == ["prune", "distil", "train"]
    assert run.final == tmp_path / "run" / "4-train" / "model.ckpt"
    found, expected = (
        load_checkpoint(path).state_dict()
        for path in (run.final, finished / "4-train" / "model.ckpt")
    )
    assert all(torch.equal(found[key], value) for key, value in expected.items())


def test_stages_without_epochs_are_left_out(data, tmp_path):
    recipe = tiny_recipe(data)
    for name in ("prune", "distil", "train"):
        recipe["stages"][name]["max_epochs"] = 0
    recipe["stages"]["prune"]["warm_up_epochs"] = 1
    run = RecipeRun(Recipe.from_dict(recipe), tmp_path / "run")
    assert list(run()) == ["fine_tune"]
    assert [path.name for path in sorted((tmp_path / "run").glob("?-*"))] == ["1-fine-tune"]
    assert run.final.is_file()


def test_folder_of_another_recipe_is_refused_and_left_alone(data, finished):
    before = (finished / "recipe.yml").read_text()
    recipe = Recipe.from_dict(tiny_recipe(data, target_sparsity=0.6))
    with pytest.raises(ValueError, match=r"pruning.target_sparsity \(here 0.6, there 0.5\)"):
        RecipeRun(recipe, finished)
    assert (finished / "recipe.yml").read_text() == before


def test_folder_of_anything_else_is_refused(data, tmp_path):
    precious = [tmp_path / "precious", tmp_path / ".letter.draft", tmp_path / "a" / ".b.draft"]
    (tmp_path / "a").mkdir()
    for path in precious:
        path.write_text("do not touch")
    with pytest.raises(ValueError, match="`folder` must not exist, or be empty"):
        RecipeRun(Recipe.from_dict(tiny_recipe(data)), tmp_path)
    assert all(path.read_text() == "do not touch" for path in precious)


def test_target_beyond_reach_is_refused_before_pruning(data, finished, tmp_path):
    recipe = tiny_recipe(data, target_sparsity=0.9, units=["head"])
    output = tmp_path / "run"
    run = RecipeRun(Recipe.from_dict(recipe), output)
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


def test_audio_in_memory_gives_the_same_model(data, finished, tmp_path):
    recipe = tiny_recipe(data) | {"in_memory": True}
    for name in ("distil", "train"):
        recipe["stages"][name]["max_epochs"] = 0
    run = RecipeRun(Recipe.from_dict(recipe), tmp_path / "run")
    run()
    for stage in ("1-fine-tune", "2-prune"):
        found, expected = (
            load_checkpoint(folder / stage / "model.ckpt").state_dict()
            for folder in (run.output, finished)
        )
        assert all(torch.equal(found[key], value) for key, value in expected.items()), stage


def test_rows_that_were_repeated_are_replaced(tmp_path):
    for name, content in {
        "0": "step,loss\n0,1.0\n5,0.9\n10,0.8\n",
        "1": "step,loss,extra\n5,0.7,x\n15,0.6,y\n",
        "2": "",
    }.items():
        (tmp_path / name).write_text(content)
    merge_logs([tmp_path / name for name in ("0", "1", "missing", "2")], tmp_path / "merged")
    rows = [line.split(",") for line in (tmp_path / "merged").read_text().split()]
    assert rows == [
        ["extra", "loss", "step"],
        ["", "1.0", "0"],
        ["x", "0.7", "5"],
        ["y", "0.6", "15"],
    ]
