"""Prunable WavLM segmentation models for pyannote.audio"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .moved import keep_former_paths
from .registration import register
from .version import __version__

if TYPE_CHECKING:
    from .onnx.model import ONNXSegmentation
    from .onnx.save import save_onnx
    from .pipeline.export import export_pipeline
    from .pipeline.settings import DiarizationSettings
    from .pruning import DistillationPruning, gate, prune
    from .released.diarizen import load_diarizen
    from .segmentation import WavLMSegmentation, save_checkpoint
    from .wavlm import WavLM, WavLMConfig
    from .wavlm.cost import Cost, cost
    from .wavlm.gates import HardConcrete

__all__ = [
    "Cost",
    "DiarizationSettings",
    "DistillationPruning",
    "HardConcrete",
    "ONNXSegmentation",
    "WavLM",
    "WavLMConfig",
    "WavLMSegmentation",
    "__version__",
    "cost",
    "export_pipeline",
    "gate",
    "load_diarizen",
    "prune",
    "save_checkpoint",
    "save_onnx",
]

# imported when first used: the command line answers at once when it needs none of them
_MODULES = {
    "Cost": "wavlm.cost",
    "DiarizationSettings": "pipeline.settings",
    "DistillationPruning": "pruning.task",
    "HardConcrete": "wavlm.gates",
    "ONNXSegmentation": "onnx.model",
    "WavLM": "wavlm.encoder",
    "WavLMConfig": "wavlm.config",
    "WavLMSegmentation": "segmentation.model",
    "cost": "wavlm.cost",
    "export_pipeline": "pipeline.export",
    "gate": "pruning.prune",
    "load_diarizen": "released.diarizen",
    "prune": "pruning.prune",
    "save_checkpoint": "segmentation.checkpoint",
    "save_onnx": "onnx.save",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


keep_former_paths()
register()
