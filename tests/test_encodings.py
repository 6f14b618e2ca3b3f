"""Text files are UTF-8, whatever the locale"""

import ast
from pathlib import Path

import pytest

import pyannote_prune

SOURCES = sorted(Path(pyannote_prune.__file__).parent.rglob("*.py"))
OPENING = ("open", "read_text", "write_text")
BINARY = ("rb", "wb", "ab", "rb+")


def opened_without_encoding(tree: ast.AST) -> list[int]:
    """Lines that open a text file in the encoding of the locale"""
    found = []
    for call in ast.walk(tree):
        if isinstance(call, ast.Call):
            name = getattr(call.func, "attr", "")  # of paths
            if getattr(call.func, "id", "") == "open":
                name = "open"
            elif getattr(getattr(call.func, "value", None), "id", "") == "os":
                continue  # returns a descriptor
            is_binary = any(getattr(argument, "value", None) in BINARY for argument in call.args)
            # None: keywords that `**options` has
            keywords = {keyword.arg for keyword in call.keywords} & {"encoding", None}
            if name in OPENING and not is_binary and not keywords:
                found.append(call.lineno)
    return found


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("\npath.read_text()", [2]),
        ("path.write_text(text)", [1]),
        ("path.open()", [1]),
        ("open(path, 'w')", [1]),
        ("os.open(path, 2); write_text(text, path)", []),
        ("path.open('rb'); open(path, 'wb'); wave.open(path, 'rb')", []),
        ("path.open('w', encoding='utf-8'); open(path, **TEXT)", []),
    ],
)
def test_what_is_looked_for(code, expected):
    assert opened_without_encoding(ast.parse(code)) == expected


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_text_files_have_an_encoding(source):
    assert opened_without_encoding(ast.parse(source.read_text(encoding="utf-8"))) == []
