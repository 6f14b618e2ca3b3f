"""Read recipes from YAML, and check all their values"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..files.schema import read_yaml, refuse, rule, section
from .checks import check_conformer, check_pruning, check_speakers, check_stages, check_start
from .options import (
    ACCELERATORS,
    AGGLOMERATIVE,
    CONFORMER,
    STRATEGIES,
    AugmentationOptions,
    ConformerOptions,
    Distil,
    DistillationOptions,
    Export,
    FineTune,
    ImpulseResponses,
    Mix,
    Noise,
    Preset,
    Prune,
    Pruning,
    StageOptions,
    Stages,
    Train,
    TrainerOptions,
)
from .resolve import (
    resolve_augmentation,
    resolve_folder_or_hub_id,
    resolve_path_or_hub_id,
    resolve_structure,
)

# sections are imported from here as well
__all__ = [
    "ACCELERATORS",
    "AGGLOMERATIVE",
    "CONFORMER",
    "STRATEGIES",
    "AugmentationOptions",
    "ConformerOptions",
    "Distil",
    "DistillationOptions",
    "Export",
    "FineTune",
    "ImpulseResponses",
    "Mix",
    "Noise",
    "Preset",
    "Prune",
    "Pruning",
    "Recipe",
    "StageOptions",
    "Stages",
    "Train",
    "TrainerOptions",
]


@dataclass(frozen=True)
class Recipe:
    """Values of a recipe: from WavLM to a pruned diarization pipeline, in four stages

    Default values come from Han et al., "Fine-tune Before Structured Pruning: Towards Compact
    and Accurate Self-Supervised Models for Speaker Diarization", Interspeech 2025.

    The first stage starts either from `wavlm`, pretrained or not, under a new head, or from
    `checkpoint`, a whole model that was trained before, by whomever: see `open_source`.

    `load` and `from_dict` check every value: paths are then absolute, and `wavlm` and `conformer`
    are arguments of `WavLMSegmentation`. `duration` is the length of windows, in seconds.
    `in_memory` keeps decoded audio: 230 MB an hour, in each worker. Each stage skips up to
    `max_skipped_steps` steps whose loss is not finite.
    """

    protocol: str = field(
        metadata={
            "pattern": r"[^.\s]+\.[^.\s]+\.[^.\s]+",
            "expected": "a protocol, such as 'X.SpeakerDiarization.Compound'",
        }
    )
    database: Path = field(metadata={"expected": "the path of a `database.yml`"})
    wavlm: str | dict[str, Any] | None = field(
        default=None,
        metadata={"expected": "a hub id, a local folder, or a structure such as {preset: base}"},
    )
    checkpoint: Path | str | None = field(
        default=None, metadata={"expected": "the path, or the hub id, of a model to start from"}
    )
    seed: int = rule(3407, minimum=0, maximum=2**32 - 1)
    duration: float = rule(8.0, above=0)
    max_speakers_per_chunk: int = rule(4, minimum=1)
    max_speakers_per_frame: int = rule(2, minimum=1)
    num_workers: int = rule(2, minimum=0)
    in_memory: bool = False
    max_skipped_steps: int = rule(10, minimum=0)
    conformer: dict[str, Any] = field(default_factory=dict)
    augmentation: AugmentationOptions = field(default=AugmentationOptions())
    pruning: Pruning = field(default=Pruning())
    stages: Stages = field(default=Stages())
    trainer: TrainerOptions = field(default=TrainerOptions())
    export: Export = field(default=Export())

    @classmethod
    def load(cls, path: str | Path, check_files: bool = True) -> Recipe:
        """Read a YAML file: see `from_dict`. Relative paths start from its folder

        Raises
        ------
        OSError
            If it cannot be opened.
        """
        plain = read_yaml(Path(path))
        try:
            return cls.from_dict(plain, Path(path).parent, check_files)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    @classmethod
    def from_dict(
        cls, plain: Mapping[str, Any], folder: str | Path = ".", check_files: bool = True
    ) -> Recipe:
        """Make a recipe from plain values, and check them

        Parameters
        ----------
        plain : dict
            Plain values. Missing values are replaced by their defaults.
        folder : str or Path, optional
            Folder from which relative paths start. `wavlm` and `parts` are hub ids if no such
            folder exists. Defaults to the current folder.
        check_files : bool, optional
            Whether `database` must exist, and hub ids look like hub ids (the default).

        Raises
        ------
        ValueError
            If a key is missing or unknown, or if a value is impossible: the message names the key.
        """
        recipe, folder = section(cls, plain), Path(folder).resolve()
        wavlm, parts = recipe.wavlm, recipe.export.parts
        if isinstance(wavlm, str):
            wavlm = resolve_folder_or_hub_id("wavlm", wavlm, folder, check_files)
        elif wavlm is not None:
            wavlm = resolve_structure(wavlm)
        checkpoint = resolve_path_or_hub_id(recipe.checkpoint, folder)
        recipe = replace(
            recipe,
            database=folder / os.path.expanduser(recipe.database),
            wavlm=wavlm,
            checkpoint=checkpoint,
            conformer=check_conformer(recipe.conformer),
            augmentation=resolve_augmentation(recipe.augmentation, folder, check_files),
            export=replace(
                recipe.export,
                parts=resolve_folder_or_hub_id("export.parts", parts, folder, check_files),
            ),
        )
        check_speakers(recipe.max_speakers_per_chunk, recipe.max_speakers_per_frame)
        check_start(recipe.wavlm, checkpoint, recipe.conformer, recipe.export)
        check_stages(recipe.stages, is_trained=checkpoint is not None)
        check_pruning(recipe.pruning, recipe.stages, recipe.wavlm)
        if check_files and not os.path.isfile(recipe.database):
            refuse("database", "an existing file", str(recipe.database))
        if check_files and isinstance(checkpoint, Path) and not os.path.exists(checkpoint):
            refuse("checkpoint", "an existing file, a folder, or a hub id", str(checkpoint))
        return recipe

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain numbers, strings, lists and dictionaries: inverse of `from_dict`"""
        return json.loads(json.dumps(asdict(self), default=str))
