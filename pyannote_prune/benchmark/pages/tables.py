"""The tables of the pages"""

from __future__ import annotations

from typing import Any

from ...onnx.engines import ENGINES, TORCH
from ..accuracy.report import markdown as accuracy_markdown
from ..diarization.report import diarization_markdown, scores_markdown, speeds_markdown
from ..diarization.variants import VARIANTS
from ..speed.report import engines_markdown, speed_markdown, training_markdown
from .measure_pipelines import (
    measure_accuracy,
    measure_both_classes,
    measure_conversation,
    score_speeds,
)
from .measure_speed import (
    measure_encoders,
    measure_engines,
    measure_precisions,
    measure_step,
)
from .precisions import precisions_markdown
from .table import Table

# batch size, and length of windows in seconds
ON_CPU, ON_GPU = [(1, 8.0), (4, 16.0)], [(32, 16.0)]

BASE = ["transformers-base", "base", "base-s80-md"]
LARGE = ["transformers-large", "large", "large-s80-md"]
ENGINES_TIMED: dict[str, Any] = {"cases": ON_CPU, "engines": [TORCH, *ENGINES]}
EXTRAS = ("onnx", "openvino")

ARMS = [
    "dense",
    "longer",
    "gates-80",
    "gates-90",
    "gates-95",
    "hidden-90",
    "paper-90",
    "whole-80",
    "scratch-90",
    "magnitude-layer-90",
]
# by whole diarizations as well: those that the page has goals for
DIARIZED = [name for name in ARMS if name not in ("gates-95", "hidden-90")]

TABLES = (
    Table(
        "speed-engines",
        "encoders and whole models, Base, with each engine",
        "speed.md",
        15,
        measure_engines,
        engines_markdown,
        {"models": BASE, "num_rounds": 5, **ENGINES_TIMED},
        extras=EXTRAS,
    ),
    Table(
        "speed-engines-large",
        "encoders and whole models, Large, with each engine",
        "speed.md",
        8,
        measure_engines,
        engines_markdown,
        {"models": LARGE, "num_rounds": 5, **ENGINES_TIMED, "cases": ON_CPU[:1]},
        extras=EXTRAS,
    ),
    Table(
        "training",
        "a step of distillation-pruning",
        "speed.md",
        2,
        measure_step,
        training_markdown,
        {"batch_size": 2, "duration": 8.0, "device": "cpu", "num_rounds": 5},
    ),
    Table(
        "diarization",
        "two minutes of conversation at each speed, random weights",
        "speed.md",
        15,
        measure_conversation,
        speeds_markdown,
        {"name": "base-s80-md", "duration": 120.0, "num_rounds": 3},
        extras=EXTRAS,
    ),
    Table(
        "speeds",
        "error rates and time of each speed, on recordings with references",
        "speed.md",
        60,
        score_speeds,
        scores_markdown,
        {"variants": [*VARIANTS], "num_rounds": 1},
        needs=("database", "protocol", "segmentation", "embedding"),
        uses=("subset", "plda", "threshold", "min_cluster_size"),
    ),
    Table(
        "precisions",
        "size and deviation of ONNX files of a trained model",
        "onnx.md",
        3,
        measure_precisions,
        precisions_markdown,
        {"dtypes": ["float32", "float16", "int8"]},
        needs=("checkpoint",),
        extras=("onnx",),
    ),
    Table(
        "accuracy",
        "pruned models, on simulated conversations",
        "evidence.md",
        180,
        measure_accuracy,
        accuracy_markdown,
        {"arms": ARMS, "diarized": DIARIZED},
        needs=("voices",),
        uses=(
            "test_speakers",
            "other_database",
            "other_protocol",
            "embedding",
            "threshold",
            "min_cluster_size",
        ),
    ),
    Table(
        "speed-gpu",
        "encoders on a GPU",
        "speed.md",
        3,
        measure_encoders,
        speed_markdown,
        {"models": [*BASE, *LARGE], "cases": ON_GPU, "device": "cuda", "num_rounds": 5},
        gpu=True,
    ),
    Table(
        "training-gpu",
        "a step of distillation-pruning on a GPU",
        "speed.md",
        1,
        measure_step,
        training_markdown,
        {"batch_size": 16, "duration": 8.0, "device": "cuda", "num_rounds": 5},
        gpu=True,
    ),
    Table(
        "diarization-gpu",
        "two minutes of conversation on a GPU, with pyannote.audio's pipeline class and ours",
        "speed.md",
        1,
        measure_both_classes,
        diarization_markdown,
        {"name": "base-s80-md", "duration": 120.0, "device": "cuda", "num_rounds": 2},
        gpu=True,
    ),
)
