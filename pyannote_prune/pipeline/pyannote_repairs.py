"""Private attributes of the pipelines of pyannote.audio 4.0.7, and stand-ins for their parts

After an upgrade of pyannote.audio, this is the file of this room to check.
"""

from __future__ import annotations

from pyannote.audio import Model, Pipeline, pipelines
from pyannote.audio.core.inference import BaseInference
from pyannote.audio.core.plda import PLDA

# keys that the pipeline adds to a file while its parameters are optimized. With both of them in
# place, it does not read the audio again
CACHES = {"training_cache/segmentation", "training_cache/embeddings"}


class NoPLDA(PLDA):
    """PLDA without content, for clusterings that do not use any

    The constructor of the pipeline requires a PLDA and loads it, from the hub by default, even for
    clusterings that do not use any. It accepts an instance of `PLDA` as it is, and the constructor
    of `PLDA` needs files.
    """

    def __init__(self) -> None:
        pass


class NoEmbedding:
    """Speaker embedding without content, for oracle clustering

    The pipeline makes no embedding for oracle clustering, but reads its dimension to return zeros
    when a file has no speech at all.
    """

    dimension = 0


def get_segmentation_model(pipeline: pipelines.SpeakerDiarization) -> Model:
    """Model that `get_segmentations` applies: the pipeline has no public attribute for it"""
    return pipeline._segmentation.model


def set_segmentation_model(pipeline: pipelines.SpeakerDiarization, model: Model) -> None:
    """Replace the model that `get_segmentations` applies

    Its specifications must be the same: windows and activations depend on them.
    """
    pipeline._segmentation.model = model


def get_embedding(pipeline: pipelines.SpeakerDiarization) -> BaseInference:
    """Loaded speaker embedding: `pipeline.embedding` is only its name"""
    return pipeline._embedding


def set_embedding(
    pipeline: pipelines.SpeakerDiarization, embedding: BaseInference | NoEmbedding
) -> None:
    """Replace the loaded speaker embedding"""
    pipeline._embedding = embedding


def get_plda(pipeline: pipelines.SpeakerDiarization) -> PLDA | None:
    """Loaded PLDA: `pipeline.plda` is only its name"""
    return pipeline._plda


def expects_reference(pipeline: Pipeline) -> bool:
    """Whether clustering reads the speakers, or their number, from the reference of a file"""
    return getattr(pipeline, "_expects_num_speakers", False)
