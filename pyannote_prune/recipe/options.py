"""Options of each section of a recipe: their defaults, and rules about single values"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lightning.pytorch.accelerators import AcceleratorRegistry
from lightning.pytorch.strategies import StrategyRegistry

from ..files.schema import refuse, rule
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
from ..segmentation.units import MODEL_UNITS
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
    Learning rates of weights go down linearly, to the share `decay_to` in the last step of
    `max_epochs`.
    """

    max_epochs: int = rule(minimum=1)
    patience: int | None = rule(minimum=1)
    learning_rate: float = rule(above=0)
    decay_to: float = rule(1.0, minimum=0, maximum=1)
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
