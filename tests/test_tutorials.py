"""The notebooks that are published are those that are executed"""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

FOLDER = Path(__file__).parents[1] / "tutorials"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))

WHOLE = bool(os.environ.get("WHOLE_NOTEBOOKS"))


def shortened(code: str) -> str:
    """Code that trains for a tenth of its epochs

    >>> shortened("trainer('1', max_epochs=16); quickstart(folder, num_epochs=0.7)")
    "trainer('1', max_epochs=2); quickstart(folder, num_epochs=0.07)"
    """
    code = re.sub(r"\bmax_epochs=(\d+)", lambda m: f"max_epochs={-(-int(m[1]) // 10)}", code)
    return re.sub(r"\bnum_epochs=([\d.]+)", lambda m: f"num_epochs={float(m[1]) / 10:.2g}", code)


def test_there_are_notebooks_with_outputs():
    assert NOTEBOOKS
    for path in NOTEBOOKS:
        cells = nbformat.read(path, as_version=4).cells
        assert any(cell.get("outputs") for cell in cells), path.name


@pytest.mark.slow
def test_notebooks_run(tmp_path, monkeypatch):
    """Two at a time, each with one thread, in one folder as people do

    The third and the fourth one find the model that the first one has trained. Trainings are a
    tenth as long, unless the environment has WHOLE_NOTEBOOKS.
    """
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def run(path: Path) -> str | None:
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code" and not WHOLE:
                cell.source = shortened(cell.source)
        resources = {"metadata": {"path": tmp_path}}
        try:
            NotebookClient(notebook, timeout=900, resources=resources).execute()
        except CellExecutionError as error:
            return f"{path.name}: {error}"

    with ThreadPoolExecutor(2) as pool:
        for notebooks in (NOTEBOOKS[:2], NOTEBOOKS[2:]):
            failures = list(filter(None, pool.map(run, notebooks)))
            assert not failures, "\n".join(failures)
