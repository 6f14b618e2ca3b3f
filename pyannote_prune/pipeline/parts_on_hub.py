"""Parts that a pipeline folder takes from the hub"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from ..files.schema import read_yaml

CONFIG = "config.yaml"  # of the folder of a pipeline


def advise_on_parts(folder: str | Path) -> str:
    """Say how to get the parts that a folder takes from the hub

    Returns
    -------
    advice : str
        A sentence, after a space. Empty if the folder is complete, or is none.
    """
    if not (hub_ids := sorted({*_hub_ids(Path(folder))})):
        return ""
    return (
        f" It takes parts from {', '.join(hub_ids)}, which must be in the cache of this machine: "
        "accept the conditions on its page, log in (`hf auth login`), and load the pipeline once, "
        "or export the folder with --parts FOLDER, which copies them."
    )


def _hub_ids(folder: Path) -> Iterator[str]:
    """Pipelines of the hub that parts of a folder come from"""
    try:
        parts = read_yaml(folder / CONFIG, "the configuration of a pipeline")["pipeline"]["params"]
        values = [*parts.values()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        return
    for value in values:
        if isinstance(value, Mapping) and isinstance(value.get("checkpoint"), str):
            yield value["checkpoint"]
