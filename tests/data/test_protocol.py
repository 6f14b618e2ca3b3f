"""What is wrong with a protocol is said before training"""

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import yaml
from compressed import compress, needs_ffmpeg
from conversations import generate_conversations, write_wav
from pyannote.audio import Audio
from pyannote.core import Segment
from pyannote.database import Protocol

from pyannote_prune.data.protocol import check_protocol, load_protocol

NAME = "Generated.SpeakerDiarization.Mini"


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    return generate_conversations(tmp_path_factory.mktemp("conversations")).parent


@pytest.fixture
def folder(original, tmp_path) -> Path:
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    return tmp_path


def load(folder: Path) -> Protocol:
    return load_protocol(folder / "database.yml", NAME)


def edit(path: Path, old: str, new: str):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def refused(folder: Path, message: str, error: type = ValueError, duration: float = 2.0):
    with pytest.raises(error, match=message):
        check_protocol(load(folder), duration)


def test_good_protocol_has_no_warning(folder):
    protocol = load(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_protocol(protocol, duration=2.0)


def test_line_is_named(folder):
    edit(folder / "train.rttm", " s1 ", " Ann Lee ")
    refused(folder, r"In the train set of Generated.*train.rttm', line \d+: .*names without spaces")


def test_lines_of_templates_and_compounds_are_checked_too(folder):
    plain = yaml.safe_load((folder / "database.yml").read_text())
    part = plain["Protocols"]["Generated"]["SpeakerDiarization"]["Mini"]["development"]
    part["annotated"] = "{uri}.uem"
    (folder / "development0.uem").write_text("development0 1 0.0 30.0\n")
    (folder / "development1.uem").write_text("development1 1 0.0\n")
    plain["Protocols"]["X"] = {
        "SpeakerDiarization": {
            "All": {"train": {NAME: ["train"]}, "development": {NAME: ["development"]}}
        }
    }
    (folder / "database.yml").write_text(yaml.safe_dump(plain))
    protocol = load_protocol(folder / "database.yml", "X.SpeakerDiarization.All")
    message = "In the development set of X.SpeakerDiarization.All: .*development1.uem', line 1: "
    with pytest.raises(ValueError, match=message):
        check_protocol(protocol, 2.0)


def test_missing_files_are_named(folder):
    (folder / "train1.wav").unlink()
    refused(folder, 'In the train set of .*"train1"', OSError)
    (folder / "train.uem").unlink()
    refused(folder, 'In the train set of .*"train.uem"', OSError)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_text("no audio"), "`audio` could not be read: .*train0.wav"),
        (
            lambda path: write_wav(path, np.zeros(0)),
            "`audio` must not be empty, found .*train0.wav",
        ),
    ],
)
def test_audio_that_cannot_be_read_is_named(folder, write, message):
    write(folder / "train0.wav")
    refused(folder, message)


@needs_ffmpeg
@pytest.mark.parametrize("kind", [".mp3", ".webm", ".mkv"])
def test_compressed_audio_is_trained_on_in_memory_alone(folder, kind):
    """Where its header does not say what is where"""
    edit(folder / "database.yml", "{uri}.wav", "{uri}" + kind)
    edit(folder / "database.yml", "\n          annotated: train.uem", "")
    for wav in folder.glob("*.wav"):
        compress(wav, kind)
        wav.unlink()
    name = rf"train0\{kind}"
    refused(folder, rf"`audio` must be readable window by window.*'.*{name}': convert it to WAV")
    refused(folder, rf"\(`ffmpeg -i {name} train0.wav`\), or set `in_memory: true` in the recipe")
    protocol = load(folder)
    check_protocol(protocol, 2.0, in_memory=True)
    file = next(protocol.train())
    (region,) = file["annotated"]
    waveform, sample_rate = Audio()(file["audio"])
    assert region == Segment(0, waveform.shape[1] / sample_rate)


@needs_ffmpeg
def test_windows_of_other_compressed_audio_end_with_its_samples(folder):
    """Headers of Opus count a few milliseconds that are not decoded"""
    edit(folder / "database.yml", "{uri}.wav", "{uri}.opus")
    edit(folder / "database.yml", "\n          annotated: train.uem", "")
    for wav in folder.glob("*.wav"):
        compress(wav, ".opus")
    protocol = load(folder)
    check_protocol(protocol, 2.0)
    file = next(protocol.train())
    (region,) = file["annotated"]
    assert Audio().get_duration(file["audio"]) > 30.005
    assert region.end == pytest.approx(30.0, abs=1e-6)


def test_regions_beyond_the_audio_are_refused(folder):
    edit(folder / "train.uem", "train0 1 0.000 30.000", "train0 1 0.000 31.500")
    refused(
        folder, "`annotated` must be within the audio, .*'train0' .*31.50 s in 30.00 s of audio"
    )


def test_regions_end_with_the_audio_when_they_exceed_it_by_a_few_frames(folder):
    edit(folder / "train.uem", "train0 1 0.000 30.000", "train0 1 0.000 30.040")
    protocol = load(folder)
    check_protocol(protocol, 2.0)
    (region,) = next(protocol.train())["annotated"]
    assert region == Segment(0, 30)


def test_without_regions_all_of_the_audio_is_annotated(folder):
    edit(folder / "database.yml", "\n          annotated: train.uem", "")
    protocol = load(folder)
    check_protocol(protocol, 30.0)
    (region,) = next(protocol.train())["annotated"]
    assert region == Segment(0, 30)


def test_recording_without_regions_is_refused(folder):
    edit(folder / "train.uem", "train0", "trian0")
    refused(folder, "`annotated` must have regions of 'train0', found none: check the name")


def test_recording_without_speech_is_a_warning_and_no_speech_at_all_is_an_error(folder):
    edit(folder / "train.rttm", "SPEAKER train0", "SPEAKER trian0")
    with pytest.warns(UserWarning, match="In the train set of .*'train0' has no speaker turn"):
        check_protocol(load(folder), 2.0)
    edit(folder / "train.rttm", "SPEAKER train", "SPEAKER trian")
    refused(
        folder, "some recordings must have speaker turns .* found none, for instance of 'train0'"
    )


def test_recording_that_is_listed_twice_is_a_warning(folder):
    edit(folder / "train.lst", "train0\n", "train0\ntrain0\n")
    with pytest.warns(UserWarning, match="'train0' is listed twice"):
        check_protocol(load(folder), 2.0)


def test_recordings_that_both_sets_have_are_a_warning(folder):
    for suffix in ("lst", "rttm", "uem"):
        shutil.copy(folder / f"train.{suffix}", folder / f"development.{suffix}")
    message = r"In the development set of .*, \['train0', .*\] are recordings of another set too"
    with pytest.warns(UserWarning, match=message):
        check_protocol(load(folder), 2.0)


def test_recording_may_have_two_names(folder):
    (folder / "development0.wav").unlink()
    (folder / "development0.wav").symlink_to(folder / "train2.wav")
    message = r"In the development set of .*, \['development0'\] are recordings of another set too"
    with pytest.warns(UserWarning, match=message):
        check_protocol(load(folder), 2.0)


def test_recording_may_have_two_files(folder):
    """Channels, for instance, each in a folder"""
    for suffix in ("lst", "rttm", "uem"):
        edit(folder / f"development.{suffix}", "development1", "train1")
    shutil.copy(folder / "development1.wav", folder / "other.wav")

    def audio(file) -> Path:
        name = "other" if file["subset"] == "development" else file["uri"]
        return folder / f"{name}.wav"

    protocol = load_protocol(folder / "database.yml", NAME, preprocessors={"audio": audio})
    message = r"In the development set of .*, \['train1'\] are recordings of another set too"
    with pytest.warns(UserWarning, match=message):
        check_protocol(protocol, 2.0)


def test_empty_list_is_refused(folder):
    (folder / "train.lst").write_text("")
    refused(folder, "In the train set of .*, found no recording")


def test_durations_are_not_rounded_up_in_messages(folder):
    for name in ("train", "development"):
        text = (folder / f"{name}.uem").read_text()
        (folder / f"{name}.uem").write_text(text.replace("30.000", "9.9999"))
    refused(folder, "found 10 s: the longest one has 9.99 s ", duration=10.0)


def test_windows_longer_than_regions_are_refused(folder):
    refused(folder, "`duration` must be at most .*40 s.*30.00 s.*'train", duration=40.0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("scope: file", "scope: speaker", "`scope` must be one of 'file', 'database', 'global'"),
        (
            "annotation: train.rttm",
            "annotation: 3",
            "`annotation` of the train set must be a file name",
        ),
        ("uri: train.lst", "uri: [train.lst]", "`uri` of the train set must be a file name"),
        ("{uri}.wav", "{name}.wav", "`audio` of 'train0' must be found through `database.yml`"),
        ("development:", "dev:", "`protocol` must have a development set, found none in Generated"),
    ],
)
@pytest.mark.filterwarnings("ignore:Ignoring")
def test_impossible_entry_is_named(folder, old, new, message):
    edit(folder / "database.yml", old, new)
    refused(folder, message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Protocols: [", "database.yml, line 1: not a `database.yml`"),
        ("- Protocols", "database.yml: .* must be a dictionary, found"),
        ("Protocols: 3", "database.yml: `Protocols` must be a dictionary, found 3"),
        ("Protocols: {Generated: {SpeakerDiarization: {Mini: 3}}}", "`Mini` must be a dictionary"),
        ("Requirements: {a: 1}", "database.yml: pyannote.database cannot read it"),
    ],
)
def test_malformed_database_is_named(tmp_path, text, message):
    (tmp_path / "database.yml").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_protocol(tmp_path / "database.yml", NAME)


def test_unknown_protocol_gets_the_closest_one(folder):
    with pytest.raises(
        ValueError, match=r"found 'Generated.*Mini2' \(did you mean 'Generated.*Mini'"
    ):
        load_protocol(folder / "database.yml", f"{NAME}2")
