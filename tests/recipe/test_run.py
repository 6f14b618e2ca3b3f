"""Four stages, finished, interrupted, and refused"""

import json
import logging
import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from compressed import compress, needs_ffmpeg
from conversations import generate_conversations
from helpers import largest_file, tiny_model
from pyannote.audio import Pipeline
from pyannote.audio.sample import SAMPLE_FILE
from recipes import STAGES, conversations_of_all_tests, finished_recipe, tiny_recipe
from released import random_model

from pyannote_prune import cost, gate
from pyannote_prune.files.atomic import WriteError
from pyannote_prune.files.folders import write_yaml
from pyannote_prune.pipeline.card import read_card
from pyannote_prune.recipe.config import Recipe
from pyannote_prune.recipe.folder import check_recipe, claim_recipe
from pyannote_prune.recipe.run import RecipeRun
from pyannote_prune.released.diarizen import write_stand_in
from pyannote_prune.segmentation.checkpoint import load_checkpoint
from pyannote_prune.segmentation.cost import model_cost
from pyannote_prune.segmentation.provenance import Provenance
from pyannote_prune.training.best_checkpoints import Near
from pyannote_prune.training.logs import merge_logs
from pyannote_prune.wavlm.gates import gates_of

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return conversations_of_all_tests(tmp_path_factory)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Folder of an undisturbed run, of which each process that runs tests has a copy"""
    return shutil.copytree(
        finished_recipe(tmp_path_factory), tmp_path_factory.mktemp("finished") / "run"
    )


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


def test_stated_licence_exports_again(data, copied):
    recipe = tiny_recipe(data)
    recipe["export"] |= {"licence": "MIT", "data_licence": "ours"}
    RecipeRun(Recipe.from_dict(recipe), copied)()
    claims, licence = read_card(copied / "pipeline")
    assert licence == "mit"
    assert claims.segmentation.provenance.data_licence == "ours"


def test_licence_that_excludes_the_stated_one_is_said_before_training(data, tmp_path):
    released = write_stand_in(random_model(), tmp_path / "released")
    recipe = tiny_recipe(data) | {"wavlm": None, "conformer": {}, "checkpoint": str(released)}
    recipe["export"] |= {"licence": "MIT"}
    with pytest.raises(ValueError, match="`licence` must be 'CC BY-NC 4.0', found 'MIT'"):
        RecipeRun(Recipe.from_dict(recipe), tmp_path / "run")()
    assert not (tmp_path / "run").exists()


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


def test_tasks_of_stages_learn_what_the_recipe_says(data, finished, tmp_path):
    """Hidden states, decisions of the teacher, and references"""
    teacher = load_checkpoint(finished / "1-fine-tune" / "model.ckpt")
    weights = {"output_weight": 0.5, "task_weight": 0.25}
    plain = tiny_recipe(data, layers=[0, 1, 2])
    for name, stage in (("prune", weights), ("train", {"teacher_weight": 2.0})):
        plain["stages"][name] |= stage
    run = RecipeRun(Recipe.from_dict(plain), tmp_path / "run")
    prune, distil, train = run.later_stages
    for stage, (output_weight, task_weight) in ((prune, (0.5, 0.25)), (distil, (0, 0))):
        task = stage.task([teacher])
        assert (task.output_weight, task.task_weight) == (output_weight, task_weight)
        assert (task.teacher, task.layers) == (teacher, (0, 1, 2))
        assert stage.monitor == task.monitor
    assert (prune.monitor, distil.monitor) == ("loss/total/val", "loss/distillation/val")
    task = train.task([teacher])
    assert (task.teacher, task.teacher_weight) == (teacher, 2.0)
    # a folder of a former release says nothing about them
    folder = shutil.copytree(finished, tmp_path / "former")
    former = yaml.safe_load((folder / "recipe.yml").read_text())
    for stage in former["stages"].values():
        for name in ("output_weight", "task_weight", "teacher_weight"):
            stage.pop(name, None)
    del former["pruning"]["scope"]
    write_yaml(former, folder / "recipe.yml")
    assert check_recipe(folder, Recipe.from_dict(tiny_recipe(data))) == []
    with pytest.raises(ValueError, match=r"teacher_weight \(here 2.0, there 0.0\)"):
        check_recipe(folder, run.recipe)


def test_folder_of_another_recipe_is_refused_and_left_alone(data, finished):
    before = (finished / "recipe.yml").read_text()
    recipe = Recipe.from_dict(tiny_recipe(data, target_sparsity=0.6))
    with pytest.raises(ValueError, match=r"pruning.target_sparsity \(here 0.6, there 0.5\)"):
        RecipeRun(recipe, finished)
    assert (finished / "recipe.yml").read_text() == before


@pytest.fixture
def copied(finished, tmp_path) -> Path:
    """Folder of a finished run, to do anything with"""
    return shutil.copytree(finished, tmp_path / "copied")


def test_values_that_nothing_learned_depends_on_may_change(data, copied):
    before = {path: path.stat().st_mtime_ns for path in copied.rglob("*.ckpt")}
    stamp = (copied / "pipeline" / "config.yaml").stat().st_mtime_ns
    plain = tiny_recipe(data) | {"num_workers": 1, "max_skipped_steps": 3}
    plain["trainer"] = {"accelerator": "auto", "devices": 1, "strategy": "ddp"}
    RecipeRun(Recipe.from_dict(plain), copied)()
    assert before == {path: path.stat().st_mtime_ns for path in copied.rglob("*.ckpt")}
    assert (copied / "pipeline" / "config.yaml").stat().st_mtime_ns == stamp
    assert yaml.safe_load((copied / "recipe.yml").read_text())["num_workers"] == 1


def test_another_export_exports_again(data, copied):
    (copied / "pipeline" / "mark").touch()
    plain = tiny_recipe(data)
    plain["export"]["parts"] = "someone/pipeline"
    RecipeRun(Recipe.from_dict(plain), copied)()
    assert (copied / "pipeline" / "config.yaml").is_file()
    assert not (copied / "pipeline" / "mark").exists()


def test_stages_that_have_not_begun_may_change(data, tmp_path):
    plain, output = tiny_recipe(data), tmp_path / "run"
    plain["stages"]["distil"]["max_epochs"] = plain["stages"]["train"]["max_epochs"] = 0
    for name in ("fine_tune", "prune"):
        plain["stages"][name]["max_steps_per_epoch"] = 2
    RecipeRun(Recipe.from_dict(plain), output)()
    plain["stages"]["train"] |= {"max_epochs": 1, "max_steps_per_epoch": 2}
    run = RecipeRun(Recipe.from_dict(plain), output)
    assert [*run()] == ["fine_tune", "prune", "train"]
    expected = load_checkpoint(output / "4-train" / "model.ckpt").state_dict()
    found = Pipeline.from_pretrained(output / "pipeline")._segmentation.model.state_dict()
    assert all(torch.equal(found[key], value) for key, value in expected.items())

    # what has begun may not, unless it is done again, and what follows it
    plain["stages"]["prune"]["learning_rate"] = 1e-4
    message = (
        r"stages.prune.learning_rate \(here 0.0001, there 0.0002\), with which 2-prune, 4-train"
    )
    with pytest.raises(ValueError, match=message):
        RecipeRun(Recipe.from_dict(plain), output)
    for name in ("2-prune", "4-train"):
        shutil.rmtree(output / name)
    before = (output / "1-fine-tune" / "model.ckpt").stat().st_mtime_ns
    assert [*RecipeRun(Recipe.from_dict(plain), output)()] == ["fine_tune", "prune", "train"]
    assert (output / "1-fine-tune" / "model.ckpt").stat().st_mtime_ns == before
    found = Pipeline.from_pretrained(output / "pipeline")._segmentation.model.state_dict()
    assert any(not torch.equal(found[key], value) for key, value in expected.items())


def test_recipe_may_change_altogether_before_anything_began(data, tmp_path):
    claim_recipe(tmp_path / "run", Recipe.from_dict(tiny_recipe(data)))
    other = tiny_recipe(data, target_sparsity=0.6, units=["head"]) | {"seed": 1}
    RecipeRun(Recipe.from_dict(other), tmp_path / "run")
    claim_recipe(tmp_path / "run", Recipe.from_dict(other))
    stored = yaml.safe_load((tmp_path / "run" / "recipe.yml").read_text())
    assert stored["seed"] == 1
    assert stored["pruning"]["units"] == ["head"]


@pytest.mark.parametrize("what", ["project", "copy", "run"])
def test_project_that_is_moved_goes_on(data, finished, tmp_path, what):
    """With its data, which may still be where they were, or the folder of the run alone"""
    here, there = tmp_path / "here", tmp_path / "a" / "there"
    there.parent.mkdir()
    shutil.copytree(data.parent, here / "data")
    plain = tiny_recipe(here / "data" / data.name)
    run = RecipeRun(Recipe.from_dict(plain), here / "runs" / "run")
    shutil.copytree(finished, run.output)
    write_yaml(run.recipe.to_dict(), run.output / "recipe.yml")
    if what != "run":
        shutil.copytree(here, there) if what == "copy" else here.rename(there)
        plain = tiny_recipe(there / "data" / data.name)
        output = there / "runs" / "run"
    else:
        output = tmp_path / "elsewhere"
        run.output.rename(output)
    assert [*RecipeRun(Recipe.from_dict(plain), output)()] == [*run.stages()]
    assert yaml.safe_load((output / "recipe.yml").read_text())["database"] == plain["database"]


def test_another_database_is_no_move(data, finished, tmp_path):
    """Its name is the same, and both exist"""
    for version in ("v1", "v2"):
        shutil.copytree(data.parent, tmp_path / version)
    output = tmp_path / "v2" / "run"
    run = RecipeRun(Recipe.from_dict(tiny_recipe(tmp_path / "v1" / data.name)), output)
    shutil.copytree(finished, run.output)
    write_yaml(run.recipe.to_dict(), run.output / "recipe.yml")
    with pytest.raises(ValueError, match=r"other values of database \(here .*v2"):
        RecipeRun(Recipe.from_dict(tiny_recipe(tmp_path / "v2" / data.name)), output)


@pytest.mark.parametrize(
    ("log_alpha", "message"),
    [
        (
            4.0,
            r"within 2 points.*\(50.0 %\), found 0\.\d %: the rest is closed.*`stages.prune.max_ep",
        ),
        (
            -9.0,
            r"within 2 points.*\(50.0 %\), found \d\d\.\d %: the rest is opened.*multiplier_learn",
        ),
    ],
)
def test_sparsity_that_ends_far_from_its_target_is_said(data, tmp_path, caplog, log_alpha, message):
    run = RecipeRun(Recipe.from_dict(tiny_recipe(data)), tmp_path / "run")
    prune_stage, *_ = run.later_stages
    teacher = tiny_model()
    student = gate(teacher)
    for gates in gates_of(student):
        gates.log_alpha.data.fill_(log_alpha)
    pruned, scores = prune_stage.finish(student, [teacher])
    assert re.search(message, caplog.text)
    assert abs(scores["expected_sparsity"] - 0.5) > 0.02
    assert 1 - cost(pruned.wavlm).parameters / cost(teacher.wavlm).parameters == pytest.approx(
        0.5, abs=0.01
    )


def test_only_epochs_near_the_target_are_averaged(data, finished, tmp_path):
    """The last one when there is none, as in this short training"""
    run = RecipeRun(Recipe.from_dict(tiny_recipe(data)), tmp_path / "run")
    prune_stage, _, train_stage = run.later_stages
    assert prune_stage.checkpoints().near == Near("sparsity/expected/val", 0.5, 0.02)
    assert train_stage.checkpoints().near is None
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["prune"]["expected_sparsity"] < 0.48
    assert not list((finished / "2-prune" / "checkpoints").glob("epoch-*.ckpt"))


def test_folder_of_anything_else_is_refused(data, tmp_path):
    precious = [tmp_path / "precious", tmp_path / ".letter.draft", tmp_path / "a" / ".b.draft"]
    (tmp_path / "a").mkdir()
    for path in precious:
        path.write_text("do not touch")
    with pytest.raises(ValueError, match="`output` must not exist, or be empty"):
        RecipeRun(Recipe.from_dict(tiny_recipe(data)), tmp_path)
    assert all(path.read_text() == "do not touch" for path in precious)


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
