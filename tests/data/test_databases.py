"""A protocol comes from the file that was given, whatever else is loaded"""

import warnings
from pathlib import Path

import pytest
import yaml
from conversations import generate_conversations
from pyannote.database import FileFinder, registry

from pyannote_prune.data.protocol import check_protocol, load_protocol
from pyannote_prune.data.protocol_files import text_files

NAME = "Generated.SpeakerDiarization.Mini"
COMPOUND = "X.SpeakerDiarization.All"


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    return generate_conversations(tmp_path_factory.mktemp("conversations")).parent


def write(path: Path, databases: dict, protocols: dict, **others) -> Path:
    """`database.yml` with protocols of speaker diarization"""
    plain = {"Databases": databases, "Protocols": {}, **others}
    for name, content in protocols.items():
        database, _, protocol = name.split(".")
        tasks = plain["Protocols"].setdefault(database, {"SpeakerDiarization": {}})
        tasks["SpeakerDiarization"][protocol] = content
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(plain))
    return path


def section(folder: Path, subset: str) -> dict:
    return {
        "scope": "file",
        "train": {
            "uri": str(folder / f"{subset}.lst"),
            "annotation": str(folder / f"{subset}.rttm"),
        },
    }


def train_uris(protocol) -> list[str]:
    return [file["uri"] for file in protocol.train()]


def test_other_databases_do_not_count_and_stay(original, tmp_path):
    """Of the same name, with other recordings, loaded before"""
    audio = {"Generated": str(original / "{uri}.wav")}
    other = write(tmp_path / "other.yml", audio, {NAME: section(original, "development")})
    registry.load_database(other)
    before = registry.get_protocol(NAME)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # "Replacing existing ... protocol"
        protocol = load_protocol(original / "database.yml", NAME)
    assert train_uris(protocol) == [f"train{i}" for i in range(4)]
    assert train_uris(before) == train_uris(registry.get_protocol(NAME))
    assert train_uris(before) == ["development0", "development1"]
    assert registry.sources["Generated"] == [str(original / "{uri}.wav")]


def test_protocols_of_other_databases_are_refused(original, tmp_path):
    registry.load_database(original / "database.yml")
    mine = write(tmp_path / "mine.yml", {}, {"Mine.SpeakerDiarization.It": {"scope": "file"}})
    with pytest.raises(
        ValueError, match=r"`protocol` must be one of \['Mine.SpeakerDiarization.It'\] \(.*mine.yml"
    ):
        load_protocol(mine, NAME)


def test_audio_is_not_looked_for_in_other_databases(original, tmp_path):
    registry.load_database(original / "database.yml")
    mine = write(tmp_path / "mine.yml", {}, {NAME: section(original, "train")})
    with pytest.raises(ValueError, match="`audio` of 'train0' must be found through `database.yml"):
        check_protocol(load_protocol(mine, NAME), 2.0)


def test_parts_of_compounds_are_those_of_the_file(original, tmp_path):
    registry.load_database(
        write(tmp_path / "other.yml", {}, {NAME: section(original, "development")})
    )
    entries = {"train": {NAME: ["train"]}, "development": {NAME: ["development", "train"]}}
    plain = yaml.safe_load((original / "database.yml").read_text())
    plain["Protocols"]["X"] = {"SpeakerDiarization": {"All": entries}}
    path = original / "compound.yml"
    path.write_text(yaml.safe_dump(plain))
    protocol = load_protocol(path, COMPOUND)
    assert train_uris(protocol) == [f"train{i}" for i in range(4)]
    assert [file["uri"] for file in protocol.development()] == [
        *(f"development{i}" for i in range(2)),
        *(f"train{i}" for i in range(4)),
    ]
    assert all(file["audio"].parent == original for file in protocol.train())
    names = [text.name for text in text_files(protocol, "development")]
    assert names[:3] == ["development.lst", "development.rttm", "development.uem"]
    assert names[3:] == ["train.lst", "train.rttm", "train.uem"]

    # that of the registry of the whole process, as before
    registry.load_database(path)
    whole = registry.get_protocol(COMPOUND, preprocessors={"audio": FileFinder()})
    assert [text.name for text in text_files(whole, "development")] == names


def test_parts_of_compounds_that_are_elsewhere_are_refused(original, tmp_path):
    registry.load_database(original / "database.yml")
    mine = write(tmp_path / "mine.yml", {}, {COMPOUND: {"train": {NAME: ["train"]}}})
    message = rf"In the train set of {COMPOUND}: Compound protocols must be made .* found '{NAME}'"
    with pytest.raises(ValueError, match=message):
        check_protocol(load_protocol(mine, COMPOUND), 2.0)


def test_required_databases_count(original, tmp_path):
    entries = {"train": {NAME: ["train"]}}
    mine = write(
        tmp_path / "mine.yml",
        {},
        {COMPOUND: entries},
        Requirements=[str(original / "database.yml")],
    )
    assert train_uris(load_protocol(mine, COMPOUND)) == [f"train{i}" for i in range(4)]
    assert train_uris(load_protocol(mine, NAME)) == [f"train{i}" for i in range(4)]
    assert "Generated" not in registry.databases


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"Protocols: {a: [1,\n", "database.yml, line 2: not a `database.yml`: "),
        (b"", "database.yml: `database.yml` must be a dictionary, found nothing"),
        (b"- a\n", r"database.yml: `database.yml` must be a dictionary, found \['a'\]"),
        (b"Protocols: 3\n", "database.yml: `Protocols` must be a dictionary, found 3"),
        (b"# fine\n# caf\xe9\n", "database.yml, line 2: .* it must be text in UTF-8"),
    ],
)
def test_malformed_files_are_named_with_the_line(tmp_path, content, message):
    (tmp_path / "database.yml").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load_protocol(tmp_path / "database.yml", NAME)
