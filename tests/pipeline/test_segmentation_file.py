"""Files of segmentation models that our pipeline opens by itself"""

import pytest
import torch
from helpers import tiny_config

from pyannote_prune import WavLMSegmentation, save_checkpoint
from pyannote_prune.pipeline.diarization import DiarizationPipeline
from pyannote_prune.pipeline.segmentation_file import find_file


def test_segmentation_can_be_a_safetensors_file(arguments, tmp_path):
    path = tmp_path / "model.safetensors"
    save_checkpoint(WavLMSegmentation.from_pretrained(arguments["segmentation"]), path)
    expected = DiarizationPipeline(**arguments)._segmentation.model.state_dict()
    for segmentation in (
        *(path, str(path), {"checkpoint": path}),
        {"checkpoint": tmp_path, "subfolder": path.name},
    ):
        found = DiarizationPipeline(**arguments | {"segmentation": segmentation})
        assert all(
            torch.equal(tensor, expected[key])
            for key, tensor in found._segmentation.model.state_dict().items()
        )


def test_anything_else_is_left_to_pyannote():
    model = WavLMSegmentation(wavlm=tiny_config())
    for segmentation in (
        *(None, model, "model.ckpt", "someone/model", "someone/safetensors"),
        *({"checkpoint": "someone/model"}, {"checkpoint": "x/y", "subfolder": "segmentation"}),
    ):
        assert find_file(segmentation) is None


def test_safetensors_file_of_the_hub_is_downloaded(tmp_path):
    """Here, found in its cache"""
    snapshot = tmp_path / "models--someone--pipeline" / "snapshots" / ("0" * 40)
    for path in (snapshot / "segmentation" / "model.safetensors", snapshot / "../../refs/main"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("0" * 40)
    segmentation = {
        "checkpoint": "someone/pipeline",
        "subfolder": "segmentation/model.safetensors",
        "revision": None,
    }
    found = find_file(segmentation, cache_dir=tmp_path)
    assert found == snapshot / "segmentation" / "model.safetensors"


@pytest.mark.parametrize(
    "name", ["../model.safetensors", "{0}/model.safetensors", "link.SAFETENSORS"]
)
def test_segmentation_stays_in_the_folder_of_the_pipeline(tmp_path, name):
    folder = tmp_path / "pipeline"
    folder.mkdir()
    (tmp_path / "model.safetensors").write_text("somewhere else")
    (folder / "link.SAFETENSORS").symlink_to(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="`segmentation` must be a file inside '.*pipeline', fou"):
        find_file({"checkpoint": folder, "subfolder": name.format(tmp_path)})
