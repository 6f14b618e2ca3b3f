"""Values of recipes that contradict each other"""

import pytest
from helpers import tiny_config
from recipes import MINIMAL, from_dict, nested

from pyannote_prune.recipe.config import Recipe


def test_encoder_or_checkpoint_but_not_both(tmp_path):
    rest = {key: value for key, value in MINIMAL.items() if key != "wavlm"}
    (tmp_path / "model.ckpt").touch()
    with pytest.raises(ValueError, match=r"`wavlm` or `checkpoint` must be given.* found none"):
        Recipe.from_dict(rest, tmp_path, check_files=False)
    with pytest.raises(ValueError, match=r"`wavlm` or `checkpoint` must be given.* found both"):
        Recipe.from_dict(MINIMAL | {"checkpoint": "model.ckpt"}, tmp_path, check_files=False)
    options = {"checkpoint": "model.ckpt", "conformer": {"num_layers": 1}}
    with pytest.raises(ValueError, match=r"`conformer` must be absent when `checkpoint`"):
        Recipe.from_dict(rest | options, tmp_path, check_files=False)
    recipe = Recipe.from_dict(rest | {"checkpoint": "model.ckpt"}, tmp_path, check_files=False)
    assert recipe.checkpoint == tmp_path / "model.ckpt"
    assert Recipe.from_dict(recipe.to_dict(), check_files=False) == recipe


def test_students_must_learn_something():
    pruning = {"l1_weight": 0, "cosine_weight": 0}
    stages = {"prune": {"output_weight": 1}, "distil": {"max_epochs": 0}}
    assert from_dict({"pruning": pruning, "stages": stages})
    stages["distil"] = {"output_weight": 0.0}
    message = r"`stages.distil.task_weight` must be above 0, found none"
    with pytest.raises(ValueError, match=message):
        from_dict({"pruning": pruning, "stages": stages})


def test_stages_without_epochs():
    stages = {name: {"max_epochs": 0} for name in ("fine_tune", "prune", "distil", "train")}
    with pytest.raises(ValueError, match="One stage at least must have `max_epochs` above 0"):
        Recipe.from_dict(MINIMAL | {"stages": stages}, check_files=False)
    del stages["train"]
    with pytest.raises(ValueError, match="`stages.fine_tune.max_epochs` must be above 0 without"):
        Recipe.from_dict(MINIMAL | {"stages": stages}, check_files=False)


def test_units_of_the_head_need_the_scope_and_a_term_that_trains_them():
    units = {"units": ["head", "conformer_head"]}
    weights = {"stages": {"prune": {"output_weight": 1.0}}}
    whole = {"pruning": units | {"scope": "model"}}
    assert from_dict(whole | weights).pruning.units == ("head", "conformer_head")
    with pytest.raises(ValueError, match=r"^`pruning.scope` must be 'model' .*\(conformer_head\)"):
        from_dict({"pruning": units} | weights)
    with pytest.raises(ValueError, match=r"^`stages.prune.output_weight` or .* above 0 with units"):
        from_dict(whole)
    # which does not matter where nothing is pruned
    assert from_dict({"pruning": units, "stages": {"prune": {"max_epochs": 0}}})


def test_warm_up_by_default_must_fit_in_few_epochs():
    with pytest.raises(ValueError, match=r"`stages.prune.warm_up_epochs` .*\(3\), found 5."):
        from_dict(nested("stages.prune.max_epochs", 3))


def test_layers_must_be_those_of_the_structure():
    change = {"wavlm": tiny_config().to_dict(), "pruning": {"layers": [0, 2]}}
    assert from_dict(change).pruning.layers == (0, 2)
    change["pruning"]["layers"].append(3)
    with pytest.raises(ValueError, match=r"`pruning.layers` must be at most 2 .*found 3."):
        from_dict(change)
