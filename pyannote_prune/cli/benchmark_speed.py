"""Command `benchmark speed`"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markdown import Markdown

from ..benchmark.speed.experiment import measure_speed, measure_training
from ..benchmark.speed.report import speed_markdown, training_markdown
from ..benchmark.speed.subjects import supported_dtypes
from ..files.folders import write_json, write_text

MODELS = ["transformers-base", "base", "base-s80-md"]
Device = Annotated[str, typer.Option(help="Device to measure: cpu, cuda, cuda:1...")]


class Part(str, Enum):
    """Part of a network to time"""

    encoder = "encoder"
    model = "model"


class Engine(str, Enum):
    """What computes a network"""

    torch = "torch"
    onnxruntime = "onnxruntime"
    openvino = "openvino"


class Dtype(str, Enum):
    """Precision of products of matrices"""

    float32 = "float32"
    bfloat16 = "bfloat16"


def speed(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            help="Checkpoints, ONNX files (with each engine), presets, transformers-base, "
            "transformers-large. The first one is the baseline of the others. Defaults to "
            f"{' '.join(MODELS)}."
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            help="Windows per batch. Needs --window. Defaults to 1 and 4 (GPU: 32, --training: 2).",
            min=1,
        ),
    ] = None,
    window: Annotated[
        float | None,
        typer.Option(
            help="Length of windows, in seconds. Needs --batch. Defaults to 8 and 16 (GPU: 16, "
            "--training: 8).",
            min=0.1,
        ),
    ] = None,
    part: Annotated[list[Part], typer.Option(help="Repeat to time both.")] = [Part.encoder],  # noqa: B006
    dtype: Annotated[
        list[Dtype] | None,
        typer.Option(
            help="Precision. Repeat for both. Defaults to both if the device supports bfloat16, "
            "otherwise to float32."
        ),
    ] = None,
    engine: Annotated[
        list[Engine],
        typer.Option(
            help="What computes checkpoints and presets, on CPU. Repeat for several: each one is "
            "timed."
        ),
    ] = [Engine.torch],  # noqa: B006
    device: Device = "cpu",
    rounds: Annotated[
        int, typer.Option(help="Number of timed rounds. The median counts.", min=1)
    ] = 7,
    training: Annotated[
        bool,
        typer.Option(
            "--training",
            help="Time a step of distillation-pruning of `base` instead: MODELS, --part, "
            "--engine and --dtype are ignored.",
        ),
    ] = False,
    output: Annotated[Path, typer.Option(help="Output folder.", file_okay=False)] = Path("speed"),
):
    """
    Time encoders, or whole models, in one run

    Networks are timed in turn, so that a busy machine slows all of them down alike.
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
            [one.value for one in dtype] if dtype else supported_dtypes(device),
            device,
            rounds,
            status.update,
            [one.value for one in engine],
        )
    write(results, speed_markdown(results), output / "speed", console)


def write(results: dict[str, Any], text: str, path: Path, console: Console):
    """Write and print a table (Markdown), and write its numbers (JSON)"""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(text, path.with_suffix(".md"))
    write_json(results, path.with_suffix(".json"))
    console.print(Markdown(text))
    for suffix in (".md", ".json"):
        console.print(path.with_suffix(suffix), highlight=False, soft_wrap=True)
