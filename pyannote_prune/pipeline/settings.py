"""Settings of a diarization pipeline"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..onnx.engines import ENGINES, TORCH, check_dtype, check_engine

# pyannote.audio: step between windows, as a share of their length
STEP = 0.1

# DiariZen: size of the median filter, in frames, and share of clean speech in a window
MEDIAN_FILTER = 11

MIN_CLEAN_RATIO = 0.1

# clusterings of pyannote.audio with `min_clean_ratio` and `constrained_assignment`
WITH_OPTIONS = ("AgglomerativeClustering", "VBxClustering")


@dataclass(frozen=True)
class DiarizationSettings:
    """Settings of an exported pipeline

    Default values come from pyannote/speaker-diarization-community-1, where they do not depend on
    its segmentation model.

    Parameters
    ----------
    clustering : str
        Name of a clustering of pyannote.audio.
    parameters : dict
        Hyper-parameters of the clustering.
    segmentation_step : float
        Step between consecutive windows, as a fraction of their duration.
    segmentation_batch_size, embedding_batch_size : int
        Batch sizes. They change speed and memory, not results.
    embedding_exclude_overlap : bool
        Extract embeddings from non-overlapping speech if there is enough of it.
    min_duration_off : float
        Longest gap that is filled, in seconds.
    median_filter : int
        Size, in frames, of the median filter over the binarized segmentation of each window.
        Odd. 1 does not filter.
    min_speakers, max_speakers : int, optional
        Bounds for files whose number of speakers is not given.
    min_clean_ratio : float, optional
        Share of a window, in (0, 1], where speakers must speak alone for their embeddings to be
        clustered, if at least two embeddings do. Defaults to the rule of pyannote.audio: 0.2,
        always.
    constrained_assignment : bool, optional
        Assign speakers of a window to different clusters. Defaults to the rule of pyannote.audio:
        VBx does, agglomerative clustering does not.
    first_channel : bool
        Use the first channel of recordings instead of the average of all channels.
    share_frames : bool
        Compute frames of a window once for the embeddings of all of its speakers: same results,
        less time.
    segmentation_dtype, embedding_dtype : str, optional
        "bfloat16" is faster, with slightly different results: see `DiarizationPipeline`.
    segmentation_engine, embedding_engine : str, optional
        Libraries that compute on CPU: see `DiarizationPipeline`. Default to "auto" in folders with
        a segmentation model in an ONNX file, to PyTorch in others.
    embedding_stretch : float, optional
        Longest stretch, in seconds, over which frames of embeddings are computed once: less time,
        with slightly different embeddings (see `DiarizationPipeline`). Defaults to single windows.

    Raises
    ------
    ValueError
        If the size of the median filter is even or not positive, if bounds contradict each other,
        if there is no such precision or engine, or if the clustering does not have an option.
    """

    clustering: str = "VBxClustering"
    parameters: dict[str, Any] = field(
        default_factory=lambda: {"threshold": 0.6, "Fa": 0.07, "Fb": 0.8}
    )
    segmentation_step: float = STEP
    segmentation_batch_size: int = 32
    embedding_batch_size: int = 32
    embedding_exclude_overlap: bool = True
    min_duration_off: float = 0.0
    median_filter: int = 1
    min_speakers: int | None = None
    max_speakers: int | None = None
    min_clean_ratio: float | None = None
    constrained_assignment: bool | None = None
    first_channel: bool = False
    share_frames: bool = True
    segmentation_dtype: str | None = None
    embedding_dtype: str | None = None
    segmentation_engine: str | None = None
    embedding_engine: str | None = None
    embedding_stretch: float | None = None

    def __post_init__(self) -> None:
        check_step(self.segmentation_step)
        check_median_filter(self.median_filter)
        check_bounds(self.min_speakers, self.max_speakers)
        check_dtype(self.segmentation_dtype, "segmentation_dtype")
        check_dtype(self.embedding_dtype, "embedding_dtype")
        check_engines(self.segmentation_engine, self.embedding_engine)
        check_stretch(self.embedding_stretch)
        check_clean_ratio(self.min_clean_ratio)
        # oracle clustering ignores these options
        if self.needs_embeddings:
            check_clustering(self.clustering, self.min_clean_ratio, self.constrained_assignment)

    @property
    def needs_embeddings(self) -> bool:
        """Whether clustering needs embeddings"""
        return self.clustering != "OracleClustering"

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts of the pipeline besides segmentation: "embedding", and "plda" for VBx alone"""
        if not self.needs_embeddings:
            return ()
        return ("embedding", "plda") if self.clustering == "VBxClustering" else ("embedding",)


def check_median_filter(size: int) -> None:
    if isinstance(size, bool) or not isinstance(size, int) or size < 1 or size % 2 == 0:
        raise ValueError(
            f"`median_filter` must be an odd number of frames, found {size!r}: "
            "1 does not filter, DiariZen uses 11 (0.22 s)."
        )


def check_step(step: float) -> None:
    if isinstance(step, bool) or not isinstance(step, int | float) or not 0 < step <= 1:
        raise ValueError(
            "`segmentation_step` must be a share of windows, above 0 and at most 1, found "
            f"{step!r}: pyannote.audio has 0.1."
        )


def check_stretch(duration: float | None) -> None:
    is_number = isinstance(duration, int | float) and not isinstance(duration, bool)
    if duration is not None and not (is_number and 0 < duration < float("inf")):
        raise ValueError(
            f"`embedding_stretch` must be a duration in seconds, above 0, found {duration!r}: 60 "
            "takes 100 MB or so, None computes window by window."
        )


def check_bounds(min_speakers: int | None, max_speakers: int | None) -> None:
    if not 1 <= (min_speakers or 1) <= (max_speakers or float("inf")):
        raise ValueError(
            "`min_speakers` must be positive and at most `max_speakers`, found "
            f"{min_speakers} and {max_speakers}."
        )


def check_engines(
    segmentation: str | None, embedding: str | None, is_file: bool | None = None
) -> None:
    """Check names of engines

    Parameters
    ----------
    segmentation, embedding : str, optional
        See `DiarizationPipeline`.
    is_file : bool, optional
        Whether the segmentation model is in an ONNX file. Defaults to any model.
    """
    if embedding is not None:
        check_engine(embedding, argument="embedding_engine")
    if segmentation is None:
        return
    check_engine(segmentation, argument="segmentation_engine")
    if is_file and segmentation == TORCH:
        raise ValueError(
            "`segmentation_engine` must not be 'torch' if `segmentation` is an ONNX file: choose "
            "'auto', or use a checkpoint."
        )
    if is_file is False and segmentation in ENGINES:
        raise ValueError(
            "`segmentation_engine` must be None, 'torch' or 'auto' unless `segmentation` is an "
            f"ONNX file, found {segmentation!r}: PyTorch computes other models."
        )


def check_clean_ratio(ratio: float | None) -> None:
    if ratio is not None and not 0 < ratio <= 1:
        raise ValueError(
            f"`min_clean_ratio` must be in (0, 1], found {ratio}: it is a share of a window "
            "(pyannote.audio has 0.2, DiariZen 0.1)."
        )


def check_clustering(name: str, min_clean_ratio: float | None, constrained: bool | None) -> None:
    options = {"min_clean_ratio": min_clean_ratio, "constrained_assignment": constrained}
    for option, value in options.items():
        if value is not None and name not in WITH_OPTIONS:
            raise ValueError(
                f"`{option}` must be None with `clustering={name!r}`, found {value}: "
                f"{' and '.join(WITH_OPTIONS)} have it."
            )


# speakers are given by a reference: segmentation alone, without embedding nor PLDA
ORACLE_SETTINGS = DiarizationSettings(clustering="OracleClustering", parameters={})

# DiariZen's recipes, for models whose repository has no settings
DIARIZEN_SETTINGS = DiarizationSettings(
    median_filter=MEDIAN_FILTER,
    min_clean_ratio=MIN_CLEAN_RATIO,
    constrained_assignment=True,
    first_channel=True,
)
