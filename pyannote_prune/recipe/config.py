"""Read recipes from YAML, and check all their values"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.strategies import StrategyRegistry

from ..files.schema import read_yaml, refuse, rule, section
from ..files.sources import looks_like_hub_id
from ..pipeline.export import COMMUNITY_1
from ..pipeline.settings import (
    MEDIAN_FILTER,
    MIN_CLEAN_RATIO,
    ORACLE_SETTINGS,
    WITH_OPTIONS,
    DiarizationSettings,
)
from ..pruning.scope import SCOPES
from ..pruning.sparsity import OBJECTIVES
from ..segmentation.model import WavLMSegmentation
from ..segmentation.provenance import check_line
from ..segmentation.units import HEAD_UNITS, MODEL_UNITS
from ..training.augmentation import has_audio
from ..wavlm.config import WavLMConfig
from ..wavlm.presets import PRESETS

ACCELERATORS = ("auto", "gpu", *sorted(AcceleratorRegistry.available_accelerators()))
# other strategies split the model, which is averaged and pruned as a whole
STRATEGIES = ("auto", *(s for s in StrategyRegistry.available_strategies() if s.startswith("ddp")))

CONFORMER = WavLMSegmentation.CONFORMER_DEFAULTS


@dataclass(frozen=True)
class Noise:
    """Noise that is added to windows, from WAV files of a folder, at a ratio in dB"""

    folder: Path = field(metadata={"expected": "the path of a folder of WAV files"})
    probability: float = rule(0.5, minimum=0, maximum=1)
    snr: tuple[float, ...] = (5.0, 20.0)

    def __post_init__(self):
        _check_range("augmentation.noise.snr", self.snr)


@dataclass(frozen=True)
class ImpulseResponses:
    """Impulse responses of rooms that windows are convolved with, from WAV files of a folder"""

    folder: Path = field(metadata={"expected": "the path of a folder of WAV files"})
    probability: float = rule(0.3, minimum=0, maximum=1)


@dataclass(frozen=True)
class Mix:
    """Windows of other recordings that are mixed in, with their speakers, at a ratio in dB"""

    probability: float = rule(0.3, minimum=0, maximum=1)
    snr: tuple[float, ...] = (0.0, 5.0)

    def __post_init__(self):
        _check_range("augmentation.mix.snr", self.snr)


@dataclass(frozen=True)
class AugmentationOptions:
    """Augmentation of training windows, in all stages: `mix`, then `impulse_responses`, `noise`"""

    noise: Noise | None = None
    impulse_responses: ImpulseResponses | None = None
    mix: Mix | None = None


def _check_range(key: str, found: tuple[float, ...]):
    if len(found) != 2 or found[0] > found[1]:
        refuse(key, "two numbers, the lower one first", list(found))


@dataclass(frozen=True)
class Preset:
    """Published structure of WavLM, to be given random weights"""

    preset: str = rule(choices=tuple(PRESETS))


@dataclass(frozen=True)
class ConformerOptions:
    """Arguments of `torchaudio.models.Conformer`"""

    input_dim: int = rule(CONFORMER["input_dim"], minimum=1)
    num_heads: int = rule(CONFORMER["num_heads"], minimum=1)
    ffn_dim: int = rule(CONFORMER["ffn_dim"], minimum=1)
    num_layers: int = rule(CONFORMER["num_layers"], minimum=1)
    depthwise_conv_kernel_size: int = rule(CONFORMER["depthwise_conv_kernel_size"], minimum=1)
    dropout: float = rule(CONFORMER["dropout"], minimum=0, below=1)


@dataclass(frozen=True)
class Pruning:
    """Target of pruning, and distance between student and teacher

    `target_sparsity` is a fraction of WavLM, or of the whole model if `scope` is "model": units of
    the head, which have gates then, learn from `stages.prune.output_weight` or `task_weight`.
    The distance compares hidden states at `layers` (0 is the input of the first layer; by default,
    four evenly spaced ones) by L1 distance and cosine similarity. Its gradient is multiplied by
    `extractor_gradient` before it reaches the convolutions.
    """

    target_sparsity: float = rule(0.8, minimum=0, below=1)
    objective: str = rule("parameters", choices=tuple(OBJECTIVES))
    scope: str = rule("wavlm", choices=SCOPES)
    units: tuple[str, ...] = rule(("channel", "head", "neuron"), choices=tuple(MODEL_UNITS))
    layers: tuple[int, ...] | None = rule(None, minimum=0)
    l1_weight: float = rule(1.0, minimum=0)
    cosine_weight: float = rule(1.0, minimum=0)
    extractor_gradient: float = rule(1.0, minimum=0)


@dataclass(frozen=True)
class StageOptions:
    """Options that all stages have

    All devices share a batch, and `accumulate` batches make a step. The weights of the `average`
    best checkpoints are averaged. Gradients are clipped to a percentile of their recent norms.
    """

    max_epochs: int = rule(minimum=1)
    patience: int | None = rule(minimum=1)
    learning_rate: float = rule(above=0)
    max_steps_per_epoch: int | None = rule(None, minimum=1)
    batch_size: int = rule(64, minimum=1)
    accumulate: int = rule(1, minimum=1)
    average: int = rule(5, minimum=1)
    clip_percentile: float | None = rule(90.0, above=0, maximum=100)


@dataclass(frozen=True)
class FineTune(StageOptions):
    """Options of fine-tuning, which is left out if `max_epochs` is 0"""

    max_epochs: int = rule(100, minimum=0)
    patience: int | None = rule(10, minimum=1)
    learning_rate: float = rule(1e-3, above=0)
    wavlm_learning_rate: float = rule(2e-5, above=0)


@dataclass(frozen=True)
class DistillationOptions(StageOptions):
    """Options of stages in which WavLM imitates its fine-tuned teacher

    Besides the distance of hidden states (see `Pruning`), the loss may have the divergence of
    posteriors, `output_weight` times, and the loss from references, `task_weight` times.
    """

    output_weight: float = rule(0.0, minimum=0)
    task_weight: float = rule(0.0, minimum=0)


@dataclass(frozen=True)
class Prune(DistillationOptions):
    """Options of pruning, which is left out if `max_epochs` is 0

    WavLM imitates its fine-tuned teacher while gates close. Epochs count after the warm-up.
    """

    max_epochs: int = rule(30, minimum=0)
    patience: int | None = rule(5, minimum=1)
    learning_rate: float = rule(2e-4, above=0)
    warm_up_epochs: int = rule(5, minimum=0)
    gate_learning_rate: float = rule(2e-2, above=0)
    multiplier_learning_rate: float | None = rule(None, above=0)


@dataclass(frozen=True)
class Distil(DistillationOptions):
    """Options of distilling the pruned WavLM, which is left out if `max_epochs` is 0"""

    max_epochs: int = rule(20, minimum=0)
    patience: int | None = rule(None, minimum=1)
    learning_rate: float = rule(2e-4, above=0)


@dataclass(frozen=True)
class Train(StageOptions):
    """Options of training the pruned model, which is left out if `max_epochs` is 0

    With `teacher_weight` above 0, posteriors of the fine-tuned model are soft targets beside
    references.
    """

    max_epochs: int = rule(20, minimum=0)
    patience: int | None = rule(5, minimum=1)
    learning_rate: float = rule(1e-3, above=0)
    wavlm_learning_rate: float = rule(2e-5, above=0)
    teacher_weight: float = rule(0.0, minimum=0)


@dataclass(frozen=True)
class Stages:
    """Options of the four stages, in order"""

    fine_tune: FineTune = FineTune()
    prune: Prune = Prune()
    distil: Distil = Distil()
    train: Train = Train()


@dataclass(frozen=True)
class TrainerOptions:
    """Arguments of Lightning's Trainer"""

    accelerator: str = rule("auto", choices=ACCELERATORS)
    devices: int | str = rule(
        "auto",
        minimum=1,
        pattern=r"auto|\d+(,\d+)*",
        expected="a number of devices, 'auto', or indices such as '0,1'",
    )
    strategy: str = rule("auto", choices=STRATEGIES)
    precision: str = rule("32-true", choices=("32-true", "bf16-mixed", "16-mixed"))
    num_nodes: int = rule(1, minimum=1)


# options of agglomerative clustering in DiariZen's recipe
AGGLOMERATIVE = {"method": "centroid", "min_cluster_size": 30, "threshold": 0.7}


@dataclass(frozen=True)
class Export:
    """Options of the exported pipeline

    With `from_checkpoint`, settings and parts are those that `checkpoint` comes with, and options
    below do not count, unless `parts` is given.

    Embedding and PLDA come from `parts` (oracle clustering needs none). Windows overlap by 1 -
    `segmentation_step` of their duration. `median_filter` is a number of frames, by default 11 (as
    in DiariZen), or 1 (no filter) with oracle clustering. `min_clean_ratio` is the share of a
    window during which speakers must speak alone for their embeddings to be clustered.

    `licence` (of the weights) and `data_licence` are printed on its model card.
    """

    parts: str = COMMUNITY_1
    oracle_clustering: bool = False
    clustering: str = rule("VBxClustering", choices=WITH_OPTIONS)
    segmentation_step: float = rule(0.1, above=0, maximum=1)
    median_filter: int | None = rule(None, minimum=1)
    min_clean_ratio: float = rule(MIN_CLEAN_RATIO, above=0, maximum=1)
    from_checkpoint: bool = False
    licence: str | None = None
    data_licence: str | None = None

    def __post_init__(self):
        for key in ("licence", "data_licence"):
            check_line(f"export.{key}", getattr(self, key))
        if self.median_filter is not None and self.median_filter % 2 == 0:
            refuse("export.median_filter", "an odd number of frames", self.median_filter)

    @property
    def settings(self) -> DiarizationSettings:
        """Settings of the pipeline"""
        options: dict[str, Any] = {"segmentation_step": self.segmentation_step}
        if self.oracle_clustering:
            return replace(ORACLE_SETTINGS, median_filter=self.median_filter or 1, **options)
        if self.clustering == "AgglomerativeClustering":
            options |= {"parameters": AGGLOMERATIVE, "constrained_assignment": True}
        return DiarizationSettings(
            clustering=self.clustering,
            median_filter=self.median_filter or MEDIAN_FILTER,
            min_clean_ratio=self.min_clean_ratio,
            **options,
        )


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
    augmentation: AugmentationOptions = AugmentationOptions()
    pruning: Pruning = Pruning()
    stages: Stages = Stages()
    trainer: TrainerOptions = TrainerOptions()
    export: Export = Export()

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
            wavlm = _folder_or_hub_id("wavlm", wavlm, folder, check_files)
        elif wavlm is not None:
            wavlm = _structure(wavlm)
        checkpoint = _path_or_hub_id(recipe.checkpoint, folder)
        recipe = replace(
            recipe,
            database=folder / os.path.expanduser(recipe.database),
            wavlm=wavlm,
            checkpoint=checkpoint,
            conformer=_conformer(recipe.conformer),
            augmentation=_augmentation(recipe.augmentation, folder, check_files),
            export=replace(
                recipe.export, parts=_folder_or_hub_id("export.parts", parts, folder, check_files)
            ),
        )
        _check_relations(recipe)
        if check_files and not os.path.isfile(recipe.database):
            refuse("database", "an existing file", str(recipe.database))
        if check_files and isinstance(checkpoint, Path) and not os.path.exists(checkpoint):
            refuse("checkpoint", "an existing file, a folder, or a hub id", str(checkpoint))
        return recipe

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain numbers, strings, lists and dictionaries: inverse of `from_dict`"""
        return json.loads(json.dumps(asdict(self), default=str))


def _check_relations(recipe: Recipe):
    """Check rules about several values"""
    most, found = recipe.max_speakers_per_chunk, recipe.max_speakers_per_frame
    if found > most:
        refuse("max_speakers_per_frame", f"at most `max_speakers_per_chunk` ({most})", found)
    if (recipe.wavlm is None) == (recipe.checkpoint is None):
        both = "both" if recipe.wavlm else "none"
        raise ValueError(
            f"`wavlm` or `checkpoint` must be given, and only one of them, found {both}: the first "
            "one is an encoder to put under a new head, the other one a model to start from."
        )
    if recipe.checkpoint is None and recipe.export.from_checkpoint:
        refuse("export.from_checkpoint", "false without `checkpoint`", True)
    if recipe.checkpoint is not None and recipe.conformer:
        refuse("conformer", "absent when `checkpoint` is given, which has one", recipe.conformer)
    if not any(stage.max_epochs for stage in vars(recipe.stages).values()):
        raise ValueError("One stage at least must have `max_epochs` above 0, found none.")
    if recipe.checkpoint is None and not recipe.stages.fine_tune.max_epochs:
        refuse(
            "stages.fine_tune.max_epochs",
            "above 0 without `checkpoint`: the other stages start from a model that was trained",
            0,
        )
    prune = recipe.stages.prune
    if prune.max_epochs and prune.warm_up_epochs >= prune.max_epochs:
        expected = f"below `stages.prune.max_epochs` ({prune.max_epochs})"
        refuse("stages.prune.warm_up_epochs", expected, prune.warm_up_epochs)
    if prune.max_epochs:
        _check_head_units(recipe)
    for name in ("prune", "distil"):
        options, pruning = getattr(recipe.stages, name), recipe.pruning
        of_layers = (pruning.l1_weight, pruning.cosine_weight)
        if options.max_epochs and not any((*of_layers, options.output_weight, options.task_weight)):
            raise ValueError(
                f"One of `pruning.l1_weight`, `pruning.cosine_weight`, `stages.{name}."
                f"output_weight` and `stages.{name}.task_weight` must be above 0, found none: that "
                "stage would learn nothing from its teacher."
            )
    if isinstance(recipe.wavlm, dict) and recipe.pruning.layers:
        last, layers = len(recipe.wavlm["layers"]), recipe.pruning.layers
        if max(layers) > last:
            refuse("pruning.layers", f"at most {last} (last layer of `wavlm`)", max(layers))


def _check_head_units(recipe: Recipe):
    """Check that gates on the head, if there are any, would learn something"""
    units = [unit for unit in recipe.pruning.units if unit in HEAD_UNITS]
    if not units:
        return
    names = ", ".join(units)
    if recipe.pruning.scope != "model":
        expected = f"'model' with units of the head ({names})"
        refuse("pruning.scope", expected, recipe.pruning.scope)
    prune = recipe.stages.prune
    if not (prune.output_weight or prune.task_weight):
        raise ValueError(
            "`stages.prune.output_weight` or `stages.prune.task_weight` must be above 0 with units "
            f"of the head ({names}), found none: hidden states say nothing about the head."
        )


def _conformer(given: Mapping[str, Any]) -> dict[str, Any]:
    """Check arguments of the Conformer together with the default ones, and return the given ones"""
    options = section(ConformerOptions, given, "conformer")
    if options.input_dim % options.num_heads:
        expected = f"a multiple of `conformer.num_heads` ({options.num_heads})"
        refuse("conformer.input_dim", expected, options.input_dim)
    if options.depthwise_conv_kernel_size % 2 == 0:
        key = "conformer.depthwise_conv_kernel_size"
        refuse(key, "odd", options.depthwise_conv_kernel_size)
    return {name: getattr(options, name) for name in given}


def _augmentation(
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


def _structure(wavlm: Mapping[str, Any]) -> dict[str, Any]:
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


def _path_or_hub_id(name: Path | str | None, folder: Path) -> Path | str | None:
    """Resolve the path of a model, unless no such file exists and it looks like a hub id"""
    if name is None:
        return None
    local = folder / os.path.expanduser(name)
    return str(name) if looks_like_hub_id(name) and not os.path.exists(local) else local


def _folder_or_hub_id(key: str, name: str, folder: Path, check: bool) -> str:
    """Resolve the path of a local folder, or check that a name looks like a hub id"""
    local = folder / os.path.expanduser(name)
    if os.path.isdir(local):
        return str(local)
    if check and (os.path.exists(local) or not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name)):
        preset = f" (as a preset, {{preset: {name}}})" if name in PRESETS else ""
        refuse(key, f"a local folder or a hub id (owner/name){preset}", name)
    return name
