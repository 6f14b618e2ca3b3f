"""Graphs of WeSpeaker embeddings"""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from embeddings import small_wespeaker
from helpers import relative_error

from pyannote_prune.onnx.resnet import make_embedding, make_trunk


def compute(proto: onnx.ModelProto, features: torch.Tensor) -> torch.Tensor:
    onnx.checker.check_model(proto, full_check=True)
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return torch.from_numpy(session.run(None, {"feats": features.numpy()})[0])


@pytest.mark.parametrize("block", ["BasicBlock", "Bottleneck"])
def test_graphs_are_the_network_for_any_batch_and_length(block):
    model, rng = small_wespeaker(block=block), np.random.default_rng(0)
    trunk, whole = make_trunk(model), make_embedding(model)
    for batch_size, num_frames in zip(rng.integers(1, 4, 8), rng.integers(9, 300, 8), strict=True):
        features = 3 * torch.randn(batch_size, num_frames, 80)
        with torch.inference_mode():
            frames = model.resnet.forward_frames(features.clone())
            embeddings = model.resnet(features.clone())[1]
        assert relative_error(compute(trunk, features), frames) < 1e-5
        assert relative_error(compute(whole, features), embeddings) < 1e-5


def test_deviation_of_a_single_frame_is_zero():
    """As with a mask: without one, PyTorch has no embedding at all"""
    model, features = small_wespeaker(), torch.randn(2, 8, 80)
    with torch.inference_mode():
        expected = model.resnet(features.clone(), weights=torch.ones(2, 8))[1]
    assert relative_error(compute(make_embedding(model), features), expected) < 1e-5


def test_model_is_left_as_it_was():
    model = small_wespeaker()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    make_embedding(model)
    after = model.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())


class Scaled(torch.nn.Conv2d):
    """As adapters and parametrizations are: a layer that computes something else"""

    def forward(self, inputs):
        return 2 * super().forward(inputs)


def hooked() -> torch.nn.Module:
    layer = torch.nn.Conv2d(1, 4, 3, padding=1)
    layer.register_forward_hook(lambda module, inputs, outputs: 2 * outputs)
    return layer


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (hooked(), "with hooks"),
        (torch.nn.Hardswish(), "Hardswish"),
        (torch.nn.Conv2d(1, 4, 3, padding=1, padding_mode="reflect"), "reflect"),
        (Scaled(1, 4, 3, padding=1), "conv1.weight"),
    ],
)
def test_other_layers_are_refused(layer, message):
    model = small_wespeaker()
    model.resnet.conv1 = layer
    with pytest.raises(ValueError, match=rf"layers of a WeSpeaker ResNet .*found .*({message})"):
        make_trunk(model)
