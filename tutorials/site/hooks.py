"""Pages of the site: README, changelog and tutorials as they are, notebooks, and a reference

Files have the folders that they have in the repository, so that links between them stay right.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter

ROOT = Path(__file__).parents[2]

# commands have `--help`
ROOMS = sorted({path.parent.name for path in ROOT.glob("pyannote_prune/*/__init__.py")} - {"cli"})

INDEX = """# Public names

What `from pyannote_prune import ...` gives. [Python](../tutorials/python.md) says which of them is
for what. Each of the next pages has one room of the package:
[Contributing](../tutorials/contributing.md#where-things-live) says what they hold.

::: pyannote_prune
    options: {show_root_heading: false}

<!-- to the reader of docstrings, its name in the package is that of its module -->
::: pyannote_prune.pruning.prune.prune
    options: {show_root_full_path: false}
"""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the rooms to the last section"""
    assert config.nav is not None
    config.nav[-1]["Reference"] += [{room: f"reference/{room}.md"} for room in ROOMS]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add all pages, and what they link to"""
    contents = reference()
    others = [ROOT / name for name in ("README.md", "CHANGELOG.md", "LICENSE", "database.yml")]
    # notebooks leave files of other kinds there
    kinds = (".md", ".ipynb", ".py", ".png")
    tutorials = [p for p in sorted((ROOT / "tutorials").iterdir()) if p.suffix in kinds]
    for path in others + tutorials:
        if path.suffix == ".ipynb":
            contents |= notebook(path)
        else:
            contents[path.relative_to(ROOT).as_posix()] = path.read_bytes()
    for uri, content in contents.items():
        files.append(File.generated(config, uri, content=content))
    return files


def notebook(path: Path) -> dict[str, str | bytes]:
    """Page of a notebook, with its outputs, and its figures"""
    names = {"unique_key": path.stem, "output_files_dir": f"{path.stem}_files"}
    text, resources = MarkdownExporter().from_filename(path, resources=names)
    figures = {f"tutorials/{name}": content for name, content in resources["outputs"].items()}
    return {f"tutorials/{path.stem}.md": text, **figures}


def reference() -> dict[str, str | bytes]:
    """Page of public names, and page of each room"""
    pages: dict[str, str | bytes] = {"reference/index.md": INDEX}
    for room in ROOMS:
        text = f"# {room}\n"
        for path in sorted((ROOT / "pyannote_prune" / room).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if parts[-1] == "__init__":  # what it names is in the modules
                text += f"\n::: {'.'.join(parts[:-1])}\n    options: {{members: false}}\n"
            else:
                text += f"\n::: {'.'.join(parts)}\n"
        pages[f"reference/{room}.md"] = text
    return pages


def on_page_markdown(markdown: str, **_) -> str:
    """Lead to the pages that notebooks have become"""
    return re.sub(r"(\]\([\w/.-]+)\.ipynb\)", r"\1.md)", markdown)
