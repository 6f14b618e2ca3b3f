"""Four stages, finished, resumed, or left out"""

import json
import logging

import pytest
import torch
from pyannote.audio import Pipeline
from pyannote.audio.sample import SAMPLE_FILE
from recipes import STAGES, tiny_recipe

from pyannote_prune import cost
from pyannote_prune.pipeline.card import read_card
from pyannote_prune.recipe.config import Recipe
from pyannote_prune.recipe.run import RecipeRun
from pyannote_prune.segmentation.checkpoint import load_checkpoint
from pyannote_prune.segmentation.cost import model_cost
from pyannote_prune.segmentation.provenance import Provenance

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
pytestmark = pytest.mark.filterwarnings("ignore")


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


def test_card_says_what_the_recipe_knows(finished):
    claims, licence = read_card(finished / "pipeline")
    teacher, final = (
        load_checkpoint(finished / stage / "model.ckpt") for stage in (STAGES[0], STAGES[-1])
    )
    scores = json.loads((finished / STAGES[-1] / "scores.json").read_text(encoding="utf-8"))
    assert final.provenance == claims.segmentation.provenance
    assert final.provenance == Provenance(
        training=("Generated.SpeakerDiarization.Mini",),
        dense_parameters=cost(teacher.wavlm).parameters,
        validation_loss=scores["loss/val"],
        error_rate=scores["DiarizationErrorRate"],
    )
    assert claims.segmentation.sparsity == pytest.approx(0.5, abs=0.005)
    assert licence is None
    text = (finished / "pipeline" / "README.md").read_text(encoding="utf-8")
    assert "On the development set of `Generated.SpeakerDiarization.Mini`" in text


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


def test_target_of_the_whole_model_is_reached_with_units_of_the_head(data, finished, tmp_path):
    units = ["channel", "head", "neuron", "conformer_neuron", "conformer_channel"]
    recipe = tiny_recipe(data, scope="model", units=units)
    recipe |= {"wavlm": None, "conformer": {}}
    recipe["checkpoint"] = str(finished / "1-fine-tune" / "model.ckpt")
    for name, epochs in (("fine_tune", 0), ("prune", 2), ("distil", 0), ("train", 1)):
        recipe["stages"][name]["max_epochs"] = epochs
    recipe["stages"]["prune"]["output_weight"] = 1.0
    run = RecipeRun(Recipe.from_dict(recipe), tmp_path / "run")
    summary = run()
    teacher, model = (load_checkpoint(path) for path in (recipe["checkpoint"], run.final))
    assert model.head.is_pruned
    assert summary["train"]["parameters"] == model_cost(model).parameters
    assert summary["train"]["sparsity"] == pytest.approx(0.5, abs=0.01)
    left = model_cost(model).parameters / model_cost(teacher).parameters
    assert summary["train"]["sparsity"] == pytest.approx(1 - left)


def test_stages_without_epochs_are_left_out(data, tmp_path):
    recipe = tiny_recipe(data)
    for name in ("prune", "distil", "train"):
        recipe["stages"][name]["max_epochs"] = 0
    recipe["stages"]["prune"]["warm_up_epochs"] = 1
    run = RecipeRun(Recipe.from_dict(recipe), tmp_path / "run")
    assert list(run()) == ["fine_tune"]
    assert [path.name for path in sorted((tmp_path / "run").glob("?-*"))] == ["1-fine-tune"]
    assert run.final.is_file()


def test_audio_read_from_files_gives_the_same_model(data, finished, tmp_path):
    recipe = tiny_recipe(data) | {"in_memory": False}
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
