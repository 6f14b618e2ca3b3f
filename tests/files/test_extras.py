"""Packages of extras"""

import importlib.util
import re
from pathlib import Path

import pytest

from pyannote_prune.files.extras import EXTRAS, MissingExtra, require_extra

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


@pytest.mark.parametrize("extra", EXTRAS)
def test_extras_are_those_of_the_package(extra):
    """As many packages as in pyproject.toml, under the same names"""
    listed = re.search(rf"^{extra} = \[(.*?)\]", PROJECT.read_text(), flags=re.M | re.S)
    assert set(re.findall(r'"(\w+)"', listed[1])) == set(EXTRAS[extra])
    tests = re.search(r"^test = \[(.*?)^\]", PROJECT.read_text(), flags=re.M | re.S)
    assert set(EXTRAS[extra]) <= set(re.findall(r'"(\w+)"', tests[1]))


@pytest.mark.parametrize("extra", EXTRAS)
def test_missing_packages_are_named_with_the_command(monkeypatch, extra):
    require_extra(extra)
    first, *_ = EXTRAS[extra]
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "pyannote_prune.files.extras.find_spec", lambda name: None if name == first else find(name)
    )
    message = rf"missing: {first}\. Install them: pip install 'pyannote-prune\[{extra}\]'"
    with pytest.raises(MissingExtra, match=message):
        require_extra(extra)
    assert issubclass(MissingExtra, ImportError)
