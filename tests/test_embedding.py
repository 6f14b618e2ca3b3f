"""Speaker embeddings of a window, from shared frames"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pyannote.audio.models.embedding import WeSpeakerResNet34
from pyannote.audio.pipelines.speaker_verification import PyannoteAudioPretrainedSpeakerEmbedding

from pyannote_prune.embedding import SharedFramesEmbedding, can_share_frames


@pytest.fixture(scope="module")
def stock() -> PyannoteAudioPretrainedSpeakerEmbedding:
    torch.manual_seed(0)
    return PyannoteAudioPretrainedSpeakerEmbedding(WeSpeakerResNet34().eval())


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.integers(0, 2), min_size=1, max_size=8), st.integers(1, 4), st.integers(0, 2**16)
)
def test_same_embeddings_whatever_the_order_and_the_batches(stock, windows, batch_size, seed):
    """Windows may come back, and end in the middle of a batch"""
    generator = torch.Generator().manual_seed(seed)
    waveforms = torch.randn(3, 1, 8000, generator=generator)[windows]
    masks = (torch.rand(len(windows), 50, generator=generator) < 0.7).float()
    masks[:, 0] = 1.0
    ours = SharedFramesEmbedding(stock)
    for found, expected in (
        (ours(w, masks=m), stock(w, masks=m))
        for w, m in zip(waveforms.split(batch_size), masks.split(batch_size), strict=True)
    ):
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_frames_of_a_window_are_computed_once(stock, monkeypatch):
    calls = []
    forward_frames = stock.model_.forward_frames
    monkeypatch.setattr(
        stock.model_,
        "forward_frames",
        lambda waveforms: calls.append(len(waveforms)) or forward_frames(waveforms),
    )
    ours, waveforms = SharedFramesEmbedding(stock), torch.randn(2, 1, 8000)
    masks = torch.ones(1, 50)
    for waveform in waveforms.repeat_interleave(4, dim=0):
        ours(waveform[None], masks=masks)
    assert calls == [1, 1]
    ours(waveforms.repeat_interleave(4, dim=0), masks=masks.expand(8, -1))
    assert calls == [1, 1, 2]
    # windows of another length
    ours(torch.randn(2, 1, 9000), masks=masks.expand(2, -1))
    assert calls == [1, 1, 2, 2]


def test_without_masks_it_is_the_stock_embedding(stock):
    waveforms = torch.randn(2, 1, 8000)
    np.testing.assert_array_equal(SharedFramesEmbedding(stock)(waveforms), stock(waveforms))


def test_other_embeddings_are_left_alone(stock):
    assert can_share_frames(stock)
    assert not can_share_frames(SharedFramesEmbedding(stock))
    assert not can_share_frames(None)
    stock_like = PyannoteAudioPretrainedSpeakerEmbedding(WeSpeakerResNet34().eval())
    stock_like.model_ = torch.nn.Identity()
    assert not can_share_frames(stock_like)
