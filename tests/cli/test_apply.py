"""`pyannote-prune apply`"""

import json
import os
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from conversations import generate_conversations, write_wav
from pyannote.audio import Pipeline
from pyannote.core import Annotation
from pyannote.database import FileFinder, registry
from pyannote.database.util import load_rttm
from pyannote.metrics.diarization import DiarizationErrorRate
from running import run as apply
from typer.testing import CliRunner

from pyannote_prune import export_pipeline
from pyannote_prune.cli import app
from pyannote_prune.pipeline.apply import apply_pipeline
from pyannote_prune.pipeline.recordings import recordings_of_paths

NAME = "Generated.SpeakerDiarization.Mini"

pytestmark = pytest.mark.filterwarnings("ignore:.*The detected number of speakers")


@pytest.fixture
def recordings(tmp_path):
    """Two that can be read, one that cannot, and something else"""
    folder = tmp_path / "recordings"
    folder.mkdir()
    noise = 0.1 * np.random.default_rng(0).standard_normal((2, 16000 * 6))
    for name, samples in zip(("one", "another one"), noise, strict=True):
        write_wav(folder / f"{name}.wav", samples)
    (folder / "broken.wav").write_bytes(b"RIFF, and then nothing")
    (folder / "notes.txt").write_text("not a recording")
    return folder


def written(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_results_are_those_of_the_pipeline_and_a_broken_file_stops_nothing(
    exported, recordings, tmp_path
):
    output = apply(exported, recordings, "--into", tmp_path / "out", code=1)
    assert "1 of 3 recordings failed: broken: " in output
    expected = {"another_one": "another one", "one": "one"}
    assert {p.stem for p in (tmp_path / "out").glob("*.rttm")} == expected.keys()
    loaded = Pipeline.from_pretrained(exported)
    for uri, name in expected.items():
        direct = loaded(recordings / f"{name}.wav")
        found = load_rttm(tmp_path / "out" / f"{uri}.rttm")[uri]
        assert found.labels() == direct.speaker_diarization.labels()
        assert found.get_timeline().duration() == pytest.approx(
            direct.speaker_diarization.get_timeline().duration(), abs=0.01
        )
        assert json.loads((tmp_path / "out" / f"{uri}.json").read_text()) == direct.serialize()


def spoil(path):
    """Damage a file as a disk does: nothing says that it changed"""
    status = path.stat()
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_the_same_command_does_what_remains(exported, recordings, tmp_path):
    out = tmp_path / "out"
    apply(exported, recordings, "--into", out, code=1)
    before = written(out)
    # what was done is not done again, even if it could not be any more
    spoil(recordings / "one.wav")
    shutil.copy(recordings / "another one.wav", recordings / "broken.wav")
    output = apply(exported, recordings, "--into", out)
    assert re.search(r"one: \d speakers?, already there", output)
    assert re.search(r"broken: \d speakers? in \d", output)
    after = written(out)
    assert before.pop("recordings.csv") != after.pop("recordings.csv")
    assert after.keys() - before.keys() == {"broken.rttm", "broken.json"}
    assert {name: after[name] for name in before} == before


def test_a_recording_that_is_interrupted_is_done_again(exported, recordings, tmp_path):
    loaded, todo = Pipeline.from_pretrained(exported), recordings_of_paths([recordings])
    steps = []

    def interrupt(step, *args, **kwargs):
        steps.append(step)
        if step == "embeddings":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(apply_pipeline(loaded, todo, tmp_path, interrupt))
    assert "segmentation" in steps
    assert not list(tmp_path.glob("*.rttm"))
    assert not list(tmp_path.glob(".*"))
    assert [one.error is None for one in apply_pipeline(loaded, todo, tmp_path)] == [1, 0, 1]


def test_silence_has_no_speaker_the_second_time_either(exported, tmp_path):
    class Silent:
        def __call__(self, recording, hook):
            return Annotation()

    todo = [{"uri": "silence"}]
    for _ in range(2):
        (applied,) = apply_pipeline(Silent(), todo, tmp_path)
        assert applied.diarization.uri == "silence"
        assert not applied.diarization


def test_protocols_are_scored_and_a_missing_recording_stops_nothing(exported, tmp_path):
    database = generate_conversations(tmp_path / "database")
    options = ("--protocol", NAME, "--database", database, "--subset", "train")
    (tmp_path / "database" / "train2.wav").unlink()
    output = apply(exported, *options, "--into", tmp_path / "out", code=1)
    assert "1 of 4 recordings failed: train2: " in output

    registry.load_database(database)
    protocol = registry.get_protocol(NAME, preprocessors={"audio": FileFinder()})
    metric = DiarizationErrorRate()
    for file in protocol.train():
        if file["uri"] != "train2":
            found = load_rttm(tmp_path / "out" / f"{file['uri']}.rttm")[file["uri"]]
            metric(file["annotation"], found, uem=file["annotated"])
    assert f"DER {abs(metric):.2%} over 3 recordings" in output
    scores = pd.read_csv(tmp_path / "out" / "scores.csv", index_col=0, header=[0, 1])
    assert scores.index[:-1].tolist() == ["train0", "train1", "train3"]
    # scores are those of all recordings, whenever they were done
    assert f"DER {abs(metric):.2%} over 3 recordings" in apply(
        exported, *options, "--into", tmp_path / "out", code=1
    )


def test_results_of_two_pipelines_or_origins_are_not_mixed(
    exported, checkpoint, parts, recordings, tmp_path
):
    out = tmp_path / "out"
    apply(exported, recordings / "one.wav", "--into", out)
    other = export_pipeline(checkpoint, tmp_path / "other", parts)
    before = written(out)
    message = apply(other, recordings / "one.wav", "--into", out, code=1)
    assert "application.yml has other values of pipeline" in message
    shutil.copytree(recordings, tmp_path / "elsewhere")
    message = apply(exported, tmp_path / "elsewhere" / "one.wav", "--into", out, code=1)
    assert "other values of source" in message
    assert written(out) == before
    # wherever the pipeline is
    shutil.copytree(exported, tmp_path / "moved")
    assert "already there" in apply(tmp_path / "moved", recordings / "one.wav", "--into", out)


def test_what_is_not_ours_stays(exported, recordings, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / ".theirs.draft").write_text("mine")
    assert "choose another" in apply(
        exported, recordings / "one.wav", "--into", tmp_path / "mine", code=1
    )
    assert written(tmp_path / "mine") == {".theirs.draft": b"mine"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{pipeline}"], "either `recordings` or `--protocol` must be given, found nothing"),
        (["{pipeline}", "{audio}", "--protocol", NAME], "must be given, found both"),
        (["{pipeline}", "{folder}/none.wav"], "`recordings` must exist, found"),
        (["{pipeline}", "{folder}/empty"], "found none"),
        (["{pipeline}", "{audio}", "{audio}"], "found ['one'] twice"),
        (["{folder}/nothing", "{audio}"], "`pipeline` must be"),
        (["{folder}/empty", "{audio}"], "`pipeline` must be"),
        (["nobody/nothing", "{audio}"], "`pipeline` must be"),
        (["{pipeline}", "{audio}", "--device", "tpu"], "`device` must be"),
        (["{pipeline}", "--protocol", NAME], "database.yml"),
        (["{pipeline}", "{audio}", "--part", "5/4"], "k/n with k from 1 to n, found '5/4'"),
    ],
)
def test_mistakes_are_explained(exported, recordings, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (recordings / "empty").mkdir()
    places = {"pipeline": exported, "folder": recordings, "audio": recordings / "one.wav"}
    output = CliRunner().invoke(app, ["apply", *(one.format(**places) for one in arguments)])
    assert output.exit_code == 1
    assert message in " ".join(output.output.split())
    assert not (tmp_path / "diarization").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--subset", "test"), "`protocol` must have a test set"),
        (("--subset", "test"), "choose another one (`--subset development`)"),
        (("--database", "nowhere.yml"), "`database` must be an existing file, found 'nowhere.yml'"),
        (("--protocol", "Generated.SpeakerDiarization.Midi"), "`protocol` must be one of"),
    ],
)
def test_mistakes_in_protocols_are_explained(exported, tmp_path, change, message):
    database = generate_conversations(tmp_path / "database")
    options = ("--protocol", NAME, "--database", database)
    assert message in apply(exported, *options, *change, "--into", tmp_path / "out", code=1)
