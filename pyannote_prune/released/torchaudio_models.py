"""Encoders of models of pyannote.audio that hold a WavLM of torchaudio, as `wav2vec`"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from torch import Tensor

from ..files.messages import shorten
from ..files.schema import refuse
from ..segmentation.head import Head, LinearOptions
from ..wavlm.config import WavLMConfig
from ..wavlm.torchaudio_layout import config_from_torchaudio, weights_from_torchaudio
from ..wavlm.weights import is_state_dict

# bundles of torchaudio that hold WavLM, and our structures
BUNDLES = {"WAVLM_BASE": "base", "WAVLM_BASE_PLUS": "base", "WAVLM_LARGE": "large"}

# default feed-forward layers of these models
LINEAR = LinearOptions(num_layers=2)

# of wav2vec 2.0 and HuBERT, torchaudio's arguments lack these
ONLY_WAVLM = ("encoder_num_buckets", "encoder_max_distance")

OTHERS = "wav2vec 2.0 and HuBERT are not supported, as they have no relative positions"


def read_structure(wav2vec: Any, normalize_waveform: bool = False) -> WavLMConfig:
    """Read the structure of an encoder, `wav2vec` among hyper-parameters

    Parameters
    ----------
    wav2vec : str or dict
        Name of a bundle of torchaudio, or arguments of `torchaudio.models.wavlm_model`.
    normalize_waveform : bool, optional
        Whether the model normalizes waveforms that a dictionary describes. Defaults to False.

    Raises
    ------
    ValueError
        If the encoder is no WavLM, or if an argument is impossible.
    """
    if isinstance(wav2vec, str):
        if wav2vec not in BUNDLES:
            raise ValueError(
                f"`hyper_parameters.wav2vec` must be one of {', '.join(BUNDLES)}, or the arguments "
                f"of a WavLM encoder, found {shorten(wav2vec)}: {OTHERS}."
            )
        return WavLMConfig.preset(BUNDLES[wav2vec])
    if isinstance(wav2vec, Mapping) and not any(name in wav2vec for name in ONLY_WAVLM):
        raise ValueError(
            "`hyper_parameters.wav2vec` must describe a WavLM encoder, found one without "
            f"{' and '.join(ONLY_WAVLM)}, as wav2vec 2.0 and HuBERT: {OTHERS}."
        )
    return config_from_torchaudio(wav2vec, normalize_waveform)


def read_mixture(layer: int, wavlm: WavLMConfig) -> tuple[str, WavLMConfig]:
    """Read `wavlm_layer`, the number of the layer whose states are used, or -1 for all of them

    Returns
    -------
    mixture : str
        See `Head`.
    wavlm : WavLMConfig
        Structure without the layers that are not used.

    Raises
    ------
    ValueError
        If there is no such layer.
    """
    if layer < 0:
        return "softmax", wavlm
    if not 1 <= layer <= wavlm.num_layers:
        expected = f"from 1 to {wavlm.num_layers}, the number of a layer, or -1 for all of them"
        refuse("hyper_parameters.wav2vec_layer", expected, layer)
    return "last", replace(wavlm, layers=wavlm.layers[:layer])


class Audio(Protocol):
    """Hyper-parameters that all models of pyannote.audio have"""

    @property
    def sample_rate(self) -> int: ...

    @property
    def num_channels(self) -> int: ...


def convert_hparams(arguments: Audio, wavlm: WavLMConfig, head: Head) -> dict[str, Any]:
    """Make the arguments of `WavLMSegmentation`, which `rebuild` checks"""
    return {
        "wavlm": wavlm.to_dict(),
        "head": head.to_dict(),
        "sample_rate": arguments.sample_rate,
        "num_channels": arguments.num_channels,
    }


def convert_weights(
    weights: Any, wavlm: WavLMConfig, num_layers: int, source: str
) -> dict[str, Tensor]:
    """Rename weights as in `WavLMSegmentation`

    Parameters
    ----------
    weights : dict of torch.Tensor
        As read from a file.
    wavlm : WavLMConfig
        Structure without the layers that are not used, whose weights are left out.
    num_layers : int
        Number of layers of the file.
    source : str
        Name of the file, for messages.
    """
    if not is_state_dict(weights):
        raise ValueError(f"`state_dict` of {source} must be made of names and tensors.")
    prefix = "wav2vec."
    encoder = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    head = {k: v for k, v in weights.items() if not k.startswith(prefix)}
    if "wav2vec_weights" in head:
        head["layer_weights"] = head.pop("wav2vec_weights")
    encoder = weights_from_torchaudio(encoder)
    unused = re.compile(r"layers\.(\d+)\.")
    for key in list(encoder):
        found = unused.match(key)
        if found and wavlm.num_layers <= int(found[1]) < num_layers:
            del encoder[key]
    return head | {f"wavlm.{key}": tensor for key, tensor in encoder.items()}
