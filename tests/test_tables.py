"""Tables of pages are those of the results beside them"""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pyannote_prune.benchmark.pages.marks import RESULTS, fill, names_in, pages_of
from pyannote_prune.benchmark.pages.results import Results
from pyannote_prune.benchmark.pages.tables import TABLES

ROOT = Path(__file__).parents[1]
TUTORIALS = ROOT / "tutorials"
FILES = sorted((TUTORIALS / RESULTS).glob("*.json"))
PAGES = pages_of(TUTORIALS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tables_are_those_of_the_results(page):
    """If not: `pyannote-prune benchmark all results --update tutorials`"""
    text = page.read_text(encoding="utf-8")
    assert fill(text, TABLES, TUTORIALS / RESULTS) == text


def test_all_pages_are_compared():
    assert ROOT / "README.md" in PAGES
    assert {path.name for path in PAGES} >= {table.page for table in TABLES}


def test_results_are_shown_and_have_no_paths_of_a_machine():
    shown = {name for page in PAGES for name in names_in(page.read_text(encoding="utf-8"))}
    assert {path.stem for path in FILES} == shown
    for path in FILES:
        assert Results.load(path).table == path.stem
        text = path.read_text(encoding="utf-8")
        assert not any(f'"{root}' in text for root in ("/", "C:", "~"))


def changed(value: Any) -> Any:
    """The same content with other numbers"""
    if isinstance(value, dict):
        return {key: changed(one) for key, one in value.items()}
    if isinstance(value, list):
        return [changed(one) for one in value]
    return 1.5 * value if isinstance(value, float) else value


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_other_results_are_another_table(path, tmp_path):
    """Numbers that change, in a copy, are seen"""
    shutil.copytree(TUTORIALS / RESULTS, tmp_path, dirs_exist_ok=True)
    mark = f"<!-- results: {path.stem} -->\n"
    before = fill(mark, TABLES, tmp_path)
    results = Results.load(path)
    replace(results, results=changed(results.results)).save(tmp_path / path.name)
    assert fill(mark, TABLES, tmp_path) != before


def test_tables_have_names_of_their_own_and_plain_options():
    names = [table.name for table in TABLES]
    assert len({*names}) == len(names)
    for table in TABLES:
        assert table.minutes > 0
        assert (TUTORIALS / table.page).is_file()
