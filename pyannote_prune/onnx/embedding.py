"""Speaker embeddings with ONNX Runtime or OpenVINO, and as ONNX files"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import torch
import torch.nn as nn
from pyannote.audio.models.embedding.wespeaker import BaseWeSpeakerResNet
from torch import Tensor

from ..files.atomic import atomic_write
from ..files.audio import SAMPLE_RATE
from ..files.extras import require_extra
from .engines import ENGINES, EXTRA_OF, Engine
from .resnet import make_embedding, make_trunk
from .save import check_name

# features of sherpa-onnx
NUM_MEL_BINS = 80


class EmbeddingTrunk:
    """Network of a WeSpeaker embedding on CPU, from features to the frames that are pooled

    Its weights are those that the embedding had when this was made.

    Parameters
    ----------
    model : BaseWeSpeakerResNet
        In evaluation mode. Not modified.
    engine : {"onnxruntime", "openvino"}
        Its number of threads is that of PyTorch.
    dtype : {"bfloat16"}, optional
        Precision of operations, with OpenVINO. Defaults to single precision.

    Shape
    -----
    features : (batch_size, num_frames, num_mel_bins) torch.Tensor
        As `model.compute_fbank` gives them.
    frames : (batch_size, channels, bins, num_pooled_frames) torch.Tensor
        As `model.forward_frames` gives them.

    Raises
    ------
    ImportError
        If the packages of the engine are not installed.
    ValueError
        If the network has other layers than those of pyannote.audio.
    """

    def __init__(self, model: BaseWeSpeakerResNet, engine: str, dtype: str | None = None) -> None:
        require_extra(EXTRA_OF[engine])
        self.model, self.engine, self.dtype = model, engine, dtype
        self._opened: Engine | None = self._open()

    def __call__(self, features: Tensor) -> Tensor:
        # shapes that do not change from one call to the next need less memory, and are not slower
        opened = self._opened = self._opened or self._open()
        frames = [opened(one[None].numpy()) for one in features.float()]
        return torch.from_numpy(np.concatenate(frames))

    def _open(self) -> Engine:
        graph = make_trunk(self.model).SerializeToString()
        example = np.zeros((1, 100, self.model.hparams["num_mel_bins"]), np.float32)
        return ENGINES[self.engine](graph, "cpu", torch.get_num_threads(), example, self.dtype)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the engine out, which is opened again"""
        return self.__dict__ | {"_opened": None}


def is_wespeaker(model: object) -> TypeGuard[BaseWeSpeakerResNet]:
    """Whether a speaker embedding is a WeSpeaker ResNet of pyannote.audio"""
    return isinstance(model, BaseWeSpeakerResNet)


def can_save_embedding(model: object) -> TypeGuard[BaseWeSpeakerResNet]:
    """Whether a speaker embedding computes what `save_embedding` writes"""
    return (
        is_wespeaker(model)
        and isinstance(model.get_submodule("resnet.seg_2"), nn.Identity)
        and model.hparams["sample_rate"] == SAMPLE_RATE
        and model.hparams["num_mel_bins"] == NUM_MEL_BINS
        and model.hparams.get("fbank_centering_span") is None
    )


def save_embedding(model: BaseWeSpeakerResNet, path: str | Path, source: str = "unknown") -> None:
    """Save a speaker embedding as an ONNX file, for sherpa-onnx and others

    Its input, "feats" (batch_size, num_frames, 80), has the features that `model.compute_fbank`
    gives: logarithms of 80 mel bands of audio at 16 kHz whose samples are between -32768 and 32767,
    in frames of 25 ms every 10 ms (Hamming window), minus their means over time. Its output, "embs"
    (batch_size, dimension), is the embedding.

    Parameters
    ----------
    model : BaseWeSpeakerResNet
        For which `can_save_embedding` is true. Not modified.
    path : str or Path
        File to write, whose name ends in ".onnx". An existing file is replaced atomically.
    source : str, optional
        Where the embedding comes from, for the metadata of the file.
    """
    require_extra("onnx")
    check_name(path)
    import onnx

    proto = make_embedding(model)
    # the keys that sherpa-onnx reads
    metadata = {
        "framework": "wespeaker",
        "language": "unknown",
        "url": source,
        "comment": f"{type(model).__name__} of pyannote.audio",
        "sample_rate": SAMPLE_RATE,
        "output_dim": model.dimension,
        "normalize_samples": 0,
        "feature_normalize_type": "global-mean",
    }
    onnx.helper.set_model_props(proto, {key: str(value) for key, value in metadata.items()})
    with atomic_write(path) as draft:
        onnx.save(proto, draft)
