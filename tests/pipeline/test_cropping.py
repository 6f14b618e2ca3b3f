"""No turn after the end of the audio"""

import json

import numpy as np
import pytest
import torch
from conversations import write_wav
from parameters import VBX
from pyannote.audio import Audio, Pipeline, pipelines
from pyannote.audio.pipelines.speaker_diarization import DiarizeOutput
from pyannote.audio.sample import SAMPLE_FILE
from pyannote.core import Annotation, Segment
from pyannote.database.util import load_rttm

from pyannote_prune import DiarizationSettings, export_pipeline
from pyannote_prune.pipeline.apply import apply_pipeline
from pyannote_prune.pipeline.cropping import crop, crop_to_audio
from pyannote_prune.pipeline.diarization import DiarizationPipeline

pytestmark = pytest.mark.filterwarnings("ignore")
BOTH = ("speaker_diarization", "exclusive_speaker_diarization")


@pytest.fixture(scope="module")
def stock(checkpoint, parts):
    return make(pipelines.SpeakerDiarization, checkpoint, parts)


@pytest.fixture(scope="module")
def ours(checkpoint, parts):
    return make(DiarizationPipeline, checkpoint, parts)


def make(kind, checkpoint, parts, **options):
    """Windows of 2 s, every second"""
    options |= {"embedding": str(parts / "embedding"), "plda": str(parts / "plda")}
    return kind(segmentation=str(checkpoint), segmentation_step=0.5, **options).instantiate(VBX)


def conversation(num_samples: int, sample_rate: int = 16000) -> dict:
    waveform, _ = Audio(sample_rate=sample_rate)(SAMPLE_FILE)
    start = 6 * sample_rate
    waveform = waveform[:, start : start + num_samples]
    return {"waveform": waveform, "sample_rate": sample_rate, "uri": "talk"}


def annotate(*turns: tuple[float, float, str]) -> Annotation:
    annotation = Annotation(uri="talk")
    for track, (start, end, speaker) in enumerate(turns):
        annotation[Segment(start, end), track] = speaker
    return annotation


def turns(annotation: Annotation) -> list[tuple[float, float, str]]:
    return [(s.start, s.end, speaker) for s, _, speaker in annotation.itertracks(yield_label=True)]


# less than a frame, than a window, a whole number of windows, and what is between two frames
@pytest.mark.parametrize("num_samples", [500, 8000, 84801, 96000, 96160])
def test_turns_end_with_the_audio_and_nothing_changes_before(ours, stock, num_samples):
    file = conversation(num_samples)
    duration = num_samples / 16000
    found, longer = ours(file), stock(file)
    if num_samples != 96000:
        assert longer.speaker_diarization.get_timeline().extent().end > duration + 0.1
    for name in BOTH:
        after, before = getattr(found, name), getattr(longer, name)
        assert after.uri == "talk"
        assert all(0 <= start < end <= duration for start, end, _ in turns(after))
        expected = before.crop(Segment(0, duration))
        assert after.get_timeline().duration() == expected.get_timeline().duration()
        assert turns(after) == turns(expected)
    assert len(found.speaker_embeddings) == len(found.speaker_diarization.labels())


@pytest.mark.parametrize("sample_rate", [16000, 44100])
def test_duration_is_that_of_what_is_decoded(ours, sample_rate):
    file = conversation(round(5.3 * sample_rate), sample_rate)
    end = ours(file).speaker_diarization.get_timeline().extent().end
    assert end == pytest.approx(5.3, abs=1e-4)


def test_silence_ends_with_the_audio(ours, stock):
    silence = {"waveform": torch.zeros(1, 16000 * 3 + 1), "sample_rate": 16000, "uri": "silence"}
    expected = stock(silence).speaker_diarization.crop(Segment(0, 48001 / 16000))
    assert turns(ours(silence).speaker_diarization) == turns(expected)


def test_first_channel_and_plain_annotations_end_with_the_audio(checkpoint, parts):
    file = conversation(8000)
    file["waveform"] = file["waveform"].repeat(2, 1)
    annotation = make(DiarizationPipeline, checkpoint, parts, first_channel=True, legacy=True)(file)
    assert annotation.get_timeline().extent().end == 0.5


def test_speakers_of_whom_nothing_is_left_have_no_embedding():
    before = annotate((0.5, 1.5, "A"), (2.2, 2.5, "B"), (1.0, 2.4, "C"))
    output = DiarizeOutput(before, annotate((2.2, 2.5, "B")), np.array([[1.0], [2.0], [3.0]]))
    after = crop_to_audio(output, {"waveform": torch.zeros(1, 32000), "sample_rate": 16000})
    assert turns(after.speaker_diarization) == [(0.5, 1.5, "A"), (1.0, 2.0, "C")]
    assert not after.exclusive_speaker_diarization
    assert after.speaker_embeddings.tolist() == [[1.0], [3.0]]
    assert len(turns(before)) == 3


def test_turns_that_become_the_same_segment_are_all_kept():
    before = Annotation()
    before[Segment(1, 3), "A"], before[Segment(1, 4), "A"] = "one", "another"
    assert sorted(turns(crop(before, 2))) == [(1, 2, "another"), (1, 2, "one")]


def test_turns_too_short_to_be_written_are_left_out():
    before = annotate((1.0, 1.9996, "A"), (1.9996, 2.5, "B"), (1.9985, 2.5, "C"))
    assert turns(crop(before, 2)) == [(1.0, 1.9996, "A"), (1.9985, 2, "C")]


@pytest.mark.parametrize("kind", ["ours", "stock"])
def test_files_end_with_the_audio_whatever_the_class_of_the_pipeline(kind, tmp_path, request):
    """Folders that were exported before name that of pyannote.audio"""
    write_wav(tmp_path / "talk.wav", conversation(84801)["waveform"][0].numpy())
    todo = [{"uri": "talk", "audio": tmp_path / "talk.wav"}]
    (applied,) = apply_pipeline(request.getfixturevalue(kind), todo, tmp_path / "out")
    duration = 84801 / 16000
    assert applied.error is None
    assert applied.diarization.get_timeline().extent().end <= duration + 1e-3
    (found,) = load_rttm(tmp_path / "out" / "talk.rttm").values()
    assert duration - 1e-3 <= found.get_timeline().extent().end <= duration + 1e-3
    content = json.loads((tmp_path / "out" / "talk.json").read_text())
    for name in ("diarization", "exclusive_diarization"):
        assert max(turn["end"] for turn in content[name]) == round(duration, 3)


def test_exported_pipelines_end_with_the_audio(checkpoint, parts, tmp_path):
    settings = DiarizationSettings(segmentation_step=0.5)
    folder = export_pipeline(checkpoint, tmp_path / "pipeline", parts, settings)
    output = Pipeline.from_pretrained(folder)(conversation(8000))
    assert output.speaker_diarization.get_timeline().extent().end == 0.5
