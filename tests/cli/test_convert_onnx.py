"""`pyannote-prune convert SOURCE model.onnx`"""

import importlib.util
import re

import onnx_files
import pytest
import torch
from typer.testing import CliRunner

from pyannote_prune.cli import app
from pyannote_prune.segmentation.checkpoint import load_checkpoint


def run(*arguments, code: int = 0) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


@pytest.mark.slow
def test_checkpoint_is_converted_and_its_deviation_printed(checkpoint, tmp_path):
    path = tmp_path / "small.onnx"
    output = run("convert", checkpoint, path, "--dtype", "int8", "--licence", "MIT")
    assert f"Wrote {path}" in output
    found = re.search(
        r"Scores within (\S+) of those of PyTorch on a conversation of 30 s: (\S+)% of frames have "
        r"the same speakers, and (\S+)% of (\d+) turns are kept",
        output,
    )
    difference, frames, turns, num_turns = map(float, found.groups())
    assert 1e-4 < difference < 10
    assert 50 < frames <= 100
    assert 0 <= turns <= 100
    assert num_turns > 5
    metadata = onnx_files.metadata(path)
    # the folder of the checkpoint is nobody else's business
    assert {key: metadata[key] for key in ("dtype", "source", "licence")} == {
        "dtype": "int8",
        "source": checkpoint.name,
        "licence": "MIT",
    }


@pytest.mark.slow
def test_single_precision_is_the_default_and_does_not_deviate(checkpoint, tmp_path):
    path = tmp_path / "Model.ONNX"
    assert run("convert", checkpoint, path) == f"Wrote {path}"
    assert onnx_files.metadata(path)["dtype"] == "float32"
    model, file = load_checkpoint(checkpoint), onnx_files.session(path)
    waveforms = torch.randn(2, 1, 8000)
    with torch.inference_mode():
        expected = model(waveforms)
    # its classifier has weights 30 times larger
    assert (onnx_files.score(file, waveforms) - expected).abs().max() < 1e-3


def test_options_of_other_files_are_refused(checkpoint, tmp_path):
    output = run("convert", checkpoint, tmp_path / "model.ckpt", "--dtype", "float16", code=1)
    assert "`--dtype` is for ONNX files: give a CHECKPOINT that ends in .onnx." in output
    assert "Invalid value" in run(
        *("convert", checkpoint, tmp_path / "model.onnx", "--dtype", "int4"), code=2
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [["summary"], ["convert", "new.ckpt"], ["export", "new"]])
def test_onnx_files_are_not_converted_back(onnx_file, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    name, *target = command
    output = run(name, onnx_file, *target, code=1)
    assert f"'{onnx_file}' is an ONNX file, which is not converted back: give the chec" in output
    assert not list(tmp_path.iterdir())


def test_missing_packages_are_named_before_anything_is_read(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "pyannote_prune.files.extras.find_spec",
        lambda name: None if name.startswith("onnx") else find(name),
    )
    output = run("convert", tmp_path / "nowhere.ckpt", tmp_path / "model.onnx", code=1)
    assert "Packages are missing: onnx, onnxscript, onnxruntime. Install them: " in output
    assert "pip install 'pyannote-prune[onnx]'" in output
