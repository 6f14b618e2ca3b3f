"""Smaller files"""

import onnx
import onnx_files
import pytest
import torch
from helpers import randomize, tiny_config
from onnx import TensorProto

from pyannote_prune.segmentation.checkpoint import load_checkpoint
from pyannote_prune.segmentation.head import Head, LSTMOptions
from pyannote_prune.segmentation.model import WavLMSegmentation
from pyannote_prune.segmentation.specifications import powerset_specifications

# of log-probabilities of a small network of random weights, with a classifier of large ones
LARGEST = {"float16": 0.2, "int8": 10}


@pytest.mark.parametrize("dtype", LARGEST)
def test_smaller_files_give_nearly_the_same(checkpoint, onnx_file, tmp_path, dtype):
    path = onnx_files.converted(onnx_file, tmp_path, dtype)
    assert path.stat().st_size < onnx_file.stat().st_size
    file = onnx_files.session(path)
    types = [value.type for value in (*file.get_inputs(), *file.get_outputs())]
    assert types == ["tensor(float)", "tensor(float)"]
    waveforms = torch.randn(2, 1, 16000)
    with torch.inference_mode():
        expected = load_checkpoint(checkpoint)(waveforms)
    found = onnx_files.score(file, waveforms)
    assert onnx_files.TOLERANCE < (found - expected).abs().max() < LARGEST[dtype]
    # any length, any batch
    assert onnx_files.score(file, torch.randn(3, 1, 400)).shape == (3, 1, 7)


@pytest.mark.parametrize(
    ("dtype", "types"),
    [
        ("float32", {TensorProto.FLOAT}),
        ("float16", {TensorProto.FLOAT16}),
        # convolutions, and the table of position biases, stay as they are
        ("int8", {TensorProto.FLOAT, TensorProto.INT8}),
    ],
)
def test_weights_are_what_was_asked_for(onnx_file, tmp_path, dtype, types):
    proto = onnx.load(onnx_files.converted(onnx_file, tmp_path, dtype))
    weights = [tensor for tensor in proto.graph.initializer if len(tensor.dims) > 1]
    assert {tensor.data_type for tensor in weights} == types


@pytest.mark.slow
@pytest.mark.parametrize("dtype", LARGEST)
def test_lstm(tmp_path, dtype):
    head = Head("softmax", False, lstm=LSTMOptions(8, 1))
    model = WavLMSegmentation(wavlm=tiny_config(large=True), head=head)
    model.specifications = powerset_specifications(2.0, 3, 2)
    model.setup()
    randomize(model.eval())
    waveforms = torch.randn(2, 1, 16000)
    with torch.inference_mode():
        expected = model(waveforms)
    found = onnx_files.score(onnx_files.save(model, tmp_path, dtype=dtype), waveforms)
    assert 0 < (found - expected).abs().max() < LARGEST[dtype]
    assert onnx_files.metadata(tmp_path / "model.onnx")["dtype"] == dtype
