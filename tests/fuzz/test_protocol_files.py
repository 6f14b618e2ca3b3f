"""Lists, RTTM, UEM and `database.yml`, as people and tools write them"""

import random
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from conversations import REMEMBERED, write_wav
from fuzz.law import fuzzing, works_or_explains
from fuzz.mutations import mutated, texts
from helpers import TINY, tiny_model
from hypothesis import example, given
from hypothesis import strategies as st

from pyannote_prune import DistillationPruning, WavLMSegmentation
from pyannote_prune.data.protocol import check_protocol, load_protocol
from pyannote_prune.training.task import ResumableDiarization
from pyannote_prune.wavlm.config import WavLMConfig

NAME = "Fuzz.SpeakerDiarization.Tiny"
WINDOW = 0.5
DURATIONS = {"train": {"first": 3.0, "second": 2.5}, "development": {"dév": 3.0}}
DATABASE = {
    "Databases": {"Fuzz": "{uri}.wav"},
    "Protocols": {
        "Fuzz": {
            "SpeakerDiarization": {
                "Tiny": {
                    "scope": "file",
                    **{
                        subset: {
                            "uri": f"{subset}.lst",
                            "annotation": f"{subset}.rttm",
                            "annotated": f"{subset}.uem",
                        }
                        for subset in DURATIONS
                    },
                }
            }
        }
    },
}
FILES = [f"{subset}.{suffix}" for subset in DURATIONS for suffix in ("lst", "rttm", "uem")]


def lines(name: str) -> list[str]:
    """Of an unspoilt file"""
    subset, _, suffix = name.partition(".")
    durations = DURATIONS[subset].items()
    if suffix == "lst":
        return [uri for uri, _ in durations]
    if suffix == "uem":
        return [f"{uri} 1 0.000 {end:.3f}" for uri, end in durations]
    turns = [("0.100", "1.200", "X"), ("1.000", "1.100", "Y"), ("2.000", "0.400", "X")]
    return [
        f"SPEAKER {uri} 1 {start} {duration} <NA> <NA> {speaker} <NA> <NA>"
        for uri, _ in durations
        for start, duration, speaker in turns
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder, rng = tmp_path_factory.mktemp("protocol"), np.random.default_rng(0)
    for uri, duration in {**DURATIONS["train"], **DURATIONS["development"]}.items():
        write_wav(folder / f"{uri}.wav", 0.1 * rng.standard_normal(round(duration * 16000)))
    write_wav(folder / "empty.wav", np.zeros(0))
    (folder / "text.wav").write_text("not audio")
    return folder


@pytest.fixture(scope="module")
def teacher() -> WavLMSegmentation:
    torch.manual_seed(0)
    return tiny_model(
        WavLMConfig.dense(num_layers=1, neurons=8, channels=4, **TINY), duration=WINDOW
    )


def write(folder: Path, spoilt: dict[str, str | bytes] | None = None):
    contents = {name: "\n".join(lines(name)) + "\n" for name in FILES}
    contents |= {"database.yml": yaml.safe_dump(DATABASE)} | (spoilt or {})
    for name, content in contents.items():
        content = content if isinstance(content, bytes) else content.encode("utf-8", "replace")
        (folder / name).write_bytes(content)


def train(folder: Path, teacher: WavLMSegmentation):
    """What recipes do: check, then a batch of each task"""
    for known in REMEMBERED:
        known.clear()  # as in a new process
    protocol = load_protocol(folder / "database.yml", NAME)
    check_protocol(protocol, WINDOW)
    (folder / "cache").unlink(missing_ok=True)
    options = {
        "cache": folder / "cache",
        "duration": WINDOW,
        "max_speakers_per_chunk": 3,
        "batch_size": 2,
        "num_workers": 0,
    }
    diarization = ResumableDiarization(protocol, **options)
    distillation = DistillationPruning(protocol, **options, teacher=teacher, target_sparsity=None)
    for task in (diarization, distillation):
        task.prepare_data()
        teacher.task = task
        task.setup()
        task.model = teacher
        task.setup_loss_func()
        samples = task.train__iter__helper(random.Random(0))
        batch = task.collate_fn([next(samples) for _ in range(2)])
        assert batch["y"].shape[-1] == 3
        for i in range(task.val__len__()):
            assert len(task.val__getitem__(i)["X"].T) == 16000 * WINDOW
    with torch.no_grad():
        assert diarization.training_step(batch, 0)["loss"].isfinite()
        assert distillation.distance(batch["X"]).isfinite()


def load(folder: Path, teacher, spoilt: dict[str, str | bytes], fields=()):
    write(folder, spoilt)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = [*spoilt, NAME, "`annotated`", "`audio`", "`duration`"]
        with works_or_explains(*names, *DURATIONS["train"], fields=fields):
            train(folder, teacher)


FIELDS = (
    st.sampled_from(
        [
            "-1",
            "-0.5",
            "0",
            "0.0",
            "1e3",
            "1e400",
            "nan",
            "inf",
            "NA",
            "<NA>",
            "1,5",
            "1_0",
            "0x1",
            "é",
        ]
        + [
            "first",
            "second",
            "FIRST",
            "first.wav",
            "dév",
            "de\u0301v",
            "x y",
            "\u0663",
            '"',
            "'",
            "#",
            ";;",
            "{uri}",
            "*",
            "empty",
        ]
        + [
            "text",
            "../first",
            "/",
            "None",
            "SPEAKER",
            "\u00a0",
            "\u3000",
            "\0",
            "\x1b[31m",
            "2.999",
            "3.05",
            "30",
        ]
    )
    | st.from_regex(r"-?[0-9]{1,3}\.[0-9]{1,4}", fullmatch=True)
    | texts
)

# file, line, field, what happens to it, and something new for where that is needed
CASES = st.tuples(
    st.sampled_from(FILES),
    st.integers(0, 5),
    st.integers(0, 9),
    st.sampled_from(
        ["replace", "replace", "replace", "remove", "insert", "append", "twice", "delete", "blank"]
        + ["empty", "latin-1", "bom", "crlf", "tabs", "no end", "utf-16", "only", "everywhere"]
    ),
    FIELDS,
)


def spoil(case: tuple) -> str | bytes:
    name, line, field, how, new = case
    content = lines(name)
    line %= len(content)
    fields = content[line].split()
    field %= len(fields)
    if how in ("replace", "remove", "insert"):
        fields[field : field + (how != "insert")] = [new] * (how != "remove")
        content[line] = " ".join(fields)
    elif how == "everywhere":
        old = fields[field]
        content = [" ".join(new if f == old else f for f in text.split()) for text in content]
    elif how == "append":
        content.append(new)
    elif how == "twice":
        content.insert(line, content[line])
    elif how == "delete":
        del content[line]
    elif how == "blank":
        content.insert(line, "")
    elif how == "only":
        content = [content[line]]
    text = "\n".join(content) + "\n"
    if how == "no end":
        return text.rstrip()
    if how in ("latin-1", "utf-16"):
        return text.encode(how)
    return {
        "empty": "",
        "bom": f"\ufeff{text}",
        "crlf": text.replace("\n", "\r\n"),
        "tabs": text.replace(" ", "\t"),
    }.get(how, text)


def test_unspoilt_files_are_read(folder, teacher):
    write(folder)
    train(folder, teacher)


@pytest.mark.slow
@fuzzing
@given(CASES)
@example(("train.rttm", 0, 7, "everywhere", "John Smith"))
@example(("train.rttm", 0, 7, "replace", "NA"))
@example(("train.rttm", 0, 7, "replace", '"Bob'))
@example(("train.rttm", 0, 3, "replace", "1,5"))
@example(("train.lst", 0, 0, "empty", ""))
@example(("train.lst", 0, 0, "append", "text"))
@example(("train.lst", 0, 0, "append", "empty"))
@example(("train.lst", 0, 0, "bom", ""))
@example(("train.uem", 0, 3, "replace", "3.05"))
@example(("train.uem", 0, 3, "replace", "30"))
def test_spoilt_line(folder, teacher, case):
    load(folder, teacher, {case[0]: spoil(case)})


@pytest.mark.slow
@fuzzing
@given(st.lists(CASES, min_size=2, max_size=4))
def test_several_spoilt_files(folder, teacher, cases):
    load(folder, teacher, {case[0]: spoil(case) for case in cases})


@fuzzing
@given(mutated(DATABASE))
def test_spoilt_database(folder, teacher, spoilt):
    plain, _ = spoilt
    load(folder, teacher, {"database.yml": yaml.dump(plain, allow_unicode=True)})


@fuzzing
@given(st.sampled_from(FILES), st.binary(max_size=60) | st.text(max_size=60))
def test_anything_else(folder, teacher, name, content):
    load(folder, teacher, {name: content})
