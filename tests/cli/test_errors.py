"""What commands print beside their results"""

import warnings
from pathlib import Path

import pytest

import pyannote_prune
from pyannote_prune.cli.errors import plain_warnings

OURS = str(Path(pyannote_prune.__file__).parent / "some.py")


def written(filename: str) -> str:
    return warnings.formatwarning("look out", UserWarning, filename, 7, "some code")


@pytest.mark.parametrize(
    ("debug", "filename", "is_plain"),
    [
        ("0", OURS, True),
        ("1", OURS, False),
        ("0", "/elsewhere/some.py", False),
    ],
)
def test_warnings_of_ours_are_sentences(monkeypatch, debug, filename, is_plain):
    monkeypatch.setenv("PYANNOTE_PRUNE_DEBUG", debug)
    usual = written(filename)
    assert filename in usual
    with plain_warnings():
        found = written(filename)
    assert found == ("Warning: look out\n" if is_plain else usual)
    assert written(filename) == usual
