"""Networks to time: encoders and whole models, by name"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from ...files.messages import did_you_mean
from ...files.sources import is_onnx
from ...onnx.engines import TORCH
from ...onnx.model import ONNXSegmentation
from ...segmentation.checkpoint import load_checkpoint
from ...segmentation.model import WavLMSegmentation
from ...segmentation.specifications import powerset_specifications
from ...wavlm.config import WavLMConfig
from ...wavlm.cost import cost
from ...wavlm.inference.bfloat16 import supports_bfloat16
from ...wavlm.presets import PRESETS
from .engines import compile_graph, dtypes_of, installed_engines, open_file

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

# baselines: dense encoders of `transformers`
YARDSTICKS = {"transformers-base": "base", "transformers-large": "large"}


@dataclass(frozen=True)
class Subject:
    """Network to time

    Parameters
    ----------
    name : str
        Preset, yardstick, or path of a checkpoint, and its engine.
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
    macs_per_second: int | None = None

    @property
    def label(self) -> str:
        return f"{self.name} {self.part} {self.dtype}"


def supported_dtypes(device: str) -> list[str]:
    """List the precisions that a device supports"""
    return [*DTYPES] if supports_bfloat16(torch.device(device)) else ["float32"]


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


def subjects(
    name: str,
    network: nn.Module,
    parts: Sequence[str],
    dtypes: Sequence[str],
    engines: Sequence[str] = (TORCH,),
) -> list[Subject]:
    """List parts and precisions of a network to time

    Parameters
    ----------
    name : str
    network : WavLMSegmentation, transformers.WavLMModel or ONNXSegmentation
        An ONNX file is timed with each engine that is installed.
    parts : sequence of str
        "encoder", "model". ONNX files are whole models.
    dtypes : sequence of str
        Names of precisions. `transformers` always runs in float32.
    engines : sequence of str
        "torch", and engines of ONNX files. Precisions that an engine does not have are left out.
    """
    if name in YARDSTICKS:
        return [Subject(name, "encoder", "float32", network)]
    if isinstance(network, ONNXSegmentation):
        return [
            Subject(f"{name} ({engine})", "model", dtype, open_file(network.path, engine, dtype))
            for engine in installed_engines()
            for dtype in dtypes_of(engine, dtypes)
        ]
    assert isinstance(network, WavLMSegmentation)
    return [
        subject
        for part in parts
        for engine in engines
        for subject in _subjects(name, network, part, dtypes, engine)
    ]


def _subjects(
    name: str, model: WavLMSegmentation, part: str, dtypes: Sequence[str], engine: str
) -> list[Subject]:
    """List the precisions of a part of a model, with one engine"""
    macs = cost(model.wavlm).macs_per_second if part == "encoder" else None
    if engine == TORCH:
        return [Subject(name, part, dtype, runner(model, part, dtype), macs) for dtype in dtypes]
    dtypes = dtypes_of(engine, dtypes)
    functions = compile_graph(model, part, engine, dtypes)
    return [
        Subject(f"{name} ({engine})", part, dtype, function, macs)
        for dtype, function in zip(dtypes, functions, strict=True)
    ]


def runner(model: WavLMSegmentation, part: str, dtype: str) -> Callable[[Tensor], Any]:
    """Make a function that runs a model, or its encoder, in a precision"""
    view = model.in_precision(None if dtype == "float32" else DTYPES[dtype])
    if part == "encoder":
        return view.wavlm
    return lambda waveforms: view(waveforms[:, None])
