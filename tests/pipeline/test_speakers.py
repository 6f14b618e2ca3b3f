"""Numbers of speakers that users know"""

from types import SimpleNamespace

import pytest
from pyannote.audio import Pipeline
from pyannote.core import Annotation
from pyannote.database.util import load_rttm
from running import run, write_recording

from pyannote_prune.pipeline.apply import apply_pipeline
from pyannote_prune.pipeline.load import check_speakers

pytestmark = pytest.mark.filterwarnings("ignore:.*The detected number of speakers")


@pytest.mark.parametrize(
    "options", [{"num_speakers": 3}, {"min_speakers": 2, "max_speakers": 5}, {}]
)
def test_the_pipeline_is_told(tmp_path, options):
    told = []

    def pipeline(recording, hook, **given):
        told.append(given)
        return Annotation()

    list(apply_pipeline(pipeline, [{"uri": "one"}], tmp_path, **options))
    assert told == [options]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--num-speakers", "1"], 1),
        (["--num-speakers", "3"], 3),
        (["--max-speakers", "1"], 1),
        (["--min-speakers", "3"], 3),
    ],
)
def test_as_many_speakers_are_found(exported, tmp_path, options, expected):
    write_recording(tmp_path / "one.wav")
    name, number = options[0].removeprefix("--").replace("-", "_"), int(options[1])
    run(exported, tmp_path / "one.wav", "--into", tmp_path / "out", *options)
    direct = Pipeline.from_pretrained(exported)(tmp_path / "one.wav", **{name: number})
    found = load_rttm(tmp_path / "out" / "one.rttm")["one"]
    assert found.labels() == direct.speaker_diarization.labels()
    assert len(found.labels()) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--num-speakers", "2", "--max-speakers", "3"],
            "`--num-speakers` must be given alone, found --num-speakers 2 and --max-speakers 3",
        ),
        (["--max-speakers", "0"], "numbers of speakers must be positive, found --max-speakers 0"),
        (
            ["--min-speakers", "4", "--max-speakers", "3"],
            "`--min-speakers` must be at most `--max-speakers`, found --min-speakers 4 and "
            "--max-speakers 3",
        ),
    ],
)
def test_contradictions_are_refused(exported, tmp_path, options, message):
    write_recording(tmp_path / "one.wav")
    into = tmp_path / "out"
    assert message in run(exported, tmp_path / "one.wav", "--into", into, *options, code=1)
    assert not into.exists()


def test_pipelines_that_have_no_use_for_numbers_are_refused(oracle):
    with pytest.raises(ValueError, match="must not have oracle clustering for --num-speakers 2"):
        check_speakers(Pipeline.from_pretrained(oracle), {"num_speakers": 2})
    other = SimpleNamespace(apply=lambda file: None)
    with pytest.raises(ValueError, match="must be one of speaker diarization for --max-speakers 2"):
        check_speakers(other, {"max_speakers": 2})
    check_speakers(other, {})
