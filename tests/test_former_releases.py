"""What former releases wrote is read, computes the same, and goes on

Files are in `former_releases`, with the script that wrote them. A recipe that is resumed goes on in
training mode, with other seeds, and its epochs of before do not count as close to the target.
"""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from conversations import generate_conversations
from pyannote.audio import Model, Pipeline
from pyannote.audio.sample import SAMPLE_FILE
from pyannote.database.util import load_rttm
from pyannote.metrics.diarization import DiarizationErrorRate

from pyannote_prune import WavLMSegmentation, cost, prune
from pyannote_prune.files.pickles import read_safely
from pyannote_prune.recipe.config import Recipe
from pyannote_prune.recipe.run import RecipeRun
from pyannote_prune.segmentation.checkpoint import load_checkpoint

RELEASES = sorted(path for path in Path(__file__).with_name("former_releases").glob("*.*.*"))
# torch rounds in other ways from one version to the next
ROUNDING = 1e-4
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(params=RELEASES, ids=lambda folder: folder.name)
def release(request) -> Path:
    return request.param


def test_there_is_a_release():
    assert RELEASES


@pytest.mark.parametrize("load", [load_checkpoint, Model.from_pretrained], ids=["ours", "pyannote"])
@pytest.mark.parametrize("name", ["tiny.ckpt", "gated.ckpt", "pipeline/segmentation"])
def test_checkpoints_compute_the_same(release, name, load):
    path = release / name
    if path.is_dir():
        path = path / "pytorch_model.bin"
    check_outputs(release, load(path).eval(), "gated" if name == "gated.ckpt" else "tiny")


def test_safetensors_compute_the_same(release):
    check_outputs(release, load_checkpoint(release / "tiny.safetensors"), "tiny")


def check_outputs(release: Path, model: WavLMSegmentation, name: str):
    assert type(model) is WavLMSegmentation
    outputs = np.load(release / "outputs.npz")
    waveforms = torch.as_tensor(outputs["waveforms"])
    for enabled in (False, True):
        with torch.set_grad_enabled(enabled):
            found = model(waveforms).detach().numpy()
        np.testing.assert_allclose(found, outputs[name], atol=ROUNDING)
    if name == "gated":
        smaller = prune(model)
        assert cost(smaller.wavlm).parameters < cost(model.wavlm).parameters
        with torch.inference_mode():
            found = smaller(waveforms).numpy()
        np.testing.assert_allclose(found, outputs[name], atol=ROUNDING)


def test_pipelines_say_the_same(release):
    pipeline = Pipeline.from_pretrained(release / "pipeline")
    found = pipeline(dict(SAMPLE_FILE)).speaker_diarization
    (expected,) = load_rttm(release / "sample.rttm").values()
    assert expected.get_timeline().duration() > 10
    # one frame here and there, at most
    assert DiarizationErrorRate()(expected, found) < 0.01


def test_interrupted_recipes_go_on(release, tmp_path):
    folder = shutil.copytree(release / "recipe", tmp_path / "recipe")
    before = read_safely(folder / "2-prune" / "checkpoints" / "last.ckpt")
    assert before["epoch"] == 0
    teacher = (folder / "1-fine-tune" / "model.ckpt").read_bytes()
    database = generate_conversations(tmp_path / "conversations")
    # as if the release had been used here
    text = (folder / "recipe.yml").read_text().replace("/somewhere/else", str(database.parent))
    (folder / "recipe.yml").write_text(text)
    summary = RecipeRun(Recipe.from_dict(yaml.safe_load(text)), folder)()

    # stages that were finished are left alone, the others are finished
    assert (folder / "1-fine-tune" / "model.ckpt").read_bytes() == teacher
    assert list(summary) == ["fine_tune", "prune", "distil", "train"]
    assert summary["train"]["sparsity"] == pytest.approx(0.5, abs=0.01)
    assert json.loads((folder / "summary.json").read_text()) == summary
    after = read_safely(folder / "2-prune" / "checkpoints" / "last.ckpt")
    # it went on from where it was: three epochs of two steps, not five
    assert (after["epoch"], after["global_step"]) == (2, 6)
    # its log begins with what the release wrote
    before, after = (
        next(csv.DictReader(path.open()))
        for path in (
            release / "recipe" / "2-prune" / "logs" / "0" / "metrics.csv",
            folder / "2-prune" / "metrics.csv",
        )
    )
    assert before.items() <= after.items()
    assert Pipeline.from_pretrained(folder / "pipeline")(dict(SAMPLE_FILE))
