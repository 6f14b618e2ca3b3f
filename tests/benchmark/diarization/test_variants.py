"""Pipelines from the same parts, in all formats"""

import shutil

import lightning
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from pyannote.audio import pipelines
from pyannote.audio.models.segmentation import PyanNet
from running import edit

from pyannote_prune import DiarizationSettings, export_pipeline, save_checkpoint
from pyannote_prune.benchmark.diarization.models import open_embedding, open_segmentation
from pyannote_prune.benchmark.diarization.parts import AGGLOMERATIVE, HYPER_PARAMETERS, VBX, Parts
from pyannote_prune.benchmark.diarization.variants import VARIANTS, Variant, make_pipeline
from pyannote_prune.files.extras import MissingExtra
from pyannote_prune.onnx.model import ONNXSegmentation
from pyannote_prune.pipeline import NoPLDA
from pyannote_prune.pipeline.pyannote_repairs import get_segmentation_model
from pyannote_prune.segmentation.checkpoint import load_checkpoint
from pyannote_prune.segmentation.specifications import powerset_specifications

pytestmark = pytest.mark.filterwarnings("ignore:.*The detected number of speakers")

STOCK = Variant(pipelines.SpeakerDiarization)


@pytest.fixture(scope="module")
def conversation():
    generator = torch.Generator().manual_seed(0)
    return {"waveform": torch.randn(1, 16000 * 5, generator=generator), "sample_rate": 16000}


@pytest.fixture(scope="module")
def embeddings(tmp_path_factory):
    """Mean of features, as ONNX files in the format of WeSpeaker"""
    folder = tmp_path_factory.mktemp("embedding")
    node = helper.make_node("ReduceMean", ["feats"], ["embs"], axes=[1], keepdims=0)
    feats = helper.make_tensor_value_info("feats", TensorProto.FLOAT, ["batch", "frames", 80])
    embs = helper.make_tensor_value_info("embs", TensorProto.FLOAT, ["batch", 80])
    graph = helper.make_graph([node], "mean", [feats], [embs])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    for name in ("wespeaker.onnx", "mean.onnx"):
        onnx.save(model, folder / name)
    return folder


@pytest.mark.parametrize("format", ["checkpoint", "safetensors", "onnx"])
@pytest.mark.parametrize("place", ["file", "folder"])
def test_all_formats_are_the_same_model(format, place, checkpoint, onnx_file, parts, tmp_path):
    path = {"checkpoint": checkpoint, "onnx": onnx_file}.get(format, tmp_path / "it.safetensors")
    if place == "folder":
        path = export_pipeline(
            checkpoint, tmp_path / "it", parts, safetensors=format != "checkpoint"
        )
        if format == "onnx":
            # writing one takes seconds
            shutil.copy(onnx_file, path / "segmentation" / "model.onnx")
            edit(path / "config.yaml", "model.safetensors", "model.onnx")
    elif format == "safetensors":
        save_checkpoint(load_checkpoint(checkpoint), path)
    waveforms = torch.randn(1, 1, 32000)
    with torch.inference_mode():
        expected = load_checkpoint(checkpoint)(waveforms)
        for variant in (STOCK, Variant()):
            pipeline = make_pipeline(Parts(str(path), parts / "embedding"), variant)
            model = get_segmentation_model(pipeline)
            assert isinstance(model, ONNXSegmentation) == (format == "onnx")
            torch.testing.assert_close(model(waveforms), expected, atol=1e-3, rtol=0)


def test_onnx_embeddings_are_read_whatever_their_name(
    checkpoint, embeddings, conversation, monkeypatch
):
    monkeypatch.chdir(embeddings)  # the path of the folder may have other words that count
    options = {"min_cluster_size": 1, "threshold": 0.1}
    native = pipelines.SpeakerDiarization(
        segmentation=str(checkpoint),
        embedding="wespeaker.onnx",
        plda=NoPLDA(),
        clustering=AGGLOMERATIVE,
        embedding_exclude_overlap=True,
    )
    native.instantiate(
        {"segmentation": {"min_duration_off": 0.0}, "clustering": {"method": "centroid", **options}}
    )
    expected = native(conversation)
    assert len(expected.speaker_diarization.labels()) > 1
    for name in ("wespeaker.onnx", "mean.onnx"):
        found = make_pipeline(Parts(str(checkpoint), embeddings / name, **options), STOCK)
        output = found(conversation)
        assert output.speaker_diarization == expected.speaker_diarization
        assert (output.speaker_embeddings == expected.speaker_embeddings).all()


def test_models_of_pyannote_are_read(tmp_path, parts, conversation):
    model = PyanNet(lstm={"hidden_size": 8, "num_layers": 1}, linear={"num_layers": 0})
    model.specifications = powerset_specifications(5.0, 3, 2)
    model.build()
    content = {
        "pytorch-lightning_version": lightning.__version__,
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
    }
    model.on_save_checkpoint(content)
    path = tmp_path / "pytorch_model.bin"
    torch.save(content, path)
    found = open_segmentation(path)
    assert type(found) is PyanNet
    waveforms = torch.randn(1, 1, 16000)
    with torch.inference_mode():
        assert torch.equal(found(waveforms), model.eval()(waveforms))


def test_clustering_depends_on_the_plda(checkpoint, parts, tmp_path):
    own = {"threshold": 0.3, "Fa": 0.1, "Fb": 0.9}
    vbx = export_pipeline(checkpoint, tmp_path / "vbx", parts, DiarizationSettings(parameters=own))
    average = {"method": "average", "min_cluster_size": 3, "threshold": 0.2}
    settings = DiarizationSettings(
        clustering=AGGLOMERATIVE, parameters=average, segmentation_step=0.25
    )
    other = export_pipeline(checkpoint, tmp_path / "other", parts, settings)
    embedding, plda = parts / "embedding", parts / "plda"
    for arguments, clustering, expected in [
        ((vbx,), VBX, own),
        ((vbx, embedding), AGGLOMERATIVE, HYPER_PARAMETERS[AGGLOMERATIVE]),
        ((vbx, embedding, plda, 0.4), VBX, own | {"threshold": 0.4}),
        ((other,), AGGLOMERATIVE, average),
        ((other, None, plda), VBX, HYPER_PARAMETERS[VBX]),
        ((other, embedding, None, 0.5, 7), AGGLOMERATIVE, {"min_cluster_size": 7}),
        ((checkpoint, embedding), AGGLOMERATIVE, HYPER_PARAMETERS[AGGLOMERATIVE]),
        ((checkpoint, embedding, plda), VBX, HYPER_PARAMETERS[VBX]),
    ]:
        found, hyper_parameters = Parts(str(arguments[0]), *arguments[1:]).arguments()
        assert found["clustering"] == clustering
        assert hyper_parameters["clustering"].items() >= expected.items()
        assert found.get("segmentation_step", 0.1) == (0.25 if arguments[0] == other else 0.1)


def test_class_of_pyannote_leaves_out_settings_that_it_lacks(checkpoint, parts, tmp_path):
    settings = DiarizationSettings(segmentation_step=0.5, median_filter=5)
    folder = export_pipeline(checkpoint, tmp_path / "it", parts, settings)
    stock, ours = (make_pipeline(Parts(str(folder)), variant) for variant in (STOCK, Variant()))
    assert ours.median_filter == 5
    assert not hasattr(stock, "median_filter")
    for pipeline in (stock, ours):
        assert pipeline.segmentation_step == 0.5
        assert pipeline.parameters(instantiated=True)["clustering"] == settings.parameters


@pytest.mark.filterwarnings("ignore:This processor has no native bfloat16")
@pytest.mark.parametrize(("name", "step", "size"), [("exact", 0.1, 12), ("fast", 0.25, 5)])
def test_speeds_have_their_step_and_size_of_clusters(checkpoint, parts, name, step, size):
    pipeline = make_pipeline(Parts(str(checkpoint), parts / "embedding"), VARIANTS[name])
    assert pipeline.segmentation_step == step
    assert pipeline.clustering.min_cluster_size == size


def test_random_parts_are_the_same_each_time():
    one, other = (open_embedding(None).state_dict() for _ in range(2))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_missing_hyper_parameter_is_refused(checkpoint, parts):
    vbx = Parts(str(checkpoint), parts / "embedding", parts / "plda", min_cluster_size=3)
    with pytest.raises(ValueError, match="`min_cluster_size` must be None with VBxClustering"):
        vbx.check()


def test_oracle_clustering_is_refused(oracle):
    with pytest.raises(ValueError, match="found 'OracleClustering'.*export it with embeddings"):
        Parts(str(oracle)).check()


@pytest.mark.parametrize("part", ["segmentation", "embedding"])
def test_missing_packages_are_named(part, onnx_file, embeddings, monkeypatch):
    monkeypatch.setattr("pyannote_prune.files.extras.find_spec", lambda package: None)
    given = {"segmentation": str(onnx_file), "embedding": embeddings / "mean.onnx"}
    with pytest.raises(MissingExtra, match=r"pip install 'pyannote-prune\[onnx\]'"):
        Parts(**{part: given[part]}).check()
