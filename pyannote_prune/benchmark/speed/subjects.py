"""Networks to time: encoders and whole models, by name"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from ...files.extras import missing_packages
from ...files.messages import did_you_mean
from ...files.sources import is_onnx
from ...onnx.engines import ENGINES, EXTRA_OF, supports_dtype
from ...onnx.model import ONNXSegmentation
from ...segmentation.checkpoint import load_checkpoint
from ...segmentation.model import WavLMSegmentation
from ...segmentation.specifications import powerset_specifications
from ...wavlm.config import WavLMConfig
from ...wavlm.cost import cost
from ...wavlm.presets import PRESETS

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

# baselines: dense encoders of `transformers`
YARDSTICKS = {"transformers-base": "base", "transformers-large": "large"}


@dataclass(frozen=True)
class Subject:
    """Network to time

    Parameters
    ----------
    name : str
        Preset, yardstick, or path of a checkpoint.
    part : {"encoder", "model"}
    dtype : {"float32", "bfloat16"}
    run : callable
        From waveforms, (batch_size, num_samples), to outputs.
    macs_per_second : int or None
        Multiply-accumulate operations per second of audio, or None if they are not counted.
    """

    name: str
    part: str
    dtype: str
    run: Callable[[Tensor], Any]
    macs_per_second: int | None

    @property
    def label(self) -> str:
        return f"{self.name} {self.part} {self.dtype}"


def load(name: str) -> WavLMSegmentation | transformers.WavLMModel | ONNXSegmentation:
    """Make a preset or yardstick (random weights), or load a checkpoint or an ONNX file

    Raises
    ------
    ValueError
        If there is no such model.
    """
    if name in YARDSTICKS:
        return transformers.WavLMModel(yardstick_config(YARDSTICKS[name])).eval()
    if name in PRESETS:
        return load_preset(name)
    if Path(name).exists():
        if is_onnx(name):
            return ONNXSegmentation(name)
        return load_checkpoint(name).eval()
    known = [*PRESETS, *YARDSTICKS]
    raise ValueError(
        f"Models must be checkpoints, ONNX files, or among {', '.join(known)}, found {name!r}"
        f"{did_you_mean(name, known)}."
    )


def load_preset(name: str) -> WavLMSegmentation:
    """Make a segmentation model with the structure of a preset, and random weights"""
    model = WavLMSegmentation(wavlm=WavLMConfig.preset(name))
    model.specifications = powerset_specifications(8.0, 4, 2)
    model.setup()
    return model.eval()


def yardstick_config(preset: str) -> transformers.WavLMConfig:
    """Make the configuration of `transformers` for a dense preset"""
    config = WavLMConfig.preset(preset)
    is_large = config.conv_norm == "layer"
    return transformers.WavLMConfig(
        hidden_size=config.embed_dim,
        num_hidden_layers=config.num_layers,
        num_attention_heads=config.num_heads,
        intermediate_size=config.layers[0].neurons,
        feat_extract_norm=config.conv_norm,
        do_stable_layer_norm=is_large,
    )


def subjects(name: str, network: nn.Module, parts: list[str], dtypes: list[str]) -> list[Subject]:
    """List parts and precisions of a network to time

    Parameters
    ----------
    name : str
    network : WavLMSegmentation, transformers.WavLMModel or ONNXSegmentation
        An ONNX file is timed with each engine that is installed.
    parts : list of str
        "encoder", "model". ONNX files are whole models.
    dtypes : list of str
        Names of precisions. `transformers` always runs in float32.
    """
    if name in YARDSTICKS:
        return [Subject(name, "encoder", "float32", network, None)]
    if isinstance(network, ONNXSegmentation):
        return _engines(name, network.path, dtypes)
    assert isinstance(network, WavLMSegmentation)
    macs = cost(network.wavlm).macs_per_second
    return [
        Subject(
            name, part, dtype, runner(network, part, dtype), macs if part == "encoder" else None
        )
        for part in parts
        for dtype in dtypes
    ]


def _engines(name: str, path: Path, dtypes: Sequence[str]) -> list[Subject]:
    """List engines, and their precisions, of an ONNX file"""
    return [
        Subject(f"{name} ({engine})", "model", dtype, _scores(path, engine, dtype), None)
        for engine in ENGINES
        if not missing_packages(EXTRA_OF[engine])
        for dtype in dtypes
        if dtype == "float32" or supports_dtype(engine, dtype)
    ]


def _scores(path: Path, engine: str, dtype: str) -> Callable[[Tensor], Any]:
    model = ONNXSegmentation(path, engine=engine, dtype=None if dtype == "float32" else dtype)
    return lambda waveforms: model(waveforms[:, None])


def runner(model: WavLMSegmentation, part: str, dtype: str) -> Callable[[Tensor], Any]:
    """Make a function that runs a model, or its encoder, in a precision"""
    view = model.in_precision(None if dtype == "float32" else DTYPES[dtype])
    if part == "encoder":
        return view.wavlm
    return lambda waveforms: view(waveforms[:, None])
