"""`config.toml` of released models, as people and programs may get it wrong"""

import sys
import warnings
from pathlib import Path

import pytest
import released
import torch
from fuzz.law import fuzzing, works_or_explains
from fuzz.mutations import mutated
from hypothesis import example, given
from hypothesis import strategies as st

from pyannote_prune.released.diarizen import load_diarizen, load_settings, write_stand_in

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FRAGMENTS = [
    *("\t", "= 1\n", "x\n", "[model]\n", "[[model]]\n", "[model.args.x]\n", "[inference]\n", "[\n"),
    *("dropout = 1_0e\n", "num_head = 0xffffffffffffffffffffffff\n", "num_head = 99999999999999\n"),
    *("x = 1979-05-27T07:32:00Z\n", "x = 12:99:00\n", 'x = "\\ud800"\n', "x = '''\n", "x = nan\n"),
    *("x = " + "[" * 3000, "x = " + "{a = " * 3000, f"x = {'9' * 5000}\n", f"{'a.' * 3000}b = 1\n"),
    *("\ufeff", "\x00", "\x07", "é = 1\n", '"" = 1\n', "model = 1\n", "model.args = 1\n"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    return write_stand_in(released.random_model(), tmp_path_factory.mktemp("released") / "model")


@pytest.fixture(scope="module")
def text(folder) -> str:
    return (folder / "config.toml").read_text()


def load(folder: Path, content: str | bytes, fields=()):
    path = folder / "config.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "replace"))
    for read in (load_settings, load_diarizen):
        with works_or_explains(path, fields=fields), warnings.catch_warnings(record=True):
            read(folder)


def to_toml(plain) -> str:
    """Like YAML, TOML has inline dictionaries: one line per key of the file is enough"""
    return "".join(f"{_key(key)} = {_inline(value)}\n" for key, value in plain.items())


def _inline(value) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)} = {_inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _key(value)
    return "'null'" if value is None else str(value)


def _key(text: str) -> str:
    return (
        '"'
        + "".join(c if c.isalnum() or c in "_. /-" else f"\\U{ord(c):08x}" for c in str(text))
        + '"'
    )


@pytest.fixture(scope="module")
def plain(text) -> dict:
    return tomllib.loads(text)


def test_unspoilt_config_is_read(folder, text, plain):
    assert tomllib.loads(to_toml(plain)) == plain
    (folder / "config.toml").write_text(text)
    assert load_settings(folder).median_filter == 11
    assert load_diarizen(folder).specifications.duration == 16.0


@fuzzing
@given(st.data())
def test_spoilt_value(folder, plain, data):
    spoilt, fields = data.draw(mutated(plain))
    # weights that no longer fit are listed by their own names
    load(folder, to_toml(spoilt), [*fields, "do not fit"])


@fuzzing
@given(st.integers(2, 5), st.data())
def test_several_spoilt_values(folder, plain, number, data):
    for _ in range(number):
        plain, _ = data.draw(mutated(plain))
    load(folder, to_toml(plain))


@fuzzing
@given(
    st.integers(0, 900),
    st.integers(0, 30),
    st.sampled_from(FRAGMENTS) | st.text(max_size=10) | st.binary(max_size=5),
)
def test_spoilt_text(folder, text, start, length, inserted):
    inserted = inserted if isinstance(inserted, bytes) else inserted.encode("utf-8", "replace")
    text = text.encode()
    load(folder, text[:start] + inserted + text[start + length :])


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=lambda fragment: repr(fragment[:20]))
@pytest.mark.parametrize("where", ["alone", "before", "after"])
def test_fragment(folder, text, fragment, where):
    before, after = text * (where == "after"), text * (where == "before")
    load(folder, before + fragment + after)


@fuzzing
@given(st.binary(max_size=200))
@example(b"\xff\xfe")
def test_bytes(folder, content):
    load(folder, content)
