"""From miniatures of official layouts to protocols"""

import os
import shutil
import wave
from pathlib import Path

import numpy as np
import pytest
from official import (
    AISHELL4,
    ALIMEETING,
    AMI,
    DURATION,
    TURNS,
    WRITERS,
    rttm,
    sound,
    textgrid,
    write_audio,
    write_text,
)
from pyannote.core import Segment, Timeline
from pyannote.database import FileFinder, registry

from pyannote_prune.data.corpora import CORPORA, aishell4, preparation, prepare
from pyannote_prune.data.subsets import SUBSETS

DATABASE = Path(__file__).parents[3] / "database.yml"
DEVELOPMENT = sorted(uri for uris in aishell4.DEVELOPMENT.values() for uri in uris)
URIS = {
    "ami": dict(zip(SUBSETS, AMI.values(), strict=True)),
    "aishell4": {
        "train": [uri for part in ("L", "M", "S") for uri in AISHELL4[f"train_{part}"]],
        "development": DEVELOPMENT,
        "test": AISHELL4["test"],
    },
    "alimeeting": dict(zip(SUBSETS, ALIMEETING.values(), strict=True)),
}


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """Download each corpus"""
    return {key: write(tmp_path_factory.mktemp(key)) for key, write in WRITERS.items()}


@pytest.fixture
def source(official, tmp_path):
    """Copy of AliMeeting, to damage"""
    return Path(shutil.copytree(official["alimeeting"], tmp_path / "source"))


@pytest.fixture(scope="module")
def prepared(official, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    summaries = {key: prepare(key, official[key], folder / "data") for key in WRITERS}
    shutil.copy(DATABASE, folder)
    registry.load_database(folder / "database.yml")
    return summaries


def load(name: str, subset: str) -> list:
    protocol = registry.get_protocol(name, preprocessors={"audio": FileFinder()})
    return list(getattr(protocol, subset)())


def read(path: Path) -> np.ndarray:
    with wave.open(str(path), "rb") as file:
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize("subset", SUBSETS)
@pytest.mark.parametrize("corpus", WRITERS)
def test_database_finds_everything(corpus, subset):
    files = load(CORPORA[corpus].protocol, subset)
    assert sorted(file["uri"] for file in files) == sorted(URIS[corpus][subset])
    for file in files:
        turns = sorted((s.start, s.end, who) for s, _, who in file["annotation"].itertracks(True))
        assert turns == TURNS
        # also of AMI, whose regions go on after the end here
        assert file["annotated"] == Timeline([Segment(0, DURATION)])
        uri = file["uri"]
        channels = {"ami": 2 if uri == "ES2002a" else 1}.get(corpus, 8)
        np.testing.assert_array_equal(read(file["audio"]), sound(uri, channels)[:, 0])


@pytest.mark.usefixtures("prepared")
@pytest.mark.parametrize("subset", SUBSETS)
def test_compound_has_them_all(subset):
    uris = [file["uri"] for file in load("X.SpeakerDiarization.Compound", subset)]
    assert sorted(uris) == sorted(uri for corpus in URIS for uri in URIS[corpus][subset])


def test_development_recordings_are_not_training_ones():
    assert len(set(DEVELOPMENT)) == 18
    assert not set(DEVELOPMENT) & set(URIS["aishell4"]["train"])


def test_summaries_count_what_is_there(prepared):
    for corpus, subsets in URIS.items():
        for subset, uris in subsets.items():
            summary = prepared[corpus][subset]
            assert summary.num_recordings == len(uris)
            assert summary.duration == len(uris) * DURATION
            # 0.25 to 1.5 s, of which 0.75 to 1.0 s by both
            assert summary.speech == pytest.approx(1.25 * len(uris))
            assert summary.overlap == pytest.approx(0.25 * len(uris))
            assert summary.num_speakers == (2, 2)
            assert (summary.num_empty, summary.late) == (0, {})


def test_turns_are_cut_to_the_recording_and_counted(source, tmp_path):
    late = [(0.5, 0.5, "a"), (1.0, 9.0, "a"), (5.0, 6.0, "b"), (1.5, DURATION + 0.05, "b")]
    path = source / "Train_Ali_far" / "textgrid_dir" / "R0003_M0047.TextGrid"
    write_text(path, textgrid(late))
    summaries = prepare("alimeeting", source, tmp_path)
    assert summaries["train"].num_empty == 1
    assert summaries["train"].late == {"R0003_M0047_MS006": 2}
    assert summaries["development"].late == {}
    lines = (tmp_path / "AliMeeting" / "rttm" / "train.rttm").read_text().splitlines()
    assert [line.split()[3:8] for line in lines if "R0003_M0047" in line] == [
        ["1.0000000", "1.0000000", "<NA>", "<NA>", "a"],
        ["1.5000000", "0.5000000", "<NA>", "<NA>", "b"],
    ]


def test_outer_folders_are_optional(source, tmp_path, official):
    for part in ("Eval", "Test"):
        (source / f"{part}_Ali" / f"{part}_Ali_far").rename(source / f"{part}_Ali_far")
        (source / f"{part}_Ali").rmdir()
    (source / "Train_Ali").mkdir()
    (source / "Train_Ali_far").rename(source / "Train_Ali" / "Train_Ali_far")
    assert prepare("alimeeting", source, tmp_path / "a") == prepare(
        "alimeeting", official["alimeeting"], tmp_path / "b"
    )


def test_interrupted_preparation_goes_on(official, tmp_path, monkeypatch):
    """Nothing is half written, nothing is written again"""
    convert, seen = preparation.write_first_channel, []

    def interrupt(source, output):
        if len(seen) == 1:
            raise KeyboardInterrupt
        seen.append(output.name)
        convert(source, output)

    monkeypatch.setattr(preparation, "write_first_channel", interrupt)
    with pytest.raises(KeyboardInterrupt):
        prepare("alimeeting", official["alimeeting"], tmp_path)
    folder = tmp_path / "AliMeeting"
    files = [path.name for path in folder.rglob("*") if path.is_file()]
    assert seen == ["R0003_M0046_MS002.wav"]
    assert sorted(files) == [*seen, "recordings.csv"]
    before = (folder / "audio" / seen[0]).stat()

    again, steps = [], []
    monkeypatch.setattr(
        preparation, "write_first_channel", lambda a, b: [again.append(b.name), convert(a, b)]
    )
    prepare("alimeeting", official["alimeeting"], tmp_path, lambda *step: steps.append(step))
    others = ["R0003_M0047_MS006", "R8001_M8004_MS801", "R8002_M8002_MS802"]
    assert again == [f"{uri}.wav" for uri in others]
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    after = (folder / "audio" / seen[0]).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert not list(folder.rglob("*.draft"))

    prepare("alimeeting", official["alimeeting"], tmp_path)
    assert len(again) == 3


def test_draft_of_a_killed_conversion_is_written_over(official, tmp_path):
    draft = tmp_path / "AliMeeting" / "audio" / ".R0003_M0046_MS002.wav.x.draft"
    write_text(draft, "half of a recording")
    prepare("alimeeting", official["alimeeting"], tmp_path)
    assert not draft.exists()
    output = draft.with_name("R0003_M0046_MS002.wav")
    np.testing.assert_array_equal(read(output), sound("R0003_M0046_MS002")[:, 0])


def test_folder_is_kept_from_other_processes(official, tmp_path):
    """See test_locks.py"""
    seen, lock = [], tmp_path / "AliMeeting" / ".lock"
    prepare("alimeeting", official["alimeeting"], tmp_path, lambda *_: seen.append(lock.is_file()))
    assert seen
    assert all(seen)
    assert not lock.exists()


SETUP = "AMI-diarization-setup"
# what is removed, what is there for it (or nothing), where to download it
MISSING = [
    ("amicorpus/IS1008a/audio/IS1008a.Array1-01.wav", "IS1008a.rttm", "inf.ed.ac.uk/ami/download"),
    (f"{SETUP}/only_words/rttms/dev/IS1008a.rttm", "IS1008a.Array1-01.wav", f"FIT/{SETUP}"),
    (f"{SETUP}/uems/dev/IS1008a.uem", "IS1008a.Array1-01.wav", f"FIT/{SETUP}"),
    (f"{SETUP}/lists/dev.meetings.txt", "", f"FIT/{SETUP}"),
    ("train_L/wav/20200706_L_R001S01C01.flac", "20200706_L_R001S01C01.rttm", "openslr.org/111"),
    ("train_L/TextGrid/20200706_L_R001S02C01.rttm", "L_R001S02C01.flac", "openslr.org/111"),
    ("train_M", "", "train_M.tar.gz from https://www.openslr.org/111"),
    ("test", "", "test.tar.gz from https://www.openslr.org/111"),
    ("Train_Ali_far/audio_dir/R0003_M0047_MS006.wav", "M0047.TextGrid", "openslr.org/119"),
    ("Train_Ali_far/textgrid_dir/R0003_M0047.TextGrid", "M0047_MS006.wav", "openslr.org/119"),
    ("Eval_Ali", "", "openslr.org/119"),
]


@pytest.mark.parametrize(("path", "present", "origin"), MISSING, ids=[case[0] for case in MISSING])
def test_missing_files_are_named_before_anything_is_written(
    official, tmp_path, path, present, origin
):
    corpus = next(key for key, folder in official.items() if (folder / path).exists())
    source = Path(shutil.copytree(official[corpus], tmp_path / "source"))
    missing = source / path
    shutil.rmtree(missing) if missing.is_dir() else missing.unlink()
    with pytest.raises(FileNotFoundError, match=r"`source` must hold .* found .* download") as info:
        prepare(corpus, source, tmp_path / "data")
    message = str(info.value)
    # without the file, nothing tells which array it is from
    assert str(missing).replace("_MS006.wav", "_MS*.wav") in message
    assert present in message
    assert origin in message
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (rttm("any", [(0.0, 1.0, "John Smith")]), "9 or 10 fields, hence names without spaces"),
        ("SPEAKER any 1 zero 1.0 <NA> <NA> a <NA> <NA>\n", "numbers, start and duration"),
        ("SPEAKER any 1 0.0 nan <NA> <NA> a <NA> <NA>\n", "numbers, start and duration"),
    ],
)
def test_malformed_rttm_is_refused_with_its_line(official, tmp_path, content, message):
    source = Path(shutil.copytree(official["ami"], tmp_path / "source"))
    path = source / "AMI-diarization-setup" / "only_words" / "rttms" / "test" / "EN2002a.rttm"
    path.write_text(";; comment\n\n" + content)
    with pytest.raises(ValueError, match=rf"EN2002a\.rttm', line 3: it must have {message}"):
        prepare("ami", source, tmp_path / "data")
    path.write_bytes(b"\xff\xff")
    with pytest.raises(ValueError, match=r"EN2002a\.rttm' must be text in UTF-8 .*: download"):
        prepare("ami", source, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_malformed_uem_is_refused_with_its_line(official, tmp_path):
    source = Path(shutil.copytree(official["ami"], tmp_path / "source"))
    path = source / "AMI-diarization-setup" / "uems" / "test" / "EN2002a.uem"
    path.write_text("EN2002a 1 0.0\n")
    with pytest.raises(ValueError, match=r"EN2002a\.uem', line 1: it must have 4 fields: "):
        prepare("ami", source, tmp_path / "data")


@pytest.mark.parametrize("speaker", ["John Smith", " ", "N_SPK\t1", "NA", 'J""D', "a\u00a0b"])
def test_names_of_speakers_are_those_that_training_reads(source, tmp_path, speaker):
    path = source / "Train_Ali_far" / "textgrid_dir" / "R0003_M0047.TextGrid"
    write_text(path, textgrid([(0.0, 1.0, speaker)]))
    with pytest.raises(ValueError, match=r"speakers must be .*found .*R0003_M0047\.TextGrid'"):
        prepare("alimeeting", source, tmp_path / "data")


@pytest.mark.parametrize("name", ["R0003 (copy)_MS002", "R0003_\u00a0_MS002", 'R"0003_MS002'])
def test_names_of_recordings_are_those_that_training_reads(source, tmp_path, name):
    write_audio(source / "Train_Ali_far" / "audio_dir" / f"{name}.wav", sound("any"))
    with pytest.raises(ValueError, match="Names of recordings must be .*, found .* rename it"):
        prepare("alimeeting", source, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_replaced_recordings_are_converted_again(source, tmp_path, monkeypatch):
    prepare("alimeeting", source, tmp_path)
    name = "R0003_M0047_MS006"
    # another download, which is older than what was converted
    path = source / "Train_Ali_far" / "audio_dir" / f"{name}.wav"
    write_audio(path, sound("another"))
    os.utime(path, ns=(10**18, 10**18))
    convert, again = preparation.write_first_channel, []
    monkeypatch.setattr(
        preparation, "write_first_channel", lambda a, b: [again.append(b.stem), convert(a, b)]
    )
    for _ in range(2):
        prepare("alimeeting", source, tmp_path)
        assert again == [name]
    found = read(tmp_path / "AliMeeting" / "audio" / f"{name}.wav")
    np.testing.assert_array_equal(found, sound("another")[:, 0])
