"""Save models as ONNX files"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..files.atomic import atomic_write
from ..files.extras import require_extra
from ..files.messages import did_you_mean
from ..files.sources import ONNX, is_onnx
from ..segmentation.checkpoint import check_is_complete
from ..segmentation.model import WavLMSegmentation
from ..version import __version__
from .metadata import describe
from .network import LastState, Network
from .precision import convert

if TYPE_CHECKING:
    from onnx import ModelProto

DTYPES = ("float32", "float16", "int8")

# of operators: the last one that all runtimes of 2023 and later have
OPSET = 18


def save_onnx(
    model: WavLMSegmentation,
    path: str | Path,
    dtype: str = "float32",
    source: str | None = None,
    licence: str | None = None,
) -> None:
    """Save a model as an ONNX file, for runtimes other than PyTorch

    Its input, "waveforms" (batch_size, 1, num_samples), is mono audio at 16 kHz, of at least 400
    samples. Its output, "scores" (batch_size, num_frames, num_classes), is that of the model:
    log-probabilities for powerset classes, probabilities for others.

    Parameters
    ----------
    model : WavLMSegmentation
        Without gates, and with specifications. Not modified.
    path : str or Path
        File to write, whose name ends in ".onnx". An existing file is replaced atomically.
    dtype : {"float32", "float16", "int8"}, optional
        "float16" halves the file: weights are stored in half precision, operations are in single
        precision. "int8" makes products of integers (dynamic quantization of ONNX Runtime), which
        are faster on many processors. Both change scores slightly. Defaults to "float32".
    source : str, optional
        Name of what the model was made from, for the metadata of the file. Defaults to what the
        model says (`model.provenance`).
    licence : str, optional
        Licence of its weights, for the metadata of the file. Defaults to what the model says.

    Raises
    ------
    ImportError
        If the packages of the extra `onnx` are not installed.
    ValueError
        If the model has gates, no specifications, or modified layers, if it was made from weights
        that were released under another licence, or if an option is impossible.

    Examples
    --------
    >>> save_onnx(model, "model.onnx")  # doctest: +SKIP
    """
    require_extra("onnx")
    check_name(path)
    if dtype not in DTYPES:
        raise ValueError(
            f"`dtype` must be one of {', '.join(map(repr, DTYPES))}, found {dtype!r}"
            f"{did_you_mean(dtype, DTYPES)}."
        )
    check_is_complete(model)
    if model.units:
        raise ValueError(
            f"`model` must not have gates, found some on units {', '.join(model.units)}: "
            "prune it first, with `prune(model)`."
        )
    provenance = model.provenance.stated(licence)
    if source is not None:
        provenance = replace(provenance, source=source)
    import onnx

    proto = convert(make_graph(Network(model)), dtype)
    onnx.helper.set_model_props(proto, describe(model, dtype, provenance))
    with atomic_write(path) as draft:
        onnx.save(proto, draft)


def check_name(path: str | Path) -> None:
    """Refuse names without the suffix of ONNX files"""
    if not is_onnx(path):
        raise ValueError(f"Names of ONNX files must end in {ONNX}, found {str(path)!r}.")


def make_graph(network: Network | LastState) -> ModelProto:
    """Make the graph of a network, for any batch size and any number of samples"""
    # two windows of half a second: other values than 1, which PyTorch would take for constants
    waveforms = torch.zeros(2, 1, 8000)
    with _without_advice(), torch.no_grad():
        program = torch.onnx.export(
            network,
            (waveforms,),
            input_names=["waveforms"],
            output_names=["scores"],
            dynamic_shapes=({0: "batch", 2: "samples"},),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # as `dynamo=True` says
    proto = program.model_proto
    proto.producer_name, proto.producer_version = "pyannote-prune", __version__
    proto.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "frames"
    # intermediate shapes, and lines of the code that made each node
    del proto.graph.value_info[:]
    graph = proto.graph
    for item in (*graph.node, *graph.initializer, *graph.input, *graph.output):
        del item.metadata_props[:]
        item.ClearField("doc_string")
    return proto


@contextmanager
def _without_advice() -> Iterator[None]:
    """Without log messages about operators of torchvision, which is not needed"""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
