"""Checkpoints of SUPlime's segmentation model: WavLM, Conformer, feed-forward layers"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ...files.audio import SAMPLE_RATE
from ...files.schema import rule, section
from ...segmentation.contents import Contents
from ...segmentation.head import Head, LinearOptions
from ...segmentation.licences import NON_COMMERCIAL
from ...segmentation.provenance import dense_parameters
from ..torchaudio_models import (
    LINEAR,
    convert_hparams,
    convert_weights,
    read_mixture,
    read_structure,
)

ARCHITECTURE = "SuplimeSegmentation"

# provenance of what SUPlime has released
RELEASED: dict[str, Any] = {"owner": "SUPlime", "licence": NON_COMMERCIAL}


@dataclass(frozen=True)
class Conformer:
    """Arguments of `torchaudio.models.Conformer`, but for its input dimension"""

    num_heads: int = rule(4, minimum=1)
    ffn_dim: int = rule(256, minimum=1)
    num_layers: int = rule(4, minimum=1)
    depthwise_conv_kernel_size: int = rule(31, minimum=1)
    dropout: float = rule(0.1, minimum=0, below=1)


@dataclass(frozen=True)
class SuplimeArguments:
    """Arguments of SUPlime's model (0.2.0), as it saves them"""

    wav2vec: dict[str, Any]
    wav2vec_layer: int = -1
    conformer: Conformer = Conformer()
    linear: LinearOptions = LINEAR
    normalize_waveform: bool = False
    sample_rate: int = SAMPLE_RATE
    num_channels: int = 1


def suplime_contents(hparams: Any, specifications: Any, weights: Any, source: str) -> Contents:
    """Convert the contents of a checkpoint of SUPlime

    Parameters
    ----------
    hparams, specifications, weights
        As read from a file, hence of any type.
    source : str
        Name of the file, for messages.

    Raises
    ------
    ValueError
        If a hyper-parameter is impossible: the message names it.
    """
    arguments = section(SuplimeArguments, hparams, "hyper_parameters")
    whole = read_structure(arguments.wav2vec, arguments.normalize_waveform)
    mixture, wavlm = read_mixture(arguments.wav2vec_layer, whole)
    head = Head(
        mixture=mixture,
        projection=False,
        conformer={"input_dim": wavlm.embed_dim} | asdict(arguments.conformer),
        linear=arguments.linear,
    )
    converted = convert_hparams(arguments, wavlm, head)
    return Contents(
        converted,
        specifications,
        convert_weights(weights, wavlm, whole.num_layers, source),
        {**RELEASED, "dense_parameters": dense_parameters(wavlm)},
    )
