"""Tasks of stages, and the epochs and units that they keep"""

import json
import logging
import re
import shutil

import pytest
import yaml
from helpers import tiny_model
from recipes import tiny_recipe

from pyannote_prune import cost, gate
from pyannote_prune.files.folders import write_yaml
from pyannote_prune.recipe.config import Recipe
from pyannote_prune.recipe.folder import check_recipe
from pyannote_prune.recipe.run import RecipeRun
from pyannote_prune.segmentation.checkpoint import load_checkpoint
from pyannote_prune.training.best_checkpoints import Near
from pyannote_prune.wavlm.gates import gates_of

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
pytestmark = pytest.mark.filterwarnings("ignore")


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
