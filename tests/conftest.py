"""Data and small models shared by all tests"""

import os
import shutil
import signal
from pathlib import Path

# before anything imports pyannote.audio or huggingface_hub: no telemetry, no network
os.environ["PYANNOTE_METRICS_ENABLED"] = "0"
os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import pytest
import torch
from conversations import REMEMBERED, generate_conversations
from embeddings import random_wespeaker, save_embedding_checkpoint
from helpers import SHARED, tiny_model
from pyannote.audio.models.embedding import XVectorMFCC
from pyannote.database import FileFinder, registry
from voices import FSDD, generate_voices

from pyannote_prune import DiarizationSettings, export_pipeline, save_checkpoint, save_onnx
from pyannote_prune.pipeline.settings import ORACLE_SETTINGS
from pyannote_prune.segmentation.checkpoint import load_checkpoint


def pytest_report_header() -> str:
    if SHARED.is_dir():
        return "reference numbers and recordings: ../shared"
    return "reference numbers and recordings: generated, since there is no ../shared"


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def heed_interruptions():
    """Tests interrupt commands, also where a shell runs the tests in its background

    Such processes ignore SIGINT, as do processes that they start.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


# what pyannote.database remembers for the whole process


@pytest.fixture(autouse=True)
def restore_registry():
    """Databases that a test loads are gone after it: another may have one of the same name"""
    before = [dict(remembered) for remembered in REMEMBERED]
    yield
    for remembered, content in zip(REMEMBERED, before, strict=True):
        remembered.clear()
        remembered.update(content)


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
def onnx_file(checkpoint, tmp_path_factory) -> Path:
    """The same model as an ONNX file"""
    path = tmp_path_factory.mktemp("onnx") / "new" / "Model.ONNX"
    save_onnx(load_checkpoint(checkpoint), path, source="owner/name", licence="CC BY-NC 4.0")
    return path


@pytest.fixture(scope="session")
def parts(tmp_path_factory) -> Path:
    """Pipeline folder with an untrained embedding and a generated PLDA"""
    folder = tmp_path_factory.mktemp("parts")
    torch.manual_seed(0)
    model = XVectorMFCC(dimension=64)
    save_embedding_checkpoint(model, folder / "embedding")

    (folder / "plda").mkdir()
    rng, dim = np.random.default_rng(0), model.dimension
    orthogonal, _ = np.linalg.qr(rng.standard_normal((dim, dim)))
    zeros = np.zeros(dim)
    np.savez(folder / "plda" / "xvec_transform.npz", mean1=zeros, mean2=zeros, lda=np.eye(dim))
    np.savez(folder / "plda" / "plda.npz", mu=zeros, tr=orthogonal, psi=np.linspace(5, 0.1, dim))
    return folder


@pytest.fixture(scope="session")
def voices(tmp_path_factory) -> Path:
    """Real voices where they are at hand, harmonic sounds otherwise"""
    return FSDD if FSDD.is_dir() else generate_voices(tmp_path_factory.mktemp("voices"))


@pytest.fixture
def arguments(checkpoint, parts):
    """Arguments of pyannote.audio's pipeline, and of ours"""
    return {
        "segmentation": str(checkpoint),
        "embedding": str(parts / "embedding"),
        "plda": str(parts / "plda"),
        "segmentation_step": 0.5,
    }


@pytest.fixture(scope="session")
def exported(checkpoint, parts, tmp_path_factory):
    """Pipeline that hears several speakers in anything"""
    settings = DiarizationSettings(segmentation_step=0.5)
    return export_pipeline(checkpoint, tmp_path_factory.mktemp("exported") / "it", parts, settings)


@pytest.fixture(scope="session")
def onnx_folder(checkpoint, onnx_file, tmp_path_factory):
    """The same with ONNX files, and with a WeSpeaker embedding"""
    folder = tmp_path_factory.mktemp("onnx-folder")
    save_embedding_checkpoint(random_wespeaker(), folder / "parts" / "embedding")
    settings = DiarizationSettings(
        clustering="AgglomerativeClustering",
        parameters={"method": "centroid", "min_cluster_size": 2, "threshold": 0.01},
        segmentation_step=1.0,
    )
    with pytest.MonkeyPatch.context() as patch:
        # the same file, without the time that it takes
        patch.setattr(
            "pyannote_prune.pipeline.export.save_onnx",
            lambda model, path: shutil.copyfile(onnx_file, path),
        )
        return export_pipeline(checkpoint, folder / "it", folder / "parts", settings, onnx=True)


@pytest.fixture(scope="session")
def oracle(checkpoint, tmp_path_factory):
    """Pipeline with oracle clustering"""
    folder = tmp_path_factory.mktemp("oracle") / "it"
    return export_pipeline(checkpoint, folder, settings=ORACLE_SETTINGS)
