"""Digests of recordings are those of copies, and of nothing else"""

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from pyannote_prune.data.simulation.digests import digest, former_digest
from pyannote_prune.data.simulation.voices import Excerpt

# on both sides of the size from which blocks are read, in bytes
SIZES = (1, 4096, 65535, 65536, 65537, 70_000, 300_000)


def voices(folder: Path) -> dict[str, list[Excerpt]]:
    """Recordings of two speakers, found as they would be in any folder"""
    paths = sorted(folder.iterdir())
    return {
        "one": [Excerpt(path) for path in paths[::2]],
        "two": [Excerpt(path, 0, 100, take) for take, path in enumerate(paths[1::2])],
    }


@pytest.fixture
def folder(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    (tmp_path / "voices").mkdir()
    for number, size in enumerate((*SIZES, SIZES[-1])):
        (tmp_path / "voices" / f"{number}.wav").write_bytes(rng.bytes(size))
    return tmp_path / "voices"


def test_copies_have_the_same_digest(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    for path in copy.iterdir():
        os.utime(path, ns=(10**18, 10**18))
    assert former_digest(voices(copy)) != former_digest(voices(folder))
    assert digest(voices(copy)) == digest(voices(folder))


def test_other_recordings_of_the_same_size_and_time_are_noticed(folder):
    """Others altogether, with another end, or with another stretch of a fifteenth"""
    before, same_stamps = digest(voices(folder)), former_digest(voices(folder))
    rng = np.random.default_rng(1)
    for path in folder.iterdir():
        content, times = path.read_bytes(), path.stat()
        length = -(-len(content) // 15)
        for start, num_bytes in [
            (0, len(content)),
            (0, 1),
            (len(content) - 1, 1),
            *((int(rng.integers(len(content) - length + 1)), length) for _ in range(20)),
        ]:
            changed = bytes(b ^ 255 for b in content[start : start + num_bytes])
            path.write_bytes(content[:start] + changed + content[start + num_bytes :])
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
            assert former_digest(voices(folder)) == same_stamps
            assert digest(voices(folder)) != before, (path.name, start, num_bytes)
        path.write_bytes(content)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert digest(voices(folder)) == before


def test_names_and_bounds_count(folder):
    found = voices(folder)
    (first, *others), before = found["one"], digest(found)
    for changed in (
        {**found, "one": others},
        {**found, "one": [*others, first]},
        {**found, "one": [Excerpt(first.path, 1), *others]},
        {**found, "one": [Excerpt(first.path, end=1), *others]},
        {**found, "one": [Excerpt(first.path, take=1), *others]},
        {"three": found["one"], "two": found["two"]},
        {"one": found["two"], "two": found["one"]},
    ):
        assert digest(changed) != before
    # files of the same size that swap names
    paths = sorted(folder.iterdir())[-2:]
    for path, content in zip(paths, [path.read_bytes() for path in paths[::-1]], strict=True):
        path.write_bytes(content)
    assert digest(found) != before


def test_former_digest_is_that_of_former_versions(folder):
    found = voices(folder)
    content = [
        [speaker, one.path.name, one.start, one.end, one.take, stat.st_size, stat.st_mtime_ns]
        for speaker, recordings in found.items()
        for one in recordings
        for stat in [one.path.stat()]
    ]
    expected = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    assert former_digest(found) == f"sha256:{expected}"
