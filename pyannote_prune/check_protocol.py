"""Protocols that can be trained on: read once, before anything else, so that errors are readable"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pyannote.audio import Audio
from pyannote.core import Annotation, Segment, Timeline
from pyannote.database import FileFinder, Protocol, ProtocolFile, registry
from pyannote.database.custom import meta_subset_iter, resolve_path

from .reference_files import check_list, check_rttm, check_uem
from .schema import read_yaml, refuse
from .shorten import shorten, spell
from .suggest import did_you_mean

SUBSETS = ("train", "development")
CHECKS = {".rttm": check_rttm, ".uem": check_uem}

# durations are rounded, and those of compressed files are estimates: a few frames do not matter
TOLERANCE = 0.1  # seconds


def load_protocol(database: Path, name: str) -> Protocol:
    """Protocol of a `database.yml`, whose annotated regions end with the audio

    Raises
    ------
    OSError
        If a file cannot be read.
    ValueError
        If `database.yml` is malformed, or has no such protocol.
    """
    names = _names(read_yaml(database, "a `database.yml`"), database)
    preprocessors = {"audio": FileFinder(), "annotated": annotated_audio}
    try:
        registry.load_database(database)
        return registry.get_protocol(name, preprocessors=preprocessors)
    except OSError:
        raise
    # pyannote.database does not check what it reads: anything may happen
    except Exception as error:
        if name not in names:
            raise ValueError(
                f"`protocol` must be one of {shorten(names)} ({database}), found {name!r}"
                f"{did_you_mean(name, names)}."
            ) from error
        raise ValueError(
            f"{database}: pyannote.database cannot read it ({type(error).__name__}: "
            f"{shorten(error)}). See its documentation for what it expects."
        ) from error


def check_protocol(protocol: Protocol, duration: float):
    """Read training and development sets of a protocol, and say what is wrong

    Recordings without speech, turns beyond the audio and recordings that are listed twice are mere
    warnings.

    Parameters
    ----------
    protocol : Protocol
    duration : float
        Length of windows, in seconds.

    Raises
    ------
    OSError
        If a file cannot be found.
    ValueError
        If a file is malformed, or if nothing can be trained on: the message names the file, or the
        recording.
    """
    for subset in SUBSETS:
        for check, path in _references(protocol, subset):
            check(path)
        longest, doubts, uris, num_silent = (0.0, "nothing"), [], [], 0
        for uri, regions, annotation, end in _files(protocol, subset):
            longest = max([longest, *((region.duration, uri) for region in regions)])
            excess = annotation.get_timeline().extent().end - end
            if excess > TOLERANCE:
                doubts.append(f"speaker turns of {uri!r} exceed its audio by {excess:.1f} s")
            if not annotation.crop(regions):
                num_silent += 1
                doubts.append(f"{uri!r} has no speaker turn in its annotated regions")
            if uri in uris:
                doubts.append(f"{uri!r} is listed twice")
            uris.append(uri)
        if num_silent == len(uris):
            found = f"none, for instance of {uris[0]!r}" if uris else "no recording"
            raise ValueError(
                f"The {subset} set of {protocol.name} must have recordings, with speaker turns in "
                f"their annotated regions, found {found}: compare names in its list, RTTM and UEM."
            )
        if longest[0] < duration:
            raise ValueError(
                f"`duration` must be at most that of annotated regions, found {duration:g} s: "
                f"the longest one of the {subset} set has {longest[0]:.2f} s (in {longest[1]!r}). "
                "Use shorter windows."
            )
        if doubts:
            more = f", and {len(doubts) - 5} more doubts" if len(doubts) > 5 else ""
            place = f"In the {subset} set of {protocol.name}"
            warnings.warn(f"{place}, {', '.join(doubts[:5])}{more}.", stacklevel=2)


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


def _audio_duration(file: ProtocolFile) -> float:
    try:
        duration = Audio().get_duration(file)
    # torchcodec has errors of its own, which do not name the file
    except Exception as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(
            f"`audio` of {file['uri']!r} could not be read: {file.get('audio')} "
            f"({str(error).splitlines()[0]})."
        ) from error
    if not duration:
        raise ValueError(f"`audio` of {file['uri']!r} must not be empty: {file.get('audio')}.")
    return duration


def _files(protocol: Protocol, subset: str) -> Iterator[tuple[str, Timeline, Annotation, float]]:
    """Names, annotated regions, speaker turns and durations"""
    try:
        for file in getattr(protocol, subset)():
            for key in ("audio", "annotation"):
                if key not in file:
                    raise ValueError(f"`{key}` of {file['uri']!r} is missing in `database.yml`.")
            yield file["uri"], annotated_audio(file), file["annotation"], _audio_duration(file)
    except NotImplementedError as error:
        raise ValueError(
            f"`protocol` must have a {subset} set, found none in {protocol.name}: add it to "
            "`database.yml`. Checkpoints are chosen by their scores on the development set."
        ) from error
    except OSError:
        raise
    # whatever pyannote.database and its loaders stumble upon
    except Exception as error:
        kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
        raise ValueError(f"In the {subset} set of {protocol.name}: {kind}{error}") from error


def _references(protocol: Protocol, subset: str) -> Iterator[tuple]:
    """Text files of a subset, with their checks. None for protocols that are defined by code"""
    method = getattr(protocol, f"{subset}_iter", None)
    if getattr(method, "func", None) is meta_subset_iter:
        for name, subsets in method.args[4].items():
            for part in subsets:
                yield from _references(registry.get_protocol(name), part)
        return
    given = getattr(method, "keywords", {})
    entries, database = given.get("entries", {}), given.get("database_yml")
    if "uri" in entries:
        path = resolve_path(Path(entries["uri"]), database)
        yield check_list, path
        uris = path.read_text(encoding="utf-8").split()
    for key in {"annotation", "annotated"} & entries.keys():
        template = str(entries[key])
        check = CHECKS.get(Path(template).suffix)
        for uri in uris if "{" in template else uris[:1]:
            if check is not None:
                values = {"uri": uri, "database": given["database"], "subset": given["subset"]}
                yield check, resolve_path(Path(template.format(**values)), database)


def _names(plain: Any, database: Path) -> list[str]:
    """Full names of the protocols of a `database.yml`"""
    names = []
    try:
        protocols = _section(_section({"it": plain}, "it"), "Protocols")
        for name in protocols:
            tasks = _section(protocols, name)
            for task in tasks:
                names += [f"{name}.{task}.{protocol}" for protocol in _section(tasks, task)]
    except ValueError as error:
        raise ValueError(f"{database}: {error}") from error
    return names


def _section(plain: Mapping[Any, Any], name: Any) -> Mapping[Any, Any]:
    found = plain.get(name, {})
    if not isinstance(found, Mapping):
        refuse(spell(name), "a dictionary", found)
    return found
