"""Simulated conversations are an ordinary protocol, the same whenever they are written"""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from conversations import write_wav
from helpers import largest_file
from pyannote.audio import Audio
from pyannote.database import FileFinder, registry
from pyannote.database.util import load_rttm
from voices import generate_voices

from pyannote_prune.benchmark.accuracy import Experiment
from pyannote_prune.data.simulation import Simulation, TurnStatistics, simulate
from pyannote_prune.data.simulation.digests import former_digest
from pyannote_prune.data.simulation.protocol import NEW_OPTIONS, conversation
from pyannote_prune.data.simulation.voices import find_voices, split
from pyannote_prune.data.subsets import SUBSETS
from pyannote_prune.files.atomic import WriteError

SMALL = Simulation(duration=10.0, num_train=4, num_development=1, num_test=2)


@pytest.fixture(scope="module")
def written(voices, tmp_path_factory) -> Path:
    return simulate(voices, tmp_path_factory.mktemp("simulated") / "data", SMALL).parent


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_is_a_protocol(written):
    registry.load_database(written / "database.yml")
    protocol = registry.get_protocol(
        "Simulated.SpeakerDiarization.Conversations", preprocessors={"audio": FileFinder()}
    )
    numbers = {subset: len([*getattr(protocol, subset)()]) for subset in SUBSETS}
    assert numbers == {"train": 4, "development": 1, "test": 2}
    for file in protocol.train():
        assert Audio().get_duration(file) == 10.0
        assert file["annotated"].duration() == 10.0
        extent = file["annotation"].get_timeline().extent()
        assert 0 <= extent.start < extent.end <= 10.0
        assert 1 <= len(file["annotation"].labels()) <= 3
        assert file["annotation"].uri == file["uri"]
        waveform, sample_rate = Audio()(file)
        assert sample_rate == 16000
        assert 0 < waveform.abs().max() < 1


def test_same_seed_same_bytes(voices, written, tmp_path):
    simulate(voices, tmp_path / "again", SMALL)
    assert content(tmp_path / "again") == content(written)
    simulate(voices, tmp_path / "other", replace(SMALL, seed=1))
    audio = {k: v for k, v in content(tmp_path / "other").items() if k.endswith(".wav")}
    assert not set(audio.values()) & set(content(written).values())


def test_asking_for_more_keeps_the_first_ones(voices, written, tmp_path):
    simulate(voices, tmp_path / "more", replace(SMALL, num_train=6))
    more, fewer = content(tmp_path / "more"), content(written)
    assert len(more) == len(fewer) + 2
    assert all(more[name] == fewer[name] for name in fewer if name.endswith(".wav"))
    assert more["train.rttm"].startswith(fewer["train.rttm"])


def test_interrupted_then_continued_is_the_same(voices, written, tmp_path):
    class Interruption(Exception):
        pass

    def interrupt(done: int, total: int):
        assert total == 7
        if done == 5:
            raise Interruption

    output = tmp_path / "interrupted"
    with pytest.raises(Interruption):
        simulate(voices, output, SMALL, progress=interrupt)
    assert not (output / "database.yml").exists()
    simulate(voices, output, SMALL)
    assert content(output) == content(written)
    before = (output / "train0000.wav").stat().st_mtime_ns
    simulate(voices, output, SMALL)
    assert (output / "train0000.wav").stat().st_mtime_ns == before


def test_folder_of_other_options_is_refused(voices, written):
    with pytest.raises(ValueError, match=r"other values of num_train \(here 5, there 4\)"):
        simulate(voices, written, replace(SMALL, num_train=5))


def test_without_noise_there_is_silence_outside_turns(voices):
    clean = replace(SMALL, snr=None)
    parts = {name: split(found, "train") for name, found in find_voices(voices).items()}
    for number in range(5):
        statistics = TurnStatistics.default()
        waveform, annotation = conversation(parts, clean, statistics, "train", number)
        inside = np.zeros(len(waveform), dtype=bool)
        for segment in annotation.itersegments():
            inside[round(segment.start * 16000) : round(segment.end * 16000)] = True
        assert not waveform[~inside].any()
        assert np.abs(waveform[inside]).max() > 0.01
        noisy, same = conversation(parts, SMALL, statistics, "train", number)
        assert same == annotation
        assert noisy[~inside].any()


def test_two_voices_of_one_speaker_never_meet(voices):
    simulation = replace(SMALL, speeds=(0.8, 0.9, 1.0, 1.1, 1.25), min_speakers=3)
    parts = {name: split(found, "train") for name, found in find_voices(voices).items()}
    seen = set()
    for number in range(10):
        _, annotation = conversation(
            parts, simulation, TurnStatistics.default().limited(2.0), "train", number
        )
        speakers = [label.split("@")[0] for label in annotation.labels()]
        assert len(set(speakers)) == len(speakers)
        assert all(" " not in label for label in annotation.labels())
        seen |= set(annotation.labels())
    assert len(seen) > len(parts)


def test_reverberation_and_clipping_stay_in_range(voices):
    loud = replace(SMALL, t60=(0.2, 0.6), level=40.0)
    parts = {name: split(found, "test") for name, found in find_voices(voices).items()}
    for number in range(4):
        waveform, _ = conversation(parts, loud, TurnStatistics.default(), "test", number)
        assert np.abs(waveform).max() <= 0.991


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("name", "two words"),
        ("duration", 0.5),
        ("num_train", -1),
        ("min_speakers", 4),
        ("min_speakers", 0),
        ("speeds", ()),
        ("speeds", (1.0, 1.0)),
        ("speeds", (3.0,)),
        ("overlap", -1.0),
        ("snr", (20.0, 10.0)),
        ("t60", (0.0, 0.5)),
        ("level", -3.0),
        ("seed", -1),
        ("speakers", "together"),
        ("test_speakers", ("a", "a")),
    ],
)
def test_impossible_options_are_named(option, value):
    with pytest.raises(ValueError, match=f"`{option}` must be .*, found "):
        replace(SMALL, **{option: value})


@pytest.mark.parametrize("what", ["moved", "copied"])
def test_project_that_is_elsewhere_has_the_same_conversations(tmp_path, what):
    here, there = tmp_path / "here", tmp_path / "there"
    generate_voices(here / "voices", num_speakers=3, num_recordings=3)
    one = replace(SMALL, num_train=1, num_test=0)
    simulate(here / "voices", here / "data", one)
    # a copy is made now, its files too
    here.rename(there) if what == "moved" else shutil.copytree(
        here, there, copy_function=shutil.copyfile
    )
    before = content(there / "data")
    simulate(there / "voices", there / "data", one)
    assert content(there / "data").keys() == before.keys()
    assert (there / "data" / "database.yml").read_bytes() == before["database.yml"]
    # other voices of the same name are others
    if what == "copied":
        shutil.copytree(there / "voices", tmp_path / "elsewhere" / "voices")
        with pytest.raises(ValueError, match="other values of voices"):
            simulate(tmp_path / "elsewhere" / "voices", there / "data", one)


def test_nothing_is_written_before_voices_are_checked(tmp_path):
    generate_voices(tmp_path / "voices", num_speakers=3, num_recordings=2)
    with pytest.raises(ValueError, match="A speaker must have 3 recordings at least"):
        simulate(tmp_path / "voices", tmp_path / "data", SMALL)
    with pytest.raises(ValueError, match="A speaker must have 3 recordings at least"):
        Experiment(tmp_path / "voices", tmp_path / "accuracy")()
    assert [path.name for path in tmp_path.iterdir()] == ["voices"]


def test_full_disk_is_said_with_the_folder(voices, tmp_path):
    message = "data' could not be written \\(File too large\\): free some space"
    with largest_file(100_000), pytest.raises(WriteError, match=message):
        simulate(voices, tmp_path / "data", SMALL)
    simulate(voices, tmp_path / "data", SMALL)
    assert not list((tmp_path / "data").glob(".*"))


def test_too_few_speakers_are_refused(voices, tmp_path):
    with pytest.raises(ValueError, match="`max_speakers` must be at most the number of speakers"):
        simulate(voices, tmp_path / "data", replace(SMALL, max_speakers=9))
    assert not (tmp_path / "data").exists()


@pytest.fixture
def few_voices(tmp_path) -> Path:
    return generate_voices(tmp_path / "voices", num_speakers=3, num_recordings=3)


def replace_recording(voices: Path, modified: int):
    """Write another recording of the same size, with this time of change in ns"""
    path = voices / "speaker 1" / "01.wav"
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(modified, modified))


ONE = Simulation(duration=2.0, num_train=1, num_development=0, num_test=0)


def test_folder_of_recordings_that_were_replaced_is_refused(few_voices, tmp_path):
    output = tmp_path / "data"
    database = simulate(few_voices, output, ONE)
    before = content(output)
    assert simulate(few_voices, output, ONE) == database
    replace_recording(few_voices, (few_voices / "speaker 1" / "01.wav").stat().st_mtime_ns)
    with pytest.raises(ValueError, match="simulation.yml has other values of recordings"):
        simulate(few_voices, output, ONE)
    assert content(output) == before


def test_folder_with_a_digest_of_former_versions_goes_on(few_voices, tmp_path):
    """From then on, it has the present digest: its recordings may be copied"""
    output = tmp_path / "data"
    simulate(few_voices, output, ONE)
    present, request = content(output), output / "simulation.yml"
    there = yaml.safe_load(request.read_text(encoding="utf-8"))
    former = there | {"recordings": former_digest(find_voices(few_voices))}
    assert former != there

    request.write_text(yaml.safe_dump(former, sort_keys=False), encoding="utf-8")
    simulate(few_voices, output, ONE)
    assert content(output) == present
    for path in few_voices.rglob("*.wav"):
        os.utime(path, ns=(10**18, 10**18))
    simulate(few_voices, output, ONE)
    assert content(output) == present

    # where times differ as well, it does not tell copies from other recordings
    request.write_text(yaml.safe_dump(former, sort_keys=False), encoding="utf-8")
    for prepare in (lambda: None, lambda: replace_recording(few_voices, 10**18)):
        prepare()
        with pytest.raises(ValueError, match="simulation.yml has other values of recordings"):
            simulate(few_voices, output, ONE)


def former_request(folder: Path) -> dict:
    """Turn a folder into one of release 0.1.0, and return its request"""
    request = folder / "simulation.yml"
    content = yaml.safe_load(request.read_text())
    former = {key: content[key] for key in content.keys() - {"recordings", *NEW_OPTIONS}}
    assert former.keys() < content.keys()
    request.write_text(yaml.safe_dump(former))
    return former


@pytest.mark.parametrize("what", ["finished", "interrupted"])
@pytest.mark.parametrize("num_speakers", [3, 9])
def test_folder_of_0_1_0_goes_on(tmp_path, what, num_speakers):
    """It does not say which recordings there were, and its subsets share speakers"""
    voices = generate_voices(tmp_path / "voices", num_speakers, num_recordings=3)
    one = Simulation(duration=2.0, num_train=1, num_development=1, num_test=1)
    output = tmp_path / "data"
    simulate(voices, output, replace(one, speakers="shared", repeat=True))
    before, former = content(output), former_request(output)
    if what == "interrupted":
        (output / "database.yml").unlink()
    said = []
    simulate(voices, output, one, say=said.append)
    after = content(output)
    assert {n for n in before if before[n] != after[n]} <= {"simulation.yml", "database.yml"}
    digest = yaml.safe_load(before["simulation.yml"])["recordings"]
    assert yaml.safe_load(after["simulation.yml"]) == former | {"recordings": digest}
    assert "shared by train, development and test" in said[0]
    assert "as in the earlier release that began this folder" in said[0]
    simulate(voices, output, replace(one, speakers="shared"))
    assert content(output) == after
    for other in (replace(one, speakers="apart"), replace(one, test_speakers=("speaker_1",))):
        with pytest.raises(
            ValueError, match="`output` must be a new folder to keep speakers apart"
        ):
            simulate(voices, output, other)
    assert content(output) == after


def speakers_of(folder: Path, subset: str) -> set[str]:
    return {
        label.split("@")[0]
        for x in load_rttm(folder / f"{subset}.rttm").values()
        for label in x.labels()
    }


def test_subsets_have_different_speakers_of_a_single_recording_each(tmp_path):
    voices = generate_voices(tmp_path / "voices", num_speakers=12, num_recordings=1)
    said: list[str] = []
    options = replace(SMALL, duration=3.0)
    output = simulate(voices, tmp_path / "data", options, say=said.append).parent
    assert said[0] == "Speakers apart: 6 train, 3 development, 3 test"
    assert (output / "database.yml").read_text().startswith(f"# {said[0]} (see speakers.csv)\n")
    assert yaml.safe_load((output / "simulation.yml").read_text())["speakers"] == "apart"
    rows = (output / "speakers.csv").read_text().splitlines()
    assert rows[0] == "subset,speaker,recordings"
    table = [row.split(",") for row in rows[1:]]
    assert len({speaker for _, speaker, _ in table}) == len(table) == 12
    for subset in SUBSETS:
        listed = {speaker for name, speaker, _ in table if name == subset}
        assert set() < speakers_of(output, subset) <= listed
    # another seed has other conversations of the same speakers
    again = simulate(voices, tmp_path / "again", options).parent
    assert content(again) == content(output)
    other = simulate(voices, tmp_path / "other", replace(options, seed=1)).parent
    assert content(other)["speakers.csv"] == content(output)["speakers.csv"]
    assert content(other)["train0000.wav"] != content(output)["train0000.wav"]


def test_test_speakers_are_in_no_other_subset(tmp_path):
    voices = generate_voices(tmp_path / "voices", num_speakers=9, num_recordings=3)
    named = ("speaker_0", "speaker_4", "speaker_7")
    for options in ({"num_test": 0}, {"max_speakers": 2}, {"speakers": "shared"}):
        one = replace(SMALL, duration=2.0, test_speakers=named, **options)
        output = tmp_path / "-".join(options)
        simulate(voices, output, one)
        for subset in {"train", "development"}:
            assert not speakers_of(output, subset) & set(named)
        if one.num_test:
            assert speakers_of(output, "test") <= set(named)
        before = content(output)
        simulate(voices, output, replace(one, test_speakers=named[::-1]))
        assert content(output) == before
    with pytest.raises(ValueError, match="test_speakers .here .*, there .*choose another folder"):
        simulate(voices, output, replace(one, test_speakers=named[:1] + ("speaker_1", "speaker_2")))
    with pytest.raises(
        ValueError, match="`test_speakers` must be speakers of `voices`, found 'me'"
    ):
        simulate(voices, tmp_path / "new", replace(SMALL, test_speakers=("me",)))
    assert not (tmp_path / "new").exists()


def test_speaker_of_a_second_falls_silent_and_this_is_said(tmp_path):
    t = np.arange(16000) / 16000
    for name in "abc":
        (tmp_path / "voices" / name).mkdir(parents=True)
        write_wav(tmp_path / "voices" / name / "1.wav", 0.3 * np.sin(2 * np.pi * 300 * t))
    one = Simulation(duration=10.0, num_train=0, num_development=0, num_test=5, max_speakers=1)
    said: list[str] = []
    output = simulate(tmp_path / "voices", tmp_path / "data", one, say=said.append).parent
    assert said[1].startswith("5 of 5 test conversations end in silence, since their speakers")
    for annotation in load_rttm(output / "test.rttm").values():
        assert 0.3 < annotation.get_timeline().duration() < 1.4
    said.clear()
    simulate(tmp_path / "voices", tmp_path / "other", replace(one, duration=2.0), say=said.append)
    assert len(said) == 1


@pytest.mark.parametrize("repeat", [False, True])
def test_recordings_are_used_again_only_if_asked(tmp_path, repeat):
    voices = generate_voices(tmp_path / "voices", num_speakers=3, num_recordings=1)
    one = Simulation(duration=20.0, num_train=0, num_development=0, num_test=3, repeat=repeat)
    output = simulate(voices, tmp_path / "data", one).parent
    for annotation in load_rttm(output / "test.rttm").values():
        durations = [annotation.label_duration(label) for label in annotation.labels()]
        assert (sum(durations) > 8) is repeat
