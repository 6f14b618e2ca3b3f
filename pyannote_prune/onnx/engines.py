"""Engines that compute ONNX graphs"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from ..files.extras import missing_packages, require_extra
from ..files.messages import did_you_mean
from ..wavlm.inference.bfloat16 import supports_bfloat16

# choice of the fastest engine that is installed
AUTO = "auto"

# PyTorch itself, for speaker embeddings and checkpoints
TORCH = "torch"

# precision of operations, for engines that have it
BFLOAT16 = "bfloat16"

# providers of ONNX Runtime, for types of devices of PyTorch
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class Engine(Protocol):
    """Function of one array, from a graph with one input and one output, opened once"""

    metadata: Mapping[str, str]

    def __init__(
        self,
        graph: Path | bytes,
        device: str,
        num_threads: int,
        example: np.ndarray,
        dtype: str | None = None,
    ) -> None: ...

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Compute outputs, in any thread"""


class ONNXRuntime:
    """Engine of Microsoft, on CPU, and on GPU with the package `onnxruntime-gpu`

    Parameters
    ----------
    graph : Path or bytes
        ONNX file, or its content.
    device : str
        Type of a device of PyTorch. Those without a provider are computed for on CPU.
    num_threads : int
    example : np.ndarray
        Not used.
    dtype : str, optional
        Not used: operations are in the precision of the graph.
    """

    def __init__(
        self,
        graph: Path | bytes,
        device: str,
        num_threads: int,
        example: np.ndarray,
        dtype: str | None = None,
    ) -> None:
        require_extra("onnx")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads
        available = onnxruntime.get_available_providers()
        wanted = [PROVIDERS.get(device, PROVIDERS["cpu"]), PROVIDERS["cpu"]]
        providers = [name for name in dict.fromkeys(wanted) if name in available]
        self.session = onnxruntime.InferenceSession(graph, options, providers=providers)
        self.metadata: Mapping[str, str] = self.session.get_modelmeta().custom_metadata_map
        self._input = self.session.get_inputs()[0].name

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        (outputs,) = self.session.run(None, {self._input: inputs})
        return outputs


class OpenVINO:
    """Engine of Intel, on CPU

    Parameters
    ----------
    graph : Path or bytes
        ONNX file, or its content.
    device : str
        Not used.
    num_threads : int
    example : np.ndarray
        Input of an ordinary shape, of more than one frame.
    dtype : {"bfloat16"}, optional
        Precision of operations. Defaults to that of the graph.
    """

    def __init__(
        self,
        graph: Path | bytes,
        device: str,
        num_threads: int,
        example: np.ndarray,
        dtype: str | None = None,
    ) -> None:
        require_extra("openvino")
        import onnx

        options = {
            # it would choose bfloat16 by itself on processors that have it
            "INFERENCE_PRECISION_HINT": "bf16" if dtype == BFLOAT16 else "f32",
            "INFERENCE_NUM_THREADS": num_threads,
            "PERFORMANCE_HINT": "LATENCY",
        }
        core = _core()
        # weights of a graph in memory are inside it
        read = core.read_model(graph, b"") if isinstance(graph, bytes) else core.read_model(graph)
        self.model = core.compile_model(read, "CPU", options)
        # 2026.4: after a first window of a single frame, scores of longer ones would be wrong
        self(example)
        self.metadata: Mapping[str, str] = {}
        if isinstance(graph, Path):
            properties = onnx.load(graph, load_external_data=False).metadata_props
            self.metadata = {one.key: one.value for one in properties}

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        # a request of its own for each call: threads may share the engine. Its memory ends with it
        found = self.model.infer_new_request([inputs])
        return np.array(found[0], copy=True)


@cache
def _core() -> Any:
    """Make the runtime of OpenVINO, once for the process

    2026.4: each one replaces the stack that signals are handled on. When several are freed, signals
    are left with one that no longer exists, and the next Ctrl-C is a segmentation fault.
    """
    import openvino

    return openvino.Core()


ENGINES: dict[str, type[Engine]] = {"onnxruntime": ONNXRuntime, "openvino": OpenVINO}

# extras that bring them
EXTRA_OF = {"onnxruntime": "onnx", "openvino": "openvino"}

# those that compute in bfloat16
BFLOAT16_ENGINES = ("openvino",)

# names of engines, for what PyTorch computes otherwise, and for ONNX files
CHOICES = (AUTO, TORCH, *ENGINES)
CHOICES_OF_FILES = (AUTO, *ENGINES)


def check_engine(name: str, choices: Sequence[str] = CHOICES, argument: str = "engine") -> None:
    """Refuse names of other engines"""
    if name not in choices:
        raise ValueError(
            f"`{argument}` must be one of {', '.join(map(repr, choices))}, found {name!r}"
            f"{did_you_mean(name, choices)}."
        )


def check_dtype(name: str | None, argument: str = "dtype") -> None:
    """Refuse other precisions"""
    if name not in (None, BFLOAT16):
        raise ValueError(
            f"`{argument}` must be {BFLOAT16!r} or None (the precision of weights), found {name!r}."
        )


def supports_dtype(name: str, dtype: str | None) -> bool:
    """Whether an engine computes in a precision on this processor"""
    if dtype != BFLOAT16:
        return True
    return name in BFLOAT16_ENGINES and supports_bfloat16(torch.device("cpu"))


def find_engine(device: str = "cpu") -> str | None:
    """Find the fastest engine among those that are installed

    Parameters
    ----------
    device : str, optional
        Type of a device of PyTorch. OpenVINO is for CPU.

    Returns
    -------
    name : str or None
        None if there is none.
    """
    names = ("openvino", "onnxruntime") if device == "cpu" else ("onnxruntime", "openvino")
    return next((name for name in names if not missing_packages(EXTRA_OF[name])), None)
