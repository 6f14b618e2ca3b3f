"""Load and run a pipeline in a process of its own, offline, as its users do"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pyannote.audio import Pipeline
from pyannote.audio.sample import SAMPLE_FILE

from ..files.schema import section
from .apply import one_line
from .facts import Facts, facts_of

SAMPLE = cast(Mapping[str, Any], SAMPLE_FILE)

# of the process: no network, no telemetry
OFFLINE = {"HF_HUB_OFFLINE": "1", "PYANNOTE_METRICS_ENABLED": "0"}


@dataclass(frozen=True)
class Trial:
    """What a pipeline is, and what it found in the conversation of pyannote.audio

    Parameters
    ----------
    segmentation : Facts, optional
        Facts about its segmentation model. Missing if it could not be loaded.
    speakers : int, optional
        Number of speakers that it found.
    speech : float, optional
        Duration of what it took for speech, in seconds.
    error : str, optional
        Why it could not be loaded, or run.
    """

    segmentation: Facts | None = None
    speakers: int | None = None
    speech: float | None = None
    error: str | None = None


def try_pipeline(folder: Path) -> Trial:
    """Load and run a pipeline in a process of its own, offline"""
    with tempfile.TemporaryDirectory() as temporary:
        output = Path(temporary) / "trial.json"
        arguments = [sys.executable, "-m", __name__, str(folder.resolve()), str(output)]
        done = subprocess.run(
            arguments,
            env={**os.environ, **OFFLINE},
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        if not output.is_file():
            last = done.stderr.strip().rpartition("\n")[2]
            return Trial(error=f"its process ended with status {done.returncode} ({last})")
        return section(Trial, json.loads(output.read_text(encoding="utf-8")))


def run_here(folder: Path) -> dict[str, Any]:
    """Load and run a pipeline: plain values of `Trial`"""
    trial: dict[str, Any] = {}
    try:
        pipeline: Any = Pipeline.from_pretrained(folder)
        if pipeline is None:
            return {"error": "one of its parts could not be downloaded"}
        trial["segmentation"] = facts_of(pipeline._segmentation.model).to_dict()
        found = pipeline(dict(SAMPLE)).speaker_diarization
        trial["speakers"] = len(found.labels())
        trial["speech"] = found.get_timeline().support().duration()
    # loading and running a pipeline raises errors of any kind
    except Exception as error:
        trial["error"] = one_line(error)
    return trial


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(run_here(Path(sys.argv[1]))), encoding="utf-8")
