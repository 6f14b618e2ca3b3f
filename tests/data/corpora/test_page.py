"""What `tutorials/data.md` says of own recordings, and of official ones, works"""

import contextlib
import io
import re
from pathlib import Path

from official import rttm, sound, write_audio, write_text

from pyannote_prune.data.corpora import CORPORA

PAGE = (Path(__file__).parents[3] / "tutorials" / "data.md").read_text(encoding="utf-8")


def test_own_recordings_are_found(tmp_path, monkeypatch):
    section = PAGE[PAGE.index("## Your own recordings") :]
    folder = tmp_path / "my-data"
    write_text(folder / "database.yml", re.search(r"```yaml\n(.*?)```", section, re.S)[1])
    for subset, uri in (("train", "monday"), ("development", "tuesday")):
        write_audio(folder / "audio" / f"{uri}.wav", sound(uri, num_channels=1))
        (folder / f"{subset}.lst").write_text(f"{uri}\n")
        (folder / f"{subset}.rttm").write_text(rttm(uri))
        (folder / f"{subset}.uem").write_text(f"{uri} 1 0.0 2.0\n")
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(re.search(r"```python\n(.*?)```", section, re.S)[1], {})
    lines = printed.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["monday", "tuesday"]
    assert all(line.endswith("2.0 ['alice', 'bob']") for line in lines)


def test_protocols_and_addresses_are_those_of_the_code():
    for layout in CORPORA.values():
        assert f"`{layout.protocol}`" in PAGE
        assert all(address in PAGE for address in re.findall(r"https://\S+", layout.origin))
