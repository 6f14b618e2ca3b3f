"""Commands `quickstart` and `train`"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from ..recipe.config import Recipe
from ..recipe.export_arguments import export_arguments
from ..recipe.folder import PIPELINE, RECIPE
from ..recipe.quickstart import quickstart as run_quickstart
from ..recipe.run import RecipeRun
from ..recipe.teacher import recipe_for_teacher
from ..segmentation.checkpoint import load_checkpoint
from ..segmentation.tables import head_table, structure_table
from ..training.devices import process_rank
from .errors import console, print_line, resumable, run_in
from .tables import quickstart_table, stages_table


@run_in(resumable)
def quickstart(
    output: Annotated[Path, typer.Option(help="Output folder.", file_okay=False)] = Path(
        "quickstart"
    ),
    seed: Annotated[
        int | None,
        typer.Option(help=f"Random seed. Defaults to {Recipe.seed}, as in recipes.", min=0),
    ] = None,
):
    """
    Run a whole recipe on a small scale: a few minutes on a laptop, without network

    A small WavLM is fine-tuned on the 30 s sample conversation of pyannote.audio, pruned, trained
    again, and exported as a pipeline, which is scored on that conversation. Run the same command
    again to resume.
    """
    before, after = run_quickstart(output, seed=seed)
    target = Recipe.load(output / "recipe.yml").pruning.target_sparsity
    console.print(quickstart_table(before, after, target))
    console.print(
        "The model was trained and scored on the same file: this shows that everything works, and "
        "nothing about accuracy. Clustering uses the reference speakers, so that all errors come "
        "from segmentation."
    )
    for name, path in (
        ("Pipeline, for recordings with references", "run/pipeline"),
        ("Structure before and after pruning", "run/structure.png"),
        ("Training curves", "run/training.png"),
        ("Recipe to start from", "recipe.yml"),
        ("Conversation, to try pipelines on", "data/sample.wav"),
    ):
        print_line(f"{name}: {output / path}")


@run_in(resumable)
def train(
    recipe: Annotated[Path, typer.Argument(help="Recipe (YAML file).", dir_okay=False)],
    output: Annotated[
        Path | None,
        typer.Option(help="Output folder. Defaults to the path of the recipe, without suffix."),
    ] = None,
):
    """
    Run a RECIPE: fine-tune, prune, distil again, train, export

    `pyannote-prune recipe NAME` prints one. Run the same command again to resume: finished stages
    are skipped, and an interrupted stage continues from its last epoch.
    """
    if not recipe.is_file():
        raise FileNotFoundError(
            f"`recipe` must be an existing file, found {str(recipe)!r}: `pyannote-prune recipe "
            f"tiny > {shlex.quote(str(recipe))}` writes one to start from."
        )
    folder = output or _folder_of(recipe)
    _run(Recipe.load(recipe), folder)


@run_in(resumable)
def prune(
    model: Annotated[
        str,
        typer.Argument(
            help="Fine-tuned model: checkpoint (of pyannote-prune, SUPlime, DiariZen, or SSeRiouSS "
            "on WavLM), or hub id or folder of a released DiariZen or SUPlime model."
        ),
    ],
    protocol: Annotated[str, typer.Option(help="Protocol to train and validate on.")],
    database: Annotated[
        Path, typer.Option(help="`database.yml` that defines the protocol.", dir_okay=False)
    ],
    output: Annotated[Path, typer.Option(help="Output folder.", file_okay=False)],
    sparsity: Annotated[
        float, typer.Option(help="Fraction of WavLM to remove.", min=0.0, max=0.99)
    ] = Recipe.pruning.target_sparsity,
    parts: Annotated[
        str | None,
        typer.Option(
            help="Pipeline to take embedding and PLDA from: local folder, or hub id. Defaults to "
            "the one that MODEL comes with, or to pyannote's."
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Value of the recipe to change, such as stages.prune.max_epochs=10. Repeatable.",
        ),
    ] = None,
):
    """
    Prune a fine-tuned MODEL: prune, distil again, train, export

    Windows, speakers and pipeline settings are those of the model. The recipe is written to the
    output folder. Run the same command again to resume.
    """
    recipe = recipe_for_teacher(model, protocol, database, sparsity, parts, set_ or ())
    _run(recipe, output)


def _run(recipe: Recipe, folder: Path):
    """Run a recipe, and print what came out"""
    run = RecipeRun(recipe, folder)
    summary = run()
    if process_rank() > 0:
        return  # only the first process prints
    final = load_checkpoint(run.final)
    console.print(structure_table(final.wavlm.config, title="Structure after pruning"))
    if final.head.is_pruned:
        console.print(head_table(final, title="Head after pruning"))
    console.print(stages_table(summary))
    print_line(f"Recipe: {folder / RECIPE}")
    print_line(f"Pipeline: {folder / PIPELINE}")
    print_line(f"To diarize with it: {apply_command(recipe, folder / PIPELINE)}")
    if packages := export_arguments(recipe)["packages"]:
        print_line(f"Its speaker embedding needs another package: pip install {' '.join(packages)}")


def apply_command(recipe: Recipe, pipeline: Path) -> str:
    """Command that diarizes with the pipeline of a recipe

    Oracle clustering needs references, such as those of the development set.
    """
    command = f"pyannote-prune apply {shlex.quote(str(pipeline))}"
    if not recipe.export.oracle_clustering:
        return f"{command} RECORDINGS"
    database = shlex.quote(str(recipe.database))
    return f"{command} --protocol {recipe.protocol} --subset development --database {database}"


def _folder_of(recipe: Path) -> Path:
    """Name a folder after a recipe"""
    if recipe.suffix:
        return recipe.with_suffix("")
    raise ValueError(
        f"`--output` must be given for a recipe whose name has no suffix, found {str(recipe)!r}: "
        f"the folder would have the same name. Rename the recipe, to {recipe.name}.yml for "
        "instance, or give --output."
    )
