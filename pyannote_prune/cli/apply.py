"""Command line of the diarization of many recordings"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from pyannote.metrics.diarization import DiarizationErrorRate
from rich.markup import escape

from ..data.references import name_rule
from ..files.messages import shorten
from ..pipeline.apply import Applied, apply_pipeline
from ..pipeline.load import check_has_references, check_speakers, claim_results, load_pipeline
from ..pipeline.recordings import left_out, recordings_of_paths, recordings_of_protocol
from ..pipeline.scores import add_score, write_scores
from .bars import Bars
from .errors import console, print_line, resumable, run_in


class Subset(str, Enum):
    """Subset of a protocol"""

    train = "train"
    development = "development"
    test = "test"


@run_in(resumable)
def apply(
    pipeline: Annotated[str, typer.Argument(help="Exported folder, or hub id.")],
    recordings: Annotated[
        list[Path] | None, typer.Argument(help="Audio files, folders of them.")
    ] = None,
    into: Annotated[Path, typer.Option(help="Folder to write.", file_okay=False)] = Path(
        "diarization"
    ),
    protocol: Annotated[
        str | None, typer.Option(help="Recordings of a pyannote.database protocol instead.")
    ] = None,
    database: Annotated[Path, typer.Option(help="That describes it.", dir_okay=False)] = Path(
        "database.yml"
    ),
    subset: Annotated[Subset, typer.Option(help="Of the protocol.")] = Subset.test,
    num_speakers: Annotated[
        int | None, typer.Option(help="Number of speakers of each recording.")
    ] = None,
    min_speakers: Annotated[
        int | None, typer.Option(help="Least number of speakers of a recording.")
    ] = None,
    max_speakers: Annotated[
        int | None, typer.Option(help="Largest number of speakers of a recording.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1...")] = "auto",
):
    """
    Diarize RECORDINGS, or those of a protocol: one RTTM and one JSON file for each

    Those that cannot be read are told at the end, and do not stop the others. Of folders, what
    does not look like audio or video, and sub-folders, are left out and counted. An interrupted
    command goes on. Diarization error rates are given for protocols with references: those that
    are malformed, or without any turn, are told and do not count.
    """
    if (protocol is None) == (not recordings):
        found = "both" if recordings else "nothing"
        raise ValueError(f"either `recordings` or `--protocol` must be given, found {found}.")
    request: dict[str, str] = {}
    source: str | list[str]
    if protocol is None:
        todo = recordings_of_paths(recordings or ())
        source = sorted({str(one["audio"].resolve().parent) for one in todo})
    else:
        todo = recordings_of_protocol(database, protocol, subset.value)
        source = protocol
        request = {"subset": subset.value, "database": str(database.resolve())}
    speakers = _given(
        num_speakers=num_speakers, min_speakers=min_speakers, max_speakers=max_speakers
    )
    loaded = load_pipeline(pipeline, device)
    check_speakers(loaded, speakers)
    check_has_references(loaded, todo)
    replaced = claim_results(into, pipeline, source, todo, **request, **speakers)
    failures, unscored = {}, {}
    if others := left_out(recordings or (), into):
        print_line(f"Left out of {others}. Name files and sub-folders to have them diarized.")
    metric = DiarizationErrorRate()
    if replaced:
        print_line(f"Replaced since they were diarized, hence done again: {_names(replaced)}")
    with Bars(len(todo), console) as bars:
        for applied in apply_pipeline(loaded, todo, into, bars.hook, **speakers):
            uri = applied.recording["uri"]
            bars.advance(escape(_line(applied)))
            if applied.error is not None:
                failures[uri] = applied.error
            elif (error := add_score(metric, applied)) is not None:
                unscored[uri] = error
    for line in write_scores(metric, into):
        print_line(line)
    print_line(f"Wrote {into}")
    if misread := [one["uri"] for one in todo if name_rule(one["uri"]) is not None]:
        print_line(
            f"pyannote.database and pandas read other names than {_names(misread)} in RTTM: rename "
            "these recordings if you use them.",
        )
    if failures or unscored:
        raise ValueError(_complaint(failures, unscored, len(todo)))


def _given(**options: int | None) -> dict[str, int]:
    return {name: value for name, value in options.items() if value is not None}


def _names(uris: Sequence[str]) -> str:
    """A few names, and how many more there are"""
    more = f" and {len(uris) - 5} more" if len(uris) > 5 else ""
    return ", ".join(map(shorten, uris[:5])) + more


def _complaint(failures: Mapping[str, str], unscored: Mapping[str, str], total: int) -> str:
    """What is wrong with which recordings, and what to do"""
    lines = []
    for errors, what in (
        (failures, "could not be done"),
        (unscored, "have no score, and count in no error rate"),
    ):
        if errors:
            lines += [f"{len(errors)} of {total} recordings {what}:", *_group(errors)]
    lines.append("Mend them, and run the same command: it leaves the others as they are.")
    return "\n".join(lines)


def _group(errors: Mapping[str, str]) -> list[str]:
    """A line for each error, which several recordings may have"""
    uris: dict[str, list[str]] = {}
    for uri, error in errors.items():
        uris.setdefault(error, []).append(uri)
    return [
        f"  {first}{f' and {len(others)} more' if others else ''}: {error}"
        for error, (first, *others) in uris.items()
    ]


def _line(applied: Applied) -> str:
    """What became of a recording"""
    if applied.diarization is None:
        return f"{applied.recording['uri']}: {applied.error}"
    num_speakers = len(applied.diarization.labels())
    speakers = f"{num_speakers} speaker{'s' if num_speakers != 1 else ''}"
    took = f" in {applied.seconds:.1f} s" if applied.seconds else ", already there"
    return f"{applied.recording['uri']}: {speakers}{took}"
