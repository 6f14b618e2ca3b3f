"""Engines that compute ONNX files"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from ..files.extras import require_extra

# providers of ONNX Runtime, for types of devices of PyTorch
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class Engine(Protocol):
    """Function of waveforms, from a file that is opened once"""

    metadata: Mapping[str, str]

    def __init__(self, path: Path, device: str, num_threads: int) -> None: ...

    def __call__(self, waveforms: np.ndarray) -> np.ndarray:
        """Compute (batch_size, num_frames, num_classes) scores, in any thread"""


class ONNXRuntime:
    """Engine of Microsoft, on CPU, and on GPU with the package `onnxruntime-gpu`

    Parameters
    ----------
    path : Path
    device : str
        Type of a device of PyTorch. Those without a provider are computed for on CPU.
    num_threads : int
    """

    def __init__(self, path: Path, device: str, num_threads: int) -> None:
        require_extra("onnx")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads
        available = onnxruntime.get_available_providers()
        wanted = [PROVIDERS.get(device, PROVIDERS["cpu"]), PROVIDERS["cpu"]]
        providers = [name for name in dict.fromkeys(wanted) if name in available]
        self.session = onnxruntime.InferenceSession(path, options, providers=providers)
        self.metadata: Mapping[str, str] = self.session.get_modelmeta().custom_metadata_map

    def __call__(self, waveforms: np.ndarray) -> np.ndarray:
        (scores,) = self.session.run(["scores"], {"waveforms": waveforms})
        return scores


class OpenVINO:
    """Engine of Intel, on CPU

    Parameters
    ----------
    path : Path
    device : str
        Not used.
    num_threads : int
    """

    def __init__(self, path: Path, device: str, num_threads: int) -> None:
        require_extra("openvino")
        import onnx
        import openvino

        options = {
            # it would choose bfloat16 on processors that have it, which small models do not bear
            # (2026.4: 65 % of the frames of one had the same class)
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": num_threads,
            "PERFORMANCE_HINT": "LATENCY",
        }
        self.model = openvino.Core().compile_model(path, "CPU", options)
        # 2026.4: after a first window of a single frame, scores of longer ones would be wrong
        self(np.zeros((2, 1, 8000), np.float32))
        properties = onnx.load(path, load_external_data=False).metadata_props
        self.metadata: Mapping[str, str] = {one.key: one.value for one in properties}

    def __call__(self, waveforms: np.ndarray) -> np.ndarray:
        # a request of its own for each call: threads may share the engine. Its memory ends with it
        found = self.model.infer_new_request({"waveforms": waveforms})
        return np.array(found["scores"], copy=True)


ENGINES: dict[str, type[Engine]] = {"onnxruntime": ONNXRuntime, "openvino": OpenVINO}
