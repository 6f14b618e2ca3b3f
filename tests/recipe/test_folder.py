"""Folders of a recipe that changes, is moved, or is another one"""

import logging
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from pyannote.audio import Pipeline
from recipes import tiny_recipe

from pyannote_prune.files.folders import write_yaml
from pyannote_prune.pipeline.card import read_card
from pyannote_prune.recipe.config import Recipe
from pyannote_prune.recipe.folder import claim_recipe
from pyannote_prune.recipe.run import RecipeRun
from pyannote_prune.segmentation.checkpoint import load_checkpoint

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
pytestmark = pytest.mark.filterwarnings("ignore")


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


def test_stated_licence_exports_again(data, copied):
    recipe = tiny_recipe(data)
    recipe["export"] |= {"licence": "MIT", "data_licence": "ours"}
    RecipeRun(Recipe.from_dict(recipe), copied)()
    claims, licence = read_card(copied / "pipeline")
    assert licence == "mit"
    assert claims.segmentation.provenance.data_licence == "ours"


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


def test_folder_of_anything_else_is_refused(data, tmp_path):
    precious = [tmp_path / "precious", tmp_path / ".letter.draft", tmp_path / "a" / ".b.draft"]
    (tmp_path / "a").mkdir()
    for path in precious:
        path.write_text("do not touch")
    with pytest.raises(ValueError, match="`output` must not exist, or be empty"):
        RecipeRun(Recipe.from_dict(tiny_recipe(data)), tmp_path)
    assert all(path.read_text() == "do not touch" for path in precious)
