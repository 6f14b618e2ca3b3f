"""Command `benchmark diarization`"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from ..benchmark.diarization.others import Other, parse_other
from ..benchmark.diarization.parts import Parts
from ..benchmark.diarization.report import diarization_markdown, scores_markdown
from ..benchmark.diarization.scores import score_diarization
from ..benchmark.diarization.speed import measure_diarization
from ..benchmark.diarization.variants import VARIANTS, Variant, choose_variants
from ..pipeline.apply import Applied
from ..pipeline.recordings import recordings_of_protocol
from .apply import Subset, result_line
from .bars import Bars
from .benchmark_speed import Device, write

MODEL = "base-s80-md"


def diarization(
    model: Annotated[
        str | None,
        typer.Argument(help=f"Checkpoint, or preset (random weights). Defaults to {MODEL}."),
    ] = None,
    segmentation: Annotated[
        str | None,
        typer.Option(
            help="Instead of MODEL: checkpoint (of pyannote.audio too), preset, ONNX file, or "
            "exported pipeline folder, whose other parts and settings count too."
        ),
    ] = None,
    embedding: Annotated[
        Path | None,
        typer.Option(
            help="Folder or checkpoint of a speaker embedding of pyannote.audio, or ONNX file of "
            "WeSpeaker. Defaults to that of a pipeline folder, otherwise to a WeSpeaker ResNet34 "
            "with random weights, which --protocol refuses."
        ),
    ] = None,
    plda: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a PLDA, for VBx clustering. Defaults to that of a pipeline folder "
            "(without --embedding). Clustering is agglomerative without any.",
            file_okay=False,
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Threshold of clustering. Defaults to that of a pipeline folder, otherwise to 0.6 "
            "(VBx) or 0.7 (agglomerative)."
        ),
    ] = None,
    min_cluster_size: Annotated[
        int | None,
        typer.Option(
            help="Smallest cluster of agglomerative clustering. Defaults to that of a pipeline "
            "folder, otherwise to 12.",
            min=1,
        ),
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="Protocol with references, to score diarizations.")
    ] = None,
    database: Annotated[
        Path | None, typer.Option(help="database.yml that defines --protocol.", dir_okay=False)
    ] = None,
    subset: Annotated[Subset, typer.Option(help="Subset of --protocol.")] = Subset.test,
    variant: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Rows to measure with --protocol ({', '.join(VARIANTS)}). Repeat for several. "
            "Defaults to all."
        ),
    ] = None,
    other: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,FOLDER,SECONDS",
            help="Row of another program: folder of its RTTM files, one per recording, and the "
            "time that it took. Repeat for several. Needs --protocol.",
        ),
    ] = None,
    duration: Annotated[
        float,
        typer.Option(help="Length of the conversation without --protocol, in seconds.", min=10),
    ] = 120.0,
    device: Device = "cpu",
    rounds: Annotated[
        int | None,
        typer.Option(
            help="Number of timed rounds. The median counts. Defaults to 5, or 1 with --protocol.",
            min=1,
        ),
    ] = None,
    output: Annotated[Path, typer.Option(help="Output folder.", file_okay=False)] = Path("speed"),
):
    """
    Time whole diarizations with pyannote.audio's pipeline class and with ours, and score them

    Both have the same parts. Without --protocol, one conversation is timed, step by step. With
    --protocol, its recordings are: the table has error rates, numbers of speakers and turns, time
    and peak memory of each pipeline, and of other programs (--other).
    """
    if model is not None and segmentation is not None:
        raise ValueError(
            f"either MODEL or `--segmentation` must be given, found both ({model!r} and "
            f"{segmentation!r}): leave one of them out."
        )
    if (protocol is None) != (database is None):
        found = "`--protocol`" if database is None else "`--database`"
        raise ValueError(f"`--protocol` and `--database` go together, found only {found}.")
    if protocol is None and (other or variant):
        raise ValueError(
            f"`--{'other' if other else 'variant'}` is for scores: give --protocol and --database."
        )
    parts = Parts(
        segmentation or model or MODEL, embedding, plda, threshold, min_cluster_size, device
    )
    path = output / "diarization"
    if protocol is not None and database is not None:
        variants, others = choose_variants(variant or ()), [parse_other(one) for one in other or ()]
        score(parts, variants, others, (database, protocol, subset.value), rounds or 1, path)
        return
    given = parts if parts != Parts(model or MODEL, device=device) else None
    if given is not None:
        given.check()
    console = Console()
    with console.status("Loading") as status:
        results = measure_diarization(
            model or MODEL, duration, device, rounds or 5, status.update, given
        )
    write(results, diarization_markdown(results), path, console)


def score(
    parts: Parts,
    variants: Mapping[str, Variant],
    others: Sequence[Other],
    source: tuple[Path, str, str],
    num_rounds: int,
    path: Path,
):
    """Score diarizations of a subset (database.yml, protocol, subset), and write the table"""
    recordings = recordings_of_protocol(*source)
    console = Console()
    with Bars(num_rounds * len(variants) * len(recordings), console) as bars:

        def report(name: str, found: Applied):
            bars.advance(escape(f"{name}, {result_line(found)}"))

        results = score_diarization(recordings, parts, variants, others, num_rounds, report)
    _, protocol, subset = source
    results = {"data": f"{protocol}, {subset}", **results}
    write(results, scores_markdown(results), path, console)
