"""Arms start from what they need, and their models are described by their cost"""

from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from pyannote_prune import cost
from pyannote_prune.benchmark.accuracy import SMALL, Arm, training
from pyannote_prune.recipe.config import Recipe
from pyannote_prune.segmentation.checkpoint import load_checkpoint
from pyannote_prune.segmentation.cost import model_cost


@dataclass
class Run:
    """Run of a recipe that does nothing"""

    recipe: Recipe
    output: Path
    is_finished: bool = False

    def __call__(self):
        self.is_finished = True


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Train an arm, but for the run of its recipe, and return that recipe"""
    (tmp_path / "arms").mkdir()
    (tmp_path / "database.yml").touch()
    monkeypatch.setattr(training, "RecipeRun", Run)

    def train(arm: Arm, source: Path) -> Recipe:
        folder = tmp_path / "arms" / arm.name
        run = training.train_arm(arm, SMALL, tmp_path / "database.yml", folder, source)
        assert run.is_finished
        assert run.output == folder / "run"
        plain = yaml.safe_load(folder.with_name(f"{arm.name}.yml").read_text(encoding="utf-8"))
        assert Recipe.from_dict(plain) == run.recipe
        assert run.recipe.seed == arm.seed
        return run.recipe

    return train


def test_arms_start_from_the_model_that_they_need(train, checkpoint):
    for method in ("dense", "longer", "gates", "paper", "early"):
        sparsity = 0.0 if method in ("dense", "longer") else 0.8
        recipe = train(Arm(method, 2, sparsity), checkpoint)
        assert (recipe.checkpoint, recipe.wavlm) == (checkpoint, None)


def test_same_structure_from_scratch_has_no_weights(train, checkpoint):
    recipe = train(Arm("scratch", 1, 0.8), checkpoint)
    assert recipe.checkpoint is None
    assert recipe.wavlm == load_checkpoint(checkpoint).wavlm.config.to_dict()


@pytest.mark.parametrize("method", ["magnitude", "magnitude-layer"])
def test_one_shot_arms_start_from_a_pruned_model_beside_their_folder(train, checkpoint, method):
    arm = Arm(method, 1, 0.5)
    recipe = train(arm, checkpoint)
    assert recipe.checkpoint.name == f"{arm.name}.ckpt"
    results = [training.describe(path) for path in (recipe.checkpoint, checkpoint)]
    assert training.removed(*results)["removed"] == pytest.approx(0.5, abs=0.01)


def test_descriptions_count_wavlm_and_the_whole_model(checkpoint):
    model, found = load_checkpoint(checkpoint), training.describe(checkpoint)
    size, whole = cost(model.wavlm), model_cost(model)
    assert (found["parameters"], found["macs_per_second"]) == (
        size.parameters,
        size.macs_per_second,
    )
    assert found["model_parameters"] == whole.parameters > size.parameters
    assert found["model_macs_per_second"] == whole.macs_per_second
    half = {key: value / 2 for key, value in found.items()}
    assert training.removed(found, found).keys() == {"removed", "removed_macs", "removed_model"}
    assert {*training.removed(found, found).values()} == {0}
    assert {*training.removed(half, found).values()} == {0.5}
