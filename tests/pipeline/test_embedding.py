"""Speaker embeddings of a window, from shared frames"""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pyannote.audio.models.embedding import WeSpeakerResNet34
from pyannote.audio.pipelines.speaker_verification import PyannoteAudioPretrainedSpeakerEmbedding

from pyannote_prune.pipeline.embedding import SharedFramesEmbedding, can_share_frames


@pytest.fixture(scope="module")
def stock() -> PyannoteAudioPretrainedSpeakerEmbedding:
    torch.manual_seed(0)
    return PyannoteAudioPretrainedSpeakerEmbedding(WeSpeakerResNet34().eval())


@pytest.fixture
def calls(stock, monkeypatch) -> list[int]:
    """Numbers of windows that go through the network, call by call"""
    numbers = []
    forward_frames = stock.model_.forward_frames
    monkeypatch.setattr(
        stock.model_,
        "forward_frames",
        lambda waveforms: numbers.append(len(waveforms)) or forward_frames(waveforms),
    )
    return numbers


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


@settings(max_examples=20, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=8), st.integers(1, 4), st.integers(0, 2**16))
def test_silent_speakers_have_the_embedding_that_the_network_gives_them(
    stock, speaks, batch_size, seed
):
    """Whatever is said in their windows"""
    generator = torch.Generator().manual_seed(seed)
    waveforms = torch.randn((len(speaks) + 1) // 2, 1, 8000, generator=generator)
    waveforms = waveforms.repeat_interleave(2, dim=0)[: len(speaks)]
    masks = torch.tensor(speaks)[:, None] * torch.ones(50)
    ours = SharedFramesEmbedding(stock)
    found, expected = (
        np.vstack(
            [
                embed(w, masks=m)
                for w, m in zip(waveforms.split(batch_size), masks.split(batch_size), strict=True)
            ]
        )
        for embed in (ours, stock)
    )
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_windows_without_speech_cost_nothing(stock, calls):
    ours, masks = SharedFramesEmbedding(stock), torch.zeros(6, 50)
    calls.clear()
    ours(torch.randn(6, 1, 8000), masks=masks)
    assert calls == []
    masks[3] = 1
    ours(torch.randn(6, 1, 8000), masks=masks)
    assert calls == [1]


def test_embedding_of_silence_that_depends_on_the_waveform_is_computed(stock, monkeypatch):
    """As attentive pooling may have it"""
    monkeypatch.setattr(
        stock.model_, "forward_embedding", lambda frames, weights: frames.flatten(1)[:, :256]
    )
    ours, waveforms = SharedFramesEmbedding(stock), torch.randn(2, 1, 8000)
    expected = stock.model_.forward_frames(waveforms).flatten(1)[:, :256].detach()
    found = ours(waveforms, masks=torch.zeros(2, 50))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_frames_of_a_window_are_computed_once(stock, calls):
    ours = SharedFramesEmbedding(stock)
    calls.clear()
    waveforms = torch.randn(2, 1, 8000)
    masks = torch.ones(1, 50)
    for waveform in waveforms.repeat_interleave(4, dim=0):
        ours(waveform[None], masks=masks)
    assert calls == [1, 1]
    ours(waveforms.repeat_interleave(4, dim=0), masks=masks.expand(8, -1))
    assert calls == [1, 1, 2]
    # windows of another length
    ours(torch.randn(2, 1, 9000), masks=masks.expand(2, -1))
    assert calls == [1, 1, 2, 2]


def test_threads_get_what_they_would_get_alone(stock):
    """Three of them, one after the other within a window, as a pipeline asks for embeddings"""
    ours = SharedFramesEmbedding(stock)
    ours.model_ = Quick()
    waveforms = torch.randn(6, 1, 400)
    masks = (torch.rand(3, 1, 400) < 0.5).float()
    expected = {
        (i, j): (waveforms[i] * masks[j]).mean(-1, keepdim=True).numpy()
        for i in range(6)
        for j in range(3)
    }

    def run(turn: int) -> bool:
        i, j = turn // 3 % 6, turn % 3
        found = ours(waveforms[i : i + 1], masks=masks[j])
        return np.array_equal(found, expected[i, j])

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(3) as pool:
            assert all(pool.map(run, range(2000)))
    finally:
        sys.setswitchinterval(interval)


class Quick(torch.nn.Module):
    """Embedding that is the mean of frames, which are samples"""

    def forward_frames(self, waveforms):
        return waveforms.clone()

    def forward_embedding(self, frames, weights):
        return (frames[:, 0] * weights).mean(-1, keepdim=True)


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
