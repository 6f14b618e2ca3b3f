"""Paths, hub ids and structures of recipes"""

import numpy as np
import pytest
from helpers import tiny_config
from recipes import MINIMAL, from_dict, nested
from scipy.io import wavfile

from pyannote_prune import WavLMConfig
from pyannote_prune.recipe.augmentation import augmentation_options
from pyannote_prune.recipe.config import Recipe
from pyannote_prune.training.augmentation import Mixing
from pyannote_prune.wavlm.presets import PRESETS


def test_folders_of_augmentation_start_from_the_recipe(tmp_path):
    """And have WAV files, which tasks of all stages get"""
    (tmp_path / "database.yml").touch()
    plain = MINIMAL | {"augmentation": {"noise": {"folder": "noise"}, "mix": {}}}
    message = r"`augmentation.noise.folder` must be a folder with WAV files, found '.*noise'"
    with pytest.raises(ValueError, match=message):
        Recipe.from_dict(plain, tmp_path)
    (tmp_path / "noise" / "more").mkdir(parents=True)
    with pytest.raises(ValueError, match=message):
        Recipe.from_dict(plain, tmp_path)
    wavfile.write(tmp_path / "noise" / "more" / "a.WAV", 16_000, np.ones(100, np.int16))
    recipe = Recipe.from_dict(plain, tmp_path)
    assert recipe.augmentation.noise.folder == tmp_path / "noise"
    options = augmentation_options(recipe.augmentation)
    assert options["mixing"] == Mixing(0.3, (0.0, 5.0))
    (noise,) = options["augmentation"].transforms
    assert (noise.p, noise.min_snr_in_db, noise.max_snr_in_db) == (0.5, 5.0, 20.0)
    assert augmentation_options(from_dict().augmentation) == {"augmentation": None, "mixing": None}


@pytest.mark.parametrize("name", PRESETS)
def test_preset_becomes_its_structure(name):
    recipe = from_dict({"wavlm": {"preset": name}})
    assert recipe.wavlm == WavLMConfig.preset(name).to_dict()


def test_local_folders_win_over_hub_ids(tmp_path):
    (tmp_path / "database.yml").touch()
    plain = MINIMAL | {"wavlm": "owner/wavlm", "export": {"parts": "owner/parts"}}
    recipe = Recipe.from_dict(plain, tmp_path)
    assert (recipe.wavlm, recipe.export.parts) == ("owner/wavlm", "owner/parts")
    (tmp_path / "owner" / "wavlm").mkdir(parents=True)
    (tmp_path / "owner" / "parts").mkdir()
    recipe = Recipe.from_dict(plain, tmp_path)
    assert recipe.wavlm == str(tmp_path / "owner" / "wavlm")
    assert recipe.export.parts == str(tmp_path / "owner" / "parts")


def test_checkpoint_must_exist(tmp_path):
    (tmp_path / "database.yml").touch()
    plain = {
        "protocol": "My.SpeakerDiarization.Own",
        "database": "database.yml",
        "checkpoint": "missing.ckpt",
    }
    with pytest.raises(
        ValueError, match=r"must be an existing file, a folder, or a hub id.*missing"
    ):
        Recipe.from_dict(plain, tmp_path)


@pytest.mark.parametrize(
    ("wavlm", "message"),
    [
        ({"preset": "larg"}, r"`wavlm.preset` must be one of .*did you mean 'large'\?"),
        ({"preset": ["base"]}, "`wavlm.preset` must be one of"),
        ({"preset": "base", "dropout": 0}, "Unknown key `wavlm.dropout`: expected preset"),
        ({"pre": "base"}, "`wavlm` does not describe an encoder: Unknown key 'pre'"),
        ({}, "`wavlm` does not describe an encoder: Missing keys"),
        (tiny_config().to_dict() | {"num_head": 4}, "`wavlm` .*did you mean 'num_heads'"),
        (tiny_config().to_dict() | {"num_heads": 5}, "`wavlm.embed_dim` must be a multiple"),
        (tiny_config().to_dict() | {"layers": [1]}, r"`wavlm.layers\[0\]` must be a dictionary"),
        (tiny_config().to_dict() | {"layers": 1}, "`wavlm.layers` must be a list, found 1"),
    ],
)
def test_impossible_structure_is_named(wavlm, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        from_dict({"wavlm": wavlm})


@pytest.mark.parametrize("name", ["./wavlm", "../a/b", "~/wavlm", "/data/wavlm", "a/b/c", "file"])
@pytest.mark.parametrize("key", ["wavlm", "export.parts"])
def test_missing_folder_is_refused(key, name, tmp_path):
    (tmp_path / "database.yml").touch()
    (tmp_path / "file").touch()
    message = rf"^`{key}` must be a local folder or a hub id \(owner/name\), found '{name}'."
    with pytest.raises(ValueError, match=message):
        from_dict(nested(key, name), folder=tmp_path, check_files=True)


def test_name_of_a_preset_is_no_hub_id():
    message = r"hub id \(owner/name\) \(as a preset, {preset: base}\), found 'base'"
    with pytest.raises(ValueError, match=message):
        from_dict({"wavlm": "base"}, check_files=True)
