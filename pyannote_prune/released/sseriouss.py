"""Checkpoints of `SSeRiouSS`, a segmentation model of pyannote.audio, on WavLM"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..files.audio import SAMPLE_RATE
from ..files.schema import refuse, rule, section
from ..segmentation.contents import Contents
from ..segmentation.head import Head, LinearOptions, LSTMOptions
from .torchaudio_models import (
    LINEAR,
    convert_hparams,
    convert_weights,
    read_mixture,
    read_structure,
)

ARCHITECTURE = "SSeRiouSS"


@dataclass(frozen=True)
class LSTM:
    """Arguments of `torch.nn.LSTM`, and whether a single module has all layers"""

    hidden_size: int = rule(128, minimum=1)
    num_layers: int = rule(4, minimum=1, maximum=1000)
    bidirectional: bool = True
    dropout: float = rule(0.0, minimum=0, maximum=1)
    monolithic: bool = True
    batch_first: bool = True


@dataclass(frozen=True)
class SSeRiouSSArguments:
    """Arguments of pyannote.audio's model (4.0.7), as it saves them"""

    wav2vec: str | dict[str, Any]
    wav2vec_frozen: bool = False
    wav2vec_layer: int = -1
    lstm: LSTM = LSTM()
    linear: LinearOptions = LINEAR
    sample_rate: int = SAMPLE_RATE
    num_channels: int = 1


def sseriouss_contents(hparams: Any, specifications: Any, weights: Any, source: str) -> Contents:
    """Convert the contents of a checkpoint of `SSeRiouSS`

    Parameters
    ----------
    hparams, specifications, weights
        As read from a file, hence of any type.
    source : str
        Name of the file, for messages.

    Raises
    ------
    ValueError
        If the encoder is no WavLM, or if a hyper-parameter is impossible: the message names it.
    """
    arguments = section(SSeRiouSSArguments, hparams, "hyper_parameters")
    if not arguments.lstm.batch_first:
        refuse("hyper_parameters.lstm.batch_first", "true", False)
    whole = read_structure(arguments.wav2vec)
    mixture, wavlm = read_mixture(arguments.wav2vec_layer, whole)
    lstm = LSTMOptions(
        hidden_size=arguments.lstm.hidden_size,
        num_layers=arguments.lstm.num_layers,
        bidirectional=arguments.lstm.bidirectional,
        dropout=arguments.lstm.dropout,
    )
    head = Head(mixture=mixture, projection=False, lstm=lstm, linear=arguments.linear)
    converted = convert_hparams(arguments, wavlm, head)
    renamed = convert_weights(weights, wavlm, whole.num_layers, source)
    if not arguments.lstm.monolithic:
        renamed = _in_one_module(renamed)
    return Contents(converted, specifications, renamed)


def _in_one_module(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of an LSTM for each layer as those of a single LSTM"""
    return {re.sub(r"^lstm\.(\d+)\.(\w+)_l0", r"lstm.\2_l\1", k): v for k, v in weights.items()}
