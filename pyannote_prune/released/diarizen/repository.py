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


def read_config(folder: Path) -> dict[str, Any]:
    """Read `config.toml`, whose architecture must be the one of `WavLMSegmentation`

    Raises
    ------
    ValueError
        If the file is missing, is not valid TOML, or describes another architecture.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise ValueError(
            f"{str(folder)!r} must hold {CONFIG!r} and {WEIGHTS!r}, as repositories released by "
            f"DiariZen do: there is no {CONFIG!r}. For WavLM in Hugging Face layout, use "
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
