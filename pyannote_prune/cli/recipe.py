"""Command `recipe`"""

from __future__ import annotations

from typing import Annotated

import typer

from ..recipe.shipped import read_shipped_recipe, shipped_recipes
from .errors import readable_errors


def recipe(
    name: Annotated[
        str, typer.Argument(help=f"Name of the recipe: {', '.join(shipped_recipes())}.")
    ],
):
    """
    Print a recipe of the package, to start from

    For example: pyannote-prune recipe tiny > tiny.yml

    The recipe tiny takes minutes: try your recordings with it. The others take days on a GPU.
    """
    with readable_errors():
        typer.echo(read_shipped_recipe(name), nl=False)
