"""`save_onnx`: what it writes, and what it refuses"""

import importlib.util
import json

import onnx
import onnx_files
import pytest
import torch
from helpers import tiny_config
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException
from pyannote.audio.core.task import Problem, Resolution, Specifications

from pyannote_prune import WavLMSegmentation, __version__, cost, gate, save_onnx
from pyannote_prune.segmentation.checkpoint import load_checkpoint
from pyannote_prune.segmentation.specifications import specifications_from_dict


@pytest.fixture
def model(checkpoint):
    return load_checkpoint(checkpoint)


def test_metadata_says_what_the_model_is(model, onnx_file):
    found = onnx_files.metadata(onnx_file)
    specifications = specifications_from_dict(json.loads(found.pop("specifications")))
    assert specifications == model.specifications
    assert found == {
        "pyannote_prune": __version__,
        "dtype": "float32",
        "source": "owner/name",
        "licence": "CC BY-NC 4.0",
        "parameters": str(cost(model.wavlm).parameters),
        "macs_per_second": str(round(cost(model.wavlm).macs_per_second)),
        # what sherpa-onnx reads
        "model_type": "pyannote-segmentation-3.0",
        "num_speakers": "3",
        "powerset_max_classes": "2",
        "num_classes": "7",
        "sample_rate": "16000",
        "window_size": "32000",
        "window_shift": "3200",
        "receptive_field_size": "400",
        "receptive_field_shift": "320",
    }


def test_names_and_shapes(onnx_file):
    file = onnx_files.session(onnx_file)
    (waveforms,), (scores,) = file.get_inputs(), file.get_outputs()
    assert (waveforms.name, waveforms.shape) == ("waveforms", ["batch", 1, "samples"])
    assert (scores.name, scores.shape) == ("scores", ["batch", "frames", 7])
    proto = onnx.load(onnx_file)
    onnx.checker.check_model(proto, full_check=True)
    assert proto.producer_name == "pyannote-prune"
    # no path of this machine
    assert b"/pyannote_prune/" not in onnx_file.read_bytes()
    assert [file.name for file in onnx_file.parent.iterdir()] == [onnx_file.name]


@pytest.mark.slow
def test_models_without_powerset_have_probabilities(tmp_path):
    model = WavLMSegmentation(wavlm=tiny_config())
    model.specifications = Specifications(
        problem=Problem.MULTI_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=3.0,
        classes=["speech", "é"],
    )
    model.setup()
    file = onnx_files.save(model.eval(), tmp_path)
    waveforms = torch.randn(2, 1, 8000)
    with torch.inference_mode():
        expected = model(waveforms)
    assert ((expected > 0) & (expected < 1)).all()
    assert (onnx_files.score(file, waveforms) - expected).abs().max() < onnx_files.TOLERANCE
    metadata = onnx_files.metadata(tmp_path / "model.onnx")
    # sherpa-onnx has no such models
    assert not {"model_type", "powerset_max_classes", "source", "licence"} & metadata.keys()
    assert specifications_from_dict(json.loads(metadata["specifications"])) == model.specifications


@pytest.mark.parametrize("num_samples", [0, 1, 399])
def test_too_few_samples_are_refused(onnx_file, num_samples):
    file = onnx_files.session(onnx_file)
    with pytest.raises((Fail, InvalidArgument, RuntimeException)):
        onnx_files.score(file, torch.zeros(1, 1, num_samples))


def test_two_channels_are_refused(onnx_file):
    with pytest.raises(InvalidArgument, match="index: 1 Got: 2 Expected: 1"):
        onnx_files.score(onnx_files.session(onnx_file), torch.zeros(1, 2, 16000))


def refused(*arguments, match, error=ValueError, **options):
    with pytest.raises(error, match=match):
        save_onnx(*arguments, **options)


def test_what_cannot_be_saved_is_refused(model, tmp_path):
    path = tmp_path / "model.onnx"
    refused(gate(model), path, match=r"must not have gates, found .* channel, head, neuron: prune")
    untrained = WavLMSegmentation(wavlm=tiny_config())
    refused(untrained, path, match="must have specifications and a classifier, found none: train")
    refused(model, path, "int9", match=r"one of 'float32', .* found 'int9' \(did you mean 'int8'\?")
    for name in ("model.ckpt", "model", "model.onnx.gz"):
        refused(model, tmp_path / name, match=rf"must end in \.onnx, found '.*{name}'")
    assert not list(tmp_path.iterdir())


def test_missing_packages_are_named(model, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "pyannote_prune.files.extras.find_spec",
        lambda name: None if name == "onnxscript" else find(name),
    )
    message = r"missing: onnxscript\. Install them: pip install 'pyannote-prune\[onnx\]'"
    refused(model, tmp_path / "model.onnx", match=message, error=ImportError)


def test_former_file_stays_if_writing_fails(model, onnx_file, tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"former")

    def fail(proto, draft):
        raise OSError(28, "No space left on device")

    graph = onnx.load(onnx_file)
    monkeypatch.setattr("pyannote_prune.onnx.save.make_graph", lambda network: graph)
    monkeypatch.setattr("onnx.save", fail)
    refused(model, path, match="could not be written", error=OSError)
    assert path.read_bytes() == b"former"
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
