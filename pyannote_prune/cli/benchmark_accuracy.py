"""Command `benchmark accuracy`"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

from ..benchmark.accuracy.arms import FULL, SMALL, Arm
from ..benchmark.accuracy.diarization import WholeDiarization
from ..benchmark.accuracy.experiment import Experiment
from ..benchmark.accuracy.figure import plot
from ..benchmark.accuracy.report import markdown, rich_tables
from ..data.simulation.speakers import select_speakers
from ..data.simulation.voices import find_voices
from ..files.folders import write_text
from .voices import SPEAKERS, TEST_SPEAKERS, Speakers, print_unused


def accuracy(
    voices: Annotated[
        Path,
        typer.Argument(
            help="Recordings of single speakers, as for `pyannote-prune simulate`.", file_okay=False
        ),
    ],
    output: Annotated[Path, typer.Option(help="Output folder.", file_okay=False)] = Path(
        "accuracy"
    ),
    small: Annotated[
        bool,
        typer.Option(
            "--small", help="Check the code, not the claim: one seed, 80 % sparsity, few steps."
        ),
    ] = False,
    database: Annotated[
        Path | None,
        typer.Option(help="database.yml that defines --protocol.", dir_okay=False),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(help="Protocol of another domain, whose development set is scored as well."),
    ] = None,
    arm: Annotated[
        list[str] | None,
        typer.Option(
            help="Group of arms to run, such as gates-80, and the arms that it needs. Repeat for "
            "more groups. Defaults to all of them."
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            help="Number of arms that run in parallel. Defaults to the number of GPUs, or of cores "
            "if there is no GPU.",
            min=1,
        ),
    ] = None,
    embedding: Annotated[
        Path | None,
        typer.Option(
            help="Folder or checkpoint of a speaker embedding of pyannote.audio, or ONNX file of "
            "WeSpeaker, to score whole diarizations of longer conversations as well."
        ),
    ] = None,
    threshold: Annotated[
        float,
        typer.Option(help="Threshold of agglomerative clustering with --embedding, for all arms."),
    ] = WholeDiarization.threshold,
    min_cluster_size: Annotated[
        int,
        typer.Option(
            help="Smallest cluster of embeddings that is a speaker, with --embedding.", min=1
        ),
    ] = WholeDiarization.min_cluster_size,
    diarize: Annotated[
        list[str] | None,
        typer.Option(
            help="Group of arms to diarize with --embedding. Repeat for more groups. Defaults to "
            "all that are scored."
        ),
    ] = None,
    speakers: Annotated[Speakers | None, SPEAKERS] = None,
    test_speakers: Annotated[list[str] | None, TEST_SPEAKERS] = None,
):
    """
    Test the claim of the paper: compare pruning after fine-tuning with its alternatives

    Small models are trained on simulated conversations of VOICES in several ways ("arms"): dense,
    pruned at several sparsities by this package and as in the paper, trained from scratch with the
    pruned structure, pruned by magnitude, and pruned before fine-tuning. Tables have error rates,
    differences between arms, and their intervals. This takes a day on two cores, or minutes with
    --small. Run the same command again to resume: --embedding may be added then.
    """
    if (database is None) != (protocol is None):
        raise ValueError(
            "`--database` and `--protocol` go together, found only one of them: the first one is "
            "a file, the second one is the name of a protocol that it defines."
        )
    if diarize and embedding is None:
        raise ValueError(
            f"`--diarize` needs `--embedding`, found {diarize[0]!r} without: give both."
        )
    scale = SMALL if small else FULL
    other = (database, protocol) if database and protocol else None
    found = find_voices(voices)
    whole = None
    if embedding is not None:
        diarized = tuple(diarize) if diarize else None
        whole = WholeDiarization(embedding, threshold, min_cluster_size, groups=diarized)
    experiment = Experiment(
        voices,
        output,
        scale,
        other,
        speakers and speakers.value,
        select_speakers(test_speakers or [], found),
        whole,
    )
    if jobs is None:
        jobs = torch.cuda.device_count() or os.cpu_count() or 1
    console, arms = Console(), scale.arms(arm)
    print_unused(voices, found)
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("Arms", total=len(arms))

        def report(done: Arm, result: dict[str, Any]):
            rate = f"DER {result['test']['der']:.1%}" if "test" in result else "done"
            if "diarization" in result:
                rate += f", whole diarization {result['diarization']['der']:.1%}"
            progress.console.print(f"{done.name}: {rate}", highlight=False)
            progress.advance(bar)

        def say(line: str):
            progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

        results = experiment(jobs, report, arm, say)
    write_text(markdown(results), output / "table.md")
    names = ["table.md", "results.json"]
    # every scored arm is a dense model, or needs one
    if any("test" in result for result in results["arms"]):
        plot(results, output / "der-against-sparsity.png")
        names.insert(1, "der-against-sparsity.png")
    for table in rich_tables(results):
        console.print(table)
    for name in names:
        console.print(output / name, highlight=False, soft_wrap=True)
