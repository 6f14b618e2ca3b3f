"""Command line of the diarization of many recordings"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from pyannote.metrics.diarization import DiarizationErrorRate
from rich.console import Console
from rich.markup import escape

from .apply import Applied, apply_pipeline, say
from .bars import Bars
from .pretrained import claim_results, load_pipeline
from .recordings import SUBSETS, recordings_of_paths, recordings_of_protocol

Subset = Enum("Subset", {name: name for name in SUBSETS}, type=str)


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
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1...")] = "auto",
):
    """
    Diarize RECORDINGS, or those of a protocol: one RTTM and one JSON file for each

    Those that cannot be read are told at the end, and do not stop the others. An interrupted
    command goes on. Diarization error rates are given for protocols with references.
    """
    if (protocol is None) == (not recordings):
        found = "both" if recordings else "nothing"
        raise ValueError(f"either `recordings` or `--protocol` must be given, found {found}.")
    if protocol is None:
        todo = recordings_of_paths(recordings)
        source = sorted({str(one["audio"].resolve().parent) for one in todo})
    else:
        todo = recordings_of_protocol(database, protocol, subset.value)
        source = protocol
    loaded = load_pipeline(pipeline, device)
    claim_results(into, pipeline, source)
    console, failures, metric = Console(), {}, DiarizationErrorRate()
    with Bars(len(todo), console) as bars:
        for applied in apply_pipeline(loaded, todo, into, bars.hook):
            uri, error = applied.recording["uri"], applied.error
            bars.advance(escape(_line(applied)))
            if protocol is not None and error is None:
                error = _score(metric, applied)
            if error is not None:
                failures[uri] = error
    if metric.results_:
        metric.report().to_csv(into / "scores.csv")
        rate = f"DER {abs(metric):.2%} over {len(metric.results_)} recordings"
        console.print(
            f"{rate} (no collar, overlaps included): {into / 'scores.csv'}", soft_wrap=True
        )
    console.print(f"Wrote {into}", highlight=False, soft_wrap=True)
    if failures:
        lines = "\n".join(f"  {uri}: {error}" for uri, error in failures.items())
        raise ValueError(
            f"{len(failures)} of {len(todo)} recordings could not be done:\n{lines}\nMend them, "
            "and run the same command: it leaves the others as they are."
        )


def _line(applied: Applied) -> str:
    """What became of a recording"""
    if applied.error is not None:
        return f"{applied.recording['uri']}: {applied.error}"
    num_speakers = len(applied.diarization.labels())
    speakers = f"{num_speakers} speaker{'s' if num_speakers != 1 else ''}"
    took = f" in {applied.seconds:.1f} s" if applied.seconds else ", already there"
    return f"{applied.recording['uri']}: {speakers}{took}"


def _score(metric: DiarizationErrorRate, applied: Applied) -> str | None:
    """Count errors of a recording that has a reference

    Returns
    -------
    error : str or None
        What is wrong with the reference.
    """
    recording = applied.recording
    try:
        if recording.get("annotation") is not None:
            metric(recording["annotation"], applied.diarization, uem=recording["annotated"])
    # those of loaders of references
    except Exception as error:
        return f"no score, {say(error)}"
    return None
