"""Speaker embeddings that process each window only once"""

from __future__ import annotations

import warnings
from typing import Any, TypeGuard

import numpy as np
import torch
from pyannote.audio.pipelines.speaker_verification import PyannoteAudioPretrainedSpeakerEmbedding
from torch import Tensor

from ..onnx.embedding import EmbeddingTrunk, is_wespeaker
from ..onnx.engines import AUTO, TORCH, find_engine, supports_dtype


class SharedFramesEmbedding(PyannoteAudioPretrainedSpeakerEmbedding):
    """Embeddings of all speakers of a window, from frames that are computed once

    The pipeline of pyannote.audio computes one embedding after the other, with the same waveform
    for each speaker of a window. Most of the network does not depend on the speaker: its output is
    kept as long as the waveform is the same. Speakers who are silent in a window, whose embeddings
    the pipeline does not use, cost nothing if their embedding is always the same.

    Parameters
    ----------
    embedding : PyannoteAudioPretrainedSpeakerEmbedding
        Embedding for which `can_share_frames` is true.
    engine : str, optional
        Library that computes frames on CPU, as `choose_engine` gives it. PyTorch computes them on
        other devices, and all the rest. Defaults to PyTorch.
    dtype : {"bfloat16"}, optional
        Precision of frames, as `choose_dtype` gives it. Defaults to single precision.
    """

    model_: Any  # with the two methods that `can_share_frames` looks for

    def __init__(
        self,
        embedding: PyannoteAudioPretrainedSpeakerEmbedding,
        engine: str | None = None,
        dtype: str | None = None,
    ) -> None:
        super().__init__(embedding.model_, device=embedding.device)
        self._trunk = None if engine is None else EmbeddingTrunk(self.model_, engine, dtype)
        self._last = torch.empty(0), torch.empty(0)
        self._of_silence = self._embed_silence()

    def __call__(self, waveforms: Tensor, masks: Tensor | None = None) -> np.ndarray:
        """Extract embeddings

        Parameters
        ----------
        waveforms : (batch_size, 1, num_samples) torch.Tensor
        masks : (batch_size, num_frames) torch.Tensor, optional

        Returns
        -------
        embeddings : (batch_size, dimension) np.ndarray
        """
        if masks is None:
            return super().__call__(waveforms)
        speaks = (masks != 0).any(dim=1).cpu()
        if self._of_silence is None or speaks.all():
            return self._embed(waveforms, masks)
        embeddings = np.repeat(self._of_silence, len(masks), axis=0)
        if speaks.any():
            embeddings[speaks.numpy()] = self._embed(waveforms[speaks], masks[speaks])
        return embeddings

    def frames(self, waveforms: Tensor) -> Tensor:
        """Compute frames, which do not depend on the speaker

        Parameters
        ----------
        waveforms : (batch_size, 1, num_samples) torch.Tensor

        Returns
        -------
        frames : (batch_size, ..., num_frames) torch.Tensor
            On the device of the embedding.
        """
        with torch.inference_mode():
            return self._forward_frames(waveforms.to(self.device))

    def pool(self, frames: Tensor, masks: Tensor) -> np.ndarray:
        """Pool frames over speakers

        Parameters
        ----------
        frames : (batch_size, ..., num_frames) torch.Tensor
        masks : (batch_size, num_mask_frames) torch.Tensor

        Returns
        -------
        embeddings : (batch_size, dimension) np.ndarray
        """
        with torch.inference_mode():
            embeddings = self.model_.forward_embedding(frames, weights=masks.to(self.device))
        return embeddings.cpu().numpy()

    def of_silence(self) -> np.ndarray:
        """Get the embedding of speakers who are silent

        Returns
        -------
        embedding : (1, dimension) np.ndarray
            NaN if it depends on the waveform.
        """
        if self._of_silence is None:
            return np.full((1, self.dimension), np.nan, np.float32)
        return self._of_silence

    def _embed(self, waveforms: Tensor, masks: Tensor) -> np.ndarray:
        with torch.inference_mode():
            frames = self._shared_frames(waveforms)
        return self.pool(frames, masks)

    def _embed_silence(self) -> np.ndarray | None:
        """Embed a speaker who is silent all along

        Returns
        -------
        embedding : (1, dimension) np.ndarray or None
            None if it depends on the waveform, as it may with attentive pooling.
        """
        generator = torch.Generator().manual_seed(0)
        waveforms = torch.randn(2, 1, self.sample_rate // 2, generator=generator)
        with torch.inference_mode():
            frames = self.model_.forward_frames(waveforms.to(self.device))
        embeddings = self.pool(frames, torch.zeros(2, frames.shape[-1]))
        is_constant = np.array_equal(embeddings[0], embeddings[1], equal_nan=True)
        return embeddings[:1] if is_constant else None

    def _forward_frames(self, waveforms: Tensor) -> Tensor:
        if self._trunk is None or self.device.type != "cpu":
            return self.model_.forward_frames(waveforms)
        return self._trunk(self.model_.compute_fbank(waveforms))

    def _shared_frames(self, waveforms: Tensor) -> Tensor:
        """Frames of each waveform, computed once per run of equal waveforms

        Each window comes once per speaker, so that equal waveforms follow each other, also from one
        batch to the next. With the batch A A B C, after a batch that ended with A::

            waveforms       A  A  B  C
            is_new          0  0  1  1    other than the waveform before it
            kinds           A  B  C       frames kept from the last batch, then new ones
            cumsum(is_new)  0  0  1  2    index among `kinds`

        After a batch that ended with anything else, the first waveform is new as well: nothing is
        kept, and the cumulated sum 1 1 2 3 is one more than the index.

        Parameters
        ----------
        waveforms : (batch_size, 1, num_samples) torch.Tensor

        Returns
        -------
        frames : (batch_size, ..., num_frames) torch.Tensor
        """
        # one read and one assignment: other threads may use the same pipeline
        last_waveform, last_frames = self._last
        pairs = zip([last_waveform, *waveforms[:-1]], waveforms, strict=True)
        is_new = torch.tensor([not torch.equal(previous, current) for previous, current in pairs])
        kinds = [] if is_new[0] else [last_frames.to(self.device)]
        if is_new.any():
            kinds.append(self._forward_frames(waveforms[is_new].to(self.device)))
        index = is_new.cumsum(0) - int(is_new[0])
        frames = torch.cat(kinds)[index.to(self.device)]
        self._last = waveforms[-1], frames[-1:]
        return frames


def can_share_frames(embedding: Any) -> TypeGuard[PyannoteAudioPretrainedSpeakerEmbedding]:
    """Whether an embedding has frames that do not depend on the speaker"""
    return type(embedding) is PyannoteAudioPretrainedSpeakerEmbedding and all(
        callable(getattr(embedding.model_, name, None))
        for name in ("forward_frames", "forward_embedding")
    )


def choose_engine(engine: str | None, embedding: Any, share_frames: bool) -> str | None:
    """Choose the library that computes frames

    Parameters
    ----------
    engine : str, optional
        See `DiarizationPipeline`.
    embedding : BaseInference
        Loaded speaker embedding.
    share_frames : bool
        See `DiarizationPipeline`.

    Returns
    -------
    engine : {"onnxruntime", "openvino"}, optional
        None for PyTorch.

    Raises
    ------
    ValueError
        If no engine can compute this embedding, and one is asked for.
    """
    if engine in (None, TORCH):
        return None
    found = getattr(embedding, "model_", None)
    is_possible = share_frames and is_wespeaker(found)
    if engine == AUTO:
        return find_engine() if is_possible else None
    if not is_possible:
        kind = type(embedding if found is None else found).__name__
        raise ValueError(
            "`embedding_engine` must be None, 'torch' or 'auto' unless `share_frames` is true and "
            f"`embedding` is a WeSpeaker ResNet of pyannote.audio, found {engine!r} for "
            f"{kind} with `share_frames={share_frames}`: leave it out."
        )
    return engine


def choose_dtype(dtype: str | None, engine: str | None) -> str | None:
    """Choose the precision of frames: single (None), with a warning, where another is not possible

    Parameters
    ----------
    dtype : {"bfloat16"}, optional
        See `DiarizationPipeline`.
    engine : str, optional
        As `choose_engine` gives it.
    """
    if supports_dtype(engine or TORCH, dtype):
        return dtype
    warnings.warn(
        f"Speaker embeddings in {dtype} need a WeSpeaker embedding, OpenVINO (`embedding_engine`), "
        "and a processor that supports it: they are in single precision instead.",
        stacklevel=3,
    )
    return None
