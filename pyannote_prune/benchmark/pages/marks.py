"""Tables in pages, between two marks, and files of results that they are made from

A page shows the table `NAME` between the lines `<!-- results: NAME -->` and
`<!-- end of results -->`. Where the second one is missing, the table that follows the first one, if
any, is replaced, and the second one is added.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from ...files.atomic import atomic_write
from ...files.folders import write_text
from ...files.messages import did_you_mean
from .results import Results, path_of
from .table import Table

# folder of results, beside pages
RESULTS = "results"

END = "<!-- end of results -->"
_START = r"<!-- results: (?P<name>\S+) -->"
_MARKED = re.compile(
    rf"^{_START}$\n?"
    # until the end mark, or blank lines and a table
    rf"(?:(?:(?!<!-- results:).*\n)*?{END}$|\n*(?:\|.*\n?)+|)",
    re.MULTILINE,
)


def names_in(text: str) -> list[str]:
    """List the names of the tables that a page shows"""
    return [found["name"] for found in _MARKED.finditer(text)]


def fill(text: str, tables: Iterable[Table], folder: Path) -> str:
    """Fill in the tables of a page

    Parameters
    ----------
    text : str
        Page, in Markdown.
    tables : iterable of Table
    folder : Path
        Folder of results.

    Raises
    ------
    OSError, ValueError
        If a mark has no results, or the name of no table.
    """
    known = {table.name: table for table in tables}

    def make(found: re.Match[str]) -> str:
        name = found["name"]
        if name not in known:
            raise ValueError(
                f"Marks must have the name of a table ({', '.join(known)}), found {name!r}"
                f"{did_you_mean(name, known)}."
            )
        path = path_of(folder, name)
        if not path.is_file():
            raise FileNotFoundError(
                f"Marks must have a file of results, found no {str(path)!r}: measure it (`pyannote-"
                f"prune benchmark all results --table {name}`), or remove the mark."
            )
        content = known[name].markdown(Results.load(path).results).strip()
        end = "\n" if found[0].endswith("\n") else ""
        return f"<!-- results: {name} -->\n\n{content}\n\n{END}{end}"

    return _MARKED.sub(make, text)


def pages_of(folder: Path) -> list[Path]:
    """List the pages of a folder, and the README beside it, if any"""
    readme = folder.resolve().parent / "README.md"
    return [*sorted(folder.glob("*.md")), *([readme] if readme.is_file() else [])]


def update_pages(pages: Path, tables: Iterable[Table], output: Path) -> list[Path]:
    """Copy results beside pages that show them, and fill in their tables

    Parameters
    ----------
    pages : Path
        Folder of pages. Those that have results keep a copy of them in its folder `results`.
    tables : iterable of Table
    output : Path
        Folder of results. Tables that are not there are made from the former copies.

    Returns
    -------
    changed : list of Path
        Files that are not what they were.

    Raises
    ------
    OSError, ValueError
        If a mark has no results, or the name of no table: pages are left as they were.
    """
    tables, texts = list(tables), {}
    for page in pages_of(pages):
        text = page.read_text(encoding="utf-8")
        if names_in(text):
            texts[page] = text
    copies, changed = pages / RESULTS, []
    for name in sorted({name for text in texts.values() for name in names_in(text)}):
        source, copy = path_of(output, name), path_of(copies, name)
        if source.is_file() and not (copy.is_file() and copy.read_bytes() == source.read_bytes()):
            Results.load(source)
            with atomic_write(copy) as draft:
                shutil.copyfile(source, draft)
            changed.append(copy)
    filled = {page: fill(text, tables, copies) for page, text in texts.items()}
    for page, text in filled.items():
        if text != texts[page]:
            write_text(text, page)
            changed.append(page)
    return changed
