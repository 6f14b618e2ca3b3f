"""Networks as functions that engines compute"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...files.extras import missing_packages
from ...files.messages import did_you_mean
from ...onnx.engines import ENGINES, EXTRA_OF, TORCH, supports_dtype
from ...onnx.model import EXAMPLE, ONNXSegmentation
from ...onnx.network import LastState, Network
from ...onnx.save import make_graph
from ...segmentation.model import WavLMSegmentation

CHOICES = (TORCH, *ENGINES)


def check_engines(names: Sequence[str]) -> None:
    """Refuse unknown engines, and those that are not installed

    Raises
    ------
    ValueError
    """
    for name in names:
        if name not in CHOICES:
            raise ValueError(
                f"`engines` must be among {', '.join(CHOICES)}, found {name!r}"
                f"{did_you_mean(name, CHOICES)}."
            )
        if name != TORCH and (missing := missing_packages(EXTRA_OF[name])):
            raise ValueError(
                f"`engines` must be installed, found {name!r} without {', '.join(missing)}: "
                f"pip install 'pyannote-prune[{EXTRA_OF[name]}]'."
            )


def installed_engines() -> list[str]:
    """List engines of ONNX files that are installed"""
    return [name for name in ENGINES if not missing_packages(EXTRA_OF[name])]


def dtypes_of(engine: str, dtypes: Sequence[str]) -> list[str]:
    """List the precisions, among some, that an engine computes in on this processor"""
    return [dtype for dtype in dtypes if dtype == "float32" or supports_dtype(engine, dtype)]


def compile_graph(
    model: WavLMSegmentation, part: str, engine: str, dtypes: Sequence[str]
) -> list[Callable[[Tensor], Any]]:
    """Make the graph of a model, or of its encoder, and one function for each precision

    Parameters
    ----------
    model : WavLMSegmentation
    part : {"encoder", "model"}
        The output of an encoder is its last hidden state.
    engine : str
    dtypes : sequence of {"float32", "bfloat16"}

    Returns
    -------
    functions : list of callable
        From waveforms, (batch_size, num_samples), to an array.
    """
    network = Network(model) if part == "model" else LastState(model.wavlm)
    graph = make_graph(network).SerializeToString()
    return [_function(graph, engine, dtype) for dtype in dtypes]


def _function(graph: bytes, engine: str, dtype: str) -> Callable[[Tensor], Any]:
    precision = None if dtype == "float32" else dtype
    run = ENGINES[engine](graph, "cpu", torch.get_num_threads(), EXAMPLE, precision)
    return lambda waveforms: run(waveforms[:, None].numpy())


def open_file(path: Path, engine: str, dtype: str) -> Callable[[Tensor], Any]:
    """Open an ONNX file as a function of waveforms, (batch_size, num_samples)"""
    model = ONNXSegmentation(path, engine=engine, dtype=None if dtype == "float32" else dtype)
    return lambda waveforms: model(waveforms[:, None])
