"""Windows that end with their recording"""

import numpy as np
import pytest
from conversations import write_wav
from helpers import tiny_model
from pyannote.audio import tasks
from pyannote.core import Annotation, Segment, Timeline
from pyannote.database.protocol import SpeakerDiarizationProtocol

from pyannote_prune.training.task import ResumableDiarization

NUM_CASES = 20


class Recordings(SpeakerDiarizationProtocol):
    """Regions that are so many windows long, and end with the audio"""

    def __init__(self, folder, duration: float, rng):
        super().__init__()
        self.name, self.files = "Rounded.SpeakerDiarization.Ends", []
        for k in range(NUM_CASES):
            start, num_windows = rng.uniform(0, 20), rng.integers(1, 4)
            end = start + num_windows * duration
            # the last sample is complete
            num_samples = int(np.ceil(end * 16000 - 1e-6))
            path = folder / f"{k}.wav"
            write_wav(path, 0.1 * rng.standard_normal(num_samples))
            end = num_samples / 16000
            region = Segment(end - num_windows * duration, end)
            annotation = Annotation(uri=str(k))
            annotation[region] = "somebody"
            self.files.append(
                {
                    "uri": str(k),
                    "database": "Rounded",
                    "scope": "file",
                    "audio": path,
                    "annotation": annotation,
                    "annotated": Timeline([region]),
                }
            )

    def train_iter(self):
        yield from map(dict, self.files)

    def development_iter(self):
        yield from map(dict, self.files)


def windows(task_class, protocol, duration: float, **options):
    options |= {"max_speakers_per_chunk": 2, "num_workers": 0}
    task = task_class(protocol, duration=duration, **options)
    model = tiny_model(duration=duration)
    model.task = task
    model.prepare_data()
    model.setup("validate")
    regions = task.prepared_data["annotations-regions"]
    for file_id, length, start in zip(
        *(regions[name].tolist() for name in ("file_id", "duration", "start")), strict=True
    ):
        # the last start that `train__iter__` can draw
        yield task.prepare_chunk(file_id, start + length - duration, duration)
    for index in range(len(task.prepared_data["validation"])):
        yield task.val__getitem__(index)


@pytest.mark.parametrize("in_memory", [False, True], ids=["files", "memory"])
@pytest.mark.parametrize("duration", [0.7, 1.1, 2.0])
def test_all_windows_can_be_read(duration, in_memory, tmp_path):
    protocol = Recordings(tmp_path, duration, np.random.default_rng(0))
    found = list(windows(ResumableDiarization, protocol, duration, in_memory=in_memory))
    assert len(found) >= 2 * NUM_CASES - 3
    assert {sample["X"].shape for sample in found} == {(1, round(duration * 16000))}
    # somebody speaks all the time
    assert all(sample["y"].data.all() for sample in found)


def test_the_task_of_pyannote_audio_fails_on_them(tmp_path):
    """Otherwise, ours does not need to do anything"""
    protocol = Recordings(tmp_path, 1.1, np.random.default_rng(0))
    with pytest.raises(ValueError, match="greater than"):
        list(windows(tasks.SpeakerDiarization, protocol, 1.1))
