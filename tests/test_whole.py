"""Files are whole, or not there"""

import os
import signal

import pytest

from pyannote_prune.whole import draft_of, remove_drafts, remove_drafts_of, whole


def test_file_appears_once_it_is_complete(tmp_path):
    path = tmp_path / "new" / "file"
    with whole(path) as draft:
        draft.write_text("content")
        assert not path.exists()
    assert path.read_text() == "content"
    assert os.listdir(path.parent) == ["file"]


def test_previous_file_survives_an_error(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(TypeError), whole(path) as draft:
        draft.open("w").write("half" + None)
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("everything", [True, False])
def test_what_a_killed_process_leaves_can_be_removed(tmp_path, everything):
    path = tmp_path / "folder" / "file"
    child = os.fork()
    if not child:
        with whole(path) as draft:
            draft.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert not path.exists()
    assert len(os.listdir(path.parent)) == 1
    remove_drafts_of(tmp_path / "folder" / "other")
    assert len(os.listdir(path.parent)) == 1
    remove_drafts(tmp_path) if everything else remove_drafts_of(path)
    assert os.listdir(path.parent) == []


def test_drafts_are_removed_in_subfolders_and_nothing_else_is(tmp_path):
    path = tmp_path / "folder" / ".file.x.draft"
    path.parent.mkdir()
    path.touch()
    (tmp_path / ".pipeline.x.draft").mkdir()
    (tmp_path / ".pipeline.x.draft" / "config.yaml").touch()
    (tmp_path / ".hidden").touch()
    remove_drafts(tmp_path)
    assert os.listdir(path.parent) == []
    assert sorted(os.listdir(tmp_path)) == [".hidden", "folder"]


@pytest.mark.parametrize("name", ["x" * 255, "é" * 120, "[a-c]*", "会" * 85])
def test_names_may_be_as_long_as_those_of_files(tmp_path, name):
    """And drafts that are left are found, whatever the characters"""
    path = tmp_path / name
    with whole(path) as draft:
        draft.write_text("content")
    assert path.read_text() == "content"
    other, left = draft_of(tmp_path / "other"), draft_of(path)
    remove_drafts_of(path)
    assert other.exists()
    assert not left.exists()
