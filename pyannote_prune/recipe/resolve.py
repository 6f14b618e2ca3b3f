"""Resolve values of a recipe: paths that start from its folder, hub ids, structures"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..files.schema import refuse, section
from ..files.sources import looks_like_hub_id
from ..training.augmentation import has_audio
from ..wavlm.config import WavLMConfig
from ..wavlm.presets import PRESETS
from .options import AugmentationOptions, Preset


def resolve_augmentation(
    options: AugmentationOptions, folder: Path, check_files: bool
) -> AugmentationOptions:
    """Resolve folders, and check that they have audio"""
    for name in ("noise", "impulse_responses"):
        given = getattr(options, name)
        if given is None:
            continue
        path = folder / os.path.expanduser(given.folder)
        if check_files and not has_audio(path):
            refuse(f"augmentation.{name}.folder", "a folder with WAV files", str(path))
        options = replace(options, **{name: replace(given, folder=path)})
    return options


def resolve_structure(wavlm: Mapping[str, Any]) -> dict[str, Any]:
    """Complete a preset, or check a structure: dictionary of a `WavLMConfig`"""
    if "preset" in wavlm:
        return WavLMConfig.preset(section(Preset, wavlm, "wavlm").preset).to_dict()
    try:
        return WavLMConfig.from_dict(wavlm).to_dict()
    except (TypeError, ValueError) as error:
        # when the message starts with the name of a field, this makes it a full key
        message = re.sub("^`", "`wavlm.", str(error))
        if message == str(error):
            message = f"`wavlm` does not describe an encoder: {error}"
        raise ValueError(message) from error


def resolve_path_or_hub_id(name: Path | str | None, folder: Path) -> Path | str | None:
    """Resolve the path of a model, unless no such file exists and it looks like a hub id"""
    if name is None:
        return None
    local = folder / os.path.expanduser(name)
    return str(name) if looks_like_hub_id(name) and not os.path.exists(local) else local


def resolve_folder_or_hub_id(key: str, name: str, folder: Path, check: bool) -> str:
    """Resolve the path of a local folder, or check that a name looks like a hub id"""
    local = folder / os.path.expanduser(name)
    if os.path.isdir(local):
        return str(local)
    if check and (os.path.exists(local) or not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name)):
        preset = f" (as a preset, {{preset: {name}}})" if name in PRESETS else ""
        refuse(key, f"a local folder or a hub id (owner/name){preset}", name)
    return name
