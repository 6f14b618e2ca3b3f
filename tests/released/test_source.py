"""Sources of all formats, opened in one way"""

import pytest
import torch
from helpers import tiny_config, tiny_model
from pyannote.audio.core.task import UnknownSpecificationsError
from released import random_model

from pyannote_prune import DiarizationSettings, save_checkpoint
from pyannote_prune.files.sources import SUFFIXES
from pyannote_prune.released import source as register
from pyannote_prune.released.diarizen import find_plda, load_settings, write_stand_in
from pyannote_prune.released.formats import Source
from pyannote_prune.released.source import open_source, read_source
from pyannote_prune.segmentation.model import WavLMSegmentation


@pytest.fixture
def repository(tmp_path):
    folder = write_stand_in(random_model(), tmp_path / "repository")
    (folder / "plda").mkdir()
    return folder


@pytest.mark.parametrize("name", ["model.ckpt", "model.safetensors", "model"])
def test_checkpoint_has_default_settings(tmp_path, name):
    model = tiny_model()
    save_checkpoint(model, tmp_path / name)
    source = open_source(tmp_path / name)
    weights = source.load_model().state_dict()
    assert weights.keys() == model.state_dict().keys()
    assert all(torch.equal(weights[key], value) for key, value in model.state_dict().items())
    assert source.load_settings() == DiarizationSettings()
    assert source.find_plda() is None


def test_released_model_has_its_own(repository):
    source = open_source(str(repository))
    assert source.load_model().specifications.duration == 16.0
    assert source.load_settings() == load_settings(repository) != DiarizationSettings()
    assert source.find_plda() == find_plda(repository) == repository / "plda"


def test_model_is_loaded_without_settings(repository):
    config = repository / "config.toml"
    config.write_text(config.read_text().replace("VBxClustering", "OtherClustering"))
    source = open_source(repository)
    with pytest.raises(ValueError, match="`clustering.args.method` must be one of"):
        source.load_settings()
    assert isinstance(source.load_model(), WavLMSegmentation)


def test_wavlm_file_is_under_an_untrained_head(repository):
    model = open_source(repository / "wavlm_tiny_base.bin").load_model()
    with pytest.raises(UnknownSpecificationsError):
        _ = model.specifications
    assert not model.training


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_missing_file_is_named(tmp_path, suffix):
    with pytest.raises(FileNotFoundError, match=f"No such file: '.*gone{suffix}'"):
        open_source(tmp_path / f"gone{suffix}")


def test_format_is_one_line_of_the_register(monkeypatch):
    """What tutorials say of another format"""

    def open_other(source):
        if str(source) != "other":
            return None
        return Source(lambda: WavLMSegmentation(wavlm=tiny_config()))

    with pytest.raises(OSError, match="`source` must be .*, found 'other'"):
        read_source("other")
    monkeypatch.setattr(register, "FORMATS", {"other": open_other} | register.FORMATS)
    assert read_source("other").wavlm.config == tiny_config()
