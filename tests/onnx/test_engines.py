"""Choice of engines"""

import subprocess
import sys

import pytest

from pyannote_prune.files.extras import MissingExtra
from pyannote_prune.onnx.engines import CHOICES, check_engine, find_engine
from pyannote_prune.onnx.model import ONNXSegmentation


@pytest.mark.parametrize(
    ("missing", "on_cpu", "on_gpu"),
    [
        ((), "openvino", "onnxruntime"),
        (("openvino",), "onnxruntime", "onnxruntime"),
        (("onnxruntime",), "openvino", "openvino"),
        (("openvino", "onnxruntime"), None, None),
        (("onnx",), None, None),
    ],
)
def test_fastest_engine_is_one_that_is_installed(monkeypatch, missing, on_cpu, on_gpu):
    hide(monkeypatch, *missing)
    assert (find_engine("cpu"), find_engine("cuda")) == (on_cpu, on_gpu)


def hide(monkeypatch, *missing):
    monkeypatch.setattr(
        "pyannote_prune.files.extras.find_spec", lambda name: None if name in missing else name
    )


def test_automatic_choice_of_onnx_files(monkeypatch, onnx_file):
    pytest.importorskip("openvino", reason="needs `pip install openvino`, of the test extra")
    found = ONNXSegmentation(onnx_file, engine="auto")
    assert type(found._engine("cpu")).__name__ == "OpenVINO"
    hide(monkeypatch, "openvino")
    found = ONNXSegmentation(onnx_file, engine="auto")
    assert type(found._engine("cpu")).__name__ == "ONNXRuntime"
    hide(monkeypatch, "openvino", "onnxruntime")
    with pytest.raises(MissingExtra, match=r"pip install 'pyannote-prune\[onnx\]'"):
        ONNXSegmentation(onnx_file, engine="auto")


SIGNAL = """
import gc, os, signal, sys
from pathlib import Path
from pyannote_prune.onnx.engines import OpenVINO
from pyannote_prune.onnx.model import EXAMPLE

first, second = (OpenVINO(Path(sys.argv[1]), "cpu", 1, EXAMPLE) for _ in range(2))
del first
gc.collect()
del second
gc.collect()
signal.signal(signal.SIGTERM, lambda *_: print("handled"))
os.kill(os.getpid(), signal.SIGTERM)
"""


def test_signals_are_handled_once_openvino_has_been_used(onnx_file):
    pytest.importorskip("openvino", reason="needs `pip install openvino`, of the test extra")
    command = [sys.executable, "-c", SIGNAL, str(onnx_file)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert process.stdout == "handled\n", process.stderr
    assert process.returncode == 0


def test_other_engines_are_refused(onnx_file):
    for name in CHOICES:
        check_engine(name)
    with pytest.raises(ValueError, match=r"`it` must be one of 'auto', .*'openvin' \(did you mean"):
        check_engine("openvin", argument="it")
    with pytest.raises(ValueError, match=r"`engine` must be one of 'auto', 'onnx.*, found 'torch'"):
        ONNXSegmentation(onnx_file, engine="torch")
