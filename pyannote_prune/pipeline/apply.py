"""Diarize recordings one after the other"""

from __future__ import annotations

import logging
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pyannote.audio import Pipeline, pipelines
from pyannote.core import Annotation, Segment

from ..data.audio_files import decodable
from ..data.decoding import decoded, reason
from ..data.protocol_files import WRONG_REFERENCE, without_references
from ..data.references import read_results
from ..files.atomic import WriteError, atomic_write
from ..files.folders import write_json
from ..files.locks import in_use
from ..files.parts import Part
from .cropping import crop_to_audio
from .diarization import DiarizationPipeline
from .pyannote_repairs import expects_reference
from .recordings import check_name

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Applied:
    """Result of one recording"""

    recording: Mapping[str, Any]

    # speaker turns, or None if the pipeline failed
    diarization: Annotation | None = None

    # reason of the failure
    error: str | None = None

    # processing time, in seconds. 0 if the result was already there
    seconds: float = 0.0


def apply_pipeline(
    pipeline: Pipeline,
    recordings: Iterable[Mapping[str, Any]],
    folder: Path,
    hook: Callable | None = None,
    part: Part | None = None,
    **options: int,
) -> Iterator[Applied]:
    """Diarize recordings that have no RTTM yet

    Parameters
    ----------
    pipeline : Pipeline
    recordings : iterable of dict
        With "uri", and the keys that the pipeline needs ("audio", for instance).
    folder : Path
        Folder to write: "{uri}.rttm", and "{uri}.json" if the output can be serialized. Both are
        written atomically, RTTM last: a recording that has one is not diarized again.
    hook : callable, optional
        Hook of the pipeline: see `pyannote.audio.pipelines.utils.hook`.
    part : Part, optional
        Part that has these recordings. Other processes may have the other parts at the same time.
    **options
        Arguments of the pipeline: `num_speakers`, `min_speakers`, `max_speakers`.

    Yields
    ------
    applied : Applied
        One for each recording. The failure of a recording does not end the iteration, unless its
        results cannot be written.

    Raises
    ------
    WriteError
        If results cannot be written.
    ValueError
        If another process uses the folder, or this part of it.
    """
    with in_use(folder, "--into", part):
        for recording in recordings:
            path, seconds = result_path(folder, recording["uri"]), 0.0
            try:
                check_name(recording["uri"])
                if not path.exists():
                    start = time.perf_counter()
                    _diarize(pipeline, recording, path, hook, options)
                    seconds = time.perf_counter() - start
                # rounded times of the file, so that scores are the same the next time
                applied = Applied(recording, read_result(path, recording["uri"]), seconds=seconds)
            except WriteError:
                raise
            # decoders, file finders and models raise errors of any kind
            except Exception as error:
                logger.debug("%r failed", recording["uri"], exc_info=True)
                applied = Applied(recording, error=one_line(error))
            yield applied


def result_path(folder: Path, uri: str) -> Path:
    """RTTM of a recording: once it exists, results of the recording are complete"""
    return folder / f"{uri}.rttm"


def one_line(error: Exception) -> str:
    """Type and message of an error, in one line"""
    text = reason(error) if isinstance(error, RuntimeError) else str(error)
    message = textwrap.shorten(text, 300, placeholder=" ...")
    return f"{type(error).__name__}: {message}"


def _diarize(
    pipeline: Pipeline,
    recording: Mapping[str, Any],
    path: Path,
    hook: Callable | None,
    options: Mapping[str, Any],
) -> None:
    uri = recording["uri"]
    if {*uri} & {*" \t\r\n"}:
        raise ValueError(f"RTTM has no names with spaces, found {uri!r}: rename that recording.")
    has_reference = expects_reference(pipeline)
    if has_reference and not options and recording.get("annotation") is None:
        why = recording.get(WRONG_REFERENCE, f"found none of {uri!r}.")
        raise ValueError(f"this pipeline needs the speakers of a reference, {why}")
    # other clusterings use the names of a reference for their speakers
    file = recording if has_reference else without_references(recording)
    with _readable(file) as readable:
        # our class does both by itself
        is_ours = isinstance(pipeline, DiarizationPipeline)
        readable = readable if is_ours else decoded(readable)
        output: Any = pipeline(readable, hook=hook, **options)
        if not is_ours and isinstance(pipeline, pipelines.SpeakerDiarization):
            output = crop_to_audio(output, readable)
    if has_reference:
        output = _anonymous(output)
    diarization = getattr(output, "speaker_diarization", output)
    diarization.uri = uri
    if hasattr(output, "serialize"):
        write_json(output.serialize(), path.with_name(f"{uri}.json"))
    # last: a recording with an RTTM is complete
    with atomic_write(path) as draft, draft.open("w", encoding="utf-8") as rttm:
        diarization.write_rttm(rttm)


@contextmanager
def _readable(file: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Open the audio of a recording if decoders refuse its path: see `decodable`"""
    audio = file.get("audio")
    if not isinstance(audio, Path):
        yield file
        return
    with decodable(audio) as source:
        yield file if source is audio else {**file, "audio": source}


def _anonymous(output: Any) -> Any:
    """Rename speakers to SPEAKER_00, SPEAKER_01... instead of the names of a reference"""
    diarization = getattr(output, "speaker_diarization", output)
    names = {label: f"SPEAKER_{i:02d}" for i, label in enumerate(diarization.labels())}
    if diarization is output:
        return output.rename_labels(names)
    exclusive = output.exclusive_speaker_diarization.rename_labels(names)
    renamed = diarization.rename_labels(names)
    return replace(output, speaker_diarization=renamed, exclusive_speaker_diarization=exclusive)


def read_result(path: Path, uri: str) -> Annotation:
    """Read the RTTM file of one recording, whose name in the file does not count

    Raises
    ------
    OSError, ValueError
        If there is no such file, or if a line is malformed.
    """
    annotation = Annotation(uri=uri)
    for track, turn in enumerate(read_results(path)):
        annotation[Segment(turn.start, turn.end), track] = turn.speaker
    return annotation
