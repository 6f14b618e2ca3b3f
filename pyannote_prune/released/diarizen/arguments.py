"""Arguments in `config.toml`, with every value checked"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from ...files.audio import SAMPLE_RATE
from ...files.schema import Dataclass, rule, section

Arguments = TypeVar("Arguments", bound=Dataclass)


@dataclass(frozen=True)
class ModelArguments:
    """Arguments of DiariZen's model, and their values when they are not given"""

    wavlm_src: str = rule("wavlm_base", expected="the name of a structure, or of a WavLM file")
    wavlm_layer_num: int = rule(13, minimum=2)
    wavlm_feat_dim: int = rule(768, minimum=1)
    attention_in: int = rule(256, minimum=1)
    ffn_hidden: int = rule(1024, minimum=1)
    num_head: int = rule(4, minimum=1)
    num_layer: int = rule(4, minimum=1)
    kernel_size: int = rule(31, minimum=1)
    dropout: float = rule(0.1, minimum=0, below=1)
    use_posi: bool = False
    output_activate_function: bool | str = False
    max_speakers_per_chunk: int = rule(4, minimum=1)
    max_speakers_per_frame: int = rule(2, minimum=1)
    chunk_size: float = rule(5.0, above=0)
    num_channels: int = rule(8, minimum=1)
    selected_channel: int = rule(0, minimum=0)
    sample_rate: int = rule(SAMPLE_RATE, minimum=1)


@dataclass(frozen=True)
class Window:
    """Window length at inference, if it differs from training"""

    seg_duration: float | None = rule(None, above=0)


@dataclass(frozen=True)
class Inference:
    """Processing of windows"""

    segmentation_step: float = rule(above=0, maximum=1)
    batch_size: int = rule(minimum=1)
    apply_median_filtering: bool = rule()


@dataclass(frozen=True)
class Clustering:
    """Arguments of all clusterings"""

    min_speakers: int = rule(minimum=1)
    max_speakers: int = rule(minimum=1)
    ahc_threshold: float = rule(minimum=0)


@dataclass(frozen=True)
class VBx(Clustering):
    """Bayesian clustering after an agglomerative one. Some values are fixed in pyannote.audio"""

    Fa: float = rule(above=0)
    Fb: float = rule(above=0)
    ahc_criterion: str = rule(choices=("distance",))
    lda_dim: int = rule(minimum=128, maximum=128, expected="128, as in pyannote.audio")
    max_iters: int = rule(minimum=20, maximum=20, expected="20, as in pyannote.audio")


@dataclass(frozen=True)
class Agglomerative(Clustering):
    """Agglomerative clustering alone"""

    min_cluster_size: int = rule(minimum=1)


CLUSTERING: dict[str, type[Clustering]] = {
    "VBxClustering": VBx,
    "AgglomerativeClustering": Agglomerative,
}


@dataclass(frozen=True)
class Method:
    """Name of the clustering"""

    method: str = rule(choices=tuple(CLUSTERING))


def known(cls: type[Arguments], config: Mapping[str, Any], name: str) -> Arguments:
    """Read the arguments in `cls` from a section of `config.toml`, and ignore others"""
    arguments = config.get(name, {}).get("args", {})
    names = [field.name for field in fields(cls)]
    return section(cls, {k: v for k, v in arguments.items() if k in names}, f"{name}.args")
