"""Files of the hub, without network"""

import pytest
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from pyannote_prune.released import hub
from pyannote_prune.released.hub import find_on_hub
from pyannote_prune.released.source import open_source

HUB_ID = "someone/some-model"


@pytest.fixture
def hub_raises(tmp_path, monkeypatch):
    """Make each download fail, and list what was asked"""
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))

    def prepare(error):
        asked = []

        def download(*names):
            asked.append(names)
            raise error

        monkeypatch.setattr(hub, "hf_hub_download", download)
        return asked

    return prepare


@pytest.mark.parametrize(
    "error", [LocalEntryNotFoundError("no connection"), OSError("no such repository")], ids=type
)
def test_repository_that_is_not_reached_is_asked_once(hub_raises, error):
    """Each attempt without network takes half a minute"""
    asked = hub_raises(error)
    with pytest.raises(OSError, match=r"(?s)found 'someone/some-model'.*Without network.*\(no "):
        open_source(HUB_ID)
    assert len(asked) == 1


def test_files_that_a_repository_lacks_are_none(hub_raises):
    hub_raises(EntryNotFoundError("no such file"))
    assert find_on_hub(HUB_ID, "config.toml") is None


def test_repository_in_the_cache_is_read_without_network(hub_raises, tmp_path):
    """Its other files may be there"""
    hub_raises(LocalEntryNotFoundError("no connection"))
    (tmp_path / "models--someone--some-model").mkdir()
    assert find_on_hub(HUB_ID, "config.toml") is None


@pytest.mark.parametrize("name", ["model", "model.ckpt", "a/b/c", "models/model.ckpt", "../model"])
def test_other_names_are_not_looked_for(hub_raises, name):
    asked = hub_raises(OSError("not to be raised"))
    assert find_on_hub(name, "config.toml") is None
    assert not asked
