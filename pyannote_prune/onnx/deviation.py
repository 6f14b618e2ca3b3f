"""Deviation of an ONNX file from the model that it was made from"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pyannote.audio.sample import SAMPLE_FILE
from pyannote.audio.utils.powerset import Powerset
from torch import Tensor

from ..segmentation.model import WavLMSegmentation
from ..segmentation.specifications import class_names, single_specifications

# window, speaker, first frame, first frame after it
Turn: TypeAlias = tuple[int, ...]

# a turn is kept if none of its ends moves by more than so many frames (0.1 s)
TOLERANCE = 5


@dataclass(frozen=True)
class Deviation:
    """Deviation of scores, and of what is decided from them

    Parameters
    ----------
    scores : float
        Largest difference of scores: log-probabilities for powerset classes.
    same_class : float
        Share of frames with the same speakers.
    num_turns : int
        Number of turns of the model, window by window.
    kept_turns : float
        Share of these turns that the file also has, within 0.1 s. 1 if there are none.
    """

    scores: float
    same_class: float
    num_turns: int
    kept_turns: float


def measure_deviation(model: WavLMSegmentation, path: str | Path) -> Deviation:
    """Compare a model and an ONNX file on the conversation of pyannote.audio, window by window"""
    from onnxruntime import InferenceSession

    waveforms = windows(model)
    with torch.inference_mode():
        expected = model(waveforms).float().cpu()
    session = InferenceSession(path, providers=["CPUExecutionProvider"])
    found = torch.from_numpy(session.run(None, {"waveforms": waveforms.cpu().numpy()})[0])
    ours, theirs = decide(model, expected), decide(model, found)
    turns = find_turns(ours)
    others = find_turns(theirs)
    kept = [any(_is_close(turn, other) for other in others) for turn in turns]
    return Deviation(
        scores=(found - expected).abs().max().item(),
        same_class=float((ours == theirs).all(-1).mean()),
        num_turns=len(turns),
        kept_turns=float(np.mean(kept)) if kept else 1.0,
    )


def windows(model: WavLMSegmentation) -> Tensor:
    """Consecutive windows of the conversation, as long as those of the model

    Returns
    -------
    waveforms : (num_windows, 1, num_samples) torch.Tensor
    """
    waveform, sample_rate = model.audio(SAMPLE_FILE)
    duration = single_specifications(model).duration
    num_samples = max(model.receptive_field_size(), round(duration * sample_rate))
    num_samples = min(num_samples, waveform.shape[1])
    parts = waveform.unfold(1, num_samples, num_samples).transpose(0, 1)
    return parts.to(model.device)


def decide(model: WavLMSegmentation, scores: Tensor) -> NDArray[np.bool_]:
    """Decide who speaks: (num_windows, num_frames, num_speakers)"""
    specifications = single_specifications(model)
    num_classes = len(class_names(specifications))
    if specifications.powerset:
        powerset = Powerset(num_classes, cast(int, specifications.powerset_max_classes))
        return powerset.to_multilabel(scores).numpy() > 0
    return scores.numpy() > 0.5


def find_turns(active: NDArray[np.bool_]) -> list[Turn]:
    """Find turns, in decisions of `decide`"""
    padded = np.pad(active, ((0, 0), (1, 1), (0, 0))).astype(int).transpose(0, 2, 1)
    changes = np.diff(padded)
    starts, ends = np.argwhere(changes == 1), np.argwhere(changes == -1)
    return [(*start, end) for start, end in zip(starts.tolist(), ends[:, 2].tolist(), strict=True)]


def _is_close(turn: Turn, other: Turn) -> bool:
    return turn[:2] == other[:2] and all(
        abs(a - b) <= TOLERANCE for a, b in zip(turn[2:], other[2:], strict=True)
    )
