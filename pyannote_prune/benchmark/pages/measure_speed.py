"""Measurements of networks, without data"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...onnx.deviation import measure_deviation
from ...onnx.save import save_onnx
from ...segmentation.checkpoint import load_checkpoint
from ..speed.experiment import measure_speed, measure_training
from ..speed.subjects import YARDSTICKS, supported_dtypes
from .inputs import Inputs

Report = Callable[[str], None]


def measure_engines(
    inputs: Inputs,
    folder: Path,
    report: Report,
    *,
    models: Sequence[str],
    cases: Sequence[tuple[int, float]],
    engines: Sequence[str],
    num_rounds: int,
) -> dict[str, Any]:
    """Time encoders, then whole models, with each engine: see `measure_speed`

    One after the other, so that networks of one part alone are in memory.
    """
    whole = [name for name in models if name not in YARDSTICKS]
    found = []
    dtypes = supported_dtypes("cpu")
    for part, names in (("encoder", models), ("model", whole)):
        report(part)
        found.append(
            measure_speed(names, cases, [part], dtypes, "cpu", num_rounds, report, engines)
        )
        gc.collect()
    first, second = found
    return {**first, "rows": [*first["rows"], *second["rows"]]}


def measure_encoders(
    inputs: Inputs,
    folder: Path,
    report: Report,
    *,
    models: Sequence[str],
    cases: Sequence[tuple[int, float]],
    device: str,
    num_rounds: int,
) -> dict[str, Any]:
    """Time encoders on a device: see `measure_speed`"""
    dtypes = supported_dtypes(device)
    return measure_speed(models, cases, ["encoder"], dtypes, device, num_rounds, report)


def measure_step(inputs: Inputs, folder: Path, report: Report, **options: Any) -> dict[str, Any]:
    """Time a step of distillation-pruning: see `measure_training`"""
    return measure_training(**options)


def measure_precisions(
    inputs: Inputs, folder: Path, report: Report, *, dtypes: Sequence[str]
) -> dict[str, Any]:
    """Measure size and deviation of ONNX files of a model in several precisions

    Returns
    -------
    results : dict
        Name of the model ("model"), and one row per precision: "bytes", and what
        `measure_deviation` finds.
    """
    assert inputs.checkpoint is not None
    model = load_checkpoint(inputs.checkpoint).eval()
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for dtype in dtypes:
            report(dtype)
            path = Path(temporary) / f"{dtype}.onnx"
            save_onnx(model, path, dtype)
            deviation = asdict(measure_deviation(model, path))
            rows.append({"dtype": dtype, "bytes": path.stat().st_size, **deviation})
    return {"model": inputs.checkpoint.name, "rows": rows}
