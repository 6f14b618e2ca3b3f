"""Open segmentation models and speaker embeddings of all formats"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from pyannote.audio import Model
from pyannote.audio.models.embedding import WeSpeakerResNet34

from ...files.extras import require_extra
from ...files.messages import did_you_mean
from ...files.pickles import read_safely
from ...files.sources import check_is_file, is_onnx
from ...onnx.model import ONNXSegmentation
from ...pipeline.export import WEIGHTS
from ...segmentation.checkpoint import load_checkpoint
from ...segmentation.model import WavLMSegmentation
from ...segmentation.pytorch_file import saved_model
from ...segmentation.safetensors_file import is_safetensors
from ...segmentation.specifications import single_specifications
from ...wavlm.presets import PRESETS
from ..speed.subjects import load_preset


def open_segmentation(source: Any) -> Model:
    """Open a segmentation model

    Parameters
    ----------
    source : Model, str or Path
        Preset, whose random weights hear speech, checkpoint of pyannote.audio or of ours, or ONNX
        file.
    """
    if isinstance(source, Model):
        return source
    if is_preset(source):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = load_preset(source)
        hear_speech(model)
        return model
    if is_onnx(source):
        return ONNXSegmentation(source)
    return load_checkpoint(source) if is_safetensors(source) else _open_pytorch(Path(source))


def check_segmentation(source: Any) -> None:
    """Check that there is such a preset or file

    Raises
    ------
    OSError, ValueError
        If there is none.
    MissingExtra
        If it is an ONNX file, and packages are missing.
    """
    if isinstance(source, Model) or is_preset(source):
        return
    if not Path(source).exists():
        raise ValueError(
            "`segmentation` must be a checkpoint, an ONNX file, the folder of a pipeline, or among "
            f"{', '.join(PRESETS)}, found {str(source)!r}{did_you_mean(source, PRESETS)}."
        )
    check_is_file(source)
    if is_onnx(source):
        require_extra("onnx")


def is_preset(source: Any) -> bool:
    return source in PRESETS and not Path(source).exists()


def hear_speech(model: WavLMSegmentation) -> None:
    """Let random weights, which could find no speech in any frame, find some"""
    if single_specifications(model).powerset:
        with torch.no_grad():
            model.classifier.bias[0] -= 10.0


def open_embedding(source: Path | None) -> Any:
    """Open a speaker embedding

    Parameters
    ----------
    source : Path or None
        Folder or checkpoint of pyannote.audio, ONNX file, or None for random weights.

    Returns
    -------
    embedding : Model or ONNXWeSpeakerPretrainedSpeakerEmbedding
    """
    if source is None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return WeSpeakerResNet34().eval()
    check_embedding(source)
    if is_onnx(source):
        # its module needs ONNX Runtime
        from pyannote.audio.pipelines import speaker_verification

        return speaker_verification.ONNXWeSpeakerPretrainedSpeakerEmbedding(str(source))
    return _open_pytorch(weights_of(source))


def check_embedding(source: Path) -> None:
    """Check that there is such a folder or file

    Raises
    ------
    OSError
        If there is none.
    MissingExtra
        If it is an ONNX file, and packages are missing.
    """
    if not source.exists():
        raise FileNotFoundError(
            "`embedding` must be a folder, a checkpoint or an ONNX file, found "
            f"{str(source)!r}, which does not exist: check its name."
        )
    if is_onnx(source):
        require_extra("onnx")
    elif not weights_of(source).is_file():
        raise FileNotFoundError(
            f"`embedding` must have a file {WEIGHTS!r} if it is a folder, found {str(source)!r} "
            "without one: give the folder, or the file, of a speaker embedding of pyannote.audio."
        )


def weights_of(source: Path) -> Path:
    """Checkpoint in a folder of an embedding, or of a pipeline"""
    if not source.is_dir():
        return source
    inside = source / "embedding" / WEIGHTS
    return inside if inside.is_file() else source / WEIGHTS


def _open_pytorch(path: Path) -> Model:
    """Open a checkpoint of pyannote.audio, of any of its classes, that holds no code"""
    saved_model(read_safely(path), repr(str(path)))
    model = Model.from_pretrained(path)
    assert model is not None  # the file exists
    return model.eval()
