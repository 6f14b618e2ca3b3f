"""Arguments of `export_pipeline`, from a recipe"""

from __future__ import annotations

from typing import Any

from ..pipeline.export import COMMUNITY_1
from ..released.source import open_source
from .config import Recipe


def export_arguments(recipe: Recipe) -> dict[str, Any]:
    """Choose settings and parts of the exported pipeline

    Returns
    -------
    arguments : dict
        `settings`, `parts`, `plda`, `packages` and licences of `export_pipeline`.

    Raises
    ------
    ValueError
        If they come from a checkpoint whose settings are not supported.
    """
    export = recipe.export
    licences = {"licence": export.licence, "data_licence": export.data_licence}
    if not export.from_checkpoint or recipe.checkpoint is None:
        return {
            "settings": export.settings,
            "parts": export.parts,
            "plda": None,
            "packages": None,
            **licences,
        }
    source = open_source(recipe.checkpoint)
    own = source.parts is None or export.parts != COMMUNITY_1
    return {
        "settings": source.load_settings(),
        "parts": export.parts if own else source.parts,
        "plda": source.find_plda(),
        "packages": None if own else source.packages,
        **licences,
    }
