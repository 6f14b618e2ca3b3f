"""Files of a released repository"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError

from ...files.messages import shorten
from ...files.sources import hub_error

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIG, WEIGHTS = "config.toml", "pytorch_model.bin"
ARCHITECTURE = "diarizen.models.eend.model_wavlm_conformer.Model"


def find_repository(
    source: str | Path,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
) -> Path:
    """Find the local folder of a released repository, downloaded if necessary

    Raises
    ------
    OSError
        If there is no such folder, and the hub does not have it or cannot be reached.
    """
    if Path(source).is_dir():
        return Path(source)
    try:
        folder = snapshot_download(
            str(source),
            revision=revision,
            token=token,
            cache_dir=cache_dir,
            allow_patterns=[CONFIG, WEIGHTS, "plda/*"],
        )
    except (OSError, HFValidationError) as error:
        raise hub_error(source, error) from error
    return Path(folder)


def find_config(weights: Path) -> Path:
    """Find the `config.toml` that describes the weights of an experiment

    DiariZen's training writes "config__2024_07_05--14_24_34.toml" in the folder of an experiment,
    and weights in "checkpoints/epoch_0010" below. Averaged weights are beside these.

    Returns
    -------
    path : Path
        In the folder of the weights, or in one of the two folders above: the last one by name.

    Raises
    ------
    ValueError
        If there is none.
    """
    folder = weights.resolve().parent
    for place in (folder, *list(folder.parents)[:2]):
        if (place / CONFIG).is_file():
            return place / CONFIG
        if found := sorted(place.glob("config__*.toml")):
            return found[-1]
    raise ValueError(
        f"{str(weights)!r} must be beside the {CONFIG!r} of its experiment, or in folders below, "
        "as DiariZen's training writes it, found none: copy it there, and name it so."
    )


def read_config(path: Path) -> dict[str, Any]:
    """Read `config.toml`, whose architecture must be the one of `WavLMSegmentation`

    Raises
    ------
    ValueError
        If the file is missing, is not valid TOML, or describes another architecture.
    """
    if not path.is_file():
        raise ValueError(
            f"{str(path.parent)!r} must hold {CONFIG!r} and {WEIGHTS!r}, as repositories released "
            f"by DiariZen do: there is no {CONFIG!r}. For WavLM in Hugging Face layout, use "
            "`WavLMSegmentation(wavlm=...)`."
        )
    try:
        config = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # of TOML, of UTF-8, of huge integers, of depth
        raise ValueError(f"{str(path)!r} is not valid TOML: {error}.") from error

    model = config.get("model")
    architecture = model.get("path") if isinstance(model, dict) else None
    if architecture != ARCHITECTURE:
        raise ValueError(
            f"`model.path` must be {ARCHITECTURE!r} in {str(path)!r}, found "
            f"{shorten(architecture)}: other architectures of DiariZen are not supported."
        )
    for section in ("model", "inference", "clustering"):
        arguments = config.get(section, {})
        if not isinstance(arguments, dict) or not isinstance(arguments.get("args", {}), dict):
            raise ValueError(f"`{section}.args` must be a section of {str(path)!r}.")
    return config
