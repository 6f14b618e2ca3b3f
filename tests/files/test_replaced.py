"""Results of files that were replaced are not taken for those of the new ones"""

import os
from pathlib import Path

import pytest

from pyannote_prune.files.replaced import remove_replaced


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("a", "b"):
        (tmp_path / f"{name}.wav").write_text(name)
        (tmp_path / f"{name}.rttm").write_text(f"result of {name}")
        (tmp_path / f"{name}.json").write_text(f"result of {name}")
        # an hour before its result
        os.utime(tmp_path / f"{name}.wav", ns=(10**18, 10**18))
        os.utime(tmp_path / f"{name}.rttm", ns=(2 * 10**18, 2 * 10**18))
    return tmp_path


def run(folder: Path, *names: str) -> list[str]:
    sources = {name: folder / f"{name}.wav" for name in names or ("a", "b")}
    results = {name: [folder / f"{name}.rttm", folder / f"{name}.json"] for name in sources}
    return remove_replaced(folder / "recordings.csv", sources, results)


def results(folder: Path) -> list[str]:
    return sorted(path.name for suffix in ("rttm", "json") for path in folder.glob(f"*.{suffix}"))


ALL = ["a.json", "a.rttm", "b.json", "b.rttm"]


def test_nothing_changed_nothing_is_removed(folder):
    for _ in range(3):
        assert run(folder) == []
    assert results(folder) == ALL


@pytest.mark.parametrize("modified", [3 * 10**18, 10**17], ids=["newer", "older"])
@pytest.mark.parametrize("text", ["c", "longer"], ids=["same size", "other size"])
def test_another_file_of_that_name_is_noticed_once(folder, modified, text):
    assert run(folder) == []
    (folder / "a.wav").write_text(text)
    os.utime(folder / "a.wav", ns=(modified, modified))
    assert run(folder) == ["a"]
    assert results(folder) == ["b.json", "b.rttm"]
    (folder / "a.rttm").write_text("result of the other one")
    assert run(folder) == []
    assert results(folder) == ["a.rttm", "b.json", "b.rttm"]


def test_without_a_record_newer_sources_are_other_ones(folder):
    os.utime(folder / "a.wav", ns=(3 * 10**18, 3 * 10**18))
    assert run(folder) == ["a"]
    assert results(folder) == ["b.json", "b.rttm"]


def test_source_that_is_gone_leaves_its_result_and_is_remembered(folder):
    run(folder)
    (folder / "a.wav").unlink()
    assert run(folder) == []
    assert results(folder) == ALL
    (folder / "a.wav").write_text("another")
    os.utime(folder / "a.wav", ns=(10**18, 10**18))
    assert run(folder) == ["a"]


def test_sources_of_other_runs_are_remembered(folder):
    run(folder, "a")
    run(folder, "b")
    (folder / "a.wav").write_text("another")
    os.utime(folder / "a.wav", ns=(10**18, 10**18))
    assert run(folder, "b") == []
    assert run(folder) == ["a"]


def test_names_are_read_as_they_are_written(tmp_path):
    for name in ('"quoted"', "NA", "a,b", "line\nbreak", "latin \udce9"):
        source, result = tmp_path / "source", tmp_path / "result"
        source.write_text("one")
        result.write_text("of one")
        remove_replaced(tmp_path / "record.csv", {name: source}, {name: [result]})
        source.write_text("two words")
        assert remove_replaced(tmp_path / "record.csv", {name: source}, {name: [result]}) == [name]


def test_damaged_record_is_named(folder):
    (folder / "recordings.csv").write_text("name,file,size,modified\na,a.wav,big,0\n")
    with pytest.raises(ValueError, match=r"recordings.csv' must have a name, .* remove it"):
        run(folder)
    assert results(folder) == ALL
