"""Pipelines in bfloat16"""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from parameters import VBX
from pyannote.audio import Audio
from pyannote.audio.models.segmentation import PyanNet
from pyannote.audio.sample import SAMPLE_FILE
from pyannote.core import Annotation, Segment

from pyannote_prune.pipeline.diarization import DiarizationPipeline
from pyannote_prune.segmentation.checkpoint import load_checkpoint
from pyannote_prune.segmentation.specifications import powerset_specifications

pytestmark = pytest.mark.filterwarnings("ignore:.*The detected number of speakers")


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_bfloat16_is_for_processors_that_know_it(arguments, known, monkeypatch):
    monkeypatch.setattr(
        "pyannote_prune.pipeline.diarization.supports_bfloat16", lambda device: known
    )
    fast = DiarizationPipeline(**arguments, segmentation_dtype="bfloat16")
    exact = DiarizationPipeline(**arguments)
    with nullcontext() if known else pytest.warns(UserWarning, match="has no native bfloat16"):
        found = scores(fast)
    assert np.array_equal(found, scores(exact)) != known


def test_bfloat16_of_a_pipeline_is_not_that_of_its_model(arguments):
    """Nor that of another pipeline with the same model, whichever comes first"""
    model, waveforms = load_checkpoint(arguments["segmentation"]), torch.randn(1, 1, 16000)
    arguments |= {"segmentation": model}
    exact = DiarizationPipeline(**arguments)
    fast = DiarizationPipeline(**arguments, segmentation_dtype="bfloat16")
    with torch.inference_mode():
        before, expected = model(waveforms), scores(exact)
        half = scores(fast)
        assert not np.array_equal(half, expected)
        assert torch.equal(model(waveforms), before)
        assert np.array_equal(scores(exact), expected)
        assert np.array_equal(scores(fast), half)
    assert model.wavlm.inference_dtype is None
    # they share weights, whatever becomes of them
    with torch.no_grad():
        model.wavlm.layers[0].attention.query.weight.mul_(3)
    assert not np.array_equal(scores(fast), half)
    assert fast.to(torch.device("cpu"))._segmentation.model.wavlm.layers is model.wavlm.layers


def scores(pipeline: DiarizationPipeline) -> np.ndarray:
    """Scores of each class in the first window"""
    waveform, _ = Audio(sample_rate=16000, mono="downmix").crop(SAMPLE_FILE, Segment(0, 2))
    pipeline.get_segmentations(SAMPLE_FILE)
    with torch.inference_mode():
        return pipeline._segmentation.model(waveform[None]).numpy()


def test_bfloat16_is_for_our_models(arguments):
    pipeline = DiarizationPipeline(**arguments, segmentation_dtype="bfloat16").instantiate(VBX)
    assert isinstance(pipeline(SAMPLE_FILE).speaker_diarization, Annotation)
    other = PyanNet()
    other.specifications = powerset_specifications(2.0, 3, 2)
    other.build()
    with pytest.raises(ValueError, match="`segmentation_dtype` must be None unless"):
        DiarizationPipeline(**arguments | {"segmentation": other}, segmentation_dtype="bfloat16")
