from functools import partial

import pytest
from pyannote.audio import Model
from typer.testing import CliRunner

from pyannote_prune import cli
from pyannote_prune.cli import train
from pyannote_prune.files.folders import write_yaml
from pyannote_prune.recipe.config import Recipe
from pyannote_prune.recipe.quickstart import PROTOCOL, quickstart, small_recipe, write_data
from pyannote_prune.recipe.shipped import read_shipped_recipe


@pytest.mark.slow
def test_quickstart_prunes_what_it_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "run_quickstart", partial(quickstart, num_epochs=0.1))
    folder = tmp_path / "folder"
    result = CliRunner().invoke(cli.app, ["quickstart", "--output", str(folder), "--seed", "5"])
    assert result.exit_code == 0, result.output
    assert "pruned" in result.output
    assert "nothing about accuracy" in " ".join(result.output.split())
    for name in ("structure.png", "training.png", "summary.json", "pipeline/config.yaml"):
        assert (folder / "run" / name).is_file()
    dense, pruned = (
        sum(p.numel() for p in Model.from_pretrained(folder / "run" / name).wavlm.parameters())
        for name in ("1-fine-tune/model.ckpt", "pipeline/segmentation/pytorch_model.bin")
    )
    assert 1 - pruned / dense == pytest.approx(0.8, abs=0.005)

    # finished: nothing is trained again
    assert Recipe.load(folder / "recipe.yml").seed == 5
    before, after = quickstart(folder)
    assert after.sparsity == pytest.approx(0.8, abs=0.005)
    assert before.sparsity == 0.0
    with pytest.raises(ValueError, match=r"`seed` must be 5, as in the quickstart .*found 6"):
        quickstart(folder, seed=6)

    # what tutorials/training.md says of that folder
    options = ["--protocol", PROTOCOL, "--database", str(folder / "data" / "database.yml")]
    options += ["--subset", "development", "--into", str(tmp_path / "out")]
    result = CliRunner().invoke(cli.app, ["apply", str(folder / "run" / "pipeline"), *options])
    assert result.exit_code == 0, result.output
    assert f"DER {after.diarization_error_rate:.2%} over 1 recording (" in result.output
    assert (tmp_path / "out" / "sample.rttm").stat().st_size > 0


def test_recipe_of_the_quickstart_is_one_of_a_user(tmp_path):
    write_data(tmp_path / "data")
    recipe = Recipe.from_dict(small_recipe(), folder=tmp_path)
    assert recipe.database.is_file()
    assert recipe.pruning.target_sparsity == 0.8


def test_recipe_to_try_data_is_that_of_the_quickstart(tmp_path):
    """On recordings of any number and length, which are not kept in memory"""
    (tmp_path / "tiny.yml").write_text(read_shipped_recipe("tiny"), encoding="utf-8")
    expected = small_recipe() | {
        "protocol": "Mine.SpeakerDiarization.Meetings",
        "database": "database.yml",
        "max_speakers_per_chunk": 4,
        "in_memory": False,
    }
    for stage in expected["stages"].values():
        stage["max_steps_per_epoch"] = 10
    found = Recipe.load(tmp_path / "tiny.yml", check_files=False)
    assert found == Recipe.from_dict(expected, folder=tmp_path, check_files=False)


def test_quickstart_of_other_numbers_of_epochs_is_refused(tmp_path):
    write_data(tmp_path / "data")
    write_yaml(small_recipe(0.5), tmp_path / "recipe.yml")
    message = r"`num_epochs` must be as in the quickstart .*\(11 epochs of fine_tune\), found 1 "
    with pytest.raises(ValueError, match=message):
        quickstart(tmp_path, num_epochs=1)
    assert not (tmp_path / "run").exists()


def test_folder_in_use_is_refused(tmp_path):
    (tmp_path / "precious").write_text("do not touch")
    with pytest.raises(ValueError, match="`output` must not exist, or be empty"):
        quickstart(tmp_path)
