"""Data and small models shared by all tests"""

import os
import shutil
import wave
from collections.abc import Callable
from pathlib import Path

# before anything imports pyannote.audio or huggingface_hub: no telemetry, no network
os.environ["PYANNOTE_METRICS_ENABLED"] = "0"
os.environ["HF_HUB_OFFLINE"] = "1"

import lightning
import numpy as np
import pytest
import torch
from filelock import FileLock
from helpers import SHARED, tiny_model
from pyannote.audio.core.task import Problem, Resolution, Specifications
from pyannote.audio.models.embedding import XVectorMFCC
from pyannote.database import FileFinder, registry

from pyannote_prune import save_checkpoint


def pytest_report_header() -> str:
    if SHARED.is_dir():
        return "reference numbers and recordings: ../shared"
    return "reference numbers and recordings: generated, since there is no ../shared"


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


# what pyannote.database remembers for the whole process
REMEMBERED = (registry.configs, registry.sources, registry.databases)


@pytest.fixture(autouse=True)
def restore_registry():
    """Databases that a test loads are gone after it: another may have one of the same name"""
    before = [dict(remembered) for remembered in REMEMBERED]
    yield
    for remembered, content in zip(REMEMBERED, before, strict=True):
        remembered.clear()
        remembered.update(content)


def made_once(tmp_path_factory, name: str, make: Callable[[Path], object]) -> Path:
    """Folder that `make` fills, once for all processes that run tests"""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder = root / name
    with FileLock(root / f"{name}.lock"):
        if not folder.exists():
            draft = root / f"{name}.draft"
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir()
            make(draft)
            draft.rename(folder)
    return folder


@pytest.fixture(scope="session")
def database(tmp_path_factory) -> Path:
    """`database.yml` of real meetings where they are at hand, of synthetic ones otherwise"""
    real = SHARED / "data" / "ami-excerpts" / "database.yml"
    if real.is_file():
        return real
    return generate_conversations(tmp_path_factory.mktemp("conversations"), "Session")


@pytest.fixture(scope="session")
def protocol(database):
    registry.load_database(database)
    (name,) = (name for name in ("AMIExcerpts", "Session") if name in registry.databases)
    return registry.get_protocol(
        f"{name}.SpeakerDiarization.Mini", preprocessors={"audio": FileFinder()}
    )


def generate_conversations(folder: Path, name: str = "Generated") -> Path:
    """Two voices (harmonic sounds of different pitch) that take turns, and sometimes overlap

    The protocol is {name}.SpeakerDiarization.Mini.
    """
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for subset, num_files in (("train", 4), ("development", 2)):
        names, turns = [f"{subset}{i}" for i in range(num_files)], []
        for uri in names:
            audio = 0.01 * rng.standard_normal(16000 * 30)
            for k, start in enumerate(np.arange(1.0, 28.0, 2.5)):
                speaker, duration = k % 2, rng.uniform(1.0, 3.5)
                t = np.arange(round(min(duration, 30 - start) * 16000)) / 16000
                pitch = (110, 190)[speaker] * (1 + 0.05 * np.sin(2 * np.pi * 3 * t))
                voice = sum(np.sin(h * np.cumsum(2 * np.pi * pitch / 16000)) / h for h in (1, 2, 3))
                offset = round(start * 16000)
                audio[offset : offset + len(t)] += 0.1 * voice
                where = f"{uri} 1 {start:.3f} {len(t) / 16000:.3f}"
                turns.append(f"SPEAKER {where} <NA> <NA> s{speaker} <NA> <NA>")
            write_wav(folder / f"{uri}.wav", audio)
        (folder / f"{subset}.lst").write_text("\n".join(names) + "\n")
        (folder / f"{subset}.rttm").write_text("\n".join(turns) + "\n")
        (folder / f"{subset}.uem").write_text("".join(f"{n} 1 0.000 30.000\n" for n in names))
    subsets = "".join(
        f"""
        {subset}:
          uri: {subset}.lst
          annotation: {subset}.rttm
          annotated: {subset}.uem"""
        for subset in ("train", "development")
    )
    (folder / "database.yml").write_text(
        f"""Protocols:
  {name}:
    SpeakerDiarization:
      Mini:
        scope: file{subsets}
Databases:
  {name}: "{{uri}}.wav"
"""
    )
    return folder / "database.yml"


def write_wav(path: Path, audio: np.ndarray, sample_rate: int = 16000):
    """Write (num_samples,) or (num_samples, num_channels) samples in [-1, 1]"""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if audio.ndim == 1 else audio.shape[1])
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes((np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes())


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """Checkpoint of a tiny model, random but sure of itself: it hears several speakers"""
    torch.manual_seed(1)
    model = tiny_model()
    with torch.no_grad():
        model.classifier.weight *= 30
    path = tmp_path_factory.mktemp("checkpoint") / "tiny.ckpt"
    save_checkpoint(model, path)
    return path


@pytest.fixture(scope="session")
def parts(tmp_path_factory) -> Path:
    """Pipeline folder with an untrained embedding and a generated PLDA"""
    folder = tmp_path_factory.mktemp("parts")
    (folder / "embedding").mkdir()
    (folder / "plda").mkdir()

    torch.manual_seed(0)
    model = XVectorMFCC(dimension=64)
    model.specifications = Specifications(
        problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=2.0
    )
    content = {
        "pytorch-lightning_version": lightning.__version__,
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
    }
    model.on_save_checkpoint(content)
    torch.save(content, folder / "embedding" / "pytorch_model.bin")

    rng, dim = np.random.default_rng(0), model.dimension
    orthogonal, _ = np.linalg.qr(rng.standard_normal((dim, dim)))
    zeros = np.zeros(dim)
    np.savez(folder / "plda" / "xvec_transform.npz", mean1=zeros, mean2=zeros, lda=np.eye(dim))
    np.savez(folder / "plda" / "plda.npz", mu=zeros, tr=orthogonal, psi=np.linspace(5, 0.1, dim))
    return folder
