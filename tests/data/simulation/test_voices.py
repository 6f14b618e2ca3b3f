"""Recordings lose what gives a speaker away without being the voice"""

import csv

import numpy as np
import pytest
from conversations import write_wav
from voices import FSDD, generate_voices

from pyannote_prune.data.simulation.voices import (
    LEVEL,
    Excerpt,
    count_unused,
    find_voices,
    read,
    split,
)


def active_level(samples: np.ndarray) -> float:
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    level = np.sqrt((frames**2).mean(1))
    return np.sqrt((level[level > 0.0316 * level.max()] ** 2).mean())


def test_all_recordings_are_centered_trimmed_and_at_one_level(voices):
    raw_levels = []
    for speaker, recordings in find_voices(voices).items():
        for recording in recordings[::40] + recordings[-1:]:
            samples = read(recording)
            assert active_level(samples) == pytest.approx(LEVEL, rel=0.1), (speaker, recording)
            assert abs(samples.mean()) < 0.1 * LEVEL
            energy = np.sqrt((samples[: len(samples) // 160 * 160].reshape(-1, 160) ** 2).mean(1))
            # speech starts and stops within the margin
            loud = np.flatnonzero(energy > 0.02 * energy.max())
            assert loud[0] <= 3
            assert loud[-1] >= len(energy) - 5
            raw_levels.append((speaker, len(samples)))
    assert len({speaker for speaker, _ in raw_levels}) >= 4


def test_quiet_and_loud_speakers_end_up_alike(voices):
    """Those of the recorded digits are 23 dB apart in their files, generated ones 18 dB"""
    found = find_voices(voices)
    quiet, loud = ("jackson", "theo") if voices == FSDD else sorted(found)[:: len(found) - 1]
    levels = {name: np.sqrt((read(found[name][7]) ** 2).mean()) for name in (quiet, loud)}
    assert abs(20 * np.log10(levels[quiet] / levels[loud])) < 3
    if voices == FSDD:
        assert sorted(found) == ["george", "jackson", "lucas", "nicolas", "theo", "yweweler"]
        assert all(len(recordings) == 450 for recordings in found.values())


@pytest.mark.parametrize("speed", [0.8, 0.9, 1.1, 1.25])
def test_faster_is_shorter_and_higher(tmp_path, speed):
    t = np.arange(16000) / 16000
    write_wav(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * 400 * t))
    samples = read(Excerpt(tmp_path / "tone.wav"), speed)
    assert len(samples) == pytest.approx(16000 / speed, abs=2)
    spectrum = np.abs(np.fft.rfft(samples))
    frequency = spectrum.argmax() * 16000 / len(samples)
    assert frequency == pytest.approx(400 * speed, rel=0.01)


def test_subsets_have_recordings_of_their_own(voices):
    for recordings in find_voices(voices).values():
        parts = {name: split(recordings, name) for name in ("train", "development", "test")}
        assert sum(map(len, parts.values())) == len(recordings)
        assert len(set().union(*parts.values())) == len(recordings)
        assert len(parts["train"]) > len(parts["test"]) >= len(parts["development"]) > 0
        takes = {name: {r.take for r in part} - {None} for name, part in parts.items()}
        assert not takes["train"] & takes["test"]


@pytest.mark.parametrize("number", [1, 2])
def test_too_few_recordings_are_refused(tmp_path, number):
    recordings = [Excerpt(tmp_path / "speaker" / f"{i}.wav") for i in range(number)]
    with pytest.raises(ValueError, match=f"3 recordings at least.* found {number} in .*speaker"):
        split(recordings, "train")


def test_silence_is_named(tmp_path):
    for name, audio in (("zero", np.zeros(8000)), ("constant", np.full(8000, 0.3))):
        write_wav(tmp_path / f"{name}.wav", audio)
        with pytest.raises(ValueError, match=f"must not be silent, found .*{name}.wav"):
            read(Excerpt(tmp_path / f"{name}.wav"))


def test_folders_without_recordings_are_refused(tmp_path):
    with pytest.raises(OSError, match="`voices` must be a folder .* no such folder"):
        find_voices(tmp_path / "missing")
    (tmp_path / "speaker").mkdir()
    (tmp_path / "speaker" / "notes.txt").touch()
    with pytest.raises(ValueError, match="`voices` must be a folder of recordings, found none"):
        find_voices(tmp_path)


@pytest.mark.parametrize(
    "row",
    [
        {"speaker": "A", "start_sample": "0"},
        {"speaker": "A", "start_sample": "0", "end_sample": "ten"},
        {"speaker": "B", "start_sample": "0", "end_sample": "10"},
    ],
)
def test_lines_of_the_index_are_checked(tmp_path, row):
    write_wav(tmp_path / "A.wav", np.zeros(100))
    with (tmp_path / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row)
    with pytest.raises(ValueError, match=r"index.csv, line 2: must have `speaker`"):
        find_voices(tmp_path)


@pytest.mark.parametrize("speaker", ["NA", "null", '"Al', "None"])
def test_speakers_that_training_would_refuse_are_refused(tmp_path, speaker):
    message = "Names of speakers of `voices` must be .*found .*: rename this speaker"
    (tmp_path / "folders" / speaker).mkdir(parents=True)
    write_wav(tmp_path / "folders" / speaker / "1.wav", np.zeros(100))
    with pytest.raises(ValueError, match=message):
        find_voices(tmp_path / "folders")

    (tmp_path / "files").mkdir()
    write_wav(tmp_path / "files" / f"{speaker}.wav", np.zeros(100))
    with (tmp_path / "files" / "index.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["speaker", "start_sample", "end_sample"])
        rows.writerow([speaker, 0, 10])
    with pytest.raises(ValueError, match=f"{message}|index.csv"):
        find_voices(tmp_path / "files")


def test_speakers_who_would_share_a_name_are_refused(tmp_path):
    for name in ("Ann Lee", "Ann_Lee"):
        (tmp_path / name).mkdir()
        write_wav(tmp_path / name / "1.wav", np.zeros(100))
    with pytest.raises(ValueError, match="must differ, .*found 'Ann_Lee' twice"):
        find_voices(tmp_path)


def test_what_is_count_unused_is_counted(tmp_path):
    generate_voices(tmp_path)
    (tmp_path / "readme.md").touch()
    (tmp_path / "speaker 0" / "text.txt").touch()
    (tmp_path / "speaker 1" / "00.mp4").touch()
    (tmp_path / "nobody").mkdir()
    (tmp_path / "nobody" / "notes.txt").touch()
    found = find_voices(tmp_path)
    assert "nobody" not in found
    assert count_unused(tmp_path, found) == "1 .md, 1 .mp4, 2 .txt"


def test_names_that_are_not_utf8(tmp_path):
    generate_voices(tmp_path, num_speakers=1)
    try:
        (tmp_path / "speaker 0").rename(tmp_path / "Jos\udce9")
    except OSError:
        pytest.skip("this file system has names in UTF-8 alone")
    ((name, recordings),) = find_voices(tmp_path).items()
    assert name == "Jos%E9"
    assert len(read(recordings[0])) > 0


def test_index_in_another_encoding_is_refused(tmp_path):
    generate_voices(tmp_path)
    (tmp_path / "index.csv").write_bytes(b"speaker,start_sample,end_sample\nJos\xe9,0,1\n")
    with pytest.raises(ValueError, match=r"index.csv' must be text in UTF-8 \(.*: convert it"):
        find_voices(tmp_path)


def test_recordings_that_cannot_be_decoded_are_named(tmp_path):
    (tmp_path / "broken.wav").write_bytes(b"RIFF, and nothing")
    with pytest.raises(ValueError, match=r"`audio` could not be read: '.*broken.wav' "):
        read(Excerpt(tmp_path / "broken.wav"))
