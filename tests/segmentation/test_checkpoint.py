"""Saved, then loaded by pyannote.audio"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import CONFORMER, Payload, tiny_config, tiny_model
from pyannote.audio import Model
from pyannote.audio.models.segmentation import PyanNet
from pyannote.audio.pipelines.utils import get_model

from pyannote_prune import WavLMSegmentation, save_checkpoint
from pyannote_prune.files.pickles import read_safely, write_atomically
from pyannote_prune.segmentation.checkpoint import load_checkpoint


@pytest.fixture
def path(tmp_path):
    save_checkpoint(tiny_model(), tmp_path / "model.ckpt")
    return tmp_path / "model.ckpt"


def alter(path, change):
    content = torch.load(path, weights_only=False)
    change(content)
    torch.save(content, path)


# what pyannote.audio does when given a path: directly, then in a pipeline (not strictly)
LOADERS = {
    "from_pretrained": Model.from_pretrained,
    "pipeline": lambda path: get_model(str(path)),
    "safe": load_checkpoint,
}


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS)
@pytest.mark.parametrize("large", [False, True], ids=["base", "large"])
def test_loaded_model_is_the_saved_one(tmp_path, load, large):
    model = tiny_model(tiny_config(large), duration=3.0)
    save_checkpoint(model, tmp_path / "model.ckpt")
    loaded = load(tmp_path / "model.ckpt")
    assert type(loaded) is WavLMSegmentation
    assert loaded.specifications == model.specifications
    assert loaded.hparams == model.hparams
    waveforms = torch.randn(2, 1, 8000)
    assert torch.equal(loaded.eval()(waveforms), model(waveforms))


OFFLINE = """
import socket, sys, torch
def refuse(*args, **kwargs):
    raise OSError("the network is unreachable")
socket.socket.connect = socket.getaddrinfo = refuse

from pyannote.audio import Model
assert "pyannote_prune" not in sys.modules
model = Model.from_pretrained(sys.argv[1]).eval()
waveforms, expected = torch.load(sys.argv[2], weights_only=True)
assert torch.equal(model(waveforms), expected)
print("same", type(model).__name__)
"""


def test_new_process_without_network_gives_the_same_outputs(path, tmp_path):
    waveforms = torch.randn(2, 1, 8000)
    outputs = Model.from_pretrained(path).eval()(waveforms).detach()
    torch.save((waveforms, outputs), tmp_path / "expected.pt")
    result = subprocess.run(
        [sys.executable, "-c", OFFLINE, path, tmp_path / "expected.pt"],
        capture_output=True,
        text=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "PYANNOTE_METRICS_ENABLED": "0"},
    )
    assert result.stdout.strip() == "same WavLMSegmentation", result.stderr


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS)
def test_renamed_key_is_refused(path, load):
    def rename(content):
        weights = content["state_dict"]
        weights["wavlm.layers.0.attention.q.weight"] = weights.pop(
            "wavlm.layers.0.attention.query.weight"
        )

    alter(path, rename)
    with pytest.raises(ValueError) as error:
        load(path)
    assert "1 missing: wavlm.layers.0.attention.query.weight" in str(error.value)
    assert "1 unexpected: wavlm.layers.0.attention.q.weight" in str(error.value)


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS)
def test_missing_or_misshapen_key_is_refused(path, load):
    alter(path, lambda content: content["state_dict"].pop("classifier.bias"))
    with pytest.raises(ValueError, match="1 missing: classifier.bias"):
        load(path)
    alter(path, lambda c: c["state_dict"].update({"classifier.bias": torch.ones(2)}))
    with pytest.raises(ValueError, match=r"classifier.bias \(expected \(7,\), found \(2,\)\)"):
        load(path)


def test_checkpoint_of_another_class_is_refused(path):
    def other(content):
        content["pyannote.audio"]["architecture"] = {
            "module": "pyannote.audio.models.segmentation.PyanNet",
            "class": "PyanNet",
        }
        model = PyanNet()
        model.specifications = content["pyannote.audio"]["specifications"]
        model.setup()
        content["state_dict"] = model.state_dict()
        content["hyper_parameters"] = dict(model.hparams)

    alter(path, other)
    assert type(Model.from_pretrained(path)) is PyanNet  # pyannote.audio's business
    for load in (load_checkpoint, WavLMSegmentation.from_pretrained):
        with pytest.raises(ValueError, match=r"WavLMSegmentation, found PyanNet.*`Model.from_pre"):
            load(path)
    with pytest.raises(
        ValueError, match="must be a checkpoint of WavLMSegmentation, found PyanNet"
    ):
        WavLMSegmentation.load_from_checkpoint(
            path, wavlm=tiny_config(), conformer=CONFORMER, weights_only=False
        )


def test_model_without_specifications_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match="`model` must have specifications"):
        save_checkpoint(WavLMSegmentation(wavlm=tiny_config()), tmp_path / "model.ckpt")
    assert not any(tmp_path.iterdir())


class Unsavable:
    """The disk is full when its turn comes"""

    def __reduce__(self):
        raise OSError("No space left on device")


def test_failure_while_writing_leaves_the_previous_file_whole(path):
    before = path.read_bytes()
    with pytest.raises(OSError, match="No space left"):
        write_atomically({"a": torch.ones(1000), "b": Unsavable()}, path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_code_in_a_checkpoint_is_refused_and_not_executed(path, tmp_path):
    proof = tmp_path / "executed"
    alter(path, lambda content: content.update(callbacks=Payload(proof)))
    with pytest.raises(ValueError, match="could execute code"):
        load_checkpoint(path)
    assert not proof.exists()


@pytest.mark.parametrize("content", [{}, [1], {"state_dict": {}, "config": {}}])
def test_anything_but_a_checkpoint_says_how_to_make_one(tmp_path, content):
    torch.save(content, tmp_path / "file")
    with pytest.raises(ValueError, match="pyannote-prune convert"):
        load_checkpoint(tmp_path / "file")


def test_missing_and_truncated_files_are_named(path):
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match="model.ckpt.*truncated"):
        load_checkpoint(path)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="model.ckpt"):
        load_checkpoint(path)


@pytest.mark.parametrize("name", ["model.ckpt", "model.BIN", "model.pt", "model.pth", "model"])
def test_names_of_checkpoints(tmp_path, name):
    save_checkpoint(tiny_model(), tmp_path / name)
    assert isinstance(load_checkpoint(tmp_path / name), WavLMSegmentation)


@pytest.mark.parametrize("name", ["model.onnx", "model.tar", "model.safetensor"])
def test_names_of_other_formats_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match=rf"in \.safetensors, or, .* \.pth, found '.*{name}'"):
        save_checkpoint(tiny_model(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_new_checkpoints_name_the_module_that_all_releases_have(path):
    former = Path(__file__).parents[1] / "former_releases" / "0.1.0" / "tiny.ckpt"
    expected, found = (
        read_safely(name)["pyannote.audio"]["architecture"] for name in (former, path)
    )
    assert found == expected
    assert found == {"module": "pyannote_prune.segmentation", "class": "WavLMSegmentation"}
