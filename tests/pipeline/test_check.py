"""`pyannote-prune check`: folders against their cards"""

import shutil

import pytest
import torch
from helpers import Payload, tiny_config, tiny_model
from typer.testing import CliRunner

from pyannote_prune import export_pipeline, save_checkpoint
from pyannote_prune.cli import app
from pyannote_prune.cli.errors import console
from pyannote_prune.files.schema import section
from pyannote_prune.pipeline import check as module
from pyannote_prune.pipeline.check import check_pipeline
from pyannote_prune.pipeline.clean_process import Trial, run_here, try_pipeline
from pyannote_prune.pipeline.settings import ORACLE_SETTINGS

MODEL = "segmentation/pytorch_model.bin"


@pytest.fixture
def folder(oracle, tmp_path):
    return shutil.copytree(oracle, tmp_path / "it")


@pytest.fixture
def here(monkeypatch):
    """Without another process, which takes seconds"""
    monkeypatch.setattr(module, "try_pipeline", lambda folder: section(Trial, run_here(folder)))


def problems(folder) -> dict[str, str]:
    return {row.name: row.problem for row in check_pipeline(folder) if row.problem is not None}


def test_exported_folder_is_what_its_card_claims_in_a_process_of_its_own(exported, monkeypatch):
    monkeypatch.setattr(console, "width", 120)
    result = CliRunner().invoke(app, ["check", str(exported)])
    assert result.exit_code == 0, result.output
    assert "speakers, " in result.output
    assert f"{exported} is what its card claims" in " ".join(result.output.split())
    for name in ("embedding/pytorch_model.bin", "plda/plda.npz", "sparsity", "39,884"):
        assert name in result.output, name


def test_onnx_folder_is_what_its_card_claims(onnx_folder, here):
    assert not problems(onnx_folder)


def test_replaced_weights_are_found(folder, here):
    other = tiny_model(tiny_config(num_buckets=64), duration=3.0)
    save_checkpoint(other, folder / MODEL)
    found = problems(folder)
    assert found.keys() >= {MODEL, "parameters of WavLM", "window (s)"}
    assert "was replaced, or damaged, since the card was written" in found[MODEL]
    assert (
        "The card claims 2 for window (s), and the segmentation model has 3"
        in (found["window (s)"])
    )


def test_other_weights_of_the_same_structure_are_found(folder, monkeypatch):
    trial = Trial(module.read_card(folder)[0].segmentation, speakers=2, speech=20.0)
    monkeypatch.setattr(module, "try_pipeline", lambda folder: trial)
    save_checkpoint(tiny_model(), folder / MODEL)
    assert [*problems(folder)] == [MODEL]


@pytest.mark.parametrize(
    ("claim", "lie", "name"),
    [
        ("parameters: 39884", "parameters: 39885", "parameters of WavLM"),
        ("macs_per_second: 3950280", "macs_per_second: 1", "MACs per second of audio"),
        ("duration: 2.0", "duration: 8.0", "window (s)"),
        ("classes: 7", "classes: 11", "classes"),
        ("speakers: 3", "speakers: 4", "speakers in a window"),
        ("classes: 7", "classes: 7\n    sparsity: 0.8", "sparsity"),
    ],
)
def test_claims_that_were_edited_are_found(oracle, tmp_path, monkeypatch, claim, lie, name):
    """The facts are those of the same model, without the time of diarizing again"""
    trial = Trial(module.read_card(oracle)[0].segmentation, speakers=2, speech=20.0)
    monkeypatch.setattr(module, "try_pipeline", lambda folder: trial)
    assert not problems(oracle)
    folder = shutil.copytree(oracle, tmp_path / "it")
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert text.count(claim) == 1
    (folder / "README.md").write_text(text.replace(claim, lie), encoding="utf-8")
    assert [*problems(folder)] == [name]


def test_licence_that_was_edited_is_found(tmp_path, here):
    model = tiny_model()
    model.provenance = model.provenance.stated("CC BY-NC 4.0")
    folder = export_pipeline(model, tmp_path / "it", settings=ORACLE_SETTINGS)
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "license: cc-by-nc-4.0" in text
    (folder / "README.md").write_text(
        text.replace("license: cc-by-nc-4.0", "license: mit"), encoding="utf-8"
    )
    assert "licence mit, and the weights are under CC BY-NC 4.0" in problems(folder)["licence"]


def test_missing_and_additional_files_are_found(folder, here):
    (folder / MODEL).unlink()
    torch.save({}, folder / "segmentation" / "other.bin")
    found = problems(folder)
    assert "is missing" in found[MODEL]
    assert "is not a file that the card knows" in found["segmentation/other.bin"]


def test_files_with_code_are_not_loaded(folder, tmp_path, here):
    torch.save(Payload(tmp_path / "executed"), folder / MODEL)
    assert "could execute code" in problems(folder)[MODEL]
    assert not (tmp_path / "executed").exists()


def test_parts_of_the_hub_are_named(checkpoint, tmp_path, here):
    folder = export_pipeline(checkpoint, tmp_path / "it", "nobody/nothing")
    (problem,) = problems(folder).values()
    assert "does not run offline" in problem
    assert "parts from nobody/nothing, which must be in the cache" in problem
    assert "--parts FOLDER" in problem


def test_silence_is_a_problem(folder, monkeypatch):
    facts = module.read_card(folder)[0].segmentation
    monkeypatch.setattr(module, "try_pipeline", lambda folder: Trial(facts, 0, 0.0))
    assert "found no speech" in problems(folder)["conversation of pyannote.audio"]


def test_process_that_dies_is_a_problem(folder, monkeypatch):
    monkeypatch.setattr("pyannote_prune.pipeline.clean_process.sys.executable", "/bin/false")
    assert "ended with status 1" in try_pipeline(folder).error


def test_each_problem_is_a_sentence_and_the_exit_status_is_1(folder, here, monkeypatch):
    monkeypatch.setattr(console, "width", 120)
    save_checkpoint(tiny_model(duration=3.0), folder / MODEL)
    result = CliRunner().invoke(app, ["check", str(folder)])
    assert result.exit_code == 1
    output = " ".join(result.output.split())
    assert output.count("Error: ") == 2
    assert "'segmentation/pytorch_model.bin' was replaced" in output
    assert "The card claims 2 for window (s)" in output
    assert "is what its card claims" not in output
    assert "differs" in output


def test_folders_of_something_else_are_refused(checkpoint, tmp_path):
    (tmp_path / "empty").mkdir()
    for path, message in (
        (tmp_path / "nowhere", "must be the folder of a pipeline, found .* which is none"),
        (tmp_path / "empty", "it has no 'config.yaml'"),
        (checkpoint, "must be the folder of a pipeline"),
    ):
        with pytest.raises(ValueError, match=message):
            check_pipeline(path)
    (tmp_path / "empty" / "config.yaml").write_text("pipeline: {}")
    with pytest.raises(ValueError, match=r"must have a card, found no README\.md"):
        check_pipeline(tmp_path / "empty")
