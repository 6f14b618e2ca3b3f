"""Load a protocol, and check it before training"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from pyannote.audio.core.task import Scopes
from pyannote.core import Annotation, Segment, Timeline
from pyannote.database import FileFinder, Preprocessors, Protocol, ProtocolFile

from ..files.messages import did_you_mean, printable, shorten
from ..files.schema import read_yaml, refuse
from .databases import load_database
from .decoding import extent, get_duration
from .protocol_files import text_files
from .subsets import SUBSETS, TRAINING_SUBSETS

# end of the message about a missing subset
WHY = {
    "development": " Checkpoints are chosen by their scores on it.",
    "test": " Or choose another one (`--subset development`).",
}

# a region may end that much after the audio, in seconds: durations are rounded, and estimates for
# compressed files
TOLERANCE = 0.1


def load_protocol(
    database: Path, name: str, preprocessors: Preprocessors | None = None
) -> Protocol:
    """Load a protocol of a `database.yml`, apart from other databases of the process

    Parameters
    ----------
    database : Path
        `database.yml`. The files in its `Requirements` count too.
    name : str
    preprocessors : dict, optional
        See `pyannote.database.Protocol`. By default, audio is found through `database.yml`, and
        annotated regions end with the audio.

    Raises
    ------
    OSError
        If a file cannot be read.
    ValueError
        If `database.yml` is malformed, or has no such protocol.
    """
    if not Path(database).is_file():
        raise FileNotFoundError(
            f"`database` must be an existing file, found {str(database)!r}: give the "
            f"`database.yml` that defines {name}."
        )
    names = _names(read_yaml(database, "a `database.yml`"), database)
    try:
        registry = load_database(database)
    except OSError:
        raise
    # pyannote.database does not check its input, and raises errors of any kind
    except Exception as error:
        raise ValueError(
            f"{database}: pyannote.database cannot read it ({type(error).__name__}: {error}). See "
            "its documentation for the format."
        ) from error
    if preprocessors is None:
        preprocessors = {"audio": FileFinder(registry), "annotated": annotated_audio}
    try:
        return registry.get_protocol(name, preprocessors=preprocessors)
    except (AttributeError, KeyError, ValueError) as error:
        raise ValueError(
            f"`protocol` must be one of {shorten(names)} ({database}), found {name!r}"
            f"{did_you_mean(name, names)}."
        ) from error


def check_protocol(protocol: Protocol, duration: float, in_memory: bool = False) -> None:
    """Read training and development sets of a protocol, and raise readable errors

    Recordings without speech, recordings that are listed twice and recordings of both sets only
    give a warning. Speaker turns outside of annotated regions do not: pyannote.database removes
    them.

    Parameters
    ----------
    protocol : Protocol
    duration : float
        Length of windows, in seconds.
    in_memory : bool, optional
        Whether files are decoded as a whole. Otherwise, files whose windows cannot be read from
        their container are refused.

    Raises
    ------
    OSError
        If a file cannot be found.
    ValueError
        If a file is malformed, or if nothing can be trained on: the message names the file, or the
        recording.
    """
    seen: dict[str, str] = {}
    for subset in TRAINING_SUBSETS:
        check_references(protocol, subset)
        with naming_subset(subset, protocol_name(protocol)):
            files = getattr(protocol, subset)()
            doubts = _check_recordings(files, duration, seen, in_memory)
        if doubts:
            more = f", and {len(doubts) - 5} more doubts" if len(doubts) > 5 else ""
            place = f"In the {subset} set of {protocol_name(protocol)}"
            warnings.warn(f"{place}, {', '.join(doubts[:5])}{more}.", stacklevel=2)


def check_references(protocol: Protocol, subset: str) -> None:
    """Check the text files of a subset, line by line

    Raises
    ------
    OSError, ValueError
        If pyannote.database cannot read one of them, or would misread it: the message names file
        and line.
    """
    with naming_subset(subset, protocol_name(protocol)):
        for text in text_files(protocol, subset):
            text.check()


def protocol_name(protocol: Any) -> str:
    """Name of a protocol, which registries set: its class does not declare it"""
    return protocol.name


@contextmanager
def naming_subset(subset: str, name: str) -> Iterator[None]:
    """Name the subset and the protocol in the errors of reading it"""
    try:
        yield
    except NotImplementedError as error:
        raise ValueError(
            f"`protocol` must have a {subset} set, found none in {name}: add it to `database.yml`."
            + WHY.get(subset, "")
        ) from error
    except OSError as error:
        raise OSError(f"In the {subset} set of {name}: {error}") from error
    # pyannote.database and its loaders raise errors of any kind
    except Exception as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise ValueError(f"In the {subset} set of {name}: {kind}{error}") from error


def _check_recordings(
    files: Iterable[ProtocolFile], duration: float, seen: dict[str, str], in_memory: bool
) -> list[str]:
    """Check the recordings of a subset for training

    Parameters
    ----------
    files : iterable of ProtocolFile
    duration : float
    seen : dict of str
        Names of the recordings of other subsets, by the keys of `_same_recording`. The recordings
        of this subset are added.
    in_memory : bool

    Returns
    -------
    doubts : list of str
        Suspicions, for a warning.
    """
    longest, doubts, uris, silent = (0.0, "nothing"), [], set(), set()
    here: dict[str, str] = {}
    for file in files:
        _check_keys(file)
        uri, regions, annotation = file["uri"], annotated_audio(file), file["annotation"]
        if not in_memory:
            _check_windows(file)
        longest = max([longest, *((region.duration, uri) for region in regions)])
        if not annotation.crop(regions):
            silent.add(uri)
            doubts.append(f"{uri!r} has no speaker turn in its annotated regions")
        if uri in uris:
            doubts.append(f"{uri!r} is listed twice")
        uris.add(uri)
        here |= dict.fromkeys(_same_recording(file), uri)
    shared = [*dict.fromkeys(uri for key, uri in here.items() if key in seen)]
    if shared:
        doubts.insert(0, f"{shorten(shared)} are recordings of another set too")
    seen |= here
    if silent == uris:
        found = f"none, for instance of {min(uris)!r}" if uris else "no recording"
        raise ValueError(
            "some recordings must have speaker turns in their annotated regions, found "
            f"{found}: compare names in the list, in RTTM and in UEM."
        )
    if longest[0] < duration:
        # rounded down: 2.00 s would not be shorter than 2 s
        rounded = math.floor(100 * longest[0]) / 100
        raise ValueError(
            f"`duration` must be at most the length of annotated regions, found {duration:g} s: "
            f"the longest one has {rounded:.2f} s (in {longest[1]!r}). Use shorter windows."
        )
    return doubts


def _same_recording(file: ProtocolFile) -> list[str]:
    """Keys that two entries of one recording share: name in its database, or audio file"""
    name = f"{file.get('database')}/{file['uri']}"
    audio = "" if "waveform" in file else os.path.realpath(file["audio"])
    return [name, *filter(None, [audio])]


def _check_keys(file: ProtocolFile) -> None:
    for key in ("audio", "annotation", "scope"):
        if key not in file:
            raise ValueError(
                f"`{key}` of {file['uri']!r} must be found through `database.yml`, found nothing."
            )
    if file["scope"] not in Scopes:
        refuse("scope", f"one of {', '.join(map(repr, Scopes))}", file["scope"])
    if not isinstance(file["annotation"], Annotation):
        refuse("annotation", "a file with speaker turns, such as RTTM", file["annotation"])


def annotated_audio(file: ProtocolFile) -> Timeline:
    """Annotated regions, cropped to the audio. Defaults to all of the audio

    pyannote.audio (4.0.7) fails in the middle of a training when it draws a window that ends after
    the audio.

    Raises
    ------
    ValueError
        If there is no region, or if one ends long after the audio.
    """
    end, uri = _audio_duration(file), file["uri"]
    audio = Timeline([Segment(0, end)], uri=uri)
    if "annotated" not in file:
        return audio
    regions = file["annotated"]
    if not regions:
        raise ValueError(
            f"`annotated` must have regions of {uri!r}, found none: check the name in the UEM, or "
            "leave that recording out of the list."
        )
    last = regions.extent().end
    if last > end + TOLERANCE:
        raise ValueError(
            f"`annotated` must be within the audio, found a region of {uri!r} that ends at "
            f"{last:.2f} s in {end:.2f} s of audio: correct the UEM, or check {file['audio']}."
        )
    return regions.crop(audio)


def _check_windows(file: ProtocolFile) -> None:
    """Check that windows of a recording can be read from its container"""
    if "waveform" in file or _extent(str(file["audio"])).seekable:
        return
    path = Path(file["audio"])
    raise ValueError(
        "`audio` must be readable window by window, which takes a file that starts at 0 and gives "
        f"its exact duration, found {str(path)!r}: convert it to WAV (`ffmpeg -i {path.name} "
        f"{path.stem}.wav`), or set `in_memory: true` in the recipe."
    )


def _audio_duration(file: ProtocolFile) -> float:
    if "waveform" in file:
        return get_duration(file)
    path = str(file["audio"])
    duration = _extent(path).duration
    if not duration:
        raise ValueError(f"`audio` must not be empty, found {path!r}.")
    return duration


_extent = cache(extent)  # training opens files again and again


def _names(plain: Any, database: Path) -> list[str]:
    """Full names of the protocols of a `database.yml`"""
    names = []
    try:
        protocols = _section(_section({"database.yml": plain}, "database.yml"), "Protocols")
        for name in protocols:
            tasks = _section(protocols, name)
            for task in tasks:
                for protocol in _section(tasks, task):
                    for subset in SUBSETS:
                        _section(_section(tasks[task], protocol), subset)
                    names.append(f"{name}.{task}.{protocol}")
    except ValueError as error:
        raise ValueError(f"{database}: {error}") from error
    return names


def _section(plain: Mapping[Any, Any], name: Any) -> Mapping[Any, Any]:
    found = plain.get(name, {})
    if not isinstance(found, Mapping):
        refuse(printable(name), "a dictionary", found)
    return found
