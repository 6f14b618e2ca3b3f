"""Command line"""

from __future__ import annotations

import functools
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from pyannote.audio.telemetry import set_telemetry_metrics
from rich.console import Console
from yaml import YAMLError

from ..pipeline.export import COMMUNITY_1, export_pipeline
from ..pipeline.settings import DiarizationSettings
from ..recipe.config import Recipe
from ..recipe.quickstart import quickstart as run_quickstart
from ..recipe.run import RecipeRun
from ..recipe.shipped import read_shipped_recipe, shipped_recipes
from ..released.diarizen import find_plda, load_diarizen, load_settings
from ..released.source import is_released, read_source
from ..segmentation.checkpoint import check_suffix, load_checkpoint, save_checkpoint
from ..segmentation.specifications import has_specifications, powerset_specifications
from ..segmentation.tables import specifications_lines, structure_table
from ..version import __version__
from ..wavlm import WavLMConfig
from ..wavlm.presets import PRESETS
from .accuracy import accuracy
from .apply import apply
from .interruption import Interrupted, interruptible
from .prepare import prepare
from .simulate import simulate
from .speed import diarization, speed
from .tables import quickstart_table, stages_table

# environment variable
DEBUG = "PYANNOTE_PRUNE_DEBUG"


app = typer.Typer(
    epilog=f"{DEBUG}=1, in the environment, prints the traceback of each error.",
    add_completion=False,
)


console, errors = Console(), Console(stderr=True)


def print_version(asked: bool):
    if asked:
        typer.echo(f"pyannote-prune {__version__}")
        raise typer.Exit()


@app.callback(no_args_is_help=True)
def main(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=print_version, is_eager=True),
    ] = False,
):
    """
    Prunable WavLM segmentation models for pyannote.audio.
    """
    escape_unprintable()


def escape_unprintable():
    r"""Print characters that the encoding of the output lacks as \xe9 or \u4f1a, as errors are

    Otherwise, the name of a file could end a command.
    """
    # streams that stand for the standard output may have no such method
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


def print_line(line: str):
    """Print names and paths as they are, brackets included"""
    console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def readable_errors() -> Iterator[None]:
    """Print errors that people can act upon in one line, and their traceback for debugging"""
    show_debugging()
    try:
        yield
    # that of PyYAML is for `database.yml`, which pyannote.database reads
    except (OSError, ValueError, YAMLError, MisconfigurationException) as error:
        logging.getLogger("pyannote_prune").debug("traceback", exc_info=True)
        errors.print("Error:", style="bold red", end=" ")
        errors.print(str(error), markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(code=1) from error


def show_debugging():
    """Print what this package logs for debugging, if the environment asks for it"""
    logger = logging.getLogger("pyannote_prune")
    if os.environ.get(DEBUG, "0") not in ("", "0") and not logger.handlers:
        logger.addHandler(logging.StreamHandler())
        logger.setLevel(logging.DEBUG)


@contextmanager
def resumable() -> Iterator[None]:
    """Same, for commands that go on when they are run again, whatever stopped them"""
    try:
        with readable_errors(), interruptible():
            yield
    except Interrupted as error:
        if rank_zero_only.rank == 0:  # one process speaks for all
            errors.print(str(error), highlight=False, soft_wrap=True)
        raise typer.Exit(code=error.status) from error


def silence_dependencies():
    """No telemetry (there may be no network), no advice that does not concern the user"""
    set_telemetry_metrics(False)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(lightning|torch_audiomentations)\b")
    # turns outside of annotated regions are left out, as they should be, whenever they are read
    modified = 'Existing precomputed key "annotat'
    warnings.filterwarnings("ignore", modified, module=r"pyannote\.database\b")


@app.command()
def quickstart(
    output: Annotated[Path, typer.Option(help="Folder to write.", file_okay=False)] = Path(
        "quickstart"
    ),
    seed: Annotated[
        int | None, typer.Option(help="Of random numbers. Defaults to that of recipes.", min=0)
    ] = None,
):
    """
    Run the whole recipe on a small scale: a few minutes on a laptop, without network

    A small WavLM is fine-tuned on the 30 s conversation that pyannote.audio ships, pruned, trained
    again, exported, and diarizes that conversation. An interrupted quickstart goes on.
    """
    silence_dependencies()
    with resumable():
        before, after = run_quickstart(output, seed=seed)
        target = Recipe.load(output / "recipe.yml").pruning.target_sparsity
    console.print(quickstart_table(before, after, target))
    console.print(
        "A model that is trained and scored on one file proves that everything is in place, and "
        "nothing about accuracy. Clustering is given the reference speakers, so that the error is "
        "that of segmentation alone."
    )
    for name, path in (
        ("Pipeline, for recordings with references", "run/pipeline"),
        ("What was pruned", "run/structure.png"),
        ("Training curves", "run/training.png"),
        ("Recipe to start from", "recipe.yml"),
        ("Conversation, for pipelines to try", "data/sample.wav"),
    ):
        print_line(f"{name}: {output / path}")


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="Recipe (YAML).", dir_okay=False)],
    output: Annotated[
        Path | None, typer.Option(help="Folder to write. Defaults to that of the recipe's name.")
    ] = None,
):
    """
    Run a RECIPE: fine-tune, prune, distil again, train, export

    Finished stages are skipped, and an interrupted one goes on from its last epoch.
    """
    silence_dependencies()
    with resumable():
        folder = output or _folder_of(recipe)
        run = RecipeRun(Recipe.load(recipe), folder)
        summary = run()
        if rank_zero_only.rank > 0:
            return  # one process speaks for all
        final = load_checkpoint(run.final)
    console.print(structure_table(final.wavlm.config, title="What was kept"))
    console.print(stages_table(summary))
    print_line(f"Pipeline: {folder / 'pipeline'}")


def _folder_of(recipe: Path) -> Path:
    """Folder of the same name as a recipe"""
    if recipe.suffix:
        return recipe.with_suffix("")
    raise ValueError(
        f"`--output` must be given for a recipe whose name has no suffix, found {str(recipe)!r}: "
        f"the folder would have that very name. Rename the recipe, to {recipe.name}.yml for "
        "instance, or give --output."
    )


@app.command()
def recipe(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(shipped_recipes())}.")],
):
    """
    Print a recipe that ships with the package, to start from

    pyannote-prune recipe base-plus-s80 > base-plus-s80.yml
    """
    with readable_errors():
        typer.echo(read_shipped_recipe(name), nl=False)


@app.command()
def convert(
    source: Annotated[
        str,
        typer.Argument(
            help="Checkpoint, or hub id or folder of a released DiariZen model, or of WavLM in "
            "Hugging Face layout."
        ),
    ],
    checkpoint: Annotated[
        Path,
        typer.Argument(
            help="Checkpoint to write: .ckpt, .bin, .pt or .pth (PyTorch), or .safetensors.",
            dir_okay=False,
        ),
    ],
    duration: Annotated[
        float, typer.Option(help="Window length in seconds (for WavLM alone).", min=0.1)
    ] = 8.0,
    max_speakers_per_chunk: Annotated[
        int, typer.Option(help="Number of speakers of a window (for WavLM alone).", min=1)
    ] = 4,
    max_speakers_per_frame: Annotated[
        int, typer.Option(help="Number of simultaneous speakers (for WavLM alone).", min=1)
    ] = 2,
):
    """
    Convert SOURCE into a CHECKPOINT that pyannote.audio reads
    """
    with readable_errors():
        check_suffix(checkpoint)
        model = read_source(source)
        trained = has_specifications(model)
        if not trained:
            model.specifications = powerset_specifications(
                duration, max_speakers_per_chunk, max_speakers_per_frame
            )
            model.setup()
        save_checkpoint(model, checkpoint)
    print_line(f"Wrote {checkpoint}")
    if not trained:
        console.print(
            "It is WavLM under an untrained head: train it before using it in a pipeline.",
            style="yellow",
        )


@app.command()
def summary(
    checkpoint: Annotated[
        str, typer.Argument(help=f"Checkpoint, or preset ({', '.join(PRESETS)}).")
    ],
):
    """
    Print structure and cost of a CHECKPOINT, layer by layer
    """
    with readable_errors():
        if checkpoint in PRESETS and not Path(checkpoint).exists():
            config, lines = WavLMConfig.preset(checkpoint), []
        else:
            model = load_checkpoint(checkpoint)
            config, lines = model.wavlm.config, specifications_lines(model)
    print_line(checkpoint)
    console.print(structure_table(config))
    for line in lines:
        print_line(line)


@app.command()
def export(
    source: Annotated[str, typer.Argument(help="Checkpoint, or released DiariZen model.")],
    folder: Annotated[Path, typer.Argument(help="Pipeline folder to write.", file_okay=False)],
    parts: Annotated[
        str,
        typer.Option(help="Pipeline that embedding and PLDA come from: local folder or hub id."),
    ] = COMMUNITY_1,
    fast: Annotated[
        bool,
        typer.Option("--fast", help="What all exported pipelines are now.", hidden=True),
    ] = False,
    bfloat16: Annotated[
        bool,
        typer.Option("--bfloat16", help="WavLM in bfloat16: less time, slightly other output."),
    ] = False,
    safetensors: Annotated[
        bool,
        typer.Option("--safetensors", help="Segmentation model in a file that holds no code."),
    ] = False,
):
    """
    Export SOURCE as a diarization pipeline FOLDER, for `pyannote-audio apply` and the like

    A released DiariZen model keeps its own inference settings, median filter and PLDA included.
    """
    with readable_errors():
        if is_released(source):
            model, settings = load_diarizen(source), load_settings(source)
            plda = find_plda(source)
        else:
            model, settings, plda = load_checkpoint(source), DiarizationSettings(), None
        if bfloat16:
            settings = replace(settings, segmentation_dtype="bfloat16")
        export_pipeline(model, folder, parts, settings, safetensors, plda)
    print_line(f"Wrote {folder}")


def register(command: Callable, group: typer.Typer = app, context=readable_errors):
    """Add a command that is defined next to what it runs, in the context that it needs"""

    @functools.wraps(command)
    def run(*args, **kwargs):
        silence_dependencies()
        with context():
            return command(*args, **kwargs)

    group.command()(run)


register(apply, context=resumable)


benchmark = typer.Typer(help="Measure what the README claims.", no_args_is_help=True)


app.add_typer(benchmark, name="benchmark")


register(prepare, context=resumable)


register(simulate, context=resumable)


register(accuracy, benchmark, resumable)


register(speed, benchmark)


register(diarization, benchmark)


if __name__ == "__main__":
    app()
