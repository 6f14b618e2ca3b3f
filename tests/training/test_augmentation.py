"""Noise, rooms and other speakers, in training windows alone"""

import random
import warnings

import lightning
import numpy as np
import pytest
import torch
from helpers import QUIET, tiny_model, tiny_trainee
from lightning.pytorch.callbacks import ModelCheckpoint
from pyannote.core import SlidingWindow, SlidingWindowFeature
from scipy.io import wavfile

from pyannote_prune.training.augmentation import (
    Files,
    Mixing,
    add_noise,
    fits,
    has_audio,
    one_after_another,
    reverberate,
)

pytestmark = pytest.mark.filterwarnings("ignore")
OPTIONS = {"duration": 2.0, "batch_size": 4, "max_speakers_per_chunk": 3, "in_memory": True}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Noise shorter and longer than windows, at two sample rates, and two rooms"""
    folder, rng = tmp_path_factory.mktemp("augmentation"), np.random.default_rng(0)
    for name, rate, duration in (("noise/a", 16_000, 0.7), ("noise/b/c", 8_000, 3.1)):
        path = folder / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = rng.normal(0, 3000, round(rate * duration)).astype(np.int16)
        wavfile.write(path, rate, samples)
    (folder / "rooms").mkdir()
    for delay in (40, 300):
        response = np.zeros(2000, np.float32)
        response[delay], response[delay + 500] = 0.9, 0.1
        wavfile.write(folder / "rooms" / f"{delay}.wav", 16_000, response)
    return folder


def windows(num_windows: int, scope: int = 0, max_speakers: int = 3) -> list[dict]:
    """Windows of as many recordings, with 0 to all speakers, who speak at random"""
    found = []
    for index in range(num_windows):
        num_speakers = index % (max_speakers + 1)
        y = (torch.rand(99, num_speakers) > 0.4).numpy().astype(np.uint8)
        labels = [index % 2 + i for i in range(num_speakers)]
        y = SlidingWindowFeature(y, SlidingWindow(step=0.02, duration=0.025), labels=labels)
        x = torch.randn(1, 32_000) * (1 + index)
        found.append({"X": x, "y": y, "meta": {"file": index // 2, "scope": scope}})
    return found


@pytest.mark.parametrize("scope", [0, 1])
def test_mixtures_have_the_speakers_of_both_windows(scope):
    """Each a speaker of its own, never of the same recording, and at most as many as allowed"""
    num_mixed = 0
    for _ in range(20):
        batch = windows(9, scope)
        mixed = Mixing(0.7, (3.0, 3.0))(batch, 3)
        for before, after in zip(batch, mixed, strict=True):
            if after is before:
                continue
            num_mixed += 1
            first = before["y"].data.shape[1]
            assert np.array_equal(after["y"].data[:, :first], before["y"].data)
            added, extra = after["X"] - before["X"], after["y"].data[:, first:]
            (other,) = (
                x
                for x in batch
                if x["y"].data.shape == extra.shape and (x["y"].data == extra).all()
            )
            assert fits(before, other, 3)
            assert other["meta"]["file"] != before["meta"]["file"]
            assert after["y"].data.shape[1] == len(after["y"].labels) <= 3
            if scope:
                assert len({*after["y"].labels}) == len(after["y"].labels)
            cosine = torch.nn.functional.cosine_similarity(added, other["X"])
            assert cosine.item() == pytest.approx(1.0, abs=1e-4)
            ratio = before["X"].square().mean() / added.square().mean()
            assert 10 * ratio.log10().item() == pytest.approx(3.0, abs=1e-2)
    assert num_mixed > 20
    assert Mixing(0.0, (0.0, 5.0))(batch, 3) == batch


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((1.5, (0, 5)), r"`probability` must be in \[0, 1\], found 1.5"),
        ((0.5, (5, 0)), "`snr` must be two numbers, the lower one first"),
    ],
)
def test_impossible_mixing_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Mixing(*values)


def test_parts_of_files_are_those_of_the_whole(folders):
    """And read as they are, or resampled"""
    for name, rate in (("a", 16_000), ("b/c", 8_000)):
        path, files = folders / "noise" / f"{name}.wav", Files(16_000)
        _, samples = wavfile.read(path)
        num_samples = len(samples) * 16_000 // rate
        assert files.get_num_samples(path) == num_samples
        whole = files(path)
        assert whole.shape == (1, num_samples)
        if rate == 16_000:
            assert torch.allclose(whole[0], torch.tensor(samples / 2**15).float())
        for offset, length in ((0, 4000), (333, 4001), (num_samples - 2000, 2000)):
            part = files(path, offset, length)
            assert part.shape == (1, length)
            inside = slice(offset + 100, offset + length - 100)
            if offset % 2 == 0 or rate == 16_000:
                assert torch.allclose(part[:, 100:-100], whole[:, inside], atol=1e-4)


def test_noise_has_the_ratio_asked_for(folders):
    noise, waveforms = add_noise(folders / "noise", 1.0, (10.0, 10.0)), torch.randn(6, 1, 32_000)
    added = noise(waveforms, 16_000).samples - waveforms
    ratios = 10 * (waveforms.square().mean(-1) / added.square().mean(-1)).log10()
    assert torch.allclose(ratios, torch.tensor(10.0), atol=0.05)


def test_direct_sound_stays_where_it_is(folders):
    clicks = torch.zeros(4, 1, 32_000)
    clicks[..., 8000] = 1.0
    found = reverberate(folders / "rooms", 1.0)(clicks, 16_000).samples
    assert found.shape == clicks.shape
    assert (found.abs().argmax(-1) == 8000).all()
    assert torch.allclose(found[..., 8500], torch.tensor(0.1), atol=1e-3)


def test_folders_have_audio_or_not(folders, tmp_path):
    assert has_audio(folders / "noise")
    (tmp_path / "notes.txt").touch()
    assert not has_audio(tmp_path)
    assert not has_audio(tmp_path / "missing")


def augmented(protocol, folders, kind=False, **options):
    transforms = [reverberate(folders / "rooms", 0.5), add_noise(folders / "noise", 0.7, (0, 20))]
    options |= {"augmentation": one_after_another(transforms), "mixing": Mixing(0.5, (0, 5))}
    torch.manual_seed(0)
    return tiny_trainee(protocol, kind, tiny_model(), **OPTIONS, **options)


def test_batches_are_a_function_of_their_windows(protocol, folders):
    """Whatever the state of generators, which stays as it is. Validation is left alone"""
    model = augmented(protocol, folders, num_workers=0)
    task = model.task
    task.prepare_data()
    model.setup()
    batch = [task.val__getitem__(index) for index in range(8)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = task.collate_fn(batch, "val")
    expected = torch.stack([window["X"] for window in batch])
    assert torch.equal(plain["X"], expected)
    first = task.collate_fn(batch)
    assert not torch.equal(first["X"], plain["X"])
    torch.manual_seed(5)
    random.seed(5)
    again = task.collate_fn(batch)
    assert all(torch.equal(again[key], first[key]) for key in ("X", "y"))
    drawn = torch.rand(()).item(), random.random()
    torch.manual_seed(5)
    random.seed(5)
    assert drawn == (torch.rand(()).item(), random.random())
    others = task.collate_fn(batch[::-1])
    assert not torch.equal(others["X"].flip(0), first["X"])


class Waveforms(lightning.Callback):
    """Sum of the waveforms of each step, and of its references"""

    def __init__(self):
        self.values = []

    def on_train_batch_start(self, trainer, model, batch, batch_idx):
        self.values.append((batch["X"].double().sum().item(), batch["y"].sum().item()))


@pytest.mark.parametrize(("num_workers", "kind"), [(0, "decisions"), (2, False)])
def test_interrupted_training_is_augmented_as_an_uninterrupted_one(
    protocol, folders, tmp_path, num_workers, kind
):
    def fit(ckpt_path=None):
        lightning.seed_everything(0, verbose=False)
        model = augmented(protocol, folders, kind, num_workers=num_workers)
        callbacks = [seen := Waveforms()]
        if ckpt_path is None:
            saved = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=1, save_top_k=-1)
            callbacks.append(saved)
        options = {"limit_val_batches": 0, "enable_checkpointing": ckpt_path is None, **QUIET}
        trainer = lightning.Trainer(max_steps=4, callbacks=callbacks, **options)
        trainer.fit(model, ckpt_path=ckpt_path)
        return seen.values, model.state_dict()

    seen, expected = fit()
    rest, found = fit(tmp_path / "step=2.ckpt")
    assert rest == seen[2:]
    assert len({*seen}) == 4
    assert all(torch.equal(value, expected[key]) for key, value in found.items())
