"""Files are whole, or not there"""

import errno
import os
import signal

import pytest
import torch
from helpers import largest_file
from safetensors.torch import save_file

from pyannote_prune.files.atomic import (
    WriteError,
    atomic_write,
    draft_of,
    remove_drafts,
    remove_drafts_of,
    writing,
)

TENSORS = {"weight": torch.zeros(100_000)}


def test_file_appears_once_it_is_complete(tmp_path):
    path = tmp_path / "new" / "file"
    with atomic_write(path) as draft:
        draft.write_text("content")
        assert not path.exists()
    assert path.read_text() == "content"
    assert os.listdir(path.parent) == ["file"]


def test_previous_file_survives_an_error(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(TypeError), atomic_write(path) as draft:
        draft.open("w").write("half" + None)
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("everything", [True, False])
def test_what_a_killed_process_leaves_can_be_removed(tmp_path, everything):
    path = tmp_path / "folder" / "file"
    child = os.fork()
    if not child:
        with atomic_write(path) as draft:
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
    with atomic_write(path) as draft:
        draft.write_text("content")
    assert path.read_text() == "content"
    other, left = draft_of(tmp_path / "other"), draft_of(path)
    remove_drafts_of(path)
    assert other.exists()
    assert not left.exists()


@pytest.mark.parametrize(
    "write",
    [
        lambda draft: draft.write_bytes(bytes(100_000)),
        lambda draft: torch.save(TENSORS, draft),
        lambda draft: save_file(TENSORS, draft),
    ],
    ids=["python", "torch", "safetensors"],
)
def test_lack_of_space_is_an_error_that_names_the_file(tmp_path, write):
    path = tmp_path / "file"
    with atomic_write(path) as draft:
        write(draft)
    before = path.read_bytes()
    with largest_file(50_000), pytest.raises(WriteError) as caught, atomic_write(path) as draft:
        write(draft)
    assert caught.value.errno == errno.EFBIG
    assert str(caught.value) == (
        f"{str(path)!r} could not be written (File too large): free some space, then run the same "
        "command again. Files that are complete are kept."
    )
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["file"]


def test_other_errors_are_raised_as_they_are(tmp_path):
    named = FileNotFoundError(errno.ENOENT, "No such file", "/no/where")
    for error in (RuntimeError("of a network"), named, OSError("of a loader")):
        with pytest.raises(type(error)) as caught, atomic_write(tmp_path / "file"):
            raise error
        assert caught.value is error
        with pytest.raises(type(error)) as caught, writing(tmp_path):
            raise error
        assert caught.value is error


def test_a_folder_is_named_for_want_of_space_alone(tmp_path):
    """Something else may have been read there"""
    no_space = OSError(errno.ENOSPC, "No space left on device")
    message = r"'.*/run' could not be written \(No space left on device"
    with pytest.raises(WriteError, match=message), writing(tmp_path / "run"):
        raise no_space
    no_reading = OSError(errno.EIO, "Input/output error")
    with pytest.raises(OSError, match="error") as caught, writing(tmp_path / "run"):
        raise no_reading
    assert caught.value is no_reading


def test_what_cannot_be_made_is_named(tmp_path):
    message = "x' could not be written .*: check that it can be"
    with pytest.raises(WriteError, match=message), atomic_write(tmp_path / ("x" * 256)):
        pass
