"""WeSpeaker embeddings of pyannote.audio as graphs, made node by node

`torch.onnx.export` takes seconds, which each load of a pipeline would. A ResNet has few kinds of
operations, which `torch.fx` lists in the order of its code: nodes are written in tenths of a
second, and without `onnxscript`.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import torch
import torch.nn as nn
import torch.nn.functional as F
from pyannote.audio.models.embedding.wespeaker import BaseWeSpeakerResNet
from torch import Tensor, fx

from ..version import __version__
from .save import OPSET

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

# type of a node, its constant inputs, its attributes
Operation: TypeAlias = tuple[str, list[Tensor], dict[str, Any]]

# the oldest version of the format that has these operators
IR_VERSION = 8

# mean and standard deviation over time, and the last layer. A single frame has no deviation
HEAD = """
head (float[batch, channels, bins, frames] frames) => (float[batch, dimension] embs)
<int64[1] time = {3}, float one = {1}> {
    mean = ReduceMean(frames, time)
    centered = Sub(frames, mean)
    squares = Mul(centered, centered)
    sum = ReduceSum(squares, time)
    shape = Shape <start = 3> (frames)
    count = Cast <to = 1> (shape)
    others = Sub(count, one)
    divisor = Max(others, one)
    variance = Div(sum, divisor)
    deviation = Sqrt(variance)
    means = Flatten(mean)
    deviations = Flatten(deviation)
    statistics = Concat <axis = 1> (means, deviations)
    embs = Gemm <transB = 1> (statistics, weight, bias)
}
"""


def make_trunk(model: BaseWeSpeakerResNet) -> ModelProto:
    """Make the graph from features to frames, which pooling comes after

    Its input, "feats" (batch_size, num_frames, num_mel_bins), is what `model.compute_fbank` gives.
    Its output, "frames" (batch_size, channels, bins, num_frames), is that of
    `model.forward_frames`. Batch size and number of frames are free.

    Raises
    ------
    ValueError
        If the network has other layers than those of pyannote.audio.
    """
    from onnx import TensorProto, helper

    trunk = _Trunk(model.resnet)
    nodes, weights = [], []
    for step in fx.Tracer().trace(trunk).nodes:
        if step.op not in ("placeholder", "output"):
            kind, constants, attributes = _operation(step, trunk)
            inputs = [one.name for one in step.args if isinstance(one, fx.Node)]
            for index, constant in enumerate(constants):
                inputs.append(f"{step.name}.{index}")
                weights.append(_tensor(constant, inputs[-1]))
            nodes.append(helper.make_node(kind, inputs, [step.name], **attributes))
    nodes[-1].output[0] = "frames"
    shapes = {
        "feats": ["batch", "time", model.hparams["num_mel_bins"]],
        "frames": ["batch", "channels", "bins", "steps"],
    }
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    ]
    return _model(helper.make_graph(nodes, "trunk", values[:1], values[1:], weights))


def make_embedding(model: BaseWeSpeakerResNet) -> ModelProto:
    """Make the graph from features to embeddings: `make_trunk`, then pooling of all frames

    Its output is "embs" (batch_size, dimension).
    """
    from onnx import parser

    graph, head = make_trunk(model).graph, parser.parse_graph(HEAD)
    graph.name = "embedding"
    graph.node.extend(head.node)
    layer = model.get_submodule("resnet.seg_1")
    assert isinstance(layer, nn.Linear)
    weights = [_tensor(layer.weight, "weight"), _tensor(layer.bias, "bias")]
    graph.initializer.extend([*head.initializer, *weights])
    del graph.output[:]
    graph.output.extend(head.output)
    graph.output[0].type.tensor_type.shape.dim[1].dim_value = layer.out_features
    return _model(graph)


class _Trunk(nn.Module):
    def __init__(self, resnet: Any) -> None:
        super().__init__()
        self.resnet = resnet

    def forward(self, feats: Tensor) -> Tensor:
        return self.resnet.forward_frames(feats)


def _operation(step: fx.Node, trunk: nn.Module) -> Operation:
    """Translate one operation of the code"""
    if step.op == "call_module":
        return _layer(trunk.get_submodule(str(step.target)))
    if step.target is F.relu:
        return "Relu", [], {}
    if step.target in (operator.add, operator.iadd):
        return "Add", [], {}
    if step.target == "permute":
        return "Transpose", [], {"perm": step.args[1:]}
    if step.target in ("unsqueeze", "unsqueeze_"):
        return "Unsqueeze", [torch.tensor(step.args[1:])], {}
    raise _error(str(step.target))


def _layer(layer: nn.Module) -> Operation:
    if layer._forward_hooks or layer._forward_pre_hooks:
        raise _error(f"{layer} with hooks")
    # subclasses (adapters, parametrizations) compute something else
    if type(layer) is nn.Conv2d and layer.padding_mode == "zeros":
        constants = [layer.weight] if layer.bias is None else [layer.weight, layer.bias]
        attributes = {
            "strides": layer.stride,
            "pads": [*layer.padding, *layer.padding],
            "dilations": layer.dilation,
            "group": layer.groups,
        }
        return "Conv", constants, attributes
    if type(layer) is nn.BatchNorm2d and layer.running_mean is not None:
        constants = [layer.weight, layer.bias, layer.running_mean, cast(Tensor, layer.running_var)]
        return "BatchNormalization", constants, {"epsilon": layer.eps}
    raise _error(str(layer))


def _error(found: str) -> ValueError:
    return ValueError(
        "The speaker embedding must have the layers of a WeSpeaker ResNet of pyannote.audio, found "
        f"{found!r}: compute it with PyTorch (`embedding_engine='torch'`)."
    )


def _tensor(tensor: Tensor, name: str) -> Any:
    from onnx import numpy_helper

    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        tensor = tensor.float()
    return numpy_helper.from_array(tensor.numpy(), name)


def _model(graph: GraphProto) -> ModelProto:
    from onnx import helper

    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="pyannote-prune",
        producer_version=__version__,
    )
