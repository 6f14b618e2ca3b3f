"""Checkpoints and weights, damaged or made up"""

import copy
import warnings
from dataclasses import fields
from pathlib import Path

import pytest
import released
import torch
from fuzz.law import fuzzing, works_or_explains
from fuzz.mutations import junk, mutated
from fuzz.tensors import Content, altered, cases
from helpers import TINY, tiny_model
from hypothesis import example, given
from hypothesis import strategies as st

from pyannote_prune import WavLMConfig, save_checkpoint
from pyannote_prune.released.diarizen import load_diarizen, write_stand_in
from pyannote_prune.segmentation.checkpoint import load_checkpoint

CONFIG = WavLMConfig.dense(num_layers=1, neurons=8, channels=4, **TINY)

# of files as a whole
OF_STATE_DICTS = ["state dict", "state_dict", "could execute code", "do not fit"]

# of structures, whose fields have names of ours, or where two values disagree
OF_STRUCTURES = ["missing keys", "one value per layer"]
OF_STRUCTURES += [f"`{field.name}" for field in fields(WavLMConfig)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> dict:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("checkpoints") / "tiny.ckpt"
    save_checkpoint(tiny_model(CONFIG), path)
    return Content(torch.load(path, weights_only=True))


@pytest.fixture
def path(checkpoint, tmp_path) -> Path:
    """Unspoilt, whichever test ran before"""
    save(checkpoint, tmp_path / "tiny.ckpt")
    return tmp_path / "tiny.ckpt"


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    model = released.with_head(CONFIG)
    return write_stand_in(model, tmp_path_factory.mktemp("released") / "model")


@pytest.fixture(scope="module")
def weights(stand_in) -> dict:
    return Content(torch.load(stand_in / "pytorch_model.bin", weights_only=True))


@pytest.fixture(scope="module")
def wavlm(stand_in) -> dict:
    return Content(torch.load(stand_in / "wavlm_tiny_base.bin", weights_only=True))


@pytest.fixture
def folder(stand_in, weights, wavlm) -> Path:
    save(weights, stand_in / "pytorch_model.bin")
    save(wavlm, stand_in / "wavlm_tiny_base.bin")
    return stand_in


def save(content, path: Path):
    content = dict(content) if isinstance(content, Content) else content
    try:
        torch.save(content, path)
    except (RuntimeError, NotImplementedError, OverflowError):
        torch.save(None, path)  # some tensors cannot be saved: no file has them


def load(path: Path, content, fields=(), read=load_checkpoint, source: Path | None = None):
    save(content, path)
    with works_or_explains(path, fields=fields), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = read(source or path)
        if hasattr(model, "classifier") and model.num_frames(4000) > 0:
            assert model(torch.randn(1, 1, 4000)).isfinite().all()


def test_unspoilt_files_are_read(path, folder):
    load_checkpoint(path)
    load_diarizen(folder)
    load_diarizen(folder / "wavlm_tiny_base.bin")


@fuzzing
@given(cases)
@example((0, "nan", None))
@example((0, "huge", None))
@example((0, "numbers", None))
@example((0, str(torch.int64), None))
@example((0, "rename", "a" * 400))
def test_state_dict(path, checkpoint, case):
    weights, field = altered(checkpoint["state_dict"], case)
    load(path, checkpoint | {"state_dict": weights}, [field, *OF_STATE_DICTS])


@fuzzing
@given(st.data())
def test_hyper_parameters(path, checkpoint, data):
    plain = {"hyper_parameters": dict(checkpoint["hyper_parameters"])}
    spoilt, fields = data.draw(mutated(plain))
    content = {key: value for key, value in checkpoint.items() if key not in plain} | spoilt
    load(path, content, [*fields, "checkpoint", *OF_STATE_DICTS])


@fuzzing
@given(st.data())
def test_specifications(path, checkpoint, data):
    found = copy.deepcopy(checkpoint["pyannote.audio"]["specifications"])
    vars(found).update({key: getattr(found, key) for key in type(found).__dataclass_fields__})
    name = data.draw(st.sampled_from(list(vars(found))))
    vars(found)[name] = data.draw(
        junk | st.sampled_from([["a"] * 3, ["a"] * 10**5, [1, 2, 3], [], (1.0, -1.0), (0.5, 0.5)])
    )
    ours = checkpoint["pyannote.audio"] | {"specifications": found}
    load(path, checkpoint | {"pyannote.audio": ours}, [name, "could execute code", "do not fit"])


@fuzzing
@given(st.data())
def test_description(path, checkpoint, data):
    plain = {"pyannote.audio": dict(checkpoint["pyannote.audio"])}
    specifications = plain["pyannote.audio"].pop("specifications")
    spoilt, _ = data.draw(mutated(plain | {"epoch": 0}))
    if isinstance(spoilt.get("pyannote.audio"), dict):
        spoilt["pyannote.audio"]["specifications"] = specifications
    load(path, {k: v for k, v in checkpoint.items() if k != "pyannote.audio"} | spoilt)


@fuzzing
@given(junk)
def test_something_else(path, folder, content):
    load(path, content)
    load(folder / "pytorch_model.bin", content, read=load_diarizen, source=folder)


@pytest.mark.slow
@fuzzing
@given(cases)
@example((0, "long", None))
@example((0, "sparse", None))
@example((89, str(torch.float8_e4m3fn), None))
def test_weights_of_a_released_model(folder, weights, case):
    content, _ = altered(weights, case)
    path = folder / "pytorch_model.bin"
    load(path, content, OF_STATE_DICTS, read=load_diarizen, source=folder)


@fuzzing
@given(cases)
@example((1, "dictionary", None))
@example((1, "inf", None))
def test_weights_of_a_wavlm_file(folder, wavlm, case):
    path = folder / "wavlm_tiny_base.bin"
    content = dict(wavlm) | {"state_dict": altered(wavlm["state_dict"], case)[0]}
    load(path, content, OF_STATE_DICTS, read=load_diarizen)


@fuzzing
@given(st.data())
def test_structure_of_a_wavlm_file(folder, wavlm, data):
    path = folder / "wavlm_tiny_base.bin"
    config, names = data.draw(mutated(wavlm["config"]))
    content = dict(wavlm) | {"config": config}
    load(path, content, [*names, *OF_STRUCTURES, *OF_STATE_DICTS], read=load_diarizen)
    with works_or_explains(path, folder / "pytorch_model.bin"):
        load_diarizen(folder)


@fuzzing
@given(st.integers(0, 1 << 17), st.integers(0, 64), st.binary(max_size=64))
def test_damaged_file(path, checkpoint, start, length, inserted):
    save(checkpoint, path)
    content = path.read_bytes()
    start %= len(content)
    path.write_bytes(content[:start] + inserted + content[start + length :])
    with works_or_explains(path):
        load_checkpoint(path)
