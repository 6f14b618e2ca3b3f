"""Speaker embeddings with other engines, and as ONNX files"""

import pickle

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from embeddings import small_wespeaker
from helpers import relative_error
from pyannote.audio.models.embedding import XVectorMFCC

from pyannote_prune.onnx.embedding import EmbeddingTrunk, can_save_embedding, save_embedding
from pyannote_prune.wavlm.inference.bfloat16 import supports_bfloat16


@pytest.fixture(scope="module")
def model():
    return small_wespeaker()


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_frames_are_those_of_pytorch_in_any_order_of_lengths(model, engine):
    """A single frame first: see `OpenVINO`"""
    pytest.importorskip(engine)
    trunk, rng = EmbeddingTrunk(model, engine), np.random.default_rng(0)
    for num_samples in (1600, *rng.integers(400, 64000, 6), 1600):
        waveforms = torch.randn(rng.integers(1, 4), 1, num_samples)
        with torch.inference_mode():
            features = model.compute_fbank(waveforms)
            found, expected = trunk(features), model.forward_frames(waveforms)
        assert relative_error(found, expected) < 1e-5
        assert found.dtype == torch.float32


@pytest.mark.skipif(
    not supports_bfloat16(torch.device("cpu")), reason="this processor has no native bfloat16"
)
def test_openvino_computes_frames_in_bfloat16(model):
    pytest.importorskip("openvino")
    trunk, features = EmbeddingTrunk(model, "openvino", "bfloat16"), torch.randn(2, 200, 80)
    error = relative_error(trunk(features), EmbeddingTrunk(model, "openvino")(features))
    assert 1e-5 < error < 0.03


def test_trunk_can_be_pickled_and_keeps_its_weights(model):
    trunk, features = EmbeddingTrunk(model, "onnxruntime"), torch.randn(1, 50, 80)
    copied = pickle.loads(pickle.dumps(trunk))
    assert torch.equal(copied(features), trunk(features))


def test_file_says_what_sherpa_onnx_reads(model, tmp_path):
    save_embedding(model, tmp_path / "model.onnx", source="someone/pipeline")
    proto = onnx.load(tmp_path / "model.onnx")
    assert {one.key: one.value for one in proto.metadata_props} == {
        "framework": "wespeaker",
        "language": "unknown",
        "url": "someone/pipeline",
        "comment": "WeSpeakerResNet34 of pyannote.audio",
        "sample_rate": "16000",
        "output_dim": "16",
        "normalize_samples": "0",
        "feature_normalize_type": "global-mean",
    }
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    waveforms = torch.randn(3, 1, 20000)
    with torch.inference_mode():
        features, expected = model.compute_fbank(waveforms), model(waveforms)
    (found,) = session.run(["embs"], {"feats": features.numpy()})
    assert relative_error(torch.from_numpy(found), expected) < 1e-5


def test_embeddings_with_other_features_are_not_for_such_files():
    model = small_wespeaker()
    assert can_save_embedding(model)
    model.hparams.fbank_centering_span = 3.0
    assert not can_save_embedding(model)
    assert not can_save_embedding(XVectorMFCC())
