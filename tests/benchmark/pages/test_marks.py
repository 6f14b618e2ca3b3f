"""Pages show the results that they come with"""

import random
import string
from functools import partial

import pytest

from pyannote_prune.benchmark.pages.marks import END, RESULTS, fill, names_in, update_pages
from pyannote_prune.benchmark.pages.results import Results, path_of
from pyannote_prune.benchmark.pages.table import Table
from pyannote_prune.benchmark.tables import markdown_table


def show(results: dict) -> str:
    return f"{results['machine']}.\n\n" + markdown_table(("Network", "ms"), results["rows"])


def make(name: str) -> Table:
    return Table(name, "a title", "page.md", 1, lambda *arguments: {}, show)


TABLES = [make("one"), make("two-large")]


def save(folder, name: str, **results):
    folder.mkdir(exist_ok=True)
    content = {"machine": "a machine", "rows": [["base", "12"]], **results}
    Results(name, {}, 1.0, content).save(path_of(folder, name))


@pytest.fixture
def folder(tmp_path):
    """Results of both tables"""
    save(tmp_path / "measured", "one")
    save(tmp_path / "measured", "two-large", rows=[["large", "34"], ["small", "5"]])
    return tmp_path / "measured"


def random_prose(rng: random.Random) -> str:
    """Lines of a page without marks, tables among them"""
    lines = []
    for _ in range(rng.randrange(4)):
        kind = rng.choice(("text", "blank", "table", "code"))
        text = "".join(rng.choices(string.ascii_letters + " |", k=12))
        lines += {
            "text": [f"x{text}"],
            "blank": [""],
            "table": ["| a | b |", "|---|---|", f"| {text} | 1 |", ""],
            "code": ["```bash", f"`<!-- results: {text.split()[0]} -->`", "```"],
        }[kind]
    return "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize("seed", range(40))
def test_pages_are_filled_in_once_and_prose_stays(seed, folder):
    """With former content, a table alone, or nothing after each mark"""
    rng = random.Random(seed)
    names = rng.choices(["one", "two-large"], k=rng.randrange(4))
    prose = [random_prose(rng) for _ in range(len(names) + 1)]
    text, expected = prose[0], prose[0]
    for name, after in zip(names, prose[1:], strict=True):
        former = rng.choice(
            (f"\nold\n\n| a |\n|---|\n| old |\n\n{END}\n", f"{END}\n", "\n| a |\n|---|\n| old |\n")
        )
        text += f"<!-- results: {name} -->\n{former}end of {name}\n{after}"
        shown = show(Results.load(path_of(folder, name)).results).strip()
        expected += f"<!-- results: {name} -->\n\n{shown}\n\n{END}\nend of {name}\n{after}"
    assert names_in(text) == names
    assert fill(text, TABLES, folder) == expected
    assert fill(expected, TABLES, folder) == expected
    if names:
        assert text != expected


@pytest.mark.parametrize("end", ["", "\n", "\n\nmore text\n", "\n<!-- results: one -->"])
def test_a_mark_alone_is_filled_in(end, folder):
    filled = fill(f"<!-- results: one -->{end}", TABLES, folder)
    assert filled.count("| base | 12 |") == filled.count(END) == 1 + end.count("results")
    assert filled.count("more text") == end.count("more text")
    assert fill(filled, TABLES, folder) == filled


def test_update_fills_in_pages_and_keeps_results_beside_them(folder, tmp_path):
    pages = tmp_path / "tutorials"
    pages.mkdir()
    for path, name in ((pages / "speed.md", "one"), (tmp_path / "README.md", "two-large")):
        path.write_text(f"# Title\n\n<!-- results: {name} -->\n", encoding="utf-8")
    (pages / "other.md").write_text("no table\n", encoding="utf-8")
    update = partial(update_pages, pages, TABLES, folder)
    assert {path.name for path in update()} == {
        "one.json",
        "two-large.json",
        "speed.md",
        "README.md",
    }
    assert "| base | 12 |" in (pages / "speed.md").read_text(encoding="utf-8")
    assert "| large | 34 |" in (tmp_path / "README.md").read_text(encoding="utf-8")
    for name in ("one", "two-large"):
        copy = path_of(pages / RESULTS, name).read_bytes()
        assert copy == path_of(folder, name).read_bytes()
    assert update() == []

    # one table is measured again, the other one is no longer there
    save(folder, "one", rows=[["base", "13"]])
    path_of(folder, "two-large").unlink()
    assert {path.name for path in update()} == {"one.json", "speed.md"}
    assert "| base | 13 |" in (pages / "speed.md").read_text(encoding="utf-8")
    assert update() == []


def test_marks_without_table_or_results_are_refused(folder, tmp_path):
    with pytest.raises(ValueError, match=r"name of a table .*found 'on' .did you mean 'one'"):
        fill("<!-- results: on -->\n", TABLES, folder)
    with pytest.raises(FileNotFoundError, match=r"found no .*one\.json.*--table one"):
        fill("<!-- results: one -->\n", TABLES, tmp_path)
    path_of(folder, "one").write_text('{"rows": []}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"one\.json' must be a file of results"):
        fill("<!-- results: one -->\n", TABLES, folder)
