"""Pipeline folders, read by pyannote.audio"""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conversations import generate_conversations, write_wav
from helpers import largest_file
from pyannote.audio import Pipeline
from pyannote.audio.__main__ import app as pyannote_audio
from pyannote.audio.sample import SAMPLE_FILE
from pyannote.database.util import load_rttm
from typer.testing import CliRunner

from pyannote_prune import DiarizationSettings, WavLMSegmentation, export_pipeline
from pyannote_prune.files.atomic import WriteError
from pyannote_prune.pipeline.diarization import DiarizationPipeline
from pyannote_prune.pipeline.settings import ORACLE_SETTINGS

pytestmark = pytest.mark.filterwarnings("ignore:.*The detected number of speakers")
FAST = {"segmentation_step": 0.5}


def test_exported_folder_runs_offline(checkpoint, parts, tmp_path):
    folder = export_pipeline(checkpoint, tmp_path / "pipeline", parts, DiarizationSettings(**FAST))
    pipeline = Pipeline.from_pretrained(folder)
    assert type(pipeline) is DiarizationPipeline
    model = pipeline._segmentation.model
    assert isinstance(model, WavLMSegmentation)
    expected = WavLMSegmentation.from_pretrained(checkpoint).state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())

    output = pipeline(SAMPLE_FILE)
    assert output.speaker_diarization.get_timeline().duration() > 0
    assert len(output.speaker_embeddings) == len(output.speaker_diarization.labels())


def test_folder_can_be_moved(checkpoint, parts, tmp_path):
    export_pipeline(checkpoint, tmp_path / "here", parts, DiarizationSettings(**FAST))
    before = Pipeline.from_pretrained(tmp_path / "here")(SAMPLE_FILE).speaker_diarization
    shutil.move(tmp_path / "here", tmp_path / "there and with spaces")
    after = Pipeline.from_pretrained(tmp_path / "there and with spaces")(SAMPLE_FILE)
    assert after.speaker_diarization == before


def test_settings_reach_the_pipeline(checkpoint, parts, tmp_path):
    settings = DiarizationSettings(
        clustering="AgglomerativeClustering",
        parameters={"method": "centroid", "min_cluster_size": 30, "threshold": 0.7},
        segmentation_step=0.25,
        segmentation_batch_size=4,
        embedding_batch_size=2,
        embedding_exclude_overlap=False,
        min_duration_off=0.1,
        median_filter=11,
        min_speakers=2,
        max_speakers=20,
    )
    model = WavLMSegmentation.from_pretrained(checkpoint)
    pipeline = Pipeline.from_pretrained(
        export_pipeline(model, tmp_path / "pipeline", parts, settings)
    )
    assert type(pipeline) is DiarizationPipeline
    assert pipeline.klustering == "AgglomerativeClustering"
    assert pipeline.segmentation_step == 0.25
    assert (pipeline.segmentation_batch_size, pipeline.embedding_batch_size) == (4, 2)
    assert not pipeline.embedding_exclude_overlap
    assert (pipeline.median_filter, pipeline.min_speakers, pipeline.max_speakers) == (11, 2, 20)
    parameters = pipeline.parameters(instantiated=True)
    assert parameters["segmentation"] == {"min_duration_off": 0.1}
    assert parameters["clustering"] == settings.parameters


def test_engines_reach_the_pipeline(checkpoint, parts, tmp_path):
    settings = DiarizationSettings(segmentation_engine="auto", embedding_engine="torch")
    folder = export_pipeline(checkpoint, tmp_path / "pipeline", parts, settings)
    params = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))["pipeline"]
    found = {key: value for key, value in params["params"].items() if "engine" in key}
    assert found == {"segmentation_engine": "auto", "embedding_engine": "torch"}
    assert Pipeline.from_pretrained(folder)
    settings = replace(settings, embedding_engine="openvino")
    folder = export_pipeline(checkpoint, tmp_path / "other", parts, settings)
    with pytest.raises(ValueError, match="WeSpeaker ResNet .* found 'openvino' for XVectorMFCC"):
        Pipeline.from_pretrained(folder)


def test_engines_that_cannot_compute_the_model_are_refused(checkpoint, parts, tmp_path):
    for onnx, engine in ((False, "openvino"), (True, "torch")):
        settings = DiarizationSettings(segmentation_engine=engine)
        with pytest.raises(ValueError, match=f"`segmentation_engine` must .*'{engine}'"):
            export_pipeline(checkpoint, tmp_path / "it", parts, settings, onnx=onnx)
    with pytest.raises(ValueError, match=r"`embedding_engine` must be one of .*mean 'openvino'\?"):
        DiarizationSettings(embedding_engine="openvin")
    assert not list(tmp_path.iterdir())


def test_default_settings_are_those_of_pyannote(checkpoint, parts, tmp_path):
    folder = export_pipeline(checkpoint, tmp_path / "pipeline", parts)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["pipeline"]["name"] == "pyannote_prune.pipeline.SpeakerDiarization"
    assert config["pipeline"]["params"]["share_frames"]
    assert config["params"]["clustering"] == {"threshold": 0.6, "Fa": 0.07, "Fb": 0.8}


def test_oracle_clustering_is_exported_with_our_class(checkpoint, parts, tmp_path):
    settings = DiarizationSettings(clustering="OracleClustering", parameters={}, **FAST)
    folder = export_pipeline(checkpoint, tmp_path / "pipeline", parts, settings)
    pipeline = Pipeline.from_pretrained(folder)
    assert pipeline(dict(SAMPLE_FILE)).speaker_diarization.labels()


@pytest.mark.parametrize("settings", [DiarizationSettings(**FAST), ORACLE_SETTINGS])
def test_safetensors_change_the_format_and_not_the_output(checkpoint, parts, tmp_path, settings):
    folders = [
        export_pipeline(checkpoint, tmp_path / name, parts, settings, safetensors=name == "there")
        for name in ("here", "there")
    ]
    assert [p.name for p in (folders[1] / "segmentation").iterdir()] == ["model.safetensors"]
    # moved, and read from somewhere else
    folders[1] = folders[1].rename(tmp_path / "moved")
    expected, found = (Pipeline.from_pretrained(folder) for folder in folders)
    assert type(found) is DiarizationPipeline
    weights = expected._segmentation.model.state_dict()
    for key, tensor in found._segmentation.model.state_dict().items():
        assert torch.equal(tensor, weights[key])
    assert found.parameters(instantiated=True) == expected.parameters(instantiated=True)
    file = dict(SAMPLE_FILE)
    assert found(file).speaker_diarization == expected(file).speaker_diarization


def test_safetensors_pipeline_reads_no_pickle_of_ours(checkpoint, parts, tmp_path, monkeypatch):
    """pyannote.audio reads that of the embedding"""
    folder = export_pipeline(checkpoint, tmp_path / "pipeline", parts, safetensors=True)
    read, load = [], torch.load

    def spy(file, *args, **kwargs):
        read.append(Path(getattr(file, "name", None) or file.path).parent.name)
        return load(file, *args, **kwargs)

    monkeypatch.setattr(torch, "load", spy)
    Pipeline.from_pretrained(folder)
    assert set(read) == {"embedding"}


def test_safetensors_pipeline_is_whole_or_says_so(checkpoint, parts, tmp_path):
    folder = export_pipeline(checkpoint, tmp_path / "pipeline", parts, safetensors=True)
    path = folder / "segmentation" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"model.safetensors' could not be read: it is truncated"):
        Pipeline.from_pretrained(folder)
    path.unlink()
    with pytest.raises(ValueError, match="`segmentation` must be a file inside .*pipeline"):
        Pipeline.from_pretrained(folder)


def test_hub_id_is_referred_to(checkpoint, tmp_path):
    folder = export_pipeline(checkpoint, tmp_path / "pipeline")
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "config.yaml",
        "segmentation",
    ]
    params = yaml.safe_load((folder / "config.yaml").read_text())["pipeline"]["params"]
    hub_id = "pyannote/speaker-diarization-community-1"
    assert params["segmentation"] == "$model/segmentation"
    assert params["embedding"] == {"checkpoint": hub_id, "subfolder": "embedding"}
    assert params["plda"] == {"checkpoint": hub_id, "subfolder": "plda"}


def test_pyannote_command_line_reads_the_folder(checkpoint, parts, tmp_path):
    settings = DiarizationSettings(median_filter=11, **FAST)
    folder = export_pipeline(checkpoint, tmp_path / "pipeline", parts, settings, safetensors=True)
    audio = tmp_path / "conversation.wav"
    write_wav(audio, SAMPLE_FILE["waveform"][0, : 16000 * 8].numpy())
    command = [Path(sys.executable).parent / "pyannote-audio", "apply", folder, audio]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    (tmp_path / "output.rttm").write_text(result.stdout)
    assert load_rttm(tmp_path / "output.rttm")["conversation"]


@pytest.mark.parametrize("name", ["x" * 255, "0.5"])
def test_names_of_folders_are_free(checkpoint, parts, tmp_path, name):
    folder = export_pipeline(checkpoint, tmp_path / name, parts)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (folder / "config.yaml").is_file()


def test_names_of_folders_do_not_end_as_those_of_files_do(checkpoint, parts, tmp_path):
    with pytest.raises(ValueError, match=r"`folder` must be .*model\.onnx', .*: leave \.onnx out"):
        export_pipeline(checkpoint, tmp_path / "model.onnx", parts)
    assert not list(tmp_path.iterdir())
    # a folder that exists is meant as such
    (tmp_path / "model.onnx").mkdir()
    assert export_pipeline(checkpoint, tmp_path / "model.onnx", parts).is_dir()


FOLDERS = {
    "VBx": DiarizationSettings(**FAST),
    "as DiariZen": DiarizationSettings(median_filter=11, first_channel=True, **FAST),
    "agglomerative": DiarizationSettings(
        clustering="AgglomerativeClustering",
        parameters={"method": "centroid", "min_cluster_size": 2, "threshold": 0.7},
        **FAST,
    ),
    "oracle": replace(ORACLE_SETTINGS, **FAST),
}


@pytest.mark.parametrize("kind", FOLDERS)
def test_pyannote_commands_of_the_readme_run_on_exported_folders(checkpoint, parts, tmp_path, kind):
    """`apply` (see above), `benchmark` and `optimize`"""
    folder = export_pipeline(checkpoint, tmp_path / "pipeline", parts, FOLDERS[kind])
    database = generate_conversations(tmp_path / "database", "Readme")
    name = "Readme.SpeakerDiarization.Mini"
    options = ["--registry", database, "--subset", "development", "--device", "cpu"]
    (tmp_path / "into").mkdir()
    run("benchmark", folder, name, tmp_path / "into", *options)
    scores = pd.read_csv(tmp_path / "into" / f"{name}.development.csv", index_col=0, header=[0, 1])
    assert scores.index[:-1].tolist() == ["development0", "development1"]

    run("optimize", folder / "config.yaml", name, *options, "--max-iterations", 1)
    before = yaml.safe_load((folder / "config.yaml").read_text())
    written = folder / f"config.{name}.development.yaml"
    found = yaml.safe_load(written.read_text())
    assert found["pipeline"] == before["pipeline"]
    optimized = Pipeline.from_pretrained(written).parameters(instantiated=True)
    assert {key: value for key, value in optimized.items() if value}.keys() == {*before["params"]}
    if kind == "VBx":  # it starts from those of pyannote/speaker-diarization-community-1
        assert found["params"] == before["params"]
    assert 0 < found["optimization"]["status"]["best_loss"] < np.inf


def run(*arguments):
    """Command of pyannote.audio"""
    result = CliRunner().invoke(pyannote_audio, [*map(str, arguments)])
    assert result.exit_code == 0, result.exception


def test_parameters_are_optimized_on_what_is_computed_once(checkpoint, parts, tmp_path):
    """Also with the first channel, which our class asks for in a copy of the file"""
    settings = FOLDERS["as DiariZen"]
    folder = export_pipeline(checkpoint, tmp_path / "pipeline", parts, settings)
    pipeline, file = Pipeline.from_pretrained(folder), dict(SAMPLE_FILE)
    output = pipeline(file)
    assert not any("cache" in key for key in file)
    pipeline.training = True
    assert pipeline(file) == output.speaker_diarization
    cached = file["training_cache/segmentation"], file["training_cache/embeddings"]
    assert pipeline(file) == output.speaker_diarization
    assert file["training_cache/segmentation"] is cached[0]
    assert file["training_cache/embeddings"] is cached[1]
    pipeline.training = False
    assert pipeline(file).speaker_diarization == output.speaker_diarization


def test_folder_in_use_is_not_overwritten(checkpoint, parts, tmp_path):
    (tmp_path / "precious").write_text("do not touch")
    with pytest.raises(ValueError, match="`folder` must not exist, or be empty"):
        export_pipeline(checkpoint, tmp_path, parts)
    with pytest.raises(ValueError, match="`folder` must be a folder, found the file .*precious'"):
        export_pipeline(checkpoint, tmp_path / "precious", parts)
    assert (tmp_path / "precious").read_text() == "do not touch"


def test_full_disk_is_said_with_the_folder(checkpoint, parts, tmp_path):
    message = "pipeline' could not be written \\(File too large\\): free some space"
    with largest_file(50_000), pytest.raises(WriteError, match=message):
        export_pipeline(checkpoint, tmp_path / "pipeline", parts)
    assert list(tmp_path.iterdir()) == []


def test_empty_folder_is_used(checkpoint, parts, tmp_path):
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / ".DS_Store").touch()
    export_pipeline(checkpoint, tmp_path / "pipeline", parts)
    assert (tmp_path / "pipeline" / "config.yaml").is_file()


def test_another_plda_is_copied(checkpoint, parts, tmp_path):
    """With an embedding of the hub, or a local one"""
    plda = shutil.copytree(parts / "plda", tmp_path / "plda")
    arrays = dict(np.load(plda / "plda.npz"))
    np.savez(plda / "plda.npz", **arrays | {"mu": arrays["mu"] + 1})
    for name, source in (("here", parts), ("hub", "someone/pipeline")):
        folder = export_pipeline(checkpoint, tmp_path / name, source, plda=plda)
        assert (folder / "plda" / "plda.npz").read_bytes() == (plda / "plda.npz").read_bytes()
        params = yaml.safe_load((folder / "config.yaml").read_text())["pipeline"]["params"]
        assert params["plda"] == "$model/plda"
        here = "$model/embedding"
        hub = {"checkpoint": "someone/pipeline", "subfolder": "embedding"}
        assert params["embedding"] == (here if name == "here" else hub)
    (plda / "plda.npz").unlink()
    with pytest.raises(ValueError, match=r"`plda` must be laid out as .* without plda.npz"):
        export_pipeline(checkpoint, tmp_path / "other", parts, plda=plda)


def test_incomplete_parts_are_named_and_nothing_is_written(checkpoint, parts, tmp_path):
    shutil.copytree(parts, tmp_path / "parts")
    (tmp_path / "parts" / "plda" / "plda.npz").unlink()
    with pytest.raises(ValueError, match=r"parts/plda. without plda.npz"):
        export_pipeline(checkpoint, tmp_path / "pipeline", tmp_path / "parts")
    with pytest.raises(ValueError, match="`parts` must be a local pipeline folder or the hub id"):
        export_pipeline(checkpoint, tmp_path / "pipeline", tmp_path / "nowhere")
    with pytest.raises(ValueError, match="`parts` must be a local pipeline folder or the hub id"):
        export_pipeline(checkpoint, tmp_path / "pipeline", "./nowhere")
    assert [path.name for path in tmp_path.iterdir()] == ["parts"]


def test_parts_are_a_folder(checkpoint, parts, tmp_path):
    file = parts / "embedding" / "pytorch_model.bin"
    with pytest.raises(ValueError, match="must be the folder of a pipeline, found the file"):
        export_pipeline(checkpoint, tmp_path / "pipeline", file)
    assert not (tmp_path / "pipeline").exists()
