"""Malformed databases that pyannote.database looks for by itself end nothing"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pyannote_prune.data.default_databases import no_default_databases

PROBE = """
import os, sys, warnings
before = os.getcwd(), dict(os.environ)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from pyannote_prune.data.default_databases import import_database
    import_database()
    print([str(w.message)[:51] for w in caught if "default databases" in str(w.message)])
from pyannote.database import registry
assert (os.getcwd(), dict(os.environ)) == before
print(sorted(registry.databases))
"""
RIGHT = "Protocols: {Mine: {SpeakerDiarization: {It: {scope: file, train: {uri: a.lst}}}}}\n"


def run(*command, cwd: Path, **variables) -> str:
    path = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path, **variables},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_commands_that_need_no_database_run_next_to_a_malformed_one(tmp_path):
    (tmp_path / "database.yml").write_text("Protocols: {a: [1,\n")
    assert "target_sparsity" in run("-m", "pyannote_prune", "recipe", "base-plus-s80", cwd=tmp_path)


@pytest.mark.parametrize("place", ["current folder", "home", "variable", "nowhere"])
def test_malformed_databases_are_left_out_with_a_warning(tmp_path, place):
    """Databases that are right are loaded as ever"""
    here, home = tmp_path / "here", tmp_path / "home"
    for folder in (here, home / ".pyannote"):
        folder.mkdir(parents=True)
    paths = {
        "current folder": here / "database.yml",
        "home": home / ".pyannote" / "database.yml",
        "variable": tmp_path / "my.yml",
    }
    for path in paths.values():
        path.write_text(RIGHT)
    if place != "nowhere":
        paths[place].write_bytes(b"- caf\xe9\n")
    variables = {"HOME": str(home), "PYANNOTE_DATABASE_CONFIG": str(paths["variable"])}
    # the module alone: the package imports much more
    module = Path(__file__).parents[2] / "pyannote_prune" / "data" / "default_databases.py"
    probe = PROBE.replace(
        "from pyannote_prune.data.default_databases import import_database",
        f"import_database = __import__('runpy').run_path({str(module)!r})['import_database']",
    )
    warned, loaded = run("-c", probe, cwd=here, **variables).splitlines()
    if place == "nowhere":
        assert (warned, loaded) == ("[]", "['Mine']")
    else:
        assert warned == "['pyannote.database cannot read one of its default da']"
        assert loaded == "[]"


def test_folder_and_environment_are_put_back(monkeypatch):
    monkeypatch.setenv("PYANNOTE_DATABASE_CONFIG", "my.yml")
    before = Path.cwd(), dict(os.environ)

    def look():
        with no_default_databases():
            assert Path.cwd() != before[0]
            assert "PYANNOTE_DATABASE_CONFIG" not in os.environ
            assert not list(Path("~").expanduser().iterdir())
            raise ValueError("anything")

    with pytest.raises(ValueError, match="anything"):
        look()
    assert (Path.cwd(), dict(os.environ)) == before
