"""`database.yml` on a miniature of the layout that it describes"""

import shutil
from pathlib import Path

import numpy as np
import pytest
from conversations import write_wav
from pyannote.audio.utils.protocol import check_protocol
from pyannote.database import FileFinder, registry

CORPORA = {
    "AMI": "AMI.SpeakerDiarization.SDM",
    "AISHELL4": "AISHELL4.SpeakerDiarization.FirstChannel",
    "AliMeeting": "AliMeeting.SpeakerDiarization.Far",
}
SUBSETS = ("train", "development", "test")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpora")
    for corpus in CORPORA:
        root = folder / "data" / corpus
        for name in ("audio", "lists", "rttm", "uem"):
            (root / name).mkdir(parents=True)
        for subset in SUBSETS:
            uri = f"{corpus}_{subset}"
            write_wav(root / "audio" / f"{uri}.wav", np.zeros(16000))
            (root / "lists" / f"{subset}.lst").write_text(f"{uri}\n")
            turn = f"SPEAKER {uri} 1 0.1 0.5 <NA> <NA> someone <NA> <NA>\n"
            (root / "rttm" / f"{subset}.rttm").write_text(turn)
            (root / "uem" / f"{subset}.uem").write_text(f"{uri} 1 0.0 1.0\n")
    shutil.copy(Path(__file__).parents[2] / "database.yml", folder)
    registry.load_database(folder / "database.yml")


def subsets(name: str) -> dict[str, list]:
    protocol = registry.get_protocol(name, preprocessors={"audio": FileFinder()})
    checks = check_protocol(protocol)[1]
    assert checks["has_validation"]
    assert checks["has_scope"]
    return {subset: list(getattr(protocol, subset)()) for subset in SUBSETS}


@pytest.mark.usefixtures("loaded")
@pytest.mark.parametrize(("corpus", "name"), CORPORA.items())
def test_each_corpus_has_three_subsets(corpus, name):
    for subset, (file,) in subsets(name).items():
        assert file["uri"] == f"{corpus}_{subset}"
        assert file["audio"].is_file()
        assert file["annotation"].labels() == ["someone"]
        assert file["annotated"].duration() == 1.0
        assert file["scope"] == "file"


@pytest.mark.usefixtures("loaded")
def test_compound_has_them_all():
    for subset, files in subsets("X.SpeakerDiarization.Compound").items():
        assert [file["uri"] for file in files] == [f"{corpus}_{subset}" for corpus in CORPORA]
