"""`pyannote-prune prune`: models that others have fine-tuned"""

from dataclasses import replace
from pathlib import Path

import foreign
import pytest
import torch
import yaml
from helpers import tiny_model
from pyannote.audio import Pipeline
from pyannote.audio.core.task import Problem
from pyannote.audio.sample import SAMPLE_FILE
from released import random_model
from typer.testing import CliRunner

from pyannote_prune import gate, save_checkpoint
from pyannote_prune.cli import app
from pyannote_prune.recipe.config import Recipe
from pyannote_prune.recipe.teacher import recipe_for_teacher
from pyannote_prune.released.diarizen import write_stand_in
from pyannote_prune.segmentation.checkpoint import load_checkpoint

# a few steps
SHORT = [
    "num_workers=0",
    "in_memory=true",
    *(f"stages.{stage}.batch_size=4" for stage in ("prune", "distil", "train")),
    *(f"stages.{stage}.max_epochs=1" for stage in ("distil", "train")),
    *(f"stages.{stage}.max_steps_per_epoch=2" for stage in ("prune", "distil", "train")),
    "stages.prune.max_epochs=2",
    "stages.prune.warm_up_epochs=0",
    "trainer.accelerator=cpu",
    "trainer.devices=1",
]


def prune(*arguments, changes=SHORT, code: int = 0) -> str:
    changes = [part for change in changes for part in ("--set", change)]
    result = CliRunner().invoke(app, ["prune", *map(str, arguments), *changes])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


@pytest.fixture(scope="module")
def data(database) -> list:
    """Real excerpts where they are at hand, generated conversations otherwise"""
    protocols = yaml.safe_load(Path(database).read_text())["Protocols"]
    (name,) = protocols
    return ["--protocol", f"{name}.SpeakerDiarization.Mini", "--database", database]


def suplime(folder: Path, parts: Path) -> Path:
    pytest.importorskip("suplime", reason="needs `pip install suplime`, of the test extra")
    return foreign.write_suplime(foreign.make_suplime(), parts / "embedding", folder)


def diarizen(folder: Path, parts: Path) -> Path:
    model = random_model()
    model.specifications.duration = model.specifications.min_duration = 2.0
    return write_stand_in(model, folder)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("write", [suplime, diarizen])
def test_model_of_others_becomes_a_pruned_pipeline(write, data, parts, tmp_path):
    """From the command to turns, the same command then has nothing left to do"""
    torch.manual_seed(0)
    teacher = write(tmp_path / "teacher", parts)
    own = ["--parts", parts] if write is diarizen else []
    out = tmp_path / "out"
    arguments = [teacher, *data, "--output", out, "--sparsity", 0.8, *own]
    output = prune(*arguments)
    assert f"Pipeline: {out / 'pipeline'}" in output
    assert ("pip install suplime" in output) == (write is suplime)
    recipe = Recipe.load(out / "recipe.yml")
    assert recipe.checkpoint == teacher
    assert (recipe.duration, recipe.stages.fine_tune.max_epochs) == (2.0, 0)
    assert not (out / "1-fine-tune").exists()
    summary = yaml.safe_load((out / "summary.json").read_text())
    assert list(summary) == ["prune", "distil", "train"]
    assert summary["train"]["sparsity"] == pytest.approx(0.8, abs=0.02)
    pipeline = Pipeline.from_pretrained(out / "pipeline")
    assert len(pipeline(SAMPLE_FILE).speaker_diarization.uri)
    final = load_checkpoint(out / "4-train" / "model.ckpt")
    assert final.head.mixture == ("softmax" if write is suplime else "sum")
    assert prune(*arguments) == output[output.index("Structure after pruning") :]


@pytest.fixture
def checkpoint_with(tmp_path):
    def write(model) -> Path:
        save_checkpoint(model, tmp_path / "model.ckpt")
        return tmp_path / "model.ckpt"

    return write


def test_recipe_has_windows_and_speakers_of_the_model(checkpoint_with, database):
    path = checkpoint_with(tiny_model(duration=3.0))
    changes = ["stages.prune.max_epochs=7", "trainer.precision=bf16-mixed", "pruning.units=[head]"]
    recipe = recipe_for_teacher(path, "X.Y.Z", database, 0.6, "owner/parts", changes)
    assert (recipe.duration, recipe.max_speakers_per_chunk) == (3.0, 3)
    assert recipe.max_speakers_per_frame == 2
    assert recipe.pruning.target_sparsity == 0.6
    assert recipe.pruning.units == ("head",)
    assert recipe.stages.prune.max_epochs == 7
    assert recipe.trainer.precision == "bf16-mixed"
    assert recipe.export.from_checkpoint
    assert recipe.export.parts == "owner/parts"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("stages.prune.epochs=7", "Unknown key `stages.prune.epochs`"),
        ("stages.prune", "must be a key and a value"),
        ("=3", "must be a key and a value"),
        ("seed.x=3", "`seed` must be an integer"),
        ("duration.x=3", "`duration` must be a section"),
        ("seed=[", "`seed` must be valid YAML"),
    ],
)
def test_changes_that_cannot_be_made_are_refused(checkpoint_with, database, change, message):
    with pytest.raises(ValueError, match=message):
        recipe_for_teacher(checkpoint_with(tiny_model()), "X.Y.Z", database, changes=[change])


def test_teachers_that_cannot_be_pruned_are_refused(checkpoint_with, database, tmp_path):
    options = ["--protocol", "X.Y.Z", "--database", database, "--output", tmp_path / "out"]
    gated = checkpoint_with(gate(tiny_model()))
    assert "must not have gates, found gates of channel, head, neuron" in prune(
        gated, *options, code=1
    )
    model = tiny_model()
    model.specifications = replace(
        model.specifications,
        problem=Problem.MULTI_LABEL_CLASSIFICATION,
        powerset_max_classes=None,
    )
    model.build()
    output = prune(checkpoint_with(model), *options, code=1)
    assert "must be powerset, found one that scores each speaker alone" in output
    assert "No such file" in prune(tmp_path / "none.ckpt", *options, code=1)
    assert not (tmp_path / "out").exists()
