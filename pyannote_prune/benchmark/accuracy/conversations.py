"""Options of the conversations that arms are trained and scored with"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...data.simulation import Simulation, TurnStatistics
from ...data.simulation.protocol import assign_speakers
from ...data.simulation.voices import find_voices
from .arms import Scale
from .recipes import PROTOCOL


def turn_statistics(scale: Scale) -> TurnStatistics:
    """Limit turns, so that windows of a few seconds have several of them"""
    return TurnStatistics.default().limited(scale.duration)


def simulation_options(
    scale: Scale, voices: Path, speakers: str | None, test_speakers: Sequence[str]
) -> Simulation:
    """Make options of conversations

    Parameters
    ----------
    scale : Scale
    voices : Path
        Recordings of single speakers.
    speakers, test_speakers
        See `Simulation`. Where all speakers are shared, recordings are repeated, as when the
        published numbers were measured.
    """
    options = Simulation(
        name=PROTOCOL.split(".")[0],
        num_train=scale.num_train,
        num_development=scale.num_development,
        num_test=scale.num_test,
        min_speakers=2,
        speeds=scale.speeds,
        snr=scale.snr,
        speakers=speakers,
        test_speakers=tuple(test_speakers),
    )
    shared = assign_speakers(find_voices(voices), options).speakers == "shared"
    return replace(options, repeat=shared and not test_speakers)
