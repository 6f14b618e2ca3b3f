"""Small models, and comparisons"""

import copy
import os
import resource
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from pyannote_prune import DistillationPruning, WavLMConfig, WavLMSegmentation, gate
from pyannote_prune.pruning.teacher import DiarizationWithTeacher
from pyannote_prune.segmentation.specifications import powerset_specifications
from pyannote_prune.training.task import ResumableDiarization

SHARED = Path(__file__).parents[3] / "shared"

CONFORMER = {"input_dim": 16, "ffn_dim": 32, "num_layers": 1, "depthwise_conv_kernel_size": 7}
TINY = {
    "embed_dim": 48,
    "num_heads": 4,
    "position_kernel": 16,
    "position_groups": 4,
    "num_buckets": 32,
    "max_distance": 64,
}
# arguments of Lightning's Trainer
QUIET = {
    "accelerator": "cpu",
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}
# of `tiny_trainee`, and their names
KINDS = {False: "diarization", True: "pruning", "decisions": "decisions", "teacher": "teacher"}
LARGE_STYLE = {"conv_norm": "layer", "norm_first": True, "normalize_waveform": True}


def tiny_config(large: bool = False, **options) -> WavLMConfig:
    """Dense encoder of a few thousand parameters, in the style of Base or Large"""
    options = TINY | (LARGE_STYLE if large else {}) | options
    return WavLMConfig.dense(num_layers=2, neurons=40, channels=12, **options)


def tiny_model(config: WavLMConfig | None = None, duration: float = 2.0) -> WavLMSegmentation:
    """Segmentation model with random weights and specifications, in evaluation mode"""
    model = WavLMSegmentation(wavlm=config or tiny_config(), conformer=CONFORMER)
    model.specifications = powerset_specifications(duration, 3, 2)
    model.setup()
    return model.eval()


def tiny_trainee(protocol, kind: bool | str, model: WavLMSegmentation, **options):
    """Same model with a task: diarization, or (once it has gates) pruning

    The kind may also be "decisions" (pruning, which learns posteriors and references as well), or
    "teacher" (diarization, with a teacher).
    """
    if not kind:
        model.task = ResumableDiarization(protocol, **options)
        return model
    if kind == "teacher":
        student = copy.deepcopy(model)
        student.task = DiarizationWithTeacher(protocol, teacher=model, **options)
        return student
    if kind == "decisions":
        options |= {"output_weight": 0.5, "task_weight": 0.2}
    student = gate(model)
    student.task = DistillationPruning(
        protocol, teacher=model, target_sparsity=0.5, warm_up_epochs=1, **options
    )
    return student


def randomize(module: nn.Module, scale: float = 0.3):
    """Move parameters away from values (zero, one) that could hide a mistake"""
    with torch.no_grad():
        for parameter in module.parameters():
            fan_in = max(1, parameter[0].numel()) if parameter.ndim > 1 else 1
            parameter += scale * torch.randn_like(parameter) / fan_in**0.5


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Largest difference, relative to the peak"""
    assert found.shape == expected.shape
    return ((found - expected).abs().max() / expected.abs().max()).item()


@contextmanager
def largest_file(size: int):
    """Limit the size of files: same effect as a full disk, with another number of error"""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Payload:
    """Pickle that creates the folder `path` if it is loaded unsafely"""

    def __init__(self, path: Path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def wait_for(path: Path, process: subprocess.Popen, timeout: float = 120):
    """Wait for a file that a process writes"""
    end = time.monotonic() + timeout
    while not path.exists():
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < end, path
        time.sleep(0.01)
