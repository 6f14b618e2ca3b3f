"""Names in configurations, and folders that they do not leave"""

import pytest

from pyannote_prune.files.inside import find_inside


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "secret").write_text("not for you")
    folder = tmp_path / "repository"
    (folder / "sub").mkdir(parents=True)
    for path in (folder / "file", folder / "sub" / "file"):
        path.write_text("weights")
    return folder


@pytest.mark.parametrize("name", ["file", "sub/file", "./file"])
def test_files_of_the_folder_are_found(folder, name):
    assert find_inside(folder, name).read_text() == "weights"
    assert find_inside(str(folder), name).read_text() == "weights"


@pytest.mark.parametrize(
    "name",
    ["../secret", "sub/../../secret", "sub/../file", "..\\secret", "absent", "sub", ".", "", "\0"],
)
def test_names_that_lead_out_or_nowhere_are_not(folder, name):
    assert find_inside(folder, name) is None


@pytest.mark.parametrize("name", [None, 3, ["file"], {"file": 1}, b"file"])
def test_anything_but_a_string_is_not_a_name(folder, name):
    assert find_inside(folder, name) is None


def test_absolute_names_are_not_found_even_in_the_folder(folder):
    assert find_inside(folder, str(folder.parent / "secret")) is None
    assert find_inside(folder, str(folder / "file")) is None


def test_links_are_followed_inside_and_not_outside(folder):
    (folder / "inside").symlink_to("sub/file")
    (folder / "outside").symlink_to("../secret")
    (folder / "elsewhere").symlink_to(folder.parent)
    assert find_inside(folder, "inside").read_text() == "weights"
    assert find_inside(folder, "outside") is None
    assert find_inside(folder, "elsewhere/secret") is None


def test_folder_that_is_a_link_is_that_folder(folder):
    (folder.parent / "link").symlink_to(folder)
    assert find_inside(folder.parent / "link", "file").read_text() == "weights"


def test_snapshots_of_the_hub_are_links_to_blobs(tmp_path):
    """Of the same repository, or shared by all of them: those of another one are not"""
    snapshot = tmp_path / "models--someone--model" / "snapshots" / "0123"
    shared = tmp_path / "blobs" / "ab" / "abcd"
    blobs = [
        tmp_path / f"models--{name}" / "blobs" / "etag" for name in ("someone--model", "other--one")
    ]
    for path in (*blobs, shared):
        path.parent.mkdir(parents=True)
        path.write_text("weights")
    (snapshot / "sub").mkdir(parents=True)
    (snapshot / "own").symlink_to("../../blobs/etag")
    (snapshot / "sub" / "shared").symlink_to("../../../../blobs/ab/abcd")
    (snapshot / "stolen").symlink_to(blobs[1])
    assert find_inside(snapshot, "own").read_text() == "weights"
    assert find_inside(snapshot, "sub/shared").read_text() == "weights"
    assert find_inside(snapshot, "stolen") is None
