"""Command `apply`: diarize many recordings"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from ..files.messages import shorten
from ..files.parts import Part
from .bars import Bars
from .errors import console, print_line, resumable, run_in

if TYPE_CHECKING:
    from ..pipeline.apply import Applied


class Subset(str, Enum):
    """Subset of a protocol"""

    train = "train"
    development = "development"
    test = "test"


@run_in(resumable)
def apply(
    pipeline: Annotated[str, typer.Argument(help="Exported pipeline folder, or hub id.")],
    recordings: Annotated[
        list[Path] | None, typer.Argument(help="Audio files, and folders of audio files.")
    ] = None,
    into: Annotated[Path, typer.Option(help="Output folder.", file_okay=False)] = Path(
        "diarization"
    ),
    protocol: Annotated[
        str | None, typer.Option(help="Protocol to diarize, instead of RECORDINGS.")
    ] = None,
    database: Annotated[
        Path, typer.Option(help="database.yml that defines --protocol.", dir_okay=False)
    ] = Path("database.yml"),
    subset: Annotated[Subset, typer.Option(help="Subset of --protocol.")] = Subset.test,
    num_speakers: Annotated[
        int | None, typer.Option(help="Exact number of speakers in each recording.")
    ] = None,
    min_speakers: Annotated[
        int | None, typer.Option(help="Minimum number of speakers in each recording.")
    ] = None,
    max_speakers: Annotated[
        int | None, typer.Option(help="Maximum number of speakers in each recording.")
    ] = None,
    device: Annotated[
        str, typer.Option(help="auto (a GPU if there is one), cpu, cuda, cuda:1...")
    ] = "auto",
    part: Annotated[
        str | None,
        typer.Option(
            help="Diarize part k of n of the recordings, such as 3/16, while other processes "
            "diarize the other parts into the same folder.",
            metavar="K/N",
        ),
    ] = None,
):
    """
    Diarize RECORDINGS, or a protocol: write one RTTM and one JSON file per recording

    Recordings that cannot be read are skipped, and listed at the end. In folders, only audio and
    video files are recordings: other files, and sub-folders, are skipped and counted. The number of
    speakers is estimated unless it is given. Run the same command again to resume.

    With --protocol, diarization error rates are written to scores.csv. References that are
    malformed, or have no turn of their recording, are listed, and excluded from error rates.

    To share the work between n processes, run one with --part 1/n, one with --part 2/n... The part
    that finishes last writes scores.csv.
    """
    # importing them takes seconds, which help and wrong options do not need
    from pyannote.metrics.diarization import DiarizationErrorRate

    from ..data.references import name_rule
    from ..pipeline.apply import apply_pipeline
    from ..pipeline.load import check_has_references, check_speakers, claim_results, load_pipeline
    from ..pipeline.recordings import (
        left_out,
        recordings_of_part,
        recordings_of_paths,
        recordings_of_protocol,
    )
    from ..pipeline.scores import add_score, rate, write_scores, write_scores_of_all

    ours = None if part is None else Part.parse(part)
    if (protocol is None) == (not recordings):
        found = "both" if recordings else "nothing"
        raise ValueError(f"either `recordings` or `--protocol` must be given, found {found}.")
    request: dict[str, str] = {}
    source: str | list[str]
    if protocol is None:
        everything = recordings_of_paths(recordings or ())
        source = sorted({str(one["audio"].resolve().parent) for one in everything})
    else:
        everything = recordings_of_protocol(database, protocol, subset.value)
        source = protocol
        request = {"subset": subset.value, "database": str(database.resolve())}
    todo = everything if ours is None else recordings_of_part(everything, ours)
    speakers = _given(
        num_speakers=num_speakers, min_speakers=min_speakers, max_speakers=max_speakers
    )
    loaded = load_pipeline(pipeline, device)
    check_speakers(loaded, speakers)
    check_has_references(loaded, everything)
    replaced = claim_results(into, pipeline, source, todo, ours, **request, **speakers)
    failures, unscored = {}, {}
    if others := left_out(recordings or (), into):
        print_line(f"Left out of {others}. To diarize them, add them to RECORDINGS.")
    metric = DiarizationErrorRate()
    if replaced:
        print_line(f"Diarizing again, since their audio has changed: {_names(replaced)}")
    with Bars(len(todo), console) as bars:
        for applied in apply_pipeline(loaded, todo, into, bars.hook, ours, **speakers):
            uri = applied.recording["uri"]
            bars.advance(escape(result_line(applied)))
            if applied.error is not None:
                failures[uri] = applied.error
            elif (error := add_score(metric, applied)) is not None:
                unscored[uri] = error
    if ours is None:
        lines = write_scores(metric, into)
    else:
        lines = [f"{rate(metric)} of part {ours}"] if metric.results_ else []
        lines += write_scores_of_all(everything, into)
    for line in lines:
        print_line(line)
    print_line(f"Wrote {into}")
    if misread := [one["uri"] for one in todo if name_rule(one["uri"]) is not None]:
        print_line(
            f"pyannote.database and pandas misread the names of {_names(misread)} in RTTM: rename "
            "these recordings if you use either of them.",
        )
    if failures or unscored:
        raise ValueError(_complaint(failures, unscored, len(todo)))


def _given(**options: int | None) -> dict[str, int]:
    return {name: value for name, value in options.items() if value is not None}


def _names(uris: Sequence[str]) -> str:
    """List five names, and count the others"""
    more = f" and {len(uris) - 5} more" if len(uris) > 5 else ""
    return ", ".join(map(shorten, uris[:5])) + more


def _complaint(failures: Mapping[str, str], unscored: Mapping[str, str], total: int) -> str:
    """List errors with their recordings, and say how to continue"""
    lines = []
    for errors, status in (
        (failures, "failed"),
        (unscored, "have no score, and are excluded from error rates"),
    ):
        if errors:
            lines += [f"{len(errors)} of {total} recordings {status}:", *_group(errors)]
    lines.append("Fix them and run the same command again: finished recordings are kept.")
    return "\n".join(lines)


def _group(errors: Mapping[str, str]) -> list[str]:
    """Make one line per error, with the recordings that have it"""
    uris: dict[str, list[str]] = {}
    for uri, error in errors.items():
        uris.setdefault(error, []).append(uri)
    return [
        f"  {first}{f' and {len(others)} more' if others else ''}: {error}"
        for error, (first, *others) in uris.items()
    ]


def result_line(applied: Applied) -> str:
    """Describe the result of a recording in one line"""
    if applied.diarization is None:
        return f"{applied.recording['uri']}: {applied.error}"
    num_speakers = len(applied.diarization.labels())
    speakers = f"{num_speakers} speaker{'s' if num_speakers != 1 else ''}"
    took = f" in {applied.seconds:.1f} s" if applied.seconds else ", already there"
    return f"{applied.recording['uri']}: {speakers}{took}"
