"""Commands that train: `quickstart`, `train`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..recipe.config import Recipe
from ..recipe.quickstart import quickstart as run_quickstart
from ..recipe.run import RecipeRun
from ..segmentation.checkpoint import load_checkpoint
from ..segmentation.tables import structure_table
from ..training.devices import process_rank
from .errors import console, print_line, resumable, run_in
from .tables import quickstart_table, stages_table


@run_in(resumable)
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


@run_in(resumable)
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
    folder = output or _folder_of(recipe)
    run = RecipeRun(Recipe.load(recipe), folder)
    summary = run()
    if process_rank() > 0:
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
