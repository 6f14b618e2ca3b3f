"""Whole diarization: segmentation, speaker embeddings of the user, and their clustering"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ...data.protocol_files import without_references
from ...segmentation.checkpoint import load_checkpoint
from ..diarization.models import check_embedding, weights_of
from ..diarization.parts import Parts
from ..diarization.row import score
from ..diarization.variants import Variant, make_pipeline


@dataclass(frozen=True)
class WholeDiarization:
    """Options of whole diarizations, which are the same for all arms

    Parameters
    ----------
    embedding : Path
        Folder or checkpoint of a speaker embedding of pyannote.audio, or ONNX file of WeSpeaker.
    threshold : float, optional
        Threshold of agglomerative clustering. Defaults to 0.7.
    min_cluster_size : int, optional
        Smallest cluster that is a speaker, in embeddings. Defaults to 5.
    step : float, optional
        Step between windows, as a share of their length. Defaults to a quarter.
    groups : tuple of str, optional
        Groups of arms to diarize with. Defaults to all that are scored.
    """

    embedding: Path
    threshold: float = 0.7
    min_cluster_size: int = 5
    step: float = 0.25
    groups: tuple[str, ...] | None = None

    def check(self) -> None:
        """Check that the embedding can be read, before anything is trained

        Raises
        ------
        OSError, ValueError
            If it does not exist, or if an option is impossible.
        MissingExtra
            If packages are missing to read it.
        """
        check_embedding(self.embedding)

    @cached_property
    def options(self) -> dict[str, Any]:
        """What scores depend on, in plain values: the embedding by its content, wherever it is"""
        content = weights_of(self.embedding).read_bytes()
        return {
            "embedding": f"sha256:{hashlib.sha256(content).hexdigest()}",
            "threshold": self.threshold,
            "min_cluster_size": self.min_cluster_size,
            "step": self.step,
        }

    def __call__(self, model: Path, recordings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Diarize recordings, and score them

        Parameters
        ----------
        model : Path
            Checkpoint of a segmentation model.
        recordings : sequence of dict
            With references, which the pipeline does not see.

        Returns
        -------
        scores : dict
            See `benchmark.diarization.row.score`.
        """
        parts = Parts(
            load_checkpoint(model),
            self.embedding,
            threshold=self.threshold,
            min_cluster_size=self.min_cluster_size,
        )
        pipeline = make_pipeline(parts, Variant(options={"segmentation_step": self.step}))
        found = {}
        for recording in recordings:
            output: Any = pipeline(dict(without_references(recording)))
            found[recording["uri"]] = output.speaker_diarization
        return score(recordings, found)
