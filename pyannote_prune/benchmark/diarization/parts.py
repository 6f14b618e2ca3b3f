"""Parts of the pipelines to compare: models, PLDA, hyper-parameters"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyannote.audio import Model
from pyannote.audio.core.pipeline import expand_subfolders

from ...files.schema import read_yaml
from ...pipeline.export import COMMUNITY_1, check_parts
from ...pipeline.load import CONFIG, check_device
from ...pipeline.settings import WITH_OPTIONS, DiarizationSettings
from .models import check_embedding, check_segmentation

VBX, AGGLOMERATIVE = "VBxClustering", "AgglomerativeClustering"

# of pyannote.audio: community-1 and, rounded, speaker-diarization-3.1
HYPER_PARAMETERS: dict[str, dict[str, Any]] = {
    VBX: DiarizationSettings().parameters,
    AGGLOMERATIVE: {"method": "centroid", "min_cluster_size": 12, "threshold": 0.7},
}


@dataclass(frozen=True)
class Parts:
    """Parts that all pipelines have in common

    Clustering is VBx if there is a PLDA, agglomerative otherwise. Its hyper-parameters are those of
    the pipeline folder, if it has the same clustering, or else `HYPER_PARAMETERS`.

    Parameters
    ----------
    segmentation : str or Model
        Preset (random weights), checkpoint, ONNX file written by `save_onnx`, or exported pipeline
        folder, whose embedding, PLDA and settings count too.
    embedding : Path, optional
        Folder or checkpoint of pyannote.audio, or ONNX file of WeSpeaker. Defaults to that of the
        pipeline folder, otherwise to a WeSpeaker ResNet34 with random weights.
    plda : Path, optional
        Folder of a PLDA. Defaults to that of the pipeline folder, unless `embedding` is another
        one than it was made for.
    threshold : float, optional
        Hyper-parameter of clustering, which replaces the above.
    min_cluster_size : int, optional
        Idem, for agglomerative clustering.
    device : str, optional
    """

    segmentation: str | Model = "base-s80-md"
    embedding: Path | None = None
    plda: Path | None = None
    threshold: float | None = None
    min_cluster_size: int | None = None
    device: str = "cpu"

    @property
    def folder(self) -> Path | None:
        """Pipeline folder, if segmentation is one"""
        if isinstance(self.segmentation, Model):
            return None
        path = Path(self.segmentation)
        return path if path.is_dir() else None

    @property
    def has_embedding(self) -> bool:
        """Whether there is an embedding other than a random one"""
        return self.embedding is not None or self.folder is not None

    def check(self) -> None:
        """Check that parts exist, before anything is loaded

        Raises
        ------
        OSError, ValueError
            If one of them does not exist, or cannot have its role.
        MissingExtra
            If packages are missing to read it.
        """
        check_device(self.device)
        if self.folder is None:
            check_segmentation(self.segmentation)
        if self.embedding is not None:
            check_embedding(self.embedding)
        if self.plda is not None:
            check_parts(COMMUNITY_1, self.plda, ("plda",))
        self.arguments()

    def arguments(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Arguments of pipelines, and their hyper-parameters

        Returns
        -------
        arguments : dict
            Some of them for our class alone. "segmentation" and "embedding" are still to be opened.
        hyper_parameters : dict
            See `pyannote.pipeline.Pipeline.instantiate`.

        Raises
        ------
        ValueError
            If the folder has another pipeline, or if clustering has no such hyper-parameter.
        """
        arguments, hyper_parameters = self._defaults() if self.folder is None else self._settings()
        if self.embedding is not None:
            arguments |= {"embedding": self.embedding, "plda": None}
        if self.plda is not None:
            arguments["plda"] = str(self.plda)
        clustering = AGGLOMERATIVE if arguments.get("plda") is None else VBX
        if clustering != arguments.get("clustering") or "clustering" not in hyper_parameters:
            hyper_parameters["clustering"] = dict(HYPER_PARAMETERS[clustering])
        arguments["clustering"] = clustering
        for name in ("threshold", "min_cluster_size"):
            if (value := getattr(self, name)) is not None:
                _replace(hyper_parameters["clustering"], name, value, clustering)
        return arguments, hyper_parameters

    def describe(self) -> dict[str, Any]:
        """Parts and hyper-parameters, as plain values"""
        arguments, hyper_parameters = self.arguments()
        embedding = self.embedding or self.folder
        return {
            "segmentation": str(self.segmentation),
            "embedding": None if embedding is None else str(embedding),
            "clustering": arguments["clustering"],
            **hyper_parameters["clustering"],
        }

    def _defaults(self) -> tuple[dict[str, Any], dict[str, Any]]:
        arguments = {
            "segmentation": self.segmentation,
            "embedding": None,
            "segmentation_batch_size": 8,
            "embedding_batch_size": 8,
            "embedding_exclude_overlap": True,
        }
        return arguments, {"segmentation": {"min_duration_off": 0.0}}

    def _settings(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Settings of the pipeline folder"""
        assert self.folder is not None
        path = self.folder / CONFIG
        config = read_yaml(path, "the settings of a pipeline") if path.is_file() else None
        config = config if isinstance(config, dict) else {}
        pipeline, hyper_parameters = config.get("pipeline"), dict(config.get("params") or {})
        arguments = pipeline.get("params") if isinstance(pipeline, dict) else None
        if not isinstance(arguments, dict):
            raise ValueError(
                f"`segmentation` must have the {CONFIG!r} of a pipeline if it is a folder, found "
                f"none in {str(self.folder)!r}: export the model first (`pyannote-prune export`)."
            )
        clustering = arguments.get("clustering", VBX)
        if clustering not in WITH_OPTIONS:
            raise ValueError(
                f"`segmentation` must have {' or '.join(WITH_OPTIONS)} if it is a pipeline folder, "
                f"found {clustering!r} in {str(self.folder)!r}: export it with embeddings."
            )
        if clustering != VBX:
            arguments.pop("plda", None)
        expand_subfolders(config, str(self.folder))
        return {"clustering": VBX, **arguments}, hyper_parameters


def _replace(hyper_parameters: dict[str, Any], name: str, value: float, clustering: str) -> None:
    if name not in hyper_parameters:
        raise ValueError(
            f"`{name}` must be None with {clustering}, found {value!r}: it has "
            f"{', '.join(hyper_parameters)}."
        )
    hyper_parameters[name] = value
