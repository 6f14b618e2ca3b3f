"""Recipes that ship with the package"""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from recipes import from_dict

import pyannote_prune
from pyannote_prune.recipe.config import Recipe

RECIPES = sorted((Path(pyannote_prune.__file__).parent / "recipe" / "shipped").glob("*.yml"))


OF_TEACHERS = [path for path in RECIPES if "\ncheckpoint: " in path.read_text()]


COMMERCIAL = [path for path in RECIPES if path.stem.startswith("commercial-")]


TRIALS = [path for path in RECIPES if path.stem == "tiny"]
OF_THE_PAPER = [path for path in RECIPES if path not in (*OF_TEACHERS, *COMMERCIAL, *TRIALS)]


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
def test_shipped_recipe_differs_from_the_paper_by_what_proved_itself(path):
    """At 90 %, epochs of distillation go to the last stage. Defaults are those of the paper"""
    size, sparsity = path.stem.rsplit("-s", 1)
    epochs = {"distil": {"max_epochs": 0}, "train": {"max_epochs": 40}}
    paper = from_dict({}, folder=path.parent).stages
    assert paper.distil.max_epochs + paper.train.max_epochs == 40
    stages = {"prune": {"batch_size": 32 if size == "large" else 64}}
    change = {
        "wavlm": f"microsoft/wavlm-{size}",
        "pruning": {"target_sparsity": int(sparsity) / 100},
        "stages": stages | (epochs if sparsity == "90" else {}),
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
