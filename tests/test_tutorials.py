"""The notebooks that are published are those that are executed"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

FOLDER = Path(__file__).parents[1] / "tutorials"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_there_are_notebooks_with_outputs():
    assert NOTEBOOKS
    for path in NOTEBOOKS:
        cells = nbformat.read(path, as_version=4).cells
        assert any(cell.get("outputs") for cell in cells), path.name


@pytest.mark.slow
def test_notebooks_run(tmp_path, monkeypatch):
    """Two at a time, each with one thread and a folder of its own"""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def run(path: Path) -> str | None:
        folder = tmp_path / path.stem
        folder.mkdir()
        notebook = nbformat.read(path, as_version=4)
        resources = {"metadata": {"path": folder}}
        try:
            NotebookClient(notebook, timeout=900, resources=resources).execute()
        except CellExecutionError as error:
            return f"{path.name}: {error}"

    with ThreadPoolExecutor(2) as pool:
        failures = list(filter(None, pool.map(run, NOTEBOOKS)))
    assert not failures, "\n".join(failures)
