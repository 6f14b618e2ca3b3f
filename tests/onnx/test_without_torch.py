"""The script of the page, in a process without PyTorch"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conversations import write_wav
from pyannote.audio.sample import SAMPLE_FILE
from pyannote.audio.utils.powerset import Powerset

from pyannote_prune.onnx.deviation import find_turns
from pyannote_prune.segmentation.checkpoint import load_checkpoint

SCRIPT = Path(__file__).parents[2] / "tutorials" / "onnx_without_torch.py"
WITHOUT = """
import runpy, sys
for name in ("torch", "torchaudio", "pyannote", "pyannote_prune", "onnx", "scipy"):
    sys.modules[name] = None  # `import torch` fails
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", WITHOUT, SCRIPT, *arguments]
    return subprocess.run([*map(str, command)], capture_output=True, text=True)


def test_script_is_short():
    assert len(SCRIPT.read_text().splitlines()) <= 60


@pytest.mark.parametrize("num_samples", [100, 32000, 70000])
def test_turns_are_those_of_the_model(checkpoint, onnx_file, tmp_path, num_samples):
    model = load_checkpoint(checkpoint)  # windows of 2 s
    samples = SAMPLE_FILE["waveform"][0, 100000:][:num_samples].numpy()
    write_wav(tmp_path / "conversation.wav", np.stack([samples, np.zeros_like(samples)], axis=1))
    done = run(onnx_file, tmp_path / "conversation.wav")
    assert done.returncode == 0, done.stderr

    samples = np.trunc(np.clip(samples, -1, 1) * 32767).astype(np.float32) / 32768
    expected = []
    for index, start in enumerate(range(0, num_samples, 32000)):
        part = torch.from_numpy(samples[start : start + 32000])
        part = torch.nn.functional.pad(part, (0, max(0, 400 - len(part))))
        with torch.inference_mode():
            active = Powerset(3, 2).to_multilabel(model(part[None, None])).numpy() > 0
        for _, speaker, first, last in find_turns(active):
            times = ((start + 40 + 320 * frame) / 16000 for frame in (first, last))
            expected.append(" ".join([*(f"{t:.2f}" for t in times), f"{index + 1}.{speaker + 1}"]))
    assert done.stdout.splitlines() == expected
    assert len(expected) > 3 or num_samples == 100


def test_other_rates_are_refused(onnx_file, tmp_path):
    write_wav(tmp_path / "slow.wav", np.zeros(8000), 8000)
    done = run(onnx_file, tmp_path / "slow.wav")
    assert done.returncode == 1
    assert "Convert it first: ffmpeg -i" in done.stderr
