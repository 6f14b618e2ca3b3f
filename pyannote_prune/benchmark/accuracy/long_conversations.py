"""Longer conversations of the test speakers, for whole diarizations"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyannote.database import ProtocolFile

from ...data.simulation import Simulation, TurnStatistics, simulate
from ...data.simulation.protocol import assign_speakers
from ...data.simulation.voices import Excerpt
from ...pipeline.recordings import recordings_of_protocol
from .arms import Scale

# as many speakers at most, and as long for each of them at least, in seconds
MAX_SPEAKERS, SHARE = 6, 60.0


def long_simulations(
    scale: Scale, short: Simulation, voices: Mapping[str, list[Excerpt]]
) -> dict[str, Simulation]:
    """Make options of longer conversations, which have the test speakers of shorter ones

    A conversation has a speaker for each minute at least, who would run out of recordings
    otherwise.

    Parameters
    ----------
    scale : Scale
    short : Simulation
        Options of the shorter ones.
    voices : dict of list of Excerpt
        Recordings of each speaker.

    Returns
    -------
    simulations : dict of Simulation
        By name: one for each duration, since all conversations of a simulation are as long.
    """
    subsets = assign_speakers(dict(voices), short).subsets
    names = sorted(subsets["test"])
    # where tests share speakers, but not their recordings
    is_shared = bool(subsets["train"].keys() & subsets["test"].keys())
    most = min(MAX_SPEAKERS, len(names))
    found, durations = {}, scale.long_durations
    for index, duration in enumerate(durations):
        number = len(range(index, scale.num_long, len(durations)))
        if number:
            found[f"{duration:g}s"] = replace(
                short,
                name=f"EvidenceLong{index + 1}",
                duration=duration,
                num_train=0,
                num_development=0,
                num_test=number,
                min_speakers=min(max(2, math.ceil(duration / SHARE)), most),
                max_speakers=most,
                speakers="shared" if is_shared else None,
                test_speakers=() if is_shared else tuple(names),
            )
    return found


def write_long_conversations(
    voices: Path,
    folder: Path,
    simulations: Mapping[str, Simulation],
    statistics: TurnStatistics,
) -> list[dict[str, Any]]:
    """Simulate longer conversations, unless they are there

    Parameters
    ----------
    voices : Path
        Recordings of single speakers.
    folder : Path
        Parent of one folder for each simulation.
    simulations : dict of Simulation
        See `long_simulations`.
    statistics : TurnStatistics

    Returns
    -------
    recordings : list of dict
        With references, and names that differ.
    """
    recordings = []
    for name, simulation in simulations.items():
        database = simulate(voices, folder / name, simulation, statistics)
        protocol = f"{simulation.name}.SpeakerDiarization.Conversations"
        for file in recordings_of_protocol(database, protocol, "test"):
            recordings.append({**_values(file), "uri": f"{file['uri']}-{name}"})
    return recordings


def _values(file: Mapping[str, Any] | ProtocolFile) -> dict[str, Any]:
    return {key: file[key] for key in ("audio", "annotation", "annotated")}
