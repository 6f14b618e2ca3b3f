"""Names are read as they are written, or refused"""

import pytest
from pyannote.core import Annotation, Segment
from running import run, write_recording

from pyannote_prune.data.references import NO_VALUE
from pyannote_prune.pipeline.apply import apply_pipeline

NAMES = ["NA", "nan", "null", "None", "<NA>", "#N-A", '"quoted', "'", "001", "1e5", "caf\u00e9"]
NAMES += ["no\u00a0break", "next\u0085line", ";;", "True"]


def two_speakers(recording, hook):
    annotation = Annotation()
    for track, speaker in enumerate(("SPEAKER_00", "SPEAKER_01")):
        annotation[Segment(track, track + 1.5), track] = speaker
    return annotation


@pytest.mark.parametrize("name", NAMES)
def test_results_are_read_as_they_are_written(tmp_path, name):
    first, second = (
        next(apply_pipeline(two_speakers, [{"uri": name}], tmp_path)) for _ in range(2)
    )
    assert first.error is second.error is None
    assert (first.seconds > 0, second.seconds) == (True, 0.0)
    for applied in (first, second):
        assert applied.diarization == two_speakers(None, None)
        assert applied.diarization.uri == name
    assert (tmp_path / f"{name}.rttm").read_text(encoding="utf-8").split("\n")[0] == (
        f"SPEAKER {name} 1 0.000 1.500 <NA> <NA> SPEAKER_00 <NA> <NA>"
    )


@pytest.mark.parametrize("name", sorted(name for name in NO_VALUE if "/" not in name))
def test_all_words_for_no_value_are_names(tmp_path, name):
    for _ in range(2):
        (applied,) = apply_pipeline(two_speakers, [{"uri": name}], tmp_path)
        assert applied.diarization.labels() == ["SPEAKER_00", "SPEAKER_01"]


def test_results_that_were_edited_are_read(tmp_path):
    text = "SPEAKER\tone  1 0.5 1 <NA> <NA> Ann <NA> <NA>\n\nSPKR-INFO one 1 <NA> <NA> Ann\n"
    (tmp_path / "one.rttm").write_text(text)
    (applied,) = apply_pipeline(two_speakers, [{"uri": "one"}], tmp_path)
    assert [*applied.diarization.itertracks(yield_label=True)] == [(Segment(0.5, 1.5), 0, "Ann")]


def test_names_that_rttm_does_not_have_are_refused_before_any_work(tmp_path):
    done = []

    def pipeline(recording, hook):
        done.append(recording["uri"])
        return two_speakers(recording, hook)

    todo = [{"uri": uri} for uri in ("two words", "tab\there", "one")]
    errors = [applied.error for applied in apply_pipeline(pipeline, todo, tmp_path)]
    assert done == ["one"]
    assert "RTTM has no names with spaces, found 'two words'" in errors[0]
    assert "found 'tab\\there'" in errors[1]
    assert errors[2] is None


@pytest.mark.filterwarnings("ignore:.*The detected number of speakers")
def test_names_that_others_misread_are_said(exported, tmp_path):
    for name in ("NA", "one", '"Al'):
        write_recording(tmp_path / f"{name}.wav")
    for _ in range(2):
        output = run(exported, tmp_path, "--into", tmp_path / "out")
        assert " 0 speakers" not in output
        assert "misread the names of '\"Al', 'NA' in RTTM: rename" in output
    output = run(exported, tmp_path / "one.wav", "--into", tmp_path / "alone")
    assert "rename" not in output
