"""Conversations of the experiment: apart if there are enough speakers, as published otherwise

Longer ones have the speakers, and the recordings, of tests.
"""

from dataclasses import replace

import pandas
import pytest
import yaml
from pyannote.database.util import load_rttm
from voices import generate_voices

from pyannote_prune.benchmark.accuracy import SMALL, Experiment, WholeDiarization
from pyannote_prune.benchmark.accuracy.long_conversations import long_simulations
from pyannote_prune.data.simulation import Simulation
from pyannote_prune.data.simulation.voices import find_voices
from pyannote_prune.data.subsets import SUBSETS

FEW = replace(SMALL, num_train=3, num_development=2, num_test=2)


def speakers_of(folder, subset: str) -> set[str]:
    found = load_rttm(folder / f"{subset}.rttm").values()
    return {label.split("@")[0] for annotation in found for label in annotation.labels()}


def test_six_speakers_are_shared_and_repeated_as_published(voices, tmp_path):
    experiment = Experiment(voices, tmp_path, FEW)
    # options of release 0.1.0, and what it did without options
    assert experiment.simulation == Simulation(
        name="Evidence",
        num_train=3,
        num_development=2,
        num_test=2,
        min_speakers=2,
        speeds=FEW.speeds,
        snr=FEW.snr,
        repeat=True,
    )
    content = experiment.to_dict()
    assert content["speakers"] is content["test_speakers"] is None


def test_enough_speakers_are_apart(tmp_path):
    voices = generate_voices(tmp_path / "voices", num_speakers=10, num_recordings=1)
    experiment = Experiment(voices, tmp_path / "out", FEW)
    assert not experiment.simulation.repeat
    said: list[str] = []
    folder = experiment.write_data(said.append).parent
    assert said[0] == "Speakers apart: 4 train, 3 development, 3 test"
    parts = [speakers_of(folder, subset) for subset in SUBSETS]
    assert len(set.union(*parts)) == sum(map(len, parts))
    assert yaml.safe_load((folder / "simulation.yml").read_text())["speakers"] == "apart"


def test_speakers_for_tests_are_named(tmp_path):
    voices = generate_voices(tmp_path / "voices", num_speakers=7, num_recordings=3)
    named = ["speaker_0", "speaker_5", "speaker_2"]
    experiment = Experiment(voices, tmp_path / "out", FEW, test_speakers=named)
    assert not experiment.simulation.repeat
    assert speakers_of(experiment.write_data().parent, "test") <= set(named)
    assert experiment.to_dict()["test_speakers"] == sorted(named)
    message = "`speakers` can be 'apart' with 6 speakers at least besides `test_speakers`"
    with pytest.raises(ValueError, match=message):
        Experiment(voices, tmp_path / "new", FEW, speakers="apart", test_speakers=named)()
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("num_speakers", [6, 12])
def test_longer_conversations_have_the_speakers_and_recordings_of_tests(tmp_path, num_speakers):
    voices = generate_voices(tmp_path / "voices", num_speakers, num_recordings=3)
    scale = replace(FEW, num_long=3, long_durations=(10.0, 12.5))
    # any embedding: it is not read
    whole = WholeDiarization(tmp_path / "embedding.onnx")
    experiment = Experiment(voices, tmp_path / "out", scale, diarization=whole)
    short = experiment.write_data().parent
    recordings = experiment.write_long_conversations()
    assert [one["uri"] for one in recordings] == [
        "test0000-10s",
        "test0001-10s",
        "test0000-12.5s",
    ]
    ends = [one["annotated"].extent().end for one in recordings]
    assert ends == [10.0, 10.0, 12.5]
    found = {label.split("@")[0] for one in recordings for label in one["annotation"].labels()}
    tables = [
        pandas.read_csv(folder / "speakers.csv") for folder in (short, short / "long" / "10s")
    ]
    of_tests, of_long = (
        {row.speaker: row.recordings for row in table[table.subset == "test"].itertuples()}
        for table in tables
    )
    assert of_tests == of_long
    assert found <= of_tests.keys()
    # again, nothing is written
    before = {path: path.stat().st_mtime_ns for path in short.rglob("*.wav")}
    experiment.write_long_conversations()
    assert before == {path: path.stat().st_mtime_ns for path in short.rglob("*.wav")}


def test_longer_conversations_have_a_speaker_for_each_minute(tmp_path):
    voices = find_voices(generate_voices(tmp_path / "voices", 40, num_recordings=1))
    short = Simulation(num_train=4, num_development=1, num_test=2)
    found = long_simulations(
        replace(FEW, num_long=10, long_durations=(90, 180, 240)), short, voices
    )
    numbers = [(one.min_speakers, one.max_speakers, one.num_test) for one in found.values()]
    assert numbers == [(2, 6, 4), (3, 6, 3), (4, 6, 3)]
