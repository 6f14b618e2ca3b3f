"""Speaker diarization pipeline with the options of DiariZen"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from pyannote.audio import pipelines
from pyannote.audio.core.io import AudioFile
from pyannote.audio.pipelines.clustering import BaseClustering
from pyannote.core import SlidingWindowFeature
from pyannote.database.protocol.protocol import ProtocolFile
from scipy.ndimage import median_filter as scipy_median_filter

from ..data.decoding import decoded
from ..files.sources import is_onnx
from ..onnx.engines import check_dtype
from ..onnx.model import DEFAULT, ONNXSegmentation
from ..segmentation.model import WavLMSegmentation
from ..segmentation.samples import in_single_precision
from ..segmentation.specifications import single_specifications
from ..wavlm.inference.bfloat16 import supports_bfloat16
from .clustering import CLUSTERINGS
from .cropping import crop_to_audio
from .embedding import SharedFramesEmbedding, can_share_frames, choose_dtype, choose_engine
from .pyannote_repairs import (
    CACHES,
    NoEmbedding,
    NoPLDA,
    get_embedding,
    get_plda,
    get_segmentation_model,
    set_embedding,
    set_segmentation_model,
)
from .segmentation_file import find_file, open_file
from .settings import (
    STEP,
    check_bounds,
    check_clean_ratio,
    check_clustering,
    check_engines,
    check_median_filter,
    check_step,
    check_stretch,
)
from .speed import options_at
from .stretches import can_stretch, embed_over_stretches


class DiarizationPipeline(pipelines.SpeakerDiarization):
    """Speaker diarization pipeline of pyannote.audio, with more options

    Exported `config.yaml` files name it `pyannote_prune.pipeline.SpeakerDiarization`. Unlike the
    class of pyannote.audio (4.0.7), it gives no turn after the end of the audio, and it also runs
    with `clustering="OracleClustering"`, without any speaker embedding. VBx alone needs a PLDA.

    Parameters
    ----------
    median_filter : int, optional
        Size, in frames, of the median filter over the binarized segmentation of each window: it
        removes shorter activations and gaps. Odd. Defaults (1) to no filter.
    min_speakers, max_speakers : int, optional
        Bounds for files whose number of speakers is not given. Default to none.
    min_clean_ratio, constrained_assignment : optional
        Rules of clustering: see `pyannote_prune.DiarizationSettings`.
    first_channel : bool, optional
        Use the first channel of recordings, unless a file has a "channel". Defaults to the average
        of all channels.
    share_frames : bool, optional
        Compute frames of a window once for the embeddings of all of its speakers, if the embedding
        allows it (as WeSpeaker does): same results, several times faster. Defaults to True.
    segmentation_dtype : str, optional
        "bfloat16" is faster, with slightly different results, on processors that support it: others
        ignore it, with a warning. It is for WavLM in PyTorch, and for ONNX files with OpenVINO.
        Defaults to the precision of weights.
    segmentation_engine : {"auto", "torch", "onnxruntime", "openvino"}, optional
        Library that computes a segmentation model in an ONNX file: see `ONNXSegmentation`. PyTorch
        computes other models, and only those. Defaults to "onnxruntime" for an ONNX file.
    embedding_engine : {"auto", "torch", "onnxruntime", "openvino"}, optional
        Library that computes the speaker embedding on CPU, if it is a WeSpeaker ResNet of
        pyannote.audio: same embeddings to rounding, in less time. It is converted when the pipeline
        is made: later changes of its weights are not seen. PyTorch pools over speakers, and
        computes everything on other devices. "auto" takes the fastest that is installed and
        possible: OpenVINO, ONNX Runtime, PyTorch. Defaults to PyTorch.
    embedding_dtype : str, optional
        "bfloat16" is faster with OpenVINO, with slightly different results, on processors that
        support it: others ignore it, with a warning. Defaults to single precision.
    embedding_stretch : float, optional
        Longest stretch of a recording, in seconds, over which frames of embeddings are computed
        once, rather than window by window. For WeSpeaker ResNets with `share_frames`: others ignore
        it, with a warning. Embeddings differ slightly. Defaults to single windows.
    speed : {"exact", "balanced", "fast"}, optional
        Defaults of engines, precisions, `segmentation_step` and `embedding_stretch`. "exact":
        fastest engines, same results. "balanced": also bfloat16 where it is possible, windows that
        advance by 0.15 of their length rather than a tenth, and stretches of 60 s. "fast": windows
        that advance by a quarter. `min_cluster_size` of agglomerative clustering counts windows:
        scale it (see `pyannote_prune.pipeline.speed.at_speed`).
        Defaults to PyTorch in single precision, and to the step of pyannote.audio.
    **kwargs
        See `pyannote.audio.pipelines.SpeakerDiarization`. Besides, `segmentation` can be the path
        of a ".safetensors" or ".onnx" file, and "$model/segmentation/model.safetensors" (or
        "model.onnx") in a `config.yaml`.

    Raises
    ------
    ValueError
        If the size of the filter is even, if bounds contradict each other, if the clustering does
        not have an option, if there is a filter for a segmentation model that is not powerset, or
        if an engine cannot compute a model.
    ImportError
        If the packages of an engine are not installed.
    """

    def __init__(
        self,
        *,
        median_filter: int = 1,
        min_speakers: int | None = None,
        max_speakers: int | None = None,
        min_clean_ratio: float | None = None,
        constrained_assignment: bool | None = None,
        first_channel: bool = False,
        share_frames: bool = True,
        segmentation_dtype: str | None = None,
        segmentation_engine: str | None = None,
        embedding_engine: str | None = None,
        embedding_dtype: str | None = None,
        embedding_stretch: float | None = None,
        speed: str | None = None,
        **kwargs,
    ) -> None:
        defaults = options_at(speed)
        segmentation_engine = segmentation_engine or defaults.get("segmentation_engine")
        embedding_engine = embedding_engine or defaults.get("embedding_engine")
        if "segmentation_step" in defaults:
            kwargs.setdefault("segmentation_step", defaults["segmentation_step"])
        check_step(kwargs.get("segmentation_step", STEP))
        check_median_filter(median_filter)
        check_bounds(min_speakers, max_speakers)
        check_dtype(segmentation_dtype, "segmentation_dtype")
        check_dtype(embedding_dtype, "embedding_dtype")
        check_stretch(embedding_stretch)
        check_clean_ratio(min_clean_ratio)
        check_clustering(
            kwargs.get("clustering", "VBxClustering"), min_clean_ratio, constrained_assignment
        )
        if kwargs.get("clustering", "VBxClustering") != "VBxClustering":
            # the class of pyannote.audio would download one
            kwargs["plda"] = NoPLDA()
        path = find_file(kwargs.get("segmentation"), kwargs.get("token"), kwargs.get("cache_dir"))
        check_engines(segmentation_engine, embedding_engine, is_file=is_onnx(path))
        if path is not None:
            kwargs["segmentation"] = open_file(
                path,
                segmentation_engine or DEFAULT,
                segmentation_dtype or defaults.get("segmentation_dtype"),
            )
        super().__init__(**kwargs)
        self.median_filter = median_filter
        self.min_speakers = min_speakers
        self.max_speakers = max_speakers
        self.first_channel = first_channel
        self.embedding_stretch: float | None = None
        self._model = get_segmentation_model(self)
        has_precisions = isinstance(self._model, WavLMSegmentation | ONNXSegmentation)
        if segmentation_dtype is None and has_precisions:
            segmentation_dtype = defaults.get("segmentation_dtype")
        self.segmentation_dtype = segmentation_dtype
        self._device_of_view: torch.device | None = None
        self._check_segmentation_model(has_precisions)
        if constrained_assignment is not None:
            self.clustering.constrained_assignment = constrained_assignment
        if self.klustering in CLUSTERINGS:
            self.clustering = self._clustering_of_ours(min_clean_ratio)
        if self._is_oracle:
            set_embedding(self, NoEmbedding())
            return
        embedding = get_embedding(self)
        engine = choose_engine(embedding_engine, embedding, share_frames)
        if embedding_dtype is None and engine is not None:
            embedding_dtype = defaults.get("embedding_dtype")
        dtype = choose_dtype(embedding_dtype, engine)
        if share_frames and can_share_frames(embedding):
            set_embedding(self, SharedFramesEmbedding(embedding, engine, dtype))
        if can_stretch(get_embedding(self)):
            self.embedding_stretch = embedding_stretch or defaults.get("embedding_stretch")
        elif embedding_stretch is not None:
            warnings.warn(
                "`embedding_stretch` is for WeSpeaker ResNets with `share_frames=True`: embeddings "
                "are computed window by window.",
                stacklevel=2,
            )

    def _check_segmentation_model(self, has_precisions: bool) -> None:
        if self.median_filter > 1 and not single_specifications(self._model).powerset:
            raise ValueError(
                "`median_filter` must be 1 with this `segmentation` model, found "
                f"{self.median_filter}: only powerset models give binary segmentations to filter."
            )
        if self.segmentation_dtype is not None and not has_precisions:
            raise ValueError(
                "`segmentation_dtype` must be None unless `segmentation` is a WavLMSegmentation or "
                f"an ONNX file, found {self.segmentation_dtype!r}."
            )

    @property
    def _is_oracle(self) -> bool:
        return self.klustering == "OracleClustering"

    def _clustering_of_ours(self, min_clean_ratio: float | None) -> BaseClustering:
        """Same clustering, in less memory, and with another filter of embeddings if there is one"""
        options: dict[str, Any] = {
            "metric": self.clustering.metric,
            "constrained_assignment": self.clustering.constrained_assignment,
        }
        if self.klustering == "VBxClustering":
            options["plda"] = get_plda(self)
        found = CLUSTERINGS[self.klustering](**options)
        found.min_clean_ratio = min_clean_ratio
        return found

    def get_segmentations(self, file, hook: Callable | None = None) -> SlidingWindowFeature:
        """Apply segmentation model, then median filter

        Returns
        -------
        segmentations : (num_chunks, num_frames, num_speakers) SlidingWindowFeature
        """
        if self.segmentation_dtype is not None:
            self._set_precision(self.segmentation_dtype)
        segmentations = super().get_segmentations(file, hook=hook)
        if self.median_filter == 1:
            return segmentations
        return SlidingWindowFeature(
            median_over_frames(segmentations.data, self.median_filter),
            segmentations.sliding_window,
        )

    def _set_precision(self, name: str) -> None:
        """Segment with a view of the model in another precision: the model itself does not change

        The view is made again when the pipeline has moved to another device.
        """
        device = self._model.device
        if device == self._device_of_view:
            return
        dtype = getattr(torch, name)
        if dtype == torch.bfloat16 and not supports_bfloat16(device):
            warnings.warn(
                "This processor has no native bfloat16, which would be slower: running "
                "segmentation in float32 instead.",
                stacklevel=3,
            )
            dtype = None
        # the constructor has checked it
        assert isinstance(self._model, WavLMSegmentation | ONNXSegmentation)
        set_segmentation_model(self, self._model.in_precision(dtype))
        self._device_of_view = device

    def get_embeddings(
        self,
        file,
        binary_segmentations: SlidingWindowFeature,
        exclude_overlap: bool = False,
        hook: Callable | None = None,
    ) -> np.ndarray | None:
        """Extract embeddings, except for oracle clustering, which does not use them

        Returns
        -------
        embeddings : (num_chunks, num_speakers, dimension) np.ndarray
        """
        if self._is_oracle:
            _check_has_turns(file)
            return None
        # while hyper-parameters are optimized, pyannote.audio keeps embeddings from one trial to
        # the next
        embedding = get_embedding(self)
        if self.embedding_stretch is None or self.training or not can_stretch(embedding):
            return super().get_embeddings(file, binary_segmentations, exclude_overlap, hook)
        return embed_over_stretches(
            embedding,
            lambda segment: self._audio.crop(file, segment, mode="pad")[0],
            binary_segmentations,
            self.embedding_stretch,
            exclude_overlap,
            hook,
        )

    def __call__(self, file: AudioFile | list[AudioFile], *args: Any, **kwargs: Any) -> Any:
        """Apply the pipeline to one file or several: see `pyannote.audio.Pipeline`"""
        if isinstance(file, list):
            return super().__call__([in_single_precision(one) for one in file], *args, **kwargs)
        return super().__call__(in_single_precision(file), *args, **kwargs)

    def default_parameters(self) -> dict[str, dict[str, float]]:
        """Parameters of pyannote/speaker-diarization-community-1, for VBx and oracle clustering

        Raises
        ------
        NotImplementedError
            For other clusterings, whose thresholds depend on the embedding.
        """
        parameters = super().default_parameters()
        if self.klustering == "VBxClustering":
            return parameters
        if self._is_oracle:
            return {"segmentation": parameters["segmentation"]}
        raise NotImplementedError(f"There are no default parameters for {self.klustering}.")

    def apply(
        self,
        file,
        num_speakers: int | None = None,
        min_speakers: int | None = None,
        max_speakers: int | None = None,
        hook: Callable | None = None,
        **kwargs,
    ):
        """Apply speaker diarization: see `pyannote.audio.pipelines.SpeakerDiarization.apply`

        Files that cannot be read window by window, such as MP3, are decoded first.

        Returns
        -------
        output : DiarizeOutput, or Annotation
            The latter with `legacy`, and for the metrics of `pyannote-audio optimize`.

        Raises
        ------
        ValueError
            If the file cannot be decoded, or if oracle clustering has no reference.
        """
        if self._is_oracle and file.get("annotation") is None:
            raise ValueError(
                f'OracleClustering needs the reference ("annotation") of {file["uri"]!r}, found '
                "none: export the model with embeddings to diarize recordings."
            )
        original = file
        if not (self.training and set(file) >= CACHES):  # audio is not read then
            file = decoded(file)
        if self.first_channel and file.get("channel") is None:
            file = ProtocolFile(file, {"channel": lambda _: 0})
        if num_speakers is min_speakers is max_speakers is None:
            min_speakers, max_speakers = self.min_speakers, self.max_speakers
        output = super().apply(
            file,
            num_speakers=num_speakers,
            min_speakers=min_speakers,
            max_speakers=max_speakers,
            hook=hook,
            **kwargs,
        )
        output = crop_to_audio(output, file)
        if not self.training:
            return output
        for key in CACHES & set(file):
            original[key] = file[key]
        return getattr(output, "speaker_diarization", output)


def _check_has_turns(file: Mapping[str, Any]) -> None:
    """Refuse references without speakers: oracle clustering would have none to choose from"""
    if not file["annotation"]:
        raise ValueError(
            f'OracleClustering needs speaker turns in the reference ("annotation") of '
            f"{file['uri']!r}, found none: add them, or export the model with embeddings to "
            "diarize recordings."
        )


def median_over_frames(segmentations: np.ndarray, size: int) -> np.ndarray:
    """Median of `size` consecutive frames of each window, mirrored at its ends

    Parameters
    ----------
    segmentations : (num_chunks, num_frames, num_speakers) np.ndarray
    size : int
        Odd.
    """
    return scipy_median_filter(segmentations, size=(1, size, 1), mode="reflect")
