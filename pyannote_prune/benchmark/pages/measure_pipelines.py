"""Measurements of whole pipelines, and of training"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ...pipeline.recordings import recordings_of_protocol
from ..accuracy.diarization import WholeDiarization
from ..accuracy.experiment import Experiment
from ..accuracy.figure import plot
from ..accuracy.report import TESTS
from ..diarization.parts import Parts
from ..diarization.scores import score_diarization
from ..diarization.speed import measure_diarization
from ..diarization.speeds import measure_speeds
from ..diarization.variants import choose_variants
from .inputs import Inputs

Report = Callable[[str], None]


def measure_conversation(
    inputs: Inputs, folder: Path, report: Report, **options: Any
) -> dict[str, Any]:
    """Time each speed on one conversation, with random weights: see `measure_speeds`"""
    return measure_speeds(report=report, **options)


def measure_both_classes(
    inputs: Inputs, folder: Path, report: Report, **options: Any
) -> dict[str, Any]:
    """Time pyannote.audio's pipeline class and ours: see `measure_diarization`"""
    return measure_diarization(report=report, **options)


def score_speeds(
    inputs: Inputs, folder: Path, report: Report, *, variants: Sequence[str], num_rounds: int
) -> dict[str, Any]:
    """Score and time each speed on recordings with references: see `score_diarization`"""
    assert inputs.database is not None
    assert inputs.protocol is not None
    assert inputs.segmentation is not None
    parts = Parts(
        inputs.segmentation,
        inputs.embedding,
        inputs.plda,
        inputs.threshold,
        inputs.min_cluster_size,
    )
    recordings = recordings_of_protocol(inputs.database, inputs.protocol, inputs.subset)
    results = score_diarization(
        recordings,
        parts,
        choose_variants(variants),
        num_rounds=num_rounds,
        report=lambda name, found: report(f"{name}, {found.recording['uri']}"),
    )
    # files of this machine
    names = {key: results["parts"][key] for key in ("segmentation", "embedding")}
    results["parts"] |= {key: Path(value).name for key, value in names.items() if value}
    return {"data": f"{inputs.protocol}, {inputs.subset}", **results}


def measure_accuracy(
    inputs: Inputs, folder: Path, report: Report, *, arms: Sequence[str], diarized: Sequence[str]
) -> dict[str, Any]:
    """Compare pruned models with others: see `Experiment`. The folder also has the figure"""
    assert inputs.voices is not None
    other = None
    if inputs.other_database is not None and inputs.other_protocol is not None:
        other = (inputs.other_database, inputs.other_protocol)
    experiment = Experiment(
        inputs.voices,
        folder,
        out_of_domain=other,
        test_speakers=inputs.test_speakers,
        diarization=_whole_diarization(inputs, diarized),
    )
    results = experiment(
        torch.cuda.device_count() or os.cpu_count() or 1,
        lambda arm, result: report(f"{arm.name} is finished"),
        arms,
    )
    plot(results, folder / "der-against-sparsity.png")
    return {**results, "arms": [_without_details(arm) for arm in results["arms"]]}


def _whole_diarization(inputs: Inputs, groups: Sequence[str]) -> WholeDiarization | None:
    if inputs.embedding is None:
        return None
    given = {"threshold": inputs.threshold, "min_cluster_size": inputs.min_cluster_size}
    options: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    return WholeDiarization(inputs.embedding, groups=tuple(groups), **options)


def _without_details(arm: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what tables and their intervals are made from: of recordings, errors and speech in ms"""
    found = {key: value for key, value in arm.items() if key not in (*TESTS, "model")}
    for test in TESTS:
        if test in arm:
            recordings = {
                uri: {
                    "speech": round(one["speech"], 3),
                    "errors": {name: round(value, 3) for name, value in one["errors"].items()},
                }
                for uri, one in arm[test]["recordings"].items()
            }
            found[test] = {**arm[test], "recordings": recordings}
    return found
