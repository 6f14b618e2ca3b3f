"""Files that DiariZen's training writes: weights in the folder of an experiment"""

import shutil
from pathlib import Path

import pytest
import torch
from released import random_model
from typer.testing import CliRunner

from pyannote_prune import WavLMConfig, WavLMSegmentation, load_diarizen
from pyannote_prune.cli import app
from pyannote_prune.pipeline.settings import DIARIZEN_SETTINGS
from pyannote_prune.released.diarizen import write_stand_in
from pyannote_prune.released.source import open_source
from pyannote_prune.segmentation.checkpoint import load_checkpoint
from pyannote_prune.segmentation.specifications import powerset_specifications


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return random_model()


@pytest.fixture
def experiment(model, tmp_path) -> Path:
    """Folder of an experiment, whose `config.toml` has no section about inference"""
    folder = write_stand_in(model, tmp_path / "experiment")
    config = (folder / "config.toml").read_text()
    (folder / "config.toml").write_text(config[: config.index("[inference")])
    return folder


PLACES = ["pytorch_model.bin", "averaged.bin", "checkpoints/epoch_0010/pytorch_model.bin"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["config.toml", "config__2024_07_05--14_24_34.toml"])
def test_weights_are_read_with_the_description_of_their_experiment(experiment, model, place, name):
    weights = experiment / place
    weights.parent.mkdir(parents=True, exist_ok=True)
    (experiment / "pytorch_model.bin").rename(weights)
    (experiment / "config.toml").rename(experiment / name)
    source = open_source(weights)
    found, expected = source.load_model().state_dict(), model.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], value) for key, value in expected.items())
    assert source.load_model().specifications.duration == 16.0
    assert source.load_settings() == DIARIZEN_SETTINGS
    assert source.find_plda() is None


def test_last_description_counts(experiment):
    """Each start of a training writes one"""
    config = (experiment / "config.toml").read_text()
    (experiment / "config.toml").unlink()
    for day, duration in (("05", 8), ("06", 4)):
        text = config.replace("chunk_size = 16", f"chunk_size = {duration}")
        assert text != config
        (experiment / f"config__2024_07_{day}--14_24_34.toml").write_text(text)
    assert load_diarizen(experiment / "pytorch_model.bin").specifications.duration == 4.0


def test_settings_of_inference_are_read_where_they_are(model, tmp_path):
    folder = write_stand_in(model, tmp_path / "experiment")
    settings = open_source(folder / "pytorch_model.bin").load_settings()
    assert settings == open_source(folder).load_settings() != DIARIZEN_SETTINGS


def test_folder_of_an_experiment_is_a_source(experiment):
    assert isinstance(open_source(experiment).load_model(), WavLMSegmentation)
    assert open_source(experiment).load_settings() == DIARIZEN_SETTINGS
    assert open_source(experiment).find_plda() is None


@pytest.mark.slow
def test_structure_of_a_dense_teacher_comes_from_its_weights(tmp_path):
    """`wavlm_src` is a path of the machine that trained it"""
    model = WavLMSegmentation(wavlm=WavLMConfig.preset("base"))
    model.specifications = powerset_specifications(8.0, 4, 2)
    model.setup()
    folder = write_stand_in(model, tmp_path / "experiment")
    config = (folder / "config.toml").read_text()
    name = next(folder.glob("wavlm*.bin"))
    (folder / "config.toml").write_text(config.replace(name.name, "/YOUR_PATH/WavLM-Base+.bin"))
    name.unlink()
    found = load_diarizen(folder / "pytorch_model.bin")
    assert found.wavlm.config == WavLMConfig.preset("base")
    weights = torch.load(folder / "pytorch_model.bin")
    weights["wavlm_model.encoder.transformer.layer_norm.weight"] = torch.ones(4)
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match="`wavlm_src` must be one of"):
        load_diarizen(folder / "pytorch_model.bin")


def test_weights_without_description_are_refused(experiment, tmp_path):
    weights = tmp_path / "elsewhere" / "deep" / "down" / "pytorch_model.bin"
    weights.parent.mkdir(parents=True)
    shutil.move(experiment / "pytorch_model.bin", weights)
    with pytest.raises(ValueError, match=r"must be beside the 'config.toml' of its experiment"):
        open_source(weights).load_model()


def test_command_converts_them(experiment, tmp_path):
    arguments = ["convert", experiment / "pytorch_model.bin", tmp_path / "model.ckpt"]
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    assert "untrained" not in result.output
    assert load_checkpoint(tmp_path / "model.ckpt").specifications.duration == 16.0
