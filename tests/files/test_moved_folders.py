"""Projects that are moved, copied, or mounted elsewhere"""

from pathlib import Path

import pytest

from pyannote_prune.benchmark.accuracy import Experiment
from pyannote_prune.files.folders import Difference
from pyannote_prune.files.moved_folders import is_moved

REQUEST = "recipe.yml"


def project(folder: Path) -> Path:
    """Data, and a run that may be of these data: path of the data"""
    for name in ("data/database.yml", f"runs/run/{REQUEST}"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).touch()
    return folder / "data" / "database.yml"


def test_same_layout_is_the_same_project(tmp_path):
    old, new = tmp_path / "old" / "data" / "database.yml", project(tmp_path / "new")
    output = tmp_path / "new" / "runs" / "run"
    assert is_moved(str(new), str(old), output, REQUEST)
    # a copy, whose original is still there
    project(tmp_path / "old")
    assert is_moved(str(new), str(old), output, REQUEST)
    # another project, which has data of that name as well
    (tmp_path / "old" / "runs" / "run" / REQUEST).unlink()
    assert not is_moved(str(new), str(old), output, REQUEST)


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("/gone/other.yml", "/gone/database.yml"),  # another name
        ("owner/model", "/gone/owner/model"),  # hub id
        (None, "/gone/database.yml"),
        ("/elsewhere/data/database.yml", "/gone/data/database.yml"),  # not where the run is
    ],
)
def test_anything_else_is_no_move(tmp_path, here, there):
    assert not is_moved(here, there, tmp_path / "run", REQUEST)


def test_experiments_move_with_their_voices_and_their_other_domain(tmp_path):
    new = project(tmp_path / "new")
    experiment = Experiment(new.parent, tmp_path / "new" / "accuracy", out_of_domain=(new, "A.B.C"))
    old = str(tmp_path / "old" / "data" / "database.yml")
    voices = Difference("voices", str(new.parent), str(Path(old).parent))
    assert experiment._is_moved(voices)
    assert experiment._is_moved(Difference("out_of_domain", [str(new), "X.Y.Z"], [old, "X.Y.Z"]))
    assert not experiment._is_moved(
        Difference("out_of_domain", [str(new), "X.Y.Z"], [old, "A.Y.Z"])
    )
    assert not experiment._is_moved(Difference("scale.num_train", 1, 2))
