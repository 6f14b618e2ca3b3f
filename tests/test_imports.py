"""Imports go one way: from room to room, and from file to file"""

import ast
import re
from pathlib import Path

import pytest

import pyannote_prune

ROOT = Path(pyannote_prune.__file__).parent
# what each room may import, besides itself and `version`
ROOMS = {
    "files": set(),
    "wavlm": {"files"},
    "data": {"files"},
    "segmentation": {"wavlm", "files"},
    "onnx": {"segmentation", "wavlm", "files"},
    "training": {"data", "wavlm", "files"},
    "pruning": {"training", "segmentation", "wavlm", "files"},
    "pipeline": {"onnx", "segmentation", "data", "wavlm", "files"},
    "released": {"pipeline", "segmentation", "wavlm", "files"},
    "recipe": {
        "pipeline",
        "pruning",
        "training",
        "released",
        "segmentation",
        "data",
        "wavlm",
        "files",
    },
}
ROOMS["benchmark"] = {"recipe", "onnx", *ROOMS["recipe"]}
ROOMS["cli"] = {"benchmark", *ROOMS["benchmark"]}
# the only files beside the rooms
TOP = {"__init__.py", "__main__.py", "moved.py", "registration.py", "version.py", "py.typed"}


def module_name(path: Path, root: Path) -> str:
    """`wavlm.gates` of `wavlm/gates.py`, `wavlm` of `wavlm/__init__.py`"""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, root: Path) -> set[str]:
    """Modules of the package that a file imports, anywhere in it"""
    package = path.relative_to(root).parent.parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            found |= {".".join(parts[1:]) for parts in names if parts[0] == "pyannote_prune"}
        elif isinstance(node, ast.ImportFrom):
            module = node.module.split(".") if node.module else []
            if node.level:
                base = [*package[: len(package) - node.level + 1], *module]
            elif module[:1] == ["pyannote_prune"]:
                base = module[1:]
            else:
                continue
            for alias in node.names:
                inner = root.joinpath(*base, alias.name)
                is_module = inner.with_suffix(".py").is_file() or inner.is_dir()
                found.add(".".join([*base, alias.name] if is_module else base))
    return found


def with_packages(module: str) -> list[str]:
    """The module, and the packages that are imported before it"""
    parts = module.split(".")
    return [".".join(parts[: n + 1]) for n in range(len(parts))]


def forbidden(root: Path) -> list[str]:
    """Imports from rooms that a file may not use"""
    found = []
    for path in sorted(root.rglob("*.py")):
        room = path.relative_to(root).parts[0]
        if room in ROOMS:
            for module in sorted(imports(path, root)):
                other = module.split(".")[0]
                if other not in {room, "version", *ROOMS[room]}:
                    found.append(f"{path.relative_to(root)} imports {module or 'the package'}")
    return found


def circles(root: Path) -> list[list[str]]:
    """Modules that import each other, directly or not"""
    graph = {}
    for path in root.rglob("*.py"):
        name = module_name(path, root)
        found = {package for module in imports(path, root) for package in with_packages(module)}
        graph[name] = found - {*with_packages(name)} | (found & imports(path, root) - {name})
    found, done = [], set()

    def visit(module: str, trail: list[str]):
        if module in trail:
            found.append(trail[trail.index(module) :] + [module])
        elif module not in done:
            for other in sorted(graph.get(module, ())):
                visit(other, [*trail, module])
            done.add(module)

    for module in sorted(graph):
        visit(module, [])
    return found


def test_top_of_the_package_has_rooms_and_few_files():
    inside = {path.name for path in ROOT.iterdir() if path.name != "__pycache__"}
    assert inside == TOP | ROOMS.keys()


def test_rooms_import_one_way():
    assert not forbidden(ROOT)


def test_page_has_the_same_table():
    page = Path(__file__).parents[1] / "tutorials" / "contributing.md"
    rows = re.findall(r"^\| `(\w+)/` \|.*\| (.*)\|$", page.read_text(encoding="utf-8"), flags=re.M)
    table = {room: set(re.findall(r"`(\w+)`", imports)) for room, imports in rows}
    above = set()
    for room, imports in rows:
        if imports.startswith("all of the above"):
            table[room] = above - table[room]  # "all of the above, but `onnx`"
        elif imports.strip() == "everything":
            table[room] = set(above)
        above.add(room)
    assert table == ROOMS


def test_no_circle():
    assert not circles(ROOT)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("from ..pruning import task", "wavlm/bad.py imports pruning.task"),
        ("from pyannote_prune import prune", "wavlm/bad.py imports the package"),
        ("def f():\n    import pyannote_prune.data.protocol", "wavlm/bad.py imports data.protocol"),
        ("if TYPE_CHECKING:\n    from ..pipeline import x", "wavlm/bad.py imports pipeline"),
    ],
)
def test_forbidden_import_is_found(tmp_path, line, message):
    for name in ("wavlm/bad.py", "pruning/task.py", "pipeline/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert not forbidden(tmp_path)
    (tmp_path / "wavlm" / "bad.py").write_text(line)
    assert forbidden(tmp_path) == [message]


def test_circle_is_found(tmp_path):
    (tmp_path / "wavlm").mkdir()
    (tmp_path / "wavlm" / "a.py").write_text("from .b import x")
    (tmp_path / "wavlm" / "b.py").write_text("import torch")
    assert not circles(tmp_path)
    (tmp_path / "wavlm" / "b.py").write_text("from . import a")
    assert circles(tmp_path) == [["wavlm.a", "wavlm.b", "wavlm.a"]]
