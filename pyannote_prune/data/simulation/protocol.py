"""Simulate conversations, as a pyannote.database protocol"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pyannote.core import Annotation, Segment, Timeline
from scipy.io import wavfile

from ...files.atomic import remove_drafts, writing
from ...files.audio import SAMPLE_RATE
from ...files.folders import Difference, claim, write_yaml
from ...files.locks import in_use
from ...files.moved_folders import is_moved
from ..subsets import SUBSETS
from ..write import Reference, describe_protocol, text_paths, write_references
from .acoustics import noise, reverberate
from .conversation import SpeakerTracks, draw_turns
from .digests import digest, former_digest
from .speakers import CHOICES, TABLE, Assignment, assign
from .stretches import SHORTEST, Supply
from .turn_statistics import MAX_PAUSE, TurnStatistics
from .voices import LEVEL, Excerpt, find_voices, read

# file of the folder with the request that it comes from
REQUEST = "simulation.yml"

# options that folders of release 0.1.0 do not have
NEW_OPTIONS = ("speakers", "test_speakers", "repeat")


@dataclass(frozen=True)
class Simulation:
    """Options of a simulation

    Parameters
    ----------
    name : str, optional
        Name of the database: the protocol is "<name>.SpeakerDiarization.Conversations".
    duration : float, optional
        Duration of each conversation, in seconds. Defaults to 30.
    num_train, num_development, num_test : int, optional
        Numbers of conversations. Subsets share no recordings, and no speakers if there are enough.
    min_speakers, max_speakers : int, optional
        Bounds of the number of speakers of a conversation.
    speeds : tuple of float, optional
        Each speaker has a voice at each of these speeds, higher-pitched above 1. A conversation
        never has two voices of one speaker.
    overlap : float, optional
        Factor of the probability of overlapping turns: 0 for none, 1 (the default) as measured.
    snr : (float, float), optional
        Range of signal-to-noise ratios, in dB. None adds no noise.
    t60 : (float, float), optional
        Range of reverberation times, in seconds. Defaults to no reverberation.
    level : float, optional
        Largest gain or attenuation of a speaker, in dB. Defaults to 3.
    seed : int, optional
    speakers : {"apart", "shared"}, optional
        Whether subsets have different speakers, or different recordings of the same ones. Defaults
        to "apart" if each subset that has conversations can have `max_speakers` of its own.
    test_speakers : tuple of str, optional
        Speakers for tests alone, which have no others. Defaults to none in particular.
    repeat : bool, optional
        Whether turns are made of whole recordings, drawn again and again, as in release 0.1.0.
        Otherwise (the default), recordings are cut at pauses, and a conversation uses no stretch of
        speech twice. Speakers who have nothing left are silent from then on, so the end of a
        conversation may be.

    Raises
    ------
    ValueError
        If an option is impossible.
    """

    name: str = "Simulated"
    duration: float = 30.0
    num_train: int = 200
    num_development: int = 20
    num_test: int = 20
    min_speakers: int = 1
    max_speakers: int = 3
    speeds: tuple[float, ...] = (0.9, 1.0, 1.1)
    overlap: float = 1.0
    snr: tuple[float, float] | None = (10.0, 30.0)
    t60: tuple[float, float] | None = None
    level: float = 3.0
    seed: int = 0
    speakers: str | None = None
    test_speakers: tuple[str, ...] = ()
    repeat: bool = False

    def __post_init__(self) -> None:
        counts = [getattr(self, f"num_{subset}") for subset in SUBSETS]
        rules = {
            "name": (self.name.isidentifier(), "letters, digits and underscores"),
            "duration": (1 <= self.duration < math.inf, "at least 1 s"),
            "num_train": (min(counts) >= 0 < sum(counts), "numbers of conversations, not all 0"),
            "min_speakers": (
                1 <= self.min_speakers <= self.max_speakers,
                f"at least 1, and at most `max_speakers` ({self.max_speakers})",
            ),
            "speeds": (
                self.speeds
                and len({round(100 * s) for s in self.speeds}) == len(self.speeds)
                and all(0.5 <= s <= 2 for s in self.speeds),
                "different factors between 0.5 and 2, to two decimals",
            ),
            "overlap": (0 <= self.overlap < math.inf, "a positive factor, or 0"),
            "snr": (_is_range(self.snr, -20, 100), "two increasing values in dB, or nothing"),
            "t60": (_is_range(self.t60, 0.01, 5), "two increasing durations up to 5 s, or nothing"),
            "level": (0 <= self.level <= 40, "between 0 and 40 dB"),
            "seed": (self.seed >= 0, "0 or more"),
            "speakers": (
                self.speakers in (None, *CHOICES),
                f"one of {', '.join(CHOICES)}, or none",
            ),
            "test_speakers": (
                len(set(self.test_speakers)) == len(self.test_speakers),
                "different names",
            ),
        }
        for key, (is_right, rule) in rules.items():
            if not is_right:
                raise ValueError(f"`{key}` must be {rule}, found {getattr(self, key)!r}.")

    @property
    def counts(self) -> dict[str, int]:
        """Number of conversations of each subset that has some"""
        counts = {subset: getattr(self, f"num_{subset}") for subset in SUBSETS}
        return {subset: count for subset, count in counts.items() if count}


def _is_range(values: tuple[float, float] | None, low: float, high: float) -> bool:
    return values is None or (len(values) == 2 and low <= values[0] <= values[1] <= high)


def simulate(
    voices: Path,
    output: Path,
    simulation: Simulation | None = None,
    statistics: TurnStatistics | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Write simulated conversations: audio, references, `speakers.csv` and `database.yml`

    A conversation depends on the seed, its subset, the speakers of the subset and its number alone:
    with larger numbers, the first ones stay the same. Repeat an interrupted call to complete it.

    Parameters
    ----------
    voices : Path
        Recordings of single speakers: one folder of audio files per speaker, or one audio file
        per speaker and `index.csv` (speaker, start_sample, end_sample).
    output : Path
        Folder to write. Must not exist, be empty, or come from the same simulation of the same
        recordings. A folder of an earlier release is completed as it was begun: its subsets share
        speakers, and its recordings are repeated.
    simulation : Simulation, optional
    statistics : TurnStatistics, optional
        Defaults to statistics of real meetings.
    progress : callable, optional
        Called with the number of simulated conversations, and their total.
    say : callable, optional
        Called with sentences for users: which subsets share speakers, and whether conversations end
        in silence.

    Returns
    -------
    database : Path
        `database.yml`.

    Raises
    ------
    ValueError
        If there are too few speakers or recordings, or if `output` belongs to something else.
    OSError
        If `voices` does not exist.
    """
    simulation = simulation or Simulation()
    statistics = statistics or TurnStatistics.default()
    voices, output = Path(voices), Path(output)
    is_former = of_former_release(output, simulation)
    if is_former:
        simulation = replace(simulation, speakers="shared", repeat=True)
    found = find_voices(voices)
    assigned = assign_speakers(found, simulation)
    simulation = replace(simulation, speakers=assigned.speakers)
    request = {**to_plain(voices, simulation, statistics), "recordings": digest(found)}
    if is_former:
        request = {key: value for key, value in request.items() if key not in NEW_OPTIONS}
        assigned = replace(assigned, reason="as in the earlier release that began this folder")
    say(assigned.description)
    is_same = partial(_is_same, output=output, found=found)
    database = output / "database.yml"
    if database.is_file():
        claim(output, REQUEST, request, is_same=is_same)
        return database
    with in_use(output), writing(output):
        claim(output, REQUEST, request, is_same=is_same)
        remove_drafts(output)
        _write(assigned, output, simulation, statistics, progress, say)
        assigned.write(output)
        # last: a folder that has it is complete
        name = f"{simulation.name}.SpeakerDiarization.Conversations"
        # a voice has the same name in all conversations
        content = describe_protocol(name, simulation.counts, scope="global")
        write_yaml(content, database, comment=f"{assigned.description} (see {TABLE})")
    return database


def of_former_release(output: Path, simulation: Simulation) -> bool:
    """Whether a folder is that of a release whose subsets always shared speakers

    Raises
    ------
    ValueError
        If it is, and speakers were to be apart.
    """
    path = output / REQUEST
    if not path.is_file():
        return False
    former = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(former, dict) or "speakers" in former:
        return False
    if simulation.speakers == "apart" or simulation.test_speakers:
        raise ValueError(
            f"`output` must be a new folder to keep speakers apart, found {str(output)!r}, whose "
            "subsets share speakers, as always in the release that made it: choose another folder."
        )
    return True


def assign_speakers(found: dict[str, list[Excerpt]], simulation: Simulation) -> Assignment:
    """Choose the speakers of each subset of a simulation: see `assign`"""
    return assign(
        found,
        simulation.max_speakers,
        simulation.counts,
        simulation.speakers,
        simulation.test_speakers,
    )


def check_voices(voices: Path, simulation: Simulation) -> dict[str, list[Excerpt]]:
    """Find recordings of single speakers, and check that there are enough of them

    Returns
    -------
    found : dict of list of Excerpt
        Recordings of each speaker.

    Raises
    ------
    ValueError, OSError
        See `simulate`.
    """
    found = find_voices(voices)
    assign_speakers(found, simulation)
    return found


def _write(
    assigned: Assignment,
    output: Path,
    simulation: Simulation,
    statistics: TurnStatistics,
    progress: Callable[[int, int], None],
    say: Callable[[str], None],
) -> None:
    """Write audio and references of all subsets"""
    done, total = 0, sum(simulation.counts.values())
    pauses = [MAX_PAUSE, *statistics.same_speaker_pauses, *statistics.change_pauses]
    for subset, count in simulation.counts.items():
        parts, references, num_silent = assigned.subsets[subset], {}, 0
        for number in range(count):
            uri = f"{subset}{number:04d}"
            waveform, annotation = conversation(parts, simulation, statistics, subset, number)
            wavfile.write(output / f"{uri}.wav", SAMPLE_RATE, to_int16(waveform))
            region = Timeline([Segment(0.0, simulation.duration)])
            references[uri] = Reference.of(annotation, region)
            silence = simulation.duration - annotation.get_timeline().extent().end
            num_silent += silence > max(pauses) + SHORTEST
            done += 1
            progress(done, total)
        write_references(references, text_paths(output, subset))
        if num_silent:
            say(
                f"{num_silent} of {count} {subset} conversations end in silence, since their "
                "speakers have no more speech: make them shorter, or repeat recordings"
            )


def conversation(
    voices: Mapping[str, Sequence[Excerpt]],
    simulation: Simulation,
    statistics: TurnStatistics,
    subset: str,
    number: int,
) -> tuple[np.ndarray, Annotation]:
    """Simulate one conversation

    Parameters
    ----------
    voices : dict of list of Excerpt
        Recordings of each speaker for this subset.
    simulation : Simulation
    statistics : TurnStatistics
    subset : str
    number : int

    Returns
    -------
    waveform : (num_samples,) np.ndarray
        At 16 kHz, in [-1, 1].
    annotation : Annotation
    """
    rng = np.random.default_rng([simulation.seed, SUBSETS.index(subset), number])
    num_speakers = int(rng.integers(simulation.min_speakers, simulation.max_speakers + 1))
    speakers = rng.choice(sorted(voices), num_speakers, replace=False)
    speeds = rng.choice(simulation.speeds, num_speakers)
    cast = [(str(speaker), float(speed)) for speaker, speed in zip(speakers, speeds, strict=True)]
    names = [speaker if speed == 1 else f"{speaker}@{speed:g}" for speaker, speed in cast]
    draw: list[Callable[[], np.ndarray] | Supply] = [
        partial(_draw, voices[speaker], speed, rng)
        if simulation.repeat
        else Supply(voices[speaker], speed, rng)
        for speaker, speed in cast
    ]
    tracks = SpeakerTracks(names, draw, simulation.duration, rng)
    draw_turns(
        statistics,
        num_speakers,
        simulation.duration,
        simulation.overlap,
        rng,
        tracks.speak,
        tracks.can_speak,
    )
    t60 = None if simulation.t60 is None else rng.uniform(*simulation.t60)
    waveform = np.zeros_like(tracks.tracks[0])
    for track in tracks.tracks:
        gain = 10 ** (rng.uniform(-simulation.level, simulation.level) / 20)
        waveform += gain * (track if t60 is None else reverberate(track, t60, rng))
    if simulation.snr is not None:
        level = LEVEL / 10 ** (rng.uniform(*simulation.snr) / 20)
        waveform += noise(len(waveform), level, rng).astype(np.float32)
    return waveform / max(1.0, np.abs(waveform).max() / 0.99), tracks.annotation


def _draw(recordings: Sequence[Excerpt], speed: float, rng: np.random.Generator) -> np.ndarray:
    return read(recordings[int(rng.integers(len(recordings)))], speed)


def to_int16(waveform: np.ndarray) -> np.ndarray:
    return np.round(waveform * 32767).astype(np.int16)


def to_plain(voices: Path, simulation: Simulation, statistics: TurnStatistics) -> dict[str, Any]:
    """Request of a simulation: everything that conversations depend on"""
    simulation = replace(simulation, test_speakers=tuple(sorted(simulation.test_speakers)))
    options = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(simulation).items()}
    return {"voices": str(voices.resolve()), **options, "statistics": statistics.to_dict()}


def _is_same(difference: Difference, output: Path, found: Mapping[str, Sequence[Excerpt]]) -> bool:
    """Whether a value differs only since the project has moved, or as a former version wrote it"""
    key, here, there = difference.key, difference.here, difference.there
    if key == "voices":
        return is_moved(here, there, output, REQUEST)
    # 0.1.0 wrote no digest
    return key == "recordings" and there in (None, former_digest(found))
