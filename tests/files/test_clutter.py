"""What systems leave in folders does not count"""

import pytest

from pyannote_prune.files.clutter import files_of, is_empty, remove_empty


def test_folders_with_clutter_alone_are_empty(tmp_path):
    folder = tmp_path / "folder"
    assert is_empty(folder)
    remove_empty(folder)
    folder.mkdir()
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", ".lock", ".lock-1-of-2", "._recipe.yml"):
        (folder / name).touch()
    assert is_empty(folder)
    assert [*files_of(folder)] == []
    remove_empty(folder)
    assert not folder.exists()


@pytest.mark.parametrize("name", [".git", "recipe.yml", ".letter.draft"])
def test_anything_else_is_somebodys(tmp_path, name):
    (tmp_path / ".DS_Store").touch()
    (tmp_path / name).touch()
    assert not is_empty(tmp_path)
    assert [path.name for path in files_of(tmp_path)] == [name]
    with pytest.raises(OSError, match="not empty"):
        remove_empty(tmp_path)
    assert (tmp_path / name).exists()
