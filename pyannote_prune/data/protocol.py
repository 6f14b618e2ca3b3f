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
from pyannote.database import FileFinder, Protocol, ProtocolFile

from ..files.messages import did_you_mean, printable, shorten
from ..files.schema import read_yaml, refuse
from .databases import load_database
from .decoding import extent, get_duration
from .protocol_files import text_files
from .subsets import SUBSETS, TRAINING_SUBSETS

WHY = {"development": " Checkpoints are chosen by their scores on it."}


# durations are rounded, and those of compressed files are estimates: a few frames do not matter
TOLERANCE = 0.1  # seconds


def load_protocol(
    database: Path, name: str, preprocessors: Mapping[str, Any] | None = None
) -> Protocol:
    """Protocol of a `database.yml`, whatever other databases pyannote.database has loaded

    Parameters
    ----------
    database : Path
        `database.yml`, whose `Requirements` count too.
    name : str
    preprocessors : dict, optional
        See `pyannote.database.Protocol`. Default to finding audio, and to annotated regions that
        end with it.

    Raises
    ------
    OSError
        If a file cannot be read.
    ValueError
        If `database.yml` is malformed, or has no such protocol.
    """
    names = _names(read_yaml(database, "a `database.yml`"), database)
    try:
        registry = load_database(database)
    except OSError:
        raise
    # pyannote.database does not check what it reads: anything may happen
    except Exception as error:
        raise ValueError(
            f"{database}: pyannote.database cannot read it ({type(error).__name__}: {error}). See "
            "its documentation for what it expects."
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


def check_protocol(protocol: Protocol, duration: float, in_memory: bool = False):
    """Read training and development sets of a protocol, and say what is wrong

    Recordings without speech, recordings that are listed twice and those that both sets have are
    mere warnings. Speaker turns outside of annotated regions are neither: pyannote.database removes
    them.

    Parameters
    ----------
    protocol : Protocol
    duration : float
        Length of windows, in seconds.
    in_memory : bool, optional
        Whether files are decoded as a whole. Otherwise, those whose windows cannot be read from
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
        with saying_where(subset, protocol.name):
            files = getattr(protocol, subset)()
            doubts = _check_recordings(files, duration, seen, in_memory)
        if doubts:
            more = f", and {len(doubts) - 5} more doubts" if len(doubts) > 5 else ""
            place = f"In the {subset} set of {protocol.name}"
            warnings.warn(f"{place}, {', '.join(doubts[:5])}{more}.", stacklevel=2)


def check_references(protocol: Protocol, subset: str):
    """Check the text files of a subset, line by line

    Raises
    ------
    OSError, ValueError
        If pyannote.database cannot read one of them, or would misread it: the message names file
        and line.
    """
    with saying_where(subset, protocol.name):
        for text in text_files(protocol, subset):
            text.check()


@contextmanager
def saying_where(subset: str, name: str) -> Iterator[None]:
    """Say which subset of which protocol could not be read"""
    try:
        yield
    except NotImplementedError as error:
        raise ValueError(
            f"`protocol` must have a {subset} set, found none in {name}: add it to `database.yml`."
            + WHY.get(subset, "")
        ) from error
    except OSError as error:
        raise OSError(f"In the {subset} set of {name}: {error}") from error
    # whatever pyannote.database and its loaders stumble upon
    except Exception as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise ValueError(f"In the {subset} set of {name}: {kind}{error}") from error


def _check_recordings(
    files: Iterable[ProtocolFile], duration: float, seen: dict[str, str], in_memory: bool
) -> list[str]:
    """Check that there is something to train on

    Parameters
    ----------
    files : iterable of ProtocolFile
    duration : float
    seen : dict of str
        Names of the recordings of other subsets, by what they share with recordings that are the
        same. Those of this one are added.
    in_memory : bool

    Returns
    -------
    doubts : list of str
        What is suspicious.
    """
    longest, doubts, uris, silent = (0.0, "nothing"), [], set(), set()
    here = {}
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
        found = math.floor(100 * longest[0]) / 100
        raise ValueError(
            f"`duration` must be at most that of annotated regions, found {duration:g} s: the "
            f"longest one has {found:.2f} s (in {longest[1]!r}). Use shorter windows."
        )
    return doubts


def _same_recording(file: ProtocolFile) -> list[str]:
    """What is the same for two entries of one recording: its name in its database, or its audio"""
    name = f"{file.get('database')}/{file['uri']}"
    audio = "" if "waveform" in file else os.path.realpath(file["audio"])
    return [name, *filter(None, [audio])]


def _check_keys(file: ProtocolFile):
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
    """Annotated regions, within the audio: all of it, if nothing says which

    pyannote.audio stops in the middle of a training when it draws a window that ends after the
    audio.

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


def _check_windows(file: ProtocolFile):
    """Check that windows of a recording are where its container says"""
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
