"""Encoder of a segmentation model, from a name, a folder or a structure"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ..wavlm.config import WavLMConfig
from ..wavlm.encoder import WavLM
from ..wavlm.gating import attach_gates
from ..wavlm.huggingface import load_huggingface


def make_encoder(
    wavlm: str | Path | WavLMConfig | Mapping[str, Any], units: Collection[str]
) -> WavLM:
    """Load or make the encoder of a model: see `WavLMSegmentation`"""
    if isinstance(wavlm, WavLMConfig):
        return WavLM(wavlm, units)
    if isinstance(wavlm, Mapping):
        return WavLM(WavLMConfig.from_dict(wavlm), units)
    if isinstance(wavlm, str | Path):
        encoder = load_huggingface(wavlm)
        return attach_gates(encoder, units) if units else encoder
    raise TypeError(
        "`wavlm` must be a hub id, a local folder, a WavLMConfig or its dictionary, "
        f"found {type(wavlm).__name__}."
    )
