"""Data, and a finished run, of the tests of recipes"""

import shutil
from pathlib import Path

import pytest
from recipes import conversations_of_all_tests, finished_recipe


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return conversations_of_all_tests(tmp_path_factory)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Folder of an undisturbed run, of which each process that runs tests has a copy"""
    return shutil.copytree(
        finished_recipe(tmp_path_factory), tmp_path_factory.mktemp("finished") / "run"
    )
