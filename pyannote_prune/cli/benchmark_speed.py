"""Command line of the measures"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.markdown import Markdown

from ..benchmark.speed.diarization import measure_diarization
from ..benchmark.speed.experiment import measure_speed, measure_training
from ..benchmark.speed.report import diarization_markdown, speed_markdown, training_markdown
from ..files.folders import write_json, write_text
from ..wavlm.inference.bfloat16 import supports_bfloat16

MODELS = ["transformers-base", "base", "base-s80-md"]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1...")]


class Part(str, Enum):
    """What is timed"""

    encoder = "encoder"
    model = "model"


class Dtype(str, Enum):
    """Precision of products of matrices"""

    float32 = "float32"
    bfloat16 = "bfloat16"


def speed(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            help="Checkpoints, presets, transformers-base, transformers-large. Others are compared "
            f"with the first one. Defaults to {' '.join(MODELS)}."
        ),
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Number of windows. Defaults to 1 and 4 (32 on GPU).", min=1)
    ] = None,
    window: Annotated[
        float | None, typer.Option(help="In s. Defaults to 8 and 16 (16 on GPU).", min=0.1)
    ] = None,
    part: Annotated[list[Part], typer.Option(help="Repeat for both.")] = [Part.encoder],  # noqa: B006
    dtype: Annotated[
        list[Dtype] | None,
        typer.Option(help="Repeat for both. Defaults to both if the processor knows bfloat16."),
    ] = None,
    device: Device = "cpu",
    rounds: Annotated[int, typer.Option(help="Median of that many.", min=1)] = 7,
    training: Annotated[
        bool, typer.Option("--training", help="Time a step of distillation-pruning instead.")
    ] = False,
    output: Annotated[Path, typer.Option(help="Folder to write.", file_okay=False)] = Path("speed"),
):
    """
    Time encoders, or whole models, in one run

    Networks take turns, so that ratios mean something on a busy machine.
    """
    if (batch is None) != (window is None):
        raise ValueError("`--batch` and `--window` go together, found only one of them.")
    console = Console()
    if training:
        options: dict[str, Any] = {} if batch is None else {"batch_size": batch, "duration": window}
        results = measure_training(device=device, num_rounds=rounds, **options)
        write(results, training_markdown(results), output / "training", console)
        return
    cases = [(1, 8.0), (4, 16.0)] if device == "cpu" else [(32, 16.0)]
    if batch is not None and window is not None:
        cases = [(batch, window)]
    with console.status("Loading") as status:
        results = measure_speed(
            models or MODELS,
            cases,
            [one.value for one in part],
            [one.value for one in dtype or dtypes_of(device)],
            device,
            rounds,
            status.update,
        )
    write(results, speed_markdown(results), output / "speed", console)


def diarization(
    model: Annotated[
        str, typer.Argument(help="Checkpoint, or preset (random weights).")
    ] = "base-s80-md",
    duration: Annotated[float, typer.Option(help="Of the conversation, in s.", min=10)] = 120.0,
    device: Device = "cpu",
    rounds: Annotated[int, typer.Option(help="Median of that many.", min=1)] = 5,
    output: Annotated[Path, typer.Option(help="Folder to write.", file_okay=False)] = Path("speed"),
):
    """
    Time a whole diarization, step by step: pyannote.audio's pipeline class, and ours

    Same segmentation model and speaker embedding (WeSpeaker ResNet34 of random weights) in both.
    """
    console = Console()
    with console.status("Loading") as status:
        results = measure_diarization(model, duration, device, rounds, status.update)
    write(results, diarization_markdown(results), output / "diarization", console)


def dtypes_of(device: str) -> list[Dtype]:
    """Precisions that are worth measuring"""
    return [*Dtype] if supports_bfloat16(torch.device(device)) else [Dtype.float32]


def write(results: dict[str, Any], text: str, path: Path, console: Console):
    """Write a table and its numbers, and show them"""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(text, path.with_suffix(".md"))
    write_json(results, path.with_suffix(".json"))
    console.print(Markdown(text))
    for suffix in (".md", ".json"):
        console.print(path.with_suffix(suffix), highlight=False, soft_wrap=True)
