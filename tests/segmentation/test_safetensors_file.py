"""Models in safetensors files"""

import json
import pickle
import random
import struct
import tempfile
from pathlib import Path

import pytest
import torch
from helpers import CONFORMER, randomize, tiny_config, tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st
from pyannote.audio import Model
from safetensors.torch import load_file, safe_open, save_file
from strategies import configs, specifications

from pyannote_prune import WavLMSegmentation, gate, save_checkpoint
from pyannote_prune.segmentation.checkpoint import load_checkpoint
from pyannote_prune.segmentation.safetensors_file import KEY

LOADERS = {"load_checkpoint": load_checkpoint, "from_pretrained": WavLMSegmentation.from_pretrained}
NUM_ALTERATIONS = 60  # of one bit


@pytest.fixture
def path(tmp_path):
    save_checkpoint(tiny_model(), tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def describe(path, change):
    """Change the description of a model"""
    with safe_open(path, "pt") as file:
        text = file.metadata()[KEY]
    text = change if isinstance(change, str) else json.dumps(change(json.loads(text)))
    save_file(load_file(path), path, {"format": "pt", KEY: text})


def assert_same(found: Model, expected: Model):
    assert type(found) is type(expected)
    assert found.specifications == expected.specifications
    assert found.hparams == expected.hparams
    weights = expected.state_dict()
    assert found.state_dict().keys() == weights.keys()
    for key, tensor in found.state_dict().items():
        assert tensor.dtype == weights[key].dtype
        assert torch.equal(tensor, weights[key]), key


formats = st.sampled_from([".ckpt", ".safetensors"])


@settings(max_examples=12, deadline=None)
@given(configs(), specifications(), formats)
def test_any_structure_comes_back_bit_for_bit_in_both_formats(config, specifications, suffix):
    model = WavLMSegmentation(wavlm=config, conformer=CONFORMER)
    model.specifications = specifications
    model.setup()
    randomize(model.eval())
    waveforms = torch.randn(1, 1, 4000)
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(model, Path(folder) / f"model{suffix}")
        for load in LOADERS.values():
            loaded = load(Path(folder) / f"model{suffix}").eval()
            assert_same(loaded, model)
            assert torch.equal(loaded(waveforms), model(waveforms))


def test_gates_come_back(tmp_path):
    model = gate(tiny_model(), ("head", "neuron"))
    randomize(model)
    save_checkpoint(model, tmp_path / "model.safetensors")
    loaded = load_checkpoint(tmp_path / "model.safetensors")
    assert any(key.endswith("log_alpha") for key in loaded.state_dict())
    assert_same(loaded, model)


def test_weights_that_share_memory_or_are_not_contiguous_come_back(tmp_path):
    model = tiny_model()
    memory = torch.randn(2, 16)
    model.norm.weight.data, model.norm.bias.data = memory[0], memory[0]
    model.projection.weight.data = torch.randn(48, 16).T
    assert not model.projection.weight.is_contiguous()
    save_checkpoint(model, tmp_path / "model.safetensors")
    assert_same(load_checkpoint(tmp_path / "model.safetensors"), model)


def test_loaded_model_is_for_inference_and_where_it_is_asked_for(path):
    assert not WavLMSegmentation.from_pretrained(str(path)).training
    model = WavLMSegmentation.from_pretrained(path, map_location="meta", strict=False)
    assert model.device.type == "meta"


def test_model_outlives_its_file(path):
    model = load_checkpoint(path)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    path.write_bytes(bytes(path.stat().st_size))
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())


def test_no_pickle_is_read_nor_written(path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a pickle was about to be read")

    for module, name in ((torch, "load"), (pickle, "load"), (pickle, "loads")):
        monkeypatch.setattr(module, name, refuse)
    monkeypatch.setattr(pickle, "Unpickler", refuse)
    for load in LOADERS.values():
        load(path)


def test_file_is_what_others_read(path):
    """Weights under their names, "format" as `transformers` has it, and a readable description"""
    assert load_file(path).keys() == tiny_model().state_dict().keys()
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    assert metadata["format"] == "pt"
    description = json.loads(metadata[KEY])
    assert description["architecture"] == "WavLMSegmentation"
    assert description["hyper_parameters"]["wavlm"] == tiny_config().to_dict()
    assert description["specifications"]["classes"] == ["speaker#1", "speaker#2", "speaker#3"]
    assert description["versions"].keys() == {"pyannote.audio", "pyannote-prune"}


@pytest.mark.parametrize("size", [0, 4, 100, 5000, -1])
def test_truncated_file_is_named(path, size):
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match=r"model.safetensors' could not be read: it is truncated"):
        load_checkpoint(path)


def attempt(path):
    try:
        return "", load_checkpoint(path)
    except ValueError as error:
        return str(error), None


@pytest.mark.parametrize("where", ["header", "weights"])
def test_altered_file_is_named(path, where):
    whole = path.read_bytes()
    (header,) = struct.unpack("<Q", whole[:8])
    places = range(8 + header) if where == "header" else range(8 + header, len(whole))
    chance, expected = random.Random(0), load_checkpoint(path).state_dict()
    refused = 0
    for _ in range(NUM_ALTERATIONS):
        altered = bytearray(whole)
        altered[chance.choice(places)] ^= 1 << chance.randrange(8)
        path.write_bytes(altered)
        message, loaded = attempt(path)
        if loaded is None:
            assert "model.safetensors" in message
            refused += 1
        else:  # a learning rate, a probability of dropout, a version
            assert where == "header"
            assert all(torch.equal(t, expected[k]) for k, t in loaded.state_dict().items())
    assert refused == NUM_ALTERATIONS if where == "weights" else refused > NUM_ALTERATIONS / 2


def test_other_files_are_not_taken_for_models(path):
    save_file(load_file(path), path)
    with pytest.raises(
        ValueError, match="must describe a model in its metadata .*found weights al"
    ):
        load_checkpoint(path)
    torch.save({}, path)
    with pytest.raises(ValueError, match=r"model.safetensors' could not be read"):
        load_checkpoint(path)
    path.unlink()
    for load in LOADERS.values():
        with pytest.raises(FileNotFoundError, match="model.safetensors"):
            load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("{", "`pyannote_prune` is not valid JSON"),
        ("[" * 100_000, "`pyannote_prune` is not valid JSON"),
        ("9" * 10_000, "does not describe a model"),
        ("__import__('os').mkdir('executed')", "`pyannote_prune` is not valid JSON"),
        ("null", "`pyannote_prune` must be a dictionary"),
        ("[1]", "`pyannote_prune` must be a dictionary"),
        (lambda d: d | {"architecture": "PyanNet"}, "WavLMSegmentation, found PyanNet"),
        (lambda d: d | {"architecture": "os.mkdir"}, "WavLMSegmentation, found os.mkdir"),
        (lambda d: d | {"architecture": 3}, "`pyannote_prune.architecture` must be a string"),
        (lambda d: d | {"surprise": 3}, "Unknown key `pyannote_prune.surprise`"),
        (lambda d: {k: d[k] for k in d if k != "versions"}, "Missing key `pyannote_prune.versions"),
        (lambda d: d | {"hyper_parameters": [1]}, "`pyannote_prune.hyper_parameters` must be a"),
        (lambda d: d | {"specifications": {}}, "Missing key `specifications.problem`"),
        (lambda d: d | {"checksum": 0}, "weights do not have the checksum"),
    ],
)
def test_description_that_cannot_be_used_is_refused(path, change, message):
    describe(path, change)
    with pytest.raises(ValueError, match=rf"model.safetensors'.*{message}"):
        load_checkpoint(path)


def test_weights_that_do_not_fit_are_listed(path):
    describe(path, lambda d: d | {"specifications": d["specifications"] | {"classes": ["a", "b"]}})
    for load in LOADERS.values():
        with pytest.raises(ValueError, match=r"classifier.bias \(expected \(4,\), found \(7,\)\)"):
            load(path)


def test_model_that_could_not_be_loaded_is_not_saved(tmp_path):
    model = tiny_model()
    model.specifications.classes = ["same", "same", "same"]
    with pytest.raises(ValueError, match="`specifications.classes` must be a list of different"):
        save_checkpoint(model, tmp_path / "model.safetensors")
    assert not any(tmp_path.iterdir())


def test_failure_while_writing_leaves_the_previous_file_whole(path, monkeypatch):
    def fail(weights, draft, metadata):
        Path(draft).write_bytes(b"half")
        raise OSError("No space left on device")

    before = path.read_bytes()
    monkeypatch.setattr("pyannote_prune.segmentation.safetensors_file.save_file", fail)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(tiny_model(), path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
