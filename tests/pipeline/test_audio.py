"""Recordings as people have them, and pipelines that need something else"""

import shutil

import pytest
from compressed import compress, needs_ffmpeg, write_conversation
from conversations import generate_conversations
from pyannote.audio import Audio, Pipeline, pipelines
from running import run as apply

from pyannote_prune.pipeline.apply import apply_pipeline

pytestmark = pytest.mark.filterwarnings("ignore:.*The detected number of speakers")


@needs_ffmpeg
@pytest.mark.parametrize("kind", [".mp3", "-pipe.flac", ".webm", ".mkv", ".wma", "-late.mp4"])
@pytest.mark.parametrize("is_stock", [False, True])
def test_results_are_those_of_the_decoded_waveform(
    exported, checkpoint, parts, tmp_path, kind, is_stock
):
    """Also those of pipelines of pyannote.audio"""
    path = compress(write_conversation(tmp_path), kind)
    loaded = Pipeline.from_pretrained(exported)
    if is_stock:
        options = {"embedding": str(parts / "embedding"), "plda": str(parts / "plda")}
        loaded = pipelines.SpeakerDiarization(
            segmentation=str(checkpoint), segmentation_step=0.5, **options
        )
        loaded.instantiate(loaded.default_parameters())
    waveform, sample_rate = Audio()(path)
    files = [
        {"uri": "talk", "audio": path},
        {"uri": "talk", "waveform": waveform, "sample_rate": sample_rate},
    ]
    written = []
    for number, file in enumerate(files):
        folder = tmp_path / str(number)
        folder.mkdir()
        (applied,) = apply_pipeline(loaded, [file], folder)
        assert applied.error is None
        written.append([(folder / f"talk.{suffix}").read_bytes() for suffix in ("rttm", "json")])
    assert written[0] == written[1]
    assert written[0][0].count(b"SPEAKER") > 1


@needs_ffmpeg
def test_command_reads_compressed_files(exported, tmp_path):
    path = compress(write_conversation(tmp_path), ".mp3")
    assert "talk: " in apply(exported, path, "--into", tmp_path / "out")
    assert b"SPEAKER talk 1 " in (tmp_path / "out" / "talk.rttm").read_bytes()


def test_errors_of_decoders_have_a_file_and_no_line_of_code(exported, tmp_path):
    (tmp_path / "broken.wav").write_bytes(b"RIFF, and nothing")
    output = apply(exported, tmp_path / "broken.wav", "--into", tmp_path / "out", code=1)
    assert "broken: ValueError: `audio` could not be read: " in output
    assert "broken.wav' (Could not open input file: " in output
    assert ".cpp" not in output


def test_oracle_pipelines_are_refused_before_the_first_recording(oracle, tmp_path):
    write_conversation(tmp_path)
    output = apply(oracle, tmp_path / "talk.wav", "--into", tmp_path / "out", code=1)
    assert 'OracleClustering needs the reference ("annotation")' in output
    assert "export the model with embeddings" in output
    assert "Fix them" not in output
    assert not (tmp_path / "out").exists()


def test_oracle_pipelines_are_applied_with_references(oracle, tmp_path):
    database = generate_conversations(tmp_path / "database")
    name = ("--protocol", "Generated.SpeakerDiarization.Mini", "--database", database)
    options = (*name, "--subset", "development")
    assert "DER" in apply(oracle, *options, "--into", tmp_path / "out")
    # without references
    text = database.read_text().replace("annotation: development.rttm", "")
    database.write_text(text)
    output = apply(oracle, *options, "--into", tmp_path / "other", code=1)
    assert "OracleClustering needs the reference" in output


def test_what_is_no_pipeline_is_called_what_it_is(exported, checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_conversation(tmp_path)
    shutil.copy(checkpoint, "tiny.ckpt")
    output = apply("tiny.ckpt", "talk.wav", code=1)
    assert "export the model first (`pyannote-prune export tiny.ckpt FOLDER`)" in output
    shutil.copytree(exported, "run/pipeline")
    assert "give 'run/pipeline'" in apply("run", "talk.wav", code=1)
    output = apply("run/pipeline/segmentation", "talk.wav", code=1)
    assert "it has no 'config.yaml'. Models are exported first" in output
    apply("run/pipeline/config.yaml", "talk.wav", "--into", "out")
