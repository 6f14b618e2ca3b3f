"""Conversations of the experiment: apart if there are enough speakers, as published otherwise"""

from dataclasses import replace

import pytest
import yaml
from pyannote.database.util import load_rttm
from voices import generate_voices

from pyannote_prune.benchmark.accuracy import SMALL, Experiment
from pyannote_prune.data.simulation import Simulation
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
