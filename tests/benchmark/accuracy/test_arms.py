"""Every arm has what it needs, and as many steps as those it is compared with"""

from dataclasses import replace
from pathlib import Path

import pytest

from pyannote_prune.benchmark.accuracy import FULL, SMALL, Arm, Scale
from pyannote_prune.benchmark.accuracy.arms import PAIRS
from pyannote_prune.benchmark.accuracy.recipes import DECISIONS, recipe, stages
from pyannote_prune.recipe.config import Recipe
from pyannote_prune.wavlm.config import WavLMConfig


def trained(scale: Scale) -> list[Arm]:
    """Arms that are recipes"""
    return [arm for arm in scale.arms() if arm.method != "pretrained"]


@pytest.mark.parametrize("scale", [FULL, SMALL], ids=["full", "small"])
def test_arms_come_after_those_that_they_need(scale):
    arms = scale.arms()
    assert len({arm.name for arm in arms}) == len(arms)
    for index, arm in enumerate(arms):
        assert arm.needs is None or arm.needs in arms[:index], arm


def test_full_experiment_has_the_arms_that_were_asked_for():
    groups = [arm.group for arm in FULL.arms()]
    # those that have goals at 80 % and 90 %, then others
    five_seeds = ["dense", "longer", "gates-80", "gates-90", "paper-90", "scratch-90"]
    five_seeds += ["magnitude-layer-90"]
    three_seeds = ["gates-50", "gates-95", "gates-80-macs", "whole-80", "paper-80", "early-80"]
    three_seeds += ["gradient-90", "hidden-90", "scratch-80", "magnitude-80", "magnitude-90"]
    three_seeds += ["magnitude-layer-80"]
    for number, names in ((5, five_seeds), (3, three_seeds)):
        for group in names:
            assert groups.count(group) == number, group
    assert groups.count("gates-70") == 1
    assert {group for pair in PAIRS for group in pair} <= set(groups)


@pytest.mark.parametrize("scale", [FULL, SMALL], ids=["full", "small"])
def test_all_models_that_are_compared_have_as_many_steps(scale):
    def total(arm: Arm) -> int:
        if arm.method == "pretrained":
            return scale.pretrain
        own = sum(stage["max_epochs"] for stage in stages(arm, scale).values())
        start = arm.needs if arm.method != "scratch" else None
        return own + (total(start) if start else 0)

    numbers = {total(arm) for arm in scale.arms() if arm.method not in ("dense", "pretrained")}
    assert numbers == {scale.pretrain + scale.fine_tune + scale.prune + scale.distil + scale.train}
    rates = {
        (stage["batch_size"], stage["max_steps_per_epoch"], stage["learning_rate"])
        for arm in trained(scale)
        for stage in stages(arm, scale).values()
    }
    assert len(rates) == 1
    decays = {
        stages(arm, scale)[name]["decay_to"]
        for arm in trained(scale)
        for name in ("fine_tune", "train")
    }
    assert decays == {scale.decay_to}


@pytest.mark.parametrize("arm", trained(SMALL), ids=lambda arm: arm.name)
def test_recipes_are_valid(arm):
    start = {"checkpoint": Path("model.ckpt")}
    if arm.method == "scratch":
        start = {"wavlm": WavLMConfig.dense(**SMALL.wavlm)}
    checked = Recipe.from_dict(recipe(arm, SMALL, Path("database.yml"), **start), check_files=False)
    assert checked.pruning.target_sparsity == arm.sparsity
    assert checked.pruning.objective == arm.objective
    assert (checked.checkpoint is None) == (arm.method == "scratch")


def test_some_arms_come_with_what_they_need():
    arms = FULL.arms(["scratch-80"])
    assert {arm.group for arm in arms} == {"pretrained", "dense", "gates-80", "scratch-80"}
    assert len(arms) == 4 * FULL.sparsities["scratch"][0.8]
    assert arms == [arm for arm in FULL.arms() if arm in arms]
    with pytest.raises(ValueError, match="`groups` must be among pretrained, .*found gates-85"):
        FULL.arms(["gates-80", "gates-85"])


def test_the_paper_has_its_own_recipe_and_ours_has_other_stages():
    """In all else, they are the same"""
    weights = {"output_weight": 1.0, "task_weight": 0.5}
    length = {"max_epochs": FULL.prune - 3, "warm_up_epochs": 2}
    end = {"max_epochs": FULL.train + 3, "teacher_weight": 0.25}
    scale = replace(FULL, ours={"prune": length | weights, "train": end}, ours_from_90={})
    ours, paper, gradient, hidden = (
        recipe(Arm(method, 1, 0.9), scale, Path("database.yml"), Path("model.ckpt"))
        for method in ("gates", "paper", "gradient", "hidden")
    )
    assert "extractor_gradient" not in ours["pruning"]
    assert paper["pruning"].pop("extractor_gradient") == 0.1
    assert gradient["pruning"].pop("extractor_gradient") == 0.1
    assert gradient == ours
    prune, train = ours["stages"]["prune"], ours["stages"]["train"]
    assert (prune.pop("output_weight"), prune.pop("task_weight")) == (1.0, 0.5)
    assert train.pop("teacher_weight") == 0.25
    assert hidden == ours
    prune |= {"max_epochs": FULL.prune, "warm_up_epochs": FULL.warm_up}
    train["max_epochs"] = FULL.train
    assert paper == ours
    # the more there is to remove, the longer pruning takes
    later = replace(scale, ours_from_90={"prune": {"max_epochs": 7}})
    lengths = {
        (method, share): stages(Arm(method, 1, share), later)["prune"]["max_epochs"]
        for method in ("gates", "paper")
        for share in (0.8, 0.9)
    }
    usual = length["max_epochs"]
    assert lengths == {
        ("gates", 0.8): usual,
        ("gates", 0.9): 7,
        ("paper", 0.8): FULL.prune,
        ("paper", 0.9): FULL.prune,
    }
    # whatever has no teacher that diarizes learns from references alone
    for method in ("early", "scratch", "magnitude", "magnitude-layer", "longer"):
        found = stages(Arm(method, 1, 0.9), scale)
        assert not any(key in DECISIONS for stage in found.values() for key in stage), method
