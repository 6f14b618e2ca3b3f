"""Recipes that ship with the package"""

from __future__ import annotations

from pathlib import Path

from ...files.messages import did_you_mean


def shipped_recipes() -> list[str]:
    """List the names of the recipes"""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.yml"))


def read_shipped_recipe(name: str) -> str:
    """Read the text of a recipe

    Raises
    ------
    ValueError
        If there is no such recipe.
    """
    if name not in shipped_recipes():
        raise ValueError(
            f"`name` must be one of {', '.join(shipped_recipes())}, found {name!r}"
            f"{did_you_mean(name, shipped_recipes())}."
        )
    return (Path(__file__).parent / f"{name}.yml").read_text(encoding="utf-8")
