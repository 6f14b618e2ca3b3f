"""Speaker embeddings of a window, from shared frames"""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from embeddings import small_wespeaker
from hypothesis import given, settings
from hypothesis import strategies as st
from pyannote.audio.models.embedding import XVectorMFCC
from pyannote.audio.pipelines.speaker_verification import PyannoteAudioPretrainedSpeakerEmbedding

from pyannote_prune.pipeline.embedding import (
    SharedFramesEmbedding,
    can_share_frames,
    choose_engine,
)


@pytest.fixture(scope="module")
def stock() -> PyannoteAudioPretrainedSpeakerEmbedding:
    return PyannoteAudioPretrainedSpeakerEmbedding(small_wespeaker())


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
    stock_like = PyannoteAudioPretrainedSpeakerEmbedding(small_wespeaker())
    stock_like.model_ = torch.nn.Identity()
    assert not can_share_frames(stock_like)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_engines_give_the_embeddings_of_pytorch(stock, engine, monkeypatch):
    """Whatever the length, the batch and the masks: none of the trunk is computed by PyTorch"""
    pytest.importorskip(engine)
    ours, rng = SharedFramesEmbedding(stock, engine), np.random.default_rng(0)
    cases = []
    for num_samples in rng.integers(3000, 40000, 5):
        waveforms = torch.randn(rng.integers(1, 3), 1, num_samples).repeat_interleave(2, dim=0)
        masks = (torch.rand(len(waveforms), 50) < torch.rand(len(waveforms), 1)).float()
        cases.append((waveforms, masks, stock(waveforms, masks=masks)))
    monkeypatch.delattr(stock.model_.resnet.__class__, "forward_frames")
    for waveforms, masks, expected in cases:
        found = ours(waveforms, masks=masks)
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    with pytest.raises(AttributeError):
        SharedFramesEmbedding(stock)(*cases[0][:2])


def test_engines_are_for_cpu(stock, monkeypatch):
    """PyTorch computes on other devices"""
    ours = SharedFramesEmbedding(stock, "onnxruntime")
    monkeypatch.setattr(ours, "device", torch.device("meta"))
    monkeypatch.setattr(stock.model_, "forward_frames", lambda waveforms: "PyTorch")
    assert ours._forward_frames(torch.randn(1, 1, 8000)) == "PyTorch"
    monkeypatch.setattr(ours, "device", torch.device("cpu"))
    assert isinstance(ours._forward_frames(torch.randn(1, 1, 8000)), torch.Tensor)


def test_automatic_choice_is_what_is_possible_and_installed(stock, monkeypatch):
    monkeypatch.setattr("pyannote_prune.pipeline.embedding.find_engine", lambda: "openvino")
    assert choose_engine("auto", stock, True) == "openvino"
    assert choose_engine("onnxruntime", stock, True) == "onnxruntime"
    assert choose_engine("torch", stock, True) is choose_engine(None, stock, True) is None
    other = PyannoteAudioPretrainedSpeakerEmbedding(XVectorMFCC(dimension=8))
    for embedding, share_frames, name in (
        (stock, False, "WeSpeakerResNet34"),
        (other, True, "XVectorMFCC"),
        (None, True, "NoneType"),
    ):
        assert choose_engine("auto", embedding, share_frames) is None
        message = f"WeSpeaker ResNet of pyannote.audio, found 'onnxruntime' for {name} with"
        with pytest.raises(ValueError, match=message):
            choose_engine("onnxruntime", embedding, share_frames)
    monkeypatch.setattr("pyannote_prune.pipeline.embedding.find_engine", lambda: None)
    assert choose_engine("auto", stock, True) is None
