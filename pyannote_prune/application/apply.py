"""One recording after another"""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyannote.audio import Pipeline
from pyannote.core import Annotation
from pyannote.database.util import load_rttm

from ..folders import write_json
from ..whole import whole


@dataclass(frozen=True)
class Applied:
    """What became of one recording"""

    recording: Mapping[str, Any]

    # speaker turns, or None when the pipeline failed
    diarization: Annotation | None = None

    # why it failed
    error: str | None = None

    # processing time, in seconds. 0 when the result was already there
    seconds: float = 0.0


def apply_pipeline(
    pipeline: Pipeline,
    recordings: Iterable[Mapping[str, Any]],
    folder: Path,
    hook: Callable | None = None,
) -> Iterator[Applied]:
    """Diarize recordings that are not yet

    Parameters
    ----------
    pipeline : Pipeline
    recordings : iterable of dict
        With "uri", and what pyannote.audio's pipelines need ("audio", for instance).
    folder : Path
        Gets "{uri}.rttm", and "{uri}.json" for pipelines that write one. Both are there as a whole,
        or not at all: a recording whose RTTM is there is not diarized again.
    hook : callable, optional
        That of a pipeline: see `pyannote.audio.pipelines.utils.hook`.

    Yields
    ------
    applied : Applied
        One for each recording. Whatever goes wrong with one does not end the iteration.
    """
    for recording in recordings:
        path, seconds = folder / f"{recording['uri']}.rttm", 0.0
        try:
            if not path.exists():
                start = time.perf_counter()
                _diarize(pipeline, recording, path, hook)
                seconds = time.perf_counter() - start
            # times as they are written, so that scores are the same the next time
            yield Applied(recording, _read(path, recording["uri"]), seconds=seconds)
        # decoders, file finders, models: each has errors of its own
        except Exception as error:
            yield Applied(recording, error=say(error))


def say(error: Exception) -> str:
    """An error in one line"""
    message = textwrap.shorten(str(error), 300, placeholder=" ...")
    return f"{type(error).__name__}: {message}"


def _diarize(pipeline: Pipeline, recording: Mapping[str, Any], path: Path, hook: Callable | None):
    output = pipeline(recording, hook=hook)
    diarization = getattr(output, "speaker_diarization", output)
    diarization.uri = recording["uri"]
    if hasattr(output, "serialize"):
        write_json(output.serialize(), path.with_name(f"{recording['uri']}.json"))
    # last: it says that this recording is done
    with whole(path) as draft, draft.open("w", encoding="utf-8") as file:
        diarization.write_rttm(file)


def _read(path: Path, uri: str) -> Annotation:
    # `load_rttm` needs one turn
    found = load_rttm(path) if path.stat().st_size else {}
    return found.get(uri, Annotation(uri=uri))
